//! How much memory objects take: counted where the library already made them, and on the bytes before it does. A value of
//! one byte takes [`VALUE`] bytes once it is read, so the bytes alone bound nothing.
//!
//! What is counted on bytes follows the library's own grammar, where it reads on; where it gives up, the count may go on.

use lopdf::{Dictionary, Object, Stream};

/// Values that one object of the file, or all in one packed stream of objects, may have. A table of a hundred thousand
/// pages has fewer.
pub(super) const VALUES: usize = 2_000_000;

/// One page or form as it is read: text of a hundred pages. A drawing may be larger, and then its end is left out.
const CONTENT_BYTES: usize = 4 << 20;

/// Values in one page or form: the library collects all of them when none is an operator.
const CONTENT_VALUES: usize = 1_000_000;

/// What the library takes for a value without contents, in bytes.
const VALUE: usize = 120;

/// What it takes for an entry of a dictionary beside its name and value.
const ENTRY: usize = 64;

/// An array or dictionary has room for some values from the start, so it counts as so many.
const LIST: usize = 5;

/// The memory that an object takes, in bytes.
pub(super) fn of(object: &Object) -> usize {
    let inside = match object {
        Object::Null
        | Object::Boolean(_)
        | Object::Integer(_)
        | Object::Real(_)
        | Object::Reference(_) => 0,
        Object::Name(bytes) | Object::String(bytes, _) => bytes.len(),
        Object::Array(list) => list.iter().map(of).sum(),
        Object::Dictionary(dict) => of_entries(dict),
        Object::Stream(stream) => of_entries(&stream.dict) + stream.content.len(),
    };
    VALUE + inside
}

fn of_entries(dict: &Dictionary) -> usize {
    dict.iter()
        .map(|(key, value)| ENTRY + key.len() + of(value))
        .sum()
}

/// What there is to read of the first object in some bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ahead {
    /// Values, long ones counted as several. More than were allowed means that counting ended there.
    pub(super) values: usize,
    /// Bytes that were looked at.
    pub(super) bytes: usize,
}

/// The first object in these bytes, counted up to `most` values.
pub(super) fn ahead(bytes: &[u8], most: usize) -> Ahead {
    let (mut at, mut values, mut open) = (0_usize, 0_usize, 0_usize);
    loop {
        at = after_space(bytes, at);
        let rest = bytes.get(at..).unwrap_or_default();
        let (length, counts) = match rest {
            [b'[', ..] => {
                open += 1;
                (1, LIST)
            }
            [b'<', b'<', ..] => {
                open += 1;
                (2, LIST)
            }
            [b']', ..] => {
                open = open.saturating_sub(1);
                (1, 0)
            }
            [b'>', b'>', ..] => {
                open = open.saturating_sub(1);
                (2, 0)
            }
            // The end of a reference, whose two numbers are one value.
            [b'R', ..] => {
                values = values.saturating_sub(1);
                (1, 0)
            }
            rest => match scalar(rest) {
                Some(length) => (length, 1),
                None => break,
            },
        };
        at += length;
        values += counts + length / VALUE;
        if open == 0 || values + at / VALUE > most {
            break;
        }
    }
    // Looking at bytes costs time, whatever they are.
    Ahead {
        values: values + at / VALUE,
        bytes: at,
    }
}

/// All values that the library makes of a packed stream of objects, counted up to `most`. Its index may name the same
/// place again and again.
pub(super) fn of_members(stream: &Stream, content: &[u8], most: usize) -> usize {
    let first = stream.dict.get(b"First").and_then(Object::as_i64);
    let Some(first) = first.ok().and_then(|first| usize::try_from(first).ok()) else {
        return 0;
    };
    let index = content.get(..first).map(std::str::from_utf8);
    let Some(Ok(index)) = index else { return 0 };
    let offsets = index
        .split(['\r', '\n'])
        .flat_map(|line| {
            let line = line.split('%').next();
            line.unwrap_or_default().split_whitespace()
        })
        .skip(1)
        .step_by(2);
    let mut values = 0;
    for offset in offsets {
        let offset = offset.parse::<u32>().ok();
        let offset = offset.and_then(|offset| usize::try_from(offset).ok());
        let from = offset.and_then(|offset| content.get(first.checked_add(offset)?..));
        values += 1 + ahead(from.unwrap_or_default(), most - values).values;
        if values > most {
            break;
        }
    }
    values
}

/// As much of a content stream as is read, and whether that is all of it.
pub(super) fn readable(content: &[u8]) -> (&[u8], bool) {
    let end = content.len().min(CONTENT_BYTES);
    let (mut values, mut regular, mut dotted) = (0_usize, false, false);
    for (at, byte) in content.iter().take(end).enumerate() {
        let (begins, more) = (!regular, is_regular(*byte));
        values += match byte {
            b'[' => LIST,
            // Two of them begin a dictionary.
            b'<' => LIST.div_ceil(2),
            b'/' | b'(' | b'+' | b'-' => 1,
            // `1.2.3` is two numbers.
            b'.' => usize::from(begins || dotted),
            _ => usize::from(begins && more),
        };
        dotted = more && (*byte == b'.' || dotted && !begins);
        regular = more;
        if values > CONTENT_VALUES {
            return (content.get(..at).unwrap_or_default(), false);
        }
    }
    (content.get(..end).unwrap_or_default(), end == content.len())
}

