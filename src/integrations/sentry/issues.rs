//! Searching issues, and the events of one or of a project.

use schemars::JsonSchema;
use serde::Deserialize;

use super::auth::EVENTS;
use super::event;
use super::help::{About, corrected};
use super::model::{Event, Issue};
use super::names::Named;
use super::org::{Org, Period, next, seen};
use crate::kit::args::{Cursor, Limit};
use crate::kit::error::{ProviderError, ToolError};
use crate::kit::output::{Item, Output};
use crate::kit::text;
use crate::kit::tool::{AuditArgs, Cx, Effect, Needs, Tool};

#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub(super) enum IssueStatus {
    Unresolved,
    Resolved,
    Archived,
}

impl IssueStatus {
    const fn word(self) -> &'static str {
        match self {
            Self::Unresolved => "unresolved",
            Self::Resolved => "resolved",
            Self::Archived => "archived",
        }
    }
}

#[derive(Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub(super) enum Order {
    #[default]
    LastSeen,
    FirstSeen,
    Events,
    Users,
}

impl Order {
    const fn word(self) -> &'static str {
        match self {
            Self::LastSeen => "date",
            Self::FirstSeen => "new",
            Self::Events => "freq",
            Self::Users => "user",
        }
    }
}

/// Search issues, unresolved ones unless `q` or `status` says else.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SearchIssues {
    /// Sentry search, as assigned:me environment:prod release:1
    #[serde(default)]
    q: String,
    /// State.
    #[serde(default)]
    status: Option<IssueStatus>,
    /// Slug.
    #[serde(default)]
    project: Option<String>,
    /// 24h or date.
    #[serde(default)]
    since: Option<String>,
    /// By.
    #[serde(default)]
    sort: Order,
    /// Which.
    #[serde(default)]
    org: Option<String>,
    #[serde(default)]
    limit: Limit<20, 100>,
    #[serde(default)]
    cursor: Option<Cursor>,
}

impl SearchIssues {
    fn query(&self) -> String {
        let mut parts = Vec::new();
        if !self.q.trim().is_empty() {
            parts.push(self.q.trim().to_owned());
        }
        match self.status {
            Some(status) => parts.push(format!("is:{}", status.word())),
            None if parts.is_empty() => parts.push("is:unresolved".to_owned()),
            None => {}
        }
        parts.join(" ")
    }
}

impl Tool for SearchIssues {
    const NAME: &'static str = "sentry_search_issues";
    const TITLE: &'static str = "Search issues";
    const EFFECT: Effect = Effect::Read;
    const SCOPES: Needs = EVENTS;
    const AUDIT: AuditArgs = AuditArgs {
        plain: &["project", "since", "org"],
        dropped: &[],
    };

    async fn call(self, cx: &Cx) -> Result<Output, ToolError> {
        let org = Org::of(cx, self.org.as_deref()).await?;
        let period = Period::read(self.since.as_deref(), "14d", cx.now)?;
        let request = org
            .get(&["issues"])
            .query("query", self.query())
            .query("sort", self.sort.word())
            .query("limit", self.limit.get())
            .query_opt("project", self.project.as_deref())
            .query_opt("cursor", self.cursor.as_ref().map(|cursor| &cursor.0));
        let found = period.of(request).answer::<Vec<Issue>>().await;
        let found = corrected(&org, About::Issues, found).await?;
        let next = next(&found);
        let items = found.body.iter().map(|issue| item(cx, &org, issue));
        Ok(Output::of(items.collect()).next(next))
    }
}

