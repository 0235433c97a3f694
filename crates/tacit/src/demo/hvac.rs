//! Eight rooms of a building, each a device of its own: what is the temperature of the occupied rooms of
//! floor 3, and how does one room compare? Rooms go and come back meanwhile.

use std::path::Path;
use std::time::Duration;

use tacit_client::Client;
use tacit_job::sign_request;
use tacit_model::api::{NewTask, PeerRole, SampleBody, SharingKind, TaskBody, TaskRequest, TaskResult};
use tacit_model::{Clock, Fingerprint, SystemClock, UnixMillis};
use tacit_pki::result_key::ResultKey;
use tacit_pki::{Identity, random};
use tokio::time::{Instant, sleep};

use super::chart::table;
use super::report::Report;
use crate::command::task::answer;
use crate::config::{DataFolder, NodeConfig, Role};
use crate::output::{Code, Failure};
use crate::process::ChildNode;
use crate::scenario::{Organisation, Scenario, client, ephemeral, fixed};

const ROOMS: [&str; 8] = ["room-21", "room-22", "room-23", "room-24", "room-31", "room-32", "room-33", "room-34"];
/// Of floor 3.
const FLOOR: std::ops::Range<usize> = 4..8;
/// The one that is lost and comes back, and the one that compares itself.
const LOST: usize = 7;
const CURIOUS: usize = 4;
/// A room is taken for occupied from so many lux on.
const OCCUPIED: &str = "light>=300";

/// What a room measured.
struct Reading {
    minutes_before: i64,
    temperature: String,
    light: String,
}

impl Reading {
    fn temperature(&self) -> f64 {
        self.temperature.parse().unwrap_or(f64::NAN)
    }

    fn occupied(&self) -> bool {
        self.light.parse::<f64>().is_ok_and(|light| light >= 300.0)
    }
}

