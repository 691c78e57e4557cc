//! What a new message, an answer or a forwarded message is made of.

use std::fmt::Write as _;

use schemars::JsonSchema;
use serde::Deserialize;

use super::model::{Message, SendAs};
use super::read;
use crate::kit::documents::html_of_markdown;
use crate::kit::error::ToolError;
use crate::kit::mail::{Address, Outgoing, forward_subject, reply_subject};
use crate::kit::text;

/// Characters of a message that an answer quotes.
const QUOTED: usize = 20_000;
/// The same of a forwarded message, which is read for what it quotes.
const FORWARDED: usize = 200_000;
/// Characters of a message's id that still fit into a line.
const ID: usize = 900;

/// What kind of message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub(super) enum Mode {
    #[default]
    New,
    Reply,
    ReplyAll,
    Forward,
}

impl Mode {
    /// Whether it goes back to who wrote.
    pub(super) const fn answers(self) -> bool {
        matches!(self, Self::Reply | Self::ReplyAll)
    }
}

/// What the person gave.
#[derive(Debug)]
pub(super) struct Given<'a> {
    pub(super) mode: Mode,
    pub(super) to: &'a str,
    /// Those with `bcc:` before them are not seen by the others.
    pub(super) cc: &'a str,
    pub(super) subject: &'a str,
    pub(super) body: &'a str,
    pub(super) from: Option<&'a SendAs>,
}

/// The message without its files. `own` are the addresses of the person, `old` is the message that is answered or
/// forwarded.
pub(super) fn compose(
    given: &Given<'_>,
    old: Option<&Message>,
    own: &[String],
) -> Result<Outgoing, ToolError> {
    let (hidden, seen): (Vec<String>, Vec<String>) = read::split(given.cc)
        .into_iter()
        .partition(|one| one.to_lowercase().starts_with("bcc:"));
    let mut to = parsed("to", &read::split(given.to))?;
    let mut cc = parsed("cc", &seen)?;
    let hidden: Vec<String> = hidden.iter().map(|one| one[4..].to_owned()).collect();
    let bcc = parsed("cc", &hidden)?;
    let mut subject = given.subject.trim().to_owned();
    let mut markdown = given.body.trim().to_owned();
    let (mut in_reply_to, mut references) = (None, Vec::new());
    if let Some(old) = old {
        if given.mode.answers() {
            let (writers, copies) = recipients(old, own, given.mode == Mode::ReplyAll);
            to.splice(0..0, writers);
            cc.splice(0..0, copies);
        }
        if subject.is_empty() {
            let was = old.header("Subject");
            subject = if given.mode.answers() {
                reply_subject(was)
            } else {
                forward_subject(was)
            };
        }
        let quote = if given.mode.answers() {
            quoted(old)
        } else {
            forwarded(old)
        };
        format!("{markdown}\n\n{quote}")
            .trim()
            .clone_into(&mut markdown);
        in_reply_to = ids(old.header("Message-ID")).into_iter().next();
        references = ids(old.header("References"));
    }
    each_once(&mut to, &[]);
    let before = to.clone();
    each_once(&mut cc, &before);
    let reply_to = given
        .from
        .and_then(|from| from.reply_to_address.parse().ok());
    Ok(Outgoing {
        from: given.from.map(sender).transpose()?,
        to,
        cc,
        bcc,
        reply_to,
        subject,
        html: Some(html_of_markdown(&markdown)),
        text: markdown,
        in_reply_to,
        references,
        ..Outgoing::default()
    })
}

/// The ids that a header holds. Some programs write them without a space between, with commas or without brackets; what
/// cannot be an id is left out, because an answer without it is better than none.
fn ids(header: &str) -> Vec<String> {
    header
        .split(|c: char| c.is_whitespace() || matches!(c, '<' | '>' | ','))
        .filter(|id| id.contains('@') && id.len() <= ID && id.chars().all(|c| c.is_ascii_graphic()))
        .map(ToOwned::to_owned)
        .collect()
}

fn parsed(argument: &str, list: &[String]) -> Result<Vec<Address>, ToolError> {
    list.iter()
        .map(|one| {
            one.parse().map_err(|_| {
                ToolError::Invalid(format!(
                    "`{argument}`: `{}` is not a mail address; write name@company.example or Name <name@company.example>",
                    text::clip(&text::printable(one), 100)
                ))
            })
        })
        .collect()
}

