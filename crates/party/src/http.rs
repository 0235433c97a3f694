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
    /// Not an address of the web.
    #[error("{0:?} is not an http or https address")]
    Url(String),
    /// Plain http to another machine.
    #[error("plain http is used on this machine only; use https for {0:?}")]
    PlainHttp(String),
    /// Nobody answered.
    #[error("{host} did not answer: {reason}")]
    Unreachable {
        /// Whom.
        host: String,
        /// What the network or TLS said.
        reason: String,
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
        let parsed = Url::parse(url).map_err(|_| HttpError::Url(url.to_owned()))?;
        let host = parsed.host_str().unwrap_or_default();
        match parsed.scheme() {
            _ if host.is_empty() => Err(HttpError::Url(url.to_owned())),
            "https" => Ok(parsed),
            "http" if self.allow_plain_http || https::is_this_machine(host) => Ok(parsed),
            "http" => Err(HttpError::PlainHttp(url.to_owned())),
            _ => Err(HttpError::Url(url.to_owned())),
        }
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
    let request = request.map_err(|e| HttpError::Url(reason(&e)))?;
    let host = request.url().host_str().unwrap_or_default().to_owned();
    let unreachable = |e: reqwest::Error| match https::is_untrusted(&e) {
        true => HttpError::Untrusted(host.clone()),
        false => HttpError::Unreachable { host: host.clone(), reason: reason(&e) },
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
    use super::*;

    #[test]
    fn p26_plain_http_stays_on_this_machine() {
        let poster = HttpPoster::new(HttpRules::default()).expect("TLS");
        for url in ["http://localhost:12001/x", "http://127.0.0.1/", "http://[::1]:80/", "https://example.org/"] {
            assert!(poster.check(url).is_ok(), "{url}");
        }
        for url in ["http://example.org/", "http://10.0.0.1/", "http://localhost.example.org/"] {
            assert_eq!(poster.check(url), Err(HttpError::PlainHttp(url.to_owned())));
        }
        for url in ["ftp://localhost/", "nonsense", "file:///etc/passwd"] {
            assert_eq!(poster.check(url), Err(HttpError::Url(url.to_owned())));
        }
    }
}
