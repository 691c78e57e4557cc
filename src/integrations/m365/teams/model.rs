//! Teams, channels, chats and messages as Graph has them, and as tools answer them.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::super::files::Identities;
use super::super::graph::Page;
use super::super::refs::{TalkRef, has_any, reason};
use super::text::markdown;
use crate::kit::Timestamp;
use crate::kit::error::{ProviderError, ToolError};
use crate::kit::tool::Cx;

/// A team.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Team {
    pub(super) id: String,
    pub(super) display_name: Option<String>,
    pub(super) description: Option<String>,
    pub(super) is_archived: Option<bool>,
}

impl Team {
    pub(super) fn title(&self) -> &str {
        self.display_name.as_deref().unwrap_or(&self.id)
    }
}

/// A channel.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Channel {
    pub(super) id: String,
    pub(super) display_name: Option<String>,
    pub(super) description: Option<String>,
    pub(super) membership_type: Option<String>,
    pub(super) web_url: Option<String>,
}

impl Channel {
    pub(super) fn title(&self) -> &str {
        self.display_name.as_deref().unwrap_or(&self.id)
    }
}

/// A chat.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Chat {
    pub(super) id: String,
    pub(super) topic: Option<String>,
    pub(super) chat_type: Option<String>,
    pub(super) web_url: Option<String>,
    pub(super) members: Vec<Member>,
    pub(super) last_message_preview: Option<Message>,
}

/// Somebody in a chat.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Member {
    pub(super) user_id: Option<String>,
    pub(super) display_name: Option<String>,
    pub(super) email: Option<String>,
}

impl Chat {
    /// The names of the others in it.
    pub(super) fn others(&self, cx: &Cx) -> Vec<String> {
        let others = self
            .members
            .iter()
            .filter(|member| member.user_id.as_deref() != Some(&cx.account.id));
        others
            .filter_map(|member| member.display_name.clone().or_else(|| member.email.clone()))
            .collect()
    }

    /// Its topic, or who is in it.
    pub(super) fn title(&self, cx: &Cx) -> String {
        match self.topic.as_deref() {
            Some(topic) if !topic.is_empty() => topic.to_owned(),
            _ => self.others(cx).join(", "),
        }
    }
}

