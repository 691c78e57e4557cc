//! Audit review, for admins and auditors: a list with filters and a chart, one record in full, a conversation's story,
//! verifying the chain, exporting, saved views. The whole state of the list is its address. Everybody else gets a page that
//! says who may look.
//!
//! What was recorded of arguments and results is for auditors, and opening it is recorded before it is shown
//! ([`crate::audit::AuditLog::open`]). That somebody looked at the log is recorded too.

mod chart;
mod export;
mod filter;
mod list;
mod record;
mod verify;
mod views;

use axum::Router;
use axum::extract::FromRequestParts;
use axum::response::{IntoResponse, Response};
use http::header::CONTENT_SECURITY_POLICY;
use http::request::Parts;
use http::{HeaderValue, StatusCode};
use serde_json::json;

use super::Web;
use super::error::Error;
use super::pages::{self, Message, Page, Place, show};
use super::routing::{get, get_post, post};
use super::session::SignedIn;
use crate::audit::{AdminEvent, AuditError};
use crate::caller::{Caller, Role};

/// The routes below `/admin/audit`.
pub(super) fn routes() -> Router<Web> {
    Router::new()
        .route("/admin/audit", get(list::page))
        .route("/admin/audit/rows", get(list::rows))
        .route("/admin/audit/views", post(views::save))
        .route("/admin/audit/views/delete", post(views::delete))
        .route("/admin/audit/verify", get_post(verify::page, verify::start))
        .route("/admin/audit/verify/state", get(verify::state))
        .route("/admin/audit/verify/stop", post(verify::stop))
        .route(
            "/admin/audit/export",
            get_post(export::page, export::download),
        )
        .route("/admin/audit/export/state", get(export::state))
        .route("/admin/audit/threads/{thread}", get(record::thread))
        .route("/admin/audit/{call}", get_post(record::page, record::open))
}

/// A request of somebody who may look at the log.
struct Reviewer(Caller);

impl FromRequestParts<Web> for Reviewer {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, web: &Web) -> Result<Self, Response> {
        let SignedIn(caller) = SignedIn::from_request_parts(parts, web).await?;
        match caller.role {
            Role::Admin | Role::Auditor => Ok(Self(caller)),
            Role::Member => Err(refused(
                web,
                &caller,
                "The audit log is for admins and auditors. Ask one of them if you need to know something from it.",
            )),
        }
    }
}

/// The page of somebody who may not.
fn refused(web: &Web, caller: &Caller, words: &str) -> Response {
    let message = Message {
        page: Page::of(web, Some(caller)).at(Place::Audit),
        title: "This is not for you to see".to_owned(),
        tone: "bad",
        lines: vec![words.to_owned()],
        actions: vec![("Your accounts".to_owned(), web.links.connections())],
        close: false,
    };
    show(StatusCode::FORBIDDEN, &message)
}

/// A page whose script asks us for more.
fn show_live(status: StatusCode, page: &impl askama::Template) -> Response {
    let mut response = show(status, page);
    if let Ok(policy) = HeaderValue::from_str(&pages::policy_with_requests()) {
        response
            .headers_mut()
            .insert(CONTENT_SECURITY_POLICY, policy);
    }
    response
}

fn check(web: &Web, caller: &Caller, csrf: &str) -> Result<(), Error> {
    if web.auth.is_form_token(caller, csrf) {
        Ok(())
    } else {
        Err(Error::Foreign)
    }
}

/// Records that somebody looked.
async fn looked(web: &Web, caller: &Caller, target: &str, filter: &str) -> Result<(), AuditError> {
    let event = AdminEvent {
        kind: "audit.read",
        target: target.into(),
        detail: json!({ "filter": filter }),
        ..AdminEvent::default()
    };
    web.audit.record(caller, caller.org, event).await
}

/// A number with gaps, as people read it.
fn number(number: i64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) && digit.is_ascii_digit() {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

/// How long something took.
fn duration(micros: i64) -> String {
    match micros {
        i64::MIN..1_000 => format!("{micros} µs"),
        1_000..10_000 => format!("{}.{} ms", micros / 1_000, micros % 1_000 / 100),
        10_000..1_000_000 => format!("{} ms", micros / 1_000),
        1_000_000..60_000_000 => {
            format!("{}.{} s", micros / 1_000_000, micros % 1_000_000 / 100_000)
        }
        _ => format!(
            "{} min {} s",
            micros / 60_000_000,
            micros % 60_000_000 / 1_000_000
        ),
    }
}

/// A time to the second, as tables show it (UTC).
fn brief(at: crate::clock::Timestamp) -> String {
    let text = at.rfc3339();
    text.get(..19).unwrap_or(&text).replace('T', " ")
}

/// To a page of the log.
fn to(web: &Web, path: &str) -> Response {
    let base = Page::of(web, None).base;
    axum::response::Redirect::to(&format!("{base}admin/audit{path}")).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_easily() {
        for (value, expected) in [
            (0, "0"),
            (999, "999"),
            (1_000, "1\u{202f}000"),
            (12_345_678, "12\u{202f}345\u{202f}678"),
        ] {
            assert_eq!(number(value), expected);
        }
        for (micros, expected) in [
            (12, "12 µs"),
            (1_250, "1.2 ms"),
            (20_000, "20 ms"),
            (1_500_000, "1.5 s"),
            (61_000_000, "1 min 1 s"),
        ] {
            assert_eq!(duration(micros), expected);
        }
    }
}
