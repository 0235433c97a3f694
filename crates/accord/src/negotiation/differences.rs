use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::Wording;

/// Where the members stand on one parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standpoint {
    /// Each value that somebody wants, with who wants it; none where a text does not have the parameter.
    pub values: Vec<(Option<Value>, BTreeSet<String>)>,
    /// Who looked at it and wants it as it stands in their own text.
    pub accepted_by: BTreeSet<String>,
    /// Who wants it otherwise.
    pub rejected_by: BTreeSet<String>,
}

impl Standpoint {
    /// Whether all want the same value and nobody rejects it.
    pub fn agreed(&self) -> bool {
        self.values.len() == 1 && self.rejected_by.is_empty()
    }
}

/// Compares texts parameter by parameter: one text per signer.
///
/// A counter-proposal touches the parameters that it changes and no other: whatever was agreed on before
/// stays agreed.
pub fn differences<'a>(texts: impl IntoIterator<Item = (&'a str, &'a Wording)>) -> BTreeMap<String, Standpoint> {
    let texts: Vec<_> = texts.into_iter().map(|(signer, text)| (signer, text, text.parameters())).collect();
    let names: BTreeSet<&String> = texts.iter().flat_map(|(_, _, parameters)| parameters.keys()).collect();
    let mut standpoints = BTreeMap::new();
    for name in names {
        let mut standpoint =
            Standpoint { values: Vec::new(), accepted_by: BTreeSet::new(), rejected_by: BTreeSet::new() };
        for (signer, text, parameters) in &texts {
            let value = parameters.get(name).map(|value| (*value).clone());
            match standpoint.values.iter_mut().find(|(other, _)| *other == value) {
                Some((_, who)) => drop(who.insert((*signer).to_owned())),
                None => standpoint.values.push((value, BTreeSet::from([(*signer).to_owned()]))),
            }
            if text.accept || text.accepted.contains(name) {
                standpoint.accepted_by.insert((*signer).to_owned());
            }
            if text.rejected.contains(name) {
                standpoint.rejected_by.insert((*signer).to_owned());
            }
        }
        standpoints.insert(name.clone(), standpoint);
    }
    standpoints
}
