//! What a plan is built from, and its wire form (which is also what the digest covers).

use std::collections::BTreeMap;

use tacit_model::codec::{Decode, DecodeError, Encode, Reader, put_bytes};
use tacit_model::{Attempt, Fingerprint, SessionId, Slot};

use super::MAX_MEMBERS;

/// Everything that a plan depends on. Filled by each peer from the charter and the task it knows,
/// never copied from a message without checking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanRequest {
    /// The session's id.
    pub session: SessionId,
    /// Which attempt at the slot this is.
    pub attempt: Attempt,
    /// The slot.
    pub slot: Slot,
    /// Digest of the charter in force.
    pub charter: [u8; 32],
    /// Digest of the task.
    pub task: [u8; 32],
    /// The aggregator's name or alias.
    pub aggregator: String,
    /// The aggregator's version.
    pub aggregator_version: u16,
    /// The aggregator's settings.
    pub parameters: BTreeMap<String, String>,
    /// How inputs are shared.
    pub sharing: Sharing,
    /// The threshold that the charter fixes; nothing lowers it. Not used for additive sharing.
    pub charter_threshold: usize,
    /// How many compute peers the charter names. [`compute`](Self::compute) may list fewer of them after a loss.
    pub charter_compute: usize,
    /// The security model.
    pub model: SecurityModel,
    /// Items of one vector.
    pub items: usize,
    /// The largest value that an input may have; 0 is the smallest.
    pub max_element: u64,
    /// A prime that results stay below; one that does not is an error at the output.
    pub modulus: Option<u64>,
    /// All members, ascending.
    pub members: Vec<Fingerprint>,
    /// Who gives data: indices into `members`, ascending.
    pub inputs: Vec<usize>,
    /// Who computes on shares: indices into `members`, ascending.
    pub compute: Vec<usize>,
    /// Who learns the result: indices into `members`, ascending.
    pub recipients: Vec<usize>,
    /// What happens when an input is missing at the freeze.
    pub on_missing: OnMissing,
}

/// How an input becomes shares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sharing {
    /// A polynomial of degree t: any t+1 shares make the secret, t tell nothing.
    Shamir {
        /// t, how many corrupted compute peers are tolerated.
        threshold: usize,
    },
    /// n summands: all of them make the secret, n-1 tell nothing.
    Additive,
}

/// Against whom a session protects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecurityModel {
    /// Corrupted peers follow the protocol and put together what they see.
    SemiHonest,
    /// Corrupted peers do what they like; no wrong result is accepted.
    Malicious,
    /// The same, and the result comes for certain.
    Guaranteed,
}

impl SecurityModel {
    /// Its name in charters and tasks.
    pub fn name(self) -> &'static str {
        match self {
            Self::SemiHonest => "semi-honest",
            Self::Malicious => "malicious",
            Self::Guaranteed => "guaranteed",
        }
    }

    /// The model of a name.
    pub fn named(name: &str) -> Option<Self> {
        [Self::SemiHonest, Self::Malicious, Self::Guaranteed].into_iter().find(|model| model.name() == name)
    }

    fn code(self) -> u8 {
        match self {
            Self::SemiHonest => 1,
            Self::Malicious => 2,
            Self::Guaranteed => 3,
        }
    }
}

/// What happens when an input peer's shares did not all arrive before the freeze.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnMissing {
    /// The session fails and names the missing.
    Fail,
    /// The others are summed, if there are enough.
    Proceed {
        /// At least so many contributors, 2 or more.
        min: usize,
    },
}

const MAX_TEXT: usize = 4096;
const MAX_PARAMETERS: u32 = 64;

