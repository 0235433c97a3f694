//! An export holds as a whole or is refused with the place named.

use std::sync::OnceLock;

use proptest::prelude::*;
use serde_json::{Value, json};
use tacit_accord::log::export::{
    Broken, Fault, Report, SIGNED_EVERY, Verifier, checkpoint_line, cosigned_line, entry_line, header_line,
    signed_after,
};
use tacit_accord::log::{Checkpoint, CheckpointError, Entry, Kind, Tree, cosign, leaf_hash};
use tacit_accord::{Charter, Consensus, Proposal, decide};
use tacit_model::{Fingerprint, UnixMillis};
use tacit_pki::Identity;

use crate::{charter, identity};

const SOFTWARE: &str = "tacit 0.1.0";

/// A node, its manager, and what it logged.
struct Log {
    node: Identity,
    bodies: Vec<String>,
}

impl Log {
    fn new() -> Self {
        let mut log = Self { node: identity("node"), bodies: Vec::new() };
        log.add(Kind::Software, json!({ "software": SOFTWARE }));
        log
    }

    /// Software, two consensus documents, actions and a session.
    fn small() -> Self {
        let mut log = Self::new();
        let manager = identity("manager");
        let first = decided(None, charter(&manager), &manager);
        log.consensus(&first);
        log.add(Kind::Action, json!({ "group": "1", "action": "invite", "on": "" }));
        let second = decided(Some(&first), Charter { threshold: 2, ..charter(&manager) }, &manager);
        log.consensus(&second);
        log.add(Kind::Action, json!({ "group": "1", "action": "start", "on": "ä:1 \"x\"" }));
        log.add(Kind::Session, json!({ "group": "1", "run": "1", "slot": "0", "state": "done" }));
        log
    }

    fn add(&mut self, kind: Kind, facts: Value) {
        let Value::Object(facts) = facts else { panic!("facts are an object") };
        let at = UnixMillis(1_790_000_000_000 + i64::try_from(self.bodies.len()).expect("small"));
        let entry = Entry { at, node: self.node.fingerprint(), kind, facts };
        self.bodies.push(entry.body().expect("canonical"));
    }

    fn consensus(&mut self, consensus: &Consensus) {
        let facts =
            json!({ "group": "1", "consensus": consensus.id().to_string(), "document": consensus.to_document() });
        self.add(Kind::Consensus, facts);
    }

    fn lines(&self) -> Vec<String> {
        let sign = |size: usize| {
            let mut tree = Tree::new();
            self.bodies[..size].iter().for_each(|body| tree.append(leaf_hash(body.as_bytes()), drop));
            let note = Checkpoint::new(&self.node.fingerprint(), &tree).sign(&self.node).expect("signed");
            checkpoint_line(&note).expect("canonical")
        };
        let mut lines =
            vec![header_line(self.node.public_key(), SOFTWARE).expect("canonical"), sign(self.bodies.len())];
        for (at, body) in self.bodies.iter().enumerate() {
            lines.push(entry_line(at as u64 + 1, &leaf_hash(body.as_bytes()), body));
            if signed_after(at as u64 + 1, self.bodies.len() as u64) {
                lines.push(sign(at + 1));
            }
        }
        lines
    }
}

fn decided(current: Option<&Consensus>, charter: Charter, manager: &Identity) -> Consensus {
    let proposal = Proposal::new(current, charter, UnixMillis(1)).expect("a proposal").sign(manager);
    decide(current, proposal).expect("decided")
}

fn small() -> &'static (Fingerprint, Vec<String>) {
    static SMALL: OnceLock<(Fingerprint, Vec<String>)> = OnceLock::new();
    SMALL.get_or_init(|| {
        let log = Log::small();
        (log.node.fingerprint(), log.lines())
    })
}

fn verify(file: &[u8]) -> Result<Report, Broken> {
    verify_pinned(file, None)
}

fn verify_pinned(file: &[u8], pin: Option<Fingerprint>) -> Result<Report, Broken> {
    let mut verifier = Verifier::new(pin, Vec::new());
    file.split_inclusive(|byte| *byte == b'\n').try_for_each(|line| verifier.line(line))?;
    verifier.finish()
}

