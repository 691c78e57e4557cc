//! What an attacker can send a victim, or send in a victim's place.

use super::*;

fn query(url: &Url, name: &str) -> String {
    let found = url.query_pairs().find(|(found, _)| found == name);
    found
        .unwrap_or_else(|| panic!("{name} in {url}"))
        .1
        .into_owned()
}

/// Nobody has a connection, and no code was ever redeemed.
async fn nothing_happened(world: &World, app: &TestApp, people: &[&Person]) {
    for person in people {
        assert_eq!(app.rows(person).await, [], "{}", person.row.email);
    }
    for provider in ["github", "hubspot"] {
        let calls = world.report(provider).counters.token_calls;
        assert!(calls.is_empty(), "{provider}: {calls:?}");
    }
}

fn refused(page: &Page) {
    assert_eq!(
        page.status,
        StatusCode::CONFLICT,
        "{}: {}",
        page.url,
        page.text
    );
    assert!(page.text.contains("Nothing was connected"), "{}", page.text);
}

#[tokio::test]
async fn callbacks_that_belong_to_no_attempt() {
    let (world, app) = still().await;
    let alice = app.person("alice@example.test").await;
    alice.sign_in().await;
    for query in [
        "",
        "?code=x",
        "?state=",
        "?state=&code=x",
        "?state=unknown&code=x",
        "?error=access_denied",
        "?state=a&state=b&code=x",
    ] {
        let page = alice
            .browser
            .get(alice.at(&format!("/oauth/callback/github{query}")))
            .await;
        refused(&page);
    }
    // Too old: eleven minutes.
    let consent = alice.begin("/connect/github").await;
    let back = alice.approve(&consent, "alice-dev").await;
    world.advance(Duration::from_mins(11));
    refused(&alice.browser.get(back.as_str()).await);
    nothing_happened(&world, &app, &[&alice]).await;

    // Nobody is signed in: the person signs in first, and the code goes no further.
    let consent = alice.begin("/connect/github").await;
    let back = alice.approve(&consent, "alice-dev").await;
    let stranger = Browser::new();
    let page = stranger.get(back.as_str()).await;
    assert_eq!(page.status, StatusCode::SEE_OTHER);
    assert_eq!(
        page.location().unwrap().as_str(),
        alice.at("/login?next=%2Fconnections")
    );
    nothing_happened(&world, &app, &[&alice]).await;

    // Used twice: the first one connects, the second one does nothing.
    let page = alice.browser.get(back.as_str()).await;
    assert!(
        alice
            .browser
            .follow(page)
            .await
            .text
            .contains("is connected")
    );
    let before = app.row(&alice).await;
    refused(&alice.browser.get(back.as_str()).await);
    assert_eq!(app.row(&alice).await, before);
    assert_eq!(
        world.report("github").counters.token_calls["authorization_code"],
        1
    );
}

#[tokio::test]
async fn every_doubled_parameter_is_refused() {
    let (world, app) = still().await;
    let alice = app.person("alice@example.test").await;
    for name in ["state", "code", "error", "error_description", "iss"] {
        let consent = alice.begin("/connect/github").await;
        let mut back = alice.approve(&consent, "alice-dev").await;
        let twice = [(name, "one"), (name, "two")];
        let extra = if matches!(name, "state" | "code") {
            &twice[..1]
        } else {
            &twice
        };
        back.query_pairs_mut().extend_pairs(extra);
        refused(&alice.browser.get(back.as_str()).await);
    }
    nothing_happened(&world, &app, &[&alice]).await;
}

