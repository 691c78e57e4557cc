//! What stands above and below the pages of a Word document.

use std::collections::HashMap;

use super::super::markdown::flat;
use super::super::zipped::{Package, Relation};
use super::Body;
use super::styles::{Numbering, Styles};
use crate::kit::documents::DocumentError;
use crate::kit::text::clip;

/// Headers and footers that are read: a section has up to three of each (for the first, the even and the other pages).
const PARTS: usize = 12;

/// How much of one is shown, in characters.
const CHARS: usize = 500;

/// The headers and footers that say something, each once and on one line. They are short and the same on all pages, so
/// they stand apart from the text. One that is damaged is left out: the document can be read without it.
pub(super) fn read(
    package: &mut Package<'_>,
    links: &HashMap<String, Relation>,
    styles: &Styles,
    numbering: &Numbering,
) -> Result<Vec<String>, DocumentError> {
    let mut parts: Vec<(bool, &str)> = links
        .values()
        .filter(|to| matches!(&*to.kind, "header" | "footer"))
        .map(|to| (to.kind == "footer", to.target.as_str()))
        .collect();
    parts.sort_unstable();
    parts.dedup();
    let mut lines: Vec<String> = Vec::new();
    for (footer, part) in parts.into_iter().take(PARTS) {
        let text = match of_part(package, part, styles, numbering) {
            Err(DocumentError::Malformed { .. }) => continue,
            text => flat(&text?, " / "),
        };
        // The number of a page says nothing here.
        if !text.contains(char::is_alphabetic) {
            continue;
        }
        let what = if footer { "Footer" } else { "Header" };
        let line = format!("{what} of the pages: {}", clip(&text, CHARS));
        if !lines.contains(&line) {
            lines.push(line);
        }
    }
    Ok(lines)
}

fn of_part(
    package: &mut Package<'_>,
    part: &str,
    styles: &Styles,
    numbering: &Numbering,
) -> Result<String, DocumentError> {
    let links = package.relations(part)?;
    let Some(xml) = package.xml(part)? else {
        return Ok(String::new());
    };
    let mut body = Body::new(styles, numbering, &links);
    body.read(xml)?;
    Ok(body.finish().0)
}
