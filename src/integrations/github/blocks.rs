//! Context blocks: a repository, a file, an issue, a pull request, a digest of activity. Imported documents are in `docs`.

use std::fmt::Write as _;

use futures_util::future::join;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::activity::{self, Period};
use super::auth::REPO;
use super::cut::{Held, decode};
use super::model::{Content as File, GitRef, Issue, Named, OneOrMany, Pull, Repository};
use super::names::{Repo, instant};
use super::read::{self, PAGE, optional, seen};
use super::repos::{my_repositories, owner};
use super::{issues, pulls};
use crate::kit::block::{Content, ContextBlock};
use crate::kit::error::{ProviderError, ToolError};
use crate::kit::text;
use crate::kit::tool::{Cx, Needs};

/// Most values of a completion.
const MOST: usize = 100;
/// The periods a digest is offered for.
const PERIODS: [&str; 3] = ["today", "7d", "30d"];

/// Text of at most what the caller wants.
fn capped(cx: &Cx, text: &str) -> Content {
    let short = text::clip(text, cx.max_chars);
    Content {
        truncated: short.len() != text.len(),
        ..Content::text(short)
    }
}

/// A repository: what it is about, and its readme.
#[derive(Deserialize)]
pub(super) struct RepoBlock {
    owner: String,
    repo: String,
}

impl ContextBlock for RepoBlock {
    const URI: &'static str = "github://{account}/{owner}/{repo}";
    const NAME: &'static str = "github_repo";
    const TITLE: &'static str = "Repository";
    const DESCRIPTION: &'static str = "What a repository is about, and its readme.";
    const MIME: &'static str = "text/markdown";
    const SCOPES: Needs = REPO;

    async fn read(self, cx: &Cx) -> Result<Content, ToolError> {
        let repo = Repo::of(&self.owner, &self.repo)?;
        let readme_path = repo.path(&["readme"]);
        let readme = cx.api.get(&readme_path).send::<File>();
        let (record, readme) = join(read::repository(cx, &repo), readme).await;
        let (record, readme) = (record?, optional(readme)?);
        let mut text = format!("# {}\n\n", record.full_name);
        if !record.description.is_empty() {
            let _ = writeln!(text, "{}\n", record.description);
        }
        for (name, value) in [
            ("Visibility", record.visibility()),
            ("Default branch", &record.default_branch),
            ("Main language", &record.language),
            ("Topics", &record.topics.join(", ")),
            ("Homepage", &record.homepage),
            ("Last push", record.pushed_at.as_deref().unwrap_or_default()),
        ] {
            if !value.is_empty() {
                let _ = writeln!(text, "- {name}: {value}");
            }
        }
        let open = record.open_issues_count;
        let _ = writeln!(text, "- Open issues and pull requests: {open}");
        if let Some(readme) = readme
            && let Some(Held::Text(body)) = decode(&readme.content, &readme.encoding)
        {
            let _ = write!(text, "\n---\n\n{body}");
        }
        Ok(Content {
            url: Some(record.html_url),
            version: record.updated_at,
            ..capped(cx, &text)
        })
    }

    async fn complete(
        cx: &Cx,
        field: &str,
        prefix: &str,
        chosen: &Map<String, Value>,
    ) -> Result<Vec<String>, ToolError> {
        complete(cx, field, prefix, chosen, "").await
    }
}

/// A file at a branch, tag or commit; a folder is answered as the list of what is in it.
#[derive(Deserialize)]
pub(super) struct FileBlock {
    owner: String,
    repo: String,
    #[serde(rename = "ref")]
    reference: String,
    #[serde(default)]
    path: String,
}

impl ContextBlock for FileBlock {
    const URI: &'static str = "github://{account}/{owner}/{repo}/blob/{ref}{/path*}";
    const NAME: &'static str = "github_file";
    const TITLE: &'static str = "File";
    const DESCRIPTION: &'static str = "A file of a repository at a branch, tag or commit.";
    const MIME: &'static str = "text/plain";
    const SCOPES: Needs = REPO;

