//! `tacit serve`: runs one node until it is told to stop.

use std::path::PathBuf;

use clap::Args;

use crate::config::{DataFolder, NodeConfig, Role};
use crate::node::{Node, ToldToEnd};
use crate::output::Failure;

/// Run a node.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  tacit init --data ./node && tacit serve --config ./node/node.toml\n\n\
    What belongs to ended runs and tasks, results too, is deleted after [limits] retention_days (365; 0 keeps it).")]
pub(crate) struct Serve {
    /// The node's configuration; its folder is the data folder.
    #[arg(long, value_name = "FILE", env = "TACIT_CONFIG")]
    config: PathBuf,
    /// End when the program that started this one ends.
    #[arg(long, hide = true)]
    end_with_parent: bool,
}

impl Serve {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        if self.end_with_parent {
            end_with_parent()?;
        }
        let config = NodeConfig::read(&self.config)?;
        let folder = self
            .config
            .parent()
            .filter(|p| !p.as_os_str().is_empty())
            .map_or_else(|| PathBuf::from("."), PathBuf::from);
        run(DataFolder(folder), config).await
    }
}

/// Opens a node, says where it is, and serves until it is told to stop.
pub(crate) async fn run(data: DataFolder, config: NodeConfig) -> Result<(), Failure> {
    if config.roles.contains(&Role::Bench) {
        return crate::bench::worker::run(data, config).await;
    }
    if config.replication.is_on() {
        return crate::replicated::run(data, config).await;
    }
    // Before anybody can know of this process: who ends it right then means a clean end, too.
    let mut told = ToldToEnd::listen()?;
    let Some(opened) = told.unless(Node::open(data, config)).await else { return Ok(()) };
    let node = opened?;
    node.address.tell(&format!("tacit {} is up", env!("CARGO_PKG_VERSION")));
    told.heard().await;
    node.shutdown().await;
    Ok(())
}

/// Ends this process when the one that started it ends.
pub(crate) fn end_with_parent() -> Result<(), Failure> {
    let parent = nix::unistd::getppid();
    nix::sys::prctl::set_pdeathsig(nix::sys::signal::Signal::SIGTERM)?;
    // The parent may have ended before the line above took effect.
    if parent != nix::unistd::getppid() || parent == nix::unistd::Pid::from_raw(1) {
        return Err(Failure::usage("the program that started this node has ended"));
    }
    Ok(())
}
