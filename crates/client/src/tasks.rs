//! Tasks, and what peers offer to them.

use std::time::Duration;

use tacit_model::api::{
    DirectoryEntry, DirectoryList, LabelsBody, MemberOfferBody, NewTask, OfferBody, OfferList, PingBody, SampleBody,
    SamplesBody, SamplesReceipt, TaskBody, TaskList,
};
use tacit_model::{GroupId, Slot};

use crate::{Client, ClientError};

/// A gateway answers within 60 s, by its own limit.
const ANSWERED: Duration = Duration::from_secs(120);
/// Between two looks at a task that takes long.
const BETWEEN: Duration = Duration::from_millis(500);

impl Client {
    /// Hands a task in; with `wait` this returns at its end, however long that takes. The key makes repeating this safe.
    pub async fn submit_task(&self, new: &NewTask, key: Option<&str>) -> Result<TaskBody, ClientError> {
        let request = self.post(&["tasks"]);
        let request = match key {
            Some(key) => request.header("idempotency-key", key),
            None => request,
        };
        let body: TaskBody = self.call_with(request.timeout(ANSWERED), new).await?;
        if new.wait && new.notify.is_none() { self.ended(body).await } else { Ok(body) }
    }

    /// The task when it is over: a gateway answers for one that takes long while it is open.
    async fn ended(&self, mut body: TaskBody) -> Result<TaskBody, ClientError> {
        while body.state == "open" {
            tokio::time::sleep(BETWEEN).await;
            body = self.task(&body.id).await?;
        }
        Ok(body)
    }

    /// Tasks, newest first.
    pub async fn tasks(&self) -> Result<Vec<TaskBody>, ClientError> {
        Ok(self.call::<TaskList>(self.get(&["tasks"])).await?.tasks)
    }

    /// One task with its computations from one on, as many as one answer holds.
    pub async fn task_from(&self, id: &str, from: Slot) -> Result<TaskBody, ClientError> {
        self.call(self.get(&["tasks", id]).query(&[("from", from.0)])).await
    }

    /// One task with its newest computations.
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

#[cfg(test)]
mod tests {
    use tacit_model::api::TaskRequest;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    /// Answers one call after the other with a task in this state; what was called.
    async fn gateway(listener: TcpListener, states: &[&str]) -> Vec<String> {
        let mut called = Vec::new();
        for state in states {
            let (mut socket, _) = listener.accept().await.expect("a call");
            let (mut request, mut piece) = (String::new(), [0; 4096]);
            // A body ends with a bracket.
            while !(request.contains("\r\n\r\n") && (request.starts_with("GET") || request.ends_with('}'))) {
                let read = socket.read(&mut piece).await.expect("a request");
                assert!(read > 0, "half a request: {request}");
                request.push_str(&String::from_utf8_lossy(&piece[..read]));
            }
            called.push(request.split(' ').take(2).collect::<Vec<_>>().join(" "));
            let body = TaskBody {
                id: "abc".to_owned(),
                task: question(),
                state: (*state).to_owned(),
                detail: String::new(),
                created: String::new(),
                windows: Vec::new(),
            };
            let body = serde_json::to_string(&body).expect("JSON");
            let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close";
            let answer = format!("{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
            socket.write_all(answer.as_bytes()).await.expect("an answer");
        }
        called
    }

    fn question() -> TaskRequest {
        TaskRequest::about(GroupId(1), "level", "sum", "level")
    }

    #[tokio::test]
    async fn a_task_that_is_answered_while_it_is_open_is_followed_to_its_end() {
        for (wait, states, state, calls) in [
            (true, &["open", "open", "done"][..], "done", 3),
            (true, &["failed"][..], "failed", 1),
            (false, &["open"][..], "open", 1),
        ] {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
            let url = format!("http://{}", listener.local_addr().expect("an address"));
            let client = Client::new(&url, None, None).expect("a client");
            let new = NewTask { task: question(), signature: None, notify: None, wait };
            let (called, body) = tokio::join!(gateway(listener, states), client.submit_task(&new, None));
            assert_eq!(body.expect("an answer").state, state);
            assert_eq!(called.len(), calls);
            assert_eq!(called[0], "POST /api/v1/tasks");
            assert!(called[1..].iter().all(|call| call == "GET /api/v1/tasks/abc"), "{called:?}");
        }
    }
}
