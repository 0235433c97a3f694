//! Peer: the parties this node hosts, the consensus each of them last accepted, and revoked keys.

use tacit_model::{Fingerprint, GroupId, RunId, SessionId, Slot, UnixMillis};

use crate::db::{Scalar, args, from_row};
use crate::{PeerType, Redacted, Store, StoreError, What};

/// A party hosted by this node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartyRow {
    /// Its name, unique on this node.
    pub name: String,
    /// What it does in its group.
    pub peer_type: PeerType,
    /// Its gateway.
    pub gateway_url: String,
    /// The key it knows its gateway by.
    pub gateway_fingerprint: Option<Fingerprint>,
    /// Its group, once registered.
    pub gid: Option<GroupId>,
    /// The code it registered with: a secret.
    pub registration_code: Redacted<String>,
    /// Where results are posted to.
    pub final_results_url: Option<String>,
    /// The P2DS public key, a label.
    pub label_key: Option<String>,
    /// The key of its links.
    pub fingerprint: Option<Fingerprint>,
    /// A word of the caller's: how it stands.
    pub state: String,
}
from_row!(PartyRow {
    name,
    peer_type,
    gateway_url,
    gateway_fingerprint,
    gid,
    registration_code,
    final_results_url,
    label_key,
    fingerprint,
    state,
});

/// A key that must not be trusted any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevokedRow {
    /// The key.
    pub fingerprint: Fingerprint,
    /// Why.
    pub reason: String,
    /// Since when.
    pub at: UnixMillis,
}
from_row!(RevokedRow { fingerprint, reason, at });

/// A session of a slot, as a party takes part in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionClaim {
    /// Its id.
    pub session: SessionId,
    /// The run.
    pub run: RunId,
    /// The slot.
    pub slot: Slot,
    /// The consensus under which it runs.
    pub charter: [u8; 32],
}

/// What a slot can no longer change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlotBinding {
    /// The consensus of its first session.
    pub charter: [u8; 32],
    /// Digest of the input peers, once shares were given.
    pub inputs: Option<[u8; 32]>,
}
from_row!(SlotBinding { charter, inputs });

