//! A compute peer that signs a wrong share of the result, over real links: the others keep what convicts it before anybody.

use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use serde_json::Value;
use tacit_accord::{Consensus, Member, MemberRole, OnMissingInput};
use tacit_engine::evidence::statement;
use tacit_engine::{Environment, FreezeRecord, FreezeRefused, Mailbox, Plan};
use tacit_job::{EvidenceDocument, Job, Report, ToPeer, plan_of};
use tacit_link::{Host, How, LinkConfig, LinkHub, PortEvent, SessionPort};
use tacit_party::Seats;
use tacit_pki::envelope::{Context, sign_detached, verify_detached};
use tacit_pki::{Identity, PublicKey, random};
use zeroize::Zeroizing;

use crate::gateway::Open;
use crate::world::{Peer, RUN, World, identity};

/// Messages of the engine by their first byte: a share of the result, and the signature under it.
const RESULT: u8 = 6;
const SIGNED: u8 = 20;
/// Of the two sums and the salt, 61 bits each.
const ELEMENTS: usize = 8 * 7;
const NONCE: [u8; 32] = [7; 32];

/// A compute peer that is played by the test. It runs the engine as it is, and changes what it sends.
struct Liar {
    identity: Arc<Identity>,
    hub: LinkHub,
    host: Host,
}

impl Liar {
    async fn start() -> Self {
        let identity = identity("liar");
        let hub = LinkHub::bind(LinkConfig::new("127.0.0.1:0".parse().unwrap())).await.unwrap();
        let host = hub.host(Arc::clone(&identity), Arc::new(Open)).unwrap();
        Self { identity, hub, host }
    }

    fn member(&self) -> Member {
        Member {
            name: "liar".to_owned(),
            fingerprint: self.identity.fingerprint(),
            operator: "liar".to_owned(),
            role: MemberRole::Privacy,
            endpoint: self.hub.local_addr().to_string(),
        }
    }

    /// Links with everybody, as the plan says who dials.
    async fn link(&self, plan: &Plan, consensus: &Consensus) {
        for (index, peer) in plan.members().iter().enumerate() {
            if *peer == self.identity.fingerprint() {
                continue;
            }
            let dials = plan.compute().contains(&index) && self.identity.fingerprint() < *peer;
            let endpoint = || consensus.charter().member(peer).unwrap().endpoint.clone();
            let how = if dials { How::Dial { addrs: vec![endpoint()] } } else { How::Await };
            self.host.link(*peer, how, Duration::from_secs(10)).await.unwrap();
        }
    }

    /// Takes part, holds its shares of the result back until it knows what is signed with them, and sends others.
    async fn lie(&self, plan: &Plan, job: &Job, nonces: &[[u8; 32]], keys: &[Arc<Identity>]) {
        let me = plan.index_of(&self.identity.fingerprint()).unwrap();
        let peers: Vec<_> = plan.members().iter().copied().filter(|peer| *peer != plan.members()[me]).collect();
        let mut port = self.host.open_session(job.session, peers.clone()).unwrap();
        let seats = Seats::new(plan, me, &peers);
        seats.tell_key(&mut port, self.identity.public_key());
        let mut environment = Own {
            identity: Arc::clone(&self.identity),
            secrets: (0..plan.members().len())
                .map(|member| seats.port_of(member).map(|peer| port.pair_secret(peer).unwrap()).unwrap_or_default())
                .collect(),
            keys: keys
                .iter()
                .map(|identity| (plan.index_of(&identity.fingerprint()).unwrap(), *identity.public_key()))
                .collect(),
        };
        let mailbox = Mailbox::new(plan.members().len());
        let engine = tacit_engine::run(plan, me, &mailbox, &mut environment, nonces, None);
        let (outcome, held) = hold_back(engine, plan, &mut port, &mailbox, &seats).await;
        let outcome = outcome.expect("the liar's own engine is honest");
        let mut said = BTreeMap::new();
        for (to, mut message) in held {
            let length = message.len();
            if message[0] == RESULT {
                message[length - ELEMENTS] ^= 1;
                said.insert(to, message[length - ELEMENTS..].to_vec());
            } else {
                let digest = statement(&plan.digest(), &outcome.binding, &outcome.frozen, 0, &said[&to]);
                message[1..].copy_from_slice(&sign_detached(&self.identity, Context::Message, &digest));
            }
            port.send(seats.port_of(to).unwrap(), message).unwrap();
        }
        port.finish();
    }
}

