//! Browsing: what is in a folder, one or two levels deep.

use futures_util::future::join_all;
use schemars::JsonSchema;
use serde::Deserialize;

use super::super::graph::{self, Page};
use super::super::refs::{FileRef, borrowed};
use super::READ;
use super::model::{self, DriveItem, FIELDS, Place, explained};
use crate::kit::args::{Cursor, Limit};
use crate::kit::error::{ProviderError, ToolError};
use crate::kit::output::Output;
use crate::kit::tool::{AuditArgs, Cx, Effect, Needs, Tool};

/// Most folders that one call looks into.
const MAX_OPENED: usize = 20;
/// Most entries shown of each of those.
const MAX_NESTED: u32 = 50;

/// List a folder of OneDrive or SharePoint.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ListFolder {
    /// Path in the own OneDrive, id, `drive:` for a library's root, `drive:/path`, or link. Default: own root.
    #[serde(default, rename = "ref")]
    reference: String,
    /// 2 shows what is in its folders too.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 2))]
    depth: u8,
    #[serde(default)]
    limit: Limit<50, 200>,
    #[serde(default)]
    cursor: Option<Cursor>,
}

const fn one() -> u8 {
    1
}

impl Tool for ListFolder {
    const NAME: &'static str = "m365_list_folder";
    const TITLE: &'static str = "List folder";
    const EFFECT: Effect = Effect::Read;
    const SCOPES: Needs = READ;
    const AUDIT: AuditArgs = AuditArgs {
        plain: &["depth"],
        dropped: &[],
    };

    async fn call(self, cx: &Cx) -> Result<Output, ToolError> {
        if !(1..=2).contains(&self.depth) {
            return Err(ToolError::Invalid("`depth` must be 1 or 2".to_owned()));
        }
        let file = FileRef::parse(&self.reference)?;
        let found: Result<Page<DriveItem>, ProviderError> = if let Some(cursor) = &self.cursor {
            graph::follow(cx, cursor).send().await
        } else if matches!(file, FileRef::Link(_)) {
            // A link may lead to a file, and Graph has no children of links.
            let item = model::get(cx, &file).await?;
            if !item.is_folder() {
                return Err(not_a_folder(item.name()));
            }
            children(cx, &item.place()?.path(&["children"]), self.limit.get()).await
        } else {
            let address = file.address(&["children"]);
            children(cx, &borrowed(&address), self.limit.get()).await
        };
        let page = match found {
            Ok(page) => page,
            Err(ProviderError::NotFound) => {
                return Err(ToolError::NotFound(format!(
                    "{} was not found, or {} may not see it; list the folder above it or search with m365_search_files",
                    file.words(),
                    cx.account.label
                )));
            }
            Err(error) => return Err(explained(cx, &file.words(), error)),
        };
        let mut output = Output::default().next(page.cursor());
        let mut nested = if self.depth == 2 {
            nested(cx, &page.value, &mut output).await?
        } else {
            Vec::new()
        };
        // Folders come with what is in them, in the order of the listing.
        for (index, item) in page.value.iter().enumerate() {
            output.items.push(item.row(cx));
            if let Some(place) = nested.iter().position(|(of, _)| *of == index) {
                let (_, inside) = nested.swap_remove(place);
                output.items.extend(inside.iter().map(|item| item.row(cx)));
            }
        }
        Ok(output)
    }
}

/// What is in the folders of `items`, by their index there.
async fn nested(
    cx: &Cx,
    items: &[DriveItem],
    output: &mut Output,
) -> Result<Vec<(usize, Vec<DriveItem>)>, ToolError> {
    let is_full = |item: &DriveItem| {
        let count = item.folder.as_ref().and_then(|folder| folder.child_count);
        item.is_folder() && count != Some(0)
    };
    let folders: Vec<(usize, Place)> = items
        .iter()
        .enumerate()
        .filter(|(_, item)| is_full(item))
        .map(|(index, item)| Ok((index, item.place()?)))
        .collect::<Result<_, ToolError>>()?;
    if folders.len() > MAX_OPENED {
        output.warnings.push(format!(
            "{} folders were not looked into; list them on their own",
            folders.len() - MAX_OPENED
        ));
    }
    let opened = folders.iter().take(MAX_OPENED);
    let reads = opened.map(|(index, place)| async move {
        let path = place.path(&["children"]);
        (*index, children(cx, &path, MAX_NESTED).await)
    });
    let mut nested = Vec::new();
    for (index, found) in join_all(reads).await {
        let name = items[index].name();
        match found {
            Ok(page) => {
                if page.next.is_some() {
                    output.warnings.push(format!(
                        "`{name}` holds more than {MAX_NESTED} entries; list it on its own"
                    ));
                }
                nested.push((index, page.value));
            }
            Err(error) => output.warnings.push(format!("`{name}`: {error}")),
        }
    }
    Ok(nested)
}

async fn children(cx: &Cx, path: &[&str], limit: u32) -> Result<Page<DriveItem>, ProviderError> {
    cx.api
        .get(path)
        .query("$select", FIELDS)
        .query("$top", limit)
        .send()
        .await
}

fn not_a_folder(name: &str) -> ToolError {
    ToolError::Invalid(format!(
        "`ref`: `{name}` is a file; read it with m365_read_content"
    ))
}
