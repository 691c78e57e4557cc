//! A trace as a tree, cut to what is slow or failed.

use futures_util::future::join;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::auth::ORG;
use super::names::Named;
use super::org::{Org, Period, seen};
use super::spans::{DEEPEST, Spans};
use crate::kit::args::Limit;
use crate::kit::error::{ProviderError, ToolError};
use crate::kit::output::{Item, Output};
use crate::kit::text;
use crate::kit::tool::{AuditArgs, Cx, Effect, Needs, Tool};

/// Most bytes of a trace: a span has a kilobyte or more, and a trace may have ten thousand.
const MAX_BYTES: usize = 32 * 1024 * 1024;

/// A trace as a tree of spans: slow ones and those on the way to an error.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct GetTrace {
    /// Id or URL.
    trace: String,
    /// Hides shorter spans; default 2 % of all.
    #[serde(default)]
    min_ms: Option<u32>,
    /// Levels.
    #[serde(default)]
    depth: Limit<8, 50>,
    /// Spans.
    #[serde(default)]
    limit: Limit<60, 300>,
    /// 24h, 14d or a date.
    #[serde(default)]
    since: Option<String>,
    /// Which.
    #[serde(default)]
    org: Option<String>,
}

#[derive(Deserialize)]
struct Meta {
    #[serde(rename = "errorsCount", default)]
    errors: Value,
    #[serde(rename = "spansCount", default)]
    spans: Value,
    #[serde(rename = "logsCount", default)]
    logs: Value,
    #[serde(rename = "performanceIssuesCount", default)]
    performance_issues: Value,
}

/// A line of the tree.
pub(super) struct Line {
    id: String,
    pub(super) depth: usize,
    pub(super) op: String,
    pub(super) said: String,
    project: String,
    start_ms: f64,
    pub(super) duration_ms: f64,
    pub(super) faults: Vec<(String, String)>,
    /// Spans below it that are not shown.
    pub(super) hidden: usize,
}

/// A trace as it is shown.
pub(super) struct Shown {
    pub(super) id: String,
    pub(super) lines: Vec<Line>,
    pub(super) duration_ms: f64,
    pub(super) counts: Value,
    /// Whether more spans fitted than there was room for.
    pub(super) cut: bool,
    /// What is missing besides, in words.
    pub(super) missing: Vec<String>,
}

/// What to leave out.
pub(super) struct Limits {
    pub(super) min_ms: Option<u32>,
    pub(super) depth: usize,
    pub(super) lines: usize,
}

/// Reads a trace.
pub(super) async fn read(
    org: &Org,
    id: &str,
    period: &Period,
    limits: &Limits,
) -> Result<Shown, ToolError> {
    let (spans, meta) = join(
        fetch(org, id, period),
        period.of(org.get(&["trace-meta", id])).send::<Meta>(),
    )
    .await;
    let what = format!("trace {id}");
    let spans = seen(&what, spans)?;
    if spans.all.is_empty() && spans.unreadable == 0 {
        return Err(ToolError::NotFound(format!(
            "{what} has nothing in {period}; widen `since`, or it is not kept any more"
        )));
    }
    let meta = seen(&what, meta)?;
    let roots = || spans.roots.iter().filter_map(|root| spans.all.get(*root));
    let starts = roots().filter_map(|node| node.start_timestamp);
    let start = starts.fold(f64::INFINITY, f64::min);
    let ends = roots().filter_map(|node| node.end_timestamp);
    let end = ends.fold(f64::NEG_INFINITY, f64::max);
    let duration_ms = if start < end {
        (end - start) * 1_000.0
    } else {
        0.0
    };
    let min_ms = limits.min_ms.map_or(duration_ms * 0.02, f64::from);
    let mut tree = Tree {
        spans: &spans,
        start,
        min_ms,
        limits,
        lines: Vec::new(),
        cut: false,
    };
    for root in &spans.roots {
        tree.add(*root, 0);
    }
    let mut missing = Vec::new();
    if spans.unreadable > 0 {
        missing.push(format!(
            "{} spans could not be read, and those below them",
            spans.unreadable
        ));
    }
    if spans.too_deep {
        missing.push(format!(
            "spans nested deeper than {DEEPEST} levels are left out"
        ));
    }
    Ok(Shown {
        id: id.to_owned(),
        lines: tree.lines,
        duration_ms: tenth(duration_ms),
        counts: json!({
            "spans": meta.spans, "errors": meta.errors, "logs": meta.logs,
            "performance_issues": meta.performance_issues,
        }),
        cut: tree.cut,
        missing,
    })
}

