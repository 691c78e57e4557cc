//! Our own pace towards providers: one token bucket per connection, so that one busy conversation does not use up an
//! account's allowance, nor one person the organization's app.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

use crate::ids::ConnectionId;
use crate::kit::integration::Provider;

/// Longest wait for a place within a call, all in all; beyond it the caller is told to come back.
const PATIENCE: Duration = Duration::from_secs(2);

/// The buckets of every provider.
pub(super) struct Limits {
    buckets: HashMap<&'static str, DefaultKeyedRateLimiter<ConnectionId>>,
    clock: DefaultClock,
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
            clock: DefaultClock::default(),
        }
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
    }
}
