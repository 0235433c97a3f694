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
//!   answers   shares of each contributor's answers (session/range.rs)                all to all
//!   freeze    durable record, signatures; n-t of them are enough                     all to all
//!   evaluate  masked products, decoded (arithmetic/robust.rs), unless it is the sum   all to all, per multiplication
//!   open      shares of the sum, or of what was computed                             compute peers -> recipients
//! ```
//!
//! # Why it holds
//!
//! A compute peer's share of r is computed from keys (pseudorandom secret sharing: Cramer, Damgård, Ishai 2005), and d is
//! public among compute peers and agreed. So **every honest share of every accepted input is right by
//! construction**, whatever the dealer does, and at most t shares of anything that is opened later are wrong or missing:
//! n >= 3t+1 shares of degree t decode to one result, and a share that decoding finds wrong is its sender's fault.
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
//! waits for a silent one is not given up itself. Who is silent, or away when the session begins, counts towards t. If more than t are silent or wrong
//! together (an honest peer that is too slow beside t cheaters), there is no result; there is never a wrong one, and
//! nobody honest is named: decoding accepts at most t wrong and missing shares together.
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
use zeroize::Zeroizing;

use super::freeze::OpeningAuthorised;
use super::message::{self, View};
use super::range::{Layout, Query};
use super::{CHUNK, Fault, FaultKind, InputVector, Party, Receipt, SessionError, WINDOW, chunk_range};
use super::{evaluation, freeze, input, verify};
use crate::arithmetic::Robust;
use crate::environment::Environment;
use crate::evaluate::Evaluation;
use crate::plan::Sharing;
use crate::sharing::Recombiner;
use crate::transcript::Transcript;
use agree::Agreement;
use keys::{Family, Holder};

mod agree;
mod keys;
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

/// What the plan tolerates, and the phases that follow from it.
fn tolerance<E>(party: &Party<'_, E>) -> Result<(Tolerance, Phases), SessionError> {
    let missing = party.plan.request().charter_compute - party.plan.compute().len();
    match party.plan.sharing() {
        Sharing::Shamir { threshold: t } if missing <= t => {
            let faulty = t - missing;
            let products = u32::try_from(party.plan.evaluation_rounds());
            let products = products.map_err(|_| SessionError::WrongCall { what: "a function has fewer rounds" })?;
            Ok((Tolerance { t, faulty }, Phases { rounds: faulty as u32 + 1, products }))
        }
        _ => Err(SessionError::WrongCall { what: "guaranteed sessions share by polynomials among n-t or more" }),
    }
}

/// A masked vector, as it arrived.
struct Masked<F> {
    commitment: [u8; 32],
    elements: Vec<F>,
}

impl<F: Field> Masked<F> {
    fn digest(&self, binding: &[u8; 32], dealer: usize) -> [u8; 32] {
        let mut transcript = Transcript::new("tacit/masked/v1");
        transcript.bytes(binding).number(dealer as u64).bytes(&self.commitment).number(self.elements.len() as u64);
        let mut bytes = Vec::with_capacity(512 * F::BYTES);
        for elements in self.elements.chunks(512) {
            bytes.clear();
            F::encode_slice(elements, &mut bytes);
            transcript.raw(&bytes);
        }
        transcript.finish()
    }
}

