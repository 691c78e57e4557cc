//! Finding sites, and what libraries and lists they have.

use futures_util::future::join_all;
use schemars::JsonSchema;
use serde::Deserialize;
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
        let opened = sites.iter().take(count).map(|site| self.open(cx, site));
        let mut opened = join_all(opened).await.into_iter();
        for site in &sites {
            let (item, warnings) = opened.next().unwrap_or_else(|| (site.row(), Vec::new()));
            output.items.push(item);
            output.warnings.extend(warnings);
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

    /// A site with the parts asked for. What cannot be read is a warning.
    async fn open(&self, cx: &Cx, site: &Site) -> (Item, Vec<String>) {
        let mut item = site.row();
        let mut warnings = Vec::new();
        if self.include.contains(&Part::Libraries) {
            let path = ["v1.0", "sites", &site.id, "drives"];
            let drives = cx.api.get(&path).query("$select", "id,name,webUrl").send();
            match drives.await {
                Ok(Page { value, .. }) => item.set("libraries", libraries(value)),
                Err(error) => warnings.push(format!("libraries of {}: {error}", site.title())),
            }
        }
        let with_columns = self.include.contains(&Part::Columns);
        if with_columns || self.include.contains(&Part::Lists) {
            match model::lists(cx, &site.id, with_columns).await {
                Ok(page) => {
                    let shown = page.value.iter().filter(|list| !list.is_hidden());
                    let lists: Vec<Value> = shown.map(|list| list.words(cx, &site.id)).collect();
                    item.set("lists", lists);
                    if page.next.is_some() {
                        warnings.push(format!("{} has more than 100 lists", site.title()));
                    }
                }
                Err(error) => warnings.push(format!("lists of {}: {error}", site.title())),
            }
        }
        (item, warnings)
    }
}

/// Libraries with the `ref` that m365_list_folder takes.
fn libraries(drives: Vec<Drive>) -> Vec<Value> {
    let one = |drive: Drive| json!({ "ref": format!("{}:", drive.id), "name": drive.name, "url": drive.web_url });
    drives.into_iter().map(one).collect()
}
