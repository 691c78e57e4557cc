//! Reading what files and mail attachments say.

use http::header::CONTENT_TYPE;
use schemars::JsonSchema;
use serde::Deserialize;

use super::super::graph::{self, Page};
use super::super::mail;
use super::super::refs::{FileRef, mail_part, require_any};
use super::READ;
use super::model::{self, DriveItem, explained};
use crate::kit::documents::{self, Extracted, Wanted};
use crate::kit::error::{ProviderError, ToolError};
use crate::kit::output::{Item, Output};
use crate::kit::tool::{AuditArgs, Cx, Effect, Needs, Tool};

/// Largest file read, in bytes.
const MAX_BYTES: usize = 32 * 1024 * 1024;

/// Read a file, or an attachment of a mail, as text, Markdown or CSV.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ReadContent {
    /// Path, id or link of a file, `ref` of an attachment; with `attachment`, a mail's id.
    #[serde(rename = "ref")]
    reference: String,
    /// Its id or name.
    #[serde(default)]
    attachment: String,
    /// Of the mail, if shared.
    #[serde(default)]
    mailbox: String,
    /// Such as `3-7`.
    #[serde(default)]
    pages: String,
    /// Sheet's name.
    #[serde(default)]
    sheet: String,
    /// Cells, such as `A1:D50`.
    #[serde(default)]
    range: String,
}

/// A mail's attachment.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Attachment {
    #[serde(rename = "@odata.type", default)]
    kind: String,
    id: String,
    name: Option<String>,
    content_type: Option<String>,
    size: Option<u64>,
}

impl Tool for ReadContent {
    const NAME: &'static str = "m365_read_content";
    const TITLE: &'static str = "Read file or attachment";
    const EFFECT: Effect = Effect::Read;
    const SCOPES: Needs = Needs::Any(&[
        "Files.Read.All",
        "Files.ReadWrite.All",
        "Files.Read",
        "Files.ReadWrite",
        "Sites.Read.All",
        "Sites.ReadWrite.All",
        "Sites.Selected",
        "Mail.Read",
        "Mail.ReadWrite",
    ]);
    const AUDIT: AuditArgs = AuditArgs {
        plain: &["pages"],
        dropped: &[],
    };

    async fn call(self, cx: &Cx) -> Result<Output, ToolError> {
        let wanted = self.wanted(cx)?;
        let in_mail = mail_part(&self.reference);
        let attachment = match &in_mail {
            Some((_, Some(attachment))) if self.attachment.is_empty() => attachment,
            _ => &self.attachment,
        };
        if !attachment.is_empty() {
            let message = in_mail.as_ref().map(|(message, _)| message.as_str());
            return self.attached(cx, message, attachment, wanted).await;
        }
        if let Needs::Any(scopes) = READ {
            require_any(cx, scopes)?;
        }
        if self.reference.trim().is_empty() {
            return Err(ToolError::Invalid("`ref` is empty".to_owned()));
        }
        let file = FileRef::parse(&self.reference)?;
        let item = model::get(cx, &file).await?;
        if item.is_folder() || item.package.is_some() {
            return Err(ToolError::Invalid(format!(
                "`ref`: `{}` is no file; list it with m365_list_folder",
                item.name()
            )));
        }
        let row = item.row(cx).field("etag", item.e_tag.clone());
        match text_of(cx, &item, wanted).await? {
            Ok(extracted) => Ok(answer(row, extracted)),
            Err(why) => Ok(Output::one(row).warn(format!("{why}; open it at its `url`"))),
        }
    }
}

/// The text of a file, or why there is none to be had.
pub(super) async fn text_of(
    cx: &Cx,
    item: &DriveItem,
    wanted: Wanted,
) -> Result<Result<Extracted, String>, ToolError> {
    if item.size.is_some_and(|size| size > MAX_BYTES as u64) {
        return Ok(Err(too_large(item.name())));
    }
    let place = item.place()?;
    let answered = cx
        .api
        .get(&place.path(&["content"]))
        .accept("*/*")
        .download()
        .max_bytes(MAX_BYTES)
        .bytes()
        .await;
    let answered = match answered {
        Ok(answered) => answered,
        Err(ProviderError::TooLarge { .. }) => return Ok(Err(too_large(item.name()))),
        Err(error) => return Err(explained(cx, &format!("`{}`", item.name()), error)),
    };
    let media = match item.media() {
        "" => answered
            .header(CONTENT_TYPE.as_str())
            .unwrap_or_default()
            .to_owned(),
        media => media.to_owned(),
    };
    extract(answered.body, &media, item.name(), wanted).await
}

