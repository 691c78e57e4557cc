//! Linking records and taking links away.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::kit::error::{ProviderError, ToolError};
use crate::kit::output::{Item, Output};
use crate::kit::tool::{AuditArgs, Cx, Effect, Needs, Tool};

use super::kinds::{Kind, Target, WRITE_ANY};
use super::model::{AssociatedTo, Page};
use super::records;

/// Links a record to others, with a label when one is given.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LinkRecords {
    /// contacts/101
    from: String,
    /// companies/201, …
    to: Vec<String>,
    /// As hubspot_describe_object lists it
    #[serde(default)]
    label: String,
}

/// Removes the links between a record and others or, with label, only that label. The records stay.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct UnlinkRecords {
    /// contacts/101
    from: String,
    /// companies/201, …
    to: Vec<String>,
    /// Remove only this label
    #[serde(default)]
    label: String,
}

const AUDIT: AuditArgs = AuditArgs {
    plain: &["from", "to", "label"],
    dropped: &[],
};

impl Tool for LinkRecords {
    const NAME: &'static str = "hubspot_link_records";
    const TITLE: &'static str = "Link records";
    const EFFECT: Effect = Effect::Write { idempotent: true };
    const SCOPES: Needs = WRITE_ANY;
    const AUDIT: AuditArgs = AUDIT;

    async fn call(self, cx: &Cx) -> Result<Output, ToolError> {
        let ends = Ends::find(cx, &self.from, &self.to).await?;
        let label = self.label.trim();
        let mut output = Output::default();
        for (kind, ids) in &ends.to {
            let spec = ends.spec(cx, kind, label).await?;
            if cx.dry_run {
                ends.plan(cx, kind, ids, label, &mut output, |has| {
                    if has { "leave as it is" } else { "link" }
                })
                .await?;
                continue;
            }
            let inputs: Vec<Value> = ids
                .iter()
                .map(|id| {
                    let mut input = json!({ "from": { "id": ends.from.id }, "to": { "id": id } });
                    if let Some(spec) = &spec {
                        input["types"] = json!([spec]);
                    }
                    input
                })
                .collect();
            let tail: &[&str] = match spec {
                Some(_) => &["batch", "create"],
                None => &["batch", "associate", "default"],
            };
            let answer: Result<Page<Value>, ProviderError> = cx
                .api
                .post(&ends.path(kind, tail))
                .json(&json!({ "inputs": inputs }))
                .send()
                .await;
            let Some(answer) = unless_some_done(answer, kind, &mut output)? else {
                continue;
            };
            if output.items.is_empty() && answer.results.is_empty() && !answer.errors.is_empty() {
                return Err(ProviderError::Invalid {
                    message: records::complaints(&answer.errors).join("; "),
                }
                .into());
            }
            let failed = records::complaints(&answer.errors);
            // With failures among them, HubSpot's answer says which links were made.
            for id in ids {
                let made = failed.is_empty() || answer.results.iter().any(|row| names(row, id));
                if made {
                    output.items.push(ends.item(cx, kind, id, label, "linked"));
                }
            }
            output.warnings.extend(failed);
        }
        Ok(output)
    }
}

impl Tool for UnlinkRecords {
    const NAME: &'static str = "hubspot_unlink_records";
    const TITLE: &'static str = "Unlink records";
    const EFFECT: Effect = Effect::Destructive { idempotent: true };
    const SCOPES: Needs = WRITE_ANY;
    const AUDIT: AuditArgs = AUDIT;

    async fn call(self, cx: &Cx) -> Result<Output, ToolError> {
        let ends = Ends::find(cx, &self.from, &self.to).await?;
        let label = self.label.trim();
        let mut output = Output::default();
        for (kind, ids) in &ends.to {
            let spec = ends.spec(cx, kind, label).await?;
            if cx.dry_run {
                ends.plan(cx, kind, ids, label, &mut output, |has| {
                    if has { "unlink" } else { "leave as it is" }
                })
                .await?;
                continue;
            }
            let from = json!({ "id": ends.from.id });
            let to = ids.iter().map(|id| json!({ "id": id }));
            let (tail, inputs): (&[&str], Vec<Value>) = match &spec {
                Some(spec) => (
                    &["batch", "labels", "archive"],
                    to.map(|to| json!({ "types": [spec], "from": from, "to": to }))
                        .collect(),
                ),
                None => (
                    &["batch", "archive"],
                    vec![json!({ "from": from, "to": to.collect::<Vec<_>>() })],
                ),
            };
            let answer = cx
                .api
                .post(&ends.path(kind, tail))
                .json(&json!({ "inputs": inputs }))
                .done()
                .await;
            if unless_some_done(answer, kind, &mut output)?.is_none() {
                continue;
            }
            for id in ids {
                output
                    .items
                    .push(ends.item(cx, kind, id, label, "unlinked"));
            }
        }
        Ok(output)
    }
}

