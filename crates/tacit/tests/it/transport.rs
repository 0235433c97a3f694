//! P26: https, and plain http only on this machine.

use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::harness::{Node, run};
use crate::http::{Request, post_json};
use crate::p2ds::{INPUT, PeerService};

/// curl, because the tests' own client speaks no TLS. Returns exit code, status and body.
#[track_caller]
pub(crate) fn curl(args: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new("curl")
        .args(["-sS", "--max-time", "20", "-w", "\n%{http_code}"])
        .args(args)
        .stdin(Stdio::null())
        .output()
        .expect("curl runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let (body, status) = text.rsplit_once('\n').unwrap_or_default();
    (output.status.code(), status.to_owned(), body.to_owned())
}

#[test]
fn p26_plain_http_only_on_loopback() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let data = data.to_str().expect("a path");
    for address in ["0.0.0.0:0", "[::]:0"] {
        let output = run(&["p2ds", "--listen", address, "--admin-key", "k", "--data", data]);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{address}: {said}");
        for word in ["plain http", "TLS", "127.0.0.1"] {
            assert!(said.contains(word), "{address}: no word of {word}: {said}");
        }
    }
    // The test mode does not change that.
    let output = run(&["p2ds", "--listen", "0.0.0.0:0", "--admin-key", "k", "--data", data, "--test-mode"]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
}

#[test]
fn p26_tls_serves_https() {
    let node = Node::with("tls", &["--test-mode", "--tls"]);
    let url = format!("{}/p2ds-group-management/group-mgmt/status", node.url());
    assert!(url.starts_with("https://"));
    assert_eq!(curl(&["-k", &url]), (Some(0), "200".to_owned(), "OK".to_owned()));
    // The node's certificate is nobody's: whoever does not know it does not talk.
    let (code, status, _) = curl(&[&url]);
    assert_eq!((code, status.as_str()), (Some(60), "000"));
    // Plain http on the same port is not answered by the service.
    let plain = url.replace("https://", "http://");
    let answer = Request::new("GET", &plain).send();
    assert!(answer.as_ref().map_or(true, |reply| reply.status != 200), "{answer:?}");
    // The admin key works through TLS as it does without.
    let group = format!("{}?adminKey={}", node.manager().base + "/group", node.admin_key());
    let (_, status, body) =
        curl(&["-k", "-X", "POST", "-H", "content-type: application/json", "-d", "{\"name\":\"g\"}", &group]);
    assert_eq!(status, "200", "{body}");
    // TLS 1.2 is not spoken.
    let (code, _, _) = curl(&["-k", "--tls-max", "1.2", &url]);
    assert_ne!(code, Some(0));
}

#[test]
fn p26_untrusted_certificates_are_refused() {
    let manager = Node::with("manager", &["--test-mode", "--tls", "--roles", "manager"]);
    let node = Node::with("peer", &["--test-mode", "--roles", "peer"]);
    let at = manager.manager();
    let call = |method: &str, url: &str, body: Option<&str>| -> (String, String) {
        let mut args = vec!["-k", "-X", method, url];
        if let Some(body) = body {
            args.extend(["-H", "content-type: application/json", "-d", body]);
        }
        let (code, status, body) = curl(&args);
        assert_eq!(code, Some(0), "{body}");
        (status, body)
    };
    let json_of = |(status, body): (String, String)| -> Value {
        assert_eq!(status, "200", "{body}");
        serde_json::from_str(&body).expect("JSON")
    };
    json_of(call("POST", &at.at("/group"), Some("{\"name\":\"g\"}")));
    let code =
        json_of(call("POST", &at.at("/registration/1"), None))["registrationCode"].as_str().expect("a code").to_owned();

    // By default the manager's own certificate is not believed, and the peer is not signed up.
    let service = node.peers();
    let reply = service.sign_up(&PeerService::config(&at, "a", INPUT, &code, ""));
    assert!(reply.is_refusal(), "{reply:?}");
    assert_eq!(call("GET", &at.at("/peer/a"), None).0, "404");
    assert_eq!(node.api("GET", "/peers/a", None).status, 404);

    // Known from another channel it is believed; another one is not.
    let address = std::fs::read_to_string(manager.data().join("run").join("addr.json")).expect("an address");
    let address: Value = serde_json::from_str(&address).expect("JSON");
    let join = |fingerprint: &Value| {
        let body = json!({
            "name": "a", "role": "input", "gateway_url": at.base, "gateway_fingerprint": fingerprint,
            "registration_code": code,
        });
        node.api("POST", "/peers", Some(&body))
    };
    let own: Value = serde_json::from_str(&node.api("GET", "/node", None).body).expect("JSON");
    let wrong = join(&own["fingerprint"]);
    assert_eq!(wrong.status, 403, "{wrong:?}");
    assert!(wrong.json()["detail"].to_string().contains("certificate"), "{wrong:?}");
    let token = node.data().join("keys").join("owner.token");
    let said = run(&[
        "join",
        &code,
        "--gateway",
        &manager.url(),
        "--gateway-fingerprint",
        own["fingerprint"].as_str().expect("a text"),
        "--name",
        "a",
        "--node",
        &node.url(),
        "--token-file",
        token.to_str().expect("a path"),
    ]);
    assert_eq!(said.status.code(), Some(3), "{said:?}");
    assert_eq!(node.api("GET", "/peers/a", None).status, 404);
    // The mistake costs nothing: the code is still good.
    let joined = join(&address["fingerprint"]);
    assert_eq!(joined.status, 201, "{joined:?}");
    assert_eq!(call("GET", &at.at("/peer/a"), None).0, "200");
}

#[test]
fn p26_results_and_gateways_elsewhere_need_https() {
    let node = Node::start();
    let (manager, service) = (node.manager(), node.peers());
    let gid = manager.create_group("g");
    let code = manager.invite(gid);
    let mut config = PeerService::config(&manager, "a", INPUT, &code, "");
    config["groupMgmtURL"] = json!("http://192.0.2.1/p2ds-group-management/group-mgmt");
    let reply = post_json(&service.at("/peer"), &config);
    assert!(reply.is_refusal(), "{reply:?}");
    let mut config = PeerService::config(&manager, "a", INPUT, &code, "http://192.0.2.1/receive");
    let reply = post_json(&service.at("/peer"), &config);
    assert!(reply.is_refusal(), "results would travel in clear: {reply:?}");
    for nonsense in ["ftp://localhost/x", "nonsense", "http://"] {
        config["groupMgmtURL"] = json!(nonsense);
        let reply = post_json(&service.at("/peer"), &config);
        assert!(reply.is_refusal(), "{nonsense}: {reply:?}");
    }
    assert_eq!(node.api("GET", "/peers/a", None).status, 404);
}

/// A web page whose name suddenly means 127.0.0.1 does not talk to a node on loopback.
#[test]
fn p26_other_names_of_loopback_are_refused() {
    let node = Node::start();
    let url = node.manager().at("/group/1");
    let status = format!("{}/healthz", node.url());
    for host in ["evil.example", "localhost.evil.example", "192.0.2.1"] {
        for url in [&url, &status] {
            let reply = Request::new("GET", url).host(host).answer();
            assert!(reply.is_refusal() && reply.status != 404, "{host}: {reply:?}");
        }
    }
    assert_eq!(Request::new("GET", &status).host("localhost").answer().status, 200);
    // Two names are no name.
    assert_eq!(Request::new("GET", &status).host("localhost").header("host", "evil.example").answer().status, 400);
}
