//! Toolset "Outlook mail".

mod attach;
mod blocks;
mod folders;
mod get;
mod reply;
mod search;
mod send;
mod tracked;
mod update;

use serde_json::json;

use super::model::{Attachment, Message, names};
use crate::kit::block::BlockDef;
use crate::kit::error::{ProviderError, ToolError};
use crate::kit::integration::Toolset;
use crate::kit::mail::Address;
use crate::kit::output::Item;
use crate::kit::tool::{Cx, Needs, ToolDef};
use crate::kit::uri::encode;

pub(super) const TOOLSET: Toolset = Toolset {
    id: "mail",
    title: "Outlook mail",
    tools: &[
        ToolDef::of::<search::SearchMail>(),
        ToolDef::of::<get::GetMail>(),
        ToolDef::of::<send::SendMail>(),
        ToolDef::of::<reply::ReplyMail>(),
        ToolDef::of::<update::UpdateMail>(),
    ],
    blocks: &[
        // Before the block of a message, whose address fits it too.
        BlockDef::of::<tracked::TrackedBlock>(),
        BlockDef::of::<blocks::MailBlock>(),
        BlockDef::of::<blocks::ThreadBlock>(),
    ],
};

/// What reading mail takes.
const READ: Needs = Needs::All(&["Mail.Read"]);

/// What a list shows of a message.
const SHORT: &str = "id,subject,from,toRecipients,ccRecipients,receivedDateTime,isRead,isDraft,hasAttachments,importance,flag,categories,bodyPreview,conversationId,webLink";

/// The address of a message's block; there is none for somebody else's mailbox.
fn uri(cx: &Cx, mailbox: &str, id: &str) -> Option<String> {
    mailbox
        .is_empty()
        .then(|| cx.uri(&format!("mail/{}", encode(id))))
}

/// A message as lists show it.
fn item(cx: &Cx, mailbox: &str, message: &Message) -> Item {
    let mut item = Item::new(&message.id)
        .field("subject", message.title())
        .field("from", message.from.to_string())
        .field("to", names(&message.to_recipients))
        .field("cc", names(&message.cc_recipients))
        .field("received", message.received_date_time.as_str())
        .field("preview", message.body_preview.trim())
        .field("categories", message.categories.clone());
    for (name, set) in [
        ("unread", !message.is_read),
        ("draft", message.is_draft),
        ("has_attachments", message.has_attachments),
        ("flagged", message.flag.flag_status == "flagged"),
    ] {
        if set {
            item.set(name, true);
        }
    }
    if !matches!(message.importance.as_str(), "" | "normal") {
        item.set("importance", message.importance.as_str());
    }
    item.set("thread", message.conversation_id.as_str());
    item.uri = uri(cx, mailbox, &message.id);
    if !message.web_link.is_empty() {
        item.url = Some(message.web_link.clone());
    }
    item
}

/// An attachment as a row: its `ref` is what `attachments` of a message that is sent take.
fn attached(cx: &Cx, message: &str, attachment: &Attachment) -> serde_json::Value {
    let mut row = json!({
        "id": attachment.id, "name": attachment.name, "size": attachment.size,
        "ref": cx.uri(&format!("mail/{}/attachments/{}", encode(message), encode(&attachment.id))),
    });
    if !attachment.content_type.is_empty() {
        row["media"] = json!(attachment.content_type);
    }
    if attachment.is_inline {
        row["inline"] = json!(true);
    }
    row
}

/// Reads addresses of an argument.
fn addresses(texts: &[String]) -> Result<Vec<Address>, ToolError> {
    texts
        .iter()
        .map(|text| text.parse::<Address>().map_err(ToolError::from))
        .collect()
}

/// A missing message in words that help.
fn seen<T>(what: &str, id: &str, found: Result<T, ProviderError>) -> Result<T, ToolError> {
    found.map_err(|error| match error {
        ProviderError::NotFound => ToolError::NotFound(format!(
            "there is no {what} `{}` in this mailbox; it may be deleted, or `mailbox` must name whose it is",
            crate::kit::text::clip(id, 60)
        )),
        error => error.into(),
    })
}

/// A message that was written and could not be sent stays as a draft, which a second try must use.
fn unsent(draft: &str, error: &ProviderError) -> ToolError {
    ToolError::Conflict(format!(
        "the message was not sent ({error}) and is kept as a draft: try again with m365_send_mail and `draft_id` {draft}"
    ))
}
