//! The whole product on a database of its own, reached over HTTP as clients do.

use std::sync::Arc;

use http::{HeaderMap, StatusCode};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};
use workbench_mcp::app::App;
use workbench_mcp::caller::Role;
use workbench_mcp::clock::Clock;
use workbench_mcp::config::Config;
use workbench_mcp::integrations;

/// A running product with two people in it.
pub struct Rig {
    pub url: String,
    pub alice: String,
    pub bob: String,
    pub app: Arc<App>,
    pub http: reqwest::Client,
    _stop: DropGuard,
    _data: TempDir,
}

/// An answer, read to its end.
#[derive(Debug)]
pub struct Reply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub text: String,
}

impl Reply {
    /// The JSON-RPC message: the body itself, or the last event of a stream.
    pub fn message(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| {
            self.text
                .lines()
                .filter_map(|line| line.strip_prefix("data:"))
                .filter_map(|data| serde_json::from_str(data.trim()).ok())
                .next_back()
                .unwrap_or_else(|| panic!("no message in {self:?}"))
        })
    }

    pub fn code(&self) -> i64 {
        self.message()["error"]["code"].as_i64().unwrap_or_default()
    }

    pub fn session(&self) -> String {
        self.headers["mcp-session-id"].to_str().unwrap().to_owned()
    }
}

impl Rig {
    pub async fn start() -> Self {
        let data = tempfile::tempdir().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut settings = vec![
            ("WORKBENCH_LISTEN".to_owned(), address.to_string()),
            (
                "WORKBENCH_DATA_DIR".to_owned(),
                data.path().to_str().unwrap().to_owned(),
            ),
        ];
        // Nobody answers there: these tests stop before a provider.
        settings.extend(
            integrations::ALL
                .iter()
                .flat_map(|integration| integration.providers)
                .map(|provider| {
                    (
                        format!("WORKBENCH_PROVIDER_{}_API_URL", provider.id.to_uppercase()),
                        "http://127.0.0.1:1/".to_owned(),
                    )
                }),
        );
        let config = Config::load(settings, None).unwrap();
        let app = Arc::new(App::start(&config, Clock::System).await.unwrap());
        let mut tokens = Vec::new();
        for email in ["alice@example.test", "bob@example.test"] {
            let user = app
                .auth
                .add_user(app.org, email, Role::Member)
                .await
                .unwrap();
            let token = app
                .auth
                .create_token(&user, "test", None, workbench_mcp::caller::Scopes::ALL)
                .await
                .unwrap();
            tokens.push(token.secret.expose_secret().to_owned());
        }
        let stop = CancellationToken::new();
        let (serving, stopping) = (Arc::clone(&app), stop.clone());
        tokio::spawn(async move { serving.serve(listener, None, &stopping).await });
        Self {
            url: format!("http://{address}"),
            bob: tokens.pop().unwrap(),
            alice: tokens.pop().unwrap(),
            app,
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
            _stop: stop.drop_guard(),
            _data: data,
        }
    }

    /// A request to the MCP endpoint with what every client sends.
    pub fn post(&self, token: &str) -> reqwest::RequestBuilder {
        self.http
            .post(format!("{}/mcp", self.url))
            .bearer_auth(token)
            .header("accept", "application/json, text/event-stream")
            .header("content-type", "application/json")
    }

    /// A request of 2026-07-28.
    pub fn stateless(
        &self,
        token: &str,
        method: &str,
        mut params: Value,
    ) -> reqwest::RequestBuilder {
        params["_meta"] = json!({
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {},
        });
        let name = params
            .get("name")
            .or_else(|| params.get("uri"))
            .and_then(Value::as_str)
            .map(ToOwned::to_owned);
        let request = self
            .post(token)
            .header("mcp-protocol-version", "2026-07-28")
            .header("mcp-method", method)
            .body(
                json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params })
                    .to_string(),
            );
        match name {
            Some(name) => request.header("mcp-name", name),
            None => request,
        }
    }

    /// Opens a session of 2025-11-25.
    pub async fn initialize(&self, token: &str) -> Reply {
        let params = json!({
            "protocolVersion": "2025-11-25",
            "capabilities": {},
            "clientInfo": { "name": "test", "version": "1" }
        });
        let body = json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params });
        read(self.post(token).body(body.to_string())).await
    }

    /// A request within a session.
    pub fn within(&self, token: &str, session: &str, method: &str) -> reqwest::RequestBuilder {
        self.post(token)
            .header("mcp-session-id", session)
            .header("mcp-protocol-version", "2025-11-25")
            .body(json!({ "jsonrpc": "2.0", "id": 1, "method": method }).to_string())
    }
}

/// Sends and reads to the end.
pub async fn read(request: reqwest::RequestBuilder) -> Reply {
    let response = request.send().await.unwrap();
    Reply {
        status: response.status(),
        headers: response.headers().clone(),
        text: response.text().await.unwrap(),
    }
}
