//! Events of a window, series expanded.

use schemars::JsonSchema;
use serde::Deserialize;

use super::model::Event;
use super::{READ, SHORT, in_zone, item};
use crate::integrations::m365::graph::{self, Page};
use crate::integrations::m365::times::{When, seconds, zone};
use crate::kit::args::{Cursor, Limit};
use crate::kit::error::ToolError;
use crate::kit::output::Output;
use crate::kit::tool::{AuditArgs, Cx, Effect, Needs, Tool};

/// List calendar events in a window (default: the coming 7 days), series expanded.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ListEvents {
    /// Date or time, `today`, `+3d`.
    #[serde(default)]
    start: String,
    /// Last day or time.
    #[serde(default)]
    end: String,
    /// Words in subject, place or people.
    #[serde(default)]
    q: String,
    /// Calendar id.
    #[serde(default)]
    calendar: String,
    /// Whose calendar, by address.
    #[serde(default)]
    user: String,
    /// Show times in it; default mine.
    #[serde(default)]
    tz: String,
    #[serde(default)]
    limit: Limit<25, 100>,
    #[serde(default)]
    cursor: Option<Cursor>,
}

/// The part of a calendar that is looked at.
#[derive(Clone, Copy)]
pub(super) struct Window {
    pub(super) from: When,
    pub(super) to: When,
}

impl Window {
    /// What to ask Graph for. Wall-clock edges are asked for generously and cut by [`Window::holds`], because Graph reads
    /// them as UTC whatever zone it answers in.
    pub(super) fn span(self) -> (String, String) {
        (
            seconds(self.from.span(false).0),
            seconds(self.to.span(true).1),
        )
    }

    /// Whether an event whose times are in the calendar's zone lies in it.
    pub(super) fn holds(self, event: &Event) -> bool {
        let (Some(start), Some(end)) = (event.start.wall(), event.end.wall()) else {
            return true;
        };
        let after = self
            .from
            .wall(false)
            .is_none_or(|from| end > from || start >= from);
        after && self.to.wall(true).is_none_or(|to| start < to)
    }
}

impl Tool for ListEvents {
    const NAME: &'static str = "m365_list_events";
    const TITLE: &'static str = "List events";
    const EFFECT: Effect = Effect::Read;
    const SCOPES: Needs = READ;
    const AUDIT: AuditArgs = AuditArgs {
        plain: &["start", "end", "tz", "calendar"],
        dropped: &[],
    };

    async fn call(self, cx: &Cx) -> Result<Output, ToolError> {
        let word = |text: &str, default: &str| {
            let text = text.trim();
            if text.is_empty() {
                default.to_owned()
            } else {
                text.to_owned()
            }
        };
        let window = Window {
            from: When::parse("start", &word(&self.start, "today"), cx.now)?,
            to: When::parse("end", &word(&self.end, &default_end(&self.start)), cx.now)?,
        };
        if window.to.span(true).1 <= window.from.span(false).0 {
            return Err(ToolError::Invalid("`end` is before `start`".to_owned()));
        }
        let zone = zone(cx, &self.tz);
        let request = match &self.cursor {
            Some(cursor) => graph::follow(cx, cursor),
            None => view(cx, &self.user, &self.calendar, window, self.limit.get()),
        };
        let page: Page<Event> = graph::prefer(request, &[&in_zone(zone)]).send().await?;
        let next = page.cursor();
        let words = self.q.to_lowercase();
        let fits = |event: &&Event| window.holds(event) && mentions(event, &words);
        let found = page.value.iter().filter(fits);
        let items = found.map(|event| item(cx, &self.user, event)).collect();
        Ok(Output::of(items).next(next))
    }
}

/// A window that begins on a given day is that day and six more; without any it is the coming week.
fn default_end(start: &str) -> String {
    match crate::integrations::m365::times::date(start.trim()) {
        Some(day) => day
            .checked_add(time::Duration::days(6))
            .unwrap_or(day)
            .to_string(),
        None => "+7d".to_owned(),
    }
}

/// The request for the events of a window.
pub(super) fn view(
    cx: &Cx,
    user: &str,
    calendar: &str,
    window: Window,
    limit: u32,
) -> crate::kit::client::Request {
    let path = match calendar {
        "" => graph::of(user, &["calendarView"]),
        calendar => graph::of(user, &["calendars", calendar, "calendarView"]),
    };
    let (from, to) = window.span();
    cx.api
        .get(&path)
        .query("startDateTime", from)
        .query("endDateTime", to)
        .query("$select", SHORT)
        .query("$orderby", "start/dateTime")
        .query("$top", limit)
}

fn mentions(event: &Event, words: &str) -> bool {
    if words.trim().is_empty() {
        return true;
    }
    let people = super::names(&event.attendees).join(" ");
    let all = format!(
        "{} {} {} {people} {}",
        event.subject, event.location.display_name, event.organizer, event.body_preview
    )
    .to_lowercase();
    words.split_whitespace().all(|word| all.contains(word))
}
