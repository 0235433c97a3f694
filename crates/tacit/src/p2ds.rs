//! `tacit p2ds`: the three services of the P2DS manual, as a preset of `serve`.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::Args;
use tacit_model::Fingerprint;

use crate::config::{DataFolder, NodeConfig, P2dsConfig, Role};
use crate::output::{Failure, notice};

/// The key that the manual prints; refused outside the test mode.
const DEFAULT_ADMIN_KEY: &str = "default-admin-key";

/// Run the services of the P2DS manual: group manager, peer, receiver.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  \
    tacit p2ds --listen 127.0.0.1:12001 --test-mode --admin-key default-admin-key\n  \
    tacit p2ds --listen 127.0.0.1:12002 --data ./peer --roles peer --admin-key \"$KEY\"\n  \
    tacit p2ds --tls --roles peer --trust \"$MANAGER\" --trust \"$RECEIVER\" --admin-key \"$KEY\"")]
pub(crate) struct P2ds {
    /// Where the services listen (http).
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:12001", value_parser = crate::command::ip_and_port)]
    listen: SocketAddr,
    /// The data folder. In test mode without one, a new folder that is removed at the end.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Which services run here: manager (another word for gateway), peer, receiver.
    #[arg(long, value_delimiter = ',', default_value = "manager,peer,receiver")]
    roles: Vec<Role>,
    /// The administrator's key, which every administrative call shows; it must be given.
    #[arg(long, value_name = "K", env = "TACIT_ADMIN_KEY", hide_env_values = true)]
    admin_key: Option<String>,
    /// Allow the manual's test mode and its default key.
    #[arg(long)]
    test_mode: bool,
    /// Where links listen; a port of the system's choice by default.
    #[arg(long, value_name = "ADDR", value_parser = crate::command::ip_and_port)]
    link: Option<SocketAddr>,
    /// Where others find the link port, `host:port`.
    #[arg(long, value_name = "ADDR", default_value = "")]
    advertise: String,
    /// Serve https with this node's certificate.
    #[arg(long)]
    tls: bool,
    /// Believe this certificate over https, beside those that an authority of the system issued: of another node's
    /// manager or receiver, as its operator reads it out. May be given several times.
    #[arg(long = "trust", value_name = "FINGERPRINT", value_parser = crate::command::fingerprint)]
    trusted: Vec<Fingerprint>,
    /// Allow plain http on other addresses than loopback, for instance behind a reverse proxy.
    #[arg(long)]
    allow_plain_http: bool,
    /// Seconds from the first row of a slot to its close, for new groups.
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    slot_deadline: u64,
    /// Addresses that begin with this one may be told what became of clients' tasks; may be given several times.
    #[arg(long = "allow-webhook", value_name = "URL")]
    webhooks: Vec<String>,
    /// `sqlite:FILE` in the data folder, or `postgres://...`.
    #[arg(long, value_name = "URL", default_value = "sqlite:tacit.db")]
    store: String,
}

impl P2ds {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let Some(admin_key) = self.admin_key.filter(|key| !key.is_empty()) else {
            return Err(Failure::usage("choose an administrator's key: --admin-key K or TACIT_ADMIN_KEY"));
        };
        if admin_key == DEFAULT_ADMIN_KEY && !self.test_mode {
            return Err(Failure::usage(
                "the manual's default key is known to everybody; choose another --admin-key, or add --test-mode to try things out",
            ));
        }
        // Kept until the node has ended.
        let mut temporary = None;
        let folder = match self.data {
            Some(folder) => folder,
            None if self.test_mode => {
                let folder = tempfile::Builder::new().prefix("tacit-p2ds-").tempdir()?;
                let path = folder.path().to_owned();
                notice(&format!("data is kept in {} and removed at the end; --data DIR keeps it", path.display()));
                temporary = Some(folder);
                path
            }
            None => {
                let path = PathBuf::from("tacit-p2ds");
                let full = std::path::absolute(&path).unwrap_or_else(|_| path.clone());
                notice(&format!("data is kept in {}; --data DIR names another folder", full.display()));
                path
            }
        };
        let mut config = NodeConfig {
            name: "p2ds".to_owned(),
            roles: self.roles,
            http: self.listen,
            tls: self.tls,
            allow_plain_http: self.allow_plain_http,
            trusted: self.trusted,
            link: self.link.unwrap_or(self.listen),
            advertise: self.advertise,
            store: self.store,
            p2ds: P2dsConfig {
                enabled: true,
                admin_key_sha256: tacit_api::AdminKey::new(&admin_key).to_hash(),
                test_mode: self.test_mode,
            },
            ..NodeConfig::default()
        };
        config.limits.slot_deadline = self.slot_deadline;
        config.webhooks.allow = self.webhooks;
        crate::node::check_http(&config)?;
        if self.link.is_none() {
            config.link = remembered_link(&folder, self.listen)?;
        }
        let done = crate::serve::run(DataFolder(folder), config).await;
        drop(temporary);
        done
    }
}

/// The link port of the last start, or a free one, remembered for the next: peers that registered look for
/// their gateway and each other where they were.
fn remembered_link(folder: &Path, listen: SocketAddr) -> Result<SocketAddr, Failure> {
    let path = folder.join("link-address");
    if let Ok(text) = std::fs::read_to_string(&path) {
        return text
            .trim()
            .parse()
            .map_err(|_| Failure::usage(format!("{} holds no address; remove it or use --link", path.display())));
    }
    let free = std::net::TcpListener::bind((listen.ip(), 0)).and_then(|listener| listener.local_addr())?;
    std::fs::create_dir_all(folder)?;
    std::fs::write(path, free.to_string())?;
    Ok(free)
}
