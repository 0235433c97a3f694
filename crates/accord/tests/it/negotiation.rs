//! Negotiations: who may do what, when one closes, and what it proves.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;
use tacit_accord::negotiation::{
    Act, Authority, Duty, Event, Form as _, Invitation, JsonForm, Negotiation, NegotiationError, NegotiationId,
    Opening, Part, Resource, SignedAct, State, Status, Wording, charter_of, charter_part, charter_terms, charter_text,
    differences, duties, explain, export, import, secret_hash, sign_act, sign_decision,
};
use tacit_accord::{Charter, Configuration, Member, MemberRole, OnMissingInput, Proposal, Refusal, decide};
use tacit_model::UnixMillis;
use tacit_pki::Identity;
use tacit_pki::envelope::{Context, sign_detached};

use crate::{charter, first, identity, member};

pub(crate) const ID: NegotiationId = NegotiationId([7; 32]);
const LATER: UnixMillis = UnixMillis(10);

fn key(person: &Identity) -> String {
    person.public_key().to_base64()
}

/// One parameter that all talk about.
pub(crate) fn wording(accept: bool, value: u64) -> Wording {
    Wording {
        negotiation: ID,
        accept,
        parts: vec![Part {
            resource: Resource::Statement,
            id: "s".to_owned(),
            on_last_consensus: None,
            sequence: None,
            proposed_at: 0,
            terms: BTreeMap::from([("deadline".to_owned(), json!(value)), ("name".to_owned(), json!("n"))]),
            duties: Vec::new(),
        }],
        signers: BTreeSet::new(),
        accepted: BTreeSet::new(),
        rejected: BTreeSet::new(),
    }
}

fn opening(opener: &Identity, deciders: &[&Identity], quorum: u32, invitations: Vec<Invitation>) -> Opening {
    Opening {
        id: ID,
        opener: key(opener),
        title: "a deadline".to_owned(),
        at: UnixMillis(0),
        expires: UnixMillis(1000),
        authority: Authority { deciders: deciders.iter().map(|p| key(p)).collect(), quorum },
        invitations,
    }
}

fn contribution(text: &Wording) -> Act {
    Act::Contribute { text: text.to_text().expect("a text"), invitation: None, decision: None }
}

/// A negotiation with everything that happened in it, for one person's next act after another.
struct Table {
    opening: Opening,
    events: Vec<Event>,
    now: Negotiation,
}

impl Table {
    fn new(opening: Opening) -> Self {
        let now = Negotiation::open(opening.clone()).expect("it opens");
        Self { opening, events: Vec::new(), now }
    }

    fn act(&mut self, who: &Identity, act: Act) -> Result<(), NegotiationError> {
        let turn = self.now.next_turn(&key(who));
        self.take(sign_act(who, &ID, turn, act).expect("signed"), LATER)
    }

    fn take(&mut self, act: SignedAct, at: UnixMillis) -> Result<(), NegotiationError> {
        let step = self.now.step(&JsonForm, act, at)?;
        self.events.push(step.event);
        self.now = step.after;
        let again = Negotiation::replay(&JsonForm, self.opening.clone(), self.events.clone());
        assert_eq!(again.as_ref(), Ok(&self.now), "what was stored says the same");
        Ok(())
    }
}

