//! Connections: accepted, bounded, timed, and let go gently.

mod patience;
mod sources;

use core::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{ConnectInfo, Request};
use axum::http::Uri;
use hyper::body::Incoming;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt as _;
use tracing::{debug, info, warn};

use self::patience::Patient;
use self::sources::{Sources, TurnedAway};

/// Bounds and permissions of a listener.
#[derive(Clone, Debug)]
pub struct ServeOptions {
    /// Serve plain http also beyond loopback, because something in front speaks TLS.
    pub plain_http_anywhere: bool,
    /// Connections at once; the others wait in the listener's backlog.
    pub connections: usize,
    /// So many of them from one address, or one network of IPv6 (/64); more are closed at once. This machine has as
    /// many as it likes, and so has everybody over plain http: beyond loopback that is a proxy, which speaks for all its
    /// clients.
    pub connections_each: usize,
    /// Count this machine, too: no proxy runs on it.
    pub count_this_machine: bool,
    /// From connection or last answer to the end of the next header; also how long an idle connection
    /// is kept.
    pub header_timeout: Duration,
    /// TLS handshake.
    pub handshake_timeout: Duration,
    /// How long a client may take nothing of what is written to it.
    pub write_timeout: Duration,
    /// How long requests under way may take to finish after the shutdown began.
    pub drain: Duration,
}

impl Default for ServeOptions {
    fn default() -> Self {
        Self {
            plain_http_anywhere: false,
            connections: 1024,
            connections_each: 256,
            count_this_machine: false,
            header_timeout: Duration::from_secs(30),
            handshake_timeout: Duration::from_secs(10),
            write_timeout: Duration::from_secs(120),
            drain: Duration::from_secs(10),
        }
    }
}

/// The key that a client proved to hold when it connected. What it may do is for whoever looks it up.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ShownCertificate(pub(crate) tacit_model::Fingerprint);

/// Why nothing is served.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// Plain http beyond this machine.
    #[error(
        "plain http on {0} would show codes, keys and inputs to the network; serve TLS, listen on 127.0.0.1, or allow \
         plain http explicitly if a proxy in front speaks TLS"
    )]
    PlainHttp(SocketAddr),
    /// The listener.
    #[error("the listening socket cannot be used: {0}")]
    Listener(#[from] io::Error),
    /// The certificate.
    #[error("the certificate cannot be used for https: {0}")]
    Tls(#[from] rustls::Error),
}

/// TLS 1.3 with the node's own certificate, for [`serve`]. Clients may show one, too.
pub fn tls_config(identity: &tacit_pki::Identity) -> Result<Arc<rustls::ServerConfig>, ServeError> {
    Ok(Arc::new(tacit_pki::https::server_config(identity)?))
}

/// Serves until `shutdown` is ready, then lets requests under way finish.
///
/// HTTP/1.1 only: every wait for a client has a limit there, and no client of this edge gains by
/// more.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    tls: Option<Arc<rustls::ServerConfig>>,
    options: ServeOptions,
    shutdown: impl Future<Output = ()>,
) -> Result<(), ServeError> {
    let address = listener.local_addr()?;
    if tls.is_none() && !options.plain_http_anywhere && !address.ip().is_loopback() {
        return Err(ServeError::PlainHttp(address));
    }
    let tls = tls.map(TlsAcceptor::from);
    let permits = Arc::new(Semaphore::new(options.connections));
    let each = if tls.is_some() { options.connections_each } else { usize::MAX };
    let sources = Sources::new(each, options.count_this_machine);
    let mut turned_away = TurnedAway::default();
    let graceful = GracefulShutdown::new();
    let mut shutdown = core::pin::pin!(shutdown);
    info!(%address, tls = tls.is_some(), "serving http");
    loop {
        let accepted = tokio::select! {
            () = &mut shutdown => break,
            accepted = accept(&listener, &permits) => accepted,
        };
        let Some((stream, peer, permit)) = accepted else { continue };
        let Some(place) = sources.place(peer.ip()) else {
            debug!(%peer, "too many connections from there");
            if let Some(count) = turned_away.one_more(Instant::now()) {
                let from = peer.ip();
                warn!(%from, each, count, "connections were closed at once: their address has as many as one may have");
            }
            continue;
        };
        let (router, tls, watcher, options) = (router.clone(), tls.clone(), graceful.watcher(), options.clone());
        tokio::spawn(async move {
            let _kept = (permit, place);
            connection(stream, peer, router, tls, watcher, &options).await;
        });
    }
    drop(listener);
    if tokio::time::timeout(options.drain, graceful.shutdown()).await.is_err() {
        warn!("some requests did not finish before the shutdown");
    }
    Ok(())
}

async fn accept(
    listener: &TcpListener,
    permits: &Arc<Semaphore>,
) -> Option<(TcpStream, SocketAddr, tokio::sync::OwnedSemaphorePermit)> {
    let permit = permits.clone().acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, peer)) => Some((stream, peer, permit)),
        Err(error) => {
            // Out of descriptors, or a client that left again: nothing that stops the others.
            debug!(%error, "a connection could not be accepted");
            tokio::time::sleep(Duration::from_millis(50)).await;
            None
        }
    }
}

async fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    router: Router,
    tls: Option<TlsAcceptor>,
    watcher: Watcher,
    options: &ServeOptions,
) {
    // Answers are small and complete: waiting for more to send only delays them.
    let _ = stream.set_nodelay(true);
    let stream = Patient::new(stream, options.write_timeout);
    match tls {
        None => talk(stream, peer, None, router, watcher, options).await,
        Some(tls) => match tokio::time::timeout(options.handshake_timeout, tls.accept(stream)).await {
            Ok(Ok(stream)) => {
                let shown = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
                let shown = shown.and_then(|der| tacit_pki::fingerprint_of_certificate(der).ok()).map(ShownCertificate);
                talk(stream, peer, shown, router, watcher, options).await;
            }
            Ok(Err(error)) => debug!(%peer, %error, "no TLS"),
            Err(_) => debug!(%peer, "TLS took too long"),
        },
    }
}

async fn talk(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    peer: SocketAddr,
    shown: Option<ShownCertificate>,
    router: Router,
    watcher: Watcher,
    options: &ServeOptions,
) {
    let mut builder = auto::Builder::new(hyper_util::rt::TokioExecutor::new()).http1_only();
    builder.http1().timer(TokioTimer::new()).header_read_timeout(options.header_timeout).max_headers(64);
    let service = router.map_request(move |request: Request<Incoming>| prepared(request, peer, shown));
    let served = builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
    if let Err(error) = watcher.watch(served).await {
        debug!(%peer, %error, "connection ended");
    }
}

fn prepared(request: Request<Incoming>, peer: SocketAddr, shown: Option<ShownCertificate>) -> Request {
    let mut request = request.map(axum::body::Body::new);
    request.extensions_mut().insert(ConnectInfo(peer));
    if let Some(shown) = shown {
        request.extensions_mut().insert(shown);
    }
    // A proxy's form of the address; routes know the path alone.
    if request.uri().authority().is_some()
        && let Some(path) = request.uri().path_and_query().cloned()
    {
        *request.uri_mut() = Uri::from(path);
    }
    request
}
