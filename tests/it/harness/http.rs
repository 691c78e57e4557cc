//! A browser and an MCP client, as plain as they can be: what goes over the wire is in the test's hands.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use reqwest::header::{ACCEPT, CONTENT_TYPE, COOKIE, HeaderMap, LOCATION, ORIGIN, SET_COOKIE};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use url::Url;
use workbench_mcp::integrations;

/// The revision that tests speak.
pub const PROTOCOL: &str = "2026-07-28";

/// A client that follows nothing and keeps nothing.
pub fn plain() -> reqwest::Client {
    reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        // Sooner than the server closes what is idle, so that no request meets a closing connection.
        .pool_idle_timeout(Duration::from_secs(3))
        .no_proxy()
        .build()
        .unwrap()
}

/// A page as it came, no redirect followed.
#[derive(Clone, Debug)]
pub struct Page {
    pub url: Url,
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub text: String,
}

impl Page {
    /// Where it leads.
    pub fn location(&self) -> Option<Url> {
        let to = self.headers.get(LOCATION)?.to_str().unwrap();
        Some(self.url.join(to).unwrap())
    }

    /// The value of the form's field.
    pub fn field(&self, name: &str) -> String {
        between(&self.text, &format!("name=\"{name}\" value=\""), "\"")
            .unwrap_or_else(|| panic!("no {name} at {}: {}", self.url, self.text))
    }
}

impl Page {
    /// What stands in the text field of this name.
    pub fn field_value(&self, name: &str) -> String {
        let field = between(&self.text, &format!(" name=\"{name}\" "), ">");
        let value = field.and_then(|field| between(&field, " value=\"", "\""));
        value.unwrap_or_else(|| panic!("no {name} at {}: {}", self.url, self.text))
    }
}

pub fn between(text: &str, start: &str, end: &str) -> Option<String> {
    let rest = text.split_once(start)?.1;
    Some(rest.split_once(end)?.0.to_owned())
}

/// A browser: cookies by site, forms with an `Origin`. Clones share the cookies.
#[derive(Clone)]
pub struct Browser {
    http: reqwest::Client,
    cookies: Arc<Mutex<BTreeMap<(String, String), String>>>,
}

impl Browser {
    pub fn new() -> Self {
        Self {
            http: plain(),
            cookies: Arc::default(),
        }
    }

    /// One request, no redirect followed.
    pub async fn get(&self, url: impl AsRef<str>) -> Page {
        self.send(Method::GET, url.as_ref(), &[], None).await
    }

    /// A form of the page's own site.
    pub async fn post(&self, url: impl AsRef<str>, form: &[(&str, &str)]) -> Page {
        let origin = Url::parse(url.as_ref()).unwrap().origin();
        let origin = origin.ascii_serialization();
        self.send(
            Method::POST,
            url.as_ref(),
            &[(ORIGIN.as_str(), &origin)],
            Some(form),
        )
        .await
    }

    /// A request with these headers and no others besides cookies.
    pub async fn send(
        &self,
        method: Method,
        url: &str,
        headers: &[(&str, &str)],
        form: Option<&[(&str, &str)]>,
    ) -> Page {
        let url = Url::parse(url).unwrap();
        let site = url.authority().to_owned();
        let cookies: Vec<String> = {
            let cookies = self.cookies.lock().unwrap();
            let own = cookies.iter().filter(|((of, _), _)| *of == site);
            own.map(|((_, name), value)| format!("{name}={value}"))
                .collect()
        };
        let mut request = self.http.request(method, url.clone());
        if !cookies.is_empty() {
            request = request.header(COOKIE, cookies.join("; "));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(form) = form {
            request = request.form(form);
        }
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        for cookie in headers.get_all(SET_COOKIE) {
            let line = cookie.to_str().unwrap();
            let (name, value) = line.split(';').next().unwrap().split_once('=').unwrap();
            let key = (site.clone(), name.to_owned());
            let mut cookies = self.cookies.lock().unwrap();
            if line.contains("Max-Age=0") {
                cookies.remove(&key);
            } else {
                cookies.insert(key, value.to_owned());
            }
        }
        let text = response.text().await.unwrap();
        Page {
            url,
            status,
            headers,
            text,
        }
    }

    /// Follows redirects to their end.
    pub async fn follow(&self, mut page: Page) -> Page {
        for _ in 0..10 {
            match page.location() {
                Some(to) if page.status.is_redirection() => page = self.get(to).await,
                _ => return page,
            }
        }
        panic!("{} redirects without end", page.url)
    }

    /// The cookies of a site, by name.
    pub fn cookies(&self) -> BTreeMap<String, String> {
        let cookies = self.cookies.lock().unwrap();
        let named = cookies.iter();
        named
            .map(|((_, name), value)| (name.clone(), value.clone()))
            .collect()
    }
}

/// What came back from the MCP endpoint.
#[derive(Clone, Debug)]
pub struct Reply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Value,
}

