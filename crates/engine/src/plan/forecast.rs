//! What a session will cost and survive, from the plan alone.

use std::fmt;

use super::{OnMissing, Plan, SecurityModel, Sharing};
use crate::evaluate::round_micros;
use crate::session::CHUNK;
use crate::sharing::corrects;

/// The planner's prediction. `Display` says it in plain text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forecast {
    /// Rounds from the first share to the result.
    pub rounds: usize,
    /// Bytes that an input peer sends, shares only.
    pub input_bytes: u64,
    /// Bytes that a compute peer sends for the freeze, the evaluation and the opening; roles in the
    /// evaluation rotate, so that this is the mean.
    pub compute_bytes: u64,
    /// Of these, the bytes of the evaluation.
    pub evaluation_bytes: u64,
    /// Of these, the bytes of the opening.
    pub opening_bytes: u64,
    /// Of the rounds, those until all inputs are shared and, where that is done, checked.
    pub input_rounds: usize,
    /// Of the rounds, those of the opening.
    pub opening_rounds: usize,
    /// Microseconds from the first share to the result, all peers on one machine with two cores: a session's own
    /// ([`SESSION_MICROS`], and for each compute peer and member [`PAIR_MICROS`], or [`PROVEN_PAIR_MICROS`]), the rounds of
    /// the evaluation, what all send ([`BYTES_PER_MICRO`]), and the evaluation's work on bits and verified products.
    pub micros: u64,
    /// How many compute peers may be lost after the freeze.
    pub losses: usize,
    /// How many compute peers may be lost before it.
    pub losses_before: usize,
    /// How many wrong shares are always noticed at the opening.
    pub detected: usize,
    /// How many wrong shares are corrected and named at the opening; none below 3t+1 compute peers.
    pub corrected: usize,
    /// How many compute peers may compute wrongly without any wrong result being accepted.
    pub cheaters_noticed: usize,
    /// How many may, and the result comes nevertheless.
    pub cheaters_survived: usize,
    /// How many compute peers may put together what they see without learning an input.
    pub colluding: usize,
    /// What happens when inputs are missing, and what the result tells anyway.
    pub notes: Vec<String>,
}

/// What a session takes whoever is in it: the freeze's durable write.
pub const SESSION_MICROS: u64 = 400;
/// What it takes for each compute peer and member: messages, commitments and signatures, both cores busy with those of all.
pub const PAIR_MICROS: u64 = 60;
/// The same where bounds are proven.
pub const PROVEN_PAIR_MICROS: u64 = 140;
/// How many bytes such a machine makes, moves and reads in a microsecond, all processes together.
pub const BYTES_PER_MICRO: u64 = 1000;

