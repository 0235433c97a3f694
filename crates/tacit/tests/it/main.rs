//! Acceptance: the built program as real processes, driven over HTTP as its users drive it.
//!
//! Names of tests begin with the check they stand for: `p12_...` is check P12 of the P2DS reference.

mod administration;
mod agreement;
mod agreement_registry;
mod agreement_running;
mod agreement_signing;
mod agreement_wizard;
mod arrows;
mod asking;
mod audit;
mod bench;
mod branches;
mod budgets;
mod certificates;
mod checks;
mod children;
mod command_line;
mod computing;
mod counted;
mod discovery;
mod ends;
mod evidence;
mod exposure;
mod failover;
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
mod lying_gateway;
mod moving;
mod newcomer;
mod orchestration;
mod p2ds;
mod pairing;
mod persistence;
mod policies;
mod provider;
mod quiet;
mod receipts;
mod refused;
mod results;
mod rooms;
mod scripted;
#[path = "../../../party/tests/it/gateway.rs"]
#[allow(dead_code, clippy::unwrap_used, reason = "the party's tests use all of it, and may unwrap")]
mod scripted_gateway;
mod secrecy;
mod series;
mod several_sources;
mod silent;
mod sink;
mod statistics;
mod tasks;
mod timed;
mod transport;
mod wait;
mod webhooks;
