//! The status page, health, counters and the description of the API.

use core::fmt::Write as _;
use std::net::SocketAddr;

use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Router};
use tacit_gateway::{GroupView, RunView};
use tacit_link::Protocol;
use tacit_model::GroupId;
use tacit_model::api::{PairingState, Role};
use tacit_model::problem::ProblemKind;

use crate::edge::App;
use crate::html::{esc, page_with_head};
use crate::native::{group_body, peer_role, standing};
use crate::problem::ApiError;

/// Slots shown per run.
const SLOTS: u32 = 12;

pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/", get(overview))
        .route("/healthz", get(healthy))
        .route("/readyz", get(ready))
        .route("/metrics", get(counters))
        .route("/openapi.json", get(openapi))
}

/// The process runs and answers.
async fn healthy() -> &'static str {
    "ok\n"
}

/// It can do its work: the database answers, and whatever the node offers is open.
async fn ready(State(app): State<App>) -> Result<&'static str, ApiError> {
    app.edge.store.ping().await?;
    if let Some(gateway) = &app.edge.gateway {
        gateway.test_mode().await?;
    }
    if let Some(parties) = &app.edge.parties {
        (parties.list)(()).await?;
    }
    Ok("ready\n")
}

async fn openapi(State(app): State<App>) -> Response {
    let kind = [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))];
    (kind, app.openapi.clone()).into_response()
}

