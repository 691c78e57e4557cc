//! Secrets at rest, past the product's back: what is moved or altered opens nothing, and keys rotate while everybody works
//! (security.md A2, A3, A5, A6).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use serde_json::json;
use workbench_mcp::audit::Actor;
use workbench_mcp::connect::App as OAuthApp;
use workbench_mcp::store::Status;

use crate::harness::app::{Person, TestApp, World, for_each_world, key};
use crate::harness::process;

/// Everything that was asked of the providers.
fn asked(world: &World) -> u64 {
    let calls = |provider| -> u64 {
        let counters = world.report(provider).counters;
        counters.token_calls.values().sum::<u64>() + counters.api_calls.values().sum::<u64>()
    };
    calls("github") + calls("hubspot")
}

/// A process that remembers nothing of before.
async fn restart(world: &World, app: TestApp, alice: &Person) -> (TestApp, Person) {
    app.stop().await;
    let app = world.app().await;
    let alice = app.as_seen_here(alice);
    (app, alice)
}

#[tokio::test]
async fn a_credential_that_was_moved_or_altered_is_never_sent() {
    for_each_world(false, async |world| {
        let mut app = world.app().await;
        let mut alice = app.person("alice@example.test").await;
        let bob = app.person("bob@example.test").await;
        alice.connect("github", "alice-dev").await;
        alice.connect("hubspot", "4711").await;
        bob.connect("github", "bob-ops").await;
        // The verifier of an attempt under way, and an app's secret.
        alice.begin("/connect/github").await;
        let oauth_app = OAuthApp {
            client_id: "x".to_owned(),
            client_secret: "REDACTED".into(),
        };
        app.connections
            .set_app(Actor::System, app.org, "github", &oauth_app)
            .await
            .unwrap();
        let hers = "provider = 'github' and label = 'alice-dev'";
        let blob = |hex: &str| {
            if world.database.is_sqlite() {
                format!("x'{hex}'")
            } else {
                format!("'\\x{hex}'::bytea")
            }
        };
        // Kept aside: what was sealed for the version before.
        world
            .database
            .execute(
                "create table aside (sealed blob)"
                    .replace(
                        "blob",
                        if world.database.is_sqlite() {
                            "blob"
                        } else {
                            "bytea"
                        },
                    )
                    .as_str(),
            )
            .await;
        world
            .database
            .execute(&format!(
                "insert into aside select sealed from connections where {hers}"
            ))
            .await;
        let mut events = 0;
        for change in [
            "sealed = (select sealed from connections where label = 'bob-ops')".to_owned(),
            "sealed = (select sealed from connections where provider = 'hubspot')".to_owned(),
            "sealed = (select secret from apps)".to_owned(),
            "sealed = (select sealed from flows where sealed is not null and used_at is null)"
                .to_owned(),
            "sealed = (select sealed from aside)".to_owned(),
            "token_version = token_version + 5".to_owned(),
            format!("sealed = {}", blob("")),
            format!("sealed = {}", blob("00")),
            format!("sealed = {}", blob(&"a5".repeat(200))),
        ] {
            world
                .database
                .execute(&format!("update connections set {change} where {hers}"))
                .await;
            (app, alice) = restart(&world, app, &alice).await;
            let before = asked(&world);
            let refused = alice.issues().await;
            assert_eq!(
                refused.code(),
                "reauth_required",
                "{change}: {}",
                refused.body
            );
            assert_eq!(asked(&world), before, "{change}: the provider was asked");
            let rows = app.rows(&alice).await;
            let row = rows.iter().find(|row| row.provider == "github").unwrap();
            assert_eq!(
                (row.status, row.reason.as_deref()),
                (Status::Expired, Some("integrity")),
                "{change}"
            );
            let (status, reason) = alice.mcp.status("github").await;
            assert_eq!(status, "Expired", "{change}");
            assert!(reason.contains("was altered"), "{change}: {reason}");
            events += 1;
            let logged = app.logged("connection.expired").await;
            assert_eq!(logged.len(), events, "{change}");
            assert_eq!(
                logged[events - 1].detail["detail"]["reason"],
                "integrity",
                "{change}"
            );
            assert_eq!(
                alice
                    .mcp
                    .call("hubspot_get_account", json!({}))
                    .await
                    .code(),
                "ok",
                "{change}"
            );
            alice.connect("github", "alice-dev").await;
            assert_eq!(alice.issues().await.code(), "ok", "{change}");
        }
        // While a refresh is due it is found out as well, before the provider is asked.
        world
            .database
            .execute(&format!(
                "update connections set sealed = (select sealed from aside) where {hers}"
            ))
            .await;
        world.advance(Duration::from_mins(16));
        (app, alice) = restart(&world, app, &alice).await;
        assert_eq!(alice.issues().await.code(), "reauth_required");
        app.verify().await;
    })
    .await;
}

