//! Imported documents: a repository's documentation copied into this connection's own records, so that conversations can
//! read it without GitHub and it is fetched again only where it changed.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::auth::REPO;
use super::cut::{Held, decode};
use super::glob::Glob;
use super::model::TreeEntry;
use super::names::Repo;
use super::read;
use crate::kit::Record;
use crate::kit::block::{Content, ContextBlock};
use crate::kit::error::ToolError;
use crate::kit::output::{Item, Output};
use crate::kit::text;
use crate::kit::tool::{AuditArgs, Cx, Effect, Needs, Tool};
use crate::kit::uri::encode;

/// What documentation is called nearly everywhere.
const USUAL: [&str; 2] = ["/README*", "docs/**/*.{md,mdx,markdown,rst,adoc,txt}"];
/// Most documents of one collection.
const MAX_DOCUMENTS: usize = 300;
/// Largest document, in bytes.
const MAX_DOCUMENT_BYTES: u64 = 512 * 1024;
/// Most text of one collection, in bytes: a connection's records have room for a few of that size.
const MAX_COLLECTION_BYTES: u64 = 16 * 1024 * 1024;
/// Documents fetched before they are stored.
const BATCH: usize = 20;
/// Most paths of each kind that an answer lists.
const LISTED: usize = 50;
/// The collection that remembers where each collection comes from.
const SOURCES: &str = "docs-sources";

/// Import a repository's documentation into a collection of documents that conversations can read. Run again to update it.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ImportDocs {
    /// owner/name
    repo: Repo,
    /// Branch, tag or SHA.
    #[serde(default, rename = "ref")]
    reference: String,
    /// Paths such as `guides/**/*.md`; empty for README and docs.
    #[serde(default)]
    globs: Vec<String>,
    /// Its name; empty for owner-name.
    #[serde(default)]
    collection: String,
}

/// Where a collection comes from, so that two repositories do not overwrite each other's documents.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Source {
    repo: String,
}

impl Tool for ImportDocs {
    const NAME: &'static str = "github_import_docs";
    const TITLE: &'static str = "Import documents";
    // It writes to our own records only.
    const EFFECT: Effect = Effect::Write { idempotent: true };
    const SCOPES: Needs = REPO;
    const AUDIT: AuditArgs = AuditArgs {
        plain: &["repo", "ref"],
        dropped: &[],
    };

    async fn call(self, cx: &Cx) -> Result<Output, ToolError> {
        let name = self.collection_name()?;
        let collection = format!("docs/{name}");
        let globs = self.patterns()?;
        let source = Source {
            repo: self.repo.to_string(),
        };
        if let Some(record) = cx.records.get(SOURCES, &name).await?
            && let Ok(other) = serde_json::from_str::<Source>(&record.body)
            && other != source
        {
            return Err(ToolError::Conflict(format!(
                "collection `{name}` holds documents of {}; give another `collection`",
                other.repo
            )));
        }
        let tree = read::folder(cx, &self.repo, &self.reference, "", true).await?;
        let mut output = Output::default();
        if tree.truncated {
            output = output.warn("GitHub cut the list of files; some documents may be missing");
        }
        let wanted = select(&tree.tree, &globs, &mut output);
        let held = held(cx, &collection).await?;
        let mut plan = Plan::of(&held, &wanted);
        if tree.truncated {
            // What is not in a cut list is not known to be gone.
            plan.removed.clear();
        }
        let mut skipped = 0;
        if !cx.dry_run {
            skipped = self.store(cx, &collection, &plan, &mut output).await?;
            let record = Record {
                key: name.clone(),
                version: tree.sha.clone(),
                body: serde_json::to_string(&source).unwrap_or_default(),
            };
            cx.records.put(SOURCES, &record).await?;
        }
        let mut item = Item::new(&name)
            .uri(cx.uri(&format!("docs/{}", encode(&name))))
            .field("repo", source.repo)
            .field("tree", tree.sha)
            .field("documents", wanted.len() - skipped)
            .field("unchanged", plan.unchanged)
            .field("dry_run", cx.dry_run);
        for (word, paths) in [
            ("added", &plan.added),
            ("updated", &plan.updated),
            ("removed", &plan.removed),
        ] {
            item.set(word, paths.len());
            item.set(&format!("{word}_paths"), listed(paths));
        }
        output.items.push(item);
        Ok(output)
    }
}

impl ImportDocs {
    fn collection_name(&self) -> Result<String, ToolError> {
        let name = if self.collection.is_empty() {
            format!("{}-{}", self.repo.owner, self.repo.name).to_lowercase()
        } else {
            self.collection.clone()
        };
        let fits = name.len() <= 80
            && name.starts_with(|c: char| c.is_ascii_alphanumeric())
            && name
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
        if fits || self.collection.is_empty() {
            Ok(name)
        } else {
            Err(ToolError::Invalid(
                "`collection` takes letters, digits, `-`, `_` and `.`".to_owned(),
            ))
        }
    }

