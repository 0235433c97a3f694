//! Links between parties: frames over TLS 1.3 with mutual authentication.
//!
//! ```text
//!            Gate (may this peer?)          Gate
//!               |                             |
//!   Host A -- LinkHub ==== one TCP/TLS ==== LinkHub -- Host B
//!     |  mesh: one link per pair, sessions by id    |
//!     |  control: JSON both ways                    |
//!  SessionPort                                 SessionPort
//! ```
//!
//! One [`LinkHub`] per node listens on one port. Each party of the node is a [`Host`] on it. Two
//! hosts share at most one *MPC link*, on which every session between them travels; a *control
//! link* carries JSON between a peer and its gateway, a *replica link* between gateways that can take over from
//! each other.
//!
//! Promises: a frame is delivered only if it came from the peer whose key was pinned; a session's
//! frames come only from the peers it was opened with, over the connection it was opened on; what
//! one peer sends in one session arrives in order, or the session is told that the peer is lost;
//! every wait and every buffer that a stranger can fill has a limit.
//!
//! It does not decide who may connect (that is the [`Gate`]), does not retry messages, does not
//! know what a message means, and hides neither sizes nor times of messages from the network.
//!
//! Memory: bulk messages of less than 128 KiB make glibc give pages back and fault them in again, at five
//! times the CPU of sending them. A process that frees one block of some 31 MiB at its start is spared that.
//!
//! Cost: one message is one frame of [`DATA_OVERHEAD`] bytes more; all frames queued when the
//! writer wakes leave in one system call.

mod config;
mod connection;
mod control;
pub mod discovery;
mod endpoint;
mod error;
pub mod frame;
mod handshake;
mod hello;
mod hub;
mod janitor;
pub mod memory;
mod mesh;
mod outbox;
mod parking;
mod session;
mod stream;
mod tls;
mod traffic;

pub use config::LinkConfig;
pub use control::{ControlLink, ControlSender, Encoded, MAX_CONTROL_MESSAGE, MAX_REPLICA_MESSAGE};
pub use endpoint::Endpoint;
pub use error::{CloseReason, LinkError, Refusal};
pub use frame::DATA_OVERHEAD;
pub use hello::{Hello, VersionRange};
pub use hub::{Gate, Host, LinkHub, LinkStatus, Protocol};
pub use mesh::{How, KeptLinks};
pub use session::{PortEvent, SessionPort, SessionStats};
pub use traffic::{Sent, Traffic};
