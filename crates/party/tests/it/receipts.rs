//! Receipts of a gateway that makes up who computed: only what those signed whom the party knows is kept.

use std::collections::BTreeMap;
use std::time::Duration;

use tacit_accord::ConsensusId;
use tacit_accord::log::{Checkpoint, Entry, Hash, Kind, Tree, leaf_hash};
use tacit_accord::receipt::{Logged, Receipt, ReceiptSignature, Statement, contribution_leaf, contributors_root};
use tacit_job::{Ask, Job, Own, Report, SignedPart, ToGateway, ToPeer};
use tacit_model::{Fingerprint, SessionId, UnixMillis};
use tacit_pki::Identity;
use tacit_store::OwedRow;

use crate::room::{is_done, job as task_job, request, room};
use crate::world::{World, identity, sign_next};

/// Who only gave data.
const GIVER: usize = 0;

/// What the members gave towards the receipt of a session: a statement, all signatures under it, all leaves.
struct Parts {
    statement: Statement,
    signatures: BTreeMap<Fingerprint, ReceiptSignature>,
    leaves: Vec<String>,
    given: BTreeMap<Fingerprint, Option<String>>,
}

/// Runs a slot of two input peers and three that compute.
async fn computed(world: &mut World) -> (Job, Parts) {
    world.peers[0].rows(&["1;3"]).await;
    world.peers[1].rows(&["2;5"]).await;
    let job = world.job(0);
    let reports = world.gateway.run(&world.consensus, &job).await;
    assert!(reports.values().all(|report| matches!(report, Report::Done { .. })), "{reports:?}");
    let (mut signed, mut given): (BTreeMap<Fingerprint, SignedPart>, BTreeMap<_, _>) = Default::default();
    for member in job.members() {
        let part = world.gateway.expect(&member, |message| match message {
            ToGateway::Receipt { session, part } if *session == job.session => Some((**part).clone()),
            _ => None,
        });
        let part = part.await;
        given.insert(member, part.leaf);
        signed.extend(part.signed.map(|part| (member, part)));
    }
    let first = signed.first_key_value().unwrap().1.clone();
    assert!(signed.values().all(|part| part.statement == first.statement));
    let statement = serde_json::from_str(&first.statement).unwrap();
    let signatures = signed.into_iter().map(|(member, part)| (member, part.signature)).collect();
    (job, Parts { statement, signatures, leaves: first.leaves, given })
}

/// A receipt, logged by the gateway as its only entry.
fn receipt(gateway: &Identity, statement: &Statement, signatures: Vec<ReceiptSignature>) -> String {
    let result = statement.agreement.clone().unwrap_or_else(|| Hash([6; 32]).to_string());
    let facts = statement.facts(&signatures, &result).unwrap();
    let entry = Entry { at: UnixMillis(7), node: gateway.fingerprint(), kind: Kind::Receipt, facts };
    let mut tree = Tree::new();
    tree.append(leaf_hash(entry.body().unwrap().as_bytes()), drop);
    let checkpoint = Checkpoint::new(&gateway.fingerprint(), &tree).sign(gateway).unwrap();
    let log = Logged { entry, number: 1, proof: Vec::new(), checkpoint, key: gateway.public_key().to_base64() };
    let document = Receipt { statement: statement.clone(), signatures, log }.to_document().unwrap();
    Receipt::verify(&document).expect("in itself it is whole");
    document
}

/// The same statement by a stranger alone, under a consensus that nobody decided.
fn forged(gateway: &Identity, statement: &Statement) -> String {
    let stranger = identity("stranger");
    let (consensus, compute) = (ConsensusId([9; 32]), vec![stranger.fingerprint()]);
    let forged = Statement { consensus, compute, threshold: 0, ..statement.clone() };
    receipt(gateway, &forged, vec![forged.sign(&stranger).unwrap()])
}

/// That this leaf is in, of two.
fn counted(leaves: &[String], mine: &str) -> Own {
    let index = leaves.iter().position(|leaf| leaf == mine).unwrap();
    Own::Counted { index: index as u64, proof: vec![leaves[1 - index].clone()] }
}

/// Sends it to the one who only gave.
fn send(world: &World, session: SessionId, receipt: &str, own: &Own) {
    let giver = world.peers[GIVER].fingerprint();
    world.gateway.send(&giver, &ToPeer::Receipt { session, receipt: receipt.to_owned(), own: own.clone() });
}

async fn within<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let found = tokio::time::timeout(Duration::from_secs(20), async {
        loop {
            match look().await {
                Some(found) => return found,
                None => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        }
    });
    found.await.unwrap_or_else(|_| panic!("{what} in time"))
}

