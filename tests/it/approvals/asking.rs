//! From the question to the one use of its answer.

use std::time::Duration;

use http::StatusCode;
use workbench_mcp::sandbox::{Fault, Place};

use super::*;
use crate::harness::app::{for_each_world, until};
use crate::harness::database::{postgres, sqlite};
use crate::harness::process::{Process, free_address};

#[tokio::test]
async fn a_yes_is_for_exactly_one_call() {
    for_each_world(false, async |world| {
        let app = world.app().await;
        let alice = asked_about(&app).await;
        let asked = question(&alice.mcp.call(WRITE, issue("hello")).await);
        assert_eq!(issues(&world), 0);
        // Asking again is the same question, in whatever order the arguments come; other arguments are another one.
        let reordered = json!({ "title": "hello", "repo": "acme/site", "number": null });
        assert_eq!(
            question(&alice.mcp.call(WRITE, reordered.clone()).await),
            asked
        );
        let other = question(&alice.mcp.call(WRITE, issue("hello!")).await);
        assert_ne!(other, asked);
        // A dry run changes nothing and needs nobody.
        let mut dry = issue("hello");
        dry["dry_run"] = json!(true);
        assert_eq!(alice.mcp.call(WRITE, dry).await.code(), "ok");
        let page = alice.answer(&asked, "approve").await;
        assert_eq!(page.status, StatusCode::OK, "{}", page.text);
        // The yes to one is none to the other.
        assert_eq!(
            question(&alice.mcp.call(WRITE, issue("hello!")).await),
            other
        );
        assert_eq!(issues(&world), 0);
        let reply = alice.mcp.call(WRITE, reordered).await;
        assert_eq!(reply.code(), "ok", "{}", reply.body);
        assert_eq!(issues(&world), 1);
        // Used once, it is used up.
        let anew = question(&alice.mcp.call(WRITE, issue("hello")).await);
        assert_ne!(anew, asked);
        assert_eq!(issues(&world), 1);

        let kinds = [
            ("approval.asked", 3),
            ("approval.approved", 1),
            ("approval.used", 1),
            ("approval.refused", 0),
        ];
        for (kind, count) in kinds {
            assert_eq!(app.logged(kind).await.len(), count, "{kind}");
        }
        let used = app.logged("tool.outcome").await;
        let used: Vec<_> = used
            .iter()
            .filter(|entry| entry.detail["detail"]["approval"].is_string())
            .collect();
        assert_eq!(used.len(), 1);
        assert!(asked.ends_with(used[0].detail["detail"]["approval"].as_str().unwrap()));
        app.verify().await;
    })
    .await;
}

#[tokio::test]
async fn a_no_holds_until_the_question_ends() {
    let world = World::still(sqlite()).await;
    let app = world.app().await;
    let alice = asked_about(&app).await;
    let asked = question(&alice.mcp.call(WRITE, issue("hello")).await);
    let page = alice.answer(&asked, "deny").await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.text);
    let reply = alice.mcp.call(WRITE, issue("hello")).await;
    assert_eq!(reply.code(), "blocked_by_policy", "{}", reply.body);
    // A decision is not taken back.
    let page = alice.answer(&asked, "approve").await;
    assert_eq!(page.status, StatusCode::CONFLICT, "{}", page.text);
    let refused = app.logged("approval.refused").await;
    assert_eq!(refused[0].outcome, "denied");
    world.advance(Duration::from_hours(2));
    assert_ne!(
        question(&alice.mcp.call(WRITE, issue("hello")).await),
        asked
    );
    assert_eq!(issues(&world), 0);
}

#[tokio::test]
async fn an_answer_comes_too_late() {
    let world = World::still(sqlite()).await;
    let app = world.app().await;
    let alice = asked_about(&app).await;
    // The question ends before its answer.
    let asked = question(&alice.mcp.call(WRITE, issue("slow")).await);
    world.advance(Duration::from_mins(61));
    let page = alice.answer(&asked, "approve").await;
    assert_eq!(page.status, StatusCode::GONE, "{}", page.text);
    assert_eq!(app.logged("approval.refused").await[0].outcome, "expired");
    // The answer ends before its use.
    let asked = question(&alice.mcp.call(WRITE, issue("late")).await);
    alice.answer(&asked, "approve").await;
    world.advance(Duration::from_mins(61));
    assert_ne!(question(&alice.mcp.call(WRITE, issue("late")).await), asked);
    assert_eq!(issues(&world), 0);
}

