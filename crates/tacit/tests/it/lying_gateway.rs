//! A gateway that lies, against peers as they are shipped: the test takes over the place, the key and the address of a
//! real one, with which the peers were paired and have computed.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;
use tacit_accord::{Consensus, Member, MemberRole, Proposal, decide};
use tacit_job::{Ask, Decline, Fault, Job, Report, ToPeer, plan_of, status};
use tacit_link::{LinkConfig, LinkHub};
use tacit_model::api::TaskRequest;
use tacit_model::{Attempt, Clock, Fingerprint, SessionId, Slot, SystemClock};
use tacit_pki::{Identity, keyfile};
use tokio::net::{TcpListener, TcpStream};

use crate::rooms::Rooms;
use crate::scripted_gateway::{Open, ScriptedGateway};

struct Liar {
    gateway: ScriptedGateway,
    consensus: Consensus,
    /// Of the rooms, by their number.
    rooms: Vec<Fingerprint>,
}

impl Liar {
    /// Takes over from the scene's gateway, which is killed; all rooms come back, and notice nothing.
    async fn take_over(scene: &mut Rooms) -> Self {
        let path = format!("/groups/{}/consensus", scene.gid);
        let chain = scene.gateway.api("GET", &path, None).ok().json();
        let last = chain["documents"].as_array().and_then(|chain| chain.last()?.as_str()).expect("a charter");
        let read = Consensus::read(last).expect("a consensus");
        let id = read.id();
        let consensus = read.recall(id).expect("the same");
        let identity = keyfile::load(&scene.gateway.data().join("keys"), "node").expect("the gateway's key");
        scene.gateway.kill();
        let address = format!("{}:{}", scene.gateway.link().0, scene.gateway.link().1).parse().expect("an address");
        let mut gateway = ScriptedGateway::start_on(Arc::new(identity), Arc::new(SystemClock), address).await;
        let rooms: Vec<Fingerprint> = scene.rooms.iter().map(|room| room.key.parse().expect("a key")).collect();
        for room in &rooms {
            gateway.hello(room).await;
        }
        Self { gateway, consensus, rooms }
    }

    /// The gateway's ticket for a request.
    fn ask(&self, request: TaskRequest) -> Ask {
        Ask::admit(request, None, &self.gateway.identity).expect("a task")
    }

    /// An attempt with everybody.
    fn job(&self, ask: &Ask, session: u8) -> Job {
        let charter = self.consensus.charter();
        Job {
            session: SessionId([session; 16]),
            group: charter.group,
            charter: self.consensus.id(),
            run: ask.run(),
            slot: Slot(0),
            attempt: Attempt(0),
            task: ask.task().expect("a task"),
            inputs: charter.inputs().map(|member| member.fingerprint).collect(),
            compute: charter.computing().map(|member| member.fingerprint).collect(),
            recipients: ask.recipients(charter),
        }
    }

    /// What a room says to a Prepare, with the right plan where there is one.
    async fn prepared(&mut self, room: usize, job: &Job) -> Report {
        let plan = plan_of(&self.consensus, job).map_or([0; 32], |plan| plan.digest().0);
        let prepare = ToPeer::Prepare { job: Box::new(job.clone()), plan: hex::encode(plan) };
        let room = self.rooms[room];
        self.gateway.phase(&[room], job.session, &prepare).await.remove(&room).expect("a report")
    }

    async fn declined(&mut self, room: usize, job: &Job) -> Decline {
        match self.prepared(room, job).await {
            Report::Declined { why } => why,
            other => panic!("{other:?}"),
        }
    }

    async fn run(&mut self, job: &Job) -> BTreeMap<Fingerprint, Report> {
        self.gateway.run(&self.consensus, job).await
    }
}

/// An address that leads to this one, and how often somebody went there.
async fn counted(to: SocketAddr) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let (address, count) = (listener.local_addr().expect("an address"), Arc::new(AtomicUsize::new(0)));
    let counter = count.clone();
    tokio::spawn(async move {
        while let Ok((mut from, _)) = listener.accept().await {
            counter.fetch_add(1, Ordering::Relaxed);
            tokio::spawn(async move {
                let mut there = TcpStream::connect(to).await.expect("the hub");
                let _broken_off = tokio::io::copy_bidirectional(&mut from, &mut there).await;
            });
        }
    });
    (address, count)
}

