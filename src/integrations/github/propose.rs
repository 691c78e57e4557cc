//! Toolset "Pull requests", writing: a change of files as a branch with one commit and a pull request, in one call. It
//! never touches an existing branch except to add a commit to an open pull request of its own name.

use std::collections::BTreeMap;

use futures_util::future::join;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::auth::REPO;
use super::cut::{Held, decode};
use super::model::{GitCommit, GitRef, Pull, Sha, Tree, TreeEntry};
use super::names::Repo;
use super::read::{self, optional, seen};
use super::rows;
use crate::kit::error::{ProviderError, ToolError};
use crate::kit::output::{Item, Output};
use crate::kit::tool::{AuditArgs, Cx, Effect, Needs, Tool};

/// Most files of one change.
const MAX_FILES: usize = 50;
/// Most text of one change, in bytes.
const MAX_TEXT_BYTES: usize = 1024 * 1024;
/// Workflow files need a scope of their own.
const WORKFLOWS: &str = ".github/workflows/";

/// Commit files to a branch and open its pull request, or add to the open one.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ProposeChange {
    /// owner/name
    repo: Repo,
    /// Branch to merge into.
    #[serde(default)]
    base: String,
    /// Else named after the title.
    #[serde(default)]
    branch: String,
    /// Path: whole new text.
    files: BTreeMap<String, String>,
    /// Of commit and pull request.
    title: String,
    /// Markdown.
    #[serde(default)]
    body: String,
    /// Open as a draft.
    #[serde(default)]
    draft: bool,
}

/// Where the change goes.
struct Ground {
    base: String,
    base_sha: String,
    branch: String,
    state: Branch,
}

/// What there is of the branch already.
enum Branch {
    /// Nothing.
    New,
    /// It has an open pull request, which the change adds to.
    Open { tip: String, pull: Box<Pull> },
    /// It has none, so it may hold anything: it is not built upon but only compared with.
    Left { tip: String },
}

impl Ground {
    /// The commit that the change is put upon.
    fn parent(&self) -> &str {
        match &self.state {
            Branch::Open { tip, .. } => tip,
            Branch::New | Branch::Left { .. } => &self.base_sha,
        }
    }

    fn pull(&self) -> Option<&Pull> {
        match &self.state {
            Branch::Open { pull, .. } => Some(pull),
            Branch::New | Branch::Left { .. } => None,
        }
    }
}

impl Tool for ProposeChange {
    const NAME: &'static str = "github_propose_change";
    const TITLE: &'static str = "Propose change";
    const EFFECT: Effect = Effect::Write { idempotent: false };
    const SCOPES: Needs = REPO;
    const AUDIT: AuditArgs = AuditArgs {
        plain: &["repo", "base", "branch", "draft"],
        dropped: &["files", "body"],
    };
    /// A pull request sends mail to whoever watches the repository.
    const OUTWARD: bool = true;

    async fn call(self, cx: &Cx) -> Result<Output, ToolError> {
        self.check(cx)?;
        let ground = self.ground(cx).await?;
        let parent = read::git_commit(cx, &self.repo, ground.parent()).await?;
        let modes = read::tree(cx, &self.repo, &parent.tree.sha, true).await?;
        if cx.dry_run {
            return self.preview(cx, &ground, &modes).await;
        }
        let tree = self.write_tree(cx, &parent, &modes).await?;
        let mut output = Output::default();
        if modes.truncated {
            output = output
                .warn("GitHub cut the list of files; executable files may have become plain ones");
        }
        let is_same = tree == parent.tree.sha;
        let commit = match &ground.state {
            Branch::New if is_same => {
                return Err(ToolError::Invalid(format!(
                    "nothing to propose: the files already read so at {}",
                    ground.base
                )));
            }
            Branch::New => Some(self.new_branch(cx, &ground, &tree).await?),
            Branch::Open { .. } if is_same => {
                output = output.warn("the files already read so; no commit was made");
                None
            }
            Branch::Open { tip, .. } => Some(self.add_commit(cx, &ground, &tree, tip).await?),
            Branch::Left { tip } => {
                // A call that broke off between branch and pull request left exactly this tree: go on from there.
                let left = read::git_commit(cx, &self.repo, tip).await?;
                if left.tree.sha != tree {
                    return Err(taken(&ground.branch));
                }
                Some(tip.clone())
            }
        };
        let item = self.save_pull(cx, &ground, commit, &mut output).await?;
        output.items.push(item);
        Ok(output)
    }
}

