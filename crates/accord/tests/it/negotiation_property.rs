//! Random histories of honest and hostile parties, with crashes between any two steps.

use std::collections::BTreeSet;
use std::sync::OnceLock;

use base64::Engine as _;
use proptest::prelude::*;
use tacit_accord::negotiation::{
    Act, Agreement, Authority, Event, Invitation, JsonForm, Negotiation, Opening, SignedAct, Wording, charter_part,
    charter_text, secret_hash, sign_act,
};
use tacit_accord::{Consensus, Proposal, decide};
use tacit_model::UnixMillis;
use tacit_pki::Identity;
use tacit_pki::envelope::{Context, sign_detached};

use crate::negotiation::{ID, wording};
use crate::{charter, first, identity};

/// Three owners, two who may be invited, one stranger.
const PEOPLE: usize = 6;
const OWNERS: usize = 3;
const SECRET: &str = "the-secret-of-the-invitation";
const EXPIRES: i64 = 100;

struct World {
    people: Vec<Identity>,
    current: Consensus,
    /// What somebody may want: three charters, two of which name a new owner.
    wanted: Vec<Wording>,
}

fn world() -> &'static World {
    static WORLD: OnceLock<World> = OnceLock::new();
    WORLD.get_or_init(|| {
        let people: Vec<Identity> = (0..PEOPLE).map(|i| identity(&format!("p{i}"))).collect();
        let key = |i: usize| people[i].public_key().to_base64();
        let manager = identity("manager");
        let mut owned = charter(&manager);
        owned.owners = (0..OWNERS).map(key).collect();
        owned.quorum = 2;
        let one = first(&manager);
        let proposal = Proposal::new(Some(&one), owned.clone(), UnixMillis(0)).expect("a text").sign(&manager);
        let proposal = people.iter().take(OWNERS).fold(proposal, Proposal::sign);
        let current = decide(Some(&one), proposal).expect("the owners take over");
        let wanted = [("x", None), ("y", Some(3)), ("z", Some(4))].map(|(name, newcomer)| {
            let mut next = owned.clone();
            next.name = name.to_owned();
            next.owners.extend(newcomer.map(key));
            Wording {
                parts: vec![charter_part(Some(&current), &next, UnixMillis(1)).expect("a part")],
                ..wording(false, 0)
            }
        });
        World { people, current, wanted: wanted.to_vec() }
    })
}

/// One thing that happens.
#[derive(Clone, Debug)]
enum Happening {
    /// Somebody puts a text forward, with or without the secret.
    Contribute {
        who: usize,
        what: usize,
        accept: bool,
        invited: bool,
    },
    Withdraw(usize),
    Invite {
        who: usize,
        whom: usize,
    },
    Cancel(usize),
    /// Somebody sends what was heard before once more.
    Replay(usize),
    /// Somebody puts another's name under a text, or changes what was signed.
    Forge {
        thief: usize,
        victim: usize,
        what: usize,
    },
    /// Time passes.
    Wait(i64),
    /// The keeper loses all it had in memory; with `torn`, also the step that it was about to store.
    Crash {
        torn: bool,
    },
}

fn happening() -> impl Strategy<Value = Happening> {
    let who = || 0..PEOPLE;
    prop_oneof![
        12 => (who(), 0..3_usize, any::<bool>(), any::<bool>())
            .prop_map(|(who, what, accept, invited)| Happening::Contribute { who, what, accept, invited }),
        2 => who().prop_map(Happening::Withdraw),
        1 => (who(), who()).prop_map(|(who, whom)| Happening::Invite { who, whom }),
        1 => (0..40_usize).prop_map(Happening::Cancel),
        3 => (0..40_usize).prop_map(Happening::Replay),
        3 => (who(), who(), 0..3_usize).prop_map(|(thief, victim, what)| Happening::Forge { thief, victim, what }),
        1 => (0..30_i64).prop_map(Happening::Wait),
        2 => any::<bool>().prop_map(|torn| Happening::Crash { torn }),
    ]
}

fn act_of(world: &World, who: usize, what: usize, accept: bool, invited: bool) -> Act {
    let wanted = world.wanted[what].clone();
    let text = if accept { wanted.accepting() } else { wanted };
    let decision = accept.then(|| {
        let id = charter_text(&text.parts[0]).expect("a charter").id().expect("an id");
        let signature = sign_detached(&world.people[who], Context::Charter, &id.0);
        base64::engine::general_purpose::STANDARD.encode(signature)
    });
    let invitation = invited.then(|| secret_hash(&ID, SECRET));
    Act::Contribute { text: text.to_text().expect("a text"), invitation, decision }
}

/// What must hold for whatever the negotiation ended in.
fn is_proper(world: &World, agreement: &Agreement, heard: &[SignedAct]) -> Result<(), TestCaseError> {
    let wording = agreement.verify().map_err(|e| TestCaseError::fail(e.to_string()))?;
    let owners: BTreeSet<String> = (0..OWNERS).map(key).collect();
    let signed: BTreeSet<String> = agreement.signings.keys().cloned().collect();
    prop_assert!(owners.intersection(&signed).count() >= 2, "two owners of three");
    // Whoever signed said exactly this, and said nothing else after it.
    for (signer, signing) in &agreement.signings {
        let about_texts = heard.iter().filter(|act| matches!(act.act, Act::Contribute { .. } | Act::Withdraw));
        let last = about_texts.filter(|act| act.signer == *signer).max_by_key(|act| act.turn).expect("heard");
        prop_assert_eq!((last.turn, &last.signature), (signing.turn, &signing.signature));
    }
    // It makes a charter, and only with the owners' signatures; a new owner has signed.
    let part = &wording.parts[0];
    let decisions = agreement.signings.iter().map(|(key, s)| (key.as_str(), s.decision.as_deref().unwrap_or_default()));
    let proposal = Proposal::signed_elsewhere(charter_text(part).expect("a charter"), decisions).expect("a proposal");
    let next = decide(Some(&world.current), proposal);
    let next = next.map_err(|e| TestCaseError::fail(e.to_string()))?;
    prop_assert!(next.charter().owners.iter().all(|o| owners.contains(o) || signed.contains(o)));
    Ok(())
}

