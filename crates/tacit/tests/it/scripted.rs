//! Members played by the test, against a real gateway: they say what no honest peer would, at the moment that
//! the test wants.

use std::path::Path;
use std::process::Output;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tacit_accord::{ConsensusId, MemberRole};
use tacit_job::{Job, Report, Request, Response, ToGateway, ToPeer, Told};
use tacit_link::{ControlLink, Gate, Host, LinkConfig, LinkHub, Protocol};
use tacit_model::api::{Decimal, NewTask, StatisticBody, TaskResult};
use tacit_model::{Clock, Fingerprint, GroupId, SessionId, Slot, SystemClock};
use tacit_party::{HttpPoster, HttpRules, JoinRequest, register};
use tacit_pki::Identity;
use tacit_store::Store;
use time::OffsetDateTime;

use crate::harness::{Node, run};
use crate::wait::PATIENCE;

/// Talks to gateways and to nobody else.
struct ControlOnly;

impl Gate for ControlOnly {
    fn admit(&self, protocol: Protocol, _: &Fingerprint) -> bool {
        protocol == Protocol::Control
    }
}

/// A member, and its control link.
pub(crate) struct Member {
    pub(crate) me: Fingerprint,
    pub(crate) identity: Arc<Identity>,
    /// The gateway, and where it is.
    pub(crate) home: (Fingerprint, Vec<String>),
    pub(crate) link: ControlLink,
    _host: Host,
    _hub: LinkHub,
}

impl Member {
    /// Registers, is approved, connects, says hello and offers a series.
    pub(crate) async fn join(gateway: &Node, gid: i64, name: &str, role: MemberRole) -> Self {
        let now = OffsetDateTime::from_unix_timestamp(SystemClock.now().0 / 1000).expect("a moment");
        let identity = Arc::new(Identity::generate(name, now).expect("a key"));
        let me = identity.fingerprint();
        let code = gateway.api("POST", &format!("/groups/{gid}/codes"), None).json()["code"].clone();
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open(folder.path().join("db").to_str().expect("a path")).await.expect("a store");
        let joining = JoinRequest {
            base_url: format!("{}/p2ds-group-management/group-mgmt", gateway.url()),
            code: code.as_str().expect("a code").into(),
            name: name.to_owned(),
            role,
            url: "http://127.0.0.1:9/".to_owned(),
            operator: name.to_owned(),
            label_key: None,
            endpoint: "127.0.0.1:9".to_owned(),
            final_results_url: None,
            compared: true,
            key: None,
            gateway: None,
        };
        let poster = HttpPoster::new(HttpRules::default()).expect("a client");
        let joined = register(&poster, &store, &identity, joining).await.expect("registered");
        let verdict = json!({ "verified": true, "fingerprint": me });
        gateway.api("POST", &format!("/members/{name}/verify"), Some(&verdict)).ok();
        Self::connect(name, GroupId(gid), identity, (joined.gateway, joined.endpoints)).await
    }

    /// Connects, says hello and offers a series.
    pub(crate) async fn connect(
        name: &str,
        group: GroupId,
        identity: Arc<Identity>,
        home: (Fingerprint, Vec<String>),
    ) -> Self {
        let member = Self::arrive(name, group, identity, home).await;
        member.offer(group, &[], &["temperature"]);
        member
    }

    /// Connects and says hello.
    pub(crate) async fn arrive(
        name: &str,
        group: GroupId,
        identity: Arc<Identity>,
        home: (Fingerprint, Vec<String>),
    ) -> Self {
        let me = identity.fingerprint();
        let hub = LinkHub::bind(LinkConfig::new("127.0.0.1:0".parse().expect("an address"))).await.expect("a hub");
        let host = hub.host(Arc::clone(&identity), Arc::new(ControlOnly)).expect("hosted");
        let link = host.dial_control(home.0, &home.1, PATIENCE).await.expect("a link");
        let hello = ToGateway::Hello {
            name: name.to_owned(),
            group,
            software: "scripted".to_owned(),
            known: None,
            run: None,
            endpoint: None,
        };
        link.send(&hello).expect("sent");
        Self { me, identity, home, link, _host: host, _hub: hub }
    }

