//! Decisions: what becomes a consensus and what never does. The log is in files of its own.

mod canonical;
mod log;
mod log_export;
mod negotiation;
mod negotiation_property;
mod receipt;

use proptest::prelude::*;
use tacit_accord::{Charter, CharterError, Consensus, Member, MemberRole, Proposal, Refusal, decide};
use tacit_model::{Fingerprint, GroupId, UnixMillis};
use tacit_pki::Identity;
use time::OffsetDateTime;

fn identity(label: &str) -> Identity {
    Identity::generate(label, OffsetDateTime::UNIX_EPOCH).expect("a key")
}

fn charter(manager: &Identity) -> Charter {
    let gateways = vec![Fingerprint([9; 32])];
    Charter { gateways, ..Charter::new(GroupId(1), "SimpleGroup", manager.public_key().to_base64()) }
}

fn member(number: u8, operator: &str) -> Member {
    Member {
        name: format!("member{number}"),
        fingerprint: Fingerprint([number; 32]),
        operator: operator.to_owned(),
        role: MemberRole::Both,
        endpoint: String::new(),
    }
}

fn first(manager: &Identity) -> Consensus {
    let proposal = Proposal::new(None, charter(manager), UnixMillis(0)).expect("a text").sign(manager);
    decide(None, proposal).expect("the manager decides alone")
}

#[test]
fn manager_decides_alone_until_there_are_owners() {
    let (manager, alice, bob) = (identity("manager"), identity("alice"), identity("bob"));
    let one = first(&manager);
    let mut owned = one.charter().clone();
    owned.owners = vec![alice.public_key().to_base64(), bob.public_key().to_base64()];
    let proposal = || Proposal::new(Some(&one), owned.clone(), UnixMillis(1)).expect("a text").sign(&manager);
    assert_eq!(decide(Some(&one), proposal().sign(&bob)), Err(Refusal::UnsignedOwner(1)), "alice was not asked");
    let two = decide(Some(&one), proposal().sign(&alice).sign(&bob)).expect("the manager hands over");

    let mut renamed = two.charter().clone();
    renamed.name = "other".to_owned();
    let by = |signers: &[&Identity]| {
        let proposal = Proposal::new(Some(&two), renamed.clone(), UnixMillis(2)).expect("a text");
        decide(Some(&two), signers.iter().fold(proposal, |p, s| p.sign(s)))
    };
    assert_eq!(by(&[&manager]), Err(Refusal::MissingSignatures { have: 0, need: 2 }));
    assert_eq!(by(&[&alice]), Err(Refusal::MissingSignatures { have: 1, need: 2 }));
    assert_eq!(by(&[&alice, &alice]), Err(Refusal::MissingSignatures { have: 1, need: 2 }));
    assert!(by(&[&bob, &alice]).is_ok());
}

#[test]
fn w1_a_deputy_decides_only_while_there_are_no_owners() {
    let [manager, deputy, stranger, owner] = ["manager", "deputy", "stranger", "owner"].map(identity);
    let named = |gateways: Vec<Fingerprint>, deputies| Charter { gateways, deputies, ..charter(&manager) };
    let both = vec![manager.fingerprint(), deputy.fingerprint()];
    let sign = |current: Option<&Consensus>, charter: Charter, signer: &Identity| {
        decide(current, Proposal::new(current, charter, UnixMillis(1)).expect("a text").sign(signer))
    };
    // A deputy orchestrates, and does not found a group under the manager's name.
    let apart = named(vec![manager.fingerprint()], vec![deputy.fingerprint()]);
    assert_eq!(sign(None, apart, &manager), Err(Refusal::Charter(CharterError::Deputy)));
    let with = named(both, vec![deputy.fingerprint()]);
    assert!(matches!(sign(None, with.clone(), &deputy), Err(Refusal::MissingSignatures { .. })));
    let one = sign(None, with.clone(), &manager).expect("the manager founds it");

    let renamed = Charter { name: "other".to_owned(), ..with.clone() };
    assert!(matches!(
        sign(Some(&one), renamed.clone(), &stranger),
        Err(Refusal::MissingSignatures { have: 0, need: 1 })
    ));
    let two = sign(Some(&one), renamed, &deputy).expect("the deputy decides");
    assert_eq!(Consensus::read(&two.to_document()).expect("readable").check_next(&one), Ok(two.clone()));

    let owned = Charter { owners: vec![owner.public_key().to_base64()], ..two.charter().clone() };
    let proposal = Proposal::new(Some(&two), owned.clone(), UnixMillis(2)).expect("a text").sign(&deputy).sign(&owner);
    let three = decide(Some(&two), proposal).expect("handed over");
    let later = Charter { name: "third".to_owned(), ..owned };
    for signer in [&manager, &deputy] {
        assert!(matches!(sign(Some(&three), later.clone(), signer), Err(Refusal::MissingSignatures { .. })));
    }
    // Charters without deputies read as they did before there were some.
    assert!(!first(&manager).to_document().contains("deputies"));
}

