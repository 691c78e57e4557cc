//! Files that go along with a message, named by reference: attachments of other messages, and files of Drive.

use serde::Deserialize;
use serde_json::{Value, json};

use super::super::asks::seen;
use super::model::{Message, Part};
use super::read;
use crate::kit::error::ToolError;
use crate::kit::mail::Attachment;
use crate::kit::text;
use crate::kit::tool::Cx;

/// Largest size of all files of a message, in bytes: Gmail's own limit.
const TOTAL_BYTES: u64 = 25 * 1024 * 1024;
/// Most files of a message.
const FILES: usize = 20;
/// What Google's own documents are sent as.
const PDF: &str = "application/pdf";

/// A file that was found and not yet fetched.
#[derive(Debug)]
pub(super) struct Found {
    name: String,
    media: String,
    /// Not known of a document before it is exported.
    bytes: Option<u64>,
    source: Source,
}

#[derive(Debug)]
enum Source {
    Mail {
        message: String,
        part: Box<Part>,
    },
    Drive {
        id: String,
    },
    /// A document of Google's own, which has no bytes before it is exported.
    Export {
        id: String,
    },
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct DriveFile {
    name: String,
    mime_type: String,
    /// A number, as text.
    size: String,
}

/// Finds what the references name.
pub(super) async fn find(cx: &Cx, references: &[String]) -> Result<Vec<Found>, ToolError> {
    if references.len() > FILES {
        return Err(ToolError::Invalid(format!(
            "`files` takes at most {FILES} files"
        )));
    }
    let mut found = Vec::new();
    let mut messages: Vec<Message> = Vec::new();
    for reference in references {
        if let Some(id) = drive_id(reference) {
            found.push(in_drive(cx, id).await?);
            continue;
        }
        let Some((message, part)) = reference.split_once('/') else {
            return Err(ToolError::Invalid(format!(
                "`files`: `{}` is neither the `ref` of an attachment in google_get_mail nor drive:FILE_ID",
                text::clip(&text::printable(reference), 80)
            )));
        };
        if !messages.iter().any(|own| own.id == message) {
            let read = read::message(cx, message).await;
            messages.push(seen(cx, &format!("message {message}"), read)?);
        }
        if let Some(message) = messages.iter().find(|own| own.id == message) {
            found.push(in_mail(message, read::file(message, part)?));
        }
    }
    fits(&found)?;
    Ok(found)
}

/// All files of a message that is forwarded.
pub(super) fn of_message(message: &Message) -> Vec<Found> {
    let files = read::files(message);
    files.iter().map(|part| in_mail(message, part)).collect()
}

fn in_mail(message: &Message, part: &Part) -> Found {
    Found {
        name: part.filename.clone(),
        media: part.mime_type.clone(),
        bytes: Some(part.body.size),
        source: Source::Mail {
            message: message.id.clone(),
            part: Box::new(part.clone()),
        },
    }
}

async fn in_drive(cx: &Cx, id: &str) -> Result<Found, ToolError> {
    let request = cx.api.get(&["drive", "v3", "files", id]);
    let request = request
        .query("fields", "name,mimeType,size")
        .query("supportsAllDrives", true);
    let file = seen(cx, &format!("file {id}"), request.send::<DriveFile>().await)?;
    let id = id.to_owned();
    Ok(
        match file.mime_type.strip_prefix("application/vnd.google-apps.") {
            Some("document" | "spreadsheet" | "presentation" | "drawing") => Found {
                name: format!("{}.pdf", file.name),
                media: PDF.to_owned(),
                bytes: None,
                source: Source::Export { id },
            },
            Some(_) => {
                return Err(ToolError::Invalid(format!(
                    "`files`: {} is no file that can be attached; put its link into `body`",
                    text::clip(&text::printable(&file.name), 80)
                )));
            }
            None => Found {
                name: file.name,
                media: file.mime_type,
                bytes: file.size.parse().ok(),
                source: Source::Drive { id },
            },
        },
    )
}

/// The file id of `drive:ID`, of our own address of a file, or of Drive's page of it.
fn drive_id(reference: &str) -> Option<&str> {
    let reference = reference.trim();
    if let Some(id) = reference.strip_prefix("drive:") {
        return Some(id.trim_start_matches('/'));
    }
    if reference.starts_with("google://") {
        return reference.split_once("/drive/").map(|(_, id)| id);
    }
    let rest = reference.strip_prefix("https://")?;
    let host = rest.split('/').next()?;
    if !matches!(host, "drive.google.com" | "docs.google.com") {
        return None;
    }
    let (_, rest) = rest.split_once("/d/")?;
    rest.split(['/', '?', '#']).next()
}

/// Refuses what is too much for one message.
pub(super) fn fits(files: &[Found]) -> Result<(), ToolError> {
    let total: u64 = files.iter().filter_map(|file| file.bytes).sum();
    if total > TOTAL_BYTES || files.len() > FILES {
        return Err(ToolError::Invalid(format!(
            "`files`: {} files of {} MB are too much for one message, which takes {FILES} and {} MB; share them in Drive and write the links",
            files.len(),
            total.div_ceil(1024 * 1024),
            TOTAL_BYTES / 1024 / 1024
        )));
    }
    Ok(())
}

/// The files as a list for a person.
pub(super) fn listing(files: &[Found]) -> Vec<Value> {
    let shown =
        |file: &Found| json!({ "name": file.name, "media": file.media, "bytes": file.bytes });
    files.iter().map(shown).collect()
}

/// The files themselves, one after the other: each may be large.
pub(super) async fn fetch(cx: &Cx, files: &[Found]) -> Result<Vec<Attachment>, ToolError> {
    let mut fetched = Vec::new();
    let total = u32::try_from(files.len()).ok();
    for (done, file) in (1..).zip(files) {
        let bytes = match &file.source {
            Source::Mail { message, part } => {
                let message = Message {
                    id: message.clone(),
                    ..Message::default()
                };
                read::bytes(cx, &message, part).await?
            }
            Source::Drive { id } => {
                let request = cx.api.get(&["drive", "v3", "files", id]);
                let request = request
                    .query("alt", "media")
                    .query("supportsAllDrives", true);
                let request = request.accept("*/*").download().max_bytes(read::MAX_BYTES);
                seen(cx, &format!("file {id}"), request.bytes().await)?.body
            }
            Source::Export { id } => {
                let request = cx.api.get(&["drive", "v3", "files", id, "export"]);
                let request = request.query("mimeType", PDF);
                let request = request.accept("*/*").download().max_bytes(read::MAX_BYTES);
                seen(cx, &format!("file {id}"), request.bytes().await)?.body
            }
        };
        fetched.push(Attachment {
            name: file.name.clone(),
            media: file.media.clone(),
            bytes,
        });
        cx.progress.step(done, total, file.name.as_str());
    }
    Ok(fetched)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_drive_are_named_in_several_ways() {
        let table = [
            ("drive:f-1", Some("f-1")),
            ("google://alice%40acme.example/drive/f-1", Some("f-1")),
            (
                "https://drive.google.com/file/d/f-1/view?usp=sharing",
                Some("f-1"),
            ),
            (
                "https://docs.google.com/document/d/f-1/edit#heading",
                Some("f-1"),
            ),
            ("https://evil.example/file/d/f-1/view", None),
            ("18f0c1/2", None),
        ];
        for (reference, expected) in table {
            assert_eq!(drive_id(reference), expected, "{reference}");
        }
    }
}
