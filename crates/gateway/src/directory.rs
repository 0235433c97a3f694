//! Who is there: the open control links, and what each member last said over them.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use tacit_job::{Report, ToPeer};
use tacit_link::{ControlSender, Encoded};
use tacit_model::{Fingerprint, GroupId, RunId, SessionId, Slot, UnixMillis};
use tokio::sync::futures::Notified;
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;

/// After so many deadlines in a row that a member let pass its link is closed, however well that is kept alive.
const UNANSWERED: u32 = 3;

/// Something that happened to a member of a session.
#[derive(Debug)]
pub(crate) enum Happening {
    /// It reported.
    Report(Report),
    /// Its control link is gone.
    Gone,
    /// It is there over a newer link, and the older one was not yet known to be gone.
    Anew,
}

/// What is known of a connected member.
#[derive(Clone)]
pub(crate) struct Present {
    pub(crate) sender: ControlSender,
    pub(crate) link: u64,
    pub(crate) group: GroupId,
    pub(crate) name: String,
    /// The run it takes part in, and the first slot it has no row for.
    pub(crate) run: Option<RunId>,
    pub(crate) upto: Slot,
    /// The first slot of the run that it has had a chance to give a row for.
    pub(crate) from: Slot,
    /// Since when it is there.
    pub(crate) since: UnixMillis,
    /// Where it says its link port is now.
    pub(crate) endpoint: Option<String>,
    /// What it offers to clients' tasks.
    pub(crate) offer: Arc<Offer>,
    /// How many deadlines it has let pass since it last reported anything.
    unanswered: u32,
}

/// What a member offers to clients' tasks.
#[derive(Clone, Debug, Default)]
pub(crate) struct Offer {
    pub(crate) labels: BTreeSet<String>,
    pub(crate) sources: BTreeSet<String>,
    /// Aggregators that it takes part in; all if empty.
    pub(crate) services: BTreeSet<String>,
    /// Sessions at once, if it says so.
    pub(crate) sessions: Option<u32>,
}

impl Offer {
    /// Whether the member has said something since it came. One that only computes has no series, and says how many sessions.
    pub(crate) fn is_said(&self) -> bool {
        self.sessions.is_some() || !self.sources.is_empty()
    }
}

/// Whether something changes in time. Once time is up, what has changed just now is waited for no longer: where members keep
/// coming and talking, something always has.
pub(crate) async fn changes(changed: Pin<&mut Notified<'_>>, until: Instant) -> bool {
    Instant::now() < until && tokio::time::timeout_at(until, changed).await.is_ok()
}

#[derive(Default)]
pub(crate) struct Directory {
    state: Mutex<State>,
    /// Woken at every change.
    pub(crate) changed: Notify,
}

#[derive(Default)]
struct State {
    links: u64,
    present: BTreeMap<Fingerprint, Present>,
    /// When those left that are away.
    left: BTreeMap<Fingerprint, UnixMillis>,
    sessions: BTreeMap<SessionId, Watch>,
}

impl State {
    /// Tells those who watch a session of this member.
    fn tell_of(&self, member: Fingerprint, what: impl Fn() -> Happening) {
        for watch in self.sessions.values().filter(|watch| watch.members.contains(&member)) {
            let _closed = watch.sender.send((member, what()));
        }
    }
}

struct Watch {
    members: Vec<Fingerprint>,
    sender: mpsc::UnboundedSender<(Fingerprint, Happening)>,
}

impl Directory {
    /// A member has said hello. A newer link replaces an older one. Returns the link's number.
    pub(crate) fn arrive(
        &self,
        member: Fingerprint,
        sender: ControlSender,
        group: GroupId,
        name: String,
        since: UnixMillis,
    ) -> u64 {
        let mut state = self.lock();
        state.links += 1;
        let link = state.links;
        let offer = Arc::default();
        let (upto, from) = (Slot(0), Slot(0));
        let (run, endpoint, unanswered) = (None, None, 0);
        let present = Present { sender, link, group, name, run, upto, from, since, endpoint, offer, unanswered };
        let older = state.present.insert(member, present);
        state.left.remove(&member);
        if older.is_some() {
            state.tell_of(member, || Happening::Anew);
        }
        drop(state);
        if let Some(older) = older {
            older.sender.replace();
        }
        self.changed.notify_waiters();
        link
    }