#[tokio::test]
async fn policy_has_the_last_word() {
    let world = World::still(sqlite()).await;
    let app = world.app().await;
    let alice = asked_about(&app).await;
    let approved = question(&alice.mcp.call(WRITE, issue("approved")).await);
    let waiting = question(&alice.mcp.call(WRITE, issue("waiting")).await);
    alice.answer(&approved, "approve").await;
    no_rules(&app).await;
    rule(&app, WRITE, "deny").await;
    let reply = alice.mcp.call(WRITE, issue("approved")).await;
    assert_eq!(reply.code(), "blocked_by_policy", "{}", reply.body);
    let page = alice.answer(&waiting, "approve").await;
    assert_eq!(page.status, StatusCode::CONFLICT);
    assert!(page.text.contains("No longer allowed"), "{}", page.text);
    let refused = app.logged("approval.refused").await;
    assert_eq!(refused[0].outcome, "blocked_by_policy");
    // A no is always possible.
    assert_eq!(alice.answer(&waiting, "deny").await.status, StatusCode::OK);
    // Where no rule asks any more, nobody is asked, and an old yes stays what it was: for one call.
    no_rules(&app).await;
    assert_eq!(alice.mcp.call(WRITE, issue("approved")).await.code(), "ok");
    assert_eq!(issues(&world), 1);
}

#[tokio::test]
async fn reads_are_asked_about_when_a_rule_says_so() {
    let world = World::still(sqlite()).await;
    let app = world.app().await;
    rule(&app, "github_get_viewer", "ask").await;
    let alice = connected(&app, "alice@example.test").await;
    let asked = question(&alice.mcp.call("github_get_viewer", json!({})).await);
    alice.answer(&asked, "approve").await;
    let read = async || alice.mcp.call("github_get_viewer", json!({})).await;
    assert_eq!(read().await.code(), "ok");
    assert_ne!(question(&read().await), asked);
}

#[tokio::test]
async fn a_call_that_did_nothing_gives_its_yes_back() {
    for (fault, code, kept) in [
        (Fault::Fail { status: 422 }, "invalid_input", true),
        (Fault::RateLimit { retry_after_s: 60 }, "rate_limited", true),
        (Fault::Fail { status: 503 }, "upstream_unavailable", false),
        (Fault::CutOff, "upstream_unavailable", false),
    ] {
        let world = World::still(sqlite()).await;
        let app = world.app().await;
        let alice = asked_about(&app).await;
        let asked = question(&alice.mcp.call(WRITE, issue("hello")).await);
        alice.answer(&asked, "approve").await;
        world.misbehave("github", Place::Api, 1, fault.clone());
        let failed = alice.mcp.call(WRITE, issue("hello")).await;
        assert_eq!(failed.code(), code, "{fault:?}: {}", failed.body);
        let message = failed.error()["message"].as_str().unwrap();
        let again = alice.mcp.call(WRITE, issue("hello")).await;
        if kept {
            assert!(message.contains("approval still holds"), "{message}");
            assert_eq!(again.code(), "ok", "{fault:?}: {}", again.body);
            assert_eq!(app.logged("approval.returned").await.len(), 1);
            assert_eq!(app.logged("approval.used").await.len(), 2);
        } else {
            assert!(message.contains("approval is used up"), "{message}");
            assert_ne!(question(&again), asked, "{fault:?}");
        }
    }
}

