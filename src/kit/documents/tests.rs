//! Whole documents, read as tools read them.
#![expect(clippy::unwrap_used, reason = "a test says what went wrong by failing")]

use proptest::prelude::*;

use super::work::{Work, read};
use super::*;
use samples::{docx, paragraph, pdf, pdf_of, pptx, rows, shape, stream, xlsx, zeros, zipped};

fn wanted(max_chars: usize) -> Wanted {
    Wanted {
        max_chars,
        ..Wanted::default()
    }
}

fn get(bytes: &[u8], format: Format, wanted: Wanted) -> Result<Extracted, DocumentError> {
    read(bytes, format, &Work::new(wanted))
}

fn text(bytes: &[u8], format: Format) -> String {
    get(bytes, format, wanted(100_000)).unwrap().text
}

fn run(properties: &str, text: &str) -> String {
    format!("<w:r><w:rPr>{properties}</w:rPr><w:t xml:space=\"preserve\">{text}</w:t></w:r>")
}

#[test]
fn word_documents_become_markdown() {
    let list = |number: u8, level: u8| {
        format!("<w:numPr><w:ilvl w:val=\"{level}\"/><w:numId w:val=\"{number}\"/></w:numPr>")
    };
    for (body, expected) in [
        (
            paragraph("<w:pStyle w:val=\"berschrift1\"/>", "The plan")
                + &paragraph("<w:pStyle w:val=\"Mine\"/>", "More")
                + &paragraph("<w:pStyle w:val=\"Loop\"/>", "a &lt; b &amp; c &#8364;"),
            "# The plan\n\n# More\n\na < b & c €",
        ),
        (
            format!(
                "<w:p>{}{}{}{}</w:p>",
                run("<w:b/>", "bold "),
                run("<w:b/>", "too"),
                run("<w:i w:val=\"0\"/>", " and "),
                run("<w:i/>", "leaning")
            ),
            "**bold too** and *leaning*",
        ),
        (
            paragraph(&list(1, 0), "one")
                + &paragraph(&list(1, 1), "inner")
                + &paragraph(&list(1, 0), "two")
                + &paragraph("", "after"),
            "1. one\n   - inner\n2. two\n\nafter",
        ),
        (
            "<w:tbl><w:tr><w:tc><w:p><w:r><w:t>Name</w:t></w:r></w:p></w:tc><w:tc><w:p><w:r><w:t>City</w:t></w:r></w:p></w:tc></w:tr>\
             <w:tr><w:tc><w:tcPr><w:gridSpan w:val=\"2\"/></w:tcPr><w:p><w:r><w:t>a|b</w:t></w:r></w:p><w:p><w:r><w:t>c</w:t></w:r></w:p></w:tc></w:tr></w:tbl>"
                .to_owned(),
            "| Name | City |\n| --- | --- |\n| a\\|b / c |  |",
        ),
        (
            "<w:p><w:r><w:t xml:space=\"preserve\">See </w:t></w:r><w:hyperlink r:id=\"rId1\"><w:r><w:t>the plan</w:t></w:r></w:hyperlink>\
             <w:r><w:footnoteReference w:id=\"2\"/></w:r><w:r><w:t>.</w:t></w:r></w:p>"
                .to_owned(),
            "See [the plan](https://acme.example/plan)[^2].\n\n[^2]: As agreed in May.",
        ),
        (
            "<w:p><w:r><w:fldChar w:fldCharType=\"begin\"/></w:r><w:r><w:instrText> HYPERLINK \"https://x.example\" </w:instrText></w:r>\
             <w:r><w:fldChar w:fldCharType=\"separate\"/></w:r><w:r><w:t>here</w:t></w:r><w:r><w:fldChar w:fldCharType=\"end\"/></w:r></w:p>"
                .to_owned(),
            "[here](https://x.example)",
        ),
        (
            "<w:p><w:del><w:r><w:delText>old</w:delText></w:r></w:del><w:ins><w:r><w:t>new</w:t></w:r></w:ins>\
             <w:r><w:rPr><w:vanish/></w:rPr><w:t>hidden</w:t></w:r></w:p>"
                .to_owned(),
            "new",
        ),
        (
            "<w:p><w:r><mc:AlternateContent><mc:Choice><w:drawing><wp:docPr descr=\"A chart\"/><w:txbxContent><w:p><w:r><w:t>in a box</w:t></w:r></w:p></w:txbxContent></w:drawing></mc:Choice>\
             <mc:Fallback><w:p><w:r><w:t>in a box</w:t></w:r></w:p></mc:Fallback></mc:AlternateContent></w:r><w:r><w:t>text</w:t></w:r></w:p>"
                .to_owned(),
            "in a box\n\n(picture: A chart) text",
        ),
        (
            "<w:p><w:pPr><w:tabs><w:tab w:val=\"left\"/></w:tabs></w:pPr><w:r><w:t>a</w:t><w:tab/><w:t>b</w:t><w:br/><w:t>c</w:t></w:r></w:p>".to_owned(),
            "a b\nc",
        ),
    ] {
        assert_eq!(text(&docx(&body), Format::Docx), expected, "{body}");
    }
}

