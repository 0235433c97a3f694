-- Peer that computes: over whose data it let results of tasks be opened, and of which windows. One text for SQLite and
-- PostgreSQL. A row is written with the freeze.

CREATE TABLE opened (
    party TEXT NOT NULL,
    run BIGINT NOT NULL,
    slot BIGINT NOT NULL,
    source TEXT NOT NULL,
    task TEXT NOT NULL,
    from_ms BIGINT NOT NULL,
    to_ms BIGINT NOT NULL,
    members BYTEA NOT NULL,
    company BYTEA NOT NULL,
    own BIGINT NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (party, run, slot, source)
);
CREATE INDEX opened_by_members ON opened (party, source, members, to_ms);
CREATE INDEX opened_by_company ON opened (company);

-- Who that was, once for all windows: certificates one after the other, 32 bytes each.
CREATE TABLE companies (
    company BYTEA PRIMARY KEY,
    givers BYTEA NOT NULL,
    judging BYTEA NOT NULL
);

-- Up to which moment windows of a series may have been deleted from there.
CREATE TABLE opened_before (
    party TEXT NOT NULL,
    source TEXT NOT NULL,
    upto BIGINT NOT NULL,
    PRIMARY KEY (party, source)
);
