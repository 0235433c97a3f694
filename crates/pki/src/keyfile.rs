//! Private keys on disk: `<dir>/<name>.key` (PKCS#8 PEM, mode 0400) and `<dir>/<name>.crt`
//! (certificate PEM, mode 0444) in a folder of mode 0700.
//!
//! A file is written under another name, synced, and then linked to its own: it is there whole or not
//! at all, and a key that exists is never overwritten. The private key comes first and decides who the
//! identity is; a certificate lost to a crash in between is made again from it, under the same
//! fingerprint. Keys that other users can read, or that belong to them, are not used.
//!
//! Does **not** seal keys with a passphrase.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use time::OffsetDateTime;
use zeroize::Zeroizing;

use crate::{Identity, KeyFileFault, PkiError, random};

const PRIVATE_MODE: u32 = 0o400;
const PUBLIC_MODE: u32 = 0o444;
const DIR_MODE: u32 = 0o700;
/// Rights that nobody but the owner may have.
const OTHERS: u32 = 0o077;
const MAX_FILE: u64 = 64 * 1024;

/// Where the private key of `name` lies.
pub fn private_path(dir: &Path, name: &str) -> PathBuf {
    dir.join(format!("{name}.key"))
}

/// Where the certificate of `name` lies.
pub fn certificate_path(dir: &Path, name: &str) -> PathBuf {
    dir.join(format!("{name}.crt"))
}

/// Loads the identity `name`, or makes and stores a new one. `label` and `now` go into a certificate
/// that has to be made and are not looked at otherwise.
///
/// Two processes that start at once end up with the same identity.
pub fn load_or_create(dir: &Path, name: &str, label: &str, now: OffsetDateTime) -> Result<Identity, PkiError> {
    check_name(name)?;
    match load_or_certify(dir, name, label, now) {
        Err(PkiError::KeyFile(KeyFileFault::Missing(_))) => {}
        other => return other,
    }
    let taken = match create(dir, name, &Identity::generate(label, now)?) {
        Ok(()) => return load(dir, name),
        Err(PkiError::KeyFile(fault @ KeyFileFault::Exists(_))) => fault,
        Err(error) => return Err(error),
    };
    match load_or_certify(dir, name, label, now) {
        // What exists is a certificate whose key was lost: a person must decide.
        Err(PkiError::KeyFile(KeyFileFault::Missing(_))) => Err(taken.into()),
        // Somebody else was faster: theirs it is.
        other => other,
    }
}

/// Stores an identity under a name that is still free.
pub fn create(dir: &Path, name: &str, identity: &Identity) -> Result<(), PkiError> {
    check_name(name)?;
    prepare_dir(dir)?;
    let (key, certificate) = (private_path(dir, name), certificate_path(dir, name));
    // A certificate that is there already would not fit the new key.
    if fs::symlink_metadata(&certificate).is_ok() {
        return Err(KeyFileFault::Exists(certificate).into());
    }
    publish(dir, &key, PRIVATE_MODE, &to_pem("PRIVATE KEY", identity.expose_pkcs8()))?;
    publish(dir, &certificate, PUBLIC_MODE, &to_pem("CERTIFICATE", identity.certificate_der()))?;
    Ok(())
}

/// Where somebody else's public key of this name is kept.
pub fn public_path(dir: &Path, name: &str) -> PathBuf {
    dir.join(format!("{name}.pub"))
}

/// Keeps somebody else's public key, 0444; one that is there already is not replaced.
pub fn keep_public(dir: &Path, name: &str, key: &str) -> Result<(), PkiError> {
    check_name(name)?;
    publish(dir, &public_path(dir, name), PUBLIC_MODE, format!("{key}\n").as_bytes())?;
    Ok(())
}

