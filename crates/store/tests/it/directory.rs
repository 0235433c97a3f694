//! Groups, codes, members, consensus, tokens, settings, receiver.

use std::collections::HashSet;

use tacit_model::{Fingerprint, GroupId};
use tacit_store::{MemberKeys, NewMember, PeerStatus, PeerType, StoreError, What};

use crate::{Fixture, at, on_all};

on_all!(
    groups_have_numbers_that_never_come_back,
    names_are_unique_per_tenant,
    a_failed_registration_does_not_burn_the_code,
    a_code_is_consumed_once_by_fifty_at_once,
    the_test_code_may_be_open_several_times,
    new_keys_are_unverified,
    consensus_is_swapped_by_one_of_many,
    deleting_a_group_takes_members_and_codes,
    negotiations_take_each_step_once,
    tokens_and_settings,
    the_receiver_keeps_each_batch_once,
    the_receiver_keeps_many_rows_in_their_order;
    alone: zero_bytes_are_refused_alike, of_many_negotiations_the_newest_are_listed
);

pub(crate) fn peer(name: &str) -> NewMember {
    NewMember {
        peer_name: name.into(),
        peer_type: PeerType::Input,
        url: "http://localhost:1".into(),
        operator: "acme".into(),
        keys: MemberKeys::default(),
    }
}

async fn groups_have_numbers_that_never_come_back(f: &Fixture) {
    let a = f.store.create_group("a", "t", at(0)).await.unwrap();
    let b = f.store.create_group("b", "t", at(1)).await.unwrap();
    assert_eq!((a.gid, b.gid), (GroupId(1), GroupId(2)));
    f.store.delete_group(b.gid, at(2)).await.unwrap();
    assert_eq!(f.store.group(b.gid).await.unwrap(), None);
    let c = f.store.create_group("b", "t", at(3)).await.unwrap();
    assert_eq!(c.gid, GroupId(3));
    assert_eq!(f.store.groups().await.unwrap(), vec![a, c]);
    assert_eq!(f.store.delete_group(b.gid, at(4)).await, Err(StoreError::NotFound { what: "group" }));
}

async fn names_are_unique_per_tenant(f: &Fixture) {
    f.store.create_group("a", "t", at(0)).await.unwrap();
    assert_eq!(f.store.create_group("a", "t", at(0)).await, Err(What::GroupName.into()));
    let other = f.store.create_group("a", "u", at(0)).await.unwrap();
    // A refused call changes nothing: it takes no number either.
    assert_eq!(other.gid, GroupId(2));
}

async fn a_failed_registration_does_not_burn_the_code(f: &Fixture) {
    let gid = f.store.create_group("a", "t", at(0)).await.unwrap().gid;
    f.store.add_code("one", gid, at(0)).await.unwrap();
    f.store.add_code("two", gid, at(0)).await.unwrap();
    let keys = MemberKeys { fingerprint: Some(Fingerprint([7; 32])), ..MemberKeys::default() };
    let new = NewMember { peer_type: PeerType::Recipient, keys, ..peer("p") };
    let first = f.store.consume_code_and_add_member("one", new, at(1)).await.unwrap();
    assert_eq!((first.fingerprint, first.peer_type), (Some(Fingerprint([7; 32])), PeerType::Recipient));
    assert_eq!(f.store.member("t", "p").await.unwrap().as_ref(), Some(&first));
    assert_eq!(f.store.consume_code_and_add_member("two", peer("p"), at(1)).await, Err(What::PeerName.into()));
    assert_eq!(f.store.codes(gid).await.unwrap().len(), 1);
    f.store.consume_code_and_add_member("two", peer("q"), at(1)).await.unwrap();
    let gone = Err(StoreError::NotFound { what: "registration code" });
    assert_eq!(f.store.consume_code_and_add_member("two", peer("r"), at(1)).await, gone);
    assert_eq!(f.store.members(gid).await.unwrap().len(), 2);
}

