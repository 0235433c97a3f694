//! Plan requests: one encoding each, and planning refuses or gives a plan that can be computed again.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tacit_engine::{Plan, PlanRequest};
use tacit_model::codec::{Decode, Encode};

fuzz_target!(|data: &[u8]| {
    let Ok(request) = PlanRequest::from_bytes(data) else { return };
    assert_eq!(request.to_bytes(), data, "one encoding per request");
    match Plan::build(request) {
        Ok(plan) => {
            let again = Plan::build(plan.request().clone()).expect("a plan's request gives the plan");
            assert_eq!(again.digest(), plan.digest());
            assert_eq!(plan.points().len(), plan.compute().len());
            assert!(plan.shares_needed() <= plan.compute().len());
            assert!(!plan.forecast().to_string().is_empty());
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});
