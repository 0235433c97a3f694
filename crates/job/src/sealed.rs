//! What recipients seal for a client, and which of it the client takes.
//!
//! Each recipient signs the result under its seal, so that the client knows who says what, and the gateway that carries it
//! does not. A recipient may lie, although it agreed with the others on the commitment that the gateway compares: the
//! client takes what members of more operators say than may be corrupted, since one of them is honest.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use tacit_accord::Charter;
use tacit_model::api::{TaskResult, TaskSignature};
use tacit_model::{Fingerprint, Slot};
use tacit_pki::envelope::{Context, sign_detached, verify_detached};
use tacit_pki::result_key::{self, ResultKey};
use tacit_pki::{Identity, PublicKey};
use zeroize::Zeroizing;

/// What is sealed: a reader that knows no signatures finds the result.
#[derive(Serialize, Deserialize)]
struct Text {
    #[serde(flatten)]
    result: TaskResult,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    teller: Option<TaskSignature>,
}

/// Seals a result for a client's public key, signed by the recipient. `None` if that is no key.
pub fn seal_result(result: TaskResult, key: &str, teller: &Identity) -> Option<String> {
    let about = result.id.clone();
    let signed = Zeroizing::new(serde_json::to_vec(&result).ok()?);
    let teller = TaskSignature {
        key: teller.public_key().to_base64(),
        signature: hex::encode(sign_detached(teller, Context::Agreement, &signed)),
    };
    let text = Zeroizing::new(serde_json::to_vec(&Text { result, teller: Some(teller) }).ok()?);
    result_key::seal(key, about.as_bytes(), &text).ok()
}

/// One recipient's word.
#[derive(Clone, Debug, PartialEq)]
pub struct Telling {
    /// What it says; `None` if the seal does not open, or what is in it is about something else.
    pub result: Option<TaskResult>,
    /// Whose signature is under that, if there is one.
    pub teller: Option<Fingerprint>,
}

impl Telling {
    /// Opens what was sealed for this key about a computation of a task.
    pub fn open(sealed: &str, id: &str, window: Slot, key: &ResultKey) -> Self {
        let read = || {
            let text = key.open(sealed, id.as_bytes()).ok()?;
            let Text { result, teller } = serde_json::from_slice(&text).ok()?;
            // The gateway may have exchanged what was said of two computations: that is nobody's lie.
            let about_this = result.id == id && result.window == window;
            let teller = teller.and_then(|teller| signer(&result, &teller));
            about_this.then_some((result, teller))
        };
        let (result, teller) = read().map_or((None, None), |(result, teller)| (Some(result), teller));
        Self { result, teller }
    }
}

fn signer(result: &TaskResult, teller: &TaskSignature) -> Option<Fingerprint> {
    let key = PublicKey::from_base64(&teller.key).ok()?;
    let mut signature = [0; 64];
    hex::decode_to_slice(&teller.signature, &mut signature).ok()?;
    let signed = Zeroizing::new(serde_json::to_vec(result).ok()?);
    verify_detached(&key, Context::Agreement, &signed, &signature).ok()?;
    Some(key.fingerprint())
}

/// What the words about one computation come to.
#[derive(Clone, Debug, PartialEq)]
pub struct Settled {
    /// What is taken.
    pub result: TaskResult,
    /// Members that said something else under their signatures.
    pub liars: BTreeSet<Fingerprint>,
    /// So many other words could not be read, or nobody is known to have said them.
    pub unclear: usize,
}

/// Why nothing is taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unsettled {
    /// They differ, and who may say what is not known.
    #[error("the recipients sealed different results, or one that cannot be read; at least one of them is wrong")]
    Differ,
    /// They differ, and none has enough behind it.
    #[error(
        "the recipients sealed different results, and none is what members of more than {may_lie} operators say: {said}"
    )]
    NoMajority {
        /// So many operators may be corrupted.
        may_lie: usize,
        /// Who said the same, without what they said.
        said: String,
    },
}

