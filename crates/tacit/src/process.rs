//! Child nodes of demos, `up` and benches: `tacit serve` itself, on ports of the system's choice.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tacit_model::Fingerprint;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep};

use crate::config::{DataFolder, NodeConfig};
use crate::node::fingerprint_text;
use crate::output::{Code, Failure, notice};

/// What a running node says of itself in `run/addr.json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Address {
    /// Base URL of its HTTP edge.
    pub(crate) url: String,
    /// `host:port` of its link port.
    pub(crate) link: String,
    /// The certificate of the node.
    pub(crate) fingerprint: Fingerprint,
    /// Its process id.
    pub(crate) pid: u32,
}

impl Address {
    /// Says where a node is that is up.
    pub(crate) fn tell(&self, what: &str) {
        notice(what);
        notice(&format!("  http   {}", self.url));
        notice(&format!("  links  {}", self.link));
        notice(&format!("  node   {}", fingerprint_text(&self.fingerprint)));
    }
}

/// A node that runs as a child of this process and ends with it.
pub(crate) struct ChildNode {
    pub(crate) address: Address,
    /// The owner's token, read from the node's data folder.
    pub(crate) token: String,
    child: Child,
}

const READY_WITHIN: Duration = Duration::from_secs(30);

impl ChildNode {
    /// Writes the configuration into its folder and starts the node; returns when it is ready.
    pub(crate) async fn start(folder: PathBuf, config: &NodeConfig) -> Result<Self, Failure> {
        let data = DataFolder(folder);
        std::fs::create_dir_all(&data.0)?;
        std::fs::write(data.config(), config.to_text()?)?;
        Self::restart(&config.name, &data).await
    }

    /// Starts a node whose folder is there already.
    pub(crate) async fn restart(name: &str, data: &DataFolder) -> Result<Self, Failure> {
        forget_address(data)?;
        let log = std::fs::File::options().create(true).append(true).open(data.0.join("node.log"))?;
        let mut child = Command::new(std::env::current_exe()?)
            .arg("serve")
            .arg("--config")
            .arg(data.config())
            .arg("--end-with-parent")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()?;
        let deadline = Instant::now() + READY_WITHIN;
        let address = loop {
            if let Ok(text) = std::fs::read_to_string(data.address()) {
                let address = serde_json::from_str::<Address>(&text)?;
                // Of another that was quicker to take the folder, if not.
                if child.id() == Some(address.pid) {
                    break address;
                }
            }
            if let Some(status) = child.try_wait()? {
                let log = std::fs::read_to_string(data.0.join("node.log")).unwrap_or_default();
                let last = log.lines().last().unwrap_or("nothing was logged");
                return Err(Failure::new(Code::Other, format!("node {name} ended while starting ({status}): {last}")));
            }
            if Instant::now() > deadline {
                return Err(Failure::new(Code::Unreachable, format!("node {name} did not get ready in time")));
            }
            sleep(Duration::from_millis(5)).await;
        };
        let token = std::fs::read_to_string(data.owner_token())?.trim().to_owned();
        Ok(Self { address, token, child })
    }

    /// Asks the node to end and waits for it.
    pub(crate) async fn stop(mut self) -> Result<(), Failure> {
        if let Some(pid) = self.child.id().and_then(|pid| i32::try_from(pid).ok()) {
            let _gone = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGTERM);
        }
        match tokio::time::timeout(Duration::from_secs(10), self.child.wait()).await {
            Ok(status) => status.map(drop).map_err(Into::into),
            Err(_) => Ok(self.child.kill().await?),
        }
    }
}

/// Removes the address of a node that has ended without doing so: it would look like one that is ready. Of a node that
/// is running nothing is touched.
fn forget_address(data: &DataFolder) -> Result<(), Failure> {
    let _lock = crate::node::lock(data)?;
    match std::fs::remove_file(data.address()) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}
