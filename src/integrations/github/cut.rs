//! Keeping answers small: one budget of characters for all the texts of an answer, lines cut whole, and file contents
//! decoded. Long diffs and threads are what makes GitHub answers unusable, so every text goes through here.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::kit::text;

/// Characters left for the texts of one answer.
#[derive(Debug)]
pub(super) struct Budget {
    left: usize,
    /// Whether anything was cut so far.
    pub(super) cut: bool,
}

/// Some lines of a text.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Lines {
    /// The lines, each with its line break as it was.
    pub(super) text: String,
    /// The last line of them, counted from 1 in the whole text.
    pub(super) to: usize,
    /// How many lines the whole text has.
    pub(super) total: usize,
    /// The first line that was wanted and left out.
    pub(super) next: Option<usize>,
}

impl Budget {
    /// A budget of so many characters.
    pub(super) const fn new(chars: usize) -> Self {
        Self {
            left: chars,
            cut: false,
        }
    }

    /// What so many records leave of `chars` for their texts. A record that is larger than the answer may be would be cut, and
    /// where its text goes on would then be told wrong.
    pub(super) const fn beside(records: usize, chars: usize) -> Self {
        /// What a record has besides its text: addresses, names, times.
        const OTHERWISE: usize = 600;
        let otherwise = records.saturating_mul(OTHERWISE);
        let most = chars / 2;
        Self::new(chars - if otherwise < most { otherwise } else { most })
    }

    /// The text, or what of it fits into `at_most` and into what is left.
    pub(super) fn take(&mut self, text: &str, at_most: usize) -> String {
        let short = text::clip(text, at_most.min(self.left));
        let used = short.chars().count();
        self.cut |= short.len() != text.len();
        self.left = self.left.saturating_sub(used);
        short
    }

    /// Characters left.
    pub(super) const fn left(&self) -> usize {
        self.left
    }

    /// Whole lines `from..=to` of the text, as many as fit into `at_most` and into what is left. A single line longer
    /// than that is cut within, so that there is always something to read.
    pub(super) fn take_lines(
        &mut self,
        text: &str,
        (from, to): (usize, Option<usize>),
        at_most: usize,
    ) -> Lines {
        let room = at_most.min(self.left);
        let mut used = 0;
        let mut lines = Lines {
            text: String::new(),
            to: 0,
            total: 0,
            next: None,
        };
        for (index, line) in text.split_inclusive('\n').enumerate() {
            let number = index + 1;
            lines.total = number;
            if number < from || to.is_some_and(|to| number > to) || lines.next.is_some() {
                continue;
            }
            let length = line.chars().count();
            if used + length <= room {
                lines.text.push_str(line);
                used += length;
                lines.to = number;
            } else if used == 0 && room > 0 {
                lines.text = text::clip(line, room);
                used = room;
                lines.to = number;
                self.cut = true;
            } else {
                lines.next = Some(number);
                self.cut = true;
            }
        }
        self.left = self.left.saturating_sub(used);
        lines
    }
}

/// What a file holds.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Held {
    /// Text in UTF-8.
    Text(String),
    /// Anything else.
    Binary,
}

/// Decodes what GitHub answers for a file: base64 with line breaks in it. `None` when it is not that.
pub(super) fn decode(content: &str, encoding: &str) -> Option<Held> {
    if encoding == "utf-8" {
        return Some(Held::Text(content.to_owned()));
    }
    if encoding != "base64" {
        return None;
    }
    let compact: String = content
        .chars()
        .filter(|c| !c.is_ascii_whitespace())
        .collect();
    let bytes = STANDARD.decode(compact).ok()?;
    Some(match String::from_utf8(bytes) {
        Ok(text) if !text.contains('\0') => Held::Text(text),
        _ => Held::Binary,
    })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test says what went wrong by failing")]
    use super::*;

    #[test]
    fn a_budget_is_shared_by_all_texts() {
        let mut budget = Budget::new(10);
        assert_eq!(budget.take("hello", 100), "hello");
        assert!(!budget.cut);
        assert_eq!(budget.take("good world", 100), "good…");
        assert!(budget.cut);
        assert_eq!(budget.take("more", 100), "");
    }

    #[test]
    fn lines_are_cut_whole_and_say_where_to_go_on() {
        let text = "one\ntwo\nthree\nfour\n";
        let lines = |chars, range| {
            let lines = Budget::new(chars).take_lines(text, range, chars);
            (lines.text, lines.to, lines.total, lines.next)
        };
        assert_eq!(lines(100, (1, None)), (text.to_owned(), 4, 4, None));
        assert_eq!(
            lines(100, (2, Some(3))),
            ("two\nthree\n".to_owned(), 3, 4, None)
        );
        assert_eq!(
            lines(9, (1, None)),
            ("one\ntwo\n".to_owned(), 2, 4, Some(3))
        );
        assert_eq!(lines(2, (3, None)), ("t…".to_owned(), 3, 4, Some(4)));
        assert_eq!(lines(100, (9, None)), (String::new(), 0, 4, None));
    }

    #[test]
    fn base64_with_line_breaks_is_text_or_binary() {
        assert_eq!(
            decode("aGVs\nbG8=\n", "base64"),
            Some(Held::Text("hello".to_owned()))
        );
        assert_eq!(decode("AAEC", "base64"), Some(Held::Binary));
        assert_eq!(decode("/9j/", "base64"), Some(Held::Binary));
        assert_eq!(decode("", "none"), None);
        assert_eq!(
            decode("plain", "utf-8").unwrap(),
            Held::Text("plain".to_owned())
        );
    }
}
