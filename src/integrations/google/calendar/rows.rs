//! An event as a person sees it.

use serde_json::{Value, json};

use super::model::{Event, Place};
use crate::kit::documents::markdown_of_html;
use crate::kit::output::Item;
use crate::kit::text;
use crate::kit::tool::Cx;
use crate::kit::uri::encode;

/// Characters of a description in a row.
const DESCRIPTION: usize = 500;
/// Guests of a row.
const GUESTS: usize = 30;

/// A calendar.
pub(in super::super) fn place_item(place: &Place) -> Item {
    let item = Item::new(&place.id)
        .field("name", place.name())
        .field("time_zone", place.time_zone.as_str())
        .field("access", place.access_role.as_str());
    if place.primary {
        item.field("primary", true)
    } else {
        item
    }
}

/// The address of its block.
pub(super) fn uri(cx: &Cx, calendar: &str, id: &str) -> String {
    cx.uri(&format!("events/{}/{}", encode(calendar), encode(id)))
}

/// An event of this calendar.
pub(in super::super) fn event(cx: &Cx, calendar: &str, event: &Event) -> Item {
    let mut item = Item::new(&event.id).uri(uri(cx, calendar, &event.id));
    if !event.html_link.is_empty() {
        item = item.url(event.html_link.as_str());
    }
    if calendar != "primary" {
        item.set("calendar", calendar);
    }
    if event.status == "cancelled" {
        let was = event.original_start_time.as_ref();
        return item
            .field("status", "cancelled")
            .field("title", event.summary.as_str())
            .field("series_id", event.recurring_event_id.as_str())
            .field("was_at", was.map(|when| when.text().to_owned()));
    }
    let usual = |word: &str, usual: &str| {
        if word == usual {
            Value::Null
        } else {
            json!(word)
        }
    };
    let mine = event.attendees.iter().find(|own| own["self"] == true);
    item.field("title", text::visible(event.summary.clone()))
        .field("start", event.start.text())
        .field("end", event.end.last())
        .field("time_zone", event.start.time_zone.as_str())
        .field("status", usual(&event.status, "confirmed"))
        .field("type", usual(&event.event_type, "default"))
        .field("shown_as", usual(&event.transparency, "opaque"))
        .field("visibility", usual(&event.visibility, "default"))
        .field("location", text::visible(event.location.clone()))
        .field("organizer", event.organizer.email.as_str())
        .field("my_response", mine.map(|own| own["responseStatus"].clone()))
        .field("guests", guests(event))
        .field("meet", event.hangout_link.as_str())
        .field("series_id", event.recurring_event_id.as_str())
        .field("recurrence", event.recurrence.clone())
        .field("description", text::clip(&description(event), DESCRIPTION))
        .field("etag", event.etag.as_str())
}

/// Everyone invited and what they said.
pub(super) fn guests(event: &Event) -> Vec<String> {
    let said = |own: &Value| {
        let email = own["email"].as_str().unwrap_or_default();
        let optional = if own["optional"] == true {
            ", optional"
        } else {
            ""
        };
        match own["responseStatus"].as_str() {
            None | Some("needsAction") => format!("{email} (no answer{optional})"),
            Some(answer) => format!("{email} ({answer}{optional})"),
        }
    };
    let mut guests: Vec<String> = event.attendees.iter().take(GUESTS).map(said).collect();
    if event.attendees.len() > GUESTS {
        guests.push(format!("… and {} more", event.attendees.len() - GUESTS));
    }
    guests
}

/// Descriptions are HTML as soon as somebody wrote them in a browser.
pub(super) fn description(event: &Event) -> String {
    let written = &event.description;
    let is_html = written.contains("</") || written.contains("<br") || written.contains("&nbsp;");
    let text = if is_html {
        markdown_of_html(written)
    } else {
        written.trim().to_owned()
    };
    text::visible(text)
}
