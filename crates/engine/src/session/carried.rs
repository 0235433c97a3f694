//! The end of a branch's session: every compute peer keeps its summand of the total, and nothing is opened.
//!
//! See [`level`](crate::plan::Level): the summand is lambda_i s_i, a share times a public constant. By itself, and
//! together with those of up to t-1 others, it is uniform; all of a branch's together make its total. The salts that
//! contributors appended stay behind: the root's session has its own.

use tacit_algebra::Field;
use tacit_algebra::poly::lagrange_at;
use zeroize::Zeroizing;

use super::freeze::OpeningAuthorised;
use super::{InputVector, Outcome, Party, Receipt, SessionError};
use crate::plan::words;
use crate::transcript::Transcript;

/// A compute peer's summand of a branch's total, for one input to the root's session. Not printable; cleared when
/// dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Carried(Zeroizing<Vec<u64>>);

impl Carried {
    /// The row for the root's session.
    pub fn input(&self) -> InputVector {
        InputVector::new(self.0.to_vec())
    }
}

/// Keeps the summand. The agreement says that all compute peers hold shares of the same frozen set, and no more.
pub(super) fn outcome<F: Field, E>(
    party: &Party<'_, E>,
    points: &[F],
    authorised: &OpeningAuthorised<F>,
    receipt: Option<Receipt>,
) -> Result<Outcome, SessionError> {
    let plan = party.plan;
    let wrong = SessionError::WrongCall { what: "a branch's total is kept by compute peers, on distinct points" };
    let position = party.position.ok_or(wrong.clone())?;
    let lambda = *lagrange_at(points, F::ZERO).map_err(|_| wrong.clone())?.get(position).ok_or(wrong)?;
    let set = authorised.frozen();
    let entries = plan.inputs().iter().zip(&set.view);
    let contributors: Vec<usize> = entries.filter(|(_, entry)| entry.is_some()).map(|(member, _)| *member).collect();
    let count = F::from_u64(contributors.len() as u64);
    let share = authorised.share()[..plan.items()].iter().chain([&count]);
    let mut row = Zeroizing::new(Vec::with_capacity(2 * (plan.items() + 1)));
    share.for_each(|share| row.extend(words((*share * lambda).to_u128())));
    let mut transcript = Transcript::new("tacit/carried/v1");
    transcript.bytes(&party.binding).bytes(&set.digest);
    Ok(Outcome {
        values: None,
        counted: None,
        carried: Some(Carried(row)),
        agreement: transcript.finish(),
        contributors,
        frozen: set.digest,
        binding: party.binding,
        receipt,
        faults: set.faults.clone(),
    })
}
