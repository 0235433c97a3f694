//! What goes when it is old, and what must never be possible again when it has gone.

use tacit_model::{Attempt, RunId, SessionId, Slot, UnixMillis};
use tacit_store::{
    Added, ApprovalRow, EvidenceRow, FreezeOutcome, NewFreeze, RunState, SessionClaim, SlotOutcome, SlotState, Store,
    What, Windows,
};

use crate::opened::{company, over};
use crate::runs::party;
use crate::tasks::{of_task, taken};
use crate::{Fixture, at, on_both, on_replicas, set};

on_both! {
    rule3_a_forgotten_task_is_not_opened_again,
    a_clock_that_was_wrong_once_shuts_no_later_task_out,
    what_was_given_is_known_as_long_as_there_are_samples,
    rule3_it_is_told_when_what_was_given_is_replaced,
    rule3_what_was_given_is_known_as_long_as_whose_it_was,
    of_too_many_samples_the_newest_stay,
    what_belongs_to_a_task_goes,
    a_gateway_forgets_what_is_over,
}
on_replicas!(a_gateway_forgets_what_is_over);

/// Ten minutes, in which clocks may differ.
const AHEAD: i64 = 10 * 60_000;
const TASK: RunId = RunId(-3);

fn frozen(digest: u8, moment: UnixMillis) -> NewFreeze {
    NewFreeze { moment: Some(moment), ..set(TASK, Slot(0), Attempt(0), [digest; 32]) }
}

async fn rule3_a_forgotten_task_is_not_opened_again(f: &Fixture) {
    let s = &f.store;
    assert_eq!(s.freeze("p", frozen(4, at(0)), at(1)).await, Ok(FreezeOutcome::Fresh));
    assert_eq!(s.purge(at(1)).await.unwrap().freezes, 0, "not old enough");
    assert_eq!(s.freeze("p", frozen(5, at(0)), at(2)).await, Err(What::Frozen.into()));
    assert_eq!(s.purge(at(2)).await.unwrap().freezes, 1);
    assert_eq!(s.frozen("p", TASK, Slot(0)).await.unwrap(), None, "the record is gone");
    // Nobody here takes part in it again: not with another set, nor with the same, nor in another session.
    for (digest, party) in [(5, "p"), (4, "p"), (5, "joined later")] {
        assert_eq!(s.freeze(party, frozen(digest, at(0)), at(3)).await, Err(What::SlotUsed.into()));
    }
    assert!(!s.look().is_untouched("p", TASK, Slot(0), at(0)).await.unwrap());
    assert!(
        s.look().is_forgotten(at(2 + AHEAD)).await.unwrap() && !s.look().is_forgotten(at(3 + AHEAD)).await.unwrap()
    );
    // Neither a clock that was set back nor a shorter memory takes that back.
    s.purge(at(-500_000)).await.unwrap();
    assert_eq!(s.freeze("p", frozen(5, at(2 + AHEAD)), at(-400_000)).await, Err(What::SlotUsed.into()));
    // What is for a later moment is a task like any other.
    assert!(s.look().is_untouched("p", TASK, Slot(0), at(3 + AHEAD)).await.unwrap());
    assert_eq!(s.freeze("p", frozen(5, at(3 + AHEAD)), at(4)).await, Ok(FreezeOutcome::Fresh));
    // Slots of a group's runs have no moment; their run is closed for ever.
    assert_eq!(s.freeze("p", set(RunId(1), Slot(0), Attempt(0), [1; 32]), at(4)).await, Ok(FreezeOutcome::Fresh));
    s.close_run_rows("p", RunId(1), at(5)).await.unwrap();
    assert_eq!(s.purge(at(6)).await.unwrap().freezes, 2);
    let again = s.freeze("p", set(RunId(1), Slot(0), Attempt(1), [2; 32]), at(7)).await;
    assert_eq!(again, Err(What::RunEnded.into()));
}

