//! `tacit join`: become a member of a group: register, pair, compare. Or one of its owners.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use serde_json::Value;
use tacit_client::Client;
use tacit_model::Fingerprint;
use tacit_model::api::{JoinBody, PeerRole};
use tacit_pki::https;
use tacit_pki::p2ds_key::LegacyKey;

use super::print;
use crate::config::DataFolder;
use crate::connection::Connection;
use crate::negotiating::{InvitationText, Seat};
use crate::output::{Failure, for_shell};
use crate::wizard;

/// Become a member of a group with a registration code, or one of its owners with an invitation.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  \
    tacit join 4kq0x7m2b9c1d8ef --gateway https://manager.example:7400 --name alpha\n  \
    tacit join 4kq0x7m2b9c1d8ef --name alpha                    looks for a gateway that fits [discovery] in node.toml\n  \
    tacit join https://manager.example:7400/join/4kq0x7m2b9c1d8ef --name alpha --role input\n  \
    tacit join 4kq0x7m2b9c1d8ef --gateway https://manager.example:7400 --name alpha --key keys/alpha.key --data ./node\n\n\
    Without --name it asks, makes and starts a node if there is none, and waits until you are a member:\n  \
    tacit join https://manager.example:7400/join/4kq0x7m2b9c1d8ef\n  \
    tacit join 'NEGOTIATION|SECRET' --gateway https://manager.example:7400   (become an owner)")]
pub(crate) struct Join {
    /// The registration code, or a link that ends in it, or an owner's invitation, NEGOTIATION|SECRET.
    code_or_url: String,
    /// The gateway's address, if only a code was given. Without it, the node looks for one.
    #[arg(long, value_name = "URL")]
    gateway: Option<String>,
    /// The gateway's certificate as its operator reads it out; then nobody else is believed.
    #[arg(long, value_name = "FINGERPRINT", value_parser = super::fingerprint)]
    gateway_fingerprint: Option<Fingerprint>,
    /// The name in the group.
    #[arg(long)]
    name: Option<String>,
    /// What to do in the group; both by default.
    #[arg(long, value_enum)]
    role: Option<RoleArg>,
    /// Who runs this peer; its name by default. Thresholds count operators.
    #[arg(long)]
    operator: Option<String>,
    /// Where results are posted.
    #[arg(long, value_name = "URL")]
    results: Option<String>,
    /// The private key this peer is known by, as `tacit key new` made it; a new one is made otherwise. It is copied
    /// into the folder of the node, so --data names that.
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// A public key of the P2DS system (base64 of its SubjectPublicKeyInfo, usually sect409k1), shown to the others as a
    /// label. Nothing is signed or encrypted with it.
    #[arg(long, value_name = "FILE")]
    label_key: Option<PathBuf>,
    /// Ask, also where no terminal is.
    #[arg(long, conflicts_with = "yes")]
    ask: bool,
    /// Ask nothing: flags and defaults are the answers.
    #[arg(long)]
    yes: bool,
    /// Agree to a value that is not your default.
    #[arg(long = "accept", value_name = "NAME=VALUE", value_parser = crate::command::negotiation::assignment)]
    accept: Vec<(String, Value)>,
    /// How a new node is called in its certificate.
    #[arg(long, value_name = "NAME")]
    node_name: Option<String>,
    /// Where a new node serves its status page and API.
    #[arg(long, value_name = "ADDR")]
    http: Option<String>,
    /// Where a new node serves its links.
    #[arg(long, value_name = "ADDR")]
    link: Option<String>,
    /// How others find that, `host:port`.
    #[arg(long, value_name = "ADDR")]
    advertise: Option<String>,
    /// End as soon as the node is a member, instead of keeping a node running that was started here.
    #[arg(long)]
    once: bool,
    /// The folder of an owner's key; the key is made when it is first needed.
    #[arg(long, value_name = "DIR", env = "TACIT_OWNER_KEYS", default_value = "keys")]
    keys: PathBuf,
    /// The name of the owner's key in that folder.
    #[arg(long = "as", value_name = "NAME", default_value = "owner")]
    owner: String,
    /// Where it is remembered how far an owner's joining is.
    #[arg(long, value_name = "FILE", default_value = "tacit-join.json")]
    memory: PathBuf,
    #[command(flatten)]
    connection: Connection,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum RoleArg {
    /// Give data.
    Input,
    /// Compute on shares.
    Privacy,
    /// Both.
    Both,
    /// Only learn results.
    Recipient,
}

impl RoleArg {
    fn word(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::Privacy => "privacy",
            Self::Both => "both",
            Self::Recipient => "recipient",
        }
    }
}

