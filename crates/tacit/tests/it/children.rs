//! Nodes that a command started end when it does, however it ends.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::harness::{Port, files_below, tacit};
use crate::wait::until;

/// A command, killed when the test ends.
struct Parent(Child);

impl Parent {
    fn signal(&self, signal: &str) {
        let told = Command::new("kill").args([signal, &self.0.id().to_string()]).status().expect("kill runs");
        assert!(told.success(), "{signal}");
    }
}

impl Drop for Parent {
    fn drop(&mut self) {
        let _gone = self.0.kill();
        let _reaped = self.0.wait();
    }
}

/// Process ids of the nodes whose folders are below this one.
fn nodes(data: &Path) -> Vec<u64> {
    let addresses = files_below(data).into_iter().filter(|file| file.ends_with("run/addr.json"));
    let pid = |file: PathBuf| -> Option<u64> {
        serde_json::from_str::<Value>(&std::fs::read_to_string(file).ok()?).ok()?["pid"].as_u64()
    };
    addresses.filter_map(pid).collect()
}

/// Whether a process is there, and not only the memory of one.
fn runs(pid: &u64) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    status.lines().any(|line| line.starts_with("State:") && !line.contains('Z'))
}

/// Killed at once, or after it was stopped: then it cannot tell its nodes anything.
#[test]
fn nodes_end_with_the_command_that_started_them() {
    for stopped in [false, true] {
        let folder = tempfile::tempdir().expect("a folder");
        let (data, port) = (folder.path().join("up"), Port::reserve());
        let mut command = tacit();
        command.args(["up", "--http", &format!("127.0.0.1:{}", port.number)]).arg("--data").arg(&data);
        let mut parent = Parent(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("tacit starts"));
        let all = until("four nodes", || {
            let found = if data.exists() { nodes(&data) } else { Vec::new() };
            if found.len() == 4 { Ok(found) } else { Err(format!("{found:?}")) }
        });
        assert!(all.iter().all(runs), "{all:?}");
        if stopped {
            parent.signal("-STOP");
            assert!(all.iter().all(runs), "a command that is stopped may go on: {all:?}");
        }
        parent.0.kill().expect("it is killed");
        until("the end of the nodes", || {
            let left: Vec<_> = all.iter().filter(|pid| runs(pid)).collect();
            if left.is_empty() { Ok(()) } else { Err(format!("{left:?}")) }
        });
    }
}
