//! `/api/v1`: every operation, who may call it, and what it reads and writes.

mod evidence;
mod groups;
mod log;
mod members;
mod negotiations;
mod node;
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
pub(crate) use receipts::GATEWAY;
pub(crate) use receiver::{Posted, keep, received};

use tacit_accord::negotiation::MAX_TEXT;
use tacit_model::api::Role::{Operator, Owner, Viewer};

use crate::edge::App;
use crate::openapi::{Op, Operations};

/// What needs no token is short, in bytes: keys, names, signatures. Results that are posted are not.
pub(crate) const SHORT: usize = 64 << 10;
/// To open a negotiation: up to 1000 keys of 60 characters are invited, whatever white space is between them.
const OPENING: usize = 128 << 10;
/// To act in one: a text, of which a writer of JSON that knows ASCII only makes three times as many bytes.
const ACT: usize = 3 * MAX_TEXT + SHORT;

/// All operations with their handlers, ready to be served.
pub(crate) fn operations(app: &App) -> Operations {
    fill(Operations::new(Some(app)))
}

/// All operations, to be described only.
pub(crate) fn listed() -> Operations {
    fill(Operations::new(None))
}

fn fill(operations: Operations) -> Operations {
    let operations = operations.add(
        Op::get("/node", "getNode", "The node: name, certificate, roles, clock").role(Viewer).answer("NodeBody"),
        node::get,
    );
    let operations = of_groups(operations);
    let operations = of_negotiations(operations);
    let operations = of_members(operations);
    let operations = of_peers(operations);
    let operations = of_tasks(operations);
    let operations = of_owners(operations);
    of_the_node(operations)
}

fn of_groups(operations: Operations) -> Operations {
    operations
        .add(
            Op::post("/groups", "createGroup", "Makes a group")
                .role(Operator)
                .body("NewGroup")
                .answer("GroupBody")
                .created(),
            groups::create,
        )
        .add(Op::get("/groups", "listGroups", "All groups").role(Viewer).answer("GroupList"), groups::list)
        .add(Op::get("/groups/{gid}", "getGroup", "One group").role(Viewer).answer("GroupBody"), groups::get)
        .add(
            Op::delete("/groups/{gid}", "deleteGroup", "Stops and deletes a group with its members and codes")
                .role(Owner),
            groups::delete,
        )
        .add(
            Op::put("/groups/{gid}/configuration", "configureGroup", "Sets what the group computes")
                .role(Operator)
                .body("ConfigurationBody")
                .answer("GroupBody"),
            groups::configure,
        )
        .add(
            Op::put("/groups/{gid}/slot-rules", "setSlotRules", "Sets when slots close and what a missing input means")
                .role(Operator)
                .body("SlotRulesBody")
                .answer("GroupBody"),
            groups::set_slot_rules,
        )
        .add(
            Op::get("/groups/{gid}/consensus", "getConsensus", "The signed documents of what was agreed, oldest first")
                .role(Viewer)
                .answer("ConsensusBody"),
            groups::consensus,
        )
        .add(
            Op::post("/groups/{gid}/codes", "inviteMember", "Draws a one-time registration code")
                .role(Operator)
                .answer("CodeBody")
                .created(),
            groups::invite,
        )
        .add(Op::delete("/codes/{code}", "withdrawCode", "Takes an unused code back").role(Operator), groups::withdraw)
        .add(
            Op::post("/groups/{gid}/start", "startGroup", "Starts all verified members that are connected")
                .role(Operator)
                .answer("StartedBody"),
            runs::start,
        )
        .add(Op::post("/groups/{gid}/stop", "stopGroup", "Stops the run and all members").role(Operator), runs::stop)
        .add(Op::get("/groups/{gid}/runs", "listRuns", "Runs, newest first").role(Viewer).answer("RunList"), runs::list)
        .add(
            Op::get("/groups/{gid}/runs/{run}/slots", "listSlots", "Slots of a run and what became of them")
                .role(Viewer)
                .answer("SlotList"),
            runs::slots,
        )
}

