-- Negotiations: how each began and every step that was taken. Steps are only ever added.

CREATE TABLE negotiations (
    id TEXT PRIMARY KEY,
    gid BIGINT,
    nonce TEXT NOT NULL UNIQUE,
    opening TEXT NOT NULL,
    agreement TEXT,
    decided TEXT,
    outcome TEXT,
    created BIGINT NOT NULL
);
CREATE INDEX negotiations_by_gid ON negotiations (gid, created);
CREATE INDEX negotiations_by_agreement ON negotiations (agreement);
CREATE INDEX negotiations_by_decided ON negotiations (decided);

CREATE TABLE negotiation_steps (
    negotiation TEXT NOT NULL,
    seq BIGINT NOT NULL,
    body TEXT NOT NULL,
    created BIGINT NOT NULL,
    PRIMARY KEY (negotiation, seq)
);
