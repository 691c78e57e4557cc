//! Gmail's JSON, only the fields that are read.

use serde::Deserialize;

/// A message, as much of it as the format asked for has.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(in super::super) struct Message {
    pub(in super::super) id: String,
    pub(in super::super) thread_id: String,
    pub(in super::super) label_ids: Vec<String>,
    pub(in super::super) snippet: String,
    pub(in super::super) history_id: String,
    /// Milliseconds since 1970, as text.
    pub(in super::super) internal_date: String,
    pub(in super::super) payload: Part,
}

/// A MIME part.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(in super::super) struct Part {
    pub(in super::super) part_id: String,
    pub(in super::super) mime_type: String,
    pub(in super::super) filename: String,
    pub(in super::super) headers: Vec<Header>,
    pub(in super::super) body: Body,
    pub(in super::super) parts: Vec<Part>,
}

/// A header, decoded.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(in super::super) struct Header {
    pub(in super::super) name: String,
    pub(in super::super) value: String,
}

/// What a part holds, or where to get it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(in super::super) struct Body {
    /// Changes with every request.
    pub(in super::super) attachment_id: String,
    pub(in super::super) size: u64,
    /// base64url.
    pub(in super::super) data: String,
}

/// A thread.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(in super::super) struct Thread {
    pub(in super::super) id: String,
    pub(in super::super) history_id: String,
    pub(in super::super) messages: Vec<Message>,
}

/// One page of threads or messages: ids only.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(in super::super) struct Listed {
    pub(in super::super) threads: Vec<Named>,
    pub(in super::super) messages: Vec<Named>,
    pub(in super::super) next_page_token: Option<String>,
}

/// The id of something.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(in super::super) struct Named {
    pub(in super::super) id: String,
}

/// A label.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(in super::super) struct Label {
    pub(in super::super) id: String,
    pub(in super::super) name: String,
    /// `system` or `user`.
    pub(in super::super) r#type: String,
    pub(in super::super) label_list_visibility: String,
    pub(in super::super) color: Option<Color>,
    pub(in super::super) threads_total: u64,
    pub(in super::super) threads_unread: u64,
}

/// A label's colours.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(in super::super) struct Color {
    pub(in super::super) background_color: String,
}

/// All labels.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in super::super) struct Labels {
    pub(in super::super) labels: Vec<Label>,
}

/// A draft.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in super::super) struct Draft {
    pub(in super::super) id: String,
    pub(in super::super) message: Message,
}

/// An address that the person may send from.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(in super::super) struct SendAs {
    pub(in super::super) send_as_email: String,
    pub(in super::super) display_name: String,
    pub(in super::super) reply_to_address: String,
    pub(in super::super) is_primary: bool,
    pub(in super::super) is_default: bool,
    /// `accepted` or `pending`; nothing for the primary address.
    pub(in super::super) verification_status: String,
}

/// All of them.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(in super::super) struct SendAsList {
    pub(in super::super) send_as: Vec<SendAs>,
}

/// The mailbox in numbers.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(in super::super) struct Profile {
    pub(in super::super) email_address: String,
    pub(in super::super) messages_total: u64,
    pub(in super::super) threads_total: u64,
    pub(in super::super) history_id: String,
}

impl Message {
    /// A header of the message; empty when it has none of this name.
    pub(in super::super) fn header(&self, name: &str) -> &str {
        let headers = self.payload.headers.iter();
        let mut named = headers.filter(|header| header.name.eq_ignore_ascii_case(name));
        named.next().map_or("", |header| &header.value)
    }

    /// Whether it has the label.
    pub(in super::super) fn has(&self, label: &str) -> bool {
        self.label_ids.iter().any(|id| id == label)
    }

    /// When Gmail got it, in seconds since 1970.
    pub(in super::super) fn seconds(&self) -> i64 {
        self.internal_date.parse::<i64>().unwrap_or_default() / 1_000
    }
}
