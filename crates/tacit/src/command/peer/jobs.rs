//! What a peer was asked to take part in, for people.

use tacit_model::api::{JobBody, JobParticipant, JobWindow};

/// One job: what the owner of a peer wants to know of it, all of it.
pub(super) fn describe(job: &JobBody) -> String {
    let mut lines = vec![format!("{}. asked at {}: {}", job.number, job.asked, outcome(job))];
    let mut add = |what: &str, text: String| lines.push(format!("   {what:<11} {text}"));
    let computation = job.slot.counted();
    match &job.task {
        Some(task) => add("task", format!("{task}, computation {computation}, attempt {}", job.attempt.0 + 1)),
        None => add("run", format!("{} of the group, slot {computation}, attempt {}", job.run, job.attempt.0 + 1)),
    }
    add("session", format!("{}, group {}, consensus {}", job.session, job.group, job.consensus));
    add("asked by", who(job));
    add("purpose", job.purpose.clone());
    add("of", format!("{}{}", job.sources.join(", "), records(job)));
    let settings: Vec<String> = job.parameters.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let settings = if settings.is_empty() { String::new() } else { format!(", with {}", settings.join(" ")) };
    add("computes", format!("{}{settings}", job.aggregator));
    let threshold = job.threshold.map_or("not known here".to_owned(), |t| t.to_string());
    add("model", format!("{}, threshold {threshold}", job.model));
    add("opened", job.opened.clone());
    add("told to", format!("the members that learn it; beside them: {}", job.told));
    for member in &job.participants {
        lines.push(format!("   - {}", participant(member)));
    }
    if job.participants_left_out > 0 {
        lines.push(format!("   - and {} more, who do not compute", job.participants_left_out));
    }
    lines.join("\n")
}

fn outcome(job: &JobBody) -> String {
    let word = job.state.word().replace('_', " ");
    let ended = job.ended.as_ref().map_or(String::new(), |at| format!(" at {at}"));
    match job.detail.as_str() {
        "" => format!("{word}{ended}"),
        detail => format!("{word}{ended}: {detail}"),
    }
}

fn who(job: &JobBody) -> String {
    let Some(signatures) = &job.signatures else {
        return format!("the gateway {}, as the charter says", job.gateway);
    };
    let client = match (&job.client, &signatures.client) {
        (Some(client), _) => format!("the client {client}"),
        (None, None) => "a client without a signature".to_owned(),
        (None, Some(_)) => "a client whose signature was not found to hold".to_owned(),
    };
    let hold = if signatures.hold { "the signatures hold" } else { "the signatures were not found to hold" };
    format!("{client} through the gateway {}; {hold}", job.gateway)
}

fn records(job: &JobBody) -> String {
    let mut text = String::new();
    if let Some(request) = &job.request {
        if !request.set.is_empty() {
            text.push_str(&format!(" of the set {}", request.set));
        }
        text.push_str(&format!(", {}", request.preselector));
        if !request.filter.is_empty() {
            text.push_str(&format!(", where {}", request.filter.join(" and ")));
        }
        text.push_str(&format!(
            ", values from {} to {} with {} decimals",
            request.least, request.most, request.decimals
        ));
    }
    match &job.window {
        Some(JobWindow { from, to: Some(to) }) => text.push_str(&format!(" ({from} to {to})")),
        Some(JobWindow { from, to: None }) => text.push_str(&format!(" (slot of {from})")),
        None => {}
    }
    text
}

fn participant(member: &JobParticipant) -> String {
    let does = [(member.gives, "gives"), (member.computes, "computes"), (member.learns, "learns the result")];
    let does: Vec<&str> = does.into_iter().filter_map(|(does, word)| does.then_some(word)).collect();
    let name = member.name.as_deref().unwrap_or("(not in the charter)");
    let operator = member.operator.as_ref().map_or(String::new(), |operator| format!(" of {operator}"));
    format!("{name}{operator}: {}; {}", does.join(", "), member.fingerprint)
}
