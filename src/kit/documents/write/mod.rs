//! Documents that tools write: Word from Markdown, Excel from CSV. Plain ones, which every application opens.

mod word;

use std::fmt::Write as _;
use std::io::{Cursor, Write as _};

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

use super::sheet::letters;
use super::{DocumentError, csv, limits};

/// A Word document of a Markdown text: headings, emphasis, lists, tables, links, quotations and code. HTML in it is text;
/// a picture becomes its description.
pub fn docx_of_markdown(markdown: &str) -> Result<Vec<u8>, DocumentError> {
    fits("content", markdown)?;
    let document = word::document(markdown);
    pack(
        "docx",
        &[
            ("[Content_Types].xml", word::CONTENT_TYPES),
            ("_rels/.rels", word::RELATIONS),
            ("word/_rels/document.xml.rels", &document.relations),
            ("word/styles.xml", word::STYLES),
            ("word/numbering.xml", &document.numbering),
            ("word/document.xml", &document.body),
        ],
    )
}

/// A workbook of one sheet. The first row is the header and stays in sight. Numbers become numbers, everything else is
/// text: nothing becomes a formula.
pub fn xlsx_of_csv(text: &str) -> Result<Vec<u8>, DocumentError> {
    fits("csv", text)?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut reader = ::csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(csv::delimiter(text))
        .from_reader(text.as_bytes());
    let mut rows = String::new();
    let mut row: u32 = 0;
    let mut cells = 0;
    let mut widths: Vec<usize> = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|error| {
            DocumentError::BadCsv(crate::kit::text::printable(&error.to_string()))
        })?;
        row += 1;
        let columns = u32::try_from(record.len()).unwrap_or(u32::MAX);
        cells += record.len();
        if row > limits::ROWS || columns > limits::COLUMNS || cells > limits::WRITTEN_CELLS {
            return Err(DocumentError::TooMuch {
                what: "csv",
                limit: format!(
                    "{} values in {} rows and {} columns at most",
                    limits::WRITTEN_CELLS,
                    limits::ROWS,
                    limits::COLUMNS
                ),
            });
        }
        // Writing to a string does not fail, here and below.
        let _ = write!(rows, "<row r=\"{row}\">");
        for (column, value) in (1..).zip(&record) {
            if widths.len() < column as usize {
                widths.push(0);
            }
            let width = &mut widths[column as usize - 1];
            *width = (*width).max(value.chars().count());
            if value.is_empty() {
                continue;
            }
            let (place, style) = (letters(column), u8::from(row == 1));
            if row > 1 && is_number(value) {
                let _ = write!(rows, "<c r=\"{place}{row}\"><v>{value}</v></c>");
            } else {
                let _ = write!(
                    rows,
                    "<c r=\"{place}{row}\" s=\"{style}\" t=\"inlineStr\"><is><t xml:space=\"preserve\">{}</t></is></c>",
                    escape(crate::kit::text::clip(value, limits::CELL_CHARS).as_str())
                );
            }
        }
        rows.push_str("</row>");
    }
    let mut columns = String::new();
    for (column, width) in (1_u32..).zip(&widths) {
        let width = (*width).clamp(6, 60) + 2;
        let _ = write!(
            columns,
            "<col min=\"{column}\" max=\"{column}\" width=\"{width}\" customWidth=\"1\"/>"
        );
    }
    let columns = if columns.is_empty() {
        columns
    } else {
        format!("<cols>{columns}</cols>")
    };
    let sheet = format!(
        "{XML}<worksheet xmlns=\"{SHEET}\"><sheetViews><sheetView workbookViewId=\"0\"><pane ySplit=\"1\" topLeftCell=\"A2\" \
         activePane=\"bottomLeft\" state=\"frozen\"/></sheetView></sheetViews>{columns}<sheetData>{rows}</sheetData></worksheet>"
    );
    pack(
        "xlsx",
        &[
            ("[Content_Types].xml", CONTENT_TYPES),
            ("_rels/.rels", RELATIONS),
            ("xl/workbook.xml", WORKBOOK),
            ("xl/_rels/workbook.xml.rels", WORKBOOK_RELATIONS),
            ("xl/styles.xml", STYLES),
            ("xl/worksheets/sheet1.xml", &sheet),
        ],
    )
}

