//! `google_write_file`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, json};

use super::super::diff::unified;
use super::super::grants::WRITE;
use super::super::refs::{FileRef, seen};
use super::model::{DOCUMENT, FOLDER, File, GOOGLE, PRESENTATION, SPREADSHEET, resolved};
use super::read::{Part, page_of};
use super::rows;
use super::upload::{Content, upload};
use crate::kit::documents::{docx_of_markdown, xlsx_of_csv};
use crate::kit::error::ToolError;
use crate::kit::output::Output;
use crate::kit::text;
use crate::kit::tool::{AuditArgs, Cx, Effect, Needs, Tool};

const DOCX: &str = "application/vnd.openxmlformats-officedocument.wordprocessingml.document";
const XLSX: &str = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet";
const PPTX: &str = "application/vnd.openxmlformats-officedocument.presentationml.presentation";
/// Longest diff shown, in characters.
const DIFF_CHARS: usize = 16_000;

/// What to make of the content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
enum As {
    Doc,
    Sheet,
    Slides,
    Docx,
    Xlsx,
}

/// Create a file, or replace its content. Markdown becomes a doc or docx, CSV a sheet or xlsx.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WriteFile {
    /// To replace, id or URL; else creates.
    #[serde(default)]
    #[schemars(with = "FileRef")]
    file: Option<FileRef>,
    /// Name.
    #[serde(default)]
    name: String,
    /// Folder id or URL.
    #[serde(default)]
    #[schemars(with = "FileRef")]
    folder: Option<FileRef>,
    /// Text.
    #[serde(default)]
    content: String,
    /// Bytes instead.
    #[serde(default)]
    base64: String,
    /// Of the content; else by name.
    #[serde(default)]
    media_type: String,
    /// Convert to.
    #[serde(default, rename = "as")]
    #[schemars(with = "As")]
    kind: Option<As>,
    /// Refuse unless this is still its `version`.
    #[serde(default)]
    if_version: String,
}

impl Tool for WriteFile {
    const NAME: &'static str = "google_write_file";
    const TITLE: &'static str = "Write file";
    const EFFECT: Effect = Effect::Write { idempotent: false };
    const SCOPES: Needs = WRITE;
    const AUDIT: AuditArgs = AuditArgs {
        plain: &["file", "folder", "as", "if_version", "media_type"],
        dropped: &["content", "base64"],
    };

    async fn call(self, cx: &Cx) -> Result<Output, ToolError> {
        match &self.file {
            Some(file) => self.replace(cx, file).await,
            None => self.create(cx).await,
        }
    }
}

impl WriteFile {
    async fn create(&self, cx: &Cx) -> Result<Output, ToolError> {
        if self.name.trim().is_empty() {
            return Err(ToolError::Invalid(
                "a new file needs a `name`; give `file` to replace one".to_owned(),
            ));
        }
        if !self.if_version.is_empty() {
            return Err(ToolError::Invalid(
                "`if_version` is for a `file` that is there".to_owned(),
            ));
        }
        let (content, google) = self.content(None)?;
        let name = self.name.trim();
        let mut metadata = Map::new();
        metadata.insert("name".to_owned(), json!(name));
        if let Some(folder) = &self.folder {
            metadata.insert("parents".to_owned(), json!([folder.id()]));
        }
        if let Some(kind) = google {
            metadata.insert("mimeType".to_owned(), json!(kind));
        }
        if cx.dry_run {
            // The folder is looked at, so that a wrong one shows before the real call.
            let folder = match &self.folder {
                Some(folder) => Some(resolved(cx, folder).await?),
                None => None,
            };
            if folder
                .as_ref()
                .is_some_and(|folder| folder.mime_type != FOLDER)
            {
                return Err(ToolError::Invalid("`folder` is not a folder".to_owned()));
            }
            let item = crate::kit::output::Item::new("")
                .field("dry_run", true)
                .field("creates", name)
                .field("type", rows::kind(google.unwrap_or(&content.media)))
                .field("folder", folder.map(|folder| folder.name))
                .field("bytes", content.bytes.len())
                .field("text", text::clip(&self.content, DIFF_CHARS));
            return Ok(Output::one(item));
        }
        let made = upload(cx, None, &metadata.into(), content).await;
        let made = seen(cx, "the folder", made)?;
        Ok(Output::one(rows::item(cx, &made)))
    }

