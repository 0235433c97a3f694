use aws_lc_rs::digest::{Context, SHA256};
use serde::Serialize;
use serde_json::Value;

/// A value that has no canonical form (a float, or an integer that JSON readers round).
#[derive(Debug, thiserror::Error)]
#[error("no canonical form: {0}")]
pub struct CanonicalError(String);

/// The canonical JSON text of a value (RFC 8785).
///
/// Floats and integers of 2^53 and more are refused, because other readers would round them; such
/// numbers are written as text.
pub fn canonical<T: Serialize>(value: &T) -> Result<String, CanonicalError> {
    let unwritten = |error: serde_json::Error| CanonicalError(error.to_string());
    let value = serde_json::to_value(value).map_err(unwritten)?;
    // Names that are sorted already are the only thing that serde_json, without floats, would write otherwise.
    only_exact_numbers(&value)?;
    match has_sorted_names(&value) {
        true => serde_json::to_string(&value).map_err(unwritten),
        false => serde_json_canonicalizer::to_string(&value).map_err(unwritten),
    }
}

/// SHA-256 over a purpose and some bytes; the purpose keeps digests of different things apart.
pub fn digest(purpose: &str, bytes: &[u8]) -> [u8; 32] {
    let mut context = Context::new(&SHA256);
    context.update(b"tacit/v1/");
    context.update(purpose.as_bytes());
    context.update(&[0]);
    context.update(bytes);
    let mut out = [0; 32];
    out.copy_from_slice(context.finish().as_ref());
    out
}

fn only_exact_numbers(value: &Value) -> Result<(), CanonicalError> {
    const LIMIT: u64 = 1 << 53;
    match value {
        Value::Number(n) => {
            let exact = n.as_u64().is_some_and(|n| n < LIMIT) || n.as_i64().is_some_and(|n| n.unsigned_abs() < LIMIT);
            if exact { Ok(()) } else { Err(CanonicalError("a number that is not an exact small integer".to_owned())) }
        }
        Value::Array(items) => items.iter().try_for_each(only_exact_numbers),
        Value::Object(fields) => fields.values().try_for_each(only_exact_numbers),
        _ => Ok(()),
    }
}

/// Whether the members of all objects stand in the order of RFC 8785, section 3.2.3: ASCII, in ascending order.
fn has_sorted_names(value: &Value) -> bool {
    match value {
        Value::Array(items) => items.iter().all(has_sorted_names),
        Value::Object(fields) => {
            fields.keys().all(|name| name.is_ascii())
                && fields.keys().is_sorted()
                && fields.values().all(has_sorted_names)
        }
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn rfc_8785_sorts_by_utf16_and_escapes_little() {
        let text =
            canonical(&json!({"\u{20ac}": "Euro Sign", "\r": "Carriage Return", "1": "One", "\u{80}": "Control",
            "\u{1f600}": "Emoji", "\u{fb33}": "Hebrew"}))
            .expect("canonical");
        assert_eq!(
            text,
            "{\"\\r\":\"Carriage Return\",\"1\":\"One\",\"\u{80}\":\"Control\",\"\u{20ac}\":\"Euro Sign\",\
             \"\u{1f600}\":\"Emoji\",\"\u{fb33}\":\"Hebrew\"}"
        );
    }

    /// The short way writes what the library writes: every character up to U+2100, in names and in texts.
    #[test]
    fn rfc_8785_of_sorted_names_is_what_the_library_writes() {
        for code in (0..0x2100).filter_map(char::from_u32) {
            let value =
                json!({"a": {"b": [code.to_string(), -5, true, null], (format!("x{code}")): 0}, "B": "z", "": {}});
            let written = serde_json_canonicalizer::to_string(&value).expect("JSON");
            assert_eq!(canonical(&value).expect("canonical"), written, "{code:?}");
        }
    }

    #[test]
    fn numbers_that_others_would_round_are_refused() {
        assert!(canonical(&json!({"a": 9_007_199_254_740_991_u64})).is_ok());
        assert!(canonical(&json!({"a": 9_007_199_254_740_992_u64})).is_err());
        assert!(canonical(&json!({"a": [1.5]})).is_err());
    }
}
