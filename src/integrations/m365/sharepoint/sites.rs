//! Finding sites, and what libraries and lists they have.

use futures_util::future::join_all;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::super::graph::{self, Page};
use super::super::refs::{SiteRef, has_any, require_work};
use super::READ;
use super::model::{self, SITE_FIELDS, Site, explained};
use crate::kit::args::{Cursor, Limit};
use crate::kit::error::ToolError;
use crate::kit::output::{Item, Output};
use crate::kit::tool::{AuditArgs, Cx, Effect, Needs, Tool};

/// Of how many sites at most the insides are shown.
const MAX_OPENED: usize = 3;
/// What a list calls its columns.
const COLUMNS: &str = "columns";

/// What to show of a site.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
enum Part {
    Libraries,
    Lists,
    Columns,
}

/// Find SharePoint sites, and show their libraries, lists and columns.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ListSites {
    /// Words of its name, its URL or id; empty for all.
    #[serde(default)]
    q: String,
    /// Of up to 3 sites.
    #[serde(default)]
    include: Vec<Part>,
    #[serde(default)]
    limit: Limit<20, 100>,
    #[serde(default)]
    cursor: Option<Cursor>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Drive {
    id: String,
    name: Option<String>,
    web_url: Option<String>,
}

impl Tool for ListSites {
    const NAME: &'static str = "m365_list_sites";
    const TITLE: &'static str = "List sites";
    const EFFECT: Effect = Effect::Read;
    const SCOPES: Needs = READ;
    const AUDIT: AuditArgs = AuditArgs {
        plain: &["include"],
        dropped: &[],
    };

    async fn call(self, cx: &Cx) -> Result<Output, ToolError> {
        require_work(cx, "SharePoint sites")?;
        let mut output = Output::default();
        let sites = if let Some(site) = SiteRef::parse(&self.q) {
            vec![model::site(cx, &site).await?]
        } else {
            let page = self.search(cx).await?;
            output.next_cursor = page.cursor();
            if page.value.is_empty() && !has_any(cx, &["Sites.Read.All", "Sites.ReadWrite.All"]) {
                output.warnings.push(
                    "with `Sites.Selected` Microsoft lists no sites; give the URL of one that was granted as `q`".to_owned(),
                );
            }
            page.value
        };
        let count = if self.include.is_empty() {
            0
        } else {
            MAX_OPENED
        };
        if sites.len() > count && count > 0 {
            output.warnings.push(format!(
                "only the first {count} sites are shown with what they hold; name one by its URL"
            ));
        }
        // What does not fit would be cut from a record as a whole.
        let rows: usize = sites.iter().map(|site| chars(&site.row())).sum();
        let room = (cx.max_chars / 4 * 3).saturating_sub(rows) / count.min(sites.len()).max(1);
        let opened = sites.iter().take(count);
        let opened = opened.map(|site| self.open(cx, site, room));
        let mut opened = join_all(opened).await.into_iter();
        for site in &sites {
            let opened = opened.next().unwrap_or_else(|| Opened::of(site.row()));
            output.items.push(opened.item);
            output.warnings.extend(opened.warnings);
            output.truncated |= opened.truncated;
        }
        Ok(output)
    }
}

impl ListSites {
    async fn search(&self, cx: &Cx) -> Result<Page<Site>, ToolError> {
        let request = if let Some(cursor) = &self.cursor {
            graph::follow(cx, cursor)
        } else {
            let words = self.q.trim();
            cx.api
                .get(&["v1.0", "sites"])
                .query("search", if words.is_empty() { "*" } else { words })
                .query("$select", SITE_FIELDS)
                .query("$top", self.limit.get())
        };
        let found = request.send().await;
        found.map_err(|error| explained(cx, "search", "read", error))
    }