#[test]
fn a05_a06_a07_it_closes_when_all_sign_the_same_and_not_before() {
    let (alice, bob) = (identity("alice"), identity("bob"));
    // One signer alone: the first text that accepts is the consensus.
    let mut alone = Table::new(opening(&alice, &[], 0, Vec::new()));
    assert_eq!(alone.act(&alice, contribution(&wording(false, 5))), Ok(()));
    assert_eq!(alone.now.status(LATER), Status::Open);
    assert_eq!(alone.act(&alice, contribution(&wording(true, 5))), Ok(()));
    assert_eq!(alone.now.status(LATER), Status::Done);
    assert!(matches!(alone.act(&alice, contribution(&wording(true, 6))), Err(NegotiationError::NotOpen(_))));

    let mut two = Table::new(opening(&alice, &[], 0, vec![Invitation::Key(key(&bob))]));
    assert_eq!(two.act(&alice, contribution(&wording(true, 5))), Ok(()));
    assert_eq!(two.now.status(LATER), Status::Open, "bob was invited and has not signed");
    assert_eq!(two.now.pending(), BTreeSet::from([key(&bob)]));
    assert_eq!(two.act(&bob, contribution(&wording(true, 6))), Ok(()));
    assert_eq!(two.now.status(LATER), Status::Open, "another text");
    assert_eq!(two.act(&bob, contribution(&wording(true, 5))), Ok(()));
    let agreement = two.now.agreement().expect("a consensus");
    assert_eq!(agreement.signings.len(), 2);
    assert_eq!(agreement.verify().map(|w| w.parts[0].terms["deadline"].clone()), Ok(json!(5)));
    // The id follows from negotiation, text, signings and time, and from nothing else.
    let id = agreement.id().expect("an id");
    let changed = |change: &dyn Fn(&mut tacit_accord::negotiation::Agreement)| {
        let mut other = agreement.clone();
        change(&mut other);
        assert_ne!(other.id().expect("an id"), id);
        other.verify()
    };
    assert!(changed(&|a| a.closed_at = UnixMillis(11)).is_ok(), "the time is the keeper's word");
    assert!(changed(&|a| a.text = a.text.replace(":5,", ":6,")).is_err());
    assert!(changed(&|a| a.negotiation = NegotiationId([8; 32])).is_err());
    assert!(changed(&|a| a.signings.values_mut().for_each(|s| s.turn += 1)).is_err());
    assert!(changed(&|a| a.signings.clear()).is_err());
}

#[test]
fn a04_a_new_contribution_replaces_the_same_signers_last_one() {
    let (alice, bob) = (identity("alice"), identity("bob"));
    let mut table = Table::new(opening(&alice, &[&alice, &bob], 0, Vec::new()));
    for value in [5, 6, 7] {
        assert_eq!(table.act(&alice, contribution(&wording(false, value))), Ok(()));
    }
    assert_eq!(table.act(&bob, contribution(&wording(false, 7))), Ok(()));
    assert_eq!(table.now.live().map(|c| c.number).collect::<Vec<_>>(), [3, 4]);
    assert_eq!(table.now.contributions().len(), 4, "superseded ones are kept");
    assert_eq!(table.now.round(), 3);
}

#[test]
fn a08_signatures_are_for_one_act_one_negotiation_one_key_and_one_turn() {
    let (alice, bob) = (identity("alice"), identity("bob"));
    let mut table = Table::new(opening(&alice, &[&alice, &bob], 0, Vec::new()));
    let act = || contribution(&wording(true, 5));
    let mut wrong_key = sign_act(&alice, &ID, 1, act()).expect("signed");
    wrong_key.signer = key(&bob);
    assert_eq!(table.take(wrong_key, LATER), Err(NegotiationError::BadSignature));
    let mut other_text = sign_act(&alice, &ID, 1, act()).expect("signed");
    other_text.act = contribution(&wording(true, 6));
    assert_eq!(table.take(other_text, LATER), Err(NegotiationError::BadSignature));
    let elsewhere = sign_act(&alice, &NegotiationId([8; 32]), 1, act()).expect("signed");
    assert_eq!(table.take(elsewhere, LATER), Err(NegotiationError::BadSignature));
    let mut foreign = wording(true, 5);
    foreign.negotiation = NegotiationId([8; 32]);
    assert!(matches!(table.act(&alice, contribution(&foreign)), Err(NegotiationError::Text(_))));
    let mut other_turn = sign_act(&alice, &ID, 2, act()).expect("signed");
    other_turn.turn = 1;
    assert_eq!(table.take(other_turn, LATER), Err(NegotiationError::BadSignature));
    // A signature that was heard once is not heard again, also not after another text took its place.
    let said = sign_act(&alice, &ID, 1, act()).expect("signed");
    assert_eq!(table.take(said.clone(), LATER), Ok(()));
    assert_eq!(table.take(said.clone(), LATER), Err(NegotiationError::Replayed { given: 1, next: 2 }));
    assert_eq!(table.act(&alice, contribution(&wording(false, 6))), Ok(()));
    assert_eq!(table.take(said, LATER), Err(NegotiationError::Replayed { given: 1, next: 3 }));
    assert_eq!(table.act(&bob, act()), Ok(()));
    assert_eq!(table.now.status(LATER), Status::Open, "alice thinks otherwise by now");
}

