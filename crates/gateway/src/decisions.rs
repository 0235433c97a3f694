//! What the log says of decisions: the signed document, each parameter that changed, each key that signed.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use tacit_accord::log::{Entry, Kind};
use tacit_accord::{Charter, Consensus};
use tacit_audit::facts;
use tacit_pki::PublicKey;

use crate::{Gateway, GatewayError};

/// Entries that are read at once.
const PAGE: u32 = 100;

impl Gateway {
    /// Logs a consensus that was just made durable; returns when the log holds it.
    pub(crate) async fn log_consensus(
        &self,
        before: Option<&Consensus>,
        consensus: &Consensus,
    ) -> Result<(), GatewayError> {
        let (group, id) = (consensus.charter().group.to_string(), consensus.id().to_string());
        for (parameter, value) in changes(before.map(Consensus::charter), consensus.charter()) {
            let facts = facts([
                ("group", group.clone()),
                ("consensus", id.clone()),
                ("parameter", parameter),
                ("value", value),
            ]);
            self.inner.log.note(Kind::Parameter, facts);
        }
        for signer in consensus.signers() {
            let key = PublicKey::from_base64(signer).map(|key| key.fingerprint().to_string()).unwrap_or_default();
            let facts = facts([("key", key), ("use", "charter".to_owned()), ("on", id.clone())]);
            self.inner.log.note(Kind::KeyUse, facts);
        }
        let facts = [("group", group), ("consensus", id), ("document", consensus.to_document())];
        self.log(Kind::Consensus, facts).await
    }

    /// Decisions that are durable but not in the log: of an older version, or of a crash between the two.
    pub(crate) async fn log_missing_decisions(&self) -> Result<(), GatewayError> {
        let store = &self.inner.store;
        let mut chains = BTreeMap::new();
        for group in store.groups().await? {
            chains.insert(group.gid.to_string(), store.consensus_chain(group.gid).await?);
        }
        let logged = self.logged_documents(chains.keys().cloned().collect()).await?;
        for (group, chain) in chains {
            let from = match logged.get(&group) {
                Some(last) => chain.iter().position(|document| document == last).map_or(chain.len(), |at| at + 1),
                None => 0,
            };
            let mut before = None;
            for (number, document) in chain.iter().enumerate() {
                let broken = |e: String| GatewayError::Bug(format!("a stored consensus document is broken: {e}"));
                let read = Consensus::read(document).map_err(|e| broken(e.to_string()))?;
                let id = read.id();
                let consensus = read.recall(id).ok_or_else(|| broken("its id is another one".to_owned()))?;
                if number >= from {
                    self.log_consensus(before.as_ref(), &consensus).await?;
                }
                before = Some(consensus);
            }
        }
        Ok(())
    }

    /// The last document of each of these groups in the log.
    async fn logged_documents(&self, mut wanted: BTreeSet<String>) -> Result<BTreeMap<String, String>, GatewayError> {
        let mut found = BTreeMap::new();
        let mut below = u64::MAX;
        while !wanted.is_empty() {
            let rows = self.inner.store.log_notable("consensus", below, PAGE).await?;
            let Some(last) = rows.last() else { break };
            below = u64::try_from(last.seq).unwrap_or(0);
            for row in &rows {
                let Ok(entry) = serde_json::from_slice::<Entry>(&row.body) else { continue };
                let text = |name: &str| entry.facts.get(name).and_then(Value::as_str);
                if let (Some(group), Some(document)) = (text("group"), text("document"))
                    && wanted.remove(group)
                {
                    found.insert(group.to_owned(), document.to_owned());
                }
            }
        }
        Ok(found)
    }
}

/// Every parameter of a charter that is new or has another value, as `(path, value)`, members as their number.
fn changes(before: Option<&Charter>, after: &Charter) -> Vec<(String, String)> {
    let before = before.map(parameters).unwrap_or_default();
    parameters(after).into_iter().filter(|(name, value)| before.get(name) != Some(value)).collect()
}

fn parameters(charter: &Charter) -> BTreeMap<String, String> {
    let mut flat = BTreeMap::new();
    if let Ok(Value::Object(fields)) = serde_json::to_value(charter) {
        for (name, value) in fields {
            match value {
                // Who they are stands in the signed document.
                Value::Array(members) if name == "members" => {
                    flat.insert(name, members.len().to_string());
                }
                value => flatten(name, &value, &mut flat),
            }
        }
    }
    flat
}

fn flatten(path: String, value: &Value, flat: &mut BTreeMap<String, String>) {
    match value {
        Value::Object(fields) => fields.iter().for_each(|(name, value)| flatten(format!("{path}.{name}"), value, flat)),
        Value::String(text) => drop(flat.insert(path, text.clone())),
        other => drop(flat.insert(path, other.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use tacit_accord::{Member, MemberRole};
    use tacit_model::{Fingerprint, GroupId};

    use super::*;

    #[test]
    fn r10_each_changed_parameter_is_named_once() {
        let member = Member {
            name: "m".to_owned(),
            fingerprint: Fingerprint([1; 32]),
            operator: "o".to_owned(),
            role: MemberRole::Both,
            endpoint: String::new(),
        };
        let before = Charter { members: vec![member], ..Charter::new(GroupId(1), "g", String::new()) };
        assert!(changes(None, &before).contains(&("members".to_owned(), "1".to_owned())));
        assert!(changes(Some(&before), &before).is_empty());
        let mut after = before.clone();
        after.threshold = 2;
        after.slots.deadline_ms = 7;
        let named = changes(Some(&before), &after);
        assert_eq!(named, [("slots.deadline_ms".to_owned(), "7".to_owned()), ("threshold".to_owned(), "2".to_owned())]);
    }
}
