//! What this party shares with each member of a session, from the key exchange of their link.

use tacit_engine::Plan;
use tacit_link::{LinkError, SessionPort};
use tacit_pki::random;
use zeroize::Zeroizing;

use crate::drive::Seats;

/// By member. Taken while all links are there: a link that is lost later gives none any more.
pub struct PairSecrets(Vec<Option<Zeroizing<[u8; 32]>>>);

impl PairSecrets {
    /// Those of a session; [`LinkError::NotLinked`] names a member whose link is lost. Shares follow from a secret, so without it
    /// there is no session.
    pub fn of(plan: &Plan, port: &SessionPort, seats: &Seats) -> Result<Self, LinkError> {
        let secret = |member: usize| match seats.port_of(member) {
            Some(place) => port.pair_secret(place).map(Some).map_err(|_| LinkError::NotLinked(plan.members()[member])),
            None => Ok(None),
        };
        (0..plan.members().len()).map(secret).collect::<Result<_, _>>().map(Self)
    }

    /// The secret with a member. With whom there is no link none is shared, and nothing that somebody could guess stands in for it.
    pub(crate) fn with(&self, member: usize) -> [u8; 32] {
        let known = self.0.get(member).and_then(Option::as_deref);
        known.copied().unwrap_or_else(|| {
            let mut nobodys = [0; 32];
            random::fill(&mut nobodys).expect("the operating system's random generator works");
            nobodys
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rule4_no_secret_that_is_not_there_can_be_guessed() {
        let secrets = PairSecrets(vec![None, Some(Zeroizing::new([7; 32]))]);
        assert_eq!(secrets.with(1), [7; 32]);
        for member in [0, 2] {
            assert_ne!(secrets.with(member), [0; 32]);
            assert_ne!(secrets.with(member), secrets.with(member));
        }
    }
}
