//! The values of cells as people see them: shared texts, and numbers that are dates.

use time::{Date, Duration, Month, PrimitiveDateTime, Time};

use super::super::xml::Event;
use super::super::zipped::Package;
use super::super::{DocumentError, limits, paging};

/// The texts that cells refer to, one after the other in one string.
#[derive(Default)]
pub(super) struct Strings {
    text: String,
    ends: Vec<usize>,
    full: bool,
}

impl Strings {
    pub(super) fn read(package: &mut Package<'_>, part: &str) -> Result<Self, DocumentError> {
        let mut strings = Self::default();
        let Some(mut xml) = package.xml(part)? else {
            return Ok(strings);
        };
        let mut inside = false;
        // The pronunciation beside Japanese text is not part of it.
        let mut phonetic = false;
        loop {
            match xml.next()? {
                Event::Open(tag) => match tag.name() {
                    "t" => inside = !phonetic,
                    "rPh" => phonetic = true,
                    _ => {}
                },
                Event::Text(text) if inside && !strings.full => strings.text.push_str(&text),
                Event::Close(name) => match &*name {
                    "t" => inside = false,
                    "rPh" => phonetic = false,
                    "si" => {
                        strings.ends.push(strings.text.len());
                        strings.full |= strings.text.len()
                            + strings.ends.len() * size_of::<usize>()
                            > limits::SHARED_STRINGS_BYTES;
                        if strings.full {
                            return Ok(strings);
                        }
                    }
                    _ => {}
                },
                Event::Text(_) => {}
                Event::Eof => return Ok(strings),
            }
        }
    }

    fn get(&self, at: usize) -> Option<&str> {
        let end = *self.ends.get(at)?;
        let start = at.checked_sub(1).map_or(0, |before| self.ends[before]);
        self.text.get(start..end)
    }

    /// Whether some were left out.
    pub(super) const fn full(&self) -> bool {
        self.full
    }
}

/// What a number means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Meaning {
    Number,
    Date,
    Time,
    DateTime,
    Percent,
}

/// What the styles of cells make of numbers.
pub(super) struct Formats {
    styles: Vec<Meaning>,
    since_1904: bool,
}

impl Formats {
    pub(super) fn read(
        package: &mut Package<'_>,
        part: &str,
        since_1904: bool,
    ) -> Result<Self, DocumentError> {
        let mut formats = Self {
            styles: Vec::new(),
            since_1904,
        };
        let Some(mut xml) = package.xml(part)? else {
            return Ok(formats);
        };
        let mut own: std::collections::HashMap<u32, Meaning> = std::collections::HashMap::new();
        let mut in_cells = false;
        loop {
            match xml.next()? {
                Event::Open(tag) => match tag.name() {
                    "numFmt" => {
                        let id = tag.get("numFmtId").and_then(|id| id.parse().ok());
                        if let (Some(id), Some(code)) = (id, tag.get("formatCode")) {
                            own.insert(id, meaning(&code));
                        }
                    }
                    "cellXfs" => in_cells = true,
                    "xf" if in_cells && formats.styles.len() < limits::CELLS => {
                        let id: u32 = tag
                            .get("numFmtId")
                            .and_then(|id| id.parse().ok())
                            .unwrap_or(0);
                        let meaning = own.get(&id).copied().unwrap_or_else(|| built_in(id));
                        formats.styles.push(meaning);
                    }
                    _ => {}
                },
                Event::Close(name) if name == "cellXfs" => in_cells = false,
                Event::Close(_) | Event::Text(_) => {}
                Event::Eof => return Ok(formats),
            }
        }
    }
}

/// The formats that every workbook has.
const fn built_in(id: u32) -> Meaning {
    match id {
        9 | 10 => Meaning::Percent,
        14..=17 | 27..=31 | 36 | 50..=54 | 57 | 58 => Meaning::Date,
        18..=21 | 32..=35 | 45..=47 | 55 | 56 => Meaning::Time,
        22 => Meaning::DateTime,
        _ => Meaning::Number,
    }
}

/// What a format code makes of a number: letters of dates outside quotes, brackets and escapes.
fn meaning(code: &str) -> Meaning {
    let (mut day, mut hour, mut percent, mut minute_or_month) = (false, false, false, false);
    let mut chars = code.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' => {
                chars.by_ref().find(|c| *c == '"');
            }
            '\\' | '_' | '*' => {
                chars.next();
            }
            '[' => {
                let inner: String = chars.by_ref().take_while(|c| *c != ']').collect();
                // Hours that go on beyond a day.
                hour |= matches!(
                    &*inner.to_ascii_lowercase(),
                    "h" | "hh" | "m" | "mm" | "s" | "ss"
                );
            }
            // Only the form for positive numbers counts.
            ';' => break,
            'd' | 'D' | 'y' | 'Y' => day = true,
            'h' | 'H' | 's' | 'S' => hour = true,
            'm' | 'M' => minute_or_month = true,
            '%' => percent = true,
            _ => {}
        }
    }
    match (day, hour) {
        (true, true) => Meaning::DateTime,
        (true, false) => Meaning::Date,
        (false, true) => Meaning::Time,
        (false, false) if minute_or_month => Meaning::Date,
        (false, false) if percent => Meaning::Percent,
        (false, false) => Meaning::Number,
    }
}

