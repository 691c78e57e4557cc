//! Browser sessions: signing in with a personal access token or a one-time link, and the cookies.

use askama::Template;
use axum::Form;
use axum::extract::{FromRequestParts, Query, State};
use axum::response::{IntoResponse, Redirect, Response};
use http::header::{COOKIE, SET_COOKIE};
use http::request::Parts;
use http::{HeaderValue, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::Web;
use super::error::Error;
use super::pages::{Page, show};
use crate::auth::AuthError;
use crate::caller::Caller;
use crate::ids::{ApprovalId, AuthorizationId};
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

fn sign_in_first(web: &Web, next: &str) -> Response {
    let base = Page::of(web, None).base;
    let next = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("next", &local(next))
        .finish();
    Redirect::to(&format!("{base}login?{next}")).into_response()
}

/// Where a sign-in may lead: a page of ours from a fixed list, else the accounts. Never an address from outside.
fn local(next: &str) -> String {
    let (path, query) = next.split_once('?').unwrap_or((next, ""));
    let consent = path
        .strip_prefix("/oauth/consent/")
        .and_then(|id| id.parse::<AuthorizationId>().ok());
    if let Some(id) = consent {
        return format!("/oauth/consent/{id}");
    }
    let approval = path
        .strip_prefix("/approvals/")
        .is_some_and(|id| id.parse::<ApprovalId>().is_ok());
    if matches!(path, "/approvals" | "/clients") || approval {
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
        .and_then(|(_, id)| id.parse::<crate::ids::ConnectionId>().ok());
    match reconnect {
        Some(id) => format!("{path}?reconnect={id}"),
        None => path.to_owned(),
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
    problem: Option<&'static str>,
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
pub(super) async fn form(State(web): State<Web>, Query(query): Query<LoginQuery>) -> Response {
    let next = local(&query.next);
    let problem = match query.ticket {
        None => None,
        Some(SecretTicket(ticket)) => match web.auth.sign_in_with_ticket(&ticket).await {
            Ok(session) => return signed_in(&web, &session, &next),
            Err(AuthError::Store(error)) => return Error::from(error).into_response(),
            Err(_) => Some(
                "This sign-in link was used already or is too old. Sign in with a token instead.",
            ),
        },
    };
    let status = if problem.is_some() {
        StatusCode::FORBIDDEN
    } else {
        StatusCode::OK
    };
    show(
        status,
        &Login {
            page: Page::of(&web, None),
            next,
            problem,
        },
    )
}

#[derive(Deserialize)]
pub(super) struct LoginForm {
    token: String,
    #[serde(default)]
    next: String,
}

/// Signs in with a personal access token.
pub(super) async fn sign_in(State(web): State<Web>, Form(form): Form<LoginForm>) -> Response {
    let next = local(&form.next);
    let token = SecretString::from(form.token);
    match web
        .auth
        .sign_in_with_token(token.expose_secret().trim())
        .await
    {
        Ok(session) => signed_in(&web, &session, &next),
        Err(AuthError::Store(error)) => Error::from(error).into_response(),
        Err(_) => {
            let problem = Some(
                "This token is unknown, expired, revoked or read-only. Check that you copied all of it.",
            );
            show(
                StatusCode::FORBIDDEN,
                &Login {
                    page: Page::of(&web, None),
                    next,
                    problem,
                },
            )
        }
    }
}

fn signed_in(web: &Web, session: &SecretString, next: &str) -> Response {
    let base = Page::of(web, None).base;
    let mut response =
        Redirect::to(&format!("{base}{}", next.trim_start_matches('/'))).into_response();
    set_cookie(
        web,
        &mut response,
        session_cookie(web),
        session.expose_secret(),
        12 * 3_600,
    );
    response
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
