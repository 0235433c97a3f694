use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};

use openraft::{CommittedLeaderId, EntryPayload, Vote};
use tacit_link::{ControlLink, Gate, LinkConfig, LinkHub, Protocol};
use tacit_model::{CLOCK_SKEW_MS, Clock, Fingerprint, ManualClock, SystemClock, UnixMillis};
use tacit_pki::Identity;
use time::OffsetDateTime;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};

use super::*;
use crate::message::{Answer, Ask};
use crate::types::Entry;

/// Far more than anything here takes, also on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

struct All;

impl Gate for All {
    fn admit(&self, _: Protocol, _: &Fingerprint) -> bool {
        true
    }
}

/// A node, without a replica on it.
async fn node(name: &str) -> (LinkHub, Host) {
    node_with(name, Arc::new(SystemClock)).await
}

async fn node_with(name: &str, clock: Arc<dyn Clock>) -> (LinkHub, Host) {
    let config = LinkConfig { clock, ..LinkConfig::new(SocketAddr::from(([127, 0, 0, 1], 0))) };
    let hub = LinkHub::bind(config).await.unwrap();
    let identity = Identity::generate(name, OffsetDateTime::UNIX_EPOCH).unwrap();
    let host = hub.host(Arc::new(identity), Arc::new(All)).unwrap();
    (hub, host)
}

/// A socket that takes connections and says nothing, and the way through it to a node.
async fn silent_way(from: &Host, to: &Host) -> (TcpListener, There) {
    let silent = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
    let addresses = vec![silent.local_addr().unwrap().to_string()];
    let node = ReplicaNode { fingerprint: to.fingerprint(), addresses };
    let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
    (silent, There { host: from.clone(), node, limit: PATIENCE, tasks, stop })
}

fn question() -> What {
    What::Vote(Candidacy { rpc: VoteRequest::new(Vote::new(1, 1), None), trial: true })
}

/// Answers every question with what it cannot.
async fn answer(mut links: mpsc::Receiver<ControlLink>) {
    while let Some(mut link) = links.recv().await {
        while let Ok(Ask { number, .. }) = link.recv::<Ask>().await {
            link.send(&Answer { number, what: Answered::Failed }).unwrap();
        }
    }
}

/// Whoever is asked compares the clocks when a link is made, and this one may be weeks old.
#[tokio::test]
async fn w1_a_node_whose_clock_was_set_asks_for_votes_on_a_new_link() {
    let clock = Arc::new(ManualClock::new(UnixMillis(0)));
    let ((_here, from), (hub, to)) = (node_with("a", Arc::clone(&clock) as Arc<dyn Clock>).await, node("b").await);
    let (mut links, made) = (to.replica_links(), Arc::new(AtomicUsize::new(0)));
    let (forward, forwarded) = mpsc::channel(8);
    let count = Arc::clone(&made);
    tokio::spawn(async move {
        while let Some(link) = links.recv().await {
            count.fetch_add(1, Ordering::Relaxed);
            forward.send(link).await.unwrap();
        }
    });
    tokio::spawn(answer(forwarded));
    let node = ReplicaNode { fingerprint: to.fingerprint(), addresses: vec![hub.local_addr().to_string()] };
    let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
    let there = Arc::new(There { host: from.clone(), node, limit: PATIENCE, tasks, stop });
    let voter = Voter { there, line: Arc::default(), ear: Ear::new(Instant::now()) };
    for (set, links) in [(0, 1), (1000, 1), (CLOCK_SKEW_MS + 60_000, 2), (0, 2)] {
        clock.advance(set);
        let asked = voter.ask(Candidacy { rpc: VoteRequest::new(Vote::new(1, 1), None), trial: true });
        assert!(tokio::time::timeout(PATIENCE, asked).await.expect("an answer").is_err(), "it cannot say");
        assert_eq!(made.load(Ordering::Relaxed), links, "after {set} ms");
    }
}

