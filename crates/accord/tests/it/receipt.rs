//! Receipts hold as a whole or are refused, and say nothing of inputs.

use std::collections::BTreeMap;

use serde_json::json;
use tacit_accord::ConsensusId;
use tacit_accord::log::{Checkpoint, Entry, Hash, Kind, Tree, leaf_hash};
use tacit_accord::receipt::{
    Contribution, Contributors, Counted, FORMAT, Logged, Receipt, ReceiptSignature, Statement, contribution_leaf,
    contributors_root,
};
use tacit_model::{Attempt, Fingerprint, GroupId, RunId, SessionId, Slot, UnixMillis};
use tacit_pki::Identity;

use crate::identity;

struct Scene {
    node: Identity,
    peers: Vec<Identity>,
    /// Contributors, ascending, and their commitments.
    given: Vec<(Fingerprint, [u8; 32])>,
}

impl Scene {
    fn new() -> Self {
        let mut peers: Vec<Identity> = (0..3).map(|number| identity(&format!("peer{number}"))).collect();
        peers.sort_by_key(Identity::fingerprint);
        let mut given: Vec<_> = (0..5_u8).map(|number| (identity("giver").fingerprint(), [number + 1; 32])).collect();
        given.sort_unstable();
        Self { node: identity("node"), peers, given }
    }

    fn leaves(&self) -> Vec<Hash> {
        self.given.iter().map(|(party, commitment)| contribution_leaf(party, commitment)).collect()
    }

    fn statement(&self) -> Statement {
        let hash = |byte| Hash([byte; 32]).to_string();
        Statement {
            format: FORMAT.to_owned(),
            group: GroupId(1),
            consensus: ConsensusId([1; 32]),
            session: SessionId([2; 16]),
            run: RunId(3),
            slot: Slot(4),
            attempt: Attempt(0),
            task: json!({ "aggregator": "sum", "items": 2, "purpose": "größe \"x\"" }),
            plan: hash(3),
            model: "semi-honest".to_owned(),
            threshold: 1,
            compute: self.peers.iter().map(Identity::fingerprint).collect(),
            contributors: Contributors { count: 5, root: contributors_root(&self.leaves()).to_string() },
            recipients: 5,
            guards: BTreeMap::from([("max_element".to_owned(), "1000".to_owned())]),
            budget: None,
            frozen: hash(4),
            binding: hash(5),
            agreement: None,
        }
    }

    /// Signed by these, and logged as the second of three entries.
    fn receipt(&self, statement: Statement, signers: &[usize]) -> Receipt {
        let signatures: Vec<ReceiptSignature> =
            signers.iter().map(|signer| statement.sign(&self.peers[*signer]).expect("signed")).collect();
        let facts = statement.facts(&signatures, &Hash([6; 32]).to_string()).expect("facts");
        let entry = Entry { at: UnixMillis(7), node: self.node.fingerprint(), kind: Kind::Receipt, facts };
        let leaves = [leaf_hash(b"a"), leaf_hash(entry.body().expect("a body").as_bytes()), leaf_hash(b"c")];
        let mut tree = Tree::new();
        leaves.iter().for_each(|leaf| tree.append(*leaf, drop));
        let checkpoint = Checkpoint::new(&self.node.fingerprint(), &tree).sign(&self.node).expect("signed");
        let proof = vec![leaves[0].to_string(), leaves[2].to_string()];
        let log = Logged { entry, number: 2, proof, checkpoint, key: self.node.public_key().to_base64() };
        Receipt { statement, signatures, log }
    }
}

fn refused(receipt: &Receipt) -> &'static str {
    Receipt::verify(&receipt.to_document().expect("a document")).expect_err("refused").place
}

