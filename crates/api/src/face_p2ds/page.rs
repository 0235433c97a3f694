//! The group manager's overview page: nine forms, no scripts.
//!
//! The old page asked nobody for a key. This one asks once (by a form, or `?adminKey=` as the manual
//! says) and then knows its visitor by a cookie; every form carries the session's token.

mod view;

use axum::Form;
use axum::Router;
use axum::extract::rejection::FormRejection;
use axum::extract::{DefaultBodyLimit, RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{Redirect, Response};
use axum::routing::{get, post};
use std::collections::BTreeMap;
use tacit_accord::Configuration;
use tacit_gateway::MemberView;
use tacit_model::GroupId;

use super::MANAGER;
use super::manager::{buffer_size, set_configuration, start_error};
use super::session::{same_token, set_cookie};
use super::words::{Answer, FaceError, group_error, peer_error};
use crate::edge::App;
use crate::extract::Args;
use crate::html::page;
use crate::native::SHORT;

pub(super) fn routes() -> Router<App> {
    let forms = [
        ("createGroup", post(create_group)),
        ("startPeers", post(start_peers)),
        ("stopPeers", post(stop_peers)),
        ("deleteGroup", post(delete_group)),
        ("createRegistration", post(create_registration)),
        ("setConfiguration", post(set_configuration_form)),
        ("verifyPeer", post(verify_peer)),
        ("deletePeer", post(delete_peer)),
        ("deleteRegistration", post(delete_registration)),
        ("login", post(login)),
        ("logout", post(logout)),
    ];
    let router = Router::new().route(MANAGER, get(with_slash)).route(&format!("{MANAGER}/"), get(overview));
    // A form tells who sends it in its body.
    let router =
        forms.into_iter().fold(router, |router, (name, methods)| router.route(&format!("{MANAGER}/{name}"), methods));
    router.layer(DefaultBodyLimit::max(SHORT))
}

async fn with_slash(RawQuery(query): RawQuery) -> Redirect {
    let query = query.map(|query| format!("?{query}")).unwrap_or_default();
    Redirect::permanent(&format!("{MANAGER}/{query}"))
}

async fn overview(State(app): State<App>, headers: HeaderMap, args: Args) -> Response {
    let now = app.edge.clock.now();
    if let Some(key) = args.get("adminKey") {
        return if app.is_admin_key(key) { enter(&app).await } else { view::login(StatusCode::FORBIDDEN, true) };
    }
    match app.sessions.token(&headers, now) {
        Some(token) => show(&app, &token).await,
        None => view::login(StatusCode::FORBIDDEN, false),
    }
}

/// Opens a session and shows its first page.
async fn enter(app: &App) -> Response {
    let opened = match app.sessions.open(app.edge.clock.now()) {
        Ok(opened) => opened,
        Err(error) => {
            return view::outcome(&Err(FaceError::from_below(
                crate::problem::ApiError::internal(&error),
                FaceError::data,
            )));
        }
    };
    let mut response = show(app, &opened.token).await;
    let https = app.edge.options.public_url.starts_with("https:");
    if let Ok(cookie) = HeaderValue::from_str(&set_cookie(&opened.cookie, https)) {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    response
}

async fn show(app: &App, token: &str) -> Response {
    let groups = match app.manager() {
        Ok(gateway) => gateway.groups().await.map_err(group_error),
        Err(error) => Err(error),
    };
    match groups {
        Ok(groups) => page(StatusCode::OK, "Status", &view::overview(&groups, token)),
        Err(error) => view::outcome(&Err(error)),
    }
}

async fn login(State(app): State<App>, form: Fields) -> Response {
    if app.is_admin_key(form.text("adminKey")) { enter(&app).await } else { view::login(StatusCode::FORBIDDEN, true) }
}

async fn logout(State(app): State<App>, headers: HeaderMap, form: Fields) -> Response {
    if form.permitted(&app, &headers) {
        app.sessions.close(&headers);
        return view::login(StatusCode::OK, false);
    }
    view::wrong_token()
}

/// The fields of a form.
struct Fields(BTreeMap<String, String>);

impl<S: Send + Sync> axum::extract::FromRequest<S> for Fields {
    type Rejection = Response;

    async fn from_request(request: axum::extract::Request, state: &S) -> Result<Self, Response> {
        let fields: Result<Form<Vec<(String, String)>>, FormRejection> = Form::from_request(request, state).await;
        match fields {
            Ok(Form(fields)) => Ok(Self(fields.into_iter().collect())),
            Err(_) => Err(view::outcome(&Err(FaceError::data("the form cannot be read")))),
        }
    }
}

impl Fields {
    fn text(&self, name: &str) -> &str {
        self.0.get(name).map(String::as_str).unwrap_or_default()
    }

    fn number<T: core::str::FromStr>(&self, name: &str) -> Answer<T> {
        self.text(name).trim().parse().map_err(|_| FaceError::data(format!("{name} must be a number in its range")))
    }

    fn group(&self) -> Answer<GroupId> {
        self.number("gid").map(GroupId)
    }

    /// Whether the form came from a page of the visitor's own session.
    fn permitted(&self, app: &App, headers: &HeaderMap) -> bool {
        let token = app.sessions.token(headers, app.edge.clock.now());
        token.is_some_and(|token| same_token(self.text("token"), &token))
    }
}

/// Makes the handler of one form: checks the token, does the work, shows the outcome.
macro_rules! form {
    ($name:ident, |$app:ident, $fields:ident| $work:expr) => {
        async fn $name(State($app): State<App>, headers: HeaderMap, $fields: Fields) -> Response {
            if !$fields.permitted(&$app, &headers) {
                return view::wrong_token();
            }
            let done: Answer<String> = async { $work }.await;
            view::outcome(&done)
        }
    };
}

form!(create_group, |app, fields| {
    app.manager()?.create_group(fields.text("name")).await.map_err(group_error)?;
    Ok("Group has been created!".to_owned())
});

form!(start_peers, |app, fields| {
    let gateway = app.manager()?;
    let gid = fields.group()?;
    gateway.group(gid).await.map_err(group_error)?;
    gateway.start_group(gid).await.map_err(start_error)?;
    Ok("Peers have been started!".to_owned())
});

form!(stop_peers, |app, fields| {
    let gateway = app.manager()?;
    let gid = fields.group()?;
    gateway.group(gid).await.map_err(group_error)?;
    gateway.stop_group(gid).await.map_err(group_error)?;
    Ok("Peers have been stopped!".to_owned())
});

form!(delete_group, |app, fields| {
    app.manager()?.delete_group(fields.group()?).await.map_err(group_error)?;
    Ok("Group has been deleted!".to_owned())
});

form!(create_registration, |app, fields| {
    let code = app.manager()?.invite(fields.group()?).await.map_err(group_error)?;
    Ok(format!("Success! Registration code: {code}"))
});

form!(set_configuration_form, |app, fields| {
    let configuration = Configuration {
        field: fields.text("field").trim().to_owned(),
        max_element: fields.text("maxelement").trim().to_owned(),
        aggregator: fields.text("mpcprotocol").trim().to_owned(),
        items: fields.number("numberofitems")?,
        time_slots: fields.number("numberoftimeslots")?,
        result_buffer_size: buffer_size(fields.number("resultbuffersize")?)?,
        parameters: Default::default(),
    };
    set_configuration(app.manager()?, fields.group()?, configuration).await?;
    Ok("Configuration has been set!".to_owned())
});

form!(verify_peer, |app, fields| {
    let member = member_by_pid(&app, &fields).await?;
    let verified = fields.text("verified").eq_ignore_ascii_case("true");
    // The page showed a fingerprint next to the button: that one is verified, and no other.
    if let Some(shown) = fields.0.get("fingerprint")
        && verified
        && *shown != member.fingerprint.map(|f| f.to_string()).unwrap_or_default()
    {
        return Err(FaceError::data("the peer's fingerprint changed since the page was loaded; compare it again"));
    }
    app.manager()?.verify(&member.name, verified).await.map_err(peer_error)?;
    Ok(format!("Peer has been marked as {}", if verified { "verified" } else { "unverified" }))
});

form!(delete_peer, |app, fields| {
    let member = member_by_pid(&app, &fields).await?;
    app.manager()?.delete_member(&member.name).await.map_err(peer_error)?;
    Ok("Peer has been deleted!".to_owned())
});

form!(delete_registration, |app, fields| {
    let done = app.manager()?.withdraw_code(fields.text("registrationCode")).await;
    done.map_err(|e| FaceError::from_below(e, FaceError::not_found))?;
    Ok("Registration code has been deleted!".to_owned())
});

async fn member_by_pid(app: &App, fields: &Fields) -> Answer<MemberView> {
    let pid: i64 = fields.number("pid")?;
    let groups = app.manager()?.groups().await.map_err(group_error)?;
    let member = groups.into_iter().flat_map(|group| group.members).find(|member| member.pid == pid);
    member.ok_or_else(|| FaceError::no_peer("there is no such peer"))
}
