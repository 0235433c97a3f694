use serde::{Deserialize, Serialize};

use crate::{Charter, MemberRole, OnMissingInput};

/// What one actor does under a charter, in words that stand in the signed text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Duty {
    /// Who: a member's name, `gateway` or `owners`.
    pub actor: String,
    /// As what.
    pub role: String,
    /// Where others reach it; empty if it only dials.
    pub endpoint: String,
    /// What it takes.
    pub inputs: String,
    /// What it gives.
    pub outputs: String,
    /// Within which bounds.
    pub limits: String,
}

/// The duties of everybody under a charter. They follow from its parameters, so two readers find the same.
pub fn duties(charter: &Charter) -> Vec<Duty> {
    // Parameters have no order, so members come by name.
    let mut charter = charter.clone();
    charter.members.sort_by(|a, b| a.name.cmp(&b.name));
    let charter = &charter;
    let limits = limits(charter);
    let learners = learners(charter);
    let givers = charter.inputs().count();
    let mut duties = vec![
        Duty {
            actor: "owners".to_owned(),
            role: match charter.owners.len() {
                0 => "none: the manager of the gateway decides alone".to_owned(),
                n if charter.quorum == 0 => format!("{n} keys, all of which decide together"),
                n => format!("{n} keys, any {} of which decide", charter.quorum),
            },
            endpoint: String::new(),
            inputs: "proposals".to_owned(),
            outputs: "signatures under the next charter".to_owned(),
            limits: "no change of this charter without them".to_owned(),
        },
        Duty {
            actor: "gateway".to_owned(),
            role: "orchestrates".to_owned(),
            endpoint: String::new(),
            inputs: "names, states and counts; never data, shares or results".to_owned(),
            outputs: "when a slot is computed, and by which of the members listed here".to_owned(),
            limits: "cannot add a member or lower the threshold".to_owned(),
        },
    ];
    duties.extend(charter.members.iter().map(|member| {
        let computes = format!("shares from {givers} members");
        let (role, inputs, outputs) = match member.role {
            MemberRole::Input => ("gives data", "its own rows".to_owned(), "shares to the computing members"),
            MemberRole::Privacy => ("computes on shares", computes, "shares of the result"),
            MemberRole::Both => (
                "gives data and computes on shares",
                format!("its own rows; {computes}"),
                "shares to the computing members; shares of the result",
            ),
            MemberRole::Recipient => {
                ("learns results and nothing else", "shares of the result".to_owned(), "the result, to its own outbox")
            }
        };
        Duty {
            actor: member.name.clone(),
            role: format!("{role}, run by {}", member.operator),
            endpoint: member.endpoint.clone(),
            inputs,
            outputs: format!("{outputs}; results are learned by: {learners}"),
            limits: limits.clone(),
        }
    }));
    duties
}

/// Longer lists of names, in bytes, are not repeated with every member: a text would grow with the square of its members.
const LISTED: usize = 1000;

fn learners(charter: &Charter) -> String {
    let names: Vec<&str> = charter.recipients().map(|m| m.name.as_str()).collect();
    let listed = names.join(", ");
    let apart = charter.members.iter().any(|m| m.role == MemberRole::Recipient);
    match (listed.len() > LISTED, apart) {
        (false, _) => listed,
        (true, true) => format!("all {} recipients", names.len()),
        (true, false) => format!("all {} members that give data", names.len()),
    }
}

fn limits(charter: &Charter) -> String {
    let slots = match charter.slots.on_missing_input {
        OnMissingInput::Wait => "a slot waits for a missing input".to_owned(),
        OnMissingInput::Fail => "a slot fails without an input".to_owned(),
        OnMissingInput::Proceed(least) => format!("a slot goes on with at least {least} inputs"),
    };
    let deadline = format!("{slots}, {} s after its first row", f64::from(charter.slots.deadline_ms) / 1000.0);
    let work = match &charter.configuration {
        None => "nothing is computed yet".to_owned(),
        Some(c) => {
            let count = if c.time_slots < 0 { "until stopped".to_owned() } else { format!("{} slots", c.time_slots) };
            format!("{} of {} values from 0 to {} per row, {count}", c.aggregator, c.items, c.max_element)
        }
    };
    let protects = format!("up to {} corrupted operators learn nothing", charter.threshold);
    format!("{work}; {deadline}; {protects}")
}
