//! Microsoft Graph's ways: the version in every path, whose mailbox it is, pages that are links, several requests in one.

use std::collections::HashMap;

use http::{HeaderMap, HeaderName, Method};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::kit::args::Cursor;
use crate::kit::client::{Failure, Request};
use crate::kit::error::ProviderError;
use crate::kit::text;
use crate::kit::tool::Cx;

/// The version of the API that all paths begin with.
const VERSION: &str = "v1.0";
/// `Prefer` (RFC 7240).
const PREFER: HeaderName = HeaderName::from_static("prefer");
/// Ids that stay the same when a message or event is moved. Sent with every request (`Api::headers`); one that prefers
/// something else too says it again.
pub(super) const IMMUTABLE: &str = r#"IdType="ImmutableId""#;
/// The largest answer with many whole messages or events, in bytes: their texts cannot be asked for in part.
pub(super) const WHOLE_BYTES: usize = 32 * 1024 * 1024;
/// Most requests of one `$batch`.
pub(super) const BATCH: usize = 20;

/// The path below the version.
pub(super) fn path<'a>(rest: &[&'a str]) -> Vec<&'a str> {
    let mut path = Vec::with_capacity(rest.len() + 1);
    path.push(VERSION);
    path.extend_from_slice(rest);
    path
}

