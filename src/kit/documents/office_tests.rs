//! Office files as other programs pack them, and what such a package may ask for.
#![expect(clippy::unwrap_used, reason = "a test says what went wrong by failing")]

use std::fmt::Write as _;

use super::samples::{paragraph, pptx, relations, shape, xlsx, zipped};
use super::work::{Work, read};
use super::{DocumentError, Extracted, Format, Wanted, limits};

fn get(bytes: &[u8], format: Format) -> Result<Extracted, DocumentError> {
    let wanted = Wanted {
        max_chars: 100_000,
        ..Wanted::default()
    };
    read(bytes, format, &Work::new(wanted))
}

/// A package of these parts.
fn package(parts: &[(&str, String)]) -> Vec<u8> {
    let parts: Vec<(&str, &[u8])> = parts
        .iter()
        .map(|(name, content)| (*name, content.as_bytes()))
        .collect();
    zipped(&parts)
}

fn document(body: &str) -> String {
    format!("<w:document><w:body>{body}</w:body></w:document>")
}

#[test]
fn the_main_part_is_where_the_package_says() {
    let plain = || document(&paragraph("", "text"));
    let main = |target: &str| relations(&[("rId1", "officeDocument", target)]);
    for (parts, expected) in [
        // Word for the web.
        (
            vec![
                ("_rels/.rels", main("/word/document2.xml")),
                ("word/document2.xml", plain()),
            ],
            "text",
        ),
        (
            vec![
                ("_rels/.rels", main("content/main.xml")),
                ("content/main.xml", plain()),
                ("word/document.xml", document("")),
            ],
            "text",
        ),
        // What it says is not there, or nothing is said.
        (
            vec![
                ("_rels/.rels", main("word/document2.xml")),
                ("word/document.xml", plain()),
            ],
            "text",
        ),
        (
            vec![
                ("_rels/.rels", main("https://x.example/word/document.xml")),
                ("word/document.xml", plain()),
            ],
            "text",
        ),
        (
            vec![
                ("_rels/.rels", relations(&[])),
                ("word/document.xml", plain()),
            ],
            "text",
        ),
    ] {
        let read = get(&package(&parts), Format::Docx).unwrap();
        assert_eq!(read.text, expected, "{parts:?}");
    }
    let lost = [("_rels/.rels", main("word/document2.xml"))];
    let error = get(&package(&lost), Format::Docx).unwrap_err().to_string();
    assert!(error.contains("a part of it is missing"), "{error}");
}

#[test]
fn the_other_parts_of_a_text_are_where_the_main_part_says() {
    let list = "<w:numPr><w:ilvl w:val=\"0\"/><w:numId w:val=\"1\"/></w:numPr>";
    let note = |kind: &str| format!("<w:r><w:{kind}Reference w:id=\"2\"/></w:r>");
    let body = paragraph("<w:pStyle w:val=\"Eins\"/>", "Plan")
        + &paragraph(list, "one")
        + &format!(
            "<w:p><w:r><w:t>text</w:t></w:r>{}{}</w:p>",
            note("footnote"),
            note("endnote")
        );
    let notes = |kind: &str| {
        let text = paragraph("", kind);
        format!("<w:{kind}s><w:{kind} w:id=\"2\">{text}</w:{kind}></w:{kind}s>")
    };
    let word = package(&[
        (
            "_rels/.rels",
            relations(&[("rId1", "officeDocument", "word/document2.xml")]),
        ),
        ("word/document2.xml", document(&body)),
        (
            "word/_rels/document2.xml.rels",
            relations(&[
                ("rId1", "styles", "styles2.xml"),
                ("rId2", "numbering", "/word/lists/numbering2.xml"),
                ("rId3", "footnotes", "footnotes2.xml"),
                ("rId4", "endnotes", "endnotes2.xml"),
                ("rId5", "comments", "comments2.xml"),
            ]),
        ),
        (
            "word/styles2.xml",
            "<w:styles><w:style w:styleId=\"Eins\"><w:name w:val=\"heading 1\"/></w:style></w:styles>"
                .to_owned(),
        ),
        (
            "word/lists/numbering2.xml",
            "<w:numbering><w:abstractNum w:abstractNumId=\"7\"><w:lvl w:ilvl=\"0\"><w:numFmt w:val=\"decimal\"/></w:lvl>\
             </w:abstractNum><w:num w:numId=\"1\"><w:abstractNumId w:val=\"7\"/></w:num></w:numbering>"
                .to_owned(),
        ),
        ("word/footnotes2.xml", notes("footnote")),
        ("word/endnotes2.xml", notes("endnote")),
        ("word/comments2.xml", "<w:comments/>".to_owned()),
    ]);
    let read = get(&word, Format::Docx).unwrap();
    assert_eq!(
        read.text,
        "# Plan\n\n1. one\n\ntext[^2][^e2]\n\n[^2]: footnote\n\n[^e2]: endnote"
    );
    assert_eq!(read.notes, ["its comments are not read"]);
}

