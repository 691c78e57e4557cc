//! Browser sessions: signing in with a password, a personal access token or a one-time link, and the cookies.

use std::convert::Infallible;
use std::net::IpAddr;

use askama::Template;
use axum::Form;
use axum::extract::{FromRequestParts, Query, State};
use axum::response::{IntoResponse, Redirect, Response};
use http::header::{COOKIE, SET_COOKIE};
use http::request::Parts;
use http::{HeaderValue, Method, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::Web;
use super::address::address;
use super::error::Error;
use super::pages::{Page, problem, show};
use crate::auth::AuthError;
use crate::caller::{Caller, Role};
use crate::ids::{ApprovalId, AuthorizationId, CallId, ConnectionId, FlowId, UserId};
use crate::integrations;

/// A request of somebody who is signed in. Anybody else is sent to sign in, and comes back afterwards.
pub(super) struct SignedIn(pub(super) Caller);

impl FromRequestParts<Web> for SignedIn {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, web: &Web) -> Result<Self, Response> {
        let next = parts.uri.path_and_query().map_or("", |path| path.as_str());
        let Some(secret) = cookie(parts, session_cookie(web)) else {
            return Err(sign_in_first(web, next));
        };
        match web.auth.session(secret).await {
            Ok(caller) => Ok(Self(caller)),
            Err(AuthError::Store(error)) => Err(Error::from(error).into_response()),
            Err(_) => Err(sign_in_first(web, next)),
        }
    }
}

/// A request of an admin in a browser. For everybody else the page does not exist.
pub(super) struct Admin(pub(super) Caller);

impl FromRequestParts<Web> for Admin {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, web: &Web) -> Result<Self, Response> {
        let SignedIn(caller) = SignedIn::from_request_parts(parts, web).await?;
        if caller.role == Role::Admin {
            Ok(Self(caller))
        } else {
            Err(Error::NotFound.into_response())
        }
    }
}

/// What a request brings besides its form: where it comes from, and its cookies.
pub(super) struct From {
    /// The address, for counting tries.
    pub(super) address: Option<IpAddr>,
    /// The session that the browser has, if any.
    pub(super) session: Option<String>,
    /// The secret of a sign-in at the identity provider that is under way.
    pub(super) sso: Option<String>,
}

impl FromRequestParts<Web> for From {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, web: &Web) -> Result<Self, Infallible> {
        let own = |name| cookie(parts, name).map(ToOwned::to_owned);
        Ok(Self {
            address: address(web, parts),
            session: own(session_cookie(web)),
            sso: own(sso_cookie(web)),
        })
    }
}

fn sign_in_first(web: &Web, next: &str) -> Response {
    let base = Page::of(web, None).base;
    let next = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("next", &local(next))
        .finish();
    Redirect::to(&format!("{base}login?{next}")).into_response()
}

/// Where a sign-in may lead: a page of ours from a fixed list, else the accounts. Never an address from outside.
pub(super) fn local(next: &str) -> String {
    const PAGES: [&str; 14] = [
        "/account",
        "/activity",
        "/activity/conversations",
        "/admin/audit",
        "/admin/connections",
        "/admin/integrations",
        "/admin/people",
        "/admin/policy",
        "/admin/system",
        "/approvals",
        "/clients",
        "/clients/add",
        "/tokens",
        "/try",
    ];
    if let Some(page) = PAGES.into_iter().find(|page| *page == next) {
        return page.to_owned();
    }
    let (path, query) = next.split_once('?').unwrap_or((next, ""));
    if matches!(path, "/admin/audit" | "/activity") {
        // The filter is a part of what somebody was shown or sent.
        let fields = url::form_urlencoded::parse(query.as_bytes());
        let query = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(fields)
            .finish();
        return format!("{path}?{query}");
    }
    let consent = path
        .strip_prefix("/oauth/consent/")
        .and_then(|id| id.parse::<AuthorizationId>().ok());
    if let Some(id) = consent {
        return format!("/oauth/consent/{id}");
    }
    if path
        .rsplit_once('/')
        .is_some_and(|(folder, name)| is_one(folder, name))
    {
        return path.to_owned();
    }
    let known = path
        .strip_prefix("/connect/")
        .is_some_and(|id| integrations::integration(id).is_some());
    if !known {
        return "/connections".to_owned();
    }
    let reconnect = url::form_urlencoded::parse(query.as_bytes())
        .find(|(name, _)| name == "reconnect")
        .and_then(|(_, id)| id.parse::<ConnectionId>().ok());
    match reconnect {
        Some(id) => format!("{path}?reconnect={id}"),
        None => path.to_owned(),
    }
}

