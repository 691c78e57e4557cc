//! Toolset "Code": what files there are and what is in them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::auth::REPO;
use super::cut::{Budget, Held, decode};
use super::glob::Glob;
use super::model::{Content, OneOrMany, TreeEntry};
use super::names::{Place, Repo};
use super::outline::outline;
use super::read::{self, nonzero};
use super::rows;
use crate::kit::args::{Cursor, Limit};
use crate::kit::error::{ProviderError, ToolError};
use crate::kit::output::{Item, Output};
use crate::kit::tool::{AuditArgs, Cx, Effect, Needs, Tool};

/// Most files read by one call.
const MAX_FILES: usize = 20;

/// List paths and sizes of a repository's files.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ListTree {
    /// owner/name
    repo: Repo,
    /// Branch, tag or SHA.
    #[serde(default, rename = "ref")]
    reference: String,
    /// Folder to start at.
    #[serde(default)]
    path: String,
    /// Such as `**/*.{rs,md}`.
    #[serde(default)]
    glob: String,
    /// Levels of folders; 0 for all.
    #[serde(default)]
    depth: u8,
    #[serde(default)]
    limit: Limit<100, 500>,
    #[serde(default)]
    cursor: Option<Cursor>,
}

/// Where a listing goes on: in the same tree, whatever the branch points to meanwhile.
#[derive(Serialize, Deserialize)]
struct Mark {
    tree: String,
    offset: usize,
}

impl Tool for ListTree {
    const NAME: &'static str = "github_list_tree";
    const TITLE: &'static str = "List files";
    const EFFECT: Effect = Effect::Read;
    const SCOPES: Needs = REPO;
    const AUDIT: AuditArgs = AuditArgs {
        plain: &["repo", "ref"],
        dropped: &[],
    };

    async fn call(self, cx: &Cx) -> Result<Output, ToolError> {
        let glob = match self.glob.as_str() {
            "" => None,
            pattern => Some(Glob::parse(pattern).ok_or_else(|| {
                ToolError::Invalid(
                    "`glob` has braces that do not close, nest or make too many patterns"
                        .to_owned(),
                )
            })?),
        };
        let mark: Option<Mark> = match &self.cursor {
            Some(cursor) => Some(cursor.read()?),
            None => None,
        };
        let recursive = self.depth != 1;
        let base = self.path.trim_matches('/');
        let (found, offset) = if let Some(mark) = mark {
            let tree = read::tree(cx, &self.repo, &mark.tree, recursive).await?;
            (tree, mark.offset)
        } else {
            let tree = read::folder(cx, &self.repo, &self.reference, base, recursive).await?;
            (tree, 0)
        };
        let fitting: Vec<(String, &TreeEntry)> = found
            .tree
            .iter()
            .filter(|entry| self.is_near(&entry.path))
            .map(|entry| (joined(base, &entry.path), entry))
            // A pattern asks for files; without one the folders at the edge show what was not descended into.
            .filter(|(path, entry)| match &glob {
                Some(glob) => entry.kind != "tree" && glob.matches(path),
                None => entry.kind != "tree" || self.is_edge(&entry.path),
            })
            .collect();
        let limit = self.limit.get() as usize;
        let repo = self.repo.to_string();
        let page = fitting.iter().skip(offset).take(limit);
        let items = page.map(|(path, entry)| self.row(cx, &repo, path, entry));
        let end = offset.saturating_add(limit);
        let mut output = Output::of(items.collect())
            .total(u64::try_from(fitting.len()).ok())
            .next((end < fitting.len()).then(|| {
                Cursor::of(&Mark {
                    tree: found.sha.clone(),
                    offset: end,
                })
            }));
        if found.truncated {
            output.truncated = true;
            output = output.warn(
                "GitHub cut this tree because it is too large; give `path` to list one folder whole",
            );
        }
        Ok(output)
    }
}

impl ListTree {
    fn level(path: &str) -> usize {
        path.split('/').count()
    }

    fn is_near(&self, path: &str) -> bool {
        self.depth == 0 || Self::level(path) <= usize::from(self.depth)
    }

    fn is_edge(&self, path: &str) -> bool {
        self.depth != 0 && Self::level(path) == usize::from(self.depth)
    }

    fn row(&self, cx: &Cx, repo: &str, path: &str, entry: &TreeEntry) -> Item {
        match entry.kind.as_str() {
            "blob" => Item::new(path)
                .uri(rows::file_uri(cx, repo, &self.reference, path))
                .field("bytes", entry.size),
            "tree" => Item::new(path).field("type", "folder"),
            _commit => Item::new(path).field("type", "submodule"),
        }
    }
}

