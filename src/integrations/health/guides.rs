//! How to work with these sources: short pages of our own.

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::kit::block::{Content, ContextBlock};
use crate::kit::error::ToolError;
use crate::kit::tool::{Cx, Needs};

/// The pages, by topic.
const PAGES: &[(&str, &str)] = &[
    ("drug-safety", include_str!("guides/drug-safety.md")),
    ("evidence", include_str!("guides/evidence.md")),
    ("sources", include_str!("guides/sources.md")),
    ("trials", include_str!("guides/trials.md")),
    ("variants", include_str!("guides/variants.md")),
];

/// `health://guides/{topic}`.
#[derive(Deserialize)]
pub(super) struct GuideBlock {
    topic: String,
}

impl ContextBlock for GuideBlock {
    const URI: &'static str = "health://guides/{topic}";
    const NAME: &'static str = "health_guide";
    const TITLE: &'static str = "How-to page";
    const DESCRIPTION: &'static str =
        "How to find evidence, check drugs, match trials and read variants with these tools.";
    const MIME: &'static str = "text/markdown";
    const SCOPES: Needs = Needs::Nothing;

    async fn read(self, _: &Cx) -> Result<Content, ToolError> {
        let page = PAGES.iter().find(|(topic, _)| *topic == self.topic);
        if let Some((_, text)) = page {
            return Ok(Content::text(*text));
        }
        let topics: Vec<&str> = PAGES.iter().map(|(topic, _)| *topic).collect();
        Err(ToolError::Invalid(format!(
            "`topic` must be one of {}",
            topics.join(", ")
        )))
    }

    async fn complete(
        _: &Cx,
        field: &str,
        prefix: &str,
        _: &Map<String, Value>,
    ) -> Result<Vec<String>, ToolError> {
        let topics = PAGES.iter().map(|(topic, _)| (*topic).to_owned());
        Ok(topics
            .filter(|topic| field == "topic" && topic.starts_with(prefix))
            .collect())
    }
}
