//! Time zones, by the names that IANA and Windows give them. The rules come with the program, so that every machine knows
//! the same ones.

use jiff::civil;
use jiff::tz::{Offset, TimeZone};
use time::{Date, OffsetDateTime, PrimitiveDateTime, UtcOffset};
use windows_timezones::{WindowsTimezone, WindowsTimezone as W};

use super::Timestamp;
use super::error::ToolError;
use super::text;

/// How far ahead two zones must agree to count as the same, in hours.
const AGREE_H: i64 = 3 * 366 * 24;

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

    /// What Windows calls the zone of this name: the one that has its place (`America/New_York` is `Eastern Standard
    /// Time`), else one whose clocks show the same from `at` on (`Europe/Zurich` is `W. Europe Standard Time`), of the same
    /// continent if there is one. `None` when Windows has none such, or nobody knows the name.
    pub fn windows(name: &str, at: Timestamp) -> Option<&'static str> {
        let name = name.trim();
        if let Ok(known) = name.parse::<WindowsTimezone>() {
            return Some(known.name());
        }
        let zone = TimeZone::get(name).ok()?;
        let own = zone.iana_name().unwrap_or(name);
        if let Some(same) = WINDOWS.iter().find(|windows| windows.tzdb_id() == own) {
            return Some(same.name());
        }
        let from = jiff::Timestamp::from_microsecond(at.micros()).ok()?;
        let wanted = offsets(&zone, from);
        let agrees = |windows: &&WindowsTimezone| {
            TimeZone::get(windows.tzdb_id()).is_ok_and(|other| offsets(&other, from) == wanted)
        };
        let continent = |name: &str| name.split_once('/').map(|(first, _)| first.to_owned());
        WINDOWS
            .iter()
            .filter(agrees)
            .min_by_key(|windows| continent(windows.tzdb_id()) != continent(own))
            .map(|windows| windows.name())
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
        let at_utc =
            OffsetDateTime::from_unix_timestamp(at.seconds()).unwrap_or(OffsetDateTime::UNIX_EPOCH);
        // At the ends of what a date can be there is nothing further on.
        let there = at_utc.checked_to_offset(self.offset(at)).unwrap_or(at_utc);
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

/// How far ahead of UTC the zone is from then on, and each time that this changes.
fn offsets(zone: &TimeZone, from: jiff::Timestamp) -> Vec<(jiff::Timestamp, Offset)> {
    let until = from
        .checked_add(jiff::SignedDuration::from_hours(AGREE_H))
        .unwrap_or(jiff::Timestamp::MAX);
    let changes = zone.following(from);
    let changes = changes.take_while(|change| change.timestamp() < until);
    let mut all = vec![(from, zone.to_offset(from))];
    all.extend(changes.map(|change| (change.timestamp(), change.offset())));
    all.dedup_by_key(|(_, offset)| *offset);
    all
}

