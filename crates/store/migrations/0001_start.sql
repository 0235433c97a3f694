-- The first schema. One text for SQLite and PostgreSQL: TEXT, BIGINT (times are milliseconds, truth is 0 or 1), BYTEA.
-- What the two cannot say alike (the triggers) is in 0001_start.sqlite.sql and 0001_start.postgres.sql.

CREATE TABLE counters (
    name TEXT PRIMARY KEY,
    value BIGINT NOT NULL
);

-- Gateway: directory.

CREATE TABLE groups (
    gid BIGINT PRIMARY KEY,
    tenant TEXT NOT NULL,
    name TEXT NOT NULL,
    consensus_id BYTEA,
    last_run BIGINT NOT NULL,
    created BIGINT NOT NULL,
    UNIQUE (tenant, name)
);

-- Every consensus a group ever had, oldest first; stays when the group goes.
CREATE TABLE consensus (
    gid BIGINT NOT NULL,
    seq BIGINT NOT NULL,
    id BYTEA NOT NULL,
    body TEXT NOT NULL,
    created BIGINT NOT NULL,
    PRIMARY KEY (gid, seq)
);

CREATE TABLE codes (
    id BIGINT PRIMARY KEY,
    code TEXT NOT NULL,
    gid BIGINT NOT NULL,
    created BIGINT NOT NULL
);
CREATE INDEX codes_by_code ON codes (code, id);
CREATE INDEX codes_by_gid ON codes (gid);

CREATE TABLE members (
    pid BIGINT PRIMARY KEY,
    gid BIGINT NOT NULL,
    tenant TEXT NOT NULL,
    peer_name TEXT NOT NULL,
    peer_type BIGINT NOT NULL,
    url TEXT NOT NULL,
    operator TEXT NOT NULL,
    label_key TEXT,
    fingerprint TEXT,
    link_endpoint TEXT,
    registration_code TEXT NOT NULL,
    last_status BIGINT NOT NULL,
    verified BIGINT NOT NULL,
    created BIGINT NOT NULL,
    UNIQUE (tenant, peer_name)
);
CREATE INDEX members_by_gid ON members (gid);

-- Gateway: runs and their slots.

CREATE TABLE runs (
    gid BIGINT NOT NULL,
    run BIGINT NOT NULL,
    consensus BYTEA NOT NULL,
    state TEXT NOT NULL,
    reason TEXT,
    next_slot BIGINT NOT NULL,
    started BIGINT NOT NULL,
    ended BIGINT,
    PRIMARY KEY (gid, run)
);
CREATE UNIQUE INDEX one_open_run ON runs (gid) WHERE state = 'open';

CREATE TABLE slots (
    gid BIGINT NOT NULL,
    run BIGINT NOT NULL,
    slot BIGINT NOT NULL,
    attempt BIGINT NOT NULL,
    session TEXT NOT NULL,
    state TEXT NOT NULL,
    detail TEXT,
    contributors BIGINT,
    agreement BYTEA,
    updated BIGINT NOT NULL,
    PRIMARY KEY (gid, run, slot)
);

-- Peer: parties of this node.

CREATE TABLE parties (
    name TEXT PRIMARY KEY,
    peer_type BIGINT NOT NULL,
    gateway_url TEXT NOT NULL,
    gateway_fingerprint TEXT,
    gid BIGINT,
    registration_code TEXT NOT NULL,
    final_results_url TEXT,
    label_key TEXT,
    fingerprint TEXT,
    state TEXT NOT NULL,
    consensus_id BYTEA,
    consensus_body TEXT
);

CREATE TABLE revoked (
    fingerprint TEXT PRIMARY KEY,
    reason TEXT NOT NULL,
    at BIGINT NOT NULL
);

CREATE TABLE sessions (
    party TEXT NOT NULL,
    session TEXT NOT NULL,
    run BIGINT NOT NULL,
    slot BIGINT NOT NULL,
    charter BYTEA NOT NULL,
    inputs BYTEA,
    at BIGINT NOT NULL,
    PRIMARY KEY (party, session)
);

CREATE INDEX sessions_of_slot ON sessions (party, run, slot);

-- Peer: the input queue. party_runs outlives every row, so a slot number is never used twice.

CREATE TABLE party_runs (
    party TEXT NOT NULL,
    run BIGINT NOT NULL,
    next_slot BIGINT NOT NULL,
    pending BIGINT NOT NULL,
    closed BIGINT,
    PRIMARY KEY (party, run)
);

CREATE TABLE input_rows (
    party TEXT NOT NULL,
    run BIGINT NOT NULL,
    slot BIGINT NOT NULL,
    state TEXT NOT NULL,
    slot_start BIGINT,
    data BYTEA,
    reason TEXT,
    created BIGINT NOT NULL,
    ended BIGINT,
    PRIMARY KEY (party, run, slot)
);

CREATE TABLE freezes (
    party TEXT NOT NULL,
    run BIGINT NOT NULL,
    slot BIGINT NOT NULL,
    attempt BIGINT NOT NULL,
    set_digest BYTEA NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (party, run, slot)
);

CREATE TABLE results (
    party TEXT NOT NULL,
    run BIGINT NOT NULL,
    slot BIGINT NOT NULL,
    session TEXT NOT NULL,
    values_json TEXT NOT NULL,
    contributors BIGINT NOT NULL,
    agreement BYTEA NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (party, run, slot)
);

-- Peer: results on their way to finalResultsURL.

CREATE TABLE outbox (
    party TEXT NOT NULL,
    run BIGINT NOT NULL,
    slot BIGINT NOT NULL,
    values_json TEXT NOT NULL,
    created BIGINT NOT NULL,
    batch_key TEXT,
    PRIMARY KEY (party, run, slot)
);
CREATE INDEX outbox_by_batch ON outbox (batch_key);

CREATE TABLE outbox_batches (
    batch_key TEXT PRIMARY KEY,
    party TEXT NOT NULL,
    run BIGINT NOT NULL,
    first_slot BIGINT NOT NULL,
    attempts BIGINT NOT NULL,
    next_at BIGINT NOT NULL,
    created BIGINT NOT NULL,
    delivered BIGINT
);
CREATE INDEX outbox_batches_open ON outbox_batches (next_at) WHERE delivered IS NULL;

-- Receiver.

CREATE TABLE received_keys (
    idempotency_key TEXT PRIMARY KEY,
    at BIGINT NOT NULL
);

CREATE TABLE received (
    id BIGINT PRIMARY KEY,
    from_ip TEXT NOT NULL,
    data TEXT NOT NULL,
    at BIGINT NOT NULL
);

-- The node.

CREATE TABLE log (
    seq BIGINT PRIMARY KEY,
    kind TEXT NOT NULL,
    body BYTEA NOT NULL,
    hash BYTEA NOT NULL,
    prev BYTEA,
    at BIGINT NOT NULL
);

CREATE TABLE tokens (
    hash BYTEA PRIMARY KEY,
    role TEXT NOT NULL,
    label TEXT NOT NULL,
    scope_json TEXT NOT NULL,
    created BIGINT NOT NULL,
    revoked BIGINT
);

CREATE TABLE settings (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL,
    updated BIGINT NOT NULL
);

CREATE TABLE leases (
    name TEXT PRIMARY KEY,
    holder TEXT NOT NULL,
    fence BIGINT NOT NULL,
    expires BIGINT NOT NULL
);
