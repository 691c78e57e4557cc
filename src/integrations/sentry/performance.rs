//! How fast the transactions of a project are, and what became slower.

use futures_util::future::{OptionFuture, join};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::auth::ORG;
use super::help::{About, corrected, is, quoted};
use super::model::Table;
use super::org::{Org, Period, each, next, stretch};
use super::query::units;
use crate::kit::Timestamp;
use crate::kit::args::{Cursor, Limit};
use crate::kit::client::Request;
use crate::kit::error::ToolError;
use crate::kit::output::{Item, Output};
use crate::kit::tool::{AuditArgs, Cx, Effect, Needs, Tool};
use crate::kit::uri;

/// What is shown of each transaction.
const COLUMNS: [&str; 8] = [
    "transaction",
    "project",
    "count()",
    "epm()",
    "failure_rate()",
    "p50(span.duration)",
    "p75(span.duration)",
    "p95(span.duration)",
];
/// Points of a time series that are shown.
const POINTS: usize = 120;

#[derive(Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub(super) enum Metric {
    #[default]
    P95,
    P75,
    P50,
    Throughput,
    FailureRate,
}

impl Metric {
    const fn column(self) -> &'static str {
        match self {
            Self::P95 => "p95(span.duration)",
            Self::P75 => "p75(span.duration)",
            Self::P50 => "p50(span.duration)",
            Self::Throughput => "epm()",
            Self::FailureRate => "failure_rate()",
        }
    }
}

/// Duration, throughput and failures by transaction; one as a time series.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct GetPerformance {
    /// Slug.
    #[serde(default)]
    project: Option<String>,
    /// Only this.
    #[serde(default)]
    transaction: Option<String>,
    /// Sorts.
    #[serde(default)]
    metric: Metric,
    /// So far back, as 7d.
    #[serde(default)]
    compare_to: Option<String>,
    /// Name.
    #[serde(default)]
    env: Option<String>,
    /// 24h or date.
    #[serde(default)]
    since: Option<String>,
    /// Which.
    #[serde(default)]
    org: Option<String>,
    #[serde(default)]
    limit: Limit<20, 100>,
    #[serde(default)]
    cursor: Option<Cursor>,
}

impl Tool for GetPerformance {
    const NAME: &'static str = "sentry_get_performance";
    const TITLE: &'static str = "Get performance";
    const EFFECT: Effect = Effect::Read;
    const SCOPES: Needs = ORG;
    const AUDIT: AuditArgs = AuditArgs {
        plain: &["project", "compare_to", "env", "since", "org"],
        dropped: &[],
    };

    async fn call(self, cx: &Cx) -> Result<Output, ToolError> {
        let back = match &self.compare_to {
            Some(text) => Some(stretch(text.trim()).ok_or_else(|| {
                ToolError::Invalid("`compare_to` must be a stretch such as 24h or 7d".to_owned())
            })?),
            None => None,
        };
        let org = Org::of(cx, self.org.as_deref()).await?;
        let period = Period::read(self.since.as_deref(), "24h", cx.now)?;
        match &self.transaction {
            Some(transaction) => self.series(&org, &period, transaction, back).await,
            None => self.table(cx, &org, &period, back).await,
        }
    }
}

impl GetPerformance {
    /// The request with what all of these ask for.
    fn narrowed(&self, request: Request, query: &str) -> Request {
        request
            .query("dataset", "spans")
            .query("query", query)
            .query_opt("project", self.project.as_deref())
            .query_opt("environment", self.env.as_deref())
    }

    async fn table(
        &self,
        cx: &Cx,
        org: &Org,
        period: &Period,
        back: Option<std::time::Duration>,
    ) -> Result<Output, ToolError> {
        let columns = COLUMNS.map(ToOwned::to_owned);
        let asked = |period: &Period, query: &str| {
            let request = self
                .narrowed(org.get(&["events"]), query)
                .query("sort", format!("-{}", self.metric.column()))
                .query("per_page", self.limit.get());
            period.of(each(request, "field", &columns))
        };
        let request = asked(period, "is_transaction:true");
        let request = request.query_opt("cursor", self.cursor.as_ref().map(|cursor| &cursor.0));
        let found = request.answer::<Table>().await;
        let found = corrected(org, About::Rows("spans"), found).await?;
        let next = next(&found);
        let mut output = Output::default();
        let mut rows = found.body.data;
        let names: Vec<String> = rows
            .iter()
            .filter_map(|row| row.get("transaction")?.as_str())
            .map(quoted)
            .collect();
        let before = back.filter(|_| !names.is_empty()).map(|back| {
            // Only these: what led the table then may be others.
            let query = format!("is_transaction:true transaction:[{}]", names.join(","));
            asked(&period.earlier(back, cx.now), &query).send::<Table>()
        });
        let before = OptionFuture::from(before).await;
        let before = match before {
            Some(found) => corrected(org, About::Rows("spans"), found).await?.data,
            None => Vec::new(),
        };
        let column = self.metric.column();
        if back.is_some() {
            for row in &mut rows {
                let then = before.iter().find(|then| same(then, row));
                let then = then.and_then(|then| then.get(column)?.as_f64());
                if let Some(change) = change(row.get(column).and_then(Value::as_f64), then) {
                    row.insert("before".to_owned(), json!(then));
                    row.insert("change_percent".to_owned(), json!(change));
                }
            }
            let worse = |row: &Map<String, Value>| {
                let change = row.get("change_percent").and_then(Value::as_f64);
                let change = change.unwrap_or(0.0);
                // Less throughput is worse, more of anything else.
                if self.metric == Metric::Throughput {
                    -change
                } else {
                    change
                }
            };
            rows.sort_by(|one, other| worse(other).total_cmp(&worse(one)));
        }
        let units = units(&Table {
            data: Vec::new(),
            meta: found.body.meta,
        });
        output.items = rows.into_iter().map(|row| item(org, row)).collect();
        output.next_cursor = next;
        if !units.is_empty() {
            output = output.warn(format!("units: {}", units.join(", ")));
        }
        Ok(output)
    }

