//! A person's own tokens: no broader than who makes them, shown once, ended at once.

use std::time::Duration;

use http::StatusCode;
use secrecy::{ExposeSecret, SecretString};
use workbench_mcp::caller::Scopes;

use super::forms::{controls, part, text};
use super::{connected, get, press};
use crate::harness::app::{Person, TestApp, World, still};
use crate::harness::http::Page;

/// Makes every session of the database as narrow as this.
pub(super) async fn narrow(world: &World, app: &TestApp, person: &Person, scopes: &str) {
    let changed = format!("update grants set scopes = '{scopes}' where kind = 'session'");
    world.database.execute(&changed).await;
    // What the process remembers of grants is forgotten when one of them ends.
    let token = app
        .auth
        .create_token(&person.row, "ends", None, Scopes::ALL)
        .await;
    let id = token.unwrap().id;
    assert!(app.auth.revoke_token(&person.row, id).await.unwrap());
}

async fn make(person: &Person, values: &[(&str, &str)]) -> Page {
    let csrf = get(person, "/tokens").await.field("csrf");
    let form = [&[("csrf", csrf.as_str())], values].concat();
    person.browser.post(person.at("/tokens"), &form).await
}

#[tokio::test]
async fn a_token_allows_what_was_chosen() {
    let (world, app) = still().await;
    let alice = connected(&app, "alice@example.test").await;
    let page = get(&alice, "/tokens").await;
    let form = controls(part(&page, "/tokens"));
    // What is proposed is little.
    for (name, value) in [("access", "read"), ("which", "all"), ("life", "90")] {
        assert!(
            form.contains(&(name.to_owned(), value.to_owned())),
            "{form:?}"
        );
    }
    for (name, values, scopes, days) in [
        (
            "reader",
            &[("access", "read"), ("which", "all"), ("life", "7")][..],
            "tools:read",
            Some(7),
        ),
        (
            "github <b>only</b>",
            &[
                ("access", "write"),
                ("which", "some"),
                ("integration", "github"),
                ("integration", "nothing"),
                ("life", "365"),
            ],
            "tools:read tools:write integration:github",
            Some(365),
        ),
        (
            "for good",
            &[("access", "write"), ("which", "all"), ("life", "none")],
            "tools:read tools:write",
            None,
        ),
    ] {
        let made = make(&alice, &[&[("name", name)], values].concat()).await;
        assert_eq!(made.status, StatusCode::OK, "{}", made.text);
        assert_eq!(made.headers["cache-control"], "no-store");
        let token = text(&made, "token");
        // Filled in, in the configurations of clients.
        assert!(made.text.matches(&token).count() > 5, "{}", made.text);
        assert!(!made.text.contains("YOUR_TOKEN"));
        let caller = app.auth.bearer(&token).await.unwrap();
        assert_eq!(caller.scopes.to_string(), scopes);
        assert_eq!(caller.user, alice.row.id);
        let own = app.auth.own_tokens(&caller).await.unwrap();
        let row = own.iter().find(|token| token.name == name).unwrap();
        let life = days.map(|days: u64| world.clock.now().plus(Duration::from_hours(24 * days)));
        assert_eq!(row.expires_at, life);
        // Once.
        let list = get(&alice, "/tokens").await;
        assert!(!list.text.contains(&token) && !list.text.contains("<b>only"));
        let mcp = app.mcp(&token);
        let tools = mcp.tools().await;
        assert_eq!(
            tools.iter().any(|tool| tool == "github_save_issue"),
            scopes.contains("write")
        );
        assert_eq!(
            tools.iter().any(|tool| tool.starts_with("hubspot_")),
            !scopes.contains("integration")
        );
    }
    let logged = app.logged("auth.token_created").await;
    let own: Vec<_> = logged
        .iter()
        .filter(|entry| entry.user == Some(alice.row.id))
        .collect();
    assert_eq!(own.len(), 3);
    assert!(!format!("{own:?}").contains("wbt_"));
}

#[tokio::test]
async fn a_wrong_form_makes_no_token_and_loses_nothing() {
    let (_world, app) = still().await;
    let alice = connected(&app, "alice@example.test").await;
    for (values, status, words) in [
        (
            &[
                ("name", "kept"),
                ("access", "write"),
                ("which", "some"),
                ("life", "30"),
            ][..],
            StatusCode::UNPROCESSABLE_ENTITY,
            "at least one integration",
        ),
        (
            &[("name", "kept"), ("access", "write"), ("life", "forever")],
            StatusCode::UNPROCESSABLE_ENTITY,
            "how long",
        ),
        (
            &[("name", " "), ("access", "write"), ("life", "30")],
            StatusCode::FORBIDDEN,
            "1 to 60",
        ),
    ] {
        let page = make(&alice, values).await;
        assert_eq!(page.status, status, "{}", page.text);
        assert!(page.text.contains(words), "{}", page.text);
        let kept = controls(part(&page, "/tokens"));
        assert!(
            kept.contains(&("access".to_owned(), "write".to_owned())),
            "{kept:?}"
        );
        assert!(
            kept.contains(&("name".to_owned(), values[0].1.to_owned())),
            "{kept:?}"
        );
    }
    // One that the tests themselves made.
    let own = app
        .store
        .grants_of(alice.row.id, workbench_mcp::store::GrantKind::Token);
    assert_eq!(own.await.unwrap().len(), 1);
}

