//! What came of a task: opened, compared, shown.

use std::io::Write;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use tacit_accord::{Charter, Consensus, ConsensusError, verify_chain};
use tacit_client::Client;
use tacit_job::{Settled, Telling, settle};
use tacit_model::api::{TaskBody, TaskResult};
use tacit_model::{Fingerprint, GroupId, Slot};
use tacit_pki::PublicKey;
use tacit_pki::result_key::ResultKey;

use crate::negotiating::refused;
use crate::output::Failure;

/// A task with the results that could be opened.
#[derive(Serialize)]
pub(crate) struct Opened {
    #[serde(flatten)]
    pub(crate) task: TaskBody,
    /// One per computation that is done.
    pub(crate) results: Vec<TaskResult>,
    /// Who told something else than the recipients whom the results are taken from.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) remarks: Vec<String>,
}

/// Opens what was sealed for the key. What the recipients of a computation sealed must be the same, or what members of more
/// operators said than may be corrupted, as the group's charter has it: it is asked for only where they differ.
pub(crate) async fn opened(client: &Client, task: TaskBody, key: Option<&ResultKey>) -> Result<Opened, Failure> {
    match open(&task, key, None) {
        Ok((results, remarks)) => Ok(Opened { task, results, remarks }),
        Err(differ) => {
            let charter = charter(client, task.task.group).await.map_err(|why| {
                refused(format!("{differ}; the charter that says how many may be was not to be had: {why}"))
            })?;
            let (results, remarks) = open(&task, key, Some(&charter)).map_err(refused)?;
            Ok(Opened { task, results, remarks })
        }
    }
}

/// The charter of a group as its node shows it, checked from the first decision on.
async fn charter(client: &Client, group: GroupId) -> Result<Charter, Failure> {
    let documents = client.consensus(group).await?;
    let first = documents.first().ok_or_else(|| refused("it shows none"))?;
    let unreadable = |error: ConsensusError| refused(error.to_string());
    let manager = PublicKey::from_base64(Consensus::read(first).map_err(unreadable)?.claimed_manager())?;
    let chain = verify_chain(&documents, &manager, None).map_err(|error| refused(error.to_string()))?;
    let current = chain.last().ok_or_else(|| refused("it shows none"))?;
    Ok(current.charter().clone())
}

/// The results, and what is to be said about those who told others; or why there is none.
fn open(
    task: &TaskBody,
    key: Option<&ResultKey>,
    charter: Option<&Charter>,
) -> Result<(Vec<TaskResult>, Vec<String>), String> {
    let (mut results, mut remarks) = (Vec::new(), Vec::new());
    for window in &task.windows {
        let told = match key {
            Some(key) => {
                let number = window.window;
                let telling = |sealed: &String| Telling::open(sealed, &task.id, number, key);
                let tellings: Vec<Telling> = window.sealed.iter().map(telling).collect();
                let settled = settle(&tellings, charter).map_err(|why| format!("computation {number}: {why}"))?;
                remarks.extend(settled.as_ref().and_then(|settled| odd(number, settled, charter?)));
                if settled.is_none() && window.result.is_some() {
                    // Whoever has a key takes nothing that the gateway could have made up.
                    remarks.push(format!(
                        "computation {number}: told in clear, not sealed; without a result key it is shown"
                    ));
                }
                settled.map(|settled| settled.result)
            }
            None => window.result.clone(),
        };
        results.extend(told);
    }
    Ok((results, remarks))
}

fn odd(window: Slot, settled: &Settled, charter: &Charter) -> Option<String> {
    let member = |liar: &Fingerprint| match charter.member(liar) {
        Some(member) => format!("{} of {} ({liar})", member.name, member.operator),
        None => liar.to_string(),
    };
    let mut who: Vec<String> = settled.liars.iter().map(member).collect();
    if settled.unclear > 0 {
        who.push(format!("{} without a signature of a member", settled.unclear));
    }
    (!who.is_empty()).then(|| {
        format!(
            "computation {window}: {} told another result than members of more operators than may be corrupted",
            who.join(", ")
        )
    })
}

/// The key in a file that only its owner can read; made if there is none.
pub(crate) fn key_file(file: &Path) -> Result<ResultKey, Failure> {
    if file.exists() {
        return known_key(file);
    }
    let key = ResultKey::generate()?;
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o400);
    let about = |e: std::io::Error| Failure::usage(format!("{} cannot be written: {e}", file.display()));
    let mut file = options.open(file).map_err(about)?;
    let private = zeroize::Zeroizing::new(STANDARD.encode(&*key.expose_private()));
    writeln!(file, "{}\n{}", key.public(), &*private)?;
    file.sync_all()?;
    Ok(key)
}

/// The key in a file.
pub(crate) fn known_key(file: &Path) -> Result<ResultKey, Failure> {
    let about = |e: std::io::Error| Failure::usage(format!("{} cannot be read: {e}", file.display()));
    let text = zeroize::Zeroizing::new(std::fs::read_to_string(file).map_err(about)?);
    let (public, private) = text.trim().split_once('\n').unwrap_or_default();
    match STANDARD.decode(private.trim()) {
        Ok(private) if !private.is_empty() => Ok(ResultKey::from_parts(private, public.to_owned())),
        _ => Err(Failure::usage(format!("{} holds no result key", file.display()))),
    }
}

/// A task in a line.
pub(crate) fn line(task: &TaskBody) -> String {
    let request = &task.task;
    let what = format!("{} of {} for {}", request.aggregator, request.sources.join(","), request.purpose);
    let detail = if task.detail.is_empty() { String::new() } else { format!(": {}", task.detail) };
    format!("{}  {}  {}  {what}{detail}", task.id, task.created, task.state)
}

/// A task with its results.
pub(crate) fn words(opened: &Opened) -> String {
    let details = details(opened);
    if details.is_empty() { line(&opened.task) } else { format!("{}\n{details}", line(&opened.task)) }
}

/// What its computations came to.
pub(crate) fn details(opened: &Opened) -> String {
    let mut lines = Vec::new();
    for result in &opened.results {
        lines.push(format!("  computation {}, {} contributed", result.window, result.contributors));
        lines.extend(result.statistics.iter().map(|one| format!("    {:<28} {}", one.name, one.value)));
        lines.extend(result.no_result.iter().map(|why| format!("    no result: {why}")));
    }
    let failed = opened.task.windows.iter().filter(|window| window.state != "done");
    lines.extend(failed.map(|window| format!("  computation {}: {}", window.window, window.detail)));
    lines.extend(opened.remarks.iter().map(|remark| format!("  {remark}")));
    lines.join("\n")
}
