//! The sandbox itself: it can only stand in for the providers if it is as strict as they are.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::StreamExt as _;
use reqwest::header::{ACCEPT, LOCATION, RETRY_AFTER};
use reqwest::{Client, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::net::TcpListener;
use url::Url;
use workbench_mcp::clock::{Clock, Timestamp};
use workbench_mcp::sandbox::fixtures::Exchange;
use workbench_mcp::sandbox::providers::{self, Rotation};
use workbench_mcp::sandbox::{
    Command, ControlError, Fault, Mode, Options, Place, Reply, Report, Sandbox, Settings, Tokens,
};

const CALLBACK: &str = "http://127.0.0.1:9/oauth/callback";
const VERIFIER: &str = "a-verifier-of-at-least-forty-three-characters-as-rfc-7636-asks";

/// A sandbox and a client of it that follows no redirects.
struct Rig {
    sandbox: Sandbox,
    http: Client,
    clock: Clock,
}

impl Rig {
    async fn start(mode: Mode) -> Self {
        let clock = Clock::manual(Timestamp::from_micros(1_795_176_000_000_000));
        let options = Options {
            mode,
            clock: clock.clone(),
            ..Options::default()
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let http = Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()
            .unwrap();
        Self {
            sandbox: Sandbox::start(listener, options).unwrap(),
            http,
            clock,
        }
    }

    async fn relaxed() -> Self {
        Self::start(Mode::RelaxedOver(BTreeMap::new())).await
    }

    fn url(&self, path: &str) -> String {
        format!("{}{}", self.sandbox.url(), path.trim_start_matches('/'))
    }

    /// An authorization request that has nothing wrong; `change` may spoil it.
    fn authorize(&self, provider: &str, change: &[(&str, &str)]) -> Url {
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(VERIFIER));
        let mut query = BTreeMap::from([
            ("response_type", "code"),
            ("client_id", "app"),
            ("redirect_uri", CALLBACK),
            ("state", "a state"),
            ("scope", "one two"),
            ("code_challenge", challenge.as_str()),
            ("code_challenge_method", "S256"),
        ]);
        query.extend(change.iter().copied());
        let path = providers::provider(provider).unwrap().authorize_path;
        let mut url: Url = self.url(&format!("{provider}{path}")).parse().unwrap();
        url.query_pairs_mut()
            .extend_pairs(query.iter().filter(|(_, value)| !value.is_empty()));
        url
    }

    /// The query of the redirect that follows a decision.
    async fn decide(&self, url: Url, form: &[(&str, &str)]) -> HashMap<String, String> {
        let response = self.http.post(url).form(form).send().await.unwrap();
        redirected(&response)
    }

    async fn code(&self, provider: &str, account: &str) -> String {
        let form = [("decision", "approve"), ("account", account)];
        let query = self.decide(self.authorize(provider, &[]), &form).await;
        assert_eq!(query["state"], "a state");
        query["code"].clone()
    }

    fn token(&self, provider: &str, form: &[(&str, &str)]) -> RequestBuilder {
        let path = providers::provider(provider).unwrap().token_paths[0];
        let client = [("client_id", "app"), ("client_secret", "secret")];
        let mut fields: BTreeMap<&str, &str> = client.into();
        fields.extend(form.iter().copied());
        fields.retain(|_, value| !value.is_empty());
        self.http
            .post(self.url(&format!("{provider}{path}")))
            .header(ACCEPT, "application/json")
            .form(&fields)
    }

    fn redeem(&self, provider: &str, code: &str, verifier: &str) -> RequestBuilder {
        let form = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", CALLBACK),
            ("code_verifier", verifier),
        ];
        self.token(provider, &form)
    }

    fn refresh(&self, provider: &str, token: &str) -> RequestBuilder {
        let form = [("grant_type", "refresh_token"), ("refresh_token", token)];
        self.token(provider, &form)
    }

    /// The tokens of an account that has consented in the browser.
    async fn connect(&self, provider: &str, account: &str) -> Value {
        let code = self.code(provider, account).await;
        json_of(self.redeem(provider, &code, VERIFIER)).await.1
    }

    fn mint(&self, provider: &str, account: &str) -> Tokens {
        self.sandbox
            .control()
            .mint(provider, account, "app", &["one"])
            .unwrap()
    }

    fn get(&self, path: &str, token: &str) -> RequestBuilder {
        self.http.get(self.url(path)).bearer_auth(token)
    }

    fn tell(&self, provider: &str, command: Command) {
        self.sandbox.control().tell(provider, command).unwrap();
    }

    fn misbehave(&self, at: Place, fault: Fault) {
        let control = self.sandbox.control();
        control.misbehave("github", at, 1, fault).unwrap();
    }

    fn report(&self, provider: &str) -> Report {
        self.sandbox.control().report(provider).unwrap()
    }
}

