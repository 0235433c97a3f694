//! What came of a task: opened, compared, shown.

use std::path::Path;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use tacit_accord::{Charter, ConsensusId};
use tacit_client::Client;
use tacit_job::{Settled, Telling, settle, task_id};
use tacit_model::api::{TaskBody, TaskResult, TaskWindow};
use tacit_model::{Fingerprint, Slot};
use tacit_pki::result_key::ResultKey;
use zeroize::Zeroizing;

use super::known::Known;
use crate::kept_file::KeptFile;
use crate::negotiating::refused;
use crate::output::Failure;

/// A task with the results that could be opened.
#[derive(Serialize)]
pub(crate) struct Opened {
    #[serde(flatten)]
    pub(crate) task: TaskBody,
    /// One per computation that is done, and of which something can be taken.
    pub(crate) results: Vec<TaskResult>,
    /// Computations that are done, and of whose result nothing is taken.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) refused: Vec<Refused>,
    /// On whose word results rest alone, and who told something else than those they are taken from.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) remarks: Vec<String>,
}

/// A computation of whose result nothing is taken.
#[derive(Serialize)]
pub(crate) struct Refused {
    /// Which one.
    pub(crate) window: Slot,
    /// Why not.
    pub(crate) why: String,
}

impl Opened {
    /// An error if of any computation nothing is taken. The others' results stand all the same.
    pub(crate) fn all_taken(&self) -> Result<(), Failure> {
        match &self.refused[..] {
            [] => Ok(()),
            [only] => Err(refused(format!("computation {}: {}", only.window.counted(), only.why))),
            [first, others @ ..] => {
                let others: Vec<String> = others.iter().map(|other| other.window.counted().to_string()).collect();
                let (number, more) = (first.window.counted(), others.join(", "));
                Err(refused(format!("computation {number}: {}; nor is anything taken of {more}", first.why)))
            }
        }
    }
}

/// What is said of results to whoever has no key for them.
const SEALED: &str = "the result is sealed; give --result-key FILE";

/// Opens what was sealed for the key, and takes what enough recipients signed by the group's charter as this client knows
/// it (`tacit_job::settle`): the gateway's word alone is worth nothing. What is wrong with one computation is said of it,
/// and keeps nobody from the others.
pub(crate) async fn opened(
    client: &Client,
    known: &Known,
    mut task: TaskBody,
    key: Option<&ResultKey>,
) -> Result<Opened, Failure> {
    if task_id(&task.task).to_string() != task.id {
        return Err(refused(format!("what the gateway shows as task {} is another one", task.id)));
    }
    in_order(&task)?;
    let told = task.windows.iter().any(|window| !window.sealed.is_empty());
    let unasked = forget_unasked(&mut task);
    let Some(key) = key else {
        let results = task.windows.iter().filter_map(|window| window.result.clone()).collect();
        let mut remarks = unasked;
        remarks.extend(told.then(|| SEALED.to_owned()));
        return Ok(Opened { task, results, refused: Vec::new(), remarks });
    };
    let group = task.task.group;
    let mut chain = if told { known.chain(client, group, false).await? } else { Arc::default() };
    let tellings: Vec<(Slot, Vec<Telling>)> = task.windows.iter().map(|window| tellings(&task, window, key)).collect();
    let news = |(_, consensus): (Fingerprint, ConsensusId)| chain.iter().all(|known| known.consensus.id() != consensus);
    if tellings.iter().flat_map(|(_, all)| all).filter_map(|telling| telling.teller).any(news) {
        chain = known.chain(client, group, true).await?;
    }
    let (mut results, mut untaken, mut remarks) = (Vec::new(), Vec::new(), unasked);
    let asked_with = task.task.result_key.as_deref();
    for ((number, tellings), window) in tellings.iter().zip(&task.windows) {
        if !tellings.is_empty() && asked_with.is_some_and(|asked| asked != key.public()) {
            let why = "the task was asked with another result key; what was sealed for that one this one cannot open";
            untaken.push(Refused { window: *number, why: why.to_owned() });
            continue;
        }
        match settle(tellings, &task.task, *number, &chain) {
            Err(why) => untaken.push(Refused { window: *number, why: why.to_string() }),
            Ok(Some(settled)) => {
                let charter = chain.iter().map(|seen| &seen.consensus).find(|it| it.id() == settled.consensus);
                remarks.extend(charter.into_iter().flat_map(|it| remarks_on(*number, &settled, it.charter())));
                results.push(settled.result);
            }
            // Whoever has a key takes nothing that the gateway could have made up.
            Ok(None) if window.result.is_some() => remarks.push(format!(
                "computation {}: told in clear, not sealed; without a result key it is shown",
                number.counted()
            )),
            Ok(None) => {}
        }
    }
    Ok(Opened { task, results, refused: untaken, remarks })
}

