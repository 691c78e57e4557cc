//! Workbooks: one sheet at a time, its rows as CSV, read from a stream.

mod values;

use std::collections::HashMap;

use super::sheet::{Rows, column};
use super::work::Work;
use super::xml::{Event, Tag};
use super::zipped::{Package, Relation};
use super::{DocumentError, Extracted, limits};
use values::{Formats, Strings};

/// What people call it, in errors.
const NAME: &str = "Excel workbook";

/// What the main part is called by most programs.
const WORKBOOK: &str = "xl/workbook.xml";

struct Sheet {
    name: String,
    part: String,
    hidden: bool,
}

pub(super) fn read(bytes: &[u8], work: &Work) -> Result<Extracted, DocumentError> {
    let mut package = Package::open(bytes, NAME, work)?;
    let main = package.main(WORKBOOK)?;
    let links = package.relations(&main)?;
    let (sheets, since_1904) = sheets(&mut package, &main, &links)?;
    let sheet = match &work.wanted.sheet {
        Some(asked) => sheets
            .iter()
            .find(|sheet| sheet.name.eq_ignore_ascii_case(asked.trim()))
            .ok_or_else(|| DocumentError::NoSuchSheet {
                asked: crate::kit::text::clip(asked, 60),
                have: sheets
                    .iter()
                    .take(20)
                    .map(|sheet| sheet.name.clone())
                    .collect(),
            })?,
        None => sheets
            .iter()
            .find(|sheet| !sheet.hidden)
            .or(sheets.first())
            .ok_or_else(|| package.missing())?,
    };
    let rows = Rows::new(work)?;
    let part = package.related(&links, "styles", "xl/styles.xml");
    let formats = Formats::read(&mut package, &part, since_1904)?;
    let part = package.related(&links, "sharedStrings", "xl/sharedStrings.xml");
    let strings = Strings::read(&mut package, &part)?;
    let Found {
        rows,
        last,
        unsolved,
    } = cells(&mut package, sheet, rows, &strings, &formats)?;
    let mut read = rows.finish(last);
    if unsolved > 0 {
        let (formulas, have) = if unsolved == 1 {
            ("formula", "has")
        } else {
            ("formulas", "have")
        };
        read.notes.push(format!(
            "{unsolved} {formulas} {have} no stored result; open the file in Excel and save it"
        ));
    }
    read.total = u32::try_from(sheets.len()).ok();
    if sheets.len() > 1 && work.wanted.sheet.is_none() {
        read.notes
            .insert(0, format!("this is the sheet `{}`", sheet.name));
    }
    if strings.full() {
        read.notes.push(
            "the workbook has more text than is read; some cells are shown as `…`".to_owned(),
        );
    }
    if package.has(&package.related(&links, "vbaProject", "xl/vbaProject.bin")) {
        read.notes.push("its macros are not read".to_owned());
    }
    read.parts = sheets.into_iter().map(|sheet| sheet.name).collect();
    Ok(read)
}

/// The sheets in their order, and whether days are counted from 1904.
fn sheets(
    package: &mut Package<'_>,
    main: &str,
    relations: &HashMap<String, Relation>,
) -> Result<(Vec<Sheet>, bool), DocumentError> {
    let mut sheets = Vec::new();
    let mut since_1904 = false;
    let Some(mut xml) = package.xml(main)? else {
        return Err(package.missing());
    };
    loop {
        match xml.next()? {
            Event::Open(tag) if tag.name() == "workbookPr" => {
                since_1904 = tag
                    .get("date1904")
                    .is_some_and(|on| matches!(&*on, "1" | "true"));
            }
            Event::Open(tag) if tag.name() == "sheet" => {
                let part = tag
                    .get_prefixed("id")
                    .and_then(|id| relations.get(&id))
                    // Chart sheets have no cells.
                    .filter(|relation| relation.kind == "worksheet");
                if let (Some(name), Some(part)) = (tag.get("name"), part)
                    && sheets.len() < limits::ENTRIES
                {
                    sheets.push(Sheet {
                        name: crate::kit::text::printable(&name),
                        part: part.target.clone(),
                        hidden: tag.get("state").is_some_and(|state| state != "visible"),
                    });
                }
            }
            Event::Eof => return Ok((sheets, since_1904)),
            Event::Open(_) | Event::Close(_) | Event::Text(_) => {}
        }
    }
}

/// A cell being read.
#[derive(Default)]
struct Cell {
    column: u32,
    kind: String,
    style: usize,
    value: String,
    formula: bool,
    inside: Inside,
}

