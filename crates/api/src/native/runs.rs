use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use tacit_model::api::{RunBody, RunList, SlotBody, SlotList, StartedBody};
use tacit_model::{GroupId, RunId, Slot};

use crate::edge::App;
use crate::extract::{Args, PathOf};
use crate::problem::ApiError;

/// Most slots in one list.
const LIST: u32 = 10_000;

pub(super) async fn start(State(app): State<App>, PathOf(gid): PathOf<i64>) -> Result<Json<StartedBody>, ApiError> {
    let gateway = app.gateway()?;
    gateway.group(GroupId(gid)).await?;
    Ok(Json(StartedBody { started: gateway.start_group(GroupId(gid)).await? }))
}

pub(super) async fn stop(State(app): State<App>, PathOf(gid): PathOf<i64>) -> Result<StatusCode, ApiError> {
    let gateway = app.gateway()?;
    gateway.group(GroupId(gid)).await?;
    gateway.stop_group(GroupId(gid)).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn list(State(app): State<App>, PathOf(gid): PathOf<i64>) -> Result<Json<RunList>, ApiError> {
    let gateway = app.gateway()?;
    gateway.group(GroupId(gid)).await?;
    let mut runs: Vec<RunBody> = gateway
        .runs(GroupId(gid))
        .await?
        .into_iter()
        .map(|run| RunBody { run: run.run, state: run.state.to_string(), reason: run.reason, next_slot: run.next_slot })
        .collect();
    runs.sort_by_key(|run| core::cmp::Reverse(run.run));
    Ok(Json(RunList { runs }))
}

pub(super) async fn slots(
    State(app): State<App>,
    PathOf((gid, run)): PathOf<(i64, i64)>,
    args: Args,
) -> Result<Json<SlotList>, ApiError> {
    let gateway = app.gateway()?;
    gateway.group(GroupId(gid)).await?;
    if !gateway.runs(GroupId(gid)).await?.iter().any(|known| known.run == RunId(run)) {
        return Err(ApiError::not_found("run"));
    }
    let from = args.number("from")?.map(|from| Slot(from.max(0)));
    let slots = gateway.slots(GroupId(gid), RunId(run), from, args.at_most(LIST)?).await?;
    let slots = slots
        .into_iter()
        .map(|slot| SlotBody {
            slot: slot.slot,
            attempt: slot.attempt.0,
            state: slot.state.to_string(),
            detail: slot.detail,
            contributors: slot.contributors,
        })
        .collect();
    Ok(Json(SlotList { slots }))
}