    async fn read(self, cx: &Cx) -> Result<Content, ToolError> {
        let repo = Repo::of(&self.owner, &self.repo)?;
        if self.path.is_empty() {
            return self.listing(cx, &repo).await;
        }
        let found = read::content(cx, &repo, &self.reference, &self.path).await;
        let what = format!("`{}` at {} of {repo}", self.path, self.reference);
        let OneOrMany::One(file) = seen(cx, &what, found)? else {
            return self.listing(cx, &repo).await;
        };
        match decode(&file.content, &file.encoding) {
            Some(Held::Text(text)) if file.kind == "file" => Ok(Content {
                mime: Some(mime(&file.path).to_owned()),
                version: Some(file.sha),
                url: Some(file.html_url),
                ..capped(cx, &text)
            }),
            _ => Err(ToolError::Invalid(format!(
                "{what} is not a text file; open it at {}",
                file.html_url
            ))),
        }
    }

    async fn complete(
        cx: &Cx,
        field: &str,
        prefix: &str,
        chosen: &Map<String, Value>,
    ) -> Result<Vec<String>, ToolError> {
        complete(cx, field, prefix, chosen, "").await
    }
}

impl FileBlock {
    async fn listing(&self, cx: &Cx, repo: &Repo) -> Result<Content, ToolError> {
        let tree = read::folder(cx, repo, &self.reference, &self.path, false).await?;
        let mut text = format!("# {repo}/{} at {}\n\n", self.path, self.reference);
        for entry in &tree.tree {
            let slash = if entry.kind == "tree" { "/" } else { "" };
            let _ = writeln!(text, "- {}{slash}", entry.path);
        }
        Ok(Content {
            mime: Some("text/markdown".to_owned()),
            version: Some(tree.sha),
            ..capped(cx, &text)
        })
    }
}

/// The media type of a text file by its name; source code is plain text to most clients.
fn mime(path: &str) -> &'static str {
    let extension = path.rsplit_once('.').map_or("", |(_, extension)| extension);
    match extension.to_ascii_lowercase().as_str() {
        "md" | "mdx" | "markdown" => "text/markdown",
        "json" => "application/json",
        "yaml" | "yml" => "application/yaml",
        "toml" => "application/toml",
        "xml" => "application/xml",
        "svg" => "image/svg+xml",
        "html" | "htm" => "text/html",
        "css" => "text/css",
        "csv" => "text/csv",
        "js" | "mjs" | "cjs" => "text/javascript",
        _other => "text/plain",
    }
}

/// An issue with its body, links and latest comments.
#[derive(Deserialize)]
pub(super) struct IssueBlock {
    owner: String,
    repo: String,
    number: String,
}

fn number(text: &str) -> Result<u64, ToolError> {
    text.parse()
        .map_err(|_| ToolError::Invalid(format!("`{text}` is not a number of an issue")))
}

impl ContextBlock for IssueBlock {
    const URI: &'static str = "github://{account}/{owner}/{repo}/issues/{number}";
    const NAME: &'static str = "github_issue";
    const TITLE: &'static str = "Issue";
    const DESCRIPTION: &'static str = "An issue with its linked work and latest comments.";
    const MIME: &'static str = "text/markdown";
    const SCOPES: Needs = REPO;

    async fn read(self, cx: &Cx) -> Result<Content, ToolError> {
        let repo = Repo::of(&self.owner, &self.repo)?;
        let number = number(&self.number)?;
        // Comments, labels and links all move the issue's own time.
        if let Some(held) = &cx.held
            && issues::changed_at(cx, &repo, number).await? == *held
        {
            return Ok(Content::unchanged());
        }
        let (text, thread, cut) = issues::page(cx, &repo, number).await?;
        let content = capped(cx, &text);
        Ok(Content {
            url: Some(thread.issue.html_url),
            version: Some(thread.issue.updated_at),
            truncated: cut || content.truncated,
            ..content
        })
    }

    async fn complete(
        cx: &Cx,
        field: &str,
        prefix: &str,
        chosen: &Map<String, Value>,
    ) -> Result<Vec<String>, ToolError> {
        complete(cx, field, prefix, chosen, "issues").await
    }
}

/// A pull request with its discussion and a summary of its changes.
#[derive(Deserialize)]
pub(super) struct PullBlock {
    owner: String,
    repo: String,
    number: String,
}

impl ContextBlock for PullBlock {
    const URI: &'static str = "github://{account}/{owner}/{repo}/pulls/{number}";
    const NAME: &'static str = "github_pull";
    const TITLE: &'static str = "Pull request";
    const DESCRIPTION: &'static str =
        "A pull request with changed files, reviews, checks and latest comments.";
    const MIME: &'static str = "text/markdown";
    const SCOPES: Needs = REPO;