fn joined(lines: &[String]) -> Vec<u8> {
    lines.concat().into_bytes()
}

#[test]
fn r12_an_export_verifies_with_the_public_key_alone() {
    let (node, lines) = small();
    let report = verify_pinned(&joined(lines), Some(*node)).expect("it holds");
    assert_eq!((report.node, report.checkpoint.size, report.software.as_str()), (*node, 6, SOFTWARE));
    assert_eq!(report.writers.iter().collect::<Vec<_>>(), [node]);
    assert_eq!(report.span, Some((UnixMillis(1_790_000_000_000), UnixMillis(1_790_000_000_005))));
    assert_eq!(
        report.kinds.iter().map(|(kind, n)| (kind.as_str(), *n)).collect::<Vec<_>>(),
        [("action", 2), ("consensus", 2), ("session", 1), ("software", 1)]
    );
    let group = &report.groups["1"];
    assert_eq!((group.decisions, group.signers.len(), group.name.as_str()), (2, 1, "SimpleGroup"));
    let other = identity("other").fingerprint();
    let broken = verify_pinned(&joined(lines), Some(other)).expect_err("another node");
    assert_eq!(broken, Broken { line: 1, entry: None, fault: Fault::Node { expected: other, found: *node } });
}

/// R11: every bit of every byte. The place named is the line that was touched, or the entry whose end it was.
#[test]
fn r11_no_byte_can_be_changed() {
    let (_, lines) = small();
    let (file, line_of) = (joined(lines), line_of(lines));
    for at in 0..file.len() {
        for bit in 0..8 {
            let mut file = file.clone();
            file[at] ^= 1 << bit;
            let broken = verify(&file).expect_err("changed");
            assert_eq!(broken.line, line_of[at], "byte {at}, bit {bit}: {broken}");
            assert_eq!(broken.entry, entry_in(line_of[at]), "{broken}");
        }
    }
}

/// The line of each byte.
fn line_of(lines: &[String]) -> Vec<u64> {
    (1..).zip(lines).flat_map(|(number, line)| std::iter::repeat_n(number, line.len())).collect()
}

/// The entry that stands, or would stand, in a line of the small log.
fn entry_in(line: u64) -> Option<u64> {
    line.checked_sub(2).filter(|entry| *entry > 0)
}

/// R11: the line of a witness, too. It stands between the head and the entries.
#[test]
fn r11_no_byte_of_a_cosignature_can_be_changed() {
    let witness = identity("witness");
    let log = Log::small();
    let lines = log.lines();
    let mut tree = Tree::new();
    log.bodies.iter().for_each(|body| tree.append(leaf_hash(body.as_bytes()), drop));
    let note = Checkpoint::new(&log.node.fingerprint(), &tree).sign(&log.node).expect("signed");
    let note = cosign(&note, &witness, UnixMillis(1_790_000_001_000)).expect("co-signed");
    let line = cosigned_line(&note, witness.public_key()).expect("canonical");
    let mut whole = lines.clone();
    whole.insert(2, line.clone());
    let report = verify(&joined(&whole)).expect("it holds");
    assert_eq!(report.witnesses.keys().collect::<Vec<_>>(), [&witness.fingerprint()]);
    let before = joined(&whole[..2]).len();
    let file = joined(&whole);
    for at in before..before + line.len() {
        for bit in [0, 1, 5] {
            let mut file = file.clone();
            file[at] ^= 1 << bit;
            let broken = verify(&file).expect_err("changed");
            assert_eq!(broken.line, 3, "byte {at}, bit {bit}: {broken}");
        }
    }
    // Twice, or among the entries.
    let mut twice = whole.clone();
    twice.insert(3, line.clone());
    assert_eq!(verify(&joined(&twice)).expect_err("twice").line, 4);
    let mut late = lines.clone();
    late.insert(4, line);
    assert_eq!(verify(&joined(&late)).expect_err("late").line, 5);
}

