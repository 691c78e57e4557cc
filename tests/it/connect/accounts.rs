//! The page of one account: its name, the default, what was not granted, and disconnecting with and without what was synced.

use std::time::Duration;

use http::StatusCode;
use serde_json::json;

use crate::harness::app::{Person, for_each_world, still};
use crate::harness::http::Page;

impl Person {
    /// Sends a form of an account's page.
    async fn set(&self, id: &str, what: &str, form: &[(&str, &str)]) -> Page {
        let page = self.browser.get(self.at("/connections")).await;
        let csrf = page.field("csrf");
        let form = [form, &[("csrf", csrf.as_str())]].concat();
        let path = self.at(&format!("/connections/{id}/{what}"));
        let page = self.browser.post(path, &form).await;
        self.browser.follow(page).await
    }
}

#[tokio::test]
async fn a_default_goes_without_asking() {
    for_each_world(false, async |world| {
        let app = world.app().await;
        let alice = app.person("alice@example.test").await;
        let bob = app.person("bob@example.test").await;
        alice.connect("hubspot", "4711").await;
        world.advance(Duration::from_secs(1));
        alice.connect("hubspot", "4712").await;
        bob.connect("hubspot", "4712").await;
        let rows = app.rows(&alice).await;
        let (first, second) = (rows[0].id.to_string(), rows[1].id.to_string());
        let ask = async || alice.mcp.call("hubspot_get_account", json!({})).await;
        assert_eq!(ask().await.code(), "ambiguous_account");
        let page = alice.set(&second, "default", &[("state", "on")]).await;
        assert!(page.text.contains("use this one"), "{}", page.text);
        assert_eq!(ask().await.items()[0]["id"], "4712");
        alice.set(&first, "default", &[("state", "on")]).await;
        assert_eq!(ask().await.items()[0]["id"], "4711");
        let defaults = alice.mcp.accounts().await;
        let defaults: Vec<_> = defaults.iter().map(|one| one["default"].clone()).collect();
        assert_eq!(defaults, [json!(true), json!(false)]);
        alice.set(&first, "default", &[("state", "off")]).await;
        assert_eq!(ask().await.code(), "ambiguous_account");
        // Nobody else's, and nothing without the form's token.
        for path in ["default", "name", "disconnect"] {
            let form = [("state", "on"), ("name", "mine")];
            let page = bob.set(&first, path, &form).await;
            assert_eq!(page.status, StatusCode::NOT_FOUND, "{path}");
            let path = alice.at(&format!("/connections/{first}/{path}"));
            let page = alice.browser.post(path, &form).await;
            assert_eq!(page.status, StatusCode::FORBIDDEN);
        }
        let page = bob
            .browser
            .get(bob.at(&format!("/connections/{first}")))
            .await;
        assert_eq!(page.status, StatusCode::NOT_FOUND);
        assert_eq!(app.logged("connection.default_changed").await.len(), 3);
    })
    .await;
}

#[tokio::test]
async fn an_account_gets_a_name() {
    for_each_world(false, async |world| {
        let app = world.app().await;
        let alice = app.person("alice@example.test").await;
        alice.connect("hubspot", "4711").await;
        world.advance(Duration::from_secs(1));
        alice.connect("hubspot", "4712").await;
        let rows = app.rows(&alice).await;
        let (first, second) = (rows[0].id.to_string(), rows[1].id.to_string());
        let long = "x".repeat(61);
        for (name, problem) in [
            (long.as_str(), "longer than 60"),
            ("a/b", "slashes"),
            ("a\u{7}b", "control characters"),
        ] {
            let page = alice.set(&first, "name", &[("name", name)]).await;
            assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY, "{name:?}");
            assert!(page.text.contains(problem), "{}", page.text);
        }
        let page = alice.set(&first, "name", &[("name", "  work <1> ")]).await;
        assert!(page.text.contains("work &#60;1&#62;"), "{}", page.text);
        // `account` would mean both: another one's name, however it is written, and what its service calls it.
        for taken in ["work <1>", "WORK <1>", "4711"] {
            let page = alice.set(&second, "name", &[("name", taken)]).await;
            assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY, "{taken}");
            assert!(page.text.contains("has the name"), "{}", page.text);
        }
        let named = json!({ "account": "work <1>" });
        let reply = alice.mcp.call("hubspot_get_account", named).await;
        assert_eq!(reply.items()[0]["id"], "4711", "{}", reply.body);
        alice.set(&first, "name", &[("name", "")]).await;
        assert_eq!(app.rows(&alice).await[0].alias, None);
    })
    .await;
}