fn redirected(response: &Response) -> HashMap<String, String> {
    assert_eq!(response.status(), StatusCode::SEE_OTHER);
    let to: Url = response.headers()[LOCATION]
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!(to.as_str().starts_with(CALLBACK), "{to}");
    to.query_pairs().into_owned().collect()
}

async fn json_of(request: RequestBuilder) -> (StatusCode, Value) {
    let response = request.send().await.unwrap();
    (response.status(), response.json().await.unwrap())
}

fn text<'a>(body: &'a Value, name: &str) -> &'a str {
    body[name]
        .as_str()
        .unwrap_or_else(|| panic!("{name} in {body}"))
}

fn exchanges(of: Value) -> BTreeMap<&'static str, Vec<Exchange>> {
    BTreeMap::from([("github", serde_json::from_value(of).unwrap())])
}

#[tokio::test]
async fn github_consent_code_tokens_identity_and_revocation() {
    let rig = Rig::relaxed().await;
    let page = rig
        .http
        .get(rig.authorize("github", &[("client_id", "<app>")]));
    let page = page.send().await.unwrap().text().await.unwrap();
    for shown in [
        "Sandbox GitHub",
        "http://127.0.0.1:9",
        "alice-dev",
        "bob-ops",
        ">one<",
        ">two<",
        "Approve",
        "Deny",
    ] {
        assert!(page.contains(shown), "{shown} in {page}");
    }
    assert!(!page.contains("<app>"), "{page}");

    let mut logins = Vec::new();
    let mut first = Value::Null;
    for account in ["alice-dev", "bob-ops"] {
        let tokens = rig.connect("github", account).await;
        assert_eq!(tokens["token_type"], "bearer");
        assert_eq!(tokens["scope"], "one,two");
        assert_eq!(tokens["expires_in"], 900);
        assert_eq!(tokens["refresh_token_expires_in"], 180 * 24 * 3_600);
        let user = json_of(rig.get("github/user", text(&tokens, "access_token"))).await;
        logins.push((user.1["login"].clone(), user.1["id"].clone()));
        if first.is_null() {
            first = tokens;
        }
    }
    assert_eq!(
        logins,
        [
            (json!("alice-dev"), json!(1001)),
            (json!("bob-ops"), json!(1002))
        ]
    );

    let token = text(&first, "access_token");
    let revoke = |secret: &str| {
        rig.http
            .delete(rig.url("github/applications/app/grant"))
            .basic_auth("app", Some(secret))
            .json(&json!({ "access_token": token }))
            .send()
    };
    rig.tell(
        "github",
        Command::RegisterClient {
            client_id: "app".into(),
            client_secret: "right".into(),
        },
    );
    assert_eq!(revoke("wrong").await.unwrap().status(), 401);
    assert_eq!(revoke("right").await.unwrap().status(), 204);
    assert_eq!(revoke("right").await.unwrap().status(), 404);
    let (status, body) = json_of(rig.get("github/user", token)).await;
    assert_eq!(
        (status, text(&body, "message")),
        (StatusCode::UNAUTHORIZED, "Bad credentials")
    );
    let revoked: Vec<_> = rig.report("github").grants;
    assert_eq!(
        revoked
            .iter()
            .map(|grant| grant.revoked)
            .collect::<Vec<_>>(),
        [true, false]
    );
    assert_eq!(rig.report("github").counters.revocations, 1);
}

#[tokio::test]
async fn github_answers_as_a_form_unless_json_is_asked_for() {
    let rig = Rig::relaxed().await;
    let code = rig.code("github", "alice-dev").await;
    let request = rig.redeem("github", &code, VERIFIER);
    let request = request.header(ACCEPT, "text/html").build().unwrap();
    // `header` adds; what counts is that without JSON among them the answer is a form.
    let mut request = request;
    request.headers_mut().insert(ACCEPT, "*/*".parse().unwrap());
    let body = rig.http.execute(request).await.unwrap();
    assert_eq!(
        body.headers()["content-type"],
        "application/x-www-form-urlencoded"
    );
    assert!(
        body.text()
            .await
            .unwrap()
            .contains("access_token=sandbox_access_")
    );
}

