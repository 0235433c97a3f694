//! The edge with a real gateway, a real store and, where it matters, real peers.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod access;
mod admin;
mod desk;
mod manager;
mod native;
mod notices;
mod openapi;
mod page;
mod pairing;
mod peer_face;
mod receiver;
mod refusals;
mod scripts;
mod serve;
mod status;
mod world;
