//! Context blocks: what a conversation about a fault pulls in.
//!
//! The first id after the kind names the organization too where an account has several: `sentry://account/issues/acme:4501`.

use std::fmt::Write as _;

use futures_util::future::{join, join3};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::auth::{EVENTS, ORG, RELEASES};
use super::event;
use super::help::is;
use super::issue;
use super::model::{Event, Grouped, Issue, Release};
use super::names::Named;
use super::org::{Org, Period, each, seen};
use super::{releases, trace, usage};
use crate::kit::block::{Content, ContextBlock};
use crate::kit::error::{ProviderError, ToolError};
use crate::kit::text;
use crate::kit::tool::{Cx, Needs};

/// Values offered at most.
const MOST: usize = 100;
/// Organizations looked at for values.
const ORGS: usize = 5;
/// Stack frames in a block.
const FRAMES: usize = 12;
/// Issues of a project's health.
const ISSUES: u32 = 10;
/// Spans of a trace.
const SPANS: usize = 120;
/// Periods that are offered.
const PERIODS: [&str; 4] = ["24h", "7d", "14d", "30d"];

fn capped(cx: &Cx, text: &str) -> Content {
    let short = text::clip(text, cx.max_chars);
    Content {
        truncated: short.len() != text.len(),
        ..Content::text(short)
    }
}

/// Organizations to look for values in.
fn looked_at(cx: &Cx) -> Result<Vec<Org>, ToolError> {
    let mut all = Org::all(cx)?;
    all.truncate(ORGS);
    Ok(all)
}

/// Completion is a convenience: where the account may not look, nothing is offered.
fn optional<T: Default>(found: Result<T, ProviderError>) -> Result<T, ToolError> {
    match found {
        Ok(found) => Ok(found),
        Err(
            ProviderError::NotFound
            | ProviderError::Forbidden { .. }
            | ProviderError::Invalid { .. },
        ) => Ok(T::default()),
        Err(error) => Err(error.into()),
    }
}

fn fits(value: &str, prefix: &str) -> bool {
    value.to_lowercase().contains(&prefix.trim().to_lowercase())
}

/// Slugs of projects.
async fn slugs(cx: &Cx, prefix: &str) -> Result<Vec<String>, ToolError> {
    let mut found = Vec::new();
    for org in looked_at(cx)? {
        let projects = usage::projects(&org).await?;
        let offered = projects.iter().map(|project| org.offered(&project.slug));
        found.extend(offered.filter(|slug| fits(slug, prefix)));
    }
    found.truncate(MOST);
    Ok(found)
}

/// An issue with its latest event and comments.
#[derive(Deserialize)]
pub(super) struct IssueBlock {
    id: String,
}

impl ContextBlock for IssueBlock {
    const URI: &'static str = "sentry://{account}/issues/{id}";
    const NAME: &'static str = "sentry_issue";
    const TITLE: &'static str = "Issue";
    const DESCRIPTION: &'static str = "An issue with stack trace, breadcrumbs and comments.";
    const MIME: &'static str = "text/markdown";
    const SCOPES: Needs = EVENTS;

    async fn read(self, cx: &Cx) -> Result<Content, ToolError> {
        let (org, id) = Org::named(cx, &self.id).await?;
        let named = Named::issue(id)?;
        let found = issue::read(cx, &org, &named, "latest").await?;
        let item = issue::shown(cx, &org, &found.issue);
        let mut page = format!("# {}: {}\n\n", found.issue.short_id, found.issue.title);
        facts(&mut page, &item.fields, &["short_id", "title", "comments"]);
        if let Some(event) = &found.event {
            let at = event.date_created.as_deref().unwrap_or_default();
            let _ = write!(page, "\n## Latest event {} {at}\n\n", event.event_id);
            let context = event::condensed(event, 0, 0);
            facts(
                &mut page,
                &context,
                &[
                    "event_id", "at", "title", "tags", "contexts", "previous", "next",
                ],
            );
            let _ = write!(page, "\n```\n{}```\n", event::thrown(event, FRAMES));
            list(
                &mut page,
                "Breadcrumbs",
                event::breadcrumbs(event, event::CRUMBS),
            );
            let tags = event::tags(event);
            let tags = tags
                .iter()
                .map(|(name, value)| format!("{name}: {}", plain(value)));
            list(&mut page, "Tags", tags.collect());
        }
        let comments = issue::comments(&found.issue);
        let comments = comments.iter().map(|one| {
            format!(
                "{} ({}): {}",
                plain(&one["by"]),
                plain(&one["at"]),
                plain(&one["text"])
            )
        });
        list(&mut page, "Comments", comments.collect());
        Ok(Content {
            url: item.url,
            version: found.issue.last_seen,
            ..capped(cx, &page)
        })
    }

