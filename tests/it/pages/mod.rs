//! The pages of a person besides their accounts, as a browser without scripts uses them.

mod activity;
mod clients;
mod forms;
mod tokens;
mod try_it;

use http::StatusCode;
use workbench_mcp::audit::Actor;
use workbench_mcp::rulebook::Draft;

use crate::harness::app::{Person, TestApp};
use crate::harness::http::Page;

/// Somebody with an account of both integrations, signed in.
async fn connected(app: &TestApp, email: &str) -> Person {
    let person = app.person(email).await;
    person.connect("github", "alice-dev").await;
    person.connect("hubspot", "4711").await;
    person
}

/// Sets a rule of the organization for this tool.
async fn rule(app: &TestApp, tool: &str, verdict: &str) {
    let draft = Draft {
        who: String::new(),
        integration: String::new(),
        toolset: String::new(),
        tool: tool.to_owned(),
        effect: String::new(),
        verdict: verdict.to_owned(),
        note: "asked by the tests".to_owned(),
    };
    let rules = &app.rulebook;
    rules.add(Actor::System, app.org, draft).await.unwrap();
}

/// A page that is there.
async fn get(person: &Person, path: &str) -> Page {
    let page = person.browser.get(person.at(path)).await;
    assert_eq!(page.status, StatusCode::OK, "{path}: {}", page.text);
    page
}

/// Posts what a form holds and this button.
async fn press(
    person: &Person,
    path: &str,
    form: &[(String, String)],
    button: (&str, &str),
) -> Page {
    let mut pairs: Vec<(&str, &str)> = form
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    pairs.push(button);
    person.browser.post(person.at(path), &pairs).await
}

/// Every form of these pages that changes something is refused without its token, and sends somebody who is not signed in
/// to sign in.
#[tokio::test]
async fn forms_are_refused_without_their_token() {
    let (_world, app) = crate::harness::app::still().await;
    let alice = connected(&app, "alice@example.test").await;
    let stranger = app.person("stranger@example.test").await;
    let bob = app.person("bob@example.test").await;
    bob.sign_in().await;
    let csrf = get(&bob, "/tokens").await.field("csrf");
    for (path, form) in [
        ("/try/github_search", &[("do", "run"), ("view", "form")][..]),
        ("/try/blocks/github_repo", &[("do", "read")]),
        ("/try/blocks/github_repo/complete", &[("part", "repo")]),
        (
            "/tokens",
            &[("name", "x"), ("access", "read"), ("life", "7")],
        ),
        ("/tokens/grt_0198c2f0a5d07f3e8a2b4c6d8e0f1a2b/revoke", &[]),
        ("/clients/sign-out", &[]),
        (
            "/clients/fam_0198c2f0a5d07f3e8a2b4c6d8e0f1a2b/sign-out",
            &[],
        ),
        ("/connect/github", &[]),
        ("/connect/sentry/key", &[("key", "x")]),
        (
            "/approvals/apr_0198c2f0a5d07f3e8a2b4c6d8e0f1a2b",
            &[("decision", "approve")],
        ),
        ("/account/password", &[("old", "x"), ("new", "y")]),
        ("/logout", &[]),
    ] {
        let others = [form, &[("csrf", csrf.as_str())]].concat();
        for form in [form, &others] {
            let page = alice.browser.post(alice.at(path), form).await;
            assert_eq!(page.status, StatusCode::FORBIDDEN, "{path}");
        }
        let page = stranger.browser.post(stranger.at(path), form).await;
        assert_eq!(page.status, StatusCode::SEE_OTHER, "{path}");
    }
    for path in [
        "/try",
        "/try/github_search",
        "/activity",
        "/activity/conversations",
        "/tokens",
        "/clients/add",
    ] {
        let page = stranger.browser.get(stranger.at(path)).await;
        let to = page.location().unwrap();
        assert_eq!(to.path(), "/login", "{path}");
        // And back again after signing in.
        let form = [("token", stranger.mcp.token.as_str()), ("next", path)];
        let other = crate::harness::http::Browser::new();
        let signed_in = other.post(stranger.at("/login"), &form).await;
        assert_eq!(signed_in.location().unwrap().path(), path);
    }
    assert_eq!(app.logged("tool.outcome").await.len(), 0);
    assert_eq!(app.logged("block.outcome").await.len(), 0);
}
