use std::net::SocketAddr;

use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, StatusCode};
use axum::{Extension, Json};
use tacit_model::api::{ReceivedBody, ReceivedList, ReceivedRow};
use tacit_model::problem::ProblemKind;
use tacit_party::source::parse_row;
use tacit_store::ReceivedRow as StoredRow;

use crate::edge::App;
use crate::extract::{Args, JsonBody};
use crate::problem::ApiError;

/// Most rows in one post. Anybody may post, and all rows of a post are kept in one transaction, which others wait for. Peers
/// of this program post no more results at a time (`MAX_BATCH` of a party's outbox).
const POST: usize = 10_000;
/// Most rows in one answer.
const PAGE: usize = 10_000;
/// No more rows are added to an answer of this size.
const BYTES: usize = 8 << 20;
/// Rows asked of the store at once.
const CHUNK: u32 = 100;

/// The rows of one post, few enough to be kept.
pub(crate) struct Posted<'a>(&'a [String]);

impl<'a> Posted<'a> {
    pub(crate) fn few_enough(rows: &'a [String]) -> Result<Self, ApiError> {
        if rows.len() <= POST {
            return Ok(Self(rows));
        }
        let detail = format!("a post has at most {POST} rows, and this one {}; post them in parts", rows.len());
        Err(ApiError::new(ProblemKind::TooLarge, detail))
    }
}

/// Takes results. Whoever knows the address may post: that is how `finalResultsURL` works. Only rows
/// of numbers are taken.
pub(super) async fn receive(
    State(app): State<App>,
    from: Option<Extension<ConnectInfo<SocketAddr>>>,
    headers: HeaderMap,
    JsonBody(body): JsonBody<ReceivedBody>,
) -> Result<StatusCode, ApiError> {
    let posted = Posted::few_enough(&body.data)?;
    for (index, row) in posted.0.iter().enumerate() {
        parse_row(row, None).map_err(|e| ApiError::invalid(format!("row {}: {e}", index + 1)))?;
    }
    keep(&app, from.map(|Extension(from)| from), &headers, posted).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Keeps posted rows, once per idempotency key.
pub(crate) async fn keep(
    app: &App,
    from: Option<ConnectInfo<SocketAddr>>,
    headers: &HeaderMap,
    Posted(rows): Posted<'_>,
) -> Result<(), ApiError> {
    app.receiver()?;
    let key = match headers.get("idempotency-key") {
        None => None,
        Some(key) => {
            let key = key.to_str().ok().filter(|key| (1..=200).contains(&key.len()));
            Some(key.ok_or_else(|| ApiError::invalid("Idempotency-Key must be 1 to 200 visible characters"))?)
        }
    };
    let from = from.map_or_else(|| "unknown".to_owned(), |ConnectInfo(address)| address.ip().to_string());
    let kept = app.edge.store.receive(key, &from, rows, app.edge.clock.now()).await?;
    ::metrics::counter!("tacit_results_received_total").increment(kept);
    Ok(())
}

pub(super) async fn list(State(app): State<App>, args: Args) -> Result<Json<ReceivedList>, ApiError> {
    app.receiver()?;
    let from = u64::try_from(args.number("from")?.unwrap_or(0)).unwrap_or(0);
    let max = args.number("max")?.and_then(|max| usize::try_from(max).ok()).unwrap_or(1000);
    let (rows, _) = received(&app, from, max.min(PAGE)).await?;
    let rows = rows
        .into_iter()
        .map(|row| ReceivedRow { id: row.id, from: row.from_ip, when: row.at.to_rfc3339(), data: row.data })
        .collect();
    Ok(Json(ReceivedList { rows }))
}

/// Received rows, at most so many and not much more than [`BYTES`] of them; whether there are more.
/// Anybody may post, so nobody's page may hold whatever was posted.
pub(crate) async fn received(app: &App, from: u64, max: usize) -> Result<(Vec<StoredRow>, bool), ApiError> {
    let mut rows: Vec<StoredRow> = Vec::new();
    let mut bytes = 0;
    loop {
        let offset = from.saturating_add(u64::try_from(rows.len()).unwrap_or(u64::MAX));
        let some = app.edge.store.received(CHUNK, offset, BYTES - bytes.min(BYTES)).await?;
        let last = some.is_empty();
        for row in some {
            if rows.len() >= max || bytes >= BYTES {
                return Ok((rows, true));
            }
            bytes += row.data.len();
            rows.push(row);
        }
        if last {
            return Ok((rows, false));
        }
    }
}