#[test]
fn word_documents_survive_being_written_and_read() {
    let markdown = "# Autumn launch\n\nA **bold** and *leaning* word, [the plan](https://acme.example/plan?a=1&b=2).\n\n\
                    1. first\n2. second\n   - inner\n\n| Name | Amount |\n| --- | --- |\n| **x** | 1 |\n\n## Next\n\n<script>alert(1)</script>";
    let written = docx_of_markdown(markdown).unwrap();
    assert_eq!(format_of("", "", &written), Some(Format::Docx));
    let expected = markdown.replace("| Name | Amount |", "| **Name** | **Amount** |");
    assert_eq!(text(&written, Format::Docx), expected);
    assert_eq!(docx_of_markdown(markdown).unwrap(), written);
}

#[test]
fn workbooks_survive_being_written_and_read() {
    let csv =
        "Name,Code,Amount,Note\n\"Whitfield, Dana\",007,1234.5,=1+1\n\"two\nlines\",+49,-3,\n";
    let written = xlsx_of_csv(csv).unwrap();
    assert_eq!(format_of("", "", &written), Some(Format::Xlsx));
    let expected = csv.replace(",-3,\n", ",-3\n");
    assert_eq!(text(&written, Format::Xlsx), expected);
    // Text that looks like a formula stays text.
    let parts = String::from_utf8_lossy(&written).into_owned();
    assert!(!parts.contains("<f>"));
}

#[test]
fn sheets_are_read_by_range() {
    let book = xlsx(
        &[
            ("Hidden", "hidden", &rows(1)),
            ("Orders", "visible", &rows(3000)),
            ("Empty", "visible", ""),
        ],
        &["Northwind", "Oslo"],
    );
    let read = get(&book, Format::Xlsx, wanted(1_000_000)).unwrap();
    assert_eq!(read.media, "text/csv");
    assert_eq!(read.parts, ["Hidden", "Orders", "Empty"]);
    assert_eq!(read.total, Some(3));
    assert!(
        read.text
            .starts_with("Id,Customer,City,Amount,Due\n2,Northwind,Oslo,2.5,2023-03-15\n")
    );
    assert_eq!(read.text.lines().count(), 1000);
    assert!(read.truncated);
    assert_eq!(
        read.notes,
        [
            "this is the sheet `Orders`",
            "rows 1 to 1000 of 3001",
            "for the next rows ask for range 1001:2000"
        ]
    );
    let ask = |sheet: &str, range: &str, max_chars| {
        get(
            &book,
            Format::Xlsx,
            Wanted {
                sheet: Some(sheet.to_owned()),
                range: Some(range.to_owned()),
                max_chars,
                ..Wanted::default()
            },
        )
    };
    let read = ask("orders", "B2999:C9999", 1000).unwrap();
    assert_eq!(
        read.text,
        "Customer,City\n".to_owned() + &"Northwind,Oslo\n".repeat(3)
    );
    assert!(!read.truncated);
    let read = ask("Orders", "A11:B3000", 100).unwrap();
    assert!(read.text.starts_with("Id,Customer\n11,Northwind\n"));
    assert!(read.truncated);
    assert_eq!(read.notes[1], "for the next rows ask for range A17:B22");
    assert_eq!(
        ask("Empty", "A1:B2", 100).unwrap().notes,
        ["there are no cells with values"]
    );
    assert!(matches!(
        ask("None", "A1", 10),
        Err(DocumentError::NoSuchSheet { .. })
    ));
    assert!(matches!(
        ask("Orders", "A1:", 10),
        Err(DocumentError::BadRange(_))
    ));
}

