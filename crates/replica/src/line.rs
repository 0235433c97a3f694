//! A link to another replica, dialled when it is needed.
//!
//! Raft drops a call that has no answer within a heartbeat, which may be less than a link takes to open: TCP, TLS and the
//! hellos are three round trips. So a dial is a task of its own. Whoever asks waits for it; who asks next finds the link.

use std::time::Duration;

use tacit_link::{ControlLink, Host, LinkError};
use tokio_util::sync::CancellationToken;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

use crate::message::{Answer, Answered, Ask, What};
use crate::types::{LogIndex, ReplicaNode};

/// The last entry that the other one acknowledged, and which start of its node it was.
pub(crate) type Acknowledged = (LogIndex, [u8; 8]);

/// Where a replica is, and what it takes to get there.
pub(crate) struct There {
    pub(crate) host: Host,
    pub(crate) node: ReplicaNode,
    /// How long a dial may take.
    pub(crate) limit: Duration,
    pub(crate) tasks: TaskTracker,
    pub(crate) stop: CancellationToken,
}

/// Ends with whoever wants the link.
pub(crate) type Dial = AbortOnDropHandle<Result<ControlLink, LinkError>>;

impl There {
    fn dial(&self) -> Dial {
        let (host, node, limit, stop) = (self.host.clone(), self.node.clone(), self.limit, self.stop.clone());
        AbortOnDropHandle::new(self.tasks.spawn(async move {
            tokio::select! {
                () = stop.cancelled() => Err(LinkError::ShuttingDown),
                dialled = host.dial_replica(node.fingerprint, &node.addresses, limit) => dialled,
            }
        }))
    }
}

/// A link that is dialled when it is needed.
#[derive(Default)]
pub(crate) struct Line {
    link: Option<ControlLink>,
    /// Under way while there is no link; one at a time.
    pub(crate) dial: Option<Dial>,
    last: u64,
}

impl Line {
    /// Asks, and waits for the answer. Dropped meanwhile, it loses nothing but the answer.
    pub(crate) async fn ask(
        &mut self,
        there: Option<&There>,
        before: Option<Acknowledged>,
        what: What,
    ) -> Result<(Answered, [u8; 8]), LinkError> {
        let (question, start) = self.say(there, before, what).await?;
        Ok((self.hear(question).await?, start))
    }

    /// Asks; the number of the question, and which start of the other node hears it.
    pub(crate) async fn say(
        &mut self,
        there: Option<&There>,
        before: Option<Acknowledged>,
        what: What,
    ) -> Result<(u64, [u8; 8]), LinkError> {
        let said = self.try_say(there, before, what).await;
        self.end_unless(said.is_ok());
        said
    }

    /// Waits for the answer to the last question. Dropped meanwhile, it can be called again.
    pub(crate) async fn hear(&mut self, question: u64) -> Result<Answered, LinkError> {
        let heard = self.try_hear(question).await;
        self.end_unless(heard.is_ok());
        heard
    }

    /// Ends a link on which something went wrong.
    pub(crate) fn end_unless(&mut self, well: bool) {
        if !well {
            self.link = None;
        }
    }

    /// Ends a link on which the other one was told of a clock that was set since.
    pub(crate) fn end_with_old_clock(&mut self) {
        let old = self.link.as_ref().is_some_and(ControlLink::clock_was_set);
        self.end_unless(!old);
    }

    async fn try_say(
        &mut self,
        there: Option<&There>,
        before: Option<Acknowledged>,
        what: What,
    ) -> Result<(u64, [u8; 8]), LinkError> {
        if !self.is_open().await {
            let Some(there) = there else { return Err(LinkError::Config("a replica that is not on the list")) };
            let dialled = self.dial.get_or_insert_with(|| there.dial()).await;
            self.dial = None;
            self.link = Some(dialled.map_err(|_| LinkError::ShuttingDown)??);
        }
        let Some(link) = &mut self.link else { return Err(LinkError::ShuttingDown) };
        self.last += 1;
        let start = link.epoch();
        let acknowledged = before.filter(|(_, before)| *before != start).map(|(entry, _)| entry);
        link.send(&Ask { number: self.last, acknowledged, what })?;
        Ok((self.last, start))
    }

    async fn try_hear(&mut self, question: u64) -> Result<Answered, LinkError> {
        let Some(link) = &mut self.link else { return Err(LinkError::ShuttingDown) };
        loop {
            let answer: Answer = link.recv().await?;
            // Answers to questions that were given up are passed over.
            if answer.number == question {
                return Ok(answer.what);
            }
        }
    }

    /// Whether there is a link, after a look at what a dial came to that nobody waited for. One that failed says nothing
    /// about now.
    pub(crate) async fn is_open(&mut self) -> bool {
        if let Some(dial) = &mut self.dial
            && dial.is_finished()
        {
            let dialled = dial.await;
            self.dial = None;
            self.link = dialled.ok().and_then(Result::ok);
        }
        self.link.is_some()
    }
}
