//! A request being put together, and what is done until it has its answer.

use std::fmt::Display;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http::header::{ACCEPT, CONTENT_TYPE, IF_NONE_MATCH, LOCATION};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use url::Url;

use super::{Answer, Failure, MAX_BYTES, ProviderClient, Usage};
use crate::kit::error::ProviderError;
use crate::kit::text;

/// Longest wait for one answer, from sending to the last byte.
const TOTAL: Duration = Duration::from_secs(30);
/// Longest silence within an answer.
const IDLE: Duration = Duration::from_secs(10);
/// Longest `Retry-After` that is waited for within a call.
const PATIENCE_S: u64 = 20;
/// How often a safe request is sent at most.
const ATTEMPTS: u32 = 3;

/// A request being put together. Nothing is sent before one of the `send` methods.
#[must_use = "nothing is sent before `send`"]
#[derive(Debug)]
pub struct Request {
    client: ProviderClient,
    method: Method,
    url: Result<Url, ProviderError>,
    headers: HeaderMap,
    body: Option<Vec<u8>>,
    safe: bool,
    download: bool,
    anonymous: bool,
    max_bytes: usize,
}

impl Request {
    pub(super) fn new(
        client: ProviderClient,
        method: Method,
        url: Result<Url, ProviderError>,
    ) -> Self {
        let safe = method == Method::GET || method == Method::HEAD;
        Self {
            client,
            url,
            method,
            headers: HeaderMap::new(),
            body: None,
            safe,
            download: false,
            anonymous: false,
            max_bytes: MAX_BYTES,
        }
    }

    /// Adds a query parameter.
    pub fn query(mut self, name: &str, value: impl Display) -> Self {
        if let Ok(url) = &mut self.url {
            url.query_pairs_mut().append_pair(name, &value.to_string());
        }
        self
    }

    /// Adds a query parameter when there is a value.
    pub fn query_opt(self, name: &str, value: Option<impl Display>) -> Self {
        match value {
            Some(value) => self.query(name, value),
            None => self,
        }
    }

    /// Ends the path with a slash, as some servers want it.
    pub fn slash(mut self) -> Self {
        if let Ok(url) = &mut self.url
            && let Ok(mut segments) = url.path_segments_mut()
        {
            segments.pop_if_empty().push("");
        }
        self
    }

    /// Sets the body.
    pub fn json(mut self, body: &impl Serialize) -> Self {
        match serde_json::to_vec(body) {
            Ok(bytes) => {
                self.body = Some(bytes);
                self.headers
                    .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            }
            Err(error) => {
                self.url = Err(ProviderError::Invalid {
                    message: format!("the request cannot be written: {error}"),
                });
            }
        }
        self
    }

    /// Sets a body that is not JSON, with its media type.
    pub fn body(mut self, media_type: &str, bytes: Vec<u8>) -> Self {
        self.body = Some(bytes);
        self.header(CONTENT_TYPE, media_type)
    }

    /// Sets a form as the body (`application/x-www-form-urlencoded`).
    pub fn form(self, fields: &[(&str, &str)]) -> Self {
        let text = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(fields)
            .finish();
        self.body("application/x-www-form-urlencoded", text.into_bytes())
    }

    /// Sets a header. A value that cannot be one fails the request when it is sent.
    pub fn header(mut self, name: HeaderName, value: &str) -> Self {
        match HeaderValue::from_str(value) {
            Ok(value) => {
                self.headers.insert(name, value);
            }
            Err(_) => {
                self.url = Err(ProviderError::Invalid {
                    message: format!("a value cannot stand in the header `{name}`"),
                });
            }
        }
        self
    }

    /// Asks only for what differs from this version (`If-None-Match`); see [`Request::fresh`].
    pub fn unless(self, version: Option<&str>) -> Self {
        match version {
            Some(version) => self.header(IF_NONE_MATCH, version),
            None => self,
        }
    }

