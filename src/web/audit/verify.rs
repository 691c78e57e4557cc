//! Verifying the chain: start, watch, stop.

use askama::Template;
use axum::Form;
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use serde::Deserialize;

use super::filter::Names;
use super::{Reviewer, brief, check, number, show_live, to};
use crate::audit::{Walk, WalkState};
use crate::caller::Caller;
use crate::ids::CallId;
use crate::web::Web;
use crate::web::error::Error;
use crate::web::pages::{Page, Place, show};
use crate::web::session::TokenForm;

/// A walk in words.
pub(super) struct Told {
    pub(super) id: String,
    pub(super) state: &'static str,
    /// `ok`, `failed` or `waiting`.
    pub(super) tone: &'static str,
    pub(super) words: String,
    pub(super) running: bool,
    pub(super) walked: i64,
    pub(super) total: i64,
    pub(super) progress: String,
    pub(super) by: String,
    pub(super) form: String,
    pub(super) started: String,
    pub(super) started_at: String,
}

impl Told {
    pub(super) fn of(web: &Web, walk: &Walk, names: &Names) -> Self {
        let lost = web.audit.is_lost(walk);
        let verify = walk.purpose == "verify";
        let (state, tone) = match (walk.state, lost) {
            (_, true) => ("Interrupted", "failed"),
            (WalkState::Running, _) => ("Running", "waiting"),
            (WalkState::Stopping, _) => ("Stopping", "waiting"),
            (WalkState::Done, _) if verify => ("Intact", "ok"),
            (WalkState::Done, _) => ("Complete", "ok"),
            (WalkState::Stopped, _) if verify => ("Stopped", "waiting"),
            (WalkState::Stopped, _) => ("Broken off", "failed"),
            (WalkState::Broken, _) => ("Broken", "failed"),
            (WalkState::Failed, _) => ("Failed", "failed"),
        };
        let words = match (walk.state, lost, verify) {
            (_, true, true) => "The server that verified was stopped. A verification does not go on after a restart: start it again.".to_owned(),
            (_, true, false) => "The server that wrote the file was stopped. The file has no last line that says it is complete: export again.".to_owned(),
            (WalkState::Done, _, true) => format!("Every record from 1 to {} is where and as it was written.", number(walk.seq)),
            (WalkState::Done, ..) => format!("{} records were written.", number(walk.seq)),
            (WalkState::Broken, ..) => format!(
                "The first record that is not as it was written is number {}: {}. Somebody changed the database past this server. Keep a copy of the database as it is, compare it with a backup and with exported checkpoints, and trust nothing after that number before you know more.",
                number(walk.seq),
                walk.words
            ),
            (WalkState::Failed, _, true) => "The log could not be read. Look at the server's own log, then try again.".to_owned(),
            (WalkState::Failed, ..) => "The log could not be read to the end. The last line of the file says so: export again.".to_owned(),
            (WalkState::Stopped, _, true) => "It was stopped before its end, so it says nothing.".to_owned(),
            (WalkState::Stopped, ..) => "The download was given up before its end.".to_owned(),
            (WalkState::Running | WalkState::Stopping, ..) => String::new(),
        };
        let seconds = walk.seen_at.since(walk.started_at).as_secs();
        let rate = i64::try_from(seconds)
            .ok()
            .and_then(|seconds| walk.walked.checked_div(seconds));
        let rate = rate.map_or_else(String::new, |rate| format!(", {} a second", number(rate)));
        Self {
            id: walk.id.to_string(),
            running: !lost && matches!(walk.state, WalkState::Running | WalkState::Stopping),
            progress: format!("{} of {}{rate}", number(walk.walked), number(walk.total)),
            walked: walk.walked.min(walk.total),
            total: walk.total.max(1),
            by: names.person(walk.user),
            form: walk.purpose.clone(),
            started: brief(walk.started_at),
            started_at: walk.started_at.rfc3339(),
            state,
            tone,
            words,
        }
    }
}

#[derive(Template)]
#[template(path = "audit/verify.html", config = "src/web/askama.toml")]
struct Verify {
    page: Page,
    walks: Vec<Told>,
    running: bool,
}

/// The part of the page that changes.
#[derive(Template)]
#[template(path = "audit/verifying.html", config = "src/web/askama.toml")]
struct Verifying {
    page: Page,
    walks: Vec<Told>,
    running: bool,
}

async fn walks(web: &Web, caller: &Caller) -> Result<(Vec<Told>, bool), Error> {
    let names = Names::of(web, caller).await?;
    let walks = web.audit.verifications(caller.org).await?;
    let told: Vec<Told> = walks
        .iter()
        .map(|walk| Told::of(web, walk, &names))
        .collect();
    let running = told.iter().any(|walk| walk.running);
    Ok((told, running))
}

/// The page.
pub(super) async fn page(
    State(web): State<Web>,
    Reviewer(caller): Reviewer,
) -> Result<Response, Error> {
    let (walks, running) = walks(&web, &caller).await?;
    let page = Page::of(&web, Some(&caller)).at(Place::Audit);
    let shown = Verify {
        page,
        walks,
        running,
    };
    Ok(show_live(StatusCode::OK, &shown))
}

/// How far it is, for the page's script.
pub(super) async fn state(
    State(web): State<Web>,
    Reviewer(caller): Reviewer,
) -> Result<Response, Error> {
    let (walks, running) = walks(&web, &caller).await?;
    let page = Page::of(&web, Some(&caller)).at(Place::Audit);
    let part = Verifying {
        page,
        walks,
        running,
    };
    Ok(show(StatusCode::OK, &part))
}

/// Starts it. When one is under way already, that one is shown.
pub(super) async fn start(
    State(web): State<Web>,
    Reviewer(caller): Reviewer,
    Form(form): Form<TokenForm>,
) -> Result<Response, Error> {
    check(&web, &caller, &form.csrf)?;
    web.audit.start_verifying(&caller).await?;
    Ok(to(&web, "/verify"))
}

#[derive(Deserialize)]
pub(super) struct StopForm {
    #[serde(default)]
    csrf: String,
    #[serde(default)]
    id: String,
}

/// Stops it.
pub(super) async fn stop(
    State(web): State<Web>,
    Reviewer(caller): Reviewer,
    Form(form): Form<StopForm>,
) -> Result<Response, Error> {
    check(&web, &caller, &form.csrf)?;
    let id: CallId = form.id.parse().map_err(|_| Error::NotFound)?;
    // One that ended meanwhile needs no stopping.
    web.audit.stop_walk(caller.org, id).await?;
    Ok(to(&web, "/verify"))
}
