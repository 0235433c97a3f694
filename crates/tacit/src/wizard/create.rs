//! `tacit group create` with questions: a group of one administrator, or one whose owners decide together.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};
use tacit_accord::Consensus;
use tacit_accord::negotiation::{Wording, charter_of};
use tacit_model::api::{ContributionBody, NegotiationBody, OnMissing, SharingKind, SlotRulesBody};
use tacit_model::{Clock, GroupId, SystemClock, plain};
use tokio::time::sleep;

use super::review::own_defaults;
use super::{Question, Wizard, say, tell};
use crate::command::group::on_missing;
use crate::negotiating::{Seat, agreement_of, charter_wording, checked_registry, refused, registry_url, with_charter};
use crate::output::Failure;

/// The note of the proposal that was written here: what the gateway shows as one's own is compared with it.
const PROPOSED: &str = "proposed";
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
        "What happens to a slot without an input: wait, fail, or the least number of inputs to go on with, at least 2",
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
    let answers = [
        ("name", json!(name)),
        ("sharing", json!(sharing)),
        ("slots/on_missing_input", json!(rules.on_missing_input)),
        ("slots/deadline_ms", json!(rules.deadline_ms)),
    ];
    let (now, invitations) = negotiation(&mut wizard, &seat, group, &answers, invited).await?;
    say("Send invitations to peers:")?;
    invitations.iter().try_for_each(|invitation| say(invitation))?;
    if !invitations.is_empty() {
        say(
            "Each of them runs: tacit join 'INVITATION' --gateway URL. This command waits, and goes on if it is started again.",
        )?;
    }
    let done = take_over(&wizard, &seat, now, invited).await?;
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
    on_missing(text).map_err(Failure::usage)
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
    answers: &[(&str, Value)],
    invited: usize,
) -> Result<(NegotiationBody, Vec<String>), Failure> {
    let mut now = match wizard.noted("negotiation") {
        Some(id) => seat.client.negotiation(id).await?,
        None => {
            let mine = seat.client.negotiations(group).await?;
            match mine.into_iter().find(|n| n.opener == seat.key() && n.status == "open") {
                Some(open) => seat.client.negotiation(&open.id).await?,
                None => {
                    let gateway = seat.client.node().await?.fingerprint;
                    let expires = SystemClock.now().plus(DAYS * 24 * 3600 * 1000);
                    let name = wizard.noted("GROUP_NAME").unwrap_or_default();
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
        let text = first_text(wizard, &now.id, current, answers)?;
        wizard.note(PROPOSED, &text.to_text()?)?;
        now = seat.contribute(&now, &text, None).await?;
        say("Your initial proposal is contribution 1")?;
    }
    Ok((now, invitations))
}

/// The group's charter as a proposal, shown: it must say what was answered, and of the rest what a new group has. One that was written before, and of which
/// nobody knows whether it arrived, is sent again as it was.
fn first_text(
    wizard: &Wizard,
    negotiation: &str,
    current: &Consensus,
    answers: &[(&str, Value)],
) -> Result<Wording, Failure> {
    let again = wizard.noted(PROPOSED).and_then(|text| Wording::read(text).ok());
    let again = again.filter(|text| {
        text.negotiation.to_string() == negotiation && text.parts[0].on_last_consensus == Some(current.id())
    });
    let text = match again {
        Some(text) => text,
        None => charter_wording(negotiation, current, |_| Ok(()))?,
    };
    let terms = &text.parts[0].terms;
    let mut expected = own_defaults(&charter_of(terms).map_err(|e| refused(e.to_string()))?);
    expected.extend(answers.iter().map(|(name, answer)| ((*name).to_owned(), answer.clone())));
    if let Some((name, expected)) = expected.iter().find(|(name, expected)| terms.get(*name) != Some(*expected)) {
        return Err(refused(format!(
            "the gateway shows {name} = {} for this group, and {expected} is what you answered or a new group has: nothing was \
             proposed. If you changed it since the group was made, go on with `tacit negotiation new`, otherwise create it \
             under another name",
            terms.get(name).unwrap_or(&Value::Null)
        )));
    }
    // The owner of the group's manager key decides on these afterwards, by name.
    if let Some((name, value)) = terms.iter().find(|(name, value)| is_foreign(name, value)) {
        return Err(refused(format!(
            "the gateway shows {name} = {value}, which no new group has: nothing was proposed. If that is meant, go on with \
             `tacit negotiation new`, otherwise create the group under another name"
        )));
    }
    say("You propose:")?;
    terms.iter().try_for_each(|(name, value)| say(&format!("  {} = {}", plain(name), plain(&value.to_string()))))?;
    Ok(text)
}

/// What a new group does not have, whatever was answered.
fn is_foreign(name: &str, value: &Value) -> bool {
    name.starts_with("members/") || (name == "test_mode" && *value != json!(false))
}

/// The proposal that was written here. A key signs what its owner was shown, so what the gateway shows as one's own must
/// be the same.
fn written(noted: Option<&str>, mine: &ContributionBody, negotiation: &str) -> Result<Wording, Failure> {
    let refuse = |what: &str| {
        refused(format!(
            "{what}: it is not signed. `tacit negotiation show {negotiation}` shows it; if you put it forward yourself, \
             go on with `tacit negotiation`, otherwise end this with `tacit negotiation cancel {negotiation}`"
        ))
    };
    match noted {
        Some(text) if *text == mine.text => Wording::read(text).map_err(|e| refused(e.to_string())),
        Some(_) => Err(refuse("the gateway shows another proposal as yours than the one that was written here")),
        None => Err(refuse("the gateway shows a proposal as yours that this wizard does not remember")),
    }
}

/// Waits for everybody, makes them owners, and waits for the consensus.
async fn take_over(
    wizard: &Wizard,
    seat: &Seat,
    mut now: NegotiationBody,
    invited: usize,
) -> Result<NegotiationBody, Failure> {
    let me = seat.key();
    let mut said = String::new();
    let mut progress = |text: String| {
        let new = text != said;
        said = text;
        if new { say(&said) } else { Ok(()) }
    };
    loop {
        match now.status.as_str() {
            "done" if now.outcome.is_some() => return finished(now, &me),
            // Agreed on, and put into force within a moment.
            "done" => {
                sleep(LOOK).await;
                now = seat.client.negotiation_after(now).await?;
                continue;
            }
            "open" => {}
            other => return Err(refused(format!("the negotiation is {other}; run the wizard with another name"))),
        }
        let mine = now.contributions.iter().find(|c| c.signer == me);
        let mine = mine.ok_or_else(|| refused("the gateway lost your contribution"))?.clone();
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
            let text = written(wizard.noted(PROPOSED), &mine, &now.id)?;
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
            say("These keys would own the group:")?;
            owners.iter().try_for_each(|owner| say(&format!("  {}", plain(owner))))?;
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
        now = seat.client.negotiation_after(now).await?;
    }
}

/// A consensus that is in force, verified, and signed by one's own key too.
pub(crate) fn finished(now: NegotiationBody, me: &str) -> Result<NegotiationBody, Failure> {
    if agreement_of(&now)?.is_none_or(|(agreement, _)| !agreement.signings.contains_key(me)) {
        return Err(refused("what the others agreed on does not carry your signature"));
    }
    match now.outcome.as_deref() {
        Some("in force") => Ok(now),
        Some(why) => Err(refused(why.to_owned())),
        None => Err(refused("there is a consensus that is not in force yet; run the command again")),
    }
}

#[cfg(test)]
mod tests {
    use tacit_accord::{Charter, Proposal, decide};
    use tacit_model::UnixMillis;
    use tacit_pki::Identity;

    use super::*;

    /// After a lost answer the gateway shows what it likes as one's own proposal.
    #[test]
    fn what_is_signed_is_what_was_written_here_and_says_what_was_answered() {
        let at = SystemClock.now().to_date_time().expect("a date");
        let manager = Identity::generate("manager", at).expect("a key");
        let gateways = vec![manager.fingerprint()];
        let charter = Charter { gateways, ..Charter::new(GroupId(1), "ours", manager.public_key().to_base64()) };
        let decided = |charter: Charter| {
            let proposal = Proposal::new(None, charter, UnixMillis(0)).expect("a text").sign(&manager);
            decide(None, proposal).expect("the manager's")
        };
        let current = decided(charter.clone());
        let folder = tempfile::tempdir().expect("a folder");
        let mut wizard = Wizard::open(folder.path().join("memory"), false).expect("a wizard");
        let id = tacit_accord::negotiation::NegotiationId([7; 32]).to_string();
        let answers = |sharing: &str| [("name", json!("ours")), ("sharing", json!(sharing))];
        let why = first_text(&wizard, &id, &current, &answers("additive")).expect_err("not what was answered");
        assert!(why.to_string().contains("sharing = \"shamir\""), "{why}");
        let slow = Charter { slots: tacit_accord::SlotRules { slot_ms: 1000, ..charter.slots.clone() }, ..charter };
        let why = first_text(&wizard, &id, &decided(slow), &answers("shamir")).expect_err("no new group has that");
        assert!(why.to_string().contains("slots/slot_ms = 1000"), "{why}");
        let test_mode = Charter { test_mode: true, ..current.charter().clone() };
        let why = first_text(&wizard, &id, &decided(test_mode), &answers("shamir")).expect_err("nobody asked for it");
        assert!(why.to_string().contains("test_mode = true"), "{why}");
        let text = first_text(&wizard, &id, &current, &answers("shamir")).expect("as answered");
        let shown = |text: &Wording| ContributionBody {
            number: 1,
            at: UnixMillis(0),
            signer: String::new(),
            text: text.to_text().expect("a text"),
            accepts: false,
            live: true,
            turn: 1,
            signature: String::new(),
        };
        let why = written(None, &shown(&text), &id).expect_err("nothing was written here").to_string();
        assert!(why.contains("does not remember"), "{why}");
        wizard.note(PROPOSED, &text.to_text().expect("a text")).expect("noted");
        assert_eq!(written(wizard.noted(PROPOSED), &shown(&text), &id).expect("the same"), text);
        assert_eq!(first_text(&wizard, &id, &current, &answers("shamir")).expect("again"), text);
        let mut other = text.clone();
        other.parts[0].terms.insert("threshold".to_owned(), json!(0));
        let why = written(wizard.noted(PROPOSED), &shown(&other), &id).expect_err("another text").to_string();
        assert!(why.contains("another proposal as yours") && why.contains(&format!("show {id}")), "{why}");
    }
}
