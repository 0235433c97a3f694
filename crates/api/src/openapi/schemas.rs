//! The schemas of the texts in `tacit_model::api`. A test compares them with the types field by field.

use serde_json::{Map, Value, json};

/// All schemas by name.
pub(super) fn all() -> Value {
    let mut schemas = Map::new();
    let mut add = |name: &str, schema: Value| {
        schemas.insert(name.to_owned(), schema);
    };
    basics(&mut add);
    groups(&mut add);
    negotiations(&mut add);
    runs(&mut add);
    peers(&mut add);
    tasks(&mut add);
    node(&mut add);
    Value::Object(schemas)
}

type Add<'a> = &'a mut dyn FnMut(&str, Value);

fn object(fields: &[(&str, Value)], optional: &[&str]) -> Value {
    let properties: Map<String, Value> =
        fields.iter().map(|(name, schema)| ((*name).to_owned(), schema.clone())).collect();
    let required: Vec<&str> = fields.iter().map(|(name, _)| *name).filter(|name| !optional.contains(name)).collect();
    json!({ "type": "object", "properties": properties, "required": required })
}

/// The body of a request: nothing but these fields.
fn request(fields: &[(&str, Value)], optional: &[&str]) -> Value {
    let mut schema = object(fields, optional);
    schema["additionalProperties"] = json!(false);
    schema
}

