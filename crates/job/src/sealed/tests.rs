use tacit_accord::{MemberRole, Proposal, decide};
use tacit_model::api::{Decimal, StatisticBody, TaskRepeat};
use tacit_model::{GroupId, UnixMillis};
use time::OffsetDateTime;

use super::*;

const ID: &str = "00112233445566778899aabbccddeeff";
const WINDOW: Slot = Slot(3);
const ASKED: UnixMillis = UnixMillis(1_000_000_000);
/// Between two computations.
const EVERY_S: u32 = 60;
/// When the one of `WINDOW` is.
const MOMENT: UnixMillis = UnixMillis(ASKED.0 + 3 * 1000 * EVERY_S as i64);

/// Members a to e, of operators of their own unless `operators` says otherwise, of whom so many may be corrupted.
struct Scene {
    members: Vec<Identity>,
    manager: Identity,
    chain: Vec<Seen>,
    request: TaskRequest,
    client: ResultKey,
}

fn identity(label: &str) -> Identity {
    Identity::generate(label, OffsetDateTime::UNIX_EPOCH).expect("a key")
}

impl Scene {
    fn new(threshold: u32, operators: [&str; 5]) -> Self {
        let members: Vec<Identity> = ["a", "b", "c", "d", "e"].map(identity).into();
        let manager = identity("manager");
        let listed = members.iter().zip("abcde".chars()).zip(operators);
        let listed = listed.map(|((member, name), operator)| Member {
            name: name.to_string(),
            fingerprint: member.fingerprint(),
            operator: operator.to_owned(),
            role: MemberRole::Both,
            endpoint: String::new(),
        });
        let charter = Charter {
            members: listed.collect(),
            threshold,
            gateways: vec![identity("gateway").fingerprint()],
            test_mode: operators != Self::own(),
            ..Charter::new(GroupId(1), "g", manager.public_key().to_base64())
        };
        let request = TaskRequest {
            issued: ASKED.to_rfc3339(),
            repeat: Some(TaskRepeat { every_s: EVERY_S, times: 5 }),
            ..TaskRequest::about(GroupId(1), "x", "mean", "test")
        };
        let mut scene =
            Self { members, manager, chain: Vec::new(), request, client: ResultKey::generate().expect("a key") };
        scene.decide(charter, UnixMillis(0));
        scene
    }

    fn own() -> [&'static str; 5] {
        ["A", "B", "C", "D", "E"]
    }

    /// Seen by the client as it was decided.
    fn decide(&mut self, charter: Charter, at: UnixMillis) {
        self.decide_long(charter, at, at);
    }

    /// Proposed at one moment, and seen by the client at another.
    fn decide_long(&mut self, charter: Charter, proposed: UnixMillis, since: UnixMillis) {
        let last = self.chain.last().map(|seen| &seen.consensus);
        let proposal = Proposal::new(last, charter, proposed).expect("a proposal");
        let consensus = decide(last, proposal.sign(&self.manager)).expect("a decision");
        self.chain.push(Seen { consensus, since });
    }

    /// As if a computation took place so long after the task was asked.
    fn computed_after(&mut self, minutes: u32) {
        self.request.repeat = Some(TaskRepeat { every_s: minutes * 20, times: 5 });
    }

    fn charter(&self) -> &Charter {
        self.chain[0].consensus.charter()
    }

    fn seal(&self, result: TaskResult, teller: &Identity, under: usize) -> String {
        seal_result(result, self.chain[under].consensus.id(), self.client.public(), teller).expect("sealed")
    }

    fn told(&self, member: usize, result: TaskResult) -> Telling {
        self.told_under(member, result, 0)
    }

    fn told_under(&self, member: usize, result: TaskResult, under: usize) -> Telling {
        self.opened(&self.seal(result, &self.members[member], under))
    }

    fn opened(&self, sealed: &str) -> Telling {
        Telling::open(sealed, ID, WINDOW, &self.client)
    }

    fn names<'a>(&self, who: impl IntoIterator<Item = &'a Fingerprint>) -> String {
        let name = |who| self.charter().member(who).expect("a member").name.clone();
        let mut names: Vec<String> = who.into_iter().map(name).collect();
        names.sort();
        names.concat()
    }

    /// Whose number is taken, who is called a liar, and how many are unclear.
    fn settled(&self, tellings: &[Telling]) -> Result<(u128, String, usize), Unsettled> {
        let settled = settle(tellings, &self.request, WINDOW, &self.chain)?.expect("something was told");
        assert_eq!(settled.word_of.len(), 0, "somebody honest is among them");
        Ok((settled.result.values[0].0, self.names(&settled.liars), settled.unclear))
    }

    /// Whose number is taken, and on whose word alone.
    fn word_of(&self, tellings: &[Telling]) -> Result<(u128, String), Unsettled> {
        let settled = settle(tellings, &self.request, WINDOW, &self.chain)?.expect("something was told");
        Ok((settled.result.values[0].0, self.names(&settled.word_of)))
    }
}

