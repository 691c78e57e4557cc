//! Writing Markdown: blocks, lists, quotes, marks and tables, with the white space where it belongs.
//!
//! The text is for reading: characters that Markdown gives a meaning are not escaped, except where they would end a
//! table cell or the text of a link.

/// How far the next text stands from the last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Gap {
    #[default]
    None,
    Line,
    Blank,
}

#[derive(Debug)]
enum Prefix {
    Quote,
    Item { marker: String, shown: bool },
}

/// The most columns of a table: a wider one is layout or hostile, and every row is filled up to the widest.
const TABLE_COLUMNS: usize = 200;

/// Items and quotations inside each other that are shown; the rest stays at that depth. Every line repeats them all.
const PREFIXES: usize = 20;

/// The longest text in bytes. Marks and prefixes repeat on every line, so a small page can become a large text.
const BYTES: usize = super::limits::OUTPUT_CHARS * 4;

/// A Markdown text that grows.
#[derive(Debug, Default)]
pub(super) struct Markdown {
    out: String,
    prefixes: Vec<Prefix>,
    /// How many more are open than are shown.
    unshown: usize,
    /// Marks like `**` that are open, and whether they have been written.
    marks: Vec<(&'static str, bool)>,
    gap: Gap,
    /// The fewest quotations open since the last text: an empty line belongs to what both its neighbours are in.
    quotes: usize,
    /// White space before the next word.
    space: bool,
    /// White space before the first word.
    led: bool,
}

impl Markdown {
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// How long the text is by now, in bytes.
    pub(super) const fn len(&self) -> usize {
        self.out.len()
    }

    /// Whether more is not taken.
    pub(super) const fn is_full(&self) -> bool {
        self.out.len() >= BYTES
    }

    /// Running text: white space collapses.
    pub(super) fn text(&mut self, text: &str) {
        for (at, word) in text.split(is_space).enumerate() {
            if at > 0 {
                self.space = true;
                self.led |= self.out.is_empty();
            }
            if word.is_empty() {
                continue;
            }
            if self.is_full() {
                return;
            }
            self.begin();
            self.out.push_str(word);
        }
    }

    /// Text whose white space counts, as in preformatted blocks; lines keep the prefix.
    pub(super) fn verbatim(&mut self, text: &str) {
        for (at, line) in text.split('\n').enumerate() {
            if self.is_full() {
                return;
            }
            if at > 0 {
                self.out.push('\n');
                self.prefix();
            }
            self.begin();
            self.out.push_str(line.trim_end_matches('\r'));
        }
    }

    /// Ends the line.
    pub(super) fn line(&mut self) {
        self.part(Gap::Line);
    }

    /// Ends the paragraph.
    pub(super) fn block(&mut self) {
        self.part(Gap::Blank);
    }

    fn part(&mut self, gap: Gap) {
        self.space = false;
        for (mark, written) in self.marks.iter_mut().rev() {
            if std::mem::take(written) {
                self.out.push_str(mark);
            }
        }
        self.gap = self.gap.max(gap);
    }

    /// Whether something would stand before the next text on its line.
    fn at_start(&self) -> bool {
        self.gap != Gap::None || self.out.is_empty()
    }

    /// Writes what is due before a word.
    fn begin(&mut self) {
        if self.at_start() {
            if !self.out.is_empty() {
                self.out.push('\n');
                if self.gap == Gap::Blank {
                    self.blank();
                }
            }
            self.prefix();
            self.quotes = self.quoted();
            self.gap = Gap::None;
            self.space = false;
        } else if std::mem::take(&mut self.space) && !self.out.ends_with(' ') {
            self.out.push(' ');
        }
        for (mark, written) in &mut self.marks {
            if !std::mem::replace(written, true) {
                self.out.push_str(mark);
            }
        }
    }

    /// An empty line, quoted as far as both neighbours are.
    fn blank(&mut self) {
        let quotes = vec![">"; self.quotes.min(self.quoted())];
        self.out.push_str(&quotes.join(" "));
        self.out.push('\n');
    }

    /// How many quotations are open.
    fn quoted(&self) -> usize {
        self.prefixes
            .iter()
            .filter(|prefix| matches!(prefix, Prefix::Quote))
            .count()
    }

    fn prefix(&mut self) {
        for prefix in &mut self.prefixes {
            match prefix {
                Prefix::Quote => self.out.push_str("> "),
                Prefix::Item { marker, shown } => {
                    if std::mem::replace(shown, true) {
                        self.out.extend(marker.chars().map(|_| ' '));
                    } else {
                        self.out.push_str(marker);
                    }
                }
            }
        }
    }

    /// Opens a mark: `**`, `*`, `~~` or a backtick.
    pub(super) fn open(&mut self, mark: &'static str) {
        // Bold in bold is bold.
        let known = self.marks.iter().any(|(open, _)| *open == mark);
        self.marks.push((if known { "" } else { mark }, false));
    }

    /// Closes the innermost mark; one around nothing leaves no trace.
    pub(super) fn close(&mut self) {
        if let Some((mark, true)) = self.marks.pop() {
            self.out.push_str(mark);
        }
    }

    /// Text of a run with these marks. Neighbours with the same marks share them.
    pub(super) fn marked(&mut self, text: &str, marks: impl Iterator<Item = &'static str> + Clone) {
        if text.trim().is_empty() {
            self.text(text);
            return;
        }
        if !self.marks.iter().map(|(mark, _)| *mark).eq(marks.clone()) {
            while !self.marks.is_empty() {
                self.close();
            }
            self.marks.extend(marks.map(|mark| (mark, false)));
        }
        self.text(text);
    }

