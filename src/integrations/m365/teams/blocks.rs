//! Channels and chats as context blocks, and the completion of their names.

use std::fmt::Write as _;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::super::graph::Page;
use super::super::refs::TalkRef;
use super::conversations::is_uuid;
use super::model::{self, Chat, Message, explained, version};
use super::read::threads;
use super::{CHANNEL_MESSAGES, CHAT_MESSAGES};
use crate::kit::block::{Content, ContextBlock};
use crate::kit::error::{ProviderError, ToolError};
use crate::kit::text;
use crate::kit::tool::{Cx, Needs};

/// How many messages a block shows.
const SHOWN: u32 = 30;

/// The latest threads of a channel.
#[derive(Deserialize)]
pub(super) struct ChannelBlock {
    /// A team's id or name.
    team: String,
    /// A channel's id or name.
    channel: String,
}

impl ContextBlock for ChannelBlock {
    const URI: &'static str = "m365://{account}/teams/{team}/channels/{channel}";
    const NAME: &'static str = "m365_channel";
    const TITLE: &'static str = "Teams channel";
    const DESCRIPTION: &'static str =
        "The latest 30 threads of a channel, with replies. Team and channel are ids or names.";
    const MIME: &'static str = "text/markdown";
    const SCOPES: Needs = Needs::All(&["ChannelMessage.Read.All"]);

    async fn read(self, cx: &Cx) -> Result<Content, ToolError> {
        let team = team_id(cx, &self.team).await?;
        let channel = channel_id(cx, &team, &self.channel).await?;
        // One request says all there is to say; Teams has no cheaper one that knows of replies.
        let found: Result<Page<Message>, ProviderError> =
            threads(cx, &team, &channel, SHOWN).send().await;
        let talk = TalkRef::Channel {
            team,
            channel,
            thread: None,
        };
        let page = found.map_err(|error| explained(cx, &talk, CHANNEL_MESSAGES, error))?;
        let version = version(&page.value);
        if version.is_some() && version == cx.held {
            return Ok(Content::unchanged());
        }
        let title = if is_uuid(&self.team) {
            "Channel"
        } else {
            &self.team
        };
        let mut text = format!("# {title} / {}\n", self.channel);
        for message in page.value.iter().filter(|message| message.is_said()) {
            say(&mut text, message, "");
            let mut replies: Vec<&Message> =
                message.replies.iter().filter(|one| one.is_said()).collect();
            replies.sort_by(|a, b| a.created_date_time.cmp(&b.created_date_time));
            for reply in replies {
                say(&mut text, reply, "> ");
            }
        }
        Ok(content(cx, &text, version, None))
    }

    async fn complete(
        cx: &Cx,
        field: &str,
        prefix: &str,
        chosen: &Map<String, Value>,
    ) -> Result<Vec<String>, ToolError> {
        let prefix = prefix.to_lowercase();
        let begins = |name: &str| name.to_lowercase().starts_with(&prefix);
        match (field, chosen.get("team").and_then(Value::as_str)) {
            ("team", _) => {
                let teams = model::joined_teams(cx).await?;
                let names = teams.iter().map(|team| team.title().to_owned());
                Ok(names.filter(|name| begins(name)).take(100).collect())
            }
            ("channel", Some(team)) => {
                let team = team_id(cx, team).await?;
                let channels = model::channels(cx, &team).await?;
                let names = channels.iter().map(|channel| channel.title().to_owned());
                Ok(names.filter(|name| begins(name)).take(100).collect())
            }
            _ => Ok(Vec::new()),
        }
    }
}

/// The id of the team that has this name; an id is one already.
async fn team_id(cx: &Cx, team: &str) -> Result<String, ToolError> {
    if is_uuid(team) {
        return Ok(team.to_owned());
    }
    let teams = model::joined_teams(cx).await?;
    let same = |name: &str| name.eq_ignore_ascii_case(team);
    let found = teams.into_iter().find(|one| same(one.title()));
    found.map(|one| one.id).ok_or_else(|| {
        ToolError::NotFound(format!(
            "{} is in no team called `{team}`",
            cx.account.label
        ))
    })
}

