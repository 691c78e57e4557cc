//! How each kind of client comes to its answer.

use std::process::Stdio;

use futures_util::StreamExt as _;
use http::StatusCode;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use url::Url;

use super::*;
use crate::harness::app::until;
use crate::harness::database::sqlite;
use crate::harness::process::free_address;

/// A request of 2026-07-28 by a client that shows links.
fn showing_links(arguments: &Value, state: Option<&str>, answers: Value) -> Value {
    let mut params = json!({
        "name": WRITE,
        "arguments": arguments,
        "_meta": { "io.modelcontextprotocol/clientCapabilities": { "elicitation": { "url": {} } } },
    });
    if let Some(state) = state {
        params["requestState"] = json!(state);
    }
    if !answers.is_null() {
        params["inputResponses"] = answers;
    }
    params
}

/// The state and the page of a call that was answered with a question.
fn input_required(reply: &Reply) -> (String, String) {
    let result = &reply.body["result"];
    assert_eq!(result["resultType"], "input_required", "{}", reply.body);
    let asked = &result["inputRequests"]["approve"];
    assert_eq!(asked["method"], "elicitation/create", "{}", reply.body);
    assert_eq!(asked["params"]["mode"], "url");
    let link: Url = asked["params"]["url"].as_str().unwrap().parse().unwrap();
    let state = result["requestState"].as_str().unwrap();
    (state.to_owned(), link.path().to_owned())
}

#[tokio::test]
async fn a_stateless_client_that_shows_links_is_asked_and_comes_back() {
    let world = World::running(sqlite()).await;
    let app = world.app().await;
    let alice = asked_about(&app).await;
    let bob = connected(&app, "bob@example.test").await;
    let call = async |who: &Person, params| who.mcp.request("tools/call", params).await;
    let accept = json!({ "approve": { "action": "accept" } });

    let (state, page) =
        input_required(&call(&alice, showing_links(&issue("hello"), None, Value::Null)).await);
    // What was asked is for this person and these arguments.
    for (who, arguments) in [(&alice, issue("changed")), (&bob, issue("hello"))] {
        let params = showing_links(&arguments, Some(&state), accept.clone());
        let reply = call(who, params).await;
        assert_eq!(reply.body["error"]["code"], -32602, "{}", reply.body);
    }
    // It waits for the answer, and goes on by itself.
    let params = showing_links(&issue("hello"), Some(&state), accept.clone());
    let waiting = tokio::spawn({
        let alice = alice.clone();
        async move { alice.mcp.request("tools/call", params).await }
    });
    assert_eq!(alice.answer(&page, "approve").await.status, StatusCode::OK);
    let reply = waiting.await.unwrap();
    assert_eq!(reply.code(), "ok", "{}", reply.body);
    assert_eq!(issues(&world), 1);
    // The state is no second yes.
    let params = showing_links(
        &issue("hello"),
        Some(&state),
        json!({ "approve": { "action": "decline" } }),
    );
    let reply = call(&alice, params).await;
    assert_eq!(reply.code(), "approval_required", "{}", reply.body);
    assert!(
        reply.error()["message"]
            .as_str()
            .unwrap()
            .contains("did not want")
    );
    assert_eq!(issues(&world), 1);

    // A no on the page is told to whoever waits.
    let (state, page) =
        input_required(&call(&alice, showing_links(&issue("no"), None, Value::Null)).await);
    let params = showing_links(&issue("no"), Some(&state), accept);
    let waiting = tokio::spawn({
        let alice = alice.clone();
        async move { alice.mcp.request("tools/call", params).await }
    });
    assert_eq!(alice.answer(&page, "deny").await.status, StatusCode::OK);
    let reply = waiting.await.unwrap();
    assert_eq!(reply.code(), "blocked_by_policy", "{}", reply.body);
    assert_eq!(issues(&world), 1);
}

/// The JSON-RPC message of an answer, whether it came as a stream or not.
fn message(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| {
        let data = text.lines().filter_map(|line| line.strip_prefix("data:"));
        data.filter_map(|data| serde_json::from_str(data.trim()).ok())
            .next_back()
            .unwrap_or_else(|| panic!("no message: {text}"))
    })
}

