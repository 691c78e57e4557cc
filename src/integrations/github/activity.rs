//! Toolset "Activity": what happened in a period, grouped. It reads three plain lists of each repository instead of
//! searching, because GitHub allows few searches a minute and finds fresh records late.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use futures_util::future::join3;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::auth::REPO;
use super::model::{Commit, Issue, Release, Repository, login};
use super::names::{Repo, instant_argument, seconds};
use super::read::{self, PAGE, has_next, seen};
use super::search::word;
use crate::kit::Timestamp;
use crate::kit::args::Limit;
use crate::kit::client::{Answer, Request};
use crate::kit::error::{ProviderError, ToolError};
use crate::kit::output::{Item, Output};
use crate::kit::text;
use crate::kit::tool::{AuditArgs, Cx, Effect, Needs, Tool};

/// Most repositories of one call.
const MAX_REPOS: usize = 10;
/// Pages read at most of each list.
const MAX_PAGES: u32 = 3;
/// What a period is when it is not said, in days.
const USUAL_DAYS: u64 = 7;

/// Grouping.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub(super) enum GroupBy {
    #[default]
    Kind,
    Repo,
    Person,
}

/// Commits, pull requests, issues, releases and contributors of a period, grouped.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ListActivity {
    /// Up to 10, owner/name.
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    repos: Vec<Repo>,
    /// Or all of an organization.
    #[serde(default)]
    org: String,
    /// Date, or `7d` by default.
    #[serde(default)]
    since: String,
    /// Date.
    #[serde(default)]
    until: String,
    /// Login.
    #[serde(default)]
    author: String,
    #[serde(default)]
    group_by: GroupBy,
    #[serde(default)]
    limit: Limit<20, 100>,
}

/// A stretch of time, both ends included.
#[derive(Clone, Copy, Debug)]
pub(super) struct Period {
    pub(super) since: Timestamp,
    pub(super) until: Timestamp,
}

impl Period {
    fn has(self, at: Option<&str>) -> bool {
        at.and_then(Timestamp::parse_rfc3339)
            .is_some_and(|at| (self.since..=self.until).contains(&at))
    }
}

impl Tool for ListActivity {
    const NAME: &'static str = "github_list_activity";
    const TITLE: &'static str = "List activity";
    const EFFECT: Effect = Effect::Read;
    const SCOPES: Needs = REPO;
    const AUDIT: AuditArgs = AuditArgs {
        plain: &["repos", "org", "group_by"],
        dropped: &[],
    };

    async fn call(self, cx: &Cx) -> Result<Output, ToolError> {
        let until = instant_argument("until", &self.until, cx.now)?.unwrap_or(cx.now);
        let usual = std::time::Duration::from_secs(USUAL_DAYS * 86_400);
        let since =
            instant_argument("since", &self.since, cx.now)?.unwrap_or_else(|| until.minus(usual));
        if since >= until {
            return Err(ToolError::Invalid(
                "`since` must be before `until`".to_owned(),
            ));
        }
        if !self.author.is_empty() {
            word("author", &self.author)?;
        }
        let period = Period { since, until };
        let mut output = Output::default();
        let repos = self.repositories(cx, period, &mut output).await?;
        let reads = repos
            .iter()
            .map(|repo| gather(cx, repo, period, &self.author));
        let found = read::all(reads.collect()).await;
        let mut events = Vec::new();
        for (repo, found) in repos.iter().zip(found) {
            match found {
                Ok((of_repo, is_whole)) => {
                    events.extend(of_repo);
                    if !is_whole {
                        output.truncated = true;
                        output.warnings.push(format!(
                            "{repo}: only the latest 300 of a kind; take a shorter period"
                        ));
                    }
                }
                // One repository of several that cannot be read is worth a warning.
                Err(error @ ToolError::NotFound(_)) if repos.len() > 1 => {
                    output.warnings.push(error.to_string());
                }
                Err(error) => return Err(error),
            }
        }
        output.items = group(&events, self.group_by, self.limit.get() as usize);
        if events.is_empty() {
            output.warnings.push(format!(
                "nothing happened between {} and {}",
                seconds(since),
                seconds(until)
            ));
        }
        Ok(output)
    }
}

