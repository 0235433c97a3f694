//! A member that is played by the test over real links. It runs the engine as it is, and changes what it sends.

use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tacit_accord::{Consensus, Member, MemberRole};
use tacit_engine::{
    Environment, Evidence, FreezeRecord, FreezeRefused, InputVector, Mailbox, Outcome, Plan, SessionError,
    session_binding,
};
use tacit_job::{Job, Report, ToPeer, plan_of};
use tacit_link::{Host, How, LinkConfig, LinkHub, PortEvent, SessionPort};
use tacit_model::Fingerprint;
use tacit_party::Seats;
use tacit_pki::envelope::{Context, sign_detached, verify_detached};
use tacit_pki::{Identity, PublicKey, random};
use zeroize::Zeroizing;

use crate::gateway::Open;
use crate::world::{World, identity};

const NONCE: [u8; 32] = [7; 32];

/// What the liar makes of a message of its engine to a member: another one, or none.
pub(crate) trait Tamper: FnMut(usize, Vec<u8>) -> Option<Vec<u8>> {}
impl<T: FnMut(usize, Vec<u8>) -> Option<Vec<u8>>> Tamper for T {}

pub(crate) struct Liar {
    pub(crate) identity: Arc<Identity>,
    role: MemberRole,
    hub: LinkHub,
    host: Host,
}

/// How a session ended for the liar itself, and what it may still send.
pub(crate) struct Lied {
    pub(crate) outcome: Result<Outcome, SessionError>,
    seats: Seats,
    port: SessionPort,
}

impl Lied {
    pub(crate) fn send(&mut self, to: usize, message: Vec<u8>) {
        self.port.send(self.seats.port_of(to).unwrap(), message).unwrap();
    }

    /// The others hear of an end that is none of a session that is done.
    pub(crate) fn finish(self) {
        if self.outcome.is_ok() {
            self.port.finish();
        }
    }
}

impl Liar {
    pub(crate) async fn start(role: MemberRole) -> Self {
        let identity = identity("liar");
        let hub = LinkHub::bind(LinkConfig::new("127.0.0.1:0".parse().unwrap())).await.unwrap();
        let host = hub.host(Arc::clone(&identity), Arc::new(Open)).unwrap();
        Self { identity, role, hub, host }
    }

    pub(crate) fn fingerprint(&self) -> Fingerprint {
        self.identity.fingerprint()
    }

    pub(crate) fn member(&self) -> Member {
        Member {
            name: "liar".to_owned(),
            fingerprint: self.fingerprint(),
            operator: "liar".to_owned(),
            role: self.role,
            endpoint: self.hub.local_addr().to_string(),
        }
    }

    /// All phases of a job with the peers of a world; what they report, and how it ended for the liar.
    pub(crate) async fn run(
        &self,
        world: &mut World,
        job: &Job,
        input: Option<&[u64]>,
        tamper: impl Tamper,
        after: impl FnOnce(&Plan, Lied),
    ) -> BTreeMap<Fingerprint, Report> {
        self.run_bound(world, job, input, |_, _| tamper, after).await
    }

    /// The same, where what it makes of its messages follows from the plan and from what the session is bound to.
    pub(crate) async fn run_bound<T: Tamper>(
        &self,
        world: &mut World,
        job: &Job,
        input: Option<&[u64]>,
        tamper: impl FnOnce(&Plan, &[u8; 32]) -> T,
        after: impl FnOnce(&Plan, Lied),
    ) -> BTreeMap<Fingerprint, Report> {
        let (plan, nonces, honest) = self.linked(world, job).await;
        let mut keys: Vec<_> = world.peers.iter().map(|peer| Arc::clone(&peer.identity)).collect();
        keys.push(Arc::clone(&self.identity));
        let session = ToPeer::Session { session: job.session };
        let tamper = tamper(&plan, &session_binding(&plan, &nonces));
        let lying = async { after(&plan, self.lie(&plan, job, &nonces, &keys, input, tamper).await) };
        let (reports, ()) = tokio::join!(world.gateway.phase(&honest, job.session, &session), lying);
        reports
    }

    /// The same without the engine: after its key it says this to each member, and stays until all have reported.
    pub(crate) async fn run_saying(
        &self,
        world: &mut World,
        job: &Job,
        says: impl Fn(usize) -> Vec<Vec<u8>>,
    ) -> BTreeMap<Fingerprint, Report> {
        let (plan, _, honest) = self.linked(world, job).await;
        let (mut port, seats) = self.seated(&plan, job);
        for (member, _) in self.counterparts(&plan) {
            let place = seats.port_of(member).unwrap();
            says(member).into_iter().for_each(|message| port.send(place, message).unwrap());
        }
        world.gateway.phase(&honest, job.session, &ToPeer::Session { session: job.session }).await
    }

