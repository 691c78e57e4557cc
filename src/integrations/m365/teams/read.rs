//! What was said in a channel, a thread or a chat.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::graph::{self, Page, WHOLE_BYTES};
use super::super::refs::{TalkRef, require_any, require_work};
use super::super::times::{own_zone, past, seconds};
use super::model::{Message, explained};
use super::{CHANNEL_MESSAGES, CHAT_MESSAGES, READ};
use crate::kit::Timestamp;
use crate::kit::args::{Cursor, Limit};
use crate::kit::error::{ProviderError, ToolError};
use crate::kit::output::{Item, Output};
use crate::kit::tool::{AuditArgs, Cx, Effect, Needs, Tool};

/// Most replies shown with their thread.
const REPLIES: usize = 10;

/// Read messages of a channel, one of its threads, or a chat, newest first.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ReadMessages {
    /// Id or link of a channel, thread or chat.
    #[serde(rename = "ref")]
    reference: String,
    /// Message whose replies to read.
    #[serde(default)]
    thread: String,
    /// Date, `7d`.
    #[serde(default)]
    since: String,
    #[serde(default)]
    limit: Limit<20, 50>,
    #[serde(default)]
    cursor: Option<Cursor>,
}

impl Tool for ReadMessages {
    const NAME: &'static str = "m365_read_messages";
    const TITLE: &'static str = "Read messages";
    const EFFECT: Effect = Effect::Read;
    const SCOPES: Needs = READ;
    const AUDIT: AuditArgs = AuditArgs {
        plain: &["since"],
        dropped: &[],
    };

    async fn call(self, cx: &Cx) -> Result<Output, ToolError> {
        require_work(cx, "Teams")?;
        let since = past("since", &self.since, cx.now, &own_zone(cx).zone)?;
        let talk = match TalkRef::parse(&self.reference)? {
            TalkRef::Channel { team, channel, .. } if !self.thread.is_empty() => TalkRef::Channel {
                team,
                channel,
                thread: Some(self.thread.clone()),
            },
            TalkRef::Chat(_) if !self.thread.is_empty() => {
                return Err(ToolError::Invalid(
                    "`thread`: chats have no threads; leave it out".to_owned(),
                ));
            }
            talk => talk,
        };
        match &talk {
            TalkRef::Chat(chat) => self.chat(cx, &talk, chat, since).await,
            TalkRef::Channel {
                team,
                channel,
                thread: None,
            } => self.channel(cx, &talk, [team, channel], since).await,
            TalkRef::Channel {
                team,
                channel,
                thread: Some(thread),
            } => self.thread(cx, &talk, [team, channel, thread], since).await,
        }
    }
}

impl ReadMessages {
    async fn chat(
        &self,
        cx: &Cx,
        talk: &TalkRef,
        chat: &str,
        since: Option<Timestamp>,
    ) -> Result<Output, ToolError> {
        require_any(cx, CHAT_MESSAGES)?;
        let request = if let Some(cursor) = &self.cursor {
            graph::follow(cx, cursor)
        } else {
            let request = cx
                .api
                .get(&["v1.0", "chats", chat, "messages"])
                .query("$top", self.limit.get());
            // Graph takes a filter only together with the order by the same property.
            match since {
                Some(since) => request
                    .query("$orderby", "lastModifiedDateTime desc")
                    .query(
                        "$filter",
                        format!("lastModifiedDateTime gt {}", seconds(since)),
                    ),
                None => request.query("$orderby", "createdDateTime desc"),
            }
        };
        let page: Result<Page<Message>, ProviderError> =
            request.max_bytes(WHOLE_BYTES).send().await;
        let page = page.map_err(|error| explained(cx, talk, CHAT_MESSAGES, error))?;
        let said = page.value.iter().filter(|message| message.is_said());
        let rows = said.map(|message| row(cx, talk, chat, message));
        Ok(Output::of(rows.collect()).next(page.cursor()))
    }

