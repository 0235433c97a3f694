//! `tacit group`: what the operator of a gateway does.

mod told;

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::json;
use tacit_engine::aggregate;
use tacit_model::api::{ConfigurationBody, Decimal, OnMissing, SharingKind, SlotBody, SlotRulesBody};
use tacit_model::{GroupId, RunId, Slot};

use super::{counted, group_number, print, print_all};
use crate::connection::Connection;
use crate::negotiating::Seat;
use crate::output::{Code, Failure};
use crate::wizard::{self, confirm, say};

/// As many slots as one answer holds.
const SHOWN: usize = 10_000;

/// Create, configure and run groups at a gateway.
#[derive(Args, Debug)]
#[command(after_help = "Example, from nothing to sums:\n  \
    tacit group create isps\n  \
    tacit group invite 1                         (once for each member; they run `tacit join CODE --gateway URL`)\n  \
    tacit pair approve alpha --fingerprint F     (F as alpha's operator reads it out)\n  \
    tacit group configure 1 --items 288 --max-element 1000000\n  \
    tacit group start 1\n  \
    tacit group slots 1\n\n\
    A mean and a spread instead, over records of two numbers:\n  \
    tacit group aggregators                      (all; `tacit group aggregators variance` only that)\n  \
    tacit group configure 1 --aggregator variance --items 2 --max-element 200 --parameter names=age,stay\n  \
    tacit group configure 1 --aggregator sum --items 24 --max-element 500 --parameter security_model=malicious\n\n\
    Alerts that count where enough of us see them, alpha's word three times:\n  \
    tacit group configure 1 --aggregator event_correlation --items 3 --max-element 100 --parameter names=scan,flood,worm \
    --parameter peer_weights=alpha=3 --parameter min_peer_weight=4")]
pub(crate) struct Group {
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
    /// Create a group; without a name, or with --invitations, with questions.
    Create(Create),
    /// All groups.
    List,
    /// One group with its members, codes and configuration.
    Show {
        /// The group's number.
        #[arg(value_parser = group_number)]
        group: i64,
    },
    /// Who is there, since when, where, and with what.
    Directory {
        /// The group's number.
        #[arg(value_parser = group_number)]
        group: i64,
    },
    /// Messages to all connected members and back, one after the other, and how long that took.
    Ping {
        /// The group's number.
        #[arg(value_parser = group_number)]
        group: i64,
        /// How many.
        #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1000))]
        messages: u32,
        /// Let the members' SMC providers answer, as far as their owners allow it (`pings` under `[provider]`).
        #[arg(long)]
        providers: bool,
    },
    /// Draw a one-time registration code.
    Invite {
        /// The group's number.
        #[arg(value_parser = group_number)]
        group: i64,
    },
    /// The registration codes that nobody has used yet.
    Codes {
        /// The group's number.
        #[arg(value_parser = group_number)]
        group: i64,
    },
    /// Take a registration code back that nobody has used yet: whoever has it gets in no more.
    Withdraw {
        /// The code, as `tacit group codes` shows it.
        code: String,
    },
    /// Remove a member.
    Remove {
        /// The member.
        name: String,
    },
    /// What can be computed, what each of them takes, what somebody learns by it, and an example.
    Aggregators {
        /// Only these.
        names: Vec<String>,
    },
    /// Set what the group computes, all of it: what is not given gets its default again.
    Configure(Configure),
    /// Set when slots close and what happens without an input, all of it: what is not given gets its default again.
    SlotRules {
        /// The group's number.
        #[arg(value_parser = group_number)]
        group: i64,
        /// wait, fail, or the least number of inputs to proceed with, at least 2.
        #[arg(long, value_parser = on_missing)]
        on_missing_input: OnMissing,
        /// Seconds from the first row of a slot to its close.
        #[arg(long, value_name = "SECONDS", default_value_t = 300, value_parser = clap::value_parser!(u32).range(1..=4_294_967))]
        deadline: u32,
        /// Length of a slot in minutes, where rows carry their time; with --first-slot.
        #[arg(long, value_name = "MINUTES", requires = "first_slot", value_parser = clap::value_parser!(u32).range(1..=71_582))]
        slot: Option<u32>,
        /// When the first slot of the next run begins, RFC 3339: then every row goes to the slot of its time, and a
        /// missing row shifts nothing. Without it rows are counted.
        #[arg(long, value_name = "TIME", requires = "slot")]
        first_slot: Option<String>,
    },
    /// Start all verified members.
    Start {
        /// The group's number.
        #[arg(value_parser = group_number)]
        group: i64,
    },
    /// Stop all members.
    Stop {
        /// The group's number.
        #[arg(value_parser = group_number)]
        group: i64,
    },
    /// The slots of a run.
    Slots {
        /// The group's number.
        #[arg(value_parser = group_number)]
        group: i64,
        /// The run; the last one by default.
        #[arg(long)]
        run: Option<i64>,
        /// Of a run with many slots, those from this one on. By default the last ones are shown.
        #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(i64).range(1..))]
        from: Option<i64>,
    },
    /// The signed documents that made the charter what it is.
    Consensus {
        /// The group's number.
        #[arg(value_parser = group_number)]
        group: i64,
    },
    /// Delete a group; a running one is stopped first.
    Delete {
        /// The group's number.
        #[arg(value_parser = group_number)]
        group: i64,
        /// Ask nothing.
        #[arg(long)]
        yes: bool,
    },
}

#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  \
    tacit group create isps                    one administrator decides\n  \
    tacit group create                         asks, and goes on where it was interrupted\n  \
    tacit group create isps --invitations 2    two others own it with you: send them the lines that are printed")]
struct Create {
    /// Its name, unique at the gateway.
    name: Option<String>,
    /// n-of-n additive sharing: protects against all but one, survives no loss.
    #[arg(long)]
    additive: bool,
    /// How many others own the group with you.
    #[arg(long)]
    invitations: Option<u32>,
    /// wait, fail, or the least number of inputs to proceed with, at least 2.
    #[arg(long)]
    on_missing_input: Option<String>,
    /// Seconds from the first row of a slot to its close.
    #[arg(long, value_name = "SECONDS")]
    deadline: Option<u32>,
    /// Ask, also where no terminal is.
    #[arg(long, conflicts_with = "yes")]
    ask: bool,
    /// Ask nothing: flags and defaults are the answers.
    #[arg(long)]
    yes: bool,
    /// Where it is remembered how far one is.
    #[arg(long, value_name = "FILE")]
    memory: Option<PathBuf>,
    /// The folder of your own key; the key is made when it is first needed.
    #[arg(long, value_name = "DIR", env = "TACIT_OWNER_KEYS", default_value = "keys")]
    keys: PathBuf,
    /// The name of your own key in that folder.
    #[arg(long = "as", value_name = "NAME", default_value = "owner")]
    owner: String,
}

impl Create {
    async fn run(self, client: tacit_client::Client, json: bool) -> Result<(), Failure> {
        let questions =
            self.ask || self.invitations.is_some() || self.on_missing_input.is_some() || self.deadline.is_some();
        if let (Some(name), false) = (&self.name, questions) {
            let sharing = if self.additive { SharingKind::Additive } else { SharingKind::Shamir };
            return print(json, &client.create_group(name, sharing).await?, |g| {
                format!("group {} ({}) is there", g.gid, g.name)
            });
        }
        let ask = wizard::somebody_is_there(self.ask, self.yes);
        if self.name.is_none() && !ask && !self.yes {
            return Err(Failure::usage("nobody is there to ask: name the group, or add --yes to take the defaults"));
        }
        let given = wizard::create::Given {
            name: self.name,
            sharing: self.additive.then(|| "additive".to_owned()),
            on_missing_input: self.on_missing_input,
            deadline: self.deadline,
            invitations: self.invitations,
        };
        let seat = Seat::new(client, &self.keys, &self.owner, true)?;
        let memory = wizard::Wizard::open(wizard::create::memory(self.memory), ask)?;
        wizard::create::run(memory, seat, given).await
    }
}

/// What a configuration says unless somebody wants it otherwise.
pub(crate) mod usual {
    /// 2^61 - 1.
    pub(crate) const FIELD: u64 = (1 << 61) - 1;
    pub(crate) const AGGREGATOR: &str = "sum";
    /// Until stopped.
    pub(crate) const SLOTS: i32 = -1;
    pub(crate) const RESULT_BUFFER_SIZE: u32 = 1;
}

#[derive(Args, Debug)]
struct Configure {
    /// The group's number.
    #[arg(value_parser = group_number)]
    group: i64,
    /// Length of each input vector; for statistics, numbers of one record.
    #[arg(long)]
    items: u32,
    /// Largest value of an input, inclusive.
    #[arg(long)]
    max_element: u64,
    /// Declared modulus of results, a prime.
    #[arg(long, default_value_t = usual::FIELD)]
    field: u64,
    /// The aggregator: see `tacit group aggregators`.
    #[arg(long, default_value = usual::AGGREGATOR)]
    aggregator: String,
    /// A setting of the aggregator; may be given several times.
    #[arg(long, value_name = "NAME=VALUE", value_parser = parameter)]
    parameter: Vec<(String, String)>,
    /// How many slots a run has; -1 until stopped.
    #[arg(long, default_value_t = usual::SLOTS, allow_hyphen_values = true)]
    slots: i32,
    /// How many results are posted together.
    #[arg(long, default_value_t = usual::RESULT_BUFFER_SIZE)]
    result_buffer_size: u32,
}

impl Group {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let json = self.json;
        if let Action::Aggregators { names } = &self.action {
            // The program knows them; no gateway is asked.
            return aggregators(names, json);
        }
        let client = self.connection.client()?;
        match self.action {
            Action::Aggregators { names } => aggregators(&names, json),
            Action::Create(create) => create.run(client, json).await,
            Action::List => {
                let none = "no group yet: `tacit group create` makes one";
                print_all(json, &client.groups().await?, none, told::in_a_line)
            }
            Action::Show { group } => print(json, &client.group(GroupId(group)).await?, told::describe),
            Action::Invite { group } => print(json, &client.invite(GroupId(group)).await?, Clone::clone),
            Action::Codes { group } => {
                let codes = client.group(GroupId(group)).await?.codes;
                let refused = "codes are invitations: they are shown to operators of the group only";
                let codes = codes.ok_or_else(|| Failure::new(Code::Refused, refused))?;
                print_all(json, &codes, "no open code: `tacit group invite` draws one", Clone::clone)
            }
            Action::Withdraw { code } => {
                client.withdraw_code(&code).await?;
                print(json, &code, |code| format!("{code} lets nobody in any more"))
            }
            Action::Remove { name } => {
                client.delete_member(&name).await?;
                print(json, &name, |n| format!("{n} is removed"))
            }
            Action::Configure(c) => {
                let mut parameters = BTreeMap::new();
                for (name, value) in c.parameter {
                    if parameters.insert(name.clone(), value).is_some() {
                        return Err(Failure::usage(format!("--parameter {name} is given twice")));
                    }
                }
                let body = ConfigurationBody {
                    field: c.field.into(),
                    max_element: Decimal::from(c.max_element),
                    aggregator: c.aggregator,
                    items: c.items,
                    time_slots: c.slots,
                    result_buffer_size: c.result_buffer_size,
                    parameters,
                };
                let configured = client.configure(GroupId(c.group), &body).await?;
                print(json, &configured, told::describe)?;
                // A message nobody reads stops nothing.
                if let Some(note) = told::in_a_run(&configured) {
                    drop(say(&note));
                }
                Ok(())
            }
            Action::SlotRules { group, on_missing_input, deadline, slot, first_slot } => {
                let deadline_ms = deadline.saturating_mul(1000);
                let slot_ms = slot.unwrap_or(0).saturating_mul(60_000);
                let body = SlotRulesBody { on_missing_input, deadline_ms, slot_ms, first_slot };
                print(json, &client.set_slot_rules(GroupId(group), &body).await?, told::describe)
            }
            Action::Start { group } => {
                let started = client.start_group(GroupId(group)).await?;
                // They are started, whether or not the group can be read now.
                let now = if json { None } else { client.group(GroupId(group)).await.ok() };
                let out = now.map(|now| told::left_out(&now.members)).unwrap_or_default();
                print(json, &started, |n| match n {
                    0 => format!(
                        "0 members started: those that run already, are not connected or not verified are left out; see \
                         `tacit group show {group}`"
                    ),
                    n => format!("{} started{out}", counted(*n, "member")),
                })
            }
            Action::Stop { group } => {
                client.stop_group(GroupId(group)).await?;
                print(json, &group, |g| format!("group {g} is stopped"))
            }
            Action::Directory { group } => {
                let none = "no member yet: `tacit pair list` shows who waits to be let in";
                print_all(json, &client.directory(GroupId(group)).await?, none, told::listed)
            }
            Action::Ping { group, messages, providers } => {
                let ping = client.ping(GroupId(group), messages, providers).await?;
                let told = told::ponged(group, &ping, messages, providers);
                print(json, &ping, |_| told.as_ref().map_or_else(|_| String::new(), Clone::clone))?;
                told.map(drop)
            }
            Action::Slots { group, run, from } => {
                let runs = client.runs(GroupId(group)).await?;
                let run = match run.map(RunId).or_else(|| runs.first().map(|r| r.run)) {
                    Some(run) => run,
                    None => return print_all::<SlotBody>(json, &[], "the group has not run yet", told::slot),
                };
                let slots = client.slots(GroupId(group), run, from.map(|from| Slot(from - 1))).await?;
                let first = slots.first().map(|slot| slot.slot.0).filter(|first| *first > 0 && from.is_none());
                print_all(json, &slots, &format!("no such slot of run {run} yet"), told::slot)?;
                let last = slots.last().map(|slot| slot.slot.counted()).filter(|_| from.is_some());
                match (first, last) {
                    (Some(first), _) => {
                        say(&format!("note: slots up to {first} are not shown; --from 1 begins with the first"))
                    }
                    (None, Some(last)) if slots.len() >= SHOWN => {
                        say(&format!("note: there may be more; --from {} shows them", last + 1))
                    }
                    _ => Ok(()),
                }
            }
            Action::Consensus { group } => {
                print(json, &client.consensus(GroupId(group)).await?, |documents| documents.join("\n"))
            }
            Action::Delete { group, yes } => {
                if let Some(lost) = told::lost_with(&client.group(GroupId(group)).await?) {
                    confirm(&lost, yes)?;
                }
                client.delete_group(GroupId(group)).await?;
                print(json, &group, |g| format!("group {g} is deleted"))
            }
        }
    }
}

