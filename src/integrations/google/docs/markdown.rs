//! Blocks as Markdown. Nothing is escaped: a reader quotes the text back to name a place in it, and a backslash that the
//! document does not have would be in the way.

use std::fmt::Write as _;

use super::page::{Block, Kind, Marks, Para, Run, Style};

/// The Markdown of some blocks.
pub(super) fn markdown(blocks: &[Block]) -> String {
    let mut out = String::new();
    // Of each level of the list, whether it has numbers, and how many items it has had.
    let mut counts: Vec<(bool, u32)> = Vec::new();
    let mut before: Option<&Para> = None;
    let mut fenced = false;
    for block in blocks {
        let para = block.para();
        let is_code = para.is_some_and(Para::is_code);
        if fenced && !is_code {
            out.push_str("```\n");
            fenced = false;
        }
        let is_item = para.is_some_and(|para| para.bullet.is_some());
        if !is_item {
            counts.clear();
        }
        // Numbers after bullets are another list.
        let is_other_list = para
            .and_then(|para| para.bullet)
            .filter(|bullet| bullet.depth == 0)
            .zip(counts.first())
            .is_some_and(|(bullet, (ordered, _))| bullet.ordered != *ordered);
        let goes_on = before.is_some_and(|before| {
            (is_item && before.bullet.is_some() && !is_other_list) || (is_code && before.is_code())
        });
        if !out.is_empty() && !goes_on && !out.ends_with("\n\n") {
            out.push('\n');
        }
        match &block.kind {
            Kind::Para(para) if is_code => {
                if !fenced {
                    out.push_str("```\n");
                    fenced = true;
                }
                let _ = writeln!(out, "{}", para.text().replace('\u{b}', "\n"));
            }
            Kind::Para(para) => paragraph(&mut out, para, &mut counts),
            Kind::Table(rows) => table(&mut out, rows),
            Kind::Fixed(text) if text.is_empty() => {}
            Kind::Fixed(text) => {
                let _ = writeln!(out, "{text}");
            }
        }
        before = para;
    }
    if fenced {
        out.push_str("```\n");
    }
    let end = out.trim_end().len();
    out.truncate(end);
    if !out.is_empty() {
        out.push('\n');
    }
    out
}

fn paragraph(out: &mut String, para: &Para, counts: &mut Vec<(bool, u32)>) {
    let text = inline(&para.runs, "\n");
    if let Some(bullet) = para.bullet {
        let first = (bullet.ordered, 0);
        counts.resize(bullet.depth + 1, first);
        if counts[bullet.depth].0 != bullet.ordered {
            counts[bullet.depth] = first;
        }
        counts[bullet.depth].1 += 1;
        // Four columns nest under both kinds of item.
        let indent = "    ".repeat(bullet.depth);
        let text = text.replace('\n', &format!("\n{indent}    "));
        let _ = if bullet.ordered {
            writeln!(out, "{indent}{}. {text}", counts[bullet.depth].1)
        } else {
            writeln!(out, "{indent}- {text}")
        };
        return;
    }
    if text.trim().is_empty() {
        return;
    }
    let _ = match para.style {
        Style::Title | Style::Heading(1) => writeln!(out, "# {}", text.trim()),
        Style::Heading(level) => {
            writeln!(out, "{} {}", "#".repeat(usize::from(level)), text.trim())
        }
        Style::Subtitle | Style::Normal => writeln!(out, "{text}"),
    };
}

fn table(out: &mut String, rows: &[Vec<Vec<Block>>]) {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    for (index, row) in rows.iter().enumerate() {
        out.push('|');
        for column in 0..columns {
            let blocks = row.get(column).map_or(&[][..], Vec::as_slice);
            let _ = write!(out, " {} |", cell(blocks));
        }
        out.push('\n');
        if index == 0 {
            let _ = writeln!(out, "|{}", " --- |".repeat(columns));
        }
    }
}

/// A cell on one line.
fn cell(blocks: &[Block]) -> String {
    let texts = blocks.iter().filter_map(|block| match &block.kind {
        Kind::Para(para) => Some(inline(&para.runs, " ")),
        Kind::Table(_) => Some("[table]".to_owned()),
        Kind::Fixed(_) => None,
    });
    let texts: Vec<_> = texts.filter(|text| !text.trim().is_empty()).collect();
    texts.join(" / ").replace('|', "\\|").replace('\n', " ")
}

/// The runs of a paragraph. A line break within it, which Docs writes as a vertical tab, becomes `line_break`.
fn inline(runs: &[Run], line_break: &str) -> String {
    let mut out = String::new();
    let mut rest = runs;
    while let Some(first) = rest.first() {
        // What carries the same marks is marked once.
        let same = rest.iter().take_while(|run| {
            run.marks == first.marks && run.object.is_some() == first.object.is_some()
        });
        let (together, others) = rest.split_at(same.count());
        rest = others;
        let text: String = together
            .iter()
            .map(|run| run.object.as_deref().unwrap_or(&run.text))
            .collect();
        let text = text.replace('\u{b}', line_break);
        out.push_str(&marked(&text, &first.marks));
    }
    out
}

fn marked(text: &str, marks: &Marks) -> String {
    // Marks stand next to letters, or Markdown does not take them for marks.
    let inner = text.trim();
    if inner.is_empty() || *marks == Marks::default() {
        return text.to_owned();
    }
    let (before, after) = text.split_once(inner).unwrap_or_default();
    let mut shown = inner.to_owned();
    if marks.code {
        shown = format!("`{shown}`");
    }
    if marks.strike {
        shown = format!("~~{shown}~~");
    }
    if marks.italic {
        shown = format!("*{shown}*");
    }
    if marks.bold {
        shown = format!("**{shown}**");
    }
    if let Some(link) = &marks.link {
        shown = format!("[{shown}]({link})");
    }
    format!("{before}{shown}{after}")
}

/// The headings alone, with their level.
pub(super) fn outline(blocks: &[Block]) -> String {
    let mut out = String::new();
    for para in blocks.iter().filter_map(Block::para) {
        if let Some(level) = para.style.level() {
            let marks = "#".repeat(usize::from(level.max(1)));
            let _ = writeln!(out, "{marks} {}", para.text().trim());
        }
    }
    out
}
