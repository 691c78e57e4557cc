//! What is done to a spreadsheet, each operation made ready before the first is carried out.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::refs::FileRef;
use super::a1::{Area, column};
use super::cells::{Grid, Render, Sheet, Spreadsheet, Tab, lead, names, values};
use super::csv::quoted;
use crate::kit::error::ToolError;
use crate::kit::text;
use crate::kit::tool::Cx;

/// Most cells written by one call.
const MAX_CELLS: usize = 50_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub(super) enum Kind {
    Set,
    Append,
    Clear,
    AddTab,
    Format,
}

impl Kind {
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Set => "set",
            Self::Append => "append",
            Self::Clear => "clear",
            Self::AddTab => "add_tab",
            Self::Format => "format",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub(super) enum Look {
    Bold,
    Header,
    Wrap,
    Number,
    Percent,
    Currency,
    Date,
    Plain,
}

/// A row: an array of cells, or an object by header.
#[derive(Clone, Debug, Deserialize)]
#[serde(transparent)]
pub(super) struct Row(Value);

impl JsonSchema for Row {
    fn schema_name() -> Cow<'static, str> {
        "Row".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["array", "object"] })
    }
}

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub(super) struct Op {
    /// What.
    pub(super) op: Kind,
    /// A1, or a tab's title.
    pub(super) range: String,
    /// Arrays, or objects by header to append.
    #[serde(default)]
    rows: Vec<Row>,
    /// To format.
    #[serde(default)]
    #[schemars(with = "Look")]
    look: Option<Look>,
}

/// An operation with everything it needs.
#[derive(Clone, Debug)]
pub(super) enum Ready {
    Set { area: Area, rows: Vec<Vec<Value>> },
    Append { area: Area, rows: Vec<Vec<Value>> },
    Clear { area: Area },
    AddTab { id: i64, title: String },
    Format { id: i64, area: Area, look: Look },
}

/// Makes all operations ready. Tabs that one of them adds are there for those after it.
pub(super) async fn ready(
    cx: &Cx,
    file: &FileRef,
    mut book: Spreadsheet,
    ops: &[Op],
    formulas: bool,
) -> Result<Vec<Ready>, ToolError> {
    let mut found = Vec::new();
    let mut cells = 0;
    let mut added: Vec<String> = Vec::new();
    for (op, number) in ops.iter().zip(1_usize..) {
        let blame = |error: ToolError| match error {
            ToolError::Invalid(why) => {
                ToolError::Invalid(format!("op {number} ({}): {why}", op.op.word()))
            }
            other => other,
        };
        let prepared = match op.op {
            Kind::AddTab => {
                let title = op.range.trim();
                if title.is_empty()
                    || book
                        .sheets
                        .iter()
                        .any(|sheet| sheet.properties.title == title)
                {
                    return Err(blame(ToolError::Invalid(
                        "`range` must be the title of a tab that is not there yet".to_owned(),
                    )));
                }
                let id = book
                    .sheets
                    .iter()
                    .map(|sheet| sheet.properties.sheet_id)
                    .max();
                let id = id.unwrap_or_default() + 1;
                added.push(title.to_owned());
                book.sheets.push(Sheet {
                    properties: Tab {
                        sheet_id: id,
                        title: title.to_owned(),
                        grid_properties: Grid {
                            row_count: 1_000,
                            column_count: 26,
                            ..Grid::default()
                        },
                        ..Tab::default()
                    },
                });
                Ready::AddTab {
                    id,
                    title: title.to_owned(),
                }
            }
            Kind::Set => op.set(&book, formulas).map_err(blame)?,
            Kind::Append => {
                let (area, _) = book.inside(&op.range).map_err(blame)?;
                let is_new = area.tab.as_ref().is_some_and(|title| added.contains(title));
                let (area, rows) = op
                    .appended(cx, file, area, is_new, formulas)
                    .await
                    .map_err(blame)?;
                Ready::Append { area, rows }
            }
            Kind::Clear => Ready::Clear {
                area: book.inside(&op.range).map_err(blame)?.0,
            },
            Kind::Format => {
                let (area, tab) = book.inside(&op.range).map_err(blame)?;
                let look = op
                    .look
                    .ok_or_else(|| blame(ToolError::Invalid("needs `look`".to_owned())))?;
                Ready::Format {
                    id: tab.sheet_id,
                    area,
                    look,
                }
            }
        };
        if let Ready::Set { rows, .. } | Ready::Append { rows, .. } = &prepared {
            cells += rows.iter().map(Vec::len).sum::<usize>();
        }
        found.push(prepared);
    }
    if cells > MAX_CELLS {
        return Err(ToolError::Invalid(format!(
            "`ops` write {cells} cells; one call takes at most {MAX_CELLS}"
        )));
    }
    Ok(found)
}

