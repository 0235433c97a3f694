//! A member's side of a negotiation: texts are written, checked and signed here, where the key is.

use std::collections::BTreeMap;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use tacit_accord::negotiation::{
    Act, Agreement, Invitation, NegotiationId, OpeningRequest, Part, Resource, Wording, charter_of, charter_part,
    charter_text, history_message, secret_hash, sign_act, sign_decision, sign_history,
};
use tacit_accord::{Charter, Consensus, ConsensusId, Member, MemberRole, verify_chain};
use tacit_client::Client;
use tacit_model::api::{
    ContributionBody, HistoryRequest, NegotiationAct, NegotiationBody, OpenNegotiation, PeerRole, RegistryBody,
};
use tacit_model::{Clock, Fingerprint, GroupId, SystemClock, UnixMillis};
use tacit_pki::{Identity, PublicKey, keyfile, random};

use crate::command::group::usual;
use crate::output::{Code, Failure};
use crate::own_log::OwnLog;

/// Somebody at a gateway who has a key. What it signs is in the log beside the key before anybody sees it.
pub(crate) struct Seat {
    pub(crate) client: Client,
    pub(crate) identity: Identity,
    log: OwnLog,
}

/// The key of this name. One that is not there yet is made and kept if somebody is to sign with it.
fn own_key(dir: &Path, name: &str, signs: bool) -> Result<Identity, Failure> {
    let now = SystemClock.now().to_date_time()?;
    if !signs && !keyfile::private_path(dir, name).exists() {
        return Identity::generate(name, now).map_err(|e| refused(e.to_string()));
    }
    keyfile::load_or_create(dir, name, name, now).map_err(|e| refused(e.to_string()))
}

/// Enough of a key to know it again: all begin alike.
pub(crate) fn short_key(key: &str) -> String {
    format!("{}..", key.get(16..28).unwrap_or(key))
}

pub(crate) fn refused(text: impl Into<String>) -> Failure {
    Failure::new(Code::Refused, text)
}

/// An invitation as it is sent: the negotiation and a secret that lets in one key.
pub(crate) struct InvitationText {
    pub(crate) negotiation: NegotiationId,
    pub(crate) secret: String,
}

impl InvitationText {
    pub(crate) fn read(text: &str) -> Result<Self, Failure> {
        let wrong =
            || Failure::usage("an invitation looks like NEGOTIATION|SECRET; ask whoever sent it for the whole of it");
        let (negotiation, secret) = text.trim().split_once('|').ok_or_else(wrong)?;
        let secret = secret.trim().to_owned();
        if secret.is_empty() {
            return Err(wrong());
        }
        Ok(Self { negotiation: negotiation.trim().parse().map_err(|_| wrong())?, secret })
    }

    pub(crate) fn hash(&self) -> String {
        secret_hash(&self.negotiation, &self.secret)
    }
}

impl core::fmt::Display for InvitationText {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{}|{}", self.negotiation, self.secret)
    }
}

impl Seat {
    /// With the key of this name in this folder, which is made if it is to sign and there is none.
    pub(crate) fn new(client: Client, dir: &Path, name: &str, signs: bool) -> Result<Self, Failure> {
        Ok(Self { client, identity: own_key(dir, name, signs)?, log: OwnLog::beside(dir, name) })
    }

    /// Logs what the key is about to sign.
    fn signs(&self, what: &str, on: &str, message: &str) -> Result<(), Failure> {
        self.log.record(&self.identity, what, on, message)
    }

    /// This seat's key in text.
    pub(crate) fn key(&self) -> String {
        self.identity.public_key().to_base64()
    }

    /// Opens a negotiation.
    pub(crate) async fn open(
        &self,
        gateway: Fingerprint,
        title: &str,
        group: Option<GroupId>,
        expires: UnixMillis,
        invited: Vec<String>,
    ) -> Result<NegotiationBody, Failure> {
        let mut nonce = [0; 24];
        random::fill(&mut nonce)?;
        let nonce = URL_SAFE_NO_PAD.encode(nonce);
        let request =
            OpeningRequest { gateway, title: title.to_owned(), group: group.map(|g| g.0), expires, invited, nonce };
        self.signs("negotiation-open", &request.title, &request.message()?)?;
        let signature = request.sign(&self.identity)?;
        let body = OpenNegotiation {
            opener: self.key(),
            gateway,
            title: request.title,
            group,
            expires,
            invited: request.invited,
            nonce: request.nonce,
            signature,
        };
        Ok(self.client.open_negotiation(&body).await?)
    }

