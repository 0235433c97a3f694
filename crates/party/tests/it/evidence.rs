//! A compute peer that signs a wrong share, over real links: the others keep what convicts it before anybody, with a result
//! and without one.

use std::cell::RefCell;
use std::collections::BTreeMap;

use serde_json::Value;
use tacit_accord::{Charter, MemberRole, OnMissingInput};
use tacit_engine::Plan;
use tacit_engine::evidence::{Step, statement};
use tacit_job::{EvidenceDocument, Fault, Job, Report};
use tacit_pki::PublicKey;
use tacit_pki::envelope::{Context, sign_detached};

use crate::liar::{Liar, Lied};
use crate::world::{Peer, RUN, World};

/// Messages of the engine by their first byte: a share of the result, and the signature under it; a share of the coin with
/// what was agreed, and answers.
const RESULT: u8 = 6;
const SIGNED: u8 = 20;
const COIN: u8 = 14;
const ANSWERS: u8 = 15;
/// Of the two sums and the salt, 61 bits each.
const ELEMENTS: usize = 8 * 7;

/// The evidence that a peer kept, and what its log says of it.
async fn kept(peer: &Peer, job: &Job) -> (Option<String>, Vec<Value>) {
    let store = peer.store.as_ref().unwrap();
    let row = store.evidence(&peer.name, job.session).await.unwrap();
    let entries = store.log_entries(1, 1000).await.unwrap();
    let bodies = entries.iter().map(|entry| serde_json::from_slice::<Value>(&entry.body).unwrap());
    (row.map(|row| row.body), bodies.filter(|body| body["kind"] == "evidence").collect())
}

/// Two honest input peers, three honest privacy peers, and the liar, where so many inputs are needed.
async fn guaranteed(liar: &Liar, needed: u32) -> (World, Job) {
    let change = |charter: &mut Charter| {
        charter.members.push(liar.member());
        charter.slots.on_missing_input = OnMissingInput::Proceed(needed);
        let configuration = charter.configuration.as_mut().unwrap();
        configuration.parameters.insert("security_model".to_owned(), "guaranteed".to_owned());
    };
    let mut world = World::with(|_| {}, change).await;
    world.peers[0].rows(&["1;3"]).await;
    world.peers[1].rows(&["2;5"]).await;
    let job = world.job(0);
    (world, job)
}

