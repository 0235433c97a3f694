//! Seats: a member computes so many sessions at once as it says, and whoever comes later waits in a line.
//!
//! A computation takes a seat at each of its members, all at once or none, so that no two ever hold what the other
//! one needs. The line is served in its order: a seat that somebody further ahead still needs is kept for them, so
//! a computation of many members is not overtaken for ever by those of few. Who shares no member does not wait for
//! each other. A member enforces its number itself; here it is counted so that nobody is taken for lost who is busy.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tacit_model::Fingerprint;
use tokio::sync::oneshot;
use tokio::time::Instant;

/// The seats of all members.
#[derive(Default)]
pub(crate) struct Seats {
    state: Mutex<State>,
}

/// A place in the line, and the seats that it has come to. Given up when it is dropped.
pub(crate) struct Place<'a> {
    seats: &'a Seats,
    number: u64,
}

/// How a wait for seats ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seated {
    /// There was room.
    AtOnce,
    /// After a while, in which members may have come or gone.
    Later,
    /// Not before the deadline.
    Never,
}

/// Between two questions to a member that is busy although it should not be: sessions that were given up end by and
/// by. Longer each time.
pub(crate) struct Pause(Duration);

impl Default for Pause {
    fn default() -> Self {
        Self(Duration::from_millis(20))
    }
}

impl Pause {
    pub(crate) async fn pass(&mut self) {
        tokio::time::sleep(self.0).await;
        self.0 = (self.0 * 2).min(Duration::from_secs(1));
    }
}

#[derive(Default)]
struct State {
    places: u64,
    /// Sessions at once, of the members that are there and have said it.
    limits: BTreeMap<Fingerprint, u32>,
    taken: BTreeMap<Fingerprint, u32>,
    waiting: BTreeMap<u64, Waiting>,
    holding: BTreeMap<u64, BTreeSet<Fingerprint>>,
}

struct Waiting {
    members: BTreeSet<Fingerprint>,
    tell: oneshot::Sender<()>,
}

impl Seats {
    /// A member has said how many sessions it computes at once; nothing if it does not say so.
    pub(crate) fn offered(&self, member: Fingerprint, sessions: Option<u32>) {
        let mut state = self.lock();
        match sessions {
            Some(sessions) => state.limits.insert(member, sessions),
            None => state.limits.remove(&member),
        };
        state.serve(&BTreeSet::from([member]));
    }

    /// A member is away: nobody waits for its seats, and who did looks again at who is there.
    pub(crate) fn left(&self, member: Fingerprint) {
        self.offered(member, None);
    }

    /// The last place in the line.
    pub(crate) fn line_up(&self) -> Place<'_> {
        let mut state = self.lock();
        state.places += 1;
        Place { seats: self, number: state.places }
    }

    /// Which of these members have no seat left.
    pub(crate) fn full(&self, members: &[Fingerprint]) -> Vec<Fingerprint> {
        let state = self.lock();
        let full = |member: &&Fingerprint| {
            let taken = state.taken.get(*member).copied().unwrap_or(0);
            state.limits.get(*member).is_some_and(|limit| taken >= *limit)
        };
        members.iter().filter(full).copied().collect()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place<'_> {
    /// Whether it has come to a seat at each of these members.
    pub(crate) fn holds(&self, members: &[Fingerprint]) -> bool {
        let state = self.seats.lock();
        state.holding.get(&self.number).is_some_and(|held| members.iter().all(|member| held.contains(member)))
    }

    /// Waits for a seat at each of these members; the seats of before are given back. The place stays the same.
    pub(crate) async fn wait(&mut self, members: &[Fingerprint], until: Instant) -> Seated {
        let mut told = {
            let mut state = self.seats.lock();
            state.give_back(self.number);
            state.enter(self.number, members.iter().copied().collect())
        };
        if told.try_recv().is_ok() {
            return Seated::AtOnce;
        }
        let told = tokio::time::timeout_at(until, told).await;
        if told.is_ok() || self.holds(members) {
            return Seated::Later;
        }
        self.give_back();
        Seated::Never
    }

    /// Leaves its seats to others.
    pub(crate) fn give_back(&mut self) {
        self.seats.lock().give_back(self.number);
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.give_back();
    }
}

impl State {
    fn enter(&mut self, number: u64, members: BTreeSet<Fingerprint>) -> oneshot::Receiver<()> {
        let (tell, told) = oneshot::channel();
        self.waiting.insert(number, Waiting { members: members.clone(), tell });
        self.serve(&members);
        told
    }

    fn give_back(&mut self, number: u64) {
        let freed = match self.holding.remove(&number) {
            Some(held) => {
                for member in &held {
                    if let Some(taken) = self.taken.get_mut(member) {
                        *taken = taken.saturating_sub(1);
                    }
                }
                self.taken.retain(|_, taken| *taken > 0);
                held
            }
            None => self.waiting.remove(&number).map(|waiting| waiting.members).unwrap_or_default(),
        };
        self.serve(&freed);
    }

