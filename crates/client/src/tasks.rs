//! Tasks, and what peers offer to them.

use tacit_model::GroupId;
use tacit_model::api::{
    DirectoryEntry, DirectoryList, LabelsBody, MemberOfferBody, NewTask, OfferBody, OfferList, PingBody, SampleBody,
    SamplesBody, SamplesReceipt, TaskBody, TaskList,
};

use crate::{Client, ClientError};

impl Client {
    /// Hands a task in; with `wait` this returns at its end. The key makes repeating this safe.
    pub async fn submit_task(&self, new: &NewTask, key: Option<&str>) -> Result<TaskBody, ClientError> {
        let request = self.post(&["tasks"]);
        let request = match key {
            Some(key) => request.header("idempotency-key", key),
            None => request,
        };
        // A task with many computations may take days.
        self.call_with(request.timeout(std::time::Duration::from_secs(86_400)), new).await
    }

    /// Tasks, newest first.
    pub async fn tasks(&self) -> Result<Vec<TaskBody>, ClientError> {
        Ok(self.call::<TaskList>(self.get(&["tasks"])).await?.tasks)
    }

    /// One task.
    pub async fn task(&self, id: &str) -> Result<TaskBody, ClientError> {
        self.call(self.get(&["tasks", id])).await
    }

    /// Ends a task.
    pub async fn cancel_task(&self, id: &str) -> Result<TaskBody, ClientError> {
        self.call(self.delete(&["tasks", id])).await
    }

    /// What the connected members of a group offer to tasks.
    pub async fn offers(&self, group: GroupId) -> Result<Vec<MemberOfferBody>, ClientError> {
        Ok(self.call::<OfferList>(self.get(&["groups", &group.to_string(), "offers"])).await?.offers)
    }

    /// Who is there, since when, where, and with what.
    pub async fn directory(&self, group: GroupId) -> Result<Vec<DirectoryEntry>, ClientError> {
        Ok(self.call::<DirectoryList>(self.get(&["groups", &group.to_string(), "directory"])).await?.members)
    }

    /// Messages to all connected members and back, one after the other; with `providers` to their SMC providers.
    pub async fn ping(&self, group: GroupId, messages: u32, providers: bool) -> Result<PingBody, ClientError> {
        let request = self.post(&["groups", &group.to_string(), "ping"]);
        self.call(request.query(&[("messages", messages.to_string()), ("providers", providers.to_string())])).await
    }

    /// Adds samples to a peer's series, all or none.
    pub async fn add_samples(&self, peer: &str, samples: Vec<SampleBody>) -> Result<SamplesReceipt, ClientError> {
        self.call_with(self.post(&["peers", peer, "samples"]), &SamplesBody { samples }).await
    }

    /// What a peer offers to tasks.
    pub async fn offer(&self, peer: &str) -> Result<OfferBody, ClientError> {
        self.call(self.get(&["peers", peer, "offer"])).await
    }

    /// Sets the labels by which tasks choose a peer.
    pub async fn set_labels(&self, peer: &str, labels: Vec<String>) -> Result<OfferBody, ClientError> {
        self.call_with(self.put(&["peers", peer, "labels"]), &LabelsBody { labels }).await
    }
}
