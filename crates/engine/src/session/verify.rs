//! Between sharing and freeze: are all contributors' numbers in range, do they belong together, and were they dealt by polynomials
//! of degree t?
//!
//! ```text
//!   hold     what is complete here; a coin (semi-honest) or its hash (malicious)     all to all
//!   coin     the coin, and the digest of all that was held                malicious only, all to all
//!            the environment's go-ahead
//!   answers  shares of each candidate's answers at the tossed point       all to all
//! ```
//!
//! Candidates are the contributors whose shares are complete at all compute peers under one commitment. What
//! is opened and why it proves range stands in [`range`](super::range); a contributor that does not pass stays
//! out of the sum, or ends the session where the plan wants all inputs.
//!
//! # What it promises
//!
//! Of a statistic, a contributor whose sums no records within the bounds give is out of range too, as far as
//! [ties](crate::aggregate::ties) say it; that includes the histograms of which one could void all.
//!
//! `semi-honest`: a contributor out of range is found and named if all compute peers follow the protocol.
//!
//! `malicious`, at least 2t+1 compute peers: nothing out of range gets into a sum that is accepted. Every honest
//! peer holds all shares, and all coins' hashes, before it shows its coin, and it shows shares of answers only after
//! all others confirmed the same hashes: so the point is fixed after all that is checked, and is the same for
//! all honest peers (two points would open two values under one mask). Answers must be consistent among all
//! compute peers. Then they are what the honest shares say, and a contributor that fails is at fault; if they
//! contradict each other, either the contributor or up to t compute peers lie, and nobody is named. A cheating compute
//! peer can keep a contributor out, or end the session; that does not depend on anybody's input.
//!
//! Errors and leakage: [`range`](super::range).

use std::collections::VecDeque;
use std::ops::Range;

use bytes::Bytes;
use tacit_algebra::Field;
use zeroize::Zeroizing;

use super::freeze;
use super::input::Shared;
use super::message::{self, View, malformed};
use super::range::{Layout, Query};
use super::{CHUNK, Fault, FaultKind, Party, SessionError, WINDOW, chunk_range};
use crate::environment::Environment;
use crate::plan::{OnMissing, SecurityModel};
use crate::sharing::Recombiner;
use crate::transcript::Transcript;

/// The input set whose numbers are in range, and what was wrong with others; `shared` holds the sum of that set.
pub(super) async fn verify<F: Field, E: Environment>(
    party: &mut Party<'_, E>,
    points: &[F],
    layout: &Layout<F>,
    shared: &mut Shared<F>,
) -> Result<(View, Vec<Fault>), SessionError> {
    let (views, challenge) = toss(party, shared.view()).await?;
    let (mut view, mut faults) = freeze::agreed_set(party.plan, &views)?;
    let query = Query::new(layout, &challenge)?;
    party.environment.go_ahead().await;
    let recombiner = Recombiner::new(points, party.plan.sharing(), party.plan.shares_needed())?;
    let mut checker =
        Checker { layout, query: &query, recombiner: &recombiner, answers: VecDeque::new(), sums: VecDeque::new() };
    for (slot, kind) in checker.run(party, shared, &view).await? {
        view[slot] = None;
        faults.push(Fault { member: party.plan.inputs()[slot], kind });
    }
    enough(party, &view, &faults)?;
    Ok((view, faults))
}

/// What the compute peers hold, and a challenge that nobody could know before all of them held it.
async fn toss<E: Environment>(party: &mut Party<'_, E>, own: View) -> Result<(Vec<View>, [u8; 32]), SessionError> {
    let commits = party.plan.model() != SecurityModel::SemiHonest;
    let mut coin = [0; 32];
    party.environment.random(&mut coin);
    let mut hold = Vec::new();
    message::put_view(&own, &mut hold);
    hold.extend_from_slice(&if commits { hide(&party.binding, &coin) } else { coin });
    let holds = exchange(party, message::HOLD, &hold).await?;
    let mut views = Vec::with_capacity(holds.len());
    let mut coins: Vec<[u8; 32]> = Vec::with_capacity(holds.len());
    for (member, hold) in party.plan.compute().iter().zip(&holds) {
        let (view, coin) = hold.split_last_chunk::<32>().ok_or(malformed(*member))?;
        views.push(message::read_view(view, party.plan.inputs().len()).map_err(|_| malformed(*member))?);
        coins.push(*coin);
    }
    if commits {
        let mut transcript = Transcript::new("tacit/held/v1");
        transcript.bytes(&party.binding);
        holds.iter().for_each(|hold| _ = transcript.bytes(hold));
        let digest = transcript.finish();
        let shown = exchange(party, message::COIN, &[coin, digest].concat()).await?;
        for ((member, shown), coin) in party.plan.compute().iter().zip(&shown).zip(&mut coins) {
            let (theirs, held) = shown.split_first_chunk::<32>().ok_or(malformed(*member))?;
            if *held != digest[..] {
                return Err(SessionError::DifferentViews { member: *member });
            }
            if hide(&party.binding, theirs) != *coin {
                return Err(malformed(*member));
            }
            *coin = *theirs;
        }
    }
    let mut transcript = Transcript::new("tacit/challenge/v1");
    transcript.bytes(&party.binding);
    coins.iter().for_each(|coin| _ = transcript.bytes(coin));
    Ok((views, transcript.finish()))
}

