-- The log becomes a Merkle tree (RFC 9162). Entries of the hash chain before it stay in log_chain; the node takes their
-- texts over into the new log before anything else enters it.

ALTER TABLE log RENAME TO log_chain;

-- leaf stands before body so that reading hashes does not read bodies that overflow their page.
CREATE TABLE log (
    seq BIGINT PRIMARY KEY,
    kind TEXT NOT NULL,
    at BIGINT NOT NULL,
    leaf BYTEA NOT NULL,
    body BYTEA NOT NULL
);
CREATE INDEX log_notable ON log (kind, seq) WHERE kind IN ('consensus', 'software');

-- Hashes of complete subtrees of 2^8, 2^16, ... entries.
CREATE TABLE log_nodes (
    level BIGINT NOT NULL,
    place BIGINT NOT NULL,
    hash BYTEA NOT NULL,
    PRIMARY KEY (level, place)
);

-- Signed heads: of every block of entries when it was full (block 1, 2, ...), and the newest one (block 0).
CREATE TABLE log_heads (
    block BIGINT PRIMARY KEY,
    size BIGINT NOT NULL,
    note TEXT NOT NULL
);

-- What a party of this node saw last of its gateway's log, and the first answer that contradicts it.
CREATE TABLE witnessed (
    party TEXT NOT NULL,
    log TEXT NOT NULL,
    size BIGINT NOT NULL,
    note TEXT NOT NULL,
    disputed TEXT,
    at BIGINT NOT NULL,
    PRIMARY KEY (party, log)
);

-- The last checkpoint of this node's log that each witness co-signed.
CREATE TABLE cosignatures (
    witness TEXT PRIMARY KEY,
    witness_key TEXT NOT NULL,
    size BIGINT NOT NULL,
    note TEXT NOT NULL,
    at BIGINT NOT NULL
);

-- Receipts: the gateway's (holder is empty) and those of parties, with what concerns the holder alone.
CREATE TABLE receipts (
    holder TEXT NOT NULL,
    session TEXT NOT NULL,
    gid BIGINT NOT NULL,
    run BIGINT NOT NULL,
    slot BIGINT NOT NULL,
    body TEXT NOT NULL,
    own TEXT,
    at BIGINT NOT NULL,
    PRIMARY KEY (holder, session)
);
CREATE INDEX receipts_by_group ON receipts (holder, gid, run, slot);
