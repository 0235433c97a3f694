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
        if nodes >= 4 { Ok(()) } else { Err(format!("{nodes} nodes are ready")) }
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
    for (demo, options, checks) in [("attacks", &[][..], 3), ("hospital", &["--rounds", "10"], 3), ("hvac", &[], 5)] {
        let output = tacit().args(["demo", demo, "--json"]).args(options).output().expect("tacit runs");
        let told: serde_json::Value = serde_json::from_slice(&output.stdout).expect("one object");
        assert!(output.status.success() && told["ok"] == true, "{demo}: {told}");
        assert_eq!(told["checks"].as_array().map(Vec::len), Some(checks), "{told}");
    }
}
