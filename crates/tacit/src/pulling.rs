//! Series that a node's peers fetch by themselves: out of files, commands and databases, as `[[sources]]` of
//! `node.toml` says. Everything else about them (retention, selection for tasks) is as for samples that are pushed.

mod command;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tacit_job::Micro;
use tacit_model::{Clock, UnixMillis};
use tacit_party::source::{MAX_SAMPLES, SampleError, SampleText, is_future, read_samples};
use tacit_party::{Parties, PartyError};
use tacit_store::{ForeignRow, Redacted, read_foreign};
use tokio_util::sync::CancellationToken;

use crate::config::{NodeConfig, in_folder};
use crate::output::Failure;

/// Of a trouble that lasts the owner is told again after so long.
const TOLD_AGAIN: Duration = Duration::from_secs(600);

/// So much before the newest sample is asked for again: a sensor that was cut off brings older rows when it is back, and
/// another series may have the same moment.
const OVERLAP_MS: i64 = 3_600_000;

/// One source of a peer's series.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SourceConfig {
    /// The peer whose series it feeds.
    pub(crate) peer: String,
    /// How often, in seconds.
    #[serde(default = "a_minute")]
    pub(crate) every_s: u64,
    /// A CSV file: `at,temperature,occupancy` and so on; a relative path begins in the data folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) csv: Option<PathBuf>,
    /// A program and its arguments, without a shell; it prints such a CSV file.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) command: Vec<String>,
    /// A database, `sqlite:FILE` (a relative path as above) or `postgres://...`; with `query`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) sql: Option<String>,
    /// Its first column is the moment, the others are series; `$1` is the moment, in milliseconds, after which rows
    /// may be new: an hour before the newest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) query: Option<String>,
}

fn a_minute() -> u64 {
    60
}

/// Where one takes from.
enum Origin<'a> {
    Csv(&'a PathBuf),
    Command(&'a str, &'a [String]),
    Sql(&'a str, &'a str),
}

impl SourceConfig {
    fn origin(&self) -> Result<Origin<'_>, Failure> {
        match (&self.csv, self.command.as_slice(), &self.sql, &self.query) {
            _ if self.every_s == 0 => Err(Failure::usage("[[sources]]: every_s must be at least 1")),
            (Some(file), [], None, None) => Ok(Origin::Csv(file)),
            (None, [program, arguments @ ..], None, None) => Ok(Origin::Command(program, arguments)),
            (None, [], Some(url), Some(query)) => Ok(Origin::Sql(url, query)),
            _ => Err(Failure::usage("[[sources]]: each has exactly one of csv, command, or sql with query")),
        }
    }

    /// With files where they are.
    fn within(self, data: &Path) -> Self {
        let csv = self.csv.map(|file| data.join(file));
        let sql = self.sql.map(|url| in_folder(&url, data));
        Self { csv, sql, ..self }
    }

    /// For texts to the owner; holds no password.
    fn name(&self) -> String {
        match self.origin() {
            Ok(Origin::Csv(file)) => format!("the source {}", file.display()),
            Ok(Origin::Command(program, _)) => format!("the source {program}"),
            _ => "the source by SQL".to_owned(),
        }
    }
}

/// Whether the configuration can be meant.
pub(crate) fn check(config: &NodeConfig) -> Result<(), Failure> {
    config.sources.iter().try_for_each(|source| source.origin().map(drop))
}

/// Feeds the series until the node stops.
pub(crate) fn start(
    config: &NodeConfig,
    data: &Path,
    parties: &Parties,
    clock: &Arc<dyn Clock>,
    stop: &CancellationToken,
) {
    for source in &config.sources {
        let source = source.clone().within(data);
        if parties.get(&source.peer).is_none() {
            let (name, peer) = (source.name(), &source.peer);
            tracing::warn!("{name} is for a peer {peer:?}, which this node does not have yet");
        }
        let (parties, clock, stop) = (parties.clone(), Arc::clone(clock), stop.clone());
        tokio::spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = feed(source, parties, clock) => {}
            }
        });
    }
}

