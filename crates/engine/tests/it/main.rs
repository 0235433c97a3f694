//! The sum among simulated parties: right, private, frozen before it is opened, and what happens
//! when parties crash or cheat.

mod additive;
mod adversaries;
mod arithmetic_costs;
mod arithmetic_failures;
mod arithmetic_secrecy;
mod arithmetic_values;
mod arithmetic_world;
mod attacks;
mod batches;
mod branches;
mod compare_values;
mod documentation;
mod evaluations;
mod evidence;
mod exponential_values;
mod fixed_values;
mod forecasts;
mod freeze;
mod guaranteed;
mod guaranteed_functions;
mod logistic;
mod losses;
mod malformed;
mod malicious;
mod malicious_functions;
mod noises;
mod orders;
mod ranges;
mod reference;
mod slices;
mod statistics;
mod sums;
mod uniform;
mod verified;
mod world;
