//! Toolset "Repositories": which there are, and what one is about.

use futures_util::future::{OptionFuture, join4};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::auth::REPO;
use super::cut::{Budget, Held, decode};
use super::model::{Content, Count, Release, Repository, User, login};
use super::names::Repo;
use super::read::{self, PAGE, Page, has_next, optional, seen};
use super::rows;
use super::search::word;
use crate::kit::args::{Cursor, Limit};
use crate::kit::client::Answer;
use crate::kit::error::{ProviderError, ToolError};
use crate::kit::output::Output;
use crate::kit::text;
use crate::kit::tool::{AuditArgs, Cx, Effect, Needs, Tool};

/// Pages read at most to find repositories by name.
const SCANNED_PAGES: u32 = 5;

/// Visibility.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
enum Visibility {
    #[default]
    All,
    Public,
    Private,
}

impl Visibility {
    const fn as_str(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Public => "public",
            Self::Private => "private",
        }
    }
}

/// Order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
enum Order {
    #[default]
    Pushed,
    Updated,
    Created,
    Name,
}

impl Order {
    /// GitHub's word for it and the direction.
    const fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Pushed => ("pushed", "desc"),
            Self::Updated => ("updated", "desc"),
            Self::Created => ("created", "desc"),
            Self::Name => ("full_name", "asc"),
        }
    }
}

/// List repositories: mine, or those of an owner.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ListRepos {
    /// Organization or user; empty for mine.
    #[serde(default)]
    owner: String,
    /// Part of name or description.
    #[serde(default)]
    q: String,
    #[serde(default)]
    visibility: Visibility,
    #[serde(default)]
    sort: Order,
    #[serde(default)]
    limit: Limit<20, 100>,
    #[serde(default)]
    cursor: Option<Cursor>,
}

/// Whose repositories are listed.
#[derive(Clone, Copy)]
enum From<'a> {
    Mine,
    Organization(&'a str),
    Person(&'a str),
}

impl Tool for ListRepos {
    const NAME: &'static str = "github_list_repos";
    const TITLE: &'static str = "List repositories";
    const EFFECT: Effect = Effect::Read;
    const SCOPES: Needs = REPO;
    const AUDIT: AuditArgs = AuditArgs {
        plain: &["owner", "visibility", "sort"],
        dropped: &[],
    };

    async fn call(self, cx: &Cx) -> Result<Output, ToolError> {
        if !self.owner.is_empty() {
            word("owner", &self.owner)?;
        }
        // Names are looked for in large pages, because few of each will fit.
        let per_page = if self.q.is_empty() {
            self.limit.get()
        } else {
            PAGE
        };
        let mut page = Page::start(self.cursor.as_ref(), per_page)?;
        let (from, mut answer) = self.first(cx, page).await?;
        let wanted = self.limit.get() as usize;
        let mut output = Output::default();
        let mut scanned = 1;
        loop {
            let skip = page.skip;
            for (index, repo) in answer.body.iter().enumerate().skip(skip) {
                if !self.fits(repo) {
                    continue;
                }
                if output.items.len() == wanted {
                    page.skip = index;
                    return Ok(output.next(Some(Cursor::of(&page))));
                }
                output.items.push(rows::repository(cx, repo));
            }
            if !has_next(&answer) {
                return Ok(output);
            }
            page = page.following();
            if output.items.len() == wanted || self.q.is_empty() || scanned == SCANNED_PAGES {
                return Ok(output.next(Some(Cursor::of(&page))));
            }
            answer = self.page(cx, from, page).await?;
            scanned += 1;
        }
    }
}

impl ListRepos {
    /// The first page. The name alone does not say whether an owner is an organization, so that is tried first: only
    /// there are private repositories listed.
    async fn first<'a>(
        &'a self,
        cx: &Cx,
        page: Page,
    ) -> Result<(From<'a>, Answer<Vec<Repository>>), ToolError> {
        if self.owner.is_empty() {
            return Ok((From::Mine, self.page(cx, From::Mine, page).await?));
        }
        let organization = From::Organization(&self.owner);
        if let Some(answer) = optional(self.page(cx, organization, page).await)? {
            return Ok((organization, answer));
        }
        let person = From::Person(&self.owner);
        let answer = self.page(cx, person, page).await;
        Ok((person, seen(cx, &format!("`{}`", self.owner), answer)?))
    }

    async fn page(
        &self,
        cx: &Cx,
        from: From<'_>,
        page: Page,
    ) -> Result<Answer<Vec<Repository>>, ProviderError> {
        let request = match from {
            From::Mine => cx
                .api
                .get(&["user", "repos"])
                .query("visibility", self.visibility.as_str()),
            From::Organization(name) => cx
                .api
                .get(&["orgs", name, "repos"])
                .query("type", self.visibility.as_str()),
            From::Person(name) => cx.api.get(&["users", name, "repos"]),
        };
        let (sort, direction) = self.sort.words();
        request
            .query("sort", sort)
            .query("direction", direction)
            .query("per_page", page.size)
            .query("page", page.number)
            .answer()
            .await
    }

    fn fits(&self, repo: &Repository) -> bool {
        let wanted = self.q.to_lowercase();
        let seen = match self.visibility {
            Visibility::All => true,
            Visibility::Public => !repo.private,
            Visibility::Private => repo.private,
        };
        seen && (repo.name.to_lowercase().contains(&wanted)
            || repo.description.to_lowercase().contains(&wanted))
    }
}

