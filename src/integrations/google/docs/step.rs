//! What a batch consists of, in the order in which the API carries it out, and how blocks are written with it.

use serde_json::{Map, Value, json};

use super::page::{Block, Kind, Marks, Para, Style, units};

/// One request of a batch. Places count from the document as the requests before it leave it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Insert {
        at: u32,
        text: String,
    },
    Delete {
        start: u32,
        end: u32,
    },
    /// Puts a line break at `at` and an empty table after it.
    Table {
        at: u32,
        rows: usize,
        columns: usize,
    },
    /// Takes all marks away.
    Reset {
        start: u32,
        end: u32,
    },
    /// Adds these marks.
    Mark {
        start: u32,
        end: u32,
        marks: Marks,
    },
    Paragraph {
        start: u32,
        end: u32,
        style: Style,
    },
    /// Turns paragraphs into a list; their leading tabs go and become depth.
    List {
        start: u32,
        end: u32,
        ordered: bool,
    },
    NoList {
        start: u32,
        end: u32,
    },
    Comment {
        start: u32,
        end: u32,
        text: String,
    },
}

impl Step {
    /// The request, in this tab.
    pub(super) fn request(&self, tab: &str) -> Value {
        let place = |at: &u32| json!({ "index": at, "tabId": tab });
        let range =
            |start: &u32, end: &u32| json!({ "startIndex": start, "endIndex": end, "tabId": tab });
        match self {
            Self::Insert { at, text } => {
                json!({ "insertText": { "location": place(at), "text": text } })
            }
            Self::Delete { start, end } => {
                json!({ "deleteContentRange": { "range": range(start, end) } })
            }
            Self::Table { at, rows, columns } => {
                json!({ "insertTable": { "location": place(at), "rows": rows, "columns": columns } })
            }
            Self::Reset { start, end } => {
                json!({ "updateTextStyle": { "range": range(start, end), "textStyle": {}, "fields": "*" } })
            }
            Self::Mark { start, end, marks } => {
                let (style, fields) = text_style(marks);
                json!({ "updateTextStyle": { "range": range(start, end), "textStyle": style, "fields": fields } })
            }
            Self::Paragraph { start, end, style } => json!({ "updateParagraphStyle": {
                "range": range(start, end),
                "paragraphStyle": { "namedStyleType": style.word() },
                // What is named and not given goes back to the named style's own.
                "fields": "namedStyleType,alignment,indentStart,indentFirstLine",
            } }),
            Self::List {
                start,
                end,
                ordered,
            } => {
                let preset = if *ordered {
                    "NUMBERED_DECIMAL_ALPHA_ROMAN"
                } else {
                    "BULLET_DISC_CIRCLE_SQUARE"
                };
                json!({ "createParagraphBullets": { "range": range(start, end), "bulletPreset": preset } })
            }
            Self::NoList { start, end } => {
                json!({ "deleteParagraphBullets": { "range": range(start, end) } })
            }
            Self::Comment { start, end, text } => {
                json!({ "insertComment": { "range": range(start, end), "content": text } })
            }
        }
    }
}

fn text_style(marks: &Marks) -> (Value, String) {
    let mut style = Map::new();
    for (name, set) in [
        ("bold", marks.bold),
        ("italic", marks.italic),
        ("strikethrough", marks.strike),
    ] {
        if set {
            style.insert(name.to_owned(), json!(true));
        }
    }
    if marks.code {
        style.insert(
            "weightedFontFamily".to_owned(),
            json!({ "fontFamily": "Courier New" }),
        );
    }
    if let Some(url) = &marks.link {
        style.insert("link".to_owned(), json!({ "url": url }));
    }
    let fields = style.keys().cloned().collect::<Vec<_>>().join(",");
    (Value::Object(style), fields)
}

/// Where new blocks go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Behind the paragraph whose line break is here.
    After(u32),
    /// Into the empty paragraph that is here.
    Into(u32),
}

/// A new paragraph as it stands before lists are made.
struct Placed<'a> {
    start: u32,
    end: u32,
    /// Where its own text begins, after the tabs that say how deep an item is.
    text: u32,
    para: &'a Para,
}