impl Store {
    /// Creates a party or replaces what is known of it; its rows and its known consensus stay.
    ///
    /// A party that moves to another group or gateway must be deleted first: runs are counted per group.
    pub async fn put_party(&self, party: PartyRow) -> Result<(), StoreError> {
        self.run_tx("put_party", party, |db, p| {
            Box::pin(async move {
                db.execute(
                    "INSERT INTO parties (name, peer_type, gateway_url, gateway_fingerprint, gid,
                         registration_code, final_results_url, label_key, fingerprint, state)
                     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
                     ON CONFLICT (name) DO UPDATE SET peer_type = excluded.peer_type,
                         gateway_url = excluded.gateway_url, gateway_fingerprint = excluded.gateway_fingerprint,
                         gid = excluded.gid, registration_code = excluded.registration_code,
                         final_results_url = excluded.final_results_url, label_key = excluded.label_key,
                         fingerprint = excluded.fingerprint, state = excluded.state",
                    args![
                        p.name,
                        p.peer_type,
                        p.gateway_url,
                        p.gateway_fingerprint.map(|f| f.to_string()),
                        p.gid,
                        p.registration_code,
                        p.final_results_url,
                        p.label_key,
                        p.fingerprint.map(|f| f.to_string()),
                        p.state,
                    ],
                )
                .await?;
                Ok(())
            })
        })
        .await
    }

    /// One party.
    pub async fn party(&self, name: &str) -> Result<Option<PartyRow>, StoreError> {
        self.reader().await?.optional("SELECT * FROM parties WHERE name = $1", args![name]).await
    }

    /// All parties of this node, by name.
    pub async fn parties(&self) -> Result<Vec<PartyRow>, StoreError> {
        self.reader().await?.all("SELECT * FROM parties ORDER BY name", &[]).await
    }

    /// Removes a party and everything kept for it: inputs, freezes, results, undelivered batches.
    pub async fn delete_party(&self, name: &str) -> Result<(), StoreError> {
        self.run_tx("delete_party", name.to_owned(), |db, name| {
            Box::pin(async move {
                if db.execute("DELETE FROM parties WHERE name = $1", args![name]).await? == 0 {
                    return Err(StoreError::NotFound { what: "party" });
                }
                for sql in [
                    "DELETE FROM input_rows WHERE party = $1",
                    "DELETE FROM party_runs WHERE party = $1",
                    "DELETE FROM freezes WHERE party = $1",
                    "DELETE FROM results WHERE party = $1",
                    "DELETE FROM outbox WHERE party = $1",
                    "DELETE FROM outbox_batches WHERE party = $1",
                    "DELETE FROM sessions WHERE party = $1",
                    "DELETE FROM witnessed WHERE party = $1",
                    "DELETE FROM receipts WHERE holder = $1",
                    "DELETE FROM receipts_owed WHERE holder = $1",
                    "DELETE FROM evidence WHERE party = $1",
                    "DELETE FROM series WHERE party = $1",
                    "DELETE FROM asked WHERE party = $1",
                    "DELETE FROM opened WHERE party = $1",
                    "DELETE FROM opened_before WHERE party = $1",
                    "DELETE FROM approvals WHERE party = $1",
                    "DELETE FROM jobs WHERE party = $1",
                ] {
                    db.execute(sql, args![name]).await?;
                }
                Ok(())
            })
        })
        .await
    }

    /// Notes how a party stands.
    pub async fn set_party_state(&self, name: &str, state: &str) -> Result<(), StoreError> {
        self.run_tx("set_party_state", (name.to_owned(), state.to_owned()), |db, (name, state)| {
            Box::pin(async move {
                match db.execute("UPDATE parties SET state = $1 WHERE name = $2", args![state, name]).await? {
                    0 => Err(StoreError::NotFound { what: "party" }),
                    _ => Ok(()),
                }
            })
        })
        .await
    }

    /// The consensus a party last accepted: id and text.
    pub async fn known_consensus(&self, party: &str) -> Result<Option<([u8; 32], String)>, StoreError> {
        let found: Option<Known> = self
            .reader()
            .await?
            .optional("SELECT consensus_id, consensus_body FROM parties WHERE name = $1", args![party])
            .await?;
        Ok(found.and_then(|row| row.consensus_id.zip(row.consensus_body)))
    }

    /// Makes a consensus the known one if the one before is `expected_previous`; else `Conflict(Consensus)`.
    pub async fn set_known_consensus(
        &self,
        party: &str,
        expected_previous: Option<[u8; 32]>,
        id: [u8; 32],
        text: &str,
    ) -> Result<(), StoreError> {
        let args = (party.to_owned(), expected_previous, id, text.to_owned());
        self.run_tx("set_known_consensus", args, |db, (party, expected, id, text)| {
            Box::pin(async move {
                let Scalar(present): Scalar<Option<[u8; 32]>> = db
                    .optional("SELECT consensus_id AS v FROM parties WHERE name = $1", args![party])
                    .await?
                    .ok_or(StoreError::NotFound { what: "party" })?;
                if present != *expected {
                    return Err(What::Consensus.into());
                }
                db.execute(
                    "UPDATE parties SET consensus_id = $1, consensus_body = $2 WHERE name = $3",
                    args![id, text, party],
                )
                .await?;
                Ok(())
            })
        })
        .await
    }

    /// Takes a session id for a party, once: `Conflict(SessionUsed)` if it was taken before. A slot stays with
    /// the charter of its first session: `Conflict(SlotBound)` for another one.
    pub async fn claim_session(&self, party: &str, claim: SessionClaim, now: UnixMillis) -> Result<(), StoreError> {
        self.run_one_write((party.to_owned(), claim, now), |db, (party, claim, now)| {
            Box::pin(async move {
                let session = claim.session.to_string();
                let taken = db
                    .execute(
                        "INSERT INTO sessions (party, session, run, slot, charter, at)
                         SELECT $1, $2, $3, $4, $5, $6 WHERE NOT EXISTS (SELECT 1 FROM sessions
                             WHERE party = $1 AND run = $3 AND slot = $4 AND charter <> $5)
                         ON CONFLICT DO NOTHING",
                        args![party, session, claim.run, claim.slot, claim.charter, now],
                    )
                    .await?;
                if taken > 0 {
                    return Ok(());
                }
                let sql = "SELECT count(*) AS v FROM sessions WHERE party = $1 AND session = $2";
                let Scalar(known): Scalar<u64> = db.one(sql, args![party, session]).await?;
                Err(if known > 0 { What::SessionUsed.into() } else { What::SlotBound.into() })
            })
        })
        .await
    }

    /// Binds the slot of a claimed session to its input peers, before shares are given:
    /// `Conflict(SlotBound)` if shares were given in it with others, or this party froze it in another session.
    pub async fn bind_inputs(&self, party: &str, claim: SessionClaim, inputs: [u8; 32]) -> Result<(), StoreError> {
        self.run_one_write((party.to_owned(), claim, inputs), |db, (party, claim, inputs)| {
            Box::pin(async move {
                let bound = db
                    .execute(
                        "UPDATE sessions SET inputs = $1 WHERE party = $2 AND session = $3
                         AND NOT EXISTS (SELECT 1 FROM sessions other
                             WHERE other.party = $2 AND other.run = $4 AND other.slot = $5 AND other.inputs <> $1)
                         AND NOT EXISTS (SELECT 1 FROM freezes f WHERE f.party = $2 AND f.run = $4 AND f.slot = $5)",
                        args![inputs, party, claim.session.to_string(), claim.run, claim.slot],
                    )
                    .await?;
                if bound == 0 { Err(What::SlotBound.into()) } else { Ok(()) }
            })
        })
        .await
    }

    /// What the sessions of a slot bind it to, if there was one.
    pub async fn slot_binding(&self, party: &str, run: RunId, slot: Slot) -> Result<Option<SlotBinding>, StoreError> {
        let sql = "SELECT charter, inputs FROM sessions WHERE party = $1 AND run = $2 AND slot = $3
                   ORDER BY CASE WHEN inputs IS NULL THEN 1 ELSE 0 END LIMIT 1";
        self.reader().await?.optional(sql, args![party, run, slot]).await
    }

    /// Revokes a key, for ever. Saying it again changes nothing.
    pub async fn revoke_key(&self, key: Fingerprint, reason: &str, now: UnixMillis) -> Result<(), StoreError> {
        self.run_tx("revoke_key", (key, reason.to_owned(), now), |db, (key, reason, now)| {
            Box::pin(async move {
                db.execute(
                    "INSERT INTO revoked (fingerprint, reason, at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
                    args![key.to_string(), reason, now],
                )
                .await?;
                Ok(())
            })
        })
        .await
    }

    /// Whether a key is revoked, and why.
    pub async fn revoked(&self, key: Fingerprint) -> Result<Option<RevokedRow>, StoreError> {
        let sql = "SELECT * FROM revoked WHERE fingerprint = $1";
        self.reader().await?.optional(sql, args![key.to_string()]).await
    }

    /// All revoked keys.
    pub async fn revoked_keys(&self) -> Result<Vec<RevokedRow>, StoreError> {
        self.reader().await?.all("SELECT * FROM revoked ORDER BY at, fingerprint", &[]).await
    }
}

struct Known {
    consensus_id: Option<[u8; 32]>,
    consensus_body: Option<String>,
}
from_row!(Known { consensus_id, consensus_body });
