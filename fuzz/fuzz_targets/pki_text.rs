//! Names, tokens, ids, codes and trust stores: texts that people and other programs hand in.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tacit_model::{Fingerprint, SessionId, UnixMillis};
use tacit_pki::token::{ApiToken, TokenHash};
use tacit_pki::trust::TrustStore;
use tacit_pki::{PublicKey, fingerprint_of_sni, sni_name};

fuzz_target!(|text: &str| {
    for name in [text.to_owned(), format!("{text}.tacit")] {
        if let Some(fingerprint) = fingerprint_of_sni(&name) {
            assert!(sni_name(fingerprint).eq_ignore_ascii_case(&name), "one name per party");
        }
    }
    for text in [text.to_owned(), format!("tacit_{text}")] {
        if let Ok(token) = ApiToken::parse(&text) {
            assert_eq!(token.expose_text(), text);
            assert!(token.hash().matches(&token));
        }
    }
    if let Ok(hash) = TokenHash::from_hex(text) {
        assert!(hash.to_string().eq_ignore_ascii_case(text));
    }
    if let Ok(key) = PublicKey::from_base64(text) {
        assert_eq!(key.to_base64(), text);
    }
    if let Ok(fingerprint) = text.parse::<Fingerprint>() {
        assert!(fingerprint.to_string().eq_ignore_ascii_case(text) && fingerprint.short().len() == 19);
    }
    let _ = text.parse::<SessionId>();
    if let Some(moment) = UnixMillis::from_rfc3339(text) {
        assert_eq!(UnixMillis::from_rfc3339(&moment.to_rfc3339()), Some(moment));
    }
    if let Ok(store) = serde_json::from_str::<TrustStore>(text) {
        let again = serde_json::to_string(&store).expect("it is written");
        assert_eq!(serde_json::from_str::<TrustStore>(&again).expect("and read again"), store);
        for (fingerprint, entry) in store.iter() {
            assert_eq!(store.by_label(&entry.label).map(|(found, _)| found), Some(fingerprint));
            let _ = store.check(fingerprint);
        }
    }
});
