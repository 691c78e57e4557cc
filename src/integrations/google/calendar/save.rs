//! Creating and changing events.

use http::header::IF_MATCH;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use time::Duration;

use super::super::asks::{changes, seen};
use super::super::auth::EVENTS;
use super::model::{Event, When};
use super::times::{Time, behind, written, zoned};
use super::{below, calendar_zone, event, event_in, resolve_one, rows, series};
use crate::kit::documents::html_of_markdown;
use crate::kit::error::ToolError;
use crate::kit::mail::Address;
use crate::kit::output::{Item, Output};
use crate::kit::tool::{AuditArgs, Cx, Effect, Needs, Tool};

/// Guests of one event (Google's own limit for invitations is 200).
const GUESTS: usize = 200;

/// Create or change an event.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SaveEvent {
    /// If old.
    #[serde(default)]
    id: String,
    /// Name.
    #[serde(default)]
    calendar: String,
    /// Title.
    #[serde(default)]
    title: String,
    /// Time.
    #[serde(default)]
    start: String,
    /// Likewise.
    #[serde(default)]
    end: String,
    /// `-x` removes.
    #[serde(default)]
    guests: String,
    /// Or `meet`.
    #[serde(default)]
    place: String,
    /// Markdown.
    #[serde(default)]
    notes: String,
    /// Repeats.
    #[serde(default)]
    rrule: String,
    /// Of series.
    #[serde(default)]
    #[schemars(with = "Scope")]
    scope: Option<Scope>,
    /// No mail.
    #[serde(default)]
    quiet: bool,
}

/// Which occurrences of a series.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
enum Scope {
    This,
    Following,
    All,
}

/// Whether guests get mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Notify {
    All,
    Nobody,
}

impl Notify {
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Nobody => "none",
        }
    }
}

impl Tool for SaveEvent {
    const NAME: &'static str = "google_save_event";
    const TITLE: &'static str = "Save event";
    const EFFECT: Effect = Effect::Write { idempotent: false };
    const SCOPES: Needs = Needs::All(&[EVENTS]);
    const AUDIT: AuditArgs = AuditArgs {
        plain: &["id", "start", "end", "rrule", "scope"],
        dropped: &["notes"],
    };
    const OUTWARD: bool = true;

    async fn call(self, cx: &Cx) -> Result<Output, ToolError> {
        let calendar = resolve_one(cx, &self.calendar).await?;
        if self.id.trim().is_empty() {
            self.create(cx, &calendar).await
        } else {
            self.update(cx, &calendar).await
        }
    }
}

/// What a request says of an event, and what that is for a person.
pub(super) struct Change {
    pub(super) body: Map<String, Value>,
    pairs: Vec<(&'static str, Value, Value)>,
}

impl Change {
    fn set(&mut self, field: &str, value: Value, name: &'static str, was: Value, is: Value) {
        if was != is {
            self.body.insert(field.to_owned(), value);
            self.pairs.push((name, was, is));
        }
    }

    /// The fields with their present and wanted values.
    pub(super) fn shown(&self) -> Value {
        changes(self.pairs.iter().cloned())
    }

    /// Whether a Meet link is made or taken away.
    pub(super) fn is_about_meet(&self) -> bool {
        self.body.contains_key("conferenceData")
    }
}

impl SaveEvent {
    /// Where it is, and whether it is to have a Meet link: `meet`, `Room 2 +meet`, `-meet`.
    fn place(&self) -> (&str, Option<bool>) {
        let place = self.place.trim();
        match place {
            "meet" | "+meet" => return ("", Some(true)),
            "-meet" => return ("", Some(false)),
            _other => {}
        }
        if let Some(place) = place.strip_suffix("+meet") {
            return (place.trim(), Some(true));
        }
        match place.strip_suffix(" -meet") {
            Some(place) => (place.trim(), Some(false)),
            None => (place, None),
        }
    }

