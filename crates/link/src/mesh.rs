//! MPC links of one party: at most one per peer, and the sessions on them.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tacit_model::{Fingerprint, SessionId};
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::connection::Conn;
use crate::error::{CloseReason, LinkError, Refusal};
use crate::frame::Data;
use crate::handshake::Dial;
use crate::hub::{Host, HostInner, Protocol};
use crate::outbox::Item;
use crate::parking::{Parked, Parking, ParkingLimits};
use crate::session::{Held, Mailbox, Outlet, SessionLimits, SessionPort};
use crate::stream::lock;

/// So many ended sessions are remembered: their ids are refused, their late frames dropped.
const REMEMBERED: usize = 1 << 16;
/// A caller waits so much longer than its dial, to hear why it failed.
const GRACE: Duration = Duration::from_millis(100);
/// Answers to frames of refused sessions are not queued behind more than this.
const REPLY_BELOW: usize = 1 << 20;

/// How a link comes about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum How {
    /// This side dials, trying these addresses in turn.
    Dial {
        /// `host:port`.
        addrs: Vec<String>,
    },
    /// The other side dials.
    Await,
}

impl Host {
    /// Makes sure there is a link with this peer. Returns at once if there is; callers at the same
    /// time share one dial. If both sides dial, one of the two connections stays.
    pub async fn link(&self, peer: Fingerprint, how: How, deadline: Duration) -> Result<(), LinkError> {
        let mesh = &self.inner.mesh;
        let deadline = Instant::now() + deadline;
        if peer == self.inner.fingerprint {
            return Err(LinkError::BadPeers);
        }
        loop {
            let Some(waiting) = mesh.wait_for(peer)? else { return Ok(()) };
            if let How::Dial { addrs } = &how {
                self.inner.start_dial(peer, addrs.clone(), deadline);
            }
            let limit = if how == How::Await { deadline } else { deadline + GRACE };
            match tokio::time::timeout_at(limit, waiting).await {
                Err(_) => return Err(LinkError::Deadline(peer)),
                Ok(Err(_)) => return Err(LinkError::ShuttingDown),
                Ok(Ok(Ok(()))) => return Ok(()),
                // Somebody else's dial may have had less time.
                Ok(Ok(Err(error))) if error.is_transient() && Instant::now() + GRACE < deadline => {}
                Ok(Ok(Err(error))) => return Err(error),
            }
        }
    }

    /// While this is kept, links with these peers do not close for being idle: those that are there while others are still
    /// waited for.
    pub fn keep_links(&self, peers: Vec<Fingerprint>) -> KeptLinks {
        self.inner.mesh.want(&peers);
        KeptLinks { host: Arc::clone(&self.inner), peers }
    }

    /// Opens a session with these peers, all of whom must be linked. Ids never repeat.
    pub fn open_session(&self, id: SessionId, peers: Vec<Fingerprint>) -> Result<SessionPort, LinkError> {
        let (mailbox, outlets) = self.inner.mesh.open(id, &peers)?;
        let spin = self.inner.hub.config.spin;
        Ok(SessionPort::new(id, peers, mailbox, outlets, Some(Arc::clone(&self.inner)), spin))
    }

    /// Whether there is a live MPC link with this peer.
    pub fn is_linked(&self, peer: &Fingerprint) -> bool {
        self.inner.mesh.has_link(peer)
    }
}

/// Links that are about to be used.
#[must_use = "links may close as soon as this is dropped"]
pub struct KeptLinks {
    host: Arc<HostInner>,
    peers: Vec<Fingerprint>,
}

impl Drop for KeptLinks {
    fn drop(&mut self) {
        self.host.mesh.want_no_longer(&self.peers);
    }
}

impl HostInner {
    /// Starts dialling unless somebody already does.
    fn start_dial(self: &Arc<Self>, peer: Fingerprint, addrs: Vec<String>, deadline: Instant) {
        let Some(under_way) = self.mesh.claim_dial(peer) else { return };
        let host = Arc::clone(self);
        self.hub.tasks.spawn(async move {
            let dial =
                Dial { host: &host, peer, protocol: Protocol::Mpc, addrs: &addrs, deadline, under_way: &under_way };
            let result = tokio::select! {
                () = host.hub.stop.cancelled() => Err(LinkError::ShuttingDown),
                result = dial.run(|| host.mesh.has_link(&peer)) => result,
            };
            // The claim must be gone first: a tie with it would refuse our own connection.
            host.mesh.end_dial(&peer);
            match result {
                Ok(Some(conn)) => {
                    if let Err(refusal) = host.adopt_mpc(&conn) {
                        conn.close(CloseReason::Local);
                        conn.stream.take();
                        host.mesh.fail_waiters(&peer, &LinkError::PeerRefused(refusal));
                    }
                }
                Ok(None) => {}
                Err(error) => host.mesh.fail_waiters(&peer, &error),
            }
        });
    }
}

type Waiter = oneshot::Sender<Result<(), LinkError>>;