#[test]
fn s05_a_secret_lets_in_one_key_and_a_stranger_is_refused() {
    let (alice, bob, eve) = (identity("alice"), identity("bob"), identity("eve"));
    let secret = "a-secret-of-many-random-characters";
    let hash = secret_hash(&ID, secret);
    assert!(!hash.contains(secret));
    let mut table = Table::new(opening(&alice, &[], 0, vec![Invitation::Secret(hash.clone())]));
    let say = |hash: &str, accept| Act::Contribute {
        text: wording(accept, 5).to_text().expect("a text"),
        invitation: Some(hash.to_owned()),
        decision: None,
    };
    let with = |hash: &str| say(hash, true);
    assert_eq!(table.act(&eve, contribution(&wording(true, 5))), Err(NegotiationError::Stranger));
    assert_eq!(table.act(&eve, with("00")), Err(NegotiationError::UnknownInvitation));
    // The same secret in another negotiation has another hash.
    let elsewhere = secret_hash(&NegotiationId([8; 32]), secret);
    assert_eq!(table.act(&eve, with(&elsewhere)), Err(NegotiationError::UnknownInvitation));
    assert_eq!(table.act(&alice, contribution(&wording(true, 5))), Ok(()));
    assert_eq!(table.now.status(LATER), Status::Open, "the invitation is pending");
    assert_eq!(table.act(&bob, with(&hash)), Ok(()));
    assert_eq!(table.now.status(LATER), Status::Done);
    // A used one is refused while the talk goes on.
    let mut table = Table::new(opening(&alice, &[], 0, vec![Invitation::Secret(hash.clone())]));
    let with = |hash: &str| say(hash, false);
    assert_eq!(table.act(&bob, with(&hash)), Ok(()));
    assert_eq!(table.act(&eve, with(&hash)), Err(NegotiationError::UsedInvitation));
    assert_eq!(table.act(&bob, with(&hash)), Ok(()), "who used it may say it again");
    // Only the opener invites, cancels.
    assert_eq!(table.act(&bob, Act::Invite(Invitation::Key(key(&eve)))), Err(NegotiationError::NotOpener));
    assert_eq!(table.act(&bob, Act::Cancel), Err(NegotiationError::NotOpener));
    assert_eq!(table.act(&alice, Act::Invite(Invitation::Key(key(&eve)))), Ok(()));
    assert_eq!(table.act(&eve, contribution(&wording(false, 9))), Ok(()));
    assert_eq!(table.act(&alice, Act::Cancel), Ok(()));
    assert_eq!(table.now.state(), &State::Cancelled);
    assert!(matches!(table.act(&bob, with(&hash)), Err(NegotiationError::NotOpen(_))));
}

#[test]
fn it_ends_with_its_time_and_a_withdrawn_text_does_not_count() {
    let (alice, bob) = (identity("alice"), identity("bob"));
    let mut table = Table::new(opening(&alice, &[&alice, &bob], 0, Vec::new()));
    assert_eq!(table.act(&alice, Act::Withdraw), Err(NegotiationError::NothingToWithdraw));
    assert_eq!(table.act(&alice, contribution(&wording(true, 5))), Ok(()));
    assert_eq!(table.act(&alice, Act::Withdraw), Ok(()));
    assert_eq!(table.act(&bob, contribution(&wording(true, 5))), Ok(()));
    assert_eq!(table.now.status(LATER), Status::Open, "alice took hers back");
    let late = sign_act(&alice, &ID, 3, contribution(&wording(true, 5))).expect("signed");
    assert_eq!(table.now.status(UnixMillis(1000)), Status::Expired);
    assert!(matches!(table.take(late.clone(), UnixMillis(1000)), Err(NegotiationError::NotOpen(_))));
    assert_eq!(table.take(late, UnixMillis(999)), Ok(()));
    assert_eq!(table.now.status(UnixMillis(5000)), Status::Done, "what is agreed stays agreed");
}

#[test]
fn a09_a_text_may_say_who_signs_it() {
    let (alice, bob, carol) = (identity("alice"), identity("bob"), identity("carol"));
    let mut text = wording(true, 5);
    text.signers = BTreeSet::from([key(&alice), key(&bob)]);
    let mut table = Table::new(opening(&alice, &[&alice, &bob, &carol], 1, Vec::new()));
    assert_eq!(table.act(&carol, contribution(&text)), Err(NegotiationError::NotASigner));
    assert_eq!(table.act(&alice, contribution(&text)), Ok(()));
    assert_eq!(table.now.status(LATER), Status::Open, "the quorum is one, but the text asks for two");
    assert_eq!(table.act(&bob, contribution(&text)), Ok(()));
    assert_eq!(table.now.status(LATER), Status::Done);
    let mut one_gone = table.now.agreement().expect("done").clone();
    one_gone.signings.remove(&key(&bob));
    assert!(one_gone.verify().is_err());
}

