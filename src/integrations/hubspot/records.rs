//! What the tools and blocks share about records: reading them, naming what they are linked to, and putting them into the
//! answer.

use std::collections::BTreeMap;

use futures_util::future::try_join_all;
use serde_json::{Value, json};

use crate::kit::documents::markdown_of_html;
use crate::kit::error::{ProviderError, ToolError};
use crate::kit::output::Item;
use crate::kit::text;
use crate::kit::tool::Cx;
use crate::kit::uri::encode;

use super::filters::Filter;
use super::kinds::{Kind, Target, record_id};
use super::model::{Associated, AssociatedTo, AssociationType, BatchError, Page, Property, Record};
use super::names::Names;

/// Records in one batch; HubSpot allows no more.
pub(super) const BATCH: usize = 100;
/// Characters of one value in an answer.
const VALUE_CHARS: usize = 4_000;

/// The page of a record in HubSpot's web app; nothing when the type's id is not known.
pub(super) fn url(cx: &Cx, type_id: Option<&str>, id: &str) -> Option<String> {
    let hub = cx.account.detail("hub_id");
    let domain = cx.account.detail("ui_domain");
    let type_id = type_id.filter(|_| !hub.is_empty() && !domain.is_empty())?;
    Some(format!(
        "https://{domain}/contacts/{hub}/record/{type_id}/{id}"
    ))
}

/// The context block of a record.
pub(super) fn uri(cx: &Cx, kind: &Kind, id: &str) -> String {
    match kind.as_standard() {
        Some(own) if own.has_block() => cx.uri(&format!("{}/{}", own.name, encode(id))),
        _ => cx.uri(&format!(
            "objects/{}/{}",
            encode(kind.segment()),
            encode(id)
        )),
    }
}

/// A record without fields: how to name and open it.
pub(super) fn head(cx: &Cx, kind: &Kind, id: &str) -> Item {
    let mut item = Item::new(id).uri(uri(cx, kind, id));
    item.url = url(cx, kind.type_id(), id);
    item
}

/// A record in the answer: the properties `fields` in that order, or all of them when `fields` says `*`.
pub(super) fn item(
    cx: &Cx,
    kind: &Kind,
    record: &Record,
    fields: &Fields,
    names: &Names,
) -> (Item, bool) {
    let mut item = head(cx, kind, &record.id);
    let mut cut = false;
    for name in &fields.names {
        let value = record.get(name);
        if name == "hs_object_id" || value.is_empty() {
            continue;
        }
        let (value, short) = shown(value, VALUE_CHARS);
        cut |= short;
        item.set(name, value);
    }
    names.add(record, &mut item);
    for (name, past) in &record.history {
        let rows = serde_json::to_value(past).unwrap_or_default();
        item.set(&format!("{name}_history"), rows);
    }
    (item, cut)
}

/// A value as people read it, and whether it was cut.
pub(super) fn shown(value: &str, max_chars: usize) -> (String, bool) {
    let value = if value.contains("</") || value.contains("<br") || value.contains("<p>") {
        markdown_of_html(value)
    } else {
        value.to_owned()
    };
    let value = text::visible(value);
    let short = text::clip(&value, max_chars);
    let cut = short.len() != value.len();
    (short, cut)
}

/// Which properties to read and show.
#[derive(Debug)]
pub(super) struct Fields {
    /// In the order shown.
    pub(super) names: Vec<String>,
}

impl Fields {
    /// The ones asked for; a curated set when there are none, and all the type has for `*`, which costs a request.
    pub(super) async fn of(cx: &Cx, kind: &Kind, asked: &[String]) -> Result<Self, ToolError> {
        if asked.iter().any(|name| name == "*") {
            let all = properties(cx, kind).await?;
            let names = all.into_iter().map(|property| property.name).collect();
            return Ok(Self { names });
        }
        let names = if asked.is_empty() {
            kind.fields()
        } else {
            asked.to_vec()
        };
        Ok(Self { names })
    }
}

/// The properties of a type.
pub(super) async fn properties(cx: &Cx, kind: &Kind) -> Result<Vec<Property>, ProviderError> {
    let answer: Page<Property> = cx
        .api
        .get(&["crm", "v3", "properties", kind.segment()])
        .send()
        .await?;
    Ok(answer.results)
}

/// The ids, when all are ids of records.
pub(super) fn ids(given: &[String], argument: &str) -> Result<Vec<String>, ToolError> {
    if given.is_empty() || given.len() > BATCH {
        return Err(ToolError::Invalid(format!(
            "{argument} must hold 1 to {BATCH} values, not {}",
            given.len()
        )));
    }
    let mut ids = Vec::new();
    for id in given {
        let id = record_id(id).ok_or_else(|| {
            ToolError::Invalid(format!(
                "{argument}: `{}` is not an id; HubSpot's ids are numbers",
                text::clip(id, 60)
            ))
        })?;
        if !ids.contains(&id) {
            ids.push(id);
        }
    }
    Ok(ids)
}

