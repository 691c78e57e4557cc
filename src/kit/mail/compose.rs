//! Composing a message (RFC 5322, MIME).

use std::collections::HashSet;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use mail_builder::headers::Header as _;
use mail_builder::headers::address::{Address as Mailbox, EmailAddress};
use mail_builder::headers::content_type::ContentType;
use mail_builder::headers::date::Date;
use mail_builder::headers::message_id::MessageId;
use mail_builder::headers::text::Text;
use mail_builder::mime::{BodyPart, MimePart};
use sha2::{Digest as _, Sha256};

use super::{Address, MailError, is_email};
use crate::kit::Timestamp;

/// Recipients of one message, together. Google takes 500 and Microsoft 500.
const RECIPIENTS: usize = 500;

/// Characters of a subject; longer ones are cut by mail programs and some servers.
const SUBJECT_CHARS: usize = 900;

/// The longest message: what the providers take (Gmail 25 MB before encoding; base64 adds a third).
const MESSAGE_BYTES: usize = 36 << 20;

/// How many references are written: the first, which the thread began with, and the last ones.
const REFERENCES: usize = 40;

/// A file that goes along.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attachment {
    /// Its name.
    pub name: String,
    /// Its media type.
    pub media: String,
    /// Its content.
    pub bytes: Vec<u8>,
}

/// A message to send.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outgoing {
    /// The sender; the provider knows it when it is left out.
    pub from: Option<Address>,
    /// Recipients.
    pub to: Vec<Address>,
    /// Recipients of a copy.
    pub cc: Vec<Address>,
    /// Recipients of a copy that the others do not see.
    pub bcc: Vec<Address>,
    /// Where answers go.
    pub reply_to: Option<Address>,
    /// The subject.
    pub subject: String,
    /// The text.
    pub text: String,
    /// The text again, as HTML.
    pub html: Option<String>,
    /// Files that go along.
    pub attachments: Vec<Attachment>,
    /// The message that this one answers.
    pub in_reply_to: Option<String>,
    /// The messages of the thread before that one, oldest first: the `References` of the message that is answered.
    pub references: Vec<String>,
    /// Its own identifier; the provider gives one when it is left out.
    pub message_id: Option<String>,
}

impl Outgoing {
    /// The message as it goes over the wire. The same message and date give the same bytes. A draft may have no
    /// recipient yet; who sends, checks with [`Outgoing::check`] before.
    pub fn to_mime(&self, date: Timestamp) -> Result<Vec<u8>, MailError> {
        let size = self.text.len()
            + self.html.as_ref().map_or(0, String::len)
            + self
                .attachments
                .iter()
                .map(|file| file.bytes.len() / 3 * 4)
                .sum::<usize>();
        if size > MESSAGE_BYTES {
            return Err(MailError::TooLarge(MESSAGE_BYTES >> 20));
        }
        if self.to.len() + self.cc.len() + self.bcc.len() > RECIPIENTS {
            return Err(MailError::TooManyRecipients(RECIPIENTS));
        }
        if self.subject.chars().count() > SUBJECT_CHARS {
            return Err(MailError::Subject(SUBJECT_CHARS));
        }
        let mut out = Vec::with_capacity(size + 4096);
        addresses(&mut out, "From", self.from.as_slice())?;
        addresses(&mut out, "To", &self.to)?;
        addresses(&mut out, "Cc", &self.cc)?;
        addresses(&mut out, "Bcc", &self.bcc)?;
        addresses(&mut out, "Reply-To", self.reply_to.as_slice())?;
        out.extend_from_slice(b"Subject: ");
        Text::new(one_line(&self.subject)).write_header(&mut out, "Subject: ".len());
        out.extend_from_slice(b"Date: ");
        Date::new(date.seconds()).write_header(&mut out, "Date: ".len());
        ids(&mut out, "Message-ID", self.message_id.as_slice())?;
        ids(&mut out, "In-Reply-To", self.in_reply_to.as_slice())?;
        ids(&mut out, "References", &self.thread())?;
        out.extend_from_slice(b"MIME-Version: 1.0\r\n");
        self.body()?.write_part(&mut out);
        Ok(out)
    }