/// On a network with long ways a link takes longer than Raft waits for an answer: it would never open.
#[tokio::test]
async fn w1_a_dial_goes_on_when_the_call_that_began_it_is_dropped() {
    let ((_here, from), (hub, to)) = (node("a").await, node("b").await);
    let (silent, there) = silent_way(&from, &to).await;
    tokio::spawn(answer(to.replica_links()));
    let mut line = Line::default();
    for _ in 0..3 {
        let asked = tokio::time::timeout(Duration::from_millis(20), line.ask(Some(&there), None, question())).await;
        assert!(asked.is_err(), "nobody answers yet");
    }
    // Only now what was dialled is connected.
    let connected = Arc::new(AtomicUsize::new(0));
    let (count, address) = (Arc::clone(&connected), hub.local_addr());
    tokio::spawn(async move {
        while let Ok((mut incoming, _)) = silent.accept().await {
            count.fetch_add(1, Ordering::Relaxed);
            let mut outgoing = TcpStream::connect(address).await.unwrap();
            tokio::spawn(async move { tokio::io::copy_bidirectional(&mut incoming, &mut outgoing).await });
        }
    });
    let asked = tokio::time::timeout(PATIENCE, line.ask(Some(&there), None, question())).await.unwrap();
    assert!(matches!(asked, Ok((Answered::Failed, _))));
    assert_eq!(connected.load(Ordering::Relaxed), 1, "one dial for all who asked");
}

/// A dial that failed while nobody waited is not what the next one hears.
#[tokio::test]
async fn w1_an_old_failure_is_not_the_answer_to_a_new_question() {
    let ((_here, from), (hub, to)) = (node("a").await, node("b").await);
    let (silent, mut there) = silent_way(&from, &to).await;
    tokio::spawn(answer(to.replica_links()));
    there.limit = Duration::from_millis(50);
    let mut line = Line::default();
    let asked = tokio::time::timeout(Duration::from_millis(1), line.ask(Some(&there), None, question())).await;
    assert!(!matches!(asked, Ok(Ok(_))));
    let failed = async {
        while line.dial.as_ref().is_some_and(|dial| !dial.is_finished()) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, failed).await.unwrap();
    drop(silent);
    there.limit = PATIENCE;
    there.node.addresses = vec![hub.local_addr().to_string()];
    let asked = tokio::time::timeout(PATIENCE, line.ask(Some(&there), None, question())).await.unwrap();
    assert!(matches!(asked, Ok((Answered::Failed, _))));
}

#[tokio::test]
async fn w1_a_dial_ends_with_the_replica() {
    let ((_here, from), (_there, to)) = (node("a").await, node("b").await);
    let (_silent, mut there) = silent_way(&from, &to).await;
    there.limit = PATIENCE * 60;
    let mut line = Line::default();
    let asked = tokio::time::timeout(Duration::from_millis(20), line.ask(Some(&there), None, question())).await;
    assert!(asked.is_err() && there.tasks.len() == 1);
    there.stop.cancel();
    there.tasks.close();
    tokio::time::timeout(PATIENCE, there.tasks.wait()).await.expect("the dial ends");
    let asked = line.ask(Some(&there), None, question()).await;
    assert!(matches!(asked, Err(LinkError::ShuttingDown)));
}

/// A follower to which entries travel until `arrived`. Says of each message how many were in it.
async fn take(
    mut links: mpsc::Receiver<ControlLink>,
    arrived: watch::Receiver<bool>,
    seen: mpsc::UnboundedSender<usize>,
) {
    while let Some(mut link) = links.recv().await {
        let (mut arrived, seen) = (arrived.clone(), seen.clone());
        tokio::spawn(async move {
            while let Ok(Ask { number, what: What::Append(rpc), .. }) = link.recv().await {
                seen.send(rpc.entries.len()).unwrap();
                if !rpc.entries.is_empty() {
                    arrived.wait_for(|arrived| *arrived).await.unwrap();
                }
                link.send(&Answer { number, what: Answered::Append(AppendEntriesResponse::Success) }).unwrap();
            }
        });
    }
}

fn way(there: There) -> Way {
    Way {
        there: Some(Arc::new(there)),
        line: Line::default(),
        voter: None,
        pulse: Line::default(),
        acknowledged: None,
        flight: None,
    }
}

fn at(index: u64) -> LogIndex {
    LogIndex::new(CommittedLeaderId::new(1, 1), index)
}