    /// Leaves the credential out: an upload session's address is a credential itself.
    pub const fn anonymous(mut self) -> Self {
        self.anonymous = true;
        self
    }

    /// Asks for this media type instead of JSON.
    pub fn accept(mut self, media_type: &'static str) -> Self {
        self.headers
            .insert(ACCEPT, HeaderValue::from_static(media_type));
        self
    }

    /// Declares that this request only reads although its method is not `GET`, so it may be sent again.
    pub const fn reads(mut self) -> Self {
        self.safe = true;
        self
    }

    /// Reads at most this many bytes instead of [`MAX_BYTES`].
    pub const fn max_bytes(mut self, max_bytes: usize) -> Self {
        self.max_bytes = max_bytes;
        self
    }

    /// Follows a redirect to one of the provider's download hosts, without the credential.
    pub const fn download(mut self) -> Self {
        self.download = true;
        self
    }

    /// Sends it and reads a JSON body.
    pub async fn send<T: DeserializeOwned>(self) -> Result<T, ProviderError> {
        Ok(self.answer().await?.body)
    }

    /// Sends it and reads a JSON body together with status and headers.
    pub async fn answer<T: DeserializeOwned>(self) -> Result<Answer<T>, ProviderError> {
        json(self.raw().await?)
    }

    /// Sends it and reads a JSON body; `None` when the provider says that nothing changed (304).
    pub async fn fresh<T: DeserializeOwned>(self) -> Result<Option<Answer<T>>, ProviderError> {
        let answer = self.raw().await?;
        if answer.status == StatusCode::NOT_MODIFIED.as_u16() {
            return Ok(None);
        }
        json(answer).map(Some)
    }

    /// Sends it and reads the body as it is.
    pub async fn bytes(self) -> Result<Answer<Vec<u8>>, ProviderError> {
        self.raw().await
    }