    async fn complete(
        cx: &Cx,
        _field: &str,
        prefix: &str,
        _chosen: &Map<String, Value>,
    ) -> Result<Vec<String>, ToolError> {
        let mut found = Vec::new();
        for org in looked_at(cx)? {
            let request = org
                .get(&["issues"])
                .query("query", "is:unresolved")
                .query("sort", "date")
                .query("limit", MOST);
            let issues: Vec<Issue> = optional(request.send().await)?;
            let fitting = issues.iter().filter(|issue| {
                fits(&org.offered(&issue.short_id), prefix) || fits(&issue.title, prefix)
            });
            found.extend(fitting.map(|issue| org.offered(&issue.short_id)));
        }
        found.truncate(MOST);
        Ok(found)
    }
}

/// A value as a line shows it.
fn plain(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), ToOwned::to_owned)
}

/// `- name: value` for what is short, leaving these out.
fn facts(page: &mut String, fields: &Map<String, Value>, without: &[&str]) {
    for (name, value) in fields {
        if !without.contains(&name.as_str()) {
            let name = name.replace('_', " ");
            let _ = writeln!(page, "- {name}: {}", text::clip(&plain(value), 300));
        }
    }
}

fn list(page: &mut String, title: &str, lines: Vec<String>) {
    if lines.is_empty() {
        return;
    }
    let _ = write!(page, "\n## {title}\n\n");
    for line in lines {
        let _ = writeln!(page, "- {line}");
    }
}

/// One event.
#[derive(Deserialize)]
pub(super) struct EventBlock {
    project: String,
    event_id: String,
}

impl ContextBlock for EventBlock {
    const URI: &'static str = "sentry://{account}/events/{project}/{event_id}";
    const NAME: &'static str = "sentry_event";
    const TITLE: &'static str = "Event";
    const DESCRIPTION: &'static str = "One event: exception, breadcrumbs, request and tags.";
    const MIME: &'static str = "application/json";
    const SCOPES: Needs = Needs::All(&["project:read"]);

    async fn read(self, cx: &Cx) -> Result<Content, ToolError> {
        let (org, project) = Org::named(cx, &self.project).await?;
        let request = org.project(project, &["events", &self.event_id]);
        let what = format!("event {} of {project}", self.event_id);
        let found = seen(&what, request.send::<Event>().await)?;
        let url = found
            .group_id
            .as_deref()
            .map(|group| org.page(&["issues", group, "events", &found.event_id]));
        // What is left out to make it fit: frames first, then breadcrumbs.
        let mut said = String::new();
        let mut truncated = false;
        for (frames, crumbs) in [(50, 100), (FRAMES, event::CRUMBS), (3, 3)] {
            truncated = !said.is_empty();
            let fields = Value::Object(event::condensed(&found, frames, crumbs));
            said = serde_json::to_string_pretty(&fields).unwrap_or_default();
            if said.chars().count() <= cx.max_chars {
                break;
            }
        }
        Ok(Content {
            url,
            version: Some(found.event_id),
            truncated,
            ..Content::text(said)
        })
    }

    async fn complete(
        cx: &Cx,
        field: &str,
        prefix: &str,
        chosen: &Map<String, Value>,
    ) -> Result<Vec<String>, ToolError> {
        if field == "project" {
            return slugs(cx, prefix).await;
        }
        let project = chosen.get("project").and_then(Value::as_str);
        let Some(project) = project.filter(|project| !project.is_empty()) else {
            return Ok(Vec::new());
        };
        let (org, project) = Org::named(cx, project).await?;
        let events: Vec<Event> = optional(org.project(project, &["events"]).send().await)?;
        let fitting = events
            .into_iter()
            .filter(|event| fits(&event.event_id, prefix) || fits(&event.title, prefix));
        Ok(fitting.take(MOST).map(|event| event.event_id).collect())
    }
}