async fn counters(State(app): State<App>) -> Result<Response, ApiError> {
    let none = || ApiError::new(ProblemKind::NotFound, "this node does not count");
    let metrics = app.edge.options.metrics.as_ref().ok_or_else(none)?;
    if let Some(gateway) = &app.edge.gateway {
        let groups = gateway.groups().await?;
        let members = groups.iter().flat_map(|group| &group.members);
        let links = members.clone().filter(|member| member.connected).count();
        let mut open = 0;
        for group in &groups {
            open += gateway.runs(group.group).await?.iter().filter(|run| is_open(run)).count();
        }
        for (name, value) in [
            ("tacit_groups", groups.len()),
            ("tacit_members", members.count()),
            ("tacit_links", links),
            ("tacit_runs_open", open),
        ] {
            ::metrics::gauge!(name).set(f64::from(u32::try_from(value).unwrap_or(u32::MAX)));
        }
    }
    if let Some(traffic) = &app.edge.options.traffic {
        for (word, protocol) in [("control", Protocol::Control), ("mpc", Protocol::Mpc), ("replica", Protocol::Replica)]
        {
            let sent = traffic.sent(protocol);
            ::metrics::counter!("tacit_link_sent_frames_total", "protocol" => word).absolute(sent.frames);
            ::metrics::counter!("tacit_link_sent_bytes_total", "protocol" => word).absolute(sent.bytes);
        }
    }
    let kind = [(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8"))];
    Ok((kind, metrics.render()).into_response())
}

fn is_open(run: &RunView) -> bool {
    run.state == tacit_store::RunState::Open
}

/// The page at `/`. Strangers see that there is a node and what it does; names of groups and members
/// are for this machine, unless the owner opens the page.
async fn overview(
    State(app): State<App>,
    from: Option<Extension<ConnectInfo<SocketAddr>>>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let local = from.is_some_and(|Extension(ConnectInfo(from))| from.ip().is_loopback());
    // Behind a proxy everybody seems to be local.
    let proxied = ["forwarded", "x-forwarded-for", "x-real-ip", "via"].iter().any(|name| headers.contains_key(*name));
    let named = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let local =
        local && !proxied && named.is_some_and(|host| tacit_pki::https::is_this_machine(crate::guard::host_of(host)));
    let mut out = node(&app);
    if local || app.edge.options.open_status {
        out += &details(&app).await?;
    } else {
        out += "<p class=\"faint\">Groups, members and runs are shown on the machine itself, or over /api/v1 with a token.</p>\n";
    }
    let head = "<meta http-equiv=\"refresh\" content=\"5\">\n";
    Ok(page_with_head(StatusCode::OK, &format!("Tacit: {}", app.edge.node.name), head, &out))
}

fn node(app: &App) -> String {
    let node = &app.edge.node;
    let mut out = format!("<h1>{}</h1>\n<dl>\n", esc(&node.name));
    let mut line = |term: &str, value: &str| {
        let _ = writeln!(out, "<dt>{term}</dt><dd>{}</dd>", esc(value));
    };
    line("Roles", &node.roles.join(", "));
    line("Program", &format!("tacit {}", node.version));
    line("Fingerprint", &node.fingerprint.to_string());
    line("Links", node.link_address.as_deref().unwrap_or("none"));
    line("Time", &app.edge.clock.now().to_rfc3339());
    out += "</dl>\n";
    if app.edge.options.p2ds_face {
        let mut pages = Vec::new();
        if app.edge.gateway.is_some() {
            pages.push("<a href=\"/p2ds-group-management/\">group management</a>");
        }
        if app.edge.receiver {
            pages.push("<a href=\"/p2ds-receiver/receiver/show\">received results</a>");
        }
        let _ = writeln!(out, "<p>{}</p>", pages.join(" · "));
    }
    out
}

async fn details(app: &App) -> Result<String, ApiError> {
    let mut out = String::new();
    if let Some(gateway) = &app.edge.gateway {
        out += "<h2>Groups</h2>\n";
        let groups = gateway.groups().await?;
        if groups.is_empty() {
            out += "<p class=\"faint\">None yet. Make one with <code>tacit group create NAME</code>.</p>\n";
        }
        for group in groups {
            let runs = gateway.runs(group.group).await?;
            let last = runs.into_iter().max_by_key(|run| run.run);
            out += &group_card(app, group, last).await?;
        }
    }
    if let Some(parties) = &app.edge.parties {
        out += "<h2>Peers on this node</h2>\n<div class=\"card scroll\"><table>\n\
                <tr><th>Peer</th><th>Role</th><th>Group</th><th>Status</th><th>Link</th><th>Rows waiting</th></tr>\n";
        for peer in (parties.list)(()).await? {
            let _ = writeln!(
                out,
                "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
                esc(&peer.name),
                peer_role(peer.role).word(),
                peer.gid.map(|gid| gid.to_string()).unwrap_or_default(),
                standing(peer.status).word(),
                link(peer.connected),
                peer.queued
            );
        }
        out += "</table></div>\n";
    }
    Ok(out)
}

async fn group_card(app: &App, group: GroupView, run: Option<RunView>) -> Result<String, ApiError> {
    let gid = group.group;
    let body = group_body(group, Role::Viewer);
    let mut out = format!(
        "<div class=\"card\">\n<h3>{} · {}</h3>\n<p class=\"faint\">group {gid}, threshold {}, charter <code>{}</code></p>\n",
        esc(&body.name),
        body.status.word(),
        body.threshold,
        esc(body.consensus.get(..16).unwrap_or_default()),
    );
    out += "<div class=\"scroll\"><table>\n<tr><th>Member</th><th>Role</th><th>Pairing</th><th>Status</th><th>Link</th></tr>\n";
    for member in &body.members {
        let _ = writeln!(
            out,
            "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
            esc(&member.name),
            member.role.word(),
            pairing(member.pairing),
            member.status.word(),
            link(member.connected)
        );
    }
    out += "</table></div>\n";
    if let Some(run) = run {
        out += &run_lines(app, gid, &run).await?;
    }
    Ok(out + "</div>\n")
}

async fn run_lines(app: &App, gid: GroupId, run: &RunView) -> Result<String, ApiError> {
    let mut out = format!("<p>Run {}: {} {}</p>\n", run.run, run.state, esc(&run.reason));
    let slots = app.gateway()?.slots(gid, run.run, None, SLOTS).await?;
    if slots.is_empty() {
        return Ok(out);
    }
    out += "<div class=\"scroll\"><table>\n<tr><th>Slot</th><th>State</th><th>Attempt</th><th>Contributors</th><th></th></tr>\n";
    for slot in &slots {
        let _ = writeln!(
            out,
            "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
            slot.slot.counted(),
            slot.state,
            slot.attempt.0 + 1,
            slot.contributors.map(|count| count.to_string()).unwrap_or_default(),
            esc(&slot.detail)
        );
    }
    Ok(out + "</table></div>\n")
}

fn pairing(state: PairingState) -> String {
    let class = if state == PairingState::Registered { "good" } else { "wait" };
    format!("<span class=\"{class}\">{}</span>", state.word())
}

fn link(open: bool) -> &'static str {
    if open { "<span class=\"good\">open</span>" } else { "<span class=\"wait\">none</span>" }
}
