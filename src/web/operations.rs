//! What operations look at.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::CONTENT_TYPE;

use super::Web;

/// The process runs.
pub(super) async fn healthz() -> &'static str {
    "ok"
}

/// The process can answer calls: the database is there.
pub(super) async fn readyz(State(web): State<Web>) -> Response {
    if (web.ready)().await {
        "ready".into_response()
    } else {
        (
            StatusCode::SERVICE_UNAVAILABLE,
            "the database does not answer",
        )
            .into_response()
    }
}

/// Metrics in the Prometheus text format. Labels come from closed sets and name no person.
pub(super) async fn metrics(State(web): State<Web>) -> Response {
    match &web.metrics {
        Some(metrics) => (
            [(CONTENT_TYPE, "text/plain; version=0.0.4")],
            metrics.render(),
        )
            .into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}