#[derive(Default)]
struct State {
    links: HashMap<Fingerprint, Arc<Conn>>,
    parking: HashMap<u64, Parking>,
    sessions: HashMap<SessionId, Arc<Mailbox>>,
    /// By peer and not by link: who comes back on another one has not taken away what it sent on the last.
    held: HashMap<Fingerprint, Held>,
    ended: HashSet<SessionId>,
    ended_order: VecDeque<SessionId>,
    dials: HashMap<Fingerprint, Arc<AtomicBool>>,
    waiters: HashMap<Fingerprint, Vec<Waiter>>,
    /// How many keep the link with a peer.
    wanted: HashMap<Fingerprint, usize>,
    down: bool,
}

/// The links and sessions of one party.
pub(crate) struct Mesh {
    me: Fingerprint,
    parking: ParkingLimits,
    session: SessionLimits,
    state: Mutex<State>,
}

impl Mesh {
    pub(crate) fn new(me: Fingerprint, parking: ParkingLimits, session: SessionLimits) -> Self {
        Self { me, parking, session, state: Mutex::default() }
    }

    /// Makes a connection the link of its pair; gives back the one it replaces. The newer one is
    /// right: a peer dials only if it has no link, so the old one is dead, known to us or not.
    /// When both dial at once, the party with the smaller fingerprint refuses the other's.
    pub(crate) fn register(&self, conn: &Arc<Conn>) -> Result<Option<Arc<Conn>>, Refusal> {
        let mut state = lock(&self.state);
        if state.down {
            return Err(Refusal::Busy);
        }
        let dialling = state.dials.get(&conn.peer).is_some_and(|d| d.load(Ordering::Acquire));
        if dialling && !conn.dialled && self.me < conn.peer {
            return Err(Refusal::Duplicate);
        }
        state.parking.insert(conn.id, Parking::default());
        let old = state.links.insert(conn.peer, Arc::clone(conn));
        for waiter in state.waiters.remove(&conn.peer).unwrap_or_default() {
            let _ = waiter.send(Ok(()));
        }
        Ok(old)
    }

    /// Takes a closed connection out and tells its sessions.
    pub(crate) fn detach(&self, conn: &Arc<Conn>) {
        let mut state = lock(&self.state);
        if state.links.get(&conn.peer).is_some_and(|c| c.id == conn.id) {
            state.links.remove(&conn.peer);
        }
        state.parking.remove(&conn.id);
        for mailbox in state.sessions.values() {
            if let Some(from) = mailbox.sender_on(conn.id) {
                mailbox.lose(from, conn.reason());
            }
        }
    }

    pub(crate) fn has_link(&self, peer: &Fingerprint) -> bool {
        lock(&self.state).links.get(peer).is_some_and(|c| c.closed().is_none())
    }

    /// Nothing if there is a link, otherwise what tells when there is.
    fn wait_for(&self, peer: Fingerprint) -> Result<Option<oneshot::Receiver<Result<(), LinkError>>>, LinkError> {
        let mut state = lock(&self.state);
        if state.down {
            return Err(LinkError::ShuttingDown);
        }
        if let Some(conn) = state.links.get(&peer).filter(|c| c.closed().is_none()) {
            conn.touched.store(true, Ordering::Relaxed);
            return Ok(None);
        }
        let (sender, receiver) = oneshot::channel();
        let waiters = state.waiters.entry(peer).or_default();
        waiters.retain(|w| !w.is_closed());
        waiters.push(sender);
        Ok(Some(receiver))
    }

    pub(crate) fn fail_waiters(&self, peer: &Fingerprint, error: &LinkError) {
        let waiters = lock(&self.state).waiters.remove(peer).unwrap_or_default();
        for waiter in waiters {
            let _ = waiter.send(Err(error.clone()));
        }
    }

    fn want(&self, peers: &[Fingerprint]) {
        let mut state = lock(&self.state);
        peers.iter().for_each(|peer| *state.wanted.entry(*peer).or_default() += 1);
    }

    fn want_no_longer(&self, peers: &[Fingerprint]) {
        let mut state = lock(&self.state);
        let State { links, wanted, .. } = &mut *state;
        for peer in peers {
            if let Some(count) = wanted.get_mut(peer) {
                *count -= 1;
            }
            if let Some(conn) = links.get(peer) {
                conn.touched.store(true, Ordering::Relaxed);
            }
        }
        wanted.retain(|_, count| *count > 0);
    }

    /// Whether this is a link that somebody keeps.
    pub(crate) fn is_wanted(&self, peer: &Fingerprint) -> bool {
        lock(&self.state).wanted.contains_key(peer)
    }

    fn claim_dial(&self, peer: Fingerprint) -> Option<Arc<AtomicBool>> {
        let mut state = lock(&self.state);
        if state.dials.contains_key(&peer) {
            return None;
        }
        let under_way = Arc::new(AtomicBool::new(false));
        state.dials.insert(peer, Arc::clone(&under_way));
        Some(under_way)
    }

