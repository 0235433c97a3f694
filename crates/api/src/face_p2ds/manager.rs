//! `/p2ds-group-management/group-mgmt`: the group manager's calls.

use axum::Json;
use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::routing::{get, post};
use serde::Deserialize;
use serde_json::{Value, json};
use tacit_accord::Configuration;
use tacit_gateway::{Gateway, GroupView, MemberView};
use tacit_model::GroupId;
use tacit_model::problem::ProblemKind;
use tacit_pki::p2ds_key::LegacyKey;

use super::words::{
    Admin, Answer, Body, ERR_SUCCESS, FaceError, OK, PathText, Scalar, group_error, natural, peer_error,
};
use super::{MANAGER, both};
use crate::auth::same_secret;
use crate::edge::{App, Shared};
use crate::extract::Args;
use crate::native::{SHORT, peer_info, peer_role, register_with};

pub(super) fn routes() -> Router<App> {
    let paths = [
        ("/testmode", post(test_mode)),
        ("/group", post(create_group)),
        ("/group/{gid}", get(get_group).delete(delete_group)),
        // One path, two meanings: a group's number for POST, a code for DELETE.
        ("/registration/{what}", post(create_registration).delete(delete_registration)),
        ("/register/{code}", post(register).layer(DefaultBodyLimit::max(SHORT))),
        ("/publicKey/{name}", post(public_key).layer(DefaultBodyLimit::max(SHORT))),
        ("/peer/{name}", get(get_peer).delete(delete_peer)),
        ("/verify/{name}", post(verify)),
        ("/configuration", post(configure)),
        ("/configuration/{name}", get(configuration)),
        ("/groupInfo/{name}", get(group_info)),
        ("/start/{gid}", post(start)),
        ("/stop/{gid}", post(stop)),
        ("/status/{name}", post(set_status)),
        ("/status", get(status)),
        ("/receive", post(receive)),
    ];
    let base = format!("{MANAGER}/group-mgmt");
    paths.into_iter().fold(Router::new(), |router, (path, methods)| both(router, &format!("{base}{path}"), methods))
}

impl Shared {
    pub(super) fn manager(&self) -> Answer<&Gateway> {
        self.edge.gateway.as_ref().ok_or_else(|| FaceError::not_found("this node is no group manager"))
    }

    /// A member that identifies itself by its registration code.
    async fn member_by_code(&self, name: &str, args: &Args) -> Answer<MemberView> {
        let member = self.manager()?.member(name).await.map_err(peer_error)?;
        if same_secret(&member.registration_code, args.text("registrationCode")) {
            Ok(member)
        } else {
            Err(FaceError::reg_code("wrong or no registrationCode"))
        }
    }

    /// Sets whether new codes are `TEST`.
    async fn switch_test_mode(&self, on: bool) -> Answer<()> {
        if on && !self.edge.options.test_mode_allowed {
            let refused = FaceError::data("this node was not started with the test mode allowed");
            return Err(refused.with_status(axum::http::StatusCode::FORBIDDEN));
        }
        self.manager()?.set_test_mode(on).await.map_err(group_error)
    }
}

async fn test_mode(State(app): State<App>, args: Args) -> Answer<&'static str> {
    app.admin(&args)?;
    app.switch_test_mode(args.truth("on")).await?;
    Ok(ERR_SUCCESS)
}

#[derive(Deserialize)]
struct GroupName {
    name: String,
}

async fn create_group(State(app): State<App>, _: Admin, body: Body) -> Answer<Json<Value>> {
    let new: GroupName = body.json()?;
    Ok(Json(group(&app.manager()?.create_group(&new.name).await.map_err(group_error)?)))
}

async fn get_group(State(app): State<App>, gid: PathText, args: Args) -> Answer<Json<Value>> {
    app.admin(&args)?;
    let gid = gid.group(FaceError::not_found)?;
    let view = app.manager()?.group(gid).await.map_err(|e| FaceError::from_below(e, FaceError::not_found))?;
    Ok(Json(group(&view)))
}

