//! Fetches documents whose address somebody else named, without becoming their errand boy (server-side request forgery).
//!
//! Two gates. The address: `https` on port 443, no user, a host name and no IP address in any spelling, written exactly as
//! a parser would write it. The connection: host names go through a resolver of our own that answers global addresses
//! only, and what it answers is what is dialled, so a name that changes between two looks gains nothing. No redirect is
//! followed, no proxy is used, and an answer is small, quick and JSON.
//!
//! Hosts that an operator lists may be anywhere; on loopback they may also speak plain `http`.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

/// Largest document, in bytes.
const MAX_BYTES: usize = 5 * 1024;
/// Longest address, in bytes.
const MAX_ADDRESS: usize = 1_024;
/// Longest wait for a document, all in all.
const PATIENCE: Duration = Duration::from_millis(2_500);
/// How long a document is remembered when it does not say, at least, and at most.
const REMEMBERED: Duration = Duration::from_mins(10);
const AT_LEAST: Duration = Duration::from_secs(30);
const AT_MOST: Duration = Duration::from_hours(24);
/// Documents and failures remembered.
const DOCUMENTS: u64 = 2_000;
/// Fetches per host and minute.
const PER_HOST: u32 = 20;
/// Fetches at once, whoever asks for them.
const AT_ONCE: usize = 16;

/// Names that mean something within a machine or a network alone (RFC 6761, RFC 6762, RFC 9476).
const INSIDE: [&str; 5] = [".localhost", ".local", ".internal", ".home.arpa", ".alt"];

/// Why there is no document. Each says it to the developer of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// The address is none that is fetched.
    #[error(
        "the address must be https on port 443 with a host name and a path, in its normal form, without user or fragment"
    )]
    Address,
    /// The host cannot be reached, or is not on the public internet.
    #[error("the document's host cannot be reached from here")]
    Unreachable,
    /// Something else than 200.
    #[error("the document's host did not answer 200")]
    Status,
    /// Too large.
    #[error("the document is larger than 5 KiB")]
    TooLarge,
    /// Not JSON.
    #[error("the document is not application/json")]
    NotJson,
    /// Too slow.
    #[error("the document took longer than 2.5 seconds")]
    Slow,
    /// Asked for too often.
    #[error("too many documents of this host were asked for; try again in a minute")]
    Busy,
}

/// A document: JSON text.
pub type Document = Arc<str>;

type Answer = Result<Document, FetchError>;

/// How host names become addresses.
pub type Lookup = Arc<dyn Fn(String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> + Send + Sync>;

/// Fetches and remembers. Cheap to clone.
#[derive(Clone)]
pub struct Fetcher {
    inner: Arc<Inner>,
}

struct Inner {
    lookup: Lookup,
    /// For listed hosts, which may be anywhere; a name that is listed with a port is not free at another one. Both are made
    /// with their first document: certificates cost as much as all the rest of a start.
    inside: OnceLock<reqwest::Client>,
    /// For all others.
    outside: OnceLock<reqwest::Client>,
    private: Arc<[String]>,
    known: moka::sync::Cache<String, (Instant, Answer)>,
    running: Mutex<HashMap<String, Shared<BoxFuture<'static, Answer>>>>,
    pace: DefaultKeyedRateLimiter<String>,
    room: tokio::sync::Semaphore,
}

impl Fetcher {
    /// A fetcher for which these hosts (`name` or `name:port`) may be anywhere.
    pub fn new(private: &[String]) -> Self {
        Self::with_lookup(private, system_lookup())
    }

    /// As [`Fetcher::new`], with another way from names to addresses.
    pub fn with_lookup(private: &[String], lookup: Lookup) -> Self {
        let private: Arc<[String]> = private
            .iter()
            .map(|host| host.to_ascii_lowercase())
            .collect();
        Self {
            inner: Arc::new(Inner {
                lookup,
                inside: OnceLock::new(),
                outside: OnceLock::new(),
                private,
                known: moka::sync::Cache::builder()
                    .max_capacity(DOCUMENTS)
                    .time_to_live(AT_MOST)
                    .build(),
                running: Mutex::default(),
                pace: RateLimiter::keyed(Quota::per_minute(
                    NonZeroU32::new(PER_HOST).unwrap_or(NonZeroU32::MIN),
                )),
                room: tokio::sync::Semaphore::new(AT_ONCE),
            }),
        }
    }

    /// The document at this address, fetched once for all who ask at the same time. A failure is remembered too.
    pub async fn json(&self, address: &str) -> Answer {
        let url = check(address, &self.inner.private)?;
        if let Some((until, answer)) = self.inner.known.get(address)
            && Instant::now() < until
        {
            return answer;
        }
        let shared = {
            let mut running = self
                .inner
                .running
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            if let Some(shared) = running.get(address) {
                shared.clone()
            } else {
                let host = url.host_str().unwrap_or_default().to_owned();
                if self.inner.pace.check_key(&host).is_err() {
                    return Err(FetchError::Busy);
                }
                let (inner, key) = (Arc::clone(&self.inner), address.to_owned());
                let shared = async move { inner.run(key, url).await }.boxed().shared();
                // It goes on when whoever asked first hangs up, and always leaves the list.
                tokio::spawn(shared.clone());
                running.insert(address.to_owned(), shared.clone());
                shared
            }
        };
        shared.await
    }

    /// Forgets the pace of hosts that nobody asked for lately.
    pub fn sweep(&self) {
        self.inner.pace.retain_recent();
    }
}

impl std::fmt::Debug for Fetcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fetcher").finish_non_exhaustive()
    }
}

