//! Proofs over what is stored.

use tacit_accord::log::{Hash, ProofError, ProofPlan};
use tacit_store::Store;

use crate::{AuditError, AuditLog};

impl AuditLog {
    /// That entry `seq` (counted from 1) is in the log of `size` entries: RFC 9162, section 2.1.3. Reads a few hundred
    /// hashes, whatever the size.
    pub async fn inclusion(&self, seq: u64, size: u64) -> Result<Vec<Hash>, AuditError> {
        let index = seq.checked_sub(1).ok_or(ProofError::Outside { asked: seq, size })?;
        self.prove(ProofPlan::inclusion(index, size)?, size).await
    }

    /// That the log of `old` entries is the beginning of the log of `size`: RFC 9162, section 2.1.4.
    pub async fn consistency(&self, old: u64, size: u64) -> Result<Vec<Hash>, AuditError> {
        self.prove(ProofPlan::consistency(old, size)?, size).await
    }

    async fn prove(&self, plan: ProofPlan, size: u64) -> Result<Vec<Hash>, AuditError> {
        let stored = self.inner.store.log_size().await?;
        if size > stored {
            return Err(ProofError::Outside { asked: size, size: stored }.into());
        }
        Ok(plan.finish(&read(&self.inner.store, &plan).await?)?)
    }
}

/// The hashes that a plan asks for.
pub(crate) async fn read(store: &Store, plan: &ProofPlan) -> Result<Vec<Vec<Hash>>, AuditError> {
    let mut read = Vec::new();
    for span in plan.spans() {
        let hashes = store.log_hashes(span.level, span.from, span.count).await?;
        read.push(hashes.into_iter().map(Hash).collect());
    }
    Ok(read)
}
