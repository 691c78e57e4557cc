//! The Sheets API: what tabs there are, and windows of their cells. A window has a bounded number of rows, so that a
//! sheet of any length is read in steps.

use serde::Deserialize;
use serde_json::Value;

use super::super::refs::{FileRef, seen};
use super::a1::{Area, column};
use crate::kit::error::ToolError;
use crate::kit::text;
use crate::kit::tool::Cx;

/// Rows looked at for whether anything follows an empty stretch.
const AHEAD: u32 = 1_000;
/// Largest answer read for cells.
const MAX_BYTES: usize = 16 * 1024 * 1024;

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Spreadsheet {
    pub(super) sheets: Vec<Sheet>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Sheet {
    pub(super) properties: Tab,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Tab {
    pub(super) sheet_id: i64,
    pub(super) title: String,
    pub(super) hidden: bool,
    pub(super) sheet_type: String,
    pub(super) grid_properties: Grid,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Grid {
    pub(super) row_count: u32,
    pub(super) column_count: u32,
    pub(super) frozen_row_count: u32,
}

impl Tab {
    /// Whether it has cells; a chart on a sheet of its own has none.
    pub(super) fn has_cells(&self) -> bool {
        self.grid_properties.column_count > 0
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Ranges {
    value_ranges: Vec<ValueRange>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ValueRange {
    values: Vec<Vec<Value>>,
}

/// How cells are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Render {
    /// Numbers as numbers, dates as they are shown.
    Values,
    /// As they are shown.
    Shown,
    /// What was typed.
    Formulas,
}

/// A spreadsheet's tabs.
pub(super) async fn spreadsheet(cx: &Cx, file: &FileRef) -> Result<Spreadsheet, ToolError> {
    let request = cx
        .api
        .at("sheets")
        .get(&["v4", "spreadsheets", file.id()])
        .query("fields", "sheets.properties(sheetId,title,hidden,sheetType,gridProperties(rowCount,columnCount,frozenRowCount))");
    seen(cx, &format!("spreadsheet {file}"), request.send().await)
}

impl Spreadsheet {
    /// The tab of this title or `gid`.
    pub(super) fn tab(&self, wanted: &str) -> Result<&Tab, ToolError> {
        let tabs = || self.sheets.iter().map(|sheet| &sheet.properties);
        let by_title = tabs().find(|tab| tab.title == wanted);
        let by_loose_title =
            || tabs().find(|tab| tab.title.trim().to_lowercase() == wanted.trim().to_lowercase());
        let by_id = || {
            let id: i64 = wanted.parse().ok()?;
            tabs().find(|tab| tab.sheet_id == id)
        };
        by_title
            .or_else(by_loose_title)
            .or_else(by_id)
            .ok_or_else(|| {
                ToolError::Invalid(format!(
                    "there is no tab “{}”; the tabs are: {}",
                    text::clip(wanted, 80),
                    self.names()
                ))
            })
    }

    /// The first tab that people see.
    pub(super) fn first(&self) -> Result<&Tab, ToolError> {
        let tabs = || self.sheets.iter().map(|sheet| &sheet.properties);
        tabs()
            .find(|tab| !tab.hidden && tab.has_cells())
            .or_else(|| tabs().find(|tab| tab.has_cells()))
            .ok_or_else(|| ToolError::Invalid("the spreadsheet has no tab with cells".to_owned()))
    }

    /// The titles of its tabs.
    pub(super) fn titles(&self) -> Vec<String> {
        self.sheets
            .iter()
            .map(|sheet| sheet.properties.title.clone())
            .collect()
    }

    /// The titles, for a sentence.
    pub(super) fn names(&self) -> String {
        let names: Vec<_> = self
            .sheets
            .iter()
            .map(|sheet| sheet.properties.title.as_str())
            .collect();
        text::clip(&names.join(", "), 400)
    }

    /// The rectangle that is meant, with its tab named and all its ends within the tab.
    pub(super) fn resolve(&self, wanted: &str) -> Result<(Area, &Tab), ToolError> {
        // A title that looks like a cell is a title.
        let exact = self
            .sheets
            .iter()
            .map(|sheet| &sheet.properties)
            .find(|tab| tab.title == wanted);
        let (area, tab) = if let Some(tab) = exact {
            (Area::whole(&tab.title), tab)
        } else {
            let area = Area::parse(wanted).ok_or_else(|| {
                ToolError::Invalid(format!(
                    "“{}” is no range; write it as `Tab!A1:C10`, `'My tab'!A:C` or a tab's title",
                    text::clip(wanted, 80)
                ))
            })?;
            let tab = match &area.tab {
                Some(title) => self.tab(title)?,
                None => self.first()?,
            };
            (area, tab)
        };
        if !tab.has_cells() {
            return Err(ToolError::Invalid(format!(
                "the tab “{}” has no cells",
                tab.title
            )));
        }
        let grid = &tab.grid_properties;
        let within = |(from, to): (u32, Option<u32>), most: u32| {
            (from.min(most), Some(to.unwrap_or(most).min(most)))
        };
        Ok((
            Area {
                tab: Some(tab.title.clone()),
                columns: within(area.columns, grid.column_count),
                rows: within(area.rows, grid.row_count),
            },
            tab,
        ))
    }

    /// The same, of which at least one cell is there: what lies outside would be taken for its nearest neighbours.
    pub(super) fn inside(&self, wanted: &str) -> Result<(Area, &Tab), ToolError> {
        let (area, tab) = self.resolve(wanted)?;
        let grid = &tab.grid_properties;
        if area.columns.0 >= grid.column_count || area.rows.0 >= grid.row_count {
            return Err(ToolError::Invalid(format!(
                "“{}” lies outside of “{}”, which ends at {}{}",
                text::clip(wanted, 80),
                tab.title,
                column(grid.column_count.saturating_sub(1)),
                grid.row_count
            )));
        }
        Ok((area, tab))
    }
}

/// Cells of several rectangles, in their order.
pub(super) async fn values(
    cx: &Cx,
    file: &FileRef,
    areas: &[Area],
    render: Render,
) -> Result<Vec<Vec<Vec<Value>>>, ToolError> {
    let (option, dates) = match render {
        Render::Values => ("UNFORMATTED_VALUE", Some("FORMATTED_STRING")),
        Render::Shown => ("FORMATTED_VALUE", None),
        Render::Formulas => ("FORMULA", Some("FORMATTED_STRING")),
    };
    let mut request =
        cx.api
            .at("sheets")
            .get(&["v4", "spreadsheets", file.id(), "values:batchGet"]);
    for area in areas {
        request = request.query("ranges", area);
    }
    let request = request
        .query("valueRenderOption", option)
        .query_opt("dateTimeRenderOption", dates)
        .max_bytes(MAX_BYTES);
    let found: Ranges = seen(cx, &format!("spreadsheet {file}"), request.send().await)?;
    let mut grids: Vec<_> = found
        .value_ranges
        .into_iter()
        .map(|range| range.values)
        .collect();
    grids.resize(areas.len(), Vec::new());
    Ok(grids)
}

/// Some rows of a rectangle.
#[derive(Debug)]
pub(super) struct Window {
    /// The rectangle's first row, when it was asked for.
    pub(super) header: Vec<Value>,
    /// Number of the first row, from 0, and the rows; empty ones at the end are left out.
    pub(super) from: u32,
    pub(super) rows: Vec<Vec<Value>>,
    /// The row to go on with.
    pub(super) next: Option<u32>,
}

/// At most `count` rows from row `from` on.
pub(super) async fn window(
    cx: &Cx,
    file: &FileRef,
    area: &Area,
    (from, count): (u32, u32),
    render: Render,
) -> Result<Window, ToolError> {
    let rows = |from: u32, to: u32| Area {
        rows: (from, Some(to)),
        ..area.clone()
    };
    let (first, last) = (area.rows.0, area.rows.1.unwrap_or(u32::MAX));
    if area.width() == Some(0) || from >= last {
        return Ok(Window {
            header: Vec::new(),
            from,
            rows: Vec::new(),
            next: None,
        });
    }
    let end = from.saturating_add(count).min(last);
    // The header again: a page of a long sheet is read without the one before.
    let wanted = [rows(first, first + 1), rows(from, end)];
    let mut grids = values(cx, file, &wanted, render).await?;
    let found = grids.pop().unwrap_or_default();
    let header = grids
        .pop()
        .and_then(|grid| grid.into_iter().next())
        .unwrap_or_default();
    let is_full = found.len() as u64 == u64::from(end - from);
    let next = if end >= last {
        None
    } else if is_full {
        Some(end)
    } else {
        // Rows at the end of the window are empty: perhaps a gap, perhaps the end of what is written.
        let ahead = rows(end, end.saturating_add(AHEAD).min(last));
        let more = values(cx, file, &[ahead], Render::Shown).await?;
        let gap = more
            .first()
            .and_then(|rows| rows.iter().position(|row| !row.is_empty()));
        gap.and_then(|gap| u32::try_from(gap).ok())
            .map(|gap| end + gap)
    };
    Ok(Window {
        header,
        from,
        rows: found,
        next,
    })
}

/// The names of a header's columns: what it says, made unique, else the column's letters.
pub(super) fn names(header: &[Value], area: &Area) -> Vec<String> {
    let width = area.width().unwrap_or_default() as usize;
    let mut names: Vec<String> = Vec::new();
    for (index, offset) in (0..width.max(header.len())).zip(0_u32..) {
        let letters = column(area.columns.0 + offset);
        let said = header.get(index).map(plain).unwrap_or_default();
        let name = match said.trim() {
            "" => letters,
            name if names.iter().any(|other| other == name) => format!("{name} ({letters})"),
            name => name.to_owned(),
        };
        names.push(name);
    }
    names
}

/// How many cells at the beginning of a row are empty.
pub(super) fn lead(row: &[Value]) -> usize {
    let is_blank = |cell: &&Value| plain(cell).trim().is_empty();
    row.iter().take_while(is_blank).count()
}

/// A cell as text.
pub(super) fn plain(cell: &Value) -> String {
    match cell {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}
