//! The wire of OAuth 2.0: authorization addresses, and token requests through the `oauth2` crate. Answers are classified
//! by our own rules, because providers deviate from RFC 6749 §5 (GitHub answers errors with status 200, HubSpot names
//! them in `status`) and because what a failure means for a connection depends on more than its word.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use oauth2::basic::BasicClient;
use oauth2::{
    AuthType, AuthUrl, AuthorizationCode, ClientId, ClientSecret, CsrfToken, EndpointNotSet,
    EndpointSet, HttpRequest, HttpResponse, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl,
    RefreshToken, Scope, TokenUrl,
};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use url::Url;

use super::directory;
use crate::kit::integration::{ClientAuth, OAuth2, TokenSet};
use crate::kit::text;

/// Longest wait for a token endpoint. Less than half of a refresh lease, so that a holder never outlives its lease.
pub(super) const TOKEN_TIMEOUT: Duration = Duration::from_secs(15);
/// Largest answer of a token endpoint.
const MAX_ANSWER: usize = 256 * 1024;

/// An organization's OAuth app at one provider.
#[derive(Clone)]
pub struct App {
    /// The public id.
    pub client_id: String,
    /// The secret.
    pub client_secret: SecretString,
}

/// Why a token endpoint gave no token (security.md 4.4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum TokenFailure {
    /// The grant is gone; only the person can mend it.
    Gone(String),
    /// The grant holds, but the next sign-in must prove more: these claims.
    Challenged(String),
    /// The organization's app is wrong; only an admin can mend it. Says nothing about the connection.
    App(String),
    /// Come back later.
    Throttled { retry_after_s: u64 },
    /// It failed without taking the token.
    Transient(String),
    /// It may have taken the token: the request went out, no readable answer came back.
    Unknown(String),
}

/// Addresses of one provider as configured.
pub(super) struct Endpoints {
    pub(super) authorize: Url,
    pub(super) token: Url,
}

type Client = BasicClient<EndpointSet, EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointSet>;

fn client(
    oauth: &OAuth2,
    endpoints: &Endpoints,
    app: &App,
    redirect: Option<String>,
) -> Option<Client> {
    let client = BasicClient::new(ClientId::new(app.client_id.clone()))
        .set_client_secret(ClientSecret::new(
            app.client_secret.expose_secret().to_owned(),
        ))
        .set_auth_type(match oauth.client_auth {
            ClientAuth::Body => AuthType::RequestBody,
            ClientAuth::Basic => AuthType::BasicAuth,
        })
        .set_auth_uri(AuthUrl::from_url(endpoints.authorize.clone()))
        .set_token_uri(TokenUrl::from_url(endpoints.token.clone()));
    match redirect {
        Some(redirect) => Some(client.set_redirect_uri(RedirectUrl::new(redirect).ok()?)),
        None => Some(client),
    }
}

/// A started authorization: where to send the browser, and what we must keep for the callback.
pub(super) struct Started {
    pub(super) url: Url,
    pub(super) verifier: SecretString,
}

/// The authorization request (RFC 6749 §4.1.1 with RFC 7636 §4.3) for these scopes.
pub(super) fn authorize(
    oauth: &OAuth2,
    endpoints: &Endpoints,
    app: &App,
    redirect: String,
    state: &SecretString,
    scopes: &[&str],
    claims: Option<&str>,
) -> Option<Started> {
    let client = client(oauth, endpoints, app, Some(redirect))?;
    let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
    let carried = state.expose_secret().to_owned();
    let mut request = client.authorize_url(|| CsrfToken::new(carried));
    let (optional, required): (Vec<&str>, Vec<&str>) = scopes.iter().partition(|name| {
        oauth.optional_scope_param.is_some()
            && oauth
                .scopes
                .iter()
                .any(|scope| scope.name == **name && scope.optional)
    });
    if oauth.scope_separator == ' ' {
        for scope in required {
            request = request.add_scope(Scope::new(scope.to_owned()));
        }
    } else {
        let separator = oauth.scope_separator.to_string();
        request = request.add_scope(Scope::new(required.join(&separator)));
    }
    if let (Some(name), false) = (oauth.optional_scope_param, optional.is_empty()) {
        request = request.add_extra_param(name, optional.join(" "));
    }
    for (name, value) in oauth.authorize_params {
        request = request.add_extra_param(*name, *value);
    }
    if let Some(claims) = claims {
        request = request.add_extra_param("claims", claims);
    }
    if oauth.pkce {
        request = request.set_pkce_challenge(challenge);
    }
    let (url, _) = request.url();
    Some(Started {
        url,
        verifier: SecretString::from(verifier.into_secret()),
    })
}

