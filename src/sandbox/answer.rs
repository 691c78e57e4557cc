//! A whole answer, before a fault may spoil it on its way out.

use axum::body::{Body, Bytes};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, LOCATION};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use serde_json::Value;

/// Status, headers and all of the body.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Answer {
    pub(super) fn empty(status: StatusCode) -> Self {
        Self {
            status,
            headers: HeaderMap::new(),
            body: Bytes::new(),
        }
    }

    pub(super) fn json(status: StatusCode, body: &Value) -> Self {
        Self::text(status, "application/json", body.to_string())
    }

    pub(super) fn text(status: StatusCode, media_type: &'static str, body: String) -> Self {
        let mut answer = Self::empty(status).header(CONTENT_TYPE, media_type);
        answer.body = body.into();
        answer
    }

    /// A redirect that always becomes a GET.
    pub(super) fn see_other(location: &str) -> Self {
        Self::empty(StatusCode::SEE_OTHER).header(LOCATION, location)
    }

    /// Sets a header; a value that cannot be one is left out.
    pub(super) fn header(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.insert(name, value);
        }
        self
    }

    /// Tokens, codes and pages about them are nobody's to keep (RFC 6749 §5.1).
    pub(super) fn no_store(self) -> Self {
        self.header(CACHE_CONTROL, "no-store")
    }

    /// The answer as it is.
    pub(super) fn into_response(self) -> Response<Body> {
        let body = Body::from(self.body.clone());
        self.with_body(body)
    }

    /// The answer's head with another body.
    pub(super) fn with_body(self, body: Body) -> Response<Body> {
        let mut response = Response::new(body);
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        response
    }
}