#[test]
fn csv_is_read_by_range() {
    let csv = "a;b;c\n1;\"x;y\";3\n4;5;6\n";
    assert_eq!(text(csv.as_bytes(), Format::Csv), "a,b,c\n1,x;y,3\n4,5,6\n");
    let read = get(
        csv.as_bytes(),
        Format::Csv,
        Wanted {
            range: Some("B3:C3".to_owned()),
            max_chars: 100,
            ..Wanted::default()
        },
    )
    .unwrap();
    assert_eq!(read.text, "b,c\n5,6\n");
    assert_eq!(text(b"caf\xE9,\x80", Format::Csv), "café,€\n");
}

#[test]
fn slides_become_markdown() {
    let first = shape("sldNum", "<a:p><a:fld><a:t>1</a:t></a:fld></a:p>")
        + &shape(
            "body",
            "<a:p><a:r><a:t>Reach</a:t></a:r></a:p><a:p><a:pPr lvl=\"1\"/><a:r><a:rPr><a:hlinkClick r:id=\"rId2\"/></a:rPr><a:t>Oslo</a:t></a:r></a:p>",
        )
        + &shape(
            "title",
            "<a:p><a:r><a:t>Autumn</a:t></a:r><a:r><a:t> launch</a:t></a:r></a:p>",
        )
        + "<p:graphicFrame><a:tbl><a:tr><a:tc><a:txBody><a:p><a:r><a:t>A</a:t></a:r></a:p></a:txBody></a:tc><a:tc><a:txBody><a:p><a:r><a:t>B</a:t></a:r></a:p></a:txBody></a:tc></a:tr></a:tbl></p:graphicFrame>";
    let notes = shape("body", "<a:p><a:r><a:t>Smile.</a:t></a:r></a:p>");
    let deck = pptx(&[(&first, &notes), ("<p:pic/>", ""), (&notes, "")]);
    let read = get(&deck, Format::Pptx, wanted(10_000)).unwrap();
    assert_eq!(
        read.text,
        "## Slide 1: Autumn launch\n\n- Reach\n  - [Oslo](https://acme.example/launch)\n\n| A | B |\n| --- | --- |\n\nNotes:\n\nSmile.\n\n\
         ## Slide 2\n\n## Slide 3\n\n- Smile."
    );
    assert_eq!((read.total, read.next_page), (Some(3), None));
    assert_eq!(read.notes, ["slide 2 holds only pictures"]);
    let one = get(
        &deck,
        Format::Pptx,
        Wanted {
            pages: Some((2, 2)),
            ..wanted(100)
        },
    )
    .unwrap();
    assert_eq!((one.text.as_str(), one.next_page), ("## Slide 2", Some(3)));
    for pages in [(0, 1), (4, 4), (2, 1)] {
        let asked = get(
            &deck,
            Format::Pptx,
            Wanted {
                pages: Some(pages),
                ..wanted(100)
            },
        );
        assert_eq!(asked, Err(DocumentError::NoSuchPage { total: 3 }));
    }
}

fn lines(page: usize) -> Vec<String> {
    (1..=3)
        .map(|line| format!("Line {line} of page {page} (café)"))
        .collect()
}

#[test]
fn pdfs_are_read_by_pages() {
    let file = pdf(&(1..=5).map(lines).collect::<Vec<_>>());
    let read = get(&file, Format::Pdf, wanted(180)).unwrap();
    assert!(
        read.text
            .starts_with("## Page 1\n\nLine 1 of page 1 (café)\nLine 2 of page 1 (café)\n")
    );
    assert_eq!(
        (read.total, read.next_page, read.truncated),
        (Some(5), Some(3), true)
    );
    let last = get(
        &file,
        Format::Pdf,
        Wanted {
            pages: Some((5, 9)),
            ..wanted(1000)
        },
    )
    .unwrap();
    assert_eq!((last.next_page, last.truncated), (None, false));
    assert!(last.text.contains("page 5"));
    // Without its table of objects it is searched for them.
    let broken = &file[..file.len() - 200];
    assert!(text(broken, Format::Pdf).contains("Line 3 of page 5"));
}

