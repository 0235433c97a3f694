//! `tacit bench orchestration`: from a client's call to its verified result, as FlexSMC measured it.
//!
//! ```text
//!  client ── HTTP ── gateway ── control links ──┬── peer   one process each, as `tacit serve` runs them:
//!  (this process)                               ├── peer   policy, store, signatures, log and all
//!                                               └── peer ── Unix socket ── SMC provider   a process beside each peer
//! ```
//!
//! T_flex: a message from the gateway to every peer and back, once or ten times in a row. T_flexcon (T_flex,fresCon in
//! the thesis): each peer opens a session of its SMC provider and lets it answer; the time begins before Init and ends
//! after TearDown. The thesis has ten messages only. Prepare, Link and Session as the gateway sees them; whoever computes
//! deals its input as soon as it has its links, so a part of the thesis' Session is in Link. T_total: this process's call
//! until the sealed result is opened and compared with the plain one.

use std::time::Duration;

use tacit_client::Client;
use tacit_job::sign_request;
use tacit_model::api::{NewTask, PeerRole, SampleBody, SharingKind, TaskRequest, TaskTiming};
use tacit_model::{Clock, SystemClock};
use tacit_pki::result_key::ResultKey;
use tacit_pki::{Identity, random};
use tokio::time::{Instant, sleep};

use super::echo::{self, Providers};
use super::progress::Progress;
use super::spread::{Cell, Spread};
use super::traffic::Mark;
use crate::command::task::answer;
use crate::command::task::known::Known;
use crate::config::{Limits, NodeConfig, Role};
use crate::output::{Code, Failure};
use crate::process::ChildNode;
use crate::scenario::{Organisation, Scenario, client, ephemeral};

/// Requests before those that count.
const WARM_UP: usize = 20;
/// Seconds until unused links close where they should be warm, and where they should be cold.
const WARM_LINK: f64 = 3600.0;
const COLD_LINK: f64 = 0.05;
/// More than twice that: whoever dialled looks at its links every quarter of it.
const UNTIL_COLD: Duration = Duration::from_millis(120);
const NAMES: [&str; 11] = ["p01", "p02", "p03", "p04", "p05", "p06", "p07", "p08", "p09", "p10", "p11"];

/// Measures one number of peers; all figures in milliseconds.
pub(super) async fn measure(peers: usize, requests: usize, cold: Option<usize>) -> Result<Vec<Cell>, Failure> {
    let names = NAMES
        .get(..peers)
        .ok_or_else(|| Failure::usage(format!("--parties {peers}: orchestration is measured with 3 to 11 peers")))?;
    let mut cells = Vec::new();
    let stage = Stage::open(names, WARM_LINK).await?;
    stage.requests("warming up", WARM_UP).await?;
    let mut add = |what: &'static str, (values, sent): (Vec<f64>, u64)| {
        cells.push(Cell::new(what, peers, Spread::of(values), sent));
    };
    add("T_flex_1", stage.pings("T_flex_1", Pings { messages: 1, providers: false }, requests).await?);
    add("T_flex_10", stage.pings("T_flex_10", Pings { messages: 10, providers: false }, requests).await?);
    // There while they are measured: sockets are opened for each session.
    let providers = Providers::start(names.iter().map(|name| stage.folder.path().join(name))).await?;
    let through = |messages| Pings { messages, providers: true };
    stage.pings("warming up", through(1), WARM_UP).await?;
    add("T_flexcon_1", stage.pings("T_flexcon_1", through(1), requests).await?);
    add("T_flexcon_10", stage.pings("T_flexcon_10", through(10), requests).await?);
    providers.stop().await?;
    let before = stage.mark().await?;
    let warm = stage.requests("tasks, links warm", requests).await?;
    let sent = stage.mark().await?.most_since(&before, requests);
    stage.close().await?;
    let of = |warm: &[Sample], sent: u64, phase: fn(&TaskTiming) -> u64| -> (Vec<f64>, u64) {
        (warm.iter().map(|sample| phase(&sample.timing) as f64 / 1000.0).collect(), sent)
    };
    add("prepare", of(&warm, sent, |t| t.prepare_us));
    add("link_warm", of(&warm, sent, |t| t.link_us));
    add("session", of(&warm, sent, |t| t.session_us));
    add("T_total", (warm.iter().map(|sample| sample.total_ms).collect(), sent));
    // A request that finds no links makes all of them anew.
    let stage = Stage::open(names, COLD_LINK).await?;
    let mut all = Vec::new();
    let cold = cold_requests(cold, requests);
    let before = stage.mark().await?;
    if cold > 0 {
        let mut progress = stage.progress("tasks, links cold", cold);
        for _ in 0..cold {
            sleep(UNTIL_COLD).await;
            all.push(stage.request().await?);
            progress.step();
        }
    }
    let sent = stage.mark().await?.most_since(&before, cold);
    stage.close().await?;
    if !all.is_empty() {
        add("link_cold", of(&all, sent, |t| t.link_us));
        add("T_total_cold", (all.iter().map(|sample| sample.total_ms).collect(), sent));
    }
    Ok(cells)
}

/// As many as with warm links, so that both cells say the same about their worst cases; each waits until links have
/// closed, so fewer may be asked for.
fn cold_requests(asked: Option<usize>, requests: usize) -> usize {
    asked.unwrap_or(requests)
}

