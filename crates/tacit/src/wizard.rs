//! Questions, one after the other, that can be interrupted and gone on with.
//!
//! Every question names the setting, the value that is proposed and by whom, and what Enter means. Answers are
//! kept in a file after each step: a wizard that was killed goes on where it was, and asks nothing twice. Each
//! answer is also a flag, and then nothing is asked.

pub(crate) mod create;
pub(crate) mod join;
pub(crate) mod own;
pub(crate) mod review;

use std::collections::BTreeMap;
use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::path::PathBuf;

use tacit_model::plain_lines;

use crate::kept_file;
use crate::output::{Failure, result_line};

/// A run of questions with a memory.
pub(crate) struct Wizard {
    file: PathBuf,
    answers: BTreeMap<String, String>,
    ask: bool,
}

/// One question.
pub(crate) struct Question<'a> {
    /// The setting, such as `PEER_NAME`.
    pub(crate) name: &'a str,
    /// What it is, in a few words.
    pub(crate) title: &'a str,
    /// What Enter means.
    pub(crate) default: &'a str,
    /// Who proposes that.
    pub(crate) by: &'a str,
    /// What may be answered; anything if empty.
    pub(crate) choices: &'a [&'a str],
}

/// Whether a command should ask: somebody is there, or says so.
pub(crate) fn somebody_is_there(ask: bool, yes: bool) -> bool {
    ask || (!yes && std::io::stdin().is_terminal())
}

impl Wizard {
    /// Goes on with what the file remembers. Without `ask`, flags and defaults are all the answers.
    pub(crate) fn open(file: PathBuf, ask: bool) -> Result<Self, Failure> {
        let answers = match std::fs::read_to_string(&file) {
            Ok(text) => serde_json::from_str(&text).map_err(|_| {
                Failure::usage(format!("{} is no memory of a wizard; remove it to begin anew", file.display()))
            })?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => BTreeMap::new(),
            Err(error) => return Err(error.into()),
        };
        Ok(Self { file, answers, ask })
    }

    /// What was noted under this name.
    pub(crate) fn noted(&self, name: &str) -> Option<&str> {
        self.answers.get(name).map(String::as_str)
    }

    /// Remembers something, durably, before anything relies on it.
    pub(crate) fn note(&mut self, name: &str, value: &str) -> Result<(), Failure> {
        self.answers.insert(name.to_owned(), value.to_owned());
        if let Some(folder) = self.file.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder)?;
        }
        Ok(kept_file::replace(&self.file, &serde_json::to_string_pretty(&self.answers)?, 0o600)?)
    }

    /// The answer to a question: the flag, what was answered before, or what is typed; Enter takes the default.
    pub(crate) fn ask(&mut self, question: &Question<'_>, flag: Option<String>) -> Result<String, Failure> {
        self.ask_checked(question, flag, |_| Ok(()))
    }

    /// As [`ask`](Self::ask), for an answer that must hold something. What does not is never remembered: it is asked
    /// for again at once; where nobody is there to ask, the command ends with the reason.
    pub(crate) fn ask_checked(
        &mut self,
        question: &Question<'_>,
        flag: Option<String>,
        check: impl Fn(&str) -> Result<(), Failure>,
    ) -> Result<String, Failure> {
        let name = question.name;
        if let Some(value) = flag {
            check(&value)?;
            self.note(name, &value)?;
            say(&format!("{name}: {value} (as you said)"))?;
            return Ok(value);
        }
        if let Some(value) = self.noted(name).map(str::to_owned) {
            say(&format!("{name}: {value} (answered before)"))?;
            match check(&value) {
                Ok(()) => return Ok(value),
                Err(why) => say(&why.to_string())?,
            }
        }
        let choices = if question.choices.is_empty() {
            String::new()
        } else {
            format!(", one of {}", question.choices.join(", "))
        };
        say(&format!("{}{choices}", question.title))?;
        say(&format!("Set {name} (default: '{}', proposed by {})", question.default, question.by))?;
        let value = loop {
            let typed = if self.ask { typed(name)? } else { String::new() };
            let value = if typed.is_empty() { question.default.to_owned() } else { typed };
            if !(question.choices.is_empty() || question.choices.contains(&value.as_str())) {
                say(&format!("{value:?} is none of {}", question.choices.join(", ")))?;
                continue;
            }
            match check(&value) {
                Ok(()) => break value,
                Err(why) if !self.ask => return Err(why),
                Err(why) => say(&why.to_string())?,
            }
        };
        self.note(name, &value)?;
        say(&format!("{name}: {value}"))?;
        Ok(value)
    }

    /// Whether there is somebody to ask.
    pub(crate) fn asks(&self) -> bool {
        self.ask
    }

    /// Forgets everything: the work is done.
    pub(crate) fn finish(self) -> Result<(), Failure> {
        match std::fs::remove_file(&self.file) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }
}

/// Asks before something that cannot be undone. Without a terminal nobody can be asked: then `--yes` is needed.
pub(crate) fn confirm(what: &str, yes: bool) -> Result<(), Failure> {
    if yes {
        return Ok(());
    }
    if !std::io::stdin().is_terminal() {
        return Err(Failure::usage(format!("{what}; nothing was done. Add --yes if that is meant")));
    }
    answered(what)
}

/// Asks whoever is there.
pub(crate) fn answered(what: &str) -> Result<(), Failure> {
    say(&format!("{what}."))?;
    match typed("Type yes to go on")?.as_str() {
        "yes" | "y" => Ok(()),
        _ => Err(Failure::usage("nothing was done")),
    }
}

/// What wizards tell goes to the error output: results on the other stay readable by programs.
pub(crate) fn say(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stderr().lock();
    // Much of it comes from elsewhere.
    Ok(writeln!(out, "{}", plain_lines(text))?)
}

/// One result line.
pub(crate) fn tell(text: &str) -> Result<(), Failure> {
    result_line(text)
}

fn typed(name: &str) -> Result<String, Failure> {
    let _shown = write!(std::io::stderr(), "{name}: ");
    let mut text = String::new();
    if std::io::stdin().lock().read_line(&mut text)? == 0 {
        return Err(Failure::usage("nobody answers any more; run the same command again to go on from here"));
    }
    Ok(text.trim().to_owned())
}