#[tokio::test]
async fn hubspot_portals_optional_scopes_introspection_and_revocation() {
    let rig = Rig::relaxed().await;
    // Without PKCE, which HubSpot does not insist on; the optional scope is left out by the person.
    let change = [
        ("optional_scope", "three"),
        ("code_challenge", ""),
        ("code_challenge_method", ""),
    ];
    let form = [
        ("decision", "approve"),
        ("account", "4712"),
        ("narrowed", "1"),
    ];
    let query = rig.decide(rig.authorize("hubspot", &change), &form).await;
    let (status, tokens) = json_of(rig.redeem("hubspot", &query["code"], "")).await;
    assert_eq!(status, 200);
    assert_eq!(tokens["expires_in"], 1_800);
    assert_eq!(tokens["hub_id"], 4712);
    assert_eq!(tokens["scopes"], json!(["one", "two"]));

    let other = rig.connect("hubspot", "4711").await;
    for (tokens, portal) in [(&tokens, 4712), (&other, 4711)] {
        let token = text(tokens, "access_token");
        let details = json_of(rig.get("hubspot/account-info/v3/details", token)).await;
        assert_eq!(details.1["portalId"], portal);
    }

    let (_, again) = json_of(rig.refresh("hubspot", text(&tokens, "refresh_token"))).await;
    assert_eq!(again["refresh_token"], tokens["refresh_token"]);
    assert_ne!(again["access_token"], tokens["access_token"]);

    let ask = |path: &str, secret: &str| {
        let form = [
            ("client_id", "app"),
            ("client_secret", secret),
            ("token", text(&tokens, "refresh_token")),
        ];
        let url = rig.url(&format!("hubspot/oauth/2026-03/token/{path}"));
        rig.http.post(url).form(&form)
    };
    let (_, introspected) = json_of(ask("introspect", "secret")).await;
    assert_eq!(introspected["active"], true);
    assert_eq!(introspected["hub_domain"], "acme-partners.example.test");
    assert_eq!(ask("revoke", "").send().await.unwrap().status(), 400);
    assert_eq!(ask("revoke", "secret").send().await.unwrap().status(), 200);
    let (_, introspected) = json_of(ask("introspect", "secret")).await;
    assert_eq!(introspected, json!({ "active": false }));
    let (status, body) = json_of(rig.refresh("hubspot", text(&tokens, "refresh_token"))).await;
    assert_eq!(
        (status, text(&body, "status")),
        (StatusCode::BAD_REQUEST, "BAD_REFRESH_TOKEN")
    );
    let details = rig.get(
        "hubspot/account-info/v3/details",
        text(&again, "access_token"),
    );
    assert_eq!(
        json_of(details).await.1["category"],
        "INVALID_AUTHENTICATION"
    );
}

#[tokio::test]
async fn a_standard_provider_takes_basic_authentication_and_narrowed_consent() {
    let rig = Rig::relaxed().await;
    let form = [
        ("decision", "approve"),
        ("account", "bob@example.test"),
        ("narrowed", "1"),
        ("scope", "two"),
        ("scope", "never-asked-for"),
    ];
    let query = rig.decide(rig.authorize("google", &[]), &form).await;
    let form = [
        ("client_id", ""),
        ("client_secret", ""),
        ("grant_type", "authorization_code"),
        ("code", query["code"].as_str()),
        ("redirect_uri", CALLBACK),
        ("code_verifier", VERIFIER),
    ];
    let (status, body) = json_of(rig.token("google", &form)).await;
    assert_eq!(
        (status, text(&body, "error")),
        (StatusCode::UNAUTHORIZED, "invalid_client")
    );
    let both = rig
        .redeem("google", &query["code"], VERIFIER)
        .basic_auth("app", Some("s"));
    assert_eq!(json_of(both).await.1["error"], "invalid_request");
    let basic = rig.token("google", &form).basic_auth("app", Some("s"));
    let (status, tokens) = json_of(basic).await;
    assert_eq!((status, text(&tokens, "scope")), (StatusCode::OK, "two"));
    let revoke = rig
        .http
        .post(rig.url("google/revoke"))
        .form(&[("token", text(&tokens, "access_token"))]);
    assert_eq!(revoke.send().await.unwrap().status(), 200);
    assert_eq!(rig.report("google").counters.revocations, 1);
}

