use core::pin::Pin;
use core::task::{Context, Poll};

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use hyper::body::Frame;
use tacit_accord::log::Hash;
use tacit_audit::{AuditError, Export};
use tacit_model::api::{LogHead, LogLine, LogPage, LogProof};
use tacit_model::problem::ProblemKind;
use tacit_store::LogRow;
use tokio::sync::mpsc;

use crate::edge::App;
use crate::extract::Args;
use crate::problem::ApiError;

/// Most entries in one answer.
const PAGE: u32 = 1000;

pub(super) async fn page(State(app): State<App>, args: Args) -> Result<Json<LogPage>, ApiError> {
    let from = args.number("from")?.and_then(|from| u64::try_from(from).ok()).unwrap_or(1).max(1);
    let (rows, more) = app.edge.log.page(from, args.at_most(PAGE)?).await?;
    let line = |row: LogRow| {
        let body = String::from_utf8_lossy(&row.body).into_owned();
        LogLine { seq: row.seq, body, hash: Hash(row.leaf).to_string() }
    };
    let entries: Vec<LogLine> = rows.into_iter().map(line).collect();
    let next = entries.last().filter(|_| more).map(|line| line.seq.saturating_add(1));
    Ok(Json(LogPage { entries, next }))
}

pub(super) async fn checkpoint(State(app): State<App>) -> Result<Json<LogHead>, ApiError> {
    let signed = app.edge.log.checkpoint().await?;
    Ok(Json(LogHead {
        size: signed.checkpoint.size,
        root: signed.checkpoint.root.to_string(),
        key: app.edge.log.key().to_base64(),
        checkpoint: signed.note,
    }))
}

pub(super) async fn inclusion(State(app): State<App>, args: Args) -> Result<Json<LogProof>, ApiError> {
    let entry = needed(&args, "entry")?;
    let size = size(&app, &args).await?;
    proof(size, app.edge.log.inclusion(entry, size).await?)
}

pub(super) async fn consistency(State(app): State<App>, args: Args) -> Result<Json<LogProof>, ApiError> {
    let from = needed(&args, "from")?;
    let size = size(&app, &args).await?;
    proof(size, app.edge.log.consistency(from, size).await?)
}

pub(super) async fn export(State(app): State<App>) -> Result<Response, ApiError> {
    let export = app.edge.log.export().await?;
    let (sender, receiver) = mpsc::channel(4);
    tokio::spawn(pump(export, sender));
    let kind = [(header::CONTENT_TYPE, "application/jsonl")];
    Ok((kind, Body::new(Lines(receiver))).into_response())
}

fn needed(args: &Args, name: &'static str) -> Result<u64, ApiError> {
    let number = args.number(name)?.and_then(|number| u64::try_from(number).ok());
    number.ok_or_else(|| ApiError::new(ProblemKind::BadRequest, format!("give {name}, a number from 0 on")))
}

async fn size(app: &App, args: &Args) -> Result<u64, ApiError> {
    match args.get("size") {
        Some(_) => needed(args, "size"),
        None => Ok(app.edge.log.checkpoint().await?.checkpoint.size),
    }
}

fn proof(size: u64, proof: Vec<Hash>) -> Result<Json<LogProof>, ApiError> {
    Ok(Json(LogProof { size, proof: proof.iter().map(Hash::to_string).collect() }))
}

/// Reads as fast as the caller takes it. Ends when nobody does any more.
async fn pump(mut export: Export, sender: mpsc::Sender<Result<Bytes, AuditError>>) {
    loop {
        let chunk = match export.next().await {
            Ok(Some(lines)) => Ok(Bytes::from(lines)),
            Ok(None) => return,
            Err(error) => {
                tracing::error!(%error, "an export of the audit log broke off");
                Err(error)
            }
        };
        let failed = chunk.is_err();
        if sender.send(chunk).await.is_err() || failed {
            return;
        }
    }
}

/// A body that arrives piece by piece. An error cuts it off, which the reader notices by the signed number of entries.
struct Lines(mpsc::Receiver<Result<Bytes, AuditError>>);

impl hyper::body::Body for Lines {
    type Data = Bytes;
    type Error = AuditError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, AuditError>>> {
        self.0.poll_recv(cx).map(|chunk| chunk.map(|chunk| chunk.map(Frame::data)))
    }
}
