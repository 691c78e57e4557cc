//! Edits as one batch: each is placed in the document as it was read, and the batch goes from the end to the beginning,
//! so that no edit moves the place of another. The same changes are made to the blocks, which is what a dry run shows.

use schemars::JsonSchema;
use serde::Deserialize;

use super::find::{Quote, Spot, container, heading, quote, quotes, spots};
use super::page::{Block, Kind, Marks, Para, Run, Style, units};
use super::parse;
use super::step::{Place, Step, write};

/// Longest comment that Docs takes, in UTF-8 bytes.
const COMMENT_BYTES: usize = 2_048;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub(super) enum Op {
    ReplaceText,
    InsertAfter,
    ReplaceSection,
    Append,
    Style,
    Comment,
}

impl Op {
    const fn word(self) -> &'static str {
        match self {
            Self::ReplaceText => "replace_text",
            Self::InsertAfter => "insert_after",
            Self::ReplaceSection => "replace_section",
            Self::Append => "append",
            Self::Style => "style",
            Self::Comment => "comment",
        }
    }
}

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub(super) struct Edit {
    /// What.
    pub(super) op: Op,
    /// `# Heading` or a quote occurring once.
    #[serde(default)]
    pub(super) at: String,
    /// Markdown, tables too; a comment; or a style: bold, italic, strike, code, plain, normal, h1-h6, or a URL.
    #[serde(default)]
    pub(super) text: String,
    /// Replace every occurrence.
    #[serde(default)]
    pub(super) all: bool,
}

/// A style that an edit gives.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Look {
    Plain,
    Marks(Marks),
    Paragraph(Style),
}

/// What an edit does to the blocks.
enum Change {
    /// Other text for a part of a paragraph.
    Text {
        path: Vec<usize>,
        part: (usize, usize),
        runs: Vec<Run>,
    },
    /// The paragraph goes.
    Drop {
        path: Vec<usize>,
    },
    /// New blocks behind this one.
    Insert {
        path: Vec<usize>,
        blocks: Vec<Block>,
    },
    /// New blocks instead of these.
    Section {
        from: usize,
        to: usize,
        blocks: Vec<Block>,
    },
    Look {
        path: Vec<usize>,
        part: (usize, usize),
        look: Look,
    },
    Nothing,
}

/// An edit at its place.
struct Placed {
    /// Which edit, from 1.
    number: usize,
    /// Those of the same place are carried out last first, so the text of the first stands first.
    order: usize,
    op: Op,
    start: u32,
    end: u32,
    steps: Vec<Step>,
    change: Change,
}

impl Placed {
    /// Looks and comments may lie on each other, for they move nothing.
    const fn moves(&self) -> bool {
        !matches!(self.op, Op::Style | Op::Comment)
    }

    fn overlaps(&self, other: &Self) -> bool {
        if !self.moves() && !other.moves() {
            return false;
        }
        let inside = |point: u32, range: &Self| range.start < point && point < range.end;
        match (self.start == self.end, other.start == other.end) {
            (true, true) => false,
            (true, false) => inside(self.start, other),
            (false, true) => inside(other.start, self),
            (false, false) => self.start.max(other.start) < self.end.min(other.end),
        }
    }
}

/// A batch, and the tab as it will be.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) steps: Vec<Step>,
    pub(super) after: Vec<Block>,
}

