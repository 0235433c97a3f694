use std::fmt::Write as _;

use tacit_model::{is_plain, plain};

use super::{Resource, Wording, WordingError};
use crate::CanonicalError;

/// Why a text for people could not be read back.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// A line that says nothing.
    #[error("line {0} is neither a comment (#) nor `name = value`")]
    Line(usize),
    /// Something is missing.
    #[error("the text does not name {0}")]
    Missing(&'static str),
    /// The result is no text.
    #[error(transparent)]
    Wording(#[from] WordingError),
    /// It has no canonical form.
    #[error("line {0}: the value has no canonical form; write numbers above 2^53 as text")]
    Value(usize),
}

/// The agreement in plain words, and what each actor does under it.
pub fn explain(wording: &Wording) -> String {
    let mut text = String::new();
    let verb = if wording.accept { "Agreement" } else { "Proposal" };
    let _ = writeln!(text, "{verb} in negotiation {}", wording.negotiation);
    if !wording.signers.is_empty() {
        let keys = wording.signers.iter().map(|key| plain(key)).collect::<Vec<_>>().join(", ");
        let _ = writeln!(text, "To be signed by exactly these keys: {keys}");
    }
    for (at, part) in wording.parts.iter().enumerate() {
        let what = match part.resource {
            Resource::Charter => "the charter of group",
            Resource::Statement => "a statement on",
        };
        let _ = writeln!(text, "\nPart {}: {what} {}", at + 1, plain(&part.id));
        match part.on_last_consensus {
            Some(last) => {
                let _ =
                    writeln!(text, "  It follows the consensus {last} and counts only if that is still the last one.");
            }
            None => text.push_str("  It is the first of its kind.\n"),
        }
        text.push_str("  What is agreed:\n");
        for (name, value) in &part.terms {
            let _ = writeln!(text, "    {} = {}", plain(name), plain(&value.to_string()));
        }
        if !part.duties.is_empty() {
            text.push_str("  Who does what:\n");
        }
        for duty in &part.duties {
            let [actor, role, endpoint] = [&duty.actor, &duty.role, &duty.endpoint].map(|text| plain(text));
            let at = if endpoint.is_empty() { String::new() } else { format!(" at {endpoint}") };
            let _ = writeln!(text, "    {actor}{at}: {role}");
            let _ = writeln!(text, "      takes  {}", plain(&duty.inputs));
            let _ = writeln!(text, "      gives  {}", plain(&duty.outputs));
            let _ = writeln!(text, "      bounds {}", plain(&duty.limits));
        }
    }
    text
}

/// A text for an expert: the explanation as comments, then one line per value. [`import`] reads it back to
/// exactly the same text.
pub fn export(wording: &Wording) -> Result<String, CanonicalError> {
    let mut text = String::new();
    for line in explain(wording).lines() {
        let _ = writeln!(text, "# {line}");
    }
    text.push_str("#\n# Lines with # are for reading only. Values are JSON, one to a line.\n");
    // One line per field of the canonical text, so that nothing is lost and nothing is added.
    let value = serde_json::to_value(wording).unwrap_or_default();
    crate::canonical(&value)?;
    let mut lines = Vec::new();
    flatten(&mut Vec::new(), &value, &mut lines);
    for (path, value) in lines {
        let _ = writeln!(text, "{path} = {value}");
    }
    Ok(text)
}

/// Reads a text that [`export`] wrote, edited or not.
pub fn import(text: &str) -> Result<Wording, ImportError> {
    let mut root = serde_json::Value::Null;
    let mut empty = true;
    for (at, line) in text.lines().enumerate() {
        let number = at + 1;
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (path, value) = line.split_once(" = ").ok_or(ImportError::Line(number))?;
        let value: serde_json::Value = serde_json::from_str(value).map_err(|_| ImportError::Line(number))?;
        crate::canonical(&value).map_err(|_| ImportError::Value(number))?;
        place(&mut root, path, value).ok_or(ImportError::Line(number))?;
        empty = false;
    }
    if empty {
        return Err(ImportError::Missing("anything"));
    }
    let wording: Wording = serde_json::from_value(root).map_err(|e| WordingError::Unreadable(e.to_string()))?;
    let canonical = wording.to_text().map_err(|e| WordingError::Unreadable(e.to_string()))?;
    Ok(Wording::read(&canonical)?)
}

/// Objects and lists down to the parts' terms; terms and duties are lines of their own.
fn flatten(path: &mut Vec<String>, value: &serde_json::Value, lines: &mut Vec<(String, String)>) {
    use serde_json::Value::{Array, Object};
    match value {
        // parts/N/terms/NAME and parts/N/duties/N are leaves.
        Object(fields) if !fields.is_empty() && path.len() < 4 => {
            for (name, value) in fields {
                path.push(written(name));
                flatten(path, value, lines);
                path.pop();
            }
        }
        Array(items) if !items.is_empty() && path.len() < 4 => {
            for (at, value) in items.iter().enumerate() {
                path.push(at.to_string());
                flatten(path, value, lines);
                path.pop();
            }
        }
        leaf => lines.push((
            path.join("/"),
            each(&leaf.to_string(), |c, out| match is_plain(c) {
                true => out.push(c),
                // JSON has such characters inside texts only.
                false => {
                    for unit in c.encode_utf16(&mut [0; 2]) {
                        let _ = write!(out, "\\u{unit:04x}");
                    }
                }
            }),
        )),
    }
}

/// A name in a path: what separates names and values, and what acts on a screen, is written out.
fn written(name: &str) -> String {
    each(name, |c, out| match c {
        '~' => out.push_str("~0"),
        '/' => out.push_str("~1"),
        '=' => out.push_str("~3"),
        c if is_plain(c) => out.push(c),
        c => {
            let _ = write!(out, "~u{:x};", u32::from(c));
        }
    })
}

fn each(text: &str, mut put: impl FnMut(char, &mut String)) -> String {
    let mut out = String::with_capacity(text.len());
    text.chars().for_each(|c| put(c, &mut out));
    out
}

/// The name that [`written`] wrote, or that was written before `~3` and `~u`, when ` = ` was `~2`.
fn named(written: &str) -> Option<String> {
    let mut pieces = written.split("~u");
    let plain = |piece: &str| piece.replace("~3", "=").replace("~2", " = ").replace("~1", "/").replace("~0", "~");
    let mut name = plain(pieces.next()?);
    for piece in pieces {
        let (code, rest) = piece.split_once(';')?;
        name.push(char::from_u32(u32::from_str_radix(code, 16).ok()?)?);
        name.push_str(&plain(rest));
    }
    Some(name)
}

/// Puts a value back to where [`flatten`] took it from; none if the place is taken or cannot be.
fn place(root: &mut serde_json::Value, path: &str, value: serde_json::Value) -> Option<()> {
    use serde_json::Value::{Array, Null, Object};
    let names: Vec<String> = path.split('/').map(named).collect::<Option<_>>()?;
    if names.len() > 4 {
        return None;
    }
    let mut at = root;
    for (depth, name) in names.iter().enumerate() {
        // Lists are known by their place: parts, and what has no names inside.
        let list = matches!((depth, names[0].as_str()), (1, "parts" | "signers" | "accepted" | "rejected"))
            || (depth == 3 && names[2] == "duties");
        if at.is_null() {
            *at = if list { Array(Vec::new()) } else { Object(serde_json::Map::new()) };
        }
        at = match at {
            Array(items) => {
                let index: usize = name.parse().ok()?;
                if index == items.len() {
                    items.push(Null);
                }
                items.get_mut(index)?
            }
            Object(fields) => fields.entry(name.clone()).or_insert(Null),
            _ => return None,
        };
    }
    if !at.is_null() {
        return None;
    }
    *at = value;
    Some(())
}