async fn feed(source: SourceConfig, parties: Parties, clock: Arc<dyn Clock>) {
    let mut progress = Progress::default();
    let mut told = Told::default();
    loop {
        // Somebody may join later.
        if let Some(party) = parties.get(&source.peer) {
            let since = party.keeps_samples_since(clock.now());
            let add = |samples: Vec<SampleText>| {
                let party = party.clone();
                async move { party.add_samples(samples).await }
            };
            let trouble = match round(&source, &*clock, since, &mut progress, add).await {
                Ok(()) => progress.left_out.take(),
                Err(why) => Some(Trouble { about: why.clone(), why }),
            };
            told.tell(trouble, |why| party.tell_owner(format!("{}: {why}", source.name())));
        }
        tokio::time::sleep(Duration::from_secs(source.every_s)).await;
    }
}

/// What is wrong with a source: its words, and what makes it the same trouble as before.
struct Trouble {
    about: String,
    why: String,
}

/// What the owner was told of a source, and when. Of what lasts they are told again, since other troubles come between.
#[derive(Default)]
struct Told(Option<(String, Instant)>);

impl Told {
    fn tell(&mut self, trouble: Option<Trouble>, tell: impl FnOnce(&str)) {
        let known = self.0.take();
        self.0 = trouble.map(|Trouble { about, why }| match known {
            Some((last, at)) if last == about && at.elapsed() < TOLD_AGAIN => (last, at),
            _ => {
                tell(&why);
                (about, Instant::now())
            }
        });
    }
}

/// How far a source was taken.
struct Progress {
    /// The newest moment that was.
    newest: UnixMillis,
    taken: Taken,
    /// The first that was left out since the owner was told of such; a round that fails has something else to tell.
    left_out: Option<Trouble>,
}

impl Default for Progress {
    fn default() -> Self {
        Self { newest: UnixMillis(i64::MIN), taken: Taken::default(), left_out: None }
    }
}

/// Takes what is new, page by page: a page that was taken stays taken when a later one fails. What is older than
/// `since` is not kept, and never comes back.
async fn round<Added>(
    source: &SourceConfig,
    clock: &dyn Clock,
    since: UnixMillis,
    progress: &mut Progress,
    add: impl Fn(Vec<SampleText>) -> Added,
) -> Result<(), String>
where
    Added: Future<Output = Result<usize, PartyError>>,
{
    let mut from = progress.newest.plus(-OVERLAP_MS).max(since);
    loop {
        let (mut page, next) = whole(fetch(source, from).await?);
        let now = clock.now();
        let left_out = leave_out(&mut page, now);
        progress.left_out = progress.left_out.take().or(left_out);
        let newest = page.iter().map(|sample| sample.at).fold(progress.newest, UnixMillis::max);
        let news = progress.taken.news(page);
        if !news.is_empty() {
            let samples = news.iter().map(|(at, values)| SampleText { at: *at, values: values.clone() }).collect();
            add(samples).await.map_err(not_taken)?;
            progress.taken.add(news);
        }
        progress.newest = newest;
        progress.taken.forget(newest.plus(-OVERLAP_MS));
        // After what was not measured yet comes nothing that was.
        match next.filter(|next| !is_future(*next, now)) {
            Some(next) => from = next,
            None => return Ok(()),
        }
    }
}

/// What is said of a full queue of rows does not help here: samples wait for no slot.
const NO_ROOM: &str = "one moment has more samples than this peer keeps in all, so nothing new is taken; in its policy \
                       raise max_samples";

fn not_taken(error: PartyError) -> String {
    match error {
        PartyError::QueueFull { .. } => NO_ROOM.to_owned(),
        other => other.to_string(),
    }
}

/// Leaves out what is no decimal, such as the `nan` of a sensor that failed, and what was not measured yet, which a later
/// round takes; the first of it, and why. What is left out is not looked at further: not its moment either.
fn leave_out(page: &mut Vec<SampleText>, now: UnixMillis) -> Option<Trouble> {
    let mut first = None;
    page.retain_mut(|SampleText { at, values }| {
        if is_future(*at, now) {
            let why = SampleError::Future.to_string();
            first.get_or_insert_with(|| Trouble {
                why: format!("a row of {}: {why}; it is left out until then", at.to_rfc3339()),
                about: why,
            });
            return false;
        }
        values.retain(|name, value| match value.0.parse::<Micro>() {
            Ok(_) => true,
            Err(why) => {
                first.get_or_insert_with(|| Trouble {
                    about: name.clone(),
                    why: format!("{name} of {}: {why}; it is left out", at.to_rfc3339()),
                });
                false
            }
        });
        !values.is_empty()
    });
    first
}

