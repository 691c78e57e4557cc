//! How much text an answer has room for. A record that is too large for its answer is cut after the tool gave it, and
//! what is lost then lies before the tool's cursor: nobody would ever read it. So a tool that fetches text stops sooner.

use serde::Serialize;

use crate::kit::output::Item;
use crate::kit::text;
use crate::kit::tool::Cx;

/// Characters around a record and its text: the envelope, a cursor, the small fields that are known after the text.
const AROUND: usize = 350;
/// Characters of text that every answer has room for.
const LEAST: usize = 100;

/// Characters of the word that a list goes on.
const MORE: usize = 20;
/// The field that names fields which had no room.
const LOST: &str = "left_out";

/// How many characters of text, as JSON, the answer takes beside this record. A record that leaves room for none loses
/// its largest fields, and says which.
pub(super) fn beside(cx: &Cx, item: &mut Item) -> usize {
    let most = cx.max_chars.saturating_sub(AROUND);
    let mut lost: Vec<String> = Vec::new();
    loop {
        let left = most.saturating_sub(chars(item));
        if left >= LEAST {
            return left;
        }
        let fields = item.fields.iter().filter(|(name, _)| *name != LOST);
        let largest = fields.max_by_key(|(_, value)| chars(value));
        let Some(name) = largest.map(|(name, _)| name.clone()) else {
            return LEAST;
        };
        item.fields.shift_remove(&name);
        lost.push(name);
        item.set(LOST, lost.clone());
    }
}

/// Length as JSON, in characters.
pub(super) fn chars(value: &(impl Serialize + ?Sized)) -> usize {
    serde_json::to_string(value).map_or(0, |json| json.chars().count())
}

/// The beginning of a text that takes at most `room` characters as JSON, and never nothing of a text.
pub(super) fn fitting(text: &str, room: usize) -> &str {
    let mut taken = 0;
    for (at, c) in text.char_indices() {
        taken += match c {
            '"' | '\\' | '\n' | '\r' | '\t' => 2,
            c if c.is_ascii_control() => 6,
            _plain => 1,
        };
        if taken > room && at > 0 {
            return &text[..at];
        }
    }
    text
}

/// The text, or the beginning of it that fits, and whether that is not all of it.
pub(super) fn clipped(text: &str, room: usize) -> (String, bool) {
    let kept = fitting(text, room);
    if kept.len() == text.len() {
        return (text.to_owned(), false);
    }
    (text::clip(text, kept.chars().count()), true)
}

/// As many of these names as fit into a list of `room` characters, the last one saying how many more there are.
pub(super) fn listed(names: Vec<String>, room: usize) -> Vec<String> {
    let all = names.len();
    let mut left = room.saturating_sub(MORE);
    let mut told = Vec::new();
    for name in names {
        let taken = chars(&name) + 1;
        if taken > left {
            told.push(format!("… and {} more", all - told.len()));
            break;
        }
        left -= taken;
        told.push(name);
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_says_how_much_is_left_out() {
        let names = |room| listed(vec!["Costs".to_owned(), "x".repeat(30)], room);
        assert_eq!(names(100).len(), 2);
        assert_eq!(names(50), ["Costs", "… and 1 more"]);
        assert_eq!(names(0), ["… and 2 more"]);
        assert_eq!(listed(Vec::new(), 0), Vec::<String>::new());
    }

    #[test]
    fn a_text_is_as_long_as_its_json() {
        let text = "\"é\"\n\\\u{1}\tx";
        // The two quotation marks around it are no part of the text.
        assert_eq!(fitting(text, chars(text) - 2), text);
        assert_eq!(fitting(text, chars(text) - 3), "\"é\"\n\\\u{1}\t");
        assert_eq!(fitting("é", 0), "é");
        assert_eq!(fitting("", 0), "");
        assert_eq!(clipped("abcdef", 4), ("abc…".to_owned(), true));
        assert_eq!(clipped("abcd", 4), ("abcd".to_owned(), false));
    }
}
