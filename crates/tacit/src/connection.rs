//! Which node a command talks to, and with which token.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use tacit_client::Client;
use tacit_model::{Fingerprint, GroupId};
use tacit_pki::{Identity, keyfile};

use crate::command::fingerprint;
use crate::command::log::Key;
use crate::command::task::asked::Asked;
use crate::command::task::known::Known;
use crate::config::DataFolder;
use crate::output::{Code, Failure, for_shell};
use crate::process::Address;

/// Which node to talk to.
#[derive(Args, Debug, Clone)]
#[command(next_help_heading = "Connection")]
pub(crate) struct Connection {
    /// The node's address, by default the one of --data, else http://127.0.0.1:7400; of several gateways over the same rows
    /// all of them, with commas between.
    #[arg(long, value_name = "URL", env = "TACIT_NODE", global = true, value_delimiter = ',')]
    node: Vec<String>,
    /// The data folder of a node on this machine; says its address and token.
    #[arg(long, value_name = "DIR", env = "TACIT_DATA", global = true)]
    data: Option<PathBuf>,
    /// A file with the token.
    #[arg(long, value_name = "FILE", env = "TACIT_TOKEN_FILE", global = true)]
    token_file: Option<PathBuf>,
    /// The certificate of the node, if it serves https: 64 hexadecimal digits; of several nodes all of them.
    #[arg(long, value_name = "FINGERPRINT", env = "TACIT_PIN", global = true, value_delimiter = ',', value_parser = fingerprint)]
    pin: Vec<Fingerprint>,
    /// The private key of a client whose certificate the node's owner has admitted, beside the certificate: shown over
    /// https it does as well as a token. `tacit key new` makes both.
    #[arg(long, value_name = "FILE", env = "TACIT_CLIENT_KEY", global = true)]
    client_key: Option<PathBuf>,
}

const DEFAULT_NODE: &str = "http://127.0.0.1:7400";

impl Connection {
    /// Whether the command says which node it is about.
    pub(crate) fn names_a_node(&self) -> bool {
        !self.node.is_empty()
    }

    /// Whether it names several gateways over the same rows.
    pub(crate) fn names_several(&self) -> bool {
        self.node.len() > 1
    }

    /// The certificate of the node, if one was named; of several none is meant.
    pub(crate) fn pin(&self) -> Option<Fingerprint> {
        match self.pin[..] {
            [pin] => Some(pin),
            _ => None,
        }
    }

    /// The data folder of a node on this machine, if one was named.
    pub(crate) fn data(&self) -> Option<PathBuf> {
        self.data.clone()
    }

    pub(crate) fn client(&self) -> Result<Client, Failure> {
        let local = self.data.clone().map(DataFolder);
        let addresses = match (&self.node[..], &local) {
            ([], Some(data)) => vec![running(data)?.url],
            ([], None) => vec![DEFAULT_NODE.to_owned()],
            (urls, _) => urls.to_vec(),
        };
        let own = self.client_key()?.map(Arc::new);
        let file = self.token_file(own.as_deref());
        let token = self.token(own.as_deref())?;
        let pins = match (&self.pin[..], &local) {
            ([], Some(data)) if self.node.is_empty() => vec![running(data)?.fingerprint],
            (pins, _) => pins.to_vec(),
        };
        let addresses: Vec<&str> = addresses.iter().map(String::as_str).collect();
        let client = Client::among_as(&addresses, token.as_deref(), &pins, own)?;
        Ok(match file {
            Some(file) => client.with_token_from(&file.display().to_string()),
            None => client,
        })
    }

    fn token_file(&self, own: Option<&Identity>) -> Option<PathBuf> {
        // A client that says who it is does not take the owner's part.
        let owner = self.data.clone().filter(|_| own.is_none()).map(|data| DataFolder(data).owner_token());
        self.token_file.clone().or(owner)
    }

