//! `demo --tour`: what a person with a client does, from outside: over HTTP with nothing but the address and a token. It
//! connects accounts through the consent pages, lists, calls, reads a block, and then shows what the audit log kept.

use std::collections::BTreeMap;

use anyhow::{Context as _, bail, ensure};
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, COOKIE, LOCATION, ORIGIN, SET_COOKIE};
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use url::Url;

use super::output::line;
use crate::app::App;
use crate::audit::Filter;
use crate::caller::Caller;
use crate::integrations;

/// The revision that the tour speaks.
const PROTOCOL: &str = "2026-07-28";

/// Takes the tour as the person with this token; true when everything worked.
pub(super) async fn run(app: &App, token: &SecretString) -> anyhow::Result<bool> {
    let mut browser = Browser::new();
    let person = app.auth.bearer(token.expose_secret()).await?;
    line(&format!(
        "A tour of workbench-mcp at {} as {}.",
        app.links.mcp(),
        person.email
    ))?;

    let session = browser
        .form(
            app.links.public().join("login")?,
            &[("token", token.expose_secret()), ("next", "/connections")],
        )
        .await?;
    ensure!(
        session.url.path().ends_with("/connections"),
        "signing in led to {}",
        session.url
    );
    line("1. Signed in to the pages with the personal access token.")?;

    let closed = integrations::ALL.iter().filter(|one| one.open().is_none());
    for integration in closed {
        let done = browser.connect(&app.links.connect(integration.id)).await;
        let done = done.with_context(|| format!("connecting {}", integration.id))?;
        line(&format!("2. Connected {}: {done}", integration.name))?;
    }

    let client = McpClient {
        browser: &browser,
        mcp: app.links.mcp(),
        token,
    };
    let tools = client.list_tools().await?;
    ensure!(!tools.is_empty(), "no tools are listed");
    line(&format!(
        "3. Listed {} tools: {} … {}",
        tools.len(),
        tools[0],
        tools[tools.len() - 1]
    ))?;

    for (tool, arguments) in [
        ("github_get_viewer", json!({})),
        ("github_list_issues", json!({ "repo": "acme/site" })),
        (
            "hubspot_search_records",
            json!({ "object_type": "contacts", "q": "ada" }),
        ),
    ] {
        let result = client.call(tool, arguments).await?;
        let items = result["structuredContent"]["items"]
            .as_array()
            .map_or(0, Vec::len);
        ensure!(result["isError"] != json!(true), "{tool} answered {result}");
        line(&format!(
            "4. Called {tool}: {items} records through {}",
            result["structuredContent"]["account"]
        ))?;
    }

    let templates = client
        .request("resources/templates/list", json!({}))
        .await?;
    let count = templates["resourceTemplates"]
        .as_array()
        .map_or(0, Vec::len);
    let account = client.accounts().await?;
    let uri = format!("github://{}/acme/site", crate::kit::uri::encode(&account));
    let block = client
        .request("resources/read", json!({ "uri": uri }))
        .await?;
    let text = block["contents"][0]["text"]
        .as_str()
        .context("the block has no text")?;
    line(&format!(
        "5. Of {count} kinds of context blocks, read {uri}: {} characters",
        text.chars().count()
    ))?;

    show_log(app, &person).await?;
    line("The tour is over; everything worked.")?;
    Ok(true)
}

/// What the audit log kept.
async fn show_log(app: &App, person: &Caller) -> anyhow::Result<()> {
    let filter = Filter {
        user: Some(person.user),
        limit: 20,
        ..Filter::default()
    };
    let entries = app.audit.list(person.org, &filter).await?;
    ensure!(
        entries
            .iter()
            .any(|entry| entry.tool.as_deref() == Some("github_list_issues")),
        "the call is not in the log"
    );
    line("6. What the audit log kept of it, newest first:")?;
    for entry in entries.iter().take(8) {
        let what = entry.tool.as_deref().unwrap_or(&entry.kind);
        line(&format!(
            "   {:>4}  {}  {what}  {}",
            entry.seq, entry.at, entry.outcome
        ))?;
    }
    let verified = app.audit.verify(Some(person.org), &[], |_| {}).await?;
    line(&format!(
        "   Its hash chain of {} events holds.",
        verified.events
    ))?;
    Ok(())
}

/// Speaks MCP's current revision: every request stands alone.
struct McpClient<'a> {
    browser: &'a Browser,
    mcp: String,
    token: &'a SecretString,
}

