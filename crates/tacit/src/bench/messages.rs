//! What the orchestrating process and the parties of a bench tell each other (JSON over a control link).

use serde::{Deserialize, Serialize};
use tacit_model::{Fingerprint, SessionId};

use super::work::Work;

/// From the orchestrating process to a party.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Order {
    /// Admit these parties, all of them, by fingerprint ascending. Nobody dials before everybody admits.
    Admit(Vec<Place>),
    /// Make a link with every other party; barriers travel in this session.
    Meet(SessionId),
    /// Do your part of this work.
    Work(Work, Turn),
}

/// Where a party is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Place {
    pub(crate) fingerprint: Fingerprint,
    pub(crate) link: String,
}

/// One run, the same for all parties.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Turn {
    /// Counts the runs of these parties, from 0.
    pub(crate) number: i64,
    /// Its session.
    pub(crate) session: SessionId,
    /// All parties' nonces, in their order.
    pub(crate) nonces: Vec<[u8; 32]>,
    /// Tolerated corruptions.
    pub(crate) threshold: usize,
    /// The name of the security model.
    pub(crate) model: String,
}

/// From a party to the orchestrating process.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Answer {
    /// The parties are admitted, or the links are there.
    Ready,
    /// The work is done.
    Done(Sample),
    /// It is not.
    Failed(String),
}

/// What one party measured of one run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Sample {
    /// From the barrier to the result.
    pub(crate) nanos: u64,
    /// Processor time of this process meanwhile.
    pub(crate) cpu_micros: u64,
    /// What was done in it, in the unit that the bench counts: elements, rounds, runs.
    pub(crate) steps: u64,
    /// Sent to other parties, with frames' heads, before TLS.
    pub(crate) bytes_sent: u64,
    /// Rounds of the protocol, where it has a fixed number.
    pub(crate) rounds: Option<u64>,
    /// The most memory this process has held since it was started, in KiB.
    pub(crate) peak_kib: u64,
    /// The field that was computed in.
    pub(crate) field: String,
    /// Whether the result is that of the plain computation.
    pub(crate) right: bool,
}
