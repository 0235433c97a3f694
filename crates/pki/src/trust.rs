//! Whom this node trusts: which fingerprints a person has looked at, and what they decided.
//!
//! ```text
//!            add                accept               revoke
//! (unknown) -----> Inactive ----------> Primary  ----------> Revoked (for ever)
//!                     |                 / Backup                ^
//!                     +-----------------------------------------+
//! ```
//!
//! Pure data. Entries are never removed, so a revoked key cannot come back and its label cannot be
//! taken over. Only Primary and Backup pass [`TrustStore::check`].

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tacit_model::{Fingerprint, UnixMillis};

use crate::label::{check_label, same_label};
use crate::{PkiError, TrustFault};

/// What was decided about a fingerprint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Accepted.
    Primary,
    /// Accepted, and used when the primary is gone.
    Backup,
    /// Seen, not accepted yet.
    Inactive,
    /// Refused for ever.
    Revoked,
}

/// How a fingerprint is accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Acceptance {
    /// As [`Status::Primary`].
    Primary,
    /// As [`Status::Backup`].
    Backup,
}

/// What is known about one fingerprint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrustEntry {
    /// Its name for people, unique in the store.
    pub label: String,
    /// What was decided.
    pub status: Status,
    /// When it was first seen.
    pub added: UnixMillis,
    /// Who compared the fingerprint, once accepted.
    pub verified_by: Option<String>,
}

/// Proof that a fingerprint was trusted when it was asked about. Use it at once and do not keep it:
/// a revocation does not reach into it.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub struct Trusted {
    fingerprint: Fingerprint,
    acceptance: Acceptance,
}

impl Trusted {
    /// Who is trusted.
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// How.
    pub fn acceptance(&self) -> Acceptance {
        self.acceptance
    }
}

/// All decisions of one node or group. Serialised as a map from fingerprint to entry.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "BTreeMap<Fingerprint, TrustEntry>", into = "BTreeMap<Fingerprint, TrustEntry>")]
pub struct TrustStore {
    entries: BTreeMap<Fingerprint, TrustEntry>,
}

impl TrustStore {
    /// An empty store: nobody is trusted.
    pub fn new() -> Self {
        Self::default()
    }

    /// Remembers a fingerprint as [`Status::Inactive`]. Adding the same pair again changes nothing, so
    /// that a peer may repeat its registration; a label somebody else holds is refused, also if that
    /// somebody is revoked.
    pub fn add(&mut self, fingerprint: Fingerprint, label: &str, now: UnixMillis) -> Result<(), PkiError> {
        check_label(label)?;
        if let Some(entry) = self.entries.get(&fingerprint) {
            return Err(match entry.status {
                Status::Revoked => TrustFault::Revoked(fingerprint),
                _ if entry.label == label => return Ok(()),
                _ => TrustFault::OtherLabel(fingerprint),
            }
            .into());
        }
        if self.by_label(label).is_some() {
            return Err(TrustFault::LabelReserved.into());
        }
        let entry = TrustEntry { label: label.to_owned(), status: Status::Inactive, added: now, verified_by: None };
        self.entries.insert(fingerprint, entry);
        Ok(())
    }

    /// Accepts a fingerprint that a person has compared; `verified_by` says who. Also moves between
    /// primary and backup.
    pub fn accept(
        &mut self,
        fingerprint: Fingerprint,
        acceptance: Acceptance,
        verified_by: &str,
    ) -> Result<Trusted, PkiError> {
        if verified_by.trim().is_empty() {
            return Err(TrustFault::NoVerifier.into());
        }
        let entry = self.entries.get_mut(&fingerprint).ok_or(TrustFault::Unknown(fingerprint))?;
        if entry.status == Status::Revoked {
            return Err(TrustFault::Revoked(fingerprint).into());
        }
        entry.status = match acceptance {
            Acceptance::Primary => Status::Primary,
            Acceptance::Backup => Status::Backup,
        };
        entry.verified_by = Some(verified_by.to_owned());
        Ok(Trusted { fingerprint, acceptance })
    }

    /// Revokes a fingerprint for ever; doing it twice is no error. Links that use it are closed by
    /// whoever holds them.
    pub fn revoke(&mut self, fingerprint: Fingerprint) -> Result<(), PkiError> {
        let entry = self.entries.get_mut(&fingerprint).ok_or(TrustFault::Unknown(fingerprint))?;
        entry.status = Status::Revoked;
        Ok(())
    }

    /// The one question everybody asks before dealing with a fingerprint.
    pub fn check(&self, fingerprint: Fingerprint) -> Result<Trusted, PkiError> {
        let acceptance = match self.entries.get(&fingerprint).map(|entry| entry.status) {
            Some(Status::Primary) => Acceptance::Primary,
            Some(Status::Backup) => Acceptance::Backup,
            Some(Status::Inactive) => return Err(TrustFault::NotAccepted(fingerprint).into()),
            Some(Status::Revoked) => return Err(TrustFault::Revoked(fingerprint).into()),
            None => return Err(TrustFault::Unknown(fingerprint).into()),
        };
        Ok(Trusted { fingerprint, acceptance })
    }

    /// What is known about a fingerprint.
    pub fn lookup(&self, fingerprint: Fingerprint) -> Option<&TrustEntry> {
        self.entries.get(&fingerprint)
    }