impl Inner {
    fn client(&self, url: &Url) -> Result<&reqwest::Client, FetchError> {
        let (place, anywhere) = if is_private(url, &self.private) {
            (&self.inside, Arc::clone(&self.private))
        } else {
            (&self.outside, Arc::default())
        };
        if let Some(client) = place.get() {
            return Ok(client);
        }
        let resolver = Resolver::new(Arc::clone(&self.lookup), anywhere);
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .dns_resolver(Arc::new(resolver))
            .timeout(PATIENCE)
            .pool_max_idle_per_host(0)
            .user_agent("workbench-mcp")
            .build()
            .map_err(|error| {
                tracing::error!(%error, "no client for documents can be made");
                FetchError::Unreachable
            })?;
        Ok(place.get_or_init(|| client))
    }

    async fn run(&self, key: String, url: Url) -> Answer {
        let (answer, life) = match tokio::time::timeout(PATIENCE, self.fetch(url)).await {
            Ok(Ok((document, life))) => (Ok(document), life),
            Ok(Err(error)) => (Err(error), AT_LEAST),
            Err(_) => (Err(FetchError::Slow), AT_LEAST),
        };
        self.known
            .insert(key.clone(), (Instant::now() + life, answer.clone()));
        self.running
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&key);
        answer
    }

    async fn fetch(&self, url: Url) -> Result<(Document, Duration), FetchError> {
        let _place = self.room.acquire().await.map_err(|_| FetchError::Busy)?;
        let failed = |error: &reqwest::Error| {
            if error.is_timeout() {
                FetchError::Slow
            } else {
                FetchError::Unreachable
            }
        };
        let request = self
            .client(&url)?
            .get(url)
            .header(ACCEPT, "application/json");
        let mut response = request.send().await.map_err(|error| failed(&error))?;
        if response.status() != http::StatusCode::OK {
            return Err(FetchError::Status);
        }
        let header = |name| {
            let value = response.headers().get(name);
            value.and_then(|value: &http::HeaderValue| value.to_str().ok())
        };
        let kind = header(CONTENT_TYPE).unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim();
        if !kind.eq_ignore_ascii_case("application/json") && !kind.ends_with("+json") {
            return Err(FetchError::NotJson);
        }
        let life = lifetime(header(CACHE_CONTROL).unwrap_or_default());
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| failed(&error))? {
            if body.len() + chunk.len() > MAX_BYTES {
                return Err(FetchError::TooLarge);
            }
            body.extend_from_slice(&chunk);
        }
        let text = String::from_utf8(body).map_err(|_| FetchError::NotJson)?;
        Ok((text.into(), life))
    }
}

/// How long an answer with this `Cache-Control` is remembered.
fn lifetime(cache_control: &str) -> Duration {
    let mut life = REMEMBERED;
    for word in cache_control.split(',').map(str::trim) {
        let word = word.to_ascii_lowercase();
        if matches!(word.as_str(), "no-store" | "no-cache") {
            return AT_LEAST;
        }
        if let Some(seconds) = word.strip_prefix("max-age=") {
            life = seconds.parse().map_or(AT_LEAST, Duration::from_secs);
        }
    }
    life.clamp(AT_LEAST, AT_MOST)
}

