//! Context blocks: records, schemas, pipelines and lists that a conversation pulls in.

use std::fmt::Write as _;

use futures_util::future::{join, try_join};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::kit::block::{Content, ContextBlock};
use crate::kit::error::ToolError;
use crate::kit::text;
use crate::kit::tool::{Cx, Needs};

use super::describe;
use super::filters::{Filter, Group};
use super::kinds::{self, Kind, READ_ANY, SCHEMAS_READ, STANDARD, Target, record_id};
use super::lists::{self, LISTS_READ};
use super::model::{Pipeline, Record};
use super::names;
use super::pages::{absent, page};
use super::pipeline::{self, GroupBy, Staged, cents};
use super::records;
use super::search::Search;

/// Values of a completion.
const HITS: u32 = 20;
/// Members of a list in a block.
const MEMBERS: u32 = 250;

/// A contact.
#[derive(Debug, Deserialize)]
pub(super) struct Contact {
    id: String,
}

/// A company.
#[derive(Debug, Deserialize)]
pub(super) struct Company {
    id: String,
}

/// A deal.
#[derive(Debug, Deserialize)]
pub(super) struct Deal {
    id: String,
}

/// A ticket.
#[derive(Debug, Deserialize)]
pub(super) struct Ticket {
    id: String,
}

impl ContextBlock for Contact {
    const URI: &'static str = "hubspot://{account}/contacts/{id}";
    const NAME: &'static str = "hubspot_contact";
    const TITLE: &'static str = "HubSpot contact";
    const DESCRIPTION: &'static str =
        "A contact with its properties, owner, linked records and latest activities.";
    const MIME: &'static str = "text/markdown";
    const SCOPES: Needs = Needs::All(&["crm.objects.contacts.read"]);

    async fn read(self, cx: &Cx) -> Result<Content, ToolError> {
        page(cx, "contacts", &self.id).await
    }

    async fn complete(
        cx: &Cx,
        _field: &str,
        prefix: &str,
        _chosen: &Map<String, Value>,
    ) -> Result<Vec<String>, ToolError> {
        hits(cx, "contacts", prefix).await
    }
}

impl ContextBlock for Company {
    const URI: &'static str = "hubspot://{account}/companies/{id}";
    const NAME: &'static str = "hubspot_company";
    const TITLE: &'static str = "HubSpot company";
    const DESCRIPTION: &'static str =
        "A company with its properties, owner, linked records and latest activities.";
    const MIME: &'static str = "text/markdown";
    const SCOPES: Needs = Needs::All(&["crm.objects.companies.read"]);

    async fn read(self, cx: &Cx) -> Result<Content, ToolError> {
        page(cx, "companies", &self.id).await
    }

    async fn complete(
        cx: &Cx,
        _field: &str,
        prefix: &str,
        _chosen: &Map<String, Value>,
    ) -> Result<Vec<String>, ToolError> {
        hits(cx, "companies", prefix).await
    }
}

impl ContextBlock for Deal {
    const URI: &'static str = "hubspot://{account}/deals/{id}";
    const NAME: &'static str = "hubspot_deal";
    const TITLE: &'static str = "HubSpot deal";
    const DESCRIPTION: &'static str =
        "A deal with its amount, stage, owner, linked records and latest activities.";
    const MIME: &'static str = "text/markdown";
    const SCOPES: Needs = Needs::All(&["crm.objects.deals.read"]);

    async fn read(self, cx: &Cx) -> Result<Content, ToolError> {
        page(cx, "deals", &self.id).await
    }

    async fn complete(
        cx: &Cx,
        _field: &str,
        prefix: &str,
        _chosen: &Map<String, Value>,
    ) -> Result<Vec<String>, ToolError> {
        hits(cx, "deals", prefix).await
    }
}

impl ContextBlock for Ticket {
    const URI: &'static str = "hubspot://{account}/tickets/{id}";
    const NAME: &'static str = "hubspot_ticket";
    const TITLE: &'static str = "HubSpot ticket";
    const DESCRIPTION: &'static str =
        "A ticket with its text, status, owner, linked records and latest activities.";
    const MIME: &'static str = "text/markdown";
    const SCOPES: Needs = Needs::All(&["tickets"]);

    async fn read(self, cx: &Cx) -> Result<Content, ToolError> {
        page(cx, "tickets", &self.id).await
    }

    async fn complete(
        cx: &Cx,
        _field: &str,
        prefix: &str,
        _chosen: &Map<String, Value>,
    ) -> Result<Vec<String>, ToolError> {
        hits(cx, "tickets", prefix).await
    }
}

