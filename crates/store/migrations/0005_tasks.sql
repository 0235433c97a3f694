-- Tasks of clients, and the series that peers answer them from. One text for SQLite and PostgreSQL.

-- Peer: its series. Values in millionths.

CREATE TABLE series (
    party TEXT NOT NULL,
    source TEXT NOT NULL,
    at BIGINT NOT NULL,
    value BIGINT NOT NULL,
    PRIMARY KEY (party, source, at)
);

-- Peer: what it gave to which tasks, before it gave it. Budgets and disjoint windows are judged by this.

CREATE TABLE asked (
    party TEXT NOT NULL,
    run BIGINT NOT NULL,
    slot BIGINT NOT NULL,
    source TEXT NOT NULL,
    client TEXT NOT NULL,
    from_ms BIGINT NOT NULL,
    to_ms BIGINT NOT NULL,
    members BYTEA NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (party, run, slot, source)
);
CREATE INDEX asked_by_source ON asked (party, source, to_ms);
CREATE INDEX asked_by_time ON asked (party, at);

-- Gateway: tasks and what became of them.

CREATE TABLE tasks (
    id TEXT PRIMARY KEY,
    gid BIGINT NOT NULL,
    client TEXT NOT NULL,
    idempotency TEXT,
    ask_json TEXT NOT NULL,
    state TEXT NOT NULL,
    detail TEXT NOT NULL,
    next_window BIGINT NOT NULL,
    created BIGINT NOT NULL,
    updated BIGINT NOT NULL
);
CREATE INDEX tasks_by_time ON tasks (created);
CREATE INDEX tasks_open ON tasks (state) WHERE state = 'open';
CREATE UNIQUE INDEX tasks_once ON tasks (client, idempotency) WHERE idempotency IS NOT NULL;

CREATE TABLE task_windows (
    id TEXT NOT NULL,
    slot BIGINT NOT NULL,
    body_json TEXT NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (id, slot)
);
