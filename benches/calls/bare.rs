//! A server with nothing of ours: rmcp, one tool that makes the same upstream read, no token, no policy, no log.

use std::process::Command;
use std::sync::Arc;

use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ListToolsResult,
    PaginatedRequestParams, ServerCapabilities, ServerConfig, Tool,
};
use rmcp::service::{RequestContext, RoleServer};
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use rmcp::{ErrorData, ServerHandler};
use serde_json::{Value, json};

use super::process::{Process, free_port};

#[derive(Clone)]
struct Bare {
    http: reqwest::Client,
    upstream: Arc<str>,
}

impl ServerHandler for Bare {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let schema = json!({ "type": "object" }).as_object().cloned().unwrap();
        Ok(ListToolsResult::with_all_items(vec![Tool::new(
            "tree",
            "the tree",
            Arc::new(schema),
        )]))
    }

    async fn call_tool(
        &self,
        _: CallToolRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let url = format!(
            "{}/repos/acme/site/git/trees/HEAD?recursive=1",
            self.upstream
        );
        let answer = self
            .http
            .get(url)
            .send()
            .await
            .unwrap()
            .bytes()
            .await
            .unwrap();
        let answer: Value = serde_json::from_slice(&answer).unwrap();
        let items: Vec<Value> = answer["tree"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|entry| json!({ "id": entry["path"], "size": entry["size"], "type": entry["type"] }))
            .collect();
        Ok(CallToolResult::structured(json!({ "items": items })).into())
    }
}

/// Serves on the port that the environment names.
pub(crate) async fn serve(upstream: &str) {
    let port: u16 = std::env::var("PORT").unwrap().parse().unwrap();
    let http = reqwest::Client::builder()
        .no_proxy()
        .tcp_nodelay(true)
        .build()
        .unwrap();
    let bare = Bare {
        http,
        upstream: upstream.into(),
    };
    let config = StreamableHttpServerConfig::default().with_json_response(true);
    let service = StreamableHttpService::new(
        move || Ok(bare.clone()),
        Arc::new(LocalSessionManager::default()),
        config,
    );
    let router = axum::Router::new().route_service("/mcp", service);
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port))
        .await
        .unwrap();
    let listener =
        axum::serve::ListenerExt::tap_io(listener, |stream| stream.set_nodelay(true).unwrap());
    axum::serve(listener, router).await.unwrap();
}

/// The bare server as a process of its own: this program again.
pub(crate) async fn start(upstream: &str) -> Process {
    let port = free_port().await;
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["bare-server", upstream])
        .env("PORT", port.to_string());
    Process::start(&mut command, port).await
}
