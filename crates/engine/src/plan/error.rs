//! Refusals of the planner. Each message says what to do.

use tacit_model::Fingerprint;

use super::SecurityModel;
use crate::aggregate;

/// Why there is no plan. The configuration or the task is at fault, never a peer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs)] // the fields are named in each message
pub enum PlanError {
    /// Fewer than three compute peers.
    #[error("{count} compute peers are too few: name at least 3 operators")]
    TooFewComputePeers { count: usize },
    /// More compute peers than the charter names or than a session can have.
    #[error("{count} compute peers are listed, {limit} are allowed: list only those of the charter")]
    TooManyComputePeers { count: usize, limit: usize },
    /// t is zero or not below n/2.
    #[error("threshold {threshold} does not protect among {n} compute peers: choose 1 to {}", (.n - 1) / 2)]
    BadThreshold { threshold: usize, n: usize },
    /// The plan asks for another threshold than the charter.
    #[error("threshold {asked} is not the charter's {charter}: the charter alone sets it, by a decision of its owners")]
    ThresholdChanged { asked: usize, charter: usize },
    /// After losses too few compute peers are left: for the threshold, or for a majority of the charter's.
    #[error(
        "{left} of the charter's {n} compute peers are left and {needed} are needed (more than half of them, and more \
         than the threshold): wait until others are back"
    )]
    TooFewLeft { left: usize, needed: usize, n: usize },
    /// Additive sharing tolerates no loss.
    #[error("additive sharing needs all {n} compute peers and {left} are there: wait, or use Shamir sharing")]
    AdditiveWithLoss { left: usize, n: usize },
    /// The aggregator is not offered with additive sharing.
    #[error("{name} is not offered with additive sharing: use Shamir sharing")]
    SharingNotOffered { name: &'static str },
    /// The declared modulus is not a prime.
    #[error("the declared modulus {modulus} is not a prime: choose a prime such as 1013 or 2305843009213693951")]
    CompositeModulus { modulus: u64 },
    /// Inputs could reach the declared modulus.
    #[error("inputs up to {max_element} do not fit below the modulus {modulus}: lower maxElement or raise the modulus")]
    MaxElementAboveModulus { max_element: u64, modulus: u64 },
    /// The largest possible sum does not fit any field.
    #[error("sums could exceed 2^127-2: lower maxElement, the number of inputs or max_records")]
    SumsCouldWrap,
    /// The largest possible result does not fit any field.
    #[error("numbers of {name} could exceed 2^127-2: lower maxElement, the number of items or of input peers")]
    ResultsCouldWrap { name: &'static str },
    /// Too few compute peers to multiply.
    #[error("{left} compute peers are there and {name} needs {needed} (2t+1): wait until others are back")]
    TooFewForProducts { left: usize, needed: usize, name: &'static str },
    /// Too many compute peers to compare numbers.
    #[error("{name} compares numbers, which is offered for at most 11 compute peers, and {count} are listed")]
    TooManyToCompare { count: usize, name: &'static str },
    /// Fewer than two input peers: the sum would be somebody's input.
    #[error("{count} input peers are too few: the result would be one peer's input; name at least 2")]
    TooFewInputs { count: usize },
    /// A minimum of contributors below 2 or above the input peers.
    #[error("a minimum of {min} contributors among {inputs} input peers is not possible: choose 2 to {inputs}")]
    BadMinimum { min: usize, inputs: usize },
    /// A member is listed twice.
    #[error("member {member} is listed twice: list every member once")]
    DuplicateMember { member: Fingerprint },
    /// The members are not in ascending order.
    #[error("members must be listed in ascending order of their fingerprints")]
    MembersNotSorted,
    /// Too many members.
    #[error("{count} members are more than {limit}: use a hierarchy of gateways")]
    TooManyMembers { count: usize, limit: usize },
    /// A list of indices is not ascending or names nobody.
    #[error("the list of {list} must name each member once, by ascending index")]
    BadRoster { list: &'static str },
    /// Nobody would learn the result.
    #[error("the task names no recipients: name at least one member")]
    NoRecipients,
    /// Vectors without items.
    #[error("a vector needs at least one item")]
    NoItems,
    /// Vectors that are too long.
    #[error("{items} items are more than {limit}: split the vector over several slots")]
    TooManyItems { items: usize, limit: usize },
    /// A histogram with too many counts.
    #[error("{buckets} buckets of all columns together are more than {limit}: ask for fewer columns or fewer edges")]
    TooManyBuckets { buckets: usize, limit: usize },
    /// Two fingerprints have the same evaluation point.
    #[error("members {first} and {second} have the same evaluation point: one of them needs a new key")]
    PointCollision { first: Fingerprint, second: Fingerprint },
    /// The registry has no such aggregator.
    #[error("the aggregator {name:?} is not implemented: choose one of {}", aggregate::names())]
    UnknownAggregator { name: String },
    /// The peers run different versions of the aggregator.
    #[error("version {asked} of {name} is asked for and this node has version {here}: update the older side")]
    AggregatorVersion { name: &'static str, asked: u16, here: u16 },
    /// A setting that the aggregator does not have, or a value that it does not take.
    #[error("{name} {}", not_taken(name, parameter))]
    BadParameter { name: &'static str, parameter: String },
    /// A setting that has no value unless it is set.
    #[error("{name} needs the parameter {parameter}: {}", meaning(name, parameter).unwrap_or_default())]
    MissingParameter { name: &'static str, parameter: &'static str },
    /// A setting names somebody who gives no data.
    #[error("{parameter} names {peer:?}, which is no input peer here: name input peers of the group, or leave it out")]
    UnknownPeer { parameter: &'static str, peer: String },
    /// No event could ever be reported by enough.
    #[error("all input peers together weigh {total} and min_peer_weight is {least}: lower it, or raise peer_weights")]
    PeersWeighTooLittle { total: u64, least: u64 },
    /// The events of one peer would be opened as its own.
    #[error(
        "one input peer weighs {weight} and min_peer_weight is {least}, so that its events alone would be opened: raise \
         min_peer_weight above {weight}, or set min_peers to at least 2"
    )]
    OnePeerWeighsEnough { weight: u64, least: u64 },
    /// Records that the aggregator does not take.
    #[error(
        "{name} takes records of {} numbers, and {columns} are configured: set items, or name so many sources",
        range(*least, *most)
    )]
    BadColumns { name: &'static str, columns: usize, least: usize, most: usize },
    /// Where nobody may be trusted, bounds cannot be left to the input peers.
    #[error("bounds are always proven in the model {}: leave the parameter \"bounds\" out", .model.name())]
    BoundsMustBeProven { model: SecurityModel },
    /// Noise is sized for inputs within their bounds.
    #[error("{name} hides inputs only within their bounds, which must be proven: leave the parameter \"bounds\" out")]
    NoiseNeedsBounds { name: &'static str },
    /// Noise would take too long to sample.
    #[error(
        "{name} would toss {coins} coins, more than {limit}: raise epsilon, or lower maxElement, max_records or the number \
         of items"
    )]
    TooManyCoins { coins: usize, limit: usize, name: &'static str },
    /// A result for certain takes more compute peers.
    #[error(
        "{n} compute peers cannot promise a result against {threshold}: name at least {needed}, or lower the threshold"
    )]
    TooFewForGuaranteed { n: usize, needed: usize, threshold: usize },
    /// A result for certain takes more compute peers still where shares are multiplied.
    #[error(
        "{n} compute peers cannot promise a result of {name} against {threshold}: name at least {needed} (4t+1), lower \
         the threshold, or use malicious"
    )]
    TooFewForGuaranteedProducts { n: usize, needed: usize, threshold: usize, name: &'static str },
    /// A missing input must not keep the result from coming.
    #[error(
        "the model guaranteed goes on without missing inputs: say how many are needed at least (on-missing-input N)"
    )]
    GuaranteedMustProceed,
    /// An input peer could take the result from all, and the model promises it.
    #[error(
        "in the model guaranteed the result has to come, and one input peer could give sums for this {name} that no records \
         have: ask for fewer columns or smaller numbers, or use malicious"
    )]
    CouldBeVoid { name: &'static str },
    /// Agreement would take too many bytes.
    #[error("{dealers} input and compute peers are too many for the model guaranteed among {n}: use malicious")]
    TooManyForGuaranteed { n: usize, dealers: usize },
    /// Proofs of range would be too long.
    #[error(
        "proofs that the numbers are in range would take {elements} elements from each input peer, more than {limit}: \
         lower maxElement, split the vector, or (semi-honest) set bounds=declared"
    )]
    ProofTooLong { elements: usize, limit: usize },
    /// The aggregator is more than a sum.
    #[error(
        "{name} does not compose over branches: choose sum, count, mean, variance, std_deviation, weighted_mean, \
         histogram, covariance, correlation or linear_regression, or ask one group"
    )]
    DoesNotCompose { name: &'static str },
    /// Two levels are offered against corrupted peers that follow the protocol.
    #[error("results over branches are computed semi-honest and with Shamir sharing; leave the model out")]
    BranchesModel,
    /// A branch's compute peers are not all there.
    #[error(
        "{left} of the branch's {n} compute peers are there, and its part takes all of them: wait until they are back"
    )]
    BranchIncomplete { left: usize, n: usize },
    /// The root would add up a part of a branch.
    #[error("over branches the shares of all named compute peers are needed: on-missing-input must be fail")]
    RootGoesOn,
    /// The total could have more contributors than are counted.
    #[error("{count} compute peers of branches are too many, {limit} are allowed: ask fewer branches")]
    TooManyBranches { count: usize, limit: usize },
    /// The aggregator does not exist in that model.
    #[error("{name} is not implemented in the model {}: choose {}", .model.name(), models(name))]
    ModelNotOffered { name: &'static str, model: SecurityModel },
}

fn range(least: usize, most: usize) -> String {
    if least == most { least.to_string() } else { format!("{least} to {most}") }
}

fn meaning(aggregator: &str, parameter: &str) -> Option<&'static str> {
    Some(aggregate::find(aggregator)?.parameter(parameter)?.meaning)
}

/// What a parameter takes, or which parameters there are.
fn not_taken(aggregator: &str, parameter: &str) -> String {
    if let Some(meaning) = meaning(aggregator, parameter) {
        return format!("does not take this value of the parameter {parameter}: {meaning}");
    }
    let taken = aggregate::find(aggregator).map(|a| a.parameters.iter().map(|p| p.name).collect::<Vec<_>>());
    let taken = taken.filter(|names| !names.is_empty()).map_or("none of its own".to_owned(), |names| names.join(", "));
    format!("has no parameter {parameter:?}: it takes {taken}, and as all do bounds")
}

fn models(aggregator: &str) -> String {
    let models = aggregate::find(aggregator).map(|a| a.models.iter().map(|model| model.name()).collect::<Vec<_>>());
    models.unwrap_or_default().join(" or ")
}