pub(super) async fn run(folder: &Path, report: &mut Report) -> Result<(), Failure> {
    let readings = read()?;
    report.say(
        "Eight rooms, each with a device that keeps its readings to itself. A facility manager asks the building.\n",
    );
    report.say("Starting nine processes: a gateway, and a device in each room");
    let rooms = ROOMS.map(|name| Organisation { name, role: PeerRole::Both });
    let gateway = NodeConfig { name: "gateway".to_owned(), roles: vec![Role::Gateway], ..ephemeral() };
    let mut scenario = Scenario::start(folder, "building", SharingKind::Shamir, &rooms, gateway, fixed).await?;
    let keys: Vec<Fingerprint> = scenario.form().await?.into_iter().map(|(_, key)| key).collect();
    let now = SystemClock.now();
    for (room, readings) in readings.iter().enumerate() {
        let device = client(&scenario.nodes[room])?;
        let floor = if FLOOR.contains(&room) { "floor=3" } else { "floor=2" };
        device.set_labels(ROOMS[room], vec!["rooms".to_owned(), floor.to_owned()]).await?;
        device.add_samples(ROOMS[room], readings.iter().map(|reading| sample(reading, now)).collect()).await?;
    }
    offered(&scenario, ROOMS.len()).await?;
    let asker = Asker::new(&scenario)?;

    report.say("\nAsking: the mean temperature of the occupied rooms of floor 3, last hour");
    let mean = asker.ask(asker.request(&scenario, "mean", "last_1h", &[])?).await?;
    let last_hour = |r: &&Reading| r.minutes_before <= 60;
    let expected: Vec<f64> =
        readings[FLOOR].iter().flatten().filter(last_hour).filter(|r| r.occupied()).map(Reading::temperature).collect();
    let average = expected.iter().sum::<f64>() / expected.len() as f64;
    let told = number(&mean, "mean(temperature)");
    report.check(
        "mean",
        near(told, average),
        format!("{told:.2} °C over {} readings of 4 rooms, as in plain", expected.len()),
    );
    let kept = asker.client.task(&mean.id).await?;
    let hidden = kept.windows.iter().all(|window| window.result.is_none() && !window.sealed.is_empty());
    report.check("sealed", hidden, "the gateway carried the result sealed for the asker, and cannot read it");

    report.say("\nRoom 31 asks how it compares, for itself only");
    let mut own = asker.request(&scenario, "mean", "last_1h", &[])?;
    own.recipients = vec![keys[CURIOUS]];
    own.result_key = None;
    asker.submit(own).await?;
    let device = client(&scenario.nodes[CURIOUS])?;
    let learned = device.results(ROOMS[CURIOUS], None).await?;
    let of_all =
        learned.last().and_then(|r| r.statistics.iter().find(|s| s.name == "mean(temperature)")).map(|s| s.value);
    let mine: Vec<f64> =
        readings[CURIOUS].iter().filter(last_hour).filter(|r| r.occupied()).map(Reading::temperature).collect();
    let mine = mine.iter().sum::<f64>() / mine.len() as f64;
    let of_all = of_all.unwrap_or(f64::NAN);
    report.check("compare", near(of_all, average), format!("room 31 has {mine:.2} °C, the floor {of_all:.2} °C"));
    let others = client(&scenario.nodes[CURIOUS + 1])?.results(ROOMS[CURIOUS + 1], None).await?;
    report.check("recipients", others.len() == 1 && learned.len() == 2, "the other rooms did not learn that answer");

    report.say("\nRoom 34 loses power while the floor is asked again");
    measure_now(&scenario, &readings, FLOOR).await?;
    let question = asker.request(&scenario, "mean", "now", &[])?;
    let power_cut = async {
        sleep(Duration::from_millis(2)).await;
        kill(&scenario.nodes[LOST])
    };
    let (answer, cut) = tokio::join!(asker.ask(question), power_cut);
    cut?;
    let answer = answer?;
    let there = usize::try_from(answer.contributors)?;
    let rooms: Vec<usize> = FLOOR.take(there).collect();
    let (expected, _) = latest(&readings, &rooms);
    let told = number(&answer, "mean(temperature)");
    report.check("loss", near(told, expected), format!("{there} rooms answered, nobody had to step in: {told:.2} °C"));

    let node = ChildNode::restart(ROOMS[LOST], &DataFolder(folder.join(ROOMS[LOST]))).await?;
    drop(std::mem::replace(&mut scenario.nodes[LOST], node));
    offered(&scenario, ROOMS.len()).await?;
    // The reading that was given together with other rooms is not given again (rule 3).
    sleep(Duration::from_millis(5)).await;
    measure_now(&scenario, &readings, FLOOR).await?;
    let back = asker.ask(asker.request(&scenario, "mean", "now", &[])?).await?;
    let (expected, _) = latest(&readings, &FLOOR.collect::<Vec<_>>());
    let told = number(&back, "mean(temperature)");
    report.check(
        "back",
        back.contributors == 4 && near(told, expected),
        format!("room 34 is back: {told:.2} °C of 4 rooms"),
    );

    report.say("\nBoth floors");
    let mut floors = Vec::new();
    for (name, rooms) in [("floor=2", 0..4), ("floor=3", FLOOR)] {
        if name == "floor=3" {
            floors.push(vec![name.to_owned(), format!("{told:.2}"), number(&back, "count").to_string()]);
            continue;
        }
        measure_now(&scenario, &readings, rooms.clone()).await?;
        let mut request = asker.request(&scenario, "mean", "now", &[])?;
        request.set = name.to_owned();
        let floor = asker.ask(request).await?;
        let (expected, _) = latest(&readings, &rooms.collect::<Vec<_>>());
        let told = number(&floor, "mean(temperature)");
        report.check("floor 2", near(told, expected), format!("{told:.2} °C"));
        floors.push(vec![name.to_owned(), format!("{told:.2}"), number(&floor, "count").to_string()]);
    }
    report.say(&table(&["set", "mean °C", "occupied"], &floors));
    report.result("mean", average);
    report.result("floors", floors);
    scenario.stop().await?;
    report.say(&format!(
        "\nDone in {:.1} s. The readings are real: see crates/tacit/data/hvac/ORIGIN.md",
        report.elapsed_ms() as f64 / 1000.0
    ));
    Ok(())
}

/// The facility manager: a client with a key of its own.
struct Asker {
    client: Client,
    identity: Identity,
    key: ResultKey,
}

impl Asker {
    fn new(scenario: &Scenario) -> Result<Self, Failure> {
        let at = time::OffsetDateTime::from_unix_timestamp_nanos(i128::from(SystemClock.now().0) * 1_000_000)?;
        let identity = Identity::generate("facility manager", at)?;
        Ok(Self { client: client(&scenario.coordinator)?, identity, key: ResultKey::generate()? })
    }

