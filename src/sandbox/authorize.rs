//! The authorization endpoint (RFC 6749 §3.1): a page on which a person picks an account and approves or denies.
//!
//! The page posts to its own address, so a program only needs to post `decision` (`approve` or `deny`) and `account`; it
//! may narrow the consent with `narrowed=1` and one `scope` for each that it leaves.

use askama::Template;
use http::StatusCode;
use http::header::{CONTENT_SECURITY_POLICY, REFERRER_POLICY, X_FRAME_OPTIONS};
use url::{Host, Url};

use super::Asked;
use super::answer::Answer;
use super::providers::{Account, Pkce, Provider};
use super::state::{Consent, ProviderState};
use crate::clock::Timestamp;

/// Length of an S256 challenge: 256 bits as unpadded base64url.
const CHALLENGE_CHARS: usize = 43;

/// What a client asks for.
struct AuthorizationRequest {
    client_id: String,
    redirect_uri: String,
    /// The same, parsed.
    redirect: Url,
    state: String,
    challenge: Option<String>,
    scopes: Vec<ScopeAsked>,
}

struct ScopeAsked {
    name: String,
    /// Whether the person may leave it out.
    optional: bool,
}

/// Why there is no consent page.
enum Problem {
    /// The client or its address cannot be trusted: only the person is told (RFC 6749 §4.1.2.1).
    Told(&'static str),
    /// The client is told, through the redirect.
    Redirected(Box<Url>),
}

#[derive(Template)]
#[template(
    ext = "html",
    source = r#"<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Sandbox {{ provider.name }}</title>
<style>
  :root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
  body { max-width: 30rem; margin: 3rem auto; padding: 0 1rem; }
  fieldset { border: 1px solid #8886; border-radius: .5rem; margin: 1rem 0; padding: .75rem 1rem; }
  label { display: block; padding: .2rem 0; }
  code { overflow-wrap: anywhere; }
  button { font: inherit; padding: .5rem 1.5rem; border: 1px solid #8888; border-radius: .5rem; margin-right: .5rem; }
  button[value=approve] { background: #1a5fb4; border-color: #1a5fb4; color: #fff; }
  .note { opacity: .75; font-size: .9rem; }
</style>
</head>
<body>
<main>
<h1>Sandbox {{ provider.name }}</h1>
<p class="note">This page stands in for {{ provider.name }}. Nothing here reaches the real one.</p>
<p>The app <code>{{ request.client_id }}</code> asks for access and will send you back to
<code>{{ host }}</code>.</p>
<form method="post">
<input type="hidden" name="narrowed" value="1">
<fieldset>
<legend>Sign in as</legend>
{% for account in provider.accounts %}
<label><input type="radio" name="account" value="{{ account.id }}" required{% if loop.first %} checked{% endif %}>
{{ account.label }}</label>
{% endfor %}
</fieldset>
{% if !request.scopes.is_empty() %}
<fieldset>
<legend>Allow</legend>
{% for scope in request.scopes %}
<label><input type="checkbox" name="scope" value="{{ scope.name }}" checked{% if !scope.optional %} disabled{% endif %}>
<code>{{ scope.name }}</code>{% if !scope.optional %} <span class="note">needed</span>{% endif %}</label>
{% endfor %}
</fieldset>
{% endif %}
<button name="decision" value="approve">Approve</button>
<button name="decision" value="deny" formnovalidate>Deny</button>
{% if provider.admin_consent_path.is_some() %}<button name="decision" value="administrator" formnovalidate>An administrator must approve</button>{% endif %}
</form>
</main>
</body>
</html>
"#
)]
struct ConsentPage<'a> {
    provider: &'a Provider,
    request: &'a AuthorizationRequest,
    host: String,
}

#[derive(Template)]
#[template(
    ext = "html",
    source = r#"<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>Sandbox {{ provider.name }}</title></head>
<body><main><h1>Sandbox {{ provider.name }}</h1><p>{{ problem }}</p></main></body>
</html>
"#
)]
struct ProblemPage<'a> {
    provider: &'a Provider,
    problem: &'a str,
}