/// The address, if it is one that is fetched.
pub fn check(address: &str, private: &[String]) -> Result<Url, FetchError> {
    let url = Url::parse(address).map_err(|_| FetchError::Address)?;
    // What the parser put right, another one may have read differently.
    let plain = url.as_str() == address
        && address.len() <= MAX_ADDRESS
        && !address.contains('@')
        && url.fragment().is_none()
        && url.path() != "/";
    if !plain {
        return Err(FetchError::Address);
    }
    let allowed = match url.host().ok_or(FetchError::Address)? {
        host if is_private(&url, private) => {
            url.scheme() == "https" || url.scheme() == "http" && is_loopback(&host)
        }
        Host::Domain(_) | Host::Ipv4(_) | Host::Ipv6(_) => is_public(&url),
    };
    allowed.then_some(url).ok_or(FetchError::Address)
}

/// Whether an address may be on the public internet, as far as it shows: `https` on port 443, a host name and no IP
/// address. Where the name leads, [`Resolver`] watches.
pub fn is_public(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => {
            url.scheme() == "https"
                && url.port().is_none()
                && name.contains('.')
                && !name.ends_with('.')
                && !INSIDE.iter().any(|suffix| name.ends_with(suffix))
                && name.len() <= 253
        }
        Some(Host::Ipv4(_) | Host::Ipv6(_)) | None => false,
    }
}

/// Whether the address is on one of these hosts, `name` or `name:port`.
pub fn is_private(url: &Url, private: &[String]) -> bool {
    let host = url.host_str().unwrap_or_default();
    let with_port = url.port().map(|port| format!("{host}:{port}"));
    private.iter().any(|listed| match &with_port {
        Some(with_port) => listed == with_port,
        None => listed == host,
    })
}

fn is_loopback(host: &Host<&str>) -> bool {
    match host {
        Host::Domain(name) => *name == "localhost",
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
    }
}

/// The machine's own way from names to addresses.
pub fn system_lookup() -> Lookup {
    Arc::new(|name| system(name).boxed())
}

async fn system(name: String) -> io::Result<Vec<IpAddr>> {
    let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
    Ok(found.map(|address| address.ip()).collect())
}

/// Answers global addresses only, except for listed hosts. What it answers is what is dialled, at every connection.
pub struct Resolver {
    lookup: Lookup,
    private: Arc<[String]>,
}

impl Resolver {
    /// A resolver for which these hosts (`name` or `name:port`, in lower case) may be anywhere.
    pub fn new(lookup: Lookup, private: Arc<[String]>) -> Self {
        Self { lookup, private }
    }
}

impl std::fmt::Debug for Resolver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Resolver")
            .field("private", &self.private)
            .finish_non_exhaustive()
    }
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let name = name.as_str().to_ascii_lowercase();
        let host_of = |listed: &String| {
            listed
                .rsplit_once(':')
                .map_or(listed.as_str(), |(host, _)| host)
                .to_owned()
        };
        let anywhere = self.private.iter().any(|listed| host_of(listed) == name);
        let looking = (self.lookup)(name);
        Box::pin(async move {
            let found = looking.await?;
            let admitted: Vec<SocketAddr> = found
                .into_iter()
                .filter(|address| anywhere || is_global(*address))
                .map(|address| SocketAddr::new(address, 0))
                .collect();
            if admitted.is_empty() {
                return Err("the name has no public address".into());
            }
            Ok(Box::new(admitted.into_iter()) as Addrs)
        })
    }
}

/// Whether an address is on the public internet (the special-purpose registries of RFC 6890). Of IPv6 only what is handed
/// out for it, 2000::/3, without the parts that are notations of IPv4 or examples.
pub fn is_global(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            let [a, b, c, _] = address.octets();
            !matches!(
                (a, b, c),
                (0 | 10 | 127 | 224..=255, _, _)
                    | (100, 64..=127, _)
                    | (169, 254, _)
                    | (172, 16..=31, _)
                    | (192, 0, 0 | 2)
                    | (192, 88, 99)
                    | (192, 168, _)
                    | (198, 18..=19, _)
                    | (198, 51, 100)
                    | (203, 0, 113)
            )
        }
        IpAddr::V6(address) => {
            let [a, b, ..] = address.segments();
            (a & 0xe000) == 0x2000
                && !(a == 0x2001 && (b < 0x200 || b == 0xdb8))
                && a != 0x2002
                && !(a == 0x3fff && b < 0x1000)
        }
    }
}