    fn patterns(&self) -> Result<Vec<Glob>, ToolError> {
        let given: Vec<&str> = if self.globs.is_empty() {
            USUAL.to_vec()
        } else {
            self.globs.iter().map(String::as_str).collect()
        };
        given
            .into_iter()
            .map(|pattern| {
                Glob::parse(pattern).ok_or_else(|| {
                    ToolError::Invalid(format!("`{pattern}` in `globs` is not a pattern"))
                })
            })
            .collect()
    }

    /// Carries out the plan; answers how many files turned out not to be text.
    async fn store(
        &self,
        cx: &Cx,
        collection: &str,
        plan: &Plan,
        output: &mut Output,
    ) -> Result<usize, ToolError> {
        let fetch: Vec<&(String, String)> = plan.added.iter().chain(&plan.updated).collect();
        let total = u32::try_from(fetch.len()).unwrap_or(u32::MAX);
        let (mut done, mut skipped) = (0, 0);
        // Stored batch by batch, so that a call that breaks off is gone on with by the next.
        for batch in fetch.chunks(BATCH) {
            let reads = batch.iter().map(|(_, sha)| read::blob(cx, &self.repo, sha));
            let blobs = read::all(reads.collect()).await;
            for ((path, sha), blob) in batch.iter().zip(blobs) {
                let blob = blob?;
                if let Some(Held::Text(text)) = decode(&blob.content, &blob.encoding) {
                    let record = Record {
                        key: path.clone(),
                        version: sha.clone(),
                        body: text::visible(text),
                    };
                    cx.records.put(collection, &record).await?;
                } else {
                    skipped += 1;
                    output.warnings.push(format!("`{path}` is not text"));
                }
                done += 1;
                cx.progress.step(done, Some(total), path.as_str());
            }
        }
        for (path, _) in &plan.removed {
            cx.records.delete(collection, path).await?;
        }
        Ok(skipped)
    }
}

/// The files that are documents: those that fit a pattern, are not too large and not too many.
fn select(entries: &[TreeEntry], globs: &[Glob], output: &mut Output) -> BTreeMap<String, String> {
    let mut wanted = BTreeMap::new();
    let mut bytes = 0;
    let fitting = entries
        .iter()
        .filter(|entry| entry.kind == "blob" && globs.iter().any(|glob| glob.matches(&entry.path)));
    for entry in fitting {
        if entry.size > MAX_DOCUMENT_BYTES {
            output
                .warnings
                .push(format!("`{}` is too large for a document", entry.path));
            continue;
        }
        bytes += entry.size;
        if wanted.len() == MAX_DOCUMENTS || bytes > MAX_COLLECTION_BYTES {
            output.truncated = true;
            output.warnings.push(format!(
                "only the first {} documents are taken; give narrower `globs`",
                wanted.len()
            ));
            break;
        }
        wanted.insert(entry.path.clone(), entry.sha.clone());
    }
    wanted
}

/// Path and version of every document that the collection holds.
async fn held(cx: &Cx, collection: &str) -> Result<BTreeMap<String, String>, ToolError> {
    const ROWS: u32 = 200;
    let mut held = BTreeMap::new();
    let mut after = String::new();
    loop {
        let heads = cx.records.list(collection, "", &after, ROWS).await?;
        let is_last = heads.len() < ROWS as usize;
        for head in heads {
            after.clone_from(&head.key);
            held.insert(head.key, head.version);
        }
        if is_last {
            return Ok(held);
        }
    }
}

/// What an import changes: paths with the version they get, or had.
#[derive(Debug, Default, PartialEq, Eq)]
struct Plan {
    added: Vec<(String, String)>,
    updated: Vec<(String, String)>,
    removed: Vec<(String, String)>,
    unchanged: usize,
}

impl Plan {
    fn of(held: &BTreeMap<String, String>, wanted: &BTreeMap<String, String>) -> Self {
        let mut plan = Self::default();
        for (path, sha) in wanted {
            let entry = (path.clone(), sha.clone());
            match held.get(path) {
                None => plan.added.push(entry),
                Some(version) if version != sha => plan.updated.push(entry),
                Some(_) => plan.unchanged += 1,
            }
        }
        let gone = held.iter().filter(|(path, _)| !wanted.contains_key(*path));
        plan.removed = gone
            .map(|(path, version)| (path.clone(), version.clone()))
            .collect();
        plan
    }
}

fn listed(paths: &[(String, String)]) -> Vec<String> {
    let mut listed: Vec<String> = paths
        .iter()
        .take(LISTED)
        .map(|(path, _)| path.clone())
        .collect();
    if paths.len() > LISTED {
        listed.push(format!("… and {} more", paths.len() - LISTED));
    }
    listed
}

/// An imported document, or the list of a collection's documents.
#[derive(Deserialize)]
pub(super) struct DocsBlock {
    collection: String,
    #[serde(default)]
    path: String,
}

