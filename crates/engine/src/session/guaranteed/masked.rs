//! Masked vectors: how inputs come to the compute peers, and which of them are in.

use bytes::Bytes;
use tacit_algebra::Field;

use super::keys::Family;
use crate::environment::Environment;
use crate::session::message::{self, View};
use crate::session::range::Layout;
use crate::session::{CHUNK, InputVector, Party, Receipt, SessionError, WINDOW, chunk_range, input};
use crate::transcript::Transcript;

/// A masked vector, as it arrived.
pub(super) struct Masked<F> {
    pub(super) commitment: [u8; 32],
    /// Under which keys it is masked: `Kept::digest`.
    keys: [u8; 32],
    pub(super) elements: Vec<F>,
}

impl<F: Field> Masked<F> {
    /// Bytes in front of the elements.
    const HEADER: usize = 64;

    fn empty(length: usize) -> Self {
        Self { commitment: [0; 32], keys: [0; 32], elements: vec![F::ZERO; length] }
    }

    /// What compute peers report of it.
    pub(super) fn digest(&self, binding: &[u8; 32], dealer: usize) -> [u8; 32] {
        let mut transcript = Transcript::new("tacit/masked/v2");
        transcript.bytes(binding).number(dealer as u64).bytes(&self.commitment).bytes(&self.keys);
        transcript.number(self.elements.len() as u64);
        let mut bytes = Vec::with_capacity(512 * F::BYTES);
        for elements in self.elements.chunks(512) {
            bytes.clear();
            F::encode_slice(elements, &mut bytes);
            transcript.raw(&bytes);
        }
        transcript.finish()
    }
}

/// The own vector under the streams of all sets that are left.
pub(super) fn mask<F: Field, E: Environment>(
    party: &mut Party<'_, E>,
    layout: &Layout<F>,
    family: &Family,
    dropped: &[bool],
    input: InputVector,
) -> Result<(Masked<F>, Receipt), SessionError> {
    let (receipt, dealt) = input::encode(party, layout, &input)?;
    let mut elements = dealt.to_vec();
    let dealer = &party.plan.members()[party.me];
    family.subtract(dropped, "input", &party.binding, dealer, &mut elements)?;
    let keys = family.kept(dropped, &party.binding, dealer).digest;
    Ok((Masked { commitment: receipt.commitment, keys, elements }, receipt))
}

/// One chunk of a masked vector to these compute peers.
fn send_chunk<F: Field, E: Environment>(
    party: &Party<'_, E>,
    masked: &Masked<F>,
    chunk: usize,
    to: impl IntoIterator<Item = usize>,
) {
    let header = if chunk == 0 { [masked.commitment, masked.keys].concat() } else { Vec::new() };
    let part = &masked.elements[chunk_range(chunk, masked.elements.len())];
    let message = message::elements(message::MASKED, chunk, &header, part);
    party.mailbox.send_all(to, &message);
}

pub(super) async fn send_masked<F: Field, E: Environment>(party: &Party<'_, E>, masked: &Masked<F>) {
    for chunk in 0..masked.elements.len().div_ceil(CHUNK) {
        send_chunk(party, masked, chunk, party.other_compute_peers());
        party.mailbox.drained().await;
    }
}