/// How long the number, name, text or word is that these bytes begin with.
fn scalar(bytes: &[u8]) -> Option<usize> {
    let regular = |from: usize| {
        let rest = bytes.get(from..).unwrap_or_default();
        from + rest.iter().take_while(|byte| is_regular(**byte)).count()
    };
    Some(match bytes.first()? {
        b'/' => regular(1),
        b'(' => text(bytes),
        b'<' => {
            let end = bytes.iter().position(|byte| *byte == b'>');
            end.map_or(bytes.len(), |end| end + 1)
        }
        b'0'..=b'9' | b'+' | b'-' | b'.' => number(bytes),
        _ => {
            let words = [&b"true"[..], b"false", b"null"];
            words.iter().find(|word| bytes.starts_with(word))?.len()
        }
    })
}

/// The length of a number. What follows without a space between them is the next one.
fn number(bytes: &[u8]) -> usize {
    let count = |from: usize, fits: fn(&u8) -> bool| {
        let rest = bytes.get(from..).unwrap_or_default();
        from + rest.iter().take_while(|byte| fits(byte)).count()
    };
    let sign = usize::from(matches!(bytes.first(), Some(b'+' | b'-')));
    let whole = count(sign, u8::is_ascii_digit);
    if bytes.get(whole) == Some(&b'.') {
        count(whole + 1, |byte| byte.is_ascii_digit() || *byte == b'-')
    } else {
        whole
    }
}

/// The length of a text in brackets, which may hold others.
fn text(bytes: &[u8]) -> usize {
    let (mut open, mut escaped) = (0_usize, false);
    for (at, byte) in bytes.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'(' => open += 1,
            b')' => {
                open = open.saturating_sub(1);
                if open == 0 {
                    return at + 1;
                }
            }
            _ => {}
        }
    }
    bytes.len()
}

/// Where blanks and comments end.
fn after_space(bytes: &[u8], mut at: usize) -> usize {
    let mut comment = false;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'\r' | b'\n' => comment = false,
            b'%' => comment = true,
            _ if comment || is_blank(*byte) => {}
            _ => break,
        }
        at += 1;
    }
    at
}

const fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0 | 0x0C)
}

const fn is_regular(byte: u8) -> bool {
    !is_blank(byte)
        && !matches!(
            byte,
            b'(' | b')' | b'<' | b'>' | b'[' | b']' | b'{' | b'}' | b'/' | b'%'
        )
}

#[cfg(test)]
mod tests {
    use lopdf::dictionary;

    use super::*;

    #[test]
    fn the_first_object_is_counted_as_the_library_reads_it() {
        for (bytes, values, read) in [
            ("12 0 R", 1, 2),
            (" %[[[\n [1 2.5-3 -4+5 true]null", 10, 26),
            ("[12 0 R 13 0 R]/X", 7, 15),
            ("<</A(a\\)(b)]>>)/B<00 FF>>>/C", 9, 26),
            ("[////]", 9, 6),
            ("[1.2.3 nullnull]", 9, 16),
            // The library gives up here, and so do we.
            ("[1 obj 2 3]", 6, 3),
            ("", 0, 0),
        ] {
            let found = ahead(bytes.as_bytes(), VALUES);
            assert_eq!((found.values, found.bytes), (values, read), "{bytes}");
        }
        let many = ahead("[0 0 0 0 0 0 0 0 0 0".as_bytes(), 7);
        assert_eq!(many.values, 8);
        let long = format!("({})", "x".repeat(10 * VALUE));
        assert!(ahead(long.as_bytes(), VALUES).values > 10);
    }

    #[test]
    fn members_that_share_a_place_are_counted_each() {
        let members = |index: &str| {
            let content = format!("{index} [1 2 3 4]");
            let first = i64::try_from(index.len()).unwrap_or_default();
            let stream = Stream::new(dictionary! { "First" => first }, Vec::new());
            of_members(&stream, content.as_bytes(), 100)
        };
        assert_eq!(members("7 0"), 10);
        assert_eq!(members("7 0 8 0 %9\n9 0"), 30);
        assert_eq!(members("7 99 8 x 9"), 2);
        assert!(members(&"7 0 ".repeat(1_000)) > 100);
        assert_eq!(
            of_members(&Stream::new(Dictionary::new(), vec![]), b"", 9),
            0
        );
    }

    #[test]
    fn objects_weigh_what_they_hold() {
        let list = Object::Array(vec![Object::Null, Object::Name(b"abc".to_vec())]);
        assert_eq!(of(&list), 3 * VALUE + 3);
        let dict = Object::Dictionary(dictionary! { "Key" => list });
        assert_eq!(of(&dict), VALUE + ENTRY + 3 + 3 * VALUE + 3);
        let stream = Object::Stream(Stream::new(Dictionary::new(), vec![0; 10]));
        assert!(of(&stream) > VALUE + 10);
    }

    #[test]
    fn content_is_read_as_far_as_memory_goes() {
        let page = b"BT /F 1 Tf 12.5 -3 Td [(a) -20 (b)] TJ ET";
        assert_eq!(readable(page), (&page[..], true));
        let blanks = vec![b' '; CONTENT_BYTES + 1];
        let (read, whole) = readable(&blanks);
        assert_eq!((read.len(), whole), (CONTENT_BYTES, false));
        for (part, values) in [("/", 1), ("0 ", 1), (".1.2", 2), ("+1", 1), ("[]", LIST)] {
            let content = part.repeat(2 * CONTENT_VALUES / values).into_bytes();
            let (read, whole) = readable(&content);
            let parts = read.len() / part.len();
            assert!(
                !whole && parts * values <= CONTENT_VALUES,
                "{part}: {parts}"
            );
        }
    }
}