    /// Signs an act and sends it.
    pub(crate) async fn act(&self, now: &NegotiationBody, act: Act) -> Result<NegotiationBody, Failure> {
        let id: NegotiationId = now.id.parse()?;
        let turn = now.turns.get(&self.key()).copied().unwrap_or(0) + 1;
        self.signs("negotiation", &now.id, &act.message(&id, turn)?)?;
        let signed = sign_act(&self.identity, &id, turn, act)?;
        let mut body =
            NegotiationAct { signer: signed.signer, turn, signature: signed.signature, ..Default::default() };
        let word = match signed.act {
            Act::Contribute { text, invitation, decision } => {
                body.text = Some(text);
                body.invitation = invitation;
                body.decision = decision;
                "contribute"
            }
            Act::Withdraw => "withdraw",
            Act::Invite(Invitation::Key(key)) => {
                body.key = Some(key);
                "invite_key"
            }
            Act::Invite(Invitation::Secret(hash)) => {
                body.invitation = Some(hash);
                "invite_secret"
            }
            Act::Cancel => "cancel",
        };
        body.act = word.to_owned();
        Ok(self.client.act(&now.id, &body).await?)
    }

    /// Puts a text forward; one that accepts a charter comes with the signature over its consensus.
    pub(crate) async fn contribute(
        &self,
        now: &NegotiationBody,
        wording: &Wording,
        invitation: Option<&InvitationText>,
    ) -> Result<NegotiationBody, Failure> {
        let mut decision = None;
        if wording.accept {
            for part in wording.parts.iter().filter(|part| part.resource == Resource::Charter) {
                let id = charter_text(part).map_err(|e| refused(e.to_string()))?.id()?;
                self.signs("charter", &part.id, &id.to_string())?;
                decision = Some(sign_decision(&self.identity, &id));
            }
        }
        let invitation = invitation.map(InvitationText::hash);
        self.act(now, Act::Contribute { text: wording.to_text()?, invitation, decision }).await
    }

    /// Invites by a new one-time secret.
    pub(crate) async fn invite(&self, now: &NegotiationBody) -> Result<(NegotiationBody, InvitationText), Failure> {
        let mut secret = [0; 32];
        random::fill(&mut secret)?;
        let invitation = InvitationText { negotiation: now.id.parse()?, secret: URL_SAFE_NO_PAD.encode(secret) };
        let after = self.act(now, Act::Invite(Invitation::Secret(invitation.hash()))).await?;
        Ok((after, invitation))
    }

    /// Everything that was put forward, superseded texts too.
    pub(crate) async fn history(&self, id: &str) -> Result<Vec<ContributionBody>, Failure> {
        let at = SystemClock.now();
        let negotiation: NegotiationId = id.parse()?;
        self.signs("negotiation-history", id, &history_message(&negotiation, at)?)?;
        let signature = sign_history(&self.identity, &negotiation, at)?;
        let request = HistoryRequest { signer: self.key(), at, signature };
        Ok(self.client.negotiation_history(id, &request).await?)
    }
}

/// A first text about a group: its present charter, changed.
pub(crate) fn charter_wording(
    negotiation: &str,
    current: &Consensus,
    change: impl FnOnce(&mut Charter) -> Result<(), Failure>,
) -> Result<Wording, Failure> {
    let mut charter = current.charter().clone();
    change(&mut charter)?;
    charter.check().map_err(|e| Failure::usage(e.to_string()))?;
    let part = charter_part(Some(current), &charter, SystemClock.now())?;
    Ok(Wording {
        negotiation: negotiation.parse()?,
        accept: false,
        parts: vec![part],
        signers: Default::default(),
        accepted: Default::default(),
        rejected: Default::default(),
    })
}

/// A part of a text that changes nothing by itself, without parameters yet.
pub(crate) fn statement_part(title: &str) -> Part {
    Part {
        resource: Resource::Statement,
        id: title.to_owned(),
        on_last_consensus: None,
        sequence: None,
        proposed_at: SystemClock.now().0,
        terms: BTreeMap::new(),
        duties: Vec::new(),
    }
}

/// A first text about anything else than a group.
pub(crate) fn statement(negotiation: &str, title: &str) -> Result<Wording, Failure> {
    Ok(Wording {
        negotiation: negotiation.parse()?,
        accept: false,
        parts: vec![statement_part(title)],
        signers: Default::default(),
        accepted: Default::default(),
        rejected: Default::default(),
    })
}

