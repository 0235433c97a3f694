//! Clients' tasks: taken, matched to who is there and fits, computed, told.
//!
//! A task is durable before its client hears that it was taken; open ones go on after a restart. Each
//! computation (window) is a job of the one runner, [`Gateway::execute`]. A peer that declines, or is lost
//! before the inputs are frozen, is left out, and the rest finish if they are enough.

mod branches;
mod matching;
mod notices;
mod places;
mod progress;
mod shown;

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tacit_job::{Ask, AskError, Response, question};
use tacit_model::api::{NewTask, TaskBody, TaskRequest, TaskWindow};
use tacit_model::{CLOCK_SKEW_MS, Fingerprint, Slot, UnixMillis};
use tacit_pki::random;
use tacit_store::{StoreError, TaskRow, What, Windows};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::agreed::until_agreed;
use crate::clients::{Denied, Shown, client_of, signer, withdrawn};
use crate::{Gateway, GatewayError};

pub use matching::MemberOffer;
pub use notices::{Notice, Notifier};
pub use shown::TaskWatch;

use places::{Place, Places, weight};
use shown::{KEPT, body_of, end_body};

/// How long a part of a branch waits for members that are busy; the group above waits for it.
const PART_PATIENCE: Duration = Duration::from_secs(30);
/// What a client hears if the gateway itself, or its database, failed.
const BROKEN: &str = "the gateway could not go on with it, its operator finds the reason in its log; ask again";
/// The longest pause between two tries to record an end.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// How long a computation waits for members that come back.
const PATIENCE: Duration = Duration::from_secs(5);

/// The tasks that are being worked on.
#[derive(Default)]
pub(crate) struct Tasks {
    open: Mutex<BTreeMap<String, Open>>,
    places: Places,
    /// Of members that wait for the answers to what they asked: many may wait for one task.
    waiting: Places,
    /// Held while a branch's part is taken: all its compute peers ask for the same one.
    parts: tokio::sync::Mutex<()>,
}

struct Open {
    stop: CancellationToken,
    body: watch::Sender<TaskBody>,
    client: String,
    place: Place,
    /// The key under the request, if it was signed.
    signer: Option<Fingerprint>,
}

impl Open {
    /// Two clients may send the same request; only one of them has this task.
    fn watched_by(&self, client: &str) -> Result<TaskWatch, GatewayError> {
        if self.client == client { Ok(self.watch()) } else { Err(elsewhere()) }
    }

    fn watch(&self) -> TaskWatch {
        TaskWatch { body: self.body.subscribe() }
    }
}

impl Gateway {
    /// Takes a task of an authorised client. The same request, or another one under the same idempotency
    /// key of the same client, is the same task.
    ///
    /// With `wait` the task becomes durable while its first computation begins, otherwise before this
    /// returns. `TooMany` if as many are open as may be, of this client or in all; `Forbidden` if the key under it may not
    /// ask for it.
    pub async fn submit_task(
        &self,
        new: NewTask,
        client: &str,
        idempotency: Option<String>,
    ) -> Result<TaskWatch, GatewayError> {
        if new.task.parent.is_some() {
            return Err(GatewayError::Invalid("parent is not set by clients: ask the group above".to_owned()));
        }
        if let Some(key) = signer(new.signature.as_ref()) {
            client_of(&self.inner.store, Shown::Signature(key)).await?.may_ask(&new.task)?;
        }
        self.take_task(new, client, client, idempotency).await
    }