#[test]
fn pdfs_of_real_programs_are_read() {
    for file in samples::REPORTS {
        let read = text(file, Format::Pdf);
        let flat = read.split_whitespace().collect::<Vec<_>>().join(" ");
        let mut rest = flat.as_str();
        // In the order of reading, the left column before the right one.
        for expected in [
            "Autumn launch",
            "Alice Reyes",
            "We reach forty offices by the end of the quarter, and the first five of them",
            "Budget",
            "the printing; the rest follows",
            "Item Cost",
            "Printing 12.5 Travel 3.75",
            "Risks",
            "watched by Bob Osei",
        ] {
            let at = rest.find(expected);
            assert!(at.is_some(), "{expected} in {read}");
            rest = &rest[at.unwrap()..];
        }
    }
}

/// A PDF of one page with this content and these further objects, from 5 on.
fn page(resources: &str, content: &[u8], more: &[Vec<u8>]) -> Vec<u8> {
    let mut objects = vec![
        b"<</Type/Catalog/Pages 2 0 R>>".to_vec(),
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>".to_vec(),
        format!("<</Type/Page/Parent 2 0 R/Contents 4 0 R/Resources<<{resources}>>>>").into_bytes(),
        content.to_vec(),
    ];
    objects.extend_from_slice(more);
    pdf_of(&objects)
}

#[test]
fn pdf_text_is_put_together() {
    let font = "/Font<</F 5 0 R>>";
    let latin = b"<</Type/Font/Subtype/Type1/BaseFont/Courier/Encoding<</Differences[65/eacute/f_f_i/uni20AC/nonsense]>>>>".to_vec();
    let composite =
        b"<</Type/Font/Subtype/Type0/BaseFont/X/Encoding/Identity-H/ToUnicode 6 0 R>>".to_vec();
    let map = stream("", b"/CIDInit /ProcSet findresource begin begincmap 1 begincodespacerange <0000> <FFFF> endcodespacerange \
        1 beginbfchar <0001> <6F22> endbfchar 1 beginbfrange <0002> <FFFFFF> <0041> endbfrange endcmap");
    for (content, fonts, expected) in [
        ("BT /F 10 Tf (ABCDx) Tj ET", vec![latin.clone()], "éffi€x"),
        // Kerning is no space; a wide move is one.
        (
            "BT /F 10 Tf [(W) 60 (orld) -300 (wide)] TJ ET",
            vec![latin.clone()],
            "World wide",
        ),
        (
            "BT /F 10 Tf 1 0 0 1 0 700 Tm (one) Tj 1 0 0 1 24 700 Tm (two) Tj 1 0 0 1 90 700 Tm (three) Tj 1 0 0 1 0 688 Tm (four) Tj 0 -40 Td (five) Tj ET",
            vec![latin.clone()],
            "one two   three\nfour\n\nfive",
        ),
        (
            "BT /F 10 Tf 0 1 -1 0 300 100 Tm (up) Tj ( there) Tj ET",
            vec![latin.clone()],
            "up there",
        ),
        // Letters with space between them; a space taken back; a gap made of the spacing of characters.
        (
            "BT /F 10 Tf 4 Tc (wide MORE) Tj ET",
            vec![latin.clone()],
            "wide MORE",
        ),
        ("BT /F 10 Tf -5.5 Tw (a b) Tj ET", vec![latin.clone()], "ab"),
        (
            "BT /F 10 Tf 5 Tc (ab) Tj 0 Tc 17 0 Td (c) Tj ET",
            vec![latin.clone()],
            "a bc",
        ),
        (
            "BT /F 10 Tf (twice) Tj 1 0 0 1 0.2 0 Tm (twice) Tj ET",
            vec![latin],
            "twice",
        ),
        (
            "BT /F 10 Tf <000100020003> Tj ET",
            vec![composite.clone(), map.clone()],
            "漢AB",
        ),
        ("BT /F 10 Tf 3 Tr <0001> Tj ET", vec![composite, map], "漢"),
        ("BT (no font) Tj ET Q Q q", vec![], ""),
    ] {
        let file = page(font, &stream("", content.as_bytes()), &fonts);
        assert_eq!(text(&file, Format::Pdf), expected, "{content}");
    }
    // A form draws itself for ever; a picture has no text.
    let form = stream(
        "/Subtype/Form/Resources<</XObject<</A 5 0 R>>>>",
        b"/A Do /A Do",
    );
    let file = page("/XObject<</A 5 0 R>>", &stream("", b"/A Do"), &[form]);
    assert_eq!(text(&file, Format::Pdf), "");
    let picture = stream("/Subtype/Image/Width 1/Height 1", b"x");
    let file = page("/XObject<</A 5 0 R>>", &stream("", b"/A Do"), &[picture]);
    assert_eq!(
        get(&file, Format::Pdf, wanted(10)).unwrap().notes,
        ["page 1 holds only a picture; reading it needs character recognition"]
    );
}

