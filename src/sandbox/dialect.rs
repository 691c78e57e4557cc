//! How each provider words what it answers: the same events, in the shapes its clients know.

use http::StatusCode;
use http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use serde_json::{Map, Value, json};

use super::answer::Answer;
use super::providers::{Dialect, Provider};

/// HubSpot puts an id into every error; one is as good as another here.
const CORRELATION_ID: &str = "00000000-0000-4000-8000-000000000000";

/// Why the token endpoint refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The client is unknown or its secret is wrong.
    Client,
    /// The code is unknown, used, too old or another client's.
    Code,
    /// The redirect address is not the one the code was asked for with.
    RedirectUri,
    /// The verifier does not fit the challenge.
    Verifier,
    /// The refresh token is unknown, used, too old, taken back or another client's.
    RefreshToken,
    /// Neither of the two grant types.
    GrantType,
    /// A parameter is missing or there twice.
    Malformed,
}

/// What the token endpoint hands out.
pub(super) struct Issued<'a> {
    pub(super) access_token: &'a str,
    pub(super) refresh_token: &'a str,
    pub(super) access_s: u64,
    pub(super) refresh_s: Option<u64>,
    pub(super) scopes: &'a [String],
    /// The account's [`token_facts`](super::providers::Account::token_facts).
    pub(super) facts: Map<String, Value>,
}

/// The token endpoint's success. `wants_json` is whether the client asked for JSON, which GitHub does not take for
/// granted.
pub(super) fn issued(provider: &Provider, issued: Issued<'_>, wants_json: WantsJson) -> Answer {
    let scope = issued
        .scopes
        .join(provider.scope_separator.to_string().as_str());
    let mut body = json!({
        "access_token": issued.access_token,
        "expires_in": issued.access_s,
        "refresh_token": issued.refresh_token,
        "token_type": "bearer",
    });
    match provider.dialect {
        Dialect::Standard | Dialect::Sentry => body["scope"] = scope.into(),
        Dialect::GitHub => {
            body["scope"] = scope.into();
            body["refresh_token_expires_in"] = issued.refresh_s.into();
        }
        Dialect::HubSpot => body["scopes"] = json!(issued.scopes),
    }
    if let Some(body) = body.as_object_mut() {
        body.extend(issued.facts);
    }
    token_body(provider, StatusCode::OK, &body, wants_json)
}

/// Whether a request's `Accept` header names JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WantsJson {
    Yes,
    No,
}

fn token_body(
    provider: &Provider,
    status: StatusCode,
    body: &Value,
    wants_json: WantsJson,
) -> Answer {
    if provider.dialect == Dialect::GitHub && wants_json == WantsJson::No {
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        for (name, value) in body.as_object().into_iter().flatten() {
            let text = value
                .as_str()
                .map_or_else(|| value.to_string(), ToOwned::to_owned);
            form.append_pair(name, &text);
        }
        let form = form.finish();
        return Answer::text(status, "application/x-www-form-urlencoded", form).no_store();
    }
    Answer::json(status, body).no_store()
}

/// The token endpoint's refusal.
pub(super) fn refused(provider: &Provider, refusal: Refusal, wants_json: WantsJson) -> Answer {
    let (word, message) = match (provider.dialect, refusal) {
        (Dialect::GitHub, Refusal::Client) => (
            "incorrect_client_credentials",
            "The client_id or the client_secret is wrong.",
        ),
        (Dialect::GitHub, Refusal::Code | Refusal::Verifier) => (
            "bad_verification_code",
            "The code is wrong, used or too old.",
        ),
        (Dialect::GitHub, Refusal::RedirectUri) => (
            "redirect_uri_mismatch",
            "The redirect_uri is not the one of the authorization.",
        ),
        (Dialect::GitHub, Refusal::RefreshToken) => (
            "bad_refresh_token",
            "The refresh token is wrong, used or too old.",
        ),
        (Dialect::HubSpot, Refusal::Client) => ("BAD_CLIENT_ID", "unknown client or wrong secret"),
        (Dialect::HubSpot, Refusal::Code | Refusal::Verifier) => {
            ("BAD_AUTH_CODE", "missing or unknown auth code")
        }
        (Dialect::HubSpot, Refusal::RedirectUri) => (
            "MISMATCH_REDIRECT_URI_AUTH_CODE",
            "the redirect address differs from the authorization's",
        ),
        (Dialect::HubSpot, Refusal::RefreshToken) => {
            ("BAD_REFRESH_TOKEN", "missing or unknown refresh token")
        }
        (Dialect::HubSpot, Refusal::GrantType) => ("BAD_GRANT_TYPE", "unknown grant type"),
        (Dialect::HubSpot, Refusal::Malformed) => ("BAD_REQUEST", "a parameter is missing"),
        (Dialect::Standard | Dialect::Sentry, Refusal::Client) => {
            ("invalid_client", "unknown client or wrong secret")
        }
        (Dialect::Standard | Dialect::Sentry, Refusal::Code) => {
            ("invalid_grant", "the code is wrong, used or expired")
        }
        (Dialect::Standard | Dialect::Sentry, Refusal::RedirectUri) => {
            ("invalid_grant", "the redirect address differs")
        }
        (Dialect::Standard | Dialect::Sentry, Refusal::Verifier) => {
            ("invalid_grant", "the verifier does not fit the challenge")
        }
        (Dialect::Standard | Dialect::Sentry, Refusal::RefreshToken) => {
            ("invalid_grant", "the token has been expired or revoked")
        }
        (_, Refusal::GrantType) => ("unsupported_grant_type", "unknown grant type"),
        (_, Refusal::Malformed) => (
            "invalid_request",
            "a parameter is missing or repeated, or the verifier was not asked for",
        ),
    };
    let status = if refusal == Refusal::Client {
        StatusCode::UNAUTHORIZED
    } else {
        StatusCode::BAD_REQUEST
    };
    refused_with(provider, status, word, message, wants_json)
}

