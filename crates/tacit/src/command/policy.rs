//! `tacit policy`: what a peer is willing to take part in, and what its owner is asked.

use clap::{Args, Subcommand};
use serde_json::Value;
use tacit_model::api::{ApprovalBody, PeerPolicy, PolicyBody};

use super::{print, print_all};
use crate::connection::Connection;
use crate::output::Failure;

/// Decide what the peers of a node take part in, also while they run.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  \
    tacit policy show alpha\n  \
    tacit policy set alpha purposes=HVAC,energy min_participants=5 tell_gateway=false\n  \
    tacit policy set alpha manual_approval=true        then the owner is asked for each task:\n  \
    tacit policy approvals alpha\n  \
    tacit policy approve alpha 0f3c5a0e9b6d4c2f8a7e6d5c4b3a2918\n  \
    tacit policy set alpha epsilon_budgets=temperature=2.5    then temperature is given to noisy aggregators only\n  \
    tacit policy reset alpha                           back to what node.toml says")]
pub(crate) struct Policy {
    #[command(subcommand)]
    action: Action,
    #[command(flatten)]
    connection: Connection,
    /// Print JSON.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Subcommand, Debug)]
enum Action {
    /// The rules in force.
    Show {
        /// The peer.
        name: String,
    },
    /// Change rules; the others stay. Each change is in the node's audit log.
    Set {
        /// The peer.
        name: String,
        /// RULE=VALUE, of the rules that `tacit policy show` lists; lists with commas between their entries, an empty list allows all (verified, parents, branch: nobody).
        #[arg(required = true, value_name = "RULE=VALUE")]
        rules: Vec<String>,
    },
    /// Go back to the rules of node.toml.
    Reset {
        /// The peer.
        name: String,
    },
    /// Tasks that the owner is or was asked about, the latest first.
    Approvals {
        /// The peer.
        name: String,
    },
    /// Take part in a task.
    Approve {
        /// The peer.
        name: String,
        /// The task's id.
        task: String,
    },
    /// Do not take part in a task.
    Refuse {
        /// The peer.
        name: String,
        /// The task's id.
        task: String,
    },
}

impl Policy {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let client = self.connection.client()?;
        let json = self.json;
        match self.action {
            Action::Show { name } => print(json, &client.policy(&name).await?, describe),
            Action::Set { name, rules } => {
                let policy = changed(client.policy(&name).await?.policy, &rules)?;
                print(json, &client.set_policy(&name, &policy).await?, describe)
            }
            Action::Reset { name } => print(json, &client.reset_policy(&name).await?, describe),
            Action::Approvals { name } => {
                let none = format!("{name} has had no task to ask its owner about yet");
                print_all(json, &client.approvals(&name).await?, &none, line)
            }
            Action::Approve { name, task } => print(json, &client.decide_approval(&name, &task, true).await?, line),
            Action::Refuse { name, task } => print(json, &client.decide_approval(&name, &task, false).await?, line),
        }
    }
}

/// The policy with some rules changed. What kind of value a rule has, the policy itself says.
fn changed(policy: PeerPolicy, rules: &[String]) -> Result<PeerPolicy, Failure> {
    let mut table = serde_json::to_value(policy)?;
    for rule in rules {
        let (name, text) =
            rule.split_once('=').ok_or_else(|| Failure::usage("a rule is RULE=VALUE, such as min_participants=5"))?;
        let known = table.get(name).ok_or_else(|| {
            Failure::usage(format!("there is no rule {name:?}; `tacit policy show NAME` lists all rules"))
        })?;
        let wrong = |wanted: &str| Failure::usage(format!("{name} is {wanted}, such as {known}"));
        let value = match known {
            Value::Bool(_) => Value::Bool(text.parse().map_err(|_| wanted_bool(name))?),
            Value::Number(_) => Value::from(text.parse::<u64>().map_err(|_| wrong("a whole number"))?),
            _ => text.split(',').map(str::trim).filter(|entry| !entry.is_empty()).collect(),
        };
        table[name] = value;
    }
    serde_json::from_value(table).map_err(|e| Failure::usage(format!("a rule has a value that it cannot have: {e}")))
}

fn wanted_bool(name: &str) -> Failure {
    Failure::usage(format!("{name} is true or false"))
}

fn describe(body: &PolicyBody) -> String {
    let mut text = match body.own {
        true => "set while the peer ran:".to_owned(),
        false => "from node.toml:".to_owned(),
    };
    if let Ok(Value::Object(table)) = serde_json::to_value(&body.policy) {
        for (name, value) in table {
            let value = match value {
                Value::Array(list) if list.is_empty() => "(all)".to_owned(),
                Value::Array(list) => list.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(","),
                other => other.to_string(),
            };
            let value = match name.as_str() {
                "verified" | "parents" | "branch" if value == "(all)" => "(nobody)".to_owned(),
                "epsilon_budgets" | "delta_budgets" | "ranges" if value == "(all)" => "(no bound)".to_owned(),
                // A bare 0 reads as no task at all.
                "tasks_per_minute" | "tasks_per_day" if value == "0" => "0 (no bound)".to_owned(),
                _ => value,
            };
            text.push_str(&format!("\n  {name:<20} {value}"));
        }
    }
    for spent in &body.spent {
        let (series, epsilon, delta, results) = (&spent.source, &spent.epsilon, &spent.delta, spent.results);
        text.push_str(&format!("\nspent of {series}: epsilon {epsilon}, delta {delta}, for {results} results"));
    }
    text
}

fn line(asked: &ApprovalBody) -> String {
    let client = asked.client.map_or_else(|| "a client without signature".to_owned(), |client| client.to_string());
    let request = &asked.request;
    let above = match &request.parent {
        None => "",
        Some(above) if above.task.tell_gateway => {
            " as a branch's part of a task of the group above, whose gateway is told the result of all branches"
        }
        Some(_) => {
            " as a branch's part of a task of the group above, whose recipients learn the result of all branches"
        }
    };
    format!(
        "{}  {:<9} {} of {} ({}) for {}{above}, asked by {client} at {}",
        asked.task,
        asked.state,
        request.aggregator,
        request.sources.join(","),
        request.preselector,
        request.purpose,
        asked.asked
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_that_bounds_nothing_says_so() {
        let policy = PeerPolicy { tasks_per_minute: 0, tasks_per_day: 5, ..PeerPolicy::default() };
        let told = describe(&PolicyBody { policy, own: true, spent: Vec::new() });
        assert!(told.contains("\n  tasks_per_minute     0 (no bound)\n"), "{told}");
        assert!(told.contains("\n  tasks_per_day        5\n"), "{told}");
    }

    #[test]
    fn rules_are_read_by_their_kind() {
        let rules = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let texts = rules(&["purposes=HVAC, energy", "min_participants=5", "manual_approval=true", "sources="]);
        let Ok(policy) = changed(PeerPolicy::default(), &texts) else { panic!("rules that can be read") };
        let expected = PeerPolicy {
            purposes: vec!["HVAC".to_owned(), "energy".to_owned()],
            min_participants: 5,
            manual_approval: true,
            ..PeerPolicy::default()
        };
        assert_eq!(policy, expected);
        for wrong in ["nonsense", "no_rule=1", "min_inputs=-1", "tasks=maybe", "clients=somebody"] {
            assert!(changed(PeerPolicy::default(), &rules(&[wrong])).is_err(), "{wrong}");
        }
    }
}
