//! Repetition: iCalendar's rule (RFC 5545 §3.3.10) to and from Graph's pattern and range.

use std::fmt::Write as _;

use serde_json::{Value, json};
use time::Date;

use crate::integrations::m365::times::date;
use crate::kit::error::ToolError;

const DAYS: [(&str, &str); 7] = [
    ("MO", "monday"),
    ("TU", "tuesday"),
    ("WE", "wednesday"),
    ("TH", "thursday"),
    ("FR", "friday"),
    ("SA", "saturday"),
    ("SU", "sunday"),
];
const INDEXES: [(&str, &str); 5] = [
    ("1", "first"),
    ("2", "second"),
    ("3", "third"),
    ("4", "fourth"),
    ("-1", "last"),
];

/// Graph's pattern and range for a rule such as `FREQ=WEEKLY;BYDAY=MO,TH;COUNT=10`, beginning on `start`.
pub(super) fn of_rule(rule: &str, start: Date, zone: &str) -> Result<Value, ToolError> {
    read(rule, start, zone).ok_or_else(|| {
        ToolError::Invalid(
            "`recurrence` must be a rule such as FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,TH;UNTIL=20261231 (DAILY, WEEKLY, MONTHLY or YEARLY; COUNT or UNTIL; BYDAY, BYMONTHDAY, BYMONTH)".to_owned(),
        )
    })
}

fn read(rule: &str, start: Date, zone: &str) -> Option<Value> {
    let rule = rule.trim().to_uppercase();
    let rule = rule.strip_prefix("RRULE:").unwrap_or(&rule);
    let (mut frequency, mut interval) = ("", 1_u32);
    let (mut by_day, mut by_month_day, mut by_month) = (None, None, None);
    let (mut count, mut until) = (None::<u32>, None);
    for part in rule.split(';').filter(|part| !part.is_empty()) {
        let (name, value) = part.split_once('=')?;
        match name {
            "FREQ" => frequency = value,
            "INTERVAL" => interval = value.parse().ok().filter(|count| *count > 0)?,
            "BYDAY" => by_day = Some(value),
            "BYMONTHDAY" => {
                by_month_day = Some(
                    value
                        .parse::<u8>()
                        .ok()
                        .filter(|day| (1..=31).contains(day))?,
                );
            }
            "BYMONTH" => {
                by_month = Some(
                    value
                        .parse::<u8>()
                        .ok()
                        .filter(|month| (1..=12).contains(month))?,
                );
            }
            "COUNT" => count = Some(value.parse().ok().filter(|count| *count > 0)?),
            "UNTIL" => until = Some(last_day(value)?),
            "WKST" => {}
            _ => return None,
        }
    }
    let day = by_month_day.unwrap_or_else(|| start.day());
    let month = by_month.unwrap_or_else(|| u8::from(start.month()));
    let mut pattern = match (frequency, by_day) {
        ("DAILY", None) => json!({ "type": "daily" }),
        ("DAILY" | "WEEKLY", Some(days)) => {
            json!({ "type": "weekly", "daysOfWeek": weekdays(days)?, "firstDayOfWeek": "monday" })
        }
        ("WEEKLY", None) => {
            let own = DAYS.get(usize::from(start.weekday().number_days_from_monday()))?;
            json!({ "type": "weekly", "daysOfWeek": [own.1], "firstDayOfWeek": "monday" })
        }
        ("MONTHLY", None) => json!({ "type": "absoluteMonthly", "dayOfMonth": day }),
        ("YEARLY", None) => json!({ "type": "absoluteYearly", "dayOfMonth": day, "month": month }),
        ("MONTHLY", Some(days)) => {
            let (index, day) = nth(days)?;
            json!({ "type": "relativeMonthly", "daysOfWeek": [day], "index": index })
        }
        ("YEARLY", Some(days)) => {
            let (index, day) = nth(days)?;
            json!({ "type": "relativeYearly", "daysOfWeek": [day], "index": index, "month": month })
        }
        _ => return None,
    };
    pattern["interval"] = json!(interval);
    let mut range = match (count, until) {
        (Some(count), None) => json!({ "type": "numbered", "numberOfOccurrences": count }),
        (None, Some(until)) => json!({ "type": "endDate", "endDate": until.to_string() }),
        (None, None) => json!({ "type": "noEnd" }),
        (Some(_), Some(_)) => return None,
    };
    range["startDate"] = json!(start.to_string());
    range["recurrenceTimeZone"] = json!(zone);
    Some(json!({ "pattern": pattern, "range": range }))
}