#[test]
fn sheets_and_slides_are_where_the_main_part_says() {
    let book = package(&[
        (
            "_rels/.rels",
            relations(&[("rId1", "officeDocument", "xl/workbook2.xml")]),
        ),
        (
            "xl/workbook2.xml",
            "<workbook><sheets><sheet name=\"A\" r:id=\"rId1\"/></sheets></workbook>".to_owned(),
        ),
        (
            "xl/_rels/workbook2.xml.rels",
            relations(&[
                ("rId1", "worksheet", "sheet9.xml"),
                ("rId2", "sharedStrings", "strings2.xml"),
                ("rId3", "styles", "styles2.xml"),
            ]),
        ),
        (
            "xl/sheet9.xml",
            "<worksheet><sheetData><row r=\"1\"><c r=\"A1\" t=\"s\"><v>0</v></c><c r=\"B1\" s=\"0\"><v>45000</v></c></row></sheetData></worksheet>"
                .to_owned(),
        ),
        (
            "xl/strings2.xml",
            "<sst><si><t>Due</t></si></sst>".to_owned(),
        ),
        (
            "xl/styles2.xml",
            "<styleSheet><cellXfs><xf numFmtId=\"14\"/></cellXfs></styleSheet>".to_owned(),
        ),
    ]);
    assert_eq!(get(&book, Format::Xlsx).unwrap().text, "Due,2023-03-15\n");

    let slide = shape("body", "<a:p><a:r><a:t>Reach</a:t></a:r></a:p>");
    let deck = package(&[
        (
            "_rels/.rels",
            relations(&[("rId1", "officeDocument", "ppt/presentation2.xml")]),
        ),
        (
            "ppt/presentation2.xml",
            "<p:presentation><p:sldIdLst><p:sldId id=\"256\" r:id=\"rId1\"/></p:sldIdLst></p:presentation>"
                .to_owned(),
        ),
        (
            "ppt/_rels/presentation2.xml.rels",
            relations(&[("rId1", "slide", "slides/slide1.xml")]),
        ),
        (
            "ppt/slides/slide1.xml",
            format!("<p:sld><p:cSld><p:spTree>{slide}</p:spTree></p:cSld></p:sld>"),
        ),
    ]);
    assert_eq!(
        get(&deck, Format::Pptx).unwrap().text,
        "## Slide 1\n\n- Reach"
    );
}

#[test]
fn headers_and_footers_stand_at_the_end() {
    let word = |links: &[(&str, &str, &str)]| {
        let of = |name: &str, text: &str| format!("<w:{name}>{}</w:{name}>", paragraph("", text));
        package(&[
            ("word/document.xml", document(&paragraph("", "text"))),
            ("word/_rels/document.xml.rels", relations(links)),
            (
                "word/header1.xml",
                of("hdr", "Northwind</w:t><w:br/><w:t>secret"),
            ),
            (
                "word/header2.xml",
                of("hdr", "Northwind</w:t><w:br/><w:t>secret"),
            ),
            ("word/header3.xml", of("hdr", "")),
            ("word/footer1.xml", of("ftr", "Page 1")),
            ("word/footer2.xml", of("ftr", "1")),
            ("word/footer3.xml", of("ftr", &"long ".repeat(1_000))),
            ("word/footer4.xml", "<w:ftr>".to_owned()),
        ])
    };
    let note = "its headers and footers stand at the end of the text";
    for (links, expected, notes) in [
        (
            vec![
                ("a", "footer", "footer1.xml"),
                ("b", "header", "header2.xml"),
                ("c", "header", "header1.xml"),
                ("d", "footer", "footer2.xml"),
            ],
            "text\n\nHeader of the pages: Northwind / secret\n\nFooter of the pages: Page 1",
            vec![note],
        ),
        // Nothing to say, not there, damaged.
        (
            vec![
                ("a", "header", "header3.xml"),
                ("b", "header", "header9.xml"),
                ("c", "footer", "footer4.xml"),
            ],
            "text",
            vec![],
        ),
    ] {
        let read = get(&word(&links), Format::Docx).unwrap();
        assert_eq!(read.text, expected);
        assert_eq!(read.notes, notes);
    }
    let long = get(&word(&[("a", "footer", "footer3.xml")]), Format::Docx).unwrap();
    assert!(long.text.ends_with('…') && long.text.len() < 600);
}

