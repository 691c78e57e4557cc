//! Files that are part of the binary: style, script, drawings.

use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};

use super::error::Error;
use crate::integrations;

/// A file of the pages.
pub(super) async fn asset(Path(name): Path<String>) -> Result<Response, Error> {
    let (kind, text) = match name.as_str() {
        "app.css" => ("text/css; charset=utf-8", include_str!("assets/app.css")),
        "popup.js" => (
            "text/javascript; charset=utf-8",
            include_str!("assets/popup.js"),
        ),
        "copy.js" => (
            "text/javascript; charset=utf-8",
            include_str!("assets/copy.js"),
        ),
        "try.css" => ("text/css; charset=utf-8", include_str!("assets/try.css")),
        "try.js" => (
            "text/javascript; charset=utf-8",
            include_str!("assets/try.js"),
        ),
        "connect.js" => (
            "text/javascript; charset=utf-8",
            include_str!("assets/connect.js"),
        ),
        "mark.svg" => ("image/svg+xml", include_str!("assets/mark.svg")),
        _ => return Err(Error::NotFound),
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
