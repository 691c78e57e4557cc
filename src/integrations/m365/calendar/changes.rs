//! What changed in a calendar since the last look, with Graph's delta links
//! (<https://learn.microsoft.com/graph/api/event-delta>).

use std::collections::{HashMap, HashSet};

use http::Method;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::model::Event;
use super::{in_zone, item};
use crate::integrations::m365::graph::{self, BATCH, Page, Step, WHOLE_BYTES};
use crate::kit::args::Cursor;
use crate::kit::client::Request;
use crate::kit::error::{ProviderError, ToolError};
use crate::kit::output::{Item, Output};
use crate::kit::tool::Cx;
use crate::kit::zone::Zone;
use crate::kit::{Record, Timestamp};

/// Where the links are kept, by calendar.
const COLLECTION: &str = "calendar-changes";
const DAY_S: i64 = 24 * 3_600;
/// The days that are watched before and after today. The first request fixes them for all that follow.
const WINDOW: (i64, i64) = (30, 365);
/// After so many days it is watched anew, so that the window moves on.
const RENEW_DAYS: i64 = 60;
/// Events of one page. No fields can be left out of them, so an answer may be large.
const PAGE: &str = "odata.maxpagesize=50";
/// The same while only the link at the end is wanted.
const FULL_PAGE: &str = "odata.maxpagesize=100";
/// Pages of one call.
const PAGES: u32 = 40;
/// The same while only the link at the end is wanted.
const FULL_PAGES: u32 = 200;

/// How far a calendar is known.
#[derive(Serialize, Deserialize)]
struct Known {
    link: String,
    /// The last look.
    at: String,
    /// When the window was fixed, in seconds.
    begun: i64,
}

/// How far a telling has come that does not fit into one answer. The new link is kept only at its end.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Telling {
    calendar: String,
    /// The page to go on with.
    link: String,
    /// What of it was told.
    told: usize,
    /// The look before.
    since: String,
    begun: i64,
    /// The link of a window that has moved on, and when that was.
    renewed: Option<(String, i64)>,
}

/// An event that was saved, or one that is gone, of which only the id is left.
#[derive(Deserialize)]
struct Change {
    #[serde(flatten)]
    event: Event,
    #[serde(rename = "@removed")]
    removed: Option<Value>,
}

/// What is new, changed and removed in a calendar (the own one when `calendar` is empty) since the last call.
pub(super) async fn changes(cx: &Cx, calendar: &str, zone: &str) -> Result<Output, ToolError> {
    let record = cx.records.get(COLLECTION, key(calendar)).await?;
    let known = record.and_then(|record| serde_json::from_str::<Known>(&record.body).ok());
    let Some(known) = known else {
        watch(cx, calendar).await?;
        let said = "the calendar is watched from now on; the next call tells what changed";
        return Ok(Output::default().warn(said));
    };
    let is_old = cx.now.seconds() - known.begun > RENEW_DAYS * DAY_S;
    let telling = Telling {
        calendar: calendar.to_owned(),
        link: known.link,
        told: 0,
        since: known.at,
        begun: known.begun,
        // Before anything is told, so that what changes meanwhile is told twice rather than never.
        renewed: if is_old {
            Some((begin(cx, calendar).await?, cx.now.seconds()))
        } else {
            None
        },
    };
    tell(cx, telling, zone).await
}

/// Tells what fits into one answer.
pub(super) async fn tell(cx: &Cx, telling: Telling, zone: &str) -> Result<Output, ToolError> {
    let (calendar, since) = (telling.calendar.clone(), telling.since.clone());
    match pages(cx, telling, zone).await {
        // Graph forgets after a while, and answers with 410.
        Err(ToolError::Provider(ProviderError::NotFound | ProviderError::Conflict { .. })) => {
            watch(cx, &calendar).await?;
            Ok(Output::default().warn(format!(
                "Microsoft no longer knows what changed since {since}; the calendar is watched anew from now on"
            )))
        }
        Ok(output) if output.items.is_empty() && output.next_cursor.is_none() => {
            Ok(output.warn(format!("nothing changed since {since}")))
        }
        told => told,
    }
}

/// What changed, from the page on that the telling has come to.
async fn pages(cx: &Cx, mut telling: Telling, zone: &str) -> Result<Output, ToolError> {
    let mut output = Output::default();
    // Well below the cap: what is cut on the way out would be told to nobody.
    let mut room = cx.max_chars / 4 * 3;
    for number in 1..=PAGES {
        let request = graph::follow(cx, &Cursor(telling.link.clone()));
        let page: Page<Change> = graph::prefer(request, &[PAGE, &in_zone(zone)])
            .max_bytes(WHOLE_BYTES)
            .send()
            .await?;
        let left = page.value.iter().skip(telling.told);
        let kept = kept(cx, left, telling.begun).await?;
        let rows = rows(cx, page.value, &kept);
        for (index, row) in rows.into_iter().enumerate().skip(telling.told) {
            let Some(row) = row else { continue };
            let size = serde_json::to_string(&row).map_or(0, |text| text.chars().count());
            if size > room && !output.items.is_empty() {
                telling.told = index;
                return Ok(output.next(Some(Cursor::of(&telling))));
            }
            room = room.saturating_sub(size);
            output.items.push(row);
        }
        telling.told = 0;
        cx.progress.step(number, None, "changes");
        match (page.next, page.delta) {
            (Some(next), _) => telling.link = next,
            (None, Some(delta)) => {
                let (link, begun) = telling.renewed.unwrap_or((delta, telling.begun));
                keep(cx, &telling.calendar, link, begun).await?;
                return Ok(output);
            }
            (None, None) => return Err(no_link()),
        }
    }
    Ok(output.next(Some(Cursor::of(&telling))))
}

