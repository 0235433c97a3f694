//! What a client knows of the groups that it asks: by which manager key, and up to which decision.
//!
//! A gateway shows the chain of a group's charters, and the client judges by them which result it takes. So that the
//! gateway cannot show a group of its own making, the client keeps the manager key that it saw first, or was given, and the
//! last consensus it has seen: what it is shown later must go on from there. When it first saw each decision it keeps, too:
//! by then the charter before it was replaced, which nothing in the texts says. Without a file all this holds for one
//! command.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use serde::{Deserialize, Serialize};
use tacit_accord::{Consensus, ConsensusError, ConsensusId, verify_chain};
use tacit_client::Client;
use tacit_job::Seen;
use tacit_model::{Clock, GroupId, SystemClock, UnixMillis};
use tacit_pki::PublicKey;

use crate::command::log::Key;
use crate::kept_file::{self, KeptFile};
use crate::negotiating::refused;
use crate::output::Failure;
use crate::wizard::say;

/// Of so many decisions, the newest, it is kept when they were seen. Those before were seen no later than the oldest of these.
const NEWEST: usize = 16;

/// A group as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Pinned {
    /// Base64.
    manager: String,
    /// The last consensus that was shown.
    consensus: String,
    /// When the newest ones were first shown, in milliseconds since 1970.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    seen: BTreeMap<String, i64>,
}

type Chain = Arc<Vec<Seen>>;

/// The groups that this client knows.
#[derive(Default)]
pub(crate) struct Known {
    file: Option<PathBuf>,
    manager: Option<Key>,
    /// Nobody reads what is seen for the first time.
    silent: bool,
    shown: Mutex<BTreeMap<GroupId, (Pinned, Chain)>>,
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
        if let (Some((_, chain)), false) = (self.shown(group), anew) {
            return Ok(chain);
        }
        loop {
            let pinned = self.pinned(group, &self.read()?);
            let documents = client.consensus(group).await?;
            match self.check(group, &documents, SystemClock.now()) {
                // Somebody else saw a later decision meanwhile, and this chain may have ended before it.
                Err(_) if self.pinned(group, &self.read()?) != pinned => {}
                checked => return checked,
            }
        }
    }

    /// Checks what is shown now, and keeps what is new of it.
    fn check(&self, group: GroupId, documents: &[String], at: UnixMillis) -> Result<Chain, Failure> {
        let (chain, now) = self.keep(group, documents, at)?;
        let chain = Arc::new(chain);
        if let Ok(mut shown) = self.shown.lock() {
            shown.insert(group, (now, Arc::clone(&chain)));
        }
        Ok(chain)
    }

    fn shown(&self, group: GroupId) -> Option<(Pinned, Chain)> {
        self.shown.lock().ok()?.get(&group).cloned()
    }

    /// By what is in the file a group is judged, else by what this command saw first.
    fn pinned(&self, group: GroupId, all: &BTreeMap<String, Pinned>) -> Option<Pinned> {
        all.get(&group.to_string()).cloned().or_else(|| Some(self.shown(group)?.0))
    }

    fn keep(&self, group: GroupId, documents: &[String], at: UnixMillis) -> Result<(Vec<Seen>, Pinned), Failure> {
        let all = self.read()?;
        let seen = self.pinned(group, &all);
        let (chain, now) = self.judge(group, documents, seen.as_ref(), at)?;
        let kept = self.file.is_none() || all.contains_key(&group.to_string());
        if kept && seen.as_ref() == Some(&now) {
            return Ok((chain, now));
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
        let Some(path) = &self.file else { return Ok((chain, now)) };
        let file = KeptFile::lock(path)?;
        // Another command may have written since.
        let mut all = self.read()?;
        let (chain, now) = self.judge(group, documents, self.pinned(group, &all).as_ref(), at)?;
        all.insert(group.to_string(), now.clone());
        file.replace_entries(&all)?;
        Ok((chain, now))
    }

    /// The chain in the documents, if it goes on from what was seen, and what is seen now.
    fn judge(
        &self,
        group: GroupId,
        documents: &[String],
        pinned: Option<&Pinned>,
        at: UnixMillis,
    ) -> Result<(Vec<Seen>, Pinned), Failure> {
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
                    "group {group} is shown under another manager key ({}) than {}: somebody may have put a \
                     group of its own in its place. If you know that it is right, name it: --manager-key",
                    shown.fingerprint(),
                    match self.file {
                        Some(_) => format!("the one in {}", self.place()),
                        None => "the one that this command saw first".to_owned(),
                    }
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
        let (manager, consensus) = (shown.to_base64(), last.id().to_string());
        let chain = dated(chain, |id| Some(UnixMillis(*seen?.seen.get(&id.to_string())?)), at);
        let newest = chain.iter().rev().take(NEWEST);
        let seen = newest.map(|one| (one.consensus.id().to_string(), one.since.0)).collect();
        Ok((chain, Pinned { manager, consensus, seen }))
    }

    fn place(&self) -> String {
        self.file.as_deref().unwrap_or(Path::new("")).display().to_string()
    }

    fn read(&self) -> Result<BTreeMap<String, Pinned>, Failure> {
        self.file.as_deref().map_or(Ok(BTreeMap::new()), |file| kept_file::entries(file, "known groups"))
    }
}

