//! From wrong shares and the signatures under them to [`Evidence`]. Signatures are looked at here, where shares do not
//! fit, and nowhere else.
//!
//! Whoever is convicted is not listened to any more: its later shares count as missing, and nobody waits for them or looks
//! at signatures under them, so that a liar costs its signatures once in a session and not in every message. That is safe:
//!
//! - **Nobody is framed.** Decoding names nobody honest, and evidence convicts nobody honest, as long as at most t are
//!   corrupted ([`evidence`](crate::evidence)); what is left out is a corrupted peer's.
//! - **Nobody is stalled.** A convicted peer is one of the `faulty` ones that decoding reckons with, and counts as one,
//!   whether its share is wrong or missing; the honest ones alone are enough to decode.
//! - **Honest peers stay together** though some may have convicted a peer that told others the truth: which right shares a
//!   vector is decoded from makes no difference to it.
//!
//! A peer that leaves wrong shares unsigned is found wrong each time, at one signature of its own per message.

use crate::environment::Environment;
use crate::evidence::{Evidence, SignedShare, Step, statement};
use crate::session::Party;

/// A chunk of what a compute peer said, as it signed it.
pub(in crate::session) struct Part {
    pub(in crate::session) chunk: usize,
    pub(in crate::session) elements: Vec<u8>,
    pub(in crate::session) signature: [u8; 64],
}

/// What one vector of all compute peers follows from, and what each says that its share is; `None` for who is silent.
pub(in crate::session) struct Dispute {
    pub(in crate::session) step: Step,
    pub(in crate::session) basis: [u8; 32],
    pub(in crate::session) said: Vec<Option<Vec<Part>>>,
}

impl Dispute {
    /// Convicts each of `wrong` that signed a wrong chunk and was not convicted before, and gives the evidence to the
    /// environment.
    pub(in crate::session) fn convict<E: Environment>(&self, party: &mut Party<'_, E>, t: usize, wrong: &[usize]) {
        for liar in wrong.iter().copied() {
            if !party.convicted.contains(&liar)
                && let Some(evidence) = self.against(party, t, wrong, liar)
            {
                party.convicted.insert(liar);
                party.environment.convicted(evidence);
            }
        }
    }

    /// Evidence of the first chunk in which the liar's share does not fit the others and is signed.
    ///
    /// Decoding found all wrong ones among everybody's shares; the few that are shown beside each only make up a
    /// polynomial. Honest peers sign what they send, so there are enough: at least n-t of the charter's n.
    fn against<E: Environment>(
        &self,
        party: &Party<'_, E>,
        t: usize,
        wrong: &[usize],
        liar: usize,
    ) -> Option<Evidence> {
        let needed = self.step.degree_and_needed(t).1;
        let heard = (0..self.said.len()).filter(|place| self.said[*place].is_some());
        let right: Vec<usize> = heard.filter(|place| !wrong.contains(place)).collect();
        (0..self.said[liar].as_ref()?.len()).find_map(|number| {
            let shows = |signers: &mut dyn Iterator<Item = usize>| {
                let evidence = self.evidence(party, number, signers.take(needed), liar)?;
                evidence.check(party.plan, |_, _, _| true).is_ok().then_some(evidence)
            };
            // Whether there is something wrong costs no signature.
            shows(&mut right.iter().copied())?;
            let signed = |place: &usize| self.is_signed(party, *place, number);
            if signed(&liar) { shows(&mut right.iter().copied().filter(signed)) } else { None }
        })
    }

    /// Whether this position signed its chunk of this number.
    fn is_signed<E: Environment>(&self, party: &Party<'_, E>, position: usize, number: usize) -> bool {
        let Some(part) = self.said[position].as_ref().and_then(|parts| parts.get(number)) else { return false };
        let (plan, member) = (party.plan, party.plan.compute()[position]);
        let digest = statement(&plan.digest(), &party.binding, self.step, &self.basis, part.chunk, &part.elements);
        // The own one is good.
        member == party.me || party.environment.verify_message(member, &digest, &part.signature)
    }

    /// The liar's chunk of this number beside those of others.
    fn evidence<E: Environment>(
        &self,
        party: &Party<'_, E>,
        number: usize,
        others: impl Iterator<Item = usize>,
        liar: usize,
    ) -> Option<Evidence> {
        let mut places: Vec<usize> = others.chain([liar]).collect();
        places.sort_unstable();
        let share = |position: &usize| {
            let part = self.said[*position].as_ref()?.get(number)?;
            let (elements, signature) = (part.elements.clone(), part.signature);
            Some(SignedShare { position: *position as u32, elements, signature })
        };
        Some(Evidence {
            plan: party.plan.digest(),
            binding: party.binding,
            step: self.step,
            basis: self.basis,
            chunk: self.said[liar].as_ref()?.get(number)?.chunk as u32,
            accused: liar as u32,
            shares: places.iter().map(share).collect::<Option<Vec<_>>>()?,
        })
    }
}
