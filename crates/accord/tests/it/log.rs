//! The Merkle tree and its proofs, against outside vectors and against the definition in RFC 9162; checkpoints
//! and witnesses.

use proptest::prelude::*;
use tacit_accord::log::note::NoteError;
use tacit_accord::log::{
    Checkpoint, CheckpointError, Disputed, Hash, KEPT, ProofError, ProofPlan, Span, Tree, leaf_hash, node_hash,
    origin_of, verify_consistency, verify_inclusion, witness,
};
use tacit_pki::Identity;

use crate::identity;

/// The test tree of Certificate Transparency (RFC 6962 reference code, transparency-dev/merkle).
const ENTRIES: [&str; 8] =
    ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"];
const ROOTS: [&str; 9] = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
];
const A: &str = "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7";
const B: &str = "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e";
const C: &str = "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4";
const D: &str = "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b";
const E: &str = "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0";
const F: &str = "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a";
const G: &str = "b08693ec2e721597130641e8211e7eedccb4c26413963eee6c1e2ed16ffb1a5f";

fn hash(text: &str) -> Hash {
    text.parse().expect("64 digits")
}

fn hashes(texts: &[&str]) -> Vec<Hash> {
    texts.iter().map(|text| hash(text)).collect()
}

fn reference_leaves() -> Vec<Hash> {
    ENTRIES.iter().map(|entry| leaf_hash(&hex(entry))).collect()
}

fn hex(text: &str) -> Vec<u8> {
    (0..text.len() / 2).map(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).expect("digits")).collect()
}

/// MTH of RFC 9162, section 2.1.1, word by word.
fn mth(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => Hash::empty(),
        [leaf] => *leaf,
        _ => {
            let (left, right) = leaves.split_at(largest_power_below(leaves.len()));
            node_hash(&mth(left), &mth(right))
        }
    }
}

/// PATH of section 2.1.3.1.
fn path(m: usize, leaves: &[Hash]) -> Vec<Hash> {
    if leaves.len() == 1 {
        return vec![];
    }
    let k = largest_power_below(leaves.len());
    let (left, right) = leaves.split_at(k);
    let (mut path, other) = if m < k { (path(m, left), right) } else { (path(m - k, right), left) };
    path.push(mth(other));
    path
}

/// SUBPROOF of section 2.1.4.1.
fn subproof(m: usize, leaves: &[Hash], whole: bool) -> Vec<Hash> {
    if m == leaves.len() {
        return if whole { vec![] } else { vec![mth(leaves)] };
    }
    let k = largest_power_below(leaves.len());
    let (left, right) = leaves.split_at(k);
    let (mut proof, other) =
        if m <= k { (subproof(m, left, whole), right) } else { (subproof(m - k, right, false), left) };
    proof.push(mth(other));
    proof
}

fn largest_power_below(n: usize) -> usize {
    (1..).map(|i| 1 << i).find(|power: &usize| power * 2 >= n).map_or(1, |power| if n <= 2 { 1 } else { power })
}

fn tree_of(leaves: &[Hash]) -> Tree {
    let mut tree = Tree::new();
    leaves.iter().for_each(|leaf| tree.append(*leaf, drop));
    tree
}

/// What a store would answer.
fn read(leaves: &[Hash], span: Span) -> Vec<Hash> {
    let start = usize::try_from(span.from << span.level).expect("small");
    let count = usize::try_from(span.count).expect("small");
    leaves[start..].chunks(1 << span.level).take(count).map(mth).collect()
}

fn finish(plan: &ProofPlan, leaves: &[Hash]) -> Vec<Hash> {
    let spans: Vec<_> = plan.spans().map(|span| read(leaves, span)).collect();
    plan.finish(&spans).expect("all spans are there")
}

fn inclusion(index: u64, leaves: &[Hash]) -> Vec<Hash> {
    finish(&ProofPlan::inclusion(index, leaves.len() as u64).expect("inside"), leaves)
}

fn consistency(old: u64, leaves: &[Hash]) -> Vec<Hash> {
    finish(&ProofPlan::consistency(old, leaves.len() as u64).expect("inside"), leaves)
}

#[test]
fn outside_roots() {
    let leaves = reference_leaves();
    for (size, root) in ROOTS.iter().enumerate() {
        assert_eq!(tree_of(&leaves[..size]).root(), hash(root), "{size}");
        assert_eq!(mth(&leaves[..size]), hash(root), "the test's own reference, {size}");
    }
}