fn stranger() -> Identity {
    Identity::generate("sybil", SystemClock.now().to_date_time().expect("a date")).expect("a key")
}

fn again(request: &TaskRequest, nonce: u8) -> TaskRequest {
    TaskRequest { nonce: hex::encode([nonce; 16]), issued: SystemClock.now().to_rfc3339(), ..request.clone() }
}

/// Prepare, Link, Session, in this order: rooms answer any other step by ABORTED, give up what it interrupts, and compute afresh
/// what is then asked in order, each time.
#[tokio::test]
async fn f17_real_peers_abort_what_is_out_of_order_and_compute_the_next() {
    let mut scene = Rooms::found(3);
    scene.measure("temperature", 1000, &["20", "21", "22"]);
    let told = scene.ask(&scene.question("sum", json!({ "preselector": "last_1h" })));
    let first: TaskRequest = serde_json::from_value(told["task"].clone()).expect("the request");
    let mut liar = Liar::take_over(&mut scene).await;
    let aborted = Report::Failed { fault: Fault::Order, frozen: false };
    assert_eq!(status(&aborted), (65, "ABORTED"));
    let link = |session| ToPeer::Link { session, nonces: vec!["00".repeat(32); 3], endpoints: vec![String::new(); 3] };
    let rooms = liar.rooms.clone();
    for session in [SessionId([90; 16]), SessionId([91; 16])] {
        let step = if session == SessionId([90; 16]) { link(session) } else { ToPeer::Session { session } };
        let said = liar.gateway.phase(&rooms, session, &step).await;
        assert!(said.values().all(|report| *report == aborted), "{said:?}");
    }
    let ask = liar.ask(again(&first, 2));
    let skipped = liar.job(&ask, 92);
    liar.gateway.prepare(&rooms, &liar.consensus, &skipped).await;
    for step in [ToPeer::Session { session: skipped.session }, link(skipped.session)] {
        let said = liar.gateway.phase(&rooms, skipped.session, &step).await;
        assert!(said.values().all(|report| *report == aborted), "{said:?}");
    }
    for room in 0..3 {
        assert_eq!(liar.declined(room, &skipped).await, Decline::Busy, "its id is used up");
    }
    let mut agreements = Vec::new();
    for number in [3, 4] {
        let ask = liar.ask(again(&first, number));
        let job = liar.job(&ask, number);
        let reports = liar.run(&job).await;
        agreements.extend(reports.into_values().map(|report| match report {
            Report::Done { agreement: Some(agreement), .. } => agreement,
            other => panic!("{other:?}"),
        }));
        let over = liar.gateway.phase(&rooms, job.session, &ToPeer::Session { session: job.session }).await;
        assert!(over.values().all(|report| *report == aborted), "{over:?}");
    }
    assert_eq!(agreements.iter().collect::<BTreeSet<_>>().len(), 2, "alike in each, and fresh in the second");
}

