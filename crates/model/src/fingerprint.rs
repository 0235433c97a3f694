/// Names a party for ever: SHA-256 of the SubjectPublicKeyInfo of its certificate (DER).
///
/// The text form is 64 lowercase hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint(pub [u8; 32]);

impl Fingerprint {
    /// The first eight bytes in groups of four digits, for lists; never enough to compare keys by.
    pub fn short(&self) -> String {
        let text = hex::encode(&self.0[..8]);
        [&text[0..4], &text[4..8], &text[8..12], &text[12..16]].join(" ")
    }
}

crate::hexadecimal_id!(Fingerprint: 32, "fingerprint");
