//! What changed in a calendar since the last look, with Google's sync tokens.

use serde::{Deserialize, Serialize};

use super::super::asks::{DAY_S, utc};
use super::model::{Event, Events};
use super::{below, rows};
use crate::kit::Record;
use crate::kit::args::Cursor;
use crate::kit::error::{ProviderError, ToolError};
use crate::kit::output::{Item, Output};
use crate::kit::text;
use crate::kit::tool::Cx;

/// Where the tokens are kept, by calendar.
const COLLECTION: &str = "calendar-sync";
/// How far back events are watched, in days.
const BACK_DAYS: i64 = 30;
/// Events of one page.
const PAGE: u32 = 250;
/// The same while only the token at the end is wanted; Google's largest page.
const FULL_PAGE: u32 = 2_500;
/// Pages of one calendar in one call.
const PAGES: u32 = 20;

/// How far a calendar is known.
#[derive(Serialize, Deserialize)]
struct Known {
    token: String,
    /// The last look.
    at: String,
}

/// A calendar whose changes are told.
#[derive(Debug, Serialize, Deserialize)]
struct Watched {
    calendar: String,
    /// The token that the telling begins with, and when it was kept.
    token: String,
    at: String,
    /// The token to keep when all is told: that of the first look, so that what changes meanwhile is told next time.
    next: Option<String>,
}

/// How far a telling has come that does not fit into one answer. New tokens are kept only at its end.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Telling {
    /// Calendars that are not told wholly yet.
    open: Vec<Watched>,
    /// Those that are, with the tokens to keep.
    done: Vec<(String, String)>,
    /// The last event told of the first open calendar. Events are told in the order of their ids, because one that
    /// changes meanwhile changes its place in Google's list.
    told: String,
}

/// What is new, changed and cancelled in these calendars since the last call.
pub(super) async fn changes(
    cx: &Cx,
    calendars: &[String],
    zone: &str,
) -> Result<Output, ToolError> {
    let mut output = Output::default();
    let mut telling = Telling::default();
    for calendar in calendars {
        let record = cx.records.get(COLLECTION, calendar).await?;
        let known = record.and_then(|record| serde_json::from_str::<Known>(&record.body).ok());
        if let Some(known) = known {
            telling.open.push(Watched {
                calendar: calendar.clone(),
                token: known.token,
                at: known.at,
                next: None,
            });
        } else {
            watch(cx, calendar).await?;
            output.warnings.push(format!(
                "{} is watched from now on; the next call tells what changed",
                shown(calendar)
            ));
        }
    }
    tell(cx, telling, zone, output).await
}

/// Tells what fits into one answer.
pub(super) async fn tell(
    cx: &Cx,
    telling: Telling,
    zone: &str,
    mut output: Output,
) -> Result<Output, ToolError> {
    let Telling {
        open,
        mut done,
        mut told,
    } = telling;
    let total = u32::try_from(open.len()).ok();
    // Well below the cap: what is cut on the way out would be told to nobody.
    let mut room = cx.max_chars / 4 * 3;
    let mut rest = Telling::default();
    for (number, mut watched) in (1..).zip(open) {
        let after = std::mem::take(&mut told);
        // Behind a calendar that did not fit, one is read only for its token.
        let is_full = !rest.open.is_empty();
        if is_full && watched.next.is_some() {
            rest.open.push(watched);
            continue;
        }
        let Some((mut events, next)) = look(cx, &watched, zone, &mut output).await? else {
            continue;
        };
        cx.progress.step(number, total, watched.calendar.as_str());
        events.retain(|event| event.id > after);
        let fitting = if is_full {
            0
        } else {
            put(cx, &watched.calendar, &events, &mut room, &mut output.items)
        };
        if fitting == events.len() {
            done.push((watched.calendar, next));
            continue;
        }
        if !is_full {
            let last = fitting.checked_sub(1);
            rest.told = last.map_or(after, |last| events[last].id.clone());
        }
        watched.next = Some(next);
        rest.open.push(watched);
    }
    if rest.open.is_empty() {
        for (calendar, token) in done {
            keep(cx, &calendar, token).await?;
        }
        return Ok(output);
    }
    rest.done = done;
    Ok(output.next(Some(Cursor::of(&rest))))
}