/// Any record, whole.
#[derive(Debug, Deserialize)]
pub(super) struct Object {
    r#type: String,
    id: String,
}

impl ContextBlock for Object {
    const URI: &'static str = "hubspot://{account}/objects/{type}/{id}";
    const NAME: &'static str = "hubspot_object";
    const TITLE: &'static str = "HubSpot record";
    const DESCRIPTION: &'static str =
        "Any record, custom objects included, with all its properties.";
    const MIME: &'static str = "application/json";
    const SCOPES: Needs = READ_ANY;

    async fn read(self, cx: &Cx) -> Result<Content, ToolError> {
        let name = format!("{}/{}", self.r#type, self.id);
        let target = Target::find(cx, &name, "the address").await?;
        target.kind.may_read(cx)?;
        let properties = records::properties(cx, &target.kind).await?;
        let names: Vec<String> = properties.into_iter().map(|own| own.name).collect();
        let ids = std::slice::from_ref(&target.id);
        let found = records::read(cx, &target.kind, ids, "", &names, &[]).await?;
        let Some(record) = found.results.into_iter().next() else {
            return Err(absent(&target));
        };
        let mut values = Map::new();
        let mut truncated = false;
        for name in record.properties.keys() {
            let (value, cut) = records::shown(record.get(name), cx.max_chars / 4);
            truncated |= cut;
            if !value.is_empty() {
                values.insert(name.clone(), json!(value));
            }
        }
        let url = records::url(cx, target.kind.type_id(), &record.id);
        let body = json!({
            "type": target.kind.label(), "id": record.id, "url": url, "properties": values,
        });
        Ok(Content {
            version: Some(record.updated_at).filter(|version| !version.is_empty()),
            url,
            truncated,
            ..Content::text(pretty(&body))
        })
    }

    async fn complete(
        cx: &Cx,
        field: &str,
        prefix: &str,
        chosen: &Map<String, Value>,
    ) -> Result<Vec<String>, ToolError> {
        match (field, chosen.get("type").and_then(Value::as_str)) {
            ("type", _) => types(cx, prefix).await,
            ("id", Some(name)) => hits(cx, name, prefix).await,
            _ => Ok(Vec::new()),
        }
    }
}

/// What records of a type look like.
#[derive(Debug, Deserialize)]
pub(super) struct Schema {
    r#type: String,
}

impl ContextBlock for Schema {
    const URI: &'static str = "hubspot://{account}/schema/{type}";
    const NAME: &'static str = "hubspot_schema";
    const TITLE: &'static str = "HubSpot schema";
    const DESCRIPTION: &'static str =
        "The properties of a record type with their choices, and its pipelines with stages.";
    const MIME: &'static str = "application/json";
    const SCOPES: Needs = READ_ANY;

    async fn read(self, cx: &Cx) -> Result<Content, ToolError> {
        let kind = Kind::find(cx, &self.r#type).await?;
        kind.may_read(cx)?;
        let staged = kind
            .as_standard()
            .is_some_and(|own| own.stage_property().is_some());
        let pipelines = async {
            if staged {
                names::pipelines(cx, kind.segment()).await
            } else {
                Ok(Vec::new())
            }
        };
        let (properties, pipelines) = try_join(records::properties(cx, &kind), pipelines).await?;
        let mut room = cx.max_chars;
        let mut truncated = false;
        let mut shown = Vec::new();
        for property in properties.iter().filter(|own| !own.hidden) {
            let item = json!(describe::property_item(property));
            let size = pretty(&item).len();
            truncated |= size > room;
            if truncated {
                break;
            }
            room -= size;
            shown.push(item);
        }
        let pipelines: Vec<_> = pipelines
            .iter()
            .map(|own| describe::pipeline_item(cx, own))
            .collect();
        let body = json!({
            "type": kind.label(), "properties": shown, "pipelines": pipelines,
        });
        Ok(Content {
            truncated,
            ..Content::text(pretty(&body))
        })
    }

    async fn complete(
        cx: &Cx,
        _field: &str,
        prefix: &str,
        _chosen: &Map<String, Value>,
    ) -> Result<Vec<String>, ToolError> {
        types(cx, prefix).await
    }
}

/// A pipeline in numbers.
#[derive(Debug, Deserialize)]
pub(super) struct PipelineTable {
    pipeline: String,
}

impl ContextBlock for PipelineTable {
    const URI: &'static str = "hubspot://{account}/pipelines/{pipeline}";
    const NAME: &'static str = "hubspot_pipeline";
    const TITLE: &'static str = "HubSpot pipeline";
    const DESCRIPTION: &'static str =
        "The stages of a deal or ticket pipeline with counts and amounts.";
    const MIME: &'static str = "text/markdown";
    const SCOPES: Needs = Needs::Any(&["crm.objects.deals.read", "tickets"]);

