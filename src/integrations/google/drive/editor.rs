//! Files that Drive does not show to this app, as the editors of Google's own kinds know them.

use serde::Deserialize;

use super::super::grants::{OWN_DOCS, OWN_SHEETS, OWN_SLIDES};
use super::super::refs::FileRef;
use super::model::{DOCUMENT, File, PRESENTATION, SPREADSHEET};
use crate::kit::error::{ProviderError, ToolError};
use crate::kit::tool::Cx;

/// An editor and its API.
struct Editor {
    media: &'static str,
    host: &'static str,
    path: [&'static str; 2],
    /// Where the title is, and the revision if it has one.
    fields: &'static str,
    scopes: &'static [&'static str],
    /// Its word in addresses of `docs.google.com`.
    page: &'static str,
}

const EDITORS: [Editor; 3] = [
    Editor {
        media: DOCUMENT,
        host: "docs",
        path: ["v1", "documents"],
        fields: "title,revisionId",
        scopes: OWN_DOCS,
        page: "document",
    },
    Editor {
        media: SPREADSHEET,
        host: "sheets",
        path: ["v4", "spreadsheets"],
        fields: "properties.title",
        scopes: OWN_SHEETS,
        page: "spreadsheets",
    },
    Editor {
        media: PRESENTATION,
        host: "slides",
        path: ["v1", "presentations"],
        fields: "title,revisionId",
        scopes: OWN_SLIDES,
        page: "presentation",
    },
];

/// What an editor says of a file: documents and presentations by themselves, spreadsheets among their properties.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Known {
    title: String,
    revision_id: Option<String>,
    properties: Properties,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Properties {
    title: String,
}

/// The file as the first editor has it that knows the id and may be asked; `None` when none does. An id does not say
/// whose it is, so each is asked, and a refusal of one is told only when no other knows the file.
pub(super) async fn found(cx: &Cx, file: &FileRef) -> Result<Option<File>, ToolError> {
    let mut refused = None;
    for editor in &EDITORS {
        if !editor.scopes.iter().any(|scope| cx.granted.has(scope)) {
            continue;
        }
        let [version, kind] = editor.path;
        let request = cx.api.at(editor.host).get(&[version, kind, file.id()]);
        match request.query("fields", editor.fields).send::<Known>().await {
            Ok(known) => return Ok(Some(editor.file(file, known))),
            // The id of another editor's file, or of an Office file.
            Err(
                ProviderError::NotFound
                | ProviderError::Invalid { .. }
                | ProviderError::Conflict { .. },
            ) => {}
            Err(error) if error.is_partial() => refused = refused.or(Some(error)),
            Err(error) => return Err(error.into()),
        }
    }
    match refused {
        Some(error) => Err(error.into()),
        None => Ok(None),
    }
}

impl Editor {
    fn file(&self, file: &FileRef, known: Known) -> File {
        let name = if known.title.is_empty() {
            known.properties.title
        } else {
            known.title
        };
        File {
            id: file.id().to_owned(),
            name,
            mime_type: self.media.to_owned(),
            web_view_link: Some(format!(
                "https://docs.google.com/{}/d/{file}/edit",
                self.page
            )),
            head_revision_id: known.revision_id,
            ..File::default()
        }
    }
}
