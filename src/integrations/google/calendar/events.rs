//! Listing events: a window of several calendars, or what changed since the last look.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::asks::{DAY_S, Moment, all, utc};
use super::super::auth::EVENTS_READ;
use super::merge::{Reading, merge, seconds};
use super::model::{Event, Events};
use super::sync::{self, Telling};
use super::{PRIMARY, below, resolve, rows, today};
use crate::kit::args::{Cursor, Limit};
use crate::kit::error::{ProviderError, ToolError};
use crate::kit::output::Output;
use crate::kit::text;
use crate::kit::tool::{AuditArgs, Cx, Effect, Needs, Tool};

/// Calendars of one call.
const CALENDARS: usize = 12;
/// Days of a window whose end is not given.
const DAYS: i64 = 7;
/// How far local days can be from UTC's, in seconds.
const ZONES_S: i64 = 14 * 3_600;

/// List the events of a week or other time, calendars merged, series expanded; or what changed since the last such call.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ListEvents {
    /// Date or time.
    #[serde(default)]
    start: String,
    /// Likewise, included.
    #[serde(default)]
    end: String,
    /// Names, or `all`.
    #[serde(default)]
    calendars: Vec<String>,
    /// Text.
    #[serde(default)]
    q: String,
    /// IANA name.
    #[serde(default)]
    time_zone: String,
    /// Since the last call.
    #[serde(default)]
    changes: bool,
    #[serde(default)]
    limit: Limit<25, 100>,
    #[serde(default)]
    cursor: Option<Cursor>,
}

/// A list with all that it is of.
#[derive(Debug, Serialize, Deserialize)]
struct Page {
    /// What is asked for.
    from: String,
    until: String,
    /// Local days, when days were asked for: the window is wider then, because their zone is known only afterwards.
    days: Option<(String, String)>,
    q: String,
    zone: String,
    readings: Vec<Reading>,
}

impl Tool for ListEvents {
    const NAME: &'static str = "google_list_events";
    const TITLE: &'static str = "List events";
    const EFFECT: Effect = Effect::Read;
    const SCOPES: Needs = Needs::All(&[EVENTS_READ]);
    const AUDIT: AuditArgs = AuditArgs {
        plain: &["start", "end", "time_zone"],
        dropped: &[],
    };

    async fn call(self, cx: &Cx) -> Result<Output, ToolError> {
        if let Some(Ok(telling)) = self.cursor.as_ref().map(Cursor::read::<Telling>) {
            return sync::tell(cx, telling, &self.time_zone, Output::default()).await;
        }
        if self.changes {
            if self.cursor.is_some() {
                return Err(Cursor::foreign());
            }
            if !self.start.is_empty() || !self.end.is_empty() || !self.q.is_empty() {
                return Err(ToolError::Invalid(
                    "`changes` goes without `start`, `end` and `q`: changes are told wherever they are".to_owned(),
                ));
            }
            let ids = self.places(cx).await?;
            return sync::changes(cx, &ids, &self.time_zone).await;
        }
        let page = match &self.cursor {
            Some(cursor) => cursor.read()?,
            None => self.first(cx).await?,
        };
        let limit = self.limit.get();
        let reads = page
            .readings
            .iter()
            .map(|reading| read(cx, &page, reading, limit));
        let mut output = Output::default();
        let mut pages = Vec::new();
        let mut refused = None;
        for (reading, result) in page.readings.iter().zip(all(reads.collect()).await) {
            match result {
                Ok(events) => pages.push((reading.clone(), events)),
                Err(error) if error.is_partial() => {
                    output.warnings.push(format!(
                        "calendar {} cannot be read: {error}",
                        text::clip(&reading.id, 80)
                    ));
                    refused = Some(error);
                }
                Err(error) => return Err(error.into()),
            }
        }
        if let (true, Some(refused)) = (pages.is_empty(), refused) {
            return Err(match refused {
                ProviderError::NotFound => ToolError::NotFound(
                    "none of `calendars` was found; google_get_profile lists them".to_owned(),
                ),
                other => other.into(),
            });
        }
        if let Some((_, first)) = pages.first()
            && page
                .readings
                .iter()
                .all(|reading| reading.token.is_none() && reading.skip == 0)
        {
            let zone = if page.zone.is_empty() {
                &first.time_zone
            } else {
                &page.zone
            };
            if !zone.is_empty() {
                output.warnings.push(format!("times are in {zone}"));
            }
        }
        let (given, readings) = merge(pages, limit as usize);
        let shown = given.iter().filter(|(_, event)| page.has(event));
        output.items = shown
            .map(|(of, event)| rows::event(cx, of, event))
            .collect();
        let is_over = readings.is_empty() || page.is_past(&given);
        let next = (!is_over).then(|| Cursor::of(&Page { readings, ..page }));
        Ok(output.next(next))
    }
}

