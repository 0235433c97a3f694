//! Pings that go on to the SMC provider: whether it is there, and how long the way to it and back takes.
//!
//! ```text
//!  gateway ── PingProvider ──► party ── Init (before the first) ─► NextCmd: Debug ─► TearDown (after the last) ──► provider
//!          ◄── Pong ──────────                                    ◄── number + 1
//! ```
//!
//! The way of a session's commands: a socket opened for the session, its id in each command. FlexSMC's thesis calls the
//! time of it T_flex,fresCon (section 6.2.3). Only where the owner allows it (`pings` of the provider), and one at a
//! time: whoever may ping must not be able to fill a provider with sessions.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tacit_job::{Decline, Fault, Report, ToGateway};
use tacit_model::SessionId;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::{Provider, ProviderError, ProviderSession};
use crate::party::Inner;

/// A provider has so long for an answer.
const ANSWER: Duration = Duration::from_secs(5);
/// A session that no further message comes for is ended.
const IDLE: Duration = Duration::from_secs(5);

/// One message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ping {
    pub(crate) number: u32,
    /// Whether another one follows.
    pub(crate) more: bool,
}

/// The session that pings go through, at most one of a party.
#[derive(Default)]
pub(crate) struct Pings {
    open: Mutex<Option<(SessionId, mpsc::Sender<Ping>)>>,
}

impl Pings {
    /// Hands a message to its session. Whoever answers it, if that is a new one.
    fn hand(&self, session: SessionId, ping: Ping) -> Result<Option<mpsc::Receiver<Ping>>, Box<Report>> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((of, sender)) = open.as_ref().filter(|(_, sender)| !sender.is_closed()) {
            if *of != session {
                return Err(Box::new(Report::Declined { why: Decline::Busy }));
            }
            return match sender.try_send(ping) {
                Ok(()) => Ok(None),
                // It came before the one before was answered.
                Err(_) => Err(Box::new(Report::Failed { fault: Fault::Order, frozen: false })),
            };
        }
        let (sender, pings) = mpsc::channel(1);
        let _room = sender.try_send(ping);
        *open = Some((session, sender));
        Ok(Some(pings))
    }
}

/// Answers a ping by a report, when the provider has answered it.
pub(crate) fn on_ping(party: &Arc<Inner>, session: SessionId, ping: Ping) {
    let Some(provider) = party.provider.clone().filter(|provider| provider.pings) else {
        return report(party, session, Report::Declined { why: Decline::Policy });
    };
    match party.pings.hand(session, ping) {
        Ok(None) => {}
        Ok(Some(pings)) => {
            let party = Arc::clone(party);
            party.tasks.clone().spawn(async move { answer(&party, &provider, session, pings).await });
        }
        Err(refused) => report(party, session, *refused),
    }
}

/// All messages of one session.
async fn answer(party: &Inner, provider: &Provider, session: SessionId, mut pings: mpsc::Receiver<Ping>) {
    let mut open = None;
    let last = loop {
        let next = tokio::select! {
            () = party.stop.cancelled() => None,
            next = timeout(IDLE, pings.recv()) => next.ok().flatten(),
        };
        let Some(ping) = next else { break None };
        let asked = timeout(ANSWER, ask(provider, session, &mut open, ping)).await;
        match asked.unwrap_or(Err(ProviderError::Call { phase: "Debug", why: "no answer in time".to_owned() })) {
            Ok(()) if ping.more => report(party, session, Report::Pong),
            Ok(()) => break Some(Report::Pong),
            Err(error) => {
                party.trouble(error.to_string());
                break Some(Report::Failed { fault: Fault::Own, frozen: false });
            }
        }
    };
    if let Some(mut open) = open
        && !matches!(timeout(ANSWER, open.tear_down()).await, Ok(Ok(())))
    {
        tracing::debug!(%session, "the provider did not tear its session down");
    }
    // Before the answer: whoever hears it may ask for the next session.
    drop(pings);
    if let Some(last) = last {
        report(party, session, last);
    }
}

async fn ask(
    provider: &Provider,
    session: SessionId,
    open: &mut Option<ProviderSession>,
    ping: Ping,
) -> Result<(), ProviderError> {
    let opened = match open.take() {
        Some(opened) => opened,
        None => provider.open(&session.to_string()).await?,
    };
    open.insert(opened).ping(i32::try_from(ping.number).unwrap_or(i32::MAX), ping.more).await
}

fn report(party: &Inner, session: SessionId, report: Report) {
    party.line.send(&ToGateway::Report { session, report });
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One session at a time, one message at a time; whoever comes in between changes nothing.
    #[test]
    fn f24_pings_of_one_session_at_a_time() {
        let pings = Pings::default();
        let (one, other) = (SessionId([1; 16]), SessionId([2; 16]));
        let ping = |number| Ping { number, more: true };
        let mut first = pings.hand(one, ping(1)).expect("handed").expect("a new session");
        assert_eq!(first.try_recv().map(|ping| ping.number), Ok(1));
        let refused = pings.hand(other, ping(7)).expect_err("a session is open");
        assert_eq!(*refused, Report::Declined { why: Decline::Busy });
        assert!(first.try_recv().is_err(), "the other session's message is not this one's");
        assert!(pings.hand(one, ping(2)).expect("handed").is_none());
        let early = pings.hand(one, ping(3)).expect_err("the one before waits");
        assert_eq!(*early, Report::Failed { fault: Fault::Order, frozen: false });
        drop(first);
        assert!(pings.hand(other, ping(1)).expect("handed").is_some());
    }
}
