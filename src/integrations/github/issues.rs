//! Toolset "Issues", reading: lists and single issues. GitHub numbers issues and pull requests together and answers both
//! here.

use std::fmt::Write as _;

use futures_util::future::join;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::auth::REPO;
use super::cut::Budget;
use super::model::{Comment, Found, Happening, Issue, Pull, login};
use super::names::{Repo, instant_argument, seconds};
use super::read::{PAGE, Page, has_next, nonzero, seen};
use super::rows;
use super::search::{results, word};
use crate::kit::Timestamp;
use crate::kit::args::{Cursor, Limit};
use crate::kit::client::Answer;
use crate::kit::error::{ProviderError, ToolError};
use crate::kit::output::{Item, Output};
use crate::kit::tool::{AuditArgs, Cx, Effect, Needs, Tool};

/// Longest comment shown, in characters; the rest stands at its address.
const COMMENT_CHARS: usize = 4_000;

/// Kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
enum Kind {
    #[default]
    Any,
    Issue,
    Pull,
}

/// State.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
enum State {
    #[default]
    Open,
    Closed,
    All,
}

/// List issues and pull requests; without repo, those involving me.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ListIssues {
    /// owner/name, or all of an owner.
    #[serde(default)]
    repo: String,
    #[serde(default)]
    kind: Kind,
    #[serde(default)]
    state: State,
    /// All of.
    #[serde(default)]
    labels: Vec<String>,
    /// Or `@me`.
    #[serde(default)]
    assignee: String,
    /// Date, `7d`.
    #[serde(default)]
    since: String,
    #[serde(default)]
    limit: Limit<20, 50>,
    #[serde(default)]
    cursor: Option<Cursor>,
}

impl Tool for ListIssues {
    const NAME: &'static str = "github_list_issues";
    const TITLE: &'static str = "List issues";
    const EFFECT: Effect = Effect::Read;
    const SCOPES: Needs = REPO;
    const AUDIT: AuditArgs = AuditArgs {
        plain: &["repo", "kind", "state"],
        dropped: &[],
    };

    async fn call(self, cx: &Cx) -> Result<Output, ToolError> {
        let since = instant_argument("since", &self.since, cx.now)?;
        let page = Page::start(self.cursor.as_ref(), self.limit.get())?;
        if !self.assignee.is_empty() {
            word("assignee", &self.assignee)?;
        }
        let place = self.place()?;
        match (&place, self.kind) {
            // The plain list is fresh and does not count against the small budget of searches.
            (Where::Repo(repo), Kind::Any) => self.listed(cx, repo, since, page).await,
            _ => self.searched(cx, &place, since, page).await,
        }
    }
}

/// Where to look.
enum Where<'a> {
    Repo(Repo),
    Owner(&'a str),
    Anywhere,
}

