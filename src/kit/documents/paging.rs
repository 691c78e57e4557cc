//! Text without pages of its own: a page is as much of it as was asked for, cut between lines where that is possible.

use super::work::Work;
use super::{DocumentError, Extracted, limits};

/// How much of a wrong range of pages is shown.
const PAGES_CHARS: usize = 40;

/// The text in its own encoding: a byte order mark says which, else UTF-8, else what Windows writes in the West.
pub(super) fn decode(bytes: &[u8]) -> String {
    let encoding = match encoding_rs::Encoding::for_bom(bytes) {
        Some((encoding, _)) => encoding,
        None if std::str::from_utf8(bytes).is_ok() => encoding_rs::UTF_8,
        None => declared(bytes).unwrap_or(encoding_rs::WINDOWS_1252),
    };
    encoding.decode(bytes).0.into_owned()
}

/// The character set that a web page names in its first kilobyte.
fn declared(bytes: &[u8]) -> Option<&'static encoding_rs::Encoding> {
    let head = String::from_utf8_lossy(&bytes[..bytes.len().min(1024)]).to_ascii_lowercase();
    let (_, rest) = head.split_once("charset=")?;
    let rest = rest.trim_start_matches(['"', '\'']);
    let end = rest
        .find(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '-' | '_' | ':'))
        .unwrap_or(rest.len());
    encoding_rs::Encoding::for_label(&rest.as_bytes()[..end])
}

/// First and last of `3`, `3-7` or `3-`, as [`super::Wanted::pages`] takes them; `None` of nothing.
///
/// # Errors
/// [`DocumentError::BadPages`].
pub fn pages(text: &str) -> Result<Option<(u32, u32)>, DocumentError> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let number = |text: &str| text.trim().parse::<u32>().ok();
    let last = if last.trim().is_empty() {
        Some(u32::MAX)
    } else {
        number(last)
    };
    let range = number(first).zip(last);
    match range.filter(|(first, last)| (1..=*last).contains(first)) {
        Some(range) => Ok(Some(range)),
        None => Err(DocumentError::BadPages(
            prefix(text, PAGES_CHARS).to_owned(),
        )),
    }
}

/// The wanted pages of a whole text.
pub(super) fn whole(
    text: &str,
    media: &'static str,
    work: &Work,
) -> Result<Extracted, DocumentError> {
    let size = work.wanted.max_chars;
    let mut notes = Vec::new();
    let kept = prefix(text, limits::OUTPUT_CHARS);
    if kept.len() < text.len() {
        notes.push(format!(
            "only the first {} characters are read; the rest needs the file's own application",
            limits::OUTPUT_CHARS
        ));
    }
    let first = work.wanted.pages.map_or(1, |(first, _)| first);
    let mut page = 0;
    let mut found = None;
    let mut rest = kept;
    // Every page is cut to know how many there are.
    loop {
        page += 1;
        let (this, after) = cut(rest, size);
        if page == first {
            found = Some(this);
        }
        if after.is_empty() {
            break;
        }
        rest = after;
    }
    let found = found.ok_or(DocumentError::NoSuchPage { total: page })?;
    if let Some((first, last)) = work.wanted.pages
        && last < first
    {
        return Err(DocumentError::NoSuchPage { total: page });
    }
    let more = first < page;
    if more {
        notes.push(format!(
            "this is part {first} of {page}; the next is page {}",
            first + 1
        ));
    }
    Ok(Extracted {
        text: found.trim_end().to_owned(),
        media,
        total: Some(page),
        parts: Vec::new(),
        truncated: more,
        next_page: more.then_some(first + 1),
        notes,
    })
}

/// At most `chars` characters of the text.
pub(super) fn prefix(text: &str, chars: usize) -> &str {
    text.char_indices()
        .nth(chars)
        .map_or(text, |(at, _)| &text[..at])
}

/// A page and what comes after it.
fn cut(text: &str, chars: usize) -> (&str, &str) {
    let full = prefix(text, chars);
    if full.len() == text.len() {
        return (text, "");
    }
    // Not so far back that pages become small.
    let at = full
        .rfind('\n')
        .map(|at| at + 1)
        .filter(|at| *at > full.len() / 2)
        .unwrap_or(full.len());
    text.split_at(at)
}

/// The wanted pages of a document that has pages, until the text is full.
pub(super) struct Pages {
    total: u32,
    next: u32,
    last: u32,
    max_chars: usize,
    out: String,
    chars: usize,
    cut: bool,
    /// The page that did not fit any more.
    left: Option<u32>,
}

impl Pages {
    pub(super) fn new(work: &Work, total: u32) -> Result<Self, DocumentError> {
        let (first, last) = work.wanted.pages.unwrap_or((1, total.max(1)));
        if first == 0 || last < first || first > total.max(1) {
            return Err(DocumentError::NoSuchPage { total });
        }
        Ok(Self {
            total,
            next: first,
            last: last.min(total),
            max_chars: work.wanted.max_chars,
            out: String::new(),
            chars: 0,
            cut: false,
            left: None,
        })
    }

    /// The number of the page to read next.
    pub(super) fn next_page(&mut self) -> Option<u32> {
        let page = self.next;
        (page <= self.last && self.left.is_none()).then_some(page)
    }

    /// Takes the page's text; `false` when the answer is full. The first page is always taken, cut if need be.
    pub(super) fn take(&mut self, text: &str) -> bool {
        let text = text.trim();
        let first = self.out.is_empty();
        let chars = text.chars().count() + if first { 0 } else { 2 };
        if self.chars + chars > self.max_chars {
            if !first {
                self.left = Some(self.next);
                return false;
            }
            self.cut = true;
        }
        if !text.is_empty() {
            if !first {
                self.out.push_str("\n\n");
            }
            self.out.push_str(prefix(text, self.max_chars));
            self.chars += chars;
        }
        self.next += 1;
        if self.chars >= self.max_chars && self.next <= self.last {
            self.left = Some(self.next);
        }
        self.left.is_none()
    }

    /// The answer; `what` is the word for a page.
    pub(super) fn finish(self, what: &str) -> Extracted {
        let mut notes = Vec::new();
        if self.cut {
            notes.push(format!(
                "the {what} is longer than the answer may be: only its beginning is here"
            ));
        }
        let next_page = self.left.or((self.next <= self.total).then_some(self.next));
        if let Some(next) = next_page {
            notes.push(format!(
                "the document has {} {what}s; the next is {next}",
                self.total
            ));
        }
        Extracted {
            text: self.out,
            media: "text/markdown",
            total: Some(self.total),
            parts: Vec::new(),
            truncated: self.cut || self.left.is_some(),
            next_page,
            notes,
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test says what went wrong by failing")]
    use super::*;

    #[test]
    fn pages_are_a_number_or_a_range() {
        for (text, range) in [
            ("", None),
            (" ", None),
            ("3", Some((3, 3))),
            ("3-7", Some((3, 7))),
            ("2 - 5", Some((2, 5))),
            (" 3 - ", Some((3, u32::MAX))),
        ] {
            assert_eq!(pages(text), Ok(range), "{text}");
        }
        for wrong in ["0", "7-3", "x", "-3", "1-2-3", "1.5"] {
            let refused = pages(wrong).unwrap_err().to_string();
            assert_eq!(
                refused,
                format!(
                    "`pages`: `{wrong}` is not a page or a range of pages; write it like 3, 3-7 or 3-"
                )
            );
        }
    }
}