/// Takes away what the gateway shows in clear of a task that asked for nothing in clear: nobody but it can have made that
/// up. What is to be remarked.
fn forget_unasked(task: &mut TaskBody) -> Vec<String> {
    let windows = task.windows.iter_mut().filter(|_| !task.task.tell_gateway);
    let unasked = windows.filter_map(|window| window.result.take().map(|_| window.window.counted()));
    unasked.map(|number| format!("computation {number}: told in clear, which nobody asked for; ignored")).collect()
}

/// An error if a computation is shown twice, or before an earlier one: each is told once, in its place.
pub(crate) fn in_order(task: &TaskBody) -> Result<(), Failure> {
    match task.windows.is_sorted_by(|one, next| one.window < next.window) {
        true => Ok(()),
        false => Err(refused(format!("the gateway shows the computations of task {} twice or in disorder", task.id))),
    }
}

fn tellings(task: &TaskBody, window: &TaskWindow, key: &ResultKey) -> (Slot, Vec<Telling>) {
    let number = window.window;
    (number, window.sealed.iter().map(|sealed| Telling::open(sealed, &task.id, number, key)).collect())
}

fn remarks_on(window: Slot, settled: &Settled, charter: &Charter) -> Vec<String> {
    let member = |who: &Fingerprint| match charter.member(who) {
        Some(member) => format!("{} of {} ({who})", member.name, member.operator),
        None => who.to_string(),
    };
    let (number, mut remarks) = (window.counted(), Vec::new());
    if !settled.word_of.is_empty() {
        let who: Vec<String> = settled.word_of.iter().map(member).collect();
        remarks.push(format!(
            "computation {number} rests on the word of {} alone, who signed it: so few operators were to learn it that none of \
             them needs to be honest",
            who.join(" and ")
        ));
    }
    if !settled.liars.is_empty() {
        let who: Vec<String> = settled.liars.iter().map(member).collect();
        remarks.push(format!("computation {number}: {} told another result under a signature", who.join(" and ")));
    }
    if settled.unclear > 0 {
        let count = settled.unclear;
        remarks.push(format!("computation {number}: {count} more told without the signature of a recipient; ignored"));
    }
    remarks
}

/// The key in a file that only its owner can read; made if there is none.
pub(crate) fn key_file(file: &Path) -> Result<ResultKey, Failure> {
    if file.exists() {
        return known_key(file);
    }
    let new = KeptFile::lock(file)?;
    if file.exists() {
        // Another command has made it meanwhile.
        return known_key(file);
    }
    let key = ResultKey::generate()?;
    let private = Zeroizing::new(STANDARD.encode(&*key.expose_private()));
    new.replace(&Zeroizing::new(format!("{}\n{}\n", key.public(), &*private)), 0o400)?;
    Ok(key)
}

/// The key in a file.
pub(crate) fn known_key(file: &Path) -> Result<ResultKey, Failure> {
    let about = |e: std::io::Error| Failure::usage(format!("{} cannot be read: {e}", file.display()));
    let text = Zeroizing::new(std::fs::read_to_string(file).map_err(about)?);
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
    format!("{}  {}  {}  {what}{detail}", task.id, task.created, state(task))
}

