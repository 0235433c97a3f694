//! Cosignatures under checkpoints: a witness is believed only in what it signed.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tacit_accord::log::{Checkpoint, cosign, cosigned};
use tacit_fuzz::keys::{MANAGER, OWNER};
use tacit_model::UnixMillis;

fuzz_target!(|input: (i64, &str, Vec<(u16, u8)>)| {
    let (millis, text, changes) = input;
    let witness = OWNER.public_key();
    let Ok(note) = cosign(text, &OWNER, UnixMillis(millis)) else { return };
    let at = UnixMillis(millis.max(0) / 1000 * 1000);
    // Of two lines by one witness the first counts, so only a note without one says what was signed now.
    if cosigned(text, witness).is_err() {
        let read = cosigned(&note, witness);
        assert!(read == Ok(at) || text.contains(&format!("{}", witness.fingerprint())), "{read:?}");
    }
    // The node's own signature stays what it was.
    assert_eq!(
        Checkpoint::open(&note, MANAGER.public_key()).is_ok(),
        Checkpoint::open(text, MANAGER.public_key()).is_ok()
    );
    let mut changed = note.clone().into_bytes();
    for (at, byte) in changes {
        let at = usize::from(at) % changed.len();
        changed[at] = byte;
    }
    if let Ok(changed) = String::from_utf8(changed) {
        let _ = cosigned(&changed, witness);
    }
});
