//! What every reading tool needs: pages, and refusals in words that help.

use futures_util::stream::{self, StreamExt};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::model::{Content, GitCommit, OneOrMany, Repository, Tree, TreeEntry};
use super::names::Repo;
use crate::kit::args::Cursor;
use crate::kit::client::Answer;
use crate::kit::error::{ProviderError, ToolError};
use crate::kit::tool::Cx;

/// How many requests of one call are under way at once. GitHub asks for few; more only meets its secondary limit.
const AT_ONCE: usize = 5;

/// What all of these answer, in their order, [`AT_ONCE`] at a time.
pub(super) async fn all<F: Future>(futures: Vec<F>) -> Vec<F::Output> {
    stream::iter(futures).buffered(AT_ONCE).collect().await
}

/// GitHub's largest page.
pub(super) const PAGE: u32 = 100;

/// Where a list goes on. The size belongs to it: page 2 of another size would skip or repeat records.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Page {
    /// The page, from 1.
    pub(super) number: u32,
    /// Its size.
    pub(super) size: u32,
    /// Records of it that were given already.
    #[serde(default)]
    pub(super) skip: usize,
}

impl Page {
    /// Where `cursor` points, else the first page of this size.
    pub(super) fn start(cursor: Option<&Cursor>, size: u32) -> Result<Self, ToolError> {
        match cursor {
            None => Ok(Self {
                number: 1,
                size,
                skip: 0,
            }),
            Some(cursor) => cursor.read(),
        }
    }

    /// The cursor of the page after this one, when the answer's `Link` header names one.
    pub(super) fn after<T>(self, answer: &Answer<T>) -> Option<Cursor> {
        has_next(answer).then(|| Cursor::of(&self.following()))
    }

    /// The page after this one.
    pub(super) const fn following(self) -> Self {
        Self {
            number: self.number + 1,
            size: self.size,
            skip: 0,
        }
    }
}

/// Whether a list has another page.
pub(super) fn has_next<T>(answer: &Answer<T>) -> bool {
    answer.link_param("next", "page").is_some()
}

/// Gives a bare "not found" its words: GitHub answers the same for what does not exist and for what is private to others.
pub(super) fn seen<T>(
    cx: &Cx,
    what: &str,
    result: Result<T, ProviderError>,
) -> Result<T, ToolError> {
    result.map_err(|error| {
        if error != ProviderError::NotFound {
            return error.into();
        }
        ToolError::NotFound(format!(
            "{what} was not found: check the name, or it is private and not shared with {} or with this app",
            cx.account.label
        ))
    })
}

/// `None` instead of "not found".
pub(super) fn optional<T>(result: Result<T, ProviderError>) -> Result<Option<T>, ProviderError> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(ProviderError::NotFound) => Ok(None),
        Err(other) => Err(other),
    }
}

/// The repository itself.
pub(super) async fn repository(cx: &Cx, repo: &Repo) -> Result<Repository, ToolError> {
    seen(
        cx,
        &format!("repository {repo}"),
        cx.api.get(&repo.path(&[])).send().await,
    )
}

/// What stands at `path`; `reference` empty is the default branch.
pub(super) async fn content(
    cx: &Cx,
    repo: &Repo,
    reference: &str,
    path: &str,
) -> Result<OneOrMany, ProviderError> {
    let reference = (!reference.is_empty()).then_some(reference);
    let path = repo.path_to(&["contents"], path);
    let request = cx.api.get(&path).query_opt("ref", reference);
    let found = request.send().await?;
    // Between 1 and 100 MB the text is left out and has to be asked for as a blob.
    if let OneOrMany::One(file) = &found
        && file.encoding == "none"
    {
        let text = blob(cx, repo, &file.sha).await?;
        return Ok(OneOrMany::One(Box::new(Content {
            content: text.content,
            encoding: text.encoding,
            ..(**file).clone()
        })));
    }
    Ok(found)
}

/// A file's contents by its hash.
pub(super) async fn blob(cx: &Cx, repo: &Repo, sha: &str) -> Result<Content, ProviderError> {
    let path = repo.path(&["git", "blobs", sha]);
    cx.api.get(&path).send().await
}

/// One level of a tree, or everything below it.
pub(super) async fn tree(
    cx: &Cx,
    repo: &Repo,
    root: &str,
    recursive: bool,
) -> Result<Tree, ProviderError> {
    // One segment: unlike a file's path, GitHub describes the hash or branch here as a plain parameter.
    let path = repo.path(&["git", "trees", root]);
    let request = cx
        .api
        .get(&path)
        .query_opt("recursive", recursive.then_some(1));
    // GitHub cuts trees at 7 MB or 100,000 entries.
    request.max_bytes(16 * 1024 * 1024).send().await
}

/// The tree of a folder: one small request for each level, so that a folder of a huge repository is whole and cheap.
pub(super) async fn folder(
    cx: &Cx,
    repo: &Repo,
    reference: &str,
    path: &str,
    recursive: bool,
) -> Result<Tree, ToolError> {
    let reference = or_head(reference);
    let root = format!("{reference} of {repo}");
    let names: Vec<&str> = path.split('/').filter(|name| !name.is_empty()).collect();
    let at_root = names.is_empty();
    let mut found = seen(
        cx,
        &root,
        tree(cx, repo, reference, recursive && at_root).await,
    )?;
    for (depth, name) in names.iter().enumerate() {
        let is_step = |entry: &&TreeEntry| entry.path == *name && entry.kind == "tree";
        let Some(entry) = found.tree.iter().find(is_step) else {
            return Err(ToolError::NotFound(format!(
                "`{}` at {root} is not a folder",
                names[..=depth].join("/")
            )));
        };
        let is_last = depth + 1 == names.len();
        found = tree(cx, repo, &entry.sha, recursive && is_last).await?;
    }
    Ok(found)
}

/// The reference asked for, or GitHub's own word for the tip of the default branch.
pub(super) const fn or_head(reference: &str) -> &str {
    if reference.is_empty() {
        "HEAD"
    } else {
        reference
    }
}

/// The commit that a branch, tag or hash names.
pub(super) async fn commit_sha(cx: &Cx, repo: &Repo, reference: &str) -> Result<String, ToolError> {
    let reference = or_head(reference);
    let path = repo.path_to(&["commits"], reference);
    let request = cx.api.get(&path).accept("application/vnd.github.sha");
    let answer = seen(cx, &format!("{reference} of {repo}"), request.text().await)?;
    let sha = answer.body.trim().to_owned();
    if sha.len() < 40 || !sha.chars().all(|c| c.is_ascii_hexdigit()) {
        return Err(ProviderError::Unavailable {
            reason: "answered no commit hash".to_owned(),
        }
        .into());
    }
    Ok(sha)
}

/// A commit as Git has it.
pub(super) async fn git_commit(
    cx: &Cx,
    repo: &Repo,
    sha: &str,
) -> Result<GitCommit, ProviderError> {
    let path = repo.path(&["git", "commits", sha]);
    cx.api.get(&path).send().await
}

/// A number's value, for fields that leave zero out.
pub(super) fn nonzero(number: u64) -> Value {
    if number == 0 {
        Value::Null
    } else {
        number.into()
    }
}