/// Loads an identity; both files must be there and belong together.
pub fn load(dir: &Path, name: &str) -> Result<Identity, PkiError> {
    check_name(name)?;
    let key = read_private(dir, name)?;
    let path = certificate_path(dir, name);
    let pem = read(&path, Rights::Public)?;
    let certificate = from_pem("CERTIFICATE", &pem)
        .ok_or_else(|| KeyFileFault::Content { path: path.clone(), expected: "a certificate in PEM" })?;
    match Identity::from_parts(&key, &certificate) {
        Err(PkiError::Certificate(_)) => Err(KeyFileFault::Mismatch(path).into()),
        Err(PkiError::PrivateKey(_)) => Err(not_a_key(&private_path(dir, name)).into()),
        other => other,
    }
}

/// As [`load`], making a certificate if only the private key is there.
fn load_or_certify(dir: &Path, name: &str, label: &str, now: OffsetDateTime) -> Result<Identity, PkiError> {
    let path = certificate_path(dir, name);
    match load(dir, name) {
        Err(PkiError::KeyFile(KeyFileFault::Missing(missing))) if missing == path => {}
        other => return other,
    }
    let key = read_private(dir, name)?;
    let identity = match Identity::from_pkcs8(&key, label, now) {
        Err(PkiError::PrivateKey(_)) => return Err(not_a_key(&private_path(dir, name)).into()),
        other => other?,
    };
    match publish(dir, &path, PUBLIC_MODE, &to_pem("CERTIFICATE", identity.certificate_der())) {
        Ok(()) | Err(KeyFileFault::Exists(_)) => load(dir, name),
        Err(fault) => Err(fault.into()),
    }
}

fn read_private(dir: &Path, name: &str) -> Result<Zeroizing<Vec<u8>>, KeyFileFault> {
    let path = private_path(dir, name);
    match fs::metadata(dir) {
        Ok(meta) => check_rights(dir, &meta, DIR_MODE, OTHERS)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(KeyFileFault::Missing(path)),
        Err(error) => return Err(failed("look at", dir, error)),
    }
    let pem = read(&path, Rights::Private)?;
    from_pem("PRIVATE KEY", &pem).ok_or_else(|| not_a_key(&path))
}

enum Rights {
    Private,
    Public,
}

/// Reads a small regular file. The rights are those of the opened file, so nobody can swap it in between.
fn read(path: &Path, rights: Rights) -> Result<Zeroizing<Vec<u8>>, KeyFileFault> {
    // O_NONBLOCK: a pipe in place of the file must not make us wait for ever.
    let file = match OpenOptions::new().read(true).custom_flags(nix::fcntl::OFlag::O_NONBLOCK.bits()).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(KeyFileFault::Missing(path.to_owned())),
        Err(error) => return Err(failed("open", path, error)),
    };
    let meta = file.metadata().map_err(|error| failed("look at", path, error))?;
    let (wanted, forbidden, expected) = match rights {
        Rights::Private => (PRIVATE_MODE, OTHERS, "a private key in PEM"),
        // A certificate is public, but only its owner may change it.
        Rights::Public => (PUBLIC_MODE, 0o022, "a certificate in PEM"),
    };
    if !meta.is_file() || meta.len() > MAX_FILE {
        return Err(KeyFileFault::Content { path: path.to_owned(), expected });
    }
    check_rights(path, &meta, wanted, forbidden)?;
    // Room for everything from the start: growing would leave copies behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(usize::try_from(MAX_FILE).unwrap_or(usize::MAX) + 1));
    file.take(MAX_FILE).read_to_end(&mut bytes).map_err(|error| failed("read", path, error))?;
    Ok(bytes)
}

fn check_rights(path: &Path, meta: &fs::Metadata, wanted: u32, forbidden: u32) -> Result<(), KeyFileFault> {
    let user = nix::unistd::geteuid().as_raw();
    if meta.uid() != user {
        return Err(KeyFileFault::Owner { path: path.to_owned(), owner: meta.uid(), user });
    }
    let mode = meta.mode() & 0o7777;
    if mode & forbidden != 0 {
        let quoted = format!("'{}'", path.display().to_string().replace('\'', r"'\''"));
        return Err(KeyFileFault::Open { path: path.to_owned(), mode, wanted, quoted });
    }
    Ok(())
}

