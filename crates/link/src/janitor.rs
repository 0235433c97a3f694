//! One task per hub that looks at all links now and then: pings on all of them, more often on silent ones, closes dead and idle
//! ones and those whose peer does not read, throws away what waits too long. Links need no timers of their own.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, MissedTickBehavior};

use crate::config::LinkConfig;
use crate::connection::Conn;
use crate::error::CloseReason;
use crate::frame::{Frame, Kind};
use crate::hub::{HubInner, Protocol};
use crate::outbox::Item;

/// Bounds of the time between two looks.
const SHORTEST: Duration = Duration::from_millis(5);
const LONGEST: Duration = Duration::from_secs(1);

/// What was seen of a link.
struct Seen {
    heard: Instant,
    written: Instant,
    pinged: Instant,
    used: Instant,
}

pub(crate) async fn run(hub: Arc<HubInner>) {
    let config = &hub.config;
    let shortest = config.keep_alive.min(config.keep_alive_mpc).min(config.idle_link).min(config.parked_time);
    let tick = (shortest.min(config.unread) / 4).clamp(SHORTEST, LONGEST);
    let mut ticks = tokio::time::interval(tick);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut seen: HashMap<u64, Seen> = HashMap::new();
    let mut last = Instant::now();
    loop {
        tokio::select! {
            () = hub.stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        let now = Instant::now();
        // If this node itself was busy or asleep, silence proves nothing about the peers.
        let late = now.duration_since(last) > tick * 3;
        last = now;
        let (conns, parties) = (hub.conns(), hub.parties());
        let kept = |conn: &Conn| {
            let mut own = parties.iter().filter(|host| host.fingerprint == conn.local);
            conn.protocol == Protocol::Mpc && own.any(|host| host.mesh.is_wanted(&conn.peer))
        };
        for conn in &conns {
            let seen = seen.entry(conn.id).or_insert(Seen { heard: now, written: now, pinged: now, used: now });
            match look(conn, seen, now, tick, late, config) {
                Some(CloseReason::Idle) if kept(conn) => {}
                Some(reason) => conn.close(reason),
                None => {}
            }
        }
        seen.retain(|id, _| conns.iter().any(|c| c.id == *id));
        for host in parties {
            host.mesh.expire(now);
        }
    }
}

fn look(
    conn: &Arc<Conn>,
    seen: &mut Seen,
    now: Instant,
    tick: Duration,
    late: bool,
    config: &LinkConfig,
) -> Option<CloseReason> {
    // What is not read here, since the reader has much to do or a slow disk, is no silence of the peer.
    let held_up = conn.held_up.load(Ordering::Relaxed);
    if conn.heard.swap(false, Ordering::Relaxed) || held_up || late {
        seen.heard = now;
    }
    if !conn.outbox.is_stuck() || late {
        seen.written = now;
    }
    if conn.touched.swap(false, Ordering::Relaxed) || conn.sessions.load(Ordering::Relaxed) > 0 {
        seen.used = now;
    }
    let every = match conn.protocol {
        Protocol::Control | Protocol::Replica => config.keep_alive,
        Protocol::Mpc => config.keep_alive_mpc,
    };
    let silent = now.duration_since(seen.heard);
    if silent + tick >= every * 2 {
        return Some(CloseReason::Silent);
    }
    // However lively it is otherwise: what waits for it would hold up one session after the other.
    if now.duration_since(seen.written) >= config.unread || conn.outbox.queued() > config.max_queued {
        return Some(CloseReason::Unread);
    }
    // Also whoever is heard all the time: it may hear nothing else from here, and a question of its own waits behind all that it
    // sends.
    let pause = if silent + tick >= every { every / 2 } else { every };
    if now.duration_since(seen.pinged) + tick >= pause {
        seen.pinged = now;
        conn.outbox.push(Item::frame(Frame { kind: Kind::Ping, body: Bytes::new() }));
    }
    // The dialler closes idle links, so that a link is not closed from one side while the other
    // side's dial just found it warm; the acceptor only if the dialler does not.
    let idle = config.idle_link * if conn.dialled { 1 } else { 2 };
    (conn.protocol == Protocol::Mpc && now.duration_since(seen.used) >= idle).then_some(CloseReason::Idle)
}