/// The same text with other values; what each actor does follows from them.
pub(crate) fn with_terms(mut wording: Wording, values: &[(String, Value)]) -> Result<Wording, Failure> {
    for (name, value) in values {
        // A text of one part needs no `1/` in front.
        let found = name
            .split_once('/')
            .and_then(|(part, rest)| Some((part.parse::<usize>().ok()?.checked_sub(1)?, rest.to_owned())))
            .unwrap_or((0, name.clone()));
        let part =
            wording.parts.get_mut(found.0).ok_or_else(|| Failure::usage(format!("there is no part for {name}")))?;
        part.terms.insert(found.1, value.clone());
    }
    for part in wording.parts.iter_mut().filter(|part| part.resource == Resource::Charter) {
        complete_configuration(&mut part.terms);
        let charter = charter_of(&part.terms).map_err(|e| Failure::usage(e.to_string()))?;
        put_charter(part, &charter)?;
    }
    Ok(unanswered(wording))
}

/// Whoever sets one parameter of a configuration that is not there yet means the usual ones beside it. Large
/// numbers are texts in a charter; as numbers they are meant the same.
fn complete_configuration(terms: &mut BTreeMap<String, Value>) {
    if !terms.keys().any(|name| name.starts_with("configuration/")) {
        return;
    }
    // "None yet" is not beside what is set.
    if terms.get("configuration").is_some_and(Value::is_null) {
        terms.remove("configuration");
    }
    let usual = [
        ("field", json!(usual::FIELD)),
        ("aggregator", json!(usual::AGGREGATOR)),
        ("time_slots", json!(usual::SLOTS)),
        ("result_buffer_size", json!(usual::RESULT_BUFFER_SIZE)),
    ];
    for (name, value) in usual {
        terms.entry(format!("configuration/{name}")).or_insert(value);
    }
    for name in ["configuration/field", "configuration/max_element"] {
        if let Some(value) = terms.get_mut(name).filter(|value| value.is_u64()) {
            *value = json!(value.to_string());
        }
    }
}

/// The same text with another charter.
pub(crate) fn with_charter(
    mut wording: Wording,
    change: impl FnOnce(&mut Charter) -> Result<(), Failure>,
) -> Result<Wording, Failure> {
    let part = wording.parts.iter_mut().find(|part| part.resource == Resource::Charter);
    let part = part.ok_or_else(|| Failure::usage("this text is about no charter"))?;
    let mut charter = charter_of(&part.terms).map_err(|e| Failure::usage(e.to_string()))?;
    change(&mut charter)?;
    charter.check().map_err(|e| Failure::usage(e.to_string()))?;
    put_charter(part, &charter)?;
    Ok(unanswered(wording))
}

fn put_charter(part: &mut Part, charter: &Charter) -> Result<(), Failure> {
    part.terms = tacit_accord::negotiation::charter_terms(charter)?;
    part.duties = tacit_accord::negotiation::duties(charter);
    Ok(())
}

/// A text that was changed is a new proposal.
fn unanswered(mut wording: Wording) -> Wording {
    wording.accept = false;
    wording.accepted.clear();
    wording.rejected.clear();
    wording
}

/// The text of a contribution, read and checked: the one of this number, or the newest.
pub(crate) fn text_of(now: &NegotiationBody, number: Option<u32>) -> Result<(ContributionBody, Wording), Failure> {
    let chosen = match number {
        Some(number) => now.contributions.iter().find(|c| c.number == number),
        None => now.contributions.iter().max_by_key(|c| c.number),
    };
    let chosen =
        chosen.ok_or_else(|| Failure::usage("nobody has put such a text forward; see `tacit negotiation show`"))?;
    let wording = Wording::read(&chosen.text).map_err(|e| refused(e.to_string()))?;
    if wording.negotiation.to_string() != now.id {
        return Err(refused("the gateway shows a text of another negotiation"));
    }
    Ok((chosen.clone(), wording))
}

/// What was agreed, checked signature by signature, and its id recomputed.
pub(crate) fn agreement_of(now: &NegotiationBody) -> Result<Option<(Agreement, Wording)>, Failure> {
    let Some(document) = &now.agreement else { return Ok(None) };
    let agreement: Agreement = serde_json::from_str(document)?;
    let wording = agreement.verify().map_err(|e| refused(e.to_string()))?;
    let id = agreement.id()?.to_string();
    let decided = agreement.decided().map(|id| id.to_string());
    if now.consensus.as_deref() != Some(&id) || decided != now.decided || agreement.negotiation.to_string() != now.id {
        return Err(refused("the consensus does not have the id that the gateway shows: it was altered"));
    }
    Ok(Some((agreement, wording)))
}

