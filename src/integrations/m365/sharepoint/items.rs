//! Rows of lists.

use schemars::JsonSchema;
use serde::Deserialize;

use super::super::graph::{self, Page};
use super::READ;
use super::model::{self, Row, list_refused};
use crate::kit::args::{Cursor, Limit};
use crate::kit::error::{ProviderError, ToolError};
use crate::kit::output::Output;
use crate::kit::tool::{AuditArgs, Cx, Effect, Needs, Tool};

/// Lets a filter use columns without an index; it may fail in lists of more than 5,000 rows.
pub(super) const ANY_COLUMN: &str = "HonorNonIndexedQueriesWarningMayFailRandomly";

/// Read rows of a SharePoint list.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct QueryList {
    /// URL or id.
    site: String,
    /// Title or id.
    list: String,
    /// OData, such as `fields/Status eq 'Open'`.
    #[serde(default)]
    filter: String,
    /// Such as `fields/Due desc`.
    #[serde(default)]
    order_by: String,
    /// Columns' internal names; default all.
    #[serde(default)]
    fields: Vec<String>,
    #[serde(default)]
    limit: Limit<25, 200>,
    #[serde(default)]
    cursor: Option<Cursor>,
}

impl Tool for QueryList {
    const NAME: &'static str = "m365_query_list";
    const TITLE: &'static str = "Query list";
    const EFFECT: Effect = Effect::Read;
    const SCOPES: Needs = READ;
    const AUDIT: AuditArgs = AuditArgs {
        plain: &["site", "fields"],
        dropped: &[],
    };

    async fn call(self, cx: &Cx) -> Result<Output, ToolError> {
        let fields = names(&self.fields)?;
        let site = model::site_id(cx, &self.site).await?;
        if self.list.trim().is_empty() {
            return Err(ToolError::Invalid("`list` is empty".to_owned()));
        }
        let request = if let Some(cursor) = &self.cursor {
            graph::follow(cx, cursor)
        } else {
            let expand = if fields.is_empty() {
                "fields".to_owned()
            } else {
                format!("fields($select={})", fields.join(","))
            };
            let some = |text: &str| (!text.trim().is_empty()).then(|| text.trim().to_owned());
            cx.api
                .get(&["v1.0", "sites", &site, "lists", &self.list, "items"])
                .query("$expand", expand)
                .query_opt("$filter", some(&self.filter))
                .query_opt("$orderby", some(&self.order_by))
                .query("$top", self.limit.get())
        };
        let page: Result<Page<Row>, ProviderError> =
            graph::prefer(request, &[ANY_COLUMN]).send().await;
        let page = page.map_err(|error| match error {
            ProviderError::Invalid { message } => ToolError::Invalid(format!(
                "`filter`, `order_by` or `fields` were not understood ({message}); m365_list_sites shows the columns with `include`"
            )),
            error => list_refused(cx, &site, &self.list, "read", error),
        })?;
        let rows = page.value.iter();
        let rows = rows.map(|row| row.item(cx, &site, &self.list, &fields));
        Ok(Output::of(rows.collect()).next(page.cursor()))
    }
}

/// Names of columns, which are words: anything else would end the list of them.
fn names(fields: &[String]) -> Result<Vec<String>, ToolError> {
    let is_name =
        |name: &&String| !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || c == '_');
    match fields.iter().find(|name| !is_name(name) && *name != "*") {
        Some(odd) => Err(ToolError::Invalid(format!(
            "`fields`: `{odd}` is no internal name of a column"
        ))),
        None if fields.iter().any(|name| name == "*") => Ok(Vec::new()),
        None => Ok(fields.to_vec()),
    }
}
