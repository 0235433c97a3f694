//! Links between hubs in one process, over real sockets.
#![allow(clippy::unwrap_used, reason = "tests")]

mod control;
mod frames;
mod lifetime;
mod memory;
mod nodes;
mod security;
mod sessions;
