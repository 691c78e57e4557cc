//! The Slides API's JSON, only the fields that are read.

use serde::Deserialize;

/// What is asked of a presentation: texts and what they stand in, without looks. Groups are followed one level down.
pub(super) const FIELDS: &str = concat!(
    "presentationId,title,revisionId,",
    "layouts(objectId,layoutProperties(name,displayName),pageElements(objectId,shape.placeholder)),",
    "slides(objectId,slideProperties(layoutObjectId,isSkipped,notesPage(notesProperties,pageElements(objectId,shape.text))),",
    "pageElements(objectId,title,description,image.sourceUrl,shape(placeholder,text),table,video.url,",
    "elementGroup.children(objectId,title,description,shape(placeholder,text),table)))"
);

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Presentation {
    pub(super) title: String,
    pub(super) revision_id: Option<String>,
    pub(super) layouts: Vec<Layout>,
    pub(super) slides: Vec<Slide>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Layout {
    pub(super) object_id: String,
    pub(super) layout_properties: LayoutProperties,
    pub(super) page_elements: Vec<Element>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct LayoutProperties {
    pub(super) name: String,
    pub(super) display_name: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Slide {
    pub(super) object_id: String,
    pub(super) slide_properties: SlideProperties,
    pub(super) page_elements: Vec<Element>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct SlideProperties {
    pub(super) layout_object_id: String,
    pub(super) is_skipped: bool,
    pub(super) notes_page: NotesPage,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct NotesPage {
    pub(super) notes_properties: NotesProperties,
    pub(super) page_elements: Vec<Element>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct NotesProperties {
    pub(super) speaker_notes_object_id: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Element {
    pub(super) object_id: String,
    pub(super) title: String,
    pub(super) description: String,
    pub(super) shape: Option<Shape>,
    pub(super) table: Option<Table>,
    pub(super) image: Option<Image>,
    pub(super) video: Option<Video>,
    pub(super) element_group: Option<Group>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Group {
    pub(super) children: Vec<Element>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Image {
    pub(super) source_url: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Video {
    pub(super) url: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Shape {
    pub(super) placeholder: Option<Placeholder>,
    pub(super) text: Text,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Placeholder {
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) index: u32,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Text {
    pub(super) text_elements: Vec<TextElement>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct TextElement {
    pub(super) paragraph_marker: Option<ParagraphMarker>,
    pub(super) text_run: Option<TextRun>,
    pub(super) auto_text: Option<TextRun>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ParagraphMarker {
    pub(super) bullet: Option<Bullet>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Bullet {
    pub(super) nesting_level: usize,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct TextRun {
    pub(super) content: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Table {
    pub(super) table_rows: Vec<TableRow>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct TableRow {
    pub(super) table_cells: Vec<TableCell>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct TableCell {
    pub(super) text: Text,
}

impl Text {
    /// The bare text, without its last line break.
    pub(super) fn plain(&self) -> String {
        let runs = self.text_elements.iter().filter_map(TextElement::run);
        let text: String = runs.map(|run| run.content.as_str()).collect();
        text.trim_end_matches('\n').replace('\u{b}', "\n")
    }

    /// The text with its bullets as Markdown.
    pub(super) fn markdown(&self) -> String {
        let mut out = String::new();
        let mut bullet: Option<usize> = None;
        let mut at_start = true;
        for element in &self.text_elements {
            if let Some(marker) = &element.paragraph_marker {
                bullet = marker.bullet.as_ref().map(|bullet| bullet.nesting_level);
                at_start = true;
            }
            let Some(run) = element.run() else { continue };
            let text = run.content.replace('\u{b}', " ");
            if at_start && !text.trim().is_empty() {
                if let Some(depth) = bullet {
                    out.push_str(&"    ".repeat(depth));
                    out.push_str("- ");
                }
                at_start = false;
            }
            out.push_str(&text);
        }
        out.trim_end().to_owned()
    }
}

impl TextElement {
    fn run(&self) -> Option<&TextRun> {
        self.text_run.as_ref().or(self.auto_text.as_ref())
    }
}

impl Element {
    /// What kind of place of its layout it fills.
    pub(super) fn role(&self) -> Option<&Placeholder> {
        self.shape.as_ref()?.placeholder.as_ref()
    }

    pub(super) fn text(&self) -> String {
        self.shape
            .as_ref()
            .map(|shape| shape.text.plain())
            .unwrap_or_default()
    }
}

impl Slide {
    /// The element that holds the title.
    pub(super) fn title(&self) -> Option<&Element> {
        self.page_elements.iter().find(|element| {
            let role = element.role().map(|role| role.kind.as_str());
            matches!(role, Some("TITLE" | "CENTERED_TITLE"))
        })
    }

    /// The element that holds the body, else the subtitle.
    pub(super) fn body(&self) -> Option<&Element> {
        let of = |kind: &str| {
            self.page_elements
                .iter()
                .find(|element| element.role().is_some_and(|role| role.kind == kind))
        };
        of("BODY").or_else(|| of("SUBTITLE"))
    }

    /// The speaker's notes.
    pub(super) fn notes(&self) -> String {
        let page = &self.slide_properties.notes_page;
        let id = &page.notes_properties.speaker_notes_object_id;
        let mut elements = page.page_elements.iter();
        let notes = elements.find(|element| !id.is_empty() && element.object_id == *id);
        notes.map(Element::text).unwrap_or_default()
    }
}
