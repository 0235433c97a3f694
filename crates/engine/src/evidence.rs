//! Proof that a compute peer sent a wrong share of a result, for anybody who can check signatures.
//!
//! In the model `guaranteed` every compute peer signs what it says its share of the result is, chunk by chunk, together
//! with the frozen set, whose digest covers everything that shares follow from: the input set, the masked inputs, the
//! keys. The shares of honest peers that sign the same digest are right by construction, so that signed shares convict:
//! **2t+1 of them lie on one polynomial of degree t, and another one under the same digest does not**.
//!
//! Nobody is framed as long as at most t compute peers are corrupted, whoever puts the evidence together and however late
//! messages were: a polynomial other than the result's meets it in at most t points, and so carries at most t honest and t
//! corrupted shares; an honest peer signs one digest per session, and one share per chunk. An honest peer that agreed on
//! something else than the others, because messages were late, signs nothing of the result; what it would sign is under another
//! digest, and no evidence.
//!
//! There is evidence for shares of the result alone. A wrong share of it without its signature counts as silence, and
//! names nobody. Wrong answers before the freeze and wrong shares of products are not signed: decoding names their
//! senders to the compute peers that got them, and convicts them before nobody else.
//!
//! Evidence shows 2t+2 shares, and so the chunk of the result that they are of: give it to nobody who may not know that.

use tacit_algebra::reed_solomon::Consistency;
use tacit_algebra::{F61, F127, Field};
use tacit_model::Fingerprint;
use tacit_model::codec::{Decode, DecodeError, Encode, Reader, put_bytes};

use crate::plan::{FieldChoice, Plan, PlanDigest, SecurityModel, Sharing};
use crate::session::chunk_range;
use crate::transcript::Transcript;

/// A wrong share with those that show that it is wrong. Names compute peers by their place in the plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// The plan of the session.
    pub plan: PlanDigest,
    /// What everything in the session is bound to.
    pub binding: [u8; 32],
    /// The frozen set that was opened.
    pub frozen: [u8; 32],
    /// Which chunk of the result.
    pub chunk: u32,
    /// The place of the peer whose share is wrong.
    pub accused: u32,
    /// Its share and 2t+1 others, ascending by place.
    pub shares: Vec<SignedShare>,
}

/// What a compute peer said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedShare {
    /// The peer's place among the compute peers.
    pub position: u32,
    /// The elements, as they are sent.
    pub elements: Vec<u8>,
    /// Over [`statement`].
    pub signature: [u8; 64],
}

/// Why evidence proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotProven {
    /// It is of another session than this plan's.
    #[error("the evidence is not about a session of this plan")]
    AnotherPlan,
    /// Shares are missing, twice there, or cannot be read.
    #[error("the evidence is incomplete or cannot be read")]
    Incomplete,
    /// A signature does not hold.
    #[error("a signature in the evidence does not hold")]
    BadSignature,
    /// The other shares do not fit each other, or the accused one fits them.
    #[error("the signed shares do not show that one of them is wrong")]
    NothingWrong,
}

/// What is signed of a share: the session, the set, the chunk, the elements.
pub fn statement(plan: &PlanDigest, binding: &[u8; 32], frozen: &[u8; 32], chunk: usize, elements: &[u8]) -> [u8; 32] {
    let mut transcript = Transcript::new("tacit/share-statement/v1");
    transcript.bytes(&plan.0).bytes(binding).bytes(frozen).number(chunk as u64).bytes(elements);
    transcript.finish()
}

