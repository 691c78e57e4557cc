//! The API: answers requests with the exchanges of the fixtures.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderName, StatusCode, header};
use serde_json::{Map, Value};
use time::Duration;

use super::Asked;
use super::answer::Answer;
use super::dates;
use super::dialect::{self, Denial};
use super::fixtures::{Exchange, Response};
use super::providers::Account;
use super::state::ProviderState;
use crate::clock::Timestamp;

/// Answered when a strict book does not know a request. No provider has this status.
const UNEXPECTED: u16 = 599;

/// How closely a request must follow an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Matching {
    /// An exact exchange, else the success of the same method and path that agrees most.
    Relaxed,
    /// An exact exchange; everything else is noted for [`Book::complaints`].
    Strict,
}

/// The exchanges a provider knows.
#[derive(Debug)]
pub(super) struct Book {
    matching: Matching,
    /// With how often each was used.
    exchanges: Vec<(Exchange, u32)>,
    unexpected: Vec<String>,
}

/// A request as exchanges describe them.
struct Question<'a> {
    method: &'a str,
    path: &'a str,
    query: BTreeMap<String, String>,
    body: Option<Value>,
}

/// Answers a request to the API.
pub(super) fn answer(state: &mut ProviderState, asked: &Asked, now: Timestamp) -> Answer {
    let account = if state.provider.is_open() {
        None
    } else {
        let token = bearer(&asked.headers);
        let key = token.and_then(|token| state.provider.account_of_key(token));
        let grant = token.ok_or(Denial::NoToken);
        match key {
            Some(account) => Some(account),
            None => match grant.and_then(|token| state.bearer(token, now)) {
                Ok(grant) => Some(grant.account),
                Err(denial) => return dialect::denied(state.provider, denial),
            },
        }
    };
    let question = Question {
        method: asked.method.as_str(),
        path: &asked.path,
        query: query(asked),
        body: body(asked),
    };
    match state.book.matching {
        Matching::Strict => match state.book.exact(&question) {
            Ok(response) => replay(response, &Map::new(), Duration::ZERO),
            Err(complaint) => {
                let status =
                    StatusCode::from_u16(UNEXPECTED).unwrap_or(StatusCode::NOT_IMPLEMENTED);
                Answer::text(status, "text/plain", complaint)
            }
        },
        Matching::Relaxed => {
            let identity = account.and_then(|account| identity(account, &question));
            let by = dates::moved_by(now);
            match (state.book.closest(&question), identity) {
                (Some(found), Some(identity)) if found.is_success() => replay(found, &identity, by),
                (_, Some(identity)) => Answer::json(StatusCode::OK, &Value::Object(identity)),
                (Some(found), None) => replay(found, &Map::new(), by),
                (None, None) => dialect::denied(state.provider, Denial::NotFound),
            }
        }
    }
}

/// The bearer token (RFC 6750 §2.1); GitHub's older word `token` is taken too.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    let known = scheme.eq_ignore_ascii_case("bearer") || scheme.eq_ignore_ascii_case("token");
    known.then(|| token.trim())
}

/// Parameters as exchanges write them: one that is sent several times stands there once, its values joined by commas.
fn query(asked: &Asked) -> BTreeMap<String, String> {
    let mut query = BTreeMap::new();
    for (name, value) in &asked.query {
        query
            .entry(name.clone())
            .and_modify(|before: &mut String| *before = format!("{before},{value}"))
            .or_insert_with(|| value.clone());
    }
    query
}

/// A body as exchanges write it: JSON, a form as an object of strings, other text as a string.
fn body(asked: &Asked) -> Option<Value> {
    if asked.body.is_empty() {
        return None;
    }
    if asked.is_form() {
        let fields = url::form_urlencoded::parse(&asked.body).into_owned();
        return Some(Value::Object(
            fields
                .map(|(name, value)| (name, Value::String(value)))
                .collect(),
        ));
    }
    let json = serde_json::from_slice(&asked.body);
    Some(
        json.unwrap_or_else(|_| match std::str::from_utf8(&asked.body) {
            Ok(text) => text.into(),
            Err(_) => format!("base64:{}", STANDARD.encode(&asked.body)).into(),
        }),
    )
}

/// What the signed-in account's own document says at this path.
fn identity(account: &Account, question: &Question<'_>) -> Option<Map<String, Value>> {
    let (_, text) = account
        .identity
        .iter()
        .find(|(path, _)| question.method == "GET" && *path == question.path)?;
    serde_json::from_str(text).ok()
}