#[tokio::test]
async fn deny_and_unacceptable_requests() {
    let rig = Rig::relaxed().await;
    let denied = rig
        .decide(rig.authorize("github", &[]), &[("decision", "deny")])
        .await;
    assert_eq!(denied["error"], "access_denied");
    assert_eq!(denied["state"], "a state");

    // Whoever the client is, it hears of these itself …
    for (change, error) in [
        (("response_type", "token"), "unsupported_response_type"),
        (("state", ""), "invalid_request"),
        (("code_challenge", ""), "invalid_request"),
        (("code_challenge", "short"), "invalid_request"),
        (("code_challenge_method", "plain"), "invalid_request"),
    ] {
        let response = rig
            .http
            .get(rig.authorize("github", &[change]))
            .send()
            .await;
        assert_eq!(redirected(&response.unwrap())["error"], error, "{change:?}");
    }
    let mut twice = rig.authorize("github", &[]);
    twice.query_pairs_mut().append_pair("state", "another");
    let response = rig.http.get(twice).send().await.unwrap();
    assert_eq!(redirected(&response)["error"], "invalid_request");

    // … but nothing is sent to an address that cannot be trusted.
    for change in [
        ("client_id", ""),
        ("redirect_uri", ""),
        ("redirect_uri", "http://example.test/cb"),
        ("redirect_uri", "https://example.test/cb#x"),
    ] {
        let response = rig
            .http
            .get(rig.authorize("github", &[change]))
            .send()
            .await;
        assert_eq!(response.unwrap().status(), 400, "{change:?}");
    }
    for form in [
        vec![("decision", "maybe")],
        vec![("decision", "approve")],
        vec![("decision", "approve"), ("account", "mallory")],
    ] {
        let url = rig.authorize("github", &[]);
        let response = rig.http.post(url).form(&form).send().await.unwrap();
        assert_eq!(response.status(), 400, "{form:?}");
    }
    assert!(rig.report("github").grants.is_empty());
}

#[tokio::test]
async fn a_code_is_bound_to_verifier_address_client_and_time_and_works_once() {
    let rig = Rig::relaxed().await;
    let code = rig.code("m365", "alice@example.test").await;
    let form = |name: &'static str, value: &'static str| {
        let mut form = BTreeMap::from([
            ("grant_type", "authorization_code"),
            ("code", code.as_str()),
            ("redirect_uri", CALLBACK),
            ("code_verifier", VERIFIER),
        ]);
        form.insert(name, value);
        rig.token("m365", &form.into_iter().collect::<Vec<_>>())
    };
    for (name, value, error) in [
        ("code_verifier", "another", "invalid_grant"),
        ("code_verifier", "", "invalid_grant"),
        (
            "redirect_uri",
            "http://127.0.0.1:9/elsewhere",
            "invalid_grant",
        ),
        ("redirect_uri", "", "invalid_grant"),
        ("client_id", "another", "invalid_grant"),
        ("client_secret", "", "invalid_client"),
        ("code", "unknown", "invalid_grant"),
        ("grant_type", "password", "unsupported_grant_type"),
        ("grant_type", "", "invalid_request"),
    ] {
        let (status, body) = json_of(form(name, value)).await;
        assert_eq!(text(&body, "error"), error, "{name}={value}");
        assert!(status.is_client_error());
    }
    let (status, tokens) = json_of(form("code", code.clone().leak())).await;
    assert_eq!(status, 200);
    let me = || rig.get("m365/v1.0/me", text(&tokens, "access_token"));
    assert_eq!(json_of(me()).await.1["mail"], "alice@example.test");

    let again = json_of(form("code", code.clone().leak())).await;
    assert_eq!(again.1["error"], "invalid_grant");
    assert_eq!(json_of(me()).await.0, 401, "reuse takes the grant back");
    assert_eq!(rig.report("m365").counters.reused_codes, 1);

    let late = rig.code("m365", "alice@example.test").await;
    rig.clock.advance(Duration::from_secs(601));
    let (_, body) = json_of(rig.redeem("m365", &late, VERIFIER)).await;
    assert_eq!(body["error"], "invalid_grant");

    // A challenge that an attacker took away is noticed where PKCE is not insisted on.
    let change = [("code_challenge", ""), ("code_challenge_method", "")];
    let form = [("decision", "approve"), ("account", "4711")];
    let query = rig.decide(rig.authorize("hubspot", &change), &form).await;
    let (_, body) = json_of(rig.redeem("hubspot", &query["code"], VERIFIER)).await;
    assert_eq!(body["status"], "BAD_AUTH_CODE");
}