impl McpClient<'_> {
    async fn request(&self, method: &str, mut params: Value) -> anyhow::Result<Value> {
        let name = params
            .get("name")
            .or_else(|| params.get("uri"))
            .and_then(Value::as_str)
            .map(ToOwned::to_owned);
        params["_meta"] = json!({
            "io.modelcontextprotocol/protocolVersion": PROTOCOL,
            "io.modelcontextprotocol/clientInfo": { "name": "workbench-tour", "version": env!("CARGO_PKG_VERSION") },
            "io.modelcontextprotocol/clientCapabilities": {},
            "workbench-mcp/thread": "tour",
        });
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(&self.mcp)
            .header(
                AUTHORIZATION,
                format!("Bearer {}", self.token.expose_secret()),
            )
            .header(CONTENT_TYPE, "application/json")
            .header(ACCEPT, "application/json, text/event-stream")
            .header("mcp-protocol-version", PROTOCOL)
            .header("mcp-method", method);
        if let Some(name) = name {
            request = request.header("mcp-name", name);
        }
        let (status, _, body) = self
            .browser
            .send(request.body(Full::from(body.to_string()))?)
            .await?;
        let answer: Value = serde_json::from_slice(&body).with_context(|| {
            format!(
                "{method} answered {status}: {}",
                String::from_utf8_lossy(&body)
            )
        })?;
        match answer.get("result") {
            Some(result) => Ok(result.clone()),
            None => bail!("{method} answered {status}: {answer}"),
        }
    }

    async fn list_tools(&self) -> anyhow::Result<Vec<String>> {
        let mut names = Vec::new();
        let mut params = json!({});
        loop {
            let page = self.request("tools/list", params).await?;
            let tools = page["tools"].as_array().context("a list without tools")?;
            names.extend(
                tools
                    .iter()
                    .filter_map(|tool| tool["name"].as_str())
                    .map(ToOwned::to_owned),
            );
            match page["nextCursor"].as_str() {
                Some(cursor) => params = json!({ "cursor": cursor }),
                None => return Ok(names),
            }
        }
    }

    async fn call(&self, tool: &str, arguments: Value) -> anyhow::Result<Value> {
        self.request(
            "tools/call",
            json!({ "name": tool, "arguments": arguments }),
        )
        .await
    }

    /// What the GitHub account is called, from the list of the caller's accounts.
    async fn accounts(&self) -> anyhow::Result<String> {
        let read = self
            .request(
                "resources/read",
                json!({ "uri": crate::calls::ACCOUNTS_URI }),
            )
            .await?;
        let text = read["contents"][0]["text"]
            .as_str()
            .context("the accounts have no text")?;
        let accounts: Value = serde_json::from_str(text)?;
        let github = accounts["accounts"]
            .as_array()
            .into_iter()
            .flatten()
            .find(|account| account["integration"] == "github");
        github
            .and_then(|account| account["account"].as_str())
            .map(ToOwned::to_owned)
            .context("no GitHub account is listed")
    }
}

/// A page that was reached, redirects followed.
struct Page {
    url: Url,
    text: String,
}

/// As much of a browser as consent pages need: cookies, forms, redirects.
struct Browser {
    client: Client<HttpConnector, Full<Bytes>>,
    cookies: BTreeMap<(String, String), String>,
}

impl Browser {
    fn new() -> Self {
        Self {
            client: Client::builder(TokioExecutor::new()).build_http(),
            cookies: BTreeMap::new(),
        }
    }

    async fn send(
        &self,
        request: Request<Full<Bytes>>,
    ) -> anyhow::Result<(StatusCode, HeaderMap, Bytes)> {
        let response = self.client.request(request).await?;
        let (parts, body) = response.into_parts();
        Ok((
            parts.status,
            parts.headers,
            body.collect().await?.to_bytes(),
        ))
    }

    async fn form(&mut self, url: Url, fields: &[(&str, &str)]) -> anyhow::Result<Page> {
        let form = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(fields)
            .finish();
        self.go(url, Some(form)).await
    }

    async fn go(&mut self, mut url: Url, mut form: Option<String>) -> anyhow::Result<Page> {
        for _ in 0..10 {
            let site = url.authority().to_owned();
            let cookies = self.cookies.iter().filter(|((of, _), _)| *of == site);
            let cookies: Vec<_> = cookies
                .map(|((_, name), value)| format!("{name}={value}"))
                .collect();
            let mut request = Request::builder()
                .uri(url.as_str())
                .header(COOKIE, cookies.join("; "));
            let body = match form.take() {
                Some(form) => {
                    request = request
                        .method(Method::POST)
                        .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
                        .header(ORIGIN, url.origin().ascii_serialization());
                    Full::from(form)
                }
                None => Full::default(),
            };
            let (status, headers, body) = self.send(request.body(body)?).await?;
            for cookie in headers.get_all(SET_COOKIE) {
                let pair = cookie.to_str()?.split(';').next().unwrap_or_default();
                if let Some((name, value)) = pair.split_once('=') {
                    self.cookies
                        .insert((site.clone(), name.to_owned()), value.to_owned());
                }
            }
            let text = String::from_utf8_lossy(&body).into_owned();
            match headers.get(LOCATION) {
                Some(to) if status.is_redirection() => url = url.join(to.to_str()?)?,
                _ if status.is_success() => return Ok(Page { url, text }),
                _ => bail!(
                    "{url} answered {status}: {}",
                    crate::kit::text::clip(&text, 300)
                ),
            }
        }
        bail!("{url} redirects without end")
    }

    /// Goes through our page, the provider's consent page, and back; answers what the last page says.
    async fn connect(&mut self, link: &str) -> anyhow::Result<String> {
        let ours = self.go(link.parse()?, None).await?;
        let csrf =
            between(&ours.text, "name=\"csrf\" value=\"", "\"").context("our page has no form")?;
        let consent = self.form(ours.url, &[("csrf", &csrf)]).await?;
        let account = between(&consent.text, "name=\"account\" value=\"", "\"")
            .context("the consent page offers no account")?;
        let done = self
            .form(
                consent.url,
                &[("decision", "approve"), ("account", &account)],
            )
            .await?;
        ensure!(
            done.url.path().contains("/connected/"),
            "the way back led to {}",
            done.url
        );
        let said = between(&done.text, "<p>", "</p>").context("the last page says nothing")?;
        ensure!(done.text.contains("is connected"), "{said}");
        Ok(said)
    }
}

fn between(text: &str, start: &str, end: &str) -> Option<String> {
    let rest = text.split_once(start)?.1;
    Some(rest.split_once(end)?.0.to_owned())
}
