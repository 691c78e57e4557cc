//! From clients.

use reqwest::header::{ACCEPT, CONTENT_TYPE};

use super::*;
use crate::harness::http::{PROTOCOL, Reply, reply};

const PARSE_ERROR: i64 = -32700;
const INVALID_REQUEST: i64 = -32600;
const METHOD_NOT_FOUND: i64 = -32601;
const INVALID_PARAMS: i64 = -32602;
const HEADER_MISMATCH: i64 = -32020;

/// The HTTP status and the JSON-RPC code.
fn seen(reply: &Reply) -> (u16, i64) {
    let code = reply.body["error"]["code"].as_i64();
    (
        reply.status.as_u16(),
        code.unwrap_or_else(|| panic!("{} {}", reply.status, reply.body)),
    )
}

/// A message as it is, under the headers of a listing.
fn raw(person: &Person, body: impl Into<reqwest::Body>) -> reqwest::RequestBuilder {
    person
        .mcp
        .http
        .post(&person.mcp.endpoint)
        .bearer_auth(&person.mcp.token)
        .header(CONTENT_TYPE, "application/json")
        .header(ACCEPT, "application/json, text/event-stream")
        .header("mcp-protocol-version", PROTOCOL)
        .header("mcp-method", "tools/list")
        .body(body)
}

#[tokio::test]
async fn messages_that_are_none() {
    let (_world, app) = still().await;
    let alice = app.person("alice@example.test").await;
    let deep = format!("{}1{}", "[".repeat(70), "]".repeat(70));
    let nested =
        format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{{"a":{deep}}}}}"#);
    let list = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
    let table: Vec<(&str, Vec<u8>, u16, i64)> = vec![
        ("nothing", b"".to_vec(), 400, PARSE_ERROR),
        ("half", b"{\"jsonrpc\":".to_vec(), 400, PARSE_ERROR),
        ("no JSON", b"hello".to_vec(), 400, PARSE_ERROR),
        (
            "two messages",
            format!("{list}{list}").into_bytes(),
            400,
            PARSE_ERROR,
        ),
        (
            "not UTF-8",
            b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"\xff\xfe\"}".to_vec(),
            400,
            PARSE_ERROR,
        ),
        (
            "a number too large",
            br#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"a":1e999}}"#.to_vec(),
            400,
            INVALID_REQUEST,
        ),
        (
            "a batch",
            format!("[{list},{list}]").into_bytes(),
            400,
            INVALID_REQUEST,
        ),
        ("an empty batch", b"[]".to_vec(), 400, INVALID_REQUEST),
        ("a string", b"\"tools/list\"".to_vec(), 400, INVALID_REQUEST),
        ("null", b"null".to_vec(), 400, INVALID_REQUEST),
        ("an empty object", b"{}".to_vec(), 400, INVALID_REQUEST),
        (
            "another version",
            br#"{"jsonrpc":"1.0","id":1,"method":"tools/list"}"#.to_vec(),
            400,
            INVALID_REQUEST,
        ),
        (
            "an id that is an object",
            br#"{"jsonrpc":"2.0","id":{},"method":"tools/list"}"#.to_vec(),
            400,
            INVALID_REQUEST,
        ),
        (
            "a fractional id",
            br#"{"jsonrpc":"2.0","id":1.5,"method":"tools/list"}"#.to_vec(),
            400,
            INVALID_REQUEST,
        ),
        (
            "a method that is a number",
            br#"{"jsonrpc":"2.0","id":1,"method":7}"#.to_vec(),
            400,
            INVALID_REQUEST,
        ),
        (
            "params that are a list",
            br#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":[]}"#.to_vec(),
            400,
            INVALID_PARAMS,
        ),
        ("nested too deep", nested.into_bytes(), 400, INVALID_REQUEST),
        (
            "two mebibytes",
            format!(
                r#"{{"jsonrpc":"2.0","id":1,"method":"{}"}}"#,
                "x".repeat(2 << 20)
            )
            .into_bytes(),
            413,
            INVALID_REQUEST,
        ),
    ];
    for (what, body, status, code) in table {
        let reply = reply(raw(&alice, body)).await;
        assert_eq!(seen(&reply), (status, code), "{what}: {}", reply.body);
        assert_eq!(reply.body["jsonrpc"], "2.0", "{what}");
        assert!(
            reply.body["error"]["message"]
                .as_str()
                .is_some_and(|text| text.len() > 5),
            "{what}"
        );
    }
    assert_eq!(alice.mcp.tools().await, Vec::<String>::new(), "it goes on");
    assert_eq!(app.logged("tool.outcome").await.len(), 0);
}

