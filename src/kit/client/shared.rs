//! What everybody shares of a provider that is open to all: the turns at its hosts, the installation's keys there, and the
//! answers, which are the same for all. Nothing that was asked with a person's credential comes here.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, WeakShared};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use url::Url;

use super::Answer;
use super::lane::{Lane, PATIENCE};
use crate::clock::{Clock, Timestamp};
use crate::ids::UserId;
use crate::kit::error::ProviderError;
use crate::kit::integration::{HostRule, Open};

/// How many bytes of answers are kept at most.
const KEPT_BYTES: u64 = 64 * 1024 * 1024;
/// Shorter than this nobody waits.
const SHORTEST_PAUSE: Duration = Duration::from_millis(1);
/// With more entries than this, flights that ended are forgotten.
const MOST_FLIGHTS: usize = 1_024;
/// The longest that a host's own word keeps everybody waiting.
const LONGEST_SHUT: Duration = Duration::from_mins(15);

/// An answer as several requests share it.
type Fetched = Result<Arc<Answer<Vec<u8>>>, ProviderError>;
type Flight = BoxFuture<'static, Fetched>;

/// The turns, keys and answers of one open provider. Cheap to clone.
#[derive(Clone)]
pub struct Shared {
    inner: Arc<Inner>,
}

struct Inner {
    clock: Clock,
    hosts: HashMap<&'static str, Host>,
    /// By everything that was asked, the key of the installation excepted.
    answers: moka::sync::Cache<Arc<str>, Kept>,
    /// Requests under way, by the same.
    flights: Mutex<HashMap<Arc<str>, WeakShared<Flight>>>,
}

