//! A node's HTTP edge without a network: requests go in as one text, and no answer is a 5xx.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{Method, Request, header};
use tacit_api::{
    AdminKey, DeskError, Edge, EdgeOptions, NodeInfo, PartyDesk, PartyFacts, PartyResult, PartyRoster, RowsKept,
    issue_token, router,
};
use tacit_audit::{AuditLog, AuditSetup};
use tacit_gateway::{Admitted, Gateway, GatewaySetup, RunnerLimits};
use tacit_link::{LinkConfig, LinkHub};
use tacit_model::api::Role;
use tacit_model::{Clock as _, Fingerprint, GroupId, RunId, Slot, SystemClock, UnixMillis};
use tacit_store::Store;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tower::ServiceExt as _;

use crate::keys;

/// A node lives for so many inputs: what they leave behind makes it slower and slower.
const LIFETIME: u32 = 2000;
/// Requests in one input.
const REQUESTS: usize = 16;

/// What the texts `{owner}`, `{viewer}` and `{code}` in a request stand for.
struct Secrets {
    owner: String,
    viewer: String,
    /// The last registration code that was drawn.
    code: String,
}

/// A node and how often it was asked.
pub struct Node {
    runtime: Runtime,
    gateway: bool,
    world: Option<World>,
    asked: u32,
}

struct World {
    router: Router,
    secrets: Secrets,
    _gateway: Option<(Gateway, Arc<LinkHub>)>,
    _folder: TempDir,
}

impl Node {
    /// A node that hosts peers and a receiver, and is a gateway or not.
    pub fn new(gateway: bool) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        Self { runtime, gateway, world: None, asked: 0 }
    }

    /// Sends what the input says: requests with a line of 16 equals signs between them, each of them a line
    /// `METHOD path`, header lines, an empty line, and the body. Where they say nothing of it, they send JSON
    /// and come from the owner.
    pub fn ask(&mut self, input: &[u8]) {
        self.asked += 1;
        if self.asked.is_multiple_of(LIFETIME) {
            self.world = None;
        }
        let gateway = self.gateway;
        self.runtime.block_on(async {
            if self.world.is_none() {
                self.world = Some(World::new(gateway).await);
            }
            let Some(world) = &mut self.world else { return };
            for text in split(input, b"\n================\n").take(REQUESTS) {
                world.send(text).await;
            }
        });
    }
}

impl World {
    async fn new(gateway: bool) -> Self {
        // In memory, where there is such a place: a disk makes this ten times slower.
        let folder = TempDir::new_in("/dev/shm").or_else(|_| TempDir::new()).expect("a folder");
        let path = folder.path().join("tacit.db");
        let store = Store::open(path.to_str().expect("UTF-8")).await.expect("a database");
        let identity = Arc::new(keys::identity(3));
        let log = AuditLog::open(AuditSetup {
            store: store.clone(),
            node: identity.clone(),
            clock: Arc::new(SystemClock),
            software: "fuzz".to_owned(),
            parameters: Vec::new(),
        });
        let log = log.await.expect("a log");
        let gateway = match gateway {
            true => Some(open_gateway(&store, &log).await),
            false => None,
        };
        let mut options = EdgeOptions::new("http://localhost:12001");
        options.admin_key = Some(AdminKey::new("k3y"));
        options.p2ds_face = true;
        options.test_mode_allowed = true;
        let secrets = Secrets {
            owner: token(&store, Role::Owner).await,
            viewer: token(&store, Role::Viewer).await,
            code: "none".to_owned(),
        };
        let edge = Edge {
            gateway: gateway.as_ref().map(|(gateway, _)| gateway.clone()),
            parties: Some(Played::default().desk()),
            receiver: true,
            store,
            log,
            node: NodeInfo {
                name: "node".to_owned(),
                fingerprint: identity.fingerprint(),
                version: "0".to_owned(),
                link_address: None,
                roles: vec!["receiver".to_owned()],
                announcement: None,
            },
            clock: Arc::new(SystemClock),
            options,
        };
        Self { router: router(edge), secrets, _gateway: gateway, _folder: folder }
    }

    async fn send(&mut self, text: &[u8]) {
        let Some(request) = self.request(text) else { return };
        let (method, uri) = (request.method().clone(), request.uri().clone());
        let response = self.router.clone().oneshot(request).await.expect("no error");
        let status = response.status();
        let body = axum::body::to_bytes(response.into_body(), usize::MAX).await.expect("a whole body");
        let text = String::from_utf8_lossy(&body);
        assert!(!status.is_server_error(), "{status} {method} {uri}: {text}");
        for key in ["\"code\":\"", "\"registrationCode\":\""] {
            if let Some((_, rest)) = text.split_once(key) {
                self.secrets.code = rest.split('"').next().unwrap_or_default().to_owned();
            }
        }
    }

