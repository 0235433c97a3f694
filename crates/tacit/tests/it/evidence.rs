//! `tacit audit evidence` and `tacit audit verify-evidence`: what convicts a compute peer is fetched from a node, and holds or
//! does not without one. The evidence itself is made here as a session makes it; that one does is tested with the party.

use serde_json::{Value, json};
use tacit_accord::{
    Charter, Configuration, Consensus, Member, MemberRole, OnMissingInput, Proposal, SlotRules, decide,
};
use tacit_algebra::poly::eval;
use tacit_algebra::{F61, Field};
use tacit_engine::evidence::{Evidence, SignedShare, Step, statement};
use tacit_job::{EvidenceDocument, Job, Task, plan_of};
use tacit_model::{Attempt, Fingerprint, GroupId, RunId, SessionId, Slot, UnixMillis};
use tacit_pki::Identity;
use tacit_pki::envelope::{Context, sign_detached};
use tacit_store::{EvidenceRow, Store};
use time::OffsetDateTime;

use crate::harness::{Node, run};
use crate::p2ds::Group;

/// Numbers that are opened: one sum and the salt.
const OPENED: usize = 6;

fn identity(label: &str) -> Identity {
    Identity::generate(label, OffsetDateTime::UNIX_EPOCH).expect("a key")
}

fn charter(manager: &Identity, peers: &[Identity]) -> Charter {
    let member = |(i, peer): (usize, &Identity)| Member {
        name: format!("peer{i}"),
        fingerprint: peer.fingerprint(),
        operator: format!("operator{i}"),
        role: MemberRole::Both,
        endpoint: String::new(),
    };
    Charter {
        gateways: vec![Fingerprint([9; 32])],
        members: peers.iter().enumerate().map(member).collect(),
        configuration: Some(Configuration {
            field: "9223372036854775783".to_owned(),
            max_element: "1000".to_owned(),
            aggregator: "additive".to_owned(),
            items: 1,
            time_slots: -1,
            result_buffer_size: 1,
            parameters: [("security_model".to_owned(), "guaranteed".to_owned())].into(),
        }),
        slots: SlotRules { on_missing_input: OnMissingInput::Proceed(2), ..SlotRules::default() },
        ..Charter::new(GroupId(1), "quartet", manager.public_key().to_base64())
    }
}

/// Four peers signed their shares of a result; `wrong` are none.
fn document(consensus: &Consensus, peers: &[Identity], session: SessionId, wrong: &[usize]) -> EvidenceDocument {
    let charter = consensus.charter();
    let members: Vec<Fingerprint> = charter.computing().map(|member| member.fingerprint).collect();
    let job = Job {
        session,
        group: charter.group,
        charter: consensus.id(),
        run: RunId(1),
        slot: Slot(4),
        attempt: Attempt(0),
        task: Task::standing(charter).expect("it is configured"),
        inputs: members.clone(),
        compute: members.clone(),
        recipients: members,
    };
    let plan = plan_of(consensus, &job).expect("a plan");
    let accused = wrong.first().copied().unwrap_or(0);
    let share = |position: usize| {
        let member = plan.members()[plan.compute()[position]];
        let number = peers.iter().position(|peer| peer.fingerprint() == member).expect("a peer");
        let added = F61::from_u64(u64::from(wrong.contains(&position)));
        let point = F61::from_u128(plan.points()[position]);
        let elements: Vec<F61> =
            (1..=OPENED as u64).map(|k| eval(&[F61::from_u64(k), F61::from_u64(7 * k)], point) + added).collect();
        let mut bytes = Vec::new();
        F61::encode_slice(&elements, &mut bytes);
        let digest = statement(&plan.digest(), &[1; 32], Step::Result, &[2; 32], 0, &bytes);
        let signature = sign_detached(&peers[number], Context::Message, &digest);
        SignedShare { position: position as u32, elements: bytes, signature }
    };
    let evidence = Evidence {
        plan: plan.digest(),
        binding: [1; 32],
        step: Step::Result,
        basis: [2; 32],
        chunk: 0,
        accused: accused as u32,
        shares: (0..4).map(share).collect(),
    };
    EvidenceDocument::new(consensus, &job, peers.iter().map(Identity::public_key), &[evidence])
}

/// Runs `tacit audit verify-evidence` on these texts; its exit code and what it printed.
fn verify(folder: &std::path::Path, evidence: &str, consensus: Option<&str>) -> (Option<i32>, Value) {
    let (file, chain) = (folder.join("evidence.json"), folder.join("chain.txt"));
    std::fs::write(&file, evidence).expect("written");
    let mut args = vec!["audit", "verify-evidence", file.to_str().expect("UTF-8"), "--json"];
    if let Some(consensus) = consensus {
        std::fs::write(&chain, consensus).expect("written");
        args.extend(["--consensus", chain.to_str().expect("UTF-8")]);
    }
    let output = run(&args);
    (output.status.code(), serde_json::from_slice(&output.stdout).unwrap_or_default())
}