#[test]
fn r08_a_counter_proposal_leaves_the_other_parameters_alone() {
    let (mut a, mut b) = (wording(false, 5), wording(false, 6));
    a.accepted.insert("1/name".to_owned());
    let standing = differences([("alice", &a), ("bob", &b)]);
    assert!(standing["1/name"].agreed() && !standing["1/deadline"].agreed());
    assert_eq!(standing["1/name"].accepted_by, BTreeSet::from(["alice".to_owned()]));
    b = wording(false, 5);
    b.rejected.insert("1/deadline".to_owned());
    let standing = differences([("alice", &a), ("bob", &b)]);
    assert!(standing["1/name"].agreed() && !standing["1/deadline"].agreed());
    b.rejected.insert("1/colour".to_owned());
    assert!(Wording::read(&b.to_text().expect("a text")).is_err(), "there is no such parameter");
    a.accept = true;
    assert!(Wording::read(&a.to_text().expect("a text")).is_err(), "who accepts, accepts all");
}

/// Superseded texts are kept and replayed, so one key's are bounded together, and nobody else's by them.
#[test]
fn the_texts_of_one_key_are_bounded_together() {
    let (alice, bob) = (identity("alice"), identity("bob"));
    let opening = opening(&alice, &[], 0, vec![Invitation::Key(key(&bob))]);
    let mut now = Negotiation::open(opening).expect("it opens");
    let mut long = wording(false, 5);
    long.parts[0].terms.insert("long".to_owned(), json!("x".repeat((1 << 20) - 1000)));
    let mut put = |who: &Identity| -> Result<(), NegotiationError> {
        let act = sign_act(who, &ID, now.next_turn(&key(who)), contribution(&long)).expect("signed");
        now = now.step(&JsonForm, act, LATER)?.after;
        Ok(())
    };
    for _ in 0..16 {
        assert_eq!(put(&alice), Ok(()));
    }
    assert!(matches!(put(&alice), Err(NegotiationError::TooMuch(_))));
    assert_eq!(put(&bob), Ok(()));
}

/// Each member's duties named every member that learns results: at three hundred the text was too long to be taken.
#[test]
fn a_text_grows_with_its_members_and_not_with_their_square() {
    let manager = identity("manager");
    let size = |members: u16, role: MemberRole| {
        let named = |number: u16| Member {
            name: format!("member-{number}"),
            fingerprint: tacit_model::Fingerprint([u8::try_from(number % 256).expect("a byte"); 32]),
            role,
            ..member(1, "operator")
        };
        let charter = Charter { members: (0..members).map(named).collect(), ..charter(&manager) };
        duties(&charter)
    };
    let few = size(3, MemberRole::Both);
    assert!(few[2].outputs.ends_with("results are learned by: member-0, member-1, member-2"), "{}", few[2].outputs);
    let [some, many] = [300, 600].map(|members| size(members, MemberRole::Both));
    assert!(many[2].outputs.ends_with("results are learned by: all 600 members that give data"), "{}", many[2].outputs);
    let length = |duties: &[Duty]| serde_json::to_string(duties).expect("JSON").len();
    assert!(length(&some) < 300_000 && length(&many) < 2 * length(&some) + 10_000);
    let apart = size(600, MemberRole::Recipient);
    assert!(apart[2].outputs.ends_with("learned by: all 600 recipients"), "{}", apart[2].outputs);
}

/// Names and values that act on a screen, or would be lines of their own, are written out and read back as they were.
#[test]
fn what_acts_on_a_screen_is_written_out_in_an_export() {
    let mut text = wording(false, 1);
    for name in ["a\nparts/0/terms/b", "\u{1b}[2J~u9b;", "a =", "\u{202e}x = y"] {
        text.parts[0].terms.insert(name.to_owned(), json!({ "\u{9b}k": format!("\u{2066}{name}\\u{{9b}}") }));
    }
    let exported = export(&text).expect("a text");
    assert!(exported.split('\n').all(|line| tacit_model::plain(line) == line), "{exported}");
    assert_eq!(import(&exported).as_ref(), Ok(&text), "{exported}");
    assert!(import("parts/0/terms/~u = 1").is_err() && import("parts/0/terms/~ud800; = 1").is_err());
}

