//! Key files in PEM, as another program or a broken disk may have left them.

#![no_main]

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use tacit_fuzz::keys;
use tacit_pki::keyfile;
use tempfile::TempDir;

static FOLDER: LazyLock<TempDir> = LazyLock::new(|| {
    // In memory, where there is such a place.
    let folder = TempDir::new_in("/dev/shm").or_else(|_| TempDir::new()).expect("a folder");
    fs::set_permissions(folder.path(), Permissions::from_mode(0o700)).expect("own folder");
    folder
});

fuzz_target!(|data: &[u8]| {
    // A key, a zero byte, a certificate; an empty one stands for one that is right.
    let cut = data.iter().position(|byte| *byte == 0).unwrap_or(data.len());
    let (key, certificate) = (&data[..cut], data.get(cut + 1..).unwrap_or_default());
    let right = keys::MANAGER.certificate_der();
    let key = if key.is_empty() { pem("PRIVATE KEY", &keys::pkcs8(1)) } else { key.to_vec() };
    let certificate = if certificate.is_empty() { pem("CERTIFICATE", right) } else { certificate.to_vec() };
    let folder = FOLDER.path();
    write(&keyfile::private_path(folder, "node"), 0o400, &key);
    write(&keyfile::certificate_path(folder, "node"), 0o444, &certificate);
    match keyfile::load(folder, "node") {
        Ok(identity) => assert!(identity.public_key().verify(b"m", &identity.sign(b"m")).is_ok()),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});

fn write(path: &Path, mode: u32, content: &[u8]) {
    let _ = fs::remove_file(path);
    fs::write(path, content).expect("own folder");
    fs::set_permissions(path, Permissions::from_mode(mode)).expect("own file");
}

fn pem(kind: &str, der: &[u8]) -> Vec<u8> {
    use base64::Engine as _;
    let base64 = base64::engine::general_purpose::STANDARD.encode(der);
    format!("-----BEGIN {kind}-----\n{base64}\n-----END {kind}-----\n").into_bytes()
}
