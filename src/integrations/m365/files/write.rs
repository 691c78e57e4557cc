//! Writing files: text as it is, Markdown as a Word document, CSV as a workbook.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::super::refs::FileRef;
use super::WRITE;
use super::model::{self, DriveItem, explained};
use super::upload::{Target, upload};
use crate::kit::documents;
use crate::kit::error::{ProviderError, ToolError};
use crate::kit::output::{Item, Output};
use crate::kit::text;
use crate::kit::tool::{AuditArgs, Cx, Effect, Needs, Tool};

/// Characters of a text that a change shows of it.
const SHOWN: usize = 600;

/// Create or replace a file. A name in .docx takes Markdown, .xlsx CSV, any other its text.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WriteFile {
    /// Path (`Plans/a.docx`, `drive:/a.md`), or id or link of the file, or of the folder for `name`.
    #[serde(rename = "ref")]
    reference: String,
    /// A new file's, in the folder `ref`.
    #[serde(default)]
    name: String,
    /// The text.
    content: String,
    /// To replace: the etag that was read, or `*` for any.
    #[serde(default)]
    if_match: String,
}

impl Tool for WriteFile {
    const NAME: &'static str = "m365_write_file";
    const TITLE: &'static str = "Write file";
    const EFFECT: Effect = Effect::Write { idempotent: true };
    const SCOPES: Needs = WRITE;
    const AUDIT: AuditArgs = AuditArgs {
        plain: &["if_match"],
        dropped: &["content"],
    };

    async fn call(self, cx: &Cx) -> Result<Output, ToolError> {
        let Plan {
            existing,
            target,
            name,
            path,
        } = self.plan(cx).await?;
        let (bytes, media) = encode(&name, &self.content)?;
        let before = existing.as_ref().map(|item| {
            json!({ "bytes": item.size, "modified": item.last_modified_date_time,
                "modified_by": item.last_modified_by.as_ref().and_then(model::Identities::name) })
        });
        if cx.dry_run {
            let item = match &existing {
                Some(item) => item.row(cx),
                None => Item::new("new")
                    .field("name", name.as_str())
                    .field("path", path),
            };
            let after = json!({
                "bytes": bytes.len(), "media_type": media, "text": text::clip(&self.content, SHOWN),
            });
            return Ok(Output::one(item.field("dry_run", true).field(
                "changes",
                json!({ "content": { "before": before, "after": after } }),
            )));
        }
        let written = upload(cx, &target, media, bytes).await;
        let written = written.map_err(|error| match error {
            ToolError::Provider(ProviderError::Conflict { .. }) => ToolError::Conflict(format!(
                "`{name}` was changed or created meanwhile; read it again with m365_read_content"
            )),
            ToolError::Provider(error) => explained(cx, &format!("`{name}`"), error),
            other => other,
        })?;
        let done = if existing.is_some() {
            "replaced"
        } else {
            "created"
        };
        Ok(Output::one(
            written
                .row(cx)
                .field("etag", written.e_tag.clone())
                .field("done", done)
                .field("before", before.unwrap_or_default()),
        ))
    }
}

impl WriteFile {
    async fn plan(&self, cx: &Cx) -> Result<Plan, ToolError> {
        let file = FileRef::parse(&self.reference)?;
        let file = match (self.name.as_str(), file) {
            ("", file) => file,
            (name, FileRef::Path { drive, mut path }) => {
                path.push(checked("name", name)?.to_owned());
                FileRef::Path { drive, path }
            }
            (name, file) => {
                let folder = model::get(cx, &file).await?;
                if !folder.is_folder() {
                    return Err(ToolError::Invalid(format!(
                        "`ref`: `{}` is a file; leave out `name` to replace it",
                        folder.name()
                    )));
                }
                folder.inside(checked("name", name)?)?
            }
        };
        if let Some(item) = model::find(cx, &file).await? {
            return self.over(item);
        }
        let FileRef::Path { drive, mut path } = file else {
            return Err(ToolError::NotFound(format!(
                "{} was not found; name a new file by its path",
                file.words()
            )));
        };
        let Some(name) = path.pop() else {
            return Err(ToolError::Invalid(
                "`ref` is a drive's root; add the file's name".to_owned(),
            ));
        };
        let folder = model::get(cx, &FileRef::Path { drive, path }).await?;
        if !folder.is_folder() {
            return Err(ToolError::Invalid(format!(
                "`ref`: `{}` is a file and holds no others",
                folder.name()
            )));
        }
        self.beside(&folder, checked("ref", &name)?)
    }

