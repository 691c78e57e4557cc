//! What the bytes of a text show, and how wide that is.

use std::collections::HashMap;

use hayro_cmap::{BfString, CMap};
use lopdf::{Dictionary, Document, Object, dictionary};

use super::super::DocumentError;

/// A font, as far as its text goes.
pub(super) struct Font {
    kind: Kind,
    to_unicode: Option<CMap>,
    widths: Widths,
}

enum Kind {
    /// One byte a character.
    Simple(Box<[Option<String>; 256]>),
    /// Two bytes a character, which is what practically all composite fonts have.
    Composite,
    /// Text in an encoding that the world knows outside PDF.
    Known(&'static encoding_rs::Encoding),
}

/// Widths in thousandths of the text's size.
struct Widths {
    known: HashMap<u32, f64>,
    other: Option<f64>,
}

/// One character as it is shown.
pub(super) struct Shown {
    /// What it says; `None` when the font does not tell.
    pub(super) text: Option<String>,
    /// How far the next one is, in sizes of the text.
    pub(super) width: f64,
    /// Whether the space between words applies: the one-byte code 32.
    pub(super) space: bool,
}

/// Widths read of a font, those that say one character's again included: hardly more than there are characters.
const WIDTHS: usize = 70_000;

/// The largest table of what codes say, in bytes: one that has each of the 65,536 codes by itself takes 1 MB.
const TABLE_BYTES: usize = 2 << 20;

/// The memory that a text in such a table takes, in bytes: it may be an entry of its own, and three bytes of the table.
const TABLE_TEXT: usize = 64;

/// The memory that a width takes, in bytes. Few bytes of a file may give one to each code.
const WIDTH: usize = 40;

/// The last code of two bytes.
const LAST_CODE: u32 = 0xFFFF;

impl Font {
    /// Reads a font. The memory that it takes is taken from what is `left`.
    ///
    /// # Errors
    /// [`DocumentError::Bomb`] when that is not enough.
    pub(super) fn read(
        dict: &Dictionary,
        document: &Document,
        left: &mut usize,
    ) -> Result<Self, DocumentError> {
        let subtype = name(dict, b"Subtype", document).unwrap_or_default();
        let to_unicode = table(dict, document, left);
        let (kind, widths) = if subtype == b"Type0" {
            let encoding = name(dict, b"Encoding", document).unwrap_or_default();
            (
                known(&encoding).map_or(Kind::Composite, Kind::Known),
                composite_widths(dict, document),
            )
        } else {
            (
                Kind::Simple(Box::new(simple(dict, &subtype, document))),
                simple_widths(dict, &subtype, document),
            )
        };
        *left = left
            .checked_sub(widths.known.len() * WIDTH)
            .ok_or(DocumentError::Bomb {
                what: "its fonts are too large together",
            })?;
        Ok(Self {
            kind,
            to_unicode,
            widths,
        })
    }

    /// The characters of a text, for as long as `each` wants more.
    pub(super) fn show(&self, bytes: &[u8], mut each: impl FnMut(Shown) -> bool) {
        match &self.kind {
            Kind::Simple(table) => {
                for byte in bytes {
                    let code = u32::from(*byte);
                    let text = self
                        .unicode(code)
                        .or_else(|| table[usize::from(*byte)].clone());
                    let width = self
                        .widths
                        .of(code)
                        .unwrap_or_else(|| guess(text.as_deref()));
                    let more = each(Shown {
                        text,
                        width,
                        space: *byte == b' ',
                    });
                    if !more {
                        return;
                    }
                }
            }
            Kind::Composite => {
                for pair in bytes.chunks(2) {
                    let code = pair
                        .iter()
                        .fold(0, |code, byte| code << 8 | u32::from(*byte));
                    let more = each(Shown {
                        text: self.unicode(code),
                        width: self.widths.of(code).unwrap_or(1.0),
                        space: false,
                    });
                    if !more {
                        return;
                    }
                }
            }
            Kind::Known(encoding) => {
                let (text, _, _) = encoding.decode(bytes);
                for c in text.chars() {
                    let more = each(Shown {
                        text: Some(c.to_string()),
                        width: if c.is_ascii() { 0.5 } else { 1.0 },
                        space: false,
                    });
                    if !more {
                        return;
                    }
                }
            }
        }
    }

