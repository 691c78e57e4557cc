//! One issue with its event, as much of it as helps to mend it.

use futures_util::future::join;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::auth::EVENTS;
use super::event;
use super::issues;
use super::model::{Event, Issue};
use super::names::Named;
use super::org::{Org, seen};
use crate::kit::args::Limit;
use crate::kit::error::{ProviderError, ToolError};
use crate::kit::output::{Item, Output};
use crate::kit::text;
use crate::kit::tool::{AuditArgs, Cx, Effect, Needs, Tool};

/// Tags whose values are counted.
const COUNTED: [&str; 4] = ["environment", "release", "browser", "os"];
/// Comments shown, the latest first.
const COMMENTS: usize = 10;

#[derive(Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub(super) enum Section {
    Exception,
    Breadcrumbs,
    Tags,
    Counts,
    Comments,
}

/// An issue with an event: exception, own frames with source, breadcrumbs, tags, release.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct GetIssue {
    /// Id, short id or URL.
    issue: String,
    /// latest, oldest, recommended or an event id.
    #[serde(default)]
    event: Option<String>,
    /// Default: exception, breadcrumbs, tags.
    #[serde(default)]
    sections: Vec<Section>,
    /// Stack frames.
    #[serde(default)]
    frames: Limit<8, 50>,
    /// Which.
    #[serde(default)]
    org: Option<String>,
}

impl Tool for GetIssue {
    const NAME: &'static str = "sentry_get_issue";
    const TITLE: &'static str = "Get issue";
    const EFFECT: Effect = Effect::Read;
    const SCOPES: Needs = EVENTS;
    const AUDIT: AuditArgs = AuditArgs {
        plain: &["issue", "event", "org"],
        dropped: &[],
    };

    async fn call(self, cx: &Cx) -> Result<Output, ToolError> {
        let named = Named::issue(&self.issue)?;
        let org = named.org(cx, self.org.as_deref()).await?;
        let wanted = self.event.clone().or_else(|| named.event.clone());
        let found = read(cx, &org, &named, wanted.as_deref().unwrap_or("latest")).await?;
        let usual = [Section::Exception, Section::Breadcrumbs, Section::Tags];
        let sections = if self.sections.is_empty() {
            &usual[..]
        } else {
            &self.sections
        };
        let mut item = shown(cx, &org, &found.issue);
        let mut output = Output::default();
        match found.event {
            Some(event) => {
                let has = |section| sections.contains(&section);
                let frames = if has(Section::Exception) {
                    self.frames.get() as usize
                } else {
                    0
                };
                let crumbs = if has(Section::Breadcrumbs) {
                    event::CRUMBS
                } else {
                    0
                };
                let mut all = event::condensed(&event, frames, crumbs);
                if !has(Section::Tags) {
                    all.remove("tags");
                }
                item.set("event", Value::Object(all));
            }
            None => output = output.warn("no event of this issue is kept any more"),
        }
        if sections.contains(&Section::Counts) {
            item.set("counts", counts(&org, &found.issue.id).await?);
        }
        if sections.contains(&Section::Comments) {
            item.set("comments", comments(&found.issue));
        }
        output.items.push(item);
        Ok(output)
    }
}

/// An issue and an event of it.
pub(super) struct Found {
    pub(super) issue: Issue,
    /// `None` when none is kept.
    pub(super) event: Option<Event>,
}

/// Reads an issue and the event that `wanted` names: one of Sentry's words, or an id.
pub(super) async fn read(
    cx: &Cx,
    org: &Org,
    named: &Named,
    wanted: &str,
) -> Result<Found, ToolError> {
    let number = named.number(org).await?;
    let what = format!("issue {}", named.id);
    let path = ["issues", &number];
    let issue = org.get(&path).query("collapse", "stats").send::<Issue>();
    let is_word = matches!(wanted, "latest" | "oldest" | "recommended");
    if is_word {
        let path = ["issues", &number, "events", wanted];
        let (issue, event) = join(issue, org.get(&path).send::<Event>()).await;
        let issue = seen(&what, issue)?;
        let event = match event {
            Ok(event) => Some(event),
            Err(ProviderError::NotFound) => None,
            Err(error) => return Err(error.into()),
        };
        return Ok(Found { issue, event });
    }
    let issue = seen(&what, issue.await)?;
    cx.require("project:read")?;
    let event = org.project(&issue.project.slug, &["events", wanted]);
    let event = seen(&format!("event {wanted}"), event.send::<Event>().await)?;
    if event
        .group_id
        .as_ref()
        .is_some_and(|group| *group != issue.id)
    {
        return Err(ToolError::NotFound(format!(
            "event {wanted} belongs to issue {} and not to {}",
            event.group_id.unwrap_or_default(),
            named.id
        )));
    }
    Ok(Found {
        issue,
        event: Some(event),
    })
}

/// The issue itself.
pub(super) fn shown(cx: &Cx, org: &Org, issue: &Issue) -> Item {
    let version = |release: &Option<super::model::ReleaseName>| {
        release.as_ref().and_then(|release| release.version.clone())
    };
    issues::item(cx, org, issue)
        .field("status_details", Value::Object(details(issue)))
        .field("first_release", version(&issue.first_release))
        .field("last_release", version(&issue.last_release))
        .field(
            "comments",
            (issue.num_comments > 0).then_some(issue.num_comments),
        )
}

/// Why and until when it is resolved or archived, without the person's profile.
fn details(issue: &Issue) -> Map<String, Value> {
    let mut details = issue.status_details.clone();
    let actor = details.remove("actor");
    if let Some(name) = actor.as_ref().and_then(|actor| actor["name"].as_str()) {
        details.insert("by".to_owned(), name.into());
    }
    details
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Values {
    #[serde(default)]
    total_values: Option<u64>,
    #[serde(default)]
    top_values: Option<Vec<Value>>,
}

/// How often each value of the tags that tell most has come.
pub(super) async fn counts(org: &Org, number: &str) -> Result<Map<String, Value>, ToolError> {
    let mut all = Map::new();
    for key in COUNTED {
        let path = ["issues", number, "tags", key];
        let found = match org.get(&path).send::<Values>().await {
            Ok(found) => found,
            // No event of it has this tag.
            Err(ProviderError::NotFound) => continue,
            Err(error) => return Err(error.into()),
        };
        let top = found.top_values.unwrap_or_default();
        let top = top.iter().take(5).filter_map(|value| {
            let name = value["name"].as_str().or_else(|| value["value"].as_str())?;
            Some((text::clip(name, 100), value["count"].clone()))
        });
        let mut values: Map<String, Value> = top.collect();
        values.extend(found.total_values.map(|all| ("all".to_owned(), json!(all))));
        all.insert(key.to_owned(), Value::Object(values));
    }
    Ok(all)
}

/// What people wrote, the latest first.
pub(super) fn comments(issue: &Issue) -> Vec<Value> {
    let notes = issue.activity.iter().filter(|one| one["type"] == "note");
    let notes = notes.take(COMMENTS).filter_map(|note| {
        let said = note["data"]["text"].as_str()?;
        Some(json!({
            "by": note["user"]["name"].as_str().unwrap_or("somebody"),
            "at": note["dateCreated"],
            "text": text::clip(said, 1_000),
        }))
    });
    notes.collect()
}
