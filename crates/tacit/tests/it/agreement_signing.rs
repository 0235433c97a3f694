//! Who signs a text, what it then says, and what each signer keeps of it: processes of their own, over HTTPS.

use std::io::Write as _;
use std::process::Stdio;

use serde_json::{Value, json};
use tacit_accord::negotiation::{Act, Wording, sign_act};
use tacit_pki::keyfile;

use crate::agreement::{Court, text};
use crate::harness::{Node, run, tacit};

/// A negotiation of the administrator about nothing in particular, to which these keys are invited.
fn statement(court: &Court, invited: &[&String]) -> String {
    let mut args = vec!["new", "--title", "a deadline", "--set", "deadline=5"];
    invited.iter().for_each(|key| args.extend(["--invite-key", key]));
    let new = court.negotiate("admin", &args).json();
    text(&new, "negotiation").to_owned()
}

/// What is in force in the court's only group.
fn in_force(court: &Court) -> String {
    text(&court.tacit("admin", &["group", "show", "1"]).json(), "consensus").to_owned()
}

/// A09: a text may name its signers. Nobody else signs it, none of them may be missing, and a set that is another one is
/// refused by whoever looks at the agreement.
#[test]
fn a09_a_text_that_names_its_signers_is_agreed_on_by_exactly_these() {
    let court = Court::new();
    let (alice, bob, carol) = (court.key("alice"), court.key("bob"), court.key("carol"));
    let id = statement(&court, &[&alice, &bob, &carol]);
    // Carol has a part in the negotiation, but not in this text; nor has who opened it.
    let named = ["contribute", &id, "--from", "1", "--signer", &alice, "--signer", &bob];
    court.negotiate("carol", &named).refused(3, "names its signers");
    court.negotiate("admin", &named).refused(3, "names its signers");
    court.negotiate("alice", &named).json();
    court.negotiate("admin", &["withdraw", &id]).json();
    let explained = court.negotiate("eve", &["explain", &id]).json();
    for key in [&alice, &bob] {
        assert!(text(&explained, "explanation").contains(key.as_str()), "{explained}");
    }
    court.negotiate("alice", &["accept", &id]).json();
    court.negotiate("carol", &["accept", &id]).refused(3, "names its signers");
    let state = court.negotiate("bob", &["accept", &id]).json();
    // Carol was invited, too: without her word the negotiation stays open, and she cannot sign this text.
    assert_eq!(text(&state, "status"), "open", "{state}");

    let id = statement(&court, &[&alice, &bob]);
    court.negotiate("alice", &["contribute", &id, "--from", "1", "--signer", &alice, "--signer", &bob]).json();
    court.negotiate("admin", &["withdraw", &id]).json();
    court.negotiate("alice", &["accept", &id]).json();
    let state = court.negotiate("bob", &["accept", &id]).json();
    assert_eq!(text(&state, "status"), "done", "{state}");
    let mut agreement: Value = serde_json::from_str(text(&state, "agreement")).expect("JSON");
    let signed: Vec<&String> = agreement["signings"].as_object().expect("signatures").keys().collect();
    assert!(signed.len() == 2 && signed.contains(&&alice) && signed.contains(&&bob), "{signed:?}");
    let verified = |agreement: &Value| {
        let agreement: tacit_accord::negotiation::Agreement = serde_json::from_value(agreement.clone()).expect("one");
        agreement.verify().map(drop).map_err(|e| e.to_string())
    };
    assert_eq!(verified(&agreement), Ok(()));
    drop(agreement["signings"].as_object_mut().expect("signatures").remove(&bob));
    assert!(verified(&agreement).expect_err("one is missing").contains("no proper set of signatures"));
}

