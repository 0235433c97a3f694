//! Schemas: groups, their members, configuration and consensus, registration.

use super::{
    Add, is, list, list_body, moment, object, one_of, or_null, request, text, text_map, text_or_null, truth, whole,
};

pub(super) fn groups(add: Add<'_>) {
    add("NewGroup", request(&[("name", text())], &[("sharing", is("SharingKind"))]));
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
            ],
            &[("codes", list(text())), ("forecast", is("ForecastBody")), ("no_forecast", text())],
        ),
    );
    add(
        "ForecastBody",
        object(
            &[
                ("compute_peers", whole()),
                ("rounds", whole()),
                ("input_bytes", whole()),
                ("compute_bytes", whole()),
                ("micros", whole()),
                ("losses_before", whole()),
                ("losses", whole()),
                ("cheaters_noticed", whole()),
                ("cheaters_survived", whole()),
                ("colluding", whole()),
                ("notes", list(text())),
            ],
            &[],
        ),
    );
    add("GroupList", list_body("groups", "GroupBody"));
    add(
        "ConfigurationBody",
        request(
            &[
                ("field", is("Decimal")),
                ("max_element", is("Decimal")),
                ("aggregator", text()),
                ("items", whole()),
                ("time_slots", whole()),
            ],
            &[("result_buffer_size", whole()), ("parameters", text_map())],
        ),
    );
    add(
        "SlotRulesBody",
        request(
            &[("on_missing_input", is("OnMissing")), ("deadline_ms", whole())],
            &[("slot_ms", whole()), ("first_slot", moment())],
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
                ("verified", truth()),
                ("pairing", is("PairingState")),
                ("connected", truth()),
            ],
            &[("comparison_code", text_or_null())],
        ),
    );
    add("MemberList", list_body("members", "MemberBody"));
    add("VerifyBody", request(&[("verified", truth())], &[("fingerprint", or_null("Fingerprint"))]));
    add("ComparedMember", request(&[("name", text()), ("fingerprint", is("Fingerprint"))], &[]));
    add("VerifyManyBody", request(&[("members", list(is("ComparedMember")))], &[]));
    add(
        "PairingBody",
        request(
            &[("decision", one_of(&["approve", "reject", "revoke"]))],
            &[("fingerprint", or_null("Fingerprint")), ("comparison_code", text_or_null()), ("reason", text())],
        ),
    );
    add("CodeBody", object(&[("gid", whole()), ("code", text())], &[]));
    add("ConsensusBody", object(&[("documents", list(text()))], &[("next", whole())]));
    add(
        "RegisterBody",
        request(
            &[],
            &[
                ("fingerprint", or_null("Fingerprint")),
                ("endpoint", text()),
                ("operator", text()),
                ("public_key", text_or_null()),
                ("label_key", text_or_null()),
                ("proof", text_or_null()),
                ("gateway", or_null("Fingerprint")),
            ],
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
            ],
            &[("gateway", is("GatewayPin"))],
        ),
    );
    add(
        "GatewayPin",
        object(&[("fingerprint", is("Fingerprint")), ("endpoints", list(text())), ("manager_key", text())], &[]),
    );
}