/// Pumps the engine to its end; what it says of the result is not sent.
async fn hold_back<T>(
    engine: impl Future<Output = T>,
    plan: &Plan,
    port: &mut SessionPort,
    mailbox: &Mailbox,
    seats: &Seats,
) -> (T, Vec<(usize, Vec<u8>)>) {
    let mut engine = pin!(engine);
    let mut held = Vec::new();
    // The first message of a compute peer is its key.
    let mut told = vec![false; plan.members().len()];
    let outcome = poll_fn(|cx| {
        loop {
            while let Poll::Ready(event) = port.poll_recv(cx) {
                let PortEvent::Message { from, body } = event else { continue };
                let member = plan.index_of(&port.peers()[from]).unwrap();
                if plan.compute().contains(&member) && !std::mem::replace(&mut told[member], true) {
                    continue;
                }
                mailbox.deliver(member, body).unwrap();
            }
            let done = engine.as_mut().poll(cx);
            let sent = mailbox.take_outgoing();
            let moved = !sent.is_empty();
            for (to, message) in sent {
                if message[0] == RESULT || message[0] == SIGNED {
                    held.push((to, message.to_vec()));
                } else {
                    port.send(seats.port_of(to).unwrap(), message).unwrap();
                }
            }
            match done {
                Poll::Ready(outcome) => return Poll::Ready(outcome),
                Poll::Pending if moved => {}
                Poll::Pending => return Poll::Pending,
            }
        }
    })
    .await;
    (outcome, held)
}

struct Own {
    identity: Arc<Identity>,
    secrets: Vec<Zeroizing<[u8; 32]>>,
    keys: BTreeMap<usize, PublicKey>,
}

impl Own {
    fn verify(&self, member: usize, context: Context, digest: &[u8; 32], signature: &[u8; 64]) -> bool {
        verify_detached(&self.keys[&member], context, digest, signature).is_ok()
    }
}

impl Environment for Own {
    fn random(&mut self, out: &mut [u8]) {
        random::fill(out).unwrap();
    }

    fn pair_secret(&mut self, member: usize) -> [u8; 32] {
        *self.secrets[member]
    }

    fn sign_freeze(&mut self, digest: &[u8; 32]) -> [u8; 64] {
        sign_detached(&self.identity, Context::Freeze, digest)
    }

    fn verify_freeze(&self, member: usize, digest: &[u8; 32], signature: &[u8; 64]) -> bool {
        self.verify(member, Context::Freeze, digest, signature)
    }

    fn sign_message(&mut self, digest: &[u8; 32]) -> [u8; 64] {
        sign_detached(&self.identity, Context::Message, digest)
    }

    fn verify_message(&self, member: usize, digest: &[u8; 32], signature: &[u8; 64]) -> bool {
        self.verify(member, Context::Message, digest, signature)
    }

    async fn freeze(&mut self, _: FreezeRecord) -> Result<(), FreezeRefused> {
        Ok(())
    }
}

/// The evidence that a peer kept, and what its log says of it.
async fn kept(peer: &Peer, job: &Job) -> (Option<String>, Vec<Value>) {
    let store = peer.store.as_ref().unwrap();
    let row = store.evidence(&peer.name, job.session).await.unwrap();
    let entries = store.log_entries(1, 1000).await.unwrap();
    let bodies = entries.iter().map(|entry| serde_json::from_slice::<Value>(&entry.body).unwrap());
    (row.map(|row| row.body), bodies.filter(|body| body["kind"] == "evidence").collect())
}