/// A refusal, unless other types were done before: then the answer says what was and what was not.
fn unless_some_done<T>(
    answer: Result<T, ProviderError>,
    kind: &Kind,
    output: &mut Output,
) -> Result<Option<T>, ToolError> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(error) if output.items.is_empty() => Err(error.into()),
        Err(error) => {
            let text = format!("{} were left as they are: {error}", kind.label());
            output.warnings.push(text);
            Ok(None)
        }
    }
}

/// Both ends: one record, and others by their types.
struct Ends {
    from: Target,
    to: Vec<(Kind, Vec<String>)>,
}

impl Ends {
    async fn find(cx: &Cx, from: &str, to: &[String]) -> Result<Self, ToolError> {
        if to.is_empty() || to.len() > records::BATCH {
            return Err(ToolError::Invalid(format!(
                "to must name 1 to {} records",
                records::BATCH
            )));
        }
        let from = Target::find(cx, from, "from").await?;
        from.kind.may_write(cx)?;
        let mut groups: Vec<(Kind, Vec<String>)> = Vec::new();
        let to: Vec<&str> = to.iter().map(String::as_str).collect();
        for target in Target::find_all(cx, &to, "to").await? {
            let segment = target.kind.segment().to_owned();
            match groups
                .iter_mut()
                .find(|(kind, _)| kind.segment() == segment)
            {
                Some((_, ids)) if ids.contains(&target.id) => {}
                Some((_, ids)) => ids.push(target.id),
                None => groups.push((target.kind, vec![target.id])),
            }
        }
        for (kind, _) in &groups {
            kind.may_write(cx)?;
        }
        Ok(Self { from, to: groups })
    }

    fn path<'a>(&'a self, to: &'a Kind, tail: &[&'a str]) -> Vec<&'a str> {
        let mut path = vec![
            "crm",
            "v4",
            "associations",
            self.from.kind.segment(),
            to.segment(),
        ];
        path.extend(tail);
        path
    }

    /// The kind of association that `label` names; nothing without a label.
    async fn spec(&self, cx: &Cx, to: &Kind, label: &str) -> Result<Option<Value>, ToolError> {
        if label.is_empty() {
            return Ok(None);
        }
        let types = records::association_types(cx, &self.from.kind, to).await?;
        let found = records::association(&types, label, &self.from.kind, to)?;
        Ok(Some(records::association_spec(found)))
    }

    fn item(&self, cx: &Cx, kind: &Kind, id: &str, label: &str, outcome: &str) -> Item {
        records::head(cx, kind, id)
            .field("type", kind.label())
            .field("outcome", outcome)
            .field("from", self.from.text())
            .field("label", label)
    }

    /// What would happen to each link, beside what is there.
    async fn plan(
        &self,
        cx: &Cx,
        kind: &Kind,
        ids: &[String],
        label: &str,
        output: &mut Output,
        would: fn(bool) -> &'static str,
    ) -> Result<(), ToolError> {
        let from = std::slice::from_ref(&self.from.id);
        let present = records::linked(cx, &self.from.kind, from, kind).await?;
        let present: Vec<&AssociatedTo> = present.values().flatten().collect();
        for id in ids {
            let link = present.iter().find(|link| link.id == *id);
            let labels = link.map(|link| link.labels()).unwrap_or_default();
            let has = match label {
                "" => link.is_some(),
                label => labels.iter().any(|own| own.eq_ignore_ascii_case(label)),
            };
            let item = records::head(cx, kind, id)
                .field("type", kind.label())
                .field("from", self.from.text())
                .field("would", would(has))
                .field("linked_now", link.is_some())
                .field("labels_now", labels);
            output.items.push(item);
        }
        Ok(())
    }
}

/// Whether a row of the answer is about the record `id`: the two endpoints name it differently.
fn names(row: &Value, id: &str) -> bool {
    let is = |value: Option<&Value>| match value {
        Some(Value::String(text)) => text == id,
        Some(Value::Number(number)) => number.to_string() == id,
        _other => false,
    };
    is(row.get("toObjectId")) || is(row.pointer("/to/id"))
}