/// It is refused for this reason, not kept, and awaited as before.
async fn refused(world: &World, session: SessionId, receipt: &str, own: &Own, why: &str) {
    send(world, session, receipt, own);
    let peer = &world.peers[GIVER];
    within(why, async || {
        let trouble = peer.party().status().await.unwrap().last_trouble?.what;
        (trouble.contains(&session.to_string()) && trouble.contains(why)).then_some(())
    })
    .await;
    let store = peer.store.as_ref().unwrap();
    assert_eq!(store.receipt(&peer.name, session).await.unwrap(), None);
    assert!(store.owed(&peer.name, session).await.unwrap().is_some(), "it is still awaited");
}

/// It is kept, with the proof, and awaited no more.
async fn kept(world: &World, session: SessionId, receipt: &str, own: &Own) {
    send(world, session, receipt, own);
    let peer = &world.peers[GIVER];
    let store = peer.store.as_ref().unwrap();
    let row = within("the receipt", async || store.receipt(&peer.name, session).await.unwrap()).await;
    assert_eq!(row.body, receipt);
    assert!(row.own.unwrap().contains("\"commitment\""), "it counted");
    assert_eq!(store.owed(&peer.name, session).await.unwrap(), None);
}

#[tokio::test]
async fn a_receipt_that_the_gateway_made_up_is_not_kept_by_who_did_not_compute() {
    let mut world = World::small().await;
    let (job, parts) = computed(&mut world).await;
    let gateway = std::sync::Arc::clone(&world.gateway.identity);
    let me = world.peers[GIVER].fingerprint();
    assert!(!job.compute.contains(&me) && !parts.signatures.contains_key(&me));
    let own = counted(&parts.leaves, parts.given[&me].as_ref().unwrap());

    let elsewhere = forged(&gateway, &parts.statement);
    refused(&world, job.session, &elsewhere, &own, "another computation").await;

    // Under the consensus of that time, which is not the known one any more, with a threshold that one liar reaches.
    let mut charter = world.consensus.charter().clone();
    charter.name = "renamed".to_owned();
    let next = sign_next(&world.consensus, charter, &world.manager);
    world.gateway.charter(&me, &next).await;
    let lone = Statement { threshold: 0, ..parts.statement.clone() };
    let lone_receipt = receipt(&gateway, &lone, vec![lone.sign(&world.peers[2].identity).unwrap()]);
    send(&world, SessionId([77; 16]), &lone_receipt, &own);
    let other = "it is one of another gateway or session";
    within(other, async || {
        let trouble = world.peers[GIVER].party().status().await.unwrap().last_trouble?.what;
        trouble.contains(other).then_some(())
    })
    .await;
    refused(&world, job.session, &lone_receipt, &own, "another computation").await;

    // A session that it was not in, made up as well: nothing to complain of, and nothing to keep.
    let unknown = Statement { session: SessionId([78; 16]), ..parts.statement.clone() };
    send(&world, unknown.session, &forged(&gateway, &unknown), &Own::Nothing);

    // The right one, although the charter has changed since.
    let right = receipt(&gateway, &parts.statement, parts.signatures.values().cloned().collect());
    kept(&world, job.session, &right, &own).await;
    let store = world.peers[GIVER].store.as_ref().unwrap();
    let all = store.receipts(&world.peers[GIVER].name, 9).await.unwrap();
    assert_eq!(all.iter().map(|row| row.session).collect::<Vec<_>>(), [job.session]);
    world.close().await;
}

/// What a part needs becomes durable a moment after the result of a client's task, and a node that ends meanwhile waits for it.
#[tokio::test]
async fn a_part_of_a_task_is_given_again_by_a_node_that_ended_right_after_it() {
    let mut world = room().await;
    let ask = Ask::admit(request(&world, 1, "now"), None, &world.gateway.identity).unwrap();
    let job = task_job(&world, &ask, 1);
    let reports = world.gateway.run(&world.consensus, &job).await;
    assert!(reports.values().all(is_done), "{reports:?}");
    let me = world.peers[0].fingerprint();
    world.peers[0].close().await;
    world.peers[0].open().await;
    let awaited = world.gateway.expect(&me, |message| match message {
        ToGateway::ReceiptsAwaited { awaited, .. } => awaited.iter().find(|one| one.session == job.session).cloned(),
        _ => None,
    });
    assert!(awaited.await.leaf.is_some(), "it says which contribution is its own");
    world.gateway.send(&me, &ToPeer::PartWanted { session: job.session });
    let given = world.gateway.expect(&me, |message| match message {
        ToGateway::Receipt { session, part } if *session == job.session => Some((**part).clone()),
        _ => None,
    });
    assert!(given.await.signed.is_some(), "and signs what it computed");
    world.close().await;
}

