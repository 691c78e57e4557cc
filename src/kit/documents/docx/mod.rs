//! Word documents as Markdown: headings, lists, tables, links, footnotes.
//!
//! The body is read as a stream into a stack of texts (the document, a cell, a footnote); nothing recurses. Text that
//! its author deleted or hid is left out, what was inserted stays.

mod edges;
mod styles;

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;
use std::io::BufRead;

use super::markdown::Markdown;
use super::work::Work;
use super::xml::{Event, Tag, Xml};
use super::zipped::{Package, Relation};
use super::{DocumentError, Extracted, convert, limits, paging};
use styles::{Counters, Numbering, Styles};

/// What people call it, in errors.
const NAME: &str = "Word document";

/// What the main part is called by most programs.
const BODY: &str = "word/document.xml";

pub(super) fn read(bytes: &[u8], work: &Work) -> Result<Extracted, DocumentError> {
    let mut package = Package::open(bytes, NAME, work)?;
    let main = package.main(BODY)?;
    let links = package.relations(&main)?;
    let part = package.related(&links, "styles", "word/styles.xml");
    let styles = Styles::read(&mut package, &part)?;
    let part = package.related(&links, "numbering", "word/numbering.xml");
    let numbering = Numbering::read(&mut package, &part)?;
    let Some(xml) = package.xml(&main)? else {
        return Err(package.missing());
    };
    let mut body = Body::new(&styles, &numbering, &links);
    body.read(xml)?;
    let (mut text, seen) = body.finish();
    for (kind, part, usual) in [
        ("footnote", "footnotes", "word/footnotes.xml"),
        ("endnote", "endnotes", "word/endnotes.xml"),
    ] {
        let wanted: Vec<&(String, String)> =
            seen.notes.iter().filter(|(of, _)| of == kind).collect();
        if wanted.is_empty() {
            continue;
        }
        let part = package.related(&links, part, usual);
        let own_links = package.relations(&part)?;
        let Some(xml) = package.xml(&part)? else {
            continue;
        };
        let mut body = Body::new(&styles, &numbering, &own_links);
        body.read(xml)?;
        for (_, id) in wanted {
            if let Some(note) = body.notes.get(id) {
                let label = label(kind, id);
                // Writing to a string does not fail.
                let _ = write!(text, "\n\n[^{label}]: {}", note.replace('\n', " "));
            }
        }
    }
    let edges = edges::read(&mut package, &links, &styles, &numbering)?;
    for edge in &edges {
        text.push_str("\n\n");
        text.push_str(edge);
    }
    let mut read = paging::whole(&text, "text/markdown", work)?;
    if !edges.is_empty() {
        read.notes
            .push("its headers and footers stand at the end of the text".to_owned());
    }
    if seen.pictures > 0 {
        read.notes.push(format!(
            "{} pictures are left out, apart from their descriptions",
            seen.pictures
        ));
    }
    if seen.changes {
        read.notes
            .push("it has tracked changes: they are read as if accepted".to_owned());
    }
    if package.has(&package.related(&links, "comments", "word/comments.xml")) {
        read.notes.push("its comments are not read".to_owned());
    }
    if package.has(&package.related(&links, "vbaProject", "word/vbaProject.bin")) {
        read.notes.push("its macros are not read".to_owned());
    }
    Ok(read)
}

/// The name of a note: end notes count apart.
fn label(kind: &str, id: &str) -> String {
    if kind == "endnote" {
        format!("e{id}")
    } else {
        id.to_owned()
    }
}

/// What was met on the way.
#[derive(Default)]
struct Seen {
    /// Kind and identifier of the notes referred to, in their order.
    notes: Vec<(String, String)>,
    known: HashSet<(String, String)>,
    pictures: usize,
    changes: bool,
}

/// A paragraph being read.
#[derive(Default)]
struct Paragraph {
    style: Option<String>,
    outline: Option<usize>,
    list: (Option<String>, Option<usize>),
    text: Markdown,
}

/// A run being read: text of one look.
#[expect(clippy::struct_excessive_bools, reason = "each is a state of its own")]
#[derive(Default)]
struct Run {
    bold: bool,
    italic: bool,
    struck: bool,
    hidden: bool,
}

