//! `/api/v1`: every operation, who may call it, and what it reads and writes.

mod evidence;
mod groups;
mod log;
mod members;
mod negotiations;
mod node;
mod of_gateway;
mod of_peers;
mod peers;
mod policy;
mod receipts;
mod receiver;
mod results;
mod rows;
mod runs;
mod series;
mod tasks;
mod tokens;

pub(crate) use groups::group_body;
pub(crate) use members::{member_role, peer_info, peer_role, register_with, standing};
pub(crate) use receiver::{Posted, keep, received};

use tacit_model::api::Role::{Operator, Owner, Viewer};

use crate::edge::App;
use crate::openapi::{Op, Operations};

/// What needs no token is short, in bytes: keys, names, signatures. Results that are posted are not.
pub(crate) const SHORT: usize = 64 << 10;

/// All operations with their handlers, ready to be served.
pub(crate) fn operations(app: &App) -> Operations {
    fill(Operations::new(Some(app)))
}

/// The OpenAPI 3.1 document of `/api/v1`, as kept in `docs/openapi.json`.
pub fn openapi_document() -> String {
    let document = fill(Operations::new(None)).document();
    // Made of maps with text keys only: it always has a text form.
    serde_json::to_string_pretty(&document).unwrap_or_default() + "\n"
}

fn fill(operations: Operations) -> Operations {
    let operations = operations.add(
        Op::get("/node", "getNode", "The node: name, certificate, roles, clock").role(Viewer).answer("NodeBody"),
        node::get,
    );
    let operations = of_gateway::of_groups(operations);
    let operations = of_gateway::of_negotiations(operations);
    let operations = of_gateway::of_members(operations);
    let operations = of_peers::of_peers(operations);
    let operations = of_gateway::of_tasks(operations);
    let operations = of_peers::of_owners(operations);
    of_the_node(operations)
}

fn of_the_node(operations: Operations) -> Operations {
    operations
        .add(
            Op::post("/receiver/results", "receiveResults", "Takes result rows; the same Idempotency-Key counts once")
                .body("ReceivedBody"),
            receiver::receive,
        )
        .add(
            Op::get("/receiver/results", "listReceived", "Rows that were posted to the receiver")
                .role(Operator)
                .query(&[("from", "Leave out so many rows from the front"), ("max", "At most so many, up to 10000")])
                .answer("ReceivedList"),
            receiver::list,
        )
        .add(
            Op::get("/log", "readLog", "The append-only log, oldest first")
                .role(Viewer)
                .query(&[("from", "First entry, counted from 1"), ("max", "At most so many, up to 1000")])
                .answer("LogPage"),
            log::page,
        )
        .add(
            Op::get("/log/checkpoint", "getCheckpoint", "The signed head of the log (C2SP tlog-checkpoint)")
                .role(Viewer)
                .answer("LogHead"),
            log::checkpoint,
        )
        .add(
            Op::get("/log/inclusion", "proveInclusion", "That an entry is in the log (RFC 9162, section 2.1.3)")
                .role(Viewer)
                .query(&[("entry", "Its number, from 1"), ("size", "The log of so many entries; without it today's")])
                .answer("LogProof"),
            log::inclusion,
        )
        .add(
            Op::get("/log/consistency", "proveConsistency", "That the log only grew (RFC 9162, section 2.1.4)")
                .role(Viewer)
                .query(&[("from", "The log of so many entries"), ("size", "is the beginning of this one; or today's")])
                .answer("LogProof"),
            log::consistency,
        )
        .add(
            Op::get("/log/export", "exportLog", "The whole log as one file that is verified offline")
                .role(Viewer)
                .stream("application/jsonl"),
            log::export,
        )
        .add(
            Op::get("/receipts", "listReceipts", "Receipts of results, newest first")
                .role(Viewer)
                .query(&[("max", "At most so many, up to 1000")])
                .answer("ReceiptList"),
            receipts::list,
        )
        .add(
            Op::get("/receipts/{session}", "getReceipt", "The receipt of a session (docs/receipt-spec.md)")
                .role(Viewer)
                .answer("ReceiptBody"),
            receipts::get,
        )
        .add(
            Op::post("/tokens", "issueToken", "Issues a token; its text is shown this once")
                .role(Owner)
                .body("NewToken")
                .answer("IssuedToken")
                .created(),
            tokens::issue,
        )
        .add(
            Op::get("/tokens", "listTokens", "All tokens, without their texts, and admitted certificates")
                .role(Owner)
                .answer("TokenList"),
            tokens::list,
        )
        .add(
            Op::delete("/tokens/{id}", "revokeToken", "Revokes a token or a client's certificate").role(Owner),
            tokens::revoke,
        )
        .add(
            Op::post(
                "/certificates",
                "admitCertificate",
                "Admits a client's certificate: shown over https it is a token",
            )
            .role(Owner)
            .body("NewCertificate")
            .answer("TokenBody")
            .created(),
            tokens::admit,
        )
}