    /// The question about the occupied rooms of floor 3.
    fn request(
        &self,
        scenario: &Scenario,
        aggregator: &str,
        preselector: &str,
        recipients: &[Fingerprint],
    ) -> Result<TaskRequest, Failure> {
        let mut nonce = [0; 16];
        random::fill(&mut nonce)?;
        Ok(TaskRequest {
            group: scenario.group,
            set: "rooms,floor=3".to_owned(),
            purpose: "HVAC".to_owned(),
            sources: vec!["temperature".to_owned()],
            filter: vec![OCCUPIED.to_owned()],
            preselector: preselector.to_owned(),
            aggregator: aggregator.to_owned(),
            parameters: Default::default(),
            decimals: 2,
            least: "-20".to_owned(),
            most: "60".to_owned(),
            model: "semi-honest".to_owned(),
            recipients: recipients.to_vec(),
            result_key: Some(self.key.public().to_owned()),
            tell_gateway: false,
            min_participants: 3,
            approval_s: 0,
            issued: SystemClock.now().to_rfc3339(),
            nonce: hex::encode(nonce),
            repeat: None,
        })
    }

    async fn submit(&self, task: TaskRequest) -> Result<TaskBody, Failure> {
        let signature = Some(sign_request(&task, &self.identity));
        let body = self.client.submit_task(&NewTask { task, signature, notify: None, wait: true }, None).await?;
        match body.state.as_str() {
            "done" => Ok(body),
            _ => Err(Failure::new(Code::Refused, format!("no answer: {}", body.detail))),
        }
    }

    /// Asks, and opens what came back.
    async fn ask(&self, task: TaskRequest) -> Result<TaskResult, Failure> {
        let opened = answer::open(self.submit(task).await?, Some(&self.key))?;
        opened.results.into_iter().next().ok_or_else(|| Failure::new(Code::Other, "an answer without a result"))
    }
}

fn read() -> Result<Vec<Vec<Reading>>, Failure> {
    let mut all: Vec<Vec<Reading>> = ROOMS.iter().map(|_| Vec::new()).collect();
    for line in include_str!("../../data/hvac/rooms.csv").lines().skip(1) {
        let bad = || Failure::new(Code::Other, "the built-in readings are damaged");
        let [room, _, minutes, temperature, light] = line.split(',').collect::<Vec<_>>()[..] else { return Err(bad()) };
        let room = ROOMS.iter().position(|name| *name == room).ok_or_else(bad)?;
        let minutes_before = minutes.parse().map_err(|_| bad())?;
        all[room].push(Reading { minutes_before, temperature: temperature.to_owned(), light: light.to_owned() });
    }
    Ok(all)
}

fn sample(reading: &Reading, now: UnixMillis) -> SampleBody {
    let values = [("temperature", &reading.temperature), ("light", &reading.light)];
    SampleBody {
        at: Some(now.plus(-reading.minutes_before * 60_000).to_rfc3339()),
        values: values.into_iter().map(|(name, value)| (name.to_owned(), value.clone())).collect(),
    }
}

/// The rooms' latest readings once more, as of now.
async fn measure_now(scenario: &Scenario, all: &[Vec<Reading>], rooms: std::ops::Range<usize>) -> Result<(), Failure> {
    for room in rooms {
        let Some(reading) = all[room].last() else { continue };
        let mut sample = sample(reading, SystemClock.now());
        sample.at = None;
        client(&scenario.nodes[room])?.add_samples(ROOMS[room], vec![sample]).await?;
    }
    Ok(())
}

/// The mean of the latest readings of those rooms that are occupied, and how many are.
fn latest(all: &[Vec<Reading>], rooms: &[usize]) -> (f64, usize) {
    let of = rooms.iter().filter_map(|room| all[*room].last()).filter(|r| r.occupied());
    let values: Vec<f64> = of.map(Reading::temperature).collect();
    (values.iter().sum::<f64>() / values.len() as f64, values.len())
}

async fn offered(scenario: &Scenario, rooms: usize) -> Result<(), Failure> {
    let gateway = client(&scenario.coordinator)?;
    let deadline = Instant::now() + Duration::from_secs(15);
    loop {
        let offers = gateway.offers(scenario.group).await?;
        if offers.iter().filter(|offer| offer.labels.len() == 2 && offer.sources.len() == 2).count() == rooms {
            return Ok(());
        }
        if Instant::now() > deadline {
            return Err(Failure::new(Code::Unreachable, "not all rooms are there"));
        }
        sleep(Duration::from_millis(5)).await;
    }
}

/// As a power cut would.
fn kill(node: &ChildNode) -> Result<(), Failure> {
    let pid = nix::unistd::Pid::from_raw(i32::try_from(node.address.pid)?);
    Ok(nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL)?)
}

fn number(result: &TaskResult, name: &str) -> f64 {
    result.statistics.iter().find(|one| one.name == name).map_or(f64::NAN, |one| one.value)
}

fn near(found: f64, expected: f64) -> bool {
    (found - expected).abs() < 1e-9
}
