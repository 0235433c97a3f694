//! Why there is no replication.

/// Why there is no replication.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReplicaError {
    /// The list of nodes.
    #[error("{0}")]
    Nodes(&'static str),
    /// The list has changed since the first start.
    #[error(
        "the list of replicas is not the one of the first start: replicas are not added or removed yet; restore the \
         list in node.toml, or begin with empty data folders"
    )]
    OtherNodes,
    /// The data folder is older than what this node did with it.
    #[error(
        "this data folder is an older copy: it lacks what this gateway had told the others to have, so it must not vote \
         again; give it a new key, put that on the list of all gateways, and begin with empty data folders"
    )]
    Forgotten,
    /// The disk, mostly.
    #[error("the replication cannot start: {0}")]
    Start(String),
}
