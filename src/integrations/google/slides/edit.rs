//! `google_edit_slides`.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::super::grants::WRITE_SLIDES;
use super::super::refs::{FileRef, seen};
use super::ops::{Op, plan};
use super::outline::presentation;
use crate::kit::error::{ProviderError, ToolError};
use crate::kit::output::{Item, Output};
use crate::kit::tool::{AuditArgs, Cx, Effect, Needs, Tool};

/// Most operations in one call.
const MAX_OPS: usize = 50;

/// Edit a Google Slides deck: all ops in one atomic batch, or none. Slides are named as read.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct EditSlides {
    /// Deck id or URL.
    file: FileRef,
    /// In order.
    ops: Vec<Op>,
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

impl Tool for EditSlides {
    const NAME: &'static str = "google_edit_slides";
    const TITLE: &'static str = "Edit presentation";
    const EFFECT: Effect = Effect::Write { idempotent: false };
    const SCOPES: Needs = WRITE_SLIDES;
    const AUDIT: AuditArgs = AuditArgs {
        plain: &["file"],
        dropped: &["ops"],
    };

    async fn call(self, cx: &Cx) -> Result<Output, ToolError> {
        if self.ops.is_empty() || self.ops.len() > MAX_OPS {
            return Err(ToolError::Invalid(format!(
                "`ops` takes 1 to {MAX_OPS} operations"
            )));
        }
        let deck = presentation(cx, &self.file).await?;
        let revision = deck.revision_id.clone().ok_or_else(|| {
            ToolError::Invalid(format!(
                "presentation {} cannot be edited with this account; ask its owner for edit access",
                self.file
            ))
        })?;
        let plan = plan(&deck, &revision, &self.ops).map_err(ToolError::Invalid)?;
        let items = plan.changes.into_iter().map(|change| {
            let url = format!("https://docs.google.com/presentation/d/{}/edit", self.file);
            let url = match change.slide.as_str() {
                "" => url,
                slide => format!("{url}#slide=id.{slide}"),
            };
            let mut item = Item::new(change.slide)
                .url(url)
                .field("op", change.op)
                .field("before", change.before)
                .field("after", change.after);
            if cx.dry_run {
                item.set("dry_run", true);
            }
            item
        });
        let mut output = Output::of(items.collect());
        if cx.dry_run {
            return Ok(output);
        }
        let sent = cx
            .api
            .at("slides")
            .post(&["v1", "presentations", &self.file.verb("batchUpdate")])
            .json(&json!({
                "requests": plan.requests,
                "writeControl": { "requiredRevisionId": revision },
            }))
            .send::<Reply>()
            .await;
        let reply = match sent {
            // Google answers 400 when the revision is no longer the newest.
            Err(ProviderError::Invalid { message } | ProviderError::Conflict { message })
                if message.contains("revision") =>
            {
                return Err(ToolError::Conflict(format!(
                    "presentation {} was changed by somebody else meanwhile and nothing was edited; read it again and repeat the edits",
                    self.file
                )));
            }
            other => seen(cx, &format!("presentation {}", self.file), other)?,
        };
        if let (Some(item), Some(revision)) = (
            output.items.first_mut(),
            reply.write_control.required_revision_id,
        ) {
            item.set("revision", revision);
        }
        Ok(output)
    }
}
