//! The model `guaranteed`: the sum comes whatever t of n >= 3t+1 compute peers do, and cheaters are named.
//!
//! ```text
//!   keys      every dealer gives each set of n-t compute peers a key                 dealers -> compute peers
//!   report    hashes of the keys that arrived                                        agreed (t+1 rounds)
//!   dropped   sets whose members do not report one and the same key                  compute peers -> dealers
//!   masked    d = vector - r, where r is the sum of the other sets' streams          dealers -> compute peers
//!   report    the hash of each d that arrived                                        agreed (t+1 rounds)
//!   forward   d to whoever got another one                                           compute peers
//!   coin      shares of a random number that all compute peers dealt                 all to all
//!   answers   signed shares of each contributor's answers (session/range.rs)         all to all
//!   freeze    durable record, signatures; n-t of them are enough                     all to all
//!   evaluate  signed shares of masked products, decoded (arithmetic/robust.rs),
//!             unless it is the sum                                                   all to all, per multiplication
//!   open      signed shares of the sum, or of what was computed                      compute peers -> recipients
//! ```
//!
//! # Why it holds
//!
//! A compute peer's share of r is computed from keys (pseudorandom secret sharing: Cramer, Damgård, Ishai 2005), and d is
//! public among compute peers and agreed. So **the shares of all honest peers that agreed on the same keys and the same d are
//! right by construction**, whatever the dealer does. One hash says what was agreed ([`agreed`]): it goes with the coin, and
//! whoever says another one is not listened to any more; n-t have to say the same, and n-t have to sign it with the
//! frozen set. So at most t shares of anything that is opened are wrong or missing: n >= 3t+1 shares of
//! degree t decode to one result, and a share that decoding finds wrong is its sender's fault.
//!
//! The set of all honest compute peers is one of the sets; nobody in it reports another key of an honest dealer. So
//! an honest dealer's r keeps at least one stream that no t compute peers know, and d tells nothing. A dealer refuses
//! if all its sets are dropped.
//!
//! A set is dropped, an input accepted, a coin decoded by rules over what was agreed ([`agree`], Dolev, Strong 1983), so
//! all honest compute peers do the same. An honest dealer's d is reported by all n-t honest peers and therefore accepted;
//! of an accepted one at least t+1 honest peers have the same d, and give it to those who lack it. The coin is a
//! sum over all compute peers' keys, opened after all d are agreed: nobody knows it before.
//!
//! # What it takes
//!
//! A synchronous network: what an honest peer sends arrives before the receiver gives it up. Each step is a phase of the
//! [`Mailbox`](crate::Mailbox), and drivers give each phase more time than the one before it, so that a peer that
//! waits for a silent one is not given up itself. Who is silent, or away when the session begins, counts towards t; so does
//! who reads nothing, which is why nobody waits until the t longest backlogs are shorter. If more than t are silent or wrong
//! together (an honest peer that is too slow beside t cheaters), there is no result.
//!
//! **That the result is right and nobody honest is named leans on t alone**, not on the network. If a message between honest
//! peers is late, they may agree on different things (Dolev and Strong's rounds are synchronous), and the shares of the
//! one do not fit those of the others. But they say so, and each is a silent one to the other: who is not one of n-t that
//! say the same stops ([`SessionError::TooSlow`]) and signs nothing more; n-t are the same for everybody, because any two such
//! sets share an honest peer. Decoding accepts at most t wrong and missing shares together, all from peers that
//! agreed on the same, at least t+1 of which are honest and right. A dealer says under which keys its d is: who keeps other
//! ones does not take it, and so nobody honest is found out of range either. What is late costs the result, at worst.
//!
//! **Privacy leans on synchrony, too**: if an honest dealer's key does not reach an honest compute peer in time, that
//! peer says so, its sets are dropped, and t cheaters may know all streams that are left of that dealer. Where that
//! must not happen whatever the network does, the model `malicious` is the right one.
//!
//! Error: that of [`range`](super::range). Costs: n-1 choose t keys per dealer and compute peer; the dealt vector once to
//! each compute peer; 2t+8 rounds if nobody deviates.

