use axum::Json;
use axum::extract::State;
use tacit_model::Fingerprint;
use tacit_model::api::{LogLine, LogPage};

use crate::edge::App;
use crate::extract::Args;
use crate::problem::ApiError;

/// Most entries in one answer.
const PAGE: u32 = 1000;

pub(super) async fn page(State(app): State<App>, args: Args) -> Result<Json<LogPage>, ApiError> {
    let from = args.number("from")?.unwrap_or(1).max(1);
    let max = args.number("max")?.and_then(|max| u32::try_from(max).ok()).unwrap_or(PAGE).clamp(1, PAGE);
    let rows = app.edge.store.log_entries(from, max).await?;
    let full = u32::try_from(rows.len()).is_ok_and(|count| count == max);
    let next = rows.last().filter(|_| full).map(|row| row.seq.saturating_add(1));
    let entries = rows
        .into_iter()
        .map(|row| LogLine {
            seq: row.seq,
            body: String::from_utf8_lossy(&row.body).into_owned(),
            // Any 32 bytes in hexadecimal digits, as fingerprints are shown.
            hash: Fingerprint(row.hash).to_string(),
        })
        .collect();
    Ok(Json(LogPage { entries, next }))
}
