//! CSV files, by ranges of cells.

use super::sheet::Rows;
use super::work::Work;
use super::{DocumentError, Extracted, limits, paging};

pub(super) fn read(bytes: &[u8], work: &Work) -> Result<Extracted, DocumentError> {
    let text = paging::decode(bytes);
    let mut rows = Rows::new(work)?;
    let mut reader = ::csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(delimiter(&text))
        .from_reader(text.as_bytes());
    let mut record = ::csv::StringRecord::new();
    let mut row: u32 = 0;
    while reader
        .read_record(&mut record)
        .map_err(|error| DocumentError::Malformed {
            format: "CSV file",
            reason: crate::kit::text::printable(&error.to_string()),
        })?
    {
        row = row.saturating_add(1);
        if row.is_multiple_of(1024) {
            work.go_on()?;
        }
        if !rows.wants(row) {
            continue;
        }
        let cells: Vec<(u32, String)> = (1..)
            .zip(&record)
            .take_while(|(column, _)| *column <= limits::COLUMNS)
            .filter(|(column, _)| rows.wants_column(*column))
            .map(|(column, cell)| (column, cell.to_owned()))
            .collect();
        rows.row(row, &cells)?;
    }
    Ok(rows.finish(row))
}

/// What separates the values: the one of comma, semicolon, tab and bar that the first line has most of, outside quotes.
pub(super) fn delimiter(text: &str) -> u8 {
    let mut counts = [(b',', 0), (b';', 0), (b'\t', 0), (b'|', 0)];
    let mut quoted = false;
    for byte in text.bytes().take(64 * 1024) {
        match byte {
            b'"' => quoted = !quoted,
            b'\n' if !quoted => break,
            byte if !quoted => {
                if let Some((_, count)) = counts.iter_mut().find(|(known, _)| *known == byte) {
                    *count += 1;
                }
            }
            _ => {}
        }
    }
    counts
        .iter()
        .rev()
        .max_by_key(|(_, count)| *count)
        .map_or(b',', |(known, _)| *known)
}
