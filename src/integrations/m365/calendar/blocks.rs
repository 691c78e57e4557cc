//! Context blocks: a day, an event.

use std::fmt::Write as _;

use serde::Deserialize;
use serde_json::{Map, Value};
use time::{Date, Duration, PrimitiveDateTime, Time, Weekday};

use super::list::{Window, view};
use super::model::{Event, names};
use super::{READ, WHOLE, in_zone, recurrence, seen};
use crate::integrations::m365::graph::{self, Page};
use crate::integrations::m365::times::{When, own_zone, seconds};
use crate::kit::Timestamp;
use crate::kit::block::{Content, ContextBlock};
use crate::kit::error::ToolError;
use crate::kit::text;
use crate::kit::tool::{Cx, Needs};
use crate::kit::uri::encode;
use crate::kit::zone::Zone;

/// Events of a day that are looked at.
const DAY_EVENTS: u32 = 100;
/// Events of the coming days that are offered to choose from.
const COMING: std::time::Duration = std::time::Duration::from_hours(30 * 24);
/// The hours between which free gaps are told.
const WORK: (u8, u8) = (8, 18);

const WEEKDAYS: [(&str, Weekday); 7] = [
    ("monday", Weekday::Monday),
    ("tuesday", Weekday::Tuesday),
    ("wednesday", Weekday::Wednesday),
    ("thursday", Weekday::Thursday),
    ("friday", Weekday::Friday),
    ("saturday", Weekday::Saturday),
    ("sunday", Weekday::Sunday),
];

/// A day: a date, `today`, `tomorrow`, `+3d` or the name of the next such weekday.
fn day(text: &str, now: Timestamp, zone: &Zone) -> Result<Date, ToolError> {
    let wrong = || {
        ToolError::Invalid(format!(
            "`{}` is no day: use a date such as 2026-11-20, today, tomorrow, +3d or a weekday",
            text::clip(text, 40)
        ))
    };
    let today = zone.day(now);
    let wanted = text.trim().to_lowercase();
    if let Some((_, weekday)) = WEEKDAYS.iter().find(|(name, _)| *name == wanted) {
        return Ok(if today.weekday() == *weekday {
            today
        } else {
            today.next_occurrence(*weekday)
        });
    }
    match When::parse("date", &wanted, now, zone) {
        Ok(When::Day(day)) => Ok(day),
        _ => Err(wrong()),
    }
}

/// A day's agenda with free gaps.
#[derive(Deserialize)]
pub(super) struct DayBlock {
    date: String,
}

impl ContextBlock for DayBlock {
    const URI: &'static str = "m365://{account}/calendar/{date}";
    const NAME: &'static str = "m365_day";
    const TITLE: &'static str = "Day";
    const DESCRIPTION: &'static str = "The agenda of a day with links and free gaps.";
    const MIME: &'static str = "text/markdown";
    const SCOPES: Needs = READ;

    async fn read(self, cx: &Cx) -> Result<Content, ToolError> {
        let zone = own_zone(cx);
        let day = day(&self.date, cx.now, &zone.zone)?;
        let window = Window::new(When::Day(day), When::Day(day), &zone);
        if cx.held.is_some() {
            let events = events(cx, window, &zone.sent, Some("id,changeKey,start,end")).await?;
            if cx.held == Some(version(day, &events)) {
                return Ok(Content::unchanged());
            }
        }
        let events = events(cx, window, &zone.sent, None).await?;
        let mut text = format!("# {}, {day}\n\n", day.weekday());
        let _ = writeln!(text, "Time zone: {}\n", zone.name);
        if events.is_empty() {
            text.push_str("Nothing is planned.\n");
        }
        for event in &events {
            line(cx, &mut text, day, event);
        }
        let free = free(day, &events);
        if !free.is_empty() {
            let _ = writeln!(text, "\n## Free\n\n{}", free.join(", "));
        }
        let short = text::clip(&text, cx.max_chars);
        Ok(Content {
            truncated: short.len() != text.len(),
            version: Some(version(day, &events)),
            ..Content::text(short)
        })
    }

