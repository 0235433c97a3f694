//! A witness on a person's own machine: remembers one checkpoint, and demands that the log grows out of it.

use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::json;
use tacit_accord::log::{Checkpoint, Disputed, Hash, witness};
use tacit_client::Client;
use tacit_pki::PublicKey;

use super::print;
use crate::kept_file::{self, KeptFile};
use crate::output::{Code, Failure};

/// What is remembered.
#[derive(Serialize, Deserialize)]
struct Seen {
    /// The node's public key, base64.
    key: String,
    /// Its last checkpoint that was accepted.
    note: String,
}

pub(super) async fn run(client: &Client, state: &Path, against: Option<&Path>, json: bool) -> Result<(), Failure> {
    // Two at once would each put their head in place, and the older one may come last.
    let file = KeptFile::lock(state)?;
    let read = kept_file::read(state)?.map(|text| serde_json::from_str(&text)).transpose();
    let seen: Option<Seen> = read.map_err(|e| {
        Failure::usage(format!("{} is no memory of a witness ({e}); choose another file", state.display()))
    })?;
    let head = client.log_checkpoint().await?;
    let key = PublicKey::from_base64(&head.key)?;
    if let Some(seen) = seen.as_ref().filter(|seen| seen.key != head.key) {
        let known = PublicKey::from_base64(&seen.key)?.fingerprint();
        let text = format!("this is the node {}; {} remembers the node {known}", key.fingerprint(), state.display());
        return Err(Failure::new(Code::Refused, text));
    }
    let last = seen.as_ref().map(|seen| Checkpoint::open(&seen.note, &key)).transpose()?;
    let before = last.as_ref().map_or(0, |last| last.size);
    let accepted = accept(client, &key, last.as_ref(), &head.checkpoint).await?;
    let accepted = match accepted {
        Ok(accepted) => accepted,
        Err(disputed) => return Err(dispute(state, seen.map(|seen| seen.note), &head.checkpoint, &disputed)?),
    };
    if let Some(path) = against {
        let note = std::fs::read_to_string(path)
            .map_err(|e| Failure::usage(format!("{} cannot be read: {e}", path.display())))?;
        let theirs = Checkpoint::open(&note, &key)?;
        let (older, shown) = match theirs.size <= accepted.size {
            true => (&theirs, &head.checkpoint),
            false => (&accepted, &note),
        };
        if let Err(disputed) = accept(client, &key, Some(older), shown).await? {
            return Err(dispute(state, Some(note), &head.checkpoint, &disputed)?);
        }
    }
    remember(&file, &Seen { key: head.key.clone(), note: head.checkpoint })?;
    let value = json!({
        "ok": true, "node": key.fingerprint().to_string(), "before": before, "entries": accepted.size,
        "root": accepted.root.to_string(),
    });
    print(json, &value, |_| match before {
        0 => format!(
            "first seen: {} entries of node {}; compare that fingerprint with its operator",
            accepted.size,
            key.fingerprint()
        ),
        before => format!("the log grew from {before} to {} entries; nothing before was changed", accepted.size),
    })
}

/// Asks the node to prove that the shown checkpoint grew out of the last one.
async fn accept(
    client: &Client,
    key: &PublicKey,
    last: Option<&Checkpoint>,
    shown: &str,
) -> Result<Result<Checkpoint, Disputed>, Failure> {
    let size = match Checkpoint::open(shown, key) {
        Ok(shown) => shown.size,
        Err(error) => return Ok(Err(error.into())),
    };
    let proof = match last {
        Some(last) if 0 < last.size && last.size < size => {
            let proof = client.log_consistency(last.size, size).await?;
            proof.proof.iter().map(|hash| hash.parse()).collect::<Result<Vec<Hash>, _>>()?
        }
        _ => Vec::new(),
    };
    Ok(witness(key, last, shown, &proof))
}

/// What is kept of a dispute.
#[derive(Serialize, Deserialize)]
struct Dispute {
    why: String,
    known: Option<String>,
    shown: String,
    /// Why the log is believed again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    settled: Option<String>,
}

