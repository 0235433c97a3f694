-- Peer: up to which moment of tasks its records may have been deleted. What is for that moment or an earlier one is over,
-- whatever is known of it: no freeze is needed to refuse it. One text for SQLite and PostgreSQL.

CREATE TABLE forgotten (
    one BIGINT PRIMARY KEY,
    upto BIGINT NOT NULL
);