/// Reads records by id, or by the unique property `id_property` when it is named.
pub(super) async fn read(
    cx: &Cx,
    kind: &Kind,
    ids: &[String],
    id_property: &str,
    properties: &[String],
    history: &[String],
) -> Result<Page<Record>, ProviderError> {
    let inputs: Vec<Value> = ids.iter().map(|id| json!({ "id": id })).collect();
    let mut body = json!({
        "inputs": inputs, "properties": properties, "propertiesWithHistory": history,
    });
    if !id_property.is_empty() {
        body["idProperty"] = Value::String(id_property.to_owned());
    }
    cx.api
        .post(&["crm", "v3", "objects", kind.segment(), "batch", "read"])
        .json(&body)
        .reads()
        .send()
        .await
}

/// What the parts of a batch that failed say, naming the records.
pub(super) fn complaints(errors: &[BatchError]) -> Vec<String> {
    let mut said = Vec::new();
    for error in errors {
        let ids = error.context("ids").join(", ");
        let sentence = error.sentence();
        if ids.is_empty() || sentence.contains(&ids) {
            said.push(sentence);
        } else {
            said.push(format!("{ids}: {sentence}"));
        }
    }
    said
}

/// What records of `from` are linked to among the records of `to`.
pub(super) async fn linked(
    cx: &Cx,
    from: &Kind,
    ids: &[String],
    to: &Kind,
) -> Result<BTreeMap<String, Vec<AssociatedTo>>, ProviderError> {
    let inputs: Vec<Value> = ids.iter().map(|id| json!({ "id": id })).collect();
    let path = [
        "crm",
        "v4",
        "associations",
        from.segment(),
        to.segment(),
        "batch",
        "read",
    ];
    let answer: Page<Associated> = cx
        .api
        .post(&path)
        .json(&json!({ "inputs": inputs }))
        .reads()
        .send()
        .await?;
    let real = |error: &&BatchError| !error.is_no_associations();
    if answer.results.is_empty()
        && let Some(error) = answer.errors.iter().find(real)
    {
        return Err(ProviderError::Invalid {
            message: error.sentence(),
        });
    }
    let mut found: BTreeMap<String, Vec<AssociatedTo>> = BTreeMap::new();
    for row in answer.results {
        found.entry(row.from.id).or_default().extend(row.to);
    }
    Ok(found)
}

/// A type of linked record to add to each record, and how many of it.
#[derive(Debug)]
pub(super) struct Expand {
    kind: Kind,
    most: usize,
}

/// Types that one call can add.
const EXPANDS: usize = 4;

impl Expand {
    /// Reads `contacts` or `contacts:3`.
    pub(super) async fn find(cx: &Cx, given: &[String]) -> Result<Vec<Self>, ToolError> {
        if given.len() > EXPANDS {
            return Err(ToolError::Invalid(format!(
                "expand takes at most {EXPANDS} types"
            )));
        }
        let mut found = Vec::new();
        for text in given {
            let (name, most) = match text.split_once(':') {
                None => (text.as_str(), 5),
                Some((name, most)) => {
                    let most = most.parse().ok().filter(|most| (1..=50).contains(most));
                    let most = most.ok_or_else(|| {
                        ToolError::Invalid(format!(
                            "expand: `{text}` must be a type, or a type and 1 to 50: contacts:3"
                        ))
                    })?;
                    (name, most)
                }
            };
            let kind = Kind::find(cx, name).await?;
            kind.may_read(cx)?;
            found.push(Self { kind, most });
        }
        Ok(found)
    }

    /// Adds what each item is linked to: id, name and labels. A type that cannot be read becomes a warning.
    pub(super) async fn add(
        cx: &Cx,
        from: &Kind,
        wanted: &[Self],
        items: &mut [Item],
    ) -> Vec<String> {
        let ids: Vec<String> = items.iter().map(|item| item.id.clone()).collect();
        if ids.is_empty() {
            return Vec::new();
        }
        let all = wanted.iter().map(|expand| expand.read(cx, from, &ids));
        let mut warnings = Vec::new();
        for (expand, read) in wanted.iter().zip(futures_util::future::join_all(all).await) {
            let label = expand.kind.label();
            match read {
                Err(error) => warnings.push(format!("linked {label} are missing: {error}")),
                Ok(mut rows) => {
                    for item in items.iter_mut() {
                        if let Some((count, list)) = rows.remove(&item.id) {
                            if count > list.len() {
                                item.set(&format!("{label}_count"), count);
                            }
                            item.set(label, list);
                        }
                    }
                }
            }
        }
        warnings
    }