/// What to trade for tokens.
pub(super) enum Trade<'a> {
    /// RFC 6749 §4.1.3.
    Code {
        code: &'a str,
        verifier: &'a SecretString,
        redirect: String,
    },
    /// RFC 6749 §6.
    Refresh(&'a SecretString),
}

/// Asks the token endpoint, once.
pub(super) async fn trade(
    http: &reqwest::Client,
    oauth: &OAuth2,
    endpoints: &Endpoints,
    app: &App,
    trade: Trade<'_>,
) -> Result<TokenSet, TokenFailure> {
    let redirect = match &trade {
        Trade::Code { redirect, .. } => Some(redirect.clone()),
        Trade::Refresh(_) => None,
    };
    let client = client(oauth, endpoints, app, redirect)
        .ok_or_else(|| TokenFailure::App("the public URL makes no redirect address".to_owned()))?;
    let wire = Wire {
        http: http.clone(),
        raw: Mutex::new(None),
    };
    // What the crate makes of the answer does not matter: it is read below, as it came.
    let _read_below = match &trade {
        Trade::Code { code, verifier, .. } => {
            let mut request = client.exchange_code(AuthorizationCode::new((*code).to_owned()));
            if oauth.pkce {
                let verifier = PkceCodeVerifier::new(verifier.expose_secret().to_owned());
                request = request.set_pkce_verifier(verifier);
            }
            request.request_async(&wire).await.is_ok()
        }
        Trade::Refresh(token) => {
            let token = RefreshToken::new(token.expose_secret().to_owned());
            client
                .exchange_refresh_token(&token)
                .request_async(&wire)
                .await
                .is_ok()
        }
    };
    let raw = wire
        .raw
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner);
    classify(
        oauth,
        raw.unwrap_or_else(|| Raw::Failed(TokenFailure::Transient("nothing was sent".to_owned()))),
    )
}

/// Carries the crate's requests and keeps each answer as it came, because the crate reads answers more strictly than
/// real providers write them.
struct Wire {
    http: reqwest::Client,
    raw: Mutex<Option<Raw>>,
}

impl<'c> oauth2::AsyncHttpClient<'c> for Wire {
    type Error = std::io::Error;
    type Future = BoxFuture<'c, Result<HttpResponse, std::io::Error>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        async move {
            let answer = send(&self.http, request).await;
            let shown = match &answer {
                Raw::Answer { status, body, .. } => {
                    let mut response = HttpResponse::new(body.clone());
                    *response.status_mut() =
                        http::StatusCode::from_u16(*status).unwrap_or_default();
                    Ok(response)
                }
                Raw::Failed(_) => Err(std::io::Error::other("no answer")),
            };
            *self.raw.lock().unwrap_or_else(PoisonError::into_inner) = Some(answer);
            shown
        }
        .boxed()
    }
}

enum Raw {
    Answer {
        status: u16,
        retry_after_s: Option<u64>,
        body: Vec<u8>,
    },
    Failed(TokenFailure),
}