/// How a project is.
#[derive(Deserialize)]
pub(super) struct HealthBlock {
    slug: String,
    #[serde(default)]
    period: String,
}

impl ContextBlock for HealthBlock {
    const URI: &'static str = "sentry://{account}/projects/{slug}/health{/period*}";
    const NAME: &'static str = "sentry_project_health";
    const TITLE: &'static str = "Project health";
    const DESCRIPTION: &'static str = "New and frequent issues, crash-free rate and releases of a project, over 14d or another period.";
    const MIME: &'static str = "text/markdown";
    const SCOPES: Needs = Needs::All(&["org:read", "event:read", "project:read"]);

    async fn read(self, cx: &Cx) -> Result<Content, ToolError> {
        let (org, slug) = Org::named(cx, &self.slug).await?;
        let period = Period::read(Some(&self.period), "14d", cx.now)?;
        let issues = |query: &str, sort: &str| {
            let request = org
                .get(&["issues"])
                .query("query", query)
                .query("sort", sort)
                .query("limit", ISSUES)
                .query("project", slug);
            period.of(request).send::<Vec<Issue>>()
        };
        let fields = ["sum(session)", "crash_free_rate(session)"].map(ToOwned::to_owned);
        let sessions = each(org.get(&["sessions"]), "field", &fields)
            .query("project", slug)
            .query("includeSeries", 0);
        let releases = org
            .get(&["releases"])
            .query("project", slug)
            .query("per_page", 5);
        let (frequent, (new, sessions, releases)) = join(
            issues("is:unresolved", "freq"),
            join3(
                issues("is:unresolved is:new", "new"),
                period.of(sessions).send::<Grouped>(),
                releases.send::<Vec<Release>>(),
            ),
        )
        .await;
        let what = format!("project {slug}");
        let frequent = seen(&what, frequent)?;
        let new = seen(&what, new)?;
        let mut page = format!("# Health of {slug} over {period}\n\n");
        if let Ok(sessions) = sessions
            && let Some(group) = sessions.groups.first()
        {
            let rate = group.totals.get("crash_free_rate(session)");
            let all = group.totals.get("sum(session)");
            if let (Some(rate), Some(all)) = (rate.and_then(Value::as_f64), all) {
                let _ = writeln!(
                    page,
                    "- Crash-free sessions: {:.2} % of {all}",
                    rate * 100.0
                );
            }
        }
        if let Some(release) = releases.as_deref().ok().and_then(<[Release]>::first) {
            let _ = writeln!(
                page,
                "- Latest release: {}, {} new issues",
                release.version, release.new_groups
            );
        }
        list(&mut page, "New issues", new.iter().map(line).collect());
        list(
            &mut page,
            "Most frequent issues",
            frequent.iter().map(line).collect(),
        );
        if new.is_empty() && frequent.is_empty() {
            page.push_str("\nNo unresolved issue was seen.\n");
        }
        let latest = frequent
            .iter()
            .chain(&new)
            .filter_map(|issue| issue.last_seen.clone());
        Ok(Content {
            url: Some(org.page(&["projects", slug])),
            version: latest.max(),
            ..capped(cx, &page)
        })
    }

    async fn complete(
        cx: &Cx,
        field: &str,
        prefix: &str,
        _chosen: &Map<String, Value>,
    ) -> Result<Vec<String>, ToolError> {
        if field == "period" {
            let fitting = PERIODS.iter().filter(|period| period.starts_with(prefix));
            return Ok(fitting.map(|&period| period.to_owned()).collect());
        }
        slugs(cx, prefix).await
    }
}

fn line(issue: &Issue) -> String {
    format!(
        "{} {} ({} events, {} users, last {})",
        issue.short_id,
        text::clip(&issue.title, 120),
        issue.count.as_deref().unwrap_or("?"),
        issue.user_count.unwrap_or(0),
        issue.last_seen.as_deref().unwrap_or("?"),
    )
}

/// A release.
#[derive(Deserialize)]
pub(super) struct ReleaseBlock {
    version: String,
}

impl ContextBlock for ReleaseBlock {
    const URI: &'static str = "sentry://{account}/releases/{version}";
    const NAME: &'static str = "sentry_release";
    const TITLE: &'static str = "Release";
    const DESCRIPTION: &'static str = "A release with health, new issues, commits and deploys.";
    const MIME: &'static str = "text/markdown";
    const SCOPES: Needs = RELEASES;

