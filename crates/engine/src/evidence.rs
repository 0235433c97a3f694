//! Proof that a compute peer sent a wrong share, for anybody who can check signatures.
//!
//! In the model `guaranteed` every compute peer signs what it says its shares are, message by message, together with a
//! digest of everything that they follow from: its [`basis`](Evidence::basis).
//!
//! | [`Step`] | shares of | degree d | basis |
//! |---|---|---|---|
//! | result | a chunk of the result | t | the frozen set, and with it the masked inputs and the keys |
//! | answers | the proof that an input is in range | t | the masked inputs and the keys that were agreed |
//! | product | masked products | 2t | the frozen set |
//!
//! The shares of honest peers under the same basis are right by construction, so that signed shares convict:
//! **d+t+1 of them lie on one polynomial of degree d, and another one under the same basis does not**.
//!
//! Nobody is framed as long as at most t compute peers are corrupted, whoever puts the evidence together and however late
//! messages were: a polynomial other than the right one meets it in at most d points, and so carries at most d honest and t
//! corrupted shares; an honest peer signs one basis per step and session, and one share per chunk. An honest peer that
//! agreed on something else than the others, because messages were late, signs nothing, or under another basis, and that
//! is no evidence. The point at which answers are compared is decoded from shares that follow from the same basis, so
//! that all honest peers under it have the same one.
//!
//! A wrong share of the result without its signature counts as silence, and names nobody. Of answers and products
//! decoding names whoever sent a wrong one to the peer that got it; who did not sign it is not convicted before others.
//!
//! Evidence shows d+t+2 shares, and so the vector that they are of: of the result, a chunk of it, so give it to nobody who may
//! not know that; of answers and products, what is uniform by itself.

use tacit_algebra::reed_solomon::Consistency;
use tacit_algebra::{F61, F127, Field};
use tacit_model::Fingerprint;
use tacit_model::codec::{Decode, DecodeError, Encode, Reader, put_bytes};

use crate::plan::{FieldChoice, Plan, PlanDigest, SecurityModel, Sharing};
use crate::session::chunk_range;
use crate::transcript::Transcript;

/// What shares are of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// The result.
    Result,
    /// The proof of the input with this number, among those that were looked at.
    Answers(u32),
    /// The masked products of the operation with this number.
    Product(u32),
}

impl Step {
    /// The degree of right shares, and how many fitting ones show that another is wrong.
    pub(crate) fn degree_and_needed(self, threshold: usize) -> (usize, usize) {
        let degree = if matches!(self, Self::Product(_)) { 2 * threshold } else { threshold };
        (degree, degree + threshold + 1)
    }

    fn code(self) -> (u8, u32) {
        match self {
            Self::Result => (1, 0),
            Self::Answers(number) => (2, number),
            Self::Product(number) => (3, number),
        }
    }
}

/// A wrong share with those that show that it is wrong. Names compute peers by their place in the plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// The plan of the session.
    pub plan: PlanDigest,
    /// What everything in the session is bound to.
    pub binding: [u8; 32],
    /// What the shares are of.
    pub step: Step,
    /// The digest of what they follow from.
    pub basis: [u8; 32],
    /// Which chunk of the vector.
    pub chunk: u32,
    /// The place of the peer whose share is wrong.
    pub accused: u32,
    /// Its share and d+t+1 others, ascending by place.
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

/// What is signed of a share: the session, the step and its basis, the chunk, the elements.
pub fn statement(
    plan: &PlanDigest,
    binding: &[u8; 32],
    step: Step,
    basis: &[u8; 32],
    chunk: usize,
    elements: &[u8],
) -> [u8; 32] {
    let mut transcript = Transcript::new("tacit/share-statement/v2");
    let (kind, number) = step.code();
    transcript.bytes(&plan.0).bytes(binding).number(kind.into()).number(number.into());
    transcript.bytes(basis).number(chunk as u64).bytes(elements);
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
        if self.shares.len() <= self.step.degree_and_needed(threshold).1 {
            return Err(NotProven::Incomplete);
        }
        for share in &self.shares {
            let chunk = self.chunk as usize;
            let digest = statement(&self.plan, &self.binding, self.step, &self.basis, chunk, &share.elements);
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
        let length = match self.step {
            Step::Result => chunk_range(self.chunk as usize, plan.opened_elements()).len(),
            // All are as long as the first.
            Step::Answers(_) | Step::Product(_) => self.shares.first()?.elements.len() / F::BYTES,
        };
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
            Some(
                Consistency::new(&points, self.step.degree_and_needed(threshold).0)
                    .ok()?
                    .first_inconsistent(&columns)
                    .ok()?
                    .is_none(),
            )
        };
        Some(fit(Some(accused))? && !fit(None)?)
    }
}

/// The most shares of one piece of evidence, and the most bytes of one share.
const MAX_SHARES: u32 = 64;
const MAX_SHARE: usize = 1 << 20;

impl Encode for Evidence {
    fn encode(&self, out: &mut Vec<u8>) {
        put_bytes(out, b"tacit/evidence/v2");
        out.extend_from_slice(&self.plan.0);
        out.extend_from_slice(&self.binding);
        let (kind, number) = self.step.code();
        kind.encode(out);
        number.encode(out);
        out.extend_from_slice(&self.basis);
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
        if input.bytes(64)? != b"tacit/evidence/v2" {
            return Err(DecodeError::Unknown);
        }
        let (plan, binding) = (PlanDigest(input.array()?), input.array()?);
        let step = match (u8::decode(input)?, u32::decode(input)?) {
            (1, 0) => Step::Result,
            (2, number) => Step::Answers(number),
            (3, number) => Step::Product(number),
            _ => return Err(DecodeError::Unknown),
        };
        let basis = input.array()?;
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
        Ok(Self { plan, binding, step, basis, chunk, accused, shares })
    }
}
