//! One HTTP/2 connection over a provider's socket, as tonic's client wants it.
//!
//! tonic's own channel finds, balances and reconnects; a socket that is opened for each session needs none of that, and
//! each call through it changes tasks twice more.

use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::body::Incoming;
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::UnixStream;
use tonic::body::Body;
use tonic::codegen::StdError;
use tonic::codegen::http::{Request, Response};

/// The connection ends when this is dropped.
pub(super) struct Connection(SendRequest<Body>);

impl Connection {
    pub(super) async fn open(socket: &Path) -> Result<Self, StdError> {
        let stream = UnixStream::connect(socket).await?;
        let (requests, connection) = handshake(TokioExecutor::new(), TokioIo::new(stream)).await?;
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection to an SMC provider ended");
            }
        });
        Ok(Self(requests))
    }
}

impl tower::Service<Request<Body>> for Connection {
    type Response = Response<Incoming>;
    type Error = hyper::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        Box::pin(self.0.send_request(request))
    }
}
