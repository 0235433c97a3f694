//! `tacit task`: ask a group for a result.

pub(crate) mod answer;
pub(crate) mod asked;
pub(crate) mod known;
mod request;
mod taking;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clap::{Args, Subcommand};
use tacit_client::Client;
use tacit_model::api::{MemberOfferBody, NewTask, TaskBody};
use tacit_model::{GroupId, Slot};
use tacit_pki::result_key::ResultKey;

use answer::Opened;
use known::Known;

use super::log::Key;
use super::waiting::{FOR_MEMBERS, QUIET, aloud};
use super::{commas, group_number, print, print_all};
use crate::connection::Connection;
use crate::output::{Code, Failure, result_line};
use crate::wizard::say;
use request::Question;
use taking::{Under, taken, task, task_from, unheard};

/// Ask the peers of a group for a result, and look after what was asked.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  \
    tacit task run --set offices --source temperature --preselector last_1h --aggregator mean --purpose HVAC\n  \
    tacit task run --group 1 --source temperature --decimals 2 --most 60 --aggregator mean --purpose HVAC --json\n  \
    tacit task run --group 1 --source temperature --filter 'occupancy>=1' --aggregator mean --purpose HVAC\n      \
    (peers decline a filter until their owners allow it: `tacit policy set NAME conditions=true` at each)\n  \
    tacit task run --group 1 --source temperature --aggregator mean --purpose HVAC --every 60 --times 10 --no-wait \
    --result-key hvac.key\n  \
    tacit task run --group 1 --branches 3 --source temperature --preselector last_1h --aggregator mean --purpose HVAC\n  \
    tacit task run --group 1 --source scan --source flood --aggregator event_correlation --parameter peer_weights=alpha=3 \
    --parameter min_peer_weight=4 --purpose alerts\n  \
    tacit task watch ID --result-key hvac.key\n  \
    tacit task offers --group 1               what could be asked for now")]
pub(crate) struct Task {
    #[command(subcommand)]
    action: Action,
    #[command(flatten)]
    connection: Connection,
    /// Print JSON.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Subcommand, Debug)]
enum Action {
    /// Ask, and wait for the result; of a repeated task each result is shown as it comes.
    Run(Box<Run>),
    /// What was asked, newest first.
    List,
    /// One task and what became of it.
    Show {
        #[command(flatten)]
        which: Which,
        /// Of a task that was repeated often, the computations from this one on. By default the newest are shown.
        #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(i64).range(1..))]
        from: Option<i64>,
    },
    /// Follow a task to its end; of a repeated task each result is shown as it comes. With --json the task is a line, with its
    /// newest computations, each time that it has changed.
    Watch(Which),
    /// End a task.
    Cancel {
        /// Its id.
        id: String,
    },
    /// What the connected members of a group offer.
    Offers {
        /// The group.
        #[arg(long, value_parser = group_number)]
        group: i64,
    },
}

#[derive(Args, Debug)]
struct Run {
    #[command(flatten)]
    question: Question,
    /// Return when the task is taken, not when it is done.
    #[arg(long)]
    no_wait: bool,
    /// Return when the task is taken, and let the gateway post it to this address after each computation. The
    /// gateway's operator must allow the address.
    #[arg(long, value_name = "URL")]
    notify: Option<String>,
    /// Where the private key that opens the result is kept: needed to read it later. Made if it does not exist.
    #[arg(long, value_name = "FILE")]
    result_key: Option<PathBuf>,
    /// The same word for the same task: repeating the command then asks once. Which task was taken is kept in the data folder
    /// or beside --client-key or --result-key, and no other is believed under this word. Give --result-key FILE, too, and the
    /// same each time: the result is sealed for it, and could not be read again without.
    #[arg(long, value_name = "WORD")]
    idempotency_key: Option<String>,
    #[command(flatten)]
    trust: Trust,
}

/// By whose charter results are judged.
#[derive(Args, Debug)]
struct Trust {
    /// The group's manager key, its fingerprint or in base64: only recipients in a charter that follows from it are
    /// believed. By default the one that was shown first, which is kept in the data folder or beside --client-key or
    /// --result-key.
    #[arg(long, value_name = "KEY")]
    manager_key: Option<Key>,
}

#[derive(Args, Debug)]
struct Which {
    /// Its id.
    id: String,
    /// The private key that opens its result.
    #[arg(long, value_name = "FILE")]
    result_key: Option<PathBuf>,
    #[command(flatten)]
    trust: Trust,
}

impl Task {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let json = self.json;
        let client = self.connection.client()?;
        match self.action {
            Action::Run(run) => run.run(&client, &self.connection, json).await,
            Action::List => {
                let none = "no task yet: `tacit task run` asks for a result";
                print_all(json, &client.tasks().await?, none, answer::line)
            }
            Action::Show { which, from } => {
                let key = which.result_key.as_deref().map(answer::known_key).transpose()?;
                let known = self.connection.known(which.result_key.as_deref(), which.trust.manager_key);
                let body = match from {
                    Some(from) => task_from(&client, &which.id, Slot(from - 1)).await?,
                    None => task(&client, &which.id).await?,
                };
                let earlier = earlier_note(&body).filter(|_| from.is_none());
                let shown = show(&client, &known, json, body, key.as_ref()).await?;
                earlier.map(|note| say(&note)).transpose()?;
                verdict(&shown, false)
            }
            Action::Watch(which) => {
                let key = which.result_key.as_deref().map(answer::known_key).transpose()?;
                let known = self.connection.known(which.result_key.as_deref(), which.trust.manager_key);
                let body = task(&client, &which.id).await?;
                match json {
                    true => watch_as_json(&client, &known, body, key.as_ref()).await,
                    false => {
                        let tell = body.task.repeat.is_some();
                        let ended = follow(&client, &known, body, key.as_ref(), tell, &AtomicBool::default()).await;
                        let (ended, told) = ended?;
                        let shown = show(&client, &known, json, ended, key.as_ref()).await?;
                        told.and(verdict(&shown, true))
                    }
                }
            }
            Action::Cancel { id } => print(json, &client.cancel_task(&id).await?, answer::line),
            Action::Offers { group } => {
                let offers = client.offers(GroupId(group)).await?;
                let none = format!("no member is connected: `tacit group directory {group}` shows who is away");
                print_all(json, &offers, &none, offer)
            }
        }
    }
}

