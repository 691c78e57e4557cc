//! Finding times at which people are free.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::super::auth::{EVENTS_READ, FREE_BUSY};
use super::slots::{self, Search};
use super::times::Time;
use super::{PRIMARY, calendar_zone};
use crate::kit::Timestamp;
use crate::kit::args::Limit;
use crate::kit::error::{ProviderError, ToolError};
use crate::kit::output::{Item, Output};
use crate::kit::text;
use crate::kit::tool::{AuditArgs, Cx, Effect, Needs, Tool};
use crate::kit::zone::Zone;

/// People of one call; Google takes 50 calendars.
const PEOPLE: usize = 49;
/// Longest window, in days.
const DAYS: i64 = 31;
/// Longest meeting, in minutes.
const MINUTES: u32 = 12 * 60;

/// Find meeting times at which you and others are free, best first.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct FindAvailability {
    /// Addresses; a zone behind one heeds their hours: ann@acme.example Asia/Tokyo.
    #[serde(default)]
    guests: Vec<String>,
    /// A date or time.
    start: String,
    /// Likewise.
    end: String,
    /// IANA; default mine.
    #[serde(default)]
    time_zone: String,
    /// Length.
    #[serde(default = "half_an_hour")]
    #[schemars(range(min = 5, max = 720))]
    minutes: u32,
    /// Such as 09:00-17:00.
    #[serde(default)]
    hours: String,
    /// Too.
    #[serde(default)]
    weekends: bool,
    #[serde(default)]
    limit: Limit<5, 30>,
}

