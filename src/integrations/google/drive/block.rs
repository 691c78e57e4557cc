//! The block of a file of any kind, and what the editors' blocks share with it.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::super::grants::{FINDERS, READ};
use super::super::refs::FileRef;
use super::model::{FOLDER, FileList, metadata, readable};
use super::query::quoted;
use super::read::{Part, page_of};
use super::rows;
use crate::kit::block::{Content, ContextBlock};
use crate::kit::error::ToolError;
use crate::kit::tool::{Cx, Needs};

/// Most values of a completion.
const MOST: u32 = 50;

/// A file of any kind.
#[derive(Deserialize)]
pub(super) struct FileBlock {
    file_id: String,
}

impl ContextBlock for FileBlock {
    const URI: &'static str = "google://{account}/drive/{file_id}";
    const NAME: &'static str = "google_file";
    const TITLE: &'static str = "Drive file";
    const DESCRIPTION: &'static str =
        "The text of a file in Drive: document, sheet, slides, PDF, Office or plain text.";
    const MIME: &'static str = "text/markdown";
    const SCOPES: Needs = READ;

    async fn read(self, cx: &Cx) -> Result<Content, ToolError> {
        let file = FileRef::parse(&self.file_id).ok_or_else(|| {
            ToolError::Invalid("the address must hold the id of a file".to_owned())
        })?;
        let found = readable(cx, &file).await?;
        let version = found.version().map(ToOwned::to_owned);
        if version.is_some() && version == cx.held {
            return Ok(Content::unchanged());
        }
        let page = page_of(cx, &found, &file, &Part::whole(cx)).await?;
        let Some(text) = page.text else {
            return Err(ToolError::Invalid(format!(
                "{} has no text to read; open it at {}",
                found.name,
                rows::page(&found)
            )));
        };
        Ok(Content {
            mime: Some(page.media.to_owned()),
            version,
            url: Some(rows::page(&found)),
            truncated: page.cut || page.next.is_some(),
            ..Content::text(text)
        })
    }

    async fn complete(
        cx: &Cx,
        field: &str,
        prefix: &str,
        _chosen: &Map<String, Value>,
    ) -> Result<Vec<String>, ToolError> {
        complete_files(cx, field, prefix, "").await
    }
}

/// Ids of the files of this media type, or of all but folders, whose names have the words typed; newest first.
pub(in super::super) async fn complete_files(
    cx: &Cx,
    field: &str,
    prefix: &str,
    media: &str,
) -> Result<Vec<String>, ToolError> {
    if !matches!(field, "id" | "file_id") {
        return Ok(Vec::new());
    }
    if !FINDERS.iter().any(|scope| cx.granted.has(scope)) {
        return Ok(Vec::new());
    }
    let mut terms = Vec::new();
    if !prefix.trim().is_empty() {
        terms.push(format!("name contains {}", quoted(prefix.trim())));
    }
    terms.push(match media {
        "" => format!("mimeType != '{FOLDER}'"),
        media => format!("mimeType = '{media}'"),
    });
    terms.push("trashed = false".to_owned());
    let found: FileList = cx
        .api
        .get(&["drive", "v3", "files"])
        .query("q", terms.join(" and "))
        .query("corpora", "user")
        .query("orderBy", "viewedByMeTime desc,modifiedTime desc")
        .query("pageSize", MOST)
        .query("fields", "files(id)")
        .send()
        .await?;
    Ok(found.files.into_iter().map(|file| file.id).collect())
}

/// Whether what is held of a file is still the newest.
#[derive(Debug)]
pub(in super::super) enum Newest {
    /// It is.
    Held,
    /// It is not, or nothing is held; the newest version, as far as Drive may be asked.
    Other(Option<String>),
}

/// Asks Drive for the version of a file, for editors whose API knows none.
pub(in super::super) async fn newest(cx: &Cx, file: &FileRef) -> Result<Newest, ToolError> {
    if !FINDERS.iter().any(|scope| cx.granted.has(scope)) {
        return Ok(Newest::Other(None));
    }
    let found = match metadata(cx, file).await {
        // Made elsewhere, and Drive may show only what was made here: the editor may know it nevertheless.
        Err(ToolError::NotFound(_)) => return Ok(Newest::Other(None)),
        found => found?,
    };
    let version = found.version().map(ToOwned::to_owned);
    if version.is_some() && version == cx.held {
        return Ok(Newest::Held);
    }
    Ok(Newest::Other(version))
}
