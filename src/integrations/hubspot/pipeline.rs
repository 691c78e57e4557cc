//! Pipelines in numbers.

use std::collections::BTreeMap;

use futures_util::{StreamExt, stream};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::kit::error::{ProviderError, ToolError};
use crate::kit::output::{Item, Output};
use crate::kit::tool::{AuditArgs, Cx, Effect, Needs, Tool};
use crate::kit::uri::encode;

use super::filters::{Filter, Group};
use super::kinds::{Kind, STANDARD, Standard};
use super::model::{Owner, Pipeline, Record};
use super::moments::moment;
use super::names;
use super::search::Search;

/// Records that are read to add up amounts; counts of stages are exact beyond it.
const CAP: u64 = 1_000;
const PAGE: u32 = 100;
/// Searches at the same time: HubSpot takes four or five a second.
const AT_ONCE: usize = 3;

/// Counts deals or tickets of a pipeline and adds up deal amounts, by stage, owner or month.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SummarizePipeline {
    /// What to count
    #[serde(default)]
    object_type: Staged,
    /// Label or id. Default: the first
    #[serde(default)]
    pipeline: String,
    /// The rows
    #[serde(default)]
    group_by: GroupBy,
    /// Date: deals by close date, tickets by creation
    #[serde(default)]
    since: String,
    /// As since
    #[serde(default)]
    until: String,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema, serde::Serialize)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub(super) enum Staged {
    #[default]
    Deals,
    Tickets,
}

impl Staged {
    pub(super) fn standard(self) -> &'static Standard {
        // Deals and tickets are third and fourth in the table.
        match self {
            Self::Deals => &STANDARD[2],
            Self::Tickets => &STANDARD[3],
        }
    }

    /// The property that a range and months are about.
    const fn date(self) -> &'static str {
        match self {
            Self::Deals => "closedate",
            Self::Tickets => "createdate",
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema, serde::Serialize)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub(super) enum GroupBy {
    #[default]
    Stage,
    Owner,
    Month,
}

impl Tool for SummarizePipeline {
    const NAME: &'static str = "hubspot_summarize_pipeline";
    const TITLE: &'static str = "Summarize pipeline";
    const EFFECT: Effect = Effect::Read;
    const SCOPES: Needs = Needs::Any(&["crm.objects.deals.read", "tickets"]);
    const AUDIT: AuditArgs = AuditArgs {
        plain: &["object_type", "pipeline", "group_by", "since", "until"],
        dropped: &[],
    };

    async fn call(self, cx: &Cx) -> Result<Output, ToolError> {
        let since = moment(&self.since, "since", false)?;
        let until = moment(&self.until, "until", true)?;
        let kind = Kind::Standard(self.object_type.standard());
        kind.may_read(cx)?;
        let pipelines = names::pipelines(cx, kind.segment()).await?;
        let pipeline = choose(&pipelines, &self.pipeline)?;
        let summary =
            summarize(cx, self.object_type, pipeline, self.group_by, since, until).await?;
        let rows = summary.rows.iter();
        let mut output = Output::of(rows.map(|row| row.item(cx, &summary)).collect());
        let mut all = summary.all.item(cx, &summary);
        all.uri = Some(cx.uri(&format!("pipelines/{}", encode(&pipeline.id))));
        all.set("pipeline", pipeline.label.as_str());
        output.items.push(all);
        output.truncated = summary.is_partial();
        output.warnings = summary.warnings;
        Ok(output.total(Some(summary.total)))
    }
}

/// The pipeline that `wanted` names by id or label; the first one when it names none.
pub(super) fn choose<'a>(
    pipelines: &'a [Pipeline],
    wanted: &str,
) -> Result<&'a Pipeline, ToolError> {
    let found = if wanted.is_empty() {
        pipelines.first()
    } else {
        pipelines.iter().find(|own| own.id == wanted).or_else(|| {
            pipelines
                .iter()
                .find(|own| own.label.eq_ignore_ascii_case(wanted))
        })
    };
    found.ok_or_else(|| {
        let known: Vec<String> = pipelines
            .iter()
            .map(|own| format!("{} ({})", own.label, own.id))
            .collect();
        ToolError::NotFound(format!(
            "there is no such pipeline; known: {}",
            known.join(", ")
        ))
    })
}

