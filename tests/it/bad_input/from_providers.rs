//! From providers.

use std::time::Duration;

use super::*;

/// A fault, how the call ends then, and words of its message.
fn table() -> Vec<(Fault, &'static str, &'static str)> {
    let elsewhere = |location: &str| Fault::Redirect {
        location: location.to_owned(),
    };
    let unavailable = "upstream_unavailable";
    vec![
        (Fault::Html, unavailable, "text/html instead of JSON"),
        (Fault::EmptyObject, unavailable, "unreadable JSON"),
        (Fault::InvalidUtf8, unavailable, "unreadable JSON"),
        (
            Fault::DeepJson { depth: 10_000 },
            unavailable,
            "unreadable JSON",
        ),
        (
            Fault::Oversized { bytes: 6 << 20 },
            unavailable,
            "more than 5242880 bytes",
        ),
        (Fault::Endless, unavailable, "more than 5242880 bytes"),
        (
            Fault::GzipBomb { mib: 200 },
            unavailable,
            "more than 5242880 bytes",
        ),
        (Fault::Truncate, unavailable, "the connection broke off"),
        (Fault::CutOff, unavailable, "the connection broke off"),
        (
            elsewhere("http://127.0.0.1:1/x"),
            unavailable,
            "redirected to 127.0.0.1",
        ),
        (
            elsewhere("http://169.254.169.254/latest/meta-data"),
            unavailable,
            "redirected to 169.254.169.254",
        ),
        (
            elsewhere("https://evil.test/"),
            unavailable,
            "redirected to evil.test",
        ),
        (elsewhere("file:///etc/passwd"), unavailable, "redirected"),
        (elsewhere("javascript:alert(1)"), unavailable, "redirected"),
        (Fault::Fail { status: 500 }, unavailable, "status 500"),
        (Fault::Fail { status: 503 }, unavailable, "status 503"),
        (Fault::Fail { status: 404 }, "not_found", ""),
        (Fault::Fail { status: 409 }, "conflict", "conflict"),
        (Fault::Fail { status: 402 }, "plan_required", "plan"),
        (Fault::Fail { status: 403 }, "insufficient_scope", "refused"),
        (
            Fault::Fail { status: 422 },
            "invalid_input",
            "did not accept",
        ),
        (
            Fault::RateLimit { retry_after_s: 120 },
            "rate_limited",
            "try again in 120 s",
        ),
        (Fault::Echo, "invalid_input", "did not accept"),
    ]
}

#[tokio::test]
async fn every_spoilt_answer_has_its_code_and_its_record() {
    let (world, app) = still().await;
    let alice = connected(&app).await;
    let mut expected = Vec::new();
    for (fault, code, said) in table() {
        world.misbehave("github", Place::Api, 100, fault.clone());
        let reply = alice
            .mcp
            .call_in(
                "spoilt",
                "github_list_issues",
                json!({ "repo": "acme/site" }),
            )
            .await;
        world.tell("github", Command::Behave);
        assert_eq!(reply.code(), code, "{fault:?}: {}", reply.body);
        let message = reply.error()["message"].as_str().unwrap();
        assert!(message.contains(said), "{fault:?}: {message}");
        // The whole request was echoed, but nobody sees it.
        assert!(
            !reply.body.to_string().contains("sandbox_access_"),
            "{fault:?}: {}",
            reply.body
        );
        if code == "rate_limited" {
            assert_eq!(reply.error()["retry_after_s"], 120);
        }
        expected.push(code);
        // A call on the same connection, in between and at once.
        if expected.len() % 8 == 0 {
            assert_eq!(
                alice
                    .mcp
                    .call("hubspot_get_account", json!({}))
                    .await
                    .code(),
                "ok"
            );
        }
    }
    assert_eq!(outcomes(&app, "spoilt", expected.len()).await, expected);
    let entries = app
        .log(Filter {
            thread: Some("spoilt".to_owned()),
            ..Filter::default()
        })
        .await;
    for entry in &entries {
        assert!(
            entry.facts["upstream_requests"].as_u64().unwrap() >= 1,
            "{entry:?}"
        );
    }
    assert_eq!(
        alice.mcp.status("github").await.0,
        "Connected",
        "none of it is the account's fault"
    );
    assert_eq!(world.refresh_calls("github"), 0);
    app.verify().await;
}

#[tokio::test]
async fn a_slow_answer_is_an_answer_and_a_caller_who_leaves_stops_the_work() {
    let (world, app) = still().await;
    let alice = connected(&app).await;
    world.misbehave("github", Place::Api, 1, Fault::Stall { ms: 300 });
    assert_eq!(alice.issues().await.code(), "ok");
    world.misbehave("github", Place::Api, 1, Fault::Drip { ms: 0 });
    assert_eq!(alice.issues().await.code(), "ok");

    world.misbehave("github", Place::Api, 1, Fault::Stall { ms: 3_600_000 });
    let call = json!({ "name": "github_list_issues", "arguments": { "repo": "acme/site" }, "_meta": { "workbench-mcp/thread": "left" } });
    let request = alice.mcp.build(&json!(1), "tools/call", call).send();
    let left = tokio::time::timeout(Duration::from_millis(500), request).await;
    assert!(left.is_err(), "it cannot have been answered");
    let found = outcomes(&app, "left", 1).await;
    assert!(
        matches!(found[0].as_str(), "cancelled" | "unknown"),
        "{found:?}"
    );
    assert_eq!(alice.issues().await.code(), "ok");
}

#[tokio::test]
async fn a_write_whose_answer_is_lost_is_not_repeated() {
    let (world, app) = still().await;
    let alice = connected(&app).await;
    let note = json!({ "kind": "note", "body": "hello", "on": ["contacts/101"] });
    let writes = || -> u64 {
        let calls = world.report("hubspot").counters.api_calls;
        let writes = calls
            .iter()
            .filter(|(call, _)| call.starts_with("POST /crm/v3/objects/"));
        writes.map(|(_, count)| count).sum()
    };
    for fault in [Fault::Truncate, Fault::CutOff, Fault::Fail { status: 502 }] {
        let before = writes();
        // What is read first arrives, if slowly; the fault strikes the write.
        world.misbehave("hubspot", Place::Api, 1, Fault::Drip { ms: 0 });
        world.misbehave("hubspot", Place::Api, 1, fault.clone());
        let reply = alice
            .mcp
            .call_in("lost", "hubspot_log_activity", note.clone())
            .await;
        assert_eq!(writes(), before + 1, "{fault:?}: {}", reply.body);
        assert_eq!(
            reply.code(),
            "upstream_unavailable",
            "{fault:?}: {}",
            reply.body
        );
    }
    assert_eq!(outcomes(&app, "lost", 3).await, ["upstream_unavailable"; 3]);
    app.verify().await;
}