    async fn replace(&self, cx: &Cx, file: &FileRef) -> Result<Output, ToolError> {
        // What is left out would be zero bytes, and those would be put over what is there.
        if self.content.is_empty() && self.base64.trim().is_empty() {
            return Err(ToolError::Invalid(
                "replacing a file needs `content` or `base64`; rename it with google_organize_file"
                    .to_owned(),
            ));
        }
        let found = resolved(cx, file).await?;
        if found.mime_type == FOLDER {
            return Err(ToolError::Invalid(
                "`file` is a folder and has no content".to_owned(),
            ));
        }
        if self.folder.is_some() {
            return Err(ToolError::Invalid(
                "`folder` is for a new file; move one with google_organize_file".to_owned(),
            ));
        }
        if !self.if_version.is_empty() && found.version() != Some(self.if_version.as_str()) {
            return Err(ToolError::Conflict(format!(
                "{} is not version {} any more; read it again and repeat the change",
                found.name, self.if_version
            )));
        }
        let (content, _) = self.content(Some(&found))?;
        let name = self.name.trim();
        if cx.dry_run {
            return self.preview(cx, file, &found, &content).await;
        }
        let mut metadata = Map::new();
        if !name.is_empty() {
            metadata.insert("name".to_owned(), json!(name));
        }
        let made = upload(cx, Some(&found.id), &metadata.into(), content).await;
        let made = seen(cx, &format!("file {file}"), made)?;
        let before = found.version().map(ToOwned::to_owned);
        Ok(Output::one(
            rows::item(cx, &made).field("version_before", before),
        ))
    }

    async fn preview(
        &self,
        cx: &Cx,
        file: &FileRef,
        found: &File,
        content: &Content,
    ) -> Result<Output, ToolError> {
        let mut item = rows::item(cx, found)
            .field("dry_run", true)
            .field("bytes_after", content.bytes.len());
        let name = self.name.trim();
        if !name.is_empty() && name != found.name {
            item.set("name_after", name);
        }
        let mut output = Output::default();
        if !self.content.is_empty() {
            let before = page_of(cx, found, file, &Part::whole(cx)).await?;
            match before.text {
                Some(text) if before.next.is_none() => {
                    item.set(
                        "diff",
                        text::clip(&unified(&text, &self.content), DIFF_CHARS),
                    );
                }
                _ => output = output.warn("the file is too long, or no text, to show what changes"),
            }
        }
        output.items.push(item);
        Ok(output)
    }

    /// The content to send, and which of Google's kinds it becomes.
    fn content(
        &self,
        replaced: Option<&File>,
    ) -> Result<(Content, Option<&'static str>), ToolError> {
        let bytes = self.bytes()?;
        let given = self.media_type.trim();
        let plain = |c: char| c.is_ascii_graphic() || c == ' ';
        let fits = given.is_empty() || given.contains('/') && given.chars().all(plain);
        if !fits {
            return Err(ToolError::Invalid(
                "`media_type` must be such as `text/csv`".to_owned(),
            ));
        }
        let native = replaced.map(|file| file.mime_type.as_str());
        let google = match (self.kind, native) {
            (Some(As::Doc), None) | (None, Some(DOCUMENT)) => Some(DOCUMENT),
            (Some(As::Sheet), None) | (None, Some(SPREADSHEET)) => Some(SPREADSHEET),
            (Some(As::Slides), None) | (None, Some(PRESENTATION)) => Some(PRESENTATION),
            (Some(As::Docx | As::Xlsx) | None, _) => None,
            (Some(As::Doc | As::Sheet | As::Slides), Some(_)) => {
                return Err(ToolError::Invalid(
                    "`as` is for a new file: a file keeps its kind".to_owned(),
                ));
            }
        };
        // What the file is by its name, or was when it was stored.
        let own = by_name(self.file_name(replaced)).or(native);
        let content = match bytes {
            Some(bytes) => self.of_bytes(bytes, google, own),
            None => self.of_text(google, own)?,
        };
        Ok((content, google))
    }

