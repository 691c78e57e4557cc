//! Exporting what a filter shows.

use askama::Template;
use axum::Form;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::StatusCode;
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use serde::Deserialize;

use super::filter::{Asked, Filter, Names};
use super::verify::Told;
use super::{Reviewer, check, number, show_live};
use crate::audit;
use crate::caller::{Caller, Role};
use crate::web::Web;
use crate::web::error::Error;
use crate::web::pages::{Page, Place, show};

#[derive(Template)]
#[template(path = "audit/export.html", config = "src/web/askama.toml")]
struct Export {
    page: Page,
    query: String,
    /// The filter in words.
    parts: Vec<(&'static str, String)>,
    problems: Vec<(&'static str, String)>,
    /// How many records fit, when that is known beforehand.
    estimate: Option<String>,
    whole: bool,
    payloads: bool,
    walks: Vec<Told>,
    running: bool,
}

/// The part of the page that changes.
#[derive(Template)]
#[template(path = "audit/exports.html", config = "src/web/askama.toml")]
struct Exports {
    page: Page,
    walks: Vec<Told>,
    running: bool,
}

async fn walks(web: &Web, caller: &Caller, names: &Names) -> Result<(Vec<Told>, bool), Error> {
    let walks = web.audit.exports(caller.org).await?;
    let told: Vec<Told> = walks
        .iter()
        .map(|walk| Told::of(web, walk, names))
        .collect();
    let running = told.iter().any(|walk| walk.running);
    Ok((told, running))
}

/// What would be exported, and how the latest exports went.
pub(super) async fn page(
    State(web): State<Web>,
    Reviewer(caller): Reviewer,
    asked: Asked,
) -> Result<Response, Error> {
    let names = Names::of(&web, &caller).await?;
    let filter = Filter::of(&web, &caller, &asked, &names).await?;
    show_export(&web, &caller, &asked, &names, filter, StatusCode::OK).await
}

async fn show_export(
    web: &Web,
    caller: &Caller,
    asked: &Asked,
    names: &Names,
    filter: Filter,
    status: StatusCode,
) -> Result<Response, Error> {
    let asked = asked.filter();
    let estimate = if filter.problems.is_empty() {
        web.audit
            .estimate(caller.org, &filter.search, filter.since, filter.until)
            .await?
    } else {
        None
    };
    let (walks, running) = walks(web, caller, names).await?;
    let shown = Export {
        page: Page::of(web, Some(caller)).at(Place::Audit),
        query: asked.query(),
        parts: asked.parts().collect(),
        problems: filter.problems,
        estimate: estimate.map(number),
        whole: asked.is_empty(),
        payloads: caller.role == Role::Auditor,
        walks,
        running,
    };
    Ok(show_live(status, &shown))
}

/// How far the exports are, for the page's script.
pub(super) async fn state(
    State(web): State<Web>,
    Reviewer(caller): Reviewer,
) -> Result<Response, Error> {
    let names = Names::of(&web, &caller).await?;
    let (walks, running) = walks(&web, &caller, &names).await?;
    let page = Page::of(&web, Some(&caller)).at(Place::Audit);
    let part = Exports {
        page,
        walks,
        running,
    };
    Ok(show(StatusCode::OK, &part))
}

#[derive(Deserialize)]
pub(super) struct ExportForm {
    #[serde(default)]
    csrf: String,
    #[serde(default)]
    query: String,
    #[serde(default)]
    form: String,
}

/// The file, written as it is read.
pub(super) async fn download(
    State(web): State<Web>,
    Reviewer(caller): Reviewer,
    Form(form): Form<ExportForm>,
) -> Result<Response, Error> {
    check(&web, &caller, &form.csrf)?;
    let kind = audit::Form::parse(&form.form).ok_or(Error::NotFound)?;
    let asked = Asked::parse(&form.query).filter();
    let names = Names::of(&web, &caller).await?;
    let filter = Filter::of(&web, &caller, &asked, &names).await?;
    if !filter.problems.is_empty() || filter.call.is_some() {
        let status = StatusCode::UNPROCESSABLE_ENTITY;
        return show_export(&web, &caller, &asked, &names, filter, status).await;
    }
    let range = (filter.since, filter.until);
    let download = web
        .audit
        .download(&caller, kind, &filter.search, range, &asked.query())
        .await?;
    let parts = futures_util::stream::unfold(download, |mut download| async move {
        let part = download.next().await?;
        Some((
            Ok::<_, std::convert::Infallible>(Bytes::from(part)),
            download,
        ))
    });
    let day = web.audit.now().rfc3339();
    let day = day.get(..10).unwrap_or_default();
    let content = match kind {
        audit::Form::Lines => "application/jsonl; charset=utf-8",
        audit::Form::Table => "text/csv; charset=utf-8; header=present",
    };
    let headers = [
        (CONTENT_TYPE, content.to_owned()),
        (
            CONTENT_DISPOSITION,
            format!("attachment; filename=\"audit-{day}.{}\"", kind.as_str()),
        ),
    ];
    Ok((headers, Body::from_stream(parts)).into_response())
}