fn result(number: u128) -> TaskResult {
    // A statistic that has no short decimal form: signature and comparison are about what was read again.
    let statistics = vec![StatisticBody { name: "mean(x)".to_owned(), value: 0.1 + 0.2 }];
    let (id, values) = (ID.to_owned(), vec![Decimal(number)]);
    TaskResult { id, window: WINDOW, statistics, no_result: None, values, contributors: 5 }
}

#[test]
fn rule11_what_most_operators_say_is_taken_and_who_lies_is_named() {
    for (threshold, liars) in [(1, &[1][..]), (2, &[0, 4]), (2, &[3]), (2, &[])] {
        let scene = Scene::new(threshold, Scene::own());
        let tellers = 2 * threshold as usize + 1;
        let say = |member| scene.told(member, result(if liars.contains(&member) { 666 } else { 42 }));
        let told: Vec<Telling> = (0..tellers).map(say).collect();
        let named: String = liars.iter().map(|liar| ["a", "b", "c", "d", "e"][*liar]).collect();
        assert_eq!(scene.settled(&told), Ok((42, named, 0)), "{threshold}");
        assert_eq!(
            settle(&told, &scene.request, WINDOW, &[]),
            Err(Unsettled::Nobody),
            "nobody is known to be a member"
        );
    }
    let scene = Scene::new(2, Scene::own());
    assert_eq!(settle(&[], &scene.request, WINDOW, &scene.chain), Ok(None));
}

#[test]
fn rule11_without_so_many_of_distinct_operators_nothing_is_taken() {
    let scene = Scene::new(1, Scene::own());
    let (right, wrong) = (|member| scene.told(member, result(42)), |member| scene.told(member, result(666)));
    let none = |tellings: &[Telling]| match scene.settled(tellings) {
        Err(Unsettled::NoMajority { may_lie: 1, said }) => said,
        other => panic!("{other:?}"),
    };
    assert_eq!(none(&[right(0), wrong(1)]), "a, against b");
    // More than may be corrupted are: nobody knows which side.
    assert_eq!(none(&[right(0), right(1), wrong(2), wrong(3)]), "a and b, against c and d");
    // Who says it twice says it once, and so do two members of one operator.
    assert_eq!(none(&[right(0), wrong(1), wrong(1)]), "a, against b");
    let one = Scene::new(1, ["A", "B", "B", "B", "E"]);
    let told = [one.told(0, result(42)), one.told(1, result(666)), one.told(2, result(666)), one.told(4, result(42))];
    assert_eq!(one.settled(&told), Ok((42, "bc".to_owned(), 0)));
    assert!(one.settled(&told[..3]).is_err());
    // All who told say the same, and are too few: what the others would have said the gateway may keep back.
    let few = Unsettled::TooFew { may_lie: 1, said: "b".to_owned() };
    assert_eq!(scene.settled(&[wrong(1)]), Err(few.clone()));
    assert_eq!(scene.settled(&[wrong(1), wrong(1)]), Err(few));
    let few = Unsettled::TooFew { may_lie: 1, said: "b and c".to_owned() };
    assert_eq!(one.settled(&[one.told(1, result(666)), one.told(2, result(666))]), Err(few));
}

/// What the gateway seals by itself is nobody's word, whichever key signed it, and also where nothing contradicts it.
#[test]
fn rule11_what_the_gateway_seals_is_never_taken() {
    let scene = Scene::new(1, Scene::own());
    let (gateway, friend) = (identity("gateway"), identity("friend"));
    let invented = |teller| scene.opened(&scene.seal(result(666), teller, 0));
    let unsigned = Text { result: result(666), consensus: None, teller: None };
    let unsigned = serde_json::to_vec(&unsigned).expect("JSON");
    let unsigned = result_key::seal(scene.client.public(), ID.as_bytes(), &unsigned).expect("sealed");
    for told in
        [vec![scene.opened(&unsigned); 3], vec![invented(&gateway); 3], vec![invented(&gateway), invented(&friend)]]
    {
        assert_eq!(scene.settled(&told), Err(Unsettled::Nobody));
    }
    // A chain of its own making is another chain: nobody in it is known.
    let mut other = Scene::new(1, Scene::own());
    other.client = ResultKey::from_parts(scene.client.expose_private().to_vec(), scene.client.public().to_owned());
    let told: Vec<Telling> = (0..3).map(|member| other.told(member, result(666))).collect();
    assert_eq!(scene.settled(&told), Err(Unsettled::Nobody));
    // Members of another group under the same manager are none of this one.
    other.request.group = GroupId(2);
    assert_eq!(other.settled(&told), Err(Unsettled::Nobody));
}

