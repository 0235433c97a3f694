//! Words that two sibling rooms share: ids, time, the wire codec, and the texts of the HTTP API.
//!
//! A type enters here only if two rooms that must not import each other both need it. There is no
//! I/O in this crate, and the only clock is behind the [`Clock`] trait.

pub mod api;
mod clock;
pub mod codec;
mod fingerprint;
mod ids;
pub mod leading;
mod name;
pub mod problem;
mod text_form;

pub use clock::{CLOCK_SKEW_MS, Clock, ManualClock, SystemClock, UnixMillis};
pub use fingerprint::Fingerprint;
pub use ids::{Attempt, GroupId, RunId, SessionId, Slot};
pub use name::{BadName, check_name, is_plain, plain, plain_lines};
pub use text_form::ParseIdError;