/// An issue as lists show it.
pub(super) fn item(cx: &Cx, org: &Org, issue: &Issue) -> Item {
    let url = match issue.permalink.as_deref() {
        Some(url) if !url.is_empty() => url.to_owned(),
        _ => org.page(&["issues", &issue.id]),
    };
    let mut item = Item::new(&issue.id)
        .url(url)
        .uri(org.uri(cx, "issues", &issue.short_id, &[]))
        .field("short_id", issue.short_id.as_str())
        .field("title", text::clip(&issue.title, 200))
        .field("culprit", issue.culprit.as_deref())
        .field("level", issue.level.as_str())
        .field("status", issue.status.as_str())
        .field("substatus", issue.substatus.as_deref())
        .field("priority", issue.priority.as_deref())
        .field("project", issue.project.slug.as_str())
        .field("assigned", assigned(issue))
        .field(
            "events",
            issue
                .count
                .as_deref()
                .and_then(|count| count.parse::<u64>().ok()),
        )
        .field("users", issue.user_count)
        .field("first_seen", issue.first_seen.as_deref())
        .field("last_seen", issue.last_seen.as_deref());
    if issue.is_unhandled {
        item.set("unhandled", true);
    }
    if !matches!(issue.issue_category.as_str(), "" | "error") {
        item.set("category", issue.issue_category.as_str());
    }
    item
}

/// Who it is assigned to.
pub(super) fn assigned(issue: &Issue) -> Option<String> {
    issue
        .assigned_to
        .as_ref()
        .map(super::model::Assignee::shown)
}

/// Single events of an issue, or the latest of a project.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ListEvents {
    /// Id, short id or URL.
    #[serde(default)]
    issue: Option<String>,
    /// Or a project's slug.
    #[serde(default)]
    project: Option<String>,
    /// Event search; with `issue`.
    #[serde(default)]
    q: Option<String>,
    /// Name.
    #[serde(default)]
    env: Option<String>,
    /// 24h, 14d or a date.
    #[serde(default)]
    since: Option<String>,
    /// Which.
    #[serde(default)]
    org: Option<String>,
    /// With `issue`.
    #[serde(default)]
    limit: Limit<20, 100>,
    #[serde(default)]
    cursor: Option<Cursor>,
}

impl Tool for ListEvents {
    const NAME: &'static str = "sentry_list_events";
    const TITLE: &'static str = "List events";
    const EFFECT: Effect = Effect::Read;
    const SCOPES: Needs = Needs::Any(&["event:read", "project:read"]);
    const AUDIT: AuditArgs = AuditArgs {
        plain: &["issue", "project", "env", "since", "org"],
        dropped: &[],
    };

    async fn call(self, cx: &Cx) -> Result<Output, ToolError> {
        let period = Period::read(self.since.as_deref(), "14d", cx.now)?;
        let cursor = self.cursor.as_ref().map(|cursor| &cursor.0);
        let (org, found) = match (&self.issue, &self.project) {
            (Some(issue), None) => {
                cx.require("event:read")?;
                let named = Named::issue(issue)?;
                let org = named.org(cx, self.org.as_deref()).await?;
                let number = named.number(&org).await?;
                let request = org
                    .get(&["issues", &number, "events"])
                    .query("per_page", self.limit.get())
                    .query_opt("query", self.q.as_deref())
                    .query_opt("environment", self.env.as_deref())
                    .query_opt("cursor", cursor);
                let found = period.of(request).answer::<Vec<Event>>().await;
                let found = match found {
                    Err(error @ ProviderError::NotFound) => {
                        seen(&format!("issue {}", named.id), Err(error))?
                    }
                    found => corrected(&org, About::Rows("errors"), found).await?,
                };
                (org, found)
            }
            (None, Some(project)) => {
                cx.require("project:read")?;
                if self.q.is_some() || self.env.is_some() {
                    return Err(ToolError::Invalid(
                        "`q` and `env` go with `issue`; search a project's events with sentry_query_events"
                            .to_owned(),
                    ));
                }
                let org = Org::of(cx, self.org.as_deref()).await?;
                let request = org
                    .project(project, &["events"])
                    .query_opt("cursor", cursor);
                let found = period.of(request).answer::<Vec<Event>>().await;
                (org, seen(&format!("project {project}"), found)?)
            }
            _ => {
                return Err(ToolError::Invalid(
                    "give either `issue` or `project`".to_owned(),
                ));
            }
        };
        let next = next(&found);
        let items = found.body.iter().map(|found| event::item(cx, &org, found));
        Ok(Output::of(items.collect()).next(next))
    }
}
