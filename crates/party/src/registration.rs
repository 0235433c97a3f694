//! Joining a group: the call of the P2DS manual, with a key of its own and proof of possession.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer};
use serde_json::json;
use tacit_accord::MemberRole;
use tacit_job::{pairing_digest, registration_proof};
use tacit_model::api::PairingState;
use tacit_model::{Fingerprint, GroupId};
use tacit_pki::envelope::{Context, sign_detached};
use tacit_pki::https::NoAddress;
use tacit_pki::{Identity, PublicKey, comparison_code};
use tacit_store::{PartyRow, PeerType, Redacted, Store};

use crate::PartyError;
use crate::http::{HttpError, HttpPoster};
use crate::standing::Standing;

/// What it takes to become a member.
#[derive(Clone, Debug)]
pub struct JoinRequest {
    /// The group management's address, such as `http://localhost:12001/p2ds-group-management/group-mgmt`.
    pub base_url: String,
    /// The invitation. A secret until it is used.
    pub code: Redacted<String>,
    /// The name in the group, also on this node.
    pub name: String,
    /// What to do there.
    pub role: MemberRole,
    /// Where this peer's HTTP edge is.
    pub url: String,
    /// Who runs this peer; the name if empty.
    pub operator: String,
    /// A key of the older system, kept as a label.
    pub label_key: Option<String>,
    /// Where this node's link port is, `host:port`; empty if it only dials.
    pub endpoint: String,
    /// Where results are posted to.
    pub final_results_url: Option<String>,
    /// The gateway's certificate, if it is known from elsewhere: nobody else is believed.
    pub gateway: Option<Fingerprint>,
    /// Whether the gateway's certificate is known from elsewhere than a hint of the network. If not, nothing is
    /// computed before this peer's operator has compared it.
    pub compared: bool,
    /// A key that lies in the node's key folder already; a new one is made if absent.
    pub key: Option<Fingerprint>,
}

/// A member that was accepted, and what is pinned from now on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Joined {
    /// The group at its gateway.
    pub group: GroupId,
    /// The name there.
    pub name: String,
    /// The role there.
    pub role: MemberRole,
    /// Where the gateway knows this peer's HTTP edge.
    pub url: String,
    /// 0 unknown, 1 started, 2 error, 3 stopped.
    pub last_status: i64,
    /// The gateway's certificate, pinned.
    pub gateway: Fingerprint,
    /// Where the gateway's link port is.
    pub endpoints: Vec<String>,
    /// What the operators of both sides read to each other to make sure that nobody is in between: over
    /// the member's certificate, the gateway's, and the manager key.
    pub comparison: String,
}

/// Registers at a gateway. When this returns, the party and what it pins are durable; it can be opened.
pub async fn register(
    http: &HttpPoster,
    store: &Store,
    identity: &Identity,
    request: JoinRequest,
) -> Result<Joined, PartyError> {
    if store.party(&request.name).await?.is_some() {
        return Err(PartyError::NameTaken(request.name));
    }
    let mut url = http.check(&request.base_url)?;
    let not_an_address = |()| HttpError::from(NoAddress::Other(request.base_url.clone()));
    url.path_segments_mut().map_err(not_an_address)?.pop_if_empty().extend(["register", &*request.code]);
    url.query_pairs_mut()
        .append_pair("url", &request.url)
        .append_pair("name", &request.name)
        .append_pair("type", type_number(request.role));
    let body = json!({
        "fingerprint": identity.fingerprint(),
        "endpoint": request.endpoint,
        "operator": request.operator,
        "public_key": identity.public_key().to_base64(),
        "label_key": request.label_key,
        "gateway": request.gateway,
        "proof": STANDARD.encode(sign_detached(identity, Context::Message, &registration_proof(&request.code, &request.name))),
    });
    let answer = http.post_json(url, &[("accept", "application/json")], body.to_string().into_bytes()).await?;
    if let Some(leading) = answer.follows {
        return Err(PartyError::Follows { leading });
    }
    let reply = read_answer(answer.status, &answer.body)?;
    let joined = check_reply(identity, &request, reply)?;
    store.put_party(row(identity, request, &joined)?).await?;
    Ok(joined.0)
}

/// The reply in the form of the P2DS manual, whose numbers may be texts.
#[derive(Deserialize)]
struct Reply {
    #[serde(deserialize_with = "number")]
    gid: i64,
    #[serde(rename = "lastStatus", default, deserialize_with = "number")]
    last_status: i64,
    #[serde(rename = "peerName")]
    peer_name: String,
    #[serde(rename = "peerType", deserialize_with = "number")]
    peer_type: i64,
    url: String,
    gateway: GatewayReply,
}

#[derive(Deserialize)]
struct GatewayReply {
    fingerprint: Fingerprint,
    endpoints: Vec<String>,
    manager_key: String,
}

fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Either {
        Number(i64),
        Text(String),
    }
    match Either::deserialize(deserializer)? {
        Either::Number(number) => Ok(number),
        Either::Text(text) => text.parse().map_err(serde::de::Error::custom),
    }
}

