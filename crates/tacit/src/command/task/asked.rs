//! Which tasks a client asked under which idempotency key.
//!
//! A gateway answers the same question under the same key with the task that it took before. An earlier task of the same
//! question opens with the same result key, and its recipients signed it as well. So a client notes each task that it asks
//! under a key before it asks, and then which one was taken: from then on it takes that one and no other.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tacit_job::{question, task_id};
use tacit_model::api::TaskRequest;

use crate::kept_file::{KeptFile, read};
use crate::negotiating::refused;
use crate::output::Failure;

/// So many tasks that nobody was heard to take are remembered of a key.
const MOST: usize = 1000;

/// What was asked under a key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Noted {
    /// The same for all of them: a digest, in the form of a task's id.
    question: String,
    /// Any of these may have been taken: the answer was not heard.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    tasks: Vec<String>,
    /// The one that was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    taken: Option<String>,
}

/// The keys that this client used.
pub(crate) struct Asked {
    file: Option<PathBuf>,
}

impl Asked {
    /// What is in the file, which is made when the first key is used. Without one nothing is remembered: then nothing that was
    /// sealed for an earlier task can be opened either.
    pub(crate) fn new(file: Option<PathBuf>) -> Self {
        Self { file }
    }

    /// Notes, durably, that a task is about to be asked under a key.
    pub(crate) fn note(&self, key: &str, task: &TaskRequest) -> Result<(), Failure> {
        let about = task_id(&question(task)).to_string();
        self.change(key, |noted| {
            if noted.question.is_empty() {
                noted.question.clone_from(&about);
            }
            if noted.question != about {
                return Err(refused(format!(
                    "another question was asked under --idempotency-key {key}{}: choose another key",
                    noted.taken.as_ref().map(|task| format!(", task {task}")).unwrap_or_default()
                )));
            }
            if noted.taken.is_none() {
                noted.tasks.push(task_id(task).to_string());
                noted.tasks.drain(..noted.tasks.len().saturating_sub(MOST));
            }
            Ok(())
        })
    }

    /// Whether the task that a gateway answers with is one that this client asked under the key; it is the one from now on.
    pub(crate) fn check(&self, key: &str, id: &str) -> Result<(), Failure> {
        self.change(key, |noted| {
            let known = |task: &str| format!("task {task}, and the gateway answers with task {id}");
            let why = match &noted.taken {
                Some(task) if task == id => return Ok(()),
                Some(task) => known(task),
                None if noted.tasks.iter().any(|task| task == id) => {
                    (noted.taken, noted.tasks) = (Some(id.to_owned()), Vec::new());
                    return Ok(());
                }
                None => format!("no task that the gateway could answer with: it shows task {id}"),
            };
            Err(refused(format!(
                "under --idempotency-key {key} this client asked {why}. That may be an earlier one of the same question, so \
                 nothing of it is taken. `tacit task show ID` shows a task that you know; another key asks anew"
            )))
        })
    }

    fn change(&self, key: &str, change: impl FnOnce(&mut Noted) -> Result<(), Failure>) -> Result<(), Failure> {
        let Some(path) = &self.file else { return Ok(()) };
        let file = KeptFile::lock(path)?;
        let mut all = keys(path)?;
        let noted = all.entry(key.to_owned()).or_default();
        let before = noted.clone();
        change(noted)?;
        if *noted == before {
            return Ok(());
        }
        file.replace(&(serde_json::to_string_pretty(&all)? + "\n"), 0o600)
    }
}

fn keys(path: &Path) -> Result<BTreeMap<String, Noted>, Failure> {
    let Some(text) = read(path)? else { return Ok(BTreeMap::new()) };
    serde_json::from_str(&text)
        .map_err(|error| Failure::usage(format!("{} is no list of asked tasks: {error}", path.display())))
}

#[cfg(test)]
mod tests {
    use tacit_model::GroupId;

    use super::*;

    fn request(nonce: u8) -> TaskRequest {
        TaskRequest { nonce: hex::encode([nonce; 16]), ..TaskRequest::about(GroupId(1), "x", "mean", "test") }
    }

    fn id(nonce: u8) -> String {
        task_id(&request(nonce)).to_string()
    }

    #[test]
    fn rule11_an_earlier_task_is_no_answer_to_a_key() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = || Asked::new(Some(folder.path().join("asked")));
        file().note("monday", &request(1)).expect("noted");
        file().check("monday", &id(1)).expect("what was asked");
        file().note("tuesday", &request(2)).expect("noted");
        let why = file().check("tuesday", &id(1)).expect_err("monday's").to_string();
        assert!(why.contains("tuesday") && why.contains(&id(1)), "{why}");
        // The answer was not heard: either of the two may have been taken, and later only that one.
        file().note("tuesday", &request(3)).expect("noted");
        file().check("tuesday", &id(2)).expect("what was asked first");
        let why = file().check("tuesday", &id(3)).expect_err("not the one that was taken").to_string();
        assert!(why.contains(&id(2)) && why.contains(&id(3)), "{why}");
        file().note("tuesday", &request(4)).expect("noted");
        assert!(file().check("tuesday", &id(4)).is_err(), "nor one that is asked after it");
        file().check("tuesday", &id(2)).expect("the same again");
    }

    #[test]
    fn a_key_is_for_one_question() {
        let folder = tempfile::tempdir().expect("a folder");
        let asked = Asked::new(Some(folder.path().join("asked")));
        asked.note("k", &request(1)).expect("noted");
        asked.check("k", &id(1)).expect("what was asked");
        let other = TaskRequest { purpose: "else".to_owned(), ..request(2) };
        let why = asked.note("k", &other).expect_err("another question").to_string();
        assert!(why.contains("another question") && why.contains(&id(1)), "{why}");
        // Another result key is the same question: its client has lost the first one.
        let again = TaskRequest { result_key: Some("key".to_owned()), ..request(2) };
        asked.note("k", &again).expect("the same question");
    }

    #[test]
    fn what_nobody_took_does_not_grow_without_end() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("asked");
        let tasks: Vec<String> = (0..MOST).map(|number| number.to_string()).collect();
        let known = Noted { question: task_id(&question(&request(1))).to_string(), tasks, taken: None };
        std::fs::write(&path, serde_json::to_string(&BTreeMap::from([("k", known)])).expect("JSON")).expect("written");
        Asked::new(Some(path.clone())).note("k", &request(1)).expect("noted");
        let tasks = &keys(&path).expect("read")["k"].tasks;
        assert_eq!((tasks.len(), tasks[0].as_str(), tasks[MOST - 1].as_str()), (MOST, "1", id(1).as_str()));
    }
}