impl ListIssues {
    fn place(&self) -> Result<Where<'_>, ToolError> {
        if self.repo.is_empty() {
            return Ok(Where::Anywhere);
        }
        if self.repo.contains('/') {
            let repo = Repo::parse(&self.repo).map(Where::Repo);
            return repo.ok_or_else(|| {
                ToolError::Invalid(
                    "`repo` must be written `owner/name`, or be an owner alone".to_owned(),
                )
            });
        }
        word("repo", &self.repo).map(Where::Owner)
    }

    async fn listed(
        &self,
        cx: &Cx,
        repo: &Repo,
        since: Option<Timestamp>,
        page: Page,
    ) -> Result<Output, ToolError> {
        if self.labels.iter().any(|label| label.contains(',')) {
            return Err(ToolError::Invalid(
                "a label in `labels` cannot have a comma".to_owned(),
            ));
        }
        let state = match self.state {
            State::Open => "open",
            State::Closed => "closed",
            State::All => "all",
        };
        let assignee = match self.assignee.as_str() {
            "" => None,
            "@me" => Some(cx.account.detail("login")),
            login => Some(login),
        };
        let labels = self.labels.join(",");
        let answer: Result<Answer<Vec<Issue>>, _> = cx
            .api
            .get(&repo.path(&["issues"]))
            .query("state", state)
            .query("sort", "updated")
            .query("direction", "desc")
            .query_opt("labels", (!labels.is_empty()).then_some(labels))
            .query_opt("assignee", assignee)
            .query_opt("since", since.map(seconds))
            .query("per_page", page.size)
            .query("page", page.number)
            .answer()
            .await;
        let answer = seen(cx, &format!("repository {repo}"), answer)?;
        let items = answer.body.iter().map(|issue| rows::issue(cx, issue));
        Ok(Output::of(items.collect()).next(page.after(&answer)))
    }

    async fn searched(
        &self,
        cx: &Cx,
        place: &Where<'_>,
        since: Option<Timestamp>,
        page: Page,
    ) -> Result<Output, ToolError> {
        let found: Found<Issue> = cx
            .api
            .get(&["search", "issues"])
            .query("q", self.query(place, since)?)
            .query("sort", "updated")
            .query("order", "desc")
            .query("per_page", page.size)
            .query("page", page.number)
            .send()
            .await?;
        Ok(results(cx, page, &found, rows::issue))
    }

    fn query(&self, place: &Where<'_>, since: Option<Timestamp>) -> Result<String, ToolError> {
        let mut query = match self.kind {
            Kind::Any => String::new(),
            Kind::Issue => "is:issue".to_owned(),
            Kind::Pull => "is:pr".to_owned(),
        };
        let mut add = |part: String| {
            if !query.is_empty() {
                query.push(' ');
            }
            query.push_str(&part);
        };
        match self.state {
            State::Open => add("is:open".to_owned()),
            State::Closed => add("is:closed".to_owned()),
            State::All => {}
        }
        match place {
            Where::Repo(repo) => add(format!("repo:{repo}")),
            Where::Owner(owner) => add(format!("user:{owner}")),
            Where::Anywhere if self.assignee.is_empty() => add("involves:@me".to_owned()),
            Where::Anywhere => {}
        }
        for label in &self.labels {
            if label.contains('"') {
                return Err(ToolError::Invalid(
                    "a label in `labels` cannot have quotes".to_owned(),
                ));
            }
            add(format!("label:\"{label}\""));
        }
        if !self.assignee.is_empty() {
            add(format!("assignee:{}", self.assignee));
        }
        if let Some(since) = since {
            add(format!("updated:>={}", seconds(since)));
        }
        Ok(query)
    }
}

/// Which end of the comments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
enum Comments {
    #[default]
    Newest,
    Oldest,
}

/// Get an issue or pull request: body, linked work and a page of comments.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct GetIssue {
    /// owner/name
    repo: Repo,
    /// As in #12.
    number: u64,
    #[serde(default)]
    comments: Comments,
    #[serde(default)]
    limit: Limit<20, 100>,
    #[serde(default)]
    cursor: Option<Cursor>,
}

/// The comments still to be given: places in the order in which they were written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Span {
    from: u64,
    to: u64,
}

impl Tool for GetIssue {
    const NAME: &'static str = "github_get_issue";
    const TITLE: &'static str = "Get issue";
    const EFFECT: Effect = Effect::Read;
    const SCOPES: Needs = REPO;
    const AUDIT: AuditArgs = AuditArgs {
        plain: &["repo", "number", "comments"],
        dropped: &[],
    };

    async fn call(self, cx: &Cx) -> Result<Output, ToolError> {
        let mut budget = Budget::beside(1, cx.max_chars);
        let mut output = Output::default();
        let span = if let Some(cursor) = &self.cursor {
            cursor.read::<Span>()?
        } else {
            let thread = thread(cx, &self.repo, self.number).await?;
            output.items.push(thread.item(cx, &mut budget));
            output.warnings.extend(thread.warnings);
            Span {
                from: 0,
                to: thread.issue.comments,
            }
        };
        let (now, rest) = self.split(span);
        let found = comments(cx, &self.repo, self.number, now).await?;
        for comment in &found {
            output.items.push(comment_item(comment, &mut budget));
        }
        output.truncated = budget.cut;
        Ok(output.next(rest.map(|rest| Cursor::of(&rest))))
    }
}

impl GetIssue {
    /// The comments of this answer, and what is left for the next.
    fn split(&self, all: Span) -> (Span, Option<Span>) {
        let limit = u64::from(self.limit.get());
        let (now, rest) = match self.comments {
            Comments::Newest => {
                let from = all.to.saturating_sub(limit).max(all.from);
                let rest = Span {
                    from: all.from,
                    to: from,
                };
                (Span { from, to: all.to }, rest)
            }
            Comments::Oldest => {
                let to = all.to.min(all.from.saturating_add(limit));
                let rest = Span {
                    from: to,
                    to: all.to,
                };
                (Span { from: all.from, to }, rest)
            }
        };
        (now, (rest.from < rest.to).then_some(rest))
    }
}

