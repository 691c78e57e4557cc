//! The routes of the embedded authorization server. What they decide is in [`crate::auth::server`].

pub(super) mod clients;
pub(super) mod consent;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, RawQuery, State};
use axum::response::{IntoResponse, Redirect, Response};
use http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, PRAGMA, RETRY_AFTER, WWW_AUTHENTICATE,
};
use http::request::Parts;
use http::{HeaderValue, Method, StatusCode};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tower_http::cors::{Any, CorsLayer};

use super::Web;
use super::address::address;
use super::error::Error;
use super::pages::{Message, Page, show};
use crate::auth::AuthError;
use crate::auth::server::{
    ACCESS_LIFE, AuthorizeError, BadClient, ClientMetadata, Door, Parameters, RegisterError,
    TokenError,
};

/// Pages of any origin may read the metadata, register and exchange their codes: none of it looks at cookies, and what a
/// public client can do there, everybody can do.
pub(super) fn cors() -> CorsLayer {
    CorsLayer::new()
        .allow_origin(Any)
        .allow_methods([Method::GET, Method::POST])
        .allow_headers([
            CONTENT_TYPE,
            http::HeaderName::from_static("mcp-protocol-version"),
        ])
        .expose_headers([WWW_AUTHENTICATE])
}

/// RFC 8414 §3.
pub(super) async fn metadata(State(web): State<Web>) -> Response {
    Json(web.server.metadata()).into_response()
}

/// RFC 8414 §3.1: the issuer's path stands behind the well-known one. No other path has an issuer.
pub(super) async fn metadata_at(State(web): State<Web>, Path(path): Path<String>) -> Response {
    let own = web.links.public().path().trim_matches('/');
    if own.is_empty() || path.trim_matches('/') != own {
        return StatusCode::NOT_FOUND.into_response();
    }
    metadata(State(web)).await
}

/// Where a client sends a person to (RFC 6749 §3.1).
pub(super) async fn authorize(
    State(web): State<Web>,
    RawQuery(query): RawQuery,
    parts: Parts,
) -> Response {
    if let Err(seconds) = web.server.enter(Door::Authorize, address(&web, &parts)) {
        return wait(seconds);
    }
    let parameters = Parameters::parse(query.unwrap_or_default().as_bytes());
    match web.server.begin(&parameters).await {
        Ok(id) => Redirect::to(&web.links.consent(id)).into_response(),
        Err(AuthorizeError::Back(url)) => Redirect::to(url.as_str()).into_response(),
        Err(AuthorizeError::Page(reason)) => refused(&web, StatusCode::BAD_REQUEST, reason),
        Err(AuthorizeError::Failed(error)) => Error::from(error).into_response(),
    }
}

/// A request that cannot be gone on with; nobody is sent back with it.
pub(super) fn refused(web: &Web, status: StatusCode, reason: String) -> Response {
    let message = Message {
        page: Page::of(web, None),
        title: "This client cannot sign in".to_owned(),
        tone: "bad",
        lines: vec![
            reason,
            "Nothing was allowed. Go back to your AI client and connect again; if this page comes back, tell whoever makes the client.".to_owned(),
        ],
        actions: Vec::new(),
        close: false,
    };
    show(status, &message)
}

/// RFC 6749 §3.2.
pub(super) async fn token(State(web): State<Web>, parts: Parts, body: Bytes) -> Response {
    let request = match form(&web, &parts, &body) {
        Ok(request) => request,
        Err(response) => return response,
    };
    match web.server.token(&request).await {
        Ok(tokens) => answer(
            StatusCode::OK,
            json!({
                "access_token": tokens.access.expose_secret(),
                "token_type": "Bearer",
                "expires_in": ACCESS_LIFE.as_secs(),
                "refresh_token": tokens.refresh.expose_secret(),
                "scope": tokens.scopes.to_string(),
            }),
        ),
        Err(error) => token_error(&error),
    }
}

/// RFC 7009 §2. A token that nobody knows is revoked already.
pub(super) async fn revoke(State(web): State<Web>, parts: Parts, body: Bytes) -> Response {
    let request = match form(&web, &parts, &body) {
        Ok(request) => request,
        Err(response) => return response,
    };
    match web.server.revoke(&request).await {
        Ok(()) => answer(StatusCode::OK, json!({})),
        Err(error) => token_error(&error),
    }
}