    fn unicode(&self, code: u32) -> Option<String> {
        match self.to_unicode.as_ref()?.lookup_bf_string(code)? {
            BfString::Char('\0') => None,
            BfString::Char(c) => Some(c.to_string()),
            BfString::String(text) => Some(text),
        }
    }
}

/// What the font says of its codes (`ToUnicode`). A table that is larger than any honest one, or than what is left, is
/// none: its characters count as unknown.
fn table(dict: &Dictionary, document: &Document, left: &mut usize) -> Option<CMap> {
    let Ok(Object::Stream(stream)) = dict.get_deref(b"ToUnicode", document) else {
        return None;
    };
    let limit = TABLE_BYTES.min(*left);
    let data = stream.get_plain_content_with_limit(limit).ok()?;
    // Each text begins with one of these. Those in base 85 write four bytes in one.
    let texts = data.iter().filter(|byte| matches!(byte, b'<' | b'('));
    let cost = texts.count() * TABLE_TEXT + data.len() * 4;
    *left = left.checked_sub(cost)?;
    CMap::parse(&data, |_| None)
}

impl Widths {
    fn of(&self, code: u32) -> Option<f64> {
        self.known
            .get(&code)
            .copied()
            .or(self.other)
            .filter(|width| width.is_finite() && (0.0..10_000.0).contains(width))
            .map(|width| width / 1000.0)
    }
}

/// The width of a character in a font of no known widths (the standard fonts), roughly that of Helvetica.
fn guess(text: Option<&str>) -> f64 {
    match text.and_then(|text| text.chars().next()) {
        Some('i' | 'j' | 'l' | 'I' | '\'' | '|') => 0.22,
        Some(
            ' ' | 'f' | 't' | 'r' | '.' | ',' | ':' | ';' | '!' | '(' | ')' | '[' | ']' | '/' | '-',
        ) => 0.28,
        Some('m' | 'w' | 'M' | 'W' | '@') => 0.85,
        Some(c) if c.is_uppercase() => 0.68,
        _ => 0.54,
    }
}

fn name(dict: &Dictionary, key: &[u8], document: &Document) -> Option<Vec<u8>> {
    dict.get_deref(key, document)
        .and_then(Object::as_name)
        .ok()
        .map(<[u8]>::to_vec)
}

/// The encodings of composite fonts that are not numbers of glyphs.
fn known(encoding: &[u8]) -> Option<&'static encoding_rs::Encoding> {
    let name = std::str::from_utf8(encoding).ok()?;
    let has = |part: &str| name.contains(part);
    Some(if has("UCS2") || has("UTF16") {
        encoding_rs::UTF_16BE
    } else if has("RKSJ") {
        encoding_rs::SHIFT_JIS
    } else if has("GBK") || has("GB-EUC") || has("GBpc") {
        encoding_rs::GBK
    } else if has("B5") || has("ETen") {
        encoding_rs::BIG5
    } else if has("KSC") {
        encoding_rs::EUC_KR
    } else if name.starts_with("EUC-") {
        encoding_rs::EUC_JP
    } else {
        return None;
    })
}

/// What each byte of a simple font shows: its base encoding, and what differs from it.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the library's kinds that say nothing here"
)]
fn simple(dict: &Dictionary, subtype: &[u8], document: &Document) -> [Option<String>; 256] {
    let encoding = dict.get_deref(b"Encoding", document).ok();
    let (base, differences) = match encoding {
        Some(Object::Name(name)) => (Some(name.clone()), None),
        Some(Object::Dictionary(inner)) => (
            name(inner, b"BaseEncoding", document),
            inner
                .get_deref(b"Differences", document)
                .and_then(Object::as_array)
                .ok(),
        ),
        _ => (None, None),
    };
    // TrueType fonts without a word are practically always of Windows.
    let base = base.unwrap_or_else(|| {
        if subtype == b"TrueType" {
            b"WinAnsiEncoding".to_vec()
        } else {
            b"StandardEncoding".to_vec()
        }
    });
    // A stand-in without a ToUnicode table, which the library would unfold whatever its size.
    let stand_in = dictionary! { "Type" => "Font", "Encoding" => Object::Name(base) };
    let mut table = std::array::from_fn(|byte| {
        let byte = u8::try_from(byte).unwrap_or(0);
        let encoding = stand_in.get_font_encoding_with_limit(document, 0).ok()?;
        let text = encoding.bytes_to_string(&[byte]).ok()?;
        Some(text).filter(|text| !text.is_empty())
    });
    let mut code: usize = 0;
    for item in differences.into_iter().flatten().take(1024) {
        match item {
            Object::Integer(at) => code = usize::try_from(*at).unwrap_or(256),
            Object::Name(glyph) => {
                if let Some(place) = table.get_mut(code) {
                    *place = of_glyph(glyph, document);
                }
                code = code.saturating_add(1);
            }
            _ => {}
        }
    }
    table
}

