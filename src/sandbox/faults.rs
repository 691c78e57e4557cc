//! Misbehaviour on demand: each fault spoils one answer, at one place, a given number of times.

use std::convert::Infallible;
use std::io;
use std::time::Duration;

use axum::body::{Body, Bytes};
use flate2::{Compress, Compression, Crc, FlushCompress};
use futures_util::{StreamExt as _, stream};
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, LOCATION};
use http::{HeaderValue, Response, StatusCode};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::Asked;
use super::answer::Answer;
use super::dialect::{self, Denial};
use super::providers::Provider;

/// Where a fault strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// The token endpoint.
    Token,
    /// The revocation and introspection endpoints.
    Revocation,
    /// Everything else that takes a bearer token.
    Api,
}

/// One way of misbehaving. Unless it says otherwise, the request is *not* carried out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Fault {
    /// An OAuth error in the provider's shape: `invalid_grant`, `invalid_client`, or a word of its own.
    Refuse {
        /// The word.
        error: String,
    },
    /// 429 with `Retry-After`.
    RateLimit {
        /// What `Retry-After` says.
        retry_after_s: u64,
    },
    /// An error of this status in the provider's shape, such as 503.
    Fail {
        /// The status.
        status: u16,
    },
    /// 401 that wants the next sign-in to prove these claims, in base64 as the Microsoft identity platform sends them.
    Challenge {
        /// The claims.
        claims: String,
    },
    /// A page of HTML with status 200, as a captive portal or a maintenance page is.
    Html,
    /// Status 200 and JSON that lacks everything: `{}`.
    EmptyObject,
    /// Status 200 and a JSON string that is not UTF-8.
    InvalidUtf8,
    /// Status 200 and arrays nested this deep.
    DeepJson {
        /// Levels.
        depth: usize,
    },
    /// Status 200 and JSON that never ends.
    Endless,
    /// Status 200 and a JSON string of this size, announced in `Content-Length`.
    Oversized {
        /// Size of the body.
        bytes: usize,
    },
    /// Status 200 and a small gzip body that unfolds into this many mebibytes of zeros.
    GzipBomb {
        /// Mebibytes.
        mib: usize,
    },
    /// A redirect (302).
    Redirect {
        /// Where to.
        location: String,
    },
    /// 400 with a body that repeats the whole request, credentials included.
    Echo,
    /// *Carries the request out*, then waits before answering.
    Stall {
        /// How long, in milliseconds.
        ms: u64,
    },
    /// *Carries the request out*, then sends the body byte by byte.
    Drip {
        /// Between two bytes, in milliseconds.
        ms: u64,
    },
    /// *Carries the request out*, then cuts the connection in the middle of the body.
    Truncate,
    /// *Carries the request out*, then cuts the connection before the body: the caller never learns its new tokens.
    CutOff,
    /// The token endpoint answers with tokens of another account; those of the right one stay as they are.
    OtherAccount {
        /// Whose tokens.
        account: String,
    },
}

/// A fault that is still to strike.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Planned {
    /// What.
    pub fault: Fault,
    /// Where.
    pub at: Place,
    /// How many requests yet.
    pub times: u32,
}

/// The fault for a request at `place`: the first planned one. Uses it up.
pub(super) fn next(planned: &mut Vec<Planned>, place: Place) -> Option<Fault> {
    let index = planned
        .iter()
        .position(|fault| fault.at == place && fault.times > 0)?;
    let fault = planned[index].fault.clone();
    planned[index].times -= 1;
    planned.retain(|fault| fault.times > 0);
    Some(fault)
}