/// A12: what owners are called together follows from their keys, and each key must have signed: one that somebody merely
/// knows, or made up, makes nobody an owner, whoever else signs.
#[test]
fn a12_a_key_whose_holder_never_signs_is_no_owner() {
    let mut court = Court::new();
    court.tacit("admin", &["group", "create", "g"]).json();
    let before = in_force(&court);
    let (alice, bob) = (court.key("alice"), court.key("bob"));
    let owners = ["--invite-key", &alice, "--invite-key", &bob, "--add-owner", &alice, "--add-owner", &bob];
    let new = court.negotiate("admin", &[&["new", "--group", "1"], &owners[..]].concat()).json();
    let id = text(&new, "negotiation").to_owned();
    court.negotiate("alice", &["accept", &id]).json();
    let state = court.negotiate("admin", &["accept", &id, "--as-manager"]).json();
    assert_eq!((text(&state, "status"), &state["pending"]), ("open", &json!([bob])));
    court.gateway.restart();
    assert_eq!(in_force(&court), before, "not without bob, also after a restart");
    // Alice signs in bob's name, and with bob's word on another text.
    let key = |who: &str| keyfile::load(&court.keys.path().join("keys"), who).expect("a key");
    let theirs = state["contributions"].as_array().expect("a list");
    let accepted = theirs.iter().find(|c| c["signer"] == json!(alice)).expect("alice's");
    let mine = |signer: &str, text: &str, decision: Option<String>| {
        let act = Act::Contribute { text: text.to_owned(), invitation: None, decision: decision.clone() };
        let signed = sign_act(&key(signer), &id.parse().expect("an id"), 1, act).expect("signed");
        json!({"signer": bob, "turn": 1, "act": "contribute", "text": text, "signature": signed.signature,
            "decision": decision})
    };
    let send = |body: &Value| court.raw("POST", &format!("/negotiations/{id}/acts"), Some(body)).0;
    assert_eq!(send(&mine("alice", text(accepted, "text"), None)), "403");
    assert_eq!(send(&mine("bob", text(accepted, "text"), None)), "403", "it accepts a charter and decides nothing");
    let wording = Wording::read(text(accepted, "text")).expect("a text");
    let decision = |who: &str| {
        let id = tacit_accord::negotiation::charter_text(&wording.parts[0]).expect("a charter").id().expect("an id");
        Some(tacit_accord::negotiation::sign_decision(&key(who), &id))
    };
    assert_eq!(send(&mine("bob", text(accepted, "text"), decision("alice"))), "403", "another key decided");
    assert_eq!(in_force(&court), before);
    let served = court.negotiate("eve", &["registry", &id]).json();
    assert_eq!((&served["owners"], &served["joint_id"]), (&json!([]), &Value::Null));
    // With bob's own word it is in force, and the joint id is that of both keys, in whatever order.
    assert_eq!(send(&mine("bob", text(accepted, "text"), decision("bob"))), "200");
    let served = court.negotiate("eve", &["registry", &id]).json();
    let mut keys = [format!("{alice}\n"), format!("{bob}\n")];
    keys.sort();
    let joint = tacit_accord::digest("joint", keys.concat().as_bytes());
    assert_eq!(served["joint_id"], json!(tacit_model::Fingerprint(joint)));
}

