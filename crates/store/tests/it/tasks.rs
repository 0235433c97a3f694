//! Clients' tasks: what of a peer goes into them, and when that is durable; how many a gateway tells of at once.

use tacit_model::{Attempt, GroupId, RunId, SessionId, Slot};
use tacit_store::{
    AskedRow, FreezeOutcome, NewFreeze, ReceiptRow, ResultRow, SessionClaim, SpendRow, Store, TaskRow, What, Windows,
};

use crate::{Fixture, at, on_both, set};

on_both! {
    rule3_what_goes_in_is_noted_with_the_freeze_or_not_at_all,
    rule3_one_slot_is_not_both_frozen_and_given_to_others,
    rule3_of_what_excludes_each_other_at_once_one_is_refused,
    rule9_what_a_result_costs_is_charged_with_the_freeze_and_stays,
    results_of_tasks_come_once,
    what_does_not_hurry_is_durable_when_it_is_answered,
    of_many_computations_one_answer_holds_some,
    of_long_requests_one_answer_holds_some,
    a_look_sees_one_state_until_it_is_let_go_of,
}

/// A window of a task, with these members.
pub(crate) fn taken(run: i64, from: i64, to: i64, members: u8) -> AskedRow {
    AskedRow {
        run: RunId(run),
        task: format!("task {run}"),
        slot: Slot(0),
        source: "temperature".to_owned(),
        client: String::new(),
        from_ms: at(from),
        to_ms: at(to),
        members: [members; 32],
        at: at(0),
    }
}

/// A task that is open.
pub(crate) fn of_task(id: &str) -> TaskRow {
    TaskRow {
        id: id.to_owned(),
        gid: GroupId(1),
        client: "c".to_owned(),
        idempotency: Some(id.to_owned()),
        ask_json: "{}".to_owned(),
        state: "open".to_owned(),
        detail: String::new(),
        next_window: Slot(0),
        created: at(0),
        updated: at(0),
    }
}

fn frozen(row: AskedRow) -> NewFreeze {
    NewFreeze { taken: vec![row.clone()], disjoint: true, ..set(row.run, row.slot, Attempt(0), [4; 32]) }
}

async fn rule3_what_goes_in_is_noted_with_the_freeze_or_not_at_all(f: &Fixture) {
    let store = &f.store;
    assert_eq!(store.freeze("p", frozen(taken(-1, 0, 100, 7)), at(1)).await, Ok(FreezeOutcome::Fresh));
    assert_eq!(store.look().asked_since("p", at(0)).await.unwrap(), 1);
    // The same members may be asked again, also for what overlaps; others not.
    assert_eq!(store.freeze("p", frozen(taken(-2, 50, 150, 7)), at(2)).await, Ok(FreezeOutcome::Fresh));
    for members in [6, 8] {
        let other = taken(-3, 149, 160, members);
        assert!(store.look().asked_with_others("p", &other).await.unwrap());
        assert_eq!(store.freeze("p", frozen(other), at(3)).await, Err(What::Overlap.into()));
        // A later window, another series and another party are free.
        assert!(!store.look().asked_with_others("p", &taken(-3, 150, 160, members)).await.unwrap());
        assert!(!store.look().asked_with_others("q", &taken(-3, 0, 160, members)).await.unwrap());
        let humidity = AskedRow { source: "humidity".to_owned(), ..taken(-3, 0, 160, members) };
        assert!(!store.look().asked_with_others("p", &humidity).await.unwrap());
    }
    // What was refused left nothing.
    assert_eq!(store.frozen("p", RunId(-3), Slot(0)).await.unwrap(), None);
    assert_eq!(store.look().asked_since("p", at(0)).await.unwrap(), 2);
    assert!(store.look().is_untouched("p", RunId(-3), Slot(0), at(0)).await.unwrap());
    // A slot that is frozen with another set notes nothing of a second one.
    let again = NewFreeze { set_digest: [5; 32], ..frozen(taken(-1, 500, 600, 9)) };
    assert_eq!(store.freeze("p", again, at(4)).await, Err(What::Frozen.into()));
    assert!(!store.look().asked_with_others("p", &taken(-4, 500, 600, 1)).await.unwrap());
    // Whose policy does not ask for it may overlap.
    let free = NewFreeze { disjoint: false, ..frozen(taken(-5, 0, 160, 3)) };
    assert_eq!(store.freeze("p", free, at(5)).await, Ok(FreezeOutcome::Fresh));
}

