//! A person's own password and sign-in.

use askama::Template;
use axum::Form;
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use secrecy::SecretString;
use serde::Deserialize;

use super::Web;
use super::error::Error;
use super::pages::{Page, problem, sentence, show};
use super::session::{From, SignedIn, signed_in};
use crate::auth::AuthError;
use crate::caller::Caller;

#[derive(Template)]
#[template(path = "account.html", config = "src/web/askama.toml")]
struct Account {
    page: Page,
    role: &'static str,
    /// Whether the old password must be told.
    asks_old: bool,
    /// Whether there is no old password to ask for, so that only a fresh link lets them set one.
    needs_link: bool,
    /// Where to link the identity provider, if there is one.
    sso: Option<String>,
    problem: Option<String>,
}

/// The page.
pub(super) async fn page(
    State(web): State<Web>,
    SignedIn(caller): SignedIn,
) -> Result<Response, Error> {
    shown(&web, &caller, StatusCode::OK, None).await
}

async fn shown(
    web: &Web,
    caller: &Caller,
    status: StatusCode,
    problem: Option<String>,
) -> Result<Response, Error> {
    let page = Page::of(web, Some(caller));
    let sso = web
        .auth
        .has_identity_provider()
        .then(|| format!("{}login/sso?link={}", page.base, page.csrf));
    let asks_old = !web.auth.may_set_password(caller).await?;
    let people = web.auth.people(caller.org).await?;
    let has_password = people
        .iter()
        .any(|person| person.id == caller.user && person.has_password);
    let account = Account {
        page,
        role: caller.role.as_str(),
        asks_old,
        needs_link: asks_old && !has_password,
        sso,
        problem,
    };
    Ok(show(status, &account))
}

#[derive(Deserialize)]
pub(super) struct PasswordForm {
    #[serde(default)]
    csrf: String,
    #[serde(default)]
    old: String,
    #[serde(default)]
    new: String,
    #[serde(default)]
    again: String,
}

/// Sets the password; every other browser of the person is signed out.
pub(super) async fn change_password(
    State(web): State<Web>,
    SignedIn(caller): SignedIn,
    from: From,
    Form(form): Form<PasswordForm>,
) -> Result<Response, Error> {
    if !web.auth.is_form_token(&caller, &form.csrf) {
        return Err(Error::Foreign);
    }
    if form.new != form.again {
        let said = "The two new passwords differ. Type the same one twice.".to_owned();
        return shown(&web, &caller, StatusCode::UNPROCESSABLE_ENTITY, Some(said)).await;
    }
    let (old, new) = (SecretString::from(form.old), SecretString::from(form.new));
    match web
        .auth
        .change_password(&caller, old, new, from.address)
        .await
    {
        Ok(session) => signed_in(&web, &from, &session, "/account").await,
        Err(AuthError::Invalid) => {
            let said = "The old password is wrong, or you have none yet. Whoever runs this server can make you a sign-in link, after which none is asked for.";
            shown(&web, &caller, StatusCode::FORBIDDEN, Some(said.to_owned())).await
        }
        Err(error @ AuthError::WeakPassword(_)) => {
            let said = Some(sentence(&error.to_string()));
            shown(&web, &caller, StatusCode::UNPROCESSABLE_ENTITY, said).await
        }
        Err(error) => Ok(problem(&web, Some(&caller), error, &web.links.account())),
    }
}
