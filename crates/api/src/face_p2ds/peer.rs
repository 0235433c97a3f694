//! `/p2ds-peer`: the peers that this node hosts.

use axum::Json;
use axum::Router;
use axum::body::HttpBody as _;
use axum::extract::{FromRequest, FromRequestParts as _, Request, State};
use axum::routing::{get, post};
use serde::Deserialize;
use serde_json::{Value, json};
use tacit_model::GroupId;
use tacit_model::api::{PeerInfo, PeerRole};
use tacit_party::source::{AboveMax, parse_row};
use tacit_pki::p2ds_key::{LegacyKey, check_private_key};
use tacit_store::Redacted;

use super::words::{Admin, Answer, Body, FaceError, OK, OneOrMany, PathText, SUCCESS, Scalar, natural};
use super::{PEER, both};
use crate::auth::same_secret;
use crate::desk::{JoinRequest, PartyDesk, PartyFacts, TimedRow};
use crate::edge::{App, Shared};
use crate::extract::Args;
use crate::native::{SHORT, member_role, peer_role};

pub(super) fn routes() -> Router<App> {
    let paths = [
        ("/peer", post(create)),
        ("/peer/{name}", get(show).delete(delete)),
        ("/start/{name}", post(start)),
        ("/stop/{name}", post(stop)),
        ("/input", post(input)),
        ("/inputs", post(inputs)),
        ("/message/{recipient}/{sender}/{type}", post(message)),
        ("/status", get(status)),
    ];
    paths.into_iter().fold(Router::new(), |router, (path, methods)| both(router, &format!("{PEER}{path}"), methods))
}

impl Shared {
    fn desk(&self) -> Answer<&PartyDesk> {
        self.edge.parties.as_ref().ok_or_else(|| FaceError::not_found("this node hosts no peers"))
    }

    async fn party(&self, name: &str) -> Answer<PartyFacts> {
        Ok((self.desk()?.get)(name.to_owned()).await?)
    }
}

fn check_code(facts: &PartyFacts, args: &Args) -> Answer<()> {
    let right = same_secret(&facts.registration_code.0, args.text("registrationCode"));
    right.then_some(()).ok_or_else(wrong_code)
}

fn wrong_code() -> FaceError {
    FaceError::reg_code("wrong or no registrationCode")
}

/// A peer's configuration in the words of the manual.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PeerConfigurationInfo {
    #[serde(rename = "finalResultsURL", default)]
    final_results_url: Option<String>,
    #[serde(rename = "groupMgmtURL")]
    group_mgmt_url: String,
    name: String,
    peer_type: Scalar,
    #[serde(default)]
    private_key: Option<String>,
    #[serde(default)]
    public_key: Option<String>,
    registration_code: String,
}

async fn create(State(app): State<App>, _: Admin, body: Body) -> Answer<Json<Value>> {
    let info: PeerConfigurationInfo = body.json()?;
    let role = PeerRole::from_number(info.peer_type.integer("peerType")?);
    let role = role.ok_or_else(|| FaceError::data("peerType is 1 (input) or 2 (privacy)"))?;
    // Both keys are looked at; the private one is wiped by that, since links use keys of their own.
    let given = |key: Option<String>| key.filter(|text| !text.trim().is_empty());
    if let Some(text) = given(info.private_key) {
        check_private_key(text).map_err(|e| FaceError::cert(format!("privateKey: {e}")))?;
    }
    let label_key = match given(info.public_key) {
        Some(text) => Some(LegacyKey::from_base64(&text).map_err(|e| FaceError::cert(format!("publicKey: {e}")))?),
        None => None,
    };
    let request = JoinRequest {
        gateway_url: info.group_mgmt_url,
        gateway_fingerprint: None,
        code: Redacted(info.registration_code),
        name: info.name,
        role: member_role(role),
        url: app.peer_url(),
        operator: String::new(),
        label_key: label_key.map(|key| key.to_base64()),
        final_results_url: info.final_results_url.filter(|url| !url.is_empty()),
        key: None,
    };
    let facts = (app.desk()?.join)(request).await?;
    Ok(Json(natural(&info_of(&facts, &app))))
}

/// The configuration without its private key: nothing here keeps one that could be shown.
async fn show(State(app): State<App>, name: PathText, args: Args) -> Answer<Json<Value>> {
    app.admin(&args)?;
    let facts = app.party(&name.0).await?;
    Ok(Json(json!({
        "finalResultsURL": facts.final_results_url,
        "groupMgmtURL": facts.gateway_url,
        "name": facts.name,
        "peerType": peer_role(facts.role).number().to_string(),
        "privateKey": null,
        "publicKey": facts.label_key,
        "registrationCode": facts.registration_code.0,
    })))
}