    /// Something has changed at these members: everybody in the line whose turn it is gets their seats.
    fn serve(&mut self, changed: &BTreeSet<Fingerprint>) {
        let mut kept: BTreeMap<Fingerprint, u32> = BTreeMap::new();
        let mut turn = Vec::new();
        for (number, waiting) in &self.waiting {
            let spare = |member: &Fingerprint| {
                let limit = self.limits.get(member).copied().unwrap_or(u32::MAX);
                let gone = [&self.taken, &kept].into_iter().filter_map(|seats| seats.get(member));
                gone.fold(limit, |left, seats| left.saturating_sub(*seats)) > 0
            };
            if !changed.iter().any(spare) {
                // Nothing is left for anybody further behind.
                break;
            }
            if waiting.members.iter().all(spare) {
                turn.push(*number);
            }
            for member in &waiting.members {
                *kept.entry(*member).or_default() += 1;
            }
        }
        for number in turn {
            let Some(Waiting { members, tell }) = self.waiting.remove(&number) else { continue };
            for member in &members {
                *self.taken.entry(*member).or_default() += 1;
            }
            self.holding.insert(number, members);
            // Whoever has just given up gives these back.
            let _told = tell.send(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn who(numbers: &[u8]) -> Vec<Fingerprint> {
        numbers.iter().map(|number| Fingerprint([*number; 32])).collect()
    }

    fn seats(members: u8, each: u32) -> Seats {
        let seats = Seats::default();
        for number in 0..members {
            seats.offered(Fingerprint([number; 32]), Some(each));
        }
        seats
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_millis(20)
    }

    #[tokio::test]
    async fn f18_seats_are_taken_all_at_once_and_in_turn() {
        let seats = seats(3, 1);
        let [mut first, mut large, mut small] = [seats.line_up(), seats.line_up(), seats.line_up()];
        assert_eq!(first.wait(&who(&[0]), soon()).await, Seated::AtOnce);
        // The second needs what the first holds, so it holds nothing; yet the third does not overtake it.
        assert_eq!(large.wait(&who(&[0, 1]), soon()).await, Seated::Never);
        assert_eq!(small.wait(&who(&[1]), soon()).await, Seated::AtOnce);
        small.give_back();
        let (members, later) = (who(&[0, 1]), Instant::now() + Duration::from_secs(60));
        let mut waiting = Box::pin(large.wait(&members, later));
        assert!(tokio::time::timeout_at(soon(), &mut waiting).await.is_err());
        assert_eq!(small.wait(&who(&[1]), soon()).await, Seated::Never, "kept for who is further ahead");
        assert_eq!(small.wait(&who(&[2]), soon()).await, Seated::AtOnce, "who shares no member does not wait");
        drop(first);
        assert_eq!(waiting.await, Seated::Later);
        assert!(large.holds(&who(&[1])) && !large.holds(&who(&[2])));
        drop(large);
        assert_eq!(small.wait(&who(&[0, 1, 2]), soon()).await, Seated::AtOnce);
    }

    #[tokio::test]
    async fn f18_who_goes_away_or_takes_more_lets_the_line_go_on() {
        let seats = seats(2, 0);
        let later = || Instant::now() + Duration::from_secs(60);
        for change in [None, Some(1)] {
            seats.offered(Fingerprint([1; 32]), Some(0));
            let (members, mut place) = (who(&[1]), seats.line_up());
            let waiting = place.wait(&members, later());
            tokio::pin!(waiting);
            assert!(tokio::time::timeout_at(soon(), &mut waiting).await.is_err());
            seats.offered(Fingerprint([1; 32]), change);
            assert_eq!(waiting.await, Seated::Later);
        }
        // Who gives up waiting, or is dropped in the middle of it, is out of the way of others.
        let mut gone = seats.line_up();
        {
            let members = who(&[0, 1]);
            let waiting = gone.wait(&members, later());
            tokio::pin!(waiting);
            assert!(tokio::time::timeout_at(soon(), &mut waiting).await.is_err());
        }
        drop(gone);
        assert_eq!(seats.line_up().wait(&who(&[1]), soon()).await, Seated::AtOnce);
        assert_eq!(seats.lock().taken, BTreeMap::new());
    }

    /// Whatever comes and goes: never more than there are, everybody's turn comes, and nothing is left over.
    #[tokio::test]
    async fn f18_seats_are_never_too_many_and_everybody_has_a_turn() {
        let seats = std::sync::Arc::new(seats(5, 3));
        let mut state: u32 = 18;
        let mut random = move |below: u32| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 16) % below
        };
        let mut turns = tokio::task::JoinSet::new();
        for _ in 0..300 {
            let members: Vec<u8> = (0..5).filter(|number| *number == 4 || random(3) > 0).collect();
            let (seats, steps) = (std::sync::Arc::clone(&seats), random(4));
            turns.spawn(async move {
                let mut place = seats.line_up();
                let seated = place.wait(&who(&members), Instant::now() + Duration::from_secs(60)).await;
                assert!(seats.lock().taken.values().all(|taken| *taken <= 3));
                for _ in 0..steps {
                    tokio::task::yield_now().await;
                }
                seated
            });
        }
        let seated = turns.join_all().await;
        assert!(seated.iter().all(|seated| *seated != Seated::Never));
        assert!(seated.contains(&Seated::AtOnce) && seated.contains(&Seated::Later));
        let state = seats.lock();
        assert!(state.taken.is_empty() && state.waiting.is_empty() && state.holding.is_empty());
    }
}
