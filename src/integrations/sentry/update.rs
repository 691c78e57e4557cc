//! Changing issues: one by one, so that one that cannot be changed does not hold up the others.

use futures_util::{StreamExt, stream};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::auth::CHANGES;
use super::issues;
use super::model::{Issue, Team};
use super::names::Named;
use super::org::{Org, seen, stretch};
use crate::kit::error::ToolError;
use crate::kit::output::{Item, Output};
use crate::kit::text;
use crate::kit::tool::{AuditArgs, Cx, Effect, Needs, Tool};

/// Issues changed by one call.
const MOST: usize = 25;
/// Issues read or changed at once.
const AT_ONCE: usize = 4;

#[derive(Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub(super) enum NewStatus {
    Unresolved,
    Resolved,
    // Until they escalate, unless `when` says until when.
    Archived,
    ArchivedForever,
}

#[derive(Clone, Copy, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub(super) enum Priority {
    Low,
    Medium,
    High,
}

/// Change up to 25 issues.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct UpdateIssue {
    /// Short ids or URLs too.
    ids: Vec<String>,
    /// State.
    #[serde(default)]
    status: Option<NewStatus>,
    /// Resolved: next, release:V, commit:repo@sha. Archived: 2h, 100 events, 5 users.
    #[serde(default)]
    when: Option<String>,
    /// E-mail, #team, none.
    #[serde(default)]
    assigned: Option<String>,
    /// Rank.
    #[serde(default)]
    priority: Option<Priority>,
    /// To add.
    #[serde(default)]
    comment: String,
    /// Which.
    #[serde(default)]
    org: Option<String>,
}

impl UpdateIssue {
    /// What Sentry is sent, without the assignee.
    fn body(&self) -> Result<Map<String, Value>, ToolError> {
        let mut body = Map::new();
        let when = self.when.as_deref().map(str::trim);
        let when = when.filter(|when| !when.is_empty());
        let wrong = |said: &str| {
            ToolError::Invalid(format!(
                "`when` must be {said}, and not `{}`",
                text::clip(when.unwrap_or_default(), 60)
            ))
        };
        let details = match (self.status, when) {
            (_, None) => Map::new(),
            (Some(NewStatus::Resolved), Some(when)) => resolved(when).ok_or_else(|| {
                wrong("next, release:VERSION or commit:repository@sha with the status resolved")
            })?,
            (Some(NewStatus::Archived), Some(when)) => archived(when).ok_or_else(|| {
                wrong("such as 90m, 2h, 3d, 100 events or 5 users with the status archived")
            })?,
            (_, Some(_)) => {
                return Err(ToolError::Invalid(
                    "`when` goes with the status resolved or archived".to_owned(),
                ));
            }
        };
        if let Some(status) = self.status {
            let (word, substatus) = match status {
                NewStatus::Unresolved => ("unresolved", None),
                NewStatus::Resolved => ("resolved", None),
                NewStatus::Archived if when.is_some() => {
                    ("ignored", Some("archived_until_condition_met"))
                }
                NewStatus::Archived => ("ignored", Some("archived_until_escalating")),
                NewStatus::ArchivedForever => ("ignored", Some("archived_forever")),
            };
            body.insert("status".to_owned(), json!(word));
            body.insert("statusDetails".to_owned(), Value::Object(details));
            body.extend(substatus.map(|word| ("substatus".to_owned(), json!(word))));
        }
        body.extend(
            self.priority
                .map(|priority| ("priority".to_owned(), json!(priority))),
        );
        Ok(body)
    }
}

/// `next`, `release:2.4.0` or `commit:acme/web@1a2b3c4`.
fn resolved(when: &str) -> Option<Map<String, Value>> {
    let (name, value) = match when.split_once(':') {
        None if when == "next" => ("inNextRelease", json!(true)),
        Some(("release", version)) if !version.trim().is_empty() => {
            ("inRelease", json!(version.trim()))
        }
        Some(("commit", commit)) => {
            let (repository, sha) = commit.trim().rsplit_once('@')?;
            (
                "inCommit",
                json!({ "repository": repository, "commit": sha }),
            )
        }
        _other => return None,
    };
    Some(Map::from_iter([(name.to_owned(), value)]))
}

/// `2h`, `100 events` or `5 users`.
fn archived(when: &str) -> Option<Map<String, Value>> {
    let (name, count) = if let Some(length) = stretch(when) {
        ("ignoreDuration", length.as_secs() / 60)
    } else {
        let (count, unit) = when.split_once(' ')?;
        let name = match unit.trim() {
            "event" | "events" => "ignoreCount",
            "user" | "users" => "ignoreUserCount",
            _other => return None,
        };
        (name, count.parse::<u64>().ok().filter(|count| *count > 0)?)
    };
    Some(Map::from_iter([(name.to_owned(), json!(count))]))
}

