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

mod api;
mod consent;
mod faults;
mod tokens;

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
