-- Receipts that are owed: the result is durable and its receipt is not, at the gateway (holder is empty) or at a party.
-- Written with the result, deleted with the receipt.

CREATE TABLE receipts_owed (
    holder TEXT NOT NULL,
    session TEXT NOT NULL,
    gid BIGINT NOT NULL,
    run BIGINT NOT NULL,
    slot BIGINT NOT NULL,
    body TEXT NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (holder, session)
);
CREATE INDEX receipts_owed_by_time ON receipts_owed (holder, at);
CREATE INDEX receipts_by_time ON receipts (holder, gid, at);
