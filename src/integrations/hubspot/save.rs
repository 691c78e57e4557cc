//! Creating and changing records.

use futures_util::future::{OptionFuture, join, try_join_all};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::kit::error::{ProviderError, ToolError};
use crate::kit::output::{Item, Output};
use crate::kit::tool::{AuditArgs, Cx, Effect, Needs, Tool};

use super::kinds::{Kind, Target, WRITE_ANY, record_id};
use super::model::{AssociationType, BatchError, Page, Property, Record};
use super::records;

/// Saves and links records; null clears.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SaveRecords {
    /// How
    mode: Mode,
    /// contacts, custom…
    object_type: String,
    /// 1-100
    records: Vec<Input>,
    /// Property of id
    #[serde(default)]
    match_property: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
enum Mode {
    Create,
    Update,
    Upsert,
}

impl Mode {
    const fn word(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Upsert => "upsert",
        }
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
struct Input {
    /// Id
    #[serde(default)]
    id: String,
    /// Values
    #[schemars(schema_with = "object")]
    properties: Map<String, Value>,
    /// deals/7(:label)
    #[serde(default)]
    links: Vec<String>,
}

/// An object of any shape, in fewer bytes than the derived schema.
fn object(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({ "type": "object" })
}

/// A record to save, checked.
struct Draft {
    /// The record's id or, with a match property, that property's value; empty on create.
    id: String,
    properties: Map<String, Value>,
    links: Vec<Link>,
}

/// A link to make.
struct Link {
    to: Target,
    label: String,
    spec: Value,
}

impl Tool for SaveRecords {
    const NAME: &'static str = "hubspot_save_records";
    const TITLE: &'static str = "Save records";
    const EFFECT: Effect = Effect::Write { idempotent: false };
    const SCOPES: Needs = WRITE_ANY;
    const AUDIT: AuditArgs = AuditArgs {
        plain: &["mode", "object_type", "match_property"],
        dropped: &[],
    };

    async fn call(self, cx: &Cx) -> Result<Output, ToolError> {
        let drafts = self.checked()?;
        let kind = Kind::find(cx, &self.object_type).await?;
        kind.may_write(cx)?;
        let drafts = linked(cx, &kind, drafts).await?;
        if cx.dry_run {
            return self.plan(cx, &kind, &drafts).await;
        }
        let body = json!({ "inputs": self.inputs(&drafts) });
        let path = [
            "crm",
            "v3",
            "objects",
            kind.segment(),
            "batch",
            self.mode.word(),
        ];
        let saved: Page<Record> = cx.api.post(&path).json(&body).send().await?;
        let mut output = Output::default();
        let mut done = Vec::new();
        for record in &saved.results {
            let at = self.position(record, &drafts);
            if let Some(at) = at {
                done.push((at, record.id.clone()));
            }
            let item = self.saved(cx, &kind, record, at.and_then(|at| drafts.get(at)));
            output.items.push(item);
        }
        for error in &saved.errors {
            output.warnings.push(complaint(error, &drafts));
        }
        if self.mode != Mode::Create {
            output
                .warnings
                .extend(link(cx, &kind, &drafts, &done).await);
        }
        if output.items.is_empty() && !output.warnings.is_empty() {
            return Err(ProviderError::Invalid {
                message: output.warnings.join("; "),
            }
            .into());
        }
        Ok(output)
    }
}

impl SaveRecords {
    /// The records with ids and values as HubSpot takes them: text.
    fn checked(&self) -> Result<Vec<(Draft, &[String])>, ToolError> {
        let invalid = |text: String| Err(ToolError::Invalid(text));
        if self.records.is_empty() || self.records.len() > records::BATCH {
            return invalid(format!("records must hold 1 to {} records", records::BATCH));
        }
        if self.mode == Mode::Upsert && self.match_property.is_empty() {
            return invalid("upsert needs match_property, such as email or domain".to_owned());
        }
        if self.mode == Mode::Create && !self.match_property.is_empty() {
            return invalid("match_property is for update and upsert".to_owned());
        }
        let mut drafts = Vec::new();
        for (at, input) in self.records.iter().enumerate() {
            let number = at + 1;
            let mut properties = Map::new();
            for (name, value) in &input.properties {
                let value = property_text(value).ok_or_else(|| {
                    ToolError::Invalid(format!(
                        "record {number}: {name} must be text, a number, true or false, null, or a list of texts"
                    ))
                })?;
                properties.insert(name.clone(), Value::String(value));
            }
            let mut id = input.id.trim().to_owned();
            if self.mode == Mode::Upsert && id.is_empty() {
                let value = properties
                    .get(self.match_property.as_str())
                    .and_then(Value::as_str);
                value.unwrap_or_default().clone_into(&mut id);
            }
            match self.mode {
                Mode::Create if !id.is_empty() => {
                    return invalid(format!("record {number}: a new record has no id yet"));
                }
                Mode::Create if properties.is_empty() => {
                    return invalid(format!("record {number} has no properties"));
                }
                Mode::Update if self.match_property.is_empty() && record_id(&id).is_none() => {
                    return invalid(format!("record {number} needs its id, a number"));
                }
                Mode::Update | Mode::Upsert if id.is_empty() => {
                    return invalid(format!(
                        "record {number} needs the value of {} as id",
                        self.match_property
                    ));
                }
                Mode::Create | Mode::Update | Mode::Upsert => {}
            }
            let draft = Draft {
                id,
                properties,
                links: Vec::new(),
            };
            drafts.push((draft, input.links.as_slice()));
        }
        Ok(drafts)
    }

