//! Schemas: negotiations and the registry they govern.

use serde_json::json;

use super::{
    Add, is, list, list_body, object, one_of, or_null, request, text, text_or_null, truth, whole, whole_or_null,
};

pub(super) fn negotiations(add: Add<'_>) {
    add(
        "OpenNegotiation",
        request(
            &[
                ("opener", text()),
                ("gateway", is("Fingerprint")),
                ("title", text()),
                ("expires", whole()),
                ("nonce", text()),
                ("signature", text()),
            ],
            &[("group", whole_or_null()), ("invited", list(text()))],
        ),
    );
    add(
        "NegotiationAct",
        request(
            &[
                ("signer", text()),
                ("turn", whole()),
                ("act", one_of(&["contribute", "withdraw", "invite_key", "invite_secret", "cancel"])),
                ("signature", text()),
            ],
            &[("text", text()), ("invitation", text()), ("key", text()), ("decision", text())],
        ),
    );
    add(
        "NegotiationBody",
        object(
            &[
                ("id", text()),
                ("title", text()),
                ("group", whole_or_null()),
                ("status", one_of(&["open", "done", "expired", "cancelled"])),
                ("opener", text()),
                ("opened", whole()),
                ("expires", whole()),
                ("deciders", list(text())),
                ("quorum", whole()),
                ("round", whole()),
                ("contributions", list(is("ContributionBody"))),
                ("pending", list(text())),
                ("open_invitations", whole()),
                ("turns", json!({ "type": "object", "additionalProperties": { "type": "integer" } })),
                ("consensus", text_or_null()),
                ("agreement", text_or_null()),
                ("decided", text_or_null()),
                ("outcome", text_or_null()),
            ],
            &[("cut", truth())],
        ),
    );
    add(
        "ContributionBody",
        object(
            &[
                ("number", whole()),
                ("at", whole()),
                ("signer", text()),
                ("text", text()),
                ("accepts", truth()),
                ("live", truth()),
                ("turn", whole()),
                ("signature", text()),
            ],
            &[],
        ),
    );
    add("ContributionList", list_body("contributions", "ContributionBody"));
    add("NegotiationList", list_body("negotiations", "NegotiationBody"));
    add("HistoryRequest", request(&[("signer", text()), ("at", whole()), ("signature", text())], &[]));
    add("ManagerAccept", request(&[("contribution", whole())], &[]));
    add(
        "RegistryBody",
        object(
            &[
                ("gid", whole()),
                ("gateway", is("Fingerprint")),
                ("manager_key", text()),
                ("consensus", text()),
                ("owners", list(text())),
                ("joint_id", or_null("Fingerprint")),
                ("parties", list(is("RegistryEntry"))),
                ("candidates", list(is("CandidateBody"))),
                ("documents", list(text())),
            ],
            &[],
        ),
    );
    add(
        "RegistryEntry",
        object(
            &[
                ("name", text()),
                ("fingerprint", is("Fingerprint")),
                ("operator", text()),
                ("role", is("PeerRole")),
                ("layer", whole()),
                ("endpoint", text()),
                ("admitted_by", text()),
            ],
            &[],
        ),
    );
    add(
        "CandidateBody",
        object(
            &[
                ("name", text()),
                ("fingerprint", or_null("Fingerprint")),
                ("operator", text()),
                ("role", is("PeerRole")),
                ("endpoint", text()),
            ],
            &[],
        ),
    );
}
