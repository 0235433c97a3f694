//! Runs and slots at the gateway; parties at the peer.

use tacit_model::{Attempt, Fingerprint, GroupId, RunId, SessionId, Slot};
use tacit_store::{
    PartyRow, PeerType, RunState, SessionClaim, SlotBinding, SlotOutcome, SlotState, StoreError, What, Windows,
};

use crate::{Fixture, at, on_all};

on_all!(
    runs_are_counted_per_group, attempts_never_repeat, an_outcome_is_final, of_many_slots_one_answer_holds_some;
    alone: parties_and_their_consensus, sessions_and_revocations
);

async fn runs_are_counted_per_group(f: &Fixture) {
    let a = f.store.create_group("a", "t", at(0)).await.unwrap().gid;
    let b = f.store.create_group("b", "t", at(0)).await.unwrap().gid;
    let first = f.store.start_run(a, [1; 32], at(1)).await.unwrap();
    assert_eq!((first.run, first.next_slot, first.state), (RunId(1), Slot(0), RunState::Open));
    assert_eq!(f.store.start_run(a, [1; 32], at(1)).await, Err(What::OpenRun.into()));
    assert_eq!(f.store.start_run(b, [2; 32], at(1)).await.unwrap().run, RunId(1));
    f.store.set_next_slot(a, RunId(1), Slot(4)).await.unwrap();
    assert_eq!(f.store.set_next_slot(a, RunId(1), Slot(3)).await, Err(What::Backwards.into()));
    f.store.end_run(a, RunId(1), RunState::Failed, Some("lost"), at(2)).await.unwrap();
    assert_eq!(f.store.end_run(a, RunId(1), RunState::Done, None, at(3)).await, Err(What::RunEnded.into()));
    let again = f.store.start_run(a, [3; 32], at(4)).await.unwrap();
    assert_eq!(again.run, RunId(2), "a refused start takes no number");
    assert_eq!(f.store.open_run(a).await.unwrap(), Some(again));
    let ended = f.store.run(a, RunId(1)).await.unwrap().unwrap();
    assert_eq!((ended.state, ended.reason.as_deref(), ended.next_slot), (RunState::Failed, Some("lost"), Slot(4)));
    assert_eq!(f.store.start_run(GroupId(77), [0; 32], at(0)).await, Err(StoreError::NotFound { what: "group" }));
}

async fn attempts_never_repeat(f: &Fixture) {
    let gid = f.store.create_group("a", "t", at(0)).await.unwrap().gid;
    f.store.start_run(gid, [1; 32], at(0)).await.unwrap();
    let calls: Vec<_> = (0..20u8)
        .map(|i| {
            let store = f.store.clone();
            tokio::spawn(async move {
                store.record_attempt(gid, RunId(1), Slot(0), SessionId([i; 16]), at(0)).await.unwrap().0
            })
        })
        .collect();
    let mut attempts = Vec::new();
    for call in calls {
        attempts.push(call.await.unwrap());
    }
    attempts.sort_unstable();
    assert_eq!(attempts, (0..20).collect::<Vec<u32>>());
}

async fn of_many_slots_one_answer_holds_some(f: &Fixture) {
    let gid = f.store.create_group("a", "t", at(0)).await.unwrap().gid;
    let run = f.store.start_run(gid, [1; 32], at(0)).await.unwrap().run;
    for slot in 0..5 {
        f.store.record_attempt(gid, run, Slot(slot), SessionId([1; 16]), at(0)).await.unwrap();
    }
    for (which, most, expected) in [
        (Windows::Newest, 9, &[0, 1, 2, 3, 4][..]),
        (Windows::Newest, 2, &[3, 4]),
        (Windows::From(Slot(0)), 2, &[0, 1]),
        (Windows::From(Slot(4)), 2, &[4]),
        (Windows::From(Slot(5)), 2, &[]),
    ] {
        let found = f.store.slots(gid, run, which, most).await.unwrap();
        assert_eq!(found.iter().map(|slot| slot.slot.0).collect::<Vec<_>>(), expected, "{which:?} {most}");
    }
}

