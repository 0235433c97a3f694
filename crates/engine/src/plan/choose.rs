//! What follows from a request: what is proven, in which field, and who stands at which point.

use tacit_algebra::{F61, F127, Field};
use tacit_model::Fingerprint;

use super::{FieldChoice, MAX_PROVEN, PlanError, PlanRequest, SecurityModel};
use crate::aggregate::encoding::Encoding;
use crate::transcript::Transcript;

/// From so many numbers times bits on, errors of proofs in 2^61-1 could add up to more than 2^-40.
const PROVEN_IN_F61: usize = 1 << 20;
/// The most elements that one input peer deals in the model `guaranteed`.
const MAX_GUARANTEED: usize = 1 << 20;

/// Elements that an input peer deals for its items where bounds are proven. They are unless a `semi-honest` task says
/// otherwise: a vector that is too long is refused, never left unproven without a word. What holds of pairs of columns is
/// left out where that alone makes it too long; then the plan says so. `noisy` has to have them.
pub(super) fn choose_bounds(
    request: &PlanRequest,
    encoding: &mut Encoding,
    noisy: Option<&'static str>,
) -> Result<Option<usize>, PlanError> {
    let asked = request.parameters.get("bounds").map(String::as_str);
    let proven = match (asked, request.model) {
        (Some("proven"), _) => true,
        (asked, _) if let Some(name) = noisy => match asked {
            None => true,
            Some(_) => return Err(PlanError::NoiseNeedsBounds { name }),
        },
        (Some(_), SecurityModel::SemiHonest) => false,
        (Some(_), model) => return Err(PlanError::BoundsMustBeProven { model }),
        (None, _) => true,
    };
    if !proven {
        return Ok(None);
    }
    let (limit, inputs) = match request.model {
        // All answers of a peer wait at the others together.
        SecurityModel::Guaranteed => (MAX_GUARANTEED, request.inputs.len()),
        _ => (MAX_PROVEN, 0),
    };
    loop {
        let (dealt, answers) = (encoding.proven_elements(), encoding.answers().saturating_mul(inputs));
        match dealt.max(answers) {
            elements if elements <= limit => return Ok(Some(dealt)),
            elements if !encoding.drop_pairs() => return Err(PlanError::ProofTooLong { elements, limit }),
            _ => {}
        }
    }
}

/// The smallest field in which the sums of so many vectors, and their ties, never wrap, and in which proofs are sound.
pub(super) fn choose_field(inputs: usize, encoding: &Encoding, proven: bool) -> Result<FieldChoice, PlanError> {
    let sum = (inputs as u128).checked_mul(encoding.largest_bound()).ok_or(PlanError::SumsCouldWrap)?;
    let (most, tries) = match proven {
        true => {
            let reach = encoding.reach().ok_or(PlanError::SumsCouldWrap)?;
            (sum.max(reach), inputs.saturating_mul(encoding.proof_roots()))
        }
        false => (sum, 0),
    };
    match most {
        most if most < F61::MODULUS && tries <= PROVEN_IN_F61 => Ok(FieldChoice::F61),
        most if most < F127::MODULUS => Ok(FieldChoice::F127),
        _ => Err(PlanError::SumsCouldWrap),
    }
}

/// The evaluation point of a member in a field: a hash of the fingerprint, never zero, never a rank.
pub(super) fn evaluation_point<F: Field>(member: &Fingerprint) -> F {
    let mut tries = 0;
    loop {
        let mut transcript = Transcript::new("tacit/point/v1");
        transcript.bytes(F::NAME.as_bytes()).bytes(&member.0).number(tries);
        let hash = transcript.finish();
        let (low, _) = hash.split_at(16);
        let point = F::from_u128(u128::from_le_bytes(low.try_into().expect("16 of 32 bytes")));
        if point != F::ZERO {
            return point;
        }
        tries += 1;
    }
}

pub(super) fn evaluation_points<F: Field>(request: &PlanRequest) -> Result<Vec<u128>, PlanError> {
    let mut points: Vec<u128> = Vec::with_capacity(request.compute.len());
    for (position, member) in request.compute.iter().enumerate() {
        let point = evaluation_point::<F>(&request.members[*member]).to_u128();
        if let Some(other) = points.iter().position(|p| *p == point) {
            let (a, b) = (request.compute[other], request.compute[position]);
            return Err(PlanError::PointCollision { first: request.members[a], second: request.members[b] });
        }
        points.push(point);
    }
    Ok(points)
}
