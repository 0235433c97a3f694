//! Discovery of gateways: signed announcements by multicast DNS or from an address that one was told.
//!
//! ```text
//!   gateway ── _tacit._tcp, signed properties ──► everybody on the network
//!   peer    ── browse; bootstrap addresses ─────► Found ─► choose ─► dial what is pinned
//! ```
//!
//! Promise: an announcement that is returned was written by the holder of the key it names. It is a hint
//! and never trust: whoever uses one pins that key and has it compared, or knows it already.

mod announcement;
mod kept;
mod mdns;

pub use announcement::{API, Announcement, AnnouncementError, GatewayRole, Properties};
pub use mdns::{Found, Mdns, MdnsError, SERVICE, local_addresses};

use std::collections::BTreeSet;

use tacit_model::Fingerprint;

/// What a peer looks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wishes {
    /// Where it is itself, from the large to the small with dots between.
    pub location: String,
    /// What it has to give.
    pub sources: Vec<String>,
    /// Gateways it is paired with.
    pub trusted: BTreeSet<Fingerprint>,
}

/// The gateways that fit, best first: they speak this version and serve one of the peer's sources; one that
/// is trusted comes before strangers, a closer one before a distant one, a primary before a backup.
pub fn choose(mut found: Vec<Found>, wishes: &Wishes) -> Vec<Found> {
    found.retain(|one| fits(one, wishes));
    found.sort_by_key(|one| {
        let said = &one.announcement;
        let trusted = wishes.trusted.contains(&said.gateway);
        (!trusted, usize::MAX - said.closeness(&wishes.location), said.role, said.gateway)
    });
    found
}

/// Whether it speaks this version and serves one of the peer's sources.
fn fits(one: &Found, wishes: &Wishes) -> bool {
    one.announcement.api == API && one.announcement.serves(&wishes.sources)
}

#[cfg(test)]
mod tests {
    use super::announcement::tests::gateway;
    use super::*;

    #[test]
    fn f08_location_source_and_earlier_trust_decide() {
        let say = |name: &str, location: &str, sources: &[&str]| Found::new(gateway(name, location, sources).1, &[]);
        let near = say("near", "R.08.03", &["temperature"]);
        let far = say("far", "R.02", &["temperature"]);
        let other = say("other", "R.08.03.123", &["power"]);
        let mut backup = say("backup", "R.08.03", &["temperature"]);
        backup.announcement.role = GatewayRole::Backup;
        let mut newer = say("newer", "R.08.03", &["temperature"]);
        newer.announcement.api = API + 1;
        let all = vec![far.clone(), newer, backup.clone(), other, near.clone()];
        let mut wishes = Wishes {
            location: "R.08.03.123".to_owned(),
            sources: vec!["temperature".to_owned()],
            trusted: BTreeSet::new(),
        };
        assert_eq!(choose(all.clone(), &wishes), [near.clone(), backup.clone(), far.clone()]);
        wishes.trusted.insert(far.announcement.gateway);
        assert_eq!(choose(all, &wishes), [far, near, backup]);
        assert!(choose(Vec::new(), &wishes).is_empty());
    }
}