/// R09: the text that owners sign says of each member what it is, where it is reached, what it takes, what it gives, and
/// within which bounds; another one is not taken.
#[test]
fn r09_what_each_member_does_stands_in_the_text_that_owners_sign() {
    let court = Court::new();
    court.tacit("admin", &["group", "create", "g"]).json();
    let home = Node::with("peers", &["--tls", "--roles", "peer"]);
    let (data, pin, url) = (home.data(), court.pin(), court.gateway.url());
    let data = data.to_str().expect("a path");
    for (name, role) in [("a", "input"), ("b", "both"), ("c", "both"), ("d", "privacy")] {
        let code = court.gateway.api("POST", "/groups/1/codes", None).json();
        let joining = ["join", text(&code, "code"), "--gateway", &url, "--gateway-fingerprint", &pin, "--name", name];
        let joined = run(&[&joining[..], &["--role", role, "--operator", name, "--data", data]].concat());
        assert_eq!(joined.status.code(), Some(0), "{joined:?}");
        let fingerprint =
            text(&court.gateway.api("GET", &format!("/members/{name}"), None).json(), "fingerprint").to_owned();
        let verdict = json!({ "verified": true, "fingerprint": fingerprint });
        assert_eq!(court.gateway.api("POST", &format!("/members/{name}/verify"), Some(&verdict)).status, 200);
    }
    let larger = ["--set", "configuration/items=2", "--set", "configuration/max_element=100"];
    court.owned(&larger);
    let id =
        text(&court.negotiate("alice", &["new", "--group", "1", "--gateway", &pin]).json(), "negotiation").to_owned();
    let shown = court.negotiate("bob", &["show", &id]).json();
    let put_forward = text(&shown["contributions"][0], "text");
    let signed = Wording::read(put_forward).expect("a text");
    let duties = &signed.parts[0].duties;
    let actors: Vec<&str> = duties.iter().map(|duty| duty.actor.as_str()).collect();
    assert_eq!(actors, ["owners", "gateway", "a", "b", "c", "d"]);
    for (actor, role, takes, gives) in [
        ("a", "gives data, run by a", "its own rows", "shares to the computing members"),
        ("b", "gives data and computes on shares, run by b", "shares from 3 members", "shares of the result"),
        ("d", "computes on shares, run by d", "shares from 3 members", "shares of the result"),
    ] {
        let duty = duties.iter().find(|duty| duty.actor == actor).expect("a duty");
        assert_eq!(duty.role, role);
        assert!(duty.inputs.contains(takes) && duty.outputs.contains(gives), "{duty:?}");
        assert!(duty.limits.contains("sum of 2 values from 0 to 100 per row"), "{duty:?}");
        assert!(actor == "a" || !duty.endpoint.is_empty(), "who gets shares is reached somewhere: {duty:?}");
    }
    let explained = court.negotiate("bob", &["explain", &id]).json();
    for duty in duties {
        for said in [&duty.actor, &duty.role, &duty.endpoint, &duty.inputs, &duty.outputs, &duty.limits] {
            assert!(text(&explained, "explanation").contains(said.as_str()), "{said}: {explained}");
        }
    }
    // Duties that are not what follows from the parameters would mislead whoever signs: bob's own signature helps nothing.
    let mut lying = signed.clone();
    lying.parts[0].duties[3].limits = "none".to_owned();
    let lying = lying.to_text().expect("a text");
    let bob = keyfile::load(&court.keys.path().join("keys"), "bob").expect("bob's key");
    let act = Act::Contribute { text: lying.clone(), invitation: None, decision: None };
    let said = sign_act(&bob, &id.parse().expect("an id"), 1, act).expect("signed");
    let body =
        json!({"signer": said.signer, "turn": 1, "act": "contribute", "text": lying, "signature": said.signature});
    assert_eq!(court.raw("POST", &format!("/negotiations/{id}/acts"), Some(&body)).0, "422");
}

/// A text of two parts, a charter and a statement, is one thing: accepted, refused and proven as a whole.
#[test]
fn a15_a_text_of_two_parts_is_agreed_on_over_https() {
    let court = Court::new();
    court.tacit("admin", &["group", "create", "g"]).json();
    court.owned(&[]);
    let pin = court.pin();
    let parts = ["--set", "slots/deadline_ms=7000", "--add-part", "terms of use", "--set", "2/notice_days=30"];
    let new = court.negotiate("alice", &[&["new", "--group", "1", "--gateway", &pin], &parts[..]].concat()).json();
    let id = text(&new, "negotiation").to_owned();
    // Bob counter-proposes one parameter of the second part; the others stay agreed.
    court.negotiate("bob", &["contribute", &id, "--set", "2/notice_days=60"]).json();
    let shown = court.shown(&["show", &id]);
    assert!(shown.contains("open: 2/notice_days") && !shown.contains("open: 1/"), "{shown}");
    let before = in_force(&court);
    court.negotiate("bob", &["accept", &id, "--contribution", "1"]).json();
    court.negotiate("alice", &["accept", &id, "--contribution", "2"]).refused(2, "nobody has put such a text forward");
    assert_eq!(in_force(&court), before);
    let state = court.negotiate("alice", &["accept", &id, "--contribution", "1"]).json();
    assert_eq!((text(&state, "status"), text(&state, "outcome")), ("done", "in force"));
    assert_eq!(in_force(&court), text(&state, "decided"));
    // The agreement proves both parts, the charter's document the first.
    let agreement: tacit_accord::negotiation::Agreement =
        serde_json::from_str(text(&state, "agreement")).expect("an agreement");
    let agreed = agreement.verify().expect("it holds");
    assert_eq!((agreed.parts.len(), &agreed.parts[1].id), (2, &"terms of use".to_owned()));
    assert_eq!(agreed.parts[1].terms["notice_days"], json!(30));
    let explained = court.shown(&["explain", &id]);
    for said in ["Part 1: the charter of group 1", "Part 2: a statement on terms of use", "notice_days = 30"] {
        assert!(explained.contains(said), "{said}: {explained}");
    }
    // A part that is not there has no parameter.
    let new = court.negotiate("alice", &["new", "--group", "1", "--gateway", &pin, "--set", "3/x=1"]);
    new.refused(2, "there is no part for 3/x");
}

