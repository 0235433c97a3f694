//! Peers with a data folder each, and their group.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tacit_accord::{Charter, Configuration, Consensus, Member, MemberRole, Proposal, SlotRules, decide};
use tacit_audit::{AuditLog, AuditSetup};
use tacit_job::{Job, Task, ToGateway, ToPeer};
use tacit_link::{LinkConfig, LinkHub};
use tacit_model::{Attempt, Fingerprint, GroupId, RunId, SessionId, Slot, SystemClock, UnixMillis};
use tacit_party::{
    HttpPoster, HttpRules, JoinRequest, Party, PartyLimits, PartySetup, Policy, Provider, RowText, register,
};
use tacit_pki::Identity;
use tacit_store::Store;
use tempfile::TempDir;
use time::OffsetDateTime;

use crate::gateway::ScriptedGateway;
use crate::receiver::Receiver;

pub(crate) const GROUP: GroupId = GroupId(1);
pub(crate) const RUN: RunId = RunId(1);

pub(crate) fn identity(label: &str) -> Arc<Identity> {
    Arc::new(Identity::generate(label, OffsetDateTime::UNIX_EPOCH).unwrap())
}

/// One node with one party.
pub(crate) struct Peer {
    pub(crate) name: String,
    pub(crate) role: MemberRole,
    pub(crate) identity: Arc<Identity>,
    pub(crate) folder: TempDir,
    pub(crate) policy: Policy,
    pub(crate) limits: PartyLimits,
    pub(crate) results_url: Option<String>,
    pub(crate) endpoint: String,
    pub(crate) provider: Option<Provider>,
    pub(crate) store: Option<Store>,
    pub(crate) log: Option<AuditLog>,
    pub(crate) party: Option<Party>,
}

impl Peer {
    pub(crate) fn new(name: &str, role: MemberRole) -> Self {
        let limits = PartyLimits {
            reconnect_first: Duration::from_millis(20),
            retry_first: Duration::from_millis(20),
            retry_max: Duration::from_millis(100),
            retry_refused: Duration::from_millis(300),
            ..PartyLimits::default()
        };
        Self {
            name: name.to_owned(),
            role,
            identity: identity(name),
            folder: TempDir::new().unwrap(),
            policy: Policy::default(),
            limits,
            results_url: None,
            endpoint: String::new(),
            provider: None,
            store: None,
            log: None,
            party: None,
        }
    }

    pub(crate) fn fingerprint(&self) -> Fingerprint {
        self.identity.fingerprint()
    }

    pub(crate) fn party(&self) -> &Party {
        self.party.as_ref().unwrap()
    }

    pub(crate) fn log(&self) -> &AuditLog {
        self.log.as_ref().unwrap()
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.folder.path().join("tacit.db")
    }

    /// Registers at a gateway whose HTTP edge is played by `edge`.
    pub(crate) async fn join(&mut self, edge: &Receiver, gateway: &ScriptedGateway, manager: &Identity) {
        let number = match self.role {
            MemberRole::Input => 1,
            MemberRole::Privacy => 2,
            MemberRole::Both => 3,
            MemberRole::Recipient => 4,
        };
        let reply = json!({
            "gid": "1", "lastStatus": "0", "peerName": self.name, "peerType": number, "publicKey": null, "url": "",
            "gateway": {
                "fingerprint": gateway.identity.fingerprint(),
                "endpoints": [gateway.address.to_string()],
                "manager_key": manager.public_key().to_base64(),
            },
        });
        edge.answers(move |_, _| (200, reply.to_string()));
        let request = JoinRequest {
            base_url: edge.url("/group-mgmt"),
            code: "TEST".into(),
            name: self.name.clone(),
            role: self.role,
            url: "http://localhost/p2ds-peer".to_owned(),
            operator: self.name.clone(),
            label_key: None,
            endpoint: self.endpoint.clone(),
            final_results_url: self.results_url.clone(),
            gateway: None,
            compared: true,
            key: None,
        };
        let store = Store::open(self.database().to_str().unwrap()).await.unwrap();
        register(&poster(), &store, &self.identity, request).await.unwrap();
        store.close().await;
    }

    pub(crate) async fn open(&mut self) {
        let hub = LinkHub::bind(LinkConfig::new("127.0.0.1:0".parse().unwrap())).await.unwrap();
        if self.role.computes() && self.endpoint.is_empty() {
            self.endpoint = hub.local_addr().to_string();
        }
        let store = Store::open(self.database().to_str().unwrap()).await.unwrap();
        let log = AuditLog::open(AuditSetup {
            store: store.clone(),
            node: Arc::clone(&self.identity),
            clock: Arc::new(SystemClock),
            software: "tacit 0".to_owned(),
            parameters: Vec::new(),
        })
        .await
        .unwrap();
        let setup = PartySetup {
            name: self.name.clone(),
            identity: Arc::clone(&self.identity),
            hub: Arc::new(hub),
            store: store.clone(),
            log: log.clone(),
            clock: Arc::new(SystemClock),
            policy: self.policy.clone(),
            http: poster(),
            limits: self.limits,
            finder: None,
            endpoint: String::new().into(),
            provider: self.provider.clone(),
            siblings: Default::default(),
        };
        self.party = Some(Party::open(setup).await.unwrap());
        self.store = Some(store);
        self.log = Some(log);
    }

