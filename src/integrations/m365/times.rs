//! Times in arguments. One without an offset is what a clock shows in the zone of the call, which is sent with it.

use std::time::Duration;

use time::macros::format_description;
use time::{Date, PrimitiveDateTime, Time};

use crate::kit::Timestamp;
use crate::kit::error::ToolError;
use crate::kit::tool::Cx;
use crate::kit::zone::Zone;

/// What a calendar is shown in when nobody said.
const UTC: &str = "UTC";

/// The time zone of a call. Graph takes the names of Windows, and about a hundred of IANA's
/// (<https://learn.microsoft.com/graph/api/resources/datetimetimezone>), so that of Windows is sent; where there is none, all
/// is sent and answered in UTC.
#[derive(Clone, Debug)]
pub(super) struct Zoned {
    /// As answers call it.
    pub(super) name: String,
    /// What arguments are read in.
    pub(super) zone: Zone,
    /// As it is sent to Graph.
    pub(super) sent: String,
    /// Whether Windows has a name for it.
    is_known: bool,
}

impl Zoned {
    /// What the clock of Graph's answers shows then; `end` takes a day to its end.
    pub(super) fn clock(&self, when: When, end: bool) -> PrimitiveDateTime {
        if self.is_known {
            when.clock(&self.zone, end)
        } else {
            Zone::UTC.clock(when.instant(&self.zone, end))
        }
    }
}

/// The zone that was asked for.
pub(super) fn zone(cx: &Cx, wanted: &str) -> Result<Zoned, ToolError> {
    let name = wanted.trim();
    if name.is_empty() {
        return Ok(own_zone(cx));
    }
    let zone = Zone::read("tz", name)?;
    Ok(match Zone::windows(name, cx.now) {
        Some(sent) => Zoned {
            name: name.to_owned(),
            zone,
            sent: sent.to_owned(),
            is_known: true,
        },
        None => Zoned {
            name: UTC.to_owned(),
            zone,
            sent: UTC.to_owned(),
            is_known: false,
        },
    })
}

/// The person's own, as their mailbox names it; UTC when that is one that somebody made up, or Windows has none such.
pub(super) fn own_zone(cx: &Cx) -> Zoned {
    let own = cx.account.detail("time_zone");
    let (name, zone, sent) = match (Zone::named(own), Zone::windows(own, cx.now)) {
        (Some(zone), Some(sent)) => (own, zone, sent),
        _ => (UTC, Zone::UTC, UTC),
    };
    Zoned {
        name: name.to_owned(),
        zone,
        sent: sent.to_owned(),
        is_known: true,
    }
}

/// Like [`past`], as the end of a span: a date and `today` are taken to the end of that day.
pub(super) fn until(
    name: &str,
    text: &str,
    now: Timestamp,
    zone: &Zone,
) -> Result<Option<Timestamp>, ToolError> {
    let day = match text.trim() {
        "today" => Some(zone.day(now)),
        text => date(text),
    };
    match day.and_then(Date::next_day) {
        Some(next) => Ok(Some(zone.instant(next.midnight()))),
        None => past(name, text, now, zone),
    }
}