struct Host {
    rule: &'static HostRule,
    key: Option<(&'static str, SecretString)>,
    lane: Mutex<Lane>,
}

#[derive(Clone)]
struct Kept {
    answer: Arc<Answer<Vec<u8>>>,
    fetched_at: Timestamp,
    until: Timestamp,
}

impl Shared {
    /// What is shared of this provider, with the keys that the installation has at its hosts.
    pub fn new(open: &'static Open, keys: &[(&'static str, SecretString)], clock: Clock) -> Self {
        let host = |rule: &'static HostRule| {
            let key = rule.key.as_ref().and_then(|place| {
                let (_, key) = keys.iter().find(|(host, _)| *host == rule.host)?;
                Some((place, key.clone()))
            });
            let allows = key.as_ref().map_or(rule.allows, |(place, _)| place.allows);
            let host = Host {
                rule,
                key: key.map(|(place, key)| (place.param, key)),
                lane: Mutex::new(Lane::new(allows)),
            };
            (rule.host, host)
        };
        let bytes = |key: &Arc<str>, kept: &Kept| {
            let headers = kept.answer.headers.iter();
            let headers: usize = headers
                .map(|(name, value)| name.as_str().len() + value.len())
                .sum();
            u32::try_from(key.len() + kept.answer.body.len() + headers + 256).unwrap_or(u32::MAX)
        };
        Self {
            inner: Arc::new(Inner {
                clock,
                hosts: open.hosts.iter().map(host).collect(),
                answers: moka::sync::Cache::builder()
                    .max_capacity(KEPT_BYTES)
                    .weigher(bytes)
                    .build(),
                flights: Mutex::default(),
            }),
        }
    }

    /// Waits for a turn at the host; fails when it takes too long.
    pub(super) async fn enter(&self, host: &str, person: UserId) -> Result<(), ProviderError> {
        let host = self.host(host)?;
        let clock = &self.inner.clock;
        let place = host.lane().join(person, clock.now()).map_err(limited)?;
        let mut leaving = Leaving {
            host,
            person,
            ticket: Some(place.ticket),
        };
        let mut go = place.go;
        let started = tokio::time::Instant::now();
        loop {
            let next = host.lane().advance(clock.now());
            let left = PATIENCE.saturating_sub(started.elapsed());
            if let Ok(()) = go.try_recv() {
                leaving.ticket = None;
                return Ok(());
            }
            if left.is_zero() {
                return Err(limited(next.unwrap_or_default()));
            }
            // Everybody who waits looks when the next turn comes, and whoever looks first lets the right one go.
            let pause = pause(next, left);
            if let Ok(Ok(())) = tokio::time::timeout(pause, &mut go).await {
                leaving.ticket = None;
                return Ok(());
            }
        }
    }

    /// Everybody waits for so long before asking this host again, at most [`LONGEST_SHUT`]: then it is asked once more.
    pub(super) fn slow_down(&self, host: &str, seconds: u64) {
        if let Ok(host) = self.host(host) {
            let now = self.inner.clock.now();
            let time = Duration::from_secs(seconds).min(LONGEST_SHUT);
            host.lane().shut(time, now);
        }
    }

    /// The address as it is sent: with the installation's key, if there is one.
    pub(super) fn keyed(&self, host: &str, url: &Url) -> Url {
        let mut url = url.clone();
        if let Ok(Host {
            key: Some((param, key)),
            ..
        }) = self.host(host)
        {
            url.query_pairs_mut()
                .append_pair(param, key.expose_secret());
        }
        url
    }

    /// The answer that is kept for `asked`, with the time since when, that of the same request under way, or that of `fetch`.
    pub(super) async fn answer(
        &self,
        host: &str,
        asked: String,
        fetch: impl Future<Output = Result<Answer<Vec<u8>>, ProviderError>> + Send + 'static,
    ) -> Result<(Answer<Vec<u8>>, Option<Timestamp>), ProviderError> {
        let keep = self.host(host)?.rule.keep;
        let asked: Arc<str> = asked.into();
        let now = self.inner.clock.now();
        if let Some(kept) = self.inner.answers.get(&asked) {
            if kept.until > now {
                return Ok((Answer::clone(&kept.answer), Some(kept.fetched_at)));
            }
            self.inner.answers.invalidate(&asked);
        }
        let flight = {
            let mut flights = self.flights();
            let under_way = flights.get(&asked).and_then(WeakShared::upgrade);
            if let Some(flight) = under_way {
                flight
            } else {
                let (shared, key) = (self.clone(), Arc::clone(&asked));
                let flight = async move {
                    let fetched = fetch.await.map(Arc::new);
                    if let Ok(answer) = &fetched
                        && is_sound(answer)
                    {
                        let now = shared.inner.clock.now();
                        let kept = Kept {
                            answer: Arc::clone(answer),
                            fetched_at: now,
                            until: now.plus(keep),
                        };
                        shared.inner.answers.insert(Arc::clone(&key), kept);
                    }
                    shared.flights().remove(&key);
                    fetched
                };
                let flight = flight.boxed().shared();
                // One that everybody has left never ends, and stays until here.
                if flights.len() >= MOST_FLIGHTS {
                    flights.retain(|_, flight| flight.upgrade().is_some());
                }
                if let Some(weak) = flight.downgrade() {
                    flights.insert(asked, weak);
                }
                flight
            }
        };
        flight.await.map(|answer| (Answer::clone(&answer), None))
    }

    fn host(&self, name: &str) -> Result<&Host, ProviderError> {
        self.inner
            .hosts
            .get(name)
            .ok_or_else(|| ProviderError::Unavailable {
                reason: "it has no rule for this host".to_owned(),
            })
    }

    fn flights(&self) -> MutexGuard<'_, HashMap<Arc<str>, WeakShared<Flight>>> {
        let flights = self.inner.flights.lock();
        flights.unwrap_or_else(PoisonError::into_inner)
    }
}

impl Host {
    fn lane(&self) -> MutexGuard<'_, Lane> {
        self.lane.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Leaves the lane when the request is dropped before its turn.
struct Leaving<'a> {
    host: &'a Host,
    person: UserId,
    ticket: Option<u64>,
}

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket {
            self.host.lane().leave(self.person, ticket);
        }
    }
}

/// How long to wait for the `next` turn before looking again, with so much patience `left`.
fn pause(next: Option<Duration>, left: Duration) -> Duration {
    next.unwrap_or(left).min(left).max(SHORTEST_PAUSE)
}

/// Whether an answer is worth keeping. Some hosts say what went wrong with them in a success: as a page for people, or in
/// a member of their JSON.
fn is_sound(answer: &Answer<Vec<u8>>) -> bool {
    let media = answer.header("content-type").unwrap_or_default();
    let media = media.to_ascii_lowercase();
    let begins = answer.body.trim_ascii_start();
    if media.contains("html") || (media.is_empty() && begins.starts_with(b"<!")) {
        return false;
    }
    let is_json = media.contains("json") || media.is_empty() && begins.starts_with(b"{");
    if !is_json {
        return true;
    }
    let Ok(body) = serde_json::from_slice::<Value>(&answer.body) else {
        return false;
    };
    let said = ["/error", "/errors", "/errMsg", "/esearchresult/ERROR"];
    !said
        .iter()
        .filter_map(|place| body.pointer(place))
        .any(says_something)
}

