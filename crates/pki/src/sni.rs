use tacit_model::Fingerprint;

/// RFC 4648 base32 in lowercase, without padding: 32 bytes become 52 characters.
const BASE32: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
const CHARS: usize = 52;
const SUFFIX: &str = ".tacit";

/// The name a party is dialled by in TLS: 52 characters of base32 fit one DNS label (at most 63),
/// which 64 hexadecimal digits would not.
pub fn sni_name(fingerprint: Fingerprint) -> String {
    let mut name = String::with_capacity(CHARS + SUFFIX.len());
    let (mut held, mut bits) = (0_u32, 0_u32);
    for byte in fingerprint.0 {
        held = (held << 8) | u32::from(byte);
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            name.push(digit(held >> bits));
        }
    }
    // 256 = 51 * 5 + 1: the last character holds one bit and four zeros.
    name.push(digit(held << (5 - bits)));
    name.push_str(SUFFIX);
    name
}

/// Reads a name made by [`sni_name`]. DNS names know no case; everything else must match exactly.
pub fn fingerprint_of_sni(name: &str) -> Option<Fingerprint> {
    let (digits, suffix) = name.split_at_checked(CHARS)?;
    if !suffix.eq_ignore_ascii_case(SUFFIX) {
        return None;
    }
    let mut bytes = [0; 32];
    let mut out = bytes.iter_mut();
    let (mut held, mut bits) = (0_u32, 0_u32);
    for c in digits.bytes() {
        held = (held << 5) | value(c)?;
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            *out.next()? = u8::try_from((held >> bits) & 0xff).ok()?;
        }
        held &= 0xff;
    }
    // What is left must be the four zeros, or two names would stand for one party.
    (held & ((1 << bits) - 1) == 0).then_some(Fingerprint(bytes))
}

fn digit(value: u32) -> char {
    char::from(BASE32[(value & 31) as usize])
}

fn value(c: u8) -> Option<u32> {
    match c.to_ascii_lowercase() {
        c @ b'a'..=b'z' => Some(u32::from(c - b'a')),
        c @ b'2'..=b'7' => Some(u32::from(c - b'2') + 26),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn known_names() {
        assert_eq!(sni_name(Fingerprint([0; 32])), format!("{}.tacit", "a".repeat(52)));
        assert_eq!(sni_name(Fingerprint([0xff; 32])), format!("{}q.tacit", "7".repeat(51)));
        // RFC 4648: "foobar" is MZXW6YTBOI.
        let mut bytes = [0; 32];
        bytes[..6].copy_from_slice(b"foobar");
        assert!(sni_name(Fingerprint(bytes)).starts_with("mzxw6ytbo"));
    }

    #[test]
    fn one_name_per_party() {
        let name = sni_name(Fingerprint([0; 32]));
        assert!(fingerprint_of_sni(&name.to_uppercase()).is_some());
        // The last character carries padding bits: no second spelling.
        assert!(fingerprint_of_sni(&format!("{}b.tacit", "a".repeat(51))).is_none());
        for wrong in ["", ".tacit", &name[1..], &format!("{name}."), &name.replace(".tacit", ".local")] {
            assert!(fingerprint_of_sni(wrong).is_none(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn there_and_back(bytes: [u8; 32]) {
            let name = sni_name(Fingerprint(bytes));
            prop_assert_eq!(name.len(), 58);
            prop_assert_eq!(fingerprint_of_sni(&name), Some(Fingerprint(bytes)));
        }

        #[test]
        fn never_panics(name in "\\PC{0,70}", almost in "[a-zA-Z0-9]{52}") {
            let _ = fingerprint_of_sni(&name);
            let _ = fingerprint_of_sni(&format!("{almost}.tacit"));
        }
    }
}
