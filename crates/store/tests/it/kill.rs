//! Acknowledged means durable: a writer is killed with -9 at random moments and nothing it was told is lost.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::time::Duration;

use tacit_model::{Attempt, RunId, Slot};
use tacit_store::{InputState, NewRow, Redacted, Store, Windows};

use crate::queue::{LIMIT, result};
use crate::{Fixture, at, on_both, set};

on_both!(acknowledged_rows_survive_kill_9);

const ADDRESS: &str = "TACIT_STORE_KILL_ADDRESS";
const ROUND: &str = "TACIT_STORE_KILL_ROUND";
const RUN: RunId = RunId(1);

/// Not a test of its own: the process that [`acknowledged_rows_survive_kill_9`] kills.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child() {
    let (Ok(address), Ok(round)) = (std::env::var(ADDRESS), std::env::var(ROUND)) else { return };
    let store = Store::open(&address).await.unwrap();
    // Several writers at once, so that commits are shared.
    let writers: Vec<_> = (0..4)
        .map(|writer| {
            let (store, round) = (store.clone(), round.clone());
            tokio::spawn(async move {
                for number in 0.. {
                    let text = format!("{round}-{writer}-{number}");
                    let row = NewRow { slot_start: None, data: Redacted(text.clone().into_bytes()) };
                    let slot = store.append_rows("p", RUN, &[row], LIMIT, at(0)).await.unwrap();
                    say(&format!("row {} {text}", slot.0));
                    if number % 3 == 0 {
                        store.freeze("p", set(RUN, slot, Attempt(0), [1; 32]), at(0)).await.unwrap();
                        say(&format!("frozen {} {text}", slot.0));
                        store.commit_result("p", RUN, slot, result(slot.0), true).await.unwrap();
                        say(&format!("done {} {text}", slot.0));
                    }
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
}

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    // One write per line: a killed process leaves whole lines but for the last.
    out.write_all(format!("ack {line}\n").as_bytes()).unwrap();
    out.flush().unwrap();
}

async fn acknowledged_rows_survive_kill_9(f: &Fixture) {
    f.store.close().await;
    let mut seed = 12_345_u64;
    let mut acknowledged = Vec::new();
    for round in 0..20 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "kill::child", "--nocapture"])
            .env(ADDRESS, &f.address)
            .env(ROUND, round.to_string())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let (tell, first) = tokio::sync::oneshot::channel();
        let reading = std::thread::spawn(move || {
            let mut tell = Some(tell);
            let acks = out.lines().map_while(Result::ok).filter_map(|l| l.strip_prefix("ack ").map(str::to_owned));
            acks.inspect(|_| {
                let _told = tell.take().map(|tell| tell.send(()));
            })
            .collect()
        });
        // However long it takes to start: it is killed in the midst of its writing.
        tokio::time::timeout(Duration::from_secs(30), first).await.expect("in time").expect("it writes");
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        tokio::time::sleep(Duration::from_millis((seed >> 33) % 140)).await;
        child.kill().unwrap();
        child.wait().unwrap();
        let mut lines: Vec<String> = tokio::task::spawn_blocking(|| reading.join().unwrap()).await.unwrap();
        acknowledged.append(&mut lines);
    }
    assert!(acknowledged.len() > 100, "too little was written to say anything: {}", acknowledged.len());

    let store = Store::open(&f.address).await.unwrap();
    let mut texts: BTreeMap<String, i64> = BTreeMap::new();
    let mut pending = 0;
    for (place, row) in store.rows("p", RUN).await.unwrap().into_iter().enumerate() {
        assert_eq!(i64::try_from(place).unwrap(), row.slot.0, "slots have no gaps");
        let row = store.row("p", RUN, row.slot).await.unwrap().unwrap();
        if row.state == InputState::Pending {
            pending += 1;
            let text = String::from_utf8(row.data.unwrap().0).unwrap();
            assert_eq!(texts.insert(text, row.slot.0), None, "a row is there twice");
        } else {
            assert_eq!(store.result("p", RUN, row.slot).await.unwrap(), Some(result(row.slot.0)));
        }
    }
    assert_eq!(store.pending("p", RUN).await.unwrap(), pending);
    let outbox: Vec<i64> = store.outbox_pending("p", RUN).await.unwrap().iter().map(|row| row.slot.0).collect();
    let results: Vec<i64> =
        store.results("p", RUN, Windows::Newest, 10_000).await.unwrap().0.iter().map(|row| row.slot.0).collect();
    assert_eq!(outbox, results, "every result is in the outbox, once");
    for line in &acknowledged {
        let [what, slot, text] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("odd line {line}") };
        let slot: i64 = slot.parse().unwrap();
        match what {
            "row" => {
                let done = results.binary_search(&slot).is_ok();
                assert!(done || texts.get(text) == Some(&slot), "lost: {line}");
            }
            "frozen" => assert!(store.frozen("p", RUN, Slot(slot)).await.unwrap().is_some(), "lost: {line}"),
            _ => assert!(results.binary_search(&slot).is_ok(), "lost: {line}"),
        }
    }
    println!("{} acknowledgements, {} kills, nothing lost ({})", acknowledged.len(), 20, store.kind());
}
