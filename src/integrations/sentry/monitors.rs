//! Cron monitors: which jobs run, and how those that do not failed.

use futures_util::future::join_all;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::auth::ORG;
use super::org::{Org, next};
use crate::kit::args::Cursor;
use crate::kit::error::ToolError;
use crate::kit::output::{Item, Output};
use crate::kit::tool::{AuditArgs, Cx, Effect, Needs, Tool};

/// Failing monitors whose check-ins are read.
const EXAMINED: usize = 5;
/// Check-ins shown of each.
const CHECK_INS: usize = 5;

#[derive(Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub(super) enum State {
    Ok,
    Failing,
    Disabled,
    Muted,
}

/// Cron monitors with schedule, state and, where they fail, the last check-ins. Uptime checks: sentry_query_events.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ListMonitors {
    /// Part of the name.
    #[serde(default)]
    q: Option<String>,
    /// State.
    #[serde(default)]
    status: Option<State>,
    /// Slug.
    #[serde(default)]
    project: Option<String>,
    /// Name.
    #[serde(default)]
    env: Option<String>,
    /// Which.
    #[serde(default)]
    org: Option<String>,
    #[serde(default)]
    cursor: Option<Cursor>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Monitor {
    id: String,
    slug: String,
    name: String,
    #[serde(default)]
    status: String,
    #[serde(default)]
    is_muted: bool,
    #[serde(default)]
    config: Value,
    project: Slug,
    /// A list, or one of them alone.
    #[serde(default)]
    environments: Value,
}

#[derive(Deserialize)]
struct Slug {
    slug: String,
}

#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Environment {
    name: String,
    status: String,
    #[serde(default)]
    is_muted: bool,
    #[serde(default)]
    last_check_in: Option<String>,
    #[serde(default)]
    next_check_in: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CheckIn {
    #[serde(default)]
    status: String,
    #[serde(default)]
    environment: Option<String>,
    /// Milliseconds.
    #[serde(default)]
    duration: Option<u64>,
    #[serde(default)]
    date_created: Option<String>,
    #[serde(default)]
    expected_time: Option<String>,
}

impl Monitor {
    fn environments(&self) -> Vec<Environment> {
        let one = serde_json::from_value(self.environments.clone()).map(|one| vec![one]);
        one.or_else(|_| serde_json::from_value(self.environments.clone()))
            .unwrap_or_default()
    }

    fn state(&self) -> State {
        let environments = self.environments();
        if self.status == "disabled" {
            State::Disabled
        } else if self.is_muted
            || !environments.is_empty() && environments.iter().all(|one| one.is_muted)
        {
            State::Muted
        } else if environments
            .iter()
            .any(|one| !one.is_muted && one.status == "error")
        {
            State::Failing
        } else {
            State::Ok
        }
    }

    /// `*/5 * * * *` or `every 5 minute`.
    fn schedule(&self) -> String {
        match &self.config["schedule"] {
            Value::String(crontab) => crontab.clone(),
            Value::Array(parts) => {
                let parts = parts.iter();
                let words: Vec<String> = parts
                    .map(|part| {
                        part.as_str()
                            .map_or_else(|| part.to_string(), ToOwned::to_owned)
                    })
                    .collect();
                format!("every {}", words.join(" "))
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => String::new(),
        }
    }
}

impl Tool for ListMonitors {
    const NAME: &'static str = "sentry_list_monitors";
    const TITLE: &'static str = "List monitors";
    const EFFECT: Effect = Effect::Read;
    const SCOPES: Needs = ORG;
    const AUDIT: AuditArgs = AuditArgs {
        plain: &["q", "project", "env", "org"],
        dropped: &[],
    };

