//! Saying something: a post, a reply, a message in a chat, a new chat.

use futures_util::future::try_join_all;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::super::refs::{TalkRef, require_any, require_work};
use super::SEND;
use super::model::{Channel, Chat, Message, explained};
use super::text::{self, Mention};
use crate::kit::error::{ProviderError, ToolError};
use crate::kit::output::{Item, Output};
use crate::kit::tool::{AuditArgs, Cx, Effect, Needs, Tool};

/// The scopes with one of which chats are written in, and those that begin one.
const CHAT: &[&str] = &["ChatMessage.Send", "Chat.ReadWrite"];
const NEW_CHAT: &[&str] = &["Chat.Create", "Chat.ReadWrite"];
const CHANNEL: &[&str] = &["ChannelMessage.Send"];
/// Most people of a new chat, and most mentions.
const MAX_PEOPLE: usize = 20;
/// Longest message, in characters of Markdown; Teams takes about 28 KB of HTML.
const MAX_CHARS: usize = 20_000;

/// Post in a channel, reply in a thread, write in a chat, or begin a chat.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SendMessage {
    /// Id or link of a channel, thread or chat.
    #[serde(default, rename = "ref")]
    reference: String,
    /// Instead: addresses of a new chat's members.
    #[serde(default)]
    people: Vec<String>,
    /// Of a new group chat.
    #[serde(default)]
    topic: String,
    /// Of a channel post.
    #[serde(default)]
    subject: String,
    /// Markdown; `@bob@acme.com` where mentioned.
    body: String,
    /// Addresses to mention.
    #[serde(default)]
    mentions: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct User {
    id: String,
    display_name: Option<String>,
}

impl Tool for SendMessage {
    const NAME: &'static str = "m365_send_message";
    const TITLE: &'static str = "Send Teams message";
    const EFFECT: Effect = Effect::Write { idempotent: false };
    const SCOPES: Needs = SEND;
    const AUDIT: AuditArgs = AuditArgs {
        plain: &[],
        dropped: &["body", "subject", "topic"],
    };
    const OUTWARD: bool = true;

    async fn call(self, cx: &Cx) -> Result<Output, ToolError> {
        require_work(cx, "Teams")?;
        if self.body.trim().is_empty() {
            return Err(ToolError::Invalid("`body` is empty".to_owned()));
        }
        if self.body.chars().count() > MAX_CHARS {
            return Err(ToolError::Invalid(format!(
                "`body` is longer than {MAX_CHARS} characters; share it as a file with m365_write_file and send its link"
            )));
        }
        if self.people.len() > MAX_PEOPLE || self.mentions.len() > MAX_PEOPLE {
            return Err(ToolError::Invalid(format!(
                "`people` and `mentions` take at most {MAX_PEOPLE} each"
            )));
        }
        match (self.reference.trim(), self.people.as_slice()) {
            ("", []) => Err(ToolError::Invalid(
                "give `ref` for a conversation or `people` for a new chat".to_owned(),
            )),
            ("", _) => self.begin(cx).await,
            (_, [_, ..]) => Err(ToolError::Invalid(
                "give either `ref` or `people`, not both".to_owned(),
            )),
            (reference, []) => {
                let talk = TalkRef::parse(reference)?;
                self.tell(cx, &talk).await
            }
        }
    }
}

impl SendMessage {
    async fn tell(&self, cx: &Cx, talk: &TalkRef) -> Result<Output, ToolError> {
        if !self.topic.is_empty() {
            return Err(ToolError::Invalid(
                "`topic` is for a new chat; leave it out".to_owned(),
            ));
        }
        let scopes = match talk {
            TalkRef::Channel { .. } => CHANNEL,
            TalkRef::Chat(_) => CHAT,
        };
        require_any(cx, scopes)?;
        let is_post = matches!(talk, TalkRef::Channel { thread: None, .. });
        if !self.subject.is_empty() && !is_post {
            return Err(ToolError::Invalid(
                "`subject` is for a new post in a channel; leave it out".to_owned(),
            ));
        }
        let message = self.message(cx).await?;
        if cx.dry_run {
            let to = place(cx, talk).await?;
            return Ok(planned(Item::new("new").uri(talk.uri(cx)), to, &message));
        }
        let path = path(talk);
        let sent: Result<Message, ProviderError> = cx.api.post(&path).json(&message).send().await;
        let sent = sent.map_err(|error| explained(cx, talk, scopes, error))?;
        Ok(Output::one(row(cx, talk, sent)))
    }

    /// A chat with these people; with one person Teams answers the one there is, if there is one.
    async fn begin(&self, cx: &Cx) -> Result<Output, ToolError> {
        require_any(cx, NEW_CHAT)?;
        require_any(cx, CHAT)?;
        if !self.subject.is_empty() {
            return Err(ToolError::Invalid(
                "`subject` is for posts in channels; a chat has a `topic`".to_owned(),
            ));
        }
        if self.people.len() == 1 && !self.topic.is_empty() {
            return Err(ToolError::Invalid(
                "`topic` is for chats with several people".to_owned(),
            ));
        }
        let people = users(cx, "people", &self.people).await?;
        let message = self.message(cx).await?;
        let kind = if people.len() == 1 {
            "oneOnOne"
        } else {
            "group"
        };
        let mut chat = Map::new();
        chat.insert("chatType".to_owned(), json!(kind));
        if !self.topic.is_empty() {
            chat.insert("topic".to_owned(), json!(self.topic));
        }
        let own = std::iter::once(cx.account.id.as_str());
        let members = own.chain(people.iter().map(|(_, user)| user.id.as_str()));
        chat.insert("members".to_owned(), members.map(member).collect());
        if cx.dry_run {
            let names: Vec<&str> = people
                .iter()
                .map(|(address, user)| user.display_name.as_deref().unwrap_or(address))
                .collect();
            let to = json!({ "chat": kind, "topic": self.topic, "with": names });
            return Ok(planned(Item::new("new"), to, &message));
        }
        let made: Chat = cx.api.post(&["v1.0", "chats"]).json(&chat).send().await?;
        let talk = TalkRef::Chat(made.id.clone());
        let sent: Result<Message, ProviderError> =
            cx.api.post(&path(&talk)).json(&message).send().await;
        match sent {
            Ok(sent) => {
                let mut item = row(cx, &talk, sent).field("chat", made.id);
                item.url = item.url.or(made.web_url);
                Ok(Output::one(item))
            }
            // The chat is there: an error would say that nothing happened.
            Err(error) => {
                let mut item = Item::new(&made.id)
                    .uri(talk.uri(cx))
                    .field("done", "chat_created");
                item.url = made.web_url;
                Ok(Output::one(item).warn(format!(
                    "the chat is there but the message was not sent: {error}; send it again with this id as `ref`"
                )))
            }
        }
    }

