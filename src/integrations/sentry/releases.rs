//! Releases: who uses them, how often they crash, and what is in them.

use futures_util::future::{join, join4};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::auth::RELEASES;
use super::help::is;
use super::model::{Commit, Deploy, Group, Grouped, Release};
use super::org::{Org, Period, each, next, seen};
use crate::kit::args::{Cursor, Limit};
use crate::kit::client::Request;
use crate::kit::error::ToolError;
use crate::kit::output::{Item, Output};
use crate::kit::text;
use crate::kit::tool::{AuditArgs, Cx, Effect, Needs, Tool};

/// What is counted of sessions.
const COUNTED: [&str; 4] = [
    "sum(session)",
    "count_unique(user)",
    "crash_free_rate(session)",
    "crash_free_rate(user)",
];
/// Commits and deploys shown.
const SHOWN: usize = 20;

/// Releases with adoption, crash-free rates and new issues; one `version` with its commits and deploys.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct GetReleaseHealth {
    /// Slug.
    #[serde(default)]
    project: Option<String>,
    /// Only this.
    #[serde(default)]
    version: Option<String>,
    /// Part of a version.
    #[serde(default)]
    q: Option<String>,
    /// Name.
    #[serde(default)]
    env: Option<String>,
    /// Of the sessions: 24h, 14d or a date.
    #[serde(default)]
    since: Option<String>,
    /// Which.
    #[serde(default)]
    org: Option<String>,
    #[serde(default)]
    limit: Limit<10, 100>,
    #[serde(default)]
    cursor: Option<Cursor>,
}

impl Tool for GetReleaseHealth {
    const NAME: &'static str = "sentry_get_release_health";
    const TITLE: &'static str = "Get release health";
    const EFFECT: Effect = Effect::Read;
    const SCOPES: Needs = RELEASES;
    const AUDIT: AuditArgs = AuditArgs {
        plain: &["project", "version", "q", "env", "since", "org"],
        dropped: &[],
    };

    async fn call(self, cx: &Cx) -> Result<Output, ToolError> {
        let org = Org::of(cx, self.org.as_deref()).await?;
        let period = Period::read(self.since.as_deref(), "14d", cx.now)?;
        if let Some(version) = &self.version {
            let (project, env) = (self.project.as_deref(), self.env.as_deref());
            let (item, warning) = one(cx, &org, version, &period, (project, env)).await?;
            let mut output = Output::one(item);
            output.warnings.extend(warning);
            return Ok(output);
        }
        let narrowed = |request: Request| {
            request
                .query_opt("project", self.project.as_deref())
                .query_opt("environment", self.env.as_deref())
        };
        let releases = narrowed(org.get(&["releases"]))
            .query("per_page", self.limit.get())
            .query_opt("query", self.q.as_deref())
            .query_opt("cursor", self.cursor.as_ref().map(|cursor| &cursor.0));
        let sessions = narrowed(sessions(&org, &period))
            .query("groupBy", "release")
            .query("per_page", 100);
        let (releases, sessions) = join(
            releases.answer::<Vec<Release>>(),
            sessions.send::<Grouped>(),
        )
        .await;
        let releases = seen("the project", releases)?;
        let next = next(&releases);
        let mut output = Output::default();
        let groups = match sessions {
            Ok(found) => found.groups,
            Err(error) => {
                output = output.warn(format!("sessions could not be read: {error}"));
                Vec::new()
            }
        };
        let all = groups
            .iter()
            .map(|group| number(group, "sum(session)"))
            .sum();
        output.items = releases
            .body
            .iter()
            .map(|release| {
                let group = groups
                    .iter()
                    .find(|group| group.by.get("release") == Some(&json!(release.version)));
                let mut item = item(cx, &org, release);
                if let Some(group) = group {
                    item.fields.extend(health(group, all));
                }
                item
            })
            .collect();
        Ok(output.next(next))
    }
}

fn sessions(org: &Org, period: &Period) -> Request {
    let counted = COUNTED.map(ToOwned::to_owned);
    let request = each(org.get(&["sessions"]), "field", &counted);
    period.of(request).query("includeSeries", 0)
}

