//! Reading one message, a whole conversation, or an attachment.

use futures_util::future::join;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{READ, SHORT, attach, attached, item, seen, tracked};
use crate::integrations::m365::graph::{self, Page, WHOLE_BYTES};
use crate::integrations::m365::model::{Message, names};
use crate::kit::args::Cursor;
use crate::kit::error::ToolError;
use crate::kit::mail::own_text;
use crate::kit::output::{Item, Output};
use crate::kit::text;
use crate::kit::tool::{AuditArgs, Cx, Effect, Needs, Tool};

/// What a single message is read with.
pub(super) const WHOLE: &str = "id,changeKey,subject,from,toRecipients,ccRecipients,bccRecipients,replyTo,receivedDateTime,isRead,isDraft,hasAttachments,importance,flag,categories,conversationId,parentFolderId,webLink,body";
/// What is asked of an attachment in a list: all but its bytes.
const ATTACHED: &str = "id,name,contentType,size,isInline";
/// Messages of a conversation at most.
const THREAD: usize = 100;
/// Messages of a conversation in one answer of Graph, each with its whole text.
const THREAD_PAGE: usize = 10;

/// Body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
enum Show {
    /// Markdown without quoted history.
    #[default]
    Text,
    /// Markdown with it.
    Full,
    Html,
    None,
}

/// Read a message, its conversation, or the text of an attachment.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct GetMail {
    /// Message.
    id: String,
    /// Whole conversation, newest first.
    #[serde(default)]
    thread: bool,
    #[serde(default)]
    body: Show,
    /// Id of one to read as text.
    #[serde(default)]
    attachment: String,
    /// Shared mailbox.
    #[serde(default)]
    mailbox: String,
    #[serde(default)]
    cursor: Option<Cursor>,
}

/// Where a long conversation goes on: how many of its messages, from the newest, were given.
#[derive(Serialize, Deserialize)]
struct Older {
    given: usize,
}

impl Tool for GetMail {
    const NAME: &'static str = "m365_get_mail";
    const TITLE: &'static str = "Read mail";
    const EFFECT: Effect = Effect::Read;
    const SCOPES: Needs = READ;
    const AUDIT: AuditArgs = AuditArgs {
        plain: &["id", "attachment"],
        dropped: &[],
    };

    async fn call(self, cx: &Cx) -> Result<Output, ToolError> {
        super::shared(cx, &self.mailbox, "Mail.Read.Shared")?;
        if !self.attachment.is_empty() {
            return attach::text(cx, &self.mailbox, &self.id, &self.attachment).await;
        }
        if self.thread {
            return self.conversation(cx).await;
        }
        let (mut message, warning) = message(cx, &self.mailbox, &self.id).await?;
        let mut output = Output::default();
        output.warnings.extend(warning);
        let people = cx.people.find(message.addresses());
        let noticed = tracked::of(cx, &message);
        let (people, noticed) = join(people, noticed).await;
        let mut row = item(cx, &self.mailbox, &message)
            .field("bcc", names(&message.bcc_recipients))
            .field("crm", json!(people))
            .field("tracking", json!(noticed));
        message
            .attachments
            .retain(|attachment| !attachment.id.is_empty());
        let list = message.attachments.iter();
        let list: Vec<_> = list
            .map(|found| attached(cx, &self.mailbox, &message.id, found))
            .collect();
        row.set("attachments", list);
        row.fields.shift_remove("preview");
        // What surrounds the record takes some room too.
        let room = cx.max_chars - cx.max_chars / 8;
        output.truncated = self.body.put(&mut row, &message, room);
        output.items = vec![row];
        Ok(output)
    }
}

impl Show {
    /// Puts the body into the row, which may have so many characters as JSON then; says whether something was cut.
    fn put(self, row: &mut Item, message: &Message, room: usize) -> bool {
        let text = match self {
            Self::None => return false,
            Self::Html => message.body.content.clone(),
            Self::Full => message.body.markdown(),
            Self::Text => {
                let (text, trimmed) = own_text(&message.subject, &message.body.markdown());
                if trimmed {
                    row.set("history_trimmed", true);
                }
                text
            }
        };
        put(row, &text, room)
    }
}

/// How long something is as JSON, in characters.
fn chars(value: &impl Serialize) -> usize {
    serde_json::to_string(value).map_or(0, |text| text.chars().count())
}

