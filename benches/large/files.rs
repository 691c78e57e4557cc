//! Files as large as people really keep them: a report of two hundred pages, and a workbook of fifty thousand rows.

use std::fmt::Write as _;
use std::io::{Cursor, Write as _};

use flate2::Compression;
use flate2::write::ZlibEncoder;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

/// Lines of a page of the report.
const LINES: usize = 45;

/// What stands in a line; no two lines are alike, so that nothing packs better than a real report.
fn line(page: usize, line: usize) -> String {
    let number = (page * 7_919 + line * 104_729) % 1_000_003;
    format!(
        "{page}.{line} The customer of contract {number} pays {} EUR by day {} of quarter {}",
        number % 9_973,
        number % 89,
        number % 4 + 1
    )
}

/// A report of so many pages, its text packed as word processors pack it.
pub(crate) fn pdf(pages: usize) -> Vec<u8> {
    let mut out = b"%PDF-1.7\n".to_vec();
    let mut places = Vec::new();
    let mut object = |out: &mut Vec<u8>, content: &[u8]| {
        places.push(out.len());
        writeln!(out, "{} 0 obj", places.len()).unwrap();
        out.extend_from_slice(content);
        out.extend_from_slice(b"\nendobj\n");
    };
    object(&mut out, b"<< /Type /Catalog /Pages 2 0 R >>");
    let kids: String = (0..pages).fold(String::new(), |mut kids, page| {
        write!(kids, "{} 0 R ", 4 + 2 * page).unwrap();
        kids
    });
    let tree = format!("<< /Type /Pages /Kids [{kids}] /Count {pages} >>");
    object(&mut out, tree.as_bytes());
    object(
        &mut out,
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
    );
    for page in 0..pages {
        let mut text = String::from("BT /F1 10 Tf 50 800 Td 16 TL\n");
        for number in 0..LINES {
            writeln!(text, "({}) Tj T*", line(page + 1, number + 1)).unwrap();
        }
        text.push_str("ET");
        let mut packed = ZlibEncoder::new(Vec::new(), Compression::default());
        packed.write_all(text.as_bytes()).unwrap();
        let packed = packed.finish().unwrap();
        let head = format!(
            "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents {} 0 R /Resources << /Font << /F1 3 0 R >> >> >>",
            5 + 2 * page
        );
        object(&mut out, head.as_bytes());
        let mut stream = format!(
            "<< /Length {} /Filter /FlateDecode >>\nstream\n",
            packed.len()
        )
        .into_bytes();
        stream.extend_from_slice(&packed);
        stream.extend_from_slice(b"\nendstream");
        object(&mut out, &stream);
    }
    let start = out.len();
    write!(out, "xref\n0 {}\n0000000000 65535 f \n", places.len() + 1).unwrap();
    for place in &places {
        writeln!(out, "{place:010} 00000 n ").unwrap();
    }
    let size = places.len() + 1;
    write!(
        out,
        "trailer\n<< /Size {size} /Root 1 0 R >>\nstartxref\n{start}\n%%EOF\n"
    )
    .unwrap();
    out
}

/// The cells of a row, from 1.
pub(crate) fn row(number: u32) -> [String; 8] {
    let mixed = number.wrapping_mul(2_654_435_761);
    [
        format!("C-{number:06}"),
        format!("Customer {}", mixed % 7_001),
        format!("person{number}@northwind.example"),
        ["open", "paid", "late"][(mixed % 3) as usize].to_owned(),
        (mixed % 100_000).to_string(),
        format!("2026-{:02}-{:02}", mixed % 12 + 1, mixed % 28 + 1),
        format!("Region {}", mixed % 17),
        format!("as agreed on the phone, note {}", mixed % 50_021),
    ]
}

/// The heads of the columns.
pub(crate) const HEAD: [&str; 8] = [
    "Contract", "Customer", "Contact", "State", "Amount", "Due", "Region", "Note",
];

/// A workbook of so many rows with a head, as Excel writes it: texts shared, numbers as numbers.
pub(crate) fn xlsx(rows: u32) -> Vec<u8> {
    let mut shared = Vec::new();
    let mut places = std::collections::HashMap::new();
    let mut place = |text: String| {
        *places.entry(text.clone()).or_insert_with(|| {
            shared.push(text);
            shared.len() - 1
        })
    };
    let mut sheet = String::from(
        r#"<?xml version="1.0"?><worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>"#,
    );
    for number in 0..=rows {
        let cells = match number {
            0 => HEAD.map(ToOwned::to_owned),
            number => row(number),
        };
        write!(sheet, r#"<row r="{}">"#, number + 1).unwrap();
        for (column, cell) in ('A'..='H').zip(cells) {
            let at = number + 1;
            if cell.parse::<u32>().is_ok() {
                write!(sheet, r#"<c r="{column}{at}"><v>{cell}</v></c>"#).unwrap();
            } else {
                let index = place(cell);
                write!(sheet, r#"<c r="{column}{at}" t="s"><v>{index}</v></c>"#).unwrap();
            }
        }
        sheet.push_str("</row>");
    }
    sheet.push_str("</sheetData></worksheet>");
    let texts = shared.iter().fold(String::new(), |mut texts, text| {
        write!(texts, "<si><t>{text}</t></si>").unwrap();
        texts
    });
    let main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main";
    let office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
    let package = "http://schemas.openxmlformats.org/package/2006/relationships";
    let kinds = "application/vnd.openxmlformats-officedocument.spreadsheetml";
    let parts = [
        (
            "[Content_Types].xml",
            format!(
                r#"<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Override PartName="/xl/workbook.xml" ContentType="{kinds}.sheet.main+xml"/><Override PartName="/xl/worksheets/sheet1.xml" ContentType="{kinds}.worksheet+xml"/><Override PartName="/xl/sharedStrings.xml" ContentType="{kinds}.sharedStrings+xml"/></Types>"#
            ),
        ),
        (
            "_rels/.rels",
            format!(
                r#"<Relationships xmlns="{package}"><Relationship Id="rId1" Type="{office}/officeDocument" Target="xl/workbook.xml"/></Relationships>"#
            ),
        ),
        (
            "xl/workbook.xml",
            format!(
                r#"<workbook xmlns="{main}" xmlns:r="{office}"><sheets><sheet name="Contracts" sheetId="1" r:id="rId1"/></sheets></workbook>"#
            ),
        ),
        (
            "xl/_rels/workbook.xml.rels",
            format!(
                r#"<Relationships xmlns="{package}"><Relationship Id="rId1" Type="{office}/worksheet" Target="worksheets/sheet1.xml"/><Relationship Id="rId2" Type="{office}/sharedStrings" Target="sharedStrings.xml"/></Relationships>"#
            ),
        ),
        (
            "xl/sharedStrings.xml",
            format!(r#"<sst xmlns="{main}">{texts}</sst>"#),
        ),
        ("xl/worksheets/sheet1.xml", sheet),
    ];
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in parts {
        zip.start_file(name, SimpleFileOptions::default()).unwrap();
        zip.write_all(content.as_bytes()).unwrap();
    }
    zip.finish().unwrap().into_inner()
}
