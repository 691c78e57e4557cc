//! The limits that keep a hostile file from costing more than an honest one.

use std::time::Duration;

/// Files read: what the integrations download at most, and far above an ordinary office document.
pub(super) const INPUT_BYTES: usize = 32 << 20;

/// Everything unpacked from one file, together: eight times the largest input; real documents stay below.
pub(super) const UNPACKED_BYTES: u64 = 256 << 20;

/// One part of a zipped document: no honest sheet, the largest part there is, is larger.
pub(super) const PART_BYTES: u64 = 192 << 20;

/// Unpacked bytes for one packed byte, from [`RATIO_FROM`] on. Sheets full of the same number reach about 100;
/// deflate ends at 1032.
pub(super) const RATIO: u64 = 250;

/// Below this size the ratio says nothing: small parts of blanks pack well.
pub(super) const RATIO_FROM: u64 = 4 << 20;

/// Files in a zip: a presentation of 500 slides with notes and pictures has some 3,000.
pub(super) const ENTRIES: usize = 10_000;

/// Elements inside elements, of XML and HTML. Word nests tables in tables in text boxes to about 60.
pub(super) const DEPTH: usize = 200;

/// Elements and texts of one web page: a page of 5 MB has about 200,000. They are kept in memory.
pub(super) const NODES: usize = 1_000_000;

/// Pages and slides of one document that are counted or read: reading is by pages, so this bounds only the counting.
pub(super) const PAGES: u32 = 20_000;

/// Cells given back by one call; the text's length ends it sooner.
pub(super) const CELLS: usize = 200_000;

/// What one part may refer to: a document has some thousand links.
pub(super) const RELATIONS: usize = 100_000;

/// The longest address or name that a part refers to: Office follows some 2,000 characters, mail gateways make links of
/// some thousand. One may be used in many places.
pub(super) const ADDRESS_BYTES: usize = 8 << 10;

/// The addresses of all links of a document or slide, in bytes: as much as its text may take.
pub(super) const ADDRESSES_BYTES: usize = OUTPUT_CHARS * 4;

/// Bytes of shared strings of a workbook kept in memory, as text.
pub(super) const SHARED_STRINGS_BYTES: usize = 64 << 20;

/// Characters of a cell: what the file format allows.
pub(super) const CELL_CHARS: usize = 32_767;

/// Columns of a sheet: what the file format allows.
pub(super) const COLUMNS: u32 = 16_384;

/// Rows of a sheet: what the file format allows.
pub(super) const ROWS: u32 = 1_048_576;

/// Rows that a sheet answers with when no range was asked for: about what fits the answer of a tool.
pub(super) const ROWS_AT_A_TIME: u32 = 1_000;

/// The longest text given back, whatever was asked: above this nobody reads it, and it is held in memory several times.
pub(super) const OUTPUT_CHARS: usize = 2_000_000;

/// The time of one document: what a person waits, and less than the tools' own time limit.
pub(super) const WALL_TIME: Duration = Duration::from_secs(20);

/// Documents read at the same time: each may use a core and some hundred megabytes.
pub(super) const AT_ONCE: usize = 2;

/// The stack of a reading thread: [`DEPTH`] levels need a tenth of it, and the libraries recurse too.
pub(super) const STACK_BYTES: usize = 16 << 20;

/// Text or CSV that is turned into a document: XML is up to fifty times as long.
pub(super) const WRITTEN_BYTES: usize = 4 << 20;

/// Cells of a workbook that is written.
pub(super) const WRITTEN_CELLS: usize = 1_000_000;
