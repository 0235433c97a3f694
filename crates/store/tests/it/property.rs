//! The queue against a model: random calls in random order end in the same state.

use std::collections::BTreeMap;

use tacit_model::{Attempt, RunId, Slot};
use tacit_store::{InputState, StoreError};

use crate::queue::{result, row};
use crate::{Fixture, at, on_both, set};

on_both!(the_queue_behaves_like_its_model);

#[derive(Default)]
struct Model {
    next: i64,
    slots: BTreeMap<i64, InputState>,
    frozen: BTreeMap<i64, (u32, u8)>,
}

impl Model {
    fn pending(&self) -> u64 {
        self.slots.values().filter(|state| **state == InputState::Pending).count().try_into().unwrap()
    }
}

async fn the_queue_behaves_like_its_model(f: &Fixture) {
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    let mut draw = |below: u64| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        i64::try_from(seed % below).unwrap()
    };
    let (store, run) = (&f.store, RunId(1));
    let mut model = Model::default();
    for _ in 0..400 {
        let slot = draw(40);
        let was = model.slots.get(&slot).copied();
        match draw(6) {
            0 => {
                let count = draw(4);
                let rows: Vec<_> = (0..count).map(|i| row(&i.to_string())).collect();
                match store.append_rows("p", run, &rows, 12, at(0)).await {
                    Ok(first) => {
                        assert_eq!(first.0, model.next);
                        for slot in first.0..first.0 + count {
                            model.slots.insert(slot, InputState::Pending);
                        }
                        model.next += count;
                    }
                    Err(error) => {
                        assert_eq!(error, StoreError::QueueFull { pending: model.pending(), limit: 12 });
                        assert!(model.pending() + count.unsigned_abs() > 12);
                    }
                }
            }
            1 => {
                let put = store.put_rows_at("p", run, &[(Slot(slot), row("same"))], 12, at(0)).await;
                if was.is_none() && put.is_ok() {
                    assert!(model.pending() < 12);
                    model.slots.insert(slot, InputState::Pending);
                    model.next = model.next.max(slot + 1);
                } else {
                    assert!(was.is_some() || model.pending() == 12, "{put:?}");
                }
            }
            2 => {
                let done = store.commit_result("p", run, Slot(slot), result(slot), false).await.is_ok();
                assert_eq!(done, was != Some(InputState::Failed));
                if done {
                    model.slots.insert(slot, InputState::Done);
                    model.next = model.next.max(slot + 1);
                }
            }
            3 => {
                let failed = store.fail_slot("p", run, Slot(slot), "x", at(0)).await.is_ok();
                assert_eq!(failed, was != Some(InputState::Done));
                if failed {
                    model.slots.insert(slot, InputState::Failed);
                    model.next = model.next.max(slot + 1);
                }
            }
            _ => {
                let attempt = u32::try_from(draw(2)).unwrap();
                let digest = u8::try_from(draw(2)).unwrap();
                let frozen =
                    store.freeze("p", set(run, Slot(slot), Attempt(attempt), [digest; 32]), at(0)).await.is_ok();
                let open = was.is_none_or(|state| state == InputState::Pending);
                let fits = model.frozen.get(&slot).is_none_or(|before| *before == (attempt, digest));
                assert_eq!(frozen, open && fits);
                if frozen {
                    model.frozen.insert(slot, (attempt, digest));
                }
            }
        }
        assert_eq!(store.pending("p", run).await.unwrap(), model.pending());
    }
    let rows = store.rows("p", run).await.unwrap();
    let stored: BTreeMap<i64, InputState> = rows.into_iter().map(|row| (row.slot.0, row.state)).collect();
    assert_eq!(stored, model.slots);
}
