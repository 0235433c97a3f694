//! What the owner of a party reads of the jobs that it is asked to take part in.

use tacit_job::{Ask, ToPeer, sign_request};
use tacit_model::api::{JobBody, JobState, TaskSignature};

use crate::room::{declined, is_done, job, prepared, request, room};
use crate::world::{World, identity};

async fn newest(world: &World, peer: usize) -> JobBody {
    world.peers[peer].party().jobs(1).await.unwrap().remove(0)
}

#[tokio::test]
async fn f04_the_owner_reads_every_field_of_each_job_and_its_end() {
    let mut world = room().await;
    let client = identity("client");
    let request = request(&world, 1, "last_1h");
    let signature = sign_request(&request, &client);
    let ask = Ask::admit(request.clone(), Some(signature.clone()), &world.gateway.identity).unwrap();

    // Asked: it stands there before anything else is done, and until the gateway gives it up.
    let first = job(&world, &ask, 1);
    prepared(&mut world, 0, &first).await;
    let shown = newest(&world, 0).await;
    assert_eq!((shown.number, shown.state, &shown.ended), (1, JobState::Asked, &None));
    let member = world.peers[0].fingerprint();
    world.gateway.send(&member, &ToPeer::Abort { session: first.session });
    while newest(&world, 0).await.state == JobState::Asked {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    let shown = newest(&world, 0).await;
    assert_eq!(shown.state, JobState::GivenUp, "{shown:?}");
    assert!(shown.detail.contains("the gateway gave it up") && shown.ended.is_some());

    // Done: every field of it.
    let whole = job(&world, &ask, 2);
    let reports = world.gateway.run(&world.consensus, &whole).await;
    assert!(reports.values().all(is_done), "{reports:?}");
    let shown = newest(&world, 0).await;
    assert_eq!((shown.number, shown.state, shown.detail.as_str()), (2, JobState::Done, "5 members gave data"));
    assert!(shown.ended.as_ref().is_some_and(|ended| *ended >= shown.asked));
    assert_eq!(shown.gateway, world.gateway.identity.fingerprint());
    assert_eq!(
        (shown.group, shown.run, shown.slot, shown.attempt),
        (whole.group, ask.run(), whole.slot, whole.attempt)
    );
    assert_eq!(shown.consensus, world.consensus.id().to_string());
    assert_eq!((shown.session, shown.task), (whole.session.to_string(), Some(ask.id().to_string())));
    assert_eq!(shown.client, Some(client.fingerprint()));
    assert_eq!(shown.request.as_deref(), Some(&request));
    let signatures = shown.signatures.unwrap();
    assert_eq!((signatures.client, signatures.gateway, signatures.hold), (Some(signature), ask.ticket.clone(), true));
    assert_eq!((shown.purpose.as_str(), shown.sources.as_slice()), ("level", &["level".to_owned()][..]));
    let window = ask.terms().unwrap().window(whole.slot).unwrap();
    let shown_window = shown.window.unwrap();
    assert_eq!((shown_window.from, shown_window.to), (window.from.to_rfc3339(), Some(window.to.to_rfc3339())));
    assert_eq!((shown.aggregator.as_str(), shown.parameters), ("sum", whole.task.parameters.clone()));
    let charter = world.consensus.charter();
    assert_eq!((shown.model.as_str(), shown.threshold), ("semi-honest", Some(charter.threshold)));
    assert_eq!(shown.participants.len(), 5);
    for participant in &shown.participants {
        let member = charter.member(&participant.fingerprint).unwrap();
        assert_eq!(participant.name.as_ref(), Some(&member.name));
        assert_eq!(participant.operator.as_ref(), Some(&member.operator));
        let does = [&whole.inputs, &whole.compute, &whole.recipients].map(|named| named.contains(&member.fingerprint));
        assert_eq!([participant.gives, participant.computes, participant.learns], does, "{}", member.name);
    }
    assert!(shown.opened.contains("leakage: "), "{}", shown.opened);
    assert_eq!(shown.told, "nobody");

    // Declined: with the reason, and with no client where the signature is not its own.
    let forged = TaskSignature { key: identity("other").public_key().to_base64(), ..ask.client.clone().unwrap() };
    let forged = job(&world, &Ask { client: Some(forged), ..ask.clone() }, 3);
    declined(&mut world, 0, &forged).await;
    let shown = newest(&world, 0).await;
    assert_eq!((shown.state, shown.client), (JobState::Declined, None));
    assert!(shown.detail.starts_with("UNKNOWN_CMD (33): the client's signature does not fit"), "{}", shown.detail);
    assert!(shown.signatures.is_some_and(|signatures| !signatures.hold));
    // A session's id a second time, and a job of the group's standing task.
    declined(&mut world, 0, &forged).await;
    assert!(newest(&world, 0).await.detail.contains("id was used before"));
    let standing = world.job(0);
    declined(&mut world, 0, &standing).await;
    let shown = newest(&world, 0).await;
    assert_eq!((shown.task, shown.sources.as_slice(), shown.signatures), (None, &["queue".to_owned()][..], None));

    // All of it is there when the node starts again.
    let before = world.peers[0].party().jobs(100).await.unwrap();
    assert_eq!(before.iter().map(|job| job.number).collect::<Vec<_>>(), [5, 4, 3, 2, 1]);
    world.peers[0].close().await;
    world.peers[0].open().await;
    assert_eq!(world.peers[0].party().jobs(100).await.unwrap(), before);
    // What its gateway makes much too long is not kept in whole, and does no harm.
    let mut long = job(&world, &ask, 9);
    long.task.purpose = "x".repeat(300_000);
    world.gateway.hello(&member).await;
    declined(&mut world, 0, &long).await;
    world.peers[0].close().await;
    world.peers[0].open().await;
    let shown = newest(&world, 0).await;
    assert!(shown.number == 6 && shown.purpose.len() == 200 && shown.opened.contains("not kept in whole"), "{shown:?}");
    world.close().await;
}

/// However much a gateway asks that is declined, the owner still reads what was computed, also after a restart.
#[tokio::test]
async fn f04_asking_much_pushes_nothing_out_that_was_computed() {
    let mut world = room().await;
    let ask = Ask::admit(request(&world, 1, "last_1h"), None, &world.gateway.identity).unwrap();
    let whole = job(&world, &ask, 1);
    assert!(world.gateway.run(&world.consensus, &whole).await.values().all(is_done));
    let member = world.peers[0].fingerprint();
    for number in 0..250_u8 {
        let mut junk = job(&world, &ask, 0);
        junk.session = tacit_model::SessionId([[number; 8], [7; 8]].concat().try_into().unwrap());
        junk.task.purpose = "junk".to_owned();
        declined(&mut world, 0, &junk).await;
    }
    for _ in 0..2 {
        let shown = world.peers[0].party().jobs(100).await.unwrap();
        assert_eq!((shown.len(), shown[0].number, shown[99].number), (101, 251, 152));
        assert_eq!((shown[100].number, shown[100].state), (1, JobState::Done));
        world.peers[0].close().await;
        world.peers[0].open().await;
        world.gateway.hello(&member).await;
    }
    world.close().await;
}

/// Of a group of thousands the owner reads who asked for what under which signature, who computed, and how many more there were.
#[tokio::test]
async fn f04_of_a_large_group_the_request_is_kept_and_those_who_only_give_are_counted() {
    let mut world = room().await;
    let request = request(&world, 1, "last_1h");
    let ask = Ask::admit(request.clone(), None, &world.gateway.identity).unwrap();
    let mut large = job(&world, &ask, 1);
    let others = (0..3000_u32).map(|number| {
        let mut one = [9; 32];
        one[..4].copy_from_slice(&number.to_le_bytes());
        tacit_model::Fingerprint(one)
    });
    large.inputs.extend(others);
    declined(&mut world, 0, &large).await;
    world.peers[0].close().await;
    world.peers[0].open().await;
    let shown = newest(&world, 0).await;
    assert_eq!(shown.request.as_deref(), Some(&request));
    assert_eq!(shown.signatures.map(|signatures| signatures.gateway), Some(ask.ticket.clone()));
    assert_eq!(shown.participants.iter().filter(|member| member.computes).count(), 4);
    assert_eq!(shown.participants.len() + shown.participants_left_out as usize, 3005);
    assert!(shown.participants_left_out > 2000, "{}", shown.participants_left_out);
    world.close().await;
}