/// What is asked in one look is answered from one state where the database has such a thing, and a look keeps nobody waiting.
async fn a_look_sees_one_state_until_it_is_let_go_of(f: &Fixture) {
    let store = &f.store;
    let claim = |slot| SessionClaim { session: SessionId([200; 16]), run: RunId(1), slot, charter: [1; 32] };
    let mut look = store.look();
    assert!(look.is_untouched("p", RunId(1), Slot(0), at(0)).await.unwrap());
    store.claim_session("p", claim(Slot(0)), at(0)).await.unwrap();
    let same_state = look.is_untouched("p", RunId(1), Slot(0), at(0)).await.unwrap();
    assert_eq!(same_state, store.kind() == "sqlite");
    look.let_go();
    assert!(!look.is_untouched("p", RunId(1), Slot(0), at(0)).await.unwrap());
    drop(look);
    // Connections that were looked through are as good as new: there are far fewer of them than looks here.
    for slot in 1..20 {
        let mut look = store.look();
        assert!(look.is_untouched("p", RunId(1), Slot(slot), at(0)).await.unwrap());
        let session = SessionId([u8::try_from(slot).unwrap(); 16]);
        store.claim_session("p", SessionClaim { session, ..claim(Slot(slot)) }, at(0)).await.unwrap();
        drop(look);
        assert!(!store.look().is_untouched("p", RunId(1), Slot(slot), at(0)).await.unwrap());
        assert!(!store.is_over("p", RunId(1), Slot(slot)).await.unwrap());
    }
}

/// A party may be named as computing in one attempt and as giving only in another.
async fn rule3_one_slot_is_not_both_frozen_and_given_to_others(f: &Fixture) {
    let store = &f.store;
    let claim =
        |session, slot| SessionClaim { session: SessionId([session; 16]), run: RunId(1), slot, charter: [1; 32] };
    assert!(store.look().is_untouched("p", RunId(1), Slot(0), at(0)).await.unwrap());
    // Shares were given to the computing members of another attempt, with other input peers.
    store.claim_session("p", claim(1, Slot(0)), at(0)).await.unwrap();
    assert!(!store.look().is_untouched("p", RunId(1), Slot(0), at(0)).await.unwrap());
    assert!(!store.is_over("p", RunId(1), Slot(0)).await.unwrap(), "another attempt may come");
    store.bind_inputs("p", claim(1, Slot(0)), [9; 32]).await.unwrap();
    let own = set(RunId(1), Slot(0), Attempt(1), [4; 32]);
    assert_eq!(store.freeze("p", own.clone(), at(1)).await, Err(What::SlotBound.into()));
    assert_eq!(store.freeze("p", NewFreeze { inputs: [9; 32], ..own }, at(1)).await, Ok(FreezeOutcome::Fresh));
    assert!(store.is_over("p", RunId(1), Slot(0)).await.unwrap(), "no other set is opened");
    // The other way round: it is frozen here while the other attempt is on its way.
    store.claim_session("p", claim(2, Slot(1)), at(0)).await.unwrap();
    let own = set(RunId(1), Slot(1), Attempt(1), [4; 32]);
    assert_eq!(store.freeze("p", own, at(1)).await, Ok(FreezeOutcome::Fresh));
    assert_eq!(store.bind_inputs("p", claim(2, Slot(1)), [1; 32]).await, Err(What::SlotBound.into()));
    // Under another charter neither.
    store.claim_session("p", claim(3, Slot(2)), at(0)).await.unwrap();
    let own = NewFreeze { charter: [2; 32], ..set(RunId(1), Slot(2), Attempt(0), [4; 32]) };
    assert_eq!(store.freeze("p", own, at(1)).await, Err(What::SlotBound.into()));
}