/// The path of something in a mailbox or calendar: the caller's own when `mailbox` is empty, else that of the user with
/// this id or address.
pub(super) fn of<'a>(mailbox: &'a str, rest: &[&'a str]) -> Vec<&'a str> {
    let mut path = match mailbox {
        "" => vec![VERSION, "me"],
        mailbox => vec![VERSION, "users", mailbox],
    };
    path.extend_from_slice(rest);
    path
}

/// A list as Graph answers it.
#[derive(Debug, Deserialize)]
#[serde(bound(deserialize = "T: DeserializeOwned"))]
pub(super) struct Page<T> {
    /// The records of this page.
    #[serde(default = "Vec::new")]
    pub(super) value: Vec<T>,
    /// The address of the next page.
    #[serde(rename = "@odata.nextLink")]
    pub(super) next: Option<String>,
    /// The address that later answers what changed since.
    #[serde(rename = "@odata.deltaLink")]
    pub(super) delta: Option<String>,
}

impl<T> Page<T> {
    /// Where the next page starts, for the caller.
    pub(super) fn cursor(&self) -> Option<Cursor> {
        self.next.clone().map(Cursor)
    }
}

/// The page that a cursor of [`Page::cursor`] names. Its address holds every option of the first request; headers are
/// the caller's to add again.
pub(super) fn follow(cx: &Cx, cursor: &Cursor) -> Request {
    cx.api.follow(Method::GET, &cursor.0)
}

/// Preferences of a request; Graph reads one header with commas.
pub(super) fn prefer(request: Request, preferences: &[&str]) -> Request {
    let mut all = vec![IMMUTABLE];
    all.extend_from_slice(preferences);
    request.header(PREFER, &all.join(", "))
}

/// Text in the single quotes of an OData filter.
pub(super) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// Words of a search before conditions of ours: an `OR` among them would let what it finds pass by those.
pub(super) fn grouped(words: &str) -> String {
    let mut parts = words.split(|c: char| !c.is_alphanumeric());
    if parts.any(|part| part == "OR") {
        format!("({words})")
    } else {
        words.to_owned()
    }
}

/// One short word for a list of versions (FNV-1a; it only has to differ when they do, and nobody gains by a collision).
pub(super) fn digest(versions: &[&str]) -> String {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for version in versions {
        for byte in version.bytes().chain([0]) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
    format!("{hash:016x}-{}", versions.len())
}

/// One request of a `$batch`.
#[derive(Debug)]
pub(super) struct Step {
    method: Method,
    url: String,
    body: Option<Value>,
}

impl Step {
    /// A request for the path below the version; its segments are encoded, and none may climb.
    pub(super) fn new(method: Method, path: &[&str]) -> Result<Self, ProviderError> {
        let mut url = String::new();
        for segment in path {
            if segment.is_empty() || segment.chars().all(|c| c == '.') {
                return Err(ProviderError::BadSegment(text::clip(segment, 80)));
            }
            url.push('/');
            url.push_str(&crate::kit::uri::encode(segment));
        }
        Ok(Self {
            method,
            url,
            body: None,
        })
    }

    /// Adds options, encoded already.
    pub(super) fn query(mut self, options: &'static str) -> Self {
        self.url.push('?');
        self.url.push_str(options);
        self
    }

    /// Adds a body.
    pub(super) fn json(mut self, body: Value) -> Self {
        self.body = Some(body);
        self
    }
}

#[derive(Deserialize)]
struct Responses {
    responses: Vec<Answered>,
}

#[derive(Deserialize)]
struct Answered {
    id: String,
    status: u16,
    #[serde(default)]
    headers: HashMap<String, String>,
    #[serde(default)]
    body: Value,
}

impl Answered {
    /// The body, or the refusal as the same answer outside of a batch would be read.
    fn result(self, cx: &Cx) -> Result<Value, ProviderError> {
        if (200..300).contains(&self.status) {
            return Ok(self.body);
        }
        // A header that cannot be one says nothing.
        let headers = HeaderMap::try_from(&self.headers).unwrap_or_default();
        Err(cx.api.refusal(&Failure {
            status: self.status,
            headers: &headers,
            body: &self.body,
        }))
    }
}

/// Sends at most [`BATCH`] requests as one, and answers each one's body, or what was wrong with it, in their order.
pub(super) async fn batch(
    cx: &Cx,
    steps: Vec<Step>,
) -> Result<Vec<Result<Value, ProviderError>>, ProviderError> {
    let count = steps.len();
    let reads = steps.iter().all(|step| step.method == Method::GET);
    let requests: Vec<Value> = steps
        .into_iter()
        .enumerate()
        .map(|(index, step)| {
            let mut request = json!({
                "id": index.to_string(), "method": step.method.as_str(), "url": step.url,
                "headers": { "Prefer": IMMUTABLE },
            });
            if let Some(body) = step.body {
                request["body"] = body;
                request["headers"]["Content-Type"] = json!("application/json");
            }
            request
        })
        .collect();
    let mut request = cx
        .api
        .post(&path(&["$batch"]))
        .json(&json!({ "requests": requests }))
        .max_bytes(WHOLE_BYTES);
    if reads {
        request = request.reads();
    }
    let answer: Responses = request.send().await?;
    let unanswered = ProviderError::Unavailable {
        reason: "it was left unanswered".to_owned(),
    };
    let mut results = vec![Err(unanswered); count];
    for answered in answer.responses {
        let place = answered
            .id
            .parse::<usize>()
            .ok()
            .and_then(|index| results.get_mut(index));
        if let Some(place) = place {
            *place = answered.result(cx);
        }
    }
    Ok(results)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test says what went wrong by failing")]
    use super::*;

    #[test]
    fn a_mailbox_switches_the_path() {
        assert_eq!(of("", &["messages"]), ["v1.0", "me", "messages"]);
        assert_eq!(
            of("team@acme.example", &["events", "7"]),
            ["v1.0", "users", "team@acme.example", "events", "7"]
        );
        assert_eq!(path(&["sites"]), ["v1.0", "sites"]);
    }

    #[test]
    fn steps_of_a_batch_keep_their_depth() {
        let step = Step::new(Method::GET, &["me", "messages", "a/b=?"]).unwrap();
        assert_eq!(step.url, "/me/messages/a%2Fb%3D%3F");
        assert!(Step::new(Method::GET, &["me", ".."]).is_err());
        assert!(Step::new(Method::GET, &["me", ""]).is_err());
    }

    #[test]
    fn alternatives_stay_together() {
        assert_eq!(grouped("plan OR budget"), "(plan OR budget)");
        assert_eq!(grouped("ORDER or \"go live\""), "ORDER or \"go live\"");
        assert_eq!(grouped(""), "");
    }

    #[test]
    fn quotes_are_doubled() {
        assert_eq!(quoted("O'Neil"), "'O''Neil'");
    }
}