#[derive(Default)]
struct Table {
    rows: Vec<Vec<String>>,
    row: Vec<String>,
    span: usize,
    cells: usize,
}

/// A link being read: the text before it waits.
struct Link {
    address: Option<String>,
    before: Markdown,
}

#[expect(clippy::struct_excessive_bools, reason = "each is a state of its own")]
struct Body<'a> {
    styles: &'a Styles,
    numbering: &'a Numbering,
    links: &'a HashMap<String, Relation>,
    /// How many bytes of addresses there may still be.
    addresses: usize,
    /// The document, and the cells and notes that are open in it.
    texts: Vec<Markdown>,
    tables: Vec<Table>,
    /// The paragraphs that are open: a text box stands in a paragraph.
    paragraphs: Vec<Paragraph>,
    run: Run,
    open_links: Vec<Link>,
    /// Fields by their instruction, innermost last, and whether its result is being read.
    fields: Vec<(String, bool)>,
    counters: Counters,
    in_list: bool,
    in_paragraph_properties: bool,
    in_run_properties: bool,
    in_text: bool,
    in_instruction: bool,
    /// Elements open inside one whose content is not read.
    skipping: usize,
    note: Option<String>,
    notes: HashMap<String, String>,
    seen: Seen,
    full: bool,
}

impl<'a> Body<'a> {
    fn new(
        styles: &'a Styles,
        numbering: &'a Numbering,
        links: &'a HashMap<String, Relation>,
    ) -> Self {
        Self {
            styles,
            numbering,
            links,
            addresses: limits::ADDRESSES_BYTES,
            texts: vec![Markdown::new()],
            tables: Vec::new(),
            paragraphs: Vec::new(),
            run: Run::default(),
            open_links: Vec::new(),
            fields: Vec::new(),
            counters: Counters::default(),
            in_list: false,
            in_paragraph_properties: false,
            in_run_properties: false,
            in_text: false,
            in_instruction: false,
            skipping: 0,
            note: None,
            notes: HashMap::new(),
            seen: Seen::default(),
            full: false,
        }
    }

    fn read<R: BufRead>(&mut self, mut xml: Xml<'_, R>) -> Result<(), DocumentError> {
        while !self.full {
            match xml.next()? {
                Event::Open(_) if self.skipping > 0 => self.skipping += 1,
                Event::Close(_) if self.skipping > 0 => self.skipping -= 1,
                Event::Open(tag) => self.open(&tag),
                Event::Close(name) => self.close(&name),
                Event::Text(text) if self.in_text && self.skipping == 0 => self.text(&text),
                Event::Text(text) if self.in_instruction && self.skipping == 0 => {
                    if let Some((instruction, _)) = self.fields.last_mut()
                        && instruction.len() < 4096
                    {
                        instruction.push_str(&text);
                    }
                }
                Event::Text(_) => {}
                Event::Eof => return Ok(()),
            }
        }
        Ok(())
    }

    fn finish(mut self) -> (String, Seen) {
        let main = self.texts.drain(..).next().unwrap_or_default();
        (main.finish(), self.seen)
    }

