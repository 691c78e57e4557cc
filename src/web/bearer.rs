//! The door of the MCP endpoint: bearer tokens (RFC 6750), challenges, and protected-resource metadata (RFC 9728).

use std::fmt::Write as _;

use axum::Json;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::{AUTHORIZATION, CACHE_CONTROL, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use serde_json::json;

use super::Web;
use crate::auth::AuthError;

/// Lets a request through as the person whose token it carries. The token itself goes no further.
pub(super) async fn authenticate(
    State(web): State<Web>,
    mut request: Request,
    next: Next,
) -> Response {
    let query = request.uri().query().unwrap_or_default();
    if url::form_urlencoded::parse(query.as_bytes()).any(|(name, _)| name == "access_token") {
        return refuse(
            &web,
            StatusCode::BAD_REQUEST,
            Some((
                "invalid_request",
                "send the token in the Authorization header, never in the address",
            )),
        );
    }
    let given = request.headers_mut().remove(AUTHORIZATION);
    let token = given
        .as_ref()
        .and_then(|value| value.to_str().ok())
        .and_then(|text| {
            let (scheme, token) = text.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
        });
    let Some(token) = token else {
        return refuse(&web, StatusCode::UNAUTHORIZED, None);
    };
    match web.auth.bearer(token).await {
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Err(AuthError::Expired) => refuse(
            &web,
            StatusCode::UNAUTHORIZED,
            Some(("invalid_token", "the token has expired; make a new one")),
        ),
        Err(error @ (AuthError::Store(_) | AuthError::Busy)) => {
            tracing::error!(error = %error, "a token cannot be looked up");
            let mut response = refuse(
                &web,
                StatusCode::SERVICE_UNAVAILABLE,
                Some(("temporarily_unavailable", "try again in a moment")),
            );
            response
                .headers_mut()
                .insert(RETRY_AFTER, HeaderValue::from_static("2"));
            response
        }
        Err(_) => refuse(
            &web,
            StatusCode::UNAUTHORIZED,
            Some(("invalid_token", "the token is unknown or was revoked")),
        ),
    }
}

/// A refusal with its challenge (RFC 6750 §3, RFC 9728 §5.1). Without an error word it only says what is wanted.
fn refuse(web: &Web, status: StatusCode, error: Option<(&str, &str)>) -> Response {
    let mut challenge = format!(
        "Bearer resource_metadata=\"{}\"",
        web.links.resource_metadata()
    );
    if let Some((word, description)) = error {
        let _infallible = write!(
            challenge,
            ", error=\"{word}\", error_description=\"{description}\""
        );
    }
    let (word, description) = error.unwrap_or((
        "unauthorized",
        "send a personal access token as bearer token",
    ));
    let body = Json(json!({ "error": word, "error_description": description }));
    let mut response = (status, body).into_response();
    if status != StatusCode::SERVICE_UNAVAILABLE
        && let Ok(challenge) = HeaderValue::from_str(&challenge)
    {
        response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
    }
    response
        .headers_mut()
        .insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// RFC 9728 §2. It names the external issuer when there is one.
pub(super) async fn metadata(State(web): State<Web>) -> Response {
    let mut body = json!({
        "resource": web.links.mcp(),
        "resource_name": "Workbench MCP",
        "bearer_methods_supported": ["header"],
        "scopes_supported": ["tools:read", "tools:write"],
    });
    if let Some(issuer) = web.auth.issuer() {
        body["authorization_servers"] = json!([issuer]);
    }
    Json(body).into_response()
}