/// Shows the page, or takes its answer.
pub(super) fn answer(state: &mut ProviderState, asked: &Asked, now: Timestamp) -> Answer {
    let provider = state.provider;
    let request = match read(provider, &asked.query) {
        Ok(request) => request,
        Err(Problem::Told(problem)) => return told(provider, problem),
        Err(Problem::Redirected(to)) => return Answer::see_other(to.as_str()),
    };
    if asked.method != http::Method::POST {
        let host = request.redirect.origin().ascii_serialization();
        let page = ConsentPage {
            provider,
            request: &request,
            host,
        };
        return html(StatusCode::OK, &page);
    }
    let form: Vec<(String, String)> = url::form_urlencoded::parse(&asked.body)
        .into_owned()
        .collect();
    let field = |name: &str| {
        let found = form.iter().find(|(found, _)| found == name);
        found.map(|(_, value)| value.as_str())
    };
    match field("decision") {
        Some("approve") => {}
        Some("deny") => {
            let to = request.failure("access_denied", "the person said no");
            return Answer::see_other(to.as_str());
        }
        Some("administrator") if provider.admin_consent_path.is_some() => {
            let why = "AADSTS90094: The grant requires administrator permission.";
            let to = request.failure("access_denied", why);
            return Answer::see_other(to.as_str());
        }
        _ => return told(provider, "Send the decision: approve or deny."),
    }
    let Some(account) = field("account").and_then(|id| provider.account(id)) else {
        return told(
            provider,
            "Say which of the sandbox's accounts to sign in as.",
        );
    };
    let narrowed = field("narrowed").is_some();
    let left = |name: &str| {
        form.iter()
            .any(|(field, value)| field == "scope" && value == name)
    };
    let scopes = request
        .scopes
        .iter()
        .filter(|scope| !narrowed || !scope.optional || left(&scope.name))
        .map(|scope| scope.name.clone())
        .collect();
    let to = approve(state, request, account, scopes, now);
    Answer::see_other(to.as_str())
}

fn approve(
    state: &mut ProviderState,
    request: AuthorizationRequest,
    account: &'static Account,
    scopes: Vec<String>,
    now: Timestamp,
) -> Url {
    let consent = Consent {
        account,
        client_id: request.client_id,
        redirect_uri: request.redirect_uri,
        challenge: request.challenge,
        scopes,
    };
    let code = state.give_code(consent, now);
    let mut to = request.redirect;
    to.query_pairs_mut()
        .append_pair("code", &code)
        .append_pair("state", &request.state);
    to
}

fn read(provider: &Provider, query: &[(String, String)]) -> Result<AuthorizationRequest, Problem> {
    let all = |name: &str| -> Vec<&str> {
        let found = query.iter().filter(|(found, _)| found == name);
        found.map(|(_, value)| value.as_str()).collect()
    };
    // `None` when it is missing, empty or there twice (RFC 6749 §3.1).
    let one = |name: &str| match all(name)[..] {
        [value] if !value.is_empty() => Some(value),
        _ => None,
    };
    let client_id = one("client_id").ok_or(Problem::Told("The request lacks its client_id."))?;
    let redirect_uri =
        one("redirect_uri").ok_or(Problem::Told("The request lacks its redirect_uri."))?;
    let redirect = trusted(redirect_uri).ok_or(Problem::Told(
        "The redirect_uri must be https, or http on this machine, and without a fragment.",
    ))?;
    let mut request = AuthorizationRequest {
        client_id: client_id.to_owned(),
        redirect_uri: redirect_uri.to_owned(),
        redirect,
        state: one("state").unwrap_or_default().to_owned(),
        challenge: one("code_challenge").map(ToOwned::to_owned),
        scopes: Vec::new(),
    };
    let refuse = |error, why| Problem::Redirected(Box::new(request.failure(error, why)));
    let unrepeatable = [
        "response_type",
        "state",
        "scope",
        "code_challenge",
        "code_challenge_method",
    ];
    if unrepeatable.iter().any(|name| all(name).len() > 1) {
        return Err(refuse("invalid_request", "a parameter is repeated"));
    }
    if one("response_type") != Some("code") {
        return Err(refuse(
            "unsupported_response_type",
            "response_type must be code",
        ));
    }
    if request.state.is_empty() {
        return Err(refuse("invalid_request", "state is missing"));
    }
    match &request.challenge {
        Some(challenge) => {
            let legible = challenge
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
            let s256 = one("code_challenge_method") == Some("S256");
            if !s256 || !legible || challenge.len() != CHALLENGE_CHARS {
                return Err(refuse("invalid_request", "the challenge must be S256"));
            }
        }
        None if provider.pkce == Pkce::Required => {
            return Err(refuse("invalid_request", "code_challenge is missing"));
        }
        None => {}
    }
    let optional_param = provider.optional_scope_param;
    let optional = optional_param.map(&one).unwrap_or_default();
    request.scopes = scopes(
        provider,
        one("scope").unwrap_or_default(),
        optional.unwrap_or_default(),
    );
    Ok(request)
}