/// The text of a glyph by its name, as Adobe's list has it: `eacute`, `uni20AC`, `f_f_i`, `a.alt`.
fn of_glyph(name: &[u8], document: &Document) -> Option<String> {
    let name = std::str::from_utf8(name).ok()?;
    let name = name.split('.').next().filter(|name| !name.is_empty())?;
    let mut text = String::new();
    for part in name.split('_').take(8) {
        text.push_str(&of_component(part, document)?);
    }
    Some(text)
}

fn of_component(name: &str, document: &Document) -> Option<String> {
    let hex = |digits: &str| {
        let code = u32::from_str_radix(digits, 16).ok()?;
        char::from_u32(code).map(String::from)
    };
    if let Some(digits) = name.strip_prefix("uni").filter(|digits| digits.len() == 4)
        && let Some(text) = hex(digits)
    {
        return Some(text);
    }
    if let Some(digits) = name
        .strip_prefix('u')
        .filter(|digits| (4..=6).contains(&digits.len()))
        && let Some(text) = hex(digits)
    {
        return Some(text);
    }
    let ligature = match name {
        "ff" => Some("ff"),
        "fi" => Some("fi"),
        "fl" => Some("fl"),
        "ffi" => Some("ffi"),
        "ffl" => Some("ffl"),
        _ => None,
    };
    if let Some(ligature) = ligature {
        return Some(ligature.to_owned());
    }
    let one = Object::Array(vec![
        Object::Integer(0),
        Object::Name(name.as_bytes().to_vec()),
    ]);
    let encoding = dictionary! { "Differences" => one };
    let stand_in = dictionary! { "Type" => "Font", "Encoding" => encoding };
    let encoding = stand_in.get_font_encoding_with_limit(document, 0).ok()?;
    // Of a name it does not know the library makes the standard encoding.
    matches!(encoding, lopdf::Encoding::Differences(_))
        .then(|| encoding.bytes_to_string(&[0]).ok())
        .flatten()
        .filter(|text| !text.is_empty())
}

fn number(object: &Object, document: &Document) -> Option<f64> {
    let (_, object) = document.dereference(object).ok()?;
    object.as_float().ok().map(f64::from)
}

fn simple_widths(dict: &Dictionary, subtype: &[u8], document: &Document) -> Widths {
    let base = name(dict, b"BaseFont", document).unwrap_or_default();
    let courier = base.windows(7).any(|part| part == b"Courier");
    let mut widths = Widths {
        known: HashMap::new(),
        other: courier.then_some(600.0),
    };
    let (Ok(first), Ok(list)) = (
        dict.get_deref(b"FirstChar", document)
            .and_then(Object::as_i64),
        dict.get_deref(b"Widths", document)
            .and_then(Object::as_array),
    ) else {
        return widths;
    };
    // A font of drawings measures in units of its own.
    let scale = if subtype == b"Type3" {
        dict.get_deref(b"FontMatrix", document)
            .and_then(Object::as_array)
            .ok()
            .and_then(|matrix| number(matrix.first()?, document))
            .map_or(1.0, |scale| scale.abs() * 1000.0)
    } else {
        1.0
    };
    for (code, width) in (first..=i64::from(LAST_CODE)).zip(list).take(256) {
        if let (Ok(code), Some(width)) = (u32::try_from(code), number(width, document)) {
            widths.known.insert(code, width * scale);
        }
    }
    widths
}

