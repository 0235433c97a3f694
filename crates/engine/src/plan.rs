//! What a session is going to do, as public data that every peer computes for itself.
//!
//! [`Plan::build`] takes a [`PlanRequest`], refuses what cannot be right or safe, chooses the field and
//! the evaluation points, and fixes a digest over everything. Peers that computed different plans
//! cannot run a session together: the digest is bound into every seed, commitment and signature.

use tacit_algebra::{F61, F127, Field};
use tacit_model::codec::{Encode, put_bytes};
use tacit_model::{Attempt, Fingerprint, SessionId, Slot};

use crate::aggregate::encoding::Encoding;
use crate::aggregate::ties::{Missing, Ties};
use crate::aggregate::{self, Aggregator, NoResult, RowShape, Statistic};
use crate::evaluate::{Cost, Evaluation};
use crate::mailbox::PARKED_HARD_LIMIT;
use crate::transcript::Transcript;

mod check;
mod choose;
mod error;
mod forecast;
mod level;
mod request;
#[cfg(test)]
pub(crate) mod tests;

use check::{check_aggregator, check_length, check_members, check_shape, check_sharing};
use choose::{choose_bounds, choose_field, evaluation_points};
pub use error::PlanError;
pub use forecast::{BYTES_PER_MICRO, Forecast, PAIR_MICROS, PROVEN_PAIR_MICROS, SESSION_MICROS};
pub(crate) use level::words;
pub use level::{LEVEL, Level};
pub use request::{OnMissing, PlanRequest, SecurityModel, Sharing};

/// The most items of one vector.
pub const MAX_ITEMS: usize = 10_000_000;
/// The most members of one plan.
pub const MAX_MEMBERS: usize = 20_000;
/// The most compute peers of one plan.
pub const MAX_COMPUTE: usize = 64;
/// Vectors longer than this are opened by slices if the recipients are the compute peers.
pub(crate) const SLICED_ABOVE: usize = 16 * 1024;

/// The most elements that one input peer deals where bounds are proven. Longer vectors have to say `bounds=declared`.
pub const MAX_PROVEN: usize = 1 << 24;

/// From so many verifications on, their errors in 2^61-1 (2^-54 each) could add up to more than 2^-40.
const CHECKED_IN_F61: u64 = 1 << 14;

/// SHA-256 of a plan.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct PlanDigest(pub [u8; 32]);

/// The field that a session works in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum FieldChoice {
    /// Integers modulo 2^61-1.
    F61,
    /// Integers modulo 2^127-1.
    F127,
}

impl FieldChoice {
    /// Its name, such as `2^61-1`.
    pub fn name(self) -> &'static str {
        match self {
            Self::F61 => F61::NAME,
            Self::F127 => F127::NAME,
        }
    }

    /// Bits of the modulus.
    pub(crate) fn bits(self) -> u32 {
        match self {
            Self::F61 => F61::BITS,
            Self::F127 => F127::BITS,
        }
    }

    /// Bytes of one element on the wire.
    pub fn bytes(self) -> usize {
        match self {
            Self::F61 => F61::BYTES,
            Self::F127 => F127::BYTES,
        }
    }

    /// How many elements it takes to carry 256 random bits.
    pub(crate) fn salt_elements(self) -> usize {
        match self {
            Self::F61 => 5,
            Self::F127 => 3,
        }
    }
}

/// A checked request: its existence says that the session can be right and safe under its model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    request: PlanRequest,
    field: FieldChoice,
    /// Of the compute peers, in their order.
    points: Vec<u128>,
    /// Follows from the request.
    encoding: Encoding,
    /// What is computed on shares before the opening. Follows from the request.
    evaluation: Option<Evaluation>,
    /// Elements that an input peer deals for its items, if it proves their bounds.
    proven: Option<usize>,
    digest: PlanDigest,
}

