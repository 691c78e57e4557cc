//! How records look in answers: one compact row for each kind, the same in searches and lists.

use serde_json::Value;

use super::model::{Commit, Issue, Pull, Repository, User, login};
use super::names::Repo;
use super::read::nonzero;
use crate::kit::output::Item;
use crate::kit::text;
use crate::kit::tool::Cx;
use crate::kit::uri::encode;

/// The block of a file.
pub(super) fn file_uri(cx: &Cx, repo: &str, reference: &str, path: &str) -> String {
    let path: Vec<String> = path.split('/').map(encode).collect();
    let reference = encode(super::read::or_head(reference));
    cx.uri(&format!("{repo}/blob/{reference}/{}", path.join("/")))
}

/// The block of an issue or a pull request.
pub(super) fn issue_uri(cx: &Cx, repo: &str, kind: &str, number: u64) -> String {
    let folder = if kind == "pull" { "pulls" } else { "issues" };
    cx.uri(&format!("{repo}/{folder}/{number}"))
}

/// A repository.
pub(super) fn repository(cx: &Cx, repo: &Repository) -> Item {
    Item::new(&repo.full_name)
        .url(&repo.html_url)
        .uri(cx.uri(&repo.full_name))
        .field("description", text::clip(&repo.description, 200))
        .field("visibility", repo.visibility())
        .field("language", repo.language.as_str())
        .field("topics", repo.topics.clone())
        .field("default_branch", repo.default_branch.as_str())
        .field("stars", nonzero(repo.stargazers_count))
        .field("open_issues_and_pulls", nonzero(repo.open_issues_count))
        .field("fork", flag(repo.fork))
        .field("archived", flag(repo.archived))
        .field("permission", repo.right())
        .field("pushed_at", repo.pushed_at.clone())
}

/// `true`, or nothing.
fn flag(is_set: bool) -> Value {
    if is_set {
        Value::Bool(true)
    } else {
        Value::Null
    }
}

/// An issue or pull request.
pub(super) fn issue(cx: &Cx, issue: &Issue) -> Item {
    let repo = issue.repo();
    Item::new(issue.number)
        .url(&issue.html_url)
        .uri(issue_uri(cx, &repo, issue.kind(), issue.number))
        .field("repo", repo)
        .field("kind", issue.kind())
        .field("title", text::clip(&issue.title, 300))
        .field("state", issue.state())
        .field("state_reason", issue.state_reason.as_str())
        .field("draft", flag(issue.draft.unwrap_or(false)))
        .field("author", login(issue.user.as_ref()))
        .field("assignees", issue.assignee_logins())
        .field("labels", issue.label_names())
        .field(
            "milestone",
            issue
                .milestone
                .as_ref()
                .map(|milestone| milestone.title.clone()),
        )
        .field("comments", nonzero(issue.comments))
        .field("created_at", issue.created_at.as_str())
        .field("updated_at", issue.updated_at.as_str())
        .field("closed_at", issue.closed_at.clone())
}

/// A pull request read as one.
pub(super) fn pull(cx: &Cx, repo: &Repo, pull: &Pull) -> Item {
    Item::new(pull.number)
        .url(&pull.html_url)
        .uri(issue_uri(cx, &repo.to_string(), "pull", pull.number))
        .field("title", text::clip(&pull.title, 300))
        .field("state", pull.state())
        .field("author", login(pull.user.as_ref()))
        .field("base", pull.base.name.as_str())
        .field("head", head_name(pull))
        .field("head_sha", pull.head.sha.as_str())
        .field("labels", pull.label_names())
        .field(
            "reviewers_waited_for",
            pull.requested_reviewers
                .iter()
                .map(|user| user.login.clone())
                .collect::<Vec<_>>(),
        )
        .field("mergeable", pull.mergeable)
        .field("merge_state", pull.mergeable_state.as_str())
        .field("commits", nonzero(pull.commits))
        .field("changed_files", nonzero(pull.changed_files))
        .field("additions", nonzero(pull.additions))
        .field("deletions", nonzero(pull.deletions))
        .field("created_at", pull.created_at.as_str())
        .field("updated_at", pull.updated_at.as_str())
        .field("merged_at", pull.merged_at.clone())
}

/// The branch, with its owner when it is in a fork.
fn head_name(pull: &Pull) -> String {
    let owner = |side: &Option<Repository>| {
        let owner = side.as_ref().and_then(|repo| repo.owner.as_ref());
        owner.map(|owner| owner.login.clone())
    };
    match (owner(&pull.head.repo), owner(&pull.base.repo)) {
        (Some(head), Some(base)) if head != base => format!("{head}:{}", pull.head.name),
        _ => pull.head.name.clone(),
    }
}

/// A commit.
pub(super) fn commit(commit: &Commit) -> Item {
    let repo = commit.repository.as_ref();
    Item::new(&commit.sha)
        .url(&commit.html_url)
        .field("repo", repo.map(|repo| repo.full_name.clone()))
        .field("message", text::clip(&commit.commit.message, 300))
        .field("author", commit.who())
        .field("at", commit.at())
}

/// A person or organization.
pub(super) fn person(user: &User) -> Item {
    Item::new(&user.login)
        .url(&user.html_url)
        .field("type", user.kind.as_str())
        .field("name", user.name.as_str())
        .field("company", user.company.as_str())
        .field("bio", text::clip(&user.bio, 200))
}
