//! A refresh that nobody learns the end of. With a provider that kills the old token at once it cannot always be saved;
//! it is noticed, told, and not tried for ever.

use super::*;
use crate::harness::process::{Process, free_address};

fn rotating(world: &World, rotation: Rotation) {
    world.set(
        "github",
        Settings {
            rotation: Some(rotation),
            ..Settings::default()
        },
    );
}

async fn is_lost(app: &TestApp, alice: &Person) {
    let row = app.row(alice).await;
    assert_eq!(
        (row.status, row.reason.as_deref()),
        (Status::Expired, Some("lost_rotation"))
    );
    let (status, reason) = alice.mcp.status("github").await;
    assert_eq!(
        (status.as_str(), reason.as_str()),
        (
            "Expired",
            "a renewed access was lost before it was saved; reconnect"
        )
    );
    let logged = app.logged("connection.expired").await;
    assert_eq!(logged[0].detail["detail"]["reason"], "lost_rotation");
}

#[tokio::test]
async fn an_answer_that_never_arrives() {
    for rotation in [
        Rotation::Strict,
        Rotation::StrictFamily,
        Rotation::Grace,
        Rotation::None,
    ] {
        let (world, app) = still().await;
        let alice = connected(&app).await;
        rotating(&world, rotation);
        world.advance(LIFE);
        world.misbehave("github", Place::Token, 1, Fault::CutOff);
        let reply = alice.issues().await;
        assert_eq!(world.refresh_calls("github"), 2, "{rotation:?}");
        match rotation {
            Rotation::Strict | Rotation::StrictFamily => {
                assert_eq!(reply.code(), "reauth_required", "{rotation:?}");
                is_lost(&app, &alice).await;
                world.advance(Duration::from_hours(24));
                alice.issues().await;
                assert_eq!(world.refresh_calls("github"), 2, "no storm: {rotation:?}");
            }
            Rotation::Grace | Rotation::None => assert_eq!(reply.code(), "ok", "{rotation:?}"),
        }
    }
}

/// What a new process makes of a refresh at which another one died.
async fn recover(world: &World, app: &TestApp, alice: &Person) -> String {
    // The lease runs out after a minute; the test does not wait for it.
    world
        .database
        .execute("update connections set lease_until = 1 where lease_until is not null")
        .await;
    alice.issues().await.code().to_owned() + &format!(" {:?}", app.row(alice).await.status)
}

#[tokio::test]
async fn a_process_killed_between_the_answer_and_its_storage() {
    for (rotation, expected) in [
        (Rotation::Strict, "reauth_required Expired"),
        (Rotation::Grace, "ok Connected"),
    ] {
        let world = World::running(sqlite()).await;
        let app = world.app().await;
        let alice = connected(&app).await;
        let mut process = Process::serve(&world.settings(free_address())).await;
        let mut there = alice.clone();
        there.mcp.endpoint = format!("{}/mcp", process.url);
        // The provider exchanges the token at once and answers late.
        let token_latency_ms = 60_000;
        world.set(
            "github",
            Settings {
                token_latency_ms,
                rotation: Some(rotation),
                access_s: None,
            },
        );
        world.tell("github", Command::ExpireAccessTokens);
        let caller = tokio::spawn(async move {
            there
                .mcp
                .build(
                    &json!(1),
                    "tools/call",
                    json!({ "name": "github_list_issues", "arguments": { "repo": "acme/site" } }),
                )
                .send()
                .await
        });
        until("the provider has exchanged the token", async || {
            (world.report("github").grants[0].refreshes == 1).then_some(())
        })
        .await;
        process.kill().await;
        assert!(caller.await.unwrap().is_err(), "nobody answers");
        rotating(&world, rotation);
        assert_eq!(
            recover(&world, &app, &alice).await,
            expected,
            "{rotation:?}"
        );
        assert_eq!(world.refresh_calls("github"), 2, "{rotation:?}");
        if rotation == Rotation::Strict {
            is_lost(&app, &alice).await;
        }
        app.verify().await;
    }
}

/// At each named point of a refresh: how it ends with a strict provider, and how often that was asked.
const POINTS: [(&str, &str, u64); 4] = [
    ("refresh.claimed", "ok Connected", 1),
    ("refresh.after_response", "reauth_required Expired", 2),
    ("refresh.sealed", "reauth_required Expired", 2),
    ("refresh.committed", "ok Connected", 1),
];

#[tokio::test]
async fn a_process_that_dies_at_each_step() {
    if !cfg!(feature = "test-faults") {
        eprintln!("SKIPPED: the fault points are only in builds with `--features test-faults`");
        return;
    }
    for (point, expected, calls) in POINTS {
        let world = World::running(sqlite()).await;
        let app = world.app().await;
        let alice = connected(&app).await;
        let mut settings = world.settings(free_address());
        settings.insert("FAULT".to_owned(), format!("{point}:abort"));
        let mut process = Process::serve(&settings).await;
        let mut there = alice.clone();
        there.mcp.endpoint = format!("{}/mcp", process.url);
        rotating(&world, Rotation::Strict);
        world.tell("github", Command::ExpireAccessTokens);
        let call = json!({ "name": "github_list_issues", "arguments": { "repo": "acme/site" } });
        let answer = there.mcp.build(&json!(1), "tools/call", call).send().await;
        assert!(answer.is_err(), "{point}: {answer:?}");
        assert!(!process.ended().await.success());
        assert_eq!(recover(&world, &app, &alice).await, expected, "{point}");
        assert_eq!(world.refresh_calls("github"), calls, "{point}");
        app.verify().await;
    }
}
