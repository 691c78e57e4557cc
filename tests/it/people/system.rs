//! The admins' pages of the installation: health of accounts, toolsets, keys; and pages that say that something is wrong.

use std::time::Duration;

use http::StatusCode;
use serde_json::json;
use workbench_mcp::caller::Role;
use workbench_mcp::sandbox::{Fault, Place};

use crate::harness::app::{Person, for_each_world, still, until};
use crate::harness::http::Page;

async fn somebody(app: &crate::harness::app::TestApp, email: &str, role: Role) -> Person {
    app.auth.add_user(app.org, email, role).await.unwrap();
    let person = app.person(email).await;
    person.sign_in().await;
    person
}

async fn look(person: &Person, path: &str) -> Page {
    person.browser.get(person.at(path)).await
}

#[tokio::test]
async fn health_says_who_must_reconnect_and_not_which_account() {
    for_each_world(false, async |world| {
        let app = world.app().await;
        let ada = somebody(&app, "ada@example.test", Role::Admin).await;
        let bob = somebody(&app, "bob@example.test", Role::Member).await;
        let page = look(&ada, "/admin/connections").await;
        assert!(
            page.text.contains("Every connected account works"),
            "{}",
            page.text
        );
        assert_eq!(
            look(&bob, "/admin/connections").await.status,
            StatusCode::NOT_FOUND
        );
        bob.connect("github", "alice-dev").await;
        world.advance(Duration::from_hours(30));
        let gone = Fault::Refuse {
            error: "invalid_grant".to_owned(),
        };
        world.misbehave("github", Place::Token, 1, gone);
        assert_eq!(bob.viewer().await.code(), "reauth_required");
        // Her session ended in the meantime.
        ada.sign_in().await;
        let page = look(&ada, "/admin/connections").await;
        assert!(page.text.contains("bob@example.test"), "{}", page.text);
        assert!(page.text.contains("status Expired"), "{}", page.text);
        // Since it expired, not since it was connected.
        assert!(page.text.contains("2026-11-21T18:00:00Z"), "{}", page.text);
        assert!(!page.text.contains("alice-dev"), "{}", page.text);
    })
    .await;
}

#[tokio::test]
async fn background_work_is_seen() {
    for_each_world(false, async |world| {
        let app = world.app().await;
        let ada = somebody(&app, "ada@example.test", Role::Admin).await;
        until("both rounds end", async || {
            let page = look(&ada, "/admin/system").await;
            (page.text.matches("status ok\">Done").count() == 2).then_some(())
        })
        .await;
        let other = world.app().await;
        let ada = other.person("ada@example.test").await;
        ada.sign_in().await;
        until("a second process leaves the tidying to it", async || {
            let page = look(&ada, "/admin/system").await;
            page.text.contains("Another process does it").then_some(())
        })
        .await;
    })
    .await;
}

#[tokio::test]
async fn keys_turn_from_the_page() {
    for_each_world(false, async |world| {
        let app = world.app().await;
        let ada = somebody(&app, "ada@example.test", Role::Admin).await;
        let bob = somebody(&app, "bob@example.test", Role::Member).await;
        bob.connect("github", "alice-dev").await;
        let page = look(&ada, "/admin/system").await;
        assert!(
            page.text.contains(env!("CARGO_PKG_VERSION")),
            "{}",
            page.text
        );
        let rotate = ada.at("/admin/system/rotate");
        let csrf = page.field("csrf");
        let refused = ada.browser.post(&rotate, &[]).await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN);
        let refused = bob
            .browser
            .post(bob.at("/admin/system/rotate"), &[("csrf", "x")])
            .await;
        assert_eq!(refused.status, StatusCode::NOT_FOUND);
        let begun = ada.browser.post(&rotate, &[("csrf", &csrf)]).await;
        assert_eq!(begun.status, StatusCode::SEE_OTHER, "{}", begun.text);
        until("the rotation ends", async || {
            let page = look(&ada, "/admin/system").await;
            page.text
                .contains("Everything is sealed under")
                .then_some(())
        })
        .await;
        let logged = app.logged("key.rotated").await;
        assert_eq!(logged.len(), 1);
        assert_eq!(logged[0].user, Some(ada.row.id));
        assert_eq!(bob.viewer().await.code(), "ok");
    })
    .await;
}

#[tokio::test]
async fn a_toolset_is_switched_on_the_page() {
    let (_world, app) = still().await;
    let ada = somebody(&app, "ada@example.test", Role::Admin).await;
    ada.connect("github", "alice-dev").await;
    let tool = "github_save_issue".to_owned();
    assert!(ada.mcp.tools().await.contains(&tool));
    let page = look(&ada, "/admin/integrations").await;
    let csrf = page.field("csrf");
    let path = ada.at("/admin/integrations/github/toolsets/issues");
    for (to, listed) in [("off", false), ("on", true)] {
        let form = [("csrf", csrf.as_str()), ("to", to)];
        let switched = ada.browser.post(&path, &form).await;
        assert_eq!(switched.status, StatusCode::SEE_OTHER, "{}", switched.text);
        assert_eq!(ada.mcp.tools().await.contains(&tool), listed, "{to}");
    }
    let form = [("csrf", csrf.as_str()), ("to", "off")];
    let path = ada.at("/admin/integrations/github/toolsets/none");
    let refused = ada.browser.post(&path, &form).await;
    assert_eq!(refused.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn what_is_wrong_is_said_on_a_page() {
    let (_world, app) = still().await;
    let bob = somebody(&app, "bob@example.test", Role::Member).await;
    for (path, status, words) in [
        ("/nothing", StatusCode::NOT_FOUND, "Nothing is here"),
        ("/admin/people", StatusCode::NOT_FOUND, "Nothing is here"),
        (
            "/connections/con_1",
            StatusCode::BAD_REQUEST,
            "<h1>That did not work</h1>",
        ),
    ] {
        let page = look(&bob, path).await;
        assert_eq!(page.status, status, "{path}");
        assert!(page.text.contains(words), "{path}: {}", page.text);
    }
    let page = bob
        .browser
        .post(bob.at("/account/password"), &[("new", "x"), ("again", "x")])
        .await;
    assert_eq!(page.status, StatusCode::FORBIDDEN);
    assert!(
        page.text
            .contains("<h1>This form is not valid any more</h1>"),
        "{}",
        page.text
    );
    let refused = json!({ "repo": "acme/site" });
    assert_ne!(
        bob.mcp.call("github_list_issues", refused).await.code(),
        "ok"
    );
}
