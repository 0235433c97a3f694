//! Input rows, freezes, results.

use tacit_model::{Attempt, RunId, SessionId, Slot};
use tacit_store::{
    FreezeOutcome, InputState, NewRow, Redacted, ResultRow, SessionClaim, Store, StoreError, What, Windows,
};

use crate::{Fixture, at, on_both, set};

on_both!(
    rows_take_consecutive_slots,
    the_queue_is_all_or_nothing,
    slots_that_are_over_are_skipped,
    explicit_slots_are_idempotent,
    rows_at_slots_are_all_or_nothing_and_gaps_are_found,
    one_set_is_frozen_per_slot,
    two_sets_race_to_the_freeze,
    a_result_takes_the_input_away,
    of_many_results_one_answer_holds_some,
    a_failed_slot_is_spent,
    leftovers_are_never_carried_over,
    concurrent_appends_share_no_slot,
    many_rows_at_once,
    purge_keeps_slot_numbers,
);

pub(crate) const LIMIT: usize = 100_000;
pub(crate) const RUN: RunId = RunId(1);

pub(crate) fn row(text: &str) -> NewRow {
    NewRow { slot_start: None, data: Redacted(text.as_bytes().to_vec()) }
}

pub(crate) fn result(slot: i64) -> ResultRow {
    ResultRow {
        slot: Slot(slot),
        session: SessionId([4; 16]),
        values_json: "[3,8]".into(),
        contributors: 3,
        agreement: vec![1, 2, 3],
        at: at(7),
    }
}

async fn data(store: &Store, slot: i64) -> Option<Vec<u8>> {
    store.row("p", RUN, Slot(slot)).await.unwrap().and_then(|row| row.data).map(|data| data.0)
}

async fn rows_take_consecutive_slots(f: &Fixture) {
    let s = &f.store;
    assert_eq!(s.append_rows("p", RUN, &[], LIMIT, at(0)).await.unwrap(), Slot(0));
    let dated = NewRow { slot_start: Some(at(300_000)), ..row("b") };
    assert_eq!(s.append_rows("p", RUN, &[row("a"), dated], LIMIT, at(0)).await.unwrap(), Slot(0));
    assert_eq!(s.append_rows("p", RUN, &[row("c")], LIMIT, at(0)).await.unwrap(), Slot(2));
    assert_eq!(s.append_rows("q", RUN, &[row("x")], LIMIT, at(0)).await.unwrap(), Slot(0));
    assert_eq!(s.append_rows("p", RunId(2), &[row("y")], LIMIT, at(0)).await.unwrap(), Slot(0));
    let second = s.row("p", RUN, Slot(1)).await.unwrap().unwrap();
    assert_eq!((second.slot_start, second.state), (Some(at(300_000)), InputState::Pending));
    assert!(!format!("{second:?}").contains("98"), "input shows in Debug");
    assert_eq!(data(s, 2).await.as_deref(), Some(&b"c"[..]));
    assert_eq!(s.pending("p", RUN).await.unwrap(), 3);
    let all = s.rows("p", RUN).await.unwrap();
    assert_eq!(all.iter().map(|row| row.slot.0).collect::<Vec<_>>(), vec![0, 1, 2]);
    assert!(all.iter().all(|row| row.data.is_none()));
    let waiting = s.waiting_slots("p", RUN, Slot(1), Slot(i64::MAX)).await.unwrap();
    assert_eq!(waiting, [Slot(1), Slot(2)]);
    s.fail_slot("p", RUN, Slot(1), "lost", at(0)).await.unwrap();
    assert_eq!(s.waiting_slots("p", RUN, Slot(0), Slot(2)).await.unwrap(), [Slot(0)]);
    // A task has no queue that could be closed.
    s.fail_slot("p", RunId(-5), Slot(0), "lost", at(0)).await.unwrap();
    assert_eq!(s.unclosed_runs("p").await.unwrap(), vec![RUN, RunId(2)]);
}

async fn the_queue_is_all_or_nothing(f: &Fixture) {
    let s = &f.store;
    s.append_rows("p", RUN, &[row("a"), row("b")], 3, at(0)).await.unwrap();
    let full = Err(StoreError::QueueFull { pending: 2, limit: 3 });
    assert_eq!(s.append_rows("p", RUN, &[row("c"), row("d")], 3, at(0)).await, full);
    assert_eq!(s.pending("p", RUN).await.unwrap(), 2);
    assert_eq!(s.append_rows("p", RUN, &[row("c")], 3, at(0)).await.unwrap(), Slot(2));
    let full = StoreError::QueueFull { pending: 3, limit: 3 };
    assert_eq!(put(s, 9, "z", 3).await, Err(full));
    s.commit_result("p", RUN, Slot(0), result(0), false).await.unwrap();
    assert_eq!(s.append_rows("p", RUN, &[row("d")], 3, at(0)).await.unwrap(), Slot(3));
}

