//! A list as a context block: its columns and first rows.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::super::graph::{self, Page};
use super::READ;
use super::items::ANY_COLUMN;
use super::model::{self, Row, SITE_FIELDS, Site, columns, list_refused, shown};
use crate::kit::block::{Content, ContextBlock};
use crate::kit::error::{ProviderError, ToolError};
use crate::kit::tool::{Cx, Needs};

/// Most rows shown.
const ROWS: usize = 100;

/// A list of a site.
#[derive(Deserialize)]
pub(super) struct ListBlock {
    /// Its id, or its web address such as `acme.sharepoint.com/sites/launch`.
    site: String,
    /// Its id or title.
    list: String,
}

impl ContextBlock for ListBlock {
    const URI: &'static str = "m365://{account}/sites/{site}/lists/{list}";
    const NAME: &'static str = "m365_list";
    const TITLE: &'static str = "SharePoint list";
    const DESCRIPTION: &'static str = "A list of a SharePoint site: its columns and first rows. Site is an id or an address such as acme.sharepoint.com/sites/launch, list an id or title.";
    const MIME: &'static str = "application/json";
    const SCOPES: Needs = READ;

    async fn read(self, cx: &Cx) -> Result<Content, ToolError> {
        let site = model::site_id(cx, &self.site).await?;
        let list = model::list(cx, &site, &self.list, true).await?;
        let version = match (&list.last_modified_date_time, &list.e_tag) {
            (Some(at), Some(etag)) => Some(format!("{at} {etag}")),
            (at, etag) => at.clone().or_else(|| etag.clone()),
        };
        if version.is_some() && version == cx.held {
            return Ok(Content::unchanged());
        }
        let request = cx
            .api
            .get(&["v1.0", "sites", &site, "lists", &list.id, "items"])
            .query("$expand", "fields")
            .query("$top", ROWS);
        let page: Result<Page<Row>, ProviderError> =
            graph::prefer(request, &[ANY_COLUMN]).send().await;
        let page = page.map_err(|error| list_refused(cx, &site, &self.list, "read", error))?;
        let mut rows: Vec<Value> = page
            .value
            .iter()
            .map(|row| {
                let mut fields = Map::new();
                fields.insert("id".to_owned(), json!(row.id));
                fields.extend(shown(&row.fields, &[]));
                Value::Object(fields)
            })
            .collect();
        let mut truncated = page.next.is_some();
        loop {
            let text = json!({
                "name": list.title(), "description": list.description, "url": list.web_url,
                "columns": columns(&list.columns), "rows": rows, "truncated": truncated,
            })
            .to_string();
            // Rows are left out whole, from the last on.
            if text.chars().count() <= cx.max_chars || rows.is_empty() {
                return Ok(Content {
                    version,
                    url: list.web_url,
                    truncated,
                    ..Content::text(text)
                });
            }
            rows.truncate(rows.len() / 2);
            truncated = true;
        }
    }

    async fn complete(
        cx: &Cx,
        field: &str,
        prefix: &str,
        chosen: &Map<String, Value>,
    ) -> Result<Vec<String>, ToolError> {
        match (field, chosen.get("site").and_then(Value::as_str)) {
            ("site", _) => sites(cx, prefix).await,
            ("list", Some(site)) => {
                let site = model::site_id(cx, site).await?;
                let page = model::lists(cx, &site, false).await?;
                let prefix = prefix.to_lowercase();
                let fits = page.value.iter().filter(|list| {
                    !list.is_hidden() && list.title().to_lowercase().starts_with(&prefix)
                });
                Ok(fits.map(|list| list.title().to_owned()).take(100).collect())
            }
            _ => Ok(Vec::new()),
        }
    }
}

/// Web addresses of sites whose names have these words; ids would say nothing to a person.
async fn sites(cx: &Cx, prefix: &str) -> Result<Vec<String>, ToolError> {
    let words = prefix.rsplit('/').next().unwrap_or_default().trim();
    let page: Page<Site> = cx
        .api
        .get(&["v1.0", "sites"])
        .query("search", if words.is_empty() { "*" } else { words })
        .query("$select", SITE_FIELDS)
        .query("$top", 25)
        .send()
        .await?;
    let addresses = page.value.into_iter().filter_map(|site| site.web_url);
    Ok(addresses
        .map(|url| url.trim_start_matches("https://").to_owned())
        .collect())
}
