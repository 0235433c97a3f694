//! Tasks that an owner is asked about: what was refused is not bound, what is bound is not refused.

use tacit_model::{Attempt, RunId, Slot};
use tacit_store::{ApprovalRow, FreezeOutcome, NewFreeze, Store, StoreError, What};

use crate::tasks::taken;
use crate::{Fixture, at, on_both, set};

on_both! {
    f05_what_the_owner_has_refused_is_not_frozen,
    f05_what_the_owner_has_refused_is_not_given,
    f05_of_a_refusal_and_a_freeze_at_once_one_is_in_vain,
}

/// The owner is asked about the task of this run.
async fn ask(s: &Store, run: i64) {
    let row = ApprovalRow {
        task: format!("task {run}"),
        state: "waiting".to_owned(),
        ask_json: "{}".to_owned(),
        client: None,
        asked: at(0),
        decided: None,
    };
    s.ask_owner("p", row).await.unwrap();
}

/// The owner decides on the task of this run, whose last computation is this one; whether that counts.
async fn decide(s: &Store, run: i64, last: i64, state: &str) -> bool {
    s.decide_approval("p", &format!("task {run}"), state, (RunId(run), Slot(last)), at(1)).await.unwrap()
}

/// A freeze of a party that asks its owner, without anything to be noted.
fn approved(run: i64, slot: i64) -> NewFreeze {
    NewFreeze { approved: Some(format!("task {run}")), ..set(RunId(run), Slot(slot), Attempt(0), [4; 32]) }
}

async fn f05_what_the_owner_has_refused_is_not_frozen(f: &Fixture) {
    let s = &f.store;
    for run in [-1, -2, -3] {
        ask(s, run).await;
    }
    let refused: Result<FreezeOutcome, StoreError> = Err(What::Refused.into());
    assert!(decide(s, -1, 0, "refused").await);
    assert_eq!(s.freeze("p", approved(-1, 0), at(2)).await, refused);
    // Nothing of it is left.
    let given = || NewFreeze { taken: vec![taken(-1, 0, 100, 7)], ..approved(-1, 0) };
    assert_eq!(s.freeze("p", given(), at(2)).await, refused);
    assert_eq!(s.frozen("p", RunId(-1), Slot(0)).await.unwrap(), None);
    assert_eq!(s.look().asked_since("p", at(0)).await.unwrap(), 0);
    // The owner thinks again.
    assert!(decide(s, -1, 0, "approved").await);
    assert_eq!(s.freeze("p", given(), at(3)).await, Ok(FreezeOutcome::Fresh));
    // From then on it is too late to refuse.
    assert!(!decide(s, -1, 0, "refused").await);
    assert_eq!(s.approval("p", "task -1").await.unwrap().unwrap().state, "approved");
    assert_eq!(s.freeze("p", given(), at(4)).await, Ok(FreezeOutcome::Same));

    // Of a task with a second computation, that one can be; the first stays what it is.
    assert!(decide(s, -2, 1, "approved").await);
    assert_eq!(s.freeze("p", approved(-2, 0), at(5)).await, Ok(FreezeOutcome::Fresh));
    assert!(decide(s, -2, 1, "refused").await);
    assert_eq!(s.freeze("p", approved(-2, 0), at(6)).await, Ok(FreezeOutcome::Same));
    assert_eq!(s.freeze("p", approved(-2, 1), at(6)).await, refused);

    // Other parties have owners of their own.
    assert!(decide(s, -3, 0, "refused").await);
    assert_eq!(s.freeze("q", approved(-3, 0), at(7)).await, Ok(FreezeOutcome::Fresh));
    assert!(!decide(s, -4, 0, "refused").await, "nobody was asked");
}

/// Who only gives has no freeze of its own.
async fn f05_what_the_owner_has_refused_is_not_given(f: &Fixture) {
    let s = &f.store;
    ask(s, -1).await;
    let give =
        async || s.note_asked("p", vec![taken(-1, 0, 100, 7)], Vec::new(), true, Some("task -1".to_owned())).await;
    assert!(decide(s, -1, 0, "refused").await);
    assert_eq!(give().await, Err(What::Refused.into()));
    assert_eq!(s.look().asked_since("p", at(0)).await.unwrap(), 0);
    assert!(decide(s, -1, 0, "approved").await);
    assert_eq!(give().await, Ok(()));
    assert_eq!(s.look().asked_since("p", at(0)).await.unwrap(), 1);
}

async fn f05_of_a_refusal_and_a_freeze_at_once_one_is_in_vain(f: &Fixture) {
    let s = &f.store;
    for run in -20..0 {
        ask(s, run).await;
        let (freezes, refuses) = (s.clone(), s.clone());
        let frozen = tokio::spawn(async move { freezes.freeze("p", approved(run, 0), at(2)).await });
        let refused = tokio::spawn(async move { decide(&refuses, run, 0, "refused").await });
        match (frozen.await.unwrap(), refused.await.unwrap()) {
            (Ok(FreezeOutcome::Fresh), false) => {}
            (Err(error), true) => assert_eq!(error, What::Refused.into()),
            other => panic!("{other:?}"),
        }
    }
}
