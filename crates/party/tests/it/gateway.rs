//! The gateway, played by the test: it sends what it likes.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tacit_accord::Consensus;
use tacit_job::{Job, Report, Request, Response, ToGateway, ToPeer, plan_of};
use tacit_link::{ControlSender, Gate, LinkConfig, LinkHub, Protocol};
use tacit_model::{Clock, Fingerprint, RunId, SessionId, SystemClock};
use tacit_pki::Identity;
use tokio::sync::mpsc;

pub(crate) struct ScriptedGateway {
    pub(crate) identity: Arc<Identity>,
    pub(crate) address: SocketAddr,
    senders: Arc<Mutex<HashMap<Fingerprint, ControlSender>>>,
    inbox: mpsc::UnboundedReceiver<(Fingerprint, ToGateway)>,
    /// Messages that were read and not yet asked for.
    waiting: Vec<(Fingerprint, ToGateway)>,
    /// All that was read, as it was said.
    heard: Arc<Mutex<Vec<String>>>,
    _hub: LinkHub,
}

/// Lets everybody in.
pub(crate) struct Open;

impl Gate for Open {
    fn admit(&self, _: Protocol, _: &Fingerprint) -> bool {
        true
    }
}

impl ScriptedGateway {
    pub(crate) async fn start(identity: Arc<Identity>) -> Self {
        Self::start_at(identity, Arc::new(SystemClock)).await
    }

    /// With a clock of its own.
    pub(crate) async fn start_at(identity: Arc<Identity>, clock: Arc<dyn Clock>) -> Self {
        Self::start_on(identity, clock, "127.0.0.1:0".parse().unwrap()).await
    }

    /// At an address of the test's choice.
    pub(crate) async fn start_on(identity: Arc<Identity>, clock: Arc<dyn Clock>, address: SocketAddr) -> Self {
        let mut config = LinkConfig::new(address);
        config.clock = clock;
        let hub = LinkHub::bind(config).await.unwrap();
        let host = hub.host(Arc::clone(&identity), Arc::new(Open)).unwrap();
        let mut links = host.control_links();
        let (sender, inbox) = mpsc::unbounded_channel();
        let senders: Arc<Mutex<HashMap<Fingerprint, ControlSender>>> = Arc::default();
        let table = Arc::clone(&senders);
        let heard: Arc<Mutex<Vec<String>>> = Arc::default();
        let hearing = Arc::clone(&heard);
        tokio::spawn(async move {
            while let Some(mut link) = links.recv().await {
                let (sender, table, hearing) = (sender.clone(), Arc::clone(&table), Arc::clone(&hearing));
                table.lock().unwrap().insert(link.peer(), link.sender());
                tokio::spawn(async move {
                    while let Ok(message) = link.recv::<ToGateway>().await {
                        hearing.lock().unwrap().push(serde_json::to_string(&message).unwrap());
                        if let ToGateway::Request { number, request } = &message {
                            let response = match request {
                                Request::Start => Response::Started { run: RunId(1), from: None },
                                _ => Response::Stopped,
                            };
                            link.send(&ToPeer::Response { number: *number, response }).unwrap();
                        }
                        if sender.send((link.peer(), message)).is_err() {
                            return;
                        }
                    }
                });
            }
        });
        Self { identity, address: hub.local_addr(), senders, inbox, waiting: Vec::new(), heard, _hub: hub }
    }

    /// All that peers have said so far.
    pub(crate) fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap().clone()
    }

    pub(crate) fn send(&self, peer: &Fingerprint, message: &ToPeer) {
        let sender = self.senders.lock().unwrap().get(peer).cloned().expect("connected");
        sender.send(message).unwrap();
    }

    /// The next message of this peer that fits; others are kept.
    pub(crate) async fn expect<T>(&mut self, peer: &Fingerprint, fits: impl Fn(&ToGateway) -> Option<T>) -> T {
        let mut looked = 0;
        loop {
            while looked < self.waiting.len() {
                let (from, message) = &self.waiting[looked];
                if from == peer
                    && let Some(found) = fits(message)
                {
                    self.waiting.remove(looked);
                    return found;
                }
                looked += 1;
            }
            let next = tokio::time::timeout(Duration::from_secs(20), self.inbox.recv()).await;
            self.waiting.push(next.expect("a message in time").expect("the gateway lives"));
        }
    }

    pub(crate) async fn hello(&mut self, peer: &Fingerprint) -> ToGateway {
        self.expect(peer, |m| matches!(m, ToGateway::Hello { .. }).then(|| m.clone())).await
    }

    pub(crate) async fn report(&mut self, peer: &Fingerprint, of: SessionId) -> Report {
        let fits = |m: &ToGateway| match m {
            ToGateway::Report { session, report } if *session == of => Some(report.clone()),
            _ => None,
        };
        self.expect(peer, fits).await
    }

    pub(crate) async fn charter(&mut self, peer: &Fingerprint, consensus: &Consensus) {
        self.send(peer, &ToPeer::Charter { documents: vec![consensus.to_document()] });
        let id = consensus.id();
        self.expect(peer, |m| matches!(m, ToGateway::Accepted { known, .. } if *known == id).then_some(())).await;
    }

    /// Prepare at these peers, with the right plan.
    pub(crate) async fn prepare(
        &mut self,
        peers: &[Fingerprint],
        consensus: &Consensus,
        job: &Job,
    ) -> BTreeMap<Fingerprint, Report> {
        let plan = hex::encode(plan_of(consensus, job).unwrap().digest().0);
        self.phase(peers, job.session, &ToPeer::Prepare { job: Box::new(job.clone()), plan }).await
    }

    pub(crate) async fn phase(
        &mut self,
        peers: &[Fingerprint],
        session: SessionId,
        message: &ToPeer,
    ) -> BTreeMap<Fingerprint, Report> {
        peers.iter().for_each(|peer| self.send(peer, message));
        let mut reports = BTreeMap::new();
        for peer in peers {
            reports.insert(*peer, self.report(peer, session).await);
        }
        reports
    }

    /// All members that are prepared make their links.
    pub(crate) async fn link(&mut self, consensus: &Consensus, job: &Job, prepared: &BTreeMap<Fingerprint, Report>) {
        let link = self.link_message(consensus, job, prepared);
        let linked = self.phase(&job.members(), job.session, &link).await;
        assert!(linked.values().all(|report| *report == Report::Linked), "{linked:?}");
    }

    pub(crate) fn link_message(
        &self,
        consensus: &Consensus,
        job: &Job,
        prepared: &BTreeMap<Fingerprint, Report>,
    ) -> ToPeer {
        let endpoint = |m: &Fingerprint| consensus.charter().member(m).unwrap().endpoint.clone();
        let endpoints = job.members().iter().map(endpoint).collect();
        ToPeer::Link { session: job.session, nonces: prepared.values().map(nonce).collect(), endpoints }
    }

    /// All three phases with everybody named.
    pub(crate) async fn run(&mut self, consensus: &Consensus, job: &Job) -> BTreeMap<Fingerprint, Report> {
        let members = job.members();
        let prepared = self.prepare(&members, consensus, job).await;
        let link = self.link_message(consensus, job, &prepared);
        let linked = self.phase(&members, job.session, &link).await;
        assert!(linked.values().all(|report| *report == Report::Linked), "{linked:?}");
        self.phase(&members, job.session, &ToPeer::Session { session: job.session }).await
    }
}

pub(crate) fn nonce(report: &Report) -> String {
    match report {
        Report::Prepared { nonce } => nonce.clone(),
        other => panic!("not prepared: {other:?}"),
    }
}
