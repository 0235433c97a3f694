//! What a follower hears of a leader, and how long it keeps still after it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::types::LogIndex;

/// How long nobody votes against a leader that was heard of.
pub(crate) const VOTERS_LEASE: Duration = Duration::from_millis(VOTERS_LEASE_MS);
pub(crate) const VOTERS_LEASE_MS: u64 = 1000;
/// One piece of a snapshot, and its answer; a long one has more time. Who takes them waits so long for the next one before it
/// asks whether it would be elected: flat, although the next piece may be a long one, since it does not know how long. It does
/// no harm to ask: who hears the leader says no, and so does who has more of the log, which is everybody who lacks no rows. And a
/// leader that vanished without a word is missed by the others long before.
pub(crate) const PIECE: Duration = Duration::from_secs(30);
/// The rest is what one of the voters may have heard later than another.
const SILENCE: Duration = VOTERS_LEASE.saturating_add(Duration::from_millis(150));
/// Longer than an election takes.
const TURN: Duration = Duration::from_millis(300);
/// An election that was begun is given so long to end; then the next one may begin.
pub(crate) const ROUND: Duration = Duration::from_millis(500);
/// A node that cannot be elected waits for so long, in which the others have their turns.
const ROOM: Duration = Duration::from_millis(2000);
/// Where nobody else leads after so long, it is better done by a node whose clock is odd.
const LAST: Duration = Duration::from_secs(6);
/// A node that another one makes room for waits for so long.
const AT_ONCE: Duration = Duration::from_millis(100);

/// Notes signs of a leader, or of one that is being elected.
#[derive(Clone)]
pub(crate) struct Ear(Arc<Mutex<Waiting>>);

/// Since when, and how long nobody stands.
struct Waiting {
    /// When a leader spoke, or the node was started.
    heard: Instant,
    /// No leader spoke yet.
    new: bool,
    since: Instant,
    pause: Duration,
    /// Whether nodes stand in turns after that.
    turns: bool,
    arriving: Arriving,
    /// The term of who sends them.
    sender: u64,
}

/// What there is of the rows that the leader sends this node.
#[derive(Clone, Copy)]
pub(crate) enum Arriving {
    /// None are sent.
    Nothing,
    /// A piece is being staged, or all of them are put in place.
    Here,
    /// The next piece is waited for since then.
    Since(Instant),
}

impl Ear {
    pub(crate) fn new(now: Instant) -> Self {
        Self(Arc::new(Mutex::new(Waiting {
            heard: now,
            new: true,
            since: now,
            pause: SILENCE,
            turns: true,
            arriving: Arriving::Nothing,
            sender: 0,
        })))
    }

    /// The leader of this term spoke.
    pub(crate) fn heard(&self, now: Instant, term: u64) {
        let mut waiting = self.lock();
        let arriving = match waiting.arriving {
            // It may send rows all the same: of each commit all hear at once. Another one has its own to send.
            Arriving::Since(_) if waiting.sender != term => Arriving::Nothing,
            arriving => arriving,
        };
        *waiting = Waiting { heard: now, new: false, since: now, pause: SILENCE, turns: true, arriving, ..*waiting };
    }

    /// The leader of this term spoke: it sends rows.
    pub(crate) fn heard_rows(&self, now: Instant, sender: u64, arriving: Arriving) {
        let mut waiting = self.lock();
        *waiting = Waiting { heard: now, new: false, since: now, pause: SILENCE, turns: true, arriving, sender };
    }

    /// Whether this node was started a moment ago and has heard of no leader: it votes for nobody yet.
    pub(crate) fn is_new(&self, now: Instant) -> bool {
        let waiting = self.lock();
        waiting.new && now.duration_since(waiting.heard) < VOTERS_LEASE
    }

    /// Whether no leader spoke for so long that another node may stand. Members would not stay with a leader that has an odd
    /// clock: it may stand after those that have not.
    pub(crate) fn may_vote(&self, now: Instant, odd_clock: bool) -> bool {
        now.duration_since(self.lock().heard) >= if odd_clock { LAST } else { VOTERS_LEASE }
    }

    /// Whether nothing was noted since this moment, at which this node was about to stand.
    pub(crate) fn is_quiet_since(&self, then: Instant) -> bool {
        self.lock().since == then
    }

    /// This node voted for another one, or stands itself.
    pub(crate) fn voted(&self, now: Instant) {
        let mut waiting = self.lock();
        *waiting = Waiting { since: now, pause: ROUND, turns: true, ..*waiting };
    }