    async fn read(self, cx: &Cx) -> Result<Content, ToolError> {
        let (org, version) = Org::named(cx, &self.version).await?;
        let period = Period::read(None, "14d", cx.now)?;
        let (item, warning) = releases::one(cx, &org, version, &period, (None, None)).await?;
        let mut page = format!("# Release {version}\n\n");
        facts(
            &mut page,
            &item.fields,
            &["commits", "deploys", "last_deploy"],
        );
        if cx.granted.has("event:read") {
            let request = org
                .get(&["issues"])
                .query("query", is("firstRelease", version))
                .query("sort", "freq")
                .query("limit", ISSUES);
            let issues: Vec<Issue> = optional(period.of(request).send().await)?;
            list(&mut page, "New issues", issues.iter().map(line).collect());
        }
        let entries = |name: &str, parts: [&str; 3]| {
            let all = item.fields.get(name).and_then(Value::as_array);
            let shown = all.into_iter().flatten().map(|entry| {
                let words = parts.iter().filter_map(|part| entry[*part].as_str());
                words.collect::<Vec<_>>().join(" ")
            });
            shown.collect::<Vec<_>>()
        };
        list(
            &mut page,
            "Commits",
            entries("commits", ["id", "message", "author"]),
        );
        list(
            &mut page,
            "Deploys",
            entries("deploys", ["environment", "at", ""]),
        );
        if let Some(warning) = warning {
            let _ = writeln!(page, "\nSome of it {warning}.");
        }
        Ok(Content {
            url: item.url,
            ..capped(cx, &page)
        })
    }

    async fn complete(
        cx: &Cx,
        _field: &str,
        prefix: &str,
        _chosen: &Map<String, Value>,
    ) -> Result<Vec<String>, ToolError> {
        let mut found = Vec::new();
        for org in looked_at(cx)? {
            let typed = prefix
                .strip_prefix(&format!("{}:", org.slug))
                .unwrap_or(prefix);
            let request = org
                .get(&["releases"])
                .query("per_page", MOST)
                .query_opt("query", Some(typed).filter(|typed| !typed.is_empty()));
            let releases: Vec<Release> = optional(request.send().await)?;
            found.extend(releases.iter().map(|release| org.offered(&release.version)));
        }
        found.truncate(MOST);
        Ok(found)
    }
}

/// A trace.
#[derive(Deserialize)]
pub(super) struct TraceBlock {
    id: String,
}

impl ContextBlock for TraceBlock {
    const URI: &'static str = "sentry://{account}/traces/{id}";
    const NAME: &'static str = "sentry_trace";
    const TITLE: &'static str = "Trace";
    const DESCRIPTION: &'static str = "A trace as a tree of its slow and failed spans.";
    const MIME: &'static str = "text/markdown";
    const SCOPES: Needs = ORG;

    async fn read(self, cx: &Cx) -> Result<Content, ToolError> {
        let (org, id) = Org::named(cx, &self.id).await?;
        let named = Named::trace(id)?;
        let period = Period::read(None, "30d", cx.now)?;
        let limits = trace::Limits {
            min_ms: None,
            depth: 20,
            lines: SPANS,
        };
        let shown = trace::read(&org, &named.id, &period, &limits).await?;
        let mut page = format!(
            "# Trace {}\n\n- duration: {} ms\n",
            shown.id, shown.duration_ms
        );
        facts(
            &mut page,
            shown.counts.as_object().unwrap_or(&Map::new()),
            &[],
        );
        page.push('\n');
        for line in &shown.lines {
            let indent = "  ".repeat(line.depth);
            let _ = write!(
                page,
                "{indent}- {} ms {} {}",
                line.duration_ms, line.op, line.said
            );
            for (issue, said) in &line.faults {
                let _ = write!(page, " **{issue} {said}**");
            }
            if line.hidden > 0 {
                let _ = write!(page, " (+{} short spans)", line.hidden);
            }
            page.push('\n');
        }
        for missing in &shown.missing {
            let _ = writeln!(page, "\n{missing}.");
        }
        let content = capped(cx, &page);
        Ok(Content {
            url: Some(trace::page(&org, &shown.id)),
            version: None,
            truncated: content.truncated || shown.cut,
            ..content
        })
    }
}
