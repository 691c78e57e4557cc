//! Finding records.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::kit::args::{Cursor, Limit};
use crate::kit::error::{ProviderError, ToolError};
use crate::kit::output::Output;
use crate::kit::tool::{AuditArgs, Cx, Effect, Needs, Tool};

use super::filters::{self, Group};
use super::kinds::{Kind, READ_ANY, Target};
use super::model::{Page, Record};
use super::names::Names;
use super::records::{self, Expand, Fields, Linked};

/// A search shows no more than this many of its matches, over all pages.
const WINDOW: u32 = 10_000;
/// Longest search text.
const QUERY_CHARS: usize = 3_000;

/// Finds and counts records of any type.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SearchRecords {
    /// contacts, custom…
    object_type: String,
    /// Words
    #[serde(default)]
    q: String,
    /// dealstage=Won|Lost, amount>=5, or, email=*; also != ~ !~
    #[serde(default)]
    filters: Vec<String>,
    /// companies/201
    #[serde(default)]
    associated_with: String,
    /// -createdate
    #[serde(default)]
    sort: String,
    /// * is all
    #[serde(default)]
    fields: Vec<String>,
    #[serde(default)]
    limit: Limit<10, 100>,
    #[serde(default)]
    cursor: Option<Cursor>,
}

/// A search as HubSpot wants it.
#[derive(Debug, Default)]
pub(super) struct Search<'a> {
    pub(super) query: &'a str,
    pub(super) groups: Vec<Group>,
    pub(super) sort: &'a str,
    pub(super) properties: &'a [String],
    pub(super) limit: u32,
    pub(super) after: Option<&'a str>,
}

impl Search<'_> {
    /// Sends it. Sent again when HubSpot is busy: it only reads.
    pub(super) async fn send(&self, cx: &Cx, segment: &str) -> Result<Page<Record>, ProviderError> {
        let mut body = Map::new();
        if !self.query.is_empty() {
            body.insert("query".to_owned(), json!(self.query));
        }
        body.insert("filterGroups".to_owned(), json!(self.groups));
        if !self.sort.is_empty() {
            body.insert("sorts".to_owned(), json!([self.sort]));
        }
        body.insert("properties".to_owned(), json!(self.properties));
        body.insert("limit".to_owned(), json!(self.limit));
        if let Some(after) = self.after {
            body.insert("after".to_owned(), json!(after));
        }
        cx.api
            .post(&["crm", "v3", "objects", segment, "search"])
            .json(&Value::Object(body))
            .reads()
            .send()
            .await
    }
}

impl Tool for SearchRecords {
    const NAME: &'static str = "hubspot_search_records";
    const TITLE: &'static str = "Search records";
    const EFFECT: Effect = Effect::Read;
    const SCOPES: Needs = READ_ANY;
    const AUDIT: AuditArgs = AuditArgs {
        plain: &["object_type", "associated_with", "sort", "fields"],
        dropped: &[],
    };

    async fn call(self, cx: &Cx) -> Result<Output, ToolError> {
        let written = filters::parse(&self.filters)?;
        let after = after(self.cursor.as_ref(), self.limit.get())?;
        if self.q.chars().count() > QUERY_CHARS {
            return Err(ToolError::Invalid(format!(
                "q must not be longer than {QUERY_CHARS} characters"
            )));
        }
        let kind = Kind::find(cx, &self.object_type).await?;
        kind.may_read(cx)?;
        let mut output = Output::default();
        let also = if self.associated_with.is_empty() {
            None
        } else {
            let target = Target::find(cx, &self.associated_with, "associated_with").await?;
            match records::linked_filter(cx, &target, &kind, &mut output.warnings).await? {
                Linked::By(filter) => Some(filter),
                Linked::Nothing => return Ok(output.total(Some(0))),
            }
        };
        let fields = Fields::of(cx, &kind, &self.fields).await?;
        let by_age = format!("-{}", kind.age());
        let newest_first = self.sort.is_empty() && self.q.is_empty();
        let search = |groups| Search {
            query: &self.q,
            groups,
            sort: if newest_first { &by_age } else { &self.sort },
            properties: &fields.names,
            limit: self.limit.get(),
            after: after.as_deref(),
        };
        // Names that people wrote in conditions must be known before the search; names in the answer need not.
        let in_conditions = filters::needs_names(&written);
        let (names, found) = if in_conditions.is_empty() {
            let groups = filters::groups(&written, &Names::default(), also.as_ref())?;
            let ready = search(groups);
            let sent = ready.send(cx, kind.segment());
            Names::beside(cx, &kind, &fields.names, sent).await
        } else {
            let mut needed = fields.names.clone();
            needed.extend(in_conditions);
            let names = Names::read(cx, &kind, &needed).await;
            let groups = filters::groups(&written, &names, also.as_ref())?;
            let found = search(groups).send(cx, kind.segment()).await;
            (names, found)
        };
        let found = found?;
        output.warnings.extend(names.warnings.iter().cloned());
        for record in &found.results {
            let (item, cut) = records::item(cx, &kind, record, &fields, &names);
            output.truncated |= cut;
            output.items.push(item);
        }
        let next = found.after();
        let beyond = next
            .as_deref()
            .and_then(|after| after.parse::<u32>().ok())
            .is_some_and(|after| after >= WINDOW);
        if beyond {
            output.truncated = true;
            output.warnings.push(format!(
                "HubSpot shows the first {WINDOW} matches only; narrow the filters to see the others"
            ));
        }
        output.next_cursor = next.filter(|_| !beyond).map(Cursor);
        Ok(output.total(found.total))
    }
}

