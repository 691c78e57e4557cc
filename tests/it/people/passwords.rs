//! Signing in with a password: guessing, telling who is here, sessions and their cookies.

use std::time::{Duration, Instant};

use reqwest::Method;
use reqwest::header::{RETRY_AFTER, SET_COOKIE};

use super::*;

#[tokio::test]
async fn a_wrong_password_and_nobody_are_one_answer() {
    let (_world, app) = still().await;
    let alice = app.person("alice@example.test").await;
    app.person("token-only@example.test").await;
    give_password(&app, &alice, PASSWORD).await;
    let browser = Browser::new();
    let mut seen: Vec<(StatusCode, String)> = Vec::new();
    let mut times = Vec::new();
    for (email, password) in [
        ("alice@example.test", "wrong horse battery"),
        ("nobody@example.test", "wrong horse battery"),
        ("token-only@example.test", "wrong horse battery"),
        ("token-only@example.test", ""),
        ("", ""),
        ("alice@example.test", &"x".repeat(5_000)),
        ("not an address", PASSWORD),
        ("alice@example.test' or '1'='1", PASSWORD),
    ] {
        let began = Instant::now();
        let page = sign_in(&browser, &app.url, email, password).await;
        times.push((email, began.elapsed()));
        seen.push((page.status, page.text));
    }
    for (status, text) in &seen {
        assert_eq!(
            (*status, text),
            (StatusCode::FORBIDDEN, &seen[0].1),
            "{seen:?}"
        );
    }
    // Measured and shown, not asserted: other tests use the same processors.
    eprintln!("refused sign-ins took {times:?}");
    assert!(!is_in(&browser, &app.url).await);
    let page = sign_in(&browser, &app.url, " Alice@Example.test ", PASSWORD).await;
    assert_eq!(page.status, StatusCode::SEE_OTHER, "{}", page.text);
    assert!(is_in(&browser, &app.url).await);
    let denied = app.logged("auth.denied").await;
    assert_eq!(denied.len(), seen.len());
    let written = serde_json::to_string(&denied).unwrap();
    assert!(
        !written.contains("horse") && !written.contains("or '1'"),
        "{written}"
    );
}

