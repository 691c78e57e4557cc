//! Context blocks: the agenda of a day, and an event.

use std::fmt::Write as _;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::super::asks::{day, seen};
use super::super::auth::EVENTS_READ;
use super::model::{Event, Events, Place};
use super::{PRIMARY, below, event, events, list, rows, today};
use crate::kit::block::{Content, ContextBlock};
use crate::kit::error::ToolError;
use crate::kit::text;
use crate::kit::tool::{Cx, Needs};
use crate::kit::zone::Zone;

/// Events of an agenda.
const AGENDA: u32 = 100;
/// Days and events that a completion offers.
const DAYS: i64 = 14;
const UPCOMING: u32 = 20;

#[derive(Default, Deserialize)]
#[serde(default)]
struct Etag {
    etag: String,
}

/// A day of the person's own calendar.
#[derive(Debug, Deserialize)]
pub(super) struct DayBlock {
    date: String,
}

impl ContextBlock for DayBlock {
    const URI: &'static str = "google://{account}/calendar/{date}";
    const NAME: &'static str = "google_agenda";
    const TITLE: &'static str = "Agenda";
    const DESCRIPTION: &'static str = "Your events of a day, such as 2026-11-20 or today.";
    const MIME: &'static str = "text/markdown";
    const SCOPES: Needs = Needs::All(&[EVENTS_READ]);

    async fn read(self, cx: &Cx) -> Result<Content, ToolError> {
        let date = match self.date.as_str() {
            "today" => today(cx, "").await?.to_string(),
            given if day(given).is_some() => given.to_owned(),
            _other => {
                return Err(ToolError::Invalid(
                    "the address needs a day such as 2026-11-20, or today".to_owned(),
                ));
            }
        };
        if let Some(held) = &cx.held {
            // When anything in the calendar last changed; the day is part of the version because `today` moves.
            let request = cx.api.get(&below(PRIMARY, &["events"]));
            let request = request.query("maxResults", 1).query("fields", "updated");
            let newest: Events = request.send().await?;
            if *held == version(&date, &newest.updated) {
                return Ok(Content::unchanged());
            }
        }
        let (found, calendar) = events::day(cx, &date, AGENDA).await?;
        let mut out = format!("# {date}\n\nTimes are in {}.\n\n", calendar.time_zone);
        if found.is_empty() {
            out.push_str("Nothing is planned.\n");
        }
        for one in &found {
            out.push_str(&line(cx, one, &date));
        }
        let short = text::clip(&out, cx.max_chars);
        Ok(Content {
            version: Some(version(&date, &calendar.updated))
                .filter(|_| !calendar.updated.is_empty()),
            url: Some(format!(
                "https://calendar.google.com/calendar/r/day/{}",
                date.replace('-', "/")
            )),
            truncated: short.len() != out.len() || calendar.next_page_token.is_some(),
            ..Content::text(short)
        })
    }

    async fn complete(
        cx: &Cx,
        _field: &str,
        prefix: &str,
        _chosen: &Map<String, Value>,
    ) -> Result<Vec<String>, ToolError> {
        let first = Zone::UTC.day(cx.now);
        let days = (0..DAYS).map(|more| first.saturating_add(time::Duration::days(more)));
        let words = std::iter::once("today".to_owned()).chain(days.map(|day| day.to_string()));
        Ok(words.filter(|word| word.starts_with(prefix)).collect())
    }
}

fn version(date: &str, updated: &str) -> String {
    format!("{date} {updated}")
}

fn line(cx: &Cx, event: &Event, date: &str) -> String {
    let clock = |at: &super::model::When| {
        let text = at.text();
        if at.day() == date {
            text.split_once('T')
                .map_or(String::new(), |(_, clock)| clock.chars().take(5).collect())
        } else {
            text.chars().take(16).collect::<String>().replace('T', " ")
        }
    };
    let times = if event.start.date_time.is_empty() {
        "All day".to_owned()
    } else {
        format!("{} to {}", clock(&event.start), clock(&event.end))
    };
    let title = if event.summary.is_empty() {
        "(no title)"
    } else {
        &event.summary
    };
    let mut out = format!(
        "- {times}: [{}]({})",
        text::visible(title.replace(['[', ']'], " ")),
        rows::uri(cx, PRIMARY, &event.id)
    );
    if !event.location.is_empty() {
        let _ = write!(
            out,
            ", {}",
            text::visible(event.location.replace('\n', " "))
        );
    }
    let mine = event.attendees.iter().find(|own| own["self"] == true);
    match mine.and_then(|own| own["responseStatus"].as_str()) {
        Some("needsAction") => out.push_str(" (not answered)"),
        Some("declined") => out.push_str(" (declined)"),
        Some("tentative") => out.push_str(" (maybe)"),
        _other => {}
    }
    out.push('\n');
    out
}

