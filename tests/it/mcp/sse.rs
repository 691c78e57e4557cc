//! The deprecated HTTP+SSE transport.

use std::time::Duration;

use futures_util::StreamExt;
use http::StatusCode;
use serde_json::{Value, json};

use super::rig::{Rig, read};

/// The next event of a stream as text.
async fn next(
    stream: &mut (impl futures_util::Stream<Item = reqwest::Result<bytes::Bytes>> + Unpin),
) -> String {
    let mut event = Vec::new();
    while !event.ends_with(b"\n\n") {
        let chunk = tokio::time::timeout(Duration::from_secs(10), stream.next());
        event.extend(chunk.await.unwrap().unwrap().unwrap());
    }
    String::from_utf8(event).unwrap()
}

fn data(event: &str) -> Value {
    serde_json::from_str(event.split_once("data: ").unwrap().1.trim()).unwrap()
}

#[tokio::test]
async fn an_old_client_is_served_on_its_own_stream() {
    let rig = Rig::start().await;
    let response = rig
        .http
        .get(format!("{}/sse", rig.url))
        .bearer_auth(&rig.alice)
        .header("accept", "text/event-stream")
        .send()
        .await
        .unwrap();
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    assert_eq!(response.headers()["x-accel-buffering"], "no");
    let mut stream = response.bytes_stream();
    let first = next(&mut stream).await;
    let address = first
        .strip_prefix("event: endpoint\ndata: ")
        .unwrap()
        .trim()
        .to_owned();
    assert!(address.starts_with("/messages?sessionId="), "{first}");
    let post = |token: &str, body: Value| {
        rig.http
            .post(format!("{}{address}", rig.url))
            .bearer_auth(token)
            .header("content-type", "application/json")
            .body(body.to_string())
    };
    let initialize = json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
        "protocolVersion": "2026-07-28", "capabilities": {}, "clientInfo": { "name": "old", "version": "1" }
    } });
    assert_eq!(
        read(post(&rig.bob, initialize.clone())).await.status,
        StatusCode::NOT_FOUND
    );
    assert_eq!(
        read(post(&rig.alice, initialize)).await.status,
        StatusCode::ACCEPTED
    );
    let opened = data(&next(&mut stream).await);
    // This transport never speaks the revision that knows no sessions.
    assert_eq!(opened["result"]["protocolVersion"], "2025-11-25");
    read(post(
        &rig.alice,
        json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }),
    ))
    .await;
    read(post(
        &rig.alice,
        json!({ "jsonrpc": "2.0", "id": "a", "method": "tools/list" }),
    ))
    .await;
    let listed = data(&next(&mut stream).await);
    assert_eq!(listed["id"], "a");
    assert!(listed["result"]["tools"].is_array());
    for (body, status) in [
        ("{".to_owned(), StatusCode::BAD_REQUEST),
        ("[]".to_owned(), StatusCode::BAD_REQUEST),
        ("x".repeat(1024 * 1024 + 1), StatusCode::PAYLOAD_TOO_LARGE),
    ] {
        assert_eq!(
            read(post(&rig.alice, Value::Null).body(body)).await.status,
            status
        );
    }
    drop(stream);
    let gone = async {
        let ping = json!({ "jsonrpc": "2.0", "id": 1, "method": "ping" });
        while read(post(&rig.alice, ping.clone())).await.status != StatusCode::NOT_FOUND {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), gone)
        .await
        .unwrap();
}
