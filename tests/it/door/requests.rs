//! Requests that are wrong: each is refused with the right word in the right place.

use super::*;

/// One parameter other than it should be: removed, replaced, or given twice.
enum Spoil {
    Without(&'static str),
    With(&'static str, String),
    Twice(&'static str),
}
use Spoil::{Twice, With, Without};

impl Spoil {
    fn apply(&self, url: &str) -> String {
        let mut url = Url::parse(url).unwrap();
        let mut pairs: Vec<(String, String)> = url.query_pairs().into_owned().collect();
        match self {
            Without(name) => pairs.retain(|(found, _)| found != name),
            With(name, value) => {
                pairs.retain(|(found, _)| found != name);
                pairs.push(((*name).to_owned(), value.clone()));
            }
            Twice(name) => {
                let again = pairs.iter().find(|(found, _)| found == name).cloned();
                pairs.push(again.unwrap_or_else(|| ((*name).to_owned(), "x".to_owned())));
            }
        }
        url.query_pairs_mut().clear().extend_pairs(pairs);
        url.into()
    }

    fn told(&self) -> String {
        match self {
            Without(name) => format!("without {name}"),
            With(name, value) => format!("{name}={value}"),
            Twice(name) => format!("{name} twice"),
        }
    }
}

fn with(name: &'static str, value: &str) -> Spoil {
    With(name, value.to_owned())
}

#[tokio::test]
async fn a_client_or_redirect_that_cannot_be_trusted_ends_on_a_page() {
    let (_world, app) = still().await;
    let client = Client::register(&app, WEB).await;
    let other = Client::register(&app, "https://other.example.test/cb").await;
    let good = client.authorize(&client.parameters("tools:read"));
    let mut cases = vec![
        Without("client_id"),
        with("client_id", ""),
        with("client_id", "client-unknown"),
        with("client_id", "Editor"),
        with("client_id", &"x".repeat(3_000)),
        With("client_id", other.id.clone()),
        Twice("client_id"),
        Without("redirect_uri"),
        Twice("redirect_uri"),
    ];
    for uri in [
        "https://client.example.test/cb/",
        "https://client.example.test/CB",
        "https://client.example.test/cb?x=1",
        "https://client.example.test/cb#x",
        "https://client.example.test:8443/cb",
        "https://client.example.test./cb",
        "https://CLIENT.example.test/cb",
        "https://client.example.test@evil.test/cb",
        "https://evil.test/cb",
        "https://client.example.test.evil.test/cb",
        "https://client.example.test/a/../cb",
        "https://client.example.test\\@evil.test/cb",
        "http://client.example.test/cb",
        "//client.example.test/cb",
        "javascript:alert(1)",
        "JaVaScRiPt:alert(1)",
        "data:text/html,x",
        "http://localhost.evil.test/cb",
        "http://127.0.0.1.nip.io/cb",
        "http://127.0.0.1/cb",
        " https://client.example.test/cb",
        "https://client.example.test/cb\t",
        "https://client.example.test/cb\r\nLocation: https://evil.test",
    ] {
        cases.push(with("redirect_uri", uri));
    }
    for case in cases {
        // Whatever else is wrong, the client is not told.
        for bad in [
            &good,
            &good.replace("response_type=code", "response_type=token"),
        ] {
            let page = Browser::new().get(case.apply(bad)).await;
            let what = case.told();
            assert_eq!(
                page.status,
                StatusCode::BAD_REQUEST,
                "{what}: {}",
                page.text
            );
            assert_eq!(page.location(), None, "{what}");
            assert!(page.text.contains("This client cannot sign in"), "{what}");
            let policy = page.headers["content-security-policy"].to_str().unwrap();
            assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
        }
    }
    assert!(!app.logged("auth.authorization_refused").await.is_empty());
}

#[tokio::test]
async fn everything_else_goes_back_to_the_client() {
    let (_world, app) = still().await;
    let client = Client::register(&app, LOCAL).await;
    let good = client.authorize(&client.parameters("tools:read"));
    let long = "x".repeat(3_000);
    for (case, word) in [
        (Without("response_type"), "invalid_request"),
        (Twice("response_type"), "invalid_request"),
        (with("response_type", "token"), "unsupported_response_type"),
        (
            with("response_type", "code token"),
            "unsupported_response_type",
        ),
        (with("response_mode", "fragment"), "invalid_request"),
        (with("request", "eyJ"), "request_not_supported"),
        (
            with("request_uri", "https://evil.test/r"),
            "request_not_supported",
        ),
        // PKCE cannot be left out or weakened.
        (Without("code_challenge"), "invalid_request"),
        (Without("code_challenge_method"), "invalid_request"),
        (with("code_challenge_method", "plain"), "invalid_request"),
        (with("code_challenge_method", "s256"), "invalid_request"),
        (with("code_challenge", ""), "invalid_request"),
        (with("code_challenge", "short"), "invalid_request"),
        (with("code_challenge", &long), "invalid_request"),
        (
            with("code_challenge", &format!("{}=", &CHALLENGE[..42])),
            "invalid_request",
        ),
        (Twice("code_challenge"), "invalid_request"),
        // The resource is ours or nobody's.
        (with("resource", "https://evil.test/mcp"), "invalid_target"),
        (with("resource", &app.url), "invalid_target"),
        (
            with("resource", &format!("{}/mcp/", app.url)),
            "invalid_target",
        ),
        (with("resource", "mcp"), "invalid_target"),
        (with("scope", "integration:"), "invalid_scope"),
        (with("scope", "integration:a\"b"), "invalid_scope"),
        (with("scope", &long), "invalid_scope"),
        (Twice("scope"), "invalid_request"),
        (Twice("state"), "invalid_request"),
        (with("state", &long), "invalid_request"),
        (with("prompt", "none"), "interaction_required"),
    ] {
        let what = case.told();
        let page = Browser::new().get(case.apply(&good)).await;
        let back = page
            .location()
            .unwrap_or_else(|| panic!("{what}: {}", page.text));
        assert!(back.as_str().starts_with(LOCAL), "{what}: {back}");
        assert_eq!(parameter(&back, "error"), word, "{what}");
        assert_eq!(parameter(&back, "iss"), app.url, "{what}");
        let told = back.query_pairs().any(|(name, _)| name == "state");
        let state_is_wrong = what.starts_with("state");
        assert_eq!(told, !state_is_wrong, "{what}");
        assert!(back.query_pairs().all(|(name, _)| name != "code"), "{what}");
    }
    // Two resources, one of them ours.
    let page = Browser::new()
        .get(format!("{good}&resource=https%3A%2F%2Fevil.test%2Fmcp"))
        .await;
    assert_eq!(
        parameter(&page.location().unwrap(), "error"),
        "invalid_target"
    );
    // Ours twice, and none, are ours.
    for url in [
        format!("{good}&resource={}%2Fmcp", app.url),
        Without("resource").apply(&good),
        Without("state").apply(&good),
        with("scope", "openid profile").apply(&good),
    ] {
        let page = Browser::new().get(&url).await;
        let to = page.location().unwrap();
        assert!(to.path().starts_with("/oauth/consent/"), "{url}: {to}");
    }
    // A form is no way to begin.
    let page = Browser::new().post(&good, &[]).await;
    assert_eq!(page.status, StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn a_loopback_client_may_come_from_any_port() {
    let (_world, app) = still().await;
    let alice = alice(&app).await;
    let client = Client::register(&app, LOCAL).await;
    let moved = Client {
        redirect: LOCAL.replace("33418", "50001"),
        ..client.clone()
    };
    let code = moved.code(&alice, "tools:read").await;
    // And exchanges the code for the port that it used, not for the one that it registered.
    refused(&client.exchange(&code).await, 400, "invalid_grant");
    held(&moved.exchange(&code).await);
}

#[tokio::test]
async fn token_requests_that_are_wrong() {
    let (_world, app) = still().await;
    let alice = alice(&app).await;
    let client = Client::register(&app, WEB).await;
    let other = Client::register(&app, WEB).await;
    let code = client.code(&alice, "tools:read").await;
    let good = client.exchange_form(&code);
    let spoilt = |name: &'static str, value: Option<&str>| {
        let mut form = good.clone();
        match value {
            Some(value) => form.insert(name, value.to_owned()),
            None => form.remove(name),
        };
        form
    };
    let wrong = "a".repeat(43);
    for (form, status, word) in [
        (spoilt("grant_type", None), 400, "invalid_request"),
        (spoilt("grant_type", Some("")), 400, "invalid_request"),
        (
            spoilt("grant_type", Some("password")),
            400,
            "unsupported_grant_type",
        ),
        (
            spoilt("grant_type", Some("client_credentials")),
            400,
            "unsupported_grant_type",
        ),
        (spoilt("client_id", None), 400, "invalid_request"),
        (
            spoilt("client_id", Some("client-unknown")),
            401,
            "invalid_client",
        ),
        (spoilt("client_id", Some("nobody")), 401, "invalid_client"),
        (spoilt("client_id", Some(&other.id)), 400, "invalid_grant"),
        (
            spoilt("client_id", Some("https://client.example.test/metadata")),
            400,
            "invalid_grant",
        ),
        (spoilt("code", None), 400, "invalid_request"),
        (spoilt("code", Some("wbc_unknown")), 400, "invalid_grant"),
        (spoilt("redirect_uri", None), 400, "invalid_request"),
        (
            spoilt("redirect_uri", Some("https://client.example.test/cb2")),
            400,
            "invalid_grant",
        ),
        (spoilt("redirect_uri", Some("cb")), 400, "invalid_request"),
        (spoilt("code_verifier", None), 400, "invalid_request"),
        (
            spoilt("code_verifier", Some("short")),
            400,
            "invalid_request",
        ),
        (
            spoilt("code_verifier", Some(CHALLENGE)),
            400,
            "invalid_grant",
        ),
        (spoilt("code_verifier", Some(&wrong)), 400, "invalid_grant"),
        (
            spoilt("resource", Some("https://evil.test/mcp")),
            400,
            "invalid_target",
        ),
    ] {
        refused(&client.token(&form).await, status, word);
    }
    // A form, not JSON; no secret; each parameter once; never in the address.
    let url = format!("{}/oauth/token", app.url);
    let form = serde_json::to_string(&good).unwrap();
    let as_json = plain()
        .post(&url)
        .header("content-type", "application/json");
    refused(&reply(as_json.body(form)).await, 400, "invalid_request");
    let with_secret = plain()
        .post(&url)
        .basic_auth(&client.id, Some("x"))
        .form(&good);
    refused(&reply(with_secret).await, 401, "invalid_client");
    let mut twice: Vec<(&str, &str)> = good
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    twice.push(("code", &code));
    refused(
        &reply(plain().post(&url).form(&twice)).await,
        400,
        "invalid_request",
    );
    let got = reply(plain().get(&url)).await;
    assert_eq!(got.status, StatusCode::METHOD_NOT_ALLOWED);
    let large = plain().post(&url).form(&[("code", "x".repeat(100_000))]);
    assert_eq!(reply(large).await.status, StatusCode::PAYLOAD_TOO_LARGE);
    // After all that the code is still the client's.
    let held = held(&client.token(&good).await);

    let good = client.refresh_form(&held.refresh);
    let spoilt = |name: &'static str, value: &str| {
        let mut form = good.clone();
        form.insert(name, value.to_owned());
        form
    };
    for (form, status, word) in [
        (spoilt("client_id", &other.id), 400, "invalid_grant"),
        (spoilt("client_id", "client-unknown"), 401, "invalid_client"),
        (spoilt("refresh_token", ""), 400, "invalid_request"),
        (spoilt("refresh_token", "wbr_unknown"), 400, "invalid_grant"),
        (spoilt("refresh_token", &held.access), 400, "invalid_grant"),
        (
            spoilt("refresh_token", &"x".repeat(5_000)),
            400,
            "invalid_grant",
        ),
        (
            spoilt("resource", "https://evil.test/mcp"),
            400,
            "invalid_target",
        ),
        (
            spoilt("scope", "tools:read tools:write"),
            400,
            "invalid_scope",
        ),
        (spoilt("scope", "integration:"), 400, "invalid_scope"),
    ] {
        refused(&client.token(&form).await, status, word);
    }
    // A part of what was allowed is given for the access token alone.
    let narrow = client
        .token(&spoilt("scope", "tools:read integration:github"))
        .await;
    assert_eq!(narrow.body["scope"], "tools:read integration:github");
    let next = super::held(&narrow);
    assert_eq!(
        super::held(&client.refresh(&next.refresh).await).scope,
        "tools:read"
    );
    // Whatever a client holds, only an access token opens the endpoint, and it signs no browser in.
    for token in [&next.refresh, &code] {
        let reply = app.mcp(token).request("tools/list", json!({})).await;
        assert_eq!(reply.status, StatusCode::UNAUTHORIZED);
    }
    let page = Browser::new()
        .post(alice.at("/login"), &[("token", &next.access)])
        .await;
    assert_eq!(page.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_token_is_good_at_one_server_alone() {
    let (world, app) = still().await;
    // Another server on the same database, with an address of its own.
    let other = world.app().await;
    let alice = alice(&app).await;
    let client = Client::register(&app, WEB).await;
    let held = client.sign_in(&alice, "tools:read").await;
    assert!(opens(&app, &held).await);
    assert!(!opens(&other, &held).await);
    refused(
        &client.at(&other).refresh(&held.refresh).await,
        400,
        "invalid_grant",
    );
    let code = client.code(&alice, "tools:read").await;
    refused(
        &client.at(&other).exchange(&code).await,
        400,
        "invalid_grant",
    );
    // None of that was a reuse.
    assert!(opens(&app, &held).await);
}