/// A second opening without the victim, under the same request or another one; other certificates in the places of
/// members; members that nobody verified: the rooms refuse each, and still compute what is asked by the rules.
#[tokio::test]
async fn rule1_rule3_real_peers_refuse_a_gateway_that_lies() {
    let mut scene = Rooms::found(4);
    scene.measure("temperature", 1000, &["20", "21", "22", "25"]);
    let told = scene.ask(&scene.question("sum", json!({ "preselector": "last_1h" })));
    assert_eq!((&told["state"], &told["windows"][0]["contributors"]), (&"done".into(), &4.into()), "{told}");
    let first: TaskRequest = serde_json::from_value(told["task"].clone()).expect("the request");
    let mut liar = Liar::take_over(&mut scene).await;
    let victim = liar.rooms[3];

    // The same records without the victim: the difference would be its value.
    let other = liar.ask(again(&first, 2));
    let mut fewer = liar.job(&other, 2);
    fewer.inputs.retain(|input| *input != victim);
    for room in 0..3 {
        assert_eq!(liar.declined(room, &fewer).await, Decline::Policy);
        assert!(scene.rooms[room].trouble().contains("with other members before"), "{}", scene.rooms[room].trouble());
    }
    // The request that was answered, once more: it was frozen with the victim, and is told or kept as it was.
    let same = liar.ask(first.clone());
    let mut repeated = liar.job(&same, 3);
    repeated.attempt = Attempt(1);
    repeated.inputs.retain(|input| *input != victim);
    for room in 0..3 {
        match liar.prepared(room, &repeated).await {
            Report::Done { contributors: 4, agreement: Some(_), .. }
            | Report::Declined { why: Decline::Frozen { .. } } => {}
            other => panic!("{other:?}"),
        }
    }

    // Somebody whom nobody verified: added, or in the place of a member.
    let sybil = stranger();
    let ask = liar.ask(again(&first, 4));
    let changes: [fn(&mut Job, Fingerprint); 5] = [
        |job, sybil| job.compute.push(sybil),
        |job, sybil| job.inputs.push(sybil),
        |job, sybil| job.recipients.push(sybil),
        |job, sybil| job.compute[1] = sybil,
        |job, sybil| job.inputs[1] = sybil,
    ];
    for (number, change) in (4..).zip(changes) {
        let mut job = liar.job(&ask, number);
        change(&mut job, sybil.fingerprint());
        for room in [0, 3] {
            assert_eq!(liar.declined(room, &job).await, Decline::Roster);
        }
    }
    // The same in a charter that the group's manager did not sign.
    let known = liar.consensus.clone();
    let mut charter = known.charter().clone();
    charter.members.push(Member {
        name: "sybil".to_owned(),
        fingerprint: sybil.fingerprint(),
        operator: "sybil".to_owned(),
        role: MemberRole::Both,
        endpoint: "127.0.0.1:1".to_owned(),
    });
    charter.manager = sybil.public_key().to_base64();
    let proposal = Proposal::new(None, charter, SystemClock.now()).expect("a proposal");
    liar.consensus = decide(None, proposal.sign(&sybil)).expect("right by itself");
    let forged = ToPeer::Charter { documents: vec![liar.consensus.to_document()] };
    liar.gateway.send(&liar.rooms[0], &forged);
    let job = liar.job(&ask, 10);
    assert_eq!(liar.declined(0, &job).await, Decline::Charter);
    liar.consensus = known;

    // At every member's address there is somebody with another certificate: no link, so no share leaves.
    for room in &mut scene.rooms {
        // Links of before would do.
        room.node.restart();
    }
    for room in liar.rooms.clone() {
        liar.gateway.hello(&room).await;
    }
    let hub = LinkHub::bind(LinkConfig::new("127.0.0.1:0".parse().expect("an address"))).await.expect("a port");
    let _impostor = hub.host(Arc::new(sybil), Arc::new(Open)).expect("a host");
    let job = liar.job(&ask, 11);
    let members = job.members();
    let ready = liar.gateway.prepare(&members, &liar.consensus, &job).await;
    let ToPeer::Link { session, nonces, endpoints } = liar.gateway.link_message(&liar.consensus, &job, &ready) else {
        panic!("a link message")
    };
    let (address, dialled) = counted(hub.local_addr()).await;
    let endpoints = endpoints.iter().map(|_| address.to_string()).collect();
    let linked = liar.gateway.phase(&members, session, &ToPeer::Link { session, nonces, endpoints }).await;
    assert_eq!(linked.len(), members.len());
    for (room, report) in &linked {
        let Report::Unlinked { missing } = report else { panic!("{room}: {report:?}") };
        let missing: BTreeSet<_> = missing.iter().collect();
        let others: BTreeSet<_> = members.iter().filter(|member| *member != room).collect();
        assert_eq!(missing, others, "{room}");
    }
    // They did go there, one of every two: it was the certificate that they did not take.
    let pairs = members.len() * (members.len() - 1) / 2;
    assert!(dialled.load(Ordering::Relaxed) >= pairs, "{dialled:?} of {pairs}");

    // What is asked by the rules is computed: it was the lies that were refused.
    let honest = liar.ask(again(&first, 12));
    let job = liar.job(&honest, 12);
    let reports = liar.run(&job).await;
    assert!(reports.values().all(|report| matches!(report, Report::Done { contributors: 4, .. })), "{reports:?}");
}