#[tokio::test]
async fn a_key_is_free_until_the_yes_is_there() {
    let world = World::still(sqlite()).await;
    let app = world.app().await;
    let alice = asked_about(&app).await;
    let mut arguments = issue("hello");
    arguments["idempotency_key"] = json!("k1");
    let asked = question(&alice.mcp.call(WRITE, arguments.clone()).await);
    // The key is no part of what is approved.
    assert_eq!(
        question(&alice.mcp.call(WRITE, issue("hello")).await),
        asked
    );
    alice.answer(&asked, "approve").await;
    for _ in 0..2 {
        let reply = alice.mcp.call(WRITE, arguments.clone()).await;
        assert_eq!(reply.code(), "ok", "a replay needs no second yes");
    }
    assert_eq!(issues(&world), 1);
}

#[tokio::test]
async fn nobody_drowns_in_questions() {
    let world = World::still(sqlite()).await;
    let app = world.app().await;
    let alice = asked_about(&app).await;
    for at in 0..50 {
        // Our own pace is real time; the provider's bucket is larger than that.
        let reply = alice.mcp.call(WRITE, issue(&format!("issue {at}"))).await;
        if reply.code() == "rate_limited" {
            continue;
        }
        question(&reply);
    }
    let open = world
        .database
        .numbers("select count(*) from approvals where state = 'waiting'")
        .await[0];
    for at in open..50 {
        world
            .database
            .execute(&format!(
                "insert into approvals (id, org_id, user_id, approver, tool, integration, connection_id, account, digest, why, \
                 scopes, client, call_id, created_at, expires_at, state) select randomblob(16), org_id, user_id, approver, tool, \
                 integration, connection_id, account, 'filler {at}', why, scopes, client, call_id, created_at, expires_at, state \
                 from approvals limit 1"
            ))
            .await;
    }
    let reply = until("our pace lets it through", async || {
        let reply = alice.mcp.call(WRITE, issue("one too many")).await;
        (reply.code() != "rate_limited").then_some(reply)
    })
    .await;
    assert_eq!(reply.code(), "approval_required");
    let link = reply.error()["action_url"].as_str().unwrap();
    assert!(link.ends_with("/approvals"), "{}", reply.body);
}

#[tokio::test]
async fn asked_on_one_process_given_on_another_used_on_the_first_and_across_a_restart() {
    let Some(database) = postgres().await else {
        return;
    };
    let world = World::running(database).await;
    let app = world.app().await;
    let alice = asked_about(&app).await;
    let settings = world.settings(free_address());
    let mut process = Process::serve(&settings).await;
    let mut there = alice.clone();
    there.mcp.endpoint = format!("{}/mcp", process.url);
    there.base.clone_from(&process.url);

    let asked = question(&there.mcp.call(WRITE, issue("two processes")).await);
    assert_eq!(alice.answer(&asked, "approve").await.status, StatusCode::OK);
    let reply = there.mcp.call(WRITE, issue("two processes")).await;
    assert_eq!(reply.code(), "ok", "{}", reply.body);

    let asked = question(&there.mcp.call(WRITE, issue("restart")).await);
    process.kill().await;
    let process = Process::serve(&settings).await;
    assert_eq!(there.answer(&asked, "approve").await.status, StatusCode::OK);
    process.terminate().await;
    let reply = alice.mcp.call(WRITE, issue("restart")).await;
    assert_eq!(reply.code(), "ok", "{}", reply.body);
    assert_eq!(issues(&world), 2);
    app.verify().await;
}

#[tokio::test]
async fn one_yes_and_many_callers_is_one_call() {
    for_each_world(true, async |world| {
        let app = world.app().await;
        let other = world.app().await;
        let alice = asked_about(&app).await;
        let there = other.as_seen_here(&alice);
        let asked = question(&alice.mcp.call(WRITE, issue("race")).await);
        alice.answer(&asked, "approve").await;
        let calls = (0..16).map(|at| {
            let who = if at % 2 == 0 { &alice } else { &there };
            who.mcp.call(WRITE, issue("race"))
        });
        let replies = futures_util::future::join_all(calls).await;
        let done = replies.iter().filter(|reply| reply.code() == "ok").count();
        assert_eq!((done, issues(&world)), (1, 1));
        let anew: std::collections::BTreeSet<_> = replies
            .iter()
            .filter(|reply| reply.code() != "ok")
            .map(question)
            .collect();
        assert_eq!(anew.len(), 1, "one question for all of them");
    })
    .await;
}