    /// A new file in this folder.
    fn beside(&self, folder: &DriveItem, name: &str) -> Result<Plan, ToolError> {
        if !self.if_match.is_empty() && self.if_match != "*" {
            return Err(ToolError::Conflict(format!(
                "`{name}` is not there any more; leave out `if_match` to create it"
            )));
        }
        let target = Target::Into {
            folder: folder.place()?,
            name: name.to_owned(),
        };
        Ok(Plan {
            existing: None,
            target,
            name: name.to_owned(),
            path: folder.path_of(name),
        })
    }

    /// The file that is there, if the caller knows what is in it.
    fn over(&self, item: DriveItem) -> Result<Plan, ToolError> {
        let name = item.name().to_owned();
        if item.is_folder() {
            return Err(ToolError::Invalid(format!(
                "`ref`: `{name}` is a folder; add the file's name"
            )));
        }
        let etag = item.e_tag.clone().unwrap_or_default();
        match self.if_match.as_str() {
            "*" => {}
            "" => {
                return Err(ToolError::Conflict(format!(
                    "`{name}` exists; to replace it read it first and give its etag as `if_match`, or `*` to replace whatever is there"
                )));
            }
            wanted if wanted == etag => {}
            _ => {
                return Err(ToolError::Conflict(format!(
                    "`{name}` changed since it was read; read it again with m365_read_content and decide anew"
                )));
            }
        }
        let target = Target::Over {
            place: item.place()?,
            etag: (self.if_match != "*").then_some(etag),
        };
        Ok(Plan {
            target,
            name,
            path: item.full_path(),
            existing: Some(item),
        })
    }
}

/// What a write comes down to.
struct Plan {
    /// The file that is there already.
    existing: Option<DriveItem>,
    /// Where the bytes go.
    target: Target,
    /// What the file is called.
    name: String,
    /// Its place in its drive.
    path: String,
}

/// The bytes of a file of this name and their media type.
fn encode(name: &str, content: &str) -> Result<(Vec<u8>, &'static str), ToolError> {
    let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
    let refused =
        |error: documents::DocumentError| ToolError::Invalid(format!("`content`: {error}"));
    Ok(match ending.to_ascii_lowercase().as_str() {
        "docx" => (
            documents::docx_of_markdown(content).map_err(refused)?,
            "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        ),
        "xlsx" => (
            documents::xlsx_of_csv(content).map_err(refused)?,
            "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        ),
        "pdf" | "pptx" | "doc" | "xls" | "ppt" | "odt" | "ods" | "one" | "png" | "jpg" | "zip" => {
            return Err(ToolError::Invalid(format!(
                "`content` is text and cannot become a .{ending} file; write .docx, .xlsx, .md, .csv, .html or another text"
            )));
        }
        "md" => (content.as_bytes().to_vec(), "text/markdown"),
        "csv" => (content.as_bytes().to_vec(), "text/csv"),
        "html" | "htm" => (content.as_bytes().to_vec(), "text/html"),
        "json" => (content.as_bytes().to_vec(), "application/json"),
        _other => (content.as_bytes().to_vec(), "text/plain"),
    })
}

/// A name that OneDrive takes.
pub(super) fn checked<'a>(argument: &str, name: &'a str) -> Result<&'a str, ToolError> {
    let name = name.trim();
    let taken = |c: char| matches!(c, '"' | '*' | ':' | '<' | '>' | '?' | '/' | '\\' | '|');
    if name.is_empty() || name.contains(taken) || name.contains(char::is_control) {
        return Err(ToolError::Invalid(format!(
            "`{argument}`: a name cannot be empty or hold any of \" * : < > ? / \\ |"
        )));
    }
    Ok(name)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test says what went wrong by failing")]
    use super::*;

    #[test]
    fn the_name_decides_the_format() {
        assert_eq!(
            encode("a.md", "# A").unwrap(),
            (b"# A".to_vec(), "text/markdown")
        );
        assert_eq!(encode("README", "x").unwrap().1, "text/plain");
        assert!(encode("a.pdf", "x").is_err());
    }

    #[test]
    fn names_cannot_be_paths() {
        assert_eq!(checked("name", " a b.md ").unwrap(), "a b.md");
        for wrong in ["", " ", "a/b", "a:b", "a\nb", "what?"] {
            assert!(checked("name", wrong).is_err(), "{wrong}");
        }
    }
}
