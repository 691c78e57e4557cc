//! A small document that carries out steps the way the Docs API says it does, for tests: text as UTF-16 code units,
//! with looks, and with the structure of tables as units of their own.

use super::page::{Block, Bullet, Kind, Marks, Para, Run, Style, units};
use super::step::Step;

/// How a document's text holds a table: its beginning, that of a row and of a cell, and its end.
const TABLE: u16 = 0x10;
const ROW: u16 = 0x12;
const CELL: u16 = 0x1c;
const END: u16 = 0x11;
const BREAK: u16 = 0x0a;

#[derive(Clone, Debug, Default)]
struct Unit {
    code: u16,
    marks: Marks,
    /// Of the paragraph that ends here.
    style: Style,
    bullet: Option<Bullet>,
}

/// The document. Place 0 is the section break that every body begins with.
#[derive(Clone, Debug, Default)]
pub(super) struct Paper(Vec<Unit>);

impl Paper {
    /// A document of these blocks, which learn their places.
    pub(super) fn of(blocks: &mut [Block]) -> Self {
        let mut paper = Self(vec![Unit::default()]);
        paper.typeset(blocks);
        paper
    }

    fn typeset(&mut self, blocks: &mut [Block]) {
        for block in blocks {
            block.start = self.end();
            match &mut block.kind {
                Kind::Para(para) => {
                    for run in &para.runs {
                        self.0.extend(run.text.encode_utf16().map(|code| Unit {
                            code,
                            marks: run.marks.clone(),
                            ..Unit::default()
                        }));
                    }
                    self.0.push(Unit {
                        code: BREAK,
                        style: para.style,
                        bullet: para.bullet,
                        ..Unit::default()
                    });
                }
                Kind::Table(rows) => {
                    self.structure(TABLE);
                    for row in rows {
                        self.structure(ROW);
                        for cell in row {
                            self.structure(CELL);
                            self.typeset(cell);
                        }
                    }
                    self.structure(END);
                }
                Kind::Fixed(_) => {}
            }
            block.end = self.end();
        }
    }

    fn end(&self) -> u32 {
        u32::try_from(self.0.len()).unwrap_or(u32::MAX)
    }

    fn structure(&mut self, code: u16) {
        self.0.push(Unit {
            code,
            ..Unit::default()
        });
    }

    /// Carries out a step; a place outside of text is a failure, as it is with Google.
    pub(super) fn carry_out(&mut self, step: &Step) {
        match step {
            Step::Insert { at, text } => self.insert(*at, text),
            Step::Delete { start, end } => self.delete(*start, *end),
            Step::Table { at, rows, columns } => {
                self.insert(*at, "\n");
                let mut table = vec![TABLE];
                for _row in 0..*rows {
                    table.push(ROW);
                    for _column in 0..*columns {
                        table.extend([CELL, BREAK]);
                    }
                }
                table.push(END);
                let table = table.into_iter().map(|code| Unit {
                    code,
                    ..Unit::default()
                });
                let at = *at as usize + 1;
                self.0.splice(at..at, table);
            }
            Step::Reset { start, end } => {
                self.mark(*start, *end, |marks| *marks = Marks::default());
            }
            Step::Mark {
                start,
                end,
                marks: new,
            } => self.mark(*start, *end, |marks| {
                marks.bold |= new.bold;
                marks.italic |= new.italic;
                marks.strike |= new.strike;
                marks.code |= new.code;
                marks.link = new.link.clone().or_else(|| marks.link.take());
            }),
            Step::Paragraph { start, end, style } => {
                for at in self.breaks(*start, *end) {
                    self.0[at].style = *style;
                }
            }
            Step::NoList { start, end } => {
                for at in self.breaks(*start, *end) {
                    self.0[at].bullet = None;
                }
            }
            Step::List {
                start,
                end,
                ordered,
            } => {
                // From the end, so that the tabs that go shift nothing that is still to be looked at.
                for at in self.breaks(*start, *end).into_iter().rev() {
                    let start = self.beginning(at);
                    let tabs = self.0[start..]
                        .iter()
                        .take_while(|unit| unit.code == 9)
                        .count();
                    self.0[at].bullet = Some(Bullet {
                        ordered: *ordered,
                        depth: tabs,
                    });
                    self.0.drain(start..start + tabs);
                }
            }
            Step::Comment { start, end, .. } => assert!(start < end && *end < self.end()),
        }
    }