/// Calls without a pause until it is told to stop; counts, and keeps what was not answered well.
async fn load(person: Person, stop: Arc<AtomicBool>, calls: Arc<AtomicU32>) -> Vec<String> {
    let mut failed = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let reply = person.mcp.call("hubspot_get_account", json!({})).await;
        match reply.code() {
            "ok" => {}
            // Our own limit of calls; the provider's account is not to be overrun even by a test.
            "rate_limited" => tokio::task::yield_now().await,
            _ => failed.push(reply.body.to_string()),
        }
        calls.fetch_add(1, Ordering::Relaxed);
    }
    failed
}

#[tokio::test]
async fn keys_rotate_while_everybody_works() {
    for_each_world(true, async |mut world| {
        let (old, new) = (world.keys.encryption.clone(), key("k2"));
        let app = world.app().await;
        let alice = app.person("alice@example.test").await;
        let bob = app.person("bob@example.test").await;
        alice.connect("hubspot", "4711").await;
        bob.connect("hubspot", "4712").await;
        let settings = |world: &World| world.settings(process::free_address());
        // A server that does not know the new key yet would be locked out: refused.
        world.keys.encryption = format!("{new},{old}");
        let refused = process::run(&settings(&world), &["keys", "rotate"]).await;
        assert!(!refused.status.success());
        let said = String::from_utf8(refused.stderr).unwrap();
        assert!(said.contains("does not know the key `k2` yet"), "{said}");
        app.stop().await;

        // Every server knows both.
        let apps = if world.database.is_sqlite() {
            vec![world.app().await]
        } else {
            vec![world.app().await, world.app().await]
        };
        let (stop, calls) = (
            Arc::new(AtomicBool::new(false)),
            Arc::new(AtomicU32::new(0)),
        );
        let mut people = Vec::new();
        for app in &apps {
            for person in [&alice, &bob] {
                let there = app.as_seen_here(person);
                people.push(tokio::spawn(load(
                    there,
                    Arc::clone(&stop),
                    Arc::clone(&calls),
                )));
            }
        }
        let some_calls = async |more: u32| {
            let enough = calls.load(Ordering::Relaxed) + more;
            crate::harness::app::until("calls", async || {
                (calls.load(Ordering::Relaxed) >= enough).then_some(())
            })
            .await;
        };
        some_calls(8).await;
        let rotated = process::run(&settings(&world), &["keys", "rotate"]).await;
        assert!(
            rotated.status.success(),
            "{}",
            String::from_utf8_lossy(&rotated.stderr)
        );
        // Tokens that are sealed afterwards are so under the new key too.
        world.tell(
            "hubspot",
            workbench_mcp::sandbox::Command::ExpireAccessTokens,
        );
        some_calls(8).await;
        stop.store(true, Ordering::Relaxed);
        for person in people {
            assert_eq!(
                person.await.unwrap(),
                Vec::<String>::new(),
                "{}",
                world.database.name
            );
        }
        let status = process::run(&settings(&world), &["keys", "status", "--json"]).await;
        let status = String::from_utf8(status.stdout).unwrap();
        let status: Vec<serde_json::Value> = status
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        let under = |key: &str| status.iter().find(|row| row["key"] == key).unwrap();
        assert_eq!(under("k1")["data_keys"], 0, "{status:?}");
        assert_eq!(under("k1")["secrets"], 0, "{status:?}");
        assert!(under("k2")["secrets"].as_u64().unwrap() >= 2, "{status:?}");
        for app in apps {
            app.stop().await;
        }

        // The old key opens nothing any more, and the new one everything.
        world.keys.encryption = old;
        let error = world
            .try_app()
            .await
            .err()
            .expect("it started with the old key alone");
        assert!(
            format!("{error:#}").contains("lacks the key `k2`"),
            "{error:#}"
        );
        world.keys.encryption = new;
        let app = world.app().await;
        for person in [&alice, &bob] {
            let there = app.as_seen_here(person);
            assert_eq!(
                there
                    .mcp
                    .call("hubspot_get_account", json!({}))
                    .await
                    .code(),
                "ok"
            );
        }
        assert_eq!(app.logged("key.rotated").await.len(), 1);
        app.verify().await;
    })
    .await;
}

#[tokio::test]
async fn wrong_keys_stop_the_start_and_are_named() {
    for_each_world(false, async |mut world| {
        let right = world.keys.encryption.clone();
        world.app().await.stop().await;
        for (keys, said) in [
            (key("k1"), "another key under the id `k1`"),
            (
                format!("{},{}", key("k2"), key("k1")),
                "another key under the id `k1`",
            ),
            (key("k2"), "lacks the key `k1`"),
        ] {
            world.keys.encryption.clone_from(&keys);
            let error = world
                .try_app()
                .await
                .err()
                .unwrap_or_else(|| panic!("it started: {said}"));
            let error = format!("{error:#}");
            assert!(error.contains(said), "{error}");
            for entry in keys.split(',') {
                let material = entry.split_once(':').unwrap().1;
                assert!(!error.contains(material), "{error}");
            }
            // The same of a process.
            let listed =
                process::run(&world.settings(process::free_address()), &["users", "list"]).await;
            assert_eq!(listed.status.code(), Some(1));
            assert!(String::from_utf8_lossy(&listed.stderr).contains(said));
        }
        world.keys.encryption = right;
        world.app().await.stop().await;
    })
    .await;
}