impl ListActivity {
    async fn repositories(
        &self,
        cx: &Cx,
        period: Period,
        output: &mut Output,
    ) -> Result<Vec<Repo>, ToolError> {
        match (self.repos.as_slice(), self.org.as_str()) {
            ([], "") => Err(ToolError::Invalid("give `repos` or `org`".to_owned())),
            ([], org) => {
                let path = ["orgs", word("org", org)?, "repos"];
                let list = cx
                    .api
                    .get(&path)
                    .query("sort", "pushed")
                    .query("direction", "desc")
                    .query("per_page", PAGE)
                    .send::<Vec<Repository>>();
                let list = seen(cx, &format!("organization `{org}`"), list.await)?;
                let is_active = |repo: &&Repository| {
                    let pushed = repo.pushed_at.as_deref().and_then(Timestamp::parse_rfc3339);
                    pushed.is_some_and(|at| at >= period.since)
                };
                let active: Vec<Repo> = list
                    .iter()
                    .filter(is_active)
                    .filter_map(|repo| Repo::parse(&repo.full_name))
                    .collect();
                if active.len() > MAX_REPOS {
                    output.truncated = true;
                    output.warnings.push(format!(
                        "the {MAX_REPOS} most recently pushed of {} active repositories; name others in `repos`",
                        active.len()
                    ));
                }
                Ok(active.into_iter().take(MAX_REPOS).collect())
            }
            (repos, "") if repos.len() <= MAX_REPOS => Ok(repos.to_vec()),
            (_, "") => Err(ToolError::Invalid(format!(
                "`repos` takes at most {MAX_REPOS}"
            ))),
            (_, _) => Err(ToolError::Invalid(
                "give `repos` or `org`, not both".to_owned(),
            )),
        }
    }
}

/// What an event is. The order is that of the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Release,
    MergedPull,
    OpenedPull,
    OpenedIssue,
    ClosedIssue,
    Commit,
}

impl Kind {
    /// The plural, as groups and counts are called.
    const fn plural(self) -> &'static str {
        match self {
            Self::Release => "releases",
            Self::MergedPull => "merged_pulls",
            Self::OpenedPull => "opened_pulls",
            Self::OpenedIssue => "opened_issues",
            Self::ClosedIssue => "closed_issues",
            Self::Commit => "commits",
        }
    }
}

/// One thing that happened.
#[derive(Clone, Debug)]
pub(super) struct Event {
    kind: Kind,
    repo: String,
    who: String,
    at: String,
    /// `#12`, a tag, or the beginning of a hash.
    name: String,
    title: String,
    url: String,
}

/// Reads all pages of a list, but not more than [`MAX_PAGES`]. Says whether that was all.
async fn pages<T: serde::de::DeserializeOwned>(
    request: impl Fn() -> Request,
) -> Result<(Vec<T>, bool), ProviderError> {
    let mut all = Vec::new();
    for page in 1..=MAX_PAGES {
        let request = request().query("per_page", PAGE).query("page", page);
        let answer: Answer<Vec<T>> = request.answer().await?;
        let is_last = !has_next(&answer);
        all.extend(answer.body);
        if is_last {
            return Ok((all, true));
        }
    }
    Ok((all, false))
}

