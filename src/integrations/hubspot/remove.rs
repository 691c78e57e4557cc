//! Archiving and merging: the two changes of records that lose something.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::kit::error::{ProviderError, ToolError};
use crate::kit::output::Output;
use crate::kit::tool::{AuditArgs, Cx, Effect, Needs, Tool};

use super::kinds::{Kind, STANDARD, WRITE_ANY, record_id};
use super::model::Record;
use super::names::Names;
use super::records::{self, Fields};

/// Moves records to HubSpot's recycle bin, where people can restore them for 90 days.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ArchiveRecords {
    /// contacts, deals, custom…
    object_type: String,
    /// At most 100
    ids: Vec<String>,
}

impl Tool for ArchiveRecords {
    const NAME: &'static str = "hubspot_archive_records";
    const TITLE: &'static str = "Archive records";
    const EFFECT: Effect = Effect::Destructive { idempotent: true };
    const SCOPES: Needs = WRITE_ANY;
    const AUDIT: AuditArgs = AuditArgs {
        plain: &["object_type", "ids"],
        dropped: &[],
    };

    async fn call(self, cx: &Cx) -> Result<Output, ToolError> {
        let ids = records::ids(&self.ids, "ids")?;
        let kind = Kind::find(cx, &self.object_type).await?;
        kind.may_write(cx)?;
        if cx.dry_run {
            let fields = Fields::of(cx, &kind, &[]).await?;
            let read = records::read(cx, &kind, &ids, "", &fields.names, &[]);
            let (names, found) = Names::beside(cx, &kind, &fields.names, read).await;
            let found = found?;
            let mut output = Output::default();
            for record in &found.results {
                let (mut item, _) = records::item(cx, &kind, record, &fields, &names);
                item.set("would", "archive");
                output.items.push(item);
            }
            let absent: Vec<&str> = ids
                .iter()
                .map(String::as_str)
                .filter(|id| !found.results.iter().any(|record| record.id == *id))
                .collect();
            if !absent.is_empty() {
                let text = format!("not there or archived already: {}", absent.join(", "));
                output.warnings.push(text);
            }
            return Ok(output);
        }
        let inputs: Vec<Value> = ids.iter().map(|id| json!({ "id": id })).collect();
        cx.api
            .post(&["crm", "v3", "objects", kind.segment(), "batch", "archive"])
            .json(&json!({ "inputs": inputs }))
            .done()
            .await?;
        let items = ids.iter().map(|id| {
            let mut item = records::head(cx, &kind, id);
            item.set("outcome", "archived");
            item
        });
        Ok(Output::of(items.collect()))
    }
}

/// Merges a duplicate into the record that stays. Cannot be undone: dry_run shows both first.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct MergeRecords {
    /// Their type
    object_type: Mergeable,
    /// Stays; its values win
    primary_id: String,
    /// Is merged away
    duplicate_id: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
enum Mergeable {
    Contacts,
    Companies,
    Deals,
    Tickets,
}

impl Mergeable {
    fn kind(self) -> Kind {
        // The four main types come first in the table, in this order.
        Kind::Standard(&STANDARD[self as usize])
    }
}

impl Tool for MergeRecords {
    const NAME: &'static str = "hubspot_merge_records";
    const TITLE: &'static str = "Merge records";
    const EFFECT: Effect = Effect::Destructive { idempotent: false };
    const SCOPES: Needs = WRITE_ANY;
    const AUDIT: AuditArgs = AuditArgs {
        plain: &["object_type", "primary_id", "duplicate_id"],
        dropped: &[],
    };

    async fn call(self, cx: &Cx) -> Result<Output, ToolError> {
        let id = |text: &str, name: &str| {
            record_id(text).ok_or_else(|| {
                ToolError::Invalid(format!("{name} must be an id; HubSpot's ids are numbers"))
            })
        };
        let primary = id(&self.primary_id, "primary_id")?;
        let duplicate = id(&self.duplicate_id, "duplicate_id")?;
        if primary == duplicate {
            return Err(ToolError::Invalid(
                "primary_id and duplicate_id are the same record".to_owned(),
            ));
        }
        let kind = self.object_type.kind();
        kind.may_write(cx)?;
        if cx.dry_run {
            return plan(cx, &kind, primary, duplicate).await;
        }
        let merged: Result<Record, ProviderError> = cx
            .api
            .post(&["crm", "v3", "objects", kind.segment(), "merge"])
            .json(&json!({ "primaryObjectId": primary, "objectIdToMerge": duplicate }))
            .send()
            .await;
        let record = match merged {
            Err(ProviderError::NotFound) => return Err(absent(&kind, &primary, &duplicate)),
            merged => merged?,
        };
        let mut item = records::head(cx, &kind, &record.id);
        item.set("outcome", "merged");
        item.set("name", record.title(&kind.title()));
        item.set("merged_ids", json!([primary, duplicate]));
        let mut output = Output::one(item);
        if record.id != primary {
            output = output.warn(format!(
                "HubSpot gave the merged record a new id, {}; use it from now on",
                record.id
            ));
        }
        Ok(output)
    }
}

fn absent(kind: &Kind, primary: &str, duplicate: &str) -> ToolError {
    ToolError::NotFound(format!(
        "{} {primary} or {duplicate} does not exist or is not visible to this connection",
        kind.label()
    ))
}

/// Both records, and what the merged one would say.
async fn plan(
    cx: &Cx,
    kind: &Kind,
    primary: String,
    duplicate: String,
) -> Result<Output, ToolError> {
    let fields = Fields::of(cx, kind, &[]).await?;
    let ids = [primary, duplicate];
    let read = records::read(cx, kind, &ids, "", &fields.names, &[]);
    let (names, found) = Names::beside(cx, kind, &fields.names, read).await;
    let found = found?.results;
    let both: Vec<&Record> = ids
        .iter()
        .filter_map(|id| found.iter().find(|record| record.id == *id))
        .collect();
    let [primary, duplicate] = both.as_slice() else {
        return Err(absent(kind, &ids[0], &ids[1]));
    };
    let mut output = Output::default();
    for (record, would) in [(primary, "keep"), (duplicate, "merge away")] {
        let (mut item, _) = records::item(cx, kind, record, &fields, &names);
        item.set("would", would);
        if would == "keep" {
            // Where the primary has no value, the duplicate's is kept (HubSpot's rule; some properties have their own).
            let mut gains = Map::new();
            for name in &fields.names {
                let value = duplicate.get(name);
                if primary.get(name).is_empty() && !value.is_empty() {
                    gains.insert(name.clone(), json!(records::shown(value, 200).0));
                }
            }
            item.set("would_gain", gains);
        }
        output.items.push(item);
    }
    Ok(output.warn("merging cannot be undone"))
}