    async fn channel(
        &self,
        cx: &Cx,
        talk: &TalkRef,
        [team, channel]: [&str; 2],
        since: Option<Timestamp>,
    ) -> Result<Output, ToolError> {
        require_any(cx, CHANNEL_MESSAGES)?;
        let request = match &self.cursor {
            Some(cursor) => graph::follow(cx, cursor).max_bytes(WHOLE_BYTES),
            None => threads(cx, team, channel, self.limit.get()),
        };
        let page: Result<Page<Message>, ProviderError> = request.send().await;
        let page = page.map_err(|error| explained(cx, talk, CHANNEL_MESSAGES, error))?;
        let prefix = format!("{team}/{channel}");
        let fits = |message: &&Message| {
            message.is_said() && since.is_none_or(|since| message.latest() >= Some(since))
        };
        let rows = page.value.iter().filter(fits).map(|message| {
            let item = row(cx, talk, &prefix, message);
            let (replies, left_out) = replies(&message.replies);
            item.field("replies", replies)
                .field("older_replies", (left_out > 0).then_some(left_out))
        });
        Ok(Output::of(rows.collect()).next(page.cursor()))
    }

    async fn thread(
        &self,
        cx: &Cx,
        talk: &TalkRef,
        [team, channel, thread]: [&str; 3],
        since: Option<Timestamp>,
    ) -> Result<Output, ToolError> {
        require_any(cx, CHANNEL_MESSAGES)?;
        let refused = |error| match error {
            ProviderError::NotFound => ToolError::NotFound(format!(
                "`thread`: the channel has no message {thread}, or {} may not see it",
                cx.account.label
            )),
            error => explained(cx, talk, CHANNEL_MESSAGES, error),
        };
        let path = [
            "v1.0", "teams", team, "channels", channel, "messages", thread,
        ];
        let prefix = format!("{team}/{channel}");
        let mut output = Output::default();
        let request = if let Some(cursor) = &self.cursor {
            graph::follow(cx, cursor)
        } else {
            let first: Message = cx.api.get(&path).send().await.map_err(refused)?;
            output.items.push(row(cx, talk, &prefix, &first));
            cx.api
                .get(&[&path[..], &["replies"]].concat())
                .query("$top", self.limit.get())
        };
        let page: Page<Message> = request
            .max_bytes(WHOLE_BYTES)
            .send()
            .await
            .map_err(refused)?;
        let fits = |message: &&Message| {
            message.is_said() && since.is_none_or(|since| message.latest() >= Some(since))
        };
        let rows = page.value.iter().filter(fits);
        let rows = rows.map(|message| row(cx, talk, &prefix, message).field("reply_to", thread));
        output.items.extend(rows);
        Ok(output.next(page.cursor()))
    }
}

/// The request for a channel's threads, each with its replies: one request for all of them, because Teams allows few.
pub(super) fn threads(
    cx: &Cx,
    team: &str,
    channel: &str,
    count: u32,
) -> crate::kit::client::Request {
    cx.api
        .get(&["v1.0", "teams", team, "channels", channel, "messages"])
        .query("$top", count)
        .query("$expand", "replies")
        .max_bytes(WHOLE_BYTES)
}

/// A message; its id begins with its channel's, as `ref` takes it, or is the chat's own.
fn row(cx: &Cx, talk: &TalkRef, prefix: &str, message: &Message) -> Item {
    let id = match talk {
        TalkRef::Channel { .. } => format!("{prefix}/{}", message.id),
        TalkRef::Chat(_) => message.id.clone(),
    };
    let mut item = Item::new(id).uri(talk.uri(cx));
    item.url.clone_from(&message.web_url);
    item.fields = message.fields();
    item
}

/// The latest replies, oldest first, and how many were left out.
pub(super) fn replies(all: &[Message]) -> (Vec<Value>, usize) {
    let mut said: Vec<&Message> = all.iter().filter(|message| message.is_said()).collect();
    said.sort_by(|a, b| a.created_date_time.cmp(&b.created_date_time));
    let left_out = said.len().saturating_sub(REPLIES);
    let shown = said.iter().skip(left_out);
    let words = shown.map(|message| {
        let mut fields = message.fields();
        fields.insert("id".to_owned(), json!(message.id));
        Value::Object(fields)
    });
    (words.collect(), left_out)
}