/// What is too long for the network in the time of a heartbeat would be sent again and again, and the leader be heard of by
/// nobody meanwhile.
#[tokio::test]
async fn w1_entries_that_take_long_are_sent_once_and_the_leader_is_heard_meanwhile() {
    let ((_here, from), (hub, to)) = (node("a").await, node("b").await);
    let (_silent, mut there) = silent_way(&from, &to).await;
    there.node.addresses = vec![hub.local_addr().to_string()];
    let (seen, mut lengths) = mpsc::unbounded_channel();
    let (arrive, arrived) = watch::channel(false);
    tokio::spawn(take(to.replica_links(), arrived, seen));
    let mut way = way(there);
    let entries = |after: u64, last: u64| AppendEntriesRequest::<Types> {
        vote: Vote::new_committed(1, 1),
        prev_log_id: Some(at(after)),
        entries: (after + 1..=last).map(|index| Entry { log_id: at(index), payload: EntryPayload::Blank }).collect(),
        leader_commit: None,
    };
    let option = || RPCOption::new(PATIENCE);
    tokio::select! {
        _ = way.append_entries(entries(3, 8), option()) => panic!("nobody answers"),
        length = lengths.recv() => assert_eq!(length, Some(5)),
    }
    for _ in 0..3 {
        let answer = way.append_entries(entries(3, 8), option()).await.unwrap();
        assert_eq!((lengths.recv().await, answer), (Some(0), AppendEntriesResponse::PartialSuccess(Some(at(3)))));
        let answer = way.append_entries(entries(3, 3), option()).await.unwrap();
        assert_eq!((lengths.recv().await, answer), (Some(0), AppendEntriesResponse::Success));
    }
    arrive.send_replace(true);
    let taken = async {
        loop {
            // There is one more by now.
            let answer = way.append_entries(entries(3, 9), option()).await.unwrap();
            assert_eq!(lengths.recv().await, Some(0));
            if answer != AppendEntriesResponse::PartialSuccess(Some(at(3))) {
                return answer;
            }
        }
    };
    let taken = tokio::time::timeout(PATIENCE, taken).await.expect("the answer is heard");
    assert_eq!(taken, AppendEntriesResponse::PartialSuccess(Some(at(8))));
    let answer = way.append_entries(entries(8, 9), option()).await.unwrap();
    assert_eq!((lengths.recv().await, answer), (Some(1), AppendEntriesResponse::Success));
}

/// Given up after the same time whatever its length, a long entry would be sent for ever, and the follower never catch up.
#[tokio::test]
async fn w1_long_entries_have_the_time_that_a_slow_network_needs() {
    // The longest change, at a megabit a second.
    let longest = Duration::from_secs((8 << 20) / (1_000_000 / 8));
    assert!(travel(&"x".repeat(8 << 20)) > longest);

    let ((_here, from), (hub, to)) = (node("a").await, node("b").await);
    let (_silent, mut there) = silent_way(&from, &to).await;
    there.node.addresses = vec![hub.local_addr().to_string()];
    let (seen, mut lengths) = mpsc::unbounded_channel();
    let (_never, arrived) = watch::channel(false);
    tokio::spawn(take(to.replica_links(), arrived, seen));
    let mut way = way(there);
    let option = || RPCOption::new(PATIENCE);
    for (length, is_late) in [(1, true), (4 << 20, false)] {
        let entry = || {
            let statement = serde_json::json!({"sql": "x".repeat(length), "args": []});
            let change = serde_json::from_value(serde_json::json!({"after": 0, "statements": [statement]})).unwrap();
            AppendEntriesRequest::<Types> {
                vote: Vote::new_committed(1, 1),
                prev_log_id: Some(at(3)),
                entries: vec![Entry { log_id: at(4), payload: EntryPayload::Normal(change) }],
                leader_commit: None,
            }
        };
        tokio::select! {
            _ = way.append_entries(entry(), option()) => panic!("nobody answers"),
            count = lengths.recv() => assert_eq!(count, Some(1)),
        }
        // As if it had been on its way for so long.
        way.flight.as_mut().unwrap().begun -= LATE + Duration::from_secs(1);
        let answer = way.append_entries(entry(), option()).await;
        assert_eq!(lengths.recv().await, Some(0));
        assert_eq!((answer.is_err(), way.flight.is_none()), (is_late, is_late), "{length}: {answer:?}");
    }
}