#[test]
fn outside_inclusion_proofs() {
    let leaves = reference_leaves();
    for (index, size, proof) in [
        (0, 1, vec![]),
        (0, 8, vec![A, B, C]),
        (5, 8, vec![D, E, ROOTS[4]]),
        (2, 3, vec![ROOTS[2]]),
        (1, 5, vec![ROOTS[1], B, D]),
    ] {
        let leaves = &leaves[..size];
        assert_eq!(inclusion(index, leaves), hashes(&proof), "{index} in {size}");
        let leaf = &leaves[usize::try_from(index).unwrap()];
        assert_eq!(verify_inclusion(leaf, index, size as u64, &hashes(&proof), &hash(ROOTS[size])), Ok(()));
    }
}

#[test]
fn outside_consistency_proofs() {
    let leaves = reference_leaves();
    for (old, size, proof) in [
        (1, 1, vec![]),
        (1, 8, vec![A, B, C]),
        (2, 8, vec![B, C]),
        (6, 8, vec![F, E, ROOTS[4]]),
        (2, 5, vec![B, D]),
        (6, 7, vec![F, G, ROOTS[4]]),
    ] {
        assert_eq!(consistency(old as u64, &leaves[..size]), hashes(&proof), "{old} in {size}");
        let (old_root, root) = (hash(ROOTS[old]), hash(ROOTS[size]));
        assert_eq!(verify_consistency((old as u64, &old_root), (size as u64, &root), &hashes(&proof)), Ok(()));
    }
}

#[test]
fn nothing_outside_the_log_is_proven() {
    let root = hash(ROOTS[8]);
    let outside = |asked, size| Err(ProofError::Outside { asked, size });
    assert_eq!(ProofPlan::inclusion(8, 8).map(drop), outside(9, 8));
    assert_eq!(ProofPlan::inclusion(0, 0).map(drop), outside(1, 0));
    assert_eq!(ProofPlan::consistency(9, 8).map(drop), outside(9, 8));
    assert_eq!(verify_inclusion(&root, 0, 0, &[], &root), outside(1, 0));
    assert_eq!(verify_inclusion(&root, u64::MAX, 8, &[], &root), outside(u64::MAX, 8));
    assert_eq!(verify_consistency((9, &root), (8, &root), &[]), outside(9, 8));
    let plan = ProofPlan::inclusion(5, 8).expect("inside");
    assert_eq!(plan.finish(&[]), Err(ProofError::Missing));
    assert_eq!(plan.finish(&[vec![], vec![], vec![]]), Err(ProofError::Missing));
}

fn leaves_of(seed: u64, count: usize) -> Vec<Hash> {
    (0..count).map(|i| leaf_hash(format!("{seed} {i}").as_bytes())).collect()
}

