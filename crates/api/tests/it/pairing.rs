//! Who is let in by a real gateway, whatever registers, connects or is decided at the same time.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tacit_accord::MemberRole;
use tacit_gateway::{GatewayError, JoinReceipt, NewMember};
use tacit_job::{ToGateway, ToPeer, registration_proof};
use tacit_link::{ControlLink, Gate, Host, LinkConfig, LinkHub, Protocol};
use tacit_model::api::{NewTask, PairingState, TaskRequest};
use tacit_model::{Clock as _, GroupId, SystemClock};
use tacit_pki::Identity;
use tacit_pki::envelope::{Context, sign_detached};
use tacit_store::{MemberId, MemberRefusal};

use crate::world::{World, identity, world};

const PATIENCE: Duration = Duration::from_secs(20);

impl World {
    async fn found(&self) -> GroupId {
        self.gateway.create_group("g").await.unwrap().group
    }

    async fn sign_up(&self, code: &str, name: &str, key: &Identity) -> Result<JoinReceipt, GatewayError> {
        let proof = sign_detached(key, Context::Message, &registration_proof(code, name));
        let new = NewMember {
            name: name.to_owned(),
            role: MemberRole::Both,
            url: String::new(),
            operator: String::new(),
            label_key: None,
            endpoint: "127.0.0.1:1".to_owned(),
            key: Some((*key.public_key(), proof)),
        };
        self.gateway.register(code, new).await
    }

    /// Registers a new key with a new code.
    async fn newcomer(&self, gid: GroupId, name: &str) -> Arc<Identity> {
        let key = identity(name);
        let code = self.gateway.invite(gid).await.unwrap();
        self.sign_up(&code, name, &key).await.unwrap();
        key
    }

    /// Who is verified, in its row and in the charter: the same.
    async fn roster(&self, gid: GroupId) -> BTreeSet<String> {
        let group = self.gateway.group(gid).await.unwrap();
        let rows = group.members.into_iter().filter(|member| member.verified).map(|member| member.name).collect();
        let charter: BTreeSet<String> = group.charter.members.into_iter().map(|member| member.name).collect();
        assert_eq!(charter, rows, "the charter, and what the rows say");
        charter
    }

    fn is_admitted(&self, key: &Identity) -> bool {
        let gate: &dyn Gate = &self.admitted;
        gate.admit(Protocol::Control, &key.fingerprint())
    }
}

/// Talks to gateways and to nobody else.
struct ControlOnly;

impl Gate for ControlOnly {
    fn admit(&self, protocol: Protocol, _: &tacit_model::Fingerprint) -> bool {
        protocol == Protocol::Control
    }
}

/// A member's control link, and what holds it.
struct Line {
    link: ControlLink,
    _host: Host,
    _hub: LinkHub,
}

impl Line {
    /// Connects and says hello.
    async fn open(w: &World, gid: GroupId, name: &str, key: &Arc<Identity>) -> Self {
        let hub = LinkHub::bind(LinkConfig::new("127.0.0.1:0".parse().unwrap())).await.unwrap();
        let host = hub.host(Arc::clone(key), Arc::new(ControlOnly)).unwrap();
        let there = [w.hub.local_addr().to_string()];
        let link = host.dial_control(w.gateway.fingerprint(), &there, PATIENCE).await.unwrap();
        let hello = ToGateway::Hello {
            name: name.to_owned(),
            group: gid,
            software: "test".to_owned(),
            known: None,
            run: None,
            endpoint: None,
        };
        link.send(&hello).unwrap();
        Self { link, _host: host, _hub: hub }
    }

    /// Whether it hears a charter before long.
    async fn hears_charter(&mut self, wait: Duration) -> bool {
        let heard = async {
            loop {
                match self.link.recv::<ToPeer>().await {
                    Ok(ToPeer::Charter { .. }) => return true,
                    Ok(_) => {}
                    Err(_) => return false,
                }
            }
        };
        tokio::time::timeout(wait, heard).await.unwrap_or(false)
    }
}