    /// Whether there is somebody to send it to.
    pub fn check(&self) -> Result<(), MailError> {
        if self.to.is_empty() && self.cc.is_empty() && self.bcc.is_empty() {
            return Err(MailError::NoRecipient);
        }
        Ok(())
    }

    /// The old references and the message that is answered, each once.
    fn thread(&self) -> Vec<String> {
        let all = self.references.iter().chain(&self.in_reply_to);
        // One that comes again stands where it came last. A stranger's message may name a million.
        let mut known: HashSet<&str> = HashSet::new();
        let mut thread: Vec<String> = all
            .rev()
            .map(|id| bare(id))
            .filter(|id| !id.is_empty() && known.insert(id))
            .map(ToOwned::to_owned)
            .collect();
        thread.reverse();
        if thread.len() > REFERENCES {
            thread.drain(1..=thread.len() - REFERENCES);
        }
        thread
    }

    fn body(&self) -> Result<MimePart<'_>, MailError> {
        let text = MimePart::new("text/plain", BodyPart::Text(self.text.as_str().into()));
        let body = match &self.html {
            None => text,
            Some(html) => {
                let html = MimePart::new("text/html", BodyPart::Text(html.as_str().into()));
                MimePart::new(self.multipart("alternative"), vec![text, html])
            }
        };
        if self.attachments.is_empty() {
            return Ok(body);
        }
        let mut parts = vec![body];
        for file in &self.attachments {
            let media = media(&file.media)?;
            let name = one_line(&file.name);
            let name = if name.is_empty() {
                "file".to_owned()
            } else {
                name
            };
            // The name stands in the type, too, for programs that look there only.
            let part = MimePart::new(
                ContentType::new(media).attribute("name", name.clone()),
                BodyPart::Binary(file.bytes.as_slice().into()),
            );
            parts.push(part.attachment(name));
        }
        Ok(MimePart::new(self.multipart("mixed"), parts))
    }

    /// A multipart whose boundary is made of the message, so that nothing here depends on the time, and that none of its
    /// parts can foresee.
    fn multipart(&self, kind: &str) -> ContentType<'static> {
        let mut hash = Sha256::new();
        hash.update(kind);
        hash.update(&self.text);
        hash.update(self.html.as_deref().unwrap_or_default());
        for file in &self.attachments {
            hash.update(&file.bytes);
        }
        let boundary = URL_SAFE_NO_PAD.encode(&hash.finalize()[..24]);
        ContentType::new(format!("multipart/{kind}")).attribute("boundary", format!("={boundary}="))
    }
}

/// Without line breaks and other control characters: a header is one line, whatever its value says.
fn one_line(text: &str) -> String {
    let spaced: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    spaced.trim().to_owned()
}

fn addresses(out: &mut Vec<u8>, name: &str, list: &[Address]) -> Result<(), MailError> {
    if list.is_empty() {
        return Ok(());
    }
    let mut boxes = Vec::with_capacity(list.len());
    for address in list {
        if !is_email(&address.email) {
            return Err(MailError::Address(one_line(&address.email)));
        }
        let name = address.name.as_deref().map(one_line);
        boxes.push(Mailbox::Address(EmailAddress {
            name: name.filter(|name| !name.is_empty()).map(Into::into),
            email: address.email.as_str().into(),
        }));
    }
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    Mailbox::List(boxes).write_header(out, name.len() + 2);
    Ok(())
}

/// An identifier without its angle brackets.
pub(super) fn bare(id: &str) -> &str {
    let id = id.trim();
    id.strip_prefix('<').unwrap_or(id).trim_end_matches('>')
}

fn ids(out: &mut Vec<u8>, name: &str, list: &[String]) -> Result<(), MailError> {
    if list.is_empty() {
        return Ok(());
    }
    let mut found = Vec::with_capacity(list.len());
    for id in list {
        let id = bare(id);
        let fits = !id.is_empty()
            && id.len() <= 900
            && id
                .chars()
                .all(|c| c.is_ascii_graphic() && !matches!(c, '<' | '>'));
        if !fits {
            return Err(MailError::MessageId(one_line(id)));
        }
        found.push(id);
    }
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    MessageId::new_list(found.into_iter()).write_header(out, name.len() + 2);
    Ok(())
}

