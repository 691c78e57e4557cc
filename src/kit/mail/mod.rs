//! Mail messages: composing what is sent, reading what arrives, and the conventions between the two.
//!
//! Identifiers of messages stand here without their angle brackets; with or without they are taken.

mod compose;
mod history;
mod read;

use std::fmt;
use std::str::FromStr;

use super::error::ToolError;

pub use compose::{Attachment, Outgoing};
pub use history::without_history;
pub use read::{Attached, Incoming, parse};

/// Why a message cannot be composed or read. Each sentence says what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MailError {
    /// Not an address.
    #[error(
        "`{0}` is not a mail address: write name@company.example or Name <name@company.example>"
    )]
    Address(String),
    /// Nobody to send it to.
    #[error("the message has no recipient: give `to`, `cc` or `bcc`")]
    NoRecipient,
    /// More recipients than a person writes to.
    #[error("the message has more than {0} recipients: send it to a list or in parts")]
    TooManyRecipients(usize),
    /// The subject does not fit a header.
    #[error("`subject` is longer than {0} characters: shorten it")]
    Subject(usize),
    /// A message identifier that cannot stand in a header.
    #[error("`{0}` is not the identifier of a message: take it from the message that is answered")]
    MessageId(String),
    /// Not a media type.
    #[error("`{0}` is not a media type of a file: write one like application/pdf")]
    Media(String),
    /// Larger than providers take.
    #[error(
        "the message is larger than {0} MB with its attachments: share the files as links instead"
    )]
    TooLarge(usize),
    /// Not a message.
    #[error("this is not a mail message: it has no headers")]
    NotMail,
}

impl From<MailError> for ToolError {
    fn from(error: MailError) -> Self {
        Self::Invalid(error.to_string())
    }
}

/// Somebody's address. Parses from `Dana Whitfield <dana@northwind.example>` or the bare address, and is written back so.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Address {
    /// The name beside it.
    pub name: Option<String>,
    /// The address itself.
    pub email: String,
}

impl FromStr for Address {
    type Err = MailError;

    fn from_str(text: &str) -> Result<Self, MailError> {
        let wrong = || MailError::Address(super::text::clip(&super::text::printable(text), 100));
        let trimmed = text.trim();
        let (name, email) = match trimmed
            .strip_suffix('>')
            .and_then(|inner| inner.rsplit_once('<'))
        {
            Some((name, email)) => (unquote(name.trim()), email.trim()),
            None => (String::new(), trimmed),
        };
        if !is_email(email) || name.contains(['<', '>', '\r', '\n']) {
            return Err(wrong());
        }
        Ok(Self {
            name: (!name.is_empty()).then_some(name),
            email: email.to_owned(),
        })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name.as_deref() {
            None | Some("") => f.write_str(&self.email),
            Some(name) if name.contains(|c| SPECIALS.contains(c)) => {
                let name = name.replace('\\', "\\\\").replace('"', "\\\"");
                write!(f, "\"{name}\" <{}>", self.email)
            }
            Some(name) => write!(f, "{name} <{}>", self.email),
        }
    }
}

/// Characters that need quotes in a name (RFC 5322).
const SPECIALS: &str = "()<>[]:;@\\,.\"";

/// A name without the quotes around it.
fn unquote(name: &str) -> String {
    let Some(inner) = name
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
    else {
        return name.to_owned();
    };
    let mut out = String::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        out.extend(if c == '\\' { chars.next() } else { Some(c) });
    }
    out
}

/// Whether this can be sent to: one `@` between two parts without spaces, quotes or anything that ends a header. What a
/// domain is, the provider knows.
fn is_email(text: &str) -> bool {
    let Some((local, domain)) = text.split_once('@') else {
        return false;
    };
    let plain = |c: char| !c.is_whitespace() && !c.is_control() && !"()<>[]:;@\\,\"".contains(c);
    !local.is_empty()
        && !domain.is_empty()
        && !domain.starts_with('.')
        && text.len() <= 320
        && local.chars().all(plain)
        && domain.chars().all(plain)
}

/// The prefixes that mean "reply" and "forward" in the mail programs of several languages, lowercase.
const REPLY: [&str; 16] = [
    "re", "aw", "antw", "antwort", "sv", "vs", "rif", "r", "res", "odp", "ynt", "bls", "ref",
    "回复", "答复", "vá",
];
const FORWARD: [&str; 14] = [
    "fwd",
    "fw",
    "wg",
    "tr",
    "rv",
    "enc",
    "i",
    "pd",
    "vb",
    "vl",
    "doorst",
    "vl",
    "转发",
    "továbbítás",
];

