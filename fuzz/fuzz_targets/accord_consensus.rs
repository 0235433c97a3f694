//! Consensus documents as they come from a gateway: unsigned ones pass nobody, and what passes is written as it was read.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tacit_accord::{Consensus, ConsensusId, Refusal};
use tacit_fuzz::keys::MANAGER;

fuzz_target!(|text: &str| {
    let _ = text.parse::<ConsensusId>();
    let Ok(unchecked) = Consensus::read(text) else { return };
    let id = unchecked.id();
    let Ok(first) = unchecked.clone().check_first(MANAGER.public_key()) else { return };
    assert_eq!(first.id(), id);
    assert!(first.signers().any(|signer| signer == MANAGER.public_key().to_base64()));
    assert_eq!(unchecked.check_next(&first), Err(Refusal::Stale), "nothing follows itself");
    let again = Consensus::read(&first.to_document()).expect("its own document");
    assert_eq!(again.check_first(MANAGER.public_key()), Ok(first));
});
