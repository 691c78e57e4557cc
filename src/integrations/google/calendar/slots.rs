//! Free times of several people, found on a grid. Pure: no request, no clock.

use crate::kit::Timestamp;
use crate::kit::zone::Zone;

/// What is looked for; instants are seconds since 1970.
#[derive(Clone, Debug)]
pub(super) struct Search {
    pub(super) from: i64,
    pub(super) until: i64,
    /// Length of the meeting.
    pub(super) length_s: i64,
    /// Where the one who looks is.
    pub(super) zone: Zone,
    /// Where others are whose hours count too.
    pub(super) others: Vec<Zone>,
    /// Working hours, in seconds of the day of each.
    pub(super) opens_s: i64,
    pub(super) closes_s: i64,
    pub(super) weekends: bool,
}

/// A time at which a meeting fits, and who is busy then, by number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Slot {
    pub(super) start: i64,
    pub(super) end: i64,
    pub(super) busy: Vec<usize>,
}

const DAY_S: i64 = 24 * 3_600;
/// Meetings begin at half hours, short ones at quarters.
const HALF_HOUR_S: i64 = 1_800;
const QUARTER_S: i64 = 900;
/// Times of one day in the first choice, so that a person can choose a day.
const A_DAY: usize = 3;

/// At most `max` times, best first: with the fewest people busy, then the earliest; not two that overlap. `people` are
/// their busy times.
pub(super) fn find(search: &Search, people: &[Vec<(i64, i64)>], max: usize) -> Vec<Slot> {
    let step = if search.length_s < HALF_HOUR_S {
        QUARTER_S
    } else {
        HALF_HOUR_S
    };
    let own = &search.zone;
    // Up to the grid of the local day.
    let behind = local(own, search.from).rem_euclid(step);
    let mut start = search.from + if behind == 0 { 0 } else { step - behind };
    let mut slots = Vec::new();
    while start + search.length_s <= search.until {
        let end = start + search.length_s;
        if std::iter::once(own)
            .chain(&search.others)
            .all(|zone| at_work(search, local(zone, start)))
        {
            let overlaps = |times: &Vec<(i64, i64)>| {
                times
                    .iter()
                    .any(|(from, until)| *from < end && start < *until)
            };
            let busy = people.iter().enumerate();
            let busy = busy.filter(|(_, times)| overlaps(times)).map(|(at, _)| at);
            slots.push(Slot {
                start,
                end,
                busy: busy.collect(),
            });
        }
        start += step;
    }
    // A time at which nobody can come is none.
    slots.retain(|slot| people.is_empty() || slot.busy.len() < people.len());
    slots.sort_by_key(|slot| (slot.busy.len(), slot.start));
    let mut chosen: Vec<Slot> = Vec::new();
    for most in [A_DAY, usize::MAX] {
        for slot in &slots {
            if chosen.len() == max {
                break;
            }
            let day = local(own, slot.start).div_euclid(DAY_S);
            let same_day = |one: &&Slot| local(own, one.start).div_euclid(DAY_S) == day;
            let clashes = chosen
                .iter()
                .any(|one| one.start < slot.end && slot.start < one.end);
            if !clashes && chosen.iter().filter(same_day).count() < most {
                chosen.push(slot.clone());
            }
        }
    }
    chosen.sort_by_key(|slot| (slot.busy.len(), slot.start));
    chosen
}

/// What the clock shows, in seconds since it showed 1970.
fn local(zone: &Zone, at: i64) -> i64 {
    let offset = zone.offset(Timestamp::from_micros(at.saturating_mul(1_000_000)));
    at + i64::from(offset.whole_seconds())
}

/// Whether a meeting that begins then lies within the hours of a working day.
fn at_work(search: &Search, local: i64) -> bool {
    let of_day = local.rem_euclid(DAY_S);
    let fits = of_day >= search.opens_s && of_day + search.length_s <= search.closes_s;
    fits && (search.weekends || !is_weekend(local))
}

/// 1970-01-01 was a Thursday.
fn is_weekend(local: i64) -> bool {
    matches!((local.div_euclid(DAY_S) + 4).rem_euclid(7), 0 | 6)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Monday 2026-11-23T00:00:00+01:00.
    const MONDAY: i64 = 1_795_388_400;
    const HOUR: i64 = 3_600;

    fn search() -> Search {
        Search {
            from: MONDAY,
            until: MONDAY + 2 * DAY_S,
            length_s: HOUR,
            zone: Zone::named("Europe/Berlin").unwrap_or(Zone::UTC),
            others: Vec::new(),
            opens_s: 9 * HOUR,
            closes_s: 12 * HOUR,
            weekends: false,
        }
    }

    fn hours(slots: &[Slot]) -> Vec<(i64, usize)> {
        slots
            .iter()
            .map(|slot| ((slot.start - MONDAY) / 60, slot.busy.len()))
            .collect()
    }

    #[test]
    fn free_times_come_first_and_spread_over_days() {
        let alice = vec![(MONDAY + 9 * HOUR, MONDAY + 10 * HOUR)];
        let bob = vec![(MONDAY + 11 * HOUR, MONDAY + 11 * HOUR + 600)];
        let found = find(&search(), &[alice, bob], 4);
        // Monday 10 to 11 is the only hour with both; Tuesday has three.
        assert_eq!(
            hours(&found),
            [(600, 0), (1_980, 0), (2_040, 0), (2_100, 0)]
        );
        let found = find(&search(), &[vec![(MONDAY, MONDAY + 2 * DAY_S)], vec![]], 2);
        assert_eq!(
            hours(&found),
            [(540, 1), (600, 1)],
            "one of two is better than nothing"
        );
        assert!(find(&search(), &[vec![(MONDAY, MONDAY + 2 * DAY_S)]], 2).is_empty());
    }

    #[test]
    fn everybody_is_at_work() {
        let both = |other: &str| Search {
            others: vec![Zone::named(other).unwrap_or(Zone::UTC)],
            closes_s: 17 * HOUR,
            ..search()
        };
        // Nine in New York is three in the afternoon in Berlin.
        assert_eq!(
            hours(&find(&both("America/New_York"), &[vec![]], 2)),
            [(900, 0), (960, 0)]
        );
        assert!(find(&both("Asia/Tokyo"), &[vec![]], 2).len() < 2);
        assert!(find(&both("Pacific/Auckland"), &[vec![]], 2).is_empty());
    }

    #[test]
    fn the_working_day_moves_with_the_clocks() {
        // Friday 2026-03-27 and Monday 2026-03-30, between which Berlin's clocks are changed.
        let friday = 1_774_566_000;
        let spring = Search {
            from: friday,
            until: friday + 4 * DAY_S,
            ..search()
        };
        let found = find(&spring, &[vec![]], 6);
        let began: Vec<i64> = found
            .iter()
            .map(|slot| (slot.start - friday) / 60)
            .collect();
        assert_eq!(began, [540, 600, 660, 4_800, 4_860, 4_920]);
    }

    #[test]
    fn weekends_and_hours_are_kept() {
        let saturday = Search {
            from: MONDAY - 2 * DAY_S,
            until: MONDAY,
            ..search()
        };
        assert!(find(&saturday, &[vec![]], 5).is_empty());
        let open = Search {
            weekends: true,
            ..saturday
        };
        assert_eq!(find(&open, &[vec![]], 9).len(), 6);
        let odd = Search {
            from: MONDAY + 9 * HOUR + 60,
            length_s: 900,
            ..search()
        };
        assert_eq!(
            hours(&find(&odd, &[vec![]], 1)),
            [(555, 0)],
            "quarters for short meetings"
        );
    }
}
