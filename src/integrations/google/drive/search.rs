//! `google_search_files`.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::grants::{DRIVES, FIND};
use super::super::refs::{FileRef, seen};
use super::model::{Drives, FIELDS, FileList};
use super::query::{Kind, Wanted, quoted};
use super::rows;
use crate::kit::Timestamp;
use crate::kit::args::{Cursor, Limit};
use crate::kit::error::ToolError;
use crate::kit::output::Output;
use crate::kit::text;
use crate::kit::tool::{AuditArgs, Cx, Effect, Needs, Tool};

/// Shortest text taken for the id of a shared drive; today's have 19 characters.
const DRIVE_ID: usize = 15;

/// Search Drive files, shared drives included; newest first, or best match with `query`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SearchFiles {
    /// Words in names and contents.
    #[serde(default)]
    query: String,
    /// Words of the name.
    #[serde(default)]
    name: String,
    /// Folder id or URL.
    #[serde(default)]
    #[schemars(with = "FileRef")]
    folder: Option<FileRef>,
    /// E-mail, or `me`.
    #[serde(default)]
    owner: String,
    /// Kind.
    #[serde(default, rename = "type")]
    #[schemars(with = "Kind")]
    kind: Option<Kind>,
    /// RFC 3339, date, or such as `7d`.
    #[serde(default)]
    modified_since: String,
    /// Name or id.
    #[serde(default)]
    shared_drive: String,
    /// Condition in Drive's query language.
    #[serde(default)]
    q: String,
    #[serde(default)]
    limit: Limit<20, 100>,
    #[serde(default)]
    cursor: Option<Cursor>,
}

/// Where a search goes on, with all that it was: `7d` is another moment on the next page, and Google takes its token only
/// with the search that it gave it for.
#[derive(Serialize, Deserialize)]
struct Page {
    q: String,
    /// The id of a shared drive.
    drive: Option<String>,
    by_relevance: bool,
    token: String,
}

impl Tool for SearchFiles {
    const NAME: &'static str = "google_search_files";
    const TITLE: &'static str = "Search files";
    const EFFECT: Effect = Effect::Read;
    const SCOPES: Needs = FIND;
    const AUDIT: AuditArgs = AuditArgs {
        plain: &["folder", "type", "shared_drive", "modified_since"],
        dropped: &[],
    };

    async fn call(self, cx: &Cx) -> Result<Output, ToolError> {
        let (page, token) = match &self.cursor {
            Some(cursor) => {
                let page: Page = cursor.read()?;
                let token = page.token.clone();
                (page, Some(token))
            }
            None => (self.first(cx).await?, None),
        };
        let corpora = if page.drive.is_some() {
            "drive"
        } else {
            "allDrives"
        };
        let request = cx
            .api
            .get(&["drive", "v3", "files"])
            .query("q", &page.q)
            .query("corpora", corpora)
            .query_opt("driveId", page.drive.as_deref())
            .query("includeItemsFromAllDrives", true)
            .query("supportsAllDrives", true)
            .query_opt(
                "orderBy",
                (!page.by_relevance).then_some("modifiedTime desc"),
            )
            .query("pageSize", self.limit.get())
            .query_opt("pageToken", token)
            .query(
                "fields",
                format!("files({FIELDS}),nextPageToken,incompleteSearch"),
            );
        let what = page.drive.as_ref().map_or_else(
            || "the folder".to_owned(),
            |id| format!("shared drive {id}"),
        );
        let found: FileList = seen(cx, &what, request.send().await)?;
        let items = found.files.iter().map(|file| rows::item(cx, file));
        let next = found.next_page_token.map(|token| Page { token, ..page });
        let mut output = Output::of(items.collect()).next(next.as_ref().map(Cursor::of));
        if found.incomplete_search {
            output = output.warn(
                "Drive did not look into every shared drive; name one in `shared_drive` to search it whole",
            );
        }
        Ok(output)
    }
}

impl SearchFiles {
    /// What is asked for with the first page.
    async fn first(&self, cx: &Cx) -> Result<Page, ToolError> {
        let since = match self.modified_since.as_str() {
            "" => None,
            text => Some(instant(text, cx.now).ok_or_else(|| {
                ToolError::Invalid(
                    "`modified_since` must be a date, an RFC 3339 time, or such as `7d`".to_owned(),
                )
            })?),
        };
        let drive = match self.shared_drive.trim() {
            "" => None,
            text => Some(shared_drive(cx, text).await?),
        };
        let wanted = Wanted {
            text: &self.query,
            name: &self.name,
            folder: self.folder.as_ref().map(FileRef::id),
            owner: &self.owner,
            kind: self.kind,
            since,
            raw: &self.q,
        };
        Ok(Page {
            q: wanted.query(),
            drive,
            by_relevance: wanted.by_relevance(),
            token: String::new(),
        })
    }
}

/// The id of the shared drive of this name or id. Names are looked up only by who may list drives.
async fn shared_drive(cx: &Cx, text: &str) -> Result<String, ToolError> {
    if !DRIVES.iter().any(|scope| cx.granted.has(scope)) {
        let named = FileRef::parse(text).filter(|named| named.id().len() >= DRIVE_ID);
        return named.map(|named| named.id().to_owned()).ok_or_else(|| {
            ToolError::Invalid(
                "`shared_drive`: finding a drive by its name needs drive.readonly, which was not granted; give its id, the last part of its address".to_owned(),
            )
        });
    }
    let found: Drives = cx
        .api
        .get(&["drive", "v3", "drives"])
        .query("q", format!("name = {}", quoted(text)))
        .query("fields", "drives(id,name)")
        .send()
        .await?;
    match found.drives.as_slice() {
        [] => Ok(text.to_owned()),
        [only] => Ok(only.id.clone()),
        several => {
            let choices = several
                .iter()
                .map(|drive| format!("{} ({})", drive.name, drive.id));
            Err(ToolError::Invalid(format!(
                "`shared_drive` fits several drives; give the id of one: {}",
                text::clip(&choices.collect::<Vec<_>>().join(", "), 400)
            )))
        }
    }
}

/// An instant as people write it: RFC 3339, a date, or so many hours, days or weeks ago.
fn instant(text: &str, now: Timestamp) -> Option<Timestamp> {
    let text = text.trim();
    let date = || Timestamp::parse_rfc3339(&format!("{text}T00:00:00Z"));
    if let Some(at) = Timestamp::parse_rfc3339(text).or_else(date) {
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
