//! `tacit init`: writes a node's configuration, asking for what was not said.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, ValueEnum as _};

use super::ip_and_port;
use crate::config::{DataFolder, NodeConfig, Role, advertised};
use crate::output::{Failure, for_shell, result_line};
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
    /// How the node is called; `tacit` by default.
    #[arg(long)]
    name: Option<String>,
    /// What it does, with commas between; gateway,peer,receiver by default.
    #[arg(long, value_delimiter = ',')]
    roles: Option<Vec<Role>>,
    /// Where HTTP is served; 127.0.0.1:7400 by default. Beyond this machine with --tls only.
    #[arg(long, value_name = "ADDR", value_parser = ip_and_port)]
    http: Option<SocketAddr>,
    /// Serve https with the node's certificate.
    #[arg(long)]
    tls: bool,
    /// Where links are served, the connections between nodes; 127.0.0.1:7401 by default.
    #[arg(long, value_name = "ADDR", value_parser = ip_and_port)]
    link: Option<SocketAddr>,
    /// Where others find the link port, `host:port`.
    #[arg(long, value_name = "ADDR")]
    advertise: Option<String>,
    /// `sqlite:FILE` in the data folder, or `postgres://...`; sqlite:tacit.db by default.
    #[arg(long, value_name = "URL")]
    store: Option<String>,
    /// Ask, also where no terminal is.
    #[arg(long, conflicts_with = "yes")]
    ask: bool,
    /// Ask nothing: flags and defaults are the answers.
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
            true => {
                let unusable = |failure: Failure| failure.about(&format!("--data {} cannot be used", data.0.display()));
                Some(Wizard::open(data.0.join("wizard.json"), true).map_err(unusable)?)
            }
            false => None,
        };
        type Check<'a> = &'a dyn Fn(&str) -> Result<(), Failure>;
        let mut answer =
            |name: &str, title: &str, default: String, flag: Option<String>, check: Check<'_>| match &mut wizard {
                Some(wizard) => {
                    let question = Question { name, title, default: &default, by: "this program", choices: &[] };
                    wizard.ask_checked(&question, flag, check)
                }
                None => {
                    let value = flag.unwrap_or(default);
                    check(&value)?;
                    Ok(value)
                }
            };
        let text = |address: Option<SocketAddr>| address.map(|address| address.to_string());
        let name = answer("NODE_NAME", "How this node is called", default.name, self.name, &named)?;
        let roles = words(self.roles.as_deref());
        let usual = words(Some(&default.roles)).unwrap_or_default();
        let roles = answer(
            "ROLES",
            "What it does: gateway, peer, receiver, with commas between them",
            usual,
            roles,
            &|text| read_roles(text).map(drop),
        )?;
        let title = "Where HTTP is served; plain http stays on this machine";
        let served = |text: &str| http_address(text, self.tls).map(drop);
        let http = answer("HTTP", title, default.http.to_string(), text(self.http), &served)?;
        let title = "Where links are served: peers connect here";
        let link = answer("LINK", title, default.link.to_string(), text(self.link), &|text| address(text).map(drop))?;
        let title = "Where others find the link port, host:port; empty: as above";
        let advertise = answer("ADVERTISE", title, default.advertise, self.advertise, &advertised)?;
        let title = "The database: sqlite:FILE in the data folder, or postgres://...";
        let store = answer("STORE", title, default.store, self.store, &database)?;
        let config = NodeConfig {
            name,
            roles: read_roles(&roles)?,
            http: address(&http)?,
            tls: self.tls,
            link: address(&link)?,
            advertise,
            store,
            ..NodeConfig::default()
        };
        let (file, next) = (data.config(), "choose another folder with --data");
        std::fs::create_dir_all(&data.0).map_err(Failure::at(&data.0, "made", next))?;
        std::fs::write(&file, config.to_text()?).map_err(Failure::at(&file, "written", next))?;
        if let Some(wizard) = wizard {
            wizard.finish()?;
        }
        result_line(&format!("{} is written. Next:", data.config().display()))?;
        result_line(&format!("  tacit serve --config {}", for_shell(&data.config().display().to_string())))?;
        result_line(&format!("The owner's token will be in {} (readable by you only).", data.owner_token().display()))?;
        Ok(())
    }
}

fn named(text: &str) -> Result<(), Failure> {
    tacit_pki::check_label(text).map_err(|why| Failure::usage(format!("a node has a name, such as alpha: {why}")))
}

fn address(text: &str) -> Result<SocketAddr, Failure> {
    ip_and_port(text).map_err(Failure::usage)
}

/// An address that the node would start with.
fn http_address(text: &str, tls: bool) -> Result<SocketAddr, Failure> {
    let http = address(text)?;
    // Said here, while it is known which flag helps.
    crate::node::check_http(&NodeConfig { http, tls, ..NodeConfig::default() })
        .map_err(|why| Failure::usage(format!("{why} (--tls, or --http 127.0.0.1:{})", http.port())))?;
    Ok(http)
}

fn database(text: &str) -> Result<(), Failure> {
    if ["sqlite:", "postgres://", "postgresql://"].iter().any(|kind| text.len() > kind.len() && text.starts_with(kind))
    {
        return Ok(());
    }
    Err(Failure::usage(format!("this is sqlite:FILE or postgres://..., such as sqlite:tacit.db, not {text:?}")))
}

fn words(roles: Option<&[Role]>) -> Option<String> {
    let word = |role: &Role| role.to_possible_value().map(|value| value.get_name().to_owned());
    Some(roles?.iter().filter_map(word).collect::<Vec<_>>().join(","))
}

fn read_roles(text: &str) -> Result<Vec<Role>, Failure> {
    let read = |word: &str| {
        Role::from_str(word.trim(), true)
            .map_err(|_| Failure::usage(format!("{word:?} is none of gateway, peer, receiver")))
    };
    text.split(',').map(read).collect()
}
