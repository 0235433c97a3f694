//! What the next Prepare will ask the store, looked up before it comes.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use tacit_model::{RunId, Slot};
use tacit_store::{InputState, StoreError};

use super::prepare::values_of;
use crate::party::Inner;
use crate::source::Row;

/// So many rows are held in memory beside the store; they are wiped when they go.
const HELD: usize = 32;

/// Open slots and their rows, as they were just written or read. Each answer is given once; a second
/// attempt at a slot asks the store again. A stale answer cannot do harm: the claim of a session, and the
/// durable freeze of each computing peer, are what admit one charter and one input set per slot.
#[derive(Default)]
pub(crate) struct Ahead {
    slots: Mutex<BTreeMap<(RunId, Slot), Option<Row>>>,
}

impl Ahead {
    /// A row that was just queued.
    pub(crate) fn queued(&self, run: RunId, slot: Slot, row: Row) {
        let mut slots = self.lock();
        if slots.len() < HELD || slots.contains_key(&(run, slot)) {
            slots.insert((run, slot), Some(row));
        }
    }

    /// An open slot: its row, or `None` if it had none when it was looked up.
    pub(crate) fn take(&self, run: RunId, slot: Slot) -> Option<Option<Row>> {
        self.lock().remove(&(run, slot))
    }

    /// Looks a slot up that will be next.
    pub(crate) async fn look(&self, party: &Inner, run: RunId, slot: Slot) -> Result<(), StoreError> {
        // Rows with times are compared with the charter of their job.
        if party.timed().is_some() {
            return Ok(());
        }
        if self.lock().contains_key(&(run, slot)) {
            return Ok(());
        }
        let store = &party.store;
        let name = &party.name;
        let (frozen, row, bound) = tokio::try_join!(
            store.frozen(name, run, slot),
            store.row(name, run, slot),
            store.slot_binding(name, run, slot)
        )?;
        // A slot that was tried before is looked at in full.
        let open =
            frozen.is_none() && bound.is_none() && row.as_ref().is_none_or(|row| row.state == InputState::Pending);
        let row = row.map(values_of);
        if open && !matches!(row, Some(None)) && party.standing.run() == Some(run) {
            let mut slots = self.lock();
            // Slots that were passed over.
            slots.retain(|(held, at), _| *held == run && *at >= slot);
            slots.entry((run, slot)).or_insert(row.flatten());
        }
        Ok(())
    }

    /// Forgets and wipes all.
    pub(crate) fn clear(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<(RunId, Slot), Option<Row>>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
