//! The embedded authorization server, through the faces that clients and people have (security.md 1.4 and 1.5).

mod consent;
mod dance;
mod documents;
mod registration;
mod replay;
mod requests;
mod stepping_up;

use std::collections::BTreeMap;
use std::time::Duration;

use http::StatusCode;
use serde_json::{Value, json};
use url::Url;

use crate::harness::app::{Person, TestApp, World, still};
use crate::harness::http::{Browser, Page, Reply, plain, reply};

/// The example of RFC 7636, appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
/// Where a client on the web has its codes sent.
const WEB: &str = "https://client.example.test/cb";
/// Where one on the person's machine has.
const LOCAL: &str = "http://127.0.0.1:33418/cb";

/// A client that has registered.
#[derive(Clone)]
struct Client {
    base: String,
    id: String,
    redirect: String,
}

/// What a client holds once it is signed in.
#[derive(Clone, Debug)]
struct Held {
    access: String,
    refresh: String,
    scope: String,
}

impl Client {
    /// Registers with one redirect URI.
    async fn register(app: &TestApp, redirect: &str) -> Self {
        let body = json!({ "client_name": "Editor", "redirect_uris": [redirect] });
        let registered = register(app, &body).await;
        assert_eq!(
            registered.status,
            StatusCode::CREATED,
            "{}",
            registered.body
        );
        Self {
            base: app.url.clone(),
            id: registered.body["client_id"].as_str().unwrap().to_owned(),
            redirect: redirect.to_owned(),
        }
    }

    /// The same client at another process.
    fn at(&self, app: &TestApp) -> Self {
        Self {
            base: app.url.clone(),
            ..self.clone()
        }
    }

    /// The parameters of a request as they should be.
    fn parameters(&self, scope: &str) -> BTreeMap<String, String> {
        BTreeMap::from(
            [
                ("client_id", self.id.as_str()),
                ("redirect_uri", &self.redirect),
                ("response_type", "code"),
                ("code_challenge", CHALLENGE),
                ("code_challenge_method", "S256"),
                ("resource", &format!("{}/mcp", self.base)),
                ("scope", scope),
                ("state", "st-4/te"),
            ]
            .map(|(name, value)| (name.to_owned(), value.to_owned())),
        )
    }

    fn authorize(&self, parameters: &BTreeMap<String, String>) -> String {
        let query = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(parameters)
            .finish();
        format!("{}/oauth/authorize?{query}", self.base)
    }

    /// Sends a person's browser to us; answers the page that it ends on, or the last one before it leaves.
    async fn ask(&self, person: &Person, scope: &str) -> Page {
        self.ask_with(person, &self.parameters(scope)).await
    }

    async fn ask_with(&self, person: &Person, parameters: &BTreeMap<String, String>) -> Page {
        let mut page = person.browser.get(self.authorize(parameters)).await;
        while let Some(to) = page
            .location()
            .filter(|to| to.as_str().starts_with(&self.base))
        {
            page = person.browser.get(to).await;
        }
        page
    }

    /// Has a person approve everything that is asked for, if they are asked; answers where the browser goes.
    async fn approved(&self, person: &Person, scope: &str) -> Url {
        let page = self.ask(person, scope).await;
        match sent_on(&page) {
            Some(to) => to,
            None => decide(person, &page, "approve", &ticked(&page)).await,
        }
    }

    /// A code.
    async fn code(&self, person: &Person, scope: &str) -> String {
        parameter(&self.approved(person, scope).await, "code")
    }

    /// The whole way.
    async fn sign_in(&self, person: &Person, scope: &str) -> Held {
        let code = self.code(person, scope).await;
        held(&self.exchange(&code).await)
    }

