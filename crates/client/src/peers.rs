//! The peers that a node hosts.

use tacit_model::api::{
    JobBody, JobList, JoinBody, PairingBody, PeerBody, PeerList, ResultList, RosterBody, RowBody, RowsBody,
    RowsReceipt, SettleBody, WitnessBody,
};
use tacit_model::{RunId, Slot};

use crate::{Client, ClientError};

impl Client {
    /// Says what was compared with the gateway's operator, for a peer of this node.
    pub async fn pair_gateway(&self, name: &str, body: &PairingBody) -> Result<PeerBody, ClientError> {
        self.call_with(self.post(&["peers", name, "pairing"]), body).await
    }

    /// Makes a peer on the node and registers it at a gateway.
    pub async fn join(&self, body: &JoinBody) -> Result<PeerBody, ClientError> {
        self.call_with(self.post(&["peers"]), body).await
    }

    /// Peers of the node.
    pub async fn peers(&self) -> Result<Vec<PeerBody>, ClientError> {
        Ok(self.call::<PeerList>(self.get(&["peers"])).await?.peers)
    }

    /// One peer.
    pub async fn peer(&self, name: &str) -> Result<PeerBody, ClientError> {
        self.call(self.get(&["peers", name])).await
    }

    /// Stops a peer and forgets everything it held.
    pub async fn delete_peer(&self, name: &str) -> Result<(), ClientError> {
        self.order(self.delete(&["peers", name])).await
    }

    /// Takes part in the group's runs.
    pub async fn start_peer(&self, name: &str) -> Result<PeerBody, ClientError> {
        self.call(self.post(&["peers", name, "start"])).await
    }

    /// Takes part no longer.
    pub async fn stop_peer(&self, name: &str) -> Result<PeerBody, ClientError> {
        self.call(self.post(&["peers", name, "stop"])).await
    }

    /// Queues rows, all or none.
    pub async fn add_rows(&self, name: &str, rows: Vec<RowBody>) -> Result<RowsReceipt, ClientError> {
        self.call_with(self.post(&["peers", name, "rows"]), &RowsBody { rows }).await
    }

    /// Results a peer received, of one run, of one task by its id, or of all.
    pub async fn results(
        &self,
        name: &str,
        run: Option<RunId>,
        task: Option<&str>,
        from: Option<Slot>,
    ) -> Result<ResultList, ClientError> {
        let mut request = self.get(&["peers", name, "results"]);
        if let Some(task) = task {
            request = request.query(&[("task", task)]);
        }
        if let Some(run) = run {
            request = request.query(&[("run", run.to_string())]);
        }
        if let Some(from) = from {
            request = request.query(&[("from", from.0)]);
        }
        self.call(request).await
    }

    /// What a peer was asked to take part in, newest first, at most so many.
    pub async fn jobs(&self, name: &str, max: u32) -> Result<Vec<JobBody>, ClientError> {
        let request = self.get(&["peers", name, "jobs"]).query(&[("max", max.to_string())]);
        Ok(self.call::<JobList>(request).await?.jobs)
    }

    /// What a peer saw of its gateway's log.
    pub async fn witness(&self, name: &str) -> Result<WitnessBody, ClientError> {
        self.call(self.get(&["peers", name, "witness"])).await
    }

    /// Ends a dispute over the gateway's log; both heads stay in the node's own log.
    pub async fn settle(&self, name: &str, body: &SettleBody) -> Result<WitnessBody, ClientError> {
        self.call_with(self.post(&["peers", name, "witness", "settlement"]), body).await
    }

    /// Who learns what: the charter a peer accepted and its last job.
    pub async fn roster(&self, name: &str) -> Result<RosterBody, ClientError> {
        self.call(self.get(&["peers", name, "roster"])).await
    }
}
