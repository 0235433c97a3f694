//! Series that a node's peers fetch by themselves: out of files, commands and databases, as `[[sources]]` of
//! `node.toml` says. Everything else about them (retention, selection for tasks) is as for samples that are pushed.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tacit_model::{Clock, UnixMillis};
use tacit_party::source::{MAX_SAMPLES, SampleText, read_samples};
use tacit_party::{Parties, Party};
use tacit_store::read_foreign;
use tokio::io::AsyncReadExt;
use tokio_util::sync::CancellationToken;

use crate::config::NodeConfig;
use crate::output::Failure;

/// A command may take so long.
const PATIENCE: Duration = Duration::from_secs(60);
/// And print so much.
const MOST_BYTES: u64 = 64 << 20;

/// One source of a peer's series.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SourceConfig {
    /// The peer whose series it feeds.
    pub(crate) peer: String,
    /// How often, in seconds.
    #[serde(default = "a_minute")]
    pub(crate) every_s: u64,
    /// A CSV file: `at,temperature,occupancy` and so on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) csv: Option<PathBuf>,
    /// A program and its arguments, without a shell; it prints such a CSV file.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) command: Vec<String>,
    /// A database, `sqlite:FILE` or `postgres://...`; with `query`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) sql: Option<String>,
    /// Its first column is the moment, the others are series; `$1` is the moment, in milliseconds, after which rows
    /// are new.
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
pub(crate) fn start(config: &NodeConfig, parties: &Parties, clock: &Arc<dyn Clock>, stop: &CancellationToken) {
    for source in &config.sources {
        let (source, parties, clock, stop) = (source.clone(), parties.clone(), Arc::clone(clock), stop.clone());
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
    let mut last = String::new();
    loop {
        // Somebody may join later.
        if let Some(party) = parties.get(&source.peer) {
            let kept_since = party.keeps_samples_since(clock.now());
            match round(&source, &party, after.max(kept_since)).await {
                Ok(newest) => {
                    after = newest.max(after);
                    last.clear();
                }
                Err(why) if why == last => {}
                Err(why) => {
                    party.tell_owner(format!("{}: {why}", source.name()));
                    last = why;
                }
            }
        }
        tokio::time::sleep(Duration::from_secs(source.every_s)).await;
    }
}

/// Takes what is new; the newest moment that was taken.
async fn round(source: &SourceConfig, party: &Party, mut after: UnixMillis) -> Result<UnixMillis, String> {
    loop {
        let samples = fetch(source, after).await?;
        let (count, newest) = (samples.len(), samples.iter().map(|sample| sample.at).max());
        let Some(newest) = newest else { return Ok(after) };
        party.add_samples(samples).await.map_err(|e| e.to_string())?;
        after = newest;
        if count < MAX_SAMPLES {
            return Ok(after);
        }
    }
}

async fn fetch(source: &SourceConfig, after: UnixMillis) -> Result<Vec<SampleText>, String> {
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
            let new = rows.into_iter().filter(|row| row.at > after && !row.values.is_empty());
            Ok(new
                .map(|row| SampleText { at: row.at, values: row.values.into_iter().collect::<BTreeMap<_, _>>() })
                .collect())
        }
    }
}

fn parse(reader: impl std::io::Read, after: UnixMillis) -> Result<Vec<SampleText>, String> {
    read_samples(reader, after).map_err(|e| e.to_string())
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
}