/// All zones of Windows, from west to east, as the crate has them; it has no list itself.
const WINDOWS: [WindowsTimezone; 139] = [
    W::DatelineStandardTime,
    W::UtcMinus11,
    W::AleutianStandardTime,
    W::HawaiianStandardTime,
    W::MarquesasStandardTime,
    W::AlaskanStandardTime,
    W::UtcMinus09,
    W::PacificStandardTimeMexico,
    W::UtcMinus08,
    W::PacificStandardTime,
    W::UsMountainStandardTime,
    W::MountainStandardTimeMexico,
    W::MountainStandardTime,
    W::YukonStandardTime,
    W::CentralAmericaStandardTime,
    W::CentralStandardTime,
    W::EasterIslandStandardTime,
    W::CentralStandardTimeMexico,
    W::CanadaCentralStandardTime,
    W::SaPacificStandardTime,
    W::EasternStandardTimeMexico,
    W::EasternStandardTime,
    W::HaitiStandardTime,
    W::CubaStandardTime,
    W::UsEasternStandardTime,
    W::TurksAndCaicosStandardTime,
    W::ParaguayStandardTime,
    W::AtlanticStandardTime,
    W::VenezuelaStandardTime,
    W::CentralBrazilianStandardTime,
    W::SaWesternStandardTime,
    W::PacificSaStandardTime,
    W::NewfoundlandStandardTime,
    W::TocantinsStandardTime,
    W::ESouthAmericaStandardTime,
    W::SaEasternStandardTime,
    W::ArgentinaStandardTime,
    W::GreenlandStandardTime,
    W::MontevideoStandardTime,
    W::MagallanesStandardTime,
    W::SaintPierreStandardTime,
    W::BahiaStandardTime,
    W::UtcMinus02,
    W::AzoresStandardTime,
    W::CapeVerdeStandardTime,
    W::Utc,
    W::GmtStandardTime,
    W::GreenwichStandardTime,
    W::SaoTomeStandardTime,
    W::MoroccoStandardTime,
    W::WEuropeStandardTime,
    W::CentralEuropeStandardTime,
    W::RomanceStandardTime,
    W::CentralEuropeanStandardTime,
    W::WCentralAfricaStandardTime,
    W::JordanStandardTime,
    W::GtbStandardTime,
    W::MiddleEastStandardTime,
    W::EgyptStandardTime,
    W::EEuropeStandardTime,
    W::SyriaStandardTime,
    W::WestBankStandardTime,
    W::SouthAfricaStandardTime,
    W::FleStandardTime,
    W::IsraelStandardTime,
    W::SouthSudanStandardTime,
    W::KaliningradStandardTime,
    W::SudanStandardTime,
    W::LibyaStandardTime,
    W::NamibiaStandardTime,
    W::ArabicStandardTime,
    W::TurkeyStandardTime,
    W::ArabStandardTime,
    W::BelarusStandardTime,
    W::RussianStandardTime,
    W::EAfricaStandardTime,
    W::IranStandardTime,
    W::ArabianStandardTime,
    W::AstrakhanStandardTime,
    W::AzerbaijanStandardTime,
    W::RussiaTimeZone3,
    W::MauritiusStandardTime,
    W::SaratovStandardTime,
    W::GeorgianStandardTime,
    W::VolgogradStandardTime,
    W::CaucasusStandardTime,
    W::AfghanistanStandardTime,
    W::WestAsiaStandardTime,
    W::EkaterinburgStandardTime,
    W::PakistanStandardTime,
    W::QyzylordaStandardTime,
    W::IndiaStandardTime,
    W::SriLankaStandardTime,
    W::NepalStandardTime,
    W::CentralAsiaStandardTime,
    W::BangladeshStandardTime,
    W::OmskStandardTime,
    W::MyanmarStandardTime,
    W::SeAsiaStandardTime,
    W::AltaiStandardTime,
    W::WMongoliaStandardTime,
    W::NorthAsiaStandardTime,
    W::NCentralAsiaStandardTime,
    W::TomskStandardTime,
    W::ChinaStandardTime,
    W::NorthAsiaEastStandardTime,
    W::SingaporeStandardTime,
    W::WAustraliaStandardTime,
    W::TaipeiStandardTime,
    W::UlaanbaatarStandardTime,
    W::AusCentralWStandardTime,
    W::TransbaikalStandardTime,
    W::TokyoStandardTime,
    W::NorthKoreaStandardTime,
    W::KoreaStandardTime,
    W::YakutskStandardTime,
    W::CenAustraliaStandardTime,
    W::AusCentralStandardTime,
    W::EAustraliaStandardTime,
    W::AusEasternStandardTime,
    W::WestPacificStandardTime,
    W::TasmaniaStandardTime,
    W::VladivostokStandardTime,
    W::LordHoweStandardTime,
    W::BougainvilleStandardTime,
    W::RussiaTimeZone10,
    W::MagadanStandardTime,
    W::NorfolkStandardTime,
    W::SakhalinStandardTime,
    W::CentralPacificStandardTime,
    W::RussiaTimeZone11,
    W::NewZealandStandardTime,
    W::UtcPlus12,
    W::FijiStandardTime,
    W::ChathamIslandsStandardTime,
    W::UtcPlus13,
    W::TongaStandardTime,
    W::SamoaStandardTime,
    W::LineIslandsStandardTime,
];

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
                "Asia/Tokyo",
                "9999-12-31T23:59:59Z",
                datetime!(9999-12-31 23:59:59),
            ),
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
    fn windows_has_names_for_nearly_all() {
        let at = Timestamp::parse_rfc3339("2026-11-20T12:00:00Z").unwrap();
        for (name, expected) in [
            ("Pacific Standard Time", Some("Pacific Standard Time")),
            ("UTC", Some("UTC")),
            ("Europe/Berlin", Some("W. Europe Standard Time")),
            ("europe/zurich", Some("W. Europe Standard Time")),
            ("Europe/Rome", Some("W. Europe Standard Time")),
            ("Europe/Madrid", Some("W. Europe Standard Time")),
            ("America/New_York", Some("Eastern Standard Time")),
            ("Asia/Kolkata", Some("India Standard Time")),
            ("Antarctica/Troll", None),
            ("Mars/Olympus", None),
        ] {
            assert_eq!(Zone::windows(name, at), expected, "{name}");
        }
        for windows in WINDOWS {
            assert!(Zone::named(windows.name()).is_some(), "{windows}");
        }
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
