//! Tasks of clients: handed in, looked at, watched, cancelled.

use std::convert::Infallible;

use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Json};
use futures_util::stream;
use tacit_gateway::{Gateway, TaskWatch};
use tacit_model::api::{
    DirectoryEntry, DirectoryList, MemberOfferBody, NewTask, OfferList, PingBody, Role, TaskBody, TaskList, TaskWindow,
};
use tacit_model::problem::{Problem, ProblemKind};
use tacit_model::{GroupId, Slot};
use tokio::time::{Instant, timeout_at};

use crate::caller::Caller;
use crate::edge::App;
use crate::extract::{Args, JsonBody, PathOf};
use crate::native::members::peer_role;
use crate::problem::ApiError;

/// Longer keys are not taken.
const MAX_KEY: usize = 200;
/// The id of the event with which a task is over.
const OVER: &str = "over";

pub(super) async fn submit(
    State(app): State<App>,
    Asker { caller, since }: Asker,
    headers: HeaderMap,
    JsonBody(new): JsonBody<NewTask>,
) -> Result<Json<TaskBody>, ApiError> {
    let gateway = app.gateway()?;
    caller.known().may_ask(&new.task)?;
    let key = match headers.get("idempotency-key") {
        None => None,
        Some(key) => {
            let key = key.to_str().ok().filter(|key| (1..=MAX_KEY).contains(&key.len()));
            let bad = || ApiError::new(ProblemKind::BadRequest, "an Idempotency-Key has 1 to 200 ASCII characters");
            Some(key.ok_or_else(bad)?.to_owned())
        }
    };
    let wait = new.wait && new.notify.is_none();
    let watch = gateway.submit_task(new, &caller.client, key).await?;
    if !wait {
        return Ok(Json(watch.now()));
    }
    let id = watch.now().id;
    let Ok(body) = timeout_at(since + app.patience(), watch.ended()).await else {
        // It takes longer than a request may. It has been durable since its first computation began, or before it began
        // to wait for its moment: whoever knows its id finds it.
        return Ok(Json(gateway.task(&id, Some(&caller.client)).await?.now()));
    };
    if body.state == "open" {
        // This gateway stops, or leads no more: that is no answer, and the task is not over.
        let why = format!("this gateway stopped working at the task, which goes on: GET /api/v1/tasks/{}", body.id);
        return Err(ApiError::new(ProblemKind::Unavailable, why).after(1));
    }
    Ok(Json(body))
}

pub(super) async fn list(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    args: Args,
) -> Result<Json<TaskList>, ApiError> {
    let most = args.number("max")?.unwrap_or(100).clamp(1, 1000);
    Ok(Json(TaskList { tasks: app.gateway()?.tasks(whose(&caller), most).await? }))
}

pub(super) async fn get(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    PathOf(id): PathOf<String>,
    args: Args,
) -> Result<Json<TaskBody>, ApiError> {
    let from = args.number("from")?.map(|from| Slot(from.max(0)));
    Ok(Json(app.gateway()?.shown_task(&id, whose(&caller), from).await?))
}

pub(super) async fn cancel(
    State(app): State<App>,
    Asker { caller, .. }: Asker,
    PathOf(id): PathOf<String>,
) -> Result<Json<TaskBody>, ApiError> {
    Ok(Json(app.gateway()?.cancel_task(&id, whose(&caller)).await?))
}

/// Server-sent events: the task as it stands, then after each change with what was computed since, until its end.
///
/// Who lost the stream says with `Last-Event-ID` what it heard last, as browsers do by themselves. They come back to the same
/// address, so that goes before its `from`.
pub(super) async fn events(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    PathOf(id): PathOf<String>,
    args: Args,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let gateway = app.gateway()?.clone();
    let watch = gateway.task(&id, whose(&caller)).await?;
    let first = watch.now();
    let from = args.number("from")?.map(|from| Slot(from.max(0)));
    let after = match headers.get("last-event-id").map(HeaderValue::to_str) {
        // That ends it for a browser, which would come back again and again.
        Some(Ok(OVER)) if first.state != "open" => return Ok(StatusCode::NO_CONTENT.into_response()),
        None | Some(Ok("" | OVER)) => None,
        Some(heard) => {
            let heard = heard.ok().and_then(|heard| heard.parse::<i64>().ok());
            let bad = || ApiError::new(ProblemKind::BadRequest, "Last-Event-ID is the id of an event of this stream");
            Some(Slot(heard.ok_or_else(bad)?.max(-1).saturating_add(1)))
        }
    };
    let next = after.or(from).or(first.windows.first().map(|window| window.window)).unwrap_or(Slot(0));
    let telling = Telling { gateway, watch, next, pending: Some(first) };
    Ok(Sse::new(stream::unfold(Some(telling), Telling::event)).keep_alive(KeepAlive::default()).into_response())
}

/// A task on its way to somebody who may read more slowly than it is computed. In memory are its last computations only: what
/// is not there any more is read from what is durable, and what is not there either is said to be gone.
struct Telling {
    gateway: Gateway,
    watch: TaskWatch,
    /// The computation to be told next.
    next: Slot,
    /// How the task stands, if that is not told to its end yet.
    pending: Option<TaskBody>,
}

impl Telling {
    async fn event(telling: Option<Self>) -> Option<(Result<Event, Infallible>, Option<Self>)> {
        let mut telling = telling?;
        let body = match telling.pending.take() {
            Some(body) => body,
            None => telling.watch.changed().await?,
        };
        match telling.told(body).await {
            Ok(event) => Some((Ok(event), Some(telling))),
            Err(error) => Some((Ok(said("broken", &error)), None)),
        }
    }

