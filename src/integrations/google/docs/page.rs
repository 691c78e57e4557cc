//! A tab of a document as blocks of text with their places in it: what Markdown is written from, what Markdown is read
//! into, and what edits are found in.
//!
//! Places are the API's own: UTF-16 code units from the beginning of the tab.

use super::model::{DocumentTab, Element, Inline, Paragraph, TextStyle};

/// How the API counts text.
pub(super) fn units(text: &str) -> u32 {
    text.chars()
        .map(|c| if c > '\u{ffff}' { 2 } else { 1 })
        .sum()
}

/// Stands in a paragraph's text for something that is no text: a picture, a chip, a footnote's number.
pub(super) const OBJECT: char = '\u{fffc}';

/// A named style.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Style {
    #[default]
    Normal,
    Title,
    Subtitle,
    /// 1 to 6.
    Heading(u8),
}

impl Style {
    pub(super) fn of(word: &str) -> Self {
        match word {
            "TITLE" => Self::Title,
            "SUBTITLE" => Self::Subtitle,
            other => other
                .strip_prefix("HEADING_")
                .and_then(|level| level.parse().ok())
                .map_or(Self::Normal, Self::Heading),
        }
    }

    /// The API's word.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Normal => "NORMAL_TEXT",
            Self::Title => "TITLE",
            Self::Subtitle => "SUBTITLE",
            Self::Heading(1) => "HEADING_1",
            Self::Heading(2) => "HEADING_2",
            Self::Heading(3) => "HEADING_3",
            Self::Heading(4) => "HEADING_4",
            Self::Heading(5) => "HEADING_5",
            Self::Heading(_) => "HEADING_6",
        }
    }

    /// How deep a section that begins with it is; `None` when none does. The title is above all headings.
    pub(super) const fn level(self) -> Option<u8> {
        match self {
            Self::Title => Some(0),
            Self::Heading(level) => Some(level),
            Self::Normal | Self::Subtitle => None,
        }
    }
}

/// What is special about some characters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is set or not, whatever the others are"
)]
pub(super) struct Marks {
    pub(super) bold: bool,
    pub(super) italic: bool,
    pub(super) strike: bool,
    pub(super) code: bool,
    pub(super) link: Option<String>,
}

/// Some characters with the same marks, or one thing that is no text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) text: String,
    pub(super) marks: Marks,
    /// What Markdown says of a thing that is no text; `text` is then [`OBJECT`], once for each place it takes.
    pub(super) object: Option<String>,
}

/// A paragraph of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bullet {
    pub(super) ordered: bool,
    pub(super) depth: usize,
}

/// A paragraph without its line break.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Para {
    pub(super) style: Style,
    pub(super) bullet: Option<Bullet>,
    pub(super) runs: Vec<Run>,
}

impl Para {
    /// The bare text.
    pub(super) fn text(&self) -> String {
        self.runs.iter().map(|run| run.text.as_str()).collect()
    }

    /// Whether all of it is code.
    pub(super) fn is_code(&self) -> bool {
        let plain = self.style == Style::Normal && self.bullet.is_none();
        plain && !self.runs.is_empty() && self.runs.iter().all(|run| run.marks.code)
    }
}

/// What stands on its own between two others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Para(Para),
    /// Rows of cells, each of blocks.
    Table(Vec<Vec<Vec<Block>>>),
    /// Written by Docs itself and changed nowhere: a table of contents.
    Fixed(String),
}

/// A block and where it is; a new one is nowhere yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Block {
    pub(super) start: u32,
    pub(super) end: u32,
    pub(super) kind: Kind,
}

impl Block {
    /// A block that is not in the document yet.
    pub(super) const fn new(kind: Kind) -> Self {
        Self {
            start: 0,
            end: 0,
            kind,
        }
    }

    pub(super) const fn para(&self) -> Option<&Para> {
        match &self.kind {
            Kind::Para(para) => Some(para),
            Kind::Table(_) | Kind::Fixed(_) => None,
        }
    }
}

/// The blocks of a tab's body. Section breaks are none.
pub(super) fn blocks(tab: &DocumentTab) -> Vec<Block> {
    blocks_of(tab, &tab.body.content)
}

fn blocks_of(tab: &DocumentTab, content: &[Element]) -> Vec<Block> {
    let kinds = content.iter().filter_map(|element| {
        let kind = if let Some(paragraph) = &element.paragraph {
            Kind::Para(para(tab, paragraph))
        } else if let Some(table) = &element.table {
            let rows = table.table_rows.iter().map(|row| {
                let cells = row.table_cells.iter();
                cells.map(|cell| blocks_of(tab, &cell.content)).collect()
            });
            Kind::Table(rows.collect())
        } else {
            let contents = element.table_of_contents.as_ref()?;
            let lines = blocks_of(tab, &contents.content);
            let lines = lines.iter().filter_map(|block| Some(block.para()?.text()));
            Kind::Fixed(lines.collect::<Vec<_>>().join("\n"))
        };
        Some(Block {
            start: element.start_index,
            end: element.end_index,
            kind,
        })
    });
    kinds.collect()
}

