use std::net::SocketAddr;

use tacit_api::Metrics;

use crate::world::{world, world_with};

#[tokio::test]
async fn health_and_readiness() {
    let w = world().await;
    assert_eq!(w.get("/healthz").send().await.status, 200);
    assert_eq!(w.get("/readyz").send().await.status, 200);
    w.store.close().await;
    assert_eq!(w.get("/healthz").send().await.status, 200);
    w.get("/readyz").send().await.is_problem(503, "unavailable");
    w.api("GET", "/groups").send().await.is_problem(503, "unavailable");
}

#[tokio::test]
async fn names_are_shown_on_the_machine_itself_only() {
    let w = world().await;
    w.create_group("hidden-name").await;
    w.member(1, "%3Cscript%3E", 1).await;
    let stranger = w.get("/").send().await;
    assert_eq!(stranger.status, 200);
    assert!(!stranger.text.contains("hidden-name") && stranger.text.contains("node &lt;1&gt;"));

    let local: SocketAddr = "127.0.0.1:5".parse().unwrap();
    let from = |address: SocketAddr| {
        let router = w.router.clone().layer(axum::Extension(axum::extract::ConnectInfo(address)));
        crate::world::Ask::new(router, "GET", "/".to_owned()).header("host", "localhost:7400")
    };
    let shown = from(local).send().await;
    assert!(
        shown.text.contains("hidden-name") && shown.text.contains("&lt;script&gt;") && !shown.text.contains("<script")
    );
    assert!(!from("10.0.0.1:5".parse().unwrap()).send().await.text.contains("hidden-name"));
    assert!(!from(local).header("x-forwarded-for", "10.0.0.1").send().await.text.contains("hidden-name"));

    let open = world_with(None, |edge| edge.options.open_status = true).await;
    open.create_group("shown-name").await;
    assert!(open.get("/").send().await.text.contains("shown-name"));
}

#[tokio::test]
async fn an_invitation_opened_in_a_browser_says_what_to_do_and_uses_nothing_up() {
    let w = world().await;
    w.create_group("g").await;
    let code = w.code(1).await;
    for path in [format!("/join/{code}"), "/join/0000000000000000".to_owned()] {
        let page = w.get(&path).send().await;
        assert_eq!(page.status, 200, "good or not: the page does not tell");
        assert!(page.text.contains(&format!("{path} --gateway-fingerprint FINGERPRINT")), "{}", page.text);
    }
    w.get("/join/%3Cscript%3E").send().await.is_problem(404, "not-found");
    let path =
        format!("/p2ds-group-management/group-mgmt/register/{code}?name=a&type=1&url=http://localhost/p2ds-peer");
    assert_eq!(w.post(path).send().await.status, 200);
}

#[tokio::test]
async fn requests_are_counted() {
    let metrics = Metrics::install().unwrap();
    let w = world_with(None, |edge| edge.options.metrics = Some(metrics)).await;
    w.create_group("g").await;
    w.get("/nowhere/at/all").send().await;
    let text = w.get("/metrics").send().await.text;
    assert!(text.contains("tacit_groups 1"), "{text}");
    assert!(
        text.contains(
            "http_requests_total{method=\"POST\",route=\"/p2ds-group-management/group-mgmt/group\",status=\"200\"}"
        ),
        "{text}"
    );
    assert!(text.contains("route=\"none\",status=\"404\"") && !text.contains("/nowhere"), "{text}");
    world().await.get("/metrics").send().await.is_problem(404, "not-found");
}

#[tokio::test]
async fn other_names_than_loopback_are_refused_on_loopback() {
    let w = world_with(None, |edge| edge.options.loopback_names_only = true).await;
    for host in ["localhost:7400", "127.0.0.1", "[::1]:7400"] {
        assert_eq!(w.get("/healthz").header("host", host).send().await.status, 200, "{host}");
    }
    w.get("/healthz").header("host", "evil.example").send().await.is_problem(403, "forbidden");
}