/// RFC 9207: a provider that names itself must be the one that was asked, whatever it answers.
#[tokio::test]
async fn an_answer_of_another_issuer_is_refused() {
    let (world, app) = still().await;
    let alice = app.person("alice@example.test").await;
    for (decision, issuer) in [
        ("approve", "https://evil.test"),
        ("approve", "no address"),
        ("deny", "https://evil.test"),
    ] {
        let consent = alice.begin("/connect/github").await;
        let form = [("decision", decision), ("account", "alice-dev")];
        let mut back = alice.decide(&consent, &form).await;
        back.query_pairs_mut().append_pair("iss", issuer);
        let page = alice.browser.get(back.as_str()).await;
        let page = alice.browser.follow(page).await;
        assert!(
            page.text.contains("begun by somebody else"),
            "{}",
            page.text
        );
    }
    nothing_happened(&world, &app, &[&alice]).await;
    let consent = alice.begin("/connect/github").await;
    let mut back = alice.approve(&consent, "alice-dev").await;
    let issuer = consent.join("/login/oauth").unwrap();
    back.query_pairs_mut().append_pair("iss", issuer.as_str());
    let page = alice.browser.get(back.as_str()).await;
    let page = alice.browser.follow(page).await;
    assert!(page.text.contains("is connected"), "{}", page.text);
}

#[tokio::test]
async fn an_attempt_belongs_to_the_person_and_the_browser_that_began_it() {
    let (world, app) = still().await;
    let alice = app.person("alice@example.test").await;
    let bob = app.person("bob@example.test").await;
    bob.sign_in().await;

    // Connect phishing: Bob is sent the consent page of Alice's attempt and approves his own account.
    let consent = alice.begin("/connect/github").await;
    let back = bob.approve(&consent, "bob-ops").await;
    refused(&bob.browser.get(back.as_str()).await);
    nothing_happened(&world, &app, &[&alice, &bob]).await;
    // Bob has an attempt of his own under way, hence a cookie; the state is still Alice's.
    let consent = alice.begin("/connect/github").await;
    bob.begin("/connect/github").await;
    let back = bob.approve(&consent, "bob-ops").await;
    refused(&bob.browser.get(back.as_str()).await);
    nothing_happened(&world, &app, &[&alice, &bob]).await;

    // Forced connect: Alice is sent the callback with Bob's state and code.
    let consent = bob.begin("/connect/github").await;
    let back = bob.approve(&consent, "bob-ops").await;
    refused(&alice.browser.get(back.as_str()).await);
    nothing_happened(&world, &app, &[&alice, &bob]).await;

    // Alice herself, in a browser that began nothing, or with the cookie of another attempt.
    let consent = alice.begin("/connect/github").await;
    let back = alice.approve(&consent, "alice-dev").await;
    let elsewhere = Person {
        browser: Browser::new(),
        ..alice.clone()
    };
    elsewhere.sign_in().await;
    let page = elsewhere.browser.get(back.as_str()).await;
    let page = elsewhere.browser.follow(page).await;
    assert!(page.text.contains("in another browser"), "{}", page.text);
    let consent = alice.begin("/connect/github").await;
    let back = alice.approve(&consent, "alice-dev").await;
    elsewhere.begin("/connect/github").await;
    let page = elsewhere.browser.get(back.as_str()).await;
    let page = elsewhere.browser.follow(page).await;
    assert!(page.text.contains("in another browser"), "{}", page.text);
    nothing_happened(&world, &app, &[&alice, &bob]).await;
    // How it ended is hers to see and nobody else's.
    assert!(
        page.url.path().starts_with("/connected/flow_"),
        "{}",
        page.url
    );
    assert_eq!(
        bob.browser.get(page.url.as_str()).await.status,
        StatusCode::NOT_FOUND
    );
    assert_eq!(app.logged("connection.refused").await.len(), 5);
}

