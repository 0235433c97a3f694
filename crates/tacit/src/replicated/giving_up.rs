//! A lead that cannot be taken up, and when it is left to another gateway.

use std::time::Duration;

use tacit_audit::AuditError;
use tacit_gateway::GatewayError;
use tacit_store::StoreError;
use tokio::time::Instant;

use crate::output::{Code, Failure};

/// A lead that could not be taken up for so long is for another gateway, which Raft does not elect while this one is there.
const GIVE_UP: Duration = Duration::from_secs(5);

/// Since when a lead could not be taken up, try after try.
#[derive(Default)]
pub(super) struct Failing(Option<(u64, Instant)>);

impl Failing {
    /// One more try at this lead failed; whether that has gone on for too long.
    pub(super) fn again(&mut self, epoch: u64, failure: &Failure, now: Instant) -> bool {
        if unagreed(failure) {
            *self = Self::default();
            return false;
        }
        let since = match self.0 {
            Some((of, since)) if of == epoch => since,
            _ => now,
        };
        self.0 = Some((epoch, since));
        now.duration_since(since) >= GIVE_UP
    }
}

/// Whether the other gateways did not agree in time. Another leader would wait for the same ones, and there would be one
/// gateway less.
fn unagreed(failure: &Failure) -> bool {
    let of_the_gateway = || match failure.cause::<GatewayError>()? {
        GatewayError::Store(error) => Some(error),
        _ => None,
    };
    let of_the_log = || match failure.cause::<AuditError>()? {
        AuditError::Store(error) => Some(error),
        _ => None,
    };
    let error = failure.cause::<StoreError>().or_else(of_the_gateway).or_else(of_the_log);
    matches!(error, Some(StoreError::Replicas { .. }))
}

/// Whoever starts it again may do so at once: another one leads meanwhile.
pub(super) fn cannot_lead(why: &Failure) -> Failure {
    Failure::new(
        Code::Other,
        format!(
            "this gateway was elected and could not take up the lead for {} s: {why}. It ends, so that another one can \
             lead; mend that (if its database is damaged: docs/failover.md, a new key and a new list), and start it again",
            GIVE_UP.as_secs()
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn w1_a_lead_that_fails_again_and_again_is_given_up() {
        let own = || Failure::usage("the database is damaged");
        let others = || StoreError::Replicas { reason: "no majority".to_owned() };
        let begin = Instant::now();
        let mut failing = Failing::default();
        assert!(!failing.again(7, &own(), begin));
        assert!(!failing.again(7, &own(), begin + GIVE_UP - Duration::from_millis(200)));
        assert!(failing.again(7, &own(), begin + GIVE_UP));
        // Another lead begins anew.
        assert!(!failing.again(8, &own(), begin + GIVE_UP));
        assert!(failing.again(8, &own(), begin + GIVE_UP * 2));
        // What the others did not agree on is not this gateway's fault.
        let ways: [Failure; 3] =
            [others().into(), GatewayError::from(others()).into(), AuditError::Store(others()).into()];
        for way in ways {
            assert!(!failing.again(8, &way, begin + GIVE_UP * 3), "{way}");
            assert!(!failing.again(8, &own(), begin + GIVE_UP * 3));
            assert!(failing.again(8, &own(), begin + GIVE_UP * 4));
        }
    }
}