/// Reads a time that lies back: RFC 3339, a date, or a distance from now such as `7d`, `12h`, `today`.
pub(super) fn past(
    name: &str,
    text: &str,
    now: Timestamp,
    zone: &Zone,
) -> Result<Option<Timestamp>, ToolError> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    let midnight = |day: Date| zone.instant(day.midnight());
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
        "today" => Some(midnight(zone.day(now))),
        text => Timestamp::parse_rfc3339(text)
            .or_else(|| date(text).map(midnight))
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
    /// Reads `2026-11-20`, `2026-11-20T14:00`, with seconds or an offset too, `now`, `today`, `tomorrow` or `+3d`. The words
    /// count from the day in the zone.
    pub(super) fn parse(
        name: &str,
        text: &str,
        now: Timestamp,
        zone: &Zone,
    ) -> Result<Self, ToolError> {
        Self::read(text.trim(), now, zone).ok_or_else(|| {
            ToolError::Invalid(format!(
                "`{name}` must be a date, a time such as 2026-11-20T14:00 (with an offset or in the calendar's time zone), `today`, `tomorrow` or `+7d`"
            ))
        })
    }

    fn read(text: &str, now: Timestamp, zone: &Zone) -> Option<Self> {
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
            let days = time::Duration::days(i64::from(u16::min(days, 3_660)));
            return zone.day(now).checked_add(days).map(Self::Day);
        }
        date(text)
            .map(Self::Day)
            .or_else(|| Timestamp::parse_rfc3339(text).map(Self::Instant))
            .or_else(|| wall(text).map(Self::Wall))
    }

    /// The same as a clock shows it.
    pub(super) fn by_clock(self, zone: &Zone) -> Self {
        match self {
            Self::Instant(at) => Self::Wall(zone.clock(at)),
            when => when,
        }
    }

    /// The instant; `end` takes a day to its last one.
    pub(super) fn instant(self, zone: &Zone, end: bool) -> Timestamp {
        match self {
            Self::Instant(at) => at,
            when => zone.instant(when.clock(zone, end)),
        }
    }

    /// So many days later, by the clock.
    pub(super) fn later(self, zone: &Zone, days: i64) -> Self {
        let at = self.clock(zone, false);
        Self::Wall(at.checked_add(time::Duration::days(days)).unwrap_or(at))
    }

    /// The time and the zone to send with it; `end` takes a day to its end. An instant is sent as such, for a clock may
    /// show it twice; a day stays one in every zone.
    pub(super) fn graph(self, zone: &Zoned, end: bool) -> (String, String) {
        match self {
            Self::Instant(at) => (seconds(at).trim_end_matches('Z').to_owned(), UTC.to_owned()),
            Self::Day(_) => (local(self.clock(&zone.zone, end)), zone.sent.clone()),
            Self::Wall(_) => (local(zone.clock(self, end)), zone.sent.clone()),
        }
    }

    /// What the clock shows then; `end` takes a day to its end.
    pub(super) fn clock(self, zone: &Zone, end: bool) -> PrimitiveDateTime {
        match self {
            Self::Instant(at) => zone.clock(at),
            Self::Wall(at) => at,
            Self::Day(day) if end => day.next_day().unwrap_or(day).midnight(),
            Self::Day(day) => day.midnight(),
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
    fn times_of_calendars_are_of_their_zone() {
        let zone = Zone::named("Pacific Standard Time").unwrap();
        // Still the twentieth there.
        let now = Timestamp::parse_rfc3339("2026-11-21T07:30:00Z").unwrap();
        for (text, end, clock, instant) in [
            (
                "2026-11-23T14:00",
                false,
                "2026-11-23T14:00:00",
                "2026-11-23T22:00:00Z",
            ),
            (
                "2026-11-23T14:00:00+02:00",
                false,
                "2026-11-23T04:00:00",
                "2026-11-23T12:00:00Z",
            ),
            (
                "2026-11-23",
                true,
                "2026-11-24T00:00:00",
                "2026-11-24T08:00:00Z",
            ),
            ("now", false, "2026-11-20T23:30:00", "2026-11-21T07:30:00Z"),
            (
                "today",
                false,
                "2026-11-20T00:00:00",
                "2026-11-20T08:00:00Z",
            ),
            (
                "tomorrow",
                false,
                "2026-11-21T00:00:00",
                "2026-11-21T08:00:00Z",
            ),
            ("+7d", false, "2026-11-27T00:00:00", "2026-11-27T08:00:00Z"),
        ] {
            let when = When::parse("start", text, now, &zone).unwrap();
            assert_eq!(local(when.clock(&zone, end)), clock, "{text}");
            assert_eq!(when.instant(&zone, end).rfc3339(), instant, "{text}");
        }
        assert!(When::parse("start", "soon", now, &zone).is_err());
    }

    #[test]
    fn times_back_are_dates_or_distances() {
        let zone = Zone::named("Europe/Berlin").unwrap();
        let found = |text: &str| {
            past("since", text, now(), &zone)
                .ok()
                .flatten()
                .map(seconds)
        };
        assert_eq!(found("7d").as_deref(), Some("2026-11-13T12:00:00Z"));
        assert_eq!(found("today").as_deref(), Some("2026-11-19T23:00:00Z"));
        assert_eq!(found("2026-11-01").as_deref(), Some("2026-10-31T23:00:00Z"));
        assert_eq!(found(""), None);
        assert!(past("since", "yesterday", now(), &zone).is_err());
        let found = |text: &str| until("until", text, now(), &zone).ok().flatten();
        for (text, expected) in [
            ("2026-11-01", "2026-11-01T23:00:00Z"),
            ("today", "2026-11-20T23:00:00Z"),
            ("7d", "2026-11-13T12:00:00Z"),
            ("2026-11-01T08:00:00Z", "2026-11-01T08:00:00Z"),
        ] {
            assert_eq!(
                found(text).map(seconds).as_deref(),
                Some(expected),
                "{text}"
            );
        }
    }
}
