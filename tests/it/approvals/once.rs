//! Writes with an idempotency key.

use std::time::Duration;

use futures_util::future::join_all;
use workbench_mcp::sandbox::{Command, Fault, Place};

use super::*;
use crate::harness::app::{for_each_world, until};
use crate::harness::database::{postgres, sqlite};
use crate::harness::process::{Process, free_address};

fn keyed(body: &str, key: &str) -> Value {
    let mut arguments = issue(body);
    arguments["idempotency_key"] = json!(key);
    arguments
}

fn replayed(reply: &Reply) -> bool {
    reply.body["result"]["_meta"]["workbench-mcp/replayed"].is_string()
}

#[tokio::test]
async fn the_same_key_answers_what_the_first_call_did() {
    for_each_world(false, async |world| {
        let app = world.app().await;
        let alice = connected(&app, "alice@example.test").await;
        let bob = connected(&app, "bob@example.test").await;
        // What is sent, the code, whether it is a replay, and how many issues there are afterwards.
        let with = |change: fn(&mut Value)| {
            let mut arguments = keyed("hello", "k1");
            change(&mut arguments);
            arguments
        };
        let reordered = json!({ "idempotency_key": "k1", "title": "hello", "repo": "acme/site" });
        for (what, who, arguments, code, replay, written) in [
            ("first", &alice, keyed("hello", "k1"), "ok", false, 1),
            ("again", &alice, keyed("hello", "k1"), "ok", true, 1),
            ("in another order", &alice, reordered, "ok", true, 1),
            (
                "null is left out",
                &alice,
                with(|arguments| arguments["number"] = Value::Null),
                "ok",
                true,
                1,
            ),
            (
                "other text",
                &alice,
                keyed("other", "k1"),
                "conflict",
                false,
                1,
            ),
            (
                "another account",
                &alice,
                with(|arguments| arguments["account"] = json!("elsewhere")),
                "conflict",
                false,
                1,
            ),
            (
                "a dry run uses no key",
                &alice,
                with(|arguments| arguments["dry_run"] = json!(true)),
                "ok",
                false,
                1,
            ),
            ("another key", &alice, keyed("hello", "k2"), "ok", false, 2),
            (
                "somebody else's key",
                &bob,
                keyed("hello", "k1"),
                "ok",
                false,
                3,
            ),
            ("no key", &alice, issue("hello"), "ok", false, 4),
            (
                "a key that is too long",
                &alice,
                keyed("hello", &"k".repeat(256)),
                "invalid_input",
                false,
                4,
            ),
        ] {
            let reply = who.mcp.call(WRITE, arguments).await;
            assert_eq!(reply.code(), code, "{what}: {}", reply.body);
            assert_eq!(replayed(&reply), replay, "{what}: {}", reply.body);
            assert_eq!(issues(&world), written, "{what}");
        }
        // The answer is the first one's, but for the sentence that says so.
        let first = alice.mcp.call(WRITE, keyed("third", "k3")).await;
        let again = alice.mcp.call(WRITE, keyed("third", "k3")).await;
        assert_eq!(first.items(), again.items());
        assert_eq!(first.account(), again.account());
        let warnings = &again.body["result"]["structuredContent"]["warnings"];
        let call = first.body["result"]["_meta"]["workbench-mcp/call"].as_str();
        assert!(warnings.to_string().contains(call.unwrap()), "{warnings}");
        let logged = app.logged("tool.outcome").await;
        let replays = logged
            .iter()
            .filter(|entry| entry.detail["detail"]["replayed"].is_string());
        assert_eq!(replays.count(), 4, "{logged:?}");
        // A tool that only reads has no such argument.
        let read = json!({ "idempotency_key": "k1" });
        let reply = alice.mcp.call("github_get_viewer", read).await;
        assert_eq!(reply.code(), "invalid_input");
        // After a day the key means nothing any more.
        world.advance(Duration::from_hours(25));
        let before = issues(&world);
        let reply = alice.mcp.call(WRITE, keyed("other", "k1")).await;
        assert_eq!((reply.code(), replayed(&reply)), ("ok", false));
        assert_eq!(issues(&world), before + 1);
        app.verify().await;
    })
    .await;
}

#[tokio::test]
async fn what_is_kept_is_sealed() {
    let world = World::still(sqlite()).await;
    let app = world.app().await;
    let alice = connected(&app, "alice@example.test").await;
    let reply = alice.mcp.call(WRITE, keyed("hello", "my-key")).await;
    assert_eq!(reply.code(), "ok");
    for hidden in ["my-key", "hello", "items", "acme"] {
        let found = world
            .database
            .numbers(&format!(
                "select count(*) from idempotency where instr(sealed, '{hidden}') > 0 or instr(arguments, '{hidden}') > 0 \
                 or instr(key_hash, '{hidden}') > 0"
            ))
            .await;
        assert_eq!(found, [0], "{hidden}");
    }
    // Somebody who can write rows cannot give one person another one's answer.
    let bob = connected(&app, "bob@example.test").await;
    let id = |person: &Person| person.row.id.uuid().simple().to_string();
    world
        .database
        .execute(&format!(
            "insert into idempotency select org_id, x'{}', tool, key_hash, call_id, arguments, state, connection_id, sealed, \
             lease_until, expires_at from idempotency",
            id(&bob)
        ))
        .await;
    // Not even the digest of the arguments fits.
    let reply = bob.mcp.call(WRITE, keyed("hello", "my-key")).await;
    assert_eq!(reply.code(), "conflict", "{}", reply.body);
}