fn aggregators(names: &[String], json: bool) -> Result<(), Failure> {
    let found = |name: &String| {
        let unknown = || format!("there is no aggregator {name:?}: choose one of {}", aggregate::names());
        aggregate::find(name).ok_or_else(|| Failure::usage(unknown()))
    };
    let chosen: Vec<_> = match names {
        [] => aggregate::registry().iter().collect(),
        names => names.iter().map(found).collect::<Result<_, _>>()?,
    };
    let described: Vec<_> = chosen
        .iter()
        .map(|a| {
            let parameters: BTreeMap<_, _> = a.parameters.iter().map(|p| (p.name, p.meaning)).collect();
            let models: Vec<_> = a.models.iter().map(|m| m.name()).collect();
            json!({
                "name": a.name, "aliases": a.aliases, "version": a.version, "summary": a.summary,
                "input": a.input.describe(), "output": a.output.describe(), "parameters": parameters,
                "models": models, "additive_sharing": a.additive, "leakage": a.leakage, "accuracy": a.accuracy,
                "refusals": a.refusals, "example": aggregate::Example::of(a).to_string(),
            })
        })
        .collect();
    print(json, &described, |_| aggregate::listing(chosen).trim_end().to_owned())
}

fn parameter(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("a parameter is NAME=VALUE, such as edges=0,10,20")?;
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}

/// What to do without an input, as people say it.
pub(crate) fn on_missing(text: &str) -> Result<OnMissing, String> {
    match text {
        "wait" => Ok(OnMissing::Wait),
        "fail" => Ok(OnMissing::Fail),
        number => number.parse::<u32>().ok().filter(|least| *least >= 2).map(OnMissing::Proceed).ok_or_else(|| {
            format!("this is wait, fail, or the least number of inputs to go on with, at least 2, not {number:?}")
        }),
    }
}
