//! How people name things at GitHub: a repository, a place in a file, a time. Read and checked here and nowhere else.

use std::borrow::Cow;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer};

use crate::kit::Timestamp;
use crate::kit::error::ToolError;

/// A repository, written `owner/name`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Repo {
    /// The person or organization it belongs to.
    pub(super) owner: String,
    /// Its name below the owner.
    pub(super) name: String,
}

impl Repo {
    /// Reads `owner/name`; a web address of the repository is accepted too.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let rest = match text.split_once("://") {
            Some((_, address)) => address.split_once('/')?.1,
            None => text,
        };
        let mut parts = rest.trim_end_matches('/').split('/');
        let (owner, name) = (parts.next()?, parts.next()?);
        let name = name.strip_suffix(".git").unwrap_or(name);
        let is_word = |part: &str| {
            !part.is_empty()
                && part.len() <= 100
                && !part.chars().all(|c| c == '.')
                && part
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
        };
        (parts.next().is_none() && is_word(owner) && is_word(name)).then(|| Self {
            owner: owner.to_owned(),
            name: name.to_owned(),
        })
    }

    /// The repository that the variables of a block's address name.
    pub(super) fn of(owner: &str, name: &str) -> Result<Self, ToolError> {
        Self::parse(&format!("{owner}/{name}"))
            .ok_or_else(|| ToolError::Invalid(format!("`{owner}/{name}` is not a repository")))
    }

    /// The API path of something below this repository.
    pub(super) fn path<'a>(&'a self, rest: &[&'a str]) -> Vec<&'a str> {
        let mut path = vec!["repos", &self.owner, &self.name];
        path.extend_from_slice(rest);
        path
    }

    /// The API path of something whose last part has slashes itself: a file, a branch.
    pub(super) fn path_to<'a>(&'a self, rest: &[&'a str], slashed: &'a str) -> Vec<&'a str> {
        let mut path = self.path(rest);
        path.extend(slashed.split('/'));
        path
    }
}

impl std::fmt::Display for Repo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.owner, self.name)
    }
}

impl<'de> Deserialize<'de> for Repo {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| {
            serde::de::Error::custom("`repo` must be written `owner/name`, such as `acme/site`")
        })
    }
}

impl JsonSchema for Repo {
    fn schema_name() -> Cow<'static, str> {
        "Repo".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string" })
    }
}

/// A file, or lines of it, written as GitHub's own addresses have it: `src/lib.rs`, `src/lib.rs#L10`,
/// `src/lib.rs#L10-L40`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// The path within the repository.
    pub(super) path: String,
    /// The first line wanted, from 1.
    pub(super) from: usize,
    /// The last line wanted; `None` is the end.
    pub(super) to: Option<usize>,
}

impl Place {
    /// Reads it. A `#` that no line follows belongs to the name.
    pub(super) fn parse(text: &str) -> Result<Self, ToolError> {
        let (path, lines) = match text.rsplit_once("#L") {
            Some((path, lines)) => match read_lines(lines) {
                Some(lines) => (path, Some(lines)),
                None => (text, None),
            },
            None => (text, None),
        };
        let (from, to) = lines.unwrap_or((1, None));
        if from == 0 || to.is_some_and(|to| to < from) {
            return Err(ToolError::Invalid(format!(
                "`{text}` names no lines; they count from 1 and the last is not before the first"
            )));
        }
        Ok(Self {
            path: path.trim_matches('/').to_owned(),
            from,
            to,
        })
    }
}

fn read_lines(text: &str) -> Option<(usize, Option<usize>)> {
    match text.split_once('-') {
        None => {
            let line = text.parse().ok()?;
            Some((line, None))
        }
        Some((from, to)) => {
            let to = to.strip_prefix('L').unwrap_or(to);
            Some((from.parse().ok()?, Some(to.parse().ok()?)))
        }
    }
}