/// Who lied is shown to outsiders, with public keys alone; and nobody who did not.
#[test]
fn rule5_evidence_convicts_before_outsiders_and_frames_nobody() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let manager = identity("manager");
    let peers: Vec<Identity> = (0..4).map(|i| identity(&format!("peer{i}"))).collect();
    let decided = |charter: Charter, before: Option<&Consensus>| {
        decide(before, Proposal::new(before, charter, UnixMillis(0)).expect("a proposal").sign(&manager))
            .expect("decided")
    };
    let consensus = decided(charter(&manager, &peers), None);
    let session = SessionId([3; 16]);
    let right = document(&consensus, &peers, session, &[2]);
    let text = right.text().expect("text");
    let liar = plan_of(&consensus, &right.job).expect("a plan").members()[2].to_string();

    let (code, told) = verify(folder, &text, None);
    assert_eq!((code, &told["ok"], &told["consensus_checked"]), (Some(0), &json!(true), &json!(false)), "{told}");
    assert_eq!((&told["accused"][0]["party"], &told["slot"]), (&json!(liar), &json!(4)));
    let mut later = consensus.charter().clone();
    later.name = "other".to_owned();
    let chain = [consensus.to_document(), decided(later, Some(&consensus)).to_document()].join("\n");
    let (code, told) = verify(folder, &text, Some(&chain));
    assert_eq!((code, &told["consensus_checked"]), (Some(0), &json!(true)), "{told}");

    // Another group's charter, a document that is none, nobody wrong, two wrong of four.
    let stranger = identity("stranger");
    let foreign = Proposal::new(None, charter(&stranger, &peers), UnixMillis(0)).expect("a proposal").sign(&stranger);
    let foreign = decide(None, foreign).expect("decided").to_document();
    let place = |evidence: &str, chain: Option<&str>| {
        let (code, told) = verify(folder, evidence, chain);
        assert_eq!((code, &told["ok"]), (Some(3), &json!(false)), "{told}");
        told["place"].as_str().expect("a place").to_owned()
    };
    assert_eq!(place(&text, Some(&foreign)), "consensus");
    assert_eq!(place("{}", None), "document");
    for wrong in [&[][..], &[1, 2]] {
        assert_eq!(place(&document(&consensus, &peers, session, wrong).text().expect("text"), None), "proofs");
    }
    // Every part of a right one.
    let changed = |change: &dyn Fn(&mut EvidenceDocument)| {
        let mut document = right.clone();
        change(&mut document);
        place(&document.text().expect("text"), None)
    };
    assert_eq!(changed(&|d| d.format.push('1')), "document");
    assert_eq!(changed(&|d| d.consensus = foreign.clone()), "consensus");
    assert_eq!(changed(&|d| d.job.compute.truncate(2)), "job");
    assert_eq!(changed(&|d| d.job.attempt.0 += 1), "proofs");
    assert_eq!(changed(&|d| d.keys[0].push('=')), "keys");
    assert_eq!(changed(&|d| d.keys.truncate(3)), "proofs");
    assert_eq!(changed(&|d| d.proofs.clear()), "proofs");
    assert_eq!(changed(&|d| d.proofs.push(d.proofs[0].clone())), "proofs");
    assert_eq!(run(&["audit", "verify-evidence", "/nonexistent"]).status.code(), Some(2));
}

/// What a peer keeps is listed and exported as it is, and only that peer's.
#[test]
fn rule5_evidence_that_a_peer_keeps_is_exported() {
    let mut node = Node::start();
    let mut group = Group::found(&node.manager(), "g");
    group.join(&node.peers(), "a", crate::p2ds::INPUT, "");
    group.join(&node.peers(), "b", crate::p2ds::INPUT, "");
    let (name, other) = (group.full("a"), group.full("b"));
    let manager = identity("manager");
    let peers: Vec<Identity> = (0..4).map(|i| identity(&format!("peer{i}"))).collect();
    let proposal = Proposal::new(None, charter(&manager, &peers), UnixMillis(0)).expect("a proposal");
    let consensus = decide(None, proposal.sign(&manager)).expect("decided");
    let session = SessionId([3; 16]);
    let evidence = document(&consensus, &peers, session, &[1]);
    let body = evidence.text().expect("text");
    let accused = plan_of(&consensus, &evidence.job).expect("a plan").members()[1].to_string();
    node.kill();
    let row = EvidenceRow {
        session,
        gid: GroupId(1),
        run: RunId(1),
        slot: Slot(4),
        accused: accused.clone(),
        body,
        at: UnixMillis(1_790_000_000_000),
    };
    let database = node.data().join("tacit.db");
    let party = name.clone();
    tokio::runtime::Runtime::new().expect("a runtime").block_on(async {
        let store = Store::open(database.to_str().expect("UTF-8")).await.expect("a store");
        store.put_evidence(&party, row).await.expect("kept");
        store.close().await;
    });
    node.restart();

    let data = node.data();
    let data = data.to_str().expect("UTF-8");
    let list = |peer: &str| -> Value {
        let output = run(&["audit", "evidence", peer, "--data", data, "--json"]);
        serde_json::from_slice(&output.stdout).expect("a list")
    };
    assert_eq!(list(&other), json!([]));
    let listed = list(&name);
    assert_eq!((&listed[0]["accused"], &listed[0]["slot"]), (&json!([accused]), &json!(4)), "{listed}");
    let file = node.data().join("lie.json");
    let file = file.to_str().expect("UTF-8");
    let session = session.to_string();
    let exported = run(&["audit", "evidence", &name, &session, "--out", file, "--data", data]);
    assert_eq!(exported.status.code(), Some(0), "{exported:?}");
    let held = run(&["audit", "verify-evidence", file]);
    assert_eq!(held.status.code(), Some(0), "{held:?}");
    assert!(String::from_utf8_lossy(&held.stdout).contains(&accused));
    let none = run(&["audit", "evidence", &other, &session, "--data", data]);
    assert_ne!(none.status.code(), Some(0));
    // No 5xx for what is no session.
    for path in ["no-session", &"00".repeat(16), "%00"] {
        let reply = node.api("GET", &format!("/peers/{}/evidence/{path}", crate::http::escaped(&name)), None);
        assert!(matches!(reply.status, 400 | 404), "{path}: {}", reply.status);
    }
}
