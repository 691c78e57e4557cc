//! Presentations: by slides, each with its title, its text and the speaker's notes.

use std::collections::HashMap;

use super::markdown::Markdown;
use super::work::Work;
use super::xml::{Event, Tag};
use super::zipped::{Package, Relation};
use super::{DocumentError, Extracted, convert, limits, paging};

/// What people call it, in errors.
const NAME: &str = "PowerPoint presentation";

/// What the main part is called by most programs.
const DECK: &str = "ppt/presentation.xml";

pub(super) fn read(bytes: &[u8], work: &Work) -> Result<Extracted, DocumentError> {
    let mut package = Package::open(bytes, NAME, work)?;
    let main = package.main(DECK)?;
    let links = package.relations(&main)?;
    let slides = slides(&mut package, &main, &links)?;
    let total = u32::try_from(slides.len()).unwrap_or(limits::PAGES);
    let mut pages = paging::Pages::new(work, total)?;
    let mut notes = Vec::new();
    while let Some(page) = pages.next_page() {
        work.go_on()?;
        let path = &slides[page as usize - 1];
        let relations = package.relations(path)?;
        let slide = slide(&mut package, path, &relations)?;
        let spoken = match relations.values().find(|to| to.kind == "notesSlide") {
            Some(to) => {
                let target = to.target.clone();
                let links = package.relations(&target)?;
                notes_of(&mut package, &target, &links)?
            }
            None => String::new(),
        };
        let mut out = Markdown::new();
        let hidden = if slide.hidden { " (hidden)" } else { "" };
        let title = super::markdown::flat(&slide.title, " ");
        let colon = if title.is_empty() { "" } else { ": " };
        out.heading(2, &format!("Slide {page}{hidden}{colon}{title}"));
        out.lines(&slide.text);
        if !spoken.is_empty() {
            out.block();
            out.text("Notes:");
            out.block();
            out.lines(&spoken);
        }
        if slide.title.is_empty() && slide.text.is_empty() && slide.pictures > 0 {
            notes.push(format!("slide {page} holds only pictures"));
        }
        if slide.drawings > 0 {
            notes.push(format!(
                "slide {page} has charts or diagrams, which are not read"
            ));
        }
        if !pages.take(&out.finish()) {
            break;
        }
    }
    let mut read = pages.finish("slide");
    read.notes.extend(notes.into_iter().take(20));
    if package.has(&package.related(&links, "vbaProject", "ppt/vbaProject.bin")) {
        read.notes.push("its macros are not read".to_owned());
    }
    Ok(read)
}

/// The slides in their order.
fn slides(
    package: &mut Package<'_>,
    main: &str,
    relations: &HashMap<String, Relation>,
) -> Result<Vec<String>, DocumentError> {
    let Some(mut xml) = package.xml(main)? else {
        return Err(package.missing());
    };
    let mut slides = Vec::new();
    loop {
        match xml.next()? {
            Event::Open(tag) if tag.name() == "sldId" => {
                let slide = tag
                    .get_prefixed("id")
                    .and_then(|id| relations.get(&id))
                    .filter(|relation| relation.kind == "slide");
                if let Some(slide) = slide
                    && slides.len() < limits::PAGES as usize
                {
                    slides.push(slide.target.clone());
                }
            }
            Event::Eof => return Ok(slides),
            Event::Open(_) | Event::Close(_) | Event::Text(_) => {}
        }
    }
}

#[derive(Default)]
struct Slide {
    title: String,
    text: String,
    hidden: bool,
    pictures: usize,
    drawings: usize,
}

/// What a shape is for.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Role {
    /// A text box, or a drawing with text in it.
    #[default]
    Box,
    Title,
    /// Text in bullets.
    Bullets,
    /// Date, footer and number: the same on every slide.
    Furniture,
}

fn role(tag: &Tag<'_>) -> Role {
    match tag.get("type").as_deref() {
        Some("title" | "ctrTitle") => Role::Title,
        Some("dt" | "ftr" | "sldNum" | "hdr" | "sldImg") => Role::Furniture,
        Some("subTitle") => Role::Box,
        _ => Role::Bullets,
    }
}

/// Reads the shapes of a slide or of its notes.
struct Shapes<'a> {
    links: &'a HashMap<String, Relation>,
    /// How many bytes of addresses there may still be.
    addresses: usize,
    role: Role,
    level: usize,
    bullet: Option<bool>,
    paragraph: Markdown,
    /// Where a run's text goes, and the link on it.
    run: Option<(String, Option<String>)>,
    in_text: bool,
    /// The paragraphs of the table cell that is open.
    cell: Option<Vec<String>>,
    row: Vec<String>,
    rows: Vec<Vec<String>>,
    /// Cells and rows of tables so far.
    cells: usize,
    slide: Slide,
    out: Markdown,
}

