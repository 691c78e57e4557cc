//! How everybody's accounts are: who has to reconnect, why, and since when. Not which accounts they are.

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;

use crate::calls::reason;
use crate::clock::Timestamp;
use crate::integrations;
use crate::web::Web;
use crate::web::error::Error;
use crate::web::pages::{self, Page, Place, show};
use crate::web::session::Admin;

#[derive(Template)]
#[template(path = "health.html", config = "src/web/askama.toml")]
struct Connections {
    page: Page,
    /// Integration, accounts that work, accounts that fail, accounts that wait for their person.
    sums: Vec<(&'static str, usize, usize, usize)>,
    /// Integrations that are open to everyone.
    open: Vec<&'static str>,
    rows: Vec<Row>,
}

struct Row {
    person: String,
    service: &'static str,
    /// `Expired` or `Error`.
    status: &'static str,
    reason: String,
    since: String,
    last_used: Option<String>,
}

/// Accounts that need somebody, the longest first.
pub(in crate::web) async fn page(
    State(web): State<Web>,
    Admin(caller): Admin,
) -> Result<Response, Error> {
    let mut accounts = web.connections.everybody(caller.org).await?;
    let people = web.auth.people(caller.org).await?;
    accounts.sort_by_key(|account| account.since);
    let all = || integrations::ALL.iter().copied();
    let open = all().filter(|one| one.open().is_some());
    let closed = all().filter(|one| one.open().is_none());
    let sums = closed.map(|one| {
        let count = |word: &str| {
            let of = accounts
                .iter()
                .filter(|account| account.integration == one.id);
            of.filter(|account| account.status.as_str() == word).count()
        };
        (
            one.name,
            count("connected"),
            count("error"),
            count("expired"),
        )
    });
    let sums = sums.collect();
    let mut rows = Vec::new();
    for account in accounts {
        let status = match account.status.as_str() {
            "expired" => "Expired",
            "error" => "Error",
            _ => continue,
        };
        let person = people.iter().find(|person| person.id == account.user);
        rows.push(Row {
            person: person.map_or_else(String::new, |person| person.email.clone()),
            service: integrations::integration(&account.integration).map_or("", |one| one.name),
            status,
            reason: reason(account.reason.as_deref()),
            since: account.since.rfc3339(),
            last_used: account.last_used_at.map(Timestamp::rfc3339),
        });
    }
    let page = Connections {
        page: Page::of(&web, Some(&caller)).at(Place::Health),
        sums,
        open: open.map(|one| one.name).collect(),
        rows,
    };
    Ok(show(StatusCode::OK, &page))
}