/// R13: what an owner signed is in the log beside the key, before anybody hears of it; so what is not in it the owner did
/// not sign there.
#[test]
fn r13_an_owners_own_log_shows_what_was_signed_and_so_what_was_not() {
    let court = Court::new();
    court.tacit("admin", &["group", "create", "g"]).json();
    let (_, first) = court.owned(&["--set", "quorum=1"]);
    // Bob decides alone, as the charter says he may. Alice talks about it, and signs no decision.
    let pin = court.pin();
    let new =
        court.negotiate("alice", &["new", "--group", "1", "--gateway", &pin, "--set", "slots/deadline_ms=7000"]).json();
    let id = text(&new, "negotiation").to_owned();
    let state = court.negotiate("bob", &["accept", &id]).json();
    assert_eq!(text(&state, "outcome"), "in force");
    let second = text(&state, "decided").to_owned();

    let file = |who: &str| court.keys.path().join("keys").join(format!("{who}.log.jsonl"));
    let fingerprint = |who: &str| text(&court.negotiate(who, &["key"]).json(), "fingerprint").to_owned();
    let verify = |who: &str, key: &str| {
        let path = file(who);
        let output = run(&["audit", "verify", path.to_str().expect("a path"), "--key", key, "--json"]);
        let told: Value = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
        (output.status.code(), told)
    };
    // Offline, with the public key alone, as any log.
    let uses = |who: &str| -> Vec<Value> {
        let (code, told) = verify(who, &fingerprint(who));
        assert_eq!((code, &told["ok"]), (Some(0), &json!(true)), "{told}");
        let log = std::fs::read_to_string(file(who)).expect("a log");
        let entries = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let entries = entries.map(|line| line["entry"].clone()).filter(|entry| entry["kind"] == "key_use");
        entries.map(|entry| entry["facts"].clone()).collect()
    };
    let decisions = |who: &str| -> Vec<String> {
        let uses = uses(who).into_iter().filter(|facts| facts["use"] == "charter");
        uses.map(|facts| text(&facts, "signed").to_owned()).collect()
    };
    assert_eq!(decisions("alice"), std::slice::from_ref(&first));
    assert_eq!(decisions("bob"), [first.clone(), second.clone()]);
    // It says the same as the documents: whose signature is under which consensus.
    let documents = court.tacit("admin", &["group", "consensus", "1"]).json();
    for document in documents.as_array().expect("documents") {
        let read = tacit_accord::Consensus::read(document.as_str().expect("a text")).expect("a document");
        let signed = document.as_str().expect("a text");
        for who in ["alice", "bob"] {
            // As an owner's key it stands in every document; as a signer's once more.
            let under: Value = serde_json::from_str(signed).expect("JSON");
            let signers = under["signatures"].as_array().expect("signatures").iter();
            let has_signed = signers.into_iter().any(|line| line["key"] == json!(court.key(who)));
            assert_eq!(decisions(who).contains(&read.id().to_string()), has_signed, "{who} {}", read.id());
        }
    }
    // The turns of a negotiation count without a gap, and the gateway knows no more of them than the log.
    let turns = |who: &str| -> Vec<u64> {
        let uses = uses(who).into_iter().filter(|facts| facts["on"] == json!(id) && facts["use"] == "negotiation");
        let said = uses.map(|facts| serde_json::from_str::<Value>(text(&facts, "signed")).expect("JSON"));
        said.map(|said| said["turn"].as_u64().expect("a turn")).collect()
    };
    for who in ["alice", "bob"] {
        let known = state["turns"][court.key(who)].as_u64().unwrap_or(0);
        assert_eq!(turns(who), (1..=known).collect::<Vec<_>>(), "{who}");
    }
    // Another key's log is none of alice's; one that was touched is refused, and nothing more is signed beside it.
    assert_eq!(verify("bob", &fingerprint("alice")).0, Some(3));
    let whole = std::fs::read_to_string(file("alice")).expect("a log");
    let last = whole.lines().last().expect("a line");
    for forged in [whole.replace(&first, &second), whole.replace(&format!("{last}\n"), "")] {
        assert_ne!(forged, whole);
        std::fs::write(file("alice"), &forged).expect("written");
        assert_eq!(verify("alice", &fingerprint("alice")).0, Some(3));
        court.negotiate("alice", &["new", "--group", "1", "--gateway", &pin]).refused(3, "does not hold");
    }
    std::fs::write(file("alice"), &whole).expect("written");
    court.negotiate("alice", &["new", "--group", "1", "--gateway", &pin]).json();
}