impl ContextBlock for DocsBlock {
    const URI: &'static str = "github://{account}/docs/{collection}{/path*}";
    const NAME: &'static str = "github_docs";
    const TITLE: &'static str = "Imported document";
    const DESCRIPTION: &'static str =
        "A document that github_import_docs stored; without a path, the collection's documents.";
    const MIME: &'static str = "text/markdown";
    const SCOPES: Needs = Needs::Nothing;

    async fn read(self, cx: &Cx) -> Result<Content, ToolError> {
        let collection = format!("docs/{}", self.collection);
        if self.path.is_empty() {
            return self.index(cx, &collection).await;
        }
        let Some(record) = cx.records.get(&collection, &self.path).await? else {
            return Err(ToolError::NotFound(format!(
                "`{}` is not in collection `{}`; import it with github_import_docs",
                self.path, self.collection
            )));
        };
        let text = text::clip(&record.body, cx.max_chars);
        Ok(Content {
            truncated: text.len() != record.body.len(),
            version: Some(record.version),
            ..Content::text(text)
        })
    }

    async fn complete(
        cx: &Cx,
        field: &str,
        prefix: &str,
        chosen: &Map<String, Value>,
    ) -> Result<Vec<String>, ToolError> {
        const MOST: usize = 100;
        match (field, chosen.get("collection").and_then(Value::as_str)) {
            ("collection", _) => {
                let found = cx.records.collections(&format!("docs/{prefix}")).await?;
                let names = found.iter().filter_map(|name| name.strip_prefix("docs/"));
                Ok(names.take(MOST).map(ToOwned::to_owned).collect())
            }
            ("path", Some(collection)) => {
                let collection = format!("docs/{collection}");
                let heads = cx.records.list(&collection, prefix, "", 100).await?;
                Ok(heads.into_iter().map(|head| head.key).collect())
            }
            _ => Ok(Vec::new()),
        }
    }
}

impl DocsBlock {
    async fn index(&self, cx: &Cx, collection: &str) -> Result<Content, ToolError> {
        let held = held(cx, collection).await?;
        if held.is_empty() {
            return Err(ToolError::NotFound(format!(
                "collection `{}` is empty; fill it with github_import_docs",
                self.collection
            )));
        }
        let mut text = format!("# Documents of {}\n\n", self.collection);
        for path in held.keys() {
            let address: Vec<String> = path.split('/').map(encode).collect();
            let uri = cx.uri(&format!(
                "docs/{}/{}",
                encode(&self.collection),
                address.join("/")
            ));
            let _ = writeln!(text, "- [{path}]({uri})");
        }
        let short = text::clip(&text, cx.max_chars);
        Ok(Content {
            truncated: short.len() != text.len(),
            ..Content::text(short)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(list: &[(&str, &str)]) -> BTreeMap<String, String> {
        list.iter()
            .map(|(path, sha)| ((*path).to_owned(), (*sha).to_owned()))
            .collect()
    }

    #[test]
    fn only_what_changed_is_fetched() {
        let held = files(&[
            ("README.md", "a1"),
            ("docs/old.md", "b1"),
            ("docs/same.md", "c1"),
        ]);
        let wanted = files(&[
            ("README.md", "a2"),
            ("docs/new.md", "d1"),
            ("docs/same.md", "c1"),
        ]);
        let plan = Plan::of(&held, &wanted);
        let pair = |path: &str, sha: &str| vec![(path.to_owned(), sha.to_owned())];
        assert_eq!(
            plan,
            Plan {
                added: pair("docs/new.md", "d1"),
                updated: pair("README.md", "a2"),
                removed: pair("docs/old.md", "b1"),
                unchanged: 1,
            }
        );
        assert_eq!(
            Plan::of(&wanted, &wanted),
            Plan {
                unchanged: 3,
                ..Plan::default()
            }
        );
    }

    #[test]
    fn documents_are_text_files_of_a_reasonable_size() {
        let entry = |path: &str, size| TreeEntry {
            path: path.to_owned(),
            mode: "100644".to_owned(),
            kind: "blob".to_owned(),
            sha: "a".to_owned(),
            size,
        };
        let entries = [
            entry("README.md", 10),
            entry("docs/a/b.md", 10),
            entry("docs/huge.md", MAX_DOCUMENT_BYTES + 1),
            entry("docs/logo.png", 10),
            entry("src/README.md", 10),
        ];
        let globs: Vec<Glob> = USUAL.iter().filter_map(|text| Glob::parse(text)).collect();
        let mut output = Output::default();
        let wanted = select(&entries, &globs, &mut output);
        assert_eq!(
            wanted.keys().collect::<Vec<_>>(),
            ["README.md", "docs/a/b.md"]
        );
        assert_eq!(
            output.warnings,
            ["`docs/huge.md` is too large for a document"]
        );
    }
}
