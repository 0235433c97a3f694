//! `tacit join` with questions: from nothing to a working member.

use std::collections::BTreeMap;
use std::fs::{File, TryLockError};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};
use tacit_accord::negotiation::charter_terms;
use tacit_client::{Client, ClientError};
use tacit_model::Fingerprint;
use tacit_model::api::{JoinBody, PeerBody, PeerRole};
use tacit_model::problem::ProblemKind;
use tacit_pki::{KeyFileFault, PkiError, keyfile, random};
use tokio::time::{Instant, sleep};

use super::review::{own_defaults, review};
use super::{Question, Wizard, say, tell};
use crate::config::{DataFolder, NodeConfig, Role, advertised};
use crate::kept_file;
use crate::negotiating::{checked_registry, refused};
use crate::output::{Code, Failure, for_shell};
use crate::process::{Address, ChildNode};

/// Pause between two looks.
const LOOK: Duration = Duration::from_millis(300);
/// How long a node takes to end at most.
const ENDING: Duration = Duration::from_secs(10);

/// Answers that were given as flags.
#[derive(Debug, Default)]
pub(crate) struct Given {
    pub(crate) name: Option<String>,
    pub(crate) node_name: Option<String>,
    pub(crate) role: Option<String>,
    pub(crate) operator: Option<String>,
    pub(crate) http: Option<String>,
    pub(crate) link: Option<String>,
    pub(crate) advertise: Option<String>,
    pub(crate) results: Option<String>,
    pub(crate) key: Option<PathBuf>,
    pub(crate) gateway_fingerprint: Option<Fingerprint>,
    pub(crate) accepted: Vec<(String, Value)>,
    /// End as soon as the node is a member, instead of keeping it running.
    pub(crate) once: bool,
}

/// The node on which the peer lives, started if it is not running.
struct Home {
    client: Client,
    _child: Option<ChildNode>,
}

/// From an invitation to a working member.
pub(crate) async fn run(
    mut wizard: Wizard,
    data: PathBuf,
    gateway: &str,
    code: &str,
    given: Given,
) -> Result<(), Failure> {
    let data = DataFolder(data);
    let home = home(&mut wizard, &data, &given).await?;
    let name = peer_name(&mut wizard, given.name.clone())?;
    let peer = match home.client.peer(&name).await {
        Ok(peer) => {
            say(&format!("{name} is registered already"))?;
            peer
        }
        Err(ClientError::Refused(problem)) if problem.kind == ProblemKind::NotFound => {
            let key = own_key(&mut wizard, &data, given.key.as_deref())?;
            register(&mut wizard, &home.client, gateway, code, (&name, key), &given).await?
        }
        Err(error) => return Err(error.into()),
    };
    let own = peer.fingerprint.ok_or_else(|| refused("the peer has no certificate"))?;
    let theirs = peer.gateway_fingerprint.map(|f| f.to_string()).unwrap_or_default();
    say(&format!(
        "Registered peer with PEER_ID: {own}\n\nRead this to the group's operator, over the telephone or face to face:\n  {own}\n\
         and compare what the operator reads to you with:\n  {theirs}\nshort comparison code for both: {}\n\n\
         Waiting until the group has verified you and agreed on a charter that names you.",
        peer.comparison_code.as_deref().unwrap_or("-")
    ))?;
    let consensus = loop {
        let roster = home.client.roster(&name).await?;
        if roster.members.iter().any(|member| member.fingerprint == own) {
            break roster.consensus.unwrap_or_default();
        }
        sleep(LOOK).await;
    };
    say(&format!("{name} is a member by consensus {consensus}, and works as long as this command runs."))?;
    say(&format!("Later: tacit serve --config {}", for_shell(&data.config().display().to_string())))?;
    tell(&json!({"name": name, "fingerprint": own, "consensus": consensus, "data": data.0}).to_string())?;
    if !given.once && home._child.is_some() {
        let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
        tokio::select! {
            _ = terminate.recv() => {}
            interrupted = tokio::signal::ctrl_c() => interrupted?,
        }
    }
    wizard.finish()
}

