//! Dates and times: as people write them, as HubSpot compares them (milliseconds since 1970, UTC).

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::kit::error::ToolError;

/// Milliseconds of `2026-11-20` or of RFC 3339 text. A date means its first instant, or its last one, in UTC.
pub(super) fn millis(value: &str, last: bool) -> Option<i64> {
    let bytes = value.as_bytes();
    let date = bytes.len() == 10 && bytes[4] == b'-' && bytes[7] == b'-';
    let text = match (date, last) {
        (true, false) => format!("{value}T00:00:00Z"),
        (true, true) => format!("{value}T23:59:59.999Z"),
        (false, _) => value.to_owned(),
    };
    let at = OffsetDateTime::parse(&text, &Rfc3339).ok()?;
    i64::try_from(at.unix_timestamp_nanos() / 1_000_000).ok()
}

/// Milliseconds of a date or time that was given as `argument`; nothing when it was left out.
pub(super) fn moment(text: &str, argument: &str, last: bool) -> Result<Option<i64>, ToolError> {
    if text.is_empty() {
        return Ok(None);
    }
    let found = millis(text, last);
    found.map(Some).ok_or_else(|| {
        ToolError::Invalid(format!(
            "{argument} must be a date (2026-11-20) or a time (2026-11-20T09:00:00Z)"
        ))
    })
}

/// The instant as RFC 3339 text.
pub(super) fn instant(millis: i64) -> String {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(millis) * 1_000_000)
        .ok()
        .and_then(|at| at.format(&Rfc3339).ok())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_have_a_first_and_a_last_instant() {
        assert_eq!(millis("2026-11-20", false), Some(1_795_132_800_000));
        assert_eq!(millis("2026-11-20", true), Some(1_795_219_199_999));
        assert_eq!(
            millis("2026-11-20T01:00:00+01:00", true),
            Some(1_795_132_800_000)
        );
        assert_eq!(millis("yesterday!", false), None);
        assert_eq!(instant(1_795_132_800_000), "2026-11-20T00:00:00Z");
    }
}