/// R11: bytes cut off, deleted, doubled, swapped with their neighbours. The place named is the line in which that
/// happened; of a line's end that was doubled it is the empty line after it.
#[test]
fn r11_no_byte_can_be_deleted_inserted_or_swapped() {
    let (_, lines) = small();
    let (file, line_of) = (joined(lines), line_of(lines));
    let named = |changed: &[u8], line: u64, what: &str| {
        assert_ne!(changed, file, "{what}");
        let broken = verify(changed).expect_err(what);
        assert_eq!((broken.line, broken.entry), (line, entry_in(line)), "{what}: {broken}");
    };
    for at in 0..file.len() {
        let line = line_of[at];
        named(&file[..at], line, &format!("cut off before byte {at}"));
        named(&[&file[..at], &file[at + 1..]].concat(), line, &format!("byte {at} deleted"));
        let after = line + u64::from(file[at] == b'\n');
        named(&[&file[..=at], &file[at..]].concat(), after, &format!("byte {at} doubled"));
        if file.get(at + 1).is_some_and(|next| *next != file[at]) {
            let mut swapped = file.clone();
            swapped.swap(at, at + 1);
            named(&swapped, line, &format!("bytes {at} and {} swapped", at + 1));
        }
    }
}

/// R11: whole lines. Each is named.
#[test]
fn r11_no_line_can_be_deleted_swapped_or_inserted() {
    let (_, lines) = small();
    let (head, count) = (2, lines.len());
    for at in head..count {
        let entry = (at - head + 1) as u64;
        let mut less = lines.clone();
        less.remove(at);
        let broken = verify(&joined(&less)).expect_err("deleted");
        let fault = match at + 1 == count {
            true => Fault::Truncated { signed: 6 },
            false => Fault::Order { expected: entry, found: entry + 1 },
        };
        assert_eq!(broken, Broken { line: at as u64 + 1, entry: Some(entry), fault });
        for other in at + 1..count {
            let mut swapped = lines.clone();
            swapped.swap(at, other);
            let broken = verify(&joined(&swapped)).expect_err("swapped");
            let fault = Fault::Order { expected: entry, found: (other - head + 1) as u64 };
            assert_eq!(broken, Broken { line: at as u64 + 1, entry: Some(entry), fault });
        }
        for other in head..count {
            let mut more = lines.clone();
            more.insert(at, lines[other].clone());
            verify(&joined(&more)).expect_err("inserted");
        }
    }
    let mut longer = lines.clone();
    longer.push(lines[count - 1].clone());
    let broken = verify(&joined(&longer)).expect_err("longer");
    assert_eq!(broken.fault, Fault::Longer(6));
    for cut in 0..count {
        verify(&joined(&lines[..cut])).expect_err("truncated");
        verify(&joined(&lines[cut + 1..])).expect_err("beheaded");
    }
}

/// An entry changed together with its hash: the signatures of the node tell, and which block it is in.
#[test]
fn r11_a_rehashed_entry_is_found_by_the_signatures() {
    let mut log = Log::new();
    for number in 0..699 {
        log.add(Kind::Action, json!({ "group": "1", "action": "start", "on": number.to_string() }));
    }
    let lines = log.lines();
    verify(&joined(&lines)).expect("it holds");
    let of_entry = |entry: u64| usize::try_from(entry + 1 + (entry - 1) / SIGNED_EVERY).unwrap();
    for (entry, first, last) in [(1_u64, 1, 256), (256, 1, 256), (257, 257, 512), (600, 513, 700), (700, 513, 700)] {
        let mut body: Value = serde_json::from_str(&log.bodies[usize::try_from(entry - 1).unwrap()]).unwrap();
        body["at"] = json!(4);
        let body = body.to_string();
        let mut forged = lines.clone();
        forged[of_entry(entry)] = entry_line(entry, &leaf_hash(body.as_bytes()), &body);
        let broken = verify(&joined(&forged)).expect_err("forged");
        assert_eq!(broken.fault, Fault::Replaced { first, last }, "{entry}");
    }
    // The signatures in between may not be left out, nor stand elsewhere.
    let signed = of_entry(256) + 1;
    let mut less = lines.clone();
    less.remove(signed);
    assert_eq!(verify(&joined(&less)).expect_err("left out").line, signed as u64 + 1);
    let mut swapped = lines.clone();
    swapped.swap(signed, of_entry(512) + 1);
    let broken = verify(&joined(&swapped)).expect_err("swapped");
    assert_eq!(broken.fault, Fault::Size { expected: 256, found: 512 });
    let mut head = lines.clone();
    head[1] = lines[signed].clone();
    assert!(matches!(verify(&joined(&head)).expect_err("an older head").fault, Fault::Longer(256) | Fault::Form(_)));
}

