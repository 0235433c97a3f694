//! Sealed results: what was sealed opens under the same words, and nothing else does.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use tacit_pki::result_key::{ResultKey, seal};

static KEY: LazyLock<ResultKey> = LazyLock::new(|| ResultKey::generate().expect("a key"));

fuzz_target!(|input: (&str, &[u8], &[u8], &str)| {
    let (sealed, about, text, public) = input;
    assert!(KEY.open(sealed, about).is_err(), "nobody sealed that");
    let _ = seal(public, about, text);
    let sealed = seal(KEY.public(), about, text).expect("a right key");
    assert_eq!(KEY.open(&sealed, about).expect("opened").as_slice(), text);
    assert!(KEY.open(&sealed[..sealed.len() - 4], about).is_err());
    assert!(KEY.open(&sealed, &[about, b"x"].concat()).is_err());
});
