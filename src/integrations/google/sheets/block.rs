//! The block of a spreadsheet.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::super::drive::{Newest, SPREADSHEET, complete_files, newest};
use super::super::grants::READ_SHEETS;
use super::super::refs::FileRef;
use super::cells::spreadsheet;
use super::csv::{Slice, csv, quoted};
use crate::kit::block::{Content, ContextBlock};
use crate::kit::error::ToolError;
use crate::kit::tool::{Cx, Needs};

/// A spreadsheet: its first tab, or a tab or range of it.
#[derive(Deserialize)]
pub(super) struct SheetBlock {
    id: String,
    #[serde(default)]
    range: String,
}

impl ContextBlock for SheetBlock {
    const URI: &'static str = "google://{account}/sheets/{id}{/range*}";
    const NAME: &'static str = "google_sheet";
    const TITLE: &'static str = "Spreadsheet";
    const DESCRIPTION: &'static str = "Rows of a Google Sheet as CSV; a tab or an A1 range of it.";
    const MIME: &'static str = "text/csv";
    const SCOPES: Needs = READ_SHEETS;

    async fn read(self, cx: &Cx) -> Result<Content, ToolError> {
        let file = FileRef::parse(&self.id).ok_or_else(|| {
            ToolError::Invalid("the address must hold the id of a file".to_owned())
        })?;
        // The Sheets API knows no versions, but Drive does.
        let version = match newest(cx, &file).await? {
            Newest::Held => return Ok(Content::unchanged()),
            Newest::Other(version) => version,
        };
        let slice = Slice {
            range: &self.range,
            max_chars: cx.max_chars,
            ..Slice::default()
        };
        let found = csv(cx, &file, slice).await?;
        Ok(Content {
            version,
            url: Some(format!(
                "https://docs.google.com/spreadsheets/d/{file}/edit"
            )),
            truncated: found.next_row.is_some() || found.cut_row.is_some(),
            ..Content::text(found.text)
        })
    }

    async fn complete(
        cx: &Cx,
        field: &str,
        prefix: &str,
        chosen: &Map<String, Value>,
    ) -> Result<Vec<String>, ToolError> {
        if field != "range" {
            return complete_files(cx, field, prefix, SPREADSHEET).await;
        }
        let id = chosen.get("id").and_then(Value::as_str).unwrap_or_default();
        let Some(file) = FileRef::parse(id) else {
            return Ok(Vec::new());
        };
        let book = spreadsheet(cx, &file).await?;
        let typed = prefix.trim_start_matches('\'').to_lowercase();
        let titles = book.sheets.iter().map(|sheet| &sheet.properties.title);
        let fitting = titles.filter(|title| title.to_lowercase().starts_with(&typed));
        Ok(fitting
            .map(|title| {
                if title.contains(['!', '\'', ':']) {
                    quoted(title)
                } else {
                    title.clone()
                }
            })
            .collect())
    }
}
