//! Every class of failure (security.md 4.4): what it does to the connection, and how often the provider is asked.

use super::*;

#[tokio::test]
async fn a_grant_that_is_gone_expires_at_once() {
    let (world, app) = still().await;
    let alice = connected(&app).await;
    let block = "github://alice-dev/acme/site";
    assert_eq!(alice.mcp.read(block).await.code(), "ok");
    world.tell("github", Command::Revoke { account: None });
    world.advance(LIFE);
    let refused = alice.issues().await;
    assert_eq!(refused.code(), "reauth_required");
    let link = refused.error()["action_url"].as_str().unwrap().to_owned();
    assert!(
        link.starts_with(&alice.at("/connect/github?reconnect=con_")),
        "{link}"
    );
    assert!(
        refused.error()["message"]
            .as_str()
            .unwrap()
            .contains("alice-dev expired; reconnect")
    );
    assert_eq!(world.refresh_calls("github"), 1);

    let row = app.row(&alice).await;
    assert_eq!(
        (row.status, row.reason.as_deref(), row.failures),
        (Status::Expired, Some("revoked"), 0)
    );
    assert_eq!(alice.mcp.tools().await, Vec::<String>::new());
    assert_eq!(alice.mcp.blocks().await, Vec::<String>::new());
    let read = alice.mcp.read(block).await;
    assert_eq!(read.code(), "reauth_required");
    assert_eq!(read.error()["action_url"], link);
    // A conversation that keeps the block shows why it says nothing, and never the old text.
    let shown = &read.body["result"]["contents"][0];
    assert!(
        shown["text"].as_str().unwrap().contains(link.as_str()),
        "{shown}"
    );
    assert_eq!(shown["_meta"]["workbench-mcp/untrusted"], false);
    let (status, reason) = alice.mcp.status("github").await;
    assert_eq!(
        (status.as_str(), reason.as_str()),
        ("Expired", "the provider took the access back; reconnect")
    );
    world.advance(Duration::from_hours(48));
    alice.issues().await;
    assert_eq!(world.refresh_calls("github"), 1, "never asked again");
    let logged = app.logged("connection.expired").await;
    assert_eq!(logged.len(), 1);
    assert_eq!(logged[0].detail["detail"]["reason"], "revoked");
}

#[tokio::test]
async fn a_wrong_app_secret_disconnects_nobody() {
    let (world, app) = still().await;
    let mut people = Vec::new();
    for name in ["ann", "ben", "cem", "dan", "eve"] {
        let person = app.person(&format!("{name}@example.test")).await;
        person.connect("github", "alice-dev").await;
        people.push(person);
    }
    let register = |client_secret: &str| {
        let (client_id, client_secret) = ("workbench-tests".to_owned(), client_secret.to_owned());
        world.tell(
            "github",
            Command::RegisterClient {
                client_id,
                client_secret,
            },
        );
    };
    register("another");
    world.advance(LIFE);
    let everybody_fails = async || {
        for person in people.iter().chain(&people) {
            let failed = person.issues().await;
            assert_eq!(failed.code(), "upstream_unavailable", "{}", failed.body);
            let message = failed.error()["message"].as_str().unwrap();
            assert!(message.contains("an admin must mend it"), "{message}");
        }
    };
    everybody_fails().await;
    // Callers ask once; the refresher, should it come first, may have asked for a few at the same time.
    let found_out = world.refresh_calls("github");
    assert!((1..=4).contains(&found_out), "{found_out}");
    for probes in 1..=3 {
        world.advance(Duration::from_mins(9));
        everybody_fails().await;
        assert_eq!(
            world.refresh_calls("github"),
            found_out + probes - 1,
            "within ten minutes"
        );
        world.advance(Duration::from_mins(1));
        everybody_fails().await;
        assert_eq!(
            world.refresh_calls("github"),
            found_out + probes,
            "once in ten minutes"
        );
    }
    for person in &people {
        let row = app.row(person).await;
        assert_eq!((row.status, row.failures), (Status::Connected, 0));
        assert_eq!(person.mcp.status("github").await.0, "Connected");
        assert!(!person.mcp.tools().await.is_empty());
    }
    register("tests-client-credential");
    world.advance(Duration::from_mins(11));
    for person in &people {
        assert_eq!(person.issues().await.code(), "ok");
    }
    assert_eq!(world.report("github").counters.reused_refresh_tokens, 0);
}

