//! Calendar's JSON, only the fields that are read.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::super::asks::day;

/// A calendar as the person sees it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(in super::super) struct Place {
    pub(in super::super) id: String,
    pub(in super::super) summary: String,
    /// What the person calls it.
    pub(in super::super) summary_override: String,
    pub(in super::super) time_zone: String,
    pub(in super::super) access_role: String,
    pub(in super::super) primary: bool,
    /// Whether it is ticked in the person's own view.
    pub(in super::super) selected: bool,
}

impl Place {
    /// What a person calls it.
    pub(in super::super) fn name(&self) -> &str {
        if self.summary_override.is_empty() {
            &self.summary
        } else {
            &self.summary_override
        }
    }
}

/// All calendars.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Places {
    pub(super) items: Vec<Place>,
    pub(super) next_page_token: Option<String>,
}

/// An event.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(in super::super) struct Event {
    pub(in super::super) id: String,
    pub(in super::super) etag: String,
    pub(in super::super) status: String,
    pub(in super::super) html_link: String,
    pub(in super::super) summary: String,
    /// HTML, or plain text.
    pub(in super::super) description: String,
    pub(in super::super) location: String,
    pub(in super::super) start: When,
    pub(in super::super) end: When,
    pub(in super::super) organizer: Who,
    /// Whole, because a change sends them all back.
    pub(in super::super) attendees: Vec<Value>,
    pub(in super::super) recurrence: Vec<String>,
    pub(in super::super) recurring_event_id: String,
    pub(in super::super) original_start_time: Option<When>,
    pub(in super::super) hangout_link: String,
    pub(in super::super) event_type: String,
    pub(in super::super) transparency: String,
    pub(in super::super) visibility: String,
    pub(in super::super) reminders: Option<Value>,
    pub(in super::super) color_id: String,
    /// Of another provider, or Meet's.
    pub(in super::super) conference_data: Option<Value>,
    pub(in super::super) attachments: Vec<Value>,
    pub(in super::super) guests_can_invite_others: Option<bool>,
    pub(in super::super) guests_can_modify: Option<bool>,
    pub(in super::super) guests_can_see_other_guests: Option<bool>,
}

/// The day or the instant at which an event begins or ends.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(in super::super) struct When {
    /// `2026-11-20`; an end is the day after the last one.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(in super::super) date: String,
    /// RFC 3339 with the offset of the zone that was asked for.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(in super::super) date_time: String,
    /// IANA name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(in super::super) time_zone: String,
}

impl When {
    /// As it is written.
    pub(in super::super) fn text(&self) -> &str {
        if self.date_time.is_empty() {
            &self.date
        } else {
            &self.date_time
        }
    }

    /// An end as people say it: of days the last one, not the one after it.
    pub(in super::super) fn last(&self) -> String {
        match day(&self.date) {
            Some(after) if self.date_time.is_empty() => {
                after.previous_day().unwrap_or(after).to_string()
            }
            _timed => self.text().to_owned(),
        }
    }

    /// The day of it, as it is written.
    pub(in super::super) fn day(&self) -> &str {
        self.text().split('T').next().unwrap_or_default()
    }
}

/// Somebody.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(in super::super) struct Who {
    pub(in super::super) email: String,
    pub(in super::super) display_name: String,
    #[serde(rename = "self")]
    pub(in super::super) is_self: bool,
}

/// A page of events.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(in super::super) struct Events {
    /// The calendar's own.
    pub(in super::super) time_zone: String,
    /// When anything in the calendar last changed.
    pub(in super::super) updated: String,
    pub(in super::super) items: Vec<Event>,
    pub(in super::super) next_page_token: Option<String>,
    pub(in super::super) next_sync_token: Option<String>,
}