impl Run {
    async fn run(self, client: &Client, connection: &Connection, json: bool) -> Result<(), Failure> {
        let key = self.key()?;
        let group = self.question.group(client).await?;
        let (bounds, once) = (self.question.bounds_note(), self.once_note());
        let known = connection.known(self.result_key.as_deref(), self.trust.manager_key);
        // What is known before it is asked, the answer cannot change; and whoever left by then has no say in it.
        let chain = match key.is_some() || self.idempotency_key.is_some() {
            true => known.chain(client, group, false).await?,
            false => Default::default(),
        };
        let manager = chain.first().map(|seen| seen.consensus.charter().manager.as_str()).unwrap_or_default();
        let asked =
            |word: String| connection.asked(self.result_key.as_deref(), manager, group).map(|asked| (word, asked));
        let given = self.idempotency_key.map(asked).transpose()?;
        let (own, folder) = (connection.client_key()?, connection.data_folder());
        let (task, signature) = self.question.request(group, key.as_ref(), own, folder)?;
        let wait = !self.no_wait && self.notify.is_none();
        // Another gateway may have to be asked the same once more.
        let under = match &given {
            Some((word, asked)) => Under::Kept(word, asked),
            None if connection.names_several() => Under::Once(tacit_pki::random::nonce()?),
            None => Under::Nothing,
        };
        let repeated = task.repeat.is_some();
        // Taken first and followed then: a task may last longer than any answer is waited for.
        let new = NewTask { task, signature, notify: self.notify, wait: false };
        let unheard = |id: &str| unheard(id, self.result_key.as_deref(), key.is_some());
        let body = taken(client, &new, &under, unheard).await?;
        // Only of what was taken: a refusal may be about just this.
        for note in [bounds, once].into_iter().flatten() {
            say(&note)?;
        }
        if !wait {
            return verdict(&show(client, &known, json, body, key.as_ref()).await?, false);
        }
        say(&format!("task {} is taken", body.id))?;
        let unheard = unheard(&body.id);
        let heard = AtomicBool::new(false);
        // A message nobody reads stops nothing. Who hears of one computation knows what the next one takes.
        let waits = || {
            if !heard.load(Ordering::Relaxed) {
                drop(say(&format!("{FOR_MEMBERS}; `tacit task offers --group {group}` shows what they give")));
            }
        };
        let follows = follow(client, &known, body, key.as_ref(), repeated && !json, &heard);
        tokio::select! {
            ended = aloud(QUIET, follows, waits) => {
                let (ended, told) = ended.map_err(|failure| failure.about(&unheard))?;
                let earlier = earlier_note(&ended).filter(|_| json);
                let shown = show(client, &known, json, ended, key.as_ref()).await?;
                earlier.map(|note| say(&note)).transpose()?;
                told.and(verdict(&shown, true))
            }
            _ = tokio::signal::ctrl_c() => Err(Failure::new(Code::Other, unheard.clone())),
        }
    }

