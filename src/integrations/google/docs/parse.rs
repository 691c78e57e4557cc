//! Markdown as blocks: what of CommonMark a document can hold, with tables and strikethrough. A quotation becomes plain
//! paragraphs and a rule nothing, for Docs has no such thing to insert; HTML stays the text it is.

use pulldown_cmark::{Event, HeadingLevel, Options, Parser, Tag, TagEnd};

use super::page::{Block, Bullet, Kind, Marks, Para, Run, Style};

/// Deepest level of a list in Docs.
const DEEPEST: usize = 8;

/// The text without the characters that Docs strips from what is inserted: they would shift every place after them.
pub(super) fn kept(text: &str) -> String {
    let stripped = |c: &char| matches!(c, '\0'..='\u{8}' | '\u{b}'..='\u{1f}' | '\u{7f}' | '\u{e000}'..='\u{f8ff}' | '\u{fffc}');
    text.chars().filter(|c| !stripped(c)).collect()
}

/// The blocks of a Markdown text.
pub(super) fn blocks(text: &str) -> Vec<Block> {
    let text = kept(text);
    let mut reader = Reader::default();
    let options = Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH;
    for event in Parser::new_ext(&text, options) {
        reader.read(event);
    }
    reader.close();
    reader.found
}

/// The runs of a line of Markdown. It is read between two full stops, so that nothing at its beginning makes a list or a
/// heading of it and the spaces around it stay.
pub(super) fn inline(text: &str) -> Vec<Run> {
    let mut found = blocks(&format!(".{text}."));
    let (
        Some(Block {
            kind: Kind::Para(para),
            ..
        }),
        None,
    ) = (found.pop(), found.pop())
    else {
        return vec![plain(text)];
    };
    let mut runs = para.runs;
    if let Some(first) = runs.first_mut().filter(|run| run.text.starts_with('.')) {
        first.text.remove(0);
    }
    if let Some(last) = runs.last_mut().filter(|run| run.text.ends_with('.')) {
        last.text.pop();
    }
    runs.retain(|run| !run.text.is_empty());
    runs
}

/// The bare text of a line of Markdown: what a quotation says without its marks.
pub(super) fn bare(text: &str) -> String {
    inline(text).iter().map(|run| run.text.as_str()).collect()
}

fn plain(text: &str) -> Run {
    Run {
        text: text.to_owned(),
        ..Run::default()
    }
}

/// What has been read so far.
#[derive(Default)]
struct Reader {
    found: Vec<Block>,
    /// The paragraph that is open.
    open: Option<Para>,
    /// Whether the lists around it are numbered, outermost first.
    lists: Vec<bool>,
    /// Whether the item around it has no text yet.
    is_new_item: bool,
    style: Style,
    /// The marks around the text, innermost last.
    marks: Vec<Marks>,
    /// The rows of the table that is open.
    rows: Vec<Vec<Vec<Block>>>,
    is_code: bool,
}

impl Reader {
    fn read(&mut self, event: Event<'_>) {
        match event {
            Event::Start(tag) => self.start(tag),
            Event::End(tag) => self.end(tag),
            Event::Text(text) if self.is_code => self.code(&text),
            Event::Text(text) | Event::Html(text) | Event::InlineHtml(text) => self.text(&text),
            Event::Code(text) => {
                self.mark(|marks| marks.code = true);
                self.text(&text);
                self.marks.pop();
            }
            Event::SoftBreak => self.text(" "),
            Event::HardBreak => self.text("\u{b}"),
            Event::Rule
            | Event::FootnoteReference(_)
            | Event::TaskListMarker(_)
            | Event::InlineMath(_)
            | Event::DisplayMath(_) => {}
        }
    }

    fn start(&mut self, tag: Tag<'_>) {
        match tag {
            Tag::Heading { level, .. } => {
                self.close();
                self.style = Style::Heading(match level {
                    HeadingLevel::H1 => 1,
                    HeadingLevel::H2 => 2,
                    HeadingLevel::H3 => 3,
                    HeadingLevel::H4 => 4,
                    HeadingLevel::H5 => 5,
                    HeadingLevel::H6 => 6,
                });
            }
            Tag::List(first) => {
                self.close();
                self.lists.push(first.is_some());
            }
            Tag::Item => {
                self.close();
                self.is_new_item = true;
            }
            Tag::CodeBlock(_) => {
                self.close();
                self.is_code = true;
            }
            Tag::TableHead | Tag::TableRow => self.rows.push(Vec::new()),
            Tag::Emphasis => self.mark(|marks| marks.italic = true),
            Tag::Strong => self.mark(|marks| marks.bold = true),
            Tag::Strikethrough => self.mark(|marks| marks.strike = true),
            Tag::Link { dest_url, .. } => {
                self.mark(|marks| marks.link = Some(dest_url.to_string()));
            }
            // A picture's words stay, for Docs takes pictures only from public addresses.
            Tag::Image { .. } => self.mark(|_| {}),
            _other => self.close(),
        }
    }

