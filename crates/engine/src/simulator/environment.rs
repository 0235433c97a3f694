//! The party around a simulated session: everything comes from the seed, the journal lives in memory.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aws_lc_rs::hmac;
use tacit_model::Slot;

use crate::environment::{Environment, FreezeRecord, FreezeRefused};
use crate::evidence::Evidence;
use crate::keystream::Keystream;
use crate::transcript::Transcript;

/// A party's memory: frozen slots, and what convicts others. Clones are handles to the same journal; it outlives sessions.
#[derive(Clone, Default)]
pub struct Journal(Arc<Mutex<Memory>>);

#[derive(Default)]
struct Memory {
    slots: BTreeMap<SlotKey, FreezeRecord>,
    evidence: Vec<Evidence>,
}

type SlotKey = ([u8; 32], [u8; 32], Slot);

impl Journal {
    /// All records.
    pub fn records(&self) -> Vec<FreezeRecord> {
        self.lock().slots.values().cloned().collect()
    }

    /// All evidence, in the order in which there was some.
    pub fn evidence(&self) -> Vec<Evidence> {
        self.lock().evidence.clone()
    }

    /// Keeps the first record of a slot, refuses every other.
    pub fn freeze(&self, record: FreezeRecord) -> Result<(), FreezeRefused> {
        let mut memory = self.lock();
        let first = memory.slots.entry((record.charter, record.task, record.slot)).or_insert_with(|| record.clone());
        if *first == record { Ok(()) } else { Err(FreezeRefused::AlreadyFrozen) }
    }

    fn lock(&self) -> MutexGuard<'_, Memory> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// For tests and measurements only: whoever knows the seed knows everything.
pub struct SimulatedEnvironment {
    seed: u64,
    me: usize,
    random: Keystream,
    journal: Journal,
}

impl SimulatedEnvironment {
    /// Party `me` of the world `seed`; parties of one world share pair secrets and know each other's
    /// signatures.
    pub fn new(seed: u64, me: usize) -> Self {
        Self::with_journal(seed, me, Journal::default())
    }

    /// The same with a journal that remembers earlier sessions.
    pub fn with_journal(seed: u64, me: usize, journal: Journal) -> Self {
        let random = Keystream::new(&derive(seed, "random", me, 0)).expect("32 bytes are a seed");
        Self { seed, me, random, journal }
    }

    /// The party's journal.
    pub fn journal(&self) -> &Journal {
        &self.journal
    }
}

impl Environment for SimulatedEnvironment {
    fn random(&mut self, out: &mut [u8]) {
        self.random.fill(out);
    }

    fn pair_secret(&mut self, member: usize) -> [u8; 32] {
        derive(self.seed, "pair", self.me.min(member), self.me.max(member))
    }

    fn sign_freeze(&mut self, digest: &[u8; 32]) -> [u8; 64] {
        signature(self.seed, self.me, "signature", digest)
    }

    fn verify_freeze(&self, member: usize, digest: &[u8; 32], signature_: &[u8; 64]) -> bool {
        signature(self.seed, member, "signature", digest) == *signature_
    }

    fn sign_message(&mut self, digest: &[u8; 32]) -> [u8; 64] {
        signature(self.seed, self.me, "message", digest)
    }

    fn verify_message(&self, member: usize, digest: &[u8; 32], signature_: &[u8; 64]) -> bool {
        signature(self.seed, member, "message", digest) == *signature_
    }

    async fn freeze(&mut self, record: FreezeRecord) -> Result<(), FreezeRefused> {
        self.journal.freeze(record)
    }

    fn convicted(&mut self, evidence: Evidence) {
        self.journal.lock().evidence.push(evidence);
    }
}

fn signature(seed: u64, member: usize, context: &str, digest: &[u8; 32]) -> [u8; 64] {
    let key = hmac::Key::new(hmac::HMAC_SHA512, &derive(seed, context, member, 0));
    let mut out = [0; 64];
    out.copy_from_slice(hmac::sign(&key, digest).as_ref());
    out
}

fn derive(seed: u64, what: &str, a: usize, b: usize) -> [u8; 32] {
    let mut transcript = Transcript::new("tacit/simulator");
    transcript.number(seed).bytes(what.as_bytes()).number(a as u64).number(b as u64);
    transcript.finish()
}
