//! `tacit join NEGOTIATION|SECRET`: become an owner of a group by invitation.

use std::time::Duration;

use serde_json::{Value, json};
use tacit_accord::negotiation::{Wording, charter_of};
use tokio::time::sleep;

use super::create::{finished, owners_of};
use super::review::{own_defaults, review};
use super::{Wizard, say, tell};
use crate::negotiating::{InvitationText, Seat, refused, registry_url, short_key, text_of};
use crate::output::Failure;

/// Pause between two looks at a negotiation.
const LOOK: Duration = Duration::from_millis(300);

/// Looks through the proposal, takes part, and accepts when nothing changed but who the owners are.
pub(crate) async fn run(
    mut wizard: Wizard,
    seat: Seat,
    invitation: InvitationText,
    accepted: &[(String, Value)],
) -> Result<(), Failure> {
    let me = seat.key();
    say(&format!("Your key is {me}"))?;
    let id = invitation.negotiation.to_string();
    let mut now = seat.client.negotiation(&id).await?;
    // What the gateway shows as one's own contribution was looked at by nobody here.
    if now.status == "open" && wizard.noted("reviewed").is_none() {
        let opener = now.opener.clone();
        let first = now.contributions.iter().find(|c| c.signer == opener).map(|c| c.number);
        let (first, text) = text_of(&now, first)?;
        say(&format!("Negotiation initialized by {opener}\nwith contribution {}.", first.number))?;
        let charter = charter_of(&text.parts[0].terms).map_err(|e| refused(e.to_string()))?;
        review(&mut wizard, &text.parts[0].terms, &own_defaults(&charter), accepted, &short_key(&opener))?;
        // What was looked at is what is compared with from now on, also after an interruption.
        let mut mine = text;
        mine.accept = false;
        wizard.note("reviewed", &mine.to_text()?)?;
    }
    let reviewed = wizard.noted("reviewed").map(Wording::read).transpose().map_err(|e| refused(e.to_string()))?;
    if let Some(mine) = reviewed.as_ref().filter(|_| now.status == "open")
        && !now.contributions.iter().any(|c| c.signer == me)
    {
        now = seat.contribute(&now, mine, Some(&invitation)).await?;
        say("You take part. Waiting until everybody has joined.")?;
    }
    loop {
        match now.status.as_str() {
            "done" => break,
            "open" => {}
            other => return Err(refused(format!("the negotiation is {other}"))),
        }
        let mine = now.contributions.iter().find(|c| c.signer == me).cloned();
        let mine = mine.ok_or_else(|| refused("the gateway lost your contribution"))?;
        let proposed = now.contributions.iter().find(|c| c.signer == now.opener && c.accepts);
        if let Some(proposed) = proposed.filter(|_| !mine.accepts) {
            let (_, text) = text_of(&now, Some(proposed.number))?;
            let reviewed = reviewed.as_ref().ok_or_else(|| refused("you have not looked at the proposal"))?;
            unchanged(reviewed, &text, &me, &now.opener)?;
            say("Nothing changed but the owners. Sending accept contribution.")?;
            now = seat.contribute(&now, &text, None).await?;
            continue;
        }
        sleep(LOOK).await;
        now = seat.client.negotiation_after(now).await?;
    }
    // It may be closed and not in force for a moment.
    while now.outcome.is_none() {
        sleep(LOOK).await;
        now = seat.client.negotiation_after(now).await?;
    }
    let done = finished(now, &me)?;
    let (owners, joint) = owners_of(&done)?;
    if !owners.contains(&me) {
        return Err(refused("the others agreed on a charter that does not name you"));
    }
    say(&format!("Consensus reached: {}", done.decided.as_deref().unwrap_or_default()))?;
    let url = registry_url(&seat.client, &done.id);
    say(&format!("You are one of {} owners, joint id {joint}\n{url}", owners.len()))?;
    let told =
        json!({"gid": done.group, "consensus": done.decided, "owners": owners, "joint_id": joint, "registry": url});
    tell(&told.to_string())?;
    wizard.finish()
}

/// The last word of the coordinator must be what was looked at, but for the owners, who must be both and more.
fn unchanged(reviewed: &Wording, proposed: &Wording, me: &str, opener: &str) -> Result<(), Failure> {
    let [before, after] = [reviewed, proposed].map(|wording| wording.parts.first());
    let (Some(before), Some(after)) = (before, after) else { return Err(refused("the text has no part")) };
    if proposed.parts.len() != 1 || !proposed.signers.is_empty() {
        return Err(refused("the coordinator's text has other parts than the one you looked at"));
    }
    let mut expected = before.clone();
    expected.terms.insert("owners".to_owned(), after.terms.get("owners").cloned().unwrap_or_default());
    let names = |key: &str| after.terms["owners"].as_array().is_some_and(|owners| owners.iter().any(|o| o == key));
    for (name, value) in &expected.terms {
        if after.terms.get(name) != Some(value) {
            return Err(refused(format!(
                "the coordinator changed {name} after you looked at it, from {value} to {}: you take no further part",
                after.terms.get(name).unwrap_or(&Value::Null)
            )));
        }
    }
    expected.duties.clone_from(&after.duties);
    if expected != *after {
        return Err(refused("the coordinator changed the text after you looked at it: you take no further part"));
    }
    if !(names(me) && names(opener)) {
        return Err(refused("the coordinator's text does not name both of you as owners: you take no further part"));
    }
    Ok(())
}
