//! `tacit group create` with questions: a group of one administrator, or one whose owners decide together.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::json;
use tacit_accord::negotiation::{Wording, charter_of};
use tacit_model::api::{NegotiationBody, OnMissing, SharingKind, SlotRulesBody};
use tacit_model::{Clock, GroupId, SystemClock};
use tokio::time::sleep;

use super::{Question, Wizard, say, tell};
use crate::negotiating::{Seat, agreement_of, charter_wording, checked_registry, refused, registry_url, with_charter};
use crate::output::Failure;

/// Pause between two looks at a negotiation.
const LOOK: Duration = Duration::from_millis(300);
/// How long a negotiation of the wizard stays open.
const DAYS: i64 = 30;

/// Answers that were given as flags.
#[derive(Debug, Default)]
pub(crate) struct Given {
    pub(crate) name: Option<String>,
    pub(crate) sharing: Option<String>,
    pub(crate) on_missing_input: Option<String>,
    pub(crate) deadline: Option<u32>,
    pub(crate) invitations: Option<u32>,
}

/// Where it is remembered how far one is.
pub(crate) fn memory(given: Option<PathBuf>) -> PathBuf {
    given.unwrap_or_else(|| PathBuf::from("tacit-group.json"))
}

/// Runs the questions, the negotiation and the take-over, from wherever they were.
pub(crate) async fn run(mut wizard: Wizard, seat: Seat, given: Given) -> Result<(), Failure> {
    let by = "this program";
    let ask = |wizard: &mut Wizard, name, title, default: &str, choices: &[&str], flag| {
        wizard.ask(&Question { name, title, default, by, choices }, flag)
    };
    let name = ask(&mut wizard, "GROUP_NAME", "How the group is called", "group", &[], given.name)?;
    let sharing =
        ask(&mut wizard, "SHARING", "How inputs become shares", "shamir", &["shamir", "additive"], given.sharing)?;
    let number: fn(&str) -> Result<(), Failure> = |text| whole(text).map(drop);
    let checked = |wizard: &mut Wizard, name, title, default: &str, flag, check: fn(&str) -> Result<(), Failure>| {
        wizard.ask_checked(&Question { name, title, default, by, choices: &[] }, flag, check)
    };
    let missing = checked(
        &mut wizard,
        "ON_MISSING_INPUT",
        "What happens to a slot without an input: wait, fail, or the least number of inputs to go on with",
        "fail",
        given.on_missing_input,
        |text| missing_input(text).map(drop),
    )?;
    let seconds = given.deadline.map(|seconds| seconds.to_string());
    let deadline =
        checked(&mut wizard, "DEADLINE", "Seconds from the first row of a slot to its close", "300", seconds, number)?;
    let others = given.invitations.map(|number| number.to_string());
    let invited = checked(
        &mut wizard,
        "INVITATIONS",
        "How many others own the group with you; 0: you decide alone, with the manager key of this gateway",
        "0",
        others,
        number,
    )?;
    let invited = usize::try_from(whole(&invited)?)?;
    let rules = SlotRulesBody {
        on_missing_input: missing_input(&missing)?,
        deadline_ms: whole(&deadline)?.saturating_mul(1000),
        slot_ms: 0,
        first_slot: None,
    };
    let group = group(&mut wizard, &seat, &name, &sharing, &rules).await?;
    if invited == 0 {
        tell(&json!({"gid": group, "name": name, "owners": []}).to_string())?;
        say(&format!("group {group} ({name}) is there. Next: tacit group invite {group}"))?;
        return wizard.finish();
    }
    say(&format!("Your key is {}", seat.key()))?;
    let (now, invitations) = negotiation(&mut wizard, &seat, group, &name, invited).await?;
    say("Send invitations to peers:")?;
    invitations.iter().try_for_each(|invitation| say(invitation))?;
    let done = take_over(&seat, now, invited).await?;
    let owners = owners_of(&done)?;
    say(&format!("Consensus reached: {}", done.decided.as_deref().unwrap_or_default()))?;
    let url = registry_url(&seat.client, &done.id);
    say(&format!("Created group {group} of {} owners, joint id {}\n{url}", owners.0.len(), owners.1))?;
    tell(
        &json!({"gid": group, "name": name, "consensus": done.decided, "owners": owners.0, "joint_id": owners.1,
            "registry": url})
        .to_string(),
    )?;
    wizard.finish()
}

fn whole(text: &str) -> Result<u32, Failure> {
    text.parse().map_err(|_| Failure::usage(format!("this is a whole number from 0, not {text:?}")))
}

fn missing_input(text: &str) -> Result<OnMissing, Failure> {
    match text {
        "wait" => Ok(OnMissing::Wait),
        "fail" => Ok(OnMissing::Fail),
        least => whole(least).map(OnMissing::Proceed).map_err(|_| {
            Failure::usage(format!("this is wait, fail, or the least number of inputs to go on with, not {least:?}"))
        }),
    }
}

/// The owners of what was agreed, and the id that they have together.
pub(crate) fn owners_of(done: &NegotiationBody) -> Result<(Vec<String>, String), Failure> {
    let (_, wording) = agreement_of(done)?.ok_or_else(|| refused("there is no consensus"))?;
    let charter = charter_of(&wording.parts[0].terms).map_err(|e| refused(e.to_string()))?;
    let joint = charter.joint_id().map(|id| id.to_string()).unwrap_or_default();
    Ok((charter.owners, joint))
}