/// Judged by the charter that those who computed signed, whatever came later; by none that was replaced before the moment of
/// the computation.
#[test]
fn rule11_the_charter_of_then_judges() {
    let mut scene = Scene::new(1, Scene::own());
    // From now on two may be corrupted, and a and b are gone.
    let mut later = scene.charter().clone();
    later.members.retain(|member| !["a", "b"].contains(&member.name.as_str()));
    later.members.push(Member {
        name: "f".to_owned(),
        fingerprint: identity("f").fingerprint(),
        operator: "F".to_owned(),
        ..later.members[0].clone()
    });
    later.members.push(Member {
        name: "g".to_owned(),
        fingerprint: identity("g").fingerprint(),
        operator: "G".to_owned(),
        ..later.members[0].clone()
    });
    later.threshold = 2;
    scene.decide(later, MOMENT);
    let before = [scene.told(0, result(42)), scene.told(1, result(42))];
    assert_eq!(scene.settled(&before), Ok((42, String::new(), 0)));
    let after = |members: &[usize]| -> Vec<Telling> {
        members.iter().map(|member| scene.told_under(*member, result(42), 1)).collect()
    };
    assert_eq!(scene.settled(&after(&[2, 3])), Err(Unsettled::TooFew { may_lie: 2, said: "c and d".to_owned() }));
    assert_eq!(scene.settled(&after(&[0, 1, 2, 3])), Err(Unsettled::TooFew { may_lie: 2, said: "c and d".to_owned() }));
    assert_eq!(scene.settled(&after(&[2, 3, 4])), Ok((42, String::new(), 0)));
    // The same word under two charters is no word of more.
    let mixed = [scene.told(2, result(42)), scene.told_under(3, result(42), 1)];
    assert!(matches!(scene.settled(&mixed), Err(Unsettled::NoMajority { .. })));
    // Asked long after the change: those who were members once have no say any more.
    scene.request.issued = UnixMillis(MOMENT.0 + CLOCK_SKEW_MS + 1).to_rfc3339();
    let moment = UnixMillis(2 * MOMENT.0 + CLOCK_SKEW_MS + 1 - ASKED.0);
    assert_eq!(scene.settled(&before), Err(Unsettled::Replaced { moment }));
    let why = Unsettled::Replaced { moment }.to_string();
    assert!(
        why.contains("replaced before") && why.contains(&moment.to_rfc3339()) && !why.contains("made it up"),
        "{why}"
    );
}

/// Owners may take hours to sign what was proposed, and meanwhile all compute by the charter of before: that is right. Once
/// the client could know of the new one, who left with the old one has no say.
#[test]
fn rule11_a_charter_holds_until_the_client_could_know_of_the_next() {
    let after = |minutes: i64| UnixMillis(ASKED.0 + minutes * 60_000);
    let mut scene = Scene::new(1, Scene::own());
    let told = [scene.told(0, result(42)), scene.told(1, result(42))];
    let mut later = scene.charter().clone();
    later.members.retain(|member| !["a", "b"].contains(&member.name.as_str()));
    scene.decide_long(later.clone(), after(0), after(60));
    let refused = |minutes| Err(Unsettled::Replaced { moment: after(minutes) });
    scene.computed_after(30);
    assert_eq!(scene.settled(&told), Ok((42, String::new(), 0)), "computed before it was decided");
    scene.computed_after(120);
    assert_eq!(scene.settled(&told), refused(120));
    // A client that came late knows by the next proposal that it was decided by then.
    scene.chain[1].since = after(600);
    assert_eq!(scene.settled(&told), Ok((42, String::new(), 0)), "this client knows of no end");
    scene.decide_long(later, after(60), after(600));
    assert_eq!(scene.settled(&told), refused(120));
    scene.computed_after(30);
    assert_eq!(scene.settled(&told), Ok((42, String::new(), 0)));
    // What was asked when it was known is not of before, however soon.
    scene.chain[1].since = after(0);
    scene.computed_after(1);
    assert_eq!(scene.settled(&told), refused(1));
}