#[test]
fn formulas_without_results_are_told() {
    for (cells, text, note) in [
        // As openpyxl writes a formula, and others do.
        (
            "<c r=\"A1\"><f>SUM(B1:B9)</f><v></v></c><c r=\"B1\"><f>1+1</f></c><c r=\"C1\"><v>3</v></c>",
            ",,3\n",
            Some("2 formulas have no stored result; open the file in Excel and save it"),
        ),
        (
            "<c r=\"A1\"><v>1</v></c><c r=\"B1\"><f t=\"shared\" si=\"0\"/></c>",
            "1\n",
            Some("1 formula has no stored result; open the file in Excel and save it"),
        ),
        // Results: a number, an empty text, an error. No formula: an empty cell.
        (
            "<c r=\"A1\"><f>1+1</f><v>2</v></c><c r=\"B1\" t=\"str\"><f>T(0)</f><v></v></c><c r=\"C1\" t=\"e\"><f>1/0</f><v>#DIV/0!</v></c><c r=\"D1\" s=\"1\"/>",
            "2,,#DIV/0!\n",
            None,
        ),
    ] {
        let row = format!("<row r=\"1\">{cells}</row>");
        let read = get(&xlsx(&[("A", "visible", &row)], &[]), Format::Xlsx).unwrap();
        assert_eq!(read.text, text, "{cells}");
        assert_eq!(read.notes.first().map(String::as_str), note, "{cells}");
    }
}

#[test]
fn what_is_named_once_is_not_kept_many_times() {
    // An address of a megabyte that many links go to.
    let address = format!("https://x.example/{}", "x".repeat(1 << 20));
    let link = "<w:hyperlink r:id=\"rId1\"><w:r><w:t>here </w:t></w:r></w:hyperlink>";
    let nested = format!(
        "<w:p>{}{}</w:p>",
        link.replace("</w:hyperlink>", "").repeat(100),
        "</w:hyperlink>".repeat(100)
    );
    let word = package(&[
        ("word/document.xml", document(&nested)),
        (
            "word/_rels/document.xml.rels",
            relations(&[("rId1", "hyperlink", &address)]),
        ),
    ]);
    let text = get(&word, Format::Docx).unwrap().text;
    assert_eq!(text, "here ".repeat(100).trim_end());
    // A list of a megabyte's name and of many levels.
    let name = "x".repeat(1 << 20);
    let mut levels = String::new();
    for level in 0..3_000 {
        write!(
            levels,
            "<w:lvl w:ilvl=\"{level}\"><w:numFmt w:val=\"decimal\"/></w:lvl>"
        )
        .unwrap();
    }
    let list = "<w:numPr><w:ilvl w:val=\"0\"/><w:numId w:val=\"1\"/></w:numPr>";
    let word = package(&[
        ("word/document.xml", document(&paragraph(list, "one"))),
        (
            "word/numbering.xml",
            format!(
                "<w:numbering><w:abstractNum w:abstractNumId=\"{name}\">{levels}</w:abstractNum>\
                 <w:num w:numId=\"1\"><w:abstractNumId w:val=\"{name}\"/></w:num></w:numbering>"
            ),
        ),
    ]);
    assert_eq!(get(&word, Format::Docx).unwrap().text, "1. one");
}

#[test]
fn tables_of_slides_have_no_more_cells_than_others() {
    let table = |empty: usize| {
        let row =
            "<a:tr><a:tc><a:txBody><a:p><a:r><a:t>last</a:t></a:r></a:p></a:txBody></a:tc></a:tr>";
        // An empty table says nothing.
        let table = format!(
            "<a:tbl>{}</a:tbl><a:tbl>{row}</a:tbl>",
            "<a:tr/>".repeat(empty)
        );
        get(&pptx(&[(&table, "")]), Format::Pptx).unwrap().text
    };
    assert!(table(3).contains("last"));
    assert!(!table(limits::CELLS).contains("last"));
}

#[test]
fn a_part_cannot_claim_to_be_packed_worse_than_it_is() {
    let mut blanks = b"<w:document><w:body><w:p>".to_vec();
    blanks.resize(8 << 20, b' ');
    let mut file = zipped(&[("word/document.xml", &blanks)]);
    // In the list at the end: the size of the part in the file (APPNOTE 6.3.10, section 4.3.12).
    let entry = file
        .windows(4)
        .rposition(|mark| mark == b"PK\x01\x02")
        .unwrap();
    file[entry + 20..entry + 24].copy_from_slice(&(100_u32 << 20).to_le_bytes());
    let error = get(&file, Format::Docx).unwrap_err().to_string();
    assert!(error.contains("far more than it should"), "{error}");
}
