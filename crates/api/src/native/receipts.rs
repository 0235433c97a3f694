use axum::extract::State;
use axum::{Extension, Json};
use tacit_model::SessionId;
use tacit_model::api::{ReceiptBody, ReceiptLine, ReceiptList};
use tacit_store::{GATEWAY_HOLDER, ReceiptRow};

use crate::caller::Caller;
use crate::edge::App;
use crate::extract::{Args, PathOf};
use crate::problem::ApiError;

/// Most receipts in one list.
const LIST: u32 = 1000;

pub(super) async fn list(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    args: Args,
) -> Result<Json<ReceiptList>, ApiError> {
    app.gateway()?;
    let Json(mut list) = lines(&app, GATEWAY_HOLDER, &args).await?;
    list.receipts.retain(|line| caller.known().reaches(Some(line.group)));
    Ok(Json(list))
}

pub(super) async fn get(
    State(app): State<App>,
    PathOf(session): PathOf<String>,
) -> Result<Json<ReceiptBody>, ApiError> {
    app.gateway()?;
    one(&app, GATEWAY_HOLDER, &session).await
}

pub(super) async fn list_of_peer(
    State(app): State<App>,
    PathOf(name): PathOf<String>,
    args: Args,
) -> Result<Json<ReceiptList>, ApiError> {
    (app.parties()?.get)(name.clone()).await?;
    lines(&app, &name, &args).await
}

pub(super) async fn get_of_peer(
    State(app): State<App>,
    PathOf((name, session)): PathOf<(String, String)>,
) -> Result<Json<ReceiptBody>, ApiError> {
    (app.parties()?.get)(name.clone()).await?;
    one(&app, &name, &session).await
}

async fn lines(app: &App, holder: &str, args: &Args) -> Result<Json<ReceiptList>, ApiError> {
    let max = args.at_most(LIST)?;
    let line = |row: ReceiptRow| ReceiptLine {
        session: row.session.to_string(),
        group: row.gid,
        run: row.run,
        slot: row.slot,
        at: row.at.to_string(),
    };
    let rows = app.edge.store.receipts(holder, max).await?;
    Ok(Json(ReceiptList { receipts: rows.into_iter().map(line).collect() }))
}

async fn one(app: &App, holder: &str, session: &str) -> Result<Json<ReceiptBody>, ApiError> {
    let missing = || ApiError::not_found("receipt");
    let session: SessionId = session.parse().map_err(|_| missing())?;
    let row = app.edge.store.receipt(holder, session).await?.ok_or_else(missing)?;
    // What the gateway keeps beside a receipt is for answering contributors, each about itself.
    let contribution = row.own.filter(|_| holder != GATEWAY_HOLDER);
    Ok(Json(ReceiptBody { receipt: row.body, contribution }))
}
