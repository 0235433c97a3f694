//! Series that a node's peers fetch by themselves: out of files, commands and databases, as `[[sources]]` of
//! `node.toml` says. Everything else about them (retention, selection for tasks) is as for samples that are pushed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tacit_job::Micro;
use tacit_model::{Clock, UnixMillis};
use tacit_party::source::{MAX_SAMPLES, SampleText, read_samples};
use tacit_party::{Parties, Party};
use tacit_store::{ForeignRow, Redacted, read_foreign};
use tokio::io::AsyncReadExt;
use tokio_util::sync::CancellationToken;

use crate::config::{NodeConfig, in_folder};
use crate::output::Failure;

/// A command may take so long.
const PATIENCE: Duration = Duration::from_secs(60);
/// And print so much.
const MOST_BYTES: u64 = 64 << 20;

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
    let mut after = UnixMillis(i64::MIN);
    let mut taken = Taken::default();
    let mut told = Told::default();
    loop {
        // Somebody may join later.
        if let Some(party) = parties.get(&source.peer) {
            // What is older than is kept never comes back.
            let from = after.plus(-OVERLAP_MS).max(party.keeps_samples_since(clock.now()));
            let trouble = match round(&source, &party, from, &mut taken).await {
                Ok((newest, left_out)) => {
                    after = newest.max(after);
                    left_out
                }
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

/// Takes what is new after a moment; the newest moment that was seen, and why something was left out.
async fn round(
    source: &SourceConfig,
    party: &Party,
    from: UnixMillis,
    taken: &mut Taken,
) -> Result<(UnixMillis, Option<Trouble>), String> {
    let (mut from, mut newest) = (from, from);
    let mut left_out = None;
    loop {
        let (mut page, next) = whole(fetch(source, from).await?);
        left_out = left_out.or(leave_out(&mut page));
        newest = page.iter().map(|sample| sample.at).max().unwrap_or(newest).max(newest);
        let news = taken.news(page);
        if !news.is_empty() {
            let samples = news.iter().map(|(at, values)| SampleText { at: *at, values: values.clone() }).collect();
            party.add_samples(samples).await.map_err(|e| e.to_string())?;
            taken.add(news);
        }
        taken.forget(newest.plus(-OVERLAP_MS));
        match next {
            Some(next) => from = next,
            None => return Ok((newest, left_out)),
        }
    }
}

/// Leaves out what is no decimal, such as the `nan` of a sensor that failed; the first of it, and why. What is left out is not
/// looked at further: not its moment either.
fn leave_out(page: &mut Vec<SampleText>) -> Option<Trouble> {
    let mut first = None;
    for SampleText { at, values } in page.iter_mut() {
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
    }
    page.retain(|sample| !sample.values.is_empty());
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
            let read = move || std::fs::File::open(file).map_err(|e| e.to_string()).and_then(|f| parse(f, after));
            tokio::task::spawn_blocking(read).await.map_err(|e| e.to_string())?
        }
        Origin::Command(program, arguments) => parse(&*run(program, arguments).await?, after),
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

fn parse(reader: impl std::io::Read, after: UnixMillis) -> Result<Fetched, String> {
    let samples = read_samples(reader, after).map_err(|e| e.to_string())?;
    let full = samples.len() >= MAX_SAMPLES;
    Ok(Fetched { samples, full })
}

/// What a command prints. It is not told anything, ends with the node, and what it complains of is not kept: it may
/// quote data.
async fn run(program: &str, arguments: &[String]) -> Result<Vec<u8>, String> {
    let mut command = tokio::process::Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
    let mut child = command.spawn().map_err(|e| format!("it does not start: {e}"))?;
    let mut printed = Vec::new();
    let work = async {
        if let Some(stdout) = child.stdout.take() {
            stdout.take(MOST_BYTES + 1).read_to_end(&mut printed).await.map_err(|e| e.to_string())?;
        }
        if u64::try_from(printed.len()).unwrap_or(u64::MAX) > MOST_BYTES {
            return Err("it prints more than 64 MiB; let it print what is new only".to_owned());
        }
        child.wait().await.map_err(|e| e.to_string())
    };
    let ended = tokio::time::timeout(PATIENCE, work).await.map_err(|_| "it takes longer than 60 s".to_owned())??;
    if ended.success() { Ok(printed) } else { Err(format!("it ended with {ended}")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_one_of_three() {
        let read = |text: &str| toml::from_str::<SourceConfig>(text).ok().map(|source| source.origin().is_ok());
        for right in ["csv = \"a\"", "command = [\"a\", \"b\"]", "sql = \"sqlite:a\"\nquery = \"SELECT 1\""] {
            assert_eq!(read(&format!("peer = \"p\"\n{right}")), Some(true), "{right}");
        }
        for wrong in
            ["", "csv = \"a\"\ncommand = [\"b\"]", "sql = \"sqlite:a\"", "query = \"a\"", "csv = \"a\"\nevery_s = 0"]
        {
            assert_eq!(read(&format!("peer = \"p\"\n{wrong}")), Some(false), "{wrong}");
        }
        assert_eq!(read("csv = \"a\""), None, "whose?");
    }

    fn sample(at: i64, values: &[(&str, &str)]) -> SampleText {
        let one = |(name, value): &(&str, &str)| ((*name).to_owned(), Redacted((*value).to_owned()));
        SampleText { at: UnixMillis(at), values: values.iter().map(one).collect() }
    }

    fn shown(samples: &Samples) -> Vec<String> {
        let one = |(at, values): (&UnixMillis, &BTreeMap<String, Redacted<String>>)| {
            values.iter().map(|(name, value)| format!("{} {name} {}", at.0, value.0)).collect::<Vec<_>>()
        };
        samples.iter().flat_map(one).collect()
    }

    #[test]
    fn relative_files_are_in_the_data_folder() {
        let within = |text: &str| {
            let source: SourceConfig = toml::from_str(&format!("peer = \"p\"\n{text}")).expect("a source");
            let source = source.within(Path::new("/data"));
            source.csv.map(|file| file.display().to_string()).or(source.sql)
        };
        let found = |text, file: &str| assert_eq!(within(text), Some(file.to_owned()), "{text}");
        found("csv = \"room.csv\"", "/data/room.csv");
        found("csv = \"/var/room.csv\"", "/var/room.csv");
        found("sql = \"sqlite:room.db\"\nquery = \"SELECT 1\"", "sqlite:/data/room.db");
        found("sql = \"postgres://h/d\"\nquery = \"SELECT 1\"", "postgres://h/d");
    }

    /// One sensor that fails does not stop the others, nor its own good values.
    #[test]
    fn what_is_no_decimal_is_left_out_and_the_owner_is_told_once() {
        let mut page =
            vec![sample(1000, &[("a", "1"), ("b", "nan")]), sample(2000, &[("b", "")]), sample(3000, &[("b", "2")])];
        let Trouble { about, why } = leave_out(&mut page).expect("two values");
        assert!(why.starts_with("b of 1970-01-01T00:00:01Z: ") && why.ends_with("; it is left out"), "{why}");
        assert_eq!(shown(&Taken::default().news(page)), ["1000 a 1", "3000 b 2"]);
        // Nor does its moment count: what follows is asked for from the newest one that was taken.
        let mut broken = vec![sample(i64::MAX / 2, &[("a", "nan")])];
        assert!(leave_out(&mut broken).is_some_and(|later| later.about == "a") && broken.is_empty());

        let mut told = Told::default();
        let mut heard = Vec::new();
        for (number, about) in [None, Some("x"), Some("x"), Some("y"), None, Some("y")].into_iter().enumerate() {
            let trouble = about.map(|about| Trouble { about: about.to_owned(), why: format!("{about} {number}") });
            told.tell(trouble, |why| heard.push(why.to_owned()));
        }
        assert_eq!((about.as_str(), heard), ("b", vec!["x 1".to_owned(), "y 3".to_owned(), "y 5".to_owned()]));
    }

    #[test]
    fn of_what_is_asked_for_again_only_what_is_new_is_written() {
        let mut taken = Taken::default();
        let page = || vec![sample(1000, &[("a", "1")]), sample(2000, &[("a", "2")]), sample(2000, &[("a", "3")])];
        let news = taken.news(page());
        assert_eq!(shown(&news), ["1000 a 1", "2000 a 3"], "the last of one moment counts");
        taken.add(news);
        assert!(taken.news(page()).is_empty());
        // A row that came late, another series of the newest moment, a correction.
        let late = [sample(500, &[("a", "0")]), sample(1000, &[("a", "9")]), sample(2000, &[("b", "5")])];
        let news = taken.news(page().into_iter().chain(late).collect());
        assert_eq!(shown(&news), ["500 a 0", "1000 a 9", "2000 b 5"]);
        taken.add(news);
        assert_eq!(shown(&taken.0), ["500 a 0", "1000 a 9", "2000 a 3", "2000 b 5"]);
        taken.forget(UnixMillis(1000));
        assert_eq!(shown(&taken.0), ["2000 a 3", "2000 b 5"]);
    }

    #[test]
    fn the_last_moment_of_a_full_page_is_read_again_whole() {
        let page = |moments: &[i64], full| {
            let samples = moments.iter().map(|at| sample(*at, &[("a", "1")])).collect();
            let (samples, next) = whole(Fetched { samples, full });
            (samples.iter().map(|sample| sample.at.0).collect::<Vec<_>>(), next.map(|next| next.0))
        };
        assert_eq!(page(&[1, 2, 2], true), (vec![1], Some(1)));
        assert_eq!(page(&[1, 2, 2], false), (vec![1, 2, 2], None));
        assert_eq!(page(&[2, 2], true), (vec![2, 2], Some(2)));
        assert_eq!(page(&[], true), (vec![], None));
    }
}
