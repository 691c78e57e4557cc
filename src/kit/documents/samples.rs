//! Documents for tests, built here: well-formed ones, and the hostile kind.
#![expect(clippy::unwrap_used, reason = "only tests build these")]
#![expect(clippy::format_collect, reason = "small texts, built once")]

use std::fmt::Write as _;
use std::io::{Cursor, Write as _};

use flate2::write::ZlibEncoder;
use flate2::{Compress, Compression, FlushCompress, Status};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

const WORD: &str = "http://schemas.openxmlformats.org/wordprocessingml/2006/main";
const OFFICE: &str = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";

/// A zip of these parts.
pub(crate) fn zipped(parts: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in parts {
        zip.start_file(*name, SimpleFileOptions::default()).unwrap();
        zip.write_all(content).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// Relationships: identifier, kind, target; a target with a scheme is outside.
pub(crate) fn relations(list: &[(&str, &str, &str)]) -> String {
    let mut out = String::from("<Relationships>");
    for (id, kind, target) in list {
        let mode = if target.contains("://") {
            " TargetMode=\"External\""
        } else {
            ""
        };
        write!(
            out,
            "<Relationship Id=\"{id}\" Type=\"{OFFICE}/{kind}\" Target=\"{target}\"{mode}/>"
        )
        .unwrap();
    }
    out + "</Relationships>"
}

/// A Word document with this body, one numbered and one bulleted list (1 and 2), links `rId1`, and a footnote 2.
pub(crate) fn docx(body: &str) -> Vec<u8> {
    let document = format!(
        "<?xml version=\"1.0\"?><w:document xmlns:w=\"{WORD}\" xmlns:r=\"{OFFICE}\"><w:body>{body}</w:body></w:document>"
    );
    let styles = "<w:styles><w:style w:styleId=\"berschrift1\"><w:name w:val=\"heading 1\"/></w:style>\
         <w:style w:styleId=\"Mine\"><w:name w:val=\"Mine\"/><w:basedOn w:val=\"berschrift1\"/></w:style>\
         <w:style w:styleId=\"Loop\"><w:name w:val=\"Loop\"/><w:basedOn w:val=\"Loop\"/></w:style></w:styles>";
    let numbering = "<w:numbering><w:abstractNum w:abstractNumId=\"7\"><w:lvl w:ilvl=\"0\"><w:numFmt w:val=\"decimal\"/></w:lvl>\
         <w:lvl w:ilvl=\"1\"><w:numFmt w:val=\"bullet\"/></w:lvl></w:abstractNum><w:num w:numId=\"1\"><w:abstractNumId w:val=\"7\"/></w:num></w:numbering>";
    let footnotes = "<w:footnotes><w:footnote w:id=\"2\"><w:p><w:r><w:t>As agreed in May.</w:t></w:r></w:p></w:footnote></w:footnotes>";
    zipped(&[
        ("[Content_Types].xml", b"<Types/>"),
        ("word/document.xml", document.as_bytes()),
        ("word/styles.xml", styles.as_bytes()),
        ("word/numbering.xml", numbering.as_bytes()),
        ("word/footnotes.xml", footnotes.as_bytes()),
        (
            "word/_rels/document.xml.rels",
            relations(&[("rId1", "hyperlink", "https://acme.example/plan")]).as_bytes(),
        ),
    ])
}

/// A paragraph of Word with these properties.
pub(crate) fn paragraph(properties: &str, text: &str) -> String {
    format!(
        "<w:p><w:pPr>{properties}</w:pPr><w:r><w:t xml:space=\"preserve\">{text}</w:t></w:r></w:p>"
    )
}

/// A workbook of these sheets: name, state, and the XML inside `sheetData`.
pub(crate) fn xlsx(sheets: &[(&str, &str, &str)], shared: &[&str]) -> Vec<u8> {
    let mut list = String::new();
    let mut links = Vec::new();
    let mut parts: Vec<(String, String)> = Vec::new();
    for (at, (name, state, data)) in sheets.iter().enumerate() {
        let id = format!("rId{at}");
        write!(
            list,
            "<sheet name=\"{name}\" sheetId=\"{at}\" state=\"{state}\" r:id=\"{id}\"/>"
        )
        .unwrap();
        links.push((id, format!("worksheets/s{at}.xml")));
        parts.push((
            format!("xl/worksheets/s{at}.xml"),
            format!("<worksheet><sheetData>{data}</sheetData></worksheet>"),
        ));
    }
    let links: Vec<(&str, &str, &str)> = links
        .iter()
        .map(|(id, target)| (id.as_str(), "worksheet", target.as_str()))
        .collect();
    parts.push(("xl/_rels/workbook.xml.rels".into(), relations(&links)));
    parts.push((
        "xl/workbook.xml".into(),
        format!("<workbook xmlns:r=\"{OFFICE}\"><sheets>{list}</sheets></workbook>"),
    ));
    let shared: String = shared
        .iter()
        .map(|text| format!("<si><t>{text}</t></si>"))
        .collect();
    parts.push((
        "xl/sharedStrings.xml".into(),
        format!("<sst>{shared}</sst>"),
    ));
    parts.push((
        "xl/styles.xml".into(),
        "<styleSheet><cellXfs><xf numFmtId=\"0\"/><xf numFmtId=\"14\"/></cellXfs></styleSheet>"
            .into(),
    ));
    let parts: Vec<(&str, &[u8])> = parts
        .iter()
        .map(|(name, content)| (name.as_str(), content.as_bytes()))
        .collect();
    zipped(&parts)
}

/// Rows of a sheet: a header, then `rows` of five columns.
pub(crate) fn rows(rows: u32) -> String {
    let mut out = String::from("<row r=\"1\">");
    for (column, name) in ["Id", "Customer", "City", "Amount", "Due"]
        .iter()
        .enumerate()
    {
        let letter = char::from(b'A' + u8::try_from(column).unwrap());
        write!(
            out,
            "<c r=\"{letter}1\" t=\"inlineStr\"><is><t>{name}</t></is></c>"
        )
        .unwrap();
    }
    out.push_str("</row>");
    for row in 2..=rows + 1 {
        write!(
            out,
            "<row r=\"{row}\"><c r=\"A{row}\"><v>{row}</v></c><c r=\"B{row}\" t=\"s\"><v>0</v></c><c r=\"C{row}\" t=\"s\"><v>1</v></c>\
             <c r=\"D{row}\"><v>{row}.5</v></c><c r=\"E{row}\" s=\"1\"><v>45000</v></c></row>"
        )
        .unwrap();
    }
    out
}

/// A presentation of these slides: the XML inside `spTree`, and of the notes' one.
pub(crate) fn pptx(slides: &[(&str, &str)]) -> Vec<u8> {
    let mut parts: Vec<(String, String)> = Vec::new();
    let mut list = String::new();
    let mut links = Vec::new();
    for (at, (slide, notes)) in slides.iter().enumerate() {
        write!(list, "<p:sldId id=\"{}\" r:id=\"rId{at}\"/>", 256 + at).unwrap();
        links.push((format!("rId{at}"), format!("slides/slide{at}.xml")));
        parts.push((
            format!("ppt/slides/slide{at}.xml"),
            format!("<p:sld><p:cSld><p:spTree>{slide}</p:spTree></p:cSld></p:sld>"),
        ));
        if !notes.is_empty() {
            parts.push((
                format!("ppt/notesSlides/notes{at}.xml"),
                format!("<p:notes><p:cSld><p:spTree>{notes}</p:spTree></p:cSld></p:notes>"),
            ));
            let target = format!("../notesSlides/notes{at}.xml");
            parts.push((
                format!("ppt/slides/_rels/slide{at}.xml.rels"),
                relations(&[
                    ("rId1", "notesSlide", &target),
                    ("rId2", "hyperlink", "https://acme.example/launch"),
                ]),
            ));
        }
    }
    let links: Vec<(&str, &str, &str)> = links
        .iter()
        .map(|(id, target)| (id.as_str(), "slide", target.as_str()))
        .collect();
    parts.push(("ppt/_rels/presentation.xml.rels".into(), relations(&links)));
    parts.push((
        "ppt/presentation.xml".into(),
        format!(
            "<p:presentation xmlns:r=\"{OFFICE}\"><p:sldIdLst>{list}</p:sldIdLst></p:presentation>"
        ),
    ));
    let parts: Vec<(&str, &[u8])> = parts
        .iter()
        .map(|(name, content)| (name.as_str(), content.as_bytes()))
        .collect();
    zipped(&parts)
}

/// A shape of a slide: its placeholder's type and its paragraphs.
pub(crate) fn shape(kind: &str, paragraphs: &str) -> String {
    format!(
        "<p:sp><p:nvSpPr><p:nvPr><p:ph type=\"{kind}\"/></p:nvPr></p:nvSpPr><p:txBody>{paragraphs}</p:txBody></p:sp>"
    )
}

/// The PDF of these objects, numbered from 1; the first is the catalog.
pub(crate) fn pdf_of(objects: &[Vec<u8>]) -> Vec<u8> {
    let mut out = b"%PDF-1.5\n%\xE2\xE3\xCF\xD3\n".to_vec();
    let mut places = Vec::new();
    for (at, object) in objects.iter().enumerate() {
        places.push(out.len());
        out.extend_from_slice(format!("{} 0 obj\n", at + 1).as_bytes());
        out.extend_from_slice(object);
        out.extend_from_slice(b"\nendobj\n");
    }
    let start = out.len();
    let size = objects.len() + 1;
    out.extend_from_slice(format!("xref\n0 {size}\n0000000000 65535 f \n").as_bytes());
    for place in places {
        out.extend_from_slice(format!("{place:010} 00000 n \n").as_bytes());
    }
    out.extend_from_slice(
        format!("trailer\n<</Size {size}/Root 1 0 R>>\nstartxref\n{start}\n%%EOF\n").as_bytes(),
    );
    out
}

/// A stream object: entries of its dictionary, and its content as it stands in the file.
pub(crate) fn stream(entries: &str, content: &[u8]) -> Vec<u8> {
    let mut out = format!("<<{entries}/Length {}>>\nstream\n", content.len()).into_bytes();
    out.extend_from_slice(content);
    out.extend_from_slice(b"\nendstream");
    out
}

/// Packed as PDF packs.
pub(crate) fn flate(content: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

/// A PDF whose pages show these lines in Helvetica.
pub(crate) fn pdf(pages: &[Vec<String>]) -> Vec<u8> {
    let kids: String = (0..pages.len())
        .map(|at| format!("{} 0 R ", 4 + at * 2))
        .collect();
    let mut objects = vec![
        b"<</Type/Catalog/Pages 2 0 R>>".to_vec(),
        format!(
            "<</Type/Pages/Kids[{kids}]/Count {}/Resources<</Font<</F1 3 0 R>>>>>>",
            pages.len()
        )
        .into_bytes(),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica/Encoding/WinAnsiEncoding>>".to_vec(),
    ];
    for (at, lines) in pages.iter().enumerate() {
        objects.push(
            format!(
                "<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents {} 0 R>>",
                5 + at * 2
            )
            .into_bytes(),
        );
        let mut content = String::from("BT /F1 11 Tf 14 TL 72 770 Td\n");
        for line in lines {
            let escaped = line
                .replace('\\', "\\\\")
                .replace('(', "\\(")
                .replace(')', "\\)");
            writeln!(content, "({escaped}) Tj T*").unwrap();
        }
        content.push_str("ET");
        // The encoding of Windows, as far as these tests go, is that of Unicode's first page.
        let bytes: Vec<u8> = content
            .chars()
            .map(|c| u8::try_from(u32::from(c)).unwrap_or(b'?'))
            .collect();
        objects.push(stream("/Filter/FlateDecode", &flate(&bytes)));
    }
    pdf_of(&objects)
}

/// A zlib stream of `megabytes` zero bytes, made of one packed megabyte again and again.
pub(crate) fn zeros(megabytes: usize) -> Vec<u8> {
    let block = vec![0; 1 << 20];
    let mut packed = Vec::with_capacity(64 << 10);
    let mut compress = Compress::new(Compression::best(), false);
    let status = compress
        .compress_vec(&block, &mut packed, FlushCompress::Full)
        .unwrap();
    assert_eq!(status, Status::Ok);
    let mut out = vec![0x78, 0x9C];
    for _ in 0..megabytes {
        out.extend_from_slice(&packed);
    }
    // An empty last block, and the checksum of zeros.
    out.extend_from_slice(&[0x03, 0x00]);
    let length = u32::try_from((megabytes << 20) % 65521).unwrap();
    out.extend_from_slice(&(length << 16 | 1).to_be_bytes());
    out
}

/// The same two-column report, as two programs write PDF: groff 1.22 (`groff -ms -t -Tpdf`), and Ghostscript 10 from
/// groff's PostScript.
pub(crate) const REPORTS: [&[u8]; 2] = [
    include_bytes!("samples/groff.pdf"),
    include_bytes!("samples/ghostscript.pdf"),
];

/// Two pages that anybody may read and only the owner may change: AES-256 and RC4, with packed objects
/// (`qpdf --object-streams=generate --encrypt "" owner`, 11.3).
pub(crate) const LOCKED: [&[u8]; 2] = [
    include_bytes!("samples/qpdf-aes256.pdf"),
    include_bytes!("samples/qpdf-rc4.pdf"),
];

/// A message with text, HTML and an attachment.
pub(crate) const MAIL: &str = "From: \"Whitfield, Dana\" <dana@northwind.example>\r\n\
To: Alice Reyes <alice@acme.example>, bob@acme.example\r\n\
Subject: =?utf-8?Q?Autumn_launch_=E2=80=93_plan?=\r\n\
Date: Fri, 20 Nov 2026 12:00:00 +0100\r\n\
Message-ID: <two@northwind.example>\r\n\
References: <zero@acme.example> <one@acme.example>\r\n\
MIME-Version: 1.0\r\n\
Content-Type: multipart/mixed; boundary=\"outer\"\r\n\
\r\n\
--outer\r\n\
Content-Type: text/html; charset=utf-8\r\n\
Content-Transfer-Encoding: quoted-printable\r\n\
\r\n\
<p>Dear Alice,</p><p>the <b>plan</b> is =E2=82=AC 5,000.</p><img src=3D\"https://t.example/p.gif\" width=3D1 height=3D1>\r\n\
--outer\r\n\
Content-Type: application/pdf; name=\"plan.pdf\"\r\n\
Content-Disposition: attachment; filename*=UTF-8''pl%C3%A4n.pdf\r\n\
Content-Transfer-Encoding: base64\r\n\
\r\n\
JVBERi0xLjQ=\r\n\
--outer--\r\n";