async fn a_clock_that_was_wrong_once_shuts_no_later_task_out(f: &Fixture) {
    const YEARS: i64 = 1_000_000_000_000;
    let s = &f.store;
    // Nothing is known, and nothing is forgotten.
    s.purge(at(YEARS)).await.unwrap();
    assert_eq!(s.freeze("p", frozen(4, at(0)), at(1)).await, Ok(FreezeOutcome::Fresh));
    assert_eq!(s.purge(at(YEARS)).await.unwrap().freezes, 1);
    // Its clock is right again.
    assert_eq!(s.freeze("p", frozen(5, at(0)), at(2)).await, Err(What::SlotUsed.into()));
    assert!(
        s.look().is_forgotten(at(2 + AHEAD)).await.unwrap() && !s.look().is_forgotten(at(3 + AHEAD)).await.unwrap()
    );
    assert_eq!(s.freeze("p", frozen(5, at(3 + AHEAD)), at(3 + AHEAD)).await, Ok(FreezeOutcome::Fresh));
}

/// After a change of members the next window is disjoint, however long ago the last one was.
async fn what_was_given_is_known_as_long_as_there_are_samples(f: &Fixture) {
    let s = &f.store;
    let temperature = ["temperature".to_owned()];
    let sample = |moment| (at(moment), [("temperature".to_owned(), tacit_store::Redacted(1))].into());
    s.add_samples("p", vec![sample(10), sample(90), sample(150)], 9).await.unwrap();
    s.note_asked("p", vec![taken(-1, 0, 100, 7)], Vec::new(), true, None).await.unwrap();
    assert_eq!(s.purge(at(1000)).await.unwrap().asked, 0);
    assert!(s.look().asked_with_others("p", &taken(-2, 50, 200, 8)).await.unwrap());
    assert_eq!(s.look().let_go_up_to("p").await.unwrap(), None);
    s.forget_samples("p", &temperature, at(50)).await.unwrap();
    assert_eq!(s.look().let_go_up_to("p").await.unwrap(), Some(at(10)));
    assert_eq!(s.purge(at(1000)).await.unwrap().asked, 0, "a sample of the window is left");
    s.forget_samples("p", &temperature, at(100)).await.unwrap();
    assert_eq!(s.purge(at(0)).await.unwrap().asked, 0, "not old enough");
    assert_eq!(s.purge(at(1000)).await.unwrap().asked, 1);
}

/// Whoever has a result over them may ask for the same again.
async fn rule3_it_is_told_when_what_was_given_is_replaced(f: &Fixture) {
    let s = &f.store;
    s.note_asked("p", vec![taken(-1, 0, 100, 7)], Vec::new(), true, None).await.unwrap();
    let add = async |party: &str, source: &str, moment, value| {
        let sample = (at(moment), [(source.to_owned(), tacit_store::Redacted(value))].into());
        s.add_samples(party, vec![sample], 99).await.unwrap().given
    };
    for (party, source, moment, value, given) in [
        ("p", "temperature", 50, 1, false),
        ("p", "temperature", 50, 1, false),
        ("p", "temperature", 50, 2, true),
        ("p", "temperature", 50, 2, false),
        ("p", "temperature", 100, 1, false),
        ("p", "temperature", 100, 2, false),
        ("p", "humidity", 50, 1, false),
        ("p", "humidity", 50, 2, false),
        ("q", "temperature", 50, 1, false),
        ("q", "temperature", 50, 2, false),
    ] {
        assert_eq!(add(party, source, moment, value).await, given, "{party} {source} {moment} {value}");
    }
    let held = s.look().samples("p", "temperature", at(0), at(1000)).await.unwrap();
    assert_eq!(held.iter().map(|sample| sample.value.0).collect::<Vec<_>>(), [2, 2], "it is replaced all the same");
}

/// The samples of a branch are not here, and those of a node that was restored not yet.
async fn rule3_what_was_given_is_known_as_long_as_whose_it_was(f: &Fixture) {
    let s = &f.store;
    let opened = vec![over(-1, 0, 100, &company(&[1, 2, 3], &[1, 2, 3], true))];
    let given = NewFreeze { taken: vec![taken(-1, 0, 100, 7)], opened, disjoint: true, ..frozen(4, at(0)) };
    let given = NewFreeze { run: RunId(-1), ..given };
    assert_eq!(s.freeze("p", given, at(1)).await, Ok(FreezeOutcome::Fresh));
    assert_eq!(s.purge(at(1000)).await.unwrap().asked, 0);
    assert!(s.look().asked_with_others("p", &taken(-2, 50, 200, 8)).await.unwrap());
    assert_eq!(s.forget_opened("p", at(101)).await.unwrap(), 1);
    assert_eq!(s.purge(at(1000)).await.unwrap().asked, 1);
}

