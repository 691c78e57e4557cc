//! Tools as clients see them: compiled once, small, and true about what they do.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use rmcp::model::{Icon, JsonObject, Tool, ToolAnnotations};
use serde_json::Value;

use crate::integrations;
use crate::kit::integration::Integration;
use crate::kit::schema;
use crate::kit::tool::{Effect, ToolDef};
use crate::links::Links;

/// All tools, ready to be listed.
pub(super) struct Published(HashMap<&'static str, Arc<Tool>>);

impl Published {
    /// Compiles the whole catalogue.
    pub(super) fn new(links: &Links) -> Self {
        Self(
            integrations::ALL
                .iter()
                .flat_map(|integration| {
                    integration
                        .tools()
                        .map(|def| (def.name, published(def, integration, links)))
                })
                .collect(),
        )
    }

    /// The tool as listed.
    pub(super) fn tool(
        &self,
        def: &'static ToolDef,
        integration: &'static Integration,
        links: &Links,
    ) -> Tool {
        match self.0.get(def.name) {
            Some(tool) => Tool::clone(tool),
            None => Tool::clone(&published(def, integration, links)),
        }
    }
}

/// The tool as listed, with its drawing at our own address.
pub fn published(
    def: &'static ToolDef,
    integration: &'static Integration,
    links: &Links,
) -> Arc<Tool> {
    let tool = Tool::new(
        def.name,
        schema::description(def),
        Arc::new(schema::input_schema(def)),
    )
    .with_title(def.title)
    .with_raw_output_schema(output_schema())
    .with_annotations(annotations(def.effect))
    .with_icons(vec![Icon::new(links.icon(integration.id))]);
    Arc::new(tool)
}

/// The tool as listed, as JSON: what `tool-schemas/` holds and what the size budget is measured on.
pub fn tool_json(def: &'static ToolDef, integration: &'static Integration, links: &Links) -> Value {
    serde_json::to_value(published(def, integration, links)).unwrap_or_default()
}

/// One for all tools.
fn output_schema() -> Arc<JsonObject> {
    static SCHEMA: OnceLock<Arc<JsonObject>> = OnceLock::new();
    Arc::clone(SCHEMA.get_or_init(|| Arc::new(schema::output_schema())))
}

/// What the tool may change, in the protocol's words. What the protocol assumes anyway is left out: every tool here reaches
/// an open world, a reading tool destroys nothing, and a call repeated may change more.
fn annotations(effect: Effect) -> ToolAnnotations {
    let hints = ToolAnnotations::new();
    let (hints, idempotent) = match effect {
        Effect::Read => return hints.read_only(true),
        Effect::Write { idempotent } => (hints.destructive(false), idempotent),
        Effect::Destructive { idempotent } => (hints.destructive(true), idempotent),
    };
    if idempotent {
        hints.idempotent(true)
    } else {
        hints
    }
}
