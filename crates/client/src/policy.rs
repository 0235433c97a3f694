//! Policies of a node's peers, tasks that their owners are asked about, and what peers ask for themselves.

use tacit_model::api::{
    ApprovalBody, ApprovalDecision, ApprovalList, CompareBody, CompareRequest, PeerPolicy, PolicyBody,
};

use crate::{Client, ClientError};

impl Client {
    /// What a peer is willing to take part in.
    pub async fn policy(&self, peer: &str) -> Result<PolicyBody, ClientError> {
        self.call(self.get(&["peers", peer, "policy"])).await
    }

    /// Sets a peer's policy while it runs.
    pub async fn set_policy(&self, peer: &str, policy: &PeerPolicy) -> Result<PolicyBody, ClientError> {
        self.call_with(self.put(&["peers", peer, "policy"]), policy).await
    }

    /// Goes back to the policy of the node's configuration.
    pub async fn reset_policy(&self, peer: &str) -> Result<PolicyBody, ClientError> {
        self.call(self.delete(&["peers", peer, "policy"])).await
    }

    /// Tasks that the owner of a peer is or was asked about, the latest first.
    pub async fn approvals(&self, peer: &str) -> Result<Vec<ApprovalBody>, ClientError> {
        Ok(self.call::<ApprovalList>(self.get(&["peers", peer, "approvals"])).await?.approvals)
    }

    /// The owner's decision on a task.
    pub async fn decide_approval(&self, peer: &str, task: &str, approved: bool) -> Result<ApprovalBody, ClientError> {
        self.call_with(self.put(&["peers", peer, "approvals", task]), &ApprovalDecision { approved }).await
    }

    /// The average of all, for this peer alone.
    pub async fn compare(&self, peer: &str, request: &CompareRequest) -> Result<CompareBody, ClientError> {
        let call = self.post(&["peers", peer, "compare"]).timeout(std::time::Duration::from_secs(120));
        self.call_with(call, request).await
    }
}
