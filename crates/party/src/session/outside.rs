//! Phase 3 with an SMC provider in place of the built-in engine.
//!
//! ```text
//!  keys, salted commitments ─► frozen set, durable ─► signatures of all ─► provider: Prepare, Link, Session
//! ```
//!
//! The set is frozen as for the engine, and before the provider hears of the input: all members commit to their
//! vectors, make the set durable, sign it, and wait for everybody's signature. From then on there is one attempt.

mod relay;

use std::collections::VecDeque;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use tacit_accord::digest;
use tacit_engine::{Environment, FreezeRecord, FreezeRefused, Plan};
use tacit_job::{Fault, Job};
use tacit_link::{PortEvent, SessionPort};
use tacit_model::Fingerprint;
use tacit_model::codec::put_bytes;
use tacit_pki::random;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use self::relay::{Relay, RelayError};
use super::running::Learned;
use crate::drive::Seats;
use crate::environment::PartyEnvironment;
use crate::party::Inner;
use crate::provider::{Participant, PreparePhase, Provider, ProviderError, ProviderSession, SmcTask, StatusClass};

/// Random numbers that every member appends to its vector: their sum is known to recipients alone, so that
/// nobody can try results against the commitment that the gateway sees.
const SALTS: usize = 4;
/// After the end of its session a provider has so long to answer and to close its connections.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// So much that one member sent may wait to be read, by this peer or by its provider.
const UNREAD: usize = 64 << 20;
/// A salt has so many bits, so that sums of them stay below 2^127.
const SALT_MASK: u64 = (1 << 60) - 1;

/// Why there is no result.
pub(super) struct Ended {
    pub(super) fault: Fault,
    pub(super) why: String,
}

impl Ended {
    fn new(fault: Fault, why: impl Into<String>) -> Self {
        Self { fault, why: why.into() }
    }
}

/// What a session with a provider runs on. The plan is a sum of whole vectors among members that all give, compute and
/// receive: `plan_of` makes no other.
pub(super) struct Stage<'a> {
    pub(super) provider: &'a Provider,
    pub(super) job: &'a Job,
    pub(super) plan: &'a Plan,
    pub(super) me: usize,
    pub(super) nonces: &'a [[u8; 32]],
    pub(super) seats: &'a Seats,
}

/// What a session with a provider came to.
pub(super) struct Done {
    /// For the slot.
    pub(super) learned: Learned,
    /// For the receipt: the digest of the set that all members signed before their providers heard of it,
    pub(super) frozen: [u8; 32],
    /// and of the plan and all members' nonces.
    pub(super) binding: [u8; 32],
}

/// Runs the session. Whether a set was bound, and who is in it, is in `environment`.
pub(super) async fn run(
    party: &Arc<Inner>,
    stage: &Stage<'_>,
    port: &mut SessionPort,
    environment: &mut PartyEnvironment,
    input: Zeroizing<Vec<u64>>,
    abort: &CancellationToken,
) -> Result<Done, Ended> {
    let limit = tacit_job::session_deadline(party.limits.session, stage.plan);
    let mut end = pin!(async {
        match tokio::time::timeout(limit, abort.cancelled()).await {
            Ok(()) => Ended::new(Fault::Ended, "the session was given up"),
            Err(_) => Ended::new(Fault::Ended, "the session ran out of time"),
        }
    });
    let mut vector = Zeroizing::new(Vec::with_capacity(input.len() + SALTS));
    vector.extend_from_slice(&input);
    for _ in 0..SALTS {
        let mut bytes = [0; 8];
        random::fill(&mut bytes).map_err(|e| Ended::new(Fault::Own, e.to_string()))?;
        vector.push(u64::from_le_bytes(bytes) & SALT_MASK);
    }
    let (frozen, early) = tokio::select! {
        ended = &mut end => return Err(ended),
        frozen = freeze(party, stage, port, environment, &vector) => frozen?,
    };
    let learned = compute(stage, port, &vector, frozen, early, end).await?;
    Ok(Done { learned, frozen, binding: binding(stage) })
}

/// What a message that waits takes, about: short ones, too.
fn room(message: &Bytes) -> usize {
    message.len() + 64
}

/// The messages of each member in their order; a quick one is several steps ahead.
struct Inbox<'a> {
    port: &'a mut SessionPort,
    waiting: VecDeque<(usize, Bytes)>,
    /// What that takes, of each member.
    sizes: Vec<usize>,
}

