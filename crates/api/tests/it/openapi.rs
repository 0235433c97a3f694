use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Value, json};
use tacit_model::api::*;
use tacit_model::problem::{Problem, ProblemKind};
use tacit_model::{Fingerprint, GroupId, RunId, Slot};

use crate::world::world;

fn document() -> Value {
    serde_json::from_str(&tacit_api::openapi_document()).unwrap()
}

/// Run with `TACIT_WRITE_OPENAPI=1` to bring the file up to date.
#[test]
fn the_file_in_the_repository_is_the_document_that_is_served() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/openapi.json");
    if std::env::var_os("TACIT_WRITE_OPENAPI").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, tacit_api::openapi_document()).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap();
    assert!(kept == tacit_api::openapi_document(), "docs/openapi.json is out of date: see the comment of this test");
}

#[tokio::test]
async fn every_documented_operation_is_served_and_guarded_as_it_says() {
    let w = world().await;
    assert_eq!(w.get("/openapi.json").send().await.text, tacit_api::openapi_document());
    let document = document();
    for (path, operations) in document["paths"].as_object().unwrap() {
        let filled = path
            .replace("{gid}", "1")
            .replace("{run}", "1")
            .replace("{name}", "n")
            .replace("{code}", "c")
            .replace("{id}", "i")
            .replace("{number}", "1");
        for (method, operation) in operations.as_object().unwrap() {
            let reply = w.ask(&method.to_uppercase(), &filled).send().await;
            let open = operation["security"].as_array().unwrap().is_empty();
            if open {
                assert!(![401, 405].contains(&reply.status.as_u16()), "{method} {path}: {}", reply.text);
            } else {
                reply.is_problem(401, "unauthenticated");
                assert!(["viewer", "operator", "owner"].contains(&operation["x-role"].as_str().unwrap()));
            }
        }
        // No method is served that is not documented.
        for method in ["GET", "POST", "PUT", "DELETE", "PATCH"] {
            if operations.get(method.to_lowercase()).is_none() {
                w.ask(method, &filled).send().await.is_problem(405, "method-not-allowed");
            }
        }
    }
}

#[test]
fn every_reference_leads_somewhere() {
    let document = document();
    let mut references = BTreeSet::new();
    fn collect(value: &Value, into: &mut BTreeSet<String>) {
        match value {
            Value::Object(fields) => {
                if let Some(Value::String(reference)) = fields.get("$ref") {
                    into.insert(reference.clone());
                }
                fields.values().for_each(|value| collect(value, into));
            }
            Value::Array(items) => items.iter().for_each(|value| collect(value, into)),
            _ => {}
        }
    }
    collect(&document, &mut references);
    for reference in &references {
        assert!(document.pointer(reference.trim_start_matches('#')).is_some(), "{reference}");
    }
    for name in document["components"]["schemas"].as_object().unwrap().keys() {
        assert!(references.contains(&format!("#/components/schemas/{name}")), "{name} is not used");
    }
}