impl Fault {
    /// What is answered instead of carrying the request out; `None` when it is carried out.
    pub(super) fn instead(&self, provider: &Provider, asked: &Asked) -> Option<Answer> {
        let json = "application/json";
        Some(match self {
            Self::Refuse { error } => {
                let status = if error == "invalid_client" {
                    StatusCode::UNAUTHORIZED
                } else {
                    StatusCode::BAD_REQUEST
                };
                let message = "the sandbox was told to refuse";
                dialect::refused_with(provider, status, error, message, asked.wants_json())
            }
            Self::RateLimit { retry_after_s } => {
                let retry_after_s = *retry_after_s;
                dialect::denied(provider, Denial::TooMany { retry_after_s })
            }
            Self::Fail { status } => {
                let status = StatusCode::from_u16(*status).unwrap_or(StatusCode::BAD_GATEWAY);
                dialect::denied(provider, Denial::Broken(status))
            }
            Self::Challenge { claims } => {
                let challenge =
                    format!(r#"Bearer realm="", error="insufficient_claims", claims="{claims}""#);
                let denied = dialect::denied(provider, Denial::Broken(StatusCode::UNAUTHORIZED));
                denied.header(http::header::WWW_AUTHENTICATE, &challenge)
            }
            Self::Html => {
                let page = "<!doctype html><title>Maintenance</title><p>Back soon.".to_owned();
                Answer::text(StatusCode::OK, "text/html", page)
            }
            Self::EmptyObject => Answer::text(StatusCode::OK, json, "{}".to_owned()),
            Self::InvalidUtf8 => {
                let mut answer = Answer::empty(StatusCode::OK).header(CONTENT_TYPE, json);
                answer.body = Bytes::from_static(b"{\"access_token\":\"\xff\xfe\"}");
                answer
            }
            Self::DeepJson { depth } => {
                let body = format!("{}{}", "[".repeat(*depth), "]".repeat(*depth));
                Answer::text(StatusCode::OK, json, body)
            }
            Self::Oversized { bytes } => {
                let body = format!("\"{}\"", "a".repeat(bytes.saturating_sub(2)));
                Answer::text(StatusCode::OK, json, body)
            }
            Self::GzipBomb { mib } => {
                let mut answer = Answer::empty(StatusCode::OK)
                    .header(CONTENT_TYPE, json)
                    .header(CONTENT_ENCODING, "gzip");
                answer.body = gzip_of_zeros(*mib).into();
                answer
            }
            Self::Endless => Answer::empty(StatusCode::OK).header(CONTENT_TYPE, json),
            Self::Redirect { location } => {
                Answer::empty(StatusCode::FOUND).header(LOCATION, location)
            }
            Self::Echo => Answer::text(StatusCode::BAD_REQUEST, "text/plain", asked.transcript()),
            Self::Stall { .. }
            | Self::Drip { .. }
            | Self::Truncate
            | Self::CutOff
            | Self::OtherAccount { .. } => return None,
        })
    }

    /// Sends an answer the spoilt way. Waits end when the sandbox stops.
    pub(super) async fn deliver(self, answer: Answer, stop: &CancellationToken) -> Response<Body> {
        match self {
            Self::Stall { ms } => {
                wait(ms, stop).await;
                answer.into_response()
            }
            Self::Drip { ms } => drip(answer, ms, stop.clone()),
            Self::Truncate => cut(answer, Cut::InTheMiddle),
            Self::CutOff => cut(answer, Cut::BeforeTheBody),
            Self::Endless => endless(answer, stop.clone()),
            Self::Refuse { .. }
            | Self::RateLimit { .. }
            | Self::Fail { .. }
            | Self::Challenge { .. }
            | Self::Html
            | Self::EmptyObject
            | Self::InvalidUtf8
            | Self::DeepJson { .. }
            | Self::Oversized { .. }
            | Self::GzipBomb { .. }
            | Self::Redirect { .. }
            | Self::Echo
            | Self::OtherAccount { .. } => answer.into_response(),
        }
    }
}

/// Waits, or less when the sandbox stops.
pub(super) async fn wait(ms: u64, stop: &CancellationToken) {
    let wait = tokio::time::sleep(Duration::from_millis(ms));
    // Which of the two came first makes no difference to the caller.
    let _ = stop.run_until_cancelled(wait).await;
}

/// One gzip member (RFC 1952) of `mib` mebibytes of zeros: the same mebibyte, compressed once, again and again.
fn gzip_of_zeros(mib: usize) -> Vec<u8> {
    let zeros = vec![0; 1_024 * 1_024];
    let mut block = Vec::with_capacity(16 * 1_024);
    // A full flush ends at a byte and leaves nothing to refer back to, so that such blocks can be repeated.
    let compressed = Compress::new(Compression::best(), false).compress_vec(
        &zeros,
        &mut block,
        FlushCompress::Full,
    );
    // Were it to fail, the bomb would be a dud, and its test would say so.
    if compressed.is_err() {
        return Vec::new();
    }
    let mut checksum = Crc::new();
    let mut bytes = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    for _ in 0..mib {
        bytes.extend(&block);
        checksum.update(&zeros);
    }
    // The last block: empty, with fixed codes (RFC 1951 §3.2.6).
    bytes.extend([0x03, 0x00]);
    bytes.extend(checksum.sum().to_le_bytes());
    bytes.extend(checksum.amount().to_le_bytes());
    bytes
}

fn broken() -> io::Result<Bytes> {
    Err(io::ErrorKind::ConnectionAborted.into())
}

#[derive(Clone, Copy)]
enum Cut {
    BeforeTheBody,
    InTheMiddle,
}

/// Announces the whole body, sends less and breaks the connection.
fn cut(answer: Answer, cut: Cut) -> Response<Body> {
    let announced = answer.body.len().max(1);
    let body = match cut {
        Cut::BeforeTheBody => Body::from_stream(stream::iter([broken()])),
        Cut::InTheMiddle => {
            let half = answer.body.slice(..answer.body.len() / 2);
            let rest = stream::once(async move {
                // Lets the server write the half that it has before it learns that there is no more.
                tokio::task::yield_now().await;
                broken()
            });
            Body::from_stream(stream::iter([Ok(half)]).chain(rest))
        }
    };
    let mut response = answer.with_body(body);
    response
        .headers_mut()
        .insert(CONTENT_LENGTH, HeaderValue::from(announced));
    response
}

fn drip(answer: Answer, ms: u64, stop: CancellationToken) -> Response<Body> {
    let bytes = answer.body.clone();
    let body = stream::unfold((bytes, stop), move |(mut bytes, stop)| async move {
        if bytes.is_empty() {
            return None;
        }
        wait(ms, &stop).await;
        let byte = bytes.split_to(1);
        Some((Ok::<_, Infallible>(byte), (bytes, stop)))
    });
    answer.with_body(Body::from_stream(body))
}

fn endless(answer: Answer, stop: CancellationToken) -> Response<Body> {
    const CHUNK: &[u8] = &[b'a'; 64 * 1024];
    let body = stream::once(async { Bytes::from_static(b"{\"padding\":\"") })
        .chain(stream::repeat(Bytes::from_static(CHUNK)))
        .take_until(stop.cancelled_owned())
        .map(Ok::<_, Infallible>);
    answer.with_body(Body::from_stream(body))
}
