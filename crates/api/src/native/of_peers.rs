//! Operations of the peers that a node hosts, and of their owners.

use tacit_model::api::Role::{Operator, Owner, Viewer};

use super::{evidence, node, peers, policy, receipts, results, rows};
use crate::openapi::{Op, Operations};

pub(super) fn of_peers(operations: Operations) -> Operations {
    operations
        .add(
            Op::get("/announcement", "getAnnouncement", "What this gateway announces of itself, signed; for bootstrap")
                .answer("AnnouncementBody"),
            node::announcement,
        )
        .add(
            Op::post("/peers/{name}/pairing", "pairGateway", "Says that the peer's operator compared its gateway")
                .role(Owner)
                .body("PairingBody")
                .answer("PeerBody"),
            peers::pair,
        )
        .add(
            Op::post("/peers", "joinGroup", "Makes a peer on this node and registers it at a gateway")
                .role(Owner)
                .body("JoinBody")
                .answer("PeerBody")
                .created(),
            peers::join,
        )
        .add(Op::get("/peers", "listPeers", "Peers of this node").role(Viewer).answer("PeerList"), peers::list)
        .add(Op::get("/peers/{name}", "getPeer", "One peer").role(Viewer).answer("PeerBody"), peers::get)
        .add(
            Op::delete("/peers/{name}", "deletePeer", "Stops a peer and forgets everything it held").role(Owner),
            peers::delete,
        )
        .add(
            Op::post("/peers/{name}/start", "startPeer", "Takes part in the group's runs")
                .role(Operator)
                .answer("PeerBody"),
            peers::start,
        )
        .add(
            Op::post("/peers/{name}/stop", "stopPeer", "Takes part no longer").role(Operator).answer("PeerBody"),
            peers::stop,
        )
        .add(
            Op::post("/peers/{name}/rows", "addRows", "Queues input rows, all or none")
                .role(Operator)
                .quiet()
                .body("RowsBody")
                .answer("RowsReceipt"),
            rows::add,
        )
        .add(
            Op::get(
                "/peers/{name}/results",
                "listResults",
                "The last results this peer received, of each run up to 10000 and 4 MiB; more says that there are \
                 others",
            )
            .role(Operator)
            .query(&[
                ("run", "Only of this run"),
                ("task", "Only of the client's task with this id"),
                ("from", "With run or task, those from this slot on instead, counted from 0"),
            ])
            .answer("ResultList"),
            results::list,
        )
        .add(
            Op::get(
                "/peers/{name}/roster",
                "getRoster",
                "Who learns what: the charter this peer accepted, its last job",
            )
            .role(Viewer)
            .answer("RosterBody"),
            peers::roster,
        )
        .add(
            Op::get(
                "/peers/{name}/jobs",
                "listJobs",
                "What this peer was asked to take part in, by whom and with whom, and what became of it; newest first",
            )
            .role(Operator)
            .query(&[("max", "At most so many that were computed, and as many others, up to 100")])
            .answer("JobList"),
            peers::jobs,
        )
        .add(
            Op::get("/peers/{name}/receipts", "listPeerReceipts", "Receipts that this peer verified and keeps")
                .role(Operator)
                .query(&[("max", "At most so many, up to 1000")])
                .answer("ReceiptList"),
            receipts::list_of_peer,
        )
        .add(
            Op::get(
                "/peers/{name}/receipts/{session}",
                "getPeerReceipt",
                "One of them, with the proof that the peer's own data counted or the reason why not",
            )
            .role(Operator)
            .answer("ReceiptBody"),
            receipts::get_of_peer,
        )
        .add(
            Op::get(
                "/peers/{name}/evidence",
                "listEvidence",
                "Sessions in which this peer convicted compute peers of wrong shares, newest first",
            )
            .role(Operator)
            .query(&[("max", "At most so many, up to 1000")])
            .answer("EvidenceList"),
            evidence::list,
        )
        .add(
            Op::get(
                "/peers/{name}/evidence/{session}",
                "getEvidence",
                "What convicts them, before anybody; it shows a part of the session's result",
            )
            .role(Operator)
            .answer("EvidenceBody"),
            evidence::get,
        )
        .add(
            Op::get(
                "/peers/{name}/witness",
                "getWitness",
                "The head of the gateway's log that this peer last co-signed, and what contradicts it",
            )
            .role(Viewer)
            .answer("WitnessBody"),
            peers::witness,
        )
        .add(
            Op::post(
                "/peers/{name}/witness/settlement",
                "settleWitness",
                "Ends a dispute over the gateway's log after its reason was found; both heads stay in this node's \
                 log",
            )
            .role(Owner)
            .body("SettleBody")
            .answer("WitnessBody"),
            peers::settle,
        )
}

pub(super) fn of_owners(operations: Operations) -> Operations {
    operations
        .add(
            Op::get("/peers/{name}/policy", "getPolicy", "What a peer is willing to take part in")
                .role(Viewer)
                .answer("PolicyBody"),
            policy::get,
        )
        .add(
            Op::put("/peers/{name}/policy", "setPolicy", "Sets a peer's policy; rules left out have their defaults")
                .role(Operator)
                .body("PeerPolicy")
                .answer("PolicyBody"),
            policy::set,
        )
        .add(
            Op::delete("/peers/{name}/policy", "resetPolicy", "Goes back to the policy of the node's configuration")
                .role(Operator)
                .answer("PolicyBody"),
            policy::reset,
        )
        .add(
            Op::get("/peers/{name}/approvals", "listApprovals", "Tasks that the owner of a peer is or was asked about")
                .role(Viewer)
                .answer("ApprovalList"),
            policy::approvals,
        )
        .add(
            Op::put("/peers/{name}/approvals/{id}", "decideApproval", "The owner's decision on a task")
                .role(Operator)
                .body("ApprovalDecision")
                .answer("ApprovalBody"),
            policy::decide,
        )
        .add(
            Op::post(
                "/peers/{name}/compare",
                "compareWithAverage",
                "The average of all, for this peer alone. What takes longer than 50 s is unavailable, and the detail \
                 names the task, which goes on",
            )
            .role(Operator)
            .quiet()
            .body("CompareRequest")
            .answer("CompareBody"),
            policy::compare,
        )
}
