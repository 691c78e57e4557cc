//! Whose turn it is at a host that all people share. Pure: it is told what time it is, and waits for nothing.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use tokio::sync::oneshot;

use crate::clock::Timestamp;
use crate::ids::UserId;
use crate::kit::integration::Allowance;

/// Longest wait for a turn; who would wait longer is told so at once.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);
/// How many may wait at most, so that nobody can fill the memory.
const MOST_WAITING: usize = 1_000;
/// One day, as the host counts them.
const DAY: Duration = Duration::from_hours(24);

/// The turns at one host. People take them in a circle, each with one request at a time, so that a hundred requests of one
/// person do not keep another's single one waiting.
#[derive(Debug)]
pub(super) struct Lane {
    allows: Allowance,
    /// The latest requests, as many as are allowed at once, oldest first.
    recent: VecDeque<Timestamp>,
    /// A day, and the requests of it.
    today: (i64, u32),
    /// The host itself said to wait until then.
    shut_until: Timestamp,
    /// The people who wait, the next one first; each stands here once.
    circle: VecDeque<UserId>,
    waiting: HashMap<UserId, VecDeque<Waiter>>,
    tickets: u64,
}

#[derive(Debug)]
struct Waiter {
    ticket: u64,
    go: oneshot::Sender<()>,
}

/// A place in the lane.
pub(super) struct Place {
    /// Names it in [`Lane::leave`].
    pub(super) ticket: u64,
    /// Told when it is this request's turn.
    pub(super) go: oneshot::Receiver<()>,
}

impl Lane {
    pub(super) fn new(allows: Allowance) -> Self {
        Self {
            allows,
            recent: VecDeque::new(),
            today: (0, 0),
            shut_until: Timestamp::default(),
            circle: VecDeque::new(),
            waiting: HashMap::new(),
            tickets: 0,
        }
    }

    /// Takes a place for a request of `person`; else how long the wait would be.
    pub(super) fn join(&mut self, person: UserId, now: Timestamp) -> Result<Place, Duration> {
        let wait = self.wait(person, now);
        if wait > PATIENCE || self.len() >= MOST_WAITING {
            return Err(wait);
        }
        self.tickets += 1;
        let (go, told) = oneshot::channel();
        let own = self.waiting.entry(person).or_default();
        if own.is_empty() {
            self.circle.push_back(person);
        }
        own.push_back(Waiter {
            ticket: self.tickets,
            go,
        });
        Ok(Place {
            ticket: self.tickets,
            go: told,
        })
    }

    /// Gives up a place.
    pub(super) fn leave(&mut self, person: UserId, ticket: u64) {
        let Some(own) = self.waiting.get_mut(&person) else {
            return;
        };
        own.retain(|waiter| waiter.ticket != ticket);
        if own.is_empty() {
            self.waiting.remove(&person);
            self.circle.retain(|other| *other != person);
        }
    }

    /// Lets go whose turn it is. Answers when to look again; `None` when nobody waits.
    pub(super) fn advance(&mut self, now: Timestamp) -> Option<Duration> {
        loop {
            let person = *self.circle.front()?;
            let closed = self.closed_for(now);
            if !closed.is_zero() {
                return Some(closed);
            }
            self.circle.pop_front();
            let Some(own) = self.waiting.get_mut(&person) else {
                continue;
            };
            let first = own.pop_front();
            if own.is_empty() {
                self.waiting.remove(&person);
            } else {
                self.circle.push_back(person);
            }
            // Who does not listen any more uses up nothing.
            if first.is_some_and(|waiter| waiter.go.send(()).is_ok()) {
                self.count(now);
            }
        }
    }

    /// Lets nobody go for so long, because the host says so.
    pub(super) fn shut(&mut self, time: Duration, now: Timestamp) {
        self.shut_until = self.shut_until.max(now.plus(time));
    }

    /// How long a new request of `person` would wait.
    fn wait(&self, person: UserId, now: Timestamp) -> Duration {
        // In each round everybody has one turn, so only as many of another's requests come before as of one's own.
        let own = self.waiting.get(&person).map_or(0, VecDeque::len);
        let others = self.waiting.iter().filter(|(other, _)| **other != person);
        let before: usize = own + others.map(|(_, all)| all.len().min(own + 1)).sum::<usize>();
        let rounds = before / usize::try_from(self.allows.requests.max(1)).unwrap_or(usize::MAX);
        let rounds = u32::try_from(rounds).unwrap_or(u32::MAX);
        self.closed_for(now)
            .saturating_add(self.allows.within.saturating_mul(rounds))
    }

    /// How long nobody may go.
    fn closed_for(&self, now: Timestamp) -> Duration {
        let shut = self.shut_until.since(now);
        let full = match self.recent.front() {
            Some(oldest) if self.recent.len() >= self.most_at_once() => {
                oldest.plus(self.allows.within).since(now)
            }
            _ => Duration::ZERO,
        };
        let (day, used) = self.today;
        let spent = match self.allows.per_day {
            Some(most) if day == now.day() && used >= most => {
                let second = u64::try_from(now.seconds().rem_euclid(86_400)).unwrap_or(0);
                DAY.saturating_sub(Duration::from_secs(second))
            }
            _ => Duration::ZERO,
        };
        shut.max(full).max(spent)
    }

