//! Order in a drive: folders, names, places, copies.

use std::time::Duration;

use http::Method;
use http::header::LOCATION;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::super::refs::FileRef;
use super::WRITE;
use super::model::{self, DriveItem, Place, explained};
use super::write::checked;
use crate::kit::error::{ProviderError, ToolError};
use crate::kit::output::{Item, Output};
use crate::kit::tool::{AuditArgs, Cx, Effect, Needs, Tool};

/// How long each look at a running copy waits for the next, in milliseconds; after the last the copy goes on alone.
const LOOKS_MS: [u64; 6] = [0, 500, 1_000, 2_000, 3_000, 4_000];

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
enum Act {
    CreateFolder,
    Move,
    Copy,
}

/// Create a folder, or rename, move or copy a file or folder.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct OrganizeFile {
    /// `move` also renames.
    action: Act,
    /// Path, id or link; of a new folder, where.
    #[serde(default, rename = "ref")]
    reference: String,
    /// Name to give.
    #[serde(default)]
    new_name: String,
    /// Folder to move or copy into.
    #[serde(default)]
    to: String,
}

impl Tool for OrganizeFile {
    const NAME: &'static str = "m365_organize_file";
    const TITLE: &'static str = "Organize files";
    const EFFECT: Effect = Effect::Write { idempotent: false };
    const SCOPES: Needs = WRITE;
    const AUDIT: AuditArgs = AuditArgs {
        plain: &["action"],
        dropped: &[],
    };

    async fn call(self, cx: &Cx) -> Result<Output, ToolError> {
        let new_name = match self.new_name.as_str() {
            "" => None,
            name => Some(checked("new_name", name)?.to_owned()),
        };
        let item = model::get(cx, &FileRef::parse(&self.reference)?).await?;
        if self.action == Act::CreateFolder {
            let Some(name) = new_name else {
                return Err(ToolError::Invalid(
                    "a new folder needs a `new_name`".to_owned(),
                ));
            };
            if !self.to.is_empty() {
                return Err(ToolError::Invalid(
                    "a new folder is made in `ref`; leave out `to`".to_owned(),
                ));
            }
            return create(cx, &item, &name).await;
        }
        let to = match self.to.as_str() {
            "" => None,
            to => {
                let folder = model::get(cx, &FileRef::parse(to)?).await?;
                if !folder.is_folder() {
                    return Err(ToolError::Invalid(format!(
                        "`to`: `{}` is a file, not a folder",
                        folder.name()
                    )));
                }
                Some(folder)
            }
        };
        if to.is_none() && new_name.is_none() {
            return Err(ToolError::Invalid("give `new_name` or `to`".to_owned()));
        }
        match self.action {
            Act::Copy => copy(cx, &item, to.as_ref(), new_name.as_deref()).await,
            Act::CreateFolder | Act::Move => {
                shift(cx, &item, to.as_ref(), new_name.as_deref()).await
            }
        }
    }
}

async fn create(cx: &Cx, parent: &DriveItem, name: &str) -> Result<Output, ToolError> {
    if !parent.is_folder() {
        return Err(ToolError::Invalid(format!(
            "`ref`: `{}` is a file; name the folder to make the new one in",
            parent.name()
        )));
    }
    if cx.dry_run {
        let change = json!({ "before": null, "after": parent.path_of(name) });
        let item = Item::new("new").field("name", name).field("type", "folder");
        return Ok(planned(item, "folder", change));
    }
    let place = parent.place()?;
    let made: Result<DriveItem, ProviderError> = cx
        .api
        .post(&place.path(&["children"]))
        .json(&json!({ "name": name, "folder": {}, "@microsoft.graph.conflictBehavior": "fail" }))
        .send()
        .await;
    let made = made.map_err(|error| taken(cx, name, error))?;
    Ok(Output::one(made.row(cx).field("done", "created")))
}

/// Renames, moves or both.
async fn shift(
    cx: &Cx,
    item: &DriveItem,
    to: Option<&DriveItem>,
    new_name: Option<&str>,
) -> Result<Output, ToolError> {
    let place = item.entry()?;
    let mut wanted = Map::new();
    if let Some(name) = new_name {
        wanted.insert("name".to_owned(), json!(name));
    }
    if let Some(folder) = to {
        let target = folder.place()?;
        if target.drive != place.drive {
            return Err(ToolError::Invalid(
                "`to` is in another drive, and Microsoft moves nothing between drives; use `action` copy and remove the original".to_owned(),
            ));
        }
        wanted.insert("parentReference".to_owned(), json!({ "id": target.item }));
    }
    let name = new_name.unwrap_or(item.name());
    let after = match to {
        Some(folder) => folder.path_of(name),
        None => sibling(item, name),
    };
    let change = json!({ "before": item.full_path(), "after": after });
    if cx.dry_run {
        return Ok(planned(item.row(cx), "path", change));
    }
    let moved: Result<DriveItem, ProviderError> = cx
        .api
        .patch(&place.path(&[]))
        .json(&Value::Object(wanted))
        .send()
        .await;
    let moved = moved.map_err(|error| taken(cx, name, error))?;
    let done = if to.is_some() { "moved" } else { "renamed" };
    Ok(Output::one(
        moved
            .row(cx)
            .field("done", done)
            .field("changes", json!({ "path": change })),
    ))
}