    async fn series(
        &self,
        org: &Org,
        period: &Period,
        transaction: &str,
        back: Option<std::time::Duration>,
    ) -> Result<Output, ToolError> {
        let query = format!("is_transaction:true {}", is("transaction", transaction));
        let timeseries = self
            .narrowed(org.get(&["events-timeseries"]), &query)
            .query("yAxis", self.metric.column())
            .query_opt("comparisonDelta", back.map(|back| back.as_secs()));
        let columns = COLUMNS.map(ToOwned::to_owned);
        let totals = self
            .narrowed(org.get(&["events"]), &query)
            .query("per_page", 1);
        let totals = period.of(each(totals, "field", &columns));
        let (series, totals) = join(
            period.of(timeseries).send::<Series>(),
            totals.send::<Table>(),
        )
        .await;
        let series = corrected(org, About::Rows("spans"), series).await?;
        let totals = corrected(org, About::Rows("spans"), totals).await?;
        let Some(row) = totals.data.into_iter().next() else {
            return Err(ToolError::NotFound(format!(
                "no transaction `{transaction}` was seen in {period}; leave it out to list those that were"
            )));
        };
        let mut item = item(org, row);
        let mut truncated = false;
        for line in series.time_series {
            let skipped = line.values.len().saturating_sub(POINTS);
            truncated |= skipped > 0;
            let points = line.values.iter().skip(skipped).map(|point| {
                let mut shown = vec![json!(at(point.timestamp)), json!(point.value)];
                shown.extend(point.comparison_value.map(|before| json!(before)));
                Value::Array(shown)
            });
            item.set("series_of", line.y_axis.as_str());
            item.set("series", points.collect::<Vec<_>>());
        }
        let mut output = Output::one(item);
        output.truncated = truncated;
        if truncated {
            output = output.warn(format!(
                "only the last {POINTS} points are shown; narrow `since`"
            ));
        }
        Ok(output)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Series {
    #[serde(default)]
    time_series: Vec<Line>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    #[serde(default)]
    values: Vec<Point>,
    #[serde(default)]
    y_axis: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Point {
    /// Milliseconds since 1970.
    timestamp: f64,
    #[serde(default)]
    value: Option<f64>,
    #[serde(default)]
    comparison_value: Option<f64>,
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "times of this age of the world fit, and others end at the bounds"
)]
fn at(milliseconds: f64) -> String {
    Timestamp::from_micros((milliseconds * 1_000.0) as i64).rfc3339()
}

fn same(one: &Map<String, Value>, other: &Map<String, Value>) -> bool {
    one.get("transaction") == other.get("transaction") && one.get("project") == other.get("project")
}

/// By how much it grew, in percent to one place.
fn change(now: Option<f64>, then: Option<f64>) -> Option<f64> {
    let (now, then) = (now?, then?);
    (then > 0.0).then(|| ((now / then - 1.0) * 1_000.0).round() / 10.0)
}

/// To three places.
fn rounded(value: Value) -> Value {
    match value.as_f64() {
        Some(number) if value.is_f64() => json!((number * 1_000.0).round() / 1_000.0),
        _ => value,
    }
}

fn item(org: &Org, mut row: Map<String, Value>) -> Item {
    let name = row.remove("transaction");
    let name = name.as_ref().and_then(Value::as_str).unwrap_or("(no name)");
    let page = org.page(&["performance", "summary"]);
    let mut item = Item::new(name).url(format!("{page}?transaction={}", uri::encode(name)));
    for (from, to) in [
        ("project", "project"),
        ("count()", "count"),
        ("epm()", "per_minute"),
        ("failure_rate()", "failure_rate"),
        ("p50(span.duration)", "p50_ms"),
        ("p75(span.duration)", "p75_ms"),
        ("p95(span.duration)", "p95_ms"),
        ("before", "before"),
        ("change_percent", "change_percent"),
    ] {
        if let Some(value) = row.remove(from) {
            item.set(to, rounded(value));
        }
    }
    item
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_percents_of_what_was() {
        assert_eq!(change(Some(150.0), Some(100.0)), Some(50.0));
        assert_eq!(change(Some(1.0), Some(3.0)), Some(-66.7));
        assert_eq!(change(Some(1.0), Some(0.0)), None);
        assert_eq!(change(None, Some(1.0)), None);
    }
}
