//! An integration that is open to everyone: nothing to connect, and everything else as with any other.

use std::time::Duration;

use futures_util::future::join_all;
use http::StatusCode;
use serde_json::json;
use workbench_mcp::audit::Filter;
use workbench_mcp::caller::Scopes;
use workbench_mcp::sandbox::{Command, Fault, Place};

use crate::harness::app::{Person, World, still, until};
use crate::harness::database::sqlite;
use crate::harness::http::{Browser, between};

const BLOCK: &str = "health://trials/NCT04903119";

#[tokio::test]
async fn a_person_with_nothing_connected_has_it() {
    let (world, app) = still().await;
    let alice = app.person("alice@example.test").await;
    let tools = alice.mcp.all_tools().await;
    assert!(
        tools.iter().all(|name| name.starts_with("health_")),
        "{tools:?}"
    );
    assert_eq!(tools.len(), 11);
    let blocks = alice.mcp.all_blocks().await;
    assert!(blocks.contains(&"health_trial".to_owned()), "{blocks:?}");

    let reply = alice
        .mcp
        .call("health_get_trial", json!({ "nct": "NCT04903119" }))
        .await;
    assert_eq!(reply.code(), "ok", "{}", reply.body);
    assert_eq!(reply.items()[0]["uri"], BLOCK);
    assert_eq!(reply.account(), "public");
    let read = alice.mcp.read(BLOCK).await;
    let text = read.body["result"]["contents"][0]["text"].as_str().unwrap();
    assert!(text.starts_with("# Adjuvant Trametinib"), "{text}");
    // It is the same study, and was asked for once.
    assert_eq!(world.api_calls("health"), 1);
    let no_account = json!({ "nct": "NCT04903119", "account": "public" });
    let reply = alice.mcp.call("health_get_trial", no_account).await;
    assert_eq!(reply.code(), "invalid_input", "{}", reply.body);

    let calls = app.logged("tool.outcome").await;
    assert_eq!(calls[0].tool.as_deref(), Some("health_get_trial"));
    assert_eq!(calls[0].outcome, "ok");
    assert_eq!(calls[0].connection, None);
    let reads = app.logged("block.outcome").await;
    assert_eq!(reads[0].outcome, "ok");
    app.verify().await;

    let accounts = alice.mcp.read("workbench://accounts").await;
    let text = accounts.body["result"]["contents"][0]["text"]
        .as_str()
        .unwrap();
    let said: serde_json::Value = serde_json::from_str(text).unwrap();
    assert_eq!(said["accounts"], json!([]));
    assert_eq!(said["open"][0]["integration"], "health");
}

#[tokio::test]
async fn an_admin_switches_it_off_like_any_other() {
    let (world, app) = still().await;
    let alice = app.person("alice@example.test").await;
    let health = workbench_mcp::integrations::integration("health").unwrap();
    let now = Some(world.clock.now());
    let store = &app.store;
    store
        .set_integration(app.org, health.id, now)
        .await
        .unwrap();
    world.advance(Duration::from_secs(61));
    assert_eq!(alice.mcp.all_tools().await, Vec::<String>::new());
    assert_eq!(alice.mcp.all_blocks().await, Vec::<String>::new());
    let reply = alice
        .mcp
        .call("health_get_trial", json!({ "nct": "NCT04903119" }))
        .await;
    assert_eq!(reply.code(), "blocked_by_policy", "{}", reply.body);
    let read = alice.mcp.read(BLOCK).await;
    assert_eq!(
        read.body["error"]["data"]["code"], "blocked_by_policy",
        "{}",
        read.body
    );
    assert_eq!(world.api_calls("health"), 0);

    alice.sign_in().await;
    let page = alice.browser.get(alice.at("/connections")).await;
    let card = between(&page.text, "aria-labelledby=\"health\"", "</section>").unwrap();
    assert!(card.contains("switched this integration off"), "{card}");
}

#[tokio::test]
async fn a_credential_for_other_integrations_does_not_reach_it() {
    let (_world, app) = still().await;
    let alice = app.person("alice@example.test").await;
    let scopes = Scopes::parse("tools:read integration:github").unwrap();
    let token = app
        .auth
        .create_token(&alice.row, "narrow", None, scopes)
        .await
        .unwrap();
    let narrow = app.mcp(secrecy::ExposeSecret::expose_secret(&token.secret));
    assert_eq!(narrow.all_tools().await, Vec::<String>::new());
    let reply = narrow
        .call("health_get_trial", json!({ "nct": "NCT04903119" }))
        .await;
    assert_eq!(reply.code(), "blocked_by_policy", "{}", reply.body);
}

