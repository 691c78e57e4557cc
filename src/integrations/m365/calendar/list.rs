//! Events of a window, series expanded.

use schemars::JsonSchema;
use serde::Deserialize;
use time::PrimitiveDateTime;

use super::changes::{self, Telling};
use super::model::Event;
use super::{READ, SHORT, in_zone, item};
use crate::integrations::m365::graph::{self, Page};
use crate::integrations::m365::times::{When, Zoned, seconds, zone};
use crate::kit::Timestamp;
use crate::kit::args::{Cursor, Limit};
use crate::kit::error::ToolError;
use crate::kit::output::Output;
use crate::kit::tool::{AuditArgs, Cx, Effect, Needs, Tool};

/// How long a window without an end is.
const DAYS: i64 = 7;

/// List calendar events in a window (default: the coming 7 days), series expanded; or what changed.
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
    /// Only what changed since the last such call.
    #[serde(default)]
    changes: bool,
    #[serde(default)]
    limit: Limit<25, 100>,
    #[serde(default)]
    cursor: Option<Cursor>,
}

/// The part of a calendar that is looked at.
#[derive(Clone, Copy)]
pub(super) struct Window {
    pub(super) from: Timestamp,
    pub(super) to: Timestamp,
    /// The same as the clock of Graph's answers shows them.
    pub(super) clock: (PrimitiveDateTime, PrimitiveDateTime),
}

impl Window {
    pub(super) fn new(from: When, to: When, zone: &Zoned) -> Self {
        Self {
            from: from.instant(&zone.zone, false),
            to: to.instant(&zone.zone, true),
            clock: (zone.clock(from, false), zone.clock(to, true)),
        }
    }

    /// What the arguments `start` and `end` say: from now without the first, for seven days without the second.
    pub(super) fn read(cx: &Cx, start: &str, end: &str, zone: &Zoned) -> Result<Self, ToolError> {
        let start = match start.trim() {
            "" => "now",
            start => start,
        };
        let from = When::parse("start", start, cx.now, &zone.zone)?;
        let to = match end.trim() {
            "" => from.later(&zone.zone, DAYS),
            end => When::parse("end", end, cx.now, &zone.zone)?,
        };
        Ok(Self::new(from, to, zone))
    }

    /// What to ask Graph for.
    pub(super) fn span(self) -> (String, String) {
        (seconds(self.from), seconds(self.to))
    }

    /// Whether an event whose times are in the zone lies in it: where Graph takes whole days for days in UTC, it answers with
    /// those of the day beside too.
    pub(super) fn holds(self, event: &Event) -> bool {
        let (Some(start), Some(end)) = (event.start.wall(), event.end.wall()) else {
            return true;
        };
        let (from, to) = self.clock;
        (end > from || start >= from) && start < to
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
        let zone = zone(cx, &self.tz)?;
        if let Some(Ok(telling)) = self.cursor.as_ref().map(Cursor::read::<Telling>) {
            return changes::tell(cx, telling, &zone.sent).await;
        }
        if self.changes {
            return self.changed(cx, &zone.sent).await;
        }
        let is_own = self.user.is_empty() || self.user.eq_ignore_ascii_case(&cx.account.label);
        if !is_own {
            cx.require("Calendars.Read.Shared")?;
        }
        let window = Window::read(cx, &self.start, &self.end, &zone)?;
        if window.to <= window.from {
            return Err(ToolError::Invalid("`end` is before `start`".to_owned()));
        }
        let request = match &self.cursor {
            Some(cursor) => graph::follow(cx, cursor),
            None => view(cx, &self.user, &self.calendar, window, self.limit.get()),
        };
        let page: Page<Event> = graph::prefer(request, &[&in_zone(&zone.sent)])
            .send()
            .await?;
        let next = page.cursor();
        let words = self.q.to_lowercase();
        let fits = |event: &&Event| window.holds(event) && mentions(event, &words);
        let found = page.value.iter().filter(fits);
        let items = found.map(|event| item(cx, &self.user, event)).collect();
        Ok(Output::of(items).next(next))
    }
}

impl ListEvents {
    async fn changed(&self, cx: &Cx, zone: &str) -> Result<Output, ToolError> {
        if self.cursor.is_some() {
            return Err(Cursor::foreign());
        }
        let others = [&self.start, &self.end, &self.q, &self.user];
        if others.iter().any(|text| !text.is_empty()) {
            return Err(ToolError::Invalid(
                "`changes` goes without `start`, `end`, `q` and `user`: a calendar of yours is watched from 30 days ago to a year ahead".to_owned(),
            ));
        }
        changes::changes(cx, self.calendar.trim(), zone).await
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
