//! `tacit key`: certificates, without a node.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::json;
use tacit_model::{Clock, Fingerprint, SystemClock};
use tacit_pki::{comparison_code, keyfile};
use time::OffsetDateTime;

use super::print;
use crate::output::{Code, Failure};

/// Make and look at keys.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  \
    tacit key new --dir ./keys --name alpha     private key 0400, certificate 0444\n  \
    tacit key compare MEMBER GATEWAY --manager-key KEY   what two people read to each other")]
pub(crate) struct Key {
    #[command(subcommand)]
    action: Action,
    /// Print JSON.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Subcommand, Debug)]
enum Action {
    /// Make a key and its certificate; an existing one is never overwritten.
    New {
        /// The folder.
        #[arg(long, default_value = "keys")]
        dir: PathBuf,
        /// The files' name.
        #[arg(long)]
        name: String,
    },
    /// Show the fingerprint of a key.
    Show {
        /// The folder.
        #[arg(long, default_value = "keys")]
        dir: PathBuf,
        /// The files' name.
        #[arg(long)]
        name: String,
    },
    /// The short code that both sides of a pairing must see.
    Compare {
        /// The member's certificate.
        member: Fingerprint,
        /// The gateway's.
        gateway: Fingerprint,
        /// The key under which its charters are signed, base64, as in `tacit group consensus`.
        #[arg(long)]
        manager_key: String,
    },
}

impl Key {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let refused = |e: tacit_pki::PkiError| Failure::new(Code::Refused, e.to_string());
        match self.action {
            Action::New { dir, name } => {
                let now = OffsetDateTime::from_unix_timestamp_nanos(i128::from(SystemClock.now().0) * 1_000_000)?;
                let identity = tacit_pki::Identity::generate(&name, now).map_err(refused)?;
                keyfile::create(&dir, &name, &identity).map_err(refused)?;
                print(self.json, &json!({"fingerprint": identity.fingerprint()}), |_| {
                    format!(
                        "private key  {} (0400)\ncertificate  {} (0444)\nfingerprint  {}",
                        keyfile::private_path(&dir, &name).display(),
                        keyfile::certificate_path(&dir, &name).display(),
                        identity.fingerprint()
                    )
                })
            }
            Action::Show { dir, name } => {
                let identity = keyfile::load(&dir, &name).map_err(refused)?;
                print(self.json, &json!({"fingerprint": identity.fingerprint()}), |_| {
                    identity.fingerprint().to_string()
                })
            }
            Action::Compare { member, gateway, manager_key } => {
                let code = comparison_code(member, tacit_job::pairing_digest(&gateway, &manager_key));
                print(self.json, &json!({"code": code}), |_| code.clone())
            }
        }
    }
}
