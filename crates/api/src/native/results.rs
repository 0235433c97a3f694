use axum::Json;
use axum::extract::State;
use tacit_model::RunId;
use tacit_model::api::{Decimal, ResultBody, ResultList, StatisticBody};

use crate::edge::App;
use crate::extract::{Args, PathOf};
use crate::problem::ApiError;

pub(super) async fn list(
    State(app): State<App>,
    PathOf(name): PathOf<String>,
    args: Args,
) -> Result<Json<ResultList>, ApiError> {
    let run = args.number("run")?.map(RunId);
    let results = (app.parties()?.results)((name, run)).await?;
    let results = results
        .into_iter()
        .map(|result| ResultBody {
            run: result.run,
            slot: result.slot,
            values: result.values.into_iter().map(Decimal).collect(),
            statistics: result.statistics.into_iter().map(|(name, value)| StatisticBody { name, value }).collect(),
            no_result: result.no_result,
            contributors: result.contributors,
            at: result.at.to_rfc3339(),
        })
        .collect();
    Ok(Json(ResultList { results }))
}
