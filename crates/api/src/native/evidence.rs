use axum::Json;
use axum::extract::State;
use tacit_model::SessionId;
use tacit_model::api::{EvidenceBody, EvidenceLine, EvidenceList};
use tacit_store::EvidenceRow;

use crate::edge::App;
use crate::extract::{Args, PathOf};
use crate::problem::ApiError;

/// Most sessions in one list.
const LIST: u32 = 1000;

pub(super) async fn list(
    State(app): State<App>,
    PathOf(name): PathOf<String>,
    args: Args,
) -> Result<Json<EvidenceList>, ApiError> {
    (app.parties()?.get)(name.clone()).await?;
    let max = args.at_most(LIST)?;
    let line = |row: EvidenceRow| EvidenceLine {
        session: row.session.to_string(),
        group: row.gid,
        run: row.run,
        slot: row.slot,
        accused: row.accused.split(' ').filter_map(|accused| accused.parse().ok()).collect(),
        at: row.at.to_string(),
    };
    let rows = app.edge.store.all_evidence(&name, max).await?;
    Ok(Json(EvidenceList { evidence: rows.into_iter().map(line).collect() }))
}

pub(super) async fn get(
    State(app): State<App>,
    PathOf((name, session)): PathOf<(String, String)>,
) -> Result<Json<EvidenceBody>, ApiError> {
    (app.parties()?.get)(name.clone()).await?;
    let missing = || ApiError::not_found("evidence");
    let session: SessionId = session.parse().map_err(|_| missing())?;
    let row = app.edge.store.evidence(&name, session).await?.ok_or_else(missing)?;
    Ok(Json(EvidenceBody { evidence: row.body }))
}
