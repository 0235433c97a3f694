//! What every body passes before anybody reads it: a declared length that is too long is refused unread, a longer
//! body than the limit is cut off where it exceeds it, and one that does not arrive in time is given up.

use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};
use std::io;
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use hyper::body::{Frame, SizeHint};
use tokio::time::{Sleep, sleep};

use crate::edge::App;

/// Bounds the body of a request. Handlers that do not read it are not concerned.
pub(crate) async fn bounded(State(app): State<App>, request: Request, next: Next) -> Response {
    let options = &app.edge.options;
    let declared = request.body().size_hint().lower();
    if declared > u64::try_from(options.body_limit).unwrap_or(u64::MAX) {
        // Nobody reads what follows, so the connection ends with the answer.
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    }
    if request.body().is_end_stream() {
        return next.run(request).await;
    }
    let limit = options.request_timeout / 2;
    next.run(request.map(|body| Body::new(Arriving::new(body, limit)))).await
}

/// A body and the moment by which it must have arrived.
struct Arriving {
    body: Body,
    limit: Duration,
    /// Set when somebody waits for the first time: most bodies are there at once.
    deadline: Option<Pin<Box<Sleep>>>,
}

impl Arriving {
    fn new(body: Body, limit: Duration) -> Self {
        Self { body, limit, deadline: None }
    }
}

impl HttpBody for Arriving {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        // The clock is looked at first: a body that keeps dripping is late, too.
        if let Some(deadline) = &mut self.deadline
            && deadline.as_mut().poll(context).is_ready()
        {
            return Poll::Ready(Some(Err(axum::Error::new(io::Error::from(io::ErrorKind::TimedOut)))));
        }
        let polled = Pin::new(&mut self.body).poll_frame(context);
        if polled.is_pending() && self.deadline.is_none() {
            let mut deadline = Box::pin(sleep(self.limit));
            // Not ready yet; this registers whom to wake.
            let _early = deadline.as_mut().poll(context);
            self.deadline = Some(deadline);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
