//! One document at a time: the thread, the time and the catch around reading.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{Semaphore, oneshot};

use super::{
    DocumentError, Extracted, Format, Wanted, csv, docx, limits, mail, paging, pdf, pptx, xlsx,
};
use crate::kit::text;

/// Places for documents being read.
static PLACES: std::sync::LazyLock<Arc<Semaphore>> =
    std::sync::LazyLock::new(|| Arc::new(Semaphore::new(limits::AT_ONCE)));

/// How much longer than [`limits::WALL_TIME`] the caller waits for a thread that is about to notice it.
const GRACE: Duration = Duration::from_secs(2);

/// A document being read.
#[derive(Debug)]
pub(super) struct Work {
    pub(super) wanted: Wanted,
    until: Instant,
}

impl Work {
    pub(super) fn new(mut wanted: Wanted) -> Self {
        wanted.max_chars = wanted.max_chars.clamp(1, limits::OUTPUT_CHARS);
        Self {
            wanted,
            until: Instant::now() + limits::WALL_TIME,
        }
    }

    /// When the time is up.
    pub(super) const fn until(&self) -> Instant {
        self.until
    }

    /// An error once the time is up. For the inside of loops.
    pub(super) fn go_on(&self) -> Result<(), DocumentError> {
        if Instant::now() >= self.until {
            return Err(DocumentError::TooSlow);
        }
        Ok(())
    }
}

/// The text of a document, or of the part of it that is wanted.
pub async fn extract(
    bytes: Vec<u8>,
    format: Format,
    wanted: Wanted,
) -> Result<Extracted, DocumentError> {
    if bytes.len() > limits::INPUT_BYTES {
        return Err(DocumentError::TooLarge {
            max_mb: limits::INPUT_BYTES >> 20,
        });
    }
    let place = tokio::time::timeout(limits::WALL_TIME, Arc::clone(&PLACES).acquire_owned())
        .await
        .ok()
        .and_then(Result::ok)
        .ok_or(DocumentError::TooSlow)?;
    let (answer, answered) = oneshot::channel();
    std::thread::Builder::new()
        .name("document".to_owned())
        .stack_size(limits::STACK_BYTES)
        .spawn(move || {
            // Held by the thread, not by the caller: a call that was given up still takes its place until it ends.
            let _place = place;
            let work = Work::new(wanted);
            let read = std::panic::catch_unwind(AssertUnwindSafe(|| read(&bytes, format, &work)));
            // Nobody may be waiting any more.
            let _ = answer.send(read.unwrap_or_else(|_| Err(broken(format))));
        })
        .map_err(|_| DocumentError::TooSlow)?;
    tokio::time::timeout(limits::WALL_TIME + GRACE, answered)
        .await
        .map_err(|_| DocumentError::TooSlow)?
        .unwrap_or_else(|_| Err(broken(format)))
}

fn broken(format: Format) -> DocumentError {
    DocumentError::Malformed {
        format: name(format),
        reason: "its structure makes no sense".to_owned(),
    }
}

/// What people call the format.
pub(super) const fn name(format: Format) -> &'static str {
    match format {
        Format::Pdf => "PDF",
        Format::Docx => "Word document",
        Format::Xlsx => "Excel workbook",
        Format::Pptx => "PowerPoint presentation",
        Format::Html => "web page",
        Format::Csv => "CSV file",
        Format::Text => "text",
        Format::Mail => "message",
    }
}

/// Reads on this thread.
pub(super) fn read(bytes: &[u8], format: Format, work: &Work) -> Result<Extracted, DocumentError> {
    let mut read = match format {
        Format::Pdf => pdf::read(bytes, work),
        Format::Docx => docx::read(bytes, work),
        Format::Xlsx => xlsx::read(bytes, work),
        Format::Pptx => pptx::read(bytes, work),
        Format::Csv => csv::read(bytes, work),
        Format::Html => paging::whole(
            &super::html::markdown_of_html(&paging::decode(bytes)),
            "text/markdown",
            work,
        ),
        Format::Text => paging::whole(&paging::decode(bytes), "text/plain", work),
        Format::Mail => mail::read(bytes, work),
    }?;
    // A model must not read what a person would not see.
    read.text = text::visible(read.text);
    Ok(read)
}