/// A pipeline in numbers.
#[derive(Debug)]
pub(super) struct Summary {
    pub(super) rows: Vec<Row>,
    /// The sum of the rows.
    pub(super) all: Row,
    /// Records that fit, whether they were read or not.
    pub(super) total: u64,
    /// Records that were read.
    read: u64,
    pub(super) warnings: Vec<String>,
}

impl Summary {
    /// Whether amounts leave something out.
    pub(super) const fn is_partial(&self) -> bool {
        self.read < self.total
    }
}

/// One group.
#[derive(Clone, Debug, Default)]
pub(super) struct Row {
    pub(super) id: String,
    pub(super) label: String,
    pub(super) count: u64,
    /// Of deals.
    pub(super) amount: Option<f64>,
    /// Amount times the stage's chance of winning.
    pub(super) weighted: Option<f64>,
}

impl Row {
    fn new(id: &str, label: &str) -> Self {
        Self {
            id: id.to_owned(),
            label: label.to_owned(),
            ..Self::default()
        }
    }

    fn add(&mut self, amount: Option<f64>, chance: Option<f64>) {
        self.count += 1;
        if let Some(amount) = amount {
            *self.amount.get_or_insert(0.0) += amount;
            if let Some(chance) = chance {
                *self.weighted.get_or_insert(0.0) += amount * chance;
            }
        }
    }

    fn item(&self, cx: &Cx, summary: &Summary) -> Item {
        let mut item = Item::new(&self.id);
        item.set("label", self.label.as_str());
        item.set("count", self.count);
        if let Some(amount) = self.amount {
            item.set("amount", cents(amount));
            item.set("currency", cx.account.detail("currency"));
        }
        if let Some(weighted) = self.weighted {
            item.set("weighted_amount", cents(weighted));
        }
        if summary.is_partial() && self.amount.is_some() {
            item.set("amount_is_partial", true);
        }
        item
    }
}

/// Rounded to cents; sums of binary fractions are not.
pub(super) fn cents(amount: f64) -> f64 {
    (amount * 100.0).round() / 100.0
}

/// Reads the records of a pipeline, newest first and at most [`CAP`] of them, and groups them.
pub(super) async fn summarize(
    cx: &Cx,
    staged: Staged,
    pipeline: &Pipeline,
    group_by: GroupBy,
    since: Option<i64>,
    until: Option<i64>,
) -> Result<Summary, ToolError> {
    let standard = staged.standard();
    let filters = range(staged, pipeline, since, until);
    let (records, total) = read(cx, staged, &filters).await?;
    let mut summary = Summary {
        rows: Vec::new(),
        all: Row::new("total", "Total"),
        read: records.len() as u64,
        total,
        warnings: Vec::new(),
    };
    let owners = match group_by {
        GroupBy::Owner => match names::owners(cx).await {
            Ok(found) => found.owners,
            Err(error) => {
                let text = format!("owners are shown by id: {error}");
                summary.warnings.push(text);
                Vec::new()
            }
        },
        GroupBy::Stage | GroupBy::Month => Vec::new(),
    };
    let mut rows: BTreeMap<String, Row> = BTreeMap::new();
    for record in &records {
        let stage = record.get(standard.stage_property().unwrap_or_default());
        let known = pipeline.stages.iter().find(|own| own.id == stage);
        let chance = known.and_then(super::model::Stage::probability);
        let amount = amount(staged, record);
        let (id, label) = match group_by {
            GroupBy::Stage => (stage, known.map(|own| own.label.clone())),
            GroupBy::Month => (record.get(staged.date()).get(..7).unwrap_or_default(), None),
            GroupBy::Owner => {
                let id = record.get("hubspot_owner_id");
                let owner = owners.iter().find(|own| own.id == id).map(Owner::name);
                (id, owner)
            }
        };
        let id = if id.is_empty() { "none" } else { id };
        rows.entry(id.to_owned())
            .or_insert_with(|| Row::new(id, &label.unwrap_or_default()))
            .add(amount, chance);
        summary.all.add(amount, chance);
    }
    if group_by == GroupBy::Stage {
        let counts = if summary.is_partial() {
            count(cx, staged, pipeline, &filters).await?
        } else {
            BTreeMap::new()
        };
        // Every stage in its order, the empty ones too; then what stands in stages that are gone.
        for stage in &pipeline.stages {
            let mut row = rows
                .remove(&stage.id)
                .unwrap_or_else(|| Row::new(&stage.id, &stage.label));
            if let Some(count) = counts.get(&stage.id) {
                row.count = *count;
            }
            summary.rows.push(row);
        }
    }
    summary.rows.extend(rows.into_values());
    if group_by == GroupBy::Owner {
        summary.rows.sort_by_key(|row| std::cmp::Reverse(row.count));
    }
    if summary.is_partial() {
        summary.all.count = total;
        let what = match group_by {
            GroupBy::Stage => "counts are exact, amounts cover",
            GroupBy::Owner | GroupBy::Month => "counts and amounts cover",
        };
        summary.warnings.push(format!(
            "{what} the newest {} of {total} {}; narrow with since and until",
            summary.read, standard.name
        ));
    }
    Ok(summary)
}