impl ListEvents {
    async fn places(&self, cx: &Cx) -> Result<Vec<String>, ToolError> {
        let ids = resolve(cx, "calendars", &self.calendars).await?;
        if ids.len() > CALENDARS {
            return Err(ToolError::Invalid(format!(
                "`calendars` takes at most {CALENDARS} at once"
            )));
        }
        Ok(ids)
    }

    async fn first(&self, cx: &Cx) -> Result<Page, ToolError> {
        let zone = self.time_zone.trim();
        let ids = self.places(cx).await?;
        let start = match self.start.trim() {
            "" => Moment::Day(today(cx, zone).await?),
            given => Moment::read("start", given)?,
        };
        let window = window(start, &self.end)?;
        Ok(Page {
            q: self.q.trim().to_owned(),
            zone: zone.to_owned(),
            readings: ids.into_iter().map(Reading::new).collect(),
            ..window
        })
    }
}

/// The instants to ask for, and the local days where days are meant.
fn window(start: Moment, end: &str) -> Result<Page, ToolError> {
    let end = match end.trim() {
        "" => match start {
            Moment::Day(day) => Moment::Day(day.saturating_add(time::Duration::days(DAYS - 1))),
            Moment::Instant(at) => Moment::Instant(at.saturating_add(time::Duration::days(DAYS))),
        },
        given => Moment::read("end", given)?,
    };
    let from = match start {
        Moment::Day(_) => start.seconds() - ZONES_S,
        Moment::Instant(_) => start.seconds(),
    };
    let until = match end {
        Moment::Day(_) => end.seconds() + DAY_S + ZONES_S,
        Moment::Instant(_) => end.seconds(),
    };
    // A day that is included ends later than it begins, and where, is not known yet.
    let is_backwards = match (start, end) {
        (Moment::Day(first), Moment::Day(last)) => last < first,
        _timed => until <= from,
    };
    if is_backwards {
        return Err(ToolError::Invalid(
            "`end` must come after `start`".to_owned(),
        ));
    }
    let days = match (start, end) {
        (Moment::Instant(_), Moment::Instant(_)) => None,
        (start, end) => {
            let first = match start {
                Moment::Day(day) => day.to_string(),
                Moment::Instant(_) => String::new(),
            };
            let last = match end {
                Moment::Day(day) => day.to_string(),
                Moment::Instant(_) => String::new(),
            };
            Some((first, last))
        }
    };
    Ok(Page {
        from: utc(from),
        until: utc(until),
        days,
        q: String::new(),
        zone: String::new(),
        readings: Vec::new(),
    })
}

/// The events of one local day of the person's own calendar, with what the calendar says of itself.
pub(super) async fn day(
    cx: &Cx,
    date: &str,
    limit: u32,
) -> Result<(Vec<Event>, Events), ToolError> {
    let page = window(Moment::read("date", date)?, date)?;
    let reading = Reading::new(PRIMARY.to_owned());
    let mut events = read(cx, &page, &reading, limit).await?;
    let found = std::mem::take(&mut events.items);
    let found = found.into_iter().filter(|event| page.has(event)).collect();
    Ok((found, events))
}

async fn read(
    cx: &Cx,
    page: &Page,
    reading: &Reading,
    limit: u32,
) -> Result<Events, ProviderError> {
    let given = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    cx.api
        .get(&below(&reading.id, &["events"]))
        .query("singleEvents", true)
        .query("orderBy", "startTime")
        .query("timeMin", &page.from)
        .query("timeMax", &page.until)
        .query("maxResults", limit)
        .query_opt("q", given(&page.q))
        .query_opt("timeZone", given(&page.zone))
        .query_opt("pageToken", reading.token.as_deref())
        .send()
        .await
}

