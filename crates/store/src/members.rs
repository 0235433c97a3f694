//! Gateway: the members of groups.

use serde::{Deserialize, Serialize};
use tacit_model::{Fingerprint, GroupId, UnixMillis};

use crate::db::{Scalar, args, from_row, kept_as_number, kept_as_word};
use crate::{CodeRow, Redacted, Store, StoreError, What};

const NO_MEMBER: StoreError = StoreError::NotFound { what: "member" };

/// A member at this gateway (P2DS: `pid`); never used for another one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MemberId(pub i64);
kept_as_number!(MemberId, |pid| pid.0, |number| Some(MemberId(number)));

/// What a peer does in its group; the numbers are those of P2DS, 3 for both, 4 for one that only learns results.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum PeerType {
    /// Gives data.
    Input,
    /// Computes on shares.
    Privacy,
    /// Does both.
    Both,
    /// Does neither: it only learns results.
    Recipient,
}

impl PeerType {
    /// Its number: 1 to 4.
    pub fn number(self) -> i64 {
        match self {
            Self::Input => 1,
            Self::Privacy => 2,
            Self::Both => 3,
            Self::Recipient => 4,
        }
    }

    /// The type of this number.
    pub fn from_number(number: i64) -> Option<Self> {
        match number {
            1 => Some(Self::Input),
            2 => Some(Self::Privacy),
            3 => Some(Self::Both),
            4 => Some(Self::Recipient),
            _ => None,
        }
    }

    /// Whether it gives data.
    pub fn gives_input(self) -> bool {
        matches!(self, Self::Input | Self::Both)
    }

    /// Whether it computes on shares.
    pub fn computes(self) -> bool {
        matches!(self, Self::Privacy | Self::Both)
    }
}
kept_as_number!(PeerType, |kind| kind.number(), |number| PeerType::from_number(number));

/// What a peer last said of itself; the numbers are those of P2DS.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum PeerStatus {
    /// Never started.
    Unknown,
    /// Running.
    Started,
    /// Stopped, its last run failed.
    Error,
    /// Stopped.
    Stopped,
}

impl PeerStatus {
    /// Its number: 0 to 3.
    pub fn number(self) -> i64 {
        match self {
            Self::Unknown => 0,
            Self::Started => 1,
            Self::Error => 2,
            Self::Stopped => 3,
        }
    }

    /// The status of this number.
    pub fn from_number(number: i64) -> Option<Self> {
        match number {
            0 => Some(Self::Unknown),
            1 => Some(Self::Started),
            2 => Some(Self::Error),
            3 => Some(Self::Stopped),
            _ => None,
        }
    }
}
kept_as_number!(PeerStatus, |status| status.number(), |number| PeerStatus::from_number(number));

/// What an operator decided against a member.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum MemberRefusal {
    /// Not let in; the operator may think again.
    Rejected,
    /// Its key is never let in again.
    Revoked,
}
kept_as_word!(MemberRefusal { Rejected = "rejected", Revoked = "revoked" });

/// A member of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberRow {
    /// Its number at this gateway.
    pub pid: MemberId,
    /// Its group.
    pub gid: GroupId,
    /// The group's tenant.
    pub tenant: String,
    /// Its name, unique among the tenant's live members.
    pub peer_name: String,
    /// What it does in the group.
    pub peer_type: PeerType,
    /// Where it said it is (P2DS face).
    pub url: String,
    /// Who runs it; a threshold counts operators.
    pub operator: String,
    /// The public key it uploaded (P2DS), shown as a label only.
    pub label_key: Option<String>,
    /// The key its links use.
    pub fingerprint: Option<Fingerprint>,
    /// Where its links can be reached.
    pub link_endpoint: Option<String>,
    /// The code it came in by; stays its secret towards the gateway.
    pub registration_code: Redacted<String>,
    /// What it last said of itself.
    pub last_status: PeerStatus,
    /// Whether an administrator has compared its keys.
    pub verified: bool,
    /// When it registered.
    pub created: UnixMillis,
    /// Whether an operator refused it. A refused member is never verified.
    pub refusal: Option<MemberRefusal>,
}
from_row!(MemberRow {
    pid,
    gid,
    tenant,
    peer_name,
    peer_type,
    url,
    operator,
    label_key,
    fingerprint,
    link_endpoint,
    registration_code,
    last_status,
    verified,
    created,
    refusal,
});

