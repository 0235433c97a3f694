//! What a peer tells of a result: to a gateway that asks again, and sealed for the client.

use std::collections::BTreeMap;

use tacit_job::{Ask, Decline, Job, Report, Seen, Telling, ToPeer, Told, seal_result, settle};
use tacit_model::api::{TaskRequest, TaskResult};
use tacit_model::{Attempt, Clock, Fingerprint, SessionId, Slot, SystemClock, UnixMillis};
use tacit_pki::result_key::ResultKey;
use tacit_store::{NewFreeze, ResultRow};

use crate::room::{ask, declined, job, prepared, request, room};
use crate::world::World;

/// A gateway that was interrupted after the end of a task asks again: the client gets its result all the same.
#[tokio::test]
async fn f13_the_result_of_an_interrupted_task_is_told_again() {
    let mut world = room().await;
    let key = ResultKey::generate().unwrap();
    let mut request = request(&world, 1, "last_1h");
    request.result_key = Some(key.public().to_owned());
    let ask = Ask::admit(request, None, &world.gateway.identity).unwrap();
    let first = job(&world, &ask, 1);
    let reports = world.gateway.run(&world.consensus, &first).await;
    let recipient = world.peers[0].fingerprint();
    let Report::Done { agreement, told: Some(Told::Sealed(sealed)), .. } = &reports[&recipient] else {
        panic!("{reports:?}")
    };
    let open = |sealed: &str| {
        let text = key.open(sealed, ask.id().to_string().as_bytes()).unwrap();
        serde_json::from_slice::<TaskResult>(&text).unwrap()
    };
    let mut again = job(&world, &ask, 2);
    again.attempt = Attempt(1);
    match prepared(&mut world, 0, &again).await {
        Report::Done { agreement: same, told: Some(Told::Sealed(resealed)), contributors: 5, .. } => {
            assert_eq!(same, *agreement);
            assert_eq!(open(&resealed), open(sealed));
            assert_ne!(resealed, *sealed, "sealed anew");
        }
        other => panic!("{other:?}"),
    }
    world.close().await;
}

/// That the first computation of a task is bound to some input set.
fn freeze_of(world: &World, ask: &Ask) -> NewFreeze {
    NewFreeze {
        run: ask.run(),
        slot: Slot(0),
        attempt: Attempt(0),
        set_digest: [1; 32],
        charter: world.consensus.id().0,
        inputs: [2; 32],
        moment: None,
        taken: Vec::new(),
        opened: Vec::new(),
        disjoint: false,
        spent: Vec::new(),
        job: None,
        approved: None,
    }
}

/// A gateway that takes over knows nothing of a session that computes. A peer that has frozen its set says that it is busy and
/// is asked again, instead of ending the task for whose result it works; once the session is given up, it says how it is.
#[tokio::test]
async fn w1_a_frozen_set_whose_session_goes_on_is_not_given_up_for_lost() {
    let mut world = room().await;
    let ask = ask(&world, 1);
    let attempt = |number: u8| Job { attempt: Attempt(number.into()), ..job(&world, &ask, number) };
    let [first, second, third] = [1, 2, 3].map(attempt);
    let ready = world.gateway.prepare(&first.members(), &world.consensus, &first).await;
    world.gateway.link(&world.consensus, &first, &ready).await;
    // The others are not let go ahead, so that it waits for them.
    let peer = world.peers[1].fingerprint();
    world.gateway.send(&peer, &ToPeer::Session { session: first.session });
    let (store, name) = (world.peers[1].store.clone().unwrap(), world.peers[1].name.clone());
    store.freeze(&name, freeze_of(&world, &ask), SystemClock.now()).await.unwrap();
    assert_eq!(declined(&mut world, 1, &second).await, Decline::Busy);
    world.gateway.send(&peer, &ToPeer::Abort { session: first.session });
    assert_eq!(declined(&mut world, 1, &third).await, Decline::Frozen { done: None, session: None });
    world.close().await;
}

