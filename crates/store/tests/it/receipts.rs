//! Receipts, and those that are owed: written with the result, gone with the receipt.

use tacit_model::{Attempt, GroupId, RunId, SessionId, Slot};
use tacit_store::{OwedRow, ReceiptRow, SlotOutcome, SlotState, StoreError, What};

use crate::queue::result;
use crate::{Fixture, at, on_all};

const RUN: RunId = RunId(1);

pub(crate) fn owed(session: u8, moment: i64) -> OwedRow {
    let body = format!("owed {session}");
    OwedRow { session: SessionId([session; 16]), gid: GroupId(1), run: RUN, slot: Slot(0), body, at: at(moment) }
}

pub(crate) fn receipt(session: u8, moment: i64) -> ReceiptRow {
    let (session, body) = (SessionId([session; 16]), format!("receipt {session}"));
    ReceiptRow { session, gid: GroupId(1), run: RUN, slot: Slot(0), body, own: None, at: at(moment) }
}

/// What a result owes is there exactly if the result is.
async fn a_debt_is_made_with_its_result_and_ends_with_its_receipt(f: &Fixture) {
    let s = &f.store;
    s.commit_result_owing("p", RUN, Slot(0), result(0), false, Some(owed(1, 0))).await.unwrap();
    assert_eq!(s.owed("p", SessionId([1; 16])).await.unwrap(), Some(owed(1, 0)));
    let mut other = result(0);
    other.values_json = "other".to_owned();
    let refused = s.commit_result_owing("p", RUN, Slot(0), other, false, Some(owed(2, 0))).await;
    assert_eq!(refused, Err(What::ResultExists.into()));
    s.owe("p", owed(3, 5)).await.unwrap();
    s.owe("p", OwedRow { body: "again".to_owned(), ..owed(3, 9) }).await.unwrap();
    assert_eq!(s.all_owed("p", 9).await.unwrap(), [owed(3, 5), owed(1, 0)]);
    assert_eq!(s.all_owed("p", 1).await.unwrap(), [owed(3, 5)]);
    assert!(!s.has_receipt("p", GroupId(1), RUN, Slot(0)).await.unwrap());
    s.put_receipt("p", receipt(3, 6)).await.unwrap();
    let line = ReceiptRow { body: String::new(), ..receipt(3, 6) };
    assert_eq!(s.receipts("p", 9).await.unwrap(), [line], "a list holds no documents");
    assert!(s.has_receipt("p", GroupId(1), RUN, Slot(0)).await.unwrap());
    assert!(!s.has_receipt("p", GroupId(1), RUN, Slot(1)).await.unwrap());
    assert_eq!(s.all_owed("p", 9).await.unwrap(), [owed(1, 0)]);
    // The gateway's is another one, and what is not of its run is refused with the outcome.
    let gid = s.create_group("a", "t", at(0)).await.unwrap().gid;
    let run = s.start_run(gid, [1; 32], at(0)).await.unwrap().run;
    let session = SessionId([1; 16]);
    let attempt = s.record_attempt(gid, run, Slot(0), session, at(0)).await.unwrap();
    let outcome = SlotOutcome {
        gid,
        run,
        slot: Slot(0),
        attempt,
        session,
        state: SlotState::Done,
        detail: None,
        contributors: Some(3),
        agreement: Some(vec![1, 2]),
        updated: at(1),
    };
    let late = SlotOutcome { attempt: Attempt(7), ..outcome.clone() };
    assert!(matches!(s.slot_outcome_owing(late, Some(owed(1, 0))).await, Err(StoreError::Conflict { .. })));
    assert_eq!(s.owed("", session).await.unwrap(), None);
    s.slot_outcome_owing(outcome, Some(owed(1, 0))).await.unwrap();
    assert_eq!(s.owed("", session).await.unwrap(), Some(owed(1, 0)));
    s.put_receipt("", receipt(1, 7)).await.unwrap();
    assert_eq!((s.owed("", session).await.unwrap(), s.all_owed("p", 9).await.unwrap().len()), (None, 1));
    // Nobody pays for a group that is gone, or for what its party forgot.
    s.owe("", OwedRow { gid, ..owed(4, 0) }).await.unwrap();
    s.delete_group(gid, at(9)).await.unwrap();
    assert_eq!(s.all_owed("", 9).await.unwrap(), []);
    s.purge(at(1)).await.unwrap();
    assert_eq!(s.all_owed("p", 9).await.unwrap(), []);
}

async fn receipts_are_found_by_their_moment(f: &Fixture) {
    let s = &f.store;
    for (session, moment) in [(1, 10), (2, 30), (3, 20)] {
        s.put_receipt("", receipt(session, moment)).await.unwrap();
    }
    s.put_receipt("p", receipt(4, 40)).await.unwrap();
    let since = async |moment, max| s.receipts_since("", GroupId(1), at(moment), max).await.unwrap();
    assert_eq!(since(0, 9).await, [receipt(1, 10), receipt(3, 20), receipt(2, 30)]);
    assert_eq!(since(20, 9).await, [receipt(3, 20), receipt(2, 30)]);
    assert_eq!(since(0, 1).await, [receipt(1, 10)]);
    // Who asks on from the last one's moment comes further, also where more of one moment are there than it asks for.
    assert_eq!(since(10, 2).await, [receipt(1, 10), receipt(3, 20)]);
    for session in 5..8 {
        s.put_receipt("", ReceiptRow { slot: Slot(i64::from(session)), ..receipt(session, 20) }).await.unwrap();
    }
    let further = since(20, 2).await;
    assert_eq!(further.iter().map(|row| row.slot.0).collect::<Vec<_>>(), [0, 5, 6, 7, 0]);
    assert_eq!(further.last(), Some(&receipt(2, 30)));
    assert_eq!(s.receipts_since("", GroupId(2), at(0), 9).await.unwrap(), []);
}

on_all!(receipts_are_found_by_their_moment; alone: a_debt_is_made_with_its_result_and_ends_with_its_receipt);
