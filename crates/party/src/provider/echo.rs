//! A provider that answers pings and computes nothing.

use std::collections::HashSet;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use h2::RecvStream;
use h2::server::SendResponse;
use http_body_util::BodyExt;
use prost::Message;
use tokio::net::{UnixListener, UnixStream};
use tonic::body::Body;
use tonic::codegen::StdError;
use tonic::codegen::http::{Request, Response};
use tonic_prost::ProstCodec;

use super::connection::Received;
use super::wire::{CmdResult, FilterArgs, Payload, SessionCtx, SmcCmd, SmcResult};

/// A session id is not longer than this.
const LONGEST_ID: usize = 64;
/// And there are at most so many.
const SESSIONS: usize = 64;

/// The SMC provider of benches and tests: Init, NextCmd with a ping, TearDown and ResetAll of proto/smc.proto, answered
/// at once. It computes nothing: every other command is answered with UNKNOWN_CMD (33).
#[derive(Debug)]
pub struct EchoProvider {
    listener: UnixListener,
    sessions: Arc<Sessions>,
}

type Sessions = Mutex<HashSet<String>>;

impl EchoProvider {
    /// Listens at a socket that does not exist yet, for this user only.
    pub fn bind(socket: &Path) -> std::io::Result<Self> {
        let listener = UnixListener::bind(socket)?;
        std::fs::set_permissions(socket, PermissionsExt::from_mode(0o600))?;
        Ok(Self { listener, sessions: Arc::default() })
    }

    /// Serves until a connection cannot be accepted.
    pub async fn serve(self) -> std::io::Error {
        loop {
            match self.listener.accept().await {
                Ok((stream, _)) => drop(tokio::spawn(connection(stream, Arc::clone(&self.sessions)))),
                Err(error) => return error,
            }
        }
    }
}

async fn connection(stream: UnixStream, sessions: Arc<Sessions>) {
    let served = async {
        let mut connection = h2::server::handshake(stream).await?;
        while let Some(asked) = connection.accept().await {
            let (request, respond) = asked?;
            let sessions = Arc::clone(&sessions);
            tokio::spawn(async move {
                if let Err(error) = reply(request, respond, &sessions).await {
                    tracing::debug!(%error, "an answer of the echo provider did not leave");
                }
            });
        }
        Ok::<_, h2::Error>(())
    };
    if let Err(error) = served.await {
        tracing::debug!(%error, "a connection of the echo provider ended");
    }
}

/// Head, message and end of an answer leave together, as a command does: see connection.rs.
async fn reply(
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
    sessions: &Sessions,
) -> Result<(), StdError> {
    let (head, body) = answer(request.map(Received), sessions).await.into_parts();
    let body = body.collect().await?;
    let end = body.trailers().cloned();
    let mut rest = respond.send_response(Response::from_parts(head, ()), end.is_none())?;
    if let Some(end) = end {
        rest.send_data(body.to_bytes(), false)?;
        rest.send_trailers(end)?;
    }
    Ok(())
}

async fn answer(request: Request<Received>, sessions: &Sessions) -> Response<Body> {
    match request.uri().path() {
        "/smc.SMC/Init" => unary(request, |session, _| init(sessions, session)).await,
        "/smc.SMC/NextCmd" => unary(request, |command, of| next(sessions, &command, of)).await,
        "/smc.SMC/TearDown" => unary(request, |session, _| tear_down(sessions, &session)).await,
        "/smc.SMC/ResetAll" => unary(request, |FilterArgs {}, _| reset(sessions)).await,
        _ => tonic::Status::unimplemented("not in proto/smc.proto").into_http(),
    }
}

