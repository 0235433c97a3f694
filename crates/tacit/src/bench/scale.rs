//! `tacit bench scale`: very many peers at one gateway, and tasks over some of them at a steady rate.
//!
//! ```text
//!  client ── HTTP ── gateway (a process) ── control links ──┬── committee: a process each, computes and receives
//!                                                           └── devices: each with its own key, links and state,
//!                                                               many in one process; they only give
//! ```
//!
//! A device has its own TLS links with the gateway and with each member of the committee. Tasks ask one block of the
//! devices after the other for the sum of an hour; each sealed result is opened and compared with the plain sum.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tacit_client::Client;
use tacit_job::sign_request;
use tacit_model::api::{ComparedMember, JoinBody, NewTask, PeerRole, SampleBody, SharingKind, TaskRequest};
use tacit_model::{Clock, Fingerprint, GroupId, SystemClock};
use tacit_pki::result_key::ResultKey;
use tacit_pki::{Identity, random};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

use super::spread::Spread;
use super::traffic::Mark;
use crate::command::task::answer;
use crate::command::task::known::Known;
use crate::config::{NodeConfig, Role};
use crate::output::{Code, Failure};
use crate::process::ChildNode;
use crate::scenario::{client, ephemeral};

/// Devices of one process.
const HOSTED: usize = 100;
/// How long forming the group may take.
const FORMING: Duration = Duration::from_secs(600);

/// What is measured.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scene {
    /// Members that give data.
    pub(super) devices: usize,
    /// How many of them a task asks.
    pub(super) asked: usize,
    /// Members that compute.
    pub(super) committee: usize,
    /// Tasks in a minute.
    pub(super) per_minute: u32,
    /// How many in all.
    pub(super) tasks: u32,
}

/// One line of the result.
#[derive(Debug, Serialize)]
struct Line {
    bench: &'static str,
    what: &'static str,
    parties: usize,
    threshold: usize,
    model: &'static str,
    field: &'static str,
    size: usize,
    committee: usize,
    unit: &'static str,
    #[serde(flatten)]
    spread: Spread,
    refused: usize,
    /// For one task, by the member of the committee that sent most.
    bytes_sent_per_party: u64,
    tls: bool,
}

/// Measures the scene and prints two lines: the time of tasks, and the memory of the processes.
pub(super) async fn measure(scene: Scene) -> Result<(), Failure> {
    let stage = Arc::new(Stage::open(scene).await?);
    let before = Mark::of(&stage.committee).await?;
    let Told { times, refused } = stage.ask_all().await?;
    let sent = Mark::of(&stage.committee).await?.most_since(&before, times.len() + refused);
    let memory = stage.memory();
    Arc::into_inner(stage).ok_or_else(|| Failure::new(Code::Other, "a task still runs"))?.stop().await?;
    let lines = [("T_total", "ms", times, refused), ("memory", "MB", memory, 0)];
    for (what, unit, values, refused) in lines {
        let line = Line {
            bench: "scale",
            what,
            parties: scene.devices + scene.committee,
            threshold: scene.committee.saturating_sub(1) / 2,
            model: "semi-honest",
            field: "2^61-1",
            size: scene.asked,
            committee: scene.committee,
            unit,
            spread: Spread::of(values),
            refused,
            bytes_sent_per_party: sent,
            tls: true,
        };
        crate::output::line(&serde_json::to_string(&line)?)?;
    }
    if refused > 0 { Err(Failure::new(Code::Other, format!("{refused} tasks had no result"))) } else { Ok(()) }
}

struct Told {
    /// Of each task that was answered, in milliseconds.
    times: Vec<f64>,
    refused: usize,
}

struct Stage {
    scene: Scene,
    gateway: ChildNode,
    committee: Vec<ChildNode>,
    hosts: Vec<ChildNode>,
    group: GroupId,
    client: Client,
    known: Known,
    recipients: Vec<Fingerprint>,
    identity: Identity,
    _folder: tempfile::TempDir,
}

