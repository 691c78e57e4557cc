//! The door of the MCP endpoint: bearer tokens (RFC 6750), challenges, and protected-resource metadata (RFC 9728).

use std::fmt::Write as _;

use axum::Json;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, CACHE_CONTROL, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde_json::json;

use super::Web;
use crate::auth::{ACCESS_PREFIX, AuthError};
use crate::caller::{Caller, Credential, Scopes};
use crate::integrations;

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
    let found = if token.starts_with(ACCESS_PREFIX) {
        web.auth.access(token, web.server.resource()).await
    } else {
        web.auth.bearer(token).await
    };
    match found {
        Ok(caller) => {
            if let Some(needed) = step_up(&caller, request.headers()) {
                return insufficient(&web, &needed);
            }
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Err(AuthError::Expired) => refuse(
            &web,
            StatusCode::UNAUTHORIZED,
            Some(("invalid_token", "the token has expired; get a new one")),
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

/// The scopes that a signed-in client lacks for this request together with those that it has, so that it can ask its
/// person for all of them at once (RFC 6750 §3.1). Only requests of the current revision name their tool in a header; an
/// older client hears the same from the tool. A personal token cannot grow, so its holder hears it from the tool too.
fn step_up(caller: &Caller, headers: &HeaderMap) -> Option<Scopes> {
    if !matches!(caller.credential, Credential::Access(_)) {
        return None;
    }
    let header = |name: &str| headers.get(name)?.to_str().ok();
    let name = header_name(header("mcp-name")?)?;
    let (integration, write) = match header("mcp-method")? {
        "tools/call" => {
            let (integration, tool) = integrations::tool(&name)?;
            (integration, !tool.effect.is_read())
        }
        "resources/read" => (integrations::block(&name)?.0, false),
        _ => return None,
    };
    let scopes = &caller.scopes;
    let enough = scopes.read && (scopes.write || !write) && scopes.cover(integration.id);
    (!enough).then(|| scopes.with(write, integration.id))
}

/// A name as a header carries it: plain, or in the base64 form of the specification.
fn header_name(text: &str) -> Option<String> {
    let Some(encoded) = text
        .strip_prefix("=?base64?")
        .and_then(|rest| rest.strip_suffix("?="))
    else {
        return Some(text.to_owned());
    };
    String::from_utf8(STANDARD.decode(encoded).ok()?).ok()
}

fn insufficient(web: &Web, needed: &Scopes) -> Response {
    let description = "the person has to allow more; ask for these scopes";
    challenge(
        web,
        StatusCode::FORBIDDEN,
        &needed.to_string(),
        Some(("insufficient_scope", description)),
    )
}

/// A refusal of somebody who is not known (RFC 6750 §3, RFC 9728 §5.1). Without an error word it only says what is wanted.
fn refuse(web: &Web, status: StatusCode, error: Option<(&str, &str)>) -> Response {
    // Writing is asked for when it is needed.
    challenge(web, status, "tools:read", error)
}

fn challenge(web: &Web, status: StatusCode, scope: &str, error: Option<(&str, &str)>) -> Response {
    let mut challenge = format!(
        "Bearer resource_metadata=\"{}\", scope=\"{scope}\"",
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
        "sign in as the resource metadata says, or send a personal access token as bearer token",
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
        "authorization_servers": [web.server.issuer()],
        "bearer_methods_supported": ["header"],
        "scopes_supported": ["tools:read", "tools:write"],
    });
    if let Some(issuer) = web.auth.issuer() {
        body["authorization_servers"] = json!([issuer]);
    }
    Json(body).into_response()
}