/// Where the page starts, which must lie in what HubSpot shows.
fn after(cursor: Option<&Cursor>, limit: u32) -> Result<Option<String>, ToolError> {
    let Some(cursor) = cursor else {
        return Ok(None);
    };
    let start: u32 = cursor.read()?;
    if start.saturating_add(limit) > WINDOW {
        return Err(ToolError::Invalid(format!(
            "HubSpot shows the first {WINDOW} matches only; narrow the filters or lower the limit"
        )));
    }
    Ok(Some(cursor.0.clone()))
}

/// Reads up to 100 records by id or unique property, with linked records.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct GetRecords {
    /// contacts, deals, custom…
    object_type: String,
    /// Ids
    ids: Vec<String>,
    /// Such as email
    #[serde(default)]
    id_property: String,
    /// * is all
    #[serde(default)]
    fields: Vec<String>,
    /// Linked ones: contacts:3
    #[serde(default)]
    expand: Vec<String>,
    /// Properties to show former values of
    #[serde(default)]
    history: Vec<String>,
}

/// Records in a batch when former values are read too: HubSpot allows fewer.
const HISTORY_BATCH: usize = 50;

impl Tool for GetRecords {
    const NAME: &'static str = "hubspot_get_records";
    const TITLE: &'static str = "Get records";
    const EFFECT: Effect = Effect::Read;
    const SCOPES: Needs = READ_ANY;
    const AUDIT: AuditArgs = AuditArgs {
        plain: &["object_type", "id_property", "fields", "expand", "history"],
        dropped: &[],
    };

    async fn call(self, cx: &Cx) -> Result<Output, ToolError> {
        let ids = if self.id_property.is_empty() {
            records::ids(&self.ids, "ids")?
        } else if self.ids.is_empty() || self.ids.len() > records::BATCH {
            return Err(ToolError::Invalid(format!(
                "ids must hold 1 to {} values",
                records::BATCH
            )));
        } else {
            self.ids.clone()
        };
        if !self.history.is_empty() && ids.len() > HISTORY_BATCH {
            return Err(ToolError::Invalid(format!(
                "history can be read of at most {HISTORY_BATCH} records at once"
            )));
        }
        let kind = Kind::find(cx, &self.object_type).await?;
        kind.may_read(cx)?;
        let expand = Expand::find(cx, &self.expand).await?;
        let fields = Fields::of(cx, &kind, &self.fields).await?;
        let mut asked = fields.names.clone();
        if !self.id_property.is_empty() && !asked.contains(&self.id_property) {
            asked.push(self.id_property.clone());
        }
        let read = records::read(cx, &kind, &ids, &self.id_property, &asked, &self.history);
        let (names, found) = Names::beside(cx, &kind, &fields.names, read).await;
        let found = found?;
        let mut output = Output::default();
        output.warnings.clone_from(&names.warnings);
        for record in &found.results {
            let (item, cut) = records::item(cx, &kind, record, &fields, &names);
            output.truncated |= cut;
            output.items.push(item);
        }
        output
            .warnings
            .extend(missing(&kind, &ids, &self.id_property, &found));
        if output.items.is_empty() {
            return Err(ToolError::NotFound(format!(
                "none of these {} exist or are visible to this connection; archived ones are not shown: {}",
                kind.label(),
                crate::kit::text::clip(&ids.join(", "), 200)
            )));
        }
        let more = Expand::add(cx, &kind, &expand, &mut output.items).await;
        output.warnings.extend(more);
        Ok(output)
    }
}

/// What was asked for and did not come.
fn missing(kind: &Kind, ids: &[String], id_property: &str, found: &Page<Record>) -> Vec<String> {
    let mut said: Vec<String> = found
        .errors
        .iter()
        .filter(|error| error.category != "OBJECT_NOT_FOUND")
        .map(super::model::BatchError::sentence)
        .collect();
    let absent: Vec<&str> = ids
        .iter()
        .map(String::as_str)
        .filter(|id| {
            !found.results.iter().any(|record| {
                record.id == *id
                    || !id_property.is_empty() && record.get(id_property).eq_ignore_ascii_case(id)
            })
        })
        .collect();
    if !absent.is_empty() {
        said.push(format!("no such {}: {}", kind.label(), absent.join(", ")));
    }
    said
}
