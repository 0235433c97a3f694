//! Negotiations. Who signs an act needs no token; who knows a negotiation's id may read it.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use tacit_accord::negotiation::{Act, Contribution, Invitation, OpeningRequest, SignedAct, Status};
use tacit_gateway::{NegotiationView, RegistryView};
use tacit_model::GroupId;
use tacit_model::api::{
    CandidateBody, ContributionBody, ContributionList, HistoryRequest, ManagerAccept, NegotiationAct, NegotiationBody,
    NegotiationList, OpenNegotiation, RegistryBody, RegistryEntry, Role,
};
use tacit_model::problem::ProblemKind;

use crate::caller::MaybeCaller;
use crate::edge::App;
use crate::extract::{Args, JsonBody, PathOf};
use crate::native::members::peer_role;
use crate::problem::ApiError;

pub(super) async fn open(
    State(app): State<App>,
    caller: MaybeCaller,
    JsonBody(body): JsonBody<OpenNegotiation>,
) -> Result<(StatusCode, Json<NegotiationBody>), ApiError> {
    let by_operator = caller.again(&app).await?.may(Role::Operator, body.group);
    let request = OpeningRequest {
        gateway: body.gateway,
        title: body.title,
        group: body.group.map(|group| group.0),
        expires: body.expires,
        invited: body.invited,
        nonce: body.nonce,
    };
    let view = app.gateway()?.open_negotiation(request, body.opener, &body.signature, by_operator).await?;
    Ok((StatusCode::CREATED, Json(negotiation_body(&view)?)))
}

pub(super) async fn list(
    State(app): State<App>,
    caller: MaybeCaller,
    args: Args,
) -> Result<Json<NegotiationList>, ApiError> {
    let gateway = app.gateway()?;
    let views = match (args.get("consensus"), args.number("group")?) {
        (Some(consensus), _) => match gateway.negotiation(consensus).await {
            Ok(view) if view.agreement.as_deref() == Some(consensus) || view.decided.as_deref() == Some(consensus) => {
                vec![view]
            }
            Ok(_) | Err(tacit_gateway::GatewayError::NotFound(_)) => Vec::new(),
            Err(error) => return Err(error.into()),
        },
        (None, Some(group)) if caller.may(Role::Viewer, Some(GroupId(group))) => {
            gateway.negotiations(GroupId(group)).await?
        }
        _ => {
            let detail = "must filter by consensus; with a token also by group";
            return Err(ApiError::new(ProblemKind::Forbidden, detail));
        }
    };
    let negotiations = views.iter().map(negotiation_body).collect::<Result<_, _>>()?;
    Ok(Json(NegotiationList { negotiations }))
}

pub(super) async fn get(State(app): State<App>, PathOf(id): PathOf<String>) -> Result<Json<NegotiationBody>, ApiError> {
    Ok(Json(negotiation_body(&app.gateway()?.negotiation(&id).await?)?))
}

pub(super) async fn act(
    State(app): State<App>,
    PathOf(id): PathOf<String>,
    JsonBody(body): JsonBody<NegotiationAct>,
) -> Result<Json<NegotiationBody>, ApiError> {
    Ok(Json(negotiation_body(&app.gateway()?.act_in_negotiation(&id, signed_act(body)?).await?)?))
}

pub(super) async fn accept_as_manager(
    State(app): State<App>,
    PathOf(id): PathOf<String>,
    JsonBody(body): JsonBody<ManagerAccept>,
) -> Result<Json<NegotiationBody>, ApiError> {
    Ok(Json(negotiation_body(&app.gateway()?.accept_as_manager(&id, body.contribution).await?)?))
}

pub(super) async fn history(
    State(app): State<App>,
    PathOf(id): PathOf<String>,
    JsonBody(body): JsonBody<HistoryRequest>,
) -> Result<Json<ContributionList>, ApiError> {
    let all = app.gateway()?.negotiation_history(&id, &body.signer, body.at, &body.signature).await?;
    Ok(Json(ContributionList { contributions: all.iter().map(|c| contribution_body(c)).collect() }))
}

pub(super) async fn contribution(
    State(app): State<App>,
    PathOf((id, number)): PathOf<(String, u32)>,
) -> Result<Json<ContributionBody>, ApiError> {
    let view = app.gateway()?.negotiation(&id).await?;
    let found = view.negotiation.live().find(|c| c.number == number).map(contribution_body);
    found.map(Json).ok_or_else(|| ApiError::not_found("present contribution in this negotiation"))
}

