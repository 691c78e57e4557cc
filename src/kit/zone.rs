//! Time zones, by the names that IANA and Windows give them. The rules come with the program, so that every machine knows
//! the same ones.

use jiff::civil;
use jiff::tz::{Offset, TimeZone};
use time::{Date, OffsetDateTime, PrimitiveDateTime, UtcOffset};
use windows_timezones::WindowsTimezone;

use super::Timestamp;
use super::error::ToolError;
use super::text;

/// Where clocks show the same.
#[derive(Clone, Debug)]
pub struct Zone(TimeZone);

impl Zone {
    /// Coordinated universal time.
    pub const UTC: Self = Self(TimeZone::UTC);

    /// The zone of this name: `Europe/Berlin`, `W. Europe Standard Time`. `None` when nobody knows it.
    pub fn named(name: &str) -> Option<Self> {
        let name = name.trim();
        let known = TimeZone::get(name).or_else(|unknown| {
            let windows: WindowsTimezone = name.parse().map_err(|_| unknown)?;
            TimeZone::get(windows.tzdb_id())
        });
        known.ok().map(Self)
    }

    /// The same of what stands in `argument`.
    pub fn read(argument: &str, name: &str) -> Result<Self, ToolError> {
        Self::named(name).ok_or_else(|| {
            ToolError::Invalid(format!(
                "`{argument}`: there is no time zone `{}`; use a name such as Europe/Berlin",
                text::clip(&text::printable(name.trim()), 60)
            ))
        })
    }

    /// One whose clocks are never changed.
    pub fn fixed(offset: UtcOffset) -> Self {
        let offset = Offset::from_seconds(offset.whole_seconds());
        Self(offset.map_or(TimeZone::UTC, TimeZone::fixed))
    }

    /// How far its clocks are ahead of UTC then.
    pub fn offset(&self, at: Timestamp) -> UtcOffset {
        let at = jiff::Timestamp::from_microsecond(at.micros()).unwrap_or_default();
        let seconds = self.0.to_offset(at).seconds();
        UtcOffset::from_whole_seconds(seconds).unwrap_or(UtcOffset::UTC)
    }

    /// What its clocks show then, to the second.
    pub fn clock(&self, at: Timestamp) -> PrimitiveDateTime {
        let there = OffsetDateTime::from_unix_timestamp(at.seconds())
            .unwrap_or(OffsetDateTime::UNIX_EPOCH)
            .to_offset(self.offset(at));
        PrimitiveDateTime::new(there.date(), there.time())
    }

    /// The day that it is there.
    pub fn day(&self, at: Timestamp) -> Date {
        self.clock(at).date()
    }

    /// When its clocks show this. What they show twice is the first time; what they leave out is as much later
    /// (RFC 5545, section 3.3.5).
    pub fn instant(&self, clock: PrimitiveDateTime) -> Timestamp {
        let small = |number: u8| i8::try_from(number).unwrap_or_default();
        let known = civil::DateTime::new(
            i16::try_from(clock.year()).unwrap_or(i16::MAX),
            small(u8::from(clock.month())),
            small(clock.day()),
            small(clock.hour()),
            small(clock.minute()),
            small(clock.second()),
            0,
        );
        let at = known.and_then(|clock| self.0.to_timestamp(clock));
        Timestamp::from_micros(at.map_or_else(
            |_| {
                clock
                    .assume_utc()
                    .unix_timestamp()
                    .saturating_mul(1_000_000)
            },
            jiff::Timestamp::as_microsecond,
        ))
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test says what went wrong by failing")]
    use time::macros::datetime;

    use super::*;

    #[test]
    fn clocks_show_what_they_show_there() {
        let at = |text| Timestamp::parse_rfc3339(text).unwrap();
        for (zone, instant, clock) in [
            ("UTC", "2026-11-20T12:00:00Z", datetime!(2026-11-20 12:00)),
            (
                "Europe/Berlin",
                "2026-11-20T12:00:00Z",
                datetime!(2026-11-20 13:00),
            ),
            (
                "Europe/Berlin",
                "2026-07-20T12:00:00Z",
                datetime!(2026-07-20 14:00),
            ),
            (
                "W. Europe Standard Time",
                "2026-07-20T12:00:00Z",
                datetime!(2026-07-20 14:00),
            ),
            (
                "Pacific Standard Time",
                "2026-11-21T07:30:00Z",
                datetime!(2026-11-20 23:30),
            ),
            (
                "asia/kolkata",
                "2026-11-20T19:00:00Z",
                datetime!(2026-11-21 00:30),
            ),
        ] {
            let zone = Zone::named(zone).unwrap();
            assert_eq!(zone.clock(at(instant)), clock, "{zone:?}");
            assert_eq!(zone.instant(clock), at(instant), "{zone:?}");
        }
    }

    #[test]
    fn changed_clocks_are_read_as_calendars_read_them() {
        let berlin = Zone::named("Europe/Berlin").unwrap();
        let read = |clock| berlin.instant(clock).rfc3339();
        assert_eq!(read(datetime!(2026-10-25 02:30)), "2026-10-25T00:30:00Z");
        assert_eq!(read(datetime!(2026-03-29 02:30)), "2026-03-29T01:30:00Z");
    }

    #[test]
    fn fixed_zones_never_change() {
        let zone = Zone::fixed(UtcOffset::from_hms(-3, -30, 0).unwrap());
        let noon = datetime!(2026-07-20 12:00);
        assert_eq!(zone.instant(noon).rfc3339(), "2026-07-20T15:30:00Z");
        assert_eq!(zone.day(zone.instant(noon)), noon.date());
    }

    #[test]
    fn unknown_names_are_refused() {
        for name in ["", "Mars/Olympus", "tzone://Microsoft/Custom"] {
            let refused = Zone::read("tz", name).unwrap_err().to_string();
            assert!(
                refused.starts_with("`tz`: there is no time zone"),
                "{refused}"
            );
        }
    }
}
