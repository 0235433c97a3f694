//! The HTTP client of a peer: registers at a gateway, posts results.

use core::fmt;
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderName};
use reqwest::{Client, Url, redirect};
use tacit_model::{Fingerprint, leading};
use tacit_pki::https;

/// Longer answers are not read.
const MAX_ANSWER: usize = 1 << 20;

/// What the client may do.
#[derive(Clone, Debug)]
pub struct HttpRules {
    /// Certificates that are trusted by their fingerprint, beside those of the system's authorities.
    pub pinned: Vec<Fingerprint>,
    /// Allow plain http also to other machines.
    pub allow_plain_http: bool,
    /// How long one request may take.
    pub timeout: Duration,
    /// Believe every certificate: only for reading what proves itself, such as a signed announcement.
    pub anybody: bool,
}

/// Sends POST requests. Plain http goes to this machine only; https only to certificates that a known
/// authority issued or that are pinned; redirects are not followed; proxies of the environment are not used.
#[derive(Clone)]
pub struct HttpPoster {
    client: Client,
    allow_plain_http: bool,
}

/// What came back.
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Whoever answered follows another gateway, and has done nothing; who leads, if it knows.
    pub(crate) follows: Option<Leading>,
    pub(crate) body: Vec<u8>,
}

/// Base URL and certificate of the gateway that leads, by the word of one that does not.
pub(crate) type Leading = Option<(String, Fingerprint)>;

/// Why nothing came back. Never holds what was sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HttpError {
    /// Not an address that this client posts to.
    #[error(transparent)]
    Address(#[from] https::NoAddress),
    /// Nobody answered.
    #[error("{host} did not answer: {reason}")]
    Unreachable {
        /// Whom: host and port.
        host: String,
        /// What the network or TLS said.
        reason: String,
    },
    /// Somebody answered, and neither in http nor in https as it was asked.
    #[error("{host}: {found}")]
    OtherProtocol {
        /// Whom: host and port.
        host: String,
        /// What it is, and what to do.
        found: https::OtherProtocol,
    },
    /// Somebody answered whose certificate is neither pinned nor issued by an authority of the system.
    #[error(
        "the certificate of {0} is not trusted: it is not the one whose fingerprint was given, and no authority of \
         this system issued it; ask its operator for the fingerprint over another channel, and give it with the call \
         (gateway_fingerprint, `--gateway-fingerprint` of `tacit join`), in `trusted` of node.toml, or with `tacit p2ds \
         --trust FINGERPRINT`"
    )]
    Untrusted(String),
    /// The answer is too long.
    #[error("the answer is longer than 1 MiB")]
    TooLong,
    /// TLS could not be set up.
    #[error("https cannot be used: {0}")]
    Setup(String),
}

impl Default for HttpRules {
    fn default() -> Self {
        Self { pinned: Vec::new(), allow_plain_http: false, timeout: Duration::from_secs(10), anybody: false }
    }
}