fn slide(
    package: &mut Package<'_>,
    path: &str,
    links: &HashMap<String, Relation>,
) -> Result<Slide, DocumentError> {
    let missing = package.missing();
    let Some(mut xml) = package.xml(path)? else {
        return Err(missing);
    };
    let mut shapes = Shapes {
        links,
        addresses: limits::ADDRESSES_BYTES,
        role: Role::Box,
        level: 0,
        bullet: None,
        paragraph: Markdown::new(),
        run: None,
        in_text: false,
        cell: None,
        row: Vec::new(),
        rows: Vec::new(),
        cells: 0,
        slide: Slide::default(),
        out: Markdown::new(),
    };
    let mut skipping = 0_usize;
    loop {
        match xml.next()? {
            Event::Open(_) if skipping > 0 => skipping += 1,
            Event::Close(_) if skipping > 0 => skipping -= 1,
            Event::Open(tag) if tag.name() == "Fallback" => skipping = 1,
            Event::Open(tag) => shapes.open(&tag),
            Event::Close(name) => shapes.close(&name),
            Event::Text(text) if shapes.in_text && skipping == 0 => match &mut shapes.run {
                Some((run, _)) => run.push_str(&text),
                None => shapes.paragraph.text(&text),
            },
            Event::Text(_) => {}
            Event::Eof => break,
        }
        if shapes.out.len() > limits::OUTPUT_CHARS * 4 {
            break;
        }
    }
    let mut slide = shapes.slide;
    slide.text = shapes.out.finish();
    Ok(slide)
}

/// What the speaker wrote below the slide.
fn notes_of(
    package: &mut Package<'_>,
    path: &str,
    links: &HashMap<String, Relation>,
) -> Result<String, DocumentError> {
    if !package.has(path) {
        return Ok(String::new());
    }
    let slide = slide(package, path, links)?;
    // Notes are paragraphs, whatever their placeholder says.
    let text: Vec<&str> = slide
        .text
        .lines()
        .map(|line| line.strip_prefix("- ").unwrap_or(line))
        .collect();
    Ok(text.join("\n"))
}

impl Shapes<'_> {
    fn open(&mut self, tag: &Tag<'_>) {
        match tag.name() {
            "sld" => self.slide.hidden = matches!(tag.get("show").as_deref(), Some("0" | "false")),
            "sp" => self.role = Role::Box,
            "ph" => self.role = role(tag),
            "pic" => self.slide.pictures += 1,
            "cNvPr" => {
                let described = tag.get("descr").filter(|text| !text.trim().is_empty());
                let hidden = tag.get("hidden").is_some_and(|on| on == "1");
                if let Some(described) = described.filter(|_| !hidden) {
                    self.out.line();
                    self.out.text(&format!("(picture: {})", described.trim()));
                    self.out.line();
                }
            }
            "chart" | "relIds" => self.slide.drawings += 1,
            "p" => {
                self.level = 0;
                self.bullet = None;
            }
            "pPr" => {
                self.level = tag
                    .get("lvl")
                    .and_then(|level| level.parse().ok())
                    .unwrap_or(0)
                    .min(8);
            }
            "buNone" => self.bullet = Some(false),
            "buChar" | "buAutoNum" => self.bullet = Some(true),
            "r" | "fld" => self.run = Some((String::new(), None)),
            "hlinkClick" => {
                let address = tag
                    .get_prefixed("id")
                    .and_then(|id| self.links.get(&id))
                    .map(|link| link.target.clone())
                    .filter(|address| convert::linked(address, &mut self.addresses));
                if let Some((_, link)) = &mut self.run {
                    *link = address;
                }
            }
            "t" => self.in_text = true,
            "br" => self.paragraph.line(),
            "tbl" => self.rows.clear(),
            "tr" => self.row.clear(),
            "tc" => {
                self.role = Role::Box;
                self.cell = Some(Vec::new());
            }
            _ => {}
        }
    }

    fn close(&mut self, name: &str) {
        match name {
            "t" => self.in_text = false,
            "r" | "fld" => match self.run.take() {
                Some((text, Some(address))) => self.paragraph.link(&text, &address),
                Some((text, None)) => self.paragraph.text(&text),
                None => {}
            },
            "p" => self.paragraph(),
            "tc" => {
                let cell = self.cell.take().unwrap_or_default();
                if self.has_room() {
                    self.row.push(cell.join("\n"));
                }
            }
            "tr" => {
                let row = std::mem::take(&mut self.row);
                if self.has_room() {
                    self.rows.push(row);
                }
            }
            "tbl" => {
                let rows = std::mem::take(&mut self.rows);
                self.out.table(&rows);
            }
            // Shapes stand apart.
            "txBody" if self.cell.is_none() => self.out.block(),
            _ => {}
        }
    }

    /// Whether one more cell or row is kept: empty ones take more room here than in the file.
    const fn has_room(&mut self) -> bool {
        self.cells = self.cells.saturating_add(1);
        self.cells <= limits::CELLS
    }

    fn paragraph(&mut self) {
        let text = std::mem::take(&mut self.paragraph).finish();
        if text.is_empty() || self.role == Role::Furniture {
            return;
        }
        if let Some(cell) = &mut self.cell {
            cell.push(text);
            return;
        }
        if self.role == Role::Title {
            if !self.slide.title.is_empty() {
                self.slide.title.push(' ');
            }
            self.slide.title.push_str(&text);
            return;
        }
        let bullet = self
            .bullet
            .unwrap_or(self.role == Role::Bullets || self.level > 0);
        if bullet {
            self.out.open_item(format!("{}- ", "  ".repeat(self.level)));
            self.out.lines(&text);
            self.out.close_prefix();
        } else {
            self.out.line();
            self.out.lines(&text);
            self.out.line();
        }
    }
}
