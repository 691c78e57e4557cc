//! Toolset "Account and search": who one is at GitHub, and finding things across repositories.

use futures_util::future::join3;
use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::auth::REPO;
use super::model::{CodeHit, Commit, Found, Issue, Org, RateLimits, Repository, User};
use super::names::Repo;
use super::read::Page;
use super::rows;
use crate::kit::Timestamp;
use crate::kit::args::{Cursor, Limit};
use crate::kit::error::{ProviderError, ToolError};
use crate::kit::output::{Item, Output};
use crate::kit::text;
use crate::kit::tool::{AuditArgs, Cx, Effect, Granted, Needs, Tool};

/// GitHub answers at most this many results of a search.
const REACHABLE: u64 = 1_000;

/// Who am I: login, organizations, granted scopes, remaining rate limit.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct GetViewer {}

impl Tool for GetViewer {
    const NAME: &'static str = "github_get_viewer";
    const TITLE: &'static str = "Who am I";
    const EFFECT: Effect = Effect::Read;
    const SCOPES: Needs = Needs::Nothing;

    async fn call(self, cx: &Cx) -> Result<Output, ToolError> {
        let user = cx.api.get(&["user"]).send::<User>();
        let orgs = cx.api.get(&["user", "orgs"]).query("per_page", 100);
        let limits = cx.api.get(&["rate_limit"]);
        let (user, orgs, limits) =
            join3(user, orgs.send::<Vec<Org>>(), limits.send::<RateLimits>()).await;
        let user = user?;
        let mut output = Output::default();
        let mut item = Item::new(&user.login)
            .url(&user.html_url)
            .field("user_id", user.id)
            .field("name", user.name)
            .field("email", user.email)
            .field("company", user.company);
        match orgs {
            Ok(orgs) => {
                let orgs: Vec<String> = orgs.into_iter().map(|org| org.login).collect();
                item.set("organizations", orgs);
            }
            Err(error) if error.is_partial() => output
                .warnings
                .push("organizations are not visible to this connection".to_owned()),
            Err(error) => return Err(error.into()),
        }
        if let Granted::Scopes(scopes) = &cx.granted {
            item.set("scopes", scopes.clone());
        }
        // A GitHub Enterprise Server without rate limits answers 404 here.
        match limits {
            Ok(limits) => item.set("rate_limits", rates(&limits)),
            Err(ProviderError::NotFound) => {}
            Err(error) => return Err(error.into()),
        }
        output.items.push(item);
        Ok(output)
    }
}

/// The three budgets that these tools use.
fn rates(limits: &RateLimits) -> Value {
    let mut rates = Map::new();
    for name in ["core", "search", "code_search"] {
        if let Some(limit) = limits.resources.get(name) {
            let number = |name: &str| limit.get(name).and_then(Value::as_i64);
            let resets_at = number("reset")
                .map(|at| Timestamp::from_micros(at.saturating_mul(1_000_000)).rfc3339());
            rates.insert(
                name.to_owned(),
                json!({ "remaining": number("remaining"), "limit": number("limit"), "resets_at": resets_at }),
            );
        }
    }
    Value::Object(rates)
}

/// In what.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
enum Kind {
    Code,
    Issues,
    Pulls,
    Repos,
    Commits,
    Users,
}

/// Order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
enum Sort {
    #[default]
    Match,
    Updated,
    Created,
    Comments,
    Stars,
}

/// Search. `q` takes GitHub qualifiers such as `language:rust is:open author:@me`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Search {
    kind: Kind,
    /// Words and qualifiers.
    q: String,
    /// owner/name
    #[serde(default)]
    repo: String,
    /// Only of this owner.
    #[serde(default)]
    org: String,
    #[serde(default)]
    sort: Sort,
    #[serde(default)]
    limit: Limit<15, 50>,
    #[serde(default)]
    cursor: Option<Cursor>,
}

impl Tool for Search {
    const NAME: &'static str = "github_search";
    const TITLE: &'static str = "Search GitHub";
    const EFFECT: Effect = Effect::Read;
    const SCOPES: Needs = REPO;
    const AUDIT: AuditArgs = AuditArgs {
        plain: &["kind", "repo", "org", "sort"],
        dropped: &[],
    };

    async fn call(self, cx: &Cx) -> Result<Output, ToolError> {
        match self.kind {
            Kind::Code => self.run(cx, code_row).await,
            Kind::Issues | Kind::Pulls => self.run::<Issue>(cx, rows::issue).await,
            Kind::Repos => self.run::<Repository>(cx, rows::repository).await,
            Kind::Commits => {
                self.run(cx, |_, commit: &Commit| rows::commit(commit))
                    .await
            }
            Kind::Users => self.run(cx, |_, user: &User| rows::person(user)).await,
        }
    }
}

