//! Sessions of the older revisions belong to one person, end for good, survive a restart, and are counted; so are streams.

use std::time::Duration;

use futures_util::StreamExt;
use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::rig::{Rig, read};

#[tokio::test]
async fn a_session_is_of_use_to_its_owner_only_and_until_it_ends() {
    let rig = Rig::start().await;
    let opened = rig.initialize(&rig.alice).await;
    assert_eq!(opened.status, StatusCode::OK);
    assert_eq!(opened.message()["result"]["protocolVersion"], "2025-11-25");
    let session = opened.session();
    let ping = |token: &str, session: &str| read(rig.within(token, session, "ping"));
    assert_eq!(
        ping(&rig.alice, &session).await.message()["result"],
        json!({})
    );
    for (token, session) in [
        (&rig.bob, session.as_str()),
        (&rig.alice, "3f0c6e3c-0000-4000-8000-000000000000"),
    ] {
        let refused = ping(token, session).await;
        assert_eq!(refused.status, StatusCode::NOT_FOUND);
        assert_eq!(refused.message()["id"], 1);
    }
    let foreign = |method: Method| {
        rig.http
            .request(method, format!("{}/mcp", rig.url))
            .bearer_auth(&rig.bob)
            .header("accept", "text/event-stream")
            .header("mcp-session-id", &session)
    };
    assert_eq!(
        read(foreign(Method::GET)).await.status,
        StatusCode::NOT_FOUND
    );
    assert_eq!(
        read(foreign(Method::DELETE)).await.status,
        StatusCode::NOT_FOUND
    );
    assert_eq!(ping(&rig.alice, &session).await.status, StatusCode::OK);
    let end = rig
        .http
        .delete(format!("{}/mcp", rig.url))
        .bearer_auth(&rig.alice)
        .header("mcp-session-id", &session);
    assert!(read(end).await.status.is_success());
    assert_eq!(
        ping(&rig.alice, &session).await.status,
        StatusCode::NOT_FOUND
    );
}

#[tokio::test]
async fn a_stolen_session_id_is_no_help_in_any_revision() {
    let rig = Rig::start().await;
    let session = rig.initialize(&rig.alice).await.session();
    // The newer revision has no sessions: the header means nothing there.
    let reply = read(
        rig.stateless(&rig.bob, "tools/list", json!({}))
            .header("mcp-session-id", &session),
    )
    .await;
    assert_eq!(reply.status, StatusCode::OK);
    // Nor does it smuggle a message into the session under another revision's header.
    let smuggled = rig
        .post(&rig.bob)
        .header("mcp-session-id", &session)
        .header("mcp-protocol-version", "2026-07-28")
        .body(json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
            "protocolVersion": "2026-07-28", "capabilities": {}, "clientInfo": { "name": "x", "version": "1" }
        } }).to_string());
    let reply = read(smuggled).await;
    assert_ne!(
        reply
            .headers
            .get("mcp-session-id")
            .map(|id| id.to_str().unwrap().to_owned()),
        Some(session)
    );
}

#[tokio::test]
async fn sessions_are_counted() {
    let rig = Rig::start().await;
    for _ in 0..32 {
        assert_eq!(rig.initialize(&rig.alice).await.status, StatusCode::OK);
    }
    let refused = rig.initialize(&rig.alice).await;
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
    assert!(
        refused.message()["error"]["message"]
            .as_str()
            .unwrap()
            .contains("DELETE")
    );
    assert_eq!(rig.initialize(&rig.bob).await.status, StatusCode::OK);
}

#[tokio::test]
async fn streams_are_counted_and_make_room_when_they_end() {
    let rig = Rig::start().await;
    let listen = || {
        rig.stateless(
            &rig.alice,
            "subscriptions/listen",
            json!({ "notifications": { "toolsListChanged": true } }),
        )
        .send()
    };
    let mut open = Vec::new();
    for _ in 0..16 {
        let response = listen().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        open.push(response);
    }
    assert_eq!(
        listen().await.unwrap().status(),
        StatusCode::TOO_MANY_REQUESTS
    );
    open.clear();
    let room = async {
        while listen().await.unwrap().status() != StatusCode::OK {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), room)
        .await
        .unwrap();
}

