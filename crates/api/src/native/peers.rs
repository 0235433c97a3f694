use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use tacit_accord::log::{Checkpoint, Kind};
use tacit_model::api::{
    JobList, JoinBody, PairingBody, PairingDecision, PeerBody, PeerList, RosterBody, RosterMember, SettleBody,
    TroubleBody, WitnessBody,
};
use tacit_model::check_name;
use tacit_model::problem::ProblemKind;
use tacit_pki::p2ds_key::LegacyKey;
use tacit_store::Redacted;

use crate::desk::{JoinRequest, PartyFacts, PartyRoster};
use crate::edge::App;
use crate::extract::{Args, JsonBody, PathOf};
use crate::native::members::{member_role, peer_role, standing};
use crate::problem::ApiError;

pub(super) async fn join(
    State(app): State<App>,
    JsonBody(body): JsonBody<JoinBody>,
) -> Result<(StatusCode, Json<PeerBody>), ApiError> {
    let desk = app.parties()?;
    check_name(&body.name)?;
    let label_key = match body.label_key.as_deref() {
        Some(text) => Some(LegacyKey::from_base64(text).map_err(|e| ApiError::invalid(format!("label_key: {e}")))?),
        None => None,
    };
    let request = JoinRequest {
        gateway_url: body.gateway_url,
        gateway_fingerprint: body.gateway_fingerprint,
        code: Redacted(body.registration_code),
        name: body.name,
        role: member_role(body.role),
        url: app.peer_url(),
        operator: body.operator.unwrap_or_default(),
        label_key: label_key.map(|key| key.to_base64()),
        final_results_url: body.final_results_url.filter(|url| !url.is_empty()),
        key: body.key,
    };
    let facts = (desk.join)(request).await?;
    Ok((StatusCode::CREATED, Json(peer_body(facts))))
}

pub(super) async fn list(State(app): State<App>) -> Result<Json<PeerList>, ApiError> {
    let peers = (app.parties()?.list)(()).await?;
    Ok(Json(PeerList { peers: peers.into_iter().map(peer_body).collect() }))
}

pub(super) async fn get(State(app): State<App>, PathOf(name): PathOf<String>) -> Result<Json<PeerBody>, ApiError> {
    Ok(Json(peer_body((app.parties()?.get)(name).await?)))
}