    /// Says what it offers to tasks.
    pub(crate) fn offer(&self, group: GroupId, labels: &[&str], sources: &[&str]) {
        let all = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let (labels, sources, services) = (all(labels), all(sources), Default::default());
        self.link.send(&ToGateway::Offer { group, labels, sources, services, sessions: Some(8) }).expect("sent");
    }

    /// Asks for itself.
    pub(crate) fn ask(&self, number: u64, new: &NewTask) {
        let request = Request::Ask { new: Box::new(new.clone()) };
        self.link.send(&ToGateway::Request { number, request }).expect("sent");
    }

    /// Why the next of its requests that is refused is.
    pub(crate) async fn refused(&mut self) -> String {
        let why =
            |m| if let ToPeer::Response { response: Response::Refused { why }, .. } = m { Some(why) } else { None };
        self.next(why).await
    }

    /// The next message that fits; others are dropped.
    pub(crate) async fn next<T>(&mut self, fits: impl Fn(ToPeer) -> Option<T>) -> T {
        let wait = async {
            loop {
                if let Some(found) = fits(self.link.recv::<ToPeer>().await.expect("a message")) {
                    return found;
                }
            }
        };
        tokio::time::timeout(PATIENCE, wait).await.expect("a message in time")
    }

    /// Waits until it is told that a run has begun, and gives rows for the slots before this one.
    pub(crate) async fn gives(&mut self, before: Slot) {
        let (group, run) =
            self.next(|m| if let ToPeer::Start { group, run, .. } = m { Some((group, run)) } else { None }).await;
        self.link.send(&ToGateway::Rows { group, run, upto: before }).expect("sent");
    }

    pub(crate) async fn asked(&mut self) -> Job {
        self.next(|m| if let ToPeer::Prepare { job, .. } = m { Some(*job) } else { None }).await
    }

    pub(crate) async fn prepared(&mut self) -> Job {
        let job = self.asked().await;
        self.report(job.session, Report::Prepared { nonce: "ab".repeat(32) });
        job
    }

    pub(crate) async fn linked(&mut self, of: SessionId, report: Report) {
        self.next(|m| matches!(m, ToPeer::Link { session, .. } if session == of).then_some(())).await;
        self.report(of, report);
    }

    pub(crate) async fn session(&mut self, of: SessionId, report: Report) {
        self.next(|m| matches!(m, ToPeer::Session { session } if session == of).then_some(())).await;
        self.report(of, report);
    }

    pub(crate) fn report(&self, session: SessionId, report: Report) {
        self.link.send(&ToGateway::Report { session, report }).expect("sent");
    }
}

pub(crate) struct Scene {
    pub(crate) gateway: Node,
    pub(crate) gid: i64,
    pub(crate) members: Vec<Member>,
}

pub(crate) const NAMES: [&str; 4] = ["alice", "bobby", "cyril", "dorothy"];

impl Scene {
    pub(crate) async fn found() -> Self {
        Self::found_with(NAMES.len()).await
    }

    /// A group of so many members.
    pub(crate) async fn found_with(count: usize) -> Self {
        let gateway = Node::with("gateway", &["--roles", "manager"]);
        let gid = gateway.api("POST", "/groups", Some(&json!({ "name": "g" }))).json()["gid"].as_i64().expect("one");
        let mut members = Vec::new();
        for name in &NAMES[..count] {
            members.push(Member::join(&gateway, gid, name, MemberRole::Both).await);
        }
        let scene = Self { gateway, gid, members };
        scene.offering(count).await;
        scene
    }