/// An issue to change, and how it is now.
struct Target {
    name: String,
    issue: Result<Issue, ToolError>,
}

impl Tool for UpdateIssue {
    const NAME: &'static str = "sentry_update_issue";
    const TITLE: &'static str = "Update issues";
    // The same comment again is another comment.
    const EFFECT: Effect = Effect::Write { idempotent: false };
    const SCOPES: Needs = CHANGES;
    const AUDIT: AuditArgs = AuditArgs {
        plain: &["ids", "org"],
        dropped: &["comment"],
    };
    /// Who is assigned or follows the issue gets mail.
    const OUTWARD: bool = true;

    async fn call(self, cx: &Cx) -> Result<Output, ToolError> {
        if self.ids.is_empty() || self.ids.len() > MOST {
            return Err(ToolError::Invalid(format!(
                "`ids` must name 1 to {MOST} issues"
            )));
        }
        let mut named: Vec<Named> = Vec::new();
        for text in &self.ids {
            let one = Named::issue(text)?;
            if !named
                .iter()
                .any(|known| known.id.eq_ignore_ascii_case(&one.id))
            {
                named.push(one);
            }
        }
        let mut body = self.body()?;
        if body.is_empty() && self.assigned.is_none() && self.comment.trim().is_empty() {
            return Err(ToolError::Invalid(
                "nothing would change: give `status`, `assigned`, `priority` or `comment`"
                    .to_owned(),
            ));
        }
        let orgs = named.iter().filter_map(|one| one.org.as_deref());
        let mut orgs: Vec<&str> = orgs.collect();
        orgs.dedup();
        if orgs.len() > 1 && self.org.is_none() {
            return Err(ToolError::Invalid(
                "the issues belong to several organizations; change those of one at a time"
                    .to_owned(),
            ));
        }
        let wanted = self.org.as_deref().or_else(|| orgs.first().copied());
        let org = Org::of(cx, wanted).await?;
        if let Some(assigned) = &self.assigned {
            body.insert(
                "assignedTo".to_owned(),
                assignee(cx, &org, assigned).await?.into(),
            );
        }
        let org = &org;
        let targets: Vec<Target> = stream::iter(named)
            .map(|one| async move {
                Target {
                    issue: read(org, &one).await,
                    name: one.id,
                }
            })
            .buffered(AT_ONCE)
            .collect()
            .await;
        if cx.dry_run {
            return finish(targets.into_iter().map(|target| {
                let shown = target
                    .issue
                    .map(|issue| self.preview(cx, org, &issue, &body));
                (target.name, shown)
            }));
        }
        let all = u32::try_from(targets.len()).ok();
        let (this, body) = (&self, &body);
        let mut changing = stream::iter(targets)
            .map(|target| async move {
                let done = match target.issue {
                    Ok(issue) => this.change(cx, org, &issue, body).await,
                    Err(error) => Err(error),
                };
                (target.name, done)
            })
            .buffered(AT_ONCE);
        let mut done = Vec::new();
        while let Some(one) = changing.next().await {
            done.push(one);
            cx.progress.step(
                u32::try_from(done.len()).unwrap_or(u32::MAX),
                all,
                "issues changed",
            );
        }
        finish(done)
    }
}

impl UpdateIssue {
    fn preview(&self, cx: &Cx, org: &Org, issue: &Issue, body: &Map<String, Value>) -> Item {
        let before = |name: &str| match name {
            "status" => json!(issue.status),
            "substatus" => json!(issue.substatus),
            "priority" => json!(issue.priority),
            "assignedTo" => json!(issues::assigned(issue)),
            _other => Value::Object(Map::new()),
        };
        let shown = body.iter().filter_map(|(name, after)| {
            let (before, after) = match name.as_str() {
                "assignedTo" => {
                    let wanted = self.assigned.as_deref().map(str::trim);
                    let wanted = wanted.filter(|wanted| !matches!(*wanted, "" | "none"));
                    (before(name), json!(wanted))
                }
                _other => (before(name), after.clone()),
            };
            let same = before == after || after.as_object().is_some_and(Map::is_empty);
            (!same).then(|| (name.clone(), json!({ "before": before, "after": after })))
        });
        let changes: Map<String, Value> = shown.collect();
        let mut item = issues::item(cx, org, issue);
        item.fields
            .retain(|name, _| matches!(name.as_str(), "short_id" | "title" | "project"));
        item.field("dry_run", true)
            .field("changes", changes)
            .field("comment", self.comment.trim())
    }

