//! Privacy peers that are played by the test: they see all bytes that an input peer sends.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tacit_accord::{Consensus, Member, MemberRole};
use tacit_job::{Job, Report, ToPeer};
use tacit_link::{Host, LinkConfig, LinkHub, PortEvent};
use tacit_model::{Fingerprint, SessionId};
use tacit_pki::Identity;

use crate::gateway::{Open, ScriptedGateway, nonce};
use crate::receiver::Receiver;
use crate::world::{Peer, charter, identity, job, sign_first};

struct Spies {
    hub: LinkHub,
    hosts: Vec<Host>,
}

impl Spies {
    async fn start(identities: &[Arc<Identity>]) -> Self {
        let hub = LinkHub::bind(LinkConfig::new("127.0.0.1:0".parse().unwrap())).await.unwrap();
        let hosts = identities.iter().map(|id| hub.host(Arc::clone(id), Arc::new(Open)).unwrap()).collect();
        Self { hub, hosts }
    }
}

/// One real input peer among spies.
struct Scene {
    gateway: ScriptedGateway,
    peer: Peer,
    spies: Vec<Arc<Identity>>,
    consensus: Consensus,
}

impl Scene {
    async fn new(row: &str) -> Self {
        let manager = identity("manager");
        let edge = Receiver::start().await;
        let gateway = ScriptedGateway::start(identity("gateway")).await;
        let mut peer = Peer::new("victim", MemberRole::Input);
        peer.join(&edge, &gateway, &manager).await;
        peer.open().await;
        let spies: Vec<_> = (0..4).map(|i| identity(&format!("spy{i}"))).collect();
        let mut members = vec![peer.member()];
        members.extend(spies.iter().enumerate().map(|(i, spy)| Member {
            name: format!("spy{i}"),
            fingerprint: spy.fingerprint(),
            operator: format!("operator{i}"),
            role: if i == 0 { MemberRole::Input } else { MemberRole::Privacy },
            endpoint: String::new(),
        }));
        let consensus = sign_first(charter(&manager, &gateway, members), &manager);
        let mut scene = Self { gateway, peer, spies, consensus };
        let victim = scene.peer.fingerprint();
        scene.gateway.hello(&victim).await;
        scene.gateway.charter(&victim, &scene.consensus).await;
        let run = crate::world::RUN;
        scene.gateway.send(&victim, &ToPeer::Start { group: crate::world::GROUP, run, from: None });
        while scene.peer.party().status().await.unwrap().run.is_none() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        scene.peer.rows(&[row]).await;
        scene
    }

    /// Runs the session with the victim alone; its nonce, what each spy got first, and its report if
    /// all spies leave then.
    async fn run(&mut self, job: &Job) -> (String, BTreeMap<Fingerprint, Vec<u8>>, Report) {
        let victim = self.peer.fingerprint();
        let spies = Spies::start(&self.spies[1..]).await;
        let address = spies.hub.local_addr().to_string();
        let members = job.members();
        let prepared = self.gateway.prepare(&[victim], &self.consensus, job).await;
        let own = nonce(&prepared[&victim]);
        let nonces = members.iter().map(|m| if *m == victim { own.clone() } else { hex::encode([7; 32]) }).collect();
        let endpoints = members.iter().map(|_| address.clone()).collect();
        let link = ToPeer::Link { session: job.session, nonces, endpoints };
        let linked = self.gateway.phase(&[victim], job.session, &link).await;
        assert_eq!(linked[&victim], Report::Linked);
        let mut ports: Vec<_> = spies
            .hosts
            .iter()
            .map(|host| (host.fingerprint(), host.open_session(job.session, vec![victim]).unwrap()))
            .collect();
        self.gateway.send(&victim, &ToPeer::Session { session: job.session });
        let mut first = BTreeMap::new();
        for (spy, port) in &mut ports {
            match tokio::time::timeout(Duration::from_secs(10), port.recv()).await.unwrap() {
                PortEvent::Message { body, .. } => {
                    first.insert(*spy, body.to_vec());
                }
                PortEvent::Lost { .. } => {}
            }
        }
        drop(ports);
        let report = self.gateway.report(&victim, job.session).await;
        spies.hub.shutdown().await;
        (own, first, report)
    }
}

#[tokio::test]
async fn rule4_restored_data_folder_repeats_no_seed() {
    let mut scene = Scene::new("11;22").await;
    scene.peer.close().await;
    let saved = std::fs::read(scene.peer.database()).unwrap();

    let job = job(&scene.consensus, SessionId([9; 16]), 0);
    let mut seen = Vec::new();
    for _ in 0..2 {
        for end in ["", "-wal", "-shm"] {
            let _ = std::fs::remove_file(format!("{}{end}", scene.peer.database().display()));
        }
        std::fs::write(scene.peer.database(), &saved).unwrap();
        scene.peer.open().await;
        let victim = scene.peer.fingerprint();
        scene.gateway.hello(&victim).await;
        let (nonce, first, report) = scene.run(&job).await;
        assert!(matches!(report, Report::Failed { .. }), "{report:?}");
        assert_eq!(first.len(), 3);
        seen.push((nonce, first));
        scene.peer.close().await;
    }
    let (before, after) = (&seen[0], &seen[1]);
    assert_ne!(before.0, after.0);
    for (spy, bytes) in &before.1 {
        assert_eq!(bytes.len(), after.1[spy].len());
        assert_ne!(bytes, &after.1[spy]);
    }
}

#[tokio::test]
async fn p19_a_value_above_max_is_not_even_shared() {
    let mut scene = Scene::new("11;1001").await;
    let job = job(&scene.consensus, SessionId([9; 16]), 0);
    let (_, first, report) = scene.run(&job).await;
    assert!(first.is_empty());
    assert_eq!(report, Report::Failed { fault: tacit_job::Fault::Own, frozen: false });
    // The slot is over; it is not tried again.
    let mut again = job.clone();
    again.session = SessionId([10; 16]);
    let victim = scene.peer.fingerprint();
    let declined = scene.gateway.prepare(&[victim], &scene.consensus, &again).await;
    assert_eq!(declined[&victim], Report::Declined { why: tacit_job::Decline::Frozen { done: None, session: None } });
    scene.peer.close().await;
}