/// Places all edits, or says which one cannot be placed and why; then nothing is done at all.
pub(super) fn plan(blocks: &[Block], edits: &[Edit]) -> Result<Plan, String> {
    let all = spots(blocks);
    let mut placed = Vec::new();
    let mut appended: Vec<(usize, &str)> = Vec::new();
    for (index, edit) in edits.iter().enumerate() {
        let number = index + 1;
        if edit.op == Op::Append {
            appended.push((number, &edit.text));
            continue;
        }
        let found = place(blocks, &all, edit, number)
            .map_err(|why| format!("edit {number} ({}): {why}", edit.op.word()))?;
        placed.extend(found);
    }
    if let Some((number, _)) = appended.first() {
        let texts: Vec<&str> = appended.iter().map(|(_, text)| *text).collect();
        let found = append(blocks, &texts.join("\n\n"), *number)
            .map_err(|why| format!("edit {number} (append): {why}"))?;
        placed.push(found);
    }
    // The end first; at the same place what only inserts before what changes the text in front of it.
    placed.sort_by_key(|edit| std::cmp::Reverse((edit.start, edit.order)));
    for (index, edit) in placed.iter().enumerate() {
        if let Some(other) = placed[index + 1..]
            .iter()
            .find(|other| edit.overlaps(other))
        {
            return Err(format!(
                "edit {} ({}) and edit {} ({}) change the same text; make one edit of them",
                other.number,
                other.op.word(),
                edit.number,
                edit.op.word()
            ));
        }
    }
    let mut after = blocks.to_vec();
    let mut steps = Vec::new();
    for edit in placed {
        apply(&mut after, edit.change);
        steps.extend(edit.steps);
    }
    Ok(Plan { steps, after })
}

