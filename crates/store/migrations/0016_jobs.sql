-- Peer: what a party was asked to take part in, for its owner to read. One text for SQLite and PostgreSQL.

CREATE TABLE jobs (
    party TEXT NOT NULL,
    number BIGINT NOT NULL,
    at BIGINT NOT NULL,
    state TEXT NOT NULL,
    detail TEXT NOT NULL,
    ended BIGINT,
    body TEXT NOT NULL,
    PRIMARY KEY (party, number)
);