impl Page {
    /// Whether the event touches one of the days asked for, in the zone that its times are in.
    fn has(&self, event: &Event) -> bool {
        let Some((first, last)) = &self.days else {
            return true;
        };
        let (begins, ends) = (event.start.day(), event.end.day());
        // A day's end, and midnight, is the first moment that is no part of it.
        let is_open = event.end.date_time.is_empty() || event.end.text().contains("T00:00:00");
        let after_first = first.is_empty()
            || ends > first.as_str()
            || (ends == first.as_str() && (!is_open || begins == ends));
        after_first && (last.is_empty() || begins <= last.as_str())
    }

    /// Whether everything that could follow begins after the last day.
    fn is_past(&self, given: &[(String, Event)]) -> bool {
        let (Some((_, last)), Some((_, event))) = (&self.days, given.last()) else {
            return false;
        };
        // Another calendar may have its next event on an earlier local day only within a day of this one.
        let margin = super::super::asks::day(last)
            .map(|day| day.midnight().assume_utc().unix_timestamp() + DAY_S + ZONES_S);
        margin.is_some_and(|margin| seconds(&event.start) >= margin)
    }
}

#[cfg(test)]
mod tests {
    use super::super::model::When;
    use super::*;

    fn event(start: &str, end: &str) -> Event {
        let when = |text: &str| {
            if text.contains('T') {
                When {
                    date_time: text.to_owned(),
                    ..When::default()
                }
            } else {
                When {
                    date: text.to_owned(),
                    ..When::default()
                }
            }
        };
        Event {
            start: when(start),
            end: when(end),
            ..Event::default()
        }
    }

    #[test]
    fn windows_begin_before_they_end() {
        let window = |start: &str, end: &str| window(Moment::read("start", start)?, end);
        for (start, end) in [
            ("2026-11-20", "2026-11-20"),
            ("2026-11-20T09:00:00+01:00", "2026-11-20"),
            ("2026-11-20", "2026-11-20T01:00:00+13:00"),
            ("2026-11-20T09:00:00Z", "2026-11-20T11:00:00+01:00"),
        ] {
            assert!(window(start, end).is_ok(), "{start} {end}");
        }
        for (start, end) in [
            ("2026-11-20", "2026-11-19"),
            ("2026-11-20T09:00:00+01:00", "2026-11-18"),
            ("2026-11-20", "2026-11-19T01:00:00+13:00"),
            ("2026-11-20T09:00:00Z", "2026-11-20T09:00:00Z"),
        ] {
            assert!(window(start, end).is_err(), "{start} {end}");
        }
    }

    #[test]
    fn days_are_those_of_the_calendar() {
        let page = |first: &str, last: &str| Page {
            from: String::new(),
            until: String::new(),
            days: Some((first.to_owned(), last.to_owned())),
            q: String::new(),
            zone: String::new(),
            readings: Vec::new(),
        };
        let day = page("2026-11-20", "2026-11-20");
        let table = [
            (
                "2026-11-20T00:00:00-08:00",
                "2026-11-20T01:00:00-08:00",
                true,
            ),
            (
                "2026-11-19T23:00:00-08:00",
                "2026-11-20T00:30:00-08:00",
                true,
            ),
            (
                "2026-11-19T23:00:00-08:00",
                "2026-11-20T00:00:00-08:00",
                false,
            ),
            (
                "2026-11-20T23:30:00+13:00",
                "2026-11-21T00:30:00+13:00",
                true,
            ),
            (
                "2026-11-21T00:00:00+13:00",
                "2026-11-21T01:00:00+13:00",
                false,
            ),
            ("2026-11-20", "2026-11-21", true),
            ("2026-11-19", "2026-11-20", false),
            ("2026-11-01", "2026-12-01", true),
        ];
        for (start, end, expected) in table {
            assert_eq!(day.has(&event(start, end)), expected, "{start} {end}");
        }
        assert!(page("", "2026-11-20").has(&event("2026-11-01", "2026-11-02")));
    }
}