    async fn read(self, cx: &Cx) -> Result<Content, ToolError> {
        let repo = Repo::of(&self.owner, &self.repo)?;
        let number = number(&self.number)?;
        let (mut text, mut thread, cut) = issues::page(cx, &repo, number).await?;
        let Some(pull) = thread.pull.take() else {
            return Err(ToolError::NotFound(format!(
                "#{number} of {repo} is an issue and not a pull request"
            )));
        };
        let (summary, version) = pulls::summary(cx, &repo, pull).await?;
        // The changes stand before the discussion, so that a cut costs old comments and not the summary.
        let at = text.find("\n## Comments").unwrap_or(text.len());
        text.insert_str(at, &summary);
        let content = capped(cx, &text);
        Ok(Content {
            url: Some(thread.issue.html_url),
            version: Some(version),
            truncated: cut || content.truncated,
            ..content
        })
    }

    async fn complete(
        cx: &Cx,
        field: &str,
        prefix: &str,
        chosen: &Map<String, Value>,
    ) -> Result<Vec<String>, ToolError> {
        complete(cx, field, prefix, chosen, "pulls").await
    }
}

/// A digest of what happened in a repository.
#[derive(Deserialize)]
pub(super) struct ActivityBlock {
    owner: String,
    repo: String,
    period: String,
}

impl ContextBlock for ActivityBlock {
    const URI: &'static str = "github://{account}/{owner}/{repo}/activity/{period}";
    const NAME: &'static str = "github_activity";
    const TITLE: &'static str = "Activity";
    const DESCRIPTION: &'static str =
        "What happened in a repository today, or in a period such as 7d or 30d.";
    const MIME: &'static str = "text/markdown";
    const SCOPES: Needs = REPO;

    async fn read(self, cx: &Cx) -> Result<Content, ToolError> {
        let repo = Repo::of(&self.owner, &self.repo)?;
        let since = instant(&self.period, cx.now).ok_or_else(|| {
            ToolError::Invalid("the period must be `today`, a date, or such as `7d`".to_owned())
        })?;
        let period = Period {
            since,
            until: cx.now,
        };
        let (events, is_whole) = activity::gather(cx, &repo, period, "").await?;
        let content = capped(cx, &activity::digest(&repo, period, &events));
        Ok(Content {
            truncated: content.truncated || !is_whole,
            ..content
        })
    }

    async fn complete(
        cx: &Cx,
        field: &str,
        prefix: &str,
        chosen: &Map<String, Value>,
    ) -> Result<Vec<String>, ToolError> {
        if field == "period" {
            let fitting = PERIODS.iter().filter(|period| period.starts_with(prefix));
            return Ok(fitting.map(|&period| period.to_owned()).collect());
        }
        complete(cx, field, prefix, chosen, "").await
    }
}

/// The variables that all these blocks share. A repository that is not there yet completes to nothing, so that typing is
/// never interrupted by an error about what is not finished.
async fn complete(
    cx: &Cx,
    field: &str,
    prefix: &str,
    chosen: &Map<String, Value>,
    numbered: &str,
) -> Result<Vec<String>, ToolError> {
    let picked = |name: &str| chosen.get(name).and_then(Value::as_str).unwrap_or_default();
    let found = match (
        field,
        Repo::parse(&format!("{}/{}", picked("owner"), picked("repo"))),
    ) {
        ("owner", _) => owners(cx, prefix).await,
        ("repo", _) => names(cx, picked("owner"), prefix).await,
        ("ref", Some(repo)) => references(cx, &repo, prefix).await,
        ("path", Some(repo)) => return paths(cx, &repo, picked("ref"), prefix).await,
        ("number", Some(repo)) => numbers(cx, &repo, numbered, prefix).await,
        _ => Ok(Vec::new()),
    };
    Ok(optional(found)?.unwrap_or_default())
}

/// Whether a value is what the person may be typing.
fn begins(value: &str, prefix: &str) -> bool {
    value.to_lowercase().starts_with(&prefix.to_lowercase())
}

/// Owners of what the person works on, most recently active first.
async fn owners(cx: &Cx, prefix: &str) -> Result<Vec<String>, ProviderError> {
    let mut owners: Vec<String> = Vec::new();
    for repo in my_repositories(cx).await? {
        let owner = owner(&repo);
        if begins(&owner, prefix) && !owners.contains(&owner) {
            owners.push(owner);
        }
    }
    owners.truncate(MOST);
    Ok(owners)
}

