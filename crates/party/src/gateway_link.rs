//! The control link to the gateway: dialled, kept, dialled again.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tacit_job::{GatewayAt, Report, Request, Response, ToGateway, ToPeer};
use tacit_link::{CloseReason, ControlLink, ControlSender, LinkError, Refusal};
use tacit_model::api::PairingState;
use tacit_model::{CLOCK_SKEW_MS, Fingerprint};
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;
use tracing::{debug, info, warn};

use crate::PartyError;
use crate::error::{TOLD, plain};
use crate::outbox::backoff;
use crate::party::Inner;
use crate::provider::pings::{self, Ping};
use crate::{receipts, session, witness};

/// A link that lived so long was a good one: the next is dialled soon.
const STABLE: Duration = Duration::from_secs(5);

/// After so many failed rounds the gateway may be elsewhere.
const LOOK_AROUND: u32 = 2;
/// So many addresses of a gateway are kept.
const ADDRESSES: usize = 12;

/// Where there are several gateways, each is dialled for so long at most, and longer after [`PATIENT`] rounds in vain,
const SEVERAL_DIAL: Duration = Duration::from_millis(400);
/// and the pause before the next round is not longer than this.
const SEVERAL_PAUSE: Duration = Duration::from_millis(500);
/// While another one is elected nobody needs to know.
const PATIENT: u32 = 5;
/// Nobody leads so many times between two words of leaders. A gateway that is cut off stands for election twice a
/// second, in vain, and each time counts: that is centuries of it.
const FURTHEST: u64 = 10_000_000_000;
/// So long a gateway that is late may still send the next charter.
const LAST_WORD: Duration = Duration::from_millis(300);
/// So many gateways are kept.
const GATEWAYS: usize = 16;

/// A gateway that refused this key is asked again as seldom as after so many failures.
const REFUSED: u32 = 8;

/// The way to the gateway, while there is one.
#[derive(Default)]
pub(crate) struct Line {
    state: Mutex<State>,
    opened: Notify,
    next_request: AtomicU64,
}

#[derive(Default)]
struct State {
    gateway: Option<Fingerprint>,
    sender: Option<ControlSender>,
    requests: HashMap<u64, oneshot::Sender<Response>>,
}

impl Line {
    pub(crate) fn connected(&self) -> bool {
        self.lock().sender.is_some()
    }

    /// Waits until there is a link, at most so long.
    pub(crate) async fn until_connected(&self, limit: Duration) {
        let connected = async {
            loop {
                let opened = self.opened.notified();
                if self.connected() {
                    return;
                }
                opened.await;
            }
        };
        let _in_time = tokio::time::timeout(limit, connected).await;
    }

    /// Whether it was queued.
    pub(crate) fn send(&self, message: &ToGateway) -> bool {
        let sender = self.lock().sender.clone();
        sender.is_some_and(|sender| sender.send(message).is_ok())
    }

    /// Asks the gateway, and waits for its answer.
    pub(crate) async fn request(&self, request: Request, limit: Duration) -> Result<Response, PartyError> {
        let number = self.next_request.fetch_add(1, Ordering::Relaxed);
        let (sender, answer) = oneshot::channel();
        self.lock().requests.insert(number, sender);
        let sent = self.send(&ToGateway::Request { number, request });
        let answer = if sent { tokio::time::timeout(limit, answer).await.ok() } else { None };
        self.lock().requests.remove(&number);
        answer.and_then(Result::ok).ok_or(PartyError::Unreachable)
    }

    fn answer(&self, number: u64, response: Response) {
        if let Some(waiting) = self.lock().requests.remove(&number) {
            let _gone = waiting.send(response);
        }
    }

    /// The gateway at the other end, or that was there last.
    pub(crate) fn gateway(&self) -> Option<Fingerprint> {
        self.lock().gateway
    }

    fn open(&self, sender: ControlSender) {
        let mut state = self.lock();
        state.gateway = Some(sender.peer());
        state.sender = Some(sender);
        self.opened.notify_waiters();
    }

