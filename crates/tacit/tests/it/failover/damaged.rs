//! A gateway that is elected and cannot serve.

use serde_json::{Value, json};

use super::{Cluster, Gateway};
use crate::wait::until;

/// How often a gateway has logged that it was started, as whoever leads has it.
fn starts(cluster: &Cluster, token: &str, gateway: &str) -> usize {
    let log = cluster.told(token, "GET", "/log?max=1000", None);
    let entries = log["entries"].as_array().expect("entries").iter();
    let entries = entries.map(|entry| entry["body"].as_str().expect("a text"));
    let entries = entries.map(|body| serde_json::from_str::<Value>(body).expect("JSON"));
    entries.filter(|entry| entry["kind"] == "software" && entry["node"] == gateway).count()
}

/// Its database is damaged: it ends and says why, and another one leads. The log of all is not told of
/// a start with each try.
#[test]
fn w1_a_gateway_that_cannot_take_up_the_lead_makes_way_for_another() {
    let mut cluster = Cluster::start();
    let first = cluster.leader();
    let token = cluster.gateways[first].token();
    cluster.told(&token, "POST", "/groups", Some(&json!({ "name": "building" })));
    let damaged = (first + 1) % 3;
    let fingerprint = cluster.gateways[damaged].fingerprint.clone();
    let before = starts(&cluster, &token, &fingerprint);

    let database = cluster.gateways[damaged].data().join("tacit.db");
    until("the group to be there, too", || {
        let open = rusqlite::Connection::open(&database).map_err(|e| e.to_string())?;
        let groups = open.query_row("SELECT count(*) FROM groups", [], |row| row.get::<_, i64>(0));
        if groups.as_ref().is_ok_and(|groups| *groups == 1) { Ok(()) } else { Err(format!("{groups:?}")) }
    });
    cluster.gateways[damaged].kill();
    let open = rusqlite::Connection::open(&database).expect("the database");
    assert_eq!(open.execute("UPDATE groups SET created = 'x'", []).expect("damaged"), 1);
    drop(open);
    cluster.gateways[damaged].start();

    let mut down = None;
    let ended = until("the damaged one to end", || {
        let child = cluster.gateways[damaged].child.as_mut().expect("it was started");
        if let Ok(Some(status)) = child.try_wait() {
            return Ok(status);
        }
        // Whoever else leads makes room for it, and comes back when another one was elected: else it would lead again.
        if let Some(leads) = cluster.gateways.iter().position(Gateway::leads) {
            cluster.gateways[leads].kill();
            if let Some(before) = down.replace(leads) {
                cluster.gateways[before].start();
            }
        }
        Err("it runs".to_owned())
    });
    if let Some(before) = down {
        cluster.gateways[before].start();
    }
    // A service manager starts it again, and it follows whoever leads then.
    assert_eq!(ended.code(), Some(1));
    let said = std::fs::read_to_string(cluster.gateways[damaged].folder.path().join("log")).expect("its log");
    assert!(said.contains("tacit: this gateway was elected and could not take up the lead"), "{said}");

    assert_ne!(cluster.leader(), damaged);
    let groups = cluster.told(&token, "GET", "/groups", None);
    assert!(groups.to_string().contains("building"), "{groups}");
    let tries = said.lines().filter(|line| line.contains("the lead could not be taken up")).count();
    let began = starts(&cluster, &token, &fingerprint) - before;
    assert!(began < tries, "{began} starts were logged in {tries} tries: {said}");
}
