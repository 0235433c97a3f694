//! Schemas: tasks, series, offers, the directory, policies and approvals.

use super::{
    Add, is, list, list_body, moment, number, object, one_of, or_null, request, text, text_map, text_or_null, truth,
    whole,
};

pub(super) fn tasks(add: Add<'_>) {
    let texts = || list(text());
    add(
        "TaskRequest",
        request(
            &[("group", whole()), ("purpose", text()), ("sources", texts()), ("aggregator", text())],
            &[
                ("set", text()),
                ("filter", texts()),
                ("preselector", text()),
                ("align_s", whole()),
                ("parameters", text_map()),
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
        ),
    );
    add(
        "ParentTask",
        request(
            &[("task", is("TaskRequest")), ("ticket", is("TaskSignature")), ("charter", text()), ("window", whole())],
            &[("client", or_null("TaskSignature"))],
        ),
    );
    add("TaskRepeat", request(&[("every_s", whole()), ("times", whole())], &[]));
    add("TaskSignature", request(&[("key", text()), ("signature", text())], &[]));
    add(
        "NewTask",
        request(
            &[("task", is("TaskRequest"))],
            &[("signature", or_null("TaskSignature")), ("notify", text_or_null()), ("wait", truth())],
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
                ("at", moment()),
            ],
            &[("result", is("TaskResult")), ("sealed", texts()), ("timing", is("TaskTiming"))],
        ),
    );
    add("TaskTiming", object(&[("prepare_us", whole()), ("link_us", whole()), ("session_us", whole())], &[]));
    let pinged = [("members", whole()), ("messages", whole()), ("elapsed_us", whole())];
    add("PingBody", object(&pinged, &[("silent", texts())]));
    add(
        "TaskResult",
        object(
            &[
                ("id", text()),
                ("window", whole()),
                ("statistics", list(is("StatisticBody"))),
                ("values", list(is("Decimal"))),
                ("contributors", whole()),
            ],
            &[("no_result", text())],
        ),
    );
    add("TaskList", list_body("tasks", "TaskBody"));
    add(
        "TaskScope",
        request(&[], &[("groups", list(whole())), ("sets", texts()), ("purposes", texts()), ("aggregators", texts())]),
    );
    add("SamplesBody", request(&[("samples", list(is("SampleBody")))], &[]));
    add("SampleBody", request(&[("values", text_map())], &[("at", moment())]));
    add("SamplesReceipt", object(&[("accepted", whole())], &[]));
    add("OfferBody", object(&[("labels", texts()), ("sources", texts())], &[]));
    add("LabelsBody", request(&[("labels", texts())], &[]));
    add(
        "MemberOfferBody",
        object(&[("labels", texts()), ("sources", texts())], &[("name", text()), ("fingerprint", is("Fingerprint"))]),
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
                ("endpoint", text()),
                ("labels", texts()),
                ("sources", texts()),
                ("services", texts()),
                ("sessions", whole()),
            ],
            &[("since", moment())],
        ),
    );
    add("DirectoryList", list_body("members", "DirectoryEntry"));
    add("PolicyBody", object(&[("own", truth()), ("policy", is("PeerPolicy"))], &[("spent", list(is("SpentBody")))]));
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
        ("conditions", truth()),
        ("ranges", texts()),
        ("manual_approval", truth()),
        ("parents", list(is("Fingerprint"))),
        ("branch", texts()),
        ("epsilon_budgets", texts()),
        ("delta_budgets", texts()),
        ("max_samples", whole()),
        ("keep_samples_hours", whole()),
    ];
    add("PeerPolicy", request(&[], &rules));
    add(
        "ApprovalBody",
        object(
            &[
                ("task", text()),
                ("state", one_of(&["waiting", "approved", "refused", "over"])),
                ("request", is("TaskRequest")),
                ("asked", moment()),
            ],
            &[("client", is("Fingerprint")), ("decided", moment())],
        ),
    );
    add("ApprovalList", list_body("approvals", "ApprovalBody"));
    add("ApprovalDecision", request(&[("approved", truth())], &[]));
    add(
        "CompareRequest",
        request(
            &[("source", text()), ("purpose", text())],
            &[
                ("set", text()),
                ("preselector", text()),
                ("decimals", whole()),
                ("least", text()),
                ("most", text()),
                ("min_participants", whole()),
            ],
        ),
    );
    add(
        "CompareBody",
        object(&[("task", text()), ("average", number()), ("contributors", whole())], &[("own", text())]),
    );
    add("OfferList", list_body("offers", "MemberOfferBody"));
}
