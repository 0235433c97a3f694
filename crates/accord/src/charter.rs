use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use tacit_model::{Fingerprint, GroupId, Slot, UnixMillis};

/// More members than this are not taken into one group.
pub const MAX_MEMBERS: usize = 10_000;
/// More settings than this are not taken for one aggregator.
const MAX_PARAMETERS: usize = 64;
/// Longer settings are not taken.
const MAX_PARAMETER_TEXT: usize = 4096;

/// What the owners of a group agreed on. Public to every member, never secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Charter {
    /// The group at its gateway.
    pub group: GroupId,
    /// The group's name.
    pub name: String,
    /// Public key of the manager, base64 SubjectPublicKeyInfo. Peers pin it when they register.
    pub manager: String,
    /// Public keys of the owners. While there is none, the manager decides alone.
    #[serde(default)]
    pub owners: Vec<String>,
    /// How many owners must sign; 0 means all of them.
    #[serde(default)]
    pub quorum: u32,
    /// Nodes that may orchestrate. They see neither data nor shares.
    pub gateways: Vec<Fingerprint>,
    /// Those of the gateways that may decide in the manager's place while there are no owners: they can take over from
    /// the one that made the group. Each signs with the key of its certificate.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub deputies: Vec<Fingerprint>,
    /// How many corrupted operators among the computing members are tolerated. No retry, loss or
    /// re-ranking lowers it; only a new consensus changes it.
    pub threshold: u32,
    /// How inputs become shares.
    #[serde(default)]
    pub sharing: Sharing,
    /// The verified members.
    pub members: Vec<Member>,
    /// What the group's standing task computes, once it is configured.
    #[serde(default)]
    pub configuration: Option<Configuration>,
    /// When a slot closes and what is done without an input.
    pub slots: SlotRules,
    /// A group for trying out: several computing members may belong to one operator.
    #[serde(default)]
    pub test_mode: bool,
}

/// A verified member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Member {
    /// Its name, unique in the group.
    pub name: String,
    /// Its certificate.
    pub fingerprint: Fingerprint,
    /// Who runs it. The threshold counts operators.
    pub operator: String,
    /// What it does.
    pub role: MemberRole,
    /// Where its link port is, `host:port`; empty for a member that only dials.
    #[serde(default)]
    pub endpoint: String,
}

/// What a member does in a computation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MemberRole {
    /// Gives data (P2DS type 1).
    Input,
    /// Computes on shares (P2DS type 2).
    Privacy,
    /// Both, as in a decentralised group.
    Both,
    /// Neither: it only learns results. Where a group has such members, nobody else learns them.
    Recipient,
}

/// How inputs become shares.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sharing {
    /// By a polynomial of degree t: t tell nothing, losses are survived.
    #[default]
    Shamir,
    /// By n summands: all but one tell nothing, no loss is survived.
    Additive,
}

impl MemberRole {
    /// Gives data.
    pub fn gives_input(self) -> bool {
        matches!(self, Self::Input | Self::Both)
    }

    /// Computes on shares.
    pub fn computes(self) -> bool {
        matches!(self, Self::Privacy | Self::Both)
    }
}

/// The seven fields of the P2DS manual, less the group they belong to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Configuration {
    /// Declared modulus of the result, a prime, in decimal.
    pub field: String,
    /// Largest value an input may have, in decimal. The bound is inclusive.
    pub max_element: String,
    /// Name of the aggregator.
    pub aggregator: String,
    /// Length of each input vector.
    pub items: u32,
    /// How many slots a run has; negative means until stopped.
    pub time_slots: i32,
    /// How many results are posted together.
    pub result_buffer_size: u32,
    /// Settings of the aggregator. A charter without any reads as it did before there were some.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub parameters: BTreeMap<String, String>,
}

impl Configuration {
    /// The modulus as a number.
    pub fn modulus(&self) -> Option<u64> {
        self.field.parse().ok()
    }

    /// The bound as a number.
    pub fn bound(&self) -> Option<u64> {
        self.max_element.parse().ok()
    }
}

/// When a slot closes and what is done about a member that gave nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SlotRules {
    /// What to do without an input.
    pub on_missing_input: OnMissingInput,
    /// Milliseconds from the first row of a slot to its close.
    pub deadline_ms: u32,
    /// Length of a slot in milliseconds where rows carry their time, 0 where they are only counted.
    #[serde(default)]
    pub slot_ms: u32,
    /// When the first slot of a run begins, where rows find their slot by their time. Without it rows are counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_slot: Option<UnixMillis>,
}

/// A slot fails if an input is missing five minutes after its first; rows are counted.
impl Default for SlotRules {
    fn default() -> Self {
        Self { on_missing_input: OnMissingInput::Fail, deadline_ms: 300_000, slot_ms: 0, first_slot: None }
    }
}

impl SlotRules {
    /// When a slot begins, where slots have times.
    pub fn start_of(&self, slot: Slot) -> Option<UnixMillis> {
        let after = slot.0.checked_mul(i64::from(self.slot_ms))?;
        self.first_slot.filter(|_| self.slot_ms > 0)?.0.checked_add(after).map(UnixMillis)
    }

