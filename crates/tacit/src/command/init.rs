//! `tacit init`: writes a node's configuration, asking for what was not said.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, ValueEnum as _};

use crate::config::{DataFolder, NodeConfig, Role};
use crate::output::Failure;
use crate::wizard::{self, Question, Wizard};

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
    /// Ask, also where no terminal is.
    #[arg(long, conflicts_with = "yes")]
    ask: bool,
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
        // Without anybody to ask nothing is remembered either: flags and defaults are the answers.
        let mut wizard = match wizard::somebody_is_there(self.ask, self.yes) {
            true => Some(Wizard::open(data.0.join("wizard.json"), true)?),
            false => None,
        };
        let mut answer = |name: &str, title: &str, default: String, flag: Option<String>| match &mut wizard {
            Some(wizard) => {
                let question = Question { name, title, default: &default, by: "this program", choices: &[] };
                wizard.ask(&question, flag)
            }
            None => Ok(flag.unwrap_or(default)),
        };
        let text = |address: Option<SocketAddr>| address.map(|address| address.to_string());
        let name = answer("NODE_NAME", "How this node is called", default.name, self.name)?;
        let roles = words(self.roles.as_deref());
        let usual = words(Some(&default.roles)).unwrap_or_default();
        let roles = answer("ROLES", "What it does: gateway, peer, receiver, with commas between them", usual, roles)?;
        let title = "Where HTTP is served; plain http stays on this machine";
        let http = answer("HTTP", title, default.http.to_string(), text(self.http))?;
        let link =
            answer("LINK", "Where links are served: peers connect here", default.link.to_string(), text(self.link))?;
        let title = "Where others find the link port, host:port; empty: as above";
        let advertise = answer("ADVERTISE", title, default.advertise, self.advertise)?;
        let title = "The database: sqlite:FILE in the data folder, or postgres://...";
        let store = answer("STORE", title, default.store, self.store)?;
        let config = NodeConfig {
            name,
            roles: read_roles(&roles)?,
            http: address("HTTP", &http)?,
            tls: self.tls,
            link: address("LINK", &link)?,
            advertise,
            store,
            ..NodeConfig::default()
        };
        std::fs::create_dir_all(&data.0)?;
        std::fs::write(data.config(), config.to_text()?)?;
        if let Some(wizard) = wizard {
            wizard.finish()?;
        }
        println!("{} is written. Next:", data.config().display());
        println!("  tacit serve --config {}", data.config().display());
        println!("The owner's token will be in {} (readable by you only).", data.owner_token().display());
        Ok(())
    }
}

fn address(name: &str, text: &str) -> Result<SocketAddr, Failure> {
    text.parse().map_err(|_| Failure::usage(format!("{name} is ADDRESS:PORT, such as 127.0.0.1:7400, not {text:?}")))
}

fn words(roles: Option<&[Role]>) -> Option<String> {
    let word = |role: &Role| role.to_possible_value().map(|value| value.get_name().to_owned());
    Some(roles?.iter().filter_map(word).collect::<Vec<_>>().join(","))
}

fn read_roles(text: &str) -> Result<Vec<Role>, Failure> {
    let read =
        |word: &str| Role::from_str(word.trim(), true).map_err(|_| Failure::usage(format!("{word:?} is no role")));
    text.split(',').map(read).collect()
}