    fn open(&mut self, tag: &Tag<'_>) {
        match tag.name() {
            "p" => self.paragraphs.push(Paragraph::default()),
            "pPr" => self.in_paragraph_properties = true,
            "rPr" => self.in_run_properties = true,
            "r" => self.run = Run::default(),
            "t" => self.in_text = true,
            "instrText" => self.in_instruction = true,
            "tab" | "ptab" if !self.in_paragraph_properties => self.text(" "),
            "br" | "cr" => {
                if let Some(paragraph) = self.paragraphs.last_mut() {
                    paragraph.text.line();
                }
            }
            "noBreakHyphen" => self.text("-"),
            "footnoteReference" | "endnoteReference" => self.reference(tag),
            "fldChar" => self.field(tag),
            "hyperlink" => {
                let address = tag
                    .get_prefixed("id")
                    .and_then(|id| self.links.get(&id))
                    .map(|link| link.target.clone());
                self.open_link(address);
            }
            "docPr" => {
                self.seen.pictures += 1;
                if let Some(described) = tag.get("descr").filter(|text| !text.trim().is_empty()) {
                    self.text(&format!(" (picture: {}) ", described.trim()));
                }
            }
            "tbl" => self.tables.push(Table::default()),
            "tc" => self.texts.push(Markdown::new()),
            "gridSpan" => {
                let span = tag.get("val").and_then(|span| span.parse().ok());
                if let Some(table) = self.tables.last_mut() {
                    table.span = span.unwrap_or(1).clamp(1, 50);
                }
            }
            "footnote" | "endnote" => {
                self.note = tag.get("id");
                self.texts.push(Markdown::new());
            }
            // Deleted text, older drawings beside their replacement, and what is not text of the page.
            "del" | "moveFrom" => {
                self.seen.changes = true;
                self.skipping = 1;
            }
            "ins" if !self.in_run_properties => self.seen.changes = true,
            "Fallback" | "sdtPr" | "sectPr" | "rPrChange" | "pPrChange" | "delText" => {
                self.skipping = 1;
            }
            name if self.in_run_properties && !self.in_paragraph_properties => match name {
                "b" => self.run.bold = tag.is_on(),
                "i" => self.run.italic = tag.is_on(),
                "strike" | "dstrike" => self.run.struck = tag.is_on(),
                "vanish" => self.run.hidden = tag.is_on(),
                _ => {}
            },
            name if self.in_paragraph_properties && !self.in_run_properties => {
                let Some(paragraph) = self.paragraphs.last_mut() else {
                    return;
                };
                match name {
                    "pStyle" => paragraph.style = tag.get("val"),
                    "outlineLvl" => {
                        paragraph.outline = tag.get("val").and_then(|level| level.parse().ok());
                    }
                    "numId" => paragraph.list.0 = tag.get("val"),
                    "ilvl" => {
                        paragraph.list.1 = tag.get("val").and_then(|level| level.parse().ok());
                    }
                    _ => {}
                }
            }
            _ => {}
        }
    }

    fn close(&mut self, name: &str) {
        match name {
            "p" => self.paragraph(),
            "pPr" => self.in_paragraph_properties = false,
            "rPr" => self.in_run_properties = false,
            "t" => self.in_text = false,
            "instrText" => self.in_instruction = false,
            "hyperlink" => self.close_link(),
            "tc" => {
                let cell = self.pop_text();
                if let Some(table) = self.tables.last_mut() {
                    let span = std::mem::take(&mut table.span).max(1);
                    table.cells += span;
                    // Spans make many cells of few bytes.
                    if table.cells <= limits::CELLS {
                        table.row.push(cell);
                        table.row.extend((1..span).map(|_| String::new()));
                    }
                }
            }
            "tr" => {
                if let Some(table) = self.tables.last_mut() {
                    let row = std::mem::take(&mut table.row);
                    if row.iter().any(|cell| !cell.is_empty()) {
                        table.rows.push(row);
                    }
                }
            }
            "tbl" => self.table(),
            "footnote" | "endnote" => {
                let note = self.pop_text();
                // No more than are referred to.
                if let Some(id) = self.note.take()
                    && self.notes.len() < limits::ENTRIES
                {
                    self.notes.insert(id, note);
                }
            }
            _ => {}
        }
    }

    /// The innermost open text; the document itself is never closed.
    fn pop_text(&mut self) -> String {
        if self.texts.len() < 2 {
            return String::new();
        }
        self.texts.pop().unwrap_or_default().finish()
    }

    fn out(&mut self) -> Option<&mut Markdown> {
        self.texts.last_mut()
    }

    fn text(&mut self, text: &str) {
        if self.run.hidden {
            return;
        }
        let Some(paragraph) = self.paragraphs.last_mut() else {
            return;
        };
        let marks = [
            (self.run.bold, "**"),
            (self.run.italic, "*"),
            (self.run.struck, "~~"),
        ];
        paragraph.text.marked(
            text,
            marks.iter().filter(|(on, _)| *on).map(|(_, mark)| *mark),
        );
    }

    fn reference(&mut self, tag: &Tag<'_>) {
        let kind = tag.name().trim_end_matches("Reference").to_owned();
        let Some(id) = tag.get("id") else {
            return;
        };
        if let Some(paragraph) = self.paragraphs.last_mut() {
            paragraph.text.tight(&format!("[^{}]", label(&kind, &id)));
        }
        let note = (kind, id);
        if self.seen.notes.len() < limits::ENTRIES && self.seen.known.insert(note.clone()) {
            self.seen.notes.push(note);
        }
    }

