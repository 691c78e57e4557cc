//! Documents and messages, broken in thousands of ways: bytes changed, cut, doubled and spliced. Whatever comes in, the
//! answer is text within its limit or one of our errors, soon, and nothing panics.
//!
//! The seeds are fixed, so a failure comes again. `FUZZ_ITERATIONS` says how many variants of each sample are tried; the
//! default is brief.

#[path = "../../src/kit/documents/samples.rs"]
mod samples;

use std::time::{Duration, Instant};

use workbench_mcp::kit::documents::{
    DocumentError, Format, Wanted, docx_of_markdown, extract, format_of, html_of_markdown,
    markdown_of_html, xlsx_of_csv,
};
use workbench_mcp::kit::mail;

use samples::{
    docx, flate, paragraph, pdf, pdf_of, pptx, rows, shape, stream, xlsx, zeros, zipped,
};

/// Variants of each sample without a word from the environment.
const ITERATIONS: u64 = 40;

/// Longer than this one variant must not take, on a slow machine that does other things too.
const SLOW: Duration = Duration::from_secs(15);

fn iterations() -> u64 {
    std::env::var("FUZZ_ITERATIONS")
        .ok()
        .and_then(|count| count.parse().ok())
        .unwrap_or(ITERATIONS)
}

/// Numbers that look random and are the same every time (xorshift).
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.roll() % u64::try_from(end.max(1)).unwrap()).unwrap()
    }
}

/// Bytes that mean something to some parser.
const TELLING: [&[u8]; 14] = [
    b"\xFF\xFF\xFF\xFF",
    b"\0\0\0\0",
    b"<",
    b"</",
    b"&#x110000;",
    b"stream\n",
    b"endobj",
    b"/Length 99999999",
    b"[[[[[[[[",
    b"<<<<<<<<",
    b"PK\x03\x04",
    b"\r\n\r\n",
    b"=?utf-8?B?",
    b"\xF0\x9F",
];

fn broken(sample: &[u8], dice: &mut Dice) -> Vec<u8> {
    let mut bytes = sample.to_vec();
    for _ in 0..=dice.below(4) {
        let (at, other) = (dice.below(bytes.len()), dice.below(bytes.len()));
        let (from, to) = (at.min(other), at.max(other).min(at.min(other) + 200));
        match dice.below(6) {
            0 if !bytes.is_empty() => bytes[at] = u8::try_from(dice.below(256)).unwrap(),
            1 if !bytes.is_empty() => bytes[at] ^= 1 << dice.below(8),
            2 => bytes.truncate(at),
            3 => {
                bytes.drain(from..to);
            }
            4 => {
                let part = bytes[from..to].to_vec();
                bytes.splice(at..at, part);
            }
            _ => {
                let part = TELLING[dice.below(TELLING.len())];
                bytes.splice(at..at, part.iter().copied());
            }
        }
    }
    bytes
}

