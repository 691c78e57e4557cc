//! A spreadsheet as CSV (RFC 4180, with line feeds alone), as much of it as fits.

use serde_json::Value;

use super::super::refs::FileRef;
use super::super::room;
use super::cells::{Render, plain, spreadsheet, window};
use crate::kit::error::ToolError;
use crate::kit::tool::Cx;

/// Rows read at once.
const STEP: u32 = 1_000;

/// What is wanted of a spreadsheet.
#[derive(Clone, Copy, Debug, Default)]
pub(in super::super) struct Slice<'a> {
    /// A tab's title or `gid`; the first when empty.
    pub(in super::super) sheet: &'a str,
    /// A1 notation within it.
    pub(in super::super) range: &'a str,
    /// The row to begin with, from 1.
    pub(in super::super) row: Option<u32>,
    /// Characters that the rows and the names of the tabs may take, as JSON.
    pub(in super::super) max_chars: usize,
    /// How many of them the names may take.
    pub(in super::super) names_chars: usize,
}

/// Rows as CSV.
#[derive(Debug)]
pub(in super::super) struct Csv {
    pub(in super::super) text: String,
    /// Ids (`gid`) and titles.
    pub(in super::super) tabs: Vec<(String, String)>,
    /// The row to go on with, from 1.
    pub(in super::super) next_row: Option<u32>,
    /// The row, from 1, of which only the beginning fits.
    pub(in super::super) cut_row: Option<u32>,
}

/// Reads a spreadsheet.
pub(in super::super) async fn csv(
    cx: &Cx,
    file: &FileRef,
    slice: Slice<'_>,
) -> Result<Csv, ToolError> {
    let book = spreadsheet(cx, file).await?;
    let chosen = match (slice.sheet, &file.inner) {
        ("", None) => None,
        ("", Some(gid)) => Some(book.tab(gid)?),
        (sheet, _) => Some(book.tab(sheet)?),
    };
    let area = match (chosen, slice.range) {
        (None, "") => book.resolve(&quoted(&book.first()?.title))?.0,
        (None, range) => book.resolve(range)?.0,
        (Some(tab), "") => book.resolve(&quoted(&tab.title))?.0,
        (Some(tab), range) => {
            let cells = range.rsplit_once('!').map_or(range, |(_, cells)| cells);
            book.resolve(&format!("{}!{cells}", quoted(&tab.title)))?.0
        }
    };
    let tabs = book.sheets.iter().map(|sheet| {
        let tab = &sheet.properties;
        (tab.sheet_id.to_string(), tab.title.clone())
    });
    let tabs: Vec<_> = tabs.collect();
    let most = slice.max_chars - room::chars(&tabs).min(slice.names_chars);
    let mut text = String::new();
    let mut chars = 0;
    let mut cut_row = None;
    let mut row = slice.row.map_or(area.rows.0, |row| row.saturating_sub(1));
    let next_row = 'pages: loop {
        let found = window(cx, file, &area, (row, STEP), Render::Shown).await?;
        for (number, cells) in (found.from..).zip(&found.rows) {
            let line = line(cells);
            // Without the quotation marks around it.
            chars += room::chars(&line) - 2;
            if chars <= most {
                text.push_str(&line);
                continue;
            }
            if !text.is_empty() {
                break 'pages Some(number + 1);
            }
            text.push_str(room::fitting(&line, most));
            cut_row = Some(number + 1);
            let is_last = (number - found.from) as usize + 1 == found.rows.len();
            break 'pages (!is_last || found.next.is_some()).then_some(number + 2);
        }
        match found.next {
            Some(next) if chars < most => row = next,
            other => break other.map(|next| next + 1),
        }
    };
    Ok(Csv {
        text,
        tabs,
        next_row,
        cut_row,
    })
}

/// A tab's title as A1 notation has it.
pub(super) fn quoted(title: &str) -> String {
    format!("'{}'", title.replace('\'', "''"))
}

/// A row with its line break.
pub(super) fn line(cells: &[Value]) -> String {
    let mut line = String::new();
    for (index, cell) in cells.iter().enumerate() {
        if index > 0 {
            line.push(',');
        }
        let text = plain(cell);
        if text.contains([',', '"', '\n', '\r']) {
            line.push('"');
            line.push_str(&text.replace('"', "\"\""));
            line.push('"');
        } else {
            line.push_str(&text);
        }
    }
    line.push('\n');
    line
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn cells_are_quoted_where_they_must_be() {
        let cells = [
            json!("a,b"),
            json!("say \"x\""),
            json!(1.5),
            json!(true),
            json!(""),
            json!("two\nlines"),
        ];
        assert_eq!(
            line(&cells),
            "\"a,b\",\"say \"\"x\"\"\",1.5,true,,\"two\nlines\"\n"
        );
    }
}