/// A sensor measures on when its series is full.
async fn of_too_many_samples_the_newest_stay(f: &Fixture) {
    let s = &f.store;
    let sample = |moment, sources: &[&str]| {
        (at(moment), sources.iter().map(|source| ((*source).to_owned(), tacit_store::Redacted(1))).collect())
    };
    let held = async || {
        let mut look = s.look();
        let mut held = Vec::new();
        for source in ["a", "b", "c"] {
            let found = look.samples("p", source, at(0), at(1000)).await.unwrap();
            held.extend(found.into_iter().map(|row| (row.at.0, row.source)));
        }
        held.sort();
        held.into_iter().map(|(moment, source)| format!("{}{source}", moment - at(0).0)).collect::<Vec<_>>()
    };
    let gone = |gone| Ok(Added { gone, given: false });
    s.add_samples("q", vec![sample(1, &["a"])], 4).await.unwrap();
    assert_eq!(s.add_samples("p", vec![sample(10, &["a", "b"]), sample(30, &["a", "b"])], 4).await, gone(0));
    // A record goes whole.
    assert_eq!(s.add_samples("p", vec![sample(20, &["c"])], 4).await, gone(2));
    assert_eq!(held().await, ["20c", "30a", "30b"]);
    assert_eq!(s.look().let_go_up_to("p").await.unwrap(), Some(at(10)));
    // What is older than all that can be kept is not kept.
    assert_eq!(s.add_samples("p", vec![sample(5, &["a", "b"])], 4).await, gone(2));
    assert_eq!(held().await, ["20c", "30a", "30b"]);
    assert_eq!(s.look().let_go_up_to("p").await.unwrap(), Some(at(10)), "it never goes back");
    // One moment of more than may be kept is an error, and changes nothing.
    let full = s.add_samples("p", vec![sample(40, &["a", "b", "c"])], 2).await;
    assert_eq!(full, Err(tacit_store::StoreError::QueueFull { pending: 3, limit: 2 }));
    assert_eq!(held().await, ["20c", "30a", "30b"]);
    // A hundredth more than is needed.
    let many = (100..300).map(|moment| sample(moment, &["a"])).collect();
    assert_eq!(s.add_samples("p", many, 200).await, gone(5));
    assert_eq!(held().await.len(), 198);
    assert_eq!(s.sources("q").await.unwrap(), ["a"], "another party's are its own");
    // It is known after a restart, and goes with its party.
    let again = Store::open(&f.address).await.unwrap();
    assert_eq!(again.look().let_go_up_to("p").await.unwrap(), Some(at(101)));
    assert_eq!(again.look().let_go_up_to("q").await.unwrap(), None);
    again.note_not_taken("q", at(7)).await.unwrap();
    again.close().await;
    assert_eq!(s.look().let_go_up_to("q").await.unwrap(), Some(at(7)));
    s.put_party(party("p")).await.unwrap();
    s.delete_party("p").await.unwrap();
    assert_eq!(s.look().let_go_up_to("p").await.unwrap(), None);
}

