//! Stored messages: headers, the text, and the names of what is attached.

use std::fmt::Write as _;

use super::work::Work;
use super::{DocumentError, Extracted, paging};
use crate::kit::mail;

pub(super) fn read(bytes: &[u8], work: &Work) -> Result<Extracted, DocumentError> {
    let message = mail::parse(bytes).map_err(|error| DocumentError::Malformed {
        format: "message",
        reason: error.to_string(),
    })?;
    let mut text = String::new();
    let mut header = |name: &str, value: &str| {
        if !value.is_empty() {
            // Writing to a string does not fail.
            let _ = writeln!(text, "{name}: {value}");
        }
    };
    let list = |addresses: &[mail::Address]| {
        addresses
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(", ")
    };
    header("From", &list(message.from.as_slice()));
    header("To", &list(&message.to));
    header("Cc", &list(&message.cc));
    header("Subject", &message.subject);
    if let Some(date) = message.date {
        header("Date", &date.rfc3339());
    }
    for attachment in &message.attachments {
        header(
            "Attachment",
            &format!(
                "{} ({}, {} bytes)",
                attachment.name, attachment.media, attachment.size
            ),
        );
    }
    text.push('\n');
    text.push_str(&message.text);
    let mut read = paging::whole(&text, "text/markdown", work)?;
    if !message.attachments.is_empty() {
        read.notes
            .push("attachments are listed, not read: save one as a file to read it".to_owned());
    }
    Ok(read)
}
