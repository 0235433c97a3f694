//! Schemas: joining, rows, results and the roster as one peer sees them.

use serde_json::json;

use super::{Add, is, list, moment, object, or_null, request, text, text_or_null, truth, whole};

pub(super) fn peers(add: Add<'_>) {
    add(
        "JoinBody",
        request(
            &[
                ("name", text()),
                ("role", is("PeerRole")),
                ("gateway_url", text()),
                ("gateway_fingerprint", or_null("Fingerprint")),
                ("registration_code", text()),
                ("operator", text_or_null()),
                ("final_results_url", text_or_null()),
                ("label_key", text_or_null()),
                ("key", or_null("Fingerprint")),
            ],
            &["gateway_fingerprint", "operator", "final_results_url", "label_key", "key"],
        ),
    );
    add(
        "PeerBody",
        object(
            &[
                ("name", text()),
                ("role", is("PeerRole")),
                ("gid", json!({ "type": ["integer", "null"] })),
                ("fingerprint", or_null("Fingerprint")),
                ("gateway_url", text()),
                ("gateway_fingerprint", or_null("Fingerprint")),
                ("comparison_code", text_or_null()),
                ("gateway_compared", truth()),
                ("final_results_url", text_or_null()),
                ("label_key", text_or_null()),
                ("pairing", is("PairingState")),
                ("status", is("Standing")),
                ("connected", truth()),
                ("run", json!({ "type": ["integer", "null"] })),
                ("queued", whole()),
                ("last_error", text_or_null()),
            ],
            &[],
        ),
    );
    add("PeerList", object(&[("peers", list(is("PeerBody")))], &[]));
    add("RowsBody", request(&[("rows", list(is("RowBody")))], &[]));
    add("RowBody", request(&[("slot_start", moment()), ("values", list(is("Decimal")))], &["slot_start"]));
    add("RowsReceipt", object(&[("accepted", whole()), ("next_slot", json!({ "type": ["integer", "null"] }))], &[]));
    add(
        "ResultBody",
        object(
            &[
                ("run", whole()),
                ("slot", whole()),
                ("values", list(is("Decimal"))),
                ("statistics", list(is("StatisticBody"))),
                ("no_result", text()),
                ("contributors", whole()),
                ("at", moment()),
            ],
            &["statistics", "no_result"],
        ),
    );
    add("StatisticBody", object(&[("name", text()), ("value", json!({ "type": "number" }))], &[]));
    add("ResultList", object(&[("results", list(is("ResultBody")))], &[]));
    add(
        "RosterBody",
        object(
            &[
                ("consensus", text_or_null()),
                ("document", text_or_null()),
                ("threshold", json!({ "type": ["integer", "null"] })),
                ("members", list(is("RosterMember"))),
                ("last_job", text_or_null()),
            ],
            &[],
        ),
    );
    add(
        "RosterMember",
        object(
            &[
                ("name", text()),
                ("fingerprint", is("Fingerprint")),
                ("operator", text()),
                ("role", is("PeerRole")),
                ("endpoint", text()),
            ],
            &[],
        ),
    );
}