#[tokio::test]
async fn concurrent_duplicates_wait_for_the_first() {
    for_each_world(true, async |world| {
        let app = world.app().await;
        let there = world.app().await;
        let alice = connected(&app, "alice@example.test").await;
        let seen_there = there.as_seen_here(&alice);
        let calls = (0..50).map(|at| {
            let who = if at % 2 == 0 { &alice } else { &seen_there };
            who.mcp.call(WRITE, keyed("once", "race"))
        });
        let replies = join_all(calls).await;
        for reply in &replies {
            assert_eq!(reply.code(), "ok", "{}", reply.body);
            assert_eq!(reply.items(), replies[0].items());
        }
        let fresh = replies.iter().filter(|reply| !replayed(reply));
        assert_eq!(fresh.count(), 1);
        assert_eq!(issues(&world), 1);
    })
    .await;
}

#[tokio::test]
async fn how_the_first_call_failed_decides_about_the_key() {
    // What happens to the first, its code, and what the second is told.
    for (fault, first, second, written) in [
        (
            Fault::Fail { status: 503 },
            "upstream_unavailable",
            "conflict",
            1,
        ),
        (Fault::CutOff, "upstream_unavailable", "conflict", 1),
        (Fault::Fail { status: 422 }, "invalid_input", "ok", 2),
        (Fault::Fail { status: 403 }, "insufficient_scope", "ok", 2),
        (
            Fault::RateLimit { retry_after_s: 60 },
            "rate_limited",
            "ok",
            2,
        ),
    ] {
        let world = World::still(sqlite()).await;
        let app = world.app().await;
        let alice = connected(&app, "alice@example.test").await;
        world.misbehave("github", Place::Api, 1, fault.clone());
        let reply = alice.mcp.call(WRITE, keyed("hello", "k1")).await;
        assert_eq!(reply.code(), first, "{fault:?}: {}", reply.body);
        let reply = alice.mcp.call(WRITE, keyed("hello", "k1")).await;
        assert_eq!(reply.code(), second, "{fault:?}: {}", reply.body);
        if second == "conflict" {
            let message = reply.error()["message"].as_str().unwrap();
            assert!(message.contains("look whether it happened"), "{message}");
        }
        assert_eq!(issues(&world), written, "{fault:?}");
    }
    // Nothing was sent at all.
    let world = World::still(sqlite()).await;
    let app = world.app().await;
    let alice = app.person("alice@example.test").await;
    let reply = alice.mcp.call(WRITE, keyed("hello", "k1")).await;
    assert_eq!(reply.code(), "connection_missing");
    alice.connect("github", "alice-dev").await;
    let reply = alice.mcp.call(WRITE, keyed("hello", "k1")).await;
    assert_eq!((reply.code(), replayed(&reply)), ("ok", false));
}

#[tokio::test]
async fn a_caller_that_hangs_up_leaves_the_key_as_the_work_stood() {
    let world = World::running(sqlite()).await;
    let app = world.app().await;
    let alice = connected(&app, "alice@example.test").await;
    world.misbehave("github", Place::Api, 1, Fault::Stall { ms: 60_000 });
    let client = alice.clone();
    let call = tokio::spawn(async move { client.mcp.call(WRITE, keyed("hello", "k1")).await });
    until("the provider has the request", async || {
        (issues(&world) == 1).then_some(())
    })
    .await;
    call.abort();
    assert!(call.await.is_err());
    let reply = alice.mcp.call(WRITE, keyed("hello", "k1")).await;
    assert_eq!(reply.code(), "conflict", "{}", reply.body);
    assert_eq!(issues(&world), 1);
}

#[tokio::test]
async fn a_first_call_that_died_is_never_made_again_by_itself() {
    let Some(database) = postgres().await else {
        return;
    };
    let world = World::running(database).await;
    let app = world.app().await;
    let alice = connected(&app, "alice@example.test").await;
    let mut process = Process::serve(&world.settings(free_address())).await;
    let mut there = alice.clone();
    there.mcp.endpoint = format!("{}/mcp", process.url);
    world.misbehave("github", Place::Api, 1, Fault::Stall { ms: 60_000 });
    let call = tokio::spawn(async move {
        let params = json!({ "name": WRITE, "arguments": keyed("hello", "k1") });
        let request = there.mcp.build(&json!(1), "tools/call", params);
        request.send().await
    });
    until("the provider has the request", async || {
        (issues(&world) == 1).then_some(())
    })
    .await;
    process.kill().await;
    let answered = call.await.unwrap();
    assert!(answered.is_err() || answered.unwrap().bytes().await.is_err());
    // The lease runs out after some seconds; the test does not wait for it.
    world
        .database
        .execute("update idempotency set lease_until = 1 where state = 'running'")
        .await;
    let reply = alice.mcp.call(WRITE, keyed("hello", "k1")).await;
    assert_eq!(reply.code(), "conflict", "{}", reply.body);
    assert_eq!(issues(&world), 1);
    world.tell("github", Command::Behave);
    let reply = alice.mcp.call(WRITE, keyed("hello", "k2")).await;
    assert_eq!(reply.code(), "ok");
}