/// A gateway that lies asks at the same moment for what it would not get one after the other.
async fn rule3_of_what_excludes_each_other_at_once_one_is_refused(f: &Fixture) {
    let claim = |number: u8, slot: u8| {
        let session = SessionId(core::array::from_fn(|at| if at == 0 { number } else { slot }));
        SessionClaim { session, run: RunId(1), slot: Slot(slot.into()), charter: [number; 32] }
    };
    for slot in 0..40 {
        let claimed = |number| {
            let (store, claim) = (f.store.clone(), claim(number, slot));
            tokio::spawn(async move { store.claim_session("p", claim, at(0)).await })
        };
        let (one, two) = (claimed(1), claimed(2));
        let both = [one.await.unwrap(), two.await.unwrap()];
        assert!(both.contains(&Ok(())) && both.contains(&Err(What::SlotBound.into())), "two charters: {both:?}");

        // Its own freeze in one attempt, and shares for another one with other input peers.
        let given = claim(1, slot);
        f.store.claim_session("q", given, at(0)).await.unwrap();
        let store = f.store.clone();
        let bound = tokio::spawn(async move { store.bind_inputs("q", given, [9; 32]).await });
        let store = f.store.clone();
        let own = set(RunId(1), Slot(slot.into()), Attempt(1), [4; 32]);
        let frozen = tokio::spawn(async move { store.freeze("q", own, at(0)).await.map(drop) });
        let both = [bound.await.unwrap(), frozen.await.unwrap()];
        assert!(both.contains(&Ok(())) && both.contains(&Err(What::SlotBound.into())), "two sets: {both:?}");
    }
}

async fn results_of_tasks_come_once(f: &Fixture) {
    let store = &f.store;
    let result = |agreement, slot| ResultRow {
        slot,
        session: SessionId([1; 16]),
        values_json: "[\"3\"]".to_owned(),
        contributors: 3,
        agreement: vec![agreement; 32],
        at: at(1),
    };
    assert!(!store.is_over("p", RunId(-7), Slot(0)).await.unwrap());
    store.commit_task_result("p", RunId(-7), result(1, Slot(0))).await.unwrap();
    assert!(store.is_over("p", RunId(-7), Slot(0)).await.unwrap());
    store.commit_task_result("p", RunId(-7), result(1, Slot(0))).await.unwrap();
    let other = store.commit_task_result("p", RunId(-7), result(2, Slot(0))).await;
    assert_eq!(other, Err(What::ResultExists.into()));
    assert_eq!(store.result("p", RunId(-7), Slot(0)).await.unwrap(), Some(result(1, Slot(0))));
    assert_eq!(store.result_runs("p").await.unwrap(), [RunId(-7)]);
    // A slot that was given up stays without a result.
    store.fail_slot("p", RunId(-7), Slot(1), "lost", at(2)).await.unwrap();
    assert!(store.is_over("p", RunId(-7), Slot(1)).await.unwrap());
    let late = store.commit_task_result("p", RunId(-7), result(1, Slot(1))).await;
    assert_eq!(late, Err(What::SlotUsed.into()));
    assert_eq!(store.result("p", RunId(-7), Slot(1)).await.unwrap(), None);
    // Tasks come by the moment of their first result, and runs of the group by their numbers.
    for (run, slot, moment) in [(-9, 0, 5), (-2, 1, 7), (-2, 0, 3), (4, 0, 2), (2, 0, 9)] {
        let row = ResultRow { at: at(moment), ..result(1, Slot(slot)) };
        store.commit_task_result("p", RunId(run), row).await.unwrap();
    }
    let runs = store.result_runs("p").await.unwrap();
    assert_eq!(runs.iter().map(|run| run.0).collect::<Vec<_>>(), [-7, -2, -9, 2, 4]);
}

