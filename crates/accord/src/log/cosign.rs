//! Cosignatures: a witness signs a checkpoint of somebody else's log, with the time
//! (C2SP tlog-cosignature, <https://c2sp.org/tlog-cosignature>, Ed25519).
//!
//! What it says: at that time this was the largest checkpoint of this log that the witness had seen, and it extends
//! every one it had co-signed before.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tacit_model::UnixMillis;
use tacit_pki::{Identity, PublicKey, Signature};

use super::checkpoint::origin_of;
use super::note::{MARK, Note, NoteError};

/// Type byte of timestamped Ed25519 cosignatures.
const COSIGNATURE: u8 = 4;
/// Seconds, then the signature.
const LENGTH: usize = 8 + 64;

/// Adds a witness's signature to a checkpoint's signed note. The witness has accepted it, and remembers it, before.
pub fn cosign(note: &str, witness: &Identity, now: UnixMillis) -> Result<String, NoteError> {
    let read = Note::read(note)?;
    let name = origin_of(&witness.fingerprint());
    let seconds = u64::try_from(now.0 / 1000).unwrap_or(0);
    let mut line = id(&name, witness.public_key()).to_vec();
    line.extend_from_slice(&seconds.to_be_bytes());
    line.extend_from_slice(&witness.sign(message(seconds, read.text()).as_bytes()).0);
    Ok(format!("{note}{MARK}{name} {}\n", STANDARD.encode(line)))
}

/// When the witness with this key co-signed a note, if it did.
pub fn cosigned(note: &str, witness: &PublicKey) -> Result<UnixMillis, NoteError> {
    let note = Note::read(note)?;
    let name = origin_of(&witness.fingerprint());
    let wrong = || NoteError::Signature(name.clone());
    let line = note.line(&name, id(&name, witness)).ok_or_else(|| NoteError::NotSigned(name.clone()))?;
    let line: &[u8; LENGTH] = line.try_into().map_err(|_| wrong())?;
    let (seconds, signature) = line.split_first_chunk::<8>().ok_or_else(wrong)?;
    let seconds = u64::from_be_bytes(*seconds);
    let signature = Signature(signature.try_into().map_err(|_| wrong())?);
    witness.verify(message(seconds, note.text()).as_bytes(), &signature).map_err(|_| wrong())?;
    let millis = i64::try_from(seconds).ok().and_then(|seconds| seconds.checked_mul(1000));
    Ok(UnixMillis(millis.ok_or_else(wrong)?))
}

fn message(seconds: u64, text: &str) -> String {
    format!("cosignature/v1\ntime {seconds}\n{text}")
}

fn id(name: &str, key: &PublicKey) -> [u8; 4] {
    let mut bytes = format!("{name}\n").into_bytes();
    bytes.push(COSIGNATURE);
    bytes.extend_from_slice(&key.spki()[PublicKey::SPKI_LEN - 32..]);
    let mut id = [0; 4];
    id.copy_from_slice(&digest(&SHA256, &bytes).as_ref()[..4]);
    id
}