    pub(crate) async fn close(&mut self) {
        if let Some(party) = self.party.take() {
            party.shutdown().await;
        }
        if let Some(store) = self.store.take() {
            store.close().await;
        }
    }

    pub(crate) fn member(&self) -> Member {
        Member {
            name: self.name.clone(),
            fingerprint: self.fingerprint(),
            operator: self.name.clone(),
            role: self.role,
            endpoint: self.endpoint.clone(),
        }
    }

    pub(crate) async fn rows(&self, rows: &[&str]) {
        let rows: Vec<RowText> = rows.iter().map(|row| RowText::from(*row)).collect();
        self.party().add_rows(&rows).await.unwrap();
    }
}

pub(crate) fn poster() -> HttpPoster {
    HttpPoster::new(HttpRules::default()).unwrap()
}

/// A group of real peers under a gateway played by the test.
pub(crate) struct World {
    pub(crate) gateway: ScriptedGateway,
    pub(crate) manager: Arc<Identity>,
    pub(crate) peers: Vec<Peer>,
    pub(crate) consensus: Consensus,
    sessions: u8,
}

impl World {
    /// Two input peers and three privacy peers, connected, under a first charter, taking part in run 1.
    pub(crate) async fn small() -> Self {
        Self::with(|_| {}, |_| {}).await
    }

    pub(crate) async fn with(change_peers: impl FnOnce(&mut Vec<Peer>), change: impl FnOnce(&mut Charter)) -> Self {
        let mut peers = vec![
            Peer::new("hanspeer", MemberRole::Input),
            Peer::new("peer:hans", MemberRole::Input),
            Peer::new("ppeer1", MemberRole::Privacy),
            Peer::new("ppeer2", MemberRole::Privacy),
            Peer::new("ppeer3", MemberRole::Privacy),
        ];
        change_peers(&mut peers);
        let manager = identity("manager");
        let edge = Receiver::start().await;
        let gateway = ScriptedGateway::start(identity("gateway")).await;
        for peer in &mut peers {
            peer.join(&edge, &gateway, &manager).await;
            peer.open().await;
        }
        let members = peers.iter().map(Peer::member).collect();
        let mut charter = charter(&manager, &gateway, members);
        change(&mut charter);
        let consensus = sign_first(charter, &manager);
        let mut world = Self { gateway, manager, peers, consensus, sessions: 0 };
        world.enrol_all().await;
        world
    }

    /// Everybody gets the charter and takes part in run 1.
    pub(crate) async fn enrol_all(&mut self) {
        for index in 0..self.peers.len() {
            self.enrol(index).await;
        }
    }

    pub(crate) async fn enrol(&mut self, index: usize) {
        let peer = self.peers[index].fingerprint();
        self.gateway.hello(&peer).await;
        self.gateway.charter(&peer, &self.consensus).await;
        self.start_run(index, RUN).await;
    }

    pub(crate) async fn start_run(&mut self, index: usize, run: RunId) {
        let peer = self.peers[index].fingerprint();
        self.gateway.send(&peer, &ToPeer::Start { group: GROUP, run, from: None });
        let is_rows = |m: &ToGateway| matches!(m, ToGateway::Rows { run: of, .. } if *of == run).then_some(());
        self.gateway.expect(&peer, is_rows).await;
    }

    pub(crate) fn job(&mut self, slot: i64) -> Job {
        self.sessions += 1;
        let session = SessionId([self.sessions; 16]);
        job(&self.consensus, session, slot)
    }

    pub(crate) async fn close(mut self) {
        for peer in &mut self.peers {
            peer.close().await;
        }
    }
}

pub(crate) fn job(consensus: &Consensus, session: SessionId, slot: i64) -> Job {
    let charter = consensus.charter();
    Job {
        session,
        group: GROUP,
        charter: consensus.id(),
        run: RUN,
        slot: Slot(slot),
        attempt: Attempt(0),
        task: Task::standing(charter).unwrap(),
        inputs: charter.inputs().map(|m| m.fingerprint).collect(),
        compute: charter.computing().map(|m| m.fingerprint).collect(),
        recipients: charter.recipients().map(|m| m.fingerprint).collect(),
    }
}

pub(crate) fn charter(manager: &Identity, gateway: &ScriptedGateway, members: Vec<Member>) -> Charter {
    Charter {
        gateways: vec![gateway.identity.fingerprint()],
        members,
        configuration: Some(Configuration {
            field: "9223372036854775783".to_owned(),
            max_element: "1000".to_owned(),
            aggregator: "additive".to_owned(),
            items: 2,
            time_slots: -1,
            result_buffer_size: 1,
            parameters: Default::default(),
        }),
        slots: SlotRules { deadline_ms: 10_000, ..SlotRules::default() },
        ..Charter::new(GROUP, "SimpleGroup", manager.public_key().to_base64())
    }
}

pub(crate) fn sign_first(charter: Charter, manager: &Identity) -> Consensus {
    decide(None, Proposal::new(None, charter, UnixMillis(0)).unwrap().sign(manager)).unwrap()
}

pub(crate) fn sign_next(before: &Consensus, charter: Charter, manager: &Identity) -> Consensus {
    decide(Some(before), Proposal::new(Some(before), charter, UnixMillis(1)).unwrap().sign(manager)).unwrap()
}
