//! Waiting with an end.

use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;

/// Nothing that the tests wait for may take longer.
pub(crate) const PATIENCE: Duration = Duration::from_secs(45);
const POLL: Duration = Duration::from_millis(20);

/// Asks again and again until there is an answer. The last complaint is what the test fails with.
#[track_caller]
pub(crate) fn until<T>(what: &str, probe: impl FnMut() -> Result<T, String>) -> T {
    within(PATIENCE, what, probe)
}

/// The same with a patience of one's own.
#[track_caller]
pub(crate) fn within<T>(patience: Duration, what: &str, mut probe: impl FnMut() -> Result<T, String>) -> T {
    let deadline = Instant::now() + patience;
    loop {
        match probe() {
            Ok(answer) => return answer,
            Err(last) if Instant::now() > deadline => {
                panic!("waited {} s in vain for {what}; last seen: {last}", patience.as_secs())
            }
            Err(_) => sleep(POLL),
        }
    }
}

/// Waits until so many of the offers that a gateway lists fit.
#[track_caller]
pub(crate) fn until_offers(count: usize, list: impl Fn() -> Value, fits: impl Fn(&Value) -> bool) {
    until("all offers", || {
        let offers = list();
        let found = offers.as_array().expect("a list").iter().filter(|offer| fits(offer)).count();
        if found >= count { Ok(()) } else { Err(offers.to_string()) }
    });
}

/// Lets time pass on purpose: the test is about what happens when somebody takes their time.
pub(crate) fn let_pass(time: Duration) {
    sleep(time);
}