#[tokio::test]
async fn rotation_strict_grace_none_and_family() {
    let rig = Rig::relaxed().await;
    let set = |rotation| {
        let settings = Settings {
            rotation: Some(rotation),
            access_s: Some(60),
            ..Settings::default()
        };
        rig.tell("github", Command::Set(settings));
    };
    let refresh = async |token: &str| json_of(rig.refresh("github", token)).await.1;

    set(Rotation::Strict);
    let first = rig.mint("github", "alice-dev");
    let second = refresh(&first.refresh_token).await;
    assert_eq!(second["expires_in"], 60);
    assert_eq!(
        json_of(rig.get("github/user", &first.access_token)).await.0,
        401,
        "the old access token dies with the refresh token"
    );
    assert_eq!(
        refresh(&first.refresh_token).await["error"],
        "bad_refresh_token"
    );
    let third = refresh(text(&second, "refresh_token")).await;
    assert!(third["access_token"].is_string(), "{third}");
    let report = rig.report("github");
    assert_eq!(report.counters.reused_refresh_tokens, 1);
    assert_eq!(
        report.counters.token_calls,
        BTreeMap::from([("refresh_token".to_owned(), 3)])
    );
    assert_eq!(
        (report.grants[0].refresh_calls, report.grants[0].refreshes),
        (3, 2)
    );

    set(Rotation::StrictFamily);
    refresh(&first.refresh_token).await;
    assert_eq!(
        refresh(text(&third, "refresh_token")).await["error"],
        "bad_refresh_token"
    );
    assert!(rig.report("github").grants[0].revoked);

    set(Rotation::Grace);
    let first = rig.mint("github", "alice-dev");
    let second = refresh(&first.refresh_token).await;
    assert_ne!(second["refresh_token"], first.refresh_token);
    rig.clock.advance(Duration::from_secs(9));
    assert!(refresh(&first.refresh_token).await["access_token"].is_string());
    rig.clock.advance(Duration::from_secs(2));
    assert_eq!(
        refresh(&first.refresh_token).await["error"],
        "bad_refresh_token"
    );
    let counters = rig.report("github").counters;
    assert_eq!(
        (counters.grace_reuses, counters.reused_refresh_tokens),
        (1, 3)
    );

    set(Rotation::None);
    let first = rig.mint("github", "alice-dev");
    for _ in 0..2 {
        let again = refresh(&first.refresh_token).await;
        assert_eq!(again["refresh_token"], first.refresh_token);
    }

    // Another client cannot use it, and its own life ends.
    let form = [
        ("grant_type", "refresh_token"),
        ("refresh_token", &first.refresh_token),
        ("client_id", "another"),
    ];
    let (_, body) = json_of(rig.token("github", &form)).await;
    assert_eq!(body["error"], "bad_refresh_token");
    rig.clock.advance(Duration::from_secs(181 * 24 * 3_600));
    assert_eq!(
        refresh(&first.refresh_token).await["error"],
        "bad_refresh_token"
    );
}

#[tokio::test]
async fn access_tokens_expire_by_time_and_by_order_and_grants_are_revoked() {
    let rig = Rig::relaxed().await;
    let status = async |token: &str| {
        let (status, body) = json_of(rig.get("hubspot/account-info/v3/details", token)).await;
        (status.as_u16(), body["category"].clone())
    };
    let tokens = rig.mint("hubspot", "4711");
    assert_eq!(status(&tokens.access_token).await.0, 200);
    rig.clock.advance(Duration::from_secs(30 * 60));
    let expired = (401, json!("EXPIRED_AUTHENTICATION"));
    assert_eq!(status(&tokens.access_token).await, expired);

    let tokens = rig.mint("hubspot", "4711");
    rig.tell("hubspot", Command::ExpireAccessTokens);
    assert_eq!(status(&tokens.access_token).await, expired);
    let refreshed = json_of(rig.refresh("hubspot", &tokens.refresh_token))
        .await
        .1;
    assert_eq!(status(text(&refreshed, "access_token")).await.0, 200);

    let other = rig.mint("hubspot", "4712");
    let account = Some("4711".to_owned());
    rig.tell("hubspot", Command::Revoke { account });
    assert_eq!(status(text(&refreshed, "access_token")).await.0, 401);
    assert_eq!(status(&other.access_token).await.0, 200);
    assert_eq!(status("made-up").await.0, 401);
    let bare = rig.http.get(rig.url("hubspot/anything"));
    assert_eq!(json_of(bare).await.0, 401);
}

#[tokio::test]
async fn refusals_limits_failures_and_redirects() {
    let rig = Rig::relaxed().await;
    let tokens = rig.mint("github", "alice-dev");
    let refresh = || rig.refresh("github", &tokens.refresh_token);
    let error = |word: &str| Fault::Refuse { error: word.into() };

    rig.misbehave(Place::Token, error("bad_verification_code"));
    let (status, body) = json_of(refresh()).await;
    assert_eq!(
        (status, text(&body, "error")),
        (StatusCode::OK, "bad_verification_code")
    );
    let control = rig.sandbox.control();
    control
        .misbehave("hubspot", Place::Token, 1, error("BAD_CLIENT_SECRET"))
        .unwrap();
    let (status, body) = json_of(rig.refresh("hubspot", "x")).await;
    assert_eq!(
        (status, text(&body, "status")),
        (StatusCode::BAD_REQUEST, "BAD_CLIENT_SECRET")
    );
    control
        .misbehave("m365", Place::Token, 2, error("invalid_client"))
        .unwrap();
    for expected in ["invalid_client", "invalid_client", "invalid_grant"] {
        let (_, body) = json_of(rig.refresh("m365", "x")).await;
        assert_eq!(body["error"], expected);
    }

    for at in [Place::Token, Place::Api] {
        let send = async || {
            let request = match at {
                Place::Token => refresh(),
                _ => rig.get("github/user", &tokens.access_token),
            };
            request.send().await.unwrap()
        };
        rig.misbehave(at, Fault::RateLimit { retry_after_s: 7 });
        let limited = send().await;
        assert_eq!(limited.status(), 429);
        assert_eq!(limited.headers()[RETRY_AFTER], "7");
        rig.misbehave(at, Fault::Fail { status: 503 });
        assert_eq!(send().await.status(), 503);
        let location = "http://169.254.169.254/latest".to_owned();
        rig.misbehave(at, Fault::Redirect { location });
        let moved = send().await;
        assert_eq!(moved.status(), 302);
        assert_eq!(moved.headers()[LOCATION], "http://169.254.169.254/latest");
    }
    let report = rig.report("github");
    assert_eq!(report.grants[0].refresh_calls, 4);
    assert_eq!(report.grants[0].refreshes, 0, "none was carried out");
    assert!(report.faults.is_empty());
}