/// Why no message comes of the member at a place.
enum Silence {
    Lost(usize),
    /// Too much of it waits already.
    Flood(usize),
}

impl<'a> Inbox<'a> {
    fn new(port: &'a mut SessionPort) -> Self {
        let sizes = vec![0; port.peers().len()];
        Self { port, waiting: VecDeque::new(), sizes }
    }

    async fn next_of(&mut self, place: usize) -> Result<Bytes, Silence> {
        if let Some(at) = self.waiting.iter().position(|(from, _)| *from == place)
            && let Some((_, body)) = self.waiting.remove(at)
        {
            self.sizes[place] -= room(&body);
            return Ok(body);
        }
        loop {
            match self.port.recv().await {
                PortEvent::Message { from, body } if from == place => return Ok(body),
                PortEvent::Message { from, body } => {
                    self.sizes[from] += room(&body);
                    if self.sizes[from] > UNREAD {
                        return Err(Silence::Flood(from));
                    }
                    self.waiting.push_back((from, body));
                }
                PortEvent::Lost { from, .. } => return Err(Silence::Lost(from)),
            }
        }
    }

    fn send_all(&mut self, message: &[u8]) {
        for to in 0..self.port.peers().len() {
            // Whoever is lost is told of when something is expected from them.
            let _told = self.port.send(to, message.to_vec());
        }
    }
}

/// Agrees on the set of inputs, makes it durable and has it signed by all; its digest, and what came early.
async fn freeze(
    party: &Inner,
    stage: &Stage<'_>,
    port: &mut SessionPort,
    environment: &mut PartyEnvironment,
    vector: &[u64],
) -> Result<([u8; 32], VecDeque<(usize, Bytes)>), Ended> {
    let Stage { plan, seats, .. } = *stage;
    let members = plan.members().len();
    let silence = |port: &SessionPort, why: Silence| {
        let (Silence::Lost(place) | Silence::Flood(place)) = why;
        let member = port.peers()[place];
        let (fault, what) = match why {
            Silence::Lost(_) => (Fault::Lost { members: vec![member] }, "was lost before the freeze"),
            // It may have signed already, and a provider that says much.
            Silence::Flood(_) => (Fault::Ended, "sent more than can wait before all have signed"),
        };
        Ended::new(fault, format!("{} {what}", member.short()))
    };
    let misbehaved = |member: usize, what: &str| {
        let member = plan.members()[member];
        Ended::new(Fault::Misbehaved { member }, format!("{} sent no {what}", member.short()))
    };
    let places: Vec<(usize, usize)> =
        (0..members).filter_map(|member| Some((member, seats.port_of(member)?))).collect();
    let mut salt = Zeroizing::new([0; 32]);
    random::fill(&mut *salt).map_err(|e| Ended::new(Fault::Own, e.to_string()))?;
    let own = commitment(&salt, vector);

    seats.tell_key(port, party.identity.public_key());
    let mut inbox = Inbox::new(port);
    inbox.send_all(&own);
    let mut commitments = vec![own; members];
    for (member, place) in &places {
        let peer = plan.members()[*member];
        let key = inbox.next_of(*place).await.map_err(|why| silence(inbox.port, why))?;
        if !seats.takes_key(*member, &peer, &key).unwrap_or(false) {
            return Err(misbehaved(*member, "key"));
        }
        let theirs = inbox.next_of(*place).await.map_err(|why| silence(inbox.port, why))?;
        commitments[*member] = (&*theirs).try_into().map_err(|_| misbehaved(*member, "commitment"))?;
    }
    let digest = set_digest(stage, &commitments);
    let record = FreezeRecord {
        charter: stage.job.charter.0,
        task: stage.job.task.digest(stage.job.run),
        slot: plan.slot(),
        session: plan.session(),
        attempt: plan.attempt(),
        plan: plan.digest(),
        digest,
        contributors: plan.members().to_vec(),
        commitments,
    };
    environment.freeze(record).await.map_err(|refused| match refused {
        FreezeRefused::AlreadyFrozen => Ended::new(Fault::Ended, "this slot is bound to another attempt"),
        other => Ended::new(Fault::Own, format!("the input set was not frozen: {other:?}")),
    })?;
    inbox.send_all(&environment.sign_freeze(&digest));
    for (member, place) in &places {
        let signature = inbox.next_of(*place).await.map_err(|why| silence(inbox.port, why))?;
        let signature = <&[u8; 64]>::try_from(&*signature).map_err(|_| misbehaved(*member, "signature"))?;
        if !environment.verify_freeze(*member, &digest, signature) {
            // It may be as honest as this peer: who told the two of them different commitments, neither knows.
            let why = format!("{} signed another set than this peer froze", plan.members()[*member].short());
            return Err(Ended::new(Fault::Equivocated, why));
        }
    }
    Ok((digest, inbox.waiting))
}