fn joined(base: &str, path: &str) -> String {
    if base.is_empty() {
        path.to_owned()
    } else {
        format!("{base}/{path}")
    }
}

/// Read up to 20 files or line ranges, or only their symbols.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ReadFiles {
    /// owner/name
    repo: Repo,
    /// Branch, tag or SHA.
    #[serde(default, rename = "ref")]
    reference: String,
    /// Paths, with lines as in `src/a.rs#L10-L80`.
    #[schemars(length(min = 1, max = 20))]
    paths: Vec<String>,
    /// Only definitions and headings with their lines.
    #[serde(default)]
    outline: bool,
}

impl Tool for ReadFiles {
    const NAME: &'static str = "github_read_files";
    const TITLE: &'static str = "Read files";
    const EFFECT: Effect = Effect::Read;
    const SCOPES: Needs = REPO;
    const AUDIT: AuditArgs = AuditArgs {
        plain: &["repo", "ref"],
        dropped: &[],
    };

    async fn call(self, cx: &Cx) -> Result<Output, ToolError> {
        if self.paths.is_empty() || self.paths.len() > MAX_FILES {
            return Err(ToolError::Invalid(format!(
                "`paths` takes 1 to {MAX_FILES} files"
            )));
        }
        let places: Vec<Place> = self
            .paths
            .iter()
            .map(|text| Place::parse(text))
            .collect::<Result<_, _>>()?;
        let reads = places
            .iter()
            .map(|place| read::content(cx, &self.repo, &self.reference, &place.path));
        let files = read::all(reads.collect()).await;

        let mut output = Output::default();
        let mut budget = Budget::beside(places.len(), cx.max_chars);
        let mut missing = Vec::new();
        for (index, (place, file)) in places.iter().zip(files).enumerate() {
            match file {
                Ok(OneOrMany::One(file)) => {
                    // What earlier files leave is shared evenly, so that one long file does not starve the others.
                    let fair = budget.left() / (places.len() - index);
                    output
                        .items
                        .push(self.row(cx, place, &file, &mut budget, fair));
                }
                Ok(OneOrMany::Many(_)) => output.warnings.push(format!(
                    "`{}` is a folder; list it with github_list_tree",
                    place.path
                )),
                Err(ProviderError::NotFound) => missing.push(place.path.as_str()),
                Err(error) if error.is_partial() => {
                    output.warnings.push(format!("`{}`: {error}", place.path));
                }
                Err(error) => return Err(error.into()),
            }
        }
        if output.items.is_empty() && missing.len() == places.len() {
            let what = format!("{} in {}", missing.join(", "), self.repo);
            return read::seen(cx, &what, Err(ProviderError::NotFound));
        }
        output
            .warnings
            .extend(missing.iter().map(|path| format!("`{path}` was not found")));
        output.truncated = budget.cut;
        Ok(output)
    }
}

impl ReadFiles {
    fn row(
        &self,
        cx: &Cx,
        place: &Place,
        file: &Content,
        budget: &mut Budget,
        fair: usize,
    ) -> Item {
        let repo = self.repo.to_string();
        let item = Item::new(&file.path)
            .url(&file.html_url)
            .uri(rows::file_uri(cx, &repo, &self.reference, &file.path))
            .field("sha", file.sha.as_str())
            .field("bytes", nonzero(file.size));
        if file.kind != "file" {
            return item.field("type", file.kind.as_str());
        }
        let text = match decode(&file.content, &file.encoding) {
            Some(Held::Text(text)) => text,
            Some(Held::Binary) => return item.field("type", "binary"),
            None => return item.field("type", "unreadable"),
        };
        if self.outline {
            let symbols = outline(&file.path, &text);
            let lines = budget.take_lines(&symbols.join("\n"), (1, None), fair);
            return item
                .field("lines", text.lines().count())
                .field("outline", lines.text);
        }
        let lines = budget.take_lines(&text, (place.from, place.to), fair);
        let is_whole = place.from == 1 && lines.to == lines.total;
        let span = format!("{}-{} of {}", place.from, lines.to, lines.total);
        item.field("lines", (!is_whole).then_some(span))
            .field(
                "continue_with",
                lines.next.map(|line| match place.to {
                    Some(to) => format!("{}#L{line}-L{to}", file.path),
                    None => format!("{}#L{line}", file.path),
                }),
            )
            .field("text", lines.text)
    }
}