    /// The body of the batch. Each record carries its position, by which HubSpot names it in its answer.
    fn inputs(&self, drafts: &[Draft]) -> Vec<Value> {
        let one = |(at, draft): (usize, &Draft)| {
            let mut input = json!({ "properties": draft.properties });
            input["objectWriteTraceId"] = json!(at.to_string());
            if self.mode == Mode::Create {
                if !draft.links.is_empty() {
                    let links = draft
                        .links
                        .iter()
                        .map(|link| json!({ "to": { "id": link.to.id }, "types": [link.spec] }));
                    input["associations"] = links.collect();
                }
            } else {
                input["id"] = json!(draft.id);
                if !self.match_property.is_empty() {
                    input["idProperty"] = json!(self.match_property);
                }
            }
            input
        };
        drafts.iter().enumerate().map(one).collect()
    }

    /// Which of the drafts `record` is.
    fn position(&self, record: &Record, drafts: &[Draft]) -> Option<usize> {
        if let Some(at) = record.trace.as_deref().and_then(|trace| trace.parse().ok()) {
            return Some(at);
        }
        let key = if self.match_property.is_empty() {
            record.id.as_str()
        } else {
            record.get(&self.match_property)
        };
        drafts
            .iter()
            .position(|draft| !key.is_empty() && draft.id.eq_ignore_ascii_case(key))
    }

    fn saved(&self, cx: &Cx, kind: &Kind, record: &Record, draft: Option<&Draft>) -> Item {
        let mut item = records::head(cx, kind, &record.id);
        let outcome = match (self.mode, record.new) {
            (Mode::Create, _) | (Mode::Upsert, Some(true)) => "created",
            (Mode::Update | Mode::Upsert, _) => "updated",
        };
        item.set("outcome", outcome);
        for name in draft.into_iter().flat_map(|draft| draft.properties.keys()) {
            item.set(name, records::shown(record.get(name), 200).0);
        }
        item
    }