/// An event.
#[derive(Debug, Deserialize)]
pub(super) struct EventBlock {
    calendar: String,
    id: String,
}

impl ContextBlock for EventBlock {
    const URI: &'static str = "google://{account}/events/{calendar}/{id}";
    const NAME: &'static str = "google_event";
    const TITLE: &'static str = "Calendar event";
    const DESCRIPTION: &'static str =
        "An event with its guests and their answers; `primary` is your own calendar.";
    const MIME: &'static str = "text/markdown";
    const SCOPES: Needs = Needs::All(&[EVENTS_READ]);

    async fn read(self, cx: &Cx) -> Result<Content, ToolError> {
        if let Some(held) = &cx.held {
            let request = cx.api.get(&below(&self.calendar, &["events", &self.id]));
            let request = request.query("fields", "etag").send::<Etag>().await;
            if seen(cx, &format!("event {}", self.id), request)?.etag == *held {
                return Ok(Content::unchanged());
            }
        }
        let event = event(cx, &self.calendar, &self.id).await?;
        let title = if event.summary.is_empty() {
            "(no title)"
        } else {
            &event.summary
        };
        let mut out = format!("# {}\n\n", text::visible(title.to_owned()));
        let _ = writeln!(out, "{} to {}  ", event.start.text(), event.end.last());
        for (name, value) in [
            ("Time zone", event.start.time_zone.as_str()),
            ("Location", &event.location),
            ("Organizer", &event.organizer.email),
            ("Meet", &event.hangout_link),
            ("Repeats", &event.recurrence.join(" ")),
        ] {
            if !value.is_empty() {
                let _ = writeln!(out, "{name}: {}  ", text::visible(value.to_owned()));
            }
        }
        let guests = rows::guests(&event);
        if !guests.is_empty() {
            let _ = write!(out, "\n## Guests\n\n- {}\n", guests.join("\n- "));
        }
        let description = rows::description(&event);
        if !description.is_empty() {
            let _ = write!(out, "\n## Description\n\n{description}\n");
        }
        let short = text::clip(&out, cx.max_chars);
        Ok(Content {
            version: Some(event.etag).filter(|etag| !etag.is_empty()),
            url: Some(event.html_link).filter(|link| !link.is_empty()),
            truncated: short.len() != out.len(),
            ..Content::text(short)
        })
    }

    async fn complete(
        cx: &Cx,
        field: &str,
        prefix: &str,
        chosen: &Map<String, Value>,
    ) -> Result<Vec<String>, ToolError> {
        match (field, chosen.get("calendar").and_then(Value::as_str)) {
            ("calendar", _) => {
                let lower = prefix.to_lowercase();
                let named = |own: &Place| {
                    own.id.to_lowercase().contains(&lower)
                        || own.name().to_lowercase().contains(&lower)
                };
                let found = list(cx).await?.into_iter().filter(named);
                let id = |own: Place| {
                    if own.primary {
                        PRIMARY.to_owned()
                    } else {
                        own.id
                    }
                };
                Ok(found.map(id).take(100).collect())
            }
            ("id", Some(calendar)) => {
                let request = cx.api.get(&below(calendar, &["events"]));
                let request = request
                    .query("singleEvents", true)
                    .query("orderBy", "startTime")
                    .query("timeMin", cx.now)
                    .query("maxResults", UPCOMING)
                    .query_opt("q", Some(prefix).filter(|prefix| !prefix.is_empty()));
                let found: Events = request.send().await?;
                Ok(found.items.into_iter().map(|own| own.id).collect())
            }
            _ => Ok(Vec::new()),
        }
    }
}
