//! Clients that want to hear of their tasks at an address (webhooks).
//!
//! What is to be told follows from the tasks' rows and from how much was told: whatever happened while a receiver or
//! this gateway was down is told later, and a receiver that was told twice knows it by the idempotency key. Only
//! addresses that the operator allows are written to; what they answer is thrown away.

use core::future::Future;
use core::pin::Pin;
use std::time::Duration;

use tacit_model::Slot;
use tacit_pki::envelope::{Context, sign_detached};
use tacit_store::{NoticeRow, Windows};
use tokio::task::JoinSet;
use tracing::{debug, warn};

use super::shown::SHOWN;
use crate::{Gateway, GatewayError};

/// So many are told at once.
const AT_ONCE: usize = 16;
/// The first pause after a failure; it doubles.
const FIRST: Duration = Duration::from_secs(1);
/// The longest.
const LONGEST: Duration = Duration::from_secs(300);
/// Longer addresses, in bytes, are not taken: each is kept with its task.
const LONGEST_URL: usize = 2000;
/// Without anything to do.
const IDLE: Duration = Duration::from_secs(3600);

/// What is posted. No Debug: it may hold a result.
pub struct Notice {
    /// Where to.
    pub url: String,
    /// The same for the same news.
    pub key: String,
    /// The gateway's public key, base64 SubjectPublicKeyInfo.
    pub signer: String,
    /// Its signature under the body for the purpose `notice`, hexadecimal.
    pub signature: String,
    /// The task, JSON as `GET /api/v1/tasks/{id}` tells it, with the computations that were not told there yet.
    pub body: Vec<u8>,
}

/// Writes to addresses of clients: whoever builds the node plugs it in.
pub trait Notifier: Send + Sync {
    /// Whether the operator allows an address; if not, what to tell the client.
    fn allows(&self, url: &str) -> Result<(), String>;

    /// Posts; the status, or why there is none.
    fn post(&self, notice: Notice) -> Pin<Box<dyn Future<Output = Result<u16, String>> + Send + '_>>;
}

impl Gateway {
    /// Whether a client may be told at this address.
    pub(super) fn check_notice(&self, url: &str) -> Result<(), GatewayError> {
        let nobody = || "this gateway posts to nobody; its operator can allow addresses in [webhooks] of node.toml";
        let notifier = self.inner.notifier.as_ref().ok_or_else(|| GatewayError::Refused(nobody().to_owned()))?;
        if url.len() > LONGEST_URL {
            return Err(GatewayError::Invalid(format!(
                "an address to be told at has at most {LONGEST_URL} characters"
            )));
        }
        notifier.allows(url).map_err(GatewayError::Refused)
    }

    /// The client of a task that is known asks for it again, and may say where it wants to hear of it.
    pub(super) async fn tell_of_known(&self, id: &str, client: &str, url: Option<&str>) -> Result<(), GatewayError> {
        let Some(url) = url else { return Ok(()) };
        self.check_notice(url)?;
        self.inner.store.set_notice(id, client, url, self.inner.clock.now()).await?;
        // Of a task that is over, or has been computed before, there is something to tell already.
        self.inner.news.notify_one();
        Ok(())
    }

    /// Tells clients for as long as the gateway lives.
    pub(crate) fn tell_clients(&self) {
        if self.inner.notifier.is_none() {
            return;
        }
        let gateway = self.clone();
        self.inner.tasks.spawn(async move {
            loop {
                let rung = gateway.inner.news.notified();
                let pause = gateway.tell_round().await.unwrap_or_else(|error| {
                    warn!(%error, "clients were not told");
                    FIRST
                });
                tokio::select! {
                    () = gateway.inner.stop.cancelled() => return,
                    () = rung => {}
                    () = tokio::time::sleep(pause) => {}
                }
            }
        });
    }

    /// Tells what is due; how long until the next is. What goes wrong with one client's task concerns no other.
    async fn tell_round(&self) -> Result<Duration, GatewayError> {
        let mut pause = IDLE;
        let mut posting = JoinSet::new();
        for row in self.inner.store.notices_open().await? {
            match u64::try_from(row.next_at.since(self.inner.clock.now())) {
                Ok(wait @ 1..) => {
                    pause = pause.min(Duration::from_millis(wait));
                    continue;
                }
                _ if posting.len() >= AT_ONCE => {
                    pause = Duration::ZERO;
                    continue;
                }
                _ => {}
            }
            let gateway = self.clone();
            posting.spawn(async move {
                tokio::select! {
                    () = gateway.inner.stop.cancelled() => IDLE,
                    pause = gateway.tell_one(row) => pause,
                }
            });
        }
        // To the end: what is on its way would be given up with the set.
        while let Some(told) = posting.join_next().await {
            pause = pause.min(told.unwrap_or_else(|error| {
                warn!(%error, "telling a client broke off");
                FIRST
            }));
        }
        Ok(pause)
    }

    /// Tells one client, or notes that it is to be tried again; how long until then.
    async fn tell_one(&self, row: NoticeRow) -> Duration {
        match self.deliver(&row).await {
            Ok(true) => return IDLE,
            Ok(false) => {}
            // Such as a task of a newer version, which this one cannot read.
            Err(error) => warn!(task = row.task, %error, "a client was not told, or that is not on record"),
        }
        let pause = FIRST.saturating_mul(2_u32.saturating_pow(row.attempts.min(16))).min(LONGEST);
        let millis = i64::try_from(pause.as_millis()).unwrap_or(i64::MAX);
        if let Err(error) = self.inner.store.notice_failed(&row, self.inner.clock.now().plus(millis)).await {
            warn!(task = row.task, %error, "that a client was not told is not on record");
        }
        pause
    }

    /// Posts a client its task; `false` if it was not taken.
    async fn deliver(&self, row: &NoticeRow) -> Result<bool, GatewayError> {
        let Some(notifier) = &self.inner.notifier else { return Ok(true) };
        if let Err(why) = notifier.allows(&row.url) {
            warn!(task = row.task, why, "the operator no longer allows this client's address");
            self.inner.store.forget_notice(row).await?;
            return Ok(true);
        }
        let task = self.stored_task(&row.task, Windows::From(Slot(row.told)), SHOWN).await?;
        let body = serde_json::to_vec(&task).map_err(|e| GatewayError::Bug(e.to_string()))?;
        // What one post does not hold is told in the next.
        let upto = task.windows.last().map_or(row.windows, |last| last.window.0.saturating_add(1));
        let said = NoticeRow { windows: upto, state: task.state, ..row.clone() };
        let notice = Notice {
            url: row.url.clone(),
            key: format!("{}-{}-{}", said.task, said.windows, said.state),
            signer: self.inner.identity.public_key().to_base64(),
            signature: sign_detached(&self.inner.identity, Context::Notice, &body)
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect(),
            body,
        };
        match notifier.post(notice).await {
            Ok(200..=299) => {
                self.inner.store.notice_told(&said).await?;
                if said.windows < row.windows {
                    self.inner.news.notify_one();
                }
            }
            // Nobody will ever want it there.
            Ok(410) => self.inner.store.forget_notice(row).await?,
            failed => {
                debug!(task = row.task, ?failed, "a client was not told");
                return Ok(false);
            }
        }
        Ok(true)
    }
}
