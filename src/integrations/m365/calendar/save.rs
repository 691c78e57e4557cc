//! Creating and changing events.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::model::{Attendee, Event, names};
use super::{WHOLE, WRITE, at, in_zone, item, recurrence, seen};
use crate::integrations::m365::graph;
use crate::integrations::m365::model::{Body, recipient};
use crate::integrations::m365::times::{When, Zoned, zone};
use crate::kit::documents::html_of_markdown;
use crate::kit::error::ToolError;
use crate::kit::mail::Address;
use crate::kit::output::{Item, Output};
use crate::kit::text;
use crate::kit::tool::{AuditArgs, Cx, Effect, Needs, Tool};
use crate::kit::zone::Zone;

/// What the block that Teams writes into a meeting's text begins with.
const LINE: &str = "________________";

/// Create or change an event; attendees are told.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SaveEvent {
    /// To change one.
    #[serde(default)]
    id: String,
    #[serde(default)]
    subject: String,
    /// Date (all day) or time.
    #[serde(default)]
    start: String,
    /// As `start`.
    #[serde(default)]
    end: String,
    /// Default mine.
    #[serde(default)]
    tz: String,
    /// Addresses, replaces all.
    #[serde(default)]
    attendees: Option<Vec<String>>,
    /// Addresses.
    #[serde(default)]
    optional: Vec<String>,
    /// Place.
    #[serde(default)]
    location: String,
    /// Teams link.
    #[serde(default)]
    online: Option<bool>,
    /// RFC 5545 rule.
    #[serde(default)]
    recurrence: String,
    /// Markdown.
    #[serde(default)]
    body_md: String,
    /// Id.
    #[serde(default)]
    calendar: String,
}

impl Tool for SaveEvent {
    const NAME: &'static str = "m365_save_event";
    const TITLE: &'static str = "Save event";
    const EFFECT: Effect = Effect::Write { idempotent: false };
    const SCOPES: Needs = WRITE;
    const AUDIT: AuditArgs = AuditArgs {
        plain: &["id", "start", "end", "tz", "recurrence", "calendar"],
        dropped: &["body_md"],
    };
    const OUTWARD: bool = true;

    async fn call(self, cx: &Cx) -> Result<Output, ToolError> {
        let zone = zone(cx, &self.tz)?;
        if self.id.is_empty() {
            self.create(cx, &zone).await
        } else {
            self.update(cx, &zone).await
        }
    }
}

impl SaveEvent {
    /// Start and end, when both are given or none.
    fn times(&self, cx: &Cx, zone: &Zone) -> Result<Option<(When, When)>, ToolError> {
        if self.start.is_empty() && self.end.is_empty() {
            return Ok(None);
        }
        let start = When::parse("start", &self.start, cx.now, zone)?;
        let end = match (self.end.as_str(), start) {
            ("", When::Day(_)) => start,
            ("", _) => {
                return Err(ToolError::Invalid(
                    "`end` is missing: say when it ends".to_owned(),
                ));
            }
            (end, _) => When::parse("end", end, cx.now, zone)?,
        };
        if matches!(start, When::Day(_)) != matches!(end, When::Day(_)) {
            return Err(ToolError::Invalid(
                "`start` and `end` must both be dates (all day) or both be times".to_owned(),
            ));
        }
        if end.instant(zone, true) <= start.instant(zone, false) {
            return Err(ToolError::Invalid("`end` must be after `start`".to_owned()));
        }
        Ok(Some((start, end)))
    }

    /// What was given, as Graph takes it.
    fn wanted(&self, cx: &Cx, zone: &Zoned) -> Result<Map<String, Value>, ToolError> {
        let mut wanted = Map::new();
        let mut set = |name: &str, value: Value| {
            wanted.insert(name.to_owned(), value);
        };
        if !self.subject.is_empty() {
            set("subject", json!(self.subject));
        }
        if let Some((mut start, mut end)) = self.times(cx, &zone.zone)? {
            let repeats = !self.recurrence.is_empty();
            if repeats {
                // The days and hours of a rule are those of a clock.
                (start, end) = (start.by_clock(&zone.zone), end.by_clock(&zone.zone));
            }
            set("start", at(start.graph(zone, false)));
            set("end", at(end.graph(zone, true)));
            let all_day = matches!(start, When::Day(_));
            if all_day || !self.id.is_empty() {
                set("isAllDay", json!(all_day));
            }
            if repeats {
                let day = match start {
                    When::Day(day) => day,
                    start => zone.clock(start, false).date(),
                };
                let rule = recurrence::of_rule(&self.recurrence, day, &zone.sent)?;
                set("recurrence", rule);
            }
        } else if !self.recurrence.is_empty() {
            return Err(ToolError::Invalid(
                "`start` and `end` are needed with `recurrence`".to_owned(),
            ));
        }
        if self.attendees.is_some() || !self.optional.is_empty() {
            let kinds = [
                ("required", self.attendees.as_deref().unwrap_or_default()),
                ("optional", &self.optional),
            ];
            let mut all = Vec::new();
            for (kind, list) in kinds {
                for text in list {
                    let mut one = recipient(&text.parse::<Address>()?);
                    one["type"] = json!(kind);
                    all.push(one);
                }
            }
            set("attendees", Value::Array(all));
        }
        if !self.location.is_empty() {
            set("location", json!({ "displayName": self.location }));
        }
        if let Some(online) = self.online {
            set("isOnlineMeeting", json!(online));
            // A personal account has no Teams for work; its own provider is taken when none is named.
            if online && cx.account.detail("kind") != "personal" {
                set("onlineMeetingProvider", json!("teamsForBusiness"));
            }
        }
        if !self.body_md.is_empty() {
            set(
                "body",
                json!({ "contentType": "html", "content": html_of_markdown(&self.body_md) }),
            );
        }
        Ok(wanted)
    }

