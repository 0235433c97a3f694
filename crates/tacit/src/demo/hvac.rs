//! Eleven rooms of a building, each a device of its own that finds its gateway: how warm is it on each floor, where
//! somebody is? Rooms are lost, come back and join meanwhile. Then phones that compare themselves with the average.

mod asker;
mod phones;
mod rooms;

use std::path::Path;

use tacit_model::api::{PeerRole, SharingKind};
use tacit_model::{Clock, SystemClock, UnixMillis};

use self::asker::Asker;
use self::rooms::{FLOORS, READINGS, ROOMS, Reading, plain, read, window};
use super::report::Report;
use crate::config::{DataFolder, NodeConfig, Role};
use crate::discovery::DiscoveryConfig;
use crate::output::Failure;
use crate::process::ChildNode;
use crate::scenario::{Organisation, Scenario, client, ephemeral, fixed};

/// Loses power in one window and is back in the next.
const LOST: (usize, usize) = (8, 2);
/// Is there from this window on.
const LATE: (usize, usize) = (10, 4);

pub(super) async fn run(folder: &Path, report: &mut Report) -> Result<(), Failure> {
    let readings = read()?;
    report.say(
        "Eleven rooms, each with a device that keeps its readings to itself. A facility manager asks the building.\n",
    );
    report.say("Starting eleven processes: a gateway, and devices in ten rooms; room 36 comes later");
    let there = ROOMS.map(|name| Organisation { name, role: PeerRole::Both });
    let gateway = NodeConfig { name: "gateway".to_owned(), roles: vec![Role::Gateway], ..ephemeral() };
    let started = Scenario::start(folder, "building", SharingKind::Shamir, &there[..LATE.0], gateway, found);
    let mut scenario = started.await?;
    let now = SystemClock.now();
    for (room, readings) in readings[..LATE.0].iter().enumerate() {
        move_in(&scenario, room, readings, now).await?;
    }
    scenario.until_offered("rooms", LATE.0).await?;
    let listed = client(&scenario.coordinator)?.group(scenario.group).await?.members.len();
    let text = "ten rooms found the gateway by its signed announcement; both sides compared fingerprints";
    report.check("found", listed == LATE.0, text);

    report.say("\nThe mean temperature of the occupied rooms, floor by floor, every 16 minutes:\n");
    report.say("   from    to  |  floor 2   occupied  |  floor 3   occupied  |");
    let asker = Asker::new(&scenario)?;
    let (mut right, mut sealed, mut floors) = (0, true, Vec::new());
    let mut word = "";
    for number in 0..READINGS {
        let (from, to) = window(now, number);
        if number == LOST.1 {
            kill(&scenario.nodes[LOST.0])?;
            word = "room 34 lost power a moment before";
        } else if number == LOST.1 + 1 {
            let node = ChildNode::restart(ROOMS[LOST.0], &DataFolder(folder.join(ROOMS[LOST.0]))).await?;
            drop(std::mem::replace(&mut scenario.nodes[LOST.0], node));
            scenario.until_offered("rooms", LATE.0).await?;
            word = "room 34 is back";
        } else if number == LATE.1 {
            let begun = found(&scenario.coordinator)?;
            let room = scenario.add(folder, there[LATE.0], begun).await?;
            move_in(&scenario, room, &readings[room], now).await?;
            scenario.until_offered("rooms", ROOMS.len()).await?;
            word = "room 36 is new";
        }
        let mut line = format!("  {} {} ", clock(from), clock(to));
        for (floor, rooms) in FLOORS {
            let answer = asker.ask(&scenario, floor, &format!("{}/{}", from.to_rfc3339(), to.to_rfc3339())).await?;
            let gives = |room: &usize| (*room, number) != LOST && (*room != LATE.0 || number >= LATE.1);
            let (mean, occupied) = plain(&readings, rooms.filter(gives), number);
            right += usize::from((answer.mean - mean).abs() < 1e-9 && answer.occupied == occupied as f64);
            sealed &= answer.sealed;
            line += &format!("|  {:.2} °C   {} of {:<4}", answer.mean, answer.occupied, answer.rooms);
            floors.push(serde_json::json!({ "set": floor, "from": from.to_rfc3339(), "mean": answer.mean,
                "occupied": answer.occupied, "rooms": answer.rooms }));
        }
        report.say(format!("{line}|  {word}").trim_end());
        word = "";
    }
    let asked = READINGS * FLOORS.len();
    report.say("");
    report.check("means", right == asked, format!("{right} of {asked} means and counts equal the plain ones"));
    report.check("sealed", sealed, "the gateway carried them sealed for the asker, and cannot read them");
    report.result("floors", floors);

    phones::run(folder, &mut scenario, report).await?;
    scenario.stop().await?;
    report.say(&format!(
        "\nDone in {:.1} s. The rooms' readings are real: see crates/tacit/data/hvac/ORIGIN.md",
        report.elapsed_ms() as f64 / 1000.0
    ));
    Ok(())
}

/// A node that looks for the gateway by itself. On one machine, whose loopback knows no multicast, it asks a
/// bootstrap address for the announcement that mDNS would bring.
fn found(gateway: &ChildNode) -> Result<NodeConfig, Failure> {
    let discovery = DiscoveryConfig { mdns: false, bootstrap: vec![gateway.address.url.clone()], ..Default::default() };
    Ok(NodeConfig { discovery, ..fixed()? })
}

/// A room's device becomes a member, says where it is, and gives what it measured so far to its own node.
async fn move_in(scenario: &Scenario, room: usize, readings: &[Reading], now: UnixMillis) -> Result<(), Failure> {
    scenario.form_found(room).await?;
    let device = client(&scenario.nodes[room])?;
    let floor = FLOORS.iter().find(|(_, rooms)| rooms.contains(&room)).map_or("", |(label, _)| label);
    device.set_labels(ROOMS[room], vec!["rooms".to_owned(), floor.to_owned()]).await?;
    device.add_samples(ROOMS[room], readings.iter().map(|reading| reading.sample(now)).collect()).await?;
    Ok(())
}

/// Hours and minutes, UTC.
fn clock(at: UnixMillis) -> String {
    at.to_rfc3339().get(11..16).unwrap_or_default().to_owned()
}

/// As a power cut would.
fn kill(node: &ChildNode) -> Result<(), Failure> {
    let pid = nix::unistd::Pid::from_raw(i32::try_from(node.address.pid)?);
    Ok(nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL)?)
}
