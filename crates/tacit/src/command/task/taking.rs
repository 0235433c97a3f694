//! Having a gateway take a task, once.
//!
//! Whoever asks under a word of its own is answered with the task that was taken under it, and with no other: what was heard
//! to be taken is only read again, and never asked again.

use std::path::Path;

use tacit_client::Client;
use tacit_job::{question, task_id};
use tacit_model::Slot;
use tacit_model::api::{NewTask, TaskBody, TaskRequest};
use tacit_model::problem::ProblemKind;

use super::answer::in_order;
use super::asked::Asked;
use crate::negotiating::refused;
use crate::output::{Failure, for_shell};

/// Under which word it is asked, which makes repeating safe.
pub(super) enum Under<'a> {
    /// None.
    Nothing,
    /// One for this command alone: it may have to ask another gateway the same.
    Once(String),
    /// One that somebody chose, and what is known of it.
    Kept(&'a str, &'a Asked),
}

/// The task that the gateway takes, or took before under the same word. What goes on there although this fails, the failure
/// says: `unheard` does of a task.
pub(super) async fn taken(
    client: &Client,
    new: &NewTask,
    under: &Under<'_>,
    unheard: impl Fn(&str) -> String,
) -> Result<TaskBody, Failure> {
    let (word, kept) = match under {
        Under::Nothing => (None, None),
        Under::Once(word) => (Some(word.as_str()), None),
        Under::Kept(word, asked) => (Some(*word), Some((*word, *asked))),
    };
    let before = kept.map(|(word, asked)| asked.note(word, &new.task)).transpose()?.flatten();
    let body = match (&before, kept) {
        (Some(id), Some((word, _))) => taken_before(client, word, id).await?,
        _ => client.submit_task(new, word).await?,
    };
    in_order(&body)?;
    if !same(&new.task, &body, kept.is_some()) {
        return Err(refused("what the gateway took is another task than the one that was asked"));
    }
    if let Some((word, asked)) = kept
        && let Err(why) = asked.check(word, &body.id)
    {
        let own = new.task == body.task;
        let ended = own && client.cancel_task(&body.id).await.is_ok_and(|ended| ended.state != "open");
        return Err(match (ended, body.state == "open") {
            (true, _) => why.about(&format!("task {}, which the gateway has just taken, is ended", body.id)),
            (false, true) => why.about(&unheard(&body.id)),
            (false, false) => why,
        });
    }
    Ok(body)
}

async fn taken_before(client: &Client, word: &str, id: &str) -> Result<TaskBody, Failure> {
    match client.task(id).await {
        Err(error) if error.kind() == Some(ProblemKind::NotFound) => Err(refused(format!(
            "task {id}, which was taken under --idempotency-key {word}, is gone at the gateway. Nothing is asked anew under the \
             same key; choose another one"
        ))),
        body => the_same(id, body?),
    }
}

/// The task with this id, and no other.
pub(super) async fn task(client: &Client, id: &str) -> Result<TaskBody, Failure> {
    the_same(id, client.task(id).await?)
}

/// The same, with its computations from one on.
pub(super) async fn task_from(client: &Client, id: &str, from: Slot) -> Result<TaskBody, Failure> {
    the_same(id, client.task_from(id, from).await?)
}

fn the_same(id: &str, body: TaskBody) -> Result<TaskBody, Failure> {
    in_order(&body)?;
    match body.id == id {
        true => Ok(body),
        false => Err(refused(format!("what the gateway shows as task {id} is another one"))),
    }
}

/// Whether a task is the one that was asked; `again` if it may have been taken earlier, under the same word.
fn same(asked: &TaskRequest, body: &TaskBody, again: bool) -> bool {
    let taken = &body.task;
    task_id(taken).to_string() == body.id && (asked == taken || (again && question(asked) == question(taken)))
}

/// What whoever stopped listening should know. The gateway goes on with what it has taken.
pub(super) fn unheard(id: &str, file: Option<&Path>, sealed: bool) -> String {
    let key = file.map(|file| format!(" --result-key {}", for_shell(&file.display().to_string()))).unwrap_or_default();
    let lost = match (sealed, file) {
        (true, None) => " (what is sealed could be opened by this command only; --result-key FILE keeps the key)",
        _ => "",
    };
    format!(
        "task {id} goes on at the gateway{lost}: `tacit task watch {id}{key}` follows it, `tacit task cancel {id}` ends it"
    )
}

#[cfg(test)]
mod tests;