/// Since when each is known: since then, or since the one after it was; the last ones since now.
fn dated(chain: Vec<Consensus>, seen: impl Fn(ConsensusId) -> Option<UnixMillis>, now: UnixMillis) -> Vec<Seen> {
    let mut since = now;
    let mut dated: Vec<Seen> = Vec::with_capacity(chain.len());
    for consensus in chain.into_iter().rev() {
        since = seen(consensus.id()).unwrap_or(since);
        dated.push(Seen { consensus, since });
    }
    dated.reverse();
    dated
}

#[cfg(test)]
mod tests {
    use tacit_accord::{Charter, Proposal, decide};
    use tacit_pki::Identity;

    use super::*;

    const GROUP: GroupId = GroupId(1);

    fn manager() -> Identity {
        Identity::generate("manager", SystemClock.now().to_date_time().expect("a date")).expect("a key")
    }

    /// The documents of so many decisions of one manager.
    fn documents(manager: &Identity, count: i64) -> Vec<String> {
        let mut chain: Vec<Consensus> = Vec::new();
        for number in 0..count {
            let charter = Charter {
                gateways: vec![manager.fingerprint()],
                ..Charter::new(GROUP, &format!("g{number}"), manager.public_key().to_base64())
            };
            let proposal = Proposal::new(chain.last(), charter, UnixMillis(number)).expect("a proposal");
            chain.push(decide(chain.last(), proposal.sign(manager)).expect("a decision"));
        }
        chain.iter().map(Consensus::to_document).collect()
    }

    fn since(chain: &Chain) -> Vec<i64> {
        chain.iter().map(|seen| seen.since.0).collect()
    }

    /// A gateway that shows one group first, and another one or an older state of it when it is asked again.
    #[test]
    fn rule11_within_one_command_a_group_stays_the_one_that_was_seen_first() {
        let (right, wrong) = (manager(), manager());
        let own = documents(&right, 3);
        let named = right.fingerprint().to_string().parse::<Key>().expect("a key");
        for known in [Known::own(), Known::new(None, Some(named))] {
            let check = |documents: &[String], at| known.check(GROUP, documents, UnixMillis(at));
            check(&own[..2], 100).expect("seen first");
            let why = check(&documents(&wrong, 3), 101).expect_err("another group").to_string();
            assert!(why.contains("manager key"), "{why}");
            assert!(check(&own[..1], 102).is_err(), "it forgot a decision");
            assert!(check(&[], 103).is_err());
            assert_eq!(since(&check(&own, 104).expect("it goes on")), [100, 100, 104]);
            assert!(check(&own[..2], 105).is_err(), "it forgot what it went on with");
            assert_eq!(since(&known.shown(GROUP).expect("as before").1), [100, 100, 104]);
        }
    }

    #[test]
    fn when_a_decision_was_first_seen_is_kept_of_the_newest() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("groups");
        let all = documents(&manager(), 20);
        // Each time another command.
        let check = |count: usize, at| {
            let known = Known { silent: true, ..Known::new(Some(file.clone()), None) };
            since(&known.check(GROUP, &all[..count], UnixMillis(at)).expect("it holds"))
        };
        assert_eq!(check(1, 100), [100]);
        assert_eq!(check(3, 200), [100, 200, 200]);
        assert_eq!(check(3, 300), [100, 200, 200]);
        assert_eq!(check(20, 400)[..4], [100, 200, 200, 400]);
        // Of the old ones it is known that they were there when the next ones were.
        assert_eq!(check(20, 500), [400; 20]);
        let text = std::fs::read_to_string(&file).expect("the file");
        assert_eq!(text.matches(": 400").count(), NEWEST, "{text}");
        // Written by a program that did not keep it.
        let mut kept: BTreeMap<String, Pinned> = serde_json::from_str(&text).expect("JSON");
        kept.values_mut().for_each(|pinned| pinned.seen.clear());
        std::fs::write(&file, serde_json::to_string(&kept).expect("JSON")).expect("written");
        assert_eq!(check(20, 600), [600; 20]);
        assert_eq!(check(20, 700), [600; 20]);
    }
}