impl Search {
    async fn run<T: DeserializeOwned>(
        &self,
        cx: &Cx,
        row: fn(&Cx, &T) -> Item,
    ) -> Result<Output, ToolError> {
        let page = Page::start(self.cursor.as_ref(), self.limit.get())?;
        let mut request = cx
            .api
            .get(&["search", self.folder()])
            .query("q", self.query()?)
            .query("per_page", page.size)
            .query("page", page.number);
        if let Some(sort) = self.order()? {
            request = request.query("sort", sort).query("order", "desc");
        }
        if self.kind == Kind::Code {
            request = request.accept("application/vnd.github.text-match+json");
        }
        let found: Found<T> = request.send().await?;
        Ok(results(cx, page, &found, row))
    }

    const fn folder(&self) -> &'static str {
        match self.kind {
            Kind::Code => "code",
            Kind::Issues | Kind::Pulls => "issues",
            Kind::Repos => "repositories",
            Kind::Commits => "commits",
            Kind::Users => "users",
        }
    }

    fn query(&self) -> Result<String, ToolError> {
        let mut parts = vec![self.q.trim().to_owned()];
        match self.kind {
            Kind::Issues => parts.push("is:issue".to_owned()),
            Kind::Pulls => parts.push("is:pr".to_owned()),
            Kind::Code | Kind::Repos | Kind::Commits | Kind::Users => {}
        }
        if !self.repo.is_empty() {
            if self.kind == Kind::Users {
                return Err(ToolError::Invalid(
                    "users are not searched within a repository; leave out `repo`".to_owned(),
                ));
            }
            let repo = Repo::parse(&self.repo).ok_or_else(|| {
                ToolError::Invalid("`repo` must be written `owner/name`".to_owned())
            })?;
            parts.push(format!("repo:{repo}"));
        }
        if !self.org.is_empty() {
            parts.push(format!("user:{}", word("org", &self.org)?));
        }
        parts.retain(|part| !part.is_empty());
        if parts.is_empty() {
            return Err(ToolError::Invalid(
                "`q` says nothing to search for".to_owned(),
            ));
        }
        Ok(parts.join(" "))
    }

    /// GitHub's word for the order, as far as this kind has it.
    fn order(&self) -> Result<Option<&'static str>, ToolError> {
        let word = match (self.sort, self.kind) {
            (Sort::Match, _) => return Ok(None),
            (Sort::Updated, Kind::Issues | Kind::Pulls | Kind::Repos) => "updated",
            (Sort::Created, Kind::Issues | Kind::Pulls) => "created",
            (Sort::Created, Kind::Commits) => "author-date",
            (Sort::Created, Kind::Users) => "joined",
            (Sort::Comments, Kind::Issues | Kind::Pulls) => "comments",
            (Sort::Stars, Kind::Repos) => "stars",
            (Sort::Updated | Sort::Created | Sort::Comments | Sort::Stars, _) => {
                return Err(ToolError::Invalid(
                    "this kind of search cannot be sorted so; leave out `sort`".to_owned(),
                ));
            }
        };
        Ok(Some(word))
    }
}

/// One word of a query: no blanks or quotes that could end it and begin another qualifier.
pub(super) fn word<'a>(name: &str, text: &'a str) -> Result<&'a str, ToolError> {
    let fits = !text.is_empty()
        && text
            .chars()
            .all(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | '/' | '@' | '[' | ']'));
    fits.then_some(text)
        .ok_or_else(|| ToolError::Invalid(format!("`{name}` must be one name")))
}

/// A page of search results as an answer.
pub(super) fn results<T>(
    cx: &Cx,
    page: Page,
    found: &Found<T>,
    row: fn(&Cx, &T) -> Item,
) -> Output {
    let items = found.items.iter().map(|record| row(cx, record)).collect();
    let given = u64::from(page.number) * u64::from(page.size);
    let has_more = given < found.total_count.min(REACHABLE);
    let mut output = Output::of(items)
        .total(Some(found.total_count))
        .next(has_more.then(|| Cursor::of(&page.following())));
    if found.incomplete_results {
        output = output.warn("GitHub stopped searching early; narrow the query for all results");
    }
    if !has_more && found.total_count > REACHABLE {
        output = output.warn("GitHub gives only the first 1000 results; narrow the query");
    }
    output
}

fn code_row(cx: &Cx, hit: &CodeHit) -> Item {
    let repo = &hit.repository.full_name;
    let fragments: Vec<String> = hit
        .text_matches
        .iter()
        .take(2)
        .map(|found| text::clip(found.fragment.trim(), 300))
        .collect();
    Item::new(format!("{repo}/{}", hit.path))
        .url(&hit.html_url)
        .uri(rows::file_uri(cx, repo, "", &hit.path))
        .field("repo", repo.as_str())
        .field("path", hit.path.as_str())
        .field("sha", hit.sha.as_str())
        .field("fragments", fragments)
}
