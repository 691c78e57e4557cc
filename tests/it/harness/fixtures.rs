//! The cases in `fixtures/`, as data.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// One exchange with a provider.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exchange {
    pub request: Request,
    pub response: Response,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    pub method: String,
    /// Below the provider's base address, as sent (percent-encoded).
    pub path: String,
    /// Decoded; every parameter that is sent stands here, the values of a repeated one joined by commas.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub query: BTreeMap<String, String>,
    /// Compared as JSON; text that is none is a string, and bytes that are no text the string `base64:…`. Absent when no
    /// body is sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Value>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Response {
    pub status: u16,
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

/// The files of `fixtures/<integration>/<folder>/`, by path.
pub fn cases(integration: &str, folder: &str) -> Vec<PathBuf> {
    let folder = root().join(integration).join(folder);
    let mut files: Vec<_> = std::fs::read_dir(&folder)
        .map(|entries| entries.map(|entry| entry.unwrap().path()).collect())
        .unwrap_or_default();
    files.retain(|path: &PathBuf| {
        path.extension()
            .is_some_and(|extension| extension == "json")
    });
    files.sort();
    files
}

/// All cases of an integration, by path.
pub fn all_cases(integration: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(root().join(integration)).unwrap();
    let mut folders: Vec<_> = entries
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    folders.sort();
    folders
        .iter()
        .flat_map(|folder| cases(integration, folder))
        .collect()
}

pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures")
}

pub fn read<T: for<'de> Deserialize<'de>>(path: &Path) -> T {
    let text =
        std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Compares a member of the case with `found`, or writes it there under `UPDATE=1`; with none, the case must have none.
pub fn check(path: &Path, member: &str, found: Option<&Value>) {
    let mut case: Map<String, Value> = read(path);
    if std::env::var_os("UPDATE").is_some() {
        match found {
            Some(found) => case.insert(member.to_owned(), found.clone()),
            None => case.shift_remove(member),
        };
        let mut text = serde_json::to_string_pretty(&case).unwrap();
        text.push('\n');
        std::fs::write(path, text).unwrap();
    } else {
        let expected = serde_json::to_string_pretty(&case.get(member)).unwrap();
        let found = serde_json::to_string_pretty(&found).unwrap();
        assert!(
            expected == found,
            "{}\n{member}: expected {expected}\nfound {found}",
            path.display()
        );
    }
}
