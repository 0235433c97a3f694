//! The command line by itself: help, examples, exit codes.

use std::collections::BTreeSet;
use std::process::{Command, Stdio};

use crate::harness::{files_below, run, tacit};
use crate::wait::until;

/// The commands that a help text lists.
fn listed(help: &str) -> Vec<String> {
    let section = help.split_once("\nCommands:\n").map_or("", |(_, rest)| rest);
    let lines = section.lines().take_while(|line| line.starts_with("  "));
    // A description that is folded is indented further.
    let names = lines.filter(|line| !line.starts_with("   ")).filter_map(|line| line.split_whitespace().next());
    names.filter(|name| *name != "help").map(str::to_owned).collect()
}

/// All commands with their subcommands, as the help texts lead to them.
#[track_caller]
fn all_commands() -> Vec<Vec<String>> {
    let mut found: Vec<Vec<String>> = Vec::new();
    let mut open: Vec<Vec<String>> = vec![Vec::new()];
    while let Some(command) = open.pop() {
        let words: Vec<&str> = command.iter().map(String::as_str).chain(["--help"]).collect();
        let output = run(&words);
        assert_eq!(output.status.code(), Some(0), "{words:?}");
        for name in listed(&String::from_utf8_lossy(&output.stdout)) {
            open.push([&command[..], &[name]].concat());
        }
        if !command.is_empty() {
            found.push(command);
        }
    }
    assert!(found.len() >= 2, "{found:?}");
    found.sort();
    found
}

#[test]
fn exit_codes_and_help() {
    let commands = all_commands();
    let top: BTreeSet<&str> = commands.iter().map(|command| command[0].as_str()).collect();
    for promised in ["demo", "up", "init", "serve", "join", "p2ds", "group", "peer", "source", "bench"] {
        assert!(top.contains(promised), "there is no tacit {promised}: {top:?}");
    }
    let mut without = Vec::new();
    for command in &commands {
        let words: Vec<&str> = command.iter().map(String::as_str).collect();
        let help = run(&[&words[..], &["--help"]].concat());
        let text = String::from_utf8_lossy(&help.stdout);
        // Its own, or those of the command above it.
        let line = format!("tacit {}", words[0]);
        let example = text.split_once("Example").is_some_and(|(_, example)| example.contains(&line));
        if !example {
            without.push(words.join(" "));
        }
        // A flag that nobody knows is wrong usage everywhere, and said so on the error output.
        let wrong = run(&[&words[..], &["--no-such-flag"]].concat());
        assert_eq!(wrong.status.code(), Some(2), "{words:?}: {wrong:?}");
        assert!(wrong.stdout.is_empty() && !wrong.stderr.is_empty(), "{words:?}: {wrong:?}");
    }
    assert!(without.is_empty(), "--help has no example: {without:#?}");
}

#[test]
fn wrong_usage_ends_with_2() {
    let nowhere = "/nonexistent/tacit/node.toml";
    let cases: &[&[&str]] = &[
        &[],
        &["no-such-command"],
        &["p2ds", "--listen", "nonsense", "--admin-key", "k"],
        &["p2ds", "--listen", "127.0.0.1:99999", "--admin-key", "k"],
        &["p2ds", "--roles", "king", "--admin-key", "k"],
        &["p2ds", "--slot-deadline", "soon", "--admin-key", "k"],
        &["p2ds"],
        &["serve"],
        &["serve", "--config", nowhere],
        &["demo", "no-such-demo"],
        &["bench", "no-such-bench", "--json"],
    ];
    for case in cases {
        let output = run(case);
        assert_eq!(output.status.code(), Some(2), "{case:?}: {output:?}");
        assert!(!output.stderr.is_empty(), "{case:?} says nothing");
    }
    let output = run(&["--version"]);
    assert_eq!(output.status.code(), Some(0));
    assert!(String::from_utf8_lossy(&output.stdout).starts_with("tacit "), "{output:?}");
}