impl Reply {
    /// What a tool found; panics when it failed.
    pub fn items(&self) -> &Vec<Value> {
        assert_ne!(self.body["result"]["isError"], true, "{}", self.body);
        let items = &self.body["result"]["structuredContent"]["items"];
        items.as_array().unwrap_or_else(|| panic!("{}", self.body))
    }

    /// The failure, of a tool, of a block whose connection is dead, or of the protocol.
    pub fn error(&self) -> &Value {
        let of_tool = &self.body["result"]["structuredContent"]["error"];
        let of_block = &self.body["result"]["contents"][0]["_meta"]["workbench-mcp/error"];
        let of_protocol = &self.body["error"]["data"];
        [of_tool, of_block]
            .into_iter()
            .find(|error| !error.is_null())
            .unwrap_or(of_protocol)
    }

    /// `ok`, or the stable code of the failure.
    pub fn code(&self) -> &str {
        match self.error()["code"].as_str() {
            Some(code) => code,
            None if self.body["result"].is_object() => "ok",
            None => "protocol",
        }
    }

    pub fn account(&self) -> &str {
        self.body["result"]["structuredContent"]["account"]
            .as_str()
            .unwrap_or_else(|| panic!("{}", self.body))
    }
}

/// Speaks the current revision: every request stands alone.
#[derive(Clone)]
pub struct McpClient {
    pub http: reqwest::Client,
    pub endpoint: String,
    pub token: String,
}

