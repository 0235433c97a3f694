//! The P2DS interface as its clients see it, and groups built through it.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::http::{Reply, Request, delete, escaped, get, post, post_json};
use crate::wait::until;

/// Peer types of the manual.
pub(crate) const INPUT: u8 = 1;
pub(crate) const PRIVACY: u8 = 2;
/// Statuses of the manual.
pub(crate) const STARTED: i64 = 1;
pub(crate) const ERROR: i64 = 2;
pub(crate) const STOPPED: i64 = 3;

/// The public and the private key of the demo files: sect409k1, public for years.
pub(crate) const DEMO_PUBLIC: &str = "MH4wEAYHKoZIzj0CAQYFK4EEACQDagAEAJig6xXX4SuME5lRB2ADn7T7CgyH7LXbxy/oS5XhIElBPwz/40cwDAc/VgGbDKa+HGBc/AGzwSlScoCDHc7WA1tSkRUkaW/lL9NbA6gIzJLMw+FV3RPor0vpJIofVcAaV6WI1r99v8Y=";
pub(crate) const DEMO_PRIVATE: &str =
    "MFECAQAwEAYHKoZIzj0CAQYFK4EEACQEOjA4AgEBBDNyjBeP85atxkIfiYqW+0kUB2H3guXcQWXT/tXVktbn3MyUdRmNIL99G3rK1XoGSRAM6js=";

/// A number that old servers write as a text.
#[track_caller]
pub(crate) fn number(value: &Value) -> i64 {
    let text = value.as_str().and_then(|text| text.parse().ok());
    value.as_i64().or(text).unwrap_or_else(|| panic!("not a number: {value}"))
}

/// A truth that old servers write as a text.
#[track_caller]
pub(crate) fn truth(value: &Value) -> bool {
    let text = value.as_str().and_then(|text| text.parse().ok());
    value.as_bool().or(text).unwrap_or_else(|| panic!("neither true nor false: {value}"))
}

/// The group management service.
#[derive(Clone)]
pub(crate) struct Manager {
    /// The service's address, as peers are told it.
    pub(crate) base: String,
    /// Where its pages are.
    pub(crate) pages: String,
    pub(crate) key: String,
    /// The node's `/api/v1` and its owner's token, for what the manual has no call for.
    api: (String, String),
    /// The node's certificate, if it is served over https: peers are told it, and join natively.
    pin: Option<String>,
}

impl Manager {
    pub(crate) fn new(url: &str, key: &str, token: &str) -> Self {
        let pages = format!("{url}/p2ds-group-management");
        let api = (format!("{url}/api/v1"), token.to_owned());
        Self { base: format!("{pages}/group-mgmt"), pages, key: key.to_owned(), api, pin: None }
    }

    /// It is served over https with this certificate.
    pub(crate) fn pinned(self, fingerprint: &str) -> Self {
        Self { pin: Some(fingerprint.to_owned()), ..self }
    }

    /// What the node's own API tells its owner.
    #[track_caller]
    pub(crate) fn told(&self, path: &str) -> Value {
        let (base, token) = &self.api;
        let url = format!("{base}{path}");
        Request::new("GET", &url).header("authorization", format!("Bearer {token}")).answer().ok().json()
    }

    /// An address below the service with the admin key.
    pub(crate) fn at(&self, path: &str) -> String {
        let joint = if path.contains('?') { '&' } else { '?' };
        format!("{}{path}{joint}adminKey={}", self.base, self.key)
    }

    #[track_caller]
    pub(crate) fn test_mode(&self, on: bool) {
        post(&self.at(&format!("/testmode?on={on}"))).expect(200, "ERR_SUCCESS");
    }

    #[track_caller]
    pub(crate) fn create_group(&self, name: &str) -> i64 {
        number(&post_json(&self.at("/group"), &json!({ "name": name })).ok().json()["gid"])
    }

    #[track_caller]
    pub(crate) fn invite(&self, gid: i64) -> String {
        let code = post(&self.at(&format!("/registration/{gid}"))).ok().json();
        assert_eq!(number(&code["gid"]), gid, "{code}");
        code["registrationCode"].as_str().expect("a code").to_owned()
    }

    /// A member as the administrator sees it.
    #[track_caller]
    pub(crate) fn peer(&self, name: &str) -> Value {
        get(&self.at(&format!("/peer/{}", escaped(name)))).ok().json()
    }

    #[track_caller]
    pub(crate) fn status(&self, name: &str) -> i64 {
        number(&self.peer(name)["lastStatus"])
    }