fn taken(branch: &str) -> ToolError {
    ToolError::Conflict(format!(
        "branch `{branch}` exists with other content and no open pull request; give another `branch`"
    ))
}

impl ProposeChange {
    fn check(&self, cx: &Cx) -> Result<(), ToolError> {
        let invalid = |text: String| Err(ToolError::Invalid(text));
        if self.title.trim().is_empty() {
            return invalid("`title` is empty".to_owned());
        }
        if self.files.is_empty() || self.files.len() > MAX_FILES {
            return invalid(format!("`files` takes 1 to {MAX_FILES} files"));
        }
        if self.files.values().map(String::len).sum::<usize>() > MAX_TEXT_BYTES {
            return invalid("`files` has more than 1 MB of text; propose it in parts".to_owned());
        }
        for path in self.files.keys() {
            let is_plain = path
                .split('/')
                .all(|part| !matches!(part, "" | "." | ".." | ".git"));
            if !is_plain || path.chars().any(char::is_control) {
                return invalid(format!("`{path}` in `files` is not a path in a repository"));
            }
            if path.starts_with(WORKFLOWS) {
                cx.require("workflow")?;
            }
        }
        for (name, branch) in [("base", &self.base), ("branch", &self.branch)] {
            if !branch.is_empty() && !is_branch(branch) {
                return invalid(format!("`{name}` is not a name of a branch"));
            }
        }
        Ok(())
    }

    async fn ground(&self, cx: &Cx) -> Result<Ground, ToolError> {
        let base = if self.base.is_empty() {
            read::repository(cx, &self.repo).await?.default_branch
        } else {
            self.base.clone()
        };
        let branch = if self.branch.is_empty() {
            format!("workbench/{}", slug(&self.title))
        } else {
            self.branch.clone()
        };
        if branch == base {
            return Err(ToolError::Invalid(format!(
                "`branch` must differ from the base `{base}`: a change is proposed, not pushed"
            )));
        }
        let (base_sha, tip) = join(self.tip(cx, &base), self.tip(cx, &branch)).await;
        let base_sha = seen(cx, &format!("branch `{base}` of {}", self.repo), base_sha)?;
        let tip = optional(tip)?;
        let state = match tip {
            None => Branch::New,
            Some(tip) => match self.open_pull(cx, &branch, &base).await? {
                Some(pull) => Branch::Open {
                    tip,
                    pull: Box::new(pull),
                },
                None => Branch::Left { tip },
            },
        };
        Ok(Ground {
            base,
            base_sha,
            branch,
            state,
        })
    }

    async fn tip(&self, cx: &Cx, branch: &str) -> Result<String, ProviderError> {
        let path = self.repo.path_to(&["git", "ref", "heads"], branch);
        let found: GitRef = cx.api.get(&path).send().await?;
        Ok(found.object.sha)
    }

    async fn open_pull(
        &self,
        cx: &Cx,
        branch: &str,
        base: &str,
    ) -> Result<Option<Pull>, ProviderError> {
        let path = self.repo.path(&["pulls"]);
        let found: Vec<Pull> = cx
            .api
            .get(&path)
            .query("state", "open")
            .query("head", format!("{}:{branch}", self.repo.owner))
            .query("base", base)
            .send()
            .await?;
        // An unknown head is ignored by GitHub and answers every open pull request.
        Ok(found.into_iter().find(|pull| pull.head.name == branch))
    }

    /// The base sha and what would change in each file, by lines and bytes.
    async fn preview(&self, cx: &Cx, ground: &Ground, tree: &Tree) -> Result<Output, ToolError> {
        let reads = self
            .files
            .iter()
            .map(|(path, text)| self.difference(cx, path, text, entry(tree, path)));
        let files = read::all(reads.collect()).await;
        let files: Vec<Value> = files.into_iter().collect::<Result<_, _>>()?;
        let mut item = Item::new(&ground.branch)
            .field("dry_run", true)
            .field("repo", self.repo.to_string())
            .field("base", ground.base.as_str())
            .field("base_sha", ground.base_sha.as_str())
            .field("branch", ground.branch.as_str())
            .field("files", files);
        match &ground.state {
            Branch::New => item.set("would", "create the branch and open a pull request"),
            Branch::Open { pull, .. } => {
                item.set("would", format!("add a commit to #{}", pull.number));
                item.url = Some(pull.html_url.clone());
            }
            Branch::Left { .. } => {
                item.set("would", "fail unless the branch holds exactly this change");
            }
        }
        Ok(Output::one(item))
    }