#[tokio::test]
async fn headers_that_do_not_fit() {
    let (_world, app) = still().await;
    let alice = connected(&app).await;
    let call = json!({ "name": "github_get_viewer", "arguments": {} });
    let build = |method: &str, params: &Value| {
        alice
            .mcp
            .build(&json!(1), method, params.clone())
            .build()
            .unwrap()
    };
    let send = async |request: reqwest::Request| {
        let builder = reqwest::RequestBuilder::from_parts(alice.mcp.http.clone(), request);
        reply(builder).await
    };
    let header = |name: &'static str, value: &'static str| {
        let mut request = build("tools/call", &call);
        request.headers_mut().insert(name, value.parse().unwrap());
        request
    };
    for (name, value, status, code) in [
        ("mcp-method", "tools/list", 400, HEADER_MISMATCH),
        ("mcp-name", "hubspot_get_account", 400, HEADER_MISMATCH),
        ("mcp-protocol-version", "2025-11-25", 400, HEADER_MISMATCH),
        ("mcp-protocol-version", "1999-01-01", 400, HEADER_MISMATCH),
    ] {
        let reply = send(header(name, value)).await;
        assert_eq!(
            seen(&reply),
            (status, code),
            "{name}: {value}: {}",
            reply.body
        );
    }
    for name in ["mcp-method", "mcp-name"] {
        let mut request = build("tools/call", &call);
        request.headers_mut().remove(name);
        let reply = send(request).await;
        assert_eq!(
            seen(&reply),
            (400, HEADER_MISMATCH),
            "without {name}: {}",
            reply.body
        );
    }
    for (name, value, status) in [
        ("content-type", "text/plain", 415),
        ("accept", "text/html", 406),
        ("origin", "https://evil.test", 403),
        ("origin", "null", 403),
        ("host", "evil.test", 403),
    ] {
        let reply = send(header(name, value)).await;
        assert_eq!(
            reply.status.as_u16(),
            status,
            "{name}: {value}: {}",
            reply.body
        );
    }
    assert_eq!(app.logged("tool.outcome").await.len(), 0, "nothing was run");
    assert_eq!(alice.viewer().await.code(), "ok");
}

#[tokio::test]
async fn requests_that_make_no_sense() {
    let (_world, app) = still().await;
    let alice = connected(&app).await;
    let long = "x".repeat(10_000);
    for (method, params, expected) in [
        ("tools/nothing", json!({}), METHOD_NOT_FOUND),
        ("initialize", json!({}), METHOD_NOT_FOUND),
        ("ping", json!({}), METHOD_NOT_FOUND),
        ("prompts/list", json!({}), METHOD_NOT_FOUND),
        ("tools/list", json!({ "cursor": "nobody" }), INVALID_PARAMS),
        (
            "resources/list",
            json!({ "cursor": "../x" }),
            INVALID_PARAMS,
        ),
        ("tools/call", json!({ "arguments": {} }), INVALID_PARAMS),
        (
            "tools/call",
            json!({ "name": "github_get_viewer", "arguments": [] }),
            INVALID_PARAMS,
        ),
        (
            "tools/call",
            json!({ "name": "github_get_viewer", "arguments": "x" }),
            INVALID_PARAMS,
        ),
        ("tools/call", json!({ "name": "nothing" }), INVALID_PARAMS),
        ("tools/call", json!({ "name": "" }), INVALID_PARAMS),
        ("tools/call", json!({ "name": "../x" }), INVALID_PARAMS),
        (
            "tools/call",
            json!({ "name": "GITHUB_GET_VIEWER" }),
            INVALID_PARAMS,
        ),
        ("tools/call", json!({ "name": "%2e%2e" }), INVALID_PARAMS),
        ("tools/call", json!({ "name": long }), INVALID_PARAMS),
        ("resources/read", json!({}), INVALID_PARAMS),
        ("completion/complete", json!({ "ref": 1 }), INVALID_PARAMS),
        (
            "completion/complete",
            json!({ "ref": { "type": "ref/prompt", "name": "x" }, "argument": { "name": "a", "value": "b" } }),
            INVALID_PARAMS,
        ),
        (
            "tools/call",
            json!({ "name": "github_get_viewer", "_meta": { "workbench-mcp/thread": 7 } }),
            INVALID_PARAMS,
        ),
        (
            "tools/call",
            json!({ "name": "github_get_viewer", "_meta": { "workbench-mcp/thread": "x".repeat(201) } }),
            INVALID_PARAMS,
        ),
    ] {
        let reply = alice.mcp.request(method, params.clone()).await;
        assert_eq!(
            reply.body["error"]["code"], expected,
            "{method} {params}: {}",
            reply.body
        );
        let message = reply.body["error"]["message"].as_str().unwrap();
        assert!(message.len() < 500, "{message}");
    }
    for uri in [
        "",
        "x",
        "github://",
        "github://alice-dev",
        "github://alice-dev/a/../b",
        "https://evil.test/x",
        "workbench://nothing",
        "file:///etc/passwd",
        "github://alice-dev/%2e%2e/x",
    ] {
        let reply = alice.mcp.read(uri).await;
        let code = reply.code();
        assert!(
            matches!(code, "unknown_tool" | "invalid_input" | "not_found"),
            "{uri}: {}",
            reply.body
        );
    }
    let nobody = alice
        .mcp
        .complete("github://{account}/{nothing}", "x", "y", json!({}))
        .await;
    assert_eq!(nobody, Vec::<String>::new());
    assert_eq!(alice.viewer().await.code(), "ok");
    app.verify().await;
}