    /// The key that the result is sealed for, if it is.
    fn key(&self) -> Result<Option<ResultKey>, Failure> {
        match (&self.result_key, self.question.tell_gateway) {
            (_, true) => Ok(None),
            (Some(file), false) => {
                // The lock beside it comes first, and what the system says of that names neither file nor folder as typed.
                let above = file.parent().filter(|above| !above.as_os_str().is_empty());
                let found = above.map(|above| std::fs::metadata(above.join("."))).transpose();
                found.map_err(Failure::at(file, "made", "make the folder, or name another file with --result-key"))?;
                Ok(Some(answer::key_file(file)?))
            }
            (None, false) if self.no_wait || self.notify.is_some() => {
                Err(Failure::usage("--no-wait and --notify need --result-key FILE, to read the result later"))
            }
            (None, false) => Ok(Some(ResultKey::generate()?)),
        }
    }

    /// What whoever means to repeat this should know: each repetition would have another key.
    fn once_note(&self) -> Option<String> {
        let kept = self.result_key.is_some() || self.question.tell_gateway;
        (self.idempotency_key.is_some() && !kept).then(|| {
            "note: the result is sealed for this command alone; repeated under this --idempotency-key it cannot be read \
             again, except with --result-key FILE from the first time on"
                .to_owned()
        })
    }
}

/// The task when it is over. With `tell` each computation is told as it ends, and no longer in what is returned; then, whether
/// something was taken of each that was told. `heard` says that a computation is over.
async fn follow(
    client: &Client,
    known: &Known,
    mut body: TaskBody,
    key: Option<&ResultKey>,
    tell: bool,
    heard: &AtomicBool,
) -> Result<(TaskBody, Result<(), Failure>), Failure> {
    const LONGEST: Duration = Duration::from_millis(500);
    let (mut told, mut pause, mut all_taken): (Option<Slot>, _, _) = (None, Duration::from_millis(5), Ok(()));
    let mut remarked = BTreeSet::new();
    if earlier_note(&body).is_some() {
        // It was asked long ago: each of its computations is told, in pages; or as many as one answer holds.
        body = match tell {
            true => task_from(client, &body.id, Slot(0)).await?,
            false => task(client, &body.id).await?,
        };
    }
    loop {
        let mut more = false;
        if !body.windows.is_empty() {
            heard.store(true, Ordering::Relaxed);
        }
        if tell {
            let mut news = body.clone();
            news.windows.retain(|window| Some(window.window) > told);
            gone_note(&news, told).map(|note| say(&note)).transpose()?;
            // There may be more than one answer holds, also of a task that is over.
            more = !news.windows.is_empty();
            told = told.max(body.windows.last().map(|window| window.window));
            let mut opened = answer::opened(client, known, news, key).await?;
            // That no key was given is true of each computation.
            opened.remarks.retain(|remark| remarked.insert(remark.clone()));
            all_taken = all_taken.and(opened.all_taken());
            match answer::details(&opened) {
                nothing if nothing.is_empty() => {}
                text => result_line(&text)?,
            }
        }
        if body.state != "open" && !more {
            body.windows.retain(|window| Some(window.window) > told);
            return Ok((body, all_taken));
        }
        if !more {
            tokio::time::sleep(pause).await;
            pause = (pause * 3 / 2).min(LONGEST);
        }
        // The newest ones alone could be later than the next one to tell.
        body = match tell {
            true => task_from(client, &body.id, after(told)).await?,
            false => task(client, &body.id).await?,
        };
    }
}