/// Of the removed ones, those that are still there outside of the watched days: moved away, or never within. What is
/// found within them lies elsewhere, in another calendar or among what was deleted.
async fn kept(
    cx: &Cx,
    changes: impl Iterator<Item = &Change>,
    begun: i64,
) -> Result<HashSet<String>, ToolError> {
    let watched = (begun - WINDOW.0 * DAY_S)..(begun + WINDOW.1 * DAY_S);
    let removed: Vec<&str> = changes
        .filter(|change| change.removed.is_some())
        .map(|change| change.event.id.as_str())
        .collect();
    let mut kept = HashSet::new();
    for ids in removed.chunks(BATCH) {
        let mut steps = Vec::with_capacity(ids.len());
        for id in ids {
            let step = Step::new(Method::GET, &["me", "events", id])?;
            steps.push(step.query("$select=id,subject,start"));
        }
        let answers = graph::batch(cx, steps).await?;
        for (id, answer) in ids.iter().zip(answers) {
            let event: Event = match answer {
                Ok(found) => serde_json::from_value(found).unwrap_or_default(),
                // Deleted, or none that could be read.
                Err(
                    ProviderError::NotFound
                    | ProviderError::Invalid { .. }
                    | ProviderError::Forbidden { .. },
                ) => continue,
                Err(error) => return Err(error.into()),
            };
            // Without a preference times are in UTC.
            let start = event.start.wall().map(|at| Zone::UTC.instant(at).seconds());
            if start.is_some_and(|start| !watched.contains(&start)) {
                kept.insert((*id).to_owned());
            }
        }
    }
    Ok(kept)
}

/// Each change as it is told; `None` for one that is not. A change of a series comes with every occurrence of it: the
/// series is told, and what differs from it.
fn rows(cx: &Cx, changes: Vec<Change>, kept: &HashSet<String>) -> Vec<Option<Item>> {
    let subjects: HashMap<String, String> = changes
        .iter()
        .filter(|change| change.event.kind == "seriesMaster")
        .map(|change| (change.event.id.clone(), change.event.subject.clone()))
        .collect();
    let row = |Change { mut event, removed }: Change| {
        if removed.is_some() {
            let row = || Item::new(&event.id).field("removed", true);
            return (!kept.contains(&event.id)).then(row);
        }
        let series = subjects.get(&event.series_master_id);
        if event.kind == "occurrence" && series.is_some() {
            return None;
        }
        if let (true, Some(subject)) = (event.subject.is_empty(), series) {
            event.subject.clone_from(subject);
        }
        Some(item(cx, "", &event))
    };
    changes.into_iter().map(row).collect()
}

/// Watches a calendar from now on.
async fn watch(cx: &Cx, calendar: &str) -> Result<(), ToolError> {
    let link = begin(cx, calendar).await?;
    keep(cx, calendar, link, cx.now.seconds()).await
}

/// Reads to the end of the calendar once, for nothing but the link that stands there.
async fn begin(cx: &Cx, calendar: &str) -> Result<String, ToolError> {
    let now = cx.now.seconds();
    let day = |days: i64| {
        Timestamp::from_micros((now + days * DAY_S).saturating_mul(1_000_000)).rfc3339()
    };
    let path = match calendar {
        "" => graph::path(&["me", "calendarView", "delta"]),
        calendar => graph::path(&["me", "calendars", calendar, "calendarView", "delta"]),
    };
    let mut request: Request = cx
        .api
        .get(&path)
        .query("startDateTime", day(-WINDOW.0))
        .query("endDateTime", day(WINDOW.1));
    for number in 1..=FULL_PAGES {
        let page: Page<Value> = graph::prefer(request, &[FULL_PAGE])
            .max_bytes(WHOLE_BYTES)
            .send()
            .await?;
        cx.progress.step(number, None, "beginning to watch");
        match (page.next, page.delta) {
            (Some(next), _) => request = graph::follow(cx, &Cursor(next)),
            (None, Some(link)) => return Ok(link),
            (None, None) => return Err(no_link()),
        }
    }
    Err(ToolError::Invalid(
        "the calendar holds too much to be watched; list its events instead".to_owned(),
    ))
}

/// Where a calendar is kept; the own one needs no id.
const fn key(calendar: &str) -> &str {
    if calendar.is_empty() {
        "primary"
    } else {
        calendar
    }
}

fn no_link() -> ToolError {
    ProviderError::Unavailable {
        reason: "gave no link for the calendar's changes".to_owned(),
    }
    .into()
}

async fn keep(cx: &Cx, calendar: &str, link: String, begun: i64) -> Result<(), ToolError> {
    let at = cx.now.rfc3339();
    let known = Known {
        link,
        at: at.clone(),
        begun,
    };
    let record = Record {
        key: key(calendar).to_owned(),
        version: at,
        body: serde_json::to_string(&known).unwrap_or_default(),
    };
    Ok(cx.records.put(COLLECTION, &record).await?)
}