    async fn call(self, cx: &Cx) -> Result<Output, ToolError> {
        let org = Org::of(cx, self.org.as_deref()).await?;
        let request = org
            .get(&["monitors"])
            .query_opt("project", self.project.as_deref())
            .query_opt("environment", self.env.as_deref())
            .query_opt("cursor", self.cursor.as_ref().map(|cursor| &cursor.0));
        let found = request.answer::<Vec<Monitor>>().await?;
        let next = next(&found);
        let read = found.body.len();
        let wanted = self.q.as_deref().unwrap_or_default().to_lowercase();
        let monitors: Vec<Monitor> = found
            .body
            .into_iter()
            .filter(|monitor| {
                let named = monitor.name.to_lowercase().contains(&wanted)
                    || monitor.slug.to_lowercase().contains(&wanted);
                named && self.status.is_none_or(|status| monitor.state() == status)
            })
            .collect();
        let failing: Vec<&Monitor> = monitors
            .iter()
            .filter(|monitor| monitor.state() == State::Failing)
            .collect();
        let mut output = Output::default();
        // Sentry does not take these two, so they narrow what one page holds.
        if next.is_some() && (self.q.is_some() || self.status.is_some()) {
            output = output.warn(format!(
                "{} of the {read} monitors of this page fit `q` and `status`; there may be more on the next",
                monitors.len()
            ));
        }
        if failing.len() > EXAMINED {
            output = output.warn(format!(
                "check-ins of the first {EXAMINED} of {} failing monitors are shown",
                failing.len()
            ));
        }
        let may_look = cx.granted.has("project:read");
        if !may_look && !failing.is_empty() {
            output = output.warn("check-ins are not shown: that takes the permission project:read");
        }
        let examined = failing.iter().take(EXAMINED).filter(|_| may_look);
        let looks = examined.map(|monitor| async {
            let path = ["monitors", monitor.id.as_str(), "checkins"];
            (
                monitor.id.as_str(),
                org.get(&path).send::<Vec<CheckIn>>().await,
            )
        });
        let mut seen: Map<String, Value> = Map::new();
        for (id, found) in join_all(looks).await {
            match found {
                Ok(found) => {
                    let shown = found.iter().take(CHECK_INS).map(check_in);
                    seen.insert(id.to_owned(), shown.collect());
                }
                Err(error) => output = output.warn(format!("check-ins of monitor {id}: {error}")),
            }
        }
        output.items = monitors
            .iter()
            .map(|monitor| item(&org, monitor).field("check_ins", seen.remove(&monitor.id)))
            .collect();
        Ok(output.next(next))
    }
}

fn check_in(found: &CheckIn) -> Value {
    json!({
        "status": found.status, "environment": found.environment, "duration_ms": found.duration,
        "at": found.date_created, "expected": found.expected_time,
    })
}

fn item(org: &Org, monitor: &Monitor) -> Item {
    let state = match monitor.state() {
        State::Ok => "ok",
        State::Failing => "failing",
        State::Disabled => "disabled",
        State::Muted => "muted",
    };
    let environments = monitor.environments();
    let environments = environments.iter().map(|one| {
        json!({
            "name": one.name, "status": one.status, "last_check_in": one.last_check_in,
            "next_check_in": one.next_check_in,
        })
    });
    Item::new(&monitor.id)
        .url(org.page(&["crons", &monitor.project.slug, &monitor.slug]))
        .field("name", monitor.name.as_str())
        .field("slug", monitor.slug.as_str())
        .field("state", state)
        .field("project", monitor.project.slug.as_str())
        .field("schedule", monitor.schedule())
        .field("timezone", monitor.config["timezone"].as_str())
        .field("environments", environments.collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test says what went wrong by failing")]

    use super::*;

    fn monitor(schedule: &Value, environments: &Value) -> Monitor {
        serde_json::from_value(json!({
            "id": "m1", "slug": "m", "name": "M", "status": "active", "project": { "slug": "api" },
            "config": { "schedule": schedule }, "environments": environments,
        }))
        .unwrap()
    }

    /// The description has one environment, a running server answers a list.
    #[test]
    fn environments_come_alone_or_as_a_list() {
        let one = json!({ "name": "production", "status": "error" });
        let muted = json!({ "name": "staging", "status": "error", "isMuted": true });
        let fine = json!({ "name": "staging", "status": "ok" });
        for (environments, state) in [
            (one.clone(), State::Failing),
            (json!([fine, one]), State::Failing),
            (json!([fine, muted]), State::Ok),
            (json!([muted]), State::Muted),
            (json!([]), State::Ok),
        ] {
            let found = monitor(&json!("* * * * *"), &environments);
            assert!(found.state() == state, "{environments}");
        }
    }

    #[test]
    fn schedules_are_crontabs_or_intervals() {
        assert_eq!(
            monitor(&json!("0 3 * * *"), &json!([])).schedule(),
            "0 3 * * *"
        );
        assert_eq!(
            monitor(&json!([15, "minute"]), &json!([])).schedule(),
            "every 15 minute"
        );
    }
}