    fn close(&self) {
        let mut state = self.lock();
        *state = State { gateway: state.gateway, ..State::default() };
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps the link for as long as the party lives: to the gateway that leads, where there are several.
pub(crate) async fn run(party: Arc<Inner>) {
    let mut failures = 0;
    // The one that led last is tried first.
    let mut first = party.gateway;
    while !party.stop.is_cancelled() {
        let mut gateways = party.gateways();
        gateways.sort_by_key(|gateway| *gateway != first);
        let several = gateways.len() > 1;
        for gateway in gateways {
            let ended = tokio::select! {
                () = party.stop.cancelled() => return,
                ended = attempt(&party, gateway, several, &mut failures) => ended,
            };
            if let Ended::Served = ended {
                first = gateway;
                break;
            }
        }
        let longest = if several { party.limits.reconnect_max.min(SEVERAL_PAUSE) } else { party.limits.reconnect_max };
        let pause = backoff(party.limits.reconnect_first, longest, failures);
        failures = failures.saturating_add(1);
        tokio::select! {
            () = party.stop.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
    }
}

enum Ended {
    /// There was a link.
    Served,
    /// There was none.
    Unreached,
}

/// Dials one gateway and serves its link to the end.
async fn attempt(party: &Arc<Inner>, gateway: Fingerprint, several: bool, failures: &mut u32) -> Ended {
    let known = addresses_of(party, gateway);
    let addresses = match &party.finder {
        // It may have moved. What is found is dialled, and believed if it has the right key.
        Some(finder) if *failures >= LOOK_AROUND => to_dial(finder.links_of(gateway).await, &known),
        _ => known.clone(),
    };
    // Where there are several, one that is gone or does not lead is not waited for.
    let limit = match several && *failures <= PATIENT {
        true => party.limits.dial.min(SEVERAL_DIAL),
        false => party.limits.dial,
    };
    match party.host.dial_control(gateway, &addresses, limit).await {
        Ok(link) => {
            let since = Instant::now();
            // As many as before may be others, or the same in another order.
            if gateway == party.gateway && addresses != known {
                moved(party, addresses).await;
            }
            let ended = serve(party, link).await;
            if since.elapsed() > STABLE {
                *failures = 0;
            }
            party.line.close();
            // Their gateway will ask again; what computes already goes on without it.
            party.sessions.give_up_waiting(|_| true);
            debug!(party = %party.name, %ended, "control link ended");
            match ended {
                // It was this side that would not have it: the clocks differ, or another one leads.
                LinkError::Closed(CloseReason::Local) => Ended::Unreached,
                _ => Ended::Served,
            }
        }
        Err(LinkError::PeerRefused(Refusal::NotAdmitted)) => {
            *failures = (*failures).max(REFUSED);
            if party.standing.get().pairing != PairingState::Revoked {
                party.trouble(
                    "the gateway does not know this peer's key any more: its operator has revoked or removed it"
                        .to_owned(),
                );
            }
            paired(party, PairingState::Revoked).await;
            Ended::Unreached
        }
        Err(error) => {
            // Once is a restart; from the second time on the owner should know.
            if *failures > if several { PATIENT } else { 0 } {
                party.trouble(no_link(&addresses, &error));
            }
            debug!(party = %party.name, gateway = %gateway.short(), %error, "the gateway was not reached");
            Ended::Unreached
        }
    }
}

/// What the owner reads. Addresses come from the gateway, or from whoever answered a search.
fn no_link(addresses: &[String], error: &LinkError) -> String {
    match addresses {
        [] => format!("no link to the gateway: {error}"),
        tried => format!("no link to the gateway at {}: {error}", plain(&tried.join(", "), TOLD)),
    }
}

/// Where a gateway was when it or another one last said so.
fn addresses_of(party: &Inner, gateway: Fingerprint) -> Vec<String> {
    let standing = party.standing.get();
    let mut addresses = if gateway == party.gateway { standing.endpoints } else { Vec::new() };
    let told = standing.gateways.into_iter().filter(|at| at.fingerprint == gateway);
    addresses.extend(told.flat_map(|at| at.endpoints));
    first_of_each(addresses)
}

/// What is to be thought of a gateway that says that it leads.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Led {
    Believed,
    /// Another one led after it.
    Late,
    /// No gateway can have led so often meanwhile.
    TooFar,
    /// The database did not keep it.
    Unkept,
}

async fn led(party: &Arc<Inner>, epoch: u64, gateways: &[GatewayAt]) -> Led {
    let short = |at: &&GatewayAt| at.endpoints.len() <= ADDRESSES && at.endpoints.iter().all(|e| e.len() <= 300);
    let gateways: Vec<GatewayAt> = gateways.iter().filter(short).take(GATEWAYS).cloned().collect();
    let among = party.gateways();
    let mut led = Led::Believed;
    let kept = party
        .standing
        .change(|standing| {
            let known = standing.epoch_among(&among);
            led = match epoch {
                late if late < known => Led::Late,
                far if far - known > FURTHEST => Led::TooFar,
                _ => Led::Believed,
            };
            let changed = standing.epoch != epoch || standing.among != among || standing.gateways != gateways;
            if led != Led::Believed || !changed {
                return false;
            }
            standing.epoch = epoch;
            standing.among = among;
            standing.gateways = gateways;
            true
        })
        .await;
    match kept {
        Ok(_) => led,
        Err(error) => {
            party.trouble(format!("who leads could not be kept: {error}"));
            Led::Unkept
        }
    }
}

/// Whether a gateway that says that it leads is obeyed.
async fn follow(party: &Arc<Inner>, link: &mut ControlLink, epoch: u64, gateways: &[GatewayAt]) -> bool {
    let mut led_so = led(party, epoch, gateways).await;
    if led_so == Led::Late
        // It may bring the charter that ends the epochs of another one, which lied.
        && let Ok(Ok(ToPeer::Charter { documents })) = tokio::time::timeout(LAST_WORD, link.recv::<ToPeer>()).await
    {
        party.take_charter(&documents).await;
        led_so = led(party, epoch, gateways).await;
    }
    match led_so {
        Led::Believed => return true,
        Led::Late => info!(party = %party.name, epoch, "this gateway leads no more"),
        Led::TooFar => party.trouble(format!(
            "the gateway {} says epoch {epoch}, which cannot be, and is not obeyed: ask its operator; who signs the \
             charter can take it off the gateways",
            link.peer()
        )),
        Led::Unkept => {}
    }
    false
}

/// The gateway was reached with the help of these addresses: they are tried first from now on.
async fn moved(party: &Arc<Inner>, addresses: Vec<String>) {
    let kept = party
        .standing
        .change(|standing| {
            standing.endpoints = addresses;
            true
        })
        .await;
    if let Err(error) = kept {
        party.trouble(format!("the gateway's new address could not be kept: {error}"));
    }
}

/// The addresses that were found, then those that were known; the last ones of too many are forgotten.
fn to_dial(found: Vec<String>, known: &[String]) -> Vec<String> {
    first_of_each(found.into_iter().chain(known.iter().cloned()).collect())
}

/// Each address once, the first ones.
fn first_of_each(addresses: Vec<String>) -> Vec<String> {
    let mut seen = std::collections::BTreeSet::new();
    addresses.into_iter().filter(|address| seen.insert(address.clone())).take(ADDRESSES).collect()
}

async fn serve(party: &Arc<Inner>, mut link: ControlLink) -> LinkError {
    if link.skew_ms().abs() > CLOCK_SKEW_MS {
        let ours = party.clock.now();
        let theirs = ours.plus(link.skew_ms());
        party.trouble(format!(
            "the clocks differ by more than 2 minutes: here {ours}, at the gateway {theirs}; set them right"
        ));
        return LinkError::Closed(CloseReason::Local);
    }
    let hello = ToGateway::Hello {
        name: party.name.clone(),
        group: party.group,
        software: env!("CARGO_PKG_VERSION").to_owned(),
        known: party.roster.id(),
        run: party.standing.run(),
        endpoint: Some(party.endpoint.now()).filter(|endpoint| !endpoint.is_empty()),
    };
    if let Err(error) = link.send(&hello) {
        return error;
    }
    party.line.open(link.sender());
    let gateway = link.peer();
    info!(party = %party.name, gateway = %gateway.short(), "connected to the gateway");
    party.announce_rows().await;
    party.tell_offer();
    receipts::tell_awaited(party).await;
    let mut said = 0;
    loop {
        let message = tokio::select! {
            () = party.stop.cancelled() => return LinkError::ShuttingDown,
            message = link.recv::<ToPeer>() => message,
        };
        match message {
            Ok(ToPeer::Lead { epoch, gateways }) => {
                if !follow(party, &mut link, epoch, &gateways).await {
                    return LinkError::Closed(CloseReason::Local);
                }
                said = epoch;
            }
            // Another gateway has taken over from whoever asks, or this one has not said that it leads.
            Ok(ToPeer::Prepare { .. }) if said < party.standing.epoch_among(&party.gateways()) => {
                warn!(party = %party.name, "a job of a gateway that does not lead is not looked at");
            }
            Ok(message) => handle(party, message).await,
            // Of a newer gateway, perhaps.
            Err(error @ LinkError::BadMessage { .. }) => warn!(party = %party.name, %error, "message skipped"),
            Err(error) => return error,
        }
    }
}

/// Keeps what the gateway says of the pairing, for the owner; what a member may do is in the charter.
async fn paired(party: &Arc<Inner>, state: PairingState) {
    let changed = party
        .standing
        .change(|standing| {
            let changed = standing.pairing != state;
            standing.pairing = state;
            changed
        })
        .await;
    match (changed, state) {
        (Err(error), _) => party.trouble(format!("the pairing's state could not be kept: {error}")),
        (Ok(true), PairingState::Rejected | PairingState::Revoked) => {
            let done = match state {
                // It let this peer in no more, and said nothing: it may also have removed it, or the whole group.
                PairingState::Revoked if !party.line.connected() => "revoked or removed",
                _ => state.word(),
            };
            party.trouble(format!("the gateway's operator has {done} this peer"));
        }
        _ => {}
    }
}

/// Answers one message. What takes long goes on by itself; what later messages rely on is done here.
async fn handle(party: &Arc<Inner>, message: ToPeer) {
    match message {
        ToPeer::Prepare { job, plan } => session::on_prepare(party, *job, plan),
        ToPeer::Link { session, nonces, endpoints } => session::on_link(party, session, nonces, endpoints),
        ToPeer::Session { session } => session::on_session(party, session),
        ToPeer::Ping { session } => {
            party.line.send(&ToGateway::Report { session, report: Report::Pong });
        }
        ToPeer::PingProvider { session, number, more } => pings::on_ping(party, session, Ping { number, more }),
        ToPeer::Abort { session } => session::on_abort(party, session),
        ToPeer::Charter { documents } => party.take_charter(&documents).await,
        ToPeer::Receipt { session, receipt, own } => receipts::on_receipt(party, session, receipt, own),
        ToPeer::ReceiptsSent { upto, more } => receipts::on_sent(party, upto, more),
        ToPeer::PartWanted { session } => receipts::on_wanted(party, session).await,
        ToPeer::Witness { shown } => witness::on_shown(party, *shown),
        ToPeer::Pairing { state } => paired(party, state).await,
        ToPeer::Start { group, run, from } if group == party.group => {
            if let Err(error) = party.begin_run(run, from).await {
                party.trouble(format!("run {run} could not be started: {error}"));
            }
        }
        ToPeer::Stop { group, run, reason } if group == party.group => {
            if let Err(error) = party.end_run(run, reason).await {
                party.trouble(format!("run {run} could not be ended: {error}"));
            }
        }
        ToPeer::Response { number, response } => {
            // A run begins before the operator hears of it, and before the next message is looked at.
            if let Response::Started { run, from } = &response
                && let Err(error) = party.begin_run(*run, *from).await
            {
                party.trouble(format!("run {run} could not be started: {error}"));
            }
            party.line.answer(number, response);
        }
        _ => debug!(party = %party.name, "message of another group or a newer version"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stale() -> Vec<String> {
        (0..ADDRESSES).map(|number| format!("10.0.0.{number}:7401")).collect()
    }

    #[test]
    fn a_gateway_without_a_link_is_named_by_all_addresses_that_were_tried() {
        let refused = LinkError::Network(std::io::ErrorKind::ConnectionRefused);
        let told = no_link(&["gw.example:7401".to_owned(), "10.0.0.1:7401".to_owned()], &refused);
        assert_eq!(told, "no link to the gateway at gw.example:7401, 10.0.0.1:7401: network: connection refused");
        assert_eq!(no_link(&[], &refused), "no link to the gateway: network: connection refused");
        // Somebody else wrote them.
        let told = no_link(&["a\n\u{1b}[31mb".to_owned() + &"c".repeat(10_000)], &refused);
        assert!(told.len() < 1000 && !told.chars().any(char::is_control), "{told}");
    }

    #[test]
    fn a_new_address_is_dialled_first_and_pushes_the_last_stale_one_out() {
        let (known, new) = (stale(), "10.1.0.1:7401".to_owned());
        let addresses = to_dial(vec![new.clone()], &known);
        assert_eq!(addresses.len(), known.len());
        assert_ne!(addresses, known, "so it is kept");
        assert_eq!(addresses[0], new);
        assert_eq!(addresses[1..], known[..ADDRESSES - 1]);
    }

    #[test]
    fn an_earlier_address_comes_back_to_the_front_and_nothing_found_changes_nothing() {
        let known = stale();
        let addresses = to_dial(vec![known[3].clone()], &known);
        assert_eq!(addresses.len(), known.len());
        assert_ne!(addresses, known, "so it is kept");
        assert_eq!(addresses[..2], [known[3].clone(), known[0].clone()]);
        assert_eq!(to_dial(Vec::new(), &known), known);
        assert_eq!(to_dial(known[..1].to_vec(), &known), known);
    }
}
