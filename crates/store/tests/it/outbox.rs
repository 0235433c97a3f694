//! Results on their way.

use tacit_model::{RunId, Slot};
use tacit_store::What;

use crate::queue::{RUN, result};
use crate::{Fixture, at, on_both};

on_both!(a_batch_has_one_key_for_ever, batches_are_retried_until_delivered);

async fn fill(f: &Fixture, slots: i64) {
    for slot in 0..slots {
        f.store.commit_result("p", RUN, Slot(slot), result(slot), true).await.unwrap();
    }
}

async fn a_batch_has_one_key_for_ever(f: &Fixture) {
    fill(f, 4).await;
    let s = &f.store;
    let assign = |slots: &'static [Slot], key| s.outbox_assign_batch("p", RUN, slots, key, at(0));
    assign(&[Slot(1), Slot(0)], "k1").await.unwrap();
    assign(&[Slot(0), Slot(1)], "k1").await.unwrap();
    assert_eq!(assign(&[Slot(0)], "k1").await, Err(What::Batch.into()));
    assert_eq!(assign(&[Slot(1), Slot(2)], "k2").await, Err(What::Batch.into()));
    assert_eq!(s.outbox_assign_batch("q", RUN, &[Slot(0), Slot(1)], "k1", at(0)).await, Err(What::Batch.into()));
    let waiting: Vec<i64> = s.outbox_pending("p", RUN).await.unwrap().iter().map(|row| row.slot.0).collect();
    assert_eq!(waiting, vec![2, 3], "a refused batch takes nothing");
    assert!(assign(&[], "k3").await.is_err());
    assert_eq!(assign(&[Slot(9)], "k3").await, Err(What::Batch.into()));
    assert_eq!(s.outbox_batches_open().await.unwrap().len(), 1);
}

async fn batches_are_retried_until_delivered(f: &Fixture) {
    fill(f, 3).await;
    let s = &f.store;
    s.outbox_assign_batch("p", RUN, &[Slot(2)], "late", at(0)).await.unwrap();
    s.outbox_assign_batch("p", RUN, &[Slot(0), Slot(1)], "early", at(0)).await.unwrap();
    let open = s.outbox_batches_open().await.unwrap();
    assert_eq!(open.iter().map(|batch| batch.batch_key.as_str()).collect::<Vec<_>>(), vec!["early", "late"]);
    assert_eq!(open[0].rows.iter().map(|row| row.slot.0).collect::<Vec<_>>(), vec![0, 1]);
    assert_eq!((open[0].party.as_str(), open[0].run, open[0].attempts), ("p", RunId(1), 0));
    s.outbox_retry("early", at(500)).await.unwrap();
    let again = s.outbox_batches_open().await.unwrap();
    assert_eq!((again.len(), again[0].attempts, again[0].next_at), (2, 1, at(500)));
    s.outbox_delivered("early", at(600)).await.unwrap();
    s.outbox_delivered("early", at(601)).await.unwrap();
    assert!(s.outbox_delivered("unknown", at(0)).await.is_err());
    assert!(s.outbox_retry("unknown", at(0)).await.is_err());
    assert_eq!(s.outbox_batches_open().await.unwrap().len(), 1);
    assert_eq!(s.purge(at(1000)).await.unwrap().delivered, 2);
}