impl Forecast {
    pub(super) fn of(plan: &Plan) -> Self {
        let n = plan.compute().len();
        let salt = plan.field().salt_elements();
        let bytes_of = |elements: usize| (elements * plan.field().bytes() + elements.div_ceil(CHUNK) * 5) as u64;
        let (shared, opened) = (bytes_of(plan.dealt_elements()), bytes_of(plan.outputs() + salt));
        let dealer_computes = plan.inputs().iter().any(|i| plan.compute().contains(i));
        let others = if dealer_computes { n - 1 } else { n };
        let inside = plan.recipients().iter().filter(|r| plan.compute().contains(r)).count();
        let outside = plan.recipients().len() - inside;
        let (seeded, losses, colluding, corrects) = match plan.sharing() {
            Sharing::Shamir { threshold } => {
                (threshold.min(others), n - plan.shares_needed(), threshold, corrects(n, threshold))
            }
            Sharing::Additive => (n - 1, 0, n - 1, false),
        };
        let explicit = (others.max(seeded) - seeded) as u64;
        let view = 1 + 33 * plan.inputs().len() as u64;
        let freeze = (n as u64 - 1) * (view + 1 + 32 + 64);
        let spare = match plan.sharing() {
            Sharing::Shamir { threshold } => n - threshold - 1,
            Sharing::Additive => 0,
        };
        let corrected = if corrects { spare / 2 } else { 0 };
        let proof = match (plan.bounds_proven(), plan.model()) {
            (false, _) => 0,
            (true, SecurityModel::SemiHonest) => 1,
            (true, _) => 2,
        };
        let answers = match plan.bounds_proven() {
            // A coin, in malicious hidden first.
            true => {
                (n as u64 - 1) * (bytes_of(plan.answers() * plan.inputs().len()) + if proof == 1 { 32 } else { 97 })
            }
            false => 0,
        };
        let by_slices = plan.opens_by_slices();
        let (opening_rounds, opening_bytes) = if by_slices {
            // Hidden nonces, slices, broadcast, nonces, check, done.
            (6, 2 * opened * (n as u64 - 1) / n as u64)
        } else {
            // A compute peer that receives does not send to itself; others are told what was frozen.
            let inside = (opened * (inside * (n - 1)) as u64).div_ceil(n as u64);
            (1, inside + (opened + view + 64) * outside as u64)
        };
        let evaluation = plan.forecast_evaluation();
        let (evaluation_rounds, evaluation_bytes) =
            evaluation.as_ref().map_or((0, 0), |cost| (cost.rounds(), cost.bytes));
        let mut notes = vec![match plan.on_missing() {
            OnMissing::Fail => "a missing input ends the session".to_owned(),
            OnMissing::Proceed { min } => format!("missing inputs are left out as long as {min} contribute"),
        }];
        if evaluation.is_some() && plan.model() != SecurityModel::Guaranteed {
            let noticed = match plan.model() {
                SecurityModel::SemiHonest => "one that computes wrongly is not noticed",
                _ => "what one computes wrongly is never opened, and ends the session; it is not named",
            };
            notes.push(format!("all compute peers have to stay until the result is computed; {noticed}"));
        }
        notes.push(plan.aggregator().leakage.to_owned());
        notes.push(match (plan.bounds_proven(), plan.model()) {
            (false, _) => "that inputs are within their bounds is left to the input peers".to_owned(),
            (true, SecurityModel::SemiHonest) => {
                "an input out of bounds is found before the freeze if all compute peers follow the protocol".to_owned()
            }
            (true, SecurityModel::Guaranteed) => "the result comes whatever the tolerated number of compute peers do, \
                                                  silence included, and without inputs out of bounds, whose owners are \
                                                  named; the network has to be synchronous"
                .to_owned(),
            (true, _) => "no input out of bounds gets into a result that is accepted; a cheating compute peer can end \
                          the session, or keep an input out of it, and may learn the result alone"
                .to_owned(),
        });
        if let Some(missing) = plan.missing() {
            notes.push(missing.describe().to_owned());
        }
        if let Some(rate) = plan.false_positives() {
            notes.push(format!(
                "a key that nobody has is found with probability up to {rate:.2e}, if every input peer gives as many keys as it may; \
                 the result says with which for those that came"
            ));
        }
        if let Some(privacy) = plan.privacy() {
            notes.push(format!(
                "each result hides every single {}, with epsilon = {} and delta = {:.1e}; the epsilons of all results over the \
                 same data add up",
                if privacy.hides_peers { "peer's input" } else { "record" },
                privacy.epsilon,
                privacy.delta
            ));
        }
        let guaranteed = match (plan.model(), plan.sharing()) {
            (SecurityModel::Guaranteed, Sharing::Shamir { threshold }) => {
                Some(Guaranteed::new(plan, threshold, shared, opened))
            }
            _ => None,
        };
        // Views, then signatures; guaranteed: signatures.
        let (input_rounds, freeze_rounds, opening_rounds) = match &guaranteed {
            Some(guaranteed) => (guaranteed.input_rounds, 1, 1),
            None => (1 + proof, 2, opening_rounds),
        };
        let rounds = input_rounds + freeze_rounds + evaluation_rounds + opening_rounds;
        let (input_bytes, agreement_bytes, opening_bytes) = match &guaranteed {
            Some(guaranteed) => (guaranteed.input_bytes, guaranteed.agreement_bytes, guaranteed.opening_bytes),
            None => (explicit * shared + others as u64 * 33, 0, opening_bytes),
        };
        let compute_bytes = agreement_bytes + freeze + answers + evaluation_bytes + opening_bytes;
        let all = input_bytes * plan.inputs().len() as u64 + (compute_bytes - evaluation_bytes) * n as u64;
        let pair_micros = if proof == 0 { PAIR_MICROS } else { PROVEN_PAIR_MICROS };
        let agreement_micros = guaranteed.as_ref().map_or(0, |g| g.input_rounds as u64 * round_micros(n));
        let session_micros =
            SESSION_MICROS + (n * plan.members().len()) as u64 * pair_micros + agreement_micros + all / BYTES_PER_MICRO;
        // Who is silent gives nothing either, and a task may ask for more inputs than are left then.
        let give = plan.inputs().iter().filter(|input| plan.compute().contains(input)).count();
        let spare_inputs = match plan.on_missing() {
            OnMissing::Proceed { min } => plan.inputs().len() - min,
            OnMissing::Fail => 0,
        };
        let faulty = guaranteed.as_ref().map_or(0, |g| match spare_inputs < give {
            true => g.faulty.min(spare_inputs),
            false => g.faulty,
        });
        if let Some(guaranteed) = guaranteed.as_ref().filter(|guaranteed| faulty < guaranteed.faulty) {
            notes.push(format!(
                "so many inputs are asked for that the result comes without {faulty} of the compute peers that give, not without \
                 {}",
                guaranteed.faulty
            ));
        }
        Self {
            rounds,
            input_bytes,
            compute_bytes,
            evaluation_bytes,
            opening_bytes,
            input_rounds,
            opening_rounds,
            micros: session_micros.saturating_add(evaluation.as_ref().map_or(0, |cost| cost.micros())),
            losses: match &guaranteed {
                Some(_) => faulty,
                None if evaluation.is_some() => 0,
                None => losses,
            },
            losses_before: faulty,
            // More than can be corrected may come near a wrong vector, which is then taken for the right one.
            detected: guaranteed.as_ref().map_or(spare - corrected, |g| g.faulty),
            corrected: guaranteed.as_ref().map_or(corrected, |g| g.faulty),
            cheaters_noticed: match plan.model() {
                SecurityModel::SemiHonest => 0,
                SecurityModel::Malicious => colluding,
                SecurityModel::Guaranteed => faulty,
            },
            cheaters_survived: faulty,
            colluding,
            notes,
        }
    }
}

