//! The only module with routes and HTML: the MCP endpoint's door, connecting accounts in the browser, and the addresses
//! that operations look at. Pages work without scripts.
//!
//! This module decides nothing about tools: it authenticates and hands on.

mod account;
mod accounts;
mod activity;
mod adding;
mod address;
mod admin;
mod approvals;
mod assets;
mod audit;
mod bearer;
mod client_setups;
mod connecting;
mod error;
mod joining;
mod oauth;
mod operations;
mod pages;
mod pasting;
mod policy;
mod routing;
mod session;
mod sso;
mod tokens;
mod tracked;
mod tryit;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::middleware;
use axum::response::{IntoResponse, Redirect, Response};
use futures_util::future::BoxFuture;
use http::HeaderValue;
use metrics_exporter_prometheus::PrometheusHandle;
use tower_http::cors::{AllowOrigin, CorsLayer};

use crate::audit::AuditLog;
use crate::auth::Auth;
use crate::auth::server::AuthorizationServer;
use crate::calls::Calls;
use crate::config::Network;
use crate::connect::Connections;
use crate::links::Links;
use crate::mcp;
use crate::rulebook::Rulebook;
use crate::system::System;
use crate::tracking::MailTracking;

use routing::{get, get_post, get_whole, post, post_while_asked};

pub use address::Peer;
pub use error::Error;

/// Largest form, in bytes.
const FORM_BYTES: usize = 64 * 1024;

/// Says whether the database answers.
pub type Ready = Arc<dyn Fn() -> BoxFuture<'static, bool> + Send + Sync>;

/// What the routes work on. Cheap to clone.
#[derive(Clone)]
pub struct Web {
    /// Who is asking.
    pub auth: Auth,
    /// Who may act for whom.
    pub server: AuthorizationServer,
    /// Connecting accounts.
    pub connections: Connections,
    /// What was done.
    pub audit: AuditLog,
    /// What the organization allows.
    pub rulebook: Rulebook,
    /// The installation.
    pub system: System,
    /// Opens and clicks of sent mail.
    pub tracking: MailTracking,
    /// What pages show of accounts.
    pub calls: Calls,
    /// Our own addresses.
    pub links: Links,
    /// The MCP face.
    pub mcp: mcp::Server,
    /// Whether the database answers.
    pub ready: Ready,
    /// The metrics, when they are collected.
    pub metrics: Option<PrometheusHandle>,
    /// Browser origins besides our own that may call the MCP endpoint.
    pub origins: Vec<String>,
    /// Proxies that are believed about whom they speak for.
    pub proxies: Vec<Network>,
}

/// All routes of the product.
pub fn router(web: Web) -> Router {
    let mcp_service = mcp::service(&web.mcp);
    let protocol = Router::new()
        .route_service("/mcp", mcp_service)
        .route("/sse", get(open_sse))
        .route("/messages", post_while_asked(post_message))
        .layer(middleware::from_fn_with_state(
            web.clone(),
            bearer::authenticate,
        ))
        .layer(cors(&web));
    let pages = Router::new()
        .route(
            "/",
            get(|State(web): State<Web>| async move { Redirect::to(&web.links.connections()) }),
        )
        .route("/login", get_post(session::form, session::sign_in))
        .route("/login/sso", get(sso::begin))
        .route("/login/callback", get_whole(sso::callback))
        .route("/logout", post(session::sign_out))
        .route("/join", get_post(joining::form, joining::accept))
        .route("/account", get(account::page))
        .route("/account/password", post(account::change_password))
        .merge(admin::routes())
        .merge(accounts::routes())
        .route(
            "/connect/{integration}",
            get_post(connecting::explain, connecting::start),
        )
        .route("/connect/{integration}/key", post(pasting::connect))
        .route(
            "/oauth/callback/{provider}",
            get_whole(connecting::callback),
        )
        .route("/approvals", get(approvals::inbox))
        .route(
            "/approvals/{id}",
            get_post(approvals::question, approvals::decide),
        )
        .route("/connected/{flow}", get(connecting::outcome))
        .merge(policy::routes())
        .merge(tryit::routes())
        .merge(activity::routes())
        .merge(tokens::routes())
        .route("/clients/add", get(adding::page))
        .merge(audit::routes())
        .route("/oauth/authorize", get(oauth::authorize))
        .route(
            "/oauth/consent/{id}",
            get_post(oauth::consent::ask, oauth::consent::decide),
        )
        .route("/clients", get(oauth::clients::list))
        .route("/clients/sign-out", post(oauth::clients::sign_out_all))
        .route("/clients/{id}/sign-out", post(oauth::clients::sign_out))
        .fallback(error::not_found)
        .layer(DefaultBodyLimit::max(FORM_BYTES))
        .layer(middleware::from_fn_with_state(web.clone(), pages::guard));
    let open = Router::new()
        .route(
            "/.well-known/oauth-protected-resource",
            get(bearer::metadata),
        )
        .route(
            "/.well-known/oauth-protected-resource/mcp",
            get(bearer::metadata),
        )
        .route(
            "/.well-known/oauth-authorization-server",
            get(oauth::metadata),
        )
        .route(
            "/.well-known/oauth-authorization-server/{*path}",
            get(oauth::metadata_at),
        )
        .route("/oauth/token", post(oauth::token))
        .route("/oauth/revoke", post(oauth::revoke))
        .route("/oauth/register", post(oauth::register))
        .layer(DefaultBodyLimit::max(FORM_BYTES))
        .layer(oauth::cors());
    let plain = Router::new()
        .route("/assets/{name}", get(assets::asset))
        .route("/icons/{name}", get(assets::icon))
        .route("/t/o/{signed}", get(tracked::opened))
        .route("/t/l/{signed}", get(tracked::followed))
        .route("/healthz", get(operations::healthz))
        .route("/readyz", get(operations::readyz))
        .route("/metrics", get(operations::metrics));
    protocol
        .merge(pages)
        .merge(open)
        .merge(plain)
        .with_state(web)
}

async fn open_sse(State(web): State<Web>, request: Request) -> Response {
    mcp::sse::open(&web.mcp, &request)
        .map(Body::new)
        .into_response()
}

async fn post_message(State(web): State<Web>, request: Request) -> Response {
    mcp::sse::post(&web.mcp, request)
        .await
        .map(Body::new)
        .into_response()
}

/// Cross-origin requests, from the listed origins only and never with cookies.
fn cors(web: &Web) -> CorsLayer {
    let header = http::HeaderName::from_static;
    let origins: Vec<HeaderValue> = web
        .origins
        .iter()
        .filter_map(|origin| HeaderValue::from_str(origin).ok())
        .collect();
    CorsLayer::new()
        .allow_origin(AllowOrigin::list(origins))
        .allow_methods([http::Method::GET, http::Method::POST, http::Method::DELETE])
        .allow_headers([
            http::header::AUTHORIZATION,
            http::header::CONTENT_TYPE,
            http::header::ACCEPT,
            header("mcp-protocol-version"),
            header("mcp-session-id"),
            header("mcp-method"),
            header("mcp-name"),
            header("last-event-id"),
        ])
        .expose_headers([header("mcp-session-id"), http::header::WWW_AUTHENTICATE])
}