struct Checker<'c, F: Field> {
    layout: &'c Layout<F>,
    query: &'c Query<'c, F>,
    recombiner: &'c Recombiner<F>,
    /// The own answers, of units that are on their way.
    answers: VecDeque<Vec<F>>,
    /// The own share of the numbers, of candidates whose verdict is not there yet.
    sums: VecDeque<Zeroizing<Vec<F>>>,
}

/// What travels in one message: the short answers of several candidates, one after the other, or a piece of one's long ones.
struct Unit {
    /// Places among the candidates.
    candidates: Range<usize>,
    /// Of their answers.
    elements: Range<usize>,
}

/// All that has to travel, for so many candidates with so many answers each.
fn units(candidates: usize, length: usize) -> Vec<Unit> {
    let together = (CHUNK / length.max(1)).max(1);
    let first = (0..candidates).step_by(together).map(|start| start..candidates.min(start + together));
    first
        .flat_map(|candidates| {
            let elements = candidates.len() * length;
            let pieces = 0..elements.div_ceil(CHUNK);
            pieces.map(move |piece| Unit { candidates: candidates.clone(), elements: chunk_range(piece, elements) })
        })
        .collect()
}

impl<F: Field> Checker<'_, F> {
    /// Opens the answers of all candidates, adds up those that pass, and returns the others.
    async fn run<E: Environment>(
        &mut self,
        party: &mut Party<'_, E>,
        shared: &mut Shared<F>,
        view: &View,
    ) -> Result<Vec<(usize, FaultKind)>, SessionError> {
        let length = self.layout.answers();
        let candidates: Vec<usize> = (0..view.len()).filter(|slot| view[*slot].is_some()).collect();
        let units = units(candidates.len(), length);
        let mut share = Zeroizing::new(vec![F::ZERO; self.layout.length()]);
        let room = units.iter().map(|unit| unit.candidates.len()).max().unwrap_or(0) * length;
        let mut columns = vec![vec![F::ZERO; room]; party.plan.compute().len()];
        let mut opened = vec![F::ZERO; length];
        let mut failed = Vec::new();
        for step in 0..units.len() + WINDOW {
            if let Some(unit) = units.get(step) {
                if unit.elements.start == 0 {
                    let mut answers = Vec::with_capacity(unit.candidates.len() * length);
                    for slot in &candidates[unit.candidates.clone()] {
                        shared.share_of(*slot, &mut share)?;
                        let mut sums = Zeroizing::new(vec![F::ZERO; party.length()]);
                        self.query.answer(&share, &mut answers, &mut sums);
                        self.sums.push_back(sums);
                    }
                    self.answers.push_back(answers);
                }
                if let Some(answers) = self.answers.back() {
                    let message = message::elements(message::ANSWERS, step, &[], &answers[unit.elements.clone()]);
                    party.mailbox.send_all(party.other_compute_peers(), &message);
                    party.mailbox.drained().await;
                }
            }
            let Some((number, unit)) = step.checked_sub(WINDOW).and_then(|n| Some((n, units.get(n)?))) else {
                continue;
            };
            for (member, column) in party.plan.compute().iter().copied().zip(&mut columns) {
                if member != party.me {
                    let message = receive(party, member).await?;
                    let part = &mut column[unit.elements.clone()];
                    message::read_elements(&message, message::ANSWERS, number, 0, part)
                        .map_err(|_| malformed(member))?;
                }
            }
            if unit.elements.end < unit.candidates.len() * length {
                continue;
            }
            if let (Some(answers), Some(position)) = (self.answers.pop_front(), party.position) {
                columns[position][..answers.len()].copy_from_slice(&answers);
            }
            for (place, slot) in candidates[unit.candidates.clone()].iter().enumerate() {
                let Some(sums) = self.sums.pop_front() else { continue };
                let columns: Vec<&[F]> = columns.iter().map(|c| &c[place * length..(place + 1) * length]).collect();
                match self.verdict(party, &columns, &mut opened) {
                    None => shared.accept(*slot, &sums),
                    Some(kind) => failed.push((*slot, kind)),
                }
            }
        }
        Ok(failed)
    }

    fn verdict<E: Environment>(
        &self,
        party: &mut Party<'_, E>,
        columns: &[&[F]],
        opened: &mut [F],
    ) -> Option<FaultKind> {
        let mut random = |bytes: &mut [u8]| party.environment.random(bytes);
        if !self.recombiner.open_consistent(columns, &mut random, opened) {
            return Some(FaultKind::Contradiction);
        }
        (!self.query.accepts(opened)).then_some(FaultKind::OutOfBounds)
    }
}