    /// Waits until so many members are there with their offers.
    pub(crate) async fn offering(&self, count: usize) {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let offers = self.gateway.offers(self.gid);
            let all = offers.as_array().expect("a list");
            if all.len() == count && all.iter().all(|offer| offer["sources"] != json!([])) {
                return;
            }
            assert!(tokio::time::Instant::now() < deadline, "{offers}");
            // The links of the members live on this thread.
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The consensus in force.
    pub(crate) fn charter(&self) -> ConsensusId {
        let path = format!("/groups/{}", self.gid);
        let group = self.gateway.api("GET", &path, None).ok().json();
        group["consensus"].as_str().expect("an id").parse().expect("an id")
    }

    pub(crate) fn hand_in(&self) -> String {
        self.hand_in_for("semi-honest")
    }

    pub(crate) fn hand_in_for(&self, model: &str) -> String {
        self.hand_in_telling(model, &[])
    }

    /// A task whose result these members learn; all, if there are none.
    pub(crate) fn hand_in_telling(&self, model: &str, recipients: &[Fingerprint]) -> String {
        let task = json!({
            "group": self.gid, "purpose": "HVAC", "sources": ["temperature"], "aggregator": "mean", "decimals": 2,
            "least": "0", "most": "50", "preselector": "now", "tell_gateway": true,
            "model": model, "recipients": recipients,
        });
        let taken = self.gateway.api("POST", "/tasks", Some(&json!({ "task": task, "wait": false }))).ok().json();
        taken["id"].as_str().expect("an id").to_owned()
    }

    pub(crate) async fn ended(&self, id: &str) -> Value {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let body = self.gateway.api("GET", &format!("/tasks/{id}"), None).ok().json();
            if body["state"] != "open" {
                return body;
            }
            assert!(tokio::time::Instant::now() < deadline, "{body}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

pub(crate) fn done(agreement: &str, value: f64) -> Report {
    let statistics = vec![StatisticBody { name: "mean(temperature)".to_owned(), value }];
    let result = TaskResult {
        id: String::new(),
        window: Slot(0),
        statistics,
        no_result: None,
        values: vec![Decimal::from(1u64)],
        contributors: 4,
    };
    let told = Some(Told::Open(Box::new(result)));
    Report::Done {
        agreement: Some(agreement.repeat(32)),
        contributors: 4,
        faults: Vec::new(),
        left_out: Vec::new(),
        told,
        session: None,
    }
}

/// All members get to the session, and the third reports something else than the rest.
pub(crate) async fn third_says(scene: &mut Scene, report: Report) {
    each_says(scene, |number| if number == 2 { report.clone() } else { done("aa", 20.0) }).await;
}

/// All members get to the session and report.
pub(crate) async fn each_says(scene: &mut Scene, report: impl Fn(usize) -> Report) {
    each_says_of(scene, |number, _| report(number)).await;
}

/// The same, by what the job is.
pub(crate) async fn each_says_of(scene: &mut Scene, report: impl Fn(usize, &Job) -> Report) {
    let job = scene.members[0].prepared().await;
    let session = job.session;
    for member in &mut scene.members[1..] {
        assert_eq!(member.prepared().await.session, session);
    }
    for member in &mut scene.members {
        member.linked(session, Report::Linked).await;
    }
    for (number, member) in scene.members.iter_mut().enumerate() {
        member.session(session, report(number, &job)).await;
    }
}

/// A question, but for the group and who learns the answer.
pub(crate) const ASKED: &str = "--source temperature --preselector now --aggregator mean --purpose HVAC --decimals 2 --least 0 --most 50 \
                     --no-wait --json";

/// What a client with this result key says at the gateway's machine.
pub(crate) fn with_key(file: &Path, data: &Path) -> impl Fn(&str) -> Output + use<> {
    let [file, data] = [file, data].map(|path| path.to_str().expect("a path").to_owned());
    move |args| {
        let args: Vec<&str> = args.split_whitespace().collect();
        run(&[&args[..], &["--result-key", &file, "--data", &data]].concat())
    }
}
