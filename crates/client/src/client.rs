use core::fmt;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::{Method, Request, RequestBuilder, Url, redirect};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tacit_model::problem::{Problem, ProblemKind};
use tacit_model::{Fingerprint, leading};
use tacit_pki::{Identity, https};

use crate::ClientError;
use crate::elsewhere::{Answer, Elsewhere, Leading, Unanswered};

/// Longer answers are not read.
const MAX_ANSWER: usize = 256 << 20;
/// One call. Joining a group asks another node in between.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Until a node is connected.
const CONNECT: Duration = Duration::from_secs(10);
/// The same for one that was only heard of.
const CONNECT_ON: Duration = Duration::from_secs(2);

/// A long answer.
const LONG: Duration = Duration::from_secs(3600);

/// An answer that is read piece by piece.
pub struct Pieces {
    response: reqwest::Response,
    host: String,
}

impl Pieces {
    /// The next bytes; nothing at the end.
    pub async fn next(&mut self) -> Result<Option<Vec<u8>>, ClientError> {
        let piece = self.response.chunk().await;
        let piece = piece.map_err(|e| unreachable(&self.host, &e))?;
        Ok(piece.map(|bytes| bytes.to_vec()))
    }
}

/// A client of one node. Clones share connections.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    base: Url,
    /// Other gateways over the same rows, asked where the first one does not lead.
    elsewhere: Arc<Elsewhere>,
    token: Option<HeaderValue>,
    /// Where the token came from, if somebody wants to know.
    token_from: Option<Arc<str>>,
    /// Shown to nodes that are asked over https.
    own: Option<Arc<Identity>>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("base", &self.base.as_str()).finish_non_exhaustive()
    }
}

impl Client {
    /// A client of the node at `base_url`, such as `http://127.0.0.1:7400`, with an owner's or another
    /// token, believing only the pinned key if one is given.
    pub fn new(base_url: &str, token: Option<&str>, pin: Option<Fingerprint>) -> Result<Self, ClientError> {
        Self::among(&[base_url], token, &pin.into_iter().collect::<Vec<_>>())
    }

    /// The same for several gateways of which one leads: whichever does is asked. Where none answers, or none leads,
    /// they are asked again for some seconds, as far as it cannot do the same thing twice: reading, and what carries an
    /// idempotency key. Without `pins` the system's authorities are believed.
    pub fn among(base_urls: &[&str], token: Option<&str>, pins: &[Fingerprint]) -> Result<Self, ClientError> {
        Self::among_as(base_urls, token, pins, None)
    }

    /// The same as a client with a certificate of its own, which a node's owner has admitted: over https it is shown,
    /// and does as well as a token.
    pub fn among_as(
        base_urls: &[&str],
        token: Option<&str>,
        pins: &[Fingerprint],
        own: Option<Arc<Identity>>,
    ) -> Result<Self, ClientError> {
        let bases = base_urls.iter().map(|url| https::address(url, false)).collect::<Result<Vec<_>, _>>()?;
        let base = bases.first().cloned().ok_or_else(|| https::NoAddress::Other(String::new()))?;
        let elsewhere = Arc::new(Elsewhere::new(bases));
        let http = http_client(pins, own.as_deref(), CONNECT)?;
        let token = match token {
            None => None,
            Some(token) => {
                let mut value =
                    HeaderValue::from_str(&format!("Bearer {}", token.trim())).map_err(|_| ClientError::Token)?;
                value.set_sensitive(true);
                Some(value)
            }
        };
        Ok(Self { http, base, elsewhere, token, token_from: None, own })
    }

    /// The same client, which says where its token came from if a node does not know it.
    #[must_use]
    pub fn with_token_from(self, from: &str) -> Self {
        Self { token_from: Some(from.into()), ..self }
    }

    /// Where the node is.
    pub fn base_url(&self) -> &str {
        self.base.as_str()
    }

    pub(crate) fn get(&self, path: &[&str]) -> RequestBuilder {
        self.request(Method::GET, path)
    }

    pub(crate) fn post(&self, path: &[&str]) -> RequestBuilder {
        // Also without a body: nodes take no POST from a certificate that a page in a browser could have sent.
        self.request(Method::POST, path).header(CONTENT_TYPE, "application/json")
    }

    pub(crate) fn put(&self, path: &[&str]) -> RequestBuilder {
        self.request(Method::PUT, path)
    }

    pub(crate) fn delete(&self, path: &[&str]) -> RequestBuilder {
        self.request(Method::DELETE, path)
    }

    /// A request outside `/api/v1`.
    pub(crate) fn get_plain(&self, path: &str) -> RequestBuilder {
        self.request_at(Method::GET, &[path])
    }

    fn request(&self, method: Method, path: &[&str]) -> RequestBuilder {
        self.request_at(method, &[&["api", "v1"], path].concat())
    }

    fn request_at(&self, method: Method, path: &[&str]) -> RequestBuilder {
        let mut url = self.base.clone();
        // Names are encoded part by part: one with a slash or a colon stays one part.
        if let Ok(mut parts) = url.path_segments_mut() {
            parts.pop_if_empty().extend(path);
        }
        let request = self.http.request(method, url).header(ACCEPT, "application/json");
        match &self.token {
            Some(token) => request.header(AUTHORIZATION, token),
            None => request,
        }
    }

