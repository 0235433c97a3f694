use serde_json::json;

use crate::world::{world, world_with};

const RECEIVE: &str = "/p2ds-receiver/receiver/receive";
const SHOW: &str = "/p2ds-receiver/receiver/show";

#[tokio::test]
async fn p24_rows_are_shown_with_from_when_and_data() {
    let w = world().await;
    w.post(RECEIVE).json(r#"{"data":["3;8","7;9"],"peerName":null}"#).await.says(200, "OK");
    w.post(RECEIVE).json(r#"{"data":["3;8"],"peerName":"x"}"#).await.says(200, "OK");
    let page = w.get(SHOW).send().await;
    assert_eq!(page.media_type(), "text/html; charset=utf-8");
    for part in ["FROM", "WHEN", "DATA", " GMT</td>", ">7;9</td>"] {
        assert!(page.text.contains(part), "{part}: {}", page.text);
    }
    assert_eq!(page.text.matches(">3;8</td>").count(), 2);
    for body in ["", "{}", r#"{"data":7}"#, "no json"] {
        w.post(RECEIVE).json(body).await.says(400, "ERR_INV_DATA");
    }
}

#[tokio::test]
async fn p24_markup_in_rows_is_text() {
    let w = world().await;
    w.post(RECEIVE).json(r#"{"data":["<script>alert(1)</script>"]}"#).await.says(200, "OK");
    let page = w.get(SHOW).send().await.text;
    assert!(!page.contains("<script") && page.contains("&lt;script&gt;"));
}

#[tokio::test]
async fn the_same_key_counts_once() {
    let w = world().await;
    for _ in 0..3 {
        let post = w.post(RECEIVE).header("idempotency-key", "run-1-slot-0");
        post.json(r#"{"data":["3;8"]}"#).await.says(200, "OK");
        let post = w.post("/api/v1/receiver/results").header("idempotency-key", "run-1-slot-1");
        assert_eq!(post.json(r#"{"data":["7;9"]}"#).await.status, 204);
    }
    let rows = w.api("GET", "/receiver/results").send().await.json();
    let data: Vec<_> = rows["rows"].as_array().unwrap().iter().map(|row| row["data"].clone()).collect();
    assert_eq!(data, [json!("3;8"), json!("7;9")]);
    let second = w.api("GET", "/receiver/results?from=1&max=5").send().await.json();
    assert_eq!((second["rows"].as_array().unwrap().len(), &second["rows"][0]["id"]), (1, &json!(2)));
    w.post("/api/v1/receiver/results").json(r#"{"data":["<b>"]}"#).await.is_problem(422, "invalid");
}

#[tokio::test]
async fn a_node_that_is_no_receiver_takes_nothing() {
    let w = world_with(None, |edge| edge.receiver = false).await;
    w.post(RECEIVE).json(r#"{"data":["1"]}"#).await.says(404, "ERR_NOT_FOUND");
    w.post("/api/v1/receiver/results").json(r#"{"data":["1"]}"#).await.is_problem(404, "not-found");
}

/// Anybody may post, so a post is no larger than those of a peer.
#[tokio::test]
async fn a_post_of_too_many_rows_is_refused_whole() {
    const MOST: usize = 10_000;
    let w = world().await;
    let body = |rows: usize| json!({ "data": vec!["7"; rows] }).to_string();
    let refused = w.post(RECEIVE).json(&body(MOST + 1)).await;
    refused.says(413, "ERR_INV_DATA");
    let detail = refused.headers.get("tacit-detail").and_then(|value| value.to_str().ok()).unwrap_or_default();
    assert!(detail.contains("at most 10000 rows") && detail.contains("in parts"), "{detail}");
    let refused = w.post("/api/v1/receiver/results").json(&body(MOST + 1)).await;
    refused.is_problem(413, "too-large");
    let problem = refused.json();
    let detail = problem["detail"].as_str().unwrap_or_default();
    assert!(detail.contains("at most 10000 rows") && detail.contains("in parts"), "{detail}");
    assert!(w.store.received(1, 0, usize::MAX).await.unwrap().is_empty());

    w.post(RECEIVE).json(&body(MOST)).await.says(200, "OK");
    assert_eq!(w.post("/api/v1/receiver/results").json(&body(MOST)).await.status, 204);
    let last = w.store.received(2, 2 * MOST as u64 - 1, usize::MAX).await.unwrap();
    assert_eq!(last.iter().map(|row| row.id).collect::<Vec<_>>(), [2 * MOST as i64]);
}

#[tokio::test]
async fn pages_end_somewhere() {
    let w = world().await;
    let row = "7".repeat(1_000_000);
    for _ in 0..3 {
        let body = json!({ "data": [row, row, row, row, row] }).to_string();
        w.post(RECEIVE).json(&body).await.says(200, "OK");
    }
    let page = w.get(SHOW).send().await.text;
    assert!(page.len() < 10_000_000 && page.contains("show?from=9"), "{}", page.len());
    assert!(!w.get(format!("{SHOW}?from=9")).send().await.text.contains("later rows"));
}
