//! The page of connected accounts.

mod disconnect;
mod one;

use askama::Template;
use axum::Router;
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;

use super::Web;
use super::error::Error;
use super::pages::{self, Page, Place, show};
use super::routing::{get, get_post, post};
use super::session::SignedIn;
use crate::calls::AccountStatus;
use crate::integrations;

/// The routes of accounts.
pub(super) fn routes() -> Router<Web> {
    Router::new()
        .route("/connections", get(list))
        .route("/connections/{id}", get(one::page))
        .route("/connections/{id}/name", post(one::rename))
        .route("/connections/{id}/default", post(one::set_default))
        .route(
            "/connections/{id}/disconnect",
            get_post(disconnect::confirm, disconnect::disconnect),
        )
}

#[derive(Template)]
#[template(path = "connections.html", config = "src/web/askama.toml")]
struct Accounts {
    page: Page,
    /// With accounts first.
    cards: Vec<Card>,
    /// How many accounts there are.
    connected: usize,
}

struct Card {
    id: &'static str,
    name: &'static str,
    summary: &'static str,
    /// Tools and context blocks.
    size: (usize, usize),
    disabled: bool,
    set_up: bool,
    /// Open to everyone: there is nothing to connect.
    open: bool,
    accounts: Vec<AccountStatus>,
}

/// Every integration with the person's accounts.
async fn list(State(web): State<Web>, SignedIn(caller): SignedIn) -> Result<Response, Error> {
    let accounts = web.calls.accounts(&caller).await?;
    let disabled = web.calls.disabled(&caller).await?;
    let mut cards = Vec::new();
    for integration in integrations::ALL.iter().copied() {
        let mut set_up = false;
        for provider in integration.providers {
            set_up |= web.connections.is_set_up(caller.org, provider.id).await;
        }
        let own = accounts
            .iter()
            .filter(|account| account.integration == integration.id);
        cards.push(Card {
            id: integration.id,
            name: integration.name,
            summary: integration.summary,
            size: (integration.tools().count(), integration.blocks().count()),
            disabled: disabled.iter().any(|id| id == integration.id),
            set_up,
            open: integration.open().is_some(),
            accounts: own.cloned().collect(),
        });
    }
    cards.sort_by_key(|card| card.accounts.is_empty());
    let page = Accounts {
        page: Page::of(&web, Some(&caller)).at(Place::Connections),
        cards,
        connected: accounts.len(),
    };
    Ok(show(StatusCode::OK, &page))
}
