//! The HTTP edges of a node: `/api/v1`, the P2DS face, the status page.
//!
//! ```text
//!  browser, curl, old scripts        tacit CLI, programs         monitoring
//!            │                              │                        │
//!      face_p2ds (words, pages)       native (/api/v1)      status, healthz, metrics
//!            └──────────────┬───────────────┘                        │
//!               Gateway   PartyDesk   Store  ◄───────────────────────┘
//! ```
//!
//! **Promises.** Every refusal is a 4xx with a problem of the closed list in `tacit_model::problem`
//! (on the P2DS face: one of its words) and changed nothing. No answer, log line or page holds a
//! private key, a token or a registration code that the caller may not have, and no error repeats the
//! values that were sent. Text of other people is escaped; pages run no scripts. Plain http is served
//! on loopback only, unless an option says that something in front speaks TLS.
//!
//! **Does not** decide anything about groups: that is the gateway's matter, and in the end the peers'.

mod auth;
mod body;
mod caller;
mod desk;
mod edge;
mod extract;
mod face_p2ds;
mod guard;
mod html;
mod invitation;
mod metrics;
mod native;
mod openapi;
mod problem;
mod reach;
mod revocation;
mod router;
mod serve;
mod standby;
mod status;

pub use auth::{AdminKey, issue_token};
pub use desk::{DeskError, JoinRequest, PartyDesk, PartyFacts, PartyResult, PartyRoster, RowsKept, TimedRow};
pub use edge::{Announce, Edge, EdgeOptions, NodeInfo};
pub use metrics::{Metrics, MetricsTaken};
pub use native::openapi_document;
pub use router::router;
pub use serve::{ServeError, ServeOptions, serve, tls_config};
pub use standby::{LeadingGateway, Standby};
