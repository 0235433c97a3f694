//! One party of a bench: a node that runs nothing but what `tacit bench` orders.
//!
//! Its data folder is that of any node: keys, database (frozen sets are durable, as shipped), lock, `run/addr.json`.

use std::collections::HashSet;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tacit_link::{ControlLink, Gate, Host, How, LinkConfig, LinkHub, Protocol};
use tacit_model::{Clock, Fingerprint, SessionId, SystemClock};
use tacit_pki::{Identity, keyfile};
use tacit_store::Store;
use tokio::sync::mpsc::Receiver;
use tokio::task::JoinSet;

use super::messages::{Answer, Order, Place};
use super::seat::{Barrier, Seat};
use crate::config::{DataFolder, NodeConfig};
use crate::output::{Code, Failure};
use crate::process::Address;

/// Links of one machine are there sooner.
const LINK_WITHIN: Duration = Duration::from_secs(20);

/// Serves orders until the orchestrating process goes.
pub(crate) async fn run(data: DataFolder, config: NodeConfig) -> Result<(), Failure> {
    let conductor = config.bench.as_ref().map(|bench| bench.conductor);
    let conductor = conductor.ok_or_else(|| Failure::usage("the role bench needs [bench] conductor"))?;
    std::fs::create_dir_all(&data.0)?;
    let _lock = crate::node::lock(&data)?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let now = clock.now().to_date_time()?;
    let identity = Arc::new(keyfile::load_or_create(&data.keys(), "node", &config.name, now)?);
    let store = Store::open(&config.store_url(&data.0)).await?;
    crate::token::ensure_owner(&data, &store, clock.now()).await?;
    let hub = LinkHub::bind(LinkConfig::new(config.link)).await?;
    let gate = Arc::new(Guests { conductor, parties: RwLock::default() });
    let host = hub.host(Arc::clone(&identity), Arc::clone(&gate) as Arc<dyn Gate>)?;
    let links = host.control_links();
    let address = Address {
        url: String::new(),
        link: hub.local_addr().to_string(),
        fingerprint: identity.fingerprint(),
        pid: std::process::id(),
    };
    crate::node::announce(&data, &address)?;

    let served = serve(links, &host, &gate, identity, store.clone(), clock).await;
    // Also after a failure: the last answer has to leave.
    hub.shutdown().await;
    store.close().await;
    served
}

async fn serve(
    mut links: Receiver<ControlLink>,
    host: &Host,
    guests: &Guests,
    identity: Arc<Identity>,
    store: Store,
    clock: Arc<dyn Clock>,
) -> Result<(), Failure> {
    let gone = || Failure::new(Code::Unreachable, "the orchestrating process is gone");
    let mut link = links.recv().await.ok_or_else(gone)?;
    let out_of_turn = || Failure::usage("an order out of turn");
    let Order::Admit(parties) = link.recv().await? else { return Err(out_of_turn()) };
    guests.admit_parties(&parties);
    link.send(&Answer::Ready)?;
    let Order::Meet(barrier) = link.recv().await? else { return Err(out_of_turn()) };
    let (members, me, barrier) = answer(&link, meet(host, parties, barrier).await, |_| Answer::Ready)?;
    let mut seat = Seat { host: host.clone(), identity, store, clock, members, me, barrier };
    while let Ok(order) = link.recv().await {
        let Order::Work(work, turn) = order else { return Err(out_of_turn()) };
        let sample = work.run(&mut seat, &turn).await;
        answer(&link, sample, |sample| Answer::Done(sample.clone()))?;
    }
    Ok(())
}

/// Tells how it went; a failure ends this party.
fn answer<T>(link: &ControlLink, result: Result<T, Failure>, good: impl Fn(&T) -> Answer) -> Result<T, Failure> {
    link.send(&match &result {
        Ok(value) => good(value),
        Err(failure) => Answer::Failed(failure.to_string()),
    })?;
    result
}

/// Makes the links; of two parties the one with the smaller fingerprint dials. Returns all parties, this
/// one's place among them, and their barrier.
async fn meet(
    host: &Host,
    parties: Vec<Place>,
    barrier: SessionId,
) -> Result<(Vec<Fingerprint>, usize, Barrier), Failure> {
    let mut links = JoinSet::new();
    for Place { fingerprint, link } in parties.iter().filter(|p| p.fingerprint != host.fingerprint()).cloned() {
        let how = if host.fingerprint() < fingerprint { How::Dial { addrs: vec![link] } } else { How::Await };
        let host = host.clone();
        links.spawn(async move { host.link(fingerprint, how, LINK_WITHIN).await });
    }
    while let Some(linked) = links.join_next().await {
        linked??;
    }
    let members: Vec<Fingerprint> = parties.into_iter().map(|party| party.fingerprint).collect();
    let me = members.iter().position(|member| *member == host.fingerprint());
    let me = me.ok_or_else(|| Failure::usage("the order does not name this party"))?;
    let peers = members.iter().copied().filter(|member| *member != host.fingerprint()).collect();
    let barrier = Barrier::open(host, barrier, peers)?;
    Ok((members, me, barrier))
}

/// Orders come from one process only, frames only from the parties it named.
struct Guests {
    conductor: Fingerprint,
    parties: RwLock<HashSet<Fingerprint>>,
}

impl Guests {
    fn admit_parties(&self, parties: &[Place]) {
        let mut admitted = self.parties.write().unwrap_or_else(PoisonError::into_inner);
        admitted.extend(parties.iter().map(|party| party.fingerprint));
    }
}

impl Gate for Guests {
    fn admit(&self, protocol: Protocol, peer: &Fingerprint) -> bool {
        match protocol {
            Protocol::Control => *peer == self.conductor,
            Protocol::Mpc => self.parties.read().unwrap_or_else(PoisonError::into_inner).contains(peer),
            _ => false,
        }
    }
}