    async fn complete(
        cx: &Cx,
        _field: &str,
        prefix: &str,
        _chosen: &Map<String, Value>,
    ) -> Result<Vec<String>, ToolError> {
        let days = (1..=7).map(|days| format!("+{days}d"));
        let names = WEEKDAYS.iter().map(|(name, _)| (*name).to_owned());
        let mut all = vec!["today".to_owned(), "tomorrow".to_owned()];
        all.extend(days);
        all.extend(names);
        all.push(cx.now.rfc3339().chars().take(10).collect());
        all.retain(|value| value.starts_with(&prefix.to_lowercase()));
        Ok(all)
    }
}

/// The day is part of it: `today` is another one tomorrow.
fn version(day: Date, events: &[Event]) -> String {
    let mut keys: Vec<&str> = events
        .iter()
        .map(|event| event.change_key.as_str())
        .collect();
    keys.sort_unstable();
    format!("{day}:{}", graph::digest(&keys))
}

async fn events(
    cx: &Cx,
    window: Window,
    zone: &str,
    select: Option<&str>,
) -> Result<Vec<Event>, ToolError> {
    let request = match select {
        None => view(cx, "", "", window, DAY_EVENTS),
        Some(select) => {
            let (from, to) = window.span();
            cx.api
                .get(&graph::of("", &["calendarView"]))
                .query("startDateTime", from)
                .query("endDateTime", to)
                .query("$select", select)
                .query("$top", DAY_EVENTS)
        }
    };
    let page: Page<Event> = graph::prefer(request, &[&in_zone(zone)]).send().await?;
    let mut events = page.value;
    events.retain(|event| window.holds(event));
    Ok(events)
}

fn line(cx: &Cx, text: &mut String, day: Date, event: &Event) {
    let clock = |at: Option<PrimitiveDateTime>, none: &str| match at {
        Some(at) if at.date() == day => format!("{:02}:{:02}", at.hour(), at.minute()),
        _ => none.to_owned(),
    };
    let when = if event.is_all_day {
        "all day".to_owned()
    } else {
        let start = clock(event.start.wall(), "00:00");
        format!("{start}–{}", clock(event.end.wall(), "24:00"))
    };
    let address = cx.uri(&format!("events/{}", encode(&event.id)));
    let _ = write!(text, "- {when} [{}]({address})", event.title());
    for (word, value) in [
        (", ", event.location.display_name.as_str()),
        (", I answered ", event.response()),
        (", join: ", event.online_meeting.join_url.as_str()),
    ] {
        if !value.is_empty() {
            let _ = write!(text, "{word}{value}");
        }
    }
    if event.is_cancelled {
        text.push_str(", **cancelled**");
    }
    text.push('\n');
}

/// Gaps of at least half an hour within working hours.
fn free(day: Date, events: &[Event]) -> Vec<String> {
    let hour = |hour| Time::from_hms(hour, 0, 0).map(|time| PrimitiveDateTime::new(day, time));
    let (Ok(open), Ok(close)) = (hour(WORK.0), hour(WORK.1)) else {
        return Vec::new();
    };
    let blocks = |event: &&Event| !event.is_cancelled && event.show_as != "free";
    let spans = events.iter().filter(blocks);
    let mut spans: Vec<_> = spans
        .filter_map(|event| Some((event.start.wall()?, event.end.wall()?)))
        .collect();
    spans.sort_unstable();
    spans.push((close, close));
    let mut from = open;
    let mut gaps = Vec::new();
    for (start, end) in spans {
        let until = start.min(close);
        if until - from >= Duration::minutes(30) {
            gaps.push(format!(
                "{:02}:{:02}–{:02}:{:02}",
                from.hour(),
                from.minute(),
                until.hour(),
                until.minute()
            ));
        }
        from = from.max(end);
    }
    gaps
}

/// An event with its attendees and what they answered.
#[derive(Deserialize)]
pub(super) struct EventBlock {
    id: String,
}

impl ContextBlock for EventBlock {
    const URI: &'static str = "m365://{account}/events/{id}";
    const NAME: &'static str = "m365_event";
    const TITLE: &'static str = "Event";
    const DESCRIPTION: &'static str = "An event with its attendees and their answers.";
    const MIME: &'static str = "text/markdown";
    const SCOPES: Needs = READ;