    /// A site with the parts asked for, in about so many characters more. What cannot be read or does not fit is a warning.
    async fn open(&self, cx: &Cx, site: &Site, mut room: usize) -> Opened {
        let mut opened = Opened::of(site.row());
        if self.include.contains(&Part::Libraries) {
            let path = ["v1.0", "sites", &site.id, "drives"];
            let drives = cx.api.get(&path).query("$select", "id,name,webUrl").send();
            match drives.await {
                Ok(Page { value, .. }) => {
                    let (libraries, left) = fitting(libraries(value), &mut room);
                    opened.item.set("libraries", libraries);
                    opened.left_out(
                        left,
                        &format!("libraries of {}", site.title()),
                        "open its `url`",
                    );
                }
                Err(error) => {
                    let what = format!("libraries of {}: {error}", site.title());
                    opened.warnings.push(what);
                }
            }
        }
        let with_columns = self.include.contains(&Part::Columns);
        if with_columns || self.include.contains(&Part::Lists) {
            match model::lists(cx, &site.id, with_columns).await {
                Ok(page) => {
                    let shown = page.value.iter().filter(|list| !list.is_hidden());
                    let lists: Vec<Value> = shown.map(|list| list.words(cx, &site.id)).collect();
                    let (lists, bare) = narrowed(lists, room);
                    let (lists, left) = fitting(lists, &mut room);
                    opened.item.set("lists", lists);
                    let what = format!("lists of {}", site.title());
                    opened.left_out(bare, &format!("columns of {what}"), "read a list's `uri`");
                    opened.left_out(left, &what, "read one by its title with m365_query_list");
                    if page.next.is_some() {
                        let more = format!("{} has more than 100 lists", site.title());
                        opened.warnings.push(more);
                    }
                }
                Err(error) => {
                    let what = format!("lists of {}: {error}", site.title());
                    opened.warnings.push(what);
                }
            }
        }
        opened
    }
}

/// A site that was looked into.
struct Opened {
    item: Item,
    warnings: Vec<String>,
    truncated: bool,
}

impl Opened {
    const fn of(item: Item) -> Self {
        Self {
            item,
            warnings: Vec::new(),
            truncated: false,
        }
    }

    /// Notes how many of something did not fit, and how they are read.
    fn left_out(&mut self, count: usize, what: &str, how: &str) {
        if count > 0 {
            self.warnings
                .push(format!("{count} {what} left out; {how}"));
            self.truncated = true;
        }
    }
}

/// How long something is as JSON, in characters.
fn chars(value: &impl Serialize) -> usize {
    serde_json::to_string(value).map_or(0, |text| text.chars().count())
}

/// Those that fit into the room, and how many do not.
fn fitting(values: Vec<Value>, room: &mut usize) -> (Vec<Value>, usize) {
    let count = values.len();
    let mut kept = Vec::new();
    for value in values {
        let size = chars(&value) + 1;
        if size > *room {
            break;
        }
        *room -= size;
        kept.push(value);
    }
    let left = count - kept.len();
    (kept, left)
}

/// The lists, with their columns as far as those fit beside all lists; and how many went without.
fn narrowed(mut lists: Vec<Value>, room: usize) -> (Vec<Value>, usize) {
    let mut columns = Vec::with_capacity(lists.len());
    for list in &mut lists {
        let list = list.as_object_mut();
        columns.push(list.and_then(|list| list.shift_remove(COLUMNS)));
    }
    let bare: usize = lists.iter().map(|list| chars(list) + 1).sum();
    let mut room = room.saturating_sub(bare);
    let mut count = 0;
    for (list, columns) in lists.iter_mut().zip(columns) {
        let Some(columns) = columns else { continue };
        let size = chars(&columns) + COLUMNS.len() + 4;
        if size <= room {
            room -= size;
            list[COLUMNS] = columns;
        } else {
            count += 1;
        }
    }
    (lists, count)
}

/// Libraries with the `ref` that m365_list_folder takes.
fn libraries(drives: Vec<Drive>) -> Vec<Value> {
    let one = |drive: Drive| json!({ "ref": format!("{}:", drive.id), "name": drive.name, "url": drive.web_url });
    drives.into_iter().map(one).collect()
}
