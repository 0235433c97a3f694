//! Where a negotiation stands, for people.

use serde::Serialize;
use serde_json::Value;
use tacit_accord::negotiation::{Wording, differences};
use tacit_model::api::{NegotiationBody, RegistryBody};
use tacit_model::{plain, plain_lines};

use crate::negotiating::{Seat, agreement_of, short_key};
use crate::output::Failure;

/// Prints JSON, or what the closure makes of it. Others wrote the names and values in it: only the lines are ours.
pub(super) fn print<T: Serialize>(json: bool, value: &T, people: impl FnOnce(&T) -> String) -> Result<(), Failure> {
    crate::command::print(json, value, |value| plain_lines(&people(value)))
}

/// What an act came to.
pub(super) fn done(json: bool, now: &NegotiationBody, seat: &Seat) -> Result<(), Failure> {
    agreement_of(now)?;
    print(json, now, |now| match (&now.decided, &now.consensus) {
        (Some(decided), _) => {
            format!("Consensus reached: {decided} ({})", now.outcome.as_deref().unwrap_or("not in force yet"))
        }
        (None, Some(consensus)) => format!("Consensus reached: {consensus}"),
        _ if now.status == "cancelled" => "The negotiation is cancelled; nothing was decided.".to_owned(),
        _ => {
            let mine = now.contributions.iter().find(|c| c.signer == seat.key());
            let mine = mine.map_or_else(
                || "No contribution of yours stands. ".to_owned(),
                |c| format!("Your contribution is {}. ", c.number),
            );
            format!(
                "{mine}No consensus yet; {} signatures are missing, {} invitations are pending.",
                now.pending.len(),
                now.open_invitations
            )
        }
    })
}

/// Parameter by parameter.
pub(super) fn describe(now: &NegotiationBody, me: &str) -> String {
    let who = |key: &String| if key == me { "you".to_owned() } else { short_key(key) };
    let mut text = format!("{} ({}), round {}, until {}\n", now.title, now.status, now.round, now.expires);
    if let Some(consensus) = &now.consensus {
        text.push_str(&format!("  consensus  {consensus}\n"));
    }
    if let (Some(decided), Some(outcome)) = (&now.decided, &now.outcome) {
        text.push_str(&format!("  charter    {decided} ({outcome})\n"));
    }
    for c in &now.contributions {
        let word = if c.accepts { "accepts" } else { "proposes" };
        text.push_str(&format!("  {:>4}  {} {word}\n", c.number, who(&c.signer)));
    }
    let texts: Vec<(String, Wording)> =
        now.contributions.iter().filter_map(|c| Some((c.signer.clone(), Wording::read(&c.text).ok()?))).collect();
    for (name, standing) in differences(texts.iter().map(|(signer, text)| (signer.as_str(), text))) {
        if standing.agreed() {
            continue;
        }
        text.push_str(&format!("  open: {}\n", plain(&name)));
        for (value, supporters) in &standing.values {
            let value = value.as_ref().map_or("(absent)".to_owned(), Value::to_string);
            text.push_str(&format!(
                "        {value} wanted by {}\n",
                supporters.iter().map(who).collect::<Vec<_>>().join(", ")
            ));
        }
        for key in &standing.rejected_by {
            text.push_str(&format!("        rejected by {}\n", who(key)));
        }
    }
    if now.status == "open" {
        let pending: Vec<String> = now.pending.iter().map(who).collect();
        text.push_str(&format!("  missing: {} and {} invitations\n", pending.join(", "), now.open_invitations));
    }
    text.trim_end().to_owned()
}

/// The parties of a group that were verified, and who waits.
pub(super) fn registry(served: &RegistryBody) -> String {
    let mut text = format!("group {} by consensus {}: verified\n", served.gid, served.consensus);
    if let Some(joint) = served.joint_id {
        text.push_str(&format!("  owned by {} keys, joint id {joint}\n", served.owners.len()));
    }
    for p in &served.parties {
        text.push_str(&format!(
            "  {:<16} layer {} {:<9} {} admitted by {}\n",
            p.name,
            p.layer,
            p.role.word(),
            p.fingerprint,
            &p.admitted_by[..12]
        ));
    }
    for c in &served.candidates {
        let fingerprint = c.fingerprint.map(|f| f.to_string()).unwrap_or_default();
        text.push_str(&format!("  {:<16} waits   {:<9} {fingerprint}\n", c.name, c.role.word()));
    }
    text.trim_end().to_owned()
}
