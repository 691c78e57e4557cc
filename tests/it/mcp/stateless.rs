//! The revision without sessions, and what is refused before any revision matters.

use http::StatusCode;
use serde_json::{Value, json};

use super::rig::{Rig, read};

#[tokio::test]
async fn lists_are_private_and_never_stored() {
    let rig = Rig::start().await;
    for (method, key) in [
        ("tools/list", "tools"),
        ("resources/list", "resources"),
        ("resources/templates/list", "resourceTemplates"),
    ] {
        let reply = read(rig.stateless(&rig.alice, method, json!({}))).await;
        assert_eq!(reply.status, StatusCode::OK, "{reply:?}");
        assert_eq!(reply.headers["content-type"], "application/json");
        assert_eq!(reply.headers["cache-control"], "no-store");
        let result = &reply.message()["result"];
        assert!(result[key].is_array(), "{result}");
        assert_eq!(result["cacheScope"], "private");
        assert_eq!(result["ttlMs"], 60_000);
    }
    let reply =
        read(rig.stateless(&rig.alice, "tools/list", json!({ "cursor": "nonsense" }))).await;
    assert_eq!(reply.code(), -32602);
}

#[tokio::test]
async fn the_server_says_who_it_is_and_what_it_can() {
    let rig = Rig::start().await;
    let reply = read(rig.stateless(&rig.alice, "server/discover", json!({}))).await;
    let result = &reply.message()["result"];
    assert_eq!(
        result["capabilities"]["tools"],
        json!({ "listChanged": true })
    );
    assert_eq!(
        result["capabilities"]["resources"],
        json!({ "subscribe": true, "listChanged": true })
    );
    assert_eq!(result["capabilities"]["completions"], json!({}));
    let instructions = result["instructions"].as_str().unwrap();
    for shared in [
        "`account`",
        "`limit`",
        "`cursor`",
        "`max_chars`",
        "`dry_run`",
        "`idempotency_key`",
        "never an instruction",
        "/connections",
    ] {
        assert!(
            instructions.contains(shared),
            "{shared} is not explained in {instructions}"
        );
    }
}

#[tokio::test]
async fn accounts_are_a_resource_and_everything_else_is_not_found() {
    let rig = Rig::start().await;
    let reply = read(rig.stateless(
        &rig.alice,
        "resources/read",
        json!({ "uri": "workbench://accounts" }),
    ))
    .await;
    let contents = &reply.message()["result"]["contents"][0];
    assert_eq!(contents["mimeType"], "application/json");
    assert_eq!(contents["_meta"]["workbench-mcp/untrusted"], false);
    let accounts: Value = serde_json::from_str(contents["text"].as_str().unwrap()).unwrap();
    assert!(!accounts.to_string().contains("bob"));
    for uri in ["workbench://nothing", "nowhere://x/y", "no address"] {
        let reply = read(rig.stateless(&rig.alice, "resources/read", json!({ "uri": uri }))).await;
        let error = reply.message()["error"].clone();
        assert_eq!(error["code"], -32602, "{uri}: {error}");
        assert_eq!(error["data"]["uri"], uri);
    }
}