#[tokio::test]
async fn revoking_asks_first_and_ends_it_at_once() {
    let (world, app) = still().await;
    let alice = connected(&app, "alice@example.test").await;
    let bob = connected(&app, "bob@example.test").await;
    // The newest stands first.
    world.advance(Duration::from_secs(1));
    let made = make(
        &alice,
        &[("name", "old laptop"), ("access", "read"), ("life", "30")],
    )
    .await;
    let token = text(&made, "token");
    let list = get(&alice, "/tokens").await;
    let path = list.text.split("href=\"/tokens/").nth(1).unwrap();
    let path = format!("/tokens/{}", path.split('"').next().unwrap());
    let asked = get(&alice, &path).await;
    assert!(asked.text.contains("Revoke old laptop?"), "{}", asked.text);
    assert!(app.auth.bearer(&token).await.is_ok());
    // Somebody else's token is not there.
    let looked = bob.browser.get(bob.at(&path)).await;
    assert_eq!(looked.status, StatusCode::NOT_FOUND);
    let csrf = [("csrf".to_owned(), get(&bob, "/tokens").await.field("csrf"))];
    let taken = press(&bob, &path, &csrf, ("do", "it")).await;
    assert_eq!(taken.status, StatusCode::NOT_FOUND);
    assert!(app.auth.bearer(&token).await.is_ok());
    let form = controls(part(&asked, &path));
    for _ in 0..2 {
        let done = press(&alice, &path, &form, ("do", "it")).await;
        assert_eq!(done.status, StatusCode::SEE_OTHER, "{}", done.text);
    }
    assert!(app.auth.bearer(&token).await.is_err());
    let list = get(&alice, "/tokens").await;
    assert!(list.text.contains("revoked"), "{}", list.text);
    let logged = app.logged("auth.token_revoked").await;
    assert!(logged.iter().all(|entry| entry.user == Some(alice.row.id)));
}

#[tokio::test]
async fn a_revoked_token_takes_its_browsers_with_it() {
    let (world, app) = still().await;
    let alice = connected(&app, "alice@example.test").await;
    let token = |life| {
        app.auth
            .create_token(&alice.row, "laptop", life, Scopes::ALL)
    };
    let (revoked, short) = (
        token(None).await.unwrap(),
        token(Some(Duration::from_hours(1))).await.unwrap(),
    );
    let enter = async |token: &SecretString| {
        let browser = crate::harness::http::Browser::new();
        let form = [("token", token.expose_secret()), ("next", "/tokens")];
        let done = browser.post(alice.at("/login"), &form).await;
        assert_eq!(done.status, StatusCode::SEE_OTHER);
        browser
    };
    let browsers = [enter(&revoked.secret).await, enter(&short.secret).await];
    let let_in = async |browser: &crate::harness::http::Browser| {
        browser.get(alice.at("/tokens")).await.status == StatusCode::OK
    };
    assert!(let_in(&browsers[0]).await && let_in(&browsers[1]).await);
    let caller = app.auth.bearer(&alice.mcp.token).await.unwrap();
    let ended = app.auth.revoke_own_token(&caller, revoked.id).await;
    assert_eq!(ended.unwrap(), Some(true));
    assert!(!let_in(&browsers[0]).await && let_in(&browsers[1]).await);
    // A session does not outlive its token.
    world.advance(Duration::from_hours(2));
    assert!(!let_in(&browsers[1]).await);
}

/// Whoever got hold of something narrow cannot make something broad of it.
#[tokio::test]
async fn nothing_narrow_makes_something_broad() {
    let (world, app) = still().await;
    let alice = connected(&app, "alice@example.test").await;
    // A narrow token signs no browser in, so it reaches no form.
    let narrow_scopes = Scopes::parse("tools:read integration:github").unwrap();
    let narrow_token = app
        .auth
        .create_token(&alice.row, "narrow", None, narrow_scopes)
        .await;
    let secret = narrow_token.unwrap().secret;
    let form = [("token", secret.expose_secret()), ("next", "/tokens")];
    let browser = crate::harness::http::Browser::new();
    let refused = browser.post(alice.at("/login"), &form).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    // Neither does it make one by the function behind the form.
    let caller = app.auth.bearer(secret.expose_secret()).await.unwrap();
    let same = caller.scopes.clone();
    assert!(
        app.auth
            .create_own_token(&caller, "x", None, same)
            .await
            .is_err()
    );
    // A session that is narrow all the same is offered little and gets no more.
    narrow(&world, &app, &alice, "tools:read integration:github").await;
    let page = get(&alice, "/tokens").await;
    assert!(!page.text.contains("value=\"write\"") && !page.text.contains("value=\"all\""));
    assert!(!page.text.contains("value=\"hubspot\""), "{}", page.text);
    for broad in [
        &[
            ("access", "write"),
            ("which", "some"),
            ("integration", "github"),
        ][..],
        &[("access", "read"), ("which", "all")],
        &[
            ("access", "read"),
            ("which", "some"),
            ("integration", "hubspot"),
        ],
    ] {
        let page = make(
            &alice,
            &[&[("name", "broad"), ("life", "7")], broad].concat(),
        )
        .await;
        assert_eq!(
            page.status,
            StatusCode::FORBIDDEN,
            "{broad:?}: {}",
            page.text
        );
        assert!(page.text.contains("cannot allow more"), "{}", page.text);
    }
    let narrow_one = [
        ("name", "as narrow"),
        ("access", "read"),
        ("which", "some"),
        ("integration", "github"),
        ("life", "7"),
    ];
    let page = make(&alice, &narrow_one).await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.text);
    assert_eq!(app.logged("auth.token_refused").await.len(), 4);
}