    fn count(&mut self, now: Timestamp) {
        if self.recent.len() >= self.most_at_once() {
            self.recent.pop_front();
        }
        self.recent.push_back(now);
        let (day, used) = self.today;
        self.today = if day == now.day() {
            (day, used + 1)
        } else {
            (now.day(), 1)
        };
    }

    fn most_at_once(&self) -> usize {
        usize::try_from(self.allows.requests.max(1)).unwrap_or(usize::MAX)
    }

    fn len(&self) -> usize {
        self.waiting.values().map(VecDeque::len).sum()
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test says what went wrong by failing")]

    use super::*;
    use crate::clock::Clock;

    const ALLOWS: Allowance = Allowance {
        requests: 3,
        within: Duration::from_secs(1),
        per_day: None,
    };

    fn start() -> Clock {
        Clock::manual(Timestamp::from_micros(1_795_176_000_000_000))
    }

    fn person(clock: &Clock) -> UserId {
        UserId::new(clock.now())
    }

    /// Which of these places have been told to go.
    fn gone(places: &mut [Place]) -> Vec<usize> {
        let told = places.iter_mut().enumerate();
        told.filter_map(|(index, place)| place.go.try_recv().ok().map(|()| index))
            .collect()
    }

    #[test]
    fn no_window_holds_more_than_is_allowed() {
        let clock = start();
        let mut lane = Lane::new(ALLOWS);
        let alice = person(&clock);
        let mut places: Vec<Place> = (0..5)
            .map(|_| lane.join(alice, clock.now()).unwrap())
            .collect();
        assert_eq!(lane.advance(clock.now()), Some(Duration::from_secs(1)));
        assert_eq!(gone(&mut places), [0, 1, 2]);
        clock.advance(Duration::from_millis(999));
        assert_eq!(lane.advance(clock.now()), Some(Duration::from_millis(1)));
        assert_eq!(gone(&mut places), Vec::<usize>::new());
        clock.advance(Duration::from_millis(1));
        assert_eq!(lane.advance(clock.now()), None);
        assert_eq!(gone(&mut places), [3, 4]);
    }

    #[test]
    fn people_take_turns() {
        let clock = start();
        let mut lane = Lane::new(ALLOWS);
        let (alice, bob) = (person(&clock), person(&clock));
        let mut many: Vec<Place> = (0..50)
            .map(|_| lane.join(alice, clock.now()).unwrap())
            .collect();
        lane.advance(clock.now());
        assert_eq!(gone(&mut many), [0, 1, 2]);
        let mut one = [lane.join(bob, clock.now()).unwrap()];
        clock.advance(Duration::from_secs(1));
        lane.advance(clock.now());
        assert_eq!(gone(&mut one), [0]);
        assert_eq!(gone(&mut many), [3, 4]);
    }

    #[test]
    fn who_would_wait_too_long_is_told_at_once() {
        let clock = start();
        let mut lane = Lane::new(ALLOWS);
        let (alice, bob) = (person(&clock), person(&clock));
        let mut places = Vec::new();
        let refused = loop {
            match lane.join(alice, clock.now()) {
                Ok(place) => places.push(place),
                Err(wait) => break wait,
            }
        };
        assert_eq!(places.len(), 63);
        assert_eq!(refused, Duration::from_secs(21));
        assert!(lane.join(bob, clock.now()).is_ok());
    }

    #[test]
    fn the_host_slows_everybody_down() {
        let clock = start();
        let mut lane = Lane::new(ALLOWS);
        lane.shut(Duration::from_secs(5), clock.now());
        let mut places = [lane.join(person(&clock), clock.now()).unwrap()];
        assert_eq!(lane.advance(clock.now()), Some(Duration::from_secs(5)));
        clock.advance(Duration::from_secs(5));
        assert_eq!(lane.advance(clock.now()), None);
        assert_eq!(gone(&mut places), [0]);
        lane.shut(Duration::from_mins(1), clock.now());
        lane.shut(Duration::from_secs(1), clock.now());
        let refused = lane.join(person(&clock), clock.now()).err();
        assert_eq!(refused, Some(Duration::from_mins(1)));
    }

    #[test]
    fn a_day_that_is_used_up_ends_at_midnight() {
        let clock = start();
        let mut lane = Lane::new(Allowance {
            per_day: Some(2),
            ..ALLOWS
        });
        let alice = person(&clock);
        for _ in 0..2 {
            let mut place = [lane.join(alice, clock.now()).unwrap()];
            lane.advance(clock.now());
            assert_eq!(gone(&mut place), [0]);
        }
        let noon_to_midnight = Duration::from_hours(12);
        let refused = lane.join(alice, clock.now()).err();
        assert_eq!(refused, Some(noon_to_midnight));
        clock.advance(noon_to_midnight);
        assert!(lane.join(alice, clock.now()).is_ok());
    }

    #[test]
    fn who_leaves_uses_up_nothing() {
        let clock = start();
        let mut lane = Lane::new(Allowance {
            requests: 1,
            ..ALLOWS
        });
        let (alice, bob, carol) = (person(&clock), person(&clock), person(&clock));
        let left = lane.join(alice, clock.now()).unwrap();
        drop(lane.join(bob, clock.now()).unwrap());
        let mut place = [lane.join(carol, clock.now()).unwrap()];
        lane.leave(alice, left.ticket);
        assert_eq!(lane.advance(clock.now()), None);
        assert_eq!(gone(&mut place), [0]);
    }
}
