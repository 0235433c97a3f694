//! What somebody is about to sign, shown before it is signed.

use std::collections::BTreeMap;

use serde_json::Value;
use tacit_accord::negotiation::{Resource, Wording, charter_part};
use tacit_model::api::{ContributionBody, NegotiationBody};
use tacit_model::{Clock, SystemClock};

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
            Resource::Charter => present_terms(seat, now).await?,
            Resource::Statement => BTreeMap::new(),
        };
        say(&format!("part {number}, {}:", part.id))?;
        let changes = changes(&before, &part.terms);
        changes.iter().try_for_each(|change| say(&format!("  {change}")))?;
        let same = part.terms.iter().filter(|(name, value)| before.get(*name) == Some(*value)).count();
        if part.resource == Resource::Charter {
            say(&format!("  {} changed, {same} as they are", changes.len()))?;
        }
    }
    say(&format!("In plain words: tacit negotiation explain {} --contribution {}", now.id, chosen.number))?;
    // Programs sign without a question, as before: they have chosen the contribution.
    if somebody_is_there(asking.ask, asking.yes) { answered("You would sign all of this") } else { Ok(()) }
}

/// The parameters of the charter in force.
async fn present_terms(seat: &Seat, now: &NegotiationBody) -> Result<BTreeMap<String, Value>, Failure> {
    let served = seat.client.negotiated_registry(&now.id).await?;
    let chain = checked_registry(&served, None, None)?;
    let current = chain.last().ok_or_else(|| refused("the group has no consensus"))?;
    Ok(charter_part(Some(current), current.charter(), SystemClock.now())?.terms)
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

    use super::*;

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
