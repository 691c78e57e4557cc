//! One account: what it can do, its name, and whether it is the default.

use askama::Template;
use axum::Form;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use http::StatusCode;
use serde::Deserialize;

use crate::caller::Caller;
use crate::calls::AccountDetail;
use crate::connect::ConnectError;
use crate::ids::ConnectionId;
use crate::kit::text;
use crate::store::StoreError;
use crate::web::Web;
use crate::web::error::Error;
use crate::web::pages::{self, Page, Place, show};
use crate::web::session::SignedIn;

/// Longest name a person can give an account, in characters.
const NAME: usize = 60;

#[derive(Template)]
#[template(path = "connection.html", config = "src/web/askama.toml")]
struct One {
    page: Page,
    detail: AccountDetail,
    /// What was written as the name.
    name: String,
    problem: Option<&'static str>,
}

async fn look(web: &Web, caller: &Caller, id: ConnectionId) -> Result<AccountDetail, Error> {
    web.calls.account(caller, id).await?.ok_or(Error::NotFound)
}

fn shown(
    web: &Web,
    caller: &Caller,
    detail: AccountDetail,
    written: Option<(String, &'static str)>,
) -> Response {
    let (status, name, problem) = match written {
        Some((name, problem)) => (StatusCode::UNPROCESSABLE_ENTITY, name, Some(problem)),
        None => {
            let alias = detail.account.alias.clone().unwrap_or_default();
            (StatusCode::OK, alias, None)
        }
    };
    let page = One {
        page: Page::of(web, Some(caller)).at(Place::Connections),
        detail,
        name,
        problem,
    };
    show(status, &page)
}

/// Everything about one account.
pub(super) async fn page(
    State(web): State<Web>,
    SignedIn(caller): SignedIn,
    Path(id): Path<ConnectionId>,
) -> Result<Response, Error> {
    let detail = look(&web, &caller, id).await?;
    Ok(shown(&web, &caller, detail, None))
}

#[derive(Deserialize)]
pub(super) struct NameForm {
    #[serde(default)]
    csrf: String,
    #[serde(default)]
    name: String,
}

/// Gives the account a name of the person's own.
pub(super) async fn rename(
    State(web): State<Web>,
    SignedIn(caller): SignedIn,
    Path(id): Path<ConnectionId>,
    Form(form): Form<NameForm>,
) -> Result<Response, Error> {
    if !web.auth.is_form_token(&caller, &form.csrf) {
        return Err(Error::Foreign);
    }
    let name = form.name.trim();
    let problem = if name.chars().count() > NAME {
        Some("The name is longer than 60 characters. Shorten it.")
    } else if name.contains('/') || text::printable(name) != name {
        // It stands in addresses of context blocks.
        Some("The name stands in addresses, so it cannot have slashes or control characters.")
    } else {
        None
    };
    let taken = "Another account of this service has the name. Choose another one.";
    let problem = match problem {
        Some(problem) => Some(problem),
        None => {
            let alias = (!name.is_empty()).then_some(name);
            match web.connections.rename(caller.user, id, alias).await {
                Ok(true) => return Ok(back(&web, id)),
                Ok(false) => return Err(Error::NotFound),
                Err(ConnectError::Store(StoreError::Conflict(_))) => Some(taken),
                Err(error) => return Err(error.into()),
            }
        }
    };
    let detail = look(&web, &caller, id).await?;
    let written = problem.map(|problem| (form.name.clone(), problem));
    Ok(shown(&web, &caller, detail, written))
}

#[derive(Deserialize)]
pub(super) struct DefaultForm {
    #[serde(default)]
    csrf: String,
    /// `on` or `off`.
    state: String,
}

/// Makes the account the one that is meant when a call names none, or no longer.
pub(super) async fn set_default(
    State(web): State<Web>,
    SignedIn(caller): SignedIn,
    Path(id): Path<ConnectionId>,
    Form(form): Form<DefaultForm>,
) -> Result<Response, Error> {
    if !web.auth.is_form_token(&caller, &form.csrf) {
        return Err(Error::Foreign);
    }
    let on = form.state == "on";
    if !web.connections.set_default(caller.user, id, on).await? {
        return Err(Error::NotFound);
    }
    Ok(back(&web, id))
}

fn back(web: &Web, id: ConnectionId) -> Response {
    Redirect::to(&format!("{}/{id}", web.links.connections())).into_response()
}
