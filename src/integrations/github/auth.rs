//! Connecting: OAuth facts, whose account it is, and what GitHub's refusals mean.

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde_json::{Map, Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;

use super::model::User;
use crate::kit::client::Failure;
use crate::kit::error::{ProviderError, ToolError};
use crate::kit::integration::{Account, ClientAuth, OAuth2, Revocation, Rotation, Scope, TokenSet};
use crate::kit::text;
use crate::kit::tool::{Cx, Needs};

/// What reading a repository takes of an OAuth App's token; a GitHub App's token names no scopes.
pub(super) const REPO: Needs = Needs::Any(&["repo", "public_repo"]);

/// One entry serves a GitHub App and an OAuth App: the authorize and token endpoints are the same, a GitHub App ignores
/// the scopes asked for, and an OAuth App's answer has no refresh token.
pub(super) const OAUTH: OAuth2 = OAuth2 {
    authorize_url: "https://github.com/login/oauth/authorize",
    token_url: "https://github.com/login/oauth/access_token",
    authorize_params: &[],
    scopes: &[
        Scope::needed(
            "repo",
            "read and propose changes to code, issues and pull requests, private ones included",
        ),
        Scope::optional("read:org", "see which organizations you belong to"),
        Scope::optional("workflow", "propose changes to workflow files"),
    ],
    scope_separator: ' ',
    optional_scope_param: None,
    // "Scopes for OAuth apps" of GitHub's documentation: a scope covers those indented below it.
    implied: &[
        (
            "repo",
            &[
                "repo:status",
                "repo_deployment",
                "public_repo",
                "repo:invite",
                "security_events",
            ],
        ),
        (
            "admin:org",
            &["write:org", "read:org", "manage_runners:org"],
        ),
        ("write:org", &["read:org"]),
        ("admin:repo_hook", &["write:repo_hook", "read:repo_hook"]),
        ("write:repo_hook", &["read:repo_hook"]),
        ("user", &["read:user", "user:email", "user:follow"]),
        ("project", &["read:project"]),
        ("write:discussion", &["read:discussion"]),
        ("write:packages", &["read:packages"]),
    ],
    pkce: true,
    client_auth: ClientAuth::Body,
    // Using a refresh token of a GitHub App kills it and the access token that came with it.
    rotation: Rotation::Strict,
    gone_errors: &["bad_refresh_token"],
    app_errors: &["incorrect_client_credentials", "redirect_uri_mismatch"],
    unpublished_life: None,
    read_token,
    revocation: Revocation::DeleteGrant {
        url: "https://api.github.com/applications/{client_id}/grant",
    },
    products: &[],
    directory: None,
};

/// Reads a token answer. GitHub separates granted scopes with commas although they are asked for with spaces. A GitHub
/// App answers an empty `scope`: its permissions are set at the app, so nothing is known about them here.
fn read_token(answer: &Value) -> Result<TokenSet, ProviderError> {
    let mut tokens = TokenSet::standard(answer, ',')?;
    tokens.scopes = tokens.scopes.filter(|scopes| !scopes.is_empty());
    Ok(tokens)
}

/// The person behind the token. The numeric id stays when a login is changed; the web host comes from the answer, so
/// that GitHub Enterprise Server and a test server are named as what they are.
pub(super) fn identify(cx: &Cx) -> BoxFuture<'_, Result<Account, ToolError>> {
    async move {
        let user: User = cx.api.get(&["user"]).send().await?;
        let web = url::Url::parse(&user.html_url)
            .map(|url| url.origin().ascii_serialization())
            .unwrap_or_default();
        let mut details = Map::new();
        details.insert("login".to_owned(), json!(user.login));
        details.insert("web".to_owned(), json!(web));
        Ok(Account {
            id: user.id.to_string(),
            label: user.login.clone(),
            handle: user.login,
            details,
        })
    }
    .boxed()
}

/// Names a refusal that its status alone does not (GitHub's "Troubleshooting the REST API" and "Rate limits" pages).
pub(super) fn classify(failure: &Failure<'_>) -> Option<ProviderError> {
    match failure.status {
        403 | 429 => rate_limit(failure).or_else(|| forbidden(failure)),
        // "Issues has been disabled in this repository." is no missing record.
        410 => Some(ProviderError::Invalid {
            message: failure.message(),
        }),
        422 => Some(ProviderError::Invalid {
            message: validation(failure),
        }),
        _other => None,
    }
}