impl Stage {
    async fn open(scene: Scene) -> Result<Self, Failure> {
        let folder = tempfile::Builder::new().prefix("tacit-scale-").tempdir()?;
        let node = |name: String, role| NodeConfig { name, roles: vec![role], ..ephemeral() };
        let start = |config: NodeConfig| {
            let path = folder.path().join(&config.name);
            async move { ChildNode::start(path, &config).await }
        };
        let gateway = start(node("gateway".to_owned(), Role::Gateway)).await?;
        let (mut committee, mut hosts) = (Vec::new(), Vec::new());
        for number in 0..scene.committee {
            committee.push(start(node(format!("committee-{number}"), Role::Peer)).await?);
        }
        for number in 0..scene.devices.div_ceil(HOSTED) {
            hosts.push(start(node(format!("devices-{number}"), Role::Peer)).await?);
        }
        let client = client(&gateway)?;
        let group = client.create_group("scale", SharingKind::Shamir).await?.gid;
        let at = SystemClock.now().to_date_time()?;
        let identity = Identity::generate("bench", at)?;
        let recipients = Vec::new();
        let known = Known::own();
        let mut stage =
            Self { scene, gateway, committee, hosts, group, client, known, recipients, identity, _folder: folder };
        stage.form().await?;
        Ok(stage)
    }

    /// Joins everybody, verifies all in one decision, and gives each device its block and a value.
    async fn form(&mut self) -> Result<(), Failure> {
        let began = Instant::now();
        let mut compared = Vec::new();
        for (number, node) in self.committee.iter().enumerate() {
            let member = self.join(node, format!("committee-{number}"), PeerRole::Both).await?;
            self.recipients.push(member.fingerprint);
            compared.push(member);
        }
        for device in 0..self.scene.devices {
            let host = &self.hosts[device / HOSTED];
            compared.push(self.join(host, name(device), PeerRole::Input).await?);
        }
        self.client.verify_many(self.group, compared).await?;
        for device in 0..self.scene.devices {
            let host = client(&self.hosts[device / HOSTED])?;
            let values = BTreeMap::from([("level".to_owned(), value(device).to_string())]);
            host.add_samples(&name(device), vec![SampleBody { at: None, values }]).await?;
            host.set_labels(&name(device), vec![format!("block={}", device / self.scene.asked)]).await?;
        }
        loop {
            let offers = self.client.offers(self.group).await?;
            let ready = offers.iter().filter(|offer| !offer.sources.is_empty() && !offer.labels.is_empty()).count();
            if ready == self.scene.devices && offers.len() == self.scene.devices + self.scene.committee {
                break;
            }
            if began.elapsed() > FORMING {
                let why = format!("{ready} of {} devices are there", self.scene.devices);
                return Err(Failure::new(Code::Unreachable, why));
            }
            sleep(Duration::from_millis(200)).await;
        }
        let Scene { devices, committee, .. } = self.scene;
        eprintln!("{devices} devices and a committee of {committee} are there after {} s", began.elapsed().as_secs());
        Ok(())
    }

    async fn join(&self, node: &ChildNode, name: String, role: PeerRole) -> Result<ComparedMember, Failure> {
        let code = self.client.invite(self.group).await?;
        let body = JoinBody {
            name: name.clone(),
            role,
            gateway_url: format!("{}/api/v1", self.gateway.address.url),
            gateway_fingerprint: Some(self.gateway.address.fingerprint),
            registration_code: code,
            operator: Some(name.clone()),
            final_results_url: None,
            label_key: None,
            key: None,
        };
        let fingerprint = client(node)?.join(&body).await?.fingerprint;
        let fingerprint = fingerprint.ok_or_else(|| Failure::new(Code::Other, "a peer without a certificate"))?;
        Ok(ComparedMember { name, fingerprint })
    }