/// A P2DS public key, told before it is sent: the label that its owner recognises.
fn read_label(file: &Path) -> Result<String, Failure> {
    let text =
        std::fs::read_to_string(file).map_err(|e| Failure::usage(format!("--label-key {}: {e}", file.display())))?;
    let key =
        LegacyKey::from_base64(&text).map_err(|e| Failure::usage(format!("--label-key {}: {e}", file.display())))?;
    wizard::say(&format!("label: a key on {} with the fingerprint {}", key.curve().name(), key.fingerprint()))?;
    Ok(key.to_base64())
}

/// Whom to ask, nobody if the node shall look for one that fits, and the code.
fn whom_and_code(code_or_url: &str, gateway: Option<&str>) -> Result<(String, String), Failure> {
    let (base, code) = match (code_or_url.rsplit_once("/join/"), gateway) {
        (Some((base, code)), _) if !code.is_empty() => (base, code),
        _ if code_or_url.contains('/') => {
            return Err(Failure::usage(format!(
                "a link to join by ends in /join/CODE, and {code_or_url} does not: add that, or give the code alone and \
                 the address with --gateway URL"
            )));
        }
        (_, Some(gateway)) => (gateway.trim_end_matches('/'), code_or_url),
        (_, None) => return Ok((String::new(), code_or_url.to_owned())),
    };
    // As it was typed. Whether plain http may go there, the node says.
    https::address(base, true).map_err(|why| Failure::usage(why.to_string()))?;
    Ok((base.to_owned(), code.to_owned()))
}

/// What to add to a code without an address: only a command that names the peer and asks nothing lets its node look.
fn whom_to_ask(named: bool, ask: bool, yes: bool) -> String {
    let without = match (ask, yes) {
        (true, _) => Some("without --ask"),
        (false, true) => Some("without --yes"),
        (false, false) => None,
    };
    let name = (!named).then_some("--name NAME");
    let other: Vec<&str> = name.into_iter().chain(without).collect();
    format!(
        "a code alone does not say whom to ask: add --gateway URL, or run it {}, and a running node looks for a gateway",
        if named { other.join(" ") } else { format!("with {}", other.join(" ")) }
    )
}

