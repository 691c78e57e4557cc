//! How people name a file: its id, an address of Drive or one of its editors, or the address of one of our blocks.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use url::Url;

use crate::kit::error::{ProviderError, ToolError};
use crate::kit::tool::Cx;

/// Longest id of a file; today's have 33 or 44 characters.
const ID_CHARS: usize = 128;

/// A file as a caller names it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct FileRef {
    /// The id: letters, digits, `-` and `_`, so it can stand in a path beside a custom verb (`{id}:batchUpdate`).
    id: String,
    /// What the address points to within the file: a tab of a document, a sheet (`gid`), a slide.
    pub(super) inner: Option<String>,
    /// The key that files shared by link before September 2021 may need besides the id.
    pub(super) resource_key: Option<String>,
}

impl FileRef {
    /// Reads an id or address.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if !text.contains('/') {
            return Self::of(text);
        }
        let url = Url::parse(text).ok()?;
        let segments: Vec<&str> = url
            .path_segments()?
            .filter(|part| !part.is_empty())
            .collect();
        if url.scheme() == "google" {
            // google://{account}/drive/{id}; the account is the address's host or first segment.
            let at = segments
                .iter()
                .position(|part| matches!(*part, "drive" | "docs" | "sheets" | "slides"))?;
            return Self::of(segments.get(at + 1)?);
        }
        let host = url.host_str()?;
        if !matches!(host, "docs.google.com" | "drive.google.com") {
            return None;
        }
        let query = |name: &str| {
            let found = url.query_pairs().find(|(key, _)| key == name);
            found.map(|(_, value)| value.into_owned())
        };
        let after = |word: &str| {
            let at = segments.iter().position(|part| *part == word)?;
            segments.get(at + 1).copied()
        };
        let id = after("d")
            .or_else(|| after("folders"))
            .map(ToOwned::to_owned)
            .or_else(|| query("id"))?;
        let fragment = url.fragment().unwrap_or_default();
        let inner = query("tab")
            .or_else(|| fragment.strip_prefix("gid=").map(ToOwned::to_owned))
            .or_else(|| query("gid"))
            .or_else(|| fragment.strip_prefix("slide=id.").map(ToOwned::to_owned));
        Some(Self {
            inner,
            resource_key: query("resourcekey"),
            ..Self::of(&id)?
        })
    }

    fn of(id: &str) -> Option<Self> {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        let fits = (1..=ID_CHARS).contains(&id.len()) && id.chars().all(plain);
        fits.then(|| Self {
            id: id.to_owned(),
            ..Self::default()
        })
    }

    /// The id.
    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// The id with a custom verb of the editors' APIs.
    pub(super) fn verb(&self, verb: &str) -> String {
        format!("{}:{verb}", self.id)
    }
}

impl fmt::Display for FileRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.id)
    }
}

impl<'de> Deserialize<'de> for FileRef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| {
            D::Error::custom(
                "a file must be an id or an address of docs.google.com or drive.google.com",
            )
        })
    }
}

impl JsonSchema for FileRef {
    fn schema_name() -> Cow<'static, str> {
        "FileRef".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string" })
    }
}

/// Gives a bare "not found" its words: Google answers the same for what does not exist and for what is not shared.
pub(super) fn seen<T>(
    cx: &Cx,
    what: &str,
    result: Result<T, ProviderError>,
) -> Result<T, ToolError> {
    result.map_err(|error| match error {
        ProviderError::NotFound => unseen(cx, what),
        other => other.into(),
    })
}

/// That there is no such file for this account.
pub(super) fn unseen(cx: &Cx, what: &str) -> ToolError {
    ToolError::NotFound(format!(
        "{what} was not found: check the id, or it is not shared with {}, or this app may only see files it made itself",
        cx.account.label
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_named_in_many_ways() {
        let id = "1aB_c-D";
        for (text, inner, key) in [
            ("1aB_c-D", None, None),
            (
                " https://docs.google.com/document/d/1aB_c-D/edit?tab=t.9x#heading=h.1 ",
                Some("t.9x"),
                None,
            ),
            (
                "https://docs.google.com/spreadsheets/d/1aB_c-D/edit?gid=7#gid=7",
                Some("7"),
                None,
            ),
            (
                "https://docs.google.com/spreadsheets/u/1/d/1aB_c-D/edit#gid=42",
                Some("42"),
                None,
            ),
            (
                "https://docs.google.com/presentation/d/1aB_c-D/edit#slide=id.p3",
                Some("p3"),
                None,
            ),
            (
                "https://drive.google.com/file/d/1aB_c-D/view?usp=sharing&resourcekey=0-k",
                None,
                Some("0-k"),
            ),
            ("https://drive.google.com/open?id=1aB_c-D", None, None),
            (
                "https://drive.google.com/drive/u/0/folders/1aB_c-D",
                None,
                None,
            ),
            ("google://alice%40acme.example/drive/1aB_c-D", None, None),
            ("google://mine/docs/1aB_c-D/t.0", None, None),
        ] {
            let found = FileRef::parse(text);
            let found = found.as_ref();
            assert_eq!(found.map(FileRef::id), Some(id), "{text}");
            assert_eq!(
                found.and_then(|file| file.inner.as_deref()),
                inner,
                "{text}"
            );
            assert_eq!(
                found.and_then(|file| file.resource_key.as_deref()),
                key,
                "{text}"
            );
        }
        for text in [
            "",
            "..",
            "a b",
            "x:y",
            "https://example.com/d/1aB_c-D",
            "https://docs.google.com/document/d/a%2Fb/edit",
            "https://docs.google.com/document/",
            "google://mine/mail/1",
        ] {
            assert_eq!(FileRef::parse(text), None, "{text}");
        }
    }
}
