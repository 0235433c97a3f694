//! Clients that are told of their tasks at an address, where what is posted there is answered by the test.

use core::future::Future;
use core::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tacit_gateway::{Notice, Notifier};
use tacit_job::Ask;
use tacit_model::api::{NewTask, TaskRequest, TaskWindow};
use tacit_model::{Clock as _, GroupId, Slot, SystemClock};
use tacit_store::{NoticeRow, TaskRow};
use tokio::sync::{mpsc, oneshot};

use crate::world::{World, world_telling};

/// So long is waited for what must come.
const PATIENCE: Duration = Duration::from_secs(20);

/// What was posted, and where its answer goes.
type Post = (Notice, oneshot::Sender<Result<u16, String>>);

/// Posts to the test.
struct Hooks(mpsc::UnboundedSender<Post>);

impl Notifier for Hooks {
    fn allows(&self, _: &str) -> Result<(), String> {
        Ok(())
    }

    fn post(&self, notice: Notice) -> Pin<Box<dyn Future<Output = Result<u16, String>> + Send + '_>> {
        let (answer, answered) = oneshot::channel();
        let posted = self.0.send((notice, answer));
        Box::pin(async move {
            posted.map_err(|_| "the test is over".to_owned())?;
            answered.await.map_err(|_| "nobody answers".to_owned())?
        })
    }
}

async fn telling() -> (World, mpsc::UnboundedReceiver<Post>) {
    let (hooks, posts) = mpsc::unbounded_channel();
    (world_telling(Arc::new(Hooks(hooks))).await, posts)
}

async fn next(posts: &mut mpsc::UnboundedReceiver<Post>) -> Post {
    tokio::time::timeout(PATIENCE, posts.recv()).await.expect("a post in time").expect("the gateway lives")
}

/// Waits until what is still to be told is as it should be.
async fn until(w: &World, fits: impl Fn(&[NoticeRow]) -> bool) {
    let fit = async {
        while !fits(&w.store.notices_open().await.unwrap()) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, fit).await.expect("it comes to that");
}

fn question(nonce: &str) -> TaskRequest {
    let (issued, nonce) = (SystemClock.now().to_rfc3339(), nonce.repeat(16));
    TaskRequest { most: "1000".to_owned(), issued, nonce, ..TaskRequest::about(GroupId(1), "level", "sum", "HVAC") }
}

/// A task of ada's that is over, and that she asked for under a word of hers; its id.
async fn over(w: &World, word: &str, request: &TaskRequest) -> String {
    over_as(w, word, request, |ask| ask).await
}

/// The same, kept in another form.
async fn over_as(w: &World, word: &str, request: &TaskRequest, form: impl FnOnce(String) -> String) -> String {
    let id = open(w, word, request, form).await;
    assert!(w.store.end_task(&id, "failed", "nobody is there", SystemClock.now()).await.unwrap());
    id
}

/// One that no gateway works at, and that is not over.
async fn open(w: &World, word: &str, request: &TaskRequest, form: impl FnOnce(String) -> String) -> String {
    let ask = Ask::admit(request.clone(), None, &w.identity).unwrap();
    let (id, now) = (ask.id().to_string(), SystemClock.now());
    let row = TaskRow {
        id: id.clone(),
        gid: GroupId(1),
        client: "ada".to_owned(),
        idempotency: Some(word.to_owned()),
        ask_json: form(serde_json::to_string(&ask).unwrap()),
        state: "open".to_owned(),
        detail: String::new(),
        next_window: Slot(0),
        created: now,
        updated: now,
    };
    w.store.add_task(row).await.unwrap();
    id
}

/// One more computation of a task, after which the task stands like this.
async fn computed(w: &World, id: &str, window: i64, detail: String, state: &str) {
    let shown = TaskWindow { detail, ..TaskWindow::new(Slot(window), "done") };
    let text = serde_json::to_string(&shown).unwrap();
    w.store.end_window(id, Slot(window), text, state, "", None, SystemClock.now()).await.unwrap();
}

