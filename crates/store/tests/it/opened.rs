//! Peer that computes: over whose data it let results be opened, and of which windows.

use std::sync::Arc;

use tacit_model::{Attempt, Fingerprint, RunId, Slot};
use tacit_store::{Apart, AskedRow, Clash, Company, FreezeOutcome, NewFreeze, OpenedRow, Store, What};

use crate::runs::party;
use crate::tasks::taken;
use crate::{Fixture, at, on_both, set};

on_both! {
    rule3_who_computes_knows_whose_records_it_opened,
    rule3_what_was_forgotten_of_windows_is_not_opened_again,
    rule3_many_windows_are_forgotten_in_pieces,
    rule3_another_task_of_a_number_opens_nothing_unnoted,
}

/// Givers by number, of whom some judge for themselves; two of those are enough.
pub(crate) fn company(givers: &[u8], judging: &[u8], own: bool) -> Arc<Company> {
    let all = |numbers: &[u8]| numbers.iter().map(|number| Fingerprint([*number; 32])).collect::<Vec<_>>();
    let name = |numbers: &[u8]| core::array::from_fn(|i| numbers.get(i).copied().unwrap_or_default());
    let members = name(givers);
    let id = name(&[givers, &[0], judging].concat());
    Arc::new(Company { id, members, givers: all(givers), judging: all(judging), enough: 2, own })
}

/// A window that a result of theirs is over.
pub(crate) fn over(run: i64, from: i64, to: i64, company: &Arc<Company>) -> OpenedRow {
    let AskedRow { run, task, slot, source, from_ms, to_ms, at, .. } = taken(run, from, to, 0);
    OpenedRow { run, task, slot, source, from_ms, to_ms, company: Arc::clone(company), at }
}

fn computed(row: OpenedRow) -> NewFreeze {
    NewFreeze { opened: vec![row.clone()], disjoint: true, ..set(row.run, row.slot, Attempt(0), [4; 32]) }
}

async fn rule3_who_computes_knows_whose_records_it_opened(f: &Fixture) {
    let store = &f.store;
    let (whole, fewer) = (company(&[1, 2, 3], &[], false), company(&[1, 2], &[], false));
    assert_eq!(store.freeze("p", computed(over(-1, 0, 100, &whole)), at(1)).await, Ok(FreezeOutcome::Fresh));
    // The same members may be asked again, also for what overlaps.
    assert_eq!(store.freeze("p", computed(over(-2, 50, 150, &whole)), at(2)).await, Ok(FreezeOutcome::Fresh));
    let more = company(&[1, 2, 3, 4], &[], false);
    for other in [&fewer, &more] {
        let row = over(-3, 149, 160, other);
        assert!(store.look().opened_with_others("p", &row).await.unwrap().is_some());
        assert_eq!(store.freeze("p", computed(row), at(3)).await, Err(What::Company.into()));
        assert_eq!(store.frozen("p", RunId(-3), Slot(0)).await.unwrap(), None);
        // A later window, another series and another party are free, and who shares nobody with them.
        let humidity = OpenedRow { source: "humidity".to_owned(), ..over(-3, 0, 160, other) };
        for (party, row) in [("p", over(-3, 150, 160, other)), ("q", over(-3, 0, 160, other)), ("p", humidity)] {
            assert!(store.look().opened_with_others(party, &row).await.unwrap().is_none());
        }
    }
    assert_eq!(
        store.freeze("p", computed(over(-4, 0, 100, &company(&[4, 5], &[], false))), at(4)).await.unwrap(),
        FreezeOutcome::Fresh
    );
    assert_eq!(
        store.freeze("p", computed(over(-5, 0, 100, &company(&[3, 6], &[], false))), at(4)).await,
        Err(What::Company.into())
    );
    // It is known after a restart.
    let again = Store::open(&f.address).await.unwrap();
    assert!(again.look().opened_with_others("p", &over(-6, 0, 10, &fewer)).await.unwrap().is_some());
    again.close().await;
    // A slot that is frozen stays with its set, whoever else it is asked for with.
    let second = NewFreeze { set_digest: [5; 32], ..computed(over(-1, 500, 600, &fewer)) };
    assert_eq!(store.freeze("p", second, at(5)).await, Err(What::Frozen.into()));
    // Whose policy does not ask for it may overlap.
    let free = NewFreeze { disjoint: false, ..computed(over(-7, 0, 100, &fewer)) };
    assert_eq!(store.freeze("p", free, at(6)).await, Ok(FreezeOutcome::Fresh));

    // Where all whom two sets share judge by their own records, or one of them is honest, nobody judges for them.
    for (series, before, after, clash) in [
        ("all judge", company(&[1, 2], &[1, 2], false), company(&[1, 2, 3], &[1, 2], false), false),
        ("one does not", company(&[1, 2], &[1], false), company(&[1, 2, 3], &[1, 2], false), true),
        ("one does not now", company(&[1, 2], &[1, 2], false), company(&[1, 2, 3], &[1], false), true),
        ("enough", company(&[1, 2, 4], &[1, 2], false), company(&[1, 2, 3, 4], &[1, 2, 3], false), false),
        ("gave to both", company(&[1, 9], &[], true), company(&[1, 2, 9], &[], true), false),
        ("gave to the first", company(&[1, 9], &[], true), company(&[1, 2], &[], false), true),
        ("gives to the second", company(&[1, 2], &[], false), company(&[1, 2, 9], &[], true), true),
    ] {
        let row = |run, company| OpenedRow { source: series.to_owned(), ..over(run, 0, 100, company) };
        let run = -10 - i64::try_from(series.len()).unwrap();
        assert!(store.freeze("p", computed(row(run, &before)), at(7)).await.is_ok(), "{series}");
        assert_eq!(store.look().opened_with_others("p", &row(-99, &after)).await.unwrap().is_some(), clash, "{series}");
    }
}

