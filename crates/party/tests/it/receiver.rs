//! A tiny HTTP server: answers what it is told to, remembers what it got, can go away and come back.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

#[derive(Clone, Debug)]
pub(crate) struct Got {
    pub(crate) target: String,
    pub(crate) key: Option<String>,
    pub(crate) body: serde_json::Value,
    pub(crate) status: u16,
}

type Answer = Box<dyn FnMut(&str, &serde_json::Value) -> (u16, String) + Send>;

pub(crate) struct Receiver {
    pub(crate) address: SocketAddr,
    got: Arc<Mutex<Vec<Got>>>,
    answer: Arc<Mutex<Answer>>,
    task: Option<JoinHandle<()>>,
}

impl Receiver {
    /// Answers 200.
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let answer: Answer = Box::new(|_, _| (200, "OK".to_owned()));
        let mut receiver = Self { address, got: Arc::default(), answer: Arc::new(Mutex::new(answer)), task: None };
        receiver.serve(listener);
        receiver
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn answers(&self, answer: impl FnMut(&str, &serde_json::Value) -> (u16, String) + Send + 'static) {
        *self.answer.lock().unwrap() = Box::new(answer);
    }

    pub(crate) fn got(&self) -> Vec<Got> {
        self.got.lock().unwrap().clone()
    }

    /// All rows that were taken, in order.
    pub(crate) fn rows(&self) -> Vec<String> {
        let taken = self.got().into_iter().filter(|got| got.status < 300);
        taken
            .flat_map(|got| got.body["data"].as_array().unwrap().clone())
            .map(|v| v.as_str().unwrap().to_owned())
            .collect()
    }

    pub(crate) async fn wait_for_rows(&self, count: usize) -> Vec<String> {
        for _ in 0..1000 {
            if self.rows().len() >= count {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        self.rows()
    }

    /// Connections are refused from now on.
    pub(crate) async fn go_down(&mut self) {
        if let Some(task) = self.task.take() {
            task.abort();
            let _ = task.await;
        }
    }

    pub(crate) async fn come_back(&mut self) {
        let listener = TcpListener::bind(self.address).await.unwrap();
        self.serve(listener);
    }

    fn serve(&mut self, listener: TcpListener) {
        let (got, answer) = (Arc::clone(&self.got), Arc::clone(&self.answer));
        self.task = Some(tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let _ = one(stream, &got, &answer).await;
            }
        }));
    }
}

async fn one(stream: TcpStream, got: &Mutex<Vec<Got>>, answer: &Mutex<Answer>) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    stream.read_line(&mut line).await?;
    let target = line.split(' ').nth(1).unwrap_or_default().to_owned();
    let (mut length, mut key) = (0, None);
    loop {
        let mut header = String::new();
        stream.read_line(&mut header).await?;
        let Some((name, value)) = header.trim().split_once(':') else { break };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.trim().parse().unwrap(),
            "idempotency-key" => key = Some(value.trim().to_owned()),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
    let (status, text) = (answer.lock().unwrap())(&target, &body);
    got.lock().unwrap().push(Got { target, key, body, status });
    let head = format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{text}", text.len());
    stream.write_all(head.as_bytes()).await?;
    stream.flush().await
}