    async fn change(
        &self,
        cx: &Cx,
        org: &Org,
        issue: &Issue,
        body: &Map<String, Value>,
    ) -> Result<Item, ToolError> {
        let mut changed = None;
        if !body.is_empty() {
            let request = org.put(&["issues", &issue.id]).json(body);
            changed = Some(request.send::<Issue>().await?);
        }
        let mut item = issues::item(cx, org, changed.as_ref().unwrap_or(issue));
        let comment = self.comment.trim();
        if !comment.is_empty() {
            let path = ["issues", &issue.id, "notes"];
            let sent = org
                .post(&path)
                .json(&json!({ "text": comment }))
                .done()
                .await;
            match sent {
                Ok(()) => item.set("commented", true),
                Err(error) if changed.is_some() => {
                    item.set("not_commented", error.to_string());
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(item)
    }
}

async fn read(org: &Org, named: &Named) -> Result<Issue, ToolError> {
    let number = named.number(org).await?;
    let path = ["issues", &number];
    let found = org.get(&path).query("collapse", "stats").send().await;
    seen(&format!("issue {}", named.id), found)
}

/// As Sentry takes it: an address or user name, a team by its number, or nothing.
async fn assignee(cx: &Cx, org: &Org, text: &str) -> Result<String, ToolError> {
    let text = text.trim();
    if matches!(text, "" | "none") {
        return Ok(String::new());
    }
    let Some(slug) = text.strip_prefix('#') else {
        return Ok(text.to_owned());
    };
    cx.require("team:read")?;
    let request = org
        .get(&["teams"])
        .query("detailed", "0")
        .query("query", slug);
    let teams: Vec<Team> = request.send().await?;
    let team = teams
        .iter()
        .find(|team| team.slug.eq_ignore_ascii_case(slug));
    team.map(|team| format!("team:{}", team.id)).ok_or_else(|| {
        ToolError::Invalid(format!(
            "no team `#{slug}` is visible to this account in `{}`",
            org.slug
        ))
    })
}

/// What was done, with a warning for each that was not; a failure only when none was.
fn finish(
    done: impl IntoIterator<Item = (String, Result<Item, ToolError>)>,
) -> Result<Output, ToolError> {
    let mut output = Output::default();
    let mut first = None;
    for (name, one) in done {
        match one {
            Ok(item) => {
                if let Some(why) = item.fields.get("not_commented").and_then(Value::as_str) {
                    output
                        .warnings
                        .push(format!("{name} was changed, but not commented on: {why}"));
                }
                output.items.push(item);
            }
            Err(error) => {
                output
                    .warnings
                    .push(format!("{name} was not changed: {error}"));
                first.get_or_insert(error);
            }
        }
    }
    match first {
        Some(error) if output.items.is_empty() => Err(error),
        _ => Ok(output),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test says what went wrong by failing")]

    use super::*;

    fn body(arguments: &Value) -> Result<Map<String, Value>, ToolError> {
        let mut all = json!({ "ids": ["1"] });
        let given = arguments.as_object().unwrap().clone();
        all.as_object_mut().unwrap().extend(given);
        serde_json::from_value::<UpdateIssue>(all).unwrap().body()
    }

    #[test]
    fn changes_are_what_sentry_takes() {
        for (arguments, expected) in [
            (
                json!({ "status": "resolved" }),
                json!({ "status": "resolved", "statusDetails": {} }),
            ),
            (
                json!({ "status": "resolved", "when": "next", "priority": "low" }),
                json!({ "status": "resolved", "statusDetails": { "inNextRelease": true }, "priority": "low" }),
            ),
            (
                json!({ "status": "resolved", "when": "release:web@2.4.0" }),
                json!({ "status": "resolved", "statusDetails": { "inRelease": "web@2.4.0" } }),
            ),
            (
                json!({ "status": "resolved", "when": "commit:acme/web@1a2b" }),
                json!({ "status": "resolved",
                        "statusDetails": { "inCommit": { "repository": "acme/web", "commit": "1a2b" } } }),
            ),
            (
                json!({ "status": "archived" }),
                json!({ "status": "ignored", "statusDetails": {}, "substatus": "archived_until_escalating" }),
            ),
            (
                json!({ "status": "archived", "when": "2h" }),
                json!({ "status": "ignored", "statusDetails": { "ignoreDuration": 120 },
                        "substatus": "archived_until_condition_met" }),
            ),
            (
                json!({ "status": "archived", "when": "100 events" }),
                json!({ "status": "ignored", "statusDetails": { "ignoreCount": 100 },
                        "substatus": "archived_until_condition_met" }),
            ),
            (json!({}), json!({})),
        ] {
            let found = body(&arguments).unwrap();
            assert_eq!(Value::Object(found), expected, "{arguments}");
        }
        for wrong in [
            json!({ "when": "next" }),
            json!({ "status": "archived", "when": "next" }),
            json!({ "status": "archived", "when": "0 events" }),
            json!({ "status": "resolved", "when": "5 users" }),
            json!({ "status": "resolved", "when": "release:" }),
            json!({ "status": "resolved", "when": "commit:1a2b" }),
            json!({ "status": "archived_forever", "when": "2h" }),
        ] {
            assert!(body(&wrong).is_err(), "{wrong}");
        }
    }
}