impl Join {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        if self.code_or_url.contains('|') {
            return self.own().await;
        }
        let (base, code) = whom_and_code(&self.code_or_url, self.gateway.as_deref())?;
        // A P2DS manager's address has its own path; a node's native one is /api/v1.
        let ask = wizard::somebody_is_there(self.ask, self.yes);
        let Some(name) = self.name.clone().filter(|_| !self.ask && !self.yes) else {
            if !ask && !self.yes {
                return Err(Failure::usage("nobody is there to ask: add --name NAME, or --yes to take the defaults"));
            }
            if base.is_empty() {
                return Err(Failure::usage(whom_to_ask(self.name.is_some(), self.ask, self.yes)));
            }
            return self.become_member(ask, base.trim_end_matches("/api/v1"), &code).await;
        };
        let gateway_url = if base.is_empty() || base.contains("/group-mgmt") || base.ends_with("/api/v1") {
            base
        } else {
            format!("{base}/api/v1")
        };
        let key = match (&self.key, self.connection.data()) {
            (None, _) => None,
            (Some(file), Some(data)) => Some(wizard::join::bring_key(file, &DataFolder(data))?),
            (Some(_), None) => return Err(Failure::usage("--key FILE goes with --data DIR, the folder of the node")),
        };
        let body = JoinBody {
            name,
            role: match self.role.unwrap_or(RoleArg::Both) {
                RoleArg::Input => PeerRole::Input,
                RoleArg::Privacy => PeerRole::Privacy,
                RoleArg::Both => PeerRole::Both,
                RoleArg::Recipient => PeerRole::Recipient,
            },
            gateway_url,
            gateway_fingerprint: self.gateway_fingerprint,
            registration_code: code,
            operator: self.operator,
            final_results_url: self.results,
            label_key: self.label_key.as_deref().map(read_label).transpose()?,
            key,
        };
        let peer = self.connection.client()?.join(&body).await?;
        print(self.json, &peer, |peer| {
            let typed = for_shell(&peer.name);
            let own = peer.fingerprint.map(|f| f.to_string()).unwrap_or_default();
            let gateway = peer.gateway_fingerprint.map(|f| f.to_string()).unwrap_or_default();
            format!(
                "{} is registered, and not verified yet.\n\n  Read this to the gateway's operator, over the telephone or face to face:\n    {own}\n  \
                 and compare what the operator reads to you with:\n    {gateway}\n  short comparison code for both: {}\n\n\
                 The operator then runs: tacit pair approve {typed} --fingerprint {own}{}",
                peer.name,
                peer.comparison_code.as_deref().unwrap_or("-"),
                if peer.gateway_compared {
                    String::new()
                } else {
                    format!(
                        "\n\nThe gateway was found on the network at {}. Nothing is computed before you run here, with \
                         what its operator reads out: tacit pair approve {typed} --gateway --fingerprint FINGERPRINT",
                        peer.gateway_url
                    )
                }
            )
        })
    }

    /// From nothing to a working member.
    async fn become_member(self, ask: bool, gateway: &str, code: &str) -> Result<(), Failure> {
        if self.connection.names_a_node() {
            return Err(Failure::usage(
                "the wizard keeps a node of this machine: name its folder with --data, not --node",
            ));
        }
        let data = self.connection.data().unwrap_or_else(|| PathBuf::from("tacit-node"));
        let given = wizard::join::Given {
            name: self.name,
            node_name: self.node_name,
            role: self.role.map(|role| role.word().to_owned()),
            operator: self.operator,
            http: self.http,
            link: self.link,
            advertise: self.advertise,
            results: self.results,
            key: self.key,
            gateway_fingerprint: self.gateway_fingerprint,
            accepted: self.accept,
            once: self.once,
        };
        let memory = wizard::Wizard::open(data.join("wizard.json"), ask)?;
        wizard::join::run(memory, data, gateway, code, given).await
    }

    /// Becomes an owner.
    async fn own(self) -> Result<(), Failure> {
        let invitation = InvitationText::read(&self.code_or_url)?;
        let ask = wizard::somebody_is_there(self.ask, self.yes);
        let client = match &self.gateway {
            Some(gateway) => Client::new(gateway.trim_end_matches('/'), None, self.gateway_fingerprint)?,
            None => self.connection.client()?,
        };
        let seat = Seat::new(client, &self.keys, &self.owner, true)?;
        wizard::own::run(wizard::Wizard::open(self.memory, ask)?, seat, invitation, &self.accept).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_without_a_code_is_said_to_be_none() {
        let found = |text, gateway| whom_and_code(text, gateway).map_err(|why| why.to_string());
        let owned = |base: &str, code: &str| Ok((base.to_owned(), code.to_owned()));
        assert_eq!(found("https://m.example/x/join/4kq0", None), owned("https://m.example/x", "4kq0"));
        assert_eq!(found("4kq0", Some("https://m.example/")), owned("https://m.example", "4kq0"));
        assert_eq!(found("4kq0", None), owned("", "4kq0"));
        for (text, gateway) in [
            ("http://127.0.0.1:7400/", None),
            ("https://m.example/join/", None),
            ("https://m.example", Some("https://m")),
        ] {
            let why = found(text, gateway).expect_err("no code");
            assert!(why.contains("/join/CODE") && why.contains(text), "{why}");
        }
        let why = found("4kq0", Some("127.0.0.1:7400")).expect_err("no address");
        assert!(why.starts_with("\"127.0.0.1:7400\" is not an http or https address"), "{why}");
    }

    #[test]
    fn what_really_blocks_a_code_alone_is_named() {
        for (named, ask, yes) in [(true, false, true), (true, true, false), (false, false, true), (false, false, false)]
        {
            let why = whom_to_ask(named, ask, yes);
            assert!(why.starts_with("a code alone does not say whom to ask: add --gateway URL"), "{why}");
            assert_eq!(why.contains("--name NAME"), !named, "{why}");
            assert_eq!((why.contains("without --ask"), why.contains("without --yes")), (ask, yes), "{why}");
        }
    }
}
