//! Reading one thread or message, and the text of what is attached.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::super::asks::{seen, utc};
use super::super::auth::GMAIL_READ;
use super::super::room;
use super::labels::LabelNames;
use super::model::{Message, Thread};
use super::read::{self, Kind};
use super::tracked;
use crate::kit::args::Cursor;
use crate::kit::documents::{self, Wanted, extract, format_of};
use crate::kit::error::{ProviderError, ToolError};
use crate::kit::output::{Item, Output};
use crate::kit::people::Contact;
use crate::kit::text;
use crate::kit::tool::{AuditArgs, Cx, Effect, Needs, Tool};

/// Read a mail thread, newest message first, or one message, or the text of an attachment.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct GetMail {
    /// Of a thread or message.
    id: String,
    /// Tried in this order if absent.
    #[serde(default)]
    #[schemars(with = "Kind")]
    kind: Option<Kind>,
    /// With quoted history.
    #[serde(default)]
    history: bool,
    /// Name or `ref`: answers its text.
    #[serde(default)]
    attachment: String,
    /// Of the attachment, such as 3-7.
    #[serde(default)]
    pages: String,
    /// Of a workbook.
    #[serde(default)]
    sheet: String,
    #[serde(default)]
    cursor: Option<Cursor>,
}

/// Where a long thread goes on: how many of its messages, from the newest, were given.
#[derive(Serialize, Deserialize)]
struct Older {
    given: usize,
}

impl Tool for GetMail {
    const NAME: &'static str = "google_get_mail";
    const TITLE: &'static str = "Read mail";
    const EFFECT: Effect = Effect::Read;
    const SCOPES: Needs = Needs::All(&[GMAIL_READ]);
    const AUDIT: AuditArgs = AuditArgs {
        plain: &["id", "kind", "pages"],
        dropped: &[],
    };

    async fn call(self, cx: &Cx) -> Result<Output, ToolError> {
        let thread = self.find(cx).await?;
        if !self.attachment.is_empty() {
            return self.attached(cx, &thread).await;
        }
        let given = match &self.cursor {
            Some(cursor) => cursor.read::<Older>()?.given,
            None => 0,
        };
        let names = LabelNames::read(cx).await;
        let mut output = Output::default().total(Some(thread.messages.len() as u64));
        let mut left = cx.max_chars * 3 / 4;
        let mut shown: Vec<&Message> = Vec::new();
        for message in thread.messages.iter().rev().skip(given) {
            let text = read::body(message, self.history);
            let mut item = whole(cx, message, &names);
            let room = room::beside(cx, &mut item).min(left);
            let (body, cut) = room::clipped(&text.text, room);
            if cut && !shown.is_empty() {
                break;
            }
            left -= room.min(room::chars(&body));
            output.truncated |= cut;
            item.set("body", body);
            item.set("history_trimmed", read::flag(text.trimmed));
            item.set("body_cut", read::flag(cut));
            output.items.push(item);
            shown.push(message);
        }
        let done = given + shown.len();
        if done < thread.messages.len() {
            output.next_cursor = Some(Cursor::of(&Older { given: done }));
        }
        let known = known(cx, &shown).await;
        for (item, message) in output.items.iter_mut().zip(&shown) {
            let contacts = contacts(message, &known);
            // Beside a long text there may be no room for them.
            if room::chars(item) + room::chars(&contacts) < cx.max_chars * 9 / 10 {
                item.set("crm", contacts);
            }
        }
        tracked::notice(cx, &mut output).await;
        Ok(output)
    }
}

impl GetMail {
    /// The thread, or the message as a thread of one.
    async fn find(&self, cx: &Cx) -> Result<Thread, ToolError> {
        let id = self.id.trim();
        if self.kind != Some(Kind::Message) {
            let found = read::thread(cx, id).await;
            if self.kind == Some(Kind::Thread) || !matches!(found, Err(ProviderError::NotFound)) {
                return seen(cx, &format!("thread {id}"), found);
            }
        }
        let found = seen(cx, &format!("message {id}"), read::message(cx, id).await)?;
        Ok(Thread {
            id: found.thread_id.clone(),
            history_id: found.history_id.clone(),
            messages: vec![found],
        })
    }

