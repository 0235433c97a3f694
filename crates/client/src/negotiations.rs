//! Negotiations and the registry.

use reqwest::header::IF_NONE_MATCH;
use tacit_model::GroupId;
use tacit_model::api::{
    ContributionBody, ContributionList, HistoryRequest, ManagerAccept, NegotiationAct, NegotiationBody,
    NegotiationList, OpenNegotiation, RegistryBody,
};

use crate::{Client, ClientError};

impl Client {
    /// Opens a negotiation.
    pub async fn open_negotiation(&self, body: &OpenNegotiation) -> Result<NegotiationBody, ClientError> {
        self.call_with(self.post(&["negotiations"]), body).await
    }

    /// A negotiation by its id, or by the id of what was agreed in it.
    pub async fn negotiation(&self, id: &str) -> Result<NegotiationBody, ClientError> {
        self.call(self.get(&["negotiations", id])).await
    }

    /// A negotiation as it stands now; what is known of it already does not travel again.
    pub async fn negotiation_after(&self, known: NegotiationBody) -> Result<NegotiationBody, ClientError> {
        let request = self.get(&["negotiations", &known.id]).header(IF_NONE_MATCH, known.tag());
        match self.call(request).await {
            Err(ClientError::Answer(304)) => Ok(known),
            now => now,
        }
    }

    /// The negotiations about a group; of many large ones, older ones are cut. Needs a token.
    pub async fn negotiations(&self, group: GroupId) -> Result<Vec<NegotiationBody>, ClientError> {
        let request = self.get(&["negotiations"]).query(&[("group", group.to_string())]);
        Ok(self.call::<NegotiationList>(request).await?.negotiations)
    }

    /// Takes a signed step.
    pub async fn act(&self, id: &str, act: &NegotiationAct) -> Result<NegotiationBody, ClientError> {
        self.call_with(self.post(&["negotiations", id, "acts"]), act).await
    }

    /// Accepts with the key of the gateway's manager. Needs an operator's token.
    pub async fn accept_as_manager(&self, id: &str, contribution: u32) -> Result<NegotiationBody, ClientError> {
        self.call_with(self.post(&["negotiations", id, "manager"]), &ManagerAccept { contribution }).await
    }

    /// All contributions, superseded ones too, for a member.
    pub async fn negotiation_history(
        &self,
        id: &str,
        request: &HistoryRequest,
    ) -> Result<Vec<ContributionBody>, ClientError> {
        let call = self.post(&["negotiations", id, "history"]);
        Ok(self.call_with::<_, ContributionList>(call, request).await?.contributions)
    }

    /// The registry of the group that a negotiation is about.
    pub async fn negotiated_registry(&self, id: &str) -> Result<RegistryBody, ClientError> {
        self.call(self.get(&["negotiations", id, "registry"])).await
    }

    /// The group that an open registration code lets in to.
    pub async fn invited_to(&self, code: &str) -> Result<RegistryBody, ClientError> {
        self.call(self.get(&["register", code])).await
    }

    /// The registry of a group. Needs a token.
    pub async fn registry(&self, group: GroupId) -> Result<RegistryBody, ClientError> {
        self.call(self.get(&["groups", &group.to_string(), "registry"])).await
    }
}

#[cfg(test)]
mod tests {
    use tacit_model::UnixMillis;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    fn body(acts: u32) -> NegotiationBody {
        let turns = [("k".to_owned(), acts)].into();
        NegotiationBody { turns, ..NegotiationBody::new("n", "k", UnixMillis(0), UnixMillis(1)) }
    }

    #[tokio::test]
    async fn what_is_known_of_a_negotiation_does_not_travel_again() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let client = Client::new(&format!("http://{}", listener.local_addr().expect("an address")), None, None);
        let client = client.expect("a client");
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = String::new();
                while !request.contains("\r\n\r\n") {
                    let mut piece = [0; 4096];
                    let read = stream.read(&mut piece).await.expect("a request");
                    assert!(read > 0, "half a request: {request}");
                    request.push_str(&String::from_utf8_lossy(&piece[..read]));
                }
                let now = body(2);
                let (status, text) = match request.contains(&now.tag()) {
                    true => (304, String::new()),
                    false => (200, serde_json::to_string(&now).expect("JSON")),
                };
                let head = format!("HTTP/1.1 {status} x\r\ncontent-length: {}\r\nconnection: close", text.len());
                stream.write_all(format!("{head}\r\n\r\n{text}").as_bytes()).await.expect("sent");
            }
        });
        let known = NegotiationBody { title: "as it was read before".to_owned(), ..body(2) };
        assert_eq!(client.negotiation_after(known.clone()).await.expect("as before"), known);
        assert_eq!(client.negotiation_after(body(1)).await.expect("another state"), body(2));
    }
}