    /// Sends a request and reads its JSON answer.
    pub(crate) async fn call<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, ClientError> {
        let (status, body) = self.send(request).await?;
        serde_json::from_slice(&body).map_err(|_| ClientError::Answer(status))
    }

    /// Sends a request with a JSON body and reads its JSON answer.
    pub(crate) async fn call_with<B: Serialize, T: DeserializeOwned>(
        &self,
        request: RequestBuilder,
        body: &B,
    ) -> Result<T, ClientError> {
        self.call(request.json(body)).await
    }

    /// Sends a request that is answered by text.
    pub(crate) async fn text(&self, request: RequestBuilder) -> Result<String, ClientError> {
        let (status, body) = self.send(request).await?;
        String::from_utf8(body).map_err(|_| ClientError::Answer(status))
    }

    /// Sends a request that is answered by nothing.
    pub(crate) async fn order(&self, request: RequestBuilder) -> Result<(), ClientError> {
        self.send(request).await.map(drop)
    }

    /// Sends a request whose answer may be long; to the gateway that led last.
    pub(crate) async fn pieces(&self, request: RequestBuilder) -> Result<Pieces, ClientError> {
        let host = https::place(&self.base);
        let mut request = request.timeout(LONG).build().map_err(|e| unreachable(&host, &e))?;
        self.elsewhere.place(&mut request);
        let sent = self.http.execute(request).await;
        let response = sent.map_err(|error| unreachable(&host, &error))?;
        if response.status().is_success() {
            return Ok(Pieces { response, host });
        }
        let status = response.status().as_u16();
        let body = response.bytes().await.unwrap_or_default();
        Err(self.refusal(status, &body))
    }

    async fn send(&self, request: RequestBuilder) -> Result<(u16, Vec<u8>), ClientError> {
        let request = request.build().map_err(|e| unreachable(&https::place(&self.base), &e))?;
        let again = request.try_clone();
        let mut answer = self.elsewhere.ask(request, |request| exchange(&self.http, request)).await?;
        // Whoever was asked is believed, and so is whom it names: its certificate came with the name.
        if let (Some(Leading(Some((base, pin)))), Some(mut request)) = (&answer.follows, again)
            && https::address(base.as_str(), false).is_ok()
        {
            self.elsewhere.place_at(&mut request, base);
            let sent_on = exchange(&http_client(&[*pin], self.own.as_deref(), CONNECT_ON)?, request).await;
            answer = sent_on.map_err(|unanswered| unanswered.error)?;
        }
        if (200..300).contains(&answer.status) {
            return Ok((answer.status, answer.body));
        }
        Err(self.refusal(answer.status, &answer.body))
    }

    /// What a node that does not do it says.
    fn refusal(&self, status: u16, body: &[u8]) -> ClientError {
        let Ok(problem) = serde_json::from_slice::<Problem>(body) else { return ClientError::Answer(status) };
        let problem = Box::new(problem);
        match (&self.token, &self.token_from) {
            (Some(_), Some(from)) if problem.kind == ProblemKind::Unauthenticated => {
                ClientError::UnknownToken { from: from.to_string(), problem }
            }
            _ => ClientError::Refused(problem),
        }
    }
}

/// One request to one node, and the whole answer.
async fn exchange(http: &reqwest::Client, request: Request) -> Result<Answer, Unanswered> {
    let host = https::place(request.url());
    let failed = |error: reqwest::Error| match https::is_untrusted(&error) {
        true => Unanswered { sent: false, error: ClientError::Untrusted(host.clone()) },
        false => Unanswered { sent: !error.is_connect(), error: unreachable(&host, &error) },
    };
    let mut response = http.execute(request).await.map_err(failed)?;
    let status = response.status().as_u16();
    let follows =
        response.headers().get(leading::HEADER).map(|named| Leading::read(named.to_str().unwrap_or_default()));
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(failed)? {
        if body.len().saturating_add(chunk.len()) > MAX_ANSWER {
            return Err(Unanswered { sent: true, error: ClientError::Answer(status) });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Answer { status, follows, body })
}

/// Connections to nodes with these certificates, or with those of the system's authorities.
fn http_client(
    pins: &[Fingerprint],
    own: Option<&Identity>,
    connect: Duration,
) -> Result<reqwest::Client, ClientError> {
    let setup = |error: &dyn fmt::Display| ClientError::Setup(error.to_string());
    let trust = https::Trust { pinned: pins.to_vec(), authorities: pins.is_empty(), anybody: false };
    let tls = https::client_config(trust, own).map_err(|e| setup(&e))?;
    let builder = reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .redirect(redirect::Policy::none())
        .no_proxy()
        .timeout(TIMEOUT)
        .connect_timeout(connect)
        .user_agent(concat!("tacit/", env!("CARGO_PKG_VERSION")));
    builder.build().map_err(|e| setup(&e))
}

fn unreachable(host: &str, error: &reqwest::Error) -> ClientError {
    let host = host.to_owned();
    match https::OtherProtocol::behind(error) {
        Some(found) => ClientError::OtherProtocol { host, found },
        None => ClientError::Unreachable { host, reason: reason(error) },
    }
}

fn reason(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "timed out".to_owned();
    }
    let cause = https::innermost(error);
    match nobody_listens(error) {
        true => {
            format!(
                "{cause}. If the node is not running there, `tacit serve` starts it; --data FOLDER (or TACIT_DATA) names \
                 another node of this machine, --node another address"
            )
        }
        false => cause,
    }
}

