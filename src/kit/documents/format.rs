//! Which format a file has.

use super::Format;

/// How the older Office formats begin, and encrypted newer ones: a compound file.
pub(super) const COMPOUND_FILE: &[u8] = &[0xD0, 0xCF, 0x11, 0xE0, 0xA1, 0xB1, 0x1A, 0xE1];

/// By media type, file name and first bytes (content wins over name). `None`: nothing we read.
pub fn format_of(media: &str, name: &str, head: &[u8]) -> Option<Format> {
    let named = by_media(media).or_else(|| by_name(name));
    let body = head.strip_prefix(&[0xEF, 0xBB, 0xBF]).unwrap_or(head);
    if contains(&body[..body.len().min(1024)], b"%PDF-") {
        return Some(Format::Pdf);
    }
    if body.starts_with(b"PK\x03\x04") || body.starts_with(b"PK\x05\x06") {
        return zipped(body).or(named.filter(|format| is_office(*format)));
    }
    if body.starts_with(COMPOUND_FILE) {
        // Told apart when it is read: encrypted, or of the older kind.
        return named.filter(|format| is_office(*format));
    }
    // What says by its name that it is a package or a PDF and is not, is nothing we know; what has bytes that no text has, neither.
    if body.is_empty() {
        return named;
    }
    let wide = body.starts_with(&[0xFF, 0xFE]) || body.starts_with(&[0xFE, 0xFF]);
    if !wide && body.iter().any(|byte| is_binary(*byte)) {
        return None;
    }
    match named {
        Some(Format::Pdf | Format::Docx | Format::Xlsx | Format::Pptx) => None,
        Some(format) => Some(format),
        None if looks_like_html(body) => Some(Format::Html),
        None => by_media_group(media).or_else(|| {
            // Nothing said but the bytes: text, unless a picture or the like calls itself so.
            let said = media.split(';').next().unwrap_or_default().trim();
            matches!(
                said,
                "" | "application/octet-stream" | "binary/octet-stream"
            )
            .then_some(Format::Text)
        }),
    }
}

const fn is_office(format: Format) -> bool {
    matches!(format, Format::Docx | Format::Xlsx | Format::Pptx)
}

/// Control characters that text does not have.
const fn is_binary(byte: u8) -> bool {
    matches!(byte, 0x00..=0x08 | 0x0E..=0x1A | 0x1C..=0x1F)
}

/// A package names the application in the names of its first parts.
fn zipped(head: &[u8]) -> Option<Format> {
    [
        (b"word/".as_slice(), Format::Docx),
        (b"xl/", Format::Xlsx),
        (b"ppt/", Format::Pptx),
    ]
    .into_iter()
    .find(|(part, _)| contains(head, part))
    .map(|(_, format)| format)
}

fn looks_like_html(body: &[u8]) -> bool {
    let start: Vec<u8> = body
        .iter()
        .copied()
        .skip_while(u8::is_ascii_whitespace)
        .take(64)
        .map(|byte| byte.to_ascii_lowercase())
        .collect();
    start.starts_with(b"<!doctype html") || start.starts_with(b"<html")
}

fn contains(text: &[u8], what: &[u8]) -> bool {
    text.windows(what.len()).any(|part| part == what)
}

fn by_media(media: &str) -> Option<Format> {
    let media = media
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    Some(match &*media {
        "application/pdf" | "application/x-pdf" => Format::Pdf,
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
        | "application/vnd.openxmlformats-officedocument.wordprocessingml.template"
        | "application/vnd.ms-word.document.macroenabled.12" => Format::Docx,
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
        | "application/vnd.openxmlformats-officedocument.spreadsheetml.template"
        | "application/vnd.ms-excel.sheet.macroenabled.12" => Format::Xlsx,
        "application/vnd.openxmlformats-officedocument.presentationml.presentation"
        | "application/vnd.openxmlformats-officedocument.presentationml.slideshow"
        | "application/vnd.ms-powerpoint.presentation.macroenabled.12" => Format::Pptx,
        "text/html" | "application/xhtml+xml" => Format::Html,
        "text/csv" | "text/tab-separated-values" | "application/csv" => Format::Csv,
        "message/rfc822" => Format::Mail,
        _ => return None,
    })
}

/// Media types that are text although their name says more.
fn by_media_group(media: &str) -> Option<Format> {
    let media = media
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    let text = media.starts_with("text/")
        || media.ends_with("+json")
        || media.ends_with("+xml")
        || matches!(
            &*media,
            "application/json"
                | "application/xml"
                | "application/yaml"
                | "application/x-yaml"
                | "application/javascript"
                | "application/x-sh"
                | "application/sql"
                | "application/toml"
        );
    (text && media != "image/svg+xml").then_some(Format::Text)
}

fn by_name(name: &str) -> Option<Format> {
    let (_, ending) = name.rsplit_once('.')?;
    Some(match &*ending.to_ascii_lowercase() {
        "pdf" => Format::Pdf,
        "docx" | "docm" | "dotx" => Format::Docx,
        "xlsx" | "xlsm" | "xltx" => Format::Xlsx,
        "pptx" | "pptm" | "ppsx" => Format::Pptx,
        "html" | "htm" | "xhtml" => Format::Html,
        "csv" | "tsv" => Format::Csv,
        "eml" => Format::Mail,
        "txt" | "md" | "markdown" | "log" | "json" | "jsonl" | "xml" | "yaml" | "yml" | "toml"
        | "ini" | "sql" | "ics" | "vcf" | "srt" | "vtt" | "tex" | "rst" => Format::Text,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_wins_over_name() {
        let docx = b"PK\x03\x04....word/document.xml";
        for (media, name, head, expected) in [
            (
                "",
                "a.pdf",
                b"%PDF-1.7 \x00\x01".as_slice(),
                Some(Format::Pdf),
            ),
            ("text/plain", "a.txt", b"junk\n%PDF-1.4", Some(Format::Pdf)),
            ("application/pdf", "a.pdf", b"<html>no</html>", None),
            (
                "application/octet-stream",
                "a.bin",
                docx,
                Some(Format::Docx),
            ),
            (
                "",
                "book.xlsx",
                b"PK\x03\x04[Content_Types].xml",
                Some(Format::Xlsx),
            ),
            ("", "a.zip", b"PK\x03\x04readme.txt", None),
            ("", "a.docx", COMPOUND_FILE, Some(Format::Docx)),
            ("application/msword", "a.doc", COMPOUND_FILE, None),
            ("text/html; charset=utf-8", "", b"<p>a", Some(Format::Html)),
            ("", "x", b"  <!DOCTYPE HTML><p>", Some(Format::Html)),
            ("", "x.csv", b"a,b", Some(Format::Csv)),
            ("text/csv", "x", "\u{feff}a,b".as_bytes(), Some(Format::Csv)),
            ("", "x.eml", b"Subject: a", Some(Format::Mail)),
            ("application/json", "x", b"{}", Some(Format::Text)),
            ("", "notes", b"hello", Some(Format::Text)),
            ("", "x.txt", b"\xFF\xFEh\0i\0", Some(Format::Text)),
            ("image/png", "x.png", b"\x89PNG\r\n\x1a\n\x00", None),
            ("image/svg+xml", "x.svg", b"<svg>", None),
            ("", "", b"", None),
            ("application/pdf", "", b"", Some(Format::Pdf)),
        ] {
            assert_eq!(format_of(media, name, head), expected, "{media} {name}");
        }
    }
}
