//! What is one person's stays theirs, and what is switched off or revoked is off everywhere within seconds.

use std::time::{Duration, Instant};

use futures_util::{StreamExt as _, stream};
use http::StatusCode;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use workbench_mcp::caller::Scopes;

use crate::harness::app::{Person, TestApp, World, still, until};
use crate::harness::database::sqlite;
use crate::harness::http::{Browser, PROTOCOL, Reply, reply};
use crate::harness::process;

/// How long a change made elsewhere may take to be heard.
const HEARD: Duration = Duration::from_secs(5);

/// Two people with accounts of the same integrations, and the words that only one of them may ever see.
struct Pair {
    alice: Person,
    bob: Person,
}

const HERS: [&str; 4] = ["alice-dev", "Alice Example", "4711", "alice@example.test"];
const HIS: [&str; 4] = [
    "bob-ops",
    "Bob Example",
    "4712",
    "acme-partners.example.test",
];

async fn pair(app: &TestApp) -> Pair {
    let alice = app.person("alice@example.test").await;
    let bob = app.person("bob@example.test").await;
    alice.connect("github", "alice-dev").await;
    alice.connect("hubspot", "4711").await;
    bob.connect("github", "bob-ops").await;
    bob.connect("hubspot", "4712").await;
    Pair { alice, bob }
}

#[tokio::test]
async fn nothing_of_one_person_reaches_another() {
    let (_world, app) = still().await;
    let Pair { alice, bob } = pair(&app).await;
    for (person, own, foreign) in [(&alice, HERS, HIS), (&bob, HIS, HERS)] {
        let name = own[0];
        let mut said = vec![
            person.viewer().await.body,
            person.mcp.call("hubspot_get_account", json!({})).await.body,
            json!(person.mcp.accounts().await),
            json!(
                person
                    .mcp
                    .complete(
                        "github://{account}/{owner}/{repo}",
                        "account",
                        "",
                        json!({})
                    )
                    .await
            ),
            json!(
                person
                    .mcp
                    .complete(
                        "hubspot://{account}/contacts/{id}",
                        "account",
                        "",
                        json!({})
                    )
                    .await
            ),
            person
                .mcp
                .read(&format!("github://{name}/acme/site"))
                .await
                .body,
        ];
        for path in ["/connections", "/connect/github"] {
            said.push(person.browser.get(person.at(path)).await.text.into());
        }
        let said = Value::Array(said).to_string();
        assert!(said.contains(name), "{said}");
        // What fixtures say about fictional people is the same for everyone; who is signed in is not.
        for word in &foreign[..3] {
            assert!(
                !said.contains(&format!("\"{word}\"")) && !said.contains(&format!(">{word}<")),
                "{word} in {said}"
            );
        }
    }

    // Bob names Alice's account, by every name it has.
    let hers = app.rows(&alice).await;
    let id = hers[0].id.to_string();
    for name in ["alice-dev", "1001", id.as_str()] {
        let refused = bob
            .mcp
            .call("github_get_viewer", json!({ "account": name }))
            .await;
        assert_eq!(
            refused.code(),
            "ambiguous_account",
            "{name}: {}",
            refused.body
        );
        assert_eq!(refused.error()["choices"], json!(["bob-ops"]));
        let refused = bob.mcp.read(&format!("github://{name}/acme/site")).await;
        assert_eq!(
            refused.code(),
            "ambiguous_account",
            "{name}: {}",
            refused.body
        );
        let values = bob
            .mcp
            .complete(
                "github://{account}/{owner}/{repo}",
                "repo",
                "",
                json!({ "account": name, "owner": "acme" }),
            )
            .await;
        assert_eq!(values, Vec::<String>::new(), "{name}");
    }
}