async fn extract(
    bytes: Vec<u8>,
    media: &str,
    name: &str,
    wanted: Wanted,
) -> Result<Result<Extracted, String>, ToolError> {
    let head = &bytes[..bytes.len().min(4096)];
    let Some(format) = documents::format_of(media, name, head) else {
        let kind = if media.is_empty() {
            "this kind of file"
        } else {
            media
        };
        return Ok(Err(format!("`{name}` cannot be read as text ({kind})")));
    };
    Ok(Ok(documents::extract(bytes, format, wanted).await?))
}

fn too_large(name: &str) -> String {
    format!(
        "`{name}` is larger than {} MB, which is the most that is read",
        MAX_BYTES >> 20
    )
}

/// The record with its text.
fn answer(row: Item, extracted: Extracted) -> Output {
    let mut output = Output::one(
        row.field("text_type", extracted.media)
            .field("pages", extracted.total)
            .field("sheets", extracted.parts)
            .field(
                "continue_with_pages",
                extracted.next_page.map(|page| format!("{page}-")),
            )
            .field("text", extracted.text),
    );
    output.truncated = extracted.truncated;
    output.warnings = extracted.notes;
    output
}

impl ReadContent {
    fn wanted(&self, cx: &Cx) -> Result<Wanted, ToolError> {
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        Ok(Wanted {
            pages: documents::pages(&self.pages)?,
            sheet: some(&self.sheet),
            range: some(&self.range),
            // What surrounds the text takes some room too.
            max_chars: cx.max_chars.saturating_sub(cx.max_chars / 10).max(500),
        })
    }

    /// The text of an attachment; of the mail that `ref` is the id of, when no address named one.
    async fn attached(
        &self,
        cx: &Cx,
        message: Option<&str>,
        attachment: &str,
        wanted: Wanted,
    ) -> Result<Output, ToolError> {
        require_any(cx, &["Mail.Read", "Mail.ReadWrite"])?;
        let mailbox = mail::others(cx, &self.mailbox);
        mail::shared(cx, mailbox, "Mail.Read.Shared")?;
        let message = message.unwrap_or_else(|| self.reference.trim());
        let message = percent_encoding::percent_decode_str(message).decode_utf8_lossy();
        if message.is_empty() || message.contains("://") {
            return Err(ToolError::Invalid(
                "`ref` must be the id of the mail".to_owned(),
            ));
        }
        let path = ["messages", &*message, "attachments"];
        let listed = cx
            .api
            .get(&graph::of(mailbox, &path))
            .query("$select", "id,name,contentType,size")
            .send::<Page<Attachment>>()
            .await;
        let attachments = match listed {
            Ok(page) => page.value,
            Err(ProviderError::NotFound) => {
                return Err(ToolError::NotFound(
                    "`ref`: there is no such mail, or it was moved; search with m365_search_mail"
                        .to_owned(),
                ));
            }
            Err(error) => return Err(error.into()),
        };
        let named = |one: &&Attachment| one.name.as_deref() == Some(attachment);
        let by_id = attachments.iter().find(|one| one.id == attachment);
        let Some(one) = by_id.or_else(|| attachments.iter().find(named)) else {
            let names: Vec<&str> = attachments
                .iter()
                .filter_map(|one| one.name.as_deref())
                .collect();
            return Err(ToolError::NotFound(format!(
                "`attachment`: the mail has none called `{attachment}`; it has: {}",
                if names.is_empty() {
                    "none".to_owned()
                } else {
                    names.join(", ")
                }
            )));
        };
        let name = one.name.as_deref().unwrap_or_default();
        let media = one.content_type.as_deref().unwrap_or_default();
        let mut row = Item::new(&one.id)
            .field("name", name)
            .field("media_type", media)
            .field("bytes", one.size);
        row.uri = mail::uri(cx, mailbox, &message);
        if one.kind.ends_with("referenceAttachment") {
            return Ok(Output::one(row).warn(format!(
                "`{name}` is a link to a file in a drive; find it with m365_search_files"
            )));
        }
        if one.size.is_some_and(|size| size > MAX_BYTES as u64) {
            return Ok(Output::one(row).warn(too_large(name)));
        }
        let path = ["messages", &*message, "attachments", &one.id, "$value"];
        let answered = cx
            .api
            .get(&graph::of(mailbox, &path))
            .accept("*/*")
            .max_bytes(MAX_BYTES)
            .bytes()
            .await?;
        // An attached message comes as it travelled.
        let media = if one.kind.ends_with("itemAttachment") {
            "message/rfc822"
        } else {
            media
        };
        Ok(match extract(answered.body, media, name, wanted).await? {
            Ok(extracted) => answer(row, extracted),
            Err(why) => Output::one(row).warn(format!("{why}; open the mail in Outlook")),
        })
    }
}