/// How many computations a task is told with, and the first and the last of them.
type Told = (usize, Option<i64>, Option<i64>);

fn told(body: &Value) -> Told {
    let numbers: Vec<i64> =
        body["windows"].as_array().unwrap().iter().map(|one| one["window"].as_i64().unwrap()).collect();
    (numbers.len(), numbers.first().copied(), numbers.last().copied())
}

/// What the events of a task hold, to their end.
async fn events(w: &World, id: &str, query: &str) -> Vec<Value> {
    let text = w.api("GET", &format!("/tasks/{id}/events{query}")).send().await.text;
    let data = text.lines().filter_map(|line| line.strip_prefix("data:"));
    data.map(|data| serde_json::from_str(data).unwrap()).collect()
}

/// What somebody hears who comes back to the events of a task after this id: status, ids, and what the events hold.
async fn resumed(w: &World, id: &str, query: &str, last: &str) -> (u16, Vec<String>, Vec<Value>) {
    let ask = w.api("GET", &format!("/tasks/{id}/events{query}")).header("last-event-id", last);
    let reply = ask.send().await;
    let field = |name: &str| -> Vec<String> {
        let lines = reply.text.lines().filter_map(|line| line.strip_prefix(name));
        lines.map(|text| text.trim().to_owned()).collect()
    };
    let data = field("data:").iter().map(|data| serde_json::from_str(data).unwrap()).collect();
    (reply.status.as_u16(), field("id:"), data)
}

/// Ada asks for it once more, and wants to hear of it there.
async fn again(w: &World, word: &str, request: &TaskRequest, url: &str) {
    let new = NewTask { task: request.clone(), signature: None, notify: Some(url.to_owned()), wait: false };
    w.gateway.submit_task(new, "ada", Some(word.to_owned())).await.unwrap();
}

/// The client names another address while the first one takes its time: whatever that answers, the other one is told, at
/// once and from the beginning.
#[tokio::test]
async fn f16_the_answer_of_an_earlier_address_is_not_the_next_ones() {
    let (w, mut posts) = telling().await;
    let request = question("00");
    over(&w, "a word", &request).await;
    for (number, answer) in [Ok(200), Ok(410), Ok(500), Err("it broke".to_owned())].into_iter().enumerate() {
        let [earlier, later] = ["earlier", "later"].map(|place| format!("https://hooks.example/{number}/{place}"));
        again(&w, "a word", &request, &earlier).await;
        let (notice, slow) = next(&mut posts).await;
        assert_eq!(notice.url, earlier);
        again(&w, "a word", &request, &later).await;
        slow.send(answer).unwrap();

        let (notice, taken) = next(&mut posts).await;
        assert_eq!(notice.url, later);
        let open = w.store.notices_open().await.unwrap();
        assert_eq!((open.len(), open[0].url.as_str(), open[0].attempts), (1, later.as_str(), 0));
        taken.send(Ok(200)).unwrap();
        until(&w, |open| open.is_empty()).await;
    }
    w.gateway.shutdown().await;
}

/// An address is kept with its task, and names in it are longer than any that somebody serves.
#[tokio::test]
async fn f16_an_address_to_be_told_at_is_bounded_in_size() {
    let (w, posts) = telling().await;
    drop(posts);
    let request = question("00");
    over(&w, "a word", &request).await;
    let told_at = |length: usize| {
        let start = "https://hooks.example/";
        let url = format!("{start}{}", "x".repeat(length - start.len()));
        let new = NewTask { task: request.clone(), signature: None, notify: Some(url), wait: false };
        w.gateway.submit_task(new, "ada", Some("a word".to_owned()))
    };
    let why = told_at(2001).await.err().map(|error| error.to_string()).unwrap_or_default();
    assert!(why.contains("at most 2000 characters"), "{why}");
    assert!(w.store.notices_open().await.unwrap().is_empty());
    assert!(told_at(2000).await.is_ok());
    w.gateway.shutdown().await;
}