    async fn difference(
        &self,
        cx: &Cx,
        path: &str,
        text: &str,
        before: Option<&TreeEntry>,
    ) -> Result<Value, ToolError> {
        let Some(before) = before else {
            return Ok(json!({
                "path": path, "change": "added", "lines_added": text.lines().count(), "bytes": text.len(),
            }));
        };
        let old = read::blob(cx, &self.repo, &before.sha).await?;
        let Some(Held::Text(old)) = decode(&old.content, &old.encoding) else {
            return Ok(
                json!({ "path": path, "change": "replaces a binary file", "bytes": text.len() }),
            );
        };
        if old == text {
            return Ok(json!({ "path": path, "change": "none" }));
        }
        let (added, removed) = line_counts(&old, text);
        Ok(json!({
            "path": path, "change": "modified", "lines_added": added, "lines_removed": removed,
            "bytes_before": old.len(), "bytes": text.len(),
        }))
    }

    async fn write_tree(
        &self,
        cx: &Cx,
        parent: &GitCommit,
        modes: &Tree,
    ) -> Result<String, ToolError> {
        let mut entries = Vec::new();
        for (path, text) in &self.files {
            let had = entry(modes, path);
            let mode = had.map_or("100644", |had| had.mode.as_str());
            if had.is_some_and(|had| had.kind != "blob") || mode == "120000" {
                return Err(ToolError::Invalid(format!(
                    "`{path}` is a folder, link or submodule and cannot be given a text"
                )));
            }
            entries.push(json!({ "path": path, "mode": mode, "type": "blob", "content": text }));
        }
        let path = self.repo.path(&["git", "trees"]);
        let body = json!({ "base_tree": parent.tree.sha, "tree": entries });
        let written = cx.api.post(&path).json(&body).send::<Sha>().await;
        // Who may read but not write gets "not found" here.
        let what = format!("{} as a place to write to", self.repo);
        Ok(seen(cx, &what, written)?.sha)
    }

    async fn commit(&self, cx: &Cx, tree: &str, parent: &str) -> Result<String, ToolError> {
        let path = self.repo.path(&["git", "commits"]);
        let body = json!({ "message": self.title, "tree": tree, "parents": [parent] });
        let commit: GitCommit = cx.api.post(&path).json(&body).send().await?;
        Ok(commit.sha)
    }

