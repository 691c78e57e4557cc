//! What a portal is and what its records look like.

use futures_util::future::{OptionFuture, join_all};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::kit::args::{Cursor, Limit};
use crate::kit::error::{ProviderError, ToolError};
use crate::kit::output::{Item, Output};
use crate::kit::tool::{AuditArgs, Cx, Effect, Granted, Needs, Tool};
use crate::kit::uri::encode;

use super::kinds::{self, Kind, READ_ANY, SCHEMAS_READ, STANDARD};
use super::model::{AssociationType, ObjectSchema, Pipeline, Portal, Property};
use super::{names, records};

/// Tells which portal this is, its currency and time zone, what was granted and how many requests are left.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct GetAccount {}

impl Tool for GetAccount {
    const NAME: &'static str = "hubspot_get_account";
    const TITLE: &'static str = "Get account";
    const EFFECT: Effect = Effect::Read;
    const SCOPES: Needs = Needs::Nothing;

    async fn call(self, cx: &Cx) -> Result<Output, ToolError> {
        let answer = cx
            .api
            .get(&["account-info", "v3", "details"])
            .answer::<Portal>()
            .await?;
        let number = |name: &str| {
            answer
                .header(name)
                .and_then(|text| text.trim().parse::<u64>().ok())
        };
        // Absent for some kinds of app: https://developers.hubspot.com/docs/developer-tooling/platform/usage-guidelines
        let mut limits = serde_json::Map::new();
        for (name, header) in [
            ("max", "x-hubspot-ratelimit-max"),
            ("remaining", "x-hubspot-ratelimit-remaining"),
            ("interval_ms", "x-hubspot-ratelimit-interval-milliseconds"),
            ("daily_max", "x-hubspot-ratelimit-daily"),
            ("daily_remaining", "x-hubspot-ratelimit-daily-remaining"),
        ] {
            if let Some(number) = number(header) {
                limits.insert(name.to_owned(), json!(number));
            }
        }
        let portal = &answer.body;
        let scopes = match &cx.granted {
            Granted::Scopes(scopes) => scopes.clone(),
            Granted::Unknown => Vec::new(),
        };
        let mut item = Item::new(portal.id)
            .field("label", cx.account.label.as_str())
            .field("account_type", portal.account_type.as_str())
            .field("time_zone", portal.time_zone.as_str())
            .field("currency", portal.company_currency.as_str())
            .field("other_currencies", portal.additional_currencies.clone())
            .field("hosting", portal.data_hosting_location.as_str())
            .field("granted_scopes", scopes)
            .field("limits", limits);
        if !portal.ui_domain.is_empty() {
            item = item.url(format!(
                "https://{}/home-beta?portalId={}",
                portal.ui_domain, portal.id
            ));
        }
        Ok(Output::one(item))
    }
}

/// Lists record types or, of one type, its properties with choices, pipelines with stages, and association labels.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct DescribeObject {
    /// Absent: list the types
    #[serde(default)]
    object_type: String,
    /// Words in a property's name, label or description
    #[serde(default)]
    q: String,
    /// Default: properties, pipelines
    #[serde(default)]
    include: Vec<Part>,
    #[serde(default)]
    limit: Limit<50, 200>,
    #[serde(default)]
    cursor: Option<Cursor>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
enum Part {
    Properties,
    Pipelines,
    Associations,
}

/// Choices of a property that are shown.
const CHOICES: usize = 30;

impl Tool for DescribeObject {
    const NAME: &'static str = "hubspot_describe_object";
    const TITLE: &'static str = "Describe object";
    const EFFECT: Effect = Effect::Read;
    const SCOPES: Needs = READ_ANY;
    const AUDIT: AuditArgs = AuditArgs {
        plain: &["object_type", "include"],
        dropped: &[],
    };

    async fn call(self, cx: &Cx) -> Result<Output, ToolError> {
        if self.object_type.is_empty() {
            return types(cx, &self.q).await;
        }
        let kind = Kind::find(cx, &self.object_type).await?;
        kind.may_read(cx)?;
        let wants = |part: Part| match self.include.as_slice() {
            [] => part != Part::Associations,
            include => include.contains(&part),
        };
        let from = offset(self.cursor.as_ref())?;
        let first = from == 0;
        let staged = kind
            .as_standard()
            .is_none_or(|kind| kind.stage_property().is_some());
        let properties: OptionFuture<_> = wants(Part::Properties)
            .then(|| records::properties(cx, &kind))
            .into();
        let pipelines: OptionFuture<_> = (first && staged && wants(Part::Pipelines))
            .then(|| names::pipelines(cx, kind.segment()))
            .into();
        let labels: OptionFuture<_> = (first && wants(Part::Associations))
            .then(|| associations(cx, &kind))
            .into();
        let (properties, pipelines, labels) =
            futures_util::future::join3(properties, pipelines, labels).await;
        let mut output = Output::default();
        for (types, warning) in labels.into_iter().flatten() {
            output.items.extend(types);
            output.warnings.extend(warning);
        }
        match pipelines {
            Some(Ok(found)) => output
                .items
                .extend(found.iter().map(|own| pipeline_item(cx, own))),
            // A custom object without pipelines answers an error here, which nobody asked for.
            Some(Err(_)) if self.include.is_empty() && kind.as_standard().is_none() => {}
            Some(Err(error)) if properties.is_some() => output
                .warnings
                .push(format!("pipelines could not be read: {error}")),
            Some(Err(error)) => return Err(error.into()),
            None => {}
        }
        if let Some(found) = properties {
            let found = found?;
            let fitting: Vec<&Property> = found.iter().filter(|own| fits(own, &self.q)).collect();
            let limit = self.limit.get() as usize;
            let page = fitting.iter().skip(from).take(limit);
            output.items.extend(page.map(|own| property_item(own)));
            if from + limit < fitting.len() {
                output.next_cursor = Some(Cursor((from + limit).to_string()));
            }
            output.total = u64::try_from(fitting.len()).ok();
        }
        Ok(output)
    }
}

