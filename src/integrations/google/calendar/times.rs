//! When an event begins and ends, as arguments and as Calendar write it.

use serde_json::{Value, json};
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;
use time::{Date, Duration, OffsetDateTime, PrimitiveDateTime};

use super::super::asks::day;
use super::model::When;
use crate::kit::Timestamp;
use crate::kit::error::ToolError;
use crate::kit::zone::Zone;

/// A day, an instant, or a time of the clock in a zone that is named elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Time {
    Day(Date),
    Instant(OffsetDateTime),
    Local(PrimitiveDateTime),
}

impl Time {
    /// Reads what stands in `argument`.
    pub(super) fn read(argument: &str, text: &str) -> Result<Self, ToolError> {
        Self::parse(text.trim()).ok_or_else(|| {
            ToolError::Invalid(format!(
                "`{argument}` must be a date such as 2026-11-23 or a time such as 2026-11-23T09:00, perhaps with its offset or with a zone behind it: 2026-11-23T09:00 Europe/Berlin"
            ))
        })
    }

    fn parse(text: &str) -> Option<Self> {
        if let Some(day) = day(text) {
            return Some(Self::Day(day));
        }
        // People write a space for the `T`.
        let spaced = text
            .split_once(' ')
            .filter(|(first, _)| day(first).is_some());
        let spaced = spaced.map(|(day, clock)| format!("{day}T{clock}"));
        let text = spaced.as_deref().unwrap_or(text);
        if let Ok(instant) = OffsetDateTime::parse(text, &Rfc3339) {
            return Some(Self::Instant(instant));
        }
        let whole = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]");
        let short = format_description!("[year]-[month]-[day]T[hour]:[minute]");
        let local = PrimitiveDateTime::parse(text, whole)
            .or_else(|_| PrimitiveDateTime::parse(text, short));
        local.ok().map(Self::Local)
    }

    /// What an event has.
    pub(super) fn of(when: &When) -> Option<Self> {
        Self::parse(when.text())
    }

    /// Later by this much; a day only by whole days.
    pub(super) fn later(self, by: Duration) -> Self {
        match self {
            Self::Day(day) => Self::Day(day.saturating_add(by)),
            Self::Instant(at) => Self::Instant(at.saturating_add(by)),
            Self::Local(at) => Self::Local(at.saturating_add(by)),
        }
    }

    /// What the clock shows.
    const fn clock(self) -> PrimitiveDateTime {
        match self {
            Self::Day(day) => day.midnight(),
            Self::Instant(at) => PrimitiveDateTime::new(at.date(), at.time()),
            Self::Local(at) => at,
        }
    }

    /// The instant in this zone; `end` takes a day to its end.
    pub(super) fn instant(self, zone: &Zone, end: bool) -> Timestamp {
        match self {
            Self::Instant(at) => Timestamp::from_micros(at.unix_timestamp() * 1_000_000),
            Self::Local(at) => zone.instant(at),
            Self::Day(day) if end => zone.instant(day.next_day().unwrap_or(day).midnight()),
            Self::Day(day) => zone.instant(day.midnight()),
        }
    }

    /// The same time of the clock, in the zone of the event.
    pub(super) const fn as_local(self) -> Self {
        match self {
            Self::Day(_) | Self::Local(_) => self,
            Self::Instant(_) => Self::Local(self.clock()),
        }
    }

    /// How much later than `earlier` this is: by the clock where both are in the same zone, so that a series keeps its
    /// hour when the clocks change. `None` between a day and a time.
    pub(super) fn since(self, earlier: Self) -> Option<Duration> {
        match (self, earlier) {
            (Self::Instant(a), Self::Instant(b)) if a.offset() != b.offset() => Some(a - b),
            (Self::Day(_), Self::Day(_)) => Some(self.clock() - earlier.clock()),
            (Self::Day(_), _) | (_, Self::Day(_)) => None,
            _timed => Some(self.clock() - earlier.clock()),
        }
    }

    pub(super) const fn is_day(self) -> bool {
        matches!(self, Self::Day(_))
    }

    /// As Calendar takes it.
    pub(super) fn when(self, zone: &str) -> When {
        match self {
            Self::Day(day) => When {
                date: day.to_string(),
                ..When::default()
            },
            Self::Instant(at) => When {
                date_time: at.format(&Rfc3339).unwrap_or_default(),
                time_zone: zone.to_owned(),
                ..When::default()
            },
            Self::Local(at) => When {
                date_time: at
                    .format(format_description!(
                        "[year]-[month]-[day]T[hour]:[minute]:[second]"
                    ))
                    .unwrap_or_default(),
                time_zone: zone.to_owned(),
                ..When::default()
            },
        }
    }
}

