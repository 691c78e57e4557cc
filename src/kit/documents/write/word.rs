//! The parts of a Word document, from the events of a Markdown text.

use std::fmt::Write as _;

use pulldown_cmark::{Alignment, Event, HeadingLevel, Options, Parser, Tag, TagEnd};

use super::super::convert;
use super::{XML, escape};

/// The parts that depend on the text.
pub(super) struct Document {
    pub(super) body: String,
    pub(super) relations: String,
    pub(super) numbering: String,
}

/// A list that is open.
struct List {
    /// Its number in the numbering part.
    id: usize,
}

#[expect(clippy::struct_excessive_bools, reason = "each is a state of its own")]
#[derive(Default)]
struct Writer {
    body: String,
    links: Vec<String>,
    /// The first number of each numbered list; bullets all share the first definition.
    numbered: Vec<u64>,
    lists: Vec<List>,
    /// Whether the next paragraph carries the marker of its item.
    marker: bool,
    paragraph: bool,
    style: Option<&'static str>,
    quotes: usize,
    bold: usize,
    italic: usize,
    struck: usize,
    code: bool,
    /// Whether each open link goes somewhere.
    open_links: Vec<bool>,
    alignments: Vec<Alignment>,
    column: usize,
    in_table: bool,
}

/// The deepest level that Word's lists have.
const LEVELS: usize = 9;

/// The document of a Markdown text.
pub(super) fn document(markdown: &str) -> Document {
    let options = Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH;
    let mut writer = Writer::default();
    for event in Parser::new_ext(markdown, options) {
        writer.event(event);
    }
    writer.end_paragraph();
    let mut relations = format!(
        "{XML}<Relationships xmlns=\"http://schemas.openxmlformats.org/package/2006/relationships\">\
         <Relationship Id=\"rId1\" Type=\"{OFFICE}/styles\" Target=\"styles.xml\"/>\
         <Relationship Id=\"rId2\" Type=\"{OFFICE}/numbering\" Target=\"numbering.xml\"/>"
    );
    for (at, link) in writer.links.iter().enumerate() {
        // Writing to a string does not fail, here and below.
        let _ = write!(
            relations,
            "<Relationship Id=\"link{at}\" Type=\"{OFFICE}/hyperlink\" Target=\"{}\" TargetMode=\"External\"/>",
            escape(link)
        );
    }
    relations.push_str("</Relationships>");
    Document {
        body: format!(
            "{XML}<w:document xmlns:w=\"{WORD}\" xmlns:r=\"{OFFICE}\"><w:body>{}<w:sectPr/></w:body></w:document>",
            writer.body
        ),
        relations,
        numbering: numbering(&writer.numbered),
    }
}

