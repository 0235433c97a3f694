//! Signed notes, their keys, and checkpoints: only what the node signed is believed.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tacit_accord::log::note::{Note, NoteKey};
use tacit_accord::log::{Checkpoint, Hash, origin_of, witness};
use tacit_fuzz::keys::MANAGER;

fuzz_target!(|text: &str| {
    if let Ok(key) = text.parse::<NoteKey>() {
        assert_eq!(key.to_string(), text, "a key has one text");
    }
    if let Ok(checkpoint) = Checkpoint::read(text) {
        assert_eq!(checkpoint.text(), text, "a checkpoint has one text");
        let mine = Checkpoint { origin: origin_of(&MANAGER.fingerprint()), ..checkpoint };
        if let Ok(note) = mine.sign(&MANAGER) {
            // What its owner writes, others read.
            let opened = Checkpoint::open(&note, MANAGER.public_key());
            assert!(opened.is_err() || opened == Ok(mine));
        }
    }
    let node = MANAGER.public_key();
    if let Ok(note) = Note::read(text) {
        assert!(note.signatures() > 0);
        let key = NoteKey::new(origin_of(&MANAGER.fingerprint()), *node).expect("a name");
        if let Ok(signed) = note.verified(&key) {
            assert!(text.starts_with(signed));
        }
    }
    if let Ok(checkpoint) = Checkpoint::open(text, node) {
        assert_eq!(witness(node, None, text, &[]), Ok(checkpoint.clone()));
        assert_eq!(witness(node, Some(&checkpoint), text, &[]), Ok(checkpoint.clone()));
        let other = Checkpoint { root: Hash([1; 32]), ..checkpoint };
        assert!(witness(node, Some(&other), text, &[]).is_err());
    }
});