const fn half_an_hour() -> u32 {
    30
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct FreeBusy {
    calendars: BTreeMap<String, Busy>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Busy {
    busy: Vec<Period>,
    errors: Vec<Problem>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Period {
    start: String,
    end: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Problem {
    reason: String,
}

impl Tool for FindAvailability {
    const NAME: &'static str = "google_find_availability";
    const TITLE: &'static str = "Find free times";
    const EFFECT: Effect = Effect::Read;
    const SCOPES: Needs = Needs::All(&[FREE_BUSY]);
    const AUDIT: AuditArgs = AuditArgs {
        plain: &["start", "end", "time_zone", "hours"],
        dropped: &[],
    };

    async fn call(self, cx: &Cx) -> Result<Output, ToolError> {
        let (mut search, mut output) = self.search(cx).await?;
        let mut people = vec![PRIMARY.to_owned()];
        for guest in &self.guests {
            let (guest, zone) = guest.trim().split_once(' ').unwrap_or((guest.trim(), ""));
            let guest = guest.to_lowercase();
            if !guest.contains('@') {
                return Err(ToolError::Invalid(format!(
                    "`guests`: `{}` is not a mail address",
                    text::clip(&text::printable(&guest), 80)
                )));
            }
            if !zone.is_empty() {
                search.others.push(Zone::read("guests", zone)?);
            }
            if guest != cx.account.label.to_lowercase() && !people.contains(&guest) {
                people.push(guest);
            }
        }
        if people.len() > PEOPLE {
            return Err(ToolError::Invalid(format!(
                "`guests` takes at most {} people",
                PEOPLE - 1
            )));
        }
        let known = ask(cx, &search, &people).await?;
        let mut seen: Vec<String> = Vec::new();
        let mut times = Vec::new();
        for person in &people {
            let name = if person == PRIMARY {
                cx.account.label.as_str()
            } else {
                person.as_str()
            };
            match known.calendars.get(person) {
                Some(found) if found.errors.is_empty() => {
                    seen.push(name.to_owned());
                    times.push(found.busy.iter().filter_map(Period::seconds).collect());
                }
                other => {
                    let reason = other.and_then(|found| found.errors.first());
                    let reason = reason.map_or("it was not answered", |own| &own.reason);
                    output.warnings.push(format!(
                        "the calendar of {name} cannot be seen ({}): ask whether the time suits",
                        text::clip(&text::scrub(reason), 60)
                    ));
                }
            }
        }
        if seen.is_empty() {
            return Err(ToolError::NotFound(
                "no calendar of these people can be seen, so nothing is known of their times"
                    .to_owned(),
            ));
        }
        let found = slots::find(&search, &times, self.limit.get() as usize);
        for slot in found {
            let who = |numbers: &[usize]| -> Vec<&str> {
                numbers.iter().map(|at| seen[*at].as_str()).collect()
            };
            let start = local(slot.start, &search.zone);
            output.items.push(
                Item::new(&start)
                    .field("start", start.as_str())
                    .field("end", local(slot.end, &search.zone))
                    .field("free", seen.len() - slot.busy.len())
                    .field("of", seen.len())
                    .field("busy", who(&slot.busy)),
            );
        }
        if output.items.is_empty() {
            output = output.warn("there is no such time; widen `start` to `end`, or `hours`");
        }
        Ok(output)
    }
}

impl FindAvailability {
    /// What to look for in the own zone, and what is to be said of it.
    async fn search(&self, cx: &Cx) -> Result<(Search, Output), ToolError> {
        let (start, end) = (
            Time::read("start", &self.start)?,
            Time::read("end", &self.end)?,
        );
        let mut output = Output::default();
        let zone = match (self.time_zone.trim(), start, end) {
            ("", Time::Instant(from), Time::Instant(until)) if from.offset() != until.offset() => {
                output.warnings.push(
                    "`start` and `end` have different offsets, and hours are those of `start`: give `time_zone` to have them change with the clocks".to_owned(),
                );
                Zone::fixed(from.offset())
            }
            ("", Time::Instant(at), _) | ("", _, Time::Instant(at)) => Zone::fixed(at.offset()),
            ("", _, _) if cx.granted.has(EVENTS_READ) => {
                Zone::named(&calendar_zone(cx, PRIMARY).await?).unwrap_or(Zone::UTC)
            }
            ("", _, _) => {
                return Err(ToolError::Invalid(
                    "`time_zone` is needed, so that the hours of the day are known; or give `start` an offset: 2026-11-23T09:00:00+01:00".to_owned(),
                ));
            }
            (named, _, _) => Zone::read("time_zone", named)?,
        };
        if !(5..=MINUTES).contains(&self.minutes) {
            return Err(ToolError::Invalid(format!(
                "`minutes` must be between 5 and {MINUTES}"
            )));
        }
        let from = start.instant(&zone, false).seconds().max(cx.now.seconds());
        let until = end.instant(&zone, true).seconds();
        if until <= from || until - from > DAYS * 24 * 3_600 {
            return Err(ToolError::Invalid(format!(
                "`end` must be in the future, after `start` and at most {DAYS} days later"
            )));
        }
        let (opens_s, closes_s) = hours(&self.hours)?;
        let search = Search {
            from,
            until,
            length_s: i64::from(self.minutes) * 60,
            zone,
            others: Vec::new(),
            opens_s,
            closes_s,
            weekends: self.weekends,
        };
        Ok((search, output))
    }
}

/// `09:00-17:00` in seconds of the day.
fn hours(text: &str) -> Result<(i64, i64), ToolError> {
    let text = match text.trim() {
        "" => "09:00-17:00",
        given => given,
    };
    let seconds = |clock: &str| -> Option<i64> {
        let (hour, minute) = clock.trim().split_once(':')?;
        let (hour, minute): (i64, i64) = (hour.parse().ok()?, minute.parse().ok()?);
        let valid =
            (0..24).contains(&hour) && (0..60).contains(&minute) || (hour, minute) == (24, 0);
        valid.then_some(hour * 3_600 + minute * 60)
    };
    let both = text.split_once('-');
    let both = both.and_then(|(opens, closes)| Some((seconds(opens)?, seconds(closes)?)));
    both.filter(|(opens, closes)| opens < closes)
        .ok_or_else(|| {
            ToolError::Invalid("`hours` must be a part of the day such as 09:00-17:00".to_owned())
        })
}

async fn ask(cx: &Cx, search: &Search, people: &[String]) -> Result<FreeBusy, ProviderError> {
    let items: Vec<_> = people.iter().map(|id| json!({ "id": id })).collect();
    let body = json!({
        "timeMin": super::super::asks::utc(search.from),
        "timeMax": super::super::asks::utc(search.until),
        "items": items,
    });
    let request = cx.api.post(&["calendar", "v3", "freeBusy"]);
    request.json(&body).reads().send().await
}

impl Period {
    fn seconds(&self) -> Option<(i64, i64)> {
        let at = |text: &str| Timestamp::parse_rfc3339(text).map(Timestamp::seconds);
        Some((at(&self.start)?, at(&self.end)?))
    }
}

fn local(seconds: i64, zone: &Zone) -> String {
    let offset = zone.offset(Timestamp::from_micros(seconds.saturating_mul(1_000_000)));
    let at = OffsetDateTime::from_unix_timestamp(seconds).ok();
    at.and_then(|at| at.checked_to_offset(offset))
        .and_then(|at| at.format(&Rfc3339).ok())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test says what went wrong by failing")]
    use super::*;

    #[test]
    fn hours_are_a_part_of_the_day() {
        assert_eq!(hours("").unwrap(), (9 * 3_600, 17 * 3_600));
        assert_eq!(hours("8:30 - 24:00").unwrap(), (30_600, 86_400));
        for wrong in ["9-17", "17:00-09:00", "09:00", "09:60-10:00", "25:00-26:00"] {
            assert!(hours(wrong).is_err(), "{wrong}");
        }
    }
}