#[test]
fn receipts_hold_as_a_whole() {
    let scene = Scene::new();
    let good = scene.receipt(scene.statement(), &[0, 1, 2]);
    let document = good.to_document().expect("a document");
    assert_eq!(Receipt::verify(&document).expect("holds"), good);
    Receipt::verify(&scene.receipt(scene.statement(), &[0, 2]).to_document().expect("a document")).expect("t + 1 do");
    assert_eq!(refused(&scene.receipt(scene.statement(), &[1])), "signatures");
    assert_eq!(refused(&scene.receipt(scene.statement(), &[2, 0])), "signatures");

    // Every byte; the place that is named is where the byte was, unless the form broke.
    let bytes = document.as_bytes();
    let starts = ["\"log\":", "\"checkpoint\":", "\"entry\":", "\"signatures\":[", "\"statement\":{\"agreement\""];
    let starts = starts.map(|start| document.find(start).expect("a member"));
    assert!(starts.is_sorted(), "{starts:?}");
    let named = |place: usize| -> &[&str] {
        match starts.iter().rposition(|start| *start <= place) {
            // A key or a signature of the log, or what stands around it.
            Some(0..=2) => &["document", "log", "checkpoint"],
            Some(3) => &["document", "signatures"],
            Some(4) => &["document", "statement", "signatures"],
            _ => &["document"],
        }
    };
    for place in 0..bytes.len() {
        for flip in [1, 2, 0x20] {
            let mut edited = bytes.to_vec();
            edited[place] ^= flip;
            let Ok(edited) = String::from_utf8(edited) else { continue };
            let fault = Receipt::verify(&edited).expect_err("changed");
            assert!(named(place).contains(&fault.place), "byte {place} ^ {flip}: {fault}");
        }
    }
    // Every byte deleted, doubled; every neighbour swapped. A form that broke is named by the byte at which it did.
    for place in 0..bytes.len() {
        let less = [&bytes[..place], &bytes[place + 1..]].concat();
        let more = [&bytes[..=place], &bytes[place..]].concat();
        let mut swapped = bytes.to_vec();
        swapped.swap(place, (place + 1) % bytes.len());
        for edited in [less, more, swapped].into_iter().filter(|edited| edited != bytes) {
            let Ok(edited) = String::from_utf8(edited) else { continue };
            let fault = Receipt::verify(&edited).expect_err("deleted, doubled or swapped");
            let next = named((place + 1) % bytes.len());
            assert!(named(place).contains(&fault.place) || next.contains(&fault.place), "byte {place}: {fault}");
            let says_where = ["column ", "byte "].iter().any(|word| fault.why.contains(word));
            assert!(fault.place != "document" || says_where, "byte {place}: {fault}");
        }
    }
    // A digit of the statement that leaves the form whole: the statement is named; a signature's, its signer.
    let edited = document.replacen("\"slot\":4", "\"slot\":5", 1);
    assert_eq!(Receipt::verify(&edited).expect_err("changed").place, "statement");
    let mut one = good.clone();
    one.signatures[1].signature = one.signatures[0].signature.clone();
    let fault = Receipt::verify(&one.to_document().expect("a document")).expect_err("changed");
    assert!(fault.place == "signatures" && fault.why.contains(&scene.peers[1].fingerprint().to_string()), "{fault}");
    assert!(Receipt::verify(&document[..document.len() - 1]).is_err());
    assert!(Receipt::verify(&format!("{document} ")).is_err());

    // Parts taken out, put in another order, or of another receipt.
    let mut fewer = good.clone();
    fewer.signatures.pop();
    assert_eq!(refused(&fewer), "log", "the entry fixes who signed");
    let mut swapped = good.clone();
    swapped.signatures.swap(0, 1);
    assert_eq!(refused(&swapped), "signatures");
    let mut other = good.clone();
    other.log = scene.receipt(Statement { slot: Slot(5), ..scene.statement() }, &[0, 1, 2]).log;
    assert_eq!(refused(&other), "log");
    let mut stranger = good.clone();
    stranger.signatures[0] = stranger.statement.sign(&identity("stranger")).expect("signed");
    assert_eq!(refused(&stranger), "signatures");
    let mut lone = good;
    lone.statement.agreement = Some(Hash([9; 32]).to_string());
    let lone = scene.receipt(lone.statement, &[0, 1]);
    assert_eq!(refused(&lone), "log", "the log names another result than the peers signed");
}

#[test]
fn contributors_prove_that_they_are_in_and_nobody_else_can() {
    let scene = Scene::new();
    let receipt = scene.receipt(scene.statement(), &[0, 1]);
    let leaves = scene.leaves();
    let proof = |index: usize| -> Vec<String> {
        // By hand, for five leaves.
        let node = |a, b| tacit_accord::log::node_hash(a, b);
        let (ab, cd) = (node(&leaves[0], &leaves[1]), node(&leaves[2], &leaves[3]));
        let path = match index {
            0 => vec![leaves[1], cd, leaves[4]],
            1 => vec![leaves[0], cd, leaves[4]],
            2 => vec![leaves[3], ab, leaves[4]],
            3 => vec![leaves[2], ab, leaves[4]],
            _ => vec![node(&ab, &cd)],
        };
        path.iter().map(Hash::to_string).collect()
    };
    for (index, (party, commitment)) in scene.given.iter().enumerate() {
        let counted = Counted { commitment: Hash(*commitment).to_string(), index: index as u64, proof: proof(index) };
        let own = Contribution {
            session: receipt.statement.session,
            party: *party,
            counted: Some(counted.clone()),
            reason: None,
        };
        receipt.check_contribution(&own).expect("it is in");
        let elsewhere = Contribution { session: SessionId([9; 16]), ..own.clone() };
        receipt.check_contribution(&elsewhere).expect_err("another session");
        // Somebody who knows the proof, but not the salted commitment, or is somebody else.
        let guessed = Counted { commitment: Hash([77; 32]).to_string(), ..counted.clone() };
        receipt.check_contribution(&Contribution { counted: Some(guessed), ..own.clone() }).expect_err("guessed");
        let stranger = identity("stranger").fingerprint();
        receipt.check_contribution(&Contribution { party: stranger, ..own }).expect_err("a stranger");
    }
    let party = scene.given[0].0;
    let reason = Some("late".to_owned());
    let own = Contribution { session: receipt.statement.session, party, counted: None, reason };
    assert_eq!(receipt.check_contribution(&own).expect_err("late").why, "late");
}