/// The token endpoint's refusal in any word, in the provider's shape. GitHub answers 200 whatever `status` says.
pub(super) fn refused_with(
    provider: &Provider,
    status: StatusCode,
    word: &str,
    message: &str,
    wants_json: WantsJson,
) -> Answer {
    match provider.dialect {
        Dialect::Standard | Dialect::Sentry => {
            let body = json!({ "error": word, "error_description": message });
            let answer = token_body(provider, status, &body, wants_json);
            if status == StatusCode::UNAUTHORIZED {
                return answer.header(WWW_AUTHENTICATE, "Basic realm=\"sandbox\"");
            }
            answer
        }
        Dialect::GitHub => {
            let body = json!({
                "error": word, "error_description": message, "error_uri": "https://docs.github.com/apps",
            });
            token_body(provider, StatusCode::OK, &body, wants_json)
        }
        // HubSpot blames the client with 400 too; its word tells.
        Dialect::HubSpot => {
            let body =
                json!({ "status": word, "message": message, "correlationId": CORRELATION_ID });
            Answer::json(StatusCode::BAD_REQUEST, &body).no_store()
        }
    }
}

/// Why the API does not take a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Denial {
    /// There is no bearer token.
    NoToken,
    /// The bearer token is unknown or taken back.
    UnknownToken,
    /// The bearer token's time is over.
    ExpiredToken,
    /// There is no such record, as far as the fixtures know.
    NotFound,
    /// The client is too fast.
    TooMany {
        /// What `Retry-After` says.
        retry_after_s: u64,
    },
    /// It is the provider's own fault.
    Broken(StatusCode),
}

/// The API's refusal, in the provider's shape.
pub(super) fn denied(provider: &Provider, denial: Denial) -> Answer {
    let (status, code, message) = match denial {
        Denial::NoToken => (
            StatusCode::UNAUTHORIZED,
            "INVALID_AUTHENTICATION",
            "Requires authentication",
        ),
        Denial::UnknownToken => (
            StatusCode::UNAUTHORIZED,
            "INVALID_AUTHENTICATION",
            "Bad credentials",
        ),
        Denial::ExpiredToken => (
            StatusCode::UNAUTHORIZED,
            "EXPIRED_AUTHENTICATION",
            "Bad credentials",
        ),
        Denial::NotFound => (StatusCode::NOT_FOUND, "OBJECT_NOT_FOUND", "Not Found"),
        Denial::TooMany { .. } => (
            StatusCode::TOO_MANY_REQUESTS,
            "RATE_LIMITS",
            "You have exceeded a rate limit",
        ),
        Denial::Broken(status) => (status, "INTERNAL_ERROR", "The sandbox was told to fail"),
    };
    let body = match provider.dialect {
        Dialect::Standard => json!({ "error": { "code": code, "message": message } }),
        Dialect::Sentry => json!({ "detail": message }),
        Dialect::GitHub => json!({
            "message": message,
            "documentation_url": "https://docs.github.com/rest",
            "status": status.as_str(),
        }),
        Dialect::HubSpot => json!({
            "status": "error",
            "message": message,
            "correlationId": CORRELATION_ID,
            "category": code,
        }),
    };
    let answer = Answer::json(status, &body);
    match denial {
        Denial::TooMany { retry_after_s } => answer.header(RETRY_AFTER, &retry_after_s.to_string()),
        // RFC 6750 §3: the scheme alone when nothing was presented, a reason otherwise.
        Denial::NoToken => answer.header(WWW_AUTHENTICATE, "Bearer"),
        Denial::UnknownToken | Denial::ExpiredToken => {
            answer.header(WWW_AUTHENTICATE, "Bearer error=\"invalid_token\"")
        }
        Denial::NotFound | Denial::Broken(_) => answer,
    }
}