impl Plan {
    /// Checks the request and completes it. Every refusal says what to change.
    pub fn build(mut request: PlanRequest) -> Result<Self, PlanError> {
        check_members(&request)?;
        let aggregator = check_aggregator(&request)?;
        request.aggregator = aggregator.name.to_owned();
        check_sharing(&request, aggregator)?;
        level::check(&request, aggregator)?;
        let level = Level::of(&request);
        check_shape(&request)?;
        let mut encoding = Encoding::new(aggregator, &request)?;
        check_length(encoding.length())?;
        let evaluation = Evaluation::new(aggregator, &request)?;
        let noisy = matches!(aggregator.function, aggregate::Function::Noise(_));
        let proven = match level {
            // A branch's shares have no bounds; the numbers behind them were proven in the branch.
            Level::Root => None,
            Level::Flat | Level::Branch => choose_bounds(&request, &mut encoding, noisy.then_some(aggregator.name))?,
        };
        if request.model == SecurityModel::Guaranteed && proven.is_some() && encoding.ties().missing().is_some() {
            return Err(PlanError::CouldBeVoid { name: aggregator.name });
        }
        let inputs = request.inputs.len();
        let inside = match &evaluation {
            Some(evaluation) => {
                evaluation.largest_inside(inputs).ok_or(PlanError::ResultsCouldWrap { name: aggregator.name })?
            }
            None => 0,
        };
        let field = match level {
            Level::Flat => choose_field(inputs, &encoding, proven.is_some())?,
            _ if level::fits(encoding.largest_bound()) => FieldChoice::F127,
            _ => return Err(PlanError::SumsCouldWrap),
        };
        let field = match inside {
            inside if inside < F61::MODULUS => field,
            inside if inside < F127::MODULUS => FieldChoice::F127,
            _ => return Err(PlanError::ResultsCouldWrap { name: aggregator.name }),
        };
        let field = match (&evaluation, request.model, request.sharing) {
            (Some(evaluation), SecurityModel::Malicious, Sharing::Shamir { threshold }) => {
                let cost = Cost::new(request.compute.len(), threshold, field).in_model(request.model);
                if evaluation.cost(inputs, cost).checks > CHECKED_IN_F61 { FieldChoice::F127 } else { field }
            }
            _ => field,
        };
        let points = match field {
            FieldChoice::F61 => evaluation_points::<F61>(&request)?,
            FieldChoice::F127 => evaluation_points::<F127>(&request)?,
        };
        let mut plan = Self { request, field, points, encoding, evaluation, proven, digest: PlanDigest([0; 32]) };
        plan.digest = plan.compute_digest();
        Ok(plan)
    }

    /// SHA-256 over the canonical encoding of every field, evaluation points included.
    pub fn digest(&self) -> PlanDigest {
        self.digest
    }