/// `20261231` or `20261231T235959Z` or `2026-12-31`.
fn last_day(text: &str) -> Option<Date> {
    let day = text.split('T').next()?;
    date(day).or_else(|| {
        let written = format!("{}-{}-{}", day.get(..4)?, day.get(4..6)?, day.get(6..)?);
        date(&written)
    })
}

fn weekdays(list: &str) -> Option<Vec<&'static str>> {
    list.split(',')
        .map(|day| {
            DAYS.iter()
                .find(|(short, _)| *short == day)
                .map(|(_, long)| *long)
        })
        .collect()
}

/// `2TU` or `-1FR`.
fn nth(text: &str) -> Option<(&'static str, &'static str)> {
    let split = text.len().checked_sub(2)?;
    let (index, day) = (text.get(..split)?, text.get(split..)?);
    let index = index.strip_prefix('+').unwrap_or(index);
    let index = INDEXES.iter().find(|(short, _)| *short == index)?.1;
    let day = DAYS.iter().find(|(short, _)| *short == day)?.1;
    Some((index, day))
}

/// A series in words, for people.
pub(super) fn shown(recurrence: &Value) -> String {
    let pattern = &recurrence["pattern"];
    let word = |name: &str| pattern[name].as_str().unwrap_or_default();
    let interval = pattern["interval"].as_u64().unwrap_or(1);
    let (unit, many) = match word("type") {
        "daily" => ("day", "days"),
        "weekly" => ("week", "weeks"),
        "absoluteMonthly" | "relativeMonthly" => ("month", "months"),
        "absoluteYearly" | "relativeYearly" => ("year", "years"),
        _ => return String::new(),
    };
    let mut text = match interval {
        0 | 1 => format!("every {unit}"),
        count => format!("every {count} {many}"),
    };
    let days = pattern["daysOfWeek"].as_array().into_iter().flatten();
    let days: Vec<&str> = days.filter_map(Value::as_str).collect();
    if word("type").starts_with("relative") {
        let _ = write!(text, " on the {} {}", word("index"), days.join(", "));
    } else if !days.is_empty() {
        let _ = write!(text, " on {}", days.join(", "));
    } else if let Some(day) = pattern["dayOfMonth"].as_u64().filter(|day| *day > 0) {
        let _ = write!(text, " on day {day}");
    }
    let range = &recurrence["range"];
    match range["type"].as_str() {
        Some("numbered") => {
            let _ = write!(text, ", {} times", range["numberOfOccurrences"]);
        }
        Some("endDate") => {
            let _ = write!(
                text,
                " until {}",
                range["endDate"].as_str().unwrap_or_default()
            );
        }
        _ => {}
    }
    text
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test says what went wrong by failing")]
    use super::*;

    #[test]
    fn rules_become_patterns() {
        let start = date("2026-11-24").unwrap();
        let table = [
            (
                "FREQ=WEEKLY;BYDAY=MO,TH;COUNT=10",
                Some("every week on monday, thursday, 10 times"),
            ),
            ("FREQ=WEEKLY", Some("every week on tuesday")),
            ("RRULE:FREQ=DAILY;INTERVAL=3", Some("every 3 days")),
            (
                "FREQ=MONTHLY;BYDAY=-1FR;UNTIL=20270131T000000Z",
                Some("every month on the last friday until 2027-01-31"),
            ),
            ("FREQ=MONTHLY", Some("every month on day 24")),
            (
                "FREQ=YEARLY;BYMONTH=5;BYMONTHDAY=1",
                Some("every year on day 1"),
            ),
            ("FREQ=HOURLY", None),
            ("FREQ=WEEKLY;BYDAY=XX", None),
            ("FREQ=DAILY;COUNT=2;UNTIL=20270131", None),
            ("FREQ=DAILY;INTERVAL=0", None),
            ("weekly", None),
        ];
        for (rule, expected) in table {
            let found = read(rule, start, "UTC").map(|found| shown(&found));
            assert_eq!(found.as_deref(), expected, "{rule}");
        }
    }
}
