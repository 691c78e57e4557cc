//! `google_write_sheet`.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::grants::WRITE_SHEETS;
use super::super::refs::FileRef;
use super::a1::Area;
use super::cells::{Render, spreadsheet, values};
use super::ops::{Op, Ready, ready};
use crate::kit::error::{ProviderError, ToolError};
use crate::kit::output::{Item, Output};
use crate::kit::tool::{AuditArgs, Cx, Effect, Needs, Tool};

/// Most operations in one call.
const MAX_OPS: usize = 30;
/// Rows shown of what was or will be in a range.
const SHOWN_ROWS: usize = 50;

/// Write to a Google Sheet. All ops are checked first, then done in order.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WriteSheet {
    /// Sheet id or URL.
    file: FileRef,
    /// In order.
    ops: Vec<Op>,
    /// Let text starting with = be a formula.
    #[serde(default)]
    formulas: bool,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Updated {
    updated_range: Option<String>,
    updated_cells: Option<u64>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Appended {
    updates: Updated,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Batch {
    responses: Vec<Updated>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Cleared {
    cleared_ranges: Vec<String>,
}

impl Tool for WriteSheet {
    const NAME: &'static str = "google_write_sheet";
    const TITLE: &'static str = "Write spreadsheet";
    const EFFECT: Effect = Effect::Write { idempotent: false };
    const SCOPES: Needs = WRITE_SHEETS;
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
        let book = spreadsheet(cx, &self.file).await?;
        let there = book.titles();
        let ops = ready(cx, &self.file, book, &self.ops, self.formulas).await?;
        if cx.dry_run {
            return self.preview(cx, &there, &ops).await;
        }
        let mut output = Output::default();
        let mut index = 0;
        while index < ops.len() {
            // Neighbours of a kind that one request takes go together.
            let together = match &ops[index] {
                Ready::Set { .. } => count(&ops[index..], |op| matches!(op, Ready::Set { .. })),
                op if op.request().is_some() => count(&ops[index..], |op| op.request().is_some()),
                _ => 1,
            };
            let group = &ops[index..index + together];
            match self.send(cx, group).await {
                Ok(items) => output.items.extend(items),
                Err(error) if index == 0 => return Err(error.into()),
                Err(error) => {
                    let left = ops.len() - index - together;
                    let rest = if left == 0 {
                        String::new()
                    } else {
                        format!("; the {left} after it were not tried")
                    };
                    output = output.warn(format!(
                        "op {} ({} {}) was refused: {error}{rest}",
                        index + 1,
                        group[0].word(),
                        group[0].place()
                    ));
                    break;
                }
            }
            index += together;
        }
        Ok(output)
    }
}

fn count(ops: &[Ready], fits: impl Fn(&Ready) -> bool) -> usize {
    ops.iter().take_while(|op| fits(op)).count()
}

/// At most [`SHOWN_ROWS`] of the rows.
fn shown(rows: &[Vec<Value>]) -> Value {
    json!(rows.iter().take(SHOWN_ROWS).collect::<Vec<_>>())
}

impl WriteSheet {
    fn item(&self, op: &Ready, place: &str) -> Item {
        Item::new(place)
            .url(format!(
                "https://docs.google.com/spreadsheets/d/{}/edit",
                self.file
            ))
            .field("op", op.word())
    }

    async fn preview(&self, cx: &Cx, there: &[String], ops: &[Ready]) -> Result<Output, ToolError> {
        let mut output = Output::default();
        let mut cut = false;
        for op in ops {
            let mut item = self.item(op, &op.place()).field("dry_run", true);
            match op {
                Ready::Set { area, rows } => {
                    item.set("before", shown(&self.held(cx, there, area).await?));
                    item.set("after", shown(rows));
                    cut |= rows.len() > SHOWN_ROWS;
                }
                Ready::Clear { area } => {
                    let held = self.held(cx, there, area).await?;
                    item.set("before", shown(&held));
                    cut |= held.len() > SHOWN_ROWS;
                }
                Ready::Append { rows, .. } => {
                    item.set("adds", shown(rows));
                    cut |= rows.len() > SHOWN_ROWS;
                }
                Ready::Format { .. } | Ready::AddTab { .. } => item.set("request", op.request()),
            }
            output.items.push(item);
        }
        if cut {
            output = output.warn(format!(
                "only the first {SHOWN_ROWS} rows of each range are shown"
            ));
        }
        Ok(output)
    }

    /// What is in these cells now; nothing in a tab that is not there yet.
    async fn held(
        &self,
        cx: &Cx,
        there: &[String],
        area: &Area,
    ) -> Result<Vec<Vec<Value>>, ToolError> {
        if !area.tab.as_ref().is_some_and(|title| there.contains(title)) {
            return Ok(Vec::new());
        }
        let limit = area.rows.0 + u32::try_from(SHOWN_ROWS).unwrap_or_default() + 1;
        let area = Area {
            rows: (area.rows.0, Some(area.rows.1.unwrap_or(limit).min(limit))),
            ..area.clone()
        };
        let mut grids = values(cx, &self.file, &[area], Render::Formulas).await?;
        Ok(grids.pop().unwrap_or_default())
    }

    async fn send(&self, cx: &Cx, group: &[Ready]) -> Result<Vec<Item>, ProviderError> {
        let api = cx.api.at("sheets");
        let base = ["v4", "spreadsheets"];
        let item = |op: &Ready, updated: Updated| {
            let place = updated.updated_range.unwrap_or_else(|| op.place());
            self.item(op, &place).field("cells", updated.updated_cells)
        };
        match &group[0] {
            Ready::Set { .. } => {
                let data = group.iter().filter_map(|op| match op {
                    Ready::Set { area, rows } => {
                        Some(json!({ "range": area.to_string(), "values": rows }))
                    }
                    _other => None,
                });
                let body = json!({
                    "valueInputOption": "USER_ENTERED",
                    "data": data.collect::<Vec<_>>(),
                });
                let path = [base[0], base[1], self.file.id(), "values:batchUpdate"];
                let done: Batch = api.post(&path).json(&body).send().await?;
                let mut responses = done.responses.into_iter();
                Ok(group
                    .iter()
                    .map(|op| item(op, responses.next().unwrap_or_default()))
                    .collect())
            }
            op @ Ready::Append { area, rows } => {
                let from = Area {
                    rows: (area.rows.0, Some(area.rows.0 + 1)),
                    ..area.clone()
                };
                let range = format!("{from}:append");
                let done: Appended = api
                    .post(&[base[0], base[1], self.file.id(), "values", &range])
                    .query("valueInputOption", "USER_ENTERED")
                    .query("insertDataOption", "INSERT_ROWS")
                    .json(&json!({ "values": rows }))
                    .send()
                    .await?;
                Ok(vec![item(op, done.updates)])
            }
            op @ Ready::Clear { area } => {
                let path = [base[0], base[1], self.file.id(), "values:batchClear"];
                let body = json!({ "ranges": [area.to_string()] });
                let done: Cleared = api.post(&path).json(&body).send().await?;
                let updated_range = done.cleared_ranges.into_iter().next();
                Ok(vec![item(
                    op,
                    Updated {
                        updated_range,
                        updated_cells: None,
                    },
                )])
            }
            Ready::AddTab { .. } | Ready::Format { .. } => {
                let requests: Vec<_> = group.iter().filter_map(Ready::request).collect();
                api.post(&[base[0], base[1], &self.file.verb("batchUpdate")])
                    .query("fields", "spreadsheetId")
                    .json(&json!({ "requests": requests }))
                    .done()
                    .await?;
                Ok(group
                    .iter()
                    .map(|op| item(op, Updated::default()))
                    .collect())
            }
        }
    }
}
