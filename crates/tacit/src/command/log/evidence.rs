//! What convicts privacy peers that signed wrong shares of results: fetched from a node, verified without one.

use std::path::Path;

use serde_json::json;
use tacit_client::Client;
use tacit_job::{EvidenceDocument, EvidenceFault};

use super::{print, unwritten};
use crate::command::print_all;
use crate::command::receipt::{in_chain, text};
use crate::output::{Code, Failure, computation, result_line};

/// The list of a peer, or the document of one session.
pub(super) async fn read(
    client: &Client,
    peer: &str,
    session: Option<&str>,
    out: Option<&Path>,
    json: bool,
) -> Result<(), Failure> {
    let Some(session) = session else {
        let list = client.evidence(peer).await?;
        return print_all(json, &list, &format!("{peer} has no evidence of a wrong share"), |e| {
            let accused: Vec<String> = e.accused.iter().map(ToString::to_string).collect();
            let what = computation(e.run, e.slot);
            format!("{}  group {} {what}  {}  {}", e.session, e.group, e.at, accused.join(" "))
        });
    };
    let found = client.evidence_of(peer, session).await?;
    match out {
        Some(path) => std::fs::write(path, found.evidence + "\n").map_err(unwritten(path)),
        None => result_line(&found.evidence),
    }
}

pub(super) fn verify(file: &Path, consensus: Option<&Path>, json: bool) -> Result<(), Failure> {
    let convicted = match EvidenceDocument::verify(text(file)?.trim_end()) {
        Ok(convicted) => convicted,
        Err(fault) => return refused(json, &fault),
    };
    let id = convicted.consensus.id();
    if let Some(path) = consensus
        && let Err(why) = in_chain(path, id)?
    {
        return refused(json, &EvidenceFault { place: "consensus", why });
    }
    let job = &convicted.job;
    let accused: Vec<_> =
        convicted.members.iter().map(|(member, name)| json!({ "party": member.to_string(), "name": name })).collect();
    let value = json!({
        "ok": true, "accused": accused, "group": job.group, "run": job.run, "slot": job.slot,
        "session": job.session.to_string(), "consensus": id.to_string(), "consensus_checked": consensus.is_some(),
    });
    print(json, &value, |_| {
        let named = convicted.members.iter().map(|(member, name)| format!("{name} ({member})"));
        let mut told = format!(
            "holds: a wrong share of the result was signed by {}\n  group {} {} session {}\n  consensus {id}",
            named.collect::<Vec<_>>().join(", "),
            job.group,
            computation(job.run, job.slot),
            job.session,
        );
        if consensus.is_none() {
            told.push_str("\nwhether this is the agreed charter was not checked; give it with --consensus");
        }
        told
    })
}

fn refused(json: bool, fault: &EvidenceFault) -> Result<(), Failure> {
    if json {
        print(true, &json!({ "ok": false, "place": fault.place, "fault": fault.why }), |_| String::new())?;
    }
    Err(Failure::new(Code::Refused, format!("the evidence convicts nobody: {fault}")))
}
