//! Answers to the query that says whose numbers are in range: signed shares of them, opened whatever t compute peers send.

use tacit_algebra::Field;
use zeroize::Zeroizing;

use super::conviction::{Dispute, Part};
use super::masked::Masked;
use super::{Tolerance, bytes_of, robust_open};
use crate::environment::Environment;
use crate::evaluate::Evaluation;
use crate::evidence::{Step, statement};
use crate::session::message::{self, View};
use crate::session::range::{Layout, Query};
use crate::session::{CHUNK, Fault, FaultKind, Party, SessionError, chunk_range};

/// The own share of the answers and of the numbers, of each candidate.
#[allow(clippy::type_complexity)] // two vectors per candidate
pub(super) fn answer<F: Field, E>(
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
pub(super) struct Judged<F: Field> {
    pub(super) view: View,
    pub(super) faults: Vec<Fault>,
    /// The own share of their sum.
    pub(super) sum: Zeroizing<Vec<F>>,
    /// And of each of them, where the evaluation asks for it.
    pub(super) each: Vec<Zeroizing<Vec<F>>>,
}

/// Opens the answers; adds up who is in range, names who is not and whose answers are wrong.
#[allow(clippy::too_many_arguments)] // one step of one protocol
pub(super) async fn judge<F: Field, E: Environment>(
    party: &mut Party<'_, E>,
    points: &[F],
    query: &Query<'_, F>,
    layout: &Layout<F>,
    candidates: &[usize],
    own: Vec<(Vec<F>, Zeroizing<Vec<F>>)>,
    arrived: &[Option<Masked<F>>],
    alike: &[bool],
    agreed: &[u8; 32],
    tolerance: Tolerance,
) -> Result<Judged<F>, SessionError> {
    let wants_each = party.plan.evaluation().is_some_and(Evaluation::each);
    let mut each = Vec::new();
    let (answers, shares): (Vec<Vec<F>>, Vec<Zeroizing<Vec<F>>>) = own.into_iter().unzip();
    let mut said = exchange(party, agreed, answers).await;
    said.iter_mut().zip(alike).filter(|(_, alike)| !**alike).for_each(|(said, _)| *said = None);
    let mut view: View = vec![None; arrived.len()];
    let mut sum = Zeroizing::new(vec![F::ZERO; party.length()]);
    let (mut wrong, mut faults) = (Vec::new(), Vec::new());
    let mut opened = vec![F::ZERO; layout.answers()];
    for ((number, slot), share) in candidates.iter().enumerate().zip(shares) {
        party.convicted.iter().for_each(|position| said[*position] = None);
        let columns = said.iter().map(|said| said.as_ref().map(|said| said.vectors[number].clone())).collect();
        let found = robust_open(party, points, tolerance, columns, &mut opened)?;
        if !found.is_empty() {
            let said = said.iter().map(|said| said.as_ref().map(|said| said.parts(number))).collect();
            let dispute = Dispute { step: Step::Answers(number as u32), basis: *agreed, said };
            dispute.convict(party, tolerance.t, &found);
        }
        wrong.extend(found);
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

/// Answers of one compute peer, and the signatures under their chunks.
struct Answers<F> {
    vectors: Vec<Vec<F>>,
    signatures: Vec<Vec<[u8; 64]>>,
}

impl<F: Field> Answers<F> {
    /// As it was signed.
    fn parts(&self, number: usize) -> Vec<Part> {
        let vector = &self.vectors[number];
        let part = |(chunk, signature): (usize, &[u8; 64])| {
            let elements = bytes_of(&vector[chunk_range(chunk, vector.len())]);
            Part { chunk, elements, signature: *signature }
        };
        self.signatures[number].iter().enumerate().map(part).collect()
    }
}

/// Answers of all compute peers, the own ones included; `None` for who is silent or sends what cannot be read. Each message
/// carries a signature in front, which is looked at where answers do not fit.
async fn exchange<F: Field, E: Environment>(
    party: &mut Party<'_, E>,
    basis: &[u8; 32],
    own: Vec<Vec<F>>,
) -> Vec<Option<Answers<F>>> {
    let mut signatures: Vec<Vec<[u8; 64]>> = vec![Vec::new(); own.len()];
    for (number, (vector, signatures)) in own.iter().zip(&mut signatures).enumerate() {
        for (chunk, part) in vector.chunks(CHUNK).enumerate() {
            let step = Step::Answers(number as u32);
            let digest = statement(&party.plan.digest(), &party.binding, step, basis, chunk, &bytes_of(part));
            let signature = party.environment.sign_message(&digest);
            let message = message::elements(message::ANSWERS, number, &signature, part);
            party.mailbox.send_all(party.other_compute_peers(), &message);
            signatures.push(signature);
        }
        party.mailbox.drained().await;
    }
    let lengths: Vec<usize> = own.iter().map(Vec::len).collect();
    let mut own = Some(Answers { vectors: own, signatures });
    let mut all = Vec::with_capacity(party.plan.compute().len());
    for member in party.plan.compute() {
        if *member == party.me {
            all.push(own.take());
            continue;
        }
        let vectors = lengths.iter().map(|length| vec![F::ZERO; *length]).collect();
        let mut theirs = Some(Answers { vectors, signatures: vec![Vec::new(); lengths.len()] });
        for (number, length) in lengths.iter().enumerate() {
            for chunk in 0..length.div_ceil(CHUNK) {
                let range = chunk_range(chunk, *length);
                let message = party.mailbox.recv(*member).await.ok();
                theirs = theirs.and_then(|mut theirs| {
                    let part = &mut theirs.vectors[number][range];
                    let message = message?;
                    let signature = message::read_elements(&message, message::ANSWERS, number, 64, part).ok()?;
                    theirs.signatures[number].push(signature.try_into().ok()?);
                    Some(theirs)
                });
            }
        }
        all.push(theirs);
    }
    all
}