impl Cell {
    /// A cell that begins after the one in the column `before`.
    fn of(tag: &Tag<'_>, before: u32) -> Self {
        let place = tag.get("r").and_then(|place| column_of(&place));
        Self {
            column: place.unwrap_or(before + 1),
            kind: tag.get("t").unwrap_or_default(),
            style: tag
                .get("s")
                .and_then(|style| style.parse().ok())
                .unwrap_or(0),
            ..Self::default()
        }
    }

    /// Whether nobody has calculated it: a program that only writes formulas leaves their results out. A result that is an
    /// empty text says that it is a text.
    fn is_unsolved(&self) -> bool {
        self.formula && self.value.is_empty() && self.kind != "str"
    }
}

/// Which of a cell's texts is being read.
#[derive(Default, PartialEq, Eq)]
enum Inside {
    #[default]
    Nothing,
    Value,
    Text,
}

/// What was read of a sheet.
struct Found<'a> {
    rows: Rows<'a>,
    /// The last row that has any cells.
    last: u32,
    /// Wanted cells with a formula and no result.
    unsolved: usize,
}

/// Feeds the wanted rows of a sheet.
fn cells<'a>(
    package: &mut Package<'_>,
    sheet: &Sheet,
    mut rows: Rows<'a>,
    strings: &Strings,
    formats: &Formats,
) -> Result<Found<'a>, DocumentError> {
    let Some(mut xml) = package.xml(&sheet.part)? else {
        return Err(package.missing());
    };
    let mut declared: Option<u32> = None;
    let (mut last, mut unsolved) = (0_u32, 0_usize);
    let mut row: u32 = 0;
    let mut wanted = false;
    let mut line: Vec<(u32, String)> = Vec::new();
    let mut length = 0;
    let mut cell = Cell::default();
    loop {
        match xml.next()? {
            Event::Open(tag) => match tag.name() {
                "dimension" => declared = tag.get("ref").and_then(|range| rows_of(&range)),
                "row" => {
                    row = number(&tag, "r").unwrap_or(row + 1).min(limits::ROWS);
                    wanted = rows.wants(row);
                    line.clear();
                    length = 0;
                    cell.column = 0;
                    // What the file says of itself spares reading the rest of it.
                    if let Some(declared) = declared.filter(|declared| *declared > row)
                        && rows.over(row)
                    {
                        last = declared;
                        break;
                    }
                }
                "c" if wanted => cell = Cell::of(&tag, cell.column),
                "c" => last = last.max(row),
                "f" if wanted => cell.formula = true,
                "v" if wanted => cell.inside = Inside::Value,
                "t" if wanted && cell.kind == "inlineStr" => cell.inside = Inside::Text,
                _ => {}
            },
            Event::Text(text) if wanted && cell.inside != Inside::Nothing => {
                cell.value.push_str(&text);
            }
            Event::Close(name) => match &*name {
                "v" | "t" => cell.inside = Inside::Nothing,
                "c" if wanted => {
                    unsolved += usize::from(cell.is_unsolved() && rows.wants_column(cell.column));
                    let value = values::shown(
                        &cell.kind,
                        std::mem::take(&mut cell.value),
                        cell.style,
                        strings,
                        formats,
                    );
                    if !value.is_empty() {
                        last = last.max(row);
                        let ordered = line.last().is_none_or(|(column, _)| *column < cell.column);
                        // A text that many cells share may be longer than an answer each time.
                        let fits = length <= limits::OUTPUT_CHARS * 4;
                        if ordered && fits && rows.wants_column(cell.column) {
                            length += value.len();
                            line.push((cell.column, value));
                        }
                    }
                }
                "row" if wanted => rows.row(row, &line)?,
                "sheetData" => {
                    last = last.max(declared.unwrap_or(0).min(row));
                    break;
                }
                _ => {}
            },
            Event::Eof => break,
            Event::Text(_) => {}
        }
    }
    Ok(Found {
        rows,
        last,
        unsolved,
    })
}

fn number(tag: &Tag<'_>, name: &str) -> Option<u32> {
    tag.get(name)?.parse().ok().filter(|number| *number > 0)
}

/// The column of `AB12`.
fn column_of(place: &str) -> Option<u32> {
    let end = place.find(|c: char| c.is_ascii_digit())?;
    column(&place.as_bytes()[..end])
}

/// The last row of `A1:F50000`; nothing of a single cell, which careless writers leave there.
fn rows_of(range: &str) -> Option<u32> {
    let (_, corner) = range.split_once(':')?;
    let digits = corner.find(|c: char| c.is_ascii_digit())?;
    corner[digits..]
        .parse()
        .ok()
        .filter(|row| (1..=limits::ROWS).contains(row))
}
