//! Files that are part of the binary: style, script, drawings.

use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};

use super::error::Error;
use crate::integrations;

/// The files of the pages, by name.
const FILES: &[(&str, &str)] = &[
    ("app.css", include_str!("assets/app.css")),
    ("audit.css", include_str!("assets/audit.css")),
    ("audit.js", include_str!("assets/audit.js")),
    ("connect.js", include_str!("assets/connect.js")),
    ("copy.js", include_str!("assets/copy.js")),
    ("mark.svg", include_str!("assets/mark.svg")),
    ("popup.js", include_str!("assets/popup.js")),
    ("try.css", include_str!("assets/try.css")),
    ("try.js", include_str!("assets/try.js")),
];

/// A file of the pages.
pub(super) async fn asset(Path(name): Path<String>) -> Result<Response, Error> {
    let known = FILES.iter().find(|(file, _)| *file == name);
    let (_, text) = known.ok_or(Error::NotFound)?;
    let kind = match name.rsplit_once('.') {
        Some((_, "css")) => "text/css; charset=utf-8",
        Some((_, "js")) => "text/javascript; charset=utf-8",
        _ => "image/svg+xml",
    };
    Ok(file(kind, text))
}

/// The drawing of an integration, which tool lists point to.
pub(super) async fn icon(Path(name): Path<String>) -> Result<Response, Error> {
    let id = name.strip_suffix(".svg").ok_or(Error::NotFound)?;
    if id == "workbench" {
        return Ok(file("image/svg+xml", include_str!("assets/mark.svg")));
    }
    let integration = integrations::integration(id).ok_or(Error::NotFound)?;
    Ok(file("image/svg+xml", integration.icon))
}

fn file(kind: &'static str, text: &'static str) -> Response {
    let headers = [
        (CONTENT_TYPE, kind),
        (CACHE_CONTROL, "public, max-age=3600"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (CONTENT_SECURITY_POLICY, "default-src 'none'; sandbox"),
    ];
    (headers, text).into_response()
}