#[tokio::test]
async fn bodies_that_are_garbage_endless_or_too_large() {
    let rig = Rig::relaxed().await;
    let tokens = rig.mint("github", "alice-dev");
    let get = || rig.get("github/user", &tokens.access_token).send();
    let bytes = async |fault| {
        rig.misbehave(Place::Api, fault);
        let response = get().await.unwrap();
        response.bytes().await.unwrap()
    };
    assert!(bytes(Fault::Html).await.starts_with(b"<!doctype html>"));
    assert_eq!(bytes(Fault::EmptyObject).await, "{}");
    assert!(std::str::from_utf8(&bytes(Fault::InvalidUtf8).await).is_err());
    assert_eq!(bytes(Fault::DeepJson { depth: 10_000 }).await.len(), 20_000);
    assert_eq!(
        bytes(Fault::Oversized { bytes: 70_000 }).await.len(),
        70_000
    );
    let echoed = bytes(Fault::Echo).await;
    let echoed = String::from_utf8(echoed.to_vec()).unwrap();
    assert!(echoed.contains(&tokens.access_token));

    rig.misbehave(Place::Api, Fault::Endless);
    let mut body = get().await.unwrap().bytes_stream();
    let mut read = 0;
    while read < 4 * 1024 * 1024 {
        read += body.next().await.unwrap().unwrap().len();
    }
}

#[tokio::test]
async fn answers_that_are_late_slow_or_cut() {
    let rig = Rig::relaxed().await;
    let tokens = rig.mint("github", "alice-dev");
    let user = || rig.get("github/user", &tokens.access_token);
    rig.misbehave(Place::Api, Fault::Drip { ms: 0 });
    assert_eq!(json_of(user()).await.1["login"], "alice-dev");
    rig.misbehave(Place::Api, Fault::Truncate);
    let cut = user().send().await.unwrap();
    assert_eq!(cut.status(), 200);
    assert!(cut.bytes().await.is_err());

    // The provider has rotated the token, and the caller does not learn the new one.
    rig.misbehave(Place::Token, Fault::CutOff);
    let lost = rig.refresh("github", &tokens.refresh_token).send().await;
    let lost = match lost {
        Ok(response) => response.bytes().await.is_err(),
        Err(_) => true,
    };
    assert!(lost);
    assert_eq!(rig.report("github").grants[0].refreshes, 1);
    let (_, again) = json_of(rig.refresh("github", &tokens.refresh_token)).await;
    assert_eq!(again["error"], "bad_refresh_token");
    assert_eq!(rig.report("github").counters.reused_refresh_tokens, 1);

    let tokens = rig.mint("github", "alice-dev");
    let hour = 3_600_000;
    let impatient = |token: &str| {
        rig.refresh("github", token)
            .timeout(Duration::from_millis(200))
            .send()
    };
    rig.misbehave(Place::Token, Fault::Stall { ms: hour });
    assert!(
        impatient(&tokens.refresh_token)
            .await
            .unwrap_err()
            .is_timeout()
    );
    let settings = Settings {
        token_latency_ms: hour,
        rotation: Some(Rotation::None),
        ..Settings::default()
    };
    rig.tell("github", Command::Set(settings));
    let tokens = rig.mint("github", "alice-dev");
    assert!(
        impatient(&tokens.refresh_token)
            .await
            .unwrap_err()
            .is_timeout()
    );
    let grants = rig.report("github").grants;
    assert_eq!((grants[1].refreshes, grants[2].refreshes), (1, 1));
}

