//! What sent mail asks for: the picture that tells of an opening, and the links that lead on. Open to everyone, without
//! cookies, and silent about whether a message exists.

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, LOCATION, REFERRER_POLICY};

use super::Web;
use super::error::Error;

/// A transparent GIF of one pixel.
const PIXEL: &[u8] = b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\x00\x00\x00!\xf9\x04\x01\x00\x00\x00\x00,\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x01D\x00;";

/// The picture; the same for every word, so that nobody can try out which are ours.
pub(super) async fn opened(State(web): State<Web>, Path(signed): Path<String>) -> Response {
    if let Err(error) = web.tracking.opened(&signed).await {
        tracing::warn!(error = %error, "an opening was not counted");
    }
    let headers = [(CONTENT_TYPE, "image/gif"), (CACHE_CONTROL, "no-store")];
    (headers, PIXEL).into_response()
}

/// Leads on to where the link's sender pointed it.
pub(super) async fn followed(
    State(web): State<Web>,
    Path(signed): Path<String>,
) -> Result<Response, Error> {
    let target = web
        .tracking
        .followed(&signed)
        .await
        .ok_or(Error::NotFound)?;
    let headers = [
        (LOCATION, target.as_str()),
        (CACHE_CONTROL, "no-store"),
        (REFERRER_POLICY, "no-referrer"),
    ];
    Ok((StatusCode::FOUND, headers).into_response())
}
