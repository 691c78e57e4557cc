//! The organization: where it is, and what it has.

use futures_util::future::{OptionFuture, join};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::auth::ORG;
use super::model::{Project, Team};
use super::org::{Org, next};
use crate::kit::args::{Cursor, Limit};
use crate::kit::error::ToolError;
use crate::kit::output::{Item, Output};
use crate::kit::tool::{AuditArgs, Cx, Effect, Granted, Needs, Tool};

/// The organization with region, projects and teams, and what this connection may do; several organizations without `org` are listed.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct GetOrganization {
    /// Which.
    #[serde(default)]
    org: Option<String>,
    /// Part of a project's or team's name.
    #[serde(default)]
    q: Option<String>,
    /// Projects.
    #[serde(default)]
    limit: Limit<50, 100>,
    #[serde(default)]
    cursor: Option<Cursor>,
}

impl Tool for GetOrganization {
    const NAME: &'static str = "sentry_get_organization";
    const TITLE: &'static str = "Get organization";
    const EFFECT: Effect = Effect::Read;
    const SCOPES: Needs = ORG;
    const AUDIT: AuditArgs = AuditArgs {
        plain: &["org"],
        dropped: &[],
    };

    async fn call(self, cx: &Cx) -> Result<Output, ToolError> {
        let known = Org::all(cx)?;
        if self.org.is_none() && known.len() > 1 {
            let items = known.iter().map(item);
            return Ok(Output::of(items.collect())
                .warn("name one in `org` for its projects and teams, and in every other call"));
        }
        let org = Org::of(cx, self.org.as_deref()).await?;
        let projects = org
            .get(&["projects"])
            .query("per_page", self.limit.get())
            .query_opt("query", self.q.as_deref())
            .query_opt("cursor", self.cursor.as_ref().map(|cursor| &cursor.0));
        let may_see_teams = cx.granted.has("team:read") && self.cursor.is_none();
        let teams = may_see_teams.then(|| {
            let request = org
                .get(&["teams"])
                .query("detailed", "0")
                .query("per_page", self.limit.get())
                .query_opt("query", self.q.as_deref());
            request.send::<Vec<Team>>()
        });
        let (projects, teams) =
            join(projects.answer::<Vec<Project>>(), OptionFuture::from(teams)).await;
        let projects = projects?;
        let next = next(&projects);
        let mut output = Output::default();
        let mut item = item(&org);
        let shown = projects.body.iter().map(|project| {
            json!({
                "id": project.id, "slug": project.slug, "name": project.name, "platform": project.platform,
                "uri": org.uri(cx, "projects", &project.slug, &["health"]),
            })
        });
        item.set("projects", shown.collect::<Vec<_>>());
        match teams {
            Some(Ok(teams)) => {
                let teams = teams.iter();
                let teams =
                    teams.map(|team| json!({ "slug": team.slug, "members": team.member_count }));
                item.set("teams", teams.collect::<Vec<_>>());
            }
            Some(Err(error)) => output = output.warn(format!("teams could not be read: {error}")),
            None if self.cursor.is_none() => {
                output = output.warn("teams are not shown: that takes the permission team:read");
            }
            None => {}
        }
        if let Granted::Scopes(scopes) = &cx.granted {
            item.set("permissions", json!(scopes));
        }
        output.items.push(item);
        Ok(output.next(next))
    }
}

fn item(org: &Org) -> Item {
    let region = Some(org.region()).filter(|region| !region.is_empty());
    Item::new(&org.slug)
        .url(org.page(&[]))
        .field("name", org.name.as_str())
        .field("region", region.map_or(Value::Null, Value::from))
}