#[tokio::test]
async fn cursors_sessions_and_records_belong_to_their_person() {
    let (_world, app) = still().await;
    let Pair { alice, bob } = pair(&app).await;
    let arguments = |cursor: Option<&str>| {
        let mut arguments = json!({ "q": "newsletter", "limit": 1 });
        if let Some(cursor) = cursor {
            arguments["cursor"] = json!(cursor);
        }
        arguments
    };
    let first = alice.mcp.call("hubspot_get_lists", arguments(None)).await;
    let cursor = first.body["result"]["structuredContent"]["next_cursor"].as_str();
    let cursor = cursor
        .unwrap_or_else(|| panic!("{}", first.body))
        .to_owned();
    let stolen = bob
        .mcp
        .call("hubspot_get_lists", arguments(Some(&cursor)))
        .await;
    assert_eq!(stolen.code(), "invalid_input", "{}", stolen.body);
    // Of another tool, or with any character changed, it is not hers either.
    let elsewhere = json!({ "object_type": "contacts", "q": "ada", "cursor": cursor });
    assert_eq!(
        alice
            .mcp
            .call("hubspot_search_records", elsewhere)
            .await
            .code(),
        "invalid_input"
    );
    for at in (0..cursor.len()).step_by(7) {
        let mut forged = cursor.clone().into_bytes();
        forged[at] = if forged[at] == b'A' { b'B' } else { b'A' };
        let forged = String::from_utf8(forged).unwrap();
        let refused = alice
            .mcp
            .call("hubspot_get_lists", arguments(Some(&forged)))
            .await;
        assert_eq!(refused.code(), "invalid_input", "changed at {at}");
    }

    // What Alice imported, Bob has not, under her account's name or his.
    let imported = alice
        .mcp
        .call("github_import_docs", json!({ "repo": "acme/site" }))
        .await;
    assert_eq!(imported.code(), "ok", "{}", imported.body);
    let own = alice.mcp.read("github://alice-dev/docs/acme-site").await;
    assert_eq!(own.code(), "ok", "{}", own.body);
    for uri in [
        "github://alice-dev/docs/acme-site",
        "github://bob-ops/docs/acme-site",
    ] {
        assert_ne!(bob.mcp.read(uri).await.code(), "ok", "{uri}");
    }

    // A session of the older revisions, under Bob's token.
    let body = json!({
        "jsonrpc": "2.0", "id": 1, "method": "initialize",
        "params": { "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": { "name": "old", "version": "1" } },
    });
    let send = async |person: &Person, session: Option<&str>, body: &Value| {
        let mut request = person
            .mcp
            .http
            .post(&person.mcp.endpoint)
            .bearer_auth(&person.mcp.token)
            .header("content-type", "application/json")
            .header("accept", "application/json, text/event-stream")
            .body(body.to_string());
        if let Some(session) = session {
            request = request
                .header("mcp-session-id", session)
                .header("mcp-protocol-version", "2025-11-25");
        }
        reply(request).await
    };
    let opened = send(&alice, None, &body).await;
    let session = opened.headers["mcp-session-id"]
        .to_str()
        .unwrap()
        .to_owned();
    let initialized = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
    assert_eq!(
        send(&alice, Some(&session), &initialized).await.status,
        StatusCode::ACCEPTED
    );
    let list = json!({ "jsonrpc": "2.0", "id": 2, "method": "tools/list" });
    assert_eq!(
        send(&alice, Some(&session), &list).await.status,
        StatusCode::OK
    );
    assert_eq!(
        send(&bob, Some(&session), &list).await.status,
        StatusCode::NOT_FOUND
    );
    let end = |person: &Person| {
        person
            .mcp
            .http
            .delete(&person.mcp.endpoint)
            .bearer_auth(&person.mcp.token)
            .header("mcp-session-id", &session)
            .header("mcp-protocol-version", "2025-11-25")
            .send()
    };
    assert_eq!(end(&bob).await.unwrap().status(), StatusCode::NOT_FOUND);
    assert_eq!(
        send(&alice, Some(&session), &list).await.status,
        StatusCode::OK,
        "still hers"
    );
    // Under the current revision a session's id means nothing: it is Bob's own list that he gets.
    let now = bob.mcp.build(
        &json!(3),
        "resources/read",
        json!({ "uri": "workbench://accounts" }),
    );
    let now = reply(now.header("mcp-session-id", &session)).await;
    assert!(
        now.body.to_string().contains("bob-ops") && !now.body.to_string().contains("alice-dev")
    );
}

