//! Proofs about the audit log: those of a right log hold, others do not, and no size is too large to be refused.

#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use tacit_accord::log::{Hash, Node, ProofPlan, Tree, leaf_hash, verify_consistency, verify_inclusion};

#[derive(Arbitrary, Debug)]
struct Case {
    size: u16,
    a: u64,
    b: u64,
    proof: Vec<[u8; 32]>,
    change: Option<(u8, u8)>,
}

fuzz_target!(|case: Case| {
    // Any numbers and hashes.
    let proof: Vec<Hash> = case.proof.iter().copied().map(Hash).collect();
    let some = Hash([7; 32]);
    assert!(verify_inclusion(&some, case.a, case.b, &proof, &Hash([8; 32])).is_err());
    let _ = verify_consistency((case.a, &some), (case.b, &Hash([8; 32])), &proof);
    for plan in [ProofPlan::inclusion(case.a, case.b), ProofPlan::consistency(case.a, case.b)].into_iter().flatten() {
        assert!(plan.spans().all(|span| span.count > 0 && span.count < 256));
    }
    assert!(ProofPlan::peaks(case.b).spans().count() <= 64);

    // A log that is there.
    let size = u64::from(case.size) % 700 + 1;
    let (index, old) = (case.a % size, case.b % (size + 1));
    let mut kept: Vec<Node> = Vec::new();
    let mut tree = Tree::new();
    let mut old_root = tree.root();
    for entry in 0..size {
        let hash = leaf_hash(&entry.to_le_bytes());
        kept.push(Node { level: 0, index: entry, hash });
        tree.append(hash, |node| kept.push(node));
        if tree.size() == old {
            old_root = tree.root();
        }
    }
    let root = tree.root();
    let made = |plan: ProofPlan| {
        let find = |level, index| kept.iter().find(|n| (n.level, n.index) == (level, index)).expect("it is kept").hash;
        let read: Vec<Vec<Hash>> = plan
            .spans()
            .map(|span| (span.from..span.from + span.count).map(|index| find(span.level, index)).collect())
            .collect();
        plan.finish(&read).expect("all hashes are there")
    };
    let mut inclusion = made(ProofPlan::inclusion(index, size).expect("inside"));
    let mut consistency = made(ProofPlan::consistency(old, size).expect("inside"));
    let leaf = leaf_hash(&index.to_le_bytes());
    assert_eq!(verify_inclusion(&leaf, index, size, &inclusion, &root), Ok(()));
    assert_eq!(verify_consistency((old, &old_root), (size, &root), &consistency), Ok(()));
    if let Some((at, bit)) = case.change {
        for proof in [&mut inclusion, &mut consistency] {
            let length = proof.len();
            match proof.get_mut(usize::from(at) % length.max(1)) {
                Some(hash) => hash.0[usize::from(bit / 8)] ^= 1 << (bit % 8),
                None => proof.push(some),
            }
        }
        assert!(verify_inclusion(&leaf, index, size, &inclusion, &root).is_err());
        assert!(verify_consistency((old, &old_root), (size, &root), &consistency).is_err());
    }
});