#[test]
fn an_address_in_use_is_a_matter_of_configuration() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let data = data.to_str().expect("a path");
    let output = run(&["p2ds", "--listen", &address, "--admin-key", "k", "--data", data]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains(&address), "{output:?}");
}

#[test]
fn nobody_at_home_ends_with_4() {
    // Reserved and not listened on.
    let port = crate::harness::Port::reserve();
    let node = format!("http://127.0.0.1:{}", port.number);
    let output = run(&["group", "list", "--node", &node]);
    assert_eq!(output.status.code(), Some(4), "{output:?}");
}

/// `tacit ... | head` that has read enough.
#[test]
fn a_closed_pipe_ends_a_command_quietly() {
    let (one, other) = ("01".repeat(32), "02".repeat(32));
    let mut child = crate::harness::tacit()
        .args(["key", "compare", &one, &other, "--manager-key", "MCow"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let ended = child.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(0), "{ended:?}");
    assert!(ended.stderr.is_empty(), "{ended:?}");
}

/// Ctrl-C in the middle of a demo: its processes end, and its folder goes.
#[test]
fn an_interrupted_demo_leaves_nothing_behind() {
    let temporary = tempfile::tempdir().expect("a folder");
    let inside = || std::fs::read_dir(temporary.path()).expect("a folder").count();
    let mut demo = tacit()
        .args(["demo", "hospital", "--rounds", "100000"])
        .env("TMPDIR", temporary.path())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("tacit starts");
    until("the demo to be at work", || {
        let nodes = files_below(temporary.path()).iter().filter(|file| file.ends_with("run/addr.json")).count();
        if nodes == 5 { Ok(()) } else { Err(format!("{nodes} nodes are ready")) }
    });
    let told = Command::new("kill").args(["-INT", &demo.id().to_string()]).status().expect("kill runs");
    assert!(told.success());
    let status = until("the demo to end", || match demo.try_wait() {
        Ok(Some(status)) => Ok(status),
        other => Err(format!("{other:?}")),
    });
    assert_eq!(status.code(), Some(1));
    assert_eq!(inside(), 0, "{:?}", files_below(temporary.path()));
}

/// What a newcomer runs first. Each compares what came out with the open data, and says so by its exit code.
#[test]
fn the_demos_are_right() {
    for (demo, options, checks) in [("attacks", &[][..], 3), ("hospital", &["--rounds", "100"], 3), ("hvac", &[], 6)] {
        let output = tacit().args(["demo", demo, "--json"]).args(options).output().expect("tacit runs");
        let told: serde_json::Value = serde_json::from_slice(&output.stdout).expect("one object");
        assert!(output.status.success() && told["ok"] == true, "{demo}: {told}");
        assert_eq!(told["checks"].as_array().map(Vec::len), Some(checks), "{told}");
    }
}

/// The sums are computed here again, from the files.
#[test]
fn the_attacks_demo_adds_up_the_files_it_is_given() {
    let shipped = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("data").join("attacks");
    let shipped = ["a", "b", "c"].map(|domain| {
        let file = shipped.join(format!("domain-{domain}.csv"));
        std::fs::read_to_string(&file).expect("a file of the demo")
    });
    let counts = |text: &str| -> Vec<u64> {
        let count = |line: &str| line.rsplit_once(',').and_then(|(_, count)| count.parse().ok());
        text.lines().skip(1).map(|line| count(line).expect("a count")).collect()
    };
    let sums = |texts: &[String; 3]| -> Vec<u64> {
        let domains = texts.each_ref().map(|text| counts(text));
        (0..domains[0].len()).map(|slot| domains.iter().map(|counts| counts[slot]).sum()).collect()
    };
    let told = |options: &[&str]| -> Vec<u64> {
        let output = tacit().args(["demo", "attacks", "--json"]).args(options).output().expect("tacit runs");
        let told: serde_json::Value = serde_json::from_slice(&output.stdout).expect("one object");
        assert!(output.status.success() && told["ok"] == true, "{told}");
        let sums = told["results"]["sums"].as_array().expect("a list");
        sums.iter().map(|sum| sum.as_u64().expect("a number")).collect()
    };
    let wanted = sums(&shipped);
    assert_eq!(wanted.len(), 288);
    assert_eq!(told(&[]), wanted);

    let own = [7_u64, 100, 5].map(|step| {
        let rows = (0..12).map(|slot| format!("2026-01-05T10:{:02}:00Z,{}\n", slot * 5, slot * step * step));
        format!("slot_start,count\n{}", rows.collect::<String>())
    });
    let folder = tempfile::tempdir().expect("a folder");
    for (name, text) in ["one", "two", "three"].into_iter().zip(&own) {
        std::fs::write(folder.path().join(format!("{name}.csv")), text).expect("written");
    }
    assert_eq!(told(&["--input", folder.path().to_str().expect("a path")]), sums(&own));
}

/// Three organisations that stay up, used by the commands that are printed, ended by Ctrl-C, and up again.
#[test]
fn up_prints_commands_that_work_as_they_are() {
    let folder = tempfile::tempdir().expect("a folder");
    // A first start that comes to nothing is not in the way of another one elsewhere.
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let http = taken.local_addr().expect("an address").to_string();
    let up = || {
        let output = tacit().current_dir(folder.path()).args(["up", "--http", &http]).output().expect("tacit starts");
        assert!(!output.status.success(), "{output:?}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let said = up();
    assert!(said.contains("cannot be listened on"), "{said}");
    // Nor does it touch what somebody else keeps there.
    let alpha = folder.path().join("tacit-up").join("alpha");
    std::fs::create_dir_all(&alpha).expect("a folder");
    std::fs::write(alpha.join("mine"), "x").expect("a file");
    let said = up();
    assert!(said.contains("cannot be listened on"), "{said}");
    std::fs::write(alpha.join("node.toml"), "x").expect("a file");
    let said = up();
    assert!(said.contains("choose another --data folder"), "{said}");
    assert_eq!(std::fs::read_to_string(alpha.join("node.toml")).expect("it is there"), "x");
    assert_eq!(std::fs::read_to_string(alpha.join("mine")).expect("it is there"), "x");
    std::fs::remove_dir_all(&alpha).expect("removed");
    for start in 1..=2 {
        let mut up = tacit()
            .current_dir(folder.path())
            .args(["up", "--http", "127.0.0.1:0"])
            .stdout(Stdio::piped())
            .spawn()
            .expect("tacit starts");
        let mut lines = std::io::BufRead::lines(std::io::BufReader::new(up.stdout.take().expect("an output")));
        let mut said = Vec::new();
        while !said.last().is_some_and(|line: &String| line.starts_with("Stop with")) {
            said.push(lines.next().unwrap_or_else(|| panic!("it ended: {said:?}")).expect("text"));
        }
        let next: Vec<&String> = said
            .iter()
            .skip_while(|line| !line.starts_with("Try next"))
            .filter(|line| line.starts_with("  "))
            .collect();
        assert_eq!(next.len(), 3, "{said:?}");
        let typed = |line: &str| {
            let output =
                Command::new("bash").args(["-c", line]).current_dir(folder.path()).output().expect("bash runs");
            assert!(output.status.success(), "{line}: {output:?}");
            String::from_utf8_lossy(&output.stdout).into_owned()
        };
        typed(next[0]);
        until("the sums", || {
            let shown = typed(next[1]);
            let rows = shown.lines().filter(|line| line.contains("15") && line.contains("21")).count();
            if rows == start { Ok(()) } else { Err(shown) }
        });
        assert!(typed(next[2]).contains("alpha"));
        let told = Command::new("kill").args(["-INT", &up.id().to_string()]).status().expect("kill runs");
        assert!(told.success());
        assert_eq!(up.wait().expect("it ends").code(), Some(0));
    }
}
