//! Looking at a JSON-RPC message before rmcp does, so that what is wrong with it is answered precisely
//! (JSON-RPC 2.0 §5.1), and the answers to requests that never reach the handler.

use std::borrow::Cow;
use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

use super::Body;

/// Largest message, in bytes.
pub(super) const MAX_BYTES: usize = 1024 * 1024;
/// Deepest nesting of a message.
const MAX_DEPTH: usize = 64;
/// Longest wait for a message's last byte.
const PATIENCE: Duration = Duration::from_secs(30);

/// JSON-RPC 2.0 §5.1.
pub(super) const PARSE_ERROR: i32 = -32700;
/// JSON-RPC 2.0 §5.1.
pub(super) const INVALID_REQUEST: i32 = -32600;
/// JSON-RPC 2.0 §5.1.
pub(super) const INVALID_PARAMS: i32 = -32602;
/// The range that JSON-RPC leaves to servers; used for refusals that carry their meaning in the HTTP status.
pub(super) const REFUSED: i32 = -32000;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A message as far as it is looked at here.
#[derive(Deserialize)]
pub(super) struct Message<'a> {
    #[serde(borrow, default)]
    jsonrpc: Option<Cow<'a, str>>,
    /// As written; `None` for notifications.
    #[serde(borrow, default)]
    pub(super) id: Option<&'a RawValue>,
    /// `None` for answers to our requests.
    #[serde(borrow, default)]
    pub(super) method: Option<Cow<'a, str>>,
    /// As written.
    #[serde(borrow, default)]
    pub(super) params: Option<&'a RawValue>,
    #[serde(borrow, default)]
    result: Option<&'a RawValue>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
}

/// Why a message is refused.
pub(super) struct Refusal {
    /// The HTTP status.
    pub(super) status: StatusCode,
    /// The JSON-RPC code.
    pub(super) code: i32,
    /// One sentence.
    pub(super) message: Cow<'static, str>,
    /// The message's id as written, when it could be read.
    pub(super) id: Option<String>,
}

impl Refusal {
    /// A refusal of a message whose id is not known.
    pub(super) fn new(
        status: StatusCode,
        code: i32,
        message: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self {
            status,
            code,
            message: message.into(),
            id: None,
        }
    }

    fn bad(code: i32, message: &'static str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, message)
    }

    /// Adds the id it answers.
    #[must_use]
    pub(super) fn to(mut self, id: Option<&RawValue>) -> Self {
        self.id = id.map(|id| id.get().to_owned());
        self
    }

    /// The HTTP answer.
    pub(super) fn response(self) -> Response<Body> {
        let id = self
            .id
            .and_then(|id| serde_json::from_str(&id).ok())
            .unwrap_or(serde_json::Value::Null);
        let body = json!({ "jsonrpc": "2.0", "id": id, "error": { "code": self.code, "message": self.message } });
        let mut response = Response::new(Full::new(Bytes::from(body.to_string())).boxed());
        *response.status_mut() = self.status;
        response
            .headers_mut()
            .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        response
            .headers_mut()
            .insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response
    }
}

impl<'a> Message<'a> {
    /// Reads one message, or says exactly what is wrong with it.
    pub(super) fn read(bytes: &'a [u8]) -> Result<Self, Refusal> {
        if depth(bytes) > MAX_DEPTH {
            return Err(Refusal::bad(
                INVALID_REQUEST,
                "the message is nested more than 64 levels deep",
            ));
        }
        if bytes.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[') {
            return Err(match serde_json::from_slice::<&RawValue>(bytes) {
                Ok(_) => Refusal::bad(
                    INVALID_REQUEST,
                    "batches are not supported; send one message per request",
                ),
                Err(_) => Refusal::bad(PARSE_ERROR, "the body is not valid JSON"),
            });
        }
        let message: Self = serde_json::from_slice(bytes).map_err(|error| {
            if error.is_data() {
                Refusal::bad(INVALID_REQUEST, "the body is not a JSON-RPC message")
            } else {
                Refusal::bad(PARSE_ERROR, "the body is not valid JSON")
            }
        })?;
        if let Some(id) = message.id
            && !id.get().starts_with('"')
            && id.get().parse::<i64>().is_err()
        {
            return Err(Refusal::bad(
                INVALID_REQUEST,
                "`id` must be a string or an integer",
            ));
        }
        let wrong = |text| Err(Refusal::bad(INVALID_REQUEST, text).to(message.id));
        if message.jsonrpc.as_deref() != Some("2.0") {
            return wrong("`jsonrpc` must be \"2.0\"");
        }
        if message.method.is_none() && message.result.is_none() && message.error.is_none() {
            return wrong("the message has neither `method` nor `result` nor `error`");
        }
        if message
            .params
            .is_some_and(|params| !params.get().starts_with('{'))
        {
            return Err(Refusal::bad(INVALID_PARAMS, "`params` must be an object").to(message.id));
        }
        Ok(message)
    }

