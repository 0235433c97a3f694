//! A node in a folder of its own, and short ways to ask it things.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request, StatusCode, header};
use serde_json::Value;
use tacit_api::{AdminKey, Edge, EdgeOptions, NodeInfo, PartyDesk, issue_token, router};
use tacit_audit::{AuditLog, AuditSetup};
use tacit_gateway::{Admitted, Gateway, GatewaySetup, Notifier, RunnerLimits};
use tacit_link::{LinkConfig, LinkHub};
use tacit_model::api::Role;
use tacit_model::{Clock as _, SystemClock};
use tacit_party::{HttpRules, Parties, PartiesSetup, PartyLimits, Policy};
use tacit_pki::Identity;
use tacit_store::Store;
use tempfile::TempDir;
use time::OffsetDateTime;
use tower::ServiceExt as _;

pub(crate) const KEY: &str = "k3y";
pub(crate) const MGMT: &str = "/p2ds-group-management/group-mgmt";

/// The key pair of the P2DS demo; published, protects nothing.
pub(crate) const PUBLIC_KEY: &str = "MH4wEAYHKoZIzj0CAQYFK4EEACQDagAEAJig6xXX4SuME5lRB2ADn7T7CgyH7LXbxy/oS5XhIElBPwz/40cwDAc/VgGbDKa+HGBc/AGzwSlScoCDHc7WA1tSkRUkaW/lL9NbA6gIzJLMw+FV3RPor0vpJIofVcAaV6WI1r99v8Y=";
pub(crate) const PRIVATE_KEY: &str =
    "MFECAQAwEAYHKoZIzj0CAQYFK4EEACQEOjA4AgEBBDNyjBeP85atxkIfiYqW+0kUB2H3guXcQWXT/tXVktbn3MyUdRmNIL99G3rK1XoGSRAM6js=";

pub(crate) struct World {
    pub(crate) router: Router,
    pub(crate) store: Store,
    pub(crate) log: AuditLog,
    pub(crate) gateway: Gateway,
    pub(crate) admitted: Admitted,
    pub(crate) identity: Arc<Identity>,
    manager: Arc<Identity>,
    pub(crate) hub: Arc<LinkHub>,
    pub(crate) folder: TempDir,
    pub(crate) owner: String,
    notifier: Option<Arc<dyn Notifier>>,
}

pub(crate) fn identity(label: &str) -> Arc<Identity> {
    Arc::new(Identity::generate(label, OffsetDateTime::UNIX_EPOCH).unwrap())
}

async fn gateway_of(
    hub: &LinkHub,
    identity: &Arc<Identity>,
    manager: &Arc<Identity>,
    store: &Store,
    log: &AuditLog,
    admitted: &Admitted,
    notifier: &Option<Arc<dyn Notifier>>,
) -> Gateway {
    Gateway::open(GatewaySetup {
        host: hub.host(identity.clone(), Arc::new(admitted.clone())).unwrap(),
        identity: identity.clone(),
        manager: manager.clone(),
        store: store.clone(),
        log: log.clone(),
        clock: Arc::new(SystemClock),
        endpoint: hub.local_addr().to_string().into(),
        admitted: admitted.clone(),
        notifier: notifier.clone(),
        lead: None,
        limits: RunnerLimits::default(),
    })
    .await
    .unwrap()
}

/// An edge whose gateway is real and whose parties are those of `desk`.
pub(crate) async fn world_with(desk: Option<PartyDesk>, change: impl FnOnce(&mut Edge)) -> World {
    world_of(desk, None, change).await
}

/// A gateway that tells clients by a notifier of the test's.
pub(crate) async fn world_telling(notifier: Arc<dyn Notifier>) -> World {
    world_of(None, Some(notifier), |_| {}).await
}

async fn world_of(
    desk: Option<PartyDesk>,
    notifier: Option<Arc<dyn Notifier>>,
    change: impl FnOnce(&mut Edge),
) -> World {
    let folder = TempDir::new().unwrap();
    let store = Store::open(folder.path().join("tacit.db").to_str().unwrap()).await.unwrap();
    let hub = Arc::new(LinkHub::bind(LinkConfig::new("127.0.0.1:0".parse().unwrap())).await.unwrap());
    let identity = identity("gateway");
    let admitted = Admitted::default();
    let log = AuditLog::open(AuditSetup {
        store: store.clone(),
        node: identity.clone(),
        clock: Arc::new(SystemClock),
        software: "tacit 0.1.0".to_owned(),
        parameters: Vec::new(),
    })
    .await
    .unwrap();
    let manager = self::identity("manager");
    let gateway = gateway_of(&hub, &identity, &manager, &store, &log, &admitted, &notifier).await;
    let mut options = EdgeOptions::new("http://localhost:12001");
    options.admin_key = Some(AdminKey::new(KEY));
    options.p2ds_face = true;
    options.test_mode_allowed = true;
    let mut edge = Edge {
        gateway: Some(gateway.clone()),
        parties: desk,
        receiver: true,
        store: store.clone(),
        log: log.clone(),
        node: NodeInfo {
            name: "node <1>".to_owned(),
            fingerprint: identity.fingerprint(),
            version: "0.1.0".to_owned(),
            link_address: Some(hub.local_addr().to_string()),
            roles: vec!["gateway".to_owned(), "receiver".to_owned()],
            announcement: None,
        },
        clock: Arc::new(SystemClock),
        options,
    };
    change(&mut edge);
    let owner = issue_token(&store, Role::Owner, "owner", SystemClock.now()).await.unwrap();
    let owner = owner.expose_text().to_owned();
    World { router: router(edge), store, log, gateway, admitted, identity, manager, hub, folder, owner, notifier }
}