    /// The body of the request.
    async fn message(&self, cx: &Cx) -> Result<Value, ToolError> {
        let found = users(cx, "mentions", &self.mentions).await?;
        let mentions: Vec<Mention> = found
            .into_iter()
            .map(|(address, user)| Mention {
                called: address.to_owned(),
                name: user.display_name.unwrap_or_else(|| address.to_owned()),
                id: user.id,
            })
            .collect();
        let mut message = Map::new();
        if !self.subject.is_empty() {
            message.insert("subject".to_owned(), json!(self.subject));
        }
        message.insert(
            "body".to_owned(),
            json!({ "contentType": "html", "content": text::html(&self.body, &mentions) }),
        );
        if !mentions.is_empty() {
            let all = mentions.iter().enumerate().map(|(index, mention)| {
                json!({
                    "id": index,
                    "mentionText": mention.name,
                    "mentioned": { "user": {
                        "id": mention.id, "displayName": mention.name, "userIdentityType": "aadUser",
                    } },
                })
            });
            message.insert("mentions".to_owned(), all.collect());
        }
        Ok(Value::Object(message))
    }
}

/// Who these addresses are. A wrong one must fail before anything is said.
async fn users<'a>(
    cx: &Cx,
    argument: &str,
    addresses: &'a [String],
) -> Result<Vec<(&'a str, User)>, ToolError> {
    if !addresses.is_empty() {
        cx.require("User.ReadBasic.All")?;
    }
    let reads = addresses.iter().map(|address| async move {
        let address = address.trim();
        let found: Result<User, ProviderError> = cx
            .api
            .get(&["v1.0", "users", address])
            .query("$select", "id,displayName")
            .send()
            .await;
        match found {
            Ok(user) => Ok((address, user)),
            Err(ProviderError::NotFound) => Err(ToolError::NotFound(format!(
                "`{argument}`: nobody in the organization has the address `{address}`; find people with m365_search_people"
            ))),
            Err(error) => Err(error.into()),
        }
    });
    try_join_all(reads).await
}

/// Somebody in a new chat, as OData binds records.
fn member(id: &str) -> Value {
    json!({
        "@odata.type": "#microsoft.graph.aadUserConversationMember",
        "roles": ["owner"],
        "user@odata.bind": format!("https://graph.microsoft.com/v1.0/users('{}')", id.replace('\'', "''")),
    })
}

fn path(talk: &TalkRef) -> Vec<&str> {
    match talk {
        TalkRef::Channel {
            team,
            channel,
            thread,
        } => {
            let mut path = vec!["v1.0", "teams", team, "channels", channel, "messages"];
            if let Some(thread) = thread {
                path.extend([thread.as_str(), "replies"]);
            }
            path
        }
        TalkRef::Chat(chat) => vec!["v1.0", "chats", chat, "messages"],
    }
}

/// Where a message would go, in names.
async fn place(cx: &Cx, talk: &TalkRef) -> Result<Value, ToolError> {
    match talk {
        TalkRef::Channel {
            team,
            channel,
            thread,
        } => {
            let found: Result<Channel, ProviderError> = cx
                .api
                .get(&["v1.0", "teams", team, "channels", channel])
                .query("$select", "id,displayName")
                .send()
                .await;
            let found = found.map_err(|error| explained(cx, talk, super::CHANNELS, error))?;
            Ok(json!({ "channel": found.title(), "reply_to": thread }))
        }
        TalkRef::Chat(chat) => {
            let found: Result<Chat, ProviderError> = cx
                .api
                .get(&["v1.0", "chats", chat])
                .query("$expand", "members")
                .send()
                .await;
            let found = found.map_err(|error| explained(cx, talk, super::CHATS, error))?;
            Ok(json!({ "chat": found.title(cx), "with": found.others(cx) }))
        }
    }
}

fn planned(item: Item, to: Value, message: &Value) -> Output {
    let change = json!({ "message": { "before": null, "after": message } });
    Output::one(
        item.field("dry_run", true)
            .field("to", to)
            .field("changes", change),
    )
}

fn row(cx: &Cx, talk: &TalkRef, sent: Message) -> Item {
    let (id, done) = match talk {
        TalkRef::Channel {
            team,
            channel,
            thread,
        } => (
            format!("{team}/{channel}/{}", thread.as_deref().unwrap_or(&sent.id)),
            if thread.is_some() {
                "replied"
            } else {
                "posted"
            },
        ),
        TalkRef::Chat(_) => (sent.id.clone(), "sent"),
    };
    let mut item = Item::new(id).uri(talk.uri(cx));
    item.fields = sent.fields();
    item.url = sent.web_url;
    item.field("done", done)
}
