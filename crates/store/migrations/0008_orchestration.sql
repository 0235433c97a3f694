-- What owners of peers are asked, and what clients of tasks are told. One text for SQLite and PostgreSQL.

-- Peer: tasks that its owner is or was asked about.

CREATE TABLE approvals (
    party TEXT NOT NULL,
    task TEXT NOT NULL,
    state TEXT NOT NULL,
    ask_json TEXT NOT NULL,
    client TEXT,
    asked BIGINT NOT NULL,
    decided BIGINT,
    PRIMARY KEY (party, task)
);
CREATE INDEX approvals_by_time ON approvals (party, asked);

-- Gateway: where clients want to hear of their tasks, and how much was told. What is still to be told follows from
-- the task itself, so that no change of a task can be lost on the way here.

CREATE TABLE notices (
    task TEXT PRIMARY KEY,
    url TEXT NOT NULL,
    told_windows BIGINT NOT NULL,
    told_state TEXT NOT NULL,
    attempts BIGINT NOT NULL,
    next_at BIGINT NOT NULL
);