/// Reads a time: RFC 3339, a date, or a distance back from `now` such as `7d`, `12h`, `today`.
pub(super) fn instant(text: &str, now: Timestamp) -> Option<Timestamp> {
    if text == "today" {
        let day = now.rfc3339();
        return Timestamp::parse_rfc3339(&format!("{}T00:00:00Z", day.get(..10)?));
    }
    if let Some(at) = Timestamp::parse_rfc3339(text) {
        return Some(at);
    }
    if let Some(at) = Timestamp::parse_rfc3339(&format!("{text}T00:00:00Z")) {
        return Some(at);
    }
    let unit_s = match text.chars().last()? {
        'h' => 3_600,
        'd' => 86_400,
        'w' => 604_800,
        _other => return None,
    };
    let count: u64 = text.get(..text.len() - 1)?.parse().ok()?;
    (1..=5_000)
        .contains(&count)
        .then(|| now.minus(Duration::from_secs(count * unit_s)))
}

/// The same for an argument: empty is `None`, and anything else that is no time is an error naming it.
pub(super) fn instant_argument(
    name: &str,
    text: &str,
    now: Timestamp,
) -> Result<Option<Timestamp>, ToolError> {
    if text.is_empty() {
        return Ok(None);
    }
    instant(text, now).map(Some).ok_or_else(|| {
        ToolError::Invalid(format!(
            "`{name}` must be a date, an RFC 3339 time, or a distance back such as `7d`"
        ))
    })
}

/// The instant as GitHub's parameters take it: whole seconds, UTC.
pub(super) fn seconds(at: Timestamp) -> String {
    Timestamp::from_micros(at.seconds() * 1_000_000).rfc3339()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test says what went wrong by failing")]
    use super::*;

    #[test]
    fn repositories_are_owner_and_name() {
        let table = [
            ("acme/site", Some("acme/site")),
            ("https://github.com/acme/site", Some("acme/site")),
            ("https://git.example.test/acme/site.git", Some("acme/site")),
            ("acme/.github", Some("acme/.github")),
            ("acme", None),
            ("acme/site/issues", None),
            ("acme/..", None),
            ("../site", None),
            ("acme/", None),
            ("acme/a b", None),
            ("acme/%2e%2e", None),
            ("", None),
        ];
        for (text, expected) in table {
            let found = Repo::parse(text).map(|repo| repo.to_string());
            assert_eq!(found.as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn places_name_lines() {
        let place = |text: &str| Place::parse(text).map(|place| (place.path, place.from, place.to));
        assert_eq!(place("a/b.rs").unwrap(), ("a/b.rs".to_owned(), 1, None));
        assert_eq!(place("/a/b.rs#L7").unwrap(), ("a/b.rs".to_owned(), 7, None));
        assert_eq!(
            place("a.rs#L7-L9").unwrap(),
            ("a.rs".to_owned(), 7, Some(9))
        );
        assert_eq!(place("a.rs#L7-9").unwrap(), ("a.rs".to_owned(), 7, Some(9)));
        assert_eq!(place("c#Lib").unwrap(), ("c#Lib".to_owned(), 1, None));
        assert!(place("a.rs#L0").is_err());
        assert!(place("a.rs#L9-L7").is_err());
    }

    #[test]
    fn times_are_absolute_or_back_from_now() {
        let now = Timestamp::parse_rfc3339("2026-11-20T12:00:00Z").unwrap();
        let table = [
            ("2026-11-13", Some("2026-11-13T00:00:00Z")),
            ("2026-11-13T01:00:00+01:00", Some("2026-11-13T00:00:00Z")),
            ("7d", Some("2026-11-13T12:00:00Z")),
            ("2w", Some("2026-11-06T12:00:00Z")),
            ("12h", Some("2026-11-20T00:00:00Z")),
            ("today", Some("2026-11-20T00:00:00Z")),
            ("0d", None),
            ("d", None),
            ("é", None),
            ("yesterday", None),
            ("", None),
        ];
        for (text, expected) in table {
            let found = instant(text, now).map(Timestamp::rfc3339);
            assert_eq!(found.as_deref(), expected, "{text}");
        }
    }
}