impl Op {
    fn set(&self, book: &Spreadsheet, formulas: bool) -> Result<Ready, ToolError> {
        let (area, tab) = book.inside(&self.range)?;
        let rows = self.arrays(formulas)?;
        if rows.iter().all(Vec::is_empty) {
            return Err(ToolError::Invalid("needs cells in `rows`".to_owned()));
        }
        let grid = &tab.grid_properties;
        let height = u32::try_from(rows.len()).unwrap_or(u32::MAX);
        let width = rows.iter().map(Vec::len).max().unwrap_or_default();
        let width = u32::try_from(width).unwrap_or(u32::MAX);
        let area = Area {
            columns: (area.columns.0, Some(area.columns.0.saturating_add(width))),
            rows: (area.rows.0, Some(area.rows.0.saturating_add(height))),
            ..area
        };
        if area.columns.1 > Some(grid.column_count) || area.rows.1 > Some(grid.row_count) {
            return Err(ToolError::Invalid(format!(
                "{height} rows of {width} cells from {} on do not fit into “{}”, which ends at {}{}; append rows instead",
                self.range,
                tab.title,
                column(grid.column_count.saturating_sub(1)),
                grid.row_count
            )));
        }
        Ok(Ready::Set { area, rows })
    }

    fn arrays(&self, formulas: bool) -> Result<Vec<Vec<Value>>, ToolError> {
        if self.rows.is_empty() {
            return Err(ToolError::Invalid("needs `rows`".to_owned()));
        }
        let rows = self.rows.iter().map(|row| match &row.0 {
            Value::Array(cells) => cells.iter().map(|value| cell(value, formulas)).collect(),
            _other => Err(ToolError::Invalid(
                "`rows` must be arrays of cells".to_owned(),
            )),
        });
        rows.collect()
    }

    /// Rows to append, and the table to which; those given as objects in the order of the tab's header.
    async fn appended(
        &self,
        cx: &Cx,
        file: &FileRef,
        area: Area,
        is_new: bool,
        formulas: bool,
    ) -> Result<(Area, Vec<Vec<Value>>), ToolError> {
        if !self.rows.iter().any(|row| row.0.is_object()) {
            return Ok((area, self.arrays(formulas)?));
        }
        let (area, header) = if is_new {
            (area, Vec::new())
        } else {
            header(cx, file, area).await?
        };
        if header.is_empty() {
            return Err(ToolError::Invalid(format!(
                "“{}” has no header row to put objects under; set one first, or give arrays",
                area.tab.as_deref().unwrap_or_default()
            )));
        }
        let mut names = names(&header, &area);
        names.truncate(header.len());
        let mut rows = Vec::new();
        for row in &self.rows {
            let Value::Object(fields) = &row.0 else {
                return Err(ToolError::Invalid(
                    "`rows` must be all arrays or all objects".to_owned(),
                ));
            };
            let place = |field: &str| {
                let wanted = field.trim().to_lowercase();
                names.iter().position(|name| name.to_lowercase() == wanted)
            };
            let mut cells = vec![Value::Null; names.len()];
            for (field, value) in fields {
                let index = place(field).ok_or_else(|| {
                    ToolError::Invalid(format!(
                        "there is no column “{}”; the columns are: {}",
                        text::clip(field, 80),
                        text::clip(&names.join(", "), 400)
                    ))
                })?;
                cells[index] = cell(value, formulas)?;
            }
            while cells.last().is_some_and(Value::is_null) {
                cells.pop();
            }
            rows.push(cells);
        }
        Ok((area, rows))
    }
}

/// The header of a table, and the area without the empty columns before it: Sheets appends from the table's first
/// column on. Empty columns are those with nothing below the header either; otherwise they are part of the table.
async fn header(cx: &Cx, file: &FileRef, area: Area) -> Result<(Area, Vec<Value>), ToolError> {
    let first = Area {
        rows: (area.rows.0, Some(area.rows.0 + 1)),
        ..area.clone()
    };
    let mut grids = values(cx, file, &[first], Render::Shown).await?;
    let row = grids.pop().and_then(|grid| grid.into_iter().next());
    let row = row.unwrap_or_default();
    let blank = lead(&row);
    if blank == 0 || blank == row.len() {
        return Ok((area, row.into_iter().skip(blank).collect()));
    }
    let from = area
        .columns
        .0
        .saturating_add(u32::try_from(blank).unwrap_or(u32::MAX));
    let before = Area {
        columns: (area.columns.0, Some(from)),
        ..area.clone()
    };
    let mut grids = values(cx, file, &[before], Render::Shown).await?;
    let cells = grids.pop().unwrap_or_default();
    if cells.iter().any(|row| lead(row) < row.len()) {
        return Ok((area, row));
    }
    let table = Area {
        columns: (from, area.columns.1),
        ..area
    };
    Ok((table, row.into_iter().skip(blank).collect()))
}

