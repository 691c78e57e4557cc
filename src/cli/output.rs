//! Printing: data to standard output, words to standard error.

use std::io::{IsTerminal as _, Write as _};

use serde::Serialize;

/// A line for the human, on standard error.
pub(super) fn tell(text: &str) {
    // A closed standard error is nobody's problem.
    let _closed = writeln!(std::io::stderr().lock(), "{text}");
}

/// A line of data, on standard output.
pub(super) fn line(text: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    match writeln!(out, "{text}").and_then(|()| out.flush()) {
        Ok(()) => Ok(()),
        // `… | head` has read enough.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => std::process::exit(0),
        Err(error) => Err(error.into()),
    }
}

/// One JSON object.
pub(super) fn json(value: &impl Serialize) -> anyhow::Result<()> {
    line(&serde_json::to_string(value)?)
}

/// Rows with a heading, in aligned columns.
pub(super) fn table(heading: &[&str], rows: &[Vec<String>]) -> anyhow::Result<()> {
    let width = |column: usize| {
        let cells = rows
            .iter()
            .filter_map(|row| row.get(column))
            .map(|cell| cell.chars().count());
        cells
            .chain([heading[column].chars().count()])
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = (0..heading.len()).map(width).collect();
    let print = |cells: Vec<&str>| {
        let padded = cells
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:width$}"));
        line(padded.collect::<Vec<_>>().join("  ").trim_end())
    };
    if rows.is_empty() && std::io::stdout().is_terminal() {
        tell("nothing to list");
        return Ok(());
    }
    print(heading.to_vec())?;
    rows.iter()
        .try_for_each(|row| print(row.iter().map(String::as_str).collect()))
}

/// An error with its causes, in one line.
pub(super) fn chain(error: &anyhow::Error) -> String {
    error
        .chain()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}