async fn what_does_not_hurry_is_durable_when_it_is_answered(f: &Fixture) {
    let row = |number: u8| ReceiptRow {
        session: SessionId([number; 16]),
        gid: GroupId(1),
        run: RunId(1),
        slot: Slot(i64::from(number)),
        body: "{}".to_owned(),
        own: None,
        at: at(0),
    };
    let put = |number| {
        let (store, row) = (f.store.clone(), row(number));
        async move { store.put_receipt("p", row).await }
    };
    let kept: Vec<_> = (0..20).map(put).collect();
    // What is urgent gets in between, and does not wait for it.
    let urgent = f.store.freeze("p", set(RunId(1), Slot(0), Attempt(0), [1; 32]), at(0));
    let (kept, urgent) = tokio::join!(how_many(kept), urgent);
    assert_eq!((kept, urgent), (20, Ok(FreezeOutcome::Fresh)));
    let again = Store::open(&f.address).await.unwrap();
    assert_eq!(again.receipts("p", 100).await.unwrap().len(), 20);
    again.close().await;
    // Nor does closing lose what was queued.
    let store = f.store.clone();
    let late = tokio::spawn(async move { store.put_receipt("p", row(30)).await });
    tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    f.store.close().await;
    let kept = late.await.unwrap().is_ok();
    let again = Store::open(&f.address).await.unwrap();
    assert_eq!(again.receipt("p", SessionId([30; 16])).await.unwrap().is_some(), kept);
    again.close().await;
}

/// How many of them were well, all at the same time.
async fn how_many<T: Future<Output = Result<(), tacit_store::StoreError>> + Send + 'static>(all: Vec<T>) -> usize {
    let mut set = tokio::task::JoinSet::new();
    all.into_iter().for_each(|one| drop(set.spawn(one)));
    set.join_all().await.into_iter().filter(Result::is_ok).count()
}

/// A charge is durable with the freeze or not at all, is charged once, and nothing gives it back.
async fn rule9_what_a_result_costs_is_charged_with_the_freeze_and_stays(f: &Fixture) {
    let store = &f.store;
    let cost = |run, epsilon| SpendRow {
        scope: "here".to_owned(),
        run: RunId(run),
        slot: Slot(0),
        source: "temperature".to_owned(),
        epsilon,
        delta: 3,
        most_epsilon: 100,
        most_delta: 10,
        at: at(0),
    };
    let charged = |row: SpendRow| NewFreeze { spent: vec![row.clone()], ..set(row.run, row.slot, Attempt(0), [4; 32]) };
    let spent = async || store.look().spent("p").await.unwrap().pop().map(|row| (row.epsilon, row.delta, row.results));
    assert_eq!(store.freeze("p", charged(cost(-1, 60)), at(1)).await, Ok(FreezeOutcome::Fresh));
    assert_eq!(spent().await, Some((60, 3, 1)));
    // Another set of the slot is refused, and costs nothing more; the same again neither.
    let other = NewFreeze { set_digest: [5; 32], ..charged(cost(-1, 60)) };
    assert_eq!(store.freeze("p", other, at(2)).await, Err(What::Frozen.into()));
    assert_eq!(store.freeze("p", charged(cost(-1, 60)), at(2)).await, Ok(FreezeOutcome::Same));
    assert_eq!(spent().await, Some((60, 3, 1)));
    let charged_already = async |row: SpendRow| store.look().is_charged("p", &row).await.unwrap();
    let elsewhere = SpendRow { scope: "elsewhere".to_owned(), ..cost(-1, 60) };
    assert!(charged_already(cost(-1, 60)).await && !charged_already(cost(-2, 41)).await);
    assert!(!charged_already(elsewhere).await);
    // Too much: neither frozen nor charged. What fits exactly is taken.
    assert_eq!(store.freeze("p", charged(cost(-2, 41)), at(3)).await, Err(What::Budget.into()));
    assert!(store.look().is_untouched("p", RunId(-2), Slot(0), at(0)).await.unwrap());
    assert_eq!(store.freeze("p", charged(cost(-2, 40)), at(3)).await, Ok(FreezeOutcome::Fresh));
    let small = SpendRow { most_epsilon: i64::MAX, ..cost(-3, 1) };
    assert_eq!(store.note_asked("p", Vec::new(), vec![small.clone()], false, None).await, Ok(()));
    let fourth = SpendRow { run: RunId(-4), ..small.clone() };
    assert_eq!(
        store.note_asked("p", vec![taken(-4, 0, 10, 7)], vec![fourth], false, None).await,
        Err(What::Budget.into()),
        "delta"
    );
    assert_eq!(store.look().asked_since("p", at(0)).await.unwrap(), 0, "nothing is noted of what is refused");
    // Given again in a second attempt at the same slot, it is paid for already. Others pay for themselves.
    assert_eq!(store.note_asked("p", Vec::new(), vec![small], false, None).await, Ok(()));
    assert_eq!(spent().await, Some((101, 9, 3)));
    assert_eq!(store.note_asked("q", Vec::new(), vec![cost(-1, 100)], false, None).await, Ok(()));
    // Another task of the same number is not the first one said again; nor do two at once overlap with other members.
    let twin = AskedRow { task: "made for it".to_owned(), ..taken(-8, 0, 10, 7) };
    assert_eq!(store.note_asked("r", vec![taken(-8, 0, 10, 7)], Vec::new(), true, None).await, Ok(()));
    assert_eq!(store.note_asked("r", vec![taken(-8, 0, 10, 7)], Vec::new(), true, None).await, Ok(()));
    assert_eq!(store.note_asked("r", vec![twin], Vec::new(), false, None).await, Err(What::Overlap.into()));
    assert_eq!(
        store.note_asked("r", vec![taken(-9, 5, 15, 8)], Vec::new(), true, None).await,
        Err(What::Overlap.into())
    );
    // Said again with another window, both are remembered.
    assert_eq!(store.note_asked("r", vec![taken(-8, 20, 30, 7)], Vec::new(), true, None).await, Ok(()));
    assert_eq!(
        store.note_asked("r", vec![taken(-9, 12, 15, 8)], Vec::new(), true, None).await,
        Err(What::Overlap.into())
    );
    // The same numbers elsewhere are another computation.
    let elsewhere = SpendRow { scope: "elsewhere".to_owned(), delta: 1, most_epsilon: i64::MAX, ..cost(-1, 1) };
    assert_eq!(store.note_asked("p", Vec::new(), vec![elsewhere], false, None).await, Ok(()));
    assert_eq!(spent().await, Some((102, 10, 4)));
    // A slot that fails has cost what it cost.
    store.fail_slot("p", RunId(-1), Slot(0), "crash", at(4)).await.unwrap();
    assert_eq!(spent().await, Some((102, 10, 4)));
}