    async fn read(self, cx: &Cx) -> Result<Content, ToolError> {
        let all = all_pipelines(cx).await?;
        let named = |by: fn(&Pipeline) -> &str| {
            all.iter()
                .find(|(_, own)| by(own).eq_ignore_ascii_case(&self.pipeline))
        };
        let found = named(|own| &own.id).or_else(|| named(|own| &own.label));
        let Some((staged, pipeline)) = found else {
            return Err(ToolError::NotFound(format!(
                "there is no pipeline `{}` of deals or tickets",
                text::clip(&self.pipeline, 60)
            )));
        };
        let summary =
            pipeline::summarize(cx, *staged, pipeline, GroupBy::Stage, None, None).await?;
        let mut out = format!("# {} ({})\n\n", pipeline.label, staged.standard().name);
        let currency = cx.account.detail("currency");
        let deals = *staged == Staged::Deals;
        if deals {
            let _ = writeln!(out, "| Stage | Deals | Amount {currency} | Weighted |");
            out.push_str("|---|---|---|---|\n");
        } else {
            out.push_str("| Stage | Tickets |\n|---|---|\n");
        }
        for row in summary.rows.iter().chain([&summary.all]) {
            let label = if row.label.is_empty() {
                &row.id
            } else {
                &row.label
            };
            let label = label.replace('|', "\\|");
            if deals {
                let amount = cents(row.amount.unwrap_or_default());
                let weighted = cents(row.weighted.unwrap_or_default());
                let _ = writeln!(
                    out,
                    "| {label} | {} | {amount:.2} | {weighted:.2} |",
                    row.count
                );
            } else {
                let _ = writeln!(out, "| {label} | {} |", row.count);
            }
        }
        for warning in &summary.warnings {
            let _ = writeln!(out, "\n_{warning}_");
        }
        Ok(Content {
            truncated: summary.is_partial(),
            ..Content::text(out)
        })
    }

    async fn complete(
        cx: &Cx,
        _field: &str,
        prefix: &str,
        _chosen: &Map<String, Value>,
    ) -> Result<Vec<String>, ToolError> {
        let prefix = prefix.to_lowercase();
        let all = all_pipelines(cx).await?;
        Ok(all
            .into_iter()
            .map(|(_, own)| own)
            .filter(|own| own.label.to_lowercase().contains(&prefix) || own.id.starts_with(&prefix))
            .map(|own| own.id)
            .collect())
    }
}

/// The pipelines of deals and tickets, as far as the connection may read them.
async fn all_pipelines(cx: &Cx) -> Result<Vec<(Staged, Pipeline)>, ToolError> {
    let mut kinds = Vec::new();
    for staged in [Staged::Deals, Staged::Tickets] {
        if cx.granted.has(staged.standard().read) {
            kinds.push(staged);
        }
    }
    let reads = kinds
        .iter()
        .map(|staged| names::pipelines(cx, staged.standard().name));
    let found = futures_util::future::try_join_all(reads).await?;
    let pairs = kinds.iter().zip(found);
    Ok(pairs
        .flat_map(|(staged, all)| all.into_iter().map(|own| (*staged, own)))
        .collect())
}

/// The members of a list.
#[derive(Debug, Deserialize)]
pub(super) struct ListMembers {
    id: String,
}

impl ContextBlock for ListMembers {
    const URI: &'static str = "hubspot://{account}/lists/{id}";
    const NAME: &'static str = "hubspot_list";
    const TITLE: &'static str = "HubSpot list";
    const DESCRIPTION: &'static str = "The members of a list, at most 250, as a table.";
    const MIME: &'static str = "text/csv";
    const SCOPES: Needs = Needs::All(&[LISTS_READ]);

