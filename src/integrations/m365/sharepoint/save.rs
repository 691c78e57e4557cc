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

/// What the name of a value's type ends with (OData).
const TYPE: &str = "@odata.type";
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
        if self.values().next().is_none() {
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
    /// The values without what says of which type they are.
    fn values(&self) -> impl Iterator<Item = (&String, &Value)> {
        self.fields.iter().filter(|(name, _)| !name.ends_with(TYPE))
    }

    /// These values as Graph takes them: an array only together with its type, the one that was given or that of its
    /// values.
    fn typed(&self, values: &Map<String, Value>) -> Map<String, Value> {
        let mut typed = Map::new();
        for (name, value) in values {
            let annotation = format!("{name}{TYPE}");
            let given = self.fields.get(&annotation).cloned();
            let kind = given.or_else(|| kind(name, value).map(Value::from));
            if let Some(kind) = kind {
                typed.insert(annotation, kind);
            }
            typed.insert(name.clone(), value.clone());
        }
        typed
    }

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
        let values = self.values();
        let values: Map<String, Value> = values
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        if cx.dry_run {
            // The list is looked at, so that a wrong name shows before the real call.
            let list = model::list(cx, site, &self.list, false).await?;
            let item = Item::new("new")
                .field("list", list.title())
                .field("dry_run", true)
                .field("changes", changes(&Map::new(), &values));
            return Ok(Output::one(item));
        }
        let added: Result<Row, ProviderError> = cx
            .api
            .post(&["v1.0", "sites", site, "lists", &self.list, "items"])
            .json(&json!({ "fields": self.typed(&values) }))
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
            .values()
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
            .json(&self.typed(&different));
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

/// The type of an array: a column of several choices has texts, one of several people or rows their numbers
/// (`PeopleLookupId`). `None` for what is no array, or one of other values.
fn kind(name: &str, value: &Value) -> Option<&'static str> {
    const TEXTS: &str = "Collection(Edm.String)";
    const NUMBERS: &str = "Collection(Edm.Int32)";
    let values = value.as_array()?;
    let of_numbers = name.ends_with("LookupId");
    if of_numbers && values.iter().all(Value::is_i64) {
        Some(NUMBERS)
    } else if values.iter().all(Value::is_string) {
        Some(TEXTS)
    } else {
        None
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

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test says what went wrong by failing")]
    use super::*;

    #[test]
    fn arrays_go_with_their_type() {
        let item: SaveListItem = serde_json::from_value(json!({
            "site": "s", "list": "l",
            "fields": {
                "Title": "a", "Channels": ["Print"], "OwnersLookupId": [6, 9], "Tags": [],
                "Odd": [{}], "Own": ["1"], "Own@odata.type": "Collection(Edm.Guid)",
            },
        }))
        .unwrap();
        let values = item.values();
        let values: Map<String, Value> = values
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        assert_eq!(
            Value::Object(item.typed(&values)),
            json!({
                "Title": "a",
                "Channels@odata.type": "Collection(Edm.String)", "Channels": ["Print"],
                "OwnersLookupId@odata.type": "Collection(Edm.Int32)", "OwnersLookupId": [6, 9],
                "Tags@odata.type": "Collection(Edm.String)", "Tags": [],
                "Odd": [{}],
                "Own@odata.type": "Collection(Edm.Guid)", "Own": ["1"],
            })
        );
    }
}