/// The primary limit says when it ends; the secondary one says how long to wait, or nothing, which means a minute.
fn rate_limit(failure: &Failure<'_>) -> Option<ProviderError> {
    if let Some(retry_after_s) = failure.retry_after_s() {
        return Some(ProviderError::RateLimited { retry_after_s });
    }
    if failure.header("x-ratelimit-remaining") == Some("0") {
        let retry_after_s = until_reset(failure).unwrap_or(60);
        return Some(ProviderError::RateLimited { retry_after_s });
    }
    let message = failure.message().to_ascii_lowercase();
    let is_limit = failure.status == 429
        || message.contains("secondary rate limit")
        || message.contains("abuse detection");
    is_limit.then_some(ProviderError::RateLimited { retry_after_s: 60 })
}

/// Seconds from the answer's own date to the reset, so that a wrong clock here does not matter.
fn until_reset(failure: &Failure<'_>) -> Option<u64> {
    let reset: i64 = failure.header("x-ratelimit-reset")?.parse().ok()?;
    let answered = OffsetDateTime::parse(failure.header("date")?, &Rfc2822).ok()?;
    u64::try_from(reset - answered.unix_timestamp())
        .ok()
        .map(|seconds| seconds.max(1))
}

fn forbidden(failure: &Failure<'_>) -> Option<ProviderError> {
    // `required; url=https://…`: the organization wants a single sign-on session for this grant first.
    if let Some(sign_on) = failure.header("x-github-sso")
        && sign_on.trim_start().starts_with("required")
    {
        let url = sign_on
            .split_once("url=")
            .map(|(_, url)| url.trim())
            .filter(|url| url.starts_with("https://"))
            .map(ToOwned::to_owned);
        return Some(ProviderError::AdminConsentRequired { url });
    }
    let message = failure.message();
    if message.contains("Upgrade to GitHub") {
        return Some(ProviderError::PlanRequired { message });
    }
    // A GitHub App or a fine-grained token: `contents=write; pull_requests=write`.
    if message.contains("Resource not accessible by") {
        let missing = names(failure.header("x-accepted-github-permissions"));
        let missing = missing.map(|name| name.replace('=', ":")).collect();
        return Some(ProviderError::InsufficientScope { missing });
    }
    // An OAuth App: what it has, and what this address accepts any one of.
    let accepted: Vec<String> = names(failure.header("x-accepted-oauth-scopes")).collect();
    let held = failure.header("x-oauth-scopes")?;
    let lacks_all = names(Some(held)).all(|scope| !accepted.contains(&scope));
    (!accepted.is_empty() && lacks_all)
        .then_some(ProviderError::InsufficientScope { missing: accepted })
}

fn names(header: Option<&str>) -> impl Iterator<Item = String> {
    header
        .unwrap_or_default()
        .split([',', ';'])
        .map(|name| text::clip(&text::scrub(name.trim()), 60))
        .filter(|name| !name.is_empty())
}