    async fn create(&self, cx: &Cx, zone: &Zoned) -> Result<Output, ToolError> {
        if self.subject.is_empty() || self.start.is_empty() {
            return Err(ToolError::Invalid(
                "`subject` and `start` are needed for a new event, or `id` to change one"
                    .to_owned(),
            ));
        }
        let mut wanted = self.wanted(cx, zone)?;
        if cx.dry_run {
            return Ok(Output::one(
                Item::new("new")
                    .field("dry_run", true)
                    .field("changes", changes(&Map::new(), &wanted)),
            ));
        }
        if let Some(key) = &cx.idempotency_key {
            // Graph answers a repetition with the event that there is.
            wanted.insert("transactionId".to_owned(), json!(key));
        }
        let path = match self.calendar.as_str() {
            "" => graph::of("", &["events"]),
            calendar => graph::of("", &["calendars", calendar, "events"]),
        };
        let request = cx.api.post(&path).json(&wanted);
        let created: Event = graph::prefer(request, &[&in_zone(&zone.sent)])
            .send()
            .await?;
        let mut row = item(cx, "", &created).field("done", "created");
        row.set("repeats", recurrence::shown(&created.recurrence));
        let mut output = Output::one(row);
        if self.online == Some(true) && created.online_meeting.join_url.is_empty() {
            output = output.warn("the event has no link yet: this calendar offers no online meetings, or the link comes in a moment");
        }
        Ok(output)
    }

    /// Adds what is there and was not meant to go: Graph replaces the list of attendees and the text whole.
    fn keep(&self, before: &Event, wanted: &mut Map<String, Value>) {
        if self.attendees.is_none()
            && let Some(Value::Array(named)) = wanted.get_mut("attendees")
        {
            let mut all = others(before, named);
            all.append(named);
            *named = all;
        }
        let is_online = before.is_online_meeting && self.online != Some(false);
        let text = wanted
            .get_mut("body")
            .and_then(|body| body.get_mut("content"));
        if is_online && let Some(Value::String(html)) = text {
            *html = joinable(html, &before.body);
        }
    }

    async fn update(&self, cx: &Cx, zone: &Zoned) -> Result<Output, ToolError> {
        let mut wanted = self.wanted(cx, zone)?;
        let path = graph::of("", &["events", &self.id]);
        let request = cx.api.get(&path).query("$select", WHOLE);
        let before = graph::prefer(request, &[&in_zone(&zone.sent)]).send::<Event>();
        let before = seen(&self.id, before.await)?;
        if wanted.is_empty() {
            return Err(ToolError::Invalid(
                "nothing to do: give at least one field to change".to_owned(),
            ));
        }
        self.keep(&before, &mut wanted);
        let old = as_wanted(&before);
        if cx.dry_run {
            let row = item(cx, "", &before)
                .field("dry_run", true)
                .field("changes", changes(&old, &wanted));
            return Ok(Output::one(row));
        }
        let request = cx.api.patch(&path).json(&wanted);
        let changed = graph::prefer(request, &[&in_zone(&zone.sent)]).send::<Event>();
        let changed = seen(&self.id, changed.await)?;
        let row = item(cx, "", &changed)
            .field("done", "updated")
            .field("changes", changes(&old, &wanted));
        Ok(Output::one(row))
    }
}

