//! What the engine gets from this party.

use std::sync::{Arc, OnceLock};

use tacit_engine::{Environment, FreezeRecord, FreezeRefused};
use tacit_model::{Clock, Fingerprint, RunId};
use tacit_pki::envelope::{Context, sign_detached, verify_detached};
use tacit_pki::{Identity, PublicKey, random};
use tacit_store::{FreezeOutcome, Store, StoreError};
use zeroize::Zeroizing;

/// The party around one session.
pub struct PartyEnvironment {
    /// Signs frozen sets.
    pub identity: Arc<Identity>,
    /// From the TLS exporter of each link, by member; zeros for members without a link, whom the
    /// engine shares nothing with.
    pub secrets: Vec<Zeroizing<[u8; 32]>>,
    /// Of the compute peers, by member.
    pub keys: Arc<[OnceLock<PublicKey>]>,
    /// Keeps frozen sets.
    pub store: Store,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Under this name sets are kept.
    pub party: String,
    /// The run.
    pub run: RunId,
    /// Whether a set was, or may have been, bound.
    pub bound: bool,
    /// Contributors of the frozen set and their commitments, ascending, where this party computes.
    pub contributions: Vec<(Fingerprint, [u8; 32])>,
}

impl Environment for PartyEnvironment {
    fn random(&mut self, out: &mut [u8]) {
        // To go on with bytes that somebody might guess would give inputs away.
        random::fill(out).expect("the operating system's random generator works");
    }

    fn pair_secret(&mut self, member: usize) -> [u8; 32] {
        *self.secrets[member]
    }

    fn sign_freeze(&mut self, digest: &[u8; 32]) -> [u8; 64] {
        sign_detached(&self.identity, Context::Freeze, digest)
    }

    fn verify_freeze(&self, member: usize, digest: &[u8; 32], signature: &[u8; 64]) -> bool {
        let key = self.keys.get(member).and_then(OnceLock::get);
        key.is_some_and(|key| verify_detached(key, Context::Freeze, digest, signature).is_ok())
    }

    async fn freeze(&mut self, record: FreezeRecord) -> Result<(), FreezeRefused> {
        // From here on a failure may have left a durable record behind.
        self.bound = true;
        let (slot, attempt) = (record.slot, record.attempt);
        match self.store.freeze(&self.party, self.run, slot, attempt, record.digest, self.clock.now()).await {
            Ok(FreezeOutcome::Fresh) => {
                self.contributions = record.contributors.into_iter().zip(record.commitments).collect();
                Ok(())
            }
            // The digest covers salts that are drawn in each session: the same one twice is no accident.
            Ok(FreezeOutcome::Same) | Err(StoreError::Conflict { .. }) => Err(FreezeRefused::AlreadyFrozen),
            Err(error) => {
                tracing::error!(%error, %slot, "the input set was not stored");
                Err(FreezeRefused::NotDurable)
            }
        }
    }
}
