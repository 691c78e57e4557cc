//! What mail, calendar and contacts share: many requests at once, refusals in words that help, and moments.

use futures_util::stream::{self, StreamExt};
use serde_json::{Map, Value, json};
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;
use time::{Date, OffsetDateTime};

use crate::kit::Timestamp;
use crate::kit::error::{ProviderError, ToolError};
use crate::kit::tool::Cx;
use crate::kit::zone::Zone;

/// How many requests of one call are under way at once; Google counts them by user and minute.
const AT_ONCE: usize = 8;
/// Seconds of a day.
pub(super) const DAY_S: i64 = 24 * 3_600;

/// What all of these answer, in their order, [`AT_ONCE`] at a time.
pub(super) async fn all<F: Future>(futures: Vec<F>) -> Vec<F::Output> {
    stream::iter(futures).buffered(AT_ONCE).collect().await
}

/// Gives a bare "not found" its words: Google answers the same for what does not exist and for what others do not share.
pub(super) fn seen<T>(
    cx: &Cx,
    what: &str,
    result: Result<T, ProviderError>,
) -> Result<T, ToolError> {
    result.map_err(|error| {
        if error != ProviderError::NotFound {
            return error.into();
        }
        ToolError::NotFound(format!(
            "{what} was not found: check the id, or it is deleted or not shared with {}",
            cx.account.label
        ))
    })
}

/// A day, or an instant with its offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Moment {
    /// `2026-11-20`.
    Day(Date),
    /// `2026-11-20T09:00:00+01:00`.
    Instant(OffsetDateTime),
}

impl Moment {
    /// Reads what stands in `argument`.
    pub(super) fn read(argument: &str, text: &str) -> Result<Self, ToolError> {
        let text = text.trim();
        if let Some(day) = day(text) {
            return Ok(Self::Day(day));
        }
        OffsetDateTime::parse(text, &Rfc3339)
            .map(Self::Instant)
            .map_err(|_| {
                ToolError::Invalid(format!(
                    "`{argument}` must be a date such as 2026-11-20 or a time with its offset such as 2026-11-20T09:00:00+01:00"
                ))
            })
    }

    /// Seconds since 1970; a day begins at midnight UTC.
    pub(super) fn seconds(self) -> i64 {
        match self {
            Self::Day(day) => day.midnight().assume_utc().unix_timestamp(),
            Self::Instant(instant) => instant.unix_timestamp(),
        }
    }

    /// Seconds since 1970 at which it begins; a day begins at midnight in this zone.
    pub(super) fn begins(self, zone: &Zone) -> i64 {
        match self {
            Self::Day(day) => zone.instant(day.midnight()).seconds(),
            Self::Instant(instant) => instant.unix_timestamp(),
        }
    }

    /// The same of its end; a day ends with the next one's midnight.
    pub(super) fn ends(self, zone: &Zone) -> i64 {
        match self {
            Self::Day(day) => Self::Day(day.next_day().unwrap_or(day)).begins(zone),
            Self::Instant(instant) => instant.unix_timestamp(),
        }
    }
}

/// A day as `2026-11-20`.
pub(super) fn day(text: &str) -> Option<Date> {
    Date::parse(text, format_description!("[year]-[month]-[day]")).ok()
}

/// Seconds since 1970 as RFC 3339 in UTC.
pub(super) fn utc(seconds: i64) -> String {
    Timestamp::from_micros(seconds.saturating_mul(1_000_000)).rfc3339()
}

/// The present and the wanted value of each field that changes, for a person to look at.
pub(super) fn changes(pairs: impl IntoIterator<Item = (&'static str, Value, Value)>) -> Value {
    let mut changes = Map::new();
    for (name, before, after) in pairs {
        if before != after {
            changes.insert(name.to_owned(), json!({ "before": before, "after": after }));
        }
    }
    Value::Object(changes)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test says what went wrong by failing")]
    use super::*;

    #[test]
    fn moments_are_days_or_instants() {
        let seconds = |text| Moment::read("since", text).unwrap().seconds();
        assert_eq!(seconds("2026-11-20"), 1_795_132_800);
        assert_eq!(seconds("2026-11-20T13:00:00+01:00"), 1_795_176_000);
        for wrong in ["", "20.11.2026", "2026-11-20T13:00:00", "tomorrow"] {
            let refused = Moment::read("since", wrong).unwrap_err().to_string();
            assert!(refused.starts_with("`since` must be"), "{refused}");
        }
        assert_eq!(utc(1_795_176_000), "2026-11-20T12:00:00Z");
    }
}