#[tokio::test]
async fn codes_and_states_of_two_providers_do_not_mix() {
    let (world, app) = still().await;
    let alice = app.person("alice@example.test").await;
    // GitHub's state at HubSpot's callback.
    let consent = alice.begin("/connect/github").await;
    let mut back = alice.approve(&consent, "alice-dev").await;
    back.set_path("/oauth/callback/hubspot");
    let page = alice.browser.get(back.as_str()).await;
    let page = alice.browser.follow(page).await;
    assert!(
        page.text.contains("begun by somebody else"),
        "{}",
        page.text
    );
    nothing_happened(&world, &app, &[&alice]).await;

    // HubSpot's code with GitHub's state at GitHub's callback: HubSpot's code never reaches GitHub as a usable one.
    let hubspot = alice.begin("/connect/hubspot").await;
    let of_hubspot = alice.approve(&hubspot, "4711").await;
    let github = alice.begin("/connect/github").await;
    let mut back = alice.approve(&github, "alice-dev").await;
    let state = query(&back, "state");
    back.query_pairs_mut()
        .clear()
        .append_pair("code", &query(&of_hubspot, "code"))
        .append_pair("state", &state);
    let page = alice.browser.get(back.as_str()).await;
    let page = alice.browser.follow(page).await;
    assert!(page.text.contains("is not connected"), "{}", page.text);
    assert_eq!(app.rows(&alice).await, []);

    // A code of another attempt at the same provider: its verifier is not this attempt's (RFC 7636).
    let first = alice.begin("/connect/github").await;
    let first = alice.approve(&first, "alice-dev").await;
    let second = alice.begin("/connect/github").await;
    let mut second = alice.approve(&second, "alice-dev").await;
    let state = query(&second, "state");
    second
        .query_pairs_mut()
        .clear()
        .append_pair("code", &query(&first, "code"))
        .append_pair("state", &state);
    let page = alice.browser.get(second.as_str()).await;
    let page = alice.browser.follow(page).await;
    assert!(page.text.contains("is not connected"), "{}", page.text);
    assert_eq!(app.rows(&alice).await, []);
    // A provider that nobody knows.
    let page = alice
        .browser
        .get(alice.at("/oauth/callback/nobody?state=x&code=y"))
        .await;
    refused(&page);
}

#[tokio::test]
async fn the_words_of_a_provider_are_shown_as_words() {
    let (_world, app) = still().await;
    let alice = app.person("alice@example.test").await;
    let consent = alice.begin("/connect/github").await;
    let back = alice.approve(&consent, "alice-dev").await;
    let mut spoilt = back.clone();
    spoilt
        .query_pairs_mut()
        .clear()
        .append_pair("state", &query(&back, "state"))
        .append_pair("error", "server_error")
        .append_pair("error_description", "<script>alert(1)</script>\u{202e}evil");
    let page = alice.browser.get(spoilt.as_str()).await;
    let page = alice.browser.follow(page).await;
    assert!(page.text.contains("is not connected"), "{}", page.text);
    assert!(!page.text.contains("<script>alert"), "{}", page.text);
    assert!(!page.text.contains('\u{202e}'), "{}", page.text);
    assert_eq!(app.rows(&alice).await, []);
}

#[tokio::test]
async fn somebody_elses_connection_is_not_there() {
    let (world, app) = still().await;
    let alice = app.person("alice@example.test").await;
    let bob = app.person("bob@example.test").await;
    alice.connect("github", "alice-dev").await;
    bob.connect("github", "bob-ops").await;
    let hers = app.row(&alice).await;
    let page = bob.disconnect(&hers.id.to_string()).await;
    assert_eq!(page.status, StatusCode::NOT_FOUND);
    assert_eq!(app.row(&alice).await, hers);
    assert!(
        !world
            .report("github")
            .grants
            .iter()
            .any(|grant| grant.revoked)
    );
    // Her connection's id in the place of his to reconnect: it is simply not his, and hers stays what it is.
    let page = bob
        .connect_at(&format!("/connect/github?reconnect={}", hers.id), "bob-ops")
        .await;
    assert!(page.text.contains("bob-ops is connected"), "{}", page.text);
    assert_eq!(app.row(&alice).await, hers);
    let his = bob
        .mcp
        .call(
            "github_get_viewer",
            json!({ "account": hers.id.to_string() }),
        )
        .await;
    assert_eq!(his.code(), "ambiguous_account");
    assert_eq!(his.error()["choices"], json!(["bob-ops"]));
}
