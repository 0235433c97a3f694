//! The sum among simulated parties: right, private, frozen before it is opened, and what happens
//! when parties crash or cheat.

mod additive;
mod adversaries;
mod freeze;
mod losses;
mod malformed;
mod slices;
mod speed;
mod sums;
mod world;
