//! The SMC provider boundary: another program that runs the secure computation instead of the built-in engine.
//!
//! ```text
//!   party ── gRPC over a Unix socket (proto/smc.proto) ──► provider
//!     ▲  Init, NextCmd: Prepare, Link, Session, TearDown      │
//!     └──── relay: local TCP  ◄── what providers tell each other
//!             over the session's TLS links
//! ```
//!
//! Beside computing there is the ping ([`pings`]): Init, NextCmd: Debug, TearDown. [`EchoProvider`] answers pings and
//! nothing else, for benches and tests.
//!
//! Whether a group computes with a provider, and with which, is in its charter (`--parameter provider=NAME`); each
//! member's node knows a provider of that name (`[provider]` in node.toml). The socket is opened for each session,
//! so a provider can be started, stopped and exchanged while the peer runs.
//!
//! Promise: shares travel over the session's own links, to nobody else; one attempt at a slot, after all members
//! signed the frozen set. What the provider does with its input is not Tacit's to promise: its security model is
//! its own, and Tacit offers it as semi-honest.

mod connection;
mod echo;
pub(crate) mod pings;
mod wire;

use std::path::PathBuf;
use std::time::Duration;

use tacit_pki::https::innermost;
use tokio::time::timeout;
use tonic::client::Grpc;
use tonic::codegen::http::Uri;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::metadata::MetadataValue;
use tonic_prost::ProstCodec;

use crate::error::plain;
use connection::{Connection, reach};
pub use echo::EchoProvider;
pub(crate) use tacit_job::StatusClass;
use wire::{CmdResult, DebugPhase, Empty, FilterArgs, SessionCtx, SmcCmd};
pub(crate) use wire::{Participant, Payload, PreparePhase, SmcTask};

/// Longest answer of a provider, and longest command.
const MAX_MESSAGE: usize = 64 << 20;
/// A node that starts waits so long for its provider to end what it has of before.
const RESET: Duration = Duration::from_secs(2);

/// A provider that this node's peers may use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provider {
    /// Its name, as charters call it.
    pub name: String,
    /// The Unix socket it listens on.
    pub socket: PathBuf,
    /// Whether pings of the gateway's operator go on to it.
    pub pings: bool,
}

