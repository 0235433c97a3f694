//! Signed envelopes: only what was signed passes, and only for its purpose.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tacit_fuzz::keys::{MANAGER, OWNER};
use tacit_pki::envelope::{Context, sign, verify, verify_detached, verify_from};

fuzz_target!(|data: &[u8]| {
    let Some((&which, data)) = data.split_first() else { return };
    let context = Context::ALL[usize::from(which) % Context::ALL.len()];
    // A text as it comes.
    if let Ok(text) = std::str::from_utf8(data) {
        for key in [&MANAGER, &OWNER] {
            if let Ok(verified) = verify(text, context, key.public_key()) {
                assert_eq!(sign(key, context, verified.payload()).as_str(), text, "one text per payload");
            }
        }
        let known = |_: &_| Some(*MANAGER.public_key());
        let same = verify(text, context, MANAGER.public_key()).is_ok();
        assert_eq!(verify_from(text, context, known).is_ok(), same);
    }
    if let Some((signature, message)) = data.split_first_chunk::<64>() {
        let detached = verify_detached(MANAGER.public_key(), context, message, signature);
        assert!(detached.is_err() || tacit_pki::envelope::sign_detached(&MANAGER, context, message) == *signature);
    }
    // A good envelope with a few bytes changed: place, byte, place, byte, ...
    let good = sign(&MANAGER, context, b"{}");
    let mut bytes = good.as_str().as_bytes().to_vec();
    for change in data.chunks_exact(2) {
        let at = usize::from(change[0]) % bytes.len();
        bytes[at] = change[1];
    }
    if let Ok(text) = std::str::from_utf8(&bytes) {
        let passes = verify(text, context, MANAGER.public_key()).is_ok();
        assert_eq!(passes, text == good.as_str(), "a changed envelope passed");
    }
    for other in Context::ALL.into_iter().filter(|other| *other != context) {
        assert!(verify(good.as_str(), other, MANAGER.public_key()).is_err());
    }
});
