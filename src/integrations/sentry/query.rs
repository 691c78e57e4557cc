//! Tables over errors, spans and logs.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::auth::ORG;
use super::help::{About, corrected};
use super::model::Table;
use super::org::{Org, Period, each, next};
use crate::kit::args::{Cursor, Limit};
use crate::kit::error::ToolError;
use crate::kit::output::{Item, Output};
use crate::kit::text;
use crate::kit::tool::{AuditArgs, Cx, Effect, Needs, Tool};

/// Columns that Sentry takes.
const COLUMNS: usize = 20;
/// Longest text in a cell.
const CELL: usize = 300;

#[derive(Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub(super) enum Dataset {
    #[default]
    Errors,
    Spans,
    Logs,
    #[serde(rename = "uptime_results")]
    Uptime,
}

impl Dataset {
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Errors => "errors",
            Self::Spans => "spans",
            Self::Logs => "logs",
            Self::Uptime => "uptime_results",
        }
    }

    /// What is shown when nothing is asked for.
    const fn usual(self) -> &'static [&'static str] {
        match self {
            Self::Errors => &["id", "title", "issue", "project", "timestamp"],
            Self::Spans => &[
                "id",
                "span.op",
                "span.description",
                "span.duration",
                "trace",
                "timestamp",
            ],
            Self::Logs => &["timestamp", "severity", "message", "trace"],
            Self::Uptime => &["timestamp", "check_status", "region"],
        }
    }
}

/// Table of errors, spans, logs or uptime. Functions as p95(span.duration) group by the rest.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct QueryEvents {
    /// Rows.
    #[serde(default)]
    dataset: Dataset,
    /// Columns.
    #[serde(default)]
    fields: Vec<String>,
    /// Search.
    #[serde(default)]
    q: String,
    /// -count()
    #[serde(default)]
    sort: Option<String>,
    /// Slug.
    #[serde(default)]
    project: Option<String>,
    /// 24h, date
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

impl QueryEvents {
    fn columns(&self) -> Result<Vec<String>, ToolError> {
        let mut columns: Vec<String> = Vec::new();
        for column in &self.fields {
            let column = column.trim();
            if !column.is_empty() && !columns.iter().any(|known| known == column) {
                columns.push(column.to_owned());
            }
        }
        if columns.is_empty() {
            let usual = self.dataset.usual().iter();
            columns.extend(usual.map(|&column| column.to_owned()));
        }
        if columns.len() > COLUMNS {
            return Err(ToolError::Invalid(format!(
                "`fields` names {} columns; Sentry takes {COLUMNS}",
                columns.len()
            )));
        }
        Ok(columns)
    }

    /// What was asked for, else what was counted most, else the latest first.
    fn order(&self, columns: &[String]) -> Option<String> {
        let first = |fits: &dyn Fn(&str) -> bool| columns.iter().find(|column| fits(column));
        self.sort.clone().or_else(|| {
            let counted = first(&|column| is_function(column));
            let chosen = counted.or_else(|| first(&|column| column == "timestamp"))?;
            Some(format!("-{chosen}"))
        })
    }
}

/// Whether a column is computed over rows.
fn is_function(column: &str) -> bool {
    column.ends_with(')') || column.starts_with("equation|")
}

impl Tool for QueryEvents {
    const NAME: &'static str = "sentry_query_events";
    const TITLE: &'static str = "Query events";
    const EFFECT: Effect = Effect::Read;
    const SCOPES: Needs = ORG;
    const AUDIT: AuditArgs = AuditArgs {
        plain: &["fields", "sort", "project", "since", "org"],
        dropped: &[],
    };

    async fn call(self, cx: &Cx) -> Result<Output, ToolError> {
        let columns = self.columns()?;
        let org = Org::of(cx, self.org.as_deref()).await?;
        let period = Period::read(self.since.as_deref(), "24h", cx.now)?;
        let dataset = self.dataset.word();
        let request = org
            .get(&["events"])
            .query("dataset", dataset)
            .query("query", self.q.trim())
            .query("per_page", self.limit.get())
            .query_opt("sort", self.order(&columns))
            .query_opt("project", self.project.as_deref())
            .query_opt("cursor", self.cursor.as_ref().map(|cursor| &cursor.0));
        let request = period.of(each(request, "field", &columns));
        let found = corrected(&org, About::Rows(dataset), request.answer::<Table>().await).await?;
        let next = next(&found);
        let units = units(&found.body);
        let rows = found.body.data.into_iter().enumerate();
        let items = rows.map(|(at, row)| item(cx, &org, at, row));
        let mut output = Output::of(items.collect()).next(next);
        if !units.is_empty() {
            output = output.warn(format!("units: {}", units.join(", ")));
        }
        Ok(output)
    }
}

/// What the numbers count, where they are no plain counts.
pub(super) fn units(table: &Table) -> Vec<String> {
    let units = table.meta.units.iter();
    let units = units.filter_map(|(column, unit)| Some(format!("{column} in {}", unit.as_str()?)));
    units.collect()
}

/// A row: its own id where it is a single record, else its number.
fn item(cx: &Cx, org: &Org, at: usize, mut row: Map<String, Value>) -> Item {
    let text = |row: &Map<String, Value>, name: &str| {
        let value = row.get(name).and_then(Value::as_str);
        value.filter(|text| !text.is_empty()).map(ToOwned::to_owned)
    };
    let id = text(&row, "id").unwrap_or_else(|| (at + 1).to_string());
    let mut item = Item::new(id);
    if let Some(issue) = text(&row, "issue") {
        item = item
            .url(org.page(&["issues", &issue]))
            .uri(org.uri(cx, "issues", &issue, &[]));
    } else if let Some(trace) = text(&row, "trace") {
        item = item
            .url(org.page(&["performance", "trace", &trace]))
            .uri(org.uri(cx, "traces", &trace, &[]));
    }
    for name in ["id", "url", "uri"] {
        row.remove(name);
    }
    for (column, value) in row {
        let value = match value.as_str() {
            Some(said) => text::clip(said, CELL).into(),
            None => value,
        };
        item.set(&column, value);
    }
    item
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test says what went wrong by failing")]

    use serde_json::json;

    use super::*;

    fn asked(arguments: Value) -> (Vec<String>, Option<String>) {
        let query: QueryEvents = serde_json::from_value(arguments).unwrap();
        let columns = query.columns().unwrap();
        let order = query.order(&columns);
        (columns, order)
    }

    #[test]
    fn columns_and_order_follow_from_what_is_asked() {
        let (columns, order) = asked(json!({}));
        assert_eq!(columns[1], "title");
        assert_eq!(order.as_deref(), Some("-timestamp"));
        let (columns, order) = asked(json!({ "fields": ["release", "count()", "release"] }));
        assert_eq!(columns, ["release", "count()"]);
        assert_eq!(order.as_deref(), Some("-count()"));
        let (columns, order) = asked(json!({
            "dataset": "spans", "fields": ["transaction", "p95(span.duration)"], "sort": "transaction",
        }));
        assert_eq!(columns, ["transaction", "p95(span.duration)"]);
        assert_eq!(order.as_deref(), Some("transaction"));
        let many: Vec<String> = (0..21).map(|at| format!("f{at}")).collect();
        let query: QueryEvents = serde_json::from_value(json!({ "fields": many })).unwrap();
        assert!(query.columns().is_err());
    }
}
