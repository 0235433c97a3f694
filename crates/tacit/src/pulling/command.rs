//! What a source's command prints.

use std::pin::pin;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::io::AsyncReadExt;
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

/// A command may take so long.
const PATIENCE: Duration = Duration::from_secs(60);
/// And print so much.
const MOST_BYTES: u64 = 64 << 20;

/// What it leaves in the background may hold its output open; once it has ended, the rest is read for so long.
const GRACE: Duration = Duration::from_secs(1);

/// A command that runs. Dropped, it ends with all that it started. What it leaves when it ends by itself is left alone.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // Without an id it was seen to end: another process may have the number by now.
        if let Some(group) = self.0.id().and_then(|id| i32::try_from(id).ok()) {
            let _gone = killpg(Pid::from_raw(group), Signal::SIGKILL);
        }
    }
}

/// What a command prints. It is not told anything, ends with the node, and what it complains of is not kept: it may
/// quote data.
pub(super) async fn run(program: &str, arguments: &[String]) -> Result<Vec<u8>, String> {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    // A group of its own, in which is what it starts, too.
    command.process_group(0).kill_on_drop(true);
    let mut running = Running(command.spawn().map_err(|e| format!("it does not start: {e}"))?);
    let mut printed = Vec::new();
    let work = end_of(&mut running.0, &mut printed);
    let ended = timeout(PATIENCE, work).await.map_err(|_| "it takes longer than 60 s".to_owned())??;
    if ended.success() { Ok(printed) } else { Err(format!("it ended with {ended}")) }
}

/// Reads what a command prints until it ends.
async fn end_of(child: &mut Child, printed: &mut Vec<u8>) -> Result<ExitStatus, String> {
    let mut whole = true;
    let ended = {
        let mut reading = pin!(read(child.stdout.take(), printed));
        tokio::select! {
            read = &mut reading => {
                read?;
                child.wait().await
            }
            ended = child.wait() => {
                match timeout(GRACE, &mut reading).await {
                    Ok(read) => read?,
                    Err(_) => whole = false,
                }
                ended
            }
        }
    };
    if !whole {
        // Half a line may look like a record, with another number.
        let lines = printed.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        printed.truncate(lines);
    }
    ended.map_err(|e| e.to_string())
}

/// What was read so far stays when this is given up.
async fn read(stdout: Option<ChildStdout>, printed: &mut Vec<u8>) -> Result<(), String> {
    let Some(stdout) = stdout else { return Ok(()) };
    let mut stdout = stdout.take(MOST_BYTES + 1);
    while stdout.read_buf(printed).await.map_err(|e| e.to_string())? > 0 {}
    if u64::try_from(printed.len()).unwrap_or(u64::MAX) > MOST_BYTES {
        return Err("it prints more than 64 MiB; let it print what is new only".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use nix::sys::signal::kill;
    use nix::sys::stat::Mode;
    use nix::unistd::mkfifo;
    use tokio::net::unix::pipe;

    use super::*;

    async fn shell(script: &str) -> Result<String, String> {
        let printed = run("sh", &["-c".to_owned(), script.to_owned()]).await?;
        String::from_utf8(printed).map_err(|e| e.to_string())
    }

    /// A named pipe, and how a script opens it: all that it starts from then on holds it open.
    fn held(folder: &Path) -> (String, pipe::Receiver) {
        let path = folder.join("held");
        mkfifo(&path, Mode::S_IRWXU).expect("a named pipe");
        let holders = pipe::OpenOptions::new().open_receiver(&path).expect("its end");
        (format!("exec 3>'{}'", path.display()), holders)
    }

    /// Nobody holds the pipe any more; a failed test only waits until the bound.
    async fn are_gone(mut holders: pipe::Receiver) -> bool {
        let mut rest = Vec::new();
        timeout(Duration::from_secs(20), holders.read_to_end(&mut rest)).await.is_ok_and(|read| read.is_ok())
    }

    /// As when its time is over, or the node stops.
    #[tokio::test]
    async fn a_command_that_is_given_up_ends_with_what_it_started() {
        let folder = tempfile::tempdir().expect("a folder");
        let (hold, mut holders) = held(folder.path());
        let script = format!("{hold}; (echo here >&3; exec sleep 60) & wait");
        let mut here = [0; 5];
        tokio::select! {
            ended = shell(&script) => panic!("{ended:?}"),
            read = holders.read_exact(&mut here) => assert!(read.is_ok() && here == *b"here\n"),
        }
        assert!(are_gone(holders).await, "what it started runs on");
    }

    #[tokio::test]
    async fn a_command_that_prints_too_much_ends_with_what_it_started() {
        let folder = tempfile::tempdir().expect("a folder");
        let (hold, holders) = held(folder.path());
        let ended = shell(&format!("{hold}; sleep 60 >/dev/null & exec cat /dev/zero")).await;
        assert!(ended.is_err_and(|why| why.contains("more than 64 MiB")));
        assert!(are_gone(holders).await, "what it started runs on");
    }

    /// Nor is it ended. Of what it prints only whole lines are taken, since nobody knows whether it is done.
    #[tokio::test]
    async fn what_a_command_leaves_in_the_background_is_not_waited_for() {
        let printed = shell("sleep 90 & printf 'at,a\\n1000,%s\\n2000,2' $!").await.expect("it ended well");
        let line = printed.strip_prefix("at,a\n1000,").and_then(|rest| rest.strip_suffix('\n'));
        let left = line.and_then(|number| number.parse().ok()).expect("one whole line");
        kill(Pid::from_raw(left), Signal::SIGKILL).expect("it was left alone");
    }

    #[tokio::test]
    async fn what_a_command_prints_is_taken_whole_if_it_ends_well() {
        assert_eq!(shell("printf 'at,a\\n1000,1'").await, Ok("at,a\n1000,1".to_owned()));
        assert!(shell("printf 'at,a\\n'; exit 3").await.is_err_and(|why| why == "it ended with exit status: 3"));
        let nothing = run("/there/is/no/such/program", &[]).await;
        assert!(nothing.is_err_and(|why| why.starts_with("it does not start: ")));
    }
}
