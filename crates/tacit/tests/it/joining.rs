//! A registration that is cut off in the middle.

use std::io::{self, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;

use serde_json::json;

use crate::harness::{Node, files_below};
use crate::http::{Request, read_body, read_head};

/// Stands before a node, and keeps its answers to itself as long as it is told to.
struct Between {
    port: u16,
    keeps: Arc<AtomicBool>,
    /// Rings for each answer that was kept.
    kept: mpsc::Receiver<()>,
}

impl Between {
    fn open(behind: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let keeps = Arc::new(AtomicBool::new(true));
        let (ring, kept) = mpsc::channel();
        let told = Arc::clone(&keeps);
        std::thread::spawn(move || {
            // What is kept stays open: the other side goes on waiting.
            let mut waiting = Vec::new();
            for mut client in listener.incoming().flatten() {
                let Ok(answer) = pass_on(&client, behind) else { continue };
                if told.load(Ordering::SeqCst) {
                    waiting.push(client);
                    if ring.send(()).is_err() {
                        return;
                    }
                } else {
                    let _gone = client.write_all(&answer);
                }
            }
        });
        Self { port, keeps, kept }
    }
}

/// One request, and the whole answer.
fn pass_on(client: &TcpStream, behind: u16) -> io::Result<Vec<u8>> {
    let mut reader = BufReader::new(client);
    let (first, headers) = read_head(&mut reader)?;
    let body = read_body(&mut reader, &headers)?;
    let mut server = TcpStream::connect(("127.0.0.1", behind))?;
    let mut request = format!("{first}\r\nconnection: close\r\n");
    for (name, value) in headers.iter().filter(|(name, _)| name != "connection") {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    server.write_all(&[request.as_bytes(), b"\r\n", &body].concat())?;
    let mut answer = Vec::new();
    server.read_to_end(&mut answer)?;
    Ok(answer)
}

/// Killed between the gateway's commit and its own, a node joins with the same code and the key it had: the
/// code is not lost. Another key gets nothing for it.
#[test]
fn p4_a_registration_survives_kill_nine() {
    let manager = Node::with("manager", &["--roles", "manager"]);
    let mut node = Node::with("peer", &["--roles", "peer"]);
    let at = manager.manager();
    let gid = at.create_group("g");
    let code = at.invite(gid);
    let port = manager.url().rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port");
    let between = Between::open(port);
    let gateway_url = format!("http://127.0.0.1:{}/p2ds-group-management/group-mgmt", between.port);
    let body = json!({ "name": "a", "role": "input", "gateway_url": gateway_url, "registration_code": code });

    let (url, token) = (format!("{}/api/v1/peers", node.url()), node.token());
    let joining = std::thread::spawn({
        let (url, token, body) = (url.clone(), token.clone(), body.clone());
        move || Request::new("POST", &url).header("authorization", format!("Bearer {token}")).json(&body).send()
    });
    between.kept.recv().expect("the gateway's answer");
    let registered = at.peer("a");
    node.kill();
    assert!(joining.join().expect("a thread").is_err(), "the node answered although it was killed");
    let keys = files_below(&node.data().join("keys"));
    node.restart();
    assert_eq!(node.api("GET", "/peers/a", None).status, 404, "it heard no answer");

    // Another node with the code alone: the code is used.
    between.keeps.store(false, Ordering::SeqCst);
    let thief = Node::with("thief", &["--roles", "peer"]);
    let refused = thief.api("POST", "/peers", Some(&body));
    assert_eq!(refused.status, 403, "{refused:?}");
    assert!(refused.json()["detail"].to_string().contains("was used"), "{refused:?}");

    let joined = node.api("POST", "/peers", Some(&body));
    assert_eq!(joined.status, 201, "{joined:?}");
    assert_eq!(files_below(&node.data().join("keys")), keys, "the same key");
    let fingerprint = joined.json()["fingerprint"].as_str().expect("a fingerprint").to_owned();
    let members = manager.api("GET", &format!("/groups/{gid}/members"), None).ok().json();
    assert_eq!(members["members"][0]["fingerprint"], fingerprint, "{members}");
    assert_eq!(members["members"].as_array().map(Vec::len), Some(1), "{members}");
    assert_eq!(at.peer("a")["pid"], registered["pid"]);
    // Once it is a member, the code is of no more use to it either.
    let again = node.api("POST", "/peers", Some(&body));
    assert_eq!(again.status, 409, "{again:?}");
}