#[tokio::test]
async fn rule5_a_liar_among_real_peers_is_convicted_by_what_they_keep() {
    let liar = Liar::start().await;
    let mut world = World::with(
        |_| {},
        |charter| {
            charter.members.push(liar.member());
            charter.slots.on_missing_input = OnMissingInput::Proceed(2);
            let configuration = charter.configuration.as_mut().unwrap();
            configuration.parameters.insert("security_model".to_owned(), "guaranteed".to_owned());
        },
    )
    .await;
    world.peers[0].rows(&["1;3"]).await;
    world.peers[1].rows(&["2;5"]).await;
    let job = world.job(0);
    let plan = plan_of(&world.consensus, &job).unwrap();
    let cheater = liar.identity.fingerprint();
    let honest: Vec<_> = job.members().into_iter().filter(|member| *member != cheater).collect();

    let mut prepared = world.gateway.prepare(&honest, &world.consensus, &job).await;
    prepared.insert(cheater, Report::Prepared { nonce: hex::encode(NONCE) });
    let link = world.gateway.link_message(&world.consensus, &job, &prepared);
    let ToPeer::Link { nonces, .. } = &link else { unreachable!() };
    let nonces: Vec<[u8; 32]> = nonces.iter().map(|nonce| hex::decode(nonce).unwrap().try_into().unwrap()).collect();
    let (linked, ()) =
        tokio::join!(world.gateway.phase(&honest, job.session, &link), liar.link(&plan, &world.consensus));
    assert!(linked.values().all(|report| *report == Report::Linked), "{linked:?}");
    let mut keys: Vec<_> = world.peers.iter().map(|peer| Arc::clone(&peer.identity)).collect();
    keys.push(Arc::clone(&liar.identity));
    let session = ToPeer::Session { session: job.session };
    let (reports, ()) =
        tokio::join!(world.gateway.phase(&honest, job.session, &session), liar.lie(&plan, &job, &nonces, &keys));
    assert!(reports.values().all(|report| matches!(report, Report::Done { .. })), "{reports:?}");

    for (index, peer) in world.peers.iter().enumerate() {
        let (document, entries) = kept(peer, &job).await;
        if index >= 2 {
            assert!(document.is_none() && entries.is_empty(), "only recipients see the shares");
            continue;
        }
        assert_eq!(peer.party().results(RUN).await.unwrap()[0].text(), "3;8", "the result comes, and is right");
        let document = document.expect("evidence");
        let convicted = EvidenceDocument::verify(&document).expect("it holds");
        assert_eq!(convicted.members, [(cheater, "liar".to_owned())]);
        assert_eq!((convicted.job, convicted.consensus.id()), (job.clone(), world.consensus.id()));
        let [entry] = &entries[..] else { panic!("{entries:?}") };
        assert_eq!(entry["facts"]["accused"], cheater.to_string());
        // Nothing of what was sent is in the log.
        let facts: Vec<&String> = entry["facts"].as_object().unwrap().keys().collect();
        assert_eq!(facts, ["accused", "consensus", "group", "party", "run", "session", "slot"]);
        let trouble = peer.party().status().await.unwrap().last_trouble.unwrap().what;
        assert!(trouble.contains("liar") && trouble.contains("tacit audit evidence"), "{trouble}");
        // No byte of the proof may be another one; who is accused stands in it.
        let right: EvidenceDocument = serde_json::from_str(&document).unwrap();
        for change in [0, 1, 2] {
            let mut wrong = right.clone();
            match change {
                0 => wrong.job.slot.0 += 1,
                1 => wrong.keys.retain(|key| PublicKey::from_base64(key).unwrap().fingerprint() != cheater),
                _ => wrong.proofs.push(right.proofs[0].clone()),
            }
            assert!(EvidenceDocument::verify(&wrong.text().unwrap()).is_err(), "change {change}");
        }
    }
    world.close().await;
}