    /// A control link is gone; whether the member is, too, and not there over a newer one.
    pub(crate) fn leave(&self, member: Fingerprint, link: u64, now: UnixMillis) -> bool {
        let mut state = self.lock();
        let away = state.present.get(&member).is_some_and(|present| present.link == link);
        if away {
            state.present.remove(&member);
            state.left.insert(member, now);
            state.tell_of(member, || Happening::Gone);
        }
        drop(state);
        self.changed.notify_waiters();
        away
    }

    /// Changes what is known of a connected member.
    pub(crate) fn update(&self, member: &Fingerprint, change: impl FnOnce(&mut Present)) {
        if let Some(present) = self.lock().present.get_mut(member) {
            change(present);
        }
        self.changed.notify_waiters();
    }

    /// What is known of a connected member.
    pub(crate) fn present(&self, member: &Fingerprint) -> Option<Present> {
        self.lock().present.get(member).cloned()
    }

    /// Whether at least so many of these are there in time.
    pub(crate) async fn are_there(&self, members: &[Fingerprint], least: usize, until: Instant) -> bool {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if members.iter().filter(|member| self.present(member).is_some()).count() >= least {
                return true;
            }
            if !changes(changed, until).await {
                return false;
            }
        }
    }

    /// When a member left that is away.
    pub(crate) fn left(&self, member: &Fingerprint) -> Option<UnixMillis> {
        self.lock().left.get(member).copied()
    }

    /// Sends to a connected member; `false` if it is not there.
    pub(crate) fn send(&self, member: &Fingerprint, message: &ToPeer) -> bool {
        let sender = self.lock().present.get(member).map(|present| present.sender.clone());
        sender.is_some_and(|sender| sender.send(message).is_ok())
    }

    /// Sends one message to many, written once; those who are not there.
    pub(crate) fn send_all(&self, members: &[Fingerprint], message: &ToPeer) -> Vec<Fingerprint> {
        let Ok(message) = Encoded::new(message) else { return members.to_vec() };
        let state = self.lock();
        let sent = |member: &Fingerprint| {
            state.present.get(member).is_some_and(|present| present.sender.send_encoded(&message).is_ok())
        };
        members.iter().filter(|member| !sent(member)).copied().collect()
    }

    /// Everybody who is connected.
    pub(crate) fn everybody(&self) -> Vec<Fingerprint> {
        self.lock().present.keys().copied().collect()
    }

    /// Everybody of a group who is connected.
    pub(crate) fn of_group(&self, group: GroupId) -> Vec<(Fingerprint, Present)> {
        let state = self.lock();
        state.present.iter().filter(|(_, p)| p.group == group).map(|(f, p)| (*f, p.clone())).collect()
    }

    /// Listens to the reports of one session until the returned value is dropped.
    pub(crate) fn watch(&self, session: SessionId, members: Vec<Fingerprint>) -> Reports<'_> {
        let (sender, receiver) = mpsc::unbounded_channel();
        self.lock().sessions.insert(session, Watch { members, sender });
        Reports { directory: self, session, receiver }
    }

    /// Hands a report to the session's watcher; one from a stranger to the session is dropped.
    pub(crate) fn report(&self, member: Fingerprint, session: SessionId, report: Report) {
        let mut state = self.lock();
        if let Some(present) = state.present.get_mut(&member) {
            present.unanswered = 0;
        }
        if let Some(watch) = state.sessions.get(&session).filter(|watch| watch.members.contains(&member)) {
            let _closed = watch.sender.send((member, Happening::Report(report)));
        }
    }

    /// A member has let a deadline pass. One that is there and answers nothing would cost each task that time: when it comes
    /// back over a new link it may begin anew.
    pub(crate) fn unanswered(&self, member: &Fingerprint) {
        if let Some(present) = self.lock().present.get_mut(member) {
            present.unanswered += 1;
            if present.unanswered >= UNANSWERED {
                present.sender.close();
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The reports of one session.
pub(crate) struct Reports<'a> {
    directory: &'a Directory,
    session: SessionId,
    receiver: mpsc::UnboundedReceiver<(Fingerprint, Happening)>,
}

impl Reports<'_> {
    pub(crate) async fn next(&mut self) -> Option<(Fingerprint, Happening)> {
        self.receiver.recv().await
    }
}

impl Drop for Reports<'_> {
    fn drop(&mut self) {
        self.directory.lock().sessions.remove(&self.session);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn f13_a_directory_that_always_changes_makes_no_wait_longer() {
        let directory = Directory::default();
        for (time, counts) in [(Duration::ZERO, false), (Duration::from_secs(60), true)] {
            let changed = directory.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            // While somebody looks at who is there.
            directory.changed.notify_waiters();
            assert_eq!(changes(changed, Instant::now() + time).await, counts);
        }
    }
}
