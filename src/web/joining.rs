//! Becoming a member with the link of an invitation, or the first admin with the link that a new server prints.

use askama::Template;
use axum::Form;
use axum::extract::{Query, State};
use axum::response::Response;
use http::StatusCode;
use secrecy::SecretString;
use serde::Deserialize;

use super::Web;
use super::error::Error;
use super::pages::{Message, Page, sentence, show};
use super::session::{From, signed_in};
use crate::auth::{AuthError, Invited};

#[derive(Template)]
#[template(path = "join.html", config = "src/web/askama.toml")]
struct Join {
    page: Page,
    code: String,
    /// Who is invited; nobody yet when this is the first person.
    invited: Option<String>,
    /// What was typed before.
    email: String,
    sso: Option<String>,
    problem: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct JoinQuery {
    #[serde(default)]
    code: String,
}

#[derive(Deserialize)]
pub(super) struct JoinForm {
    #[serde(default)]
    code: String,
    #[serde(default)]
    email: String,
    #[serde(default)]
    password: String,
    #[serde(default)]
    again: String,
}

/// What the link is for. Looking at it uses nothing up, because mail programs look too.
pub(super) async fn form(
    State(web): State<Web>,
    Query(query): Query<JoinQuery>,
) -> Result<Response, Error> {
    match web.auth.invited(&query.code).await {
        Ok(invited) => Ok(page(
            &web,
            StatusCode::OK,
            query.code,
            invited,
            String::new(),
            None,
        )),
        Err(error) => ended(&web, error),
    }
}

/// Makes the link's holder a member and signs the browser in.
pub(super) async fn accept(
    State(web): State<Web>,
    from: From,
    Form(form): Form<JoinForm>,
) -> Result<Response, Error> {
    let invited = match web.auth.invited(&form.code).await {
        Ok(invited) => invited,
        Err(error) => return ended(&web, error),
    };
    let wrong = if form.password == form.again {
        let password = SecretString::from(form.password);
        let done = web
            .auth
            .accept_with_password(&form.code, &form.email, password)
            .await;
        match done {
            Ok(session) => return signed_in(&web, &from, &session, "/connections").await,
            Err(
                error @ (AuthError::WeakPassword(_) | AuthError::BadEmail(_) | AuthError::Busy),
            ) => error.to_string(),
            Err(error) => return ended(&web, error),
        }
    } else {
        "the two passwords differ; type the same one twice".to_owned()
    };
    let status = StatusCode::UNPROCESSABLE_ENTITY;
    let wrong = Some(sentence(&wrong));
    Ok(page(&web, status, form.code, invited, form.email, wrong))
}

fn page(
    web: &Web,
    status: StatusCode,
    code: String,
    invited: Invited,
    email: String,
    problem: Option<String>,
) -> Response {
    let page = Page::of(web, None);
    let sso = web.auth.has_identity_provider().then(|| {
        let query = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("join", &code)
            .finish();
        format!("{}login/sso?{query}", page.base)
    });
    let join = Join {
        page,
        code,
        invited: invited.email,
        email,
        sso,
        problem,
    };
    show(status, &join)
}

/// The page of a link that leads nowhere any more.
fn ended(web: &Web, error: AuthError) -> Result<Response, Error> {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "every other failure is ours"
    )]
    let said = match error {
        AuthError::Invalid | AuthError::Expired => {
            "This link was used already, was taken back or is too old. Ask an admin for a new one."
                .to_owned()
        }
        AuthError::Exists(_) => "You are a member already. Sign in instead.".to_owned(),
        other => return Err(other.into()),
    };
    let message = Message {
        page: Page::of(web, None),
        title: "Nobody was added".to_owned(),
        tone: "bad",
        lines: vec![said],
        actions: vec![("Sign in".to_owned(), web.links.sign_in_page())],
        close: false,
    };
    Ok(show(StatusCode::FORBIDDEN, &message))
}