pub(crate) async fn world() -> World {
    world_with(Some(crate::desk::Fake::default().desk()), |_| {}).await
}

impl World {
    /// The gateway ends, and another one opens over the same rows, with the same keys.
    pub(crate) async fn restart_gateway(&mut self) {
        self.gateway.shutdown().await;
        self.hub.unhost(&self.identity.fingerprint());
        self.admitted = Admitted::default();
        let Self { hub, identity, manager, store, log, admitted, notifier, .. } = &*self;
        self.gateway = gateway_of(hub, identity, manager, store, log, admitted, notifier).await;
    }

    /// Parties of this node, with real links.
    pub(crate) async fn parties(&self) -> Parties {
        Parties::open(PartiesSetup {
            keys: {
                let keys = self.folder.path().join("keys");
                std::fs::create_dir_all(&keys).unwrap();
                std::fs::set_permissions(&keys, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
                keys
            },
            hub: self.hub.clone(),
            store: self.store.clone(),
            log: self.log.clone(),
            clock: Arc::new(SystemClock),
            policy: Policy::default(),
            http: HttpRules::default(),
            limits: PartyLimits::default(),
            endpoint: self.hub.local_addr().to_string().into(),
            finder: None,
            provider: None,
        })
        .await
        .unwrap()
    }

    pub(crate) fn ask(&self, method: &str, path: impl Into<String>) -> Ask {
        Ask::new(self.router.clone(), method, path.into())
    }

    pub(crate) fn get(&self, path: impl Into<String>) -> Ask {
        self.ask("GET", path)
    }

    pub(crate) fn post(&self, path: impl Into<String>) -> Ask {
        self.ask("POST", path)
    }

    pub(crate) fn delete(&self, path: impl Into<String>) -> Ask {
        self.ask("DELETE", path)
    }

    /// A call of /api/v1 by the owner.
    pub(crate) fn api(&self, method: &str, path: &str) -> Ask {
        self.ask(method, format!("/api/v1{path}")).token(&self.owner)
    }

    /// A call of the group manager with the admin key.
    pub(crate) async fn admin(&self, method: &str, path: &str) -> Reply {
        let mark = if path.contains('?') { '&' } else { '?' };
        self.ask(method, format!("{MGMT}{path}{mark}adminKey={KEY}")).send().await
    }

    pub(crate) async fn create_group(&self, name: &str) -> Reply {
        self.post(format!("{MGMT}/group?adminKey={KEY}")).json(&format!(r#"{{"name":"{name}"}}"#)).await
    }

    pub(crate) async fn code(&self, gid: i64) -> String {
        let reply = self.admin("POST", &format!("/registration/{gid}")).await;
        assert_eq!(reply.status, 200, "{}", reply.text);
        reply.json()["registrationCode"].as_str().unwrap().to_owned()
    }

    /// Registers a member as an old client does, without a key; its code.
    pub(crate) async fn member(&self, gid: i64, name: &str, kind: u8) -> String {
        let code = self.code(gid).await;
        let path = format!("{MGMT}/register/{code}?name={name}&type={kind}&url=http://localhost/p2ds-peer");
        let reply = self.post(path).send().await;
        assert_eq!(reply.status, 200, "{}", reply.text);
        code
    }
}

pub(crate) struct Ask {
    router: Router,
    request: axum::http::request::Builder,
}

impl Ask {
    pub(crate) fn new(router: Router, method: &str, path: String) -> Self {
        Self { router, request: Request::builder().method(method).uri(path) }
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.request = self.request.header(name, value);
        self
    }

    pub(crate) fn token(self, token: &str) -> Self {
        self.header("authorization", &format!("Bearer {token}"))
    }

    pub(crate) async fn send(self) -> Reply {
        self.body("").await
    }

    pub(crate) async fn json(self, body: &str) -> Reply {
        self.header("content-type", "application/json").body(body.to_owned()).await
    }

    /// The same with a body that the future keeps.
    pub(crate) fn json_owned(self, body: &str) -> impl Future<Output = Reply> + use<> {
        self.header("content-type", "application/json").body(body.to_owned())
    }

    pub(crate) async fn form(self, body: &str) -> Reply {
        self.header("content-type", "application/x-www-form-urlencoded").body(body.to_owned()).await
    }

    pub(crate) async fn body<B: Into<Body>>(self, body: B) -> Reply {
        let response = self.router.oneshot(self.request.body(body.into()).unwrap()).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = to_bytes(body, usize::MAX).await.unwrap();
        Reply { status: parts.status, headers: parts.headers, text: String::from_utf8(bytes.to_vec()).unwrap() }
    }
}

#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Reply {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|e| panic!("{e}: {}", self.text))
    }

    pub(crate) fn media_type(&self) -> &str {
        self.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// Asserts a word of the face.
    #[track_caller]
    pub(crate) fn says(&self, status: u16, word: &str) {
        assert_eq!(
            (self.status.as_u16(), self.text.as_str()),
            (status, word),
            "{:?}",
            self.headers.get("tacit-detail")
        );
    }

    /// Asserts a problem.
    #[track_caller]
    pub(crate) fn is_problem(&self, status: u16, kind: &str) {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        assert_eq!(self.media_type(), "application/problem+json", "{}", self.text);
        let problem = self.json();
        assert_eq!(problem["kind"], kind, "{}", self.text);
        assert_eq!(problem["status"], status);
        assert_eq!(problem["type"], format!("urn:tacit:problem:{kind}"));
    }
}