fn sender(from: &SendAs) -> Result<Address, ToolError> {
    let mut address: Address = from.send_as_email.parse()?;
    address.name = Some(from.display_name.clone()).filter(|name| !name.is_empty());
    Ok(address)
}

/// Whom an answer goes to: who wrote, and for all the others too, but never the person. An answer to one's own message
/// goes where that went.
fn recipients(old: &Message, own: &[String], all: bool) -> (Vec<Address>, Vec<Address>) {
    let is_own = |address: &Address| {
        own.iter()
            .any(|one| one.eq_ignore_ascii_case(&address.email))
    };
    let field = |name: &str| read::addresses(old.header(name));
    let writers = match field("Reply-To") {
        none if none.is_empty() => field("From"),
        some => some,
    };
    let mine = writers.iter().all(is_own);
    let mut to = if mine { field("To") } else { writers };
    let mut cc = Vec::new();
    if all {
        if !mine {
            to.extend(field("To").into_iter().filter(|one| !is_own(one)));
        }
        cc.extend(field("Cc").into_iter().filter(|one| !is_own(one)));
    }
    (to, cc)
}

/// Leaves out addresses that come again, or that `before` has.
fn each_once(list: &mut Vec<Address>, before: &[Address]) {
    let mut seen: Vec<String> = before.iter().map(|one| one.email.to_lowercase()).collect();
    list.retain(|one| {
        let email = one.email.to_lowercase();
        let is_new = !seen.contains(&email);
        if is_new {
            seen.push(email);
        }
        is_new
    });
}

/// The message that is answered, as a quotation; what it quotes itself is left out.
fn quoted(old: &Message) -> String {
    let text = text::clip(&read::body(old, false).text, QUOTED);
    let mut quote = format!(
        "On {}, {} wrote:\n\n",
        old.header("Date"),
        old.header("From")
    );
    for line in text.lines() {
        quote.push('>');
        if !line.is_empty() {
            quote.push(' ');
            quote.push_str(line);
        }
        quote.push('\n');
    }
    quote
}

/// The message that is forwarded, whole.
fn forwarded(old: &Message) -> String {
    let mut text = "---------- Forwarded message ----------\n\n".to_owned();
    for name in ["From", "Date", "Subject", "To", "Cc"] {
        let value = old.header(name);
        if !value.is_empty() {
            // Two spaces at the end of a line keep it a line.
            let _ = writeln!(text, "{name}: {value}  ");
        }
    }
    text.push('\n');
    text.push_str(&text::clip(&read::body(old, true).text, FORWARDED));
    text
}

/// The address to answer from: the one that the message came to, when that is not the usual one.
pub(super) fn addressed<'a>(old: &Message, aliases: &'a [SendAs]) -> Option<&'a SendAs> {
    let fields = ["To", "Cc", "Delivered-To"].iter();
    let reached: Vec<String> = fields
        .flat_map(|name| read::addresses(old.header(name)))
        .map(|address| address.email.to_lowercase())
        .collect();
    let reaches = |own: &&SendAs| reached.contains(&own.send_as_email.to_lowercase());
    aliases
        .iter()
        .filter(|own| usable(own))
        .find(reaches)
        .filter(|own| !own.is_default)
}

/// Whether Gmail lets the person send from it.
fn usable(alias: &SendAs) -> bool {
    alias.is_primary
        || alias.verification_status.is_empty()
        || alias.verification_status == "accepted"
}