#[tokio::test]
async fn five_hundred_calls_with_the_same_id() {
    let (_world, app) = still().await;
    let Pair { alice, bob } = pair(&app).await;
    let ask = async |person: &Person, at: usize| -> (Reply, bool) {
        let params = if at.is_multiple_of(10) {
            json!({ "name": "github_get_viewer", "arguments": {} })
        } else {
            json!({ "uri": "workbench://accounts" })
        };
        let method = if at.is_multiple_of(10) {
            "tools/call"
        } else {
            "resources/read"
        };
        (
            reply(person.mcp.build(&json!(1), method, params)).await,
            at.is_multiple_of(10),
        )
    };
    let (alice, bob) = (&alice, &bob);
    let asked = (0..500).map(|at| async move {
        let (person, own, foreign) = if at % 2 == 0 {
            (alice, "alice-dev", "bob-ops")
        } else {
            (bob, "bob-ops", "alice-dev")
        };
        let (reply, _) = ask(person, at / 2).await;
        (reply, own, foreign)
    });
    let mut answered = stream::iter(asked).buffer_unordered(100);
    while let Some((reply, own, foreign)) = answered.next().await {
        assert_eq!(reply.body["id"], 1);
        let said = reply.body.to_string();
        assert!(said.contains(own) && !said.contains(foreign), "{said}");
    }
}

#[tokio::test]
async fn what_an_admin_disables_is_gone_and_comes_back() {
    let world = World::running(sqlite()).await;
    let app = world.app().await;
    let alice = app.person("alice@example.test").await;
    alice.connect("github", "alice-dev").await;
    let before = app.row(&alice).await;
    let settings = world.settings(process::free_address());
    let switch = async |word: &str| {
        let done = process::run(&settings, &["integrations", word, "github"]).await;
        assert!(
            done.status.success(),
            "{}",
            String::from_utf8_lossy(&done.stderr)
        );
        Instant::now()
    };
    let block = "github://alice-dev/acme/site";
    let switched = switch("disable").await;
    until("the tools are gone", async || {
        alice.mcp.tools().await.is_empty().then_some(())
    })
    .await;
    assert!(switched.elapsed() <= HEARD, "{:?}", switched.elapsed());
    let calls = world.api_calls("github");
    for refused in [alice.issues().await, alice.mcp.read(block).await] {
        assert_eq!(refused.code(), "blocked_by_policy", "{}", refused.body);
        assert!(
            refused.error()["message"]
                .as_str()
                .unwrap()
                .contains("switched GitHub off")
        );
    }
    assert_eq!(world.api_calls("github"), calls, "nothing left the house");
    assert_eq!(alice.mcp.blocks().await, Vec::<String>::new());
    assert_eq!(
        alice.mcp.status("github").await,
        ("Disabled".to_owned(), "switched off by an admin".to_owned())
    );
    let page = alice.browser.get(alice.at("/connections")).await;
    assert!(page.text.contains("status Disabled"), "{}", page.text);

    let switched = switch("enable").await;
    until("the tools are back", async || {
        (!alice.mcp.tools().await.is_empty()).then_some(())
    })
    .await;
    assert!(switched.elapsed() <= HEARD, "{:?}", switched.elapsed());
    assert_eq!(alice.issues().await.code(), "ok");
    let after = app.row(&alice).await;
    assert_eq!(
        (after.id, after.token_version, after.sealed),
        (before.id, before.token_version, before.sealed)
    );
    for kind in ["admin.integration_disabled", "admin.integration_enabled"] {
        assert_eq!(app.logged(kind).await.len(), 1, "{kind}");
    }
}