    /// One event of how the task stands. What one does not hold is left for the next.
    async fn told(&mut self, mut body: TaskBody) -> Result<Event, ApiError> {
        let ends = |windows: &[TaskWindow]| Some((windows.first()?.window, windows.last()?.window));
        if let Some((_, last)) = ends(&body.windows).filter(|(first, _)| *first > self.next) {
            let mut page = self.gateway.shown_task(&body.id, None, Some(self.next)).await?.windows;
            page.retain(|window| window.window <= last);
            match ends(&page) {
                Some((first, until)) if first == self.next && until < last => {
                    // As it stood then: whoever hears that it is over expects nothing more.
                    let detail = page.last().map(|window| window.detail.clone()).unwrap_or_default();
                    let (id, task, created) = (body.id.clone(), body.task.clone(), body.created.clone());
                    self.next = Slot(until.0.saturating_add(1));
                    self.pending = Some(body);
                    return Ok(told(&TaskBody { id, task, state: "open".to_owned(), detail, created, windows: page }));
                }
                Some((first, _)) if first == self.next => body.windows = page,
                other => {
                    let first = other.or(ends(&body.windows)).map_or(last, |(first, _)| first);
                    let why = format!(
                        "computations {} to {} of this task are not kept here any more; the stream goes on after them",
                        self.next.counted(),
                        first.0
                    );
                    self.next = first;
                    self.pending = Some(body);
                    let gone = said("gone", &ApiError::new(ProblemKind::NotFound, why));
                    return Ok(gone.id(first.0.saturating_sub(1).to_string()));
                }
            }
        }
        body.windows.retain(|window| window.window >= self.next);
        if let Some((_, last)) = ends(&body.windows) {
            self.next = Slot(last.0.saturating_add(1));
        }
        Ok(told(&body))
    }
}

/// An event of the type of the task's state, known by the last computation that it tells.
fn told(body: &TaskBody) -> Event {
    // A body holds texts and finite numbers: it always has a JSON form.
    let event = Event::default().event(&body.state).data(serde_json::to_string(body).unwrap_or_default());
    match body.windows.last() {
        _ if body.state != "open" => event.id(OVER),
        Some(last) => event.id(last.window.0.to_string()),
        None => event,
    }
}

/// An event of another type, which holds a problem.
fn said(kind: &str, why: &ApiError) -> Event {
    let problem = Problem::new(why.kind(), why.detail());
    Event::default().event(kind).data(serde_json::to_string(&problem).unwrap_or_default())
}

/// What the connected members of a group offer to tasks. Who asks for tasks sees that of the sets that it may ask about,
/// and not whose it is.
pub(super) async fn offers(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    PathOf(gid): PathOf<i64>,
) -> Result<Json<OfferList>, ApiError> {
    let named = !caller.known().is_asker();
    let mut offers = app.gateway()?.offers(GroupId(gid)).await?;
    offers.retain(|offer| caller.known().reaches_labels(|label| offer.labels.contains(label)));
    let mut offers: Vec<MemberOfferBody> = offers
        .into_iter()
        .map(|offer| MemberOfferBody {
            name: named.then_some(offer.name),
            fingerprint: named.then_some(offer.fingerprint),
            labels: offer.labels.into_iter().collect(),
            sources: offer.sources.into_iter().collect(),
        })
        .collect();
    if !named {
        // Their order would tell.
        offers.sort_by(|a, b| (&a.labels, &a.sources).cmp(&(&b.labels, &b.sources)));
    }
    Ok(Json(OfferList { offers }))
}

/// Who is there, since when, where, and with what.
pub(super) async fn directory(
    State(app): State<App>,
    PathOf(gid): PathOf<i64>,
) -> Result<Json<DirectoryList>, ApiError> {
    let members = app.gateway()?.listing(GroupId(gid)).await?.into_iter().map(|listed| DirectoryEntry {
        name: listed.name,
        fingerprint: listed.fingerprint,
        role: peer_role(listed.role),
        operator: listed.operator,
        available: listed.available,
        since: listed.since.map(|since| since.to_rfc3339()),
        endpoint: listed.endpoint,
        labels: listed.labels.into_iter().collect(),
        sources: listed.sources.into_iter().collect(),
        services: listed.services.into_iter().collect(),
        sessions: listed.sessions,
    });
    Ok(Json(DirectoryList { members: members.collect() }))
}

/// How quick the members answer.
pub(super) async fn ping(
    State(app): State<App>,
    PathOf(gid): PathOf<i64>,
    args: Args,
) -> Result<Json<PingBody>, ApiError> {
    let messages = args.number("messages")?.unwrap_or(1).clamp(1, 1000);
    let messages = u32::try_from(messages).unwrap_or(1);
    let pinged = app.gateway()?.ping_group(GroupId(gid), messages, args.truth("providers")).await?;
    let elapsed_us = u64::try_from(pinged.elapsed.as_micros()).unwrap_or(u64::MAX);
    Ok(Json(PingBody { members: pinged.answered, messages, elapsed_us, silent: pinged.silent }))
}

/// An operator without limits sees all tasks, others their own.
fn whose(caller: &Caller) -> Option<&str> {
    let all = caller.role() >= Role::Operator && !caller.known().is_limited();
    (!all).then_some(caller.client.as_str())
}

/// Somebody who may ask for tasks at all; others are refused before their body is read.
pub(super) struct Asker {
    caller: Caller,
    /// Since when it waits for an answer.
    since: Instant,
}

impl<S: Send + Sync> FromRequestParts<S> for Asker {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, ApiError> {
        let unguarded = || ApiError::new(ProblemKind::Forbidden, "nobody is known to ask");
        let caller = parts.extensions.get::<Caller>().cloned().ok_or_else(unguarded)?;
        caller.known().may_ask_at_all()?;
        Ok(Self { caller, since: Instant::now() })
    }
}
