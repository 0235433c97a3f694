//! What durable writes cost. Prints figures; fails only where group commit does not share syncs at all.

use std::time::{Duration, Instant};

use tacit_model::{Attempt, RunId, Slot};

use crate::queue::{LIMIT, result, row};
use crate::{Fixture, at, on_both, set};

on_both!(group_commit_shares_syncs);

#[allow(clippy::disallowed_methods, reason = "this measures")]
fn clock() -> Instant {
    Instant::now()
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

async fn group_commit_shares_syncs(f: &Fixture) {
    let run = RunId(1);
    let mut appends = Vec::new();
    let mut freezes = Vec::new();
    let mut commits = Vec::new();
    for slot in 0..100 {
        let start = clock();
        f.store.append_rows("p", run, &[row("1;2")], LIMIT, at(0)).await.unwrap();
        appends.push(start.elapsed());
        let start = clock();
        f.store.freeze("p", set(run, Slot(slot), Attempt(0), [1; 32]), at(0)).await.unwrap();
        freezes.push(start.elapsed());
        let start = clock();
        f.store.commit_result("p", run, Slot(slot), result(slot), true).await.unwrap();
        commits.push(start.elapsed());
    }
    let mut together = Vec::new();
    for slot in 0..40 {
        let start = clock();
        let calls: Vec<_> = (0..11)
            .map(|party| {
                let store = f.store.clone();
                tokio::spawn(async move {
                    let name = format!("party {party}");
                    store.freeze(&name, set(RunId(1), Slot(slot), Attempt(0), [1; 32]), at(0)).await.unwrap();
                })
            })
            .collect();
        for call in calls {
            call.await.unwrap();
        }
        together.push(start.elapsed());
    }
    let (append, freeze, commit, eleven) = (median(appends), median(freezes), median(commits), median(together));
    println!(
        "{}: append {append:?}, freeze {freeze:?}, commit {commit:?}, 11 freezes at once {eleven:?}",
        f.store.kind()
    );
    assert!(eleven < freeze * 11 + Duration::from_millis(50), "11 freezes at once cost as much as one by one");
}