/// From the own input to the right to open the sum of all that are in range.
pub(super) async fn share_and_freeze<F: Field, E: Environment>(
    party: &mut Party<'_, E>,
    points: &[F],
    input: Option<InputVector>,
) -> Result<(Option<OpeningAuthorised<F>>, Option<Receipt>), SessionError> {
    let (tolerance, phases) = tolerance(party)?;
    let Tolerance { t, faulty } = tolerance;
    let layout = party.layout()?;
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
        send_masked(party, &masked).await;
        return Ok((None, Some(receipt)));
    };
    party.mailbox.enter_phase(Phases::KEYS);
    let holder = Holder::collect(party, t, position, &dealers, family.as_ref()).await;
    let mut agreement = Agreement { faulty, position, binding: party.binding };
    let reports = agreement.reach(party, 1, Phases::FIRST_REPORT, holder.report(&party.binding)).await;
    if reports[position].is_none() {
        return Err(SessionError::TooSlow);
    }
    let dropped = holder.dropped(&reports);
    tell_dropped(party, &dealers, &dropped);

    let (own, receipt) = match (input, family.as_ref(), dealers.binary_search(&party.me)) {
        (Some(input), Some(family), Ok(index)) => {
            let (masked, receipt) = mask(party, &layout, family, &dropped[index], input)?;
            (Some(masked), Some(receipt))
        }
        _ => (None, None),
    };
    party.mailbox.enter_phase(phases.masked());
    let deals = |dealer: &usize| {
        let family = dealers.binary_search(dealer).ok();
        family.is_some_and(|family| !dropped[family].iter().all(|dropped| *dropped))
    };
    let mut arrived = exchange_masked(party, &layout, own, deals).await;
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
    if reports[position].is_none() {
        return Err(SessionError::TooSlow);
    }
    let accepted = accept(party, &reports, faulty);
    party.mailbox.enter_phase(phases.forward());
    forward(party, &accepted, &digests, &mut arrived, &layout, faulty).await;

    let challenge = toss(party, points, &holder, &dropped, &dealers, tolerance, &phases).await?;
    let query = Query::new(&layout, &challenge)?;
    party.mailbox.enter_phase(phases.answers());
    let share_of = |slot: usize, out: &mut [F]| -> Result<(), SessionError> {
        let family = dealers.binary_search(&party.plan.inputs()[slot]).unwrap_or_default();
        holder.share(points, family, &dropped[family], "input", &party.binding, out)?;
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
        judge(party, points, &query, &layout, &candidates, own_answers, &arrived, tolerance).await?;
    verify::enough(party, &view, &faults)?;
    party.mailbox.enter_phase(phases.freeze());
    let mut authorised = freeze::freeze_with(party, sum, each, view, faults, faulty).await?;
    if party.plan.evaluation().is_some() {
        let mut streams = Vec::new();
        for member in party.plan.compute() {
            let family = dealers.binary_search(member).unwrap_or_default();
            streams.extend(holder.streams(points, family, &dropped[family], "product", &party.binding)?);
        }
        let robust = Robust::new(streams, faulty, phases.products());
        authorised = evaluation::evaluate_robustly(party, points, authorised, robust).await?;
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
fn tell_dropped<E: Environment>(party: &Party<'_, E>, dealers: &[usize], dropped: &[Vec<bool>]) {
    for (dealer, dropped) in dealers.iter().zip(dropped) {
        // Who dealt nothing waits for nothing.
        if party.compute_position(*dealer).is_none() && !dropped.iter().all(|dropped| *dropped) {
            let bitmap: Vec<u8> = dropped.iter().map(|dropped| u8::from(*dropped)).collect();
            party.mailbox.send(*dealer, message::plain(message::DROPPED, &[&bitmap]));
        }
    }
}

/// What t+1 compute peers say alike, at least one of whom is honest.
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
    let told = votes.into_iter().find(|(_, votes)| *votes > t);
    let (bitmap, _) = told.ok_or(SessionError::NotEnoughShares { found: 0, needed: t + 1 })?;
    Ok(bitmap.into_iter().map(|dropped| dropped == 1).collect())
}

/// The own vector under the streams of all sets that are left.
fn mask<F: Field, E: Environment>(
    party: &mut Party<'_, E>,
    layout: &Layout<F>,
    family: &Family,
    dropped: &[bool],
    input: InputVector,
) -> Result<(Masked<F>, Receipt), SessionError> {
    let (receipt, dealt) = input::encode(party, layout, &input)?;
    let mut elements = dealt.to_vec();
    family.subtract(dropped, "input", &party.binding, &party.plan.members()[party.me], &mut elements)?;
    Ok((Masked { commitment: receipt.commitment, elements }, receipt))
}

/// One chunk of a masked vector to all other compute peers.
fn send_chunk<F: Field, E: Environment>(party: &Party<'_, E>, masked: &Masked<F>, chunk: usize) {
    let header: &[u8] = if chunk == 0 { &masked.commitment } else { &[] };
    let part = &masked.elements[chunk_range(chunk, masked.elements.len())];
    let message = message::elements(message::MASKED, chunk, header, part);
    party.mailbox.send_all(party.other_compute_peers(), &message);
}

async fn send_masked<F: Field, E: Environment>(party: &Party<'_, E>, masked: &Masked<F>) {
    for chunk in 0..masked.elements.len().div_ceil(CHUNK) {
        send_chunk(party, masked, chunk);
        party.mailbox.drained().await;
    }
}

/// Sends the own masked vector and reads all others'. What does not come, or cannot be read, is not there.
async fn exchange_masked<F: Field, E: Environment>(
    party: &Party<'_, E>,
    layout: &Layout<F>,
    own: Option<Masked<F>>,
    deals: impl Fn(&usize) -> bool,
) -> Vec<Option<Masked<F>>> {
    let length = layout.length();
    let inputs = party.plan.inputs();
    let empty = || Masked { commitment: [0; 32], elements: vec![F::ZERO; length] };
    // Who dealt no keys is not waited for.
    let mut arrived: Vec<Option<Masked<F>>> = inputs.iter().map(|dealer| deals(dealer).then(empty)).collect();
    let chunks = length.div_ceil(CHUNK);
    for step in 0..chunks + WINDOW {
        if step < chunks {
            match &own {
                Some(own) => send_chunk(party, own, step),
                None if step == 0 && inputs.contains(&party.me) => {
                    party.mailbox.send_all(party.other_compute_peers(), &[message::ABSENT]);
                }
                None => {}
            }
            party.mailbox.drained().await;
        }
        let Some(chunk) = step.checked_sub(WINDOW) else { continue };
        for (dealer, place) in inputs.iter().zip(&mut arrived) {
            let Some(masked) = place.as_mut().filter(|_| *dealer != party.me) else { continue };
            let message = party.mailbox.recv(*dealer).await;
            let read = message.ok().and_then(|message| read_chunk(&message, message::MASKED, chunk, masked));
            if read.is_none() {
                *place = None;
            }
        }
    }
    if let Ok(slot) = inputs.binary_search(&party.me) {
        arrived[slot] = own;
    }
    arrived
}

fn read_chunk<F: Field>(message: &Bytes, tag: u8, chunk: usize, masked: &mut Masked<F>) -> Option<()> {
    let range = chunk_range(chunk, masked.elements.len());
    let header = if chunk == 0 { 32 } else { 0 };
    let header = message::read_elements(message, tag, chunk, header, &mut masked.elements[range]).ok()?;
    if let Ok(commitment) = header.try_into() {
        masked.commitment = commitment;
    }
    Some(())
}

/// An input that n-t compute peers report alike: its digest, and each compute peer's place towards it.
struct Accepted {
    digest: [u8; 32],
    /// Who has it.
    holders: Vec<usize>,
    /// Who is there and has it not.
    lacking: Vec<usize>,
}

fn accept<E>(party: &Party<'_, E>, reports: &[Option<Bytes>], faulty: usize) -> Vec<Option<Accepted>> {
    let inputs = party.plan.inputs().len();
    let views: Vec<Option<View>> =
        reports.iter().map(|report| message::read_view(report.as_ref()?, inputs).ok()).collect();
    let of_slot = |slot: usize| {
        let entry = |position: &usize| views[*position].as_ref().and_then(|view| view[slot]);
        let alike = |digest: [u8; 32]| (0..views.len()).filter(move |p| entry(p) == Some(digest));
        let mut digests = (0..views.len()).filter_map(|p| entry(&p));
        let digest = digests.find(|digest| alike(*digest).count() >= views.len() - faulty)?;
        let lacking = (0..views.len()).filter(|p| views[*p].is_some() && entry(p) != Some(digest)).collect();
        Some(Accepted { digest, holders: alike(digest).collect(), lacking })
    };
    (0..inputs).map(of_slot).collect()
}

/// Gives accepted inputs to those who lack them; the first t+1 holders do, one of whom is honest.
async fn forward<F: Field, E: Environment>(
    party: &Party<'_, E>,
    accepted: &[Option<Accepted>],
    own: &[Option<[u8; 32]>],
    arrived: &mut [Option<Masked<F>>],
    layout: &Layout<F>,
    faulty: usize,
) {
    let compute = party.plan.compute();
    let Some(me) = party.position else { return };
    for (slot, accepted) in accepted.iter().enumerate() {
        let Some(accepted) = accepted else { continue };
        let givers: Vec<usize> = accepted.holders.iter().copied().take(faulty + 1).collect();
        if let (true, Some(masked)) = (givers.contains(&me), &arrived[slot]) {
            for chunk in 0..masked.elements.len().div_ceil(CHUNK) {
                let header: &[u8] = if chunk == 0 { &masked.commitment } else { &[] };
                let part = &masked.elements[chunk_range(chunk, masked.elements.len())];
                let message = message::elements(message::MASKED, chunk, header, part);
                party.mailbox.send_all(accepted.lacking.iter().map(|position| compute[*position]), &message);
            }
        }
        if own[slot] == Some(accepted.digest) {
            continue;
        }
        arrived[slot] = None;
        if !accepted.lacking.contains(&me) {
            continue;
        }
        for giver in givers {
            let mut masked = Masked { commitment: [0; 32], elements: vec![F::ZERO; layout.length()] };
            let mut whole = Some(());
            for chunk in 0..layout.length().div_ceil(CHUNK) {
                let message = party.mailbox.recv(compute[giver]).await.ok();
                whole = message.and_then(|m| read_chunk(&m, message::MASKED, chunk, &mut masked)).and(whole);
            }
            let right = masked.digest(&party.binding, party.plan.inputs()[slot]) == accepted.digest;
            if whole.is_some() && right {
                arrived[slot] = Some(masked);
            }
        }
    }
}

/// Elements of the coin: 128 random bits and more.
fn coin_elements<F: Field>() -> usize {
    128usize.div_ceil(F::BITS as usize - 1)
}

/// Opens a random number that all compute peers dealt together.
async fn toss<F: Field, E: Environment>(
    party: &mut Party<'_, E>,
    points: &[F],
    holder: &Holder,
    dropped: &[Vec<bool>],
    dealers: &[usize],
    tolerance: Tolerance,
    phases: &Phases,
) -> Result<[u8; 32], SessionError> {
    let mut own = vec![F::ZERO; coin_elements::<F>()];
    let mut part = own.clone();
    for member in party.plan.compute() {
        let family = dealers.binary_search(member).unwrap_or_default();
        holder.share(points, family, &dropped[family], "coin", &party.binding, &mut part)?;
        F::add_assign_slice(&mut own, &part);
    }
    party.mailbox.enter_phase(phases.coin());
    let columns = exchange(party, message::COIN, std::slice::from_ref(&own)).await;
    let mut coin = vec![F::ZERO; own.len()];
    let column = |column: Vec<Vec<F>>| column.into_iter().next().unwrap_or_default();
    robust_open(party, points, tolerance, columns.into_iter().map(|c| c.map(column)).collect(), &mut coin)?;
    let mut bytes = Vec::new();
    F::encode_slice(&coin, &mut bytes);
    let mut transcript = Transcript::new("tacit/challenge/v1");
    transcript.bytes(&party.binding).bytes(&bytes);
    Ok(transcript.finish())
}

/// Vectors of all compute peers, the own ones included; `None` for who is silent or sends what cannot be read.
async fn exchange<F: Field, E: Environment>(party: &Party<'_, E>, tag: u8, own: &[Vec<F>]) -> Vec<Option<Vec<Vec<F>>>> {
    for (number, vector) in own.iter().enumerate() {
        for part in vector.chunks(CHUNK) {
            let message = message::elements(tag, number, &[], part);
            party.mailbox.send_all(party.other_compute_peers(), &message);
        }
        party.mailbox.drained().await;
    }
    let mut all = Vec::with_capacity(party.plan.compute().len());
    for member in party.plan.compute() {
        if *member == party.me {
            all.push(Some(own.to_vec()));
            continue;
        }
        let mut theirs: Option<Vec<Vec<F>>> = Some(own.iter().map(|v| vec![F::ZERO; v.len()]).collect());
        for (number, vector) in own.iter().enumerate() {
            for chunk in 0..vector.len().div_ceil(CHUNK) {
                let range = chunk_range(chunk, vector.len());
                let message = party.mailbox.recv(*member).await.ok();
                theirs = theirs.and_then(|mut theirs| {
                    message::read_elements(&message?, tag, number, 0, &mut theirs[number][range]).ok()?;
                    Some(theirs)
                });
            }
        }
        all.push(theirs);
    }
    all
}

/// The vector that all but t of the columns stand for, and whose columns are wrong.
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
    Ok(recombiner.open(shares, &mut |bytes| party.environment.random(bytes), out)?)
}

