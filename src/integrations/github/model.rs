//! GitHub's JSON, only the fields that are read. Everything that GitHub may leave out or null is optional here, so that
//! an odd record costs a field and not the answer.

#![expect(
    clippy::struct_field_names,
    reason = "fields are called what GitHub calls them"
)]

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny};
use serde_json::{Map, Value};

/// Null reads as the type's default: GitHub nulls most texts that are not set.
fn or_default<'de, T: Deserialize<'de> + Default, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// A person, organization or app.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct User {
    pub(super) id: u64,
    pub(super) login: String,
    pub(super) html_url: String,
    #[serde(rename = "type", deserialize_with = "or_default")]
    pub(super) kind: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) name: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) email: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) company: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) bio: String,
}

/// Whose a record is; empty for a deleted account.
pub(super) fn login(user: Option<&User>) -> String {
    user.map(|user| user.login.clone()).unwrap_or_default()
}

/// An organization in a list.
#[derive(Debug, Deserialize)]
pub(super) struct Org {
    pub(super) login: String,
}

/// `GET /rate_limit`.
#[derive(Debug, Deserialize)]
pub(super) struct RateLimits {
    pub(super) resources: Map<String, Value>,
}

/// A repository.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Repository {
    pub(super) id: u64,
    pub(super) name: String,
    pub(super) full_name: String,
    pub(super) owner: Option<User>,
    pub(super) html_url: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) description: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) homepage: String,
    pub(super) private: bool,
    #[serde(deserialize_with = "or_default")]
    pub(super) visibility: String,
    pub(super) fork: bool,
    pub(super) archived: bool,
    #[serde(deserialize_with = "or_default")]
    pub(super) default_branch: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) language: String,
    pub(super) topics: Vec<String>,
    pub(super) license: Option<License>,
    pub(super) stargazers_count: u64,
    pub(super) forks_count: u64,
    pub(super) open_issues_count: u64,
    pub(super) pushed_at: Option<String>,
    pub(super) updated_at: Option<String>,
    pub(super) permissions: Option<Map<String, Value>>,
}

impl Repository {
    /// `public`, `private` or `internal`; old servers only say whether it is private.
    pub(super) fn visibility(&self) -> &str {
        match (self.visibility.as_str(), self.private) {
            ("", true) => "private",
            ("", false) => "public",
            (word, _) => word,
        }
    }

    /// The strongest right the person has.
    pub(super) fn right(&self) -> Option<&'static str> {
        let rights = self.permissions.as_ref()?;
        ["admin", "maintain", "push", "triage", "pull"]
            .into_iter()
            .find(|right| rights.get(*right).and_then(Value::as_bool) == Some(true))
    }
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct License {
    pub(super) spdx_id: Option<String>,
}

/// A page of search results.
#[derive(Debug, Deserialize)]
pub(super) struct Found<T> {
    pub(super) total_count: u64,
    #[serde(default)]
    pub(super) incomplete_results: bool,
    pub(super) items: Vec<T>,
}

/// How many search results there are; the results themselves are not read.
#[derive(Debug, Deserialize)]
pub(super) struct Count {
    pub(super) total_count: u64,
    #[serde(rename = "items")]
    _items: IgnoredAny,
}

/// A file found by a code search.
#[derive(Debug, Deserialize)]
pub(super) struct CodeHit {
    pub(super) path: String,
    pub(super) sha: String,
    pub(super) html_url: String,
    pub(super) repository: Repository,
    #[serde(default)]
    pub(super) text_matches: Vec<TextMatch>,
}

#[derive(Debug, Deserialize)]
pub(super) struct TextMatch {
    #[serde(default)]
    pub(super) fragment: String,
}

/// A file or folder of `GET …/contents`, and a blob.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Content {
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) path: String,
    pub(super) sha: String,
    pub(super) size: u64,
    #[serde(deserialize_with = "or_default")]
    pub(super) html_url: String,
    pub(super) content: String,
    pub(super) encoding: String,
}

/// One thing, or a folder's list of things, which trees tell better.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum OneOrMany {
    Many(#[expect(dead_code, reason = "only that it is a list matters")] Vec<IgnoredAny>),
    One(Box<Content>),
}

/// `GET …/git/trees/{sha}`.
#[derive(Debug, Deserialize)]
pub(super) struct Tree {
    pub(super) sha: String,
    #[serde(default)]
    pub(super) truncated: bool,
    pub(super) tree: Vec<TreeEntry>,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct TreeEntry {
    pub(super) path: String,
    pub(super) mode: String,
    /// `blob`, `tree`, or `commit` for a submodule.
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) sha: String,
    #[serde(default)]
    pub(super) size: u64,
}

