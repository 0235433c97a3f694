-- What convicts a compute peer that lied about its share of a result, kept by a party with the results of the run.

CREATE TABLE evidence (
    party TEXT NOT NULL,
    session TEXT NOT NULL,
    gid BIGINT NOT NULL,
    run BIGINT NOT NULL,
    slot BIGINT NOT NULL,
    accused TEXT NOT NULL,
    body TEXT NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (party, session)
);
CREATE INDEX evidence_by_time ON evidence (party, at);