/// The node's configuration, asked for if there is none, and the node running.
async fn home(wizard: &mut Wizard, data: &DataFolder, given: &Given) -> Result<Home, Failure> {
    if !data.config().exists() {
        let by = "this program";
        // Both are held until both are known, so that they differ.
        let (http, link) = (free_port(7400)?, free_port(7401)?);
        let (http, link) = (http.local_addr()?.to_string(), link.local_addr()?.to_string());
        let mut ask = |name, title, default: &str, flag: Option<String>| {
            wizard.ask(&Question { name, title, default, by, choices: &[] }, flag)
        };
        let name = ask("NODE_NAME", "How this node is called in its certificate", "tacit", given.node_name.clone())?;
        let http = ask(
            "HTTP",
            "Where its status page and API are; plain http stays on this machine",
            &http,
            given.http.clone(),
        )?;
        let link = ask("LINK", "Where members of the group connect to", &link, given.link.clone())?;
        let title = "How members find that, host:port";
        let question = Question { name: "ADVERTISE", title, default: &link, by, choices: &[] };
        // The same as above is no advertised address: that port may still be chosen.
        let is_place = |text: &str| if text == link { Ok(()) } else { advertised(text) };
        let advertise = wizard.ask_checked(&question, given.advertise.clone(), is_place)?;
        let address = |name: &str, text: &str| {
            text.parse::<SocketAddr>().map_err(|_| Failure::usage(format!("{name} is ADDRESS:PORT, not {text:?}")))
        };
        let config = NodeConfig {
            name,
            roles: vec![Role::Peer],
            http: address("HTTP", &http)?,
            link: address("LINK", &link)?,
            advertise: if advertise == link { String::new() } else { advertise },
            ..NodeConfig::default()
        };
        std::fs::create_dir_all(&data.0)?;
        kept_file::replace(&data.config(), &config.to_text()?, 0o666)?;
        say(&format!("{} is written", data.config().display()))?;
    }
    // A node that an interrupted run of this command had started is ending just now.
    let deadline = Instant::now() + ENDING;
    while is_used(data) && Instant::now() < deadline {
        if running(data).await.is_some() {
            sleep(LOOK).await;
            if let Some(client) = running(data).await {
                return Ok(Home { client, _child: None });
            }
        }
        sleep(LOOK).await;
    }
    let child = ChildNode::restart("peer", data).await?;
    let client = Client::new(&child.address.url, Some(&child.token), Some(child.address.fingerprint))?;
    say(&format!("Your node is up: {}", child.address.url))?;
    Ok(Home { client, _child: Some(child) })
}

/// Whether a node holds the folder.
fn is_used(data: &DataFolder) -> bool {
    let lock = File::options().write(true).open(data.lock());
    lock.is_ok_and(|lock| matches!(lock.try_lock(), Err(TryLockError::WouldBlock)))
}

/// A client of the node of this folder, if one answers.
async fn running(data: &DataFolder) -> Option<Client> {
    let address: Address = serde_json::from_str(&std::fs::read_to_string(data.address()).ok()?).ok()?;
    let token = std::fs::read_to_string(data.owner_token()).ok()?;
    let client = Client::new(&address.url, Some(token.trim()), Some(address.fingerprint)).ok()?;
    client.node().await.ok().filter(|node| node.fingerprint == address.fingerprint).map(|_| client)
}

/// A port on this machine: the usual one, or another one if that is taken.
fn free_port(usual: u16) -> Result<TcpListener, Failure> {
    Ok(TcpListener::bind(("127.0.0.1", usual)).or_else(|_| TcpListener::bind("127.0.0.1:0"))?)
}