    async fn new_branch(&self, cx: &Cx, ground: &Ground, tree: &str) -> Result<String, ToolError> {
        let commit = self.commit(cx, tree, &ground.base_sha).await?;
        let path = self.repo.path(&["git", "refs"]);
        let body = json!({ "ref": format!("refs/heads/{}", ground.branch), "sha": commit });
        match cx.api.post(&path).json(&body).send::<GitRef>().await {
            Ok(_) => Ok(commit),
            Err(ProviderError::Invalid { message }) if message.contains("already exists") => {
                Err(taken(&ground.branch))
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn add_commit(
        &self,
        cx: &Cx,
        ground: &Ground,
        tree: &str,
        tip: &str,
    ) -> Result<String, ToolError> {
        let commit = self.commit(cx, tree, tip).await?;
        let path = self.repo.path_to(&["git", "refs", "heads"], &ground.branch);
        let body = json!({ "sha": commit, "force": false });
        match cx.api.patch(&path).json(&body).send::<GitRef>().await {
            Ok(_) => Ok(commit),
            Err(ProviderError::Invalid { message }) if message.contains("fast forward") => {
                Err(ToolError::Conflict(format!(
                    "branch `{}` got another commit meanwhile; read it and try again",
                    ground.branch
                )))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Opens or changes the pull request. When that fails the branch stands already, which the caller must learn: an
    /// error would say that nothing happened.
    async fn save_pull(
        &self,
        cx: &Cx,
        ground: &Ground,
        commit: Option<String>,
        output: &mut Output,
    ) -> Result<Item, ToolError> {
        let request = match ground.pull() {
            Some(pull) => {
                let mut body = json!({ "title": self.title });
                if !self.body.is_empty() {
                    body["body"] = json!(self.body);
                }
                let number = pull.number.to_string();
                cx.api
                    .patch(&self.repo.path(&["pulls", &number]))
                    .json(&body)
            }
            None => cx.api.post(&self.repo.path(&["pulls"])).json(&json!({
                "title": self.title, "head": ground.branch, "base": ground.base,
                "body": self.body, "draft": self.draft,
            })),
        };
        let done = if ground.pull().is_some() {
            "updated"
        } else {
            "opened"
        };
        match request.send::<Pull>().await {
            Ok(pull) => Ok(rows::pull(cx, &self.repo, &pull)
                .field("done", done)
                .field("branch", ground.branch.as_str())
                .field("commit", commit)),
            Err(error) if commit.is_some() => {
                output.warnings.push(format!(
                    "the branch is pushed but its pull request was not {done}: {error}; the same call again goes on from there"
                ));
                Ok(Item::new(&ground.branch)
                    .field("done", "pushed")
                    .field("repo", self.repo.to_string())
                    .field("branch", ground.branch.as_str())
                    .field("commit", commit))
            }
            Err(error) => Err(error.into()),
        }
    }
}

fn entry<'a>(tree: &'a Tree, path: &str) -> Option<&'a TreeEntry> {
    tree.tree.iter().find(|entry| entry.path == path)
}

/// Git's rules for names of branches (git-check-ref-format), as far as they could do harm.
fn is_branch(name: &str) -> bool {
    name.len() <= 200
        && !name.contains("..")
        && !name.contains("@{")
        && name.split('/').all(|part| {
            let lock = part.rsplit_once('.').is_some_and(|(_, end)| end == "lock");
            !part.is_empty() && !part.starts_with('.') && !part.ends_with('.') && !lock
        })
        && name
            .chars()
            .all(|c| !c.is_control() && !c.is_whitespace() && !"~^:?*[\\".contains(c))
}

/// The title as part of a branch's name.
fn slug(title: &str) -> String {
    let mut slug = String::new();
    for c in title.chars().map(|c| c.to_ascii_lowercase()) {
        if c.is_ascii_alphanumeric() {
            slug.push(c);
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
        if slug.len() >= 48 {
            break;
        }
    }
    let slug = slug.trim_matches('-');
    if slug.is_empty() {
        "change".to_owned()
    } else {
        slug.to_owned()
    }
}

/// Lines only in the new and only in the old text, each line counted as often as it stands there. Moved lines do not
/// count, which is what "how large is it" asks for.
fn line_counts(old: &str, new: &str) -> (usize, usize) {
    let mut counts: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for line in old.lines() {
        counts.entry(line).or_default().0 += 1;
    }
    for line in new.lines() {
        counts.entry(line).or_default().1 += 1;
    }
    counts
        .values()
        .fold((0, 0), |(added, removed), (old, new)| {
            (
                added + new.saturating_sub(*old),
                removed + old.saturating_sub(*new),
            )
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_branches_are_checked() {
        for name in ["main", "feature/x-1", "dependabot/npm_and_yarn/a-1.2"] {
            assert!(is_branch(name), "{name}");
        }
        for name in [
            "", "a..b", "a b", "/a", "a/", "a//b", ".a", "a.lock", "a~1", "a:b", "x@{1}",
        ] {
            assert!(!is_branch(name), "{name}");
        }
    }

    #[test]
    fn a_title_becomes_a_branch() {
        assert_eq!(slug("Fix: the (broken) link!"), "fix-the-broken-link");
        assert_eq!(slug("漢字"), "change");
        assert!(is_branch(&format!("workbench/{}", slug("  --x.. "))));
    }

    #[test]
    fn changes_are_counted_by_line() {
        assert_eq!(line_counts("a\nb\nc\n", "a\nx\nc\nd\n"), (2, 1));
        assert_eq!(line_counts("a\na\n", "a\n"), (0, 1));
        assert_eq!(line_counts("", "a\n"), (1, 0));
    }
}