impl Writer {
    fn event(&mut self, event: Event<'_>) {
        match event {
            Event::Start(tag) => self.start(tag),
            Event::End(tag) => self.end(tag),
            Event::Text(text) | Event::Html(text) | Event::InlineHtml(text) => self.text(&text),
            Event::Code(text) => {
                self.code = true;
                self.run(&text);
                self.code = false;
            }
            Event::SoftBreak => self.run(" "),
            Event::HardBreak => self.raw("<w:r><w:br/></w:r>"),
            Event::Rule => {
                self.end_paragraph();
                self.body.push_str(
                    "<w:p><w:pPr><w:pBdr><w:bottom w:val=\"single\" w:sz=\"6\" w:space=\"1\" w:color=\"auto\"/></w:pBdr></w:pPr></w:p>",
                );
            }
            Event::InlineMath(text) | Event::DisplayMath(text) | Event::FootnoteReference(text) => {
                self.run(&text);
            }
            Event::TaskListMarker(done) => self.run(if done { "☒ " } else { "☐ " }),
        }
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the library's kinds that say nothing here"
    )]
    fn start(&mut self, tag: Tag<'_>) {
        match tag {
            Tag::Heading { level, .. } => {
                self.end_paragraph();
                self.style = Some(match level {
                    HeadingLevel::H1 => "Heading1",
                    HeadingLevel::H2 => "Heading2",
                    HeadingLevel::H3 => "Heading3",
                    HeadingLevel::H4 => "Heading4",
                    HeadingLevel::H5 => "Heading5",
                    HeadingLevel::H6 => "Heading6",
                });
            }
            Tag::BlockQuote(_) => {
                self.end_paragraph();
                self.quotes += 1;
            }
            Tag::CodeBlock(_) => {
                self.end_paragraph();
                self.style = Some("Code");
            }
            Tag::List(start) => {
                self.end_paragraph();
                let id = match start {
                    None => 1,
                    Some(first) => {
                        self.numbered.push(first);
                        self.numbered.len() + 1
                    }
                };
                self.lists.push(List { id });
            }
            Tag::Item => {
                self.end_paragraph();
                self.marker = true;
            }
            Tag::Table(alignments) => {
                self.end_paragraph();
                self.alignments = alignments;
                self.in_table = true;
                self.body.push_str(
                    "<w:tbl><w:tblPr><w:tblStyle w:val=\"TableGrid\"/><w:tblW w:w=\"0\" w:type=\"auto\"/></w:tblPr><w:tblGrid>",
                );
                for _ in &self.alignments {
                    self.body.push_str("<w:gridCol/>");
                }
                self.body.push_str("</w:tblGrid>");
            }
            Tag::TableHead => {
                self.bold += 1;
                self.row("<w:tr><w:trPr><w:tblHeader/></w:trPr>");
            }
            Tag::TableRow => self.row("<w:tr>"),
            Tag::TableCell => {
                self.body
                    .push_str("<w:tc><w:tcPr><w:tcW w:w=\"0\" w:type=\"auto\"/></w:tcPr>");
                self.begin_paragraph();
            }
            Tag::Emphasis => self.italic += 1,
            Tag::Strong => self.bold += 1,
            Tag::Strikethrough => self.struck += 1,
            Tag::Link { dest_url, .. } => {
                let goes = convert::allowed(&dest_url);
                if goes {
                    self.begin_paragraph();
                    let _ = write!(
                        self.body,
                        "<w:hyperlink r:id=\"link{}\" w:history=\"1\">",
                        self.links.len()
                    );
                    self.links.push(dest_url.trim().to_owned());
                }
                self.open_links.push(goes);
            }
            // A picture becomes its description, which is text inside.
            _ => {}
        }
    }

    fn row(&mut self, start: &str) {
        self.column = 0;
        self.body.push_str(start);
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the library's kinds that say nothing here"
    )]
    fn end(&mut self, tag: TagEnd) {
        match tag {
            TagEnd::Paragraph | TagEnd::Item | TagEnd::HtmlBlock => self.end_paragraph(),
            TagEnd::Heading(_) | TagEnd::CodeBlock => {
                self.end_paragraph();
                self.style = None;
            }
            TagEnd::BlockQuote(_) => {
                self.end_paragraph();
                self.quotes = self.quotes.saturating_sub(1);
            }
            TagEnd::List(_) => {
                self.end_paragraph();
                self.lists.pop();
            }
            TagEnd::TableCell => {
                self.end_paragraph();
                self.body.push_str("</w:tc>");
                self.column += 1;
            }
            TagEnd::TableHead => {
                self.bold = self.bold.saturating_sub(1);
                self.body.push_str("</w:tr>");
            }
            TagEnd::TableRow => self.body.push_str("</w:tr>"),
            // Word wants a paragraph after a table.
            TagEnd::Table => {
                self.in_table = false;
                self.body.push_str("</w:tbl><w:p/>");
            }
            TagEnd::Emphasis => self.italic = self.italic.saturating_sub(1),
            TagEnd::Strong => self.bold = self.bold.saturating_sub(1),
            TagEnd::Strikethrough => self.struck = self.struck.saturating_sub(1),
            TagEnd::Link if self.open_links.pop() == Some(true) => {
                self.body.push_str("</w:hyperlink>");
            }
            _ => {}
        }
    }

    fn begin_paragraph(&mut self) {
        if self.paragraph {
            return;
        }
        self.paragraph = true;
        self.body.push_str("<w:p><w:pPr>");
        let style = self
            .style
            .or((self.quotes > 0).then_some("Quote"))
            .or((!self.lists.is_empty()).then_some("ListParagraph"));
        if let Some(style) = style {
            let _ = write!(self.body, "<w:pStyle w:val=\"{style}\"/>");
        }
        let depth = self.lists.len().min(LEVELS);
        match self.lists.last() {
            Some(list) if std::mem::take(&mut self.marker) => {
                let _ = write!(
                    self.body,
                    "<w:numPr><w:ilvl w:val=\"{}\"/><w:numId w:val=\"{}\"/></w:numPr>",
                    depth - 1,
                    list.id
                );
            }
            Some(_) => {
                let _ = write!(self.body, "<w:ind w:left=\"{}\"/>", 720 * depth);
            }
            None => {}
        }
        if self.in_table {
            let side = match self.alignments.get(self.column) {
                Some(Alignment::Center) => Some("center"),
                Some(Alignment::Right) => Some("right"),
                Some(Alignment::Left | Alignment::None) | None => None,
            };
            if let Some(side) = side {
                let _ = write!(self.body, "<w:jc w:val=\"{side}\"/>");
            }
        }
        self.body.push_str("</w:pPr>");
    }

    fn end_paragraph(&mut self) {
        // An item without text still has its marker.
        if self.marker && !self.paragraph && !self.lists.is_empty() {
            self.begin_paragraph();
        }
        if std::mem::take(&mut self.paragraph) {
            self.body.push_str("</w:p>");
        }
    }

    fn raw(&mut self, xml: &str) {
        self.begin_paragraph();
        self.body.push_str(xml);
    }

    /// Text of several lines in code, of one elsewhere.
    fn text(&mut self, text: &str) {
        if self.style == Some("Code") {
            for (at, line) in text.trim_end_matches('\n').split('\n').enumerate() {
                if at > 0 || self.body.ends_with("</w:t></w:r>") {
                    self.raw("<w:r><w:br/></w:r>");
                }
                self.run(line);
            }
        } else {
            self.run(text.trim_end_matches('\n'));
        }
    }

    fn run(&mut self, text: &str) {
        self.begin_paragraph();
        self.body.push_str("<w:r><w:rPr>");
        if self.code {
            self.body.push_str("<w:rStyle w:val=\"CodeText\"/>");
        } else if self.open_links.contains(&true) {
            self.body.push_str("<w:rStyle w:val=\"Hyperlink\"/>");
        }
        for (on, property) in [
            (self.bold > 0, "<w:b/>"),
            (self.italic > 0, "<w:i/>"),
            (self.struck > 0, "<w:strike/>"),
        ] {
            if on {
                self.body.push_str(property);
            }
        }
        let _ = write!(
            self.body,
            "</w:rPr><w:t xml:space=\"preserve\">{}</w:t></w:r>",
            escape(text)
        );
    }
}

