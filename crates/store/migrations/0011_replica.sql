-- Fail-over: the log on which the gateways that can take over from each other agree, and how far the rows follow it.
-- Only a gateway with replicas writes here, on SQLite.

CREATE TABLE replica_log (
    idx BIGINT PRIMARY KEY,
    body TEXT NOT NULL
);

CREATE TABLE replica_state (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
);
