//! `/p2ds-receiver/receiver`: where results are posted, and the page that shows them.

use std::net::SocketAddr;

use axum::Extension;
use axum::Router;
use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use axum::routing::{get, post};
use serde::Deserialize;
use tacit_model::UnixMillis;
use time::OffsetDateTime;
use time::macros::format_description;

use super::words::{Answer, Body, FaceError, OK, OneOrMany};
use super::{RECEIVER, both};
use crate::edge::App;
use crate::extract::Args;
use crate::html::{esc, page};
use crate::native::{Posted, keep, received};

/// Most rows on one page.
const PAGE: usize = 5000;
/// Longest row.
const ROW: usize = 1 << 20;

pub(super) fn routes() -> Router<App> {
    let base = format!("{RECEIVER}/receiver");
    let router = both(Router::new(), &format!("{base}/receive"), post(receive));
    both(router, &format!("{base}/show"), get(show))
}

#[derive(Deserialize)]
struct DataSets {
    data: OneOrMany,
}

async fn receive(
    State(app): State<App>,
    from: Option<Extension<ConnectInfo<SocketAddr>>>,
    headers: HeaderMap,
    body: Body,
) -> Answer<&'static str> {
    let sets: DataSets = body.json()?;
    let rows = sets.data.into_vec();
    let posted = Posted::few_enough(&rows).map_err(|e| FaceError::from_below(e, FaceError::not_found))?;
    if rows.iter().any(|row| row.len() > ROW || row.chars().any(char::is_control)) {
        return Err(FaceError::data("a row is too long or holds control characters"));
    }
    let kept = keep(&app, from.map(|Extension(from)| from), &headers, posted).await;
    kept.map_err(|e| FaceError::from_below(e, FaceError::not_found))?;
    Ok(OK)
}

async fn show(State(app): State<App>, args: Args) -> Answer<Response> {
    let from = u64::from(args.text("from").parse::<u32>().unwrap_or(0));
    let found = received(&app, from, PAGE).await;
    let (rows, more) = found.map_err(|e| FaceError::from_below(e, FaceError::not_found))?;
    let next = from.saturating_add(u64::try_from(rows.len()).unwrap_or(u64::MAX));
    let lines: String = rows
        .iter()
        .map(|row| {
            format!(
                "<tr><td>{}</td><td>{}</td><td class=\"mono\">{}</td></tr>\n",
                esc(&row.from_ip),
                esc(gmt(row.at)),
                esc(&row.data)
            )
        })
        .collect();
    let more = if more {
        format!(
            "<p><a href=\"show?from={next}\">later rows</a></p>
"
        )
    } else {
        String::new()
    };
    let body = format!(
        "<h1>Results</h1>\n<p class=\"faint\">What was posted to this receiver, oldest first.</p>\n<div class=\"scroll card\">\
         <table>\n<tr><th>FROM</th><th>WHEN</th><th>DATA</th></tr>\n{lines}</table></div>\n{more}"
    );
    Ok(page(StatusCode::OK, "Results", &body))
}

/// As the old receiver wrote it: `4 Mar 2026 00:05:00 GMT`.
fn gmt(at: UnixMillis) -> String {
    let format = format_description!("[day padding:none] [month repr:short] [year] [hour]:[minute]:[second] GMT");
    OffsetDateTime::from_unix_timestamp(at.0.div_euclid(1000))
        .ok()
        .and_then(|moment| moment.format(&format).ok())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_in_gmt() {
        assert_eq!(gmt(UnixMillis(1_772_582_700_999)), "4 Mar 2026 00:05:00 GMT");
    }
}
