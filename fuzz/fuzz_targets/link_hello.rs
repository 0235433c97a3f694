//! The first frame of every link.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tacit_link::{Hello, VersionRange};
use tacit_model::codec::{Decode, Encode};

fuzz_target!(|data: &[u8]| {
    let Ok(hello) = Hello::from_bytes(data) else { return };
    let again = hello.to_bytes();
    assert!(data.starts_with(&again), "later versions may add, not change");
    assert_eq!(Hello::from_bytes(&again), Ok(hello));
    match VersionRange::CURRENT.common(hello.versions) {
        Ok(version) => assert!((hello.versions.min..=hello.versions.max).contains(&version)),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});
