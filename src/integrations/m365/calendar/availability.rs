//! When people are free. Exchange knows best (`findMeetingTimes` heeds everybody's working hours and time zone); where it
//! is not there (personal accounts, scopes not granted) or finds nothing, gaps are computed from what can be seen.

use futures_util::future::join;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use time::{PrimitiveDateTime, Weekday};

use super::list::{Window, view};
use super::model::{At, Event};
use super::{READ, at, in_zone};
use crate::integrations::m365::graph::{self, Page};
use crate::integrations::m365::model::or_default;
use crate::integrations::m365::times::{Zoned, local, shown, zone};
use crate::kit::args::Limit;
use crate::kit::error::ToolError;
use crate::kit::mail::Address;
use crate::kit::output::{Item, Output};
use crate::kit::text::clip;
use crate::kit::tool::{AuditArgs, Cx, Effect, Needs, Tool};

/// People and rooms that one request may name.
const PEOPLE: usize = 20;
/// A working day when nobody's is known, in hours of the wall clock.
const DAY: (u8, u8) = (8, 18);
/// Longest window that a schedule is answered for.
const WINDOW_DAYS: i64 = 62;

const fn half_hour() -> u32 {
    30
}

const fn yes() -> bool {
    true
}

/// Find times when I and others are free, best first.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct FindAvailability {
    /// People and rooms, by address.
    #[serde(default)]
    attendees: Vec<String>,
    /// Default now.
    #[serde(default)]
    start: String,
    /// Default 7 days on.
    #[serde(default)]
    end: String,
    /// Minutes.
    #[serde(default = "half_hour")]
    #[schemars(range(min = 5, max = 1440))]
    duration: u32,
    /// Within them only.
    #[serde(default = "yes")]
    working_hours: bool,
    /// Default mine.
    #[serde(default)]
    tz: String,
    #[serde(default)]
    limit: Limit<5, 20>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Found {
    #[serde(deserialize_with = "or_default")]
    meeting_time_suggestions: Vec<Suggestion>,
    #[serde(deserialize_with = "or_default")]
    empty_suggestions_reason: String,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Suggestion {
    #[serde(deserialize_with = "or_default")]
    confidence: f64,
    #[serde(deserialize_with = "or_default")]
    organizer_availability: String,
    #[serde(deserialize_with = "or_default")]
    attendee_availability: Vec<Availability>,
    #[serde(deserialize_with = "or_default")]
    meeting_time_slot: Slot,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Availability {
    #[serde(deserialize_with = "or_default")]
    availability: String,
    #[serde(deserialize_with = "or_default")]
    attendee: super::model::Attendee,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Slot {
    #[serde(deserialize_with = "or_default")]
    start: At,
    #[serde(deserialize_with = "or_default")]
    end: At,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Schedule {
    #[serde(default, deserialize_with = "or_default")]
    schedule_id: String,
    #[serde(default, deserialize_with = "or_default")]
    schedule_items: Vec<Busy>,
    #[serde(default, deserialize_with = "or_default")]
    error: Option<Value>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Busy {
    #[serde(deserialize_with = "or_default")]
    status: String,
    #[serde(deserialize_with = "or_default")]
    start: At,
    #[serde(deserialize_with = "or_default")]
    end: At,
}

/// From when to when somebody cannot.
type Span = (PrimitiveDateTime, PrimitiveDateTime);

impl Tool for FindAvailability {
    const NAME: &'static str = "m365_find_availability";
    const TITLE: &'static str = "Find free times";
    const EFFECT: Effect = Effect::Read;
    const SCOPES: Needs = READ;
    const AUDIT: AuditArgs = AuditArgs {
        plain: &["start", "end", "tz"],
        dropped: &[],
    };

    async fn call(self, cx: &Cx) -> Result<Output, ToolError> {
        let mut people = Vec::with_capacity(self.attendees.len());
        for text in &self.attendees {
            people.push(text.parse::<Address>()?.email);
        }
        if people.len() >= PEOPLE {
            return Err(ToolError::Invalid(format!(
                "`attendees` takes fewer than {PEOPLE} people and rooms"
            )));
        }
        let zone = zone(cx, &self.tz)?;
        let window = Window::read(cx, &self.start, &self.end, &zone)?;
        let length = window.to.seconds() - window.from.seconds();
        if length <= 0 || length > WINDOW_DAYS * 86_400 {
            return Err(ToolError::Invalid(format!(
                "`end` must be after `start`, and at most {WINDOW_DAYS} days later"
            )));
        }
        if cx.account.detail("kind") == "personal" {
            let mut output = self.own(cx, window, &zone).await?;
            output.warnings.extend(people.iter().map(|who| {
                format!("{who} was not looked at: a personal account sees its own calendar only")
            }));
            return Ok(output);
        }
        self.together(cx, &people, window, &zone).await
    }
}

impl FindAvailability {
    async fn together(
        &self,
        cx: &Cx,
        people: &[String],
        window: Window,
        zone: &Zoned,
    ) -> Result<Output, ToolError> {
        let clock = |edge| at((local(edge), zone.sent.clone()));
        let (from, to) = (clock(window.clock.0), clock(window.clock.1));
        let suggested = async {
            if !cx.granted.has("Calendars.Read.Shared") {
                return Ok(None);
            }
            let attendees: Vec<Value> = people
                .iter()
                .map(|who| json!({ "type": "required", "emailAddress": { "address": who } }))
                .collect();
            let domain = if self.working_hours {
                "work"
            } else {
                "unrestricted"
            };
            let body = json!({
                "attendees": attendees,
                "timeConstraint": {
                    "activityDomain": domain,
                    "timeSlots": [{ "start": from, "end": to }],
                },
                "meetingDuration": format!("PT{}M", self.duration),
                "maxCandidates": self.limit.get(),
            });
            let request = cx.api.post(&graph::path(&["me", "findMeetingTimes"]));
            let request = graph::prefer(request.json(&body).reads(), &[&in_zone(&zone.sent)]);
            request.send::<Found>().await.map(Some)
        };
        let mut all = vec![cx.account.label.clone()];
        all.extend_from_slice(people);
        let body = json!({
            "schedules": all, "startTime": from, "endTime": to,
            "availabilityViewInterval": 30,
        });
        let request = cx
            .api
            .post(&graph::path(&["me", "calendar", "getSchedule"]));
        let request = graph::prefer(request.json(&body).reads(), &[&in_zone(&zone.sent)]);
        let (suggested, schedules) = join(suggested, request.send::<Page<Schedule>>()).await;
        let mut output = Output::default();
        let mut busy: Vec<Span> = Vec::new();
        match schedules {
            Ok(page) => {
                for schedule in &page.value {
                    if schedule.error.is_some() {
                        output.warnings.push(format!(
                            "the calendar of {} cannot be seen; ask them whether the time suits",
                            clip(&schedule.schedule_id, 100)
                        ));
                    }
                    busy.extend(schedule.schedule_items.iter().filter_map(taken));
                }
            }
            Err(error) if suggested.is_ok() && error.is_partial() => {
                output
                    .warnings
                    .push(format!("calendars of others were not compared: {error}"));
            }
            Err(error) => return Err(error.into()),
        }
        let found = suggested?;
        let reason = found
            .as_ref()
            .map(|found| found.empty_suggestions_reason.clone());
        output.items = found
            .iter()
            .flat_map(|found| &found.meeting_time_suggestions)
            .map(|one| suggestion(one, &zone.name))
            .collect();
        if output.items.is_empty() {
            let reason = reason.filter(|reason| !reason.is_empty());
            if let Some(reason) = reason {
                output
                    .warnings
                    .push(format!("no time was suggested ({})", clip(&reason, 80)));
            }
            output.items = self.gaps(window, &busy, &zone.name);
        }
        Ok(output)
    }

    /// Gaps of the person's own calendar.
    async fn own(&self, cx: &Cx, window: Window, zone: &Zoned) -> Result<Output, ToolError> {
        let request = view(cx, "", "", window, 100);
        let request = graph::prefer(request, &[&in_zone(&zone.sent)]);
        let page: Page<Event> = request.send().await?;
        let busy: Vec<Span> = page
            .value
            .iter()
            .filter(|event| !event.is_cancelled && event.show_as != "free")
            .filter_map(|event| Some((event.start.wall()?, event.end.wall()?)))
            .collect();
        let output = Output::of(self.gaps(window, &busy, &zone.name));
        Ok(match page.next {
            Some(_) => {
                output.warn("only the first 100 events were looked at; choose a shorter window")
            }
            None => output,
        })
    }

    /// Times within working days that nothing overlaps, on the half hour, all in the zone of the call.
    fn gaps(&self, window: Window, busy: &[Span], zone: &str) -> Vec<Item> {
        let (from, to) = window.clock;
        let length = time::Duration::minutes(i64::from(self.duration));
        let step = time::Duration::minutes(30);
        let mut start = on_the_half_hour(from);
        let mut items = Vec::new();
        let most = usize::try_from(self.limit.get()).unwrap_or(5);
        while items.len() < most && start + length <= to {
            let end = start + length;
            let clash = busy.iter().filter(|(a, b)| *a < end && *b > start);
            if let Some(free) = clash.map(|(_, b)| *b).max() {
                start = on_the_half_hour(free);
            } else if self.working_hours && !at_work(start, end) {
                start += step;
            } else {
                items.push(
                    Item::new(shown(start))
                        .field("start", shown(start))
                        .field("end", shown(end))
                        .field("time_zone", zone),
                );
                start = end;
            }
        }
        items
    }
}

fn taken(busy: &Busy) -> Option<Span> {
    (busy.status != "free").then_some(())?;
    Some((busy.start.wall()?, busy.end.wall()?))
}

fn on_the_half_hour(at: PrimitiveDateTime) -> PrimitiveDateTime {
    let over = (i64::from(at.minute()) % 30) * 60 + i64::from(at.second());
    if over == 0 {
        at
    } else {
        at + time::Duration::seconds(1_800 - over)
    }
}

fn at_work(start: PrimitiveDateTime, end: PrimitiveDateTime) -> bool {
    let weekend = matches!(start.weekday(), Weekday::Saturday | Weekday::Sunday);
    let last = end.hour() < DAY.1 || (end.hour() == DAY.1 && end.minute() == 0);
    !weekend && start.hour() >= DAY.0 && last && start.date() == end.date()
}

fn suggestion(one: &Suggestion, zone: &str) -> Item {
    let slot = &one.meeting_time_slot;
    let not_free = |who: &Availability| {
        (who.availability != "free").then(|| {
            let address = &who.attendee.email_address.address;
            format!("{address}: {}", who.availability)
        })
    };
    let mut others: Vec<String> = one
        .attendee_availability
        .iter()
        .filter_map(not_free)
        .collect();
    if !matches!(one.organizer_availability.as_str(), "" | "free") {
        others.insert(0, format!("me: {}", one.organizer_availability));
    }
    let start = slot.start.shown(false);
    Item::new(&start)
        .field("start", start.as_str())
        .field("end", slot.end.shown(false))
        .field(
            "time_zone",
            if slot.start.time_zone.is_empty() {
                zone
            } else {
                &slot.start.time_zone
            },
        )
        .field("confidence", one.confidence)
        .field("not_free", others)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test says what went wrong by failing")]
    use super::*;
    use crate::integrations::m365::times::wall;
    use crate::kit::zone::Zone;

    #[test]
    fn gaps_lie_within_working_days_and_between_events() {
        let asked: FindAvailability =
            serde_json::from_value(json!({ "duration": 60, "limit": 3 })).unwrap();
        let span = |a: &str, b: &str| (wall(a).unwrap(), wall(b).unwrap());
        let clock = span("2026-11-20T15:10", "2026-11-24T00:00");
        let window = Window {
            from: Zone::UTC.instant(clock.0),
            to: Zone::UTC.instant(clock.1),
            clock,
        };
        let busy = [
            span("2026-11-20T15:00", "2026-11-20T16:15"),
            span("2026-11-23T09:00", "2026-11-23T12:00"),
        ];
        let found = asked.gaps(window, &busy, "UTC");
        let found: Vec<&str> = found.iter().map(|item| item.id.as_str()).collect();
        assert_eq!(
            found,
            ["2026-11-20T16:30", "2026-11-23T08:00", "2026-11-23T12:00"]
        );
    }
}