#[expect(clippy::too_many_lines, reason = "one arm for each kind of edit")]
fn place(
    blocks: &[Block],
    all: &[Spot<'_>],
    edit: &Edit,
    number: usize,
) -> Result<Vec<Placed>, String> {
    let placed = |start, end, steps, change| Placed {
        number,
        order: number,
        op: edit.op,
        start,
        end,
        steps,
        change,
    };
    match edit.op {
        Op::ReplaceText => {
            let found = if edit.all {
                let found = quotes(all, &edit.at);
                if found.is_empty() {
                    quote(all, &edit.at)?;
                }
                found
            } else {
                vec![quote(all, &edit.at)?]
            };
            if edit.text.contains('\n') {
                return Err(
                    "`text` must be one line; use insert_after or replace_section for paragraphs"
                        .to_owned(),
                );
            }
            let runs = parse::inline(&parse::kept(&edit.text));
            let places = found.iter().map(|found| {
                let (start, end, steps, change) = replace(blocks, found, &runs);
                placed(start, end, steps, change)
            });
            Ok(places.collect())
        }
        Op::InsertAfter => {
            let new = some_blocks(&edit.text)?;
            let (path, end) = if edit.at.trim_start().starts_with('#') {
                let index = heading(blocks, edit.at.trim())?;
                (vec![index], blocks[index].end)
            } else {
                let found = one_paragraph(all, &edit.at)?;
                (found.path.clone(), found.end)
            };
            let at = end - 1;
            let steps = write(&new, Place::After(at));
            Ok(vec![placed(
                at,
                at,
                steps,
                Change::Insert { path, blocks: new },
            )])
        }
        Op::ReplaceSection => {
            let index = heading(blocks, edit.at.trim())?;
            let (start, end, steps, change) = section(blocks, index, parse::blocks(&edit.text));
            Ok(vec![placed(start, end, steps, change)])
        }
        Op::Style => {
            let look = look(&edit.text)?;
            let (path, part, (start, end)) = if edit.at.trim_start().starts_with('#') {
                let index = heading(blocks, edit.at.trim())?;
                let length = blocks[index].para().map_or(0, |para| para.text().len());
                let block = &blocks[index];
                (vec![index], (0, length), (block.start, block.end - 1))
            } else {
                let found = quote(all, &edit.at)?;
                (
                    found.spot.path.clone(),
                    (found.from, found.to),
                    found.range(),
                )
            };
            let steps = match &look {
                Look::Plain => vec![Step::Reset { start, end }],
                Look::Marks(marks) => vec![Step::Mark {
                    start,
                    end,
                    marks: marks.clone(),
                }],
                Look::Paragraph(style) => vec![Step::Paragraph {
                    start,
                    end,
                    style: *style,
                }],
            };
            Ok(vec![placed(
                start,
                end,
                steps,
                Change::Look { path, part, look },
            )])
        }
        Op::Comment => {
            let text = edit.text.trim();
            if text.is_empty() || text.len() > COMMENT_BYTES {
                return Err(format!("`text` must have 1 to {COMMENT_BYTES} bytes"));
            }
            let (start, end) = quote(all, &edit.at)?.range();
            let steps = vec![Step::Comment {
                start,
                end,
                text: text.to_owned(),
            }];
            Ok(vec![placed(start, end, steps, Change::Nothing)])
        }
        Op::Append => Ok(Vec::new()),
    }
}

/// The only paragraph that the text is quoted from, however often it stands in that one.
fn one_paragraph<'a>(all: &'a [Spot<'a>], text: &str) -> Result<&'a Spot<'a>, String> {
    let found = quotes(all, text);
    match found.as_slice() {
        [first, rest @ ..] if rest.iter().all(|other| other.spot.path == first.spot.path) => {
            Ok(first.spot)
        }
        _ => quote(all, text).map(|found| found.spot),
    }
}

fn some_blocks(text: &str) -> Result<Vec<Block>, String> {
    let new = parse::blocks(text);
    if new.is_empty() {
        return Err("needs `text` in Markdown".to_owned());
    }
    Ok(new)
}

fn look(text: &str) -> Result<Look, String> {
    let text = text.trim();
    let mut marks = Marks::default();
    match text {
        "bold" => marks.bold = true,
        "italic" => marks.italic = true,
        "strike" => marks.strike = true,
        "code" => marks.code = true,
        "plain" => return Ok(Look::Plain),
        "normal" => return Ok(Look::Paragraph(Style::Normal)),
        "title" => return Ok(Look::Paragraph(Style::Title)),
        url if url.starts_with("https://") || url.starts_with("mailto:") => {
            marks.link = Some(url.to_owned());
        }
        other => {
            let level = other.strip_prefix('h').and_then(|level| level.parse().ok());
            return match level {
                Some(level @ 1..=6) => Ok(Look::Paragraph(Style::Heading(level))),
                _ => Err("`text` must be bold, italic, strike, code, plain, normal, title, h1 to h6 or an https address".to_owned()),
            };
        }
    }
    Ok(Look::Marks(marks))
}

/// Other text for a quotation. The new text goes in behind the old one before that goes, and so looks like it.
fn replace(blocks: &[Block], found: &Quote<'_>, runs: &[Run]) -> (u32, u32, Vec<Step>, Change) {
    let (start, end) = found.range();
    let spot = found.spot;
    let text: String = runs.iter().map(|run| run.text.as_str()).collect();
    if text.is_empty() && spot.para.text().len() == found.to - found.from {
        // Nothing is left of the paragraph, so its line break goes too; the API keeps one before a table and at the end.
        let is_top = spot.path.len() == 1;
        let next = spot.path.first().and_then(|index| blocks.get(index + 1));
        if is_top && next.is_some_and(|next| next.para().is_some() && next.start == spot.end) {
            let (start, end) = (spot.start, spot.end);
            let path = spot.path.clone();
            return (
                start,
                end,
                vec![Step::Delete { start, end }],
                Change::Drop { path },
            );
        }
    }
    let mut steps = Vec::new();
    if !text.is_empty() {
        steps.push(Step::Insert { at: end, text });
    }
    steps.push(Step::Delete { start, end });
    let mut at = start;
    for run in runs {
        let end = at + units(&run.text);
        if run.marks != Marks::default() {
            steps.push(Step::Mark {
                start: at,
                end,
                marks: run.marks.clone(),
            });
        }
        at = end;
    }
    let change = Change::Text {
        path: spot.path.clone(),
        part: (found.from, found.to),
        runs: runs.to_vec(),
    };
    (start, end, steps, change)
}

/// Other content below a heading, up to the next one that is not deeper.
fn section(blocks: &[Block], index: usize, new: Vec<Block>) -> (u32, u32, Vec<Step>, Change) {
    let level = |block: &Block| block.para().and_then(|para| para.style.level());
    let own = level(&blocks[index]);
    let rest = &blocks[index + 1..];
    let length = rest
        .iter()
        .position(|block| level(block).is_some_and(|level| Some(level) <= own));
    let to = index + 1 + length.unwrap_or(rest.len());
    let start = blocks[index].end;
    let change = |blocks| Change::Section {
        from: index + 1,
        to,
        blocks,
    };
    let Some(last) = blocks[index + 1..to].last() else {
        let at = start - 1;
        return (at, at, write(&new, Place::After(at)), change(new));
    };
    let end = last.end;
    let mut steps = Vec::new();
    if last.para().is_none() || (new.is_empty() && to < blocks.len()) {
        // All of it goes, and the heading's own line break is what the new text comes behind.
        steps.push(Step::Delete { start, end });
        steps.extend(write(&new, Place::After(start - 1)));
    } else {
        // The last line break stays, because that of a document's end has to, and the new text goes before it.
        if start < end - 1 {
            steps.push(Step::Delete {
                start,
                end: end - 1,
            });
        }
        steps.extend(write(&new, Place::Into(start)));
    }
    (start, end, steps, change(new))
}

fn append(blocks: &[Block], text: &str, number: usize) -> Result<Placed, String> {
    let new = some_blocks(text)?;
    let last = blocks.last().ok_or("the tab has no text to append to")?;
    let at = last.end - 1;
    let is_empty = last.start == at;
    let place = if is_empty {
        Place::Into(at)
    } else {
        Place::After(at)
    };
    Ok(Placed {
        number,
        order: usize::MAX,
        op: Op::Append,
        start: at,
        end: at + 1,
        steps: write(&new, place),
        change: Change::Insert {
            path: vec![blocks.len() - 1],
            blocks: new,
        },
    })
}

/// Makes the change; those of later places were made before, so the paths still lead where they did.
fn apply(blocks: &mut Vec<Block>, change: Change) {
    match change {
        Change::Nothing => {}
        Change::Section {
            from,
            to,
            blocks: new,
        } => {
            blocks.splice(from..to, new);
        }
        Change::Insert { path, blocks: new } => {
            if let (Some(list), Some(index)) = (container(blocks, &path), path.last()) {
                list.splice(index + 1..=*index, new);
            }
        }
        Change::Drop { path } => {
            if let (Some(list), Some(index)) = (container(blocks, &path), path.last()) {
                list.remove(*index);
            }
        }
        Change::Text { path, part, runs } => {
            if let Some(para) = para_at(blocks, &path) {
                let (before, old, after) = split(&para.runs, part);
                let marks = old.last().map(|run| run.marks.clone()).unwrap_or_default();
                let new = runs.into_iter().map(|run| Run {
                    marks: joined(&marks, &run.marks),
                    ..run
                });
                para.runs = before.into_iter().chain(new).chain(after).collect();
            }
        }
        Change::Look { path, part, look } => {
            let Some(para) = para_at(blocks, &path) else {
                return;
            };
            if let Look::Paragraph(style) = look {
                para.style = style;
                return;
            }
            let (before, mut old, after) = split(&para.runs, part);
            for run in &mut old {
                run.marks = match &look {
                    Look::Marks(marks) => joined(&run.marks, marks),
                    Look::Plain | Look::Paragraph(_) => Marks::default(),
                };
            }
            para.runs = before.into_iter().chain(old).chain(after).collect();
        }
    }
}

fn para_at<'a>(blocks: &'a mut Vec<Block>, path: &[usize]) -> Option<&'a mut Para> {
    let index = *path.last()?;
    match &mut container(blocks, path)?.get_mut(index)?.kind {
        Kind::Para(para) => Some(para),
        Kind::Table(_) | Kind::Fixed(_) => None,
    }
}

fn joined(old: &Marks, new: &Marks) -> Marks {
    Marks {
        bold: old.bold || new.bold,
        italic: old.italic || new.italic,
        strike: old.strike || new.strike,
        code: old.code || new.code,
        link: new.link.clone().or_else(|| old.link.clone()),
    }
}

/// The runs before, within and after a part of their text.
fn split(runs: &[Run], (from, to): (usize, usize)) -> (Vec<Run>, Vec<Run>, Vec<Run>) {
    let mut parts = (Vec::new(), Vec::new(), Vec::new());
    let mut at = 0;
    for run in runs {
        let end = at + run.text.len();
        let cut = |place: usize| place.clamp(at, end) - at;
        for (piece, part) in [
            (0..cut(from), &mut parts.0),
            (cut(from)..cut(to), &mut parts.1),
            (cut(to)..run.text.len(), &mut parts.2),
        ] {
            if !piece.is_empty() {
                part.push(Run {
                    text: run.text[piece].to_owned(),
                    ..run.clone()
                });
            }
        }
        at = end;
    }
    parts
}