/// Whether the plan goes on without those who did not pass.
pub(super) fn enough<E>(party: &Party<'_, E>, view: &View, faults: &[Fault]) -> Result<(), SessionError> {
    let of = |kind: FaultKind| faults.iter().filter(move |fault| fault.kind == kind).map(|fault| fault.member);
    let (beyond, disputed): (Vec<usize>, Vec<usize>) =
        (of(FaultKind::OutOfBounds).collect(), of(FaultKind::Contradiction).collect());
    let found = view.iter().flatten().count();
    match party.plan.on_missing() {
        OnMissing::Fail if !beyond.is_empty() => Err(SessionError::OutOfBounds { members: beyond }),
        OnMissing::Fail if !disputed.is_empty() => Err(SessionError::Contradiction { members: disputed }),
        OnMissing::Proceed { min } if found < min => {
            let missing = party.plan.inputs().iter().zip(view).filter(|(_, entry)| entry.is_none());
            Err(SessionError::TooFewContributors { found, needed: min, missing: missing.map(|(m, _)| *m).collect() })
        }
        OnMissing::Fail | OnMissing::Proceed { .. } => Ok(()),
    }
}

/// A message of everybody, the own one included, in the order of the compute peers.
async fn exchange<E: Environment>(party: &Party<'_, E>, tag: u8, own: &[u8]) -> Result<Vec<Bytes>, SessionError> {
    party.mailbox.send_all(party.other_compute_peers(), &message::plain(tag, &[own]));
    let mut all = Vec::with_capacity(party.plan.compute().len());
    for member in party.plan.compute().iter().copied() {
        if member == party.me {
            all.push(Bytes::copy_from_slice(own));
            continue;
        }
        let message = receive(party, member).await?;
        let content = message::content(&message, tag).map_err(|_| malformed(member))?;
        if content.len() != own.len() {
            return Err(malformed(member));
        }
        all.push(message.slice(1..));
    }
    Ok(all)
}

async fn receive<E: Environment>(party: &Party<'_, E>, member: usize) -> Result<Bytes, SessionError> {
    party.mailbox.recv(member).await.map_err(|_| SessionError::LostBeforeFreeze { member })
}

fn hide(binding: &[u8; 32], coin: &[u8; 32]) -> [u8; 32] {
    let mut transcript = Transcript::new("tacit/coin/v1");
    transcript.bytes(binding).bytes(coin);
    transcript.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Short answers travel together, long ones in pieces, and all of them once, in order.
    #[test]
    fn every_answer_travels_once() {
        for (candidates, length, messages) in
            [(0, 3, 0), (11, 3, 1), (3, CHUNK / 2, 2), (2, CHUNK, 2), (2, CHUNK + 1, 4), (2 * CHUNK, 3, 7)]
        {
            let units = units(candidates, length);
            assert_eq!(units.len(), messages, "{candidates} of {length}");
            assert!(units.iter().all(|unit| unit.elements.len() <= CHUNK));
            let sent = units.iter().flat_map(|unit| {
                let first = unit.candidates.start * length;
                first + unit.elements.start..first + unit.elements.end
            });
            assert!(sent.eq(0..candidates * length), "{candidates} of {length}");
        }
    }
}
