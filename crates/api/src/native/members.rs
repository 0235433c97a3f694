use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tacit_accord::MemberRole;
use tacit_gateway::{Compared, MemberView, NewMember};
use tacit_model::GroupId;
use tacit_model::api::{
    GatewayPin, MemberBody, MemberList, PairingBody, PairingDecision, PeerInfo, PeerRole, RegisterBody,
    RegisterReceipt, Standing, VerifyBody, VerifyManyBody,
};
use tacit_model::problem::ProblemKind;
use tacit_pki::PublicKey;
use tacit_pki::p2ds_key::LegacyKey;

use crate::caller::Caller;
use crate::edge::App;
use crate::extract::{Args, JsonBody, PathOf, read_json};
use crate::problem::ApiError;

pub(super) async fn list(State(app): State<App>, PathOf(gid): PathOf<i64>) -> Result<Json<MemberList>, ApiError> {
    let group = app.gateway()?.group(GroupId(gid)).await?;
    Ok(Json(MemberList { members: group.members.into_iter().map(member_body).collect() }))
}

pub(super) async fn get(State(app): State<App>, PathOf(name): PathOf<String>) -> Result<Json<MemberBody>, ApiError> {
    Ok(Json(member_body(app.gateway()?.member(&name).await?)))
}

pub(super) async fn delete(State(app): State<App>, PathOf(name): PathOf<String>) -> Result<StatusCode, ApiError> {
    app.gateway()?.delete_member(&name).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn verify(
    State(app): State<App>,
    PathOf(name): PathOf<String>,
    JsonBody(body): JsonBody<VerifyBody>,
) -> Result<Json<MemberBody>, ApiError> {
    let gateway = app.gateway()?;
    let member = if body.verified {
        let Some(compared) = body.fingerprint else {
            return Err(ApiError::invalid("name the fingerprint that you compared with the peer's operator"));
        };
        gateway.approve(&name, &Compared::Fingerprint(compared)).await?
    } else {
        gateway.verify(&name, false).await?
    };
    Ok(Json(member_body(member)))
}

pub(super) async fn verify_many(
    State(app): State<App>,
    PathOf(gid): PathOf<i64>,
    JsonBody(body): JsonBody<VerifyManyBody>,
) -> Result<Json<MemberList>, ApiError> {
    let compared: Vec<_> = body.members.into_iter().map(|member| (member.name, member.fingerprint)).collect();
    let members = app.gateway()?.verify_all(GroupId(gid), &compared).await?;
    Ok(Json(MemberList { members: members.into_iter().map(member_body).collect() }))
}

/// Everybody who registered at this gateway, in all groups.
pub(super) async fn pairings(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
) -> Result<Json<MemberList>, ApiError> {
    let gateway = app.gateway()?;
    let mut members = Vec::new();
    for group in gateway.groups().await?.into_iter().filter(|group| caller.known().reaches(Some(group.group))) {
        members.extend(group.members.into_iter().map(member_body));
    }
    Ok(Json(MemberList { members }))
}

/// An operator's decision about a peer.
pub(super) async fn pair(
    State(app): State<App>,
    PathOf(name): PathOf<String>,
    JsonBody(body): JsonBody<PairingBody>,
) -> Result<Json<MemberBody>, ApiError> {
    let gateway = app.gateway()?;
    let member = match (body.decision, body.fingerprint, body.comparison_code) {
        (PairingDecision::Approve, Some(fingerprint), None) => {
            gateway.approve(&name, &Compared::Fingerprint(fingerprint)).await?
        }
        (PairingDecision::Approve, None, Some(code)) => gateway.approve(&name, &Compared::Code(code)).await?,
        (PairingDecision::Approve, ..) => {
            let detail = "name what you compared with the peer's operator: either fingerprint or comparison_code";
            return Err(ApiError::invalid(detail));
        }
        (PairingDecision::Reject, ..) => gateway.reject(&name, &body.reason).await?,
        (PairingDecision::Revoke, ..) => gateway.revoke(&name, &body.reason).await?,
    };
    Ok(Json(member_body(member)))
}

/// Registers a peer. The body may be left out, as old clients do.
pub(super) async fn register(
    State(app): State<App>,
    PathOf(code): PathOf<String>,
    args: Args,
    body: Result<Bytes, axum::extract::rejection::BytesRejection>,
) -> Result<Json<RegisterReceipt>, ApiError> {
    let body = body.map_err(crate::extract::body_refused)?;
    register_with(&app, &code, &args, &body).await.map(Json)
}

/// The registration of both faces.
pub(crate) async fn register_with(
    app: &App,
    code: &str,
    args: &Args,
    body: &[u8],
) -> Result<RegisterReceipt, ApiError> {
    let gateway = app.gateway()?;
    let body: Option<RegisterBody> = if body.is_empty() { None } else { Some(read_json(body)?) };
    let knows_gateway = body.is_some();
    let body = body.unwrap_or_default();
    if body.gateway.is_some_and(|told| told != gateway.fingerprint()) {
        let detail = format!(
            "this gateway's certificate is {}, and you were told another one: compare it with its operator again; \
             the registration code was not used",
            gateway.fingerprint()
        );
        return Err(ApiError::new(ProblemKind::Refused, detail));
    }
    let kind = args.text("type").parse().ok().and_then(PeerRole::from_number);
    let kind = kind.ok_or_else(|| ApiError::invalid("type is 1 (input), 2 (privacy), 3 (both) or 4 (recipient)"))?;
    let label_key = match &body.label_key {
        Some(text) => Some(LegacyKey::from_base64(text).map_err(|e| ApiError::invalid(format!("label_key: {e}")))?),
        None => None,
    };
    let new = NewMember {
        name: args.text("name").to_owned(),
        role: member_role(kind),
        url: args.text("url").to_owned(),
        operator: body.operator.clone(),
        label_key: label_key.map(|key| key.to_base64()),
        endpoint: body.endpoint.clone(),
        key: key_of(&body)?,
    };
    if new.url.len() > 2000 || new.endpoint.len() > 300 {
        return Err(ApiError::invalid("url or endpoint is too long"));
    }
    let receipt = gateway.register(code, new).await?;
    let gateway = knows_gateway.then_some(GatewayPin {
        fingerprint: receipt.gateway,
        endpoints: receipt.endpoints,
        manager_key: receipt.manager_key,
    });
    Ok(RegisterReceipt { peer: peer_info(&receipt.member), gateway })
}

/// The key a peer registers with and its proof that it holds it: both or neither.
fn key_of(body: &RegisterBody) -> Result<Option<(PublicKey, [u8; 64])>, ApiError> {
    let (key, proof) = match (&body.public_key, &body.proof) {
        (Some(key), Some(proof)) => (key, proof),
        (None, None) if body.fingerprint.is_none() => return Ok(None),
        _ => return Err(ApiError::invalid("public_key and proof belong together")),
    };
    let key = PublicKey::from_base64(key).map_err(|e| ApiError::invalid(format!("public_key: {e}")))?;
    let proof = STANDARD.decode(proof).ok().and_then(|bytes| bytes.try_into().ok());
    let proof: [u8; 64] = proof.ok_or_else(|| ApiError::invalid("proof must be 64 bytes in base64"))?;
    if body.fingerprint.is_some_and(|fingerprint| fingerprint != key.fingerprint()) {
        return Err(ApiError::invalid("fingerprint and public_key do not belong together"));
    }
    Ok(Some((key, proof)))
}

/// A member as other members see it.
pub(crate) fn peer_info(member: &MemberView) -> PeerInfo {
    PeerInfo {
        gid: member.group,
        last_status: member.last_status,
        peer_name: member.name.clone(),
        peer_type: peer_role(member.role).number(),
        public_key: member.label_key.clone(),
        url: member.url.clone(),
    }
}

pub(super) fn member_body(member: MemberView) -> MemberBody {
    MemberBody {
        gid: member.group,
        pid: member.pid,
        name: member.name,
        role: peer_role(member.role),
        url: member.url,
        operator: member.operator,
        label_key: member.label_key,
        fingerprint: member.fingerprint,
        status: standing(member.last_status),
        comparison_code: member.comparison,
        verified: member.verified,
        pairing: member.pairing,
        connected: member.connected,
    }
}

/// The words for the status numbers of the P2DS interface.
pub(crate) fn standing(status: i64) -> Standing {
    match status {
        1 => Standing::Running,
        2 => Standing::StoppedWithError,
        3 => Standing::Stopped,
        _ => Standing::Unknown,
    }
}

pub(crate) fn peer_role(role: MemberRole) -> PeerRole {
    match role {
        MemberRole::Input => PeerRole::Input,
        MemberRole::Privacy => PeerRole::Privacy,
        MemberRole::Both => PeerRole::Both,
        MemberRole::Recipient => PeerRole::Recipient,
    }
}

pub(crate) fn member_role(role: PeerRole) -> MemberRole {
    match role {
        PeerRole::Input => MemberRole::Input,
        PeerRole::Privacy => MemberRole::Privacy,
        PeerRole::Both => MemberRole::Both,
        PeerRole::Recipient => MemberRole::Recipient,
    }
}