/// Who wants to become a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewMember {
    /// Its name.
    pub peer_name: String,
    /// What it will do.
    pub peer_type: PeerType,
    /// Where it says it is.
    pub url: String,
    /// Who runs it.
    pub operator: String,
    /// The keys it registers with.
    pub keys: MemberKeys,
}

/// Keys and address of a member.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemberKeys {
    /// The P2DS public key, a label.
    pub label_key: Option<String>,
    /// The key its links use.
    pub fingerprint: Option<Fingerprint>,
    /// Where its links can be reached.
    pub link_endpoint: Option<String>,
}

impl Store {
    /// Consumes one open code and makes its bearer a member, or does neither.
    ///
    /// `NotFound` if the code is not open, `Conflict(PeerName)` if the name is taken, `Conflict(KeyRevoked)` if
    /// the key was revoked before.
    pub async fn consume_code_and_add_member(
        &self,
        code: &str,
        member: NewMember,
        now: UnixMillis,
    ) -> Result<MemberRow, StoreError> {
        self.run_tx("register", (code.to_owned(), member, now), |db, (code, new, now)| {
            Box::pin(async move {
                let code: CodeRow = db
                    .optional(
                        "DELETE FROM codes WHERE id = (SELECT min(id) FROM codes WHERE code = $1) RETURNING *",
                        args![code],
                    )
                    .await?
                    .ok_or(StoreError::NotFound { what: "registration code" })?;
                let Scalar(tenant): Scalar<String> = db
                    .optional("SELECT tenant AS v FROM groups WHERE gid = $1", args![code.gid])
                    .await?
                    .ok_or(StoreError::NotFound { what: "group" })?;
                if let Some(fingerprint) = new.keys.fingerprint {
                    let sql = "SELECT count(*) AS v FROM revoked WHERE fingerprint = $1";
                    let Scalar(revoked): Scalar<i64> = db.one(sql, args![fingerprint.to_string()]).await?;
                    if revoked > 0 {
                        return Err(What::KeyRevoked.into());
                    }
                }
                let pid = MemberId(db.next_number("member").await?);
                db.optional(
                    "INSERT INTO members (pid, gid, tenant, peer_name, peer_type, url, operator,
                         registration_code, last_status, verified, created, label_key, fingerprint, link_endpoint)
                     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 0, $10, $11, $12, $13)
                     ON CONFLICT (tenant, peer_name) DO NOTHING RETURNING *",
                    args![
                        pid,
                        code.gid,
                        tenant,
                        new.peer_name,
                        new.peer_type,
                        new.url,
                        new.operator,
                        code.code,
                        PeerStatus::Unknown,
                        now,
                        new.keys.label_key,
                        new.keys.fingerprint.map(|f| f.to_string()),
                        new.keys.link_endpoint,
                    ],
                )
                .await?
                .ok_or_else(|| What::PeerName.into())
            })
        })
        .await
    }

    /// A member by name.
    pub async fn member(&self, tenant: &str, peer_name: &str) -> Result<Option<MemberRow>, StoreError> {
        let sql = "SELECT * FROM members WHERE tenant = $1 AND peer_name = $2";
        self.reader().await?.optional(sql, args![tenant, peer_name]).await
    }

    /// The members of a group, in the order they registered.
    pub async fn members(&self, gid: GroupId) -> Result<Vec<MemberRow>, StoreError> {
        self.reader().await?.all("SELECT * FROM members WHERE gid = $1 ORDER BY pid", args![gid]).await
    }

    /// Replaces the keys and the address of a member and sets `verified` to false: new keys were compared by nobody.
    pub async fn set_member_keys(&self, pid: MemberId, keys: MemberKeys) -> Result<MemberRow, StoreError> {
        self.run_tx("set_member_keys", (pid, keys), |db, (pid, keys)| {
            Box::pin(async move {
                db.optional(
                    "UPDATE members SET label_key = $1, fingerprint = $2, link_endpoint = $3, verified = 0
                     WHERE pid = $4 RETURNING *",
                    args![keys.label_key, keys.fingerprint.map(|f| f.to_string()), keys.link_endpoint, pid],
                )
                .await?
                .ok_or(NO_MEMBER)
            })
        })
        .await
    }

    /// Marks a member as verified or not. With `only_if` the mark is set only while that is the member's key,
    /// else `Conflict(KeyChanged)`: a key that changed meanwhile was compared by nobody. A rejected member may be
    /// verified after all, one whose key is revoked never: `Conflict(KeyRevoked)`.
    pub async fn set_verified(
        &self,
        pid: MemberId,
        verified: bool,
        only_if: Option<Fingerprint>,
    ) -> Result<MemberRow, StoreError> {
        self.run_tx("set_verified", (pid, verified, only_if), |db, (pid, verified, only_if)| {
            Box::pin(async move {
                let row: MemberRow = db
                    .optional(
                        "UPDATE members SET verified = $1, refusal = CASE WHEN $1 = 1 THEN NULL ELSE refusal END
                         WHERE pid = $2 RETURNING *",
                        args![verified, pid],
                    )
                    .await?
                    .ok_or(NO_MEMBER)?;
                if *verified && let Some(fingerprint) = row.fingerprint {
                    let sql = "SELECT count(*) AS v FROM revoked WHERE fingerprint = $1";
                    let Scalar(revoked): Scalar<i64> = db.one(sql, args![fingerprint.to_string()]).await?;
                    if revoked > 0 {
                        return Err(What::KeyRevoked.into());
                    }
                }
                if only_if.is_some() && row.fingerprint != *only_if {
                    return Err(What::KeyChanged.into());
                }
                Ok(row)
            })
        })
        .await
    }

    /// Refuses a member: it is no longer verified. `Revoked` is for ever and for its key, under whatever names it is a
    /// member at this node.
    pub async fn refuse_member(
        &self,
        pid: MemberId,
        refusal: MemberRefusal,
        reason: &str,
        now: UnixMillis,
    ) -> Result<MemberRow, StoreError> {
        self.run_tx("refuse_member", (pid, refusal, reason.to_owned(), now), |db, (pid, refusal, reason, now)| {
            Box::pin(async move {
                let row: MemberRow = db
                    .optional(
                        "UPDATE members SET verified = 0,
                             refusal = CASE WHEN refusal = 'revoked' THEN refusal ELSE $1 END
                         WHERE pid = $2 RETURNING *",
                        args![*refusal, *pid],
                    )
                    .await?
                    .ok_or(NO_MEMBER)?;
                if let (MemberRefusal::Revoked, Some(key)) = (*refusal, row.fingerprint) {
                    db.execute(
                        "UPDATE members SET verified = 0, refusal = 'revoked' WHERE fingerprint = $1",
                        args![key.to_string()],
                    )
                    .await?;
                    db.execute(
                        "INSERT INTO revoked (fingerprint, reason, at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
                        args![key.to_string(), reason, now],
                    )
                    .await?;
                }
                Ok(row)
            })
        })
        .await
    }

    /// Notes what a member said of itself.
    pub async fn set_status(&self, pid: MemberId, status: PeerStatus) -> Result<MemberRow, StoreError> {
        self.run_tx("set_status", (pid, status), |db, (pid, status)| {
            Box::pin(async move {
                db.optional("UPDATE members SET last_status = $1 WHERE pid = $2 RETURNING *", args![status, pid])
                    .await?
                    .ok_or(NO_MEMBER)
            })
        })
        .await
    }

    /// Removes a member.
    pub async fn delete_member(&self, pid: MemberId) -> Result<(), StoreError> {
        self.run_tx("delete_member", pid, |db, pid| {
            Box::pin(async move {
                match db.execute("DELETE FROM members WHERE pid = $1", args![pid]).await? {
                    0 => Err(NO_MEMBER),
                    _ => Ok(()),
                }
            })
        })
        .await
    }
}