    async fn attached(&self, cx: &Cx, thread: &Thread) -> Result<Output, ToolError> {
        let (of, part) = match self.attachment.split_once('/') {
            Some((of, part)) if thread.messages.iter().any(|own| own.id == of) => (Some(of), part),
            _ => (None, self.attachment.as_str()),
        };
        let mut newest_first = thread.messages.iter().rev();
        let message = match of {
            Some(of) => newest_first.find(|own| own.id == of),
            None => newest_first.find(|own| read::file(own, part).is_ok()),
        };
        let message = message
            .or(thread.messages.last())
            .ok_or_else(|| ToolError::NotFound(format!("thread {} has no messages", thread.id)))?;
        let part = read::file(message, part)?;
        let bytes = read::bytes(cx, message, part).await?;
        let Some(format) = format_of(&part.mime_type, &part.filename, &bytes) else {
            return Err(ToolError::Invalid(format!(
                "`attachment`: {} ({}) holds no text that can be read",
                text::clip(&text::printable(&part.filename), 80),
                text::clip(&text::printable(&part.mime_type), 80),
            )));
        };
        let mut item = Item::new(format!("{}/{}", message.id, part.part_id))
            .url(read::url(cx, &message.id))
            .uri(cx.uri(&format!("mail/messages/{}", message.id)))
            .field("name", text::visible(part.filename.clone()))
            .field("media", part.mime_type.as_str())
            .field("bytes", part.body.size);
        let room = room::beside(cx, &mut item);
        let wanted = Wanted {
            pages: documents::pages(&self.pages)?,
            sheet: Some(self.sheet.clone()).filter(|sheet| !sheet.is_empty()),
            range: None,
            // As JSON the text is longer, and the names of a workbook's sheets stand beside it. The same for every page,
            // because pages of what has none of its own are as long as this.
            max_chars: room - room / 4,
        };
        let found = extract(bytes, format, wanted).await?;
        let item = item
            .field("pages", json!(found.total))
            .field("sheets", room::listed(found.parts, room / 8))
            .field("next_page", json!(found.next_page))
            .field("text", found.text);
        let mut output = Output::one(item);
        output.truncated = found.truncated;
        output.warnings = found.notes;
        Ok(output)
    }
}

/// A message with everything but its text.
fn whole(cx: &Cx, message: &Message, names: &LabelNames) -> Item {
    read::item(cx, Kind::Message, &message.id)
        .field("thread_id", message.thread_id.as_str())
        .field("subject", message.header("Subject"))
        .field("from", message.header("From"))
        .field("to", read::shown(message.header("To")))
        .field("cc", read::shown(message.header("Cc")))
        .field("reply_to", message.header("Reply-To"))
        .field("date", utc(message.seconds()))
        .field("unread", read::flag(message.has("UNREAD")))
        .field("labels", names.shown(&message.label_ids))
        .field("attachments", read::listing(message))
}

/// Everyone who wrote or got these messages, as the other systems know them.
async fn known(cx: &Cx, messages: &[&Message]) -> Vec<Contact> {
    let own = cx.account.label.to_lowercase();
    let emails: Vec<String> = messages
        .iter()
        .flat_map(|message| participants(message))
        .filter(|email| *email != own)
        .collect();
    cx.people.find(emails.iter().map(String::as_str)).await
}

fn participants(message: &Message) -> Vec<String> {
    let fields = ["From", "To", "Cc"].iter();
    fields
        .flat_map(|field| read::addresses(message.header(field)))
        .map(|address| address.email.to_lowercase())
        .collect()
}

/// The contacts of this message's people.
fn contacts(message: &Message, known: &[Contact]) -> Value {
    let people = participants(message);
    let of_it = known.iter().filter(|own| people.contains(&own.email));
    json!(of_it.collect::<Vec<_>>())
}
