//! PDF: the text of pages in the order in which they are painted, in lines.
//!
//! The library reads the file's structure; how much it may unpack is limited here, by what it lets its caller see of
//! each object ([`Guard`]). The text is put together by `page`, with the fonts of `font` and the lines of `layout`.

mod font;
mod layout;
mod page;

use std::cell::{Cell, RefCell};
use std::panic::AssertUnwindSafe;
use std::time::Instant;

use lopdf::{Dictionary, Document, LoadOptions, Object, ObjectId, Stream};

use super::work::Work;
use super::{DocumentError, Extracted, limits, paging};
use page::Pages;

/// One unpacked stream of the file's structure: a table of 1,000,000 objects takes 7 MB.
const STRUCTURE_BYTES: usize = 16 << 20;

/// Objects of one file: a book of 3,000 pages has some 100,000.
const OBJECTS: usize = 2_000_000;

/// Pages whose having only pictures is told one by one.
const TOLD_PAGES: usize = 20;

pub(super) fn read(bytes: &[u8], work: &Work) -> Result<Extracted, DocumentError> {
    if is_encrypted(bytes) {
        return Err(DocumentError::Encrypted { what: "PDF" });
    }
    let document = load(bytes, work)?;
    let ids: Vec<ObjectId> = document.page_iter().take(limits::PAGES as usize).collect();
    if ids.is_empty() {
        return Err(malformed("it has no pages"));
    }
    let total = u32::try_from(ids.len()).unwrap_or(limits::PAGES);
    let mut pages = paging::Pages::new(work, total)?;
    let mut reader = Pages::new(&document, work);
    let (mut pictures, mut unreadable, mut damaged) = (Vec::new(), Vec::new(), Vec::new());
    let alone = work
        .wanted
        .pages
        .map_or(total == 1, |(first, last)| first == last);
    while let Some(number) = pages.next_page() {
        work.go_on()?;
        let page = reader.read(ids[number as usize - 1])?;
        let text = page.text.trim();
        if text.is_empty() && page.pictures {
            pictures.push(number);
        }
        if page.unreadable {
            unreadable.push(number);
        }
        if page.damaged {
            damaged.push(number);
        }
        let text = if alone || text.is_empty() {
            text.to_owned()
        } else {
            format!("## Page {number}\n\n{text}")
        };
        if !pages.take(&text) {
            break;
        }
    }
    let mut read = pages.finish("page");
    if let Some(pages) = listed(&pictures) {
        read.notes.push(format!(
            "{pages} only a picture; reading it needs character recognition",
            pages = plural(&pages, pictures.len(), "holds", "hold")
        ));
    }
    if let Some(pages) = listed(&unreadable) {
        read.notes.push(format!(
            "{} text in fonts that do not say which characters they show",
            plural(&pages, unreadable.len(), "has", "have")
        ));
    }
    if let Some(pages) = listed(&damaged) {
        read.notes.push(format!(
            "{} damaged and incomplete here",
            plural(&pages, damaged.len(), "is", "are")
        ));
    }
    Ok(read)
}

/// `3, 5, 9`
fn listed(pages: &[u32]) -> Option<String> {
    let mut list: Vec<String> = pages
        .iter()
        .take(TOLD_PAGES)
        .map(ToString::to_string)
        .collect();
    if pages.len() > TOLD_PAGES {
        list.push(format!("and {} more", pages.len() - TOLD_PAGES));
    }
    (!list.is_empty()).then(|| list.join(", "))
}

fn plural(pages: &str, count: usize, one: &str, many: &str) -> String {
    if count == 1 {
        format!("page {pages} {one}")
    } else {
        format!("pages {pages} {many}")
    }
}

fn malformed(reason: &str) -> DocumentError {
    DocumentError::Malformed {
        format: "PDF",
        reason: reason.to_owned(),
    }
}

/// Whether the file says anywhere that it is encrypted. What the library would unpack of an encrypted file before anybody
/// can look at it has no limit, so such a file is not opened, even when the password is empty.
fn is_encrypted(bytes: &[u8]) -> bool {
    const NAME: &[u8] = b"Encrypt";
    bytes.split(|byte| *byte == b'/').skip(1).any(|rest| {
        // A name may write any of its letters as `#` and two digits.
        let mut name = Vec::with_capacity(NAME.len() + 1);
        let mut at = 0;
        while name.len() <= NAME.len() {
            match rest.get(at) {
                Some(b'#') => {
                    let digits = rest.get(at + 1..at + 3);
                    let letter = digits
                        .and_then(|digits| std::str::from_utf8(digits).ok())
                        .and_then(|digits| u8::from_str_radix(digits, 16).ok());
                    let Some(letter) = letter else { break };
                    name.push(letter);
                    at += 3;
                }
                Some(letter) if letter.is_ascii_alphanumeric() => {
                    name.push(*letter);
                    at += 1;
                }
                _ => break,
            }
        }
        name == NAME
    })
}