/// The own share of the answers and of the numbers, of each candidate.
#[allow(clippy::type_complexity)] // two vectors per candidate
fn answer<F: Field, E>(
    party: &Party<'_, E>,
    query: &Query<'_, F>,
    layout: &Layout<F>,
    candidates: &[usize],
    share_of: impl Fn(usize, &mut [F]) -> Result<(), SessionError>,
) -> Result<Vec<(Vec<F>, Zeroizing<Vec<F>>)>, SessionError>
where
    E: Environment,
{
    let mut share = Zeroizing::new(vec![F::ZERO; layout.length()]);
    let mut all = Vec::with_capacity(candidates.len());
    for slot in candidates {
        share_of(*slot, &mut share)?;
        let (mut answers, mut sums) = (Vec::new(), Zeroizing::new(vec![F::ZERO; party.length()]));
        query.answer(&share, &mut answers, &mut sums);
        all.push((answers, sums));
    }
    Ok(all)
}

/// The inputs that are in range.
struct Judged<F: Field> {
    view: View,
    faults: Vec<Fault>,
    /// The own share of their sum.
    sum: Zeroizing<Vec<F>>,
    /// And of each of them, where the evaluation asks for it.
    each: Vec<Zeroizing<Vec<F>>>,
}

/// Opens the answers; adds up who is in range, names who is not and whose answers are wrong.
#[allow(clippy::too_many_arguments)] // one step of one protocol
async fn judge<F: Field, E: Environment>(
    party: &mut Party<'_, E>,
    points: &[F],
    query: &Query<'_, F>,
    layout: &Layout<F>,
    candidates: &[usize],
    own: Vec<(Vec<F>, Zeroizing<Vec<F>>)>,
    arrived: &[Option<Masked<F>>],
    tolerance: Tolerance,
) -> Result<Judged<F>, SessionError> {
    let wants_each = party.plan.evaluation().is_some_and(Evaluation::each);
    let mut each = Vec::new();
    let (answers, shares): (Vec<Vec<F>>, Vec<Zeroizing<Vec<F>>>) = own.into_iter().unzip();
    let mut columns = exchange(party, message::ANSWERS, &answers).await;
    let mut view: View = vec![None; arrived.len()];
    let mut sum = Zeroizing::new(vec![F::ZERO; party.length()]);
    let (mut wrong, mut faults) = (Vec::new(), Vec::new());
    let mut opened = vec![F::ZERO; layout.answers()];
    for ((number, slot), share) in candidates.iter().enumerate().zip(shares) {
        let of_slot = |column: &mut Option<Vec<Vec<F>>>| column.as_mut().map(|c| std::mem::take(&mut c[number]));
        let columns = columns.iter_mut().map(of_slot).collect();
        wrong.extend(robust_open(party, points, tolerance, columns, &mut opened)?);
        if query.accepts(&opened) {
            view[*slot] = arrived[*slot].as_ref().map(|masked| masked.commitment);
            F::add_assign_slice(&mut sum, &share);
            if wants_each {
                each.push(share);
            }
        } else {
            faults.push(Fault { member: party.plan.inputs()[*slot], kind: FaultKind::OutOfBounds });
        }
    }
    wrong.sort_unstable();
    wrong.dedup();
    let liar = |position: usize| Fault { member: party.plan.compute()[position], kind: FaultKind::WrongShare };
    faults.extend(wrong.into_iter().map(liar));
    Ok(Judged { view, faults, sum, each })
}
