use proptest::prelude::*;

use super::*;
use crate::identity::tests::{NOW, identity};

fn fault(result: Result<Verified, PkiError>) -> EnvelopeFault {
    match result {
        Err(PkiError::Envelope(fault)) => fault,
        other => panic!("expected a refusal, got {other:?}"),
    }
}

/// An envelope with any header, correctly signed.
fn forge(id: &Identity, header: &str, payload: &[u8]) -> String {
    let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload));
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(id.sign(signed.as_bytes()).0))
}

#[test]
fn gives_back_payload_and_signer() {
    let id = identity("a");
    let signed = sign(&id, Context::Task, br#"{"n":1}"#);
    let verified = signed.verify(Context::Task, id.public_key()).expect("own envelope");
    assert_eq!(verified.payload(), br#"{"n":1}"#);
    assert_eq!(verified.signer(), id.fingerprint());
    let known = |fp: &Fingerprint| (*fp == id.fingerprint()).then(|| *id.public_key());
    assert_eq!(signed.verify_from(Context::Task, known).expect("known signer"), verified);
    assert_eq!(fault(signed.verify_from(Context::Task, |_| None)), EnvelopeFault::UnknownSigner(id.fingerprint()));
}

/// In any number: the first signature that does not hold is found, whatever is wrong with it.
#[test]
fn together_or_one_by_one_the_same_holds() {
    for count in [0, 1, 3, 4, 10, 17] {
        let all: Vec<Identity> = (0..count).map(|number| identity(&format!("p{number}"))).collect();
        let signatures: Vec<[u8; 64]> = all.iter().map(|id| sign_detached(id, Context::Freeze, b"m")).collect();
        let check = |context, message: &[u8], signatures: &[[u8; 64]]| {
            let signed: Vec<_> = all.iter().map(Identity::public_key).zip(signatures).collect();
            verify_all_detached(context, message, &signed)
        };
        assert_eq!(check(Context::Freeze, b"m", &signatures), Ok(()), "{count}");
        let nothing = if count == 0 { Ok(()) } else { Err(0) };
        assert_eq!(check(Context::Message, b"m", &signatures), nothing, "{count}: for something else");
        assert_eq!(check(Context::Freeze, b"n", &signatures), nothing, "{count}: under something else");
        for place in 0..count {
            let mut forged = vec![signatures.clone(); 6];
            forged[0][place][0] ^= 1;
            forged[1][place][32] ^= 1;
            forged[2][place] = sign_detached(&identity("stranger"), Context::Freeze, b"m");
            forged[3][place] = [0; 64];
            forged[4][place] = [0xff; 64];
            // RFC 8032, section 5.1.7: s is below the order of the group; plus the order it would be the same point.
            let order = "edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010";
            let mut carry = 0_u16;
            for (byte, more) in forged[5][place][32..].iter_mut().zip(hex::decode(order).expect("hex")) {
                carry += u16::from(*byte) + u16::from(more);
                *byte = carry.to_le_bytes()[0];
                carry >>= 8;
            }
            for (which, forged) in forged.iter().enumerate() {
                assert_eq!(check(Context::Freeze, b"m", forged), Err(place), "{which}: {place} of {count}");
            }
        }
        // One's own in another's name.
        let mut swapped = signatures.clone();
        swapped.reverse();
        assert_eq!(check(Context::Freeze, b"m", &swapped), if count < 2 { Ok(()) } else { Err(0) });
    }
}

/// RFC 8037 appendix A.4 uses the key of RFC 8032 test 1: our bytes must be what any JOSE library makes.
#[test]
fn standard_form() {
    let mut pkcs8 = hex::decode("302e020100300506032b657004220420").expect("hex");
    pkcs8.extend(hex::decode("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60").expect("hex"));
    let id = Identity::from_pkcs8(&pkcs8, "rfc", NOW).expect("key");
    let input = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
    assert_eq!(
        URL_SAFE_NO_PAD.encode(id.sign(input.as_bytes()).0),
        "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"
    );
    let signed = sign(&id, Context::Charter, b"{}");
    let header = URL_SAFE_NO_PAD.decode(signed.as_str().split('.').next().expect("header")).expect("base64");
    let expected = format!(r#"{{"alg":"EdDSA","kid":"{}","typ":"tacit-charter+json"}}"#, id.fingerprint());
    assert_eq!(String::from_utf8(header).expect("text"), expected);
}

#[test]
fn one_purpose_only() {
    let id = identity("a");
    for made_for in Context::ALL {
        let signed = sign(&id, made_for, b"{}");
        let detached = sign_detached(&id, made_for, b"m");
        for used_for in Context::ALL {
            let same = made_for == used_for;
            assert_eq!(signed.verify(used_for, id.public_key()).is_ok(), same);
            assert_eq!(verify_detached(id.public_key(), used_for, b"m", &detached).is_ok(), same);
        }
        assert!(id.public_key().verify(b"m", &Signature(detached)).is_err());
    }
}

#[test]
fn names_are_different_and_none_is_the_start_of_another_with_its_end_mark() {
    for a in Context::ALL {
        assert!(Context::ALL.iter().filter(|b| a.name() == b.name()).count() == 1);
        assert!(a.name().bytes().all(|c| c.is_ascii_lowercase()));
    }
}

#[test]
fn refuses_other_signers() {
    let (a, b) = (identity("a"), identity("b"));
    let signed = sign(&a, Context::Task, b"{}");
    assert_eq!(fault(signed.verify(Context::Task, b.public_key())), EnvelopeFault::WrongSigner(a.fingerprint()));
    // A directory that hands out the wrong key does not help either.
    assert_eq!(
        fault(signed.verify_from(Context::Task, |_| Some(*b.public_key()))),
        EnvelopeFault::WrongSigner(a.fingerprint())
    );
    // b signs, and says it was a.
    let header = format!(r#"{{"alg":"EdDSA","kid":"{}","typ":"tacit-task+json"}}"#, a.fingerprint());
    assert_eq!(fault(verify(&forge(&b, &header, b"{}"), Context::Task, a.public_key())), EnvelopeFault::Signature);
}

#[test]
fn refuses_other_headers() {
    let id = identity("a");
    let kid = id.fingerprint().to_string();
    let good = format!(r#""alg":"EdDSA","kid":"{kid}","typ":"tacit-task+json""#);
    let check = |header: String| verify(&forge(&id, &header, b"{}"), Context::Task, id.public_key());
    // Another library may order and space the members differently.
    assert!(check(format!(r#"{{ "typ": "tacit-task+json", "kid": "{kid}", "alg": "EdDSA" }}"#)).is_ok());
    for more in [
        r#""crit":["exp"]"#,
        r#""crit":[]"#,
        r#""b64":false"#,
        r#""jwk":{}"#,
        r#""alg":"EdDSA""#,
        r#""x":[[[[[[]]]]]]"#,
    ] {
        assert_eq!(fault(check(format!("{{{good},{more}}}"))), EnvelopeFault::Header, "{more}");
    }
    assert_eq!(fault(check(format!("{{{}}}", good.replace("EdDSA", "none")))), EnvelopeFault::Algorithm);
    assert_eq!(fault(check(format!("{{{}}}", good.replace("EdDSA", "HS256")))), EnvelopeFault::Algorithm);
    assert_eq!(fault(check(format!("{{{}}}", good.replace(&kid, &kid.to_uppercase())))), EnvelopeFault::Header);
    assert_eq!(
        fault(check(format!("{{{}}}", good.replace("tacit-task+json", "JWT")))),
        EnvelopeFault::Purpose { expected: "task" }
    );
    for header in ["", "{}", "[]", "null", r#"{"alg":"EdDSA"}"#] {
        assert_eq!(fault(check(header.to_owned())), EnvelopeFault::Header, "{header}");
    }
}

#[test]
fn refuses_other_spellings_of_the_same() {
    let id = identity("a");
    let text = sign(&id, Context::Task, b"{}").as_str().to_owned();
    for other in [
        format!("{text}="),
        format!(" {text}"),
        format!("{text}\n"),
        text.replace('.', ".."),
        format!("{text}."),
        text.replace('.', ""),
    ] {
        assert!(verify(&other, Context::Task, id.public_key()).is_err(), "{other}");
    }
    assert_eq!(fault(verify(&"a".repeat(MAX_ENVELOPE + 1), Context::Task, id.public_key())), EnvelopeFault::TooLarge);
}

#[test]
fn travels_as_a_json_string() {
    let signed = sign(&identity("a"), Context::Freeze, b"{}");
    let json = serde_json::to_string(&signed).expect("json");
    assert_eq!(json, format!("\"{signed}\""));
    assert_eq!(serde_json::from_str::<Signed>(&json).expect("json"), signed);
}

proptest! {
    #[test]
    fn never_panics(text in "\\PC{0,200}", header in "\\PC{0,100}") {
        let id = identity("a");
        prop_assert!(verify(&text, Context::Task, id.public_key()).is_err());
        prop_assert!(verify(&forge(&id, &header, b""), Context::Task, id.public_key()).is_err());
    }

    #[test]
    fn any_change_is_noticed(payload: Vec<u8>, at: prop::sample::Index, with in "[A-Za-z0-9_.-]") {
        let id = identity("a");
        let text = sign(&id, Context::Message, &payload).as_str().to_owned();
        prop_assert_eq!(verify(&text, Context::Message, id.public_key()).expect("own").into_payload(), payload);
        let at = at.index(text.len());
        let changed = format!("{}{with}{}", &text[..at], &text[at + 1..]);
        prop_assert_eq!(verify(&changed, Context::Message, id.public_key()).is_ok(), changed == text);
    }
}
