//! Reading mail: requests, and a message as a person sees it.

use base64::Engine as _;
use base64::engine::general_purpose::{URL_SAFE, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::super::asks::{all, seen, utc};
use super::labels::LabelNames;
use super::model::{Listed, Message, Part, SendAs, SendAsList, Thread};
use crate::kit::client::ProviderClient;
use crate::kit::documents::markdown_of_html;
use crate::kit::error::{ProviderError, ToolError};
use crate::kit::mail::{Address, without_history};
use crate::kit::output::Item;
use crate::kit::text;
use crate::kit::tool::Cx;
use crate::kit::uri::encode;

/// Largest answer of one thread or attachment: Gmail takes 25 MB of files, which base64 makes a third larger.
pub(in super::super) const MAX_BYTES: usize = 36 * 1024 * 1024;
/// Characters of a snippet.
const SNIPPET: usize = 200;
/// Addresses that a row shows of each field.
const ADDRESSES: usize = 12;

/// Gmail's own host.
pub(in super::super) fn gmail(cx: &Cx) -> ProviderClient {
    cx.api.at("gmail")
}

/// A path below the mailbox.
pub(in super::super) fn me<'a>(rest: &[&'a str]) -> Vec<&'a str> {
    let mut path = vec!["gmail", "v1", "users", "me"];
    path.extend(rest);
    path
}

/// A thread with headers and snippets only.
async fn overview(cx: &Cx, id: &str) -> Result<Thread, ProviderError> {
    let mut request = gmail(cx).get(&me(&["threads", id]));
    request = request.query("format", "metadata");
    for header in ["From", "To", "Subject"] {
        request = request.query("metadataHeaders", header);
    }
    request.send().await
}

/// A message with headers and snippet only.
pub(in super::super) async fn envelope(cx: &Cx, id: &str) -> Result<Message, ProviderError> {
    let mut request = gmail(cx).get(&me(&["messages", id]));
    request = request.query("format", "metadata");
    for header in ["From", "To", "Subject"] {
        request = request.query("metadataHeaders", header);
    }
    request.send().await
}

/// A whole thread.
pub(super) async fn thread(cx: &Cx, id: &str) -> Result<Thread, ProviderError> {
    let request = gmail(cx).get(&me(&["threads", id]));
    request
        .query("format", "full")
        .max_bytes(MAX_BYTES)
        .send()
        .await
}

/// A whole message.
pub(super) async fn message(cx: &Cx, id: &str) -> Result<Message, ProviderError> {
    let request = gmail(cx).get(&me(&["messages", id]));
    request
        .query("format", "full")
        .max_bytes(MAX_BYTES)
        .send()
        .await
}

/// The addresses that the person may send from.
pub(super) async fn send_as(cx: &Cx) -> Result<Vec<SendAs>, ProviderError> {
    let request = gmail(cx).get(&me(&["settings", "sendAs"]));
    let list: SendAsList = request.send().await?;
    Ok(list.send_as)
}

/// The ids of a page of threads or messages.
pub(super) async fn listed(
    cx: &Cx,
    kind: Kind,
    q: &str,
    label: Option<&str>,
    limit: u32,
    page: Option<&str>,
) -> Result<Listed, ProviderError> {
    let request = gmail(cx).get(&me(&[kind.path()]));
    request
        .query_opt("q", Some(q).filter(|q| !q.is_empty()))
        .query_opt("labelIds", label)
        .query("maxResults", limit)
        .query_opt("pageToken", page)
        .send()
        .await
}

/// What a row or an id is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub(in super::super) enum Kind {
    #[default]
    Thread,
    Message,
}

impl Kind {
    /// Its collection at Gmail and in addresses of blocks.
    pub(in super::super) const fn path(self) -> &'static str {
        match self {
            Self::Thread => "threads",
            Self::Message => "messages",
        }
    }

    pub(in super::super) const fn word(self) -> &'static str {
        match self {
            Self::Thread => "thread",
            Self::Message => "message",
        }
    }
}

/// Rows of these threads or messages, in their order. One that was deleted meanwhile is left out.
pub(super) async fn rows(
    cx: &Cx,
    kind: Kind,
    ids: &[String],
    labels: &LabelNames,
) -> Result<Vec<Item>, ToolError> {
    let reads = ids.iter().map(|id| async move {
        match kind {
            Kind::Thread => overview(cx, id)
                .await
                .map(|thread| thread_row(cx, &thread, labels)),
            Kind::Message => envelope(cx, id)
                .await
                .map(|message| message_row(cx, &message, labels)),
        }
    });
    let mut items = Vec::new();
    for read in all(reads.collect()).await {
        match read {
            Ok(item) => items.push(item),
            Err(ProviderError::NotFound) => {}
            Err(other) => return Err(other.into()),
        }
    }
    Ok(items)
}

