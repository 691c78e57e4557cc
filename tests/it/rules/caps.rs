//! Daily caps and limits per minute: counted once however many processes there are, and said clearly when reached.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};
use workbench_mcp::caller::Role;

use super::{command, connected, refused, rows, settings};
use crate::harness::app::{Person, for_each_world, still, until};
use crate::harness::http::Reply;

fn issue() -> Value {
    json!({
        "repo": "acme/site", "title": "Cart total is wrong", "body": "Two items cost as much as one.",
        "labels": ["bug"], "assignees": ["bob-ops"],
    })
}

async fn save(person: &Person) -> Reply {
    person.mcp.call("github_save_issue", issue()).await
}

fn message(reply: &Reply) -> String {
    reply.error()["message"]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

/// Two processes, twenty calls at once, five allowed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_together_never_pass_a_cap() {
    for_each_world(false, async |world| {
        let commands = settings(&world);
        let cap = ["policy", "caps", "set", "github_save_issue", "5", "--per", "organization"];
        let (one, two) = (world.app().await, world.app().await);
        let alice = connected(&one, "alice@example.test", Role::Member).await;
        let bob = connected(&two, "bob@example.test", Role::Member).await;
        command(&commands, &cap).await;
        // Both hear of it before anything is counted.
        world.advance(Duration::from_secs(61));
        let people = [&alice, &bob, &one.as_seen_here(&bob), &two.as_seen_here(&alice)].map(Clone::clone);
        let calls = (0..20).map(|at| save(&people[at % people.len()]));
        let replies = join_all(calls).await;
        let done = replies.iter().filter(|reply| reply.code() == "ok").count();
        assert_eq!(done, 5, "{}", world.database.name);
        for reply in replies.iter().filter(|reply| reply.code() != "ok") {
            assert_eq!(reply.code(), "rate_limited", "{}", reply.body);
            assert_eq!(
                message(reply),
                "the daily cap of 5 calls of github_save_issue for the organization is reached; it resets at 2026-11-21T00:00:00Z, or an admin raises it"
            );
            let wait = reply.error()["retry_after_s"].as_u64().unwrap();
            assert!((43_000..=43_201).contains(&wait), "{wait}");
        }
        let sent = world.report("github").counters.api_calls;
        let posted: u64 = sent
            .iter()
            .filter(|(call, _)| call.starts_with("POST") && call.ends_with("/issues"))
            .map(|(_, count)| count)
            .sum();
        assert_eq!(posted, 5, "{sent:?}");
        let listed = rows(&commands, &["policy", "caps", "list"]).await;
        // The command's own clock runs, so its today is another day.
        assert_eq!(listed[0]["calls_a_day"], 5);
        // Raising it goes on counting; the next day begins a new count.
        let raised = ["policy", "caps", "set", "github_save_issue", "6", "--per", "organization"];
        command(&commands, &raised).await;
        world.advance(Duration::from_secs(61));
        assert_eq!(save(&alice).await.code(), "ok");
        assert_eq!(save(&bob).await.code(), "rate_limited");
        world.advance(Duration::from_hours(12));
        assert_eq!(save(&bob).await.code(), "ok");
    })
    .await;
}

#[tokio::test]
async fn only_calls_that_reach_somebody_count() {
    let (world, app) = still().await;
    let commands = settings(&world);
    let alice = connected(&app, "alice@example.test", Role::Member).await;
    let bob = connected(&app, "bob@example.test", Role::Member).await;
    command(&commands, &["policy", "caps", "set", "github_*", "2"]).await;
    world.advance(Duration::from_secs(61));
    let uncounted = [
        (
            "wrong arguments",
            json!({ "no_such_argument": 1 }),
            "invalid_input",
        ),
        // The tool itself refuses, before it asks GitHub anything.
        (
            "no title",
            json!({ "repo": "acme/site", "body": "x" }),
            "invalid_input",
        ),
        (
            "another account",
            json!({ "repo": "acme/site", "title": "x", "account": "nobody" }),
            "ambiguous_account",
        ),
    ];
    for (what, arguments, code) in uncounted.clone() {
        let reply = alice.mcp.call("github_save_issue", arguments).await;
        assert_eq!(reply.code(), code, "{what}: {}", reply.body);
    }
    let mut dry = issue();
    dry["dry_run"] = json!(true);
    let reply = alice.mcp.call("github_save_issue", dry).await;
    assert_ne!(reply.code(), "rate_limited", "{}", reply.body);
    assert_eq!(alice.viewer().await.code(), "ok");
    for (expected, person) in [
        ("ok", &alice),
        ("ok", &alice),
        ("rate_limited", &alice),
        // Each person has a count of their own.
        ("ok", &bob),
        ("ok", &bob),
        ("rate_limited", &bob),
    ] {
        let reply = save(person).await;
        assert_eq!(reply.code(), expected, "{}", reply.body);
    }
    // Reading is not outward-facing, and a cap that is taken away caps nothing.
    assert_eq!(alice.viewer().await.code(), "ok");
    command(&commands, &["policy", "caps", "remove", "github_*"]).await;
    world.advance(Duration::from_secs(61));
    assert_eq!(save(&alice).await.code(), "ok");
    let outcomes: Vec<_> = app.logged("tool.outcome").await;
    let limited = outcomes
        .iter()
        .filter(|entry| entry.outcome == "rate_limited");
    assert_eq!(limited.count(), 2);
}