    #[track_caller]
    pub(crate) fn verify(&self, name: &str, verified: bool) -> Value {
        post(&self.at(&format!("/verify/{}?verified={verified}", escaped(name)))).ok().json()
    }

    #[track_caller]
    pub(crate) fn configure(&self, gid: i64, config: &Config) {
        post_json(&self.at("/configuration"), &config.json(gid)).ok();
    }

    pub(crate) fn start_group(&self, gid: i64) -> Reply {
        post(&self.at(&format!("/start/{gid}")))
    }

    pub(crate) fn stop_group(&self, gid: i64) -> Reply {
        post(&self.at(&format!("/stop/{gid}")))
    }

    /// The overview page.
    #[track_caller]
    pub(crate) fn overview(&self) -> String {
        get(&format!("{}/?adminKey={}", self.pages, self.key)).ok().body
    }

    /// Waits until the overview page says this.
    #[track_caller]
    pub(crate) fn wait_overview(&self, sentence: &str) {
        until(&format!("the overview to say {sentence:?}"), || {
            let page = self.overview();
            if page.contains(sentence) { Ok(()) } else { Err(page) }
        });
    }
}

/// The peer service.
#[derive(Clone)]
pub(crate) struct PeerService {
    pub(crate) base: String,
    pub(crate) key: String,
    /// The node's `/api/v1` and its owner's token.
    api: (String, String),
}

impl PeerService {
    pub(crate) fn new(url: &str, key: &str, token: &str) -> Self {
        let api = (format!("{url}/api/v1"), token.to_owned());
        Self { base: format!("{url}/p2ds-peer"), key: key.to_owned(), api }
    }

    /// Joins over https, with the certificate of the manager's node pinned.
    #[track_caller]
    fn join(&self, manager: &Manager, pin: &str, name: &str, kind: u8, code: &str, results: &str) {
        let (base, token) = &self.api;
        let role = if kind == INPUT { "input" } else { "privacy" };
        let body = json!({
            "name": name, "role": role, "gateway_url": manager.base, "gateway_fingerprint": pin,
            "registration_code": code, "final_results_url": results,
        });
        let url = format!("{base}/peers");
        let request = Request::new("POST", &url).header("authorization", format!("Bearer {token}"));
        let joined = request.json(&body).answer();
        assert_eq!(joined.status, 201, "{joined:?}");
    }

    /// An address below the service with the admin key.
    pub(crate) fn at(&self, path: &str) -> String {
        format!("{}{path}?adminKey={}", self.base, self.key)
    }

    /// The configuration of a peer as its operator posts it.
    pub(crate) fn config(manager: &Manager, name: &str, kind: u8, code: &str, results: &str) -> Value {
        json!({
            "finalResultsURL": results, "groupMgmtURL": manager.base, "name": name, "peerType": kind,
            "privateKey": DEMO_PRIVATE, "publicKey": DEMO_PUBLIC, "registrationCode": code,
        })
    }

    /// Posts a peer's configuration, upon which the service registers the peer.
    pub(crate) fn sign_up(&self, config: &Value) -> Reply {
        post_json(&self.at("/peer"), config)
    }

    pub(crate) fn start(&self, name: &str, code: &str) -> Reply {
        post(&format!("{}/start/{}?registrationCode={}", self.base, escaped(name), escaped(code)))
    }

    pub(crate) fn stop(&self, name: &str, code: &str) -> Reply {
        post(&format!("{}/stop/{}?registrationCode={}", self.base, escaped(name), escaped(code)))
    }

    /// A request that hands in one row.
    pub(crate) fn input(&self, name: &str, code: &str, row: &str) -> std::io::Result<Reply> {
        let url = format!("{}/input?registrationCode={}", self.base, escaped(code));
        Request::new("POST", &url).json(&json!({ "peerName": name, "data": row })).send()
    }

    pub(crate) fn inputs(&self, name: &str, code: &str, rows: &[String]) -> Reply {
        let url = format!("{}/inputs?registrationCode={}", self.base, escaped(code));
        post_json(&url, &json!({ "peerName": name, "data": rows }))
    }
}

/// The receiver of results.
pub(crate) struct Receiver {
    base: String,
}

impl Receiver {
    pub(crate) fn new(url: &str) -> Self {
        Self { base: format!("{url}/p2ds-receiver/receiver") }
    }

    /// Where results are posted.
    pub(crate) fn address(&self) -> String {
        format!("{}/receive", self.base)
    }

    /// The page.
    #[track_caller]
    pub(crate) fn page(&self) -> String {
        get(&format!("{}/show", self.base)).ok().body
    }

