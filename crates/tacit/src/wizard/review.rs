//! Looking through somebody's proposal: what equals one's own defaults is agreed on, what differs is asked.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tacit_accord::Charter;
use tacit_model::plain;

use super::{Wizard, say};
use crate::output::{Code, Failure};

/// Parameters that say which group it is. They are shown, and joining is the answer.
const IDENTITY: [&str; 6] = ["group", "name", "manager", "gateways", "owners", "test_mode"];

/// What somebody would set without thinking: the values of a new group.
pub(crate) fn own_defaults(charter: &Charter) -> BTreeMap<String, Value> {
    BTreeMap::from([
        ("threshold".to_owned(), json!(Charter::natural_threshold(charter.computing().count()))),
        ("quorum".to_owned(), json!(0)),
        ("sharing".to_owned(), json!("shamir")),
        ("slots/on_missing_input".to_owned(), json!("fail")),
        ("slots/deadline_ms".to_owned(), json!(300_000)),
        ("slots/slot_ms".to_owned(), json!(0)),
        ("configuration".to_owned(), Value::Null),
    ])
}

/// Goes through the parameters in order. The first that differs from one's defaults stops for a question;
/// `accepted` are values that were agreed to by a flag.
pub(crate) fn review(
    wizard: &mut Wizard,
    terms: &BTreeMap<String, Value>,
    defaults: &BTreeMap<String, Value>,
    accepted: &[(String, Value)],
    proposer: &str,
) -> Result<(), Failure> {
    for (name, value) in terms {
        let (shown, value_shown) = (plain(name), plain(&value.to_string()));
        if name.starts_with("members/") || IDENTITY.contains(&name.as_str()) {
            say(&format!("  {shown} = {value_shown} (proposed by {proposer})"))?;
            continue;
        }
        let default = defaults.get(name);
        if default == Some(value) {
            say(&format!("  {shown} = {value_shown} (proposed by {proposer}, equals your default: agreed)"))?;
            continue;
        }
        let yours = default.map_or("none".to_owned(), Value::to_string);
        let question = format!("ACCEPT {name} = {value}");
        if wizard.noted(&question) == Some("accept") || accepted.iter().any(|(n, v)| n == name && v == value) {
            say(&format!("  {shown} = {value_shown} (proposed by {proposer}, you accept it)"))?;
            continue;
        }
        say(&format!(
            "  {shown}: proposed {value_shown} by {proposer}, your default: {yours}; 'accept' or 'abort'? (default: 'accept')"
        ))?;
        if !wizard.asks() {
            return Err(Failure::new(
                Code::Refused,
                format!(
                    "{name} = {value} is not your default ({yours}), and nobody is there to ask: add --accept '{name}={value}' or look at the proposal"
                ),
            ));
        }
        match super::typed("response")?.as_str() {
            "" | "accept" => wizard.note(&question, "accept")?,
            "abort" => {
                return Err(Failure::new(
                    Code::Refused,
                    format!(
                        "you do not accept {name} = {value}; nothing was sent. An owner who wants another value says so \
                         with: tacit negotiation join INVITATION --set '{name}=VALUE'"
                    ),
                ));
            }
            other => {
                return Err(Failure::usage(format!(
                    "{other:?} is neither accept nor abort; run the command again to go on"
                )));
            }
        }
    }
    Ok(())
}
