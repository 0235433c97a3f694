//! `tacit init`: writes a node's configuration, asking for what was not said.

use std::io::IsTerminal;
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;
use dialoguer::Input;

use crate::config::{DataFolder, NodeConfig, Role};
use crate::output::Failure;

/// Write a node's configuration; every question is also a flag.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  \
    tacit init --data ./node                      asks\n  \
    tacit init --data ./node --yes                takes the defaults\n  \
    tacit init --data ./node --yes --name alpha --roles peer --link 0.0.0.0:7401 --advertise alpha.example:7401")]
pub(crate) struct Init {
    /// The data folder; made if it is not there.
    #[arg(long, value_name = "DIR", default_value = "tacit-node")]
    data: PathBuf,
    /// How the node is called.
    #[arg(long)]
    name: Option<String>,
    /// What it does.
    #[arg(long, value_delimiter = ',')]
    roles: Option<Vec<Role>>,
    /// Where HTTP is served.
    #[arg(long, value_name = "ADDR")]
    http: Option<SocketAddr>,
    /// Serve https with the node's certificate.
    #[arg(long)]
    tls: bool,
    /// Where links are served.
    #[arg(long, value_name = "ADDR")]
    link: Option<SocketAddr>,
    /// Where others find the link port, `host:port`.
    #[arg(long, value_name = "ADDR")]
    advertise: Option<String>,
    /// `sqlite:FILE` in the data folder, or `postgres://...`.
    #[arg(long, value_name = "URL")]
    store: Option<String>,
    /// Ask nothing.
    #[arg(long)]
    yes: bool,
}

impl Init {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let data = DataFolder(self.data.clone());
        if data.config().exists() {
            return Err(Failure::usage(format!(
                "{} is there already; edit it, or choose another --data folder",
                data.config().display()
            )));
        }
        let default = NodeConfig::default();
        let ask = !self.yes && std::io::stdin().is_terminal();
        let config = NodeConfig {
            name: answer(ask, self.name, "Name of this node", default.name)?,
            roles: self.roles.unwrap_or(default.roles),
            http: answer(ask, self.http, "HTTP address (plain http stays on this machine)", default.http)?,
            tls: self.tls,
            link: answer(ask, self.link, "Link address (peers connect here)", default.link)?,
            advertise: answer(
                ask,
                self.advertise,
                "Where others find it, host:port (empty: as above)",
                default.advertise,
            )?,
            store: answer(ask, self.store, "Database", default.store)?,
            ..NodeConfig::default()
        };
        std::fs::create_dir_all(&data.0)?;
        std::fs::write(data.config(), config.to_text()?)?;
        println!("{} is written. Next:", data.config().display());
        println!("  tacit serve --config {}", data.config().display());
        println!("The owner's token will be in {} (readable by you only).", data.owner_token().display());
        Ok(())
    }
}

fn answer<T>(ask: bool, given: Option<T>, question: &str, default: T) -> Result<T, Failure>
where
    T: Clone + std::fmt::Display + std::str::FromStr,
    T::Err: std::fmt::Display,
{
    match given {
        Some(value) => Ok(value),
        None if ask => Ok(Input::new().with_prompt(question).default(default).allow_empty(true).interact_text()?),
        None => Ok(default),
    }
}
