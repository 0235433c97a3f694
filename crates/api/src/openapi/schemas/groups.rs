//! Schemas: groups, their members, configuration and consensus, registration.

use serde_json::json;

use super::{Add, is, list, moment, object, one_of, or_null, request, text, text_or_null, truth, whole};

pub(super) fn groups(add: Add<'_>) {
    add("NewGroup", request(&[("name", text()), ("sharing", is("SharingKind"))], &["sharing"]));
    add(
        "GroupBody",
        object(
            &[
                ("gid", whole()),
                ("name", text()),
                ("status", is("Standing")),
                ("consensus", text()),
                ("threshold", whole()),
                ("sharing", is("SharingKind")),
                ("owners", list(text())),
                ("test_mode", truth()),
                ("configuration", or_null("ConfigurationBody")),
                ("slots", is("SlotRulesBody")),
                ("members", list(is("MemberBody"))),
                ("codes", list(text())),
            ],
            &["codes"],
        ),
    );
    add("GroupList", object(&[("groups", list(is("GroupBody")))], &[]));
    add(
        "ConfigurationBody",
        request(
            &[
                ("field", is("Decimal")),
                ("max_element", is("Decimal")),
                ("aggregator", text()),
                ("items", whole()),
                ("time_slots", whole()),
                ("result_buffer_size", whole()),
                ("parameters", json!({ "type": "object", "additionalProperties": text() })),
            ],
            &["result_buffer_size", "parameters"],
        ),
    );
    add(
        "SlotRulesBody",
        request(
            &[
                ("on_missing_input", is("OnMissing")),
                ("deadline_ms", whole()),
                ("slot_ms", whole()),
                ("first_slot", moment()),
            ],
            &["slot_ms", "first_slot"],
        ),
    );
    add(
        "MemberBody",
        object(
            &[
                ("gid", whole()),
                ("pid", whole()),
                ("name", text()),
                ("role", is("PeerRole")),
                ("url", text()),
                ("operator", text()),
                ("label_key", text_or_null()),
                ("fingerprint", or_null("Fingerprint")),
                ("status", is("Standing")),
                ("comparison_code", text_or_null()),
                ("verified", truth()),
                ("pairing", is("PairingState")),
                ("connected", truth()),
            ],
            &["comparison_code"],
        ),
    );
    add("MemberList", object(&[("members", list(is("MemberBody")))], &[]));
    add("VerifyBody", request(&[("verified", truth()), ("fingerprint", or_null("Fingerprint"))], &["fingerprint"]));
    add("ComparedMember", request(&[("name", text()), ("fingerprint", is("Fingerprint"))], &[]));
    add("VerifyManyBody", request(&[("members", list(is("ComparedMember")))], &[]));
    add(
        "PairingBody",
        request(
            &[
                ("decision", one_of(&["approve", "reject", "revoke"])),
                ("fingerprint", or_null("Fingerprint")),
                ("comparison_code", text_or_null()),
                ("reason", text()),
            ],
            &["fingerprint", "comparison_code", "reason"],
        ),
    );
    add("CodeBody", object(&[("gid", whole()), ("code", text())], &[]));
    add("ConsensusBody", object(&[("documents", list(text()))], &[]));
    add(
        "RegisterBody",
        request(
            &[
                ("fingerprint", or_null("Fingerprint")),
                ("endpoint", text()),
                ("operator", text()),
                ("public_key", text_or_null()),
                ("label_key", text_or_null()),
                ("proof", text_or_null()),
                ("gateway", or_null("Fingerprint")),
            ],
            &["fingerprint", "endpoint", "operator", "public_key", "label_key", "proof", "gateway"],
        ),
    );
    add(
        "RegisterReceipt",
        object(
            &[
                ("gid", whole()),
                ("lastStatus", whole()),
                ("peerName", text()),
                ("peerType", whole()),
                ("publicKey", text_or_null()),
                ("url", text()),
                ("gateway", is("GatewayPin")),
            ],
            &["gateway"],
        ),
    );
    add(
        "GatewayPin",
        object(&[("fingerprint", is("Fingerprint")), ("endpoints", list(text())), ("manager_key", text())], &[]),
    );
}
