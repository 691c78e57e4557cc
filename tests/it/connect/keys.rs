//! Connecting with a key that is pasted: on the page, in the log, and at servers of one's own (security.md 1.6).

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::FutureExt as _;
use reqwest::Method;
use workbench_mcp::audit::Filter;
use workbench_mcp::connect::{ServerError, Servers};
use workbench_mcp::fetch::Lookup;

use super::*;
use crate::harness::database::sqlite;

const ALICE: &str = "sandbox-key-of-alice";
const BOB: &str = "sandbox-key-of-bob";
const PRIVATE: &str = "WORKBENCH_PRIVATE_PROVIDER_HOSTS";

impl Person {
    /// Sends the form of a key; answers the last page.
    pub async fn paste(&self, form: &[(&str, &str)]) -> Page {
        let ours = self.connect_page("/connect/sentry").await;
        let csrf = ours.field("csrf");
        let form = [form, &[("csrf", csrf.as_str())]].concat();
        let page = self
            .browser
            .post(self.at("/connect/sentry/key"), &form)
            .await;
        if page.status == StatusCode::SEE_OTHER {
            self.browser.follow(page).await
        } else {
            page
        }
    }

    async fn connect_page(&self, path: &str) -> Page {
        self.sign_in().await;
        self.browser.get(self.at(path)).await
    }
}

#[tokio::test]
async fn nobody_tries_keys_without_end() {
    let (world, app) = still().await;
    let alice = app.person("alice@example.test").await;
    let mut refused = false;
    for _ in 0..40 {
        let page = alice
            .paste(&[("key", ALICE), ("server", "not a server")])
            .await;
        refused = refused || page.text.contains("many attempts");
    }
    assert!(refused);
    // The other way counts with it. Every ten seconds one attempt more is free, perhaps at this very moment.
    let begun = alice.browser.get(alice.at("/connect/github")).await;
    let csrf = begun.field("csrf");
    let form = [("csrf", csrf.as_str())];
    let mut ends = Vec::new();
    for _ in 0..3 {
        let page = alice.browser.post(alice.at("/connect/github"), &form).await;
        ends.push(page.status);
    }
    assert!(ends.contains(&StatusCode::CONFLICT), "{ends:?}");
    assert_eq!(app.rows(&alice).await, []);
    assert_eq!(world.api_calls("sentry"), 0);
    // Somebody else does.
    let bob = app.person("bob@example.test").await;
    let page = bob.paste(&[("key", BOB)]).await;
    assert!(page.text.contains("is connected"), "{}", page.text);
}

/// The text of everything that the log holds.
async fn everything_logged(app: &TestApp) -> String {
    format!("{:?}", app.log(Filter::default()).await)
}

