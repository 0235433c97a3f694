//! From wrong shares and the signatures under them to [`Evidence`]. Signatures are looked at here, where shares do not
//! fit, and nowhere else.

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
    /// Whether everything that was heard from this position is signed.
    pub(in crate::session) fn is_signed<E: Environment>(&self, party: &Party<'_, E>, position: usize) -> bool {
        let (Some(parts), member) = (&self.said[position], party.plan.compute()[position]) else { return false };
        let signed = |part: &Part| {
            let (plan, binding) = (party.plan.digest(), &party.binding);
            let digest = statement(&plan, binding, self.step, &self.basis, part.chunk, &part.elements);
            // The own one is good.
            member == party.me || party.environment.verify_message(member, &digest, &part.signature)
        };
        !parts.is_empty() && parts.iter().all(signed)
    }

    /// Evidence against each of `wrong` that signed what it said.
    ///
    /// Decoding found all wrong ones among everybody's shares; the few that are shown beside each only make up a
    /// polynomial. Honest peers sign what they send, so there are enough: at least n-t of the charter's n.
    pub(in crate::session) fn convict<E: Environment>(
        &self,
        party: &Party<'_, E>,
        t: usize,
        wrong: &[usize],
    ) -> Vec<Evidence> {
        let liars: Vec<usize> = wrong.iter().copied().filter(|position| self.is_signed(party, *position)).collect();
        if liars.is_empty() {
            return Vec::new();
        }
        let needed = self.step.degree_and_needed(t).1;
        let others = (0..self.said.len()).filter(|position| !wrong.contains(position));
        let right: Vec<usize> = others.filter(|position| self.is_signed(party, *position)).take(needed).collect();
        liars.into_iter().filter_map(|liar| self.against(party, &right, liar)).collect()
    }

    /// Evidence of the first chunk in which the liar's share does not fit the right ones. All of them are signed.
    fn against<E: Environment>(&self, party: &Party<'_, E>, right: &[usize], liar: usize) -> Option<Evidence> {
        let mut places: Vec<usize> = right.iter().copied().chain([liar]).collect();
        places.sort_unstable();
        let evidence = |number: usize| {
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
        };
        let numbers = 0..self.said[liar].as_ref()?.len();
        // All signatures were checked.
        numbers.filter_map(evidence).find(|evidence| evidence.check(party.plan, |_, _, _| true).is_ok())
    }
}

/// The evidence that there is, and of what is new no second one against anybody.
pub(in crate::session) fn add(evidence: &mut Vec<Evidence>, new: Vec<Evidence>) {
    for new in new {
        if evidence.iter().all(|known| known.accused != new.accused) {
            evidence.push(new);
        }
    }
}
