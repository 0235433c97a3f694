//! Eleven rooms of a building, each a device of its own that finds its gateway: how warm is it on each floor, where
//! somebody is? One room is lost in the middle of a task and comes back, one joins meanwhile. Then phones
//! that compare themselves with the average.

mod arrival;
mod asker;
mod phones;
mod rooms;
mod view;

use std::path::Path;
use std::time::Duration;

use nix::sys::signal::Signal;
use tacit_model::api::{PeerRole, SharingKind};
use tacit_model::{Clock, SystemClock, UnixMillis};
use tokio::time::{Instant, sleep};

use self::arrival::Arrivals;
use self::asker::{Answer, Asker};
use self::rooms::{FLOORS, READINGS, ROOMS, Reading, plain, read, window};
use self::view::View;
use super::report::Report;
use crate::output::{Code, Failure};
use crate::process::ChildNode;
use crate::scenario::{Organisation, Scenario, client};

/// Loses power while the task of a window runs, and is back in the next.
const LOST: (usize, usize) = (8, 2);
/// Is there from this window on.
const LATE: (usize, usize) = (10, 4);
/// How long the lost room hangs before it is gone.
const HANGS: Duration = Duration::from_millis(50);

pub(super) async fn run(folder: &Path, report: &mut Report) -> Result<(), Failure> {
    let readings = read()?;
    report.say(
        "Eleven rooms, each with a device that keeps its readings to itself. A facility manager asks the building.\n\
         Real: temperature and light of one office, February 2015; each room is that office at another time.\n\
         Derived: nobody counted people, so a room is taken for occupied at 300 lux or more. Ours: the floors.\n",
    );
    report.say("Starting eleven processes: a gateway, and devices in ten rooms; room 36 comes later");
    let there = ROOMS.map(|name| Organisation { name, role: PeerRole::Both });
    let mut arrivals = Arrivals::new();
    let device = |_: &ChildNode| arrivals.device();
    let (kind, first) = (SharingKind::Shamir, &there[..LATE.0]);
    let mut scenario = Scenario::start(folder, "building", kind, first, arrivals.gateway(), device).await?;
    let now = SystemClock.now();
    report.progress("ten devices look for their gateway");
    arrivals.arrive(folder, &mut scenario, &Vec::from_iter(0..LATE.0)).await?;
    report.progress_done();
    for (room, readings) in readings[..LATE.0].iter().enumerate() {
        move_in(&scenario, room, readings, now).await?;
    }
    scenario.until_offered("rooms", LATE.0).await?;
    let listed = client(&scenario.coordinator)?.group(scenario.group).await?.members.len();
    report.check("found", listed == LATE.0, format!("{}; both sides compared fingerprints", arrivals.told()));

    report.say("\nThe mean temperature of the occupied rooms, floor by floor, every 16 minutes:\n");
    let asker = Asker::new(&scenario)?;
    let (mut right, mut sealed, mut floors) = (0, true, Vec::new());
    let mut repair = None;
    let mut view = View::new(report);
    for number in 0..READINGS {
        let (from, to) = window(now, number);
        view.begin(format!("{} {}", clock(from), clock(to)));
        if number == LOST.1 + 1 {
            scenario.restart(folder, LOST.0, None).await?;
            scenario.until_offered("rooms", LATE.0).await?;
            view.remark(&scenario, "room 34 is back").await?;
        } else if number == LATE.1 {
            let room = scenario.add(folder, there[LATE.0], arrivals.device()?).await?;
            arrivals.arrive(folder, &mut scenario, &[room]).await?;
            move_in(&scenario, room, &readings[room], now).await?;
            scenario.until_offered("rooms", ROOMS.len()).await?;
            view.remark(&scenario, "room 36 is new").await?;
        }
        for (floor, rooms) in FLOORS {
            let asked = format!("{}/{}", from.to_rfc3339(), to.to_rfc3339());
            let mut gives: Vec<usize> = rooms.filter(|room| *room != LATE.0 || number >= LATE.1).collect();
            let lost_here = number == LOST.1 && gives.contains(&LOST.0);
            let answer = if lost_here {
                let cut = power_cut(&scenario, &asker, floor, &asked).await?;
                // Lost before its data was in, it is left out; lost after it, it counts.
                if usize::try_from(cut.answer.rooms)? < gives.len() {
                    gives.retain(|room| *room != LOST.0);
                }
                view.remark(&scenario, &cut.told()).await?;
                repair.insert(cut).answer
            } else {
                asker.ask(&scenario, floor, &asked).await?
            };
            let (mean, occupied) = plain(&readings, gives.into_iter(), number);
            let equal = (answer.mean - mean).abs() < 1e-9 && answer.occupied == occupied as f64;
            right += usize::from(equal);
            if let Some(cut) = repair.as_mut().filter(|_| lost_here) {
                cut.right = equal;
            }
            sealed &= answer.sealed;
            view.answer(&scenario, &answer).await?;
            floors.push(serde_json::json!({ "set": floor, "from": from.to_rfc3339(), "mean": answer.mean,
                "occupied": answer.occupied, "rooms": answer.rooms }));
        }
        view.end(&scenario, report).await?;
    }
    let asked = READINGS * FLOORS.len();
    report.say("");
    report.check("means", right == asked, format!("{right} of {asked} means and counts equal the plain ones"));
    let cut = repair.ok_or_else(|| Failure::new(Code::Other, "no room was lost"))?;
    report.check("repair", cut.right, format!("{}: the answer is right for those that gave", cut.told()));
    report.check("sealed", sealed, "the gateway carried them sealed for the asker, and cannot read them");
    report.result("floors", floors);
    report.result("repeated", cut.repeated);

    phones::run(folder, &mut scenario, &mut arrivals, report).await?;
    let found = serde_json::json!({ "multicast": arrivals.by_multicast, "bootstrap": arrivals.by_bootstrap });
    report.result("found_by", found);
    scenario.stop().await?;
    report.say(&format!(
        "\nDone in {:.1} s. Where the readings come from: crates/tacit/data/hvac/ORIGIN.md",
        report.elapsed_ms() as f64 / 1000.0
    ));
    Ok(())
}