/// A registry, checked against its own documents, a pinned manager key and the consensus that was last seen.
pub(crate) fn checked_registry(
    served: &RegistryBody,
    manager: Option<&str>,
    last_seen: Option<ConsensusId>,
) -> Result<Vec<Consensus>, Failure> {
    if manager.is_some_and(|pinned| pinned != served.manager_key) {
        return Err(refused("the registry is under another manager key than the one you know"));
    }
    let manager = PublicKey::from_base64(&served.manager_key).map_err(|e| refused(e.to_string()))?;
    let chain = verify_chain(&served.documents, &manager, last_seen).map_err(|e| refused(e.to_string()))?;
    let last = chain.last().ok_or_else(|| refused("the registry shows no consensus"))?;
    if last.id().to_string() != served.consensus || last.charter().group != served.gid {
        return Err(refused("the registry names another consensus than its documents end with"));
    }
    let charter = last.charter();
    if served.owners != charter.owners || served.joint_id != charter.joint_id() {
        return Err(refused("the registry names other owners than its signed documents: it was tampered with"));
    }
    let proven = tacit_accord::registry(&chain);
    let same = proven.len() == served.parties.len()
        && proven.iter().zip(&served.parties).all(|(p, s)| {
            p.name == s.name
                && p.fingerprint == s.fingerprint
                && p.operator == s.operator
                && role(s.role) == p.role
                && p.layer == s.layer
                && p.endpoint == s.endpoint
                && p.admitted_by.to_string() == s.admitted_by
        });
    if !same {
        return Err(refused("the registry lists other parties than its signed documents: it was tampered with"));
    }
    Ok(chain)
}

/// Where whoever knows this negotiation reads the group's registry: its owners, their joint id, its parties.
pub(crate) fn registry_url(client: &Client, negotiation: &str) -> String {
    format!("{}/api/v1/negotiations/{negotiation}/registry", client.base_url().trim_end_matches('/'))
}

/// A candidate of the registry as a member of a charter.
pub(crate) fn candidate(served: &RegistryBody, name: &str) -> Result<Member, Failure> {
    let found = served.candidates.iter().find(|candidate| candidate.name == name);
    let found = found.ok_or_else(|| Failure::usage(format!("nobody called {name} has registered and waits")))?;
    Ok(Member {
        name: found.name.clone(),
        fingerprint: found
            .fingerprint
            .ok_or_else(|| Failure::usage(format!("{name} registered without a certificate")))?,
        operator: found.operator.clone(),
        role: role(found.role),
        endpoint: found.endpoint.clone(),
    })
}

fn role(role: PeerRole) -> MemberRole {
    match role {
        PeerRole::Input => MemberRole::Input,
        PeerRole::Privacy => MemberRole::Privacy,
        PeerRole::Both => MemberRole::Both,
        PeerRole::Recipient => MemberRole::Recipient,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_parameter_of_a_configuration_brings_the_usual_others() {
        let set = |pairs: &[(&str, Value)]| {
            let mut terms: BTreeMap<String, Value> = pairs.iter().map(|(n, v)| ((*n).to_owned(), v.clone())).collect();
            complete_configuration(&mut terms);
            terms
        };
        let untouched = set(&[("configuration", Value::Null), ("threshold", json!(1))]);
        assert_eq!(untouched.get("configuration"), Some(&Value::Null));
        let new = set(&[
            ("configuration", Value::Null),
            ("configuration/items", json!(2)),
            ("configuration/max_element", json!(100)),
        ]);
        assert!(!new.contains_key("configuration"));
        assert_eq!(new["configuration/max_element"], json!("100"));
        assert_eq!(new["configuration/field"], json!(usual::FIELD.to_string()));
        assert_eq!(new["configuration/time_slots"], json!(-1));
        // What is there already is not touched.
        let changed = set(&[("configuration/time_slots", json!(4)), ("configuration/field", json!("257"))]);
        assert_eq!((&changed["configuration/time_slots"], &changed["configuration/field"]), (&json!(4), &json!("257")));
    }

    #[test]
    fn keys_of_any_length_are_shortened() {
        for key in [
            "",
            "a",
            "MCowBQYDK2VwAyEA",
            "MCowBQYDK2VwAyEA6zihyGHpobcL5bLYJ2PfFoYHle6Wtk7HPPws8pE1xQQ=",
            &"\u{e9}".repeat(40),
        ] {
            assert!(short_key(key).len() <= key.len() + 2);
        }
    }
}