    fn insert(&mut self, at: u32, text: &str) {
        let at = at as usize;
        let place = &self.0[at];
        assert!(
            at > 0 && !matches!(place.code, TABLE | ROW | CELL | END),
            "{at} is in no paragraph"
        );
        let next = self.0[at..]
            .iter()
            .find(|unit| unit.code == BREAK)
            .cloned()
            .unwrap_or_default();
        let before = &self.0[at - 1];
        let own = !matches!(before.code, BREAK | TABLE | ROW | CELL | END | 0);
        let marks = if own {
            before.marks.clone()
        } else {
            place.marks.clone()
        };
        let new = text.encode_utf16().map(|code| Unit {
            code,
            marks: if code == BREAK {
                Marks::default()
            } else {
                marks.clone()
            },
            style: next.style,
            bullet: next.bullet,
        });
        self.0.splice(at..at, new.collect::<Vec<_>>());
    }

    fn delete(&mut self, start: u32, end: u32) {
        let (start, end) = (start as usize, end as usize);
        assert!(
            0 < start && start < end && end < self.0.len(),
            "{start}..{end} of {}",
            self.0.len()
        );
        let gone = &self.0[start..end];
        let count = |code: u16| gone.iter().filter(|unit| unit.code == code).count();
        assert_eq!(count(TABLE), count(END), "half a table");
        // A surrogate pair goes whole.
        assert!(
            !(0xdc00..0xe000).contains(&gone[0].code)
                && !(0xdc00..0xe000).contains(&self.0[end].code)
        );
        assert!(
            !(gone[gone.len() - 1].code == BREAK && self.0[end].code == TABLE),
            "the line break before a table stays"
        );
        self.0.drain(start..end);
    }

    fn mark(&mut self, start: u32, end: u32, change: impl Fn(&mut Marks)) {
        assert!(start < end && end <= self.end());
        for unit in &mut self.0[start as usize..end as usize] {
            if unit.code != BREAK {
                change(&mut unit.marks);
            }
        }
    }

    /// The ends of all paragraphs that the range touches.
    fn breaks(&self, start: u32, end: u32) -> Vec<usize> {
        assert!(
            start < end && end <= self.end(),
            "{start}..{end} of {}",
            self.end()
        );
        let mut found: Vec<usize> = (start as usize..end as usize)
            .filter(|at| self.0[*at].code == BREAK)
            .collect();
        let last = end as usize - 1;
        if self.0[last].code != BREAK {
            let after = self.0[last..].iter().position(|unit| unit.code == BREAK);
            found.extend(after.map(|after| last + after));
        }
        found
    }

    fn beginning(&self, end: usize) -> usize {
        let before = self.0[..end]
            .iter()
            .rposition(|unit| matches!(unit.code, BREAK | TABLE | ROW | CELL | END | 0));
        before.map_or(0, |before| before + 1)
    }

    /// What stands on it, without the empty paragraphs that structure leaves behind.
    pub(super) fn blocks(&self) -> Vec<Block> {
        let mut at = 1;
        self.read(&mut at)
    }

    fn read(&self, at: &mut usize) -> Vec<Block> {
        let mut found = Vec::new();
        let mut text: Vec<&Unit> = Vec::new();
        while let Some(unit) = self.0.get(*at) {
            match unit.code {
                TABLE => {
                    let mut rows: Vec<Vec<Vec<Block>>> = Vec::new();
                    *at += 1;
                    while let Some(inner) = self.0.get(*at) {
                        match inner.code {
                            ROW => {
                                rows.push(Vec::new());
                                *at += 1;
                            }
                            CELL => {
                                *at += 1;
                                let cell = self.read(at);
                                if let Some(row) = rows.last_mut() {
                                    row.push(cell);
                                }
                            }
                            _end => break,
                        }
                    }
                    found.push(Block::new(Kind::Table(rows)));
                }
                ROW | CELL | END => return found,
                BREAK => {
                    found.push(Block::new(Kind::Para(para(&text, unit))));
                    text.clear();
                }
                _text => text.push(unit),
            }
            *at += 1;
        }
        found
    }
}

fn para(text: &[&Unit], end: &Unit) -> Para {
    let mut runs: Vec<(Vec<u16>, Marks)> = Vec::new();
    for unit in text {
        match runs.last_mut() {
            Some((codes, marks)) if *marks == unit.marks => codes.push(unit.code),
            _ => runs.push((vec![unit.code], unit.marks.clone())),
        }
    }
    let runs = runs.into_iter().map(|(codes, marks)| Run {
        text: String::from_utf16_lossy(&codes),
        marks,
        object: None,
    });
    Para {
        style: end.style,
        bullet: end.bullet,
        runs: runs.collect(),
    }
}

/// The places that text takes, which the tests count on being those of UTF-16.
#[test]
fn places_are_those_of_utf_16() {
    for text in ["", "plain", "é", "e\u{301}", "漢字", "🚀", "👩‍👩‍👧", "𝒳x"] {
        assert_eq!(units(text) as usize, text.encode_utf16().count(), "{text}");
    }
}
