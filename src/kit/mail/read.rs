//! Reading a message.

use mail_parser::{HeaderValue, MessageParser, MimeHeaders as _, PartType};

use super::compose::bare;
use super::{Address, MailError};
use crate::kit::Timestamp;
use crate::kit::documents::markdown_of_html;
use crate::kit::text;

/// The text of a message in bytes, from which on no further part of it is read. HTML may become many times as long, and a
/// message has as many parts as it likes.
const BODY_BYTES: usize = 8 << 20;

/// A file that came along, by what is said of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attached {
    /// Its name; `message` and a number when it has none.
    pub name: String,
    /// Its media type.
    pub media: String,
    /// Its size in bytes, decoded.
    pub size: usize,
}

/// A message that arrived.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Incoming {
    /// The sender.
    pub from: Option<Address>,
    /// Recipients.
    pub to: Vec<Address>,
    /// Recipients of a copy.
    pub cc: Vec<Address>,
    /// Where answers go, when that is not the sender.
    pub reply_to: Vec<Address>,
    /// The subject, decoded.
    pub subject: String,
    /// When it was sent.
    pub date: Option<Timestamp>,
    /// Its identifier, without angle brackets.
    pub message_id: Option<String>,
    /// The thread before it, oldest first.
    pub references: Vec<String>,
    /// The text; of an HTML message, its Markdown.
    pub text: String,
    /// What is attached.
    pub attachments: Vec<Attached>,
}

/// Reads a message as it went over the wire.
pub fn parse(raw: &[u8]) -> Result<Incoming, MailError> {
    let message = MessageParser::default()
        .parse(raw)
        .filter(|message| !message.headers().is_empty())
        .ok_or(MailError::NotMail)?;
    let mut body = joined(message.text_bodies().filter_map(|part| match &part.body {
        PartType::Text(text) => Some(text.trim().to_owned()),
        PartType::Html(html) => Some(markdown_of_html(html)),
        PartType::Binary(_)
        | PartType::InlineBinary(_)
        | PartType::Message(_)
        | PartType::Multipart(_) => None,
    }));
    // A text part that only says that there is an HTML part, or nothing.
    if body.trim().is_empty() {
        body = joined(message.html_bodies().filter_map(|part| match &part.body {
            PartType::Html(html) => Some(markdown_of_html(html)),
            PartType::Text(_)
            | PartType::Binary(_)
            | PartType::InlineBinary(_)
            | PartType::Message(_)
            | PartType::Multipart(_) => None,
        }));
    }
    let attachments = message
        .attachments()
        .enumerate()
        .map(|(at, part)| Attached {
            name: part
                .attachment_name()
                .map(text::printable)
                .filter(|name| !name.is_empty())
                .unwrap_or_else(|| format!("attachment {}", at + 1)),
            media: part.content_type().map_or_else(
                || "application/octet-stream".to_owned(),
                |media| {
                    let subtype = media.subtype().unwrap_or("octet-stream");
                    text::printable(&format!("{}/{subtype}", media.ctype())).to_lowercase()
                },
            ),
            size: part.len(),
        })
        .collect();
    Ok(Incoming {
        from: addresses(message.from()).into_iter().next(),
        to: addresses(message.to()),
        cc: addresses(message.cc()),
        reply_to: addresses(message.reply_to()),
        subject: text::printable(message.subject().unwrap_or_default())
            .trim()
            .to_owned(),
        date: message
            .date()
            .filter(|date| date.is_valid())
            .and_then(|date| date.to_timestamp().checked_mul(1_000_000))
            .map(Timestamp::from_micros),
        message_id: message.message_id().map(|id| bare(id).to_owned()),
        references: ids(message.references()),
        text: body.replace("\r\n", "\n").trim().to_owned(),
        attachments,
    })
}

/// The texts one after the other, as far as anybody reads.
fn joined(texts: impl Iterator<Item = String>) -> String {
    let mut body = String::new();
    for text in texts.filter(|text| !text.is_empty()) {
        if !body.is_empty() {
            body.push_str("\n\n");
        }
        body.push_str(&text);
        if body.len() > BODY_BYTES {
            break;
        }
    }
    body
}