#[tokio::test]
async fn arguments_that_do_not_fit() {
    let (world, app) = still().await;
    let alice = connected(&app).await;
    let before = world.api_calls("github") + world.api_calls("hubspot");
    let big = "x".repeat(600 * 1024);
    let mut deep = json!(1);
    for _ in 0..50 {
        deep = json!([deep]);
    }
    let table = [
        ("github_get_viewer", json!({ "nothing": 1 }), "nothing"),
        ("github_list_issues", json!({ "repo": 7 }), "repo"),
        ("github_list_issues", json!({ "repo": { "a": 1 } }), "repo"),
        (
            "github_list_issues",
            json!({ "repo": "acme/site", "limit": -1 }),
            "limit",
        ),
        (
            "github_list_issues",
            json!({ "repo": "acme/site", "limit": 1e30 }),
            "limit",
        ),
        (
            "github_list_issues",
            json!({ "repo": "acme/site", "limit": "ten" }),
            "limit",
        ),
        (
            "github_list_issues",
            json!({ "repo": "acme/site", "state": "sideways" }),
            "state",
        ),
        (
            "github_list_issues",
            json!({ "repo": "acme/site", "cursor": "forged" }),
            "cursor",
        ),
        (
            "github_list_issues",
            json!({ "repo": "acme/site", "labels": "bug" }),
            "labels",
        ),
        ("github_list_issues", json!({ "repo": big }), "larger than"),
        ("github_list_issues", json!({ "repo": deep }), ""),
        ("github_get_issue", json!({ "repo": "acme/site" }), "number"),
        (
            "github_get_issue",
            json!({ "repo": "acme/site", "number": "../7" }),
            "number",
        ),
        (
            "github_get_issue",
            json!({ "repo": "acme/site", "number": -7 }),
            "number",
        ),
        (
            "github_get_issue",
            json!({ "repo": "acme/site", "number": 1.5 }),
            "number",
        ),
        ("github_get_viewer", json!({ "account": 7 }), "account"),
        (
            "github_get_viewer",
            json!({ "max_chars": "many" }),
            "max_chars",
        ),
        (
            "hubspot_log_activity",
            json!({ "kind": "note", "body": "x", "on": [] }),
            "on",
        ),
        (
            "hubspot_log_activity",
            json!({ "kind": "note", "body": "x", "on": ["contacts/1"], "dry_run": "yes" }),
            "dry_run",
        ),
    ];
    for (tool, arguments, said) in &table {
        let reply = alice.mcp.call_in("misfits", tool, arguments.clone()).await;
        let shown: String = arguments.to_string().chars().take(100).collect();
        assert_eq!(
            reply.code(),
            "invalid_input",
            "{tool} {shown}: {}",
            reply.body
        );
        let message = reply.error()["message"].as_str().unwrap();
        assert!(
            message.contains(said) && message.len() < 700,
            "{tool} {shown}: {message}"
        );
    }
    let found = outcomes(&app, "misfits", table.len()).await;
    assert!(
        found.iter().all(|outcome| outcome == "invalid_input"),
        "{found:?}"
    );
    assert_eq!(
        world.api_calls("github") + world.api_calls("hubspot"),
        before,
        "nothing left the house"
    );
    assert_eq!(alice.viewer().await.code(), "ok");
    app.verify().await;
}