fn key(person: usize) -> String {
    world().people[person].public_key().to_base64()
}

fn opening(invitations: Vec<Invitation>) -> Opening {
    Opening {
        id: ID,
        opener: key(0),
        title: "t".to_owned(),
        at: UnixMillis(0),
        expires: UnixMillis(EXPIRES),
        authority: Authority { deciders: (0..OWNERS).map(key).collect(), quorum: 2 },
        invitations,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    /// Never two different consensus for one negotiation, never one without the needed signatures, never a
    /// changed charter without a consensus; and a crash loses nothing that was stored.
    #[test]
    fn no_history_makes_two_consensus_or_one_without_signatures(happenings in prop::collection::vec(happening(), 1..40)) {
        let world = world();
        let opening = opening(vec![Invitation::Secret(secret_hash(&ID, SECRET)), Invitation::Key(key(4))]);
        let mut stored: Vec<Event> = Vec::new();
        let mut heard: Vec<SignedAct> = Vec::new();
        let mut live = Negotiation::open(opening.clone()).expect("it opens");
        let mut agreed: Option<Agreement> = None;
        let mut now = 1;
        let mut torn = false;
        for happening in happenings {
            let act = match happening {
                Happening::Contribute { who, what, accept, invited } => {
                    let turn = live.next_turn(&key(who));
                    sign_act(&world.people[who], &ID, turn, act_of(world, who, what, accept, invited)).expect("signed")
                }
                Happening::Withdraw(who) => {
                    sign_act(&world.people[who], &ID, live.next_turn(&key(who)), Act::Withdraw).expect("signed")
                }
                Happening::Invite { who, whom } => {
                    let invite = Act::Invite(Invitation::Key(key(whom)));
                    sign_act(&world.people[who], &ID, live.next_turn(&key(who)), invite).expect("signed")
                }
                // Mostly by those who may not.
                Happening::Cancel(dice) => {
                    let who = if dice == 0 { 0 } else { 1 + dice % (PEOPLE - 1) };
                    sign_act(&world.people[who], &ID, live.next_turn(&key(who)), Act::Cancel).expect("signed")
                }
                Happening::Replay(at) if !heard.is_empty() => heard[at % heard.len()].clone(),
                Happening::Replay(_) => continue,
                Happening::Forge { thief, victim, what } => {
                    let turn = live.next_turn(&key(victim));
                    let mut act = sign_act(&world.people[thief], &ID, turn, act_of(world, thief, what, true, false)).expect("signed");
                    act.signer = key(victim);
                    if thief == victim {
                        act.turn += 1;
                    }
                    act
                }
                Happening::Wait(millis) => {
                    now += millis;
                    continue;
                }
                Happening::Crash { torn: lost } => {
                    live = Negotiation::replay(&JsonForm, opening.clone(), stored.clone()).expect("what was stored holds");
                    torn = lost;
                    continue;
                }
            };
            let forged = !heard.contains(&act) && matches!(happening, Happening::Forge { .. });
            let Ok(step) = live.step(&JsonForm, act.clone(), UnixMillis(now)) else {
                heard.push(act);
                continue;
            };
            prop_assert!(!forged, "a forged act was taken");
            prop_assert!(now < EXPIRES && agreed.is_none(), "nothing is taken after the end");
            if core::mem::take(&mut torn) {
                // The step was computed and never stored: it did not happen.
                continue;
            }
            stored.push(step.event);
            heard.push(act);
            live = step.after;
            if let Some(agreement) = live.agreement() {
                is_proper(world, agreement, &stored.iter().map(|e| e.by.clone()).collect::<Vec<_>>())?;
                agreed = Some(agreement.clone());
            }
        }
        let after = Negotiation::replay(&JsonForm, opening, stored).expect("what was stored holds");
        prop_assert_eq!(after.agreement(), agreed.as_ref());
    }
}

/// The histories above do reach a consensus: with quorum and newcomer, by the shortest way.
#[test]
fn the_shortest_way_to_a_consensus() {
    let world = world();
    let opening = opening(vec![Invitation::Secret(secret_hash(&ID, SECRET))]);
    let mut negotiation = Negotiation::open(opening).expect("it opens");
    for (who, invited) in [(0, false), (1, false), (3, true)] {
        assert!(negotiation.agreement().is_none());
        let act = sign_act(&world.people[who], &ID, 1, act_of(world, who, 1, true, invited)).expect("signed");
        negotiation = negotiation.step(&JsonForm, act, UnixMillis(1)).expect("taken").after;
    }
    let agreement = negotiation.agreement().expect("a consensus");
    assert_eq!(agreement.signings.keys().cloned().collect::<BTreeSet<_>>(), [0, 1, 3].map(key).into());
}