/// A commit with what surrounds it.
#[derive(Debug, Deserialize)]
pub(super) struct Commit {
    pub(super) sha: String,
    pub(super) html_url: String,
    pub(super) commit: CommitText,
    #[serde(default)]
    pub(super) author: Option<User>,
    #[serde(default)]
    pub(super) repository: Option<Repository>,
}

impl Commit {
    /// The first line of its message.
    pub(super) fn subject(&self) -> &str {
        self.commit.message.lines().next().unwrap_or_default()
    }

    /// The login, else the name that Git has.
    pub(super) fn who(&self) -> String {
        match &self.author {
            Some(user) if !user.login.is_empty() => user.login.clone(),
            _ => self
                .commit
                .author
                .as_ref()
                .map(|author| author.name.clone())
                .unwrap_or_default(),
        }
    }

    /// When it was written.
    pub(super) fn at(&self) -> String {
        let author = self.commit.author.as_ref();
        author
            .and_then(|author| author.date.clone())
            .unwrap_or_default()
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct CommitText {
    pub(super) message: String,
    #[serde(default)]
    pub(super) author: Option<CommitAuthor>,
}

#[derive(Debug, Deserialize)]
pub(super) struct CommitAuthor {
    #[serde(default, deserialize_with = "or_default")]
    pub(super) name: String,
    #[serde(default)]
    pub(super) date: Option<String>,
}

/// A bare Git commit.
#[derive(Debug, Deserialize)]
pub(super) struct GitCommit {
    pub(super) sha: String,
    pub(super) tree: Sha,
}

/// A branch or tag.
#[derive(Debug, Deserialize)]
pub(super) struct GitRef {
    #[serde(rename = "ref")]
    pub(super) name: String,
    pub(super) object: Sha,
}

#[derive(Debug, Deserialize)]
pub(super) struct Sha {
    pub(super) sha: String,
}

/// A branch or tag in a list.
#[derive(Debug, Deserialize)]
pub(super) struct Named {
    pub(super) name: String,
}

/// A release.
#[derive(Debug, Deserialize)]
pub(super) struct Release {
    pub(super) tag_name: String,
    pub(super) html_url: String,
    #[serde(default)]
    pub(super) name: Option<String>,
    #[serde(default)]
    pub(super) body: Option<String>,
    #[serde(default)]
    pub(super) draft: bool,
    #[serde(default)]
    pub(super) prerelease: bool,
    #[serde(default)]
    pub(super) published_at: Option<String>,
    #[serde(default)]
    pub(super) author: Option<User>,
}

/// An issue, or a pull request seen as one.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Issue {
    pub(super) number: u64,
    pub(super) title: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) body: String,
    pub(super) html_url: String,
    pub(super) repository_url: String,
    pub(super) state: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) state_reason: String,
    pub(super) user: Option<User>,
    pub(super) labels: Vec<Label>,
    #[serde(deserialize_with = "or_default")]
    pub(super) assignees: Vec<User>,
    pub(super) milestone: Option<Milestone>,
    pub(super) comments: u64,
    pub(super) locked: bool,
    pub(super) draft: Option<bool>,
    pub(super) created_at: String,
    pub(super) updated_at: String,
    pub(super) closed_at: Option<String>,
    pub(super) closed_by: Option<User>,
    pub(super) pull_request: Option<PullMark>,
}

/// What an issue that is a pull request says about that.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct PullMark {
    pub(super) merged_at: Option<String>,
}

impl Issue {
    /// `issue` or `pull`.
    pub(super) const fn kind(&self) -> &'static str {
        if self.pull_request.is_some() {
            "pull"
        } else {
            "issue"
        }
    }

    /// `open`, `closed` or `merged`.
    pub(super) fn state(&self) -> &str {
        let merged = self.pull_request.as_ref();
        if merged.is_some_and(|pull| pull.merged_at.is_some()) {
            "merged"
        } else {
            &self.state
        }
    }

    /// Names of its labels.
    pub(super) fn label_names(&self) -> Vec<String> {
        self.labels
            .iter()
            .map(|label| label.name().to_owned())
            .collect()
    }

    /// Logins of its assignees.
    pub(super) fn assignee_logins(&self) -> Vec<String> {
        self.assignees
            .iter()
            .map(|user| user.login.clone())
            .collect()
    }

    /// `owner/name` of its repository, out of the address of that.
    pub(super) fn repo(&self) -> String {
        let mut parts = self.repository_url.rsplit('/');
        match (parts.next(), parts.next()) {
            (Some(name), Some(owner)) => format!("{owner}/{name}"),
            _ => String::new(),
        }
    }
}