/// Decimals of several series, by moment.
type Samples = BTreeMap<UnixMillis, BTreeMap<String, Redacted<String>>>;

/// What was taken of the time that is asked for again, so that only what is new in it is written.
#[derive(Default)]
struct Taken(Samples);

impl Taken {
    /// What of a page was not taken yet, or has another value now; of several values for one moment the last.
    fn news(&self, page: Vec<SampleText>) -> Samples {
        let mut news = Samples::new();
        for SampleText { at, values } in page {
            news.entry(at).or_default().extend(values);
        }
        for (at, known) in &self.0 {
            if let Some(values) = news.get_mut(at) {
                values.retain(|name, value| known.get(name) != Some(value));
            }
        }
        news.retain(|_, values| !values.is_empty());
        news
    }

    fn add(&mut self, news: Samples) {
        for (at, values) in news {
            self.0.entry(at).or_default().extend(values);
        }
    }

    /// Nothing up to this moment is asked for again.
    fn forget(&mut self, upto: UnixMillis) {
        self.0.retain(|at, _| *at > upto);
    }
}

/// What one fetch brought, in order of time, and whether there may be more.
struct Fetched {
    samples: Vec<SampleText>,
    full: bool,
}

/// The samples of moments that are complete, and after which moment to go on. Rows of the last moment of a full page may
/// be on the next one. A moment that fills a page is taken as it is.
fn whole(fetched: Fetched) -> (Vec<SampleText>, Option<UnixMillis>) {
    let Fetched { mut samples, full } = fetched;
    match (samples.first().map(|sample| sample.at), samples.last().map(|sample| sample.at)) {
        (Some(first), Some(last)) if full => {
            if first == last {
                return (samples, Some(last));
            }
            samples.retain(|sample| sample.at < last);
            (samples, Some(last.plus(-1)))
        }
        _ => (samples, None),
    }
}

async fn fetch(source: &SourceConfig, after: UnixMillis) -> Result<Fetched, String> {
    match source.origin().map_err(|e| e.to_string())? {
        Origin::Csv(file) => {
            let file = file.clone();
            aside(move || std::fs::File::open(file).map_err(|e| e.to_string()).and_then(|f| parse(f, after))).await
        }
        Origin::Command(program, arguments) => {
            let printed = command::run(program, arguments).await?;
            aside(move || parse(&*printed, after)).await
        }
        Origin::Sql(url, query) => {
            let most = u32::try_from(MAX_SAMPLES).unwrap_or(u32::MAX);
            let rows = read_foreign(url, query, after, most).await.map_err(|e| e.to_string())?;
            let full = rows.len() >= MAX_SAMPLES;
            let new = rows.into_iter().filter(|row| row.at > after && !row.values.is_empty());
            let text = |row: ForeignRow| SampleText { at: row.at, values: row.values.into_iter().collect() };
            let mut samples: Vec<SampleText> = new.map(text).collect();
            // The database orders moments in words by their letters.
            samples.sort_by_key(|sample| sample.at);
            Ok(Fetched { samples, full })
        }
    }
}

/// Reading a long file takes a while, and the node has one thread for all that it does.
async fn aside(read: impl FnOnce() -> Result<Fetched, String> + Send + 'static) -> Result<Fetched, String> {
    tokio::task::spawn_blocking(read).await.map_err(|e| e.to_string())?
}

fn parse(reader: impl std::io::Read, after: UnixMillis) -> Result<Fetched, String> {
    let samples = read_samples(reader, after).map_err(|e| e.to_string())?;
    let full = samples.len() >= MAX_SAMPLES;
    Ok(Fetched { samples, full })
}