use std::collections::BTreeMap;

use bytes::Bytes;
use tacit_algebra::Field;

use super::freeze::OpeningAuthorised;
use super::message;
use super::range::Query;
use super::{InputVector, Party, Receipt, SessionError};
use super::{evaluation, freeze, verify};
use crate::arithmetic::Robust;
use crate::environment::Environment;
use crate::plan::{Plan, SecurityModel, Sharing};
use crate::sharing::Recombiner;
use crate::transcript::Transcript;
use agree::Agreement;
use answers::{Judged, answer, judge};
use keys::{Family, Holder, Kept};
use masked::{Accepted, accept, exchange_masked, forward, mask, send_masked};

mod agree;
mod answers;
pub(super) mod conviction;
mod keys;
mod masked;
mod opening;

pub(super) use opening::open;

/// How much corruption there is to reckon with.
#[derive(Clone, Copy)]
struct Tolerance {
    /// How many compute peers learn nothing together: the degree of all sharings.
    t: usize,
    /// How many of those that take part may be silent or lie: t less those of the charter that are missing already.
    faulty: usize,
}

/// Phases of the mailbox, in the order of the steps.
#[derive(Clone, Copy)]
struct Phases {
    rounds: u32,
    /// Multiplications one after the other.
    products: u32,
}

impl Phases {
    const KEYS: u32 = 1;
    const FIRST_REPORT: u32 = 2;

    fn dropped(&self) -> u32 {
        Self::FIRST_REPORT + self.rounds
    }

    fn masked(&self) -> u32 {
        self.dropped() + 1
    }

    fn second_report(&self) -> u32 {
        self.masked() + 1
    }

    fn forward(&self) -> u32 {
        self.second_report() + self.rounds
    }

    fn coin(&self) -> u32 {
        self.forward() + 1
    }

    fn answers(&self) -> u32 {
        self.coin() + 1
    }

    fn freeze(&self) -> u32 {
        self.answers() + 1
    }

    fn products(&self) -> u32 {
        self.freeze() + 1
    }

    fn result(&self) -> u32 {
        self.products() + self.products
    }
}

impl Plan {
    /// How many steps of a synchronous network a session takes, each of which may have to be waited for: see
    /// [`Mailbox::phase`](crate::Mailbox::phase). None but in the model `guaranteed`.
    pub fn steps(&self) -> u32 {
        match self.model() {
            SecurityModel::Guaranteed => tolerance(self).map_or(0, |(_, phases)| phases.result()),
            SecurityModel::SemiHonest | SecurityModel::Malicious => 0,
        }
    }
}

/// What the plan tolerates, and the phases that follow from it.
fn tolerance(plan: &Plan) -> Result<(Tolerance, Phases), SessionError> {
    let missing = plan.request().charter_compute - plan.compute().len();
    match plan.sharing() {
        Sharing::Shamir { threshold: t } if missing <= t => {
            let faulty = t - missing;
            let products = u32::try_from(plan.evaluation_rounds());
            let products = products.map_err(|_| SessionError::WrongCall { what: "a function has fewer rounds" })?;
            Ok((Tolerance { t, faulty }, Phases { rounds: faulty as u32 + 1, products }))
        }
        _ => Err(SessionError::WrongCall { what: "guaranteed sessions share by polynomials among n-t or more" }),
    }
}