    /// The request that a text describes, if HTTP has such requests.
    fn request(&self, text: &[u8]) -> Option<Request<Body>> {
        let (head, body) = match text.windows(2).position(|two| two == b"\n\n") {
            Some(at) => (&text[..at], &text[at + 2..]),
            None => (text, &[][..]),
        };
        let filled = |text: &str| {
            let text = text.replace("{owner}", &self.secrets.owner).replace("{viewer}", &self.secrets.viewer);
            text.replace("{code}", &self.secrets.code)
        };
        let head = filled(std::str::from_utf8(head).ok()?);
        let body = match std::str::from_utf8(body) {
            Ok(body) => Bytes::from(filled(body)),
            Err(_) => Bytes::copy_from_slice(body),
        };
        let mut lines = head.lines();
        let (method, path) = lines.next()?.split_once(' ')?;
        let mut request = Request::builder().method(Method::from_bytes(method.as_bytes()).ok()?).uri(path);
        for line in lines {
            let (name, value) = line.split_once(':')?;
            request = request.header(name, value.trim());
        }
        let headers = request.headers_ref()?;
        let (sends, may) = (headers.contains_key(header::CONTENT_TYPE), headers.contains_key(header::AUTHORIZATION));
        if !sends {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        if !may && path.starts_with("/api/v1") {
            request = request.header(header::AUTHORIZATION, format!("Bearer {}", self.secrets.owner));
        }
        request.body(Body::from(body)).ok()
    }
}

fn split<'a>(text: &'a [u8], by: &'static [u8]) -> impl Iterator<Item = &'a [u8]> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let here = rest?;
        match here.windows(by.len()).position(|window| window == by) {
            Some(at) => {
                rest = Some(&here[at + by.len()..]);
                Some(&here[..at])
            }
            None => rest.take(),
        }
    })
}

async fn token(store: &Store, role: Role) -> String {
    let token = issue_token(store, role, "fuzz", SystemClock.now()).await.expect("a token");
    token.expose_text().to_owned()
}

async fn open_gateway(store: &Store, log: &AuditLog) -> (Gateway, Arc<LinkHub>) {
    let listen = "127.0.0.1:0".parse().expect("an address");
    let hub = Arc::new(LinkHub::bind(LinkConfig::new(listen)).await.expect("a port"));
    let identity = Arc::new(keys::identity(3));
    let admitted = Admitted::default();
    let setup = GatewaySetup {
        host: hub.host(identity.clone(), Arc::new(admitted.clone())).expect("a host"),
        identity,
        manager: Arc::new(keys::identity(1)),
        store: store.clone(),
        log: log.clone(),
        clock: Arc::new(SystemClock),
        endpoint: hub.local_addr().to_string().into(),
        admitted,
        notifier: None,
        lead: None,
        limits: RunnerLimits::default(),
    };
    (Gateway::open(setup).await.expect("a gateway"), hub)
}

/// Peers played by a map.
#[derive(Clone, Default)]
struct Played(Arc<Mutex<BTreeMap<String, PartyFacts>>>);

impl Played {
    fn with<R>(&self, name: &str, work: impl FnOnce(&mut PartyFacts) -> Result<R, DeskError>) -> Result<R, DeskError> {
        self.0.lock().expect("one thread").get_mut(name).ok_or(DeskError::NotFound).and_then(work)
    }

    fn desk(self) -> PartyDesk {
        let [a, b, c, d, e, f, g, h, i] = std::array::from_fn(|_| self.clone());
        PartyDesk::new()
            .join(move |request| {
                let facts = PartyFacts {
                    name: request.name.clone(),
                    role: request.role,
                    gid: Some(GroupId(1)),
                    fingerprint: Some(Fingerprint([1; 32])),
                    gateway_url: request.gateway_url,
                    gateway_fingerprint: request.gateway_fingerprint,
                    comparison: None,
                    pairing: tacit_model::api::PairingState::Waiting,
                    gateway_compared: false,
                    final_results_url: request.final_results_url,
                    label_key: request.label_key,
                    registration_code: request.code,
                    status: 0,
                    connected: true,
                    run: None,
                    queued: 0,
                    last_error: None,
                    last_error_at: None,
                    earlier_errors: Vec::new(),
                };
                let mut parties = a.0.lock().expect("one thread");
                let done = match parties.contains_key(&request.name) {
                    true => Err(DeskError::Conflict("the name is taken".to_owned())),
                    false => {
                        parties.insert(request.name, facts.clone());
                        Ok(facts)
                    }
                };
                async { done }
            })
            .list(move |()| {
                let all = b.0.lock().expect("one thread").values().cloned().collect();
                async { Ok(all) }
            })
            .get(move |name| {
                let found = c.with(&name, |facts| Ok(facts.clone()));
                async { found }
            })
            .remove(move |name| {
                let gone = d.0.lock().expect("one thread").remove(&name).map(drop).ok_or(DeskError::NotFound);
                async { gone }
            })
            .start(move |name| {
                let done = e.with(&name, |facts| match facts.run.replace(RunId(1)) {
                    Some(_) => Err(DeskError::Running),
                    None => Ok(()),
                });
                async { done }
            })
            .stop(move |name| {
                let done = f.with(&name, |facts| facts.run.take().map(drop).ok_or(DeskError::NotRunning));
                async { done }
            })
            .add_rows(move |(name, rows, _)| {
                let done = g.with(&name, |facts| {
                    facts.run.ok_or(DeskError::NotRunning)?;
                    match rows.iter().all(|row| row.row.len() == 2) {
                        true => Ok(RowsKept { accepted: rows.len(), next_slot: Some(Slot(1)) }),
                        false => Err(DeskError::Invalid("wrong length".to_owned())),
                    }
                });
                async { done }
            })
            .results(move |(name, ..)| {
                let result = PartyResult {
                    run: RunId(1),
                    task: None,
                    slot: Slot(0),
                    values: vec![3, u128::MAX],
                    statistics: vec![("mean(x1)".to_owned(), 0.1)],
                    no_result: None,
                    contributors: 2,
                    at: UnixMillis(0),
                };
                let found = h.with(&name, |_| Ok((vec![result], false)));
                async { found }
            })
            .roster(move |name| {
                let found = i.with(&name, |_| Ok(PartyRoster::default()));
                async { found }
            })
    }
}