/// What loading has left. The library calls a plain function with each object, so the rest is kept with the thread.
struct Guard {
    until: Cell<Option<Instant>>,
    bytes: Cell<usize>,
    objects: Cell<usize>,
    broken: RefCell<Option<DocumentError>>,
}

thread_local! {
    static GUARD: Guard = const {
        Guard {
            until: Cell::new(None),
            bytes: Cell::new(0),
            objects: Cell::new(0),
            broken: RefCell::new(None),
        }
    };
}

/// Looks at an object before the library keeps or unpacks it. Unwinding is the only way to stop the library; `load`
/// catches it.
#[expect(clippy::unnecessary_wraps, reason = "the library wants it so")]
fn watch(id: ObjectId, object: &mut Object) -> Option<(ObjectId, Object)> {
    GUARD.with(|guard| {
        let stop = |error: DocumentError| {
            *guard.broken.borrow_mut() = Some(error);
            std::panic::resume_unwind(Box::new("over the limit"));
        };
        if guard
            .until
            .get()
            .is_some_and(|until| Instant::now() >= until)
        {
            stop(DocumentError::TooSlow);
        }
        let mut cost = 64;
        if let Object::Stream(stream) = object {
            cost += stream.content.len();
            if stream.dict.has_type(b"ObjStm") {
                match stream.get_plain_content_with_limit(STRUCTURE_BYTES) {
                    Ok(content) => cost += content.len(),
                    Err(lopdf::Error::Decompress(
                        lopdf::DecompressError::MemoryLimitExceeded { .. },
                    )) => stop(DocumentError::Bomb {
                        what: "its structure is packed too well",
                    }),
                    Err(_) => stream.content.clear(),
                }
            } else if is_picture(&stream.dict) {
                // Nobody looks at pictures.
                let dict = std::mem::take(&mut stream.dict);
                *object = Object::Dictionary(dict);
            }
        }
        let objects = guard.objects.get() + 1;
        guard.objects.set(objects);
        match guard.bytes.get().checked_sub(cost) {
            Some(left) if objects <= OBJECTS => guard.bytes.set(left),
            _ => stop(DocumentError::Bomb {
                what: "its objects are too large together",
            }),
        }
    });
    Some((id, object.clone()))
}

fn is_picture(dict: &Dictionary) -> bool {
    dict.get(b"Subtype")
        .and_then(Object::as_name)
        .is_ok_and(|name| name == b"Image")
}

fn load(bytes: &[u8], work: &Work) -> Result<Document, DocumentError> {
    let first = load_once(bytes, work, false);
    let lost = match &first {
        Ok(document) => document.page_iter().next().is_none(),
        Err(error) => matches!(error, DocumentError::Malformed { .. }),
    };
    if !lost {
        return first;
    }
    // The table of objects points past them: they are looked for.
    load_once(bytes, work, true).or(first)
}

fn load_once(bytes: &[u8], work: &Work, rebuild: bool) -> Result<Document, DocumentError> {
    GUARD.with(|guard| {
        guard.until.set(Some(work.until()));
        guard
            .bytes
            .set(usize::try_from(limits::UNPACKED_BYTES).unwrap_or(usize::MAX));
        guard.objects.set(0);
        guard.broken.borrow_mut().take();
    });
    let loaded = std::panic::catch_unwind(AssertUnwindSafe(|| {
        let options = LoadOptions {
            filter: Some(watch),
            max_decompressed_size: Some(STRUCTURE_BYTES),
            force_reconstruct: rebuild,
            ..LoadOptions::default()
        };
        Document::load_mem_with_options(bytes, options)
    }));
    match loaded {
        Ok(Ok(document)) => Ok(document),
        Ok(Err(lopdf::Error::Decompress(lopdf::DecompressError::MemoryLimitExceeded {
            ..
        }))) => Err(DocumentError::Bomb {
            what: "its structure is packed too well to be honest",
        }),
        Ok(Err(_)) => Err(malformed("it is cut off or damaged")),
        Err(_) => Err(GUARD
            .with(|guard| guard.broken.borrow_mut().take())
            .unwrap_or_else(|| malformed("its structure makes no sense"))),
    }
}

/// What a stream unpacks to, within what is left.
fn unpacked(stream: &Stream, left: &mut usize) -> Result<Option<Vec<u8>>, DocumentError> {
    match stream.get_plain_content_with_limit(*left) {
        Ok(content) => {
            *left = left.saturating_sub(content.len());
            Ok(Some(content))
        }
        Err(lopdf::Error::Decompress(lopdf::DecompressError::MemoryLimitExceeded { .. })) => {
            Err(DocumentError::Bomb {
                what: "its pages are too large together",
            })
        }
        Err(_) => Ok(None),
    }
}
