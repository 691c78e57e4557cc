//! Drive's JSON, only the fields that are read.

use http::HeaderName;
use serde::Deserialize;

use super::super::grants::{FINDERS, SEE_ALL};
use super::super::refs::{FileRef, seen, unseen};
use super::editor;
use crate::kit::client::Request;
use crate::kit::error::{ProviderError, ToolError};
use crate::kit::tool::Cx;

pub(in super::super) const DOCUMENT: &str = "application/vnd.google-apps.document";
pub(in super::super) const SPREADSHEET: &str = "application/vnd.google-apps.spreadsheet";
pub(in super::super) const PRESENTATION: &str = "application/vnd.google-apps.presentation";
pub(super) const FOLDER: &str = "application/vnd.google-apps.folder";
pub(super) const SHORTCUT: &str = "application/vnd.google-apps.shortcut";
/// How all of Google's own kinds begin.
pub(super) const GOOGLE: &str = "application/vnd.google-apps.";

/// What is asked of a file.
pub(super) const FIELDS: &str = "id,name,mimeType,webViewLink,modifiedTime,size,owners(displayName,emailAddress),lastModifyingUser(displayName,emailAddress),parents,driveId,shared,starred,trashed,headRevisionId,shortcutDetails(targetId,targetMimeType)";

/// Drive's header for the keys of files that need one besides the id.
pub(super) const RESOURCE_KEYS: HeaderName = HeaderName::from_static("x-goog-drive-resource-keys");

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct User {
    pub(super) display_name: String,
    pub(super) email_address: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Shortcut {
    pub(super) target_id: String,
    pub(super) target_mime_type: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct File {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) mime_type: String,
    pub(super) web_view_link: Option<String>,
    pub(super) modified_time: Option<String>,
    /// A number as text; absent for Google's own kinds and folders.
    pub(super) size: Option<String>,
    pub(super) owners: Vec<User>,
    pub(super) last_modifying_user: Option<User>,
    pub(super) parents: Vec<String>,
    pub(super) drive_id: Option<String>,
    pub(super) shared: bool,
    pub(super) starred: bool,
    pub(super) trashed: bool,
    pub(super) head_revision_id: Option<String>,
    pub(super) shortcut_details: Option<Shortcut>,
}

impl File {
    /// What changes when the content does: the revision, or for Google's own kinds, which have none here, the time.
    pub(super) fn version(&self) -> Option<&str> {
        self.head_revision_id
            .as_deref()
            .or(self.modified_time.as_deref())
    }

    /// Its size, for kinds that have one.
    pub(super) fn bytes(&self) -> Option<u64> {
        self.size.as_deref()?.parse().ok()
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct FileList {
    pub(super) files: Vec<File>,
    pub(super) next_page_token: Option<String>,
    pub(super) incomplete_search: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Drives {
    pub(super) drives: Vec<SharedDrive>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct SharedDrive {
    pub(super) id: String,
    pub(super) name: String,
}

/// Adds the key that the caller's address carried.
pub(super) fn keyed(request: Request, file: &FileRef) -> Request {
    match &file.resource_key {
        Some(key) => request.header(RESOURCE_KEYS, &format!("{}/{key}", file.id())),
        None => request,
    }
}

/// What Drive knows of a file, without its content.
pub(super) async fn metadata(cx: &Cx, file: &FileRef) -> Result<File, ToolError> {
    let request = cx
        .api
        .get(&["drive", "v3", "files", file.id()])
        .query("supportsAllDrives", true)
        .query("fields", FIELDS);
    seen(
        cx,
        &format!("file {file}"),
        keyed(request, file).send().await,
    )
}

/// The file to be read, or what it is a shortcut to. `drive.file` alone shows only what was made here, and the scope of an
/// editor nothing of Drive at all: then the editors are asked whether the id is one of theirs.
pub(super) async fn readable(cx: &Cx, file: &FileRef) -> Result<File, ToolError> {
    let any = |scopes: &[&str]| scopes.iter().any(|scope| cx.granted.has(scope));
    let shown = if any(FINDERS) {
        resolved(cx, file).await
    } else {
        Err(unseen(cx, &format!("file {file}")))
    };
    match shown {
        Err(ToolError::NotFound(why)) if !any(SEE_ALL) => {
            let known = editor::found(cx, file).await?;
            known.ok_or(ToolError::NotFound(why))
        }
        shown => shown,
    }
}

/// The file, or what it is a shortcut to.
pub(super) async fn resolved(cx: &Cx, file: &FileRef) -> Result<File, ToolError> {
    let found = metadata(cx, file).await?;
    match &found.shortcut_details {
        Some(shortcut) if found.mime_type == SHORTCUT => {
            let target = FileRef::parse(&shortcut.target_id).ok_or(ProviderError::NotFound)?;
            metadata(cx, &target).await
        }
        _ => Ok(found),
    }
}
