use std::collections::HashSet;
use std::time::Duration;

use tacit_job::{StopReason, ToPeer};
use tacit_party::{PartyLimits, PartyStatus};

use crate::receiver::Receiver;
use crate::world::{GROUP, RUN, World};

/// A group whose first peer posts to this receiver, and `slots` slots done.
async fn slots_done(receiver: &Receiver, size: u32, slots: i64) -> World {
    slots_done_with(receiver, size, slots, |_| {}).await
}

/// The same, with limits of the test's choice.
async fn slots_done_with(receiver: &Receiver, size: u32, slots: i64, change: impl FnOnce(&mut PartyLimits)) -> World {
    let url = receiver.url("/p2ds-receiver/receiver/receive");
    let mut world = World::with(
        |peers| {
            peers[0].results_url = Some(url);
            change(&mut peers[0].limits);
        },
        |charter| charter.configuration.as_mut().unwrap().result_buffer_size = size,
    )
    .await;
    for slot in 0..slots {
        world.peers[0].rows(&[&format!("{slot};1")]).await;
        world.peers[1].rows(&["0;1"]).await;
        let job = world.job(slot);
        world.gateway.run(&world.consensus, &job).await;
    }
    world
}

fn stop(world: &World) {
    let stop = ToPeer::Stop { group: GROUP, run: RUN, reason: StopReason::Finished };
    world.gateway.send(&world.peers[0].fingerprint(), &stop);
}

fn expected(slots: usize) -> Vec<String> {
    (0..slots).map(|slot| format!("{slot};2")).collect()
}

#[tokio::test]
async fn p16_buffer_sizes_1_10_3_make_10_1_4_posts() {
    for (size, before_stop, posts) in [(1, 10, 10), (10, 10, 1), (3, 9, 4)] {
        let receiver = Receiver::start().await;
        let world = slots_done(&receiver, size, 10).await;
        assert_eq!(receiver.wait_for_rows(before_stop).await.len(), before_stop);
        stop(&world);
        assert_eq!(receiver.wait_for_rows(10).await, expected(10), "size {size}");
        let got = receiver.got();
        assert_eq!(got.len(), posts, "size {size}");
        assert!(got.iter().all(|got| got.body["peerName"].is_null() && got.target.ends_with("/receive")));
        let keys: HashSet<_> = got.iter().map(|got| got.key.clone().unwrap()).collect();
        assert_eq!(keys.len(), posts);
        world.close().await;
    }
}

#[tokio::test]
async fn p16_nothing_is_lost_while_the_receiver_is_down_or_this_node_restarts() {
    let mut receiver = Receiver::start().await;
    receiver.go_down().await;
    let mut world = slots_done(&receiver, 2, 3).await;
    stop(&world);
    // The run may end while posts wait.
    let mut status = world.peers[0].party().status().await.unwrap();
    let told = |status: &PartyStatus| {
        let trouble = status.last_trouble.as_ref().is_some_and(|trouble| trouble.what.contains("not delivered"));
        (status.undelivered_batches, status.run, trouble) == (2, None, true)
    };
    for _ in 0..500 {
        if told(&status) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
        status = world.peers[0].party().status().await.unwrap();
    }
    assert!(told(&status), "{status:?}");
    world.peers[0].close().await;

    // It comes back and fails at first: the same key again.
    receiver.come_back().await;
    let mut calls = 0;
    receiver.answers(move |_, _| {
        calls += 1;
        if calls <= 2 { (500, "ERR_SERVER".to_owned()) } else { (200, "OK".to_owned()) }
    });
    world.peers[0].open().await;
    assert_eq!(receiver.wait_for_rows(3).await, expected(3));
    let got = receiver.got();
    let statuses: Vec<_> = got.iter().map(|got| got.status).collect();
    assert_eq!(statuses, [500, 500, 200, 200]);
    assert!(got[0].key == got[1].key && got[1].key == got[2].key && got[2].key != got[3].key);
    world.close().await;
}

#[tokio::test]
async fn p16_a_refused_batch_does_not_hold_up_others_and_is_not_given_up() {
    let receiver = Receiver::start().await;
    let mut refusals = 1;
    receiver.answers(move |_, body| {
        let first = body["data"][0] == "0;2";
        if first && refusals > 0 {
            refusals -= 1;
            return (422, "no".to_owned());
        }
        (200, "OK".to_owned())
    });
    // Far longer than the other slot takes, also on a busy machine.
    let world = slots_done_with(&receiver, 1, 2, |limits| limits.retry_refused = Duration::from_secs(3)).await;
    let mut rows = receiver.wait_for_rows(2).await;
    assert_eq!(rows.first().map(String::as_str), Some("1;2"));
    rows.sort();
    assert_eq!(rows, expected(2));
    world.close().await;
}