/// A message.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Message {
    pub(super) id: String,
    pub(super) etag: Option<String>,
    pub(super) message_type: Option<String>,
    pub(super) created_date_time: Option<String>,
    pub(super) last_modified_date_time: Option<String>,
    pub(super) deleted_date_time: Option<String>,
    pub(super) is_deleted: Option<bool>,
    pub(super) subject: Option<String>,
    pub(super) importance: Option<String>,
    pub(super) from: Option<Identities>,
    pub(super) body: Option<Body>,
    pub(super) attachments: Vec<Attachment>,
    pub(super) reactions: Vec<Reaction>,
    pub(super) web_url: Option<String>,
    pub(super) replies: Vec<Message>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Body {
    pub(super) content_type: Option<String>,
    pub(super) content: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Attachment {
    pub(super) name: Option<String>,
    pub(super) content_url: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Reaction {
    pub(super) reaction_type: String,
}

impl Message {
    /// Whether somebody said it; Teams also notes who joined and what was renamed.
    pub(super) fn is_said(&self) -> bool {
        matches!(self.message_type.as_deref(), Some("message") | None)
    }

    pub(super) fn author(&self) -> Option<String> {
        let from = self.from.as_ref()?;
        let who = from.user.as_ref().or(from.application.as_ref())?;
        who.display_name.clone().or_else(|| who.id.clone())
    }

    /// What it says, as Markdown.
    pub(super) fn text(&self) -> String {
        if self.deleted_date_time.is_some() || self.is_deleted == Some(true) {
            return "(deleted)".to_owned();
        }
        let Some(body) = &self.body else {
            return String::new();
        };
        let content = body.content.as_deref().unwrap_or_default();
        match body.content_type.as_deref() {
            Some("html") => markdown(content),
            _ => content.trim().to_owned(),
        }
    }

    /// The latest that happened in it or its replies.
    pub(super) fn latest(&self) -> Option<Timestamp> {
        let own = [&self.last_modified_date_time, &self.created_date_time];
        let own = own
            .into_iter()
            .flatten()
            .filter_map(|at| Timestamp::parse_rfc3339(at));
        own.chain(self.replies.iter().filter_map(Self::latest))
            .max()
    }

    /// Its data, but not its id and links.
    pub(super) fn fields(&self) -> Map<String, Value> {
        let mut fields = Map::new();
        let mut set = |name: &str, value: Value| {
            let is_empty = match &value {
                Value::Null => true,
                Value::String(text) => text.is_empty(),
                Value::Array(list) => list.is_empty(),
                Value::Bool(_) | Value::Number(_) | Value::Object(_) => false,
            };
            if !is_empty {
                fields.insert(name.to_owned(), value);
            }
        };
        set("from", json!(self.author()));
        set("at", json!(self.created_date_time));
        set("subject", json!(self.subject));
        let important = self.importance.as_deref().filter(|word| *word != "normal");
        set("importance", json!(important));
        set("text", json!(self.text()));
        let files = self.attachments.iter().filter_map(|one| {
            let name = one.name.as_deref()?;
            Some(json!({ "name": name, "url": one.content_url }))
        });
        set("files", files.collect());
        let reactions: Vec<&str> = self
            .reactions
            .iter()
            .map(|reaction| reaction.reaction_type.as_str())
            .collect();
        set("reactions", json!(reactions));
        fields
    }
}

/// A sign that changes when any of these messages or their replies changes.
pub(super) fn version(messages: &[Message]) -> Option<String> {
    let newest = messages.iter().max_by_key(|message| message.latest())?;
    let at = newest.latest()?;
    let etag = newest.etag.as_deref().unwrap_or(&newest.id);
    Some(format!("{} {etag} {at}", newest.id))
}

/// All teams that the person is in. Graph takes no options there.
pub(super) async fn joined_teams(cx: &Cx) -> Result<Vec<Team>, ProviderError> {
    let page: Page<Team> = cx.api.get(&["v1.0", "me", "joinedTeams"]).send().await?;
    Ok(page.value)
}

/// The channels of a team.
pub(super) async fn channels(cx: &Cx, team: &str) -> Result<Vec<Channel>, ProviderError> {
    let page: Page<Channel> = cx
        .api
        .get(&["v1.0", "teams", team, "channels"])
        .query(
            "$select",
            "id,displayName,description,membershipType,webUrl",
        )
        .send()
        .await?;
    Ok(page.value)
}

/// A refusal about a conversation in words that say what it takes.
pub(super) fn explained(
    cx: &Cx,
    talk: &TalkRef,
    scopes: &[&str],
    error: ProviderError,
) -> ToolError {
    let (what, who) = match talk {
        TalkRef::Channel { .. } => ("this channel", "not a member of its team"),
        TalkRef::Chat(_) => ("this chat", "not in it"),
    };
    match error {
        ProviderError::NotFound => ToolError::NotFound(format!(
            "`ref`: {what} was not found, or {} is {who}; list them with m365_list_conversations",
            cx.account.label
        )),
        ProviderError::Forbidden { .. } | ProviderError::InsufficientScope { .. }
            if has_any(cx, scopes) =>
        {
            ProviderError::Forbidden {
                message: format!(
                    "{} may not do this in {what}{}: perhaps {who}",
                    cx.account.label,
                    reason(&error)
                ),
            }
            .into()
        }
        ProviderError::Forbidden { .. } | ProviderError::InsufficientScope { .. } => {
            ProviderError::InsufficientScope {
                missing: scopes
                    .iter()
                    .take(1)
                    .map(|&scope| scope.to_owned())
                    .collect(),
            }
            .into()
        }
        error => error.into(),
    }
}