#[tokio::test]
async fn a_session_that_shows_links_gets_an_error_with_the_link_and_hears_of_the_answer() {
    let world = World::running(sqlite()).await;
    let app = world.app().await;
    let alice = asked_about(&app).await;
    let request = |method: reqwest::Method, session: Option<&str>| {
        let mut request = alice
            .mcp
            .http
            .request(method, &alice.mcp.endpoint)
            .bearer_auth(&alice.mcp.token)
            .header("accept", "application/json, text/event-stream")
            .header("content-type", "application/json")
            .header("mcp-protocol-version", "2025-11-25");
        if let Some(session) = session {
            request = request.header("mcp-session-id", session);
        }
        request
    };
    let opened = request(reqwest::Method::POST, None)
        .body(
            json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
                "protocolVersion": "2025-11-25",
                "capabilities": { "elicitation": { "url": {} } },
                "clientInfo": { "name": "older client", "version": "1" },
            } })
            .to_string(),
        )
        .send()
        .await
        .unwrap();
    let session = opened.headers()["mcp-session-id"]
        .to_str()
        .unwrap()
        .to_owned();
    opened.text().await.unwrap();
    request(reqwest::Method::POST, Some(&session))
        .body(json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }).to_string())
        .send()
        .await
        .unwrap();
    let stream = request(reqwest::Method::GET, Some(&session))
        .send()
        .await
        .unwrap();
    assert_eq!(stream.status(), StatusCode::OK);
    let call = async || {
        let params = json!({ "name": WRITE, "arguments": issue("hello") });
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params });
        let answered = request(reqwest::Method::POST, Some(&session))
            .body(body.to_string())
            .send();
        message(&answered.await.unwrap().text().await.unwrap())
    };
    let refused = call().await;
    assert_eq!(refused["error"]["code"], -32042, "{refused}");
    let asked = &refused["error"]["data"]["elicitations"][0];
    let page: Url = asked["url"].as_str().unwrap().parse().unwrap();
    assert_eq!(
        alice.answer(page.path(), "approve").await.status,
        StatusCode::OK
    );
    let id = asked["elicitationId"].as_str().unwrap();
    let mut heard = String::new();
    let mut chunks = stream.bytes_stream();
    let complete = tokio::time::timeout(std::time::Duration::from_secs(20), async {
        while !(heard.contains("notifications/elicitation/complete") && heard.contains(id)) {
            let chunk = chunks.next().await.unwrap().unwrap();
            heard.push_str(&String::from_utf8_lossy(&chunk));
        }
    });
    complete.await.expect("the client is told");
    let done = call().await;
    assert_eq!(done["result"]["isError"], false, "{done}");
    assert_eq!(issues(&world), 1);
    // The page says which client asked.
    let log = app.logged("approval.asked").await;
    assert_eq!(log.len(), 1);
    let page = alice.browser.get(alice.at(page.path())).await;
    assert!(page.text.contains("older client 1"), "{}", page.text);
}

#[tokio::test]
async fn at_the_standard_streams_the_link_signs_in_and_the_repeated_call_goes_through() {
    let world = World::running(sqlite()).await;
    let app = world.app().await;
    let alice = asked_about(&app).await;
    let settings = world.settings(free_address());
    let mut child = tokio::process::Command::new(env!("CARGO_BIN_EXE_workbench-mcp"))
        .args(["stdio", "--user", "alice@example.test"])
        .envs(&settings)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut ask = async |message: Value| {
        let id = message["id"].clone();
        input
            .write_all(format!("{message}\n").as_bytes())
            .await
            .unwrap();
        while !id.is_null() {
            let line = lines.next_line().await.unwrap().expect("it goes on");
            let answer: Value = serde_json::from_str(&line).unwrap();
            if answer["id"] == id {
                return answer;
            }
        }
        Value::Null
    };
    ask(json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
        "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": { "name": "desktop", "version": "1" },
    } }))
    .await;
    ask(json!({ "jsonrpc": "2.0", "method": "notifications/initialized" })).await;
    let call = |id: i64| {
        let params = json!({ "name": WRITE, "arguments": issue("hello") });
        json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params })
    };
    let refused = ask(call(1)).await;
    let error = &refused["result"]["structuredContent"]["error"];
    assert_eq!(error["code"], "approval_required", "{refused}");
    let link = error["action_url"].as_str().unwrap();
    // A browser that nobody signed in: the link does it, once, and leads to the question.
    let browser = crate::harness::http::Browser::new();
    let page = until("the pages are served", async || {
        let page = browser.get(link).await;
        Some(browser.follow(page).await)
    })
    .await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.text);
    assert!(page.text.contains("hello"), "{}", page.text);
    let csrf = page.field("csrf");
    let form = [("csrf", csrf.as_str()), ("decision", "approve")];
    let page = browser.post(page.url.as_str(), &form).await;
    assert!(page.text.contains("Approved"), "{}", page.text);
    let done = ask(call(2)).await;
    assert_eq!(done["result"]["isError"], false, "{done}");
    assert_eq!(issues(&world), 1);
    drop(alice);
}
