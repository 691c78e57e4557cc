//! Token buckets. Our own pace towards providers: one per connection, so that one busy conversation does not use up an
//! account's allowance, nor one person the organization's app. And what the organization allows a minute: one per person,
//! so that nobody crowds out the others, and one per integration.
//!
//! Buckets are this process's own: an organization with several replicas allows each of them its limit.

use std::collections::HashMap;
use std::hash::Hash;
use std::num::NonZeroU32;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

use super::explain::Failure;
use crate::caller::Caller;
use crate::ids::{ConnectionId, OrgId, UserId};
use crate::kit::integration::{Integration, Provider};
use crate::policy::Rates;

/// Longest wait for a place within a call, all in all; beyond it the caller is told to come back.
const PATIENCE: Duration = Duration::from_secs(2);

/// The buckets of every provider.
pub(super) struct Limits {
    buckets: HashMap<&'static str, DefaultKeyedRateLimiter<ConnectionId>>,
    people: PerMinute<UserId>,
    integrations: PerMinute<(OrgId, &'static str)>,
    clock: DefaultClock,
}

/// Buckets of so many calls a minute, by that number: one that an admin changes begins anew.
struct PerMinute<K: Hash + Eq + Clone>(
    RwLock<HashMap<NonZeroU32, Arc<DefaultKeyedRateLimiter<K>>>>,
);

impl<K: Hash + Eq + Clone> PerMinute<K> {
    fn new() -> Self {
        Self(RwLock::default())
    }

    /// Takes a place; else the seconds until there is one.
    fn check(&self, rate: NonZeroU32, key: &K, clock: &DefaultClock) -> Result<(), u64> {
        let known = {
            let limiters = self.0.read().unwrap_or_else(PoisonError::into_inner);
            limiters.get(&rate).map(Arc::clone)
        };
        let limiter = known.unwrap_or_else(|| {
            let mut limiters = self.0.write().unwrap_or_else(PoisonError::into_inner);
            let limiter = limiters
                .entry(rate)
                .or_insert_with(|| Arc::new(RateLimiter::keyed(Quota::per_minute(rate))));
            Arc::clone(limiter)
        });
        limiter
            .check_key(key)
            .map_err(|full| full.wait_time_from(clock.now()).as_secs() + 1)
    }

    fn sweep(&self) {
        let mut limiters = self.0.write().unwrap_or_else(PoisonError::into_inner);
        limiters.retain(|_, limiter| {
            limiter.retain_recent();
            !limiter.is_empty()
        });
    }
}

impl Limits {
    /// Buckets for these providers, at the pace each of them names.
    pub(super) fn new(providers: impl IntoIterator<Item = &'static Provider>) -> Self {
        let bucket = |provider: &'static Provider| {
            let pace = provider.api.pace;
            let per_second = NonZeroU32::new(pace.per_second).unwrap_or(NonZeroU32::MIN);
            let burst = NonZeroU32::new(pace.burst).unwrap_or(NonZeroU32::MIN);
            (
                provider.id,
                RateLimiter::keyed(Quota::per_second(per_second).allow_burst(burst)),
            )
        };
        Self {
            buckets: providers.into_iter().map(bucket).collect(),
            people: PerMinute::new(),
            integrations: PerMinute::new(),
            clock: DefaultClock::default(),
        }
    }

    /// Takes a place in what the organization allows a minute. Nobody waits for one: who is over the limit is told so.
    pub(super) fn pace(
        &self,
        caller: &Caller,
        integration: &'static Integration,
        rates: Rates,
    ) -> Result<(), Failure> {
        if let Some(per_minute) = rates.person {
            self.people
                .check(per_minute, &caller.user, &self.clock)
                .map_err(|seconds| Failure::Paced {
                    at: None,
                    per_minute,
                    seconds,
                })?;
        }
        if let Some(per_minute) = rates.integration {
            self.integrations
                .check(per_minute, &(caller.org, integration.id), &self.clock)
                .map_err(|seconds| Failure::Paced {
                    at: Some(integration),
                    per_minute,
                    seconds,
                })?;
        }
        Ok(())
    }

    /// Takes a place, waiting a little when there is none; else the seconds until there is one.
    pub(super) async fn enter(&self, provider: &str, connection: ConnectionId) -> Result<(), u64> {
        let Some(bucket) = self.buckets.get(provider) else {
            return Ok(());
        };
        let started = tokio::time::Instant::now();
        loop {
            let Err(full) = bucket.check_key(&connection) else {
                return Ok(());
            };
            // All who wait are told of the same next place, and only one of them gets it.
            let wait = full.wait_time_from(self.clock.now());
            if started.elapsed() + wait > PATIENCE {
                return Err(wait.as_secs() + 1);
            }
            tokio::time::sleep(wait).await;
        }
    }

    /// Forgets buckets that are full again.
    pub(super) fn sweep(&self) {
        self.buckets.values().for_each(RateLimiter::retain_recent);
        self.people.sweep();
        self.integrations.sweep();
    }
}
