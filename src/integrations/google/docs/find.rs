//! Finding the places that edits name: a heading, or a quotation of the text.

use super::page::{Block, Kind, OBJECT, Para, units};
use super::parse;
use crate::kit::text::clip;

/// A paragraph, wherever it is.
pub(super) struct Spot<'a> {
    /// Its index among the blocks; within tables row, column and index again for each level.
    pub(super) path: Vec<usize>,
    pub(super) start: u32,
    pub(super) end: u32,
    pub(super) para: &'a Para,
}

/// All paragraphs in reading order, those in tables included.
pub(super) fn spots(blocks: &[Block]) -> Vec<Spot<'_>> {
    let mut found = Vec::new();
    walk(blocks, &[], &mut found);
    found
}

fn walk<'a>(blocks: &'a [Block], before: &[usize], found: &mut Vec<Spot<'a>>) {
    for (index, block) in blocks.iter().enumerate() {
        let path = |more: &[usize]| [before, &[index], more].concat();
        match &block.kind {
            Kind::Para(para) => found.push(Spot {
                path: path(&[]),
                start: block.start,
                end: block.end,
                para,
            }),
            Kind::Table(rows) => {
                for (row, cells) in rows.iter().enumerate() {
                    for (column, cell) in cells.iter().enumerate() {
                        walk(cell, &path(&[row, column]), found);
                    }
                }
            }
            Kind::Fixed(_) => {}
        }
    }
}

/// The list of blocks that holds the last index of `path`.
pub(super) fn container<'a>(
    blocks: &'a mut Vec<Block>,
    path: &[usize],
) -> Option<&'a mut Vec<Block>> {
    match path {
        [index, row, column, rest @ ..] => match &mut blocks.get_mut(*index)?.kind {
            Kind::Table(rows) => container(rows.get_mut(*row)?.get_mut(*column)?, rest),
            Kind::Para(_) | Kind::Fixed(_) => None,
        },
        _ => Some(blocks),
    }
}

/// A quotation within a paragraph.
pub(super) struct Quote<'a> {
    pub(super) spot: &'a Spot<'a>,
    /// Where in the paragraph's text, in bytes.
    pub(super) from: usize,
    pub(super) to: usize,
}

impl Quote<'_> {
    /// Where in the document.
    pub(super) fn range(&self) -> (u32, u32) {
        let text = self.spot.para.text();
        let start = self.spot.start + units(&text[..self.from]);
        (start, start + units(&text[self.from..self.to]))
    }
}

/// Every place where the text stands. What is quoted with Markdown's marks is looked for without them too.
pub(super) fn quotes<'a>(spots: &'a [Spot<'a>], text: &str) -> Vec<Quote<'a>> {
    let found = exact(spots, text);
    if found.is_empty() {
        let bare = parse::bare(text);
        if bare != text {
            return exact(spots, &bare);
        }
    }
    found
}

fn exact<'a>(spots: &'a [Spot<'a>], text: &str) -> Vec<Quote<'a>> {
    if text.is_empty() || text.contains(OBJECT) {
        return Vec::new();
    }
    let mut found = Vec::new();
    for spot in spots {
        let whole = spot.para.text();
        found.extend(whole.match_indices(text).map(|(from, matched)| Quote {
            spot,
            from,
            to: from + matched.len(),
        }));
    }
    found
}

/// The only place of a quotation, or why there is none.
pub(super) fn quote<'a>(spots: &'a [Spot<'a>], text: &str) -> Result<Quote<'a>, String> {
    if text.trim().is_empty() {
        return Err("needs `at`, a quotation of the document".to_owned());
    }
    let mut found = quotes(spots, text);
    if found.len() > 1 {
        // A whole paragraph is meant before a part of another one.
        let whole = |quote: &Quote<'_>| {
            let length = quote.spot.para.text().trim().len();
            quote.to - quote.from == length
        };
        if found.iter().filter(|quote| whole(quote)).count() == 1 {
            found.retain(whole);
        }
    }
    match found.len() {
        1 => found.pop().ok_or_else(String::new),
        0 => Err(format!(
            "“{}” is not in this tab; quote it as google_read_file shows it, within one paragraph",
            clip(text, 80)
        )),
        many => Err(format!(
            "“{}” stands in {many} places; quote more of the one that is meant",
            clip(text, 80)
        )),
    }
}

/// The only heading with these words, as the index of its block. `## Words` asks for that level.
pub(super) fn heading(blocks: &[Block], wanted: &str) -> Result<usize, String> {
    let words = wanted.trim_start_matches('#');
    let level = wanted.len() - words.len();
    let words = parse::bare(words.trim()).to_lowercase();
    let all: Vec<(usize, u8, String)> = blocks
        .iter()
        .enumerate()
        .filter_map(|(index, block)| {
            let para = block.para()?;
            let text = para.text().trim().to_owned();
            Some((index, para.style.level()?, text)).filter(|(.., text)| !text.is_empty())
        })
        .collect();
    let mut found: Vec<_> = all
        .iter()
        .filter(|(.., text)| text.to_lowercase() == words)
        .collect();
    if found.len() > 1 && level > 0 {
        found.retain(|(_, found, _)| usize::from((*found).max(1)) == level);
    }
    match found.as_slice() {
        [(index, ..)] => Ok(*index),
        [] => {
            let names: Vec<_> = all.iter().map(|(.., text)| text.as_str()).collect();
            Err(format!(
                "there is no heading “{}” in this tab; its headings are: {}",
                clip(wanted, 80),
                clip(&names.join(" · "), 400)
            ))
        }
        several => Err(format!(
            "{} headings are called “{}”; use insert_after with a quotation of the one that is meant",
            several.len(),
            clip(wanted, 80)
        )),
    }
}
