//! What a session will cost and survive, from the plan alone.

use std::fmt;

use super::{OnMissing, Plan, Sharing};
use crate::session::CHUNK;
use crate::sharing::corrects;

/// The planner's prediction. `Display` says it in plain text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forecast {
    /// Rounds from the first share to the result.
    pub rounds: usize,
    /// Bytes that an input peer sends, shares only.
    pub input_bytes: u64,
    /// Bytes that a compute peer sends for the freeze and the opening.
    pub compute_bytes: u64,
    /// How many compute peers may be lost after the freeze.
    pub losses: usize,
    /// How many wrong shares are always noticed at the opening.
    pub detected: usize,
    /// How many wrong shares are corrected and named at the opening; none below 3t+1 compute peers.
    pub corrected: usize,
    /// How many compute peers may put together what they see without learning an input.
    pub colluding: usize,
    /// What happens when inputs are missing, and what the result tells anyway.
    pub notes: Vec<String>,
}

impl Forecast {
    pub(super) fn of(plan: &Plan) -> Self {
        let n = plan.compute().len();
        let elements = plan.items() + plan.field().salt_elements();
        let vector = (elements * plan.field().bytes()) as u64;
        let headers = (elements.div_ceil(CHUNK) * 5) as u64;
        let dealer_computes = plan.inputs().iter().any(|i| plan.compute().contains(i));
        let others = if dealer_computes { n - 1 } else { n };
        let recipients = plan.recipients().len();
        let (seeded, losses, colluding, corrects) = match plan.sharing() {
            Sharing::Shamir { threshold } => {
                (threshold.min(others), n - threshold - 1, threshold, corrects(n, threshold))
            }
            Sharing::Additive => (n - 1, 0, n - 1, false),
        };
        let explicit = (others.max(seeded) - seeded) as u64;
        let view = 1 + 33 * plan.inputs().len() as u64;
        let freeze = (n as u64 - 1) * (view + 1 + 32 + 64);
        let corrected = if corrects { losses / 2 } else { 0 };
        let by_slices = plan.opens_by_slices();
        let (rounds, opening) = if by_slices {
            // Hidden nonces, slices, broadcast, nonces, check, done.
            (3 + 6, 2 * vector * (n as u64 - 1) / n as u64)
        } else {
            (3 + 1, (vector + headers + view + 64) * recipients as u64)
        };
        let mut notes = vec![match plan.on_missing() {
            OnMissing::Fail => "a missing input ends the session".to_owned(),
            OnMissing::Proceed { min } => format!("missing inputs are left out as long as {min} contribute"),
        }];
        notes.push(plan.aggregator().leakage.to_owned());
        Self {
            rounds,
            input_bytes: explicit * (vector + headers) + others as u64 * 33,
            compute_bytes: freeze + opening,
            losses,
            // More than can be corrected may come near a wrong vector, which is then taken for the right one.
            detected: losses - corrected,
            corrected,
            colluding,
            notes,
        }
    }
}

impl fmt::Display for Forecast {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} rounds", self.rounds)?;
        writeln!(f, "{} bytes from each input peer", self.input_bytes)?;
        writeln!(f, "{} bytes from each compute peer", self.compute_bytes)?;
        writeln!(f, "survives the loss of {} compute peers after the freeze, none before it", self.losses)?;
        writeln!(
            f,
            "wrong shares at the opening: {} always noticed, {} corrected and named",
            self.detected, self.corrected
        )?;
        writeln!(f, "{} compute peers together learn nothing", self.colluding)?;
        for note in &self.notes {
            writeln!(f, "{note}")?;
        }
        Ok(())
    }
}