#[tokio::test]
async fn the_page_offers_both_ways_and_works_without_scripts() {
    let (_world, app) = still().await;
    let alice = app.person("alice@example.test").await;
    let page = alice.connect_page("/connect/sentry").await;
    assert_eq!(page.status, StatusCode::OK);
    for part in [
        "Continue to Sentry",
        "<code>event:read</code>",
        "Or paste your own auth token",
        "name=\"key\" type=\"password\" autocomplete=\"off\"",
        "name=\"server\" type=\"text\"",
        "Only for a self-hosted Sentry",
    ] {
        assert!(page.text.contains(part), "{part}: {}", page.text);
    }
    for forbidden in ["<script", "style=", "onclick", "<style"] {
        assert!(!page.text.contains(forbidden), "{forbidden}");
    }
    let policy = page.headers["content-security-policy"].to_str().unwrap();
    assert!(!policy.contains("unsafe"), "{policy}");
    // Others offer no key, and take none.
    let github = alice.connect_page("/connect/github").await;
    assert!(!github.text.contains("name=\"key\""), "{}", github.text);
    let form = [("csrf", github.field("csrf")), ("key", ALICE.to_owned())];
    let form: Vec<(&str, &str)> = form
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    let page = alice
        .browser
        .post(alice.at("/connect/github/key"), &form)
        .await;
    assert_eq!(page.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn without_an_app_a_key_is_still_a_way_in() {
    let mut world = World::still(sqlite()).await;
    for name in ["CLIENT_ID", "CLIENT_SECRET"] {
        let name = format!("WORKBENCH_APP_SENTRY_{name}");
        world.extra.insert(name, String::new());
    }
    let app = world.app().await;
    let alice = app.person("alice@example.test").await;
    let page = alice.connect_page("/connect/sentry").await;
    assert!(page.text.contains("Paste your auth token"), "{}", page.text);
    assert!(!page.text.contains("Continue to Sentry"), "{}", page.text);
    let page = alice.connect_page("/connections").await;
    assert!(page.text.contains("/connect/sentry"), "{}", page.text);
    let page = alice.paste(&[("key", ALICE)]).await;
    assert!(page.text.contains("Sentry is connected"), "{}", page.text);
}

#[tokio::test]
async fn a_good_key_connects_and_is_seen_nowhere() {
    for_each_world(false, async |world| {
        let app = world.app().await;
        let alice = app.person("alice@example.test").await;
        let page = alice.paste(&[("key", &format!(" {ALICE}\n"))]).await;
        assert!(page.text.contains("Sentry is connected"), "{}", page.text);
        assert!(!page.text.contains(ALICE));
        let row = app.row(&alice).await;
        assert_eq!(
            (row.subject.as_str(), row.label.as_str()),
            ("3301", "alice@acme.example")
        );
        assert_eq!(
            (&row.base_url, row.access_expires_at, row.next_refresh_at),
            (&None, None, None)
        );
        assert!(
            row.scopes
                .as_ref()
                .is_some_and(|scopes| scopes.iter().any(|scope| scope == "event:write"))
        );
        assert!(
            !row.details.to_string().contains("granted"),
            "{}",
            row.details
        );
        assert!(!format!("{row:?}").contains(ALICE));
        let reply = alice.mcp.call("sentry_search_issues", json!({})).await;
        assert_eq!(reply.code(), "ok", "{}", reply.body);
        assert_eq!(reply.items()[0]["short_id"], "WEB-1A");

        let id = row.id.to_string();
        for path in [
            "/connections".to_owned(),
            format!("/connections/{id}"),
            format!("/connect/sentry?reconnect={id}"),
        ] {
            let page = alice.browser.get(alice.at(&path)).await;
            assert_eq!(page.status, StatusCode::OK, "{path}");
            assert!(!page.text.contains(ALICE), "{path}");
        }
        let connected = app.logged("connection.connected").await;
        assert_eq!(connected.len(), 1);
        assert!(format!("{connected:?}").contains("alice@acme.example"));
        assert!(!everything_logged(&app).await.contains(ALICE));

        // What a key may not do is not offered.
        let bob = app.person("bob@example.test").await;
        bob.paste(&[("key", BOB)]).await;
        let reply = bob
            .mcp
            .call(
                "sentry_update_issue",
                json!({ "ids": ["4501"], "comment": "x" }),
            )
            .await;
        assert_eq!(reply.code(), "insufficient_scope", "{}", reply.body);
        let page = bob
            .browser
            .get(bob.at(&format!("/connections/{}", app.row(&bob).await.id)))
            .await;
        assert!(page.text.contains("<td>not granted</td>"), "{}", page.text);

        let said = alice.disconnect(&id).await;
        assert!(
            said.text
                .contains("until you delete it in your Sentry settings"),
            "{}",
            said.text
        );
        assert_eq!(app.rows(&alice).await, []);
        app.verify().await;
    })
    .await;
}

#[tokio::test]
async fn a_bad_key_leaves_the_form_with_what_is_wrong() {
    let (world, app) = still().await;
    let alice = app.person("alice@example.test").await;
    let long = "x".repeat(5_000);
    let table = [
        ("not-a-key-0815", "does not accept this auth token"),
        ("", "Paste it whole"),
        ("two words-0815", "Paste it whole"),
        ("schlüssel-0815", "Paste it whole"),
        (long.as_str(), "Paste it whole"),
        ("sntrys_0815", "not whole"),
        ("https://0815@o1.ingest.sentry.io/1", "only sends events"),
    ];
    for (key, said) in table {
        let page = alice.paste(&[("key", key)]).await;
        assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY, "{key}");
        assert!(page.text.contains(said), "{key}: {}", page.text);
        assert!(
            page.text.contains("role=\"alert\"") && page.text.contains("aria-invalid=\"true\"")
        );
        assert!(!page.text.contains("0815"), "{key}: {}", page.text);
        assert!(
            !page.headers["content-security-policy"]
                .to_str()
                .unwrap()
                .contains("unsafe")
        );
    }
    assert_eq!(app.rows(&alice).await, []);
    let refused = app.logged("connection.refused").await;
    assert_eq!(refused.len(), table.len());
    assert!(!everything_logged(&app).await.contains("0815"));
    // A provider that repeats what it was sent, fails or is slow tells nothing of it either.
    for (fault, said) in [
        (Fault::Echo, ""),
        (Fault::Html, "did not answer as Sentry"),
        (Fault::Fail { status: 500 }, "did not answer as Sentry"),
    ] {
        world.misbehave("sentry", Place::Api, 9, fault);
        let page = alice.paste(&[("key", "not-a-key-0815")]).await;
        assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert!(page.text.contains(said), "{}", page.text);
        assert!(!page.text.contains("0815"), "{}", page.text);
        world.tell("sentry", Command::Behave);
    }
    assert!(!everything_logged(&app).await.contains("0815"));
    assert_eq!(app.rows(&alice).await, []);
}

#[tokio::test]
async fn reconnecting_takes_a_new_key_of_the_same_account_only() {
    let (_world, app) = still().await;
    let alice = app.person("alice@example.test").await;
    // It was connected by consent once; a key of the same account may follow.
    alice.connect("sentry", "alice@acme.example").await;
    let before = app.row(&alice).await;
    let id = before.id.to_string();
    let page = alice.paste(&[("key", BOB), ("reconnect", &id)]).await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(
        page.text.contains(
            "This auth token is of bob@acme.example, but this was to reconnect alice@acme.example"
        ),
        "{}",
        page.text
    );
    assert_eq!(page.field("reconnect"), id);
    assert_eq!(app.row(&alice).await, before);
    let page = alice.paste(&[("key", ALICE), ("reconnect", &id)]).await;
    assert!(page.text.contains("Sentry is connected"), "{}", page.text);
    let after = app.row(&alice).await;
    assert_eq!(
        (after.id, after.token_version),
        (before.id, before.token_version + 1)
    );
    assert_eq!(
        (after.access_expires_at, after.next_refresh_at),
        (None, None)
    );
    assert_eq!(app.logged("connection.reconnected").await.len(), 1);
    let reply = alice.mcp.call("sentry_search_issues", json!({})).await;
    assert_eq!(reply.code(), "ok", "{}", reply.body);
    // And back by consent.
    let page = alice
        .connect_at(
            &format!("/connect/sentry?reconnect={id}"),
            "alice@acme.example",
        )
        .await;
    assert!(page.text.contains("is connected"), "{}", page.text);
    assert!(app.row(&alice).await.access_expires_at.is_some());
}

#[tokio::test]
async fn a_key_that_ends_expires_the_connection() {
    let (world, app) = still().await;
    let alice = app.person("alice@example.test").await;
    alice.paste(&[("key", ALICE)]).await;
    world.misbehave("sentry", Place::Api, 1, Fault::Fail { status: 401 });
    let reply = alice.mcp.call("sentry_search_issues", json!({})).await;
    assert_eq!(reply.code(), "reauth_required", "{}", reply.body);
    assert_eq!(alice.mcp.status("sentry").await.0, "Expired");
    alice.paste(&[("key", ALICE)]).await;
    assert_eq!(alice.mcp.status("sentry").await.0, "Connected");
}

#[tokio::test]
async fn the_form_of_a_key_is_taken_from_our_own_page_only() {
    let (world, app) = still().await;
    let alice = app.person("alice@example.test").await;
    let bob = app.person("bob@example.test").await;
    let hers = alice.connect_page("/connect/sentry").await.field("csrf");
    let his = bob.connect_page("/connect/sentry").await.field("csrf");
    let path = alice.at("/connect/sentry/key");
    for token in ["", "x", his.as_str()] {
        let form = [("csrf", token), ("key", ALICE)];
        let page = alice.browser.post(&path, &form).await;
        assert_eq!(page.status, StatusCode::FORBIDDEN, "{token:?}");
    }
    let page = alice.browser.post(&path, &[("key", ALICE)]).await;
    assert_eq!(page.status, StatusCode::FORBIDDEN);
    for (name, value) in [
        ("origin", "https://evil.test"),
        ("sec-fetch-site", "cross-site"),
    ] {
        let form = [("csrf", hers.as_str()), ("key", ALICE)];
        let page = alice
            .browser
            .send(Method::POST, &path, &[(name, value)], Some(&form))
            .await;
        assert_eq!(page.status, StatusCode::FORBIDDEN, "{name}");
    }
    let page = Browser::new()
        .post(&path, &[("csrf", hers.as_str()), ("key", ALICE)])
        .await;
    assert_eq!(page.status, StatusCode::SEE_OTHER, "nobody is signed in");
    assert_eq!(app.rows(&alice).await, []);
    assert_eq!(world.api_calls("sentry"), 0);
}

#[tokio::test]
async fn servers_inside_are_asked_only_when_an_admin_lists_them() {
    let mut world = World::still(sqlite()).await;
    let own = world.sandbox.base("sentry").to_string();
    let alice = {
        let app = world.app().await;
        let alice = app.person("alice@example.test").await;
        for (server, said) in [
            (own.as_str(), "must begin with https"),
            ("https://127.0.0.1", "Only servers on the public internet"),
            ("localhost", "Only servers on the public internet"),
            (
                "https://169.254.169.254/latest",
                "Only servers on the public internet",
            ),
            ("https://user@sentry.acme.example", "no address of a server"),
        ] {
            let page = alice.paste(&[("key", ALICE), ("server", server)]).await;
            assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY, "{server}");
            assert!(page.text.contains(said), "{server}: {}", page.text);
            // What was written stays, except for the key.
            assert_eq!(page.field_value("server"), server);
            assert!(!page.text.contains(ALICE));
        }
        assert_eq!(world.api_calls("sentry"), 0);
        // The provider's own address is no server of one's own.
        let page = alice
            .paste(&[("key", ALICE), ("server", "https://acme.sentry.io/")])
            .await;
        assert!(page.text.contains("Sentry is connected"), "{}", page.text);
        assert_eq!(app.row(&alice).await.base_url, None);
        app.stop().await;
        alice
    };

    let host = world.sandbox.url().to_string();
    world.extra.insert(PRIVATE.to_owned(), host);
    let id = {
        let app = world.app().await;
        let alice = app.as_seen_here(&alice);
        let page = alice.paste(&[("key", ALICE), ("server", &own)]).await;
        assert!(page.text.contains("Sentry is connected"), "{}", page.text);
        let rows = app.rows(&alice).await;
        let row = rows.iter().find(|row| row.base_url.is_some()).unwrap();
        // The same number at another server is another account.
        let subject = own.replace("http://", "3301@");
        assert_eq!((rows.len(), row.subject.as_str()), (2, subject.as_str()));
        let id = row.id.to_string();
        let page = alice
            .connect_page(&format!("/connect/sentry?reconnect={id}"))
            .await;
        assert_eq!(page.field_value("server"), own);
        let account = json!({ "account": id });
        let reply = alice.mcp.call("sentry_search_issues", account).await;
        assert_eq!(reply.code(), "ok", "{}", reply.body);
        app.stop().await;
        id
    };

    // It is looked at with every request: what is not listed any more is not asked any more.
    world.extra.remove(PRIVATE);
    let app = world.app().await;
    let alice = app.as_seen_here(&alice);
    let asked = world.api_calls("sentry");
    let reply = alice
        .mcp
        .call("sentry_search_issues", json!({ "account": id }))
        .await;
    assert_eq!(reply.code(), "upstream_unavailable", "{}", reply.body);
    assert_eq!(world.api_calls("sentry"), asked);
}

#[tokio::test]
async fn names_of_servers_are_held_to_public_addresses_at_every_look() {
    let sink = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let looks = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&looks);
    // A name that is public when the form is sent, and moves inside afterwards.
    let lookup: Lookup = Arc::new(move |_| {
        counted.fetch_add(1, Ordering::SeqCst);
        let addresses: Vec<IpAddr> = [
            "127.0.0.1",
            "::1",
            "::ffff:127.0.0.1",
            "10.0.0.1",
            "169.254.169.254",
        ]
        .map(|text| text.parse().unwrap())
        .to_vec();
        async move { Ok(addresses) }.boxed()
    });
    let servers = Servers::with_lookup(&[], lookup);
    let url = servers.read("sentry.acme.example").unwrap();
    for _ in 0..2 {
        let sent = servers.client(&url).unwrap().get(url.clone()).send().await;
        assert!(sent.is_err_and(|error| error.is_connect()));
    }
    assert_eq!(looks.load(Ordering::SeqCst), 2);
    assert!(sink.accept().now_or_never().is_none());
    let inside: Url = "https://127.0.0.1".parse().unwrap();
    assert_eq!(servers.check(&inside), Err(ServerError::Private));
    assert!(servers.client(&inside).is_err());
}
