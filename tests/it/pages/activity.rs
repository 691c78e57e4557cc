//! A person's own calls, and nobody else's.

use http::StatusCode;
use serde_json::json;

use super::{connected, get};
use crate::harness::app::{TestApp, for_each_world, until};

/// Waits until so many calls are written down.
async fn written(app: &TestApp, calls: usize) {
    until("the outcomes", async || {
        (app.logged("tool.outcome").await.len() == calls).then_some(())
    })
    .await;
}

#[tokio::test]
async fn people_see_their_own_calls_only() {
    for_each_world(false, async |world| {
        let app = world.app().await;
        let alice = connected(&app, "alice@example.test").await;
        let bob = connected(&app, "bob@example.test").await;
        let empty = get(&alice, "/activity").await;
        assert!(
            empty.text.contains("Nothing was called yet"),
            "{}",
            empty.text
        );
        for (who, thread) in [(&alice, "alice-talk"), (&bob, "bob-talk")] {
            let ok = who
                .mcp
                .call_in(thread, "github_get_viewer", json!({}))
                .await;
            assert_eq!(ok.code(), "ok");
            let wrong = who
                .mcp
                .call_in(thread, "hubspot_get_records", json!({}))
                .await;
            assert_eq!(wrong.code(), "invalid_input");
        }
        let alone = alice.mcp.call("github_list_repos", json!({})).await;
        assert_eq!(alone.code(), "ok");
        written(&app, 5).await;

        let page = get(&alice, "/activity").await;
        let place = |text: &str| {
            page.text
                .find(text)
                .unwrap_or_else(|| panic!("{text}: {}", page.text))
        };
        // Newest first.
        assert!(place("github_list_repos") < place("hubspot_get_records"));
        assert!(place("hubspot_get_records") < place("github_get_viewer"));
        assert!(!page.text.contains("bob-talk"));
        for (filter, shown, hidden) in [
            ("outcome=ok", "github_get_viewer", "hubspot_get_records"),
            (
                "outcome=invalid_input",
                "hubspot_get_records",
                "github_get_viewer",
            ),
            (
                "integration=hubspot",
                "hubspot_get_records",
                "github_get_viewer",
            ),
            (
                "thread=alice-talk",
                "github_get_viewer",
                "github_list_repos",
            ),
            (
                "integration=github&thread=alice-talk",
                "github_get_viewer",
                "hubspot_get_records",
            ),
            (
                "thread=bob-talk",
                "No call of yours fits",
                "github_get_viewer",
            ),
        ] {
            let page = get(&alice, &format!("/activity?{filter}")).await;
            assert!(page.text.contains(shown), "{filter}: {}", page.text);
            assert!(!page.text.contains(hidden), "{filter}: {}", page.text);
        }

        let threads = get(&alice, "/activity/conversations").await;
        assert!(
            threads.text.contains("activity?thread=alice-talk"),
            "{}",
            threads.text
        );
        assert!(
            threads
                .text
                .contains("Of all your 3 calls; 1 named no conversation")
        );
        assert!(!threads.text.contains("bob-talk"));

        let logged = app.logged("tool.outcome").await;
        for entry in &logged {
            let path = format!("/activity/{}", entry.call);
            let own = entry.user == Some(alice.row.id);
            let page = alice.browser.get(alice.at(&path)).await;
            let expected = if own {
                StatusCode::OK
            } else {
                StatusCode::NOT_FOUND
            };
            assert_eq!(page.status, expected, "{path}");
            if own {
                for shown in [
                    entry.tool.as_deref().unwrap(),
                    &entry.outcome,
                    "tests 1",
                    "http",
                ] {
                    assert!(page.text.contains(shown), "{shown}: {}", page.text);
                }
            } else {
                assert!(!page.text.contains("github"), "{}", page.text);
            }
        }
        // Signing in is an event of hers and no call.
        let signed_in = app.logged("auth.signed_in").await;
        let no_call = signed_in
            .iter()
            .find(|entry| entry.user == Some(alice.row.id));
        for nothing in [
            no_call.unwrap().call.to_string(),
            "call_00000000000000000000000000000000".to_owned(),
            "x".to_owned(),
        ] {
            let page = alice
                .browser
                .get(alice.at(&format!("/activity/{nothing}")))
                .await;
            assert_eq!(page.status, StatusCode::NOT_FOUND, "{nothing}");
        }
        // Looking at one's own is nothing to note.
        assert!(app.logged("audit.read").await.is_empty());
    })
    .await;
}

#[tokio::test]
async fn older_calls_are_on_the_next_page() {
    let (_world, app) = crate::harness::app::still().await;
    let alice = connected(&app, "alice@example.test").await;
    for number in 0..53 {
        let thread = format!("talk-{number:02}");
        alice
            .mcp
            .call_in(&thread, "hubspot_get_records", json!({}))
            .await;
    }
    written(&app, 53).await;
    let mut seen = Vec::new();
    let mut path = "/activity?outcome=invalid_input".to_owned();
    for _ in 0..3 {
        let page = get(&alice, &path).await;
        let threads = page.text.split("activity?thread=talk-").skip(1);
        seen.extend(threads.map(|rest| rest[..2].to_owned()));
        let Some(next) = page.text.split("\"/activity?outcome=").nth(1) else {
            break;
        };
        path = format!(
            "/activity?outcome={}",
            super::forms::unescape(next.split('"').next().unwrap())
        );
    }
    let expected: Vec<String> = (0..53).rev().map(|number| format!("{number:02}")).collect();
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn a_refused_call_says_what_the_rules_say() {
    let (_world, app) = crate::harness::app::still().await;
    let alice = connected(&app, "alice@example.test").await;
    super::rule(&app, "github_search", "deny").await;
    let refused = alice
        .mcp
        .call("github_search", json!({ "query": "x" }))
        .await;
    assert_eq!(refused.code(), "blocked_by_policy");
    written(&app, 1).await;
    let call = refused.error()["call"].as_str().unwrap();
    let page = get(&alice, &format!("/activity/{call}")).await;
    assert!(
        page.text.contains("What the rules say now: deny"),
        "{}",
        page.text
    );
    assert!(page.text.contains("asked by the tests"), "{}", page.text);
}