/// A media type without parameters; none at all is a file of no known kind.
fn media(media: &str) -> Result<String, MailError> {
    let media = media.trim();
    if media.is_empty() {
        return Ok("application/octet-stream".to_owned());
    }
    let token = |part: &str| {
        !part.is_empty()
            && part
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "!#$&-^_.+".contains(c))
    };
    match media
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .split_once('/')
    {
        // A message or a multipart inside is a structure of its own; as a file it is bytes.
        Some(("multipart" | "message", _)) => Ok("application/octet-stream".to_owned()),
        Some((kind, subtype)) if token(kind) && token(subtype) => {
            Ok(format!("{kind}/{subtype}").to_ascii_lowercase())
        }
        _ => Err(MailError::Media(one_line(media))),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test says what went wrong by failing")]
    use proptest::prelude::*;

    use super::super::parse;
    use super::*;

    fn address(text: &str) -> Address {
        text.parse().unwrap()
    }

    fn message() -> Outgoing {
        Outgoing {
            from: Some(address("Alice Reyes <alice@acme.example>")),
            to: vec![address("Dana Whitfield <dana@northwind.example>")],
            subject: "Autumn launch".to_owned(),
            text: "Dear Dana,\nthe plan.".to_owned(),
            ..Outgoing::default()
        }
    }

    const NOW: Timestamp = Timestamp::from_micros(1_795_176_000_000_000);

    #[test]
    fn a_message_is_what_it_should_be() {
        let mime = Outgoing {
            html: Some("<p>Dear Dana</p>".to_owned()),
            attachments: vec![Attachment {
                name: "Plän.pdf".to_owned(),
                media: "application/pdf".to_owned(),
                bytes: b"%PDF-".to_vec(),
            }],
            in_reply_to: Some("<three@x.example>".to_owned()),
            references: vec!["<one@x.example>".to_owned(), "two@x.example".to_owned()],
            ..message()
        }
        .to_mime(NOW)
        .unwrap();
        let text = String::from_utf8(mime).unwrap();
        for expected in [
            "From: \"Alice Reyes\" <alice@acme.example>\r\n",
            "To: \"Dana Whitfield\" <dana@northwind.example>\r\n",
            "Subject: Autumn launch\r\n",
            "In-Reply-To: <three@x.example>\r\n",
            "<one@x.example> <two@x.example>",
            "MIME-Version: 1.0\r\n",
            "Content-Type: multipart/mixed",
            "Content-Type: multipart/alternative",
            "filename*=UTF-8''Pl%C3%A4n.pdf",
        ] {
            assert!(text.contains(expected), "{expected}\n{text}");
        }
        assert!(!text.contains("Message-ID") && !text.contains("Bcc"));
        let read = parse(text.as_bytes()).unwrap();
        assert_eq!(
            read.references,
            ["one@x.example", "two@x.example", "three@x.example"]
        );
        assert_eq!(read.date, Some(NOW));
        assert_eq!(
            message().to_mime(NOW).unwrap(),
            message().to_mime(NOW).unwrap()
        );
    }

    #[test]
    fn long_threads_keep_their_beginning_and_end() {
        let mime = Outgoing {
            references: (0..100).map(|at| format!("m{at}@x.example")).collect(),
            in_reply_to: Some("m50@x.example".to_owned()),
            ..message()
        }
        .to_mime(NOW)
        .unwrap();
        let references = parse(&mime).unwrap().references;
        assert_eq!(references.len(), REFERENCES);
        assert_eq!(references[0], "m0@x.example");
        assert_eq!(
            references[REFERENCES - 2..],
            ["m99@x.example", "m50@x.example"]
        );
    }

    #[test]
    fn a_stranger_may_name_very_many_messages() {
        let many = Outgoing {
            references: (0..300_000).map(|at| format!("m{at}@x.example")).collect(),
            ..message()
        };
        let thread = many.thread();
        assert_eq!(thread.len(), REFERENCES);
        assert_eq!(thread[REFERENCES - 1], "m299999@x.example");
    }

    #[test]
    fn headers_cannot_be_smuggled_in() {
        let mime = Outgoing {
            subject: "a\r\nBcc: eve@x.example\r\n\r\nbody".to_owned(),
            to: vec![Address {
                name: Some("D\r\nBcc: eve@x.example".to_owned()),
                email: "d@x.example".to_owned(),
            }],
            attachments: vec![Attachment {
                name: "a\"\r\nX-Evil: 1".to_owned(),
                media: "text/plain; x=\"\r\nX-Evil: 2\"".to_owned(),
                bytes: Vec::new(),
            }],
            ..message()
        }
        .to_mime(NOW)
        .unwrap();
        let text = String::from_utf8(mime).unwrap();
        assert!(
            !text.contains("\nBcc") && !text.contains("\nX-Evil"),
            "{text}"
        );
        let with = |change: fn(&mut Outgoing)| {
            let mut message = message();
            change(&mut message);
            message.to_mime(NOW)
        };
        assert!(matches!(
            with(|m| m.to[0].email = "a@x\r\nBcc: b@y".to_owned()),
            Err(MailError::Address(_))
        ));
        assert!(matches!(
            with(|m| m.message_id = Some("a\r\nX: y".to_owned())),
            Err(MailError::MessageId(_))
        ));
        assert!(matches!(
            with(|m| m.references = vec!["a b".to_owned()]),
            Err(MailError::MessageId(_))
        ));
        assert!(matches!(
            with(|m| m.subject = "x".repeat(1000)),
            Err(MailError::Subject(_))
        ));
        let file = Attachment {
            name: "x".to_owned(),
            media: "nonsense".to_owned(),
            bytes: Vec::new(),
        };
        let wrong = Outgoing {
            attachments: vec![file],
            ..message()
        };
        assert!(matches!(wrong.to_mime(NOW), Err(MailError::Media(_))));
        assert_eq!(Outgoing::default().check(), Err(MailError::NoRecipient));
    }

    prop_compose! {
        fn any_address()(name in "\\PC{0,30}", local in "[a-z0-9._+-]{1,20}", domain in "[a-z]{1,10}\\.example") -> Address {
            let name = name.trim().to_owned();
            Address { name: (!name.is_empty()).then_some(name), email: format!("{local}@{domain}") }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        #[test]
        fn what_is_composed_is_what_is_read(
            from in any_address(),
            to in proptest::collection::vec(any_address(), 1..4),
            cc in proptest::collection::vec(any_address(), 0..3),
            subject in "\\PC{0,100}",
            text in "([^\r\0]|\n){0,300}",
            html in proptest::option::of("\\PC{0,100}"),
            name in "\\PC{1,60}",
            bytes in proptest::collection::vec(any::<u8>(), 0..300),
        ) {
            // Of a message without a text the HTML is read.
            let html = html.filter(|_| !text.trim().is_empty());
            let name = name.trim();
            let name = if name.is_empty() { "file" } else { name };
            let mime = Outgoing {
                from: Some(from.clone()),
                to: to.clone(),
                cc: cc.clone(),
                subject: subject.clone(),
                text: text.clone(),
                html,
                attachments: vec![Attachment { name: name.to_owned(), media: "application/x-test".to_owned(), bytes: bytes.clone() }],
                ..Outgoing::default()
            }.to_mime(NOW).unwrap();
            for line in mime.split(|byte| *byte == b'\n') {
                prop_assert!(line.len() <= 998);
            }
            let read = parse(&mime).unwrap();
            prop_assert_eq!(read.from, Some(from));
            prop_assert_eq!(read.to, to);
            prop_assert_eq!(read.cc, cc);
            prop_assert_eq!(read.subject, subject.trim());
            prop_assert_eq!(read.text.trim(), text.trim());
            prop_assert_eq!(read.attachments.len(), 1);
            prop_assert_eq!(&read.attachments[0].name, name);
            prop_assert_eq!(&read.attachments[0].media, "application/x-test");
            prop_assert_eq!(read.attachments[0].size, bytes.len());
        }
    }
}
