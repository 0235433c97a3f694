use core::fmt;

use serde::{Deserialize, Serialize};

/// One run of a job. Drawn at random by the gateway, checked to be unused by every peer.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub [u8; 16]);

crate::hexadecimal_id!(SessionId: 16, "session id");

macro_rules! number {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number! {
    /// A group at its gateway, counted from 1 (P2DS: `gid`).
    GroupId(i64)
}
number! {
    /// One start-to-stop of a group's standing task, counted from 1 per group.
    RunId(i64)
}
number! {
    /// A time slot inside a run, counted from 0.
    Slot(i64)
}
number! {
    /// How often a slot was tried, counted from 0. Each attempt draws new polynomials.
    Attempt(u32)
}

impl Slot {
    /// The slot as people count: from 1.
    pub const fn counted(self) -> i64 {
        self.0.saturating_add(1)
    }
}