async fn a_code_is_consumed_once_by_fifty_at_once(f: &Fixture) {
    let gid = f.store.create_group("a", "t", at(0)).await.unwrap().gid;
    f.store.add_code("only", gid, at(0)).await.unwrap();
    let calls: Vec<_> = (0..50)
        .map(|i| {
            let store = f.store.clone();
            tokio::spawn(async move { store.consume_code_and_add_member("only", peer(&format!("p{i}")), at(1)).await })
        })
        .collect();
    let mut won = 0;
    for call in calls {
        match call.await.unwrap() {
            Ok(_) => won += 1,
            Err(error) => assert_eq!(error, StoreError::NotFound { what: "registration code" }),
        }
    }
    assert_eq!(won, 1);
    assert_eq!(f.store.members(gid).await.unwrap().len(), 1);
}

async fn the_test_code_may_be_open_several_times(f: &Fixture) {
    let gid = f.store.create_group("a", "t", at(0)).await.unwrap().gid;
    let ids: HashSet<i64> = {
        let mut ids = HashSet::new();
        for _ in 0..3 {
            ids.insert(f.store.add_code("TEST", gid, at(0)).await.unwrap().id);
        }
        ids
    };
    assert_eq!(ids.len(), 3);
    f.store.consume_code_and_add_member("TEST", peer("p"), at(1)).await.unwrap();
    assert_eq!(f.store.codes(gid).await.unwrap().len(), 2);
    f.store.delete_code("TEST").await.unwrap();
    f.store.consume_code_and_add_member("TEST", peer("q"), at(1)).await.unwrap();
    assert!(f.store.delete_code("TEST").await.is_err());
    assert_eq!(f.store.add_code("x", GroupId(9), at(0)).await, Err(StoreError::NotFound { what: "group" }));
    let shown = format!("{:?}", f.store.member("t", "p").await.unwrap());
    assert!(!shown.contains("TEST"), "a registration code shows in Debug: {shown}");
}

async fn new_keys_are_unverified(f: &Fixture) {
    let gid = f.store.create_group("a", "t", at(0)).await.unwrap().gid;
    f.store.add_code("c", gid, at(0)).await.unwrap();
    let member = f.store.consume_code_and_add_member("c", peer("p"), at(0)).await.unwrap();
    assert_eq!((member.verified, member.last_status), (false, PeerStatus::Unknown));
    let key = Fingerprint([7; 32]);
    let keys = MemberKeys { fingerprint: Some(key), label_key: Some("label".into()), link_endpoint: None };
    f.store.set_member_keys(member.pid, keys.clone()).await.unwrap();
    let other = Some(Fingerprint([8; 32]));
    assert_eq!(f.store.set_verified(member.pid, true, other).await, Err(What::KeyChanged.into()));
    assert!(!f.store.member("t", "p").await.unwrap().unwrap().verified);
    assert!(f.store.set_verified(member.pid, true, Some(key)).await.unwrap().verified);
    let again = f.store.set_member_keys(member.pid, keys).await.unwrap();
    assert_eq!((again.verified, again.fingerprint), (false, Some(key)));
    assert_eq!(f.store.set_status(member.pid, PeerStatus::Stopped).await.unwrap().last_status.number(), 3);
    f.store.delete_member(member.pid).await.unwrap();
    assert_eq!(f.store.delete_member(member.pid).await, Err(StoreError::NotFound { what: "member" }));
}

async fn consensus_is_swapped_by_one_of_many(f: &Fixture) {
    let gid = f.store.create_group("a", "t", at(0)).await.unwrap().gid;
    assert_eq!(f.store.consensus(gid).await.unwrap(), None);
    let mut previous = None;
    let (mut ids, mut texts) = (Vec::new(), Vec::new());
    for round in 0..4u8 {
        let calls: Vec<_> = (0..10u8)
            .map(|i| {
                let store = f.store.clone();
                let id = [16 * round + i + 1; 32];
                tokio::spawn(async move {
                    let text = format!("text {round} {i}");
                    store.set_consensus(gid, previous, id, &text, at(0)).await.map(|()| (id, text))
                })
            })
            .collect();
        let mut winners = Vec::new();
        for call in calls {
            match call.await.unwrap() {
                Ok(winner) => winners.push(winner),
                Err(error) => assert_eq!(error, What::Consensus.into()),
            }
        }
        assert_eq!(winners.len(), 1, "round {round}");
        let (id, text) = winners.remove(0);
        assert_eq!(f.store.consensus(gid).await.unwrap(), Some((id, text.clone())));
        previous = Some(id);
        ids.push(id);
        texts.push(text);
    }
    assert_eq!(f.store.consensus_chain(gid).await.unwrap(), texts);
    for (at, id) in ids.into_iter().enumerate() {
        assert_eq!(f.store.consensus_after(gid, id).await.unwrap(), texts[at + 1..], "round {at}");
    }
    assert_eq!(f.store.consensus_after(gid, [0; 32]).await.unwrap(), texts, "of a stranger");
    assert_eq!(f.store.consensus_page(gid, 1).await.unwrap(), (texts[1..].to_vec(), false));
    assert_eq!(f.store.consensus_page(gid, 4).await.unwrap(), (vec![], false));
    assert_eq!(f.store.set_consensus(gid, None, [0; 32], "", at(0)).await, Err(What::Consensus.into()));
}

