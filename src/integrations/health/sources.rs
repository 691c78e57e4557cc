//! Reading several sources for one answer: each may fail, and the answer then says what it lacks.

use std::fmt::{self, Write as _};

use serde_json::Value;

use crate::kit::args::Cursor;
use crate::kit::error::{ProviderError, ToolError};
use crate::kit::output::{Item, Output};
use crate::kit::text;

/// What must stand beside everything about drugs and their effects.
pub(super) const NO_ADVICE: &str = "This is information from public sources and no medical advice.";

/// How one answer's sources did.
#[derive(Debug, Default)]
pub(super) struct Sources {
    warnings: Vec<String>,
    failure: Option<ProviderError>,
    answered: bool,
}

impl Sources {
    /// What `source` answered; its failure is noted instead. A source that has no such record has answered.
    pub(super) fn take<T>(&mut self, source: &str, answer: Result<T, ProviderError>) -> Option<T> {
        match answer {
            Ok(answer) => {
                self.answered = true;
                Some(answer)
            }
            Err(ProviderError::NotFound) => {
                self.answered = true;
                None
            }
            Err(error) => {
                let warning =
                    format!("{source} did not answer ({error}); what it knows is missing");
                if !self.warnings.contains(&warning) {
                    self.warnings.push(warning);
                }
                self.failure.get_or_insert(error);
                None
            }
        }
    }

    /// Adds a warning of another kind.
    pub(super) fn warn(&mut self, warning: impl Into<String>) {
        self.warnings.push(warning.into());
    }

    /// Fails when no source answered at all.
    pub(super) fn check(&mut self) -> Result<(), ToolError> {
        match self.failure.take() {
            Some(failure) if !self.answered => Err(failure.into()),
            _ => Ok(()),
        }
    }

    /// The answer with its warnings; a failure when no source answered.
    pub(super) fn output(mut self, items: Vec<Item>) -> Result<Output, ToolError> {
        self.check()?;
        Ok(Output {
            items,
            warnings: self.warnings,
            ..Output::default()
        })
    }

    /// The warnings, for a block's text.
    pub(super) fn warnings(&self) -> &[String] {
        &self.warnings
    }
}

/// Where `cursor` points; the beginning without one.
pub(super) fn start<T: Default + for<'de> serde::Deserialize<'de>>(
    cursor: Option<&Cursor>,
) -> Result<T, ToolError> {
    match cursor {
        None => Ok(T::default()),
        Some(cursor) => cursor.read(),
    }
}

/// The text at a JSON pointer; empty when there is none. Numbers are text too.
pub(super) fn at(value: &Value, pointer: &str) -> String {
    match value.pointer(pointer) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) => number.to_string(),
        _ => String::new(),
    }
}

/// What is at a JSON pointer as a list: these sources write a list of one as the one.
pub(super) fn many<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    match value.pointer(pointer) {
        None | Some(Value::Null) => &[],
        Some(Value::Array(list)) => list,
        Some(one) => std::slice::from_ref(one),
    }
}

/// The texts at a JSON pointer.
pub(super) fn texts(value: &Value, pointer: &str) -> Vec<String> {
    many(value, pointer)
        .iter()
        .filter_map(Value::as_str)
        .map(ToOwned::to_owned)
        .collect()
}

/// `20260812` as `2026-08-12`; other texts stay.
pub(super) fn date(compact: &str) -> String {
    match (compact.get(..4), compact.get(4..6), compact.get(6..8)) {
        (Some(year), Some(month), Some(day))
            if compact.len() == 8 && compact.bytes().all(|byte| byte.is_ascii_digit()) =>
        {
            format!("{year}-{month}-{day}")
        }
        _ => compact.to_owned(),
    }
}

/// A day as people write it, checked: `2024-03-01`, `2024-03` or `2024`.
pub(super) fn day(name: &str, text: &str) -> Result<String, ToolError> {
    let mut parts = text.split('-');
    let mut number = |digits: usize, most: u32, otherwise: u32| match parts.next() {
        None => Some(otherwise),
        Some(part) if part.len() == digits => {
            part.parse().ok().filter(|value| (1..=most).contains(value))
        }
        Some(_) => None,
    };
    let read = (number(4, 9_999, 0), number(2, 12, 1), number(2, 31, 1));
    match read {
        (Some(year), Some(month), Some(day)) if parts.next().is_none() => {
            Ok(format!("{year:04}-{month:02}-{day:02}"))
        }
        _ => Err(ToolError::Invalid(format!(
            "`{name}` must be a date such as 2024-03-01, or a year"
        ))),
    }
}

/// A word that may stand in a query between quotes.
pub(super) fn quoted(text: &str) -> String {
    let plain: String = text
        .chars()
        .map(|c| if c == '"' || c == '\\' { ' ' } else { c })
        .collect();
    format!("\"{}\"", plain.trim())
}

/// An argument that must say something.
pub(super) fn needed<'a>(name: &str, value: &'a str) -> Result<&'a str, ToolError> {
    let value = value.trim();
    if value.is_empty() || value.chars().count() > 300 {
        return Err(ToolError::Invalid(format!(
            "`{name}` must have 1 to 300 characters"
        )));
    }
    Ok(value)
}

/// Writes words at the end of a text.
pub(super) fn push(text: &mut String, words: fmt::Arguments<'_>) {
    let _infallible = text.write_fmt(words);
}

/// A long text, shortened.
pub(super) fn short(long: &str, most: usize) -> String {
    text::clip(long.trim(), most)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test says what went wrong by failing")]

    use serde_json::json;

    use super::*;

    #[test]
    fn days_are_whole_or_begin_their_month_or_year() {
        for (text, expected) in [
            ("2024-03-05", Some("2024-03-05")),
            ("2024-03", Some("2024-03-01")),
            ("2024", Some("2024-01-01")),
            ("24", None),
            ("2024-13", None),
            ("2024-3-5", None),
            ("2024-03-05-06", None),
            ("soon", None),
        ] {
            assert_eq!(day("since", text).ok().as_deref(), expected, "{text}");
        }
        assert_eq!(date("20260812"), "2026-08-12");
        assert_eq!(date("2026"), "2026");
    }

    #[test]
    fn one_is_a_list_of_one() {
        let value = json!({ "a": "x", "b": ["x", "y"], "n": 7 });
        assert_eq!(texts(&value, "/a"), ["x"]);
        assert_eq!(texts(&value, "/b"), ["x", "y"]);
        assert_eq!(many(&value, "/c"), &[] as &[Value]);
        assert_eq!(at(&value, "/n"), "7");
    }

    #[test]
    fn one_answer_is_enough() {
        let mut sources = Sources::default();
        assert_eq!(sources.take::<()>("One", Err(ProviderError::Timeout)), None);
        assert_eq!(sources.take("Two", Ok(7)), Some(7));
        let output = sources.output(Vec::new()).unwrap();
        assert_eq!(output.warnings.len(), 1);
        let mut sources = Sources::default();
        sources.take::<()>("One", Err(ProviderError::Timeout));
        assert!(sources.output(Vec::new()).is_err());
        let mut sources = Sources::default();
        sources.take::<()>("One", Err(ProviderError::NotFound));
        assert!(sources.output(Vec::new()).is_ok());
    }
}