/// Every proof of every tree up to 70 entries: equal to the definition, and it verifies.
#[test]
fn all_proofs_of_all_small_trees() {
    let all = leaves_of(0, 70);
    for size in 1..=all.len() {
        let leaves = &all[..size];
        let root = mth(leaves);
        for at in 0..size {
            let proof = inclusion(at as u64, leaves);
            assert_eq!(proof, path(at, leaves));
            assert_eq!(verify_inclusion(&leaves[at], at as u64, size as u64, &proof, &root), Ok(()));
            let (old, old_root) = (at + 1, mth(&leaves[..=at]));
            let proof = consistency(old as u64, leaves);
            assert_eq!(proof, subproof(old, leaves, true));
            assert_eq!(verify_consistency((old as u64, &old_root), (size as u64, &root), &proof), Ok(()));
        }
        assert_eq!(verify_consistency((0, &Hash::empty()), (size as u64, &root), &[]), Ok(()));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    /// Trees over several kept levels: proofs hold, the tree can be taken up again from its peaks, and the kept
    /// subtrees are those of the definition.
    #[test]
    fn random_trees(seed: u64, size in 1_usize..900, at: prop::sample::Index, flip: prop::sample::Index, bit in 0..8) {
        let leaves = leaves_of(seed, size);
        let mut tree = Tree::new();
        let mut kept = Vec::new();
        leaves.iter().for_each(|leaf| tree.append(*leaf, |node| kept.push(node)));
        let root = mth(&leaves);
        prop_assert_eq!(tree.root(), root);
        prop_assert_eq!(kept.len(), size >> KEPT);
        for node in kept {
            prop_assert_eq!(vec![node.hash], read(&leaves, Span { level: node.level, from: node.index, count: 1 }));
        }
        let peaks = finish(&ProofPlan::peaks(size as u64), &leaves);
        let mut again = Tree::from_peaks(size as u64, peaks).expect("as many peaks as bits");
        prop_assert_eq!(&again, &tree);
        again.append(root, drop);
        tree.append(root, drop);
        prop_assert_eq!(again, tree);

        let (at, size) = (at.index(size), size as u64);
        let proof = inclusion(at as u64, &leaves);
        prop_assert_eq!(&proof, &path(at, &leaves));
        prop_assert_eq!(verify_inclusion(&leaves[at], at as u64, size, &proof, &root), Ok(()));
        for wrong in mutations(&proof, &flip, bit) {
            prop_assert!(verify_inclusion(&leaves[at], at as u64, size, &wrong, &root).is_err());
        }
        for other in (0..size).filter(|other| *other != at as u64) {
            prop_assert!(verify_inclusion(&leaves[at], other, size, &proof, &root).is_err());
        }
        prop_assert!(verify_inclusion(&root, at as u64, size, &proof, &root).is_err() || size == 1);
        prop_assert!(verify_inclusion(&leaves[at], at as u64, size, &proof, &Hash::empty()).is_err());

        let (old, old_root) = (at as u64 + 1, mth(&leaves[..=at]));
        let proof = consistency(old, &leaves);
        prop_assert_eq!(&proof, &subproof(at + 1, &leaves, true));
        prop_assert_eq!(verify_consistency((old, &old_root), (size, &root), &proof), Ok(()));
        for wrong in mutations(&proof, &flip, bit) {
            prop_assert!(verify_consistency((old, &old_root), (size, &root), &wrong).is_err());
        }
        prop_assert!(verify_consistency((old, &root), (size, &root), &proof).is_err() || old == size);
        prop_assert!(verify_consistency((old, &old_root), (size, &old_root), &proof).is_err() || old == size);
    }

    #[test]
    fn verifiers_never_panic(size: u64, index: u64, old: u64, proof: Vec<[u8; 32]>) {
        let proof: Vec<_> = proof.into_iter().map(Hash).collect();
        let root = Hash::empty();
        prop_assert!(verify_inclusion(&root, index, size, &proof, &root).is_err());
        let _ = verify_consistency((old, &root), (size, &root), &proof);
    }

    #[test]
    fn checkpoints_never_panic(text in "\\PC*", lines in "(tacit/[0-9a-f]{0,3}|[0-9]{0,22}|[A-Za-z0-9+/=]{0,45}|\n){0,8}") {
        let key = *identity("node").public_key();
        for text in [text, lines] {
            let _ = Checkpoint::read(&text);
            prop_assert!(Checkpoint::open(&text, &key).is_err());
        }
    }
}

/// A flipped bit, a hash too few, a hash too many, two hashes swapped.
fn mutations(proof: &[Hash], place: &prop::sample::Index, bit: i32) -> Vec<Vec<Hash>> {
    let mut all = vec![[proof, &[Hash::empty()]].concat()];
    if proof.is_empty() {
        return all;
    }
    let at = place.index(proof.len());
    let mut flipped = proof.to_vec();
    flipped[at].0[at % 32] ^= 1 << bit;
    let mut shorter = proof.to_vec();
    shorter.remove(at);
    all.extend([flipped, shorter]);
    if proof.len() > 1 {
        let mut swapped = proof.to_vec();
        swapped.swap(at, (at + 1) % proof.len());
        all.push(swapped);
    }
    all
}

fn checkpoint(node: &Identity, leaves: &[Hash]) -> Checkpoint {
    Checkpoint::new(&node.fingerprint(), &tree_of(leaves))
}

#[test]
fn checkpoints_have_the_form_of_c2sp() {
    // The example of the specification; its key is not published.
    let text = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n";
    let example = Checkpoint::read(text).expect("a checkpoint");
    assert_eq!((example.origin.as_str(), example.size), ("example.com/behind-the-sofa", 20_852_163));
    assert_eq!(example.text(), text);
    let extended = Checkpoint::read(&format!("{text}one\ntwo\n")).expect("a checkpoint");
    assert_eq!(extended.extensions, ["one", "two"]);
    assert_eq!(extended.text(), format!("{text}one\ntwo\n"));

    let root = "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=";
    for (text, why) in [
        (format!("o\n1\n{root}"), "its last line does not end"),
        ("o\n1\n".to_owned(), "it has fewer than three lines"),
        (format!("\n1\n{root}\n"), "a line is empty"),
        (format!("o\n1\n{root}\n\n"), "a line is empty"),
        (format!("o\n01\n{root}\n"), "its size is not written as numbers are"),
        (format!("o\n+1\n{root}\n"), "its size is not written as numbers are"),
        (format!("o\n18446744073709551616\n{root}\n"), "its size is not a number"),
        (format!("o\n-1\n{root}\n"), "its size is not a number"),
        (format!("o\n1\n{}\n", &root[..40]), "its root is not base64 of 32 bytes"),
        (format!("o\n1\n{}\n", root.replace('=', "")), "its root is not base64 of 32 bytes"),
        (format!("o\n1\n{}\n", root.replace("q2I=", "q2J=")), "its root is not base64 of 32 bytes"),
        (format!("o\n0\n{root}\n"), "an empty log has another root"),
    ] {
        assert_eq!(Checkpoint::read(&text), Err(CheckpointError::Malformed(why)), "{text}");
    }
}

#[test]
fn a_node_signs_its_own_log_and_nothing_else() {
    let (node, other) = (identity("node"), identity("other"));
    let head = checkpoint(&node, &reference_leaves());
    let note = head.sign(&node).expect("signed");
    assert!(note.starts_with(&format!("tacit/{}\n8\n", node.fingerprint())), "{note}");
    assert_eq!(Checkpoint::open(&note, node.public_key()), Ok(head.clone()));
    assert_eq!(
        Checkpoint::open(&note, other.public_key()),
        Err(NoteError::NotSigned(origin_of(&other.fingerprint())).into())
    );
    assert!(matches!(head.sign(&other), Err(CheckpointError::Origin { .. })));
    assert_eq!(
        Checkpoint::open(&note.replace("\n8\n", "\n9\n"), node.public_key()),
        Err(NoteError::Signature(origin_of(&node.fingerprint())).into())
    );
    let empty = checkpoint(&node, &[]);
    assert_eq!(Checkpoint::open(&empty.sign(&node).expect("signed"), node.public_key()), Ok(empty));
    // Notes and envelopes are signed by one key, so no text may be both.
    assert!(!head.text().starts_with("tacit/v1/") && !head.text().starts_with("ey"));
}

/// R14, and two members that are shown different heads.
#[test]
fn a_witness_accepts_growth_only() {
    let node = identity("node");
    let leaves = leaves_of(1, 300);
    let key = node.public_key();
    let seen = witness(key, None, &checkpoint(&node, &leaves[..7]).sign(&node).expect("signed"), &[]).expect("first");
    let shown = checkpoint(&node, &leaves).sign(&node).expect("signed");
    let proof = consistency(7, &leaves);
    let now = witness(key, Some(&seen), &shown, &proof).expect("grown");
    assert_eq!(now.size, 300);
    assert_eq!(witness(key, Some(&now), &shown, &[]), Ok(now.clone()), "the same again");

    let old = checkpoint(&node, &leaves[..299]).sign(&node).expect("signed");
    assert_eq!(witness(key, Some(&now), &old, &[]), Err(Disputed::Shrunk { seen: 300, shown: 299 }));
    let mut forked = leaves.clone();
    forked[299] = Hash::empty();
    let fork = checkpoint(&node, &forked).sign(&node).expect("signed");
    assert_eq!(witness(key, Some(&now), &fork, &[]), Err(Disputed::Forked(300)));
    let mut rewritten = leaves_of(1, 400);
    rewritten[3] = Hash::empty();
    let other = checkpoint(&node, &rewritten).sign(&node).expect("signed");
    let fault = ProofError::Mismatch;
    assert_eq!(
        witness(key, Some(&now), &other, &consistency(300, &rewritten)),
        Err(Disputed::Rewritten { seen: 300, shown: 400, fault })
    );
    let stranger = identity("stranger");
    let unsigned = checkpoint(&stranger, &rewritten).sign(&stranger).expect("signed");
    assert!(matches!(witness(key, Some(&now), &unsigned, &[]), Err(Disputed::Unsigned(_))));
}
