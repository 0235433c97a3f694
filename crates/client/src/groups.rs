//! Groups, members, runs.

use tacit_model::api::{
    CodeBody, ComparedMember, ConfigurationBody, ConsensusBody, GroupBody, GroupList, MemberBody, MemberList, NewGroup,
    PairingBody, PeerRole, RegisterBody, RegisterReceipt, RunBody, RunList, SharingKind, SlotBody, SlotList,
    SlotRulesBody, StartedBody, VerifyBody, VerifyManyBody,
};
use tacit_model::{Fingerprint, GroupId, RunId, Slot};

use crate::{Client, ClientError};

impl Client {
    /// Makes a group.
    pub async fn create_group(&self, name: &str, sharing: SharingKind) -> Result<GroupBody, ClientError> {
        self.call_with(self.post(&["groups"]), &NewGroup { name: name.to_owned(), sharing }).await
    }

    /// All groups.
    pub async fn groups(&self) -> Result<Vec<GroupBody>, ClientError> {
        Ok(self.call::<GroupList>(self.get(&["groups"])).await?.groups)
    }

    /// One group.
    pub async fn group(&self, group: GroupId) -> Result<GroupBody, ClientError> {
        self.call(self.get(&["groups", &group.to_string()])).await
    }

    /// Stops and deletes a group.
    pub async fn delete_group(&self, group: GroupId) -> Result<(), ClientError> {
        self.order(self.delete(&["groups", &group.to_string()])).await
    }

    /// Sets what a group computes.
    pub async fn configure(&self, group: GroupId, body: &ConfigurationBody) -> Result<GroupBody, ClientError> {
        self.call_with(self.put(&["groups", &group.to_string(), "configuration"]), body).await
    }

    /// Sets when slots close.
    pub async fn set_slot_rules(&self, group: GroupId, body: &SlotRulesBody) -> Result<GroupBody, ClientError> {
        self.call_with(self.put(&["groups", &group.to_string(), "slot-rules"]), body).await
    }

    /// The signed documents of what was agreed, oldest first.
    pub async fn consensus(&self, group: GroupId) -> Result<Vec<String>, ClientError> {
        let (group, mut documents, mut next) = (group.to_string(), Vec::new(), Some(0));
        while let Some(from) = next {
            let request = self.get(&["groups", &group, "consensus"]).query(&[("from", from)]);
            let page = self.call::<ConsensusBody>(request).await?;
            documents.extend(page.documents);
            // A gateway that does not get on is not asked for ever.
            next = page.next.filter(|next| *next > from);
        }
        Ok(documents)
    }

    /// Draws a one-time registration code.
    pub async fn invite(&self, group: GroupId) -> Result<String, ClientError> {
        Ok(self.call::<CodeBody>(self.post(&["groups", &group.to_string(), "codes"])).await?.code)
    }

    /// Takes an unused code back.
    pub async fn withdraw_code(&self, code: &str) -> Result<(), ClientError> {
        self.order(self.delete(&["codes", code])).await
    }

    /// Starts all verified members that are connected; how many.
    pub async fn start_group(&self, group: GroupId) -> Result<usize, ClientError> {
        Ok(self.call::<StartedBody>(self.post(&["groups", &group.to_string(), "start"])).await?.started)
    }

    /// Stops a group's run.
    pub async fn stop_group(&self, group: GroupId) -> Result<(), ClientError> {
        self.order(self.post(&["groups", &group.to_string(), "stop"])).await
    }

    /// Runs of a group, newest first.
    pub async fn runs(&self, group: GroupId) -> Result<Vec<RunBody>, ClientError> {
        Ok(self.call::<RunList>(self.get(&["groups", &group.to_string(), "runs"])).await?.runs)
    }

    /// Slots of a run from one on, or the last ones: as many as one answer holds.
    pub async fn slots(&self, group: GroupId, run: RunId, from: Option<Slot>) -> Result<Vec<SlotBody>, ClientError> {
        let path = ["groups", &group.to_string(), "runs", &run.to_string(), "slots"];
        let request = self.get(&path).query(&from.map(|from| ("from", from.0)).into_iter().collect::<Vec<_>>());
        Ok(self.call::<SlotList>(request).await?.slots)
    }

    /// Everybody who registered in a group.
    pub async fn members(&self, group: GroupId) -> Result<Vec<MemberBody>, ClientError> {
        Ok(self.call::<MemberList>(self.get(&["groups", &group.to_string(), "members"])).await?.members)
    }

    /// One member.
    pub async fn member(&self, name: &str) -> Result<MemberBody, ClientError> {
        self.call(self.get(&["members", name])).await
    }

    /// Removes a member.
    pub async fn delete_member(&self, name: &str) -> Result<(), ClientError> {
        self.order(self.delete(&["members", name])).await
    }

    /// Says that this fingerprint was compared with the member's operator.
    pub async fn verify(&self, name: &str, compared: Fingerprint) -> Result<MemberBody, ClientError> {
        let body = VerifyBody { verified: true, fingerprint: Some(compared) };
        self.call_with(self.post(&["members", name, "verify"]), &body).await
    }

    /// Says that all of these fingerprints were compared: one decision.
    pub async fn verify_many(
        &self,
        group: GroupId,
        members: Vec<ComparedMember>,
    ) -> Result<Vec<MemberBody>, ClientError> {
        let call = self.post(&["groups", &group.to_string(), "verify"]);
        let verified: MemberList = self.call_with(call, &VerifyManyBody { members }).await?;
        Ok(verified.members)
    }

    /// Everybody who registered at this gateway, in all groups.
    pub async fn pairings(&self) -> Result<Vec<MemberBody>, ClientError> {
        Ok(self.call::<MemberList>(self.get(&["pairing"])).await?.members)
    }

    /// Approves, rejects or revokes a peer that registered.
    pub async fn pair(&self, name: &str, body: &PairingBody) -> Result<MemberBody, ClientError> {
        self.call_with(self.post(&["members", name, "pairing"]), body).await
    }

    /// Registers a peer with a code. Needs no token.
    pub async fn register(
        &self,
        code: &str,
        name: &str,
        url: &str,
        role: PeerRole,
        body: &RegisterBody,
    ) -> Result<RegisterReceipt, ClientError> {
        let kind = role.number().to_string();
        let request = self.post(&["register", code]).query(&[("name", name), ("url", url), ("type", &kind)]);
        self.call_with(request, body).await
    }
}