#[tokio::test]
async fn stopping_ends_every_wait() {
    let rig = Rig::relaxed().await;
    let tokens = rig.mint("github", "alice-dev");
    rig.misbehave(Place::Api, Fault::Endless);
    let endless = rig.get("github/user", &tokens.access_token);
    let endless = endless.send().await.unwrap();
    rig.misbehave(Place::Api, Fault::Stall { ms: 3_600_000 });
    let stalled = tokio::spawn(rig.get("github/user", &tokens.access_token).send());
    while !rig.report("github").faults.is_empty() {
        tokio::task::yield_now().await;
    }
    let read = tokio::spawn(endless.bytes());
    rig.sandbox.stop().await;
    assert_eq!(stalled.await.unwrap().unwrap().status(), 200);
    drop(read.await.unwrap());
}

#[tokio::test]
async fn tokens_of_another_account() {
    let rig = Rig::relaxed().await;
    let tokens = rig.mint("github", "alice-dev");
    let account = "bob-ops".to_owned();
    rig.misbehave(Place::Token, Fault::OtherAccount { account });
    let wrong = json_of(rig.refresh("github", &tokens.refresh_token))
        .await
        .1;
    let user = rig.get("github/user", text(&wrong, "access_token"));
    assert_eq!(json_of(user).await.1["login"], "bob-ops");
    let right = json_of(rig.refresh("github", &tokens.refresh_token))
        .await
        .1;
    let user = rig.get("github/user", text(&right, "access_token"));
    assert_eq!(json_of(user).await.1["login"], "alice-dev");
}

#[tokio::test]
async fn strict_mode_answers_what_is_listed_and_complains_about_the_rest() {
    let user = json!({ "method": "GET", "path": "/user" });
    let search = json!({ "method": "GET", "path": "/search/issues", "query": { "q": "a b" } });
    let rig = Rig::start(Mode::Strict(exchanges(json!([
        { "request": user, "response": { "status": 503, "text": "busy", "headers": { "x-try": "1" } } },
        { "request": user, "response": { "status": 200, "body": { "login": "REDACTED" } } },
        { "request": search, "response": { "status": 200, "body": [] } },
    ]))))
    .await;
    let tokens = rig.mint("github", "alice-dev");
    let get = |path: &str| rig.get(path, &tokens.access_token).send();
    let busy = get("github/user").await.unwrap();
    assert_eq!(
        (busy.status().as_u16(), &busy.headers()["x-try"]),
        (503, &"1".parse().unwrap())
    );
    // As written: nobody's login is put in.
    let user = get("github/user").await.unwrap();
    assert_eq!(
        user.json::<Value>().await.unwrap(),
        json!({ "login": "REDACTED" })
    );
    assert_eq!(
        get("github/search/issues?q=a+c").await.unwrap().status(),
        599
    );
    assert_eq!(
        rig.sandbox.complaints(),
        [
            "github: unexpected: GET /search/issues?q=a+c ",
            "github: unused: GET /search/issues"
        ]
    );
    assert_eq!(
        get("github/search/issues?q=a%20b").await.unwrap().status(),
        200
    );
    assert_eq!(
        rig.report("github").counters.api_calls,
        BTreeMap::from([
            ("GET /search/issues".to_owned(), 2),
            ("GET /user".to_owned(), 2)
        ])
    );
}

#[tokio::test]
async fn relaxed_mode_prefers_the_exact_then_the_closest_success() {
    let search = |query: Value, status: u16, says: &str| {
        json!({
            "request": { "method": "GET", "path": "/search/issues", "query": query },
            "response": { "status": status, "body": { "says": says } },
        })
    };
    let create = |body: Value, says: &str| {
        json!({
            "request": { "method": "POST", "path": "/repos/a/b/issues", "body": body },
            "response": { "status": 201, "body": { "says": says } },
        })
    };
    let rig = Rig::start(Mode::RelaxedOver(exchanges(json!([
        search(json!({ "q": "x" }), 403, "limited"),
        search(json!({ "q": "x" }), 200, "x"),
        search(json!({ "q": "y", "page": "2" }), 200, "y, page 2"),
        search(json!({ "q": "y", "page": "1" }), 200, "y, page 1"),
        search(json!({ "q": "forbidden" }), 422, "unprocessable"),
        create(json!({ "title": "t", "labels": ["a", "b"] }), "two labels"),
        create(json!({ "title": "t" }), "bare"),
        {
            "request": { "method": "GET", "path": "/user" },
            "response": { "status": 200, "body": { "login": "someone", "plan": "free" } },
        },
    ]))))
    .await;
    let tokens = rig.mint("github", "bob-ops");
    let says = async |path: &str| {
        let body = json_of(rig.get(&format!("github/{path}"), &tokens.access_token))
            .await
            .1;
        body["says"].as_str().unwrap_or_default().to_owned()
    };
    assert_eq!(says("search/issues?q=x").await, "x");
    assert_eq!(says("search/issues?q=x").await, "x");
    assert_eq!(says("search/issues?q=forbidden").await, "unprocessable");
    assert_eq!(says("search/issues?q=z&page=1").await, "y, page 1");
    assert_eq!(says("search/issues?q=y").await, "y, page 2");
    assert_eq!(says("search/issues?q=unheard-of").await, "x");

    for (body, expected) in [
        (json!({ "title": "t", "labels": ["a"] }), "two labels"),
        (json!({ "title": "other" }), "bare"),
    ] {
        let request = rig.http.post(rig.url("github/repos/a/b/issues"));
        let request = request.bearer_auth(&tokens.access_token).json(&body);
        let (status, found) = json_of(request).await;
        assert_eq!((status.as_u16(), text(&found, "says")), (201, expected));
    }

    let (_, user) = json_of(rig.get("github/user", &tokens.access_token)).await;
    assert_eq!(
        (&user["login"], &user["plan"]),
        (&json!("bob-ops"), &json!("free"))
    );
    let (status, body) = json_of(rig.get("github/repos/a/c", &tokens.access_token)).await;
    assert_eq!(
        (status.as_u16(), text(&body, "message")),
        (404, "Not Found")
    );
    assert!(rig.sandbox.complaints().is_empty());
    let nowhere = rig.http.get(rig.url("nobody/user")).send().await.unwrap();
    assert_eq!(nowhere.status(), 404);
}