/// From the own input to the right to open the sum of all that are in range.
pub(super) async fn share_and_freeze<F: Field, E: Environment>(
    party: &mut Party<'_, E>,
    points: &[F],
    input: Option<InputVector>,
) -> Result<(Option<OpeningAuthorised<F>>, Option<Receipt>), SessionError> {
    let (tolerance, phases) = tolerance(party.plan)?;
    let Tolerance { t, faulty } = tolerance;
    // Who only gives or receives may be as hostile, and no honest compute peer waits for it.
    let outside = party.position.map_or(0, |_| party.plan.members().len() - party.plan.compute().len());
    party.mailbox.spare_slowest(faulty + outside);
    if party.position.is_some() {
        // Dealers are read one after the other: while one of them is silent, all that the others deal waits.
        party.mailbox.let_wait(party.plan.inputs(), party.plan.dealt_limit());
        party.mailbox.let_wait(party.plan.compute(), party.plan.parked_limit());
    }
    let layout = party.layout();
    let dealers = dealers(party);
    let gives = input.is_some();
    let family = match gives || party.position.is_some() {
        true => Some(Family::deal(party, t)),
        false => None,
    };
    let Some(position) = party.position else {
        let (Some(input), Some(family)) = (input, family) else {
            if party.plan.inputs().contains(&party.me) {
                party.mailbox.send_all(party.other_compute_peers(), &[message::ABSENT]);
            }
            return Ok((None, None));
        };
        let dropped = dropped_as_told(party, &family, t, &phases).await?;
        let (masked, receipt) = mask(party, &layout, &family, &dropped, input)?;
        party.mailbox.enter_phase(phases.masked());
        send_masked(party, &masked).await;
        return Ok((None, Some(receipt)));
    };
    party.mailbox.enter_phase(Phases::KEYS);
    let holder = Holder::collect(party, t, position, &dealers, family.as_ref()).await;
    let mut agreement = Agreement { faulty, position, binding: party.binding };
    let reports = agreement.reach(party, 1, Phases::FIRST_REPORT, holder.report(&party.binding)).await;
    let kept = holder.kept(&reports, &party.binding);
    tell_dropped(party, &dealers, &kept);

    let (own, receipt) = match (input, family.as_ref(), dealers.binary_search(&party.me)) {
        (Some(input), Some(family), Ok(index)) => {
            let (masked, receipt) = mask(party, &layout, family, &kept[index].dropped, input)?;
            (Some(masked), Some(receipt))
        }
        _ => (None, None),
    };
    party.mailbox.enter_phase(phases.masked());
    let kept_of = |dealer: &usize| dealers.binary_search(dealer).ok().map(|family| &kept[family]);
    let keys: Vec<Option<[u8; 32]>> = party
        .plan
        .inputs()
        .iter()
        .map(|dealer| kept_of(dealer).filter(|kept| !kept.nothing()).map(|kept| kept.digest))
        .collect();
    let mut arrived = exchange_masked(party, &layout, own, &keys).await;
    let digests: Vec<Option<[u8; 32]>> = party
        .plan
        .inputs()
        .iter()
        .zip(&arrived)
        .map(|(dealer, masked)| masked.as_ref().map(|masked| masked.digest(&party.binding, *dealer)))
        .collect();
    let mut report = Vec::new();
    message::put_view(&digests, &mut report);
    let reports = agreement.reach(party, 2, phases.second_report(), report).await;
    let accepted = accept(party, &reports, faulty);
    let agreed = agreed(&party.binding, &kept, &accepted);
    party.mailbox.enter_phase(phases.forward());
    forward(party, &accepted, &keys, &digests, &mut arrived, &layout, faulty).await;

    let (challenge, alike) = toss(party, points, &holder, &kept, &agreed, &dealers, tolerance, &phases).await?;
    let query = Query::new(&layout, &challenge)?;
    party.mailbox.enter_phase(phases.answers());
    let share_of = |slot: usize, out: &mut [F]| -> Result<(), SessionError> {
        let family = dealers.binary_search(&party.plan.inputs()[slot]).unwrap_or_default();
        holder.share(points, family, &kept[family].dropped, "input", &party.binding, out)?;
        if let Some(masked) = &arrived[slot] {
            F::add_assign_slice(out, &masked.elements);
        }
        Ok(())
    };
    let candidates: Vec<usize> = (0..accepted.len()).filter(|slot| accepted[*slot].is_some()).collect();
    if candidates.iter().any(|slot| arrived[*slot].is_none()) {
        // More than t compute peers are silent or lie: the others go on without this one.
        return Err(SessionError::NotEnoughShares { found: 0, needed: t + 1 });
    }
    let own_answers = answer(party, &query, &layout, &candidates, share_of)?;
    let Judged { view, faults, sum, each } =
        judge(party, points, &query, &layout, &candidates, own_answers, &arrived, &alike, &agreed, tolerance).await?;
    verify::enough(party, &view, &faults)?;
    party.mailbox.enter_phase(phases.freeze());
    let mut authorised = freeze::freeze_with(party, sum, each, view, agreed, faults, faulty).await?;
    if party.plan.evaluation().is_some() {
        let mut streams = Vec::new();
        for member in party.plan.compute() {
            let family = dealers.binary_search(member).unwrap_or_default();
            streams.extend(holder.streams(points, family, &kept[family].dropped, "product", &party.binding)?);
        }
        let listened: Vec<bool> = alike.iter().enumerate().map(|(i, a)| *a && !party.convicted.contains(&i)).collect();
        let robust = Robust::new(streams, faulty, &listened, phases.products());
        authorised = evaluation::evaluate_robustly(party, points, authorised, robust, t).await?;
    }
    Ok((Some(authorised), receipt))
}

