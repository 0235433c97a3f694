//! A typed client of `/api/v1`.
//!
//! One method per operation, one type per text ([`tacit_model::api`]). Errors carry the server's
//! [`Problem`](tacit_model::problem::Problem).
//!
//! **Promises.** Plain http goes to this machine only. Over https a pinned key is the only one that is
//! believed; without a pin the system's authorities decide. Redirects are not followed and proxies of
//! the environment are not used, so a token goes where it was meant to go. No error holds a token or
//! what was sent.

mod client;
mod elsewhere;
mod error;
mod groups;
mod negotiations;
mod node;
mod peers;
mod policy;
mod tasks;

pub use client::{Client, Pieces};
pub use error::ClientError;
