//! Reading one message, a whole conversation, or an attachment.

use futures_util::future::join;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::{READ, SHORT, attach, attached, item, seen, tracked};
use crate::integrations::m365::graph::{self, Page};
use crate::integrations::m365::model::{Message, names};
use crate::kit::error::ToolError;
use crate::kit::mail::without_history;
use crate::kit::output::{Item, Output};
use crate::kit::text;
use crate::kit::tool::{AuditArgs, Cx, Effect, Needs, Tool};

/// What a single message is read with.
pub(super) const WHOLE: &str = "id,changeKey,subject,from,toRecipients,ccRecipients,bccRecipients,replyTo,receivedDateTime,isRead,isDraft,hasAttachments,importance,flag,categories,conversationId,parentFolderId,webLink,body";
/// What is asked of an attachment in a list: all but its bytes.
const ATTACHED: &str = "id,name,contentType,size,isInline";
/// Messages of a conversation at most.
const THREAD: usize = 100;
/// Messages of a conversation in one answer of Graph.
const THREAD_PAGE: usize = 50;

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
    /// Whole conversation.
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
        output.truncated = self.body.put(&mut row, &message, cx.max_chars);
        output.items = vec![row];
        Ok(output)
    }
}

impl Show {
    /// Puts the body into the row; says whether something was cut.
    fn put(self, row: &mut Item, message: &Message, at_most: usize) -> bool {
        let text = match self {
            Self::None => return false,
            Self::Html => message.body.content.clone(),
            Self::Full => message.body.markdown(),
            Self::Text => {
                let (text, trimmed) = without_history(&message.body.markdown());
                if trimmed {
                    row.set("history_trimmed", true);
                }
                text
            }
        };
        let short = text::clip(&text, at_most);
        let cut = short.len() != text.len();
        row.set("body", short);
        cut
    }
}

impl GetMail {
    async fn conversation(&self, cx: &Cx) -> Result<Output, ToolError> {
        let path = graph::of(&self.mailbox, &["messages", &self.id]);
        let first = cx.api.get(&path).query("$select", "id,conversationId");
        let first: Message = seen("message", &self.id, first.send().await)?;
        let (messages, more) = conversation(cx, &self.mailbox, &first.conversation_id).await?;
        let people = messages.iter().flat_map(Message::addresses);
        let people = cx.people.find(people).await;
        let mut output = Output {
            total: Some(messages.len() as u64),
            truncated: more,
            ..Output::default()
        };
        let mut left = cx.max_chars;
        for message in &messages {
            let mut row = item(cx, &self.mailbox, message);
            row.fields.shift_remove("preview");
            if self.body != Show::None {
                let text = said(message);
                let short = text::clip(&text, left);
                output.truncated |= short.len() != text.len();
                left = left.saturating_sub(short.chars().count());
                row.set("body", short);
            }
            output.items.push(row);
        }
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
        without_history(&message.body.markdown()).0
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
    let found = cx.api.get(&path).query("$select", WHOLE).send().await;
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
        .send()
        .await?;
    let mut messages = std::mem::take(&mut page.value);
    while let Some(next) = page.cursor() {
        if messages.len() >= THREAD {
            break;
        }
        page = graph::follow(cx, &next).send().await?;
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
