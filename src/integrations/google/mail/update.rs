//! Labels, archive, read and star: one or many threads or messages at once.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::super::asks::{all, seen};
use super::super::auth::GMAIL_MODIFY;
use super::labels::{self, LabelNames};
use super::model::Label;
use super::read::{self, Kind, gmail, me};
use crate::kit::args::Limit;
use crate::kit::error::{ProviderError, ToolError};
use crate::kit::output::{Item, Output};
use crate::kit::tool::{AuditArgs, Cx, Effect, Needs, Tool};

/// Ids in one list request and in one change of messages (Gmail's own limits are 500 and 1,000).
const PAGE: u32 = 500;
/// Rows that a dry run shows.
const SHOWN: usize = 20;

/// Label, archive, star or mark threads or messages, by id or all that a query finds.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct UpdateMail {
    /// From a search.
    #[serde(default)]
    ids: Vec<String>,
    /// Gmail query, instead of ids.
    #[serde(default)]
    q: String,
    /// Most that `q` may change.
    #[serde(default)]
    max: Limit<50, 500>,
    /// What ids are.
    #[serde(default)]
    kind: Kind,
    /// To add; `-x` removes: -INBOX archives, -UNREAD is read, STARRED stars.
    labels: Vec<String>,
}

impl Tool for UpdateMail {
    const NAME: &'static str = "google_update_mail";
    const TITLE: &'static str = "Label and mark mail";
    const EFFECT: Effect = Effect::Write { idempotent: true };
    const SCOPES: Needs = Needs::All(&[GMAIL_MODIFY]);
    const AUDIT: AuditArgs = AuditArgs {
        plain: &["ids", "kind"],
        dropped: &[],
    };

    async fn call(self, cx: &Cx) -> Result<Output, ToolError> {
        let own = labels::all_labels(cx).await?;
        let (add, remove) = self.change(&own)?;
        let (ids, more) = self.targets(cx).await?;
        let names = LabelNames::of(&own);
        let item = Item::new(format!("{} {}s", ids.len(), self.kind.word()))
            .field("count", ids.len())
            .field("add", names.shown_all(&add))
            .field("remove", names.shown_all(&remove));
        let mut output = Output::default();
        if more {
            output = output.warn(format!(
                "`q` finds more than `max` {}; run it again for the rest",
                self.max.get()
            ));
        }
        if ids.is_empty() {
            return Ok(output.warn("`q` finds nothing"));
        }
        if cx.dry_run {
            let some = &ids[..ids.len().min(SHOWN)];
            let rows = read::rows(cx, self.kind, some, &names).await?;
            output.items.push(item.field("dry_run", true));
            output.items.extend(rows);
            if ids.len() > SHOWN {
                output = output.warn(format!("and {} more", ids.len() - SHOWN));
            }
            return Ok(output);
        }
        let body = json!({ "addLabelIds": add, "removeLabelIds": remove });
        let changed = match self.kind {
            Kind::Thread => threads(cx, &ids, &body, &mut output).await?,
            Kind::Message => {
                let body = json!({ "ids": ids, "addLabelIds": add, "removeLabelIds": remove });
                let request = gmail(cx).post(&me(&["messages", "batchModify"]));
                let done = request.json(&body).done().await;
                seen(cx, "one of the messages", done)?;
                ids.len()
            }
        };
        output
            .items
            .push(item.field("done", "changed").field("changed", changed));
        Ok(output)
    }
}

impl UpdateMail {
    /// Ids of labels to add and to remove.
    fn change(&self, own: &[Label]) -> Result<(Vec<String>, Vec<String>), ToolError> {
        let mut sides = (Vec::new(), Vec::new());
        for name in &self.labels {
            let (side, name) = match name.strip_prefix('-') {
                Some(name) => (&mut sides.1, name),
                None => (&mut sides.0, name.as_str()),
            };
            side.push(labels::find(own, name)?.id.clone());
        }
        for ids in [&mut sides.0, &mut sides.1] {
            ids.sort_unstable();
            ids.dedup();
        }
        let (add, remove) = &sides;
        if add.is_empty() && remove.is_empty() {
            return Err(ToolError::Invalid(
                "nothing to do: `labels` names none".to_owned(),
            ));
        }
        if let Some(both) = add.iter().find(|id| remove.contains(id)) {
            return Err(ToolError::Invalid(format!(
                "`labels`: `{both}` is both to add and to remove; decide on one"
            )));
        }
        if add.iter().any(|id| id == "TRASH") {
            return Err(ToolError::Invalid(
                "mail is trashed with google_delete_item, not with `labels`".to_owned(),
            ));
        }
        Ok(sides)
    }

    /// What to change, and whether the query finds more than that.
    async fn targets(&self, cx: &Cx) -> Result<(Vec<String>, bool), ToolError> {
        let q = self.q.trim();
        if self.ids.is_empty() == q.is_empty() {
            return Err(ToolError::Invalid(
                "give either `ids` or `q`, so that it is clear what to change".to_owned(),
            ));
        }
        if !self.ids.is_empty() {
            if self.ids.len() > PAGE as usize {
                return Err(ToolError::Invalid(format!(
                    "`ids` takes at most {PAGE} at once"
                )));
            }
            return Ok((self.ids.clone(), false));
        }
        let max = self.max.get() as usize;
        let mut ids: Vec<String> = Vec::new();
        let mut token: Option<String> = None;
        loop {
            let left = u32::try_from(max - ids.len()).unwrap_or(PAGE).min(PAGE);
            let page = read::listed(cx, self.kind, q, None, left, token.as_deref()).await?;
            ids.extend(
                page.threads
                    .into_iter()
                    .chain(page.messages)
                    .map(|own| own.id),
            );
            token = page.next_page_token;
            if token.is_none() || ids.len() >= max {
                ids.truncate(max);
                return Ok((ids, token.is_some()));
            }
        }
    }
}

/// Changes thread by thread. One that is gone is told; after any other refusal nothing further is tried, and it is the
/// answer when no thread was changed.
async fn threads(
    cx: &Cx,
    ids: &[String],
    body: &serde_json::Value,
    output: &mut Output,
) -> Result<usize, ToolError> {
    let total = u32::try_from(ids.len()).ok();
    let mut changed = 0;
    let mut done = 0;
    let mut tried = 0;
    let mut refused = None;
    for batch in ids.chunks(SHOWN) {
        let changes = batch.iter().map(|id| async move {
            let request = gmail(cx).post(&me(&["threads", id, "modify"]));
            request.json(body).done().await
        });
        for (id, result) in batch.iter().zip(all(changes.collect()).await) {
            match result {
                Ok(()) => changed += 1,
                Err(ProviderError::NotFound) => {
                    output.warnings.push(format!("thread {id} was not found"));
                }
                Err(other) => {
                    output
                        .warnings
                        .push(format!("thread {id} was not changed: {other}"));
                    refused = refused.or(Some(other));
                }
            }
            done += 1;
        }
        tried += batch.len();
        cx.progress.step(done, total, "threads changed");
        if refused.is_some() {
            break;
        }
    }
    if changed == 0 {
        if let Some(refused) = refused {
            return Err(refused.into());
        }
        return Err(ToolError::NotFound(
            "none of the threads was found; `kind` says whether `ids` are threads or messages"
                .to_owned(),
        ));
    }
    if tried < ids.len() {
        output
            .warnings
            .push(format!("{} more were not tried", ids.len() - tried));
    }
    Ok(changed)
}