/// Which result a client takes: `None` if nobody told anything. Where all say the same, that; otherwise what members of more
/// operators of the charter say than may be corrupted. Promise: with at most `threshold` corrupted operators no wrong result
/// is taken where recipients differ, and no honest member is among the liars.
pub fn settle(tellings: &[Telling], charter: Option<&Charter>) -> Result<Option<Settled>, Unsettled> {
    let Some(first) = tellings.first() else { return Ok(None) };
    if let Some(result) = &first.result
        && tellings.iter().all(|telling| telling.result == first.result)
    {
        return Ok(Some(Settled { result: result.clone(), liars: BTreeSet::new(), unclear: 0 }));
    }
    let charter = charter.ok_or(Unsettled::Differ)?;
    let may_lie = usize::try_from(charter.threshold).unwrap_or(usize::MAX);
    let known = |telling: &Telling| telling.teller.and_then(|teller| charter.member(&teller));
    let mut sayings: Vec<(&TaskResult, BTreeMap<&str, BTreeSet<&str>>)> = Vec::new();
    for telling in tellings {
        let (Some(result), Some(member)) = (&telling.result, known(telling)) else { continue };
        let at = match sayings.iter().position(|(other, _)| *other == result) {
            Some(at) => at,
            None => {
                sayings.push((result, BTreeMap::new()));
                sayings.len() - 1
            }
        };
        sayings[at].1.entry(&member.operator).or_default().insert(&member.name);
    }
    let mut enough = sayings.iter().filter(|(_, operators)| operators.len() > may_lie);
    match (enough.next(), enough.next()) {
        (Some((result, _)), None) => {
            let others = || tellings.iter().filter(|telling| telling.result.as_ref() != Some(*result));
            let liars: BTreeSet<Fingerprint> =
                others().filter_map(|telling| known(telling)?.fingerprint.into()).collect();
            let unclear = others().filter(|telling| known(telling).is_none()).count();
            Ok(Some(Settled { result: (*result).clone(), liars, unclear }))
        }
        _ => {
            let names = |operators: &BTreeMap<&str, BTreeSet<&str>>| {
                operators.values().flatten().copied().collect::<Vec<_>>().join(" and ")
            };
            let mut said: Vec<String> = sayings.iter().map(|(_, operators)| names(operators)).collect();
            // Tellings come in the order of fingerprints, which says nothing.
            said.sort_unstable();
            let nobody = tellings.iter().filter(|telling| telling.result.is_none() || known(telling).is_none()).count();
            if nobody > 0 {
                said.push(format!("{nobody} that nobody is known to have said"));
            }
            Err(Unsettled::NoMajority { may_lie, said: said.join(", against ") })
        }
    }
}

#[cfg(test)]
mod tests {
    use tacit_accord::{Member, MemberRole};
    use tacit_model::GroupId;
    use tacit_model::api::{Decimal, StatisticBody};
    use time::OffsetDateTime;

    use super::*;

    const ID: &str = "00112233445566778899aabbccddeeff";
    const WINDOW: Slot = Slot(3);

    /// Members a to e, of operators of their own unless `operators` says otherwise, of whom so many may be corrupted.
    struct Scene {
        members: Vec<Identity>,
        charter: Charter,
        client: ResultKey,
    }

    impl Scene {
        fn new(threshold: u32, operators: [&str; 5]) -> Self {
            let member = |label| Identity::generate(label, OffsetDateTime::UNIX_EPOCH).expect("a key");
            let members: Vec<Identity> = ["a", "b", "c", "d", "e"].map(member).into();
            let listed = members.iter().zip("abcde".chars()).zip(operators);
            let listed = listed.map(|((member, name), operator)| Member {
                name: name.to_string(),
                fingerprint: member.fingerprint(),
                operator: operator.to_owned(),
                role: MemberRole::Both,
                endpoint: String::new(),
            });
            let charter =
                Charter { members: listed.collect(), threshold, ..Charter::new(GroupId(1), "g", String::new()) };
            Self { members, charter, client: ResultKey::generate().expect("a key") }
        }

        fn own() -> [&'static str; 5] {
            ["A", "B", "C", "D", "E"]
        }

        fn told(&self, member: usize, result: TaskResult) -> Telling {
            self.opened(&seal_result(result, self.client.public(), &self.members[member]).expect("sealed"))
        }