#[tokio::test]
async fn a_wrong_app_secret_found_in_the_middle_of_a_call_disconnects_nobody() {
    let (world, app) = still().await;
    let alice = connected(&app).await;
    world.tell(
        "github",
        Command::RegisterClient {
            client_id: "workbench-tests".to_owned(),
            client_secret: "another".to_owned(),
        },
    );
    world.tell("github", Command::ExpireAccessTokens);
    let failed = alice.issues().await;
    assert_eq!(failed.code(), "upstream_unavailable", "{}", failed.body);
    assert_eq!(alice.mcp.status("github").await.0, "Connected");
}

#[tokio::test]
async fn a_provider_that_asks_to_wait_is_left_alone() {
    let (world, app) = still().await;
    let alice = connected(&app).await;
    world.advance(LIFE);
    world.misbehave(
        "github",
        Place::Token,
        1,
        Fault::RateLimit { retry_after_s: 300 },
    );
    for _ in 0..5 {
        let later = alice.issues().await;
        assert_eq!(later.code(), "upstream_unavailable", "{}", later.body);
        assert_eq!(later.error()["retry_after_s"], 300);
    }
    world.advance(Duration::from_secs(299));
    assert_eq!(alice.issues().await.error()["retry_after_s"], 1);
    assert_eq!(world.refresh_calls("github"), 1, "not before it allows it");
    assert_eq!(app.row(&alice).await.failures, 0, "it counts as no failure");
    world.advance(Duration::from_secs(1));
    assert_eq!(alice.issues().await.code(), "ok");
    assert_eq!(world.refresh_calls("github"), 2);
}

/// Lets the next attempt fail and waits until it is written down.
async fn fail_again(world: &World, app: &TestApp, alice: &Person, failures: i64) {
    if let Some(retry_at) = app.row(alice).await.retry_at {
        world.advance(retry_at.since(world.clock.now()));
    }
    let failed = alice.issues().await;
    let code = if failures == 10 {
        "reauth_required"
    } else {
        "upstream_unavailable"
    };
    until("the failure is counted", async || {
        (app.row(alice).await.failures == failures).then_some(())
    })
    .await;
    assert_eq!(alice.issues().await.code(), code, "{}", failed.body);
}

#[tokio::test]
async fn ten_failures_in_a_row_span_a_day_and_the_tenth_deactivates() {
    let (world, app) = still().await;
    let alice = connected(&app).await;
    world.advance(LIFE);
    world.misbehave("github", Place::Token, 1_000, Fault::Fail { status: 503 });
    for failures in 1..=4 {
        fail_again(&world, &app, &alice, failures).await;
    }
    let (status, reason) = alice.mcp.status("github").await;
    assert_eq!(status, "Error");
    assert!(reason.contains("is tried again"), "{reason}");
    assert!(!alice.mcp.tools().await.is_empty(), "a call may mend it");

    // One success, and all is forgotten.
    world.tell("github", Command::Behave);
    let retry_at = app.row(&alice).await.retry_at.unwrap();
    world.advance(retry_at.since(world.clock.now()));
    assert_eq!(alice.issues().await.code(), "ok");
    let row = app.row(&alice).await;
    assert_eq!(
        (row.status, row.failures, row.first_failure_at),
        (Status::Connected, 0, None)
    );

    world.advance(LIFE);
    world.misbehave("github", Place::Token, 1_000, Fault::Fail { status: 503 });
    let began = world.clock.now();
    for failures in 1..=9 {
        fail_again(&world, &app, &alice, failures).await;
        assert_eq!(app.row(&alice).await.status, Status::Error);
    }
    fail_again(&world, &app, &alice, 10).await;
    assert!(world.clock.now().since(began) >= Duration::from_hours(24));
    let row = app.row(&alice).await;
    assert_eq!(
        (row.status, row.reason.as_deref()),
        (Status::Disabled, Some("failed_ten_times"))
    );
    assert_eq!(
        alice.mcp.status("github").await,
        (
            "Error".to_owned(),
            "renewing failed ten times; reconnect".to_owned()
        )
    );
    assert_eq!(alice.mcp.tools().await, Vec::<String>::new());
    let refused = alice.issues().await;
    assert_eq!(refused.code(), "reauth_required");
    let link = refused.error()["action_url"].as_str().unwrap().to_owned();
    assert!(
        link.starts_with(&alice.at("/connect/github?reconnect=con_")),
        "{link}"
    );
    let calls = world.refresh_calls("github");
    world.advance(Duration::from_hours(48));
    alice.issues().await;
    assert_eq!(world.refresh_calls("github"), calls);
    assert_eq!(app.logged("connection.deactivated").await.len(), 1);

    world.tell("github", Command::Behave);
    alice.connect("github", "alice-dev").await;
    assert_eq!(alice.issues().await.code(), "ok");
    assert_eq!(app.row(&alice).await.failures, 0);
}