/// The registry of the group that a negotiation is about, for those who take part and have no token.
pub(super) async fn registry(
    State(app): State<App>,
    PathOf(id): PathOf<String>,
) -> Result<Json<RegistryBody>, ApiError> {
    let gateway = app.gateway()?;
    let group = gateway.negotiation(&id).await?.group;
    let group = group.ok_or_else(|| ApiError::not_found("group: this negotiation is about none"))?;
    Ok(Json(registry_body(group, gateway.registry(group).await?)))
}

pub(super) async fn registry_of_group(
    State(app): State<App>,
    PathOf(gid): PathOf<i64>,
) -> Result<Json<RegistryBody>, ApiError> {
    Ok(Json(registry_body(GroupId(gid), app.gateway()?.registry(GroupId(gid)).await?)))
}

/// The registry for somebody who was invited and wants to look before registering.
pub(super) async fn registry_for_code(
    State(app): State<App>,
    PathOf(code): PathOf<String>,
) -> Result<Json<RegistryBody>, ApiError> {
    let (group, view) = app.gateway()?.registry_for_code(&code).await?;
    Ok(Json(registry_body(group, view)))
}

fn signed_act(body: NegotiationAct) -> Result<SignedAct, ApiError> {
    let missing = |what: &str| ApiError::invalid(format!("this act needs {what}"));
    let act = match body.act.as_str() {
        "contribute" => Act::Contribute {
            text: body.text.ok_or_else(|| missing("text"))?,
            invitation: body.invitation,
            decision: body.decision,
        },
        "withdraw" => Act::Withdraw,
        "invite_key" => Act::Invite(Invitation::Key(body.key.ok_or_else(|| missing("key"))?)),
        "invite_secret" => {
            let hash = body.invitation.ok_or_else(|| missing("invitation"))?;
            if hash.len() != 64 {
                return Err(ApiError::invalid("invitation is the hash of a secret, 64 hexadecimal digits"));
            }
            Act::Invite(Invitation::Secret(hash))
        }
        "cancel" => Act::Cancel,
        _ => {
            let detail = "act is contribute, withdraw, invite_key, invite_secret or cancel";
            return Err(ApiError::new(ProblemKind::BadRequest, detail));
        }
    };
    Ok(SignedAct { signer: body.signer, turn: body.turn, act, signature: body.signature })
}

fn negotiation_body(view: &NegotiationView) -> Result<NegotiationBody, ApiError> {
    let (negotiation, opening) = (&view.negotiation, view.negotiation.opening());
    let agreement = negotiation.agreement().map(serde_json::to_string).transpose();
    let status = match negotiation.status(view.now) {
        Status::Open => "open",
        Status::Done => "done",
        Status::Expired => "expired",
        Status::Cancelled => "cancelled",
    };
    Ok(NegotiationBody {
        id: opening.id.to_string(),
        title: opening.title.clone(),
        group: view.group,
        status: status.to_owned(),
        opener: opening.opener.clone(),
        opened: opening.at,
        expires: opening.expires,
        deciders: opening.authority.deciders.iter().cloned().collect(),
        quorum: opening.authority.quorum,
        round: negotiation.round(),
        contributions: negotiation.live().map(contribution_body).collect(),
        pending: negotiation.pending().into_iter().collect(),
        open_invitations: negotiation.invitations().filter(|(_, used)| used.is_none()).count(),
        turns: negotiation.turns().clone(),
        consensus: view.agreement.clone(),
        agreement: agreement.map_err(|e| ApiError::internal(&e))?,
        decided: view.decided.clone(),
        outcome: view.outcome.clone(),
    })
}

fn contribution_body(contribution: &Contribution) -> ContributionBody {
    ContributionBody {
        number: contribution.number,
        at: contribution.at,
        signer: contribution.signer.clone(),
        text: contribution.text.clone(),
        accepts: contribution.accepts,
        live: contribution.live,
        turn: contribution.signing.turn,
        signature: contribution.signing.signature.clone(),
    }
}

fn registry_body(gid: GroupId, view: RegistryView) -> RegistryBody {
    let parties = view.parties.into_iter().map(|party| RegistryEntry {
        name: party.name,
        fingerprint: party.fingerprint,
        operator: party.operator,
        role: peer_role(party.role),
        layer: party.layer,
        endpoint: party.endpoint,
        admitted_by: party.admitted_by.to_string(),
    });
    let candidates = view.candidates.into_iter().map(|candidate| CandidateBody {
        name: candidate.name,
        fingerprint: candidate.fingerprint,
        operator: candidate.operator,
        role: peer_role(candidate.role),
        endpoint: candidate.endpoint,
    });
    RegistryBody {
        gid,
        gateway: view.gateway,
        manager_key: view.manager_key,
        consensus: view.consensus,
        owners: view.owners,
        joint_id: view.joint_id,
        parties: parties.collect(),
        candidates: candidates.collect(),
        documents: view.documents,
    }
}
