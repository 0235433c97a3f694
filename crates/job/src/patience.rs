//! How long a session may take: for the peers that compute it, and for the gateway that waits for their word.

use std::time::Duration;

use tacit_engine::Plan;

/// After the deadline of a session, each further wait, or each later step of a synchronous protocol, may take so long.
pub const GRACE: Duration = Duration::from_secs(2);

/// After so long a peer gives up whoever it waits for. Long vectors among many take longer than `base`.
pub fn session_deadline(base: Duration, plan: &Plan) -> Duration {
    let numbers = plan.items().saturating_mul(plan.members().len());
    let sharing = u64::try_from(numbers).unwrap_or(u64::MAX).saturating_mul(5);
    let forecast = plan.forecast();
    let from_inputs = forecast.input_bytes.saturating_mul(plan.inputs().len() as u64);
    let all = from_inputs.saturating_add(forecast.compute_bytes.saturating_mul(plan.compute().len() as u64));
    // A busy machine may take twenty times what is foreseen, a slow network ten megabytes a second.
    let micros = sharing.saturating_add(forecast.micros.saturating_mul(20)).saturating_add(all / 10);
    base + Duration::from_micros(micros.min(3_600_000_000))
}

/// So long a gateway waits for what the peers report: their deadline, and what may still be waited for after it. By what its
/// `base` is above theirs, waits and reports may be late.
pub fn session_limit(base: Duration, plan: &Plan) -> Duration {
    session_deadline(base, plan) + GRACE * plan.steps()
}

#[cfg(test)]
mod tests {
    use tacit_engine::{OnMissing, PlanRequest, SecurityModel, Sharing};
    use tacit_model::{Attempt, Fingerprint, SessionId, Slot};

    use super::*;

    const PEERS: Duration = Duration::from_secs(30);
    const GATEWAY: Duration = Duration::from_secs(60);

    fn sum(members: u8, items: usize, model: SecurityModel) -> Plan {
        let all: Vec<usize> = (0..usize::from(members)).collect();
        let request = PlanRequest {
            session: SessionId([0; 16]),
            attempt: Attempt(0),
            slot: Slot(0),
            charter: [0; 32],
            task: [0; 32],
            aggregator: "sum".to_owned(),
            aggregator_version: 1,
            parameters: [("bounds".to_owned(), "declared".to_owned())]
                .into_iter()
                .filter(|_| model == SecurityModel::SemiHonest)
                .collect(),
            sharing: Sharing::Shamir { threshold: 1 },
            charter_threshold: 1,
            charter_compute: all.len(),
            model,
            items,
            max_element: 10,
            modulus: None,
            members: (0..members).map(|member| Fingerprint([member; 32])).collect(),
            inputs: all.clone(),
            compute: all.clone(),
            recipients: all,
            on_missing: OnMissing::Proceed { min: 2 },
        };
        Plan::build(request).expect("a plan")
    }

    /// A gateway that ended earlier told of no result where the peers had one.
    #[test]
    fn f13_a_gateway_waits_longer_than_its_peers_do() {
        let long = sum(11, 1_000_000, SecurityModel::SemiHonest);
        assert!(session_deadline(PEERS, &long) > GATEWAY);
        let guaranteed = sum(4, 1, SecurityModel::Guaranteed);
        for plan in [sum(3, 1, SecurityModel::SemiHonest), long, guaranteed] {
            let last = session_deadline(PEERS, &plan) + GRACE * plan.steps();
            assert!(session_limit(GATEWAY, &plan) >= last + (GATEWAY - PEERS));
        }
        // Keys, the coin, answers, the freeze and more: whoever is silent is waited for at each.
        assert!(sum(4, 1, SecurityModel::Guaranteed).steps() > 5);
        assert_eq!(sum(3, 1, SecurityModel::SemiHonest).steps(), 0);
    }
}