    fn end_dial(&self, peer: &Fingerprint) {
        lock(&self.state).dials.remove(peer);
    }

    fn open(&self, id: SessionId, peers: &[Fingerprint]) -> Result<(Arc<Mailbox>, Vec<Outlet>), LinkError> {
        let distinct: HashSet<_> = peers.iter().collect();
        if distinct.len() != peers.len() || distinct.contains(&self.me) {
            return Err(LinkError::BadPeers);
        }
        let mut state = lock(&self.state);
        if state.down {
            return Err(LinkError::ShuttingDown);
        }
        if state.sessions.contains_key(&id) || state.ended.contains(&id) {
            return Err(LinkError::DuplicateSession(id));
        }
        let mut conns = Vec::with_capacity(peers.len());
        for peer in peers {
            let conn = state.links.get(peer).filter(|c| c.closed().is_none());
            conns.push(Arc::clone(conn.ok_or(LinkError::NotLinked(*peer))?));
        }
        let held = conns.iter().map(|c| (c.id, Held::clone(state.held.entry(c.peer).or_default()))).collect();
        let mailbox = Arc::new(Mailbox::new(held, self.session));
        for (from, conn) in conns.iter().enumerate() {
            conn.sessions.fetch_add(1, Ordering::Relaxed);
            match state.parking.get_mut(&conn.id).map(|p| p.take(&id)) {
                Some(Err(())) => mailbox.lose(from, CloseReason::Overflow),
                Some(Ok(frames)) => {
                    for frame in frames {
                        deliver(conn, &mailbox, from, id, frame);
                    }
                }
                None => {}
            }
        }
        state.sessions.insert(id, Arc::clone(&mailbox));
        Ok((mailbox, conns.into_iter().map(Outlet::Link).collect()))
    }

    pub(crate) fn end_session(&self, id: SessionId, outlets: &[Outlet]) {
        for outlet in outlets {
            if let Outlet::Link(conn) | Outlet::GivenUp(conn) = outlet {
                conn.sessions.fetch_sub(1, Ordering::Relaxed);
                conn.touched.store(true, Ordering::Relaxed);
            }
        }
        let mut state = lock(&self.state);
        state.sessions.remove(&id);
        // Those of this session go with a later one: its port is still there.
        state.held.retain(|_, held| Arc::strong_count(held) > 1);
        if state.ended.insert(id) {
            state.ended_order.push_back(id);
        }
        if state.ended_order.len() > REMEMBERED
            && let Some(oldest) = state.ended_order.pop_front()
        {
            state.ended.remove(&oldest);
        }
    }

    /// A message arrived.
    pub(crate) fn data(&self, conn: &Arc<Conn>, data: Data) {
        self.route(conn, data.session, Parked::Data { more: data.more, body: data.body });
    }

    /// The peer left a session.
    pub(crate) fn peer_left(&self, conn: &Arc<Conn>, session: SessionId) {
        self.route(conn, session, Parked::Close);
    }

    fn route(&self, conn: &Arc<Conn>, session: SessionId, frame: Parked) {
        let mailbox = {
            let mut state = lock(&self.state);
            match state.sessions.get(&session) {
                Some(mailbox) => Arc::clone(mailbox),
                None if state.ended.contains(&session) => return,
                None => {
                    // Its session is about to open here.
                    conn.touched.store(true, Ordering::Relaxed);
                    let refused = state.parking.get_mut(&conn.id).and_then(|p| p.park(session, frame, &self.parking));
                    drop(state);
                    if let Some(refused) = refused {
                        tell_refused(conn, refused);
                    }
                    return;
                }
            }
        };
        match mailbox.sender_on(conn.id) {
            Some(from) => deliver(conn, &mailbox, from, session, frame),
            None => {
                mailbox.count_stranger();
                conn.dropped.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Throws away what waits too long for its session.
    pub(crate) fn expire(&self, now: Instant) {
        let mut state = lock(&self.state);
        let State { links, parking, .. } = &mut *state;
        for conn in links.values() {
            let expired = parking.get_mut(&conn.id).map(|p| p.expire(now, &self.parking));
            for session in expired.unwrap_or_default() {
                tell_refused(conn, session);
            }
        }
    }

    /// No more links, sessions or waiting.
    pub(crate) fn shut(&self) {
        let mut state = lock(&self.state);
        state.down = true;
        state.waiters.clear();
    }
}

fn deliver(conn: &Conn, mailbox: &Mailbox, from: usize, session: SessionId, frame: Parked) {
    match frame {
        Parked::Data { more, body } => {
            if !mailbox.deliver(from, more, body) {
                tell_refused(conn, session);
            }
        }
        Parked::Close => mailbox.lose(from, CloseReason::PeerLeft),
    }
}

/// Tells the peer that this side does not take part in a session.
fn tell_refused(conn: &Conn, session: SessionId) {
    if conn.outbox.queued() < REPLY_BELOW {
        conn.outbox.push(Item::close(session));
    }
}