/// The state of a running copy.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Job {
    #[serde(default)]
    status: String,
    #[serde(default)]
    resource_id: Option<String>,
    #[serde(default)]
    percentage_complete: Option<f64>,
}

async fn copy(
    cx: &Cx,
    item: &DriveItem,
    to: Option<&DriveItem>,
    new_name: Option<&str>,
) -> Result<Output, ToolError> {
    let name = new_name.unwrap_or(item.name());
    let place = item.place()?;
    let mut wanted = Map::new();
    if let Some(name) = new_name {
        wanted.insert("name".to_owned(), json!(name));
    }
    let folder = to.map(DriveItem::place).transpose()?;
    if let Some(folder) = &folder {
        wanted.insert(
            "parentReference".to_owned(),
            json!({ "driveId": folder.drive, "id": folder.item }),
        );
    }
    let after = match to {
        Some(folder) => folder.path_of(name),
        None => sibling(item, name),
    };
    if cx.dry_run {
        let change = json!({ "before": item.full_path(), "after": after });
        return Ok(planned(item.row(cx), "copy", change));
    }
    let accepted = cx
        .api
        .post(&place.path(&["copy"]))
        .json(&Value::Object(wanted))
        .bytes()
        .await
        .map_err(|error| taken(cx, name, error))?;
    let drive = folder.map_or(place.drive, |folder| folder.drive);
    let row = |id: &str| {
        Item::new(id)
            .field("name", name)
            .field("path", after.as_str())
    };
    let Some(monitor) = accepted.header(LOCATION.as_str()) else {
        return Ok(Output::one(row("copying")).warn(
            "Microsoft took the copy on and did not say how it goes; look into the folder later",
        ));
    };
    match watch(cx, monitor).await {
        Ok(Job { status, resource_id: Some(id), .. }) if status == "completed" => {
            let place = Place { drive, item: id };
            let copied: DriveItem = cx
                .api
                .get(&place.path(&[]))
                .query("$select", model::FIELDS)
                .send()
                .await?;
            Ok(Output::one(copied.row(cx).field("done", "copied")))
        }
        Ok(Job { status, .. }) if matches!(status.as_str(), "failed" | "deleteFailed" | "cancelled") => {
            Err(ToolError::Conflict(format!(
                "Microsoft could not copy `{name}`; perhaps the name is taken there: give another `new_name`"
            )))
        }
        Ok(Job { status, .. }) => Ok(Output::one(row("copying").field("status", status))
            .warn("the copy goes on; look into the folder in a minute")),
        Err(error) => Ok(Output::one(row("copying")).warn(format!(
            "the copy was taken on, and how it goes could not be learned ({error}); look into the folder in a minute"
        ))),
    }
}

/// Looks at a copy until it ends, for some seconds. Its address needs no credential.
async fn watch(cx: &Cx, monitor: &str) -> Result<Job, ProviderError> {
    let mut job = Job {
        status: "notStarted".to_owned(),
        resource_id: None,
        percentage_complete: None,
    };
    for wait in LOOKS_MS {
        if wait > 0 {
            tokio::time::sleep(Duration::from_millis(wait)).await;
        }
        let look = cx.api.follow(Method::GET, monitor).anonymous();
        job = look.send().await?;
        if !matches!(
            job.status.as_str(),
            "notStarted" | "inProgress" | "waiting" | "updating"
        ) {
            break;
        }
        let done = job
            .percentage_complete
            .unwrap_or_default()
            .clamp(0.0, 100.0);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "between 0 and 100"
        )]
        cx.progress.step(done as u32, Some(100), "copying");
    }
    Ok(job)
}

fn planned(item: Item, what: &str, change: Value) -> Output {
    let changes: Map<String, Value> = [(what.to_owned(), change)].into_iter().collect();
    Output::one(item.field("dry_run", true).field("changes", changes))
}

/// Where the item is under another name.
fn sibling(item: &DriveItem, name: &str) -> String {
    let path = item.full_path();
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    format!("{folder}/{name}")
}

fn taken(cx: &Cx, name: &str, error: ProviderError) -> ToolError {
    match error {
        ProviderError::Conflict { .. } => ToolError::Conflict(format!(
            "there is something called `{name}` already; choose another `new_name`"
        )),
        error => explained(cx, &format!("`{name}`"), error),
    }
}