    /// Prepare and Link; the plan, all nonces, and who else takes part.
    async fn linked(&self, world: &mut World, job: &Job) -> (Plan, Vec<[u8; 32]>, Vec<Fingerprint>) {
        let plan = plan_of(&world.consensus, job).unwrap();
        let me = self.fingerprint();
        let honest: Vec<_> = job.members().into_iter().filter(|member| *member != me).collect();
        let mut prepared = world.gateway.prepare(&honest, &world.consensus, job).await;
        prepared.insert(me, Report::Prepared { nonce: hex::encode(NONCE) });
        let link = world.gateway.link_message(&world.consensus, job, &prepared);
        let ToPeer::Link { nonces, .. } = &link else { unreachable!() };
        let nonces: Vec<[u8; 32]> =
            nonces.iter().map(|nonce| hex::decode(nonce).unwrap().try_into().unwrap()).collect();
        let (linked, ()) =
            tokio::join!(world.gateway.phase(&honest, job.session, &link), self.link(&plan, &world.consensus));
        assert!(linked.values().all(|report| *report == Report::Linked), "{linked:?}");
        (plan, nonces, honest)
    }

    /// Links with everybody it talks to, as the plan says who dials.
    async fn link(&self, plan: &Plan, consensus: &Consensus) {
        for (index, peer) in self.counterparts(plan) {
            let dials = plan.compute().contains(&index) && (!self.role.computes() || self.fingerprint() < peer);
            let endpoint = || consensus.charter().member(&peer).unwrap().endpoint.clone();
            let how = if dials { How::Dial { addrs: vec![endpoint()] } } else { How::Await };
            self.host.link(peer, how, Duration::from_secs(10)).await.unwrap();
        }
    }

    /// Whoever does not compute talks to compute peers only.
    fn counterparts(&self, plan: &Plan) -> Vec<(usize, Fingerprint)> {
        let others = plan.members().iter().copied().enumerate().filter(|(_, peer)| *peer != self.fingerprint());
        others.filter(|(index, _)| self.role.computes() || plan.compute().contains(index)).collect()
    }

    /// Its end of the session, in which it has told its key.
    fn seated(&self, plan: &Plan, job: &Job) -> (SessionPort, Seats) {
        let me = plan.index_of(&self.fingerprint()).unwrap();
        let peers: Vec<_> = self.counterparts(plan).into_iter().map(|(_, peer)| peer).collect();
        let mut port = self.host.open_session(job.session, peers.clone()).unwrap();
        let seats = Seats::new(plan, me, &peers);
        seats.tell_key(&mut port, self.identity.public_key());
        (port, seats)
    }

    async fn lie(
        &self,
        plan: &Plan,
        job: &Job,
        nonces: &[[u8; 32]],
        keys: &[Arc<Identity>],
        input: Option<&[u64]>,
        tamper: impl Tamper,
    ) -> Lied {
        let me = plan.index_of(&self.fingerprint()).unwrap();
        let (mut port, seats) = self.seated(plan, job);
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
        let input = input.map(|row| InputVector::new(row.to_vec()));
        let engine = tacit_engine::run(plan, me, &mailbox, &mut environment, nonces, input);
        let outcome = pump(engine, plan, &mut port, &mailbox, &seats, tamper).await;
        Lied { outcome, seats, port }
    }
}

/// Pumps the engine to its end.
async fn pump<T>(
    engine: impl Future<Output = T>,
    plan: &Plan,
    port: &mut SessionPort,
    mailbox: &Mailbox,
    seats: &Seats,
    mut tamper: impl Tamper,
) -> T {
    let mut engine = pin!(engine);
    // The first message of a compute peer is its key.
    let mut told = vec![false; plan.members().len()];
    poll_fn(|cx| {
        loop {
            while let Poll::Ready(event) = port.poll_recv(cx) {
                let member = |from: usize| plan.index_of(&port.peers()[from]).unwrap();
                match event {
                    PortEvent::Message { from, body } => {
                        let member = member(from);
                        if !plan.compute().contains(&member) || std::mem::replace(&mut told[member], true) {
                            mailbox.deliver(member, body).unwrap();
                        }
                    }
                    PortEvent::Lost { from, .. } => mailbox.lose(member(from)),
                }
            }
            let done = engine.as_mut().poll(cx);
            let sent = mailbox.take_outgoing();
            let moved = !sent.is_empty();
            for (to, message) in sent {
                if let (Some(message), Some(seat)) = (tamper(to, message.to_vec()), seats.port_of(to)) {
                    // Whoever ended is not there any more.
                    let _sent = port.send(seat, message);
                }
            }
            match done {
                Poll::Ready(outcome) => return Poll::Ready(outcome),
                Poll::Pending if moved => {}
                Poll::Pending => return Poll::Pending,
            }
        }
    })
    .await
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

    fn convicted(&mut self, _: Evidence) {}
}