/// Who computes forgets what it would not keep records of; what may overlap that is declined, other windows are not.
async fn rule3_what_was_forgotten_of_windows_is_not_opened_again(f: &Fixture) {
    let store = &f.store;
    let whole = company(&[1, 2, 3], &[], false);
    for (run, from, to) in [(-1, 0, 100), (-2, 50, 150), (-3, 150, 300)] {
        store.freeze("p", computed(over(run, from, to, &whole)), at(1)).await.unwrap();
    }
    assert_eq!(store.forget_opened("p", at(100)).await.unwrap(), 0);
    assert!(store.look().opened_with_others("p", &over(-9, 0, 40, &whole)).await.unwrap().is_none());
    assert_eq!(store.forget_opened("p", at(200)).await.unwrap(), 2);
    assert_eq!(store.forget_opened("q", at(900)).await.unwrap(), 0);
    let fewer = company(&[1, 2], &[], false);
    // What it gives may be a branch's part: how long those below keep their records it does not know.
    let gives = company(&[1, 2, 3, 9], &[], true);
    for (party, from, with, declined) in [
        ("p", 149, &fewer, true),
        ("p", 149, &whole, true),
        ("p", 149, &gives, true),
        ("q", 0, &fewer, false),
        ("p", 150, &whole, false),
        ("p", 150, &fewer, true),
    ] {
        let row = over(-9, from, if from < 150 { 150 } else { 151 }, with);
        assert_eq!(store.look().opened_with_others(party, &row).await.unwrap().is_some(), declined, "{party} {from}");
    }
    // It is said which of the two it is: who is not there any more, and from when on it does not matter; or what is not known.
    let clash = async |row| store.look().opened_with_others("p", &row).await.unwrap();
    let apart = Apart { missing: vec![Fingerprint([3; 32])], until: at(300) };
    assert_eq!(clash(over(-9, 150, 160, &fewer)).await, Some(Clash::Company(apart)));
    assert_eq!(clash(over(-9, 149, 160, &fewer)).await, Some(Clash::Forgotten(at(150))));
    let more = company(&[1, 2, 3, 4], &[], false);
    let apart = Apart { missing: vec![], until: at(300) };
    assert_eq!(clash(over(-9, 150, 160, &more)).await, Some(Clash::Company(apart)), "somebody new");
    // Who was in the windows goes with the last of them.
    assert_eq!(store.forget_opened("p", at(900)).await.unwrap(), 1);
    store.purge(at(900)).await.unwrap();
    store.freeze("p", computed(over(-4, 900, 950, &whole)), at(901)).await.unwrap();
    assert!(store.look().opened_with_others("p", &over(-5, 900, 910, &fewer)).await.unwrap().is_some());
    store.purge(at(900)).await.unwrap();
    assert!(
        store.look().opened_with_others("p", &over(-5, 900, 910, &fewer)).await.unwrap().is_some(),
        "it is kept with a window"
    );
}

/// What is old goes in pieces, and what goes first is remembered as well as what goes last; with its party goes all.
async fn rule3_many_windows_are_forgotten_in_pieces(f: &Fixture) {
    let store = &f.store;
    let whole = company(&[1, 2, 3], &[], false);
    for task in 0..9 {
        let rows = (0..500).map(|n| OpenedRow { source: format!("s{n}"), ..over(-1 - task, task, task + 1, &whole) });
        let frozen = NewFreeze { opened: rows.collect(), ..computed(over(-1 - task, task, task + 1, &whole)) };
        store.freeze("p", frozen, at(1)).await.unwrap();
    }
    assert_eq!(store.forget_opened("p", at(9)).await.unwrap(), 8 * 500);
    let fewer = company(&[1, 2], &[], false);
    let row = |source: &str, from| OpenedRow { source: source.to_owned(), ..over(-99, from, from + 1, &fewer) };
    for source in ["s0", "s250", "s499"] {
        assert_eq!(store.look().opened_with_others("p", &row(source, 7)).await.unwrap(), Some(Clash::Forgotten(at(8))));
        assert!(matches!(
            store.look().opened_with_others("p", &row(source, 8)).await.unwrap(),
            Some(Clash::Company(_))
        ));
    }
    store.put_party(party("p")).await.unwrap();
    store.delete_party("p").await.unwrap();
    for from in [7, 8] {
        assert_eq!(store.look().opened_with_others("p", &row("s0", from)).await.unwrap(), None, "{from}");
    }
}

/// Windows are known for longer than freezes may be, and the number of a task is short.
async fn rule3_another_task_of_a_number_opens_nothing_unnoted(f: &Fixture) {
    let store = &f.store;
    let whole = company(&[1, 2, 3], &[], false);
    assert_eq!(store.freeze("p", computed(over(-1, 0, 100, &whole)), at(1)).await, Ok(FreezeOutcome::Fresh));
    assert_eq!(store.purge(at(1000)).await.unwrap().freezes, 1);
    let twin = OpenedRow { task: "made for it".to_owned(), ..over(-1, 500, 600, &whole) };
    assert_eq!(store.freeze("p", computed(twin), at(1001)).await, Err(What::SlotUsed.into()));
    assert_eq!(store.frozen("p", RunId(-1), Slot(0)).await.unwrap(), None);
}
