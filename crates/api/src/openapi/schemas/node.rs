//! Schemas: the node itself, its log, receipts, tokens and what its receiver page lists.

use serde_json::json;

use super::{Add, is, list, list_body, moment, object, request, text, text_or_null, truth, whole, whole_or_null};

pub(super) fn node(add: Add<'_>) {
    add(
        "NodeBody",
        object(
            &[
                ("name", text()),
                ("software", text()),
                ("fingerprint", is("Fingerprint")),
                ("roles", list(text())),
                ("link_address", text_or_null()),
                ("public_url", text()),
                ("now", moment()),
            ],
            &[],
        ),
    );
    add("LogLine", object(&[("seq", whole()), ("body", text()), ("hash", text())], &[]));
    add("LogPage", object(&[("entries", list(is("LogLine"))), ("next", whole_or_null())], &[]));
    add("LogHead", object(&[("checkpoint", text()), ("size", whole()), ("root", text()), ("key", text())], &[]));
    add("LogProof", object(&[("size", whole()), ("proof", list(text()))], &[]));
    add("SettleBody", object(&[("accept", text()), ("reason", text())], &[]));
    add("WitnessBody", object(&[("log", text()), ("checkpoint", text_or_null()), ("disputed", text_or_null())], &[]));
    add(
        "ReceiptLine",
        object(&[("session", text()), ("group", whole()), ("run", whole()), ("slot", whole()), ("at", moment())], &[]),
    );
    add("ReceiptList", list_body("receipts", "ReceiptLine"));
    add("ReceiptBody", object(&[("receipt", text()), ("contribution", text_or_null())], &[]));
    add(
        "EvidenceLine",
        object(
            &[
                ("session", text()),
                ("group", whole()),
                ("run", whole()),
                ("slot", whole()),
                ("accused", list(is("Fingerprint"))),
                ("at", moment()),
            ],
            &[],
        ),
    );
    add("EvidenceList", list_body("evidence", "EvidenceLine"));
    add("EvidenceBody", object(&[("evidence", text())], &[]));
    add("NewToken", request(&[("role", is("Role")), ("label", text())], &[("tasks", is("TaskScope"))]));
    add(
        "NewCertificate",
        request(
            &[("fingerprint", is("Fingerprint")), ("role", is("Role")), ("label", text())],
            &[("tasks", is("TaskScope"))],
        ),
    );
    add("IssuedToken", object(&[("id", text()), ("role", is("Role")), ("token", text())], &[]));
    add(
        "TokenBody",
        object(
            &[
                ("id", text()),
                ("role", text()),
                ("label", text()),
                ("created", moment()),
                ("revoked", json!({ "type": ["string", "null"], "format": "date-time" })),
                ("certificate", truth()),
            ],
            &[("tasks", is("TaskScope"))],
        ),
    );
    add("TokenList", list_body("tokens", "TokenBody"));
    add("ReceivedBody", object(&[("data", list(text()))], &[("peerName", text_or_null())]));
    add("ReceivedRow", object(&[("id", whole()), ("from", text()), ("when", moment()), ("data", text())], &[]));
    add("ReceivedList", list_body("rows", "ReceivedRow"));
}