#[tokio::test]
async fn callers_do_not_make_failing_attempts_more_frequent() {
    let (world, app) = still().await;
    let alice = connected(&app).await;
    world.advance(LIFE);
    world.misbehave("github", Place::Token, 1_000, Fault::Fail { status: 500 });
    for failures in 1..=3 {
        fail_again(&world, &app, &alice, failures).await;
    }
    // The schedule says fifteen minutes; callers may cause one attempt a minute, which does not count.
    let before = world.refresh_calls("github");
    for _ in 0..5 {
        for _ in 0..4 {
            alice.issues().await;
        }
        world.advance(Duration::from_mins(1));
    }
    let caused = world.refresh_calls("github") - before;
    assert!(caused <= 5, "{caused}");
    assert_eq!(app.row(&alice).await.failures, 3);
    // An outage that ends is noticed by the next caller, not by the schedule.
    world.tell("github", Command::Behave);
    world.advance(Duration::from_mins(1));
    assert_eq!(alice.issues().await.code(), "ok");
}

#[tokio::test]
async fn nonsense_from_the_token_endpoint_is_a_failure_and_no_refusal() {
    for fault in [
        Fault::Html,
        Fault::EmptyObject,
        Fault::InvalidUtf8,
        Fault::DeepJson { depth: 10_000 },
        Fault::Oversized { bytes: 1_000_000 },
        Fault::Endless,
        Fault::Redirect {
            location: "http://127.0.0.1:1/".to_owned(),
        },
        Fault::GzipBomb { mib: 20 },
        Fault::Echo,
    ] {
        let (world, app) = still().await;
        let alice = connected(&app).await;
        world.advance(LIFE);
        world.misbehave("github", Place::Token, 2, fault.clone());
        let failed = alice.issues().await;
        assert_eq!(
            failed.code(),
            "upstream_unavailable",
            "{fault:?}: {}",
            failed.body
        );
        let row = app.row(&alice).await;
        assert_eq!((row.status, row.failures), (Status::Error, 1), "{fault:?}");
        assert!(world.refresh_calls("github") <= 2, "{fault:?}");
        world.tell("github", Command::Behave);
        world.advance(Duration::from_mins(2));
        assert_eq!(alice.issues().await.code(), "ok", "{fault:?}");
    }
}

#[tokio::test]
async fn tokens_of_another_account_are_not_taken() {
    let (world, app) = still().await;
    let alice = app.person("alice@example.test").await;
    alice.connect("hubspot", "4711").await;
    let before = app.row(&alice).await;
    world.advance(Duration::from_mins(31));
    let other = Fault::OtherAccount {
        account: "4712".to_owned(),
    };
    world.misbehave("hubspot", Place::Token, 1, other);
    let refused = alice.mcp.call("hubspot_get_account", json!({})).await;
    assert_eq!(refused.code(), "upstream_unavailable", "{}", refused.body);
    let row = app.row(&alice).await;
    assert_eq!(
        (row.subject.as_str(), row.token_version),
        ("4711", before.token_version)
    );
    assert_eq!(row.sealed, before.sealed, "the old tokens are kept");
    assert_eq!(app.logged("connection.foreign_tokens").await.len(), 1);
    world.advance(Duration::from_mins(2));
    let right = alice.mcp.call("hubspot_get_account", json!({})).await;
    assert_eq!(right.items()[0]["id"], "4711");
}

#[tokio::test]
async fn a_week_of_an_app_in_testing_is_told_apart() {
    const DAY: Duration = Duration::from_hours(24);
    for (age, reason, words) in [
        (
            7 * DAY,
            "app_unpublished",
            "ask an admin to publish the app's consent screen",
        ),
        (2 * DAY, "revoked", "the provider took the access back"),
    ] {
        let (world, app) = still().await;
        let alice = app.person("alice@example.test").await;
        alice.connect("google", "alice@example.test").await;
        world.tell("google", Command::Revoke { account: None });
        world.advance(age);
        let refused = alice.mcp.call("google_get_profile", json!({})).await;
        assert_eq!(refused.code(), "reauth_required", "{}", refused.body);
        let row = app.row(&alice).await;
        assert_eq!(
            (row.status, row.reason.as_deref()),
            (Status::Expired, Some(reason))
        );
        let (_, told) = alice.mcp.status("google").await;
        assert!(told.contains(words), "{told}");
    }
}
