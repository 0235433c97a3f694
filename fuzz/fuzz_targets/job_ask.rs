//! Tasks of clients: requests, conditions, preselectors, decimals.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tacit_fuzz::keys::{MANAGER, OWNER};
use tacit_job::{Ask, Micro, Preselector, sign_request};
use tacit_model::UnixMillis;
use tacit_model::api::TaskRequest;

fuzz_target!(|data: &[u8]| {
    if let Ok(text) = std::str::from_utf8(data) {
        if let Ok(preselector) = Preselector::parse(text) {
            for now in [i64::MIN, -1, 0, 1_700_000_000_000, i64::MAX] {
                let _ = preselector.window(UnixMillis(now));
            }
        }
        let _ = text.parse::<Micro>();
    }
    let gateway = MANAGER.fingerprint();
    if let Ok(ask) = serde_json::from_slice::<Ask>(data) {
        let _ = (ask.verify(&gateway), ask.terms(), ask.id(), ask.run());
    }
    let Ok(request) = serde_json::from_slice::<TaskRequest>(data) else { return };
    let client = sign_request(&request, &OWNER);
    let Ok(ask) = Ask::admit(request, Some(client), &MANAGER) else { return };
    assert_eq!(ask.verify(&gateway), Ok(Some(OWNER.fingerprint())));
    assert!(ask.verify(&OWNER.fingerprint()).is_err());
    assert!(ask.run().0 < 0, "runs of tasks are not those of groups");
    let other = Ask { request: ask.request.with(|request| request.purpose.push('x')), ..ask };
    assert!(other.verify(&gateway).is_err());
});