    async fn read(
        &self,
        cx: &Cx,
        from: &Kind,
        ids: &[String],
    ) -> Result<BTreeMap<String, (usize, Vec<Value>)>, ProviderError> {
        let links = linked(cx, from, ids, &self.kind).await?;
        let mut wanted: Vec<String> = Vec::new();
        for link in links
            .values()
            .flat_map(|links| links.iter().take(self.most))
        {
            if !wanted.contains(&link.id) {
                wanted.push(link.id.clone());
            }
        }
        let titles = titles(cx, &self.kind, &wanted).await?;
        let mut rows = BTreeMap::new();
        for (id, links) in links {
            let list = links.iter().take(self.most).map(|link| {
                let mut row = json!({ "id": link.id });
                if let Some(title) = titles.get(&link.id) {
                    row["name"] = Value::String(title.clone());
                }
                let labels = link.labels();
                if !labels.is_empty() {
                    row["labels"] = json!(labels);
                }
                row
            });
            let list: Vec<Value> = list.collect();
            rows.insert(id, (links.len(), list));
        }
        Ok(rows)
    }
}

/// The names of records.
pub(super) async fn titles(
    cx: &Cx,
    kind: &Kind,
    ids: &[String],
) -> Result<BTreeMap<String, String>, ProviderError> {
    let properties = kind.title();
    let batches = ids
        .chunks(BATCH)
        .map(|ids| read(cx, kind, ids, "", &properties, &[]));
    let mut titles = BTreeMap::new();
    for batch in try_join_all(batches).await? {
        for record in batch.results {
            titles.insert(record.id.clone(), record.title(&properties));
        }
    }
    Ok(titles)
}

/// The kinds of association between two types.
pub(super) async fn association_types(
    cx: &Cx,
    from: &Kind,
    to: &Kind,
) -> Result<Vec<AssociationType>, ProviderError> {
    let path = [
        "crm",
        "v4",
        "associations",
        from.segment(),
        to.segment(),
        "labels",
    ];
    let answer: Page<AssociationType> = cx.api.get(&path).send().await?;
    Ok(answer.results)
}

/// The one that `label` names; without a label, HubSpot's own plain one.
pub(super) fn association<'a>(
    types: &'a [AssociationType],
    label: &str,
    from: &Kind,
    to: &Kind,
) -> Result<&'a AssociationType, ToolError> {
    let found = if label.is_empty() {
        types
            .iter()
            .filter(|kind| kind.label.as_deref().unwrap_or_default().is_empty())
            .min_by_key(|kind| kind.category != "HUBSPOT_DEFINED")
    } else {
        types.iter().find(|kind| {
            kind.label
                .as_deref()
                .is_some_and(|own| own.eq_ignore_ascii_case(label))
        })
    };
    found.ok_or_else(|| {
        let labels: Vec<&str> = types
            .iter()
            .filter_map(|kind| kind.label.as_deref())
            .collect();
        let labels = if labels.is_empty() {
            "none".to_owned()
        } else {
            labels.join(", ")
        };
        let label = if label.is_empty() {
            "without a label"
        } else {
            label
        };
        ToolError::Invalid(format!(
            "{} and {} cannot be linked as `{label}`; labels between them: {labels}",
            from.label(),
            to.label()
        ))
    })
}

/// A kind of association as requests name it.
pub(super) fn association_spec(kind: &AssociationType) -> Value {
    json!({ "associationCategory": kind.category, "associationTypeId": kind.type_id })
}

/// How a search finds the records that are linked to one.
#[derive(Debug)]
pub(super) enum Linked {
    /// By this condition.
    By(Filter),
    /// There are none.
    Nothing,
}

/// How a search of `kind` finds what is linked to `target`. Search knows the links of the four main types; for others
/// they are read first, the newest hundred of them.
pub(super) async fn linked_filter(
    cx: &Cx,
    target: &Target,
    kind: &Kind,
    warnings: &mut Vec<String>,
) -> Result<Linked, ToolError> {
    if let Kind::Standard(own) = target.kind
        && own.has_block()
    {
        let property = format!("associations.{}", own.singular);
        return Ok(Linked::By(Filter::one(&property, "EQ", &target.id)));
    }
    let path = [
        "crm",
        "v4",
        "objects",
        target.kind.segment(),
        &target.id,
        "associations",
        kind.segment(),
    ];
    let answer: Page<AssociatedTo> = cx.api.get(&path).query("limit", 500).send().await?;
    let more = answer.after().is_some() || answer.results.len() > BATCH;
    let mut ids: Vec<String> = answer.results.into_iter().map(|link| link.id).collect();
    if ids.is_empty() {
        return Ok(Linked::Nothing);
    }
    // Ids grow with time, so the longest and then the largest text is the newest record.
    ids.sort_by(|a, b| (b.len(), b).cmp(&(a.len(), a)));
    ids.truncate(BATCH);
    if more {
        warnings.push(format!(
            "{} has more than {BATCH} linked {}; only the newest {BATCH} were searched",
            target.text(),
            kind.label()
        ));
    }
    Ok(Linked::By(Filter::any("hs_object_id", ids)))
}