/// The id of the channel that has this name; an id is one already.
async fn channel_id(cx: &Cx, team: &str, channel: &str) -> Result<String, ToolError> {
    if channel.starts_with("19:") {
        return Ok(channel.to_owned());
    }
    let channels = model::channels(cx, team).await?;
    let same = |name: &str| name.eq_ignore_ascii_case(channel);
    let found = channels.into_iter().find(|one| same(one.title()));
    found
        .map(|one| one.id)
        .ok_or_else(|| ToolError::NotFound(format!("the team has no channel called `{channel}`")))
}

/// The latest messages of a chat.
#[derive(Deserialize)]
pub(super) struct ChatBlock {
    chat: String,
}

impl ContextBlock for ChatBlock {
    const URI: &'static str = "m365://{account}/chats/{chat}";
    const NAME: &'static str = "m365_chat";
    const TITLE: &'static str = "Teams chat";
    const DESCRIPTION: &'static str = "The latest 30 messages of a chat.";
    const MIME: &'static str = "text/markdown";
    const SCOPES: Needs = Needs::Any(&["Chat.Read", "Chat.ReadWrite"]);

    async fn read(self, cx: &Cx) -> Result<Content, ToolError> {
        let talk = TalkRef::Chat(self.chat.clone());
        let refused = |error| explained(cx, &talk, CHAT_MESSAGES, error);
        let page: Page<Message> = cx
            .api
            .get(&["v1.0", "chats", &self.chat, "messages"])
            .query("$top", SHOWN)
            .query("$orderby", "createdDateTime desc")
            .send()
            .await
            .map_err(refused)?;
        let version = version(&page.value);
        if version.is_some() && version == cx.held {
            return Ok(Content::unchanged());
        }
        let chat: Chat = cx
            .api
            .get(&["v1.0", "chats", &self.chat])
            .query("$expand", "members")
            .send()
            .await
            .map_err(refused)?;
        let mut text = format!(
            "# {}\n\nWith {}\n",
            chat.title(cx),
            chat.others(cx).join(", ")
        );
        for message in page.value.iter().filter(|message| message.is_said()) {
            say(&mut text, message, "");
        }
        Ok(content(cx, &text, version, chat.web_url))
    }

    async fn complete(
        cx: &Cx,
        field: &str,
        prefix: &str,
        _: &Map<String, Value>,
    ) -> Result<Vec<String>, ToolError> {
        if field != "chat" {
            return Ok(Vec::new());
        }
        let page: Page<Chat> = cx
            .api
            .get(&["v1.0", "me", "chats"])
            .query("$expand", "members,lastMessagePreview")
            .query("$orderby", "lastMessagePreview/createdDateTime desc")
            .query("$top", 50)
            .send()
            .await?;
        let prefix = prefix.to_lowercase();
        let fits = page.value.into_iter().filter(|chat| {
            chat.id.to_lowercase().starts_with(&prefix)
                || chat.title(cx).to_lowercase().contains(&prefix)
                || chat
                    .others(cx)
                    .iter()
                    .any(|name| name.to_lowercase().contains(&prefix))
        });
        Ok(fits.map(|chat| chat.id).collect())
    }
}

/// Adds a message: who, when, what.
fn say(text: &mut String, message: &Message, quote: &str) {
    let who = message.author().unwrap_or_else(|| "Somebody".to_owned());
    let at = message.created_date_time.as_deref().unwrap_or_default();
    let _ = write!(text, "\n{quote}**{who}** {at}");
    if let Some(subject) = message
        .subject
        .as_deref()
        .filter(|subject| !subject.is_empty())
    {
        let _ = write!(text, " – {subject}");
    }
    text.push('\n');
    for line in message.text().lines() {
        let _ = writeln!(text, "{quote}{line}");
    }
    for file in message
        .attachments
        .iter()
        .filter_map(|file| file.name.as_deref())
    {
        let _ = writeln!(text, "{quote}[file: {file}]");
    }
}

/// The text, newest first, with its end cut if need be.
fn content(cx: &Cx, text: &str, version: Option<String>, url: Option<String>) -> Content {
    Content {
        version,
        url,
        truncated: text.chars().count() > cx.max_chars,
        ..Content::text(text::clip(text, cx.max_chars))
    }
}
