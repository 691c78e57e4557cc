//! What every page carries, and which forms are taken.

use reqwest::Method;
use reqwest::header::{HeaderMap, SET_COOKIE};

use super::*;

const HEADERS: [(&str, &str); 3] = [
    ("referrer-policy", "no-referrer"),
    ("x-content-type-options", "nosniff"),
    ("cache-control", "no-store"),
];

fn guarded(page: &Page) {
    let header = |name: &str| {
        let value = page.headers.get(name);
        value
            .map(|value| value.to_str().unwrap())
            .unwrap_or_default()
    };
    for (name, expected) in HEADERS {
        assert_eq!(
            header(name),
            expected,
            "{name} of {} {}",
            page.url,
            page.status
        );
    }
    let policy = header("content-security-policy");
    for part in [
        "default-src 'none'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
        "form-action ",
    ] {
        assert!(
            policy.contains(part),
            "{part} of {} {}: {policy}",
            page.url,
            page.status
        );
    }
    assert!(!policy.contains("unsafe"), "{policy}");
}

fn cookies(headers: &HeaderMap) -> Vec<String> {
    let cookies = headers.get_all(SET_COOKIE).iter();
    cookies
        .map(|line| line.to_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn every_page_is_guarded_and_every_cookie_has_its_flags() {
    let (_world, app) = still().await;
    let alice = app.person("alice@example.test").await;
    let stranger = Browser::new();
    let post = async |path: &str, headers: &[(&str, &str)]| {
        let url = alice.at(path);
        stranger
            .send(Method::POST, &url, headers, Some(&[("csrf", "x")]))
            .await
    };
    for path in [
        "/",
        "/login",
        "/login?ticket=x",
        "/connections",
        "/connect/github",
        "/connected/x",
        "/nowhere",
        "/oauth/callback/github?state=x",
    ] {
        guarded(&stranger.get(alice.at(path)).await);
    }
    for path in [
        "/login",
        "/logout",
        "/connect/github",
        "/connections/x/disconnect",
        "/nowhere",
    ] {
        guarded(&post(path, &[]).await);
        guarded(&post(path, &[("origin", "https://evil.test")]).await);
    }

    let signed_in = alice
        .browser
        .post(
            alice.at("/login"),
            &[("token", &alice.mcp.token), ("next", "/connections")],
        )
        .await;
    guarded(&signed_in);
    let set = cookies(&signed_in.headers);
    assert_eq!(set.len(), 1, "{set:?}");
    assert!(set[0].starts_with("workbench="), "{set:?}");
    assert!(
        set[0].ends_with("; Path=/; HttpOnly; SameSite=Lax; Max-Age=604800"),
        "{set:?}"
    );
    for path in [
        "/",
        "/connections",
        "/connect/github",
        "/connect/nothing",
        "/connected/flow_x",
        "/oauth/callback/github",
    ] {
        guarded(&alice.browser.get(alice.at(path)).await);
    }
    let ours = alice.browser.get(alice.at("/connect/github")).await;
    let csrf = ours.field("csrf");
    let started = alice
        .browser
        .post(ours.url.as_str(), &[("csrf", &csrf)])
        .await;
    guarded(&started);
    let set = cookies(&started.headers);
    assert!(
        set[0].starts_with("workbench-flow=")
            && set[0].ends_with("; Path=/; HttpOnly; SameSite=Lax; Max-Age=600"),
        "{set:?}"
    );
    let back = alice
        .approve(&started.location().unwrap(), "alice-dev")
        .await;
    let landed = alice.browser.get(back.as_str()).await;
    guarded(&landed);
    let to = landed.location().unwrap();
    assert!(to.query().is_none() && !to.path().contains("code"), "{to}");
    assert!(
        cookies(&landed.headers)[0].starts_with("workbench-flow=; "),
        "{:?}",
        landed.headers
    );
    guarded(&alice.browser.follow(landed).await);
    let said = alice
        .disconnect(&app.row(&alice).await.id.to_string())
        .await;
    guarded(&said);
}

#[tokio::test]
async fn over_https_cookies_are_bound_to_the_host() {
    let mut world = World::still(crate::harness::database::sqlite()).await;
    let public = "https://tools.example.test".to_owned();
    world
        .extra
        .insert("WORKBENCH_PUBLIC_URL".to_owned(), public);
    let app = world.app().await;
    let alice = app.person("alice@example.test").await;
    let signed_in = alice
        .browser
        .post(alice.at("/login"), &[("token", &alice.mcp.token)])
        .await;
    let set = cookies(&signed_in.headers);
    assert!(
        set[0].starts_with("__Host-workbench=")
            && set[0].contains("; Secure")
            && set[0].contains("; Path=/;"),
        "{set:?}"
    );
    assert!(!set[0].contains("Domain"), "{set:?}");
    let ours = alice.browser.get(alice.at("/connect/github")).await;
    let csrf = ours.field("csrf");
    let started = alice
        .browser
        .post(ours.url.as_str(), &[("csrf", &csrf)])
        .await;
    let set = cookies(&started.headers);
    assert!(
        set[0].starts_with("__Host-workbench-flow=") && set[0].contains("; Secure"),
        "{set:?}"
    );
}

#[tokio::test]
async fn forms_are_taken_from_our_own_pages_only() {
    let (world, app) = still().await;
    let alice = app.person("alice@example.test").await;
    let bob = app.person("bob@example.test").await;
    alice.connect("github", "alice-dev").await;
    bob.sign_in().await;
    let id = app.row(&alice).await.id;
    let hers = alice
        .browser
        .get(alice.at("/connections"))
        .await
        .field("csrf");
    let his = {
        let page = bob.browser.get(bob.at("/connect/github")).await;
        page.field("csrf")
    };
    let own = alice.base.clone();
    let forms = [
        "/logout".to_owned(),
        "/connect/github".to_owned(),
        format!("/connections/{id}/disconnect"),
    ];
    let tokens = [None, Some(""), Some("x"), Some(his.as_str())];
    for path in &forms {
        for token in tokens {
            let fields: Vec<(&str, &str)> =
                token.map(|token| ("csrf", token)).into_iter().collect();
            let page = alice.browser.post(alice.at(path), &fields).await;
            assert_eq!(page.status, StatusCode::FORBIDDEN, "{path} with {token:?}");
        }
        for (name, value) in [
            ("origin", "https://evil.test"),
            ("origin", "http://127.0.0.1.evil.test"),
            ("origin", "http://127.0.0.1:1"),
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-site"),
        ] {
            let fields = [("csrf", hers.as_str())];
            let page = alice
                .browser
                .send(
                    Method::POST,
                    &alice.at(path),
                    &[(name, value)],
                    Some(&fields),
                )
                .await;
            assert_eq!(
                page.status,
                StatusCode::FORBIDDEN,
                "{path} from {name}: {value}"
            );
        }
    }
    // Login CSRF: nobody is signed in from another site's form.
    let form = [("token", bob.mcp.token.as_str())];
    let page = Browser::new()
        .send(
            Method::POST,
            &alice.at("/login"),
            &[("origin", "https://evil.test")],
            Some(&form),
        )
        .await;
    assert_eq!(page.status, StatusCode::FORBIDDEN);
    assert!(cookies(&page.headers).is_empty());

    assert_eq!(app.rows(&alice).await.len(), 1);
    assert_eq!(world.report("github").counters.revocations, 0);
    let page = alice.browser.get(alice.at("/connections")).await;
    assert_eq!(page.status, StatusCode::OK, "still signed in");
    // The same form, from our own page.
    let headers = [("origin", own.as_str()), ("sec-fetch-site", "same-origin")];
    let fields = [("csrf", hers.as_str())];
    let page = alice
        .browser
        .send(Method::POST, &alice.at("/logout"), &headers, Some(&fields))
        .await;
    assert_eq!(page.status, StatusCode::SEE_OTHER);
    let page = alice.browser.get(alice.at("/connections")).await;
    assert_eq!(page.status, StatusCode::SEE_OTHER, "signed out");
}

#[tokio::test]
async fn signing_in_never_leads_elsewhere_and_sessions_are_fresh() {
    let (world, app) = still().await;
    let alice = app.person("alice@example.test").await;
    let payloads = [
        "//evil.test",
        "///evil.test",
        "////evil.test",
        "/\\evil.test",
        "\\\\evil.test",
        "\\/evil.test",
        "/\\/evil.test",
        "https://evil.test",
        "http:evil.test",
        "https:/evil.test",
        "HTTPS://EVIL.TEST",
        "javascript:alert(1)",
        "JaVaScRiPt:alert(1)",
        "data:text/html,x",
        "vbscript:x",
        "file:///etc/passwd",
        "ftp://evil.test",
        "/%2f%2fevil.test",
        "%2f%2fevil.test",
        "/%5cevil.test",
        "%5c%5cevil.test",
        "/%09/evil.test",
        "/\t/evil.test",
        "\t//evil.test",
        " //evil.test",
        "/ /evil.test",
        "\n//evil.test",
        "/\n/evil.test",
        "/\r/evil.test",
        "/\r\nLocation: https://evil.test",
        "/connect/github\r\nSet-Cookie: a=b",
        "/connect/github\nx",
        "/connect/github%0d%0ax",
        "/connect/github@evil.test",
        "/connect/../..//evil.test",
        "/connect/github/../../..//evil.test",
        "/connect/github/",
        "/connect/",
        "/connect/nothing",
        "/connect//evil.test",
        "/connect/github;//evil.test",
        "/connect/github#//evil.test",
        "/login?next=//evil.test",
        "/logout",
        "/oauth/callback/github?code=x",
        "/connected/x",
        "?next=//evil.test",
        "#//evil.test",
        ".",
        "..",
        "./..//evil.test",
        "../evil.test",
        "evil.test",
        "@evil.test",
        "/@evil.test",
        ":80",
        "//127.0.0.1@evil.test",
        "//[::1]",
        "\u{2044}evil.test",
        "/\u{ff0f}evil.test",
        "\u{0}//evil.test",
        "",
        "/",
    ];
    assert!(payloads.len() >= 60);
    for next in payloads {
        let form = [("token", alice.mcp.token.as_str()), ("next", next)];
        let page = Browser::new().post(alice.at("/login"), &form).await;
        let to = page.headers["location"].to_str().unwrap();
        assert_eq!(to, "/connections", "{next:?}");
        assert_eq!(cookies(&page.headers).len(), 1, "{next:?}");
        let query = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("next", next)
            .finish();
        let page = Browser::new()
            .get(alice.at(&format!("/login?{query}")))
            .await;
        assert_eq!(page.field("next"), "/connections", "{next:?}");
    }
    // The few addresses that it may lead to.
    for (next, expected) in [
        ("/connect/github", "/connect/github"),
        (
            "/connect/hubspot?reconnect=x&next=//evil.test",
            "/connect/hubspot",
        ),
    ] {
        let form = [("token", alice.mcp.token.as_str()), ("next", next)];
        let page = Browser::new().post(alice.at("/login"), &form).await;
        assert_eq!(page.headers["location"].to_str().unwrap(), expected);
    }

    // Fixation: a cookie that was there before is not the session afterwards, and an old session is dead.
    alice.sign_in().await;
    let first = alice.browser.cookies()["workbench"].clone();
    alice.sign_in().await;
    let second = alice.browser.cookies()["workbench"].clone();
    assert_ne!(first, second);
    for token in [
        "",
        "wbt_",
        "wbt_wrong",
        &format!("{}x", alice.mcp.token),
        &"w".repeat(10_000),
    ] {
        let page = Browser::new()
            .post(alice.at("/login"), &[("token", token)])
            .await;
        assert_eq!(page.status, StatusCode::FORBIDDEN);
        assert!(cookies(&page.headers).is_empty());
    }
    // A session's secret is no token, and a token is no session.
    let bearer = app.mcp(&second).request("tools/list", json!({})).await;
    assert_eq!(bearer.status, StatusCode::UNAUTHORIZED);
    let cookie = format!("workbench={}", alice.mcp.token);
    let page = Browser::new()
        .send(
            Method::GET,
            &alice.at("/connections"),
            &[("cookie", &cookie)],
            None,
        )
        .await;
    assert_eq!(page.status, StatusCode::SEE_OTHER);
    let page = alice.browser.get(alice.at("/connections")).await;
    assert_eq!(page.status, StatusCode::OK);
    world.advance(Duration::from_hours(12));
    let page = alice.browser.get(alice.at("/connections")).await;
    assert_eq!(
        page.status,
        StatusCode::SEE_OTHER,
        "over after twelve hours"
    );
}