async fn deleting_a_group_takes_members_and_codes(f: &Fixture) {
    let gid = f.store.create_group("a", "t", at(0)).await.unwrap().gid;
    f.store.add_code("c", gid, at(0)).await.unwrap();
    f.store.add_code("d", gid, at(0)).await.unwrap();
    f.store.consume_code_and_add_member("c", peer("p"), at(0)).await.unwrap();
    f.store.set_consensus(gid, None, [1; 32], "text", at(0)).await.unwrap();
    f.store.start_run(gid, [1; 32], at(0)).await.unwrap();
    f.store.delete_group(gid, at(5)).await.unwrap();
    assert_eq!(f.store.members(gid).await.unwrap(), vec![]);
    assert_eq!(f.store.codes(gid).await.unwrap(), vec![]);
    assert_eq!(f.store.consensus(gid).await.unwrap(), None);
    assert_eq!(f.store.open_run(gid).await.unwrap(), None);
    assert_eq!(f.store.runs(gid).await.unwrap()[0].ended, Some(at(5)));
    assert_eq!(f.store.consensus_chain(gid).await.unwrap(), vec!["text"]);
    // The name of the member is free again.
    let other = f.store.create_group("b", "t", at(0)).await.unwrap().gid;
    f.store.add_code("e", other, at(0)).await.unwrap();
    f.store.consume_code_and_add_member("e", peer("p"), at(0)).await.unwrap();
}

async fn tokens_and_settings(f: &Fixture) {
    f.store.put_token([1; 32], "owner", "me", "{}", at(0)).await.unwrap();
    assert_eq!(f.store.put_token([1; 32], "viewer", "x", "{}", at(0)).await, Err(What::Token.into()));
    f.store.revoke_token([1; 32], at(3)).await.unwrap();
    f.store.revoke_token([1; 32], at(9)).await.unwrap();
    assert_eq!(f.store.token([1; 32]).await.unwrap().unwrap().revoked, Some(at(3)));
    assert!(f.store.revoke_token([2; 32], at(0)).await.is_err());
    assert_eq!(f.store.tokens().await.unwrap().len(), 1);

    assert_eq!(f.store.setting("test_mode").await.unwrap(), None);
    f.store.set_setting("test_mode", "on", at(0)).await.unwrap();
    f.store.set_setting("test_mode", "off", at(0)).await.unwrap();
    assert_eq!(f.store.setting("test_mode").await.unwrap().as_deref(), Some("off"));
    f.store.ping().await.unwrap();
}

async fn the_receiver_keeps_each_batch_once(f: &Fixture) {
    let rows: Vec<String> = vec!["3;8".into(), "7;9".into()];
    let calls: Vec<_> = (0..10)
        .map(|_| {
            let (store, rows) = (f.store.clone(), rows.clone());
            tokio::spawn(async move { store.receive(Some("key"), "127.0.0.1", &rows, at(0)).await.unwrap() })
        })
        .collect();
    let mut kept = 0;
    for call in calls {
        kept += call.await.unwrap();
    }
    assert_eq!(kept, 2);
    assert_eq!(f.store.receive(None, "::1", &rows, at(1)).await.unwrap(), 2);
    let shown: Vec<String> =
        f.store.received(10, 1, usize::MAX).await.unwrap().into_iter().map(|row| row.data).collect();
    assert_eq!(shown, vec!["7;9", "3;8", "7;9"]);
    assert_eq!(f.store.purge_gateway(at(1)).await.unwrap().received, 2);
    assert_eq!(f.store.received(10, 0, usize::MAX).await.unwrap().len(), 2);
    for (bytes, rows) in [(0, 1), (5, 1), (6, 2), (7, 2)] {
        assert_eq!(f.store.received(10, 0, bytes).await.unwrap().len(), rows, "{bytes} bytes");
    }
}

