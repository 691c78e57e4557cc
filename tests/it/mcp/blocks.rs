//! Context blocks that are read again: what it costs, how fresh it is, and who hears of a change.

use std::time::Duration;

use futures_util::StreamExt as _;
use serde_json::{Value, json};
use workbench_mcp::sandbox::fixtures::Exchange;

use super::sessions::messages;
use crate::harness::app::World;
use crate::harness::database::sqlite;
use crate::harness::fixtures;

const ISSUE: &str = "github://alice-dev/acme/site/issues/12";

/// The exchanges of a case, as often as each is wanted.
fn exchanges(folder: &str, file: &str) -> Vec<Exchange> {
    let case: Value = fixtures::read(&fixtures::root().join("github").join(folder).join(file));
    serde_json::from_value(case["upstream"].clone()).unwrap()
}

#[tokio::test]
async fn an_unchanged_block_costs_one_request_and_a_changed_one_is_told() {
    let whole = exchanges("github_issue", "success.json");
    let mut changed = whole.clone();
    let issue = changed[0].response.body.as_mut().unwrap();
    issue["updated_at"] = json!("2026-11-21T09:00:00Z");
    issue["title"] = json!("Checkout works again");
    let mut book = exchanges("identify", "success.json");
    // Read, looked at and found unchanged, looked at and found changed, read again.
    book.extend(
        [
            whole.clone(),
            vec![whole[0].clone()],
            vec![changed[0].clone()],
            changed,
        ]
        .concat(),
    );
    let world = World::strict(sqlite(), "github", book).await;
    let app = world.app().await;
    let alice = app.person("alice@example.test").await;
    alice.connect("github", "alice-dev").await;

    let wanted = json!({ "notifications": { "resourceSubscriptions": [ISSUE] } });
    let listening = alice.mcp.build(&json!(7), "subscriptions/listen", wanted);
    let mut told = messages(listening.send().await.unwrap());
    let acknowledged = told.next().await.unwrap();
    let accepted = &acknowledged["params"]["notifications"]["resourceSubscriptions"];
    assert_eq!(*accepted, json!([ISSUE]));

    let shown = async || {
        let before = world.api_calls("github");
        let read = alice.mcp.read(ISSUE).await;
        assert_eq!(read.code(), "ok", "{}", read.body);
        let contents = read.body["result"]["contents"][0].clone();
        (contents, world.api_calls("github") - before)
    };
    let (first, requests) = shown().await;
    assert_eq!(requests, 3);
    world.advance(Duration::from_mins(5));
    let (second, requests) = shown().await;
    assert_eq!(requests, 1);
    assert_eq!(first["text"], second["text"]);
    let when = |contents: &Value, which: &str| {
        let instant = contents["_meta"][format!("workbench-mcp/{which}")].as_str();
        instant.unwrap().to_owned()
    };
    assert_eq!(when(&first, "fetched_at"), when(&second, "fetched_at"));
    assert_eq!(when(&first, "fetched_at"), when(&first, "checked_at"));
    assert!(when(&second, "checked_at") > when(&second, "fetched_at"));

    let (third, requests) = shown().await;
    assert_eq!(requests, 4);
    assert!(
        third["text"]
            .as_str()
            .unwrap()
            .contains("Checkout works again")
    );
    assert_eq!(when(&third, "fetched_at"), when(&third, "checked_at"));
    let heard = tokio::time::timeout(Duration::from_secs(20), told.next()).await;
    let heard = heard.unwrap().unwrap();
    assert_eq!(heard["method"], "notifications/resources/updated");
    assert_eq!(heard["params"]["uri"], ISSUE);
    assert_eq!(world.sandbox.complaints(), Vec::<String>::new());
}