    /// The zone behind the times; empty when there is none.
    fn zone(&self) -> Result<&str, ToolError> {
        match behind("start", &self.start)? {
            "" => behind("end", &self.end),
            zone => Ok(zone),
        }
    }

    const fn notify(&self) -> Notify {
        if self.quiet {
            Notify::Nobody
        } else {
            Notify::All
        }
    }

    async fn create(&self, cx: &Cx, calendar: &str) -> Result<Output, ToolError> {
        let invalid = |text: &str| Err(ToolError::Invalid(text.to_owned()));
        if self.title.trim().is_empty() || self.start.trim().is_empty() {
            return invalid("a new event needs `title` and `start`; give `id` to change an event");
        }
        if self.scope.is_some() {
            return invalid("`scope` goes with `id`: a new event is whole");
        }
        let change = self.change(cx, calendar, &Event::default(), None).await?;
        if cx.dry_run {
            let item = Item::new("new")
                .field("calendar", calendar)
                .field("dry_run", true)
                .field("changes", change.shown())
                .field("mails", self.notify().word());
            return Ok(Output::one(item));
        }
        let created = insert(cx, calendar, &change.body, self.notify()).await?;
        Ok(done(cx, calendar, &created, "created", &change))
    }

    async fn update(&self, cx: &Cx, calendar: &str) -> Result<Output, ToolError> {
        let mut found = event(cx, calendar, self.id.trim()).await?;
        let is_occurrence = !found.recurring_event_id.is_empty();
        let is_series = !found.recurrence.is_empty();
        let scope = self.scope.unwrap_or(if is_occurrence {
            Scope::This
        } else {
            Scope::All
        });
        if is_series && scope != Scope::All {
            return Err(ToolError::Invalid(
                "`id` is a whole series: take the id of one occurrence from google_list_events for `scope` this or following".to_owned(),
            ));
        }
        let master = if is_occurrence && scope != Scope::This {
            // What moves is the clock of the zone that the series is in, which need not be the calendar's.
            let zone = match self.zone()? {
                "" => found.start.time_zone.clone(),
                given => {
                    found = event_in(cx, calendar, self.id.trim(), given).await?;
                    given.to_owned()
                }
            };
            Some(event_in(cx, calendar, &found.recurring_event_id, &zone).await?)
        } else {
            None
        };
        if let (Scope::Following, Some(master)) = (scope, &master) {
            let past = series::past(cx, calendar, master, &found).await?;
            // All that follow the first one are all.
            if past > 0 {
                let change = self.change(cx, calendar, &found, None).await?;
                let notify = self.notify();
                return series::split(cx, calendar, master, &found, past, change, notify).await;
            }
        }
        let target = master.as_ref().unwrap_or(&found);
        let change = self
            .change(cx, calendar, target, master.is_some().then_some(&found))
            .await?;
        let item = rows::event(cx, calendar, target);
        if change.body.is_empty() {
            return Ok(Output::one(item.field("done", "unchanged")));
        }
        if cx.dry_run {
            let item = item
                .field("dry_run", true)
                .field("changes", change.shown())
                .field("mails", self.notify().word());
            return Ok(Output::one(item));
        }
        let changed = patch(cx, calendar, target, &change.body, self.notify()).await?;
        Ok(done(cx, calendar, &changed, "updated", &change))
    }