    /// What `base64` holds, if it is given.
    fn bytes(&self) -> Result<Option<Vec<u8>>, ToolError> {
        match (self.content.is_empty(), self.base64.is_empty()) {
            (false, false) => Err(ToolError::Invalid(
                "give either `content` or `base64`".to_owned(),
            )),
            (_, true) => Ok(None),
            (true, false) => STANDARD
                .decode(self.base64.trim())
                .map(Some)
                .map_err(|_| ToolError::Invalid("`base64` is not standard base64".to_owned())),
        }
    }

    fn of_bytes(&self, bytes: Vec<u8>, google: Option<&str>, own: Option<&str>) -> Content {
        let usual = match (self.kind, google) {
            (Some(As::Docx), _) | (_, Some(DOCUMENT)) => DOCX,
            (Some(As::Xlsx), _) | (_, Some(SPREADSHEET)) => XLSX,
            (_, Some(_)) => PPTX,
            (_, None) => own.unwrap_or("application/octet-stream"),
        };
        Content {
            media: self.media(usual),
            bytes,
        }
    }

    fn of_text(&self, google: Option<&str>, own: Option<&str>) -> Result<Content, ToolError> {
        let media = match (self.kind, google) {
            (Some(As::Docx), _) => DOCX.to_owned(),
            (Some(As::Xlsx), _) => XLSX.to_owned(),
            (_, Some(DOCUMENT)) => self.media("text/markdown"),
            (_, Some(SPREADSHEET)) => self.media("text/csv"),
            (_, Some(_)) => {
                return Err(ToolError::Invalid(
                    "slides are made from `base64` of a pptx; create an empty deck and use google_edit_slides for text".to_owned(),
                ));
            }
            // A file that is no text stays what it is, whatever the text is said to be.
            (_, None) => match own {
                Some(own) if form(own) != Form::Text => own.to_owned(),
                own => self.media(own.unwrap_or("text/plain")),
            },
        };
        let bytes = match form(&media) {
            Form::Text => self.content.clone().into_bytes(),
            Form::Docx => docx_of_markdown(&self.content)?,
            Form::Xlsx => xlsx_of_csv(&self.content)?,
            Form::Other => {
                return Err(ToolError::Invalid(format!(
                    "`content` is text and cannot become {}; write a .docx, .xlsx, .md, .csv or another text, or give the file's bytes as `base64`",
                    text::clip(&text::printable(rows::kind(&media)), 100)
                )));
            }
        };
        Ok(Content { media, bytes })
    }

    /// The media type that was given, else this one.
    fn media(&self, usual: &str) -> String {
        match self.media_type.trim() {
            "" => usual.to_owned(),
            given => given.to_owned(),
        }
    }

    fn file_name<'a>(&'a self, replaced: Option<&'a File>) -> &'a str {
        match replaced {
            Some(file) if self.name.trim().is_empty() => &file.name,
            _ => self.name.trim(),
        }
    }
}

/// What text becomes in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// Text, as it is.
    Text,
    /// A Word document, from Markdown.
    Docx,
    /// A workbook, from CSV.
    Xlsx,
    /// Something that cannot be made from text.
    Other,
}

/// The form of a media type. One that nobody knows is text: so are the many kinds of source and settings.
fn form(media: &str) -> Form {
    const KINDS: [&str; 8] = [
        "image/",
        "video/",
        "audio/",
        "font/",
        "application/vnd.openxmlformats-",
        "application/vnd.oasis.",
        "application/vnd.ms-",
        GOOGLE,
    ];
    const OTHERS: [&str; 7] = [
        "application/pdf",
        "application/msword",
        "application/zip",
        "application/x-zip-compressed",
        "application/gzip",
        "application/x-7z-compressed",
        "application/vnd.rar",
    ];
    let media = media.split(';').next().unwrap_or_default().trim();
    let media = media.to_ascii_lowercase();
    match media.as_str() {
        DOCX => Form::Docx,
        XLSX => Form::Xlsx,
        "image/svg+xml" => Form::Text,
        other if OTHERS.contains(&other) => Form::Other,
        other if KINDS.iter().any(|kind| other.starts_with(kind)) => Form::Other,
        _text => Form::Text,
    }
}