#[tokio::test]
async fn nobody_crowds_out_the_others() {
    let (world, app) = still().await;
    let commands = settings(&world);
    let alice = connected(&app, "alice@example.test", Role::Member).await;
    let bob = connected(&app, "bob@example.test", Role::Member).await;
    command(&commands, &["policy", "limits", "--person", "3"]).await;
    world.advance(Duration::from_secs(61));
    for _ in 0..3 {
        assert_eq!(alice.viewer().await.code(), "ok");
    }
    let calls = world.api_calls("github");
    for refused in [
        alice.viewer().await,
        alice.mcp.call("hubspot_get_account", json!({})).await,
        alice.mcp.read("github://alice-dev/acme/site").await,
    ] {
        assert_eq!(refused.code(), "rate_limited", "{}", refused.body);
        let told = message(&refused);
        let expected = "you have made the 3 calls a minute that your organization allows a person; try again in";
        assert!(told.starts_with(expected), "{told}");
        assert!((1..=21).contains(&refused.error()["retry_after_s"].as_u64().unwrap()));
    }
    assert_eq!(world.api_calls("github"), calls, "nothing left the house");
    assert_eq!(bob.viewer().await.code(), "ok");

    command(
        &commands,
        &["policy", "limits", "--person", "0", "--integration", "2"],
    )
    .await;
    world.advance(Duration::from_secs(61));
    assert_eq!(alice.viewer().await.code(), "ok");
    assert_eq!(bob.viewer().await.code(), "ok");
    let refused = bob.viewer().await;
    assert!(
        message(&refused).starts_with(
            "your organization has made the 2 calls a minute that it allows at GitHub; try again in"
        ),
        "{}",
        refused.body
    );
    let elsewhere = bob.mcp.call("hubspot_get_account", json!({})).await;
    assert_eq!(elsewhere.code(), "ok", "{}", elsewhere.body);
    let told = command(
        &commands,
        &["policy", "limits", "--integration", "0", "--json"],
    )
    .await;
    let told: Value = serde_json::from_str(&told).unwrap();
    assert_eq!(
        told,
        json!({ "person_per_minute": null, "integration_per_minute": null })
    );
    until("the limit is lifted", async || {
        world.advance(Duration::from_secs(61));
        (bob.viewer().await.code() == "ok").then_some(())
    })
    .await;
}

#[tokio::test]
async fn caps_are_only_for_calls_that_reach_people() {
    let (world, _app) = still().await;
    let commands = settings(&world);
    for (arguments, expected) in [
        (
            &["policy", "caps", "set", "hubspot_log_activity", "5"][..],
            "caps count calls that reach people outside, and hubspot_log_activity does not; those tools are github_save_issue, github_propose_change",
        ),
        (
            &["policy", "caps", "set", "github_sved_issue", "5"],
            "no tool or block is called \"github_sved_issue\"",
        ),
        (
            &["policy", "caps", "set", "github_save_issue", "0"],
            "invalid value '0'",
        ),
        (
            &["policy", "caps", "remove", "github_save_issue"],
            "there is no cap of github_save_issue per person",
        ),
    ] {
        let told = refused(&commands, arguments).await;
        assert!(told.contains(expected), "{arguments:?}: {told}");
    }
}
