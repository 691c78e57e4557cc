//! The installation: version, database, processes, log, keys.

use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use http::StatusCode;

use super::Fields;
use crate::audit::Actor;
use crate::rounds::Ended;
use crate::system::{Overview, Rotation};
use crate::web::Web;
use crate::web::error::Error;
use crate::web::pages::{self, Page, Place, show};
use crate::web::session::Admin;

#[derive(Template)]
#[template(path = "system.html", config = "src/web/askama.toml")]
struct Installation {
    page: Page,
    overview: Overview,
    started_at: String,
    /// The log's last event and last checkpoint, and when each was.
    log: Option<(i64, String, i64, String)>,
}

/// How everything stands.
pub(in crate::web) async fn page(
    State(web): State<Web>,
    Admin(caller): Admin,
) -> Result<Response, Error> {
    let overview = web.system.overview().await?;
    let log = overview.log.as_ref().map(|head| {
        let (at, checkpoint) = (head.at.rfc3339(), head.checkpoint_at.rfc3339());
        (head.seq, at, head.checkpoint_seq, checkpoint)
    });
    let page = Installation {
        page: Page::of(&web, Some(&caller)).at(Place::System),
        started_at: overview.started_at.rfc3339(),
        log,
        overview,
    };
    Ok(show(StatusCode::OK, &page))
}

/// Turns the keys in the background; the page shows how far it is.
pub(in crate::web) async fn rotate(
    State(web): State<Web>,
    Admin(caller): Admin,
    fields: Fields,
) -> Result<Response, Error> {
    fields.check(&web, &caller)?;
    // One that is under way already is shown just the same.
    let _begun = web.system.begin_rotation(Actor::from(&caller));
    let base = Page::of(&web, None).base;
    Ok(Redirect::to(&format!("{base}admin/system")).into_response())
}