#[tokio::test]
async fn rule5_a_liar_among_real_peers_is_convicted_by_what_they_keep() {
    let liar = Liar::start(MemberRole::Privacy).await;
    let (mut world, job) = guaranteed(&liar, 2).await;
    let cheater = liar.fingerprint();
    // It holds its shares of the result back until it knows what is signed with them, and sends others.
    let held = RefCell::new(Vec::new());
    let hold_back = |to: usize, message: Vec<u8>| match message[0] {
        RESULT | SIGNED => {
            held.borrow_mut().push((to, message));
            None
        }
        _ => Some(message),
    };
    let send_others = |plan: &Plan, mut lied: Lied| {
        let outcome = lied.outcome.as_ref().expect("the liar's own engine is honest").clone();
        let mut said = BTreeMap::new();
        for (to, mut message) in held.take() {
            let length = message.len();
            if message[0] == RESULT {
                message[length - ELEMENTS] ^= 1;
                said.insert(to, message[length - ELEMENTS..].to_vec());
            } else {
                let (plan, frozen) = (plan.digest(), &outcome.frozen);
                let digest = statement(&plan, &outcome.binding, Step::Result, frozen, 0, &said[&to]);
                message[1..].copy_from_slice(&sign_detached(&liar.identity, Context::Message, &digest));
            }
            lied.send(to, message);
        }
        lied.finish();
    };
    let reports = liar.run(&mut world, &job, None, hold_back, send_others).await;
    assert!(reports.values().all(|report| matches!(report, Report::Done { .. })), "{reports:?}");

    for (index, peer) in world.peers.iter().enumerate() {
        let (document, entries) = kept(peer, &job).await;
        if index >= 2 {
            assert!(document.is_none() && entries.is_empty(), "only recipients see the shares");
            continue;
        }
        assert_eq!(peer.party().results(RUN).await.unwrap()[0].text(), "3;8", "the result comes, and is right");
        let document = document.expect("evidence");
        let convicted = EvidenceDocument::verify(&document).expect("it holds");
        assert_eq!(convicted.members, [(cheater, "liar".to_owned())]);
        assert_eq!((convicted.job, convicted.consensus.id()), (job.clone(), world.consensus.id()));
        let [entry] = &entries[..] else { panic!("{entries:?}") };
        assert_eq!(entry["facts"]["accused"], cheater.to_string());
        // Nothing of what was sent is in the log.
        let facts: Vec<&String> = entry["facts"].as_object().unwrap().keys().collect();
        assert_eq!(facts, ["accused", "consensus", "group", "party", "run", "session", "slot"]);
        let trouble = peer.party().status().await.unwrap().last_trouble.unwrap().what;
        assert!(trouble.contains("liar") && trouble.contains("tacit audit evidence"), "{trouble}");
        // No byte of the proof may be another one; who is accused stands in it.
        let right: EvidenceDocument = serde_json::from_str(&document).unwrap();
        for change in [0, 1, 2] {
            let mut wrong = right.clone();
            match change {
                0 => wrong.job.slot.0 += 1,
                1 => wrong.keys.retain(|key| PublicKey::from_base64(key).unwrap().fingerprint() != cheater),
                _ => wrong.proofs.push(right.proofs[0].clone()),
            }
            assert!(EvidenceDocument::verify(&wrong.text().unwrap()).is_err(), "change {change}");
        }
    }
    world.close().await;
}

/// It lies about the proofs of honest inputs, and gives none itself, so that there are too few for a result.
#[tokio::test]
async fn rule5_evidence_is_kept_where_the_session_ends_in_an_error() {
    let liar = Liar::start(MemberRole::Both).await;
    let (mut world, job) = guaranteed(&liar, 3).await;
    let cheater = liar.fingerprint();
    let lie = |plan: &Plan, binding: &[u8; 32]| {
        let (plan, binding, mut agreed) = (plan.digest(), *binding, [0; 32]);
        let liar = &liar;
        move |_: usize, mut message: Vec<u8>| {
            if message[0] == COIN {
                agreed.copy_from_slice(&message[5..37]);
            }
            if message[0] == ANSWERS {
                *message.last_mut().unwrap() ^= 1;
                let number = u32::from_be_bytes(message[1..5].try_into().unwrap());
                let digest = statement(&plan, &binding, Step::Answers(number), &agreed, 0, &message[69..]);
                message[5..69].copy_from_slice(&sign_detached(&liar.identity, Context::Message, &digest));
            }
            Some(message)
        }
    };
    let reports = liar.run_bound(&mut world, &job, None, lie, |_, lied| lied.finish()).await;

    for (index, peer) in world.peers.iter().enumerate() {
        let (document, entries) = kept(peer, &job).await;
        let report = &reports[&peer.fingerprint()];
        if index < 2 {
            assert!(matches!(report, Report::Failed { .. }), "{report:?}");
            assert!(document.is_none() && entries.is_empty(), "only compute peers see answers");
            continue;
        }
        let missing = Fault::MissingInput { members: vec![cheater] };
        assert_eq!(*report, Report::Failed { fault: missing, frozen: false });
        let convicted = EvidenceDocument::verify(&document.expect("evidence")).expect("it holds");
        assert_eq!(convicted.members, [(cheater, "liar".to_owned())]);
        assert_eq!(entries.len(), 1);
        let trouble = peer.party().status().await.unwrap().last_trouble.unwrap().what;
        assert!(trouble.contains("3 are needed") && trouble.contains("liar signed a wrong share"), "{trouble}");
    }
    world.close().await;
}
