//! Searching: Microsoft Search over OneDrive and SharePoint, or, where that is not to be had, the search of one drive.

use std::fmt::Write as _;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::super::graph::{self, Page};
use super::super::refs::{SiteRef, borrowed, has_any, is_personal, require_any};
use super::super::sharepoint;
use super::super::times::{own_zone, past, seconds};
use super::READ;
use super::model::{DriveItem, FIELDS, Identities, explained};
use crate::kit::Timestamp;
use crate::kit::args::{Cursor, Limit};
use crate::kit::error::{ProviderError, ToolError};
use crate::kit::output::{Item, Output};
use crate::kit::text;
use crate::kit::tool::{AuditArgs, Cx, Effect, Needs, Tool};

/// Longest excerpt of a hit, in characters.
const EXCERPT: usize = 300;
/// The scopes with one of which Microsoft Search works; `Sites.Selected` and `Files.Read` are none of them.
const SEARCH: &[&str] = &[
    "Files.Read.All",
    "Files.ReadWrite.All",
    "Sites.Read.All",
    "Sites.ReadWrite.All",
];
/// Those with one of which it finds rows of lists and sites.
const SITES: &[&str] = &["Sites.Read.All", "Sites.ReadWrite.All"];

/// What to look for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
enum Kind {
    #[default]
    File,
    ListItem,
    Site,
}

impl Kind {
    /// Graph's entity type.
    const fn entity(self) -> &'static str {
        match self {
            Self::File => "driveItem",
            Self::ListItem => "listItem",
            Self::Site => "site",
        }
    }
}

/// Search the text and names of files in OneDrive and SharePoint, or list items or sites.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SearchFiles {
    /// Words or KQL, such as `budget filetype:xlsx`.
    q: String,
    #[serde(default, rename = "type")]
    kind: Kind,
    /// Only in this site: URL or id.
    #[serde(default)]
    site: String,
    /// Author's name.
    #[serde(default)]
    owner: String,
    /// Date, `7d`.
    #[serde(default)]
    modified_since: String,
    #[serde(default)]
    limit: Limit<15, 50>,
    #[serde(default)]
    cursor: Option<Cursor>,
}

/// Where a search goes on.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Mark {
    /// At this hit of Microsoft Search.
    Hit(u32),
    /// At this address of a drive's search.
    Link(String),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Response {
    #[serde(default)]
    hits_containers: Vec<Container>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Container {
    #[serde(default)]
    hits: Vec<Hit>,
    #[serde(default)]
    more_results_available: Option<bool>,
    #[serde(default)]
    total: Option<u64>,
}

#[derive(Deserialize)]
struct Hit {
    #[serde(default)]
    summary: Option<String>,
    resource: Value,
}

/// A site or a list's row as a hit.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Found {
    id: String,
    name: Option<String>,
    display_name: Option<String>,
    description: Option<String>,
    web_url: Option<String>,
    last_modified_date_time: Option<String>,
    created_by: Option<Identities>,
    fields: Option<Value>,
}

impl Tool for SearchFiles {
    const NAME: &'static str = "m365_search_files";
    const TITLE: &'static str = "Search files";
    const EFFECT: Effect = Effect::Read;
    const SCOPES: Needs = READ;
    const AUDIT: AuditArgs = AuditArgs {
        plain: &["type", "site", "modified_since"],
        dropped: &[],
    };

    async fn call(self, cx: &Cx) -> Result<Output, ToolError> {
        let zone = own_zone(cx).zone;
        let since = past("modified_since", &self.modified_since, cx.now, &zone)?;
        let mark: Option<Mark> = match &self.cursor {
            Some(cursor) => Some(cursor.read()?),
            None => None,
        };
        let from = match mark {
            Some(Mark::Link(link)) => return self.in_drive(cx, Some(&link), since).await,
            Some(Mark::Hit(from)) => from,
            None => 0,
        };
        if is_personal(cx) || !has_any(cx, SEARCH) {
            return self.in_drive(cx, None, since).await;
        }
        self.everywhere(cx, from, since).await
    }
}

impl SearchFiles {
    /// The words with the other arguments as KQL. Double quotes would end a value, and no name has them.
    fn query(&self, cx_site: Option<&str>, since: Option<Timestamp>) -> String {
        let mut query = graph::grouped(self.q.trim());
        let bare = |value: &str| value.replace('"', " ");
        if let Some(site) = cx_site {
            let _ = write!(query, " path:\"{}\"", bare(site));
        }
        if !self.owner.is_empty() {
            let _ = write!(query, " author:\"{}\"", bare(&self.owner));
        }
        if let Some(since) = since {
            let _ = write!(query, " LastModifiedTime>={}", seconds(since));
        }
        query.trim().to_owned()
    }

    async fn everywhere(
        &self,
        cx: &Cx,
        from: u32,
        since: Option<Timestamp>,
    ) -> Result<Output, ToolError> {
        if self.kind != Kind::File {
            require_any(cx, SITES)?;
        }
        let site = match SiteRef::parse(&self.site) {
            _ if self.site.is_empty() => None,
            // What Search knows of a site is its address.
            Some(site) => sharepoint::site(cx, &site).await?.web_url,
            None => return Err(sharepoint::not_a_site(&self.site)),
        };
        let query = self.query(site.as_deref(), since);
        if query.is_empty() {
            return Err(ToolError::Invalid("`q` is empty".to_owned()));
        }
        let request = json!({
            "entityTypes": [self.kind.entity()],
            "query": { "queryString": query },
            "from": from,
            "size": self.limit.get(),
        });
        let answer: Page<Response> = cx
            .api
            .post(&graph::path(&["search", "query"]))
            .json(&json!({ "requests": [request] }))
            .reads()
            .send()
            .await
            .map_err(|error| explained(cx, "Microsoft Search", error))?;
        let mut output = Output::default();
        let containers = answer.value.into_iter().flat_map(|one| one.hits_containers);
        for container in containers {
            output.total = output.total.or(container.total);
            let count = u32::try_from(container.hits.len()).unwrap_or(u32::MAX);
            if container.more_results_available == Some(true) && count > 0 {
                output.next_cursor = Some(Cursor::of(&Mark::Hit(from.saturating_add(count))));
            }
            let rows = container.hits.into_iter().map(|hit| self.row(cx, hit));
            output.items.extend(rows.collect::<Result<Vec<_>, _>>()?);
        }
        Ok(output)
    }