    /// This node stood, or another one did, and their logs are not equally long.
    pub(crate) fn compared(&self, now: Instant, own: Option<LogIndex>, other: Option<LogIndex>) {
        let mut waiting = self.lock();
        if own < other {
            *waiting = Waiting { since: now, pause: ROOM, turns: true, ..*waiting };
        } else if own > other && now.duration_since(waiting.heard) > VOTERS_LEASE {
            *waiting = Waiting { since: now, pause: AT_ONCE, turns: false, ..*waiting };
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it is time for the node whose turn is this one.
    pub(crate) fn is_time(&self, now: Instant, turn: u32) -> bool {
        let waiting = self.lock();
        let turns = if waiting.turns { TURN * turn } else { Duration::ZERO };
        // It could not be elected: it lacks what a majority has. A leader that is gone is missed by the others.
        let arriving = match waiting.arriving {
            Arriving::Nothing => false,
            Arriving::Here => true,
            Arriving::Since(piece) => now.duration_since(piece) < PIECE,
        };
        !arriving && now.duration_since(waiting.since) >= waiting.pause + turns
    }
}

#[cfg(test)]
mod tests {
    use openraft::CommittedLeaderId;

    use super::*;

    /// The time is looked at so often.
    const LOOK: Duration = Duration::from_millis(25);

    #[test]
    fn w1_nobody_stands_while_a_leader_is_heard_of() {
        let start = Instant::now();
        let ear = Ear::new(start);
        assert!(ear.is_new(start + LOOK) && !ear.is_new(start + VOTERS_LEASE));
        let mut now = start + SILENCE - LOOK;
        assert!(!ear.is_time(now, 0));
        ear.heard(now, 3);
        assert!(!ear.is_new(now));
        assert!(!ear.may_vote(now + VOTERS_LEASE - LOOK, false) && ear.may_vote(now + VOTERS_LEASE, false));
        now += SILENCE;
        assert!(ear.is_time(now, 0) && !ear.is_time(now, 1));
        now += TURN;
        assert!(ear.is_time(now, 1) && !ear.is_time(now, 2));
        ear.voted(now);
        assert!(!ear.is_time(now, 0));
        assert!(ear.is_quiet_since(now));
        now += ROUND;
        assert!(ear.is_time(now, 0) && !ear.is_time(now, 1));
        // Whoever asks for votes now has been overtaken.
        ear.voted(now);
        ear.heard(now + LOOK, 4);
        assert!(!ear.is_quiet_since(now));
    }

    /// A gateway with a wrong clock would lead, no peer would stay with it, and no other gateway be elected.
    #[test]
    fn w1_a_node_with_an_odd_clock_leads_only_if_nobody_else_does() {
        let start = Instant::now();
        let ear = Ear::new(start);
        ear.heard(start, 3);
        // All nodes of five had their turns.
        let late = start + SILENCE + TURN * 4 + ROUND;
        assert!(ear.may_vote(late, false) && !ear.may_vote(late, true));
        // With nobody else there it is better than none.
        assert!(ear.may_vote(start + LAST, true));
    }

    /// While a leader sends rows it sends nothing else: who takes them would depose it, again and again.
    #[test]
    fn w1_nobody_stands_while_rows_arrive_nor_waits_for_ever_for_more() {
        let start = Instant::now();
        let ear = Ear::new(start);
        // However long it takes to stage a piece, or to put all in place.
        ear.heard_rows(start, 3, Arriving::Here);
        let mut now = start + PIECE * 100;
        assert!(!ear.is_time(now, 0));
        // Who leads may say something else meanwhile, and others may stand.
        ear.heard(now, 3);
        ear.voted(now);
        now += PIECE;
        ear.compared(now, Some(LogIndex::new(CommittedLeaderId::new(3, 1), 8)), None);
        assert!(!ear.is_time(now + PIECE, 0));
        ear.heard_rows(now, 3, Arriving::Since(now));
        assert!(!ear.is_time(now + SILENCE + TURN * 4, 0) && !ear.is_time(now + PIECE - LOOK, 0));
        assert!(ear.is_time(now + PIECE, 0));
        // All are there, or were refused: the usual silence counts.
        ear.heard_rows(now, 3, Arriving::Nothing);
        assert!(!ear.is_time(now + SILENCE - LOOK, 0) && ear.is_time(now + SILENCE, 0));
        // A commit of the others, of which all hear, is no sign that no more rows come.
        ear.heard_rows(now, 3, Arriving::Since(now));
        ear.heard(now, 3);
        assert!(!ear.is_time(now + SILENCE + TURN, 0) && ear.is_time(now + PIECE, 0));
        // Another leader is.
        ear.heard(now, 4);
        assert!(ear.is_time(now + SILENCE, 0));
    }

    /// A short log that stands first, again and again, would keep out the only one that can be elected.
    #[test]
    fn w1_a_short_log_makes_room_for_a_longer_one() {
        let log = |index| Some(LogIndex::new(CommittedLeaderId::new(3, 1), index));
        let start = Instant::now();
        let (short, long) = (Ear::new(start), Ear::new(start));
        // A leader that was just heard of is not stood against, however long the own log.
        long.compared(start + LOOK, log(8), log(7));
        assert!(!long.is_time(start + LOOK + AT_ONCE, 0));
        let mut now = start + SILENCE;
        short.voted(now);
        short.compared(now, log(7), log(8));
        long.compared(now, log(8), log(7));
        now += AT_ONCE;
        assert!(long.is_time(now, 1) && !short.is_time(now, 0));
        now += ROUND + TURN * 4;
        assert!(!short.is_time(now, 0));
        now += ROOM;
        assert!(short.is_time(now, 0));
        // Equal logs keep their turns.
        short.voted(now);
        short.compared(now, log(8), log(8));
        assert!(!short.is_time(now + AT_ONCE, 0) && short.is_time(now + ROUND, 0));
    }
}
