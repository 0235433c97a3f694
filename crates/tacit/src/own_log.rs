//! The log of a key that no node holds: whatever its owner signed, in a file beside the key.
//!
//! `NAME.log.jsonl` is at any time an export as nodes make them ([`tacit_accord::log::export`]): a Merkle tree whose head
//! this very key signed, so `tacit audit verify` reads it as it is. An entry is durable before the signature that it tells
//! of leaves this process; so what the key signed here and is not in the file was not signed here. A signature under the
//! key that the file does not know was made elsewhere: by a copy of the key, or by a copy of this folder.
//!
//! It does not notice that the whole file was put back to an earlier state: whoever wants that keeps its head elsewhere,
//! or compares the turns of a negotiation, which count a key's acts without a gap, with the gateway's.

use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tacit_accord::canonical;
use tacit_accord::log::export::{Broken, Report, Verifier, checkpoint_line, entry_line, header_line, signed_after};
use tacit_accord::log::{Checkpoint, Entry, Kind, Tree, leaf_hash};
use tacit_model::{Clock, SystemClock};
use tacit_pki::{Identity, keyfile};

use crate::kept_file;
use crate::output::{Code, Failure};

/// What the entries name as their writer's software.
const SOFTWARE: &str = concat!("tacit ", env!("CARGO_PKG_VERSION"));

/// The log beside one key.
pub(crate) struct OwnLog {
    dir: PathBuf,
    name: String,
}

impl OwnLog {
    pub(crate) fn beside(dir: &Path, name: &str) -> Self {
        Self { dir: dir.to_owned(), name: name.to_owned() }
    }

    fn path(&self) -> PathBuf {
        self.dir.join(format!("{}.log.jsonl", self.name))
    }

    /// Logs, durably, that the key signs `message`, of this use, about `on`. Fails where the file does not hold: then the
    /// signature is not to be made.
    pub(crate) fn record(&self, key: &Identity, what: &str, on: &str, message: &str) -> Result<(), Failure> {
        // One process at a time. The key's file is never replaced, so it is the one to lock.
        let lock = File::open(keyfile::private_path(&self.dir, &self.name))?;
        lock.lock()?;
        let (mut bodies, software) = self.read(key)?;
        let mut add = |kind: Kind, facts: Value| -> Result<(), Failure> {
            let Value::Object(facts) = facts else { return Ok(()) };
            bodies.push(Entry { at: SystemClock.now(), node: key.fingerprint(), kind, facts }.body()?);
            Ok(())
        };
        if software != SOFTWARE {
            add(Kind::Software, json!({ "software": SOFTWARE }))?;
        }
        let own = key.fingerprint().to_string();
        add(Kind::KeyUse, json!({ "key": own, "use": what, "on": on, "signed": message }))?;
        self.write(&lines(key, &bodies)?)
    }

    /// The entries' texts, verified, and the software that wrote the last of them.
    fn read(&self, key: &Identity) -> Result<(Vec<String>, String), Failure> {
        let path = self.path();
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok((Vec::new(), String::new())),
            Err(error) => return Err(error.into()),
        };
        let report = verified(&text, key).map_err(|fault| {
            Failure::new(
                Code::Refused,
                format!(
                    "nothing is signed, because the log of your own signatures does not hold: {}: {fault}. Find out who \
                     changed it; once it is put away somewhere else, a new one begins",
                    path.display()
                ),
            )
        })?;
        let mut bodies = Vec::new();
        for line in text.lines().skip(1) {
            let line: Value = serde_json::from_str(line)?;
            if let Some(entry) = line.get("entry") {
                bodies.push(canonical(entry)?);
            }
        }
        Ok((bodies, report.software))
    }

    /// Puts the new file in place of the old one, or leaves the old one.
    fn write(&self, text: &str) -> Result<(), Failure> {
        Ok(kept_file::replace(&self.path(), text, 0o600)?)
    }
}

fn verified(text: &str, key: &Identity) -> Result<Report, Broken> {
    let mut verifier = Verifier::new(Some(key.fingerprint()), Vec::new());
    text.split_inclusive('\n').try_for_each(|line| verifier.line(line.as_bytes()))?;
    verifier.finish()
}

/// The whole file, with a head that the key signs. A log of its owner's own acts stays small.
fn lines(key: &Identity, bodies: &[String]) -> Result<String, Failure> {
    let sign = |tree: &Tree| -> Result<String, Failure> {
        Ok(checkpoint_line(&Checkpoint::new(&key.fingerprint(), tree).sign(key)?)?)
    };
    let (mut tree, mut entries, count) = (Tree::new(), String::new(), bodies.len() as u64);
    for body in bodies {
        let leaf = leaf_hash(body.as_bytes());
        tree.append(leaf, drop);
        entries.push_str(&entry_line(tree.size(), &leaf, body));
        if signed_after(tree.size(), count) {
            entries.push_str(&sign(&tree)?);
        }
    }
    Ok(header_line(key.public_key(), SOFTWARE)? + &sign(&tree)? + &entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r13_a_log_of_ones_own_grows_holds_and_refuses_to_go_on_when_it_was_changed() {
        let folder = tempfile::TempDir::new().expect("a folder");
        let keys = &folder.path().join("keys");
        let now = SystemClock.now().to_date_time().expect("a date");
        let key = keyfile::load_or_create(keys, "alice", "alice", now).expect("a key");
        let log = OwnLog::beside(keys, "alice");
        log.record(&key, "negotiation", "id", "first").expect("recorded");
        // As many as have a signed head among them, in one go.
        let (mut bodies, software) = log.read(&key).expect("it holds");
        assert_eq!((bodies.len(), software.as_str()), (2, SOFTWARE));
        bodies.extend(vec![bodies[1].clone(); 300]);
        log.write(&lines(&key, &bodies).expect("lines")).expect("written");
        log.record(&key, "negotiation", "id", "last").expect("recorded");
        let text = std::fs::read_to_string(log.path()).expect("a log");
        let report = verified(&text, &key).expect("it holds");
        assert_eq!((report.kinds["key_use"], report.kinds["software"]), (302, 1));
        // Cut, changed, or under another key: nothing more is signed.
        let cut = text.lines().collect::<Vec<_>>();
        let cut = cut[..cut.len() - 1].join("\n") + "\n";
        for changed in [cut, text.replace("\"on\":\"id\"", "\"on\":\"ie\""), String::new(), "x".to_owned()] {
            std::fs::write(log.path(), &changed).expect("written");
            let refusal = log.record(&key, "charter", "x", "y").expect_err("refused").to_string();
            assert!(refusal.contains("does not hold"), "{refusal}");
            assert_eq!(std::fs::read_to_string(log.path()).expect("as it was"), changed);
        }
        std::fs::write(log.path(), &text).expect("written");
        let other = keyfile::load_or_create(keys, "bob", "bob", now).expect("a key");
        assert!(log.record(&other, "charter", "x", "y").is_err());
        log.record(&key, "charter", "x", "y").expect("and as it was it goes on");
    }
}
