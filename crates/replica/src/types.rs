//! What Raft is told about: nodes, changes, and what becomes of them.

use openraft::{LogId, Vote};
use tacit_model::Fingerprint;
use tacit_store::{Change, Picture, Staged};

openraft::declare_raft_types!(
    /// The types of this replication: a change goes in, whether it was made comes out.
    pub(crate) Types:
        D = Change,
        R = bool,
        NodeId = u64,
        Node = openraft::EmptyNode,
        Entry = openraft::Entry<Types>,
        SnapshotData = Content,
        AsyncRuntime = openraft::TokioRuntime,
);

/// What a snapshot is on this node. It is made only for a node that needs it: the rows are kept, whatever goes of the log.
pub(crate) enum Content {
    /// Nothing: it only says up to where the log is not needed any more.
    Kept,
    /// The rows of now, to be sent.
    Here(Box<Picture>),
    /// The rows of another node, to be installed, with the index of the last change in them.
    Staged { rows: Staged, changed: u64 },
}

pub(crate) type Raft = openraft::Raft<Types>;
pub(crate) type Entry = openraft::Entry<Types>;
pub(crate) type LogIndex = LogId<u64>;
pub(crate) type Promise = Vote<u64>;
pub(crate) type StorageError = openraft::StorageError<u64>;

/// One of the nodes that hold the same rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplicaNode {
    /// Its certificate.
    pub fingerprint: Fingerprint,
    /// Where its link port is, `host:port`.
    pub addresses: Vec<String>,
}

/// The number under which Raft knows a node: the first bytes of its fingerprint.
pub(crate) fn number_of(node: &Fingerprint) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = node.0;
    u64::from_be_bytes([a, b, c, d, e, f, g, h])
}