/// Whether a member holds anything: lists of errors are there without any.
fn says_something(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(is) => *is,
        Value::Number(_) => true,
        Value::String(text) => !text.is_empty(),
        Value::Array(list) => !list.is_empty(),
        Value::Object(members) => !members.is_empty(),
    }
}

fn limited(wait: Duration) -> ProviderError {
    ProviderError::RateLimited {
        retry_after_s: (wait.as_secs() + u64::from(wait.subsec_nanos() > 0)).max(1),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test says what went wrong by failing")]

    use std::sync::atomic::{AtomicU32, Ordering};

    use http::HeaderMap;

    use super::*;
    use crate::kit::integration::{Allowance, HostKey};

    const ALLOWS: Allowance = Allowance {
        requests: 2,
        within: Duration::from_secs(1),
        per_day: None,
    };

    static OPEN: Open = Open {
        hosts: &[HostRule {
            host: "papers",
            allows: ALLOWS,
            key: Some(HostKey {
                param: "api_key",
                allows: Allowance {
                    requests: 4,
                    ..ALLOWS
                },
            }),
            keep: Duration::from_hours(1),
        }],
    };

    fn shared(keys: &[(&'static str, SecretString)]) -> (Shared, Clock) {
        let clock = Clock::manual(Timestamp::from_micros(1_795_176_000_000_000));
        (Shared::new(&OPEN, keys, clock.clone()), clock)
    }

    fn person() -> UserId {
        UserId::new(Timestamp::from_micros(1))
    }

    /// A source that counts how often it is asked.
    async fn source(asked: Arc<AtomicU32>) -> Result<Answer<Vec<u8>>, ProviderError> {
        // Long enough that others come while it is under way.
        for _ in 0..3 {
            tokio::task::yield_now().await;
        }
        let count = asked.fetch_add(1, Ordering::Relaxed) + 1;
        Ok(Answer {
            status: 200,
            headers: HeaderMap::new(),
            body: count.to_string().into_bytes(),
        })
    }

    #[tokio::test]
    async fn an_answer_is_given_again_until_it_is_old() {
        let (shared, clock) = shared(&[]);
        let asked = Arc::new(AtomicU32::new(0));
        let get = async |what: &str| {
            let fetch = source(Arc::clone(&asked));
            let answer = shared.answer("papers", what.to_owned(), fetch).await;
            let (answer, since) = answer.unwrap();
            (String::from_utf8(answer.body).unwrap(), since)
        };
        let begun = clock.now();
        assert_eq!(get("a").await, ("1".to_owned(), None));
        assert_eq!(get("a").await, ("1".to_owned(), Some(begun)));
        assert_eq!(get("b").await, ("2".to_owned(), None));
        clock.advance(Duration::from_mins(59));
        assert_eq!(get("a").await, ("1".to_owned(), Some(begun)));
        clock.advance(Duration::from_mins(1));
        assert_eq!(get("a").await, ("3".to_owned(), None));
    }

    #[tokio::test]
    async fn equal_requests_under_way_ask_once() {
        let (shared, _) = shared(&[]);
        let asked = Arc::new(AtomicU32::new(0));
        let get = || shared.answer("papers", "a".to_owned(), source(Arc::clone(&asked)));
        let all = futures_util::future::join_all((0..10).map(|_| get())).await;
        assert!(
            all.iter()
                .all(|answer| answer.as_ref().unwrap().0.body == b"1")
        );
        assert_eq!(asked.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn a_flight_that_its_first_passenger_leaves_goes_on() {
        let (shared, _) = shared(&[]);
        let asked = Arc::new(AtomicU32::new(0));
        let mut first =
            Box::pin(shared.answer("papers", "a".to_owned(), source(Arc::clone(&asked))));
        let mut second =
            Box::pin(shared.answer("papers", "a".to_owned(), source(Arc::clone(&asked))));
        assert!(first.as_mut().now_or_never().is_none());
        assert!(second.as_mut().now_or_never().is_none());
        drop(first);
        assert_eq!(second.await.unwrap().0.body, b"1");
        assert_eq!(asked.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn failures_are_not_kept() {
        let (shared, _) = shared(&[]);
        let fails = async { Err(ProviderError::NotFound) };
        let failed = shared.answer("papers", "a".to_owned(), fails).await;
        assert_eq!(failed.err(), Some(ProviderError::NotFound));
        let asked = Arc::new(AtomicU32::new(0));
        let works = shared.answer("papers", "a".to_owned(), source(asked)).await;
        assert_eq!(works.unwrap().0.body, b"1");
    }

    #[tokio::test]
    async fn successes_that_say_what_went_wrong_are_not_kept() {
        let (shared, _) = shared(&[]);
        let kept = async |media: &'static str, body: &'static str| {
            let asked = format!("{media} {body}");
            for _ in 0..2 {
                let mut headers = HeaderMap::new();
                if !media.is_empty() {
                    headers.insert("content-type", media.parse().unwrap());
                }
                let answer = Answer {
                    status: 200,
                    headers,
                    body: body.as_bytes().to_vec(),
                };
                let fetch = async { Ok(answer) };
                let given = shared.answer("papers", asked.clone(), fetch).await;
                if given.unwrap().1.is_some() {
                    return true;
                }
            }
            false
        };
        let json = "application/json; charset=utf-8";
        for (media, body) in [
            ("text/html", "<p>busy</p>"),
            ("", " <!DOCTYPE html><p>busy</p>"),
            (json, "{\"error\": \"API rate limit exceeded\"}"),
            (json, "{\"errors\": [{\"message\": \"x\"}], \"data\": null}"),
            (json, "{\"errMsg\": \"x\"}"),
            (json, "{\"esearchresult\": {\"ERROR\": \"x\"}}"),
            (json, "{\"cut\": "),
            ("", "{\"error\": 1}"),
        ] {
            assert!(!kept(media, body).await, "{media} {body}");
        }
        for (media, body) in [
            (json, "{\"error\": null, \"errors\": [], \"errMsg\": \"\"}"),
            (json, "[1]"),
            ("text/xml", "<!-- x --><a/>"),
            ("text/plain", "{"),
            ("", "1"),
        ] {
            assert!(kept(media, body).await, "{media} {body}");
        }
    }

    #[tokio::test]
    async fn a_host_that_asks_for_patience_gets_it() {
        let (shared, clock) = shared(&[]);
        shared.slow_down("papers", 30);
        let refused = shared.enter("papers", person()).await;
        assert_eq!(
            refused,
            Err(ProviderError::RateLimited { retry_after_s: 30 })
        );
        clock.advance(Duration::from_secs(30));
        assert_eq!(shared.enter("papers", person()).await, Ok(()));
        assert!(shared.enter("elsewhere", person()).await.is_err());
        // Who says too much is asked again sooner.
        shared.slow_down("papers", u64::MAX);
        clock.advance(LONGEST_SHUT);
        assert_eq!(shared.enter("papers", person()).await, Ok(()));
    }

    #[test]
    fn pauses_end_with_patience_and_are_never_empty() {
        let ms = Duration::from_millis;
        assert_eq!(pause(Some(ms(5)), ms(10)), ms(5));
        assert_eq!(pause(Some(ms(50)), ms(10)), ms(10));
        assert_eq!(pause(None, ms(10)), ms(10));
        assert_eq!(pause(None, Duration::from_micros(300)), ms(1));
        assert_eq!(pause(Some(Duration::ZERO), ms(10)), ms(1));
    }

    #[tokio::test]
    async fn a_key_raises_the_pace_and_stands_in_the_address_alone() {
        let url = Url::parse("https://papers.example.test/x?q=1").unwrap();
        let (without, _) = shared(&[]);
        assert_eq!(without.keyed("papers", &url), url);
        let (with, _) = shared(&[("papers", SecretString::from("REDACTED"))]);
        assert_eq!(
            with.keyed("papers", &url).as_str(),
            "https://papers.example.test/x?q=1&api_key=REDACTED"
        );
        for _ in 0..4 {
            assert_eq!(with.enter("papers", person()).await, Ok(()));
        }
        let fifth = with.enter("papers", person()).now_or_never();
        assert!(fifth.is_none(), "the fifth waits");
    }
}