/// How it stands; of a repeated task that goes on, how far it is, and of one that is over, how many computations have a result:
/// its state is that of the last.
fn state(task: &TaskBody) -> String {
    let state = &task.state;
    match (&task.task.repeat, task.windows.last()) {
        (Some(repeat), Some(last)) if state == "open" => {
            format!("{state}, {} of {} computations over", last.window.counted(), repeat.times)
        }
        (Some(repeat), _) if usize::try_from(repeat.times) == Ok(task.windows.len()) => {
            let done = task.windows.iter().filter(|window| window.state == "done").count();
            format!("{state}, {done} of {} computations with a result", repeat.times)
        }
        _ => state.clone(),
    }
}

/// A task with its results.
pub(crate) fn words(opened: &Opened) -> String {
    let details = details(opened);
    if details.is_empty() { line(&opened.task) } else { format!("{}\n{details}", line(&opened.task)) }
}

/// What its computations came to, each in its place.
pub(crate) fn details(opened: &Opened) -> String {
    let mut parts: Vec<(Slot, Vec<String>)> = Vec::new();
    for result in &opened.results {
        let mut lines = vec![format!("  computation {}, {} contributed", result.window.counted(), result.contributors)];
        lines.extend(result.statistics.iter().map(|one| format!("    {:<28} {}", one.name, one.value)));
        lines.extend(result.no_result.iter().map(|why| format!("    no result: {why}")));
        // Such as the largest items where all are 0.
        let empty = result.statistics.is_empty() && result.no_result.is_none();
        lines.extend(empty.then(|| "    the list is empty".to_owned()));
        parts.push((result.window, lines));
    }
    for refused in &opened.refused {
        parts.push((refused.window, vec![format!("  computation {}: {}", refused.window.counted(), refused.why)]));
    }
    // Why the only one has no result stands beside the task.
    let is_said = |window: &TaskWindow| opened.task.task.repeat.is_none() && window.detail == opened.task.detail;
    for failed in opened.task.windows.iter().filter(|window| window.state != "done" && !is_said(window)) {
        parts.push((failed.window, vec![format!("  computation {}: {}", failed.window.counted(), failed.detail)]));
    }
    parts.sort_by_key(|(window, _)| *window);
    let mut lines: Vec<String> = parts.into_iter().flat_map(|(_, lines)| lines).collect();
    lines.extend(opened.remarks.iter().map(|remark| format!("  {remark}")));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use tacit_model::GroupId;
    use tacit_model::api::{TaskRepeat, TaskRequest};

    use super::*;

    fn window(number: i64, state: &str) -> TaskWindow {
        TaskWindow { detail: "nobody came".to_owned(), ..TaskWindow::new(Slot(number), state) }
    }

    /// A task of ten computations, of which so many are over.
    fn repeated(over: i64) -> TaskBody {
        let task = TaskRequest {
            repeat: Some(TaskRepeat { every_s: 60, times: 10 }),
            ..TaskRequest::about(GroupId(1), "temperature", "mean", "HVAC")
        };
        TaskBody {
            id: task_id(&task).to_string(),
            task,
            state: "open".to_owned(),
            detail: String::new(),
            created: String::new(),
            windows: (0..over).map(|number| window(number, "failed")).collect(),
        }
    }

    fn unopened(task: TaskBody) -> Opened {
        Opened { task, results: Vec::new(), refused: Vec::new(), remarks: Vec::new() }
    }

    /// Rule 11: a gateway that shows a number of its own for a task that was asked for with a key is not believed.
    #[test]
    fn rule11_a_result_in_clear_that_was_not_asked_for_is_not_shown() {
        for clear in [false, true] {
            let mut task = repeated(2);
            task.task.tell_gateway = clear;
            task.windows[1].result = Some(TaskResult {
                id: task.id.clone(),
                window: Slot(1),
                statistics: Vec::new(),
                no_result: None,
                values: Vec::new(),
                contributors: 3,
            });
            let remarks = forget_unasked(&mut task);
            assert_eq!(task.windows[1].result.is_some(), clear);
            assert_eq!(remarks.len(), usize::from(!clear));
            assert!(remarks.iter().all(|remark| remark.contains("computation 2: told in clear")), "{remarks:?}");
        }
    }

    /// As receipts and peers count them.
    #[test]
    fn computations_are_counted_from_one() {
        let mut opened = unopened(repeated(2));
        let shown = details(&opened);
        assert!(
            shown.contains("computation 1: nobody came") && shown.contains("computation 2: nobody came"),
            "{shown}"
        );
        assert!(!shown.contains("computation 0"), "{shown}");
        opened.refused = [3, 5].map(|number| Refused { window: Slot(number), why: "no words".to_owned() }).into();
        let why = opened.all_taken().expect_err("refused").to_string();
        assert!(why.contains("computation 4: no words; nor is anything taken of 6"), "{why}");
    }

    #[test]
    fn an_open_task_says_how_far_it_is() {
        let shown = [0, 1, 2].map(|over| line(&repeated(over)));
        assert!(shown[0].contains("  open  ") && shown[1].contains("  open, 1 of 10 computations over  "), "{shown:?}");
        assert!(shown[2].contains("  open, 2 of 10 computations over  "), "{shown:?}");
        let ended = |over| TaskBody { state: "failed".to_owned(), ..repeated(over) };
        assert!(line(&ended(2)).contains("  failed  "), "it was given up before");
        let mut all = ended(10);
        all.windows[3].state = "done".to_owned();
        assert!(line(&all).contains("  failed, 1 of 10 computations with a result  "), "{}", line(&all));
    }

    /// A computation that is done says what it came to, also where that is nothing.
    #[test]
    fn a_result_without_a_value_is_not_left_blank() {
        let shown = |no_result: Option<&str>| {
            let task = TaskBody { state: "done".to_owned(), windows: vec![window(0, "done")], ..repeated(0) };
            let result = TaskResult {
                id: task.id.clone(),
                window: Slot(0),
                statistics: Vec::new(),
                no_result: no_result.map(str::to_owned),
                values: Vec::new(),
                contributors: 3,
            };
            let opened = Opened { results: vec![result], ..unopened(task) };
            (details(&opened), opened.all_taken().is_ok())
        };
        assert_eq!(shown(None), ("  computation 1, 3 contributed\n    the list is empty".to_owned(), true));
        let noise = "  computation 1, 3 contributed\n    no result: only noise".to_owned();
        assert_eq!(shown(Some("only noise")), (noise, true));
    }

    #[test]
    fn why_there_is_no_result_is_said_once() {
        let only = TaskRequest::about(GroupId(1), "temperature", "mean", "HVAC");
        let task = TaskBody {
            id: task_id(&only).to_string(),
            task: only,
            state: "failed".to_owned(),
            detail: "nobody came".to_owned(),
            created: String::new(),
            windows: vec![window(0, "failed")],
        };
        let shown = words(&unopened(task));
        assert_eq!(shown.matches("nobody came").count(), 1, "{shown}");
    }

    #[tokio::test]
    async fn without_its_key_a_sealed_result_is_said_to_be_sealed() {
        let client = Client::new("http://127.0.0.1:1", None, None).expect("a client");
        for (sealed, said) in [(vec!["AAAA".to_owned()], true), (Vec::new(), false)] {
            let mut task = repeated(1);
            task.windows = vec![TaskWindow { sealed, ..window(0, "done") }];
            let shown = words(&opened(&client, &Known::own(), task, None).await.expect("shown"));
            assert_eq!(shown.contains("the result is sealed; give --result-key FILE"), said, "{shown}");
        }
    }
}