    async fn read(self, cx: &Cx) -> Result<Content, ToolError> {
        let id = record_id(&self.id)
            .ok_or_else(|| ToolError::Invalid("the id of a list is a number".to_owned()))?;
        let (list, page) = join(
            lists::get(cx, &id, false),
            lists::members(cx, &id, MEMBERS, None),
        )
        .await;
        let (list, page) = (list?, page?);
        let kind = Kind::find(cx, &list.object_type_id).await?;
        kind.may_read(cx)?;
        let fields = kind.fields();
        let ids: Vec<String> = page
            .results
            .iter()
            .map(|one| one.record_id.clone())
            .collect();
        let batches = ids
            .chunks(records::BATCH)
            .map(|ids| records::read(cx, &kind, ids, "", &fields, &[]));
        let found = futures_util::future::try_join_all(batches).await?;
        let found: Vec<Record> = found.into_iter().flat_map(|page| page.results).collect();
        let mut out = String::from("id");
        for name in &fields {
            let _ = write!(out, ",{name}");
        }
        out.push_str("\r\n");
        let mut truncated = page.after().is_some();
        for id in &ids {
            if out.len() > cx.max_chars {
                truncated = true;
                break;
            }
            let Some(record) = found.iter().find(|record| record.id == *id) else {
                continue;
            };
            out.push_str(id);
            for name in &fields {
                let _ = write!(out, ",{}", cell(record.get(name)));
            }
            out.push_str("\r\n");
        }
        Ok(Content {
            version: list.updated_at.clone(),
            url: lists::url(cx, &id),
            truncated,
            ..Content::text(out)
        })
    }

    async fn complete(
        cx: &Cx,
        _field: &str,
        prefix: &str,
        _chosen: &Map<String, Value>,
    ) -> Result<Vec<String>, ToolError> {
        let page = lists::search(cx, prefix, HITS, 0).await?;
        Ok(page.lists.into_iter().map(|list| list.id).collect())
    }
}

/// A value between commas (RFC 4180). What a spreadsheet would take for a formula gets a quote in front.
fn cell(value: &str) -> String {
    let (value, _) = records::shown(value, 500);
    // Phone numbers and amounts begin with a sign too, but say nothing that a spreadsheet could run.
    let formula = value.starts_with(['=', '@'])
        || value.starts_with(['+', '-']) && value.contains(char::is_alphabetic);
    let value = if formula { format!("'{value}") } else { value };
    if value.contains(['"', ',', '\n', '\r']) {
        format!("\"{}\"", value.replace('"', "\"\""))
    } else {
        value
    }
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}

/// Ids of records whose name begins with `prefix`, the newest first; a number is taken for an id too.
async fn hits(cx: &Cx, name: &str, prefix: &str) -> Result<Vec<String>, ToolError> {
    let kind = Kind::find(cx, name).await?;
    kind.may_read(cx)?;
    let prefix = prefix.trim();
    let mut groups = Vec::new();
    if !prefix.is_empty() {
        if let Some(id) = record_id(prefix) {
            groups.push(Filter::one("hs_object_id", "EQ", id));
        }
        let titles = kind.title();
        let begins = titles.iter().take(3);
        groups.extend(begins.map(|own| Filter::one(own, "CONTAINS_TOKEN", format!("{prefix}*"))));
        if groups.is_empty() {
            return Ok(Vec::new());
        }
    }
    let groups = groups
        .into_iter()
        .map(|filter| Group {
            filters: vec![filter],
        })
        .collect();
    let sort = format!("-{}", kind.age());
    let properties = ["hs_object_id".to_owned()];
    let found = Search {
        groups,
        sort: &sort,
        properties: &properties,
        limit: HITS,
        ..Search::default()
    }
    .send(cx, kind.segment())
    .await?;
    Ok(found.results.into_iter().map(|record| record.id).collect())
}

/// Names of types that begin with `prefix`.
async fn types(cx: &Cx, prefix: &str) -> Result<Vec<String>, ToolError> {
    let prefix = prefix.to_lowercase();
    let mut names: Vec<String> = STANDARD.iter().map(|own| own.name.to_owned()).collect();
    if cx.granted.has(SCHEMAS_READ) {
        names.extend(kinds::schemas(cx).await?.into_iter().map(|own| own.name));
    }
    names.retain(|name| name.to_lowercase().starts_with(&prefix));
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_quoted_and_no_formulas() {
        for (value, expected) in [
            ("plain", "plain"),
            ("a,b", "\"a,b\""),
            ("say \"hi\"", "\"say \"\"hi\"\"\""),
            ("=1+1", "'=1+1"),
            ("-12.5", "-12.5"),
            ("+44 20 7946", "+44 20 7946"),
            ("-cmd()", "'-cmd()"),
        ] {
            assert_eq!(cell(value), expected);
        }
    }
}
