//! Gateways on machines of their own, one of which is cut off from the network.

use serde_json::Value;

use crate::harness::run;
use crate::lab::{HTTP, LINK, Lab, Machine};
use crate::wait::until;

/// Three gateways of one group of gateways, each on a machine of its own, `10.78.0.1` and so on.
fn three(lab: &Lab, mdns: bool) -> Vec<Machine> {
    let mut machines: Vec<Machine> = (1..=3).map(|host| lab.machine(&[&format!("10.78.0.{host}/24")])).collect();
    let mut nodes = String::new();
    for (machine, host) in machines.iter().zip(1..) {
        let keys = machine.data().join("keys");
        let made = run(&["key", "new", "--dir", keys.to_str().expect("a path"), "--name", "node", "--json"]);
        let made: Value = serde_json::from_slice(&made.stdout).expect("JSON");
        nodes.push_str(&format!(
            "[[replication.nodes]]\nfingerprint = {}\nlink = \"10.78.0.{host}:{LINK}\"\n\
             url = \"https://10.78.0.{host}:{HTTP}\"\n",
            made["fingerprint"]
        ));
    }
    for machine in &mut machines {
        machine.serve(&format!(
            "roles = [\"gateway\"]\nhttp = \"0.0.0.0:{HTTP}\"\ntls = true\nlink = \"0.0.0.0:{LINK}\"\n\
             [discovery]\nmdns = {mdns}\n{nodes}"
        ));
    }
    machines
}

/// The gateway that leads, which is not `without`.
#[track_caller]
fn leading(machines: &[Machine], without: Option<usize>) -> usize {
    until("a gateway to lead", || {
        // A command would be sent on by one that follows.
        let found = (0..machines.len()).find(|at| Some(*at) != without && machines[*at].is_ready());
        found.ok_or_else(|| "none does".to_owned())
    })
}

/// Waits until this gateway leads no more.
#[track_caller]
fn until_deposed(machine: &Machine) {
    until("a gateway to lead no more", || {
        let listed = machine.run(&["group", "list"]);
        if listed.status.code() == Some(4) { Ok(()) } else { Err(format!("{listed:?}")) }
    });
}

/// The gateway that leads is cut off with nobody: it refuses, the others go on, and after healing it follows them; what
/// it could not write is nowhere, and the log is one.
#[test]
fn w1_a_gateway_that_is_cut_off_refuses_and_follows_after_healing() {
    let lab = Lab::new();
    let machines = three(&lab, false);
    let groups = |machine: &Machine| -> Vec<String> {
        let list = machine.told(&["group", "list"]);
        list.as_array().expect("a list").iter().map(|group| group["name"].to_string()).collect()
    };

    let first = leading(&machines, None);
    machines[first].told(&["group", "create", "before"]);
    lab.cut(&machines[first]);
    // Before its lease is over it waits in vain, and then it refuses at once.
    let refused = machines[first].run(&["group", "create", "alone"]);
    assert_eq!(refused.status.code(), Some(4), "{refused:?}");
    until_deposed(&machines[first]);
    let second = leading(&machines, Some(first));
    assert_eq!(groups(&machines[second]), ["\"before\""]);
    machines[second].told(&["group", "create", "after"]);
    let log = machines[second].told(&["audit", "show"]);

    lab.heal(&machines[first]);
    // A command that asks the first is sent on to the one that leads.
    until("the first to hear who leads", || {
        let listed = machines[first].run(&["group", "list"]);
        let text = String::from_utf8_lossy(&listed.stdout).into_owned();
        if listed.status.success() && text.contains("after") { Ok(()) } else { Err(format!("{listed:?}")) }
    });
    // With the second one gone, the first and the third are the majority.
    lab.cut(&machines[second]);
    let third = leading(&machines, Some(second));
    assert_eq!(groups(&machines[third]), ["\"before\"", "\"after\""]);
    let later = machines[third].told(&["audit", "show"]);
    let entries = |log: &Value| log.as_array().expect("entries").clone();
    assert!(entries(&later).starts_with(&entries(&log)), "{log}\n{later}");
}

/// A command that works in the end: on a busy machine the lead may change meanwhile, or a search hear nobody in time.
#[track_caller]
fn told_in_the_end(machine: &Machine, args: &[&str]) -> Value {
    until(&format!("{args:?} to work"), || {
        let output = machine.run(args);
        let told = output.status.success().then(|| serde_json::from_slice(&output.stdout).ok()).flatten();
        told.ok_or_else(|| format!("{output:?}"))
    })
}

/// A peer without any address joins whoever leads now: it finds one that led before, by multicast or at a bootstrap
/// address, and is sent on. One that leads no more is no longer announced.
#[test]
fn w1_f08_a_fresh_peer_joins_the_gateway_that_leads_now() {
    let lab = Lab::new();
    let mut machines = three(&lab, true);
    let first = leading(&machines, None);
    machines[first].told(&["group", "create", "building"]);
    let mut peers: Vec<Machine> = (11..=12).map(|host| lab.machine(&[&format!("10.78.0.{host}/24")])).collect();
    let discovery =
        ["mdns = true".to_owned(), format!("mdns = false\nbootstrap = [\"https://10.78.0.{}:{HTTP}\"]", first + 1)];
    for (peer, discovery) in peers.iter_mut().zip(discovery) {
        peer.serve(&format!(
            "name = \"room\"\nroles = [\"peer\"]\nhttp = \"127.0.0.1:{HTTP}\"\nlink = \"[::]:{LINK}\"\n\
             [discovery]\n{discovery}\n"
        ));
        // It has heard of the first: no such code is there. An announcement takes its time, and so does a busy machine.
        until("the first to be found", || {
            let refused = peer.run(&["join", "0123456789abcdef", "--name", "nobody"]);
            let said = String::from_utf8_lossy(&refused.stderr).into_owned();
            if said.contains("registration code") { Ok(()) } else { Err(format!("{refused:?}")) }
        });
    }

    // Nobody hears the first say that it leads no more, so the others remember it.
    lab.cut(&machines[first]);
    until_deposed(&machines[first]);
    let mut second = leading(&machines, Some(first));
    lab.heal(&machines[first]);
    told_in_the_end(&machines[first], &["group", "list"]);
    for (number, peer) in peers.iter().enumerate() {
        let code = told_in_the_end(&machines[second], &["group", "invite", "1"]);
        let (code, name) = (code.as_str().expect("a code"), format!("room{number}"));
        let joined = told_in_the_end(peer, &["join", code, "--name", &name]);
        // On a busy machine another one may have been elected meanwhile.
        let before = std::mem::replace(&mut second, leading(&machines, None));
        let led = [before, second].map(|at| machines[at].fingerprint());
        assert!(led.iter().any(|led| joined["gateway_fingerprint"] == led.as_str()), "{led:?}: {joined}");
        assert_eq!(joined["gateway_compared"], false, "found is not trusted: {joined}");
    }

    // Alone the second cannot lead. It says so, and a search by multicast finds nobody.
    for (at, machine) in machines.iter_mut().enumerate() {
        if at != second {
            machine.kill();
        }
    }
    until_deposed(&machines[second]);
    until("nobody to be announced", || {
        let nobody = peers[0].run(&[
            "join",
            "0123456789abcdef",
            "--name",
            "late",
            "--gateway-fingerprint",
            &machines[second].fingerprint(),
        ]);
        let said = String::from_utf8_lossy(&nobody.stderr).into_owned();
        if nobody.status.code() == Some(4) && said.contains("no gateway") { Ok(()) } else { Err(format!("{nobody:?}")) }
    });
}
