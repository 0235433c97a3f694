//! The evaluation: from the frozen inputs' shares to shares of what is opened.
//!
//! It comes after the freeze and before the opening, so that everything that is computed is bound to the
//! input set that all signed: the randomness is derived from the frozen set's digest, too. The common
//! salt stays a sum and goes along to the opening.
//!
//! `malicious`: all products are verified before the first share of an output leaves. The inputs' shares lie on
//! polynomials of degree t, which the proofs of range have shown.

use tacit_algebra::Field;
use zeroize::Zeroizing;

use super::freeze::OpeningAuthorised;
use super::guaranteed::conviction::{Dispute, Part};
use super::message::malformed;
use super::{Fault, FaultKind, Party, SessionError};
use crate::arithmetic::{Arithmetic, ArithmeticError, Disputed, Notary, Robust, Setup, Shared};
use crate::environment::Environment;
use crate::evaluate::Inputs;
use crate::evidence::{Step, statement};
use crate::plan::{Plan, SecurityModel, Sharing};
use crate::transcript::Transcript;

/// Computes the plan's function; what was frozen stays as it is where that is the sum.
pub(super) async fn evaluate<F: Field, E: Environment>(
    party: &mut Party<'_, E>,
    points: &[F],
    authorised: OpeningAuthorised<F>,
) -> Result<OpeningAuthorised<F>, SessionError> {
    if party.plan.evaluation().is_none() {
        return Ok(authorised);
    }
    let setup = setup(party, points, &authorised)?;
    let mut arithmetic = match party.plan.model() {
        SecurityModel::SemiHonest => Arithmetic::new(setup)?,
        _ => Arithmetic::verified(setup)?,
    };
    compute(party.plan, &mut arithmetic, authorised).await
}

/// The same with products that come whatever the tolerated number of compute peers do; names whose shares were wrong.
pub(super) async fn evaluate_robustly<F: Field, E: Environment>(
    party: &mut Party<'_, E>,
    points: &[F],
    authorised: OpeningAuthorised<F>,
    robust: Robust<'_, F>,
    t: usize,
) -> Result<OpeningAuthorised<F>, SessionError> {
    let (plan, basis) = (party.plan, authorised.frozen().digest);
    let setup = setup(party, points, &authorised)?;
    let mut arithmetic = Arithmetic::new(setup)?;
    arithmetic.make_robust(robust, Box::new(OfProducts { party, basis, t }));
    let mut authorised = compute(plan, &mut arithmetic, authorised).await?;
    let fault = |position: usize| Fault { member: plan.compute()[position], kind: FaultKind::WrongShare };
    authorised.blame(arithmetic.found_wrong().into_iter().map(fault));
    Ok(authorised)
}

/// Signs what this party says of masked products, and convicts those whose signed shares of them are wrong: at once, so
/// that it holds whatever becomes of the evaluation.
struct OfProducts<'p, 'm, E> {
    party: &'p mut Party<'m, E>,
    /// The frozen set.
    basis: [u8; 32],
    t: usize,
}

impl<E: Environment> Notary for OfProducts<'_, '_, E> {
    fn sign(&mut self, operation: u32, number: usize, elements: &[u8]) -> [u8; 64] {
        let (plan, step) = (self.party.plan.digest(), Step::Product(operation));
        let digest = statement(&plan, &self.party.binding, step, &self.basis, number, elements);
        self.party.environment.sign_message(&digest)
    }

    fn disputed(&mut self, Disputed { operation, number, said, wrong }: Disputed) {
        let part = |(elements, signature)| vec![Part { chunk: number, elements, signature }];
        let said = said.into_iter().map(|said| said.map(part)).collect();
        let dispute = Dispute { step: Step::Product(operation), basis: self.basis, said };
        dispute.convict(self.party, self.t, &wrong);
    }
}

fn setup<'m, F: Field, E: Environment>(
    party: &mut Party<'m, E>,
    points: &[F],
    authorised: &OpeningAuthorised<F>,
) -> Result<Setup<'m, F>, SessionError> {
    let plan = party.plan;
    let (Sharing::Shamir { threshold }, Some(me)) = (plan.sharing(), party.position) else {
        return Err(SessionError::WrongCall {
            what: "functions are computed by compute peers, on shares of polynomials",
        });
    };
    let members = plan.compute().to_vec();
    let mut local_seed = Zeroizing::new([0; 32]);
    party.environment.random(&mut *local_seed);
    let pair_secrets = members
        .iter()
        .map(|member| if *member == party.me { Zeroizing::new([0; 32]) } else { party.secret(*member) })
        .collect();
    Ok(Setup {
        mailbox: party.mailbox,
        me,
        threshold,
        fingerprints: members.iter().map(|member| plan.members()[*member]).collect(),
        members,
        points: points.to_vec(),
        binding: binding(&party.binding, &authorised.frozen().digest),
        pair_secrets,
        local_seed,
    })
}

async fn compute<F: Field>(
    plan: &Plan,
    arithmetic: &mut Arithmetic<'_, F>,
    mut authorised: OpeningAuthorised<F>,
) -> Result<OpeningAuthorised<F>, SessionError> {
    let Some(evaluation) = plan.evaluation() else { return Ok(authorised) };
    let view = authorised.frozen().view.iter().enumerate();
    let who: Vec<usize> = view.filter(|(_, entry)| entry.is_some()).map(|(input, _)| input).collect();
    let (sum, each) = authorised.take_inputs();
    let items = |share: &[F]| Shared::from_shares(share[..plan.items()].to_vec());
    let each = each.iter().map(|share| items(share)).collect();
    let inputs = Inputs { sum: items(&sum), each, contributors: who.len(), who };
    let outputs = evaluation.evaluate(arithmetic, inputs).await?;
    // Shares of the outputs leave only if they are right.
    arithmetic.verify().await?;
    if outputs.len() != plan.outputs() {
        return Err(SessionError::WrongCall { what: "a function has as many outputs as its plan" });
    }
    let mut share = Zeroizing::new(Vec::with_capacity(outputs.len() + sum.len() - plan.items()));
    share.extend_from_slice(outputs.expose_shares());
    share.extend_from_slice(&sum[plan.items()..]);
    Ok(authorised.with_share(share))
}

/// Names the evaluation of one frozen set in one session.
fn binding(session: &[u8; 32], frozen: &[u8; 32]) -> [u8; 32] {
    let mut transcript = Transcript::new("tacit/evaluation/v1");
    transcript.bytes(session).bytes(frozen);
    transcript.finish()
}

impl From<ArithmeticError> for SessionError {
    fn from(error: ArithmeticError) -> Self {
        match error {
            ArithmeticError::Lost { member } => Self::LostDuringEvaluation { member },
            ArithmeticError::Malformed { member } => malformed(member),
            ArithmeticError::WrongShares { .. } => Self::DisagreeingShares,
            ArithmeticError::Unverified => Self::WrongComputation,
            ArithmeticError::Outvoted => Self::TooSlow,
            ArithmeticError::Crypto => Self::Crypto,
            ArithmeticError::WrongCall { what } => Self::WrongCall { what },
            // No function inverts what it has not masked or checked.
            ArithmeticError::NotInvertible { .. } => Self::WrongCall { what: "a number has no inverse" },
        }
    }
}