#[tokio::test]
async fn ids_that_are_paths_never_become_any() {
    let (world, app) = still().await;
    let alice = connected(&app).await;
    let before = world.report("github").counters.api_calls;
    let evil = [
        "..",
        "../..",
        "../../user",
        "acme/..",
        "acme/../user",
        "acme/.",
        "./site",
        "/",
        "//",
        "",
        " ",
        "acme",
        "acme/",
        "/site",
        "acme/site/..",
        "acme/site/../../user",
        "acme//site",
        "acme/%2e%2e",
        "%2e%2e/%2e%2e",
        "acme%2fsite",
        "acme/..%2f..%2fuser",
        "acme/%252e%252e",
        "acme\\..\\user",
        "acme/..\\user",
        "acme/.\t.",
        "acme/\u{0}",
        "acme/site\n",
        "acme/site?x=1",
        "acme/site#x",
        "acme/site;x",
        "https://evil.test/x",
        "//evil.test/x",
        "@evil.test/x",
        "acme/\u{ff0e}\u{ff0e}",
        "acme/\u{2025}",
        "acme/site\u{202e}",
    ];
    for repo in evil {
        for (tool, arguments) in [
            ("github_get_repo", json!({ "repo": repo })),
            ("github_get_issue", json!({ "repo": repo, "number": 7 })),
        ] {
            let reply = alice.mcp.call_in("climbers", tool, arguments).await;
            let code = reply.code();
            assert!(
                matches!(code, "invalid_input" | "not_found"),
                "{tool} {repo:?}: {}",
                reply.body
            );
        }
    }
    for path in [
        "../../../user",
        "/etc/passwd",
        "a/../../b",
        "..",
        "%2e%2e/x",
        "a\u{0}b",
        "",
    ] {
        let arguments = json!({ "repo": "acme/site", "paths": [path] });
        let reply = alice.mcp.call("github_read_files", arguments).await;
        assert_ne!(reply.code(), "internal", "{path:?}: {}", reply.body);
    }
    for id in [
        "..",
        "../../account-info/v3/details",
        "",
        "1/../2",
        "%2e%2e",
        "1?archived=true",
        "\u{0}",
    ] {
        for (tool, arguments) in [
            (
                "hubspot_get_records",
                json!({ "object_type": "contacts", "ids": [id] }),
            ),
            (
                "hubspot_get_records",
                json!({ "object_type": id, "ids": ["1"] }),
            ),
            (
                "hubspot_log_activity",
                json!({ "kind": "note", "body": "x", "on": [format!("contacts/{id}")] }),
            ),
        ] {
            let reply = alice.mcp.call(tool, arguments).await;
            assert_ne!(reply.code(), "internal", "{tool} {id:?}: {}", reply.body);
        }
    }
    // What the providers saw never left the place where the tool is at home.
    let seen = world.report("github").counters.api_calls;
    for call in seen.keys().filter(|call| !before.contains_key(*call)) {
        let path = call.split_once(' ').unwrap().1;
        assert!(path.starts_with("/repos/"), "{call}");
        assert!(
            !path.split('/').any(|segment| matches!(segment, ".." | ".")),
            "{call}"
        );
    }
    let deep = world.report("hubspot").counters.api_calls;
    for call in deep.keys() {
        assert!(!call.contains("/../") && !call.ends_with("/.."), "{call}");
    }
    let refused = outcomes(&app, "climbers", 2 * evil.len()).await;
    assert!(refused.iter().all(|outcome| outcome != "internal"));
    app.verify().await;
}