fn thread_row(cx: &Cx, thread: &Thread, labels: &LabelNames) -> Item {
    let item = item(cx, Kind::Thread, &thread.id);
    let (Some(first), Some(last)) = (thread.messages.first(), thread.messages.last()) else {
        return item;
    };
    let mut people: Vec<String> = Vec::new();
    for message in &thread.messages {
        for address in addresses(message.header("From")) {
            let shown = address.to_string();
            if !people.contains(&shown) {
                people.push(shown);
            }
        }
    }
    people.truncate(ADDRESSES);
    let ids = thread
        .messages
        .iter()
        .flat_map(|message| &message.label_ids);
    item.field("subject", first.header("Subject"))
        .field("from", people)
        .field("to", shown(last.header("To")))
        .field("date", utc(last.seconds()))
        .field("messages", thread.messages.len())
        .field(
            "unread",
            flag(thread.messages.iter().any(|one| one.has("UNREAD"))),
        )
        .field("labels", labels.shown(ids))
        .field("last_message_id", last.id.as_str())
        .field("snippet", snippet(&last.snippet))
}

fn message_row(cx: &Cx, message: &Message, labels: &LabelNames) -> Item {
    item(cx, Kind::Message, &message.id)
        .field("thread_id", message.thread_id.as_str())
        .field("subject", message.header("Subject"))
        .field("from", message.header("From"))
        .field("to", shown(message.header("To")))
        .field("date", utc(message.seconds()))
        .field("unread", flag(message.has("UNREAD")))
        .field("labels", labels.shown(&message.label_ids))
        .field("snippet", snippet(&message.snippet))
}

/// An item with its three names.
pub(in super::super) fn item(cx: &Cx, kind: Kind, id: &str) -> Item {
    Item::new(id)
        .url(url(cx, id))
        .uri(cx.uri(&format!("mail/{}/{}", kind.path(), encode(id))))
}

/// Gmail's own page; `authuser` picks the account in a browser that knows several.
pub(super) fn url(cx: &Cx, id: &str) -> String {
    format!(
        "https://mail.google.com/mail/?authuser={}#all/{}",
        encode(&cx.account.label),
        encode(id)
    )
}

/// True, or nothing at all: what is not so is not said.
pub(super) fn flag(is: bool) -> Value {
    if is { json!(true) } else { Value::Null }
}

/// Gmail's snippets are HTML text.
pub(super) fn snippet(text: &str) -> String {
    let mut plain = text.to_owned();
    for (entity, character) in [
        ("&#39;", "'"),
        ("&quot;", "\""),
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&amp;", "&"),
    ] {
        plain = plain.replace(entity, character);
    }
    text::clip(&text::visible(plain), SNIPPET)
}

/// A header's addresses. What is no address is left out.
pub(super) fn addresses(header: &str) -> Vec<Address> {
    let parts = split(header);
    parts.iter().filter_map(|part| part.parse().ok()).collect()
}

/// The parts of a list of addresses; a comma between quotes separates nothing.
pub(super) fn split(list: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let (mut quoted, mut escaped) = (false, false);
    for c in list.chars() {
        if c == ',' && !quoted {
            parts.push(String::new());
            continue;
        }
        if c == '"' && !escaped {
            quoted = !quoted;
        }
        escaped = c == '\\' && !escaped;
        if let Some(part) = parts.last_mut() {
            part.push(c);
        }
    }
    let trimmed = parts.iter().map(|part| part.trim().to_owned());
    trimmed.filter(|part| !part.is_empty()).collect()
}

/// The first few addresses of a header, as they are written.
pub(in super::super) fn shown(header: &str) -> Vec<String> {
    let all = addresses(header);
    let mut some: Vec<String> = all
        .iter()
        .take(ADDRESSES)
        .map(ToString::to_string)
        .collect();
    if all.len() > ADDRESSES {
        some.push(format!("… and {} more", all.len() - ADDRESSES));
    }
    some
}

/// The text of a message.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Text {
    /// Markdown.
    pub(super) text: String,
    /// Whether quoted history was left out.
    pub(super) trimmed: bool,
}

/// What the message says, without the messages that it quotes unless they are wanted.
pub(super) fn body(message: &Message, with_history: bool) -> Text {
    let mut plain = String::new();
    let mut html = String::new();
    gather(&message.payload, &mut plain, &mut html);
    let whole = if plain.trim().is_empty() {
        markdown_of_html(&html)
    } else {
        plain.replace("\r\n", "\n")
    };
    let whole = text::visible(whole);
    if with_history {
        return Text {
            text: whole.trim().to_owned(),
            trimmed: false,
        };
    }
    let (text, trimmed) = without_history(&whole);
    // A message that only quotes says what it quotes.
    if text.trim().is_empty() {
        return Text {
            text: whole.trim().to_owned(),
            trimmed: false,
        };
    }
    Text {
        text: text.trim().to_owned(),
        trimmed,
    }
}

fn gather(part: &Part, plain: &mut String, html: &mut String) {
    let kind = part.mime_type.to_ascii_lowercase();
    // A file, or a message that came along as one, says nothing for this message.
    if !part.filename.is_empty() || kind == "message/rfc822" {
        return;
    }
    if !part.body.data.is_empty() {
        // Other kinds of text are for programs: invitations, pages that move.
        let into = match kind.as_str() {
            "text/html" => Some(&mut *html),
            "text/plain" => Some(&mut *plain),
            _ => None,
        };
        if let Some(into) = into {
            if !into.is_empty() {
                into.push('\n');
            }
            into.push_str(&String::from_utf8_lossy(&decoded(&part.body.data)));
        }
    }
    for inner in &part.parts {
        gather(inner, plain, html);
    }
}

