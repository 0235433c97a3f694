//! What a request has to be, whoever asks: members, lists, aggregator, sharing, length.

use tacit_algebra::is_prime;

use super::{MAX_COMPUTE, MAX_ITEMS, MAX_MEMBERS, OnMissing, Plan, PlanError, PlanRequest, SecurityModel, Sharing};
use crate::aggregate::{self, Aggregator};

/// The most bytes of one round of agreement in the model `guaranteed`.
const MAX_AGREEMENT: usize = 4 << 20;

pub(super) fn check_members(request: &PlanRequest) -> Result<(), PlanError> {
    let members = &request.members;
    if members.len() > MAX_MEMBERS {
        return Err(PlanError::TooManyMembers { count: members.len(), limit: MAX_MEMBERS });
    }
    for pair in members.windows(2) {
        if pair[0] == pair[1] {
            return Err(PlanError::DuplicateMember { member: pair[0] });
        }
        if pair[0] > pair[1] {
            return Err(PlanError::MembersNotSorted);
        }
    }
    let lists = [("inputs", &request.inputs), ("compute", &request.compute), ("recipients", &request.recipients)];
    for (list, indices) in lists {
        if indices.windows(2).any(|pair| pair[0] >= pair[1]) || indices.iter().any(|i| *i >= members.len()) {
            return Err(PlanError::BadRoster { list });
        }
    }
    if request.inputs.len() < 2 {
        return Err(PlanError::TooFewInputs { count: request.inputs.len() });
    }
    if request.recipients.is_empty() {
        return Err(PlanError::NoRecipients);
    }
    if let OnMissing::Proceed { min } = request.on_missing
        && !(2..=request.inputs.len()).contains(&min)
    {
        return Err(PlanError::BadMinimum { min, inputs: request.inputs.len() });
    }
    Ok(())
}

pub(super) fn check_aggregator(request: &PlanRequest) -> Result<&'static Aggregator, PlanError> {
    let aggregator = aggregate::find(&request.aggregator)
        .ok_or_else(|| PlanError::UnknownAggregator { name: request.aggregator.clone() })?;
    let name = aggregator.name;
    if request.aggregator_version != aggregator.version {
        let (asked, here) = (request.aggregator_version, aggregator.version);
        return Err(PlanError::AggregatorVersion { name, asked, here });
    }
    for (key, value) in &request.parameters {
        if !aggregator.parameters.iter().chain(&aggregate::COMMON).any(|p| p.name == key && (p.accepts)(value)) {
            return Err(PlanError::BadParameter { name, parameter: key.clone() });
        }
    }
    if !aggregator.models.contains(&request.model) {
        return Err(PlanError::ModelNotOffered { name, model: request.model });
    }
    Ok(aggregator)
}

pub(super) fn check_sharing(request: &PlanRequest, aggregator: &'static Aggregator) -> Result<(), PlanError> {
    let n = request.charter_compute;
    let now = request.compute.len();
    if n < 3 {
        return Err(PlanError::TooFewComputePeers { count: n });
    }
    if now > n || now > MAX_COMPUTE {
        return Err(PlanError::TooManyComputePeers { count: now, limit: n.min(MAX_COMPUTE) });
    }
    match request.sharing {
        Sharing::Shamir { threshold } => {
            if threshold != request.charter_threshold {
                return Err(PlanError::ThresholdChanged { asked: threshold, charter: request.charter_threshold });
            }
            if threshold == 0 || threshold > (n - 1) / 2 {
                return Err(PlanError::BadThreshold { threshold, n });
            }
            // Two sets of the same slot would need a member that signs both.
            if request.model == SecurityModel::Guaranteed {
                check_guaranteed(request, aggregator, threshold)?;
            }
            let mut needed = Plan::compute_needed(n, threshold);
            if request.model != SecurityModel::SemiHonest {
                // And so many that any two attempts share an honest one: a corrupted peer may sign two sets.
                needed = needed.max(2 * threshold + 1).max((n + threshold) / 2 + 1);
                if request.model == SecurityModel::Guaranteed {
                    // Who is away counts towards t.
                    needed = needed.max(n - threshold);
                }
            }
            if now < needed {
                return Err(PlanError::TooFewLeft { left: now, needed, n });
            }
            let needed = 2 * threshold + 1;
            if aggregator.function != aggregate::Function::Sum && now < needed {
                return Err(PlanError::TooFewForProducts { left: now, needed, name: aggregator.name });
            }
        }
        Sharing::Additive => {
            if !aggregator.additive || request.model != SecurityModel::SemiHonest {
                return Err(PlanError::SharingNotOffered { name: aggregator.name });
            }
            if now < n {
                return Err(PlanError::AdditiveWithLoss { left: now, n });
            }
        }
    }
    Ok(())
}

/// What the model `guaranteed` takes beyond t < n/2.
fn check_guaranteed(request: &PlanRequest, aggregator: &'static Aggregator, threshold: usize) -> Result<(), PlanError> {
    let n = request.charter_compute;
    if aggregator.function != aggregate::Function::Sum && n <= 4 * threshold {
        let (name, needed) = (aggregator.name, 4 * threshold + 1);
        return Err(PlanError::TooFewForGuaranteedProducts { n, needed, threshold, name });
    }
    if n <= 3 * threshold {
        return Err(PlanError::TooFewForGuaranteed { n, needed: 3 * threshold + 1, threshold });
    }
    if request.on_missing == OnMissing::Fail {
        return Err(PlanError::GuaranteedMustProceed);
    }
    // A set of parties is a number of 64 bits.
    if n > 64 {
        return Err(PlanError::TooManyForGuaranteed { n, dealers: request.inputs.len() + request.compute.len() });
    }
    // n-1 choose t hashes per dealer, in everybody's text, passed on by everybody.
    let held = (0..threshold).fold(1usize, |held, i| held.saturating_mul(n - 1 - i) / (i + 1));
    let dealers = request.inputs.len() + request.compute.len();
    let bytes = held.saturating_mul(33 * dealers).saturating_mul(n);
    if bytes > MAX_AGREEMENT { Err(PlanError::TooManyForGuaranteed { n, dealers }) } else { Ok(()) }
}

pub(super) fn check_shape(request: &PlanRequest) -> Result<(), PlanError> {
    if request.items == 0 {
        return Err(PlanError::NoItems);
    }
    check_length(request.items)?;
    if let Some(modulus) = request.modulus {
        if !is_prime(modulus) {
            return Err(PlanError::CompositeModulus { modulus });
        }
        if request.max_element >= modulus {
            return Err(PlanError::MaxElementAboveModulus { max_element: request.max_element, modulus });
        }
    }
    Ok(())
}

pub(super) fn check_length(items: usize) -> Result<(), PlanError> {
    if items > MAX_ITEMS { Err(PlanError::TooManyItems { items, limit: MAX_ITEMS }) } else { Ok(()) }
}