    /// Whether this is the request `method`.
    pub(super) fn is(&self, method: &str) -> bool {
        self.id.is_some() && self.method.as_deref() == Some(method)
    }
}

/// Reads a whole body of at most [`MAX_BYTES`].
pub(super) async fn read_body<B>(body: B) -> Result<Bytes, Refusal>
where
    B: hyper::body::Body + Send,
    B::Error: Into<BoxError>,
{
    match tokio::time::timeout(PATIENCE, Limited::new(body, MAX_BYTES).collect()).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Refusal::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            INVALID_REQUEST,
            "the message is larger than 1 MiB",
        )),
        Ok(Err(_)) => Err(Refusal::bad(INVALID_REQUEST, "the body could not be read")),
        Err(_) => Err(Refusal::new(
            StatusCode::REQUEST_TIMEOUT,
            INVALID_REQUEST,
            "the body did not arrive in time",
        )),
    }
}

/// Whether the body claims to be JSON.
pub(super) fn is_json(headers: &HeaderMap) -> bool {
    headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .is_some_and(|essence| essence.trim().eq_ignore_ascii_case("application/json"))
}

/// A body of exactly these bytes.
pub(super) fn full(bytes: Bytes) -> Full<Bytes> {
    Full::new(bytes)
}

/// An answer without content.
pub(super) fn empty(status: StatusCode) -> Response<Body> {
    let body: http_body_util::combinators::BoxBody<Bytes, Infallible> =
        Full::new(Bytes::new()).boxed();
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response
}

/// The deepest nesting of brackets outside strings. Looks at bytes only, so it is cheap and never recurses.
fn depth(bytes: &[u8]) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0_usize);
    let (mut quoted, mut escaped) = (false, false);
    for byte in bytes {
        if quoted {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => quoted = false,
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => quoted = true,
            b'[' | b'{' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_with_a_message_is_named() {
        let deep = format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"x","params":{}1{}}}"#,
            r#"{"a":"#.repeat(70),
            "}".repeat(70)
        );
        for (text, code, id) in [
            ("", PARSE_ERROR, None),
            ("{", PARSE_ERROR, None),
            ("[1,", PARSE_ERROR, None),
            ("nonsense", PARSE_ERROR, None),
            (
                r#"{"jsonrpc":"2.0","id":1,"method":"ping"} x"#,
                PARSE_ERROR,
                None,
            ),
            ("null", INVALID_REQUEST, None),
            ("\"ping\"", INVALID_REQUEST, None),
            ("[]", INVALID_REQUEST, None),
            (
                r#"[{"jsonrpc":"2.0","id":1,"method":"ping"}]"#,
                INVALID_REQUEST,
                None,
            ),
            (
                r#"{"jsonrpc":"2.0","id":1.5,"method":"ping"}"#,
                INVALID_REQUEST,
                None,
            ),
            (
                r#"{"jsonrpc":"2.0","id":{},"method":"ping"}"#,
                INVALID_REQUEST,
                None,
            ),
            (
                r#"{"jsonrpc":"2.0","id":1,"method":7}"#,
                INVALID_REQUEST,
                None,
            ),
            (
                r#"{"jsonrpc":"1.0","id":1,"method":"ping"}"#,
                INVALID_REQUEST,
                Some("1"),
            ),
            (
                r#"{"id":"a","method":"ping"}"#,
                INVALID_REQUEST,
                Some("\"a\""),
            ),
            (r#"{"jsonrpc":"2.0","id":1}"#, INVALID_REQUEST, Some("1")),
            (
                r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":[]}"#,
                INVALID_PARAMS,
                Some("1"),
            ),
            (deep.as_str(), INVALID_REQUEST, None),
        ] {
            let refusal = Message::read(text.as_bytes()).err();
            assert_eq!(
                refusal.map(|refusal| (refusal.code, refusal.id)),
                Some((code, id.map(ToOwned::to_owned))),
                "{text}"
            );
        }
        assert!(
            Message::read(br#" {"jsonrpc":"2.0","id":1,"method":"ping","params":{"a":"[[[["}}"#)
                .is_ok()
        );
        assert!(
            Message::read(br#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#).is_ok()
        );
        assert!(Message::read(br#"{"jsonrpc":"2.0","id":1,"result":{}}"#).is_ok());
    }
}