#[tokio::test]
async fn the_switches_work_over_http() {
    let rig = Rig::relaxed().await;
    let order = |body: Value| rig.http.post(rig.url("_control")).json(&body);
    let mint = json!({
        "provider": "github", "do": "mint", "account": "alice-dev", "client_id": "app", "scopes": ["repo"],
    });
    let reply: Reply = serde_json::from_value(json_of(order(mint)).await.1).unwrap();
    let Reply::Minted(tokens) = reply else {
        panic!("{reply:?}")
    };
    for command in [
        json!({ "do": "misbehave", "at": "api", "fault": { "kind": "fail", "status": 502 } }),
        json!({ "do": "watch", "text": "canary one" }),
        json!({ "do": "watch", "text": "canary-two" }),
        json!({ "do": "watch", "text": "canary-three" }),
        json!({ "do": "set", "token_latency_ms": 1 }),
    ] {
        let mut command = command;
        command["provider"] = "github".into();
        assert_eq!(
            json_of(order(command)).await,
            (StatusCode::OK, json!("done"))
        );
    }
    let get = rig.get("github/user?q=canary%20one", &tokens.access_token);
    let get = get.header("x-extra", "canary-two").send().await.unwrap();
    assert_eq!(get.status(), 502);

    let (_, reports) = json_of(rig.http.get(rig.url("_control"))).await;
    let report: Report = serde_json::from_value(reports["github"].clone()).unwrap();
    assert_eq!(report, rig.report("github"));
    assert_eq!(report.grants[0].scopes, ["repo"]);
    assert_eq!(report.settings.token_latency_ms, 1);
    assert!(report.counters.last_headers.contains(&"x-extra".to_owned()));
    let seen: Vec<(&str, bool)> = report
        .canaries
        .iter()
        .map(|(text, seen)| (text.as_str(), *seen))
        .collect();
    assert_eq!(
        seen,
        [
            ("canary one", true),
            ("canary-three", false),
            ("canary-two", true)
        ]
    );

    rig.tell("github", Command::Reset);
    let report = rig.report("github");
    assert!(report.counters.api_calls.is_empty() && report.canaries.is_empty());
    assert_eq!(report.grants.len(), 1);

    let unknown = json!({ "provider": "nobody", "do": "behave" });
    assert_eq!(order(unknown).send().await.unwrap().status(), 404);
    let control = rig.sandbox.control();
    assert_eq!(
        control.mint("github", "mallory", "app", &[]),
        Err(ControlError::UnknownAccount("mallory".into()))
    );
    // A page of another origin can only send plain text without asking.
    let plain = rig.http.post(rig.url("_control")).body("{}");
    assert_eq!(plain.send().await.unwrap().status(), 415);
}

#[tokio::test]
async fn the_compiled_in_fixtures_are_readable_and_current() {
    let on_disk = {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
        let mut folders = vec![root.clone()];
        let mut found = Vec::new();
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|name| name == "json") {
                    let path = path.strip_prefix(&root).unwrap();
                    found.push(path.to_string_lossy().into_owned());
                }
            }
        }
        found.sort();
        found
    };
    assert_eq!(
        workbench_mcp::sandbox::fixtures::embedded(),
        on_disk,
        "touch src/sandbox/fixtures.rs: the compiler does not see new files in fixtures/ by itself"
    );
    Rig::start(Mode::Relaxed).await.sandbox.stop().await;
}
