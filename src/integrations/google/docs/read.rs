//! Fetching a document and writing it as Markdown.

use std::fmt::Write as _;

use super::super::refs::{FileRef, seen};
use super::markdown::{markdown, outline};
use super::model::{Document, FIELDS, Tab};
use super::page::{Block, blocks, footnote_numbers, footnotes};
use crate::kit::error::ToolError;
use crate::kit::text;
use crate::kit::tool::Cx;

/// Largest answer read for a document. Its JSON is many times its text.
const MAX_BYTES: usize = 24 * 1024 * 1024;

/// Which part of a document is wanted.
#[derive(Clone, Copy, Debug, Default)]
pub(in super::super) struct Part<'a> {
    /// A tab's id or title; all of them when empty.
    pub(in super::super) tab: &'a str,
    /// Only the headings.
    pub(in super::super) outline: bool,
}

/// A document as Markdown.
#[derive(Debug)]
pub(in super::super) struct Text {
    pub(in super::super) title: String,
    pub(in super::super) markdown: String,
    pub(in super::super) revision: Option<String>,
    /// Ids and titles of its tabs, when it has several.
    pub(in super::super) tabs: Vec<(String, String)>,
}

/// How suggestions show: what was suggested changes places, so an edit has to see it and a reader should not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum View {
    Accepted,
    AsIs,
}

/// The document as the API has it.
pub(super) async fn document(cx: &Cx, file: &FileRef, view: View) -> Result<Document, ToolError> {
    let suggestions = match view {
        View::Accepted => "PREVIEW_WITHOUT_SUGGESTIONS",
        View::AsIs => "SUGGESTIONS_INLINE",
    };
    let request = cx
        .api
        .at("docs")
        .get(&["v1", "documents", file.id()])
        .query("includeTabsContent", true)
        .query("suggestionsViewMode", suggestions)
        .query("fields", FIELDS)
        .max_bytes(MAX_BYTES);
    seen(cx, &format!("document {file}"), request.send().await)
}

/// All tabs, those within others behind them.
pub(super) fn tabs(document: &Document) -> Vec<&Tab> {
    fn walk<'a>(tabs: &'a [Tab], found: &mut Vec<&'a Tab>) {
        for tab in tabs {
            found.push(tab);
            walk(&tab.child_tabs, found);
        }
    }
    let mut found = Vec::new();
    walk(&document.tabs, &mut found);
    found
}

/// The tab of this id or title.
pub(super) fn tab<'a>(document: &'a Document, wanted: &str) -> Result<&'a Tab, ToolError> {
    let all = tabs(document);
    let by_id = all.iter().find(|tab| tab.tab_properties.tab_id == wanted);
    let by_title = || {
        let mut named = all.iter().filter(|tab| {
            let title = tab.tab_properties.title.trim();
            title.to_lowercase() == wanted.trim().to_lowercase()
        });
        named.next().filter(|_| named.next().is_none())
    };
    by_id.or_else(by_title).copied().ok_or_else(|| {
        let names = all.iter().map(|tab| {
            let tab = &tab.tab_properties;
            format!("{} ({})", tab.title, tab.tab_id)
        });
        ToolError::Invalid(format!(
            "`tab` must be the id of one of the document's tabs, or a title that only one has: {}",
            text::clip(&names.collect::<Vec<_>>().join(", "), 400)
        ))
    })
}

/// The blocks of a tab.
pub(super) fn tab_blocks(tab: &Tab) -> Vec<Block> {
    tab.document_tab.as_ref().map(blocks).unwrap_or_default()
}

/// The document as Markdown.
pub(in super::super) async fn read(
    cx: &Cx,
    file: &FileRef,
    part: Part<'_>,
) -> Result<Text, ToolError> {
    let document = document(cx, file, View::Accepted).await?;
    let all = tabs(&document);
    let chosen = if part.tab.is_empty() {
        all.clone()
    } else {
        vec![tab(&document, part.tab)?]
    };
    let mut out = String::new();
    for tab in &chosen {
        if chosen.len() > 1 {
            let tab = &tab.tab_properties;
            if !out.is_empty() {
                out.push('\n');
            }
            let _ = writeln!(out, "<!-- tab {}: {} -->\n", tab.tab_id, tab.title);
        }
        let found = tab_blocks(tab);
        if part.outline {
            out.push_str(&outline(&found));
        } else {
            out.push_str(&markdown(&found));
            notes(&mut out, tab);
        }
    }
    let names = all.iter().map(|tab| {
        let tab = &tab.tab_properties;
        (tab.tab_id.clone(), tab.title.clone())
    });
    Ok(Text {
        markdown: out,
        tabs: if all.len() > 1 {
            names.collect()
        } else {
            Vec::new()
        },
        revision: document.revision_id.clone(),
        title: document.title,
    })
}

/// The footnotes, behind the text.
fn notes(out: &mut String, tab: &Tab) {
    let Some(content) = &tab.document_tab else {
        return;
    };
    let numbers = footnote_numbers(&content.body.content);
    for (index, (number, words)) in footnotes(content, &numbers).into_iter().enumerate() {
        let before = if index == 0 { "\n" } else { "" };
        let _ = writeln!(out, "{before}[^{number}]: {words}");
    }
}