/// Adds the events for which there is room, and one at least; answers how many.
fn put(
    cx: &Cx,
    calendar: &str,
    events: &[Event],
    room: &mut usize,
    items: &mut Vec<Item>,
) -> usize {
    for (index, event) in events.iter().enumerate() {
        let item = rows::event(cx, calendar, event);
        let size = serde_json::to_string(&item).map_or(0, |text| text.chars().count());
        if size > *room && !items.is_empty() {
            return index;
        }
        *room = room.saturating_sub(size);
        items.push(item);
    }
    events.len()
}

/// What changed in a calendar by id, and the token to keep when it is told; `None` when it has to be watched anew.
async fn look(
    cx: &Cx,
    watched: &Watched,
    zone: &str,
    output: &mut Output,
) -> Result<Option<(Vec<Event>, String)>, ToolError> {
    let Watched {
        calendar,
        token,
        at,
        next,
    } = watched;
    let name = shown(calendar);
    let (mut events, end) = match since(cx, calendar, zone, token).await {
        Ok(found) => found,
        // The token is too old, or somebody changed who may see the calendar.
        Err(ProviderError::NotFound | ProviderError::Conflict { .. }) => {
            watch(cx, calendar).await?;
            output.warnings.push(format!(
                "Google no longer knows what changed in {name} since {at}; it is watched anew from now on"
            ));
            return Ok(None);
        }
        Err(other) => return Err(other.into()),
    };
    let next = match (next, end) {
        (Some(next), _) => next.clone(),
        (None, Some(end)) => end,
        (None, None) => {
            output.truncated = true;
            output.warnings.push(format!(
                "{name} changed more than can be told at once; list its events, it is watched anew from now on"
            ));
            begin(cx, calendar).await?
        }
    };
    if events.is_empty() && watched.next.is_none() {
        output
            .warnings
            .push(format!("nothing changed in {name} since {at}"));
    }
    events.sort_by(|a, b| a.id.cmp(&b.id));
    Ok(Some((events, next)))
}

/// A calendar's name for a sentence.
fn shown(calendar: &str) -> String {
    text::clip(&text::printable(calendar), 80)
}

/// Watches a calendar from now on.
async fn watch(cx: &Cx, calendar: &str) -> Result<(), ToolError> {
    let token = begin(cx, calendar).await?;
    keep(cx, calendar, token).await
}

/// Reads to the end of the calendar once, for nothing but the token that stands there.
async fn begin(cx: &Cx, calendar: &str) -> Result<String, ToolError> {
    let mut token: Option<String> = None;
    let from = utc(cx.now.seconds() - BACK_DAYS * DAY_S);
    for _ in 0..PAGES {
        let request = cx.api.get(&below(calendar, &["events"]));
        let request = request
            .query("timeMin", &from)
            .query("maxResults", FULL_PAGE)
            .query("fields", "nextPageToken,nextSyncToken")
            .query_opt("pageToken", token.as_deref());
        let page: Events = request.send().await?;
        if let Some(token) = page.next_sync_token {
            return Ok(token);
        }
        token = page.next_page_token;
        if token.is_none() {
            break;
        }
    }
    Err(ProviderError::Unavailable {
        reason: "gave no token for the calendar's changes".to_owned(),
    }
    .into())
}

async fn keep(cx: &Cx, calendar: &str, token: String) -> Result<(), ToolError> {
    let at = cx.now.rfc3339();
    let known = Known {
        token,
        at: at.clone(),
    };
    let record = Record {
        key: calendar.to_owned(),
        version: at,
        body: serde_json::to_string(&known).unwrap_or_default(),
    };
    Ok(cx.records.put(COLLECTION, &record).await?)
}

async fn since(
    cx: &Cx,
    calendar: &str,
    zone: &str,
    token: &str,
) -> Result<(Vec<Event>, Option<String>), ProviderError> {
    let mut events = Vec::new();
    let mut page_token: Option<String> = None;
    for _ in 0..PAGES {
        let request = cx.api.get(&below(calendar, &["events"]));
        let request = request
            .query("syncToken", token)
            .query("maxResults", PAGE)
            .query_opt("timeZone", Some(zone).filter(|zone| !zone.is_empty()))
            .query_opt("pageToken", page_token.as_deref());
        let page: Events = request.send().await?;
        events.extend(page.items);
        page_token = page.next_page_token;
        if page.next_sync_token.is_some() || page_token.is_none() {
            return Ok((events, page.next_sync_token));
        }
    }
    Ok((events, None))
}
