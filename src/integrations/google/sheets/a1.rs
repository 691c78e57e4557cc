//! Places in a spreadsheet as people write them: A1 notation.

use std::fmt;

/// Most columns and rows that Sheets allows; what is larger is no place.
const MOST_COLUMNS: u32 = 18_278;
const MOST_ROWS: u32 = 10_000_000;

/// A rectangle of a tab. Columns and rows count from 0; ends are not included and may be open.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Area {
    /// The tab's title; `None` is the first one.
    pub(super) tab: Option<String>,
    pub(super) columns: (u32, Option<u32>),
    pub(super) rows: (u32, Option<u32>),
}

impl Area {
    /// Reads `Plan!A1:C10`, `'My plan'!B:D`, `A1`, `2:20`. A text that is no rectangle is a tab's title.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if text.is_empty() {
            return None;
        }
        let (tab, cells) = match text.strip_prefix('\'') {
            Some(rest) => {
                let (title, after) = unquoted(rest)?;
                if after.is_empty() {
                    return Some(Self::whole(&title));
                }
                (Some(title), after.strip_prefix('!')?)
            }
            None => match text.rsplit_once('!') {
                Some((title, cells)) => (Some(title.to_owned()), cells),
                None => (None, text),
            },
        };
        match rectangle(cells) {
            Some((columns, rows)) => Some(Self { tab, columns, rows }),
            None if tab.is_none() => Some(Self::whole(text)),
            None => None,
        }
    }

    /// A whole tab.
    pub(super) fn whole(title: &str) -> Self {
        Self {
            tab: Some(title.to_owned()),
            ..Self::default()
        }
    }

    /// How many columns it has, when that is known.
    pub(super) fn width(&self) -> Option<u32> {
        Some(self.columns.1?.saturating_sub(self.columns.0))
    }
}

impl fmt::Display for Area {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let title = self
            .tab
            .as_deref()
            .map(|title| format!("'{}'", title.replace('\'', "''")));
        let start = (self.columns.0, self.rows.0);
        let cells = match (self.columns.1, self.rows.1) {
            (None, None) if start == (0, 0) => None,
            (Some(end), Some(last)) => Some(format!(
                "{}{}:{}{last}",
                column(start.0),
                start.1 + 1,
                column(end.saturating_sub(1))
            )),
            (Some(end), None) if start.1 == 0 => Some(format!(
                "{}:{}",
                column(start.0),
                column(end.saturating_sub(1))
            )),
            (Some(end), None) => Some(format!(
                "{}{}:{}",
                column(start.0),
                start.1 + 1,
                column(end.saturating_sub(1))
            )),
            (None, Some(last)) if start.0 == 0 => Some(format!("{}:{last}", start.1 + 1)),
            (None, last) => Some(format!(
                "{}{}:{}",
                column(start.0),
                start.1 + 1,
                last.map_or_else(|| column(MOST_COLUMNS - 1), |last| last.to_string())
            )),
        };
        match (title, cells) {
            (Some(title), Some(cells)) => write!(f, "{title}!{cells}"),
            (Some(one), None) | (None, Some(one)) => f.write_str(&one),
            (None, None) => f.write_str("A:ZZZ"),
        }
    }
}

/// A title up to its closing apostrophe, and what is behind it.
fn unquoted(text: &str) -> Option<(String, &str)> {
    let mut title = String::new();
    let mut rest = text;
    loop {
        let (part, after) = rest.split_once('\'')?;
        title.push_str(part);
        match after.strip_prefix('\'') {
            Some(more) => {
                title.push('\'');
                rest = more;
            }
            None => return (!title.is_empty()).then_some((title, after)),
        }
    }
}

type Span = (u32, Option<u32>);

