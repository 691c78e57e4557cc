//! The people of an organization: how they come, sign in, are told apart, and leave (security.md C8, D3, D11 to D15, J1 to
//! J3).

mod admin;
mod issuer;
mod joining;
mod members;
mod passwords;
mod removal;
mod sso;
mod system;

use http::StatusCode;
use secrecy::ExposeSecret;
use workbench_mcp::caller::Role;

use crate::harness::app::{Person, TestApp, World, for_each_world, still};
use crate::harness::http::{Browser, Page};

/// A password that is long enough.
const PASSWORD: &str = "correct horse battery";

/// An admin whose browser is signed in.
async fn admin(app: &TestApp, email: &str) -> Person {
    let person = app.person(email).await;
    let by = workbench_mcp::audit::Actor::System;
    app.auth
        .set_role(by, &person.row, Role::Admin)
        .await
        .unwrap();
    person.sign_in().await;
    person
}

/// Posts a form of ours with its token, as the admin's browser.
async fn submit(person: &Person, path: &str, form: &[(&str, &str)]) -> Page {
    let csrf = person
        .browser
        .get(person.at("/account"))
        .await
        .field("csrf");
    let mut all = vec![("csrf", csrf.as_str())];
    all.extend(form);
    person.browser.post(person.at(path), &all).await
}

/// Gives somebody a password by a one-time link, as whoever runs the server would have them do.
async fn give_password(app: &TestApp, person: &Person, password: &str) {
    let browser = Browser::new();
    let ticket = app.auth.ticket(&person.row).await.unwrap();
    let link = person.at(&format!("/login?ticket={}", ticket.expose_secret()));
    assert_eq!(browser.get(link).await.status, StatusCode::SEE_OTHER);
    let csrf = browser.get(person.at("/account")).await.field("csrf");
    let form = [
        ("csrf", csrf.as_str()),
        ("new", password),
        ("again", password),
    ];
    let page = browser.post(person.at("/account/password"), &form).await;
    assert_eq!(page.status, StatusCode::SEE_OTHER, "{}", page.text);
}

/// Signs in with an address and a password.
async fn sign_in(browser: &Browser, base: &str, email: &str, password: &str) -> Page {
    let form = [("email", email), ("password", password)];
    browser.post(format!("{base}/login"), &form).await
}

/// Whether the browser sees the page of accounts.
async fn is_in(browser: &Browser, base: &str) -> bool {
    let page = browser.get(format!("{base}/connections")).await;
    page.status == StatusCode::OK
}