#[test]
fn a_decision_must_follow_the_current_one() {
    let manager = identity("manager");
    let one = first(&manager);
    let change = |name: &str| {
        let mut charter = one.charter().clone();
        charter.name = name.to_owned();
        Proposal::new(Some(&one), charter, UnixMillis(1)).expect("a text").sign(&manager)
    };
    let two = decide(Some(&one), change("a")).expect("follows");
    assert_eq!(decide(Some(&two), change("b")), Err(Refusal::Stale));
    assert_eq!(decide(None, change("b")), Err(Refusal::Stale));
    let mut foreign = two.charter().clone();
    foreign.group = GroupId(2);
    let proposal = Proposal::new(Some(&two), foreign, UnixMillis(2)).expect("a text").sign(&manager);
    assert_eq!(decide(Some(&two), proposal), Err(Refusal::ForeignGroup));
}

#[test]
fn documents_travel_and_are_checked_again() {
    let (manager, other) = (identity("manager"), identity("other"));
    let one = first(&manager);
    let document = one.to_document();
    let read = || Consensus::read(&document).expect("readable");
    assert_eq!(read().check_first(manager.public_key()), Ok(one.clone()));
    assert_eq!(read().check_first(other.public_key()), Err(Refusal::ForeignManager));
    assert_eq!(read().recall(one.id()), Some(one.clone()));
    assert_eq!(read().recall(tacit_accord::ConsensusId([0; 32])), None);
    assert_eq!(read().check_next(&one), Err(Refusal::Stale));
    // Not one byte of the text or of a signature can be changed.
    for at in (0..document.len()).step_by(7) {
        let mut bytes = document.clone().into_bytes();
        bytes[at] ^= 1;
        let Ok(text) = String::from_utf8(bytes) else { continue };
        let believed = Consensus::read(&text).ok().and_then(|c| c.check_first(manager.public_key()).ok());
        assert_eq!(believed, None, "byte {at}");
    }
}

/// The manager's key is public: a charter that names it proves nothing unless that key has signed.
#[test]
fn rule1_forged_first_charter_is_refused() {
    let (manager, thief) = (identity("manager"), identity("thief"));
    let mut forged = charter(&manager);
    forged.owners = vec![thief.public_key().to_base64()];
    let proposal = || Proposal::new(None, forged.clone(), UnixMillis(0)).expect("a text").sign(&thief);
    assert_eq!(decide(None, proposal()), Err(Refusal::MissingSignatures { have: 0, need: 1 }));
    // A first charter may name owners, with the signatures of both.
    let both = decide(None, proposal().sign(&manager)).expect("the manager agrees");
    let document = both.to_document();
    let read = |document: &str| Consensus::read(document).expect("readable").check_first(manager.public_key());
    assert_eq!(read(&document), Ok(both));
    // The same document without the manager's line.
    let mut lines: serde_json::Value = serde_json::from_str(&document).expect("JSON");
    lines["signatures"].as_array_mut().expect("a list").retain(|l| l["key"] != manager.public_key().to_base64());
    assert_eq!(read(&lines.to_string()), Err(Refusal::MissingSignatures { have: 0, need: 1 }));
}