    async fn read(self, cx: &Cx) -> Result<Content, ToolError> {
        let path = graph::of("", &["events", &self.id]);
        if let Some(held) = &cx.held {
            let now = cx.api.get(&path).query("$select", "id,changeKey");
            let now: Event = seen(&self.id, now.send().await)?;
            if now.change_key == *held {
                return Ok(Content::unchanged());
            }
        }
        let zone = own_zone(cx);
        let request = cx.api.get(&path).query("$select", WHOLE);
        let event = graph::prefer(request, &[&in_zone(&zone.sent)]).send::<Event>();
        let event = seen(&self.id, event.await)?;
        let mut text = format!("# {}\n\n", event.title());
        let all_day = event.is_all_day;
        for (name, value) in [
            ("Start", event.start.shown(all_day)),
            ("End", event.shown_end()),
            ("Time zone", zone.name),
            ("Repeats", recurrence::shown(&event.recurrence)),
            ("Place", event.location.display_name.clone()),
            ("Join", event.online_meeting.join_url.clone()),
            ("Organizer", event.organizer.to_string()),
            ("My answer", event.response().to_owned()),
        ] {
            if !value.is_empty() {
                let _ = writeln!(text, "- {name}: {value}");
            }
        }
        if event.is_cancelled {
            text.push_str("- **Cancelled**\n");
        }
        if !event.attendees.is_empty() {
            text.push_str("\n## Attendees\n\n");
            for name in names(&event.attendees) {
                let _ = writeln!(text, "- {name}");
            }
        }
        let body = event.body.markdown();
        if !body.is_empty() {
            let _ = write!(text, "\n---\n\n{body}\n");
        }
        let short = text::clip(&text, cx.max_chars);
        Ok(Content {
            truncated: short.len() != text.len(),
            version: Some(event.change_key).filter(|key| !key.is_empty()),
            url: Some(event.web_link).filter(|url| !url.is_empty()),
            ..Content::text(short)
        })
    }

    async fn complete(
        cx: &Cx,
        _field: &str,
        prefix: &str,
        _chosen: &Map<String, Value>,
    ) -> Result<Vec<String>, ToolError> {
        let (from, to) = (cx.now, cx.now.plus(COMING));
        let page: Page<Event> = cx
            .api
            .get(&graph::of("", &["calendarView"]))
            .query("startDateTime", seconds(from))
            .query("endDateTime", seconds(to))
            .query("$select", "id,subject")
            .query("$orderby", "start/dateTime")
            .query("$top", 20)
            .send()
            .await?;
        let prefix = prefix.to_lowercase();
        let fits = |event: &Event| {
            event.subject.to_lowercase().contains(&prefix)
                || event.id.to_lowercase().starts_with(&prefix)
        };
        let found = page.value.into_iter().filter(fits);
        Ok(found.map(|event| event.id).collect())
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test says what went wrong by failing")]
    use super::*;

    #[test]
    fn days_have_many_names() {
        let now = Timestamp::parse_rfc3339("2026-11-20T12:00:00Z").unwrap();
        for (text, expected) in [
            ("2026-12-01", Some("2026-12-01")),
            ("today", Some("2026-11-20")),
            ("Friday", Some("2026-11-20")),
            ("monday", Some("2026-11-23")),
            ("+1d", Some("2026-11-21")),
            ("someday", None),
            ("2026-11-20T10:00", None),
        ] {
            let found = day(text, now, &Zone::UTC).map(|day| day.to_string()).ok();
            assert_eq!(found.as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn gaps_are_told() {
        let event = |start: &str, end: &str| -> Event {
            serde_json::from_value(serde_json::json!({
                "id": "1", "start": {"dateTime": start, "timeZone": "UTC"},
                "end": {"dateTime": end, "timeZone": "UTC"}
            }))
            .unwrap()
        };
        let day = crate::integrations::m365::times::date("2026-11-20").unwrap();
        let events = [
            event("2026-11-20T09:00:00.0000000", "2026-11-20T10:00:00.0000000"),
            event("2026-11-20T09:30:00.0000000", "2026-11-20T11:00:00.0000000"),
            event("2026-11-20T17:45:00.0000000", "2026-11-20T19:00:00.0000000"),
        ];
        assert_eq!(free(day, &events), ["08:00–09:00", "11:00–17:45"]);
        assert_eq!(free(day, &[]), ["08:00–18:00"]);
    }
}
