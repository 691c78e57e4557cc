//! Drive's search language, written from structured arguments.

use schemars::JsonSchema;
use serde::Deserialize;

use super::model::{DOCUMENT, FOLDER, PRESENTATION, SPREADSHEET};
use crate::kit::Timestamp;

/// Kinds of files that people ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub(super) enum Kind {
    Document,
    Spreadsheet,
    Presentation,
    Pdf,
    Image,
    Video,
    Folder,
}

impl Kind {
    /// The condition: Google's kind together with the office formats that people call the same.
    fn condition(self) -> String {
        let any = |kinds: &[&str]| {
            let terms: Vec<_> = kinds
                .iter()
                .map(|kind| format!("mimeType = '{kind}'"))
                .collect();
            format!("({})", terms.join(" or "))
        };
        match self {
            Self::Document => any(&[
                DOCUMENT,
                "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
                "application/msword",
            ]),
            Self::Spreadsheet => any(&[
                SPREADSHEET,
                "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
                "application/vnd.ms-excel",
                "text/csv",
            ]),
            Self::Presentation => any(&[
                PRESENTATION,
                "application/vnd.openxmlformats-officedocument.presentationml.presentation",
                "application/vnd.ms-powerpoint",
            ]),
            Self::Pdf => "mimeType = 'application/pdf'".to_owned(),
            Self::Image => "mimeType contains 'image/'".to_owned(),
            Self::Video => "mimeType contains 'video/'".to_owned(),
            Self::Folder => format!("mimeType = '{FOLDER}'"),
        }
    }
}

/// A text as it stands between apostrophes.
pub(super) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}

/// What is looked for.
#[derive(Debug, Default)]
pub(super) struct Wanted<'a> {
    pub(super) text: &'a str,
    pub(super) name: &'a str,
    pub(super) folder: Option<&'a str>,
    pub(super) owner: &'a str,
    pub(super) kind: Option<Kind>,
    pub(super) since: Option<Timestamp>,
    /// A condition in Drive's own words.
    pub(super) raw: &'a str,
}

impl Wanted<'_> {
    /// The search; the trash is left out unless the caller's own condition speaks of it.
    pub(super) fn query(&self) -> String {
        let mut terms = Vec::new();
        if !self.text.trim().is_empty() {
            terms.push(format!("fullText contains {}", quoted(self.text.trim())));
        }
        if !self.name.trim().is_empty() {
            terms.push(format!("name contains {}", quoted(self.name.trim())));
        }
        if let Some(folder) = self.folder {
            terms.push(format!("{} in parents", quoted(folder)));
        }
        if !self.owner.trim().is_empty() {
            terms.push(format!("{} in owners", quoted(self.owner.trim())));
        }
        if let Some(kind) = self.kind {
            terms.push(kind.condition());
        }
        if let Some(since) = self.since {
            terms.push(format!("modifiedTime >= '{since}'"));
        }
        if !self.raw.trim().is_empty() {
            terms.push(format!("({})", self.raw.trim()));
        }
        if !self.raw.contains("trashed") {
            terms.push("trashed = false".to_owned());
        }
        terms.join(" and ")
    }

    /// Whether Drive sorts by how well a file fits; it refuses any other order for a search in contents.
    pub(super) fn by_relevance(&self) -> bool {
        !self.text.trim().is_empty() || self.raw.contains("fullText")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_become_conditions() {
        let wanted = Wanted {
            text: "Dana's \\ plan",
            folder: Some("1f"),
            owner: "bob@acme.example",
            kind: Some(Kind::Folder),
            ..Wanted::default()
        };
        assert_eq!(
            wanted.query(),
            "fullText contains 'Dana\\'s \\\\ plan' and '1f' in parents and 'bob@acme.example' in owners and mimeType = 'application/vnd.google-apps.folder' and trashed = false"
        );
        assert!(wanted.by_relevance());
        let raw = Wanted {
            raw: "trashed = true or starred",
            ..Wanted::default()
        };
        assert_eq!(raw.query(), "(trashed = true or starred)");
        assert!(!raw.by_relevance());
    }
}