async fn an_outcome_is_final(f: &Fixture) {
    let gid = f.store.create_group("a", "t", at(0)).await.unwrap().gid;
    let run = f.store.start_run(gid, [1; 32], at(0)).await.unwrap().run;
    let mut outcome = SlotOutcome {
        gid,
        run,
        slot: Slot(0),
        attempt: Attempt(0),
        session: SessionId([1; 16]),
        state: SlotState::Done,
        detail: None,
        contributors: Some(3),
        agreement: Some(vec![1, 2]),
        updated: at(1),
    };
    assert!(matches!(f.store.slot_outcome(outcome.clone()).await, Err(StoreError::NotFound { .. })));
    f.store.record_attempt(gid, run, Slot(0), SessionId([0; 16]), at(0)).await.unwrap();
    outcome.attempt = f.store.record_attempt(gid, run, Slot(0), SessionId([1; 16]), at(0)).await.unwrap();
    assert_eq!(outcome.attempt, Attempt(1));
    let late = SlotOutcome { attempt: Attempt(0), session: SessionId([0; 16]), ..outcome.clone() };
    assert_eq!(f.store.slot_outcome(late).await, Err(What::Attempt.into()));
    f.store.slot_outcome(outcome.clone()).await.unwrap();
    f.store.slot_outcome(outcome.clone()).await.unwrap();
    let other = SlotOutcome { state: SlotState::Failed, ..outcome.clone() };
    assert_eq!(f.store.slot_outcome(other).await, Err(What::SlotUsed.into()));
    assert_eq!(f.store.record_attempt(gid, run, Slot(0), SessionId([2; 16]), at(0)).await, Err(What::SlotUsed.into()));
    assert_eq!(f.store.slots(gid, run, Windows::Newest, 9).await.unwrap(), vec![outcome.clone()]);
    assert_eq!(f.store.slot(gid, run, Slot(0)).await.unwrap(), Some(outcome));
    f.store.end_run(gid, run, RunState::Done, None, at(2)).await.unwrap();
    assert_eq!(f.store.record_attempt(gid, run, Slot(1), SessionId([3; 16]), at(0)).await, Err(What::RunEnded.into()));
}

pub(crate) fn party(name: &str) -> PartyRow {
    PartyRow {
        name: name.into(),
        peer_type: PeerType::Both,
        gateway_url: "https://gateway".into(),
        gateway_fingerprint: Some(Fingerprint([9; 32])),
        gid: Some(GroupId(1)),
        registration_code: "sesame".into(),
        final_results_url: None,
        label_key: None,
        fingerprint: Some(Fingerprint([3; 32])),
        state: "registered".into(),
    }
}

async fn parties_and_their_consensus(f: &Fixture) {
    let mut row = party("p");
    f.store.put_party(row.clone()).await.unwrap();
    f.store.set_known_consensus("p", None, [1; 32], "one").await.unwrap();
    assert_eq!(f.store.set_known_consensus("p", None, [2; 32], "two").await, Err(What::Consensus.into()));
    row.gateway_fingerprint = None;
    f.store.put_party(row.clone()).await.unwrap();
    assert_eq!(f.store.party("p").await.unwrap(), Some(row.clone()));
    assert_eq!(f.store.known_consensus("p").await.unwrap(), Some(([1; 32], "one".into())));
    f.store.set_known_consensus("p", Some([1; 32]), [2; 32], "two").await.unwrap();
    f.store.set_party_state("p", "running").await.unwrap();
    row.state = "running".into();
    assert_eq!(f.store.parties().await.unwrap(), vec![row.clone()]);
    assert!(!format!("{row:?}").contains("sesame"));
    f.store.delete_party("p").await.unwrap();
    assert_eq!(f.store.party("p").await.unwrap(), None);
    assert_eq!(f.store.delete_party("p").await, Err(StoreError::NotFound { what: "party" }));
    assert_eq!(f.store.set_party_state("p", "x").await, Err(StoreError::NotFound { what: "party" }));
}

async fn sessions_and_revocations(f: &Fixture) {
    let claim =
        |session, slot, charter| SessionClaim { session: SessionId([session; 16]), run: RunId(1), slot, charter };
    let first = claim(1, Slot(0), [1; 32]);
    assert_eq!(f.store.slot_binding("p", RunId(1), Slot(0)).await.unwrap(), None);
    f.store.claim_session("p", first, at(0)).await.unwrap();
    assert_eq!(f.store.claim_session("p", first, at(0)).await, Err(What::SessionUsed.into()));
    f.store.claim_session("q", claim(1, Slot(0), [2; 32]), at(0)).await.unwrap();
    // A slot stays with its charter; others are free.
    let other = claim(2, Slot(0), [2; 32]);
    assert_eq!(f.store.claim_session("p", other, at(0)).await, Err(What::SlotBound.into()));
    f.store.claim_session("p", claim(2, Slot(1), [2; 32]), at(0)).await.unwrap();
    let second = claim(3, Slot(0), [1; 32]);
    f.store.claim_session("p", second, at(0)).await.unwrap();
    // And with its input peers, once shares were given.
    f.store.bind_inputs("p", second, [8; 32]).await.unwrap();
    assert_eq!(f.store.bind_inputs("p", first, [9; 32]).await, Err(What::SlotBound.into()));
    f.store.bind_inputs("p", first, [8; 32]).await.unwrap();
    let binding = SlotBinding { charter: [1; 32], inputs: Some([8; 32]) };
    assert_eq!(f.store.slot_binding("p", RunId(1), Slot(0)).await.unwrap(), Some(binding));

    let key = Fingerprint([5; 32]);
    assert_eq!(f.store.revoked(key).await.unwrap(), None);
    f.store.revoke_key(key, "stolen", at(1)).await.unwrap();
    f.store.revoke_key(key, "again", at(2)).await.unwrap();
    assert_eq!(f.store.revoked(key).await.unwrap().unwrap().reason, "stolen");
    assert_eq!(f.store.revoked_keys().await.unwrap().len(), 1);
}
