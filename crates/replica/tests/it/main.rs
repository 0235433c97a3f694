//! Replicas over real links on loopback.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod cluster;
mod elections;
mod replicas;
