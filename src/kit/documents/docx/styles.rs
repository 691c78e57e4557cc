//! What the styles and lists of a Word document say about its paragraphs.

use std::collections::HashMap;

use super::super::xml::Event;
use super::super::zipped::Package;
use super::super::{DocumentError, limits};

#[derive(Default)]
struct Style {
    name: String,
    based_on: Option<String>,
    outline: Option<usize>,
    list: Option<String>,
}

/// The paragraph styles.
#[derive(Default)]
pub(super) struct Styles(HashMap<String, Style>);

/// How many styles one may be based on, one after the other.
const ANCESTORS: usize = 20;

impl Styles {
    pub(super) fn read(package: &mut Package<'_>, part: &str) -> Result<Self, DocumentError> {
        let mut styles = HashMap::new();
        let Some(mut xml) = package.xml(part)? else {
            return Ok(Self(styles));
        };
        let mut open: Option<(String, Style)> = None;
        loop {
            match xml.next()? {
                Event::Open(tag) => match (tag.name(), &mut open) {
                    ("style", _) => {
                        open = tag.get("styleId").map(|id| (id, Style::default()));
                    }
                    ("name", Some((_, style))) => {
                        style.name = tag.get("val").unwrap_or_default().to_lowercase();
                    }
                    ("basedOn", Some((_, style))) => style.based_on = tag.get("val"),
                    ("outlineLvl", Some((_, style))) => {
                        style.outline = tag.get("val").and_then(|level| level.parse().ok());
                    }
                    ("numId", Some((_, style))) => style.list = tag.get("val"),
                    _ => {}
                },
                Event::Close(name) if name == "style" => {
                    if styles.len() < limits::ENTRIES {
                        styles.extend(open.take());
                    }
                }
                Event::Close(_) | Event::Text(_) => {}
                Event::Eof => return Ok(Self(styles)),
            }
        }
    }

    fn with_ancestors(&self, id: &str) -> impl Iterator<Item = &Style> {
        std::iter::successors(self.0.get(id), |style| {
            self.0.get(style.based_on.as_deref()?)
        })
        .take(ANCESTORS)
    }

    /// The level of the heading that paragraphs of this style are.
    pub(super) fn heading(&self, id: &str) -> Option<usize> {
        let from_name = |name: &str| match name {
            "title" => Some(1),
            name => name
                .strip_prefix("heading ")
                .and_then(|level| level.parse().ok()),
        };
        // A document without styles still names them.
        let named = || {
            id.strip_prefix("Heading")
                .and_then(|level| level.parse().ok())
                .filter(|_| self.0.is_empty())
        };
        self.with_ancestors(id)
            .find_map(|style| {
                let outlined = style.outline.filter(|level| *level < 9);
                from_name(&style.name).or(outlined.map(|level| level + 1))
            })
            .or_else(named)
            .filter(|level| (1..=9).contains(level))
    }

    /// The list that paragraphs of this style are items of.
    pub(super) fn list(&self, id: &str) -> Option<&str> {
        self.with_ancestors(id)
            .find_map(|style| style.list.as_deref())
    }
}

/// Which levels of which lists have numbers.
#[derive(Default)]
pub(super) struct Numbering {
    /// The definition that a list uses.
    lists: HashMap<String, String>,
    /// For each level of a definition, whether it counts.
    levels: HashMap<String, [Option<bool>; LEVELS]>,
}

/// How many levels a list has (ECMA-376 Part 1, section 17.9).
const LEVELS: usize = 9;

impl Numbering {
    pub(super) fn read(package: &mut Package<'_>, part: &str) -> Result<Self, DocumentError> {
        let mut numbering = Self::default();
        let Some(mut xml) = package.xml(part)? else {
            return Ok(numbering);
        };
        let mut definition = String::new();
        let mut levels = [None; LEVELS];
        let mut list = String::new();
        let mut level = 0;
        loop {
            match xml.next()? {
                Event::Open(tag) => match tag.name() {
                    "abstractNum" => {
                        definition = tag.get("abstractNumId").unwrap_or_default();
                        levels = [None; LEVELS];
                    }
                    "lvl" => {
                        level = tag
                            .get("ilvl")
                            .and_then(|level| level.parse().ok())
                            .unwrap_or(0);
                    }
                    "numFmt" => {
                        let kind = tag.get("val");
                        let counts = !matches!(kind.as_deref(), Some("bullet" | "none") | None);
                        // What is said first holds.
                        if let Some(known) = levels.get_mut(level) {
                            known.get_or_insert(counts);
                        }
                    }
                    "num" => list = tag.get("numId").unwrap_or_default(),
                    "abstractNumId" if numbering.lists.len() < limits::ENTRIES => {
                        if let Some(definition) = tag.get("val") {
                            numbering.lists.insert(list.clone(), definition);
                        }
                    }
                    _ => {}
                },
                // A definition's name is kept once, however long it is.
                Event::Close(name) if name == "abstractNum" => {
                    if numbering.levels.len() < limits::ENTRIES {
                        let name = std::mem::take(&mut definition);
                        numbering.levels.entry(name).or_insert(levels);
                    }
                }
                Event::Close(_) | Event::Text(_) => {}
                Event::Eof => return Ok(numbering),
            }
        }
    }

    pub(super) fn is_numbered(&self, list: &str, level: usize) -> bool {
        self.lists
            .get(list)
            .and_then(|definition| self.levels.get(definition)?.get(level).copied()?)
            .unwrap_or(false)
    }
}

/// Where each list has counted to.
#[derive(Default)]
pub(super) struct Counters {
    counts: HashMap<String, [u32; LEVELS]>,
    /// How wide the markers of the levels above are.
    widths: [usize; LEVELS],
}

impl Counters {
    /// The marker of the next item, indented below the item it belongs to.
    pub(super) fn marker(&mut self, list: &str, level: usize, numbered: bool) -> String {
        let level = level.min(LEVELS - 1);
        if self.counts.len() > limits::ENTRIES {
            self.counts.clear();
        }
        let counts = self.counts.entry(list.to_owned()).or_default();
        counts[level] = counts[level].saturating_add(1);
        counts[level + 1..].fill(0);
        let marker = if numbered {
            format!("{}. ", counts[level])
        } else {
            "- ".to_owned()
        };
        self.widths[level] = marker.len();
        let indent: usize = self.widths[..level]
            .iter()
            .map(|width| (*width).max(2))
            .sum();
        format!("{}{marker}", " ".repeat(indent))
    }
}