    /// The cells of the page's table, row by row, without its header.
    #[track_caller]
    pub(crate) fn table(&self) -> Vec<Vec<String>> {
        let page = self.page();
        let rows = page.split("<tr").skip(1).map(|row| row.split("</tr").next().unwrap_or_default());
        let cells = |row: &str| -> Vec<String> {
            let cell = |text: &str| {
                let inner = text.split_once('>').map_or("", |(_, inner)| inner);
                inner.split("</td").next().unwrap_or_default().trim().to_owned()
            };
            row.split("<td").skip(1).map(cell).collect()
        };
        rows.map(cells).filter(|cells| !cells.is_empty()).collect()
    }

    /// The results, sorted.
    #[track_caller]
    pub(crate) fn results(&self) -> Vec<String> {
        let mut results: Vec<String> = self.table().into_iter().filter_map(|row| row.into_iter().nth(2)).collect();
        results.sort();
        results
    }

    /// Waits until exactly these results are shown, in any order.
    #[track_caller]
    pub(crate) fn wait_results(&self, wanted: &[&str]) {
        let mut wanted: Vec<String> = wanted.iter().map(|row| (*row).to_owned()).collect();
        wanted.sort();
        until(&format!("the receiver to show {wanted:?}"), || {
            let shown = self.results();
            if shown == wanted { Ok(()) } else { Err(format!("{shown:?}")) }
        });
    }
}

/// The configuration of a group. The defaults are those of the manual's example.
#[derive(Clone)]
pub(crate) struct Config {
    pub(crate) field: u64,
    pub(crate) max: u64,
    pub(crate) items: u32,
    pub(crate) slots: i32,
    pub(crate) buffer: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self { field: 1013, max: 1000, items: 2, slots: 2, buffer: 1 }
    }
}

impl Config {
    /// The default for so many items and slots.
    pub(crate) fn of(items: u32, slots: i32) -> Self {
        Self { items, slots, ..Self::default() }
    }

    /// Numbers as texts, as the old scripts have them.
    pub(crate) fn json(&self, gid: i64) -> Value {
        json!({
            "field": self.field.to_string(), "gid": gid.to_string(), "maxElement": self.max.to_string(),
            "mpcProtocol": "additive", "numberOfItems": self.items.to_string(),
            "numberOfTimeSlots": self.slots.to_string(), "resultBufferSize": self.buffer.to_string(),
        })
    }
}

/// A member's place: where it lives and by what it authenticates.
#[derive(Clone)]
pub(crate) struct Seat {
    pub(crate) service: PeerService,
    pub(crate) code: String,
}

/// A group under construction or at work. Names of peers are prefixed with the group's, because they
/// are unique per manager.
pub(crate) struct Group {
    pub(crate) manager: Manager,
    pub(crate) gid: i64,
    pub(crate) name: String,
    pub(crate) seats: BTreeMap<String, Seat>,
    exact_names: bool,
}

impl Group {
    pub(crate) fn found(manager: &Manager, name: &str) -> Self {
        let gid = manager.create_group(name);
        let name = name.to_owned();
        Self { manager: manager.clone(), gid, name, seats: BTreeMap::new(), exact_names: false }
    }

    /// Two input peers `a` and `b`, three privacy peers `x`, `y`, `z`, all on one node, verified and
    /// configured.
    #[track_caller]
    pub(crate) fn usual(
        manager: &Manager,
        service: &PeerService,
        name: &str,
        results: &dyn Fn(&str) -> String,
        config: &Config,
    ) -> Self {
        let mut group = Self::found(manager, name);
        for peer in ["a", "b"] {
            group.join(service, peer, INPUT, &results(peer));
        }
        for peer in ["x", "y", "z"] {
            group.join(service, peer, PRIVACY, &results(peer));
        }
        group.verify_all();
        manager.configure(group.gid, config);
        group
    }

    /// Members keep their names as they are given.
    pub(crate) fn with_exact_names(self) -> Self {
        Self { exact_names: true, ..self }
    }

    /// The whole name of a member.
    pub(crate) fn full(&self, peer: &str) -> String {
        if self.exact_names { peer.to_owned() } else { format!("{}-{peer}", self.name) }
    }

    /// A new member on a node.
    #[track_caller]
    pub(crate) fn join(&mut self, service: &PeerService, peer: &str, kind: u8, results: &str) {
        let code = self.manager.invite(self.gid);
        if let Some(pin) = &self.manager.pin {
            service.join(&self.manager, pin, &self.full(peer), kind, &code, results);
        } else {
            let config = PeerService::config(&self.manager, &self.full(peer), kind, &code, results);
            let info = service.sign_up(&config).ok().json();
            assert_eq!(info["peerName"], json!(self.full(peer)), "{info}");
        }
        self.seats.insert(peer.to_owned(), Seat { service: service.clone(), code });
    }

