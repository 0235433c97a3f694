//! The evaluation: from the frozen inputs' shares to shares of what is opened.
//!
//! It comes after the freeze and before the opening, so that everything that is computed is bound to the
//! input set that all signed: the randomness is derived from the frozen set's digest, too. The common
//! salt stays a sum and goes along to the opening.

use tacit_algebra::Field;
use zeroize::Zeroizing;

use super::freeze::OpeningAuthorised;
use super::message::malformed;
use super::{Party, SessionError};
use crate::arithmetic::{Arithmetic, ArithmeticError, Setup, Shared};
use crate::environment::Environment;
use crate::evaluate::Inputs;
use crate::plan::Sharing;
use crate::transcript::Transcript;

/// Computes the plan's function; what was frozen stays as it is where that is the sum.
pub(super) async fn evaluate<F: Field, E: Environment>(
    party: &mut Party<'_, E>,
    points: &[F],
    mut authorised: OpeningAuthorised<F>,
) -> Result<OpeningAuthorised<F>, SessionError> {
    let plan = party.plan;
    let (Some(evaluation), Sharing::Shamir { threshold }, Some(me)) =
        (plan.evaluation(), plan.sharing(), party.position)
    else {
        return Ok(authorised);
    };
    let members = plan.compute().to_vec();
    let mut local_seed = Zeroizing::new([0; 32]);
    party.environment.random(&mut *local_seed);
    let pair_secrets = members
        .iter()
        .map(|member| if *member == party.me { Zeroizing::new([0; 32]) } else { party.secret(*member) })
        .collect();
    let frozen = authorised.frozen();
    let contributors = frozen.view.iter().flatten().count();
    let mut arithmetic = Arithmetic::new(Setup {
        mailbox: party.mailbox,
        me,
        threshold,
        fingerprints: members.iter().map(|member| plan.members()[*member]).collect(),
        members,
        points: points.to_vec(),
        binding: binding(&party.binding, &frozen.digest),
        pair_secrets,
        local_seed,
    })?;
    let (sum, each) = authorised.take_inputs();
    let items = |share: &[F]| Shared::from_shares(share[..plan.items()].to_vec());
    let inputs = Inputs { sum: items(&sum), each: each.iter().map(|share| items(share)).collect(), contributors };
    let outputs = evaluation.evaluate(&mut arithmetic, inputs).await?;
    if outputs.len() != plan.outputs() {
        return Err(SessionError::WrongCall { what: "a function has as many outputs as its plan" });
    }
    let mut share = Zeroizing::new(Vec::with_capacity(party.opened_length()));
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
            ArithmeticError::Crypto => Self::Crypto,
            ArithmeticError::WrongCall { what } => Self::WrongCall { what },
            // No function inverts what it has not masked or checked.
            ArithmeticError::NotInvertible { .. } => Self::WrongCall { what: "a number has no inverse" },
        }
    }
}