#[tokio::test]
async fn listeners_hear_of_changes() {
    let rig = Rig::start().await;
    let wanted = json!({ "notifications": {
        "toolsListChanged": true,
        "resourcesListChanged": true,
        "resourceSubscriptions": ["workbench://accounts", "github://somebody/else"]
    } });
    let response = rig
        .stateless(&rig.alice, "subscriptions/listen", wanted)
        .send()
        .await
        .unwrap();
    let mut events = messages(response);
    let acknowledged = events.next().await.unwrap();
    assert_eq!(
        acknowledged["method"],
        "notifications/subscriptions/acknowledged"
    );
    assert_eq!(
        acknowledged["params"]["notifications"]["resourceSubscriptions"],
        json!(["workbench://accounts"])
    );
    let now = rig.app.clock.now();
    rig.app
        .store
        .set_integration(rig.app.org, "github", Some(now))
        .await
        .unwrap();
    rig.app.changes.nudge();
    for expected in [
        "notifications/tools/list_changed",
        "notifications/resources/list_changed",
        "notifications/resources/updated",
    ] {
        let heard = tokio::time::timeout(Duration::from_secs(10), events.next())
            .await
            .unwrap()
            .unwrap();
        assert_eq!(heard["method"], expected);
    }
}

#[tokio::test]
async fn a_stream_ends_with_the_token_it_was_opened_with() {
    let rig = Rig::start().await;
    let wanted = json!({ "notifications": { "toolsListChanged": true } });
    let response = rig
        .stateless(&rig.alice, "subscriptions/listen", wanted)
        .send()
        .await
        .unwrap();
    let mut events = messages(response);
    events.next().await.unwrap();
    let caller = rig.app.auth.bearer(&rig.alice).await.unwrap();
    let user = rig
        .app
        .auth
        .person(rig.app.org, "alice@example.test")
        .await
        .unwrap();
    let workbench_mcp::caller::Credential::Token(grant) = caller.credential else {
        panic!("not a token")
    };
    assert!(rig.app.auth.revoke_token(&user, grant).await.unwrap());
    let end = async { while events.next().await.is_some() {} };
    tokio::time::timeout(Duration::from_secs(6), end)
        .await
        .unwrap();
}

#[tokio::test]
async fn another_replica_takes_a_session_over() {
    use tower::ServiceExt;
    use workbench_mcp::mcp;

    let rig = Rig::start().await;
    let session = rig.initialize(&rig.alice).await.session();
    // A second service has the rows and none of the memory.
    let replica = mcp::service(&rig.app.mcp);
    let caller = rig.app.auth.bearer(&rig.alice).await.unwrap();
    let mut request = rig.within("unused", &session, "ping").build().unwrap();
    let body = request
        .body_mut()
        .take()
        .unwrap()
        .as_bytes()
        .unwrap()
        .to_vec();
    let mut forwarded = http::Request::post("/mcp").extension(caller);
    *forwarded.headers_mut().unwrap() = request.headers().clone();
    let host = rig.url.trim_start_matches("http://").to_owned();
    let forwarded = forwarded
        .header("host", host)
        .body(http_body_util::Full::new(bytes::Bytes::from(body)))
        .unwrap();
    let response = replica.oneshot(forwarded).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    let mut text = String::new();
    let mut frames = http_body_util::BodyStream::new(response.into_body());
    while let Some(Ok(frame)) = frames.next().await {
        if let Some(data) = frame.data_ref() {
            text.push_str(std::str::from_utf8(data).unwrap());
        }
    }
    assert!(text.contains(r#""result":{}"#), "{text}");
}

/// The messages of an event stream, as they come.
pub fn messages(response: reqwest::Response) -> impl futures_util::Stream<Item = Value> + Unpin {
    let mut waiting = String::new();
    Box::pin(response.bytes_stream().flat_map(move |chunk| {
        waiting.push_str(std::str::from_utf8(&chunk.unwrap_or_default()).unwrap());
        let mut found = Vec::new();
        while let Some(end) = waiting.find("\n\n") {
            let event: String = waiting.drain(..end + 2).collect();
            found.extend(
                event
                    .lines()
                    .filter_map(|line| line.strip_prefix("data:"))
                    .filter_map(|data| serde_json::from_str(data.trim()).ok()),
            );
        }
        futures_util::stream::iter(found)
    }))
}