fn commitment(salt: &[u8; 32], vector: &[u64]) -> [u8; 32] {
    let mut text = Zeroizing::new(salt.to_vec());
    for value in vector {
        text.extend_from_slice(&value.to_le_bytes());
    }
    digest("provider-commitment", &text)
}

fn binding(stage: &Stage<'_>) -> [u8; 32] {
    let mut text = Vec::new();
    put_bytes(&mut text, &stage.plan.digest().0);
    stage.nonces.iter().for_each(|nonce| text.extend_from_slice(nonce));
    digest("provider-binding", &text)
}

fn set_digest(stage: &Stage<'_>, commitments: &[[u8; 32]]) -> [u8; 32] {
    let mut text = Vec::new();
    for part in [&stage.plan.digest().0[..], stage.provider.name.as_bytes()] {
        put_bytes(&mut text, part);
    }
    for part in stage.nonces.iter().chain(commitments) {
        text.extend_from_slice(part);
    }
    digest("provider-set", &text)
}

/// What ended before the provider had a result.
enum Before {
    Relay(Result<(), RelayError>),
    End(Ended),
}

/// The provider's part, with the relay beside it, until there is a result or the session's `end` comes. Whoever has a result
/// takes leave of its provider and of the others in a time of its own.
async fn compute(
    stage: &Stage<'_>,
    port: &mut SessionPort,
    vector: &[u64],
    frozen: [u8; 32],
    early: VecDeque<(usize, Bytes)>,
    mut end: Pin<&mut impl Future<Output = Ended>>,
) -> Result<Learned, Ended> {
    let own = |e: String| Ended::new(Fault::Own, e);
    let relay = Relay::bind(port.peers().len(), early).await.map_err(|e| own(e.to_string()))?;
    let prepare = prepare(stage, &relay, vector).map_err(|e| own(e.to_string()))?;
    let session = stage.plan.session().to_string();
    let mut provider = tokio::select! {
        ended = &mut end => return Err(ended),
        opened = stage.provider.open(&session) => opened.map_err(|e| of_provider(&e))?,
    };
    let (listens, address) = watch::channel(None);
    let lost = OnceLock::new();
    let over = CancellationToken::new();
    let done = {
        let mut relay = Box::pin(relay.run(port, &lost, address, &over));
        let done = tokio::select! {
            biased;
            values = commands(stage, &mut provider, prepare, &listens) => Ok(values),
            ended = &mut relay => Err(Before::Relay(ended)),
            ended = &mut end => Err(Before::End(ended)),
        };
        let tear_down = async {
            match tokio::time::timeout(LAST_WORDS, provider.tear_down()).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::debug!(%error, "the provider did not tear its session down"),
                Err(_) => tracing::debug!("the provider did not tear its session down in time"),
            }
        };
        match &done {
            // The others' providers may wait for what this one said last.
            Ok(Ok(_)) => {
                over.cancel();
                let _ended = tokio::join!(tear_down, tokio::time::timeout(LAST_WORDS, relay));
            }
            _ => {
                // The provider hears that its connections are gone.
                drop(relay);
                tear_down.await;
            }
        }
        done
    };
    let done = match done {
        Ok(values) => values.map_err(|e| of_provider(&e)),
        Err(Before::Relay(ended)) => Err(of_relay(ended, port.peers())),
        Err(Before::End(ended)) => return Err(ended),
    };
    match (done, lost.get()) {
        (Ok(values), _) => outcome(stage, values, frozen),
        (Err(ended), Some(place)) => {
            let member = port.peers()[*place];
            let why = format!("{}; {} had left", ended.why, member.short());
            Err(Ended::new(Fault::Lost { members: vec![member] }, why))
        }
        (Err(ended), None) => Err(ended),
    }
}

