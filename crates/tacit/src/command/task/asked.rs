//! Which tasks a client asked under which idempotency key.
//!
//! A gateway answers the same question under the same key with the task that it took before. An earlier task of the same
//! question opens with the same result key, and its recipients signed it as well. So a client notes each task that it asks
//! under a key before it asks, and then which one was taken: from then on it takes that one and no other, and asks nothing
//! anew, since a gateway that forgot the key would compute a second one.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tacit_accord::digest;
use tacit_job::{question, task_id};
use tacit_model::GroupId;
use tacit_model::api::TaskRequest;

use crate::kept_file::{self, KeptFile};
use crate::negotiating::refused;
use crate::output::Failure;

/// So many tasks that nobody was heard to take are remembered of a key.
const MOST: usize = 1000;

/// What was asked under a key of one client at one gateway.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Noted {
    /// What was asked last: a digest, in the form of a task's id.
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
    /// A gateway keeps the keys of different clients apart, and knows nothing of those of another gateway; one file may be of
    /// several.
    scope: String,
}

impl Asked {
    /// What is in the file, which is made when the first key is used. Without one nothing is remembered: then nothing that was
    /// sealed for an earlier task can be opened either.
    ///
    /// `client` is by what the gateway tells it from others, `manager` decides in the group that it asks there.
    pub(crate) fn new(file: Option<PathBuf>, client: &[u8], manager: &str, group: GroupId) -> Self {
        let whose = [client, manager.as_bytes(), group.to_string().as_bytes()].map(|part| digest("asked", part));
        Self { file, scope: hex::encode(digest("asked", &whose.concat())) }
    }

    /// Notes, durably, that a task is about to be asked under a key; the task that was taken under it before, if there is one:
    /// then there is nothing to ask.
    pub(crate) fn note(&self, key: &str, task: &TaskRequest) -> Result<Option<String>, Failure> {
        let about = task_id(&question(task)).to_string();
        self.change(key, |noted| match &noted.taken {
            Some(task) if noted.question != about => Err(refused(format!(
                "another question was asked under --idempotency-key {key}, task {task}: choose another key"
            ))),
            Some(task) => Ok(Some(task.clone())),
            None => {
                // The gateway may have refused what was asked before. If it did not, its answer to this is another task.
                noted.question = about;
                noted.tasks.push(task_id(task).to_string());
                noted.tasks.drain(..noted.tasks.len().saturating_sub(MOST));
                Ok(None)
            }
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

    fn change<T: Default>(
        &self,
        key: &str,
        change: impl FnOnce(&mut Noted) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let Some(path) = &self.file else { return Ok(T::default()) };
        let file = KeptFile::lock(path)?;
        let mut all = keys(path)?;
        let noted = all.entry(self.name(key)).or_default();
        let before = noted.clone();
        let told = change(noted)?;
        if *noted != before {
            file.replace_entries(&all)?;
        }
        Ok(told)
    }

    fn name(&self, key: &str) -> String {
        format!("{key} of {}", self.scope)
    }
}

fn keys(path: &Path) -> Result<BTreeMap<String, Noted>, Failure> {
    kept_file::entries(path, "asked tasks")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own(file: PathBuf) -> Asked {
        Asked::new(Some(file), b"client", "manager", GroupId(1))
    }

    fn request(nonce: u8) -> TaskRequest {
        TaskRequest { nonce: hex::encode([nonce; 16]), ..TaskRequest::about(GroupId(1), "x", "mean", "test") }
    }

    fn id(nonce: u8) -> String {
        task_id(&request(nonce)).to_string()
    }

    #[test]
    fn rule11_an_earlier_task_is_no_answer_to_a_key() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = || own(folder.path().join("asked"));
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
        assert_eq!(file().note("tuesday", &request(4)).expect("the same question"), Some(id(2)), "nothing to ask");
        assert!(file().check("tuesday", &id(4)).is_err(), "nor one that is asked after it");
        file().check("tuesday", &id(2)).expect("the same again");
    }

    #[test]
    fn a_key_is_for_one_question() {
        let folder = tempfile::tempdir().expect("a folder");
        let asked = own(folder.path().join("asked"));
        // Nobody was heard to take what was mistyped; its task is known all the same.
        let mistyped = TaskRequest { purpose: "heatimg".to_owned(), ..request(3) };
        assert_eq!(asked.note("k", &mistyped).expect("noted"), None);
        assert_eq!(asked.note("k", &request(1)).expect("noted"), None);
        let tasks = keys(&folder.path().join("asked")).expect("read").into_values().next().expect("an entry").tasks;
        assert_eq!(tasks, [task_id(&mistyped).to_string(), id(1)]);
        asked.check("k", &id(1)).expect("what was asked");
        let other = TaskRequest { purpose: "else".to_owned(), ..request(2) };
        let why = asked.note("k", &other).expect_err("another question").to_string();
        assert!(why.contains("another question") && why.contains(&id(1)), "{why}");
        // Another result key is the same question: its client has lost the first one.
        let again = TaskRequest { result_key: Some("key".to_owned()), ..request(2) };
        assert_eq!(asked.note("k", &again).expect("the same question"), Some(id(1)));
    }

    #[test]
    fn the_same_key_of_another_client_group_or_gateway_is_another_one() {
        let folder = tempfile::tempdir().expect("a folder");
        let asked = |client: &[u8], manager, group| {
            Asked::new(Some(folder.path().join("asked")), client, manager, GroupId(group))
        };
        let all = [
            asked(b"client", "manager", 1),
            asked(b"other", "manager", 1),
            asked(b"client", "other", 1),
            asked(b"client", "manager", 11),
            asked(b"clientm", "anager", 1),
        ];
        for (nonce, asked) in (1..).zip(&all) {
            let task = TaskRequest { purpose: format!("purpose {nonce}"), ..request(nonce) };
            assert_eq!(asked.note("k", &task).expect("noted"), None);
            asked.check("k", &task_id(&task).to_string()).expect("what was asked");
        }
        for (nonce, asked) in (1..).zip(&all) {
            let task = TaskRequest { purpose: format!("purpose {nonce}"), ..request(nonce) };
            assert_eq!(asked.note("k", &task).expect("the same"), Some(task_id(&task).to_string()));
        }
    }

    #[test]
    fn what_nobody_took_does_not_grow_without_end() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("asked");
        let tasks: Vec<String> = (0..MOST).map(|number| number.to_string()).collect();
        let known = Noted { question: task_id(&question(&request(1))).to_string(), tasks, taken: None };
        let asked = own(path.clone());
        let name = asked.name("k");
        std::fs::write(&path, serde_json::to_string(&BTreeMap::from([(&name, known)])).expect("JSON"))
            .expect("written");
        asked.note("k", &request(1)).expect("noted");
        let tasks = &keys(&path).expect("read")[&name].tasks;
        assert_eq!((tasks.len(), tasks[0].as_str(), tasks[MOST - 1].as_str()), (MOST, "1", id(1).as_str()));
    }
}