#[test]
fn pdfs_of_too_many_values_are_not_read() {
    let members = format!("{}[{}]", "7 0 ".repeat(1_000), "/".repeat(3_000));
    let entries = "/Type/ObjStm/N 1000/First 4000/Filter/FlateDecode";
    let members = stream(entries, &samples::flate(members.as_bytes()));
    let alone = format!("[{}]", "/".repeat(2_000_001)).into_bytes();
    for object in [members, alone] {
        let error = get(&page("", &object, &[]), Format::Pdf, wanted(10)).unwrap_err();
        assert!(error.to_string().contains("too many values"), "{error}");
    }
    let content = format!("BT /F 9 Tf (read) Tj {} (not) Tj", "/".repeat(1_000_000));
    let content = stream("/Filter/FlateDecode", &samples::flate(content.as_bytes()));
    let font = b"<</Type/Font/Subtype/Type1/BaseFont/Courier>>".to_vec();
    let file = page("/Font<</F 5 0 R>>", &content, &[font]);
    let read = get(&file, Format::Pdf, wanted(10)).unwrap();
    assert_eq!(read.text, "read");
    assert_eq!(read.notes, ["page 1 is damaged and incomplete here"]);
}

#[test]
fn stored_messages_are_read() {
    let read = get(samples::MAIL.as_bytes(), Format::Mail, wanted(10_000)).unwrap();
    assert_eq!(
        read.text,
        "From: \"Whitfield, Dana\" <dana@northwind.example>\nTo: Alice Reyes <alice@acme.example>, bob@acme.example\n\
         Subject: Autumn launch – plan\nDate: 2026-11-20T11:00:00Z\nAttachment: plän.pdf (application/pdf, 8 bytes)\n\n\
         Dear Alice,\n\nthe **plan** is € 5,000."
    );
}

#[test]
fn text_has_pages_of_the_asked_size() {
    let lines: Vec<String> = (0..100).map(|line| format!("line {line}\n")).collect();
    let whole = lines.concat();
    let mut found = String::new();
    let mut at = Some(1);
    while let Some(page) = at {
        let read = get(
            whole.as_bytes(),
            Format::Text,
            Wanted {
                pages: Some((page, page)),
                ..wanted(100)
            },
        )
        .unwrap();
        assert!(read.text.chars().count() <= 100);
        found.push_str(&read.text);
        found.push('\n');
        at = read.next_page;
    }
    assert_eq!(found, whole);
    let past = get(
        b"x",
        Format::Text,
        Wanted {
            pages: Some((2, 2)),
            ..wanted(100)
        },
    );
    assert_eq!(past, Err(DocumentError::NoSuchPage { total: 1 }));
}

