//! The Docs API's JSON, only the fields that are read.

use std::collections::HashMap;

use serde::Deserialize;

/// Which fields of a document are asked for. `tabs` comes whole: its tabs nest without end.
pub(super) const FIELDS: &str = "documentId,title,revisionId,tabs";

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Document {
    pub(super) title: String,
    pub(super) revision_id: Option<String>,
    pub(super) tabs: Vec<Tab>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Tab {
    pub(super) tab_properties: TabProperties,
    pub(super) child_tabs: Vec<Tab>,
    pub(super) document_tab: Option<DocumentTab>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct TabProperties {
    pub(super) tab_id: String,
    pub(super) title: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct DocumentTab {
    pub(super) body: Body,
    pub(super) lists: HashMap<String, List>,
    pub(super) inline_objects: HashMap<String, InlineObject>,
    pub(super) footnotes: HashMap<String, Footnote>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Body {
    pub(super) content: Vec<Element>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Footnote {
    pub(super) content: Vec<Element>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Element {
    /// Absent is zero: the first section break of a tab.
    pub(super) start_index: u32,
    pub(super) end_index: u32,
    pub(super) paragraph: Option<Paragraph>,
    pub(super) table: Option<Table>,
    pub(super) table_of_contents: Option<Body>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Paragraph {
    pub(super) elements: Vec<Inline>,
    pub(super) paragraph_style: ParagraphStyle,
    pub(super) bullet: Option<Bullet>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct ParagraphStyle {
    pub(super) named_style_type: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Bullet {
    pub(super) list_id: String,
    pub(super) nesting_level: usize,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Inline {
    pub(super) start_index: u32,
    pub(super) end_index: u32,
    pub(super) text_run: Option<TextRun>,
    pub(super) inline_object_element: Option<InlineObjectElement>,
    pub(super) person: Option<Person>,
    pub(super) rich_link: Option<RichLink>,
    pub(super) footnote_reference: Option<FootnoteReference>,
    pub(super) date_element: Option<DateElement>,
    pub(super) horizontal_rule: Option<serde_json::Value>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct TextRun {
    pub(super) content: String,
    pub(super) text_style: TextStyle,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct TextStyle {
    pub(super) bold: bool,
    pub(super) italic: bool,
    pub(super) strikethrough: bool,
    pub(super) link: Option<Link>,
    pub(super) weighted_font_family: Option<Font>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Link {
    pub(super) url: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Font {
    pub(super) font_family: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct InlineObjectElement {
    pub(super) inline_object_id: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct InlineObject {
    pub(super) inline_object_properties: InlineObjectProperties,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct InlineObjectProperties {
    pub(super) embedded_object: EmbeddedObject,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct EmbeddedObject {
    pub(super) title: String,
    pub(super) description: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Person {
    pub(super) person_properties: PersonProperties,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct PersonProperties {
    pub(super) name: String,
    pub(super) email: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct RichLink {
    pub(super) rich_link_properties: RichLinkProperties,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct RichLinkProperties {
    pub(super) title: String,
    pub(super) uri: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct FootnoteReference {
    pub(super) footnote_id: String,
    pub(super) footnote_number: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct DateElement {
    pub(super) date_element_properties: DateElementProperties,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct DateElementProperties {
    pub(super) display_text: String,
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
    pub(super) content: Vec<Element>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct List {
    pub(super) list_properties: ListProperties,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct ListProperties {
    pub(super) nesting_levels: Vec<NestingLevel>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct NestingLevel {
    /// Absent or `NONE` where the bullet is a picture and not a number.
    pub(super) glyph_type: String,
}
