//! Toolset "Outlook calendar".

mod availability;
mod blocks;
mod changes;
mod list;
mod model;
mod recurrence;
mod respond;
mod save;

use serde_json::{Value, json};

use crate::kit::block::BlockDef;
use crate::kit::error::{ProviderError, ToolError};
use crate::kit::integration::Toolset;
use crate::kit::output::Item;
use crate::kit::text::clip;
use crate::kit::tool::{Cx, Needs, ToolDef};
use crate::kit::uri::encode;

pub(super) use model::Event;
use model::names;

pub(super) const TOOLSET: Toolset = Toolset {
    id: "calendar",
    title: "Outlook calendar",
    tools: &[
        ToolDef::of::<list::ListEvents>(),
        ToolDef::of::<availability::FindAvailability>(),
        ToolDef::of::<save::SaveEvent>(),
        ToolDef::of::<respond::RespondEvent>(),
    ],
    blocks: &[
        BlockDef::of::<blocks::DayBlock>(),
        BlockDef::of::<blocks::EventBlock>(),
    ],
};

/// What reading a calendar takes.
const READ: Needs = Needs::All(&["Calendars.Read"]);
/// What writing in a calendar takes.
const WRITE: Needs = Needs::All(&["Calendars.ReadWrite"]);

/// What is asked of an event in a list.
const SHORT: &str = "id,subject,start,end,isAllDay,isCancelled,isOrganizer,isOnlineMeeting,location,organizer,attendees,responseStatus,showAs,sensitivity,type,seriesMasterId,onlineMeeting,bodyPreview,webLink,changeKey";
/// The same of a single event.
const WHOLE: &str = "id,subject,start,end,isAllDay,isCancelled,isOrganizer,isOnlineMeeting,location,organizer,attendees,responseStatus,showAs,sensitivity,type,seriesMasterId,onlineMeeting,webLink,changeKey,body,recurrence,categories,hasAttachments";

/// Has Graph answer in this time zone, by the name that is sent ([`Zoned::sent`]).
///
/// [`Zoned::sent`]: super::times::Zoned::sent
fn in_zone(zone: &str) -> String {
    let zone: String = zone.chars().filter(|c| !matches!(c, '"' | '\\')).collect();
    format!("outlook.timezone=\"{zone}\"")
}

/// An event as lists show it.
fn item(cx: &Cx, user: &str, event: &Event) -> Item {
    let mut item = Item::new(&event.id)
        .field("subject", event.title())
        .field("start", event.start.shown(event.is_all_day))
        .field("end", event.shown_end())
        .field("time_zone", event.start.time_zone.as_str())
        .field("location", event.location.display_name.as_str())
        .field("organizer", event.organizer.to_string())
        .field("attendees", names(&event.attendees))
        .field("my_response", event.response())
        .field("join_url", event.online_meeting.join_url.as_str());
    for (name, set) in [
        ("all_day", event.is_all_day),
        ("cancelled", event.is_cancelled),
        ("is_organizer", event.is_organizer),
        (
            "repeats",
            matches!(
                event.kind.as_str(),
                "occurrence" | "exception" | "seriesMaster"
            ),
        ),
    ] {
        if set {
            item.set(name, true);
        }
    }
    item.set("series", event.series_master_id.as_str());
    if !matches!(event.show_as.as_str(), "" | "busy") {
        item.set("show_as", event.show_as.as_str());
    }
    if user.is_empty() {
        item.uri = Some(cx.uri(&format!("events/{}", encode(&event.id))));
    }
    if !event.web_link.is_empty() {
        item.url = Some(event.web_link.clone());
    }
    item
}

/// A missing event in words that help.
fn seen<T>(id: &str, found: Result<T, ProviderError>) -> Result<T, ToolError> {
    found.map_err(|error| match error {
        ProviderError::NotFound => ToolError::NotFound(format!(
            "there is no event `{}` in this calendar; m365_list_events gives the ids",
            clip(id, 60)
        )),
        error => error.into(),
    })
}

/// A time as Graph takes it.
fn at((at, zone): (String, String)) -> Value {
    json!({ "dateTime": at, "timeZone": zone })
}
