//! Negotiations and the registry of a group.

use core::hash::{Hash as _, Hasher as _};
use std::collections::BTreeMap;
use std::hash::DefaultHasher;

use serde::{Deserialize, Serialize};

use super::PeerRole;
use crate::{Fingerprint, GroupId, UnixMillis};

/// A negotiation to be opened, signed by its opener.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OpenNegotiation {
    /// The opener's key, base64 SubjectPublicKeyInfo.
    pub opener: String,
    /// The gateway that is asked: its certificate.
    pub gateway: Fingerprint,
    /// What it is about, for people.
    pub title: String,
    /// The group whose charter it is to change.
    #[serde(default)]
    pub group: Option<GroupId>,
    /// From when on nothing more is taken, Unix milliseconds.
    pub expires: UnixMillis,
    /// Keys of those who may take part besides those who decide.
    #[serde(default)]
    pub invited: Vec<String>,
    /// Random; the same request is not taken twice.
    pub nonce: String,
    /// Ed25519 over all of it.
    pub signature: String,
}

/// Something that somebody does in a negotiation, signed by whoever does it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NegotiationAct {
    /// The key, base64 SubjectPublicKeyInfo.
    pub signer: String,
    /// Which act of this key in this negotiation it is, counted from 1.
    pub turn: u32,
    /// `contribute`, `withdraw`, `invite_key`, `invite_secret` or `cancel`.
    pub act: String,
    /// The text of a contribution.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The hash of the secret of an invitation: one's own, or the one that is invited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invitation: Option<String>,
    /// The key that is invited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Ed25519 over the consensus that an accepting text leads to, base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decision: Option<String>,
    /// Ed25519 over the act, base64.
    pub signature: String,
}

/// A negotiation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NegotiationBody {
    /// Its name: who knows it may read it.
    pub id: String,
    /// What it is about.
    pub title: String,
    /// The group whose charter it is to change.
    pub group: Option<GroupId>,
    /// `open`, `done`, `expired` or `cancelled`.
    pub status: String,
    /// Who opened it.
    pub opener: String,
    /// When, Unix milliseconds.
    pub opened: UnixMillis,
    /// From when on nothing more is taken.
    pub expires: UnixMillis,
    /// Keys that decide; if there is none, everybody who takes part.
    pub deciders: Vec<String>,
    /// How many of them must sign; 0 means all.
    pub quorum: u32,
    /// How often the proposal has changed.
    pub round: usize,
    /// One contribution per signer: the present ones.
    pub contributions: Vec<ContributionBody>,
    /// Keys whose signature is missing.
    pub pending: Vec<String>,
    /// Invitations that nobody has used yet.
    pub open_invitations: usize,
    /// How many acts each key has done.
    pub turns: BTreeMap<String, u32>,
    /// The id of what was agreed, once it was.
    pub consensus: Option<String>,
    /// What was agreed, as a document that anybody verifies.
    pub agreement: Option<String>,
    /// The consensus on the group's charter that follows from it.
    pub decided: Option<String>,
    /// What became of that: `in force`, or why it is not.
    pub outcome: Option<String>,
    /// In a list: its contributions, pending keys, turns and agreement are left out, because the list is long. It is read in
    /// whole by its id.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub cut: bool,
}

impl NegotiationBody {
    /// One that is open, about no group, and in which nobody has said anything yet.
    pub fn new(id: &str, opener: &str, opened: UnixMillis, expires: UnixMillis) -> Self {
        Self {
            id: id.to_owned(),
            title: String::new(),
            group: None,
            status: "open".to_owned(),
            opener: opener.to_owned(),
            opened,
            expires,
            deciders: Vec::new(),
            quorum: 0,
            round: 0,
            contributions: Vec::new(),
            pending: Vec::new(),
            open_invitations: 0,
            turns: BTreeMap::new(),
            consensus: None,
            agreement: None,
            decided: None,
            outcome: None,
            cut: false,
        }
    }

    /// Its state in a word, as an entity tag (RFC 9110): how many acts there were, and a hash of what they came to, since a
    /// gateway whose backup was put back counts some a second time. A signature stands for its text. Where another release
    /// hashes in another way, nothing worse follows than that all of it travels once more.
    pub fn tag(&self) -> String {
        let acts: u64 = self.turns.values().copied().map(u64::from).sum();
        let mut content = DefaultHasher::new();
        for c in &self.contributions {
            (c.number, c.at, c.accepts, c.turn, &c.signature).hash(&mut content);
        }
        (&self.pending, self.open_invitations, &self.turns).hash(&mut content);
        (&self.consensus, &self.decided, &self.outcome).hash(&mut content);
        format!("\"{acts}-{}-{:016x}\"", self.status, content.finish())
    }
}