fn is(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

fn or_null(name: &str) -> Value {
    json!({ "oneOf": [is(name), { "type": "null" }] })
}

fn list(items: Value) -> Value {
    json!({ "type": "array", "items": items })
}

fn text() -> Value {
    json!({ "type": "string" })
}

fn text_or_null() -> Value {
    json!({ "type": ["string", "null"] })
}

fn whole() -> Value {
    json!({ "type": "integer" })
}

fn whole_or_null() -> Value {
    json!({ "type": ["integer", "null"] })
}

fn truth() -> Value {
    json!({ "type": "boolean" })
}

fn moment() -> Value {
    json!({ "type": "string", "format": "date-time" })
}

fn one_of(words: &[&str]) -> Value {
    json!({ "type": "string", "enum": words })
}

fn basics(add: Add<'_>) {
    add(
        "Decimal",
        json!({
            "description": "A whole number: read as text or number, written as text",
            "oneOf": [{ "type": "string", "pattern": "^[0-9]+$" }, { "type": "integer", "minimum": 0 }],
        }),
    );
    add("Fingerprint", json!({ "type": "string", "pattern": "^[0-9a-f]{64}$" }));
    add("AnnouncementBody", json!({ "type": "object", "additionalProperties": text() }));
    add("PairingState", one_of(&["waiting", "registered", "rejected", "revoked"]));
    add("Role", one_of(&["viewer", "operator", "owner"]));
    add("PeerRole", one_of(&["input", "privacy", "both", "recipient"]));
    add("Standing", one_of(&["unknown", "running", "stopped", "stopped_with_error", "mixed"]));
    add("SharingKind", one_of(&["shamir", "additive"]));
    add(
        "OnMissing",
        json!({ "oneOf": [
            one_of(&["wait", "fail"]),
            { "type": "object", "properties": { "proceed": { "type": "integer", "minimum": 0 } }, "required": ["proceed"] },
        ] }),
    );
    add(
        "Problem",
        object(&[("type", text()), ("kind", text()), ("title", text()), ("status", whole()), ("detail", text())], &[]),
    );
}

fn groups(add: Add<'_>) {
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

fn runs(add: Add<'_>) {
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

fn negotiations(add: Add<'_>) {
    add(
        "OpenNegotiation",
        request(
            &[
                ("opener", text()),
                ("gateway", is("Fingerprint")),
                ("title", text()),
                ("group", whole_or_null()),
                ("expires", whole()),
                ("invited", list(text())),
                ("nonce", text()),
                ("signature", text()),
            ],
            &["group", "invited"],
        ),
    );
    add(
        "NegotiationAct",
        request(
            &[
                ("signer", text()),
                ("turn", whole()),
                ("act", one_of(&["contribute", "withdraw", "invite_key", "invite_secret", "cancel"])),
                ("text", text()),
                ("invitation", text()),
                ("key", text()),
                ("decision", text()),
                ("signature", text()),
            ],
            &["text", "invitation", "key", "decision"],
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
            &[],
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
    add("ContributionList", object(&[("contributions", list(is("ContributionBody")))], &[]));
    add("NegotiationList", object(&[("negotiations", list(is("NegotiationBody")))], &[]));
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

fn peers(add: Add<'_>) {
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
            ],
            &["gateway_fingerprint", "operator", "final_results_url", "label_key"],
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

fn tasks(add: Add<'_>) {
    let texts = || list(text());
    let map = || json!({ "type": "object", "additionalProperties": text() });
    add(
        "TaskRequest",
        request(
            &[
                ("group", whole()),
                ("set", text()),
                ("purpose", text()),
                ("sources", texts()),
                ("filter", texts()),
                ("preselector", text()),
                ("aggregator", text()),
                ("parameters", map()),
                ("decimals", whole()),
                ("least", text()),
                ("most", text()),
                ("model", text()),
                ("recipients", list(is("Fingerprint"))),
                ("result_key", text_or_null()),
                ("tell_gateway", truth()),
                ("min_participants", whole()),
                ("approval_s", whole()),
                ("issued", text()),
                ("nonce", text()),
                ("repeat", or_null("TaskRepeat")),
            ],
            &[
                "set",
                "filter",
                "preselector",
                "parameters",
                "decimals",
                "least",
                "most",
                "model",
                "recipients",
                "result_key",
                "tell_gateway",
                "min_participants",
                "approval_s",
                "issued",
                "nonce",
                "repeat",
            ],
        ),
    );
    add("TaskRepeat", request(&[("every_s", whole()), ("times", whole())], &[]));
    add("TaskSignature", request(&[("key", text()), ("signature", text())], &[]));
    add(
        "NewTask",
        request(
            &[
                ("task", is("TaskRequest")),
                ("signature", or_null("TaskSignature")),
                ("notify", text_or_null()),
                ("wait", truth()),
            ],
            &["signature", "notify", "wait"],
        ),
    );
    add(
        "TaskBody",
        object(
            &[
                ("id", text()),
                ("task", is("TaskRequest")),
                ("state", one_of(&["open", "done", "failed", "cancelled"])),
                ("detail", text()),
                ("created", moment()),
                ("windows", list(is("TaskWindow"))),
            ],
            &[],
        ),
    );
    add(
        "TaskWindow",
        object(
            &[
                ("window", whole()),
                ("state", one_of(&["done", "failed"])),
                ("detail", text()),
                ("contributors", whole()),
                ("agreement", text()),
                ("result", is("TaskResult")),
                ("sealed", texts()),
                ("timing", is("TaskTiming")),
                ("at", moment()),
            ],
            &["result", "sealed", "timing"],
        ),
    );
    add("TaskTiming", object(&[("prepare_us", whole()), ("link_us", whole()), ("session_us", whole())], &[]));
    add("PingBody", object(&[("members", whole()), ("messages", whole()), ("elapsed_us", whole())], &[]));
    add(
        "TaskResult",
        object(
            &[
                ("id", text()),
                ("window", whole()),
                ("statistics", list(is("StatisticBody"))),
                ("no_result", text()),
                ("values", list(is("Decimal"))),
                ("contributors", whole()),
            ],
            &["no_result"],
        ),
    );
    add("TaskList", object(&[("tasks", list(is("TaskBody")))], &[]));
    add(
        "TaskScope",
        request(
            &[("groups", list(whole())), ("sets", texts()), ("purposes", texts()), ("aggregators", texts())],
            &["groups", "sets", "purposes", "aggregators"],
        ),
    );
    add("SamplesBody", request(&[("samples", list(is("SampleBody")))], &[]));
    add("SampleBody", request(&[("at", moment()), ("values", map())], &["at"]));
    add("SamplesReceipt", object(&[("accepted", whole())], &[]));
    add("OfferBody", object(&[("labels", texts()), ("sources", texts())], &[]));
    add("LabelsBody", request(&[("labels", texts())], &[]));
    add(
        "MemberOfferBody",
        object(&[("name", text()), ("fingerprint", is("Fingerprint")), ("labels", texts()), ("sources", texts())], &[]),
    );
    add(
        "DirectoryEntry",
        object(
            &[
                ("name", text()),
                ("fingerprint", is("Fingerprint")),
                ("role", is("PeerRole")),
                ("operator", text()),
                ("available", truth()),
                ("since", moment()),
                ("endpoint", text()),
                ("labels", texts()),
                ("sources", texts()),
                ("services", texts()),
                ("sessions", whole()),
            ],
            &["since"],
        ),
    );
    add("DirectoryList", object(&[("members", list(is("DirectoryEntry")))], &[]));
    add("PolicyBody", object(&[("own", truth()), ("policy", is("PeerPolicy"))], &[]));
    let rules = [
        ("min_computing", whole()),
        ("min_inputs", whole()),
        ("aggregators", texts()),
        ("models", texts()),
        ("verified_only", truth()),
        ("verified", list(is("Fingerprint"))),
        ("tasks", truth()),
        ("purposes", texts()),
        ("sources", texts()),
        ("clients", list(is("Fingerprint"))),
        ("tell_gateway", truth()),
        ("min_participants", whole()),
        ("min_operators", whole()),
        ("tasks_per_minute", whole()),
        ("tasks_per_day", whole()),
        ("disjoint_windows", truth()),
        ("manual_approval", truth()),
        ("max_samples", whole()),
        ("keep_samples_hours", whole()),
    ];
    let optional: Vec<&str> = rules.iter().map(|(name, _)| *name).collect();
    add("PeerPolicy", request(&rules, &optional));
    add(
        "ApprovalBody",
        object(
            &[
                ("task", text()),
                ("state", one_of(&["waiting", "approved", "refused"])),
                ("request", is("TaskRequest")),
                ("client", is("Fingerprint")),
                ("asked", moment()),
                ("decided", moment()),
            ],
            &["client", "decided"],
        ),
    );
    add("ApprovalList", object(&[("approvals", list(is("ApprovalBody")))], &[]));
    add("ApprovalDecision", request(&[("approved", truth())], &[]));
    add(
        "CompareRequest",
        request(
            &[
                ("source", text()),
                ("set", text()),
                ("purpose", text()),
                ("preselector", text()),
                ("decimals", whole()),
                ("least", text()),
                ("most", text()),
                ("min_participants", whole()),
            ],
            &["set", "preselector", "decimals", "least", "most", "min_participants"],
        ),
    );
    add(
        "CompareBody",
        object(
            &[("task", text()), ("average", json!({ "type": "number" })), ("own", text()), ("contributors", whole())],
            &["own"],
        ),
    );
    add("OfferList", object(&[("offers", list(is("MemberOfferBody")))], &[]));
}

fn node(add: Add<'_>) {
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
    add("LogPage", object(&[("entries", list(is("LogLine"))), ("next", json!({ "type": ["integer", "null"] }))], &[]));
    add("LogHead", object(&[("checkpoint", text()), ("size", whole()), ("root", text()), ("key", text())], &[]));
    add("LogProof", object(&[("size", whole()), ("proof", list(text()))], &[]));
    add("SettleBody", object(&[("accept", text()), ("reason", text())], &[]));
    add("WitnessBody", object(&[("log", text()), ("checkpoint", text_or_null()), ("disputed", text_or_null())], &[]));
    add(
        "ReceiptLine",
        object(&[("session", text()), ("group", whole()), ("run", whole()), ("slot", whole()), ("at", moment())], &[]),
    );
    add("ReceiptList", object(&[("receipts", list(is("ReceiptLine")))], &[]));
    add("ReceiptBody", object(&[("receipt", text()), ("contribution", text_or_null())], &[]));
    add("NewToken", request(&[("role", is("Role")), ("label", text()), ("tasks", is("TaskScope"))], &["tasks"]));
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
            ],
            &[],
        ),
    );
    add("TokenList", object(&[("tokens", list(is("TokenBody")))], &[]));
    add("ReceivedBody", object(&[("data", list(text())), ("peerName", text_or_null())], &["peerName"]));
    add("ReceivedRow", object(&[("id", whole()), ("from", text()), ("when", moment()), ("data", text())], &[]));
    add("ReceivedList", object(&[("rows", list(is("ReceivedRow")))], &[]));
}