impl Evidence {
    /// The member that lied. `verify` tells whether a member signed a digest as a message of a session.
    pub fn check(
        &self,
        plan: &Plan,
        verify: impl Fn(&Fingerprint, &[u8; 32], &[u8; 64]) -> bool,
    ) -> Result<Fingerprint, NotProven> {
        let Sharing::Shamir { threshold } = plan.sharing() else { return Err(NotProven::AnotherPlan) };
        if plan.digest() != self.plan || plan.model() != SecurityModel::Guaranteed {
            return Err(NotProven::AnotherPlan);
        }
        let places = self.shares.iter().map(|share| share.position as usize);
        let ascending = self.shares.windows(2).all(|pair| pair[0].position < pair[1].position);
        let known = places.clone().all(|place| place < plan.compute().len());
        let accused = places.clone().position(|place| place == self.accused as usize);
        let (true, true, Some(accused)) = (ascending, known, accused) else { return Err(NotProven::Incomplete) };
        if self.shares.len() < 2 * threshold + 2 {
            return Err(NotProven::Incomplete);
        }
        for share in &self.shares {
            let digest = statement(&self.plan, &self.binding, &self.frozen, self.chunk as usize, &share.elements);
            let member = &plan.members()[plan.compute()[share.position as usize]];
            if !verify(member, &digest, &share.signature) {
                return Err(NotProven::BadSignature);
            }
        }
        let places: Vec<usize> = places.collect();
        let wrong = match plan.field() {
            FieldChoice::F61 => self.is_wrong::<F61>(plan, threshold, &places, accused),
            FieldChoice::F127 => self.is_wrong::<F127>(plan, threshold, &places, accused),
        };
        match wrong {
            Some(true) => Ok(plan.members()[plan.compute()[places[accused]]]),
            Some(false) => Err(NotProven::NothingWrong),
            None => Err(NotProven::Incomplete),
        }
    }

    /// Whether the others fit each other and the accused share does not fit them; `None` if they cannot be read.
    fn is_wrong<F: Field>(&self, plan: &Plan, threshold: usize, places: &[usize], accused: usize) -> Option<bool> {
        let length = chunk_range(self.chunk as usize, plan.opened_elements()).len();
        let mut columns: Vec<Vec<F>> = Vec::with_capacity(places.len());
        for share in &self.shares {
            let mut column = vec![F::ZERO; length];
            if length == 0 || share.elements.len() != length * F::BYTES {
                return None;
            }
            F::decode_into(&share.elements, &mut column).ok()?;
            columns.push(column);
        }
        let point = |place: &usize| F::from_u128(plan.points()[*place]);
        let fit = |leave_out: Option<usize>| {
            let kept = |(i, _): &(usize, &usize)| Some(*i) != leave_out;
            let points: Vec<F> = places.iter().enumerate().filter(kept).map(|(_, place)| point(place)).collect();
            let kept = columns.iter().enumerate().filter(|(i, _)| Some(*i) != leave_out);
            let columns: Vec<&[F]> = kept.map(|(_, column)| column.as_slice()).collect();
            Some(Consistency::new(&points, threshold).ok()?.first_inconsistent(&columns).ok()?.is_none())
        };
        Some(fit(Some(accused))? && !fit(None)?)
    }
}

/// The most shares of one piece of evidence, and the most bytes of one share.
const MAX_SHARES: u32 = 64;
const MAX_SHARE: usize = 1 << 20;

impl Encode for Evidence {
    fn encode(&self, out: &mut Vec<u8>) {
        put_bytes(out, b"tacit/evidence/v1");
        out.extend_from_slice(&self.plan.0);
        out.extend_from_slice(&self.binding);
        out.extend_from_slice(&self.frozen);
        self.chunk.encode(out);
        self.accused.encode(out);
        (self.shares.len() as u32).encode(out);
        for share in &self.shares {
            share.position.encode(out);
            put_bytes(out, &share.elements);
            out.extend_from_slice(&share.signature);
        }
    }
}

impl Decode for Evidence {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        if input.bytes(64)? != b"tacit/evidence/v1" {
            return Err(DecodeError::Unknown);
        }
        let (plan, binding, frozen) = (PlanDigest(input.array()?), input.array()?, input.array()?);
        let (chunk, accused, count) = (u32::decode(input)?, u32::decode(input)?, u32::decode(input)?);
        if count > MAX_SHARES {
            return Err(DecodeError::TooLong);
        }
        let mut shares = Vec::new();
        for _ in 0..count {
            shares.push(SignedShare {
                position: u32::decode(input)?,
                elements: input.bytes(MAX_SHARE)?.to_vec(),
                signature: input.array()?,
            });
        }
        Ok(Self { plan, binding, frozen, chunk, accused, shares })
    }
}
