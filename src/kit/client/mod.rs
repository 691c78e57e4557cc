//! The only road out to a provider. It owns the credential, keeps every request on the provider's own host, retries what
//! is safe to retry, caps sizes and times, counts, and turns refusals into [`ProviderError`]. Hosts that all people share
//! are asked at their pace, fairly, and once for equal questions.

mod answer;
mod bases;
mod lane;
mod path;
mod region;
mod request;
mod shared;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU32, AtomicU64, Ordering};

use futures_util::future::BoxFuture;
use http::header::AUTHORIZATION;
use http::{HeaderName, HeaderValue, Method};
use secrecy::{ExposeSecret, SecretString};
use url::Url;

pub use answer::{Answer, Failure};
pub use bases::Bases;
pub use request::Request;
pub use shared::Shared;

use super::error::ProviderError;
use super::integration::{Api, CredentialIn, is_listed};
use super::text;
use crate::clock::Timestamp;
use crate::ids::UserId;

/// Largest answer read, in bytes after decompression, unless a request says otherwise.
pub const MAX_BYTES: usize = 5 * 1024 * 1024;

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

/// Told that the provider answered 401 to the credential of this version, and what the answer wants the next sign-in to
/// prove, if it says; answers a newer one, or why there is none.
pub type Rejected = Arc<
    dyn Fn(i64, Option<String>) -> BoxFuture<'static, Result<Credential, ProviderError>>
        + Send
        + Sync,
>;

/// What a call has used so far, for the audit log.
#[derive(Debug)]
pub struct Usage {
    requests: AtomicU32,
    bytes: AtomicU64,
    status: AtomicU32,
    /// Requests that do not only read, less those that certainly changed nothing.
    changes: AtomicU32,
    /// When the oldest kept answer that was used was fetched, in microseconds.
    oldest: AtomicI64,
}

impl Default for Usage {
    fn default() -> Self {
        Self {
            requests: AtomicU32::default(),
            bytes: AtomicU64::default(),
            status: AtomicU32::default(),
            changes: AtomicU32::default(),
            oldest: AtomicI64::new(i64::MAX),
        }
    }
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

    /// Since when the oldest answer was kept that was used without asking; `None` when all was asked.
    pub fn oldest_kept(&self) -> Option<Timestamp> {
        let oldest = self.oldest.load(Ordering::Relaxed);
        (oldest != i64::MAX).then(|| Timestamp::from_micros(oldest))
    }

    fn used_kept(&self, since: Timestamp) {
        self.oldest.fetch_min(since.micros(), Ordering::Relaxed);
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
    /// The host it sends to ([`Api::hosts`]); the main one has no name.
    host: &'static str,
    /// Where its paths begin; `None` after a host that the provider does not have.
    base: Option<Arc<Url>>,
}

struct Inner {
    http: reqwest::Client,
    api: &'static Api,
    bases: Bases,
    credential: Option<Credential>,
    rejected: Option<Rejected>,
    /// Where the provider is open to everyone: what is shared, and whose call this is.
    shared: Option<(Shared, UserId)>,
    usage: Usage,
}

impl ProviderClient {
    /// A client that sends to `bases` with `credential`. `http` must neither follow redirects nor use a proxy of its own
    /// accord.
    pub fn new(
        http: reqwest::Client,
        api: &'static Api,
        bases: Bases,
        credential: Option<Credential>,
        rejected: Option<Rejected>,
    ) -> Self {
        Self::with(Inner {
            http,
            api,
            bases,
            credential,
            rejected,
            shared: None,
            usage: Usage::default(),
        })
    }

    /// A client of a provider that is open to everyone: without a credential, and with what everybody `shared`.
    pub fn open(
        http: reqwest::Client,
        api: &'static Api,
        bases: Bases,
        shared: Shared,
        person: UserId,
    ) -> Self {
        Self::with(Inner {
            http,
            api,
            bases,
            credential: None,
            rejected: None,
            shared: Some((shared, person)),
            usage: Usage::default(),
        })
    }

    fn with(inner: Inner) -> Self {
        Self {
            host: "",
            base: Some(Arc::clone(inner.bases.main())),
            inner: Arc::new(inner),
        }
    }

    /// What was used so far.
    pub fn usage(&self) -> &Usage {
        &self.inner.usage
    }

    /// What a refusal means: what the provider's own rule says of it, else what its status does.
    pub fn refusal(&self, failure: &Failure<'_>) -> ProviderError {
        (self.inner.api.classify)(failure).unwrap_or_else(|| failure.by_status())
    }

    /// The same client at another of the provider's hosts ([`Api::hosts`]).
    #[must_use]
    pub fn at(&self, host: &str) -> Self {
        let named = self.inner.bases.named(host);
        Self {
            inner: Arc::clone(&self.inner),
            host: named.map_or("", |(name, _)| name),
            base: named.map(|(_, base)| Arc::clone(base)),
        }
    }

    /// A request to an address that the provider gave: the next page, an upload session. One on none of the provider's
    /// hosts, download hosts included, is refused when it is sent; the credential goes to the provider's own hosts alone.
    pub fn follow(&self, method: Method, link: &str) -> Request {
        let Ok(url) = Url::parse(link) else {
            let url = Err(ProviderError::Unavailable {
                reason: "named an address that is none".to_owned(),
            });
            return Request::new(self.clone(), method, url);
        };
        if let Some((host, base, url)) = self.inner.bases.reach(&url) {
            let client = Self {
                inner: Arc::clone(&self.inner),
                host,
                base: Some(base),
            };
            return Request::new(client, method, Ok(url));
        }
        let url = if self.inner.is_download_host(&url) {
            Ok(url)
        } else {
            let host = text::clip(&text::printable(url.host_str().unwrap_or_default()), 80);
            Err(ProviderError::Unavailable {
                reason: format!("named an address at {host}, which is not known to be its own"),
            })
        };
        Request::new(self.clone(), method, url)
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

    /// Waits for a turn where all people share the host, and answers the address as it is sent there.
    async fn turn(&self, url: &Url) -> Result<Url, ProviderError> {
        let Some((shared, person)) = &self.inner.shared else {
            return Ok(url.clone());
        };
        // In a box, so that other requests do not have its size.
        Box::pin(shared.enter(self.host, *person)).await?;
        Ok(shared.keyed(self.host, url))
    }

    /// For how many seconds a host that all people share asks to be left alone. From now on everybody does.
    fn held_back(&self, error: &ProviderError, failure: &Failure<'_>) -> Option<u64> {
        let (shared, _) = self.inner.shared.as_ref()?;
        let seconds = if let ProviderError::RateLimited { retry_after_s } = error {
            *retry_after_s
        } else {
            failure.retry_after_s().filter(|_| failure.status >= 500)?
        };
        shared.slow_down(self.host, seconds);
        Some(seconds)
    }

    fn request(&self, method: Method, path: &[&str]) -> Request {
        let url = match &self.base {
            Some(base) => path::join(base, path),
            None => Err(ProviderError::Unavailable {
                reason: "it has no such host".to_owned(),
            }),
        };
        Request::new(self.clone(), method, url)
    }
}

impl Inner {
    fn is_download_host(&self, url: &Url) -> bool {
        let host = url.host_str().unwrap_or_default();
        url.scheme() == "https" && is_listed(host, self.api.download_hosts)
    }
}

impl std::fmt::Debug for ProviderClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ProviderClient")
            .field("base", &self.base.as_ref().map(|url| url.as_str()))
            .finish_non_exhaustive()
    }
}