/// The spans of a trace. Read on a thread of its own: it takes a while, and others wait for this one.
async fn fetch(org: &Org, id: &str, period: &Period) -> Result<Spans, ProviderError> {
    let request = period.of(org.get(&["trace", id])).max_bytes(MAX_BYTES);
    let body = request.bytes().await?.body;
    let read = tokio::task::spawn_blocking(move || Spans::read(&body)).await;
    read.unwrap_or_else(|error| {
        Err(ProviderError::Unavailable {
            reason: format!("answered a trace that could not be read ({error})"),
        })
    })
}

struct Tree<'a> {
    spans: &'a Spans,
    start: f64,
    min_ms: f64,
    limits: &'a Limits,
    lines: Vec<Line>,
    cut: bool,
}

impl Tree<'_> {
    fn add(&mut self, at: usize, depth: usize) {
        let spans = self.spans;
        let Some(node) = spans.all.get(at) else {
            return;
        };
        if self.lines.len() >= self.limits.lines {
            self.cut = true;
            return;
        }
        let faults = node.errors.iter().chain(&node.occurrences).map(|fault| {
            let id = fault.short_id.clone();
            let id = id.or_else(|| fault.issue_id.map(|id| id.to_string()));
            let said = fault.description.as_deref().unwrap_or_default();
            (id.unwrap_or_default(), text::clip(&text::scrub(said), 160))
        });
        let said = node.description.as_deref().filter(|said| !said.is_empty());
        let line = self.lines.len();
        self.lines.push(Line {
            id: node.event_id.clone(),
            depth,
            op: if node.is_span() {
                node.op.clone()
            } else {
                node.event_type.clone()
            },
            said: text::clip(&text::scrub(said.unwrap_or(&node.transaction)), 200),
            project: node.project_slug.clone(),
            start_ms: node
                .start_timestamp
                .map_or(0.0, |at| tenth((at - self.start) * 1_000.0)),
            duration_ms: tenth(node.duration),
            faults: faults
                .chain(node.issue_id.map(|id| (id.to_string(), String::new())))
                .collect(),
            hidden: 0,
        });
        let mut hidden = 0;
        for place in &node.below {
            let Some(child) = spans.all.get(*place) else {
                continue;
            };
            let matters = child.duration >= self.min_ms || child.is_transaction || child.failed;
            if depth + 1 < self.limits.depth && matters {
                self.add(*place, depth + 1);
            } else {
                hidden += child.size;
            }
        }
        if let Some(line) = self.lines.get_mut(line) {
            line.hidden = hidden;
        }
    }
}

fn tenth(number: f64) -> f64 {
    (number * 10.0).round() / 10.0
}

impl Tool for GetTrace {
    const NAME: &'static str = "sentry_get_trace";
    const TITLE: &'static str = "Get trace";
    const EFFECT: Effect = Effect::Read;
    const SCOPES: Needs = ORG;
    const AUDIT: AuditArgs = AuditArgs {
        plain: &["trace", "since", "org"],
        dropped: &[],
    };

    async fn call(self, cx: &Cx) -> Result<Output, ToolError> {
        let named = Named::trace(&self.trace)?;
        let org = named.org(cx, self.org.as_deref()).await?;
        let period = Period::read(self.since.as_deref(), "14d", cx.now)?;
        let limits = Limits {
            min_ms: self.min_ms,
            depth: self.depth.get() as usize,
            lines: self.limit.get() as usize,
        };
        let shown = read(&org, &named.id, &period, &limits).await?;
        let summary = Item::new(&shown.id)
            .url(page(&org, &shown.id))
            .uri(org.uri(cx, "traces", &shown.id, &[]))
            .field("duration_ms", shown.duration_ms)
            .field("counts", shown.counts);
        let mut items = vec![summary];
        items.extend(shown.lines.iter().map(|line| {
            let mut item = Item::new(&line.id)
                .field("depth", line.depth)
                .field("op", line.op.as_str())
                .field("what", line.said.as_str())
                .field("project", line.project.as_str())
                .field("start_ms", line.start_ms)
                .field("duration_ms", line.duration_ms)
                .field("hidden_spans", (line.hidden > 0).then_some(line.hidden));
            let faults = line.faults.iter();
            let faults = faults.map(|(issue, said)| json!({ "issue": issue, "title": said }));
            item.set("errors", faults.collect::<Vec<_>>());
            item
        }));
        let mut output = Output::of(items);
        output.truncated = shown.cut;
        output.warnings = shown.missing;
        Ok(output)
    }
}

/// A trace's page.
pub(super) fn page(org: &Org, id: &str) -> String {
    org.page(&["performance", "trace", id])
}
