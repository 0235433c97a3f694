//! Operations of a gateway: groups, negotiations, members, tasks.

use tacit_accord::negotiation::MAX_TEXT;
use tacit_model::api::Role::{Operator, Owner, Viewer};

use super::{SHORT, groups, members, negotiations, runs, series, tasks};
use crate::openapi::{Op, Operations};

/// To open a negotiation: up to 1000 keys of 60 characters are invited, whatever white space is between them.
const OPENING: usize = 128 << 10;
/// To act in one: a text, of which a writer of JSON that knows ASCII only makes three times as many bytes.
const ACT: usize = 3 * MAX_TEXT + SHORT;

pub(super) fn of_groups(operations: Operations) -> Operations {
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
                .query(&[(
                    "from",
                    "Those from this one on, counted from 0, as many as 4 MiB hold; next says where to go on. Without it \
                     all of them, if they have no more than that",
                )])
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
            Op::get("/groups/{gid}/runs/{run}/slots", "listSlots", "The last slots of a run and what became of them")
                .role(Viewer)
                .query(&[
                    ("from", "The slots from this one on instead, counted from 0"),
                    ("max", "At most so many, up to 10000"),
                ])
                .answer("SlotList"),
            runs::slots,
        )
}

pub(super) fn of_negotiations(operations: Operations) -> Operations {
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
                "The negotiation that made a consensus; with a token, a group's, oldest first: the newest 1000. Of more than \
                 16 MiB, older ones come without contributions, turns, pending and agreement, and say cut",
            )
            .query(&[("consensus", "Id of what was agreed"), ("group", "Number of a group; needs a token")])
            .answer("NegotiationList"),
            negotiations::list,
        )
        .add(
            Op::get(
                "/negotiations/{negotiation}",
                "getNegotiation",
                "A negotiation by its id or that of its consensus. With If-None-Match: 304 until something has changed",
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

pub(super) fn of_members(operations: Operations) -> Operations {
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

pub(super) fn of_tasks(operations: Operations) -> Operations {
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
            Op::get(
                "/tasks/{id}/events",
                "watchTask",
                "The task, and after each change with what is new, as server-sent events. An event gone holds a problem: what \
                 is not kept any more. The id of an event is the last computation that it tells, and over at the end; \
                 Last-Event-ID goes on after it, whatever from says, and after the end is answered 204",
            )
            .role(Viewer)
            .query(&[("from", "Begin with this computation, counted from 0, instead of the last 100")])
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
