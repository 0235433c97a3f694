//! Results as they are stored, shown and posted.

use tacit_model::{Slot, UnixMillis};
use tacit_store::ResultRow;

use crate::PartyError;

/// The result of one slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlotResult {
    /// Which slot.
    pub slot: Slot,
    /// The values, one per item.
    pub values: Vec<u128>,
    /// How many gave data.
    pub contributors: u32,
    /// The commitment on which all recipients agreed, hexadecimal.
    pub agreement: String,
    /// When it was stored.
    pub at: UnixMillis,
}

impl SlotResult {
    /// `3;8`, as the P2DS manual writes it.
    pub fn text(&self) -> String {
        join(&self.values)
    }

    /// `None` for the mark of a slot whose result this party does not learn.
    pub(crate) fn read(row: ResultRow) -> Option<Result<Self, PartyError>> {
        if row.values_json.is_empty() {
            return None;
        }
        Some(values_from_json(&row.values_json).map(|values| Self {
            slot: row.slot,
            values,
            contributors: row.contributors,
            agreement: hex::encode(&row.agreement),
            at: row.at,
        }))
    }
}

/// Decimal texts, since other readers round large JSON numbers.
pub(crate) fn values_to_json(values: &[u128]) -> String {
    let mut text = String::with_capacity(values.len() * 8 + 2);
    text.push('[');
    for (index, value) in values.iter().enumerate() {
        text.push_str(if index == 0 { "\"" } else { ",\"" });
        text.push_str(&value.to_string());
        text.push('"');
    }
    text.push(']');
    text
}

pub(crate) fn values_from_json(text: &str) -> Result<Vec<u128>, PartyError> {
    let damaged = || PartyError::Damaged("a result".to_owned());
    let texts: Vec<String> = serde_json::from_str(text).map_err(|_| damaged())?;
    texts.iter().map(|text| text.parse().map_err(|_| damaged())).collect()
}

/// `3;8` of what is stored.
pub(crate) fn json_to_row(text: &str) -> Result<String, PartyError> {
    values_from_json(text).map(|values| join(&values))
}

fn join(values: &[u128]) -> String {
    let texts: Vec<String> = values.iter().map(u128::to_string).collect();
    texts.join(";")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_stored_comes_back() {
        let values = [0, 7, u128::from(u64::MAX) + 1];
        let text = values_to_json(&values);
        assert_eq!(text, "[\"0\",\"7\",\"18446744073709551616\"]");
        assert_eq!(values_from_json(&text).ok().as_deref(), Some(&values[..]));
        assert_eq!(json_to_row(&text).ok().as_deref(), Some("0;7;18446744073709551616"));
        assert!(values_from_json("[1]").is_err());
    }
}