async fn slots_that_are_over_are_skipped(f: &Fixture) {
    let s = &f.store;
    s.skip_slots("p", RUN, Slot(4)).await.unwrap();
    assert_eq!(s.append_rows("p", RUN, &[row("a")], LIMIT, at(0)).await.unwrap(), Slot(4));
    s.skip_slots("p", RUN, Slot(2)).await.unwrap();
    assert_eq!(s.append_rows("p", RUN, &[row("b")], LIMIT, at(0)).await.unwrap(), Slot(5));
    assert_eq!(s.pending("p", RUN).await.unwrap(), 2);
}

/// Puts one row at a slot of its own.
async fn put(s: &Store, slot: i64, text: &str, limit: usize) -> Result<(), StoreError> {
    s.put_rows_at("p", RUN, &[(Slot(slot), row(text))], limit, at(0)).await
}

async fn explicit_slots_are_idempotent(f: &Fixture) {
    let s = &f.store;
    put(s, 5, "a", LIMIT).await.unwrap();
    put(s, 5, "a", LIMIT).await.unwrap();
    assert_eq!(put(s, 5, "b", LIMIT).await, Err(What::SlotUsed.into()));
    put(s, 2, "c", LIMIT).await.unwrap();
    assert_eq!(s.append_rows("p", RUN, &[row("d")], LIMIT, at(0)).await.unwrap(), Slot(6));
    assert_eq!(s.pending("p", RUN).await.unwrap(), 3);
    s.commit_result("p", RUN, Slot(5), result(5), false).await.unwrap();
    assert_eq!(put(s, 5, "a", LIMIT).await, Err(What::SlotUsed.into()));
    assert_eq!(put(s, i64::MAX, "a", LIMIT).await, Err(What::SlotUsed.into()));
}

async fn rows_at_slots_are_all_or_nothing_and_gaps_are_found(f: &Fixture) {
    let s = &f.store;
    let gap = async |from| s.first_gap("p", RUN, Slot(from)).await.unwrap().0;
    let put = async |rows: &[(i64, &str)], limit| {
        let rows: Vec<_> = rows.iter().map(|(slot, text)| (Slot(*slot), row(text))).collect();
        s.put_rows_at("p", RUN, &rows, limit, at(0)).await
    };
    assert_eq!((gap(0).await, gap(7).await), (0, 7));
    put(&[(1, "b"), (0, "a"), (3, "d")], LIMIT).await.unwrap();
    assert_eq!((gap(0).await, gap(1).await, gap(2).await, gap(3).await), (2, 2, 2, 4));
    // One that does not fit, and none is taken; the same ones again, and nothing changes.
    assert_eq!(put(&[(4, "e"), (0, "other")], LIMIT).await, Err(What::SlotUsed.into()));
    assert!(matches!(put(&[(4, "e"), (5, "f")], 4).await, Err(StoreError::QueueFull { .. })));
    put(&[(0, "a"), (3, "d")], 3).await.unwrap();
    assert_eq!((s.pending("p", RUN).await.unwrap(), gap(3).await), (3, 4));
    // A slot that ended without a row is no gap.
    s.commit_result("p", RUN, Slot(2), result(2), false).await.unwrap();
    assert_eq!(gap(0).await, 4);
    assert_eq!(put(&[(2, "c")], LIMIT).await, Err(What::SlotUsed.into()));
}

async fn one_set_is_frozen_per_slot(f: &Fixture) {
    let s = &f.store;
    let freeze = |attempt, digest| s.freeze("p", set(RUN, Slot(0), Attempt(attempt), [digest; 32]), at(3));
    assert_eq!(s.frozen("p", RUN, Slot(0)).await.unwrap(), None);
    assert_eq!(freeze(0, 1).await.unwrap(), FreezeOutcome::Fresh);
    assert_eq!(freeze(0, 1).await.unwrap(), FreezeOutcome::Same);
    assert_eq!(freeze(0, 2).await, Err(What::Frozen.into()));
    assert_eq!(freeze(1, 1).await, Err(What::Frozen.into()));
    let frozen = s.frozen("p", RUN, Slot(0)).await.unwrap().unwrap();
    assert_eq!((frozen.attempt, frozen.set_digest, frozen.at), (Attempt(0), [1; 32], at(3)));
    s.commit_result("p", RUN, Slot(0), result(0), false).await.unwrap();
    assert_eq!(freeze(0, 1).await, Err(What::SlotUsed.into()), "an ended slot is opened no more");
    s.fail_slot("p", RUN, Slot(1), "late", at(0)).await.unwrap();
    let spent = s.freeze("p", set(RUN, Slot(1), Attempt(0), [1; 32]), at(3)).await;
    assert_eq!(spent, Err(What::SlotUsed.into()));
}