/// One text that somebody put forward.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContributionBody {
    /// Counted from 1.
    pub number: u32,
    /// When it arrived, Unix milliseconds.
    pub at: UnixMillis,
    /// Whose it is.
    pub signer: String,
    /// The text.
    pub text: String,
    /// Whether it accepts.
    pub accepts: bool,
    /// Whether it is the signer's present one.
    pub live: bool,
    /// The turn that was signed.
    pub turn: u32,
    /// The signature.
    pub signature: String,
}

/// Contributions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContributionList {
    /// In their order.
    pub contributions: Vec<ContributionBody>,
}

/// Negotiations.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NegotiationList {
    /// Oldest first.
    pub negotiations: Vec<NegotiationBody>,
}

/// A member's wish to see superseded contributions too.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HistoryRequest {
    /// The member's key.
    pub signer: String,
    /// Now, Unix milliseconds; the signature is good for two minutes.
    pub at: UnixMillis,
    /// Ed25519 over negotiation and time, base64.
    pub signature: String,
}

/// Which contribution the manager of a gateway accepts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ManagerAccept {
    /// Its number.
    pub contribution: u32,
}

/// What a gateway says about a group's parties, with the documents by which to check it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegistryBody {
    /// The group.
    pub gid: GroupId,
    /// The gateway's certificate.
    pub gateway: Fingerprint,
    /// The key under which the first document is signed.
    pub manager_key: String,
    /// The last consensus.
    pub consensus: String,
    /// The keys that own the group.
    pub owners: Vec<String>,
    /// What the owners are called together: the joint peer. None without owners.
    pub joint_id: Option<Fingerprint>,
    /// The parties that it admitted.
    pub parties: Vec<RegistryEntry>,
    /// Who registered and is not admitted yet.
    pub candidates: Vec<CandidateBody>,
    /// The signed documents, oldest first.
    pub documents: Vec<String>,
}

/// A party.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegistryEntry {
    /// Its name.
    pub name: String,
    /// SHA-256 of its public key.
    pub fingerprint: Fingerprint,
    /// Who runs it.
    pub operator: String,
    /// What it does.
    pub role: PeerRole,
    /// 1 gives, 2 computes, 3 learns.
    pub layer: u8,
    /// Where it is reached; empty if it only dials.
    pub endpoint: String,
    /// The consensus that admitted it.
    pub admitted_by: String,
}

/// Somebody who registered and is not admitted yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CandidateBody {
    /// Its name.
    pub name: String,
    /// SHA-256 of its public key.
    pub fingerprint: Option<Fingerprint>,
    /// Who runs it.
    pub operator: String,
    /// What it wants to do.
    pub role: PeerRole,
    /// Where it is reached; empty if it only dials.
    pub endpoint: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// After two acts of alice's, the second of them signed like this.
    fn body(signature: &str) -> NegotiationBody {
        let contribution = ContributionBody {
            number: 1,
            at: UnixMillis(1),
            signer: "alice".to_owned(),
            text: "{}".to_owned(),
            accepts: true,
            live: true,
            turn: 2,
            signature: signature.to_owned(),
        };
        NegotiationBody {
            contributions: vec![contribution],
            pending: vec!["bob".to_owned()],
            turns: [("alice".to_owned(), 2)].into(),
            ..NegotiationBody::new("n", "alice", UnixMillis(0), UnixMillis(9))
        }
    }

    /// As after a backup that was put back: there were as many acts, and other ones.
    #[test]
    fn as_many_acts_with_another_content_have_another_tag() {
        let known = body("one");
        assert_eq!(known.tag(), body("one").tag());
        let others = [
            body("two"),
            NegotiationBody { pending: vec!["carol".to_owned()], ..body("one") },
            NegotiationBody { turns: [("bob".to_owned(), 2)].into(), ..body("one") },
            NegotiationBody { outcome: Some("in force".to_owned()), ..body("one") },
        ];
        for other in others {
            assert_ne!(known.tag(), other.tag(), "{other:?}");
        }
    }
}
