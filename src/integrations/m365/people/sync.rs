//! The caller's contacts, kept in their own records and brought up to date by delta: one request answers what changed, so
//! a search needs no listing.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::model::{CONTACT, Contact};
use crate::integrations::m365::graph::{self, Page};
use crate::kit::args::Cursor;
use crate::kit::error::{ProviderError, ToolError};
use crate::kit::tool::Cx;
use crate::kit::{Record, Timestamp};

/// The collection, and its one document.
const COLLECTION: &str = "contacts";
const KEY: &str = "all";
/// How long what is kept counts as new.
const FRESH_S: i64 = 300;
/// Contacts that are kept at most.
const MOST: usize = 20_000;
/// Pages of one sync at most.
const PAGES: u32 = 400;

/// What is kept.
#[derive(Default, Serialize, Deserialize)]
struct Kept {
    /// Answers what changed since.
    link: String,
    /// When it was last asked, in seconds.
    asked_at: i64,
    /// By id.
    contacts: BTreeMap<String, Contact>,
}

/// A change: a contact, or that one is gone.
#[derive(Deserialize)]
struct Change {
    #[serde(flatten)]
    contact: Contact,
    #[serde(rename = "@removed")]
    removed: Option<serde_json::Value>,
}

/// The contacts as they are now.
pub(super) async fn contacts(cx: &Cx) -> Result<Vec<Contact>, ToolError> {
    let record = cx.records.get(COLLECTION, KEY).await?;
    let kept = record.and_then(|record| serde_json::from_str::<Kept>(&record.body).ok());
    let mut kept = kept.unwrap_or_default();
    let now = cx.now.seconds();
    if kept.link.is_empty() || !(0..FRESH_S).contains(&(now - kept.asked_at)) {
        let first = kept.link.is_empty();
        match bring(cx, &mut kept).await {
            // A link that is too old is answered with 410: everything is read anew.
            Err(ToolError::Provider(ProviderError::NotFound | ProviderError::Invalid { .. }))
                if !first =>
            {
                kept = Kept::default();
                bring(cx, &mut kept).await?;
            }
            done => done?,
        }
        kept.asked_at = now;
        let record = Record {
            key: KEY.to_owned(),
            version: Timestamp::rfc3339(cx.now),
            body: serde_json::to_string(&kept).unwrap_or_default(),
        };
        cx.records.put(COLLECTION, &record).await?;
    }
    Ok(kept.contacts.into_values().collect())
}

/// Forgets when it was last asked, after a change of our own.
pub(in crate::integrations::m365) async fn stale(cx: &Cx) -> Result<(), ToolError> {
    let Some(mut record) = cx.records.get(COLLECTION, KEY).await? else {
        return Ok(());
    };
    if let Ok(mut kept) = serde_json::from_str::<Kept>(&record.body) {
        kept.asked_at = 0;
        record.body = serde_json::to_string(&kept).unwrap_or_default();
        cx.records.put(COLLECTION, &record).await?;
    }
    Ok(())
}

async fn bring(cx: &Cx, kept: &mut Kept) -> Result<(), ToolError> {
    let mut request = if kept.link.is_empty() {
        let path = graph::path(&["me", "contacts", "delta"]);
        cx.api.get(&path).query("$select", CONTACT)
    } else {
        graph::follow(cx, &Cursor(kept.link.clone()))
    };
    for page in 1..=PAGES {
        let request_page = graph::prefer(request, &["odata.maxpagesize=200"]);
        let answer: Page<Change> = request_page.send().await?;
        for change in answer.value {
            if change.removed.is_some() {
                kept.contacts.remove(&change.contact.id);
            } else if kept.contacts.len() < MOST {
                kept.contacts
                    .insert(change.contact.id.clone(), change.contact);
            }
        }
        let count = kept.contacts.len();
        cx.progress.step(page, None, format!("{count} contacts"));
        match (answer.next, answer.delta) {
            (Some(next), _) => request = graph::follow(cx, &Cursor(next)),
            (None, delta) => {
                kept.link = delta.unwrap_or_default();
                return Ok(());
            }
        }
    }
    Ok(())
}