        fn opened(&self, sealed: &str) -> Telling {
            Telling::open(sealed, ID, WINDOW, &self.client)
        }

        /// Whose number is taken, and who is called a liar.
        fn settled(&self, tellings: &[Telling]) -> Result<(u128, String, usize), Unsettled> {
            let settled = settle(tellings, Some(&self.charter))?.expect("something was told");
            let names = settled.liars.iter().map(|liar| self.charter.member(liar).expect("a member").name.clone());
            let mut names: Vec<String> = names.collect();
            names.sort();
            Ok((settled.result.values[0].0, names.concat(), settled.unclear))
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
        for (threshold, liars) in [(1, &[1][..]), (2, &[0, 4]), (2, &[3])] {
            let scene = Scene::new(threshold, Scene::own());
            let tellers = 2 * threshold as usize + 1;
            let say = |member| scene.told(member, result(if liars.contains(&member) { 666 } else { 42 }));
            let told: Vec<Telling> = (0..tellers).map(say).collect();
            let named: String = liars.iter().map(|liar| ["a", "b", "c", "d", "e"][*liar]).collect();
            assert_eq!(scene.settled(&told), Ok((42, named, 0)), "{threshold}");
            assert_eq!(settle(&told, None), Err(Unsettled::Differ), "nobody knows who may lie");
        }
        // All say the same: so many as there are.
        let scene = Scene::new(2, Scene::own());
        assert_eq!(scene.settled(&[scene.told(0, result(7))]), Ok((7, String::new(), 0)));
        assert_eq!(settle(&[], Some(&scene.charter)), Ok(None));
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
        let told =
            [one.told(0, result(42)), one.told(1, result(666)), one.told(2, result(666)), one.told(4, result(42))];
        assert_eq!(one.settled(&told), Ok((42, "bc".to_owned(), 0)));
        assert!(one.settled(&told[..3]).is_err());
    }

    #[test]
    fn rule11_the_gateway_that_carries_seals_makes_nobody_a_liar() {
        let scene = Scene::new(1, Scene::own());
        let stranger = Identity::generate("x", OffsetDateTime::UNIX_EPOCH).expect("a key");
        let seal = |result, teller| seal_result(result, scene.client.public(), teller).expect("sealed");
        // What a member said of another computation, what is of nobody, what was tampered with, and no seal at all.
        let elsewhere = TaskResult { window: Slot(4), ..result(42) };
        let moved = scene.opened(&seal(elsewhere, &scene.members[2]));
        let invented = scene.opened(&seal(result(666), &stranger));
        let signed = TaskSignature {
            key: scene.members[2].public_key().to_base64(),
            signature: hex::encode(sign_detached(&scene.members[2], Context::Agreement, b"something else")),
        };
        let forged = serde_json::to_vec(&Text { result: result(666), teller: Some(signed) }).expect("JSON");
        let forged = result_key::seal(scene.client.public(), ID.as_bytes(), &forged).expect("sealed");
        let forged = scene.opened(&forged);
        let garbage = scene.opened("AA==");
        let unsigned = serde_json::to_vec(&Text { result: result(42), teller: None }).expect("JSON");
        let unsigned = result_key::seal(scene.client.public(), ID.as_bytes(), &unsigned).expect("sealed");
        let unsigned = scene.opened(&unsigned);
        assert!([&invented, &forged, &unsigned].iter().all(|one| one.result.is_some()));
        assert!([&moved, &forged, &garbage, &unsigned].iter().all(|one| one.teller.is_none()));
        let (first, second) = (scene.told(0, result(42)), scene.told(1, result(42)));
        for odd in [&moved, &invented, &forged, &garbage] {
            assert_eq!(scene.settled(&[first.clone(), odd.clone(), second.clone()]), Ok((42, String::new(), 1)));
            // It does not count either.
            assert!(scene.settled(&[first.clone(), odd.clone()]).is_err());
        }
        // An older member signs nothing: if it says the same as all, that is enough.
        assert_eq!(scene.settled(&[unsigned.clone(), first.clone()]), Ok((42, String::new(), 0)));
        assert!(scene.settled(&[unsigned, first, invented]).is_err());
    }
}