/// A task that was repeated for months: no answer and no post holds all of it, and nothing of it is lost.
#[tokio::test]
async fn f16_a_task_of_many_computations_is_told_in_pieces() {
    let (w, mut posts) = telling().await;
    let request = question("00");
    let id = open(&w, "a word", &request, |ask| ask).await;
    for window in 0..1002 {
        computed(&w, &id, window, String::new(), if window == 1001 { "done" } else { "open" }).await;
    }
    let newest = (1000, Some(2), Some(1001));
    for (path, expected) in [
        (format!("/tasks/{id}"), newest),
        (format!("/tasks/{id}?from=0"), (1000, Some(0), Some(999))),
        (format!("/tasks/{id}?from=1000"), (2, Some(1000), Some(1001))),
        (format!("/tasks/{id}?from=1002"), (0, None, None)),
    ] {
        assert_eq!(told(&w.api("GET", &path).send().await.json()), expected, "{path}");
    }
    over(&w, "another", &question("01")).await;
    let list = w.api("GET", "/tasks").send().await.json();
    assert!(list["tasks"].as_array().unwrap().iter().any(|task| task["id"] == id && told(task) == newest));
    // As events: the last ones, or all from one on, in as many as that takes. It is over with the last of them.
    let event = |state: &str, told: Told| (state.to_owned(), told);
    for (query, expected) in [
        ("", vec![event("done", (100, Some(902), Some(1001)))]),
        ("?from=0", vec![event("open", (1000, Some(0), Some(999))), event("done", (2, Some(1000), Some(1001)))]),
        ("?from=1001", vec![event("done", (1, Some(1001), Some(1001)))]),
    ] {
        let events = events(&w, &id, query).await;
        let events: Vec<_> = events.iter().map(|body| event(body["state"].as_str().unwrap(), told(body))).collect();
        assert_eq!(events, expected, "{query}");
    }

    again(&w, "a word", &request, "https://hooks.example/ada").await;
    for (key, expected) in [("1000-done", (1000, Some(0), Some(999))), ("1002-done", (2, Some(1000), Some(1001)))] {
        let (notice, taken) = next(&mut posts).await;
        assert_eq!(notice.key, format!("{id}-{key}"));
        assert_eq!(told(&serde_json::from_slice(&notice.body).unwrap()), expected);
        taken.send(Ok(200)).unwrap();
    }
    until(&w, |open| open.is_empty()).await;
    w.gateway.shutdown().await;
}

/// Whoever lists tasks with long results gets a list, not all of their results.
#[tokio::test]
async fn f16_a_list_of_tasks_is_bounded_in_size() {
    let (w, _posts) = telling().await;
    let long = "x".repeat(3 << 19);
    for number in 0..13 {
        let id = open(&w, &format!("word {number}"), &question(&format!("{number:02}")), |ask| ask).await;
        computed(&w, &id, 0, long.clone(), "done").await;
    }
    let list = w.api("GET", "/tasks").send().await.json();
    let tasks = list["tasks"].as_array().unwrap();
    let with_its_result = tasks.iter().filter(|task| told(task).0 == 1).count();
    // The eleventh of 1.5 MiB each goes beyond 16 MiB.
    assert_eq!((tasks.len(), with_its_result), (13, 11));
    assert!(tasks.iter().all(|task| task["state"] == "done"));
    w.gateway.shutdown().await;
}

