//! What came of a task: opened, compared, shown.

use std::io::Write;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use tacit_model::api::{TaskBody, TaskResult, TaskWindow};
use tacit_pki::result_key::ResultKey;

use crate::output::{Code, Failure};

/// A task with the results that could be opened.
#[derive(Serialize)]
pub(crate) struct Opened {
    #[serde(flatten)]
    pub(crate) task: TaskBody,
    /// One per computation that is done.
    pub(crate) results: Vec<TaskResult>,
}

/// Opens what was sealed for the key. All that the recipients of a computation sealed must be the same.
pub(crate) fn open(task: TaskBody, key: Option<&ResultKey>) -> Result<Opened, Failure> {
    let mut results = Vec::new();
    for window in &task.windows {
        let told = match key {
            Some(key) => unseal(&task.id, window, key)?,
            None => None,
        };
        results.extend(told.or_else(|| window.result.clone()));
    }
    Ok(Opened { task, results })
}

fn unseal(id: &str, window: &TaskWindow, key: &ResultKey) -> Result<Option<TaskResult>, Failure> {
    let wrong = |what: &str| Failure::new(Code::Refused, format!("computation {}: {what}", window.window));
    let mut agreed: Option<TaskResult> = None;
    for sealed in &window.sealed {
        let text = key.open(sealed, id.as_bytes())?;
        let result: TaskResult = serde_json::from_slice(&text)?;
        if result.id != id || result.window != window.window {
            return Err(wrong("a recipient sealed the result of another task"));
        }
        if agreed.as_ref().is_some_and(|agreed| *agreed != result) {
            return Err(wrong("the recipients sealed different results; at least one of them is wrong"));
        }
        agreed = Some(result);
    }
    Ok(agreed)
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
    lines.join("\n")
}
