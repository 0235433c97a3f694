//! Members witness this gateway's log: each is shown every new head with the proof that it grew out of the last one that
//! member accepted, and out of those that other members co-signed.
//!
//! A gateway that kept two logs would have to show two members heads that no proof connects; see
//! `tacit_party` for what a member does then.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tacit_accord::log::{Checkpoint, Hash, cosigned};
use tacit_job::{Cosigned, Shown, ToPeer};
use tacit_model::Fingerprint;
use tacit_pki::PublicKey;
use tacit_store::CosignatureRow;
use tracing::{debug, warn};

use crate::{Gateway, GatewayError};

/// Heads are shown at most so often.
const PAUSE: Duration = Duration::from_secs(1);
/// So many other members' heads travel with one; a message has 1 MiB.
const OTHERS: usize = 32;
/// So many members are shown a head at a time; of a large group each has its turn.
const AT_ONCE: usize = 32;

/// What each member was shown last, and what it accepted last.
#[derive(Default)]
pub(crate) struct Witnesses(std::sync::Mutex<BTreeMap<Fingerprint, Seen>>);

#[derive(Clone, Default)]
struct Seen {
    accepted: u64,
    shown: String,
    /// Heads are shown one after the other: a member that heard an older one last would take the log for a shortened one.
    showing: Arc<tokio::sync::Mutex<()>>,
}

impl Witnesses {
    fn with<T>(&self, member: Fingerprint, change: impl FnOnce(&mut Seen) -> T) -> T {
        change(self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(member).or_default())
    }
}

impl Gateway {
    /// Shows the log to everybody who is connected, whenever it has grown.
    pub(crate) async fn show_new_heads(&self) -> Result<(), GatewayError> {
        for row in self.inner.store.cosignatures().await? {
            self.inner.witnesses.with(row.witness, |seen| seen.accepted = row.size);
        }
        let gateway = self.clone();
        let mut grown = self.inner.log.grown();
        self.inner.tasks.spawn(async move {
            let mut last = None;
            // Members that have not had their turn since the log grew.
            let mut left = 0_usize;
            loop {
                let changed = async {
                    if left == 0 {
                        let _closed = grown.changed().await;
                    }
                    tokio::time::sleep(PAUSE).await;
                    let new = grown.has_changed().unwrap_or(false);
                    grown.borrow_and_update();
                    new
                };
                tokio::select! {
                    () = gateway.inner.stop.cancelled() => return,
                    new = changed => {
                        let everybody = gateway.inner.directory.everybody().len();
                        left = if new || left == 0 { everybody } else { left.min(everybody) };
                    }
                }
                left = left.saturating_sub(AT_ONCE);
                let everybody = gateway.inner.directory.everybody();
                let turn = everybody.partition_point(|member| last.is_some_and(|last| *member <= last));
                let next = everybody[turn..].iter().chain(&everybody[..turn]).take(AT_ONCE);
                for member in next.copied() {
                    last = Some(member);
                    if let Err(error) = gateway.show_log(member).await {
                        debug!(member = %member.short(), %error, "the log was not shown");
                    }
                }
            }
        });
        Ok(())
    }

    /// Shows the head of the log to a member, if it has not accepted it already.
    pub(crate) async fn show_log(&self, member: Fingerprint) -> Result<(), GatewayError> {
        let showing = self.inner.witnesses.with(member, |seen| Arc::clone(&seen.showing));
        let _showing = showing.lock().await;
        let head = self.inner.log.checkpoint().await?;
        let size = head.checkpoint.size;
        let accepted = self.inner.witnesses.with(member, |seen| {
            if seen.accepted == size && seen.shown == head.note {
                return None;
            }
            seen.shown.clone_from(&head.note);
            Some(seen.accepted)
        });
        let Some(accepted) = accepted else { return Ok(()) };
        // More than there is: this node was restored from a backup. The member will say so, and it shall.
        let from = accepted.min(size);
        let shown = Shown {
            checkpoint: head.note,
            key: self.inner.log.key().to_base64(),
            from,
            consistency: self.grown_from(from, size).await?,
            others: self.others(member, size).await?,
        };
        self.inner.directory.send(&member, &ToPeer::Witness { shown: Box::new(shown) });
        Ok(())
    }

    /// What a member answered.
    pub(crate) async fn witnessed(
        &self,
        member: Fingerprint,
        size: u64,
        note: Option<String>,
        key: &str,
    ) -> Result<(), GatewayError> {
        let Some(note) = note else {
            let known = self.inner.witnesses.with(member, |seen| core::mem::replace(&mut seen.accepted, size));
            // It remembers another head than this gateway thought: once more, from there.
            return if known == size { Ok(()) } else { self.show_again(member).await };
        };
        let refused = |why: &str| GatewayError::Refused(format!("a cosignature does not hold: {why}"));
        let key = PublicKey::from_base64(key).map_err(|e| refused(&e.to_string()))?;
        if key.fingerprint() != member {
            return Err(refused("it is under another key"));
        }
        let at = cosigned(&note, &key).map_err(|e| refused(&e.to_string()))?;
        let checkpoint = Checkpoint::open(&note, self.inner.log.key()).map_err(|e| refused(&e.to_string()))?;
        let row = CosignatureRow { witness: member, witness_key: key.to_base64(), size: checkpoint.size, note, at };
        self.inner.witnesses.with(member, |seen| seen.accepted = checkpoint.size);
        Ok(self.inner.store.set_cosignature(row).await?)
    }

    async fn show_again(&self, member: Fingerprint) -> Result<(), GatewayError> {
        self.inner.witnesses.with(member, |seen| seen.shown.clear());
        self.show_log(member).await
    }

    async fn grown_from(&self, from: u64, size: u64) -> Result<Vec<String>, GatewayError> {
        Ok(self.inner.log.consistency(from, size).await?.iter().map(Hash::to_string).collect())
    }

    /// What other members of the same group co-signed.
    async fn others(&self, member: Fingerprint, size: u64) -> Result<Vec<Cosigned>, GatewayError> {
        let Some(group) = self.inner.directory.present(&member).map(|present| present.group) else {
            return Ok(Vec::new());
        };
        let consensus = self.current(group).await?;
        let mut others = Vec::new();
        // Most of them stand at the same entry.
        let mut proofs = BTreeMap::new();
        for row in self.inner.store.cosignatures().await? {
            if row.witness == member || consensus.charter().member(&row.witness).is_none() || row.size == 0 {
                continue;
            }
            if row.size > size {
                warn!(witness = %row.witness.short(), "a member co-signed more of the log than there is");
                continue;
            }
            let consistency = match proofs.entry(row.size) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(new) => new.insert(self.grown_from(row.size, size).await?),
            };
            others.push(Cosigned { note: row.note, key: row.witness_key, consistency: consistency.clone() });
            if others.len() == OTHERS {
                break;
            }
        }
        Ok(others)
    }
}