    fn exchange_form(&self, code: &str) -> BTreeMap<&'static str, String> {
        BTreeMap::from([
            ("grant_type", "authorization_code".to_owned()),
            ("client_id", self.id.clone()),
            ("redirect_uri", self.redirect.clone()),
            ("code", code.to_owned()),
            ("code_verifier", VERIFIER.to_owned()),
            ("resource", format!("{}/mcp", self.base)),
        ])
    }

    async fn exchange(&self, code: &str) -> Reply {
        self.token(&self.exchange_form(code)).await
    }

    fn refresh_form(&self, refresh: &str) -> BTreeMap<&'static str, String> {
        BTreeMap::from([
            ("grant_type", "refresh_token".to_owned()),
            ("client_id", self.id.clone()),
            ("refresh_token", refresh.to_owned()),
        ])
    }

    async fn refresh(&self, refresh: &str) -> Reply {
        self.token(&self.refresh_form(refresh)).await
    }

    async fn token(&self, form: &BTreeMap<&'static str, String>) -> Reply {
        let url = format!("{}/oauth/token", self.base);
        reply(plain().post(url).form(form)).await
    }
}

async fn register(app: &TestApp, body: &Value) -> Reply {
    let url = format!("{}/oauth/register", app.url);
    let request = plain().post(url).header("content-type", "application/json");
    reply(request.body(body.to_string())).await
}

#[track_caller]
fn held(reply: &Reply) -> Held {
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.body);
    assert_eq!(reply.headers["cache-control"], "no-store");
    let text = |name: &str| reply.body[name].as_str().unwrap().to_owned();
    assert_eq!(reply.body["token_type"], "Bearer");
    Held {
        access: text("access_token"),
        refresh: text("refresh_token"),
        scope: text("scope"),
    }
}

#[track_caller]
fn refused(reply: &Reply, status: u16, word: &str) {
    assert_eq!(reply.status.as_u16(), status, "{}", reply.body);
    assert_eq!(reply.body["error"], word, "{}", reply.body);
    assert!(reply.body["error_description"].is_string());
    assert_eq!(reply.headers["cache-control"], "no-store");
}

#[track_caller]
fn parameter(url: &Url, name: &str) -> String {
    let found: Vec<_> = url
        .query_pairs()
        .filter(|(found, _)| found == name)
        .collect();
    assert_eq!(found.len(), 1, "{name} in {url}");
    found[0].1.clone().into_owned()
}

/// Where a page sends the browser of somebody who agreed before.
fn sent_on(page: &Page) -> Option<Url> {
    let refresh = page.headers.get("refresh")?.to_str().unwrap();
    Some(refresh.strip_prefix("0;url=").unwrap().parse().unwrap())
}

/// The values of the boxes that a consent page has ticked.
fn ticked(page: &Page) -> Vec<String> {
    let boxes = page.text.split("name=\"scope\" value=\"").skip(1);
    boxes
        .map(|rest| rest.split_once('"').unwrap())
        .filter(|(_, rest)| rest.starts_with(" checked"))
        .map(|(value, _)| value.to_owned())
        .collect()
}

/// Sends the form of a consent page; answers what came.
async fn answer(person: &Person, page: &Page, decision: &str, scopes: &[String]) -> Page {
    assert_eq!(page.status, StatusCode::OK, "{}", page.text);
    let csrf = page.field("csrf");
    let mut form = vec![("csrf", csrf.as_str()), ("decision", decision)];
    form.extend(scopes.iter().map(|scope| ("scope", scope.as_str())));
    person.browser.post(page.url.as_str(), &form).await
}

async fn decide(person: &Person, page: &Page, decision: &str, scopes: &[String]) -> Url {
    let after = answer(person, page, decision, scopes).await;
    let to = after.location();
    to.unwrap_or_else(|| panic!("{}: {}", after.status, after.text))
}

/// A person who is signed in, with an account at GitHub.
async fn alice(app: &TestApp) -> Person {
    let alice = app.person("alice@example.test").await;
    alice.connect("github", "alice-dev").await;
    alice
}

/// Whether the token opens the MCP endpoint.
async fn opens(app: &TestApp, held: &Held) -> bool {
    let reply = app.mcp(&held.access).request("tools/list", json!({})).await;
    match reply.status.as_u16() {
        200 => true,
        401 => false,
        other => panic!("{other}: {}", reply.body),
    }
}
