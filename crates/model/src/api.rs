//! The texts of `/api/v1`: what its client and its server both read and write.
//!
//! Names are snake_case; times are RFC 3339 in UTC; numbers that may exceed 2^53 are [`Decimal`]s,
//! written as text and read from text or number. Unknown fields of a request are refused, unknown
//! fields of an answer are ignored, so that neighbouring versions understand each other.

use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

mod group;
mod job;
mod negotiation;
mod node;
mod peer;
mod policy;
mod register;
mod task;

pub use group::{
    CodeBody, ComparedMember, ConfigurationBody, ConsensusBody, ForecastBody, GroupBody, GroupList, MemberBody,
    MemberList, NewGroup, OnMissing, PairingBody, PairingDecision, RunBody, RunList, SharingKind, SlotBody, SlotList,
    SlotRulesBody, StartedBody, VerifyBody, VerifyManyBody,
};
pub use job::{JobBody, JobList, JobParticipant, JobSignatures, JobState, JobWindow};
pub use negotiation::{
    CandidateBody, ContributionBody, ContributionList, HistoryRequest, ManagerAccept, NegotiationAct, NegotiationBody,
    NegotiationList, OpenNegotiation, RegistryBody, RegistryEntry,
};
pub use node::{
    EvidenceBody, EvidenceLine, EvidenceList, IssuedToken, LogHead, LogLine, LogPage, LogProof, NewCertificate,
    NewToken, NodeBody, ReceiptBody, ReceiptLine, ReceiptList, ReceivedBody, ReceivedList, ReceivedRow, SettleBody,
    TokenBody, TokenList, WitnessBody,
};
pub use peer::{
    JoinBody, PeerBody, PeerList, ResultBody, ResultList, RosterBody, RosterMember, RowBody, RowsBody, RowsReceipt,
    StatisticBody, TroubleBody,
};
pub use policy::{ApprovalBody, ApprovalDecision, ApprovalList, PeerPolicy, PolicyBody, SpentBody};
pub use register::{GatewayPin, PeerInfo, RegisterBody, RegisterReceipt};
pub use task::{
    CompareBody, CompareRequest, DirectoryEntry, DirectoryList, LabelsBody, MemberOfferBody, NewTask, OfferBody,
    OfferList, ParentTask, PingBody, SampleBody, SamplesBody, SamplesReceipt, TaskBody, TaskList, TaskRepeat,
    TaskRequest, TaskResult, TaskScope, TaskSignature, TaskTiming, TaskWindow,
};

/// A number that other readers of JSON may round: written as text, read from text or number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Decimal(pub u128);

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Shows nothing: inputs and results are such numbers.
impl fmt::Debug for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Decimal(..)")
    }
}

/// A text that is no decimal number; never says which.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a whole number, in digits")]
pub struct NotDecimal;

impl FromStr for Decimal {
    type Err = NotDecimal;

    fn from_str(text: &str) -> Result<Self, NotDecimal> {
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        if digits { text.parse().map(Self).map_err(|_| NotDecimal) } else { Err(NotDecimal) }
    }
}

impl From<u64> for Decimal {
    fn from(number: u64) -> Self {
        Self(number.into())
    }
}

impl TryFrom<Decimal> for u64 {
    type Error = NotDecimal;

    fn try_from(number: Decimal) -> Result<Self, NotDecimal> {
        Self::try_from(number.0).map_err(|_| NotDecimal)
    }
}

impl Serialize for Decimal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Decimal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = Decimal;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a whole number, as number or text")
            }

            fn visit_u64<E>(self, number: u64) -> Result<Decimal, E> {
                Ok(number.into())
            }

            fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<Decimal, E> {
                u64::try_from(number).map(Into::into).map_err(|_| E::custom(NotDecimal))
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Decimal, E> {
                text.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

/// What a token allows. Each role may do what the ones before it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Looks.
    Viewer,
    /// Looks, starts, stops, hands in rows, invites and verifies.
    Operator,
    /// Everything, including deletion and tokens.
    Owner,
}

impl Role {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Owner => "owner",
        }
    }
}

impl FromStr for Role {
    type Err = NotARole;

    fn from_str(word: &str) -> Result<Self, NotARole> {
        [Self::Viewer, Self::Operator, Self::Owner].into_iter().find(|role| role.word() == word).ok_or(NotARole)
    }
}

/// A word that is no role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a role is viewer, operator or owner")]
pub struct NotARole;

/// What a member does in its group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PeerRole {
    /// Gives data.
    Input,
    /// Computes on shares.
    Privacy,
    /// Both.
    Both,
    /// Neither: only learns results.
    Recipient,
}

impl PeerRole {
    /// The number of the P2DS interface; 3 and 4 are newer than it.
    pub fn number(self) -> u8 {
        match self {
            Self::Input => 1,
            Self::Privacy => 2,
            Self::Both => 3,
            Self::Recipient => 4,
        }
    }

    /// The role of this number.
    pub fn from_number(number: i64) -> Option<Self> {
        Some(match number {
            1 => Self::Input,
            2 => Self::Privacy,
            3 => Self::Both,
            4 => Self::Recipient,
            _ => return None,
        })
    }

    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::Privacy => "privacy",
            Self::Both => "both",
            Self::Recipient => "recipient",
        }
    }
}

/// How far a peer and its gateway have come with their pairing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PairingState {
    /// Registered with a code; nobody has compared fingerprints yet, so it gets no task.
    Waiting,
    /// Compared and let in.
    Registered,
    /// Not let in; the operator may think again.
    Rejected,
    /// Its key is never let in again.
    Revoked,
}

impl PairingState {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Registered => "registered",
            Self::Rejected => "rejected",
            Self::Revoked => "revoked",
        }
    }
}

/// How a member or a group stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// Never started.
    Unknown,
    /// Running.
    Running,
    /// Stopped.
    Stopped,
    /// Stopped, and the last run was not successful.
    StoppedWithError,
    /// Some members of the group run and some do not.
    Mixed,
}

impl Standing {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Running => "running",
            Self::Stopped => "stopped",
            Self::StoppedWithError => "stopped_with_error",
            Self::Mixed => "mixed",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_read_from_text_and_number_and_written_as_text() {
        for (text, number) in [("7", 7), ("\"7\"", 7), ("18446744073709551615", u128::from(u64::MAX))] {
            assert_eq!(serde_json::from_str::<Decimal>(text).expect("a number"), Decimal(number));
        }
        let big: Decimal = serde_json::from_str("\"170141183460469231731687303715884105727\"").expect("2^127-1");
        assert_eq!(serde_json::to_string(&big).expect("json"), "\"170141183460469231731687303715884105727\"");
        for wrong in ["-1", "1.0", "1e3", "\"\"", "\" 1\"", "\"+1\"", "\"0x1\"", "null", "[1]", "true"] {
            assert!(serde_json::from_str::<Decimal>(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn roles_are_ordered() {
        assert!(Role::Viewer < Role::Operator && Role::Operator < Role::Owner);
        assert_eq!("operator".parse(), Ok(Role::Operator));
        assert!("root".parse::<Role>().is_err());
    }
}