/// `Validation Failed` alone helps nobody: the reasons stand in `errors`, as objects or as text.
fn validation(failure: &Failure<'_>) -> String {
    let errors = failure.body.get("errors");
    let reasons = errors.and_then(Value::as_array).into_iter().flatten();
    let reasons = reasons.filter_map(|error| {
        let word = |name: &str| error.get(name).and_then(Value::as_str);
        match (error.as_str().or_else(|| word("message")), word("field")) {
            (Some(message), _) => Some(message.to_owned()),
            (None, Some(field)) => Some(format!("{field}: {}", word("code").unwrap_or("invalid"))),
            (None, None) => word("code").map(ToOwned::to_owned),
        }
    });
    let mut said = failure.message();
    for reason in reasons.take(5) {
        said.push_str("; ");
        said.push_str(&reason);
    }
    text::clip(&text::scrub(&said), 400)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test says what went wrong by failing")]
    use super::*;
    use http::HeaderMap;
    use secrecy::ExposeSecret;

    fn classified(
        status: u16,
        headers: &[(&'static str, &'static str)],
        body: &Value,
    ) -> Option<ProviderError> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(*name, value.parse().unwrap());
        }
        classify(&Failure {
            status,
            headers: &map,
            body,
        })
    }

    #[test]
    fn limits_say_how_long_to_wait() {
        let limited = |retry_after_s| Some(ProviderError::RateLimited { retry_after_s });
        let date = ("date", "Fri, 20 Nov 2026 12:00:00 GMT");
        let reset = ("x-ratelimit-reset", "1795176725");
        let remaining = ("x-ratelimit-remaining", "0");
        assert_eq!(
            classified(403, &[remaining, reset, date], &json!({})),
            limited(725)
        );
        assert_eq!(
            classified(429, &[remaining, reset], &json!({})),
            limited(60)
        );
        let secondary = json!({"message": "You have exceeded a secondary rate limit."});
        assert_eq!(
            classified(403, &[("retry-after", "90")], &secondary),
            limited(90)
        );
        assert_eq!(classified(403, &[], &secondary), limited(60));
        assert_eq!(
            classified(403, &[], &json!({"message": "Must have admin rights"})),
            None
        );
    }

    #[test]
    fn missing_rights_are_named() {
        let missing = |names: &[&str]| {
            Some(ProviderError::InsufficientScope {
                missing: names.iter().map(|&name| name.to_owned()).collect(),
            })
        };
        let integration = json!({"message": "Resource not accessible by integration"});
        let accepted = (
            "x-accepted-github-permissions",
            "contents=write; pull_requests=write",
        );
        assert_eq!(
            classified(403, &[accepted], &integration),
            missing(&["contents:write", "pull_requests:write"])
        );
        assert_eq!(classified(403, &[], &integration), missing(&[]));
        let headers = [
            ("x-oauth-scopes", "read:org, gist"),
            ("x-accepted-oauth-scopes", "repo, public_repo"),
        ];
        assert_eq!(
            classified(403, &headers, &json!({})),
            missing(&["repo", "public_repo"])
        );
        assert_eq!(
            classified(403, &[headers[1], ("x-oauth-scopes", "repo")], &json!({})),
            None
        );
    }

    #[test]
    fn single_sign_on_gives_its_address() {
        let sign_on = (
            "x-github-sso",
            "required; url=https://github.com/orgs/acme/sso?authorization_request=A1",
        );
        assert_eq!(
            classified(403, &[sign_on], &json!({})),
            Some(ProviderError::AdminConsentRequired {
                url: Some("https://github.com/orgs/acme/sso?authorization_request=A1".to_owned())
            })
        );
    }

    #[test]
    fn validation_tells_the_reasons() {
        let body = json!({
            "message": "Validation Failed",
            "errors": [{"resource": "Issue", "field": "title", "code": "missing_field"}, {"message": "a pull request already exists"}, "text"]
        });
        assert_eq!(
            classified(422, &[], &body),
            Some(ProviderError::Invalid {
                message:
                    "Validation Failed; title: missing_field; a pull request already exists; text"
                        .to_owned()
            })
        );
    }

    #[test]
    fn tokens_of_both_kinds_of_app_are_read() {
        let app = read_token(&json!({
            "access_token": "REDACTED", "expires_in": 28800, "refresh_token": "REDACTED-2",
            "refresh_token_expires_in": 15_897_600, "scope": "", "token_type": "bearer"
        }))
        .unwrap();
        assert_eq!(app.scopes, None);
        assert_eq!(app.expires_in_s, Some(28_800));
        assert_eq!(app.refresh_token.unwrap().expose_secret(), "REDACTED-2");
        let oauth = read_token(&json!({
            "access_token": "REDACTED", "scope": "read:org,repo", "token_type": "bearer"
        }))
        .unwrap();
        assert_eq!(
            oauth.scopes,
            Some(vec!["read:org".to_owned(), "repo".to_owned()])
        );
        assert_eq!(oauth.expires_in_s, None);
        assert!(oauth.refresh_token.is_none());
    }
}
