-- Peer: what results with noise cost its series. One text for SQLite and PostgreSQL. A row is written with the freeze, or
-- before shares leave, and never deleted: epsilon in millionths, delta in 10^-15, rounded up.

CREATE TABLE spent (
    party TEXT NOT NULL,
    scope TEXT NOT NULL,
    run BIGINT NOT NULL,
    slot BIGINT NOT NULL,
    source TEXT NOT NULL,
    epsilon BIGINT NOT NULL,
    delta BIGINT NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (party, scope, run, slot, source)
);
CREATE INDEX spent_by_source ON spent (party, source);

-- Which task a window was given to: the number of its run is short enough to make a second task for.
ALTER TABLE asked ADD COLUMN task TEXT NOT NULL DEFAULT '';
