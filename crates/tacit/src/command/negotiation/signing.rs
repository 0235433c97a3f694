//! What somebody is about to sign, shown before it is signed.

use std::collections::BTreeMap;

use serde_json::Value;
use tacit_accord::Consensus;
use tacit_accord::negotiation::{Part, Resource, Wording, charter_part};
use tacit_model::api::{ContributionBody, NegotiationBody};
use tacit_model::{Clock, SystemClock, plain};

use crate::negotiating::{Seat, checked_registry, refused, short_key};
use crate::output::Failure;
use crate::wizard::{answered, say, somebody_is_there};

/// How somebody is asked.
#[derive(Clone, Copy)]
pub(super) struct Asking {
    /// Also where no terminal is.
    pub(super) ask: bool,
    /// Not at all.
    pub(super) yes: bool,
}

/// Shows what a text changes, and asks whether that is meant where somebody is there to ask.
pub(super) async fn agree(
    seat: &Seat,
    now: &NegotiationBody,
    chosen: &ContributionBody,
    text: &Wording,
    asking: Asking,
) -> Result<(), Failure> {
    say(&format!("{}: contribution {} by {}", now.title, chosen.number, short_key(&chosen.signer)))?;
    for (number, part) in (1..).zip(&text.parts) {
        let before = match part.resource {
            Resource::Charter => present_terms(seat, now, part).await?,
            Resource::Statement => BTreeMap::new(),
        };
        say(&format!("part {number}, {}:", plain(&part.id)))?;
        let changes = changes(&before, &part.terms);
        changes.iter().try_for_each(|change| say(&format!("  {}", plain(change))))?;
        let same = part.terms.iter().filter(|(name, value)| before.get(*name) == Some(*value)).count();
        if part.resource == Resource::Charter {
            say(&format!("  {} changed, {same} as they are", changes.len()))?;
        }
    }
    say(&format!("In plain words: tacit negotiation explain {} --contribution {}", now.id, chosen.number))?;
    // Programs sign without a question, as before: they have chosen the contribution.
    if somebody_is_there(asking.ask, asking.yes) { answered("You would sign all of this") } else { Ok(()) }
}

/// The parameters of the charter in force, which is the one that the part follows: else what is shown as unchanged may be
/// what somebody changed since.
async fn present_terms(seat: &Seat, now: &NegotiationBody, part: &Part) -> Result<BTreeMap<String, Value>, Failure> {
    let served = seat.client.negotiated_registry(&now.id).await?;
    let chain = checked_registry(&served, None, None)?;
    let current = chain.last().ok_or_else(|| refused("the group has no consensus"))?;
    follows(part, current)?;
    Ok(charter_part(Some(current), current.charter(), SystemClock.now())?.terms)
}

fn follows(part: &Part, current: &Consensus) -> Result<(), Failure> {
    let place = (current.charter().group.to_string(), Some(current.id()), Some(current.text().sequence + 1));
    if (&part.id, part.on_last_consensus, part.sequence) == (&place.0, place.1, place.2) {
        return Ok(());
    }
    Err(refused(format!(
        "the text follows another consensus than the last one that the gateway shows, {}: somebody else decided since it was \
         written, or the gateway holds something back",
        current.id()
    )))
}

/// Each parameter that is otherwise: `threshold: 1 -> 2`.
fn changes(before: &BTreeMap<String, Value>, after: &BTreeMap<String, Value>) -> Vec<String> {
    let mut all = Vec::new();
    for (name, value) in after {
        match before.get(name) {
            Some(old) if old == value => {}
            Some(old) => all.push(format!("{name}: {old} -> {value}")),
            None => all.push(format!("{name}: {value} (new)")),
        }
    }
    let gone = before.iter().filter(|(name, _)| !after.contains_key(*name));
    all.extend(gone.map(|(name, old)| format!("{name}: {old} -> (gone)")));
    all
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tacit_accord::{Charter, Proposal, decide};
    use tacit_model::{GroupId, UnixMillis};
    use tacit_pki::Identity;

    use super::*;

    /// A gateway that shows a consensus before the last one as the last would hide what the text takes back.
    #[test]
    fn what_is_signed_follows_the_consensus_that_is_shown() {
        let at = SystemClock.now().to_date_time().expect("a date");
        let manager = Identity::generate("manager", at).expect("a key");
        let decided = |before: Option<&Consensus>, charter: Charter| {
            let proposal = Proposal::new(before, charter, UnixMillis(0)).expect("a text").sign(&manager);
            decide(before, proposal).expect("the manager's")
        };
        let gateways = vec![manager.fingerprint()];
        let charter = Charter { gateways, ..Charter::new(GroupId(1), "g", manager.public_key().to_base64()) };
        let first = decided(None, charter.clone());
        let changed = Charter { test_mode: true, ..charter.clone() };
        let second = decided(Some(&first), changed.clone());
        let part = |before: &Consensus| charter_part(Some(before), &changed, UnixMillis(0)).expect("a part");
        assert!(follows(&part(&first), &first).is_ok() && follows(&part(&second), &second).is_ok());
        for wrong in [part(&second), Part { id: "2".to_owned(), ..part(&first) }] {
            let refused = follows(&wrong, &first).expect_err("another one").to_string();
            assert!(refused.contains("holds something back"), "{refused}");
        }
    }

    #[test]
    fn what_changes_is_named_and_the_rest_is_not() {
        let terms = |pairs: &[(&str, Value)]| -> BTreeMap<String, Value> {
            pairs.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
        };
        let before = terms(&[("a", json!(1)), ("b", json!("x")), ("c", json!(null))]);
        let after = terms(&[("a", json!(2)), ("b", json!("x")), ("d", json!([1]))]);
        assert_eq!(changes(&before, &after), ["a: 1 -> 2", "d: [1] (new)", "c: null -> (gone)"]);
        assert!(changes(&before, &before).is_empty());
    }
}