fn comment_item(comment: &Comment, budget: &mut Budget) -> Item {
    Item::new(comment.id)
        .url(&comment.html_url)
        .field("kind", "comment")
        .field("author", login(comment.user.as_ref()))
        .field("at", comment.created_at.as_str())
        .field("text", budget.take(&comment.body, COMMENT_CHARS))
}

/// The comments at these places. GitHub lists them oldest first and knows no other order, so the newest are asked for by
/// the number of their page.
async fn comments(
    cx: &Cx,
    repo: &Repo,
    number: u64,
    span: Span,
) -> Result<Vec<Comment>, ToolError> {
    if span.from >= span.to {
        return Ok(Vec::new());
    }
    let number = number.to_string();
    let size = u64::from(PAGE);
    let page = |page: u64| {
        let path = repo.path(&["issues", &number, "comments"]);
        cx.api
            .get(&path)
            .query("per_page", PAGE)
            .query("page", page + 1)
            .send::<Vec<Comment>>()
    };
    let (first, last) = (span.from / size, (span.to - 1) / size);
    let mut found = page(first).await?;
    // A span is at most one page long, so it lies in two at most.
    if last > first {
        found.extend(page(last).await?);
    }
    let skip = usize::try_from(span.from - first * size).unwrap_or(0);
    let take = usize::try_from(span.to - span.from).unwrap_or(0);
    Ok(found.into_iter().skip(skip).take(take).collect())
}

/// An issue or pull request with what is linked to it.
pub(super) struct Thread {
    /// The issue; a pull request seen as one, too.
    pub(super) issue: Issue,
    /// The rest of it when it is a pull request.
    pub(super) pull: Option<Pull>,
    /// Issues and pull requests that mention it, and commits that closed it.
    pub(super) linked: Vec<String>,
    /// What could not be read.
    pub(super) warnings: Vec<String>,
}

impl Thread {
    fn item(&self, cx: &Cx, budget: &mut Budget) -> Item {
        let mut item = rows::issue(cx, &self.issue)
            .field("closed_by", login(self.issue.closed_by.as_ref()))
            .field("linked", self.linked.clone());
        if let Some(pull) = &self.pull {
            item = item
                .field("head", pull.head.name.as_str())
                .field("base", pull.base.name.as_str())
                .field("mergeable", pull.mergeable)
                .field("changed_files", nonzero(pull.changed_files))
                .field("additions", nonzero(pull.additions))
                .field("deletions", nonzero(pull.deletions));
        }
        let half = budget.left() / 2;
        item.field("body", budget.take(&self.issue.body, half))
    }
}

/// Reads an issue, and what is linked to it; links that cannot be read are a warning.
pub(super) async fn thread(cx: &Cx, repo: &Repo, number: u64) -> Result<Thread, ToolError> {
    let digits = number.to_string();
    let path = repo.path(&["issues", &digits]);
    let issue: Result<Issue, ProviderError> = cx.api.get(&path).send().await;
    let issue = seen(cx, &format!("#{number} of {repo}"), issue)?;
    let timeline_path = repo.path(&["issues", &digits, "timeline"]);
    let timeline = cx
        .api
        .get(&timeline_path)
        .query("per_page", PAGE)
        .answer::<Vec<Value>>();
    let pull = async {
        if issue.pull_request.is_none() {
            return Ok(None);
        }
        let path = repo.path(&["pulls", &digits]);
        cx.api.get(&path).send::<Pull>().await.map(Some)
    };
    let (pull, timeline) = join(pull, timeline).await;
    let pull = pull?;
    let mut warnings = Vec::new();
    let linked = match timeline {
        Ok(timeline) => {
            if has_next(&timeline) {
                warnings.push("linked work is from the first 100 events only".to_owned());
            }
            links(timeline.body)
        }
        Err(error) if error.is_partial() => {
            warnings.push(format!("linked work: {error}"));
            Vec::new()
        }
        Err(error) => return Err(error.into()),
    };
    Ok(Thread {
        issue,
        pull,
        linked,
        warnings,
    })
}