/// The number under which a task is kept has 48 bits: a gateway that finds a second task for it, with a key of its own, does
/// not get the result of the first one sealed for that.
#[tokio::test]
async fn rule11_the_result_of_another_task_of_the_same_number_is_not_told() {
    let mut world = room().await;
    let mut request = request(&world, 1, "last_1h");
    request.result_key = Some(ResultKey::generate().unwrap().public().to_owned());
    let ask = Ask::admit(request, None, &world.gateway.identity).unwrap();
    let (store, name) = (world.peers[0].store.clone().unwrap(), world.peers[0].name.clone());
    let now = SystemClock.now();
    store.freeze(&name, freeze_of(&world, &ask), now).await.unwrap();
    let result = ResultRow {
        slot: Slot(0),
        session: SessionId([9; 16]),
        values_json: format!("{{\"sums\":[\"105\"],\"task\":\"{}\"}}", SessionId([7; 16])),
        contributors: 5,
        agreement: vec![3; 32],
        at: now,
    };
    store.commit_task_result(&name, ask.run(), result).await.unwrap();
    let second = job(&world, &ask, 1);
    assert_eq!(
        prepared(&mut world, 0, &second).await,
        Report::Declined { why: Decline::Frozen { done: None, session: None } }
    );
    world.close().await;
}

/// In the models where nobody may be trusted 2t+1 recipients seal the result. One that computed and agreed like all others
/// tells the client something else: the client has its result, and knows who lied.
#[tokio::test]
async fn rule11_a_recipient_that_seals_a_lie_is_outvoted_and_named() {
    let mut world = room().await;
    let key = ResultKey::generate().unwrap();
    let mut request = TaskRequest { model: "malicious".to_owned(), ..request(&world, 1, "last_1h") };
    request.recipients.clear();
    request.result_key = Some(key.public().to_owned());
    let ask = Ask::admit(request, None, &world.gateway.identity).unwrap();
    let attempt = job(&world, &ask, 1);
    let reports = world.gateway.run(&world.consensus, &attempt).await;
    let sealed = |report: &Report| match report {
        Report::Done { told: Some(Told::Sealed(sealed)), .. } => Some(sealed.clone()),
        _ => None,
    };
    let id = ask.id().to_string();
    let open = |sealed: &str| Telling::open(sealed, &id, Slot(0), &key);
    let mut tellings: BTreeMap<Fingerprint, Telling> =
        reports.iter().filter_map(|(member, report)| Some((*member, open(&sealed(report)?)))).collect();
    let threshold = world.consensus.charter().threshold as usize;
    assert_eq!(tellings.len(), 2 * threshold + 1, "{reports:?}");
    let under = world.consensus.id();
    let signs = |(member, telling): (&Fingerprint, &Telling)| telling.teller == Some((*member, under));
    assert!(tellings.iter().all(signs), "each signs what it seals, and under which charter it was computed");
    let all = |tellings: &BTreeMap<_, Telling>| tellings.values().cloned().collect::<Vec<_>>();
    let chain = [Seen { consensus: world.consensus.clone(), since: UnixMillis(0) }];
    let settled = |tellings: &[Telling]| settle(tellings, &ask.request, Slot(0), &chain);
    let honest = settled(&all(&tellings)).unwrap().unwrap();
    assert_eq!((honest.result.contributors, honest.liars.len(), honest.word_of.len()), (5, 0, 0));
    // Those whom the gateway lets through are believed if they are of more operators than may be corrupted.
    assert!(settled(&all(&tellings)[..=threshold]).is_ok());
    assert!(settled(&all(&tellings)[..threshold]).is_err());

    let liar = world.peers.iter().find(|peer| tellings.contains_key(&peer.fingerprint())).unwrap();
    let mut wrong = honest.result.clone();
    wrong.values[0].0 += 1;
    let lie = seal_result(wrong, under, key.public(), &liar.identity).unwrap();
    tellings.insert(liar.fingerprint(), open(&lie));
    let found = settled(&all(&tellings)).unwrap().unwrap();
    assert_eq!((found.result, found.unclear), (honest.result, 0));
    assert_eq!(found.liars, [liar.fingerprint()].into());
    // With one honest word against it there is no telling who lies.
    let (lie, words): (Vec<_>, Vec<_>) = tellings.into_iter().partition(|(member, _)| *member == liar.fingerprint());
    assert!(settled(&[lie[0].1.clone(), words[0].1.clone()]).is_err());
    world.close().await;
}