#[tokio::test]
async fn a_revoked_token_is_dead_within_seconds() {
    let world = World::running(sqlite()).await;
    let app = world.app().await;
    let alice = app.person("alice@example.test").await;
    let other = app.mcp(&app.token(&alice.row, None, false).await);
    let settings = world.settings(process::free_address());
    let listed = process::run(
        &settings,
        &["tokens", "list", "alice@example.test", "--json"],
    )
    .await;
    let listed = String::from_utf8(listed.stdout).unwrap();
    let ids: Vec<String> = listed
        .lines()
        .map(|line| {
            serde_json::from_str::<Value>(line).unwrap()["id"]
                .as_str()
                .unwrap()
                .to_owned()
        })
        .collect();
    assert_eq!(ids.len(), 2);
    assert!(!listed.contains("wbt_"), "a token is shown once");
    let listening = json!({ "notifications": { "toolsListChanged": true } });
    let mut streams = Vec::new();
    for client in [&alice.mcp, &other] {
        assert_eq!(client.tools().await, Vec::<String>::new());
        streams.push(
            client
                .build(&json!(1), "subscriptions/listen", listening.clone())
                .send()
                .await
                .unwrap(),
        );
    }
    let done = process::run(
        &settings,
        &["tokens", "revoke", "alice@example.test", &ids[0]],
    )
    .await;
    assert!(
        done.status.success(),
        "{}",
        String::from_utf8_lossy(&done.stderr)
    );
    let revoked = Instant::now();
    let dead = until("one of the two is refused", async || {
        for client in [&alice.mcp, &other] {
            let reply = client.request("tools/list", json!({})).await;
            if reply.status == StatusCode::UNAUTHORIZED {
                return Some(client.token.clone());
            }
        }
        None
    })
    .await;
    assert!(revoked.elapsed() <= HEARD, "{:?}", revoked.elapsed());
    let live = [&alice.mcp, &other]
        .into_iter()
        .find(|client| client.token != dead)
        .unwrap();
    assert_eq!(
        live.tools().await,
        Vec::<String>::new(),
        "the other one is not touched"
    );
    // The stream that the dead token opened ends as well.
    let at = usize::from(alice.mcp.token != dead);
    let ended = tokio::time::timeout(Duration::from_secs(20), streams.remove(at).text()).await;
    ended.expect("the stream goes on").ok();
}