/// A room that was lost while a task ran, and what became of the task.
#[derive(Clone, Copy)]
struct PowerCut {
    answer: Answer,
    /// The task was refused, and asked again.
    repeated: bool,
    right: bool,
}

impl PowerCut {
    fn told(self) -> String {
        match self.repeated {
            false => "room 34 lost power in the middle of this task, which went on".to_owned(),
            true => "room 34 lost power in the middle of this task, which was refused and asked again".to_owned(),
        }
    }
}

/// Asks a floor; room 34 loses power while the task runs.
async fn power_cut(scenario: &Scenario, asker: &Asker, floor: &str, window: &str) -> Result<PowerCut, Failure> {
    let room = &scenario.nodes[LOST.0];
    // It hangs before it dies: so it dies while the others wait for it, however fast a task is.
    signal(room, Signal::SIGSTOP)?;
    let cut = async {
        let gateway = client(&scenario.coordinator)?;
        let deadline = Instant::now() + Duration::from_secs(10);
        while gateway.tasks().await?.iter().all(|task| task.state != "open") && Instant::now() < deadline {
            sleep(Duration::from_millis(2)).await;
        }
        sleep(HANGS).await;
        signal(room, Signal::SIGKILL)
    };
    let (answer, cut) = tokio::join!(asker.ask(scenario, floor, window), cut);
    cut?;
    let repeated = answer.is_err();
    let answer = match answer {
        Ok(answer) => answer,
        Err(_refused) => asker.ask(scenario, floor, window).await?,
    };
    Ok(PowerCut { answer, repeated, right: false })
}

/// A room's device says where it is, and gives what it measured so far to its own node.
async fn move_in(scenario: &Scenario, room: usize, readings: &[Reading], now: UnixMillis) -> Result<(), Failure> {
    let device = client(&scenario.nodes[room])?;
    let floor = FLOORS.iter().find(|(_, rooms)| rooms.contains(&room)).map_or("", |(label, _)| label);
    device.set_labels(ROOMS[room], vec!["rooms".to_owned(), floor.to_owned()]).await?;
    // The questions are about occupied rooms only, which each owner has to allow.
    let mut policy = device.policy(ROOMS[room]).await?.policy;
    policy.conditions = true;
    device.set_policy(ROOMS[room], &policy).await?;
    device.add_samples(ROOMS[room], readings.iter().map(|reading| reading.sample(now)).collect()).await?;
    Ok(())
}

/// Hours and minutes, UTC.
fn clock(at: UnixMillis) -> String {
    at.to_rfc3339().get(11..16).unwrap_or_default().to_owned()
}

fn signal(node: &ChildNode, signal: Signal) -> Result<(), Failure> {
    let pid = nix::unistd::Pid::from_raw(i32::try_from(node.address.pid)?);
    Ok(nix::sys::signal::kill(pid, signal)?)
}
