//! Schemas: runs and their slots.

use super::{Add, list_body, object, one_of, text, whole, whole_or_null};

pub(super) fn runs(add: Add<'_>) {
    add("StartedBody", object(&[("started", whole())], &[]));
    add("RunBody", object(&[("run", whole()), ("state", text()), ("reason", text()), ("next_slot", whole())], &[]));
    add("RunList", list_body("runs", "RunBody"));
    add(
        "SlotBody",
        object(
            &[
                ("slot", whole()),
                ("attempt", whole()),
                ("state", one_of(&["open", "done", "failed"])),
                ("detail", text()),
                ("contributors", whole_or_null()),
            ],
            &[],
        ),
    );
    add("SlotList", list_body("slots", "SlotBody"));
}