/// Everything that happened in a repository, newest first, and whether that is all.
pub(super) async fn gather(
    cx: &Cx,
    repo: &Repo,
    period: Period,
    author: &str,
) -> Result<(Vec<Event>, bool), ToolError> {
    let commits = pages::<Commit>(|| {
        cx.api
            .get(&repo.path(&["commits"]))
            .query("since", seconds(period.since))
            .query("until", seconds(period.until))
            .query_opt("author", (!author.is_empty()).then_some(author))
    });
    let issues = pages::<Issue>(|| {
        cx.api
            .get(&repo.path(&["issues"]))
            .query("state", "all")
            .query("sort", "updated")
            .query("direction", "desc")
            .query("since", seconds(period.since))
    });
    let releases = async {
        let request = cx
            .api
            .get(&repo.path(&["releases"]))
            .query("per_page", 30)
            .send::<Vec<Release>>();
        request.await
    };
    let commits = async {
        match commits.await {
            // "Git Repository is empty."
            Err(ProviderError::Conflict { .. }) => Ok((Vec::new(), true)),
            other => other,
        }
    };
    let issues = async {
        match issues.await {
            // A repository whose issues are switched off.
            Err(ProviderError::Invalid { .. }) => Ok((Vec::new(), true)),
            other => other,
        }
    };
    let (commits, issues, releases) = join3(commits, issues, releases).await;
    let what = format!("repository {repo}");
    let (commits, all_commits) = seen(cx, &what, commits)?;
    let (issues, all_issues) = seen(cx, &what, issues)?;
    let releases = seen(cx, &what, releases)?;

    let mut events: Vec<Event> = commits
        .iter()
        .map(|commit| of_commit(repo, commit))
        .collect();
    for issue in &issues {
        events.extend(of_issue(repo, issue, period));
    }
    let published = releases
        .iter()
        .filter(|release| !release.draft && period.has(release.published_at.as_deref()));
    events.extend(published.map(|release| of_release(repo, release)));
    events.retain(|event| author.is_empty() || event.kind == Kind::Commit || event.who == author);
    events.sort_by(|a, b| b.at.cmp(&a.at));
    Ok((events, all_commits && all_issues))
}

fn of_commit(repo: &Repo, commit: &Commit) -> Event {
    Event {
        kind: Kind::Commit,
        repo: repo.to_string(),
        who: commit.who(),
        at: commit.at(),
        name: commit.sha.chars().take(10).collect(),
        title: commit.subject().to_owned(),
        url: commit.html_url.clone(),
    }
}

fn of_release(repo: &Repo, release: &Release) -> Event {
    let name = release.name.clone().unwrap_or_default();
    Event {
        kind: Kind::Release,
        repo: repo.to_string(),
        who: login(release.author.as_ref()),
        at: release.published_at.clone().unwrap_or_default(),
        name: release.tag_name.clone(),
        title: match (name.is_empty(), release.prerelease) {
            (_, true) => format!("{name} (prerelease)"),
            (true, false) => release.tag_name.clone(),
            (false, false) => name,
        },
        url: release.html_url.clone(),
    }
}

/// An issue may have been opened and closed within one period, which makes two events.
fn of_issue(repo: &Repo, issue: &Issue, period: Period) -> Vec<Event> {
    let event = |kind, at: &str| Event {
        kind,
        repo: repo.to_string(),
        who: login(issue.user.as_ref()),
        at: at.to_owned(),
        name: format!("#{}", issue.number),
        title: issue.title.clone(),
        url: issue.html_url.clone(),
    };
    let mut events = Vec::new();
    let opened = period.has(Some(&issue.created_at));
    if let Some(pull) = &issue.pull_request {
        if let Some(at) = pull.merged_at.as_deref().filter(|at| period.has(Some(at))) {
            events.push(event(Kind::MergedPull, at));
        } else if opened {
            events.push(event(Kind::OpenedPull, &issue.created_at));
        }
        return events;
    }
    if opened {
        events.push(event(Kind::OpenedIssue, &issue.created_at));
    }
    if let Some(at) = issue.closed_at.as_deref().filter(|at| period.has(Some(at))) {
        events.push(event(Kind::ClosedIssue, at));
    }
    events
}

/// Groups, each with its counts and its latest entries.
pub(super) fn group(events: &[Event], by: GroupBy, limit: usize) -> Vec<Item> {
    let mut groups: BTreeMap<(usize, String), Vec<&Event>> = BTreeMap::new();
    for event in events {
        let key = match by {
            GroupBy::Kind => (event.kind as usize, event.kind.plural().to_owned()),
            GroupBy::Repo => (0, event.repo.clone()),
            GroupBy::Person => (0, event.who.clone()),
        };
        groups.entry(key).or_default().push(event);
    }
    let mut items = Vec::new();
    for ((_, key), of_group) in &groups {
        let entries: Vec<Value> = of_group
            .iter()
            .take(limit)
            .map(|event| entry(event, by))
            .collect();
        let mut item = Item::new(key).field("count", of_group.len());
        if by != GroupBy::Kind {
            item.set(
                "counts",
                json!(counts(of_group, |event| event.kind.plural())),
            );
        }
        item.set("entries", entries);
        if of_group.len() > limit {
            item.set("left_out", of_group.len() - limit);
        }
        items.push(item);
    }
    if by != GroupBy::Person && !events.is_empty() {
        let all: Vec<&Event> = events.iter().collect();
        let people = counts(&all, |event| event.who.as_str());
        let mut people: Vec<(&str, usize)> = people.into_iter().collect();
        people.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
        let people: serde_json::Map<String, Value> = people
            .into_iter()
            .filter(|(who, _)| !who.is_empty())
            .take(limit)
            .map(|(who, count)| (who.to_owned(), json!(count)))
            .collect();
        items.push(Item::new("contributors").field("events", people));
    }
    items
}