    #[track_caller]
    pub(crate) fn verify_all(&self) {
        for peer in self.seats.keys() {
            let member = self.manager.verify(&self.full(peer), true);
            assert!(truth(&member["verified"]), "{member}");
        }
    }

    #[track_caller]
    pub(crate) fn seat(&self, peer: &str) -> &Seat {
        self.seats.get(peer).unwrap_or_else(|| panic!("nobody is called {peer}"))
    }

    /// Starts the whole group and waits until the verified members run.
    #[track_caller]
    pub(crate) fn start(&self) {
        self.wait_connected();
        // Who comes back from a run that ended without it may still believe in that one, and would take rows for it.
        for peer in self.seats.keys().filter(|peer| self.status(peer) != STARTED) {
            until(&format!("{peer} to know that nothing runs"), || {
                let reply = self.try_input(peer, "x")?;
                if reply.contains("ERR_NOT_RUNNING") { Ok(()) } else { Err(reply) }
            });
        }
        self.manager.start_group(self.gid).expect(200, "ERR_SUCCESS");
        for peer in self.seats.keys() {
            if truth(&self.manager.peer(&self.full(peer))["verified"]) {
                self.wait_status(peer, STARTED);
                self.wait_running(peer);
            }
        }
    }

    /// Waits until a member's own node knows that it runs. The manager's word travels to it by link.
    #[track_caller]
    pub(crate) fn wait_running(&self, peer: &str) {
        until(&format!("{peer} to run"), || {
            // Not a row: refused for its letters if the peer runs, and for not running otherwise.
            let reply = self.try_input(peer, "x")?;
            if reply.contains("ERR_NOT_RUNNING") { Err(format!("{reply}; {}", self.runs())) } else { Ok(()) }
        });
    }

    /// What the member's node answers.
    fn try_input(&self, peer: &str, row: &str) -> Result<String, String> {
        let seat = self.seat(peer);
        let reply = seat.service.input(&self.full(peer), &seat.code, row);
        reply.map(|reply| reply.body).map_err(|error| error.to_string())
    }

    /// What the manager tells of the group's runs.
    fn runs(&self) -> String {
        self.manager.told(&format!("/groups/{}/runs", self.gid)).to_string()
    }

    /// Waits until all members have their control links.
    #[track_caller]
    pub(crate) fn wait_connected(&self) {
        for peer in self.seats.keys() {
            self.wait_member_connected(peer);
        }
    }

    #[track_caller]
    pub(crate) fn wait_member_connected(&self, peer: &str) {
        until(&format!("{peer} to be connected"), || {
            let member = self.manager.told(&format!("/members/{}", escaped(&self.full(peer))));
            if truth(&member["connected"]) { Ok(()) } else { Err(member.to_string()) }
        });
    }

    /// Starts one member.
    #[track_caller]
    pub(crate) fn start_peer(&self, peer: &str) {
        let seat = self.seat(peer);
        let info = seat.service.start(&self.full(peer), &seat.code).ok().json();
        assert_eq!(info["peerName"], json!(self.full(peer)), "{info}");
    }

    /// Hands rows in, each as one slot.
    #[track_caller]
    pub(crate) fn give(&self, peer: &str, rows: &[&str]) {
        let rows: Vec<String> = rows.iter().map(|row| (*row).to_owned()).collect();
        self.give_all(peer, &rows);
    }

    #[track_caller]
    pub(crate) fn give_all(&self, peer: &str, rows: &[String]) {
        let seat = self.seat(peer);
        seat.service.inputs(&self.full(peer), &seat.code, rows).expect(200, "SUCCESS");
    }

    #[track_caller]
    pub(crate) fn status(&self, peer: &str) -> i64 {
        self.manager.status(&self.full(peer))
    }

    #[track_caller]
    pub(crate) fn wait_status(&self, peer: &str, wanted: i64) {
        until(&format!("{peer} to have status {wanted}"), || {
            let status = self.status(peer);
            if status == wanted { Ok(()) } else { Err(status.to_string()) }
        });
    }

    #[track_caller]
    pub(crate) fn wait_all(&self, wanted: i64) {
        for peer in self.seats.keys() {
            self.wait_status(peer, wanted);
        }
    }

    #[track_caller]
    pub(crate) fn stop(&self) {
        self.manager.stop_group(self.gid).expect(200, "ERR_SUCCESS");
    }

    #[track_caller]
    pub(crate) fn delete(&self) -> Reply {
        delete(&self.manager.at(&format!("/group/{}", self.gid)))
    }
}
