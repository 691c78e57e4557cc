//! A presentation as an outline.

use std::fmt::Write as _;

use super::super::refs::{FileRef, seen};
use super::model::{Element, FIELDS, Presentation, Slide};
use crate::kit::error::ToolError;
use crate::kit::tool::Cx;

/// Largest answer read for a presentation.
const MAX_BYTES: usize = 24 * 1024 * 1024;

/// A presentation as Markdown.
#[derive(Debug)]
pub(in super::super) struct Deck {
    pub(in super::super) title: String,
    /// One text for each slide.
    pub(in super::super) slides: Vec<String>,
    pub(in super::super) revision: Option<String>,
}

/// The presentation as the API has it.
pub(super) async fn presentation(cx: &Cx, file: &FileRef) -> Result<Presentation, ToolError> {
    let request = cx
        .api
        .at("slides")
        .get(&["v1", "presentations", file.id()])
        .query("fields", FIELDS)
        .max_bytes(MAX_BYTES);
    seen(cx, &format!("presentation {file}"), request.send().await)
}

/// The presentation as an outline.
pub(in super::super) async fn deck(cx: &Cx, file: &FileRef) -> Result<Deck, ToolError> {
    let found = presentation(cx, file).await?;
    let slides = (1..)
        .zip(&found.slides)
        .map(|(number, slide)| page(number, slide));
    Ok(Deck {
        slides: slides.collect(),
        title: found.title,
        revision: found.revision_id,
    })
}

/// A slide with its number, text and notes.
fn page(number: usize, slide: &Slide) -> String {
    let title = slide.title().map(Element::text).unwrap_or_default();
    let mut out = format!("## {number}. {}\n", one_line(&title));
    let text = body(slide);
    if !text.is_empty() {
        let _ = writeln!(out, "\n{text}");
    }
    let notes = slide.notes();
    if !notes.is_empty() {
        let _ = writeln!(out, "\n> Notes: {}", notes.replace('\n', "\n> "));
    }
    out
}

/// A text on one line.
pub(super) fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Everything on a slide but its title.
pub(super) fn body(slide: &Slide) -> String {
    let title = slide.title().map(|element| element.object_id.as_str());
    let elements = slide.page_elements.iter();
    let others = elements.filter(|element| Some(element.object_id.as_str()) != title);
    let mut parts = Vec::new();
    for element in others {
        write(element, &mut parts);
    }
    parts.join("\n\n")
}

fn write(element: &Element, parts: &mut Vec<String>) {
    if let Some(shape) = &element.shape {
        let role = shape
            .placeholder
            .as_ref()
            .map_or("", |role| role.kind.as_str());
        let text = shape.text.markdown();
        if !text.is_empty() && !matches!(role, "SLIDE_NUMBER" | "DATE_AND_TIME" | "FOOTER") {
            parts.push(text);
        }
    } else if let Some(table) = &element.table {
        let rows = table.table_rows.iter().enumerate().map(|(index, row)| {
            let cells = row
                .table_cells
                .iter()
                .map(|cell| one_line(&cell.text.plain()).replace('|', "\\|"));
            let cells: Vec<_> = cells.collect();
            let line = format!("| {} |", cells.join(" | "));
            if index == 0 {
                format!("{line}\n|{}", " --- |".repeat(cells.len()))
            } else {
                line
            }
        });
        parts.push(rows.collect::<Vec<_>>().join("\n"));
    } else if let Some(group) = &element.element_group {
        for child in &group.children {
            write(child, parts);
        }
    } else if element.image.is_some() {
        let words = [&element.title, &element.description];
        let words: Vec<_> = words
            .into_iter()
            .filter(|words| !words.is_empty())
            .cloned()
            .collect();
        let source = element
            .image
            .as_ref()
            .map_or("", |image| image.source_url.as_str());
        let words = if words.is_empty() {
            source.to_owned()
        } else {
            words.join(", ")
        };
        parts.push(format!("[image {}: {words}]", element.object_id));
    } else if let Some(video) = &element.video {
        parts.push(format!("[video: {}]", video.url));
    }
}