impl HttpPoster {
    /// A client under these rules.
    pub fn new(rules: HttpRules) -> Result<Self, HttpError> {
        let setup = |e: &dyn fmt::Display| HttpError::Setup(e.to_string());
        let trust = https::Trust { pinned: rules.pinned, authorities: true, anybody: rules.anybody };
        let tls = https::client_config(trust, None).map_err(|e| setup(&e))?;
        let client = Client::builder()
            .tls_backend_preconfigured(tls)
            .redirect(redirect::Policy::none())
            .no_proxy()
            .timeout(rules.timeout)
            .pool_idle_timeout(Duration::from_secs(20))
            .user_agent(concat!("tacit/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|e| setup(&e))?;
        Ok(Self { client, allow_plain_http: rules.allow_plain_http })
    }

    /// An address that this client would post to.
    pub fn check(&self, url: &str) -> Result<Url, HttpError> {
        Ok(https::address(url, self.allow_plain_http)?)
    }

    /// Posts JSON; the status of the answer, whose text is thrown away.
    pub async fn post(&self, url: &str, headers: &[(&'static str, &str)], body: Vec<u8>) -> Result<u16, HttpError> {
        Ok(self.post_json(self.check(url)?, headers, body).await?.status)
    }

    pub(crate) async fn post_json(
        &self,
        url: Url,
        headers: &[(&'static str, &str)],
        body: Vec<u8>,
    ) -> Result<Answer, HttpError> {
        let mut request = self.client.post(url).header(CONTENT_TYPE, "application/json").body(body);
        for (name, value) in headers {
            request = request.header(HeaderName::from_static(name), *value);
        }
        read(request).await
    }

    pub(crate) async fn get(&self, url: Url) -> Result<Answer, HttpError> {
        read(self.client.get(url)).await
    }
}

/// Sends a request and reads its answer to the end.
async fn read(request: reqwest::RequestBuilder) -> Result<Answer, HttpError> {
    let (client, request) = request.build_split();
    let request = request.map_err(|e| https::NoAddress::Other(reason(&e)))?;
    let host = https::place(request.url());
    let unreachable = |e: reqwest::Error| match https::OtherProtocol::behind(&e) {
        Some(found) => HttpError::OtherProtocol { host: host.clone(), found },
        None if https::is_untrusted(&e) => HttpError::Untrusted(host.clone()),
        None => HttpError::Unreachable { host: host.clone(), reason: reason(&e) },
    };
    let mut response = client.execute(request).await.map_err(unreachable)?;
    let status = response.status().as_u16();
    let follows = response.headers().get(leading::HEADER).filter(|_| status == 503).map(|named| {
        let named = leading::read(named.to_str().unwrap_or_default());
        named.map(|(url, fingerprint)| (url.to_owned(), fingerprint))
    });
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
        if body.len() + chunk.len() > MAX_ANSWER {
            return Err(HttpError::TooLong);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Answer { status, follows, body })
}

impl fmt::Debug for HttpPoster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpPoster").field("allow_plain_http", &self.allow_plain_http).finish_non_exhaustive()
    }
}

fn reason(error: &reqwest::Error) -> String {
    if error.is_timeout() { "timed out".to_owned() } else { https::innermost(error) }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    /// Answers every connection with this and closes it.
    async fn answering(answer: &'static [u8]) -> core::net::SocketAddr {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let at = listener.local_addr().expect("an address");
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut heard = vec![0; 64 << 10];
                let _some = stream.read(&mut heard).await.expect("read");
                stream.write_all(answer).await.expect("sent");
            }
        });
        at
    }

    #[tokio::test]
    async fn the_wrong_port_or_scheme_is_named_with_the_next_step() {
        use tacit_pki::https::OtherProtocol::{Http, Links, Tls};

        let poster = HttpPoster::new(HttpRules::default()).expect("TLS");
        // What TLS says to plain text, and to a name that it has no certificate for.
        let decode_error: &'static [u8] = &[21, 3, 3, 0, 2, 2, 50];
        let access_denied: &'static [u8] = &[21, 3, 3, 0, 2, 2, 49];
        let bad_request: &'static [u8] = b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n";
        for (scheme, answer, found, words) in [
            ("http", decode_error, Tls, "usually port 7400, and not the link port"),
            ("https", access_denied, Links, "that is a link port; give the HTTP address"),
            ("https", bad_request, Http, "this node serves http"),
        ] {
            let at = answering(answer).await;
            let url = poster.check(&format!("{scheme}://{at}/")).expect("an address");
            let why = poster.get(url).await.err().expect("no answer");
            assert_eq!(why, HttpError::OtherProtocol { host: at.to_string(), found });
            let why = why.to_string();
            assert!(
                why.starts_with(&at.to_string()) && why.contains(words) && !why.contains("did not answer"),
                "{why}"
            );
        }
    }

    #[tokio::test]
    async fn who_is_not_there_is_named_with_its_port() {
        let at = answering(b"").await;
        let poster = HttpPoster::new(HttpRules::default()).expect("TLS");
        let url = poster.check(&format!("http://{at}/")).expect("an address");
        let why = poster.get(url).await.err().expect("no answer").to_string();
        assert!(why.starts_with(&format!("{at} did not answer: ")), "{why}");
    }

    #[test]
    fn p26_plain_http_stays_on_this_machine() {
        use https::NoAddress::{Other, PlainHttp};

        let poster = HttpPoster::new(HttpRules::default()).expect("TLS");
        for url in ["http://localhost:12001/x", "http://127.0.0.1/", "http://[::1]:80/", "https://example.org/"] {
            assert!(poster.check(url).is_ok(), "{url}");
        }
        for url in ["http://example.org/", "http://10.0.0.1/", "http://localhost.example.org/"] {
            assert_eq!(poster.check(url), Err(PlainHttp(url.to_owned()).into()));
        }
        for url in ["ftp://localhost/", "nonsense", "file:///etc/passwd"] {
            assert_eq!(poster.check(url), Err(Other(url.to_owned()).into()));
        }
    }
}