/// The scopes asked for, each once, the needed ones first.
fn scopes(provider: &Provider, asked: &str, optional: &str) -> Vec<ScopeAsked> {
    let separators = [' ', provider.scope_separator];
    let may_narrow = provider.optional_scope_param.is_none();
    let words = |text: &str, optional: bool| -> Vec<ScopeAsked> {
        let words = text.split(separators).filter(|word| !word.is_empty());
        words
            .map(|name| ScopeAsked {
                name: name.to_owned(),
                optional,
            })
            .collect()
    };
    let mut scopes: Vec<ScopeAsked> = Vec::new();
    for scope in words(asked, may_narrow)
        .into_iter()
        .chain(words(optional, true))
    {
        if scopes.iter().all(|known| known.name != scope.name) {
            scopes.push(scope);
        }
    }
    scopes
}

/// The address, when codes may be sent there: https anywhere, http on loopback only (RFC 8252 §7.3), and no fragment
/// (RFC 6749 §3.1.2).
pub(super) fn trusted(redirect_uri: &str) -> Option<Url> {
    let url = Url::parse(redirect_uri).ok()?;
    let loopback = match url.host()? {
        Host::Domain(name) => name == "localhost" || name.ends_with(".localhost"),
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
    };
    let scheme = url.scheme() == "https" || (url.scheme() == "http" && loopback);
    (scheme && url.fragment().is_none()).then_some(url)
}

impl AuthorizationRequest {
    /// The redirect that tells the client about a failure.
    fn failure(&self, error: &str, why: &str) -> Url {
        let mut to = self.redirect.clone();
        {
            let mut query = to.query_pairs_mut();
            query
                .append_pair("error", error)
                .append_pair("error_description", why);
            if !self.state.is_empty() {
                query.append_pair("state", &self.state);
            }
        }
        to
    }
}

pub(super) fn told(provider: &Provider, problem: &str) -> Answer {
    html(StatusCode::BAD_REQUEST, &ProblemPage { provider, problem })
}

pub(super) fn html(status: StatusCode, page: &impl Template) -> Answer {
    let Ok(text) = page.render() else {
        return Answer::empty(StatusCode::INTERNAL_SERVER_ERROR);
    };
    // No `form-action`: browsers apply it to the redirect back to the client as well.
    let policy =
        "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'";
    Answer::text(status, "text/html; charset=utf-8", text)
        .no_store()
        .header(CONTENT_SECURITY_POLICY, policy)
        .header(REFERRER_POLICY, "no-referrer")
        .header(X_FRAME_OPTIONS, "DENY")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_sent_to_https_or_this_machine_only() {
        for good in [
            "https://workbench.example.test/oauth/callback/github",
            "http://127.0.0.1:8080/cb",
            "http://[::1]:8080/cb",
            "http://localhost/cb?x=1",
        ] {
            assert!(trusted(good).is_some(), "{good}");
        }
        for bad in [
            "http://workbench.example.test/cb",
            "http://127.0.0.1.example.test/cb",
            "https://example.test/cb#fragment",
            "javascript:alert(1)",
            "/cb",
        ] {
            assert!(trusted(bad).is_none(), "{bad}");
        }
    }
}
