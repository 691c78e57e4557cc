//! What Graph says of events, only the fields that are read.

use std::fmt::Write as _;

use serde::Deserialize;
use serde_json::Value;
use time::PrimitiveDateTime;

use crate::integrations::m365::model::{Body, EmailAddress, Recipient, or_default};
use crate::integrations::m365::times::{shown, wall};

/// A wall-clock time and its zone.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(in crate::integrations::m365) struct At {
    #[serde(deserialize_with = "or_default")]
    pub(super) date_time: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) time_zone: String,
}

impl At {
    /// As a clock on the wall shows it.
    pub(super) fn wall(&self) -> Option<PrimitiveDateTime> {
        wall(&self.date_time)
    }

    /// The last day of an event of whole days, which ends at the midnight after it.
    pub(super) fn last_day(&self) -> String {
        let before = self.wall().and_then(|at| at.date().previous_day());
        before.map_or_else(|| self.date_time.clone(), |day| day.to_string())
    }

    /// Without seconds; a day when it is about whole days.
    pub(super) fn shown(&self, day: bool) -> String {
        match self.wall() {
            Some(at) if day => at.date().to_string(),
            Some(at) => shown(at),
            None => self.date_time.clone(),
        }
    }
}

/// Where.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(in crate::integrations::m365) struct Location {
    #[serde(deserialize_with = "or_default")]
    pub(super) display_name: String,
}

/// What somebody answered.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::integrations::m365) struct Response {
    #[serde(deserialize_with = "or_default")]
    pub(super) response: String,
}

/// Somebody who is invited.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(in crate::integrations::m365) struct Attendee {
    #[serde(deserialize_with = "or_default")]
    pub(super) email_address: EmailAddress,
    #[serde(deserialize_with = "or_default")]
    pub(super) status: Response,
    #[serde(rename = "type", deserialize_with = "or_default")]
    pub(super) kind: String,
}

/// Who is invited, each with what they answered.
pub(super) fn names(attendees: &[Attendee]) -> Vec<String> {
    let row = |attendee: &Attendee| {
        let mut text = attendee.email_address.to_string();
        let mut facts = Vec::new();
        if let Some(word) = word(&attendee.status.response) {
            facts.push(word);
        }
        match attendee.kind.as_str() {
            "optional" => facts.push("optional"),
            "resource" => facts.push("room"),
            _ => {}
        }
        if !facts.is_empty() {
            let _ = write!(text, " ({})", facts.join(", "));
        }
        text
    };
    attendees.iter().map(row).collect()
}

fn word(response: &str) -> Option<&'static str> {
    match response {
        "accepted" => Some("accepted"),
        "tentativelyAccepted" => Some("tentative"),
        "declined" => Some("declined"),
        "notResponded" => Some("not answered"),
        _ => None,
    }
}

/// How to take part from afar.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(in crate::integrations::m365) struct Online {
    #[serde(deserialize_with = "or_default")]
    pub(super) join_url: String,
}

/// An event.
#[expect(clippy::struct_excessive_bools, reason = "as Graph has it")]
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(in crate::integrations::m365) struct Event {
    pub(in crate::integrations::m365) id: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) change_key: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) subject: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) start: At,
    #[serde(deserialize_with = "or_default")]
    pub(super) end: At,
    #[serde(deserialize_with = "or_default")]
    pub(super) is_all_day: bool,
    #[serde(deserialize_with = "or_default")]
    pub(super) is_cancelled: bool,
    #[serde(deserialize_with = "or_default")]
    pub(in crate::integrations::m365) is_organizer: bool,
    #[serde(deserialize_with = "or_default")]
    pub(super) is_online_meeting: bool,
    #[serde(deserialize_with = "or_default")]
    pub(super) location: Location,
    #[serde(deserialize_with = "or_default")]
    pub(super) organizer: Recipient,
    #[serde(deserialize_with = "or_default")]
    pub(in crate::integrations::m365) attendees: Vec<Attendee>,
    #[serde(deserialize_with = "or_default")]
    pub(super) response_status: Response,
    #[serde(deserialize_with = "or_default")]
    pub(super) show_as: String,
    #[serde(rename = "type", deserialize_with = "or_default")]
    pub(super) kind: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) series_master_id: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) online_meeting: Online,
    #[serde(deserialize_with = "or_default")]
    pub(super) body_preview: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) body: Body,
    #[serde(deserialize_with = "or_default")]
    pub(super) recurrence: Value,
    #[serde(deserialize_with = "or_default")]
    pub(super) web_link: String,
}

impl Event {
    /// The subject, or words that say there is none.
    pub(in crate::integrations::m365) fn title(&self) -> &str {
        if self.subject.trim().is_empty() {
            "(no subject)"
        } else {
            &self.subject
        }
    }

    /// When it ends, as people say it.
    pub(super) fn shown_end(&self) -> String {
        if self.is_all_day {
            self.end.last_day()
        } else {
            self.end.shown(false)
        }
    }

    /// What the calendar's owner answered.
    pub(super) fn response(&self) -> &'static str {
        word(&self.response_status.response).unwrap_or_default()
    }
}