/// One message of a command and its answer. The command is told its session, as the metadata says.
async fn unary<M: Message + Default + 'static>(
    request: Request<Received>,
    command: impl Fn(M, Option<&str>) -> Result<CmdResult, tonic::Status>,
) -> Response<Body> {
    let codec: ProstCodec<CmdResult, M> = ProstCodec::default();
    let service = tower::service_fn(|request: tonic::Request<M>| {
        let (metadata, _, message) = request.into_parts();
        let session = metadata.get("session-id").and_then(|session| session.to_str().ok());
        std::future::ready(command(message, session).map(tonic::Response::new))
    });
    tonic::server::Grpc::new(codec).unary(service, request).await
}

fn init(sessions: &Sessions, session: SessionCtx) -> Result<CmdResult, tonic::Status> {
    let mut sessions = lock(sessions);
    let full = sessions.len() >= SESSIONS || session.session_id.len() > LONGEST_ID;
    match !full && !session.session_id.is_empty() && sessions.insert(session.session_id) {
        true => Ok(result(0, "")),
        false => Ok(denied()),
    }
}

fn next(sessions: &Sessions, command: &SmcCmd, session: Option<&str>) -> Result<CmdResult, tonic::Status> {
    let session = session.ok_or_else(|| tonic::Status::unauthenticated("no session-id"))?;
    if !lock(sessions).contains(session) {
        return Ok(denied());
    }
    match &command.payload {
        Some(Payload::Debug(debug)) => {
            let echo = SmcResult { res: f64::from(debug.ping) + 1.0, values: Vec::new() };
            Ok(CmdResult { result: Some(echo), ..result(0, "pong") })
        }
        _ => Ok(result(33, "this provider answers pings and computes nothing")),
    }
}

fn tear_down(sessions: &Sessions, session: &SessionCtx) -> Result<CmdResult, tonic::Status> {
    match lock(sessions).remove(&session.session_id) {
        true => Ok(result(0, "")),
        false => Ok(denied()),
    }
}

fn reset(sessions: &Sessions) -> Result<CmdResult, tonic::Status> {
    lock(sessions).clear();
    Ok(result(0, ""))
}

fn denied() -> CmdResult {
    result(34, "Session ID not allowed")
}

fn result(status: i32, msg: &str) -> CmdResult {
    CmdResult { status, msg: msg.to_owned(), ..CmdResult::default() }
}

fn lock(sessions: &Sessions) -> std::sync::MutexGuard<'_, HashSet<String>> {
    sessions.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::super::{Provider, ProviderError};
    use super::*;

    /// The commands that a computation uses, over a socket; nothing is answered that is not asked in order.
    #[tokio::test]
    async fn f24_a_ping_through_the_provider_s_socket() {
        let folder = tempfile::tempdir().expect("a folder");
        let provider = Provider { name: "echo".to_owned(), socket: folder.path().join("smc.sock"), pings: true };
        assert!(matches!(provider.open("a").await, Err(ProviderError::Absent { .. })));
        let echo = EchoProvider::bind(&provider.socket).expect("a socket");
        let mode = std::fs::metadata(&provider.socket).expect("the socket").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let sessions = Arc::clone(&echo.sessions);
        let served = tokio::spawn(echo.serve());

        let mut session = provider.open("a").await.expect("a session");
        for (number, more) in [(1, true), (2, true), (i32::MAX, false)] {
            session.ping(number, more).await.expect("an answer");
        }
        let twice = provider.open("a").await.map(drop);
        assert!(matches!(twice, Err(ProviderError::Status { phase: "Init", status: 34, .. })), "{twice:?}");
        let computed = session.compute(0).await;
        assert!(matches!(computed, Err(ProviderError::Status { status: 33, .. })), "{computed:?}");
        session.tear_down().await.expect("an end");
        let ended = session.ping(3, false).await;
        assert!(matches!(ended, Err(ProviderError::Status { phase: "Debug", status: 34, .. })), "{ended:?}");

        drop(provider.open("b").await.expect("a session"));
        assert_eq!(lock(&sessions).len(), 1);
        provider.reset().await.expect("a reset");
        assert!(lock(&sessions).is_empty());
        served.abort();
    }
}
