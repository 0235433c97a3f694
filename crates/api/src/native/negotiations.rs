//! Negotiations. Who signs an act needs no token; who knows a negotiation's id may read it.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
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

/// So much of texts, in bytes, a list of negotiations holds: the newest ones have theirs.
const LISTED: usize = 16 << 20;
/// What a text or a key takes besides.
const APART: usize = 300;

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
    let negotiations = match (args.get("consensus"), args.number("group")?) {
        (Some(consensus), _) => match gateway.negotiation(consensus).await {
            Ok(view) if view.agreement.as_deref() == Some(consensus) || view.decided.as_deref() == Some(consensus) => {
                vec![negotiation_body(&view)?]
            }
            Ok(_) | Err(tacit_gateway::GatewayError::NotFound(_)) => Vec::new(),
            Err(error) => return Err(error.into()),
        },
        (None, Some(group)) if caller.may(Role::Viewer, Some(GroupId(group))) => {
            let (mut bodies, mut room) = (Vec::new(), LISTED);
            let list = |view: &NegotiationView| bodies.push(negotiation_body(view).map(|body| within(body, &mut room)));
            gateway.negotiations(GroupId(group), list).await?;
            bodies.reverse();
            bodies.into_iter().collect::<Result<_, _>>()?
        }
        _ => {
            let detail = "must filter by consensus; with a token also by group";
            return Err(ApiError::new(ProblemKind::Forbidden, detail));
        }
    };
    Ok(Json(NegotiationList { negotiations }))
}

/// A negotiation of a list; without what it holds of texts and signers once there is no room for that.
fn within(body: NegotiationBody, room: &mut usize) -> NegotiationBody {
    let texts = body.contributions.iter().map(|contribution| contribution.text.len() + APART).sum::<usize>();
    let keys = (body.turns.len() + body.pending.len()) * APART;
    match room.checked_sub(texts + keys + body.agreement.as_ref().map_or(0, String::len)) {
        Some(left) => {
            *room = left;
            body
        }
        None => NegotiationBody {
            contributions: Vec::new(),
            pending: Vec::new(),
            turns: BTreeMap::new(),
            agreement: None,
            cut: true,
            ..body
        },
    }
}

/// Whoever waits for others asks often, and has read the texts: they do not travel again before something has changed.
pub(super) async fn get(
    State(app): State<App>,
    PathOf(id): PathOf<String>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let body = negotiation_body(&app.gateway()?.negotiation(&id).await?)?;
    let tag = [(header::ETAG, body.tag())];
    let known = headers.get(header::IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == tag[0].1.as_bytes());
    Ok(if known { (StatusCode::NOT_MODIFIED, tag).into_response() } else { (tag, Json(body)).into_response() })
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
        cut: false,
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

#[cfg(test)]
mod tests {
    use tacit_model::UnixMillis;

    use super::*;

    /// With three contributions of so many bytes each.
    fn body(length: usize) -> NegotiationBody {
        let contribution = |number| ContributionBody {
            number,
            at: UnixMillis(0),
            signer: "k".to_owned(),
            text: "x".repeat(length),
            accepts: false,
            live: true,
            turn: 1,
            signature: String::new(),
        };
        NegotiationBody {
            contributions: (1..=3).map(contribution).collect(),
            pending: vec!["k".to_owned()],
            turns: [("k".to_owned(), 3)].into(),
            consensus: Some("c".to_owned()),
            agreement: Some("x".repeat(length)),
            ..NegotiationBody::new("n", "k", UnixMillis(0), UnixMillis(1))
        }
    }

    #[test]
    fn a_list_of_negotiations_is_bounded_in_size() {
        let mut room = 9_000;
        let whole = |body: &NegotiationBody| !body.contributions.is_empty() && body.agreement.is_some();
        let listed: Vec<_> = [1_000, 1_000, 1].map(|length| within(body(length), &mut room)).into();
        assert_eq!(listed.iter().map(whole).collect::<Vec<_>>(), [true, false, true]);
        assert_eq!(room, 9_000 - 5_500 - 1_504);
        let line = &listed[1];
        assert_eq!((line.id.as_str(), line.status.as_str(), line.consensus.as_deref()), ("n", "open", Some("c")));
        assert!(line.pending.is_empty() && line.turns.is_empty() && line.agreement.is_none());
        // Nobody takes it for one that nobody has to sign.
        assert_eq!([0, 1, 2].map(|at| listed[at].cut), [false, true, false]);
        assert_eq!(serde_json::to_value(line).expect("JSON")["cut"], true);
        assert!(
            serde_json::to_value(&listed[0]).expect("JSON").get("cut").is_none(),
            "as before where nothing is left out"
        );
    }
}
