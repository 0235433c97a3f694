//! The schema and its versions. A change of the schema is a new numbered file, never an edit of an old one.

use crate::StoreError;
use crate::db::{Conn, Scalar, args};

struct Migration {
    version: i64,
    both: &'static str,
    /// What the two databases cannot say alike: triggers.
    sqlite: &'static str,
    postgres: &'static str,
}

const MIGRATIONS: &[Migration] = &[
    Migration {
        version: 1,
        both: include_str!("../migrations/0001_start.sql"),
        sqlite: include_str!("../migrations/0001_start.sqlite.sql"),
        postgres: include_str!("../migrations/0001_start.postgres.sql"),
    },
    Migration {
        version: 2,
        both: include_str!("../migrations/0002_merkle_log.sql"),
        sqlite: include_str!("../migrations/0002_merkle_log.sqlite.sql"),
        postgres: include_str!("../migrations/0002_merkle_log.postgres.sql"),
    },
    Migration { version: 3, both: include_str!("../migrations/0003_pairing.sql"), sqlite: "", postgres: "" },
    Migration { version: 4, both: include_str!("../migrations/0004_negotiations.sql"), sqlite: "", postgres: "" },
    Migration { version: 5, both: include_str!("../migrations/0005_tasks.sql"), sqlite: "", postgres: "" },
    Migration { version: 8, both: include_str!("../migrations/0008_orchestration.sql"), sqlite: "", postgres: "" },
    Migration { version: 9, both: include_str!("../migrations/0009_asked_by_members.sql"), sqlite: "", postgres: "" },
    Migration { version: 10, both: include_str!("../migrations/0010_receipts_owed.sql"), sqlite: "", postgres: "" },
    Migration { version: 11, both: include_str!("../migrations/0011_replica.sql"), sqlite: "", postgres: "" },
    Migration { version: 12, both: include_str!("../migrations/0012_evidence.sql"), sqlite: "", postgres: "" },
    Migration { version: 13, both: include_str!("../migrations/0013_spent.sql"), sqlite: "", postgres: "" },
    Migration { version: 14, both: include_str!("../migrations/0014_forgotten.sql"), sqlite: "", postgres: "" },
    Migration { version: 15, both: include_str!("../migrations/0015_opened.sql"), sqlite: "", postgres: "" },
    Migration { version: 16, both: include_str!("../migrations/0016_jobs.sql"), sqlite: "", postgres: "" },
    Migration { version: 17, both: include_str!("../migrations/0017_opened_by_end.sql"), sqlite: "", postgres: "" },
];

/// Brings the schema to the newest version, all of it or nothing. On PostgreSQL the caller commits.
pub(crate) async fn run(conn: &mut Conn) -> Result<(), StoreError> {
    match conn {
        Conn::SqliteWriter(_) => {
            conn.execute("BEGIN IMMEDIATE", &[]).await?;
            match upgrade(conn).await {
                Ok(()) => conn.execute("COMMIT", &[]).await.map(drop),
                Err(error) => {
                    conn.execute("ROLLBACK", &[]).await?;
                    Err(error)
                }
            }
        }
        _ => {
            // Replicas that start together take turns.
            conn.execute("SELECT pg_advisory_xact_lock(8386095523570323316)", &[]).await?;
            upgrade(conn).await
        }
    }
}

async fn upgrade(conn: &mut Conn) -> Result<(), StoreError> {
    let known = MIGRATIONS.iter().map(|m| m.version).max().unwrap_or(0);
    let applied = versions(conn).await?;
    let found = applied.iter().copied().max().unwrap_or(0);
    if found > known {
        return Err(StoreError::NewerSchema { found, known });
    }
    // Numbers may have gaps that are filled later: whatever is missing is applied, in order.
    for migration in MIGRATIONS.iter().filter(|m| !applied.contains(&m.version)) {
        conn.script(migration.both).await?;
        conn.script(match conn {
            Conn::PostgresTx(_) | Conn::PostgresReader(_) => migration.postgres,
            _ => migration.sqlite,
        })
        .await?;
        conn.execute("INSERT INTO schema_version (version) VALUES ($1)", args![migration.version]).await?;
        tracing::info!(version = migration.version, "database schema upgraded");
    }
    Ok(())
}

/// The versions that were applied; none for an empty database.
async fn versions(conn: &mut Conn) -> Result<Vec<i64>, StoreError> {
    if let Conn::SqliteWriter(_) = conn {
        let Scalar(strangers): Scalar<i64> = conn
            .one(
                "SELECT count(*) AS v FROM sqlite_master
                 WHERE NOT EXISTS (SELECT 1 FROM sqlite_master WHERE name = 'schema_version')",
                &[],
            )
            .await?;
        if strangers > 0 {
            return Err(StoreError::corrupt("the file belongs to another program"));
        }
    }
    conn.execute("CREATE TABLE IF NOT EXISTS schema_version (version BIGINT PRIMARY KEY)", &[]).await?;
    let found: Vec<Scalar<i64>> = conn.all("SELECT version AS v FROM schema_version", &[]).await?;
    Ok(found.into_iter().map(|Scalar(version)| version).collect())
}