    /// What is to be different. `occurrence` is what the times were given for, when the whole series is changed.
    async fn change(
        &self,
        cx: &Cx,
        calendar: &str,
        before: &Event,
        occurrence: Option<&Event>,
    ) -> Result<Change, ToolError> {
        let mut change = Change {
            body: Map::new(),
            pairs: Vec::new(),
        };
        let (place, meet) = self.place();
        for (field, name, given, was) in [
            ("summary", "title", self.title.as_str(), &before.summary),
            ("location", "place", place, &before.location),
        ] {
            if !given.trim().is_empty() {
                change.set(
                    field,
                    json!(given.trim()),
                    name,
                    text(was),
                    json!(given.trim()),
                );
            }
        }
        if !self.notes.trim().is_empty() {
            let html = html_of_markdown(&self.notes);
            let was = text(&rows::description(before));
            let is = json!(self.notes.trim());
            change.set("description", json!(html), "description", was, is);
        }
        if let Some((start, end)) = self.times(cx, calendar, before, occurrence).await? {
            let (was, is) = (text(before.start.text()), text(start.text()));
            change.set("start", written(&start, &before.start), "start", was, is);
            let (was, is) = (text(&before.end.last()), text(&end.last()));
            change.set("end", written(&end, &before.end), "end", was, is);
            // Calendar wants both of the same kind, so that both go when one does.
            if change.body.contains_key("start") || change.body.contains_key("end") {
                for (field, when, was) in
                    [("start", &start, &before.start), ("end", &end, &before.end)]
                {
                    change.body.insert(field.to_owned(), written(when, was));
                }
            }
        }
        if let Some(guests) = self.merged(before)? {
            let was = json!(addresses(&before.attendees));
            let is = json!(addresses(&guests));
            change.set("attendees", json!(guests), "guests", was, is);
        }
        if !self.rrule.trim().is_empty() {
            let lines = rules(&self.rrule)?;
            let was = json!(before.recurrence);
            change.set("recurrence", json!(lines), "recurrence", was, json!(lines));
        }
        match (meet, before.hangout_link.is_empty()) {
            (Some(true), true) => {
                let new = conference(cx);
                change.set(
                    "conferenceData",
                    new,
                    "meet",
                    Value::Null,
                    json!("a new link"),
                );
            }
            (Some(false), false) => {
                let was = json!(before.hangout_link);
                change.set("conferenceData", Value::Null, "meet", was, Value::Null);
            }
            _same => {}
        }
        Ok(change)
    }

    /// When it begins and ends, if that was given.
    async fn times(
        &self,
        cx: &Cx,
        calendar: &str,
        before: &Event,
        occurrence: Option<&Event>,
    ) -> Result<Option<(When, When)>, ToolError> {
        if self.start.trim().is_empty() && self.end.trim().is_empty() {
            return Ok(None);
        }
        let own = occurrence.unwrap_or(before);
        let (was, until) = (Time::of(&own.start), Time::of(&own.end));
        let (start_zone, given_start) = zoned("start", &self.start, was)?;
        let start = match (self.start.trim(), was) {
            ("", Some(was)) => was,
            _given => given_start,
        };
        let (end_zone, end) = match (self.end.trim(), was, until) {
            ("", Some(was), Some(until)) if was.is_day() == start.is_day() => {
                ("", start.later(until.since(was).unwrap_or(Duration::HOUR)))
            }
            ("", ..) if start.is_day() => ("", start.later(Duration::DAY)),
            ("", ..) => ("", start.later(Duration::HOUR)),
            // The last day is part of it.
            _given => match zoned("end", &self.end, until)? {
                (_, last @ Time::Day(_)) => ("", last.later(Duration::DAY)),
                timed => timed,
            },
        };
        if start.is_day() != end.is_day() {
            return Err(ToolError::Invalid(
                "`start` and `end` must both be dates or both be times".to_owned(),
            ));
        }
        // Clocks of two zones are for Google to compare.
        let comparable = end_zone.is_empty() || end_zone == start_zone;
        let length = end.since(start).filter(|_| comparable);
        if length.is_some_and(|length| length <= Duration::ZERO) {
            return Err(ToolError::Invalid(
                "`end` must come after `start`".to_owned(),
            ));
        }
        let repeats = !self.rrule.trim().is_empty() || !before.recurrence.is_empty();
        let is_series = !before.recurrence.is_empty() || !before.recurring_event_id.is_empty();
        let is_local = |time: Time| matches!(time, Time::Local(_));
        let needs_zone = is_local(start) || (is_local(end) && end_zone.is_empty());
        let mut zone = match start_zone {
            // What was shown of a single event is the clock of the calendar's zone; a series keeps the clock of its own.
            "" if needs_zone && !is_series => String::new(),
            "" => before.start.time_zone.clone(),
            given => given.to_owned(),
        };
        if zone.is_empty() && !start.is_day() && (needs_zone || repeats) {
            zone = calendar_zone(cx, calendar).await?;
        }
        let end_zone = match end_zone {
            "" => zone.as_str(),
            given => given,
        };
        if (repeats || !before.recurring_event_id.is_empty()) && end_zone != zone {
            return Err(ToolError::Invalid(
                "`end` of a series must be in the zone of its `start`".to_owned(),
            ));
        }
        let Some(occurrence) = occurrence else {
            return Ok(Some((start.when(&zone), end.when(end_zone))));
        };
        // The series moves as much as this occurrence does.
        let moved = |to: Time, from: &When, base: &When| {
            let by = to.since(Time::of(from)?)?;
            Some(Time::of(base)?.as_local().later(by).when(&zone))
        };
        let both = moved(start, &occurrence.start, &before.start).zip(moved(
            end,
            &occurrence.end,
            &before.end,
        ));
        both.map(Some).ok_or_else(|| {
            ToolError::Invalid(
                "a whole series cannot turn from days into times or back; make a new one"
                    .to_owned(),
            )
        })
    }