#[tokio::test]
async fn what_was_synced_outlives_a_disconnect_that_keeps_it() {
    for_each_world(false, async |world| {
        let app = world.app().await;
        let alice = app.person("alice@example.test").await;
        alice.connect("github", "alice-dev").await;
        let id = app.row(&alice).await.id.to_string();
        let docs = "github://alice-dev/docs/acme-site";
        let path = |page: &str| alice.at(&format!("/connections/{id}{page}"));
        // Nothing synced, nothing to choose.
        let page = alice.browser.get(path("/disconnect")).await;
        assert!(!page.text.contains("name=\"synced\""), "{}", page.text);
        let import = json!({ "repo": "acme/site", "collection": "acme-site" });
        let reply = alice.mcp.call("github_import_docs", import).await;
        assert_eq!(reply.code(), "ok", "{}", reply.body);
        let page = alice.browser.get(path("/disconnect")).await;
        assert!(page.text.contains("were synced here"), "{}", page.text);

        let page = alice.set(&id, "disconnect", &[("synced", "keep")]).await;
        assert!(
            page.text.contains("What was synced is kept"),
            "{}",
            page.text
        );
        assert!(world.report("github").grants[0].revoked);
        // The credential is gone; until it is connected again nothing answers, and the block says why.
        let read = alice.mcp.read(docs).await;
        assert_eq!(read.code(), "reauth_required", "{}", read.body);
        assert_eq!(alice.mcp.status("github").await.0, "Expired");
        let page = alice.browser.get(path("")).await;
        assert!(page.text.contains("kept what was synced"), "{}", page.text);
        alice
            .connect_at(&format!("/connect/github?reconnect={id}"), "alice-dev")
            .await;
        let read = alice.mcp.read(docs).await;
        assert!(read.body["error"].is_null(), "{}", read.body);

        alice.set(&id, "disconnect", &[("synced", "keep")]).await;
        let page = alice.set(&id, "disconnect", &[]).await;
        assert!(
            page.text.contains("no access left to revoke"),
            "{}",
            page.text
        );
        assert_eq!(app.rows(&alice).await, []);
        alice.connect("github", "alice-dev").await;
        let read = alice.mcp.read(docs).await;
        assert!(!read.body["error"].is_null(), "{}", read.body);
        app.verify().await;
    })
    .await;
}

#[tokio::test]
async fn a_partial_grant_says_what_will_not_work() {
    let (_world, app) = still().await;
    let alice = app.person("alice@example.test").await;
    let consent = alice.begin("/connect/hubspot").await;
    let form = [
        ("decision", "approve"),
        ("account", "4711"),
        ("narrowed", "1"),
        ("scope", "tickets"),
    ];
    let back = alice.decide(&consent, &form).await;
    let page = alice.browser.get(back.as_str()).await;
    let page = alice.browser.follow(page).await;
    // It has to be read, so its window stays.
    assert!(
        page.text.contains("Not allowed: ") && !page.text.contains("popup.js"),
        "{}",
        page.text
    );
    let id = app.row(&alice).await.id;
    let page = alice
        .browser
        .get(alice.at(&format!("/connections/{id}")))
        .await;
    assert!(
        page.text.contains("Part of it will not work"),
        "{}",
        page.text
    );
    assert!(page.text.contains("<td>not granted</td>"), "{}", page.text);
    assert!(page.text.contains("<td>granted</td>"), "{}", page.text);
    let page = alice.browser.get(alice.at("/connections")).await;
    assert!(page.text.contains("what will not work"), "{}", page.text);
}