/// Another key in the header, and everything signed anew: only the pin tells, and the report says who it is.
#[test]
fn a_log_of_another_node_is_another_log() {
    let (node, lines) = small();
    let mut log = Log::small();
    log.node = identity("forger");
    let report = verify(&joined(&log.lines())).expect("a log of its own");
    assert_ne!(report.node, *node);
    assert!(report.writers.iter().all(|writer| *writer != report.node), "and it shows who wrote the entries");
    assert!(verify_pinned(&joined(&log.lines()), Some(*node)).is_err());
    // Its checkpoint under the old header.
    let mixed = [&lines[..1], &log.lines()[1..]].concat();
    let broken = verify(&joined(&mixed)).expect_err("mixed");
    assert!(matches!((broken.line, broken.fault), (2, Fault::UnknownWriter(_))));
    // A signature that is wrong.
    let wrong = lines[1].replacen("\\n6\\n", "\\n7\\n", 1);
    let broken = verify(&joined(&[&lines[..1], &[wrong], &lines[2..]].concat())).expect_err("wrong");
    assert!(matches!(broken.fault, Fault::Checkpoint(CheckpointError::Note(_))), "{broken}");
}

/// Signed by the node, and yet not what the members decided.
#[test]
fn consensus_entries_must_follow_one_another() {
    let manager = identity("manager");
    let first = decided(None, charter(&manager), &manager);
    let second = decided(Some(&first), Charter { threshold: 2, ..charter(&manager) }, &manager);
    let facts = |group: &str, consensus: &Consensus, document: String| json!({ "group": group, "consensus": consensus.id().to_string(), "document": document });
    let refused = |entries: Vec<Value>| {
        let mut log = Log::new();
        let last = entries.len() as u64 + 1;
        entries.into_iter().for_each(|facts| log.add(Kind::Consensus, facts));
        let broken = verify(&joined(&log.lines())).expect_err("refused");
        assert_eq!(broken.entry, Some(last), "{broken}");
        assert!(matches!(broken.fault, Fault::Consensus(_)), "{broken}");
    };
    refused(vec![facts("1", &second, second.to_document())]);
    refused(vec![facts("1", &first, second.to_document())]);
    refused(vec![facts("2", &first, first.to_document())]);
    refused(vec![facts("1", &first, first.to_document().replace("SimpleGroup", "SimpleGroop"))]);
    refused(vec![facts("1", &first, first.to_document()), facts("1", &first, first.to_document())]);
    refused(vec![facts("1", &first, "{}".to_owned())]);
    refused(vec![json!({ "document": 1 })]);
    // Without a document an entry is a statement like others.
    let mut log = Log::new();
    log.add(Kind::Consensus, json!({ "group": "1", "consensus": "x" }));
    verify(&joined(&log.lines())).expect("it holds");
}

#[test]
fn the_header_names_the_software_that_was_logged_last() {
    let mut log = Log::small();
    log.add(Kind::Software, json!({ "software": "tacit 0.2.0" }));
    let broken = verify(&joined(&log.lines())).expect_err("another version");
    assert!(matches!(broken, Broken { line: 1, entry: None, fault: Fault::Header(_) }), "{broken}");
}

#[test]
fn an_empty_log_verifies() {
    let log = Log { node: identity("node"), bodies: Vec::new() };
    let mut lines = log.lines();
    lines[0] = header_line(log.node.public_key(), "").expect("canonical");
    assert_eq!(verify(&joined(&lines)).expect("it holds").checkpoint.size, 0);
}

proptest! {
    #[test]
    fn the_verifier_never_panics(lines: Vec<Vec<u8>>, at: prop::sample::Index, with in "\\PC*\n") {
        let (_, good) = small();
        let mut file = joined(good);
        let place = at.index(file.len());
        file.splice(place..place, with.into_bytes());
        prop_assert!(verify(&file).is_err());
        let mut verifier = Verifier::new(None, Vec::new());
        prop_assert!(lines.iter().try_for_each(|line| verifier.line(line)).is_err() || verifier.finish().is_err());
    }
}
