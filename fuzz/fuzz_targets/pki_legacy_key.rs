//! Keys of the old system: labels only, and there and back without a change.

#![no_main]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use libfuzzer_sys::fuzz_target;
use tacit_pki::p2ds_key::{LegacyKey, check_private_key};

fuzz_target!(|data: &[u8]| {
    if let Ok(text) = std::str::from_utf8(data) {
        check(text);
    }
    // Behind the base64.
    check(&STANDARD.encode(data));
});

fn check(text: &str) {
    if let Ok(key) = LegacyKey::from_base64(text) {
        let dense: String = text.split_ascii_whitespace().collect();
        assert_eq!(key.to_base64(), dense);
        assert!(!key.curve().name().is_empty());
        assert_eq!(LegacyKey::from_base64(&key.to_base64()), Ok(key));
    }
    if let Ok(curve) = check_private_key(text.to_owned()) {
        assert!(!curve.name().is_empty());
    }
}
