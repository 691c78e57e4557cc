//! Times in arguments. Graph converts between time zones itself, so there is no table of them here: a time without an
//! offset is a wall-clock time in the zone that is sent with it.

use std::time::Duration;

use time::macros::format_description;
use time::{Date, PrimitiveDateTime, Time};

use crate::kit::Timestamp;
use crate::kit::error::ToolError;
use crate::kit::tool::Cx;

/// What a calendar is shown in when nobody said.
const UTC: &str = "UTC";

/// The person's own time zone, as their mailbox names it.
pub(super) fn zone<'a>(cx: &'a Cx, wanted: &'a str) -> &'a str {
    let own = cx.account.detail("time_zone");
    [wanted, own]
        .into_iter()
        .find(|zone| !zone.trim().is_empty())
        .unwrap_or(UTC)
}

/// Reads a time that lies back: RFC 3339, a date, or a distance from now such as `7d`, `12h`, `today`.
pub(super) fn past(name: &str, text: &str, now: Timestamp) -> Result<Option<Timestamp>, ToolError> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    let midnight = |day: &str| Timestamp::parse_rfc3339(&format!("{day}T00:00:00Z"));
    let distance = || {
        let unit_s = match text.chars().last()? {
            'h' => 3_600,
            'd' => 86_400,
            'w' => 604_800,
            _other => return None,
        };
        let count: u64 = text.get(..text.len() - 1)?.parse().ok()?;
        let near = (1..=5_000).contains(&count);
        near.then(|| now.minus(Duration::from_secs(count * unit_s)))
    };
    let found = match text {
        "today" => now.rfc3339().get(..10).and_then(midnight),
        text => Timestamp::parse_rfc3339(text)
            .or_else(|| midnight(text))
            .or_else(distance),
    };
    found.map(Some).ok_or_else(|| {
        ToolError::Invalid(format!(
            "`{name}` must be a date, an RFC 3339 time, or a distance back such as `7d`"
        ))
    })
}

/// Whole seconds, as OData literals have them.
pub(super) fn seconds(at: Timestamp) -> String {
    Timestamp::from_micros(at.seconds() * 1_000_000).rfc3339()
}

/// A time of a calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum When {
    /// With an offset.
    Instant(Timestamp),
    /// As a clock on the wall shows it.
    Wall(PrimitiveDateTime),
    /// A whole day.
    Day(Date),
}

impl When {
    /// Reads `2026-11-20`, `2026-11-20T14:00`, with seconds or an offset too, `today`, `tomorrow` or `+3d`.
    pub(super) fn parse(name: &str, text: &str, now: Timestamp) -> Result<Self, ToolError> {
        Self::read(text.trim(), now).ok_or_else(|| {
            ToolError::Invalid(format!(
                "`{name}` must be a date, a time such as 2026-11-20T14:00 (with an offset or in the calendar's time zone), `today`, `tomorrow` or `+7d`"
            ))
        })
    }

    fn read(text: &str, now: Timestamp) -> Option<Self> {
        let days = match text {
            "now" => return Some(Self::Instant(now)),
            "today" => Some(0),
            "tomorrow" => Some(1),
            text => text
                .strip_prefix('+')
                .and_then(|rest| rest.strip_suffix('d'))
                .and_then(|count| count.parse().ok()),
        };
        if let Some(days) = days {
            let at = now.plus(Duration::from_secs(
                86_400 * u64::from(u16::min(days, 3_660)),
            ));
            return date(at.rfc3339().get(..10)?).map(Self::Day);
        }
        date(text)
            .map(Self::Day)
            .or_else(|| Timestamp::parse_rfc3339(text).map(Self::Instant))
            .or_else(|| wall(text).map(Self::Wall))
    }

    /// The wall-clock time and the zone to send with it; `end` takes a day to its last instant.
    pub(super) fn graph(self, zone: &str, end: bool) -> (String, String) {
        match self {
            Self::Instant(at) => (seconds(at).trim_end_matches('Z').to_owned(), UTC.to_owned()),
            Self::Wall(at) => (local(at), zone.to_owned()),
            Self::Day(day) => {
                let day = if end {
                    day.next_day().unwrap_or(day)
                } else {
                    day
                };
                (local(day.midnight()), zone.to_owned())
            }
        }
    }

