//! `tacit up`: three organisations on this machine, staying up.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::Args;
use tacit_model::api::{ConfigurationBody, PeerRole, SharingKind};

use crate::config::{DataFolder, NodeConfig, Role};
use crate::output::{Code, Failure, for_shell, notice, program};
use crate::process::ChildNode;
use crate::scenario::{Organisation, Scenario, client, fixed};

/// Run three organisations on this machine until stopped, with a status page and an API.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  tacit up\n  tacit up --data ./try --http 127.0.0.1:8400")]
pub(crate) struct Up {
    /// Where the nodes keep their data; used again at the next start.
    #[arg(long, value_name = "DIR", default_value = "tacit-up")]
    data: PathBuf,
    /// Where the coordinator's status page and API are; 127.0.0.1:7400 by default. Chosen at the first start.
    #[arg(long, value_name = "ADDR", value_parser = crate::command::ip_and_port)]
    http: Option<SocketAddr>,
}

const ORGANISATIONS: [Organisation; 3] = [
    Organisation { name: "alpha", role: PeerRole::Both },
    Organisation { name: "beta", role: PeerRole::Both },
    Organisation { name: "gamma", role: PeerRole::Both },
];

impl Up {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let next = "choose a folder of yours with --data";
        std::fs::create_dir_all(&self.data).map_err(Failure::at(&self.data, "made", next))?;
        let written = self.data.join("coordinator").join("node.toml");
        let known = written.exists();
        if let (true, Some(http)) = (known, self.http)
            && NodeConfig::read(&written)?.http != http
        {
            return Err(Failure::usage(format!(
                "{} says since the first start where HTTP is: leave --http out, edit http there, or choose another \
                 --data folder",
                written.display()
            )));
        }
        let http = self.http.unwrap_or(SocketAddr::from(([127, 0, 0, 1], 7400)));
        let coordinator = NodeConfig { name: "coordinator".to_owned(), roles: vec![Role::Gateway], http, ..fixed()? };
        let foreign = folders(&self.data).find(|folder| folder.join("node.toml").exists());
        if let (false, Some(folder)) = (known, foreign) {
            return Err(Failure::usage(format!(
                "{} holds a node that `tacit up` did not make; choose another --data folder",
                folder.display()
            )));
        }
        let new: Vec<PathBuf> = folders(&self.data).filter(|folder| !folder.exists()).collect();
        let begun = async {
            if known {
                return again(&self.data).await;
            }
            tokio::select! {
                nodes = first(&self.data, coordinator) => nodes,
                _ = tokio::signal::ctrl_c() => Err(Failure::new(Code::Other, "interrupted")),
            }
        };
        let nodes = match begun.await {
            Ok(nodes) => nodes,
            Err(failure) => {
                // What a first start has half made is in the way of the next one.
                for folder in new.iter().filter(|folder| folder.exists()) {
                    if let Err(error) = std::fs::remove_dir_all(folder) {
                        notice(&format!("remove {}, which is half made: {error}", folder.display()));
                    }
                }
                return Err(failure);
            }
        };
        let url = &nodes[0].address.url;
        notice("Three organisations are up: alpha, beta, gamma. Each has its own process, key and data.");
        notice(&format!("  status page and API   {url}"));
        notice(&format!("  data                  {}", self.data.display()));
        notice("\nTry next, in another terminal:");
        let (tacit, data) = (program(), for_shell(&self.data.display().to_string()));
        notice(&format!("  for o in alpha beta gamma; do {tacit} peer rows $o '5;7' --data {data}/$o; done"));
        notice(&format!("  {tacit} peer results alpha --data {data}/alpha"));
        notice(&format!("  {tacit} group show 1 --data {data}/coordinator"));
        notice("\nStop with Ctrl-C; the next `tacit up` goes on where this one ended.");
        let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
        tokio::select! {
            _ = terminate.recv() => {}
            interrupted = tokio::signal::ctrl_c() => interrupted?,
        }
        for node in nodes.into_iter().rev() {
            node.stop().await?;
        }
        Ok(())
    }
}

/// Forms a streaming group of two items and starts it.
async fn first(folder: &Path, coordinator: NodeConfig) -> Result<Vec<ChildNode>, Failure> {
    let scenario =
        Scenario::start(folder, "attacks", SharingKind::Shamir, &ORGANISATIONS, coordinator, |_| fixed()).await?;
    scenario.form().await?;
    let configuration = ConfigurationBody {
        field: ((1_u64 << 61) - 1).into(),
        max_element: 1_000_000_000.into(),
        aggregator: "sum".to_owned(),
        items: 2,
        time_slots: -1,
        result_buffer_size: 1,
        parameters: Default::default(),
    };
    scenario.begin(&configuration).await?;
    let Scenario { coordinator, nodes, .. } = scenario;
    Ok(std::iter::once(coordinator).chain(nodes).collect())
}

fn names() -> impl Iterator<Item = &'static str> {
    std::iter::once("coordinator").chain(ORGANISATIONS.iter().map(|organisation| organisation.name))
}

/// Where the nodes are.
fn folders(data: &Path) -> impl Iterator<Item = PathBuf> {
    names().map(|name| data.join(name))
}

/// Starts the nodes that are there already; the open run goes on.
async fn again(folder: &Path) -> Result<Vec<ChildNode>, Failure> {
    let mut nodes = Vec::new();
    for name in names() {
        // Each finds its ports in its node.toml: peers look for their gateway where it was.
        nodes.push(ChildNode::restart(name, &DataFolder(folder.join(name))).await?);
    }
    client(&nodes[0])?.node().await?;
    Ok(nodes)
}