/// All who deal keys: input peers and, for the coin, compute peers; ascending.
fn dealers<E>(party: &Party<'_, E>) -> Vec<usize> {
    let mut dealers: Vec<usize> = party.plan.inputs().iter().chain(party.plan.compute()).copied().collect();
    dealers.sort_unstable();
    dealers.dedup();
    dealers
}

/// Tells input peers which of their sets are dropped.
fn tell_dropped<E: Environment>(party: &Party<'_, E>, dealers: &[usize], kept: &[Kept]) {
    for (dealer, kept) in dealers.iter().zip(kept) {
        // Who dealt nothing waits for nothing.
        if party.compute_position(*dealer).is_none() && !kept.nothing() {
            let bitmap: Vec<u8> = kept.dropped.iter().map(|dropped| u8::from(*dropped)).collect();
            party.mailbox.send(*dealer, message::plain(message::DROPPED, &[&bitmap]));
        }
    }
}

/// What most compute peers say alike, t+1 or more, at least one of whom is honest.
async fn dropped_as_told<E: Environment>(
    party: &Party<'_, E>,
    family: &Family,
    t: usize,
    phases: &Phases,
) -> Result<Vec<bool>, SessionError> {
    party.mailbox.enter_phase(phases.dropped());
    let mut votes: BTreeMap<Vec<u8>, usize> = BTreeMap::new();
    for member in party.plan.compute() {
        let Ok(message) = party.mailbox.recv(*member).await else { continue };
        let Ok(bitmap) = message::content(&message, message::DROPPED) else { continue };
        if bitmap.len() == family.sets() && bitmap.iter().all(|dropped| *dropped <= 1) {
            *votes.entry(bitmap.to_vec()).or_default() += 1;
        }
    }
    let told = votes.into_iter().filter(|(_, votes)| *votes > t).max_by_key(|(_, votes)| *votes);
    let (bitmap, _) = told.ok_or(SessionError::NotEnoughShares { found: 0, needed: t + 1 })?;
    Ok(bitmap.into_iter().map(|dropped| dropped == 1).collect())
}

/// Everything that the share of an honest compute peer follows from: which keys are used and which inputs are in.
///
/// **Whoever comes to the same hash has right shares**: it holds those keys (its own report is among those that it
/// compared) and those masked vectors. On a synchronous network all honest peers do. Where a message among honest
/// peers was late they may not, and then each takes the other for a silent one, so that nobody can tell a share that
/// follows from something else from a wrong one.
fn agreed(binding: &[u8; 32], kept: &[Kept], accepted: &[Option<Accepted>]) -> [u8; 32] {
    let mut transcript = Transcript::new("tacit/agreed/v1");
    transcript.bytes(binding).number(kept.len() as u64);
    for kept in kept {
        transcript.bytes(&kept.digest);
    }
    transcript.number(accepted.len() as u64);
    for accepted in accepted {
        transcript.bytes(accepted.as_ref().map_or(&[], |accepted| accepted.digest.as_slice()));
    }
    transcript.finish()
}