/// Part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
enum Part {
    Readme,
    Languages,
    Release,
    Counts,
}

/// About a repository: description, default branch, topics, readme, languages, latest release, open counts.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct GetRepo {
    /// owner/name
    repo: Repo,
    /// Only these parts; empty for all.
    #[serde(default)]
    include: Vec<Part>,
}

impl Tool for GetRepo {
    const NAME: &'static str = "github_get_repo";
    const TITLE: &'static str = "Get repository";
    const EFFECT: Effect = Effect::Read;
    const SCOPES: Needs = REPO;
    const AUDIT: AuditArgs = AuditArgs {
        plain: &["repo", "include"],
        dropped: &[],
    };

    async fn call(self, cx: &Cx) -> Result<Output, ToolError> {
        let repo = &self.repo;
        let record = read::repository(cx, repo).await?;
        let wants = |part| self.include.is_empty() || self.include.contains(&part);
        let when = |part, request| OptionFuture::from(wants(part).then_some(request));
        let get = |rest: &[&str]| cx.api.get(&repo.path(rest));
        let open_pulls = cx
            .api
            .get(&["search", "issues"])
            .query("q", format!("repo:{repo} is:pr is:open"))
            .query("per_page", 1);
        let (readme, languages, release, pulls) = join4(
            OptionFuture::from(wants(Part::Readme).then(|| get(&["readme"]).send::<Content>())),
            when_languages(wants(Part::Languages).then(|| get(&["languages"]))),
            OptionFuture::from(
                wants(Part::Release).then(|| get(&["releases", "latest"]).send::<Release>()),
            ),
            when(Part::Counts, open_pulls.send::<Count>()),
        )
        .await;

        let mut output = Output::default();
        let mut item = rows::repository(cx, &record)
            .field("homepage", record.homepage.as_str())
            .field(
                "license",
                record.license.as_ref().and_then(|l| l.spdx_id.clone()),
            )
            .field("forks", read::nonzero(record.forks_count))
            .field("updated_at", record.updated_at.clone());
        if let Some(languages) = part(&mut output, "languages", languages)? {
            item.set("languages", shares(&languages));
        }
        if let Some(release) = part(&mut output, "latest release", release)? {
            item.set(
                "latest_release",
                json!({
                    "tag": release.tag_name, "name": release.name, "url": release.html_url,
                    "published_at": release.published_at, "author": login(release.author.as_ref()),
                    "notes": text::clip(release.body.as_deref().unwrap_or_default(), 600),
                }),
            );
        }
        if let Some(pulls) = part(&mut output, "open pull requests", pulls)? {
            let open = record.open_issues_count;
            item.set("open_pulls", pulls.total_count);
            item.set("open_issues", open.saturating_sub(pulls.total_count));
            item.fields.shift_remove("open_issues_and_pulls");
        }
        if let Some(readme) = part(&mut output, "readme", readme)? {
            let mut budget = Budget::new(cx.max_chars.saturating_sub(2_000));
            if let Some(Held::Text(text)) = decode(&readme.content, &readme.encoding) {
                item.set("readme_path", readme.path);
                item.set("readme", budget.take(&text, usize::MAX));
                output.truncated = budget.cut;
            }
        }
        output.items.push(item);
        Ok(output)
    }
}

/// Bytes by language, as GitHub counts them.
async fn when_languages(
    request: Option<crate::kit::client::Request>,
) -> Option<Result<Map<String, Value>, ProviderError>> {
    Some(request?.send().await)
}

/// The value of a part that was asked for. A part that does not exist is left out, one that may not be seen becomes a
/// warning, and what concerns the whole connection fails the call.
fn part<T>(
    output: &mut Output,
    name: &str,
    result: Option<Result<T, ProviderError>>,
) -> Result<Option<T>, ToolError> {
    match result {
        None | Some(Err(ProviderError::NotFound)) => Ok(None),
        Some(Ok(value)) => Ok(Some(value)),
        Some(Err(error)) if error.is_partial() => {
            output.warnings.push(format!("{name}: {error}"));
            Ok(None)
        }
        Some(Err(error)) => Err(error.into()),
    }
}

/// Languages by share of the code, in percent; what is below one percent is noise.
fn shares(languages: &Map<String, Value>) -> Map<String, Value> {
    let bytes = |value: &Value| value.as_u64().unwrap_or(0);
    let total: u64 = languages.values().map(bytes).sum();
    languages
        .iter()
        .map(|(name, value)| (name.clone(), bytes(value) * 100 / total.max(1)))
        .filter(|(_, percent)| *percent > 0)
        .map(|(name, percent)| (name, json!(percent)))
        .collect()
}

/// The people and organizations that own what the person works on, most recently active first.
pub(super) async fn my_repositories(cx: &Cx) -> Result<Vec<Repository>, ProviderError> {
    cx.api
        .get(&["user", "repos"])
        .query("sort", "pushed")
        .query("per_page", PAGE)
        .send()
        .await
}

/// The login of a repository's owner.
pub(super) fn owner(repo: &Repository) -> String {
    repo.owner
        .as_ref()
        .map(|owner: &User| owner.login.clone())
        .unwrap_or_default()
}