fn prepare_dir(dir: &Path) -> Result<(), KeyFileFault> {
    DirBuilder::new().recursive(true).mode(DIR_MODE).create(dir).map_err(|error| failed("create", dir, error))?;
    let meta = fs::metadata(dir).map_err(|error| failed("look at", dir, error))?;
    check_rights(dir, &meta, DIR_MODE, OTHERS)
}

/// Makes `path` appear, whole and durable, unless it exists.
fn publish(dir: &Path, path: &Path, mode: u32, content: &[u8]) -> Result<(), KeyFileFault> {
    let mut tag = [0; 8];
    random::fill(&mut tag).map_err(|_| failed("name", path, io::Error::other("no randomness")))?;
    let temporary = dir.join(format!(".{}.tmp", hex::encode(tag)));
    let written = write_synced(&temporary, mode, content).and_then(|()| {
        // A link, unlike a rename, fails if the name is taken.
        fs::hard_link(&temporary, path)
    });
    let removed = fs::remove_file(&temporary);
    match written {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            return Err(KeyFileFault::Exists(path.to_owned()));
        }
        Err(error) => return Err(failed("write", path, error)),
    }
    removed.map_err(|error| failed("remove", &temporary, error))?;
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(|error| failed("sync", dir, error))
}

fn write_synced(path: &Path, mode: u32, content: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(PRIVATE_MODE).open(path)?;
    file.write_all(content)?;
    // Not left to the umask.
    file.set_permissions(Permissions::from_mode(mode))?;
    file.sync_all()
}

fn check_name(name: &str) -> Result<(), KeyFileFault> {
    let plain = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-' || c == b'_';
    if (1..=64).contains(&name.len()) && name.bytes().all(plain) { Ok(()) } else { Err(KeyFileFault::Name) }
}

fn not_a_key(path: &Path) -> KeyFileFault {
    KeyFileFault::Content { path: path.to_owned(), expected: "an Ed25519 private key (PKCS#8 in PEM)" }
}

fn failed(action: &'static str, path: &Path, source: io::Error) -> KeyFileFault {
    KeyFileFault::Io { action, path: path.to_owned(), source }
}

/// RFC 7468: lines of 64 characters.
fn to_pem(kind: &str, der: &[u8]) -> Zeroizing<Vec<u8>> {
    let base64 = Zeroizing::new(STANDARD.encode(der));
    let mut pem = Zeroizing::new(Vec::with_capacity(base64.len() + base64.len() / 64 + 2 * kind.len() + 40));
    pem.extend_from_slice(format!("-----BEGIN {kind}-----\n").as_bytes());
    for line in base64.as_bytes().chunks(64) {
        pem.extend_from_slice(line);
        pem.push(b'\n');
    }
    pem.extend_from_slice(format!("-----END {kind}-----\n").as_bytes());
    pem
}

/// The first block of this kind. Our own reader, because the libraries' leave copies of the text behind.
fn from_pem(kind: &str, pem: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let text = core::str::from_utf8(pem).ok()?;
    let (_, rest) = text.split_once(&format!("-----BEGIN {kind}-----"))?;
    let (body, _) = rest.split_once(&format!("-----END {kind}-----"))?;
    let mut dense = Zeroizing::new(Vec::with_capacity(body.len()));
    dense.extend(body.bytes().filter(|c| !c.is_ascii_whitespace()));
    let mut der = Zeroizing::new(vec![0; base64::decoded_len_estimate(dense.len())]);
    let len = STANDARD.decode_slice(&*dense, &mut der).ok()?;
    der.truncate(len);
    Some(der)
}

#[cfg(test)]
mod tests;