#[tokio::test]
async fn guessing_is_slowed_down_for_everybody_alike() {
    let (_world, app) = still().await;
    let alice = app.person("alice@example.test").await;
    give_password(&app, &alice, PASSWORD).await;
    let mut answers = Vec::new();
    for email in ["alice@example.test", "nobody@example.test"] {
        let browser = Browser::new();
        let mut refused = 0_u32;
        let page = loop {
            let page = sign_in(&browser, &app.url, email, "guess guess guess").await;
            if page.status != StatusCode::FORBIDDEN {
                break page;
            }
            refused += 1;
            assert!(refused < 20);
        };
        assert_eq!(page.status, StatusCode::TOO_MANY_REQUESTS, "{}", page.text);
        let wait: u64 = page.headers[RETRY_AFTER].to_str().unwrap().parse().unwrap();
        assert!((1..=31).contains(&wait), "{wait}");
        // The right password does not help now either.
        let page = sign_in(&browser, &app.url, email, PASSWORD).await;
        answers.push((refused, page.status));
    }
    // One more refusal may fit while the bucket fills.
    assert_eq!(answers[0].1, answers[1].1);
    assert!(answers[0].0.abs_diff(answers[1].0) <= 1, "{answers:?}");
    let told = app.logged("auth.denied").await;
    let throttled = told.iter().filter(|entry| entry.outcome == "throttled");
    assert_eq!(throttled.count(), 2);
    // Whoever has a link is not kept out by somebody else's guesses.
    let ticket = app.auth.ticket(&alice.row).await.unwrap();
    let link = alice.at(&format!("/login?ticket={}", ticket.expose_secret()));
    // A program that looks where the link leads does not use it up.
    let looked = crate::harness::http::plain().head(&link).send().await;
    assert_eq!(looked.unwrap().status(), StatusCode::OK);
    assert_eq!(Browser::new().get(link).await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn addresses_come_from_the_socket_or_a_trusted_proxy() {
    for (proxies, others_wait) in [("", true), ("127.0.0.0/8", false)] {
        let mut world = World::still(crate::harness::database::sqlite()).await;
        world
            .extra
            .insert("WORKBENCH_TRUSTED_PROXIES".to_owned(), proxies.to_owned());
        let app = world.app().await;
        let browser = Browser::new();
        let url = format!("{}/login", app.url);
        let (browser, url) = (&browser, &url);
        let attempt = async move |number: u32, address: &str| {
            let email = format!("p{number}@example.test");
            let form = [("email", email.as_str()), ("password", "guess guess guess")];
            let headers = [("x-forwarded-for", address)];
            let page = browser.send(Method::POST, url, &headers, Some(&form)).await;
            page.status
        };
        // At once, so that the bucket cannot fill up meanwhile.
        let slowed = async |numbers: std::ops::Range<u32>, from: &dyn Fn(u32) -> String| {
            let many = numbers.map(|number| {
                let from = from(number);
                async move { attempt(number, &from).await }
            });
            let answers = futures_util::future::join_all(many).await;
            let slowed = answers.iter();
            slowed
                .filter(|status| **status == StatusCode::TOO_MANY_REQUESTS)
                .count()
        };
        assert!(slowed(0..80, &|_| "198.51.100.7".to_owned()).await >= 20);
        // What somebody writes before the proxy's own entry counts for nothing.
        let forged = |number| format!("203.0.113.{number}, 198.51.100.7");
        assert!(slowed(80..160, &forged).await >= 20, "{proxies}");
        let others = slowed(160..200, &|number| format!("203.0.113.{number}")).await;
        assert_eq!(others > 0, others_wait, "{proxies}: {others}");
    }
}

#[tokio::test]
async fn a_session_is_new_at_every_sign_in_and_the_old_one_ends() {
    let (world, app) = still().await;
    let alice = app.person("alice@example.test").await;
    give_password(&app, &alice, PASSWORD).await;
    // A session that somebody planted before the sign-in.
    let planted = "planted".repeat(6);
    let http = crate::harness::http::plain();
    let form = [("email", "alice@example.test"), ("password", PASSWORD)];
    let response = http
        .post(format!("{}/login", app.url))
        .header("cookie", format!("workbench={planted}"))
        .form(&form)
        .send()
        .await
        .unwrap();
    let line = response.headers()[SET_COOKIE].to_str().unwrap().to_owned();
    assert!(
        line.ends_with("; Path=/; HttpOnly; SameSite=Lax; Max-Age=604800"),
        "{line}"
    );
    assert!(!line.contains(&planted));
    let first = line.split([';', '=']).nth(1).unwrap().to_owned();
    let sees = async |cookie: &str| {
        let page = http
            .get(format!("{}/connections", app.url))
            .header("cookie", format!("workbench={cookie}"))
            .send();
        page.await.unwrap().status() == StatusCode::OK
    };
    assert!(!sees(&planted).await);
    assert!(sees(&first).await);
    let again = http
        .post(format!("{}/login", app.url))
        .header("cookie", format!("workbench={first}"))
        .form(&form)
        .send()
        .await
        .unwrap();
    let second = again.headers()[SET_COOKIE].to_str().unwrap();
    let second = second.split([';', '=']).nth(1).unwrap().to_owned();
    assert_ne!(first, second);
    assert!(
        !sees(&first).await,
        "the session before the sign-in still works"
    );
    assert!(sees(&second).await);
    // Used every eleven hours it lives a week, and not longer.
    for _ in 0..15 {
        world.advance(Duration::from_hours(11));
        assert!(sees(&second).await);
    }
    world.advance(Duration::from_hours(4));
    assert!(!sees(&second).await, "a week is over");
}

#[tokio::test]
async fn an_idle_session_ends() {
    let (world, app) = still().await;
    let alice = app.person("alice@example.test").await;
    alice.sign_in().await;
    world.advance(Duration::from_secs(12 * 3_600 - 1));
    assert!(is_in(&alice.browser, &app.url).await);
    world.advance(Duration::from_hours(12));
    assert!(!is_in(&alice.browser, &app.url).await);
}

#[tokio::test]
async fn a_password_is_changed_with_the_old_one_or_after_a_link() {
    let (world, app) = still().await;
    let alice = app.person("alice@example.test").await;
    // A token is not enough to set a password, or a stolen one could keep the account.
    alice.sign_in().await;
    let set = |old: &'static str, new: &'static str, again: &'static str| {
        [("old", old), ("new", new), ("again", again)]
    };
    let page = submit(&alice, "/account/password", &set("", PASSWORD, PASSWORD)).await;
    assert_eq!(page.status, StatusCode::FORBIDDEN, "{}", page.text);
    give_password(&app, &alice, PASSWORD).await;
    assert!(
        !is_in(&alice.browser, &app.url).await,
        "other browsers are signed out"
    );

    let one = Browser::new();
    assert_eq!(
        sign_in(&one, &app.url, "alice@example.test", PASSWORD)
            .await
            .status,
        StatusCode::SEE_OTHER
    );
    let alice = Person {
        browser: one,
        ..alice
    };
    let next = "another long phrase";
    for (form, expected) in [
        (
            set("wrong horse battery", next, next),
            StatusCode::FORBIDDEN,
        ),
        (
            set(PASSWORD, next, "another"),
            StatusCode::UNPROCESSABLE_ENTITY,
        ),
        (
            set(PASSWORD, "short", "short"),
            StatusCode::UNPROCESSABLE_ENTITY,
        ),
        (
            set(PASSWORD, "alice@example.test", "alice@example.test"),
            StatusCode::UNPROCESSABLE_ENTITY,
        ),
        (set(PASSWORD, next, next), StatusCode::SEE_OTHER),
    ] {
        let page = submit(&alice, "/account/password", &form).await;
        assert_eq!(page.status, expected, "{form:?}: {}", page.text);
    }
    assert!(is_in(&alice.browser, &app.url).await);
    let other = Browser::new();
    assert_eq!(
        sign_in(&other, &app.url, "alice@example.test", PASSWORD)
            .await
            .status,
        StatusCode::FORBIDDEN
    );
    assert_eq!(
        sign_in(&other, &app.url, "alice@example.test", next)
            .await
            .status,
        StatusCode::SEE_OTHER
    );
    // A quarter of an hour after a link, the old password is asked for again.
    let late = Browser::new();
    let ticket = app.auth.ticket(&alice.row).await.unwrap();
    late.get(alice.at(&format!("/login?ticket={}", ticket.expose_secret())))
        .await;
    assert!(
        !late
            .get(alice.at("/account"))
            .await
            .text
            .contains("name=\"old\"")
    );
    world.advance(Duration::from_mins(16));
    assert!(
        late.get(alice.at("/account"))
            .await
            .text
            .contains("name=\"old\"")
    );
    assert_eq!(app.logged("auth.password_changed").await.len(), 2);
    app.verify().await;
}

#[tokio::test]
async fn forms_of_other_sites_are_refused() {
    let (_world, app) = still().await;
    let alice = app.person("alice@example.test").await;
    alice.sign_in().await;
    for path in [
        "/login",
        "/join",
        "/account/password",
        "/admin/people/invite",
    ] {
        let url = alice.at(path);
        for headers in [
            ("origin", "https://evil.test"),
            ("sec-fetch-site", "cross-site"),
        ] {
            let page = alice
                .browser
                .send(Method::POST, &url, &[headers], Some(&[("csrf", "x")]))
                .await;
            assert_eq!(page.status, StatusCode::FORBIDDEN, "{path} {headers:?}");
        }
    }
    let page = alice
        .browser
        .post(alice.at("/account/password"), &[("csrf", "x")])
        .await;
    assert_eq!(page.status, StatusCode::FORBIDDEN);
}