/// Several statements' worth, with the numbers that follow; none is left out or comes twice.
async fn the_receiver_keeps_many_rows_in_their_order(f: &Fixture) {
    assert_eq!(f.store.receive(Some("none"), "::1", &[], at(0)).await.unwrap(), 0);
    let rows: Vec<String> = (0..431).map(|row| row.to_string()).collect();
    for (batch, first) in [(&rows[..], 1), (&rows[..200], 432), (&rows[..1], 632)] {
        let offset = f.store.received(1000, 0, usize::MAX).await.unwrap().len();
        assert_eq!(f.store.receive(None, "::1", batch, at(first)).await.unwrap(), batch.len() as u64);
        let kept = f.store.received(1000, offset as u64, usize::MAX).await.unwrap();
        assert!(kept.iter().all(|row| row.from_ip == "::1" && row.at == at(first)));
        let ids: Vec<i64> = kept.iter().map(|row| row.id).collect();
        assert_eq!(ids, (first..).take(batch.len()).collect::<Vec<_>>());
        assert!(kept.iter().map(|row| &row.data).eq(batch));
    }
}

async fn zero_bytes_are_refused_alike(f: &Fixture) {
    assert_eq!(f.store.create_group("a\0b", "t", at(0)).await, Err(What::ZeroByte.into()));
    f.store.create_group("'; DROP TABLE groups; --\u{1f512}", "t", at(0)).await.unwrap();
    assert_eq!(f.store.groups().await.unwrap().len(), 1);
}

async fn negotiations_take_each_step_once(f: &Fixture) {
    let conflict = |what| Err(StoreError::Conflict { what });
    let put = async |id: &str, nonce: &str| f.store.put_negotiation(id, Some(GroupId(1)), nonce, "{}", at(0)).await;
    assert_eq!(put("a", "n1").await, Ok(()));
    assert_eq!(put("b", "n1").await, conflict(What::NegotiationReplay));
    assert_eq!(put("b", "n2").await, Ok(()));
    let step = async |seq, body: &str, agreed| f.store.add_negotiation_step("a", seq, body, agreed, at(1)).await;
    assert_eq!(step(0, "x", None).await, Ok(()));
    assert_eq!(step(0, "y", None).await, conflict(What::NegotiationStep));
    let agreed = || Some(("agreement".to_owned(), Some("decided".to_owned())));
    assert_eq!(step(1, "z", agreed()).await, Ok(()));
    assert_eq!(step(2, "w", agreed()).await, conflict(What::NegotiationStep), "there is one agreement");
    assert_eq!(f.store.negotiation_steps("a", 0).await.unwrap(), ["x", "z"]);
    assert_eq!(f.store.negotiation_steps("a", 1).await.unwrap(), ["z"], "what is known is not read again");
    assert_eq!(f.store.unfinished_negotiations().await.unwrap().len(), 1);
    f.store.set_negotiation_outcome("a", "in force").await.unwrap();
    f.store.set_negotiation_outcome("a", "something else").await.unwrap();
    assert_eq!(f.store.unfinished_negotiations().await.unwrap(), []);
    for consensus in ["agreement", "decided"] {
        let row = f.store.negotiation_of(consensus).await.unwrap().unwrap();
        assert_eq!((row.id.as_str(), row.outcome.as_deref()), ("a", Some("in force")));
    }
    assert_eq!(f.store.negotiation_of("x").await.unwrap(), None);
    assert_eq!(f.store.negotiations(GroupId(1)).await.unwrap().len(), 2);
    assert_eq!(f.store.negotiations(GroupId(2)).await.unwrap(), []);
}

async fn of_many_negotiations_the_newest_are_listed(f: &Fixture) {
    for number in 0..1001 {
        let name = format!("{number:04}");
        f.store.put_negotiation(&name, Some(GroupId(1)), &name, "{}", at(number)).await.unwrap();
    }
    let listed = f.store.negotiations(GroupId(1)).await.unwrap();
    let ends = (listed.len(), listed.first().map(|row| row.id.as_str()), listed.last().map(|row| row.id.as_str()));
    assert_eq!(ends, (1000, Some("0001"), Some("1000")));
}
