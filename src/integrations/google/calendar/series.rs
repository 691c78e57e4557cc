//! Changing an occurrence and all that follow it. Calendar has no call for that: the old series ends before the
//! occurrence, and a new one begins with it.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::super::asks::{changes, seen};
use super::merge::seconds;
use super::model::{Event, When};
use super::save::{Change, Notify, conference, insert, patch};
use super::{below, rows, rule};
use crate::kit::error::ToolError;
use crate::kit::output::{Item, Output};
use crate::kit::tool::Cx;

/// Occurrences of one page; Google's largest.
const PAGE: u32 = 2_500;

#[derive(Default, Deserialize)]
#[serde(default)]
struct Instances {
    items: Vec<Instance>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Instance {
    original_start_time: When,
}

/// How many occurrences come before this one; of a series without a count, whether any does.
pub(super) async fn past(
    cx: &Cx,
    calendar: &str,
    master: &Event,
    occurrence: &Event,
) -> Result<u32, ToolError> {
    let at = occurrence.original_start_time.as_ref();
    let at = at.unwrap_or(&occurrence.start);
    let until = if at.date_time.is_empty() {
        format!("{}T00:00:00Z", at.date)
    } else {
        at.date_time.clone()
    };
    // A day begins at another instant than UTC's: this occurrence itself may be among them.
    let most = if rule::count(&master.recurrence).is_some() {
        PAGE
    } else {
        2
    };
    let request = cx
        .api
        .get(&below(calendar, &["events", &master.id, "instances"]));
    let request = request
        .query("timeMax", until)
        .query("maxResults", most)
        .query("showDeleted", true)
        .query("fields", "items(originalStartTime)");
    let found = seen(cx, "the series", request.send::<Instances>().await)?;
    let is_before = |one: &&Instance| seconds(&one.original_start_time) < seconds(at);
    let before = found.items.iter().filter(is_before).count();
    Ok(u32::try_from(before).unwrap_or(u32::MAX))
}

/// Ends the series before the occurrence and begins a new one with it.
pub(super) async fn split(
    cx: &Cx,
    calendar: &str,
    master: &Event,
    occurrence: &Event,
    past: u32,
    change: Change,
    notify: Notify,
) -> Result<Output, ToolError> {
    let at = occurrence.original_start_time.as_ref();
    let ended = rule::before(&master.recurrence, at.unwrap_or(&occurrence.start));
    let Some(ended) = ended else {
        return Err(ToolError::Invalid(
            "this occurrence does not say when it was meant to be; change it with `scope` this"
                .to_owned(),
        ));
    };
    if change.body.is_empty() {
        return Ok(Output::one(
            rows::event(cx, calendar, occurrence).field("done", "unchanged"),
        ));
    }
    let end = changes([("recurrence", json!(master.recurrence), json!(ended))]);
    if cx.dry_run {
        let old = rows::event(cx, calendar, master)
            .field("dry_run", true)
            .field("changes", end);
        let new = Item::new("new")
            .field("dry_run", true)
            .field("from", occurrence.start.text())
            .field("changes", change.shown())
            .field("mails", notify.word());
        return Ok(Output::of(vec![new, old]));
    }
    let mut body = copied(master, occurrence, past);
    if !change.is_about_meet() {
        // A Meet link belongs to one event; a conference of another provider can be copied.
        let meeting = if master.hangout_link.is_empty() {
            master.conference_data.clone()
        } else {
            Some(conference(cx))
        };
        if let Some(meeting) = meeting {
            body.insert("conferenceData".to_owned(), meeting);
        }
    }
    let shown = change.shown();
    for (field, value) in change.body {
        if value.is_null() {
            body.remove(&field);
        } else {
            body.insert(field, value);
        }
    }
    // The new one first: should the second request fail, nothing is lost and both can be seen.
    let new = insert(cx, calendar, &body, notify).await?;
    let mut end_body = Map::new();
    end_body.insert("recurrence".to_owned(), json!(ended));
    let old = patch(cx, calendar, master, &end_body, notify).await;
    let item = rows::event(cx, calendar, &new)
        .field("done", "a new series begins here")
        .field("changes", shown);
    let mut output = Output::one(item);
    match old {
        Ok(old) => {
            let item = rows::event(cx, calendar, &old)
                .field("done", "the old series ends before it")
                .field("changes", end);
            output.items.push(item);
        }
        Err(error) => {
            output = output.warn(format!(
                "the old series {} goes on beside the new one, because it could not be ended: {error}",
                master.id
            ));
        }
    }
    if !master.hangout_link.is_empty() {
        output = output.warn("the new series has a Meet link of its own");
    }
    Ok(output)
}

/// The series as it would begin at this occurrence. Guests are asked anew.
fn copied(master: &Event, occurrence: &Event, past: u32) -> Map<String, Value> {
    let mut body = Map::new();
    let mut zone = master.start.time_zone.clone();
    if zone.is_empty() {
        zone.clone_from(&occurrence.start.time_zone);
    }
    for (field, when) in [("start", &occurrence.start), ("end", &occurrence.end)] {
        let mut when = when.clone();
        if when.date.is_empty() {
            when.time_zone.clone_from(&zone);
        }
        body.insert(field.to_owned(), json!(when));
    }
    for (field, value) in [
        ("summary", &master.summary),
        ("description", &master.description),
        ("location", &master.location),
        ("colorId", &master.color_id),
        ("transparency", &master.transparency),
        ("visibility", &master.visibility),
    ] {
        if !value.is_empty() {
            body.insert(field.to_owned(), json!(value));
        }
    }
    if let Some(reminders) = &master.reminders {
        body.insert("reminders".to_owned(), reminders.clone());
    }
    for (field, value) in [
        ("guestsCanInviteOthers", master.guests_can_invite_others),
        ("guestsCanModify", master.guests_can_modify),
        (
            "guestsCanSeeOtherGuests",
            master.guests_can_see_other_guests,
        ),
    ] {
        if let Some(value) = value {
            body.insert(field.to_owned(), json!(value));
        }
    }
    let guest = ["email", "displayName", "optional", "resource"];
    let file = ["fileUrl", "title", "mimeType", "iconLink"];
    for (field, list, members) in [
        ("attendees", &master.attendees, guest),
        ("attachments", &master.attachments, file),
    ] {
        if !list.is_empty() {
            let copies: Vec<Value> = list.iter().map(|own| members_of(own, &members)).collect();
            body.insert(field.to_owned(), json!(copies));
        }
    }
    body.insert(
        "recurrence".to_owned(),
        json!(rule::after(&master.recurrence, past)),
    );
    body
}

/// Only these members of it.
fn members_of(own: &Value, members: &[&str]) -> Value {
    let mut copy = Map::new();
    for member in members {
        if let Some(value) = own.get(*member) {
            copy.insert((*member).to_owned(), value.clone());
        }
    }
    Value::Object(copy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_series_keeps_files_and_what_guests_may_do() {
        let master = Event {
            attachments: vec![json!({
                "fileUrl": "https://drive.google.com/open?id=1", "title": "Agenda", "fileId": "1",
            })],
            guests_can_modify: Some(true),
            guests_can_invite_others: Some(false),
            attendees: vec![json!({ "email": "bob@acme.example", "responseStatus": "accepted" })],
            ..Event::default()
        };
        let body = copied(&master, &Event::default(), 0);
        assert_eq!(
            body["attachments"],
            json!([{ "fileUrl": "https://drive.google.com/open?id=1", "title": "Agenda" }])
        );
        assert_eq!(body["guestsCanModify"], true);
        assert_eq!(body["guestsCanInviteOthers"], false);
        assert_eq!(body["attendees"], json!([{ "email": "bob@acme.example" }]));
        assert!(!body.contains_key("guestsCanSeeOtherGuests"));
    }
}
