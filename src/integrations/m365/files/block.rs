//! A file as a context block, and the completion of its path.

use std::fmt::Write as _;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::super::graph::Page;
use super::super::refs::{FileRef, borrowed};
use super::READ;
use super::model::{self, DriveItem, FIELDS};
use super::read::text_of;
use crate::kit::block::{Content, ContextBlock};
use crate::kit::documents::Wanted;
use crate::kit::error::ToolError;
use crate::kit::tool::{Cx, Needs};

/// A file of OneDrive or SharePoint.
#[derive(Deserialize)]
pub(super) struct FileBlock {
    /// A drive's id, or `me`.
    drive: String,
    /// An item's id, or a path that begins with a slash.
    item: String,
}

#[derive(Deserialize)]
struct Drive {
    id: String,
    #[serde(default)]
    name: Option<String>,
}

impl ContextBlock for FileBlock {
    const URI: &'static str = "m365://{account}/files/{drive}/{item}";
    const NAME: &'static str = "m365_file";
    const TITLE: &'static str = "File";
    const DESCRIPTION: &'static str = "A file of OneDrive or SharePoint as text; drive `me` is the own OneDrive, an item is an id or a /path.";
    const MIME: &'static str = "text/markdown";
    const SCOPES: Needs = READ;

    async fn read(self, cx: &Cx) -> Result<Content, ToolError> {
        let file = FileRef::in_drive(&self.drive, &self.item);
        let item = model::get(cx, &file).await?;
        if item.is_folder() {
            return listing(cx, &item).await;
        }
        // The cTag changes with the content alone, the eTag with names and properties too.
        let version = item.c_tag.clone().or_else(|| item.e_tag.clone());
        if version.is_some() && version == cx.held {
            return Ok(Content::unchanged());
        }
        let wanted = Wanted {
            max_chars: cx.max_chars,
            ..Wanted::default()
        };
        let extracted = match text_of(cx, &item, wanted).await? {
            Ok(extracted) => extracted,
            Err(why) => {
                return Err(ToolError::Invalid(format!(
                    "{why}; open it at {}",
                    item.web_url.as_deref().unwrap_or("OneDrive")
                )));
            }
        };
        Ok(Content {
            mime: Some(extracted.media.to_owned()),
            version,
            url: item.web_url,
            truncated: extracted.truncated,
            ..Content::text(extracted.text)
        })
    }

    async fn complete(
        cx: &Cx,
        field: &str,
        prefix: &str,
        chosen: &Map<String, Value>,
    ) -> Result<Vec<String>, ToolError> {
        match field {
            "drive" => drives(cx, prefix).await,
            "item" => {
                let drive = chosen.get("drive").and_then(Value::as_str).unwrap_or("me");
                paths(cx, drive, prefix).await
            }
            _ => Ok(Vec::new()),
        }
    }
}

async fn listing(cx: &Cx, folder: &DriveItem) -> Result<Content, ToolError> {
    let place = folder.place()?;
    let page: Page<DriveItem> = cx
        .api
        .get(&place.path(&["children"]))
        .query("$select", FIELDS)
        .query("$top", 200)
        .send()
        .await?;
    let mut text = format!("# {}\n\n", folder.name());
    for item in &page.value {
        let slash = if item.is_folder() { "/" } else { "" };
        let _ = writeln!(text, "- {}{slash}", item.name());
    }
    Ok(Content {
        version: folder.c_tag.clone().or_else(|| folder.e_tag.clone()),
        url: folder.web_url.clone(),
        truncated: page.next.is_some(),
        ..Content::text(text)
    })
}

/// `me` and the ids of the person's further drives whose names begin so.
async fn drives(cx: &Cx, prefix: &str) -> Result<Vec<String>, ToolError> {
    let page: Page<Drive> = cx
        .api
        .get(&["v1.0", "me", "drives"])
        .query("$select", "id,name")
        .send()
        .await?;
    let prefix = prefix.to_lowercase();
    let begins = |text: &str| text.to_lowercase().starts_with(&prefix);
    let own = begins("me").then(|| "me".to_owned());
    let others = page
        .value
        .into_iter()
        .filter(|drive| begins(&drive.id) || drive.name.as_deref().is_some_and(begins))
        .map(|drive| drive.id);
    Ok(own.into_iter().chain(others).take(100).collect())
}

/// Paths in a drive that begin so: what is in the folder typed already.
async fn paths(cx: &Cx, drive: &str, prefix: &str) -> Result<Vec<String>, ToolError> {
    let (folder, name) = prefix.rsplit_once('/').unwrap_or(("", prefix));
    // What is typed without its first slash is meant from the root all the same.
    let folder = folder.trim_start_matches('/');
    let base = if folder.is_empty() {
        String::new()
    } else {
        format!("/{folder}")
    };
    let file = FileRef::in_drive(drive, &base);
    let page: Page<DriveItem> = cx
        .api
        .get(&borrowed(&file.address(&["children"])))
        .query("$select", "id,name,folder")
        .query("$top", 200)
        .send()
        .await?;
    let name = name.to_lowercase();
    let found = page
        .value
        .iter()
        .filter(|item| item.name().to_lowercase().starts_with(&name));
    Ok(found
        .map(|item| {
            let slash = if item.is_folder() { "/" } else { "" };
            format!("{base}/{}{slash}", item.name())
        })
        .take(100)
        .collect())
}
