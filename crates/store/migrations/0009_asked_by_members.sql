-- Whether a window went into a result with other members is asked before every task: without reading all those that
-- went in with the same ones. One text for SQLite and PostgreSQL.

CREATE INDEX asked_by_members ON asked (party, source, members, to_ms);