    /// Who holds a label, whatever its case.
    pub fn by_label(&self, label: &str) -> Option<(Fingerprint, &TrustEntry)> {
        self.iter().find(|(_, entry)| same_label(&entry.label, label))
    }

    /// All entries in the order of their fingerprints.
    pub fn iter(&self) -> impl Iterator<Item = (Fingerprint, &TrustEntry)> {
        self.entries.iter().map(|(fingerprint, entry)| (*fingerprint, entry))
    }
}

/// A stored map obeys the same rules as one that was built here.
impl TryFrom<BTreeMap<Fingerprint, TrustEntry>> for TrustStore {
    type Error = PkiError;

    fn try_from(entries: BTreeMap<Fingerprint, TrustEntry>) -> Result<Self, PkiError> {
        let mut labels = std::collections::BTreeSet::new();
        for entry in entries.values() {
            check_label(&entry.label)?;
            if !labels.insert(entry.label.to_lowercase()) {
                return Err(TrustFault::LabelReserved.into());
            }
            let accepted = matches!(entry.status, Status::Primary | Status::Backup);
            if accepted && entry.verified_by.as_deref().is_none_or(|who| who.trim().is_empty()) {
                return Err(TrustFault::NoVerifier.into());
            }
        }
        Ok(Self { entries })
    }
}

impl From<TrustStore> for BTreeMap<Fingerprint, TrustEntry> {
    fn from(store: TrustStore) -> Self {
        store.entries
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Fingerprint = Fingerprint([1; 32]);
    const B: Fingerprint = Fingerprint([2; 32]);
    const NOW: UnixMillis = UnixMillis(1_000);

    fn fault<T: core::fmt::Debug>(result: Result<T, PkiError>) -> TrustFault {
        match result {
            Err(PkiError::Trust(fault)) => fault,
            other => panic!("expected a refusal, got {other:?}"),
        }
    }

    #[test]
    fn trusted_only_between_accept_and_revoke() {
        let mut store = TrustStore::new();
        assert_eq!(fault(store.check(A)), TrustFault::Unknown(A));
        store.add(A, "ppeer1", NOW).expect("new");
        assert_eq!(fault(store.check(A)), TrustFault::NotAccepted(A));
        assert_eq!(store.accept(A, Acceptance::Primary, "alice").expect("known").fingerprint(), A);
        assert_eq!(store.check(A).expect("accepted").acceptance(), Acceptance::Primary);
        let _ = store.accept(A, Acceptance::Backup, "alice").expect("known");
        assert_eq!(store.check(A).expect("accepted").acceptance(), Acceptance::Backup);
        store.revoke(A).expect("known");
        store.revoke(A).expect("twice is fine");
        assert_eq!(fault(store.check(A)), TrustFault::Revoked(A));
    }

    #[test]
    fn revoked_stays_revoked() {
        let mut store = TrustStore::new();
        store.add(A, "a", NOW).expect("new");
        store.revoke(A).expect("known");
        assert_eq!(fault(store.add(A, "a", NOW)), TrustFault::Revoked(A));
        assert_eq!(fault(store.accept(A, Acceptance::Primary, "alice")), TrustFault::Revoked(A));
        assert_eq!(fault(store.add(B, "a", NOW)), TrustFault::LabelReserved);
    }

    #[test]
    fn identity_reserved() {
        let mut store = TrustStore::new();
        store.add(A, "Hospital", NOW).expect("new");
        store.add(A, "Hospital", UnixMillis(2_000)).expect("repeated registration");
        assert_eq!(store.lookup(A).expect("known").added, NOW);
        let refused = store.add(B, "hospital", NOW);
        assert!(refused.as_ref().is_err_and(|e| e.to_string().starts_with("identity reserved")));
        assert_eq!(fault(refused), TrustFault::LabelReserved);
        assert_eq!(fault(store.add(A, "other", NOW)), TrustFault::OtherLabel(A));
        assert_eq!(store.by_label("HOSPITAL").map(|(fp, _)| fp), Some(A));
        assert!(store.lookup(B).is_none());
    }

    #[test]
    fn somebody_must_have_looked() {
        let mut store = TrustStore::new();
        assert_eq!(fault(store.accept(A, Acceptance::Primary, "alice")), TrustFault::Unknown(A));
        assert_eq!(fault(store.revoke(A)), TrustFault::Unknown(A));
        store.add(A, "a", NOW).expect("new");
        assert_eq!(fault(store.accept(A, Acceptance::Primary, " ")), TrustFault::NoVerifier);
    }

    #[test]
    fn survives_a_restart() {
        let mut store = TrustStore::new();
        store.add(A, "a", NOW).expect("new");
        store.add(B, "b", NOW).expect("new");
        let _ = store.accept(B, Acceptance::Primary, "alice").expect("known");
        let json = serde_json::to_string(&store).expect("json");
        assert_eq!(serde_json::from_str::<TrustStore>(&json).expect("json"), store);
        // A file that breaks the rules is refused, not repaired.
        assert!(serde_json::from_str::<TrustStore>(&json.replace("\"b\"", "\"A\"")).is_err());
        assert!(serde_json::from_str::<TrustStore>(&json.replace("\"alice\"", "null")).is_err());
        assert!(serde_json::from_str::<TrustStore>(&json.replace("inactive", "trusted")).is_err());
    }
}