fn counts<'a>(
    events: &[&'a Event],
    name: impl Fn(&'a Event) -> &'a str,
) -> BTreeMap<&'a str, usize> {
    let mut counts = BTreeMap::new();
    for event in events {
        *counts.entry(name(event)).or_insert(0) += 1;
    }
    counts
}

/// One entry; what the group says already is left out.
fn entry(event: &Event, by: GroupBy) -> Value {
    let mut fields = Item::new("")
        .field("what", event.name.as_str())
        .field("title", text::clip(&event.title, 160));
    if by != GroupBy::Kind {
        fields.set("kind", event.kind.plural());
    }
    if by != GroupBy::Repo {
        fields.set("repo", event.repo.as_str());
    }
    if by != GroupBy::Person {
        fields.set("who", event.who.as_str());
    }
    fields.set("at", event.at.as_str());
    fields.set("url", event.url.as_str());
    Value::Object(fields.fields)
}

/// The same as a page of Markdown.
pub(super) fn digest(repo: &Repo, period: Period, events: &[Event]) -> String {
    const SHOWN: usize = 30;
    let mut text = format!(
        "# Activity of {repo}, {} to {}\n",
        seconds(period.since),
        seconds(period.until)
    );
    let mut groups: BTreeMap<Kind, Vec<&Event>> = BTreeMap::new();
    for event in events {
        groups.entry(event.kind).or_default().push(event);
    }
    for (kind, of_group) in &groups {
        let title = kind.plural().replace('_', " ");
        let _ = writeln!(text, "\n## {} {title}\n", of_group.len());
        for event in of_group.iter().take(SHOWN) {
            let _ = writeln!(
                text,
                "- [{}]({}) {} ({}, {})",
                event.name, event.url, event.title, event.who, event.at
            );
        }
        if of_group.len() > SHOWN {
            let _ = writeln!(text, "- … and {} more", of_group.len() - SHOWN);
        }
    }
    if events.is_empty() {
        text.push_str("\nNothing happened.\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::integrations::github::model::PullMark;

    #[test]
    fn an_issue_opened_and_closed_in_the_period_is_two_events() {
        let at = |text: &str| Timestamp::parse_rfc3339(text).unwrap_or_default();
        let period = Period {
            since: at("2026-11-13T00:00:00Z"),
            until: at("2026-11-20T00:00:00Z"),
        };
        let repo = Repo {
            owner: "acme".to_owned(),
            name: "site".to_owned(),
        };
        let kinds = |issue: &Issue| -> Vec<Kind> {
            of_issue(&repo, issue, period)
                .iter()
                .map(|event| event.kind)
                .collect()
        };
        let mut issue = Issue {
            created_at: "2026-11-14T10:00:00Z".to_owned(),
            closed_at: Some("2026-11-15T10:00:00Z".to_owned()),
            ..Issue::default()
        };
        assert_eq!(kinds(&issue), [Kind::OpenedIssue, Kind::ClosedIssue]);
        issue.created_at = "2026-10-01T10:00:00Z".to_owned();
        assert_eq!(kinds(&issue), [Kind::ClosedIssue]);
        issue.pull_request = Some(PullMark { merged_at: None });
        assert_eq!(kinds(&issue), []);
        issue.pull_request = Some(PullMark {
            merged_at: Some("2026-11-15T10:00:00Z".to_owned()),
        });
        assert_eq!(kinds(&issue), [Kind::MergedPull]);
    }
}
