//! Files that people keep in their drives and mailboxes, as text that a model reads; and the way back for the few that
//! tools write.
//!
//! Every file is hostile until read. One call runs on a thread of its own with a stack that the bounded nesting cannot
//! overflow, at most `limits::AT_ONCE` at a time, and gives up at `limits::WALL_TIME`; a panic of a library is a
//! malformed file. What may grow has a limit in `limits`. XML entities other than the five of XML are not expanded and
//! nothing outside the file is opened; macros are not looked at.
//!
//! Formats with pages (PDF, slides) are read by pages, sheets and CSV by ranges of cells. The others have no pages of
//! their own: there a page is as much text as the reader asked for.

mod convert;
mod csv;
mod docx;
mod format;
mod html;
mod limits;
mod mail;
mod markdown;
mod paging;
mod pdf;
mod pptx;
#[cfg(test)]
mod samples;
mod sheet;
mod work;
mod write;
mod xlsx;
mod xml;
mod zipped;

use super::error::ToolError;

pub use convert::html_of_markdown;
pub use format::format_of;
pub use html::markdown_of_html;
pub use paging::pages;
pub use work::extract;
pub use write::{docx_of_markdown, xlsx_of_csv};

/// What we can read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// Portable Document Format.
    Pdf,
    /// A Word document.
    Docx,
    /// An Excel workbook.
    Xlsx,
    /// A PowerPoint presentation.
    Pptx,
    /// A web page.
    Html,
    /// Comma-separated values; semicolons and tabs are recognized.
    Csv,
    /// Text of any kind.
    Text,
    /// A stored message (`.eml`).
    Mail,
}

/// Which part of a document to read, and how much of it.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// First and last page or slide, from 1, both included.
    pub pages: Option<(u32, u32)>,
    /// A sheet by its name; without it the first visible one.
    pub sheet: Option<String>,
    /// Cells in A1 notation: `A1:D20`, `A501:F1000`, `B:C`, `10:20`.
    pub range: Option<String>,
    /// The longest text to give back, in characters.
    pub max_chars: usize,
}

/// The text of a document, or of the part that was asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extracted {
    /// The text.
    pub text: String,
    /// What the text is: `text/markdown`, `text/csv` or `text/plain`.
    pub media: &'static str,
    /// How many pages, slides or sheets the document has; of a text without pages, into how many parts of the asked length
    /// it falls.
    pub total: Option<u32>,
    /// The names of a workbook's sheets.
    pub parts: Vec<String>,
    /// Whether something of what was asked for is missing because the text is full.
    pub truncated: bool,
    /// The page to go on with.
    pub next_page: Option<u32>,
    /// What was left out, and how to get it.
    pub notes: Vec<String>,
}

/// Why a document cannot be read or written. Each sentence says what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DocumentError {
    /// The file is over `limits::INPUT_BYTES`.
    #[error(
        "the file is larger than {max_mb} MB, which is the most that is read: open it in its own application, or make a smaller copy of the part you need"
    )]
    TooLarge {
        /// The limit.
        max_mb: usize,
    },
    /// The file unpacks to more than any honest document.
    #[error(
        "the file unpacks to far more than it should ({what}) and was not read: save it again with its own application if you trust it"
    )]
    Bomb {
        /// Which limit it broke.
        what: &'static str,
    },
    /// It needs a password.
    #[error("the {what} is encrypted: save a copy without the password and ask for that")]
    Encrypted {
        /// What it is.
        what: &'static str,
    },
    /// It is not what it says, or broken.
    #[error(
        "the file is not a readable {format}: {reason}; open it in its own application and save it again"
    )]
    Malformed {
        /// What it should have been.
        format: &'static str,
        /// What was wrong.
        reason: String,
    },
    /// An old or foreign format.
    #[error("{what} cannot be read here: save it as {instead} and ask for that")]
    Unsupported {
        /// What it is.
        what: &'static str,
        /// What can be read.
        instead: &'static str,
    },
    /// The sheet asked for is not there.
    #[error("`sheet`: there is no sheet `{asked}`; the sheets are {}", .have.join(", "))]
    NoSuchSheet {
        /// The name asked for.
        asked: String,
        /// The names there are.
        have: Vec<String>,
    },
    /// The range is not A1 notation.
    #[error("`range`: `{0}` is not a range of cells; write it like A1:D20, B:C or 10:20")]
    BadRange(String),
    /// The pages are not numbers.
    #[error("`pages`: `{0}` is not a page or a range of pages; write it like 3, 3-7 or 3-")]
    BadPages(String),
    /// The pages asked for are not there.
    #[error(
        "`pages`: the document has {total} pages; ask for pages from 1 to {total}, the first not after the last"
    )]
    NoSuchPage {
        /// How many there are.
        total: u32,
    },
    /// Nothing was done with it within `limits::WALL_TIME`.
    #[error(
        "reading the file takes too long: ask for fewer pages or a smaller range, or open it in its own application"
    )]
    TooSlow,
    /// What should be written is too large.
    #[error("`{what}` is too large to write into one file: {limit}; write it in parts")]
    TooMuch {
        /// The argument.
        what: &'static str,
        /// What is allowed.
        limit: String,
    },
    /// The CSV is not one.
    #[error(
        "the CSV cannot be read: {0}; give rows of comma-separated values, and quote values that hold commas, quotes or line breaks"
    )]
    BadCsv(String),
}

impl From<DocumentError> for ToolError {
    fn from(error: DocumentError) -> Self {
        Self::Invalid(error.to_string())
    }
}

#[cfg(test)]
mod office_tests;
#[cfg(test)]
mod tests;