/// Sends the own masked vector and reads all others'. What does not come, cannot be read, or is masked under
/// other keys than those that this peer keeps (`keys`; none: nothing is waited for) is not there.
pub(super) async fn exchange_masked<F: Field, E: Environment>(
    party: &Party<'_, E>,
    layout: &Layout<F>,
    own: Option<Masked<F>>,
    keys: &[Option<[u8; 32]>],
) -> Vec<Option<Masked<F>>> {
    let length = layout.length();
    let inputs = party.plan.inputs();
    let mut arrived: Vec<Option<Masked<F>>> = keys.iter().map(|keys| keys.map(|_| Masked::empty(length))).collect();
    let chunks = length.div_ceil(CHUNK);
    for step in 0..chunks + WINDOW {
        if step < chunks {
            match &own {
                Some(own) => send_chunk(party, own, step, party.other_compute_peers()),
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
    for (masked, keys) in arrived.iter_mut().zip(keys) {
        masked.take_if(|masked| Some(masked.keys) != *keys);
    }
    arrived
}

fn read_chunk<F: Field>(message: &Bytes, tag: u8, chunk: usize, masked: &mut Masked<F>) -> Option<()> {
    let range = chunk_range(chunk, masked.elements.len());
    let header = if chunk == 0 { Masked::<F>::HEADER } else { 0 };
    let header = message::read_elements(message, tag, chunk, header, &mut masked.elements[range]).ok()?;
    if let ([commitment, keys], []) = header.as_chunks::<32>() {
        (masked.commitment, masked.keys) = (*commitment, *keys);
    }
    Some(())
}

/// An input that n-t compute peers report alike: its digest, and each compute peer's place towards it.
pub(super) struct Accepted {
    pub(super) digest: [u8; 32],
    /// Who has it.
    holders: Vec<usize>,
    /// Who is there and has it not.
    lacking: Vec<usize>,
}

pub(super) fn accept<E>(party: &Party<'_, E>, reports: &[Option<Bytes>], faulty: usize) -> Vec<Option<Accepted>> {
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
pub(super) async fn forward<F: Field, E: Environment>(
    party: &Party<'_, E>,
    accepted: &[Option<Accepted>],
    keys: &[Option<[u8; 32]>],
    own: &[Option<[u8; 32]>],
    arrived: &mut [Option<Masked<F>>],
    layout: &Layout<F>,
    faulty: usize,
) {
    let compute = party.plan.compute();
    let Some(me) = party.position else { return };
    let givers = |accepted: &Accepted| -> Vec<usize> { accepted.holders.iter().copied().take(faulty + 1).collect() };
    // All is given before anything is waited for: who lacks one input itself would wait for a silent giver as long as it may,
    // and be late with the others.
    for (masked, accepted) in arrived.iter().zip(accepted) {
        let (Some(masked), Some(accepted)) = (masked, accepted) else { continue };
        if accepted.lacking.is_empty() || !givers(accepted).contains(&me) {
            continue;
        }
        for chunk in 0..masked.elements.len().div_ceil(CHUNK) {
            send_chunk(party, masked, chunk, accepted.lacking.iter().map(|position| compute[*position]));
            party.mailbox.drained().await;
        }
    }
    for (slot, accepted) in accepted.iter().enumerate() {
        let Some(accepted) = accepted else { continue };
        if own[slot] == Some(accepted.digest) {
            continue;
        }
        arrived[slot] = None;
        if !accepted.lacking.contains(&me) {
            continue;
        }
        for giver in givers(accepted) {
            let mut masked = Masked::empty(layout.length());
            let mut whole = Some(());
            for chunk in 0..layout.length().div_ceil(CHUNK) {
                let message = party.mailbox.recv(compute[giver]).await.ok();
                whole = message.and_then(|m| read_chunk(&m, message::MASKED, chunk, &mut masked)).and(whole);
            }
            let right = masked.digest(&party.binding, party.plan.inputs()[slot]) == accepted.digest;
            if whole.is_some() && right && Some(masked.keys) == keys[slot] {
                arrived[slot] = Some(masked);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::pin::pin;
    use std::task::{Context, Waker};

    use tacit_algebra::F61;

    use super::*;
    use crate::mailbox::Mailbox;
    use crate::plan::tests::{member, request};
    use crate::plan::{OnMissing, Plan, PlanRequest, SecurityModel, Sharing};
    use crate::simulator::SimulatedEnvironment;

    /// Peer 2 lacks the first input, which the silent peer 0 claims to have, and has the second one, which peer 1 lacks.
    #[test]
    fn rule5_who_waits_for_a_silent_giver_has_given_before() {
        let plan = Plan::build(PlanRequest {
            parameters: BTreeMap::new(),
            sharing: Sharing::Shamir { threshold: 1 },
            charter_threshold: 1,
            charter_compute: 4,
            model: SecurityModel::Guaranteed,
            items: 1,
            members: (1..=4).map(member).collect(),
            inputs: vec![0, 1],
            compute: vec![0, 1, 2, 3],
            recipients: vec![0],
            on_missing: OnMissing::Proceed { min: 2 },
            ..request()
        });
        let plan = plan.expect("a plan");
        let (mailbox, mut environment) = (Mailbox::new(4), SimulatedEnvironment::new(1, 2));
        let party = Party {
            plan: &plan,
            me: 2,
            mailbox: &mailbox,
            environment: &mut environment,
            binding: [9; 32],
            position: Some(2),
            secrets: BTreeMap::new(),
            convicted: BTreeSet::new(),
        };
        let layout = party.layout::<F61>();
        let accepted = [
            Some(Accepted { digest: [1; 32], holders: vec![0, 1, 3], lacking: vec![2] }),
            Some(Accepted { digest: [2; 32], holders: vec![0, 2, 3], lacking: vec![1] }),
        ];
        let own = [None, Some([2; 32])];
        let mut arrived = [None, Some(Masked::empty(layout.length()))];
        let mut giving = pin!(forward(&party, &accepted, &[None; 2], &own, &mut arrived, &layout, 1));
        assert!(giving.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        assert_eq!(mailbox.waiting_for(), Some(0));
        let given: Vec<(usize, u8)> = mailbox.take_outgoing().iter().map(|(to, message)| (*to, message[0])).collect();
        assert_eq!(given, [(1, message::MASKED)]);
    }
}