async fn two_sets_race_to_the_freeze(f: &Fixture) {
    for slot in 0..10 {
        let calls: Vec<_> = (0..8u8)
            .map(|i| {
                let store = f.store.clone();
                tokio::spawn(async move {
                    store.freeze("p", set(RUN, Slot(slot), Attempt(u32::from(i % 2)), [i / 2; 32]), at(0)).await
                })
            })
            .collect();
        let mut fresh = 0;
        for call in calls {
            match call.await.unwrap() {
                Ok(FreezeOutcome::Fresh) => fresh += 1,
                Ok(FreezeOutcome::Same) => panic!("all calls differ"),
                Err(error) => assert_eq!(error, What::Frozen.into()),
            }
        }
        assert_eq!(fresh, 1);
    }
}

async fn of_many_results_one_answer_holds_some(f: &Fixture) {
    let s = &f.store;
    for slot in 0..5 {
        // The first is longer than an answer, and the last two have no room beside each other.
        let values_json = "x".repeat([5 << 20, 1, 1, 3 << 20, 3 << 20][usize::try_from(slot).unwrap()]);
        s.commit_result("p", RUN, Slot(slot), ResultRow { values_json, ..result(slot) }, false).await.unwrap();
    }
    for (which, most, expected, more) in [
        (Windows::Newest, 9, &[4][..], true),
        (Windows::From(Slot(0)), 9, &[0], true),
        (Windows::From(Slot(1)), 9, &[1, 2, 3], true),
        (Windows::From(Slot(1)), 2, &[1, 2], true),
        (Windows::From(Slot(4)), 1, &[4], false),
        (Windows::From(Slot(5)), 9, &[], false),
    ] {
        let (found, are_more) = s.results("p", RUN, which, most).await.unwrap();
        let found: Vec<i64> = found.iter().map(|row| row.slot.0).collect();
        assert_eq!((found.as_slice(), are_more), (expected, more), "{which:?} {most}");
    }
}

async fn a_result_takes_the_input_away(f: &Fixture) {
    let s = &f.store;
    s.append_rows("p", RUN, &[row("secret")], LIMIT, at(0)).await.unwrap();
    s.commit_result("p", RUN, Slot(0), result(0), true).await.unwrap();
    let left = s.row("p", RUN, Slot(0)).await.unwrap().unwrap();
    assert_eq!((left.state, left.data, left.ended), (InputState::Done, None, Some(at(7))));
    assert_eq!(s.pending("p", RUN).await.unwrap(), 0);
    s.commit_result("p", RUN, Slot(0), result(0), true).await.unwrap();
    let other = ResultRow { values_json: "[4,8]".into(), ..result(0) };
    assert_eq!(s.commit_result("p", RUN, Slot(0), other, true).await, Err(What::ResultExists.into()));
    assert_eq!(s.results("p", RUN, Windows::Newest, 9).await.unwrap(), (vec![result(0)], false));
    assert_eq!(s.outbox_pending("p", RUN).await.unwrap().len(), 1);
    // A privacy peer has no row of its own; its slot is used all the same.
    s.commit_result("v", RUN, Slot(0), result(0), false).await.unwrap();
    assert_eq!(s.append_rows("v", RUN, &[row("x")], LIMIT, at(0)).await.unwrap(), Slot(1));
    assert_eq!(s.result("v", RUN, Slot(0)).await.unwrap(), Some(result(0)));
    assert_eq!(s.outbox_pending("v", RUN).await.unwrap(), vec![]);
}

async fn a_failed_slot_is_spent(f: &Fixture) {
    let s = &f.store;
    s.append_rows("p", RUN, &[row("a"), row("b")], LIMIT, at(0)).await.unwrap();
    s.fail_slot("p", RUN, Slot(0), "a peer was late", at(2)).await.unwrap();
    s.fail_slot("p", RUN, Slot(0), "again", at(3)).await.unwrap();
    let left = s.row("p", RUN, Slot(0)).await.unwrap().unwrap();
    assert_eq!((left.state, left.data, left.reason.as_deref()), (InputState::Failed, None, Some("a peer was late")));
    assert_eq!(s.commit_result("p", RUN, Slot(0), result(0), true).await, Err(What::SlotUsed.into()));
    assert_eq!(s.result("p", RUN, Slot(0)).await.unwrap(), None, "a refused result leaves nothing");
    assert_eq!(s.outbox_pending("p", RUN).await.unwrap(), vec![]);
    s.commit_result("p", RUN, Slot(1), result(1), false).await.unwrap();
    assert_eq!(s.fail_slot("p", RUN, Slot(1), "no", at(0)).await, Err(What::ResultExists.into()));
    assert_eq!(s.pending("p", RUN).await.unwrap(), 0);
    assert_eq!(s.row("p", RUN, Slot(1)).await.unwrap().unwrap().state, InputState::Done);
}

