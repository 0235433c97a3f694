use std::time::Duration;

use tacit_accord::{ConsensusError, Refusal};
use tacit_link::LinkError;
use tacit_model::Fingerprint;
use tacit_pki::PkiError;
use tacit_store::StoreError;

use crate::http::HttpError;
use crate::source::{RowError, SampleError};

/// Why a party did not do what its operator wanted. Nothing has changed then. No message holds data.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PartyError {
    /// No address was given, and this node neither browses nor knows a bootstrap address.
    #[error(
        "name the gateway's address: this node looks for none; set bootstrap, or mdns (with \
         loopback = true where the links are on this machine only), in [discovery] of node.toml to let it"
    )]
    NowhereToLook,
    /// No gateway that fits was found.
    #[error(
        "no gateway that fits was found; name its address, or a bootstrap address in [discovery] of node.toml, or look \
         whether location and sources there are right"
    )]
    NobodyFound,
    // ---- the caller ----------------------------------------------------------------------------
    /// A row that cannot be queued; none of the rows was.
    #[error("row {row}: {why}")]
    InvalidData {
        /// Which one, counted from 1.
        row: usize,
        /// What is wrong with it.
        why: RowError,
    },
    /// A sample that cannot be kept; none of them was.
    #[error("sample {sample}: {why}")]
    InvalidSample {
        /// Which one, counted from 1.
        sample: usize,
        /// What is wrong with it.
        why: SampleError,
    },
    /// Labels that cannot be.
    #[error("a peer has up to 100 labels, each of 1 to 100 letters, digits and _-.:=, such as floor=3")]
    Labels,
    /// A policy that cannot be meant.
    #[error("the policy was not taken: {0}")]
    Policy(String),
    /// Nobody was asked about this task.
    #[error("this peer was not asked about the task {0:?}")]
    NoSuchTask(String),
    /// A decision on a task that would change nothing.
    #[error(
        "the task {0} is over here: it was computed with this peer, or its time or the time that its client gave for approval \
         has passed, so a decision would change nothing"
    )]
    TaskOver(String),
    /// No more rows are taken for now.
    #[error("the input queue is full; try again in {} s", retry_after.as_secs())]
    QueueFull {
        /// When to try again.
        retry_after: Duration,
    },
    /// A slot that is over, or that holds another row.
    #[error("a row's slot is over or holds other numbers already; nothing was taken")]
    SlotTaken,
    /// The party takes part in no run.
    #[error("this peer is not running; start it first: `tacit group start` at the gateway, or `tacit peer start` here")]
    NotRunning,
    /// It takes part in a run already.
    #[error("this peer is running already")]
    AlreadyRunning,

    // ---- configuration -------------------------------------------------------------------------
    /// Nobody of this name registered on this node.
    #[error("no party called {0:?} is registered on this node; join a group first")]
    Unknown(String),
    /// A party of this name is here already.
    #[error(
        "a party called {0:?} exists on this node; choose another name, or `tacit peer leave` lets it leave its group first"
    )]
    NameTaken(String),
    /// A party of this node has this key already.
    #[error("the party {0:?} of this node has that key already: each party needs one of its own")]
    KeyTaken(String),
    /// The key that was asked for is not there, or cannot be used.
    #[error("the key {0} is not in this node's folder, or cannot be used; `tacit join --key FILE` puts a key there")]
    GivenKey(Fingerprint),
    /// Another key than the one that was registered.
    #[error("the key of this party is not the one it registered with; restore the key file")]
    OtherKey,
    /// The signed charter does not name this party.
    #[error("the group's operators have not verified this peer yet: compare fingerprints with them")]
    NotVerified,
    /// The group has no configuration.
    #[error("the group has no configuration yet")]
    NoConfiguration,
    /// What the store holds of this party cannot be read.
    #[error("what is stored of this party cannot be read: {0}; restore a backup or join again")]
    Damaged(String),

    // ---- the gateway ---------------------------------------------------------------------------
    /// There is no link to the gateway.
    #[error("the gateway cannot be reached at the moment; this peer keeps trying")]
    Unreachable,
    /// The gateway said no, in words of its own.
    #[error("the gateway refused: {}", plain(.0, TOLD))]
    Refused(String),
    /// A task of this peer that was taken, and came to nothing, in the gateway's words.
    #[error("the task has no result: {}", plain(.0, TOLD))]
    NoResult(String),
    /// This peer said no.
    #[error("{0}")]
    Declined(String),
    /// The code is unknown or was used.
    #[error("this registration code is unknown or was used; ask for a new one")]
    RegistrationCode,
    /// The gateway knows another member of this name.
    #[error(
        "the gateway has a member of this name, or the registration clashes with another; choose another name, or, if the \
         member is yours and has left, ask the gateway's operator to take it off the list: `tacit group remove NAME`"
    )]
    Conflict,
    /// One of several gateways that does not lead now: it registers nobody.
    #[error("{}", follows(.leading))]
    Follows {
        /// Base URL and certificate of the one that leads, if it knows.
        leading: Option<(String, Fingerprint)>,
    },
    /// The gateway cannot say now.
    #[error("the gateway is not available now: {}; try again in a few seconds", plain(.0, TOLD))]
    Unavailable(String),
    /// The gateway has not answered in time; it may have taken the task.
    #[error(
        "the average was not there within {within_s} s; if the group still computes it, `tacit peer results {peer} --task \
         {task}` shows it then"
    )]
    Late {
        /// How long it was waited for.
        within_s: u64,
        /// The peer that asked.
        peer: String,
        /// The task's id.
        task: String,
    },
    /// An answer that makes no sense.
    #[error("the gateway's answer is not understood: {}", plain(.0, TOLD))]
    Answer(String),
    /// A charter that does not follow from what is pinned or known.
    #[error("a charter was refused: {0}")]
    Charter(#[from] Refusal),
    /// A charter that cannot be read.
    #[error("a charter was refused: {0}")]
    CharterText(#[from] ConsensusError),

    /// A question of this peer itself that cannot be asked.
    #[error("{0}")]
    Question(String),

    // ---- below ---------------------------------------------------------------------------------
    /// The HTTP client.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// The store.
    #[error(transparent)]
    Store(StoreError),
    /// The audit log.
    #[error(transparent)]
    Audit(#[from] tacit_audit::AuditError),
    /// The links.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// Keys.
    #[error(transparent)]
    Pki(#[from] PkiError),
    /// The party is shutting down.
    #[error("this peer is shutting down")]
    Stopping,
}

impl From<StoreError> for PartyError {
    fn from(error: StoreError) -> Self {
        match error {
            // Rows leave one by one as slots close; a few seconds are a fair guess.
            StoreError::QueueFull { .. } => Self::QueueFull { retry_after: Duration::from_secs(5) },
            other => Self::Store(other),
        }
    }
}

impl PartyError {
    /// Whether the gateway certainly did not register anybody. Otherwise it may have, and only the answer was lost.
    pub(crate) fn is_final_for_registration(&self) -> bool {
        let sent = !matches!(
            self,
            Self::Http(
                HttpError::Address(_)
                    | HttpError::Untrusted(_)
                    // No gateway was spoken with.
                    | HttpError::OtherProtocol { .. }
            )
        );
        let lost = matches!(self, Self::Http(_) | Self::Answer(_) | Self::Unavailable(_) | Self::Store(_));
        !(sent && lost)
    }
}

/// So many characters of what the gateway says are shown.
pub(crate) const TOLD: usize = 500;

/// What somebody else wrote, for an operator's terminal, and not too much of it.
pub(crate) fn plain(text: &str, most: usize) -> String {
    text.chars().filter(|c| !c.is_control()).take(most).collect()
}

fn follows(leading: &Option<(String, Fingerprint)>) -> String {
    match leading {
        Some((url, fingerprint)) => format!(
            "this gateway follows another one and registers nobody now; the one that leads is at {url}, its certificate is \
             {fingerprint}: join there"
        ),
        None => "this gateway follows, and nobody leads at the moment; try again in a few seconds".to_owned(),
    }
}