/// Sends a fixture's answer, with `instead` in place of members of the same names and planned dates moved.
fn replay(response: &Response, instead: &Map<String, Value>, by: Duration) -> Answer {
    let status = StatusCode::from_u16(response.status).unwrap_or(StatusCode::NOT_IMPLEMENTED);
    let mut answer = match (&response.body, &response.text) {
        (Some(body), _) => {
            let mut body = body.clone();
            dates::move_planned(&mut body, by);
            if let Some(members) = body.as_object_mut() {
                members.extend(instead.clone());
            }
            Answer::json(status, &body)
        }
        (None, Some(text)) => Answer::text(status, "text/plain", text.clone()),
        (None, None) => {
            let mut answer = Answer::empty(status);
            // What cannot be decoded is a broken fixture, and an empty answer shows it.
            let bytes = response.base64.as_deref().unwrap_or_default();
            answer.body = STANDARD.decode(bytes).unwrap_or_default().into();
            answer
        }
    };
    for (name, value) in &response.headers {
        // The server says these itself, about the body as it really is.
        let framing = ["content-length", "transfer-encoding", "connection"]
            .iter()
            .any(|own| name.eq_ignore_ascii_case(own));
        if let (Ok(name), false) = (HeaderName::from_bytes(name.as_bytes()), framing) {
            answer = answer.header(name, value);
        }
    }
    answer
}

impl Book {
    pub(super) fn new(matching: Matching, exchanges: Vec<Exchange>) -> Self {
        Self {
            matching,
            exchanges: exchanges
                .into_iter()
                .map(|exchange| (exchange, 0))
                .collect(),
            unexpected: Vec::new(),
        }
    }

    /// What was asked and not listed, and what was listed and not asked.
    pub(super) fn complaints(&self) -> Vec<String> {
        if self.matching == Matching::Relaxed {
            return Vec::new();
        }
        let unused = self.exchanges.iter().filter(|(_, used)| *used == 0);
        let unused = unused.map(|(exchange, _)| {
            let request = &exchange.request;
            format!("unused: {} {}", request.method, request.path)
        });
        self.unexpected.iter().cloned().chain(unused).collect()
    }

    /// The least used of the exchanges that fit, so that the same request may be answered differently the second time.
    /// The complaint, which is noted, when none fits.
    fn exact(&mut self, question: &Question<'_>) -> Result<&Response, String> {
        let fitting = self
            .exchanges
            .iter_mut()
            .filter(|(exchange, _)| question.fits(exchange));
        if let Some((exchange, used)) = fitting.min_by_key(|(_, used)| *used) {
            *used += 1;
            return Ok(&exchange.response);
        }
        let complaint = question.complaint();
        self.unexpected.push(complaint.clone());
        Err(complaint)
    }

    /// An exact success, else an exact failure, else the success that agrees most; the first of equals, so that the
    /// demo always answers the same.
    fn closest(&self, question: &Question<'_>) -> Option<&Response> {
        let all = || self.exchanges.iter().map(|(exchange, _)| exchange);
        let mut exact: Vec<_> = all().filter(|exchange| question.fits(exchange)).collect();
        exact.sort_by_key(|exchange| !exchange.response.is_success());
        let found = exact.into_iter().next().or_else(|| {
            // `max_by_key` takes the last of equals, hence the reversal.
            let related = all().filter(|exchange| {
                exchange.response.is_success()
                    && exchange.request.method == question.method
                    && exchange.request.path == question.path
            });
            let related: Vec<_> = related.collect();
            related
                .into_iter()
                .rev()
                .max_by_key(|exchange| question.agreement(exchange))
        });
        found.map(|exchange| &exchange.response)
    }
}

impl Question<'_> {
    fn fits(&self, exchange: &Exchange) -> bool {
        let request = &exchange.request;
        request.method == self.method
            && request.path == self.path
            && request.query == self.query
            && request.body == self.body
    }

    /// How many parameters and leaves of the body are the same, less those that are not.
    fn agreement(&self, exchange: &Exchange) -> i64 {
        let leaves = |query: &BTreeMap<String, String>, body: &Option<Value>| {
            let mut leaves = BTreeMap::new();
            for (name, value) in query {
                leaves.insert(format!("?{name}"), value.clone());
            }
            if let Some(body) = body {
                flatten(body, "", &mut leaves);
            }
            leaves
        };
        let ours = leaves(&self.query, &self.body);
        let theirs = leaves(&exchange.request.query, &exchange.request.body);
        let same = ours
            .iter()
            .filter(|(place, value)| theirs.get(*place) == Some(value))
            .count();
        let different = ours.len() + theirs.len() - 2 * same;
        // What agrees counts first; among equals the exchange that says least else is the closer one.
        let [same, different] =
            [same, different].map(|n| i64::try_from(n).unwrap_or(i64::MAX / 2_048));
        same * 1_024 - different
    }

    fn complaint(&self) -> String {
        let query = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(&self.query)
            .finish();
        let body = self.body.as_ref().map(ToString::to_string);
        format!(
            "unexpected: {} {}?{query} {}",
            self.method,
            self.path,
            body.unwrap_or_default()
        )
    }
}

/// The leaves of a JSON value by their place (in the style of RFC 6901).
fn flatten(value: &Value, place: &str, into: &mut BTreeMap<String, String>) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                flatten(value, &format!("{place}/{name}"), into);
            }
        }
        Value::Array(items) => {
            for (index, value) in items.iter().enumerate() {
                flatten(value, &format!("{place}/{index}"), into);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            into.insert(place.to_owned(), value.to_string());
        }
    }
}