/// The text of a cell.
pub(super) fn shown(
    kind: &str,
    value: String,
    style: usize,
    strings: &Strings,
    formats: &Formats,
) -> String {
    match kind {
        "s" => value
            .trim()
            .parse()
            .ok()
            .and_then(|at| strings.get(at))
            .map_or_else(
                || "…".to_owned(),
                |text| paging::prefix(text, limits::CELL_CHARS).to_owned(),
            ),
        "b" => (if value.trim() == "1" { "TRUE" } else { "FALSE" }).to_owned(),
        "str" | "inlineStr" | "e" | "d" => value,
        _ => number(&value, style, formats).unwrap_or(value),
    }
}

/// A number that is shown as something else.
fn number(value: &str, style: usize, formats: &Formats) -> Option<String> {
    let number: f64 = value.trim().parse().ok()?;
    let meaning = formats.styles.get(style).copied()?;
    match meaning {
        // As it was typed: 0.1 and not 0.10000000000000001.
        Meaning::Number => Some(plain(number)),
        Meaning::Percent => Some(format!("{}%", plain(round(number * 100.0)))),
        Meaning::Date | Meaning::Time | Meaning::DateTime => {
            when(number, meaning, formats.since_1904)
        }
    }
}

/// To 15 digits, which is what a spreadsheet keeps.
fn round(number: f64) -> f64 {
    format!("{number:.14e}").parse().unwrap_or(number)
}

fn plain(number: f64) -> String {
    let rounded = round(number);
    if rounded != 0.0 && !(1e-9..1e21).contains(&rounded.abs()) {
        return format!("{rounded:e}");
    }
    rounded.to_string()
}

/// Days since the beginning of a workbook's time, as a date and time.
fn when(number: f64, meaning: Meaning, since_1904: bool) -> Option<String> {
    // Up to the year 9999.
    if !(0.0..2_958_466.0).contains(&number) {
        return None;
    }
    #[expect(clippy::cast_possible_truncation, reason = "bounded above")]
    let seconds = (number * 86_400.0).round() as i64;
    let zero = if since_1904 {
        Date::from_calendar_date(1904, Month::January, 1)
    } else if number < 60.0 {
        // Before the 29th of February 1900, which spreadsheets believe in.
        Date::from_calendar_date(1899, Month::December, 31)
    } else {
        Date::from_calendar_date(1899, Month::December, 30)
    }
    .ok()?;
    let at =
        PrimitiveDateTime::new(zero, Time::MIDNIGHT).checked_add(Duration::seconds(seconds))?;
    let (date, (hour, minute, second)) = (at.date(), at.time().as_hms());
    let day = format!(
        "{:04}-{:02}-{:02}",
        date.year(),
        u8::from(date.month()),
        date.day()
    );
    let time = if second == 0 {
        format!("{hour:02}:{minute:02}")
    } else {
        format!("{hour:02}:{minute:02}:{second:02}")
    };
    Some(match meaning {
        Meaning::Time if number >= 1.0 => {
            // A duration of more than a day.
            format!(
                "{}:{:02}:{:02}",
                seconds / 3600,
                seconds / 60 % 60,
                seconds % 60
            )
        }
        Meaning::Time => time,
        Meaning::Date if seconds % 86_400 == 0 => day,
        Meaning::Date | Meaning::DateTime | Meaning::Number | Meaning::Percent => {
            format!("{day} {time}")
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_as_they_are_shown() {
        let formats = Formats {
            styles: vec![
                Meaning::Number,
                meaning("yyyy\\-mm\\-dd"),
                meaning("[h]:mm"),
                meaning("0.0%"),
                meaning("dd/mm/yyyy hh:mm"),
                meaning("#,##0.00 \"days\""),
            ],
            since_1904: false,
        };
        for (value, style, expected) in [
            ("0.10000000000000001", 0, "0.1"),
            ("1E3", 0, "1000"),
            ("45000", 1, "2023-03-15"),
            ("1", 1, "1900-01-01"),
            ("61", 1, "1900-03-01"),
            ("0.5", 2, "12:00"),
            ("1.5", 2, "36:00:00"),
            ("0.155", 3, "15.5%"),
            ("45000.75", 4, "2023-03-15 18:00"),
            ("12", 5, "12"),
            ("-3", 1, "-3"),
            ("text", 1, "text"),
            ("12", 99, "12"),
        ] {
            assert_eq!(
                shown("", value.to_owned(), style, &Strings::default(), &formats),
                expected,
                "{value} {style}"
            );
        }
    }
}
