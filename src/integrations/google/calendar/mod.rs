//! Toolset "Calendar".

mod availability;
mod blocks;
mod events;
mod merge;
pub(super) mod model;
mod respond;
pub(super) mod rows;
mod rule;
mod save;
mod series;
mod slots;
mod sync;
mod times;

use model::{Event, Events, Place, Places};
use time::Date;

use super::asks::seen;
use crate::kit::block::BlockDef;
use crate::kit::error::{ProviderError, ToolError};
use crate::kit::integration::Toolset;
use crate::kit::text;
use crate::kit::tool::{Cx, ToolDef};
use crate::kit::zone::Zone;

pub(super) use rows::place_item;

pub(super) const TOOLSET: Toolset = Toolset {
    id: "calendar",
    title: "Calendar",
    tools: &[
        ToolDef::of::<events::ListEvents>(),
        ToolDef::of::<availability::FindAvailability>(),
        ToolDef::of::<save::SaveEvent>(),
        ToolDef::of::<respond::RespondEvent>(),
    ],
    blocks: &[
        BlockDef::of::<blocks::DayBlock>(),
        BlockDef::of::<blocks::EventBlock>(),
    ],
};

/// The word that Google takes for the person's own calendar.
const PRIMARY: &str = "primary";
/// Calendars of one page; nobody has many more.
const PAGE: u32 = 250;

/// All calendars of the person.
pub(super) async fn list(cx: &Cx) -> Result<Vec<Place>, ProviderError> {
    const PAGES: usize = 4;
    let mut all = Vec::new();
    let mut token: Option<String> = None;
    for _ in 0..PAGES {
        let request = cx
            .api
            .get(&["calendar", "v3", "users", "me", "calendarList"]);
        let request = request.query("maxResults", PAGE);
        let page: Places = request.query_opt("pageToken", token).send().await?;
        all.extend(page.items);
        token = page.next_page_token;
        if token.is_none() {
            break;
        }
    }
    Ok(all)
}

/// A path below a calendar.
fn below<'a>(calendar: &'a str, rest: &[&'a str]) -> Vec<&'a str> {
    let mut path = vec!["calendar", "v3", "calendars", calendar];
    path.extend(rest);
    path
}

/// The ids of the calendars that these words name: ids, names, `primary`, or `all` for those that the person shows.
async fn resolve(cx: &Cx, argument: &str, names: &[String]) -> Result<Vec<String>, ToolError> {
    if names.is_empty() {
        return Ok(vec![PRIMARY.to_owned()]);
    }
    let is_id = |name: &String| name.contains('@') || name == PRIMARY;
    if names.iter().all(is_id) {
        return Ok(names.to_vec());
    }
    let known = list(cx).await?;
    let id = |place: &Place| {
        if place.primary {
            PRIMARY.to_owned()
        } else {
            place.id.clone()
        }
    };
    let mut ids: Vec<String> = Vec::new();
    for name in names {
        if name == "all" {
            ids.extend(
                known
                    .iter()
                    .filter(|own| own.selected || own.primary)
                    .map(id),
            );
        } else if is_id(name) {
            ids.push(name.clone());
        } else {
            let found = known
                .iter()
                .find(|own| own.name().eq_ignore_ascii_case(name));
            let Some(found) = found else {
                let have: Vec<&str> = known.iter().map(Place::name).collect();
                return Err(ToolError::NotFound(format!(
                    "`{argument}`: there is no calendar `{}`; there are {}",
                    text::clip(&text::printable(name), 80),
                    text::clip(&have.join(", "), 400)
                )));
            };
            ids.push(id(found));
        }
    }
    let mut seen = Vec::new();
    ids.retain(|id| {
        let is_new = !seen.contains(id);
        seen.push(id.clone());
        is_new
    });
    Ok(ids)
}

/// The id of one calendar; empty is the person's own.
async fn resolve_one(cx: &Cx, name: &str) -> Result<String, ToolError> {
    let name = match name.trim() {
        "" => PRIMARY,
        given => given,
    };
    if name == "all" {
        return Err(ToolError::Invalid(
            "`calendar` must be one calendar".to_owned(),
        ));
    }
    let ids = resolve(cx, "calendar", &[name.to_owned()]).await?;
    Ok(ids.into_iter().next().unwrap_or_else(|| PRIMARY.to_owned()))
}

/// The present day in this zone, or in that of the person's own calendar when it is empty.
async fn today(cx: &Cx, zone: &str) -> Result<Date, ToolError> {
    let zone = match zone {
        // Other calendars can still be read where the own one cannot.
        "" => own_zone(cx).await?.unwrap_or(Zone::UTC),
        named => Zone::read("time_zone", named)?,
    };
    Ok(zone.day(cx.now))
}

/// The zone of the person's own calendar; `None` where it cannot be seen.
pub(super) async fn own_zone(cx: &Cx) -> Result<Option<Zone>, ToolError> {
    match zone_of(cx, PRIMARY).await {
        Ok(own) => Ok(Zone::named(&own)),
        Err(error) if error.is_partial() => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// One event.
async fn event(cx: &Cx, calendar: &str, id: &str) -> Result<Event, ToolError> {
    event_in(cx, calendar, id, "").await
}

/// One event, with its times as the clock shows them in this zone; empty is the calendar's.
async fn event_in(cx: &Cx, calendar: &str, id: &str, zone: &str) -> Result<Event, ToolError> {
    let request = cx
        .api
        .get(&below(calendar, &["events", id]))
        .query_opt("timeZone", Some(zone).filter(|zone| !zone.is_empty()));
    let event: Event = seen(cx, &format!("event {id}"), request.send().await)?;
    if event.status == "cancelled" {
        return Err(ToolError::NotFound(format!("event {id} is cancelled")));
    }
    Ok(event)
}

/// The calendar's own time zone.
async fn calendar_zone(cx: &Cx, calendar: &str) -> Result<String, ToolError> {
    seen(cx, "the calendar", zone_of(cx, calendar).await)
}

/// The same. Asked of its events, for that needs no further scope.
async fn zone_of(cx: &Cx, calendar: &str) -> Result<String, ProviderError> {
    let request = cx.api.get(&below(calendar, &["events"]));
    let request = request.query("maxResults", 1).query("fields", "timeZone");
    Ok(request.send::<Events>().await?.time_zone)
}