fn range(
    staged: Staged,
    pipeline: &Pipeline,
    since: Option<i64>,
    until: Option<i64>,
) -> Vec<Filter> {
    let property = staged.standard().pipeline_property().unwrap_or_default();
    let mut filters = vec![Filter::one(property, "EQ", &pipeline.id)];
    if let Some(since) = since {
        filters.push(Filter::one(staged.date(), "GTE", since.to_string()));
    }
    if let Some(until) = until {
        filters.push(Filter::one(staged.date(), "LTE", until.to_string()));
    }
    filters
}

/// A deal's amount, in the portal's currency where HubSpot converted it.
fn amount(staged: Staged, record: &Record) -> Option<f64> {
    if staged == Staged::Tickets {
        return None;
    }
    let number = |name: &str| record.get(name).parse::<f64>().ok();
    number("amount_in_home_currency").or_else(|| number("amount"))
}

/// The records, page after page, and how many there are in all.
async fn read(
    cx: &Cx,
    staged: Staged,
    filters: &[Filter],
) -> Result<(Vec<Record>, u64), ProviderError> {
    let standard = staged.standard();
    let mut properties: Vec<String> = standard
        .stage_property()
        .into_iter()
        .chain(["hubspot_owner_id", staged.date()])
        .map(ToOwned::to_owned)
        .collect();
    if staged == Staged::Deals {
        properties.extend(["amount", "amount_in_home_currency"].map(ToOwned::to_owned));
    }
    let mut records = Vec::new();
    let mut after: Option<String> = None;
    loop {
        let page = Search {
            groups: vec![Group {
                filters: filters.to_vec(),
            }],
            sort: "-createdate",
            properties: &properties,
            limit: PAGE,
            after: after.as_deref(),
            ..Search::default()
        }
        .send(cx, standard.name)
        .await?;
        after = page.after();
        let total = page.total.unwrap_or_default();
        records.extend(page.results);
        let read = records.len() as u64;
        if after.is_none() || read >= CAP {
            return Ok((records, total.max(read)));
        }
        let done = u32::try_from(read).unwrap_or(u32::MAX);
        let most = u32::try_from(total.min(CAP)).ok();
        cx.progress
            .step(done, most, format!("read {read} {}", standard.name));
    }
}

/// How many records stand in each stage: the totals of one search per stage.
async fn count(
    cx: &Cx,
    staged: Staged,
    pipeline: &Pipeline,
    filters: &[Filter],
) -> Result<BTreeMap<String, u64>, ProviderError> {
    let standard = staged.standard();
    let property = standard.stage_property().unwrap_or_default();
    let ids: Vec<String> = pipeline
        .stages
        .iter()
        .map(|stage| stage.id.clone())
        .collect();
    let searches = ids.into_iter().map(|stage| async move {
        let mut filters = filters.to_vec();
        filters.push(Filter::one(property, "EQ", &stage));
        let found = Search {
            groups: vec![Group { filters }],
            limit: 1,
            ..Search::default()
        }
        .send(cx, standard.name)
        .await?;
        Ok((stage, found.total.unwrap_or_default()))
    });
    let found: Vec<Result<_, ProviderError>> =
        stream::iter(searches).buffered(AT_ONCE).collect().await;
    found.into_iter().collect()
}