    /// Sends it and reads the body as text; bytes that are not UTF-8 are replaced.
    pub async fn text(self) -> Result<Answer<String>, ProviderError> {
        let Answer {
            status,
            headers,
            body,
        } = self.raw().await?;
        let body = String::from_utf8(body)
            .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned());
        Ok(Answer {
            status,
            headers,
            body,
        })
    }

    /// Sends it and takes any success for an answer.
    pub async fn done(self) -> Result<(), ProviderError> {
        self.raw().await.map(|_| ())
    }

    /// Sends it; where people share the host, only when the same was not asked before. Boxed, because all that any tool
    /// does is made of it: what waits for several requests at once would be large.
    fn raw(self) -> BoxFuture<'static, Result<Answer<Vec<u8>>, ProviderError>> {
        let shared = self.client.inner.shared.as_ref();
        let shared = shared
            .filter(|_| self.safe && self.url.is_ok())
            .map(|(shared, _)| shared.clone());
        match shared {
            None => self.exchange().boxed(),
            Some(shared) => {
                let (host, asked) = (self.client.host, self.asked());
                let inner = Arc::clone(&self.client.inner);
                let fetch = self.exchange().boxed();
                async move {
                    let (answer, kept_since) = shared.answer(host, asked, fetch).await?;
                    if let Some(since) = kept_since {
                        inner.usage.used_kept(since);
                    }
                    Ok(answer)
                }
                .boxed()
            }
        }
    }

    /// All that the answer depends on.
    fn asked(&self) -> String {
        let url = self.url.as_ref().map_or("", Url::as_str);
        let headers = self.headers.iter().map(|(name, value)| {
            let value = String::from_utf8_lossy(value.as_bytes());
            format!("\n{name}: {value}")
        });
        let headers: String = headers.collect();
        let body = String::from_utf8_lossy(self.body.as_deref().unwrap_or_default());
        format!("{} {url}{headers}\n\n{body}", self.method)
    }

    async fn exchange(self) -> Result<Answer<Vec<u8>>, ProviderError> {
        let inner = Arc::clone(&self.client.inner);
        let home = self.client.base.as_ref().map(|base| base.origin());
        let mut url = self.url?;
        let mut credential = inner.credential.clone();
        let mut renewals = 0;
        let mut hops = 0;
        let mut attempt = 1;
        loop {
            let sent_to = self.client.turn(&url).await?;
            inner.usage.requests.fetch_add(1, Ordering::Relaxed);
            if !self.safe {
                inner.usage.changes.fetch_add(1, Ordering::Relaxed);
            }
            let mut request = inner
                .http
                .request(self.method.clone(), sent_to)
                .timeout(TOTAL);
            let own_host = home.as_ref() == Some(&url.origin()) && !self.anonymous;
            for (name, value) in inner.api.headers {
                request = request.header(*name, *value);
            }
            if !self.headers.contains_key(ACCEPT)
                && !inner.api.headers.iter().any(|(name, _)| *name == "accept")
            {
                request = request.header(ACCEPT, "application/json");
            }
            request = request.headers(self.headers.clone());
            if let (true, Some(credential)) = (own_host, &credential) {
                request = request.header(credential.header.clone(), credential.value.clone());
            }
            if let Some(body) = &self.body {
                request = request.body(body.clone());
            }
            let outcome = match request.send().await {
                Ok(response) => read(response, self.max_bytes, &inner.usage).await,
                Err(error) => Err(Broken::from(&error)),
            };
            let answer = match outcome {
                Ok(answer) => answer,
                Err(broken) => {
                    if !self.safe && broken.unsent {
                        inner.usage.changed_nothing();
                    }
                    // A request that never left may be sent again whatever it does; one that did, only if it reads.
                    if attempt < ATTEMPTS && broken.passing && (self.safe || broken.unsent) {
                        tokio::time::sleep(backoff(attempt)).await;
                        attempt += 1;
                        continue;
                    }
                    return Err(broken.error);
                }
            };
            let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::BAD_GATEWAY);
            if status.is_success() || status == StatusCode::NOT_MODIFIED {
                return Ok(answer);
            }
            if !self.safe && status.is_client_error() && status != StatusCode::REQUEST_TIMEOUT {
                inner.usage.changed_nothing();
            }
            if status.is_redirection() {
                hops += 1;
                let allowed = self.safe && hops <= 3;
                url = next_hop(&self.client, &url, &answer, allowed, self.download)?;
                continue;
            }
            // A host that never saw the credential does not speak of it.
            if status == StatusCode::UNAUTHORIZED
                && own_host
                && let (Some(rejected), Some(used)) = (&inner.rejected, &credential)
                && renewals < 2
            {
                let challenge = answer.challenged("claims");
                credential = Some(rejected(used.version, challenge).await?);
                renewals += 1;
                continue;
            }
            let body = serde_json::from_slice(&answer.body).unwrap_or(Value::Null);
            let failure = Failure {
                status: answer.status,
                headers: &answer.headers,
                body: &body,
            };
            let error = self.client.refusal(&failure);
            if let Some(seconds) = self.client.held_back(&error, &failure) {
                if !self.safe || seconds > PATIENCE_S || attempt >= ATTEMPTS {
                    return Err(error);
                }
                attempt += 1;
                continue;
            }
            let Some(wait) = wait_before_retry(&error, &failure, attempt) else {
                return Err(error);
            };
            if !self.safe || attempt >= ATTEMPTS {
                return Err(error);
            }
            attempt += 1;
            tokio::time::sleep(wait).await;
        }
    }
}

