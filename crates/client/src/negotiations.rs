//! Negotiations and the registry.

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

    /// The negotiations about a group. Needs a token.
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