/// What an earlier version kept of a session says only what was given.
#[tokio::test]
async fn a_session_of_an_earlier_version_takes_receipts_under_the_known_consensus_only() {
    let mut world = World::small().await;
    let (job, parts) = computed(&mut world).await;
    let gateway = std::sync::Arc::clone(&world.gateway.identity);
    let peer = &world.peers[GIVER];
    let session = SessionId([79; 16]);
    let body = format!("{{\"commitment\":\"{}\",\"statement\":null,\"leaves\":[]}}", Hash([5; 32]));
    let row = OwedRow { session, gid: job.group, run: job.run, slot: job.slot, body, at: UnixMillis(1) };
    peer.store.as_ref().unwrap().owe(&peer.name, row).await.unwrap();

    let leaves = [contribution_leaf(&peer.fingerprint(), &[5; 32]), Hash([8; 32])];
    let mut statement = Statement { session, ..parts.statement };
    statement.contributors.root = contributors_root(&leaves).to_string();
    let leaves = leaves.map(|leaf| leaf.to_string());
    let own = counted(&leaves, &leaves[0]);

    refused(&world, session, &forged(&gateway, &statement), &own, "a consensus that this peer cannot check").await;
    let sign = |member: &Fingerprint| {
        let signer = world.peers.iter().find(|peer| peer.fingerprint() == *member).unwrap();
        statement.sign(&signer.identity).unwrap()
    };
    let right = receipt(&gateway, &statement, statement.compute.iter().map(sign).collect());
    kept(&world, session, &right, &own).await;
    world.close().await;
}

/// Not all are named at once, and of one that was not the gateway shows the receipt before it can say whether the data counted.
#[tokio::test]
async fn a_receipt_that_comes_before_it_was_asked_for_by_name_is_no_trouble() {
    let mut world = World::small().await;
    let (job, parts) = computed(&mut world).await;
    let gateway = std::sync::Arc::clone(&world.gateway.identity);
    let (name, me) = (world.peers[GIVER].name.clone(), world.peers[GIVER].fingerprint());
    // The oldest of more than are named.
    let session = SessionId([79; 16]);
    let commitment = format!("{{\"commitment\":\"{}\"}}", Hash([5; 32]));
    let other = |number: u8| SessionId([[number; 8], [80; 8]].concat().try_into().unwrap());
    let others = (0..=255).map(|number| (other(number), "{}".to_owned(), 2));
    for (session, body, at) in others.chain([(session, commitment, 1)]) {
        let row = OwedRow { session, gid: job.group, run: job.run, slot: job.slot, body, at: UnixMillis(at) };
        world.peers[GIVER].store.as_ref().unwrap().owe(&name, row).await.unwrap();
    }
    let mut statement = Statement { session, ..parts.statement.clone() };
    let leaves = [contribution_leaf(&me, &[5; 32]), Hash([8; 32])];
    statement.contributors.root = contributors_root(&leaves).to_string();
    let sign = |member: &Fingerprint| {
        let signer = world.peers.iter().find(|peer| peer.fingerprint() == *member).unwrap();
        statement.sign(&signer.identity).unwrap()
    };
    let early = receipt(&gateway, &statement, statement.compute.iter().map(sign).collect());

    world.peers[GIVER].close().await;
    world.peers[GIVER].open().await;
    let asked = |message: &ToGateway| match message {
        ToGateway::ReceiptsAwaited { awaited, .. } if awaited.len() == 256 => Some(awaited.clone()),
        _ => None,
    };
    let named = world.gateway.expect(&me, asked).await;
    assert!(named.iter().any(|one| one.session == job.session) && named.iter().all(|one| one.session != session));
    send(&world, session, &early, &Own::Nothing);
    // The next page is asked for when all of this one were looked at.
    world.gateway.send(&me, &ToPeer::ReceiptsSent { upto: UnixMillis(7), more: true });
    world.gateway.expect(&me, asked).await;
    let trouble = world.peers[GIVER].party().status().await.unwrap().last_trouble;
    assert!(trouble.is_none_or(|trouble| !trouble.what.contains("was not kept")));
    let store = world.peers[GIVER].store.as_ref().unwrap();
    assert!(store.owed(&name, session).await.unwrap().is_some(), "it is still awaited");

    // One that was named is another matter.
    let right = receipt(&gateway, &parts.statement, parts.signatures.values().cloned().collect());
    refused(&world, job.session, &right, &Own::Nothing, "whether this peer's data counted").await;
    world.close().await;
}