/// The old system says 403 for an unknown group here, and scripts may look for it.
async fn delete_group(State(app): State<App>, gid: PathText, args: Args) -> Answer<&'static str> {
    app.admin(&args)?;
    let missing = |detail| FaceError::no_group(detail).with_status(axum::http::StatusCode::FORBIDDEN);
    let gid = gid.group(missing)?;
    app.manager()?.delete_group(gid).await.map_err(|e| FaceError::from_below(e, missing))?;
    Ok(ERR_SUCCESS)
}

async fn create_registration(State(app): State<App>, gid: PathText, args: Args) -> Answer<Json<Value>> {
    app.admin(&args)?;
    let gid = gid.group(FaceError::no_group)?;
    let code = app.manager()?.invite(gid).await.map_err(group_error)?;
    Ok(Json(json!({ "gid": gid.to_string(), "registrationCode": code })))
}

async fn delete_registration(State(app): State<App>, code: PathText, args: Args) -> Answer<&'static str> {
    app.admin(&args)?;
    let done = app.manager()?.withdraw_code(&code.0).await;
    done.map_err(|e| FaceError::from_below(e, FaceError::not_found))?;
    Ok(ERR_SUCCESS)
}

async fn register(State(app): State<App>, code: PathText, args: Args, body: Body) -> Answer<Json<Value>> {
    app.manager()?;
    let receipt = register_with(&app, &code.0, &args, &body.0).await;
    let receipt = receipt.map_err(|error| match error.kind() {
        ProblemKind::NotFound => FaceError::reg_code(error.detail()),
        _ => FaceError::from_below(error, FaceError::reg_code),
    })?;
    Ok(Json(json!(receipt)))
}

async fn public_key(State(app): State<App>, name: PathText, args: Args, body: Body) -> Answer<Json<Value>> {
    let member = app.member_by_code(&name.0, &args).await?;
    let text = body.text().map_err(|_| FaceError::cert("the body is not UTF-8"))?;
    let key = LegacyKey::from_base64(text).map_err(|e| FaceError::cert(e.to_string()))?;
    let member = app.manager()?.set_label_key(&member.name, &key.to_base64()).await.map_err(peer_error)?;
    Ok(Json(natural(&peer_info(&member))))
}

async fn get_peer(State(app): State<App>, name: PathText, args: Args) -> Answer<Json<Value>> {
    app.admin(&args)?;
    Ok(Json(peer(&app.manager()?.member(&name.0).await.map_err(peer_error)?)))
}

async fn delete_peer(State(app): State<App>, name: PathText, args: Args) -> Answer<&'static str> {
    app.admin(&args)?;
    app.manager()?.delete_member(&name.0).await.map_err(peer_error)?;
    Ok(ERR_SUCCESS)
}

async fn verify(State(app): State<App>, name: PathText, args: Args) -> Answer<Json<Value>> {
    app.admin(&args)?;
    let member = app.manager()?.verify(&name.0, args.truth("verified")).await.map_err(peer_error)?;
    Ok(Json(peer(&member)))
}

/// The seven fields of the manual.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct GroupConfigurationInfo {
    field: Scalar,
    gid: Scalar,
    max_element: Scalar,
    mpc_protocol: String,
    number_of_items: Scalar,
    number_of_time_slots: Scalar,
    #[serde(default)]
    result_buffer_size: Option<Scalar>,
}

async fn configure(State(app): State<App>, _: Admin, body: Body) -> Answer<Json<Value>> {
    let info: GroupConfigurationInfo = body.json()?;
    let gid = GroupId(info.gid.integer("gid")?);
    let buffer: i64 = info.result_buffer_size.as_ref().map_or(Ok(1), |size| size.integer("resultBufferSize"))?;
    let configuration = Configuration {
        field: info.field.text(),
        max_element: info.max_element.text(),
        aggregator: info.mpc_protocol,
        items: info.number_of_items.integer("numberOfItems")?,
        time_slots: info.number_of_time_slots.integer("numberOfTimeSlots")?,
        result_buffer_size: buffer_size(buffer)?,
        parameters: Default::default(),
    };
    let view = set_configuration(app.manager()?, gid, configuration).await?;
    configuration_of(&view).map(Json)
}