/// Those who are invited and not optional, without those who are named anew.
fn others(before: &Event, named: &[Value]) -> Vec<Value> {
    let is_named = |address: &str| {
        named.iter().any(|one| {
            let named = one["emailAddress"]["address"].as_str();
            named.is_some_and(|named| named.eq_ignore_ascii_case(address))
        })
    };
    let others = before.attendees.iter();
    let others =
        others.filter(|one| one.kind != "optional" && !is_named(&one.email_address.address));
    let row = |one: &Attendee| {
        let kind = if one.kind.is_empty() {
            "required"
        } else {
            &one.kind
        };
        let email = &one.email_address;
        json!({ "emailAddress": { "name": email.name, "address": email.address }, "type": kind })
    };
    others.map(row).collect()
}

/// A new text with what Teams wrote below the old one, from its line of underscores on: a meeting whose text loses that
/// cannot be joined any more. Without such a line all of the old text is kept.
fn joinable(own: &str, old: &Body) -> String {
    if !old.content_type.eq_ignore_ascii_case("html") {
        let line = old.content.find(LINE).unwrap_or(0);
        let kept = old.content.get(line..).unwrap_or_default().trim();
        if kept.is_empty() {
            return own.to_owned();
        }
        let kept = kept.replace('&', "&amp;").replace('<', "&lt;");
        return format!("{own}\n<pre>{kept}</pre>");
    }
    // `to_ascii_lowercase` keeps every offset.
    let lower = old.content.to_ascii_lowercase();
    let block = lower
        .find(LINE)
        .and_then(|line| lower.get(..line)?.rfind("<div"));
    let inside = lower
        .find("<body")
        .and_then(|at| Some(at + lower.get(at..)?.find('>')? + 1));
    let from = block.or(inside).unwrap_or(0);
    let to = lower.rfind("</body").unwrap_or(lower.len());
    match old.content.get(from..to).map(str::trim) {
        None | Some("") => own.to_owned(),
        Some(kept) => format!("{own}\n{kept}"),
    }
}

/// The event's own values under the names that are written.
fn as_wanted(event: &Event) -> Map<String, Value> {
    let time =
        |at: &super::model::At| json!({ "dateTime": at.date_time, "timeZone": at.time_zone });
    let mut old = Map::new();
    for (name, value) in [
        ("subject", json!(event.subject)),
        ("start", time(&event.start)),
        ("end", time(&event.end)),
        ("isAllDay", json!(event.is_all_day)),
        ("attendees", json!(names(&event.attendees))),
        ("location", json!(event.location.display_name)),
        ("isOnlineMeeting", json!(event.is_online_meeting)),
        ("recurrence", json!(recurrence::shown(&event.recurrence))),
        ("body", json!(text::clip(&event.body.markdown(), 600))),
    ] {
        old.insert(name.to_owned(), value);
    }
    old
}

/// Each field that is written, before and after, as people read it.
fn changes(old: &Map<String, Value>, new: &Map<String, Value>) -> Map<String, Value> {
    new.iter()
        .filter(|(name, _)| *name != "onlineMeetingProvider")
        .map(|(name, value)| {
            let after = match name.as_str() {
                "attendees" => value
                    .as_array()
                    .into_iter()
                    .flatten()
                    .map(|one| {
                        let address = one["emailAddress"]["address"].as_str();
                        let kind = one["type"].as_str().unwrap_or_default();
                        format!("{} ({kind})", address.unwrap_or_default())
                    })
                    .collect(),
                "location" => value["displayName"].clone(),
                "recurrence" => json!(recurrence::shown(value)),
                "body" => {
                    let html = value["content"].as_str().unwrap_or_default();
                    json!(text::clip(
                        &crate::kit::documents::markdown_of_html(html),
                        600
                    ))
                }
                _ => value.clone(),
            };
            let before = old.get(name).cloned().unwrap_or(Value::Null);
            (name.clone(), json!({ "before": before, "after": after }))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_meeting_stays_joinable() {
        let html = |content: &str| Body {
            content_type: "html".to_owned(),
            content: content.to_owned(),
        };
        let block = "<div style=\"width:100%\"><span>____________________</span></div><a href=\"https://teams.example\">Join</a>";
        let old = format!("<html><body><div>Agenda</div>{block}</BODY></html>");
        assert_eq!(
            joinable("<p>New</p>", &html(&old)),
            format!("<p>New</p>\n{block}")
        );
        let old = "<html><body dir=\"ltr\"><p>Join</p></body></html>";
        assert_eq!(
            joinable("<p>New</p>", &html(old)),
            "<p>New</p>\n<p>Join</p>"
        );
        assert_eq!(joinable("<p>New</p>", &html("<body></body>")), "<p>New</p>");
        let old = Body {
            content: "Agenda\n________________\n<join>".to_owned(),
            ..Body::default()
        };
        assert_eq!(
            joinable("<p>New</p>", &old),
            "<p>New</p>\n<pre>________________\n&lt;join></pre>"
        );
    }
}
