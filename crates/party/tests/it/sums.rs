use tacit_job::{Fault, Report, StopReason, ToGateway, ToPeer};
use tacit_model::{Attempt, RunId, Slot};
use tacit_party::source::{AboveMax, Row};
use tacit_party::{PartyError, PartyState, RowText};

use crate::world::{GROUP, RUN, World, sign_next};

#[tokio::test]
async fn p12_two_inputs_over_three_privacy_peers() {
    let mut world = World::small().await;
    world.peers[0].rows(&["1;3", "4;5"]).await;
    world.peers[1].rows(&["2;5"]).await;
    world.peers[1].rows(&["3;4"]).await;
    for slot in 0..2 {
        let job = world.job(slot);
        let reports = world.gateway.run(&world.consensus, &job).await;
        let mut agreements = Vec::new();
        for (member, report) in &reports {
            match report {
                Report::Done { agreement, contributors, faults, .. } => {
                    assert!(faults.is_empty());
                    assert_eq!(agreement.is_some(), job.recipients.contains(member));
                    assert_eq!(*contributors, 2);
                    agreements.extend(agreement.clone());
                }
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(agreements.len(), 2);
        assert_eq!(agreements[0], agreements[1]);
    }
    for peer in &world.peers[..2] {
        let results = peer.party().results(RUN).await.unwrap();
        assert_eq!(results.iter().map(|r| r.text()).collect::<Vec<_>>(), ["3;8", "7;9"]);
        let status = peer.party().status().await.unwrap();
        assert_eq!((status.queued_rows, status.state, status.open_sessions), (0, PartyState::Running, 0));
        assert_eq!(status.roster.len(), 5);
        assert!(status.last_trouble.is_none(), "{:?}", status.last_trouble);
    }
    assert!(world.peers[2].party().results(RUN).await.unwrap().is_empty());
    world.close().await;
}

#[tokio::test]
async fn p18_rows_are_all_or_nothing() {
    let mut world = World::small().await;
    let party = world.peers[0].party().clone();
    let rows = |rows: &[&str]| rows.iter().map(|row| RowText::from(*row)).collect::<Vec<_>>();
    for (bad, at) in [(vec!["1;2", "1;x"], 2), (vec!["1"], 1), (vec!["1;2", "1;2", "1;2;3"], 3)] {
        match party.add_rows(&rows(&bad)).await {
            Err(PartyError::InvalidData { row, .. }) => assert_eq!(row, at),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(party.add_rows(&rows(&["1;2"])).await.unwrap(), Slot(0));
    assert_eq!(party.add_rows(&rows(&["1;2", "18446744073709551615;0"])).await.unwrap(), Slot(1));
    let peer = world.peers[0].fingerprint();
    let upto_3 = |m: &ToGateway| matches!(m, ToGateway::Rows { upto: Slot(3), .. }).then_some(());
    world.gateway.expect(&peer, upto_3).await;
    world.gateway.send(&peer, &ToPeer::Stop { group: GROUP, run: RUN, reason: StopReason::Failed });
    let heard = async {
        loop {
            let status = party.status().await.unwrap();
            match status.last_trouble {
                Some(told) if status.state == PartyState::Failed && told.what.contains("ended with an error") => {
                    break told.what;
                }
                _ => tokio::time::sleep(std::time::Duration::from_millis(5)).await,
            }
        }
    };
    let told = tokio::time::timeout(std::time::Duration::from_secs(20), heard).await.expect("its owner is told");
    assert!(told.contains("3 rows that waited were given up"), "{told}");
    assert!(matches!(party.add_rows(&rows(&["1;2"])).await, Err(PartyError::NotRunning)));
    assert!(matches!(party.stop().await, Err(PartyError::NotRunning)));
    assert_eq!(party.start().await.unwrap(), RunId(1));
    assert!(matches!(party.start().await, Err(PartyError::AlreadyRunning)));
    // The same run again: what waited is gone, and no slot is used twice.
    assert_eq!(party.status().await.unwrap().queued_rows, 0);
    assert_eq!(party.add_rows(&rows(&["1;2"])).await.unwrap(), Slot(3));
    world.close().await;
}

#[tokio::test]
async fn p27_rows_and_run_survive_a_restart() {
    let mut world = World::small().await;
    world.peers[0].rows(&["1;3", "4;5"]).await;
    world.peers[1].rows(&["2;5", "3;4"]).await;
    for index in 0..world.peers.len() {
        world.peers[index].close().await;
        world.peers[index].endpoint.clear();
        world.peers[index].open().await;
        let peer = world.peers[index].fingerprint();
        let ToGateway::Hello { known, run, .. } = world.gateway.hello(&peer).await else { unreachable!() };
        assert_eq!((known, run), (Some(world.consensus.id()), Some(RUN)));
        let upto = if index < 2 { Slot(2) } else { Slot(0) };
        let is_rows = |m: &ToGateway| match m {
            ToGateway::Rows { run: RUN, upto: told, .. } if *told == upto => Some(()),
            _ => None,
        };
        world.gateway.expect(&peer, is_rows).await;
    }
    // Other ports now: the charter follows.
    let mut charter = world.consensus.charter().clone();
    charter.members = world.peers.iter().map(|p| p.member()).collect();
    world.consensus = sign_next(&world.consensus, charter, &world.manager);
    for peer in &world.peers {
        world.gateway.charter(&peer.fingerprint(), &world.consensus).await;
    }
    let job = world.job(0);
    world.gateway.run(&world.consensus, &job).await;
    assert_eq!(world.peers[0].party().results(RUN).await.unwrap()[0].text(), "3;8");
    world.close().await;
}

#[tokio::test]
async fn p19_value_above_max_fails_visibly_and_nothing_is_sent() {
    let mut world = World::small().await;
    // Refused at the door, all or none, with its place and the limit and without the value.
    let batch = vec![(None, Row::new(vec![1000, 0])), (None, Row::new(vec![1000, 1001]))];
    let refused = world.peers[0]
        .party()
        .add_timed_rows(batch, AboveMax::Refused)
        .await
        .expect_err("above the maximum")
        .to_string();
    assert!(refused.starts_with("row 2: item 2 is above 1000,") && !refused.contains("1001"), "{refused}");
    assert!(refused.contains("--max-element"), "{refused}");
    // Through the P2DS face it is taken, and the round fails.
    world.peers[0].rows(&["1000;1001"]).await;
    world.peers[1].rows(&["1;1"]).await;
    let job = world.job(0);
    let reports = world.gateway.run(&world.consensus, &job).await;
    let bad = world.peers[0].fingerprint();
    for (member, report) in &reports {
        match report {
            Report::Failed { fault: Fault::Own, frozen: false } => assert_eq!(*member, bad),
            Report::Failed { frozen: false, .. } => assert_ne!(*member, bad),
            other => panic!("{other:?}"),
        }
    }
    for peer in &world.peers {
        assert!(peer.party().results(RUN).await.unwrap().is_empty());
    }
    let trouble = world.peers[0].party().status().await.unwrap().last_trouble.unwrap().what;
    assert!(trouble.contains("above maxElement") && !trouble.contains("1001"), "{trouble}");
    world.close().await;
}

#[tokio::test]
async fn p33_a_lost_privacy_peer_does_not_stop_a_sum() {
    let mut world = World::small().await;
    world.peers[0].rows(&["1;3"]).await;
    world.peers[1].rows(&["2;5"]).await;
    let lost = world.peers[4].fingerprint();

    // It goes away when all links are made.
    let job = world.job(0);
    let members = job.members();
    let prepared = world.gateway.prepare(&members, &world.consensus, &job).await;
    let link = world.gateway.link_message(&world.consensus, &job, &prepared);
    world.gateway.phase(&members, job.session, &link).await;
    world.peers[4].close().await;
    let left: Vec<_> = members.iter().copied().filter(|member| *member != lost).collect();
    let reports = world.gateway.phase(&left, job.session, &ToPeer::Session { session: job.session }).await;
    for report in reports.values() {
        assert!(matches!(report, Report::Failed { frozen: false, .. }), "{report:?}");
    }

    // Nothing was bound: the slot is tried again without it, under the same threshold.
    let mut job = world.job(0);
    job.attempt = Attempt(1);
    job.compute.retain(|member| *member != lost);
    let reports = world.gateway.run(&world.consensus, &job).await;
    assert!(reports.values().all(|report| matches!(report, Report::Done { .. })), "{reports:?}");
    assert_eq!(world.peers[0].party().results(RUN).await.unwrap()[0].text(), "3;8");
    world.close().await;
}