fn of_negotiations(operations: Operations) -> Operations {
    operations
        .add(
            Op::post(
                "/negotiations",
                "openNegotiation",
                "Opens a negotiation; an owner's signature or a token permits it",
            )
            .body("OpenNegotiation")
            .at_most(OPENING)
            .answer("NegotiationBody")
            .created(),
            negotiations::open,
        )
        .add(
            Op::get(
                "/negotiations",
                "listNegotiations",
                "The negotiation that made a consensus; with a token, a group's",
            )
            .query(&[("consensus", "Id of what was agreed"), ("group", "Number of a group; needs a token")])
            .answer("NegotiationList"),
            negotiations::list,
        )
        .add(
            Op::get(
                "/negotiations/{negotiation}",
                "getNegotiation",
                "A negotiation by its id or that of its consensus",
            )
            .answer("NegotiationBody"),
            negotiations::get,
        )
        .add(
            Op::post(
                "/negotiations/{negotiation}/acts",
                "actInNegotiation",
                "Contributes, withdraws, invites or cancels, as signed",
            )
            .body("NegotiationAct")
            .at_most(ACT)
            .answer("NegotiationBody"),
            negotiations::act,
        )
        .add(
            Op::post(
                "/negotiations/{negotiation}/manager",
                "acceptAsManager",
                "Accepts with the manager's key while there are no owners",
            )
            .role(Operator)
            .body("ManagerAccept")
            .answer("NegotiationBody"),
            negotiations::accept_as_manager,
        )
        .add(
            Op::post(
                "/negotiations/{negotiation}/history",
                "readHistory",
                "Superseded contributions too, for a member that signs",
            )
            .body("HistoryRequest")
            .at_most(SHORT)
            .answer("ContributionList"),
            negotiations::history,
        )
        .add(
            Op::get(
                "/negotiations/{negotiation}/contributions/{number}",
                "getContribution",
                "One present contribution",
            )
            .answer("ContributionBody"),
            negotiations::contribution,
        )
        .add(
            Op::get(
                "/negotiations/{negotiation}/registry",
                "getNegotiatedRegistry",
                "The registry of the group it is about",
            )
            .answer("RegistryBody"),
            negotiations::registry,
        )
        .add(
            Op::get("/register/{code}", "lookAtGroup", "The group that an open code lets in to, before using it")
                .answer("RegistryBody"),
            negotiations::registry_for_code,
        )
        .add(
            Op::get(
                "/groups/{gid}/registry",
                "getRegistry",
                "Parties, who admitted them, and the documents that prove it",
            )
            .role(Viewer)
            .answer("RegistryBody"),
            negotiations::registry_of_group,
        )
}

fn of_members(operations: Operations) -> Operations {
    operations
        .add(
            Op::get("/groups/{gid}/members", "listMembers", "Everybody who registered, verified or not")
                .role(Viewer)
                .answer("MemberList"),
            members::list,
        )
        .add(Op::get("/members/{name}", "getMember", "One member").role(Viewer).answer("MemberBody"), members::get)
        .add(
            Op::delete("/members/{name}", "deleteMember", "Removes a member and closes its link").role(Owner),
            members::delete,
        )
        .add(
            Op::post(
                "/members/{name}/verify",
                "verifyMember",
                "Says that an operator compared the fingerprint, or takes that back",
            )
            .role(Operator)
            .body("VerifyBody")
            .answer("MemberBody"),
            members::verify,
        )
        .add(
            Op::post(
                "/groups/{gid}/verify",
                "verifyMembers",
                "Says that an operator compared all these fingerprints: one decision, all or none",
            )
            .role(Operator)
            .body("VerifyManyBody")
            .answer("MemberList"),
            members::verify_many,
        )
        .add(
            Op::get("/pairing", "listPairings", "Everybody who registered here, and how far the pairing has come")
                .role(Viewer)
                .answer("MemberList"),
            members::pairings,
        )
        .add(
            Op::post("/members/{name}/pairing", "pairMember", "Approves, rejects or revokes a peer that registered")
                .role(Operator)
                .body("PairingBody")
                .answer("MemberBody"),
            members::pair,
        )
        .add(
            Op::post("/register/{code}", "register", "Registers a peer with a code; the code is the permission")
                .query(&[
                    ("name", "Name of the peer"),
                    ("url", "Where its HTTP edge is"),
                    ("type", "1 input, 2 privacy, 3 both, 4 recipient"),
                ])
                .body("RegisterBody")
                .at_most(SHORT)
                .answer("RegisterReceipt"),
            members::register,
        )
}

