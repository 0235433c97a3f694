//! Schemas: tasks, series, offers, the directory, policies and approvals.

use serde_json::json;

use super::{Add, is, list, moment, object, one_of, or_null, request, text, text_or_null, truth, whole};

pub(super) fn tasks(add: Add<'_>) {
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
                ("align_s", whole()),
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
                ("branches", whole()),
                ("parent", or_null("ParentTask")),
                ("approval_s", whole()),
                ("issued", text()),
                ("nonce", text()),
                ("repeat", or_null("TaskRepeat")),
            ],
            &[
                "set",
                "filter",
                "preselector",
                "align_s",
                "parameters",
                "decimals",
                "least",
                "most",
                "model",
                "recipients",
                "result_key",
                "tell_gateway",
                "min_participants",
                "branches",
                "parent",
                "approval_s",
                "issued",
                "nonce",
                "repeat",
            ],
        ),
    );
    add(
        "ParentTask",
        request(
            &[
                ("task", is("TaskRequest")),
                ("client", or_null("TaskSignature")),
                ("ticket", is("TaskSignature")),
                ("charter", text()),
                ("window", whole()),
            ],
            &["client"],
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
    add(
        "PolicyBody",
        object(&[("own", truth()), ("policy", is("PeerPolicy")), ("spent", list(is("SpentBody")))], &["spent"]),
    );
    add("SpentBody", object(&[("source", text()), ("epsilon", text()), ("delta", text()), ("results", whole())], &[]));
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
        ("parents", list(is("Fingerprint"))),
        ("branch", list(text())),
        ("epsilon_budgets", texts()),
        ("delta_budgets", texts()),
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
