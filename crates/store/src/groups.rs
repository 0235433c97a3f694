//! Gateway: groups, the consensus each of them follows, and open registration codes.

use tacit_model::{GroupId, UnixMillis};

use crate::db::{Conn, Scalar, args, from_row};
use crate::pages::fitting;
use crate::{Redacted, RunState, Store, StoreError, What};

/// A group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupRow {
    /// Its number at this gateway, never used for another group.
    pub gid: GroupId,
    /// Whose group it is.
    pub tenant: String,
    /// Its name, unique per tenant.
    pub name: String,
    /// The id of the consensus it follows.
    pub consensus_id: Option<[u8; 32]>,
    /// When it was created.
    pub created: UnixMillis,
}
from_row!(GroupRow { gid, tenant, name, consensus_id, created });

/// An open registration code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodeRow {
    /// Tells equal codes apart (the test code may be open several times).
    pub id: i64,
    /// The code itself: a secret.
    pub code: Redacted<String>,
    /// The group it lets in to.
    pub gid: GroupId,
    /// When it was issued.
    pub created: UnixMillis,
}
from_row!(CodeRow { id, code, gid, created });

impl Store {
    /// Creates a group. `Conflict(GroupName)` if the tenant has one of this name.
    pub async fn create_group(&self, name: &str, tenant: &str, now: UnixMillis) -> Result<GroupRow, StoreError> {
        self.run_tx("create_group", (name.to_owned(), tenant.to_owned(), now), |db, (name, tenant, now)| {
            Box::pin(async move {
                let gid = GroupId(db.next_number("group").await?);
                let created = db
                    .execute(
                        "INSERT INTO groups (gid, tenant, name, last_run, created) VALUES ($1, $2, $3, 0, $4)
                         ON CONFLICT (tenant, name) DO NOTHING",
                        args![gid, tenant, name, now],
                    )
                    .await?;
                if created == 0 {
                    return Err(What::GroupName.into());
                }
                Ok(GroupRow { gid, tenant: tenant.clone(), name: name.clone(), consensus_id: None, created: *now })
            })
        })
        .await
    }

    /// One group.
    pub async fn group(&self, gid: GroupId) -> Result<Option<GroupRow>, StoreError> {
        self.reader().await?.optional("SELECT * FROM groups WHERE gid = $1", args![gid]).await
    }

    /// All groups, oldest first.
    pub async fn groups(&self) -> Result<Vec<GroupRow>, StoreError> {
        self.reader().await?.all("SELECT * FROM groups ORDER BY gid", &[]).await
    }

    /// Removes a group with its members and open codes and ends its open run. Its past (consensus texts, runs,
    /// slots) stays.
    pub async fn delete_group(&self, gid: GroupId, now: UnixMillis) -> Result<(), StoreError> {
        self.run_tx("delete_group", (gid, now), |db, (gid, now)| {
            Box::pin(async move {
                if db.execute("DELETE FROM groups WHERE gid = $1", args![gid]).await? == 0 {
                    return Err(StoreError::NotFound { what: "group" });
                }
                db.execute("DELETE FROM members WHERE gid = $1", args![gid]).await?;
                db.execute("DELETE FROM codes WHERE gid = $1", args![gid]).await?;
                db.execute("DELETE FROM receipts_owed WHERE holder = '' AND gid = $1", args![gid]).await?;
                db.execute(
                    "UPDATE runs SET state = $1, reason = 'group deleted', ended = $2
                     WHERE gid = $3 AND state = 'open'",
                    args![RunState::Stopped, now, gid],
                )
                .await?;
                Ok(())
            })
        })
        .await
    }

    /// Makes `id` the group's consensus if the present one is `expected_previous`; else `Conflict(Consensus)`.
    pub async fn set_consensus(
        &self,
        gid: GroupId,
        expected_previous: Option<[u8; 32]>,
        id: [u8; 32],
        text: &str,
        now: UnixMillis,
    ) -> Result<(), StoreError> {
        let args = (gid, expected_previous, id, text.to_owned(), now);
        self.run_tx("set_consensus", args, |db, (gid, expected, id, text, now)| {
            Box::pin(async move {
                let Scalar(present): Scalar<Option<[u8; 32]>> = db
                    .optional("SELECT consensus_id AS v FROM groups WHERE gid = $1", args![gid])
                    .await?
                    .ok_or(StoreError::NotFound { what: "group" })?;
                if present != *expected {
                    return Err(What::Consensus.into());
                }
                db.execute("UPDATE groups SET consensus_id = $1 WHERE gid = $2", args![id, gid]).await?;
                db.execute(
                    "INSERT INTO consensus (gid, seq, id, body, created)
                     SELECT $1, COALESCE(max(seq), 0) + 1, $2, $3, $4 FROM consensus WHERE gid = $1",
                    args![gid, id, text, now],
                )
                .await?;
                Ok(())
            })
        })
        .await
    }