/// Every type has exactly the fields that its schema names.
#[test]
fn schemas_and_types_agree() {
    let schemas = document()["components"]["schemas"].clone();
    let mut seen = BTreeSet::new();
    let mut same = |name: &str, value: Value| {
        seen.insert(name.to_owned());
        let of_type: BTreeSet<&String> = value.as_object().unwrap().keys().collect();
        let of_schema: BTreeSet<&String> = schemas[name]["properties"].as_object().unwrap().keys().collect();
        assert_eq!(of_type, of_schema, "{name}");
    };
    let fingerprint = Fingerprint([7; 32]);
    let text = String::new;
    let member = MemberBody {
        gid: GroupId(1),
        pid: 1,
        name: text(),
        role: PeerRole::Both,
        url: text(),
        operator: text(),
        label_key: None,
        fingerprint: None,
        status: Standing::Mixed,
        comparison_code: None,
        verified: true,
        pairing: PairingState::Registered,
        connected: true,
    };
    let configuration = ConfigurationBody {
        field: Decimal(1),
        max_element: Decimal(1),
        aggregator: text(),
        items: 1,
        time_slots: 1,
        result_buffer_size: 1,
        parameters: [(text(), text())].into(),
    };
    let slots =
        SlotRulesBody { on_missing_input: OnMissing::Fail, deadline_ms: 1, slot_ms: 0, first_slot: Some(text()) };
    let forecast = ForecastBody {
        compute_peers: 3,
        rounds: 1,
        input_bytes: 1,
        compute_bytes: 1,
        micros: 1,
        losses_before: 0,
        losses: 0,
        cheaters_noticed: 0,
        cheaters_survived: 0,
        colluding: 1,
        notes: vec![],
    };
    let group = GroupBody {
        gid: GroupId(1),
        name: text(),
        status: Standing::Unknown,
        consensus: text(),
        threshold: 1,
        sharing: SharingKind::Shamir,
        owners: vec![],
        test_mode: false,
        configuration: Some(configuration.clone()),
        slots: slots.clone(),
        members: vec![member.clone()],
        codes: Some(vec![]),
        forecast: Some(forecast.clone()),
        no_forecast: Some(text()),
    };
    let run = RunBody { run: RunId(1), state: text(), reason: text(), next_slot: Slot(0) };
    let slot = SlotBody { slot: Slot(0), attempt: 0, state: text(), detail: text(), contributors: None };
    let trouble = TroubleBody { at: text(), what: text() };
    let peer = PeerBody {
        name: text(),
        role: PeerRole::Input,
        gid: None,
        fingerprint: None,
        gateway_url: text(),
        gateway_fingerprint: None,
        comparison_code: None,
        gateway_compared: true,
        final_results_url: None,
        label_key: None,
        pairing: PairingState::Waiting,
        status: Standing::Running,
        connected: false,
        run: None,
        queued: 0,
        last_error: None,
        last_error_at: Some(text()),
        earlier_errors: vec![trouble.clone()],
    };
    let statistic = StatisticBody { name: text(), value: 0.5 };
    let result = ResultBody {
        run: RunId(1),
        slot: Slot(0),
        values: vec![],
        statistics: vec![statistic.clone()],
        no_result: Some(text()),
        contributors: 1,
        at: text(),
        task: Some(text()),
    };
    let roster_member =
        RosterMember { name: text(), fingerprint, operator: text(), role: PeerRole::Both, endpoint: text() };
    let row = RowBody { slot_start: Some(text()), values: vec![] };
    let received = ReceivedRow { id: 1, from: text(), when: text(), data: text() };
    let token = TokenBody {
        id: text(),
        role: text(),
        label: text(),
        certificate: true,
        tasks: Some(TaskScope::default()),
        created: text(),
        revoked: None,
    };
    let line = LogLine { seq: 1, body: text(), hash: text() };
    let pin = GatewayPin { fingerprint, endpoints: vec![], manager_key: text() };
    let info =
        PeerInfo { gid: GroupId(1), last_status: 0, peer_name: text(), peer_type: 1, public_key: None, url: text() };
    let join = JoinBody {
        name: text(),
        role: PeerRole::Input,
        gateway_url: text(),
        gateway_fingerprint: None,
        registration_code: text(),
        operator: None,
        final_results_url: None,
        label_key: None,
        key: None,
    };
    let node = NodeBody {
        name: text(),
        software: text(),
        fingerprint,
        roles: vec![],
        link_address: None,
        public_url: text(),
        now: text(),
    };
    let roster = RosterBody { consensus: None, document: None, threshold: None, members: vec![], last_job: None };

    same("NewGroup", json!(NewGroup { name: text(), sharing: SharingKind::Shamir }));
    same("GroupBody", json!(group));
    same("ForecastBody", json!(forecast));
    same("GroupList", json!(GroupList { groups: vec![] }));
    same("ConfigurationBody", json!(configuration));
    same("SlotRulesBody", json!(slots));
    same("MemberBody", json!(member));
    same("MemberList", json!(MemberList { members: vec![] }));
    same("VerifyBody", json!(VerifyBody { verified: true, fingerprint: None }));
    let compared = ComparedMember { name: text(), fingerprint: Fingerprint([1; 32]) };
    same("ComparedMember", json!(compared));
    same("VerifyManyBody", json!(VerifyManyBody { members: vec![compared] }));
    let decision = PairingDecision::Approve;
    same("PairingBody", json!(PairingBody { decision, fingerprint: None, comparison_code: None, reason: text() }));
    same("CodeBody", json!(CodeBody { gid: GroupId(1), code: text() }));
    same("ConsensusBody", json!(ConsensusBody { documents: vec![], next: Some(1) }));
    let now = tacit_model::UnixMillis(0);
    let contribution = ContributionBody {
        number: 1,
        at: now,
        signer: text(),
        text: text(),
        accepts: true,
        live: true,
        turn: 1,
        signature: text(),
    };
    let negotiation = NegotiationBody {
        contributions: vec![contribution.clone()],
        turns: [(text(), 1)].into(),
        cut: true,
        ..NegotiationBody::new("n", "k", now, now)
    };
    let open = OpenNegotiation {
        opener: text(),
        gateway: fingerprint,
        title: text(),
        group: None,
        expires: now,
        invited: vec![],
        nonce: text(),
        signature: text(),
    };
    let act = NegotiationAct {
        text: Some(text()),
        invitation: Some(text()),
        key: Some(text()),
        decision: Some(text()),
        ..NegotiationAct::default()
    };
    let party = RegistryEntry {
        name: text(),
        fingerprint,
        operator: text(),
        role: PeerRole::Both,
        layer: 2,
        endpoint: text(),
        admitted_by: text(),
    };
    let candidate =
        CandidateBody { name: text(), fingerprint: None, operator: text(), role: PeerRole::Both, endpoint: text() };
    let registry = RegistryBody {
        gid: GroupId(1),
        gateway: fingerprint,
        manager_key: text(),
        consensus: text(),
        owners: vec![],
        joint_id: None,
        parties: vec![party.clone()],
        candidates: vec![candidate.clone()],
        documents: vec![],
    };
    same("ContributionBody", json!(contribution));
    same("ContributionList", json!(ContributionList { contributions: vec![] }));
    same("NegotiationBody", json!(negotiation));
    same("NegotiationList", json!(NegotiationList { negotiations: vec![] }));
    same("OpenNegotiation", json!(open));
    same("NegotiationAct", json!(act));
    same("HistoryRequest", json!(HistoryRequest { signer: text(), at: now, signature: text() }));
    same("ManagerAccept", json!(ManagerAccept { contribution: 1 }));
    same("RegistryBody", json!(registry));
    same("RegistryEntry", json!(party));
    same("CandidateBody", json!(candidate));
    same("RegisterBody", json!(RegisterBody::default()));
    same("RegisterReceipt", json!(RegisterReceipt { peer: info, gateway: Some(pin.clone()) }));
    same("GatewayPin", json!(pin));
    same("StartedBody", json!(StartedBody { started: 1 }));
    same("RunBody", json!(run));
    same("RunList", json!(RunList { runs: vec![] }));
    same("SlotBody", json!(slot));
    same("SlotList", json!(SlotList { slots: vec![] }));
    same("JoinBody", json!(join));
    same("PeerBody", json!(peer));
    same("TroubleBody", json!(trouble));
    same("PeerList", json!(PeerList { peers: vec![] }));
    same("RowsBody", json!(RowsBody { rows: vec![] }));
    same("RowBody", json!(row));
    same("RowsReceipt", json!(RowsReceipt { accepted: 1, next_slot: None }));
    same("ResultBody", json!(result));
    same("StatisticBody", json!(statistic));
    same("ResultList", json!(ResultList { results: vec![], more: false }));
    same("RosterBody", json!(roster));
    same("RosterMember", json!(roster_member));
    same("NodeBody", json!(node));
    same("LogLine", json!(line));
    let (checkpoint, root, key) = (text(), text(), text());
    same("LogHead", json!(LogHead { checkpoint, size: 1, root, key }));
    same("LogProof", json!(LogProof { size: 1, proof: vec![text()] }));
    let witness = WitnessBody { log: Fingerprint([1; 32]), checkpoint: None, disputed: Some(text()) };
    same("WitnessBody", json!(witness));
    same("SettleBody", json!(SettleBody { accept: text(), reason: text() }));
    let (group, run, slot) = (GroupId(1), RunId(1), Slot(0));
    same("ReceiptLine", json!(ReceiptLine { session: text(), group, run, slot, at: text() }));
    same("ReceiptList", json!(ReceiptList { receipts: vec![] }));
    same("ReceiptBody", json!(ReceiptBody { receipt: text(), contribution: Some(text()) }));
    let accused = vec![Fingerprint([1; 32])];
    same("EvidenceLine", json!(EvidenceLine { session: text(), group, run, slot, accused, at: text() }));
    same("EvidenceList", json!(EvidenceList { evidence: vec![] }));
    same("EvidenceBody", json!(EvidenceBody { evidence: text() }));
    same("LogPage", json!(LogPage { entries: vec![], next: None }));
    same(
        "NewCertificate",
        json!(NewCertificate { fingerprint, role: Role::Viewer, label: text(), tasks: Some(TaskScope::default()) }),
    );
    same("NewToken", json!(NewToken { role: Role::Viewer, label: text(), tasks: Some(TaskScope::default()) }));
    same("IssuedToken", json!(IssuedToken { id: text(), role: Role::Viewer, token: text() }));
    same("TokenBody", json!(token));
    same("TokenList", json!(TokenList { tokens: vec![] }));
    let request: TaskRequest = serde_json::from_value(
        json!({ "group": 1, "purpose": "p", "sources": ["s"], "aggregator": "mean", "result_key": "", "approval_s": 1, "align_s": 60, "repeat": { "every_s": 1, "times": 1 }, "branches": 2 }),
    )
    .unwrap();
    let signature = TaskSignature { key: text(), signature: text() };
    let parent = ParentTask {
        task: request.clone(),
        client: Some(signature.clone()),
        ticket: signature.clone(),
        charter: text(),
        window: Slot(0),
    };
    let request = TaskRequest { parent: Some(Box::new(parent.clone())), ..request };
    let result = TaskResult {
        id: text(),
        window: Slot(0),
        statistics: vec![],
        no_result: Some(text()),
        values: vec![],
        contributors: 0,
    };
    let window = TaskWindow {
        result: Some(result.clone()),
        sealed: vec![text()],
        timing: Some(TaskTiming::default()),
        ..TaskWindow::new(Slot(0), "done")
    };
    let new = NewTask { task: request.clone(), signature: Some(signature.clone()), notify: Some(text()), wait: true };
    let body =
        TaskBody { id: text(), task: request.clone(), state: text(), detail: text(), created: text(), windows: vec![] };
    let sample = SampleBody { at: Some(text()), values: Default::default() };
    let offer = MemberOfferBody { name: Some(text()), fingerprint: Some(fingerprint), labels: vec![], sources: vec![] };
    same("TaskTiming", json!(TaskTiming::default()));
    same("PingBody", json!(PingBody { members: 1, messages: 1, elapsed_us: 1, silent: vec![text()] }));
    same("TaskRequest", json!(request));
    same("ParentTask", json!(parent));
    same("TaskRepeat", json!(TaskRepeat { every_s: 1, times: 1 }));
    same("TaskSignature", json!(signature));
    same("NewTask", json!(new));
    same("TaskBody", json!(body));
    same("TaskWindow", json!(window));
    same("TaskResult", json!(result));
    same("TaskList", json!(TaskList { tasks: vec![] }));
    same("TaskScope", json!(TaskScope::default()));
    same("SamplesBody", json!(SamplesBody { samples: vec![] }));
    same("SampleBody", json!(sample));
    same("SamplesReceipt", json!(SamplesReceipt { accepted: 1 }));
    same("OfferBody", json!(OfferBody::default()));
    same("LabelsBody", json!(LabelsBody { labels: vec![] }));
    same("MemberOfferBody", json!(offer));
    let client = Some(fingerprint);
    let signatures = JobSignatures { client: Some(signature.clone()), gateway: signature.clone(), hold: true };
    let window = JobWindow { from: text(), to: Some(text()) };
    let participant = JobParticipant {
        fingerprint,
        name: Some(text()),
        operator: Some(text()),
        gives: true,
        computes: true,
        learns: true,
    };
    let job = JobBody {
        number: 1,
        state: JobState::Done,
        detail: text(),
        asked: text(),
        ended: Some(text()),
        gateway: fingerprint,
        group: GroupId(1),
        consensus: text(),
        session: text(),
        run: RunId(1),
        slot: Slot(0),
        attempt: tacit_model::Attempt(0),
        task: Some(text()),
        client,
        request: Some(Box::new(request.clone())),
        signatures: Some(signatures.clone()),
        purpose: text(),
        sources: vec![],
        window: Some(window.clone()),
        aggregator: text(),
        parameters: Default::default(),
        model: text(),
        threshold: Some(1),
        participants: vec![],
        participants_left_out: 1,
        opened: text(),
        told: text(),
    };
    same("JobBody", json!(job));
    same("JobSignatures", json!(signatures));
    same("JobWindow", json!(window));
    same("JobParticipant", json!(participant));
    same("JobList", json!(JobList { jobs: vec![] }));
    let approval = ApprovalBody {
        task: text(),
        state: text(),
        request: request.clone(),
        client,
        asked: text(),
        decided: Some(text()),
    };
    let compare: CompareRequest = serde_json::from_value(json!({ "source": "s", "purpose": "p" })).unwrap();
    let entry = DirectoryEntry {
        name: text(),
        fingerprint,
        role: PeerRole::Both,
        operator: text(),
        available: true,
        since: Some(text()),
        endpoint: text(),
        labels: vec![],
        sources: vec![],
        services: vec![],
        sessions: 1,
    };
    same("DirectoryEntry", json!(entry));
    same("DirectoryList", json!(DirectoryList { members: vec![] }));
    same("PeerPolicy", json!(PeerPolicy::default()));
    let spent = SpentBody { source: text(), epsilon: text(), delta: text(), results: 1 };
    same("SpentBody", json!(spent));
    same("PolicyBody", json!(PolicyBody { own: true, policy: PeerPolicy::default(), spent: vec![spent.clone()] }));
    same("ApprovalBody", json!(approval));
    same("ApprovalList", json!(ApprovalList { approvals: vec![] }));
    same("ApprovalDecision", json!(ApprovalDecision { approved: true }));
    same("CompareRequest", json!(compare));
    same("CompareBody", json!(CompareBody { task: text(), average: 1.0, own: Some(text()), contributors: 1 }));
    same("OfferList", json!(OfferList { offers: vec![] }));
    same("ReceivedBody", json!(ReceivedBody { data: vec![], peer_name: None }));
    same("ReceivedRow", json!(received));
    same("ReceivedList", json!(ReceivedList { rows: vec![] }));
    same("Problem", json!(Problem::new(ProblemKind::Invalid, "")));
    let with_fields = schemas.as_object().unwrap().iter().filter(|(_, schema)| schema.get("properties").is_some());
    for (name, _) in with_fields {
        assert!(seen.contains(name), "{name} is not compared with its type");
    }
}
