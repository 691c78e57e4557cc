//! What the organization sends: how much is taken, filtered and dropped.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::auth::ORG;
use super::model::{Grouped, Project};
use super::org::{Org, PAGE, Period, each, next};
use crate::kit::args::Cursor;
use crate::kit::error::ToolError;
use crate::kit::output::{Item, Output};
use crate::kit::tool::{AuditArgs, Cx, Effect, Needs, Tool};

/// Pages of projects whose names are looked up: 2,000 projects.
const PROJECT_PAGES: usize = 20;

#[derive(Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub(super) enum By {
    Category,
    Project,
    Reason,
}

impl By {
    const fn word(self) -> &'static str {
        match self {
            Self::Category => "category",
            Self::Project => "project",
            Self::Reason => "reason",
        }
    }
}

/// How many events were accepted, filtered, rate limited or dropped.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct GetUsage {
    /// Default: category.
    #[serde(default)]
    group_by: Vec<By>,
    /// Slug.
    #[serde(default)]
    project: Option<String>,
    /// 24h, 30d or a date.
    #[serde(default)]
    since: Option<String>,
    /// Which.
    #[serde(default)]
    org: Option<String>,
}

impl Tool for GetUsage {
    const NAME: &'static str = "sentry_get_usage";
    const TITLE: &'static str = "Get usage";
    const EFFECT: Effect = Effect::Read;
    const SCOPES: Needs = ORG;
    const AUDIT: AuditArgs = AuditArgs {
        plain: &["project", "since", "org"],
        dropped: &[],
    };

    async fn call(self, cx: &Cx) -> Result<Output, ToolError> {
        let org = Org::of(cx, self.org.as_deref()).await?;
        let period = Period::read(self.since.as_deref(), "30d", cx.now)?;
        let mut by: Vec<By> = Vec::new();
        for one in &self.group_by {
            if !by.contains(one) {
                by.push(*one);
            }
        }
        if by.is_empty() {
            by.push(By::Category);
        }
        // The numbers of projects have to be found, and told apart, by their slugs.
        let projects = if self.project.is_some() || by.contains(&By::Project) {
            projects(&org).await?
        } else {
            Vec::new()
        };
        let wanted = match &self.project {
            Some(slug) => {
                let found = projects.iter().find(|project| project.slug == *slug);
                let found = found.ok_or_else(|| {
                    ToolError::NotFound(format!("no project `{slug}` is visible to this account"))
                });
                Some(found?.id.clone())
            }
            None => None,
        };
        let mut groups: Vec<String> = by.iter().map(|by| by.word().to_owned()).collect();
        groups.push("outcome".to_owned());
        let interval = if period.length().as_secs() > 2 * 86_400 {
            "1d"
        } else {
            "1h"
        };
        let request = each(org.get(&["stats_v2"]), "groupBy", &groups)
            .query("field", "sum(quantity)")
            .query("interval", interval)
            // All that the caller may see, and not only those it is a member of.
            .query("project", wanted.as_deref().unwrap_or("-1"));
        let found: Grouped = period.of(request).send().await?;
        let mut rows: BTreeMap<Vec<String>, Map<String, Value>> = BTreeMap::new();
        for group in &found.groups {
            let key = by
                .iter()
                .map(|by| named(group.by.get(by.word()), *by, &projects));
            let outcome = group.by.get("outcome").and_then(Value::as_str);
            let quantity = group.totals.get("sum(quantity)").cloned();
            let row = rows.entry(key.collect()).or_default();
            row.insert(
                outcome.unwrap_or("other").to_owned(),
                quantity.unwrap_or(Value::Null),
            );
        }
        let total = |row: &Map<String, Value>| row.values().filter_map(Value::as_u64).sum::<u64>();
        let mut rows: Vec<_> = rows.into_iter().collect();
        rows.retain(|(_, row)| total(row) > 0);
        rows.sort_by_key(|(_, row)| std::cmp::Reverse(total(row)));
        let items = rows.into_iter().map(|(key, row)| {
            let mut item = Item::new(key.join(" / ")).url(org.page(&["stats"]));
            for (by, value) in by.iter().zip(key) {
                item.set(by.word(), value);
            }
            item.fields.extend(
                row.iter()
                    .map(|(name, count)| (name.clone(), count.clone())),
            );
            item.field("total", json!(total(&row)))
        });
        Ok(Output::of(items.collect()).warn(format!("counted over {period}")))
    }
}

fn named(value: Option<&Value>, by: By, projects: &[Project]) -> String {
    let said = match value {
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
        None => "other".to_owned(),
    };
    let project = projects
        .iter()
        .find(|project| by == By::Project && project.id == said);
    project.map_or(said, |project| project.slug.clone())
}

/// The projects that the account sees, [`PROJECT_PAGES`] of them at most.
pub(super) async fn projects(org: &Org) -> Result<Vec<Project>, ToolError> {
    let mut all: Vec<Project> = Vec::new();
    let mut cursor: Option<Cursor> = None;
    for _ in 0..PROJECT_PAGES {
        let request = org.get(&["projects"]).query("per_page", PAGE);
        let request = request.query_opt("cursor", cursor.as_ref().map(|at| &at.0));
        let mut page = request.answer::<Vec<Project>>().await?;
        all.append(&mut page.body);
        cursor = next(&page);
        if cursor.is_none() {
            break;
        }
    }
    Ok(all)
}