async fn leftovers_are_never_carried_over(f: &Fixture) {
    let s = &f.store;
    s.append_rows("p", RUN, &[row("a"), row("b"), row("c")], LIMIT, at(0)).await.unwrap();
    s.commit_result("p", RUN, Slot(0), result(0), false).await.unwrap();
    assert_eq!(s.close_run_rows("p", RUN, at(9)).await.unwrap(), 2);
    assert_eq!(s.close_run_rows("p", RUN, at(10)).await.unwrap(), 2, "closing again says the same");
    assert_eq!(s.append_rows("p", RUN, &[row("d")], LIMIT, at(0)).await, Err(What::RunEnded.into()));
    assert_eq!(put(s, 8, "d", LIMIT).await, Err(What::RunEnded.into()));
    assert_eq!(data(s, 1).await, None);
    let states: Vec<_> = s.rows("p", RUN).await.unwrap().iter().map(|row| row.state).collect();
    assert_eq!(states, vec![InputState::Done, InputState::Unused, InputState::Unused]);
    assert_eq!(s.pending("p", RunId(2)).await.unwrap(), 0);
    assert_eq!(s.append_rows("p", RunId(2), &[row("e")], LIMIT, at(0)).await.unwrap(), Slot(0));
    assert_eq!(s.unclosed_runs("p").await.unwrap(), vec![RunId(2)]);
}

async fn concurrent_appends_share_no_slot(f: &Fixture) {
    let calls: Vec<_> = (0..40)
        .map(|i| {
            let store = f.store.clone();
            tokio::spawn(async move {
                let rows = [row(&format!("{i}a")), row(&format!("{i}b"))];
                (i, store.append_rows("p", RUN, &rows, 50, at(0)).await)
            })
        })
        .collect();
    let mut taken = 0;
    for call in calls {
        match call.await.unwrap() {
            (i, Ok(first)) => {
                taken += 2;
                assert_eq!(data(&f.store, first.0).await, Some(format!("{i}a").into_bytes()));
                assert_eq!(data(&f.store, first.0 + 1).await, Some(format!("{i}b").into_bytes()));
            }
            (_, Err(error)) => assert_eq!(error, StoreError::QueueFull { pending: 50, limit: 50 }),
        }
    }
    assert_eq!(taken, 50);
    assert_eq!(f.store.rows("p", RUN).await.unwrap().len(), 50);
}

async fn many_rows_at_once(f: &Fixture) {
    let rows: Vec<NewRow> = (0..20_001).map(|i| row(&i.to_string())).collect();
    assert_eq!(f.store.append_rows("p", RUN, &rows, LIMIT, at(0)).await.unwrap(), Slot(0));
    assert_eq!(data(&f.store, 20_000).await.as_deref(), Some(&b"20000"[..]));
    assert_eq!(f.store.rows("p", RUN).await.unwrap().len(), 20_001);
    assert_eq!(f.store.pending("p", RUN).await.unwrap(), 20_001);
}

async fn purge_keeps_slot_numbers(f: &Fixture) {
    let s = &f.store;
    s.append_rows("p", RUN, &[row("a"), row("b")], LIMIT, at(0)).await.unwrap();
    s.freeze("p", set(RUN, Slot(0), Attempt(0), [1; 32]), at(0)).await.unwrap();
    s.commit_result("p", RUN, Slot(0), result(0), true).await.unwrap();
    let claim = SessionClaim { session: SessionId([1; 16]), run: RUN, slot: Slot(0), charter: [7; 32] };
    s.claim_session("p", claim, at(0)).await.unwrap();
    let purged = s.purge(at(100)).await.unwrap();
    assert_eq!((purged.rows, purged.sessions), (0, 0), "an open run keeps everything");
    s.close_run_rows("p", RUN, at(50)).await.unwrap();
    let purged = s.purge(at(100)).await.unwrap();
    assert_eq!((purged.rows, purged.freezes, purged.results, purged.delivered), (2, 1, 1, 0));
    assert_eq!(s.outbox_pending("p", RUN).await.unwrap().len(), 1, "undelivered results stay");
    assert_eq!(s.append_rows("p", RUN, &[row("c")], LIMIT, at(0)).await, Err(What::RunEnded.into()));
    let late = s.freeze("p", set(RUN, Slot(0), Attempt(1), [2; 32]), at(0)).await;
    assert_eq!(late, Err(What::RunEnded.into()), "a purged slot cannot be opened again");
}
