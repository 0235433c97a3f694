//! What entries say about one another: each consensus follows the one before it.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::decide::check;
use crate::{Consensus, ConsensusId};

/// What was agreed in one group, from its first consensus on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupReport {
    /// Its name, from the last document.
    pub name: String,
    /// How many there were: the number of the last one.
    pub decisions: u64,
    /// The id of the last one, recomputed.
    pub consensus: ConsensusId,
    /// Keys that signed any of them, base64 SubjectPublicKeyInfo, in order of appearance.
    pub signers: Vec<String>,
}

/// The last consensus of each group, and the software named last.
#[derive(Default)]
pub(super) struct Links {
    groups: BTreeMap<String, Chain>,
    software: String,
}

struct Chain {
    report: GroupReport,
    current: Consensus,
}

impl Links {
    /// The software that the log names last.
    pub(super) fn software(&self) -> &str {
        &self.software
    }

    pub(super) fn into_groups(self) -> BTreeMap<String, GroupReport> {
        self.groups.into_iter().map(|(group, chain)| (group, chain.report)).collect()
    }

    /// Takes the next entry; the text of the error says what does not follow.
    pub(super) fn follow(&mut self, kind: &str, facts: &Map<String, Value>) -> Result<(), String> {
        match kind {
            "software" => self.software = text(facts, "software")?.to_owned(),
            "consensus" if facts.contains_key("document") => self.consensus(facts)?,
            _ => {}
        }
        Ok(())
    }

    fn consensus(&mut self, facts: &Map<String, Value>) -> Result<(), String> {
        let (group, id, document) = (text(facts, "group")?, text(facts, "consensus")?, text(facts, "document")?);
        let unchecked = Consensus::read(document).map_err(|e| e.to_string())?;
        if unchecked.id().to_string() != id {
            return Err(format!("its document has the id {}", unchecked.id()));
        }
        if unchecked.text.charter.group.to_string() != group {
            return Err("its document belongs to another group".to_owned());
        }
        let known = self.groups.get(group).map(|chain| &chain.current);
        let current = check(known, unchecked).map_err(|e| e.to_string())?;
        let sequence = current.text().sequence;
        let mut report = match self.groups.remove(group) {
            Some(chain) => chain.report,
            None => {
                GroupReport { name: String::new(), decisions: sequence, consensus: current.id(), signers: Vec::new() }
            }
        };
        (report.decisions, report.consensus) = (sequence, current.id());
        report.name.clone_from(&current.charter().name);
        for signer in current.signers() {
            if !report.signers.iter().any(|known| known == signer) {
                report.signers.push(signer.to_owned());
            }
        }
        self.groups.insert(group.to_owned(), Chain { report, current });
        Ok(())
    }
}

fn text<'a>(facts: &'a Map<String, Value>, name: &str) -> Result<&'a str, String> {
    facts.get(name).and_then(Value::as_str).ok_or_else(|| format!("it has no text {name}"))
}