#[test]
fn hostile_files_are_refused() {
    let blanks = vec![b' '; 8 << 20];
    let mut bomb = b"<w:document><w:body><w:p>".to_vec();
    bomb.extend_from_slice(&blanks);
    let deep = "<w:p>".repeat(5000);
    let entities = "<!DOCTYPE x [<!ENTITY a \"aaaaaaaaaa\"><!ENTITY b \"&a;&a;&a;\">]><w:document>&b;</w:document>";
    let outside =
        "<w:document><w:body><w:p><w:r><w:t>&file;</w:t></w:r></w:p></w:body></w:document>";
    let compound = |mark: &str| {
        let mut file = format::COMPOUND_FILE.to_vec();
        file.extend(mark.encode_utf16().flat_map(u16::to_le_bytes));
        file
    };
    let with = |part: &[u8]| zipped(&[("word/document.xml", part)]);
    let many: Vec<(String, Vec<u8>)> = (0..=limits::ENTRIES)
        .map(|at| (format!("p{at}"), Vec::new()))
        .collect();
    let many: Vec<(&str, &[u8])> = many
        .iter()
        .map(|(name, part)| (name.as_str(), part.as_slice()))
        .collect();
    let mut cut = docx(&paragraph("", "x"));
    cut.truncate(cut.len() / 2);
    let encrypted = page("", b"<</X/#45ncrypt>>", &[]);
    let structure = page(
        "",
        &stream("/Type/ObjStm/N 1/First 4/Filter/FlateDecode", &zeros(20)),
        &[],
    );
    for (file, format, expected) in [
        (with(&bomb), Format::Docx, "far more than it should"),
        (zipped(&many), Format::Docx, "too many parts"),
        (
            with(format!("<w:document>{deep}").as_bytes()),
            Format::Docx,
            "nested too deeply",
        ),
        (
            with(entities.as_bytes()),
            Format::Docx,
            "entities of its own",
        ),
        (
            with(outside.as_bytes()),
            Format::Docx,
            "entities of its own",
        ),
        (with(b"<w:document><w:body>"), Format::Docx, "cut off"),
        (
            with(b"<w:document></w:body>"),
            Format::Docx,
            "XML is damaged",
        ),
        (cut, Format::Docx, "cut off or damaged"),
        (
            zipped(&[("x", b"y")]),
            Format::Xlsx,
            "a part of it is missing",
        ),
        (compound("EncryptedPackage"), Format::Xlsx, "encrypted"),
        (compound("Workbook"), Format::Xlsx, "old kind"),
        (encrypted, Format::Pdf, "encrypted"),
        (structure, Format::Pdf, "far more than it should"),
        (
            b"%PDF-1.7 nothing".to_vec(),
            Format::Pdf,
            "not a readable PDF",
        ),
        (b"".to_vec(), Format::Pdf, "not a readable PDF"),
    ] {
        let error = get(&file, format, wanted(1000)).unwrap_err().to_string();
        assert!(error.contains(expected), "{error} / {expected}");
    }
}

#[tokio::test]
async fn a_file_is_read_on_a_thread_of_its_own() {
    let read = extract(
        b"hello \xE2\x80\x8Bworld".to_vec(),
        Format::Text,
        wanted(100),
    )
    .await
    .unwrap();
    assert_eq!(read.text, "hello world");
    let large = extract(vec![0; limits::INPUT_BYTES + 1], Format::Text, wanted(100)).await;
    assert!(matches!(large, Err(DocumentError::TooLarge { .. })));
    // More at once than there are places.
    let all = (0..8).map(|_| extract(b"<p>x".to_vec(), Format::Html, wanted(100)));
    for read in futures_util::future::join_all(all).await {
        assert_eq!(read.unwrap().text, "x");
    }
}

const FORMATS: [Format; 8] = [
    Format::Pdf,
    Format::Docx,
    Format::Xlsx,
    Format::Pptx,
    Format::Html,
    Format::Csv,
    Format::Text,
    Format::Mail,
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn arbitrary_bytes_neither_panic_nor_exceed_the_answer(
        bytes in proptest::collection::vec(any::<u8>(), 0..2000),
        max_chars in 1_usize..500,
    ) {
        for format in FORMATS {
            if let Ok(read) = get(&bytes, format, wanted(max_chars)) {
                prop_assert!(read.text.chars().count() <= max_chars, "{format:?}");
            }
        }
    }

    #[test]
    fn any_text_survives_a_workbook(cells in proptest::collection::vec("[ -~àé漢\"',;\n]{1,12}", 4)) {
        let mut writer = ::csv::Writer::from_writer(Vec::new());
        writer.write_record(["h1", "h2"]).unwrap();
        for pair in cells.chunks(2) {
            writer.write_record(pair).unwrap();
        }
        let csv = String::from_utf8(writer.into_inner().unwrap()).unwrap();
        let book = xlsx_of_csv(&csv).unwrap();
        let back = text(&book, Format::Xlsx);
        let read: Vec<Vec<String>> = ::csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(back.as_bytes())
            .records().map(|row| row.unwrap().iter().map(ToOwned::to_owned).collect()).collect();
        prop_assert_eq!(read.iter().skip(1).flatten().cloned().collect::<Vec<_>>(), cells);
    }
}