/// What the words of the manual mean; newer gateways say it as problem+json.
fn read_answer(status: u16, body: &[u8]) -> Result<Reply, PartyError> {
    if (200..300).contains(&status) {
        return serde_json::from_slice(body).map_err(|e| PartyError::Answer(e.to_string()));
    }
    let text = String::from_utf8_lossy(&body[..body.len().min(500)]).into_owned();
    let detail = serde_json::from_slice::<serde_json::Value>(body)
        .ok()
        .and_then(|problem| problem.get("detail")?.as_str().map(str::to_owned));
    Err(match status {
        _ if text.contains("ERR_INV_REG_CODE") => PartyError::RegistrationCode,
        409 => PartyError::Conflict,
        404 if detail.as_ref().is_none_or(|detail| detail.contains("registration code")) => {
            PartyError::RegistrationCode
        }
        503 => PartyError::Unavailable(detail.unwrap_or_else(|| "status 503".to_owned())),
        500.. => PartyError::Answer(detail.unwrap_or_else(|| format!("status {status} {}", text.trim()))),
        _ => PartyError::Refused(detail.unwrap_or_else(|| format!("status {status} {}", text.trim()))),
    })
}

fn check_reply(identity: &Identity, request: &JoinRequest, reply: Reply) -> Result<(Joined, String), PartyError> {
    let answer = |what: &str| PartyError::Answer(what.to_owned());
    PublicKey::from_base64(&reply.gateway.manager_key)?;
    let role = role_of(reply.peer_type).ok_or_else(|| answer("the role is unknown"))?;
    if reply.peer_name != request.name || role != request.role {
        return Err(answer("it registered somebody else"));
    }
    if request.gateway.is_some_and(|told| told != reply.gateway.fingerprint) {
        return Err(answer("the gateway has another certificate than the one that it was told to have"));
    }
    if reply.gateway.endpoints.is_empty() {
        return Err(answer("it names no address of its link port"));
    }
    let joined = Joined {
        group: GroupId(reply.gid),
        name: reply.peer_name,
        role,
        url: reply.url,
        last_status: reply.last_status,
        gateway: reply.gateway.fingerprint,
        endpoints: reply.gateway.endpoints,
        comparison: comparison_code(
            identity.fingerprint(),
            pairing_digest(&reply.gateway.fingerprint, &reply.gateway.manager_key),
        ),
    };
    Ok((joined, reply.gateway.manager_key))
}

fn row(
    identity: &Identity,
    request: JoinRequest,
    (joined, manager_key): &(Joined, String),
) -> Result<PartyRow, PartyError> {
    let standing = Standing {
        manager_key: manager_key.clone(),
        endpoints: joined.endpoints.clone(),
        role: joined.role,
        run: None,
        stopped: None,
        unflushed: Default::default(),
        pairing: PairingState::Waiting,
        gateway_compared: request.compared,
        labels: Default::default(),
        policy: None,
        epoch: 0,
        among: Vec::new(),
        gateways: Vec::new(),
        former: Vec::new(),
        receipts: Default::default(),
    };
    Ok(PartyRow {
        name: request.name,
        peer_type: match joined.role {
            MemberRole::Privacy => PeerType::Privacy,
            MemberRole::Both => PeerType::Both,
            _ => PeerType::Input,
        },
        gateway_url: request.base_url,
        gateway_fingerprint: Some(joined.gateway),
        gid: Some(joined.group),
        registration_code: request.code,
        final_results_url: request.final_results_url,
        label_key: request.label_key,
        fingerprint: Some(identity.fingerprint()),
        state: standing.to_text()?,
    })
}

/// The numbers of the manual, and 3 and 4 for what it does not know.
fn type_number(role: MemberRole) -> &'static str {
    match role {
        MemberRole::Input => "1",
        MemberRole::Privacy => "2",
        MemberRole::Both => "3",
        MemberRole::Recipient => "4",
    }
}

fn role_of(number: i64) -> Option<MemberRole> {
    match number {
        1 => Some(MemberRole::Input),
        2 => Some(MemberRole::Privacy),
        3 => Some(MemberRole::Both),
        4 => Some(MemberRole::Recipient),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_the_manual_become_errors() {
        let error = |status, body: &str| read_answer(status, body.as_bytes()).err();
        assert!(matches!(error(400, "ERR_INV_REG_CODE"), Some(PartyError::RegistrationCode)));
        assert!(matches!(
            error(404, "{\"detail\":\"there is no such registration code\"}"),
            Some(PartyError::RegistrationCode)
        ));
        assert!(matches!(error(404, "{\"detail\":\"this node is no gateway\"}"), Some(PartyError::Refused(_))));
        assert!(matches!(error(409, "{\"detail\":\"a peer of this name exists\"}"), Some(PartyError::Conflict)));
        assert!(matches!(error(200, "hello"), Some(PartyError::Answer(_))));
        assert!(matches!(error(403, "{\"detail\":\"no\"}"), Some(PartyError::Refused(why)) if why == "no"));
        // Whose words they are is said, and they are one line.
        let told = error(403, "{\"detail\":\"no\\u001b[2J\\nnow run: rm\"}").expect("refused").to_string();
        assert_eq!(told, "the gateway refused: no[2Jnow run: rm");
        assert!(matches!(error(503, "ERR_SERVER"), Some(PartyError::Unavailable(_))));
        assert!(matches!(error(500, "ERR_SERVER"), Some(PartyError::Answer(why)) if why == "status 500 ERR_SERVER"));
    }

    #[test]
    fn numbers_may_be_texts() {
        let text = r#"{"gid":"1","lastStatus":0,"peerName":"a:b","peerType":"2","publicKey":null,"url":"u",
            "gateway":{"fingerprint":"0101010101010101010101010101010101010101010101010101010101010101",
            "endpoints":["127.0.0.1:1"],"manager_key":"x"}}"#;
        let reply = read_answer(200, text.as_bytes()).expect("a reply");
        assert_eq!((reply.gid, reply.peer_type, reply.peer_name.as_str()), (1, 2, "a:b"));
    }
}