#[tokio::test]
async fn pages_say_that_there_is_nothing_to_connect() {
    let (_world, app) = still().await;
    let alice = app.person("alice@example.test").await;
    alice.sign_in().await;
    let page = alice.browser.get(alice.at("/connections")).await;
    let card = between(&page.text, "aria-labelledby=\"health\"", "</section>").unwrap();
    assert!(card.contains("there is nothing to connect"), "{card}");
    assert!(!card.contains("class=\"button"), "{card}");
    let page = alice.browser.get(alice.at("/connect/health")).await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(
        page.text.contains("There is nothing to connect"),
        "{}",
        page.text
    );
    let page = alice.browser.get(alice.at("/try")).await;
    assert!(page.text.contains("health_search_literature"));
    let page = alice.browser.get(alice.at("/try/health_get_trial")).await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(!page.text.contains("<code>account</code>"), "{}", page.text);
    let stranger = Browser::new().get(alice.at("/connect/health")).await;
    assert_eq!(stranger.status, StatusCode::SEE_OTHER);
}

/// Many calls of one person at a host of five requests a second, then one of another person.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_share_a_host_fairly() {
    let world = World::running(sqlite()).await;
    let app = world.app().await;
    let (alice, bob) = (
        app.person("alice@example.test").await,
        app.person("bob@example.test").await,
    );
    // Each asks for something else, so nothing comes from the cache.
    let ask = async |person: &Person, number: usize| {
        let variant = json!({ "id": format!("rs{number}"), "sections": ["predictions"] });
        let reply = person.mcp.call("health_get_variant", variant).await;
        (reply.code().to_owned(), tokio::time::Instant::now())
    };
    let many = join_all((1..=15).map(|number| ask(&alice, number)));
    let one = async {
        // Alice's are waiting by now: the host has been asked as often as it allows at once.
        until("the allowance is used", async || {
            let calls = world.report("health").counters.api_calls;
            let asked = calls.get("GET /myvariant/v1/query").copied();
            asked.filter(|asked| *asked >= 5)
        })
        .await;
        ask(&bob, 100).await
    };
    let (many, one) = futures_util::future::join(many, one).await;
    assert_eq!(one.0, "ok");
    let later = many.iter().filter(|(_, at)| *at > one.1).count();
    assert!(later >= 5, "{later} of Alice's calls ended after Bob's one");
}

#[tokio::test]
async fn a_source_that_is_busy_slows_everybody_down_and_is_named() {
    let (world, app) = still().await;
    let (alice, bob) = (
        app.person("alice@example.test").await,
        app.person("bob@example.test").await,
    );
    let busy = Fault::RateLimit { retry_after_s: 60 };
    world.misbehave("health", Place::Api, 1, busy);
    let trial = json!({ "nct": "NCT04903119" });
    let reply = alice.mcp.call("health_get_trial", trial.clone()).await;
    assert_eq!(reply.code(), "rate_limited", "{}", reply.body);
    let asked = world.api_calls("health");
    let reply = bob.mcp.call("health_get_trial", trial.clone()).await;
    assert_eq!(reply.code(), "rate_limited", "{}", reply.body);
    assert_eq!(reply.error()["retry_after_s"], 60);
    assert_eq!(world.api_calls("health"), asked);
    world.advance(Duration::from_mins(1));
    assert_eq!(bob.mcp.call("health_get_trial", trial).await.code(), "ok");
    let entries = app.log(Filter::default()).await;
    let refused = entries
        .iter()
        .filter(|entry| entry.outcome == "rate_limited");
    assert_eq!(refused.count(), 2);
}

#[tokio::test]
async fn keys_are_settings_of_hosts_that_take_one() {
    let mut world = World::still(sqlite()).await;
    let name = "WORKBENCH_PROVIDER_HEALTH_CPIC_API_KEY".to_owned();
    world.extra.insert(name, "REDACTED".to_owned());
    let refused = world.try_app().await.err().unwrap().to_string();
    assert!(refused.contains("HEALTH_CPIC_API_KEY"), "{refused}");
    world.extra.clear();
    let name = "WORKBENCH_PROVIDER_HEALTH_EUTILS_API_KEY".to_owned();
    world
        .extra
        .insert(name, "key-of-the-installation".to_owned());
    let app = world.app().await;
    let text = "key-of-the-installation".to_owned();
    world.tell("health", Command::Watch { text: text.clone() });
    let alice = app.person("alice@example.test").await;
    let reply = alice
        .mcp
        .call("health_search_literature", json!({ "q": "BRAF" }))
        .await;
    assert_eq!(reply.code(), "ok", "{}", reply.body);
    assert!(world.report("health").canaries[&text], "the key was sent");
}