/// base64url, with or without padding: Gmail writes both.
pub(super) fn decoded(data: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD
        .decode(data.trim_end_matches('='))
        .or_else(|_| URL_SAFE.decode(data))
        .unwrap_or_default()
}

/// The files of a message, in its order.
pub(super) fn files(message: &Message) -> Vec<&Part> {
    fn walk<'a>(part: &'a Part, found: &mut Vec<&'a Part>) {
        if !part.filename.is_empty() {
            found.push(part);
        }
        for inner in &part.parts {
            walk(inner, found);
        }
    }
    let mut found = Vec::new();
    walk(&message.payload, &mut found);
    found
}

/// The files as a list to choose from; `ref` is what arguments take.
pub(super) fn listing(message: &Message) -> Vec<Value> {
    files(message)
        .iter()
        .map(|part| {
            json!({
                "ref": format!("{}/{}", message.id, part.part_id),
                "name": text::visible(part.filename.clone()),
                "media": part.mime_type,
                "bytes": part.body.size,
            })
        })
        .collect()
}

/// The file of a message that `part` names: its number in the message, or its name.
pub(super) fn file<'a>(message: &'a Message, part: &str) -> Result<&'a Part, ToolError> {
    let files = files(message);
    let found = files
        .iter()
        .find(|own| own.part_id == part)
        .or_else(|| files.iter().find(|own| own.filename == part))
        .or_else(|| {
            files
                .iter()
                .find(|own| own.filename.eq_ignore_ascii_case(part))
        });
    found.copied().ok_or_else(|| {
        let names: Vec<&str> = files.iter().map(|own| own.filename.as_str()).collect();
        ToolError::NotFound(if names.is_empty() {
            format!("message {} has no attachment", message.id)
        } else {
            format!(
                "message {} has no attachment `{}`; it has {}",
                message.id,
                text::clip(&text::printable(part), 80),
                text::clip(&names.join(", "), 300)
            )
        })
    })
}

/// The bytes of a file.
pub(super) async fn bytes(cx: &Cx, message: &Message, part: &Part) -> Result<Vec<u8>, ToolError> {
    if !part.body.data.is_empty() {
        return Ok(decoded(&part.body.data));
    }
    let id = part.body.attachment_id.as_str();
    let path = me(&["messages", &message.id, "attachments", id]);
    let request = gmail(cx).get(&path).max_bytes(MAX_BYTES);
    let found = request.send::<super::model::Body>().await;
    let found = seen(cx, &format!("attachment `{}`", part.filename), found)?;
    Ok(decoded(&found.data))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_addresses_are_split_outside_quotes() {
        let emails = |header| -> Vec<String> {
            addresses(header).into_iter().map(|one| one.email).collect()
        };
        assert_eq!(
            emails("\"Whitfield, Dana\" <dana@northwind.example>, bob@acme.example"),
            ["dana@northwind.example", "bob@acme.example"]
        );
        assert_eq!(emails("undisclosed-recipients:;"), Vec::<String>::new());
        assert_eq!(emails(""), Vec::<String>::new());
    }

    #[test]
    fn snippets_are_plain_text() {
        assert_eq!(snippet("It&#39;s &lt;b&gt; &amp;amp;"), "It's <b> &amp;");
    }

    #[test]
    fn the_plain_text_is_preferred_and_files_are_none_of_it() {
        let data = |text: &str| URL_SAFE_NO_PAD.encode(text);
        let part = |kind: &str, name: &str, text: &str| Part {
            mime_type: kind.to_owned(),
            filename: name.to_owned(),
            body: super::super::model::Body {
                data: data(text),
                ..Default::default()
            },
            ..Part::default()
        };
        let message = |parts| Message {
            payload: Part {
                mime_type: "multipart/mixed".to_owned(),
                parts,
                ..Part::default()
            },
            ..Message::default()
        };
        let both = message(vec![
            part("text/plain", "", "Hello\r\nDana"),
            part("text/html", "", "<p>Hello Dana</p>"),
            part("text/plain", "notes.txt", "not this"),
        ]);
        assert_eq!(body(&both, true).text, "Hello\nDana");
        assert_eq!(files(&both).len(), 1);
        let attached = Part {
            parts: vec![part("text/plain", "", "an older message")],
            ..part("message/rfc822", "", "")
        };
        let busy = message(vec![
            part("text/plain", "", "Hello"),
            part("text/x-amp-html", "", "<html amp4email>"),
            part("text/calendar", "", "BEGIN:VCALENDAR"),
            attached.clone(),
            Part {
                filename: "older.eml".to_owned(),
                ..attached
            },
        ]);
        assert_eq!(body(&busy, true).text, "Hello");
        let html = message(vec![part("text/html", "", "<p>Hello <b>Dana</b></p>")]);
        assert_eq!(body(&html, true).text, "Hello **Dana**");
    }
}
