//! The smallest HTTP client and server that the tests need: one request, one connection, no cleverness.
//!
//! The client says exactly what it is told to say, also what no decent library would.

use std::fmt::Write as _;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

/// Longer than anything that the tests ask for should take.
const TIMEOUT: Duration = Duration::from_secs(60);

/// An answer.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Reply {
    /// A header's value, by its name in small letters.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The body as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("no JSON ({e}): {self:?}"))
    }

    /// The answer, if it is a 200.
    #[track_caller]
    pub(crate) fn ok(self) -> Self {
        assert_eq!(self.status, 200, "{self:?}");
        self
    }

    /// Checks status and word.
    #[track_caller]
    pub(crate) fn expect(self, status: u16, word: &str) {
        assert_eq!((self.status, self.body.trim()), (status, word), "{self:?}");
    }

    /// Whether it is a refusal that blames the caller.
    pub(crate) fn is_refusal(&self) -> bool {
        (400..500).contains(&self.status)
    }
}

/// A request to be built.
pub(crate) struct Request<'a> {
    method: &'a str,
    url: &'a str,
    headers: Vec<(&'a str, String)>,
    body: Option<Vec<u8>>,
    host: Option<&'a str>,
}

impl<'a> Request<'a> {
    pub(crate) fn new(method: &'a str, url: &'a str) -> Self {
        Self { method, url, headers: Vec::new(), body: None, host: None }
    }

    pub(crate) fn header(mut self, name: &'a str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(crate) fn body(mut self, kind: &'a str, body: impl Into<Vec<u8>>) -> Self {
        self.body = Some(body.into());
        self.header("content-type", kind)
    }

    pub(crate) fn json(self, body: &Value) -> Self {
        self.body("application/json", body.to_string())
    }

    /// Names another host than the one it connects to.
    pub(crate) fn host(mut self, host: &'a str) -> Self {
        self.host = Some(host);
        self
    }

    /// Sends it. An error means that it is not known whether the other side got it.
    pub(crate) fn send(&self) -> io::Result<Reply> {
        let (tls, rest) = match self.url.strip_prefix("https://") {
            Some(rest) => (true, rest),
            None => (false, self.url.strip_prefix("http://").ok_or_else(|| io::Error::other("http only"))?),
        };
        let (authority, target) = rest.find('/').map_or((rest, "/"), |at| rest.split_at(at));
        let address = authority.to_socket_addrs()?.next().ok_or_else(|| io::Error::other("no address"))?;
        let mut stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream.set_write_timeout(Some(TIMEOUT))?;
        stream.set_nodelay(true)?;

        let host = self.host.unwrap_or(authority);
        let mut head = format!("{} {target} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n", self.method);
        for (name, value) in &self.headers {
            let _infallible = write!(head, "{name}: {value}\r\n");
        }
        let body = self.body.as_deref().unwrap_or_default();
        if self.body.is_some() {
            let _infallible = write!(head, "content-length: {}\r\n", body.len());
        }
        head.push_str("\r\n");
        let request = [head.as_bytes(), body].concat();
        if tls {
            let client = rustls::ClientConnection::new(trusting(), address.ip().into()).map_err(io::Error::other)?;
            return exchange(&mut rustls::StreamOwned::new(client, stream), &request);
        }
        exchange(&mut stream, &request)
    }

    /// Sends it to somebody who must answer.
    #[track_caller]
    pub(crate) fn answer(&self) -> Reply {
        self.send().unwrap_or_else(|e| panic!("{} {} was not answered: {e}", self.method, self.url))
    }
}

/// The tests talk to their own nodes: whom the program under test believes is what they are about.
fn trusting() -> Arc<rustls::ClientConfig> {
    let anybody = tacit_pki::https::Trust { pinned: Vec::new(), authorities: false, anybody: true };
    Arc::new(tacit_pki::https::client_config(anybody, None).expect("a configuration"))
}

fn exchange(stream: &mut (impl Read + Write), request: &[u8]) -> io::Result<Reply> {
    // A node that refuses a body by its declared length answers without reading it, and closes.
    let written = stream.write_all(request).and_then(|()| stream.flush());
    let reply = read_reply(&mut BufReader::new(stream));
    reply.or_else(|unread| written.and(Err(unread)))
}

#[track_caller]
pub(crate) fn get(url: &str) -> Reply {
    Request::new("GET", url).answer()
}

#[track_caller]
pub(crate) fn post(url: &str) -> Reply {
    Request::new("POST", url).answer()
}

#[track_caller]
pub(crate) fn post_json(url: &str, body: &Value) -> Reply {
    Request::new("POST", url).json(body).answer()
}

#[track_caller]
pub(crate) fn delete(url: &str) -> Reply {
    Request::new("DELETE", url).answer()
}

fn read_reply(stream: &mut impl BufRead) -> io::Result<Reply> {
    let (first, headers) = read_head(stream)?;
    let status = first.split(' ').nth(1).and_then(|code| code.parse().ok());
    let status = status.ok_or_else(|| io::Error::other(format!("no status line: {first:?}")))?;
    let body = read_body(stream, &headers)?;
    Ok(Reply { status, headers, body: String::from_utf8_lossy(&body).into_owned() })
}

/// A first line and headers with their names in small letters.
type Head = (String, Vec<(String, String)>);

/// The head of a request or an answer.
pub(crate) fn read_head(stream: &mut impl BufRead) -> io::Result<Head> {
    let mut line = || -> io::Result<String> {
        let mut text = String::new();
        match stream.read_line(&mut text)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(text.trim_end().to_owned()),
        }
    };
    let first = line()?;
    let mut headers = Vec::new();
    loop {
        let text = line()?;
        match text.split_once(':') {
            Some((name, value)) => headers.push((name.to_ascii_lowercase(), value.trim().to_owned())),
            None if text.is_empty() => return Ok((first, headers)),
            None => return Err(io::Error::other("a header without a colon")),
        }
    }
}

/// The body that belongs to a head: by length, in chunks, or up to the end.
pub(crate) fn read_body(stream: &mut impl BufRead, headers: &[(String, String)]) -> io::Result<Vec<u8>> {
    let value = |wanted: &str| headers.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str());
    let mut body = Vec::new();
    if value("transfer-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked")) {
        loop {
            let mut size = String::new();
            stream.read_line(&mut size)?;
            let size = usize::from_str_radix(size.trim(), 16).map_err(io::Error::other)?;
            let mut chunk = vec![0; size + 2];
            stream.read_exact(&mut chunk)?;
            if size == 0 {
                return Ok(body);
            }
            body.extend_from_slice(&chunk[..size]);
        }
    }
    match value("content-length") {
        Some(length) => {
            body.resize(length.parse().map_err(io::Error::other)?, 0);
            stream.read_exact(&mut body)?;
        }
        None => drop(stream.read_to_end(&mut body)?),
    }
    Ok(body)
}

/// A text as part of a path or a query.
pub(crate) fn escaped(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b"-_.~:".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _infallible = write!(out, "%{byte:02X}");
        }
        out
    })
}
