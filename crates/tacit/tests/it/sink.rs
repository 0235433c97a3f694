//! A receiver of results that counts what is posted to it, and refuses when told to.

use std::io::{BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;

use crate::http::{read_body, read_head};
use crate::wait::until;

/// One POST that was taken.
#[derive(Clone, Debug)]
pub(crate) struct Post {
    /// The path, by which the tests tell peers apart.
    pub(crate) path: String,
    /// What makes a repetition of the same post recognisable.
    pub(crate) key: Option<String>,
    /// The results in it.
    pub(crate) rows: Vec<String>,
    /// All of it, as it came.
    pub(crate) body: Vec<u8>,
    /// With names in small letters.
    pub(crate) headers: Vec<(String, String)>,
}

/// Listens until it is dropped.
pub(crate) struct Sink {
    url: String,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    posts: Mutex<Vec<Post>>,
    refusing: AtomicUsize,
    refused: AtomicUsize,
    closed: AtomicUsize,
}

impl Sink {
    pub(crate) fn open() -> Self {
        Self::open_at(0)
    }

    pub(crate) fn open_at(port: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let state = Arc::new(State::default());
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if shared.closed.load(Ordering::Relaxed) > 0 {
                    return;
                }
                let shared = Arc::clone(&shared);
                std::thread::spawn(move || {
                    // A client that goes away in the middle is the client's business.
                    let _gone = shared.serve(stream);
                });
            }
        });
        Self { url, state }
    }

    /// Where a peer of this name posts to.
    pub(crate) fn url(&self, peer: &str) -> String {
        format!("{}/{peer}", self.url)
    }

    /// Answers the next `count` posts with 503.
    pub(crate) fn refuse_next(&self, count: usize) {
        self.state.refusing.store(count, Ordering::SeqCst);
    }

    /// How many posts were answered with 503.
    pub(crate) fn refused(&self) -> usize {
        self.state.refused.load(Ordering::SeqCst)
    }

    /// All posts for a peer that were taken, in their order.
    pub(crate) fn posts(&self, peer: &str) -> Vec<Post> {
        let path = format!("/{peer}");
        let posts = self.state.posts.lock().unwrap_or_else(PoisonError::into_inner);
        posts.iter().filter(|post| post.path == path).cloned().collect()
    }

    /// All results for a peer, each post counted once.
    pub(crate) fn rows(&self, peer: &str) -> Vec<String> {
        let mut seen = Vec::new();
        let mut rows = Vec::new();
        for post in self.posts(peer) {
            if post.key.is_some() && seen.contains(&post.key) {
                continue;
            }
            seen.push(post.key);
            rows.extend(post.rows);
        }
        rows
    }

    /// Waits for so many results for a peer, and returns all there are.
    #[track_caller]
    pub(crate) fn wait_rows(&self, peer: &str, count: usize) -> Vec<String> {
        until(&format!("{count} results for {peer}"), || {
            let rows = self.rows(peer);
            if rows.len() >= count { Ok(rows) } else { Err(format!("{rows:?}")) }
        })
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.state.closed.store(1, Ordering::Relaxed);
        // Wakes the listener, which then ends.
        if let Some(address) = self.url.strip_prefix("http://") {
            let _ended = TcpStream::connect(address);
        }
    }
}

impl State {
    fn serve(&self, stream: TcpStream) -> std::io::Result<()> {
        let mut reader = BufReader::new(stream.try_clone()?);
        let mut stream = stream;
        loop {
            let (first, headers) = read_head(&mut reader)?;
            // A request without a length has no body.
            let has_body = headers.iter().any(|(name, _)| name == "content-length" || name == "transfer-encoding");
            let body = if has_body { read_body(&mut reader, &headers)? } else { Vec::new() };
            let refuse =
                self.refusing.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok();
            if refuse {
                self.refused.fetch_add(1, Ordering::SeqCst);
                stream.write_all(b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n")?;
                continue;
            }
            let key = headers.iter().find(|(name, _)| name == "idempotency-key").map(|(_, value)| value.clone());
            let path = first.split(' ').nth(1).unwrap_or_default().to_owned();
            let text: Value = serde_json::from_slice(&body).map_err(std::io::Error::other)?;
            let rows = text["data"].as_array().into_iter().flatten();
            let rows = rows.map(|row| row.as_str().unwrap_or("not a text").to_owned()).collect();
            self.posts.lock().unwrap_or_else(PoisonError::into_inner).push(Post { path, key, rows, body, headers });
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 2\r\n\r\nOK")?;
        }
    }
}