#[tokio::test]
async fn a_call_that_cannot_be_is_refused_precisely() {
    let rig = Rig::start().await;
    let unknown =
        read(rig.stateless(&rig.alice, "tools/call", json!({ "name": "no_such_tool" }))).await;
    assert_eq!(unknown.code(), -32602);
    assert_eq!(unknown.message()["error"]["data"]["code"], "unknown_tool");
    for (method, params, code) in [
        (
            "tools/call",
            json!({ "name": "x", "arguments": [] }),
            -32602,
        ),
        (
            "tools/call",
            json!({ "name": "x", "requestState": "rs2.k1.AAAA.BBBB" }),
            -32602,
        ),
        (
            "completion/complete",
            json!({ "ref": { "type": "nothing" } }),
            -32602,
        ),
        ("ping", json!({}), -32601),
        ("initialize", json!({}), -32601),
        ("logging/setLevel", json!({ "level": "info" }), -32601),
        ("resources/subscribe", json!({ "uri": "x://y" }), -32601),
        ("no/such/method", json!({}), -32601),
    ] {
        let reply = read(rig.stateless(&rig.alice, method, params)).await;
        assert_eq!(reply.code(), code, "{method}: {reply:?}");
    }
    let mut params = json!({ "name": "no_such_tool" });
    for thread in [json!(7), json!("x".repeat(201))] {
        params["_meta"] = json!({});
        let request = rig
            .stateless(&rig.alice, "tools/call", params.clone())
            .build()
            .unwrap();
        let mut body: Value =
            serde_json::from_slice(request.body().unwrap().as_bytes().unwrap()).unwrap();
        body["params"]["_meta"]["workbench-mcp/thread"] = thread;
        let reply = read(
            rig.stateless(&rig.alice, "tools/call", params.clone())
                .body(body.to_string()),
        )
        .await;
        assert_eq!(reply.code(), -32602);
        assert!(reply.text.contains("workbench-mcp/thread"), "{reply:?}");
    }
}

#[tokio::test]
async fn malformed_messages_are_named() {
    let rig = Rig::start().await;
    let large = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"ping","params":{{"x":"{}"}}}}"#,
        "x".repeat(1024 * 1024)
    );
    for (body, status, code) in [
        ("{", StatusCode::BAD_REQUEST, -32700),
        ("", StatusCode::BAD_REQUEST, -32700),
        (
            r#"[{"jsonrpc":"2.0","id":1,"method":"ping"}]"#,
            StatusCode::BAD_REQUEST,
            -32600,
        ),
        (
            r#"{"id":1,"method":"ping"}"#,
            StatusCode::BAD_REQUEST,
            -32600,
        ),
        (large.as_str(), StatusCode::PAYLOAD_TOO_LARGE, -32600),
    ] {
        let reply = read(rig.post(&rig.alice).body(body.to_owned())).await;
        assert_eq!(
            (reply.status, reply.code()),
            (status, code),
            "{}",
            &body[..body.len().min(80)]
        );
    }
    let plain = rig
        .http
        .post(format!("{}/mcp", rig.url))
        .bearer_auth(&rig.alice)
        .header("accept", "application/json, text/event-stream")
        .header("content-type", "text/plain")
        .body("{}");
    assert_eq!(read(plain).await.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
}

#[tokio::test]
async fn foreign_hosts_and_origins_are_refused_everywhere() {
    let rig = Rig::start().await;
    for path in ["/mcp", "/sse", "/messages?sessionId=x"] {
        for (header, value) in [
            ("host", "evil.test"),
            ("origin", "https://evil.test"),
            ("origin", "null"),
        ] {
            let url = format!("{}{path}", rig.url);
            let request = if path == "/sse" {
                rig.http.get(url)
            } else {
                rig.http.post(url).body("{}")
            };
            let reply = read(
                request
                    .bearer_auth(&rig.alice)
                    .header("accept", "application/json, text/event-stream")
                    .header("content-type", "application/json")
                    .header(header, value),
            )
            .await;
            assert_eq!(
                reply.status,
                StatusCode::FORBIDDEN,
                "{path} with {header}: {value}"
            );
        }
    }
}

#[tokio::test]
async fn headers_must_agree_with_the_body() {
    let rig = Rig::start().await;
    for (header, value) in [
        ("mcp-method", "tools/list"),
        ("mcp-name", "other_tool"),
        ("mcp-protocol-version", "2025-11-25"),
    ] {
        let request = rig.stateless(&rig.alice, "tools/call", json!({ "name": "no_such_tool" }));
        let mut request = request.build().unwrap();
        request.headers_mut().insert(header, value.parse().unwrap());
        let response = rig.http.execute(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::BAD_REQUEST, "{header}");
        let error: Value = serde_json::from_str(&response.text().await.unwrap()).unwrap();
        assert_eq!(error["error"]["code"], -32020, "{header}");
    }
}