/// Whether `name` can be one of the things that have a page below `folder`.
fn is_one(folder: &str, name: &str) -> bool {
    match folder {
        "/approvals" => name.parse::<ApprovalId>().is_ok(),
        "/connections" => name.parse::<ConnectionId>().is_ok(),
        "/connected" => name.parse::<FlowId>().is_ok(),
        "/activity" | "/admin/audit" => name.parse::<CallId>().is_ok(),
        "/admin/people" => name.parse::<UserId>().is_ok(),
        "/try" => integrations::tool(name).is_some(),
        "/try/blocks" => integrations::ALL
            .iter()
            .any(|known| known.blocks().any(|block| block.name == name)),
        _ => false,
    }
}

fn session_cookie(web: &Web) -> &'static str {
    if is_secure(web) {
        "__Host-workbench"
    } else {
        "workbench"
    }
}

/// The cookie that binds an attempt to connect to the browser that began it.
pub(super) fn flow_cookie(web: &Web) -> &'static str {
    if is_secure(web) {
        "__Host-workbench-flow"
    } else {
        "workbench-flow"
    }
}

/// The cookie that binds a client's request to the browser in which a person is asked about it.
pub(super) fn consent_cookie(web: &Web) -> &'static str {
    if is_secure(web) {
        "__Host-workbench-consent"
    } else {
        "workbench-consent"
    }
}

/// The cookie that binds a sign-in at the identity provider to the browser that began it.
pub(super) fn sso_cookie(web: &Web) -> &'static str {
    if is_secure(web) {
        "__Host-workbench-sso"
    } else {
        "workbench-sso"
    }
}

fn is_secure(web: &Web) -> bool {
    web.links.public().scheme() == "https"
}

/// One cookie of a request.
pub(super) fn cookie<'a>(parts: &'a Parts, name: &str) -> Option<&'a str> {
    parts
        .headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|line| line.split("; "))
        .find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
}

/// Sets or, with an empty value, removes a cookie.
pub(super) fn set_cookie(
    web: &Web,
    response: &mut Response,
    name: &str,
    value: &str,
    seconds: u32,
) {
    let secure = if is_secure(web) { "; Secure" } else { "" };
    let line = format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax; Max-Age={seconds}{secure}");
    if let Ok(mut line) = HeaderValue::from_str(&line) {
        line.set_sensitive(true);
        response.headers_mut().append(SET_COOKIE, line);
    }
}

