//! Filters with a name.

use axum::Form;
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use serde::Deserialize;

use super::filter::Asked;
use super::{Reviewer, check, to};
use crate::web::Web;
use crate::web::error::Error;
use crate::web::pages::{Message, Page, Place, show};

/// Longest name, in characters.
const MAX_CHARS: usize = 60;

#[derive(Deserialize)]
pub(super) struct ViewForm {
    #[serde(default)]
    csrf: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    query: String,
    /// `on` when others see it too.
    #[serde(default)]
    shared: String,
}

/// Saves the filter under its name, over the one that had it.
pub(super) async fn save(
    State(web): State<Web>,
    Reviewer(caller): Reviewer,
    Form(form): Form<ViewForm>,
) -> Result<Response, Error> {
    check(&web, &caller, &form.csrf)?;
    let query = Asked::parse(&form.query).filter().query();
    let name = form.name.trim();
    let fits = (1..=MAX_CHARS).contains(&name.chars().count()) && !name.contains(char::is_control);
    let problem = if !fits {
        Some(format!(
            "Give the view a name of at most {MAX_CHARS} characters."
        ))
    } else if web
        .audit
        .save_view(&caller, name, &query, form.shared == "on")
        .await?
    {
        None
    } else {
        Some("You have as many saved views as there can be. Delete one first.".to_owned())
    };
    let Some(problem) = problem else {
        return Ok(to(&web, &format!("?{query}")));
    };
    let page = Page::of(&web, Some(&caller)).at(Place::Audit);
    let message = Message {
        actions: vec![(
            "Back to the list".to_owned(),
            format!("{}admin/audit?{query}", page.base),
        )],
        page,
        title: "The view is not saved".to_owned(),
        tone: "bad",
        lines: vec![problem],
        close: false,
    };
    Ok(show(StatusCode::UNPROCESSABLE_ENTITY, &message))
}

/// Deletes a view of one's own; one that is gone already needs no deleting.
pub(super) async fn delete(
    State(web): State<Web>,
    Reviewer(caller): Reviewer,
    Form(form): Form<ViewForm>,
) -> Result<Response, Error> {
    check(&web, &caller, &form.csrf)?;
    web.audit.delete_view(&caller, form.name.trim()).await?;
    let query = Asked::parse(&form.query).filter().query();
    Ok(to(&web, &format!("?{query}")))
}