/// Whoever did not hear the answer registers again, also after it was rejected. A thief who has the key and saw the
/// code could do so, too: not after the revocation.
#[tokio::test]
async fn f07_a_revoked_key_is_not_let_in_by_its_registration() {
    let w = world().await;
    let gid = w.found().await;
    let (key, code) = (identity("room1"), w.gateway.invite(gid).await.unwrap());
    let first = w.sign_up(&code, "room1", &key).await.unwrap().member;
    assert!(w.is_admitted(&key));
    w.gateway.verify("room1", true).await.unwrap();
    let again = w.sign_up(&code, "room1", &key).await.unwrap().member;
    assert_eq!((again.pid, again.pairing), (first.pid, PairingState::Registered));
    w.gateway.reject("room1", "").await.unwrap();
    let again = w.sign_up(&code, "room1", &key).await.unwrap().member;
    assert_eq!((again.pid, again.pairing), (first.pid, PairingState::Rejected));
    assert!(w.is_admitted(&key));

    w.gateway.verify("room1", true).await.unwrap();
    w.gateway.revoke("room1", "stolen").await.unwrap();
    assert!(!w.is_admitted(&key));
    let fresh = w.gateway.invite(gid).await.unwrap();
    for (code, name) in [(&code, "room1"), (&fresh, "room1"), (&fresh, "room2")] {
        match w.sign_up(code, name, &key).await {
            Err(GatewayError::Conflict(why)) => assert!(why.contains("revoked") && why.contains("new one"), "{why}"),
            other => panic!("{other:?}"),
        }
        assert!(!w.is_admitted(&key));
    }
    assert_eq!(w.gateway.member("room1").await.unwrap().pairing, PairingState::Revoked);
}

/// A key is revoked under all its names, in all groups, and stays so.
#[tokio::test]
async fn f07_a_revoked_key_has_no_other_name() {
    let mut w = world().await;
    let (first, second) = (w.found().await, w.gateway.create_group("h").await.unwrap().group);
    let key = identity("room1");
    for (gid, name) in [(first, "room1"), (second, "annex"), (second, "spare")] {
        let code = w.gateway.invite(gid).await.unwrap();
        w.sign_up(&code, name, &key).await.unwrap();
    }
    w.gateway.verify("room1", true).await.unwrap();
    w.gateway.verify("annex", true).await.unwrap();
    w.gateway.revoke("room1", "stolen").await.unwrap();
    for restarted in [false, true] {
        if restarted {
            w.restart_gateway().await;
        }
        assert!(!w.is_admitted(&key), "restarted: {restarted}");
        for gid in [first, second] {
            assert_eq!(w.roster(gid).await, BTreeSet::new());
        }
        for name in ["room1", "annex", "spare"] {
            assert_eq!(w.gateway.member(name).await.unwrap().pairing, PairingState::Revoked);
        }
    }
}

/// A link that a revoked member has all the same carries nothing of the group; others notice nothing.
#[tokio::test]
async fn f07_a_revoked_member_hears_nothing() {
    let w = world().await;
    let gid = w.found().await;
    let (revoked, other) = (w.newcomer(gid, "room1").await, w.newcomer(gid, "room2").await);
    let mut line = Line::open(&w, gid, "room2", &other).await;
    assert!(line.hears_charter(PATIENCE).await);
    // Only its row says it: the gate, in memory, still lets it connect.
    let pid = MemberId(w.gateway.member("room1").await.unwrap().pid);
    w.store.refuse_member(pid, MemberRefusal::Revoked, "stolen", SystemClock.now()).await.unwrap();
    assert!(w.is_admitted(&revoked));
    let mut silent = Line::open(&w, gid, "room1", &revoked).await;
    assert!(!silent.hears_charter(Duration::from_secs(2)).await);
    assert!(!w.gateway.member("room1").await.unwrap().connected);

    w.gateway.verify("room2", true).await.unwrap();
    assert!(line.hears_charter(PATIENCE).await);
    assert!(!silent.hears_charter(Duration::from_secs(1)).await);
    assert!(w.gateway.member("room2").await.unwrap().connected);
}

