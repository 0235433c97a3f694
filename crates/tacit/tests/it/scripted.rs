//! Members played by the test, against a real gateway: they say what no honest peer would, at the moment that
//! the test wants.

use std::path::Path;
use std::process::Output;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tacit_accord::{ConsensusId, MemberRole};
use tacit_job::{Decline, Fault, Job, Report, ToGateway, ToPeer, Told, seal_result};
use tacit_link::{ControlLink, Gate, Host, LinkConfig, LinkHub, Protocol};
use tacit_model::api::{Decimal, StatisticBody, TaskResult};
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
    link: ControlLink,
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
        let sources = ["temperature".to_owned()].into();
        let (labels, services) = Default::default();
        link.send(&ToGateway::Offer { group, labels, sources, services, sessions: Some(8) }).expect("sent");
        Self { me, identity, home, link, _host: host, _hub: hub }
    }

    /// The next message that fits; others are dropped.
    async fn next<T>(&mut self, fits: impl Fn(ToPeer) -> Option<T>) -> T {
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

const NAMES: [&str; 4] = ["alice", "bobby", "cyril", "dorothy"];

impl Scene {
    pub(crate) async fn found() -> Self {
        let gateway = Node::with("gateway", &["--roles", "manager"]);
        let gid = gateway.api("POST", "/groups", Some(&json!({ "name": "g" }))).json()["gid"].as_i64().expect("one");
        let mut members = Vec::new();
        for name in NAMES {
            members.push(Member::join(&gateway, gid, name, MemberRole::Both).await);
        }
        let scene = Self { gateway, gid, members };
        scene.offering(NAMES.len()).await;
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

    fn hand_in_for(&self, model: &str) -> String {
        self.hand_in_telling(model, &[])
    }

    /// A task whose result these members learn; all, if there are none.
    fn hand_in_telling(&self, model: &str, recipients: &[Fingerprint]) -> String {
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
async fn third_says(scene: &mut Scene, report: Report) {
    each_says(scene, |number| if number == 2 { report.clone() } else { done("aa", 20.0) }).await;
}

/// All members get to the session and report.
async fn each_says(scene: &mut Scene, report: impl Fn(usize) -> Report) {
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

/// One member reports another result than the rest: the client gets an error and no number, and the operator's
/// log names who differs.
#[tokio::test]
async fn f21_a_result_that_differs_is_an_error_and_its_member_is_named() {
    let mut scene = Scene::found().await;
    let id = scene.hand_in();
    third_says(&mut scene, done("bb", 99.0)).await;
    let body = scene.ended(&id).await;
    assert_eq!(body["state"], "failed", "{body}");
    let window = &body["windows"][0];
    assert!(window.get("result").is_none() && window.get("sealed").is_none(), "{body}");
    assert!(NAMES.iter().all(|name| !body.to_string().contains(name)), "the client hears no names: {body}");
    let log = scene.gateway.log();
    assert!(log.contains("the results disagree: cyril differs"), "{log}");
}

/// In the model `guaranteed` one lying recipient of four voids nothing, neither by another result nor by doubts: the client
/// has the result of the others, nothing of the liar, and the operator reads who said otherwise.
#[tokio::test]
async fn rule5_a_lying_recipient_voids_no_guaranteed_result() {
    let mut scene = Scene::found().await;
    let lies = [
        (done("bb", 99.0), "the result of cyril differs"),
        (Report::Failed { fault: Fault::Shares, frozen: true }, "cyril reports: "),
    ];
    for (lie, says) in lies {
        let id = scene.hand_in_for("guaranteed");
        third_says(&mut scene, lie).await;
        let body = scene.ended(&id).await;
        assert_eq!(body["state"], "done", "{body}");
        assert_eq!(body["windows"][0]["result"]["statistics"][0]["value"], 20.0, "{body}");
        assert!(!body.to_string().contains("99.0"), "{body}");
        let log = scene.gateway.log();
        assert!(log.contains(says), "{log}");
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

/// Recipients agreed, and one of them seals another result for the client. Where 2t+1 told, the client has the result that t+1
/// operators signed, and reads who lied; with fewer words it has none, and reads whose they are.
#[tokio::test]
async fn rule11_a_client_takes_what_enough_recipients_sealed_and_reads_who_lied() {
    let mut scene = Scene::found().await;
    let folder = tempfile::tempdir().expect("a folder");
    let command = with_key(&folder.path().join("result.key"), &scene.gateway.data());
    let gid = scene.gid;
    // The gateway could seal as well as any recipient, and sign with any key but a member's.
    let made_up = Arc::new(Identity::generate("gateway", OffsetDateTime::UNIX_EPOCH).expect("a key"));
    let cases = [
        ([Some(20.0), Some(20.0), Some(99.0)], false),
        ([Some(20.0), None, Some(99.0)], false),
        ([Some(99.0), Some(99.0), None], true),
        ([None, None, Some(99.0)], false),
    ];
    for (words, invented) in cases {
        let output = command(&format!("task run --group {gid} {ASKED} --model malicious"));
        let taken: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
        let (id, key) = (taken["id"].as_str().expect("an id"), taken["task"]["result_key"].as_str().expect("a key"));
        let identities: Vec<_> = scene.members.iter().map(|member| Arc::clone(&member.identity)).collect();
        let under = scene.charter();
        let says = |number: usize| {
            let Report::Done { agreement, contributors, faults, left_out, told, session } = done("aa", 20.0) else {
                unreachable!()
            };
            let Some(Told::Open(result)) = told else { unreachable!() };
            let sealed = words.get(number).copied().flatten().map(|value| {
                let mut result = TaskResult { id: id.to_owned(), ..*result };
                result.statistics[0].value = value;
                let teller = if invented { &made_up } else { &identities[number] };
                Told::Sealed(seal_result(result, under, key, teller).expect("sealed"))
            });
            Report::Done { agreement, contributors, faults, left_out, told: sealed, session }
        };
        each_says(&mut scene, says).await;
        assert_eq!(scene.ended(id).await["state"], "done");
        let (told, read) = (command(&format!("task show {id} --json")), command(&format!("task show {id}")));
        let why = String::from_utf8_lossy(&read.stderr);
        if words[0] == Some(20.0) && words[1].is_some() {
            let body: Value = serde_json::from_slice(&told.stdout).unwrap_or_else(|_| panic!("{told:?}"));
            assert_eq!(body["results"][0]["statistics"][0]["value"], 20.0, "{body}");
            let liar = format!("cyril of cyril ({}) told another result", scene.members[2].me);
            let remark = body["remarks"][0].as_str().expect("a remark");
            assert!(remark.contains(&liar) && !remark.contains("alice"), "{remark}");
            assert!(String::from_utf8_lossy(&read.stdout).contains(&liar), "{read:?}");
        } else {
            assert_eq!((told.status.code(), read.status.code()), (Some(3), Some(3)), "{told:?}");
            let body: Value = serde_json::from_slice(&told.stdout).unwrap_or_else(|_| panic!("{told:?}"));
            assert_eq!((&body["results"], &body["refused"][0]["window"]), (&json!([]), &json!(0)), "{body}");
            let shown = String::from_utf8_lossy(&read.stdout);
            assert!(!shown.contains("mean(temperature)"), "no number is shown: {shown}");
            let expected = match (invented, words[0]) {
                (true, _) => "no recipient that the group's charter of then names has signed what was told",
                (_, Some(_)) => "more than 1 operators say: alice, against cyril",
                (_, None) => "cyril alone signed the result, and members of more than 1 operators must",
            };
            assert!(why.contains(expected), "{why}");
        }
    }
}

/// Who names one recipient believes that one: the result is its word, and says so. Another member's or the gateway's is not.
#[tokio::test]
async fn rule11_a_result_of_one_recipient_is_shown_as_its_word() {
    let mut scene = Scene::found().await;
    let folder = tempfile::tempdir().expect("a folder");
    let command = with_key(&folder.path().join("result.key"), &scene.gateway.data());
    let (gid, bobby) = (scene.gid, scene.members[1].me);
    for teller in [1, 0] {
        let output = command(&format!("task run --group {gid} {ASKED} --recipient {bobby}"));
        let taken: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
        let (id, key) = (taken["id"].as_str().expect("an id"), taken["task"]["result_key"].as_str().expect("a key"));
        let (under, identity) = (scene.charter(), Arc::clone(&scene.members[teller].identity));
        let says = |number: usize| {
            let mut report = done("aa", 20.0);
            let Report::Done { told, agreement, .. } = &mut report else { unreachable!() };
            *told = match told.take() {
                Some(Told::Open(result)) if number == 1 => {
                    let result = TaskResult { id: id.to_owned(), ..*result };
                    Some(Told::Sealed(seal_result(result, under, key, &identity).expect("sealed")))
                }
                _ => None,
            };
            // Only the recipient has a result to agree on.
            *agreement = agreement.take().filter(|_| number == 1);
            report
        };
        each_says(&mut scene, says).await;
        assert_eq!(scene.ended(id).await["state"], "done");
        let read = command(&format!("task show {id}"));
        let (shown, why) = (String::from_utf8_lossy(&read.stdout), String::from_utf8_lossy(&read.stderr));
        match teller {
            1 => {
                let word = format!("rests on the word of bobby of bobby ({bobby}) alone, who signed it");
                assert!(shown.contains(&word) && shown.contains("20"), "{read:?}");
            }
            _ => assert!(read.status.code() == Some(3) && why.contains("no recipient"), "{read:?}"),
        }
    }
}

/// A client keeps the manager key under which it saw a group first, and the last decision: what is shown later must go on
/// from there. Who names the key need not trust the first sight.
#[tokio::test]
async fn rule1_a_client_is_not_shown_another_group_in_the_place_of_its_own() {
    let scene = Scene::found().await;
    let folder = tempfile::tempdir().expect("a folder");
    let (key, groups) = (folder.path().join("hvac.key"), folder.path().join("hvac.key.groups"));
    let token = scene.gateway.data().join("keys").join("owner.token");
    let path = |path: &std::path::Path| path.to_str().expect("a path").to_owned();
    let command = |more: &str| {
        let (gid, node) = (scene.gid, scene.gateway.url());
        let typed = format!(
            "task run --group {gid} {ASKED} --node {node} --token-file {} --result-key {} {more}",
            path(&token),
            path(&key)
        );
        run(&typed.split_whitespace().collect::<Vec<_>>())
    };
    let asks = |more: &str| {
        let output = command(more);
        assert!(output.status.success(), "{output:?}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let refuses = |more: &str| {
        let output = command(more);
        assert_eq!((output.status.code(), output.stdout.len()), (Some(3), 0), "{output:?}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let first = asks("");
    assert!(first.contains("seen for the first time") && first.contains("hvac.key.groups"), "{first}");
    let kept: Value = serde_json::from_slice(&std::fs::read(&groups).expect("the file")).expect("JSON");
    let manager = kept[scene.gid.to_string()]["manager"].as_str().expect("a key").to_owned();
    let own = tacit_pki::PublicKey::from_base64(&manager).expect("a key");
    assert!(first.contains(&own.fingerprint().to_string()), "{first}");
    assert!(!asks("").contains("first time"));

    let foreign = Identity::generate("foreign", OffsetDateTime::UNIX_EPOCH).expect("a key");
    let write = |manager: &str, consensus: &str| {
        let known = json!({ scene.gid.to_string(): { "manager": manager, "consensus": consensus } });
        std::fs::write(&groups, known.to_string()).expect("written");
    };
    let last = kept[scene.gid.to_string()]["consensus"].as_str().expect("an id").to_owned();
    write(&foreign.public_key().to_base64(), &last);
    assert!(refuses("").contains("another manager key"), "as if the gateway had exchanged the group");
    write(&manager, &"ab".repeat(32));
    assert!(refuses("").contains("rewritten or cut"), "as if it kept a decision back");
    std::fs::remove_file(&groups).expect("removed");
    assert!(refuses(&format!("--manager-key {}", foreign.fingerprint())).contains("--manager-key"));
    assert!(!groups.exists(), "nothing is kept of it");
    assert!(!asks(&format!("--manager-key {}", own.fingerprint())).contains("first time"));
    assert!(!asks("").contains("first time"), "what was named is kept");
}

/// Those who compute refuse a set that makes a difference with an earlier one: none of them is blamed. Whoever is missing is
/// waited for; if nobody comes, the client reads what it can do, and the operator who is missing.
#[tokio::test]
async fn rule3_who_is_missing_is_waited_for_and_the_client_reads_what_it_can_do() {
    let mut scene = Scene::found().await;
    let until = SystemClock.now().plus(600_000);
    for comes_back in [true, false] {
        let Member { identity, home, me: missing, .. } = scene.members.pop().expect("the fourth");
        scene.offering(3).await;
        let id = scene.hand_in();
        for member in &mut scene.members {
            let session = member.asked().await.session;
            let why = Decline::Apart { missing: vec![missing], until };
            member.report(session, Report::Declined { why });
        }
        if comes_back {
            scene.members.push(Member::connect("dorothy", GroupId(scene.gid), identity, home).await);
            each_says(&mut scene, |_| done("aa", 20.0)).await;
            let body = scene.ended(&id).await;
            assert_eq!((&body["state"], &body["windows"][0]["contributors"]), (&json!("done"), &json!(4)), "{body}");
            continue;
        }
        let body = scene.ended(&id).await;
        assert_eq!(body["state"], "failed", "{body}");
        let detail = body["detail"].as_str().expect("a text");
        // The latest record may be 15 minutes old.
        let later = until.plus(15 * 60_000).to_rfc3339();
        for part in ["Ask again when all who gave then are there", &until.to_rfc3339(), &later] {
            assert!(detail.contains(part), "{part}: {detail}");
        }
        assert!(NAMES.iter().all(|name| !body.to_string().contains(name)), "the client hears no names: {body}");
        let log = scene.gateway.log();
        assert!(log.contains("dorothy gave to it and is not in this one"), "{log}");
    }
}

/// Two members found that the fourth's numbers are out of bounds: the client has its result, and the operator's log
/// names who cheated. What a single member says, who may lie, is quoted as its word.
#[tokio::test]
async fn p19_the_operator_reads_who_was_left_out_of_a_result_and_who_says_so() {
    let mut scene = Scene::found().await;
    let id = scene.hand_in();
    let mut session = SessionId([0; 16]);
    for member in &mut scene.members {
        session = member.prepared().await.session;
    }
    for member in &mut scene.members {
        member.linked(session, Report::Linked).await;
    }
    let who: Vec<_> = scene.members.iter().map(|member| member.me).collect();
    for (number, member) in scene.members.iter_mut().enumerate() {
        let mut report = done("aa", 20.0);
        let Report::Done { left_out, .. } = &mut report else { unreachable!() };
        match number {
            0 | 1 => left_out.push(Fault::OutOfBounds { members: vec![who[3]] }),
            3 => left_out.push(Fault::OutOfBounds { members: vec![who[2]] }),
            _ => {}
        }
        member.session(session, report).await;
    }
    let body = scene.ended(&id).await;
    assert_eq!(body["state"], "done", "{body}");
    assert!(NAMES.iter().all(|name| !body.to_string().contains(name)), "the client hears no names: {body}");
    let log = scene.gateway.log();
    let says = "dorothy says that numbers of cyril are out of bounds, which is left out; \
                numbers of dorothy are out of bounds, which is left out";
    assert!(log.contains(says), "{log}");
}

/// A member withdraws when links are made: it is left out, the others are prepared anew and finish. Whoever
/// says in the first phase that it cannot is left out, too. Each attempt is a session of its own.
#[tokio::test]
async fn f05_f18_a_member_that_withdraws_at_link_is_left_out_and_the_rest_finish() {
    let mut scene = Scene::found().await;
    let id = scene.hand_in();
    let first = scene.members[0].prepared().await;
    for member in &mut scene.members[1..] {
        member.prepared().await;
    }
    for (number, member) in scene.members.iter_mut().enumerate() {
        let report = if number == 3 { Report::Declined { why: Decline::Policy } } else { Report::Linked };
        member.linked(first.session, report).await;
    }
    let (rest, gone) = scene.members.split_at_mut(3);
    let mut second = None;
    for member in rest.iter_mut() {
        second = Some(member.prepared().await);
    }
    let second = second.expect("a job");
    assert_ne!(second.session, first.session);
    assert!(!second.members().contains(&gone[0].me) && second.members().len() == 3);
    // The one that withdrew is told that it is over, and asked nothing more.
    let of = first.session;
    gone[0].next(|m| matches!(m, ToPeer::Abort { session } if session == of).then_some(())).await;
    for member in rest.iter_mut() {
        member.linked(second.session, Report::Linked).await;
    }
    for member in rest.iter_mut() {
        member.session(second.session, done("aa", 20.0)).await;
    }
    let body = scene.ended(&id).await;
    assert_eq!(body["state"], "done", "{body}");
    assert_eq!(body["windows"][0]["result"]["statistics"][0]["value"], 20.0, "{body}");
}

/// Losses before the freeze are repaired without the lost member; what failed after it ends the task, whatever
/// class the failure has: nothing is opened twice.
#[tokio::test]
async fn f13_f19_failures_before_the_freeze_are_repaired_and_after_it_end_the_task() {
    let mut scene = Scene::found().await;
    let id = scene.hand_in();
    let first = scene.members[0].prepared().await.session;
    for member in &mut scene.members[1..] {
        member.prepared().await;
    }
    for member in &mut scene.members {
        member.linked(first, Report::Linked).await;
    }
    // Three say that the fourth was lost, which says nothing: its link goes.
    let gone = scene.members.pop().expect("the fourth");
    for member in &mut scene.members {
        let fault = Fault::Lost { members: vec![gone.me] };
        member.session(first, Report::Failed { fault, frozen: false }).await;
    }
    drop(gone);
    let mut second = first;
    for member in &mut scene.members {
        second = member.prepared().await.session;
    }
    assert_ne!(second, first);
    for member in &mut scene.members {
        member.linked(second, Report::Linked).await;
    }
    for member in &mut scene.members {
        member.session(second, Report::Failed { fault: Fault::FewShares, frozen: true }).await;
    }
    let body = scene.ended(&id).await;
    assert_eq!(body["state"], "failed", "{body}");
    assert!(body["windows"][0].get("result").is_none(), "{body}");
    // It ended for its members, too: they are free for the next one.
    let id = scene.hand_in();
    each_says(&mut scene, |_| done("aa", 20.0)).await;
    assert_eq!(scene.ended(&id).await["state"], "done");
}

/// The only recipient makes its result durable and is cut off before it says so: it is asked again when it is back, and the
/// client has its result.
#[tokio::test]
async fn f13_a_result_that_was_not_reported_is_told_when_its_recipient_is_back() {
    let mut scene = Scene::found().await;
    let id = scene.hand_in_telling("semi-honest", &[scene.members[0].me]);
    let session = scene.members[0].prepared().await.session;
    for member in &mut scene.members[1..] {
        member.prepared().await;
    }
    for member in &mut scene.members {
        member.linked(session, Report::Linked).await;
    }
    scene.members[0].next(|m| matches!(m, ToPeer::Session { .. }).then_some(())).await;
    let Member { identity, home, .. } = scene.members.remove(0);
    for member in &mut scene.members {
        let Report::Done { contributors, faults, left_out, .. } = done("aa", 20.0) else { unreachable!() };
        let gave = Report::Done { agreement: None, contributors, faults, left_out, told: None, session: None };
        member.session(session, gave).await;
    }
    let mut back = Member::connect("alice", GroupId(scene.gid), identity, home).await;
    let again = back.asked().await.session;
    assert_ne!(again, session);
    for member in &mut scene.members {
        assert_eq!(member.asked().await.session, again);
        member.report(again, Report::Declined { why: Decline::Frozen { done: None, session: None } });
    }
    back.report(again, done("aa", 20.0));
    let body = scene.ended(&id).await;
    assert_eq!(body["state"], "done", "{body}");
    assert_eq!(body["windows"][0]["result"]["statistics"][0]["value"], 20.0, "{body}");
}