    /// Fields: of their kinds only links matter; their result is text like any other.
    fn field(&mut self, tag: &Tag<'_>) {
        match tag.get("fldCharType").as_deref() {
            Some("begin") if self.fields.len() < limits::DEPTH => {
                self.fields.push((String::new(), false));
            }
            Some("separate") => {
                let Some((instruction, open)) = self.fields.last_mut() else {
                    return;
                };
                let address = instruction
                    .trim()
                    .strip_prefix("HYPERLINK ")
                    .and_then(|rest| rest.split('"').nth(1))
                    .map(ToOwned::to_owned);
                if let Some(address) = address {
                    *open = true;
                    self.open_link(Some(address));
                }
            }
            Some("end") => {
                if let Some((_, true)) = self.fields.pop() {
                    self.close_link();
                }
            }
            _ => {}
        }
    }

    fn open_link(&mut self, address: Option<String>) {
        let Some(paragraph) = self.paragraphs.last_mut() else {
            return;
        };
        if self.open_links.len() >= limits::DEPTH {
            return;
        }
        let left = &mut self.addresses;
        self.open_links.push(Link {
            address: address.filter(|address| convert::linked(address, left)),
            before: std::mem::take(&mut paragraph.text),
        });
    }

    fn close_link(&mut self) {
        let Some(link) = self.open_links.pop() else {
            return;
        };
        let Some(paragraph) = self.paragraphs.last_mut() else {
            return;
        };
        let inner = std::mem::replace(&mut paragraph.text, link.before);
        let (text, before, after) = inner.finish_spaced();
        if before {
            paragraph.text.text(" ");
        }
        match link.address {
            Some(address) => paragraph.text.link(&text, &address),
            None => paragraph.text.text(&text),
        }
        if after {
            paragraph.text.text(" ");
        }
    }

    fn paragraph(&mut self) {
        // A link that was not closed in its paragraph.
        if self.paragraphs.len() == 1 {
            while !self.open_links.is_empty() {
                self.close_link();
            }
            self.fields.retain(|(_, open)| !open);
        }
        let Some(paragraph) = self.paragraphs.pop() else {
            return;
        };
        let text = paragraph.text.finish();
        // A text box speaks before the paragraph that it is anchored to.
        let style = paragraph.style.as_deref().unwrap_or_default();
        let heading = paragraph
            .outline
            .map(|level| level + 1)
            .filter(|level| *level <= 9);
        let heading = heading.or_else(|| self.styles.heading(style));
        let (number, level) = &paragraph.list;
        let number = number.as_deref().or_else(|| self.styles.list(style));
        let item = number
            .filter(|number| *number != "0" && heading.is_none())
            .map(|number| {
                let level = level.unwrap_or(0).min(8);
                self.counters
                    .marker(number, level, self.numbering.is_numbered(number, level))
            });
        let quiet = text.is_empty();
        let was_list = self.in_list;
        self.in_list = item.is_some() || (quiet && was_list);
        let Some(out) = self.out() else {
            return;
        };
        if quiet {
            return;
        }
        match (heading, item) {
            (Some(level), _) => out.heading(level.min(6), &text),
            (None, Some(marker)) => {
                if !was_list {
                    out.block();
                }
                out.open_item(marker);
                out.lines(&text);
                out.close_prefix();
            }
            (None, None) => {
                out.block();
                out.lines(&text);
                out.block();
            }
        }
        self.full = self.texts.iter().map(Markdown::len).sum::<usize>() > limits::OUTPUT_CHARS * 4;
    }

    fn table(&mut self) {
        let Some(table) = self.tables.pop() else {
            return;
        };
        self.in_list = false;
        let inside = !self.tables.is_empty();
        let Some(out) = self.out() else {
            return;
        };
        let single = table.rows.iter().all(|row| row.len() < 2);
        if !single && !inside {
            out.table(&table.rows);
            return;
        }
        // A frame around text, or a table in a cell.
        for row in &table.rows {
            out.block();
            if single {
                for cell in row {
                    out.lines(cell);
                }
            } else {
                out.text(&row.join(", "));
            }
            out.block();
        }
    }
}
