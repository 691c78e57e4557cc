//! Adding and changing rows of lists.

use http::header::IF_MATCH;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::WRITE;
use super::model::{self, Row, list_refused};
use crate::kit::error::{ProviderError, ToolError};
use crate::kit::output::{Item, Output};
use crate::kit::text;
use crate::kit::tool::{AuditArgs, Cx, Effect, Needs, Tool};

/// Characters of a text that a change shows of it.
const SHOWN: usize = 600;

/// Add a row to a SharePoint list, or change one.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SaveListItem {
    /// URL or id.
    site: String,
    /// Title or id.
    list: String,
    /// Of the row to change.
    #[serde(default)]
    id: String,
    /// Values by the columns' internal names; null empties.
    fields: Map<String, Value>,
    /// Change only this version.
    #[serde(default)]
    if_match: String,
}

impl Tool for SaveListItem {
    const NAME: &'static str = "m365_save_list_item";
    const TITLE: &'static str = "Save list item";
    const EFFECT: Effect = Effect::Write { idempotent: false };
    const SCOPES: Needs = WRITE;
    const AUDIT: AuditArgs = AuditArgs {
        plain: &["site", "id", "if_match"],
        dropped: &["fields"],
    };

    async fn call(self, cx: &Cx) -> Result<Output, ToolError> {
        if self.fields.is_empty() {
            return Err(ToolError::Invalid(
                "`fields` is empty; m365_list_sites shows the columns with `include`".to_owned(),
            ));
        }
        let site = model::site_id(cx, &self.site).await?;
        if self.id.is_empty() {
            self.add(cx, &site).await
        } else {
            self.change(cx, &site).await
        }
    }
}

impl SaveListItem {
    fn refused(&self, cx: &Cx, site: &str, error: ProviderError) -> ToolError {
        match error {
            ProviderError::Invalid { message } => ToolError::Invalid(format!(
                "`fields` were not accepted ({message}); m365_list_sites shows the columns with `include`"
            )),
            ProviderError::Conflict { .. } => ToolError::Conflict(
                "the row changed meanwhile; read it again with m365_query_list".to_owned(),
            ),
            error => list_refused(cx, site, &self.list, "write", error),
        }
    }

    async fn add(&self, cx: &Cx, site: &str) -> Result<Output, ToolError> {
        if !self.if_match.is_empty() {
            return Err(ToolError::Invalid(
                "`if_match` is for a row to change; give its `id` too".to_owned(),
            ));
        }
        if cx.dry_run {
            // The list is looked at, so that a wrong name shows before the real call.
            let list = model::list(cx, site, &self.list, false).await?;
            let item = Item::new("new")
                .field("list", list.title())
                .field("dry_run", true)
                .field("changes", changes(&Map::new(), &self.fields));
            return Ok(Output::one(item));
        }
        let added: Result<Row, ProviderError> = cx
            .api
            .post(&["v1.0", "sites", site, "lists", &self.list, "items"])
            .json(&json!({ "fields": self.fields }))
            .send()
            .await;
        let added = added.map_err(|error| self.refused(cx, site, error))?;
        let item = added.item(cx, site, &self.list, &[]);
        Ok(Output::one(item.field("done", "added")))
    }

    async fn change(&self, cx: &Cx, site: &str) -> Result<Output, ToolError> {
        let path = [
            "v1.0", "sites", site, "lists", &self.list, "items", &self.id,
        ];
        let before: Result<Row, ProviderError> =
            cx.api.get(&path).query("$expand", "fields").send().await;
        let before = match before {
            Err(ProviderError::NotFound) => {
                return Err(ToolError::NotFound(format!(
                    "`id`: list `{}` has no row {}; read its rows with m365_query_list",
                    self.list, self.id
                )));
            }
            other => other.map_err(|error| list_refused(cx, site, &self.list, "read", error))?,
        };
        if !self.if_match.is_empty() && before.e_tag.as_deref() != Some(&self.if_match) {
            return Err(self.refused(
                cx,
                site,
                ProviderError::Conflict {
                    message: String::new(),
                },
            ));
        }
        let different: Map<String, Value> = self
            .fields
            .iter()
            .filter(|(name, value)| before.fields.get(*name).unwrap_or(&Value::Null) != *value)
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        let item = before.item(cx, site, &self.list, &[]);
        if different.is_empty() {
            return Ok(Output::one(item).warn("nothing to do: the row reads so already"));
        }
        let changes = changes(&before.fields, &different);
        if cx.dry_run {
            return Ok(Output::one(
                item.field("dry_run", true).field("changes", changes),
            ));
        }
        let mut request = cx
            .api
            .patch(&[&path[..], &["fields"]].concat())
            .json(&different);
        if let Some(etag) = before
            .e_tag
            .as_deref()
            .filter(|_| !self.if_match.is_empty())
        {
            request = request.header(IF_MATCH, etag);
        }
        let fields: Result<Map<String, Value>, ProviderError> = request.send().await;
        let fields = fields.map_err(|error| self.refused(cx, site, error))?;
        let after = Row {
            fields,
            // Both are another now, and the answer has only the fields.
            e_tag: None,
            last_modified_date_time: None,
            ..before
        };
        let item = after.item(cx, site, &self.list, &[]);
        Ok(Output::one(
            item.field("done", "changed").field("changes", changes),
        ))
    }
}

/// `{field: {before, after}}`, long texts cut.
fn changes(old: &Map<String, Value>, new: &Map<String, Value>) -> Map<String, Value> {
    let short = |value: Option<&Value>| match value {
        Some(Value::String(long)) => json!(text::clip(long, SHOWN)),
        Some(value) => value.clone(),
        None => Value::Null,
    };
    new.iter()
        .map(|(name, value)| {
            let change = json!({ "before": short(old.get(name)), "after": short(Some(value)) });
            (name.clone(), change)
        })
        .collect()
}