/// Goes on from the disputed head. The evidence stays, beside the file, with the reason.
pub(super) fn settle(state: &Path, accept: &str, reason: &str, json: bool) -> Result<(), Failure> {
    let file = KeptFile::lock(state)?;
    let path = state.with_extension("disputed");
    let unread = |e: &dyn core::fmt::Display| Failure::usage(format!("{} holds no dispute: {e}", path.display()));
    let text = std::fs::read(&path).map_err(|e| unread(&e))?;
    let mut found: Dispute = serde_json::from_slice(&text).map_err(|e| unread(&e))?;
    if found.shown.lines().nth(2) != Some(accept.trim()) {
        let text = format!("{accept} is not the root of the disputed head in {}", path.display());
        return Err(Failure::new(Code::Refused, text));
    }
    let seen = std::fs::read(state)?;
    let seen: Seen = serde_json::from_slice(&seen).map_err(|e| Failure::usage(format!("{}: {e}", state.display())))?;
    let head = Checkpoint::open(&found.shown, &PublicKey::from_base64(&seen.key)?)?;
    found.settled = Some(reason.to_owned());
    let kept = state.with_extension(format!("settled-{}", head.size));
    // Both notes are nowhere else in a moment.
    kept_file::replace(&kept, &serde_json::to_string_pretty(&found)?, 0o600)?;
    remember(&file, &Seen { key: seen.key, note: found.shown })?;
    std::fs::remove_file(&path)?;
    let value = json!({ "ok": true, "entries": head.size, "root": head.root.to_string(), "evidence": kept });
    print(json, &value, |_| {
        format!("the log is witnessed from its {} entries on; the evidence is in {}", head.size, kept.display())
    })
}

/// Keeps both notes: they are the evidence. That of an earlier dispute stays until it is settled: a node that showed two logs
/// could otherwise have it replaced by something harmless, such as an old answer.
fn dispute(state: &Path, known: Option<String>, shown: &str, why: &Disputed) -> Result<Failure, Failure> {
    let path = state.with_extension("disputed");
    if path.exists() {
        let text = format!("{why}; {} holds an earlier dispute, which stays: settle that one first", path.display());
        return Ok(Failure::new(Code::Refused, text));
    }
    let evidence = Dispute { why: why.to_string(), known, shown: shown.to_owned(), settled: None };
    kept_file::replace(&path, &serde_json::to_string_pretty(&evidence)?, 0o600)?;
    Ok(Failure::new(Code::Refused, format!("{why}; both checkpoints are kept in {}", path.display())))
}

/// Written whole or not at all, and durable: a witness that forgets can be lied to.
fn remember(file: &KeptFile, seen: &Seen) -> Result<(), Failure> {
    file.replace(&serde_json::to_string(seen)?, 0o600)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use tacit_accord::log::Tree;
    use tacit_model::{Clock, SystemClock};
    use tacit_pki::Identity;

    use super::*;

    #[test]
    fn the_evidence_of_a_settled_dispute_is_kept_like_that_of_an_open_one() {
        let folder = tempfile::tempdir().expect("a folder");
        let state = folder.path().join("seen.json");
        let node = Identity::generate("node", SystemClock.now().to_date_time().expect("a date")).expect("a key");
        let head = Checkpoint::new(&node.fingerprint(), &Tree::new()).sign(&node).expect("a note");
        let seen = Seen { key: node.public_key().to_base64(), note: "known".to_owned() };
        remember(&KeptFile::lock(&state).expect("locked"), &seen).expect("written");
        dispute(&state, Some(seen.note), &head, &Disputed::Forked(0)).expect("kept");
        let mode =
            |name: &str| std::fs::metadata(folder.path().join(name)).expect("it exists").permissions().mode() & 0o777;
        assert_eq!(mode("seen.disputed"), 0o600);
        let root = head.lines().nth(2).expect("a root");
        settle(&state, root, "restored", true).expect("settled");
        assert_eq!(mode("seen.settled-0"), 0o600, "only its owner reads it, and it is whole and durable");
        let kept = std::fs::read_to_string(folder.path().join("seen.settled-0")).expect("the evidence");
        assert!(kept.contains("restored") && kept.contains(root), "{kept}");
        assert!(!folder.path().join("seen.disputed").exists());
        assert!(std::fs::read_to_string(&state).expect("the memory").contains(root));
    }

    #[test]
    fn the_evidence_of_a_dispute_outlives_the_next_one() {
        let folder = tempfile::tempdir().expect("a folder");
        let state = folder.path().join("seen.json");
        let disputed = |shown: &str, why| dispute(&state, Some("known".to_owned()), shown, &why).is_ok();
        let kept = || std::fs::read_to_string(folder.path().join("seen.disputed")).expect("the evidence");
        assert!(disputed("another log", Disputed::Forked(7)));
        let first = kept();
        assert!(first.contains("another log"), "{first}");
        assert!(disputed("an old answer", Disputed::Shrunk { seen: 7, shown: 3 }));
        assert_eq!(kept(), first);
    }
}