async fn of_long_requests_one_answer_holds_some(f: &Fixture) {
    for (number, length) in [(1, 1), (2, 3 << 20), (3, 3 << 20)] {
        let ask_json = "x".repeat(length);
        f.store.add_task(TaskRow { ask_json, created: at(number), ..of_task(&number.to_string()) }).await.unwrap();
    }
    let ids = async |client, most| -> Vec<String> {
        f.store.tasks(client, most).await.unwrap().into_iter().map(|task| task.id).collect()
    };
    assert_eq!(ids(None, 9).await, ["3"]);
    assert_eq!(ids(Some("c"), 1).await, ["3"]);
    assert_eq!(ids(Some("nobody"), 9).await, [""; 0]);
}

async fn of_many_computations_one_answer_holds_some(f: &Fixture) {
    let s = &f.store;
    s.add_task(of_task("a")).await.unwrap();
    for slot in 0..5 {
        // The fourth fills an answer by itself.
        let body = if slot == 3 { "x".repeat(5 << 20) } else { "{}".to_owned() };
        s.end_window("a", Slot(slot), body, "open", "", None, at(slot)).await.unwrap();
    }
    for (which, most, expected) in [
        (Windows::From(Slot(0)), 2, &[0, 1][..]),
        (Windows::From(Slot(1)), 9, &[1, 2][..]),
        (Windows::From(Slot(3)), 9, &[3][..]),
        (Windows::From(Slot(4)), 9, &[4][..]),
        (Windows::From(Slot(5)), 9, &[][..]),
        (Windows::Newest, 1, &[4][..]),
        (Windows::Newest, 9, &[4][..]),
    ] {
        let found = s.task_windows("a", which, most).await.unwrap();
        assert_eq!(found.iter().map(|row| row.slot.0).collect::<Vec<_>>(), expected, "{which:?} {most}");
    }
    assert_eq!(s.task_windows("b", Windows::Newest, 9).await.unwrap(), []);
}
