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
use super::refs::is_personal;
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

/// Fails when somebody else's mailbox is asked for without the permission that this takes beyond those for one's own.
/// Personal accounts cannot have it; Microsoft answers for itself there.
pub(super) fn shared(cx: &Cx, mailbox: &str, scope: &str) -> Result<(), ToolError> {
    if others(cx, mailbox).is_empty() || is_personal(cx) {
        return Ok(());
    }
    cx.require(scope)
}

/// Somebody else's mailbox; empty for the own one, by whatever name.
pub(super) fn others<'a>(cx: &Cx, mailbox: &'a str) -> &'a str {
    if mailbox.eq_ignore_ascii_case(&cx.account.label) {
        ""
    } else {
        mailbox
    }
}

/// The address of a message's block; there is none for somebody else's mailbox.
pub(super) fn uri(cx: &Cx, mailbox: &str, id: &str) -> Option<String> {
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

/// What `attachments` of a message that is sent take, below the account's address; they are read from one's own mailbox.
fn reference(mailbox: &str, message: &str, attachment: &str) -> Option<String> {
    mailbox.is_empty().then(|| {
        format!(
            "mail/{}/attachments/{}",
            encode(message),
            encode(attachment)
        )
    })
}

/// An attachment as a row.
fn attached(cx: &Cx, mailbox: &str, message: &str, attachment: &Attachment) -> serde_json::Value {
    let mut row = json!({ "id": attachment.id, "name": attachment.name, "size": attachment.size });
    if let Some(reference) = reference(mailbox, message, &attachment.id) {
        row["ref"] = json!(cx.uri(&reference));
    }
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

/// A message that was written and could not be sent stays as a draft, which a second try must use. When no answer came, it
/// may be gone all the same.
fn unsent(mailbox: &str, draft: &str, error: &ProviderError) -> ToolError {
    let (place, argument) = if mailbox.is_empty() {
        (String::new(), String::new())
    } else {
        (format!(" of {mailbox}"), format!(", `mailbox` {mailbox}"))
    };
    let again = format!("try again with m365_send_mail and `draft_id` {draft}{argument}");
    let unknown = matches!(
        error,
        ProviderError::Timeout | ProviderError::Unavailable { .. }
    );
    ToolError::Conflict(if unknown {
        format!(
            "the message may have been sent ({error}): look for it in Sent Items{place} first; only if it is still a draft, {again}"
        )
    } else {
        format!("the message was not sent ({error}) and is kept as a draft{place}: {again}")
    })
}

/// A draft of ours that could not be finished. It must not be sent as it is, and a second try would leave a second one.
fn unfinished(mailbox: &str, draft: &str, error: &ToolError) -> ToolError {
    ToolError::Conflict(if mailbox.is_empty() {
        format!(
            "nothing was sent ({error}); an unfinished draft is left: delete it with m365_delete_item (kind mail, id {draft}) before trying again"
        )
    } else {
        format!(
            "nothing was sent ({error}); an unfinished draft is left in {mailbox}: delete it there (id {draft}) before trying again"
        )
    })
}

/// A draft of the person's that could not be finished.
fn half_attached(error: &ToolError) -> ToolError {
    ToolError::Conflict(format!(
        "nothing was sent ({error}); the draft is kept, and some of the attachments may hang on it: look at it before trying again"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_have_been_sent_is_looked_for_first() {
        let said = |mailbox, error| unsent(mailbox, "D1", &error).to_string();
        let text = said("team@acme.example", ProviderError::Timeout);
        assert!(text.contains("may have been sent"), "{text}");
        assert!(
            text.contains("Sent Items of team@acme.example first"),
            "{text}"
        );
        assert!(
            text.ends_with("`draft_id` D1, `mailbox` team@acme.example"),
            "{text}"
        );
        let text = said("", ProviderError::RateLimited { retry_after_s: 9 });
        assert!(text.starts_with("the message was not sent"), "{text}");
        assert!(text.ends_with("`draft_id` D1"), "{text}");
    }

    #[test]
    fn attachments_of_other_mailboxes_have_no_reference() {
        assert_eq!(
            reference("", "A/1", "2").as_deref(),
            Some("mail/A%2F1/attachments/2")
        );
        assert_eq!(reference("team@acme.example", "A/1", "2"), None);
    }
}
