//! A party with real links on loopback, a real store, and a gateway that is played by the test.
#![allow(clippy::unwrap_used, reason = "tests")]

mod approvals;
mod budgets;
mod cheaters;
mod evidence;
mod failover;
mod gateway;
mod jobs;
mod liar;
mod outbox;
mod phases;
mod provider;
mod receipts;
mod receiver;
mod registration;
mod retention;
mod room;
mod rules;
mod spies;
mod sums;
mod tasks;
mod told;
mod windows;
mod witness;
mod world;
