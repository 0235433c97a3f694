//! Evidence against compute peers: bytes and documents as they come, and right ones with changes. An honest peer is never
//! convicted.

#![no_main]

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use libfuzzer_sys::fuzz_target;
use serde_json::json;
use tacit_accord::{Charter, Consensus, Proposal, decide};
use tacit_algebra::poly::eval;
use tacit_algebra::{F61, Field};
use tacit_engine::Plan;
use tacit_engine::evidence::{Evidence, SignedShare, Step, statement};
use tacit_fuzz::keys::{MANAGER, identity};
use tacit_job::{EvidenceDocument, Job, Task, plan_of};
use tacit_model::codec::{Decode, Encode};
use tacit_model::{Attempt, GroupId, RunId, SessionId, Slot, UnixMillis};
use tacit_pki::Identity;
use tacit_pki::envelope::{Context, sign_detached};

/// The place of the one that lied.
const LIAR: usize = 2;

fuzz_target!(|data: &[u8]| {
    let Some((&how, data)) = data.split_first() else { return };
    match how % 4 {
        // Bytes as they come.
        0 => {
            if let Ok(evidence) = Evidence::from_bytes(data) {
                assert_eq!(evidence.to_bytes(), data, "one encoding for each evidence");
                let _ = evidence.check(&WORLD.plan, |_, _, _| true);
                assert!(evidence.check(&WORLD.plan, |_, _, _| false).is_err());
            }
        }
        // A document as it comes.
        1 => {
            let Ok(text) = std::str::from_utf8(data) else { return };
            if let Err(fault) = EvidenceDocument::verify(text) {
                assert!(!fault.place.is_empty());
            }
        }
        // Any evidence in a right document.
        2 => {
            let mut document = WORLD.document.clone();
            document.proofs = vec![STANDARD.encode(data)];
            judge(&document);
        }
        // The right one with some bytes of the proof changed: place (two bytes), byte, ...
        _ => {
            let mut proof = WORLD.proof.clone();
            for change in data.chunks_exact(3) {
                let at = usize::from(u16::from_le_bytes([change[0], change[1]])) % proof.len();
                proof[at] = change[2];
            }
            let mut document = WORLD.document.clone();
            document.proofs = vec![STANDARD.encode(&proof)];
            assert_eq!(judge(&document), proof == WORLD.proof, "a change was not noticed");
        }
    }
});

/// Whether it convicts, which can only be the liar.
fn judge(document: &EvidenceDocument) -> bool {
    let Ok(text) = document.text() else { return false };
    let Ok(convicted) = EvidenceDocument::verify(&text) else { return false };
    let liar = WORLD.plan.members()[WORLD.plan.compute()[LIAR]];
    assert!(convicted.members.iter().all(|(member, _)| *member == liar), "somebody honest is convicted");
    true
}

/// A session of four, of which one signed a wrong share.
struct World {
    plan: Plan,
    document: EvidenceDocument,
    proof: Vec<u8>,
}

static WORLD: LazyLock<World> = LazyLock::new(|| {
    let peers: Vec<Identity> = (3..7).map(identity).collect();
    let consensus = consensus(&peers);
    let charter = consensus.charter();
    let members: Vec<_> = charter.computing().map(|member| member.fingerprint).collect();
    let job = Job {
        session: SessionId([1; 16]),
        group: charter.group,
        charter: consensus.id(),
        run: RunId(1),
        slot: Slot(0),
        attempt: Attempt(0),
        task: Task::standing(charter).expect("it is configured"),
        inputs: members.clone(),
        compute: members.clone(),
        recipients: members,
    };
    let plan = plan_of(&consensus, &job).expect("a plan");
    let share = |position: usize| {
        let member = plan.members()[plan.compute()[position]];
        let peer = peers.iter().find(|peer| peer.fingerprint() == member).expect("a peer");
        let point = F61::from_u128(plan.points()[position]);
        let wrong = F61::from_u64(u64::from(position == LIAR));
        // One sum and the salt.
        let elements: Vec<F61> =
            (1..=6).map(|k| eval(&[F61::from_u64(k), F61::from_u64(7 * k)], point) + wrong).collect();
        let mut bytes = Vec::new();
        F61::encode_slice(&elements, &mut bytes);
        let digest = statement(&plan.digest(), &[1; 32], Step::Result, &[2; 32], 0, &bytes);
        SignedShare {
            position: position as u32,
            elements: bytes,
            signature: sign_detached(peer, Context::Message, &digest),
        }
    };
    let evidence = Evidence {
        plan: plan.digest(),
        binding: [1; 32],
        step: Step::Result,
        basis: [2; 32],
        chunk: 0,
        accused: LIAR as u32,
        shares: (0..4).map(share).collect(),
    };
    let keys = peers.iter().map(Identity::public_key);
    let document = EvidenceDocument::new(&consensus, &job, keys, std::slice::from_ref(&evidence));
    World { plan, document, proof: evidence.to_bytes() }
});

fn consensus(peers: &[Identity]) -> Consensus {
    let member = |(i, peer): (usize, &Identity)| {
        json!({
            "name": format!("peer{i}"), "fingerprint": peer.fingerprint(), "operator": format!("operator{i}"),
            "role": "both", "endpoint": "",
        })
    };
    let charter = json!({
        "group": GroupId(1), "name": "g", "manager": MANAGER.public_key().to_base64(), "owners": [], "quorum": 0,
        "gateways": [MANAGER.fingerprint()], "threshold": 1, "sharing": "shamir",
        "members": peers.iter().enumerate().map(member).collect::<Vec<_>>(),
        "configuration": {
            "field": "9223372036854775783", "max_element": "1000", "aggregator": "additive", "items": 1,
            "time_slots": -1, "result_buffer_size": 1, "parameters": { "security_model": "guaranteed" },
        },
        "slots": { "on_missing_input": { "proceed": 2 }, "deadline_ms": 1000, "slot_ms": 0, "first_slot": null },
        "test_mode": false,
    });
    let charter: Charter = serde_json::from_value(charter).expect("a charter");
    decide(None, Proposal::new(None, charter, UnixMillis(0)).expect("a proposal").sign(&MANAGER)).expect("decided")
}
