//! PDF: the text of pages in the order in which they are painted, in lines.
//!
//! The library reads the file's structure; how much it may unpack is limited here, by what it lets its caller see of
//! each object ([`Guard`]), and what it would make of the bytes is counted before (`weight`). The text is put together by
//! `page`, with the fonts of `font` and the lines of `layout`. Files with an empty password are decrypted by `sealed`.

mod font;
mod layout;
mod page;
mod sealed;
mod weight;

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

/// How often each byte of a file may stand in an object: once, but for what only looks like the beginning of one.
const READ_AGAIN: usize = 8;

/// Pages whose having only pictures is told one by one.
const TOLD_PAGES: usize = 20;

pub(super) fn read(bytes: &[u8], work: &Work) -> Result<Extracted, DocumentError> {
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

/// Of a file whose values would fill the memory.
const TOO_MANY: DocumentError = DocumentError::Bomb {
    what: "its structure holds too many values",
};

/// Refuses a file with an object that would take too much memory: the library shows its caller an object only when it has
/// read it. It begins to read after one of these words, wherever the file says that one is.
fn check(bytes: &[u8], work: &Work) -> Result<(), DocumentError> {
    let mut left = bytes.len().saturating_mul(READ_AGAIN);
    for word in [&b"obj"[..], b"trailer"] {
        let places = bytes.windows(word.len()).enumerate();
        for (at, _) in places.filter(|(_, found)| *found == word) {
            work.go_on()?;
            let rest = bytes.get(at + word.len()..).unwrap_or_default();
            let ahead = weight::ahead(rest, weight::VALUES);
            if ahead.values > weight::VALUES {
                return Err(TOO_MANY);
            }
            left = left.checked_sub(ahead.bytes).ok_or(DocumentError::Bomb {
                what: "its objects lie inside each other",
            })?;
        }
    }
    Ok(())
}

/// What loading has left. The library calls a plain function with each object, so the rest is kept with the thread.
struct Guard {
    until: Cell<Option<Instant>>,
    bytes: Cell<usize>,
    objects: Cell<usize>,
    /// Whether what streams hold cannot be read yet.
    sealed: Cell<bool>,
    broken: RefCell<Option<DocumentError>>,
}

thread_local! {
    static GUARD: Guard = const {
        Guard {
            until: Cell::new(None),
            bytes: Cell::new(0),
            objects: Cell::new(0),
            sealed: Cell::new(false),
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
        let mut cost = weight::of(object);
        if let Object::Stream(stream) = object {
            if stream.dict.has_type(b"ObjStm") && guard.sealed.get() {
                sealed::put_off(stream);
            } else if stream.dict.has_type(b"ObjStm") {
                match stream.get_plain_content_with_limit(STRUCTURE_BYTES) {
                    Ok(content) => {
                        cost += content.len();
                        if weight::of_members(stream, &content, weight::VALUES) > weight::VALUES {
                            stop(TOO_MANY);
                        }
                    }
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
    check(bytes, work)?;
    let sealed = sealed::renamed(bytes)?;
    let first = load_once(bytes, sealed.as_deref(), work, false);
    let lost = match &first {
        Ok(document) => document.page_iter().next().is_none(),
        Err(error) => matches!(error, DocumentError::Malformed { .. }),
    };
    if !lost {
        return first;
    }
    // The table of objects points past them: they are looked for.
    load_once(bytes, sealed.as_deref(), work, true).or(first)
}

/// `sealed` are the same bytes when they may be encrypted, as [`sealed::renamed`] makes them.
fn load_once(
    bytes: &[u8],
    sealed: Option<&[u8]>,
    work: &Work,
    rebuild: bool,
) -> Result<Document, DocumentError> {
    let load = |bytes, is_sealed| {
        GUARD.with(|guard| {
            guard.until.set(Some(work.until()));
            guard
                .bytes
                .set(usize::try_from(limits::UNPACKED_BYTES).unwrap_or(usize::MAX));
            guard.objects.set(0);
            guard.sealed.set(is_sealed);
            guard.broken.borrow_mut().take();
        });
        let options = LoadOptions {
            filter: Some(watch),
            max_decompressed_size: Some(STRUCTURE_BYTES),
            force_reconstruct: rebuild,
            ..LoadOptions::default()
        };
        let document = Document::load_mem_with_options(bytes, options);
        GUARD.with(|guard| guard.sealed.set(false));
        document
    };
    let loaded = std::panic::catch_unwind(AssertUnwindSafe(|| match sealed {
        Some(renamed) => match load(renamed, true)? {
            document if sealed::is_sealed(&document) => sealed::open(document, watch),
            // Only its text speaks of that.
            _ => load(bytes, false),
        },
        None => load(bytes, false),
    }));
    match loaded {
        Ok(Ok(document)) => Ok(document),
        Ok(Err(lopdf::Error::Decompress(lopdf::DecompressError::MemoryLimitExceeded {
            ..
        }))) => Err(DocumentError::Bomb {
            what: "its structure is packed too well to be honest",
        }),
        Ok(Err(lopdf::Error::InvalidPassword)) => Err(DocumentError::Encrypted { what: "PDF" }),
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