/// The steps that write these blocks there. What is behind the place is only shifted.
pub(super) fn write(blocks: &[Block], place: Place) -> Vec<Step> {
    let (mut at, mut breaks) = match place {
        Place::After(at) => (at, true),
        Place::Into(at) => (at, false),
    };
    let mut steps = Vec::new();
    let mut placed: Vec<Placed<'_>> = Vec::new();
    // Empty paragraphs that only the structure needs: before a table that is no text's, and behind a last one.
    let mut bare: Vec<u32> = Vec::new();
    let mut chunk = String::new();
    let mut chunk_at = at;
    for block in blocks {
        match &block.kind {
            Kind::Para(para) => {
                if breaks {
                    chunk.push('\n');
                    at += 1;
                }
                let depth = para.bullet.map_or(0, |bullet| bullet.depth);
                let tabs = "\t".repeat(depth);
                let (start, text) = (at, para.text());
                at += units(&tabs) + units(&text);
                chunk.push_str(&tabs);
                chunk.push_str(&text);
                placed.push(Placed {
                    start,
                    end: at,
                    text: start + units(&tabs),
                    para,
                });
                breaks = true;
            }
            Kind::Table(rows) => {
                insert(&mut steps, chunk_at, &mut chunk);
                if !breaks {
                    bare.push(at);
                }
                at = table(&mut steps, at, rows);
                chunk_at = at;
                // Behind a table there is always a paragraph, and the next text goes into it.
                breaks = false;
            }
            Kind::Fixed(_) => {}
        }
    }
    insert(&mut steps, chunk_at, &mut chunk);
    for new in &placed {
        // An empty paragraph is its line break.
        let end = new.end.max(new.start + 1);
        let start = new.start;
        steps.push(Step::NoList { start, end });
        steps.push(Step::Paragraph {
            start,
            end,
            style: new.para.style,
        });
        marks(&mut steps, (new.start, new.end), new.text, new.para);
    }
    if !breaks {
        bare.push(at);
    }
    for start in bare {
        // It has the look of whatever the place had.
        let end = start + 1;
        steps.push(Step::NoList { start, end });
        steps.push(Step::Paragraph {
            start,
            end,
            style: Style::Normal,
        });
    }
    lists(&mut steps, &placed);
    steps
}

fn insert(steps: &mut Vec<Step>, at: u32, chunk: &mut String) {
    if !chunk.is_empty() {
        let text = std::mem::take(chunk);
        steps.push(Step::Insert { at, text });
    }
}

/// New text looks like what was before it, so it is made plain first.
fn marks(steps: &mut Vec<Step>, (start, end): (u32, u32), text: u32, para: &Para) {
    if start < end {
        steps.push(Step::Reset { start, end });
    }
    let mut at = text;
    for run in &para.runs {
        let end = at + units(&run.text);
        if run.marks != Marks::default() && at < end {
            steps.push(Step::Mark {
                start: at,
                end,
                marks: run.marks.clone(),
            });
        }
        at = end;
    }
}

/// Writes a table and says where the text behind it begins. A table takes a place for its beginning and its end, one
/// for each row, and two for each empty cell: its own and its paragraph's line break.
fn table(steps: &mut Vec<Step>, at: u32, rows: &[Vec<Vec<Block>>]) -> u32 {
    let columns = rows.first().map_or(0, Vec::len);
    steps.push(Step::Table {
        at,
        rows: rows.len(),
        columns,
    });
    let mut places = Vec::new();
    // The line break before the table, and the table's beginning.
    let mut next = at + 2;
    for row in rows {
        next += 1;
        for cell in row {
            let para = cell.first().and_then(Block::para);
            places.push((next + 1, para));
            next += 2;
        }
    }
    let mut end = next + 1;
    // The last cell first, so that the places of the others stay.
    for (at, para) in places.into_iter().rev() {
        let Some(para) = para else { continue };
        let text = para.text();
        if text.is_empty() {
            continue;
        }
        let length = units(&text);
        steps.push(Step::Insert { at, text });
        marks(steps, (at, at + length), at, para);
        end += length;
    }
    end
}

/// Makes lists of the items, the last list first, because the tabs that go would shift what is behind them.
fn lists(steps: &mut Vec<Step>, placed: &[Placed<'_>]) {
    let mut found: Vec<(u32, u32, bool)> = Vec::new();
    for new in placed {
        let Some(bullet) = new.para.bullet else {
            continue;
        };
        let end = new.end.max(new.start + 1);
        match found.last_mut() {
            Some((_, last, ordered))
                if *ordered == bullet.ordered && (*last + 1 == new.start || *last == new.start) =>
            {
                *last = end;
            }
            _ => found.push((new.start, end, bullet.ordered)),
        }
    }
    for (start, end, ordered) in found.into_iter().rev() {
        steps.push(Step::List {
            start,
            end,
            ordered,
        });
    }
}
