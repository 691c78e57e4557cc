//! What Graph says of mail, events and people, only the fields that are read. Graph nulls what is not set, so an odd
//! record costs a field and not the answer.

use serde::Deserialize;
use serde::de::Deserializer;
use serde_json::{Value, json};

use crate::kit::mail::Address;

/// Null reads as the type's default.
pub(super) fn or_default<'de, T: Deserialize<'de> + Default, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// A name and an address.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(super) struct EmailAddress {
    #[serde(deserialize_with = "or_default")]
    pub(super) name: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) address: String,
}

/// Somebody that a message is from or to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Recipient {
    #[serde(deserialize_with = "or_default")]
    pub(super) email_address: EmailAddress,
}

impl std::fmt::Display for EmailAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (name, address) = (self.name.trim(), self.address.trim());
        if name.is_empty() || name.eq_ignore_ascii_case(address) {
            f.write_str(address)
        } else if address.is_empty() {
            f.write_str(name)
        } else {
            write!(f, "{name} <{address}>")
        }
    }
}

impl std::fmt::Display for Recipient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.email_address.fmt(f)
    }
}

/// Each as one text.
pub(super) fn names(recipients: &[Recipient]) -> Vec<String> {
    recipients.iter().map(ToString::to_string).collect()
}

/// An address as Graph takes it.
pub(super) fn recipient(address: &Address) -> Value {
    let mut email = json!({ "address": address.email });
    if let Some(name) = &address.name {
        email["name"] = json!(name);
    }
    json!({ "emailAddress": email })
}

/// A text with its kind.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Body {
    /// `text` or `html`.
    #[serde(deserialize_with = "or_default")]
    pub(super) content_type: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) content: String,
}

impl Body {
    /// As Markdown, or the text itself when it is no HTML.
    pub(super) fn markdown(&self) -> String {
        let text = if self.content_type.eq_ignore_ascii_case("html") {
            crate::kit::documents::markdown_of_html(&self.content)
        } else {
            self.content.replace("\r\n", "\n")
        };
        text.trim().to_owned()
    }
}

/// The flag that asks for something to be done.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Flag {
    #[serde(deserialize_with = "or_default")]
    pub(super) flag_status: String,
}

/// A message.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Message {
    pub(super) id: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) change_key: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) subject: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) from: Recipient,
    #[serde(deserialize_with = "or_default")]
    pub(super) to_recipients: Vec<Recipient>,
    #[serde(deserialize_with = "or_default")]
    pub(super) cc_recipients: Vec<Recipient>,
    #[serde(deserialize_with = "or_default")]
    pub(super) bcc_recipients: Vec<Recipient>,
    #[serde(deserialize_with = "or_default")]
    pub(super) reply_to: Vec<Recipient>,
    #[serde(deserialize_with = "or_default")]
    pub(super) received_date_time: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) conversation_id: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) parent_folder_id: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) body_preview: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) body: Body,
    #[serde(deserialize_with = "or_default")]
    pub(super) unique_body: Body,
    #[serde(deserialize_with = "or_default")]
    pub(super) is_read: bool,
    #[serde(deserialize_with = "or_default")]
    pub(super) is_draft: bool,
    #[serde(deserialize_with = "or_default")]
    pub(super) has_attachments: bool,
    #[serde(deserialize_with = "or_default")]
    pub(super) importance: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) flag: Flag,
    #[serde(deserialize_with = "or_default")]
    pub(super) categories: Vec<String>,
    #[serde(deserialize_with = "or_default")]
    pub(super) web_link: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) attachments: Vec<Attachment>,
}

impl Message {
    /// Everybody's address on it.
    pub(super) fn addresses(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&self.from)
            .chain(&self.to_recipients)
            .chain(&self.cc_recipients)
            .map(|recipient| recipient.email_address.address.as_str())
    }

    /// The subject, or words that say there is none.
    pub(super) fn title(&self) -> &str {
        if self.subject.trim().is_empty() {
            "(no subject)"
        } else {
            &self.subject
        }
    }
}

/// Something that hangs on a message or event.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Attachment {
    #[serde(rename = "@odata.type", deserialize_with = "or_default")]
    pub(super) kind: String,
    pub(super) id: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) name: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) content_type: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) size: u64,
    #[serde(deserialize_with = "or_default")]
    pub(super) is_inline: bool,
}

/// A folder of mail.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Folder {
    pub(super) id: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) display_name: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) unread_item_count: u64,
    #[serde(deserialize_with = "or_default")]
    pub(super) total_item_count: u64,
}
