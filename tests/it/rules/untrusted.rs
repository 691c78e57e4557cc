//! After a conversation has read what others wrote, calls that reach people outside ask first, where the organization wants
//! it: in every process, for that conversation alone.

use std::time::Duration;

use serde_json::{Value, json};
use workbench_mcp::caller::Role;

use super::{command, connected, settings};
use crate::approvals::question;
use crate::harness::app::{Person, for_each_world};
use crate::harness::http::Reply;

fn issue(title: &str) -> Value {
    json!({ "repo": "acme/site", "title": title })
}

async fn read(person: &Person, thread: &str) -> Reply {
    let asked = json!({ "repo": "acme/site" });
    person
        .mcp
        .call_in(thread, "github_list_issues", asked)
        .await
}

async fn write(person: &Person, thread: &str, title: &str) -> Reply {
    let issue = issue(title);
    person.mcp.call_in(thread, "github_save_issue", issue).await
}

#[tokio::test]
async fn a_conversation_that_has_read_asks_before_it_reaches_out() {
    for_each_world(false, async |world| {
        let commands = settings(&world);
        let (one, two) = (world.app().await, world.app().await);
        let alice = connected(&one, "alice@example.test", Role::Member).await;
        let bob = connected(&one, "bob@example.test", Role::Member).await;
        let elsewhere = two.as_seen_here(&alice);
        // Without the switch nothing is noted, and nothing asked.
        assert_eq!(read(&alice, "before").await.code(), "ok");
        command(&commands, &["policy", "ask-after-untrusted", "on"]).await;
        world.advance(Duration::from_secs(61));
        assert_eq!(write(&alice, "before", "one").await.code(), "ok");

        assert_eq!(read(&alice, "led").await.code(), "ok");
        for person in [&alice, &elsewhere] {
            let reply = write(person, "led", "two").await;
            assert_eq!(reply.code(), "approval_required", "{}", reply.body);
            let said = reply.error()["message"].as_str().unwrap();
            assert!(said.contains("has read what others wrote"), "{said}");
        }
        // Another conversation of hers, and the same name in another person's mouth, are others.
        assert_eq!(write(&alice, "fresh", "three").await.code(), "ok");
        assert_eq!(write(&bob, "led", "four").await.code(), "ok");
        // What reaches nobody goes on, and so does a dry run.
        assert_eq!(read(&alice, "led").await.code(), "ok");
        let mut dry = issue("two");
        dry["dry_run"] = json!(true);
        let reply = alice.mcp.call_in("led", "github_save_issue", dry).await;
        assert_eq!(reply.code(), "ok", "{}", reply.body);

        // Calls without a thread are one conversation; a context block is reading too.
        assert_eq!(
            alice
                .mcp
                .call("github_save_issue", issue("five"))
                .await
                .code(),
            "ok"
        );
        let block = bob.mcp.read("github://alice-dev/acme/site").await;
        assert!(block.body["error"].is_null(), "{}", block.body);
        let reply = bob.mcp.call("github_save_issue", issue("six")).await;
        assert_eq!(reply.code(), "approval_required", "{}", reply.body);
        // After a day it is over.
        world.advance(Duration::from_hours(25));
        let reply = bob.mcp.call("github_save_issue", issue("six")).await;
        assert_eq!(reply.code(), "ok", "{}", reply.body);

        // A rule that allows the tool by name does not lift it; a person's yes does.
        command(
            &commands,
            &["policy", "add", "allow", "--tool", "github_save_issue"],
        )
        .await;
        world.advance(Duration::from_secs(61));
        let reply = write(&alice, "led", "seven").await;
        alice.answer(&question(&reply), "approve").await;
        assert_eq!(write(&alice, "led", "seven").await.code(), "ok");
        command(&commands, &["policy", "ask-after-untrusted", "off"]).await;
        world.advance(Duration::from_secs(61));
        assert_eq!(write(&alice, "led", "eight").await.code(), "ok");
    })
    .await;
}