/// What went wrong with a provider.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ProviderError {
    /// Nobody listens.
    #[error("the SMC provider {name} does not answer at {socket}: {why}; start it")]
    Absent { name: String, socket: String, why: String },
    /// It said no, or something that makes no sense.
    #[error("the SMC provider answered {phase} with status {status}: {message}")]
    Status { phase: &'static str, status: i32, message: String },
    /// The call failed.
    #[error("the SMC provider failed at {phase}: {why}")]
    Call { phase: &'static str, why: String },
    /// Its result cannot be one.
    #[error("the SMC provider's result is not what was asked for: {0}")]
    Result(&'static str),
}

impl ProviderError {
    /// The class of its status, if it gave one.
    pub(crate) fn class(&self) -> StatusClass {
        match self {
            Self::Status { status, .. } => StatusClass::of(*status),
            _ => StatusClass::Fault,
        }
    }
}

impl Provider {
    /// Whether somebody listens at the socket.
    pub(crate) async fn is_there(&self) -> Result<(), ProviderError> {
        reach(&self.socket).await.map(drop).map_err(|e| self.absent(&e))
    }

    /// Opens a session of the provider.
    pub(crate) async fn open(&self, session: &str) -> Result<ProviderSession, ProviderError> {
        let mut session = ProviderSession { grpc: self.connect().await?, session: session.to_owned() };
        session.init().await?;
        Ok(session)
    }

    /// Ends everything that the provider still has of an earlier life of this node.
    pub(crate) async fn reset(&self) -> Result<(), ProviderError> {
        let reset = async {
            let mut session = ProviderSession { grpc: self.connect().await?, session: String::new() };
            let reply: CmdResult = session.call("ResetAll", "/smc.SMC/ResetAll", FilterArgs {}).await?;
            success("ResetAll", reply).map(drop)
        };
        let silent = ProviderError::Call { phase: "ResetAll", why: "no answer in time".to_owned() };
        timeout(RESET, reset).await.unwrap_or(Err(silent))
    }

    async fn connect(&self) -> Result<Grpc<Connection>, ProviderError> {
        let connection = Connection::open(&self.socket).await.map_err(|e| self.absent(&*e))?;
        // HTTP/2 wants an address; the connection is there already.
        let grpc = Grpc::with_origin(connection, Uri::from_static("http://provider.invalid"));
        Ok(grpc.max_decoding_message_size(MAX_MESSAGE).max_encoding_message_size(MAX_MESSAGE))
    }

    fn absent(&self, error: &(dyn std::error::Error + 'static)) -> ProviderError {
        ProviderError::Absent {
            name: self.name.clone(),
            socket: self.socket.display().to_string(),
            why: innermost(error),
        }
    }
}

/// A session of a provider. It must be torn down.
pub(crate) struct ProviderSession {
    grpc: Grpc<Connection>,
    session: String,
}

impl ProviderSession {
    async fn init(&mut self) -> Result<(), ProviderError> {
        let session = SessionCtx { session_id: self.session.clone() };
        let reply: CmdResult = self.call("Init", "/smc.SMC/Init", session).await?;
        success("Init", reply).map(drop)
    }

    /// Phase 1; where the provider listens for what other providers send.
    pub(crate) async fn prepare(&mut self, me: usize, prepare: PreparePhase) -> Result<String, ProviderError> {
        let mut reply = self.next("Prepare", me, Payload::Prepare(prepare)).await?;
        reply.metadata.remove("listen").ok_or(ProviderError::Call {
            phase: "Prepare",
            why: "it does not say in metadata \"listen\" where it can be reached".to_owned(),
        })
    }

    /// Phase 2.
    pub(crate) async fn link(&mut self, me: usize) -> Result<(), ProviderError> {
        self.next("Link", me, Payload::Link(Empty {})).await.map(drop)
    }

    /// Phase 3; the exact vector.
    pub(crate) async fn compute(&mut self, me: usize) -> Result<Vec<u128>, ProviderError> {
        let reply = self.next("Session", me, Payload::Session(Empty {})).await?;
        let result = reply.result.ok_or(ProviderError::Result("there is none"))?;
        let values = result.values.iter().map(|value| value.parse());
        values.collect::<Result<_, _>>().map_err(|_| ProviderError::Result("a value is no whole number"))
    }

    /// A message and back; nothing is computed. `more` says whether another one follows.
    pub(crate) async fn ping(&mut self, number: i32, more: bool) -> Result<(), ProviderError> {
        let reply = self.next("Debug", 0, Payload::Debug(DebugPhase { ping: number, more_phases: more })).await?;
        let answer = reply.result.map(|result| result.res);
        // Whole numbers of 32 bits are exact in a double.
        match answer == Some(f64::from(number) + 1.0) {
            true => Ok(()),
            false => Err(ProviderError::Result("a ping is answered with the number after its own")),
        }
    }

    /// Ends it, whatever became of it.
    pub(crate) async fn tear_down(&mut self) -> Result<(), ProviderError> {
        let session = SessionCtx { session_id: self.session.clone() };
        let _reply: CmdResult = self.call("TearDown", "/smc.SMC/TearDown", session).await?;
        Ok(())
    }

    async fn next(&mut self, phase: &'static str, me: usize, payload: Payload) -> Result<CmdResult, ProviderError> {
        let command = SmcCmd {
            session_id: self.session.clone(),
            state: payload.phase(),
            payload: Some(payload),
            smc_peer_id: i32::try_from(me).unwrap_or(i32::MAX),
        };
        let reply = self.call(phase, "/smc.SMC/NextCmd", command).await?;
        success(phase, reply)
    }

    async fn call<M>(&mut self, phase: &'static str, path: &'static str, message: M) -> Result<CmdResult, ProviderError>
    where
        M: prost::Message + 'static,
    {
        let failed = |why: String| ProviderError::Call { phase, why };
        self.grpc.ready().await.map_err(|e| failed(e.to_string()))?;
        let mut request = tonic::Request::new(message);
        if let Ok(session) = MetadataValue::try_from(self.session.as_str()) {
            request.metadata_mut().insert("session-id", session);
        }
        let codec: ProstCodec<M, CmdResult> = ProstCodec::default();
        let reply = self.grpc.unary(request, PathAndQuery::from_static(path), codec).await;
        Ok(reply.map_err(|status| failed(status.message().to_owned()))?.into_inner())
    }
}

fn success(phase: &'static str, reply: CmdResult) -> Result<CmdResult, ProviderError> {
    match StatusClass::of(reply.status) {
        StatusClass::Success => Ok(reply),
        _ => {
            let message = plain(&reply.msg, 300);
            Err(ProviderError::Status { phase, status: reply.status, message })
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::UnixListener;

    use super::*;

    /// A node starts all the same.
    #[tokio::test]
    async fn f15_a_provider_that_never_answers_is_not_waited_for_at_the_start() {
        let folder = tempfile::tempdir().expect("a folder");
        let provider = Provider { name: "mute".to_owned(), socket: folder.path().join("smc.sock"), pings: false };
        // Whoever dials it is let in and hears nothing.
        let _mute = UnixListener::bind(&provider.socket).expect("a socket");
        provider.is_there().await.expect("somebody listens");
        let reset = timeout(60 * RESET, provider.reset()).await.expect("an end");
        assert!(matches!(reset, Err(ProviderError::Call { phase: "ResetAll", .. })), "{reset:?}");
    }
}