/// Messages from the gateway to all peers.
#[derive(Clone, Copy)]
struct Pings {
    /// One after the other.
    messages: u32,
    /// Whether they go on to the peers' SMC providers.
    providers: bool,
}

struct Sample {
    total_ms: f64,
    timing: TaskTiming,
}

/// The processes of one number of peers.
struct Stage {
    scenario: Scenario,
    client: Client,
    known: Known,
    identity: Identity,
    sum: f64,
    /// Removed at the end.
    folder: tempfile::TempDir,
}

impl Stage {
    async fn open(names: &[&'static str], idle_link: f64) -> Result<Self, Failure> {
        let folder = tempfile::Builder::new().prefix("tacit-bench-").tempdir()?;
        let rooms: Vec<Organisation> = names.iter().map(|name| Organisation { name, role: PeerRole::Both }).collect();
        let gateway = NodeConfig { name: "gateway".to_owned(), roles: vec![Role::Gateway], ..ephemeral() };
        let limits = Limits { idle_link, ..Limits::default() };
        let device = |_: &ChildNode| {
            Ok(NodeConfig { limits: limits.clone(), provider: Some(echo::configured()), ..ephemeral() })
        };
        let scenario = Scenario::start(folder.path(), "bench", SharingKind::Shamir, &rooms, gateway, device).await?;
        scenario.form().await?;
        let mut sum = 0;
        for (room, name) in names.iter().enumerate() {
            sum += room + 20;
            let values = [("temperature".to_owned(), (room + 20).to_string())].into();
            client(&scenario.nodes[room])?.add_samples(name, vec![SampleBody { at: None, values }]).await?;
        }
        scenario.until_offered("", names.len()).await?;
        let client = client(&scenario.coordinator)?;
        let at = SystemClock.now().to_date_time()?;
        let identity = Identity::generate("bench", at)?;
        Ok(Self { scenario, client, known: Known::own(), identity, sum: sum as f64, folder })
    }

    /// Sequential requests; every result is checked.
    async fn requests(&self, what: &str, count: usize) -> Result<Vec<Sample>, Failure> {
        let mut samples = Vec::with_capacity(count);
        let mut progress = self.progress(what, count);
        for _ in 0..count {
            samples.push(self.request().await?);
            progress.step();
        }
        Ok(samples)
    }

    fn progress(&self, what: &str, count: usize) -> Progress {
        Progress::begin(format!("orchestration, {} peers, {what}", self.scenario.nodes.len()), count)
    }

    async fn request(&self) -> Result<Sample, Failure> {
        let started = Instant::now();
        let key = ResultKey::generate()?;
        let task = TaskRequest {
            preselector: "last_1h".to_owned(),
            most: "1000".to_owned(),
            result_key: Some(key.public().to_owned()),
            issued: SystemClock.now().to_rfc3339(),
            nonce: random::nonce()?,
            ..TaskRequest::about(self.scenario.group, "temperature", "sum", "bench")
        };
        let signature = Some(sign_request(&task, &self.identity));
        let body = self.client.submit_task(&NewTask { task, signature, notify: None, wait: true }, None).await?;
        let opened = answer::opened(&self.client, &self.known, body, Some(&key)).await?;
        opened.all_taken()?;
        let total_ms = started.elapsed().as_secs_f64() * 1000.0;
        let found = opened.results.first().and_then(|result| result.statistics.first()).map(|one| one.value);
        let timing = opened.task.windows.first().and_then(|window| window.timing);
        match (found, timing) {
            (Some(sum), Some(timing)) if (sum - self.sum).abs() < 1e-9 => Ok(Sample { total_ms, timing }),
            _ => Err(Failure::new(Code::Other, format!("a wrong result: {found:?}; {}", opened.task.detail))),
        }
    }

    /// What the peers have sent so far.
    async fn mark(&self) -> Result<Mark, Failure> {
        Mark::of(&self.scenario.nodes).await
    }

    /// Messages to all peers and back, in milliseconds; and the bytes of one time, by the peer that sent most.
    async fn pings(&self, what: &str, pings: Pings, times: usize) -> Result<(Vec<f64>, u64), Failure> {
        let before = self.mark().await?;
        let mut values = Vec::with_capacity(times);
        let mut progress = self.progress(what, times);
        for _ in 0..times {
            let ping = self.client.ping(self.scenario.group, pings.messages, pings.providers).await?;
            if ping.members != self.scenario.nodes.len() {
                let whom = if pings.providers { "a peer or its SMC provider" } else { "a peer" };
                return Err(Failure::new(Code::Unreachable, format!("{whom} did not answer")));
            }
            values.push(ping.elapsed_us as f64 / 1000.0);
            progress.step();
        }
        Ok((values, self.mark().await?.most_since(&before, times)))
    }

    async fn close(self) -> Result<(), Failure> {
        self.scenario.stop().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cold_links_have_as_many_requests_as_warm_ones_unless_others_are_asked_for() {
        assert_eq!(cold_requests(None, 1000), 1000);
        assert_eq!(cold_requests(None, 3), 3);
        assert_eq!(cold_requests(Some(200), 1000), 200);
    }
}