/// One release with what is in it, in this project and environment where they are named. What Sentry takes neither for is
/// of all: its dates, counts and commits.
pub(super) async fn one(
    cx: &Cx,
    org: &Org,
    version: &str,
    period: &Period,
    (project, env): (Option<&str>, Option<&str>),
) -> Result<(Item, Option<String>), ToolError> {
    let path = ["releases", version];
    let commits = ["releases", version, "commits"];
    let deploys = ["releases", version, "deploys"];
    let release = org
        .get(&path)
        .query_opt("project", project)
        // The description says truth value; servers have taken `1` alone (`organization_release_details.py`).
        .query("adoptionStages", 1);
    let sessions = sessions(org, period)
        .query("query", is("release", version))
        .query_opt("project", project)
        .query_opt("environment", env);
    let (release, commits, deploys, sessions) = join4(
        release.send::<Release>(),
        org.get(&commits).send::<Vec<Commit>>(),
        org.get(&deploys).send::<Vec<Deploy>>(),
        sessions.send::<Grouped>(),
    )
    .await;
    let release = seen(&format!("release {version}"), release)?;
    let mut item = item(cx, org, &release);
    let mut missing = Vec::new();
    match sessions {
        Ok(found) => {
            if let Some(group) = found.groups.first() {
                item.fields.extend(health(group, 0.0));
            }
        }
        Err(error) => missing.push(format!("sessions: {error}")),
    }
    match commits {
        Ok(commits) => item.set(
            "commits",
            commits.iter().take(SHOWN).map(commit).collect::<Vec<_>>(),
        ),
        Err(error) => missing.push(format!("commits: {error}")),
    }
    match deploys {
        Ok(deploys) => {
            let there = deploys
                .iter()
                .filter(|deploy| env.is_none_or(|env| deploy.environment == env));
            item.set("deploys", there.take(SHOWN).map(deploy).collect::<Vec<_>>());
        }
        Err(error) => missing.push(format!("deploys: {error}")),
    }
    let warning =
        (!missing.is_empty()).then(|| format!("could not be read: {}", missing.join("; ")));
    Ok((item, warning))
}

fn commit(commit: &Commit) -> Value {
    let said = commit.message.as_deref().unwrap_or_default();
    let said = said.lines().next().unwrap_or_default();
    json!({
        "id": commit.id.get(..12).unwrap_or(&commit.id),
        "message": text::clip(said, 120),
        "author": commit.author["name"].as_str(),
        "at": commit.date_created,
    })
}

fn deploy(deploy: &Deploy) -> Value {
    json!({ "environment": deploy.environment, "at": deploy.date_finished })
}

fn number(group: &Group, field: &str) -> f64 {
    group
        .totals
        .get(field)
        .and_then(Value::as_f64)
        .unwrap_or(0.0)
}

/// How a release is used; its share of all sessions where these are known.
fn health(group: &Group, all: f64) -> Map<String, Value> {
    let mut found = Map::new();
    let rate = |field: &str| {
        let rate = group.totals.get(field).and_then(Value::as_f64)?;
        Some((rate * 10_000.0).round() / 100.0)
    };
    for (field, name) in [
        ("sum(session)", "sessions"),
        ("count_unique(user)", "users"),
    ] {
        let count = group.totals.get(field).cloned();
        found.extend(count.map(|count| (name.to_owned(), count)));
    }
    for (field, name) in [
        ("crash_free_rate(session)", "crash_free_sessions_percent"),
        ("crash_free_rate(user)", "crash_free_users_percent"),
    ] {
        found.extend(rate(field).map(|rate| (name.to_owned(), json!(rate))));
    }
    if all > 0.0 {
        let share = number(group, "sum(session)") / all;
        let share = (share * 1_000.0).round() / 10.0;
        found.insert("adoption_percent".to_owned(), json!(share));
    }
    found
}

fn item(cx: &Cx, org: &Org, release: &Release) -> Item {
    let projects: Vec<&str> = release
        .projects
        .iter()
        .map(|project| project.slug.as_str())
        .collect();
    let stages = release.adoption_stages.iter().flatten();
    let stages: Map<String, Value> = stages
        .map(|(project, stage)| (project.clone(), stage["stage"].clone()))
        .collect();
    Item::new(&release.version)
        .url(org.page(&["releases", &release.version]))
        .uri(org.uri(cx, "releases", &release.version, &[]))
        .field("short_version", release.short_version.as_str())
        .field("status", release.status.as_str())
        .field("projects", projects)
        .field("created", release.date_created.as_deref())
        .field("released", release.date_released.as_deref())
        .field("new_issues", release.new_groups)
        .field("commit_count", release.commit_count)
        .field("deploy_count", release.deploy_count)
        .field("last_deploy", release.last_deploy.as_ref().map(deploy))
        .field("adoption", stages)
}
