use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use tacit_model::UnixMillis;

use super::{Part, Resource, duties};
use crate::{CanonicalError, Charter, CharterError, Consensus, Text};

/// Why the parameters are no charter.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TermsError {
    /// The parameters do not make one.
    #[error("these parameters make no charter: {0}")]
    Unreadable(String),
    /// It is a charter that cannot be.
    #[error(transparent)]
    Charter(#[from] CharterError),
    /// The duties are not those that follow from the parameters.
    #[error("the duties in the text are not those that follow from its parameters")]
    Duties,
    /// The part is about another group, or has no place in the chain.
    #[error("the part names another group than its charter, or no sequence")]
    Place,
}

/// The parts of a charter that are objects of their own parameters.
const NESTED: [&str; 3] = ["slots", "configuration", "configuration/parameters"];

/// A charter as parameters and values, such as `threshold`, `slots/deadline_ms`, `members/alpha`.
///
/// Slashes inside names are written `~1` and tildes `~0` (RFC 6901). Needs a charter that passes
/// [`Charter::check`]: members of one name would fall together.
pub fn charter_terms(charter: &Charter) -> Result<BTreeMap<String, Value>, CanonicalError> {
    let mut value = serde_json::to_value(charter).unwrap_or_default();
    // Members become parameters of their own: one can be disputed and the others not.
    let members = charter.members.iter().map(|member| (member.name.clone(), json!(member))).collect();
    value["members"] = Value::Object(members);
    let mut terms = BTreeMap::new();
    flatten("", value, &mut terms);
    Ok(terms)
}

fn flatten(prefix: &str, value: Value, terms: &mut BTreeMap<String, Value>) {
    let nested = prefix.is_empty() || prefix == "members" || NESTED.contains(&prefix);
    match value {
        Value::Object(fields) if nested => {
            for (name, value) in fields {
                let name = name.replace('~', "~0").replace('/', "~1");
                let path = if prefix.is_empty() { name } else { format!("{prefix}/{name}") };
                flatten(&path, value, terms);
            }
        }
        value => drop(terms.insert(prefix.to_owned(), value)),
    }
}

/// The charter that the parameters make, checked. Its members come in the order of their names.
pub fn charter_of(terms: &BTreeMap<String, Value>) -> Result<Charter, TermsError> {
    let unreadable = |why: &str| TermsError::Unreadable(why.to_owned());
    let mut root = Map::new();
    for (path, value) in terms {
        let mut names: Vec<String> = path.split('/').map(|n| n.replace("~1", "/").replace("~0", "~")).collect();
        let leaf = names.pop().unwrap_or_default();
        if names.len() > 2 {
            return Err(unreadable("a name has too many parts"));
        }
        let mut at = &mut root;
        for name in names {
            let next = at.entry(name).or_insert_with(|| Value::Object(Map::new()));
            at = next.as_object_mut().ok_or_else(|| unreadable("a parameter has both a value and parts"))?;
        }
        if at.insert(leaf, value.clone()).is_some() {
            return Err(unreadable("a parameter has both a value and parts"));
        }
    }
    if let Some(Value::Object(members)) = root.get("members") {
        let named = members.iter().all(|(name, member)| member.get("name").and_then(Value::as_str) == Some(name));
        if !named {
            return Err(unreadable("a member is listed under another name than its own"));
        }
        let members = members.values().cloned().collect();
        root.insert("members".to_owned(), Value::Array(members));
    } else if !root.contains_key("members") {
        root.insert("members".to_owned(), json!([]));
    }
    let charter: Charter =
        serde_json::from_value(Value::Object(root)).map_err(|e| TermsError::Unreadable(e.to_string()))?;
    charter.check()?;
    Ok(charter)
}

/// The part of a text that makes this charter the group's next one.
pub fn charter_part(
    current: Option<&Consensus>,
    charter: &Charter,
    proposed_at: UnixMillis,
) -> Result<Part, CanonicalError> {
    Ok(Part {
        resource: Resource::Charter,
        id: charter.group.to_string(),
        on_last_consensus: current.map(Consensus::id),
        sequence: Some(current.map_or(1, |c| c.text().sequence + 1)),
        proposed_at: proposed_at.0,
        terms: charter_terms(charter)?,
        duties: duties(charter),
    })
}

/// The text of the consensus that a part leads to: what owners sign besides the part itself.
pub fn charter_text(part: &Part) -> Result<Text, TermsError> {
    let charter = charter_of(&part.terms)?;
    if part.duties != duties(&charter) {
        return Err(TermsError::Duties);
    }
    let sequence = part.sequence.filter(|_| part.id == charter.group.to_string()).ok_or(TermsError::Place)?;
    let decided_at = UnixMillis(part.proposed_at);
    Ok(Text { charter, previous: part.on_last_consensus, sequence, decided_at })
}