fn rectangle(cells: &str) -> Option<(Span, Span)> {
    let (from, to) = if let Some((from, to)) = cells.split_once(':') {
        (corner(from)?, corner(to)?)
    } else {
        let only = corner(cells)?;
        // A column or a row alone is a rectangle only with a colon; without, it is a title such as `Q1`'s `Q`.
        if only.0.is_none() || only.1.is_none() {
            return None;
        }
        (only, only)
    };
    let span = |from: Option<u32>, to: Option<u32>| -> Option<Span> {
        match (from, to) {
            (Some(from), Some(to)) => Some((from.min(to), Some(from.max(to) + 1))),
            (Some(from), None) => Some((from, None)),
            (None, Some(_)) => None,
            (None, None) => Some((0, None)),
        }
    };
    Some((span(from.0, to.0)?, span(from.1, to.1)?))
}

/// Column and row of `$B$7`, `B` or `7`.
fn corner(text: &str) -> Option<(Option<u32>, Option<u32>)> {
    let text = text.trim().replace('$', "").to_ascii_uppercase();
    let digits = text.trim_start_matches(|c: char| c.is_ascii_uppercase());
    let letters = &text[..text.len() - digits.len()];
    let column = match letters {
        "" => None,
        letters if letters.len() <= 3 => Some(
            letters
                .bytes()
                .fold(0, |sum, letter| sum * 26 + u32::from(letter - b'A') + 1)
                - 1,
        ),
        _longer => return None,
    };
    let row = match digits {
        "" => None,
        digits => {
            let row: u32 = digits.parse().ok()?;
            Some(row.checked_sub(1).filter(|row| *row < MOST_ROWS)?)
        }
    };
    (column.is_some() || row.is_some()).then_some((column, row))
}

/// The letters of a column.
pub(super) fn column(index: u32) -> String {
    let mut letters = Vec::new();
    let mut rest = index;
    loop {
        letters.push(char::from(
            b'A' + u8::try_from(rest % 26).unwrap_or_default(),
        ));
        if rest < 26 {
            break;
        }
        rest = rest / 26 - 1;
    }
    letters.iter().rev().collect()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test says what went wrong by failing")]
    use super::*;

    #[test]
    fn places_are_read_as_people_write_them() {
        for (text, tab, columns, rows, shown) in [
            ("A1:C10", None, (0, Some(3)), (0, Some(10)), "A1:C10"),
            (
                "Plan!$b$2",
                Some("Plan"),
                (1, Some(2)),
                (1, Some(2)),
                "'Plan'!B2:B2",
            ),
            (
                "'It''s !'!A:C",
                Some("It's !"),
                (0, Some(3)),
                (0, None),
                "'It''s !'!A:C",
            ),
            (
                "Plan!A2:C",
                Some("Plan"),
                (0, Some(3)),
                (1, None),
                "'Plan'!A2:C",
            ),
            ("2:20", None, (0, None), (1, Some(20)), "2:20"),
            ("C3:A1", None, (0, Some(3)), (0, Some(3)), "A1:C3"),
            ("Costs", Some("Costs"), (0, None), (0, None), "'Costs'"),
            (
                "Autumn launch",
                Some("Autumn launch"),
                (0, None),
                (0, None),
                "'Autumn launch'",
            ),
            ("'A1'", Some("A1"), (0, None), (0, None), "'A1'"),
            ("AA1:AB2", None, (26, Some(28)), (0, Some(2)), "AA1:AB2"),
        ] {
            let area = Area::parse(text).unwrap();
            assert_eq!(
                (area.tab.as_deref(), area.columns, area.rows),
                (tab, columns, rows),
                "{text}"
            );
            assert_eq!(area.to_string(), shown, "{text}");
        }
        for text in ["", "Plan!", "Plan!x y", "'open", "Plan!A0"] {
            assert_eq!(Area::parse(text), None, "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn a_place_comes_back(tab in proptest::option::of("[A-Za-z '!]{1,12}"), left in 0..18_000_u32, wide in 1..200_u32,
                              top in 0..90_000_u32, high in proptest::option::of(1..500_u32)) {
            let area = Area {
                tab: tab.filter(|title| title.trim() == title),
                columns: (left, Some(left + wide)),
                rows: (top, high.map(|high| top + high)),
            };
            proptest::prop_assert_eq!(Area::parse(&area.to_string()), Some(area));
        }
    }
}
