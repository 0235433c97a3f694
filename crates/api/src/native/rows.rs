use axum::Json;
use axum::extract::State;
use tacit_model::UnixMillis;
use tacit_model::api::{RowBody, RowsBody, RowsReceipt};
use tacit_party::source::{AboveMax, Row};

use crate::desk::TimedRow;
use crate::edge::App;
use crate::extract::{JsonBody, PathOf};
use crate::problem::ApiError;

pub(super) async fn add(
    State(app): State<App>,
    PathOf(name): PathOf<String>,
    JsonBody(body): JsonBody<RowsBody>,
) -> Result<Json<RowsReceipt>, ApiError> {
    let desk = app.parties()?;
    if body.rows.is_empty() {
        return Err(ApiError::invalid("rows is empty"));
    }
    let rows = body.rows.into_iter().enumerate().map(|(index, row)| timed(index + 1, row));
    let rows = rows.collect::<Result<Vec<_>, _>>()?;
    let kept = (desk.add_rows)((name, rows, AboveMax::Refused)).await?;
    ::metrics::counter!("tacit_rows_accepted_total").increment(kept.accepted.try_into().unwrap_or(u64::MAX));
    Ok(Json(RowsReceipt { accepted: kept.accepted, next_slot: kept.next_slot }))
}

/// Errors name the place, never the value.
fn timed(number: usize, row: RowBody) -> Result<TimedRow, ApiError> {
    let slot_start = match row.slot_start {
        None => None,
        Some(text) => Some(UnixMillis::from_rfc3339(&text).ok_or_else(|| {
            ApiError::invalid(format!("row {number}: slot_start must be RFC 3339, such as 2026-03-04T00:05:00Z"))
        })?),
    };
    let mut values = Vec::with_capacity(row.values.len());
    for (item, value) in row.values.into_iter().enumerate() {
        let below = u64::try_from(value);
        values
            .push(below.map_err(|_| ApiError::invalid(format!("row {number}: item {} is not below 2^64", item + 1)))?);
    }
    Ok(TimedRow { slot_start, row: Row::new(values) })
}