/// A repeated task goes on while members leave: whoever was one when it was asked has no say in what is computed later.
#[test]
fn rule11_who_left_since_is_not_believed_for_a_later_computation() {
    let mut scene = Scene::new(1, Scene::own());
    let mut later = scene.charter().clone();
    later.members.retain(|member| !["a", "b"].contains(&member.name.as_str()));
    let told = [scene.told(0, result(666)), scene.told(1, result(666))];
    scene.decide(later.clone(), UnixMillis(MOMENT.0 - CLOCK_SKEW_MS));
    assert_eq!(scene.settled(&told), Ok((666, String::new(), 0)), "the clocks may differ by so much");
    scene.chain.pop();
    scene.decide(later, UnixMillis(MOMENT.0 - CLOCK_SKEW_MS - 1));
    let refused = Err(Unsettled::Replaced { moment: MOMENT });
    assert_eq!(scene.settled(&told), refused, "they left after it was asked, and before its moment");
    let still = [scene.told_under(2, result(42), 1), scene.told_under(3, result(42), 1)];
    assert_eq!(scene.settled(&[&told[..], &still[..]].concat()), Ok((42, String::new(), 2)));
    // What is no computation of the task is nobody's.
    scene.request.repeat = Some(TaskRepeat { every_s: EVERY_S, times: 3 });
    assert_eq!(scene.settled(&still), Err(Unsettled::Nobody));
}

/// Where no more operators were to learn it than may be corrupted, the result rests on their word, and that is said; the
/// gateway cannot bring it about, and its word is not enough there either.
#[test]
fn rule11_few_recipients_are_believed_by_name_if_the_client_chose_them() {
    let mut scene = Scene::new(2, Scene::own());
    let all: Vec<Telling> = (0..3).map(|member| scene.told(member, result(42))).collect();
    assert_eq!(scene.word_of(&all), Ok((42, String::new())));
    assert!(scene.word_of(&all[..2]).is_err());
    scene.request.recipients = vec![scene.members[1].fingerprint()];
    assert_eq!(scene.word_of(&all[1..2]), Ok((42, "b".to_owned())));
    let stranger = scene.opened(&scene.seal(result(666), &identity("x"), 0));
    assert_eq!(scene.word_of(&[stranger.clone(), all[1].clone()]), Ok((42, "b".to_owned())));
    assert_eq!(scene.word_of(std::slice::from_ref(&stranger)), Err(Unsettled::Nobody));
    assert_eq!(scene.word_of(&all[..1]), Err(Unsettled::Nobody), "a was not to learn it");
    scene.request.recipients.push(scene.members[2].fingerprint());
    assert_eq!(scene.word_of(&all[1..]), Ok((42, "bc".to_owned())));
    assert!(scene.word_of(&[all[1].clone(), scene.told(2, result(666))]).is_err(), "they contradict each other");
    scene.request.recipients.push(scene.members[3].fingerprint());
    assert!(scene.word_of(&all[1..]).is_err(), "three were to learn it");
}

#[test]
fn rule11_the_gateway_that_carries_seals_makes_nobody_a_liar() {
    let scene = Scene::new(1, Scene::own());
    let stranger = identity("x");
    // What a member said of another computation, what is of nobody, what was tampered with, and no seal at all.
    let elsewhere = TaskResult { window: Slot(4), ..result(42) };
    let moved = scene.opened(&scene.seal(elsewhere, &scene.members[2], 0));
    let invented = scene.opened(&scene.seal(result(666), &stranger, 0));
    let sealed = |result, consensus, teller| {
        let text = serde_json::to_vec(&Text { result, consensus, teller }).expect("JSON");
        scene.opened(&result_key::seal(scene.client.public(), ID.as_bytes(), &text).expect("sealed"))
    };
    let id = scene.chain[0].consensus.id();
    let sign = |text: &[u8]| TaskSignature {
        key: scene.members[2].public_key().to_base64(),
        signature: hex::encode(sign_detached(&scene.members[2], Context::Agreement, text)),
    };
    let forged = sealed(result(666), Some(id), Some(sign(b"something else")));
    // A real signature, of another consensus than the one it stands beside.
    let other = signed_text(&result(666), &ConsensusId([7; 32])).expect("a text");
    let misplaced = sealed(result(666), Some(id), Some(sign(&other)));
    let unsigned = sealed(result(42), Some(id), None);
    let garbage = scene.opened("AA==");
    assert!([&invented, &forged, &misplaced, &unsigned].iter().all(|one| one.result.is_some()));
    assert!([&moved, &forged, &misplaced, &garbage, &unsigned].iter().all(|one| one.teller.is_none()));
    let (first, second) = (scene.told(0, result(42)), scene.told(1, result(42)));
    for odd in [&moved, &invented, &forged, &misplaced, &garbage, &unsigned] {
        assert_eq!(scene.settled(&[first.clone(), odd.clone(), second.clone()]), Ok((42, String::new(), 1)));
        // It does not count either.
        assert!(scene.settled(&[first.clone(), odd.clone()]).is_err());
    }
}