/// The model `guaranteed`, which has steps of its own.
struct Guaranteed {
    faulty: usize,
    input_rounds: usize,
    input_bytes: u64,
    agreement_bytes: u64,
    opening_bytes: u64,
}

impl Guaranteed {
    fn new(plan: &Plan, threshold: usize, dealt: u64, opened: u64) -> Self {
        let n = plan.compute().len();
        let faulty = (threshold + n).saturating_sub(plan.request().charter_compute);
        // n-1 choose t keys each; two texts per peer, which everybody passes on.
        let held = (0..threshold).fold(1usize, |held, i| held * (n - 1 - i) / (i + 1));
        let dealers = plan.compute().len() + plan.inputs().iter().filter(|i| !plan.compute().contains(i)).count();
        let texts = dealers * (1 + 32 * held) + 33 * plan.inputs().len() + 2 * 76;
        let others = n as u64 - 1;
        Self {
            faulty,
            // Keys, agreement, masked, agreement, coin, answers.
            input_rounds: 2 * (faulty + 1) + 4,
            // A commitment and a hash of the keys in front of what is dealt.
            input_bytes: n as u64 * (dealt + 64 + 1 + 32 * held as u64),
            // What was agreed goes with the coin; each chunk of answers and of the result is signed.
            agreement_bytes: others
                * ((n * texts) + 32 + 64 * plan.inputs().len() * plan.answers().div_ceil(CHUNK)) as u64,
            opening_bytes: (opened + 65 * plan.opened_elements().div_ceil(CHUNK) as u64)
                * plan.recipients().len() as u64,
        }
    }
}

impl fmt::Display for Forecast {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} rounds", self.rounds)?;
        writeln!(f, "{} bytes from each input peer", self.input_bytes)?;
        writeln!(f, "{} bytes from each compute peer", self.compute_bytes)?;
        writeln!(f, "about {} ms between processes on one machine", self.micros.div_ceil(1000))?;
        match self.losses_before {
            0 => writeln!(f, "survives the loss of {} compute peers after the freeze, none before it", self.losses)?,
            losses => writeln!(f, "survives the loss of {losses} compute peers at any time")?,
        }
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