#[tokio::test]
async fn a_read_only_token_reads() {
    let (world, app) = still().await;
    let Pair { alice, .. } = pair(&app).await;
    let reader = app.mcp(&app.token(&alice.row, None, true).await);
    let tools = reader.tools().await;
    assert!(tools.contains(&"github_get_viewer".to_owned()));
    for write in [
        "github_save_issue",
        "github_propose_change",
        "github_import_docs",
        "hubspot_save_records",
        "hubspot_log_activity",
        "hubspot_archive_records",
    ] {
        assert!(!tools.contains(&write.to_owned()), "{write}");
        assert!(
            alice.mcp.tools().await.contains(&write.to_owned()),
            "{write}"
        );
    }
    assert_eq!(
        reader.call("github_get_viewer", json!({})).await.code(),
        "ok"
    );
    let calls = world.api_calls("hubspot");
    let note = json!({ "kind": "note", "body": "hello", "on": ["contacts/101"] });
    let refused = reader.call("hubspot_log_activity", note).await;
    assert_eq!(refused.code(), "blocked_by_policy", "{}", refused.body);
    let message = refused.error()["message"].as_str().unwrap();
    assert_eq!(
        message,
        "this token only allows reading; use one that allows changes"
    );
    assert_eq!(world.api_calls("hubspot"), calls);
    // It signs no browser in either, where accounts could be connected.
    let page = alice
        .browser
        .post(alice.at("/login"), &[("token", &reader.token)])
        .await;
    assert_eq!(page.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_token_for_less_than_everything_signs_no_browser_in() {
    let (_world, app) = still().await;
    let alice = app.person("alice@example.test").await;
    for (scopes, expected) in [
        ("tools:read tools:write audit:read", StatusCode::SEE_OTHER),
        ("tools:read tools:write", StatusCode::FORBIDDEN),
        (
            "tools:read tools:write audit:read integration:github",
            StatusCode::FORBIDDEN,
        ),
        ("tools:read", StatusCode::FORBIDDEN),
    ] {
        let scopes_read = Scopes::parse(scopes).unwrap();
        let token = app
            .auth
            .create_token(&alice.row, "tests", None, scopes_read)
            .await
            .unwrap();
        let form = [("token", token.secret.expose_secret())];
        let page = Browser::new().post(alice.at("/login"), &form).await;
        assert_eq!(page.status, expected, "{scopes}");
    }
}

#[tokio::test]
async fn refusals_at_the_door_are_exact() {
    let (world, app) = still().await;
    let alice = app.person("alice@example.test").await;
    let short = app
        .token(&alice.row, Some(Duration::from_hours(24)), false)
        .await;
    assert_eq!(app.mcp(&short).tools().await, Vec::<String>::new());
    world.advance(Duration::from_hours(24));
    let challenge = format!(
        "Bearer resource_metadata=\"{}/.well-known/oauth-protected-resource/mcp\", scope=\"tools:read\"",
        app.url
    );
    let unknown =
        ", error=\"invalid_token\", error_description=\"the token is unknown or was revoked\"";
    let tokens = world.mint("github", "alice-dev", &["repo"]);
    let bearer = |token: &str| format!("Bearer {token}");
    for (what, authorization, status, rest) in [
        ("nothing", None, 401, ""),
        ("another scheme", Some("Basic YTpi".to_owned()), 401, ""),
        ("an empty token", Some("Bearer ".to_owned()), 401, ""),
        (
            "an unknown token",
            Some(bearer("wbt_unknown")),
            401,
            unknown,
        ),
        (
            "a changed token",
            Some(bearer(&format!("{}x", alice.mcp.token))),
            401,
            unknown,
        ),
        (
            "a provider's token",
            Some(bearer(&tokens.access_token)),
            401,
            unknown,
        ),
        (
            "a very long token",
            Some(bearer(&format!("wbt_{}", "x".repeat(5_000)))),
            401,
            unknown,
        ),
        (
            "an old token",
            Some(bearer(&short)),
            401,
            ", error=\"invalid_token\", error_description=\"the token has expired; get a new one\"",
        ),
    ] {
        for path in ["/mcp", "/sse", "/messages"] {
            let http = &alice.mcp.http;
            let request = if path == "/sse" {
                http.get(alice.at(path))
            } else {
                http.post(alice.at(path))
            };
            let request = match &authorization {
                Some(value) => request.header("authorization", value),
                None => request,
            };
            let refused = reply(request.header("mcp-protocol-version", PROTOCOL)).await;
            assert_eq!(refused.status.as_u16(), status, "{what} at {path}");
            let found = refused.headers["www-authenticate"].to_str().unwrap();
            let empty = what == "an empty token" && found.contains("invalid_token");
            assert!(
                found == format!("{challenge}{rest}") || empty,
                "{what} at {path}: {found}"
            );
            assert_eq!(refused.headers["cache-control"], "no-store");
        }
    }
    // In the address a token is refused even when it is good, and the header beside it does not help.
    let query = format!("/mcp?access_token={}", alice.mcp.token);
    let refused = reply(
        alice
            .mcp
            .http
            .post(alice.at(&query))
            .bearer_auth(&alice.mcp.token),
    )
    .await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    let found = refused.headers["www-authenticate"].to_str().unwrap();
    assert!(found.contains("error=\"invalid_request\""), "{found}");
    assert!(!refused.body.to_string().contains(&alice.mcp.token));

    let metadata = reply(
        alice
            .mcp
            .http
            .get(alice.at("/.well-known/oauth-protected-resource/mcp")),
    )
    .await;
    assert_eq!(metadata.body["resource"], alice.mcp.endpoint);
    let foreign = alice
        .mcp
        .build(&json!(1), "tools/list", json!({}))
        .header("origin", "https://evil.test");
    assert_eq!(reply(foreign).await.status, StatusCode::FORBIDDEN);
    let nowhere = reply(
        alice
            .mcp
            .http
            .get(alice.at("/mcp/x"))
            .bearer_auth(&alice.mcp.token),
    )
    .await;
    assert_eq!(nowhere.status, StatusCode::NOT_FOUND);
}
