//! SMC providers of the bench: a process beside each peer that answers pings and computes nothing.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tacit_party::EchoProvider;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep};

use crate::config::ProviderConfig;
use crate::output::{Code, Failure};

/// The provider's socket in a peer's data folder.
const SOCKET: &str = "smc.sock";
const READY_WITHIN: Duration = Duration::from_secs(20);

/// What a peer of the bench knows of its provider.
pub(super) fn configured() -> ProviderConfig {
    ProviderConfig { name: "echo".to_owned(), socket: SOCKET.into(), pings: true }
}

/// Serves one provider until the bench ends: the child's side.
pub(super) async fn serve(socket: &Path) -> Result<(), Failure> {
    crate::serve::end_with_parent()?;
    Err(EchoProvider::bind(socket)?.serve().await.into())
}

/// Providers that end with this value.
pub(super) struct Providers(Vec<Child>);

impl Providers {
    /// Starts one for each of these data folders.
    pub(super) async fn start(folders: impl Iterator<Item = PathBuf>) -> Result<Self, Failure> {
        let mut children = Vec::new();
        let deadline = Instant::now() + READY_WITHIN;
        for folder in folders {
            let socket = folder.join(SOCKET);
            let mut command = Command::new(std::env::current_exe()?);
            command.args(["bench", "echo", "--socket"]).arg(&socket);
            children.push(command.stdin(Stdio::null()).stdout(Stdio::null()).kill_on_drop(true).spawn()?);
            while !socket.exists() {
                if Instant::now() > deadline {
                    return Err(Failure::new(Code::Unreachable, "a provider of the bench did not get ready in time"));
                }
                sleep(Duration::from_millis(2)).await;
            }
        }
        Ok(Self(children))
    }

    /// Ends all of them.
    pub(super) async fn stop(self) -> Result<(), Failure> {
        for mut child in self.0 {
            child.kill().await?;
        }
        Ok(())
    }
}