/// Bullets as the first list, then each numbered list with its own count.
fn numbering(numbered: &[u64]) -> String {
    let mut out = format!("{XML}<w:numbering xmlns:w=\"{WORD}\">");
    for (definition, bullets) in [(0, true), (1, false)] {
        let _ = write!(
            out,
            "<w:abstractNum w:abstractNumId=\"{definition}\"><w:multiLevelType w:val=\"hybridMultilevel\"/>"
        );
        for level in 0..LEVELS {
            let indent = 720 * (level + 1);
            let (format, text) = if bullets {
                ("bullet", "•".to_owned())
            } else {
                ("decimal", format!("%{}.", level + 1))
            };
            let _ = write!(
                out,
                "<w:lvl w:ilvl=\"{level}\"><w:start w:val=\"1\"/><w:numFmt w:val=\"{format}\"/><w:lvlText w:val=\"{text}\"/>\
                 <w:lvlJc w:val=\"left\"/><w:pPr><w:ind w:left=\"{indent}\" w:hanging=\"360\"/></w:pPr></w:lvl>"
            );
        }
        out.push_str("</w:abstractNum>");
    }
    out.push_str("<w:num w:numId=\"1\"><w:abstractNumId w:val=\"0\"/></w:num>");
    for (at, first) in numbered.iter().enumerate() {
        let _ = write!(
            out,
            "<w:num w:numId=\"{}\"><w:abstractNumId w:val=\"1\"/>",
            at + 2
        );
        for level in 0..LEVELS {
            let _ = write!(
                out,
                "<w:lvlOverride w:ilvl=\"{level}\"><w:startOverride w:val=\"{}\"/></w:lvlOverride>",
                (*first).min(1_000_000)
            );
        }
        out.push_str("</w:num>");
    }
    out.push_str("</w:numbering>");
    out
}

const WORD: &str = "http://schemas.openxmlformats.org/wordprocessingml/2006/main";
const OFFICE: &str = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";

pub(super) const CONTENT_TYPES: &str = r#"<?xml version="1.0" encoding="UTF-8" standalone="yes"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Default Extension="xml" ContentType="application/xml"/><Override PartName="/word/document.xml" ContentType="application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"/><Override PartName="/word/styles.xml" ContentType="application/vnd.openxmlformats-officedocument.wordprocessingml.styles+xml"/><Override PartName="/word/numbering.xml" ContentType="application/vnd.openxmlformats-officedocument.wordprocessingml.numbering+xml"/></Types>"#;

pub(super) const RELATIONS: &str = r#"<?xml version="1.0" encoding="UTF-8" standalone="yes"?><Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="rId1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument" Target="word/document.xml"/></Relationships>"#;