fn nobody_listens(error: &reqwest::Error) -> bool {
    let mut next: Option<&(dyn core::error::Error + 'static)> = Some(error);
    while let Some(error) = next {
        let kind = error.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
        if kind == Some(std::io::ErrorKind::ConnectionRefused) {
            return true;
        }
        next = error.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use tacit_pki::https::NoAddress::{Other, PlainHttp};

    use super::*;

    #[test]
    fn plain_http_stays_on_this_machine() {
        for url in ["http://127.0.0.1:7400", "http://localhost:7400/", "http://[::1]:1", "https://example.org"] {
            assert!(Client::new(url, None, None).is_ok(), "{url}");
        }
        let far = Client::new("http://example.org", None, None);
        assert!(matches!(far, Err(ClientError::Address(PlainHttp(_)))), "{far:?}");
        for url in ["", "127.0.0.1:7400", "ftp://localhost", "file:///etc"] {
            assert!(matches!(Client::new(url, None, None), Err(ClientError::Address(Other(_)))), "{url}");
        }
    }

    #[test]
    fn names_stay_one_part_of_the_path() {
        let client = Client::new("http://127.0.0.1:7400/", Some("tacit_x"), None).expect("client");
        let request = client.get(&["members", "swisscom:ddos/1 ü"]).build().expect("request");
        assert_eq!(request.url().path(), "/api/v1/members/swisscom:ddos%2F1%20%C3%BC");
        assert!(!format!("{client:?} {request:?}").contains("tacit_x"));
        assert!(matches!(Client::new("http://127.0.0.1", Some("a\nb"), None), Err(ClientError::Token)));
    }

    #[tokio::test]
    async fn who_is_not_there_is_named_with_its_port_and_the_next_step() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let at = listener.local_addr().expect("an address");
        drop(listener);
        let client = Client::new(&format!("http://{at}"), None, None).expect("client");
        let why = client.peers().await.expect_err("nobody is there").to_string();
        assert!(why.starts_with(&format!("{at} cannot be reached")), "{why}");
        assert!(why.contains("`tacit serve`") && why.contains("--node"), "{why}");
    }

    /// Answers every connection with this and closes it.
    async fn answering(answer: impl Into<Vec<u8>>) -> core::net::SocketAddr {
        let answer = answer.into();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let at = listener.local_addr().expect("an address");
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut heard = vec![0; 64 << 10];
                let _some = stream.read(&mut heard).await.expect("read");
                stream.write_all(&answer).await.expect("sent");
            }
        });
        at
    }

    #[tokio::test]
    async fn the_wrong_port_or_scheme_is_said_in_words() {
        let bad_request: &[u8] = b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n";
        // What TLS says to plain text, and to a name that it has no certificate for.
        let (decode_error, access_denied): (&[u8], &[u8]) = (&[21, 3, 3, 0, 2, 2, 50], &[21, 3, 3, 0, 2, 2, 49]);
        for (scheme, answer, words) in [
            ("https", bad_request, "this node serves http, and https was asked for"),
            ("http", decode_error, "usually port 7400, and not the link port"),
            ("https", access_denied, "that is a link port; give the HTTP address"),
        ] {
            let at = answering(answer).await;
            let pin = (scheme == "https").then_some(Fingerprint([7; 32]));
            let client = Client::new(&format!("{scheme}://{at}"), None, pin).expect("client");
            let why = client.peers().await.expect_err("another protocol");
            assert!(matches!(why, ClientError::OtherProtocol { .. }), "{why:?}");
            let why = why.to_string();
            assert!(why.starts_with(&format!("{at}: ")) && why.contains(words), "{why}");
        }
    }

    #[tokio::test]
    async fn a_token_that_is_not_known_is_named_by_where_it_came_from() {
        let problem = serde_json::to_string(&Problem::new(ProblemKind::Unauthenticated, "send a token")).expect("JSON");
        let length = problem.len();
        let head = "HTTP/1.1 401 x\r\ncontent-type: application/problem+json\r\nconnection: close\r\n";
        let at = answering(format!("{head}content-length: {length}\r\n\r\n{problem}")).await;
        let client = Client::new(&format!("http://{at}"), Some("tacit_x"), None).expect("client");
        assert!(matches!(client.peers().await, Err(ClientError::Refused(_))));
        let why = client.with_token_from("w.token").peers().await.expect_err("unknown");
        assert_eq!(why.kind(), Some(ProblemKind::Unauthenticated));
        assert!(why.to_string().starts_with("the token in w.token is not known there"), "{why}");
    }
}
