//! Notes of what parties were asked: the newest stay, until they are old or their party goes.

use tacit_model::{Attempt, RunId, Slot};
use tacit_store::{FreezeOutcome, JobProgress, JobRow, NewFreeze, What};

use crate::{Fixture, at, on_both, set};

fn job(number: i64, ended: Option<i64>) -> JobRow {
    JobRow {
        number,
        at: at(number),
        state: "asked".to_owned(),
        detail: String::new(),
        ended: ended.map(at),
        computed: 0,
        body: format!("job {number}"),
    }
}

async fn f04_the_newest_jobs_stay_until_they_are_old(f: &Fixture) {
    let s = &f.store;
    assert_eq!(s.take_up_jobs("p", "interrupted", at(0)).await.unwrap(), 0);
    s.note_jobs("p", vec![job(1, None), job(2, None)], vec![], 3).await.unwrap();
    s.note_jobs("q", vec![job(7, None)], vec![], 3).await.unwrap();
    let done = JobRow { state: "done".to_owned(), detail: "so".to_owned(), ..job(1, Some(5)) };
    s.note_jobs("p", vec![done.clone()], vec![], 3).await.unwrap();
    assert_eq!(s.jobs("p", 9).await.unwrap(), [job(2, None), done.clone()]);
    assert_eq!(s.jobs("p", 1).await.unwrap(), [job(2, None)]);
    // A node that starts again: what had not ended, did not end.
    assert_eq!(s.take_up_jobs("p", "interrupted", at(9)).await.unwrap(), 2);
    let cut = JobRow { state: "interrupted".to_owned(), ..job(2, Some(9)) };
    assert_eq!(s.jobs("p", 9).await.unwrap(), [cut, done]);
    s.note_jobs("p", (3..=5).map(|number| job(number, None)).collect(), vec![], 3).await.unwrap();
    let numbers = async |party| s.jobs(party, 9).await.unwrap().iter().map(|row| row.number).collect::<Vec<_>>();
    assert_eq!((numbers("p").await, numbers("q").await), (vec![5, 4, 3], vec![7]));
    s.purge(at(5)).await.unwrap();
    assert_eq!((numbers("p").await, numbers("q").await), (vec![5], vec![7]));
}

/// However many a party is asked and declines, those that it computed stay.
async fn f04_jobs_that_were_declined_push_out_none_that_were_computed(f: &Fixture) {
    let s = &f.store;
    let computed = |number| JobRow { computed: 1, ..job(number, None) };
    s.note_jobs("p", (1..=4).map(computed).collect(), vec![], 3).await.unwrap();
    for first in [5, 55] {
        s.note_jobs("p", (first..first + 50).map(|number| job(number, Some(number))).collect(), vec![], 3)
            .await
            .unwrap();
    }
    let numbers = async |max| s.jobs("p", max).await.unwrap().iter().map(|row| row.number).collect::<Vec<_>>();
    assert_eq!(numbers(9).await, [104, 103, 102, 4, 3, 2]);
    assert_eq!(numbers(1).await, [104, 4]);
    // What was asked first and computed then changes sides.
    s.note_jobs("p", vec![computed(104)], vec![], 3).await.unwrap();
    assert_eq!(numbers(9).await, [104, 103, 102, 4, 3]);
}

/// Nothing is opened that the owner cannot read of, and what is not frozen leaves nothing.
async fn f04_a_job_is_noted_with_the_freeze_or_not_at_all(f: &Fixture) {
    let s = &f.store;
    let frozen = |digest, number| NewFreeze {
        job: Some(job(number, None)),
        ..set(RunId(-3), Slot(0), Attempt(0), [digest; 32])
    };
    assert_eq!(s.freeze("p", frozen(1, 1), at(1)).await, Ok(FreezeOutcome::Fresh));
    assert_eq!(s.freeze("p", frozen(2, 2), at(2)).await, Err(What::Frozen.into()));
    assert_eq!(s.jobs("p", 9).await.unwrap(), [job(1, None)]);
    let done = JobRow { state: "done".to_owned(), ..job(1, Some(5)) };
    s.note_jobs("p", vec![done.clone()], vec![], 3).await.unwrap();
    assert_eq!(s.jobs("p", 9).await.unwrap(), [done]);
}

/// A note from before the session began may be on its way while the freeze notes all of it; and how it ended changes nothing
/// else.
async fn f04_a_job_that_was_overtaken_by_its_freeze_changes_nothing(f: &Fixture) {
    let s = &f.store;
    let whole = JobRow { computed: 1, state: "computing".to_owned(), body: "all of it".to_owned(), ..job(1, None) };
    let frozen = NewFreeze { job: Some(whole.clone()), ..set(RunId(-3), Slot(0), Attempt(0), [1; 32]) };
    assert_eq!(s.freeze("p", frozen, at(1)).await, Ok(FreezeOutcome::Fresh));
    s.note_jobs("p", vec![job(1, None)], vec![], 3).await.unwrap();
    assert_eq!(s.jobs("p", 9).await.unwrap(), std::slice::from_ref(&whole));
    let ended = |number| JobProgress { number, state: "done".to_owned(), detail: "so".to_owned(), ended: Some(at(5)) };
    s.note_jobs("p", vec![], vec![ended(1), ended(2)], 3).await.unwrap();
    let done = JobRow { state: "done".to_owned(), detail: "so".to_owned(), ended: Some(at(5)), ..whole };
    assert_eq!(s.jobs("p", 9).await.unwrap(), [done]);
}

on_both! {
    f04_the_newest_jobs_stay_until_they_are_old,
    f04_jobs_that_were_declined_push_out_none_that_were_computed,
    f04_a_job_is_noted_with_the_freeze_or_not_at_all,
    f04_a_job_that_was_overtaken_by_its_freeze_changes_nothing,
}
