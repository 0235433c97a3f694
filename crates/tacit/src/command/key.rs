//! `tacit key`: certificates, without a node.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::json;
use tacit_model::{Clock, Fingerprint, SystemClock};
use tacit_pki::{comparison_code, keyfile};

use super::print;
use crate::output::{Code, Failure};

/// Make and look at keys.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  \
    tacit key new --dir ./keys --name alpha     private key 0400, certificate 0444\n  \
    tacit key export --name alpha --to alpha.txt          for somebody else, over any channel\n  \
    tacit key import alpha.txt --fingerprint F            taken only if F, as alpha reads it out, fits\n  \
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
    /// A public key as text, to be sent over any channel.
    Export {
        /// The folder.
        #[arg(long, default_value = "keys")]
        dir: PathBuf,
        /// The files' name.
        #[arg(long)]
        name: String,
        /// The file; the text is printed if there is none.
        #[arg(long, value_name = "FILE")]
        to: Option<PathBuf>,
    },
    /// Take somebody's public key, if it has the fingerprint that they read to you.
    Import {
        /// The file with the text of `tacit key export`; `-` reads it from the input.
        file: PathBuf,
        /// What its owner reads out, over the telephone or face to face.
        #[arg(long, value_parser = super::fingerprint)]
        fingerprint: Fingerprint,
        /// The folder in which it is kept, as NAME.pub.
        #[arg(long, default_value = "keys")]
        dir: PathBuf,
    },
    /// The short code that both sides of a pairing must see.
    Compare {
        /// The member's certificate.
        #[arg(value_parser = super::fingerprint)]
        member: Fingerprint,
        /// The gateway's.
        #[arg(value_parser = super::fingerprint)]
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
                let now = SystemClock.now().to_date_time()?;
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
            Action::Export { dir, name, to } => {
                let identity = keyfile::load(&dir, &name).map_err(refused)?;
                let (key, fingerprint) = (identity.public_key().to_base64(), identity.fingerprint());
                let text = format!("{HEAD}\nname         {name}\nkey          {key}\nfingerprint  {fingerprint}\n");
                if let Some(file) = &to {
                    std::fs::write(file, &text).map_err(Failure::at(file, "written", "name another file with --to"))?;
                }
                print(self.json, &json!({"name": name, "key": key, "fingerprint": fingerprint}), |_| match &to {
                    Some(file) => format!("{} is written. Read this out: {fingerprint}", file.display()),
                    None => text.trim_end().to_owned(),
                })
            }
            Action::Import { file, fingerprint, dir } => {
                let (name, key) = read_export(&file)?;
                let public = tacit_pki::PublicKey::from_base64(&key).map_err(refused)?;
                if public.fingerprint() != fingerprint {
                    return Err(Failure::new(
                        Code::Refused,
                        "this is not the key whose fingerprint was read to you: somebody may have exchanged it; it is not kept",
                    ));
                }
                std::fs::create_dir_all(&dir)?;
                let kept = keyfile::public_path(&dir, &name);
                let known = std::fs::read_to_string(&kept).ok();
                if known.as_ref().is_some_and(|known| known.trim() != key) {
                    return Err(Failure::new(
                        Code::Refused,
                        format!("{} holds another key; remove it first", kept.display()),
                    ));
                }
                if known.is_none() {
                    keyfile::keep_public(&dir, &name, &key).map_err(refused)?;
                }
                print(self.json, &json!({"name": name, "key": key, "fingerprint": fingerprint, "file": kept}), |_| {
                    format!("{name}'s key is kept in {}\n{key}", kept.display())
                })
            }
            Action::Compare { member, gateway, manager_key } => {
                let code = comparison_code(member, tacit_job::pairing_digest(&gateway, &manager_key));
                print(self.json, &json!({"code": code}), |_| code.clone())
            }
        }
    }
}

/// The first line of an exported key.
const HEAD: &str = "tacit public key, version 1";

/// Name and key of an exported key. What it says of its own fingerprint is not believed.
fn read_export(file: &Path) -> Result<(String, String), Failure> {
    let text = match file.to_str() {
        Some("-") => std::io::read_to_string(std::io::stdin())?,
        _ => std::fs::read_to_string(file).map_err(Failure::at(
            file,
            "read",
            "name the file that `tacit key export` wrote",
        ))?,
    };
    let field = |name: &str| text.lines().find_map(|line| Some(line.strip_prefix(name)?.trim().to_owned()));
    let wrong = || Failure::usage("this is no text of `tacit key export`");
    let known = text.lines().next().map(str::trim) == Some(HEAD);
    let (name, key) = field("name ").zip(field("key ")).filter(|_| known).ok_or_else(wrong)?;
    let plain = !name.is_empty() && name.len() <= 64 && name.chars().all(|c| c.is_alphanumeric() || "-_".contains(c));
    if plain { Ok((name, key)) } else { Err(Failure::usage("the key's name must be letters, digits, - and _")) }
}