pub(super) async fn delete(State(app): State<App>, PathOf(name): PathOf<String>) -> Result<StatusCode, ApiError> {
    (app.parties()?.remove)(name).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn start(State(app): State<App>, PathOf(name): PathOf<String>) -> Result<Json<PeerBody>, ApiError> {
    let desk = app.parties()?;
    (desk.start)(name.clone()).await?;
    Ok(Json(peer_body((desk.get)(name).await?)))
}

pub(super) async fn stop(State(app): State<App>, PathOf(name): PathOf<String>) -> Result<Json<PeerBody>, ApiError> {
    let desk = app.parties()?;
    (desk.stop)(name.clone()).await?;
    Ok(Json(peer_body((desk.get)(name).await?)))
}

/// The peer's side of pairing: its operator compared the gateway, or leaves it.
pub(super) async fn pair(
    State(app): State<App>,
    PathOf(name): PathOf<String>,
    JsonBody(body): JsonBody<PairingBody>,
) -> Result<Json<PeerBody>, ApiError> {
    let desk = app.parties()?;
    if body.decision != PairingDecision::Approve {
        let detail = "a peer approves its gateway or leaves it: DELETE /api/v1/peers/{name}";
        return Err(ApiError::invalid(detail));
    }
    if body.fingerprint.is_some() == body.comparison_code.is_some() {
        let detail = "name what you compared with the gateway's operator: either fingerprint or comparison_code";
        return Err(ApiError::invalid(detail));
    }
    (desk.compare)((name.clone(), body.fingerprint, body.comparison_code)).await?;
    Ok(Json(peer_body((desk.get)(name).await?)))
}

pub(super) async fn roster(State(app): State<App>, PathOf(name): PathOf<String>) -> Result<Json<RosterBody>, ApiError> {
    let PartyRoster { consensus, last_job } = (app.parties()?.roster)(name).await?;
    let members = consensus.iter().flat_map(|consensus| &consensus.charter().members);
    let members = members
        .map(|member| RosterMember {
            name: member.name.clone(),
            fingerprint: member.fingerprint,
            operator: member.operator.clone(),
            role: peer_role(member.role),
            endpoint: member.endpoint.clone(),
        })
        .collect();
    Ok(Json(RosterBody {
        consensus: consensus.as_ref().map(|consensus| consensus.id().to_string()),
        document: consensus.as_ref().map(tacit_accord::Consensus::to_document),
        threshold: consensus.as_ref().map(|consensus| consensus.charter().threshold),
        members,
        last_job,
    }))
}

/// Most jobs in one list.
const JOBS: u32 = 100;

pub(super) async fn jobs(
    State(app): State<App>,
    PathOf(name): PathOf<String>,
    args: Args,
) -> Result<Json<JobList>, ApiError> {
    Ok(Json(JobList { jobs: (app.parties()?.jobs)((name, args.at_most(JOBS)?)).await? }))
}

pub(super) async fn witness(
    State(app): State<App>,
    PathOf(name): PathOf<String>,
) -> Result<Json<WitnessBody>, ApiError> {
    let facts = (app.parties()?.get)(name.clone()).await?;
    let log = facts.gateway_fingerprint.ok_or_else(|| ApiError::not_found("gateway of this peer"))?;
    let seen = app.edge.store.witnessed(&name, log).await?;
    let disputed = seen.as_ref().and_then(|seen| seen.disputed.clone());
    Ok(Json(WitnessBody { log, checkpoint: seen.map(|seen| seen.note), disputed }))
}

/// The evidence and the reason are in this node's log before anything else happens.
pub(super) async fn settle(
    State(app): State<App>,
    PathOf(name): PathOf<String>,
    JsonBody(body): JsonBody<SettleBody>,
) -> Result<Json<WitnessBody>, ApiError> {
    const LONGEST: usize = 1000;
    let facts = (app.parties()?.get)(name.clone()).await?;
    let log = facts.gateway_fingerprint.ok_or_else(|| ApiError::not_found("gateway of this peer"))?;
    let reason = body.reason.trim();
    if reason.is_empty() || reason.len() > LONGEST || reason.chars().any(char::is_control) {
        return Err(ApiError::invalid("reason: one line of up to 1000 bytes that says why the log is believed again"));
    }
    let seen = app.edge.store.witnessed(&name, log).await?;
    let Some((seen, disputed)) = seen.and_then(|seen| seen.disputed.clone().map(|disputed| (seen, disputed))) else {
        return Err(ApiError::new(ProblemKind::Conflict, "there is no dispute to settle"));
    };
    // It was signed by the gateway, or there would be no dispute.
    let head = Checkpoint::unverified(&disputed).map_err(|e| ApiError::invalid(e.to_string()))?;
    if disputed.lines().nth(2) != Some(body.accept.trim()) {
        let detail = "accept: not the root of the disputed head; see `tacit peer witness NAME` and compare it with the                       other members'";
        return Err(ApiError::invalid(detail));
    }
    let entry = tacit_audit::facts([
        ("party", facts.fingerprint.map(|own| own.to_string()).unwrap_or_default()),
        ("log", log.to_string()),
        ("settled", reason.to_owned()),
        ("known", seen.note),
        ("shown", disputed.clone()),
    ]);
    app.edge.log.append(Kind::Witness, entry).await?;
    if !app.edge.store.settle_witnessed(&name, log, &disputed, head.size, app.edge.clock.now()).await? {
        return Err(ApiError::new(ProblemKind::Conflict, "the dispute has changed meanwhile; look again"));
    }
    Ok(Json(WitnessBody { log, checkpoint: Some(disputed), disputed: None }))
}

fn peer_body(facts: PartyFacts) -> PeerBody {
    PeerBody {
        name: facts.name,
        role: peer_role(facts.role),
        gid: facts.gid,
        comparison_code: facts.comparison,
        gateway_compared: facts.gateway_compared,
        fingerprint: facts.fingerprint,
        gateway_url: facts.gateway_url,
        gateway_fingerprint: facts.gateway_fingerprint,
        final_results_url: facts.final_results_url,
        label_key: facts.label_key,
        pairing: facts.pairing,
        status: standing(facts.status),
        connected: facts.connected,
        run: facts.run,
        queued: facts.queued,
        last_error: facts.last_error,
        last_error_at: facts.last_error_at.map(|at| at.to_rfc3339()),
        earlier_errors: facts
            .earlier_errors
            .into_iter()
            .map(|(at, what)| TroubleBody { at: at.to_rfc3339(), what })
            .collect(),
    }
}
