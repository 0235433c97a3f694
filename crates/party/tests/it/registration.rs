use std::sync::Arc;
use std::time::Duration;

use tacit_accord::MemberRole;
use tacit_job::{pairing_digest, registration_proof};
use tacit_model::{Clock as _, ManualClock, SystemClock, UnixMillis};
use tacit_party::{HttpError, PartyError};
use tacit_pki::envelope::{Context, verify_detached};
use tacit_pki::https::NoAddress;
use tacit_pki::{PublicKey, comparison_code};

use crate::gateway::ScriptedGateway;
use crate::receiver::Receiver;
use crate::world::{Peer, identity, poster};

#[tokio::test]
async fn p06_signs_up_with_proof_of_its_key() {
    let edge = Receiver::start().await;
    let gateway = ScriptedGateway::start(identity("gateway")).await;
    let manager = identity("manager");
    let mut peer = Peer::new("swisscom:ddos-input-peer-1", MemberRole::Input);
    peer.join(&edge, &gateway, &manager).await;
    let got = edge.got().remove(0);
    assert_eq!(
        got.target,
        "/group-mgmt/register/TEST?url=http%3A%2F%2Flocalhost%2Fp2ds-peer&name=swisscom%3Addos-input-peer-1&type=1"
    );
    let key = PublicKey::from_base64(got.body["public_key"].as_str().unwrap()).unwrap();
    assert_eq!(key.fingerprint().to_string(), got.body["fingerprint"].as_str().unwrap());
    let proof = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, got.body["proof"].as_str().unwrap());
    let proof: [u8; 64] = proof.unwrap().try_into().unwrap();
    let text = registration_proof("TEST", &peer.name);
    assert!(verify_detached(&key, Context::Message, &text, &proof).is_ok());

    // Durable: it opens, and another key of the same name does not.
    peer.open().await;
    assert_eq!(peer.party().status().await.unwrap().gateway, gateway.identity.fingerprint());
    peer.close().await;
    let store = tacit_store::Store::open(peer.database().to_str().unwrap()).await.unwrap();
    let again = tacit_party::register(&poster(), &store, &peer.identity, request(&edge, &peer.name)).await;
    assert!(matches!(again, Err(PartyError::NameTaken(_))));
}

/// Somebody in between lets the gateway's certificate pass and puts in a manager key of its own.
#[tokio::test]
async fn rule1_comparison_covers_the_manager_key() {
    let edge = Receiver::start().await;
    let gateway = ScriptedGateway::start(identity("gateway")).await;
    let manager = identity("manager");
    let at_gateway = |peer: &Peer| {
        let pinned = pairing_digest(&gateway.identity.fingerprint(), &manager.public_key().to_base64());
        comparison_code(peer.fingerprint(), pinned)
    };
    for (told, equal) in [(&manager, true), (&identity("thief"), false)] {
        let mut peer = Peer::new("a", MemberRole::Input);
        peer.join(&edge, &gateway, told).await;
        peer.open().await;
        let here = peer.party().status().await.unwrap().comparison;
        assert_eq!(here == at_gateway(&peer), equal);
        peer.close().await;
    }
}

/// More than two minutes apart nobody works together, and both clocks are shown.
#[tokio::test]
async fn clocks_that_differ_by_more_than_two_minutes_are_refused() {
    for (ahead_ms, refused) in [(0, false), (110_000, false), (-110_000, false), (130_000, true), (-130_000, true)] {
        let edge = Receiver::start().await;
        let clock = Arc::new(ManualClock::new(SystemClock.now().plus(ahead_ms)));
        let mut gateway = ScriptedGateway::start_at(identity("gateway"), clock.clone()).await;
        let mut peer = Peer::new("a", MemberRole::Input);
        peer.join(&edge, &gateway, &identity("manager")).await;
        peer.open().await;
        if !refused {
            gateway.hello(&peer.fingerprint()).await;
            assert!(peer.party().status().await.unwrap().last_trouble.is_none());
        } else {
            let heard = async {
                loop {
                    match peer.party().status().await.unwrap().last_trouble {
                        Some(trouble) => break trouble.what,
                        None => tokio::time::sleep(Duration::from_millis(20)).await,
                    }
                }
            };
            let trouble = tokio::time::timeout(Duration::from_secs(20), heard).await.expect("it is told");
            let words = trouble.split([' ', ',', ';']);
            let shown: Vec<UnixMillis> = words.filter_map(UnixMillis::from_rfc3339).collect();
            assert_eq!(shown.len(), 2, "{trouble}");
            let apart = shown[1].since(shown[0]);
            assert!((apart - ahead_ms).abs() < 30_000, "{trouble}");
            assert!(trouble.contains("2 minutes") && !peer.party().status().await.unwrap().gateway_connected);
        }
        peer.close().await;
    }
}

#[tokio::test]
async fn p04_a_refused_code_leaves_nothing_behind() {
    let edge = Receiver::start().await;
    edge.answers(|_, _| (400, "ERR_INV_REG_CODE".to_owned()));
    let folder = tempfile::TempDir::new().unwrap();
    let store = tacit_store::Store::open(folder.path().join("t.db").to_str().unwrap()).await.unwrap();
    let who = identity("a");
    let refused = tacit_party::register(&poster(), &store, &who, request(&edge, "a")).await;
    assert!(matches!(refused, Err(PartyError::RegistrationCode)), "{refused:?}");
    let mut far = request(&edge, "a");
    far.base_url = "http://192.0.2.1/group-mgmt".to_owned();
    let refused = tacit_party::register(&poster(), &store, &who, far).await;
    assert!(matches!(refused, Err(PartyError::Http(HttpError::Address(NoAddress::PlainHttp(_))))), "{refused:?}");
    assert!(store.parties().await.unwrap().is_empty());
}

fn request(edge: &Receiver, name: &str) -> tacit_party::JoinRequest {
    tacit_party::JoinRequest {
        base_url: edge.url("/group-mgmt"),
        code: "TEST".into(),
        name: name.to_owned(),
        role: MemberRole::Input,
        url: String::new(),
        operator: String::new(),
        label_key: None,
        endpoint: String::new(),
        final_results_url: None,
        gateway: None,
        compared: true,
        key: None,
    }
}