    /// What saving would change: the present values beside the new ones.
    async fn plan(&self, cx: &Cx, kind: &Kind, drafts: &[Draft]) -> Result<Output, ToolError> {
        let mut names: Vec<String> = Vec::new();
        let written = drafts.iter().flat_map(|draft| draft.properties.keys());
        for name in written.chain((!self.match_property.is_empty()).then_some(&self.match_property))
        {
            if !names.contains(name) {
                names.push(name.clone());
            }
        }
        let ids: Vec<String> = drafts.iter().map(|draft| draft.id.clone()).collect();
        let before: OptionFuture<_> = (self.mode != Mode::Create)
            .then(|| records::read(cx, kind, &ids, &self.match_property, &names, &[]))
            .into();
        let (before, known) = join(before, records::properties(cx, kind)).await;
        let before = before.transpose()?.map(|found| found.results);
        let mut output = Output::default();
        for (at, draft) in drafts.iter().enumerate() {
            let present = before.iter().flatten().find(|record| {
                record.id == draft.id
                    || record
                        .get(&self.match_property)
                        .eq_ignore_ascii_case(&draft.id)
            });
            if present.is_none() && self.mode == Mode::Update {
                output
                    .warnings
                    .push(format!("record {} ({}) does not exist", at + 1, draft.id));
                continue;
            }
            output.items.push(planned(cx, kind, at, draft, present));
        }
        match known {
            Ok(known) => output.warnings.extend(doubts(&names, drafts, &known)),
            Err(error) => output
                .warnings
                .push(format!("the property names could not be checked: {error}")),
        }
        Ok(output)
    }
}

/// Names the record that an error is about.
fn complaint(error: &BatchError, drafts: &[Draft]) -> String {
    let trace = error.context("objectWriteTraceId");
    let at: Option<usize> = trace.first().and_then(|trace| trace.parse().ok());
    let sentence = error.sentence();
    match at.and_then(|at| Some((at + 1, drafts.get(at)?))) {
        Some((number, draft)) if draft.id.is_empty() => {
            format!("record {number} was not saved: {sentence}")
        }
        Some((number, draft)) => {
            format!("record {number} ({}) was not saved: {sentence}", draft.id)
        }
        None => format!("not saved: {sentence}"),
    }
}

/// One record of a plan.
fn planned(cx: &Cx, kind: &Kind, at: usize, draft: &Draft, present: Option<&Record>) -> Item {
    let mut item = match present {
        Some(record) => records::head(cx, kind, &record.id),
        None => Item::new(format!("new-{}", at + 1)),
    };
    let mut changes = Map::new();
    for (name, after) in &draft.properties {
        let before = present.map(|record| record.get(name));
        if before != after.as_str() {
            let before = before.filter(|text| !text.is_empty());
            changes.insert(name.clone(), json!({ "before": before, "after": after }));
        }
    }
    let links: Vec<String> = draft
        .links
        .iter()
        .map(|link| match link.label.as_str() {
            "" => link.to.text(),
            label => format!("{}:{label}", link.to.text()),
        })
        .collect();
    let would = match present {
        None => "create",
        Some(_) if changes.is_empty() && links.is_empty() => "leave as it is",
        Some(_) => "update",
    };
    item.set("would", would);
    item.set("changes", changes);
    item.set("links", links);
    item
}

/// What HubSpot would not accept, as far as the properties' definitions say.
fn doubts(names: &[String], drafts: &[Draft], known: &[Property]) -> Vec<String> {
    let mut said = Vec::new();
    for name in names {
        let Some(property) = known.iter().find(|property| property.name == *name) else {
            said.push(format!("there is no property `{name}`"));
            continue;
        };
        let values = drafts
            .iter()
            .filter_map(|draft| draft.properties.get(name)?.as_str());
        if property.is_read_only() && values.clone().next().is_some() {
            said.push(format!("{name} cannot be set"));
        }
        if property.value_type != "enumeration" || property.options.is_empty() {
            continue;
        }
        let choice = |value: &&str| property.options.iter().any(|own| own.value == **value);
        for value in values.flat_map(|value| value.split(';')) {
            if !value.is_empty() && !choice(&value) {
                said.push(format!("{name} has no choice `{value}`"));
            }
        }
    }
    said
}

/// A property's value as HubSpot takes it: text, empty to clear, choices between semicolons.
fn property_text(value: &Value) -> Option<String> {
    Some(match value {
        Value::Null => String::new(),
        Value::Bool(flag) => flag.to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.clone(),
        Value::Array(list) => {
            let texts: Option<Vec<&str>> = list.iter().map(Value::as_str).collect();
            texts?.join(";")
        }
        Value::Object(_) => return None,
    })
}

/// Reads the links and finds the kind of association of each.
async fn linked(
    cx: &Cx,
    kind: &Kind,
    drafts: Vec<(Draft, &[String])>,
) -> Result<Vec<Draft>, ToolError> {
    // A label may itself hold a colon; a type and an id hold none.
    let split = |text: &'_ String| {
        let (record, label) = text.split_once(':').unwrap_or((text, ""));
        (record.to_owned(), label.trim().to_owned())
    };
    let written: Vec<(String, String)> = drafts
        .iter()
        .flat_map(|(_, links)| links.iter().map(split))
        .collect();
    let named: Vec<&str> = written.iter().map(|(record, _)| record.as_str()).collect();
    let targets = Target::find_all(cx, &named, "links").await?;
    let mut kinds: Vec<Kind> = Vec::new();
    for target in &targets {
        if !kinds
            .iter()
            .any(|kind| kind.segment() == target.kind.segment())
        {
            kinds.push(target.kind.clone());
        }
    }
    let types = kinds
        .iter()
        .map(|to| records::association_types(cx, kind, to));
    let types: Vec<Vec<AssociationType>> = try_join_all(types).await?;
    let mut links = targets.into_iter().zip(written);
    let mut checked = Vec::new();
    for (mut draft, own) in drafts {
        for (to, (_, label)) in links.by_ref().take(own.len()) {
            let at = kinds
                .iter()
                .position(|kind| kind.segment() == to.kind.segment());
            let types = at
                .and_then(|at| types.get(at))
                .map_or(&[][..], Vec::as_slice);
            let spec = records::association(types, &label, kind, &to.kind)?;
            draft.links.push(Link {
                spec: records::association_spec(spec),
                label,
                to,
            });
        }
        checked.push(draft);
    }
    Ok(checked)
}