fn corpus() -> Vec<(Format, Vec<u8>)> {
    let word = paragraph("<w:pStyle w:val=\"berschrift1\"/>", "Title")
        + &paragraph(
            "<w:numPr><w:ilvl w:val=\"0\"/><w:numId w:val=\"1\"/></w:numPr>",
            "item",
        )
        + "<w:tbl><w:tr><w:tc><w:p><w:r><w:t>a</w:t></w:r></w:p></w:tc></w:tr></w:tbl>";
    let slide = shape("title", "<a:p><a:r><a:t>Title</a:t></a:r></a:p>");
    let lines = vec!["Hello (world)".to_owned(), "second".to_owned()];
    let map = stream(
        "",
        b"begincmap 1 beginbfrange <00> <FF> <0041> endbfrange endcmap",
    );
    let page = stream(
        "/Filter/FlateDecode",
        &flate(b"q BT /F 12 Tf 1 0 0 1 10 10 Tm [(a) -300 (b)] TJ ET /X Do Q"),
    );
    let plain_pdf = pdf_of(&[
        b"<</Type/Catalog/Pages 2 0 R>>".to_vec(),
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>".to_vec(),
        b"<</Type/Page/Parent 2 0 R/Contents 4 0 R/Resources<</Font<</F 5 0 R>>/XObject<</X 7 0 R>>>>>>".to_vec(),
        page,
        b"<</Type/Font/Subtype/TrueType/ToUnicode 6 0 R/FirstChar 65/Widths[500 600]/Encoding<</Differences[65/a/b]>>>>".to_vec(),
        map,
        stream("/Subtype/Form/Matrix[1 0 0 1 0 0]", b"BT (form) Tj ET"),
    ]);
    let html = "<html><head><style>x</style></head><body><h1>A</h1><table><tr><th>a<td>b</table><ul><li>x<li>y</ul>\
                <blockquote>q<pre>c</pre></blockquote><a href='https://x.example'>l</a>&amp;</body></html>";
    vec![
        (Format::Pdf, samples::REPORTS[0].to_vec()),
        (Format::Pdf, samples::REPORTS[1].to_vec()),
        (Format::Pdf, samples::LOCKED[0].to_vec()),
        (Format::Pdf, samples::LOCKED[1].to_vec()),
        (Format::Docx, docx(&word)),
        (
            Format::Docx,
            docx_of_markdown("# A\n\n1. b\n\n| c | d |\n| --- | --- |\n| e | f |").unwrap(),
        ),
        (
            Format::Docx,
            zipped(&[("word/document.xml", b"<w:document/>")]),
        ),
        (
            Format::Xlsx,
            xlsx(&[("S", "visible", &rows(20))], &["x", "y"]),
        ),
        (Format::Xlsx, xlsx_of_csv("a,b\n1,2\n").unwrap()),
        (Format::Pptx, pptx(&[(&slide, &slide), (&slide, "")])),
        (Format::Pdf, pdf(&[lines.clone(), lines])),
        (Format::Pdf, plain_pdf),
        (
            Format::Pdf,
            pdf_of(&[stream(
                "/Type/ObjStm/N 1/First 4/Filter/FlateDecode",
                &zeros(1),
            )]),
        ),
        (Format::Html, html.as_bytes().to_vec()),
        (Format::Csv, b"a;b\n\"c;\n\";d\n".to_vec()),
        (Format::Text, b"text\r\n\xFF\xFEtext".to_vec()),
        (Format::Mail, samples::MAIL.as_bytes().to_vec()),
    ]
}

#[test]
fn broken_documents_are_read_or_refused() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    for (number, (format, sample)) in (1..).zip(corpus()) {
        let mut dice = Dice(0x9E37_79B9_7F4A_7C15 ^ number);
        for turn in 0..iterations() {
            let bytes = broken(&sample, &mut dice);
            let _ = format_of("", "", &bytes);
            let max_chars = 1 + dice.below(3000);
            let wanted = Wanted {
                pages: (dice.below(3) == 0).then_some((1, 2)),
                range: (dice.below(3) == 0).then(|| "A2:C9".to_owned()),
                max_chars,
                ..Wanted::default()
            };
            let started = Instant::now();
            let read = runtime.block_on(extract(bytes, format, wanted));
            let about = format!("{format:?}, sample {number}, turn {turn}: {read:?}");
            assert!(started.elapsed() < SLOW, "slow: {about}");
            match read {
                Ok(read) => assert!(read.text.chars().count() <= max_chars, "{about}"),
                // What a caught panic becomes.
                Err(DocumentError::Malformed { reason, .. }) => {
                    assert!(!reason.contains("makes no sense"), "panicked: {about}");
                }
                Err(_) => {}
            }
        }
    }
}

#[test]
fn broken_texts_are_turned_into_something() {
    for (number, (_, sample)) in (1..).zip(corpus()) {
        let mut dice = Dice(0xD1B5_4A32_D192_ED03 ^ number);
        for _ in 0..iterations() {
            let bytes = broken(&sample, &mut dice);
            let text = String::from_utf8_lossy(&bytes);
            let html = html_of_markdown(&text);
            assert!(!html.to_lowercase().contains("<script"), "{html}");
            let markdown = markdown_of_html(&text);
            let _ = docx_of_markdown(&markdown);
            let _ = xlsx_of_csv(&text);
            let _ = mail::parse(&bytes);
            let (kept, _) = mail::without_history(&text);
            assert!(kept.len() <= text.len());
        }
    }
}