/// A size below 1 means 1, as in the old system.
pub(super) fn buffer_size(size: i64) -> Answer<u32> {
    u32::try_from(size.max(1)).map_err(|_| FaceError::data("resultBufferSize is too large"))
}

/// Sets what a group computes; the same for the call and for the form.
pub(super) async fn set_configuration(
    gateway: &Gateway,
    gid: GroupId,
    configuration: Configuration,
) -> Answer<GroupView> {
    gateway.group(gid).await.map_err(group_error)?;
    gateway.configure(gid, configuration).await.map_err(group_error)?;
    gateway.group(gid).await.map_err(group_error)
}

async fn configuration(State(app): State<App>, name: PathText, args: Args) -> Answer<Json<Value>> {
    let member = app.member_by_code(&name.0, &args).await?;
    let view = app.manager()?.group(member.group).await.map_err(group_error)?;
    configuration_of(&view).map(Json)
}

async fn group_info(State(app): State<App>, name: PathText, args: Args) -> Answer<Json<Value>> {
    let member = app.member_by_code(&name.0, &args).await?;
    let members = app.manager()?.members(member.group).await.map_err(group_error)?;
    let peers: Vec<Value> = members.iter().map(|member| natural(&peer_info(member))).collect();
    Ok(Json(json!({ "peers": peers })))
}

async fn start(State(app): State<App>, gid: PathText, args: Args) -> Answer<&'static str> {
    app.admin(&args)?;
    let gid = gid.group(FaceError::no_group)?;
    let gateway = app.manager()?;
    gateway.group(gid).await.map_err(group_error)?;
    gateway.start_group(gid).await.map_err(start_error)?;
    Ok(ERR_SUCCESS)
}

/// A group that cannot run as it is: the caller's data are not complete.
pub(super) fn start_error(error: tacit_gateway::GatewayError) -> FaceError {
    match error {
        tacit_gateway::GatewayError::Refused(why) => FaceError::data(why),
        other => group_error(other),
    }
}

async fn stop(State(app): State<App>, gid: PathText, args: Args) -> Answer<&'static str> {
    app.admin(&args)?;
    let gid = gid.group(FaceError::no_group)?;
    let gateway = app.manager()?;
    gateway.group(gid).await.map_err(group_error)?;
    gateway.stop_group(gid).await.map_err(group_error)?;
    Ok(ERR_SUCCESS)
}

async fn set_status(State(app): State<App>, name: PathText, args: Args) -> Answer<&'static str> {
    let member = app.member_by_code(&name.0, &args).await?;
    let status = args.text("status").parse().map_err(|_| FaceError::data("status must be a number"))?;
    app.manager()?.set_status(&member.name, status).await.map_err(peer_error)?;
    Ok(ERR_SUCCESS)
}

async fn status() -> &'static str {
    OK
}

/// The old manager took anybody's data here and wrote them to its log.
async fn receive() -> FaceError {
    FaceError::not_found("results belong to the receiver: post them to its /p2ds-receiver/receiver/receive")
}

fn group(view: &GroupView) -> Value {
    json!({ "gid": view.group.to_string(), "name": view.name })
}

/// The whole member, for the administrator. `fingerprint` is what has to be compared before it is
/// verified; the old system had none.
fn peer(member: &MemberView) -> Value {
    json!({
        "pid": member.pid.to_string(),
        "gid": member.group.to_string(),
        "peerName": member.name,
        "peerType": peer_role(member.role).number().to_string(),
        "url": member.url,
        "publicKey": member.label_key,
        "registrationCode": member.registration_code,
        "lastStatus": member.last_status.to_string(),
        "verified": member.verified,
        "fingerprint": member.fingerprint,
    })
}

fn configuration_of(view: &GroupView) -> Answer<Value> {
    let Some(configuration) = &view.charter.configuration else {
        return Err(FaceError::no_group_config("the group has no configuration yet"));
    };
    Ok(json!({
        "field": configuration.field,
        "gid": view.group.to_string(),
        "maxElement": configuration.max_element,
        "mpcProtocol": configuration.aggregator,
        "numberOfItems": configuration.items.to_string(),
        "numberOfTimeSlots": configuration.time_slots.to_string(),
        "resultBufferSize": configuration.result_buffer_size.to_string(),
    }))
}
