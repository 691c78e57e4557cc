//! Ranges of cells, and the rows of a range as CSV: what workbooks and CSV files have in common.

use super::work::Work;
use super::{DocumentError, Extracted, limits};

/// A block of cells, from 1, ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) columns: (u32, u32),
    pub(super) rows: (u32, u32),
}

impl Range {
    /// All columns of the first rows.
    pub(super) const BEGINNING: Self = Self {
        columns: (1, limits::COLUMNS),
        rows: (1, limits::ROWS_AT_A_TIME),
    };

    /// `A1:D20`, `B2`, `B:C`, `10:20`, with `$` and the name of the sheet allowed.
    pub(super) fn parse(text: &str) -> Result<Self, DocumentError> {
        let wrong = || DocumentError::BadRange(crate::kit::text::clip(text, 60));
        let cells = text.rsplit_once('!').map_or(text, |(_, cells)| cells);
        let cells = cells.trim().replace('$', "");
        let (first, last) = cells.split_once(':').unwrap_or((&cells, &cells));
        let (first, last) = (
            corner(first.trim()).ok_or_else(wrong)?,
            corner(last.trim()).ok_or_else(wrong)?,
        );
        let side = |first: Option<u32>, last: Option<u32>, most: u32| match (first, last) {
            (Some(first), Some(last)) if first <= last => Some((first, last.min(most))),
            // `A5:D`: to the end.
            (Some(first), None) => Some((first, most)),
            (None, None) => Some((1, most)),
            _ => None,
        };
        Ok(Self {
            columns: side(first.0, last.0, limits::COLUMNS).ok_or_else(wrong)?,
            rows: side(first.1, last.1, limits::ROWS).ok_or_else(wrong)?,
        })
    }

    /// In the notation that it was parsed from.
    pub(super) fn print(self) -> String {
        if self.columns == (1, limits::COLUMNS) {
            return format!("{}:{}", self.rows.0, self.rows.1);
        }
        format!(
            "{}{}:{}{}",
            letters(self.columns.0),
            self.rows.0,
            letters(self.columns.1),
            self.rows.1
        )
    }
}

/// Column and row of a corner; either may be missing, not both.
fn corner(text: &str) -> Option<(Option<u32>, Option<u32>)> {
    let end = text
        .find(|c: char| !c.is_ascii_alphabetic())
        .unwrap_or(text.len());
    let (letters, digits) = text.split_at(end);
    if text.is_empty() || digits.contains(|c: char| !c.is_ascii_digit()) {
        return None;
    }
    let column = match letters {
        "" => None,
        letters => Some(column(letters.as_bytes())?),
    };
    let row = match digits {
        "" => None,
        digits => Some(
            digits
                .parse()
                .ok()
                .filter(|row| (1..=limits::ROWS).contains(row))?,
        ),
    };
    Some((column, row))
}

/// The number of a column.
pub(super) fn column(letters: &[u8]) -> Option<u32> {
    let mut number: u32 = 0;
    for letter in letters {
        if !letter.is_ascii_alphabetic() {
            return None;
        }
        number = number
            .checked_mul(26)?
            .checked_add(u32::from(letter.to_ascii_uppercase() - b'A') + 1)?;
        if number > limits::COLUMNS {
            return None;
        }
    }
    (number > 0).then_some(number)
}

/// The letters of a column.
pub(super) fn letters(mut column: u32) -> String {
    let mut out = Vec::new();
    while column > 0 {
        let digit = (column - 1) % 26;
        out.push(char::from(b'A' + u8::try_from(digit).unwrap_or(0)));
        column = (column - 1) / 26;
    }
    out.iter().rev().collect()
}

/// The rows that were asked for, written as CSV while they are read.
pub(super) struct Rows<'a> {
    work: &'a Work,
    range: Range,
    out: String,
    chars: usize,
    cells: usize,
    /// The row that did not fit any more.
    full_at: Option<u32>,
    /// The last row written.
    last: u32,
    /// The header, when the range begins below it.
    header: bool,
}

impl<'a> Rows<'a> {
    pub(super) fn new(work: &'a Work) -> Result<Self, DocumentError> {
        let range = match &work.wanted.range {
            Some(range) => Range::parse(range)?,
            None => Range::BEGINNING,
        };
        Ok(Self {
            work,
            range,
            out: String::new(),
            chars: 0,
            cells: 0,
            full_at: None,
            last: 0,
            header: false,
        })
    }

    /// Whether this row is wanted: in the range, or the first, which names the columns.
    pub(super) fn wants(&self, row: u32) -> bool {
        self.full_at.is_none()
            && (row == 1 || (self.range.rows.0..=self.range.rows.1).contains(&row))
    }

    /// Whether nothing from this row on is wanted.
    pub(super) fn over(&self, row: u32) -> bool {
        self.full_at.is_some() || row > self.range.rows.1
    }

    /// Whether this column is wanted.
    pub(super) fn wants_column(&self, column: u32) -> bool {
        (self.range.columns.0..=self.range.columns.1).contains(&column)
    }