    fn end(&mut self, tag: TagEnd) {
        match tag {
            TagEnd::Emphasis
            | TagEnd::Strong
            | TagEnd::Strikethrough
            | TagEnd::Link
            | TagEnd::Image => {
                self.marks.pop();
            }
            TagEnd::Heading(_) => {
                self.close();
                self.style = Style::Normal;
            }
            TagEnd::List(_) => {
                self.close();
                self.lists.pop();
            }
            TagEnd::Item => {
                // An item without a word is an item all the same.
                if self.is_new_item {
                    self.text("");
                }
                self.close();
            }
            TagEnd::CodeBlock => self.is_code = false,
            TagEnd::TableCell => {
                let para = self.open.take().unwrap_or_default();
                if let Some(row) = self.rows.last_mut() {
                    row.push(vec![Block::new(Kind::Para(para))]);
                }
            }
            TagEnd::Table => {
                let rows = std::mem::take(&mut self.rows);
                self.found.push(Block::new(Kind::Table(rows)));
            }
            TagEnd::TableHead | TagEnd::TableRow => {}
            _other => self.close(),
        }
    }

    fn mark(&mut self, set: impl FnOnce(&mut Marks)) {
        let mut marks = self.marks.last().cloned().unwrap_or_default();
        set(&mut marks);
        self.marks.push(marks);
    }

    fn text(&mut self, text: &str) {
        let bullet = self.is_new_item.then(|| Bullet {
            ordered: self.lists.last().copied().unwrap_or_default(),
            depth: self.lists.len().saturating_sub(1).min(DEEPEST),
        });
        self.is_new_item = false;
        let style = self.style;
        let marks = self.marks.last().cloned().unwrap_or_default();
        // A paragraph has no line breaks of its own.
        let text = text.replace('\n', " ");
        let para = self.open.get_or_insert_with(|| Para {
            style,
            bullet,
            runs: Vec::new(),
        });
        match para.runs.last_mut() {
            Some(last) if last.marks == marks => last.text.push_str(&text),
            _ if text.is_empty() => {}
            _ => para.runs.push(Run {
                text,
                marks,
                object: None,
            }),
        }
    }

    /// Each line of code is a paragraph; an empty one keeps a space, so that it is still code.
    fn code(&mut self, text: &str) {
        for line in text.lines() {
            let line = if line.is_empty() { " " } else { line };
            let mut run = plain(&line.replace('\t', "    "));
            run.marks.code = true;
            self.found.push(Block::new(Kind::Para(Para {
                runs: vec![run],
                ..Para::default()
            })));
        }
    }

    fn close(&mut self) {
        if let Some(mut para) = self.open.take() {
            if let Some(last) = para.runs.last_mut() {
                let end = last.text.trim_end().len();
                last.text.truncate(end);
            }
            para.runs.retain(|run| !run.text.is_empty());
            if !para.runs.is_empty() || para.bullet.is_some() {
                self.found.push(Block::new(Kind::Para(para)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::markdown::markdown;
    use super::*;

    #[test]
    fn what_a_document_can_hold_comes_back_as_it_was() {
        let text = "# Plan 🚀\n\nA **bold** and *slanted* line with `code`, ~~old~~ and [a link](https://acme.example/x).\n\n- one\n    - inner\n- two\n\n1. first\n2. second\n\n| Who | When |\n| --- | --- |\n| Dana | Friday |\n\n```\nlet a = 1;\n\nlet b = 2;\n```\n";
        let again = markdown(&blocks(text));
        assert_eq!(again.replace("\n \n", "\n\n"), text);
    }

    #[test]
    fn marks_that_mark_nothing_stay() {
        for text in [
            "2 * 3 * 4",
            "snake_case_name",
            "a ** b",
            "[not a link",
            "** x",
            "5 < 6",
            " 1. x ",
            "# y",
            "- z",
        ] {
            assert_eq!(bare(text), text);
        }
        assert_eq!(
            bare("the **big** [plan](https://a.example)"),
            "the big plan"
        );
        assert_eq!(bare("***both***"), "both");
        assert_eq!(bare("_it_"), "it");
        assert_eq!(bare("\\*kept\\*"), "*kept*");
    }

    #[test]
    fn loose_markdown_is_understood() {
        let found = markdown(&blocks(
            "Title\nwraps\n> said\n\n---\n* a\n  * b\n* c\n\n  more\n\n|x|\n|--|\n|1\\|2|\n",
        ));
        assert_eq!(
            found,
            "Title wraps\n\nsaid\n\n- a\n    - b\n- c\n\nmore\n\n| x |\n| --- |\n| 1\\|2 |\n"
        );
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read(text in "(\\PC|\n){0,200}") {
            for block in blocks(&text) {
                if let Some(para) = block.para() {
                    proptest::prop_assert!(!para.text().contains('\n'));
                }
            }
        }
    }
}