async fn delete(State(app): State<App>, name: PathText, args: Args) -> Answer<&'static str> {
    app.admin(&args)?;
    app.party(&name.0).await?;
    (app.desk()?.remove)(name.0).await?;
    Ok(SUCCESS)
}

async fn start(State(app): State<App>, name: PathText, args: Args) -> Answer<Json<Value>> {
    check_code(&app.party(&name.0).await?, &args)?;
    (app.desk()?.start)(name.0.clone()).await?;
    let facts = app.party(&name.0).await?;
    Ok(Json(natural(&info_of(&facts, &app))))
}

async fn stop(State(app): State<App>, name: PathText, args: Args) -> Answer<&'static str> {
    check_code(&app.party(&name.0).await?, &args)?;
    (app.desk()?.stop)(name.0).await?;
    Ok(SUCCESS)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct DataSet {
    peer_name: String,
    data: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct DataSets {
    peer_name: String,
    data: OneOrMany,
}

/// Rows of a peer of this node. Whose they are stands in the body: a long one is read only of somebody who knows the code of
/// one of them.
struct RowsBody(Body);

impl FromRequest<App> for RowsBody {
    type Rejection = FaceError;

    async fn from_request(request: Request, app: &App) -> Answer<Self> {
        let short = u64::try_from(SHORT).unwrap_or(u64::MAX);
        if request.body().size_hint().upper().is_some_and(|bytes| bytes <= short) {
            return Body::from_request(request, app).await.map(Self);
        }
        let (mut parts, body) = request.into_parts();
        let Ok(args) = Args::from_request_parts(&mut parts, app).await;
        let parties = (app.desk()?.list)(()).await?;
        if !parties.iter().any(|facts| check_code(facts, &args).is_ok()) {
            return Err(wrong_code());
        }
        Body::from_request(Request::from_parts(parts, body), app).await.map(Self)
    }
}

async fn input(State(app): State<App>, args: Args, RowsBody(body): RowsBody) -> Answer<&'static str> {
    let set: DataSet = body.json()?;
    queue(&app, &args, set.peer_name, vec![set.data]).await
}

async fn inputs(State(app): State<App>, args: Args, RowsBody(body): RowsBody) -> Answer<&'static str> {
    let sets: DataSets = body.json()?;
    queue(&app, &args, sets.peer_name, sets.data.into_vec()).await
}

/// Queues rows, all or none.
async fn queue(app: &App, args: &Args, name: String, texts: Vec<String>) -> Answer<&'static str> {
    // Whoever does not know a peer's code does not learn whether the peer exists.
    let facts = match app.party(&name).await {
        Err(error) if error.status() == axum::http::StatusCode::NOT_FOUND => {
            return Err(wrong_code());
        }
        other => other?,
    };
    check_code(&facts, args)?;
    if facts.run.is_none() {
        return Err(FaceError::not_running("this peer is not running; start it first"));
    }
    if texts.is_empty() {
        return Err(FaceError::data("data is empty"));
    }
    let rows = texts.into_iter().enumerate().map(|(index, text)| match parse_row(&text, None) {
        Ok(row) => Ok(TimedRow { slot_start: None, row }),
        Err(why) => Err(FaceError::data(format!("row {}: {why}", index + 1))),
    });
    let rows = rows.collect::<Answer<Vec<_>>>()?;
    let kept = (app.desk()?.add_rows)((name, rows, AboveMax::FailsItsRound)).await?;
    ::metrics::counter!("tacit_rows_accepted_total").increment(kept.accepted.try_into().unwrap_or(u64::MAX));
    Ok(SUCCESS)
}

/// Shares travelled here in clear, and messages could be replayed.
async fn message() -> FaceError {
    FaceError::not_found("peers of this system talk over mutually authenticated links, not over this call")
}

async fn status() -> &'static str {
    OK
}

fn info_of(facts: &PartyFacts, app: &App) -> PeerInfo {
    PeerInfo {
        gid: facts.gid.unwrap_or(GroupId(0)),
        last_status: facts.status,
        peer_name: facts.name.clone(),
        peer_type: peer_role(facts.role).number(),
        public_key: facts.label_key.clone(),
        url: app.peer_url(),
    }
}