    /// Tasks at the rate of the scene, whether or not those before are answered.
    async fn ask_all(self: &Arc<Self>) -> Result<Told, Failure> {
        let blocks = (self.scene.devices / self.scene.asked).max(1);
        let mut tick = interval(Duration::from_secs(60) / self.scene.per_minute);
        tick.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let mut asking = JoinSet::new();
        for number in 0..self.scene.tasks {
            tick.tick().await;
            let stage = Arc::clone(self);
            let block = usize::try_from(number).unwrap_or(0) % blocks;
            asking.spawn(async move { stage.ask(block).await });
        }
        let mut told = Told { times: Vec::new(), refused: 0 };
        while let Some(done) = asking.join_next().await {
            match done?? {
                Some(time) => told.times.push(time),
                None => told.refused += 1,
            }
        }
        Ok(told)
    }

    /// One task; how long it took, or nothing if it was refused. A wrong result is an error.
    async fn ask(&self, block: usize) -> Result<Option<f64>, Failure> {
        let started = Instant::now();
        let key = ResultKey::generate()?;
        let task = TaskRequest {
            set: format!("block={block}"),
            preselector: "last_1h".to_owned(),
            most: "1000".to_owned(),
            recipients: self.recipients.clone(),
            result_key: Some(key.public().to_owned()),
            min_participants: u32::try_from(self.scene.asked).unwrap_or(u32::MAX),
            issued: SystemClock.now().to_rfc3339(),
            nonce: random::nonce()?,
            ..TaskRequest::about(self.group, "level", "sum", "scale")
        };
        let signature = Some(sign_request(&task, &self.identity));
        let body = self.client.submit_task(&NewTask { task, signature, notify: None, wait: true }, None).await?;
        let opened = answer::opened(&self.client, &self.known, body, Some(&key)).await;
        let opened = match opened.and_then(|opened| opened.all_taken().map(|()| opened)) {
            Ok(opened) => opened,
            Err(failure) => {
                eprintln!("block {block}: {failure}");
                return Ok(None);
            }
        };
        let time = started.elapsed().as_secs_f64() * 1000.0;
        let Some(found) = opened.results.first().and_then(|result| result.statistics.first()) else {
            eprintln!("block {block}: {}", opened.task.detail);
            return Ok(None);
        };
        let devices = block * self.scene.asked..(block + 1) * self.scene.asked;
        let expected: u64 = devices.map(value).sum();
        if (found.value - expected as f64).abs() > 1e-9 {
            return Err(Failure::new(Code::Other, format!("a wrong result: {} instead of {expected}", found.value)));
        }
        Ok(Some(time))
    }

    /// Of each process, in megabytes; said by kind on standard error.
    fn memory(&self) -> Vec<f64> {
        let of = |nodes: &[&ChildNode]| -> Vec<f64> { nodes.iter().filter_map(|node| resident(node)).collect() };
        let most = |values: &[f64]| values.iter().copied().fold(0.0, f64::max);
        let gateway = of(&[&self.gateway]);
        let committee = of(&self.committee.iter().collect::<Vec<_>>());
        let hosts = of(&self.hosts.iter().collect::<Vec<_>>());
        eprintln!(
            "memory, largest: gateway {:.0} MB, a member of the committee {:.0} MB, {HOSTED} devices {:.0} MB",
            most(&gateway),
            most(&committee),
            most(&hosts)
        );
        [gateway, committee, hosts].concat()
    }

    async fn stop(self) -> Result<(), Failure> {
        for node in self.hosts.into_iter().chain(self.committee).chain([self.gateway]) {
            node.stop().await?;
        }
        Ok(())
    }
}

fn name(device: usize) -> String {
    format!("device-{device:04}")
}

fn value(device: usize) -> u64 {
    (device as u64 * 7) % 1000
}

/// The largest resident memory of a process so far, in megabytes.
fn resident(node: &ChildNode) -> Option<f64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", node.address.pid)).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse::<f64>().ok().map(|kib| kib * 1024.0 / 1e6)
}