    /// Takes a row: its cells by their column, ascending. Rows come ascending; empty ones may be missing.
    pub(super) fn row(&mut self, row: u32, cells: &[(u32, String)]) -> Result<(), DocumentError> {
        self.work.go_on()?;
        if !self.wants(row) {
            return Ok(());
        }
        let (first, end) = self.range.columns;
        let mut line = String::new();
        let mut next = first;
        for (column, cell) in cells {
            if *column < next || *column > end || cell.is_empty() {
                continue;
            }
            for _ in next..*column {
                line.push(',');
            }
            quote(&mut line, cell);
            next = *column;
        }
        line.push('\n');
        let chars = line.chars().count();
        if self.last > 0
            && (self.chars + chars > self.work.wanted.max_chars
                || self.cells + cells.len() > limits::CELLS)
        {
            self.full_at = Some(row);
            return Ok(());
        }
        // Empty rows between others keep the numbering right, unless somebody left thousands of them.
        let expected = if self.last == 0 || (self.header && self.last == 1) {
            self.range.rows.0.max(self.last + 1)
        } else {
            self.last + 1
        };
        if row > expected && row - expected <= 20 && row >= self.range.rows.0 {
            for _ in expected..row {
                self.out.push('\n');
            }
        }
        self.header |= row == 1 && self.range.rows.0 > 1;
        self.chars += chars;
        self.cells += cells.len();
        self.last = row;
        self.out.push_str(&line);
        Ok(())
    }

    /// The answer. `rows` is how many rows there are in all.
    pub(super) fn finish(self, rows: u32) -> Extracted {
        let mut notes = Vec::new();
        let shown_from = self.range.rows.0;
        let shown_to = self
            .full_at
            .map_or(self.range.rows.1, |at| at - 1)
            .min(rows);
        let more = shown_to < rows && (self.full_at.is_some() || self.work.wanted.range.is_none());
        if rows == 0 {
            notes.push("there are no cells with values".to_owned());
        } else if shown_from > rows {
            notes.push(format!("the last row with values is {rows}"));
        } else if shown_from > 1 || shown_to < rows {
            let first_row = if self.header {
                ", after row 1, which names the columns"
            } else {
                ""
            };
            notes.push(format!(
                "rows {shown_from} to {shown_to} of {rows}{first_row}"
            ));
        }
        if more {
            let size = (shown_to + 1).saturating_sub(shown_from).max(1);
            let next = Range {
                columns: self.range.columns,
                rows: (
                    shown_to + 1,
                    shown_to.saturating_add(size).min(limits::ROWS),
                ),
            };
            notes.push(format!("for the next rows ask for range {}", next.print()));
        }
        let text = super::paging::prefix(&self.out, self.work.wanted.max_chars).to_owned();
        if text.len() < self.out.len() {
            notes.push("a row is longer than the answer may be: ask for fewer columns".to_owned());
        }
        Extracted {
            truncated: more || text.len() < self.out.len(),
            text,
            media: "text/csv",
            total: None,
            parts: Vec::new(),
            next_page: None,
            notes,
        }
    }
}

/// A value as CSV has it.
fn quote(line: &mut String, value: &str) {
    if value.contains([',', '"', '\n', '\r']) || value.starts_with(' ') || value.ends_with(' ') {
        line.push('"');
        line.push_str(&value.replace('"', "\"\""));
        line.push('"');
    } else {
        line.push_str(value);
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test says what went wrong by failing")]
    use super::*;

    #[test]
    fn ranges_are_read() {
        for (text, columns, rows) in [
            ("A1:D20", (1, 4), (1, 20)),
            ("b2", (2, 2), (2, 2)),
            ("$B:$C", (2, 3), (1, limits::ROWS)),
            ("10:20", (1, limits::COLUMNS), (10, 20)),
            ("'My sheet'!A501:AB1000", (1, 28), (501, 1000)),
            ("A5:D", (1, 4), (5, limits::ROWS)),
        ] {
            let range = Range::parse(text).unwrap();
            assert_eq!((range.columns, range.rows), (columns, rows), "{text}");
        }
        for wrong in [
            "",
            "A",
            "1:",
            ":",
            "D1:A1",
            "A0",
            "A1:B2:C3",
            "ZZZZ1",
            "A99999999",
            "Ä1",
        ] {
            if wrong == "A" {
                // A whole column.
                assert_eq!(Range::parse(wrong).unwrap().columns, (1, 1));
                continue;
            }
            assert!(Range::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn columns_have_letters() {
        for (number, name) in [
            (1, "A"),
            (26, "Z"),
            (27, "AA"),
            (702, "ZZ"),
            (703, "AAA"),
            (16384, "XFD"),
        ] {
            assert_eq!(letters(number), name);
            assert_eq!(column(name.as_bytes()), Some(number));
        }
        assert_eq!(column(b"XFE"), None);
    }
}
