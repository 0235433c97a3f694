-- What is old is found by its end, and jobs that were computed are told from those that were only asked for. One text for
-- SQLite and PostgreSQL.

CREATE INDEX opened_by_end ON opened (party, to_ms);

ALTER TABLE jobs ADD COLUMN computed BIGINT NOT NULL DEFAULT 0;
-- Of before: the words that say so.
UPDATE jobs SET computed = 1 WHERE state IN ('computing', 'done', 'failed', 'interrupted');