async fn what_belongs_to_a_task_goes(f: &Fixture) {
    let s = &f.store;
    s.freeze("p", frozen(4, at(0)), at(1)).await.unwrap();
    let claim = SessionClaim { session: SessionId([1; 16]), run: TASK, slot: Slot(0), charter: [1; 32] };
    s.claim_session("p", claim, at(1)).await.unwrap();
    s.commit_task_result("p", TASK, crate::queue::result(0)).await.unwrap();
    s.fail_slot("p", TASK, Slot(1), "lost", at(1)).await.unwrap();
    let evidence = EvidenceRow {
        session: SessionId([1; 16]),
        gid: tacit_model::GroupId(1),
        run: TASK,
        slot: Slot(0),
        accused: String::new(),
        body: String::new(),
        at: at(1),
    };
    s.put_evidence("p", evidence).await.unwrap();
    let asked = |task: &str, moment| ApprovalRow {
        task: task.to_owned(),
        state: "waiting".to_owned(),
        ask_json: "{}".to_owned(),
        client: None,
        asked: at(moment),
        decided: None,
    };
    s.ask_owner("p", asked("old", 0)).await.unwrap();
    s.ask_owner("p", asked("decided later", 0)).await.unwrap();
    s.decide_approval("p", "decided later", "refused", (RunId(-4), Slot(0)), at(500)).await.unwrap();
    let kept = s.purge(at(0)).await.unwrap();
    assert_eq!((kept.rows, kept.freezes, kept.results, kept.sessions), (0, 0, 0, 0));
    let purged = s.purge(at(100)).await.unwrap();
    assert_eq!((purged.rows, purged.freezes, purged.results, purged.sessions), (1, 1, 1, 1));
    assert_eq!(s.all_evidence("p", 9).await.unwrap(), []);
    assert_eq!(s.result_runs("p").await.unwrap(), []);
    let left: Vec<_> = s.approvals("p", 9).await.unwrap().into_iter().map(|row| row.task).collect();
    assert_eq!(left, ["decided later"]);
}

async fn a_gateway_forgets_what_is_over(f: &Fixture) {
    let s = &f.store;
    // More than one piece.
    for number in 0..410 {
        s.add_task(of_task(&format!("old {number:03}"))).await.unwrap();
    }
    for id in ["open", "late"] {
        s.add_notice(id, "https://hooks.example/", at(0)).await.unwrap();
        s.add_task(of_task(id)).await.unwrap();
    }
    s.add_notice("old 000", "https://hooks.example/", at(0)).await.unwrap();
    for number in 0..410 {
        s.end_window(&format!("old {number:03}"), Slot(0), "{}".to_owned(), "done", "", None, at(1)).await.unwrap();
    }
    s.end_window("late", Slot(0), "{}".to_owned(), "done", "", None, at(200)).await.unwrap();
    let gid = s.create_group("g", "t", at(0)).await.unwrap().gid;
    for (run, ended) in [(1, 1), (2, 200), (3, 300)] {
        s.start_run(gid, [1; 32], at(0)).await.unwrap();
        let attempt = s.record_attempt(gid, RunId(run), Slot(0), SessionId([1; 16]), at(0)).await.unwrap();
        let done = SlotOutcome {
            gid,
            run: RunId(run),
            slot: Slot(0),
            attempt,
            session: SessionId([1; 16]),
            state: SlotState::Done,
            detail: None,
            contributors: Some(3),
            agreement: None,
            updated: at(1),
        };
        s.slot_outcome(done).await.unwrap();
        s.end_run(gid, RunId(run), RunState::Done, None, at(ended)).await.unwrap();
    }
    s.receive(Some("k"), "::1", &["[1]".to_owned()], at(0)).await.unwrap();
    let purged = s.purge_gateway(at(100)).await.unwrap();
    assert_eq!((purged.tasks, purged.slots, purged.received), (410, 1, 1));
    let mut left: Vec<_> = s.tasks(None, 999).await.unwrap().into_iter().map(|task| task.id).collect();
    left.sort_unstable();
    assert_eq!(left, ["late", "open"]);
    assert_eq!(s.task_windows("old 000", Windows::Newest, 9).await.unwrap(), []);
    assert_eq!(s.task_windows("late", Windows::Newest, 9).await.unwrap().len(), 1);
    assert_eq!(s.notices_open().await.unwrap().len(), 1, "who asked for the late one is still to be told");
    assert_eq!(s.runs(gid).await.unwrap().iter().map(|run| run.run.0).collect::<Vec<_>>(), [2, 3]);
    // The last run of a group shows how it stands, and no number comes twice.
    assert_eq!(s.purge_gateway(at(999)).await.unwrap().slots, 1);
    assert_eq!(s.runs(gid).await.unwrap().iter().map(|run| run.run.0).collect::<Vec<_>>(), [3]);
    assert_eq!(s.start_run(gid, [1; 32], at(999)).await.unwrap().run, RunId(4));
}
