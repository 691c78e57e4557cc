//! Several calendars as one list by time.
//!
//! Each calendar is read a page at a time. Of the merged pages so many events are given as were asked for; the cursor
//! remembers for each calendar which of its pages comes next and how many events of it were given already.

use serde::{Deserialize, Serialize};

use super::super::asks::day;
use super::model::{Event, Events, When};
use crate::kit::Timestamp;

/// How far one calendar was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Reading {
    /// The calendar.
    pub(super) id: String,
    /// Google's page; `None` is the first one.
    pub(super) token: Option<String>,
    /// Events of that page that were given already.
    pub(super) skip: usize,
}

impl Reading {
    /// At the beginning.
    pub(super) fn new(id: String) -> Self {
        Self {
            id,
            token: None,
            skip: 0,
        }
    }
}

/// Seconds since 1970 at which something begins; days begin at midnight UTC.
pub(super) fn seconds(when: &When) -> i64 {
    if when.date_time.is_empty() {
        return day(&when.date).map_or(0, |day| day.midnight().assume_utc().unix_timestamp());
    }
    Timestamp::parse_rfc3339(&when.date_time).map_or(0, Timestamp::seconds)
}

/// The first `limit` events of these pages by time, with the number of their calendar, and where each calendar goes on.
/// Nothing is given that begins after what a calendar may still have on its next page.
pub(super) fn merge(
    pages: Vec<(Reading, Events)>,
    limit: usize,
) -> (Vec<(String, Event)>, Vec<Reading>) {
    let mut heads: Vec<(Reading, std::vec::IntoIter<Event>, usize, Option<String>)> = Vec::new();
    for (reading, page) in pages {
        let total = page.items.len();
        let mut events = page.items.into_iter();
        if reading.skip > 0 {
            events.nth(reading.skip - 1);
        }
        heads.push((reading, events, total, page.next_page_token));
    }
    let mut given = Vec::new();
    while given.len() < limit {
        // A calendar whose page is used up but that has more decides what may follow: nothing.
        if heads
            .iter()
            .any(|(_, events, _, next)| events.len() == 0 && next.is_some())
        {
            break;
        }
        let first = heads
            .iter()
            .enumerate()
            .filter_map(|(at, (_, events, ..))| Some((at, events.as_slice().first()?)))
            .min_by_key(|(at, event)| (seconds(&event.start), *at))
            .map(|(at, _)| at);
        let Some(at) = first else { break };
        let (reading, events, ..) = &mut heads[at];
        if let Some(event) = events.next() {
            reading.skip += 1;
            given.push((reading.id.clone(), event));
        }
    }
    let rest = heads
        .into_iter()
        .filter_map(|(reading, events, total, next)| {
            if events.len() > 0 {
                return Some(Reading {
                    skip: total - events.len(),
                    ..reading
                });
            }
            next.map(|token| Reading {
                id: reading.id,
                token: Some(token),
                skip: 0,
            })
        })
        .collect();
    (given, rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(starts: &[&str], next: Option<&str>) -> Events {
        let event = |start: &&str| Event {
            id: (*start).to_owned(),
            start: When {
                date_time: (*start).to_owned(),
                ..When::default()
            },
            ..Event::default()
        };
        Events {
            items: starts.iter().map(event).collect(),
            next_page_token: next.map(ToOwned::to_owned),
            ..Events::default()
        }
    }

    fn ids(given: &[(String, Event)]) -> Vec<String> {
        given
            .iter()
            .map(|(of, event)| format!("{of} {}", &event.id[11..13]))
            .collect()
    }

    #[test]
    fn calendars_are_merged_by_time_and_go_on_where_they_were() {
        let a = page(
            &[
                "2026-11-20T08:00:00Z",
                "2026-11-20T12:00:00+01:00",
                "2026-11-20T15:00:00Z",
            ],
            None,
        );
        let b = page(
            &["2026-11-20T09:00:00Z", "2026-11-20T10:00:00Z"],
            Some("b-2"),
        );
        let pages = vec![
            (Reading::new("a".to_owned()), a),
            (Reading::new("b".to_owned()), b),
        ];
        let (given, rest) = merge(pages.clone(), 2);
        assert_eq!(ids(&given), ["a 08", "b 09"]);
        let skip = |rest: &[Reading]| -> Vec<(String, Option<String>, usize)> {
            rest.iter()
                .map(|one| (one.id.clone(), one.token.clone(), one.skip))
                .collect()
        };
        assert_eq!(
            skip(&rest),
            [("a".to_owned(), None, 1), ("b".to_owned(), None, 1)]
        );
        // b may have something before 15 o'clock on its next page, so a's last event waits.
        let (given, rest) = merge(pages, 10);
        assert_eq!(ids(&given), ["a 08", "b 09", "b 10"]);
        assert_eq!(
            skip(&rest),
            [
                ("a".to_owned(), None, 1),
                ("b".to_owned(), Some("b-2".to_owned()), 0)
            ]
        );
    }

    #[test]
    fn the_last_page_leaves_nothing() {
        let pages = vec![(
            Reading {
                skip: 1,
                ..Reading::new("a".to_owned())
            },
            page(&["2026-11-20T08:00:00Z", "2026-11-20T09:00:00Z"], None),
        )];
        let (given, rest) = merge(pages, 10);
        assert_eq!(ids(&given), ["a 09"]);
        assert!(rest.is_empty());
    }
}
