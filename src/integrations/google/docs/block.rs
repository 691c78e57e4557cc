//! The block of a document.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::super::drive::{DOCUMENT, complete_files};
use super::super::grants::READ_DOCS;
use super::super::refs::{FileRef, seen};
use super::model::Document;
use super::read::{Part, View, document, read, tabs};
use crate::kit::block::{Content, ContextBlock};
use crate::kit::error::ToolError;
use crate::kit::tool::{Cx, Needs};

/// A document, or one tab of it.
#[derive(Deserialize)]
pub(super) struct DocBlock {
    id: String,
    #[serde(default)]
    tab: String,
}

impl ContextBlock for DocBlock {
    const URI: &'static str = "google://{account}/docs/{id}{/tab*}";
    const NAME: &'static str = "google_doc";
    const TITLE: &'static str = "Document";
    const DESCRIPTION: &'static str = "A Google Doc or one of its tabs, as Markdown.";
    const MIME: &'static str = "text/markdown";
    const SCOPES: Needs = READ_DOCS;

    async fn read(self, cx: &Cx) -> Result<Content, ToolError> {
        let file = named(&self.id)?;
        if let Some(held) = &cx.held {
            let request = cx.api.at("docs").get(&["v1", "documents", file.id()]);
            let request = request.query("fields", "revisionId");
            let newest: Document = seen(cx, &format!("document {file}"), request.send().await)?;
            if newest.revision_id.as_ref() == Some(held) {
                return Ok(Content::unchanged());
            }
        }
        let part = Part {
            tab: &self.tab,
            outline: false,
        };
        let found = read(cx, &file, part).await?;
        let heading = if found.markdown.starts_with("# ") {
            String::new()
        } else {
            format!("# {}\n\n", found.title)
        };
        Ok(Content {
            version: found.revision,
            url: Some(format!("https://docs.google.com/document/d/{file}/edit")),
            ..Content::text(heading + &found.markdown)
        })
    }

    async fn complete(
        cx: &Cx,
        field: &str,
        prefix: &str,
        chosen: &Map<String, Value>,
    ) -> Result<Vec<String>, ToolError> {
        if field != "tab" {
            return complete_files(cx, field, prefix, DOCUMENT).await;
        }
        let id = chosen.get("id").and_then(Value::as_str).unwrap_or_default();
        let Some(file) = FileRef::parse(id) else {
            return Ok(Vec::new());
        };
        let document = document(cx, &file, View::Accepted).await?;
        let typed = prefix.to_lowercase();
        let names = tabs(&document).into_iter().map(|tab| &tab.tab_properties);
        let fitting = names.filter(|tab| {
            tab.tab_id.starts_with(prefix) || tab.title.to_lowercase().contains(&typed)
        });
        Ok(fitting.map(|tab| tab.tab_id.clone()).collect())
    }
}

fn named(id: &str) -> Result<FileRef, ToolError> {
    FileRef::parse(id)
        .ok_or_else(|| ToolError::Invalid("the address must hold the id of a file".to_owned()))
}