/// Whoever decides alone cannot say of others that they own the group with it: not in a first charter, and not of the manager.
#[test]
fn rule1_nobody_is_an_owner_who_has_not_signed() {
    let (manager, ann, bob) = (identity("manager"), identity("ann"), identity("bob"));
    let [of_ann, of_bob] = [&ann, &bob].map(|key| key.public_key().to_base64());
    let mut owned = charter(&manager);
    owned.owners = vec![of_ann, of_bob];
    owned.quorum = 1;
    let proposal = || Proposal::new(None, owned.clone(), UnixMillis(0)).expect("a text").sign(&manager).sign(&ann);
    assert_eq!(decide(None, proposal()), Err(Refusal::UnsignedOwner(1)));
    assert!(decide(None, proposal().sign(&bob)).is_ok());

    let mut plain = charter(&manager);
    plain.gateways.push(ann.fingerprint());
    plain.deputies = vec![ann.fingerprint()];
    let first = Proposal::new(None, plain.clone(), UnixMillis(0)).expect("a text").sign(&manager);
    let first = decide(None, first).expect("the manager's");
    let taken = Charter { owners: vec![manager.public_key().to_base64()], ..plain };
    let by_deputy = || Proposal::new(Some(&first), taken.clone(), UnixMillis(1)).expect("a text").sign(&ann);
    assert_eq!(decide(Some(&first), by_deputy()), Err(Refusal::UnsignedOwner(1)));
    assert!(decide(Some(&first), by_deputy().sign(&manager)).is_ok());
}

#[test]
fn rule1_thresholds_count_operators() {
    let manager = identity("manager");
    let mut charter = charter(&manager);
    charter.members = vec![member(1, "north"), member(2, "south"), member(3, "south")];
    assert_eq!(charter.check(), Err(CharterError::OperatorTooStrong { operator: "south".to_owned(), count: 2 }));
    charter.test_mode = true;
    assert_eq!(charter.check(), Ok(()), "a group for trying out");
    charter.test_mode = false;
    charter.members[2].role = MemberRole::Input;
    assert_eq!(charter.check(), Ok(()), "who only gives gets no shares");
    charter.members[2].role = MemberRole::Both;
    charter.members[2].operator = "west".to_owned();
    assert_eq!(charter.check(), Ok(()));
    charter.threshold = 2;
    assert_eq!(charter.check(), Err(CharterError::Threshold { threshold: 2, computing: 3 }));
    // Also where the threshold would tolerate each of them alone.
    charter.members.extend([member(4, "south"), member(5, "west")]);
    assert!(matches!(charter.check(), Err(CharterError::OperatorTooStrong { count: 2, .. })));
    charter.members.truncate(3);
    charter.threshold = 1;
    charter.members[2].fingerprint = charter.members[1].fingerprint;
    assert!(matches!(charter.check(), Err(CharterError::DuplicateKey(..))));
}

proptest! {
    /// Whatever is proposed and by whomever it is signed: a charter changes only by enough signatures
    /// of those whom the charter before it names, and only onto the current one.
    #[test]
    fn no_change_without_the_needed_signatures(steps in prop::collection::vec((0..4_usize, 0..16_u8, 0..4_u8, any::<bool>()), 1..24)) {
        let manager = identity("manager");
        let people: Vec<Identity> = (0..4).map(|i| identity(&format!("p{i}"))).collect();
        let mut chain = vec![first(&manager)];
        for (base, signers, quorum, hand_over) in steps {
            let current = chain.last().expect("never empty").clone();
            let base = &chain[base % chain.len()];
            let mut next = base.charter().clone();
            next.name = format!("n{}", chain.len());
            if hand_over {
                next.owners = people.iter().take(usize::from(quorum)).map(|p| p.public_key().to_base64()).collect();
                next.quorum = u32::from(quorum / 2);
            }
            let mut proposal = Proposal::new(Some(base), next, UnixMillis(1)).expect("a text");
            let mut signed = Vec::new();
            for (i, person) in people.iter().enumerate().filter(|(i, _)| signers & (1 << i) != 0) {
                proposal = proposal.sign(person);
                signed.push(people[i].public_key().to_base64());
            }
            if signers % 3 == 0 {
                proposal = proposal.sign(&manager);
                signed.push(manager.public_key().to_base64());
            }
            let before = current.charter().clone();
            let allowed: Vec<String> = if before.owners.is_empty() { vec![before.manager.clone()] } else { before.owners.clone() };
            let need = if before.quorum > 0 && !before.owners.is_empty() { before.quorum as usize } else { allowed.len() };
            let have = allowed.iter().filter(|key| signed.contains(key)).count();
            let owners = if hand_over { people.iter().take(usize::from(quorum)).map(|p| p.public_key().to_base64()).collect() } else { base.charter().owners.clone() };
            let asked = owners.iter().all(|key| allowed.contains(key) || signed.contains(key));
            let fits = base.id() == current.id() && have >= need && asked;
            match decide(Some(&current), proposal) {
                Ok(consensus) => {
                    prop_assert!(fits);
                    chain.push(consensus);
                }
                Err(_) => prop_assert!(!fits),
            }
        }
    }
}
