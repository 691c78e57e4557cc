//! `google_read_sheet`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::super::grants::READ_SHEETS;
use super::super::refs::FileRef;
use super::super::room;
use super::a1::{Area, column};
use super::cells::{Render, Spreadsheet, Window, names, spreadsheet, window};
use super::csv::quoted;
use crate::kit::args::{Cursor, Limit};
use crate::kit::error::ToolError;
use crate::kit::output::{Item, Output};
use crate::kit::tool::{AuditArgs, Cx, Effect, Needs, Tool};
use crate::kit::uri::encode;

/// Characters of a list of rows in a warning.
const SHOWN: usize = 80;
/// Most ranges in one call.
const MAX_RANGES: usize = 10;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
enum Shape {
    #[default]
    Rows,
    Grid,
    Tabs,
}

/// Read a Google Sheet: rows keyed by the header row, a plain grid, or the list of tabs.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ReadSheet {
    /// Sheet id or URL.
    file: FileRef,
    /// Tab titles or A1 such as `Plan!A1:F`; first tab if omitted.
    #[serde(default)]
    ranges: Vec<String>,
    /// Shape.
    #[serde(default, rename = "as")]
    shape: Shape,
    /// Formulas instead of values.
    #[serde(default)]
    formulas: bool,
    #[serde(default)]
    limit: Limit<100, 1_000>,
    #[serde(default)]
    cursor: Option<Cursor>,
}

/// Where a listing goes on: which of the ranges, and the row.
#[derive(Clone, Copy, Default, Serialize, Deserialize)]
struct Mark {
    range: usize,
    row: Option<u32>,
}

impl Tool for ReadSheet {
    const NAME: &'static str = "google_read_sheet";
    const TITLE: &'static str = "Read spreadsheet";
    const EFFECT: Effect = Effect::Read;
    const SCOPES: Needs = READ_SHEETS;
    const AUDIT: AuditArgs = AuditArgs {
        plain: &["file", "as"],
        dropped: &[],
    };

    async fn call(self, cx: &Cx) -> Result<Output, ToolError> {
        if self.ranges.len() > MAX_RANGES {
            return Err(ToolError::Invalid(format!(
                "`ranges` takes at most {MAX_RANGES} ranges"
            )));
        }
        let book = spreadsheet(cx, &self.file).await?;
        if self.shape == Shape::Tabs {
            return Ok(self.tabs(cx, &book));
        }
        let mark = match &self.cursor {
            Some(cursor) => cursor.read::<Mark>()?,
            None => Mark::default(),
        };
        let mut areas = Vec::new();
        for range in &self.ranges {
            areas.push(book.resolve(range)?.0);
        }
        if areas.is_empty() {
            let tab = match &self.file.inner {
                Some(gid) => book.tab(gid)?,
                None => book.first()?,
            };
            areas.push(book.resolve(&quoted(&tab.title))?.0);
        }
        let area = areas.get(mark.range).ok_or_else(Cursor::foreign)?;
        // The header is no row of its own.
        let header_rows = u32::from(self.shape == Shape::Rows);
        let from = mark.row.unwrap_or(area.rows.0 + header_rows);
        let render = if self.formulas {
            Render::Formulas
        } else {
            Render::Values
        };
        let found = window(cx, &self.file, area, (from, self.limit.get()), render).await?;
        let next = match found.next {
            Some(row) => Some(Mark {
                range: mark.range,
                row: Some(row),
            }),
            None if mark.range + 1 < areas.len() => Some(Mark {
                range: mark.range + 1,
                row: None,
            }),
            None => None,
        };
        let (items, cut) = self.rows(cx, area, &found);
        let mut output = Output::of(items).next(next.map(|mark| Cursor::of(&mark)));
        if !cut.is_empty() {
            output.truncated = true;
            output = output.warn(format!(
                "longer than the answer may be, and cut: rows {}; ask for fewer columns, or with a larger `max_chars`",
                room::listed(cut, SHOWN).join(", ")
            ));
        }
        if self.ranges.is_empty() && self.cursor.is_none() && book.sheets.len() > 1 {
            output = output.warn(format!("there are several tabs: {}", book.names()));
        }
        Ok(output)
    }
}

impl ReadSheet {
    fn tabs(&self, cx: &Cx, book: &Spreadsheet) -> Output {
        let items = book.sheets.iter().map(|sheet| {
            let tab = &sheet.properties;
            let id = self.file.id();
            let mut item = Item::new(&tab.title)
                .url(format!(
                    "https://docs.google.com/spreadsheets/d/{id}/edit#gid={}",
                    tab.sheet_id
                ))
                .uri(cx.uri(&format!("sheets/{id}/{}", encode(&tab.title))))
                .field("gid", tab.sheet_id)
                .field("rows", tab.grid_properties.row_count)
                .field("columns", tab.grid_properties.column_count);
            if tab.grid_properties.frozen_row_count > 0 {
                item.set("frozen_rows", tab.grid_properties.frozen_row_count);
            }
            if !tab.has_cells() {
                item.set("type", tab.sheet_type.to_lowercase());
            }
            if tab.hidden {
                item.set("hidden", true);
            }
            item
        });
        let count = u64::try_from(book.sheets.len()).ok();
        Output::of(items.collect()).total(count)
    }

    /// The rows with something in them, and the numbers of those of which not all cells fit.
    fn rows(&self, cx: &Cx, area: &Area, found: &Window) -> (Vec<Item>, Vec<String>) {
        let names = names(&found.header, area);
        let title = area.tab.as_deref().unwrap_or_default();
        let first = column(area.columns.0);
        let (mut items, mut cut) = (Vec::new(), Vec::new());
        let rows = (found.from..).zip(&found.rows);
        for (number, cells) in rows.filter(|(_, cells)| !cells.iter().all(is_empty)) {
            let mut item = Item::new(format!("{}!{first}{}", quoted(title), number + 1));
            let mut room = room::beside(cx, &mut item);
            let mut kept = Vec::new();
            for (name, cell) in names.iter().zip(cells) {
                let named = match self.shape {
                    Shape::Grid => 1,
                    Shape::Rows | Shape::Tabs if is_empty(cell) => continue,
                    Shape::Rows | Shape::Tabs => room::chars(name) + 2,
                };
                let taken = named + room::chars(cell);
                if taken > room {
                    cut.push((number + 1).to_string());
                    if let (Value::String(text), Some(left)) = (cell, room.checked_sub(named + 3)) {
                        kept.push((name, Value::String(room::clipped(text, left).0)));
                    }
                    break;
                }
                room -= taken;
                kept.push((name, cell.clone()));
            }
            let cells = kept.into_iter();
            let values = if self.shape == Shape::Grid {
                Value::Array(cells.map(|(_, cell)| cell).collect())
            } else {
                Value::Object(cells.map(|(name, cell)| (name.clone(), cell)).collect())
            };
            items.push(item.field("values", values));
        }
        (items, cut)
    }
}

fn is_empty(cell: &Value) -> bool {
    match cell {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        _other => false,
    }
}