    /// The slot that begins at this moment, if one does.
    pub fn slot_at(&self, start: UnixMillis) -> Option<Slot> {
        let after = start.0.checked_sub(self.first_slot.filter(|_| self.slot_ms > 0)?.0)?;
        let length = i64::from(self.slot_ms);
        (after >= 0 && after % length == 0).then_some(Slot(after / length))
    }
}

/// What to do at the close of a slot in which an input peer gave nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnMissingInput {
    /// Keep the slot open.
    Wait,
    /// The slot fails.
    Fail,
    /// Go on if at least so many gave.
    Proceed(u32),
}

/// Why a text is no charter.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CharterError {
    /// Two members share a name.
    #[error("two members are called {0:?}; give each its own name")]
    DuplicateName(String),
    /// Two members share a certificate.
    #[error("members {0:?} and {1:?} have the same certificate; each member needs a key of its own")]
    DuplicateKey(String, String),
    /// A name that cannot be shown or stored.
    #[error("{0} must have 1 to 120 printable characters")]
    BadName(&'static str),
    /// Too many members.
    #[error("more than {MAX_MEMBERS} members")]
    TooManyMembers,
    /// Two members that t counts as two would be one operator.
    #[error(
        "operator {operator:?} runs {count} computing members, and each operator may run one: the threshold counts \
         operators. Remove the others, or let them give input only"
    )]
    OperatorTooStrong {
        /// The operator.
        operator: String,
        /// How many computing members it runs.
        count: usize,
    },
    /// A threshold that protects nobody or cannot be met.
    #[error(
        "threshold {threshold} does not fit {computing} computing members: it must be at least 1 and below half of them"
    )]
    Threshold {
        /// The threshold.
        threshold: u32,
        /// How many members compute.
        computing: usize,
    },
    /// A quorum above the number of owners.
    #[error("quorum {quorum} is above the number of owners, {owners}")]
    Quorum {
        /// The quorum.
        quorum: u32,
        /// How many owners there are.
        owners: usize,
    },
    /// Two owners share a key, or a key cannot be read.
    #[error("an owner's or the manager's key is unreadable or named twice")]
    BadKey,
    /// A configuration value that is no number in range.
    #[error("{0}")]
    Configuration(&'static str),
    /// No gateway.
    #[error("a charter names at least one gateway")]
    NoGateway,
    /// A deputy that does not orchestrate.
    #[error("a deputy of the manager must be one of the gateways")]
    Deputy,
}

impl Charter {
    /// A group just made: nobody in it, no owners, threshold 1, no gateway yet. `manager` is a key in base64.
    pub fn new(group: GroupId, name: &str, manager: String) -> Self {
        Self {
            group,
            name: name.to_owned(),
            manager,
            owners: Vec::new(),
            quorum: 0,
            gateways: Vec::new(),
            deputies: Vec::new(),
            threshold: 1,
            sharing: Sharing::Shamir,
            members: Vec::new(),
            configuration: None,
            slots: SlotRules::default(),
            test_mode: false,
        }
    }

    /// What the owners are called together: a digest over their keys in order, so that the same owners have the
    /// same id however they are listed, and no key can be chosen to fit somebody else's. None without owners.
    ///
    /// Every owner has proven the key by signing the charter (see [`crate::decide`]).
    pub fn joint_id(&self) -> Option<Fingerprint> {
        let keys: BTreeSet<&String> = self.owners.iter().collect();
        let text = keys.into_iter().map(|key| format!("{key}\n")).collect::<String>();
        (!text.is_empty()).then(|| Fingerprint(crate::digest("joint", text.as_bytes())))
    }

    /// The members that give data.
    pub fn inputs(&self) -> impl Iterator<Item = &Member> {
        self.members.iter().filter(|m| m.role.gives_input())
    }

    /// The members that compute on shares.
    pub fn computing(&self) -> impl Iterator<Item = &Member> {
        self.members.iter().filter(|m| m.role.computes())
    }

    /// The members that learn results: the recipients if there are any, otherwise those who give data.
    pub fn recipients(&self) -> impl Iterator<Item = &Member> {
        let apart = self.members.iter().any(|m| m.role == MemberRole::Recipient);
        self.members.iter().filter(move |m| if apart { m.role == MemberRole::Recipient } else { m.role.gives_input() })
    }

    /// The member with this certificate.
    pub fn member(&self, fingerprint: &Fingerprint) -> Option<&Member> {
        self.members.iter().find(|m| m.fingerprint == *fingerprint)
    }

    /// The largest threshold for so many computing members, t = ⌊(n−1)/2⌋, at least 1.
    pub fn natural_threshold(computing: usize) -> u32 {
        u32::try_from(computing.saturating_sub(1) / 2).unwrap_or(u32::MAX).max(1)
    }

