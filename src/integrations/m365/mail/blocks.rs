//! Context blocks: a message, a conversation.

use std::fmt::Write as _;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::{READ, get, seen};
use crate::integrations::m365::graph::{self, Page};
use crate::integrations::m365::model::{Message, names};
use crate::kit::block::{Content, ContextBlock};
use crate::kit::error::ToolError;
use crate::kit::mail::own_text;
use crate::kit::text;
use crate::kit::tool::{Cx, Needs};

/// Recent messages that a completion looks at.
const RECENT: u32 = 50;
/// Room for the line that says how much was left out, in characters.
const LEFT_OUT: usize = 60;

/// A message with its attachments.
#[derive(Deserialize)]
pub(super) struct MailBlock {
    id: String,
}

impl ContextBlock for MailBlock {
    const URI: &'static str = "m365://{account}/mail/{id}";
    const NAME: &'static str = "m365_mail";
    const TITLE: &'static str = "Message";
    const DESCRIPTION: &'static str = "A message without quoted history, and its attachments.";
    const MIME: &'static str = "text/markdown";
    const SCOPES: Needs = READ;

    async fn read(self, cx: &Cx) -> Result<Content, ToolError> {
        if let Some(held) = &cx.held {
            let path = graph::of("", &["messages", &self.id]);
            let now = cx.api.get(&path).query("$select", "id,changeKey");
            let now: Message = seen("message", &self.id, now.send().await)?;
            if now.change_key == *held {
                return Ok(Content::unchanged());
            }
        }
        let (message, warning) = get::message(cx, "", &self.id).await?;
        let mut text = format!("# {}\n\n", message.title());
        head(&mut text, &message);
        let (body, trimmed) = own_text(&message.subject, &message.body.markdown());
        let _ = write!(text, "\n{body}\n");
        if trimmed {
            text.push_str("\n*Earlier messages are left out.*\n");
        }
        if !message.attachments.is_empty() {
            text.push_str("\n## Attachments\n\n");
            for attachment in &message.attachments {
                let _ = writeln!(text, "- {} ({} bytes)", attachment.name, attachment.size);
            }
        }
        if let Some(warning) = warning {
            let _ = writeln!(text, "\n*{warning}*");
        }
        let short = text::clip(&text, cx.max_chars);
        Ok(Content {
            truncated: short.len() != text.len(),
            version: version(message.change_key),
            url: Some(message.web_link).filter(|url| !url.is_empty()),
            ..Content::text(short)
        })
    }

    async fn complete(
        cx: &Cx,
        _field: &str,
        prefix: &str,
        _chosen: &Map<String, Value>,
    ) -> Result<Vec<String>, ToolError> {
        recent(cx, prefix, |message| message.id).await
    }
}

fn version(key: String) -> Option<String> {
    Some(key).filter(|key| !key.is_empty())
}

fn head(text: &mut String, message: &Message) {
    for (name, value) in [
        ("From", message.from.to_string()),
        ("To", names(&message.to_recipients).join(", ")),
        ("Cc", names(&message.cc_recipients).join(", ")),
        ("Date", message.received_date_time.clone()),
    ] {
        if !value.is_empty() {
            let _ = writeln!(text, "- {name}: {value}");
        }
    }
}

/// A conversation.
#[derive(Deserialize)]
pub(super) struct ThreadBlock {
    conversation_id: String,
}

impl ContextBlock for ThreadBlock {
    const URI: &'static str = "m365://{account}/threads/{conversation_id}";
    const NAME: &'static str = "m365_thread";
    const TITLE: &'static str = "Conversation";
    const DESCRIPTION: &'static str =
        "A conversation by mail, oldest first, each message without what it quotes.";
    const MIME: &'static str = "text/markdown";
    const SCOPES: Needs = READ;

    async fn read(self, cx: &Cx) -> Result<Content, ToolError> {
        if let Some(held) = &cx.held
            && self.version(cx).await?.as_ref() == Some(held)
        {
            return Ok(Content::unchanged());
        }
        let (messages, more) = get::conversation(cx, "", &self.conversation_id).await?;
        let newest = messages.last();
        let (text, cut) = written(&messages, cx.max_chars);
        Ok(Content {
            truncated: more || cut,
            version: Some(keys(&messages)),
            url: newest
                .map(|message| message.web_link.clone())
                .filter(|url| !url.is_empty()),
            ..Content::text(text)
        })
    }

    async fn complete(
        cx: &Cx,
        _field: &str,
        prefix: &str,
        _chosen: &Map<String, Value>,
    ) -> Result<Vec<String>, ToolError> {
        recent(cx, prefix, |message| message.conversation_id).await
    }
}

impl ThreadBlock {
    /// What the newest state of the conversation is called, in one request; `None` when it is too long for one.
    async fn version(&self, cx: &Cx) -> Result<Option<String>, ToolError> {
        let filter = format!("conversationId eq {}", graph::quoted(&self.conversation_id));
        let page: Page<Message> = cx
            .api
            .get(&graph::of("", &["messages"]))
            .query("$filter", filter)
            .query("$select", "id,changeKey")
            .query("$top", 100)
            .send()
            .await?;
        Ok(page.next.is_none().then(|| keys(&page.value)))
    }
}

/// The messages, oldest first, as one text of at most so many characters, and whether something was left out: the oldest,
/// and the end of the newest when that alone is too long.
fn written(messages: &[Message], max_chars: usize) -> (String, bool) {
    let title = messages.last().map_or("", Message::title);
    let mut text = format!("# {title}\n\n{} messages\n", messages.len());
    let mut room = max_chars.saturating_sub(text.chars().count() + LEFT_OUT);
    let mut parts: Vec<String> = Vec::new();
    let mut cut = false;
    for message in messages.iter().rev() {
        let (from, at) = (&message.from, &message.received_date_time);
        let part = format!("\n## {from}, {at}\n\n{}\n", get::said(message));
        let chars = part.chars().count();
        if chars > room {
            cut = true;
            if parts.is_empty() {
                parts.push(text::clip(&part, room));
            }
            break;
        }
        room -= chars;
        parts.push(part);
    }
    let older = messages.len() - parts.len();
    if older > 0 {
        let _ = write!(text, "\n*Older messages left out: {older}.*\n");
    }
    text.extend(parts.into_iter().rev());
    let short = text::clip(&text, max_chars);
    cut |= short.len() != text.len();
    (short, cut)
}

/// One word for the state of all these messages, whatever their order.
fn keys(messages: &[Message]) -> String {
    let mut keys: Vec<&str> = messages
        .iter()
        .map(|message| message.change_key.as_str())
        .collect();
    keys.sort_unstable();
    graph::digest(&keys)
}

/// Recent messages whose subject or sender holds `prefix`.
async fn recent(
    cx: &Cx,
    prefix: &str,
    value: impl Fn(Message) -> String,
) -> Result<Vec<String>, ToolError> {
    let page: Page<Message> = cx
        .api
        .get(&graph::of("", &["messages"]))
        .query("$select", "id,subject,from,conversationId")
        .query("$orderby", "receivedDateTime desc")
        .query("$top", RECENT)
        .send()
        .await?;
    let prefix = prefix.to_lowercase();
    let mut found = Vec::new();
    for message in page.value {
        let words = format!("{} {}", message.subject, message.from).to_lowercase();
        if words.contains(&prefix) || message.id.to_lowercase().starts_with(&prefix) {
            let value = value(message);
            if !value.is_empty() && !found.contains(&value) {
                found.push(value);
            }
        }
    }
    Ok(found)
}