/// Where a page of something that is read whole starts.
pub(super) fn offset(cursor: Option<&Cursor>) -> Result<usize, ToolError> {
    match cursor {
        None => Ok(0),
        Some(cursor) => cursor.read(),
    }
}

/// The types there are. Custom ones are left out, with a warning, when the connection may not see them.
async fn types(cx: &Cx, q: &str) -> Result<Output, ToolError> {
    let q = q.to_lowercase();
    let mut output = Output::default();
    for kind in STANDARD.iter().filter(|kind| kind.name.contains(&q)) {
        output.items.push(
            Item::new(kind.name)
                .uri(cx.uri(&format!("schema/{}", kind.name)))
                .field("type_id", kind.type_id)
                .field("named_by", kind.title.to_vec())
                .field("granted", cx.granted.has(kind.read)),
        );
    }
    if !cx.granted.has(SCHEMAS_READ) {
        return Ok(output.warn(format!(
            "custom objects are not listed: the connection lacks {SCHEMAS_READ}"
        )));
    }
    match kinds::schemas(cx).await {
        Ok(schemas) => {
            let fitting = schemas
                .iter()
                .filter(|own| own.name.to_lowercase().contains(&q));
            output.items.extend(fitting.map(|own| type_item(cx, own)));
        }
        Err(error) => output
            .warnings
            .push(format!("custom objects are not listed: {error}")),
    }
    output.total = u64::try_from(output.items.len()).ok();
    Ok(output)
}

fn type_item(cx: &Cx, schema: &ObjectSchema) -> Item {
    let segment = schema.object_type_id.as_deref().unwrap_or(&schema.name);
    let mut titles: Vec<String> = schema.primary_display_property.iter().cloned().collect();
    titles.extend(schema.secondary_display_properties.iter().cloned());
    Item::new(&schema.name)
        .uri(cx.uri(&format!("schema/{}", encode(segment))))
        .field("custom", true)
        .field("type_id", schema.object_type_id.clone())
        .field("label", schema.labels.plural.clone())
        .field("description", schema.description.clone())
        .field("required", schema.required_properties.clone())
        .field("named_by", titles)
}

/// Whether a property has every word of `q`; hidden ones are shown only to who names them.
fn fits(property: &Property, q: &str) -> bool {
    if q.is_empty() {
        return !property.hidden;
    }
    let text = format!(
        "{} {} {}",
        property.name, property.label, property.description
    );
    let text = text.to_lowercase();
    q.to_lowercase()
        .split_whitespace()
        .all(|word| text.contains(word))
}

/// A property in the answer.
pub(super) fn property_item(property: &Property) -> Item {
    let shown = property.options.iter().filter(|own| !own.hidden);
    let choices: Vec<Value> = shown
        .clone()
        .take(CHOICES)
        .map(|own| {
            if own.label == own.value {
                json!(own.value)
            } else {
                json!(format!("{} = {}", own.value, own.label))
            }
        })
        .collect();
    let count = shown.count();
    let mut item = Item::new(&property.name)
        .field("kind", "property")
        .field("label", property.label.as_str())
        .field("type", property.value_type.as_str())
        .field("field_type", property.field_type.as_str());
    if property.description != property.label {
        let short = crate::kit::text::clip(&property.description, 160);
        item.set("description", short);
    }
    if property.has_unique_value {
        item.set("unique", true);
    }
    if property.is_read_only() {
        item.set("read_only", true);
    }
    item.set("choices", choices);
    if count > CHOICES {
        item.set("choices_count", count);
    }
    item
}

/// A pipeline in the answer.
pub(super) fn pipeline_item(cx: &Cx, pipeline: &Pipeline) -> Item {
    let stages: Vec<Value> = pipeline
        .stages
        .iter()
        .map(|stage| {
            let mut row = json!({ "id": stage.id, "label": stage.label });
            if let Some(probability) = stage.probability() {
                row["probability"] = json!(probability);
            }
            if stage.is_closed() {
                row["closed"] = json!(true);
            }
            row
        })
        .collect();
    Item::new(&pipeline.id)
        .uri(cx.uri(&format!("pipelines/{}", encode(&pipeline.id))))
        .field("kind", "pipeline")
        .field("label", pipeline.label.as_str())
        .field("stages", stages)
}

/// The association types between `kind` and the four main types; a pair that cannot be read gives a warning.
async fn associations(cx: &Cx, kind: &Kind) -> Vec<(Vec<Item>, Option<String>)> {
    let main: Vec<Kind> = STANDARD
        .iter()
        .filter(|own| own.has_block())
        .map(Kind::Standard)
        .collect();
    let all = main
        .iter()
        .map(|to| records::association_types(cx, kind, to));
    let found: Vec<Result<Vec<AssociationType>, ProviderError>> = join_all(all).await;
    main.iter()
        .zip(found)
        .map(|(to, found)| match found {
            Ok(types) => {
                let items = types.iter().map(|own| {
                    Item::new(own.type_id)
                        .field("kind", "association")
                        .field("to", to.segment())
                        .field("label", own.label.clone())
                        .field("category", own.category.as_str())
                });
                (items.collect(), None)
            }
            Err(error) => {
                let text = format!("labels to {} could not be read: {error}", to.label());
                (Vec::new(), Some(text))
            }
        })
        .collect()
}
