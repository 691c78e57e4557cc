//! The small surface: four tools instead of many, and nothing else different.

use serde_json::{Value, json};
use workbench_mcp::audit::Filter;

use crate::harness::app::{World, still};
use crate::harness::database::sqlite;
use crate::harness::http::reply;

const SMALL: [&str; 4] = [
    "tools_search",
    "tools_run_read",
    "tools_run_write",
    "tools_run_destructive",
];

#[tokio::test]
async fn four_tools_find_and_run_the_others() {
    let (_world, app) = still().await;
    let alice = app.person("alice@example.test").await;
    alice.connect("github", "alice-dev").await;
    let all = alice.mcp.tools().await;
    assert!(all.contains(&"github_list_issues".to_owned()));

    let mut small = alice.mcp.clone();
    small.endpoint.push_str("?tools=search");
    assert_eq!(
        small.tools().await,
        SMALL[..3],
        "GitHub has no destructive tool"
    );

    // Found with its schema, and run as found.
    let found = small
        .call(
            "tools_search",
            json!({ "query": "list issues", "limit": 3 }),
        )
        .await;
    let first = &found.items()[0];
    assert_eq!(first["id"], "github_list_issues");
    assert_eq!(first["effect"], "read");
    assert_eq!(
        first["input_schema"]["properties"]["repo"]["type"],
        "string"
    );
    let direct = small
        .call("github_list_issues", json!({ "repo": "acme/site" }))
        .await;
    for arguments in [
        json!({ "repo": "acme/site" }),
        json!("{\"repo\":\"acme/site\"}"),
    ] {
        let run = small
            .call(
                "tools_run_read",
                json!({ "name": "github_list_issues", "arguments": arguments }),
            )
            .await;
        assert_eq!(run.items(), direct.items());
    }

    // What is wrong is said and recorded, under the inner tool's name.
    for (runner, arguments, code) in [
        (
            "tools_run_read",
            json!({ "name": "github_save_issue", "arguments": {} }),
            "invalid_input",
        ),
        (
            "tools_run_read",
            json!({ "name": "github_list_issues", "arguments": "{" }),
            "invalid_input",
        ),
        (
            "tools_run_read",
            json!({ "name": "github_list_issues", "arguments": { "repo": 5 } }),
            "invalid_input",
        ),
        (
            "tools_run_read",
            json!({ "name": "hubspot_list_owners", "arguments": {} }),
            "connection_missing",
        ),
        ("tools_search", json!({ "query": 7 }), "invalid_input"),
        ("tools_search", json!({ "limit": 50 }), "invalid_input"),
        ("tools_search", json!({ "words": "x" }), "invalid_input"),
    ] {
        let refused = small.call(runner, arguments.clone()).await;
        assert_eq!(refused.code(), code, "{arguments}");
    }
    let nothing = small
        .call("tools_search", json!({ "query": "xyzzy" }))
        .await;
    assert!(nothing.items().is_empty());
    assert!(
        nothing.body["result"]["structuredContent"]["warnings"][0]
            .as_str()
            .is_some_and(|said| said.contains("github"))
    );
    let log = app.log(Filter::default()).await;
    let outcomes: Vec<(&str, &str)> = log
        .iter()
        .filter(|entry| entry.kind == "tool.outcome")
        .filter_map(|entry| Some((entry.tool.as_deref()?, entry.outcome.as_str())))
        .collect();
    for wanted in [
        ("tools_search", "ok"),
        ("tools_search", "invalid_input"),
        ("github_list_issues", "ok"),
        ("github_list_issues", "invalid_input"),
        ("github_save_issue", "invalid_input"),
        ("hubspot_list_owners", "connection_missing"),
    ] {
        assert!(outcomes.contains(&wanted), "{wanted:?} in {outcomes:?}");
    }
    assert!(
        !outcomes
            .iter()
            .any(|(tool, _)| tool.starts_with("tools_run"))
    );
}

#[tokio::test]
async fn only_what_the_credential_allows_is_found() {
    let (_world, app) = still().await;
    let alice = app.person("alice@example.test").await;
    alice.connect("github", "alice-dev").await;
    let reading = app.token(&alice.row, None, true).await;
    let mut small = app.mcp(&reading);
    small.endpoint.push_str("?tools=search");
    assert_eq!(small.tools().await, SMALL[..2]);
    let found = small
        .call("tools_search", json!({ "query": "", "limit": 20 }))
        .await;
    assert!(found.items().iter().all(|item| item["effect"] == "read"));
    let refused = small
        .call(
            "tools_run_write",
            json!({ "name": "github_save_issue", "arguments": { "repo": "acme/site", "title": "x" } }),
        )
        .await;
    assert_eq!(refused.code(), "blocked_by_policy");
}

#[tokio::test]
async fn too_many_tools_are_listed_as_four() {
    let mut world = World::still(sqlite()).await;
    world
        .extra
        .insert("WORKBENCH_MAX_LISTED_TOOLS".to_owned(), "12".to_owned());
    let app = world.app().await;
    let alice = app.person("alice@example.test").await;
    assert!(
        alice.mcp.tools().await.is_empty(),
        "what everybody has is not too many"
    );
    alice.connect("github", "alice-dev").await;
    assert_eq!(alice.mcp.tools().await, SMALL[..3]);
    let mut whole = alice.mcp.clone();
    whole.endpoint.push_str("?tools=all");
    assert!(whole.tools().await.len() > 4);
    let listed: Value = reply(alice.mcp.build(&json!(1), "tools/list", json!({})))
        .await
        .body;
    assert_eq!(listed["result"]["cacheScope"], "private");
}
