//! The page of connected accounts, and disconnecting one.

use askama::Template;
use axum::Form;
use axum::extract::{Path, State};
use axum::response::Response;
use http::StatusCode;

use super::Web;
use super::error::Error;
use super::pages::{Message, Page, Place, show};
use super::session::{SignedIn, TokenForm};
use crate::calls::AccountStatus;
use crate::connect::Revoked;
use crate::ids::ConnectionId;
use crate::integrations;

#[derive(Template)]
#[template(path = "connections.html", config = "src/web/askama.toml")]
struct Accounts {
    page: Page,
    cards: Vec<Card>,
}

struct Card {
    id: &'static str,
    name: &'static str,
    summary: &'static str,
    disabled: bool,
    set_up: bool,
    accounts: Vec<AccountStatus>,
}

impl Card {
    /// The date of an RFC 3339 time.
    #[expect(
        clippy::unused_self,
        reason = "templates call methods of what they show"
    )]
    fn day<'a>(&self, at: &'a str) -> &'a str {
        at.split('T').next().unwrap_or(at)
    }
}

/// Every integration with the person's accounts.
pub(super) async fn list(
    State(web): State<Web>,
    SignedIn(caller): SignedIn,
) -> Result<Response, Error> {
    let accounts = web.calls.accounts(&caller).await?;
    let disabled = web.calls.disabled(&caller).await?;
    let mut cards = Vec::new();
    for integration in integrations::ALL {
        let mut set_up = false;
        for provider in integration.providers {
            set_up |= web.connections.is_set_up(caller.org, provider.id).await;
        }
        cards.push(Card {
            id: integration.id,
            name: integration.name,
            summary: integration.summary,
            disabled: disabled.iter().any(|id| id == integration.id),
            set_up,
            accounts: accounts
                .iter()
                .filter(|account| account.integration == integration.id)
                .cloned()
                .collect(),
        });
    }
    Ok(show(
        StatusCode::OK,
        &Accounts {
            page: Page::of(&web, Some(&caller)).at(Place::Connections),
            cards,
        },
    ))
}

/// Disconnects an account and says what happened at the provider.
pub(super) async fn disconnect(
    State(web): State<Web>,
    SignedIn(caller): SignedIn,
    Path(id): Path<ConnectionId>,
    Form(form): Form<TokenForm>,
) -> Result<Response, Error> {
    if !web.auth.is_form_token(&caller, &form.csrf) {
        return Err(Error::Foreign);
    }
    let receipt = web
        .connections
        .disconnect(caller.user, id)
        .await?
        .ok_or(Error::NotFound)?;
    let name =
        integrations::integration(&receipt.integration).map_or("the provider", |known| known.name);
    let revocation = match receipt.revoked {
        Revoked::Yes => format!("{name} confirmed that the access is revoked."),
        Revoked::Unsupported => format!(
            "{name} offers no way to revoke the access from here; remove this app in your {name} settings."
        ),
        Revoked::No(reason) => format!(
            "The access could not be revoked: {reason}. Remove this app in your {name} settings."
        ),
    };
    let message = Message {
        page: Page::of(&web, Some(&caller)),
        title: format!("{} is disconnected", receipt.account),
        tone: "good",
        lines: vec![
            "Its credential and everything kept for it here are deleted.".to_owned(),
            revocation,
        ],
        actions: vec![("Connected accounts".to_owned(), web.links.connections())],
        close: false,
    };
    Ok(show(StatusCode::OK, &message))
}
