use std::sync::{Arc, Mutex};

use tacit_model::GroupId;
use tacit_model::api::TaskWindow;
use tacit_model::problem::Problem;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;

/// What was called: method and path.
type Calls = Arc<Mutex<Vec<String>>>;

/// A gateway that answers each call with what the test says.
async fn gateway(answer: impl Fn(&str) -> Result<TaskBody, Problem> + Send + 'static) -> (Client, Calls) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let calls = Calls::default();
    let heard = Arc::clone(&calls);
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            let call = called(&mut stream).await;
            heard.lock().expect("whole").push(call.clone());
            let (status, kind, text) = match answer(&call) {
                Ok(body) => (200, "application/json", serde_json::to_string(&body)),
                Err(problem) => (problem.status, "application/problem+json", serde_json::to_string(&problem)),
            };
            let text = text.expect("JSON");
            let head = format!(
                "HTTP/1.1 {status} x\r\ncontent-type: {kind}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                text.len()
            );
            stream.write_all((head + &text).as_bytes()).await.expect("sent");
        }
    });
    (Client::new(&url, None, None).expect("a client"), calls)
}

/// Reads a call to its end.
async fn called(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length =
                head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
            if body.len() >= length.unwrap_or(0) {
                return head.lines().next().and_then(|line| line.rsplit_once(' ')).expect("a first line").0.to_owned();
            }
        }
        assert!(stream.read_buf(&mut bytes).await.expect("read") > 0, "the whole call");
    }
}

fn new(nonce: u8) -> NewTask {
    let task = TaskRequest { nonce: hex::encode([nonce; 16]), ..TaskRequest::about(GroupId(1), "x", "mean", "test") };
    NewTask { task, signature: None, notify: None, wait: false }
}

fn body(nonce: u8, state: &str) -> TaskBody {
    let task = new(nonce).task;
    let (id, state) = (task_id(&task).to_string(), state.to_owned());
    TaskBody { id, task, state, detail: String::new(), created: String::new(), windows: Vec::new() }
}

fn asked(folder: &Path) -> Asked {
    Asked::new(Some(folder.join("asked")), b"client", "manager", GroupId(1))
}

async fn ask(client: &Client, nonce: u8, asked: &Asked) -> Result<TaskBody, Failure> {
    taken(client, &new(nonce), &Under::Kept("monday", asked), |id| unheard(id, None, false)).await
}

fn heard(calls: &Calls) -> Vec<String> {
    std::mem::take(&mut calls.lock().expect("whole"))
}

/// A gateway that has deleted the task has deleted the word, too: asked again, it would compute a second one.
#[tokio::test]
async fn rule11_what_was_taken_under_a_word_is_read_again_and_never_asked_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let asked = asked(folder.path());
    let (client, calls) = gateway(|_| Ok(body(1, "open"))).await;
    let first = ask(&client, 1, &asked).await.expect("taken");
    assert_eq!(heard(&calls), ["POST /api/v1/tasks"]);
    assert_eq!(ask(&client, 2, &asked).await.expect("the same"), first);
    let get = format!("GET /api/v1/tasks/{}", first.id);
    assert_eq!(heard(&calls), [get.as_str()]);
    let (client, calls) = gateway(|_| Err(Problem::new(ProblemKind::NotFound, "no such task"))).await;
    let why = ask(&client, 3, &asked).await.expect_err("gone").to_string();
    assert!(why.contains(&first.id) && why.contains("is gone") && why.contains("choose another"), "{why}");
    assert_eq!(heard(&calls), [get.as_str()]);
    // Another task of the same question is none either.
    let (client, _) = gateway(|_| Ok(body(4, "open"))).await;
    assert!(ask(&client, 4, &asked).await.is_err());
}

/// Another command heard first what was taken, and this one's task is a second one: it is ended.
#[tokio::test]
async fn rule11_a_second_task_under_a_word_is_ended_and_an_earlier_one_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().to_owned();
    let other = move || {
        let other = asked(&path);
        other.note("monday", &new(8).task).and_then(|_| other.check("monday", &body(8, "open").id)).expect("taken");
    };
    let (client, calls) = gateway(move |call| match call.starts_with("POST") {
        true => {
            other();
            Ok(body(9, "open"))
        }
        false => Ok(body(9, "cancelled")),
    })
    .await;
    let why = ask(&client, 9, &asked(folder.path())).await.expect_err("another was taken").to_string();
    let (second, first) = (body(9, "open").id, body(8, "open").id);
    assert!(why.starts_with(&format!("task {second}, which the gateway has just taken, is ended")), "{why}");
    assert!(why.contains(&first), "{why}");
    assert_eq!(heard(&calls)[1..], [format!("DELETE /api/v1/tasks/{second}")]);

    // What another command may have asked goes on; whoever reads this can end it.
    let folder = tempfile::tempdir().expect("a folder");
    let (client, calls) = gateway(|_| Ok(body(5, "open"))).await;
    let why = ask(&client, 6, &asked(folder.path())).await.expect_err("never asked here").to_string();
    let cancel = format!("`tacit task cancel {}` ends it", body(5, "open").id);
    assert!(why.contains(&cancel) && why.contains("no task that the gateway could answer with"), "{why}");
    assert_eq!(heard(&calls), ["POST /api/v1/tasks"]);
}

/// One computation shown twice, or after a later one, would be told twice or in the place of another.
#[tokio::test]
async fn rule11_computations_come_in_their_order_and_once() {
    let window = |number| TaskWindow::new(Slot(number), "done");
    for (numbers, right) in [(&[0, 1, 4][..], true), (&[], true), (&[0, 0], false), (&[1, 0], false)] {
        let shown = TaskBody { windows: numbers.iter().map(|number| window(*number)).collect(), ..body(1, "done") };
        let again = shown.clone();
        let (client, _) = gateway(move |_| Ok(again.clone())).await;
        assert_eq!(task(&client, &shown.id).await.is_ok(), right, "{numbers:?}");
        let taken = taken(&client, &new(1), &Under::Nothing, str::to_owned).await;
        assert_eq!(taken.is_ok(), right, "{numbers:?}");
    }
}