#[test]
fn r07_r09_a_charter_is_explained_exported_and_read_back_unchanged() {
    let manager = identity("manager");
    let mut charter = charter(&manager);
    charter.members = vec![member(2, "south"), member(1, "north"), member(3, "west")];
    charter.members[0].name = "a/b~c = d".to_owned();
    charter.slots.on_missing_input = OnMissingInput::Proceed(2);
    charter.configuration = Some(Configuration {
        field: "2305843009213693951".to_owned(),
        max_element: "100".to_owned(),
        aggregator: "histogram".to_owned(),
        items: 1,
        time_slots: -1,
        result_buffer_size: 1,
        parameters: BTreeMap::from([("edges".to_owned(), "0,10".to_owned())]),
    });
    let terms = charter_terms(&charter).expect("terms");
    let again = charter_of(&terms).expect("a charter");
    let unsorted = charter_part(None, &charter, UnixMillis(3)).expect("a part");
    assert!(charter_text(&unsorted).is_ok(), "duties follow from the parameters, in whatever order members joined");
    charter.members.sort_by(|a, b| a.name.cmp(&b.name));
    assert_eq!(again, charter, "members come in the order of their names");
    let part = charter_part(Some(&first(&manager)), &charter, UnixMillis(3)).expect("a part");
    // Every member, the gateway and the owners are told what they do, with bounds.
    assert_eq!(part.duties.len(), 5);
    assert!(part.duties.iter().all(|d| !d.inputs.is_empty() && !d.outputs.is_empty() && !d.limits.is_empty()));
    let text = Wording { parts: vec![part.clone()], ..wording(false, 1) };
    let plain = explain(&text);
    for said in ["member1", "run by north", "threshold = 1", "gives data and computes", "from 0 to 100 per row"] {
        assert!(plain.contains(said), "{said} is not in\n{plain}");
    }
    let exported = export(&text).expect("a text");
    assert_eq!(import(&exported).as_ref(), Ok(&text), "{exported}");
    let edited = import(&exported.replace("terms/threshold = 1", "terms/threshold = 2")).expect("readable");
    assert_eq!(edited.parts[0].terms["threshold"], json!(2));
    assert!(import("# nothing").is_err());
    assert!(import("accept").is_err());
    // Duties that are not what follows from the parameters would mislead whoever signs.
    let mut lying = part.clone();
    lying.duties[2].limits = "none".to_owned();
    assert!(charter_text(&part).is_ok() && charter_text(&lying).is_err());
    let lying = Wording { parts: vec![lying], ..wording(false, 1) }.to_text().expect("a text");
    assert!(JsonForm.read(&ID, &lying).is_err());
}

#[test]
fn r04_r16_a_charter_changes_by_the_negotiation_and_only_onto_the_last_one() {
    let (manager, alice, bob) = (identity("manager"), identity("alice"), identity("bob"));
    let one = first(&manager);
    let mut owned = one.charter().clone();
    owned.owners = vec![key(&alice), key(&bob)];
    let part = charter_part(Some(&one), &owned, UnixMillis(1)).expect("a part");
    let text = Wording { parts: vec![part.clone()], ..wording(true, 1) };
    let id = charter_text(&part).expect("a text").id().expect("an id");
    let accept = |who: &Identity, over: &[u8; 32]| {
        use base64::Engine as _;
        let decision = sign_detached(who, Context::Charter, over);
        let decision = Some(base64::engine::general_purpose::STANDARD.encode(decision));
        Act::Contribute { text: text.to_text().expect("a text"), invitation: None, decision }
    };
    let invited = vec![Invitation::Key(key(&alice)), Invitation::Key(key(&bob))];
    let mut table = Table::new(opening(&manager, &[&manager], 0, invited));
    assert_eq!(table.act(&manager, contribution(&text)), Err(NegotiationError::BadSignature), "no decision");
    assert_eq!(table.act(&manager, accept(&manager, &[0; 32])), Err(NegotiationError::BadSignature));
    // Each signature is missed until it is there.
    for (who, missing) in [(&manager, 2), (&alice, 1), (&bob, 0)] {
        assert_eq!(table.act(who, accept(who, &id.0)), Ok(()));
        assert_eq!(table.now.pending().len(), missing);
        assert_eq!(table.now.agreement().is_some(), missing == 0);
    }
    let agreement = table.now.agreement().expect("done").clone();
    assert_eq!(agreement.decided(), Some(id));
    let proposal = || {
        let signed = agreement.signings.iter().map(|(key, s)| (key.as_str(), s.decision.as_deref().expect("one")));
        Proposal::signed_elsewhere(charter_text(&part).expect("a text"), signed).expect("a proposal")
    };
    let two = decide(Some(&one), proposal()).expect("decided");
    assert_eq!((two.id(), &two.charter().owners), (id, &owned.owners));
    assert_eq!(decide(Some(&two), proposal()), Err(Refusal::Stale), "a consensus is used once");
}