/// A cell as it would be typed. Text that Sheets would take for a formula is marked as text unless formulas are wanted:
/// what comes from a mail or a page must not fetch addresses or read other cells.
fn cell(value: &Value, formulas: bool) -> Result<Value, ToolError> {
    match value {
        Value::Array(_) | Value::Object(_) => Err(ToolError::Invalid(
            "a cell must be text, a number, true, false or null".to_owned(),
        )),
        Value::String(text) if !formulas && is_formula(text) => Ok(json!(format!("'{text}"))),
        other => Ok(other.clone()),
    }
}

fn is_formula(text: &str) -> bool {
    let number = || {
        text.replace(',', ".")
            .trim_end_matches('%')
            .parse::<f64>()
            .is_ok()
    };
    match text.trim_start().chars().next() {
        Some('=' | '\'') => true,
        Some('+' | '-' | '@') => !number(),
        _other => false,
    }
}

impl Ready {
    /// The request to `:batchUpdate`, for what is not a value.
    pub(super) fn request(&self) -> Option<Value> {
        match self {
            Self::AddTab { id, title } => Some(json!({
                "addSheet": { "properties": { "sheetId": id, "title": title } }
            })),
            Self::Format { id, area, look } => {
                let (format, fields) = look.format();
                Some(json!({ "repeatCell": {
                    "range": {
                        "sheetId": id,
                        "startRowIndex": area.rows.0, "endRowIndex": area.rows.1,
                        "startColumnIndex": area.columns.0, "endColumnIndex": area.columns.1,
                    },
                    "cell": { "userEnteredFormat": format },
                    "fields": fields,
                } }))
            }
            Self::Set { .. } | Self::Append { .. } | Self::Clear { .. } => None,
        }
    }

    /// The place, for people.
    pub(super) fn place(&self) -> String {
        match self {
            Self::Set { area, .. } | Self::Clear { area } | Self::Format { area, .. } => {
                area.to_string()
            }
            Self::Append { area, .. } => quoted(area.tab.as_deref().unwrap_or_default()),
            Self::AddTab { title, .. } => quoted(title),
        }
    }

    pub(super) const fn word(&self) -> &'static str {
        match self {
            Self::Set { .. } => Kind::Set.word(),
            Self::Append { .. } => Kind::Append.word(),
            Self::Clear { .. } => Kind::Clear.word(),
            Self::AddTab { .. } => Kind::AddTab.word(),
            Self::Format { .. } => Kind::Format.word(),
        }
    }
}

impl Look {
    /// The format, and which of its fields count.
    fn format(self) -> (Value, &'static str) {
        let number = |kind: &str, pattern: &str| {
            let format = json!({ "numberFormat": { "type": kind, "pattern": pattern } });
            (format, "userEnteredFormat.numberFormat")
        };
        match self {
            Self::Bold => (
                json!({ "textFormat": { "bold": true } }),
                "userEnteredFormat.textFormat.bold",
            ),
            Self::Header => (
                json!({
                    "textFormat": { "bold": true },
                    "backgroundColorStyle": { "rgbColor": { "red": 0.9, "green": 0.9, "blue": 0.9 } },
                }),
                "userEnteredFormat(textFormat.bold,backgroundColorStyle)",
            ),
            Self::Wrap => (
                json!({ "wrapStrategy": "WRAP" }),
                "userEnteredFormat.wrapStrategy",
            ),
            Self::Number => number("NUMBER", "#,##0.##"),
            Self::Percent => number("PERCENT", "0.0%"),
            Self::Currency => number("CURRENCY", "#,##0.00"),
            Self::Date => number("DATE", "yyyy-mm-dd"),
            Self::Plain => (json!({}), "userEnteredFormat"),
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test says what went wrong by failing")]
    use super::*;

    #[test]
    fn text_does_not_become_a_formula_by_itself() {
        let written = |text: &str| cell(&json!(text), false).unwrap();
        for text in ["=IMPORTXML(A1)", "+49 171 1", "-x", "@a", " =1", "'quoted"] {
            assert_eq!(written(text), json!(format!("'{text}")), "{text}");
        }
        for text in ["-5", "+5.5", "-3%", "plain", "2026-11-20", "", "a=b"] {
            assert_eq!(written(text), json!(text), "{text}");
        }
        assert_eq!(cell(&json!("=A1"), true).unwrap(), json!("=A1"));
        assert!(cell(&json!([1]), false).is_err());
    }
}
