//! From the opened vector to the outcome: canonical numbers, checked against what they can be.

use tacit_algebra::Field;

use super::opening::Opened;
use super::{Outcome, Party, Receipt, SessionError};
use crate::plan::{Level, MAX_MEMBERS, Plan};
use crate::transcript::Transcript;

/// Checks and hands out the result.
pub(super) fn outcome<F: Field, E>(
    party: &Party<'_, E>,
    opened: Opened<F>,
    receipt: Option<Receipt>,
) -> Result<Outcome, SessionError> {
    let plan = party.plan;
    let (mut contributors, mut frozen, mut faults) = (Vec::new(), [0; 32], opened.faults);
    if let Some(set) = opened.frozen {
        let entries = plan.inputs().iter().zip(&set.view);
        contributors = entries.filter(|(_, entry)| entry.is_some()).map(|(member, _)| *member).collect();
        frozen = set.digest;
        faults.extend(set.faults);
    }
    let (mut values, mut counted, mut agreement) = (None, None, [0; 32]);
    if let Some(elements) = opened.elements {
        let (items, salt) = elements.split_at(plan.outputs());
        agreement = agree(&party.binding, salt, items);
        let numbers = match (plan.level(), items) {
            (Level::Root, [totals @ .., count]) => {
                let count = counted.insert(count_of(plan, *count)?);
                canonical(plan, totals, usize::try_from(*count).unwrap_or(usize::MAX))?
            }
            _ => canonical(plan, items, contributors.len())?,
        };
        values = Some(numbers);
    }
    Ok(Outcome {
        values,
        counted,
        carried: None,
        agreement,
        contributors,
        frozen,
        binding: party.binding,
        receipt,
        faults,
    })
}

/// How many gave data in all branches: at least two in each, and no more than groups can have.
fn count_of<F: Field>(plan: &Plan, count: F) -> Result<u64, SessionError> {
    let out_of_range = SessionError::OutOfRange { item: plan.outputs() - 1 };
    let count = u64::try_from(count.to_u128()).map_err(|_| out_of_range.clone())?;
    let most = plan.inputs().len().saturating_mul(MAX_MEMBERS) as u64;
    if (2..=most).contains(&count) { Ok(count) } else { Err(out_of_range) }
}

/// The numbers, none of them above what the contributors can reach or the modulus allows.
fn canonical<F: Field>(plan: &Plan, items: &[F], contributors: usize) -> Result<Vec<u128>, SessionError> {
    // Below the field's modulus, as the plan made sure of.
    let largest = |item| plan.largest_output(item, contributors);
    let modulus = plan.modulus().map_or(u128::MAX, u128::from);
    // Room for all at once: a vector that grows to a million numbers is copied and paged in twenty times.
    let mut numbers = Vec::with_capacity(items.len());
    for (item, element) in items.iter().enumerate() {
        let value = element.to_u128();
        if value > largest(item) {
            return Err(SessionError::OutOfRange { item });
        }
        if value >= modulus {
            return Err(SessionError::AboveModulus { item });
        }
        numbers.push(value);
    }
    Ok(numbers)
}

/// What recipients compare: equal exactly if they have the same result of the same session. The salt
/// is known to recipients alone, so that nobody can try results against it.
fn agree<F: Field>(binding: &[u8; 32], salt: &[F], items: &[F]) -> [u8; 32] {
    let mut transcript = Transcript::new("tacit/agreement/v1");
    transcript.bytes(binding);
    for elements in [salt, items] {
        transcript.number((elements.len() * F::BYTES) as u64);
        let mut buffer = Vec::with_capacity(F::BYTES * 512);
        for elements in elements.chunks(512) {
            buffer.clear();
            F::encode_slice(elements, &mut buffer);
            transcript.raw(&buffer);
        }
    }
    transcript.finish()
}