/// The beginning of every part.
const XML: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>";
const SHEET: &str = "http://schemas.openxmlformats.org/spreadsheetml/2006/main";

const CONTENT_TYPES: &str = r#"<?xml version="1.0" encoding="UTF-8" standalone="yes"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Default Extension="xml" ContentType="application/xml"/><Override PartName="/xl/workbook.xml" ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"/><Override PartName="/xl/styles.xml" ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.styles+xml"/><Override PartName="/xl/worksheets/sheet1.xml" ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.worksheet+xml"/></Types>"#;

const RELATIONS: &str = r#"<?xml version="1.0" encoding="UTF-8" standalone="yes"?><Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="rId1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument" Target="xl/workbook.xml"/></Relationships>"#;

const WORKBOOK: &str = r#"<?xml version="1.0" encoding="UTF-8" standalone="yes"?><workbook xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main" xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"><sheets><sheet name="Sheet1" sheetId="1" r:id="rId1"/></sheets></workbook>"#;

const WORKBOOK_RELATIONS: &str = r#"<?xml version="1.0" encoding="UTF-8" standalone="yes"?><Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="rId1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/worksheet" Target="worksheets/sheet1.xml"/><Relationship Id="rId2" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/styles" Target="styles.xml"/></Relationships>"#;

const STYLES: &str = r#"<?xml version="1.0" encoding="UTF-8" standalone="yes"?><styleSheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><fonts count="2"><font><sz val="11"/><name val="Calibri"/></font><font><b/><sz val="11"/><name val="Calibri"/></font></fonts><fills count="2"><fill><patternFill patternType="none"/></fill><fill><patternFill patternType="gray125"/></fill></fills><borders count="1"><border><left/><right/><top/><bottom/><diagonal/></border></borders><cellStyleXfs count="1"><xf numFmtId="0" fontId="0" fillId="0" borderId="0"/></cellStyleXfs><cellXfs count="2"><xf numFmtId="0" fontId="0" fillId="0" borderId="0" xfId="0"/><xf numFmtId="0" fontId="1" fillId="0" borderId="0" xfId="0" applyFont="1"/></cellXfs></styleSheet>"#;

fn fits(what: &'static str, text: &str) -> Result<(), DocumentError> {
    if text.len() > limits::WRITTEN_BYTES {
        return Err(DocumentError::TooMuch {
            what,
            limit: format!("{} MB at most", limits::WRITTEN_BYTES >> 20),
        });
    }
    Ok(())
}

/// Whether a value is a number that a spreadsheet keeps as it is written: no leading zeros, as in codes and telephone
/// numbers, and not more digits than it keeps.
fn is_number(value: &str) -> bool {
    let digits = value.strip_prefix('-').unwrap_or(value);
    let (whole, part) = digits.split_once('.').unwrap_or((digits, "0"));
    let all_digits =
        |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    all_digits(whole)
        && all_digits(part)
        && (whole == "0" || !whole.starts_with('0'))
        && whole.len() + part.len() <= 15
        && value != "-0"
}

/// Text as XML has it; characters that XML does not know are left out.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' | '\t' => out.push(c),
            '\u{fffe}' | '\u{ffff}' => {}
            c if c.is_control() => {}
            c => out.push(c),
        }
    }
    out
}

/// Zips the parts. The same parts give the same bytes: the time in a zip is a fixed one.
fn pack(format: &'static str, parts: &[(&str, &str)]) -> Result<Vec<u8>, DocumentError> {
    let failed = |_| DocumentError::Malformed {
        format,
        reason: "it could not be written".to_owned(),
    };
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Deflated)
        .last_modified_time(DateTime::default());
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in parts {
        zip.start_file(*name, options).map_err(failed)?;
        zip.write_all(content.as_bytes())
            .map_err(|error| failed(error.into()))?;
    }
    Ok(zip.finish().map_err(failed)?.into_inner())
}
