//! What a client knows of the groups that it asks: by which manager key, and up to which decision.
//!
//! A gateway shows the chain of a group's charters, and the client judges by them which result it takes. So that the
//! gateway cannot show a group of its own making, the client keeps the manager key that it saw first, or was given, and the
//! last consensus it has seen: what it is shown later must go on from there.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use serde::{Deserialize, Serialize};
use tacit_accord::{Consensus, ConsensusError, ConsensusId, verify_chain};
use tacit_client::Client;
use tacit_model::GroupId;
use tacit_pki::PublicKey;

use crate::command::log::Key;
use crate::kept_file::{self, KeptFile};
use crate::negotiating::refused;
use crate::output::Failure;
use crate::wizard::say;

/// A group as it is kept in a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Pinned {
    /// Base64.
    manager: String,
    /// The last consensus that was shown.
    consensus: String,
}

type Chain = Arc<Vec<Consensus>>;

/// The groups that this client knows.
#[derive(Default)]
pub(crate) struct Known {
    file: Option<PathBuf>,
    manager: Option<Key>,
    /// Nobody reads what is seen for the first time.
    silent: bool,
    chains: Mutex<BTreeMap<GroupId, Chain>>,
}

impl Known {
    /// What is in the file, which is made when the first group is seen; and the manager key that somebody named.
    pub(crate) fn new(file: Option<PathBuf>, manager: Option<Key>) -> Self {
        Self { file, manager, ..Self::default() }
    }

    /// Nothing yet, of groups that this program founds itself.
    pub(crate) fn own() -> Self {
        Self { silent: true, ..Self::default() }
    }

    /// A group's charters, checked from the first one on. What was checked before is taken unless `anew`.
    pub(crate) async fn chain(&self, client: &Client, group: GroupId, anew: bool) -> Result<Chain, Failure> {
        let before = self.chains.lock().ok().and_then(|chains| chains.get(&group).cloned());
        if let (Some(chain), false) = (before, anew) {
            return Ok(chain);
        }
        let name = group.to_string();
        loop {
            let seen = self.read()?.remove(&name);
            let documents = client.consensus(group).await?;
            match self.check(group, &documents) {
                // Another command saw a later decision meanwhile, and this chain may have ended before it.
                Err(_) if self.read()?.remove(&name) != seen => {}
                checked => {
                    let chain = Arc::new(checked?);
                    if let Ok(mut chains) = self.chains.lock() {
                        chains.insert(group, Arc::clone(&chain));
                    }
                    return Ok(chain);
                }
            }
        }
    }

    /// Checks what is shown, and keeps what is new of it.
    fn check(&self, group: GroupId, documents: &[String]) -> Result<Vec<Consensus>, Failure> {
        let name = group.to_string();
        let seen = self.read()?.remove(&name);
        let (chain, now) = self.judge(group, documents, seen.as_ref())?;
        if seen.as_ref() == Some(&now) {
            return Ok(chain);
        }
        if seen.is_none_or(|seen| seen.manager != now.manager) && self.manager.is_none() && !self.silent {
            let kept = match &self.file {
                Some(file) => format!("kept in {} from now on", file.display()),
                None => "not kept: --result-key FILE would, and --manager-key names it".to_owned(),
            };
            say(&format!(
                "group {group} is under the manager key {}, seen for the first time; {kept}. Compare it with what a member \
                 sees (`tacit peer roster NAME`)",
                PublicKey::from_base64(&now.manager)?.fingerprint()
            ))?;
        }
        let Some(path) = &self.file else { return Ok(chain) };
        let file = KeptFile::lock(path)?;
        // Another command may have written since.
        let mut all = self.read()?;
        let (chain, now) = self.judge(group, documents, all.get(&name))?;
        all.insert(name, now);
        file.replace(&(serde_json::to_string_pretty(&all)? + "\n"), 0o600)?;
        Ok(chain)
    }

    /// The chain in the documents, if it goes on from what was seen, and what is seen now.
    fn judge(
        &self,
        group: GroupId,
        documents: &[String],
        pinned: Option<&Pinned>,
    ) -> Result<(Vec<Consensus>, Pinned), Failure> {
        let first =
            documents.first().ok_or_else(|| refused(format!("the gateway shows no charter of group {group}")))?;
        let unreadable = |error: ConsensusError| refused(error.to_string());
        let shown = PublicKey::from_base64(Consensus::read(first).map_err(unreadable)?.claimed_manager())?;
        let seen = pinned.filter(|pinned| pinned.manager == shown.to_base64());
        match (&self.manager, pinned) {
            (Some(named), _) if named.fingerprint() != shown.fingerprint() => {
                return Err(refused(format!(
                    "group {group} is shown under the manager key {}, not under the one of --manager-key",
                    shown.fingerprint()
                )));
            }
            (None, Some(_)) if seen.is_none() => {
                return Err(refused(format!(
                    "group {group} is shown under another manager key ({}) than the one in {}: somebody may have put a \
                     group of its own in its place. If you know that it is right, name it: --manager-key",
                    shown.fingerprint(),
                    self.place()
                )));
            }
            _ => {}
        }
        let last_seen: Option<ConsensusId> = seen.map(|seen| seen.consensus.parse()).transpose().map_err(|_| {
            Failure::usage(format!("{} is damaged: it names no consensus of group {group}", self.place()))
        })?;
        let chain = verify_chain(documents, &shown, last_seen).map_err(|error| refused(error.to_string()))?;
        let Some(last) = chain.last().filter(|last| last.charter().group == group) else {
            return Err(refused(format!("the gateway shows charters of another group than {group}")));
        };
        let now = Pinned { manager: shown.to_base64(), consensus: last.id().to_string() };
        Ok((chain, now))
    }

    fn place(&self) -> String {
        self.file.as_deref().unwrap_or(Path::new("")).display().to_string()
    }

    fn read(&self) -> Result<BTreeMap<String, Pinned>, Failure> {
        let text = self.file.as_deref().map(kept_file::read).transpose()?.flatten();
        let Some(text) = text else { return Ok(BTreeMap::new()) };
        serde_json::from_str(&text)
            .map_err(|error| Failure::usage(format!("{} is no list of known groups: {error}", self.place())))
    }
}