/// Puts as much of the text into the row as lets it have so many characters as JSON; says whether something was cut.
fn put(row: &mut Item, text: &str, room: usize) -> bool {
    let room = room.saturating_sub(chars(row) + r#","body":"#.len());
    let mut short = text.to_owned();
    loop {
        let now = chars(&short);
        if now <= room || short.is_empty() {
            break;
        }
        // Some characters are written as two or more, and not everywhere in the text as many.
        let count = short.chars().count();
        short = text::clip(text, (count * room / now).min(count - 1));
    }
    let cut = short.len() != text.len();
    row.set("body", short);
    cut
}

impl GetMail {
    async fn conversation(&self, cx: &Cx) -> Result<Output, ToolError> {
        let path = graph::of(&self.mailbox, &["messages", &self.id]);
        let first = cx.api.get(&path).query("$select", "id,conversationId");
        let first: Message = seen("message", &self.id, first.send().await)?;
        let (messages, more) = conversation(cx, &self.mailbox, &first.conversation_id).await?;
        let given = match &self.cursor {
            Some(cursor) => cursor.read::<Older>()?.given,
            None => 0,
        };
        let mut output = Output::default();
        if more {
            output = output.warn(format!(
                "the conversation has more than {} messages, and which were left out nobody knows; find the others with m365_search_mail",
                messages.len()
            ));
        } else {
            output.total = Some(messages.len() as u64);
        }
        let mut room = cx.max_chars / 4 * 3;
        let mut shown: Vec<&Message> = Vec::new();
        for message in messages.iter().rev().skip(given) {
            let mut row = item(cx, &self.mailbox, message);
            row.fields.shift_remove("preview");
            if self.body != Show::None {
                let text = said(message);
                // Only a message that is too long by itself is cut; any other one waits behind the cursor.
                let room = if shown.is_empty() { room } else { usize::MAX };
                if put(&mut row, &text, room) {
                    row.set("body_cut", true);
                    output.truncated = true;
                }
            }
            let size = chars(&row);
            if size > room && !shown.is_empty() {
                break;
            }
            room = room.saturating_sub(size);
            output.items.push(row);
            shown.push(message);
        }
        let done = given + shown.len();
        if done < messages.len() {
            output.next_cursor = Some(Cursor::of(&Older { given: done }));
        }
        let people = shown.iter().flat_map(|message| message.addresses());
        let people = cx.people.find(people).await;
        if let Some(row) = output.items.first_mut() {
            row.set("crm", json!(people));
        }
        Ok(output)
    }
}

/// What a message adds to its conversation, as Exchange knows it; a forwarded message adds all that it carries.
pub(super) fn said(message: &Message) -> String {
    let own = message.unique_body.markdown();
    if own.is_empty() {
        own_text(&message.subject, &message.body.markdown()).0
    } else {
        own
    }
}

/// One message with its list of attachments; a list that cannot be read is a warning.
pub(super) async fn message(
    cx: &Cx,
    mailbox: &str,
    id: &str,
) -> Result<(Message, Option<String>), ToolError> {
    let path = graph::of(mailbox, &["messages", id]);
    let request = cx.api.get(&path).query("$select", WHOLE);
    let found = request.max_bytes(WHOLE_BYTES).send().await;
    let mut message: Message = seen("message", id, found)?;
    // Pictures within the text are attachments too, but `hasAttachments` is false when there are no others.
    if !message.has_attachments && !message.body.content.contains("cid:") {
        return Ok((message, None));
    }
    let path = graph::of(mailbox, &["messages", id, "attachments"]);
    let list = cx
        .api
        .get(&path)
        .query("$select", ATTACHED)
        .query("$top", 50)
        .send::<Page<_>>()
        .await;
    match list {
        Ok(list) => {
            message.attachments = list.value;
            Ok((message, None))
        }
        Err(error) => Ok((
            message,
            Some(format!("the attachments could not be listed: {error}")),
        )),
    }
}

/// The messages of a conversation, oldest first, and whether there are more. Asked without an order: Exchange refuses one
/// together with this filter.
pub(super) async fn conversation(
    cx: &Cx,
    mailbox: &str,
    id: &str,
) -> Result<(Vec<Message>, bool), ToolError> {
    let path = graph::of(mailbox, &["messages"]);
    let mut page: Page<Message> = cx
        .api
        .get(&path)
        .query(
            "$filter",
            format!("conversationId eq {}", graph::quoted(id)),
        )
        .query("$select", format!("{SHORT},changeKey,body,uniqueBody"))
        .query("$top", THREAD_PAGE)
        .max_bytes(WHOLE_BYTES)
        .send()
        .await?;
    let mut messages = std::mem::take(&mut page.value);
    while let Some(next) = page.cursor() {
        if messages.len() >= THREAD {
            break;
        }
        let request = graph::follow(cx, &next).max_bytes(WHOLE_BYTES);
        page = request.send().await?;
        messages.append(&mut page.value);
    }
    if messages.is_empty() {
        return Err(ToolError::NotFound(format!(
            "there is no conversation `{}` in this mailbox; take the id from `thread` of a message",
            text::clip(id, 60)
        )));
    }
    messages.sort_by(|a, b| a.received_date_time.cmp(&b.received_date_time));
    let more = page.next.is_some();
    Ok((messages, more))
}
