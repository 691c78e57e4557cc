//! Sent mail whose opening is noticed: which message has which tracking id, and what was noticed.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::super::auth::GMAIL_SEND;
use crate::kit::block::{Content, ContextBlock};
use crate::kit::error::ToolError;
use crate::kit::output::Output;
use crate::kit::text;
use crate::kit::tool::{Cx, Needs};
use crate::kit::tracking::Noticed;
use crate::kit::uri::encode;
use crate::kit::{Record, Timestamp};

/// Tracking ids by message.
const BY_MESSAGE: &str = "mail-tracked";
/// Messages by tracking id.
const BY_TRACKING: &str = "mail-tracked-ids";

/// A message that was sent with tracking.
#[derive(Debug, Serialize, Deserialize)]
struct Sent {
    message: String,
    thread: String,
}

/// Keeps which message the tracking id belongs to.
pub(super) async fn keep(
    cx: &Cx,
    tracking: &str,
    message: &str,
    thread: &str,
) -> Result<(), ToolError> {
    let sent = Sent {
        message: message.to_owned(),
        thread: thread.to_owned(),
    };
    for (collection, key, version) in [
        (BY_MESSAGE, message, tracking),
        (BY_TRACKING, tracking, message),
    ] {
        let record = Record {
            key: key.to_owned(),
            version: version.to_owned(),
            body: serde_json::to_string(&sent).unwrap_or_default(),
        };
        cx.records.put(collection, &record).await?;
    }
    Ok(())
}

/// Adds to each message what was noticed of it.
pub(super) async fn notice(cx: &Cx, output: &mut Output) {
    for at in 0..output.items.len() {
        let id = output.items[at].id.clone();
        let Ok(Some(record)) = cx.records.get(BY_MESSAGE, &id).await else {
            continue;
        };
        match cx.tracking.results(vec![record.version]).await {
            Ok(noticed) => {
                if let Some(noticed) = noticed.first() {
                    output.items[at].set("tracking", shown(noticed));
                }
            }
            Err(_) => output.warnings.push(format!(
                "what was noticed of message {id} cannot be read now"
            )),
        }
    }
}

fn shown(noticed: &Noticed) -> Value {
    let clicks: Vec<Value> = noticed
        .clicks
        .iter()
        .map(|(link, times)| json!({ "link": link, "times": times }))
        .collect();
    let last = noticed.last_opened_at.map(Timestamp::rfc3339);
    json!({ "opens": noticed.opens, "last_opened_at": last, "clicks": clicks })
}

/// The latest messages that were sent with tracking.
#[derive(Deserialize)]
pub(super) struct TrackedBlock {}

impl ContextBlock for TrackedBlock {
    const URI: &'static str = "google://{account}/mail/tracked";
    const NAME: &'static str = "google_tracked_mail";
    const TITLE: &'static str = "Tracked mail";
    const DESCRIPTION: &'static str =
        "The latest messages sent with tracking: opens and followed links.";
    const MIME: &'static str = "text/markdown";
    const SCOPES: Needs = Needs::All(&[GMAIL_SEND]);

    async fn read(self, cx: &Cx) -> Result<Content, ToolError> {
        let noticed = cx.tracking.results(Vec::new()).await?;
        let mut text = "# Tracked mail\n\n".to_owned();
        if noticed.is_empty() {
            text.push_str("No message was sent with tracking yet.\n");
            return Ok(Content::text(text));
        }
        text.push_str("Mail programs fetch pictures without a reader, and hide readers: opens are a hint.\n\n");
        text.push_str(
            "| Sent | Subject | Opens | Last | Links followed |\n|---|---|---|---|---|\n",
        );
        for one in &noticed {
            let sent = cx.records.get(BY_TRACKING, &one.id).await?;
            let sent = sent.and_then(|record| serde_json::from_str::<Sent>(&record.body).ok());
            let subject = one.subject.replace('|', "\\|");
            let subject = match sent {
                Some(sent) => {
                    let uri = cx.uri(&format!("mail/messages/{}", encode(&sent.message)));
                    format!("[{subject}]({uri})")
                }
                None => subject,
            };
            let clicks: u32 = one.clicks.iter().map(|(_, times)| times).sum();
            let last = one
                .last_opened_at
                .map(Timestamp::rfc3339)
                .unwrap_or_default();
            let _ = writeln!(
                text,
                "| {} | {subject} | {} | {last} | {clicks} |",
                one.sent_at, one.opens
            );
        }
        let short = text::clip(&text, cx.max_chars);
        Ok(Content {
            truncated: short.len() != text.len(),
            ..Content::text(short)
        })
    }
}