/// The footnotes of a tab, by number.
pub(super) fn footnotes(tab: &DocumentTab, numbers: &[(String, String)]) -> Vec<(String, String)> {
    let texts = numbers.iter().filter_map(|(id, number)| {
        let note = tab.footnotes.get(id)?;
        let paragraphs = blocks_of(tab, &note.content);
        let texts = paragraphs
            .iter()
            .filter_map(|block| Some(block.para()?.text()));
        Some((
            number.clone(),
            texts.collect::<Vec<_>>().join(" ").trim().to_owned(),
        ))
    });
    texts.collect()
}

/// Ids and numbers of the footnotes that the body refers to, in their order.
pub(super) fn footnote_numbers(content: &[Element]) -> Vec<(String, String)> {
    let paragraphs = content
        .iter()
        .filter_map(|element| element.paragraph.as_ref());
    let inlines = paragraphs.flat_map(|paragraph| &paragraph.elements);
    let references = inlines.filter_map(|inline| inline.footnote_reference.as_ref());
    references
        .map(|note| (note.footnote_id.clone(), note.footnote_number.clone()))
        .collect()
}

fn para(tab: &DocumentTab, paragraph: &Paragraph) -> Para {
    let mut runs: Vec<Run> = paragraph
        .elements
        .iter()
        .map(|inline| run(tab, inline))
        .collect();
    // The line break that ends every paragraph belongs to the last run.
    if let Some(last) = runs.last_mut() {
        if last.text.ends_with('\n') {
            last.text.pop();
        }
        if last.text.is_empty() {
            runs.pop();
        }
    }
    Para {
        style: Style::of(&paragraph.paragraph_style.named_style_type),
        bullet: paragraph.bullet.as_ref().map(|bullet| {
            let list = tab.lists.get(&bullet.list_id);
            let level = list.and_then(|list| {
                list.list_properties
                    .nesting_levels
                    .get(bullet.nesting_level)
            });
            let glyph = level.map_or("", |level| level.glyph_type.as_str());
            Bullet {
                ordered: !matches!(glyph, "" | "NONE" | "GLYPH_TYPE_UNSPECIFIED"),
                depth: bullet.nesting_level,
            }
        }),
        runs,
    }
}

fn run(tab: &DocumentTab, inline: &Inline) -> Run {
    if let Some(text) = &inline.text_run {
        return Run {
            text: text.content.clone(),
            marks: marks(&text.text_style),
            object: None,
        };
    }
    let places = inline.end_index.saturating_sub(inline.start_index).max(1);
    let said = if let Some(picture) = &inline.inline_object_element {
        let object = tab.inline_objects.get(&picture.inline_object_id);
        let words = object.map(|object| &object.inline_object_properties.embedded_object);
        let words = words.map_or("", |words| {
            let title = words.title.as_str();
            if title.is_empty() {
                words.description.as_str()
            } else {
                title
            }
        });
        format!("[image{}{words}]", if words.is_empty() { "" } else { ": " })
    } else if let Some(person) = &inline.person {
        let person = &person.person_properties;
        if person.name.is_empty() {
            format!("@{}", person.email)
        } else {
            format!("@{} <{}>", person.name, person.email)
        }
    } else if let Some(link) = &inline.rich_link {
        let link = &link.rich_link_properties;
        format!("[{}]({})", link.title, link.uri)
    } else if let Some(note) = &inline.footnote_reference {
        format!("[^{}]", note.footnote_number)
    } else if let Some(date) = &inline.date_element {
        date.date_element_properties.display_text.clone()
    } else if inline.horizontal_rule.is_some() {
        "---".to_owned()
    } else {
        // A page or column break, a page number, an equation: nothing that Markdown has.
        String::new()
    };
    Run {
        text: std::iter::repeat_n(OBJECT, places as usize).collect(),
        marks: Marks::default(),
        object: Some(said),
    }
}

fn marks(style: &TextStyle) -> Marks {
    let link = style.link.as_ref();
    let font = style.weighted_font_family.as_ref();
    let font = font.map_or("", |font| font.font_family.as_str());
    Marks {
        bold: style.bold,
        italic: style.italic,
        strike: style.strikethrough,
        code: ["Courier", "Consolas", "Mono"]
            .iter()
            .any(|word| font.contains(word)),
        link: link.and_then(|link| link.url.clone()),
    }
}
