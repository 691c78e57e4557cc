//! Sent mail whose opening and links are noticed, where the organization allows that.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::READ;
use crate::integrations::m365::model::Message;
use crate::kit::Record;
use crate::kit::block::{Content, ContextBlock};
use crate::kit::error::ToolError;
use crate::kit::text;
use crate::kit::tool::{Cx, Needs};
use crate::kit::tracking::{Leaving, Marked, Noticed};

/// The collection of what was sent with `track`: the message's id (immutable, the same before and after it is sent), and
/// the name that tracking gave it.
const COLLECTION: &str = "tracked_mail";

#[derive(Serialize, Deserialize)]
struct Kept {
    to: Vec<String>,
}

/// Has a body marked, before it leaves.
pub(super) async fn mark(
    cx: &Cx,
    subject: &str,
    to: Vec<String>,
    html: String,
) -> Result<Marked, ToolError> {
    let subject = subject.to_owned();
    cx.tracking.mark(Leaving { subject, to, html }).await
}

/// Keeps which message has this name.
pub(super) async fn keep(
    cx: &Cx,
    message: &str,
    tracking: &str,
    to: Vec<String>,
) -> Result<(), ToolError> {
    let record = Record {
        key: message.to_owned(),
        version: tracking.to_owned(),
        body: json!(Kept { to }).to_string(),
    };
    Ok(cx.records.put(COLLECTION, &record).await?)
}

/// What was noticed of this message, when it is one that was sent so.
pub(super) async fn of(cx: &Cx, message: &Message) -> Option<Noticed> {
    let record = cx.records.get(COLLECTION, &message.id).await.ok()??;
    let noticed = cx.tracking.results(vec![record.version]).await.ok()?;
    noticed.into_iter().next()
}

/// The latest tracked messages and what was noticed of them.
#[derive(Deserialize)]
pub(super) struct TrackedBlock {}

impl ContextBlock for TrackedBlock {
    const URI: &'static str = "m365://{account}/mail/tracked";
    const NAME: &'static str = "m365_mail_tracked";
    const TITLE: &'static str = "Tracked mail";
    const DESCRIPTION: &'static str = "Opens and clicks of the mail you sent with tracking.";
    const MIME: &'static str = "text/markdown";
    const SCOPES: Needs = READ;

    async fn read(self, cx: &Cx) -> Result<Content, ToolError> {
        let noticed = cx.tracking.results(Vec::new()).await?;
        let version = noticed
            .iter()
            .map(|one| {
                let clicks: u32 = one.clicks.iter().map(|(_, count)| count).sum();
                format!("{}:{}:{clicks}", one.id, one.opens)
            })
            .collect::<Vec<_>>()
            .join(",");
        if cx.held.as_deref() == Some(version.as_str()) {
            return Ok(Content::unchanged());
        }
        let mut text = "# Tracked mail\n\nMail programs fetch pictures without a reader, and hide readers: opens are a hint.\n\n".to_owned();
        if noticed.is_empty() {
            text.push_str("Nothing was sent with tracking yet.\n");
        }
        for one in &noticed {
            let _ = write!(
                text,
                "- **{}**, sent {}: {} opens",
                one.subject,
                one.sent_at.rfc3339(),
                one.opens
            );
            if let Some(last) = one.last_opened_at {
                let _ = write!(text, ", last {}", last.rfc3339());
            }
            for (link, count) in &one.clicks {
                let _ = write!(text, "; {link} followed {count} times");
            }
            text.push('\n');
        }
        let short = text::clip(&text, cx.max_chars);
        Ok(Content {
            truncated: short.len() != text.len(),
            version: Some(version),
            ..Content::text(short)
        })
    }
}