/// RFC 7591 §3.
pub(super) async fn register(State(web): State<Web>, parts: Parts, body: Bytes) -> Response {
    if let Err(seconds) = web.server.enter(Door::Register, address(&web, &parts)) {
        return wait(seconds);
    }
    let Ok(metadata) = serde_json::from_slice::<ClientMetadata>(&body) else {
        return failure(
            StatusCode::BAD_REQUEST,
            "invalid_client_metadata",
            "the body must be a JSON object with the fields of a client",
        );
    };
    match web.server.register(&metadata).await {
        Ok(client) => answer(
            StatusCode::CREATED,
            json!({
                "client_id": client.id,
                "client_id_issued_at": client.created_at.seconds(),
                "client_name": client.name,
                "redirect_uris": client.redirect_uris,
                "grant_types": ["authorization_code", "refresh_token"],
                "response_types": ["code"],
                "token_endpoint_auth_method": "none",
            }),
        ),
        Err(error) => {
            let (status, word) = match &error {
                RegisterError::Off => (StatusCode::FORBIDDEN, "access_denied"),
                RegisterError::Bad(BadClient::Redirect(_)) => {
                    (StatusCode::BAD_REQUEST, "invalid_redirect_uri")
                }
                RegisterError::Bad(BadClient::Metadata(_)) => {
                    (StatusCode::BAD_REQUEST, "invalid_client_metadata")
                }
                RegisterError::Full => (StatusCode::TOO_MANY_REQUESTS, "temporarily_unavailable"),
                RegisterError::Failed(error) => return failed(error),
            };
            failure(status, word, &error.to_string())
        }
    }
}

/// The form of a token or revocation request, if there is a place for it.
#[expect(
    clippy::result_large_err,
    reason = "a response is what the caller answers with at once"
)]
fn form(web: &Web, parts: &Parts, body: &[u8]) -> Result<Parameters, Response> {
    web.server
        .enter(Door::Token, address(web, parts))
        .map_err(wait)?;
    if parts.headers.contains_key(AUTHORIZATION) {
        // All clients are public here; whoever comes with a secret takes us for another server.
        return Err(token_error(&TokenError::Client));
    }
    let kind = parts.headers.get(CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        return Err(failure(
            StatusCode::BAD_REQUEST,
            "invalid_request",
            "the body must be application/x-www-form-urlencoded",
        ));
    }
    Ok(Parameters::parse(body))
}

fn token_error(error: &TokenError) -> Response {
    let status = match error {
        TokenError::Client => StatusCode::UNAUTHORIZED,
        TokenError::Failed(error) => return failed(error),
        TokenError::Request(_)
        | TokenError::Grant(_)
        | TokenError::Scope
        | TokenError::Target(_)
        | TokenError::GrantType => StatusCode::BAD_REQUEST,
    };
    failure(status, error.word(), &error.to_string())
}

fn failed(error: &AuthError) -> Response {
    tracing::error!(error = %error, "the authorization server failed");
    let mut response = failure(
        StatusCode::SERVICE_UNAVAILABLE,
        "temporarily_unavailable",
        "something failed on our side; try again in a moment",
    );
    response
        .headers_mut()
        .insert(RETRY_AFTER, HeaderValue::from_static("2"));
    response
}

fn wait(seconds: u64) -> Response {
    let mut response = failure(
        StatusCode::TOO_MANY_REQUESTS,
        "temporarily_unavailable",
        "too many requests came from this address; try again later",
    );
    response
        .headers_mut()
        .insert(RETRY_AFTER, HeaderValue::from(seconds));
    response
}

fn failure(status: StatusCode, word: &str, description: &str) -> Response {
    answer(
        status,
        json!({ "error": word, "error_description": description }),
    )
}

/// An answer that nobody may keep (RFC 6749 §5.1).
fn answer(status: StatusCode, body: Value) -> Response {
    let mut response = (status, Json(body)).into_response();
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(PRAGMA, HeaderValue::from_static("no-cache"));
    if status == StatusCode::UNAUTHORIZED {
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    response
}