/// What is gone is said to be, and what is there follows.
#[tokio::test]
async fn f16_events_say_which_computations_are_not_kept_any_more() {
    let (w, _posts) = telling().await;
    let id = open(&w, "a word", &question("00"), |ask| ask).await;
    for window in 5..=115 {
        computed(&w, &id, window, String::new(), if window == 115 { "done" } else { "open" }).await;
    }
    let events = events(&w, &id, "?from=0").await;
    let why = events[0]["detail"].as_str().unwrap();
    assert!(why.starts_with("computations 1 to 5 of this task are not kept here any more"), "{why}");
    assert_eq!((events.len(), told(&events[1])), (2, (111, Some(5), Some(115))));
    // Who comes back after the first of them is not told it again.
    let (_, ids, _) = resumed(&w, &id, "?from=0", "").await;
    assert_eq!(ids, ["4", "over"]);
    let (_, ids, events) = resumed(&w, &id, "?from=0", "4").await;
    assert_eq!((ids, told(&events[0])), (vec!["over".to_owned()], (111, Some(5), Some(115))));
    w.gateway.shutdown().await;
}

/// A browser that lost the stream comes back by itself, to the same address and with the last id that it heard; at the end it
/// stops.
#[tokio::test]
async fn f16_events_go_on_after_the_last_that_was_heard() {
    let (w, _posts) = telling().await;
    let id = open(&w, "a word", &question("00"), |ask| ask).await;
    for window in 0..3 {
        computed(&w, &id, window, String::new(), "open").await;
    }
    // Nobody works at it: the stream ends after one event.
    for (query, last, expected, ids) in [
        ("", "", (3, Some(0), Some(2)), &["2"][..]),
        ("?from=0", "0", (2, Some(1), Some(2)), &["2"][..]),
        ("?from=0", "1", (1, Some(2), Some(2)), &["2"][..]),
        ("", "2", (0, None, None), &[][..]),
        ("", "over", (3, Some(0), Some(2)), &["2"][..]),
    ] {
        let (status, heard, events) = resumed(&w, &id, query, last).await;
        assert_eq!((status, events.len()), (200, 1), "{query} after {last}");
        assert_eq!(
            (told(&events[0]), heard),
            (expected, ids.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>()),
            "{last}"
        );
    }
    computed(&w, &id, 3, String::new(), "done").await;
    let (_, ids, events) = resumed(&w, &id, "?from=0", "2").await;
    assert_eq!((ids, told(&events[0])), (vec!["over".to_owned()], (1, Some(3), Some(3))));
    assert_eq!(resumed(&w, &id, "?from=0", "over").await, (204, vec![], vec![]));
    assert_eq!(resumed(&w, &id, "", "the third").await.0, 400);
    w.gateway.shutdown().await;
}

/// A task of a newer version, after the way back to this one: others are told, and shown in the list.
#[tokio::test]
async fn f16_a_task_that_cannot_be_read_is_in_nobodys_way() {
    let (w, mut posts) = telling().await;
    let newer = |ask: String| ask.replacen('{', r#"{"of_a_newer_version":1,"#, 1);
    let unread = over_as(&w, "first", &question("00"), newer).await;
    let request = question("01");
    let read = over(&w, "second", &request).await;
    let url = "https://hooks.example/ada";
    w.store.set_notice(&unread, "ada", url, SystemClock.now()).await.unwrap();
    again(&w, "second", &request, url).await;

    // It is tried again later, which ends nobody else's post.
    let (notice, answer) = next(&mut posts).await;
    assert!(notice.key.starts_with(&read), "{}", notice.key);
    until(&w, |open| open.iter().any(|row| row.task == unread && row.attempts > 0)).await;
    answer.send(Ok(200)).expect("the post goes on");
    until(&w, |open| open.len() == 1 && open[0].task == unread).await;

    for client in [None, Some("ada")] {
        let listed = w.gateway.tasks(client, 10).await.unwrap();
        assert_eq!(listed.iter().map(|task| task.id.as_str()).collect::<Vec<_>>(), [read.as_str()]);
    }
    assert!(w.gateway.task(&unread, Some("ada")).await.is_err(), "who asks for it alone hears that");
    w.gateway.shutdown().await;
}