/// The addresses of a header, those of groups included.
fn addresses(header: Option<&mail_parser::Address<'_>>) -> Vec<Address> {
    let Some(header) = header else {
        return Vec::new();
    };
    header
        .iter()
        .filter_map(|address| {
            Some(Address {
                name: address
                    .name()
                    .map(|name| text::printable(name).trim().to_owned())
                    .filter(|name| !name.is_empty()),
                email: text::printable(address.address()?).trim().to_owned(),
            })
        })
        .filter(|address| !address.email.is_empty())
        .collect()
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the library's kinds that say nothing here"
)]
fn ids(value: &HeaderValue<'_>) -> Vec<String> {
    match value {
        HeaderValue::Text(id) => vec![bare(id).to_owned()],
        HeaderValue::TextList(ids) => ids.iter().map(|id| bare(id).to_owned()).collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test says what went wrong by failing")]
    use super::*;

    #[test]
    fn messages_are_read() {
        for (raw, subject, text) in [
            ("Subject: a\r\n\r\nbody\r\n", "a", "body"),
            ("Subject: a\n\nbody", "a", "body"),
            (
                "Subject: =?iso-8859-1?Q?caf=E9?= =?utf-8?B?4oKs?=\n\nx",
                "café€",
                "x",
            ),
            ("Content-Type: text/html\n\n<p>a<p>b", "", "a\n\nb"),
            (
                "Content-Type: text/plain; charset=windows-1252\nContent-Transfer-Encoding: quoted-printable\n\n=80 5",
                "",
                "€ 5",
            ),
            (
                "Content-Type: multipart/alternative; boundary=x\n\n--x\nContent-Type: text/plain\n\n \n--x\nContent-Type: text/html\n\n<b>html</b>\n--x--",
                "",
                "**html**",
            ),
            ("Subject: no body\n\n", "no body", ""),
        ] {
            let read = parse(raw.as_bytes()).unwrap();
            assert_eq!(
                (read.subject.as_str(), read.text.as_str()),
                (subject, text),
                "{raw}"
            );
        }
        assert_eq!(parse(b""), Err(MailError::NotMail));
    }

    #[test]
    fn groups_and_forwarded_messages() {
        let raw = "From: dana@x.example\nTo: Team: Alice <a@x.example>, b@x.example;\nContent-Type: multipart/mixed; boundary=x\n\n\
                   --x\nContent-Type: text/plain\n\nsee below\n--x\nContent-Type: message/rfc822\n\nSubject: inner\n\nInner text\n--x--";
        let read = parse(raw.as_bytes()).unwrap();
        assert_eq!(read.to.len(), 2);
        assert_eq!(read.text, "see below");
        assert_eq!(read.attachments.len(), 1);
        assert_eq!(read.attachments[0].media, "message/rfc822");
    }

    #[test]
    fn many_parts_are_read_as_far_as_anybody_reads() {
        // Each row is filled up to the widest one.
        let rows = format!(
            "<tr>{}</tr>{}",
            "<td>x".repeat(200),
            "<tr><td>x<td>y".repeat(4_000)
        );
        let part = format!("--x\nContent-Type: text/html\n\n<table>{rows}</table>\n");
        let raw = |parts: usize| {
            let parts = part.repeat(parts);
            format!("Content-Type: multipart/mixed; boundary=x\n\n{parts}--x--")
        };
        let one = parse(raw(1).as_bytes()).unwrap().text.len();
        assert!(one > 10 * part.len());
        let all = parse(raw(40).as_bytes()).unwrap().text.len();
        assert!((BODY_BYTES..=BODY_BYTES + one + 2).contains(&all), "{all}");
    }

    proptest::proptest! {
        #[test]
        fn nothing_panics(raw in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..500)) {
            let _ = parse(&raw);
        }
    }
}
