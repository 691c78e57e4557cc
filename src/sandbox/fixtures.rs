//! Exchanges with the providers, as data: the format of `fixtures/`, and the ones compiled in.

use std::collections::BTreeMap;

use include_dir::{Dir, DirEntry, include_dir};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One exchange with a provider.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exchange {
    /// What is asked.
    pub request: Request,
    /// What the provider answers.
    pub response: Response,
}

/// What is asked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// In capitals.
    pub method: String,
    /// Below the provider's base address, as sent (percent-encoded).
    pub path: String,
    /// Decoded; every parameter that is sent stands here, the values of a repeated one joined by commas.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub query: BTreeMap<String, String>,
    /// Compared as JSON; a form is an object of strings, other text a string, and bytes that are no text the string
    /// `base64:…`. Absent when no body is sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Value>,
}

/// What the provider answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Response {
    /// The HTTP status.
    pub status: u16,
    /// By name; a JSON body needs no `content-type`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// A JSON body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Value>,
    /// A body that is not JSON; its media type stands in `headers`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// A body that is not even text, in standard base64; its media type stands in `headers`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base64: Option<String>,
    /// Not what the provider describes, on purpose: a proxy's page, a truncated body.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub broken: bool,
}

impl Response {
    /// Whether the status is one of success (2xx).
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

/// The part of a case that the sandbox reads; arguments and results are the tests' business.
#[derive(Deserialize)]
struct Case {
    #[serde(default)]
    upstream: Vec<Exchange>,
}

/// `fixtures/`, as it was when this crate was last compiled.
static FIXTURES: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/fixtures");

/// A compiled-in file that is not a case.
#[derive(Debug, thiserror::Error)]
#[error("fixtures/{path} is not a case")]
pub struct Unreadable {
    /// Below `fixtures/`.
    pub path: String,
    /// What is wrong with it.
    #[source]
    pub source: serde_json::Error,
}

/// Every exchange of `fixtures/<folder>/`, in the order of the file names but for `success.json`, which comes before its
/// neighbours: the same request is always answered by the same file, and rather by the usual one. Broken answers are left
/// out: they belong to their own case.
pub fn exchanges(folder: &str) -> Result<Vec<Exchange>, Unreadable> {
    let mut files = Vec::new();
    if let Some(folder) = FIXTURES.get_dir(folder) {
        collect(folder, &mut files);
    }
    files.sort_by_key(|(path, _)| {
        let (folder, name) = path.rsplit_once('/').unwrap_or_default();
        (folder.to_owned(), name != "success.json", name.to_owned())
    });
    let mut exchanges = Vec::new();
    for (path, text) in files {
        let case: Case =
            serde_json::from_slice(text).map_err(|source| Unreadable { path, source })?;
        let sound = |exchange: &Exchange| !exchange.response.broken;
        exchanges.extend(case.upstream.into_iter().filter(sound));
    }
    Ok(exchanges)
}

/// The paths of all compiled-in files, sorted. A new file is only noticed when this crate is compiled again; a test
/// compares this with the disk.
pub fn embedded() -> Vec<String> {
    let mut files = Vec::new();
    collect(&FIXTURES, &mut files);
    let mut paths: Vec<String> = files.into_iter().map(|(path, _)| path).collect();
    paths.sort();
    paths
}

fn collect(folder: &Dir<'static>, into: &mut Vec<(String, &'static [u8])>) {
    for entry in folder.entries() {
        match entry {
            DirEntry::Dir(folder) => collect(folder, into),
            DirEntry::File(file) => {
                let path = file.path();
                if path.extension().is_some_and(|name| name == "json") {
                    into.push((path.to_string_lossy().into_owned(), file.contents()));
                }
            }
        }
    }
}