#[test]
fn a12_the_joint_id_follows_from_the_owners_keys_and_each_is_proven() {
    let (manager, alice, bob) = (identity("manager"), identity("alice"), identity("bob"));
    let mut charter = charter(&manager);
    assert_eq!(charter.joint_id(), None);
    charter.owners = vec![key(&alice), key(&bob)];
    let joint = charter.joint_id().expect("an id");
    charter.owners.reverse();
    assert_eq!(charter.joint_id(), Some(joint), "the order says nothing");
    charter.owners = vec![key(&alice), key(&identity("carol"))];
    assert_ne!(charter.joint_id(), Some(joint));
    // A key that somebody copied, or made up to go with another one, has nobody who signs with it.
    let one = first(&manager);
    let proposal = Proposal::new(Some(&one), charter, UnixMillis(1)).expect("a text").sign(&manager).sign(&alice);
    assert_eq!(decide(Some(&one), proposal), Err(Refusal::UnsignedOwner(1)));
}

/// A charter and a statement in one text: agreed on as a whole, each parameter under the number of its part.
#[test]
fn a15_a_text_of_two_parts_is_agreed_on_as_one() {
    let (manager, alice) = (identity("manager"), identity("alice"));
    let one = first(&manager);
    let owned = tacit_accord::Charter { owners: vec![key(&alice)], ..one.charter().clone() };
    let charter = charter_part(Some(&one), &owned, UnixMillis(1)).expect("a part");
    let id = charter_text(&charter).expect("a text").id().expect("an id");
    let statement = wording(true, 5).parts.remove(0);
    let two =
        |parts: &[&Part]| Wording { parts: parts.iter().map(|part| (*part).clone()).collect(), ..wording(true, 1) };
    let text = two(&[&charter, &statement]);
    let names: Vec<String> = text.parameters().into_keys().collect();
    assert!(names.contains(&"1/threshold".to_owned()) && names.contains(&"2/deadline".to_owned()), "{names:?}");
    let exported = export(&text).expect("a text");
    assert_eq!(import(&exported).as_ref(), Ok(&text), "{exported}");
    for said in ["Part 1: the charter of group 1", "Part 2: a statement on s", "deadline = 5"] {
        assert!(exported.contains(said), "{said}: {exported}");
    }

    let accept = |who: &Identity, text: &Wording| Act::Contribute {
        text: text.to_text().expect("a text"),
        invitation: None,
        decision: Some(sign_decision(who, &id)),
    };
    let mut table = Table::new(opening(&manager, &[&manager], 0, vec![Invitation::Key(key(&alice))]));
    assert_eq!(table.act(&manager, accept(&manager, &text)), Ok(()));
    // The same charter with another statement, without it, or with the parts the other way round is another text.
    let other = Part { terms: BTreeMap::from([("deadline".to_owned(), json!(6))]), ..statement.clone() };
    for differing in [two(&[&charter, &other]), two(&[&charter]), two(&[&statement, &charter])] {
        assert_eq!(table.act(&alice, accept(&alice, &differing)), Ok(()));
        assert_eq!(table.now.status(LATER), Status::Open);
    }
    assert_eq!(table.act(&alice, accept(&alice, &text)), Ok(()));
    let agreement = table.now.agreement().expect("a consensus");
    assert_eq!((agreement.decided(), agreement.verify().map(|w| w.parts.len())), (Some(id), Ok(2)));
    // One part of it is not what was signed.
    let mut shorter = agreement.clone();
    shorter.text = two(&[&charter]).to_text().expect("a text");
    assert!(shorter.verify().is_err());
    // None, two charters, or too many parts are no text.
    for none in [two(&[]), two(&[&charter, &charter]), two(&[&statement; 65])] {
        assert!(Wording::read(&none.to_text().expect("a text")).is_err());
    }
    assert!(Wording::read(&two(&[&statement; 64]).to_text().expect("a text")).is_ok());
}
