//! Pairing: what an operator decides about a peer that registered, and what the peer hears of it.
//!
//! ```text
//!   code      approve (compared)            revoke
//!  ──────► waiting ─────────► registered ─────────► revoked (its key, for ever)
//!             │ ▲                 │
//!      reject ▼ │ approve         │ reject
//!           rejected ◄────────────┘
//! ```
//!
//! A refused member keeps its name: nobody else registers under it before an owner removes it.

use std::collections::BTreeSet;

use tacit_accord::Charter;
use tacit_job::ToPeer;
use tacit_model::api::PairingState;
use tacit_model::{Fingerprint, GroupId};
use tacit_store::{MemberRefusal, MemberRow, PeerStatus};
use tracing::warn;

use crate::members::set_roster;
use crate::{Gateway, GatewayError, MemberView};

/// What an operator compared with the peer's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Compared {
    /// The peer's fingerprint, read out by its operator.
    Fingerprint(Fingerprint),
    /// The code that both sides show.
    Code(String),
}

impl Gateway {
    /// Lets a member in whose fingerprint or comparison code is the one that was compared.
    ///
    /// `Refused` if it is another one, or if the key was revoked.
    pub async fn approve(&self, name: &str, compared: &Compared) -> Result<MemberView, GatewayError> {
        let deciding = self.inner.deciding.lock().await;
        let row = self.row(name).await?;
        let member = self.view(row.clone()).await?;
        if let (Compared::Code(code), Some(own)) = (compared, &member.comparison)
            && plain(code).len() != plain(own).len()
        {
            return Err(GatewayError::Invalid(format!(
                "a comparison code has {} letters and digits, and this one {}: read all of it, as both sides show it",
                plain(own).len(),
                plain(code).len()
            )));
        }
        let equal = match compared {
            Compared::Fingerprint(fingerprint) => member.fingerprint == Some(*fingerprint),
            Compared::Code(code) => member.comparison.as_deref().is_some_and(|own| plain(own) == plain(code)),
        };
        if !equal {
            return Err(GatewayError::Refused(
                "what you compared is not what registered: somebody may stand in between; do not let this peer in \
                 before you know why"
                    .to_owned(),
            ));
        }
        self.mark(&deciding, &row, true).await?;
        drop(deciding);
        self.member(name).await
    }

    /// Does not let a member in, or no longer. It may be approved later.
    pub async fn reject(&self, name: &str, reason: &str) -> Result<MemberView, GatewayError> {
        self.refuse(name, MemberRefusal::Rejected, reason).await
    }

    /// Never lets a member's key in again, under no name. Its links here close at once; the other members hear of it
    /// in the charter that follows, and close theirs. Where owners decide who is a member it is they who must agree
    /// on that charter; this gateway serves the key no more meanwhile.
    pub async fn revoke(&self, name: &str, reason: &str) -> Result<MemberView, GatewayError> {
        self.refuse(name, MemberRefusal::Revoked, reason).await
    }

    async fn refuse(&self, name: &str, refusal: MemberRefusal, reason: &str) -> Result<MemberView, GatewayError> {
        if reason.chars().count() > 300 || reason.chars().any(char::is_control) {
            return Err(GatewayError::Invalid("a reason has at most 300 printable characters".to_owned()));
        }
        let row = self.row(name).await?;
        let revoked = refusal == MemberRefusal::Revoked;
        if !revoked {
            self.check_removable(&row).await?;
        }
        if row.last_status == PeerStatus::Started {
            self.stop_member(row.gid, name).await?;
        }
        let deciding = self.inner.deciding.lock().await;
        let mut members = self.inner.store.members(row.gid).await?;
        members.iter_mut().filter(|m| m.pid == row.pid).for_each(|m| m.verified = false);
        // Out of the roster first: from then on nobody gives it shares, whatever else fails.
        // Whoever is not in it has nothing to be taken out of: owners are not asked about that.
        let current = self.current(row.gid).await?;
        let listed = current.charter().members.iter().any(|member| Some(member.fingerprint) == row.fingerprint);
        if listed && (current.charter().owners.is_empty() || !revoked) {
            self.decide_holding(&deciding, row.gid, |charter| set_roster(charter, &members)).await?;
        }
        let row = self.inner.store.refuse_member(row.pid, refusal, reason, self.inner.clock.now()).await?;
        drop(deciding);
        self.log_action(row.gid, refusal.word(), name).await?;
        if let Some(fingerprint) = &row.fingerprint {
            self.inner.directory.send(fingerprint, &ToPeer::Pairing { state: state_of(&row) });
            if revoked {
                self.forget(&row.fingerprint);
                // Other groups may list the key, too.
                self.settle_rosters().await?;
            }
        }
        self.member(name).await
    }

    /// Brings rows and charters together where a crash came between a decision and its row: the charter says who is
    /// verified, but nobody comes back by it whom an operator refused. For groups with owners see `finish_negotiations`.
    pub(crate) async fn settle_rosters(&self) -> Result<(), GatewayError> {
        for group in self.inner.store.groups().await? {
            if let Err(error) = self.settle_roster(group.gid).await {
                // The other groups do not wait for it.
                warn!(group = %group.gid, %error, "the charter and the rows of its members may differ");
            }
        }
        Ok(())
    }

    async fn settle_roster(&self, group: GroupId) -> Result<(), GatewayError> {
        let deciding = self.inner.deciding.lock().await;
        let current = match self.current(group).await {
            // Its first charter was never decided.
            Err(GatewayError::NotFound(_)) => return Ok(()),
            other => other?,
        };
        if !current.charter().owners.is_empty() {
            return Ok(());
        }
        let mut refused = BTreeSet::new();
        for row in self.inner.store.members(group).await? {
            // Who has no key is in no charter; its row is all there is.
            let Some(key) = row.fingerprint else { continue };
            let listed = current.charter().member(&key).is_some_and(|member| member.name == row.peer_name);
            if listed && row.refusal.is_some() {
                refused.insert(key);
            } else if row.verified != listed {
                self.inner.store.set_verified(row.pid, listed, Some(key)).await?;
            }
        }
        let out = |charter: &mut Charter| {
            charter.members.retain(|member| !refused.contains(&member.fingerprint));
            charter.threshold = Charter::natural_threshold(charter.computing().count());
        };
        if !refused.is_empty() {
            self.decide_holding(&deciding, group, out).await?;
        }
        Ok(())
    }

    /// Whether the key of a member was revoked at this node, under its name or another one.
    pub(crate) async fn is_revoked(&self, row: &MemberRow) -> Result<bool, GatewayError> {
        match (row.refusal, row.fingerprint) {
            (Some(MemberRefusal::Revoked), _) => Ok(true),
            (_, Some(key)) => Ok(self.inner.store.revoked(key).await?.is_some()),
            (_, None) => Ok(false),
        }
    }
}

/// What is said wherever a revoked member asks, or is asked for.
pub(crate) fn revoked_key(name: &str) -> GatewayError {
    GatewayError::Refused(format!(
        "{name}'s key was revoked and is never let in again; the peer must join anew with another name or after its \
         removal, with a new key"
    ))
}

/// How far the pairing with a member has come.
pub(crate) fn state_of(row: &MemberRow) -> PairingState {
    match row.refusal {
        Some(MemberRefusal::Revoked) => PairingState::Revoked,
        Some(MemberRefusal::Rejected) => PairingState::Rejected,
        None if row.verified => PairingState::Registered,
        None => PairingState::Waiting,
    }
}

/// A code as people say it: case and spaces do not matter.
fn plain(code: &str) -> String {
    code.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}
