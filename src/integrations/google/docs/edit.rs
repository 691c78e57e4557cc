//! `google_edit_doc`.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::diff::unified;
use super::super::grants::WRITE_DOCS;
use super::super::refs::{FileRef, seen};
use super::markdown::markdown;
use super::plan::{Edit, plan};
use super::read::{View, document, tab, tab_blocks, tabs};
use crate::kit::error::{ProviderError, ToolError};
use crate::kit::output::{Item, Output};
use crate::kit::text;
use crate::kit::tool::{AuditArgs, Cx, Effect, Needs, Tool};

/// Most edits in one call.
const MAX_EDITS: usize = 50;
/// Longest diff shown, in characters.
const DIFF_CHARS: usize = 16_000;

/// Edit a Google Doc: all edits in one atomic batch, or none. Read it first; dry_run shows a diff.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct EditDoc {
    /// Doc id or URL.
    file: FileRef,
    /// In any order.
    edits: Vec<Edit>,
    /// Id or title; first if omitted.
    #[serde(default)]
    tab: String,
    /// Refuse unless this is still its revision.
    #[serde(default)]
    revision: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Reply {
    write_control: WriteControl,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct WriteControl {
    required_revision_id: Option<String>,
}

impl Tool for EditDoc {
    const NAME: &'static str = "google_edit_doc";
    const TITLE: &'static str = "Edit document";
    const EFFECT: Effect = Effect::Write { idempotent: false };
    const SCOPES: Needs = WRITE_DOCS;
    const AUDIT: AuditArgs = AuditArgs {
        plain: &["file", "revision"],
        dropped: &["edits"],
    };
    /// Comments notify people.
    const OUTWARD: bool = true;

    async fn call(self, cx: &Cx) -> Result<Output, ToolError> {
        if self.edits.is_empty() || self.edits.len() > MAX_EDITS {
            return Err(ToolError::Invalid(format!(
                "`edits` takes 1 to {MAX_EDITS} edits"
            )));
        }
        let document = document(cx, &self.file, View::AsIs).await?;
        let revision = document.revision_id.clone().ok_or_else(|| {
            ToolError::Invalid(format!(
                "document {} cannot be edited with this account; ask its owner for edit access",
                self.file
            ))
        })?;
        if !self.revision.is_empty() && self.revision != revision {
            return Err(changed(&self.file));
        }
        let wanted = match (self.tab.as_str(), &self.file.inner) {
            ("", None) => None,
            ("", Some(inner)) => Some(inner.as_str()),
            (tab, _) => Some(tab),
        };
        let tab = match wanted {
            Some(wanted) => tab(&document, wanted)?,
            None => tabs(&document).into_iter().next().ok_or_else(|| {
                ToolError::Invalid(format!("document {} has no tab to edit", self.file))
            })?,
        };
        let before = tab_blocks(tab);
        let plan = plan(&before, &self.edits).map_err(ToolError::Invalid)?;
        let diff = unified(&markdown(&before), &markdown(&plan.after));
        let id = self.file.id();
        let mut item = Item::new(id)
            .url(format!("https://docs.google.com/document/d/{id}/edit"))
            .uri(cx.uri(&format!("docs/{id}")))
            .field("name", document.title.as_str())
            .field("edits", self.edits.len())
            .field("diff", text::clip(&diff, DIFF_CHARS));
        if cx.dry_run {
            item.set("dry_run", true);
            item.set("revision", revision);
            return Ok(Output::one(item));
        }
        let tab = &tab.tab_properties.tab_id;
        let requests: Vec<Value> = plan.steps.iter().map(|step| step.request(tab)).collect();
        let sent = cx
            .api
            .at("docs")
            .post(&["v1", "documents", &self.file.verb("batchUpdate")])
            .json(&json!({
                "requests": requests,
                "writeControl": { "requiredRevisionId": revision },
            }))
            .send::<Reply>()
            .await;
        let reply = match sent {
            // Google answers 400 when the revision is no longer the newest.
            Err(ProviderError::Invalid { message } | ProviderError::Conflict { message })
                if message.contains("revision") =>
            {
                return Err(changed(&self.file));
            }
            other => seen(cx, &format!("document {}", self.file), other)?,
        };
        item.set("revision", reply.write_control.required_revision_id);
        Ok(Output::one(item))
    }
}

fn changed(file: &FileRef) -> ToolError {
    ToolError::Conflict(format!(
        "document {file} was changed by somebody else meanwhile and nothing was edited; read it again and repeat the edits"
    ))
}