/// For programs: whichever line they read last is all that is known.
async fn watch_as_json(
    client: &Client,
    known: &Known,
    mut body: TaskBody,
    key: Option<&ResultKey>,
) -> Result<(), Failure> {
    let (id, mut seen, mut noted) = (body.id.clone(), None, false);
    loop {
        let (over, last) = (body.state != "open", body.windows.last().map(|window| window.window));
        if over || last > seen {
            seen = last;
            if let Some(note) = earlier_note(&body).filter(|_| !std::mem::replace(&mut noted, true)) {
                say(&note)?;
            }
            let shown = show(client, known, true, body, key).await?;
            if over {
                return verdict(&shown, true);
            }
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        body = task(client, &id).await?;
    }
}

/// What is said where the gateway shows the newest computations only.
fn earlier_note(body: &TaskBody) -> Option<String> {
    let first = body.windows.first().filter(|first| first.window > Slot(0))?;
    Some(format!(
        "note: computations 1 to {} are not shown; `tacit task show {} --from 1` begins with the first",
        first.window.0, body.id
    ))
}

/// What is said where the gateway has left out computations that were to be told next.
fn gone_note(news: &TaskBody, told: Option<Slot>) -> Option<String> {
    let (next, first) = (after(told), news.windows.first()?.window);
    (first > next).then(|| {
        format!(
            "note: the gateway does not show computations {} to {} of task {} any more; the next one follows",
            next.counted(),
            first.0,
            news.id
        )
    })
}

/// The computation after this one, or the first.
fn after(told: Option<Slot>) -> Slot {
    told.map_or(Slot(0), |told| Slot(told.0.saturating_add(1)))
}

fn offer(offer: &MemberOfferBody) -> String {
    let name = offer.name.as_deref().unwrap_or("(a member)");
    format!("{name}  labels {}  sources {}", commas(&offer.labels, "-"), commas(&offer.sources, "-"))
}

/// Prints a task with its results opened.
async fn show(
    client: &Client,
    known: &Known,
    json: bool,
    body: TaskBody,
    key: Option<&ResultKey>,
) -> Result<Opened, Failure> {
    let opened = answer::opened(client, known, body, key).await?;
    print(json, &opened, answer::words)?;
    Ok(opened)
}

/// Whether the command got what it asked for. With `must_be_done` a task that failed is a failed command.
fn verdict(opened: &Opened, must_be_done: bool) -> Result<(), Failure> {
    opened.all_taken()?;
    match must_be_done && opened.task.state != "done" {
        true => {
            let of = if opened.task.task.repeat.is_some() { " of the last computation" } else { "" };
            Err(Failure::new(Code::Refused, format!("no result{of}: {}", opened.task.detail)))
        }
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use tacit_model::api::{TaskRequest, TaskWindow};

    use super::*;

    #[derive(Parser, Debug)]
    struct Line {
        #[command(flatten)]
        run: Run,
    }

    fn run(more: &str) -> Run {
        let typed = format!("run --purpose HVAC --source temperature --aggregator mean {more}");
        Line::try_parse_from(typed.split_whitespace()).expect("it parses").run
    }

    #[test]
    fn whoever_means_to_repeat_hears_what_reading_it_again_takes() {
        let note = run("--idempotency-key monday").once_note().expect("a note");
        assert!(note.contains("--result-key FILE"), "{note}");
        let nothing_to_say = ["", "--idempotency-key monday --result-key k", "--idempotency-key monday --tell-gateway"];
        for more in nothing_to_say {
            assert_eq!(run(more).once_note(), None, "{more}");
        }
    }

    #[test]
    fn computations_that_the_gateway_leaves_out_are_named() {
        let task = TaskRequest::about(GroupId(1), "temperature", "mean", "HVAC");
        let window = |number| TaskWindow::new(Slot(number), "done");
        let news = |from| TaskBody {
            id: "abc".to_owned(),
            task: task.clone(),
            state: "open".to_owned(),
            detail: String::new(),
            created: String::new(),
            windows: (from..9).map(window).collect(),
        };
        for (from, told) in [(0, None), (3, Some(Slot(2))), (9, Some(Slot(2)))] {
            assert_eq!(gone_note(&news(from), told), None, "{from}");
        }
        let note = gone_note(&news(5), Some(Slot(2))).expect("a note");
        assert!(note.contains("computations 4 to 5 of task abc"), "{note}");
    }

    #[test]
    fn bounds_that_nobody_gave_are_named() {
        let note = run("--least 0 --most 60").question.bounds_note().expect("a note");
        assert!(note.contains("from 0 to 60"), "{note}");
        assert_eq!(run("--least 0 --most 60 --decimals 1").question.bounds_note(), None);
    }
}
