//! How often one address may come to the open doors of the authorization server. Counted in this process alone, so
//! replicas together let through as many times more.

use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;

use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

use crate::auth::throttle::network;

/// A door that anybody can come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// Registration.
    Register,
    /// Authorization requests.
    Authorize,
    /// Token requests and revocations.
    Token,
}

/// The pace of each door: how many at once, and how many a minute after that.
const PACE: [(Door, u32, u32); 3] = [
    (Door::Register, 30, 6),
    (Door::Authorize, 300, 120),
    (Door::Token, 300, 300),
];

pub(super) struct Pace {
    buckets: [DefaultKeyedRateLimiter<IpAddr>; 3],
    clock: DefaultClock,
}

impl Pace {
    pub(super) fn new() -> Self {
        let number = |count| NonZeroU32::new(count).unwrap_or(NonZeroU32::MIN);
        Self {
            buckets: PACE.map(|(_, burst, per_minute)| {
                RateLimiter::keyed(Quota::per_minute(number(per_minute)).allow_burst(number(burst)))
            }),
            clock: DefaultClock::default(),
        }
    }

    /// Takes a place; else the seconds until there is one. Whoever comes from nowhere known shares one bucket.
    pub(super) fn enter(&self, door: Door, from: Option<IpAddr>) -> Result<(), u64> {
        let from = network(from.unwrap_or(IpAddr::V6(Ipv6Addr::UNSPECIFIED)));
        let places = PACE.iter().zip(&self.buckets);
        for (_, bucket) in places.filter(|((of, ..), _)| *of == door) {
            if let Err(full) = bucket.check_key(&from) {
                return Err(full.wait_time_from(self.clock.now()).as_secs() + 1);
            }
        }
        Ok(())
    }

    pub(super) fn sweep(&self) {
        self.buckets.iter().for_each(RateLimiter::retain_recent);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_from_one_network_stops_and_others_go_on() {
        let pace = Pace::new();
        let host = |n| Some(IpAddr::V6(Ipv6Addr::new(0x2a00, 1, 2, 3, 0, 0, 0, n)));
        let admitted = (0..10_000)
            .filter(|n| pace.enter(Door::Register, host(*n)).is_ok())
            .count();
        assert!((30..40).contains(&admitted), "{admitted}");
        let other = Some(IpAddr::from([198, 51, 100, 7]));
        assert!(pace.enter(Door::Register, other).is_ok());
        assert!(pace.enter(Door::Token, host(1)).is_ok());
    }
}