    /// The earliest and latest instant that this can be, whatever the zone.
    pub(super) fn span(self, end: bool) -> (Timestamp, Timestamp) {
        const WIDEST: Duration = Duration::from_hours(14);
        let wall = match self {
            Self::Instant(at) => return (at, at),
            Self::Wall(at) => at,
            Self::Day(day) if end => day.next_day().unwrap_or(day).midnight(),
            Self::Day(day) => day.midnight(),
        };
        let micros = i64::try_from(wall.assume_utc().unix_timestamp_nanos() / 1_000).unwrap_or(0);
        let at = Timestamp::from_micros(micros);
        (at.minus(WIDEST), at.plus(WIDEST))
    }

    /// The wall-clock time, when this is one.
    pub(super) fn wall(self, end: bool) -> Option<PrimitiveDateTime> {
        match self {
            Self::Instant(_) => None,
            Self::Wall(at) => Some(at),
            Self::Day(day) if end => Some(day.next_day().unwrap_or(day).midnight()),
            Self::Day(day) => Some(day.midnight()),
        }
    }
}

/// A date.
pub(super) fn date(text: &str) -> Option<Date> {
    Date::parse(text, format_description!("[year]-[month]-[day]")).ok()
}

/// A wall-clock time as Graph writes it (`2026-11-20T14:00:00.0000000`) or a person does (`2026-11-20T14:00`).
pub(super) fn wall(text: &str) -> Option<PrimitiveDateTime> {
    let (day, clock) = text.split_once(['T', ' '])?;
    let clock = clock.split('.').next()?;
    let clock = Time::parse(clock, format_description!("[hour]:[minute]:[second]"))
        .or_else(|_| Time::parse(clock, format_description!("[hour]:[minute]")))
        .ok()?;
    Some(PrimitiveDateTime::new(date(day)?, clock))
}

/// A wall-clock time as Graph takes it.
pub(super) fn local(at: PrimitiveDateTime) -> String {
    at.format(format_description!(
        "[year]-[month]-[day]T[hour]:[minute]:[second]"
    ))
    .unwrap_or_default()
}

/// The same as people read it: without seconds.
pub(super) fn shown(at: PrimitiveDateTime) -> String {
    at.format(format_description!("[year]-[month]-[day]T[hour]:[minute]"))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test says what went wrong by failing")]
    use super::*;

    fn now() -> Timestamp {
        Timestamp::parse_rfc3339("2026-11-20T12:00:00Z").unwrap()
    }

    #[test]
    fn times_of_calendars_keep_their_zone() {
        let graph = |text: &str, end| When::parse("start", text, now()).unwrap().graph("Z", end);
        let pair = |at: &str, zone: &str| (at.to_owned(), zone.to_owned());
        assert_eq!(
            graph("2026-11-23T14:00", false),
            pair("2026-11-23T14:00:00", "Z")
        );
        assert_eq!(
            graph("2026-11-23T14:00:00+02:00", false),
            pair("2026-11-23T12:00:00", "UTC")
        );
        assert_eq!(graph("2026-11-23", true), pair("2026-11-24T00:00:00", "Z"));
        assert_eq!(graph("today", false), pair("2026-11-20T00:00:00", "Z"));
        assert_eq!(graph("+7d", false), pair("2026-11-27T00:00:00", "Z"));
        assert!(When::parse("start", "soon", now()).is_err());
    }

    #[test]
    fn times_back_are_dates_or_distances() {
        let found = |text: &str| past("since", text, now()).ok().flatten().map(seconds);
        assert_eq!(found("7d").as_deref(), Some("2026-11-13T12:00:00Z"));
        assert_eq!(found("today").as_deref(), Some("2026-11-20T00:00:00Z"));
        assert_eq!(found("2026-11-01").as_deref(), Some("2026-11-01T00:00:00Z"));
        assert_eq!(found(""), None);
        assert!(past("since", "yesterday", now()).is_err());
    }
}
