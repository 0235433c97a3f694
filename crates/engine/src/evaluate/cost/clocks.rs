//! Rounds of what travels in messages: of a long vector only a few are on their way at once, so that it takes as many rounds
//! more, and a peer that waits for nobody goes on ahead of the others.

use crate::arithmetic::WINDOW;

/// How many rounds have passed for each peer.
#[derive(Clone, Debug)]
pub(super) struct Clocks(Vec<usize>);

impl Clocks {
    /// Of n peers that begin together.
    pub(super) fn new(n: usize) -> Self {
        Self(vec![0; n])
    }

    /// Those of the slowest.
    pub(super) fn slowest(&self) -> usize {
        self.0.iter().copied().max().unwrap_or(0)
    }

    /// All take so many rounds from where the slowest is.
    pub(super) fn together(&mut self, rounds: usize) {
        let end = self.slowest() + rounds;
        self.0.fill(end);
    }

    /// The same as [`messages`](Self::messages), where each peer waits for as many others, at the same distances from it.
    pub(super) fn messages_alike<S: Iterator<Item = usize>>(
        &mut self,
        messages: usize,
        senders: impl Fn(usize, usize) -> S,
    ) {
        let level = self.0.iter().all(|clock| *clock == self.0[0]);
        if level { self.together(messages.div_ceil(WINDOW + 1)) } else { self.messages(messages, senders) }
    }

    /// A vector in so many messages of each sender: `senders` says whose a peer waits for, by its place and the message's number.
    pub(super) fn messages<S: Iterator<Item = usize>>(&mut self, messages: usize, senders: impl Fn(usize, usize) -> S) {
        let window = WINDOW.min(messages);
        let mut sent: Vec<Vec<usize>> = Vec::with_capacity(messages);
        for step in 0..messages + window {
            if step < messages {
                sent.push(self.0.clone());
            }
            let Some(number) = step.checked_sub(window) else { continue };
            for (peer, clock) in self.0.iter_mut().enumerate() {
                let arrives = senders(peer, number).map(|sender| sent[number][sender] + 1).max();
                *clock = arrives.map_or(*clock, |arrives| arrives.max(*clock));
            }
        }
    }
}

/// The rounds of a vector in blocks that all handle alike: in so many stages, each of which sends what the next one waits for, and
/// a stage of one block together with the stage before of the next one.
pub(super) fn overlapping(blocks: usize, stages: usize) -> usize {
    let mut now = 0;
    let mut sent = vec![vec![0; blocks]; stages];
    for step in 0..blocks + stages {
        for stage in (0..=stages).filter(|stage| *stage <= step && step - *stage < blocks) {
            let block = step - stage;
            if let Some(before) = stage.checked_sub(1) {
                now = now.max(sent[before][block] + 1);
            }
            if stage < stages {
                sent[stage][block] = now;
            }
        }
    }
    now
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_messages_are_on_their_way_at_once() {
        for (messages, rounds) in [(0, 0), (1, 1), (5, 1), (6, 2), (10, 2), (11, 3), (32, 7)] {
            let mut clocks = Clocks::new(3);
            let others = |peer, _| (0..3).filter(move |sender| *sender != peer);
            clocks.messages(messages, others);
            assert_eq!(clocks.0, [rounds; 3], "{messages} messages");
            let mut clocks = Clocks::new(3);
            clocks.messages_alike(messages, others);
            assert_eq!(clocks.0, [rounds; 3], "{messages} messages");
        }
    }

    /// The first of a chain sends all it has at once, and whoever waits for it has heard of nobody else.
    #[test]
    fn who_waits_for_nobody_is_ahead() {
        let mut clocks = Clocks::new(3);
        clocks.messages(9, |peer, _| peer.checked_sub(1).into_iter());
        assert_eq!(clocks.0, [0, 1, 2]);
        clocks.together(1);
        assert_eq!(clocks.0, [3, 3, 3]);
    }

    #[test]
    fn blocks_overlap() {
        assert_eq!([0, 1, 2, 3, 4].map(|blocks| overlapping(blocks, 1)), [0, 1, 1, 2, 2]);
        assert_eq!([1, 2, 3].map(|blocks| overlapping(blocks, 3)), [3, 3, 4]);
    }
}
