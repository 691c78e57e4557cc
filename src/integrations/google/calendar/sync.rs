//! What changed in a calendar since the last look, with Google's sync tokens.

use serde::{Deserialize, Serialize};

use super::super::asks::{DAY_S, utc};
use super::model::Events;
use super::{below, rows};
use crate::kit::Record;
use crate::kit::error::{ProviderError, ToolError};
use crate::kit::output::Output;
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

/// What is new, changed and cancelled in these calendars since the last call.
pub(super) async fn changes(
    cx: &Cx,
    calendars: &[String],
    zone: &str,
) -> Result<Output, ToolError> {
    let mut output = Output::default();
    let total = u32::try_from(calendars.len()).ok();
    for (done, calendar) in (1..).zip(calendars) {
        one(cx, calendar, zone, &mut output).await?;
        cx.progress.step(done, total, calendar.as_str());
    }
    Ok(output)
}

async fn one(cx: &Cx, calendar: &str, zone: &str, output: &mut Output) -> Result<(), ToolError> {
    let shown = text::clip(&text::printable(calendar), 80);
    let record = cx.records.get(COLLECTION, calendar).await?;
    let known = record.and_then(|record| serde_json::from_str::<Known>(&record.body).ok());
    let Some(known) = known else {
        begin(cx, calendar).await?;
        output.warnings.push(format!(
            "{shown} is watched from now on; the next call tells what changed"
        ));
        return Ok(());
    };
    match since(cx, calendar, zone, &known.token).await {
        Ok((events, token)) => {
            let items = events.iter().flat_map(|page| &page.items);
            let before = output.items.len();
            output
                .items
                .extend(items.map(|event| rows::event(cx, calendar, event)));
            if output.items.len() == before {
                output
                    .warnings
                    .push(format!("nothing changed in {shown} since {}", known.at));
            }
            // Kept only after the last page: a call that breaks off before is told the same again.
            match token {
                Some(token) => keep(cx, calendar, token).await?,
                None => {
                    begin(cx, calendar).await?;
                    output.truncated = true;
                    output.warnings.push(format!(
                        "{shown} changed more than can be told at once; list its events, it is watched anew from now on"
                    ));
                }
            }
            Ok(())
        }
        // The token is too old, or somebody changed who may see the calendar.
        Err(ProviderError::NotFound | ProviderError::Conflict { .. }) => {
            begin(cx, calendar).await?;
            output.warnings.push(format!(
                "Google no longer knows what changed in {shown} since {}; it is watched anew from now on",
                known.at
            ));
            Ok(())
        }
        Err(other) => Err(other.into()),
    }
}

/// Reads to the end of the calendar once, for nothing but the token that stands there.
async fn begin(cx: &Cx, calendar: &str) -> Result<(), ToolError> {
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
            return keep(cx, calendar, token).await;
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
) -> Result<(Vec<Events>, Option<String>), ProviderError> {
    let mut pages = Vec::new();
    let mut page_token: Option<String> = None;
    for _ in 0..PAGES {
        let request = cx.api.get(&below(calendar, &["events"]));
        let request = request
            .query("syncToken", token)
            .query("maxResults", PAGE)
            .query_opt("timeZone", Some(zone).filter(|zone| !zone.is_empty()))
            .query_opt("pageToken", page_token.as_deref());
        let mut page: Events = request.send().await?;
        page_token = page.next_page_token.take();
        let end = page.next_sync_token.take();
        pages.push(page);
        if end.is_some() || page_token.is_none() {
            return Ok((pages, end));
        }
    }
    Ok((pages, None))
}
