//! `google_organize_file`.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::super::grants::WRITE;
use super::super::refs::{FileRef, seen};
use super::model::{FIELDS, FOLDER, File, metadata};
use super::rows;
use crate::kit::error::ToolError;
use crate::kit::output::{Item, Output};
use crate::kit::tool::{AuditArgs, Cx, Effect, Needs, Tool};

/// Move, rename, star or copy a file or folder; without `file`, create a folder.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct OrganizeFile {
    /// Id or URL.
    #[serde(default)]
    #[schemars(with = "FileRef")]
    file: Option<FileRef>,
    /// New name.
    #[serde(default)]
    name: String,
    /// Folder to put it in, or `root`.
    #[serde(default)]
    #[schemars(with = "FileRef")]
    folder: Option<FileRef>,
    /// Copy instead of moving.
    #[serde(default)]
    copy: bool,
    /// Star or unstar.
    #[serde(default)]
    #[schemars(with = "bool")]
    starred: Option<bool>,
}

impl Tool for OrganizeFile {
    const NAME: &'static str = "google_organize_file";
    const TITLE: &'static str = "Organize file";
    const EFFECT: Effect = Effect::Write { idempotent: false };
    const SCOPES: Needs = WRITE;
    const AUDIT: AuditArgs = AuditArgs {
        plain: &["file", "folder"],
        dropped: &[],
    };

    async fn call(self, cx: &Cx) -> Result<Output, ToolError> {
        let folder = match &self.folder {
            Some(folder) => Some(metadata(cx, folder).await?),
            None => None,
        };
        if folder
            .as_ref()
            .is_some_and(|folder| folder.mime_type != FOLDER)
        {
            return Err(ToolError::Invalid("`folder` is not a folder".to_owned()));
        }
        match &self.file {
            None => self.create(cx, folder.as_ref()).await,
            Some(file) if self.copy => self.copied(cx, file, folder.as_ref()).await,
            Some(file) => self.change(cx, file, folder.as_ref()).await,
        }
    }
}

impl OrganizeFile {
    /// Name and folder as Drive takes them for something new.
    fn wanted(&self, folder: Option<&File>) -> Map<String, Value> {
        let mut body = Map::new();
        if !self.name.trim().is_empty() {
            body.insert("name".to_owned(), json!(self.name.trim()));
        }
        if let Some(folder) = folder {
            body.insert("parents".to_owned(), json!([folder.id]));
        }
        if let Some(starred) = self.starred {
            body.insert("starred".to_owned(), json!(starred));
        }
        body
    }

    async fn create(&self, cx: &Cx, folder: Option<&File>) -> Result<Output, ToolError> {
        if self.name.trim().is_empty() || self.copy {
            return Err(ToolError::Invalid(
                "a new folder needs a `name`; give `file` for anything else".to_owned(),
            ));
        }
        let mut body = self.wanted(folder);
        body.insert("mimeType".to_owned(), json!(FOLDER));
        if cx.dry_run {
            let item = Item::new("")
                .field("dry_run", true)
                .field("creates", self.name.trim())
                .field("type", "folder")
                .field("folder", folder.map(|folder| folder.name.as_str()));
            return Ok(Output::one(item));
        }
        let made: File = cx
            .api
            .post(&["drive", "v3", "files"])
            .query("supportsAllDrives", true)
            .query("fields", FIELDS)
            .json(&body)
            .send()
            .await?;
        Ok(Output::one(rows::item(cx, &made)))
    }

    async fn copied(
        &self,
        cx: &Cx,
        file: &FileRef,
        folder: Option<&File>,
    ) -> Result<Output, ToolError> {
        let found = metadata(cx, file).await?;
        if found.mime_type == FOLDER {
            return Err(ToolError::Invalid(
                "Drive copies files and not folders".to_owned(),
            ));
        }
        let body = self.wanted(folder);
        if cx.dry_run {
            let name = body
                .get("name")
                .cloned()
                .unwrap_or_else(|| json!(format!("Copy of {}", found.name)));
            let item = rows::item(cx, &found).field("dry_run", true).field(
                "copy",
                json!({ "name": name, "folder": folder.map_or("the same", |folder| folder.name.as_str()) }),
            );
            return Ok(Output::one(item));
        }
        let made: File = cx
            .api
            .post(&["drive", "v3", "files", &found.id, "copy"])
            .query("supportsAllDrives", true)
            .query("fields", FIELDS)
            .json(&body)
            .send()
            .await?;
        Ok(Output::one(
            rows::item(cx, &made).field("copy_of", found.id),
        ))
    }

    async fn change(
        &self,
        cx: &Cx,
        file: &FileRef,
        folder: Option<&File>,
    ) -> Result<Output, ToolError> {
        if self.name.trim().is_empty() && folder.is_none() && self.starred.is_none() {
            return Err(ToolError::Invalid(
                "say what to change: `name`, `folder`, `starred` or `copy`".to_owned(),
            ));
        }
        let found = metadata(cx, file).await?;
        let moves = folder.filter(|folder| !found.parents.contains(&folder.id));
        let mut body = self.wanted(None);
        body.retain(|name, value| match name.as_str() {
            "name" => *value != json!(found.name),
            _starred => *value != json!(found.starred),
        });
        let before = changes(&found, &body, moves.map(|_| found.parents.join(",")));
        if cx.dry_run || (body.is_empty() && moves.is_none()) {
            let mut after = body.clone();
            if let Some(folder) = moves {
                after.insert("folder".to_owned(), json!(folder.id));
            }
            let mut item = rows::item(cx, &found)
                .field("before", before)
                .field("after", after);
            if cx.dry_run {
                item.set("dry_run", true);
                return Ok(Output::one(item));
            }
            return Ok(Output::one(item).warn("it is like that already; nothing was changed"));
        }
        let parents = found.parents.join(",");
        let made: File = seen(
            cx,
            &format!("file {file}"),
            cx.api
                .patch(&["drive", "v3", "files", &found.id])
                .query("supportsAllDrives", true)
                .query_opt("addParents", moves.map(|folder| &folder.id))
                .query_opt(
                    "removeParents",
                    moves
                        .map(|_| &parents)
                        .filter(|parents| !parents.is_empty()),
                )
                .query("fields", FIELDS)
                .json(&body)
                .send()
                .await,
        )?;
        Ok(Output::one(rows::item(cx, &made).field("before", before)))
    }
}

/// What the fields that change were before.
fn changes(found: &File, body: &Map<String, Value>, folder: Option<String>) -> Map<String, Value> {
    let mut before = Map::new();
    if body.contains_key("name") {
        before.insert("name".to_owned(), json!(found.name));
    }
    if body.contains_key("starred") {
        before.insert("starred".to_owned(), json!(found.starred));
    }
    if let Some(folder) = folder {
        before.insert("folder".to_owned(), json!(folder));
    }
    before
}