    /// The bytes that [`digest`](Self::digest) is the hash of.
    pub fn canonical_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        put_bytes(&mut out, b"tacit/plan/v1");
        self.request.encode(&mut out);
        put_bytes(&mut out, self.field.name().as_bytes());
        (self.points.len() as u64).encode(&mut out);
        for point in &self.points {
            point.encode(&mut out);
        }
        if let Some(protocol) = protocol(self.model(), self.bounds_proven()) {
            put_bytes(&mut out, protocol);
        }
        out
    }

    /// What was asked for, with the aggregator under its registered name.
    pub fn request(&self) -> &PlanRequest {
        &self.request
    }
    /// The session's id.
    pub fn session(&self) -> SessionId {
        self.request.session
    }
    /// Which attempt at the slot this is.
    pub fn attempt(&self) -> Attempt {
        self.request.attempt
    }
    /// The slot.
    pub fn slot(&self) -> Slot {
        self.request.slot
    }
    /// All members, ascending; everybody is named by the index in this list.
    pub fn members(&self) -> &[Fingerprint] {
        &self.request.members
    }
    /// The index of a member.
    pub fn index_of(&self, member: &Fingerprint) -> Option<usize> {
        self.request.members.binary_search(member).ok()
    }
    /// Who gives data.
    pub fn inputs(&self) -> &[usize] {
        &self.request.inputs
    }
    /// Who computes on shares.
    pub fn compute(&self) -> &[usize] {
        &self.request.compute
    }
    /// Who learns the result.
    pub fn recipients(&self) -> &[usize] {
        &self.request.recipients
    }
    /// Numbers of the vectors that are shared: what a row is encoded into.
    pub fn items(&self) -> usize {
        // Shares of a branch's total come with one of the number of its contributors.
        self.encoding.length() + usize::from(self.level() == Level::Root)
    }
    /// Whether it stands alone, or computes a part of a result over several groups.
    pub fn level(&self) -> Level {
        Level::of(&self.request)
    }
    /// Numbers that are opened.
    pub fn outputs(&self) -> usize {
        self.evaluation.as_ref().map_or(self.items(), Evaluation::outputs)
    }
    /// The most that an opened number can be where so many contribute. Below the field's modulus.
    pub fn largest_output(&self, output: usize, contributors: usize) -> u128 {
        match &self.evaluation {
            Some(evaluation) => evaluation.largest(output, contributors).unwrap_or(u128::MAX),
            None => (contributors as u128).saturating_mul(self.bound(output)),
        }
    }
    /// How many numbers an input peer's row may have.
    pub fn row_shape(&self) -> RowShape {
        match self.level() {
            Level::Root => RowShape::Items(2 * self.items()),
            Level::Flat | Level::Branch => self.encoding.row_shape(),
        }
    }
    /// The largest value that a number of a row may have.
    pub fn max_element(&self) -> u64 {
        self.request.max_element
    }
    /// The largest that the number at this place of a row may be.
    pub fn row_bound(&self, index: usize) -> u64 {
        if self.level() == Level::Root {
            return u64::MAX;
        }
        self.encoding.row_bound(index).unwrap_or(self.request.max_element)
    }
    /// The most that one contributor may give for an item of the vector; of the root's session, one of a branch's.
    pub fn bound(&self, item: usize) -> u128 {
        self.encoding.bound(item)
    }
    /// Whether compute peers check, under sharing, that every number is between 0 and its bound. Where not, honest
    /// input peers keep it.
    pub fn bounds_proven(&self) -> bool {
        self.proven.is_some()
    }

    /// What each contributor proves to hold between its numbers, besides the bound of each.
    pub(crate) fn ties(&self) -> &Ties {
        self.encoding.ties()
    }

    /// What is not proven of them, though bounds are, and voids the result where an input peer lies about it.
    pub(crate) fn missing(&self) -> Option<Missing> {
        self.encoding.ties().missing().filter(|_| self.bounds_proven())
    }

    /// Elements that are opened of each contributor where bounds are proven.
    pub(crate) fn answers(&self) -> usize {
        self.encoding.answers()
    }

    /// Elements that each input peer deals.
    pub(crate) fn dealt_elements(&self) -> usize {
        let salt = self.field.salt_elements();
        self.proven.map_or(self.items() + salt, |proven| proven + salt + 1)
    }

    /// How many bytes of one compute peer may wait at another one to be read. In the model `guaranteed` it may have to give it
    /// all that was dealt, while that one still waits for a silent one; as much as each of them holds anyway. What it deals
    /// itself may wait, too.
    pub fn parked_limit(&self) -> usize {
        let given = self.inputs().len().saturating_mul(self.given_bytes());
        self.dealt_limit().saturating_add(given)
    }

    /// And how many of who only gives.
    pub(crate) fn dealt_limit(&self) -> usize {
        PARKED_HARD_LIMIT.saturating_add(self.given_bytes())
    }

    /// What one input is long in the model `guaranteed`, in which it waits for others.
    fn given_bytes(&self) -> usize {
        match self.model() {
            SecurityModel::Guaranteed => self.dealt_elements() * self.field().bytes(),
            SecurityModel::SemiHonest | SecurityModel::Malicious => 0,
        }
    }

    /// What the noise of the result promises; `None` where there is no noise.
    pub fn privacy(&self) -> Option<aggregate::Privacy> {
        self.evaluation.as_ref()?.privacy()
    }
    /// The rate at which keys that nobody has look as if somebody had them, if every input peer gives as many different keys
    /// as it may; `None` where nothing is approximate.
    pub fn false_positives(&self) -> Option<f64> {
        let most = match self.row_shape() {
            RowShape::Records { most, .. } => u128::from(most),
            RowShape::Items(items) => items as u128,
        };
        self.evaluation.as_ref()?.false_positives_of(most * self.inputs().len() as u128)
    }
    /// The declared modulus of the result. Opened numbers that a statistic is computed from have none.
    pub fn modulus(&self) -> Option<u64> {
        self.request.modulus.filter(|_| self.aggregator().output == aggregate::Shape::Vector)
    }
    /// The statistics that these opened numbers make; `None` where they themselves are the result.
    pub fn statistics(&self, sums: &[u128]) -> Option<Result<Vec<Statistic>, NoResult>> {
        if let Some(evaluation) = &self.evaluation {
            return evaluation.decode(sums);
        }
        let Encoding::Records(records) = &self.encoding else { return None };
        let codec = self.aggregator().records.as_ref()?;
        Some(match sums.len() == self.encoding.length() {
            true => (codec.decode)(&records.settings, sums),
            false => Err(NoResult::Impossible),
        })
    }
    /// How inputs are shared.
    pub fn sharing(&self) -> Sharing {
        self.request.sharing
    }
    /// The security model.
    pub fn model(&self) -> SecurityModel {
        self.request.model
    }
    /// What happens when an input is missing at the freeze.
    pub fn on_missing(&self) -> OnMissing {
        self.request.on_missing
    }
    /// The field that the session works in.
    pub fn field(&self) -> FieldChoice {
        self.field
    }
    /// The compute peers' evaluation points, in their order.
    pub fn points(&self) -> &[u128] {
        &self.points
    }
    /// The registered aggregator.
    pub fn aggregator(&self) -> &'static Aggregator {
        aggregate::find(&self.request.aggregator).expect("a plan is only built with a registered aggregator")
    }
    /// How many shares it takes to open a result: those that make a secret, or, where nobody may be trusted, as
    /// many as t wrong ones cannot bend.
    pub fn shares_needed(&self) -> usize {
        match self.request.sharing {
            Sharing::Shamir { threshold } => match self.request.model {
                SecurityModel::SemiHonest => threshold + 1,
                SecurityModel::Malicious | SecurityModel::Guaranteed => 2 * threshold + 1,
            },
            Sharing::Additive => self.request.compute.len(),
        }
    }
    /// How many of the charter's `n` compute peers an attempt at a slot must list: t+1, so that it can be
    /// opened, and more than half, so that any two attempts share one. That one signs only one input set.
    pub fn compute_needed(n: usize, threshold: usize) -> usize {
        threshold.saturating_add(1).max(n / 2 + 1)
    }
    /// What this session will cost and survive.
    pub fn forecast(&self) -> Forecast {
        Forecast::of(self)
    }

    /// Elements that are opened: the outputs, then the common salt.
    pub(crate) fn opened_elements(&self) -> usize {
        self.outputs() + self.field.salt_elements()
    }

    /// Whether the result is opened by slices.
    pub(crate) fn opens_by_slices(&self) -> bool {
        matches!(self.request.sharing, Sharing::Shamir { .. })
            && self.request.recipients == self.request.compute
            && self.outputs() > SLICED_ABOVE
    }

    /// What is computed on shares before the opening.
    pub(crate) fn evaluation(&self) -> Option<&Evaluation> {
        self.evaluation.as_ref()
    }

    /// How many rounds that takes if all input peers contribute.
    pub(crate) fn evaluation_rounds(&self) -> usize {
        self.forecast_evaluation().map_or(0, |cost| cost.rounds())
    }

    /// What it costs.
    pub(crate) fn forecast_evaluation(&self) -> Option<Cost> {
        let Sharing::Shamir { threshold } = self.request.sharing else { return None };
        let cost = Cost::new(self.request.compute.len(), threshold, self.field).in_model(self.request.model);
        Some(self.evaluation.as_ref()?.cost(self.request.inputs.len(), cost))
    }

    /// The vector of a row that fits; `None` where the row is the vector.
    pub(crate) fn encode(&self, row: &[u64]) -> Option<zeroize::Zeroizing<Vec<u128>>> {
        if self.level() == Level::Root {
            return Some(level::elements(row));
        }
        self.encoding.encode(row)
    }

    /// The plan of a cheater: nobody else can tell it apart, but it adds up something else of its records, or fits slacks to
    /// something else.
    #[cfg(test)]
    pub(crate) fn cheating(mut self, cheat: impl FnOnce(&mut aggregate::records::Records)) -> Self {
        let Encoding::Records(records) = &mut self.encoding else { panic!("a statistic over records") };
        cheat(records);
        self
    }

    fn compute_digest(&self) -> PlanDigest {
        let mut transcript = Transcript::new("tacit/plan/v1");
        transcript.bytes(&self.canonical_bytes());
        PlanDigest(transcript.finish())
    }
}

/// Which messages a session exchanges in this model, where they are not those of the first version. It is in the digest,
/// so that peers whose versions do not understand each other decline the same job before they share anything, and never
/// end in a dispute. To be changed with every change of those messages.
fn protocol(model: SecurityModel, bounds_proven: bool) -> Option<&'static [u8]> {
    match model {
        // Version 2: the answers of several input peers are one message. Version 3: ties are proven; 4: quadratic ones, too.
        SecurityModel::SemiHonest | SecurityModel::Malicious => bounds_proven.then_some(b"tacit/proven/v4"),
        // Version 2: answers and products are signed. Version 3: ties are proven; 4: quadratic ones, too.
        SecurityModel::Guaranteed => Some(b"tacit/guaranteed/v4"),
    }
}