fn prepare(stage: &Stage<'_>, relay: &Relay, vector: &[u64]) -> std::io::Result<PreparePhase> {
    let mut participants = Vec::new();
    for (number, member) in stage.plan.members().iter().enumerate() {
        participants.push(Participant {
            auth_id: member.to_string(),
            smc_peer_id: i32::try_from(number).unwrap_or(i32::MAX),
            endpoint: match stage.seats.port_of(number) {
                Some(place) => relay.endpoint(place)?,
                None => String::new(),
            },
        });
    }
    let length = i32::try_from(vector.len()).unwrap_or(i32::MAX);
    Ok(PreparePhase {
        participants,
        smc_task: Some(SmcTask { set: stage.job.group.to_string(), aggregator: 0, max_data_items: length }),
        threshold: i32::try_from(stage.plan.shares_needed().saturating_sub(1)).unwrap_or(i32::MAX),
        input: vector.to_vec(),
    })
}

async fn commands(
    stage: &Stage<'_>,
    provider: &mut ProviderSession,
    prepare: PreparePhase,
    listens: &watch::Sender<Option<SocketAddr>>,
) -> Result<Vec<u128>, ProviderError> {
    let address = provider.prepare(stage.me, prepare).await?;
    let local = address.parse::<SocketAddr>().ok().filter(|address| address.ip().is_loopback());
    let local = local.ok_or(ProviderError::Result("it does not listen on this machine only"))?;
    listens.send_replace(Some(local));
    provider.link(stage.me).await?;
    provider.compute(stage.me).await
}

/// Checks what came back as far as it can be.
fn outcome(stage: &Stage<'_>, values: Vec<u128>, frozen: [u8; 32]) -> Result<Learned, Ended> {
    let plan = stage.plan;
    let range = |why: &str| Ended::new(Fault::Range, why.to_owned());
    let (items, salt) = values
        .split_at_checked(plan.items())
        .filter(|(_, salt)| salt.len() == SALTS)
        .ok_or_else(|| Ended::new(Fault::Own, "the SMC provider's result has another length than was asked for"))?;
    let members = plan.members().len();
    if items.iter().enumerate().any(|(item, value)| *value > plan.largest_output(item, members)) {
        return Err(range("the SMC provider's result is above what the members can reach"));
    }
    if plan.modulus().is_some_and(|modulus| items.iter().any(|value| *value >= u128::from(modulus))) {
        return Err(range("the result is not below the declared field"));
    }
    let mut text = frozen.to_vec();
    for value in salt.iter().chain(items) {
        text.extend_from_slice(&value.to_le_bytes());
    }
    Ok(Learned {
        agreement: digest("provider-agreement", &text),
        values: Some(items.to_vec()),
        contributors: u32::try_from(members).unwrap_or(u32::MAX),
        faults: Vec::new(),
        left_out: Vec::new(),
    })
}

fn of_provider(error: &ProviderError) -> Ended {
    let fault = match error.class() {
        StatusClass::Communication => Fault::FewShares,
        _ => Fault::Own,
    };
    Ended::new(fault, error.to_string())
}

/// The relay ended before the provider did.
fn of_relay(ended: Result<(), RelayError>, peers: &[Fingerprint]) -> Ended {
    match ended {
        Err(RelayError::Malformed(place)) => {
            let member = peers[place];
            Ended::new(Fault::Misbehaved { member }, format!("{} broke the relay's protocol", member.short()))
        }
        Err(RelayError::Local(why)) => Ended::new(Fault::Own, why),
        Ok(()) => Ended::new(Fault::Own, "the relay ended before the provider did"),
    }
}

#[cfg(test)]
mod tests {
    use tacit_link::memory::mesh;

    use super::*;

    /// What waits for others' turn is bounded for each member, however short its messages are.
    #[tokio::test]
    async fn f15_who_sends_too_much_before_all_have_signed_ends_the_session() {
        let ports: [SessionPort; 3] = mesh(3).try_into().unwrap_or_else(|_| panic!("three ports"));
        let [mut me, mut first, mut second] = ports;
        let mut inbox = Inbox::new(&mut me);
        for _ in 0..7 {
            second.send(0, vec![7; 8 << 20]).expect("on its way");
        }
        first.send(0, vec![1]).expect("on its way");
        assert!(matches!(inbox.next_of(0).await, Ok(body) if *body == [1]), "the others' may wait");
        assert!(matches!(inbox.next_of(1).await, Ok(body) if body.len() == 8 << 20));
        for _ in 0..2 {
            second.send(0, vec![7; 8 << 20]).expect("on its way");
        }
        assert!(matches!(inbox.next_of(0).await, Err(Silence::Flood(1))));
        assert!(room(&Bytes::new()) >= size_of::<(usize, Bytes)>(), "an empty one takes room, too");
    }
}