/// Makes the links of records that already had an id; what fails becomes a warning, for the records are saved.
async fn link(cx: &Cx, kind: &Kind, drafts: &[Draft], done: &[(usize, String)]) -> Vec<String> {
    let mut groups: Vec<(&Kind, Vec<Value>)> = Vec::new();
    let mut warnings = Vec::new();
    for (at, draft) in drafts
        .iter()
        .enumerate()
        .filter(|(_, draft)| !draft.links.is_empty())
    {
        let Some((_, id)) = done.iter().find(|(own, _)| *own == at) else {
            warnings.push(format!("record {} was not linked", at + 1));
            continue;
        };
        for link in &draft.links {
            let input = json!({
                "types": [link.spec], "from": { "id": id }, "to": { "id": link.to.id },
            });
            let same = |(to, _): &&mut (&Kind, _)| to.segment() == link.to.kind.segment();
            match groups.iter_mut().find(same) {
                Some((_, inputs)) => inputs.push(input),
                None => groups.push((&link.to.kind, vec![input])),
            }
        }
    }
    for (to, inputs) in groups {
        let path = [
            "crm",
            "v4",
            "associations",
            kind.segment(),
            to.segment(),
            "batch",
            "create",
        ];
        let body = json!({ "inputs": inputs });
        let answer: Result<Page<Value>, ProviderError> =
            cx.api.post(&path).json(&body).send().await;
        match answer {
            Ok(answer) => warnings.extend(records::complaints(&answer.errors)),
            Err(error) => warnings.push(format!(
                "saved, but not linked to {}: {error}; hubspot_link_records can do it",
                to.label()
            )),
        }
    }
    warnings
}