/// Elements of the coin: 128 random bits and more.
fn coin_elements<F: Field>() -> usize {
    128usize.div_ceil(F::BITS as usize - 1)
}

/// Opens a random number that all compute peers dealt together. Also says who [agreed](agreed()) on the same things:
/// from now on, all others are not listened to. Without n-t such peers this one stops before it signs anything.
#[allow(clippy::too_many_arguments)] // one step of one protocol
async fn toss<F: Field, E: Environment>(
    party: &mut Party<'_, E>,
    points: &[F],
    holder: &Holder,
    kept: &[Kept],
    agreed: &[u8; 32],
    dealers: &[usize],
    tolerance: Tolerance,
    phases: &Phases,
) -> Result<([u8; 32], Vec<bool>), SessionError> {
    let mut own = vec![F::ZERO; coin_elements::<F>()];
    let mut part = own.clone();
    for member in party.plan.compute() {
        let family = dealers.binary_search(member).unwrap_or_default();
        holder.share(points, family, &kept[family].dropped, "coin", &party.binding, &mut part)?;
        F::add_assign_slice(&mut own, &part);
    }
    party.mailbox.enter_phase(phases.coin());
    party.mailbox.send_all(party.other_compute_peers(), &message::elements(message::COIN, 0, agreed, &own));
    let mut columns: Vec<Option<Vec<F>>> = Vec::with_capacity(points.len());
    let mut differ = false;
    for member in party.plan.compute() {
        if *member == party.me {
            columns.push(Some(own.clone()));
            continue;
        }
        let mut column = vec![F::ZERO; own.len()];
        let message = party.mailbox.recv(*member).await.ok();
        let read =
            |message: &Bytes| Some(message::read_elements(message, message::COIN, 0, 32, &mut column).ok()? == agreed);
        let same = message.as_ref().and_then(read);
        differ |= same == Some(false);
        columns.push((same == Some(true)).then_some(column));
    }
    let alike: Vec<bool> = columns.iter().map(Option::is_some).collect();
    if differ && alike.iter().filter(|alike| **alike).count() < points.len() - tolerance.faulty {
        return Err(SessionError::TooSlow);
    }
    let mut coin = vec![F::ZERO; own.len()];
    robust_open(party, points, tolerance, columns, &mut coin)?;
    let mut bytes = Vec::new();
    F::encode_slice(&coin, &mut bytes);
    let mut transcript = Transcript::new("tacit/challenge/v1");
    transcript.bytes(&party.binding).bytes(&bytes);
    Ok((transcript.finish(), alike))
}

fn bytes_of<F: Field>(part: &[F]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(part.len() * F::BYTES);
    F::encode_slice(part, &mut bytes);
    bytes
}

/// The vector that all but t of the columns stand for, and whose columns are wrong. Whoever finds that its own one is
/// among them goes no further.
fn robust_open<F: Field, E: Environment>(
    party: &mut Party<'_, E>,
    points: &[F],
    tolerance: Tolerance,
    columns: Vec<Option<Vec<F>>>,
    out: &mut [F],
) -> Result<Vec<usize>, SessionError> {
    let mut recombiner = Recombiner::guaranteed(points, tolerance.t, tolerance.faulty)?;
    for position in (0..columns.len()).filter(|position| columns[*position].is_none()) {
        recombiner.without(position)?;
    }
    let shares = columns.into_iter().flatten().collect();
    let wrong = recombiner.open(shares, &mut |bytes| party.environment.random(bytes), out)?;
    match party.position {
        Some(position) if wrong.contains(&position) => Err(SessionError::TooSlow),
        _ => Ok(wrong),
    }
}