/// The alias of this address.
pub(super) fn alias<'a>(aliases: &'a [SendAs], from: &str) -> Result<&'a SendAs, ToolError> {
    let email = from
        .parse::<Address>()
        .map_or_else(|_| from.to_owned(), |own| own.email);
    let found = aliases
        .iter()
        .find(|own| usable(own) && own.send_as_email.eq_ignore_ascii_case(&email));
    found.ok_or_else(|| {
        let own: Vec<&str> = aliases
            .iter()
            .filter(|own| usable(own))
            .map(|own| own.send_as_email.as_str())
            .collect();
        ToolError::Invalid(format!("`from` must be one of {}", own.join(", ")))
    })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test says what went wrong by failing")]
    use super::super::model::{Header, Part};
    use super::*;

    fn message(headers: &[(&str, &str)]) -> Message {
        let headers = headers.iter().map(|(name, value)| Header {
            name: (*name).to_owned(),
            value: (*value).to_owned(),
        });
        Message {
            payload: Part {
                headers: headers.collect(),
                ..Part::default()
            },
            ..Message::default()
        }
    }

    fn given(mode: Mode) -> Given<'static> {
        Given {
            mode,
            to: "",
            cc: "",
            subject: "",
            body: "Yes.",
            from: None,
        }
    }

    fn emails(list: &[Address]) -> Vec<&str> {
        list.iter().map(|one| one.email.as_str()).collect()
    }

    #[test]
    fn answers_go_to_everyone_but_oneself() {
        let own = [
            "alice@acme.example".to_owned(),
            "sales@acme.example".to_owned(),
        ];
        let old = message(&[
            ("From", "Dana Whitfield <dana@northwind.example>"),
            ("To", "sales@acme.example, Bob Osei <bob@acme.example>"),
            ("Cc", "cfo@northwind.example, Alice <ALICE@acme.example>"),
            ("Subject", "AW: Offer"),
            ("Message-ID", "<m2@northwind.example>"),
            ("References", "<m0@acme.example>\r\n <m1@northwind.example>"),
            ("Date", "Fri, 20 Nov 2026 09:00:00 +0000"),
        ]);
        let one = compose(&given(Mode::Reply), Some(&old), &own).unwrap();
        assert_eq!(emails(&one.to), ["dana@northwind.example"]);
        assert_eq!(one.subject, "Re: Offer");
        assert_eq!(one.in_reply_to.as_deref(), Some("m2@northwind.example"));
        assert_eq!(one.references, ["m0@acme.example", "m1@northwind.example"]);
        let all = compose(&given(Mode::ReplyAll), Some(&old), &own).unwrap();
        assert_eq!(
            emails(&all.to),
            ["dana@northwind.example", "bob@acme.example"]
        );
        assert_eq!(emails(&all.cc), ["cfo@northwind.example"]);
        // To one's own message: where it went.
        let mine = message(&[
            ("From", "alice@acme.example"),
            ("To", "dana@northwind.example"),
        ]);
        let again = compose(&given(Mode::Reply), Some(&mine), &own).unwrap();
        assert_eq!(emails(&again.to), ["dana@northwind.example"]);
    }

    #[test]
    fn odd_ids_do_not_hinder_an_answer() {
        let old = message(&[
            ("From", "dana@northwind.example"),
            ("Message-ID", "<m 3@northwind.example>"),
            (
                "References",
                "<a@x.example><b@y.example>, c@z.example <no id> <d@\u{e4}.example>",
            ),
        ]);
        let one = compose(&given(Mode::Reply), Some(&old), &[]).unwrap();
        assert_eq!(one.in_reply_to.as_deref(), Some("3@northwind.example"));
        assert_eq!(
            one.references,
            ["a@x.example", "b@y.example", "c@z.example"]
        );
        assert!(one.to_mime(crate::kit::Timestamp::from_micros(0)).is_ok());
    }

    #[test]
    fn the_address_that_was_written_to_answers() {
        let alias = |email: &str, is_default: bool, status: &str| SendAs {
            send_as_email: email.to_owned(),
            is_default,
            is_primary: is_default,
            verification_status: status.to_owned(),
            ..SendAs::default()
        };
        let aliases = [
            alias("alice@acme.example", true, ""),
            alias("sales@acme.example", false, "accepted"),
            alias("old@acme.example", false, "pending"),
        ];
        let to = |header: &str| {
            let old = message(&[("To", header)]);
            addressed(&old, &aliases).map(|own| own.send_as_email.clone())
        };
        assert_eq!(
            to("sales@acme.example").as_deref(),
            Some("sales@acme.example")
        );
        assert_eq!(to("alice@acme.example"), None);
        assert_eq!(to("old@acme.example"), None);
        assert!(super::alias(&aliases, "Sales <sales@acme.example>").is_ok());
        let refused = super::alias(&aliases, "old@acme.example")
            .unwrap_err()
            .to_string();
        assert_eq!(
            refused,
            "`from` must be one of alice@acme.example, sales@acme.example"
        );
    }
}
