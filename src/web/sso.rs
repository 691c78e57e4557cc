//! Signing in at an identity provider: the way there and the way back.

use axum::extract::{Query, RawQuery, State};
use axum::response::{IntoResponse, Redirect, Response};
use http::StatusCode;
use secrecy::ExposeSecret;
use serde::Deserialize;

use super::Web;
use super::error::Error;
use super::pages::{Page, sentence};
use super::session::{From, local, login_page, set_cookie, signed_in, sso_cookie};
use crate::auth::AuthError;
use crate::auth::oidc::{Callback, Purpose};

#[derive(Deserialize)]
pub(super) struct BeginQuery {
    #[serde(default)]
    next: String,
    /// The code of an invitation to accept.
    join: Option<String>,
    /// The form token of somebody who is signed in and wants to sign in there from now on.
    link: Option<String>,
}

/// Sends the browser to the identity provider.
pub(super) async fn begin(
    State(web): State<Web>,
    from: From,
    Query(query): Query<BeginQuery>,
) -> Result<Response, Error> {
    let purpose = match (query.join, query.link) {
        (Some(code), _) => match web.auth.invited(&code).await {
            Ok(invited) => Purpose::Join(invited.id),
            Err(error) => return failed(&web, error),
        },
        (None, Some(token)) => {
            let caller = match &from.session {
                Some(session) => web.auth.session(session).await.ok(),
                None => None,
            };
            let caller = caller.filter(|caller| web.auth.is_form_token(caller, &token));
            Purpose::Link(caller.ok_or(Error::Foreign)?.user)
        }
        (None, None) => Purpose::SignIn,
    };
    let next = match purpose {
        Purpose::Link(_) => "/account".to_owned(),
        Purpose::SignIn | Purpose::Join(_) => local(&query.next),
    };
    if !web.auth.has_identity_provider() {
        return Err(Error::NotFound);
    }
    match web.auth.begin_sign_in(purpose, &next).await {
        Ok(started) => {
            let mut response = Redirect::to(started.url.as_str()).into_response();
            let secret = started.browser.expose_secret();
            set_cookie(&web, &mut response, sso_cookie(&web), secret, 600);
            Ok(response)
        }
        Err(error) => failed(&web, error),
    }
}

/// Takes the browser back.
pub(super) async fn callback(
    State(web): State<Web>,
    from: From,
    RawQuery(query): RawQuery,
) -> Result<Response, Error> {
    if !web.auth.has_identity_provider() {
        return Err(Error::NotFound);
    }
    let caller = match &from.session {
        Some(session) => web.auth.session(session).await.ok(),
        None => None,
    };
    let callback = read(query.as_deref().unwrap_or_default());
    let done = web
        .auth
        .finish_sign_in(from.sso.as_deref(), caller.as_ref(), callback)
        .await;
    let mut response = match done {
        Ok(ended) => {
            if let Some(session) = ended.session {
                signed_in(&web, &from, &session, &ended.next).await?
            } else {
                let base = Page::of(&web, None).base;
                let next = ended.next.trim_start_matches('/');
                Redirect::to(&format!("{base}{next}")).into_response()
            }
        }
        Err(error) => failed(&web, error)?,
    };
    set_cookie(&web, &mut response, sso_cookie(&web), "", 0);
    Ok(response)
}

/// The parameters of an answer; one that stands twice is worth nothing (RFC 6749 §3.1).
fn read(query: &str) -> Callback {
    let mut callback = Callback::default();
    let mut seen = Vec::new();
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        if seen.contains(&name) {
            return Callback::default();
        }
        let value = value.into_owned();
        match &*name {
            "state" => callback.state = value,
            "code" => callback.code = Some(value),
            "error" => callback.error = Some(value),
            "iss" => callback.issuer = Some(value),
            _ => {}
        }
        seen.push(name);
    }
    callback
}

/// Our fault, or the sign-in page with what is wrong.
fn failed(web: &Web, error: AuthError) -> Result<Response, Error> {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "every other failure has words of its own"
    )]
    let said = match error {
        AuthError::Store(_) | AuthError::Audit(_) | AuthError::Vault(_) => return Err(error.into()),
        AuthError::Invalid | AuthError::Expired => {
            "This link was used already, was taken back or is too old. Ask for a new one."
                .to_owned()
        }
        other => sentence(&other.to_string()),
    };
    let next = local("");
    Ok(login_page(web, StatusCode::FORBIDDEN, next, Some(said)))
}
