//! Keeps ahead what was ahead when the fixtures were written: months later the demo's calendars would be empty.

use serde_json::Value;
use time::format_description::FormatItem;
use time::macros::{date, format_description};
use time::{Date, Duration};

use crate::clock::Timestamp;

/// When the fixtures were written. What is not later than this is history, and stays.
const WRITTEN: &str = "2026-11-20T12:00";
/// The Monday after, on which most of what is planned begins.
const MONDAY: Date = date!(2026 - 11 - 23);
const DAY: &[FormatItem<'_>] = format_description!("[year]-[month]-[day]");

/// How far planned dates move: by whole weeks, so that they keep their weekday, until that Monday has not passed. The same
/// for all answers of a day.
pub(super) fn moved_by(now: Timestamp) -> Duration {
    let passed =
        now.day() - (MONDAY - Date::from_ordinal_date(1970, 1).unwrap_or(MONDAY)).whole_days();
    Duration::weeks((passed.max(0) + 6).div_euclid(7))
}

/// Moves all planned dates and times of a body.
pub(super) fn move_planned(body: &mut Value, by: Duration) {
    if by.is_zero() {
        return;
    }
    match body {
        Value::String(text) => {
            if let Some(moved) = moved(text, by) {
                *text = moved;
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| move_planned(item, by)),
        Value::Object(members) => members
            .values_mut()
            .for_each(|member| move_planned(member, by)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// A text that is nothing but a planned date, with or without a time, moved.
fn moved(text: &str, by: Duration) -> Option<String> {
    let (day, time) = text.split_at_checked(10)?;
    if text <= WRITTEN || !matches!(time.chars().next(), None | Some('T')) {
        return None;
    }
    let day = Date::parse(day, DAY).ok()?.checked_add(by)?;
    Some(format!("{}{time}", day.format(DAY).ok()?))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test says what went wrong by failing")]
    use serde_json::json;

    use super::*;

    fn weeks(now: &str) -> i64 {
        moved_by(Timestamp::parse_rfc3339(now).unwrap()).whole_weeks()
    }

    #[test]
    fn the_planned_monday_is_today_or_ahead() {
        for (now, moved) in [
            ("2020-01-01T00:00:00Z", 0),
            ("2026-11-20T12:00:00Z", 0),
            ("2026-11-23T23:59:59Z", 0),
            ("2026-11-24T00:00:00Z", 1),
            ("2026-11-30T23:59:59Z", 1),
            ("2026-12-01T00:00:00Z", 2),
            ("2027-11-22T12:00:00Z", 52),
        ] {
            assert_eq!(weeks(now), moved, "{now}");
        }
    }

    #[test]
    fn plans_move_and_history_stays() {
        let mut body = json!({
            "created": "2026-11-19T08:00:00Z",
            "now": "2026-11-20T12:00",
            "start": { "dateTime": "2026-11-23T09:00:00.0000000", "timeZone": "UTC" },
            "days": ["2026-11-20", "2026-12-31"],
            "text": "2026-11-23 is the day",
            "forever": "9999-12-31T00:00:00Z",
            "count": 20_261_123,
        });
        move_planned(&mut body, Duration::weeks(2));
        let expected = json!({
            "created": "2026-11-19T08:00:00Z",
            "now": "2026-11-20T12:00",
            "start": { "dateTime": "2026-12-07T09:00:00.0000000", "timeZone": "UTC" },
            "days": ["2026-11-20", "2027-01-14"],
            "text": "2026-11-23 is the day",
            "forever": "9999-12-31T00:00:00Z",
            "count": 20_261_123,
        });
        assert_eq!(body, expected);
    }
}
