//! What a gateway and its peers say to each other.
//!
//! Gateway and party are siblings that never import each other; this room holds the words they share:
//! the [`Job`] (a task bound to today's members), the plan that everybody derives from it and from the
//! charter, and the [control messages](ToPeer) of the three phases Prepare, Link and Session.
//!
//! A client's task travels as an [`Ask`]: the request with the signatures of client and gateway, from which
//! everybody derives the same task.
//!
//! There is no I/O here and nothing secret: a gateway sees every word of it.

mod ask;
mod branches;
mod evidence;
mod job;
mod messages;
mod patience;
mod plan;
mod preselector;
mod receipt;
mod request;
mod scale;
mod sealed;
mod status;
mod terms;

pub use ask::{Ask, AskError, MAX_SUMMED, question, run_of, sign_request, task_digits, task_id, task_run};
pub use branches::{BRANCH_LABEL, branches};
pub use evidence::{Convicted, EVIDENCE_FORMAT, EvidenceDocument, EvidenceFault};
pub use job::{Job, Source, Task, pairing_digest, registration_proof};
pub use messages::{
    Cosigned, Decline, Fault, GatewayAt, Report, Request, Response, Shown, StopReason, ToGateway, ToPeer, Told,
};
pub use patience::{GRACE, session_deadline, session_limit};
pub use plan::{JobError, RowRules, check_configuration, plan_of};
pub use preselector::{NoPreselector, Preselector, Window};
pub use receipt::{Awaited, Computed, Own, ReceiptPart, SignedPart};
pub use request::FixedRequest;
pub use scale::{MICRO, Micro, NotMicro, Scale};
pub use sealed::{Seen, Settled, Telling, Unsettled, operators_of, seal_result, settle, tellers_needed};
pub use status::{StatusClass, status};
pub use terms::{Condition, Relation, Terms, is_source, is_word};
