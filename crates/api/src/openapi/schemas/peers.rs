//! Schemas: joining, rows, results and the roster as one peer sees them.

use super::{
    Add, is, list, list_body, moment, number, object, one_of, or_null, request, text, text_map, text_or_null, truth,
    whole, whole_or_null,
};

pub(super) fn peers(add: Add<'_>) {
    add(
        "JoinBody",
        request(
            &[("name", text()), ("role", is("PeerRole")), ("gateway_url", text()), ("registration_code", text())],
            &[
                ("gateway_fingerprint", or_null("Fingerprint")),
                ("operator", text_or_null()),
                ("final_results_url", text_or_null()),
                ("label_key", text_or_null()),
                ("key", or_null("Fingerprint")),
            ],
        ),
    );
    add(
        "PeerBody",
        object(
            &[
                ("name", text()),
                ("role", is("PeerRole")),
                ("gid", whole_or_null()),
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
                ("run", whole_or_null()),
                ("queued", whole()),
                ("last_error", text_or_null()),
            ],
            &[("last_error_at", moment()), ("earlier_errors", list(is("TroubleBody")))],
        ),
    );
    add("TroubleBody", object(&[("at", moment()), ("what", text())], &[]));
    add("PeerList", list_body("peers", "PeerBody"));
    add("RowsBody", request(&[("rows", list(is("RowBody")))], &[]));
    add("RowBody", request(&[("values", list(is("Decimal")))], &[("slot_start", moment())]));
    add("RowsReceipt", object(&[("accepted", whole()), ("next_slot", whole_or_null())], &[]));
    add(
        "ResultBody",
        object(
            &[
                ("run", whole()),
                ("slot", whole()),
                ("values", list(is("Decimal"))),
                ("contributors", whole()),
                ("at", moment()),
            ],
            &[("task", text()), ("statistics", list(is("StatisticBody"))), ("no_result", text())],
        ),
    );
    add("StatisticBody", object(&[("name", text()), ("value", number())], &[]));
    add("ResultList", object(&[("results", list(is("ResultBody"))), ("more", truth())], &[]));
    add(
        "RosterBody",
        object(
            &[
                ("consensus", text_or_null()),
                ("document", text_or_null()),
                ("threshold", whole_or_null()),
                ("members", list(is("RosterMember"))),
                ("last_job", text_or_null()),
            ],
            &[],
        ),
    );
    jobs(add);
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

fn jobs(add: Add<'_>) {
    let states = ["asked", "computing", "declined", "done", "failed", "given_up", "interrupted"];
    add(
        "JobBody",
        object(
            &[
                ("number", whole()),
                ("state", one_of(&states)),
                ("detail", text()),
                ("asked", moment()),
                ("gateway", is("Fingerprint")),
                ("group", whole()),
                ("consensus", text()),
                ("session", text()),
                ("run", whole()),
                ("slot", whole()),
                ("attempt", whole()),
                ("purpose", text()),
                ("sources", list(text())),
                ("aggregator", text()),
                ("parameters", text_map()),
                ("model", text()),
                ("participants", list(is("JobParticipant"))),
                ("opened", text()),
                ("told", text()),
            ],
            &[
                ("ended", moment()),
                ("task", text()),
                ("client", is("Fingerprint")),
                ("request", is("TaskRequest")),
                ("signatures", is("JobSignatures")),
                ("window", is("JobWindow")),
                ("threshold", whole()),
                ("participants_left_out", whole()),
            ],
        ),
    );
    add(
        "JobSignatures",
        object(&[("gateway", is("TaskSignature")), ("hold", truth())], &[("client", is("TaskSignature"))]),
    );
    add("JobWindow", object(&[("from", moment())], &[("to", moment())]));
    add(
        "JobParticipant",
        object(
            &[("fingerprint", is("Fingerprint")), ("gives", truth()), ("computes", truth()), ("learns", truth())],
            &[("name", text()), ("operator", text())],
        ),
    );
    add("JobList", list_body("jobs", "JobBody"));
}