    /// Text that stands close to what is before it.
    pub(super) fn tight(&mut self, text: &str) {
        while !self.marks.is_empty() {
            self.close();
        }
        self.space = false;
        self.begin();
        self.out.push_str(text);
    }

    /// Lines that are written already.
    pub(super) fn lines(&mut self, text: &str) {
        for line in text.lines() {
            if line.trim().is_empty() {
                self.block();
                continue;
            }
            if self.is_full() {
                return;
            }
            self.begin();
            self.out.push_str(line);
            self.line();
        }
    }

    /// Begins a list item: `- `, `1. `.
    pub(super) fn open_item(&mut self, marker: String) {
        self.line();
        self.push(Prefix::Item {
            marker,
            shown: false,
        });
    }

    /// Begins a quotation.
    pub(super) fn open_quote(&mut self) {
        self.block();
        self.push(Prefix::Quote);
    }

    fn push(&mut self, prefix: Prefix) {
        if self.prefixes.len() < PREFIXES {
            self.prefixes.push(prefix);
        } else {
            self.unshown += 1;
        }
    }

    /// Ends the innermost item or quotation.
    pub(super) fn close_prefix(&mut self) {
        if self.unshown > 0 {
            self.unshown -= 1;
            self.line();
            return;
        }
        match self.prefixes.pop() {
            Some(Prefix::Quote) => {
                self.quotes = self.quotes.min(self.quoted());
                self.block();
            }
            Some(Prefix::Item { .. }) | None => self.line(),
        }
    }

    /// A heading of this level.
    pub(super) fn heading(&mut self, level: usize, text: &str) {
        let text = flat(text, " ");
        if text.is_empty() || self.is_full() {
            return;
        }
        self.block();
        self.begin();
        for _ in 0..level.clamp(1, 6) {
            self.out.push('#');
        }
        self.out.push(' ');
        self.out.push_str(&text);
        self.block();
    }

    /// A rule between sections.
    pub(super) fn rule(&mut self) {
        if self.out.is_empty() || self.is_full() {
            return;
        }
        self.block();
        self.begin();
        self.out.push_str("---");
        self.block();
    }

    /// A link; an address that says it all stands alone.
    pub(super) fn link(&mut self, text: &str, address: &str) {
        let text = flat(text, " ");
        if text.is_empty() || self.is_full() {
            return;
        }
        self.begin();
        let bare = |text: &str| {
            text.trim_start_matches("https://")
                .trim_start_matches("http://")
                .trim_start_matches("mailto:")
                .trim_end_matches('/')
                .to_owned()
        };
        if bare(&text) == bare(address) {
            self.out.push_str(address.trim_start_matches("mailto:"));
            return;
        }
        self.out.push('[');
        for c in text.chars() {
            if matches!(c, '[' | ']') {
                self.out.push('\\');
            }
            self.out.push(c);
        }
        self.out.push_str("](");
        for c in address.chars() {
            match c {
                '(' => self.out.push_str("%28"),
                ')' => self.out.push_str("%29"),
                '<' => self.out.push_str("%3C"),
                '>' => self.out.push_str("%3E"),
                c if is_space(c) => self.out.push_str("%20"),
                c => self.out.push(c),
            }
        }
        self.out.push(')');
    }

    /// Preformatted lines, fenced.
    pub(super) fn fence(&mut self, text: &str) {
        let text = text.trim_matches('\n').trim_end();
        if text.trim().is_empty() {
            return;
        }
        let longest = text
            .split(|c| c != '`')
            .map(str::len)
            .max()
            .unwrap_or_default();
        let fence = "`".repeat(longest.max(2) + 1);
        self.block();
        self.verbatim(&fence);
        self.line();
        self.verbatim(text);
        self.line();
        self.verbatim(&fence);
        self.block();
    }

    /// A table; the first row is the header.
    pub(super) fn table(&mut self, rows: &[Vec<String>]) {
        let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
        let columns = columns.min(TABLE_COLUMNS);
        if columns == 0 {
            return;
        }
        self.block();
        for (at, row) in rows.iter().enumerate() {
            if self.is_full() {
                break;
            }
            self.begin();
            self.out.push('|');
            for column in 0..columns {
                self.out.push(' ');
                let cell = row.get(column).map(|cell| flat(cell, " / "));
                self.out
                    .push_str(&cell.unwrap_or_default().replace('|', "\\|"));
                self.out.push_str(" |");
            }
            self.line();
            if at == 0 {
                self.begin();
                self.out.push('|');
                self.out.push_str(&" --- |".repeat(columns));
                self.line();
            }
        }
        self.block();
    }

    /// The text, and whether white space stood before and after it.
    pub(super) fn finish_spaced(self) -> (String, bool, bool) {
        let (before, after) = (self.led, self.space);
        (self.finish(), before, after)
    }

    /// The text, without white space at its ends.
    pub(super) fn finish(mut self) -> String {
        self.part(Gap::None);
        let kept = self.out.trim_end().len();
        self.out.truncate(kept);
        self.out
    }
}

/// White space that collapses; a no-break space is kept as an ordinary one.
pub(super) fn is_space(c: char) -> bool {
    c.is_whitespace()
}

/// The text on one line.
pub(super) fn flat(text: &str, between: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        if !out.is_empty() {
            out.push_str(between);
        }
        out.push_str(line);
    }
    out
}
