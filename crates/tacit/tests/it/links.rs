//! The link port and strangers.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConnection;
use rustls::pki_types::ServerName;
use serde_json::json;
use tacit_model::{Clock, Fingerprint, SystemClock};
use tacit_pki::https::{self, Trust};
use tacit_pki::{Identity, sni_name};
use time::OffsetDateTime;

use crate::harness::Node;
use crate::http::{Request, get, post};
use crate::p2ds::{Config, Group, STARTED};
use crate::sink::Sink;

/// The longest refusal that a link port may say to a stranger. A hello or anything of a session is longer
/// than that, or comes after a hello.
const REFUSAL: usize = 32;

/// What a stranger to the link port does.
struct Stranger {
    /// Whom it asks for.
    name: String,
    protocol: &'static [u8],
    /// Its own certificate, if it has one.
    identity: Option<Identity>,
    /// What it says after the handshake.
    says: Vec<u8>,
}

impl Stranger {
    /// Connects, says its piece, and returns every byte it was told before the end; `Err` if it did not
    /// come through the handshake.
    fn visits(&self, address: (&str, u16)) -> Result<Vec<u8>, String> {
        // It is the server's turn to be careful.
        let anybody = Trust { pinned: Vec::new(), authorities: false, anybody: true };
        let mut config = https::client_config(anybody, self.identity.as_ref()).map_err(|e| e.to_string())?;
        config.alpn_protocols = vec![self.protocol.to_vec()];
        let name = ServerName::try_from(self.name.clone()).map_err(|e| e.to_string())?;
        let tls = ClientConnection::new(Arc::new(config), name).map_err(|e| e.to_string())?;
        let tcp = TcpStream::connect(address).map_err(|e| e.to_string())?;
        // A stranger who is neither told anything nor shown the door would hang here.
        tcp.set_read_timeout(Some(Duration::from_secs(15))).map_err(|e| e.to_string())?;
        let mut stream = rustls::StreamOwned::new(tls, tcp);
        stream.write_all(&self.says).and_then(|()| stream.flush()).map_err(|e| e.to_string())?;
        let mut told = Vec::new();
        let ended = stream.read_to_end(&mut told);
        match ended {
            Err(error) if told.is_empty() => Err(error.to_string()),
            _ => Ok(told),
        }
    }
}

/// A certificate that nobody knows.
fn unknown() -> Identity {
    let now = OffsetDateTime::from_unix_timestamp(SystemClock.now().0 / 1000).expect("a moment");
    Identity::generate("stranger", now).expect("an identity")
}

#[test]
fn p21_messages_refused() {
    let (node, sink) = (Node::start(), Sink::open());
    let group = Group::usual(&node.manager(), &node.peers(), "g", &|peer| sink.url(peer), &Config::of(2, -1));
    group.start();
    let (to, from) = (group.full("x"), group.full("a"));
    let data = json!({
        "senderID": from, "senderIndex": 0, "roundNumber": 1, "timeSlotCount": 0, "metricCount": 2, "message": "x",
        "initialSharesMessage": true, "initialShares": [5, 5],
    });
    for kind in ["AdditiveMessage", "PrimitivesMessage", "Other", "x"] {
        for (recipient, sender) in [(&to, &from), (&from, &to), (&to, &to)] {
            let url = format!("{}/message/{recipient}/{sender}/{kind}", node.peers().base);
            let form = format!("data={}&signature=AAAA", crate::http::escaped(&data.to_string()));
            let reply = Request::new("POST", &url).body("application/x-www-form-urlencoded", form).answer();
            assert!(reply.is_refusal() && reply.body.starts_with("ERR_"), "{reply:?}");
            assert!(post(&url).is_refusal() && get(&url).is_refusal());
        }
    }
    // The run does not notice.
    group.give("a", &["1;3"]);
    group.give("b", &["2;5"]);
    assert_eq!(sink.wait_rows("a", 1), ["3;8"]);
    group.wait_all(STARTED);
}

#[test]
fn p21_strangers_at_the_link_port_get_nothing() {
    let (node, sink) = (Node::start(), Sink::open());
    let group = Group::usual(&node.manager(), &node.peers(), "g", &|peer| sink.url(peer), &Config::of(2, -1));
    group.start();
    let fingerprint = |text: &serde_json::Value| -> Fingerprint {
        text.as_str().and_then(|text| text.parse().ok()).unwrap_or_else(|| panic!("no fingerprint: {text}"))
    };
    let gateway = fingerprint(&node.api("GET", "/node", None).ok().json()["fingerprint"]);
    let privacy = fingerprint(&node.manager().peer(&group.full("x"))["fingerprint"]);

    for (party, protocol) in [
        (gateway, &b"tacit-ctl/1"[..]),
        (privacy, b"tacit-mpc/1"),
        (privacy, b"tacit-ctl/1"),
        (gateway, b"tacit-mpc/1"),
    ] {
        let visit = |identity, says: &[u8]| {
            Stranger { name: sni_name(party), protocol, identity, says: says.to_vec() }.visits(node.link())
        };
        let without = visit(None, b"");
        assert!(without.is_err(), "came in without a certificate: {without:?}");
        // Unknown: told so at most, whatever it says.
        for says in [&b""[..], b"GET / HTTP/1.1\r\n\r\n", &[0; 100], &[0xff; 100]] {
            if let Ok(told) = visit(Some(unknown()), says) {
                assert!(told.len() <= REFUSAL, "{} bytes for a stranger: {told:?}", told.len());
            }
        }
    }
    // Who asks for nobody, or in another language, learns no certificate at all.
    for (name, protocol) in [
        ("localhost".to_owned(), &b"tacit-mpc/1"[..]),
        (sni_name(Fingerprint([7; 32])), b"tacit-mpc/1"),
        (sni_name(privacy), b"h2"),
    ] {
        let stranger = Stranger { name, protocol, identity: Some(unknown()), says: Vec::new() };
        let visit = stranger.visits(node.link());
        assert!(visit.is_err(), "{visit:?}");
    }
    // Not TLS at all.
    let mut tcp = TcpStream::connect(node.link()).expect("a connection");
    tcp.set_read_timeout(Some(Duration::from_secs(15))).expect("a limit");
    tcp.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").expect("sent");
    let mut told = Vec::new();
    let _ended = tcp.read_to_end(&mut told);
    assert!(told.len() <= 7, "more than a TLS alert: {told:?}");

    // The members do not notice.
    group.give("a", &["1;3"]);
    group.give("b", &["2;5"]);
    assert_eq!(sink.wait_rows("b", 1), ["3;8"]);
}
