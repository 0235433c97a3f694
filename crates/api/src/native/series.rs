//! What a peer of this node offers to tasks: samples and labels.

use axum::Json;
use axum::extract::State;
use tacit_model::UnixMillis;
use tacit_model::api::{LabelsBody, OfferBody, SampleBody, SamplesBody, SamplesReceipt};
use tacit_party::source::SampleText;
use tacit_store::Redacted;

use crate::edge::App;
use crate::extract::{JsonBody, PathOf};
use crate::problem::ApiError;

pub(super) async fn add(
    State(app): State<App>,
    PathOf(name): PathOf<String>,
    JsonBody(body): JsonBody<SamplesBody>,
) -> Result<Json<SamplesReceipt>, ApiError> {
    let desk = app.parties()?;
    if body.samples.is_empty() {
        return Err(ApiError::invalid("samples is empty"));
    }
    let now = app.edge.clock.now();
    let samples = body.samples.into_iter().enumerate().map(|(index, sample)| read(index + 1, sample, now));
    let accepted = (desk.add_samples)((name, samples.collect::<Result<Vec<_>, _>>()?)).await?;
    ::metrics::counter!("tacit_samples_accepted_total").increment(accepted.try_into().unwrap_or(u64::MAX));
    Ok(Json(SamplesReceipt { accepted }))
}

/// Errors name the place, never the value.
fn read(number: usize, sample: SampleBody, now: UnixMillis) -> Result<SampleText, ApiError> {
    let at = match sample.at {
        None => now,
        Some(text) => UnixMillis::from_rfc3339(&text).ok_or_else(|| {
            ApiError::invalid(format!("sample {number}: at must be RFC 3339, such as 2026-03-04T00:05:00Z"))
        })?,
    };
    Ok(SampleText { at, values: sample.values.into_iter().map(|(name, value)| (name, Redacted(value))).collect() })
}

pub(super) async fn offer(State(app): State<App>, PathOf(name): PathOf<String>) -> Result<Json<OfferBody>, ApiError> {
    Ok(Json((app.parties()?.offer)(name).await?))
}

pub(super) async fn set_labels(
    State(app): State<App>,
    PathOf(name): PathOf<String>,
    JsonBody(body): JsonBody<LabelsBody>,
) -> Result<Json<OfferBody>, ApiError> {
    let desk = app.parties()?;
    (desk.set_labels)((name.clone(), body.labels.into_iter().collect())).await?;
    Ok(Json((desk.offer)(name).await?))
}
