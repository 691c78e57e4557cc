//! Attachments: what hangs on a message as bytes or text, and what is hung on a message that is written.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use http::header::CONTENT_RANGE;
use serde::Deserialize;
use serde_json::{Value, json};

use super::seen;
use crate::integrations::m365::graph;
use crate::integrations::m365::model::{Attachment, or_default};
use crate::integrations::m365::refs::{FileRef, borrowed};
use crate::kit::documents::{self, Wanted};
use crate::kit::error::{ProviderError, ToolError};
use crate::kit::output::{Item, Output};
use crate::kit::text::clip;
use crate::kit::tool::Cx;
use crate::kit::uri;

/// The largest file that is read or attached.
const FILE: usize = 25 * 1024 * 1024;
/// All files of one message.
const ALL: usize = 30 * 1024 * 1024;
/// The largest file that goes into a request; anything above takes an upload session (`attachment` resource: 3 MB).
pub(super) const SMALL: usize = 3 * 1024 * 1024 - 1;
/// A piece of an upload: a multiple of 320 KiB below 4 MB.
const PIECE: usize = 12 * 320 * 1024;

/// A file with its bytes.
#[derive(Debug)]
pub(in crate::integrations::m365) struct File {
    pub(in crate::integrations::m365) name: String,
    pub(in crate::integrations::m365) media: String,
    pub(in crate::integrations::m365) bytes: Vec<u8>,
}

/// The bytes of an attachment. A message that is attached comes as it was sent (MIME).
pub(in crate::integrations::m365) async fn bytes(
    cx: &Cx,
    mailbox: &str,
    message: &str,
    attachment: &str,
) -> Result<File, ToolError> {
    let path = graph::of(mailbox, &["messages", message, "attachments", attachment]);
    let found = cx
        .api
        .get(&path)
        .query("$select", "id,name,contentType,size")
        .send::<Attachment>()
        .await;
    let found = seen("attachment", attachment, found)?;
    if found.kind.ends_with("referenceAttachment") {
        return Err(ToolError::Invalid(format!(
            "`{}` is a link to a file and no file: open it in the message, or find it with m365_search_files",
            found.name
        )));
    }
    let size = usize::try_from(found.size).unwrap_or(usize::MAX);
    if size > FILE {
        return Err(too_large(&found.name));
    }
    let mut path = path;
    path.push("$value");
    let answer = cx
        .api
        .get(&path)
        .accept("*/*")
        .max_bytes(FILE)
        .bytes()
        .await?;
    let media = match found.content_type {
        media if !media.is_empty() => media,
        _ if found.kind.ends_with("itemAttachment") => "message/rfc822".to_owned(),
        _ => "application/octet-stream".to_owned(),
    };
    Ok(File {
        name: found.name,
        media,
        bytes: answer.body,
    })
}

fn too_large(name: &str) -> ToolError {
    ToolError::Invalid(format!(
        "`{}` is larger than {} MB; share it as a link instead",
        clip(name, 100),
        FILE / 1024 / 1024
    ))
}