    /// The guests with those to add and without those to remove.
    fn merged(&self, before: &Event) -> Result<Option<Vec<Value>>, ToolError> {
        if self.guests.trim().is_empty() {
            return Ok(None);
        }
        let mut guests = before.attendees.clone();
        for given in self.guests.split(',') {
            let given = given.trim();
            if given.is_empty() {
                continue;
            }
            let is = |own: &Value, email: &str| {
                own["email"]
                    .as_str()
                    .is_some_and(|one| one.eq_ignore_ascii_case(email))
            };
            if let Some(gone) = given.strip_prefix('-') {
                guests.retain(|own| !is(own, gone.trim()));
                continue;
            }
            let address: Address = given.parse().map_err(|_| {
                ToolError::Invalid(format!(
                    "`guests`: `{}` is not a mail address",
                    crate::kit::text::clip(&crate::kit::text::printable(given), 80)
                ))
            })?;
            if !guests.iter().any(|own| is(own, &address.email)) {
                let mut guest = json!({ "email": address.email });
                if let Some(name) = address.name {
                    guest["displayName"] = json!(name);
                }
                guests.push(guest);
            }
        }
        if guests.len() > GUESTS {
            return Err(ToolError::Invalid(format!(
                "`guests`: an event takes at most {GUESTS}; invite a group's address instead"
            )));
        }
        Ok(Some(guests))
    }
}

/// Text, or nothing when it is empty.
fn text(text: &str) -> Value {
    if text.is_empty() {
        Value::Null
    } else {
        json!(text)
    }
}

fn addresses(attendees: &[Value]) -> Vec<&str> {
    attendees
        .iter()
        .filter_map(|own| own["email"].as_str())
        .collect()
}

/// Rules and days, each as a line of RFC 5545.
fn rules(given: &str) -> Result<Vec<String>, ToolError> {
    given
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .map(|line| {
            let upper = line.to_ascii_uppercase();
            if upper.starts_with("FREQ=") {
                return Ok(format!("RRULE:{line}"));
            }
            let known = ["RRULE:", "RDATE", "EXDATE", "EXRULE:"];
            if known.iter().any(|word| upper.starts_with(word)) {
                return Ok(line.to_owned());
            }
            Err(ToolError::Invalid(
                "`rrule` takes lines such as RRULE:FREQ=WEEKLY;BYDAY=MO;COUNT=10".to_owned(),
            ))
        })
        .collect()
}

/// Asks Google for a Meet link. The word is the same for the same call, so that a repetition makes no second one.
pub(super) fn conference(cx: &Cx) -> Value {
    let word = cx.idempotency_key.clone();
    let word = word.unwrap_or_else(|| format!("meet-{}", cx.now.micros()));
    json!({ "createRequest": {
        "requestId": word, "conferenceSolutionKey": { "type": "hangoutsMeet" },
    } })
}

pub(super) async fn insert(
    cx: &Cx,
    calendar: &str,
    body: &Map<String, Value>,
    notify: Notify,
) -> Result<Event, ToolError> {
    let about_meet = body.contains_key("conferenceData");
    let has_files = body.contains_key("attachments");
    let request = cx.api.post(&below(calendar, &["events"]));
    let request = request
        .query("sendUpdates", notify.word())
        .query_opt("conferenceDataVersion", about_meet.then_some(1))
        .query_opt("supportsAttachments", has_files.then_some(true));
    let created = request.json(body).send().await;
    seen(cx, &format!("calendar {calendar}"), created)
}

/// Changes the event as it was read; one that changed meanwhile is left alone.
pub(super) async fn patch(
    cx: &Cx,
    calendar: &str,
    event: &Event,
    body: &Map<String, Value>,
    notify: Notify,
) -> Result<Event, ToolError> {
    let about_meet = body.contains_key("conferenceData");
    let mut request = cx.api.patch(&below(calendar, &["events", &event.id]));
    if !event.etag.is_empty() {
        request = request.header(IF_MATCH, &event.etag);
    }
    let request = request
        .query("sendUpdates", notify.word())
        .query_opt("conferenceDataVersion", about_meet.then_some(1));
    let changed = request.json(body).send().await;
    seen(cx, &format!("event {}", event.id), changed)
}

fn done(cx: &Cx, calendar: &str, event: &Event, word: &str, change: &Change) -> Output {
    let item = rows::event(cx, calendar, event)
        .field("done", word)
        .field("changes", change.shown());
    let wants_link = change
        .body
        .get("conferenceData")
        .is_some_and(Value::is_object);
    let output = Output::one(item);
    if wants_link && event.hangout_link.is_empty() {
        return output.warn("the Meet link is still being made; read the event again in a moment");
    }
    output
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test says what went wrong by failing")]
    use super::*;

    #[test]
    fn rules_are_lines() {
        let given = "FREQ=DAILY\nRRULE:FREQ=WEEKLY";
        assert_eq!(
            rules(given).unwrap(),
            ["RRULE:FREQ=DAILY", "RRULE:FREQ=WEEKLY"]
        );
        assert!(rules("every monday").is_err());
    }

    #[test]
    fn places_may_ask_for_a_link() {
        let place = |text: &str| {
            let save = SaveEvent {
                place: text.to_owned(),
                ..SaveEvent::default()
            };
            let (place, meet) = save.place();
            (place.to_owned(), meet)
        };
        assert_eq!(place("Room 2"), ("Room 2".to_owned(), None));
        assert_eq!(place("meet"), (String::new(), Some(true)));
        assert_eq!(place("Room 2 +meet"), ("Room 2".to_owned(), Some(true)));
        assert_eq!(place("-meet"), (String::new(), Some(false)));
    }

    #[test]
    fn guests_are_added_and_removed() {
        let save = SaveEvent {
            guests: "Dana <dana@northwind.example>, -BOB@acme.example".to_owned(),
            ..SaveEvent::default()
        };
        let before = Event {
            attendees: vec![json!({"email": "bob@acme.example", "responseStatus": "accepted"})],
            ..Event::default()
        };
        let merged = save.merged(&before).unwrap().unwrap();
        assert_eq!(
            merged,
            [json!({"email": "dana@northwind.example", "displayName": "Dana"})]
        );
    }
}