/// The first prefix of a subject, lowercase, and what follows it. `Re[2]:` and `Re (2):` count.
fn prefix(subject: &str) -> Option<(String, &str)> {
    let (before, after) = subject.split_once([':', '：'])?;
    let word = before
        .trim()
        .trim_end_matches([']', ')'])
        .trim_end_matches(|c: char| c.is_ascii_digit())
        .trim_end_matches(['[', '('])
        .trim()
        .to_lowercase();
    Some((word, after.trim_start()))
}

/// The subject without reply and forward prefixes.
fn bare_subject(subject: &str) -> &str {
    let mut rest = subject.trim();
    while let Some((word, after)) = prefix(rest) {
        if !REPLY.contains(&&*word) && !FORWARD.contains(&&*word) {
            break;
        }
        rest = after;
    }
    rest
}

/// What the message with this subject says itself, and whether the history below was left out ([`without_history`]). A
/// forwarded message is sent for what it carries, so of that nothing is left out.
pub fn own_text(subject: &str, text: &str) -> (String, bool) {
    match prefix(subject.trim()) {
        Some((word, _)) if FORWARD.contains(&&*word) => (text.trim().to_owned(), false),
        _ => without_history(text),
    }
}

/// The subject of an answer: exactly one `Re: `.
pub fn reply_subject(subject: &str) -> String {
    format!("Re: {}", bare_subject(subject))
        .trim_end()
        .to_owned()
}

/// The subject of a forwarded message: exactly one `Fwd: `.
pub fn forward_subject(subject: &str) -> String {
    format!("Fwd: {}", bare_subject(subject))
        .trim_end()
        .to_owned()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test says what went wrong by failing")]
    use super::*;

    #[test]
    fn what_is_forwarded_is_kept() {
        let text =
            "FYI\n\nFrom: Ada <a@x.example>\nSent: Monday\nTo: Bob\nSubject: Offer\n\nThe offer.";
        for (subject, whole) in [
            ("FW: Offer", true),
            ("WG[2]: Offer", true),
            (" Fwd : Re: Offer", true),
            ("Re: FW: Offer", false),
            ("Offer", false),
        ] {
            let (kept, trimmed) = own_text(subject, text);
            assert_eq!((kept == text, trimmed), (whole, !whole), "{subject}");
        }
    }

    #[test]
    fn addresses_parse_and_print() {
        for (text, name, email, printed) in [
            ("dana@x.example", None, "dana@x.example", "dana@x.example"),
            (
                " <dana@x.example> ",
                None,
                "dana@x.example",
                "dana@x.example",
            ),
            (
                "Dana Whitfield <dana@x.example>",
                Some("Dana Whitfield"),
                "dana@x.example",
                "Dana Whitfield <dana@x.example>",
            ),
            (
                "\"Whitfield, \\\"D\\\"\" <dana@x.example>",
                Some("Whitfield, \"D\""),
                "dana@x.example",
                "\"Whitfield, \\\"D\\\"\" <dana@x.example>",
            ),
            (
                "Jürgen <j@ö.example>",
                Some("Jürgen"),
                "j@ö.example",
                "Jürgen <j@ö.example>",
            ),
        ] {
            let address: Address = text.parse().unwrap();
            assert_eq!(address.name.as_deref(), name);
            assert_eq!(address.email, email);
            assert_eq!(address.to_string(), printed);
            assert_eq!(printed.parse::<Address>().unwrap(), address);
        }
        for wrong in [
            "",
            "dana",
            "@x",
            "a@",
            "a b@x",
            "a@x, b@y",
            "a@x\r\nBcc: b@y",
            "X\r\nBcc: b@y <a@x>",
            "<a@x",
            "a@b@c",
        ] {
            assert!(wrong.parse::<Address>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn subjects_have_one_prefix() {
        for (subject, reply, forward) in [
            ("Plan", "Re: Plan", "Fwd: Plan"),
            ("Re: Plan", "Re: Plan", "Fwd: Plan"),
            ("RE: FW: AW: SV: Antw: Plan", "Re: Plan", "Fwd: Plan"),
            ("Re[2]: Plan", "Re: Plan", "Fwd: Plan"),
            ("回复：计划", "Re: 计划", "Fwd: 计划"),
            ("Plan: B", "Re: Plan: B", "Fwd: Plan: B"),
            ("", "Re:", "Fwd:"),
        ] {
            assert_eq!(reply_subject(subject), reply, "{subject}");
            assert_eq!(forward_subject(subject), forward, "{subject}");
        }
    }
}
