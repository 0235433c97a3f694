use axum::Json;
use axum::extract::State;
use tacit_job::run_of;
use tacit_model::api::{Decimal, ResultBody, ResultList, StatisticBody};
use tacit_model::{RunId, Slot};

use crate::edge::App;
use crate::extract::{Args, PathOf};
use crate::problem::ApiError;

pub(super) async fn list(
    State(app): State<App>,
    PathOf(name): PathOf<String>,
    args: Args,
) -> Result<Json<ResultList>, ApiError> {
    let mut run = args.number("run")?.map(RunId);
    if let Some(task) = args.get("task") {
        let task = task.parse().map_err(|_| ApiError::invalid("task: 32 hexadecimal digits, as results show them"))?;
        run = Some(run_of(task));
    }
    let from = args.number("from")?.map(|from| Slot(from.max(0)));
    if from.is_some() && run.is_none() {
        return Err(ApiError::invalid("from: give run or task, whose results from this slot on are meant"));
    }
    let (results, more) = (app.parties()?.results)((name, run, from)).await?;
    let results = results
        .into_iter()
        .map(|result| ResultBody {
            run: result.run,
            task: result.task,
            slot: result.slot,
            values: result.values.into_iter().map(Decimal).collect(),
            statistics: result.statistics.into_iter().map(|(name, value)| StatisticBody { name, value }).collect(),
            no_result: result.no_result,
            contributors: result.contributors,
            at: result.at.to_rfc3339(),
        })
        .collect();
    Ok(Json(ResultList { results, more }))
}
