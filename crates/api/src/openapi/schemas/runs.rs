//! Schemas: runs and their slots.

use serde_json::json;

use super::{Add, is, list, object, one_of, text, whole};

pub(super) fn runs(add: Add<'_>) {
    add("StartedBody", object(&[("started", whole())], &[]));
    add("RunBody", object(&[("run", whole()), ("state", text()), ("reason", text()), ("next_slot", whole())], &[]));
    add("RunList", object(&[("runs", list(is("RunBody")))], &[]));
    add(
        "SlotBody",
        object(
            &[
                ("slot", whole()),
                ("attempt", whole()),
                ("state", one_of(&["open", "done", "failed"])),
                ("detail", text()),
                ("contributors", json!({ "type": ["integer", "null"] })),
            ],
            &[],
        ),
    );
    add("SlotList", object(&[("slots", list(is("SlotBody")))], &[]));
}