/// Who signs sees what changes, before the key does anything; on a terminal there is a question.
#[test]
fn what_is_signed_is_shown_first_and_asked_about() {
    let court = Court::new();
    court.tacit("admin", &["group", "create", "floor3"]).json();
    let new = court.negotiate("admin", &["new", "--group", "1", "--set", "slots/deadline_ms=60000"]).json();
    let id = text(&new, "negotiation").to_owned();
    let answer = |typed: &str| {
        let mut command = tacit();
        command.args(["negotiation", "accept", &id, "--as-manager", "--ask", "--node", &court.gateway.url()]);
        command.args(["--pin", &court.pin(), "--as", "admin", "--keys"]).arg(court.key_folder());
        command.arg("--token-file").arg(court.gateway.data().join("keys").join("owner.token"));
        let mut child = command.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("tacit starts");
        writeln!(child.stdin.take().expect("its input"), "{typed}").expect("it reads");
        let output = child.wait_with_output().expect("it ends");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let before = in_force(&court);
    let (code, said) = answer("no");
    assert_eq!(code, Some(2), "{said}");
    for words in ["slots/deadline_ms: 300000 -> 60000", "1 changed", "You would sign all of this", "nothing was done"] {
        assert!(said.contains(words), "{words:?} in {said}");
    }
    assert!(!said.contains("threshold:"), "what stays as it is is not listed: {said}");
    assert_eq!(in_force(&court), before);
    let (code, said) = answer("yes");
    assert_eq!(code, Some(0), "{said}");
    assert_ne!(in_force(&court), before);
}

/// A proposal that cannot be put forward leaves no open negotiation that waits for it.
#[test]
fn a_negotiation_without_a_first_text_is_not_left_open() {
    let court = Court::new();
    court.tacit("admin", &["group", "create", "floor3"]).json();
    let before = court.negotiate("admin", &["new", "--group", "1", "--remove-member", "nobody"]);
    before.refused(2, "there is no member nobody");
    assert!(before.err.contains("cancelled again"), "{}", before.err);
    court.negotiate("admin", &["new", "--group", "1", "--set", "threshold=\"many\""]).refused(2, "cancelled again");
    let all = court.tacit("admin", &["negotiation", "list", "--group", "1"]).json();
    let all = all.as_array().expect("a list");
    assert!(all.len() == 2 && all.iter().all(|one| one["status"] == "cancelled"), "{all:?}");
}
