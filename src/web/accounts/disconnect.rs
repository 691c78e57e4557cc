//! Disconnecting an account: what stops working, what becomes of what was synced, and what the provider said.

use askama::Template;
use axum::Form;
use axum::extract::{Path, State};
use axum::response::Response;
use http::StatusCode;
use serde::Deserialize;

use crate::calls::AccountDetail;
use crate::connect::{Revoked, Synced};
use crate::ids::ConnectionId;
use crate::integrations;
use crate::web::Web;
use crate::web::error::Error;
use crate::web::pages::{Message, Page, Place, show};
use crate::web::session::SignedIn;

#[derive(Template)]
#[template(path = "disconnect.html", config = "src/web/askama.toml")]
struct Confirm {
    page: Page,
    detail: AccountDetail,
}

/// What stops working.
pub(super) async fn confirm(
    State(web): State<Web>,
    SignedIn(caller): SignedIn,
    Path(id): Path<ConnectionId>,
) -> Result<Response, Error> {
    let detail = web.calls.account(&caller, id).await?;
    let page = Confirm {
        page: Page::of(&web, Some(&caller)).at(Place::Connections),
        detail: detail.ok_or(Error::NotFound)?,
    };
    Ok(show(StatusCode::OK, &page))
}

#[derive(Deserialize)]
pub(super) struct DisconnectForm {
    #[serde(default)]
    csrf: String,
    /// `keep`, or nothing.
    #[serde(default)]
    synced: String,
}

/// Disconnects an account and says what happened at the provider.
pub(super) async fn disconnect(
    State(web): State<Web>,
    SignedIn(caller): SignedIn,
    Path(id): Path<ConnectionId>,
    Form(form): Form<DisconnectForm>,
) -> Result<Response, Error> {
    if !web.auth.is_form_token(&caller, &form.csrf) {
        return Err(Error::Foreign);
    }
    let synced = if form.synced == "keep" {
        Synced::Keep
    } else {
        Synced::Erase
    };
    let receipt = web
        .connections
        .disconnect(caller.user, id, synced)
        .await?
        .ok_or(Error::NotFound)?;
    let name =
        integrations::integration(&receipt.integration).map_or("the provider", |known| known.name);
    let revocation = match receipt.revoked {
        Revoked::Yes => format!("{name} confirmed that the access is revoked."),
        Revoked::Unsupported => format!(
            "{name} offers no way to revoke the access from here; remove this app in your {name} settings."
        ),
        Revoked::Key => {
            format!("The key itself goes on working until you delete it in your {name} settings.")
        }
        Revoked::No(reason) => format!(
            "The access could not be revoked: {reason}. Remove this app in your {name} settings."
        ),
        Revoked::Before => "There was no access left to revoke.".to_owned(),
    };
    let done = match synced {
        Synced::Erase => "Its credential and everything kept for it here are deleted.",
        Synced::Keep => {
            "Its credential is deleted. What was synced is kept, and is there again when you reconnect the account."
        }
    };
    let message = Message {
        page: Page::of(&web, Some(&caller)),
        title: format!("{} is disconnected", receipt.account),
        tone: "good",
        lines: vec![done.to_owned(), revocation],
        actions: vec![("Connected accounts".to_owned(), web.links.connections())],
        close: false,
    };
    Ok(show(StatusCode::OK, &message))
}