async fn send(http: &reqwest::Client, request: HttpRequest) -> Raw {
    let (parts, body) = request.into_parts();
    let sent = http
        .request(parts.method, parts.uri.to_string())
        .headers(parts.headers)
        .header(http::header::ACCEPT, "application/json")
        .timeout(TOKEN_TIMEOUT)
        .body(body)
        .send()
        .await;
    let mut response = match sent {
        Ok(response) => response,
        Err(error) if error.is_connect() => {
            return Raw::Failed(TokenFailure::Transient(
                "the token endpoint could not be reached".to_owned(),
            ));
        }
        Err(_) => {
            return Raw::Failed(TokenFailure::Unknown(
                "the token endpoint did not answer".to_owned(),
            ));
        }
    };
    let status = response.status().as_u16();
    let retry_after_s = response
        .headers()
        .get(http::header::RETRY_AFTER)
        .and_then(|value| value.to_str().ok()?.trim().parse().ok());
    let mut body = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if body.len() + chunk.len() <= MAX_ANSWER => {
                body.extend_from_slice(&chunk);
            }
            Ok(None) => {
                return Raw::Answer {
                    status,
                    retry_after_s,
                    body,
                };
            }
            Ok(Some(_)) | Err(_) => {
                return Raw::Failed(TokenFailure::Unknown(
                    "the token endpoint's answer broke off".to_owned(),
                ));
            }
        }
    }
}

fn classify(oauth: &OAuth2, raw: Raw) -> Result<TokenSet, TokenFailure> {
    let (status, retry_after_s, body) = match raw {
        Raw::Answer {
            status,
            retry_after_s,
            body,
        } => (status, retry_after_s, body),
        Raw::Failed(failure) => return Err(failure),
    };
    if status == 429 {
        return Err(TokenFailure::Throttled {
            retry_after_s: retry_after_s.unwrap_or(60),
        });
    }
    if status >= 500 {
        return Err(TokenFailure::Transient(format!(
            "the token endpoint answered {status}"
        )));
    }
    let Ok(answer) = serde_json::from_slice::<Value>(&body) else {
        if status == 401 {
            return Err(TokenFailure::App("401 without a reason".to_owned()));
        }
        return Err(if (200..300).contains(&status) {
            TokenFailure::Unknown("the token endpoint answered no JSON".to_owned())
        } else {
            TokenFailure::Transient(format!(
                "the token endpoint answered {status} without a reason"
            ))
        });
    };
    let word = ["error", "status"]
        .iter()
        .find_map(|name| answer.get(name)?.as_str());
    let failed = answer.get("error").is_some() || !(200..300).contains(&status);
    if !failed {
        return (oauth.read_token)(&answer)
            .map_err(|error| TokenFailure::Unknown(error.to_string()));
    }
    let word = text::clip(&text::scrub(word.unwrap_or("no reason given")), 100);
    let description = answer.get("error_description").and_then(Value::as_str);
    let code = directory::code(description.unwrap_or_default());
    let is = |known: &[&str]| known.iter().any(|known| *known == word || *known == code);
    let challenge = answer.get("claims").and_then(Value::as_str);
    if let (Some(_), Some(claims)) = (&oauth.directory, challenge.and_then(directory::claims)) {
        return Err(TokenFailure::Challenged(claims));
    }
    if is(oauth.app_errors) {
        return Err(TokenFailure::App(if code.is_empty() {
            word
        } else {
            format!("{word}, {code}")
        }));
    }
    if is(&["invalid_grant"]) || is(oauth.gone_errors) {
        return Err(TokenFailure::Gone(word));
    }
    let app_words = [
        "invalid_client",
        "unauthorized_client",
        "unsupported_grant_type",
        "invalid_scope",
    ];
    if is(&app_words) || status == 401 {
        return Err(TokenFailure::App(word));
    }
    if is(&["slow_down", "temporarily_unavailable"]) {
        return Err(TokenFailure::Throttled {
            retry_after_s: retry_after_s.unwrap_or(60),
        });
    }
    Err(TokenFailure::Transient(word))
}