    fn token(&self, own: Option<&Identity>) -> Result<Option<String>, Failure> {
        let Some(file) = self.token_file(own) else { return Ok(None) };
        let text = std::fs::read_to_string(&file)
            .map_err(|e| Failure::usage(format!("the token file {} cannot be read: {e}", file.display())))?;
        Ok(Some(text.trim().to_owned()))
    }

    /// The key with which this client proves who it is, if it has one.
    pub(crate) fn client_key(&self) -> Result<Option<Identity>, Failure> {
        let Some(file) = &self.client_key else { return Ok(None) };
        let name = file.file_name().and_then(|name| name.to_str()).and_then(|name| name.strip_suffix(".key"));
        let name =
            name.ok_or_else(|| Failure::usage("--client-key names the file of a private key, such as hvac.key"))?;
        let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        Ok(Some(keyfile::load(folder, name)?))
    }
}

impl Connection {
    /// Which groups this client knows: in the folder or beside the key by which it is the same client each time.
    pub(crate) fn known(&self, result_key: Option<&Path>, manager: Option<Key>) -> Known {
        Known::new(self.own_file(result_key, "known_groups.json", "groups"), manager)
    }

    /// Which tasks this client asked of a group under which idempotency key, in the same place.
    pub(crate) fn asked(&self, result_key: Option<&Path>, manager: &str, group: GroupId) -> Result<Asked, Failure> {
        let own = self.client_key()?;
        // A gateway tells clients apart by the token, or by the key where there is none.
        let client = match (self.token(own.as_ref())?, own) {
            (Some(token), _) => token.into_bytes(),
            (None, own) => own.map(|own| own.fingerprint().to_string().into_bytes()).unwrap_or_default(),
        };
        Ok(Asked::new(self.own_file(result_key, "asked_tasks.json", "asked"), &client, manager, group))
    }

    /// A file in the folder of `--data`, else one with this ending beside a key.
    fn own_file(&self, result_key: Option<&Path>, in_folder: &str, ending: &str) -> Option<PathBuf> {
        let beside = |key: &Path| key.with_added_extension(ending);
        let own = || self.client_key.as_deref().or(result_key).map(beside);
        self.data.as_ref().map(|data| data.join(in_folder)).or_else(own)
    }

    /// The data folder of the node, if it was named.
    pub(crate) fn data_folder(&self) -> Option<&std::path::Path> {
        self.data.as_deref()
    }
}

/// The command that starts a node, with its configuration where `tacit init` writes it.
fn serve(data: &DataFolder) -> String {
    let config = data.config();
    match config.is_file() {
        true => format!("`tacit serve --config {}`", for_shell(&config.display().to_string())),
        false => "`tacit serve`".to_owned(),
    }
}

fn running(data: &DataFolder) -> Result<Address, Failure> {
    let path = data.address();
    let text = std::fs::read_to_string(&path).map_err(|_| {
        // In full: a relative path means another folder in another directory.
        let folder = std::path::absolute(&data.0).unwrap_or_else(|_| data.0.clone());
        let why = match folder.is_dir() {
            true => format!("no node is running in {}; {} starts it", folder.display(), serve(data)),
            false => format!("there is no folder {}; name the node's with --data or TACIT_DATA", folder.display()),
        };
        Failure::new(Code::Unreachable, why)
    })?;
    Ok(serde_json::from_str(&text)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_that_starts_a_node_can_be_copied() {
        let folder = tempfile::tempdir().expect("a folder");
        let data = DataFolder(folder.path().join("our node"));
        std::fs::create_dir(&data.0).expect("a folder");
        let told = || running(&data).map(drop).expect_err("nobody runs").to_string();
        assert!(told().ends_with("; `tacit serve` starts it"), "{}", told());
        std::fs::write(data.config(), "").expect("a configuration");
        assert!(told().ends_with("our node/node.toml'` starts it"), "{}", told());
    }
}
