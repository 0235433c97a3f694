//! Who calls, and whether it may: before any operation of `/api/v1` runs.

use axum::body::{Body, Bytes, HttpBody as _};
use axum::extract::{FromRequest as _, FromRequestParts, RawPathParams, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tacit_accord::log::Kind;
use tacit_gateway::{Client, Denied, Shown, client_of};
use tacit_model::api::Role;
use tacit_model::problem::ProblemKind;
use tacit_model::{Fingerprint, GroupId};
use tacit_pki::token::ApiToken;

use crate::auth::fingerprint;
use crate::edge::App;
use crate::extract::{body_refused, is_json};
use crate::problem::ApiError;
use crate::reach::About;
use crate::revocation::until_revoked;
use crate::serve::ShownCertificate;

/// Who asks.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    known: Client,
    /// Under this name its tasks are kept.
    pub(crate) client: String,
}

impl Caller {
    /// What it may do.
    pub(crate) fn known(&self) -> &Client {
        &self.known
    }

    pub(crate) fn role(&self) -> Role {
        self.known.role()
    }

    /// What it showed.
    fn kind(&self) -> &'static str {
        if self.known.is_certificate() { "certificate" } else { "token" }
    }

    /// What is shown again later, to hear whether it still holds.
    pub(crate) fn shown(&self) -> Shown {
        self.known.shown()
    }
}

/// One operation as its guard knows it.
#[derive(Clone)]
pub(crate) struct Gate {
    pub(crate) app: App,
    /// The least role.
    pub(crate) role: Role,
    /// The name under which it stands in the audit log.
    pub(crate) logged: Option<&'static str>,
    /// What it is about, for callers with limits.
    pub(crate) about: About,
    /// Whether it is for those, too, who ask for tasks and decide nothing.
    pub(crate) asks: bool,
    /// Whether its answer may go on for long.
    pub(crate) streams: bool,
}

/// What an operation did, for the audit log: where the address does not say it.
#[derive(Clone, Debug)]
pub(crate) struct Did {
    /// To whom or what.
    pub(crate) on: String,
    /// The role that was given.
    pub(crate) role: Role,
}

/// Lets callers pass that have at least this role, and whose limits the operation is within. What is done by an
/// operation with a name here is in the audit log, with the id of the token, before it is answered.
pub(crate) async fn require(State(gate): State<Gate>, params: RawPathParams, request: Request, next: Next) -> Response {
    let (caller, request) = match admitted(&gate, &params, request).await {
        Ok(admitted) => admitted,
        Err(error) => return error.into_response(),
    };
    let response = next.run(request).await;
    if !response.status().is_success() {
        return response;
    }
    let did = response.extensions().get::<Did>().cloned();
    if let Some(operation) = gate.logged
        && let Err(error) = log_call(&gate.app, &caller, operation, &params, did).await
    {
        return error.into_response();
    }
    if gate.streams { until_revoked(gate.app, caller, response) } else { response }
}

/// The caller, and the request for the handler. Who may not speak is not listened to. Who may takes its time to send a
/// body, and may have lost its token when the last byte comes: so it is looked at before the body and after it.
async fn admitted(gate: &Gate, params: &RawPathParams, request: Request) -> Result<(Caller, Request), ApiError> {
    let (mut head, mut body) = request.into_parts();
    let mut caller = admit(gate, params, &head).await?;
    if !head.method.is_safe() && !body.is_end_stream() {
        // The limit of the body is in the head.
        let bytes = Bytes::from_request(Request::from_parts(head.clone(), body), &()).await.map_err(body_refused)?;
        body = Body::from(bytes);
        caller = admit(gate, params, &head).await?;
    }
    head.extensions.insert(caller.clone());
    Ok((caller, Request::from_parts(head, body)))
}

async fn admit(gate: &Gate, params: &RawPathParams, head: &Parts) -> Result<Caller, ApiError> {
    let caller = identified(&gate.app, head).await?.ok_or_else(nobody)?;
    if caller.role() < gate.role {
        let why = match caller.known.only_asks() {
            true => "; with limits on sets, purposes or aggregators it asks for tasks and decides nothing",
            false => "",
        };
        let detail = format!("this needs a token of role {} or higher{why}", gate.role.word());
        return Err(ApiError::new(ProblemKind::Forbidden, detail));
    }
    if !gate.asks && caller.known.is_asker() {
        let detail = "who asks for tasks sees results and how many took part, not who is there or what they do; `tacit token \
                      create viewer` without limits makes a token that looks and asks for nothing";
        return Err(ApiError::new(ProblemKind::Forbidden, detail));
    }
    gate.about.within(&gate.app, &caller, params).await?;
    Ok(caller)
}