fn of_peers(operations: Operations) -> Operations {
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
            Op::get("/peers/{name}/results", "listResults", "Results this peer received")
                .role(Operator)
                .query(&[("run", "Only of this run"), ("task", "Only of the client's task with this id")])
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
                "Ends a dispute over the gateway's log after its reason was found; both heads stay in this node's log",
            )
            .role(Owner)
            .body("SettleBody")
            .answer("WitnessBody"),
            peers::settle,
        )
}

fn of_tasks(operations: Operations) -> Operations {
    operations
        .add(
            Op::post(
                "/tasks",
                "submitTask",
                "Asks a group for a result; an Idempotency-Key makes repeating it safe. With wait, what takes longer than \
                 about 55 s is answered as it stands, open: GET /tasks/{id} tells its end",
            )
                .role(Viewer)
                .quiet()
                .body("NewTask")
                .answer("TaskBody"),
            tasks::submit,
        )
        .add(
            Op::get("/tasks", "listTasks", "Tasks, newest first: an operator sees all, others their own")
                .role(Viewer)
                .query(&[("max", "At most so many, up to 1000")])
                .answer("TaskList"),
            tasks::list,
        )
        .add(
            Op::get("/tasks/{id}", "getTask", "One task with its newest computations, up to 1000 of them and 4 MiB")
                .role(Viewer)
                .query(&[("from", "The computations from this one on instead, counted from 0")])
                .answer("TaskBody"),
            tasks::get,
        )
        .add(Op::delete("/tasks/{id}", "cancelTask", "Ends a task").role(Viewer).answer("TaskBody"), tasks::cancel)
        .add(
            Op::get("/tasks/{id}/events", "watchTask", "The task, and after each change with what is new, as server-sent events")
                .role(Viewer)
                .answer("TaskBody")
                .stream("text/event-stream"),
            tasks::events,
        )
        .add(
            Op::get("/groups/{gid}/offers", "listOffers", "What connected members offer to tasks: labels and sources")
                .role(Viewer)
                .answer("OfferList"),
            tasks::offers,
        )
        .add(
            Op::get("/groups/{gid}/directory", "listDirectory", "Who is there, since when, where, and with what")
                .role(Viewer)
                .answer("DirectoryList"),
            tasks::directory,
        )
        .add(
            Op::post(
                "/groups/{gid}/ping",
                "pingGroup",
                "Sends messages to all connected members, and times the answers",
            )
            .role(Operator)
            .query(&[
                ("messages", "How many, one after the other, up to 1000"),
                ("providers", "true: the members' SMC providers answer, in one session of each"),
            ])
            .answer("PingBody"),
            tasks::ping,
        )
        .add(
            Op::post("/peers/{name}/samples", "addSamples", "Adds samples to a peer's series, all or none")
                .role(Operator)
                .quiet()
                .body("SamplesBody")
                .answer("SamplesReceipt"),
            series::add,
        )
        .add(
            Op::get("/peers/{name}/offer", "getOffer", "What a peer offers to tasks").role(Viewer).answer("OfferBody"),
            series::offer,
        )
        .add(
            Op::put("/peers/{name}/labels", "setLabels", "Sets the labels by which tasks choose a peer")
                .role(Operator)
                .body("LabelsBody")
                .answer("OfferBody"),
            series::set_labels,
        )
}

fn of_owners(operations: Operations) -> Operations {
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
