//! The page of signed-in MCP clients, and signing one out.

use askama::Template;
use axum::Form;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use http::StatusCode;

use crate::ids::FamilyId;
use crate::store::FamilyRow;
use crate::web::Web;
use crate::web::error::Error;
use crate::web::pages::{Page, Place, show};
use crate::web::session::{SignedIn, TokenForm};

#[derive(Template)]
#[template(path = "clients.html", config = "src/web/askama.toml")]
struct Clients {
    page: Page,
    clients: Vec<Client>,
}

struct Client {
    id: FamilyId,
    name: String,
    host: Option<String>,
    redirect_host: String,
    scopes: String,
    since: String,
    used: Option<String>,
}

impl From<FamilyRow> for Client {
    fn from(row: FamilyRow) -> Self {
        Self {
            id: row.id,
            name: row.client_name,
            host: row.client_host,
            redirect_host: row.redirect_host,
            scopes: row.scopes.to_string(),
            since: minute(&row.created_at.rfc3339()),
            used: row.last_used_at.map(|at| minute(&at.rfc3339())),
        }
    }
}

/// An RFC 3339 time up to the minute.
fn minute(at: &str) -> String {
    at.chars().take(16).collect::<String>().replace('T', " ") + " UTC"
}

/// Every client that the person has signed in.
pub(in crate::web) async fn list(
    State(web): State<Web>,
    SignedIn(caller): SignedIn,
) -> Result<Response, Error> {
    let clients = web.server.signed_in(&caller).await?;
    let page = Clients {
        page: Page::of(&web, Some(&caller)).at(Place::Clients),
        clients: clients.into_iter().map(Into::into).collect(),
    };
    Ok(show(StatusCode::OK, &page))
}

/// Signs one out.
pub(in crate::web) async fn sign_out(
    State(web): State<Web>,
    SignedIn(caller): SignedIn,
    Path(id): Path<FamilyId>,
    Form(form): Form<TokenForm>,
) -> Result<Response, Error> {
    if !web.auth.is_form_token(&caller, &form.csrf) {
        return Err(Error::Foreign);
    }
    if !web.server.sign_out_client(&caller, id).await? {
        return Err(Error::NotFound);
    }
    Ok(Redirect::to(&web.links.clients()).into_response())
}

/// Signs all of them out.
pub(in crate::web) async fn sign_out_all(
    State(web): State<Web>,
    SignedIn(caller): SignedIn,
    Form(form): Form<TokenForm>,
) -> Result<Response, Error> {
    if !web.auth.is_form_token(&caller, &form.csrf) {
        return Err(Error::Foreign);
    }
    for client in web.server.signed_in(&caller).await? {
        web.server.sign_out_client(&caller, client.id).await?;
    }
    Ok(Redirect::to(&web.links.clients()).into_response())
}