fn peer_name(wizard: &mut Wizard, flag: Option<String>) -> Result<String, Failure> {
    // Names are unique in a group, so two newcomers that only press Enter must not take the same.
    let default = match wizard.noted("drawn name") {
        Some(name) => name.to_owned(),
        None => {
            let name = format!("peer-{}", &random::registration_code()?[..6]);
            wizard.note("drawn name", &name)?;
            name
        }
    };
    let title = "How this peer is called in the group";
    let question = Question { name: "PEER_NAME", title, default: &default, by: "this program", choices: &[] };
    wizard.ask(&question, flag)
}

/// The key that somebody has already, if they want to be known by it.
fn own_key(wizard: &mut Wizard, data: &DataFolder, flag: Option<&Path>) -> Result<Option<Fingerprint>, Failure> {
    let title = "The key of this peer: 'create' makes one; or the file of one you have, such as keys/alpha.key";
    let question = Question { name: "KEY", title, default: "create", by: "this program", choices: &[] };
    let file = wizard.ask(&question, flag.map(|file| file.display().to_string()))?;
    if file == "create" { Ok(None) } else { bring_key(Path::new(&file), data).map(Some) }
}

/// Copies a key that `tacit key new` made into the folder of a node of this machine, for one of its peers.
pub(crate) fn bring_key(file: &Path, data: &DataFolder) -> Result<Fingerprint, Failure> {
    let name = file.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let usage = |why: PkiError| Failure::usage(format!("the key {} cannot be used: {why}", file.display()));
    let identity = keyfile::load(folder, name).map_err(usage)?;
    let fingerprint = identity.fingerprint();
    match keyfile::create(&data.keys(), &tacit_party::key_name(&fingerprint), &identity) {
        // Brought by an earlier run.
        Ok(()) | Err(PkiError::KeyFile(KeyFileFault::Exists(_))) => Ok(fingerprint),
        Err(why) => Err(usage(why)),
    }
}

async fn register(
    wizard: &mut Wizard,
    home: &Client,
    gateway: &str,
    code: &str,
    (name, key): (&str, Option<Fingerprint>),
    given: &Given,
) -> Result<PeerBody, Failure> {
    let there = Client::new(gateway, None, given.gateway_fingerprint)?;
    let served = there.invited_to(code).await?;
    let chain = checked_registry(&served, None, None)?;
    let charter = chain.last().ok_or_else(|| refused("the group has no consensus"))?.charter();
    let proposer = match charter.owners.len() {
        0 => "the manager of the gateway".to_owned(),
        n => format!("{n} owners"),
    };
    say(&format!("{} at {gateway}, by consensus {}:", charter.name, served.consensus))?;
    let terms: BTreeMap<String, Value> = charter_terms(charter)?;
    review(wizard, &terms, &own_defaults(charter), &given.accepted, &proposer)?;
    let by = "this program";
    let choices = ["input", "privacy", "both", "recipient"];
    let title = "What to do in the group";
    let role =
        wizard.ask(&Question { name: "ROLE", title, default: "both", by, choices: &choices }, given.role.clone())?;
    let title = "Who runs this peer; thresholds count operators";
    let operator =
        wizard.ask(&Question { name: "OPERATOR", title, default: name, by, choices: &[] }, given.operator.clone())?;
    let title = "Where results are posted; none: they are read with `tacit peer results`";
    let results =
        wizard.ask(&Question { name: "RESULTS", title, default: "none", by, choices: &[] }, given.results.clone())?;
    let body = JoinBody {
        name: name.to_owned(),
        role: match role.as_str() {
            "input" => PeerRole::Input,
            "privacy" => PeerRole::Privacy,
            "recipient" => PeerRole::Recipient,
            _ => PeerRole::Both,
        },
        gateway_url: format!("{}/api/v1", gateway.trim_end_matches('/')),
        gateway_fingerprint: given.gateway_fingerprint,
        registration_code: code.to_owned(),
        operator: Some(operator),
        final_results_url: (results != "none").then_some(results),
        label_key: None,
        key,
    };
    let peer = home.join(&body).await?;
    if peer.gateway_fingerprint != Some(served.gateway) {
        return Err(Failure::new(Code::Refused, "another gateway answered than the one whose charter you looked at"));
    }
    Ok(peer)
}
