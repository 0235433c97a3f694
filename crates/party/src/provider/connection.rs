//! One HTTP/2 connection over a provider's socket, as tonic's client wants it, and what is received over one.
//!
//! tonic's own channel finds, balances and reconnects; a socket that is opened for each session needs none of that, and
//! each call through it changes tasks twice more. hyper's client sends what a call says after its head, in a write of its
//! own, which wakes the provider twice. A command is one message: here both leave together.

use std::future::Future;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::RecvStream;
use h2::client::{Builder, SendRequest};
use http_body_util::BodyExt;
use tokio::net::UnixStream;
use tonic::body::Body;
use tonic::codegen::StdError;
use tonic::codegen::http::{Request, Response};

/// So many bytes of answers a provider may have on the way.
const WINDOW: u32 = 1 << 20;

/// The connection ends when this is dropped.
pub(super) struct Connection(SendRequest<Bytes>);

/// Who listens at a socket, if that is somebody who may read this member's numbers. In a folder where everybody may create files
/// anybody could listen while the provider does not.
pub(super) async fn reach(socket: &Path) -> io::Result<UnixStream> {
    let stream = UnixStream::connect(socket).await?;
    let folder = socket.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let (listener, owner) = (stream.peer_cred()?.uid(), std::fs::metadata(folder)?.uid());
    match may_listen(listener, nix::unistd::geteuid().as_raw(), owner) {
        true => Ok(stream),
        false => Err(io::Error::other(format!(
            "user {listener} listens there, who is neither this node's user nor the owner of the folder"
        ))),
    }
}

fn may_listen(listener: u32, own: u32, folder: u32) -> bool {
    [0, own, folder].contains(&listener)
}

impl Connection {
    pub(super) async fn open(socket: &Path) -> Result<Self, StdError> {
        let stream = reach(socket).await?;
        let mut builder = Builder::new();
        builder.enable_push(false).initial_window_size(WINDOW).initial_connection_window_size(WINDOW);
        let (requests, connection) = builder.handshake(stream).await?;
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection to an SMC provider ended");
            }
        });
        Ok(Self(requests))
    }
}

impl tower::Service<Request<Body>> for Connection {
    type Response = Response<Received>;
    type Error = StdError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.0.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let mut requests = self.0.clone();
        Box::pin(async move {
            let (head, body) = request.into_parts();
            let message = body.collect().await?.to_bytes();
            let (answer, mut rest) = requests.send_request(Request::from_parts(head, ()), false)?;
            rest.send_data(message, true)?;
            Ok(answer.await?.map(Received))
        })
    }
}

/// What comes after the head of a command, or of its answer.
pub(super) struct Received(pub(super) RecvStream);

impl tonic::codegen::Body for Received {
    type Data = Bytes;
    type Error = h2::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, h2::Error>>> {
        match ready!(self.0.poll_data(cx)) {
            Some(data) => {
                let data = data?;
                self.0.flow_control().release_capacity(data.len())?;
                Poll::Ready(Some(Ok(http_body::Frame::data(data))))
            }
            None => {
                let trailers = ready!(self.0.poll_trailers(cx)).transpose();
                Poll::Ready(trailers.map(|trailers| trailers.map(http_body::Frame::trailers)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f15_nobody_else_listens_where_the_provider_should() {
        let (root, own, other) = (0, 1000, 1001);
        // In /tmp, and in a folder of the provider's.
        assert!(may_listen(root, own, root) && may_listen(own, own, root) && !may_listen(other, own, root));
        assert!(may_listen(other, own, other));
    }

    #[tokio::test]
    async fn f15_the_own_user_may_listen() {
        let folder = tempfile::tempdir().expect("a folder");
        let socket = folder.path().join("smc.sock");
        let _listener = tokio::net::UnixListener::bind(&socket).expect("a socket");
        assert!(reach(&socket).await.is_ok());
    }
}