/// Reads a body as JSON.
fn json<T: DeserializeOwned>(answer: Answer<Vec<u8>>) -> Result<Answer<T>, ProviderError> {
    let Answer {
        status,
        headers,
        body,
    } = answer;
    let media = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    if !media.is_empty() && !media.contains("json") {
        let media = text::clip(&text::scrub(media), 60);
        return Err(ProviderError::Unavailable {
            reason: format!("answered {media} instead of JSON"),
        });
    }
    match serde_json::from_slice(&body) {
        Ok(body) => Ok(Answer {
            status,
            headers,
            body,
        }),
        Err(error) => Err(ProviderError::Unavailable {
            reason: format!("answered unreadable JSON ({error})"),
        }),
    }
}

/// How long to wait before a refused read may be sent again; `None` when waiting does not help or takes too long.
fn wait_before_retry(
    error: &ProviderError,
    failure: &Failure<'_>,
    attempt: u32,
) -> Option<Duration> {
    let seconds = if let ProviderError::RateLimited { retry_after_s } = error {
        *retry_after_s
    } else if matches!(failure.status, 500 | 502..=504) {
        match failure.retry_after_s() {
            Some(seconds) => seconds,
            None => return Some(backoff(attempt)),
        }
    } else {
        return None;
    };
    (seconds <= PATIENCE_S).then(|| Duration::from_secs(seconds))
}

fn backoff(attempt: u32) -> Duration {
    Duration::from_millis(100 << attempt.min(6))
}

fn next_hop(
    client: &ProviderClient,
    from: &Url,
    answer: &Answer<Vec<u8>>,
    allowed: bool,
    download: bool,
) -> Result<Url, ProviderError> {
    let elsewhere = |what: &str| ProviderError::Unavailable {
        reason: format!("redirected {what}"),
    };
    let target = answer
        .headers
        .get(LOCATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|text| from.join(text).ok())
        .ok_or_else(|| elsewhere("to nowhere"))?;
    let home = client.base.as_ref().map(|base| base.origin());
    let own_host = home == Some(target.origin());
    if allowed && (own_host || (download && client.inner.is_download_host(&target))) {
        return Ok(target);
    }
    let host = target.host_str().unwrap_or_default();
    Err(elsewhere(&format!(
        "to {}",
        text::clip(&text::printable(host), 80)
    )))
}

/// A request that brought no whole answer.
struct Broken {
    error: ProviderError,
    /// Nothing was sent.
    unsent: bool,
    /// It may go better the next time.
    passing: bool,
}

impl From<&reqwest::Error> for Broken {
    fn from(error: &reqwest::Error) -> Self {
        if error.is_timeout() {
            let unsent = error.is_connect();
            return Self {
                error: ProviderError::Timeout,
                unsent,
                passing: unsent,
            };
        }
        let unsent = error.is_connect();
        let reason = if unsent {
            "it could not be reached"
        } else {
            "the connection broke off"
        };
        Self {
            error: ProviderError::Unavailable {
                reason: reason.to_owned(),
            },
            unsent,
            passing: true,
        }
    }
}

async fn read(
    mut response: reqwest::Response,
    max_bytes: usize,
    usage: &Usage,
) -> Result<Answer<Vec<u8>>, Broken> {
    let status = response.status().as_u16();
    usage.status.store(u32::from(status), Ordering::Relaxed);
    let headers = std::mem::take(response.headers_mut());
    let mut body = Vec::new();
    loop {
        let chunk = match tokio::time::timeout(IDLE, response.chunk()).await {
            Ok(Ok(Some(chunk))) => chunk,
            Ok(Ok(None)) => break,
            Ok(Err(error)) => {
                return Err(Broken {
                    unsent: false,
                    ..Broken::from(&error)
                });
            }
            Err(_) => {
                return Err(Broken {
                    error: ProviderError::Timeout,
                    unsent: false,
                    passing: false,
                });
            }
        };
        usage.bytes.fetch_add(chunk.len() as u64, Ordering::Relaxed);
        if body.len() + chunk.len() > max_bytes {
            return Err(Broken {
                error: ProviderError::TooLarge { max_bytes },
                unsent: false,
                passing: false,
            });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Answer {
        status,
        headers,
        body,
    })
}
