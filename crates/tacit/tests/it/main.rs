//! Acceptance: the built program as real processes, driven over HTTP as its users drive it.
//!
//! Names of tests begin with the check they stand for: `p12_...` is check P12 of the P2DS reference.

mod administration;
mod agreement;
mod agreement_registry;
mod agreement_running;
mod agreement_wizard;
mod arrows;
mod audit;
mod bench;
mod checks;
mod command_line;
mod computing;
mod discovery;
mod failures;
mod grp_script;
mod harness;
mod http;
mod joining;
mod kill_nine;
mod kill_peer;
mod lab;
mod licences;
mod limits;
mod links;
mod log_walk;
mod orchestration;
mod p2ds;
mod pairing;
mod persistence;
mod provider;
mod quiet;
mod receipts;
mod refused;
mod results;
mod rooms;
mod scripted;
mod secrecy;
mod series;
mod sink;
mod statistics;
mod tasks;
mod timed;
mod transport;
mod wait;
mod webhooks;