    fn row(&self, cx: &Cx, hit: Hit) -> Result<Item, ToolError> {
        let excerpt = excerpt(hit.summary.as_deref().unwrap_or_default());
        let odd = |error: serde_json::Error| ProviderError::Unavailable {
            reason: format!("answered an unreadable hit ({error})"),
        };
        if self.kind == Kind::File {
            let item: DriveItem = serde_json::from_value(hit.resource).map_err(odd)?;
            return Ok(item.row(cx).field("excerpt", excerpt));
        }
        let found: Found = serde_json::from_value(hit.resource).map_err(odd)?;
        let mut item = Item::new(&found.id);
        item.url = found.web_url;
        Ok(item
            .field("name", found.display_name.or(found.name))
            .field("type", self.kind.entity())
            .field("description", found.description)
            .field("modified", found.last_modified_date_time)
            .field("created_by", found.created_by.and_then(|who| who.name()))
            .field("fields", found.fields.unwrap_or_default())
            .field("excerpt", excerpt))
    }

    /// One drive's own search: the person's, or that of the site named. It knows neither KQL nor authors, so those are
    /// sorted out here, page by page.
    async fn in_drive(
        &self,
        cx: &Cx,
        link: Option<&str>,
        since: Option<Timestamp>,
    ) -> Result<Output, ToolError> {
        if self.kind != Kind::File {
            return Err(ToolError::Invalid(
                "`type`: this connection can only search files; other kinds need `Sites.Read.All` and a work account"
                    .to_owned(),
            ));
        }
        if self.q.trim().is_empty() {
            return Err(ToolError::Invalid("`q` is empty".to_owned()));
        }
        let request = if let Some(link) = link {
            graph::follow(cx, &Cursor(link.to_owned()))
        } else {
            let drive = match SiteRef::parse(&self.site) {
                _ if self.site.is_empty() => "me".to_owned(),
                Some(site) => sharepoint::drive_of(cx, &site).await?,
                None => return Err(sharepoint::not_a_site(&self.site)),
            };
            let search = format!("search(q={})", graph::quoted(self.q.trim()));
            let mut address = super::super::refs::FileRef::in_drive(&drive, "").address(&[]);
            address.push(search);
            cx.api
                .get(&borrowed(&address))
                .query("$select", FIELDS)
                .query("$top", self.limit.get())
        };
        let page: Page<DriveItem> = request
            .send()
            .await
            .map_err(|error| explained(cx, "this drive's search", error))?;
        let owner = self.owner.to_lowercase();
        let fits = |item: &&DriveItem| {
            let by = item.last_modified_by.as_ref().and_then(Identities::name);
            let at = item.last_modified_date_time.as_deref();
            (owner.is_empty() || by.is_some_and(|by| by.to_lowercase().contains(&owner)))
                && since.is_none_or(|since| {
                    at.and_then(Timestamp::parse_rfc3339)
                        .is_some_and(|at| at >= since)
                })
        };
        let rows = page.value.iter().filter(fits).map(|item| item.row(cx));
        let output =
            Output::of(rows.collect()).next(page.next.map(|link| Cursor::of(&Mark::Link(link))));
        Ok(output.warn(if self.site.is_empty() {
            "only the own OneDrive was searched: searching SharePoint needs a work account with `Files.Read.All` or `Sites.Read.All`; with `Sites.Selected` name a `site`"
        } else {
            "only this site's default library was searched"
        }))
    }
}

/// The summary of a hit without Search's marks: `<c0>` around words that were found, `<ddd/>` for what is left out.
fn excerpt(summary: &str) -> String {
    let plain = summary
        .replace("<ddd/>", "…")
        .replace("<c0>", "")
        .replace("</c0>", "");
    let words: Vec<&str> = plain.split_whitespace().collect();
    text::clip(&words.join(" "), EXCERPT)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test says what went wrong by failing")]
    use super::*;

    #[test]
    fn arguments_cannot_leave_their_quotes() {
        let search = SearchFiles {
            q: " budget ".to_owned(),
            kind: Kind::File,
            site: String::new(),
            owner: "x\" OR path:\"y".to_owned(),
            modified_since: String::new(),
            limit: Limit::default(),
            cursor: None,
        };
        assert_eq!(
            search.query(Some("https://a/sites/b"), None),
            r#"budget path:"https://a/sites/b" author:"x  OR path: y""#
        );
    }

    #[test]
    fn alternatives_stay_within_the_site() {
        let search: SearchFiles = serde_json::from_value(json!({ "q": "press OR media" })).unwrap();
        assert_eq!(
            search.query(Some("https://a/sites/b"), None),
            r#"(press OR media) path:"https://a/sites/b""#
        );
    }

    #[test]
    fn marks_of_hits_go() {
        assert_eq!(
            excerpt("the <c0>budget</c0> of\n 2026<ddd/>"),
            "the budget of 2026…"
        );
    }
}