/// Repositories of that owner, the person's own first.
async fn names(cx: &Cx, of: &str, prefix: &str) -> Result<Vec<String>, ProviderError> {
    let mut mine = my_repositories(cx).await?;
    mine.retain(|repo| of.is_empty() || owner(repo).eq_ignore_ascii_case(of));
    if mine.is_empty() && !of.is_empty() {
        mine = cx
            .api
            .get(&["users", of, "repos"])
            .query("sort", "pushed")
            .query("per_page", PAGE)
            .send::<Vec<Repository>>()
            .await?;
    }
    let fitting = mine.into_iter().filter(|repo| begins(&repo.name, prefix));
    Ok(fitting.take(MOST).map(|repo| repo.name).collect())
}

/// Branches and tags; without anything typed, the default branch first.
async fn references(cx: &Cx, repo: &Repo, prefix: &str) -> Result<Vec<String>, ProviderError> {
    if prefix.is_empty() {
        let repo_path = repo.path(&[]);
        let branches_path = repo.path(&["branches"]);
        let (record, branches) = join(
            cx.api.get(&repo_path).send::<Repository>(),
            cx.api
                .get(&branches_path)
                .query("per_page", PAGE)
                .send::<Vec<Named>>(),
        )
        .await;
        let (record, branches) = (record?, branches?);
        let others = branches.into_iter().map(|branch| branch.name);
        let others = others.filter(|name| *name != record.default_branch);
        let mut found = vec![record.default_branch.clone()];
        found.extend(others);
        found.truncate(MOST);
        return Ok(found);
    }
    let heads = repo.path_to(&["git", "matching-refs", "heads"], prefix);
    let tags = repo.path_to(&["git", "matching-refs", "tags"], prefix);
    let (heads, tags) = join(
        cx.api.get(&heads).send::<Vec<GitRef>>(),
        cx.api.get(&tags).send::<Vec<GitRef>>(),
    )
    .await;
    let (heads, tags) = (heads?, tags?);
    let names = heads.iter().chain(&tags).filter_map(|found| {
        let name = found.name.strip_prefix("refs/heads/");
        name.or_else(|| found.name.strip_prefix("refs/tags/"))
    });
    Ok(names.take(MOST).map(ToOwned::to_owned).collect())
}

/// What is in the folder typed so far; folders end in a slash, so that typing goes on in them.
async fn paths(
    cx: &Cx,
    repo: &Repo,
    reference: &str,
    prefix: &str,
) -> Result<Vec<String>, ToolError> {
    let (folder, name) = match prefix.rsplit_once('/') {
        Some((folder, name)) => (folder, name),
        None => ("", prefix),
    };
    let tree = match read::folder(cx, repo, reference, folder, false).await {
        Ok(tree) => tree,
        Err(ToolError::NotFound(_)) => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let base = if folder.is_empty() {
        String::new()
    } else {
        format!("{folder}/")
    };
    let fitting = tree.tree.iter().filter(|entry| begins(&entry.path, name));
    let values = fitting.map(|entry| {
        let slash = if entry.kind == "tree" { "/" } else { "" };
        format!("{base}{}{slash}", entry.path)
    });
    Ok(values.take(MOST).collect())
}

/// Open issues or pull requests, latest change first: by number, or by words of their title.
async fn numbers(
    cx: &Cx,
    repo: &Repo,
    numbered: &str,
    prefix: &str,
) -> Result<Vec<String>, ProviderError> {
    let path = repo.path(&[numbered]);
    let request = cx
        .api
        .get(&path)
        .query("state", "open")
        .query("sort", "updated")
        .query("direction", "desc")
        .query("per_page", PAGE);
    let titles: Vec<(u64, String)> = if numbered == "pulls" {
        let pulls: Vec<Pull> = request.send().await?;
        pulls
            .into_iter()
            .map(|pull| (pull.number, pull.title))
            .collect()
    } else {
        let issues: Vec<Issue> = request.send().await?;
        let issues = issues
            .into_iter()
            .filter(|issue| issue.pull_request.is_none());
        issues.map(|issue| (issue.number, issue.title)).collect()
    };
    let typed = prefix.trim_start_matches('#').to_lowercase();
    let fitting = titles.into_iter().filter(|(number, title)| {
        number.to_string().starts_with(&typed) || title.to_lowercase().contains(&typed)
    });
    Ok(fitting.map(|(number, _)| number.to_string()).collect())
}
