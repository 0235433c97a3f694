//! A group that computes with an SMC provider, up to where providers hear of inputs.

use tacit_accord::{Charter, MemberRole};
use tacit_job::{Fault, Report};
use tacit_party::{EchoProvider, Provider};

use crate::liar::Liar;
use crate::world::{Peer, RUN, World};

/// Peers that all give, compute and learn, so many of those of the small world. Each has a provider, which is there and
/// computes nothing; the charter names it.
async fn world(peers: usize, change: impl FnOnce(&mut Charter)) -> World {
    let with_providers = |all: &mut Vec<Peer>| {
        all.truncate(peers);
        for peer in all {
            peer.role = MemberRole::Both;
            let socket = peer.folder.path().join("smc.sock");
            tokio::spawn(EchoProvider::bind(&socket).unwrap().serve());
            peer.provider = Some(Provider { name: "echo".to_owned(), socket, pings: false });
        }
    };
    let named = |charter: &mut Charter| {
        let parameters = &mut charter.configuration.as_mut().unwrap().parameters;
        parameters.insert("provider".to_owned(), "echo".to_owned());
        change(charter);
    };
    World::with(with_providers, named).await
}

/// A provider adds up what it is given, and what is too much for one may be little for all: a wrong number, and nobody would see it.
#[tokio::test]
async fn rule7_a_value_above_max_is_given_to_no_provider() {
    let mut world = world(3, |_| {}).await;
    world.peers[0].rows(&["1000;1001"]).await;
    world.peers[1].rows(&["1;1"]).await;
    world.peers[2].rows(&["1;1"]).await;
    let job = world.job(0);
    let reports = world.gateway.run(&world.consensus, &job).await;
    let bad = world.peers[0].fingerprint();
    for (member, report) in &reports {
        match report {
            Report::Failed { fault: Fault::Own, frozen: false } => assert_eq!(*member, bad),
            Report::Failed { fault: Fault::Lost { .. }, frozen: false } => assert_ne!(*member, bad),
            other => panic!("{other:?}"),
        }
    }
    let trouble = world.peers[0].party().status().await.unwrap().last_trouble.unwrap().what;
    assert!(trouble.contains("above maxElement") && !trouble.contains("1001"), "{trouble}");
    world.close().await;
}

/// One member tells the others different commitments, so that they freeze different sets. Each sees that the other signed
/// another one, and neither says that the other cheated.
#[tokio::test]
async fn rule5_who_equivocates_beside_a_provider_has_no_honest_peer_blamed() {
    let liar = Liar::start(MemberRole::Both).await;
    let mut world = world(2, |charter| charter.members.push(liar.member())).await;
    for peer in &world.peers {
        peer.rows(&["1;1"]).await;
    }
    let job = world.job(0);
    let says = |member: usize| vec![vec![u8::try_from(member).unwrap(); 32], vec![0; 64]];
    let reports = liar.run_saying(&mut world, &job, says).await;
    assert_eq!(reports.len(), 2);
    for report in reports.values() {
        assert_eq!(*report, Report::Failed { fault: Fault::Equivocated, frozen: true });
    }
    for peer in &world.peers {
        assert!(peer.party().results(RUN).await.unwrap().is_empty());
    }
    world.close().await;
}