/// The text of an attachment.
pub(super) async fn text(
    cx: &Cx,
    mailbox: &str,
    message: &str,
    attachment: &str,
) -> Result<Output, ToolError> {
    let file = bytes(cx, mailbox, message, attachment).await?;
    let head = file
        .bytes
        .get(..file.bytes.len().min(512))
        .unwrap_or_default();
    let format = documents::format_of(&file.media, &file.name, head).ok_or_else(|| {
        ToolError::Invalid(format!(
            "`attachment`: {} ({}) cannot be read as text; open it in the message",
            clip(&file.name, 100),
            clip(&file.media, 60)
        ))
    })?;
    let wanted = Wanted {
        // What surrounds the text takes some room too.
        max_chars: cx.max_chars / 4 * 3,
        ..Wanted::default()
    };
    let size = file.bytes.len();
    let read = documents::extract(file.bytes, format, wanted).await?;
    let item = Item::new(attachment)
        .field("name", file.name)
        .field("media", file.media)
        .field("size", size)
        .field("pages", read.total)
        .field("sheets", read.parts)
        .field("text", read.text);
    Ok(Output {
        truncated: read.truncated,
        warnings: read.notes,
        ..Output::one(item)
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct DriveItem {
    name: String,
    #[serde(default)]
    size: usize,
    #[serde(default, deserialize_with = "or_default")]
    file: Option<FileFacet>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct FileFacet {
    #[serde(deserialize_with = "or_default")]
    mime_type: String,
}

/// Reads the files that an `attachments` argument names: addresses of our blocks.
pub(super) async fn files(cx: &Cx, references: &[String]) -> Result<Vec<File>, ToolError> {
    let mut files = Vec::with_capacity(references.len());
    let mut all = 0;
    for (index, reference) in references.iter().enumerate() {
        let file = file(cx, reference).await?;
        all += file.bytes.len();
        if all > ALL {
            return Err(ToolError::Invalid(format!(
                "`attachments` are larger than {} MB together; share some of them as links",
                ALL / 1024 / 1024
            )));
        }
        let done = u32::try_from(index + 1).unwrap_or(u32::MAX);
        let count = u32::try_from(references.len()).ok();
        cx.progress.step(done, count, format!("read {}", file.name));
        files.push(file);
    }
    Ok(files)
}

async fn file(cx: &Cx, reference: &str) -> Result<File, ToolError> {
    let wrong = || {
        ToolError::Invalid(format!(
            "`attachments`: `{}` is neither the `uri` of a file nor the `ref` of an attachment of this account",
            clip(reference, 120)
        ))
    };
    let matched = |template| uri::matches(template, reference);
    let (variables, is_mail) =
        match matched("m365://{account}/mail/{message}/attachments/{attachment}") {
            Some(found) => (found, true),
            None => (
                matched("m365://{account}/files/{drive}/{item}").ok_or_else(wrong)?,
                false,
            ),
        };
    let text = |name: &str| {
        let value = variables.get(name).and_then(Value::as_str);
        value.unwrap_or_default()
    };
    if text("account") != cx.account.handle {
        return Err(wrong());
    }
    if is_mail {
        return bytes(cx, "", text("message"), text("attachment")).await;
    }
    cx.require("Files.Read")?;
    let named = FileRef::in_drive(text("drive"), text("item"));
    let found = cx
        .api
        .get(&borrowed(&named.address(&[])))
        .query("$select", "id,name,size,file")
        .send();
    let found: DriveItem = seen("file", text("item"), found.await)?;
    if found.size > FILE {
        return Err(too_large(&found.name));
    }
    let media = found.file.ok_or_else(wrong)?.mime_type;
    let content = named.address(&["content"]);
    let content = cx.api.get(&borrowed(&content));
    let content = content.accept("*/*").download().max_bytes(FILE);
    Ok(File {
        name: found.name,
        media: if media.is_empty() {
            "application/octet-stream".to_owned()
        } else {
            media
        },
        bytes: content.bytes().await?.body,
    })
}

/// A small file as part of a request.
pub(super) fn part(file: &File) -> Value {
    json!({
        "@odata.type": "#microsoft.graph.fileAttachment",
        "name": file.name, "contentType": file.media, "contentBytes": STANDARD.encode(&file.bytes),
    })
}

/// Whether all of these fit into one request with their message.
pub(super) fn fit(files: &[File]) -> bool {
    files.iter().map(|file| file.bytes.len()).sum::<usize>() <= SMALL
}

/// What a dry run says of files.
pub(super) fn listed(files: &[File]) -> Value {
    let rows = files.iter();
    rows.map(|file| json!({ "name": file.name, "media": file.media, "size": file.bytes.len() }))
        .collect()
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Session {
    upload_url: String,
}

/// Hangs files on a draft, large ones piece by piece.
pub(super) async fn hang(
    cx: &Cx,
    mailbox: &str,
    draft: &str,
    files: &[File],
) -> Result<(), ToolError> {
    for file in files {
        if file.bytes.len() <= SMALL {
            let path = graph::of(mailbox, &["messages", draft, "attachments"]);
            cx.api.post(&path).json(&part(file)).done().await?;
        } else {
            upload(cx, mailbox, draft, file).await?;
        }
    }
    Ok(())
}

async fn upload(cx: &Cx, mailbox: &str, draft: &str, file: &File) -> Result<(), ToolError> {
    let size = file.bytes.len();
    let path = graph::of(
        mailbox,
        &["messages", draft, "attachments", "createUploadSession"],
    );
    let item =
        json!({ "AttachmentItem": { "attachmentType": "file", "name": file.name, "size": size } });
    let session: Session = cx.api.post(&path).json(&item).send().await?;
    let pieces = u32::try_from(size.div_ceil(PIECE)).ok();
    let mut from = 0;
    for (index, piece) in file.bytes.chunks(PIECE).enumerate() {
        let to = from + piece.len();
        // The address is a credential of its own, so ours stays at home.
        cx.api
            .follow(Method::PUT, &session.upload_url)
            .anonymous()
            .header(CONTENT_RANGE, &format!("bytes {from}-{}/{size}", to - 1))
            .body("application/octet-stream", piece.to_vec())
            .done()
            .await
            .map_err(|error| ProviderError::Unavailable {
                reason: format!("the upload of an attachment broke off ({error})"),
            })?;
        from = to;
        let done = u32::try_from(index + 1).unwrap_or(u32::MAX);
        cx.progress
            .step(done, pieces, format!("upload {}", file.name));
    }
    Ok(())
}