/// The media type that a name's ending stands for.
fn by_name(name: &str) -> Option<&'static str> {
    let (_, ending) = name.rsplit_once('.')?;
    Some(match ending.to_ascii_lowercase().as_str() {
        "md" | "markdown" => "text/markdown",
        "txt" | "log" => "text/plain",
        "csv" => "text/csv",
        "tsv" => "text/tab-separated-values",
        "html" | "htm" => "text/html",
        "json" => "application/json",
        "xml" => "application/xml",
        "yaml" | "yml" => "application/yaml",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "pdf" => "application/pdf",
        "webp" => "image/webp",
        "mp3" => "audio/mpeg",
        "mp4" => "video/mp4",
        "docx" => DOCX,
        "xlsx" => XLSX,
        "pptx" => PPTX,
        "doc" => "application/msword",
        "xls" => "application/vnd.ms-excel",
        "ppt" => "application/vnd.ms-powerpoint",
        "odt" => "application/vnd.oasis.opendocument.text",
        "ods" => "application/vnd.oasis.opendocument.spreadsheet",
        "odp" => "application/vnd.oasis.opendocument.presentation",
        "zip" => "application/zip",
        "eml" => "message/rfc822",
        _other => return None,
    })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test says what went wrong by failing")]
    use super::*;

    fn write(name: &str, content: &str, media_type: &str) -> WriteFile {
        WriteFile {
            file: None,
            name: name.to_owned(),
            folder: None,
            content: content.to_owned(),
            base64: String::new(),
            media_type: media_type.to_owned(),
            kind: None,
            if_version: String::new(),
        }
    }

    #[test]
    fn the_name_decides_the_form() {
        let made = |name, media| write(name, "# A", media).content(None).map(|made| made.0);
        for (name, given, media, head) in [
            ("Plan.docx", "", DOCX, "PK"),
            ("Plan.docx", "text/plain", DOCX, "PK"),
            ("Plan.XLSX", "", XLSX, "PK"),
            ("plan.md", "", "text/markdown", "# A"),
            ("logo.svg", "", "image/svg+xml", "# A"),
            ("Makefile", "", "text/plain", "# A"),
            ("notes", "text/x-org", "text/x-org", "# A"),
        ] {
            let content = made(name, given).unwrap();
            assert_eq!(content.media, media, "{name}");
            assert!(content.bytes.starts_with(head.as_bytes()), "{name}");
        }
        for (name, given) in [
            ("a.pdf", ""),
            ("a.pptx", "text/plain"),
            ("a.png", ""),
            ("a.zip", ""),
            ("a.doc", ""),
            ("a", "application/pdf"),
        ] {
            let refused = made(name, given).unwrap_err().to_string();
            assert!(refused.starts_with("`content` is text"), "{refused}");
        }
    }

    #[test]
    fn a_stored_file_stays_what_it_is() {
        let stored = |name: &str, mime_type: &str| File {
            name: name.to_owned(),
            mime_type: mime_type.to_owned(),
            ..File::default()
        };
        let over = |file: &File| write("", "a,b", "").content(Some(file)).map(|made| made.0);
        assert_eq!(over(&stored("contract", DOCX)).unwrap().media, DOCX);
        assert_eq!(
            over(&stored("Cargo.lock", "application/octet-stream"))
                .unwrap()
                .bytes,
            b"a,b"
        );
        assert!(over(&stored("report", "application/pdf")).is_err());
        assert!(over(&stored("survey", "application/vnd.google-apps.form")).is_err());
    }
}
