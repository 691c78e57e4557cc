//! The only road out to a provider. It owns the credential, keeps every request on the provider's own host, retries what
//! is safe to retry, caps sizes and times, counts, and turns refusals into [`ProviderError`].

mod answer;
mod path;

use std::fmt::Display;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use futures_util::future::BoxFuture;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, LOCATION};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use url::Url;

pub use answer::{Answer, Failure};

use super::error::ProviderError;
use super::integration::{Api, CredentialIn};
use super::text;

/// Largest answer read, in bytes after decompression, unless a request says otherwise.
pub const MAX_BYTES: usize = 5 * 1024 * 1024;
/// Longest wait for one answer, from sending to the last byte.
const TOTAL: Duration = Duration::from_secs(30);
/// Longest silence within an answer.
const IDLE: Duration = Duration::from_secs(10);
/// Longest `Retry-After` that is waited for within a call.
const PATIENCE_S: u64 = 20;
/// How often a safe request is sent at most.
const ATTEMPTS: u32 = 3;

/// A credential ready to be sent. It has no way to be printed.
#[derive(Clone)]
pub struct Credential {
    header: HeaderName,
    value: HeaderValue,
    version: i64,
}

impl Credential {
    /// The credential `secret` of the connection's version `version`, in the place the provider wants it. `None` when it
    /// cannot be a header's value.
    pub fn new(place: CredentialIn, secret: &SecretString, version: i64) -> Option<Self> {
        let (header, text) = match place {
            CredentialIn::Bearer => (AUTHORIZATION, format!("Bearer {}", secret.expose_secret())),
            CredentialIn::Header(name) => (
                HeaderName::from_static(name),
                secret.expose_secret().to_owned(),
            ),
        };
        let text = zeroize::Zeroizing::new(text);
        let mut value = HeaderValue::from_str(&text).ok()?;
        value.set_sensitive(true);
        Some(Self {
            header,
            value,
            version,
        })
    }
}

/// Told that the provider answered 401 to the credential of this version; answers a newer one, or why there is none.
pub type Rejected =
    Arc<dyn Fn(i64) -> BoxFuture<'static, Result<Credential, ProviderError>> + Send + Sync>;

/// What a call has used so far, for the audit log.
#[derive(Debug, Default)]
pub struct Usage {
    requests: AtomicU32,
    bytes: AtomicU64,
    status: AtomicU32,
    /// Requests that do not only read, less those that certainly changed nothing.
    changes: AtomicU32,
}

impl Usage {
    /// Requests sent, retries included.
    pub fn requests(&self) -> u32 {
        self.requests.load(Ordering::Relaxed)
    }

    /// Bytes of answers read, after decompression.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Whether a request may have changed something: one that does not only read was sent, and the provider did not
    /// refuse it outright (a status of 400 to 499 other than 408). True while such a request is under way.
    pub fn may_have_changed(&self) -> bool {
        self.changes.load(Ordering::Relaxed) > 0
    }

    fn changed_nothing(&self) {
        self.changes.fetch_sub(1, Ordering::Relaxed);
    }

    /// The last answer's status; `None` before there was one.
    pub fn status(&self) -> Option<u16> {
        u16::try_from(self.status.load(Ordering::Relaxed))
            .ok()
            .filter(|status| *status != 0)
    }
}

/// A client of one connection, for one call. Clones share the count.
#[derive(Clone)]
pub struct ProviderClient {
    inner: Arc<Inner>,
}

struct Inner {
    http: reqwest::Client,
    api: &'static Api,
    base: Arc<Url>,
    credential: Option<Credential>,
    rejected: Option<Rejected>,
    usage: Usage,
}

impl ProviderClient {
    /// A client that sends to `base` with `credential`. `http` must neither follow redirects nor use a proxy of its own
    /// accord.
    pub fn new(
        http: reqwest::Client,
        api: &'static Api,
        base: Arc<Url>,
        credential: Option<Credential>,
        rejected: Option<Rejected>,
    ) -> Self {
        Self {
            inner: Arc::new(Inner {
                http,
                api,
                base,
                credential,
                rejected,
                usage: Usage::default(),
            }),
        }
    }

    /// What was used so far.
    pub fn usage(&self) -> &Usage {
        &self.inner.usage
    }

    /// A request that reads the record at `path`. Segments are encoded; one that could climb or vanish is refused when
    /// the request is sent.
    pub fn get(&self, path: &[&str]) -> Request {
        self.request(Method::GET, path)
    }

    /// A request that posts to `path`.
    pub fn post(&self, path: &[&str]) -> Request {
        self.request(Method::POST, path)
    }

    /// A request that changes the record at `path`.
    pub fn patch(&self, path: &[&str]) -> Request {
        self.request(Method::PATCH, path)
    }

    /// A request that replaces the record at `path`.
    pub fn put(&self, path: &[&str]) -> Request {
        self.request(Method::PUT, path)
    }

    /// A request that deletes the record at `path`.
    pub fn delete(&self, path: &[&str]) -> Request {
        self.request(Method::DELETE, path)
    }

    fn request(&self, method: Method, path: &[&str]) -> Request {
        let safe = method == Method::GET;
        Request {
            client: self.clone(),
            url: path::join(&self.inner.base, path),
            method,
            headers: HeaderMap::new(),
            body: None,
            safe,
            download: false,
            max_bytes: MAX_BYTES,
        }
    }
}

impl std::fmt::Debug for ProviderClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ProviderClient")
            .field("base", &self.inner.base.as_str())
            .finish_non_exhaustive()
    }
}

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
    max_bytes: usize,
}

impl Request {
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
        let Answer {
            status,
            headers,
            body,
        } = self.raw().await?;
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

    async fn raw(self) -> Result<Answer<Vec<u8>>, ProviderError> {
        let inner = Arc::clone(&self.client.inner);
        let mut url = self.url?;
        let mut credential = inner.credential.clone();
        let mut renewals = 0;
        let mut hops = 0;
        let mut attempt = 1;
        loop {
            inner.usage.requests.fetch_add(1, Ordering::Relaxed);
            if !self.safe {
                inner.usage.changes.fetch_add(1, Ordering::Relaxed);
            }
            let mut request = inner
                .http
                .request(self.method.clone(), url.clone())
                .timeout(TOTAL);
            let own_host = url.origin() == inner.base.origin();
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
                url = next_hop(&inner, &url, &answer, self.safe && hops <= 3, self.download)?;
                continue;
            }
            if status == StatusCode::UNAUTHORIZED
                && let (Some(rejected), Some(used)) = (&inner.rejected, &credential)
                && renewals < 2
            {
                credential = Some(rejected(used.version).await?);
                renewals += 1;
                continue;
            }
            let body = serde_json::from_slice(&answer.body).unwrap_or(Value::Null);
            let failure = Failure {
                status: answer.status,
                headers: &answer.headers,
                body: &body,
            };
            let error = (inner.api.classify)(&failure).unwrap_or_else(|| failure.by_status());
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
    inner: &Inner,
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
    let host = target.host_str().unwrap_or_default();
    let own_host = target.origin() == inner.base.origin();
    let download_host = download
        && target.scheme() == "https"
        && inner
            .api
            .download_hosts
            .iter()
            .any(|allowed| match allowed.strip_prefix('.') {
                Some(domain) => host
                    .strip_suffix(domain)
                    .is_some_and(|rest| rest.ends_with('.')),
                None => host == *allowed,
            });
    if allowed && (own_host || download_host) {
        Ok(target)
    } else {
        Err(elsewhere(&format!(
            "to {}",
            text::clip(&text::printable(host), 80)
        )))
    }
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