fn composite_widths(dict: &Dictionary, document: &Document) -> Widths {
    let mut widths = Widths {
        known: HashMap::new(),
        other: Some(1000.0),
    };
    let descendant = dict
        .get_deref(b"DescendantFonts", document)
        .and_then(Object::as_array)
        .ok()
        .and_then(|fonts| document.dereference(fonts.first()?).ok())
        .and_then(|(_, font)| font.as_dict().ok());
    let Some(descendant) = descendant else {
        return widths;
    };
    if let Ok(width) = descendant.get(b"DW")
        && let Some(width) = number(width, document)
    {
        widths.other = Some(width);
    }
    let Ok(list) = descendant
        .get_deref(b"W", document)
        .and_then(Object::as_array)
    else {
        return widths;
    };
    // Either `first [widths]` or `first last width`.
    let mut items = list.iter();
    let mut left = WIDTHS;
    while left > 0
        && let Some(first) = items.next()
    {
        let Ok(first) = first.as_i64().map(|code| u32::try_from(code).unwrap_or(0)) else {
            continue;
        };
        let Some(next) = items.next() else { break };
        let Ok((_, next)) = document.dereference(next) else {
            break;
        };
        if let Object::Array(list) = next {
            for (code, width) in (first..=LAST_CODE).zip(list).take(left) {
                if let Some(width) = number(width, document) {
                    widths.known.insert(code, width);
                }
            }
            left = left.saturating_sub(list.len());
        } else if let (Ok(last), Some(width)) = (
            next.as_i64(),
            items.next().and_then(|width| number(width, document)),
        ) {
            let last = u32::try_from(last).unwrap_or(0).min(LAST_CODE);
            for code in (first..=last).take(left) {
                widths.known.insert(code, width);
                left -= 1;
            }
        }
    }
    widths
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test says what went wrong by failing")]

    use lopdf::Stream;

    use super::*;
    use crate::kit::documents::samples::flate;

    /// A composite font with these widths.
    fn composite(widths: Vec<Object>) -> Dictionary {
        let descendant = dictionary! { "W" => Object::Array(widths) };
        dictionary! {
            "Subtype" => Object::Name(b"Type0".to_vec()),
            "DescendantFonts" => Object::Array(vec![Object::Dictionary(descendant)]),
        }
    }

    #[test]
    fn widths_are_read_no_more_often_than_there_are_characters() {
        let document = Document::new();
        let int = Object::Integer;
        let list = Object::Array(vec![int(500), int(250)]);
        let few = composite(vec![int(7), list, int(1), int(3), int(900)]);
        let few = composite_widths(&few, &document);
        assert_eq!((few.of(8), few.of(3)), (Some(0.25), Some(0.9)));
        // The same characters again: the last width that is read is that of the second round.
        let round = |width: i64| [int(0), int(0xFFFF), int(width)];
        let again = composite((1..=50).flat_map(round).collect());
        let again = composite_widths(&again, &document);
        assert_eq!((again.of(0), again.of(0xFFFF)), (Some(0.002), Some(0.001)));
    }

    /// A font whose table is this, packed.
    fn with_table(table: &[u8]) -> Dictionary {
        let packed = Stream::new(
            dictionary! { "Filter" => Object::Name(b"FlateDecode".to_vec()) },
            flate(table),
        );
        dictionary! {
            "Subtype" => Object::Name(b"Type0".to_vec()),
            "ToUnicode" => Object::Stream(packed),
        }
    }

    #[test]
    fn tables_take_no_more_memory_than_there_is() {
        let document = Document::new();
        let table = |entries: usize| {
            let many = "<0041><0042>".repeat(entries);
            format!("1 beginbfchar {many} endbfchar").into_bytes()
        };
        let all = 256 << 20;
        for (entries, left, shown, cost) in [
            (1, all, Some("B"), 2 * TABLE_TEXT..1_000),
            (60_000, all, Some("B"), 120_000 * TABLE_TEXT..16 << 20),
            // Larger than any honest table; an honest one, when there is not enough left.
            (250_000, all, None, 0..1),
            (60_000, 4 << 20, None, 0..1),
        ] {
            let mut rest = left;
            let font = Font::read(&with_table(&table(entries)), &document, &mut rest).unwrap();
            assert_eq!(font.unicode(0x41).as_deref(), shown, "{entries} {left}");
            assert!(cost.contains(&(left - rest)), "{entries} {}", left - rest);
        }
    }

    #[test]
    fn widths_take_no_more_memory_than_there_is() {
        let document = Document::new();
        let wide = composite([0, 0xFFFF, 500].map(Object::Integer).to_vec());
        let mut left = 4 << 20;
        assert!(Font::read(&wide, &document, &mut left).is_ok());
        let again = Font::read(&wide, &document, &mut left);
        assert!(matches!(again, Err(DocumentError::Bomb { .. })));
    }

    #[test]
    fn the_first_code_may_be_any_number() {
        let document = Document::new();
        for (first, width) in [(65, Some(0.5)), (i64::MAX, None), (i64::MIN, None)] {
            let font = dictionary! {
                "Subtype" => Object::Name(b"Type1".to_vec()),
                "FirstChar" => first,
                "Widths" => Object::Array(vec![Object::Integer(500)]),
            };
            let widths = simple_widths(&font, b"Type1", &document);
            assert_eq!(widths.of(65), width, "{first}");
        }
    }

    #[test]
    fn characters_are_shown_until_nobody_wants_more() {
        let document = Document::new();
        let simple = dictionary! { "Subtype" => Object::Name(b"Type1".to_vec()) };
        let known = dictionary! {
            "Subtype" => Object::Name(b"Type0".to_vec()),
            "Encoding" => Object::Name(b"UniGB-UCS2-H".to_vec()),
        };
        for dict in [simple, known, composite(Vec::new())] {
            let font = Font::read(&dict, &document, &mut 1000).unwrap();
            let mut shown = 0;
            font.show(b"abcdefgh", |_| {
                shown += 1;
                shown < 2
            });
            assert_eq!(shown, 2);
        }
    }
}