/// A moment with the name of its zone, which may stand behind it: `2026-11-23T09:00 Europe/Berlin`. What is not given is
/// what it was.
pub(super) fn zoned<'a>(
    argument: &str,
    given: &'a str,
    was: Option<Time>,
) -> Result<(&'a str, Time), ToolError> {
    let given = given.trim();
    if let ("", Some(was)) = (given, was) {
        return Ok(("", was));
    }
    // No zone's name begins with a digit, but the time of the clock does, and may stand behind a space too.
    let is_clock = |at: usize| given[at + 1..].starts_with(|c: char| c.is_ascii_digit());
    let mut spaces = given.match_indices(' ').map(|(at, _)| at);
    let (time, zone) = match spaces.find(|at| !is_clock(*at)) {
        Some(at) => (&given[..at], given[at..].trim()),
        None => (given, ""),
    };
    let time = Time::read(argument, time)?;
    if zone.is_empty() {
        return Ok(("", time));
    }
    if time.is_day() {
        return Err(ToolError::Invalid(format!(
            "`{argument}`: nothing may stand behind a date; a time is written as 2026-11-23T09:00, perhaps with a zone behind it"
        )));
    }
    Zone::read(argument, zone)?;
    Ok((zone, time))
}

/// The zone behind a moment that may be given; empty when there is none.
pub(super) fn behind<'a>(argument: &str, given: &'a str) -> Result<&'a str, ToolError> {
    if given.trim().is_empty() {
        return Ok("");
    }
    zoned(argument, given, None).map(|(zone, _)| zone)
}

/// A moment as a change sends it: what is sent is merged into what is there, so a day takes the time away and the other
/// way round.
pub(super) fn written(when: &When, was: &When) -> Value {
    let mut sent = json!(when);
    if when.date.is_empty() && !was.date.is_empty() {
        sent["date"] = Value::Null;
    }
    if when.date_time.is_empty() && !was.date_time.is_empty() {
        sent["dateTime"] = Value::Null;
        sent["timeZone"] = Value::Null;
    }
    sent
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test says what went wrong by failing")]
    use super::*;

    fn read(text: &str) -> Time {
        Time::read("start", text).unwrap()
    }

    #[test]
    fn times_are_read_and_written() {
        let table = [
            ("2026-11-23", r#"{"date":"2026-11-23"}"#),
            (
                "2026-11-23T09:00",
                r#"{"dateTime":"2026-11-23T09:00:00","timeZone":"Europe/Berlin"}"#,
            ),
            (
                "2026-11-23T09:00:00+01:00",
                r#"{"dateTime":"2026-11-23T09:00:00+01:00","timeZone":"Europe/Berlin"}"#,
            ),
        ];
        for (text, expected) in table {
            let when = read(text).when("Europe/Berlin");
            assert_eq!(serde_json::to_string(&when).unwrap(), expected);
        }
        assert!(Time::read("start", "9 o'clock").is_err());
    }

    #[test]
    fn a_zone_may_stand_behind_a_time() {
        let zoned = |text| zoned("start", text, None);
        let nine = read("2026-11-23T09:00");
        for (text, zone) in [
            ("2026-11-23T09:00", ""),
            (" 2026-11-23 09:00 ", ""),
            ("2026-11-23 09:00:00", ""),
            ("2026-11-23T09:00  Europe/Berlin", "Europe/Berlin"),
            ("2026-11-23 09:00 America/New_York", "America/New_York"),
        ] {
            assert_eq!(zoned(text).unwrap(), (zone, nine), "{text}");
        }
        assert_eq!(
            zoned("2026-11-23").unwrap(),
            ("", read("2026-11-23")),
            "a day"
        );
        for wrong in [
            "2026-11-23 Europe/Berlin",
            "2026-11-23  09:00",
            "2026-11-23 nine",
            "2026-11-23 9:00",
            "2026-11-23 09:00 10:00",
            "2026-11-23T09:00 Mars/Olympus",
            "2026-11-23 09:00 +01:00",
        ] {
            assert!(zoned(wrong).is_err(), "{wrong}");
        }
        assert!(zoned("").is_err());
    }

    #[test]
    fn a_series_moves_by_the_clock() {
        let summer = read("2026-07-06T09:00:00+02:00");
        let moved = read("2026-11-23T10:30")
            .since(read("2026-11-23T09:00:00+01:00"))
            .unwrap();
        assert_eq!(summer.as_local().later(moved), read("2026-07-06T10:30"));
        // In another zone the difference is one of instants.
        let utc = read("2026-11-23T09:30:00Z")
            .since(read("2026-11-23T09:00:00+01:00"))
            .unwrap();
        assert_eq!(utc, Duration::minutes(90));
        assert_eq!(read("2026-11-23").since(read("2026-11-23T09:00")), None);
    }
}