    /// Checks everything that holds for a charter by itself. Whether a computation is possible yet
    /// (enough members, a configuration) is asked when it starts.
    pub fn check(&self) -> Result<(), CharterError> {
        named("the group's name", &self.name)?;
        if self.members.len() > MAX_MEMBERS {
            return Err(CharterError::TooManyMembers);
        }
        if self.gateways.is_empty() {
            return Err(CharterError::NoGateway);
        }
        if !self.deputies.iter().all(|deputy| self.gateways.contains(deputy)) {
            return Err(CharterError::Deputy);
        }
        self.check_owners()?;
        self.check_members()?;
        let computing = self.computing().count();
        let fits = self.threshold >= 1 && usize::try_from(self.threshold).is_ok_and(|t| 2 * t < computing);
        if computing >= 3 && !fits {
            return Err(CharterError::Threshold { threshold: self.threshold, computing });
        }
        self.configuration.as_ref().map_or(Ok(()), Configuration::check)
    }

    fn check_owners(&self) -> Result<(), CharterError> {
        let distinct: BTreeSet<&String> = self.owners.iter().collect();
        let readable = |key: &String| tacit_pki::PublicKey::from_base64(key).is_ok();
        if distinct.len() != self.owners.len() || !self.owners.iter().all(readable) || !readable(&self.manager) {
            return Err(CharterError::BadKey);
        }
        if usize::try_from(self.quorum).is_ok_and(|quorum| quorum > self.owners.len()) {
            return Err(CharterError::Quorum { quorum: self.quorum, owners: self.owners.len() });
        }
        Ok(())
    }

    fn check_members(&self) -> Result<(), CharterError> {
        let mut names = BTreeSet::new();
        let mut keys: BTreeMap<Fingerprint, &str> = BTreeMap::new();
        let mut operators: BTreeMap<&str, usize> = BTreeMap::new();
        for member in &self.members {
            named("a member's name", &member.name)?;
            named("a member's operator", &member.operator)?;
            if !names.insert(&member.name) {
                return Err(CharterError::DuplicateName(member.name.clone()));
            }
            if let Some(other) = keys.insert(member.fingerprint, &member.name) {
                return Err(CharterError::DuplicateKey(other.to_owned(), member.name.clone()));
            }
            if member.role.computes() {
                *operators.entry(&member.operator).or_default() += 1;
            }
        }
        match operators.into_iter().find(|(_, count)| *count > 1) {
            Some((operator, count)) if !self.test_mode => {
                Err(CharterError::OperatorTooStrong { operator: operator.to_owned(), count })
            }
            _ => Ok(()),
        }
    }
}

impl Configuration {
    /// Checks the numbers by themselves; what they mean together is the planner's to judge.
    pub fn check(&self) -> Result<(), CharterError> {
        let bad = CharterError::Configuration;
        self.modulus().ok_or(bad("field must be a decimal number below 2^64"))?;
        self.bound().ok_or(bad("maxElement must be a decimal number below 2^64"))?;
        if self.items == 0 {
            return Err(bad("numberOfItems must be at least 1"));
        }
        if self.time_slots == 0 {
            return Err(bad("numberOfTimeSlots must be at least 1, or negative for streaming"));
        }
        if self.result_buffer_size == 0 {
            return Err(bad("resultBufferSize must be at least 1"));
        }
        let long = |text: &String| text.len() > MAX_PARAMETER_TEXT;
        if self.parameters.len() > MAX_PARAMETERS || self.parameters.iter().any(|(key, value)| long(key) || long(value))
        {
            return Err(bad("an aggregator has at most 64 parameters of at most 4096 bytes each"));
        }
        Ok(())
    }
}

fn named(what: &'static str, name: &str) -> Result<(), CharterError> {
    let length = name.chars().count();
    let printable = !name.chars().any(char::is_control);
    if (1..=120).contains(&length) && printable { Ok(()) } else { Err(CharterError::BadName(what)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_with_times_are_where_their_time_is() {
        let rules = |slot_ms, first_slot: Option<i64>| SlotRules {
            deadline_ms: 1,
            slot_ms,
            first_slot: first_slot.map(UnixMillis),
            ..SlotRules::default()
        };
        let timed = rules(300, Some(1000));
        for slot in [0, 1, 7, 1_000_000] {
            let start = timed.start_of(Slot(slot)).expect("a time");
            assert_eq!((start.0, timed.slot_at(start)), (1000 + 300 * slot, Some(Slot(slot))));
        }
        for off in [999, 1001, 1299, 700, i64::MIN, i64::MAX] {
            assert_eq!(timed.slot_at(UnixMillis(off)), None, "{off}");
        }
        assert_eq!(timed.start_of(Slot(i64::MAX)), None);
        for counted in [rules(0, Some(1000)), rules(300, None), rules(0, None)] {
            assert_eq!((counted.start_of(Slot(0)), counted.slot_at(UnixMillis(1000))), (None, None));
        }
        // A charter without times reads and is written as before there were some.
        let text = r#"{"on_missing_input":"fail","deadline_ms":1,"slot_ms":0}"#;
        let old: SlotRules = serde_json::from_str(text).expect("the old text");
        assert_eq!(serde_json::to_string(&old).expect("JSON"), text);
    }
}
