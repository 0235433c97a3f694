use aws_lc_rs::digest::{SHA256, digest};
use proptest::prelude::*;

use super::*;

fn demo(member: &str) -> String {
    let file: serde_json::Value =
        serde_json::from_str(include_str!("../../fixtures/p2ds-demo-keys.json")).expect("fixture");
    file[member].as_str().expect("text").to_owned()
}

fn changed(text: &str, at: usize, with: impl Fn(u8) -> u8) -> String {
    let mut der = STANDARD.decode(text).expect("base64");
    der[at] = with(der[at]);
    STANDARD.encode(der)
}

/// `openssl ecparam -name prime256v1 -genkey | openssl ec -pubout`, thrown away.
const P256: &str = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEgOOSoCTnZH2nrMR8S/WgUq7WW8FhS60CC5IbfKLXs1SIeyZaPP82FcG1LKlb0KScIbN+O7lBbm2Z7emrC3czog==";

#[test]
fn demo_public_key() {
    let text = demo("publicKey");
    let key = LegacyKey::from_base64(&text).expect("demo key");
    assert_eq!(key.curve().name(), "sect409k1");
    assert_eq!(key.to_base64(), text);
    let der = STANDARD.decode(&text).expect("base64");
    assert_eq!(der.len(), 128);
    assert_eq!(key.fingerprint().0, digest(&SHA256, &der).as_ref());
    // As wrapped by a mail program or `base64` itself.
    let wrapped = format!("{}\r\n{}\n", &text[..64], &text[64..]);
    assert_eq!(LegacyKey::from_base64(&wrapped), Ok(key));
}

#[test]
fn demo_private_key() {
    assert_eq!(STANDARD.decode(demo("privateKey")).expect("base64").len(), 83);
    assert_eq!(check_private_key(demo("privateKey")), Ok(Curve::K409));
}

#[test]
fn other_curves_are_labels_too() {
    let key = LegacyKey::from_base64(P256).expect("P-256");
    assert_eq!(key.curve().name(), "secp256r1");
    // An identifier nobody knows: 1.3.132.0.127.
    let unknown = LegacyKey::from_base64(&changed(&demo("publicKey"), 19, |_| 0x7f)).expect("unknown curve");
    assert_eq!(unknown.curve(), &Curve::Other("1.3.132.0.127".to_owned()));
    assert_eq!(unknown.curve().name(), "1.3.132.0.127");
}

#[test]
fn refuses_points_off_the_curve() {
    let text = demo("publicKey");
    for at in [24, 60, 100, 127] {
        assert_eq!(LegacyKey::from_base64(&changed(&text, at, |b| b ^ 1)), Err(LegacyKeyFault::OffCurve));
    }
    // Compressed and other forms, and a point of another curve's length.
    assert_eq!(LegacyKey::from_base64(&changed(&text, 23, |_| 2)), Err(LegacyKeyFault::Point));
    assert_eq!(LegacyKey::from_base64(&changed(&text, 19, |_| 0x22)), Err(LegacyKeyFault::Point));
}

#[test]
fn refuses_garbage() {
    let text = demo("publicKey");
    let ed25519 = "MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=";
    assert_eq!(LegacyKey::from_base64(ed25519), Err(LegacyKeyFault::NotElliptic));
    assert_eq!(LegacyKey::from_base64("garbage!"), Err(LegacyKeyFault::Base64));
    assert_eq!(LegacyKey::from_base64(&"A".repeat(4096)), Err(LegacyKeyFault::Base64));
    for wrong in
        ["", "AAAA", &demo("privateKey"), &text[..100], &changed(&text, 1, |b| b - 1), &changed(&text, 22, |_| 1)]
    {
        assert_eq!(LegacyKey::from_base64(wrong), Err(LegacyKeyFault::Structure), "{wrong}");
    }
    // The manual's printed key has reading errors (I for l): whatever is wrong, it must not pass.
    assert!(LegacyKey::from_base64(&text.replace('l', "I")).is_err());
    let mut longer = STANDARD.decode(&text).expect("base64");
    longer.push(0);
    assert_eq!(LegacyKey::from_base64(&STANDARD.encode(longer)), Err(LegacyKeyFault::Structure));
}

#[test]
fn refuses_bad_private_keys() {
    let text = demo("privateKey");
    assert_eq!(check_private_key(changed(&text, 32, |_| 0xff)), Err(LegacyKeyFault::Scalar));
    let mut zero = STANDARD.decode(&text).expect("base64");
    zero[32..].fill(0);
    assert_eq!(check_private_key(STANDARD.encode(zero)), Err(LegacyKeyFault::Scalar));
    assert_eq!(check_private_key(changed(&text, 4, |_| 2)), Err(LegacyKeyFault::Structure));
    assert!(check_private_key(changed(&text, 10, |b| b ^ 1)).is_err());
    assert_eq!(check_private_key(demo("publicKey")), Err(LegacyKeyFault::Structure));
    assert_eq!(check_private_key(String::new()), Err(LegacyKeyFault::Structure));
}

#[test]
fn errors_hold_no_key() {
    let refused = check_private_key(changed(&demo("privateKey"), 32, |_| 0xff)).expect_err("out of range");
    assert!(refused.to_string().len() < 60 && format!("{refused:?}") == "Scalar");
}

proptest! {
    #[test]
    fn never_panics(bytes: Vec<u8>, text in "\\PC{0,200}") {
        let _ = LegacyKey::from_base64(&text);
        let _ = LegacyKey::from_base64(&STANDARD.encode(&bytes));
        let _ = check_private_key(STANDARD.encode(&bytes));
    }

    #[test]
    fn never_panics_near_a_key(at in 0_usize..128, with: u8) {
        let _ = LegacyKey::from_base64(&changed(&demo("publicKey"), at, |_| with));
        let _ = check_private_key(changed(&demo("privateKey"), at % 83, |_| with));
    }
}