impl McpClient {
    /// The request as it should be; tests spoil it.
    pub fn build(&self, id: &Value, method: &str, mut params: Value) -> reqwest::RequestBuilder {
        let named = params.get("name").or_else(|| params.get("uri"));
        let named = named.and_then(Value::as_str).map(ToOwned::to_owned);
        let mut meta = json!({
            "io.modelcontextprotocol/protocolVersion": PROTOCOL,
            "io.modelcontextprotocol/clientInfo": { "name": "tests", "version": "1" },
            "io.modelcontextprotocol/clientCapabilities": {},
        });
        if let Some(extra) = params["_meta"].as_object() {
            meta.as_object_mut().unwrap().extend(extra.clone());
        }
        params["_meta"] = meta;
        let body = json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params });
        let mut request = self
            .http
            .post(&self.endpoint)
            .bearer_auth(&self.token)
            .header(CONTENT_TYPE, "application/json")
            .header(ACCEPT, "application/json, text/event-stream")
            .header("mcp-protocol-version", PROTOCOL)
            .header("mcp-method", method)
            .body(body.to_string());
        if let Some(name) = named {
            request = request.header("mcp-name", header_text(&name));
        }
        request
    }

    /// Sends a request; an answer that is no JSON is its text.
    pub async fn request(&self, method: &str, params: Value) -> Reply {
        reply(self.build(&json!(1), method, params)).await
    }

    pub async fn call(&self, tool: &str, arguments: Value) -> Reply {
        self.request(
            "tools/call",
            json!({ "name": tool, "arguments": arguments }),
        )
        .await
    }

    pub async fn call_in(&self, thread: &str, tool: &str, arguments: Value) -> Reply {
        let meta = json!({ "workbench-mcp/thread": thread });
        let params = json!({ "name": tool, "arguments": arguments, "_meta": meta });
        self.request("tools/call", params).await
    }

    pub async fn read(&self, uri: &str) -> Reply {
        self.request("resources/read", json!({ "uri": uri })).await
    }

    pub async fn complete(
        &self,
        template: &str,
        field: &str,
        prefix: &str,
        chosen: Value,
    ) -> Vec<String> {
        let params = json!({
            "ref": { "type": "ref/resource", "uri": template },
            "argument": { "name": field, "value": prefix },
            "context": { "arguments": chosen },
        });
        let reply = self.request("completion/complete", params).await;
        let values = &reply.body["result"]["completion"]["values"];
        serde_json::from_value(values.clone()).unwrap_or_else(|_| panic!("{}", reply.body))
    }

    /// The names of the tools that go through an account. Those that are open to everyone are listed for all.
    pub async fn tools(&self) -> Vec<String> {
        let mut names = self.all_tools().await;
        names.retain(|name| integrations::tool(name).is_none_or(|(_, def)| def.account));
        names
    }

    /// The names of all tools.
    pub async fn all_tools(&self) -> Vec<String> {
        let mut names = Vec::new();
        let mut params = json!({});
        loop {
            let reply = self.request("tools/list", params).await;
            let page = &reply.body["result"];
            let tools = page["tools"].as_array();
            let tools = tools.unwrap_or_else(|| panic!("{}", reply.body));
            names.extend(
                tools
                    .iter()
                    .map(|tool| tool["name"].as_str().unwrap().to_owned()),
            );
            match page["nextCursor"].as_str() {
                Some(cursor) => params = json!({ "cursor": cursor }),
                None => return names,
            }
        }
    }

    /// The names of the blocks that go through an account.
    pub async fn blocks(&self) -> Vec<String> {
        let mut names = self.all_blocks().await;
        let open = integrations::ALL.iter().filter(|one| one.open().is_some());
        let open: Vec<&str> = open
            .flat_map(|one| one.blocks())
            .map(|block| block.name)
            .collect();
        names.retain(|name| !open.contains(&name.as_str()));
        names
    }

    /// The names of all blocks.
    pub async fn all_blocks(&self) -> Vec<String> {
        let reply = self.request("resources/templates/list", json!({})).await;
        let templates = &reply.body["result"]["resourceTemplates"];
        let templates = templates
            .as_array()
            .unwrap_or_else(|| panic!("{}", reply.body));
        let names = templates.iter();
        names
            .map(|block| block["name"].as_str().unwrap().to_owned())
            .collect()
    }

    /// The accounts as the caller sees them.
    pub async fn accounts(&self) -> Vec<Value> {
        let reply = self.read("workbench://accounts").await;
        let text = &reply.body["result"]["contents"][0]["text"];
        let text = text.as_str().unwrap_or_else(|| panic!("{}", reply.body));
        let accounts: Value = serde_json::from_str(text).unwrap();
        accounts["accounts"].as_array().unwrap().clone()
    }

    /// The status of the only account of an integration, and why.
    pub async fn status(&self, integration: &str) -> (String, String) {
        let accounts = self.accounts().await;
        let own: Vec<_> = accounts
            .iter()
            .filter(|account| account["integration"] == integration)
            .collect();
        assert_eq!(own.len(), 1, "{accounts:?}");
        (
            own[0]["status"].as_str().unwrap().to_owned(),
            own[0]["reason"].as_str().unwrap_or_default().to_owned(),
        )
    }
}

/// Sends a request and reads whatever comes.
pub async fn reply(request: reqwest::RequestBuilder) -> Reply {
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status(), response.headers().clone());
    let text = response.text().await.unwrap();
    // An answer may come as the one event of a stream.
    let json = text.lines().find_map(|line| line.strip_prefix("data: "));
    let body = serde_json::from_str(json.unwrap_or(&text)).unwrap_or(Value::String(text));
    Reply {
        status,
        headers,
        body,
    }
}

/// As a header carries a name: as it is, or in the base64 form of the specification when it cannot be.
fn header_text(name: &str) -> String {
    use base64::Engine as _;
    let plain = name.bytes().all(|byte| (0x21..0x7f).contains(&byte));
    if plain && !name.is_empty() {
        name.to_owned()
    } else {
        let encoded = base64::engine::general_purpose::STANDARD.encode(name);
        format!("=?base64?{encoded}?=")
    }
}