/// A label; very old ones are bare text.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Label {
    Text(String),
    Object {
        #[serde(default)]
        name: Option<String>,
    },
}

impl Label {
    fn name(&self) -> &str {
        match self {
            Self::Text(name) => name,
            Self::Object { name } => name.as_deref().unwrap_or_default(),
        }
    }
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Milestone {
    pub(super) title: String,
}

/// A comment on an issue or pull request.
#[derive(Debug, Deserialize)]
pub(super) struct Comment {
    pub(super) id: u64,
    pub(super) html_url: String,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) body: String,
    #[serde(default)]
    pub(super) user: Option<User>,
    pub(super) created_at: String,
}

/// What happened to an issue. The kinds differ in every field; these are the ones read.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Happening {
    #[serde(deserialize_with = "or_default")]
    pub(super) event: String,
    pub(super) commit_id: Option<String>,
    pub(super) source: Option<HappeningSource>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct HappeningSource {
    pub(super) issue: Option<Issue>,
}

/// A pull request.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Pull {
    pub(super) number: u64,
    pub(super) title: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) body: String,
    pub(super) html_url: String,
    pub(super) state: String,
    pub(super) draft: bool,
    pub(super) merged_at: Option<String>,
    pub(super) mergeable: Option<bool>,
    #[serde(deserialize_with = "or_default")]
    pub(super) mergeable_state: String,
    pub(super) user: Option<User>,
    pub(super) head: Side,
    pub(super) base: Side,
    #[serde(deserialize_with = "or_default")]
    pub(super) requested_reviewers: Vec<User>,
    pub(super) labels: Vec<Label>,
    pub(super) commits: u64,
    pub(super) additions: u64,
    pub(super) deletions: u64,
    pub(super) changed_files: u64,
    pub(super) created_at: String,
    pub(super) updated_at: String,
}

impl Pull {
    /// `open`, `draft`, `closed` or `merged`.
    pub(super) fn state(&self) -> &str {
        match (&self.merged_at, self.draft, self.state.as_str()) {
            (Some(_), _, _) => "merged",
            (None, true, "open") => "draft",
            (None, _, state) => state,
        }
    }

    /// Names of its labels.
    pub(super) fn label_names(&self) -> Vec<String> {
        self.labels
            .iter()
            .map(|label| label.name().to_owned())
            .collect()
    }
}

/// One side of a pull request.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Side {
    #[serde(rename = "ref")]
    pub(super) name: String,
    pub(super) sha: String,
    /// Absent when the fork was deleted.
    pub(super) repo: Option<Repository>,
}

/// A file of a pull request.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct ChangedFile {
    pub(super) filename: String,
    pub(super) status: String,
    pub(super) additions: u64,
    pub(super) deletions: u64,
    #[serde(default)]
    pub(super) blob_url: Option<String>,
    /// Absent for binary and for very large files.
    #[serde(default)]
    pub(super) patch: Option<String>,
    #[serde(default)]
    pub(super) previous_filename: Option<String>,
}

impl ChangedFile {
    /// One line about it, such as `modified src/a.rs +3 -1`.
    pub(super) fn row(&self) -> String {
        let was = self.previous_filename.as_ref();
        let was = was.map(|was| format!(" (was {was})")).unwrap_or_default();
        format!(
            "{} {}{was} +{} -{}",
            self.status, self.filename, self.additions, self.deletions
        )
    }
}

/// A review.
#[derive(Debug, Deserialize)]
pub(super) struct Review {
    pub(super) id: u64,
    pub(super) html_url: String,
    pub(super) state: String,
    #[serde(default)]
    pub(super) user: Option<User>,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) body: String,
    #[serde(default)]
    pub(super) submitted_at: Option<String>,
}

/// A comment on a line of a pull request.
#[derive(Debug, Deserialize)]
pub(super) struct ReviewComment {
    pub(super) id: u64,
    pub(super) html_url: String,
    pub(super) path: String,
    #[serde(default)]
    pub(super) line: Option<u64>,
    #[serde(default)]
    pub(super) original_line: Option<u64>,
    #[serde(default)]
    pub(super) in_reply_to_id: Option<u64>,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) diff_hunk: String,
    #[serde(default)]
    pub(super) user: Option<User>,
    pub(super) body: String,
    pub(super) created_at: String,
}
