//! How often one person may begin to connect, on this replica: every attempt writes rows, and a pasted key asks a server
//! that the person names.

use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

use crate::ids::UserId;

/// Attempts at once, and how long until the next one.
const ATTEMPTS: (u32, Duration) = (30, Duration::from_secs(10));
/// People who are remembered before those who rested are forgotten.
const REMEMBERED: usize = 10_000;

/// The attempts of everybody.
pub(super) struct Pace {
    people: DefaultKeyedRateLimiter<UserId>,
    clock: DefaultClock,
}

impl Default for Pace {
    fn default() -> Self {
        let (burst, pause) = ATTEMPTS;
        let quota = Quota::with_period(pause).unwrap_or_else(|| Quota::per_minute(NonZeroU32::MIN));
        let quota = quota.allow_burst(NonZeroU32::new(burst).unwrap_or(NonZeroU32::MIN));
        Self {
            people: RateLimiter::keyed(quota),
            clock: DefaultClock::default(),
        }
    }
}

impl Pace {
    /// Takes an attempt of this person, or says in how many seconds the next one may be.
    pub(super) fn take(&self, user: UserId) -> Result<(), u64> {
        if self.people.len() > REMEMBERED {
            self.people.retain_recent();
        }
        let now = self.clock.now();
        let taken = self.people.check_key(&user);
        taken.map_err(|full| full.wait_time_from(now).as_secs() + 1)
    }
}