/// Who decides at the same time as somebody else undoes nothing of the other's decision.
#[tokio::test]
async fn rule1_decisions_at_the_same_time_all_hold() {
    let w = world().await;
    let gid = w.found().await;
    let mut wanted = BTreeSet::new();
    for round in 0..12 {
        let [old, new, alone, listed] = ["old", "new", "alone", "listed"].map(|name| format!("{name}{round}"));
        let mut keys = Vec::new();
        for name in [&old, &new, &alone, &listed] {
            keys.push(w.newcomer(gid, name).await);
        }
        w.gateway.verify(&old, true).await.unwrap();
        // The one that comes first waits for the database while the other one reads.
        let gateway = &w.gateway;
        let (out, into) = match round % 4 {
            0 => tokio::join!(gateway.revoke(&old, "stolen"), gateway.verify(&new, true)),
            1 => {
                let (into, out) = tokio::join!(gateway.verify(&new, true), gateway.revoke(&old, "stolen"));
                (out, into)
            }
            2 => tokio::join!(gateway.reject(&old, ""), gateway.verify(&new, true)),
            _ => tokio::join!(gateway.verify(&old, false), gateway.verify(&new, true)),
        };
        assert!(!out.unwrap().verified && into.unwrap().verified);
        wanted.insert(new.clone());
        assert_eq!(w.roster(gid).await, wanted, "round {round}");

        let compared = [(listed.clone(), keys[3].fingerprint())];
        let (one, several) = tokio::join!(gateway.verify(&alone, true), gateway.verify_all(gid, &compared));
        assert!(one.unwrap().verified && several.unwrap()[0].verified);
        wanted.extend([alone.clone(), listed.clone()]);
        assert_eq!(w.roster(gid).await, wanted, "round {round}");

        // One goes while the one that was taken out comes back, unless it was revoked.
        let (gone, back) = tokio::join!(gateway.delete_member(&alone), gateway.verify(&old, true));
        gone.unwrap();
        assert_eq!(back.is_ok(), round % 4 >= 2, "{back:?}");
        wanted.remove(&alone);
        if back.is_ok() {
            wanted.insert(old);
        }
        assert_eq!(w.roster(gid).await, wanted, "round {round}");
    }
}

/// Too few are in and others wait to be compared: whoever starts the group, asks it, or looks at it, hears how many.
#[tokio::test]
async fn who_finds_too_few_members_hears_how_many_wait() {
    let w = world().await;
    let gid = w.found().await;
    let body = r#"{"field":9223372036854775783,"max_element":"1000","aggregator":"sum","items":2,"time_slots":-1}"#;
    assert_eq!(w.api("PUT", &format!("/groups/{gid}/configuration")).json(body).await.status, 200);
    let all_hear = async |wanted: &[&str], unwanted: &str| {
        let task = TaskRequest { tell_gateway: true, ..TaskRequest::about(gid, "temperature", "mean", "HVAC") };
        let new = NewTask { task, signature: None, notify: None, wait: false };
        let started = w.gateway.start_group(gid).await.unwrap_err().to_string();
        let asked = w.gateway.submit_task(new, "ada", None).await.err().unwrap().to_string();
        let foreseen = w.gateway.forecast(gid).await.unwrap().unwrap().unwrap_err();
        for why in [started, asked, foreseen] {
            assert!(wanted.iter().all(|text| why.contains(*text)) && !why.contains(unwanted), "{why}");
        }
    };
    all_hear(&["0 input peers are too few"], "wait").await;
    for name in ["anna", "berta", "clara"] {
        w.newcomer(gid, name).await;
    }
    all_hear(&["0 input peers are too few", "; 3 members wait to be compared: `tacit pair list`"], "anna").await;
    w.gateway.reject("anna", "nobody knows her").await.unwrap();
    w.gateway.verify("berta", true).await.unwrap();
    all_hear(&["1 input peers are too few", "; 1 member waits to be compared"], "clara").await;
}

/// A crash between a decision and its row: the charter holds, but nobody is in it whom an operator refused.
#[tokio::test]
async fn rule1_rows_and_charter_agree_after_a_crash() {
    let mut w = world().await;
    let gid = w.found().await;
    let mut pids = Vec::new();
    for name in ["approved", "removed", "revoked", "settled"] {
        w.newcomer(gid, name).await;
        pids.push(MemberId(w.gateway.member(name).await.unwrap().pid));
    }
    for name in ["approved", "revoked", "settled"] {
        w.gateway.verify(name, true).await.unwrap();
    }
    w.member(gid.0, "keyless", 1).await;
    w.gateway.verify("keyless", true).await.unwrap();
    // Decided, and not written down; and the other way round, as an older version may have left it.
    w.store.set_verified(pids[0], false, None).await.unwrap();
    w.store.set_verified(pids[1], true, None).await.unwrap();
    w.store.refuse_member(pids[2], MemberRefusal::Revoked, "stolen", SystemClock.now()).await.unwrap();
    w.restart_gateway().await;
    let group = w.gateway.group(gid).await.unwrap();
    let names = |verified: bool| {
        let of = group.members.iter().filter(move |member| member.verified == verified);
        of.map(|member| member.name.as_str()).collect::<Vec<_>>()
    };
    assert_eq!(names(true), ["approved", "settled", "keyless"]);
    assert_eq!(names(false), ["removed", "revoked"]);
    let listed: Vec<&str> = group.charter.members.iter().map(|member| member.name.as_str()).collect();
    assert_eq!(listed, ["approved", "settled"]);
    let before = group.consensus;
    w.restart_gateway().await;
    assert_eq!(w.gateway.group(gid).await.unwrap().consensus, before, "nothing was left to mend");
}