async fn log_call(
    app: &App,
    caller: &Caller,
    operation: &str,
    params: &RawPathParams,
    did: Option<Did>,
) -> Result<(), ApiError> {
    // A registration code is a secret, used or not; and who knows a negotiation's id may read it.
    const SECRET: [&str; 2] = ["code", "negotiation"];
    let on: Vec<&str> = params.iter().filter(|(name, _)| !SECRET.contains(name)).map(|(_, value)| value).collect();
    let role = did.as_ref().map(|did| ("role", did.role.word().to_owned()));
    let on = did.map_or_else(|| on.join(" "), |did| did.on);
    let by = format!("{} {}", caller.kind(), &caller.known.id().to_string()[..16]);
    let facts = [("action", operation.to_owned()), ("by", by), ("on", on)];
    app.edge.log.append(Kind::Action, tacit_audit::facts(facts.into_iter().chain(role))).await?;
    Ok(())
}

/// The caller of an operation that everybody may use, if it is somebody.
pub(crate) struct MaybeCaller(pub(crate) Option<Caller>);

impl MaybeCaller {
    /// Whether it may do something of this role about this group. Who may only ask sees nobody, here as elsewhere.
    pub(crate) fn may(&self, role: Role, group: Option<GroupId>) -> bool {
        let may = |caller: &Caller| caller.role() >= role && caller.known.reaches(group) && !caller.known.is_asker();
        self.0.as_ref().is_some_and(may)
    }

    /// The same caller as of now: for operations that waited for a body since they looked.
    pub(crate) async fn again(self, app: &App) -> Result<Self, ApiError> {
        match self.0 {
            Some(caller) => Ok(Self(known(app, caller.shown()).await?)),
            None => Ok(Self(None)),
        }
    }
}

impl FromRequestParts<App> for MaybeCaller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        Ok(Self(identified(app, parts).await?))
    }
}

fn nobody() -> ApiError {
    let detail = "send Authorization: Bearer with a token, or show an admitted certificate over https; the first `tacit \
                  serve` writes the owner's token, an owner issues others";
    ApiError::new(ProblemKind::Unauthenticated, detail)
}

/// For an Authorization in which no token is.
fn no_token(value: &HeaderValue) -> ApiError {
    // An empty file, or a variable that is not set: white space at the end of a header is not sent.
    if value.to_str().is_ok_and(|text| text.trim().eq_ignore_ascii_case("bearer")) {
        let detail = "the token that was sent is empty: look into the file or the variable that it is read from";
        return ApiError::new(ProblemKind::Unauthenticated, detail);
    }
    nobody()
}

/// Who asks: by the token, if one is sent, else by the certificate. Nobody, if there is no token and the certificate is
/// none that was ever admitted. A token that is no good is refused, whatever certificate is beside it.
async fn identified(app: &App, head: &Parts) -> Result<Option<Caller>, ApiError> {
    let shown = match (head.headers.get(header::AUTHORIZATION), head.extensions.get()) {
        (None, None) => return Ok(None),
        (None, Some(ShownCertificate(key))) => Shown::Certificate(*key),
        (Some(value), _) => {
            let id = value.to_str().ok().and_then(token_id);
            Shown::Token(id.ok_or_else(|| no_token(value))?)
        }
    };
    let caller = known(app, shown).await?;
    if caller.as_ref().is_some_and(|caller| caller.known.is_certificate())
        && head.method == Method::POST
        && !is_json(&head.headers)
    {
        // A browser shows its certificate whoever's page makes it ask. Of what pages may send unasked, only POST
        // changes anything, and never with this type.
        let detail = "with a certificate and no token send Content-Type: application/json, also without a body";
        return Err(ApiError::new(ProblemKind::UnsupportedMediaType, detail));
    }
    Ok(caller)
}

/// Whose that is; nobody's, if it is a certificate that was never admitted.
async fn known(app: &App, shown: Shown) -> Result<Option<Caller>, ApiError> {
    match client_of(&app.edge.store, shown).await {
        Ok(known) => {
            let client = known.id().to_string();
            Ok(Some(Caller { known, client }))
        }
        Err(Denied::Unknown(_)) if matches!(shown, Shown::Certificate(_)) => Ok(None),
        Err(Denied::Store(error)) => Err(error.into()),
        Err(denied @ Denied::Revoked(_)) => {
            let detail = format!("{denied}; an owner can issue a token, or admit another certificate");
            Err(ApiError::new(ProblemKind::Unauthenticated, detail))
        }
        Err(_) => Err(nobody()),
    }
}

/// By what the store knows the token of a header's value.
fn token_id(value: &str) -> Option<Fingerprint> {
    let (scheme, text) = value.split_once(' ')?;
    let token = scheme.eq_ignore_ascii_case("bearer").then(|| ApiToken::parse(text.trim()).ok())??;
    fingerprint(&token.hash()).ok()
}
