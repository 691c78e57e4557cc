//! How often passwords may be tried: per account and per address, on this replica. A bucket is named by what was typed,
//! before anybody looks whether it exists, so the answer says nothing about that.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

use crate::vault;

/// Tries for one account before it must wait, and how long until the next one.
const ACCOUNT: (u32, Duration) = (10, Duration::from_secs(30));
/// The same for one address, behind which an office may sit.
const ADDRESS: (u32, Duration) = (40, Duration::from_secs(2));
/// How often the log is told that a bucket is empty.
const TOLD: Duration = Duration::from_mins(1);

/// A try that came too early.
pub(super) struct TooOften {
    /// When to come again, in seconds.
    pub(super) retry_after_s: u64,
    /// Whether the log should hear of it; false when it did a moment ago.
    pub(super) tell: bool,
}

/// The buckets.
pub(super) struct Guesses {
    accounts: DefaultKeyedRateLimiter<[u8; 32]>,
    addresses: DefaultKeyedRateLimiter<IpAddr>,
    told: DefaultKeyedRateLimiter<[u8; 32]>,
    clock: DefaultClock,
}

impl Guesses {
    pub(super) fn new() -> Self {
        let quota = |(burst, pause): (u32, Duration)| {
            let burst = NonZeroU32::new(burst).unwrap_or(NonZeroU32::MIN);
            Quota::with_period(pause)
                .unwrap_or_else(|| Quota::per_minute(NonZeroU32::MIN))
                .allow_burst(burst)
        };
        Self {
            accounts: RateLimiter::keyed(quota(ACCOUNT)),
            addresses: RateLimiter::keyed(quota(ADDRESS)),
            told: RateLimiter::keyed(quota((1, TOLD))),
            clock: DefaultClock::default(),
        }
    }

    /// Takes a try for this account from this address.
    pub(super) fn take(&self, account: &str, address: Option<IpAddr>) -> Result<(), TooOften> {
        let now = self.clock.now();
        let key = vault::hash(account);
        let by_address = address
            .map(network)
            .map(|network| self.addresses.check_key(&network));
        let wait = match (by_address, self.accounts.check_key(&key)) {
            (Some(Err(full)), _) | (_, Err(full)) => full.wait_time_from(now),
            (Some(Ok(())) | None, Ok(())) => return Ok(()),
        };
        Err(TooOften {
            retry_after_s: wait.as_secs() + 1,
            tell: self.told.check_key(&key).is_ok(),
        })
    }

    /// Forgets buckets that are full again.
    pub(super) fn sweep(&self) {
        self.accounts.retain_recent();
        self.addresses.retain_recent();
        self.told.retain_recent();
    }
}

/// What one party can be expected to own: an IPv4 address, or the 64 bits of an IPv6 network.
pub(super) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6((address.to_bits() & !u128::from(u64::MAX)).into()),
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_account_or_one_address_runs_out() {
        let guesses = Guesses::new();
        let home: IpAddr = [192, 0, 2, 1].into();
        for _ in 0..ACCOUNT.0 {
            assert!(guesses.take("alice", Some(home)).is_ok());
        }
        let refused = guesses.take("alice", Some([192, 0, 2, 2].into()));
        assert!(refused.is_err_and(|refused| refused.tell && refused.retry_after_s <= 31));
        assert!(
            guesses
                .take("alice", None)
                .is_err_and(|refused| !refused.tell)
        );
        let mut others = 0;
        while guesses
            .take(&format!("person {others}"), Some(home))
            .is_ok()
        {
            others += 1;
        }
        assert!(others < ADDRESS.0, "{others}");
        assert!(guesses.take("bob", Some([192, 0, 2, 3].into())).is_ok());
    }

    #[test]
    fn a_network_of_ipv6_is_one_address() {
        let parse = |text: &str| text.parse::<IpAddr>().map(network);
        assert_eq!(parse("2001:db8::1"), parse("2001:db8::ffff:1"));
        assert_ne!(parse("2001:db8::1"), parse("2001:db8:0:1::1"));
        assert_eq!(parse("::ffff:192.0.2.1"), parse("192.0.2.1"));
    }
}