    /// Takes a task of a client. It counts as one of `charged`.
    async fn take_task(
        &self,
        new: NewTask,
        client: &str,
        charged: &str,
        idempotency: Option<String>,
    ) -> Result<TaskWatch, GatewayError> {
        if let Some(key) = &idempotency
            && let Some(row) = self.inner.store.task_by_key(client, key).await?
        {
            same_question(&row, &new.task)?;
            self.tell_of_known(&row.id, client, new.notify.as_deref()).await?;
            return self.watch_row(row).await;
        }
        let now = self.inner.clock.now();
        let request = complete(new.task, new.signature.is_some(), now)?;
        let ask = Ask::admit(request, new.signature, &self.inner.identity).map_err(invalid)?;
        let terms = ask.terms().map_err(invalid)?;
        if terms.issued.since(now) > CLOCK_SKEW_MS || now.since(terms.issued) > branches::oldest(&ask.request) {
            return Err(GatewayError::Refused(format!(
                "the task was issued at {} and here it is {now}: it has expired, or the clocks differ",
                terms.issued
            )));
        }
        let id = ask.id().to_string();
        if let Some(known) = self.known_task(&id, client).await? {
            self.tell_of_known(&id, client, new.notify.as_deref()).await?;
            return Ok(known);
        }
        let ask_json = serde_json::to_string(&ask).map_err(|e| GatewayError::Bug(e.to_string()))?;
        let (limits, weight) = (&self.inner.limits, weight(ask_json.len()));
        let place = self.inner.client_tasks.places.take(charged, weight, limits.open_tasks, limits.client_tasks)?;
        self.plan_task(&ask).await?;
        if let Some(url) = &new.notify {
            self.check_notice(url)?;
        }
        let row = TaskRow {
            id,
            gid: ask.request.group,
            client: client.to_owned(),
            idempotency,
            ask_json,
            state: "open".to_owned(),
            detail: String::new(),
            next_window: Slot(0),
            created: now,
            updated: now,
        };
        if let Some(url) = &new.notify {
            self.inner.store.add_notice(&row.id, url, now).await?;
        }
        if new.wait && row.idempotency.is_none() && new.notify.is_none() {
            // Nobody is told of it before its end.
            return self.begin_task(row, ask, Vec::new(), true, Some(place));
        }
        match self.inner.store.add_task(row.clone()).await {
            Ok(()) => self.begin_task(row, ask, Vec::new(), false, Some(place)),
            Err(StoreError::Conflict { what: What::Task }) => {
                if let Some(key) = &row.idempotency
                    && let Some(known) = self.inner.store.task_by_key(client, key).await?
                {
                    same_question(&known, &ask.request)?;
                    self.tell_of_known(&known.id, client, new.notify.as_deref()).await?;
                    return self.watch_row(known).await;
                }
                let known = self.known_task(&row.id, client).await?.ok_or_else(elsewhere)?;
                self.tell_of_known(&row.id, client, new.notify.as_deref()).await?;
                Ok(known)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// The task of this client with this id, if there is one; an id says nothing about whose request it is.
    async fn known_task(&self, id: &str, client: &str) -> Result<Option<TaskWatch>, GatewayError> {
        if let Some(open) = self.open_tasks().get(id) {
            return open.watched_by(client).map(Some);
        }
        match self.inner.store.task(id).await? {
            Some(row) if row.client == client => self.watch_row(row).await.map(Some),
            Some(_) => Err(elsewhere()),
            None => Ok(None),
        }
    }

    /// A member asks for itself: it has signed the task, and nobody else learns the result.
    pub(crate) async fn ask_of_member(&self, member: Fingerprint, new: NewTask) -> Response {
        let group = self.inner.directory.present(&member).map(|present| present.group);
        let task = &new.task;
        let own = signer(new.signature.as_ref()) == Some(member)
            && group == Some(task.group)
            && task.recipients == [member]
            && !task.tell_gateway
            && task.result_key.is_none()
            && task.repeat.is_none()
            && new.notify.is_none();
        if !own {
            let why = "a member asks in its own group, signs the task and is its only recipient".to_owned();
            return Response::Refused { why };
        }
        let client = format!("member {member}");
        // The same question once more is the same task, so that its places do not bound who waits for its answer.
        let waiting = self.inner.client_tasks.waiting.take(&client, 1, usize::MAX, self.inner.limits.client_tasks);
        let _waiting = match waiting {
            Ok(waiting) => waiting,
            Err(error) => return Response::Refused { why: error.to_string() },
        };
        match self.submit_task(new, &client, None).await {
            Ok(task) => {
                let body = task.ended().await;
                Response::Asked { state: body.state, detail: body.detail }
            }
            Err(error) => Response::Refused { why: error.to_string() },
        }
    }

    /// A task of a client; of anybody if none is named.
    pub async fn task(&self, id: &str, client: Option<&str>) -> Result<TaskWatch, GatewayError> {
        let row = self.inner.store.task(id).await?.filter(|row| client.is_none_or(|client| row.client == client));
        self.watch_row(row.ok_or(GatewayError::NotFound("task"))?).await
    }

    /// Ends a task. A computation whose inputs are frozen may still come to its end at its recipients.
    pub async fn cancel_task(&self, id: &str, client: Option<&str>) -> Result<TaskBody, GatewayError> {
        let row = self.inner.store.task(id).await?.filter(|row| client.is_none_or(|client| row.client == client));
        let row = row.ok_or(GatewayError::NotFound("task"))?;
        if row.state != "open" || !self.end_task(id, "cancelled", "cancelled by its client").await? {
            return Err(GatewayError::Conflict(format!("the task is over: {}", row.state)));
        }
        self.log_action(row.gid, "cancel-task", id).await?;
        Ok(self.task(id, None).await?.now())
    }

    /// Ends all tasks of a client whose token or certificate was revoked, and those that its key signed.
    pub async fn end_tasks_of(&self, client: Fingerprint) -> Result<(), GatewayError> {
        let name = client.to_string();
        let of_client = |open: &Open| open.client == name || open.signer == Some(client);
        let ids: Vec<_> =
            self.open_tasks().iter().filter(|(_, open)| of_client(open)).map(|(id, _)| id.clone()).collect();
        for id in ids {
            let why = Denied::Revoked(Shown::Task(client).word()).to_string();
            self.end_task(&id, "cancelled", &why).await?;
        }
        Ok(())
    }

    /// Ends a task before its time, if it is not over: durably, then for those who watch it.
    async fn end_task(&self, id: &str, state: &str, why: &str) -> Result<bool, GatewayError> {
        // Nothing is written by whoever works at it after this.
        let open = self.open_tasks().remove(id);
        if let Some(open) = &open {
            open.stop.cancel();
        }
        let ended = self.inner.store.end_task(id, state, why, self.inner.clock.now()).await?;
        if let Some(open) = open {
            // What is durable is told: its end may have been on its way.
            let stored = self.stored_task(id, Windows::Newest, KEPT).await.ok();
            open.body.send_modify(|body| match stored {
                Some(stored) if stored.state != "open" => *body = stored,
                _ => end_body(body, state, why),
            });
        }
        self.inner.news.notify_one();
        Ok(ended)
    }

    /// Goes on with the tasks that were open when this gateway ended.
    pub(crate) async fn continue_tasks(&self) -> Result<(), GatewayError> {
        for row in self.inner.store.open_tasks().await? {
            let windows = match self.windows(&row.id, Windows::Newest, KEPT).await {
                Err(GatewayError::Bug(_)) => None,
                windows => Some(windows?),
            };
            let (Ok(ask), Some(windows)) = (serde_json::from_str::<Ask>(&row.ask_json), windows) else {
                warn!(task = row.id, "an open task cannot be read, and is ended");
                self.end_task(&row.id, "failed", "this gateway's program cannot read it; ask again").await?;
                continue;
            };
            if let Some(why) = withdrawn(&self.inner.store, &row.client, &ask).await? {
                self.end_task(&row.id, "cancelled", &why).await?;
                continue;
            }
            self.begin_task(row, ask, windows, false, None)?;
        }
        Ok(())
    }

    /// Works at a task until its end, in a task of its own. Without a place it takes one beyond all bounds.
    fn begin_task(
        &self,
        row: TaskRow,
        ask: Ask,
        windows: Vec<TaskWindow>,
        keep: bool,
        place: Option<Place>,
    ) -> Result<TaskWatch, GatewayError> {
        let stop = self.inner.stop.child_token();
        let body = watch::Sender::new(body_of(&row, &ask.request, windows));
        let watch = TaskWatch { body: body.subscribe() };
        let id = row.id.clone();
        {
            let mut open = self.open_tasks();
            if let Some(known) = open.get(&id) {
                // The same request once more, while it is worked at.
                return known.watched_by(&row.client);
            }
            let kept = || self.inner.client_tasks.places.keep(&row.client, weight(row.ask_json.len()));
            let place = place.unwrap_or_else(kept);
            let signer = signer(ask.client.as_ref());
            let client = row.client.clone();
            open.insert(id.clone(), Open { stop: stop.clone(), body: body.clone(), client, place, signer });
        }
        let gateway = self.clone();
        self.inner.tasks.spawn(async move {
            let driven = tokio::select! {
                // Whoever stopped it says how it ended: nothing is to be written after that.
                biased;
                () = stop.cancelled() => Ok(()),
                driven = gateway.drive_on(&stop, &row, &ask, &body, keep) => driven,
            };
            if let Err(error) = driven {
                warn!(task = row.id, %error, "a task cannot go on");
                tokio::select! {
                    biased;
                    () = stop.cancelled() => {}
                    () = gateway.close_task(&row.id, "failed", BROKEN, &body) => {}
                }
            }
            let mut open = gateway.open_tasks();
            // Whoever ended it has removed it; the same request may have been made again since.
            if open.get(&row.id).is_some_and(|open| open.body.same_channel(&body)) {
                open.remove(&row.id);
            }
        });
        Ok(watch)
    }

    /// Drives a task. Where the gateways over the same rows did not agree, it goes on from what is in them.
    async fn drive_on(
        &self,
        stop: &CancellationToken,
        row: &TaskRow,
        ask: &Ask,
        body: &watch::Sender<TaskBody>,
        keep: bool,
    ) -> Result<(), GatewayError> {
        let mut begun = false;
        let drive = || {
            let again = std::mem::replace(&mut begun, true);
            async move {
                let known = if again { self.inner.store.task(&row.id).await? } else { None };
                let Some(known) = known else { return self.drive_task(row, ask, body, keep).await };
                // What was agreed on late is told late.
                let stored = self.stored(&known, Windows::Newest, KEPT).await?;
                body.send_modify(|body| *body = stored);
                self.inner.news.notify_one();
                match known.state.as_str() {
                    "open" => self.drive_task(&known, ask, body, false).await,
                    _ => Ok(()),
                }
            }
        };
        until_agreed(stop, drive).await
    }

    /// The end of a task that whoever works at it cannot go on with, as soon as it can be recorded.
    async fn close_task(&self, id: &str, state: &str, why: &str, body: &watch::Sender<TaskBody>) {
        let mut pause = Duration::from_millis(100);
        while let Err(error) = self.inner.store.end_task(id, state, why, self.inner.clock.now()).await {
            warn!(task = id, %error, "a task's end was not recorded, trying again");
            tokio::time::sleep(pause).await;
            pause = (2 * pause).min(LONGEST_PAUSE);
        }
        body.send_modify(|body| end_body(body, state, why));
        self.inner.news.notify_one();
    }

    fn open_tasks(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Open>> {
        self.inner.client_tasks.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn elsewhere() -> GatewayError {
    GatewayError::Conflict("this task is somebody else's".to_owned())
}

/// What a client may leave out is filled in, unless it signed.
fn complete(mut request: TaskRequest, signed: bool, now: UnixMillis) -> Result<TaskRequest, GatewayError> {
    let missing = |what: &str| GatewayError::Invalid(format!("a signed task sets {what} itself"));
    if request.issued.is_empty() {
        if signed {
            return Err(missing("issued"));
        }
        request.issued = now.to_rfc3339();
    }
    if request.nonce.is_empty() {
        if signed {
            return Err(missing("nonce"));
        }
        request.nonce = random::nonce().map_err(|e| GatewayError::Bug(e.to_string()))?;
    }
    Ok(request)
}

/// Whether a task is what its client asks for under the same idempotency key.
fn same_question(row: &TaskRow, asked: &TaskRequest) -> Result<(), GatewayError> {
    let known = serde_json::from_str::<Ask>(&row.ask_json).map_err(|e| GatewayError::Bug(e.to_string()))?;
    match question(&known.request) == question(asked) {
        true => Ok(()),
        false => Err(GatewayError::Conflict(format!(
            "another question was asked under this Idempotency-Key, task {}: choose a new key",
            row.id
        ))),
    }
}

fn invalid(error: AskError) -> GatewayError {
    match error {
        AskError::Signature(_) => GatewayError::Refused(error.to_string()),
        _ => GatewayError::Invalid(error.to_string()),
    }
}