    /// The consensus a group follows: its id and its text.
    pub async fn consensus(&self, gid: GroupId) -> Result<Option<([u8; 32], String)>, StoreError> {
        let found: Option<ConsensusRow> = self
            .reader()
            .await?
            .optional(
                "SELECT c.id, c.body FROM consensus c JOIN groups g ON g.gid = c.gid AND g.consensus_id = c.id
                 WHERE c.gid = $1 ORDER BY c.seq DESC LIMIT 1",
                args![gid],
            )
            .await?;
        Ok(found.map(|row| (row.id, row.body)))
    }

    /// The texts of all consensuses a group ever had, oldest first; also of a deleted group.
    pub async fn consensus_chain(&self, gid: GroupId) -> Result<Vec<String>, StoreError> {
        let texts: Vec<Scalar<String>> =
            self.reader().await?.all("SELECT body AS v FROM consensus WHERE gid = $1 ORDER BY seq", args![gid]).await?;
        Ok(texts.into_iter().map(|Scalar(text)| text).collect())
    }

    /// The texts from one on, counted from 0, about 4 MiB of them but one always, and whether others follow.
    pub async fn consensus_page(&self, gid: GroupId, from: i64) -> Result<(Vec<String>, bool), StoreError> {
        let mut db = self.reader().await?;
        let sql = "SELECT CAST(LENGTH(body) AS BIGINT) AS v FROM consensus WHERE gid = $1 AND seq > $2 ORDER BY seq";
        let lengths: Vec<Scalar<u64>> = db.all(sql, args![gid, from]).await?;
        let most = fitting(&lengths);
        let sql = "SELECT body AS v FROM consensus WHERE gid = $1 AND seq > $2 ORDER BY seq LIMIT $3";
        let texts: Vec<Scalar<String>> = db.all(sql, args![gid, from, most]).await?;
        let more = texts.len() < lengths.len();
        Ok((texts.into_iter().map(|Scalar(text)| text).collect(), more))
    }

    /// Those that followed one of them; all if that is none of the group's. What came before is not read.
    pub async fn consensus_after(&self, gid: GroupId, known: [u8; 32]) -> Result<Vec<String>, StoreError> {
        let sql = "SELECT body AS v FROM consensus WHERE gid = $1
                   AND seq > (SELECT COALESCE(max(seq), 0) FROM consensus WHERE gid = $1 AND id = $2) ORDER BY seq";
        let texts: Vec<Scalar<String>> = self.reader().await?.all(sql, args![gid, known]).await?;
        Ok(texts.into_iter().map(|Scalar(text)| text).collect())
    }

    /// Opens a registration code. The same code may be open several times; each is consumed on its own.
    pub async fn add_code(&self, code: &str, gid: GroupId, now: UnixMillis) -> Result<CodeRow, StoreError> {
        self.run_tx("add_code", (code.to_owned(), gid, now), |db, (code, gid, now)| {
            Box::pin(async move {
                group_exists(db, *gid).await?;
                let id = db.next_number("code").await?;
                db.execute(
                    "INSERT INTO codes (id, code, gid, created) VALUES ($1, $2, $3, $4)",
                    args![id, code, gid, now],
                )
                .await?;
                Ok(CodeRow { id, code: Redacted(code.clone()), gid: *gid, created: *now })
            })
        })
        .await
    }

    /// The open codes of a group, oldest first.
    pub async fn codes(&self, gid: GroupId) -> Result<Vec<CodeRow>, StoreError> {
        self.reader().await?.all("SELECT * FROM codes WHERE gid = $1 ORDER BY id", args![gid]).await
    }

    /// The group that an open code lets in to.
    pub async fn group_of_code(&self, code: &str) -> Result<Option<GroupId>, StoreError> {
        let sql = "SELECT gid AS v FROM codes WHERE code = $1 ORDER BY id LIMIT 1";
        let found: Option<Scalar<GroupId>> = self.reader().await?.optional(sql, args![code]).await?;
        Ok(found.map(|Scalar(group)| group))
    }

    /// Withdraws an open code; of several equal ones the oldest.
    pub async fn delete_code(&self, code: &str) -> Result<(), StoreError> {
        self.run_tx("delete_code", code.to_owned(), |db, code| {
            Box::pin(async move {
                let gone = db
                    .execute("DELETE FROM codes WHERE id = (SELECT min(id) FROM codes WHERE code = $1)", args![code])
                    .await?;
                if gone == 0 { Err(StoreError::NotFound { what: "registration code" }) } else { Ok(()) }
            })
        })
        .await
    }
}

/// `NotFound` if there is no such group.
pub(crate) async fn group_exists(db: &mut Conn, gid: GroupId) -> Result<(), StoreError> {
    let found: Option<Scalar<i64>> = db.optional("SELECT gid AS v FROM groups WHERE gid = $1", args![gid]).await?;
    found.map(drop).ok_or(StoreError::NotFound { what: "group" })
}

struct ConsensusRow {
    id: [u8; 32],
    body: String,
}
from_row!(ConsensusRow { id, body });
