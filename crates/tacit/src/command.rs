//! Commands that talk to a node.

pub(crate) mod backup;
pub(crate) mod group;
pub(crate) mod init;
pub(crate) mod join;
pub(crate) mod key;
pub(crate) mod log;
pub(crate) mod negotiation;
pub(crate) mod pair;
pub(crate) mod peer;
pub(crate) mod policy;
pub(crate) mod receipt;
pub(crate) mod source;
pub(crate) mod task;
pub(crate) mod token;

use serde::Serialize;

use crate::output::Failure;

/// A line for whoever reads, which may be a `head` that has read enough: then the command has done its work.
fn line(text: &str) -> Result<(), Failure> {
    match crate::output::line(text) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => std::process::exit(0),
        written => Ok(written?),
    }
}

/// Prints a value as JSON, or what the closure makes of it for people.
pub(crate) fn print<T: Serialize>(json: bool, value: &T, people: impl FnOnce(&T) -> String) -> Result<(), Failure> {
    if json {
        line(&serde_json::to_string(value)?)?;
    } else {
        let text = people(value);
        if !text.is_empty() {
            line(&text)?;
        }
    }
    Ok(())
}