#[derive(Template)]
#[template(path = "login.html", config = "src/web/askama.toml")]
struct Login {
    page: Page,
    next: String,
    /// Where to go on at the identity provider, if there is one.
    sso: Option<String>,
    problem: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct LoginQuery {
    #[serde(default)]
    next: String,
    ticket: Option<SecretTicket>,
}

/// A ticket in an address; kept out of every `Debug`.
#[derive(Deserialize)]
#[serde(transparent)]
pub(super) struct SecretTicket(String);

/// The sign-in page; with a one-time ticket it signs in at once.
pub(super) async fn form(
    State(web): State<Web>,
    from: From,
    method: Method,
    Query(query): Query<LoginQuery>,
) -> Result<Response, Error> {
    let next = local(&query.next);
    // Whoever only asks what is here, such as a chat program that previews links, does not use up the ticket.
    let ticket = query.ticket.filter(|_| method != Method::HEAD);
    let problem = match ticket {
        None => return Ok(login_page(&web, StatusCode::OK, next, None)),
        Some(SecretTicket(ticket)) => match web.auth.sign_in_with_ticket(&ticket).await {
            Ok(session) => return signed_in(&web, &from, &session, &next).await,
            Err(AuthError::Store(error)) => return Err(error.into()),
            Err(_) => {
                "This sign-in link was used already or is too old. Sign in another way, or ask for a new link."
            }
        },
    };
    Ok(login_page(
        &web,
        StatusCode::FORBIDDEN,
        next,
        Some(problem.to_owned()),
    ))
}

pub(super) fn login_page(
    web: &Web,
    status: StatusCode,
    next: String,
    problem: Option<String>,
) -> Response {
    let page = Page::of(web, None);
    let sso = web.auth.has_identity_provider().then(|| {
        let query = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("next", &next)
            .finish();
        format!("{}login/sso?{query}", page.base)
    });
    let login = Login {
        page,
        next,
        sso,
        problem,
    };
    show(status, &login)
}

/// Either an address and a password, or a token.
#[derive(Deserialize)]
pub(super) struct LoginForm {
    #[serde(default)]
    email: String,
    password: Option<String>,
    token: Option<String>,
    #[serde(default)]
    next: String,
}

/// Signs in with a password or with a personal access token.
pub(super) async fn sign_in(
    State(web): State<Web>,
    from: From,
    Form(form): Form<LoginForm>,
) -> Result<Response, Error> {
    let next = local(&form.next);
    let (done, wrong) = if let Some(token) = form.token {
        let token = SecretString::from(token);
        let done = web
            .auth
            .sign_in_with_token(token.expose_secret().trim())
            .await;
        let wrong = "This token is unknown, expired, revoked or does not allow everything. Check that you copied all of it.";
        (done, wrong)
    } else {
        let password = SecretString::from(form.password.unwrap_or_default());
        let done = web
            .auth
            .sign_in_with_password(&form.email, password, from.address)
            .await;
        let wrong = "This address and this password do not belong together. Check both, or ask whoever runs this server for a sign-in link.";
        (done, wrong)
    };
    match done {
        Ok(session) => signed_in(&web, &from, &session, &next).await,
        Err(error @ (AuthError::Store(_) | AuthError::Audit(_) | AuthError::Vault(_))) => {
            Err(error.into())
        }
        Err(error @ (AuthError::Throttled { .. } | AuthError::Busy)) => {
            Ok(problem(&web, None, error, &web.links.sign_in_page()))
        }
        Err(_) => Ok(login_page(
            &web,
            StatusCode::FORBIDDEN,
            next,
            Some(wrong.to_owned()),
        )),
    }
}

/// Gives the browser its new session and ends the one it had.
pub(super) async fn signed_in(
    web: &Web,
    from: &From,
    session: &SecretString,
    next: &str,
) -> Result<Response, Error> {
    if let Some(old) = &from.session {
        web.auth.replace_session(old).await?;
    }
    let base = Page::of(web, None).base;
    let mut response =
        Redirect::to(&format!("{base}{}", next.trim_start_matches('/'))).into_response();
    set_cookie(
        web,
        &mut response,
        session_cookie(web),
        session.expose_secret(),
        7 * 24 * 3_600,
    );
    Ok(response)
}

/// A form that only carries its token.
#[derive(Deserialize)]
pub(super) struct TokenForm {
    #[serde(default)]
    pub(super) csrf: String,
}

/// Ends the session.
pub(super) async fn sign_out(
    State(web): State<Web>,
    SignedIn(caller): SignedIn,
    Form(form): Form<TokenForm>,
) -> Result<Response, Error> {
    if !web.auth.is_form_token(&caller, &form.csrf) {
        return Err(Error::Foreign);
    }
    web.auth.sign_out(&caller).await?;
    let base = Page::of(&web, None).base;
    let mut response = Redirect::to(&format!("{base}login")).into_response();
    set_cookie(&web, &mut response, session_cookie(&web), "", 0);
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sign_in_leads_only_to_our_own_pages() {
        for (next, expected) in [
            ("/connect/github", "/connect/github"),
            ("/connect/github?reconnect=x", "/connect/github"),
            ("/clients", "/clients"),
            (
                "/oauth/consent/athz_0196b1d2c3d4700080000000000000ff?x=y",
                "/oauth/consent/athz_0196b1d2c3d4700080000000000000ff",
            ),
            ("/oauth/consent/", "/connections"),
            ("/oauth/consent/../clients", "/connections"),
            ("/oauth/authorize?client_id=x", "/connections"),
            ("/connect/nothing", "/connections"),
            ("/connections", "/connections"),
            ("/approvals", "/approvals"),
            (
                "/approvals/apr_01890a5d00007000800000000000000a?x=y",
                "/approvals/apr_01890a5d00007000800000000000000a",
            ),
            ("/approvals/../x", "/connections"),
            ("/account", "/account"),
            ("/try/github_search?x=y", "/try/github_search"),
            ("/try/../admin/people", "/connections"),
            ("/tokens", "/tokens"),
            ("/admin/people", "/admin/people"),
            ("/admin/people?x", "/connections"),
            (
                "/admin/audit?person=x&q=a b\r\n",
                "/admin/audit?person=x&q=a+b%0D%0A",
            ),
            ("/admin/auditor?x", "/connections"),
            (
                "/admin/audit/call_01890a5d00007000800000000000000a",
                "/admin/audit/call_01890a5d00007000800000000000000a",
            ),
            ("/admin/audit/export", "/connections"),
            (
                "/connections/con_01890a5d00007000800000000000000a",
                "/connections/con_01890a5d00007000800000000000000a",
            ),
            ("/connections/../x", "/connections"),
            ("/try/blocks/github_file?x", "/try/blocks/github_file"),
            ("/try/blocks/nothing", "/connections"),
            ("/admin/../admin/people", "/connections"),
            ("", "/connections"),
            ("//evil.test", "/connections"),
            ("/\\evil.test", "/connections"),
            ("https://evil.test/connect/github", "/connections"),
            ("/connect/github/../../x", "/connections"),
            ("/connect/%2f%2fevil.test", "/connections"),
            ("javascript:alert(1)", "/connections"),
            ("/connect/github\r\nSet-Cookie: x=y", "/connections"),
        ] {
            assert_eq!(local(next), expected, "{next}");
        }
    }
}
