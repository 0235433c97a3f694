//! Who has reported in a phase, and how long the others are waited for.

use std::collections::BTreeMap;
use std::time::Duration;

use tacit_job::{Decline, Report, ToPeer};
use tacit_model::Fingerprint;
use tokio::time::Instant;

use super::Reported;

/// Once an attempt cannot succeed any more, reports of the others are waited for so long.
const ON_THEIR_WAY: Duration = Duration::from_millis(200);

/// One phase, from its instruction on.
///
/// Before the freeze an attempt cannot succeed any more once somebody is gone, whatever it says when it comes back, and the
/// others would wait for its link as long as they may: only reports that are on their way are still waited for. If
/// somebody speaks of an earlier session that was frozen, all are: whether its result is lost depends on each of them.
pub(super) struct Barrier {
    needs_all: bool,
    until: Instant,
    /// When somebody was gone whom it needs.
    hopeless_since: Option<Instant>,
    reported: Reported,
}

impl Barrier {
    pub(super) fn new(instruction: &ToPeer, until: Instant) -> Self {
        let needs_all = matches!(instruction, ToPeer::Prepare { .. } | ToPeer::Link { .. });
        Self { needs_all, until, hopeless_since: None, reported: BTreeMap::new() }
    }

    pub(super) fn report(&mut self, member: Fingerprint, report: Report) {
        let was_gone = self.reported.get(&member) == Some(&None);
        if !(self.needs_all && was_gone) {
            self.reported.insert(member, Some(report));
        }
    }

    pub(super) fn gone(&mut self, member: Fingerprint) {
        match self.needs_all {
            // What it reported before the freeze is worth nothing without it.
            true => {
                self.reported.insert(member, None);
                self.hopeless_since.get_or_insert_with(Instant::now);
            }
            false => _ = self.reported.entry(member).or_insert(None),
        }
    }

    /// It is back over a newer link. With the older one it gave up what was not begun; what it computes already goes on, and
    /// it says over this one what comes of it.
    pub(super) fn anew(&mut self, member: Fingerprint) {
        if self.needs_all {
            self.gone(member);
        }
    }

    /// How many have reported or are gone.
    pub(super) fn count(&self) -> usize {
        self.reported.len()
    }

    /// Until when the others are waited for.
    pub(super) fn deadline(&self) -> Instant {
        let hopeless_since = self.hopeless_since.filter(|_| self.is_cut_short());
        hopeless_since.map_or(self.until, |since| self.until.min(since + ON_THEIR_WAY))
    }

    /// What was reported; of whoever was silent to the end, nothing. Whoever was not waited for to the end is left out: it is
    /// neither gone nor silent.
    pub(super) fn end(mut self, members: &[Fingerprint], mut silent: impl FnMut(&Fingerprint)) -> Reported {
        if !self.is_cut_short() {
            for member in members {
                self.reported.entry(*member).or_insert_with(|| {
                    silent(member);
                    None
                });
            }
        }
        self.reported
    }

    fn is_cut_short(&self) -> bool {
        let speaks_of_a_freeze =
            |report: &Report| matches!(report, Report::Done { .. } | Report::Declined { why: Decline::Frozen { .. } });
        self.hopeless_since.is_some() && !self.reported.values().flatten().any(speaks_of_a_freeze)
    }
}

#[cfg(test)]
mod tests {
    use tacit_model::SessionId;

    use super::super::verdict::tests::who;
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    /// It may have forgotten the session; and one that comes and goes must not make fewer than all count as all.
    #[test]
    fn f13_who_was_gone_before_the_freeze_does_not_come_back_into_its_attempt() {
        let until = Instant::now() + HOUR;
        let link = ToPeer::Link { session: SessionId([0; 16]), nonces: Vec::new(), endpoints: Vec::new() };
        let mut link = Barrier::new(&link, until);
        link.report(who(0), Report::Linked);
        assert_eq!(link.deadline(), until);
        link.gone(who(1));
        link.report(who(1), Report::Linked);
        assert!(link.deadline() < until);
        let reported = link.end(&[who(0), who(1), who(2)], |_| panic!("nobody was waited for to the end"));
        assert_eq!(reported, BTreeMap::from([(who(0), Some(Report::Linked)), (who(1), None)]));

        // In a session everybody's last word counts.
        let mut session = Barrier::new(&ToPeer::Session { session: SessionId([0; 16]) }, until);
        session.anew(who(1));
        assert_eq!(session.count(), 0, "its word is still to come");
        session.gone(who(1));
        assert_eq!(session.deadline(), until);
        session.report(who(1), Report::Pong);
        let mut silent = Vec::new();
        let reported = session.end(&[who(0), who(1)], |member| silent.push(*member));
        assert_eq!(reported, BTreeMap::from([(who(0), None), (who(1), Some(Report::Pong))]));
        assert_eq!(silent, [who(0)]);
    }

    /// A result that somebody has is looked for at all others: whoever leaves must not end the task without it.
    #[test]
    fn f13_all_are_waited_for_while_somebody_speaks_of_a_freeze() {
        let frozen = || Report::Declined { why: Decline::Frozen { done: None, session: None } };
        for before in [true, false] {
            let until = Instant::now() + HOUR;
            let mut prepare = Barrier { needs_all: true, until, hopeless_since: None, reported: BTreeMap::new() };
            if before {
                prepare.report(who(0), frozen());
            }
            prepare.gone(who(1));
            assert_eq!(prepare.deadline() == until, before);
            prepare.report(who(0), frozen());
            assert_eq!(prepare.deadline(), until);
            let mut silent = Vec::new();
            let reported = prepare.end(&[who(0), who(1), who(2)], |member| silent.push(*member));
            assert_eq!((reported.len(), silent), (3, vec![who(2)]));
        }
    }
}