pub(super) const STYLES: &str = r#"<?xml version="1.0" encoding="UTF-8" standalone="yes"?><w:styles xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"><w:docDefaults><w:rPrDefault><w:rPr><w:rFonts w:ascii="Calibri" w:hAnsi="Calibri" w:cs="Calibri"/><w:sz w:val="22"/></w:rPr></w:rPrDefault><w:pPrDefault><w:pPr><w:spacing w:after="120" w:line="264" w:lineRule="auto"/></w:pPr></w:pPrDefault></w:docDefaults><w:style w:type="paragraph" w:default="1" w:styleId="Normal"><w:name w:val="Normal"/></w:style><w:style w:type="paragraph" w:styleId="Heading1"><w:name w:val="heading 1"/><w:basedOn w:val="Normal"/><w:next w:val="Normal"/><w:pPr><w:keepNext/><w:spacing w:before="360"/><w:outlineLvl w:val="0"/></w:pPr><w:rPr><w:b/><w:sz w:val="36"/></w:rPr></w:style><w:style w:type="paragraph" w:styleId="Heading2"><w:name w:val="heading 2"/><w:basedOn w:val="Normal"/><w:next w:val="Normal"/><w:pPr><w:keepNext/><w:spacing w:before="280"/><w:outlineLvl w:val="1"/></w:pPr><w:rPr><w:b/><w:sz w:val="30"/></w:rPr></w:style><w:style w:type="paragraph" w:styleId="Heading3"><w:name w:val="heading 3"/><w:basedOn w:val="Normal"/><w:next w:val="Normal"/><w:pPr><w:keepNext/><w:spacing w:before="240"/><w:outlineLvl w:val="2"/></w:pPr><w:rPr><w:b/><w:sz w:val="26"/></w:rPr></w:style><w:style w:type="paragraph" w:styleId="Heading4"><w:name w:val="heading 4"/><w:basedOn w:val="Normal"/><w:next w:val="Normal"/><w:pPr><w:keepNext/><w:outlineLvl w:val="3"/></w:pPr><w:rPr><w:b/></w:rPr></w:style><w:style w:type="paragraph" w:styleId="Heading5"><w:name w:val="heading 5"/><w:basedOn w:val="Normal"/><w:next w:val="Normal"/><w:pPr><w:keepNext/><w:outlineLvl w:val="4"/></w:pPr><w:rPr><w:b/><w:i/></w:rPr></w:style><w:style w:type="paragraph" w:styleId="Heading6"><w:name w:val="heading 6"/><w:basedOn w:val="Normal"/><w:next w:val="Normal"/><w:pPr><w:keepNext/><w:outlineLvl w:val="5"/></w:pPr><w:rPr><w:i/></w:rPr></w:style><w:style w:type="paragraph" w:styleId="ListParagraph"><w:name w:val="List Paragraph"/><w:basedOn w:val="Normal"/><w:pPr><w:contextualSpacing/></w:pPr></w:style><w:style w:type="paragraph" w:styleId="Quote"><w:name w:val="Quote"/><w:basedOn w:val="Normal"/><w:pPr><w:ind w:left="567" w:right="567"/></w:pPr><w:rPr><w:i/></w:rPr></w:style><w:style w:type="paragraph" w:styleId="Code"><w:name w:val="Code"/><w:basedOn w:val="Normal"/><w:rPr><w:rFonts w:ascii="Consolas" w:hAnsi="Consolas" w:cs="Consolas"/><w:sz w:val="20"/></w:rPr></w:style><w:style w:type="character" w:styleId="CodeText"><w:name w:val="Code Text"/><w:rPr><w:rFonts w:ascii="Consolas" w:hAnsi="Consolas" w:cs="Consolas"/></w:rPr></w:style><w:style w:type="character" w:styleId="Hyperlink"><w:name w:val="Hyperlink"/><w:rPr><w:color w:val="0563C1"/><w:u w:val="single"/></w:rPr></w:style><w:style w:type="table" w:styleId="TableGrid"><w:name w:val="Table Grid"/><w:tblPr><w:tblBorders><w:top w:val="single" w:sz="4" w:space="0" w:color="auto"/><w:left w:val="single" w:sz="4" w:space="0" w:color="auto"/><w:bottom w:val="single" w:sz="4" w:space="0" w:color="auto"/><w:right w:val="single" w:sz="4" w:space="0" w:color="auto"/><w:insideH w:val="single" w:sz="4" w:space="0" w:color="auto"/><w:insideV w:val="single" w:sz="4" w:space="0" w:color="auto"/></w:tblBorders></w:tblPr></w:style></w:styles>"#;