/// What the timeline says about other work. Its events differ in every field, so one that reads otherwise is passed over.
fn links(events: Vec<Value>) -> Vec<String> {
    let mut links: Vec<String> = Vec::new();
    let events = events.into_iter();
    for happening in events.filter_map(|event| serde_json::from_value::<Happening>(event).ok()) {
        let source = happening.source.as_ref();
        let text = match (
            source.and_then(|source| source.issue.as_ref()),
            &happening.commit_id,
        ) {
            (Some(issue), _) => format!(
                "{}#{} ({} {}) {}",
                issue.repo(),
                issue.number,
                issue.state(),
                issue.kind(),
                issue.title
            ),
            (None, Some(sha)) if matches!(happening.event.as_str(), "closed" | "referenced") => {
                format!("{} by commit {sha}", happening.event)
            }
            (None, _) => continue,
        };
        if !links.contains(&text) {
            links.push(text);
        }
    }
    links
}

/// When an issue or pull request changed last, in one request.
pub(super) async fn changed_at(cx: &Cx, repo: &Repo, number: u64) -> Result<String, ToolError> {
    let id = number.to_string();
    let path = repo.path(&["issues", &id]);
    let what = format!("#{number} of {repo}");
    let issue: Issue = seen(cx, &what, cx.api.get(&path).send().await)?;
    Ok(issue.updated_at)
}

/// An issue or pull request as a page of Markdown: facts, body, links and the latest comments.
pub(super) async fn page(
    cx: &Cx,
    repo: &Repo,
    number: u64,
) -> Result<(String, Thread, bool), ToolError> {
    const LATEST: u64 = 30;
    let thread = thread(cx, repo, number).await?;
    let issue = &thread.issue;
    let mut budget = Budget::new(cx.max_chars);
    let mut text = format!("# {} (#{})\n\n", issue.title, issue.number);
    let _ = writeln!(
        text,
        "{} {} in {repo}, opened by {} on {}, last changed {}",
        issue.state(),
        issue.kind(),
        login(issue.user.as_ref()),
        issue.created_at,
        issue.updated_at
    );
    for (name, list) in [
        ("Labels", issue.label_names()),
        ("Assignees", issue.assignee_logins()),
    ] {
        if !list.is_empty() {
            let _ = writeln!(text, "{name}: {}", list.join(", "));
        }
    }
    let half = budget.left() / 2;
    let _ = write!(text, "\n{}\n", budget.take(&issue.body, half));
    if !thread.linked.is_empty() {
        text.push_str("\n## Linked\n\n");
        for link in &thread.linked {
            let _ = writeln!(text, "- {link}");
        }
    }
    let span = Span {
        from: issue.comments.saturating_sub(LATEST),
        to: issue.comments,
    };
    let found = comments(cx, repo, number, span).await?;
    if !found.is_empty() {
        let _ = writeln!(
            text,
            "\n## Comments ({} of {})",
            found.len(),
            issue.comments
        );
    }
    for comment in &found {
        let body = budget.take(&comment.body, COMMENT_CHARS);
        let who = login(comment.user.as_ref());
        let _ = write!(text, "\n### {who}, {}\n\n{body}\n", comment.created_at);
    }
    let cut = budget.cut || span.from > 0;
    Ok((text, thread, cut))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(comments: Comments, limit: u32) -> GetIssue {
        let order = match comments {
            Comments::Newest => "newest",
            Comments::Oldest => "oldest",
        };
        let arguments = serde_json::json!({"repo": "acme/site", "number": 1, "comments": order, "limit": limit});
        serde_json::from_value(arguments).unwrap_or_else(|error| panic!("{error}"))
    }

    #[test]
    fn comments_are_paged_from_either_end() {
        let span = |from, to| Span { from, to };
        let newest = asked(Comments::Newest, 10);
        assert_eq!(newest.split(span(0, 23)), (span(13, 23), Some(span(0, 13))));
        assert_eq!(newest.split(span(0, 3)), (span(0, 3), None));
        let oldest = asked(Comments::Oldest, 10);
        assert_eq!(oldest.split(span(0, 23)), (span(0, 10), Some(span(10, 23))));
        assert_eq!(oldest.split(span(20, 23)), (span(20, 23), None));
        assert_eq!(oldest.split(span(0, 0)), (span(0, 0), None));
    }
}