/// The group, made if an interrupted run has not made it.
async fn group(
    wizard: &mut Wizard,
    seat: &Seat,
    name: &str,
    sharing: &str,
    rules: &SlotRulesBody,
) -> Result<GroupId, Failure> {
    let known = seat.client.groups().await?.into_iter().find(|group| group.name == name);
    let began = wizard.noted("creating").is_some();
    let group = match known {
        Some(group) if began => group,
        Some(_) => return Err(Failure::usage(format!("a group called {name} is there already; choose another name"))),
        None => {
            wizard.note("creating", name)?;
            let sharing = if sharing == "additive" { SharingKind::Additive } else { SharingKind::Shamir };
            seat.client.create_group(name, sharing).await?
        }
    };
    if group.owners.is_empty() && group.slots != *rules && wizard.noted("negotiation").is_none() {
        seat.client.set_slot_rules(group.gid, rules).await?;
    }
    Ok(group.gid)
}

/// The negotiation with its invitations and the first text.
async fn negotiation(
    wizard: &mut Wizard,
    seat: &Seat,
    group: GroupId,
    name: &str,
    invited: usize,
) -> Result<(NegotiationBody, Vec<String>), Failure> {
    let mut now = match wizard.noted("negotiation") {
        Some(id) => seat.client.negotiation(id).await?,
        None => {
            let mine = seat.client.negotiations(group).await?;
            match mine.into_iter().find(|n| n.opener == seat.key() && n.status == "open") {
                Some(open) => open,
                None => {
                    let gateway = seat.client.node().await?.fingerprint;
                    let expires = SystemClock.now().plus(DAYS * 24 * 3600 * 1000);
                    seat.open(gateway, name, Some(group), expires, Vec::new()).await?
                }
            }
        }
    };
    wizard.note("negotiation", &now.id)?;
    let mut invitations: Vec<String> =
        wizard.noted("invitations").map(|list| list.lines().map(str::to_owned).collect()).unwrap_or_default();
    while invitations.len() < invited && now.status == "open" {
        // An invitation that was drawn and not noted is lost to everybody and stands in nobody's way.
        let (after, invitation) = seat.invite(&now).await?;
        now = after;
        invitations.push(invitation.to_string());
        wizard.note("invitations", &invitations.join("\n"))?;
    }
    if !now.contributions.iter().any(|c| c.signer == seat.key()) && now.status == "open" {
        let served = seat.client.negotiated_registry(&now.id).await?;
        let chain = checked_registry(&served, None, None)?;
        let current = chain.last().ok_or_else(|| refused("the group has no consensus"))?;
        now = seat.contribute(&now, &charter_wording(&now.id, current, |_| Ok(()))?, None).await?;
        say("Your initial proposal is contribution 1")?;
    }
    Ok((now, invitations))
}

/// Waits for everybody, makes them owners, and waits for the consensus.
async fn take_over(seat: &Seat, mut now: NegotiationBody, invited: usize) -> Result<NegotiationBody, Failure> {
    let me = seat.key();
    let mut said = String::new();
    let mut progress = |text: String| {
        let new = text != said;
        said = text;
        if new { say(&said) } else { Ok(()) }
    };
    loop {
        match now.status.as_str() {
            "done" if now.outcome.is_some() => return finished(now),
            // Agreed on, and put into force within a moment.
            "done" => {
                sleep(LOOK).await;
                now = seat.client.negotiation(&now.id).await?;
                continue;
            }
            "open" => {}
            other => return Err(refused(format!("the negotiation is {other}; run the wizard with another name"))),
        }
        let mine = now.contributions.iter().find(|c| c.signer == me);
        let mine = mine.ok_or_else(|| refused("the gateway lost your contribution"))?.clone();
        let text = Wording::read(&mine.text).map_err(|e| refused(e.to_string()))?;
        let joined: Vec<_> =
            now.contributions.iter().filter(|c| c.signer != me && !now.deciders.contains(&c.signer)).collect();
        if mine.accepts {
            let manager = now.deciders.iter().any(|d| now.contributions.iter().any(|c| c.signer == *d && c.accepts));
            if !manager {
                now = seat.client.accept_as_manager(&now.id, mine.number).await?;
                continue;
            }
            progress(format!("No consensus yet; contributions pending from {} keys", now.pending.len()))?;
        } else if joined.len() >= invited {
            if joined.len() > invited {
                return Err(refused("somebody takes part whom you did not invite; cancel the negotiation"));
            }
            for other in &joined {
                let theirs = Wording::read(&other.text).map_err(|e| refused(e.to_string()))?;
                if theirs.parts[0].terms != text.parts[0].terms {
                    return Err(refused(format!(
                        "contribution {} wants other parameters: look at `tacit negotiation show {}` and go on with `tacit negotiation`",
                        other.number, now.id
                    )));
                }
            }
            let mut owners: Vec<String> = joined.iter().map(|c| c.signer.clone()).chain([me.clone()]).collect();
            owners.sort();
            say("All invited peers have joined. Sending accept contribution.")?;
            let wording = with_charter(text, |charter| {
                charter.owners = owners;
                Ok(())
            })?;
            now = seat.contribute(&now, &wording.accepting(), None).await?;
            continue;
        } else {
            progress(format!("Invitations pending: {}", invited - joined.len()))?;
        }
        sleep(LOOK).await;
        now = seat.client.negotiation(&now.id).await?;
    }
}

/// A consensus that is in force, verified.
pub(crate) fn finished(now: NegotiationBody) -> Result<NegotiationBody, Failure> {
    agreement_of(&now)?;
    match now.outcome.as_deref() {
        Some("in force") => Ok(now),
        Some(why) => Err(refused(why.to_owned())),
        None => Err(refused("there is a consensus that is not in force yet; run the command again")),
    }
}
