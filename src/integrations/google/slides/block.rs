//! The block of a presentation.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::super::drive::{PRESENTATION, complete_files};
use super::super::grants::READ_SLIDES;
use super::super::refs::{FileRef, seen};
use super::model::Presentation;
use super::outline::deck;
use crate::kit::block::{Content, ContextBlock};
use crate::kit::error::ToolError;
use crate::kit::tool::{Cx, Needs};

/// A presentation.
#[derive(Deserialize)]
pub(super) struct SlidesBlock {
    id: String,
}

impl ContextBlock for SlidesBlock {
    const URI: &'static str = "google://{account}/slides/{id}";
    const NAME: &'static str = "google_slides";
    const TITLE: &'static str = "Presentation";
    const DESCRIPTION: &'static str = "The outline of a Google Slides deck with its notes.";
    const MIME: &'static str = "text/markdown";
    const SCOPES: Needs = READ_SLIDES;

    async fn read(self, cx: &Cx) -> Result<Content, ToolError> {
        let file = FileRef::parse(&self.id).ok_or_else(|| {
            ToolError::Invalid("the address must hold the id of a file".to_owned())
        })?;
        if let Some(held) = &cx.held {
            let request = cx.api.at("slides").get(&["v1", "presentations", file.id()]);
            let request = request.query("fields", "revisionId");
            let newest: Presentation =
                seen(cx, &format!("presentation {file}"), request.send().await)?;
            if newest.revision_id.as_ref() == Some(held) {
                return Ok(Content::unchanged());
            }
        }
        let found = deck(cx, &file).await?;
        let text = format!("# {}\n\n{}", found.title, found.slides.join("\n"));
        Ok(Content {
            version: found.revision,
            url: Some(format!(
                "https://docs.google.com/presentation/d/{file}/edit"
            )),
            ..Content::text(text)
        })
    }

    async fn complete(
        cx: &Cx,
        field: &str,
        prefix: &str,
        _chosen: &Map<String, Value>,
    ) -> Result<Vec<String>, ToolError> {
        complete_files(cx, field, prefix, PRESENTATION).await
    }
}
