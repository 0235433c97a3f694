//! Keys that are the same in every run, so that seeds and findings stay valid. They protect nothing.

use std::sync::LazyLock;

use tacit_pki::Identity;
use time::OffsetDateTime;

/// The manager of the fuzzed group.
pub static MANAGER: LazyLock<Identity> = LazyLock::new(|| identity(1));
/// An owner, where a charter names one.
pub static OWNER: LazyLock<Identity> = LazyLock::new(|| identity(2));

/// The identity whose private key is this byte, 32 times.
pub fn identity(byte: u8) -> Identity {
    Identity::from_pkcs8(&pkcs8(byte), "fuzz", OffsetDateTime::UNIX_EPOCH).expect("a fixed key")
}

/// Its private key in PKCS#8.
pub fn pkcs8(byte: u8) -> Vec<u8> {
    // RFC 8410: version 0, id-Ed25519, an OCTET STRING in an OCTET STRING.
    let head = [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];
    [&head[..], &[byte; 32]].concat()
}