impl Encode for PlanRequest {
    fn encode(&self, out: &mut Vec<u8>) {
        self.session.encode(out);
        self.attempt.encode(out);
        self.slot.encode(out);
        self.charter.encode(out);
        self.task.encode(out);
        put_bytes(out, self.aggregator.as_bytes());
        self.aggregator_version.encode(out);
        (self.parameters.len() as u32).encode(out);
        for (key, value) in &self.parameters {
            put_bytes(out, key.as_bytes());
            put_bytes(out, value.as_bytes());
        }
        let (kind, threshold) = match self.sharing {
            Sharing::Shamir { threshold } => (1u8, threshold),
            Sharing::Additive => (2, 0),
        };
        kind.encode(out);
        put_size(out, threshold);
        put_size(out, self.charter_threshold);
        put_size(out, self.charter_compute);
        self.model.code().encode(out);
        put_size(out, self.items);
        self.max_element.encode(out);
        u8::from(self.modulus.is_some()).encode(out);
        self.modulus.unwrap_or(0).encode(out);
        put_size(out, self.members.len());
        self.members.iter().for_each(|m| m.encode(out));
        for list in [&self.inputs, &self.compute, &self.recipients] {
            put_size(out, list.len());
            list.iter().for_each(|i| put_size(out, *i));
        }
        let (kind, min) = match self.on_missing {
            OnMissing::Fail => (1u8, 0),
            OnMissing::Proceed { min } => (2, min),
        };
        kind.encode(out);
        put_size(out, min);
    }
}

impl Decode for PlanRequest {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            session: Decode::decode(input)?,
            attempt: Decode::decode(input)?,
            slot: Decode::decode(input)?,
            charter: Decode::decode(input)?,
            task: Decode::decode(input)?,
            aggregator: input.text(MAX_TEXT)?.to_owned(),
            aggregator_version: Decode::decode(input)?,
            parameters: parameters(input)?,
            sharing: match (u8::decode(input)?, size(input)?) {
                (1, threshold) => Sharing::Shamir { threshold },
                (2, 0) => Sharing::Additive,
                _ => return Err(DecodeError::Unknown),
            },
            charter_threshold: size(input)?,
            charter_compute: size(input)?,
            model: match u8::decode(input)? {
                1 => SecurityModel::SemiHonest,
                2 => SecurityModel::Malicious,
                3 => SecurityModel::Guaranteed,
                _ => return Err(DecodeError::Unknown),
            },
            items: size(input)?,
            max_element: Decode::decode(input)?,
            modulus: match (u8::decode(input)?, u64::decode(input)?) {
                (0, 0) => None,
                (1, modulus) => Some(modulus),
                _ => return Err(DecodeError::Unknown),
            },
            members: (0..count(input)?).map(|_| Decode::decode(input)).collect::<Result<_, _>>()?,
            inputs: indices(input)?,
            compute: indices(input)?,
            recipients: indices(input)?,
            on_missing: match (u8::decode(input)?, size(input)?) {
                (1, 0) => OnMissing::Fail,
                (2, min) => OnMissing::Proceed { min },
                _ => return Err(DecodeError::Unknown),
            },
        })
    }
}

fn put_size(out: &mut Vec<u8>, size: usize) {
    (size as u64).encode(out);
}

fn size(input: &mut Reader<'_>) -> Result<usize, DecodeError> {
    usize::try_from(u64::decode(input)?).map_err(|_| DecodeError::TooLong)
}

fn count(input: &mut Reader<'_>) -> Result<usize, DecodeError> {
    let count = size(input)?;
    if count > MAX_MEMBERS { Err(DecodeError::TooLong) } else { Ok(count) }
}

fn indices(input: &mut Reader<'_>) -> Result<Vec<usize>, DecodeError> {
    (0..count(input)?).map(|_| size(input)).collect()
}

/// Keys must ascend, so that there is one encoding of each set.
fn parameters(input: &mut Reader<'_>) -> Result<BTreeMap<String, String>, DecodeError> {
    let count = u32::decode(input)?;
    if count > MAX_PARAMETERS {
        return Err(DecodeError::TooLong);
    }
    let mut map = BTreeMap::new();
    for _ in 0..count {
        let key = input.text(MAX_TEXT)?.to_owned();
        let value = input.text(MAX_TEXT)?.to_owned();
        if map.last_key_value().is_some_and(|(last, _)| *last >= key) {
            return Err(DecodeError::Unknown);
        }
        map.insert(key, value);
    }
    Ok(map)
}
