//! What there is to read: teams, channels and chats.

use futures_util::future::join_all;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::super::graph::{self, Page};
use super::super::refs::{TalkRef, has_any, require_any, require_work};
use super::model::{self, Channel, Chat, Team};
use super::{CHANNELS, CHATS, LIST, TEAMS};
use crate::kit::args::{Cursor, Limit};
use crate::kit::error::ToolError;
use crate::kit::output::{Item, Output};
use crate::kit::text;
use crate::kit::tool::{AuditArgs, Cx, Effect, Needs, Tool};

/// Of how many teams at most the channels are listed at once: each costs a request, and Teams allows few.
const MAX_TEAMS: usize = 10;
/// Characters of a chat's last message.
const PREVIEW: usize = 200;

/// What to list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
enum Kind {
    Teams,
    Channels,
    Chats,
}

/// List the teams, channels and chats of Teams. Without `kind`: teams and latest chats.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ListConversations {
    /// In names, topics and members.
    #[serde(default)]
    q: String,
    #[serde(default)]
    #[schemars(with = "Kind")]
    kind: Option<Kind>,
    /// Only this team's channels: id or name.
    #[serde(default)]
    team: String,
    #[serde(default)]
    limit: Limit<20, 50>,
    #[serde(default)]
    cursor: Option<Cursor>,
}

impl Tool for ListConversations {
    const NAME: &'static str = "m365_list_conversations";
    const TITLE: &'static str = "List conversations";
    const EFFECT: Effect = Effect::Read;
    const SCOPES: Needs = LIST;
    const AUDIT: AuditArgs = AuditArgs {
        plain: &["kind"],
        dropped: &[],
    };

    async fn call(self, cx: &Cx) -> Result<Output, ToolError> {
        require_work(cx, "Teams")?;
        if self.kind == Some(Kind::Channels) || !self.team.is_empty() {
            return self.channels(cx).await;
        }
        let mut output = Output::default();
        // What one of the two lacks must not hide the other.
        if self.kind != Some(Kind::Chats) && self.cursor.is_none() {
            if self.kind == Some(Kind::Teams) || has_any(cx, TEAMS) {
                require_any(cx, TEAMS)?;
                let teams = model::joined_teams(cx).await?;
                let fits = teams.iter().filter(|team| self.fits(&[team.title()]));
                output.items.extend(fits.map(team_row));
            } else {
                output
                    .warnings
                    .push("teams need `Team.ReadBasic.All`".to_owned());
            }
        }
        if self.kind != Some(Kind::Teams) {
            if self.kind == Some(Kind::Chats) || has_any(cx, CHATS) {
                require_any(cx, CHATS)?;
                self.chats(cx, &mut output).await?;
            } else {
                output
                    .warnings
                    .push("chats need `Chat.ReadBasic`".to_owned());
            }
        }
        Ok(output)
    }
}

impl ListConversations {
    fn fits(&self, texts: &[&str]) -> bool {
        let wanted = self.q.trim().to_lowercase();
        wanted.is_empty()
            || texts
                .iter()
                .any(|text| text.to_lowercase().contains(&wanted))
    }

    async fn chats(&self, cx: &Cx, output: &mut Output) -> Result<(), ToolError> {
        let page: Page<Chat> = if let Some(cursor) = &self.cursor {
            graph::follow(cx, cursor).send().await?
        } else {
            // What is filtered out here would leave small pages nearly empty.
            let top = if self.q.is_empty() {
                self.limit.get()
            } else {
                50
            };
            cx.api
                .get(&["v1.0", "me", "chats"])
                .query("$expand", "members,lastMessagePreview")
                .query("$orderby", "lastMessagePreview/createdDateTime desc")
                .query("$top", top)
                .send()
                .await?
        };
        output.next_cursor = page.cursor();
        for chat in &page.value {
            let names = chat.others(cx);
            let mut texts: Vec<&str> = names.iter().map(String::as_str).collect();
            texts.extend(chat.topic.as_deref());
            if self.fits(&texts) {
                output.items.push(chat_row(cx, chat));
            }
        }
        Ok(())
    }

    async fn channels(&self, cx: &Cx) -> Result<Output, ToolError> {
        require_any(cx, CHANNELS)?;
        let mut output = Output::default();
        let teams = if is_uuid(&self.team) {
            vec![Team {
                id: self.team.clone(),
                ..Team::default()
            }]
        } else {
            require_any(cx, TEAMS)?;
            let wanted = self.team.trim().to_lowercase();
            let mut teams = model::joined_teams(cx).await?;
            teams.retain(|team| wanted.is_empty() || team.title().to_lowercase().contains(&wanted));
            if teams.is_empty() {
                return Err(ToolError::NotFound(format!(
                    "`team`: {} is in no team called `{}`",
                    cx.account.label, self.team
                )));
            }
            teams
        };
        if teams.len() > MAX_TEAMS {
            output.warnings.push(format!(
                "only the channels of the first {MAX_TEAMS} of {} teams are listed; name a `team`",
                teams.len()
            ));
        }
        let reads = teams
            .iter()
            .take(MAX_TEAMS)
            .map(|team| async move { (team, model::channels(cx, &team.id).await) });
        for (team, found) in join_all(reads).await {
            match found {
                Ok(channels) => {
                    let fits = channels.iter().filter(|one| self.fits(&[one.title()]));
                    output
                        .items
                        .extend(fits.map(|one| channel_row(cx, team, one)));
                }
                Err(error) if teams.len() == 1 => return Err(error.into()),
                Err(error) => output.warnings.push(format!("{}: {error}", team.title())),
            }
        }
        Ok(output)
    }
}

/// Names of teams are looked up; ids are not.
pub(super) fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text
            .bytes()
            .all(|byte| byte == b'-' || byte.is_ascii_hexdigit())
}

fn team_row(team: &Team) -> Item {
    Item::new(&team.id)
        .field("kind", "team")
        .field("name", team.title())
        .field("description", team.description.clone())
        .field("archived", team.is_archived.filter(|is| *is))
}

fn channel_row(cx: &Cx, team: &Team, channel: &Channel) -> Item {
    let talk = TalkRef::Channel {
        team: team.id.clone(),
        channel: channel.id.clone(),
        thread: None,
    };
    let mut item = Item::new(format!("{}/{}", team.id, channel.id)).uri(talk.uri(cx));
    item.url.clone_from(&channel.web_url);
    let private = channel
        .membership_type
        .as_deref()
        .filter(|kind| *kind != "standard");
    item.field("kind", "channel")
        .field("name", channel.title())
        .field("team", team.display_name.clone())
        .field("description", channel.description.clone())
        .field("membership", private)
}

fn chat_row(cx: &Cx, chat: &Chat) -> Item {
    let talk = TalkRef::Chat(chat.id.clone());
    let mut item = Item::new(&chat.id).uri(talk.uri(cx));
    item.url.clone_from(&chat.web_url);
    let kind = match chat.chat_type.as_deref() {
        Some("oneOnOne") => "chat",
        Some("group") => "group_chat",
        Some("meeting") => "meeting_chat",
        _ => "other_chat",
    };
    let members: Vec<&str> = chat
        .members
        .iter()
        .filter_map(|member| member.email.as_deref().or(member.display_name.as_deref()))
        .collect();
    let last = chat.last_message_preview.as_ref().map(|message| {
        json!({ "from": message.author(), "at": message.created_date_time,
            "text": text::clip(&message.text(), PREVIEW) })
    });
    item.field("kind", kind)
        .field("name", chat.title(cx))
        .field("members", json!(members))
        .field("last_message", last.unwrap_or_default())
}
